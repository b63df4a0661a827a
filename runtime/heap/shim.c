/* SPDX-License-Identifier: MIT */
/*
 * shim.c - malloc() and its family, for LD_PRELOAD: the real one does the work, account.c keeps the
 * books. See goro(1), `goro run --heap'.
 *
 * malloc_usable_size() and mallinfo() are not here: objects are the real ones, where and as big as
 * without us. Who asks for memory behind our back, by __libc_malloc() or in a library with a
 * malloc() of its own, gets it; there is no note on it, then, and free() passes it on.
 *
 * How it knows the goroutine: the runtime's contract, found through its ELF note like an observer
 * does, names a function that tells. So no symbol is needed, and the program may be linked with
 * libgoro.a and stripped.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "goro_introspect.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define API	    __attribute__((visibility("default")))

static struct {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t n, size_t size);
	void *(*realloc)(void *p, size_t size);
	void *(*aligned_alloc)(size_t align, size_t size);
	int (*posix_memalign)(void **p, size_t align, size_t size);
	void *(*memalign)(size_t align, size_t size);
	void *(*valloc)(size_t size);
	void *(*pvalloc)(size_t size);
	void (*free)(void *p);
} real;

static _Atomic bool ready;

/* ---- before the real functions are known -------------------------------------------------------
 */

/* dlsym() may allocate, and the real malloc() is what it looks for. This is never given back. */
static _Alignas(16) char early[16384];
static _Atomic size_t early_used;
static __thread bool resolving __attribute__((tls_model("initial-exec")));

static bool is_early(const void *p)
{
	return (uintptr_t)p - (uintptr_t)early < sizeof early;
}

/* Each piece has its size in front. */
static void *early_alloc(size_t size)
{
	size_t need = (size + 31) & ~(size_t)15, at;

	if (size > sizeof early)
		return NULL;
	at = atomic_fetch_add(&early_used, need);
	if (at + need > sizeof early)
		return NULL;
	memcpy(early + at, &size, sizeof size);
	return early + at + 16;
}

static void *early_move(const void *p, size_t size)
{
	void *to = malloc(size);
	size_t old;

	memcpy(&old, (const char *)p - 16, sizeof old);
	if (to)
		memcpy(to, p, old < size ? old : size);
	return to;
}

/* ---- finding the real functions, and the runtime
 * -------------------------------------------------
 */

static struct goro_introspect *runtime;

static void complain(const char *why)
{
	fprintf(stderr, "goro: run: %s: its heap is not counted: %s\n",
		program_invocation_short_name, why);
}

/* The address that a note of the runtime's in this segment points to. */
static uintptr_t search(const char *notes, size_t size)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *nh = (const void *)notes;
		size_t name = (nh->n_namesz + 3u) & ~3u, desc = (nh->n_descsz + 3u) & ~3u;
		const char *at = notes + sizeof *nh + name;
		int64_t distance;

		if (name + desc + sizeof *nh > size)
			return 0;
		if (nh->n_type == GORO_NOTE_TYPE && nh->n_namesz == sizeof GORO_NOTE_OWNER &&
		    nh->n_descsz == sizeof distance && !strcmp(at - name, GORO_NOTE_OWNER)) {
			memcpy(&distance, at, sizeof distance);
			return (uintptr_t)at + (uintptr_t)distance;
		}
		notes += name + desc + sizeof *nh;
		size -= name + desc + sizeof *nh;
	}
	return 0;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *ret)
{
	uintptr_t *found = ret;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum && !*found; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_NOTE)
			*found = search((const char *)(info->dlpi_addr + ph->p_vaddr), ph->p_memsz);
	}
	return *found != 0;
}

/* It is there before it starts, which fills it in; the cookie comes last. */
void account_find_runtime(void)
{
	static _Atomic bool found;
	const struct goro_field *fields;
	uint64_t cookie;

	if (!runtime || atomic_load_explicit(&found, memory_order_relaxed))
		return;
	memcpy(&cookie, GORO_CONTRACT_COOKIE, sizeof cookie);
	if (__atomic_load_n((uint64_t *)(void *)runtime->cookie, __ATOMIC_ACQUIRE) != cookie ||
	    atomic_exchange(&found, true))
		return;
	if (runtime->version != GORO_CONTRACT_VERSION ||
	    runtime->size < offsetof(struct goro_introspect, current_g) + 8 ||
	    !runtime->current_g) {
		complain("its libgoro is too old");
		return;
	}
	fields = (const struct goro_field *)(uintptr_t)runtime->fields;
	account_runtime((uint64_t(*)(void))(uintptr_t)runtime->current_g,
			fields[GORO_FIELD_g_id].offset, fields[GORO_FIELD_g_spawn_pc].offset);
}

/* glibc's chunks are 32 bytes at least; of others nothing is known but that they are aligned. */
static unsigned distance_of_objects(void)
{
	void *glibc = dlsym(RTLD_DEFAULT, "__libc_malloc");

	return glibc && glibc == (void *)real.malloc ? 5 : 3;
}

static void resolve(void)
{
#define REAL(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name);
	if (resolving)
		return;
	resolving = true;
	REAL(malloc)
	REAL(calloc)
	REAL(realloc)
	REAL(aligned_alloc)
	REAL(posix_memalign)
	REAL(memalign)
	REAL(valloc)
	REAL(pvalloc)
	REAL(free)
	if (!atomic_load(&ready)) {
		account_open(distance_of_objects());
		atomic_store_explicit(&ready, true, memory_order_release);
	}
	resolving = false;
#undef REAL
}

static inline bool begin(void)
{
	if (unlikely(!atomic_load_explicit(&ready, memory_order_acquire)))
		resolve();
	return likely(!resolving);
}

/* A program that defines malloc() itself does not come to us. */
static bool is_bypassed(void)
{
	Dl_info its, ours;

	return dladdr(dlsym(RTLD_DEFAULT, "malloc"), &its) && dladdr(&real, &ours) &&
	       its.dli_fbase != ours.dli_fbase;
}

__attribute__((constructor)) static void start(void)
{
	uintptr_t found = 0;

	if (!begin())
		return;
	dl_iterate_phdr(look_at, &found);
	runtime = (struct goro_introspect *)found;
	if (runtime && is_bypassed()) {
		account_bypassed();
		complain("it has a malloc() of its own");
	}
	account_find_runtime();
}

/* ---- the family
 * ----------------------------------------------------------------------------------
 */

API void *malloc(size_t size)
{
	void *p;

	if (unlikely(!begin()))
		return early_alloc(size);
	p = real.malloc(size);
	if (likely(p))
		account_add(p, size);
	return p;
}

API void *calloc(size_t n, size_t size)
{
	void *p;

	if (unlikely(!begin())) /* what is early is zero, and used once */
		return size && n > sizeof early / size ? NULL : early_alloc(n * size);
	p = real.calloc(n, size);
	if (likely(p))
		account_add(p, n * size);
	return p;
}

API void free(void *p)
{
	note n;

	if (!p || unlikely(is_early(p)) || unlikely(!begin()))
		return;
	n = account_take(p);
	if (likely(n))
		account_freed(n);
	real.free(p);
}

/*
 * The note goes before the object may be another's. What was moved or grew is a new allocation, and
 * whose it is now is who asked for that.
 */
API void *realloc(void *p, size_t size)
{
	void *moved;
	note n;

	if (!p)
		return malloc(size);
	if (unlikely(is_early(p)))
		return early_move(p, size);
	if (unlikely(!begin()))
		return NULL;
	n = account_take(p);
	moved = real.realloc(p, size);
	if (!moved && size) { /* it failed, and p is as before */
		account_return(p, n);
		return NULL;
	}
	if (likely(n))
		account_freed(n);
	if (likely(moved))
		account_add(moved, size);
	return moved;
}

API void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

API int posix_memalign(void **p, size_t align, size_t size)
{
	int err = unlikely(!begin()) ? ENOMEM : real.posix_memalign(p, align, size);

	if (likely(!err))
		account_add(*p, size);
	return err;
}

#define ALIGNED(name)                                                         \
	API void *name(size_t align, size_t size)                             \
	{                                                                     \
		void *p = unlikely(!begin()) ? NULL : real.name(align, size); \
                                                                              \
		if (likely(p))                                                \
			account_add(p, size);                                 \
		return p;                                                     \
	}

ALIGNED(aligned_alloc)
ALIGNED(memalign)

#define PAGES(name)                                                    \
	API void *name(size_t size)                                    \
	{                                                              \
		void *p = unlikely(!begin()) ? NULL : real.name(size); \
                                                                       \
		if (likely(p))                                         \
			account_add(p, size);                          \
		return p;                                              \
	}

PAGES(valloc)
PAGES(pvalloc)

/* C23: the sizes are for who can use them. */
API void free_sized(void *p, size_t size);
API void free_aligned_sized(void *p, size_t align, size_t size);

API void free_sized(void *p, size_t size)
{
	(void)size;
	free(p);
}

API void free_aligned_sized(void *p, size_t align, size_t size)
{
	(void)align, (void)size;
	free(p);
}
