/* SPDX-License-Identifier: MIT */
/*
 * offers.h - what each file of the runtime does for the others. Part of runtime.h, whose structures
 * it needs.
 */
#ifndef GORO_OFFERS_H
#define GORO_OFFERS_H

/* ---- proc.c ------------------------------------------------------------------------------------
 */

/*
 * Wait until somebody calls ready() on the current goroutine. `l` (or NULL) is held by the caller
 * and released once the goroutine may be resumed, so that nobody can do so too early. Returns the
 * m that we are on afterwards, which may be another.
 */
struct m *goro_park(struct m *mp, enum goro_reason reason, void *object, uint32_t *l);
/* The same without a lock: *word says who waits, see netpoll.c. */
struct m *goro_park_word(struct m *mp, enum goro_reason reason, void *object,
			 _Atomic uintptr_t *word);
void goro_park_forever(enum goro_reason reason) __attribute__((noreturn));

/* Make a parked goroutine runnable, next on this P. */
void goro_ready(struct m *mp, struct g *gp);
/* The same for a chain of them (through g.link), behind what waits already. */
void goro_ready_batch(struct m *mp, struct g *first, uint32_t n);
/*
 * The same for many that are found last one first. They are kept in blocks of the global queue,
 * which takes them as they are, so that none is touched more often than it must be; the last ones
 * of all in `few`, from its end.
 */
struct g_pile {
	uint32_t n;
	struct g_block *first, *last;
	struct g *few[PILE_FEW];
};
void goro_pile_add(struct g_pile *pile, struct g *gp); /* before all that are there */
void goro_ready_pile(struct m *mp, struct g_pile *pile);

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
void goro_global_put_pile(const struct g_pile *pile);

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

/* So does runq_take_child(). */
static inline void g_set_parent(struct g *gp, uint64_t id)
{
	__atomic_store_n(&gp->parent, id, __ATOMIC_RELAXED);
}

/* State and reason. Acquire: what was recorded before is seen with them. */
static inline uint32_t g_status(const struct g *gp)
{
	return atomic_load_explicit(&gp->state, memory_order_acquire);
}

static inline uint64_t g_since(const struct g *gp)
{
	return GORO_SINCE(atomic_load_explicit(&gp->since, memory_order_relaxed));
}

static inline bool g_is_foreign(const struct g *gp)
{
	return atomic_load_explicit(&gp->flags, memory_order_relaxed) & GORO_FLAG_FOREIGN;
}

/* ready() asks it of everybody. */
static inline bool g_is_locked(const struct g *gp)
{
#if GORO_TSAN
	return atomic_load_explicit(&gp->flags, memory_order_relaxed) & GORO_FLAG_LOCKED;
#else
	return half_has((const uint16_t *)&gp->flags, GORO_FLAG_LOCKED);
#endif
}

/* ---- measure.c ---------------------------------------------------------------------------------
 */

void goro_measure_init(struct p *pp);
/* pick(), every P_TURN times: NULL if it is the turn of the global queue. */
struct g *goro_turn(struct p *pp, const struct g *parent);
/* gp was just made runnable and is in no queue yet. */
void goro_mark_ready(struct p *pp, struct g *gp);
/* gp is about to run, and is marked or ran on another m before. */
void goro_record_moved(struct m *mp, struct g *gp);
/* The slice that is measured ends although nobody picked: its P is taken away. */
void goro_end_slice(struct p *pp);

#include GORO_RECORD_HEADER

static inline void g_set_state(struct g *gp, uint32_t state, uint32_t reason)
{
	g_set_packed(gp, G_STATE(state, reason));
}

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
uintptr_t goro_worker_stack(void); /* its lower end, above a guard; 0: no memory */
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
void goro_netpoll_rouse(void); /* who sleeps for descriptors looks for work; sched.lock held */
void goro_netpoll_backstop(uint64_t now);
/* The second half of goro_park_word(), registers saved. False: there are news, gp goes on. */
bool goro_netpoll_commit(_Atomic uintptr_t *word, struct g *gp);

/* ---- sysmon.c ----------------------------------------------------------------------------------
 */

void goro_sysmon_start(void);
/* Nobody has ever asked for it: there is no thread of ours but the one that main runs on. */
bool goro_sysmon_unknown(void);
void goro_sysmon_wake(void);

/* ---- scavenge.c --------------------------------------------------------------------------------
 */

int64_t goro_scavenge(int64_t now, bool idle); /* idle: nobody runs */

/* ---- trim.c ------------------------------------------------------------------------------------
 */

enum {
	TRIM_BATCH = 16,   /* goroutines at once */
	TRIM_MARGIN = 512, /* below a stack pointer; the red zone is 128 bytes */
};

extern _Atomic uint32_t goro_trimming __attribute__((visibility("hidden")));
void goro_trim_init(void);
void goro_trim_wait(const struct g *gp);
bool goro_trim_begin(int64_t now);
int64_t goro_trim_step(int64_t now, bool idle);
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

/* A panic, or a goro_exit(), on its way through deferred functions;
 * on the stack of who began it. */
struct panicking {
	struct panicking *link; /* the one during which this one began */
	bool recovered;
	bool over;	   /* and the deferred function that did so has returned */
	bool exiting;	   /* a goro_exit(): nothing to recover from */
	uint32_t ordinary; /* deferred functions above it that run because a block ended */
	const char *message;
};

void goro_deferred_run_all(struct g *gp);

/*
 * fn(arg), from a frame that an exception of C++ may pass through: then the unwinder asks the
 * function behind it, a personality routine as the ABI calls it. All of them do nothing when it
 * looks for who catches; when it comes by, goro_left() makes an end of what the frame had deferred,
 * down to the newest that is to call `fn`.
 */
enum { UNWIND_SEARCHES = 1, UNWIND_COMES_BY = 2, UNWIND_GOES_ON = 8 };
typedef int left_fn(int version, int action, uint64_t language, void *exception, void *context);

void goro_call_try(goro_fn *fn, void *arg);
left_fn goro_left_try;
void goro_call_deferred(goro_fn *fn, void *arg);
left_fn goro_left_deferred;
void goro_call_once(goro_fn *fn, void *arg);
left_fn goro_left_once;
int goro_call_flight(goro_flight_fn *fn, void *arg, void *result);
left_fn goro_left_flight;
int goro_left(int action, goro_fn *fn);

GORO_NORETURN void goro_die_panic(const struct panicking *p);
GORO_NORETURN void goro_throw(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* NULL: SIGQUIT came to somebody else. */
void goro_die_quit(void *ucontext) __attribute__((noreturn));
void goro_die_deadlock(void) __attribute__((noreturn));
void goro_signals_init(void);

/* ---- introspect.c ------------------------------------------------------------------------------
 */

void goro_introspect_init(void);
/* Is this an instruction of the runtime's? */
bool goro_is_ours(uintptr_t pc);

/* ---- gate.c, exit_frames.c ---------------------------------------------------------------------
 */

void goro_gate_init(void);
void goro_gate_deadlock(void);
/* What it says about itself while it goes on: see warning.h. */
void goro_gate_warning(const char *kind, const char *text);

/*
 * Which part of the stack is exit()'s own, and that of its handler, which calls us. False: it
 * cannot be told.
 */
bool goro_exit_frames(uintptr_t *lo, uintptr_t *hi);

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

#endif /* GORO_OFFERS_H */
