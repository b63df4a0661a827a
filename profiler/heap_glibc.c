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
 */
#include "heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* struct malloc_state: the same in all these versions. */
enum {
	ARENA_MUTEX = 0,
	ARENA_FASTBINS = 16,
	NFASTBINS = 10,
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

enum { PREV_INUSE = 1, IS_MMAPPED = 2, NON_MAIN = 4, FLAGS = 7 };
enum {
	MAX_FAST = 1 << 26,
	MIN_CHUNK = 32,
	FENCE = 16,
	TCACHE_CHUNK = 0x290,
	TCACHE_BINS = 64,
	MAX_TCACHE = 65535
};

#define HEAP_MAX   (64ull << 20) /* of an arena's heap, and what it is aligned to */
#define MAX_ARENAS 4096
#define MAX_DATA   (64u << 20) /* of one module, to search */

struct search {
	struct heap *h;
	struct target *t;
	const struct target_maps *maps;
	uint64_t most;
	uint64_t main_arena;
	const struct facts_range *skip;
	size_t nskip;
	uint64_t sbrk_base, mmapped_mem, found;
	uint32_t n_mmaps;
	bool have_par, lost; /* lost: some of its memory could not be made sense of */
};

static uint64_t word(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static uint32_t half(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

/* ---- copying ----------------------------------------------------------------------------------
 */

struct goro_error *heap_load_run(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to)
{
	struct target_read r = { .address = lo, .to = to, .len = hi - lo };
	struct goro_error *err = t->ops->read(t, &r, 1);

	/* A page in it that faults: leave that one out. */
	if (err || r.ok || lo / HEAP_PAGE == (hi - 1) / HEAP_PAGE)
		return err;
	for (uint64_t a = lo, end; !err && a < hi; a = end) {
		end = (a / HEAP_PAGE + 1) * HEAP_PAGE;
		end = end < hi ? end : hi;
		err = heap_load_run(t, a, end, to + (a - lo));
	}
	return err;
}

struct goro_error *heap_load(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to)
{
	enum { PAGES = 4096 };
	uint8_t own[PAGES];
	struct goro_error *err = NULL;

	for (uint64_t at = lo, end; at < hi && !err; at = end) {
		uint64_t run = 0;

		end = hi - at > PAGES * HEAP_PAGE ? at + PAGES * HEAP_PAGE : hi;
		if (!t->ops->own_pages || !t->ops->own_pages(t, at, end, own))
			memset(own, 1, sizeof own);
		for (uint64_t a = at; a < end && !err; a += HEAP_PAGE) {
			bool is = own[(a - at) / HEAP_PAGE];

			if (is && !run)
				run = a;
			if (!is && run) {
				err = heap_load_run(t, run, a, to + (run - lo));
				run = 0;
			}
		}
		if (run && !err)
			err = heap_load_run(t, run, end, to + (run - lo));
	}
	return err;
}

static void *map_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void area_free(struct heap_area *a)
{
	if (a->bytes && !a->borrowed)
		munmap((void *)(uintptr_t)a->bytes, a->hi - a->lo);
	free(a->start);
	free(a->mark);
	free(a->covers);
	*a = (struct heap_area){ 0 };
}

/* Copy [lo, hi), in which the chunks will be. */
static struct goro_error *area_load(struct search *s, struct heap_area *a, uint64_t lo, uint64_t hi)
{
	uint64_t bits = (hi - lo) / HEAP_GRANULE + 64;
	uint8_t *bytes;

	*a = (struct heap_area){ .lo = lo, .hi = hi };
	s->h->bytes += hi - lo;
	if (s->h->bytes > s->most)
		return goro_error_new(GORO_PARTIAL,
				      "its heap of more than %llu MiB does not fit in our memory",
				      (unsigned long long)(s->most >> 20));
	a->start = calloc(bits / 64 + 1, sizeof *a->start);
	a->mark = calloc(bits / 64 + 1, sizeof *a->mark);
	a->covers = calloc((hi - lo) / HEAP_PAGE + 2, sizeof *a->covers);
	if (!a->start || !a->mark || !a->covers)
		return &goro_enomem;
	a->bytes = s->t->ops->direct ? s->t->ops->direct(s->t, lo, hi) : NULL;
	a->borrowed = a->bytes;
	if (a->borrowed)
		return NULL;
	a->bytes = bytes = map_memory(hi - lo);
	return bytes ? heap_load(s->t, lo, hi, bytes) : &goro_enomem;
}

/* ---- walking ----------------------------------------------------------------------------------
 */

static uint32_t granule(const struct heap_area *a, uint64_t address)
{
	return (uint32_t)((address - a->lo) / HEAP_GRANULE);
}

/* Note a chunk at p: `covers` is for the pages that begin in it. */
static void add_chunk(struct heap_area *a, uint64_t p, uint64_t size)
{
	uint32_t g = granule(a, p + 16);
	uint64_t page = (p + 16 - a->lo + HEAP_PAGE - 1) / HEAP_PAGE;

	heap_set(a->start, g);
	for (; page * HEAP_PAGE < p + 16 + size - a->lo; page++)
		a->covers[page] = g;
	a->nchunks++;
}

/*
 * From `first` to `top`. A heap that is full ends with a fence post (a chunk of 16 or no bytes)
 * within the last 64 bytes, and then top is where it stands.
 */
static bool walk(struct heap_area *a, uint64_t first, uint64_t top, bool fence)
{
	bool was_free = false;
	uint64_t p = first, last = 0;

	if (!a->bytes || first % 16 || first < a->lo || top > a->hi - 16 || first > top)
		return false;
	while (p < top) {
		uint64_t head = word(a->bytes + (p + 8 - a->lo)), size = head & ~7ull;

		if (fence && size <= FENCE && top - p <= 64)
			break;
		if (size < MIN_CHUNK || size % 16 || size > top - p || head & IS_MMAPPED)
			return false;
		/* It is this header that says whether the one before is free. */
		if (last && !(head & PREV_INUSE)) {
			if (was_free || word(a->bytes + (p - a->lo)) != p - last)
				return false;
			heap_set(a->mark, granule(a, last + 16));
			a->nfree++;
			was_free = true;
		} else {
			was_free = false;
		}
		add_chunk(a, p, size);
		last = p;
		p += size;
	}
	if (p != top && !fence)
		return false;
	if (!fence && last && !(word(a->bytes + (p + 8 - a->lo)) & PREV_INUSE))
		return false; /* a free chunk beside top would have become part of it */
	if (fence && last && !(word(a->bytes + (p + 8 - a->lo)) & PREV_INUSE)) {
		heap_set(a->mark, granule(a, last + 16));
		a->nfree++;
	}
	a->first = first;
	a->top = p;
	/* What comes behind the last is never an object, and found as marked. */
	if (p + 16 < a->hi) {
		heap_set(a->start, granule(a, p + 16));
		heap_set(a->mark, granule(a, p + 16));
		for (uint64_t page = (p + 16 - a->lo + HEAP_PAGE - 1) / HEAP_PAGE;
		     page <= (a->hi - a->lo) / HEAP_PAGE; page++)
			a->covers[page] = granule(a, p + 16);
	}
	return true;
}

uint32_t heap_find(const struct heap_area *a, uint64_t address)
{
	uint64_t g, page, w;

	if (address < a->first + 16 || address >= a->top + 8)
		return UINT32_MAX;
	g = (address - a->lo) / HEAP_GRANULE;
	page = g / (HEAP_PAGE / HEAP_GRANULE);
	for (w = g / 64; w >= page * (HEAP_PAGE / HEAP_GRANULE / 64); w--) {
		uint64_t bits = a->start[w];

		if (w == g / 64)
			bits &= ~0ull >> (63 - g % 64);
		if (bits)
			return (uint32_t)(w * 64 + 63 - (uint64_t)__builtin_clzll(bits));
		if (!w)
			break;
	}
	return a->covers[page];
}

/* The area with a chunk whose memory begins exactly there. */
static struct heap_area *area_of(const struct heap *h, uint64_t mem, uint32_t *g)
{
	for (size_t i = 0; i < h->nareas; i++) {
		struct heap_area *a = &h->areas[i];

		if (mem < a->first + 16 || mem >= a->top)
			continue;
		*g = granule(a, mem);
		return mem % 16 == 0 && heap_bit(a->start, *g) ? a : NULL;
	}
	return NULL;
}

static uint64_t size_at(const struct heap_area *a, uint32_t g)
{
	return word(a->bytes + (size_t)g * HEAP_GRANULE - 8) & ~7ull;
}

/* ---- free chunks that look used ----------------------------------------------------------------
 */

/* Links are XORed with their own address since 2.32. */
static uint64_t reveal(uint64_t at, uint64_t value, bool mangled)
{
	return mangled ? at >> 12 ^ value : value;
}

static void mark_free(struct heap_area *a, uint32_t g)
{
	if (heap_bit(a->mark, g))
		return;
	heap_set(a->mark, g);
	a->nfree++;
}

/*
 * One list of `count` (or as long as it is) chunks of one size. apply: mark them. Links lead to
 * the chunk's memory, or `before` bytes in front of it.
 */
static bool free_list(const struct heap *h, uint64_t link, uint64_t size, size_t count,
		      unsigned before, bool mangled, bool apply)
{
	size_t n = 0;

	while (link && n < count) {
		uint32_t g;
		struct heap_area *a = area_of(h, link + before, &g);

		if (!a || size_at(a, g) != size)
			return false;
		if (apply)
			mark_free(a, g);
		link = reveal(link + before, word(a->bytes + (size_t)g * HEAP_GRANULE), mangled);
		n++;
	}
	return !link && (count == SIZE_MAX || n == count);
}

/* Is this object a thread's cache? If so, what is in it is free. */
static bool free_tcache(const struct heap *h, const uint8_t *object, bool mangled, bool apply)
{
	for (size_t i = 0; i < TCACHE_BINS; i++) {
		uint16_t count;

		memcpy(&count, object + 2 * i, sizeof count);
		if (!free_list(h, word(object + 2 * TCACHE_BINS + 8 * i), MIN_CHUNK + 16 * i, count,
			       0, mangled, apply))
			return false;
	}
	return true;
}

static void free_tcaches(const struct heap *h)
{
	for (size_t i = 0; i < h->nareas; i++) {
		struct heap_area *a = &h->areas[i];
		uint64_t words = (a->hi - a->lo) / HEAP_GRANULE / 64 + 1;

		for (uint64_t w = 0; w < words; w++) {
			for (uint64_t bits = a->start[w] & ~a->mark[w]; bits; bits &= bits - 1) {
				uint32_t g = (uint32_t)(w * 64 + (uint64_t)__builtin_ctzll(bits));
				const uint8_t *object = a->bytes + (size_t)g * HEAP_GRANULE;

				if (size_at(a, g) != TCACHE_CHUNK)
					continue;
				for (int mangled = 1; mangled >= 0; mangled--) {
					if (!free_tcache(h, object, mangled, false))
						continue;
					free_tcache(h, object, mangled, true);
					break;
				}
			}
		}
	}
}

/* As far as it makes sense: how many. The links here are of chunks, not of memory. */
static size_t fastbin(const struct heap *h, uint64_t chunk, uint64_t size, bool mangled, bool apply)
{
	size_t n = 0;

	while (chunk && n < MAX_FAST) {
		uint32_t g;
		struct heap_area *a = area_of(h, chunk + 16, &g);

		if (!a || size_at(a, g) != size || heap_bit(a->mark, g))
			break;
		if (apply)
			mark_free(a, g);
		chunk = reveal(chunk + 16, word(a->bytes + (size_t)g * HEAP_GRANULE), mangled);
		n++;
	}
	return n;
}

static void free_fastbins(const struct heap *h, const uint8_t *arena)
{
	for (uint64_t i = 0; i < NFASTBINS; i++) {
		uint64_t link = word(arena + ARENA_FASTBINS + 8 * i), size = MIN_CHUNK + 16 * i;
		/* Read in the wrong way, the first link leads nowhere. */
		bool mangled = fastbin(h, link, size, true, false) >=
			       fastbin(h, link, size, false, false);

		fastbin(h, link, size, mangled, true);
	}
}

/* ---- arenas ------------------------------------------------------------------------------------
 */

static bool is_arena(const uint8_t *bytes, uint64_t address)
{
	uint64_t top = word(bytes + ARENA_TOP), mem = word(bytes + ARENA_SYSTEM_MEM);
	unsigned empty = 0;

	for (uint64_t i = 0; i < NBINS; i++) {
		uint64_t fd = word(bytes + ARENA_BINS + 16 * i);
		uint64_t bk = word(bytes + ARENA_BINS + 16 * i + 8);
		uint64_t self = address + ARENA_BINS + 16 * i - 16;

		empty += fd == self;
		if ((fd == self) != (bk == self) || !fd || fd % 8 || !bk || bk % 8)
			return false;
	}
	return empty >= 8 && top && top % 8 == 0 && word(bytes + ARENA_NEXT) && mem &&
	       mem <= word(bytes + ARENA_MAX_SYSTEM_MEM) && half(bytes + ARENA_MUTEX) <= 2;
}

/* In the data of a module: where a list points to itself, one of 127 arenas may begin before it. */
static bool search_arena(struct search *s, const uint8_t *bytes, size_t size, uint64_t address)
{
	for (size_t o = ARENA_BINS; o + ARENA_SIZE < size; o += 8) {
		if (word(bytes + o) != address + o - 16 || word(bytes + o + 8) != address + o - 16)
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

/* malloc's parameters: the start of the heap stands between counts that fit together. */
static void search_par(struct search *s, const uint8_t *bytes, size_t size, uint64_t lo,
		       uint64_t top)
{
	for (size_t o = 40; o + 32 <= size; o += 8) {
		const uint8_t *at = bytes + o;
		uint64_t base = word(at), bins = word(at + PAR_TCACHE_BINS);
		const uint8_t *counts = at + PAR_COUNTS;

		if (base < lo || base > top || bins < 1 || bins > TCACHE_BINS ||
		    word(at + PAR_TCACHE_MAX) > 24 + 16 * TCACHE_BINS ||
		    word(at + PAR_TCACHE_COUNT) > MAX_TCACHE ||
		    word(at + PAR_MMAPPED_MEM) > word(at + PAR_MAX_MMAPPED_MEM))
			continue;
		if (half(counts + 4) != N_MMAPS_MAX)
			counts = at + PAR_COUNTS_BEFORE_2_35;
		if (half(counts + 4) != N_MMAPS_MAX || half(counts) > half(counts + 8))
			continue;
		s->have_par = true;
		s->sbrk_base = base;
		s->n_mmaps = half(counts);
		s->mmapped_mem = word(at + PAR_MMAPPED_MEM);
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

/* The main arena's heap: what brk() gave. */
static struct goro_error *add_main_heap(struct search *s, uint64_t top)
{
	const struct target_map *m = target_maps_find(s->maps, top);
	struct heap_area *a = new_area(s->h);
	struct goro_error *err;
	uint64_t first;

	if (!a)
		return &goro_enomem;
	if (!m || !m->writable || m->inode) {
		s->lost = true;
		return NULL;
	}
	err = area_load(s, a, m->lo, m->hi);
	first = s->have_par && s->sbrk_base >= m->lo && s->sbrk_base < top ? s->sbrk_base : m->lo;
	first = (first + 15) & ~15ull;
	if (!err && walk(a, first, top, false)) {
		s->h->nareas++;
		return NULL;
	}
	area_free(a);
	s->lost = true;
	return err;
}

/* No object of anybody's is in it until malloc makes it part of the heap. */
static bool add_reserve(struct heap *h, uint64_t lo, uint64_t hi)
{
	struct facts_range *bigger = realloc(h->reserves, (h->nreserves + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	h->reserves = bigger;
	bigger[h->nreserves++] = (struct facts_range){ lo, hi };
	return true;
}

/* One heap of another arena. `top`: of the arena, if it is in this one. */
static struct goro_error *add_heap(struct search *s, uint64_t heap, uint64_t size, uint64_t first,
				   uint64_t top)
{
	struct heap_area *a = new_area(s->h);
	bool last = top >= heap && top < heap + size;
	struct goro_error *err;

	if (!a)
		return &goro_enomem;
	err = area_load(s, a, heap, heap + size);
	if (!err && walk(a, first, last ? top : heap + size - 16, !last)) {
		s->h->nareas++;
		return add_reserve(s->h, heap + size, heap + HEAP_MAX) ? NULL : &goro_enomem;
	}
	area_free(a);
	s->lost = true;
	return err;
}

/* An arena that is not the main one lies at the start of its first heap, behind struct heap_info.
 */
static struct goro_error *add_heaps(struct search *s, uint64_t arena, uint64_t top)
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
		prev = word(info + 8);
		size = word(info + 16);
		if (!ok || word(info) != arena || size > HEAP_MAX || size < HEAP_PAGE ||
		    size % HEAP_PAGE || prev % HEAP_MAX) {
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

static struct goro_error *add_arenas(struct search *s)
{
	uint64_t arena = s->main_arena;
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
			top = word(bytes + ARENA_TOP);
			err = arena == s->main_arena ? add_main_heap(s, top)
						     : add_heaps(s, arena, top);
			if (!err)
				free_fastbins(s->h, bytes);
		}
		arena = word(bytes + ARENA_NEXT);
		if (arena == s->main_arena)
			break;
	}
	return err;
}

/* ---- objects with a mapping of their own --------------------------------------------------------
 */

static bool add_block(struct heap *h, uint64_t lo, uint64_t hi)
{
	if (!(h->nblocks & (h->nblocks - 1))) {
		size_t cap = h->nblocks ? h->nblocks * 2 : 1;
		struct heap_block *bigger = realloc(h->blocks, cap * sizeof *bigger);

		if (!bigger)
			return false;
		h->blocks = bigger;
	}
	h->blocks[h->nblocks++] = (struct heap_block){ lo, hi };
	return true;
}

/* The end of what there is no need to look at, if `at` lies in such memory; else 0. */
static uint64_t known_until(const struct search *s, uint64_t at)
{
	for (size_t i = 0; i < s->h->nareas; i++) {
		if (at >= s->h->areas[i].lo && at < s->h->areas[i].hi)
			return s->h->areas[i].hi;
	}
	for (size_t i = 0; i < s->nskip; i++) {
		if (at >= s->skip[i].lo && at < s->skip[i].hi)
			return s->skip[i].hi;
	}
	return 0;
}

static bool all_found(const struct search *s)
{
	return s->h->nblocks == s->n_mmaps && s->found == s->mmapped_mem;
}

/* One of them may begin at each page that is written. `at` is moved behind what was looked at. */
static struct goro_error *search_pages(struct search *s, const struct target_map *m, uint64_t *at)
{
	enum { BATCH = 512 };
	uint64_t heads[BATCH][2],
		end = m->hi - *at > BATCH * HEAP_PAGE ? *at + BATCH * HEAP_PAGE : m->hi;
	struct target_read reads[BATCH];
	struct goro_error *err;
	uint8_t own[BATCH];
	size_t n = 0;

	if (!s->t->ops->own_pages || !s->t->ops->own_pages(s->t, *at, end, own))
		memset(own, 1, sizeof own);
	for (uint64_t a = *at; a < end; a += HEAP_PAGE) {
		if (own[(a - *at) / HEAP_PAGE]) {
			reads[n] = (struct target_read){ .address = a,
							 .to = heads[n],
							 .len = sizeof heads[n] };
			n++;
		}
	}
	*at = end;
	err = s->t->ops->read(s->t, reads, n);
	for (size_t k = 0, skip = 0; !err && k < n && !all_found(s); k++) {
		uint64_t a = reads[k].address, size = heads[k][1] & ~7ull;

		if (!reads[k].ok || a < skip || heads[k][0] ||
		    (heads[k][1] & FLAGS) != IS_MMAPPED || size < HEAP_PAGE || size % HEAP_PAGE ||
		    size > m->hi - a || known_until(s, a))
			continue;
		if (!add_block(s->h, a, a + size))
			return &goro_enomem;
		s->found += size;
		skip = a + size;
		if (skip > *at)
			*at = skip;
	}
	return err;
}

/*
 * They begin with a page, no list leads to them, and neighbours are shown as one map. But malloc
 * counts them: if as many as there must be are found, with as many bytes, they are all of them.
 */
static struct goro_error *search_blocks(struct search *s)
{
	struct goro_error *err = NULL;

	for (size_t i = 0; i < s->maps->n && !err && !all_found(s); i++) {
		const struct target_map *m = &s->maps->v[i];
		uint64_t at = m->lo;

		if (!m->readable || !m->writable || m->shared || m->inode || m->path)
			continue;
		while (at < m->hi && !err && !all_found(s) && s->h->nblocks <= s->n_mmaps) {
			uint64_t known = known_until(s, at);

			if (known)
				at = known;
			else
				err = search_pages(s, m, &at);
		}
	}
	if (!err && !all_found(s)) {
		s->h->nblocks = 0;
		s->lost = s->h->busy = true;
	}
	return err;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

/* Data and bss of a module: writable maps of a file and the nameless one behind them. */
static struct goro_error *search_module(struct search *s, size_t i, uint8_t **bytes, size_t *size)
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
	*bytes = map_memory(*size);
	if (!*bytes)
		return &goro_enomem;
	err = heap_load(s->t, m->lo, hi, *bytes);
	if (!err && !s->main_arena)
		search_arena(s, *bytes, *size, m->lo);
	return err;
}

static struct goro_error *search_modules(struct search *s)
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
			uint64_t top = word(bytes + (s->main_arena - m->lo) + ARENA_TOP);
			const struct target_map *heap = target_maps_find(s->maps, top);

			if (heap)
				search_par(s, bytes, size, heap->lo, top);
		}
		if (bytes)
			munmap(bytes, size);
		if (err)
			return err;
	}
	return NULL;
}

struct goro_error *heap_read(struct heap *h, struct target *t, const struct target_maps *maps,
			     const struct facts_range *skip, size_t nskip, uint64_t most)
{
	struct search s = {
		.h = h, .t = t, .maps = maps, .skip = skip, .nskip = nskip, .most = most
	};
	struct goro_error *err;

	*h = (struct heap){ 0 };
	err = search_modules(&s);
	if (!err && s.main_arena)
		err = add_arenas(&s);
	if (!err && s.main_arena && s.have_par)
		err = search_blocks(&s);
	if (err) {
		heap_free(h);
		return err;
	}
	free_tcaches(h);
	h->state =
		(struct facts_range){ s.main_arena, s.main_arena ? s.main_arena + ARENA_SIZE : 0 };
	if (!s.main_arena)
		snprintf(h->note, sizeof h->note, "no heap of glibc's malloc was found");
	else if (h->busy)
		snprintf(h->note, sizeof h->note, "some of the heap was being changed");
	else if (s.lost || !s.have_par)
		snprintf(h->note, sizeof h->note, "some of the heap could not be walked");
	return NULL;
}

void heap_free(struct heap *h)
{
	for (size_t i = 0; i < h->nareas; i++)
		area_free(&h->areas[i]);
	free(h->areas);
	free(h->blocks);
	free(h->reserves);
	*h = (struct heap){ 0 };
}
