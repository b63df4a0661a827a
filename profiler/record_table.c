/* SPDX-License-Identifier: MIT */
/*
 * record_table.c - the tables of a tick: which columns they have, and how two of them differ.
 *
 * Rows are sorted by a key. A table is written as the keys that went, the keys of new and changed
 * rows, and then column by column, each value as its difference to the one above: neighbours are
 * alike, and zlib sees long runs of the same bytes.
 */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GOROUTINES (1u << 24) /* as in the contract */
#define MAX_TABLE      65536u

/* Parts of a tick. */
enum {
	PART_END = 0,
	PART_HEAD,
	PART_GOROUTINES,
	PART_OBJECTS,
	PART_PROCS,
	PART_TOMBS,
	PART_WHO,
	PART_HEAP,
	PART_HEAP_ENDED,
};

struct column {
	uint8_t id; /* in the file: never reused */
	uint8_t size;
	bool flag; /* a bool: 0 or 1, whatever the file says */
	uint16_t offset;
};

#define COLUMN_OF(type, id, field, flag)                                  \
	{                                                                 \
		(id), (uint8_t)sizeof(((struct type *)0)->field), (flag), \
			(uint16_t)offsetof(struct type, field)            \
	}
#define COLUMN(type, id, field) COLUMN_OF(type, id, field, false)
#define FLAG(type, id, field)	COLUMN_OF(type, id, field, true)

struct table {
	const struct column *columns; /* the first is the key */
	size_t ncolumns, row_size;
};

static const struct column g_columns[] = {
	COLUMN(goro_info, 1, id),
	COLUMN(goro_info, 2, parent),
	COLUMN(goro_info, 3, spawn_pc),
	COLUMN(goro_info, 4, entry),
	COLUMN(goro_info, 5, record),
	COLUMN(goro_info, 6, state),
	COLUMN(goro_info, 7, reason),
	COLUMN(goro_info, 8, wait_class),
	COLUMN(goro_info, 9, flags),
	COLUMN(goro_info, 10, letter),
	COLUMN(goro_info, 11, park_seq),
	COLUMN(goro_info, 12, wait_object),
	COLUMN(goro_info, 13, wait_ns),
	COLUMN(goro_info, 14, sp),
	COLUMN(goro_info, 15, stack_lo),
	COLUMN(goro_info, 16, stack_hi),
	COLUMN(goro_info, 17, stack_resident),
	COLUMN(goro_info, 18, stack_used),
	COLUMN(goro_info, 19, stack_id),
	COLUMN(goro_info, 20, held_locks),
	COLUMN(goro_info, 21, rlocks_more),
	COLUMN(goro_info, 22, m_id),
	FLAG(goro_info, 23, queued),
	FLAG(goro_info, 24, torn),
	FLAG(goro_info, 25, lost),
	FLAG(goro_info, 26, labelled),
	COLUMN(goro_info, 27, ext),
	COLUMN(goro_info, 28, name),
	COLUMN(goro_info, 29, labels),
};

static const struct column object_columns[] = {
	COLUMN(goro_object, 1, address),   COLUMN(goro_object, 2, wait_class),
	FLAG(goro_object, 3, valid),	   COLUMN(goro_object, 4, owner),
	COLUMN(goro_object, 5, readers),   COLUMN(goro_object, 6, len),
	COLUMN(goro_object, 7, cap),	   COLUMN(goro_object, 8, elem_size),
	FLAG(goro_object, 9, closed),	   COLUMN(goro_object, 10, make_pc),
	COLUMN(goro_object, 11, nwaiters),
};

static const struct column proc_columns[] = {
	COLUMN(goro_proc, 1, id),	COLUMN(goro_proc, 2, status),
	COLUMN(goro_proc, 3, m_id),	COLUMN(goro_proc, 4, tid),
	COLUMN(goro_proc, 5, runq_len), COLUMN(goro_proc, 6, running),
	COLUMN(goro_proc, 7, nswitch),	COLUMN(goro_proc, 8, nspawn),
	COLUMN(goro_proc, 9, nexit),	COLUMN(goro_proc, 10, npark),
	COLUMN(goro_proc, 11, nready),	COLUMN(goro_proc, 12, nsteal),
	COLUMN(goro_proc, 13, nretake),
};

static const struct column tomb_columns[] = {
	COLUMN(goro_tomb, 1, id),	 COLUMN(goro_tomb, 2, parent),
	COLUMN(goro_tomb, 3, spawn_pc),	 COLUMN(goro_tomb, 4, entry),
	COLUMN(goro_tomb, 5, ago_ns),	 COLUMN(goro_tomb, 6, locks),
	COLUMN(goro_tomb, 7, rlocks[0]), COLUMN(goro_tomb, 8, rlocks[1]),
};

static const struct column head_columns[] = {
	COLUMN(goro_snapshot, 1, pid),
	COLUMN(goro_snapshot, 2, time),
	COLUMN(goro_snapshot, 3, wall_time),
	COLUMN(goro_snapshot, 4, uptime_ns),
	COLUMN(goro_snapshot, 5, rss),
	COLUMN(goro_snapshot, 6, cpu),
	COLUMN(goro_snapshot, 7, global_runq),
	COLUMN(goro_snapshot, 8, timers),
	FLAG(goro_snapshot, 9, deadlocked),
	COLUMN(goro_snapshot, 10, cost_ns),
	COLUMN(goro_snapshot, 11, bytes_read),
	COLUMN(goro_snapshot, 12, reread),
	COLUMN(goro_snapshot, 13, torn),
	COLUMN(goro_snapshot, 14, bad_records),
	COLUMN(goro_snapshot, 15, truncated),
	COLUMN(goro_snapshot, 16, lost),
	COLUMN(goro_snapshot, 17, cut),
	COLUMN(goro_snapshot, 18, cpu_ns),
	COLUMN(goro_snapshot, 19, heap_outside.bytes),
	COLUMN(goro_snapshot, 20, heap_outside.objects),
	COLUMN(goro_snapshot, 21, heap_outside.total_bytes),
	COLUMN(goro_snapshot, 22, heap_outside.total_objects),
	COLUMN(goro_snapshot, 23, reclaimed),
};

static const struct column heap_columns[] = {
	COLUMN(record_heap, 1, id),
	COLUMN(record_heap, 2, heap.bytes),
	COLUMN(record_heap, 3, heap.objects),
	COLUMN(record_heap, 4, heap.total_bytes),
	COLUMN(record_heap, 5, heap.total_objects),
};

static const struct column heap_ended_columns[] = {
	COLUMN(goro_heap_site, 1, spawn_pc),	       COLUMN(goro_heap_site, 2, heap.bytes),
	COLUMN(goro_heap_site, 3, heap.objects),       COLUMN(goro_heap_site, 4, heap.total_bytes),
	COLUMN(goro_heap_site, 5, heap.total_objects),
};

#define TABLE(columns, type)                                                        \
	{                                                                           \
		(columns), sizeof(columns) / sizeof *(columns), sizeof(struct type) \
	}

static const struct table g_table = TABLE(g_columns, goro_info);
static const struct table object_table = TABLE(object_columns, goro_object);
static const struct table proc_table = TABLE(proc_columns, goro_proc);
static const struct table tomb_table = TABLE(tomb_columns, goro_tomb);
static const struct table heap_table = TABLE(heap_columns, record_heap);
static const struct table heap_ended_table = TABLE(heap_ended_columns, goro_heap_site);
static const struct table head_table = TABLE(head_columns, goro_snapshot);

/* Columns of waits and read locks: lists that belong to a goroutine. */
enum { COLUMN_END = 0, COLUMN_WAITS = 100, COLUMN_RLOCKS = 101 };

static uint64_t load(const void *row, const struct column *c)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)row + c->offset, c->size);
	return v;
}

/* A value that does not fit is cut. */
static void store(void *row, const struct column *c, uint64_t v)
{
	if (c->flag)
		v = v != 0;
	memcpy((char *)row + c->offset, &v, c->size);
}

static const void *row_at(const struct table *t, const void *rows, size_t i)
{
	return (const char *)rows + i * t->row_size;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool equal(const struct table *t, const void *a, const void *b)
{
	for (size_t i = 0; i < t->ncolumns; i++) {
		if (load(a, &t->columns[i]) != load(b, &t->columns[i]))
			return false;
	}
	return true;
}

struct difference {
	const struct table *t;
	const void *old, *new;
	size_t nold, nnew;
	bool (*same)(const struct difference *d, size_t i, size_t j); /* more than the columns */
	const struct record_state *old_state, *new_state;
	uint64_t *gone;
	size_t ngone;
	uint32_t *changed; /* indices in new */
	size_t nchanged;
};

static void compare(struct difference *d)
{
	const struct column *key = &d->t->columns[0];
	size_t i = 0, j = 0;

	while (i < d->nold || j < d->nnew) {
		bool more_old = i < d->nold, more_new = j < d->nnew;
		uint64_t a = more_old ? load(row_at(d->t, d->old, i), key) : 0;
		uint64_t b = more_new ? load(row_at(d->t, d->new, j), key) : 0;

		if (!more_new || (more_old && a < b)) {
			d->gone[d->ngone++] = a;
			i++;
		} else if (!more_old || b < a) {
			d->changed[d->nchanged++] = (uint32_t)j++;
		} else {
			if (!equal(d->t, row_at(d->t, d->old, i), row_at(d->t, d->new, j)) ||
			    (d->same && !d->same(d, i, j)))
				d->changed[d->nchanged++] = (uint32_t)j;
			i++;
			j++;
		}
	}
}

static void pack_keys(struct packer *p, const struct difference *d)
{
	uint64_t last = 0;

	pack_number(p, d->ngone);
	for (size_t i = 0; i < d->ngone; i++) {
		pack_number(p, d->gone[i] - last);
		last = d->gone[i];
	}
	last = 0;
	pack_number(p, d->nchanged);
	for (size_t i = 0; i < d->nchanged; i++) {
		uint64_t key = load(row_at(d->t, d->new, d->changed[i]), &d->t->columns[0]);

		pack_number(p, key - last);
		last = key;
	}
}

static void pack_columns(struct packer *p, const struct difference *d)
{
	for (size_t k = 1; k < d->t->ncolumns; k++) {
		const struct column *c = &d->t->columns[k];
		uint64_t last = 0;
		size_t begin;

		pack_number(p, c->id);
		begin = pack_begin(p);
		for (size_t i = 0; i < d->nchanged; i++) {
			uint64_t v = load(row_at(d->t, d->new, d->changed[i]), c);

			pack_signed(p, (int64_t)(v - last));
			last = v;
		}
		pack_end(p, begin);
	}
}

static bool same_lists(const struct difference *d, size_t i, size_t j)
{
	const struct record_state *old = d->old_state, *new = d->new_state;
	const struct goro_info *a = &old->g[i], *b = &new->g[j];

	if (a->nwaits != b->nwaits || a->nrlocks != b->nrlocks)
		return false;
	for (uint32_t k = 0; k < a->nwaits; k++) {
		const struct goro_wait *x = &old->waits[a->waits_first + k];
		const struct goro_wait *y = &new->waits[b->waits_first + k];

		if (x->object != y->object || x->reason != y->reason ||
		    x->wait_class != y->wait_class)
			return false;
	}
	return !a->nrlocks || memcmp(old->rlocks + a->rlocks_first, new->rlocks + b->rlocks_first,
				     a->nrlocks * sizeof *old->rlocks) == 0;
}

static void pack_lists(struct packer *p, const struct difference *d)
{
	const struct record_state *s = d->new_state;
	size_t begin;

	pack_number(p, COLUMN_WAITS);
	begin = pack_begin(p);
	for (size_t i = 0; i < d->nchanged; i++) {
		const struct goro_info *g = &s->g[d->changed[i]];
		uint64_t last = g->wait_object;

		pack_number(p, g->nwaits);
		for (uint32_t k = 0; k < g->nwaits; k++) {
			const struct goro_wait *w = &s->waits[g->waits_first + k];

			pack_signed(p, (int64_t)(w->object - last));
			pack_number(p, w->reason);
			pack_number(p, w->wait_class);
			last = w->object;
		}
	}
	pack_end(p, begin);
	pack_number(p, COLUMN_RLOCKS);
	begin = pack_begin(p);
	for (size_t i = 0; i < d->nchanged; i++) {
		const struct goro_info *g = &s->g[d->changed[i]];

		pack_number(p, g->nrlocks);
		for (uint32_t k = 0; k < g->nrlocks; k++)
			pack_number(p, s->rlocks[g->rlocks_first + k]);
	}
	pack_end(p, begin);
}

static void pack_table(struct packer *p, unsigned part, struct difference *d)
{
	size_t begin;

	pack_number(p, part);
	begin = pack_begin(p);
	d->gone = calloc(d->nold + 1, sizeof *d->gone);
	d->changed = calloc(d->nnew + 1, sizeof *d->changed);
	if (d->gone && d->changed) {
		compare(d);
		pack_keys(p, d);
		pack_columns(p, d);
		if (d->t == &g_table)
			pack_lists(p, d);
		pack_number(p, COLUMN_END);
	} else {
		p->no_memory = true;
	}
	free(d->gone);
	free(d->changed);
	pack_end(p, begin);
}

/* A table without changes: all rows, which need no key. */
static void pack_rows(struct packer *p, unsigned part, const struct table *t, const void *rows,
		      size_t n)
{
	size_t begin;

	pack_number(p, part);
	begin = pack_begin(p);
	pack_number(p, n);
	for (size_t k = 0; k < t->ncolumns; k++) {
		size_t column;

		pack_number(p, t->columns[k].id);
		column = pack_begin(p);
		for (size_t i = 0; i < n; i++)
			pack_number(p, load(row_at(t, rows, i), &t->columns[k]));
		pack_end(p, column);
	}
	pack_number(p, COLUMN_END);
	pack_end(p, begin);
}

void record_pack(struct packer *p, const struct record_state *old, const struct record_state *new)
{
	static const struct record_state nothing;

	old = old ? old : &nothing;
	pack_rows(p, PART_HEAD, &head_table, &new->head, 1);
	if (old == &nothing) {
		size_t begin;

		pack_number(p, PART_WHO);
		begin = pack_begin(p);
		pack_string(p, new->name);
		pack_string(p, new->runtime);
		pack_end(p, begin);
	}
	pack_table(p, PART_GOROUTINES,
		   &(struct difference){ .t = &g_table,
					 .old = old->g,
					 .new = new->g,
					 .nold = old->ng,
					 .nnew = new->ng,
					 .same = same_lists,
					 .old_state = old,
					 .new_state = new });
	pack_table(p, PART_OBJECTS,
		   &(struct difference){ .t = &object_table,
					 .old = old->objects,
					 .new = new->objects,
					 .nold = old->nobjects,
					 .nnew = new->nobjects });
	pack_rows(p, PART_PROCS, &proc_table, new->procs, new->nprocs);
	pack_rows(p, PART_TOMBS, &tomb_table, new->tombs, new->ntombs);
	if (new->heap) {
		pack_table(p, PART_HEAP,
			   &(struct difference){ .t = &heap_table,
						 .old = old->heap,
						 .new = new->heap,
						 .nold = old->nheap,
						 .nnew = new->nheap });
		pack_rows(p, PART_HEAP_ENDED, &heap_ended_table, new->heap_ended, new->nheap_ended);
	}
	pack_number(p, PART_END);
}

/* ---- reading --------------------------------------------------------------------------------- */

static const struct column *find_column(const struct table *t, uint64_t id)
{
	for (size_t k = 0; k < t->ncolumns; k++) {
		if (t->columns[k].id == id)
			return &t->columns[k];
	}
	return NULL;
}

/* `size` times n zeroed bytes, also for n = 0. */
static void *rows_alloc(size_t n, size_t size)
{
	return calloc(n + 1, size);
}

static bool unpack_rows(struct unpacker u, const struct table *t, void **rows, size_t *n,
			size_t most)
{
	uint64_t count = unpack_number(&u), id;

	if (u.bad || count > most || count > unpack_left(&u) + 1)
		return false;
	*rows = rows_alloc(count, t->row_size);
	*n = *rows ? count : 0;
	while (*rows && (id = unpack_number(&u)) != COLUMN_END) {
		struct unpacker part = unpack_part(&u);
		const struct column *c = find_column(t, id);

		for (size_t i = 0; c && i < count; i++)
			store((char *)*rows + i * t->row_size, c, unpack_number(&part));
		if (part.bad)
			return false;
	}
	return *rows && !u.bad;
}

/* Keys rise; what falls or stands still is damaged. */
static uint64_t *unpack_keys(struct unpacker *u, size_t *n, size_t max)
{
	uint64_t count = unpack_count(u), last = 0;
	uint64_t *keys;

	if (count > max)
		u->bad = true;
	keys = u->bad ? NULL : rows_alloc(count, sizeof *keys);
	*n = 0;
	for (uint64_t i = 0; keys && i < count; i++) {
		uint64_t step = unpack_number(u);

		if (last + step < last || (i && !step))
			u->bad = true;
		last += step;
		keys[(*n)++] = last;
	}
	return keys;
}

/* What the rows of a table become by one tick. */
struct change {
	const struct table *t;
	uint64_t *gone, *keys;
	size_t ngone, nkeys;
	char *rows; /* of the keys */
	struct goro_wait *waits;
	uint64_t *rlocks;
	size_t nwaits, nrlocks;
};

static void change_free(struct change *c)
{
	free(c->gone);
	free(c->keys);
	free(c->rows);
	free(c->waits);
	free(c->rlocks);
}

/* A wait is three bytes at least, a read lock one: so the lists are no longer than the part. */
static bool unpack_waits(struct unpacker u, struct change *c)
{
	struct goro_info *g = (struct goro_info *)c->rows;

	free(c->waits);
	c->waits = rows_alloc(unpack_left(&u) / 3, sizeof *c->waits);
	c->nwaits = 0;
	for (size_t i = 0; c->waits && i < c->nkeys && !u.bad; i++) {
		uint64_t n = unpack_number(&u), last = g[i].wait_object;

		if (n > unpack_left(&u) / 3)
			return false;
		g[i].waits_first = (uint32_t)c->nwaits;
		g[i].nwaits = (uint32_t)n;
		for (uint64_t k = 0; k < n; k++) {
			last += (uint64_t)unpack_signed(&u);
			c->waits[c->nwaits].object = last;
			c->waits[c->nwaits].reason = (uint8_t)unpack_number(&u);
			c->waits[c->nwaits++].wait_class = (uint8_t)unpack_number(&u);
		}
	}
	return c->waits && !u.bad;
}

static bool unpack_rlocks(struct unpacker u, struct change *c)
{
	struct goro_info *g = (struct goro_info *)c->rows;

	free(c->rlocks);
	c->rlocks = rows_alloc(unpack_left(&u), sizeof *c->rlocks);
	c->nrlocks = 0;
	for (size_t i = 0; c->rlocks && i < c->nkeys && !u.bad; i++) {
		uint64_t n = unpack_count(&u);

		g[i].rlocks_first = (uint32_t)c->nrlocks;
		g[i].nrlocks = (uint32_t)n;
		for (uint64_t k = 0; k < n; k++)
			c->rlocks[c->nrlocks++] = unpack_number(&u);
	}
	return c->rlocks && !u.bad;
}

static bool unpack_column(struct unpacker part, struct change *c, uint64_t id)
{
	const struct column *column = find_column(c->t, id);
	uint64_t last = 0;

	if (c->t == &g_table && id == COLUMN_WAITS)
		return unpack_waits(part, c);
	if (c->t == &g_table && id == COLUMN_RLOCKS)
		return unpack_rlocks(part, c);
	if (column == &c->t->columns[0]) /* the keys are known, and in order */
		return false;
	for (size_t i = 0; column && i < c->nkeys; i++) {
		last += (uint64_t)unpack_signed(&part);
		store(c->rows + i * c->t->row_size, column, last);
	}
	return !part.bad;
}

static bool unpack_change(struct unpacker u, struct change *c, size_t max)
{
	uint64_t id;

	c->gone = unpack_keys(&u, &c->ngone, max);
	c->keys = c->gone ? unpack_keys(&u, &c->nkeys, max) : NULL;
	c->rows = c->keys && !u.bad ? rows_alloc(c->nkeys, c->t->row_size) : NULL;
	if (!c->rows)
		return false;
	for (size_t i = 0; i < c->nkeys; i++)
		store(c->rows + i * c->t->row_size, &c->t->columns[0], c->keys[i]);
	while ((id = unpack_number(&u)) != COLUMN_END) {
		struct unpacker part = unpack_part(&u);

		if (u.bad || !unpack_column(part, c, id))
			return false;
	}
	return !u.bad;
}

/* Where the rows of the new table come from, in order of their keys: true for the change's. */
static bool next_row(const struct change *c, const void *old, size_t nold, size_t *i, size_t *j,
		     size_t *k, bool *from_change)
{
	const struct column *key = &c->t->columns[0];

	for (;;) {
		uint64_t a = *i < nold ? load(row_at(c->t, old, *i), key) : UINT64_MAX;

		if (*j < c->nkeys && (*i == nold || c->keys[*j] <= a)) {
			*i += *i < nold && c->keys[*j] == a;
			(*j)++;
			*from_change = true;
			return true;
		}
		if (*i == nold)
			return false;
		(*i)++;
		while (*k < c->ngone && c->gone[*k] < a)
			(*k)++;
		*from_change = false;
		if (*k == c->ngone || c->gone[*k] != a)
			return true;
	}
}

static bool merge(const struct change *c, void **rows, size_t *n, size_t max)
{
	size_t i = 0, j = 0, k = 0, made = 0;
	char *merged;
	bool from_change;

	if (*n + c->nkeys > 2 * max)
		return false;
	merged = rows_alloc(*n + c->nkeys, c->t->row_size);
	while (merged && next_row(c, *rows, *n, &i, &j, &k, &from_change))
		memcpy(merged + made++ * c->t->row_size,
		       from_change ? c->rows + (j - 1) * c->t->row_size
				   : row_at(c->t, *rows, i - 1),
		       c->t->row_size);
	if (!merged || made > max) {
		free(merged);
		return false;
	}
	free(*rows);
	*rows = merged;
	*n = made;
	return true;
}

static bool apply_rows(struct unpacker u, const struct table *t, void **rows, size_t *n, size_t max)
{
	struct change c = { .t = t };
	bool ok = unpack_change(u, &c, max) && merge(&c, rows, n, max);

	change_free(&c);
	return ok;
}

/* The lists of goroutines that stay come from the old arrays, the others' from the change's. */
static bool merge_goroutines(const struct change *c, struct record_state *s, size_t max)
{
	size_t i = 0, j = 0, k = 0, made = 0, nwaits = 0, nrlocks = 0;
	struct goro_info *g;
	struct goro_wait *waits;
	uint64_t *rlocks;
	bool from_change;

	if (s->ng + c->nkeys > 2 * max)
		return false;
	g = rows_alloc(s->ng + c->nkeys, sizeof *g);
	waits = rows_alloc(s->nwaits + c->nwaits, sizeof *waits);
	rlocks = rows_alloc(s->nrlocks + c->nrlocks, sizeof *rlocks);
	while (g && waits && rlocks && next_row(c, s->g, s->ng, &i, &j, &k, &from_change)) {
		const struct goro_info *from = from_change ? &((struct goro_info *)c->rows)[j - 1]
							   : &s->g[i - 1];
		struct goro_info *to = &g[made++];

		*to = *from;
		to->waits_first = (uint32_t)nwaits;
		to->rlocks_first = (uint32_t)nrlocks;
		if (from->nwaits && (from_change ? c->waits : s->waits))
			memcpy(waits + nwaits,
			       (from_change ? c->waits : s->waits) + from->waits_first,
			       from->nwaits * sizeof *waits);
		if (from->nrlocks && (from_change ? c->rlocks : s->rlocks))
			memcpy(rlocks + nrlocks,
			       (from_change ? c->rlocks : s->rlocks) + from->rlocks_first,
			       from->nrlocks * sizeof *rlocks);
		nwaits += from->nwaits;
		nrlocks += from->nrlocks;
	}
	if (!g || !waits || !rlocks || made > max) {
		free(g);
		free(waits);
		free(rlocks);
		return false;
	}
	free(s->g);
	free(s->waits);
	free(s->rlocks);
	s->g = g;
	s->ng = made;
	s->waits = waits;
	s->nwaits = nwaits;
	s->rlocks = rlocks;
	s->nrlocks = nrlocks;
	return true;
}

static bool apply_goroutines(struct unpacker u, struct record_state *s, size_t max)
{
	struct change c = { .t = &g_table };
	bool ok = unpack_change(u, &c, max) && merge_goroutines(&c, s, max);

	change_free(&c);
	return ok;
}

static bool replace(struct unpacker u, const struct table *t, void **rows, size_t *n)
{
	void *fresh = NULL;
	size_t count = 0;

	if (!unpack_rows(u, t, &fresh, &count, MAX_TABLE)) {
		free(fresh);
		return false;
	}
	free(*rows);
	*rows = fresh;
	*n = count;
	return true;
}

static bool replace_string(struct unpacker *u, char **s)
{
	size_t n;
	const char *text = unpack_string(u, &n);

	free(*s);
	*s = strndup(text ? text : "?", text ? n : 1);
	return *s;
}

static bool apply_part(struct unpacker part, uint64_t id, struct record_state *s, size_t max)
{
	void *rows;
	size_t n;
	bool ok;

	switch (id) {
	case PART_HEAD:
		rows = NULL;
		ok = unpack_rows(part, &head_table, &rows, &n, 1) && n == 1;
		if (ok)
			s->head = *(struct goro_snapshot *)rows;
		free(rows);
		return ok;
	case PART_GOROUTINES:
		return apply_goroutines(part, s, max);
	case PART_OBJECTS:
		rows = s->objects;
		ok = apply_rows(part, &object_table, &rows, &s->nobjects, max);
		s->objects = rows;
		return ok;
	case PART_HEAP:
		rows = s->heap;
		ok = apply_rows(part, &heap_table, &rows, &s->nheap, max);
		s->heap = rows;
		return ok;
	case PART_HEAP_ENDED:
		rows = s->heap_ended;
		ok = replace(part, &heap_ended_table, &rows, &s->nheap_ended);
		s->heap_ended = rows;
		return ok;
	case PART_PROCS:
		rows = s->procs;
		ok = replace(part, &proc_table, &rows, &s->nprocs);
		s->procs = rows;
		return ok;
	case PART_TOMBS:
		rows = s->tombs;
		ok = replace(part, &tomb_table, &rows, &s->ntombs);
		s->tombs = rows;
		return ok;
	case PART_WHO:
		return replace_string(&part, &s->name) && replace_string(&part, &s->runtime);
	default: /* of a newer writer */
		return true;
	}
}

bool record_unpack(struct unpacker *u, struct record_state *s, bool whole, size_t max)
{
	uint64_t id;

	max = max < MAX_GOROUTINES ? max : MAX_GOROUTINES;
	if (whole)
		record_state_free(s);
	while ((id = unpack_number(u)) != PART_END) {
		struct unpacker part = unpack_part(u);

		if (u->bad || !apply_part(part, id, s, max))
			return false;
	}
	return !u->bad;
}

void record_state_free(struct record_state *s)
{
	free(s->g);
	free(s->waits);
	free(s->rlocks);
	free(s->objects);
	free(s->procs);
	free(s->tombs);
	free(s->heap);
	free(s->heap_ended);
	free(s->name);
	free(s->runtime);
	memset(s, 0, sizeof *s);
}
