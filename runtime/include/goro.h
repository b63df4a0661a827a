/* SPDX-License-Identifier: MIT */
/*
 * goro.h - Go's goroutines in C.
 *
 * A goroutine is a function that runs beside the others on a small stack of its own. Hundreds of
 * thousands fit in one process; the runtime spreads them over GORO_MAXPROCS worker threads. There
 * is nothing to initialise: main() is the main goroutine, and when it returns the process ends,
 * whatever the others are doing.
 *
 *	static void hello(void *arg)
 *	{
 *		printf("hello from goroutine %lu, %s\n", (unsigned long)goro_id(), (char *)arg);
 *	}
 *
 *	int main(void)
 *	{
 *		go(hello, "world");
 *		goro_sleep(GORO_MILLISECOND);
 *	}
 *
 * Conventions, said once:
 *   - Semantics are Go's. Misuse (send on a closed channel, unlock of an unlocked mutex, a negative
 *     WaitGroup) panics in Go's words: a report on stderr, exit status 2.
 *   - Where NULL is allowed it is said what it means. Elsewhere it is fatal, with a report that
 *     names the function that it was given to.
 *   - A function that can fail for a reason outside the program returns -errno. No function sets
 *     errno, and a goroutine keeps its own errno over every call.
 *   - Durations are int64_t nanoseconds.
 *   - "Blocks" means that the goroutine waits and its thread runs another one.
 *   - All objects whose initial value is all zeros need no constructor: mutex, rwmutex, cond, once,
 *     waitgroup. Never copy one that is in use, and keep it alive until nobody uses it.
 *   - A goroutine may go on on another thread after any call that blocks: keep no pthread mutex
 *     locked (GORO_DEBUG=pthread finds those) and no pointer to thread-local storage over such a
 *     call.
 *   - Below a stack is a guard of 16 KiB, so an overflow is reported as such. A function with
 *     larger frames can reach beyond it; compile those with -fstack-clash-protection.
 *   - A stack is not executable: a GCC nested function that uses variables of the one around it
 *     cannot be passed on as a pointer.
 *   - C++ exceptions go with their goroutine over a call that blocks if the C++ library was there
 *     from the start. A C program that loads it later (dlopen() of something in C++ that calls
 *     this API) must be linked with it: -Wl,--no-as-needed -lstdc++.
 *   - A program with AddressSanitizer or ThreadSanitizer needs a libgoro that was built with it
 *     (cmake --preset asan, or tsan): they must be told of every change of stacks.
 *   - Any thread may call this API. One that the program made itself (pthread_create, std::thread)
 *     becomes a goroutine at its first call, locked to its thread, until it ends. Not so a signal
 *     handler, or what goro_blocking() calls.
 *   - Where the kernel refuses membarrier(2) (before Linux 4.14, or a filter does) a goroutine that
 *     computes, or sits in libc, without calling us keeps its processor from the others.
 *   - fork() before the first goroutine, timer or wait for a descriptor (as a daemon does) and the
 *     child is a program like its parent. After that the child has no goroutines to run: use
 *     posix_spawn(), or exec at once.
 *
 * Environment, read once at start:
 *   GORO_MAXPROCS=N     workers that run goroutines at once (default: the cores we may use)
 *   GORO_STACK=SIZE     default stack of a goroutine in bytes, suffix K or M (default 128K)
 *   GORO_COLD=SECONDS   a goroutine parked for longer keeps the bytes of its stack that it uses,
 *                       not their page; takes Linux 6.8 and a permission, else left out with a
 *                       warning
 *   GORO_LOCKORDER=1    warn on stderr of locks that are taken in both orders; slows locks down
 *   GORO_DEBUG=pthread  warn on stderr of goroutines that wait while they hold a pthread mutex,
 *                       rwlock, spin lock or FILE; slows those down. Not in static programs.
 *   GORO_RECLAIM=1      unwind goroutines proved leaked; =ask: when told to; see goro(3)
 *   GORO_TRACEBACK=...  how much a fatal report shows, as Go's GOTRACEBACK: none (the message),
 *                       single (default: of a panic its goroutine's stack, else all), all (always
 *                       all; also when the program dies of SIGSEGV, SIGBUS, SIGFPE, SIGILL or
 *                       SIGABRT without a handler of its own), system (all, with the runtime's
 *                       frames), crash (the same, and then die of the signal, for a core file)
 */
#ifndef GORO_H
#define GORO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#define GORO_NORETURN [[noreturn]]
#else
#define GORO_NORETURN _Noreturn
#endif

#define GORO_VERSION "0.1.0"

#define GORO_API __attribute__((visibility("default")))

#define GORO_NANOSECOND	 INT64_C(1)
#define GORO_MICROSECOND INT64_C(1000)
#define GORO_MILLISECOND INT64_C(1000000)
#define GORO_SECOND	 INT64_C(1000000000)

/* ------------------------------------------------------------------------------------------------
 * Goroutines
 * ---------------------------------------------------------------------------------------------- */

typedef void goro_fn(void *arg);

/*
 * Start fn(arg) in a goroutine of its own. Returns at once with the new goroutine's id; when the
 * new one runs is the scheduler's choice. Never blocks. Out of memory is fatal, as in Go.
 */
GORO_API uint64_t goro_go(goro_fn *fn, void *arg);

/*
 * The same with arguments by value: `size` bytes at `args` are copied before the call returns, and
 * fn gets a pointer to the copy, which is aligned to 16 and lives until the goroutine ends. (Many
 * lie on its stack, which is as much bigger then. More than 64 MiB panics.) So a loop variable is
 * safe:
 *
 *	struct job { int n; goro_chan *out; };
 *	for (int i = 0; i < 3; i++)
 *		go_copy(work, &(struct job){ i, out });
 */
GORO_API uint64_t goro_go_copy(goro_fn *fn, const void *args, size_t size);

/*
 * The same with wishes; what is zero is as usual. The options are copied.
 *
 *	goro_go_with(&(struct goro_options){ .name = "parser", .stack_size = 1 << 20 }, parse, doc);
 */
struct goro_options {
	size_t stack_size; /* it has at least so many bytes; more than 1023 MiB panics */
	const char *name;  /* as for goro_set_name() */
	bool pinned;	   /* to a thread of its own, as if it began with goro_lock_os_thread() */
};

GORO_API uint64_t goro_go_with(const struct goro_options *options, goro_fn *fn, void *arg);

#ifndef GORO_NO_SHORT_NAMES
#define go(fn, arg)	 goro_go((fn), (arg))
#define go_copy(fn, ...) goro_go_copy((fn), (__VA_ARGS__), sizeof *(__VA_ARGS__)) /* commas too */
#endif

/* The calling goroutine's id: 1 for main, never reused. */
GORO_API uint64_t goro_id(void);

/* Let others run; go on when it is our turn again. */
GORO_API void goro_yield(void);

/*
 * End the calling goroutine now, after its deferred functions (Go's runtime.Goexit). In main: the
 * others run on, and when all of them have ended the process dies with "no goroutines (main called
 * runtime.Goexit) - deadlock!". Not pthread_exit(), which ends a thread: in a goroutine that is
 * fatal.
 */
GORO_NORETURN GORO_API void goro_exit(void);

/* Wait for at least `ns` nanoseconds; zero or less returns at once. */
GORO_API void goro_sleep(int64_t ns);

/*
 * Stay on this thread, which runs no other goroutine from now on: for libraries that keep something
 * by thread (OpenGL, a debugger's ptrace, a priority or namespace of the thread's own). Other
 * goroutines use the processor while this one waits. It costs: each wait and wake-up is one of the
 * thread, some microseconds. Goroutines that it starts are not locked.
 *
 * Calls nest: as many unlocks give the thread back, one more does nothing. A goroutine that ends
 * while it is locked takes its thread along, so that nobody inherits what it did to it. (The
 * process's first thread, where main() runs, then stays but runs nothing any more.)
 */
GORO_API void goro_lock_os_thread(void);
GORO_API void goro_unlock_os_thread(void);

/* Goroutines that exist now, the caller included, and threads of the program's own that have called
 * and not ended. */
GORO_API size_t goro_count(void);

/* How many run at once: GOMAXPROCS. */
GORO_API int goro_maxprocs(void);

/*
 * Let n of them (256 at most) run at once from now on; n <= 0 changes nothing. Returns how many it
 * were before. All goroutines stop for a moment, those in the program's own code too: at their next
 * call of the runtime they wait. Blocks.
 */
GORO_API int goro_set_maxprocs(int n);

/* Monotonic time in nanoseconds. */
GORO_API int64_t goro_now(void);

/*
 * errno, in files that include this header. The C library promises the compiler that errno's
 * address never changes within a function; after a call that moved the goroutine to another thread
 * it has. Our function makes no such promise.
 */
GORO_API int *goro_errno_location(void);
#undef errno
#define errno (*goro_errno_location())

/* ------------------------------------------------------------------------------------------------
 * What a goroutine carries with it: a name, labels, values
 * ---------------------------------------------------------------------------------------------- */

/* Sizes in bytes, each with the NUL at the end. */
#define GORO_NAME_MAX	48
#define GORO_LABELS_MAX 192

/* Name the calling goroutine for those who look at it from outside. Copied, and cut to fit. NULL
 * or "" takes the name away. */
GORO_API void goro_set_name(const char *name);

/* The calling goroutine's name, or "". Belongs to the runtime; valid until the next goro_set_name()
 * of this goroutine, or its end. */
GORO_API const char *goro_name(void);

/*
 * Say what the calling goroutine works on: request=1234, customer=acme. Goroutines that it starts
 * from now on begin with the same labels. Both strings are copied; value NULL takes the label away.
 * -E2BIG: all labels together ("key=value" and a byte each) are more than GORO_LABELS_MAX; -EINVAL:
 * an empty key, a '=' in the key, or a line feed in either. Then nothing has changed.
 */
GORO_API int goro_set_label(const char *key, const char *value);

/* Copy a label of the calling goroutine to `value` (if not NULL), cut to `size`. Returns its whole
 * length, or -ENOENT. */
GORO_API int goro_label(const char *key, char *value, size_t size);

/*
 * A value of its own for each goroutine: what thread_local is for threads, which a goroutine
 * changes. The key is a variable of static storage, and is what finds the value again:
 *
 *	static goro_local buffer = { free };
 *
 *	if (!goro_local_get(&buffer))
 *		goro_local_set(&buffer, malloc(4096));
 *
 * When a goroutine ends, by return or by goro_exit(), each of its values that is not NULL is given
 * to the key's destroy function (if there is one), in that goroutine, the last one set first. A
 * destroy function may set values; after four rounds of that the rest is dropped. Those of main are
 * not destroyed when main() returns: the process ends.
 */
typedef struct goro_local {
	void (*destroy)(void *value);
} goro_local;

/* The calling goroutine's value, or NULL. */
GORO_API void *goro_local_get(const goro_local *key);

/* Set it. The value that was there is the caller's again: it is not destroyed. */
GORO_API void goro_local_set(const goro_local *key, void *value);

/* ------------------------------------------------------------------------------------------------
 * Defer, panic, recover
 * ---------------------------------------------------------------------------------------------- */

/*
 * Run fn(arg) when the enclosing block ends, however it ends: at its brace, by return, break or
 * goto, by a panic, or by goro_exit(). The last one deferred runs first. (Go's defer waits for the
 * end of the function; put it in the function's outermost block for the same effect.) Not after a
 * switch label in the same block, and do not leave the block by longjmp.
 *
 *	goro_mutex_lock(&mu);
 *	goro_defer(unlock, &mu);
 */
#define goro_defer(fn, arg) goro_defer_as_(GORO_JOIN_(goro_deferred_, __COUNTER__), (fn), (arg))

/*
 * Something is wrong that the program cannot go on with. The goroutine's deferred functions run; if
 * one of them recovers, the panic is over and the innermost goro_try() returns (without one the
 * goroutine ends, and main() ends the process with status 0). If none does, the process ends with
 * the message and the goroutine's stack, in Go's words and with Go's exit status 2. Misuse of this
 * API panics in the same way; but, as in Go, nobody recovers from the unlock of what is not locked,
 * nor from a stack overflow or a lack of memory. The message may be as long as a quarter of what is
 * left of the stack; what is longer is cut.
 *
 * A deferred function that runs because of a panic, or of goro_exit(), may panic and recover on its
 * own: it counts as a goro_try(), and what runs it goes on.
 *
 * A recovered panic leaves the functions in between by longjmp: their deferred functions have run,
 * a C++ function's destructors have not. A C++ exception may leave goro_try(), goro_once_do() and
 * goro_flight_do(), which is an end like any other; that one leaves a deferred function that a
 * panic or goro_exit() runs is fatal.
 */
GORO_NORETURN GORO_API void goro_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * In a deferred function: if it runs because of a panic, end the panic and return its message,
 * which lives until the deferred function returns. Else NULL: so too in one that runs because its
 * block or a goro_exit() ended, even if that happens during a panic. (In Go the deferred function
 * must call it itself; here what it calls may do it too.)
 */
GORO_API const char *goro_recover(void);

/*
 * The calling goroutine's stack, in the words of a report, for a log (Go's debug.Stack). In a
 * deferred function that runs because of a panic it leads to where that began. The caller frees it;
 * NULL: out of memory. Blocks, and takes some milliseconds: it reads debug information.
 */
GORO_API char *goro_stack(void);

/* Call fn(arg). True: it returned. False: it panicked, and a deferred function recovered. */
GORO_API bool goro_try(goro_fn *fn, void *arg);

/* What goro_defer() is made of. */
struct goro_deferred {
	struct goro_deferred *next_;
	goro_fn *fn_;
	void *arg_;
};
GORO_API void goro_deferred_begin_(struct goro_deferred *d, goro_fn *fn, void *arg);
GORO_API void goro_deferred_end_(struct goro_deferred *d);
#define goro_defer_as_(name, fn, arg)                                           \
	struct goro_deferred name __attribute__((cleanup(goro_deferred_end_))); \
	goro_deferred_begin_(&(name), fn, arg)
#define GORO_JOIN__(a, b) a##b
#define GORO_JOIN_(a, b)  GORO_JOIN__(a, b)

/* ------------------------------------------------------------------------------------------------
 * Channels: typed queues that hand a value from one goroutine to another
 * ---------------------------------------------------------------------------------------------- */

typedef struct goro_chan goro_chan;

/*
 * Make a channel for elements of `elem_size` bytes (0 is fine: a pure signal). With cap 0 a send
 * waits until somebody receives; with cap > 0 it waits only while the buffer is full. The caller
 * frees it. Panics on a size that cannot be allocated.
 */
GORO_API goro_chan *goro_chan_make(size_t elem_size, size_t cap);
#define goro_chan_of(type, cap) goro_chan_make(sizeof(type), (cap))

/* Give the memory back. Nobody may wait on it or use it any more; panics if somebody waits. */
GORO_API void goro_chan_free(goro_chan *c);

/* Send a copy of *elem. Blocks until it is taken or buffered. Panics if c is closed. On a NULL
 * channel blocks for ever, as a nil channel does in Go; so does receive. */
GORO_API void goro_chan_send(goro_chan *c, const void *elem);

/* Receive into *elem (NULL: throw it away). True: got a sent value. False: c is closed and drained,
 * *elem is zeroed. */
GORO_API bool goro_chan_recv(goro_chan *c, void *elem);

/* The same without waiting. Send: true if it was taken. */
GORO_API bool goro_chan_try_send(goro_chan *c, const void *elem);

/* Receive: GORO_GOT a value, GORO_CLOSED and drained, or GORO_WOULD_BLOCK. */
enum goro_try { GORO_WOULD_BLOCK = 0, GORO_GOT = 1, GORO_CLOSED = 2 };
GORO_API enum goro_try goro_chan_try_recv(goro_chan *c, void *elem);

/* No more sends: receivers get what is buffered and then false. Closing twice, or NULL, panics. */
GORO_API void goro_chan_close(goro_chan *c);

/* Elements in the buffer, and its size. 0 for NULL. */
GORO_API size_t goro_chan_len(const goro_chan *c);
GORO_API size_t goro_chan_cap(const goro_chan *c);

/* ------------------------------------------------------------------------------------------------
 * Select: wait for the first of several channel operations
 * ---------------------------------------------------------------------------------------------- */

/*
 *	int v;
 *	struct goro_case cases[] = {
 *		goro_recv_case(in, &v),
 *		goro_send_case(out, &x),
 *	};
 *	switch (goro_select(cases, 2)) {
 *	case 0: if (!cases[0].ok) ... closed
 *	case 1: ... sent
 *	}
 *
 * If several can go on, each has the same chance. A NULL channel's case never can. With no cases at
 * all it blocks for ever.
 */
struct goro_case {
	goro_chan *chan;
	void *elem; /* receive: where to, or NULL; send: what (not modified) */
	bool send;
	bool ok; /* result of a receive: false when the channel was closed */
};

#define goro_recv_case(c, to)           \
	{                               \
		(c), (to), false, false \
	}
#define goro_send_case(c, from)                       \
	{                                             \
		(c), GORO_UNCONST_(from), true, false \
	}
#ifdef __cplusplus
#define GORO_UNCONST_(p) const_cast<void *>(static_cast<const void *>(p))
#else
#define GORO_UNCONST_(p) (void *)(p)
#endif

/* Returns the index of the case that was done. Blocks until one can be. */
GORO_API int goro_select(struct goro_case *cases, int n);

/* Select with a default: returns -1 at once when no case can go on. */
GORO_API int goro_select_default(struct goro_case *cases, int n);

/* Select for at most `ns` nanoseconds: returns -1 when no case could go on until then. Makes no
 * timer that anybody would have to free. */
GORO_API int goro_select_timeout(struct goro_case *cases, int n, int64_t ns);

/* ------------------------------------------------------------------------------------------------
 * Timers: something happens later, once or again and again
 * ---------------------------------------------------------------------------------------------- */

/*
 * A timer sends the time, an int64_t as goro_now() gives it, into its channel once:
 *
 *	goro_timer *t = goro_timer_new(GORO_SECOND);
 *	struct goro_case cases[] = {
 *		goro_recv_case(work, &job),
 *		goro_recv_case(goro_timer_chan(t), NULL),
 *	};
 *	... goro_select(cases, 2) ... goro_timer_reset(t, GORO_SECOND) ...
 *	goro_timer_free(t);
 *
 * Any goroutine may stop or reset it at any time. Who made it frees it, fired or not; its channel
 * belongs to it and goes with it.
 */
typedef struct goro_timer goro_timer;

/* In `ns` nanoseconds; zero or less: at once. */
GORO_API goro_timer *goro_timer_new(int64_t ns);

/* Start fn(arg) in a goroutine of its own in `ns` nanoseconds. It has no channel, and is freed like
 * any timer; the goroutine that it has started does not mind. */
GORO_API goro_timer *goro_after_func(int64_t ns, goro_fn *fn, void *arg);

/*
 * A channel that sends the time once, in `ns` nanoseconds: for a select that needs a timer at one
 * place only. It is the caller's, who frees it with goro_chan_free(), fired or not; there is no
 * collector to do it. (goro_select_timeout() needs neither.)
 */
GORO_API goro_chan *goro_after(int64_t ns);

/* Borrowed: do not free or close it. NULL for goro_after_func(). Its length is 1 when the timer has
 * fired and nobody has received (0, always, in Go from 1.23 on; it lets a stopped one forget the
 * value in the same way). */
GORO_API goro_chan *goro_timer_chan(const goro_timer *t);

/*
 * True: it was running, and nobody will receive its value, or its function will not be started.
 * False: it had fired (and its value been received) or been stopped before. After stop, as after
 * reset, no value of an earlier time is received: no need to drain the channel.
 */
GORO_API bool goro_timer_stop(goro_timer *t);

/* Stop it and start it again; returns what stop would. */
GORO_API bool goro_timer_reset(goro_timer *t, int64_t ns);

/* Stop it and give its memory back. Nobody may wait on its channel
 * any more (panics). NULL is fine. */
GORO_API void goro_timer_free(goro_timer *t);

/*
 * A ticker sends the time every `ns` nanoseconds. To a receiver that is late it does not send what
 * was missed. The period must be positive (panics). Freed by who made it, with its channel.
 */
typedef struct goro_ticker goro_ticker;

GORO_API goro_ticker *goro_ticker_new(int64_t ns);
GORO_API goro_chan *goro_ticker_chan(const goro_ticker *k); /* borrowed */
GORO_API void goro_ticker_stop(goro_ticker *k);		    /* its channel is not closed */
GORO_API void goro_ticker_reset(goro_ticker *k, int64_t ns);
GORO_API void goro_ticker_free(goro_ticker *k); /* as goro_timer_free() */

/* ------------------------------------------------------------------------------------------------
 * Sync: locks and meeting points. Zero value ready. FIFO with barging, as Go's.
 * ---------------------------------------------------------------------------------------------- */

/*
 * A lock with an owner. Unlike Go's, it must be unlocked by the goroutine that locked it (else a
 * panic that names the holder): this is what makes "deadlock" and "orphaned lock" provable.
 */
typedef struct goro_mutex {
	uint32_t lock_; /* spin lock around the rest */
	uint32_t flags_;
	uint64_t owner_; /* goroutine id, 0 when free */
	struct goro_waiter *first_, *last_;
} goro_mutex;

GORO_API void goro_mutex_lock(goro_mutex *mu);
GORO_API bool goro_mutex_try_lock(goro_mutex *mu);
GORO_API void goro_mutex_unlock(goro_mutex *mu);

/*
 * Many readers or one writer. A waiting writer holds back new readers, so a goroutine that read
 * locks twice can deadlock with a writer in between, as in Go.
 */
typedef struct goro_rwmutex {
	uint32_t lock_;
	uint32_t readers_; /* read locks held */
	uint64_t writer_;  /* goroutine id, 0 when none */
	struct goro_waiter *first_, *last_;
	uint32_t number_; /* for GORO_LOCKORDER */
	uint32_t pad_;
} goro_rwmutex;

GORO_API void goro_rwmutex_rlock(goro_rwmutex *rw);
GORO_API bool goro_rwmutex_try_rlock(goro_rwmutex *rw);
GORO_API void goro_rwmutex_runlock(goro_rwmutex *rw);
GORO_API void goro_rwmutex_lock(goro_rwmutex *rw);
GORO_API bool goro_rwmutex_try_lock(goro_rwmutex *rw);
GORO_API void goro_rwmutex_unlock(goro_rwmutex *rw);

/* Wait for a condition under a mutex: wait unlocks, blocks, and locks again before it returns. */
typedef struct goro_cond {
	uint32_t lock_;
	uint32_t pad_;
	struct goro_waiter *first_, *last_;
} goro_cond;

GORO_API void goro_cond_wait(goro_cond *c, goro_mutex *mu);
GORO_API void goro_cond_signal(goro_cond *c);
GORO_API void goro_cond_broadcast(goro_cond *c);

/* Count work that is under way; wait blocks until the count is zero. */
typedef struct goro_waitgroup {
	uint32_t lock_;
	int32_t count_;
	struct goro_waiter *first_, *last_;
	uint32_t undone_;
	uint32_t pad_;
} goro_waitgroup;

GORO_API void goro_waitgroup_add(goro_waitgroup *wg, int delta);
GORO_API void goro_waitgroup_done(goro_waitgroup *wg);
GORO_API void goro_waitgroup_wait(goro_waitgroup *wg);

/* Start fn(arg) in a goroutine of its own that counts until it ends, by return or by goro_exit():
 * add, go and done in one (WaitGroup.Go). The second one copies its arguments, as goro_go_copy().
 */
GORO_API void goro_waitgroup_go(goro_waitgroup *wg, goro_fn *fn, void *arg);
GORO_API void goro_waitgroup_go_copy(goro_waitgroup *wg, goro_fn *fn, const void *args,
				     size_t size);

/* Run fn(arg) the first time only; every caller returns after that first run has ended, be it by a
 * panic or by goro_exit(). */
typedef struct goro_once {
	goro_mutex mu_;
	uint32_t done_;
	uint32_t pad_;
} goro_once;

GORO_API void goro_once_do(goro_once *once, goro_fn *fn, void *arg);

/* ------------------------------------------------------------------------------------------------
 * Context: "stop", a deadline and values, handed down a tree of calls
 * ---------------------------------------------------------------------------------------------- */

/*
 *	goro_context *ctx = goro_context_with_timeout(parent, 2 * GORO_SECOND);
 *	int err = fetch(ctx, url);
 *	goro_context_cancel(ctx);
 *	goro_context_release(ctx);
 *
 * and in fetch, among the cases of a select: goro_recv_case(goro_context_done(ctx), NULL).
 *
 * Cancelling a context cancels all that were made from it, parents before children. Contexts count
 * references: who makes one has one, and releases it; who keeps one for longer than the call it was
 * given to (a goroutine, say) retains it and releases it too. A context keeps its parent alive. The
 * last release of one that was not cancelled stops its timer, and nobody is told anything.
 */
typedef struct goro_context goro_context;

/* Never cancelled, no deadline, no values: the root. Needs no release (which does nothing). */
GORO_API goro_context *goro_background(void);

/* Each returns a new context, with one reference that is the caller's. Parent NULL panics. */
GORO_API goro_context *goro_context_with_cancel(goro_context *parent);
/* Cancelled at the time `when`, as goro_now() counts, if its parent's deadline is not earlier. */
GORO_API goro_context *goro_context_with_deadline(goro_context *parent, int64_t when);
GORO_API goro_context *goro_context_with_timeout(goro_context *parent, int64_t ns);
/* The same, with a cause for when the time runs out (0: -ETIMEDOUT, as without). The error is
 * -ETIMEDOUT all the same. */
GORO_API goro_context *goro_context_with_deadline_cause(goro_context *parent, int64_t when,
							int cause);
GORO_API goro_context *goro_context_with_timeout_cause(goro_context *parent, int64_t ns, int cause);
/* Finds `value` under `key`, which is compared by address (of a static variable, say). `destroy`,
 * if not NULL, gets the value when the context goes. */
GORO_API goro_context *goro_context_with_value(goro_context *parent, const void *key, void *value,
					       void (*destroy)(void *value));
/* The parent's values, but neither its end nor its deadline. */
GORO_API goro_context *goro_context_without_cancel(goro_context *parent);

/* Take and give back a reference; NULL is fine. Retain returns its argument. Nobody may wait on the
 * done channel of a context whose last reference goes (panics). */
GORO_API goro_context *goro_context_retain(goro_context *ctx);
GORO_API void goro_context_release(goro_context *ctx);

/*
 * Cancel what goro_context_with_cancel(), _deadline() or _timeout() made; any other panics. All
 * that were made from it are cancelled when it returns. Only the first time counts. Whoever sees
 * that it is cancelled may release it, although the call has not returned. The cause is an error of
 * the program's choice, usually -errno; 0 is -ECANCELED.
 */
GORO_API void goro_context_cancel(goro_context *ctx);
GORO_API void goro_context_cancel_cause(goro_context *ctx, int cause);

/* Closed when it is cancelled. NULL, on which a receive waits for ever, if it never is. Borrowed:
 * it lives as long as the context. */
GORO_API goro_chan *goro_context_done(goro_context *ctx);

/* 0; or -ECANCELED or, when the time ran out, -ETIMEDOUT. */
GORO_API int goro_context_err(const goro_context *ctx);

/* 0; or why: the cause it was cancelled with, itself or above it, else the same as the error. */
GORO_API int goro_context_cause(const goro_context *ctx);

/* Go's texts: "context canceled", "context deadline exceeded"; the C library's for other errors. */
GORO_API const char *goro_context_strerror(int err);

/* Whether it has a deadline, its own or from above, and when (0 if not). */
GORO_API bool goro_context_deadline(const goro_context *ctx, int64_t *when);

/* The nearest value under that key on the way to the root, or NULL. Borrowed. */
GORO_API void *goro_context_value(const goro_context *ctx, const void *key);

/*
 * Start fn(arg) in a goroutine of its own once ctx is cancelled; at once if it is already. The
 * handle holds a reference to ctx. It is the caller's, who gives it to stop exactly once, be it
 * long after the function has run. Stop frees it; true: the function was not started and will not
 * be.
 */
typedef struct goro_context_after goro_context_after;

GORO_API goro_context_after *goro_context_after_func(goro_context *ctx, goro_fn *fn, void *arg);
GORO_API bool goro_context_after_stop(goro_context_after *after);

/* ------------------------------------------------------------------------------------------------
 * Semaphore: so much of something, taken and given back in any amounts by anybody
 * ---------------------------------------------------------------------------------------------- */

/*
 *	static goro_sema slots = GORO_SEMA(8);
 *
 * First come, first served: a big request that waits holds back the small ones behind it, so it
 * cannot starve. Unlike a mutex it has no owner: any goroutine may release what another acquired.
 */
typedef struct goro_sema {
	int64_t size_, held_;
	uint32_t lock_;
	uint32_t pad_;
	struct goro_waiter *first_, *last_;
} goro_sema;

#define GORO_SEMA(size)                     \
	{                                   \
		(size), 0, 0, 0, NULL, NULL \
	}

/* Wait until there are n, and take them. More than the size waits for ever. Negative n panics. */
GORO_API void goro_sema_acquire(goro_sema *s, int64_t n);

/* The same for as long as ctx lives. 0, or what goro_context_err() says: then nothing was taken. */
GORO_API int goro_sema_acquire_context(goro_sema *s, goro_context *ctx, int64_t n);

/* Take n if they are there and nobody waits. */
GORO_API bool goro_sema_try_acquire(goro_sema *s, int64_t n);

/* Give n back. Panics if that is more than was taken. */
GORO_API void goro_sema_release(goro_sema *s, int64_t n);

/* ------------------------------------------------------------------------------------------------
 * Group: several goroutines for one task (errgroup)
 * ---------------------------------------------------------------------------------------------- */

/*
 *	goro_group *g = goro_group_new(ctx);
 *	for (int i = 0; i < n; i++)
 *		goro_group_go(g, fetch, &pages[i]);
 *	int err = goro_group_wait(g);
 *	goro_group_free(g);
 *
 * A task returns 0 or an error, usually -errno. The first error cancels the group's context, whose
 * cause it is; the others can look at that and stop early.
 */
typedef struct goro_group goro_group;
typedef int goro_task_fn(void *arg);

/* The caller frees it. With a parent the group has a context made from it, else (NULL) none. */
GORO_API goro_group *goro_group_new(goro_context *parent);

/* The group's context, or the background. Borrowed: retain it to use it after goro_group_free(). */
GORO_API goro_context *goro_group_context(const goro_group *g);

/* At most n run at once; negative: no limit, as at first. 0 lets
 * nobody in. Panics while any run. */
GORO_API void goro_group_set_limit(goro_group *g, int n);

/* Start fn(arg) in a goroutine of its own; waits while there are as many as the limit allows. */
GORO_API void goro_group_go(goro_group *g, goro_task_fn *fn, void *arg);

/* The same with arguments by value, as goro_go_copy(). */
GORO_API void goro_group_go_copy(goro_group *g, goro_task_fn *fn, const void *args, size_t size);

/* The first one, but false instead of waiting. */
GORO_API bool goro_group_try_go(goro_group *g, goro_task_fn *fn, void *arg);

/* Wait until all have ended, cancel the context, and return the first error, or 0. */
GORO_API int goro_group_wait(goro_group *g);

/* Give the memory back, and the context. NULL is fine; panics while any run. */
GORO_API void goro_group_free(goro_group *g);

/* ------------------------------------------------------------------------------------------------
 * Flight: many ask for the same at once, one goes and gets it (singleflight)
 * ---------------------------------------------------------------------------------------------- */

#define GORO_FLIGHT_SLOTS 32

/* Ready when zeroed. */
typedef struct goro_flight {
	goro_mutex mu_;
	uintptr_t calls_[GORO_FLIGHT_SLOTS]; /* complements of pointers, or 0 */
} goro_flight;

/* Writes its result, of the size that goro_flight_do() was given. Returns 0 or an error. */
typedef int goro_flight_fn(void *arg, void *result);

/*
 * Call fn(arg, result), unless a call under the same key is under way: then wait for that one. All
 * get a copy of its result (a byte for byte copy: what it points to is shared) and what it
 * returned; -ECANCELED if it did not return but ended in goro_exit() or a panic. The key is copied
 * by nobody and must not change until the call has returned. One key has one size of result
 * (panics). *shared (may be NULL) tells whether somebody else got the same.
 */
GORO_API int goro_flight_do(goro_flight *f, const char *key, goro_flight_fn *fn, void *arg,
			    void *result, size_t size, bool *shared);

/*
 * The same without waiting: a goroutine makes the call, or waits for the one under way, and closes
 * the ticket's channel when it has the answer (DoChan). The key is copied; `arg` must live until
 * the call is over, which goes on also when nobody wants its answer any more.
 *
 *	goro_flight_ticket *t = goro_flight_start(&f, url, fetch, &request, sizeof(page));
 *	... select on goro_flight_done(t) and a context ...
 *	err = goro_flight_take(t, &page, NULL);
 *	goro_flight_drop(t);
 */
typedef struct goro_flight_ticket goro_flight_ticket;

GORO_API goro_flight_ticket *goro_flight_start(goro_flight *f, const char *key, goro_flight_fn *fn,
					       void *arg, size_t size);
/* Borrowed: it lives as long as the ticket. */
GORO_API goro_chan *goro_flight_done(const goro_flight_ticket *t);
/* Wait for the answer and copy it; as often as one likes. Returns what goro_flight_do() would. */
GORO_API int goro_flight_take(goro_flight_ticket *t, void *result, bool *shared);
/* Once, answered or not. NULL is fine. */
GORO_API void goro_flight_drop(goro_flight_ticket *t);

/* Who asks from now on does not wait for the call that is under way: its answer may be too old. */
GORO_API void goro_flight_forget(goro_flight *f, const char *key);

/* ------------------------------------------------------------------------------------------------
 * Pool: keep what is expensive to make for the next one who needs it
 * ---------------------------------------------------------------------------------------------- */

/*
 *	static goro_pool buffers = { .make = make_buffer, .drop = drop_buffer };
 *
 *	struct buffer *b = goro_pool_get(&buffers);
 *	...
 *	goro_pool_put(&buffers, b);
 *
 * An object in the pool belongs to the pool, which may drop it at any time; one that was got is the
 * caller's, who puts it back or not. The pool keeps at most some dozens a worker and some hundreds
 * together. Ready when the functions are filled in.
 */
typedef struct goro_pool {
	void *(*make)(void *arg);	       /* NULL: an empty pool gives NULL */
	void (*drop)(void *object, void *arg); /* NULL: nothing is to be done */
	void *arg;			       /* for both */
	struct goro_pool_store *store_;
} goro_pool;

/* One that was put, in the state it was in then, or a new one. NULL only if make returns that. */
GORO_API void *goro_pool_get(goro_pool *pool);

/* NULL is ignored. */
GORO_API void goro_pool_put(goro_pool *pool, void *object);

/* Drop all that it has and give its memory back; it can be used
 * again. Nobody may use it meanwhile. */
GORO_API void goro_pool_clear(goro_pool *pool);

/* ------------------------------------------------------------------------------------------------
 * Sockets and files: calls that block the goroutine, never its thread
 * ---------------------------------------------------------------------------------------------- */

/*
 * They take ordinary descriptors and return what the system call of that name does, or -errno. An
 * echo server is this, with a goroutine for each connection:
 *
 *	static void serve(void *arg)
 *	{
 *		int fd = *(int *)arg;
 *		char buf[4096];
 *		ssize_t n;
 *
 *		while ((n = goro_read(fd, buf, sizeof(buf))) > 0)
 *			if (goro_write(fd, buf, (size_t)n) < 0)
 *				break;
 *		goro_close(fd);
 *	}
 *
 *	int listener = goro_listen_tcp(NULL, 7, 128), fd;
 *
 *	while ((fd = goro_accept(listener)) >= 0)
 *		go_copy(serve, &fd);
 *
 * Any number of goroutines may use one descriptor. Reads take turns, and so do writes, so that what
 * two of them write is never mixed. A goroutine that waits for a descriptor is not asleep in the
 * sense of a deadlock: the news come from outside.
 *
 *   - Sockets, whoever made them, are made non-blocking when first used here. A write to one that
 *     the other side has closed is -EPIPE, and no SIGPIPE.
 *   - Pipes, terminals and the like are waited for in the same way if O_NONBLOCK is set.
 *   - All else (files, a terminal in its usual state) goes through goro_blocking().
 *   - A signal can be waited for as well (Go's signal.Notify): main blocks it with sigprocmask(2)
 *     before the first goroutine, and one reads it from a signalfd(2) with SFD_NONBLOCK.
 *
 * What was used here is closed by goro_close(), not by close(): the runtime must know.
 */

/* Up to n bytes, as soon as there are some; 0 at the end. */
GORO_API ssize_t goro_read(int fd, void *buf, size_t n);

/* All n bytes: returns n. When it fails, some of them may have been written. */
GORO_API ssize_t goro_write(int fd, const void *buf, size_t n);

/* At `offset` of a file. */
GORO_API ssize_t goro_pread(int fd, void *buf, size_t n, int64_t offset);
GORO_API ssize_t goro_pwrite(int fd, const void *buf, size_t n, int64_t offset);

/* open(2), with O_CLOEXEC. */
GORO_API int goro_open(const char *path, int flags, unsigned mode);

/*
 * Wait until all calls on the descriptor are over and give it back. Those that wait, and those that
 * come meanwhile, return -ECANCELED (Go's "use of closed network connection"). Only a read or write
 * that sits in the kernel, of a file or a terminal, is not waited for: the last one closes it.
 */
GORO_API int goro_close(int fd);

/*
 * A point in time, by goro_now(), after which calls on fd return -ETIMEDOUT at once: those that
 * wait now and all that come, until it is set again. 0: none, as at first. GORO_SAME_DEADLINE
 * leaves one of the two as it is. Connecting is a kind of writing, accepting a kind of reading.
 * -ENOTSUP for what cannot be waited for.
 */
#define GORO_SAME_DEADLINE INT64_MIN
GORO_API int goro_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline);

/*
 * TCP. The host is a name or an address; NULL is every address of this machine to listen on, and
 * this machine to dial. Port 0 to listen: one that is free, which goro_port() tells. A name that
 * does not exist is -ENOENT.
 */
GORO_API int goro_listen_tcp(const char *host, int port, int backlog);
GORO_API int goro_dial_tcp(const char *host, int port);
/* The same within `ns` nanoseconds, lookup included (else -ETIMEDOUT), and for as long as ctx lives
 * (else what goro_context_err() says). Of several addresses each gets its share of the time. */
GORO_API int goro_dial_tcp_timeout(const char *host, int port, int64_t ns);
GORO_API int goro_dial_tcp_context(goro_context *ctx, const char *host, int port);
GORO_API int goro_port(int fd);

/* The next connection of a listening socket, non-blocking and closed on exec. */
GORO_API int goro_accept(int fd);

/* Any kind of socket and address (struct sockaddr). */
GORO_API int goro_connect(int fd, const void *addr, uint32_t len);

/*
 * Run fn(arg), which may sit in the kernel or in a library for long, while other goroutines use the
 * processor: name lookups, file locks, wait(). It runs on a stack of its thread's own, of 1 MiB, is
 * not limited by GORO_MAXPROCS, and must not call this API. It takes some microseconds; a call that
 * blocks without it only delays others for 10 ms, after which its processor is taken away.
 */
GORO_API void goro_blocking(goro_fn *fn, void *arg);

/* ------------------------------------------------------------------------------------------------
 * In tests: what did this one leave behind?
 * ---------------------------------------------------------------------------------------------- */

/*
 *	goro_leak_mark *mark = goro_mark_leaks();
 *	...a test...
 *	goro_assert_no_leaks(mark, GORO_SECOND);
 *
 * What counts is who was started after the mark and is there after the grace period; it is over
 * when nobody is left. Tests that run at the same time see each other's goroutines. Recipes for
 * cmocka, Check, GoogleTest and CTest are in examples/recipes.
 */
typedef struct goro_leak_mark goro_leak_mark;

/* Remember who is there now: some bytes a goroutine, until the mark is used up. */
GORO_API goro_leak_mark *goro_mark_leaks(void);

/*
 * Wait until all who came after the mark have ended, for at most `grace` nanoseconds. NULL: they
 * have. Else lines that say how many are left, what they are and who started them, to be freed by
 * the caller. The mark is used up.
 */
GORO_API char *goro_leaks_since(goro_leak_mark *mark, int64_t grace);

/* The same for tests without a framework: if somebody is left, write those lines on stderr and
 * panic. */
GORO_API void goro_assert_no_leaks(goro_leak_mark *mark, int64_t grace);

/* ------------------------------------------------------------------------------------------------
 * Proofs: what `goro leaks` must know of pointers that it cannot see
 * ---------------------------------------------------------------------------------------------- */

/*
 * `goro leaks` proves that a goroutine is leaked when nothing that can still run has a pointer to
 * what it waits for. It looks for pointers in globals, thread-local variables, registers, stacks,
 * and in what malloc() gave out and these lead to; other mappings count as if somebody used all of
 * them. A pointer into the middle of an object counts, also with a tag in its upper 16 bits, and
 * one that the kernel keeps in an epoll instance, a timer or a pipe. What it cannot see is a
 * pointer that is hidden: XORed or compressed, or only in a file, a terminal, a network connection
 * or another process. Say so, in one of these ways; otherwise a goroutine that such a pointer could
 * wake may be called leaked. Any thread may call.
 */

/* Somebody has a pointer to `object`, or into it, until the second is called. -ENOSPC: too many. */
GORO_API int goro_keepalive(const void *object);
GORO_API void goro_keepalive_end(const void *object);

/* Look for pointers in these bytes, whatever they belong to. -ENOSPC: too many regions. */
GORO_API int goro_root_region(const void *addr, size_t size);
GORO_API void goro_root_region_end(const void *addr, size_t size);

/* Never prove the calling goroutine leaked: it is meant to wait for ever. */
GORO_API void goro_ignore(void);

#ifdef __cplusplus
}
#endif
#endif /* GORO_H */
