/* SPDX-License-Identifier: MIT */
/* Mutex, RWMutex, Cond, WaitGroup, Once: Go's rules, and owners where we are stricter. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

/* ---- mutex ----------------------------------------------------------------------------------- */

struct counter {
	goro_mutex mu;
	goro_waitgroup wg;
	long n; /* plain: the mutex must order it */
};

static void count_under_lock(void *arg)
{
	struct counter *counter = arg;

	for (int i = 0; i < 20000; i++) {
		goro_mutex_lock(&counter->mu);
		counter->n++;
		if (i % 1000 == 0)
			goro_yield(); /* a goroutine may wait while it holds it */
		goro_mutex_unlock(&counter->mu);
	}
	goro_waitgroup_done(&counter->wg);
}

static void mutex_excludes(void)
{
	struct counter counter = { 0 };

	goro_waitgroup_add(&counter.wg, 8);
	for (int i = 0; i < 8; i++)
		go(count_under_lock, &counter);
	goro_waitgroup_wait(&counter.wg);
	check_eq(counter.n, 8 * 20000);
}

struct door {
	goro_mutex mu;
	goro_rwmutex rw;
	goro_chan *open;
	atomic_int step;
	int log[8];
	atomic_int logged;
};

static void try_door(void *arg)
{
	struct door *door = arg;

	check(!goro_mutex_try_lock(&door->mu));
	door->step = 1;
	goro_mutex_lock(&door->mu);
	door->step = 2;
	goro_mutex_unlock(&door->mu);
}

static void mutex_try_lock(void)
{
	struct door door = { 0 };
	uint64_t id;

	check(goro_mutex_try_lock(&door.mu));
	check(!goro_mutex_try_lock(&door.mu));
	id = go(try_door, &door);
	check_parked(id, GORO_REASON_MUTEX);
	check_eq(door.step, 1);
	goro_mutex_unlock(&door.mu);
	check_eventually(door.step == 2);
	check_eventually(goro_mutex_try_lock(&door.mu));
	goro_mutex_unlock(&door.mu);
}

static void unlock_unlocked(void)
{
	goro_mutex mu = { 0 };

	goro_mutex_lock(&mu);
	goro_mutex_unlock(&mu);
	goro_mutex_unlock(&mu);
}

static void unlock_it(void *arg)
{
	goro_mutex_unlock(arg);
}

static void unlock_by_another(void)
{
	goro_mutex mu = { 0 };

	goro_mutex_lock(&mu);
	go(unlock_it, &mu);
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

static void lock_twice(void)
{
	goro_mutex mu = { 0 };

	goro_mutex_lock(&mu);
	goro_mutex_lock(&mu);
}

static atomic_bool stop;

static void compute(int64_t ns)
{
	int64_t end = goro_now() + ns;

	while (goro_now() < end)
		;
}

static void hog_lock(void *arg)
{
	while (!stop) {
		goro_mutex_lock(arg);
		compute(200 * GORO_MICROSECOND);
		goro_mutex_unlock(arg);
	}
}

/* Two that unlock only to lock again at once cannot keep a third one out. */
static void mutex_starves_nobody(void)
{
	goro_mutex mu = { 0 };
	int64_t worst = 0;

	go(hog_lock, &mu);
	go(hog_lock, &mu);
	for (int i = 0; i < 30; i++) {
		int64_t start = goro_now(), waited;

		goro_mutex_lock(&mu);
		waited = goro_now() - start;
		goro_mutex_unlock(&mu);
		if (waited > worst)
			worst = waited;
		goro_sleep(GORO_MILLISECOND);
	}
	stop = true;
	check_eventually(goro_count() == 1);
	check(worst < GORO_SECOND);
}

enum { QUEUED = 8 };

struct in_turn {
	goro_mutex mu;
	goro_waitgroup wg;
	int order[2 * QUEUED], n; /* who had it, one after the other */
};

struct queued {
	struct in_turn *q;
	int i;
};

static void lock_twice_in_a_row(void *arg)
{
	struct queued *me = arg;

	for (int k = 0; k < 2; k++) {
		goro_mutex_lock(&me->q->mu);
		me->q->order[me->q->n++] = me->i;
		goro_mutex_unlock(&me->q->mu);
	}
	goro_waitgroup_done(&me->q->wg);
}

/*
 * Those that have waited for longer than 1 ms all get it before anybody gets it twice. (When only
 * the first of them was handed it, one of eight could wait for seconds.)
 */
static void mutex_is_handed_on_in_order(void)
{
	struct in_turn q = { .mu = { 0 } };

	goro_mutex_lock(&q.mu);
	goro_waitgroup_add(&q.wg, QUEUED);
	for (int i = 0; i < QUEUED; i++) {
		const struct goro_waiter *last = q.mu.last_;

		go_copy(lock_twice_in_a_row, &((struct queued){ &q, i }));
		check_eventually(q.mu.last_ != last);
	}
	compute(2 * GORO_MILLISECOND);
	/* The first is woken and finds it locked again: that is the last time. */
	goro_mutex_unlock(&q.mu);
	goro_mutex_lock(&q.mu);
	goro_yield();
	goro_mutex_unlock(&q.mu);
	goro_waitgroup_wait(&q.wg);
	check_eq(q.n, 2 * QUEUED);
	for (int i = 0; i < QUEUED; i++)
		check_eq(q.order[i], i);
}

/* ---- rwmutex --------------------------------------------------------------------------------- */

struct library {
	goro_rwmutex rw;
	goro_waitgroup inside, leave, done;
};

static void read_together(void *arg)
{
	struct library *library = arg;

	goro_rwmutex_rlock(&library->rw);
	goro_waitgroup_done(&library->inside);
	goro_waitgroup_wait(&library->inside); /* ends only if all are in at once */
	goro_rwmutex_runlock(&library->rw);
	goro_waitgroup_done(&library->done);
}

static void readers_share(void)
{
	struct library library = { 0 };

	goro_waitgroup_add(&library.inside, 10);
	goro_waitgroup_add(&library.done, 10);
	for (int i = 0; i < 10; i++)
		go(read_together, &library);
	goro_waitgroup_wait(&library.done);
	check(goro_rwmutex_try_lock(&library.rw));
}

struct ledger {
	goro_rwmutex rw;
	goro_waitgroup wg;
	long a, b; /* a writer keeps them equal, but not in between */
};

static void write_ledger(void *arg)
{
	struct ledger *ledger = arg;

	for (int i = 0; i < 3000; i++) {
		goro_rwmutex_lock(&ledger->rw);
		ledger->a++;
		if (i % 100 == 0)
			goro_yield();
		ledger->b++;
		goro_rwmutex_unlock(&ledger->rw);
	}
	goro_waitgroup_done(&ledger->wg);
}

static void read_ledger(void *arg)
{
	struct ledger *ledger = arg;

	for (int i = 0; i < 3000; i++) {
		goro_rwmutex_rlock(&ledger->rw);
		check_eq(ledger->a, ledger->b);
		if (i % 100 == 0)
			goro_yield();
		check_eq(ledger->a, ledger->b);
		goro_rwmutex_runlock(&ledger->rw);
	}
	goro_waitgroup_done(&ledger->wg);
}

static void writers_exclude(void)
{
	struct ledger ledger = { 0 };

	goro_waitgroup_add(&ledger.wg, 10);
	for (int i = 0; i < 10; i++)
		go(i < 4 ? write_ledger : read_ledger, &ledger);
	goro_waitgroup_wait(&ledger.wg);
	check_eq(ledger.a, 4 * 3000);
	check_eq(ledger.b, 4 * 3000);
}

static void note(struct door *door, int what)
{
	int at = door->logged;

	door->log[at] = what;
	door->logged = at + 1;
}

static void write_door(void *arg)
{
	struct door *door = arg;

	goro_rwmutex_lock(&door->rw);
	note(door, 'w');
	goro_rwmutex_unlock(&door->rw);
}

static void read_door(void *arg)
{
	struct door *door = arg;

	goro_rwmutex_rlock(&door->rw);
	door->step++;
	note(door, 'r');
	goro_rwmutex_runlock(&door->rw);
}

static void writer_holds_back_new_readers(void)
{
	struct door door = { 0 };

	goro_rwmutex_rlock(&door.rw);
	check(goro_rwmutex_try_rlock(&door.rw)); /* nobody waits: readers may share */
	goro_rwmutex_runlock(&door.rw);

	check_parked(go(write_door, &door), GORO_REASON_RWMUTEX_W);
	check(!goro_rwmutex_try_rlock(&door.rw));
	check(!goro_rwmutex_try_lock(&door.rw));
	check_parked(go(read_door, &door), GORO_REASON_RWMUTEX_R);
	check_eq(door.logged, 0);

	goro_rwmutex_runlock(&door.rw);
	check_eventually(door.logged == 2);
	check_eq(door.log[0], 'w');
	check_eq(door.log[1], 'r');
}

static void writer_lets_waiting_readers_in(void)
{
	struct door door = { 0 };

	goro_rwmutex_lock(&door.rw);
	check(!goro_rwmutex_try_rlock(&door.rw));
	check(!goro_rwmutex_try_lock(&door.rw));
	check_parked(go(read_door, &door), GORO_REASON_RWMUTEX_R);
	goro_rwmutex_unlock(&door.rw);
	check_eventually(door.logged == 1);
	check_eventually(goro_rwmutex_try_lock(&door.rw));
	goro_rwmutex_unlock(&door.rw);
}

static void runlock_unlocked(void)
{
	goro_rwmutex rw = { 0 };

	goro_rwmutex_runlock(&rw);
}

static void unlock_unlocked_rw(void)
{
	goro_rwmutex rw = { 0 };

	goro_rwmutex_rlock(&rw);
	goro_rwmutex_unlock(&rw);
}

static void runlock_it(void *arg)
{
	goro_rwmutex_runlock(arg);
}

static void runlock_by_another(void)
{
	goro_rwmutex rw = { 0 };

	goro_rwmutex_rlock(&rw);
	go(runlock_it, &rw);
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

static void unlock_rw_it(void *arg)
{
	goro_rwmutex_unlock(arg);
}

static void unlock_rw_by_another(void)
{
	goro_rwmutex rw = { 0 };

	goro_rwmutex_lock(&rw);
	go(unlock_rw_it, &rw);
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

/* More read locks at once than a goroutine's record has room for, given back in any order. */
static void many_read_locks(void)
{
	goro_rwmutex rw[10] = { 0 };

	for (int i = 0; i < 10; i++)
		goro_rwmutex_rlock(&rw[i]);
	for (int i = 0; i < 10; i++) {
		check(!goro_rwmutex_try_lock(&rw[i * 7 % 10]));
		goro_rwmutex_runlock(&rw[i * 7 % 10]);
		check(goro_rwmutex_try_lock(&rw[i * 7 % 10]));
	}
}

/* ---- cond ------------------------------------------------------------------------------------ */

struct queue {
	goro_mutex mu;
	goro_cond cond;
	int tickets, served;
	atomic_int order[4], n;
};

struct customer {
	struct queue *queue;
	int number;
};

static void wait_for_ticket(void *arg)
{
	struct customer *customer = arg;
	struct queue *queue = customer->queue;

	goro_mutex_lock(&queue->mu);
	while (!queue->tickets)
		goro_cond_wait(&queue->cond, &queue->mu);
	queue->tickets--;
	queue->order[queue->served++] = customer->number;
	queue->n = queue->served;
	goro_mutex_unlock(&queue->mu);
}

static void start_customers(struct queue *queue, struct customer *customers, int n)
{
	for (int i = 0; i < n; i++) {
		customers[i] = (struct customer){ queue, i };
		check_parked(go(wait_for_ticket, &customers[i]), GORO_REASON_COND);
	}
}

static void signal_wakes_one_in_order(void)
{
	struct queue queue = { 0 };
	struct customer customers[4];

	goro_cond_signal(&queue.cond); /* nobody waits: no effect, not even later */
	start_customers(&queue, customers, 4);
	check_eq(queue.n, 0);
	for (int i = 0; i < 4; i++) {
		goro_mutex_lock(&queue.mu);
		queue.tickets++;
		goro_cond_signal(&queue.cond);
		goro_mutex_unlock(&queue.mu);
		check_eventually(queue.n == i + 1);
		check_eq(queue.order[i], i);
	}
}

static void wait_once(void *arg)
{
	struct queue *queue = arg;

	goro_mutex_lock(&queue->mu);
	goro_cond_wait(&queue->cond, &queue->mu);
	queue->n++;
	goro_mutex_unlock(&queue->mu);
}

static void signal_wakes_no_more_than_one(void)
{
	struct queue queue = { 0 };
	uint64_t ids[4];

	for (int i = 0; i < 4; i++) {
		ids[i] = go(wait_once, &queue);
		check_parked(ids[i], GORO_REASON_COND);
	}
	goro_cond_signal(&queue.cond);
	check_eventually(queue.n == 1);
	for (int i = 1; i < 4; i++)
		check_parked(ids[i], GORO_REASON_COND);
	check_eq(queue.n, 1);
}

static void broadcast_wakes_all(void)
{
	struct queue queue = { 0 };
	struct customer customers[4];

	start_customers(&queue, customers, 4);
	goro_mutex_lock(&queue.mu);
	queue.tickets = 4;
	goro_mutex_unlock(&queue.mu);
	goro_cond_broadcast(&queue.cond); /* also right without the lock */
	check_eventually(queue.n == 4);
}

static void cond_wait_needs_the_lock(void)
{
	struct queue queue = { 0 };

	goro_cond_wait(&queue.cond, &queue.mu);
}

/* ---- waitgroup ------------------------------------------------------------------------------- */

struct meeting {
	goro_waitgroup wg;
	atomic_int arrived, left;
};

static void arrive(void *arg)
{
	struct meeting *meeting = arg;

	meeting->arrived++;
	goro_waitgroup_done(&meeting->wg);
}

static void waitgroup_is_reusable(void)
{
	struct meeting meeting = { 0 };

	goro_waitgroup_wait(&meeting.wg); /* zero: returns at once */
	for (int round = 1; round <= 2000; round++) {
		goro_waitgroup_add(&meeting.wg, 5);
		for (int i = 0; i < 5; i++)
			go(arrive, &meeting);
		goro_waitgroup_wait(&meeting.wg);
		check_eq(meeting.arrived, 5 * round);
	}
}

static void wait_and_leave(void *arg)
{
	struct meeting *meeting = arg;

	goro_waitgroup_wait(&meeting->wg);
	check_eq(meeting->arrived, 1);
	meeting->left++;
}

static void waitgroup_wakes_every_waiter(void)
{
	struct meeting meeting = { 0 };

	goro_waitgroup_add(&meeting.wg, 3);
	goro_waitgroup_add(&meeting.wg, -2);
	for (int i = 0; i < 10; i++)
		check_parked(go(wait_and_leave, &meeting), GORO_REASON_WAITGROUP);
	arrive(&meeting);
	check_eventually(meeting.left == 10);
}

static void waitgroup_below_zero(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 2);
	goro_waitgroup_add(&wg, -3);
}

/* ---- once ------------------------------------------------------------------------------------ */

struct setup {
	goro_once once;
	goro_waitgroup wg;
	int times; /* plain: Do orders it */
};

static void set_up(void *arg)
{
	struct setup *setup = arg;

	goro_sleep(5 * GORO_MILLISECOND);
	setup->times++;
}

static void call_once(void *arg)
{
	struct setup *setup = arg;

	goro_once_do(&setup->once, set_up, setup);
	check_eq(setup->times, 1); /* whoever returns from it sees it done */
	goro_waitgroup_done(&setup->wg);
}

static void once_runs_once(void)
{
	struct setup setup = { 0 };

	goro_waitgroup_add(&setup.wg, 100);
	for (int i = 0; i < 100; i++)
		go(call_once, &setup);
	goro_waitgroup_wait(&setup.wg);
	goro_once_do(&setup.once, set_up, &setup);
	check_eq(setup.times, 1);
}

static goro_once recursive;

static void recurse(void *arg)
{
	goro_once_do(&recursive, recurse, arg);
}

static void recursive_once(void)
{
	goro_once_do(&recursive, recurse, NULL);
}

#define DIES .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "mutex_excludes", .run = mutex_excludes },
	{ .name = "mutex_try_lock", .run = mutex_try_lock },
	{ .name = "unlock_unlocked",
	  .run = unlock_unlocked,
	  DIES = { "^fatal error: sync: unlock of unlocked mutex$", "^unlock_unlocked\\(" } },
	{ .name = "unlock_by_another",
	  .run = unlock_by_another,
	  DIES = { "^panic: sync: unlock of mutex held by goroutine 1$", "^unlock_it\\(" } },
	{ .name = "lock_twice",
	  .run = lock_twice,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$",
		   "^goroutine 1 \\[sync\\.Mutex\\.Lock\\]:$", "^lock_twice\\(" } },
	{ .name = "mutex_starves_nobody", .run = mutex_starves_nobody },
	{ .name = "mutex_is_handed_on_in_order",
	  .run = mutex_is_handed_on_in_order,
	  .workers = "1" },
	{ .name = "readers_share", .run = readers_share },
	{ .name = "writers_exclude", .run = writers_exclude },
	{ .name = "writer_holds_back_new_readers", .run = writer_holds_back_new_readers },
	{ .name = "writer_lets_waiting_readers_in", .run = writer_lets_waiting_readers_in },
	{ .name = "runlock_unlocked",
	  .run = runlock_unlocked,
	  DIES = { "^fatal error: sync: RUnlock of unlocked RWMutex$" } },
	{ .name = "unlock_unlocked_rw",
	  .run = unlock_unlocked_rw,
	  DIES = { "^fatal error: sync: Unlock of unlocked RWMutex$" } },
	{ .name = "runlock_by_another",
	  .run = runlock_by_another,
	  DIES = { "^panic: sync: RUnlock of RWMutex that this goroutine has not locked$",
		   "^runlock_it\\(" } },
	{ .name = "unlock_rw_by_another",
	  .run = unlock_rw_by_another,
	  DIES = { "^panic: sync: Unlock of RWMutex held by goroutine 1$", "^unlock_rw_it\\(" } },
	{ .name = "many_read_locks", .run = many_read_locks },
	{ .name = "signal_wakes_one_in_order", .run = signal_wakes_one_in_order },
	{ .name = "signal_wakes_no_more_than_one", .run = signal_wakes_no_more_than_one },
	{ .name = "broadcast_wakes_all", .run = broadcast_wakes_all },
	{ .name = "cond_wait_needs_the_lock",
	  .run = cond_wait_needs_the_lock,
	  DIES = { "^fatal error: sync: unlock of unlocked mutex$" } },
	{ .name = "waitgroup_is_reusable", .run = waitgroup_is_reusable },
	{ .name = "waitgroup_wakes_every_waiter", .run = waitgroup_wakes_every_waiter },
	{ .name = "waitgroup_below_zero",
	  .run = waitgroup_below_zero,
	  DIES = { "^panic: sync: negative WaitGroup counter$" } },
	{ .name = "once_runs_once", .run = once_runs_once },
	{ .name = "recursive_once",
	  .run = recursive_once,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$",
		   "^goroutine 1 \\[sync\\.(Once\\.Do|Mutex\\.Lock)\\]:$" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
