/* SPDX-License-Identifier: MIT */
/*
 * The run queue of a P: its owner puts, takes, takes back the newest and overflows, thieves steal
 * halves and the slot in front. Every goroutine that was put is taken by exactly one. No scheduler
 * runs here: plain threads on queues of their own. In every other round the slot is its owner's,
 * and thieves ask for what is in it; in the others it is taken by exchange, as without membarrier.
 */
#include <pthread.h>

#include "runq.h"
#include "schedule.h"
#include "stress.h"

enum { THIEVES = 2, GS = 4096 };

static struct p *owner, *thief_p[THIEVES];
static struct m owner_m;
static struct g gs[GS]; /* children of the one that follows, which do not run */
static struct g parent;
static atomic_int taken[GS];	 /* in this round */
static atomic_int arrived, left; /* at the start and the end of the rounds so far */
static atomic_int round_no;
static atomic_bool owner_done, finished;
static atomic_ulong stolen, asked_for, overflowed;
static unsigned long taken_back;

static void take(struct g *gp)
{
	must(gp >= gs && gp < gs + GS);
	must(atomic_fetch_add(&taken[gp - gs], 1) == 0);
}

static struct p *new_p(void)
{
	struct p *pp = aligned_alloc(_Alignof(struct p), sizeof(*pp));

	must(pp);
	memset(pp, 0, sizeof(*pp));
	pp->random = 88172645463325252u;
	return pp;
}

/* Spins: a futex would let one of them run alone for long. */
static void meet(int round)
{
	atomic_fetch_add(&arrived, 1);
	for (int i = 1; atomic_load(&arrived) < (1 + THIEVES) * round; i++)
		if (i % 1000 == 0)
			sched_yield();
}

static void drain(struct p *pp)
{
	struct g *gp;

	while ((gp = runq_get(pp)))
		take(gp);
}

/* enter(), of the m that the owner has here. */
static void begin(void)
{
	atomic_store_explicit(&owner_m.in_runtime, 1, memory_order_relaxed);
	barrier();
	if (unlikely(is_set(&owner_m.lost_p)))
		goro_regain_p(&owner_m);
}

/* Outside for a moment; now and then until somebody asks, if that is soon. */
static void breathe(uint64_t *random)
{
	uint64_t most = stress_random(random) % 32 ? 64 : 200000;

	leave(&owner_m);
	for (volatile uint64_t k = stress_random(random) % most; k; k--)
		if (most > 64 && is_set(&owner_m.lost_p))
			break;
	begin();
}

static struct g *steal(struct p *mine, bool next)
{
	struct g *in_front;

	if (!next)
		return goro_runq_steal(mine, owner, false);
	if (!sched.own_next || !(atomic_load(&owner->runnext) || atomic_load(&owner->nhand)))
		return goro_runq_steal(mine, owner, true);
	in_front = goro_take_next_of(owner);
	if (in_front)
		atomic_fetch_add_explicit(&asked_for, 1, memory_order_relaxed);
	return in_front;
}

static void *thief(void *arg)
{
	struct p *mine = *(struct p **)arg;
	uint64_t random = stress_seed((uintptr_t)arg);
	int round = 0;

	for (;;) {
		while (atomic_load(&round_no) == round)
			if (atomic_load(&finished))
				return NULL;
		round++;
		meet(round);
		for (;;) {
			bool done = atomic_load(&owner_done);
			struct g *gp = steal(mine, stress_random(&random) % 2);

			if (gp) {
				take(gp);
				atomic_fetch_add_explicit(&stolen, 1, memory_order_relaxed);
				drain(mine);
			} else if (done) {
				break;
			}
		}
		atomic_fetch_add(&left, 1);
		while (atomic_load(&owner_done))
			;
	}
}

/* What overflowed is in the global queue, which nobody else looks at. */
static void drain_global(void)
{
	struct g *gp;

	lock_always(&sched.lock);
	while ((gp = goro_global_take())) {
		take(gp);
		atomic_fetch_add_explicit(&overflowed, 1, memory_order_relaxed);
	}
	unlock_always(&sched.lock);
}

/* From one end or the other: back mostly when little is left, where thieves are. */
static void take_one(uint64_t *random)
{
	struct g *gp = NULL;

	if (stress_random(random) % 2)
		gp = runq_take_child(owner, &parent);
	taken_back += gp != NULL;
	if (!gp)
		gp = runq_get(owner);
	if (gp)
		take(gp);
}

static void own(uint64_t *random)
{
	uint64_t way = stress_random(random) % 3;

	for (int i = 0; i < GS; i++) {
		struct g *gp = &gs[i], *old;

		switch (stress_random(random) % 4) {
		case 0:
			old = runq_set_next(owner, gp);
			if (old)
				runq_put(owner, old);
			break;
		default:
			runq_put(owner, gp);
		}
		/* Now and then more comes than goes, so that it overflows; or hardly anything. */
		if (way == 0 || (way == 1 && stress_random(random) % 4))
			take_one(random);
		if (stress_random(random) % 4 == 0)
			breathe(random);
	}
	drain(owner);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	uint64_t random = stress_seed(1);
	pthread_t threads[THIEVES];
	int round = 0;

	must(!sched.solo);
	owner = new_p();
	atomic_store(&owner->m, &owner_m);
	owner_m.p = owner;
	for (int i = 0; i < THIEVES; i++) {
		thief_p[i] = new_p();
		must(!pthread_create(&threads[i], NULL, thief, &thief_p[i]));
	}
	do {
		for (int i = 0; i < GS; i++)
			atomic_store_explicit(&taken[i], 0, memory_order_relaxed);
		round++;
		sched.own_next = sched.have_membarrier && round % 2;
		atomic_store(&round_no, round);
		meet(round);
		begin();
		own(&random);
		leave(&owner_m);
		atomic_store(&owner_done, true);
		while (atomic_load(&left) < THIEVES * round)
			;
		drain(owner);
		drain_global();
		for (int i = 0; i < GS; i++)
			must(taken[i] == 1);
		atomic_store(&owner_done, false);
	} while (goro_now() < end || !stolen || !overflowed || !taken_back ||
		 (sched.have_membarrier && !asked_for)); /* on a busy machine: later */
	sched.own_next = sched.have_membarrier;
	atomic_store(&finished, true);
	for (int i = 0; i < THIEVES; i++)
		pthread_join(threads[i], NULL);
	printf("%d rounds of %d: %lu thefts, %lu asked for, %lu overflowed, %lu taken back, none "
	       "lost, none twice\n",
	       round, GS, stolen, asked_for, overflowed, taken_back);
	return 0;
}
