/* SPDX-License-Identifier: MIT */
/*
 * account.c - the books: shadow, accounts, and what becomes of the account of a goroutine that
 * ends.
 *
 * The way of each malloc() and free() is a handful of plain loads and stores, for an object that
 * another goroutine frees two atomic additions. Nothing is locked, so a fork() finds nothing
 * locked.
 *
 * Nobody tells us that a goroutine has ended. The next one that allocates in the same record finds
 * the account of the one before it, and closes it, or, if objects are left, turns `left` from a
 * biased difference into their number; then whoever frees the last one closes it.
 */
#define _GNU_SOURCE
#include "account.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "goro_introspect.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum {
	SIZE_BITS = 42, /* of a note: 4 TiB */
	LEAF_BITS = 26,
	ADDRESS_BITS = 47,
	NLEAVES = 1 << (ADDRESS_BITS - LEAF_BITS),
	MAX_ACCOUNTS = 1 << (64 - SIZE_BITS),
	MIN_ACCOUNTS = 4096,
	STRIPES = 32, /* accounts 1 to 32 are of no goroutine: threads spread over them */
	SITES = 4096,
	PROBES = 64,
};

#define SIZE_MASK ((UINT64_C(1) << SIZE_BITS) - 1)
#define NO_LEAF	  ((note *)1) /* there was no memory for it */

typedef struct goro_heap_account account;

static note *_Atomic leaves[NLEAVES];
static struct goro_heap_closed sites[SITES];
static account *accounts;
static uint32_t max_accounts;
static unsigned granule;

/* Numbers of accounts not in use: the first one below, a count of changes above. */
static _Atomic uint64_t unused;

static uint64_t (*_Atomic current)(void);
static size_t id_at, spawn_pc_at;

static _Atomic uint32_t nthreads;
static __thread uint32_t stripe __attribute__((tls_model("initial-exec")));

__attribute__((visibility("default"))) struct goro_heap_contract goro_heap_contract = {
	.version = GORO_HEAP_VERSION
};
extern struct goro_heap_contract our_contract
	__attribute__((alias("goro_heap_contract"), visibility("hidden")));

/* As the runtime's, see introspect.c there. */
__asm__(".pushsection .note.goro, \"a\", @note\n\t"
	".balign 4\n\t"
	".long 5\n\t"
	".long 8\n\t"
	".long 2\n\t" /* GORO_HEAP_NOTE_TYPE */
	".asciz \"GORO\"\n\t"
	".balign 4\n\t"
	"1: .quad our_contract - 1b\n\t"
	".popsection");

_Static_assert(sizeof(account) == 128, "a line for the owner, a line for the others");

/* ---- memory ------------------------------------------------------------------------------------
 */

static void *reserve(size_t size)
{
	int before = errno;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED)
		madvise(p, size, MADV_NOHUGEPAGE); /* few of its pages are ever touched */
	errno = before;
	return p == MAP_FAILED ? NULL : p;
}

static note *new_leaf(note *_Atomic *at)
{
	const size_t size = (sizeof(note) << LEAF_BITS) >> granule;
	note *leaf = reserve(size), *other = NULL;
	int before = errno;

	if (leaf)
		madvise(leaf, size, MADV_DONTDUMP); /* a core file's reader wants the accounts */
	else
		leaf = NO_LEAF;
	if (!atomic_compare_exchange_strong(at, &other, leaf)) {
		if (leaf != NO_LEAF)
			munmap(leaf, size);
		leaf = other;
	}
	errno = before;
	return leaf;
}

/* The note on what begins at that address; NULL: there can be none. */
static inline note *note_of(uintptr_t address)
{
	note *_Atomic *at = &leaves[address >> LEAF_BITS & (NLEAVES - 1)];
	note *leaf;

	if (unlikely(address >> ADDRESS_BITS))
		return NULL;
	leaf = atomic_load_explicit(at, memory_order_acquire);
	if (unlikely(!leaf))
		leaf = new_leaf(at);
	if (unlikely(leaf == NO_LEAF))
		return NULL;
	return &leaf[(address & ((UINT64_C(1) << LEAF_BITS) - 1)) >> granule];
}

/* As note_of(), but nothing is made: where there is no leaf there is no note. */
static inline note *old_note_of(uintptr_t address)
{
	note *leaf = atomic_load_explicit(&leaves[address >> LEAF_BITS & (NLEAVES - 1)],
					  memory_order_acquire);

	if (unlikely(address >> ADDRESS_BITS) || unlikely(!leaf) || unlikely(leaf == NO_LEAF))
		return NULL;
	return &leaf[(address & ((UINT64_C(1) << LEAF_BITS) - 1)) >> granule];
}

/* ---- accounts ----------------------------------------------------------------------------------
 */

/* Only the owner writes these; an observer reads them at any time. */
static inline void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void count_shared(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static struct goro_heap_closed *site_of(uint64_t spawn_pc)
{
	uint64_t h = spawn_pc * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	for (unsigned i = 0; spawn_pc && i < PROBES; i++) {
		struct goro_heap_closed *s = &sites[1 + (h + i) % (SITES - 1)];
		uint64_t found = __atomic_load_n(&s->spawn_pc, __ATOMIC_RELAXED);

		if (!found && __atomic_compare_exchange_n(&s->spawn_pc, &found, spawn_pc, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return s;
		if (found == spawn_pc)
			return s;
	}
	return &sites[0];
}

/* Its goroutine has ended and nothing is left: only the sums stay. */
static void settle(account *a)
{
	struct goro_heap_closed *s = site_of(a->spawn_pc);

	/* First out, then in: who reads in between misses it rather than counting it twice. */
	__atomic_store_n(&a->id, 0, __ATOMIC_RELEASE);
	count_shared(&s->bytes, a->bytes);
	count_shared(&s->objects, a->objects);
}

static void put_unused(account *a)
{
	const uint64_t number = (uint64_t)(a - accounts);
	uint64_t head = atomic_load_explicit(&unused, memory_order_relaxed), new;

	do {
		__atomic_store_n(&a->next, (uint32_t)head, __ATOMIC_RELAXED);
		new = ((head >> 32) + 1) << 32 | number;
	} while (!atomic_compare_exchange_weak_explicit(&unused, &head, new, memory_order_release,
							memory_order_relaxed));
}

/* The count above keeps a head that went and came back from being taken for the same. */
static account *take_unused(void)
{
	uint64_t head = atomic_load_explicit(&unused, memory_order_acquire), new;

	do {
		if (!(uint32_t)head)
			return NULL;
		new = ((head >> 32) + 1) << 32 |
		      __atomic_load_n(&accounts[(uint32_t)head].next, __ATOMIC_RELAXED);
	} while (!atomic_compare_exchange_weak_explicit(&unused, &head, new, memory_order_acquire,
							memory_order_acquire));
	return &accounts[(uint32_t)head];
}

static account *new_account(void)
{
	account *a = take_unused();
	uint32_t n;

	if (a)
		return a;
	n = __atomic_load_n(&our_contract.account_count, __ATOMIC_RELAXED);
	do {
		if (n == max_accounts)
			return NULL;
	} while (!__atomic_compare_exchange_n(&our_contract.account_count, &n, n + 1, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return &accounts[n];
}

static void start(account *a, uint64_t id, uint64_t spawn_pc)
{
	__atomic_store_n(&a->bytes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->objects, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->own_freed_bytes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->own_freed_objects, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->freed_bytes, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&a->left, GORO_HEAP_BIAS, __ATOMIC_RELAXED);
	__atomic_store_n(&a->spawn_pc, spawn_pc, __ATOMIC_RELAXED);
	__atomic_store_n(&a->id, id, __ATOMIC_RELEASE);
}

/* Its goroutine has ended. True: the account is empty, and the caller's. */
static bool end(account *a)
{
	const uint64_t held = a->objects - a->own_freed_objects;
	const uint64_t change = held - GORO_HEAP_BIAS;

	if (__atomic_add_fetch(&a->left, change, __ATOMIC_ACQ_REL))
		return false;
	settle(a);
	return true;
}

static account *outside(void)
{
	if (unlikely(!stripe))
		stripe =
			1 + atomic_fetch_add_explicit(&nthreads, 1, memory_order_relaxed) % STRIPES;
	return &accounts[stripe];
}

/* The first allocation of a goroutine. `n` is the note on its record. */
static account *first_time(note *n, uint64_t record, uint64_t id)
{
	account *a = NULL;

	if (*n) {
		a = &accounts[*n >> SIZE_BITS];
		if (!end(a))
			a = NULL;
	}
	if (!a)
		a = new_account();
	*n = 0;
	if (!a)
		return NULL;
	start(a, id, *(const uint64_t *)(record + spawn_pc_at));
	*n = (uint64_t)(a - accounts) << SIZE_BITS;
	return a;
}

/* The id of the calling goroutine and its record; 0: there is none. */
static inline uint64_t caller(uint64_t *record)
{
	uint64_t (*f)(void) = atomic_load_explicit(&current, memory_order_acquire);

	if (unlikely(!f)) {
		account_find_runtime();
		f = atomic_load_explicit(&current, memory_order_acquire);
	}
	*record = likely(f) ? f() : 0;
	return *record ? *(const uint64_t *)(*record + id_at) : 0;
}

/* The account of the caller. *shared: others add to it too. */
static inline account *mine(bool *shared)
{
	uint64_t record, id = caller(&record);
	account *a = NULL;
	note *n;

	*shared = false;
	if (likely(id) && likely(n = note_of(record))) {
		a = &accounts[*n >> SIZE_BITS];
		if (unlikely(!*n) || unlikely(a->id != id))
			a = first_time(n, record, id);
		if (likely(a))
			return a;
	}
	*shared = true;
	return outside();
}

/* ---- what happens to objects -------------------------------------------------------------------
 */

void account_freed(note n)
{
	account *a = &accounts[n >> SIZE_BITS];
	uint64_t record;

	if (likely(caller(&record) == a->id)) {
		count(&a->own_freed_bytes, n & SIZE_MASK);
		count(&a->own_freed_objects, 1);
		return;
	}
	count_shared(&a->freed_bytes, n & SIZE_MASK);
	if (__atomic_fetch_sub(&a->left, 1, __ATOMIC_ACQ_REL) == 1) {
		settle(a);
		put_unused(a);
	}
}

void account_add(const void *object, size_t size)
{
	note *at, old;
	account *a;
	bool shared;

	if (unlikely(!accounts))
		return;
	at = note_of((uintptr_t)object);
	if (unlikely(!at)) {
		count_shared(&our_contract.unknown, 1);
		return;
	}
	old = *at;
	if (unlikely(old)) /* it was freed by a way that does not lead through us */
		account_freed(old);
	a = mine(&shared);
	if (likely(!shared)) {
		count(&a->bytes, size & SIZE_MASK);
		count(&a->objects, 1);
	} else {
		count_shared(&a->bytes, size & SIZE_MASK);
		count_shared(&a->objects, 1);
	}
	*at = (uint64_t)(a - accounts) << SIZE_BITS | (size & SIZE_MASK);
}

note account_take(const void *object)
{
	note *at = old_note_of((uintptr_t)object), n;

	if (unlikely(!at))
		return 0;
	n = *at;
	*at = 0;
	return n;
}

void account_return(const void *object, note n)
{
	note *at = old_note_of((uintptr_t)object);

	if (at)
		*at = n;
}

/* ---- start -------------------------------------------------------------------------------------
 */

bool account_open(unsigned shift)
{
	struct goro_heap_contract *c = &our_contract;

	granule = shift;
	max_accounts = MAX_ACCOUNTS;
	while (!(accounts = reserve(max_accounts * sizeof *accounts))) {
		max_accounts /= 2;
		if (max_accounts < MIN_ACCOUNTS)
			return false;
	}
	for (unsigned i = 1; i <= STRIPES; i++)
		start(&accounts[i], GORO_HEAP_OUTSIDE, 0);
	c->size = sizeof *c;
	c->accounts = (uintptr_t)accounts;
	c->account_size = sizeof *accounts;
	c->account_count = STRIPES + 1;
	c->sites = (uintptr_t)sites;
	c->site_size = sizeof *sites;
	c->site_count = SITES;
	for (unsigned i = 0; i < sizeof c->cookie; i++)
		__atomic_store_n(&c->cookie[i], GORO_HEAP_COOKIE[i], __ATOMIC_RELEASE);
	return true;
}

void account_runtime(uint64_t (*f)(void), size_t id, size_t spawn_pc)
{
	id_at = id;
	spawn_pc_at = spawn_pc;
	atomic_store_explicit(&current, f, memory_order_release);
}

void account_bypassed(void)
{
	our_contract.bypassed = 1;
}
