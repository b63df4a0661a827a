/* SPDX-License-Identifier: MIT */
/*
 * idle.c - what nobody owns: idle Ps, idle workers, and new worker threads; and locks.
 *
 * All of it is under sched.lock; functions that want it held say so.
 */
#include "schedule.h"

struct sched sched;
struct p *goro_ps[P_MAX];
struct m *goro_ms[M_MAX];
__thread bool goro_tls_blocking;

extern void **__cxa_get_globals(void) __attribute__((weak));

enum { LOCK_LOOKS = 20 };

#define LOOK_AGAIN_MIN (5 * GORO_MILLISECOND)
#define LOOK_AGAIN_MAX (10 * GORO_SECOND)

/* ---- idle Ps and Ms ---------------------------------------------------------------------------
 */

void goro_p_acquire(struct m *mp, struct p *pp)
{
	san_acquire(pp);
	mp->p = pp;
	atomic_store_explicit(&pp->m, mp, memory_order_release);
	atomic_store_explicit(&pp->status, P_RUNNING, memory_order_release);
}

void goro_idle_p_put(struct p *pp)
{
	san_release(pp);
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	if (unlikely(atomic_load_explicit(&sched.stopping, memory_order_relaxed))) {
		atomic_store_explicit(&pp->status, P_STOPPED, memory_order_release);
		sched.nstopped++;
		return;
	}
	atomic_store_explicit(&pp->status, P_IDLE, memory_order_release);
	pp->stranded = false;
	pp->link = sched.idle_p;
	sched.idle_p = pp;
	atomic_fetch_add(&sched.nidle_p, 1);
}

struct p *goro_idle_p_get(void)
{
	struct p *pp = sched.idle_p;

	if (!pp)
		return NULL;
	sched.idle_p = pp->link;
	atomic_fetch_sub(&sched.nidle_p, 1);
	if (atomic_load_explicit(&sched.sysmon_futex, memory_order_relaxed))
		goro_sysmon_wake();
	return pp;
}

void goro_idle_m_remove(struct m *mp)
{
	for (struct m **at = &sched.idle_m; *at; at = &(*at)->link) {
		if (*at == mp) {
			*at = mp->link;
			return;
		}
	}
}

/*
 * Nothing runs, nothing is about to, and no timer will change that: nobody can ever wake anybody.
 * Everything this looks at is only changed under sched.lock. But for one thing: a thread of the
 * program's own may call us yet, and then it can. When there is one we ask again, less and less
 * often, because it may end and say nothing.
 */
bool goro_check_deadlock(void)
{
	int64_t again = sched.look_again ? sched.look_again : LOOK_AGAIN_MIN;

	sched.look_again = 0;
	if (atomic_load(&sched.nidle_p) != (uint32_t)sched.nprocs || atomic_load(&sched.nlost) ||
	    atomic_load(&sched.noutside) || atomic_load(&sched.nblocking) ||
	    goro_netpoll_waiters() || atomic_load(&sched.runq_len) || atomic_load(&sched.dying))
		return false;
	for (int i = 0; i < sched.nprocs; i++)
		if (!runq_empty(goro_ps[i]))
			return false;
	if (goro_foreign_may_come()) {
		sched.look_again = 2 * again < LOOK_AGAIN_MAX ? 2 * again : LOOK_AGAIN_MAX;
		return true;
	}
	unlock_always(&sched.lock);
	goro_die_deadlock();
}

/* ---- worker threads -------------------------------------------------------------------------- */

void goro_m_init(struct m *mp)
{
	__atomic_store_n(&mp->tid, os_tid(), __ATOMIC_RELAXED);
	mp->errnop = goro_errno_location();
	mp->eh_globals = __cxa_get_globals ? __cxa_get_globals() : NULL;
	mp->sleep_until = INT64_MAX;
	atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
	goro_tls_m = mp;
	/* The C library turns them on only where every object claims to work with them. Ours do
	 * not: the switch would have to switch it, too. But it may have been told to do so all the
	 * same. */
	if (!os_shadow_stack_off())
		goro_throw(
			"this thread has a shadow stack that cannot be turned off, and goroutines "
			"do not run with one: is there glibc.cpu.x86_shstk=on in GLIBC_TUNABLES?");
	os_thread_signal_stack(mp, atomic_load_explicit(&mp->foreign, memory_order_relaxed));
}

static void m_main(void *arg)
{
	struct m *mp = arg;
	unsigned known;

	goro_m_init(mp);
	os_thread_signals(true);
	san_fiber_of_thread(&mp->g0.san);
	os_thread_stack(&mp->g0.stack_lo, &mp->g0.stack_hi);
	known = san_stack_new(mp->g0.stack_lo, mp->g0.stack_hi);
	mp->curg = &mp->g0;
	goro_p_acquire(mp, mp->next_p);
	mp->next_p = NULL;
	/* Without memory for that, what ends the thread under a goroutine is not reported. */
	os_thread_watch(mp);
	goro_schedule(mp);
	os_thread_watch(NULL);
	/* From here on it is nobody's, and whoever calls would be left behind when it is gone. */
	os_thread_signals(false);
	san_stack_end(known);
	os_thread_signal_stack_end(mp);
	goro_tls_m = NULL;
	lock_always(&sched.lock);
	goro_m_free(mp);
	unlock_always(&sched.lock);
}

int goro_m_start_thread(struct m *mp)
{
	return goro_thread_start(m_main, mp, false);
}

/* A record stays in the table for ever; who looks sees by its thread, 0, that it is free. */
struct m *goro_m_new(void)
{
	uint32_t n = goro_introspect.m_count;
	struct m *mp = sched.free_m;

	if (mp) {
		sched.free_m = mp->link;
		return mp;
	}
	mp = n < M_MAX ? os_reserve(sizeof(*mp)) : NULL;
	if (!mp)
		return NULL;
	mp->id = n;
	goro_ms[n] = mp;
	__atomic_store_n(&goro_introspect.m_count, n + 1, __ATOMIC_RELEASE);
	return mp;
}

void goro_m_free(struct m *mp)
{
	__atomic_store_n(&mp->tid, 0, __ATOMIC_RELAXED);
	mp->curg = NULL;
	mp->locked_g = NULL;
	mp->ending = false;
	mp->link = sched.free_m;
	sched.free_m = mp;
}

void goro_start_m(struct p *pp, bool spinning, struct g *next)
{
	bool stopping = atomic_load_explicit(&sched.stopping, memory_order_relaxed);
	struct m *mp = sched.idle_m;

	if (unlikely(stopping)) {
		mp = NULL;
	} else if (mp) {
		sched.idle_m = mp->link;
		if (sched.timekeeper == mp)
			sched.timekeeper = NULL;
		mp->next_p = pp;
		mp->next_g = next;
		mp->spinning = spinning;
		atomic_store_explicit(&mp->futex, 1, memory_order_release);
		unlock_always(&sched.lock);
		os_futex_wake(&mp->futex, 1);
		return;
	}
	if (likely(!stopping))
		mp = goro_m_new();
	if (mp) {
		int err;

		mp->next_p = pp;
		mp->next_g = next;
		mp->spinning = spinning;
		unlock_always(&sched.lock);
		err = goro_m_start_thread(mp);
		if (!err)
			return;
		/* Work goes on with fewer. */
		lock_always(&sched.lock);
		mp->next_p = NULL;
		mp->next_g = NULL;
		mp->spinning = false;
		goro_m_free(mp);
	}
	if (next)
		goro_global_put(next, next, 1);
	if (spinning)
		atomic_fetch_sub(&sched.nspinning, 1);
	goro_idle_p_put(pp);
	if (!stopping && (!spinning || atomic_load(&sched.runq_len))) {
		pp->stranded = true;
		atomic_store(&sched.stranded, true);
		goro_netpoll_rouse();
	}
	unlock_always(&sched.lock);
}

/*
 * There was no thread for a P that is needed, and no worker slept, but maybe in the kernel for
 * descriptors: that one was told. Or one was about to, and has looked for work before. It is that P
 * that must be given away, and not any: what is next in its queue is hard to steal. sysmon tries
 * until there is none.
 */
void goro_start_stranded(void)
{
	struct p **at = &sched.idle_p, *pp;

	lock_always(&sched.lock);
	while ((pp = *at) && !pp->stranded)
		at = &pp->link;
	if (!pp) {
		atomic_store(&sched.stranded, false);
		unlock_always(&sched.lock);
		return;
	}
	*at = pp->link;
	atomic_fetch_sub(&sched.nidle_p, 1);
	goro_start_m(pp, false, NULL);
}

void goro_wake_worker_slow(void)
{
	uint32_t none = 0;
	struct p *pp;

	if (!atomic_compare_exchange_strong(&sched.nspinning, &none, 1))
		return;
	lock_always(&sched.lock);
	pp = goro_idle_p_get();
	if (!pp) {
		unlock_always(&sched.lock);
		atomic_fetch_sub(&sched.nspinning, 1);
		return;
	}
	goro_start_m(pp, true, NULL);
}

/* ---- locks ------------------------------------------------------------------------------------
 *
 * Waiters look rarely on purpose: the holder then mostly takes the lock several times in a row, out
 * of its own cache. Looking every 20 ns instead made two cores on one channel half as fast.
 */

enum { HELD = 1 };

/* Returns what it was; not HELD: now it is, by us. */
static uint32_t lock_look(uint32_t *l, uint32_t spins)
{
	for (uint32_t k = 0; k < spins; k++)
		cpu_relax();
	if (__atomic_load_n(l, __ATOMIC_RELAXED) == HELD)
		return HELD;
	return __atomic_exchange_n(l, HELD, __ATOMIC_ACQUIRE);
}

static uint32_t lock_spin(uint32_t *l)
{
	uint32_t was = HELD;

	for (uint32_t i = 0; i < LOCK_LOOKS && was == HELD; i++)
		was = lock_look(l, i < 6 ? 1u << i : 64);
	return was;
}

/* The holder may have lost its core: let it run. */
static uint32_t lock_wait(uint32_t *l)
{
	uint32_t was;

	for (uint32_t i = 0; (was = lock_look(l, 64)) == HELD; i++) {
		if (i < LOCK_LOOKS)
			os_sched_yield();
		else
			os_sleep(50 * GORO_MICROSECOND);
	}
	return was;
}

void goro_lock_slow(uint32_t *l)
{
	if (lock_spin(l) == HELD)
		lock_wait(l);
}

/* Waiting for a holder that has lost its core says nothing about sharing: it does not count. */
uint32_t goro_lock_object_slow(uint32_t *l)
{
	struct p *pp = getm()->p;
	uint64_t begin = cpu_ticks();
	uint32_t was = lock_spin(l);

	/* Relaxed, and only the owner writes: sysmon wants a rate, no order. */
	atomic_store_explicit(&pp->lock_ticks,
			      atomic_load_explicit(&pp->lock_ticks, memory_order_relaxed) +
				      (cpu_ticks() - begin),
			      memory_order_relaxed);
	return was == HELD ? lock_wait(l) : was;
}
