/* SPDX-License-Identifier: MIT */
/*
 * cold_back.c - the thread that brings cold stacks back when somebody touched them, and what
 * becomes of them in a fork. See cold.c.
 */
#include <errno.h>
#include <string.h>

#include "cold.h"

/* ---- back ------------------------------------------------------------------------------------
 */

/* The lock is held. The page is back, and may have been written to since. */
static void drop_copy(_Atomic uint64_t *entry)
{
	struct goro_cold_stack *c = cold_copy_of(atomic_load_explicit(entry, memory_order_relaxed));

	cold_set_entry(entry, cold_note_until((int64_t)coarse_now() + goro_cold.after));
	/* Who reads it from outside sees that it is not what it was. */
	__atomic_store_n(&c->seq, 0, __ATOMIC_RELEASE);
	store_fence();
	goro_cold_free(c);
}

/* The lock is held. 0, or -errno: some of it may be missing still. */
static int bring_back(const struct goro_cold_stack *c)
{
	const unsigned char *bytes = (const unsigned char *)(c + 1);

	for (size_t at = 0; at < c->size; at += goro_cold.page) {
		size_t lo = c->from > at ? c->from : at;
		size_t hi = c->to < at + goro_cold.page ? c->to : at + goro_cold.page;
		int err;

		memset(goro_cold.room, 0, goro_cold.page);
		if (lo < hi)
			cold_copy_words(goro_cold.room + (lo - at), bytes + (lo - c->from),
					hi - lo);
		err = os_page_fill((void *)(uintptr_t)(c->lo + at), goro_cold.room);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The lock is held. Copies that were let be while the program forked go before anything else is
 * done with them, or they would go twice.
 */
static void drop_late(struct cold_notes *notes)
{
	while (!goro_cold.forking && notes->nlate)
		drop_copy(notes->late[--notes->nlate]);
}

/* The lock is held. Two threads may have met at one page, of which the first was answered. */
static bool is_late(const struct cold_notes *notes, const _Atomic uint64_t *entry)
{
	for (uint32_t i = 0; i < notes->nlate; i++)
		if (notes->late[i] == entry)
			return true;
	return false;
}

/* The lock is held, and drop_late() was called under it. */
static int answer(uintptr_t page, _Atomic uint64_t *entry)
{
	uint64_t e = atomic_load_explicit(entry, memory_order_relaxed);
	struct cold_notes *notes = goro_cold.notes;
	int err;

	if (!cold_is_copy(e) || page - cold_copy_of(e)->lo >= cold_copy_of(e)->size)
		return os_page_fill((void *)page, goro_cold.zero);
	if (is_late(notes, entry))
		return bring_back(cold_copy_of(e)); /* which is there: only to wake who waits */
	if (goro_cold.forking && notes->nlate == COLD_LATE)
		return -EAGAIN;
	err = bring_back(cold_copy_of(e));
	if (!err && goro_cold.forking)
		notes->late[notes->nlate++] = entry;
	else if (!err)
		drop_copy(entry);
	return err;
}

/* ---- ahead -----------------------------------------------------------------------------------
 *
 * A crowd that is woken at once was mostly started at once, too, so their stacks are neighbours and
 * touched one after the other; and a fault takes 15 us, of which the page is two. So whoever comes
 * to the slot that follows, again and again, finds more and more of them there already. Two faults
 * in a row make a walk, the third one brings back another stack with its own, and a walk is over
 * when it goes elsewhere or rests: what is touched here and there brings nothing else back.
 */

enum { AHEAD_MAX = 64, AHEAD_GAP = 2, REST_NS = 10 * 1000 * 1000 };

/* False: it is none of this arena. One that is warm may be so by
 * another walk, and is passed over. */
static bool bring_ahead(struct arena *a, uintptr_t slot)
{
	_Atomic uint64_t *entry = cold_arena_at(slot) == a ? cold_entry_of(a, slot) : NULL;
	uint64_t e;

	if (!entry)
		return false;
	lock_always(&goro_cold.lock);
	drop_late(goro_cold.notes);
	/* Relaxed: written under the lock, and what it leads to with it. */
	e = atomic_load_explicit(entry, memory_order_relaxed);
	/* Should it fail, whoever touches what is missing waits for it as ever. */
	if (cold_is_copy(e) && !goro_cold.forking && !bring_back(cold_copy_of(e)))
		drop_copy(entry);
	unlock_always(&goro_cold.lock);
	return true;
}

/* Does a fault in this slot belong to the walk? Some in between may have been warm. */
static bool goes_on(struct cold_walk *w, uintptr_t slot, int64_t slot_size)
{
	int64_t ahead = (int64_t)(slot - w->next);

	if (coarse_now() - w->last > REST_NS)
		return false;
	if (w->step)
		ahead = w->step > 0 ? ahead : -ahead;
	else if (w->next)
		w->step = ahead > 0 && ahead <= AHEAD_GAP * slot_size	 ? slot_size
			  : ahead < 0 && -ahead <= AHEAD_GAP * slot_size ? -slot_size
									 : 0;
	return w->step && (ahead < 0 ? -ahead : ahead) <= AHEAD_GAP * slot_size;
}

/* The slot was cold until now. */
static void walk_on(uintptr_t slot, int64_t slot_size)
{
	struct cold_notes *notes = goro_cold.notes;
	struct cold_walk *w = NULL;

	for (uint32_t i = 0; i < COLD_WALKS && !w; i++)
		if (goes_on(&notes->walks[i], slot, slot_size))
			w = &notes->walks[i];
	if (!w) {
		w = &notes->walks[notes->newest++ % COLD_WALKS];
		*w = (struct cold_walk){ .next = slot, .last = coarse_now() };
		return;
	}
	w->last = coarse_now();
	w->next = slot + (uintptr_t)w->step;
	for (uint32_t i = 0; i < w->n && bring_ahead(cold_arena_at(slot), w->next); i++)
		w->next += (uintptr_t)w->step;
	w->n = w->n ? w->n * 2 : 1;
	w->n = w->n < AHEAD_MAX ? w->n : AHEAD_MAX;
}

/* ---- faults ----------------------------------------------------------------------------------
 */

/* The area that pages are moved to is watched, too, but nobody has a reason to look there. */
static bool is_staged(uintptr_t page)
{
	return page - (uintptr_t)goro_cold.stage < TRIM_BATCH * COLD_PAGES * goro_cold.page;
}

/* Somebody waits in the kernel for this address. */
static void handle(uintptr_t addr)
{
	uintptr_t page = addr & ~(uintptr_t)(goro_cold.page - 1);
	_Atomic uint64_t *entry = is_staged(page) ? NULL : cold_entry_of(cold_arena_at(page), page);
	size_t slot_size = entry ? cold_arena_at(page)->slot_size : 0;
	bool was_cold;
	int err;

	if (is_staged(page))
		os_page_fill((void *)page, goro_cold.zero);
	if (!entry)
		return;
	do {
		lock_always(&goro_cold.lock);
		drop_late(goro_cold.notes);
		was_cold = cold_is_copy(atomic_load_explicit(entry, memory_order_relaxed));
		err = answer(page, entry);
		unlock_always(&goro_cold.lock);
		/* Else the kernel would look for somebody to kill. */
		if (err == -ENOMEM || err == -EAGAIN)
			os_sleep(GORO_MILLISECOND);
	} while (err == -ENOMEM || err == -EAGAIN);
	if (was_cold)
		walk_on(page - page % slot_size, (int64_t)slot_size);
}

/* True: some have to wait for the end of a fork still. */
static bool have_late(void)
{
	struct cold_notes *notes = goro_cold.notes;

	if (!notes->nlate)
		return false;
	lock_always(&goro_cold.lock);
	drop_late(notes);
	unlock_always(&goro_cold.lock);
	return notes->nlate;
}

void goro_cold_handler(void *unused)
{
	struct os_faults *f = &goro_cold.notes->faults;

	(void)unused;
	__atomic_store_n(&goro_cold.tid, os_tid(), __ATOMIC_RELAXED);
	os_faults_apart();
	for (;;) {
		int n = os_faults_wait(f, have_late() ? GORO_MILLISECOND : -1);

		if (n < 0)
			goro_throw("GORO_COLD: the descriptor of faults is gone: error %d", -n);
		for (int i = 0; i < n; i++)
			handle(f->at[i]);
	}
}

/* A page of a new stack, so that its first touch is no fault for the handler. */
void goro_cold_first_page(uintptr_t hi)
{
	if (__atomic_load_n(&cold_arena_at(hi - 1)->copies, __ATOMIC_ACQUIRE))
		os_page_fill((void *)(hi - goro_cold.page), goro_cold.zero);
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
	lock_always(&goro_cold.lock);
	goro_cold.forking = to;
	unlock_always(&goro_cold.lock);
	os_signals_restore(signals);
}

void goro_cold_before_fork(void)
{
	lock_always(&goro_cold.fork_lock);
	set_forking(true);
}

void goro_cold_after_fork(void)
{
	set_forking(false);
	unlock_always(&goro_cold.fork_lock);
}

/* A page that came back while the program forked may be there. */
static void restore(const struct goro_cold_stack *c)
{
	unsigned char *to = (unsigned char *)(uintptr_t)c->lo;
	const unsigned char *from = (const unsigned char *)(c + 1);

	for (size_t at = 0, end; at < c->size; at = end) {
		size_t lo = c->from > at ? c->from : at, hi;
		bool there = false;

		end = at + goro_cold.page;
		hi = c->to < end ? c->to : end;
		for (size_t i = at; i < end && !there; i++)
			there = to[i];
		if (!there && lo < hi)
			memcpy(to + lo, from + (lo - c->from), hi - lo);
	}
}

/* Nobody watches the pages of a child. */
void goro_cold_in_child(void)
{
	for (uint32_t i = 0; i < goro_introspect.cold_arena_count; i++) {
		struct goro_cold_arena *o = &goro_cold.arenas[i];
		uint64_t *copies = (uint64_t *)(uintptr_t)o->copies;

		for (size_t k = 0; k < (o->hi - o->lo) / o->slot_size; k++) {
			if (cold_is_copy(copies[k]))
				restore(cold_copy_of(copies[k]));
			copies[k] = 0;
		}
		goro_cold.arena_of[i]->copies = NULL;
	}
	goro_introspect.cold_arena_count = 0;
	goro_cold.dropped |= goro_cold.after != 0;
	goro_cold.after = 0;
	/* It may fork in its turn; who had these is not here. */
	goro_cold.forking = false;
	goro_cold.lock = goro_cold.fork_lock = 0;
}
