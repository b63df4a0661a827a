/* SPDX-License-Identifier: MIT */
/* Channels: the rules of Go's specification, one case each. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

/* ---- unbuffered ------------------------------------------------------------------------------ */

struct link {
	goro_chan *c;
	atomic_int passed;
	int value;
};

static void send_one(void *arg)
{
	struct link *link = arg;

	goro_chan_send(link->c, &link->value);
	link->passed++;
}

static void unbuffered_send_waits(void)
{
	struct link link = { .c = goro_chan_of(int, 0), .value = 42 };
	int got = 0;

	check_parked(go(send_one, &link), GORO_REASON_CHAN_SEND);
	check_eq(link.passed, 0);
	check_eq(goro_chan_len(link.c), 0);
	check(goro_chan_recv(link.c, &got));
	check_eq(got, 42);
	check_eventually(link.passed == 1);
}

static void recv_one(void *arg)
{
	struct link *link = arg;

	check(goro_chan_recv(link->c, &link->value));
	link->passed++;
}

static void unbuffered_receive_waits(void)
{
	struct link link = { .c = goro_chan_of(int, 0) };
	int value = 43;

	check_parked(go(recv_one, &link), GORO_REASON_CHAN_RECV);
	goro_chan_send(link.c, &value);
	check_eventually(link.passed == 1);
	check_eq(link.value, 43);
}

static void count_up(void *arg)
{
	for (int i = 0; i < 20000; i++)
		goro_chan_send(arg, &i);
	goro_chan_close(arg);
}

static void values_stay_in_order(void)
{
	static const size_t caps[] = { 0, 1, 2, 3, 7, 128 };

	for (size_t k = 0; k < sizeof(caps) / sizeof(caps[0]); k++) {
		goro_chan *c = goro_chan_of(int, caps[k]);
		int value, expected = 0;

		go(count_up, c);
		while (goro_chan_recv(c, &value))
			check_eq(value, expected++);
		check_eq(expected, 20000);
	}
}

/* Who waited first is served first. */
static void waiters_are_served_in_order(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	struct link links[5];

	for (int i = 0; i < 5; i++) {
		links[i] = (struct link){ .c = c };
		check_parked(go(recv_one, &links[i]), GORO_REASON_CHAN_RECV);
	}
	for (int i = 0; i < 5; i++)
		goro_chan_send(c, &i);
	for (int i = 0; i < 5; i++) {
		check_eventually(links[i].passed == 1);
		check_eq(links[i].value, i);
	}
	for (int i = 0; i < 5; i++) {
		links[i] = (struct link){ .c = c, .value = i };
		check_parked(go(send_one, &links[i]), GORO_REASON_CHAN_SEND);
	}
	for (int i = 0; i < 5; i++) {
		int got;

		check(goro_chan_recv(c, &got));
		check_eq(got, i);
	}
	for (int i = 0; i < 5; i++) /* they write to our stack when they go on */
		check_eventually(links[i].passed == 1);
}

/* ---- buffered -------------------------------------------------------------------------------- */

static void buffered_send_waits_when_full(void)
{
	struct link link = { .c = goro_chan_of(int, 2), .value = 3 };
	int value = 1;

	check_eq(goro_chan_cap(link.c), 2);
	goro_chan_send(link.c, &value);
	check_eq(goro_chan_len(link.c), 1);
	value = 2;
	goro_chan_send(link.c, &value);
	check_eq(goro_chan_len(link.c), 2);

	check_parked(go(send_one, &link), GORO_REASON_CHAN_SEND);
	check_eq(goro_chan_len(link.c), 2);
	for (int i = 1; i <= 3; i++) {
		check(goro_chan_recv(link.c, &value));
		check_eq(value, i); /* the waiting sender's comes last */
	}
	check_eq(goro_chan_len(link.c), 0);
	check_eventually(link.passed == 1);
}

static void try_operations(void)
{
	struct link link = { .c = goro_chan_of(int, 0), .value = 5 };
	goro_chan *c = goro_chan_of(int, 1);
	int value = 7, got = 9;

	check_eq(goro_chan_try_recv(c, &got), GORO_WOULD_BLOCK);
	check_eq(got, 9); /* not touched */
	check(goro_chan_try_send(c, &value));
	check(!goro_chan_try_send(c, &value));
	check_eq(goro_chan_try_recv(c, &got), GORO_GOT);
	check_eq(got, 7);
	goro_chan_close(c);
	check_eq(goro_chan_try_recv(c, &got), GORO_CLOSED);
	check_eq(got, 0);

	check(!goro_chan_try_send(link.c, &value)); /* unbuffered: only to one who waits */
	check_eq(goro_chan_try_recv(link.c, &got), GORO_WOULD_BLOCK);
	check_parked(go(send_one, &link), GORO_REASON_CHAN_SEND);
	check_eq(goro_chan_try_recv(link.c, &got), GORO_GOT);
	check_eq(got, 5);
	check_parked(go(recv_one, &link), GORO_REASON_CHAN_RECV);
	check(goro_chan_try_send(link.c, &value));
	check_eventually(link.passed == 2);
	check_eq(link.value, 7);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void close_drains_first(void)
{
	goro_chan *c = goro_chan_of(int, 4);
	int got = 77;

	for (int i = 1; i <= 3; i++)
		goro_chan_send(c, &i);
	goro_chan_close(c);
	check_eq(goro_chan_len(c), 3);
	check_eq(goro_chan_cap(c), 4);
	for (int i = 1; i <= 3; i++) {
		check(goro_chan_recv(c, &got));
		check_eq(got, i);
	}
	for (int i = 0; i < 3; i++) {
		got = 77;
		check(!goro_chan_recv(c, &got));
		check_eq(got, 0);
		check(!goro_chan_recv(c, NULL));
	}
}

static void recv_closed(void *arg)
{
	struct link *link = arg;

	link->value = 77;
	check(!goro_chan_recv(link->c, &link->value));
	check_eq(link->value, 0);
	link->passed++;
}

static void close_wakes_every_receiver(void)
{
	struct link links[100];
	goro_chan *c = goro_chan_of(int, 0);

	for (int i = 0; i < 100; i++) {
		links[i] = (struct link){ .c = c };
		check_parked(go(recv_closed, &links[i]), GORO_REASON_CHAN_RECV);
	}
	goro_chan_close(c);
	for (int i = 0; i < 100; i++)
		check_eventually(links[i].passed == 1);
}

/* ---- a crowd at one channel ---- */

enum { CROWD = CHECK_SLOW > 1 ? 300 : 6000 }; /* which is woken in several parts */
enum { SELECTS_EVERY = 7, SERVED_ELSEWHERE = 10 };

static struct gathering {
	goro_chan *gate, *elsewhere;
	goro_waitgroup gone;
	atomic_int inside, by_gate, by_elsewhere;
	int place[CROWD]; /* who came as how manyth, by how manyth was woken */
} gathering;

static void wait_at_gate(void *arg)
{
	struct gathering *g = &gathering;
	bool selects = (intptr_t)arg % SELECTS_EVERY == 0, closed = false;
	int place = g->inside++, value;
	struct goro_case cases[] = { goro_recv_case(g->elsewhere, &value),
				     goro_recv_case(g->gate, NULL) };

	if (!selects)
		closed = !goro_chan_recv(g->gate, NULL);
	else if (goro_select(cases, 2) == 1)
		closed = !cases[1].ok;
	else
		g->by_elsewhere++;
	if (closed) {
		g->place[g->by_gate++] = place;
		/* Others are perhaps still being woken. */
		check(!goro_chan_recv(g->gate, &value));
		check(goro_chan_try_recv(g->gate, NULL) == GORO_CLOSED);
	}
	goro_waitgroup_done(&g->gone);
}

static void gather(int n)
{
	static uint64_t ids[CROWD];
	struct gathering *g = &gathering;

	*g = (struct gathering){ .gate = goro_chan_of(int, 0), .elsewhere = goro_chan_of(int, 0) };
	goro_waitgroup_add(&g->gone, n);
	for (intptr_t i = 0; i < n; i++)
		ids[i] = go(wait_at_gate, (void *)i);
	check_eventually(g->inside == n);
	for (int i = 0; i < n; i++)
		check_parked(ids[i],
			     i % SELECTS_EVERY ? GORO_REASON_CHAN_RECV : GORO_REASON_SELECT);
}

static void disperse(int n, int served)
{
	struct gathering *g = &gathering;
	int astray = 0;

	goro_chan_close(g->gate);
	goro_waitgroup_wait(&g->gone);
	check_eq(g->by_gate, n - served);
	check_eq(g->by_elsewhere, served);
	goro_chan_free(g->gate);
	goro_chan_free(g->elsewhere);
	/*
	 * In the order in which they came, but for one of each 61, which the global queue hands on
	 * directly, and some that lose their worker in between.
	 */
	for (int i = 0; i < g->by_gate; i++)
		astray += abs(g->place[i] - i) > 8 + served;
	if (goro_maxprocs() == 1)
		check(astray <= 8 + n / 8);
}

static void close_wakes_a_crowd(void)
{
	static const int sizes[] = { 1, 2, 63, 64, 65, 128, 129, CROWD };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		gather(sizes[i]);
		disperse(sizes[i], 0);
	}
	gather(CROWD);
	/* They are in the queue of the gate still, and not to be woken again. */
	for (int i = 0; i < SERVED_ELSEWHERE; i++)
		goro_chan_send(gathering.elsewhere, &i);
	disperse(CROWD, SERVED_ELSEWHERE);
}

static void send_on_closed(void)
{
	goro_chan *c = goro_chan_of(int, 1);

	goro_chan_close(c);
	goro_chan_send(c, &(int){ 1 });
}

static void try_send_on_closed(void)
{
	goro_chan *c = goro_chan_of(int, 1);

	goro_chan_close(c);
	goro_chan_try_send(c, &(int){ 1 });
}

static void close_panics_waiting_sender(void)
{
	struct link link = { .c = goro_chan_of(int, 0) };

	check_parked(go(send_one, &link), GORO_REASON_CHAN_SEND);
	goro_chan_close(link.c);
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

static void close_closed(void)
{
	goro_chan *c = goro_chan_of(int, 1);

	goro_chan_close(c);
	goro_chan_close(c);
}

static void close_nil(void)
{
	goro_chan_close(NULL);
}

/* ---- nil ------------------------------------------------------------------------------------- */

static void use_nil(void *arg)
{
	if (arg)
		goro_chan_send(NULL, arg);
	else
		goro_chan_recv(NULL, arg);
	check(!"a nil channel let us through");
}

static void nil_blocks_for_ever(void)
{
	int value;

	check_parked(go(use_nil, NULL), GORO_REASON_CHAN_RECV_NIL);
	check_parked(go(use_nil, &value), GORO_REASON_CHAN_SEND_NIL);
	check(!goro_chan_try_send(NULL, &value));
	check_eq(goro_chan_try_recv(NULL, &value), GORO_WOULD_BLOCK);
	check_eq(goro_chan_len(NULL), 0);
	check_eq(goro_chan_cap(NULL), 0);
	goro_chan_free(NULL);
	check_eq(goro_count(), 3);
}

static void nil_deadlocks(void)
{
	goro_chan_recv(NULL, NULL);
}

/* ---- elements -------------------------------------------------------------------------------- */

static void zero_size_elements(void)
{
	goro_chan *c = goro_chan_make(0, 3);
	struct link link = { .c = goro_chan_make(0, 0) };

	for (int i = 0; i < 3; i++)
		check(goro_chan_try_send(c, NULL));
	check(!goro_chan_try_send(c, NULL));
	check_eq(goro_chan_len(c), 3);
	for (int i = 0; i < 3; i++)
		check(goro_chan_recv(c, NULL));
	check_eq(goro_chan_try_recv(c, NULL), GORO_WOULD_BLOCK);

	check_parked(go(send_one, &link), GORO_REASON_CHAN_SEND);
	check(goro_chan_recv(link.c, NULL));
	check_eventually(link.passed == 1);
}

#define BIG (1 << 20)

static void send_big(void *arg)
{
	unsigned char *big = malloc(BIG);

	check(big);
	for (int i = 0; i < 6; i++) {
		memset(big, i, BIG);
		big[BIG - 1] = 0xff;
		goro_chan_send(arg, big);
	}
	free(big);
	goro_chan_close(arg);
}

static void megabyte_elements(void)
{
	unsigned char *big = malloc(BIG);

	check(big);
	for (size_t cap = 0; cap < 3; cap++) {
		goro_chan *c = goro_chan_make(BIG, cap);
		int i = 0;

		go(send_big, c);
		while (goro_chan_recv(c, big)) {
			check_eq(big[0], i);
			check_eq(big[BIG - 2], i);
			check_eq(big[BIG - 1], 0xff);
			i++;
		}
		check_eq(i, 6);
		check_eq(big[BIG - 1], 0);
		goro_chan_free(c);
	}
	free(big);
}

/* Every size: nothing beside the element is written. */
static void odd_sizes(void)
{
	unsigned char from[70], to[70];

	for (size_t size = 1; size <= 64; size++) {
		goro_chan *c = goro_chan_make(size, 2);

		for (int round = 0; round < 5; round++) {
			memset(from, (int)size + round, sizeof(from));
			memset(to, 0xee, sizeof(to));
			goro_chan_send(c, from);
			check(goro_chan_recv(c, to));
			check(memcmp(from, to, size) == 0);
			check_eq(to[size], 0xee);
		}
		memset(to, 0xee, sizeof(to));
		goro_chan_close(c);
		check(!goro_chan_recv(c, to));
		check_eq(to[size - 1], 0);
		check_eq(to[size], 0xee);
		goro_chan_free(c);
	}
}

static void absurd_size(void)
{
	goro_chan_make(SIZE_MAX / 2, 3);
}

static void free_while_somebody_waits(void)
{
	struct link link = { .c = goro_chan_of(int, 0) };

	check_parked(go(recv_one, &link), GORO_REASON_CHAN_RECV);
	goro_chan_free(link.c);
}

/* ---- several at once ------------------------------------------------------------------------- */

struct crowd {
	goro_chan *c;
	goro_waitgroup senders, receivers;
	_Atomic int64_t sum, got;
};

static void send_many(void *arg)
{
	struct crowd *crowd = arg;

	for (int64_t i = 1; i <= 1000; i++)
		goro_chan_send(crowd->c, &i);
	goro_waitgroup_done(&crowd->senders);
}

static void receive_many(void *arg)
{
	struct crowd *crowd = arg;
	int64_t value;

	while (goro_chan_recv(crowd->c, &value)) {
		crowd->sum += value;
		crowd->got++;
	}
	goro_waitgroup_done(&crowd->receivers);
}

static void many_senders_many_receivers(void)
{
	for (size_t cap = 0; cap <= 10; cap += 5) {
		struct crowd crowd = { .c = goro_chan_of(int64_t, cap) };

		goro_waitgroup_add(&crowd.senders, 20);
		goro_waitgroup_add(&crowd.receivers, 10);
		for (int i = 0; i < 20; i++)
			go(send_many, &crowd);
		for (int i = 0; i < 10; i++)
			go(receive_many, &crowd);
		goro_waitgroup_wait(&crowd.senders);
		goro_chan_close(crowd.c);
		goro_waitgroup_wait(&crowd.receivers);
		check_eq(crowd.got, 20 * 1000);
		check_eq(crowd.sum, 20 * 500500);
		goro_chan_free(crowd.c);
	}
}

#define PANICS .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "unbuffered_send_waits", .run = unbuffered_send_waits },
	{ .name = "unbuffered_receive_waits", .run = unbuffered_receive_waits },
	{ .name = "values_stay_in_order", .run = values_stay_in_order },
	{ .name = "waiters_are_served_in_order", .run = waiters_are_served_in_order },
	{ .name = "buffered_send_waits_when_full", .run = buffered_send_waits_when_full },
	{ .name = "try_operations", .run = try_operations },
	{ .name = "close_drains_first", .run = close_drains_first },
	{ .name = "close_wakes_every_receiver", .run = close_wakes_every_receiver },
	{ .name = "close_wakes_a_crowd", .run = close_wakes_a_crowd },
	{ .name = "send_on_closed",
	  .run = send_on_closed,
	  PANICS = { "^panic: send on closed channel$", "^goroutine 1 \\[running\\]:$",
		     "^send_on_closed\\(" } },
	{ .name = "try_send_on_closed",
	  .run = try_send_on_closed,
	  PANICS = { "^panic: send on closed channel$" } },
	{ .name = "close_panics_waiting_sender",
	  .run = close_panics_waiting_sender,
	  PANICS = { "^panic: send on closed channel$", "^goroutine [2-9][0-9]* \\[running\\]:$",
		     "^send_one\\(", "^created by close_panics_waiting_sender" } },
	{ .name = "close_closed",
	  .run = close_closed,
	  PANICS = { "^panic: close of closed channel$" } },
	{ .name = "close_nil", .run = close_nil, PANICS = { "^panic: close of nil channel$" } },
	{ .name = "nil_blocks_for_ever", .run = nil_blocks_for_ever },
	{ .name = "nil_deadlocks",
	  .run = nil_deadlocks,
	  PANICS = { "^fatal error: all goroutines are asleep - deadlock!$",
		     "^goroutine 1 \\[chan receive \\(nil chan\\)\\]:$" } },
	{ .name = "zero_size_elements", .run = zero_size_elements },
	{ .name = "megabyte_elements", .run = megabyte_elements },
	{ .name = "odd_sizes", .run = odd_sizes },
	{ .name = "absurd_size",
	  .run = absurd_size,
	  PANICS = { "^panic: makechan: size out of range$" } },
	{ .name = "free_while_somebody_waits",
	  .run = free_while_somebody_waits,
	  PANICS = { "^panic: .*goroutine [0-9]+ waits" } },
	{ .name = "many_senders_many_receivers", .run = many_senders_many_receivers },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
