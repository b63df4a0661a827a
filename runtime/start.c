/* SPDX-License-Identifier: MIT */
/*
 * start.c - the runtime's start, when its library is loaded: before main(), without a thread.
 */
#include <stdlib.h>

#include "lockorder.h"
#include "pthreads.h"
#include "report.h"
#include "schedule.h"

static struct m m0;
static struct g *main_g;

bool goro_is_main(const struct g *gp)
{
	return gp == main_g;
}

static long env_number(const char *name, long min, long max, long otherwise)
{
	const char *s = getenv(name);
	char *end;
	long v;

	if (!s || !*s)
		return otherwise;
	v = strtol(s, &end, 10);
	v = v > max ? max + 1 : v; /* what follows does not overflow */
	if (end != s && (*end == 'k' || *end == 'K'))
		v *= 1024, end++;
	else if (end != s && (*end == 'm' || *end == 'M'))
		v *= 1024 * 1024, end++;
	if (end == s || *end || v < min || v > max)
		goro_throw("%s=%s: not a number from %ld to %ld", name, s, min, max);
	return v;
}

struct p *goro_p_new(uint32_t id)
{
	struct p *pp = os_reserve(sizeof(*pp));

	if (!pp)
		return NULL;
	pp->id = id;
	pp->random = (cpu_ticks() ^ (id + 1) * 0x9e3779b97f4a7c15u) | 1;
	atomic_init(&pp->timer_when, INT64_MAX);
	atomic_init(&pp->spread, 1);
	atomic_init(&pp->inside, NULL);
	atomic_init(&pp->status, P_STOPPED);
	goro_measure_init(pp);
	goro_ps[id] = pp;
	return pp;
}

/*
 * Nothing but main has run: no thread of ours that the child would lack, and no epoll instance that
 * it would share with its parent. Daemons fork then, and servers with a process for each core.
 */
static bool is_alone(void)
{
	return goro_tls_m == &m0 && m0.curg == main_g && goro_introspect.m_count == 1 &&
	       !goro_introspect.netpoll && goro_sysmon_unknown();
}

static void in_fork_child(void)
{
	if (is_alone()) {
		__atomic_store_n(&m0.tid, os_tid(), __ATOMIC_RELAXED);
		os_membarrier_init();
		return;
	}
	sched.forked = true;
	goro_introspect.reclaim_socket[0] = '\0';
	goro_tls_m = NULL;
}

/* The thread that starts the runtime becomes the main goroutine, on the stack that it has. */
static void goro_start_runtime(void)
{
	bool memory;
	int n;

	os_membarrier_init();
	goro_introspect_init();
	goro_report_init();
	goro_pthread_init();
	n = (int)env_number("GORO_MAXPROCS", 1, P_MAX, os_cores());
	n = n > (int)P_MAX ? (int)P_MAX : n;
	goro_stack_init((size_t)env_number("GORO_STACK", 32 * 1024, 64 * 1024 * 1024, 0));
	sched.nprocs = n;
	sched.solo = n == 1;
	sched.watched = san_is_watched();
	sched.own_next = sched.solo || sched.have_membarrier;
	m0.g0.stack_lo = goro_worker_stack();
	memory = m0.g0.stack_lo;
	for (int i = 0; i < n && memory; i++)
		memory = goro_p_new((uint32_t)i);
	if (!memory)
		goro_throw("out of memory at start");
	goro_introspect.p_count = (uint32_t)n;

	goro_region_add(&m0, sizeof(m0), GORO_REGION_OPAQUE);
	goro_trim_init();
	goro_ms[0] = &m0;
	goro_introspect.m_count = 1;
	goro_m_init(&m0);
	m0.g0.stack_hi = m0.g0.stack_lo + WORKER_STACK;
	goro_g_prepare_stack(&m0.g0, m0.g0.stack_hi, goro_g0_main);
	san_fiber_create(&m0.g0.san);
	atomic_store(&sched.nidle_p, 0);
	for (int i = n - 1; i > 0; i--)
		goro_idle_p_put(goro_ps[i]);
	goro_p_acquire(&m0, goro_ps[0]);

	atomic_store(&sched.next_id, 1);
	lock_always(&sched.lock);
	goro_g_chunk_add();
	unlock_always(&sched.lock);
	main_g = g_alloc(m0.p);
	os_main_stack(&main_g->stack_lo, &main_g->stack_hi);
	main_g->sp = main_g->stack_hi;
	san_fiber_of_thread(&main_g->san);
	atomic_store(&main_g->flags, GORO_FLAG_MAIN);
	atomic_store(&main_g->since, coarse_now() | GORO_STATE_RUNNING);
	m0.curg = main_g;
	goro_thread_ends_init();
	os_thread_watch(&m0);
	goro_signals_init();
	os_write_to_modules();
	os_at_fork(in_fork_child);
	goro_cold_init(getenv("GORO_COLD"));
	goro_gate_init();
	goro_order_init();
	goro_pthread_start();
	goro_reclaim_init();
	atomic_store_explicit(&m0.in_runtime, 0, memory_order_release);
}

__attribute__((constructor(200))) static void goro_start_at_load(void)
{
	if (!goro_ms[0])
		goro_start_runtime();
}

/* No m: the library's constructor has not run yet, or the thread is not one of ours. */
struct m *goro_enter_slow(void)
{
	int saved_errno = errno;
	struct m *mp;

	if (sched.forked)
		goro_throw("goroutines do not exist in a fork()ed child; "
			   "use posix_spawn(), exec at once, or fork before the first of them");
	if (!goro_ms[0])
		goro_start_runtime();
	if (goro_tls_blocking)
		goro_throw("called from inside goro_blocking(), which is no goroutine's place");
	mp = getm() ? getm() : goro_foreign_attach();
	errno = saved_errno;
	return mp;
}

/* Seen when nothing else can run, or at every P_TURN-th switch: it costs nothing there. */
void goro_wait_in_a_handler(void)
{
	goro_throw("a signal handler waits on the signal stack, which the next signal writes over; "
		   "let the handler write to a pipe, or use signalfd(), and have a goroutine read "
		   "it");
}

/* We interrupted ourselves in the midst of anything. */
void goro_enter_twice(void)
{
	goro_throw("called from a signal handler that came in the midst of another call; let the "
		   "handler write to a pipe, or use signalfd(), and have a goroutine read it");
}
