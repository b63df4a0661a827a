/* SPDX-License-Identifier: MIT */
/*
 * record_unpack.c - the next tick from the one before and what was written of it. Whatever the file
 * says is taken for damaged: counts are bounded by the bytes that are left.
 */
#include "record_table.h"

#include <stdlib.h>

#define MAX_GOROUTINES (1u << 24) /* as in the contract */
#define MAX_TABLE      65536u

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

	if (c->t == &record_g_table && id == COLUMN_WAITS)
		return unpack_waits(part, c);
	if (c->t == &record_g_table && id == COLUMN_RLOCKS)
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
	struct change c = { .t = &record_g_table };
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
		ok = unpack_rows(part, &record_head_table, &rows, &n, 1) && n == 1;
		if (ok)
			s->head = *(struct goro_snapshot *)rows;
		free(rows);
		return ok;
	case PART_GOROUTINES:
		return apply_goroutines(part, s, max);
	case PART_OBJECTS:
		rows = s->objects;
		ok = apply_rows(part, &record_object_table, &rows, &s->nobjects, max);
		s->objects = rows;
		return ok;
	case PART_HEAP:
		rows = s->heap;
		ok = apply_rows(part, &record_heap_table, &rows, &s->nheap, max);
		s->heap = rows;
		return ok;
	case PART_HEAP_ENDED:
		rows = s->heap_ended;
		ok = replace(part, &record_heap_ended_table, &rows, &s->nheap_ended);
		s->heap_ended = rows;
		return ok;
	case PART_PROCS:
		rows = s->procs;
		ok = replace(part, &record_proc_table, &rows, &s->nprocs);
		s->procs = rows;
		return ok;
	case PART_TOMBS:
		rows = s->tombs;
		ok = replace(part, &record_tomb_table, &rows, &s->ntombs);
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
