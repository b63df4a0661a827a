/* SPDX-License-Identifier: MIT */
/*
 * Storm over everything in sync at once: transfers between accounts under two mutexes, while others
 * add up all accounts under a write lock; a bounded queue made of a mutex and two conds; WaitGroups
 * made, used and thrown away. No money is lost, no item of the queue is lost or doubled.
 */
#include "stress.h"

#define ACCOUNTS 20
#define PEOPLE	 400
#define TURNS	 200
#define ROOM	 8

struct queue {
	goro_mutex mu;
	goro_cond not_empty, not_full;
	uint32_t items[ROOM];
	uint32_t head, n;
};

struct bank {
	goro_rwmutex open; /* transfers share it, the auditor has it alone */
	goro_mutex mu[ACCOUNTS];
	long money[ACCOUNTS]; /* each under its mutex */
	struct queue queue;
	goro_once once;
	int once_ran;
	goro_waitgroup wg;
	atomic_uint next;
	_Atomic uint64_t put_sum, got_sum;
	atomic_long put_n, got_n;
};

static void transfer(struct bank *b, uint64_t *random)
{
	uint32_t from = stress_random(random) % ACCOUNTS, to = stress_random(random) % ACCOUNTS;
	uint32_t first = from < to ? from : to, second = from < to ? to : from;

	if (first == second)
		return;
	goro_rwmutex_rlock(&b->open);
	goro_mutex_lock(&b->mu[first]); /* always in this order: no deadlock */
	if (!goro_mutex_try_lock(&b->mu[second]))
		goro_mutex_lock(&b->mu[second]);
	b->money[from] -= 5;
	if (stress_random(random) % 32 == 0)
		goro_yield();
	b->money[to] += 5;
	goro_mutex_unlock(&b->mu[second]);
	goro_mutex_unlock(&b->mu[first]);
	goro_rwmutex_runlock(&b->open);
}

static void audit(struct bank *b)
{
	long sum = 0;

	goro_rwmutex_lock(&b->open);
	for (int i = 0; i < ACCOUNTS; i++)
		sum += b->money[i];
	must(sum == ACCOUNTS * 100);
	goro_rwmutex_unlock(&b->open);
}

static void put(struct bank *b, uint32_t item)
{
	struct queue *q = &b->queue;

	goro_mutex_lock(&q->mu);
	while (q->n == ROOM)
		goro_cond_wait(&q->not_full, &q->mu);
	q->items[(q->head + q->n++) % ROOM] = item;
	goro_mutex_unlock(&q->mu);
	goro_cond_signal(&q->not_empty);
	b->put_n++;
	b->put_sum += item;
}

static void take(struct bank *b)
{
	struct queue *q = &b->queue;
	uint32_t item;

	goro_mutex_lock(&q->mu);
	while (q->n == 0)
		goro_cond_wait(&q->not_empty, &q->mu);
	item = q->items[q->head];
	q->head = (q->head + 1) % ROOM;
	q->n--;
	if (item % 2)
		goro_cond_signal(&q->not_full);
	else
		goro_cond_broadcast(&q->not_full);
	goro_mutex_unlock(&q->mu);
	b->got_n++;
	b->got_sum += item;
}

static void run_once(void *arg)
{
	struct bank *b = arg;

	goro_yield();
	b->once_ran++;
}

static void fork_join(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 2);
	stress_start(2, (goro_fn *)goro_waitgroup_done, &wg);
	goro_waitgroup_wait(&wg);
}

/* Half of the people put what the other half takes, so in the end the queue is empty. */
static void live(void *arg)
{
	struct bank *b = arg;
	uint32_t me = b->next++;
	uint64_t random = stress_seed(me);

	goro_once_do(&b->once, run_once, b);
	must(b->once_ran == 1);
	for (uint32_t i = 0; i < TURNS; i++) {
		transfer(b, &random);
		if (me % 2)
			put(b, me * TURNS + i);
		else
			take(b);
		if (i % 50 == 0)
			audit(b);
		if (i % 64 == 0)
			fork_join();
	}
	goro_waitgroup_done(&b->wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	long items = 0;

	do {
		struct bank b = { 0 };

		for (int i = 0; i < ACCOUNTS; i++)
			b.money[i] = 100;
		goro_waitgroup_add(&b.wg, PEOPLE);
		stress_start(PEOPLE, live, &b);
		goro_waitgroup_wait(&b.wg);
		audit(&b);
		must(b.queue.n == 0);
		must(b.put_n == PEOPLE / 2 * TURNS && b.got_n == b.put_n);
		must(b.put_sum == b.got_sum);
		items += b.got_n;
	} while (goro_now() < end);
	printf("%ld items and all money conserved\n", items);
	return 0;
}
