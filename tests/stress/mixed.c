/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: a hundred thousand goroutines that do random things over channels, select,
 * locks, timers, sockets, contexts, panics and new goroutines, while some compute or sit in libc,
 * others cancel, and one changes the number of processors; and threads that are not the runtime's
 * come, take part in all of it, and go. In waves; after each one every account
 * must balance (mixed.h): no token lost or received twice, no timer both stopped and fired, no
 * money made.
 *
 *	GORO_MAXPROCS=4 build/tests/stress/stress_mixed [SECONDS [SEED [GOROUTINES]]]
 *
 * The seed decides what each goroutine wants to do, not when it gets to do it; a failure need not
 * come back, but the same seed is where to look for it first. When a wave does not end, and nobody
 * gets anything done any more, the program prints where everybody is (SIGQUIT) and dies. (However
 * busy the machine is, now and then somebody does.)
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mixed.h"

/* ThreadSanitizer has no room for so many. */
enum { MOST = 10 * STRESS_LIVE / STRESS_SLOW, PATIENCE_S = 100 };

atomic_ulong mixed_moves;

static void live(void *arg)
{
	struct life *life = arg;

	while (!atomic_load_explicit(&life->w->stop, memory_order_relaxed))
		mixed_step(life);
	mixed_move();
	goro_waitgroup_done(&life->w->workers);
}

/* From one processor to six and back, again and again; in the end as many as at first. */
static void resize(void *arg)
{
	struct world *w = arg;
	uint64_t random = stress_seed(w->seed ^ 0x51e);
	int at_first = goro_maxprocs();

	while (!atomic_load(&w->stop)) {
		int n = 1 + (int)(stress_random(&random) % 6), before = goro_maxprocs();

		must(goro_set_maxprocs(n) == before && goro_maxprocs() == n);
		atomic_fetch_add(&w->acc.resizes, 1);
		goro_sleep((int64_t)(stress_random(&random) % (50 * GORO_MILLISECOND)));
	}
	goro_set_maxprocs(at_first);
	goro_waitgroup_done(&w->resizer);
}

/* A thread of the program's own: for some steps it is as good a goroutine as any. */
static void *stranger(void *arg)
{
	struct life *life = arg;
	uint64_t steps = stress_random(&life->random) % 100;

	for (uint64_t i = 0; i < steps; i++) {
		if (atomic_load_explicit(&life->w->stop, memory_order_relaxed))
			break;
		mixed_step(life);
	}
	atomic_fetch_add(&life->w->acc.strangers, 1);
	return NULL;
}

static void join(void *thread)
{
	must(!pthread_join(*(pthread_t *)thread, NULL));
}

/* One after the other. */
static void let_strangers_in(void *arg)
{
	struct life life = *(struct life *)arg;

	do {
		struct life its = { life.w, stress_random(&life.random) | 1 };
		pthread_t thread;

		must(!pthread_create(&thread, NULL, stranger, &its));
		goro_blocking(join, &thread);
	} while (!atomic_load(&life.w->stop));
	goro_waitgroup_done(&life.w->doors);
}

static void echo(void *arg)
{
	int fd = *(int *)arg;
	char buf[64];
	ssize_t n;

	while ((n = goro_read(fd, buf, sizeof(buf))) > 0)
		must(goro_write(fd, buf, (size_t)n) == n);
	must(n == 0);
	goro_close(fd);
	mixed_move();
}

static struct bits bits_new(void)
{
	struct bits b = { calloc(TOKENS / 64, sizeof(uint64_t)) };

	must(b.words);
	return b;
}

static void world_begin(struct world *w)
{
	uint64_t random = w->seed;

	for (int i = 0; i < CHANS; i++)
		w->chan[i] = goro_chan_of(uint64_t, i % 2 ? stress_random(&random) % 100 : 0);
	w->stop_chan = goro_chan_make(0, 0);
	for (int i = 0; i < ACCOUNTS; i++)
		w->money[i] = MONEY;
	w->lines = goro_chan_of(int, LINES);
	for (int i = 0; i < LINES; i++) {
		int ends[2];

		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
		go_copy(echo, &ends[1]);
		w->line[i] = ends[0];
		goro_chan_send(w->lines, &ends[0]);
	}
	for (int i = 0; i < TREES; i++)
		w->tree[i] = goro_context_with_cancel(i ? w->tree[0] : goro_background());
	w->sema = (goro_sema)GORO_SEMA(SLOTS);
	w->queue_max = 100;
	w->sent = bits_new();
	w->received = bits_new();
}

/* Take what is left in the channels, or in the hands of senders. */
static void drain(struct world *w)
{
	uint64_t token;

	for (int i = 0; i < CHANS; i++)
		while (goro_chan_try_recv(w->chan[i], &token) == GORO_GOT) {
			mixed_received(w, token);
			mixed_move();
		}
}

/* Everybody goes home, whatever they wait for. */
static void world_stop(struct world *w)
{
	atomic_store(&w->stop, true);
	goro_chan_close(w->stop_chan);
	goro_mutex_lock(&w->queue_mu);
	goro_cond_broadcast(&w->queue_cond);
	goro_mutex_unlock(&w->queue_mu);
	while (atomic_load(&w->senders)) {
		drain(w);
		goro_yield();
	}
	for (int i = 0; i < CHANS; i++)
		goro_chan_close(w->chan[i]);
	goro_waitgroup_wait(&w->resizer);
	goro_waitgroup_wait(&w->doors);
	goro_waitgroup_wait(&w->workers);
	goro_waitgroup_wait(&w->children);
	drain(w);
}

static void world_check(struct world *w)
{
	struct accounts *a = &w->acc;
	long sum = 0;

	for (int i = 0; i < ACCOUNTS; i++)
		sum += w->money[i];
	must(sum == (long)ACCOUNTS * MONEY);
	must(a->sent == a->received);
	must(!memcmp((void *)w->sent.words, (void *)w->received.words, TOKENS / 8));
	must(a->timers_made == a->timers_fired + a->timers_stopped);
	must(a->children_made == a->children_ran);
	must(a->panics == a->recovered);
	must(a->taken == a->given && goro_sema_try_acquire(&w->sema, SLOTS));
	for (int i = 0; i < CHANS; i++)
		must(goro_chan_len(w->chan[i]) == 0);
	must(goro_chan_len(w->lines) == LINES);
}

static void world_end(struct world *w)
{
	for (int i = 0; i < LINES; i++)
		goro_close(w->line[i]);
	while (goro_count() > 1) /* the echoes, and who has done its work but not ended yet */
		goro_sleep(GORO_MILLISECOND);
	for (int i = TREES - 1; i >= 0; i--)
		goro_context_release(w->tree[i]);
	for (int i = 0; i < CHANS; i++)
		goro_chan_free(w->chan[i]);
	goro_chan_free(w->stop_chan);
	goro_chan_free(w->lines);
	free((void *)w->sent.words);
	free((void *)w->received.words);
}

static void wave(uint64_t seed, int n, int64_t length)
{
	struct world *w = calloc(1, sizeof(*w));
	struct accounts *a = &w->acc;
	int64_t start = goro_now(), stopped;

	w->seed = seed;
	w->n = n;
	world_begin(w);
	goro_waitgroup_add(&w->doors, DOORS);
	for (int i = 0; i < DOORS; i++) {
		struct life life = { w, stress_seed(seed ^ (uint64_t)(0xd00 + i)) };

		go_copy(let_strangers_in, &life);
	}
	goro_waitgroup_add(&w->workers, n);
	for (int i = 0; i < n; i++) {
		struct life life = { w, stress_seed(seed + (uint64_t)i) };

		go_copy(live, &life);
	}
	goro_waitgroup_add(&w->resizer, 1);
	go(resize, w);
	goro_sleep(length);
	stopped = goro_now();
	world_stop(w);
	world_check(w);
	world_end(w);
	printf("%d goroutines, %.1f + %.1f s: %lu tokens, %lu timers, %lu children, %lu panics, "
	       "%lu echoes, %lu cancels, %lu timeouts, %lu hogs, %lu resizes, %lu strangers: all "
	       "accounts balance\n",
	       n, (double)(stopped - start) / 1e9, (double)(goro_now() - stopped) / 1e9, a->sent,
	       a->timers_made, a->children_made, a->panics, a->echoed, a->cancelled, a->timeouts,
	       a->hogs, a->resizes, a->strangers);
	must(a->strangers > 0);
	fflush(stdout);
	free(w);
}

/* A thread that has nothing to do with the runtime: it can tell when that hangs. */
static void *watchdog(void *unused)
{
	unsigned long seen = 0;
	int quiet = 0;

	(void)unused;
	for (;;) {
		sleep(1);
		quiet = seen == atomic_load(&mixed_moves) ? quiet + 1 : 0;
		seen = atomic_load(&mixed_moves);
		if (quiet > PATIENCE_S) {
			fprintf(stderr, "a wave does not end\n");
			raise(SIGQUIT);
			sleep(60);
			_exit(1);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0)
				 : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
	int most = argc > 3 ? atoi(argv[3]) : MOST;
	uint64_t random = stress_seed(seed);
	pthread_t thread;

	if (most < 1 || argc > 4) {
		fprintf(stderr, "usage: %s [SECONDS [SEED [GOROUTINES]]]\n", argv[0]);
		return 2;
	}
	printf("seed %lu, %d workers\n", (unsigned long)seed, goro_maxprocs());
	fflush(stdout);
	must(!pthread_create(&thread, NULL, watchdog, NULL));
	for (int n = most; goro_now() < end;
	     n = most / 50 + 1 + (int)(stress_random(&random) % (uint64_t)most)) {
		int64_t length =
			GORO_SECOND + (int64_t)(stress_random(&random) % (2 * GORO_SECOND));

		wave(stress_random(&random), n, length);
	}
	return 0;
}
