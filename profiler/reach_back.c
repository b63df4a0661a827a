/* SPDX-License-Identifier: MIT */
/*
 * reach_back.c - which objects lead to anything that somebody waits for; see reach.c.
 *
 * Of a big heap most leads to no goroutine at all: to mark it only says that it can be reached,
 * which nobody asked. So the filter goes backwards first. What is waited for leads there, and so
 * does each object with a pointer to one that does, or to a stack, or to a block (whose words are
 * not at hand). Who points where is found by a look at all words of the heap in the order in which
 * they lie in memory, which for most is one look at a bit for the page that they point to; once
 * more for what that look added, until one adds nothing. Marking then goes through these objects
 * only (r->leads), and finds the same goroutines: no way to what is waited for is by another.
 *
 * The others are taken to be reachable, as reach_guess.c takes for the proof what was marked. That
 * is as sound: none of them has a pointer to what is guessed to be dead. Memory that the program
 * lost for itself counts as reachable then, which can make what leaked goroutines keep less.
 *
 * What leaked goroutines keep is told only from what others point to as well. Of the objects that
 * they lead to and that nothing yet has marked (r->held), those that another object points to, and
 * what these lead to, are not theirs: one more look at all words.
 *
 * Where nearly everything leads there, or in long chains, or leaked goroutines lead to much, all is
 * marked from the roots as it would be without this file.
 */
#include "reach_run.h"

#include <stdlib.h>
#include <string.h>

#include "reach_skip.h"
#include "two.h"

enum {
	MOST_PASSES = 5, /* each costs a tenth of what marking does, or less */
	FEW = 16,	 /* one of so many objects is still few */
	PIECE = 64,	 /* pages: a word of a bitmap of pages is one thread's */
};

/* A look at all words, for those that point to some objects. */
struct look {
	struct run *r;
	uint64_t **to;	  /* these objects */
	uint64_t **pages; /* in which there is a byte of them */
	uint64_t **next;  /* those of what this look adds, for the next */
	uint64_t **shown; /* or: what something else points to is entered here */
	bool first;	  /* of all: stacks and blocks count, and pages are noted */
	bool down;
	size_t area, taken;
	size_t nadded;
	size_t most; /* of them, ever */
};

static bool bit_now(const uint64_t *map, uint64_t i)
{
	return __atomic_load_n(&map[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1;
}

/* False: it was set. */
static bool set_now(uint64_t *map, uint64_t i)
{
	return !(__atomic_fetch_or(&map[i / 64], UINT64_C(1) << i % 64, __ATOMIC_RELAXED) >>
			 i % 64 &
		 1);
}

static size_t page_words(const struct heap_area *a)
{
	return (a->hi - a->lo) / HEAP_PAGE / 64 + 2;
}

static void free_all(struct run *r, uint64_t ***maps)
{
	for (size_t i = 0; *maps && i < r->heap.nareas; i++)
		free((*maps)[i]);
	free(*maps);
	*maps = NULL;
}

/* A bitmap for each area, of objects or of pages. Few bits will be set: the rest takes no room. */
static uint64_t **new_maps(struct run *r, bool pages)
{
	uint64_t **maps = calloc(r->heap.nareas + 1, sizeof *maps);

	for (size_t i = 0; maps && i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];

		maps[i] = calloc(pages ? page_words(a) : heap_bitmap_words(a), sizeof **maps);
		if (!maps[i]) {
			free_all(r, &maps);
			return NULL;
		}
	}
	return maps;
}

static void touch(uint64_t *pages, const struct heap_area *a, uint32_t granule)
{
	const uint64_t from = (uint64_t)granule * HEAP_GRANULE;
	const uint64_t to = from + heap_size(a, granule);

	for (uint64_t p = from / HEAP_PAGE; p <= to / HEAP_PAGE && p <= (a->hi - a->lo) / HEAP_PAGE;
	     p++)
		set_now(pages, p);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

/* A word at `at` points to one of the objects. */
static void found(struct look *l, const struct heap_area *a, uint64_t at, size_t area,
		  uint32_t granule)
{
	const size_t i = (size_t)(a - l->r->heap.areas);
	const uint32_t g = heap_find(a, at);

	/* What is free has no pointers, and what is no object is a root. */
	if (g == UINT32_MAX || !heap_bit(l->r->ret->guess.areas[i].used, g))
		return;
	if (l->shown) {
		if (!heap_bit(l->to[i], g) && !heap_bit(l->r->ret->guess.areas[i].dead, g))
			set_now(l->shown[area], granule);
		return;
	}
	if (reach_skips("back") || !set_now(l->to[i], g))
		return;
	touch(l->pages[i], a, g);
	touch(l->next[i], a, g);
	__atomic_fetch_add(&l->nadded, 1, __ATOMIC_RELAXED);
}

static void look_at(struct look *l, const struct heap_area *a, uint64_t at, uint64_t v)
{
	const uint64_t plain = v & 0xffffffffffff;
	const struct zone *z = zones_find(&l->r->zones, plain);
	const struct heap_area *to;
	uint32_t g;

	if (!z)
		return;
	if (z->kind != ZONE_AREA) {
		if (l->first)
			found(l, a, at, 0, 0);
		return;
	}
	to = &l->r->heap.areas[z->index];
	if (!bit_now(l->pages[z->index], (plain - to->lo) / HEAP_PAGE))
		return;
	g = heap_find(to, plain);
	if (g != UINT32_MAX && bit_now(l->to[z->index], g))
		found(l, a, at, z->index, g);
}

/* Does a word of it point where it would have to be looked at closely? */
static inline bool is_worth_it(const struct look *l, const struct heap_area *a,
			       const struct sparse_block *b, bool *odd)
{
	const uint64_t *pages = l->pages[a - l->r->heap.areas];
	const uint64_t lo = a->lo, span = a->hi - lo;
	const uint64_t all = l->r->zones.lo, all_span = l->r->zones.span;
	const size_t n = sparse_block_words(b);
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const uint64_t v = b->words[i];

		if (v - lo < span) {
			any |= bit_now(pages, (v - lo) / HEAP_PAGE);
		} else if (v >= REACH_SMALL) {
			*odd = true;
			any |= (v & 0xffffffffffff) - all < all_span;
		}
	}
	return any;
}

static void look_at_page(struct look *l, uint64_t page)
{
	const size_t area = l->area;
	const struct heap_area *a = &l->r->heap.areas[area];
	const struct sparse_block *b = sparse_block(&a->words, page);
	bool odd = false, any = b && is_worth_it(l, a, b, &odd);

	if (odd && l->first)
		set_now(l->r->ret->guess.areas[area].odd, (page - a->lo) / HEAP_PAGE);
	for (uint64_t p = page, next; any && p < page + HEAP_PAGE; p = next) {
		struct sparse_piece piece = sparse_piece(&a->words, p, page + HEAP_PAGE);

		for (; piece.bits; piece.bits &= piece.bits - 1, piece.v++)
			look_at(l, a, p + 8u * (unsigned)__builtin_ctzll(piece.bits), *piece.v);
		next = piece.next;
	}
}

static bool is_enough(struct look *l)
{
	return __atomic_load_n(&l->nadded, __ATOMIC_RELAXED) > l->most;
}

static void look_at_pieces(void *look)
{
	struct look *l = look;
	const struct heap_area *a = &l->r->heap.areas[l->area];
	const size_t npages = (a->hi - a->lo) / HEAP_PAGE, n = (npages + PIECE - 1) / PIECE;

	for (size_t k;
	     !is_enough(l) && (k = __atomic_fetch_add(&l->taken, 1, __ATOMIC_RELAXED)) < n;) {
		const size_t from = (l->down ? n - 1 - k : k) * PIECE;

		for (size_t i = 0; i < PIECE; i++) {
			const size_t page = from + (l->down ? PIECE - 1 - i : i);

			if (page < npages)
				look_at_page(l, a->lo + page * HEAP_PAGE);
		}
	}
}

static void look_at_all(struct look *l)
{
	const size_t n = l->r->heap.nareas;

	for (size_t i = 0; i < n && !is_enough(l); i++) {
		l->area = l->down ? n - 1 - i : i;
		l->taken = 0;
		if (l->r->heap.areas[l->area].words.pages)
			two_work(look_at_pieces, l);
	}
}

static bool is_tested(void)
{
	return reach_skips("far") || reach_skips("held") || reach_skips("back");
}

/* ---- what leads to who waits ------------------------------------------------------------------
 */

static size_t count_objects(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->heap.nareas; i++)
		n += r->heap.areas[i].nchunks;
	return n;
}

/* What is waited for. */
static void begin(struct look *l)
{
	for (size_t i = 0; i < l->r->heap.nareas; i++) {
		const struct heap_area *a = &l->r->heap.areas[i];

		for (size_t w = 0; w < heap_bitmap_words(a); w++) {
			uint64_t bits = l->r->watched[i][w];

			if (bits)
				l->to[i][w] = bits;
			for (; bits; bits &= bits - 1)
				touch(l->pages[i], a,
				      (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
		}
	}
}

static void clear_pages(struct run *r, uint64_t **pages)
{
	for (size_t i = 0; i < r->heap.nareas; i++)
		memset(pages[i], 0, page_words(&r->heap.areas[i]) * sizeof **pages);
}

/* Until a look adds nothing. False: it is not worth it, or there is no memory. */
static bool look_back(struct look *l)
{
	for (unsigned pass = 0; pass < MOST_PASSES; pass++) {
		const size_t before = l->nadded;
		uint64_t **pages = l->pages;

		l->first = pass == 0;
		l->down = pass % 2;
		look_at_all(l);
		if (is_enough(l))
			return false;
		if (l->nadded == before)
			return true;
		clear_pages(l->r, pages);
		l->pages = l->next;
		l->next = pages;
	}
	return false;
}

void reach_look_back(struct run *r)
{
	struct look l = { .r = r };
	bool ok;

	/* Where setjmp()'s disguise is known it is no filter. */
	if (!r->ret->guess.areas || r->disguise != UINT64_MAX || reach_skips("small"))
		return;
	l.most = is_tested() ? SIZE_MAX / 2 : count_objects(r) / FEW;
	l.to = new_maps(r, false);
	l.pages = new_maps(r, true);
	l.next = new_maps(r, true);
	r->held = new_maps(r, false);
	r->most_held = reach_skips("held") ? 0 : l.most;
	ok = l.to && l.pages && l.next && r->held;
	if (ok) {
		begin(&l);
		ok = look_back(&l);
	}
	free_all(r, &l.pages);
	free_all(r, &l.next);
	if (ok)
		r->leads = l.to;
	else
		free_all(r, &l.to);
}

bool reach_hold(struct run *r, uint32_t area, uint32_t granule)
{
	if (r->nheld >= r->most_held) {
		r->too_many_held = true;
		return false;
	}
	r->nheld++;
	heap_set(r->held[area], granule);
	return true;
}

/* ---- what leaked goroutines keep --------------------------------------------------------------
 */

/* What is in one that is not theirs is not theirs either. */
static void let_go(struct run *r, uint32_t area, uint32_t granule)
{
	const struct heap_area *a = &r->heap.areas[area];
	const uint64_t at = a->lo + (uint64_t)granule * HEAP_GRANULE;
	const uint64_t end = at + heap_size(a, granule);

	for (uint64_t p = at, next; p < end; p = next) {
		struct sparse_piece piece = sparse_piece(&a->words, p, end);

		for (; piece.bits; piece.bits &= piece.bits - 1, piece.v++) {
			const uint64_t plain = *piece.v & 0xffffffffffff;
			const struct zone *z = zones_find(&r->zones, plain);
			uint32_t g;

			if (!z || z->kind != ZONE_AREA)
				continue;
			g = heap_find(&r->heap.areas[z->index], plain);
			if (g == UINT32_MAX || !heap_bit(r->held[z->index], g))
				continue;
			heap_clear(r->held[z->index], g);
			reach_push(r, (struct todo){ ZONE_AREA, z->index, g });
		}
		next = piece.next;
	}
}

/* The bits of one map, by way of the list, from which they are taken one by one. */
static void let_go_all(struct run *r, uint64_t **shown)
{
	for (size_t i = 0; i < r->heap.nareas; i++) {
		for (size_t w = 0; w < heap_bitmap_words(&r->heap.areas[i]); w++) {
			uint64_t bits = shown[i][w] & r->held[i][w];

			for (; bits; bits &= bits - 1) {
				const unsigned bit = (unsigned)__builtin_ctzll(bits);

				heap_clear(r->held[i], w * 64 + bit);
				reach_push(r, (struct todo){ ZONE_AREA, (uint32_t)i,
							     (uint32_t)(w * 64 + bit) });
			}
		}
	}
	while (r->ntodo && !r->no_memory) {
		const struct todo t = r->todo[--r->ntodo];

		let_go(r, t.index, t.granule);
	}
}

static bool look_who_shares(struct run *r)
{
	struct look l = { .r = r, .to = r->held, .most = SIZE_MAX };

	l.pages = new_maps(r, true);
	l.shown = new_maps(r, false);
	for (size_t i = 0; l.pages && i < r->heap.nareas; i++) {
		for (size_t w = 0; w < heap_bitmap_words(&r->heap.areas[i]); w++) {
			uint64_t bits = r->held[i][w];

			for (; bits; bits &= bits - 1)
				touch(l.pages[i], &r->heap.areas[i],
				      (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
		}
	}
	if (l.pages && l.shown) {
		look_at_all(&l);
		let_go_all(r, l.shown);
	} else {
		r->no_memory = true;
	}
	free_all(r, &l.pages);
	free_all(r, &l.shown);
	return !r->no_memory;
}

/* As if nobody had looked back: what was marked and not searched is searched now. */
static struct goro_error *mark_the_rest(struct run *r)
{
	struct reach_guess *g = &r->ret->guess;
	struct goro_error *err;

	for (size_t i = 0; i < r->heap.nareas; i++) {
		struct heap_area *a = &r->heap.areas[i];

		for (size_t w = 0; w < heap_bitmap_words(a); w++) {
			const uint64_t theirs = g->areas[i].dead[w] | r->held[i][w];

			if (theirs)
				a->mark[w] &= ~theirs;
		}
	}
	r->retaining = false;
	reach_sweep_rest(r);
	err = reach_drain(r);
	reach_sweep_free(r);
	for (size_t i = 0; i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];

		for (size_t w = 0; w < heap_bitmap_words(a); w++) {
			const uint64_t dead = g->areas[i].used[w] & ~a->mark[w];

			if (dead != g->areas[i].dead[w])
				g->areas[i].dead[w] = dead;
		}
	}
	return err;
}

static void add_held(struct run *r)
{
	for (size_t i = 0; i < r->heap.nareas; i++) {
		for (size_t w = 0; w < heap_bitmap_words(&r->heap.areas[i]); w++) {
			if (r->held[i][w])
				r->ret->guess.areas[i].dead[w] |= r->held[i][w];
		}
	}
}

/* How long that chunk is: up to the one behind it. */
static uint64_t chunk_size(const struct heap_area *a, size_t w, unsigned bit)
{
	uint64_t bits = a->start[w] & (~UINT64_C(1) << bit);
	const size_t first = w;

	while (!bits && w + 1 < heap_bitmap_words(a))
		bits = a->start[++w];
	return bits ? ((w - first) * 64 + (unsigned)__builtin_ctzll(bits) - bit) * HEAP_GRANULE : 0;
}

/* All but what is dead was found to be reachable, or is taken to be. */
static void count(struct run *r)
{
	struct reach *ret = r->ret;

	ret->objects = ret->object_bytes = 0;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];
		const struct reach_guessed *g = &ret->guess.areas[i];

		ret->object_bytes += a->top - a->first;
		for (size_t w = 0; w < heap_bitmap_words(a); w++) {
			uint64_t others = a->start[w] & ~(g->used[w] & ~g->dead[w]);

			ret->objects += sparse_count(g->used[w] & ~g->dead[w]);
			for (; others; others &= others - 1)
				ret->object_bytes -=
					chunk_size(a, w, (unsigned)__builtin_ctzll(others));
		}
	}
	ret->object_bytes -= 8 * ret->objects;
	for (size_t i = 0; i < r->heap.nblocks; i++) {
		ret->objects += r->block_marked[i];
		if (r->block_marked[i])
			ret->object_bytes +=
				r->heap.blocks[i].hi - heap_block_begin(&r->heap.blocks[i]);
	}
}

struct goro_error *reach_back_settle(struct run *r)
{
	struct goro_error *err = NULL;

	if (!r->leads)
		return NULL;
	if (r->too_many_held)
		err = mark_the_rest(r);
	else if (r->nheld)
		err = look_who_shares(r) ? NULL : &goro_enomem;
	if (err)
		return err;
	if (!r->too_many_held)
		add_held(r);
	/* If somebody is, it is the proof that counts. */
	if (!r->ret->nleaked)
		count(r);
	return NULL;
}

void reach_back_free(struct run *r)
{
	free_all(r, &r->leads);
	free_all(r, &r->held);
}
