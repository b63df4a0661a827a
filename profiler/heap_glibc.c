/* SPDX-License-Identifier: MIT */
/*
 * heap_glibc.c - malloc of glibc 2.31 to 2.41, read from its memory alone.
 *
 * No symbol leads to it: libc is stripped, and its hooks are gone. But the state of an arena cannot
 * be taken for anything else: 127 lists in a row, each empty and then pointing to itself, or with
 * two pointers to chunks. Where that is found in a module's data, it is the main arena; its `next`
 * leads to the others, which lie in heaps aligned to their size. From there chunks are walked by
 * their sizes. Each step is checked, and a walk that does not arrive exactly at the arena's top is
 * thrown away as a whole: then the objects of that memory are not known.
 *
 * What is free: chunks whose successor says so, and those in fast bins and in the threads' caches,
 * which look used to the walk. A list is believed only as far as each link leads to a chunk of the
 * right size. A chunk that is taken for used hides a leak at worst; one taken for free could make
 * one up, and that is why nothing is guessed here.
 *
 * What malloc() rounds up to is not known from outside: the last 15 bytes of an object may be
 * slack. See the source of it all: malloc/malloc.c and malloc/arena.c of glibc.
 *
 * What differs between the versions is told from the memory, each for itself: struct malloc_state
 * is the same since 2.27 and a thread's cache since 2.30; links are XORed since 2.32
 * (heap_lists.c); since 2.35 malloc_par has fields for huge pages before its counts, and a heap one
 * more at its head. So 2.32 to 2.34 are the layout of 2.31 with the links of 2.36, and 2.35 to 2.41
 * are alike. The tests have recordings of 2.31, 2.36 and 2.41. In 2.42 a thread's cache is another
 * one: it is not found, and what is in it counts as in use.
 */
#include "heap_glibc.h"

#include <stdlib.h>
#include <sys/mman.h>

/* struct malloc_state: the same in all these versions. */
enum {
	ARENA_MUTEX = 0,
	ARENA_FASTBINS = 16,
	ARENA_TOP = 96,
	ARENA_BINS = 112,
	NBINS = 127,
	ARENA_NEXT = 2160,
	ARENA_SYSTEM_MEM = 2184,
	ARENA_MAX_SYSTEM_MEM = 2192,
	ARENA_SIZE = 2200,
};

/*
 * struct malloc_par, from sbrk_base. Its four counts begin four bytes earlier since 2.35; which it
 * is, is told by the second, a limit that nobody changes.
 */
enum {
	PAR_COUNTS = -36,
	PAR_COUNTS_BEFORE_2_35 = -32,
	N_MMAPS_MAX = 65536,
	PAR_MMAPPED_MEM = -16,
	PAR_MAX_MMAPPED_MEM = -8,
	PAR_TCACHE_BINS = 8,
	PAR_TCACHE_MAX = 16,
	PAR_TCACHE_COUNT = 24,
};

enum { TCACHE_BINS = 64, MAX_TCACHE = 65535 };

#define HEAP_MAX   (64ull << 20) /* of an arena's heap, and what it is aligned to */
#define MAX_ARENAS 4096
#define MAX_DATA   (64u << 20) /* of one module, to search */

static uint32_t half(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

/* ---- arenas ------------------------------------------------------------------------------------
 */

static bool is_arena(const uint8_t *bytes, uint64_t address)
{
	uint64_t top = heap_word(bytes + ARENA_TOP), mem = heap_word(bytes + ARENA_SYSTEM_MEM);
	unsigned empty = 0;

	for (uint64_t i = 0; i < NBINS; i++) {
		uint64_t fd = heap_word(bytes + ARENA_BINS + 16 * i);
		uint64_t bk = heap_word(bytes + ARENA_BINS + 16 * i + 8);
		uint64_t self = address + ARENA_BINS + 16 * i - 16;

		empty += fd == self;
		if ((fd == self) != (bk == self) || !fd || fd % 8 || !bk || bk % 8)
			return false;
	}
	return empty >= 8 && top && top % 8 == 0 && heap_word(bytes + ARENA_NEXT) && mem &&
	       mem <= heap_word(bytes + ARENA_MAX_SYSTEM_MEM) && half(bytes + ARENA_MUTEX) <= 2;
}

/* In the data of a module: where a list points to itself, one of 127 arenas may begin before it. */
static bool search_arena(struct heap_search *s, const uint8_t *bytes, size_t size, uint64_t address)
{
	for (size_t o = ARENA_BINS; o + ARENA_SIZE < size; o += 8) {
		if (heap_word(bytes + o) != address + o - 16 ||
		    heap_word(bytes + o + 8) != address + o - 16)
			continue;
		for (size_t i = 0; i < NBINS && o >= ARENA_BINS + 16 * i; i++) {
			size_t at = o - ARENA_BINS - 16 * i;

			if (at + ARENA_SIZE > size || !is_arena(bytes + at, address + at))
				continue;
			s->main_arena = address + at;
			return true;
		}
	}
	return false;
}

static bool is_heaps(const struct target_map *m)
{
	return m->readable && m->writable && !m->shared && !m->inode;
}

/* Where memory like the heap's begins that reaches without a gap to `top`. */
static uint64_t begins_at(const struct heap_search *s, uint64_t top)
{
	const struct target_map *m = target_maps_find(s->maps, top);

	while (m && m > s->maps->v && m[-1].hi == m->lo && is_heaps(m - 1))
		m--;
	return m ? m->lo : top;
}

/* malloc's parameters: the start of the heap stands between counts that fit together. */
static void search_par(struct heap_search *s, const uint8_t *bytes, size_t size, uint64_t lo,
		       uint64_t top)
{
	for (size_t o = 40; o + 32 <= size; o += 8) {
		const uint8_t *at = bytes + o;
		uint64_t base = heap_word(at), bins = heap_word(at + PAR_TCACHE_BINS);
		const uint8_t *counts = at + PAR_COUNTS;

		if (base < lo || base > top || bins < 1 || bins > TCACHE_BINS ||
		    heap_word(at + PAR_TCACHE_MAX) > 24 + 16 * TCACHE_BINS ||
		    heap_word(at + PAR_TCACHE_COUNT) > MAX_TCACHE ||
		    heap_word(at + PAR_MMAPPED_MEM) > heap_word(at + PAR_MAX_MMAPPED_MEM))
			continue;
		if (half(counts + 4) != N_MMAPS_MAX)
			counts = at + PAR_COUNTS_BEFORE_2_35;
		if (half(counts + 4) != N_MMAPS_MAX || half(counts) > half(counts + 8))
			continue;
		s->have_par = true;
		s->sbrk_base = base;
		s->n_mmaps = half(counts);
		s->mmapped_mem = heap_word(at + PAR_MMAPPED_MEM);
		return;
	}
}

static struct heap_area *new_area(struct heap *h)
{
	struct heap_area *bigger = realloc(h->areas, (h->nareas + 1) * sizeof *bigger);

	if (!bigger)
		return NULL;
	h->areas = bigger;
	bigger[h->nareas] = (struct heap_area){ 0 };
	return &bigger[h->nareas];
}

/* The maps that [lo, hi) lies in: they are several if a part was advised or locked. */
static bool whole_maps(const struct heap_search *s, uint64_t *lo, uint64_t *hi)
{
	const struct target_map *m = target_maps_find(s->maps, *lo);
	const struct target_map *end = s->maps->v + s->maps->n;
	uint64_t first = m ? m->lo : 0, last = m ? m->hi : 0;

	if (!m || !is_heaps(m))
		return false;
	for (m++; last < *hi && m < end && m->lo == last && is_heaps(m); m++)
		last = m->hi;
	if (last < *hi)
		return false;
	*lo = first;
	*hi = last;
	return true;
}

/*
 * The main arena's heap: what brk() gave to malloc. The program may call sbrk() as well, and has
 * then memory of its own before the first chunk, or behind the last.
 */
static struct goro_error *add_main_heap(struct heap_search *s, uint64_t top)
{
	const struct target_map *m = target_maps_find(s->maps, top);
	struct heap_area *a = new_area(s->h);
	struct goro_error *err;
	uint64_t first, end, lo, hi, size = 0;
	bool ok = false;

	if (!a)
		return &goro_enomem;
	err = m ? target_read_at(s->t, top + 8, &size, sizeof size, &ok) : NULL;
	if (err)
		return err;
	lo = s->have_par && s->sbrk_base < top ? s->sbrk_base : m ? m->lo : 0;
	end = top + (size & ~7ull);
	hi = end;
	/* It may have moved to another place, when brk() could give no more. */
	if (ok && end > top && !whole_maps(s, &lo, &hi)) {
		lo = m->lo;
		hi = end;
		ok = whole_maps(s, &lo, &hi);
	}
	if (!ok || end <= top) {
		s->lost = true;
		return NULL;
	}
	err = heap_area_load(s, a, lo, hi);
	first = s->have_par && s->sbrk_base >= lo && s->sbrk_base < top ? s->sbrk_base : lo;
	first = (first + 15) & ~15ull;
	if (!err && heap_area_walk(s, a, first, top, false)) {
		a->its = (struct facts_range){ first, end };
		s->h->nareas++;
		return NULL;
	}
	heap_area_free(a);
	s->lost = true;
	return err;
}

static bool add_reserve(struct heap *h, uint64_t lo, uint64_t hi)
{
	struct facts_range *bigger = realloc(h->reserves, (h->nreserves + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	h->reserves = bigger;
	bigger[h->nreserves++] = (struct facts_range){ lo, hi };
	return true;
}

/*
 * Behind a heap lies what it may grow into: no object of anybody's is in it until malloc says so.
 * It is told from what others have there by the permissions, which it gets when it is used.
 */
static bool add_reserves(struct heap_search *s, uint64_t end, uint64_t limit)
{
	const struct target_maps *maps = s->maps;

	for (size_t i = 0; i < maps->n && maps->v[i].lo < limit; i++) {
		const struct target_map *m = &maps->v[i];
		uint64_t hi = m->hi < limit ? m->hi : limit;

		if (m->lo < end || m->readable || m->writable || m->inode)
			continue;
		if (!add_reserve(s->h, m->lo, hi))
			return false;
	}
	return true;
}

/* Memory that malloc can have, and that nothing was found in yet: lists may lead in a circle. */
static bool is_new(const struct heap_search *s, uint64_t lo, uint64_t hi)
{
	uint64_t first = lo, last = hi;

	for (size_t i = 0; i < s->h->nareas; i++) {
		const struct facts_range *its = &s->h->areas[i].its;

		if (lo < its->hi && hi > its->lo)
			return false;
	}
	return whole_maps(s, &first, &last);
}

/* One heap of another arena. `top`: of the arena, if it is in this one. */
static struct goro_error *add_heap(struct heap_search *s, uint64_t heap, uint64_t size,
				   uint64_t first, uint64_t top)
{
	struct heap_area *a = new_area(s->h);
	bool last = top >= heap && top < heap + size;
	struct goro_error *err;

	if (!a)
		return &goro_enomem;
	err = heap_area_load(s, a, heap, heap + size);
	if (!err && heap_area_walk(s, a, first, last ? top : heap + size - 16, !last)) {
		s->h->nareas++;
		return add_reserves(s, heap + size, heap + HEAP_MAX) ? NULL : &goro_enomem;
	}
	heap_area_free(a);
	s->lost = true;
	return err;
}

/* An arena that is not the main one lies at the start of its first
 * heap, behind struct heap_info. */
static struct goro_error *add_heaps(struct heap_search *s, uint64_t arena, uint64_t top)
{
	uint64_t first_heap = arena & ~(HEAP_MAX - 1), heap = top & ~(HEAP_MAX - 1);
	uint64_t info_size = arena - first_heap;
	struct goro_error *err = NULL;

	if (info_size != 32 && info_size != 48) {
		s->lost = true;
		return NULL;
	}
	for (int i = 0; heap && !err && i < MAX_ARENAS; i++) {
		uint8_t info[32];
		uint64_t first, size, prev;
		bool ok;

		err = target_read_at(s->t, heap, info, sizeof info, &ok);
		if (err)
			return err;
		prev = heap_word(info + 8);
		size = heap_word(info + 16);
		if (!ok || heap_word(info) != arena || size > HEAP_MAX || size < HEAP_PAGE ||
		    size % HEAP_PAGE || prev % HEAP_MAX) {
			s->lost = true;
			return NULL;
		}
		if (!is_new(s, heap, heap + size)) {
			s->lost = true;
			return NULL;
		}
		first = heap + info_size;
		if (heap == first_heap) /* behind the arena; memory is aligned to 16 */
			first = ((first + ARENA_SIZE + 16 + 15) & ~15ull) - 16;
		err = add_heap(s, heap, size, first, top);
		if (heap == first_heap)
			break;
		heap = prev;
	}
	return err;
}

static struct goro_error *add_arenas(struct heap_search *s)
{
	uint64_t arena = s->main_arena, been = 0;
	struct goro_error *err = NULL;

	for (int i = 0; !err && i < MAX_ARENAS; i++) {
		uint8_t bytes[ARENA_SIZE];
		uint64_t top;
		bool ok;

		err = target_read_at(s->t, arena, bytes, sizeof bytes, &ok);
		if (err)
			return err;
		if (!ok || !is_arena(bytes, arena)) {
			s->lost = true;
			return NULL;
		}
		/* Somebody is in the middle of changing it. */
		if (half(bytes + ARENA_MUTEX)) {
			s->h->busy = true;
		} else {
			top = heap_word(bytes + ARENA_TOP);
			err = arena == s->main_arena ? add_main_heap(s, top)
						     : add_heaps(s, arena, top);
			if (!err)
				heap_mark_fastbins(s->h, bytes + ARENA_FASTBINS);
		}
		/* A circle without the main one is found by where it was
		 * at a power of two (Brent). */
		if (!(i & (i + 1)))
			been = arena;
		arena = heap_word(bytes + ARENA_NEXT);
		if (arena == s->main_arena)
			break;
		if (arena == been) {
			s->lost = true;
			break;
		}
	}
	return err;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

/* Data and bss of a module: writable maps of a file and the nameless one behind them. */
static struct goro_error *search_module(struct heap_search *s, size_t i, uint8_t **bytes,
					size_t *size)
{
	const struct target_map *m = &s->maps->v[i];
	uint64_t hi = m->hi;
	struct goro_error *err;

	*bytes = NULL;
	for (size_t k = i + 1;
	     k < s->maps->n && s->maps->v[k].lo == hi && s->maps->v[k].writable &&
	     !s->maps->v[k].shared && (s->maps->v[k].inode == m->inode || !s->maps->v[k].inode) &&
	     (!s->maps->v[k].path || s->maps->v[k].inode);
	     k++)
		hi = s->maps->v[k].hi;
	*size = hi - m->lo;
	if (*size > MAX_DATA)
		return NULL;
	*bytes = heap_map(*size);
	if (!*bytes)
		return &goro_enomem;
	err = heap_load(s->t, m->lo, hi, *bytes);
	if (!err && !s->main_arena)
		search_arena(s, *bytes, *size, m->lo);
	return err;
}

static struct goro_error *search_modules(struct heap_search *s)
{
	for (size_t i = 0; i < s->maps->n && !s->main_arena; i++) {
		const struct target_map *m = &s->maps->v[i];
		struct goro_error *err;
		uint8_t *bytes;
		size_t size;

		if (!m->inode || !m->writable || m->shared)
			continue;
		err = search_module(s, i, &bytes, &size);
		if (!err && bytes && s->main_arena) {
			uint64_t top = heap_word(bytes + (s->main_arena - m->lo) + ARENA_TOP);

			search_par(s, bytes, size, begins_at(s, top), top);
		}
		if (bytes)
			munmap(bytes, size);
		if (err)
			return err;
	}
	return NULL;
}

/* The library of another allocator that is there, by its name in the
 * map; NULL: none that we know. */
static const char *other_allocator(const struct target_maps *maps)
{
	static const char *const names[] = { "libjemalloc", "libtcmalloc", "libmimalloc",
					     "libhoard",    "libsnmalloc", "librpmalloc",
					     "libscudo" };

	for (size_t i = 0; i < maps->n; i++) {
		const char *base = maps->v[i].path ? goro_basename(maps->v[i].path) : "";

		for (size_t k = 0; k < sizeof names / sizeof *names; k++)
			if (!strncmp(base, names[k], strlen(names[k])))
				return base;
	}
	return NULL;
}

/* One line, of the first of what there is to say. */
static void say_what_is_unknown(const struct heap_search *s)
{
	const char *other = other_allocator(s->maps);
	struct heap *h = s->h;

	if (other)
		snprintf(h->note, sizeof h->note, "the heap of %.100s is not known to us", other);
	else if (!s->main_arena)
		snprintf(h->note, sizeof h->note, "no heap of glibc's malloc was found");
	else if (h->busy)
		snprintf(h->note, sizeof h->note, "some of the heap was being changed");
	else if (s->lost || !s->have_par)
		snprintf(h->note, sizeof h->note, "some of the heap could not be walked");
}

struct goro_error *heap_read_areas(struct heap_search *s, struct heap *h, struct target *t,
				   const struct target_maps *maps, const struct heap_how *how)
{
	struct goro_error *err;

	*h = (struct heap){ 0 };
	*s = (struct heap_search){ .h = h, .t = t, .maps = maps, .how = how };
	err = search_modules(s);
	if (!err && s->main_arena)
		err = add_arenas(s);
	if (!err)
		heap_mark_tcaches(h);
	return err;
}

struct goro_error *heap_read_rest(struct heap_search *s, const struct facts_range *skip,
				  size_t nskip)
{
	struct heap *h = s->h;
	struct goro_error *err = NULL;

	s->skip = skip;
	s->nskip = nskip;
	if (s->main_arena && s->have_par)
		err = heap_find_blocks(s);
	if (err)
		return err;
	h->state = (struct facts_range){ s->main_arena,
					 s->main_arena ? s->main_arena + ARENA_SIZE : 0 };
	say_what_is_unknown(s);
	return NULL;
}

const struct heap_area *heap_past(const struct heap *past, const struct heap_area *a)
{
	for (size_t i = 0; past && i < past->nareas; i++) {
		if (past->areas[i].lo == a->lo && past->areas[i].hi == a->hi)
			return &past->areas[i];
	}
	return NULL;
}

void heap_free(struct heap *h)
{
	for (size_t i = 0; i < h->nareas; i++)
		heap_area_free(&h->areas[i]);
	free(h->areas);
	free(h->blocks);
	free(h->reserves);
	*h = (struct heap){ 0 };
}
