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
#include "stack.h"

enum {
	PAGES = 4, /* of a stack; what is deeper is left alone */
	ARENAS_MAX = 32768,
	LATE_MAX = 65536,
	RECORDS_A_TURN = 1024,
	COLD_A_TURN = 256, /* a microsecond or two each */
	WORTH = 1024,	   /* bytes to gain at least, of a page */
	PASS_SHARE = 50,   /* of the time, to look at all goroutines */
};

/* An entry: 0, the address of a copy, or a note that is odd. */
enum { NOTE_TIME = 1, NOTE_PARK = 3, NOTE_BITS = 2 };

/* What tells where stacks are lies in memory of the runtime's own: it is not what keeps anybody. */
struct notes {
	struct goro_cold_stack moving; /* the one that is being taken away */
	struct os_faults faults;
	_Atomic uint64_t *late[LATE_MAX]; /* brought back, but the copy is still there */
	uint32_t nlate;
};

static struct {
	int64_t after; /* ns; 0: off */
	uint32_t tid;
	uint32_t lock;	    /* entries and copies */
	uint32_t fork_lock; /* to take pages away, or to fork; comes before the other */
	bool forking;	    /* lock */
	uint64_t next_seq;
	size_t page;
	unsigned char *stage, *zero, *room; /* room: to put a page together */
	size_t staged;			    /* pages in use there */
	struct notes *notes;
	struct goro_cold_arena *arenas;
	struct arena **arena_of; /* the same, as stack.c knows them */

	/* sysmon's notes of its pass */
	uint64_t at, count, seen_nswitch;
	int64_t next_pass, due, cost;
	int taken;
} cold;

uint32_t goro_cold_tid(void)
{
	return __atomic_load_n(&cold.tid, __ATOMIC_RELAXED);
}

/* ---- entries ---------------------------------------------------------------------------------
 */

static bool is_copy(uint64_t entry)
{
	return entry && !(entry & 1);
}

static struct arena *arena_at(uintptr_t addr)
{
	return (struct arena *)(addr & ~(uintptr_t)(ARENA_SIZE - 1));
}

/* Of the slot that contains addr, in an arena that is watched; else NULL. */
static _Atomic uint64_t *entry_of(struct arena *a, uintptr_t addr)
{
	_Atomic uint64_t *copies = __atomic_load_n(&a->copies, __ATOMIC_ACQUIRE);
	uintptr_t first = (uintptr_t)a + a->slot_size;

	return copies && addr >= first ? &copies[(addr - first) / a->slot_size] : NULL;
}

static struct goro_cold_stack *copy_of(uint64_t entry)
{
	return (struct goro_cold_stack *)(uintptr_t)entry;
}

static uint64_t note_until(int64_t when)
{
	return (uint64_t)(when / GORO_MILLISECOND) << NOTE_BITS | NOTE_TIME;
}

static uint64_t note_park(uint32_t seq)
{
	return (uint64_t)seq << NOTE_BITS | NOTE_PARK;
}

static void set_entry(_Atomic uint64_t *entry, uint64_t to)
{
	atomic_store_explicit(entry, to, memory_order_release);
}

/* ---- back ------------------------------------------------------------------------------------
 */

/* The lock is held. The page is back, and may have been written to since. */
static void drop_copy(_Atomic uint64_t *entry)
{
	struct goro_cold_stack *c = copy_of(atomic_load_explicit(entry, memory_order_relaxed));

	set_entry(entry, note_until((int64_t)coarse_now() + cold.after));
	/* Who reads it from outside sees that it is not what it was. */
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELEASE);
	store_fence();
	goro_cold_free(c);
}

/*
 * Words of stacks pass through one register, which is used again at once. memcpy() would leave them
 * in those for vectors, where whoever looks for pointers would take them for ours.
 */
static void copy_words(void *to, const void *from, size_t bytes)
{
	const volatile uint64_t *w = from;

	for (size_t i = 0; i < bytes / sizeof(*w); i++)
		((volatile uint64_t *)to)[i] = w[i];
}

/* The lock is held. 0, or -errno: some of it may be missing still. */
static int bring_back(const struct goro_cold_stack *c)
{
	const unsigned char *bytes = (const unsigned char *)(c + 1);

	for (size_t at = 0; at < c->size; at += cold.page) {
		size_t lo = c->from > at ? c->from : at;
		size_t hi = c->to < at + cold.page ? c->to : at + cold.page;
		int err;

		memset(cold.room, 0, cold.page);
		if (lo < hi)
			copy_words(cold.room + (lo - at), bytes + (lo - c->from), hi - lo);
		err = os_page_fill((void *)(uintptr_t)(c->lo + at), cold.room);
		if (err)
			return err;
	}
	return 0;
}

/* The lock is held. */
static int answer(uintptr_t page, _Atomic uint64_t *entry)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	struct notes *notes = cold.notes;
	int err;

	if (!is_copy(e) || page - copy_of(e)->lo >= copy_of(e)->size)
		return os_page_fill((void *)page, cold.zero);
	if (cold.forking && notes->nlate == LATE_MAX)
		return -EAGAIN;
	err = bring_back(copy_of(e));
	if (!err && cold.forking)
		notes->late[notes->nlate++] = entry;
	else if (!err)
		drop_copy(entry);
	return err;
}

/* The area that pages are moved to is watched, too, but nobody has a reason to look there. */
static bool is_staged(uintptr_t page)
{
	return page - (uintptr_t)cold.stage < TRIM_BATCH * PAGES * cold.page;
}

/* Somebody waits in the kernel for this address. */
static void handle(uintptr_t addr)
{
	uintptr_t page = addr & ~(uintptr_t)(cold.page - 1);
	_Atomic uint64_t *entry = is_staged(page) ? NULL : entry_of(arena_at(page), page);
	int err;

	if (is_staged(page))
		os_page_fill((void *)page, cold.zero);
	if (!entry)
		return;
	do {
		lock_always(&cold.lock);
		err = answer(page, entry);
		unlock_always(&cold.lock);
		/* Else the kernel would look for somebody to kill. */
		if (err == -ENOMEM || err == -EAGAIN)
			os_sleep(GORO_MILLISECOND);
	} while (err == -ENOMEM || err == -EAGAIN);
}

/* Copies that were let be while the program forked. True: there are some still. */
static bool drop_late(void)
{
	struct notes *notes = cold.notes;

	if (!notes->nlate)
		return false;
	lock_always(&cold.lock);
	while (!cold.forking && notes->nlate)
		drop_copy(notes->late[--notes->nlate]);
	unlock_always(&cold.lock);
	return notes->nlate;
}

static void handler(void *unused)
{
	struct os_faults *f = &cold.notes->faults;

	(void)unused;
	__atomic_store_n(&cold.tid, os_tid(), __ATOMIC_RELAXED);
	os_faults_apart();
	for (;;) {
		int n = os_faults_wait(f, drop_late() ? GORO_MILLISECOND : -1);

		if (n < 0)
			goro_throw("GORO_COLD: the descriptor of faults is gone: error %d", -n);
		for (int i = 0; i < n; i++)
			handle(f->at[i]);
	}
}

/* A page of a new stack, so that its first touch is no fault for the handler. */
void goro_cold_first_page(uintptr_t hi)
{
	if (__atomic_load_n(&arena_at(hi - 1)->copies, __ATOMIC_ACQUIRE))
		os_page_fill((void *)(hi - cold.page), cold.zero);
}

/* ---- away ------------------------------------------------------------------------------------
 */

static void put_back(const struct goro_cold_stack *h, size_t pages)
{
	for (size_t i = 0; i < pages * cold.page; i += cold.page)
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
 * the stack's own until it is written to.
 */
static size_t take_pages(const struct goro_cold_stack *h)
{
	size_t at = 0;

	for (; at < h->size; at += cold.page) {
		unsigned char *from = (unsigned char *)(uintptr_t)h->lo + at;
		void *to = (void *)(uintptr_t)(h->moving + at);
		int err = os_page_move(to, from);

		if (err == -EBUSY) {
			write_to(from);
			err = os_page_move(to, from);
		}
		if (err)
			break;
	}
	return at / cold.page;
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
	copy_words(c + 1, stage + h->from, to - h->from);
	__atomic_store_n(&c->seq, ++cold.next_seq, __ATOMIC_RELEASE);
	return c;
}

/* The lock is held. Returns the new entry. */
static uint64_t take_away(struct g *gp, uintptr_t lo, _Atomic uint64_t *entry)
{
	struct goro_cold_stack *h = &cold.notes->moving, *c;
	size_t pages;

	__atomic_store_n(&h->seq, 0, __ATOMIC_RELEASE);
	store_fence();
	h->lo = lo;
	h->moving = (uintptr_t)cold.stage + cold.staged * cold.page;
	h->size = (uint32_t)(gp->stack_hi - lo);
	h->from = (uint32_t)(gp->sp - lo);
	h->to = h->size;
	__atomic_store_n(&h->seq, ++cold.next_seq, __ATOMIC_RELEASE);
	set_entry(entry, (uintptr_t)h);
	pages = take_pages(h);
	cold.staged += pages;
	c = pages ? make_copy(h, pages * cold.page) : NULL;
	if (c)
		return (uintptr_t)c;
	put_back(h, pages);
	return pages ? note_park(gp->park_seq) : note_until((int64_t)coarse_now() + cold.after);
}

/* It cannot run now. Called by trim.c; only sysmon does so. */
void goro_cold_take(struct g *gp)
{
	_Atomic uint64_t *entry = entry_of(arena_at(gp->stack_hi - 1), gp->stack_hi - 1);
	uintptr_t lo = gp->sp & ~(uintptr_t)(cold.page - 1);
	uint64_t now;

	if (!entry)
		return;
	lock_always(&cold.lock);
	now = atomic_load_explicit(entry, memory_order_relaxed);
	if (!is_copy(now)) {
		bool fits = gp->stack_hi - lo <= PAGES * cold.page &&
			    gp->sp % sizeof(uint64_t) == 0;

		set_entry(entry, fits ? take_away(gp, lo, entry) : note_park(gp->park_seq));
	}
	unlock_always(&cold.lock);
	/* What trim.c left, to be safe from red zones: there is none below a switch. */
	if (gp->sp - lo < TRIM_MARGIN && lo > gp->stack_lo)
		os_discard((void *)(lo - cold.page), cold.page);
}

/* All that were to be taken at once are. */
void goro_cold_taken(void)
{
	if (cold.staged)
		os_discard(cold.stage, cold.staged * cold.page);
	cold.staged = 0;
}

/* ---- who -------------------------------------------------------------------------------------
 */

/* The table of its copies, for us and for observers. False: no memory. */
static bool make_entries(struct arena *a, size_t slot_size)
{
	uint32_t n = goro_introspect.cold_arena_count;
	size_t slots = ARENA_SIZE / slot_size - 1;
	uint64_t *copies = n < ARENAS_MAX ? os_reserve(slots * sizeof(*copies)) : NULL;

	if (!copies)
		return false;
	cold.arenas[n] = (struct goro_cold_arena){
		.lo = (uintptr_t)a + slot_size,
		.hi = (uintptr_t)a + ARENA_SIZE,
		.copies = (uintptr_t)copies,
		.slot_size = slot_size,
	};
	cold.arena_of[n] = a;
	a->slot_size = slot_size;
	/* Before the first fault: the handler finds it there. */
	__atomic_store_n(&a->copies, (_Atomic uint64_t *)copies, __ATOMIC_RELEASE);
	__atomic_store_n(&goro_introspect.cold_arena_count, n + 1, __ATOMIC_RELEASE);
	return true;
}

/* Not now: an observer has marks of its own there. Not at all: there are too many mappings. */
static enum cold_state watch(struct arena *a, size_t slot_size)
{
	int err = a->copies || make_entries(a, slot_size) ? 0 : -ENOMEM;

	if (!err)
		err = os_faults_watch((char *)a + slot_size, ARENA_SIZE - slot_size);
	return !err ? COLD_WATCHED : err == -EBUSY ? COLD_NOT_YET : COLD_NEVER;
}

/* A goroutine as it is parked, and its stack. */
struct parked {
	uint32_t seq;
	uintptr_t hi;
	size_t slot_size;
};

static bool is_parked(struct g *gp)
{
	uint32_t status = atomic_load_explicit(&gp->status, memory_order_acquire);

	return GORO_STATUS_STATE(status) == GORO_STATE_WAITING;
}

/* It may run meanwhile, or end and be another: then the number of its park has changed. */
static bool see(struct g *gp, struct parked *p)
{
	p->seq = __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE);
	if (!is_parked(gp))
		return false;
	p->hi = __atomic_load_n(&gp->stack_hi, __ATOMIC_ACQUIRE);
	p->slot_size = p->hi - __atomic_load_n(&gp->stack_lo, __ATOMIC_ACQUIRE) + GUARD_SIZE;
	return is_parked(gp) && __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE) == p->seq &&
	       goro_stack_is_ours(p->hi) && p->slot_size <= RUN_SIZE;
}

/* When may it be cold? INT64_MAX: not while it is parked as it is. */
static int64_t due_of(struct g *gp, const struct parked *p)
{
	int64_t due = (int64_t)__atomic_load_n(&gp->park_time, __ATOMIC_RELAXED) + cold.after;
	_Atomic uint64_t *entry = entry_of(arena_at(p->hi - 1), p->hi - 1);
	uint64_t e = entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
	int64_t until = (int64_t)(e >> NOTE_BITS) * GORO_MILLISECOND;

	if (is_copy(e) || e == note_park(p->seq))
		return INT64_MAX;
	return (e & NOTE_PARK) == NOTE_TIME && until > due ? until : due;
}

static void look_at(struct g *gp, int64_t now)
{
	struct parked p;
	struct arena *a;
	int64_t due;

	if (!see(gp, &p))
		return;
	a = arena_at(p.hi - 1);
	due = a->watch == COLD_NEVER ? INT64_MAX : due_of(gp, &p);
	if (due <= now && a->watch == COLD_NOT_YET)
		a->watch = watch(a, p.slot_size);
	if (due <= now && a->watch == COLD_WATCHED) {
		cold.taken++;
		goro_trim_candidate(gp, p.seq, true);
		return;
	}
	if (due <= now)
		due = a->watch == COLD_NEVER ? INT64_MAX : now + cold.after;
	cold.due = due < cold.due ? due : cold.due;
}

static bool something_ran(void)
{
	uint64_t n = 0;
	bool ran;

	for (int i = 0; i < sched.nprocs; i++)
		n += atomic_load_explicit(&goro_ps[i]->nswitch, memory_order_relaxed);
	ran = n != cold.seen_nswitch;
	cold.seen_nswitch = n;
	return ran;
}

static void look_at_some(int64_t now)
{
	int64_t start = os_now();

	cold.taken = 0;
	for (int i = 0; i < RECORDS_A_TURN && cold.at < cold.count && cold.taken < COLD_A_TURN; i++)
		look_at(goro_g_by_index(cold.at++), now);
	goro_trim_flush();
	cold.cost += os_now() - start;
}

/* Called by sysmon at every tick. Returns when there is more to do. */
int64_t goro_cold_tick(int64_t now)
{
	if (!cold.after)
		return INT64_MAX;
	if (something_ran() && cold.next_pass > now + cold.after)
		cold.next_pass = now + cold.after;
	if (cold.at == cold.count) {
		if (now < cold.next_pass)
			return cold.next_pass;
		cold.at = 0;
		cold.count = goro_g_count();
		cold.cost = 0;
		cold.due = INT64_MAX;
	}
	if (__atomic_exchange_n(&cold.fork_lock, 1, __ATOMIC_ACQUIRE))
		return now; /* it forks */
	look_at_some(now);
	unlock_always(&cold.fork_lock);
	if (cold.at < cold.count)
		return now;
	now += PASS_SHARE * cold.cost;
	cold.next_pass = cold.due > now ? cold.due : now;
	return cold.next_pass;
}

/* ---- fork ------------------------------------------------------------------------------------
 */

/* The page of the stack below us is there afterwards. */
static noinline void touch_stack(void)
{
	char bytes[2048];

	memset(bytes, 0, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

/*
 * The handler waits for whoever has the lock. So it is held for no longer than a store, on a stack
 * that needs no other page, and by nobody whom a signal takes away.
 */
static void set_forking(bool to)
{
	uint64_t signals = os_signals_block();

	touch_stack();
	lock_always(&cold.lock);
	cold.forking = to;
	unlock_always(&cold.lock);
	os_signals_restore(signals);
}

static void before_fork(void)
{
	lock_always(&cold.fork_lock);
	set_forking(true);
}

static void after_fork(void)
{
	set_forking(false);
	unlock_always(&cold.fork_lock);
}

/* A page that came back while the program forked may be there. */
static void restore(const struct goro_cold_stack *c)
{
	unsigned char *to = (unsigned char *)(uintptr_t)c->lo;
	const unsigned char *from = (const unsigned char *)(c + 1);

	for (size_t at = 0, end; at < c->size; at = end) {
		size_t lo = c->from > at ? c->from : at, hi;
		bool there = false;

		end = at + cold.page;
		hi = c->to < end ? c->to : end;
		for (size_t i = at; i < end && !there; i++)
			there = to[i];
		if (!there && lo < hi)
			memcpy(to + lo, from + (lo - c->from), hi - lo);
	}
}

/* Nobody watches the pages of a child. */
static void in_child(void)
{
	for (uint32_t i = 0; i < goro_introspect.cold_arena_count; i++) {
		struct goro_cold_arena *o = &cold.arenas[i];
		uint64_t *copies = (uint64_t *)(uintptr_t)o->copies;

		for (size_t k = 0; k < (o->hi - o->lo) / o->slot_size; k++) {
			if (is_copy(copies[k]))
				restore(copy_of(copies[k]));
			copies[k] = 0;
		}
		cold.arena_of[i]->copies = NULL;
	}
	goro_introspect.cold_arena_count = 0;
	cold.after = 0;
}

/* ---- begin -----------------------------------------------------------------------------------
 */

static bool reserve(void)
{
	const size_t stage = TRIM_BATCH * PAGES * os_page_size();
	unsigned char *pages;

	cold.page = os_page_size();
	pages = os_reserve(2 * cold.page);
	cold.stage = os_reserve(stage);
	cold.notes = os_reserve(sizeof(*cold.notes));
	cold.arenas = os_reserve(ARENAS_MAX * sizeof(*cold.arenas));
	cold.arena_of = os_reserve(ARENAS_MAX * sizeof(struct arena *));
	if (!pages || !cold.stage || !cold.notes || !cold.arenas || !cold.arena_of)
		return false;
	cold.room = pages;
	cold.zero = pages + cold.page;
	os_no_huge_pages(cold.stage, stage);
	return !os_faults_watch(cold.stage, stage);
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
	goro_introspect.cold_arena_size = sizeof(*cold.arenas);
	goro_introspect.cold_arenas = (uintptr_t)cold.arenas;
	os_around_fork(before_fork, after_fork, in_child);
	cold.next_pass = INT64_MAX;
	cold.after = (int64_t)(seconds * 1e9);
}

void goro_cold_start(void)
{
	int err = cold.after ? os_thread_start(handler, NULL, true) : 0;

	if (err)
		goro_throw("GORO_COLD: cannot start a thread: error %d", -err);
}
