/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - the private structures of the scheduler. With it come waiter.h (who waits for what),
 * offers.h (what each file does for the others) and os.h (what all of them ask of the system).
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
#define HAND_LEN     8u
#define P_NBUCKETS   40u /* the last one begins at 4.5 minutes */
#define P_BIAS_ROWS  8u
#define P_TURN	     61u /* picks between two looks at the global queue */
#define TOMB_MAX     256u
#define CROWD_AHEAD  16u
#define PILE_FEW     64u
#define PILE_MANY    2048u

/* A word that others write is not 0; what follows comes after. */
static inline bool is_set(const _Atomic uint32_t *word)
{
#if GORO_TSAN /* does not see through asm */
	return atomic_load_explicit(word, memory_order_acquire);
#else
	return word_is_set((const uint32_t *)word);
#endif
}

/* ---- G ----------------------------------------------------------------------------------------
 */

/*
 * The first cache line is all that a park and a resume touch. What observers read is marked [o];
 * its offsets travel in the contract, so that fields may be moved.
 */
struct g {
	uint64_t id;	/* [o] */
	struct g *link; /* in the global queue, a free list, or a batch to be made ready */
	/* State and time in one word, which one store changes; and then what an observer must see
	 * no earlier than the state: the contract says why. */
	union {
		_Atomic uint64_t since; /* [o] */
		_Atomic uint16_t state; /* [o] */
	};
	uint32_t park_seq;	/* [o] */
	_Atomic uint16_t flags; /* [o] */
	uintptr_t sp;		/* [o] of the switch_frame, while it does not run; 0: never ran */
	void *wait_object;	/* [o] */
	struct goro_waiter *waiting; /* [o] of a select, a lock or the like: see reclaim.c */
	uint32_t m_id;		     /* [o] and TIMED: see measure.c */
	uint32_t held_locks;	     /* [o] */

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

#define G_STATE(state, reason) ((uint32_t)(reason) << 8 | (uint32_t)(state))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "else g.state is not the low end of g.since");
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

#include "waiter.h"

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
	uint64_t slots;	 /* a bit for each that is ours to take */
	uint64_t mapped; /* and for each whose guard shall be a mapping */
	bool guarded;
};

/* How many times more a lock is to be taken in a row before it is biased: see bias.h. */
struct bias_row {
	uint32_t key, left;
};

struct p {
	/* The owner's, written all the time. */
	union {
		_Atomic uint64_t runq_top;
		struct {
			_Atomic uint32_t runq_head; /* [o] also moved by thieves */
			uint32_t runq_taken_back;
		};
	};
	_Atomic uint32_t runq_tail; /* [o] */
	_Atomic uint32_t
		spread; /* its goroutines run long enough to be worth moving; see sysmon.c */
	_Atomic(struct g *) runnext;
	_Atomic uint32_t nhand; /* left of what was taken from the ring at once: see runq.h */
	uint32_t hand_at;	/* where in the ring the next of them was */
	_Atomic uint64_t nswitch;
	uint32_t nrunnext; /* times in a row that runnext was taken before the ring */
	union {
		_Atomic uint32_t ready_slowly; /* not 0: more than usual to do in ready() */
		struct {
			_Atomic uint16_t eager; /* readies left that wake another worker at once */
			_Atomic uint16_t mark_due; /* the next is one to goro_mark_ready() */
		};
	};
	uint64_t nyield;	    /* [o] */
	_Atomic uint32_t attention; /* go through the scheduler: timers are due, or similar */
	uint32_t until_turn;	    /* picks until goro_turn(); see measure.c */
	_Atomic uint32_t entangled; /* they share too much to be moved apart; the same */
	uint64_t children_since;    /* coarse, see runq_take_child() */
	bool branch;		    /* children were run before others since the last turn */
	bool stranded;		    /* idle, but needed: sched.lock, see idle.c */
	uint64_t global_since;	    /* coarse: then the global queue had its turn */
	uint32_t id;
	_Atomic uint32_t status;
	_Atomic(struct m *) m;
	struct p *link; /* in the idle list */

	uint64_t nspawn, nexit, nsteal, nretake, nspin; /* only the owner writes */

	_Atomic(uint32_t *) inside; /* of this biased lock's object, or NULL: see bias.h */
	struct bias_row bias_rows[P_BIAS_ROWS];
	uint64_t nbias, nrevoke; /* locks that were biased; that others lost their bias of */

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

	uintptr_t came[CROWD_AHEAD]; /* the last waiters that joined others here: see waiter.h */
	uint32_t ncame;

	_Atomic(struct g *) mutex_next; /* the last that was woken for a mutex: see retake.c */
	_Atomic int64_t left_until;	/* nobody takes what is in front of it: the same */

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

	_Atomic(struct g *) hand[HAND_LEN]; /* the last one comes first */
	_Atomic(struct g *) runq[RUNQ_LEN] __attribute__((aligned(CACHE_LINE)));
} __attribute__((aligned(2 * CACHE_LINE)));

/* ---- M ----------------------------------------------------------------------------------------
 */

/*
 * Of a worker's own stack, on which goro_blocking() calls what it is given. In a sanitizer's build
 * frames are bigger, and much of a thread's stack is the sanitizer's.
 */
#if GORO_ASAN || GORO_TSAN
enum { WORKER_STACK = 4 * 1024 * 1024 };
#else
enum { WORKER_STACK = 1024 * 1024 };
#endif

enum { GUARD_SIZE = 16 * 1024 }; /* below every stack */

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
	uint16_t post;	     /* enum post */
	uint16_t post_state; /* g.state of who parks: both in one store */
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
	bool aside;		/* it is in goro_aside(): what is allocated is no goroutine's */
	struct p *next_p;	/* P handed over by who wakes us */
	struct g *next_g;	/* resume this one first */
	struct m *link;		/* in the idle list, or in that of the free records */
	_Atomic uint32_t futex; /* 1: wake up */
	int64_t sleep_until;	/* INT64_MAX, or we are the time keeper */
	struct g g0;		/* the thread's own stack: runs the scheduler */
	void *signal_stack;
	size_t signal_stack_size;    /* 0: it is not in use */
	stack_t signal_stack_before; /* what the thread had when it came to us */
	struct g *locked_g;	     /* runs no other; see locked.c */
	bool stopped; /* sched.lock: waits for a P, for locked_g; whoever has one wakes it */
	bool ending;  /* locked_g has ended, and the thread with it */
	_Atomic bool foreign;	     /* the thread is the program's; see foreign.c */
	void *own_stack;	     /* g0's then, kept with the record */
	unsigned thread_stack_known; /* the thread's, to Valgrind */
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
	bool solo;     /* one P: see the head of this file. Changes while the world is stopped. */
	bool own_next; /* what is in front of a P is asked for before it is taken: see retake.c */
	bool watched;  /* by Valgrind: see wipe_start() */
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
	_Atomic bool stranded; /* there was no thread for a P: see idle.c */
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

extern struct sched sched __attribute__((visibility("hidden")));
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
void goro_wait_in_a_handler(void) __attribute__((noreturn, cold));
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
	if (unlikely(is_set(&mp->in_runtime)))
		goro_enter_twice();
	atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
	barrier();
	if (unlikely(is_set(&mp->lost_p)))
		mp = goro_regain_p(mp);
	return mp;
}

/*
 * The same, but NULL (and nothing done) where there is more to do than mostly. What then calls
 * another function with the same arguments, as its last act, needs no registers saved before.
 */
static __always_inline struct m *enter_quickly(void)
{
	struct m *mp = getm();

	if (unlikely(!mp) || unlikely(is_set(&mp->in_runtime)))
		return NULL;
	atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
	barrier();
	if (likely(!is_set(&mp->lost_p)))
		return mp;
	atomic_store_explicit(&mp->in_runtime, 0, memory_order_release);
	return NULL;
}

/* End it. Release: what we did with the P comes before sysmon may take it. */
static inline void leave(struct m *mp)
{
	atomic_store_explicit(&mp->in_runtime, 0, memory_order_release);
}

/* ---- stacks without traces: see context_x86_64.S -----------------------------------------------
 */

/* For a goroutine that starts. */
static inline void wipe_start(void)
{
	if (unlikely(sched.watched))
		goro_wipe(256);
	else
		goro_wipe_start();
}

/* For who is about to wait for long: what calls that are over have left (a timer, a record). */
static inline void wipe_below(void)
{
	goro_wipe(384);
}

/* ---- aside.c -----------------------------------------------------------------------------------
 */

/* Call fn on a stack of its own of 2 MiB; it must not park. False: no memory for one. */
bool goro_aside(void (*fn)(void *), void *arg);

/* os_thread_start(), so that the thread has nothing of who starts it. 0, or -errno. */
int goro_thread_start(void (*fn)(void *), void *arg, bool block_signals);

/* ---- spin locks --------------------------------------------------------------------------------
 */

void goro_lock_slow(uint32_t *l);
uint32_t goro_lock_object_slow(uint32_t *l); /* returns what it was at last: 0, or see bias.h */

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

#include "os.h"
#include "offers.h"

#endif /* GORO_RUNTIME_H */
