/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.h - tell AddressSanitizer and ThreadSanitizer about stack switches.
 *
 * Without this a sanitizer takes a switch for a wild jump and its reports cannot be trusted. All of
 * it vanishes in an ordinary build; struct g then has none of these fields.
 */
#ifndef GORO_SANITIZER_H
#define GORO_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GORO_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define GORO_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define GORO_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define GORO_TSAN 1
#endif

#if GORO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if GORO_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/*
 * LeakSanitizer looks for pointers in the mappings that /proc shows as readable. It must see
 * stacks, and must not run into a guard that no mapping shows.
 */
#if GORO_ASAN
#include <sanitizer/lsan_interface.h>
#define SAN_NEEDS_MAPPINGS true
#else
#define SAN_NEEDS_MAPPINGS false
#endif

/* Threads of a sanitizer's own. */
#if GORO_TSAN
enum { SAN_THREADS = 1 };
#else
enum { SAN_THREADS = 0 };
#endif

static inline void san_root_region(const void *addr, size_t size)
{
	(void)addr, (void)size;
#if GORO_ASAN
	__lsan_register_root_region(addr, size);
#endif
}

static inline void san_root_region_end(const void *addr, size_t size)
{
	(void)addr, (void)size;
#if GORO_ASAN
	__lsan_unregister_root_region(addr, size);
#endif
}

/*
 * Valgrind must know each stack, a thread's own too, or it takes a switch for growth and forgets
 * what lies between the two; and that one is used anew. (It remembers one stack as the current one,
 * for all threads: whoever goes to one that it does not know leaves it there, and the next to come
 * to that same stack, from a neighbour, has not switched.) Some ten instructions each when no
 * Valgrind is there.
 */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_STACK_REGISTER(lo, hi)	      0
#define VALGRIND_STACK_DEREGISTER(id)	      ((void)(id))
#define VALGRIND_MAKE_MEM_UNDEFINED(at, size) 0
#define RUNNING_ON_VALGRIND		      0
#endif

static inline bool san_is_watched(void)
{
	return RUNNING_ON_VALGRIND;
}

/* Returns what san_stack_end() wants. */
static inline unsigned san_stack_new(uintptr_t lo, uintptr_t hi)
{
	(void)lo, (void)hi;
	return (unsigned)VALGRIND_STACK_REGISTER((void *)lo, (void *)(hi - 1));
}

/* Something else may be there soon. */
static inline void san_stack_end(unsigned id)
{
	(void)id;
	VALGRIND_STACK_DEREGISTER(id);
}

static inline void san_stack_reuse(uintptr_t lo, uintptr_t hi)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED((void *)lo, hi - lo), (void)lo, (void)hi;
}

struct san_fiber {
#if GORO_ASAN
	void *fake_stack;
#endif
#if GORO_TSAN
	void *tsan;
#endif
};

/* The stack that we are about to switch to. `dying`: the one we leave is never resumed. */
static inline void san_before_switch(struct san_fiber *from, struct san_fiber *to, uintptr_t lo,
				     uintptr_t hi, int dying)
{
	(void)from, (void)to, (void)lo, (void)hi, (void)dying;
#if GORO_ASAN
	__sanitizer_start_switch_fiber(dying ? NULL : &from->fake_stack, (void *)lo, hi - lo);
#endif
#if GORO_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* First thing on the new stack. */
static inline void san_after_switch(struct san_fiber *self)
{
	(void)self;
#if GORO_ASAN
	__sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
}

/* The same, where nobody but AddressSanitizer knows the bounds of the stack that we came from. */
static inline void san_after_switch_from(struct san_fiber *self, uintptr_t *lo, uintptr_t *hi)
{
	(void)self;
	*lo = *hi = 0;
#if GORO_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
	*lo = (uintptr_t)bottom;
	*hi = *lo + size;
#endif
}

/* A stack begins a life. */
static inline void san_fiber_create(struct san_fiber *f)
{
	(void)f;
#if GORO_ASAN
	f->fake_stack = NULL;
#endif
#if GORO_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
}

/* The stack that this thread came with. */
static inline void san_fiber_of_thread(struct san_fiber *f)
{
	(void)f;
#if GORO_TSAN
	f->tsan = __tsan_get_current_fiber();
#endif
}

/* A stack's life ends. The frames that never returned must not poison the next one's. */
static inline void san_fiber_destroy(struct san_fiber *f, uintptr_t lo, uintptr_t hi)
{
	(void)f, (void)lo, (void)hi;
#if GORO_ASAN
	__asan_unpoison_memory_region((void *)lo, hi - lo);
#endif
#if GORO_TSAN
	__tsan_destroy_fiber(f->tsan);
	f->tsan = NULL;
#endif
}

/* sanitizer.c: before the first goroutine. Ends the program that cannot go well. */
void goro_sanitizer_check(void);

/* Order made by membarrier or by owning a P, which TSan cannot see. */
static inline void san_release(void *addr)
{
	(void)addr;
#if GORO_TSAN
	__tsan_release(addr);
#endif
}

static inline void san_acquire(void *addr)
{
	(void)addr;
#if GORO_TSAN
	__tsan_acquire(addr);
#endif
}

#endif /* GORO_SANITIZER_H */
