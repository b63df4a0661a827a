/* SPDX-License-Identifier: MIT */
/*
 * reader_goro.c - the goroutines of a libgoro program, read while it runs.
 *
 * In batches: the records, the top of each parked stack, the records again. A goroutine whose
 * record did not change in between did not run, so its copied stack is consistent (the contract
 * says why). Those that did change, or whose stack is deeper than the first window, go into the
 * next round. After some rounds a goroutine that is always on the move is given up as torn.
 *
 * Rejected: stopping the program for one consistent picture. It costs the target milliseconds at a
 * hundred thousand goroutines, and each parked goroutine is consistent in itself without it.
 */
#include "reader_goro.h"
#include "crowd.h"
#include "order.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH	      1024u	   /* records in one go; also what one system call reads */
#define FIRST_WINDOW  2048u	   /* bytes of a stack: nearly always all that is used */
#define MAX_WINDOW    (8u << 20)   /* of one stack */
#define SLAB	      (16u << 20)  /* bytes of stacks in one round */
#define DEEP_BUDGET   (4ull << 30) /* bytes of deep stacks in one snapshot */
#define MAX_TRIES     5
#define MAX_CASES     65536u	   /* waiters of one goroutine */
#define MAX_FAR_READS (1u << 20)   /* waiters that lie on no stack, in one snapshot */
#define MAX_RESIDENT  (1ull << 40) /* address space to ask the page map about */

/* A goroutine whose stack is to be read. */
struct item {
	uint64_t record; /* address */
	uint32_t g;	 /* index in the snapshot */
	uint32_t slot;	 /* of its record in before[] and after[] */
	uint32_t window, tries;
	uint64_t sp, hi;
	uint8_t *stack;
	size_t len;
};

struct list {
	struct item *v;
	size_t n, cap;
};

/* A field of a record that one load and a mask fetch; mask 0: not that simple. */
struct plain {
	uint64_t mask;
	uint32_t offset;
};

struct scan {
	struct reader_goro *r;
	struct target *t;
	struct snapshot_builder *b;
	struct plain plain[GORO_NFIELDS];
	uint64_t now;
	size_t max_goroutines; /* so that we do not eat up the machine's memory */
	uint64_t deep_bytes;
	size_t far_reads;
	uint8_t *before, *after;   /* BATCH records */
	uint8_t *slab;		   /* SLAB bytes of stacks */
	struct target_read *reads; /* BATCH */
	struct item *items;	   /* of the batch */
	size_t nitems;
	struct list again; /* for the next round */
	struct goro_wait *waits;
	size_t nwaits, waits_cap;
	uint64_t address_space; /* of which it was asked what is resident */
};

/* ---- one record ------------------------------------------------------------------------------ */

static void find_plain(struct scan *s)
{
	const struct contract *c = &s->r->contract;

	for (unsigned i = 0; i < GORO_NFIELDS; i++) {
		const struct goro_field *f = &c->fields[i];

		if (f->size && f->size <= 8 && (uint64_t)f->offset + 8 <= c->raw.g_size)
			s->plain[i] = (struct plain){ UINT64_MAX >> (64 - 8 * f->size), f->offset };
	}
}

static uint64_t get(const struct scan *s, const uint8_t *record, enum goro_field_id field)
{
	const struct plain *p = &s->plain[field];
	uint64_t v;

	if (!p->mask)
		return contract_get(&s->r->contract,
				    (struct record){ record, s->r->contract.raw.g_size }, field);
	memcpy(&v, record + p->offset, sizeof v);
	return v & p->mask;
}

static char letter_of(unsigned state, unsigned reason, const struct goro_name *names)
{
#define STATE_LETTER(id, letter, name) letter,
	static const char letters[] = { GORO_STATES(STATE_LETTER) };
#undef STATE_LETTER

	if (state == GORO_STATE_WAITING && reason && names[reason].letter)
		return (char)names[reason].letter;
	return state < sizeof letters ? letters[state] : '?';
}

static void decode(const struct scan *s, const uint8_t *rec, uint64_t address, struct goro_info *g)
{
#define REASON_CLASS(id, letter, name, class) GORO_CLASS_##class,
	static const uint8_t classes[] = { GORO_REASONS(REASON_CLASS) };
#undef REASON_CLASS
	const struct goro_name *names = s->r->contract.reasons;
	uint32_t status = (uint32_t)get(s, rec, GORO_FIELD_g_status);
	uint64_t since = get(s, rec, GORO_FIELD_g_park_time);

	*g = (struct goro_info){
		.id = get(s, rec, GORO_FIELD_g_id),
		.parent = get(s, rec, GORO_FIELD_g_parent),
		.spawn_pc = get(s, rec, GORO_FIELD_g_spawn_pc),
		.entry = get(s, rec, GORO_FIELD_g_entry),
		.record = address,
		.ext = get(s, rec, GORO_FIELD_g_name),
		.state = (uint8_t)GORO_STATUS_STATE(status),
		.reason = (uint8_t)GORO_STATUS_REASON(status),
		.flags = (uint8_t)GORO_STATUS_FLAGS(status),
		.park_seq = (uint32_t)get(s, rec, GORO_FIELD_g_park_seq),
		.sp = get(s, rec, GORO_FIELD_g_sp),
		.stack_lo = get(s, rec, GORO_FIELD_g_stack_lo),
		.stack_hi = get(s, rec, GORO_FIELD_g_stack_hi),
		.stack_peak = get(s, rec, GORO_FIELD_g_stack_peak) * 4096,
		.wait_ns = since && since < s->now ? s->now - since : 0,
		.held_locks = (uint32_t)get(s, rec, GORO_FIELD_g_held_locks),
		.rlocks_more = (uint32_t)get(s, rec, GORO_FIELD_g_rlocks_more),
		.m_id = (uint32_t)get(s, rec, GORO_FIELD_g_m_id),
		.labelled = get(s, rec, GORO_FIELD_g_name) != 0,
		.stack_id = GORO_NO_STACK,
		.finding = UINT32_MAX,
	};
	if (g->state == GORO_STATE_WAITING) {
		g->wait_object = get(s, rec, GORO_FIELD_g_wait_object);
		g->wait_class = g->reason < GORO_NREASONS ? classes[g->reason]
							  : names[g->reason].wait_class;
	}
	g->letter = letter_of(g->state, g->reason, names);
}

static bool is_there(const struct goro_info *g)
{
	return g->id && g->state != GORO_STATE_FREE && g->state != GORO_STATE_DEAD &&
	       g->state < GORO_NSTATES;
}

/* Main's bounds, and a foreign thread's, come from the system and may be wrong; its memory map is
 * not. */
static void find_stack_end(const struct scan *s, struct goro_info *g)
{
	const struct target_map *map;

	if (!(g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN)) ||
	    (g->sp >= g->stack_lo && g->sp < g->stack_hi))
		return;
	map = target_maps_find(&s->r->modules->maps, g->sp);
	if (map && map->writable) {
		g->stack_lo = map->lo;
		g->stack_hi = map->hi;
	}
}

/* Does it stand still with its registers on its stack? */
static bool has_stack(const struct scan *s, const struct goro_info *g)
{
	return (g->state == GORO_STATE_WAITING || g->state == GORO_STATE_RUNNABLE) &&
	       g->sp >= g->stack_lo && g->sp < g->stack_hi && g->sp % 8 == 0 &&
	       g->stack_hi - g->sp >= s->r->contract.raw.saved_size;
}

static bool moved(const struct scan *s, const uint8_t *a, const uint8_t *b)
{
	static const enum goro_field_id fields[] = {
		GORO_FIELD_g_id,
		GORO_FIELD_g_status,
		GORO_FIELD_g_park_seq,
		GORO_FIELD_g_sp,
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (get(s, a, fields[i]) != get(s, b, fields[i]))
			return true;
	}
	return false;
}

static void add_rlocks(struct scan *s, uint32_t g, const uint8_t *rec)
{
	const struct contract *c = &s->r->contract;
	size_t at = c->fields[GORO_FIELD_g_rlocks].offset;

	if (!c->fields[GORO_FIELD_g_rlocks].size)
		return;
	for (size_t i = 0; i < c->raw.g_nrlocks && at + 8 <= c->raw.g_size; i++, at += 8) {
		uint64_t rwmutex;

		memcpy(&rwmutex, rec + at, sizeof rwmutex);
		if (rwmutex)
			snapshot_add_rlock(s->b, g, rwmutex);
	}
}

/* ---- what it waits for ----------------------------------------------------------------------- */

static bool push_wait(struct scan *s, uint64_t object, unsigned reason)
{
	const struct goro_name *names = s->r->contract.reasons;

	if (s->nwaits == s->waits_cap) {
		size_t cap = s->waits_cap ? s->waits_cap * 2 : 64;
		struct goro_wait *bigger = realloc(s->waits, cap * sizeof *bigger);

		if (!bigger) {
			s->b->no_memory = true;
			return false;
		}
		s->waits = bigger;
		s->waits_cap = cap;
	}
	s->waits[s->nwaits++] = (struct goro_wait){
		.object = object,
		.reason = (uint8_t)reason,
		.wait_class = names[reason & 0xff].wait_class,
	};
	return true;
}

/* The waiter records of a select mostly lie on its own stack; those of a big one do not. */
static enum unwind_status load_waiter(struct scan *s, const struct item *it, uint64_t at,
				      uint8_t *to, size_t size, bool *elsewhere)
{
	bool ok;

	if (at >= it->sp && at < it->hi) {
		if (it->hi - at < size)
			return UNWIND_CANNOT;
		if (at - it->sp + size > it->len)
			return UNWIND_MORE;
		memcpy(to, it->stack + (at - it->sp), size);
		return UNWIND_DONE;
	}
	*elsewhere = true;
	if (s->far_reads++ >= MAX_FAR_READS)
		return UNWIND_CANNOT;
	goro_error_free(target_read_at(s->t, at, to, size, &ok));
	return ok ? UNWIND_DONE : UNWIND_CANNOT;
}

/*
 * Follow the waiters of a select. In damaged memory the list may be a ring: `mark` stays behind
 * and jumps forward at growing distances (Brent), so that a ring is seen after its first lap.
 */
static enum unwind_status collect_cases(struct scan *s, const struct item *it, uint64_t first,
					bool *elsewhere)
{
	const struct contract *c = &s->r->contract;
	size_t size = contract_size(c, GORO_FIELD_waiter_g, GORO_FIELD_waiter_kind);
	uint8_t bytes[4096];
	uint64_t mark = 0;

	for (size_t n = 1, jump = 2; first && first != mark && n < MAX_CASES; n++) {
		struct record w = { bytes, size };
		enum unwind_status status = load_waiter(s, it, first, bytes, size, elsewhere);

		if (status != UNWIND_DONE)
			return status;
		if (!push_wait(s, contract_get(c, w, GORO_FIELD_waiter_object),
			       (uint8_t)contract_get(c, w, GORO_FIELD_waiter_kind)))
			return UNWIND_CANNOT;
		if (n == jump) {
			mark = first;
			jump *= 2;
		}
		first = contract_get(c, w, GORO_FIELD_waiter_next_of_g);
	}
	return first ? UNWIND_CANNOT : UNWIND_DONE;
}

/* Fill s->waits. CANNOT: its memory makes no sense. */
static enum unwind_status collect_waits(struct scan *s, const struct item *it,
					const struct goro_info *g, bool *elsewhere)
{
	s->nwaits = 0;
	*elsewhere = false;
	if (g->state != GORO_STATE_WAITING)
		return UNWIND_DONE;
	if (g->wait_class == GORO_CLASS_SELECT)
		return collect_cases(s, it, get(s, s->before + it->slot, GORO_FIELD_g_waiting),
				     elsewhere);
	if (g->wait_object && g->wait_class > GORO_CLASS_NEVER &&
	    push_wait(s, g->wait_object, g->reason))
		s->waits[0].wait_class = g->wait_class;
	return UNWIND_DONE;
}

/* ---- one batch ------------------------------------------------------------------------------- */

static void again(struct scan *s, const struct item *it, uint32_t window, uint32_t tries)
{
	struct list *l = &s->again;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct item *bigger = realloc(l->v, cap * sizeof *bigger);

		if (!bigger) {
			s->b->no_memory = true;
			return;
		}
		l->v = bigger;
		l->cap = cap;
	}
	l->v[l->n] = *it;
	l->v[l->n].window = window;
	l->v[l->n++].tries = tries;
}

static void give_up(struct scan *s, const struct item *it)
{
	s->b->snap->g[it->g].torn = true;
	add_rlocks(s, it->g, s->before + it->slot);
}

/*
 * Nothing changes in a core file: what cannot be read of it is not there. But for a select, what it
 * waits for is in its record.
 */
static void lose(struct scan *s, const struct item *it)
{
	struct goro_info *g = &s->b->snap->g[it->g];
	bool elsewhere;

	g->lost = true;
	s->b->snap->lost++;
	s->b->snap->truncated++;
	if (g->wait_class != GORO_CLASS_SELECT &&
	    collect_waits(s, it, g, &elsewhere) == UNWIND_DONE && s->nwaits)
		snapshot_add_wait(s->b, it->g, &s->waits[0]);
	add_rlocks(s, it->g, s->before + it->slot);
}

static void retry(struct scan *s, const struct item *it)
{
	if (s->t->file) {
		lose(s, it);
		return;
	}
	if (it->tries == 0)
		s->b->snap->reread++;
	if (it->tries + 1 < MAX_TRIES)
		again(s, it, it->window, it->tries + 1);
	else
		give_up(s, it);
}

/* Its record was unchanged while its stack was copied. */
static void finish(struct scan *s, const struct item *it)
{
	struct goro_info *g = &s->b->snap->g[it->g];
	bool whole = it->sp + it->len >= it->hi || it->window >= MAX_WINDOW, elsewhere;
	struct unwind_stack stack = {
		.layout = &s->r->contract.layout,
		.sp = it->sp,
		.hi = whole ? it->sp + it->len : it->hi,
		.bytes = it->stack,
		.len = it->len,
		.main = g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN),
	};
	enum unwind_status status;
	uint64_t pc, sp;

	/* gdb writes zeros where it could not read. */
	if (s->t->file && unwind_start(&stack, &pc, &sp) == UNWIND_DONE && !pc) {
		lose(s, it);
		return;
	}
	status = collect_waits(s, it, g, &elsewhere);
	if (status == UNWIND_CANNOT) {
		s->b->snap->bad_records++;
		s->nwaits = 0;
	}
	if (elsewhere) {
		/* Those records were read after the check: check again. */
		bool ok;

		goro_error_free(target_read_at(s->t, it->record, s->after + it->slot,
					       s->r->contract.raw.g_size, &ok));
		if (!ok || moved(s, s->before + it->slot, s->after + it->slot)) {
			retry(s, it);
			return;
		}
	}
	if (status != UNWIND_MORE || whole)
		status = snapshot_add_stack(s->b, it->g, &stack);
	if (status == UNWIND_MORE && !whole && s->deep_bytes < DEEP_BUDGET) {
		again(s, it, it->window < MAX_WINDOW / 16 ? it->window * 16 : MAX_WINDOW,
		      it->tries);
		return;
	}
	if (status == UNWIND_MORE)
		s->b->snap->truncated++;
	g = &s->b->snap->g[it->g];
	g->stack_used = g->stack_hi - g->sp;
	for (size_t i = 0; i < s->nwaits; i++)
		snapshot_add_wait(s->b, it->g, &s->waits[i]);
	add_rlocks(s, it->g, s->before + it->slot);
}

/* Give the item a place in the slab. False: the slab is full. */
static bool place(struct scan *s, struct item *it, const struct goro_info *g, size_t *used)
{
	uint64_t want = g->stack_hi - g->sp;

	if (want > it->window)
		want = it->window;
	if (want > SLAB - *used)
		return false;
	it->sp = g->sp;
	it->hi = g->stack_hi;
	it->stack = s->slab + *used;
	it->len = want;
	*used += (want + 15) & ~15ull;
	if (it->window > FIRST_WINDOW)
		s->deep_bytes += want;
	return true;
}

static struct goro_error *read_stacks(struct scan *s)
{
	struct goro_error *err;

	for (size_t i = 0; i < s->nitems; i++)
		s->reads[i] = (struct target_read){ .address = s->items[i].sp,
						    .to = s->items[i].stack,
						    .len = s->items[i].len };
	err = s->t->ops->read(s->t, s->reads, s->nitems);
	/* len 0 marks what could not be read. */
	for (size_t i = 0; i < s->nitems && !err; i++) {
		if (!s->reads[i].ok)
			s->items[i].len = 0;
	}
	return err;
}

/* before[], the stacks and after[] are there: judge each item. */
static void finish_all(struct scan *s)
{
	for (size_t i = 0; i < s->nitems; i++) {
		const struct item *it = &s->items[i];

		if (!it->len || moved(s, s->before + it->slot, s->after + it->slot))
			retry(s, it);
		else
			finish(s, it);
	}
}

/* ---- later rounds: one by one ---------------------------------------------------------------- */

/* Read the records of the items, which have slots 0, 1, ... */
static struct goro_error *read_each(struct scan *s, struct item *items, size_t n, uint8_t *to)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_error *err;

	for (size_t i = 0; i < n; i++)
		s->reads[i] = (struct target_read){ .address = items[i].record,
						    .to = to + items[i].slot,
						    .len = g_size };
	err = s->t->ops->read(s->t, s->reads, n);
	for (size_t i = 0; i < n && !err; i++) {
		if (!s->reads[i].ok)
			memset(s->reads[i].to, 0, g_size);
	}
	return err;
}

/* How many of the items have room in one batch, with the biggest window each may want. */
static size_t batch_length(const struct item *v, size_t n)
{
	size_t bytes = 0, i;

	for (i = 0; i < n && i < BATCH; i++) {
		bytes += v[i].window + 16;
		if (bytes > SLAB && i)
			break;
	}
	return i;
}

static struct goro_error *rescan(struct scan *s, struct item *v, size_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_error *err;
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		v[i].slot = (uint32_t)i * g_size;
	err = read_each(s, v, n, s->before);
	if (err)
		return err;
	s->nitems = 0;
	for (size_t i = 0; i < n; i++) {
		struct goro_info *g = &s->b->snap->g[v[i].g];

		decode(s, s->before + v[i].slot, v[i].record, g);
		find_stack_end(s, g);
		if (!is_there(g))
			g->id = 0; /* it ended: freeze leaves it out */
		else if (has_stack(s, g) && place(s, &v[i], g, &used))
			s->items[s->nitems++] = v[i];
		else
			add_rlocks(s, v[i].g, s->before + v[i].slot);
	}
	err = read_stacks(s);
	if (!err)
		err = read_each(s, s->items, s->nitems, s->after);
	if (!err)
		finish_all(s);
	return err;
}

static struct goro_error *scan_again(struct scan *s)
{
	struct goro_error *err = NULL;

	while (s->again.n && !err && !s->b->no_memory) {
		struct list round = s->again;

		s->again = (struct list){ 0 };
		for (size_t at = 0, n; at < round.n && !err; at += n) {
			n = batch_length(round.v + at, round.n - at);
			err = rescan(s, round.v + at, n);
		}
		free(round.v);
	}
	return err;
}

/* ---- memory of the stacks -------------------------------------------------------------------- */

/* Goroutines of a snapshot, by index. */
struct some {
	const struct goro_info *g;
	uint32_t *v;
	size_t n;
};

static uint64_t lo_of(const void *some, size_t i)
{
	return ((const struct some *)some)->g[((const struct some *)some)->v[i]].stack_lo;
}

static void ask_resident(struct scan *s, struct target_range *v, const uint32_t *of, size_t n)
{
	s->t->ops->resident(s->t, v, n);
	for (size_t i = 0; i < n; i++)
		s->b->snap->g[of[i]].stack_resident = v[i].resident;
}

/* Those with a stack, from index `first` on; what the memo knew is there already. */
static bool list_unasked(const struct goro_snapshot *snap, size_t first, struct some *ret)
{
	*ret = (struct some){ .g = snap->g, .v = malloc((snap->ng - first + 1) * sizeof *ret->v) };
	for (size_t i = first; ret->v && i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (g->id && !g->crowd && !g->stack_resident && g->stack_lo < g->stack_hi)
			ret->v[ret->n++] = (uint32_t)i;
	}
	return ret->v;
}

static void add_resident(struct scan *s, size_t first)
{
	struct goro_snapshot *snap = s->b->snap;
	struct target_range ranges[BATCH];
	uint32_t *order = NULL, of[BATCH];
	struct some some;
	uint64_t end = 0;
	size_t m = 0;

	if (list_unasked(snap, first, &some))
		order = order_by(some.n, lo_of, &some);
	if (!order)
		s->b->no_memory = true;
	for (size_t i = 0; order && i < some.n; i++) {
		uint32_t at = some.v[order[i]];
		const struct goro_info *g = &snap->g[at];
		uint64_t size = g->stack_hi - g->stack_lo;

		if (g->stack_lo < end || size > MAX_RESIDENT - s->address_space)
			continue;
		s->address_space += size;
		end = g->stack_hi;
		of[m] = at;
		ranges[m++] = (struct target_range){ .lo = g->stack_lo, .hi = end };
		if (m == BATCH) {
			ask_resident(s, ranges, of, m);
			m = 0;
		}
	}
	ask_resident(s, ranges, of, m);
	free(some.v);
	free(order);
}

/* ---- first round: chunk by chunk ------------------------------------------------------------- */

static void classify(struct scan *s, uint64_t address, uint32_t slot, size_t *used)
{
	struct item it = { .record = address, .slot = slot, .window = FIRST_WINDOW };
	const struct parked *parked;
	struct goro_info g;

	decode(s, s->before + slot, address, &g);
	if (g.state >= GORO_NSTATES)
		s->b->snap->bad_records++;
	if (!is_there(&g))
		return;
	find_stack_end(s, &g);
	if (g.flags & GORO_FLAG_MAIN)
		s->r->main = g;
	parked = park_memo_find(&s->r->memo, &g);
	if (parked)
		g.stack_used = g.stack_hi - g.sp;
	it.g = snapshot_add_g(s->b, &g);
	if (it.g == UINT32_MAX)
		return;
	if (parked) {
		park_memo_reuse(&s->r->memo, parked, s->b, it.g);
		add_rlocks(s, it.g, s->before + slot);
		return;
	}
	if (has_stack(s, &g) && place(s, &it, &g, used)) {
		s->items[s->nitems++] = it;
		return;
	}
	if (g.state == GORO_STATE_WAITING)
		s->b->snap->bad_records++; /* it must have one */
	add_rlocks(s, it.g, s->before + slot);
}

static struct goro_error *read_records(struct scan *s, uint64_t address, uint32_t n, uint8_t *to,
				       bool *ok)
{
	return target_read_at(s->t, address, to, (size_t)n * s->r->contract.raw.g_size, ok);
}

static struct goro_error *scan_records(struct scan *s, uint64_t address, uint32_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_error *err;
	size_t used = 0;
	bool ok;

	err = read_records(s, address, n, s->before, &ok);
	if (err)
		return err;
	if (!ok) {
		s->b->snap->bad_records += n;
		return NULL;
	}
	s->nitems = 0;
	for (uint32_t i = 0; i < n; i++)
		classify(s, address + (uint64_t)i * g_size, i * g_size, &used);
	if (s->b->snap->ng > s->max_goroutines)
		return goro_error_new(GORO_PARTIAL,
				      "its more than %zu goroutines do not fit in our memory",
				      s->max_goroutines);
	if (!s->nitems)
		return NULL;
	err = read_stacks(s);
	if (!err)
		err = read_records(s, address, n, s->after, &ok);
	if (err)
		return err;
	if (!ok) /* gone between two reads: believe nothing of it */
		memset(s->after, 0, (size_t)n * g_size);
	finish_all(s);
	return NULL;
}

/* Goroutines can join crowds when all is known of them: then no round is left for later. */
static struct goro_error *summarize_records(struct scan *s, uint64_t address, uint32_t n)
{
	size_t first = s->b->snap->ng, first_wait = s->b->snap->nwaits;
	struct goro_error *err = scan_records(s, address, n);

	if (!err)
		err = scan_again(s);
	if (!err && !s->b->no_memory) {
		add_resident(s, first);
		crowd_join(s->b, first, first_wait);
	}
	return err;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct goro_error *scan_chunks(struct scan *s)
{
	const struct goro_introspect *raw = &s->r->contract.raw;
	uint64_t *chunks = calloc(raw->g_nchunks + 1, sizeof *chunks);
	uint64_t bytes = (uint64_t)raw->g_chunk_len * raw->g_size, last = 0;
	struct goro_error *err;
	bool ok;

	if (!chunks)
		return &goro_enomem;
	err = target_read_at(s->t, raw->g_chunks, chunks, raw->g_nchunks * sizeof *chunks, &ok);
	if (!err && !ok)
		err = goro_error_at(GORO_UNSUPPORTED, raw->g_chunks,
				    "its goro contract makes no sense: the table of goroutines at "
				    "0x%llx cannot be read",
				    (unsigned long long)raw->g_chunks);
	if (!err)
		qsort(chunks, raw->g_nchunks, sizeof *chunks, by_value);
	for (uint32_t i = 0; !err && i < raw->g_nchunks; i++) {
		/* Chunks that overlap would multiply what is there. */
		if (!chunks[i] || chunks[i] < last) {
			s->b->snap->bad_records += chunks[i] ? raw->g_chunk_len : 0;
			continue;
		}
		last = chunks[i] + bytes;
		for (uint32_t at = 0; !err && at < raw->g_chunk_len; at += BATCH) {
			uint32_t n = raw->g_chunk_len - at;

			n = n < BATCH ? n : BATCH;
			err = (s->b->summarize ? summarize_records : scan_records)(
				s, chunks[i] + (uint64_t)at * raw->g_size, n);
		}
	}
	free(chunks);
	return err;
}

/* ---- reader_ops ------------------------------------------------------------------------------ */

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static bool scan_begin(struct scan *s)
{
	size_t records = (size_t)BATCH * s->r->contract.raw.g_size;
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	find_plain(s);
	s->max_goroutines = memory / 4 / sizeof(struct goro_info);
	s->now = s->t->file ? s->r->contract.raw.clock : monotonic();
	s->before = malloc(records);
	s->after = malloc(records);
	s->slab = malloc(SLAB);
	s->reads = calloc(BATCH, sizeof *s->reads);
	s->items = calloc(BATCH, sizeof *s->items);
	return s->before && s->after && s->slab && s->reads && s->items;
}

static void scan_end(struct scan *s)
{
	free(s->before);
	free(s->after);
	free(s->slab);
	free(s->reads);
	free(s->items);
	free(s->again.v);
	free(s->waits);
}

/* libgoro-heap.so is there from the start, or never. */
static void find_heap(struct reader_goro *r, struct target *t)
{
	if (r->heap_modules != r->modules->generation + 1) {
		r->heap = contract_find_note(t, r->modules, GORO_HEAP_NOTE_TYPE, GORO_HEAP_COOKIE);
		r->heap_modules = r->modules->generation + 1;
	}
}

static struct goro_error *goro_read(struct reader *base, struct target *t,
				    struct snapshot_builder *b)
{
	struct reader_goro *r = (struct reader_goro *)base;
	const struct goro_introspect *raw = &r->contract.raw;
	struct scan s = { .r = r, .t = t, .b = b };
	struct goro_error *err = contract_load(&r->contract, t, r->contract.address);

	if (err)
		return err;
	if (!scan_begin(&s))
		err = &goro_enomem;
	find_heap(r, t);
	/* What each of them allocated is written down for each. */
	if (r->heap)
		b->summarize = false;
	/* Who compares unwinders wants every stack unwound. */
	if (unwinder_compares(b->unwinder))
		park_memo_free(&r->memo);
	park_memo_rewind(&r->memo);
	snapshot_expect(b, r->expected);
	if (!err)
		err = scan_chunks(&s);
	if (!err)
		err = scan_again(&s);
	if (!err && t->ops->caught)
		err = reader_goro_caught(r, t, b);
	if (!err) {
		snapshot_collect_objects(b);
		if (!b->no_memory)
			add_resident(&s, 0);
		park_memo_objects(&r->memo, b->snap);
		err = contract_read_objects(&r->contract, t, b->snap);
	}
	if (!err) {
		/* The memory for a next look is spent when there was one before. */
		if (r->looked && !b->summarize)
			park_memo_save(&r->memo, b->snap);
		r->looked = true;
		crowd_sort_ids(b);
		r->expected = b->snap->ng + b->snap->ng / 64;
		snapshot_sort(b);
	}
	if (!err)
		err = contract_read_names(&r->contract, t, b->snap);
	if (!err)
		err = r->heap ? contract_read_heap(r->heap, t, b->snap) : NULL;
	if (!err)
		err = contract_read_queues(&r->contract, t, b->snap);
	if (!err)
		err = contract_read_procs(&r->contract, t, b);
	if (!err)
		err = contract_read_tombs(&r->contract, t, b, s.now);
	if (!err) {
		b->snap->time = (int64_t)s.now;
		b->snap->uptime_ns = raw->start_time < s.now ? s.now - raw->start_time : 0;
		b->snap->threads = raw->m_count;
		b->snap->global_runq = (uint32_t)raw->sched_runq_len;
		b->snap->timers = (uint32_t)raw->timers;
		b->snap->deadlocked = raw->deadlocked != 0;
		memcpy(b->snap->reclaim_socket, raw->reclaim_socket,
		       sizeof(b->snap->reclaim_socket) - 1);
		b->snap->reclaimed = raw->reclaimed;
	}
	scan_end(&s);
	return err;
}

/* What started and did not end, main included. */
static int64_t count_goroutines(const struct contract *c, struct target *t)
{
	struct snapshot_builder b;
	int64_t n = 1;

	if (!snapshot_begin(&b, NULL))
		return -1;
	goro_error_free(contract_read_procs(c, t, &b));
	for (size_t i = 0; i < b.snap->nprocs; i++)
		n += (int64_t)(b.snap->procs[i].nspawn - b.snap->procs[i].nexit);
	snapshot_abandon(&b);
	return n < 0 ? -1 : n;
}

static struct goro_error *goro_probe(struct target *t, struct modules *ms, struct reader **ret)
{
	struct reader_goro *r;
	struct goro_error *err;
	uint64_t address;

	*ret = NULL;
	err = contract_find(t, ms, &address);
	if (err || !address)
		return err;
	r = calloc(1, sizeof *r);
	if (!r)
		return &goro_enomem;
	err = contract_load(&r->contract, t, address);
	if (err) {
		free(r);
		return err;
	}
	r->modules = ms;
	r->base.ops = &reader_goro;
	snprintf(r->base.runtime, sizeof r->base.runtime, "goro %.15s",
		 r->contract.raw.runtime_version);
	for (char *p = r->base.runtime; *p; p++)
		*p = *p > ' ' && *p < 127 ? *p : ' ';
	r->base.goroutines = count_goroutines(&r->contract, t);
	r->base.workers = (int)r->contract.raw.m_count;
	r->base.runtime_pc = r->contract.raw.entry_lo;
	*ret = &r->base;
	return NULL;
}

static struct goro_error *goro_facts(struct reader *base, struct target *t,
				     const struct goro_snapshot *snap, struct facts *ret)
{
	struct reader_goro *r = (struct reader_goro *)base;

	return contract_read_facts(&r->contract, t, snap, ret);
}

static void goro_close(struct reader *base)
{
	struct reader_goro *r = (struct reader_goro *)base;

	park_memo_free(&r->memo);
	free(r->threads);
	free(r);
}

const struct reader_ops reader_goro = {
	.probe = goro_probe,
	.read = goro_read,
	.layout = reader_goro_layout,
	.owner = reader_goro_owner,
	.threads = reader_goro_threads,
	.labels = reader_goro_labels,
	.births = reader_goro_births,
	.facts = goro_facts,
	.close = goro_close,
};
