/* SPDX-License-Identifier: MIT */
/*
 * The global queue: some put a chain, an array or a pile of blocks; others take one or a fair
 * share. Every goroutine that was put is taken by exactly one, and what one thread puts is not
 * overtaken. No scheduler runs here: plain threads.
 */
#include <pthread.h>

#include "runq.h"
#include "schedule.h"
#include "stress.h"

/* A pile of so many has more than one block, and a rest. */
enum { PUTTERS = 2, TAKERS = 2, GS = 6000 };

static struct g gs[PUTTERS][GS];
static atomic_int taken[PUTTERS][GS]; /* in this round */
static atomic_int ntaken;
static atomic_ulong piles, shares;
static pthread_barrier_t barrier;
static atomic_bool finished;

static void put_chain(struct g *first, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		first[i].link = &first[i + 1];
	lock_always(&sched.lock);
	goro_global_put(first, &first[n - 1], n);
	unlock_always(&sched.lock);
}

static void put_array(struct g *first, uint32_t n)
{
	struct g *array[RUNQ_LEN];

	for (uint32_t i = 0; i < n; i++)
		array[i] = &first[i];
	lock_always(&sched.lock);
	goro_global_put_all(array, n);
	unlock_always(&sched.lock);
}

static void put_pile(struct g *first, uint32_t n)
{
	struct g_pile pile;

	pile.n = 0;
	pile.first = NULL;
	for (uint32_t i = n; i > 0; i--)
		goro_pile_add(&pile, &first[i - 1]);
	lock_always(&sched.lock);
	goro_global_put_pile(&pile);
	unlock_always(&sched.lock);
	atomic_fetch_add_explicit(&piles, 1, memory_order_relaxed);
}

static void *putter(void *arg)
{
	struct g *mine = arg;
	uint64_t random = stress_seed((uintptr_t)arg);

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (finished)
			return NULL;
		for (uint32_t at = 0, n; at < GS; at += n) {
			uint64_t way = stress_random(&random) % 4;
			uint64_t most = way == 3 ? GS : way == 2 ? RUNQ_LEN : 8;

			n = (uint32_t)(1 + stress_random(&random) % most);
			n = n < GS - at ? n : GS - at;
			if (way == 3)
				put_pile(&mine[at], n);
			else if (way == 2)
				put_array(&mine[at], n);
			else
				put_chain(&mine[at], n);
		}
		pthread_barrier_wait(&barrier);
	}
}

/* In the order in which they were put, as far as one taker sees. */
static void take(struct g *gp, const struct g *last[PUTTERS])
{
	size_t i = (size_t)(gp - &gs[0][0]);

	must(i < PUTTERS * GS);
	must(!last[i / GS] || last[i / GS] < gp);
	last[i / GS] = gp;
	must(atomic_fetch_add(&taken[i / GS][i % GS], 1) == 0);
	atomic_fetch_add(&ntaken, 1);
}

static void take_share(struct p *pp, const struct g *last[PUTTERS])
{
	struct g *gp;

	lock_always(&sched.lock);
	gp = goro_global_get(pp);
	unlock_always(&sched.lock);
	if (!gp)
		return;
	take(gp, last);
	while ((gp = runq_get(pp)))
		take(gp, last);
	atomic_fetch_add_explicit(&shares, 1, memory_order_relaxed);
}

static void *taker(void *arg)
{
	struct p *pp = aligned_alloc(_Alignof(struct p), sizeof(*pp));
	uint64_t random = stress_seed((uintptr_t)arg);

	must(pp);
	memset(pp, 0, sizeof(*pp));
	for (;;) {
		const struct g *last[PUTTERS] = { NULL };
		struct g *gp;

		pthread_barrier_wait(&barrier);
		if (finished)
			break;
		while (atomic_load(&ntaken) < PUTTERS * GS) {
			if (stress_random(&random) % 2) {
				take_share(pp, last);
				continue;
			}
			lock_always(&sched.lock);
			gp = goro_global_take();
			unlock_always(&sched.lock);
			if (gp)
				take(gp, last);
		}
		pthread_barrier_wait(&barrier);
	}
	free(pp);
	return NULL;
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	pthread_t threads[PUTTERS + TAKERS];
	int rounds = 0;

	must(!pthread_barrier_init(&barrier, NULL, PUTTERS + TAKERS + 1));
	for (size_t i = 0; i < PUTTERS; i++)
		must(!pthread_create(&threads[i], NULL, putter, gs[i]));
	for (size_t i = PUTTERS; i < PUTTERS + TAKERS; i++)
		must(!pthread_create(&threads[i], NULL, taker, gs[i - PUTTERS]));
	do {
		for (int i = 0; i < PUTTERS * GS; i++)
			atomic_store_explicit(&taken[i / GS][i % GS], 0, memory_order_relaxed);
		atomic_store(&ntaken, 0);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		rounds++;
		must(atomic_load(&sched.runq_len) == 0);
		for (int i = 0; i < PUTTERS * GS; i++)
			must(taken[i / GS][i % GS] == 1);
	} while (goro_now() < end || !piles || !shares); /* on a busy machine: later */
	finished = true;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < PUTTERS + TAKERS; i++)
		pthread_join(threads[i], NULL);
	printf("%d rounds of %d: %lu piles, %lu shares, none lost, none twice, all in order\n",
	       rounds, PUTTERS * GS, piles, shares);
	return 0;
}
