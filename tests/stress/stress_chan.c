/* SPDX-License-Identifier: MIT */
/*
 * 10,000 goroutines over channels: producers -> forwarders -> consumers, with buffers of all kinds
 * in between. Every value is sent once and has a bit of its own, which must be set exactly once.
 */
#include "stress.h"

#define CHANNELS  16
#define PRODUCERS (STRESS_LIVE * 2 / 5)
#define MOVERS	  (STRESS_LIVE * 3 / 10)
#define EACH	  20
#define VALUES	  (PRODUCERS * EACH)

struct wave {
	goro_chan *in[CHANNELS], *out[CHANNELS];
	goro_waitgroup producers, forwarders, consumers;
	atomic_uint next_producer, next_other; /* number the goroutines */
	atomic_uchar seen[VALUES];
	atomic_int received;
};

static void produce(void *arg)
{
	struct wave *w = arg;
	uint32_t me = w->next_producer++;

	for (uint32_t i = 0; i < EACH; i++) {
		uint32_t value = me * EACH + i;

		goro_chan_send(w->in[(me + i) % CHANNELS], &value);
	}
	goro_waitgroup_done(&w->producers);
}

static void forward(void *arg)
{
	struct wave *w = arg;
	uint32_t me = w->next_other++, value;

	while (goro_chan_recv(w->in[me % CHANNELS], &value))
		goro_chan_send(w->out[value % CHANNELS], &value);
	goro_waitgroup_done(&w->forwarders);
}

static void consume(void *arg)
{
	struct wave *w = arg;
	uint32_t me = w->next_other++, value;

	while (goro_chan_recv(w->out[me % CHANNELS], &value)) {
		must(value < VALUES);
		must(w->seen[value]++ == 0);
		w->received++;
	}
	goro_waitgroup_done(&w->consumers);
}

static void run_wave(struct wave *w)
{
	static const size_t caps[] = { 0, 0, 1, 7, 128, 0, 2, 1000 };

	memset(w, 0, sizeof(*w));
	for (int i = 0; i < CHANNELS; i++) {
		w->in[i] = goro_chan_of(uint32_t, caps[i % 8]);
		w->out[i] = goro_chan_of(uint32_t, caps[(i + 3) % 8]);
	}
	goro_waitgroup_add(&w->producers, PRODUCERS);
	goro_waitgroup_add(&w->forwarders, MOVERS);
	goro_waitgroup_add(&w->consumers, MOVERS);
	stress_start(PRODUCERS, produce, w);
	stress_start(MOVERS, forward, w);
	stress_start(MOVERS, consume, w);

	goro_waitgroup_wait(&w->producers);
	for (int i = 0; i < CHANNELS; i++)
		goro_chan_close(w->in[i]);
	goro_waitgroup_wait(&w->forwarders);
	for (int i = 0; i < CHANNELS; i++)
		goro_chan_close(w->out[i]);
	goro_waitgroup_wait(&w->consumers);

	must(w->received == VALUES);
	for (int i = 0; i < CHANNELS; i++) {
		must(goro_chan_len(w->in[i]) == 0 && goro_chan_len(w->out[i]) == 0);
		goro_chan_free(w->in[i]);
		goro_chan_free(w->out[i]);
	}
}

int main(int argc, char **argv)
{
	static struct wave wave;
	int64_t end = stress_end(argc, argv);
	long waves = 0;

	do {
		run_wave(&wave);
		waves++;
	} while (goro_now() < end);
	printf("%ld values through %d goroutines: none lost, none twice\n", waves * VALUES,
	       PRODUCERS + 2 * MOVERS);
	return 0;
}
