/* SPDX-License-Identifier: MIT */
/*
 * goro_park() against goro_ready(): a goroutine goes to sleep while another, on another worker, is
 * about to wake it. It wakes once for each time it is woken, and never before it sleeps. The lock
 * is the only thing they share, as in every object that goroutines wait for.
 */
#include "runtime.h"
#include "stress.h"

enum { PAIRS = 4 };

struct event {
	uint32_t lock;
	struct g *sleeper;
	unsigned long given, used; /* under the lock */
	bool over;		   /* nothing will be given any more; under the lock */
	atomic_ulong parks, early;
	unsigned long seen; /* plain: whoever is woken sees what was written before */
};

static struct event events[PAIRS];
static atomic_bool stop;
static goro_waitgroup wg;

/* Take what there is, or sleep until there is some. False: it is over. */
static bool use(struct event *e)
{
	struct m *mp = enter();
	bool more = true;

	lock(&e->lock);
	if (e->used == e->given && !e->over) {
		must(!e->sleeper);
		e->sleeper = mp->curg;
		mp = goro_park(mp, GORO_REASON_COND, e, &e->lock);
		atomic_fetch_add_explicit(&e->parks, 1, memory_order_relaxed);
		lock(&e->lock);
		must(!e->sleeper && (e->used < e->given || e->over)); /* not for nothing */
	} else {
		atomic_fetch_add_explicit(&e->early, 1, memory_order_relaxed);
	}
	if (e->used < e->given) {
		e->used++;
		must(e->seen >= e->used);
	} else {
		more = false;
	}
	unlock(&e->lock);
	leave(mp);
	return more;
}

static void give(struct event *e, unsigned long n, bool over)
{
	struct m *mp = enter();
	struct g *gp;

	lock(&e->lock);
	e->given += n;
	e->seen = e->given;
	e->over = over;
	gp = e->sleeper;
	e->sleeper = NULL;
	/* The lock is released by who runs after it, when its registers are saved. */
	must(!gp || GORO_STATUS_STATE(g_status(gp)) == GORO_STATE_WAITING);
	unlock(&e->lock);
	if (gp)
		goro_ready(mp, gp);
	leave(mp);
}

static void user(void *arg)
{
	struct event *e = arg;
	uint64_t random = stress_seed((uintptr_t)arg);

	while (use(e))
		for (volatile uint64_t i = stress_random(&random) % 64; i; i--)
			;
	goro_waitgroup_done(&wg);
}

static void giver(void *arg)
{
	struct event *e = arg;
	uint64_t random = stress_seed((uintptr_t)arg + 1);

	while (!stop) {
		give(e, 1, false);
		for (volatile uint64_t i = stress_random(&random) % 128; i; i--)
			;
		if (stress_random(&random) % 16 == 0)
			goro_yield();
	}
	give(e, 0, true);
	goro_waitgroup_done(&wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	unsigned long parks = 0, early = 0;

	goro_waitgroup_add(&wg, 2 * PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		go(user, &events[i]);
		go(giver, &events[i]);
	}
	while (goro_now() < end)
		goro_sleep(10 * GORO_MILLISECOND);
	stop = true;
	goro_waitgroup_wait(&wg);
	for (int i = 0; i < PAIRS; i++) {
		must(events[i].used == events[i].given && !events[i].sleeper);
		parks += events[i].parks;
		early += events[i].early;
	}
	printf("%lu parks, %lu times it was there already: every wake-up counted\n", parks, early);
	must(parks);
	return 0;
}
