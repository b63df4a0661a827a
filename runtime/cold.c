/* SPDX-License-Identifier: MIT */
/*
 * cold.c - a goroutine that is parked for long gives its stack's last page back (GORO_COLD).
 *
 * What it needs of it, mostly some hundred bytes from its stack pointer up, is kept in
 * cold_store.c. The page is taken away, not copied and dropped: UFFDIO_MOVE makes it vanish from
 * the stack and appear in an area of ours, in one step and with its last bytes. It refuses a page
 * that a device or the kernel writes to without asking (a read with O_DIRECT, a buffer registered
 * with io_uring). From then on whoever touches the stack faults: the worker that runs the
 * goroutine, a waker that puts a value there, another goroutine with a pointer, a system call. That
 * fault waits in the kernel until the page is filled again, by the thread below. So to all of them
 * it is like a page that was swapped out.
 *
 *   sysmon    looks at all goroutines now and then; takes pages away, under the hand-shake of
 *             trim.c, with which no worker runs one of them meanwhile
 *   handler   a thread that sleeps until somebody touched something
 *
 * Entries, and the copies that they lead to, are under a lock which only these two take (and a
 * fork, for a store): whoever has it must not wait for the handler, and anybody else's own stack
 * may need a page at any moment. The model is tests/model/cold.pml.
 *
 * For observers a page that is there is always right, and one that is not is in the copy; see
 * goro_introspect.h. The entry is made before the page goes, and goes after the page is back.
 *
 * Arenas are watched when the first stack in them is to be cold: there every first touch of a page
 * is a fault for the handler, unless stack.c has asked for it. Nothing else is slower.
 *
 * While the program forks, the child's memory is no picture of one moment. So sysmon takes nothing
 * then, and the handler brings pages back but lets the copies be until it is over.
 *
 * Rejected:
 *   - write-protecting the page, copying, dropping it (userfaultfd alone): the kernel writes to a
 *     page that it has pinned whatever its protection; what a disk delivers after the copy is lost.
 *     tests/hazards/cold.c has the case;
 *   - a mark in the page table and SIGSEGV (MADV_GUARD_INSTALL): a system call does not get a
 *     signal, it gets EFAULT, so a read() into a buffer on another goroutine's stack fails;
 *   - faults of the program only (UFFD_USER_MODE_ONLY, which needs no permission): the same;
 *   - write-protect marks on what is not there (UFFD_FEATURE_WP_UNPOPULATED): a reader gets zeros;
 *   - the worker brings back the page of whom it is about to run, which is faster: it would hold
 *     the lock on a stack that may need a page from the handler, which waits for the lock;
 *   - faults of forked children (UFFD_EVENT_FORK): fork() then waits for a thread that a debugger
 *     may have stopped. A child gets all pages back at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cold.h"

enum {
	WORTH = 1024, /* bytes to gain at least, of a page */
};

struct cold goro_cold;

uint32_t goro_cold_tid(void)
{
	return __atomic_load_n(&goro_cold.tid, __ATOMIC_RELAXED);
}

/* ---- away ------------------------------------------------------------------------------------
 */

static void put_back(const struct goro_cold_stack *h, size_t pages)
{
	for (size_t i = 0; i < pages * goro_cold.page; i += goro_cold.page)
		if (os_page_move((void *)(uintptr_t)(h->lo + i),
				 (void *)(uintptr_t)(h->moving + i)))
			goro_throw("GORO_COLD: a page that was taken cannot be put back");
}

/* Write what is there. Not by adding 0, which clang makes a load of. */
static void write_to(unsigned char *p)
{
	unsigned char was = __atomic_load_n(p, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(p, &was, was, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

/*
 * From the lowest one up, as many as can be had. A page that was shared with a forked child is not
 * the stack's own until it is written to. And where it is to go there is one already if somebody
 * has touched all of our memory: mlockall(), or a debugger that writes a core file.
 */
static size_t take_pages(const struct goro_cold_stack *h)
{
	size_t at = 0;

	for (; at < h->size; at += goro_cold.page) {
		unsigned char *from = (unsigned char *)(uintptr_t)h->lo + at;
		void *to = (void *)(uintptr_t)(h->moving + at);
		int err = os_page_move(to, from);

		if (err == -EBUSY)
			write_to(from);
		if (err == -EEXIST)
			os_discard(to, goro_cold.page);
		if (err == -EBUSY || err == -EEXIST)
			err = os_page_move(to, from);
		if (err)
			break;
	}
	return at / goro_cold.page;
}

/* What is worth keeping of the pages: from the stack pointer to the last byte that is not zero. */
static size_t end_of(const unsigned char *stage, size_t from, size_t to)
{
	const volatile uint64_t *words = (const volatile uint64_t *)stage;

	for (to /= sizeof(*words); to > from / sizeof(*words) && !words[to - 1];)
		to--;
	return to * sizeof(*words);
}

/* NULL: it is not worth it, or there is no memory. */
static struct goro_cold_stack *make_copy(const struct goro_cold_stack *h, size_t size)
{
	const unsigned char *stage = (const unsigned char *)(uintptr_t)h->moving;
	size_t to = end_of(stage, h->from, size);
	struct goro_cold_stack *c = NULL;

	if (to - h->from + WORTH <= size)
		c = goro_cold_alloc(to - h->from);
	if (!c)
		return NULL;
	*c = (struct goro_cold_stack){
		.lo = h->lo,
		.size = (uint32_t)size,
		.from = h->from,
		.to = (uint32_t)to,
	};
	cold_copy_words(c + 1, stage + h->from, to - h->from);
	__atomic_store_n(&c->seq, ++goro_cold.next_seq, __ATOMIC_RELEASE);
	return c;
}

/* The lock is held. Returns the new entry. */
static uint64_t take_away(struct g *gp, uintptr_t lo, _Atomic uint64_t *entry)
{
	struct goro_cold_stack *h = &goro_cold.notes->moving, *c;
	size_t pages;

	__atomic_store_n(&h->seq, 0, __ATOMIC_RELEASE);
	store_fence();
	h->lo = lo;
	h->moving = (uintptr_t)goro_cold.stage + goro_cold.staged * goro_cold.page;
	h->size = (uint32_t)(gp->stack_hi - lo);
	h->from = (uint32_t)(gp->sp - lo);
	h->to = h->size;
	__atomic_store_n(&h->seq, ++goro_cold.next_seq, __ATOMIC_RELEASE);
	cold_set_entry(entry, (uintptr_t)h);
	pages = take_pages(h);
	goro_cold.staged += pages;
	c = pages ? make_copy(h, pages * goro_cold.page) : NULL;
	if (c)
		return (uintptr_t)c;
	put_back(h, pages);
	return pages ? cold_note_park(gp->park_seq)
		     : cold_note_until((int64_t)coarse_now() + goro_cold.after);
}

/* It cannot run now. Called by trim.c; only sysmon does so. */
void goro_cold_take(struct g *gp)
{
	_Atomic uint64_t *entry = cold_entry_of(cold_arena_at(gp->stack_hi - 1), gp->stack_hi - 1);
	uintptr_t lo = gp->sp & ~(uintptr_t)(goro_cold.page - 1);
	uint64_t now;

	if (!entry)
		return;
	lock_always(&goro_cold.lock);
	now = atomic_load_explicit(entry, memory_order_relaxed);
	if (!cold_is_copy(now)) {
		bool fits = gp->stack_hi - lo <= COLD_PAGES * goro_cold.page &&
			    gp->sp % sizeof(uint64_t) == 0;

		cold_set_entry(entry,
			       fits ? take_away(gp, lo, entry) : cold_note_park(gp->park_seq));
	}
	unlock_always(&goro_cold.lock);
	/* What trim.c left, to be safe from red zones: there is none below a switch. */
	if (gp->sp - lo < TRIM_MARGIN && lo > gp->stack_lo)
		os_discard((void *)(lo - goro_cold.page), goro_cold.page);
}

/* All that were to be taken at once are. */
void goro_cold_taken(void)
{
	if (goro_cold.staged)
		os_discard(goro_cold.stage, goro_cold.staged * goro_cold.page);
	goro_cold.staged = 0;
}

/* ---- begin -----------------------------------------------------------------------------------
 */

static size_t stage_size(void)
{
	return TRIM_BATCH * COLD_PAGES * os_page_size();
}

static bool reserve(void)
{
	const size_t stage = stage_size();
	unsigned char *pages;

	goro_cold.page = os_page_size();
	pages = os_reserve(2 * goro_cold.page);
	goro_cold.stage = os_reserve(stage);
	goro_cold.notes = os_reserve(sizeof(*goro_cold.notes));
	goro_cold.arenas = os_reserve(COLD_ARENAS * sizeof(*goro_cold.arenas));
	goro_cold.arena_of = os_reserve(COLD_ARENAS * sizeof(struct arena *));
	if (!pages || !goro_cold.stage || !goro_cold.notes || !goro_cold.arenas ||
	    !goro_cold.arena_of)
		return false;
	goro_cold.room = pages;
	goro_cold.zero = pages + goro_cold.page;
	os_no_huge_pages(goro_cold.stage, stage);
	return true;
}

static const char *cannot(void)
{
	const char *why;

#if GORO_ASAN || GORO_TSAN
	return "not with a sanitizer, which looks for pointers on stacks while all threads stand";
#endif
	if (!sched.have_membarrier)
		return "the kernel has no membarrier()";
	why = os_faults_open();
	if (why)
		return why;
	if (!reserve())
		return "out of memory";
	return NULL;
}

void goro_cold_init(const char *setting)
{
	char line[320];
	const char *why;
	double seconds;
	char *end;

	if (!setting || !*setting)
		return;
	seconds = strtod(setting, &end);
	if (*end || !(seconds >= 0.001 && seconds <= 1e9))
		goro_throw("GORO_COLD=%.40s: not a number of seconds from 0.001 to 1e9", setting);
	why = cannot();
	if (why) {
		int n = snprintf(line, sizeof(line), "goro: GORO_COLD is left out: %s\n", why);

		os_write(2, line, (size_t)n);
		return;
	}
	goro_introspect.version = GORO_CONTRACT_VERSION_COLD;
	goro_introspect.cold_arena_size = sizeof(*goro_cold.arenas);
	goro_introspect.cold_arenas = (uintptr_t)goro_cold.arenas;
	os_around_fork(goro_cold_before_fork, goro_cold_after_fork, goro_cold_in_child);
	goro_cold.next_pass = INT64_MAX;
	goro_cold.after = (int64_t)(seconds * 1e9);
}

/*
 * Nothing is watched before there is somebody to answer: mlockall() touches all that there is, and
 * would wait for ever.
 */
void goro_cold_start(void)
{
	static const char dropped[] = "goro: GORO_COLD is left out: not in a fork()ed child\n";
	int err = goro_cold.after ? goro_thread_start(goro_cold_handler, NULL, true) : 0;

	if (goro_cold.dropped)
		os_write(2, dropped, sizeof(dropped) - 1);
	if (err)
		goro_throw("GORO_COLD: cannot start a thread: error %d", -err);
	if (goro_cold.after && os_faults_watch(goro_cold.stage, stage_size()))
		goro_throw("GORO_COLD: out of memory");
}
