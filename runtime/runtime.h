/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - the private structures of the scheduler.
 *
 * Words, which are Go's:
 *   G  a goroutine: struct g. Lives in a table that is never freed, so anybody may look at it.
 *   M  a worker thread: struct m.
 *   P  the right to run goroutines, and all that needs no lock because one M at a time owns it:
 *      run queue, free lists, timers, counters: struct p. There are GOMAXPROCS of them.
 *
 * An M runs Gs while it owns a P. Runtime code runs between enter() and leave(), on the stack of
 * the goroutine that called, and may rely on owning its P for all of that time. Outside (in the
 * program's own code) sysmon may take the P away: see sysmon.c. So a goroutine that computes or
 * sleeps in libc holds back nobody, without a signal and without an atomic operation in enter().
 *
 * If there is one P only ("solo"), runtime code is never concurrent: whoever runs it owns that P.
 * Locks are then not taken and queues need no atomic read-modify-write. This is most of what makes
 * one worker fast.
 */
#ifndef GORO_RUNTIME_H
#define GORO_RUNTIME_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "goro.h"
#include "goro_introspect.h"
#include "sanitizer.h"
#include GORO_ARCH_HEADER

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier()   atomic_signal_fence(memory_order_seq_cst)
#define noinline    __attribute__((noinline))

#define CACHE_LINE   64
#define G_NRLOCKS    2
#define G_INLINE_ARG 32
#define G_CHUNK_LEN  1024u
#define G_CHUNKS_MAX 16384u
#define M_MAX	     4096u
#define P_MAX	     256u
#define RUNQ_LEN     256u
#define P_NBUCKETS   40u /* the last one begins at 4.5 minutes */
#define P_TURN	     61u /* picks between two looks at the global queue */
#define TOMB_MAX     256u

/* ---- G ----------------------------------------------------------------------------------------
 */

/*
 * The first cache line is all that a park and a resume touch. What observers read is marked [o];
 * its offsets travel in the contract, so that fields may be moved.
 */
struct g {
	uint64_t id; /* [o] */
	union {
		_Atomic uint32_t status; /* [o] */
		struct {
			_Atomic uint16_t state, flags; /* its halves: one changes at each park */
		};
	};
	uint32_t park_seq; /* [o] */
	uintptr_t sp;	   /* [o] of the switch_frame, while it does not run; 0: never ran */
	void *wait_object; /* [o] */
	struct goro_waiter *waiting; /* [o] */
	uint64_t park_time;	     /* [o] */
	struct g *link;	     /* in the global queue, a free list, or a batch to be made ready */
	uint32_t m_id;	     /* [o] */
	uint32_t held_locks; /* [o] */

	uintptr_t stack_lo, stack_hi; /* [o] */
	uintptr_t spawn_pc, entry;    /* [o] */
	uint64_t parent;	      /* [o] */
	void *arg;
	uint32_t rlocks_more; /* [o] */
	uint16_t stack_peak;  /* [o] */
	uint16_t trim_seen;   /* trim.c's */
	struct g_ext *ext;    /* [o] what few goroutines have, or NULL; see local.c */

	goro_rwmutex *rlocks[G_NRLOCKS] __attribute__((aligned(CACHE_LINE))); /* [o] */
	struct goro_deferred *deferred; /* what defer.c must run, last one first */
	struct panicking *panicking;	/* the panic that runs them, or NULL */
	union {
		unsigned char inline_arg[G_INLINE_ARG] __attribute__((aligned(16)));
		struct {
			struct g *next;
			uint32_t n;
		} chain; /* the head of a chain of free ones: see g.c */
	};
	struct san_fiber san; /* empty but in sanitizer builds */
} __attribute__((aligned(CACHE_LINE)));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "else g.state is the other half");
_Static_assert(sizeof(struct san_fiber) || sizeof(struct g) == 3 * CACHE_LINE,
	       "three cache lines a goroutine: a million of them are 192 MB");

/* Goroutines through g.link. */
struct g_chain {
	struct g *first, *last;
	uint32_t n;
};

/*
 * What few goroutines have. The name comes first, so that its address is that of the record: the
 * contract's g.name.
 */
struct g_ext {
	char name[GORO_NAME_MAX];     /* [o] */
	char labels[GORO_LABELS_MAX]; /* [o] lines of key=value */
	struct local *locals;
	struct order_locks *locks; /* with GORO_LOCKORDER: what it holds; see lockorder.c */
	struct held *held;	   /* with GORO_DEBUG=pthread: see pthreads.c */
	int round;		   /* of destroying them */
	struct g_ext *link;	   /* in the free list */
	uint32_t stack_class;	   /* see stack.c; 0: the default */
	uint32_t nlocks; /* goro_lock_os_thread() calls that are not undone; see locked.c */
	struct m *m;	 /* what it is locked to; NULL: not locked, or pinned and still new */
};

/* ---- waiting ----------------------------------------------------------------------------------
 */

/*
 * One blocked operation. It lives on the stack of the goroutine that waits (C stacks do not move),
 * so blocking allocates nothing. It is in the object's queue, under the object's lock.
 */
struct goro_waiter {
	struct g *g;
	struct goro_waiter *next, *prev;
	void *object;
	struct goro_waiter *next_of_g; /* the other cases of a select */
	void *elem;		       /* channels: where the value comes from or goes to */
	struct selection *selection;   /* NULL: not a select */
	uint32_t kind;		       /* enum goro_reason */
	bool ok; /* set by who wakes it: value passed (not closed), lock handed over */
};

/* What the cases of one select share: the first to claim it wins. */
struct selection {
	_Atomic uint32_t claimed;
	struct goro_waiter *fired;
	void *more; /* memory that the select has, or NULL */
};

struct waitq {
	struct goro_waiter *first, *last;
};

/* ---- P ----------------------------------------------------------------------------------------
 */

/* An entry of the heap of timers; see time.c. */
struct due {
	int64_t when;
	uintptr_t what; /* a struct timer, or a goroutine that sleeps, with the lowest bit set */
};

enum p_status { P_IDLE = 0, P_RUNNING = 1, P_STOPPED = 2 };

/* See stack.h. */
struct stack_chain {
	uintptr_t top; /* free stacks of one size, through their top words */
	uint32_t n;
};

struct stack_run {
	uintptr_t base;
	uint64_t slots; /* a bit for each that is ours to take */
	bool guarded;
};

struct p {
	/* The owner's, written all the time. */
	_Atomic uint32_t runq_head; /* also moved by thieves */
	_Atomic uint32_t runq_tail;
	_Atomic(struct g *) runnext;
	_Atomic uint64_t nswitch;
	uint32_t nrunnext;	/* times in a row that runnext was taken before the ring */
	_Atomic uint32_t eager; /* readies left that wake another worker at once; see ready() */
	_Atomic uint32_t
		spread; /* its goroutines run long enough to be worth moving; see sysmon.c */
	_Atomic uint32_t entangled; /* they share too much to be moved apart; the same */
	_Atomic uint32_t attention; /* go through the scheduler: timers are due, or similar */
	uint32_t until_turn;	    /* picks until goro_turn(); see measure.c */
	uint32_t until_ready;	    /* readies until goro_mark_ready() */
	uint32_t id;
	_Atomic uint32_t status;
	_Atomic(struct m *) m;
	struct p *link; /* in the idle list */

	uint64_t nspawn, nexit, nready, nsteal, nretake; /* only the owner writes */

	_Atomic uint64_t lock_ticks; /* cpu_ticks() that went by in waiting for locks of objects */

	/* What measure.c keeps. */
	int64_t slice_begin;		  /* of the run slice that is measured, or 0 */
	uint64_t turn_clock, ready_clock; /* coarse, of the last ones measured */
	uint64_t slices[P_NBUCKETS];	  /* [o] */
	uint64_t latencies[P_NBUCKETS];	  /* [o] */

	struct g *gfree, *gspare; /* chains of free records; see g.c */
	uint32_t ngfree, ngspare;
	uint64_t next_id, last_id; /* a batch of goroutine ids */
	struct stack_chain stacks; /* of the default size */
	struct stack_run stack_run;
	uint64_t random;

	uint32_t timer_lock;
	struct due *timers; /* 4-ary heap by when */
	uint32_t ntimers, timers_cap;
	_Atomic int64_t timer_when; /* timers[0].when, or INT64_MAX */

	/* sysmon's notes */
	uint64_t seen_nswitch;
	uint64_t tick_nswitch; /* at the last tick */
	int64_t tick_time;
	uint64_t tick_clock, tick_lock_ticks;
	int64_t entangled_until, entangled_for;
	uint32_t tick_head;
	int64_t seen_time;
	struct g *seen_runnext;
	uint64_t seen_runnext_switch;

	_Atomic(struct g *) runq[RUNQ_LEN] __attribute__((aligned(CACHE_LINE)));
} __attribute__((aligned(2 * CACHE_LINE)));

/* ---- M ----------------------------------------------------------------------------------------
 */

/* What must be done for the goroutine that we left, once its registers are saved. */
enum post {
	POST_NONE,
	POST_PARK,
	POST_PARK_LOCKS,
	POST_YIELD,
	POST_DEAD,
	POST_PARK_WORD,
	POST_LOST,
	POST_BLOCKING
};

struct m {
	_Atomic uint32_t in_runtime; /* between enter() and leave() */
	_Atomic uint32_t lost_p;     /* LOST_*: sysmon's half of the hand-shake */
	struct p *p;
	struct g *curg;
	enum post post;
	enum goro_reason post_reason;
	struct g *post_g;
	uint32_t *post_lock;
	uint32_t **post_order;
	int post_norder;
	_Atomic uintptr_t *post_word;
	int *errnop;	   /* this thread's errno */
	void **eh_globals; /* this thread's __cxa_eh_globals, or NULL */

	uint32_t id;
	uint32_t tid;
	bool spinning;
	struct p *next_p;	/* P handed over by who wakes us */
	struct g *next_g;	/* resume this one first */
	struct m *link;		/* in the idle list, or in that of the free records */
	_Atomic uint32_t futex; /* 1: wake up */
	int64_t sleep_until;	/* INT64_MAX, or we are the time keeper */
	struct g g0;		/* the thread's own stack: runs the scheduler */
	void *signal_stack;
	stack_t signal_stack_before; /* what the thread had when it came to us */
	struct g *locked_g;	     /* runs no other; see locked.c */
	bool stopped; /* sched.lock: waits for a P, for locked_g; whoever has one wakes it */
	bool ending;  /* locked_g has ended, and the thread with it */
	_Atomic bool foreign; /* the thread is the program's; see foreign.c */
	void *own_stack;      /* g0's then, kept with the record */
	bool signal_stack_set;
} __attribute__((aligned(2 * CACHE_LINE)));

/* What lies above a goroutine's outermost frame, for observers: the contract's entry_owner. */
struct stack_owner {
	uint64_t no_return; /* a zero where the return address would be */
	uint64_t record, id, spawn_pc;
};

enum { LOST_NO = 0, LOST_ASKED = 1, LOST_YES = 2 };

/* ---- the scheduler -----------------------------------------------------------------------------
 */

struct tomb {
	uint64_t id;
	uint64_t spawn_pc, entry, parent, time;
	uint32_t locks;
	goro_rwmutex *rlocks[G_NRLOCKS];
};

struct sched {
	bool solo; /* one P: see the head of this file. Changes while the world is stopped. */
	uint32_t lockorder;	   /* 0 or ORDER_ON: see lockorder.h */
	bool pthreads;		   /* GORO_DEBUG=pthread: see pthreads.c */
	_Atomic int nprocs;	   /* the same */
	_Atomic bool stopping;	   /* sched.lock: see world.c */
	uint32_t nstopped;	   /* Ps that world.c has */
	uint32_t retake_lock;	   /* comes before sched.lock; one asks for Ps at a time */
	uint32_t lock;		   /* everything below, unless atomic */
	_Atomic uint64_t runq_len; /* of the global queue: see globalq.c */
	struct p *idle_p;
	_Atomic uint32_t nidle_p;
	struct m *idle_m;
	struct m *free_m; /* records whose threads have ended */
	_Atomic uint32_t nspinning;
	_Atomic uint32_t nlost;	   /* Ms whose goroutine runs without a P */
	_Atomic uint32_t noutside; /* foreign threads in their own code, without a P */
	uint32_t sysmon_tid, reclaim_tid;
	int64_t look_again; /* how long to wait before asking for foreign threads once more */
	_Atomic uint32_t nblocking; /* Ms in a goro_blocking() call */
	_Atomic(struct m *) poller; /* the M that sleeps in netpoll; it is not in idle_m */
	struct m *timekeeper;	    /* the idle M that sleeps until the next timer */
	struct g *gfree;	    /* chains of free records */
	_Atomic uint64_t next_id;
	_Atomic bool sysmon_started;
	_Atomic uint32_t sysmon_futex; /* 1: sysmon sleeps because nothing runs */
	_Atomic uint32_t dying;	       /* who writes a fatal report: its tid */
	_Atomic uint32_t quit_asked;   /* SIGQUIT arrived */
	bool main_exited;
	bool forked; /* we are the child of a fork: there is nothing to run goroutines */
	bool have_membarrier;
};

extern struct sched sched;
extern struct p *goro_ps[P_MAX];
extern struct m *goro_ms[M_MAX];
extern uint64_t g_chunks[G_CHUNKS_MAX];
extern struct tomb goro_tombs[TOMB_MAX];
extern __thread struct m *goro_tls_m
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
extern __thread bool goro_tls_blocking; /* this thread is in goro_blocking() */
extern struct goro_introspect goro_introspect;
/* The same under a name that nobody outside can take: no detour through a table of addresses. */
extern struct goro_introspect goro_contract __attribute__((visibility("hidden")));

/* The coarse clock: read by everybody, advanced by sysmon and by workers that wake up. */
static inline uint64_t coarse_now(void)
{
	return __atomic_load_n(&goro_contract.clock, __ATOMIC_RELAXED);
}

/* ---- entering and leaving the runtime ----------------------------------------------------------
 */

struct m *goro_enter_slow(void);
void goro_enter_twice(void) __attribute__((noreturn, cold));
struct m *goro_regain_p(struct m *mp);

/*
 * Begin runtime code. The store of in_runtime and the load of lost_p are the fast half of Dekker's
 * algorithm; the fence between them is in sysmon's half, which calls membarrier(2). So here only
 * the compiler must keep the order.
 */
static inline struct m *enter(void)
{
	struct m *mp = getm();

	if (unlikely(!mp))
		mp = goro_enter_slow();
	if (unlikely(atomic_load_explicit(&mp->in_runtime, memory_order_relaxed)))
		goro_enter_twice();
	atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
	barrier();
	if (unlikely(atomic_load_explicit(&mp->lost_p, memory_order_relaxed)))
		mp = goro_regain_p(mp);
	return mp;
}

/* End it. Release: what we did with the P comes before sysmon may take it. */
static inline void leave(struct m *mp)
{
	atomic_store_explicit(&mp->in_runtime, 0, memory_order_release);
}

/* ---- spin locks --------------------------------------------------------------------------------
 */

void goro_lock_slow(uint32_t *l);
void goro_lock_object_slow(uint32_t *l);

/*
 * A lock of the runtime: held for a few instructions, never over anything that blocks (but over a
 * switch: the goroutine we switch to releases it). Unlocking is a plain store; who waits long
 * polls. Objects that only P owners touch need it only when there is more than one P.
 */
static inline void lock_always(uint32_t *l)
{
	if (unlikely(__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE)))
		goro_lock_slow(l);
}

static inline void unlock_always(uint32_t *l)
{
	__atomic_store_n(l, 0, __ATOMIC_RELEASE);
}

/* What only the owner of a P does: the P keeps account of the time that it waits. */
static inline void lock_object(uint32_t *l)
{
	if (unlikely(__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE)))
		goro_lock_object_slow(l);
}

static inline void lock(uint32_t *l)
{
	if (!sched.solo)
		lock_object(l);
}

static inline void unlock(uint32_t *l)
{
	if (!sched.solo)
		unlock_always(l);
}

/* ---- wait queues --------------------------------------------------------------------------------
 */

/*
 * Under the object's lock; only `first` is also looked at without it (by select, as a hint, and
 * from outside), so it is written with one relaxed store.
 */
static inline void waitq_set_first(struct goro_waiter **first, struct goro_waiter *w)
{
	__atomic_store_n(first, w, __ATOMIC_RELAXED);
}

static inline void waitq_push(struct goro_waiter **first, struct goro_waiter **last,
			      struct goro_waiter *w)
{
	w->next = NULL;
	w->prev = *last;
	if (*last)
		(*last)->next = w;
	else
		waitq_set_first(first, w);
	*last = w;
}

static inline void waitq_push_front(struct goro_waiter **first, struct goro_waiter **last,
				    struct goro_waiter *w)
{
	w->prev = NULL;
	w->next = *first;
	if (*first)
		(*first)->prev = w;
	else
		*last = w;
	waitq_set_first(first, w);
}

static inline void waitq_remove(struct goro_waiter **first, struct goro_waiter **last,
				struct goro_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		waitq_set_first(first, w->next);
	if (w->next)
		w->next->prev = w->prev;
	else
		*last = w->prev;
	w->next = w->prev = NULL;
}

static inline struct goro_waiter *waitq_pop(struct goro_waiter **first, struct goro_waiter **last)
{
	struct goro_waiter *w = *first;

	if (w)
		waitq_remove(first, last, w);
	return w;
}

/* ---- proc.c ------------------------------------------------------------------------------------
 */

/*
 * Wait until somebody calls ready() on the current goroutine. `l` (or NULL) is held by the caller
 * and released once the goroutine may be resumed, so that nobody can do so too early. Returns the
 * m that we are on afterwards, which may be another.
 */
struct m *goro_park(struct m *mp, enum goro_reason reason, void *object, uint32_t *l);
/* The same with several locks: those of a select. */
struct m *goro_park_locks(struct m *mp, enum goro_reason reason, void *object, uint32_t **order,
			  int norder);
/* The same without a lock: *word says who waits, see netpoll.c. */
struct m *goro_park_word(struct m *mp, enum goro_reason reason, void *object,
			 _Atomic uintptr_t *word);
void goro_park_forever(enum goro_reason reason) __attribute__((noreturn));

/* Make a parked goroutine runnable, next on this P. */
void goro_ready(struct m *mp, struct g *gp);
/* The same for a chain of them (through g.link), behind what waits already. */
void goro_ready_batch(struct m *mp, struct g *first, uint32_t n);

/* A go statement of the runtime's own, between enter() and leave(); at the tail of the queue. */
void goro_spawn(struct m *mp, goro_fn *fn, void *arg, uintptr_t pc, uint64_t parent);

void goro_wake_worker_slow(void);
bool goro_is_main(const struct g *gp);
void goro_end_foreign(struct m *mp); /* its goroutine */
size_t goro_count_now(void);
struct g *goro_g_by_index(uint64_t i);
uint64_t goro_g_count(void);
/* To the end of the global queue, sched.lock held: a chain, or all of an array. */
void goro_global_put(struct g *first, struct g *last, uint32_t n);
void goro_global_put_all(struct g *const *gs, uint32_t n);

/* There is work that another worker could take: wake one, unless one is looking already. */
static inline void goro_wake_worker(void)
{
	if (atomic_load_explicit(&sched.nidle_p, memory_order_relaxed) &&
	    !atomic_load_explicit(&sched.nspinning, memory_order_relaxed))
		goro_wake_worker_slow();
}

static inline uint64_t p_random(struct p *pp)
{
	pp->random ^= pp->random << 13;
	pp->random ^= pp->random >> 7;
	pp->random ^= pp->random << 17;
	return pp->random;
}

/* runq_prefetch() looks at it from other threads. */
static inline void g_set_sp(struct g *gp, uintptr_t sp)
{
	__atomic_store_n(&gp->sp, sp, __ATOMIC_RELAXED);
}

#define G_LOCKED (GORO_FLAG_LOCKED << 16)

static inline bool g_is_foreign(const struct g *gp)
{
	return atomic_load_explicit(&gp->flags, memory_order_relaxed) & GORO_FLAG_FOREIGN;
}

static inline bool g_is_locked(const struct g *gp)
{
	return atomic_load_explicit(&gp->flags, memory_order_relaxed) & GORO_FLAG_LOCKED;
}

/* ---- measure.c ---------------------------------------------------------------------------------
 */

void goro_measure_init(struct p *pp);
/* pick(), every P_TURN times: NULL if it is the turn of the global queue. */
struct g *goro_turn(struct p *pp);
/* gp was just made runnable and is in no queue yet. */
void goro_mark_ready(struct p *pp, struct g *gp);
/* gp, which may be marked, is about to run; returns it. */
struct g *goro_measure_latency(struct p *pp, struct g *gp);
/* The slice that is measured ends although nobody picked: its P is taken away. */
void goro_end_slice(struct p *pp);

#include GORO_RECORD_HEADER

/* True: it is locked to its thread, and goes to no queue. */
static inline bool g_set_runnable(struct g *gp)
{
	g_set_state(gp, GORO_STATE_RUNNABLE, 0);
	return unlikely(g_is_locked(gp));
}

/* ---- stack.c -----------------------------------------------------------------------------------
 */

void goro_stack_init(size_t size);
void goro_stack_alloc(struct p *pp, struct g *gp);
void goro_stack_free(struct p *pp, struct g *gp);
bool goro_stack_guard_hit(const struct g *gp, uintptr_t addr);
void goro_stack_flush(struct p *pp, uint32_t keep);
bool goro_stack_is_ours(uintptr_t hi);
size_t goro_stack_size(void);
uint32_t goro_stack_class(size_t size); /* of the smallest stack with so much room */

/* ---- local.c -----------------------------------------------------------------------------------
 */

struct g_ext *goro_ext_of(struct g *gp); /* makes it; gp is the caller's own, or still new */
void goro_ext_options(struct g *gp, const char *name, uint32_t stack_class);
void goro_ext_inherit(const struct g *parent, struct g *gp);
void goro_ext_free(struct g *gp);
/* Run the destructors of its values: the program's code, so outside the runtime. */
void goro_locals_destroy(struct g *gp);

/* ---- locked.c ----------------------------------------------------------------------------------
 */

/* It is runnable (or new): see that its own thread runs it. */
void goro_ready_locked(struct g *gp);
/* Make all of them runnable; returns those that any thread may run, which are not queued yet. */
struct g_chain goro_ready_chain(struct g *first);

/* ---- time.c ------------------------------------------------------------------------------------
 */

/* Fire what is due on pp; now: goro_now(). Returns when the next is due, or INT64_MAX. */
int64_t goro_timers_run(struct m *mp, struct p *pp, int64_t now);
int64_t goro_timers_next(void);
void goro_timers_move(struct p *from, struct p *to); /* the world stands still */
int64_t goro_clock_advance(void);		     /* returns goro_now() */

/* ---- netpoll.c ---------------------------------------------------------------------------------
 */

bool goro_netpoll_waiters(void);
/* Wait for events, < 0: for ever, 0: not at all. Needs no P. Who is in the chain is not parked any
 * more and must be made runnable: by one of the two that follow. */
struct g_chain goro_netpoll(int64_t timeout_ns);
struct g *goro_netpoll_take(struct m *mp, struct g_chain list); /* with a P: the first, to run */
void goro_netpoll_inject(struct g_chain list);			/* without */
void goro_netpoll_backstop(uint64_t now);
/* The second half of goro_park_word(), registers saved. False: there are news, gp goes on. */
bool goro_netpoll_commit(_Atomic uintptr_t *word, struct g *gp);

/* ---- sysmon.c ----------------------------------------------------------------------------------
 */

void goro_sysmon_start(void);
void goro_sysmon_wake(void);

/* ---- scavenge.c --------------------------------------------------------------------------------
 */

int64_t goro_scavenge(int64_t now);

/* ---- trim.c ------------------------------------------------------------------------------------
 */

enum {
	TRIM_BATCH = 16,   /* goroutines at once */
	TRIM_MARGIN = 512, /* below a stack pointer; the red zone is 128 bytes */
};

extern _Atomic uint32_t goro_trimming;
void goro_trim_init(void);
void goro_trim_wait(const struct g *gp);
bool goro_trim_begin(int64_t now);
bool goro_trim_step(void);
/* It was parked as `seq` says; `cold`: take its stack away, too. Maybe when the batch is full. */
void goro_trim_candidate(struct g *gp, uint32_t seq, bool cold);
void goro_trim_flush(void);

/* ---- cold.c ------------------------------------------------------------------------------------
 */

void goro_cold_init(const char *setting); /* GORO_COLD, or NULL */
void goro_cold_start(void);		  /* with sysmon */
int64_t goro_cold_tick(int64_t now);
uint32_t goro_cold_tid(void); /* 0: there is no such thread */
void goro_cold_take(struct g *gp);
void goro_cold_taken(void);
void goro_cold_first_page(uintptr_t hi);

/* ---- panic.c, crash.c, report.c, traceback.c ---------------------------------------------------
 */

/* A panic, or a goro_exit(), on its way through deferred functions; on the stack of who began it.
 */
struct panicking {
	struct panicking *link; /* the one during which this one began */
	bool recovered;
	bool exiting;	   /* a goro_exit(): nothing to recover from */
	uint32_t ordinary; /* deferred functions above it that run because a block ended */
	char message[512];
};

void goro_deferred_run_all(struct g *gp);
GORO_NORETURN void goro_die_panic(const struct panicking *p);
GORO_NORETURN void goro_throw(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* NULL: SIGQUIT came to somebody else. */
void goro_die_quit(void *ucontext) __attribute__((noreturn));
void goro_die_deadlock(void) __attribute__((noreturn));
void goro_signals_init(void);

/* ---- introspect.c ------------------------------------------------------------------------------
 */

void goro_introspect_init(void);
void goro_gate_init(void);
void goro_gate_deadlock(void);
/* What it says about itself while it goes on: see warning.h. */
void goro_gate_warning(const char *kind, const char *text);

/* ---- reclaim.c, and what it needs of the others ------------------------------------------------
 */

void goro_reclaim_init(void);
void goro_reclaim_start(void);
/* fn(arg) while nobody else is in the runtime and every park is complete; fn must not wait. */
void goro_world_still(void (*fn)(struct m *mp, void *arg), void *arg);
/* w's goroutine will not wait any more. The world stands still. */
void goro_sync_forget(struct m *mp, struct goro_waiter *w);
void goro_sema_forget(struct m *mp, struct goro_waiter *w);
void goro_foreign_end(void); /* the calling thread is no goroutine any more, until it calls again */

static inline bool g_is_reclaimed(const struct g *gp)
{
	return atomic_load_explicit(&gp->flags, memory_order_relaxed) & GORO_FLAG_RECLAIMED;
}

/* ---- regions.c ---------------------------------------------------------------------------------
 */

int goro_region_add(const void *addr, size_t size, uint32_t kind);
void goro_region_remove(const void *addr, size_t size, uint32_t kind);

/* ---- os_linux_faults.c: those of cold.c --------------------------------------------------------
 */

const char *os_faults_open(void); /* NULL: all is well; else why it cannot be */
void os_faults_apart(void);	  /* the caller's thread keeps that descriptor, and no other */
int os_faults_watch(void *addr, size_t size);
/* Where somebody touched, and room for the kernel to say so. */
struct os_faults {
	uintptr_t at[16];
	unsigned char room[1024] __attribute__((aligned(8)));
};
int os_faults_wait(struct os_faults *f, int64_t timeout_ns); /* how many; or -errno */
int os_page_move(void *to, void *from);		 /* 0 or -errno; `to` is watched, and not there */
int os_page_fill(void *page, const void *bytes); /* 0, also if it is there; or -errno */
uint64_t os_signals_block(void);		 /* all of this thread */
void os_signals_restore(uint64_t old);
void os_around_fork(void (*before)(void), void (*parent)(void), void (*child)(void));

/* ---- the other os_linux*.c: every other system call --------------------------------------------
 */

void *os_reserve(size_t size); /* zeroed on first touch; NULL: no memory */
void *os_reserve_aligned(size_t size, size_t align);
void os_unreserve(void *addr, size_t size);
const void *os_map_file(const char *path, size_t *size);
void os_no_huge_pages(void *addr, size_t size);
void os_discard(void *addr, size_t size);
uintptr_t os_first_resident(uintptr_t lo, uintptr_t hi); /* a page in memory, or hi */
size_t os_page_size(void);
bool os_write_allow(void *addr, size_t size, bool allow);
bool os_guard(void *addr, size_t size);
bool os_unguard_discard(void *addr, size_t size);
void os_futex_wait(_Atomic uint32_t *addr, uint32_t val, int64_t timeout_ns); /* < 0: for ever */
void os_futex_wake(_Atomic uint32_t *addr, int n);
void os_membarrier_init(void);
bool os_membarrier(void);
int os_cores(void);
uint32_t os_tid(void);
int os_thread_start(void (*fn)(void *), void *arg, bool block_signals);
/* only_if_none: the program may have set one for this thread */
void os_thread_signal_stack(struct m *mp, bool only_if_none);
void os_thread_signal_stack_end(struct m *mp); /* the thread gets back what it came with */
void os_wipe_below(void); /* the stack, where calls that are over left something */
void os_sleep(int64_t ns);
int64_t os_now(void); /* CLOCK_MONOTONIC */
int os_pid(void);
typedef void os_signal_fn(int sig, siginfo_t *info, void *ucontext);
void os_signal_take(int sig, os_signal_fn *fn, struct sigaction *old); /* on the signal stack */
void os_signal_take_if_default(int sig, os_signal_fn *fn);
void os_signal_default(int sig);
void os_raise(int sig);
void os_die_of(int sig);
/* This thread's faults and aborts, and a tick every so often, go to fn; then as before. */
void os_report_begin(os_signal_fn *fn);
void os_report_tick(int64_t ns);
bool os_is_tick(int sig);
void os_report_end(void);
/* A signal to one thread, which nobody minds. */
void os_interrupt_take(os_signal_fn *fn);
void os_interrupt(uint32_t tid);
void os_sched_yield(void);
void os_write(int fd, const void *buf, size_t n);
void os_exit_now(int status) __attribute__((noreturn));
void os_main_stack(uintptr_t *lo, uintptr_t *hi);
void os_thread_stack(uintptr_t *lo, uintptr_t *hi);
void os_at_fork(void (*child)(void));
void os_write_to_modules(void);
/* At the end of each thread that has called os_thread_watch(arg), on it: fn(arg). */
int os_at_thread_end(void (*fn)(void *));
int os_thread_watch(void *arg);
void os_thread_exit(void) __attribute__((noreturn));
/* Is there a thread in the process that `ours` does not know? True if that cannot be found out. */
bool os_other_threads(bool (*ours)(uint32_t tid));

/* Each of these returns -errno when it fails, and leaves errno alone. */
struct os_event {
	uint64_t data;
	bool in, out, hangup;
};

int os_poll_create(void);
int os_poll_add(int poll_fd, int fd, uint64_t data);
void os_poll_remove(int poll_fd, int fd);
int os_poll_wait(int poll_fd, struct os_event *events, int max, int64_t timeout_ns);

/*
 * How a descriptor can be waited for. STREAM is a stream socket that we made ourselves: there a
 * short read means that nothing is left, which is not so for a terminal, a packet, or a socket that
 * carries descriptors.
 */
enum fd_kind { FD_UNKNOWN, FD_SOCKET, FD_STREAM, FD_POLLABLE, FD_BLOCKING };
int os_fd_kind(int fd); /* makes sockets non-blocking */

int os_open(const char *path, int flags, unsigned mode);
int os_close(int fd);
ssize_t os_read(int fd, enum fd_kind kind, void *buf, size_t n);
ssize_t os_write_some(int fd, enum fd_kind kind, const void *buf, size_t n);
ssize_t os_pread(int fd, void *buf, size_t n, int64_t offset);
ssize_t os_pwrite(int fd, const void *buf, size_t n, int64_t offset);

struct os_addr {
	uint32_t len;
	int family;
	unsigned char bytes[128] __attribute__((aligned(8)));
};

/* Addresses of a host; returns how many. `numeric`: never ask a server. */
int os_resolve(const char *host, int port, bool passive, bool numeric, struct os_addr *to, int max);
int os_tcp_socket(int family);
int os_listen(int fd, const struct os_addr *addr, int backlog);
int os_accept(int fd);
int os_connect(int fd, const void *addr, uint32_t len);
int os_connect_result(int fd); /* -EINPROGRESS: not yet */
int os_port(int fd);

int os_gate_connect(const char *path);
bool os_gate_ask(int fd, const char *line);
/* A socket with an abstract name that the kernel finds; `name` gets it without the NUL before it.
 */
int os_ear_open(char *name, size_t size);
/* The next one who connects: root, or of our own user. -ETIMEDOUT: nobody came. */
int os_ear_accept(int fd, int64_t timeout_ns);
bool os_ear_read(int fd, void *buf, size_t n); /* all of it, and within a minute */
bool os_ear_write(int fd, const void *buf, size_t n);
/* A process that is not our child and has nothing of us but stderr; its pid, or -errno. */
int os_spawn(const char *path, char *const argv[], char *const envp[]);
void os_allow_tracer(int pid); /* where only ancestors may look into a process */
bool os_is_program(const char *path);

#endif /* GORO_RUNTIME_H */
