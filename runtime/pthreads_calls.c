/* SPDX-License-Identifier: MIT */
/*
 * pthreads_calls.c - with GORO_DEBUG=pthread: the program's calls of locks come by here.
 *
 * A thread that is no goroutine's, the runtime itself, and what is called from in here (libunwind
 * takes locks) go straight on; but whoever unlocks, what is unlocked is not held any more.
 */
#define UNW_LOCAL_ONLY
#include <errno.h>
#include <libunwind.h>
#include <pthread.h>
#include <stdio.h>
#include <threads.h>

#include "imports.h"
#include "pthreads.h"

static __thread bool busy __attribute__((tls_model("initial-exec")));

/* The goroutine's m, or NULL: not to be looked at. */
static struct m *watched(void)
{
	struct m *mp = busy ? NULL : getm();

	if (!mp || atomic_load_explicit(&mp->in_runtime, memory_order_relaxed))
		return NULL;
	return mp;
}

/* glibc's own words for it (nptl/pthreadP.h); mtx_t is the same thing. */
static bool is_owned(const void *mutex)
{
	enum { RECURSIVE = 1, ERRORCHECK = 2, ROBUST = 16, PRIO_INHERIT = 32 };
	int kind = ((const pthread_mutex_t *)mutex)->__data.__kind;

	return (kind & 3) == RECURSIVE || (kind & 3) == ERRORCHECK ||
	       kind & (ROBUST | PRIO_INHERIT);
}

static void took(void *lock, enum held_kind kind, uintptr_t pc)
{
	struct m *mp = watched();
	int saved = errno;

	if (!mp)
		return;
	busy = true;
	goro_pthread_held(
		mp, lock, kind,
		kind == HELD_MUTEX ? is_owned(lock) : kind == HELD_WRITE || kind == HELD_FILE, pc);
	busy = false;
	errno = saved;
}

static void gives(void *lock, uintptr_t pc)
{
	struct m *mp = getm();
	int saved = errno;

	if (busy || (mp && !watched()))
		return;
	busy = true;
	goro_pthread_unlock(mp, lock, pc);
	busy = false;
	errno = saved;
}

static void forget(void *lock)
{
	if (busy || (getm() && !watched()))
		return;
	busy = true;
	goro_pthread_forget(lock);
	busy = false;
}

#define PC ((uintptr_t)__builtin_return_address(0))

/* What each must exist for, but need not: a static program links only what it uses. */
#define DECLARE(f)                                    \
	extern __typeof__(f) f __attribute__((weak)); \
	static __typeof__(f) *real_##f;

#define TAKES(f, type, kind, got)                  \
	DECLARE(f)                                 \
	static int my_##f(type *l)                 \
	{                                          \
		int err = real_##f(l);             \
                                                   \
		if (got)                           \
			took((void *)l, kind, PC); \
		return err;                        \
	}

#define TAKES_TIMED(f, type, kind, got)                          \
	DECLARE(f)                                               \
	static int my_##f(type *l, const struct timespec *until) \
	{                                                        \
		int err = real_##f(l, until);                    \
                                                                 \
		if (got)                                         \
			took((void *)l, kind, PC);               \
		return err;                                      \
	}

#define TAKES_CLOCK(f, type, kind, got)                                           \
	DECLARE(f)                                                                \
	static int my_##f(type *l, clockid_t clock, const struct timespec *until) \
	{                                                                         \
		int err = real_##f(l, clock, until);                              \
                                                                                  \
		if (got)                                                          \
			took((void *)l, kind, PC);                                \
		return err;                                                       \
	}

/* Before it is free: the next one may have it at once. */
#define GIVES(f, type)                \
	DECLARE(f)                    \
	static int my_##f(type *l)    \
	{                             \
		gives((void *)l, PC); \
		return real_##f(l);   \
	}

#define ENDS(f, type)               \
	DECLARE(f)                  \
	static int my_##f(type *l)  \
	{                           \
		forget((void *)l);  \
		return real_##f(l); \
	}

#define BEGINS(f, type, of)              \
	DECLARE(f)                       \
	static int my_##f(type *l, of a) \
	{                                \
		forget((void *)l);       \
		return real_##f(l, a);   \
	}

#define WAITS(f, params, mutex, ...)                                                  \
	DECLARE(f)                                                                    \
	static int my_##f params                                                      \
	{                                                                             \
		struct m *mp = watched();                                             \
		struct held *h = mp ? goro_pthread_pause(mp, (void *)(mutex)) : NULL; \
		int err = real_##f(__VA_ARGS__);                                      \
                                                                                      \
		if (h)                                                                \
			goro_pthread_resume(mp, h);                                   \
		return err;                                                           \
	}

#define OK   (err == 0)
#define MINE (err == 0 || err == EOWNERDEAD)

TAKES(pthread_mutex_lock, pthread_mutex_t, HELD_MUTEX, MINE)
TAKES(pthread_mutex_trylock, pthread_mutex_t, HELD_MUTEX, MINE)
TAKES_TIMED(pthread_mutex_timedlock, pthread_mutex_t, HELD_MUTEX, MINE)
TAKES_CLOCK(pthread_mutex_clocklock, pthread_mutex_t, HELD_MUTEX, MINE)
GIVES(pthread_mutex_unlock, pthread_mutex_t)
BEGINS(pthread_mutex_init, pthread_mutex_t, const pthread_mutexattr_t *)
ENDS(pthread_mutex_destroy, pthread_mutex_t)
TAKES(pthread_rwlock_rdlock, pthread_rwlock_t, HELD_READ, OK)
TAKES(pthread_rwlock_tryrdlock, pthread_rwlock_t, HELD_READ, OK)
TAKES_TIMED(pthread_rwlock_timedrdlock, pthread_rwlock_t, HELD_READ, OK)
TAKES_CLOCK(pthread_rwlock_clockrdlock, pthread_rwlock_t, HELD_READ, OK)
TAKES(pthread_rwlock_wrlock, pthread_rwlock_t, HELD_WRITE, OK)
TAKES(pthread_rwlock_trywrlock, pthread_rwlock_t, HELD_WRITE, OK)
TAKES_TIMED(pthread_rwlock_timedwrlock, pthread_rwlock_t, HELD_WRITE, OK)
TAKES_CLOCK(pthread_rwlock_clockwrlock, pthread_rwlock_t, HELD_WRITE, OK)
GIVES(pthread_rwlock_unlock, pthread_rwlock_t)
BEGINS(pthread_rwlock_init, pthread_rwlock_t, const pthread_rwlockattr_t *)
ENDS(pthread_rwlock_destroy, pthread_rwlock_t)
TAKES(pthread_spin_lock, pthread_spinlock_t, HELD_SPIN, OK)
TAKES(pthread_spin_trylock, pthread_spinlock_t, HELD_SPIN, OK)
GIVES(pthread_spin_unlock, pthread_spinlock_t)
BEGINS(pthread_spin_init, pthread_spinlock_t, int)
ENDS(pthread_spin_destroy, pthread_spinlock_t)
TAKES(mtx_lock, mtx_t, HELD_MUTEX, err == thrd_success)
TAKES(mtx_trylock, mtx_t, HELD_MUTEX, err == thrd_success)
TAKES_TIMED(mtx_timedlock, mtx_t, HELD_MUTEX, err == thrd_success)
GIVES(mtx_unlock, mtx_t)
BEGINS(mtx_init, mtx_t, int)
TAKES(ftrylockfile, FILE, HELD_FILE, OK)

DECLARE(mtx_destroy)
static void my_mtx_destroy(mtx_t *l)
{
	forget(l);
	real_mtx_destroy(l);
}

DECLARE(flockfile)
static void my_flockfile(FILE *file)
{
	real_flockfile(file);
	took(file, HELD_FILE, PC);
}

DECLARE(funlockfile)
static void my_funlockfile(FILE *file)
{
	gives(file, PC);
	real_funlockfile(file);
}

WAITS(pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *l), l, c, l)
WAITS(pthread_cond_timedwait,
      (pthread_cond_t * c, pthread_mutex_t *l, const struct timespec *until), l, c, l, until)
WAITS(pthread_cond_clockwait,
      (pthread_cond_t * c, pthread_mutex_t *l, clockid_t clock, const struct timespec *until), l, c,
      l, clock, until)
WAITS(cnd_wait, (cnd_t * c, mtx_t *l), l, c, l)
WAITS(cnd_timedwait, (cnd_t * c, mtx_t *l, const struct timespec *until), l, c, l, until)

#define ALL(X)                        \
	X(pthread_mutex_lock)         \
	X(pthread_mutex_trylock)      \
	X(pthread_mutex_timedlock)    \
	X(pthread_mutex_clocklock)    \
	X(pthread_mutex_unlock)       \
	X(pthread_mutex_init)         \
	X(pthread_mutex_destroy)      \
	X(pthread_rwlock_rdlock)      \
	X(pthread_rwlock_tryrdlock)   \
	X(pthread_rwlock_timedrdlock) \
	X(pthread_rwlock_clockrdlock) \
	X(pthread_rwlock_wrlock)      \
	X(pthread_rwlock_trywrlock)   \
	X(pthread_rwlock_timedwrlock) \
	X(pthread_rwlock_clockwrlock) \
	X(pthread_rwlock_unlock)      \
	X(pthread_rwlock_init)        \
	X(pthread_rwlock_destroy)     \
	X(pthread_spin_lock)          \
	X(pthread_spin_trylock)       \
	X(pthread_spin_unlock)        \
	X(pthread_spin_init)          \
	X(pthread_spin_destroy)       \
	X(mtx_lock)                   \
	X(mtx_trylock)                \
	X(mtx_timedlock)              \
	X(mtx_unlock)                 \
	X(mtx_init)                   \
	X(mtx_destroy)                \
	X(flockfile)                  \
	X(ftrylockfile)               \
	X(funlockfile)                \
	X(pthread_cond_wait)          \
	X(pthread_cond_timedwait)     \
	X(pthread_cond_clockwait)     \
	X(cnd_wait)                   \
	X(cnd_timedwait)

enum {
#define NUMBER(f) I_##f,
	ALL(NUMBER) NCALLS
#undef NUMBER
};

static struct import calls[NCALLS];

bool goro_pthread_watch(void)
{
	/* Which version of each, and whose: what this file was linked with, read before we change
	 * it. */
#define FILL(f) calls[I_##f] = (struct import){ #f, (void *)my_##f, (void *)f };
	ALL(FILL)
#undef FILL
	if (!goro_imports_prepare(calls, NCALLS))
		return false;
#define KEEP(f) real_##f = (__typeof__(real_##f))calls[I_##f].real;
	ALL(KEEP)
#undef KEEP
	return true;
}

bool goro_pthread_watch_loaded(void)
{
	/* The locks of the library that takes our stacks stay its own. */
	return goro_imports_replace(calls, NCALLS, (void *)unw_backtrace);
}
