/* SPDX-License-Identifier: MIT */
/*
 * record_goroutines.c - how the goroutines of two ticks differ, as columns.
 *
 * Of a million goroutines nothing is copied. Each becomes the row that is written of it when it is
 * its turn, in every column anew; of the last tick a sum over each row is enough to know whether it
 * changed; and what is packed goes to be compressed piece by piece. Lengths are in front of what
 * they are of, so all is packed twice, and only counted the first time.
 *
 * Rejected: the rows of both ticks as arrays, 400 bytes a goroutine; a longer sum, or to compare
 * the rows of which it is the same: who can bring two rows to one sum is the program itself, and
 * what it would hide is its own.
 */
#include "record_table.h"

#include <stdlib.h>
#include <string.h>

enum {
	DRAIN = 1 << 18,
	N_COLUMNS = RECORD_G_COLUMNS,
	ALL_COLUMNS = N_COLUMNS + 2,
};

struct change {
	const struct record_tick *t;
	uint64_t *gone;
	size_t ngone;
	uint32_t *changed; /* places, by rising id */
	size_t nchanged;
	size_t lengths[ALL_COLUMNS]; /* in bytes, of the values of each column */
};

/* What is written of it. */
static struct goro_info row_of(const struct record_tick *t, const struct goro_info *g)
{
	struct goro_info row = *g;

	row.wait_ns = g->wait_ns ? (uint64_t)t->snap->time - g->wait_ns : 0;
	if (g->stack_id != GORO_NO_STACK)
		row.stack_id = t->stacks[g->stack_id];
	row.name = g->name ? t->text(t->arg, g->name) : 0;
	row.labels = g->labels ? t->text(t->arg, g->labels) : 0;
	return row;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* What is not written of it, or is another's place. */
static void blank(struct goro_info *row)
{
	row->finding = row->waits_first = row->crowd = row->rlocks_first = 0;
	row->verdict = row->proof = 0;
	row->member = false;
}

/*
 * Over the row as it lies there and not column by column, in lanes that do not wait for each other:
 * a sum of each goroutine is most of what a tick costs in which nothing happened.
 */
static uint64_t sum_of(const struct record_tick *t, const struct goro_info *row)
{
	enum { WORDS = sizeof *row / 8, LANES = 4 };
	uint64_t words[WORDS], lanes[LANES] = { 1, 2, 3, 4 }, h = 0;
	struct goro_info plain = *row;

	_Static_assert(sizeof *row == 176, "all of it is summed, and nothing that lies between");
	blank(&plain);
	memcpy(words, &plain, sizeof words);
	for (size_t i = 0; i < WORDS; i++)
		lanes[i % LANES] = mix(lanes[i % LANES], words[i]);
	for (size_t i = 0; i < LANES; i++)
		h = mix(h, lanes[i]);
	for (uint32_t k = 0; k < row->nwaits; k++) {
		struct goro_wait w = goro_snapshot_wait(t->snap, row, k);

		h = mix(mix(h, w.object), (uint64_t)w.reason << 8 | w.wait_class);
	}
	for (uint32_t k = 0; k < row->nrlocks; k++)
		h = mix(h, t->snap->rlocks[row->rlocks_first + k]);
	return h;
}

/*
 * What is remembered of the last tick becomes what is to be remembered of the new one, in the same
 * array: what would be written over before it was read, since there are new ones in front of it,
 * waits in line.
 */
struct memory {
	struct record_known *v;
	size_t n, read, written;
	struct record_known *line;
	size_t nline, line_read, line_cap;
	bool no_memory;
};

static const struct record_known *first_left(const struct memory *m)
{
	if (m->line_read < m->nline)
		return &m->line[m->line_read];
	return m->read < m->n ? &m->v[m->read] : NULL;
}

static void leave(struct memory *m)
{
	*(m->line_read < m->nline ? &m->line_read : &m->read) += 1;
	if (m->line_read == m->nline)
		m->line_read = m->nline = 0;
}

static void stand_in_line(struct memory *m, struct record_known known)
{
	if (m->nline == m->line_cap) {
		size_t cap = m->line_cap ? m->line_cap * 2 : 64;
		struct record_known *bigger = realloc(m->line, cap * sizeof *bigger);

		if (!bigger) {
			m->no_memory = true;
			return;
		}
		m->line = bigger;
		m->line_cap = cap;
	}
	m->line[m->nline++] = known;
}

static void remember(struct memory *m, struct record_known now)
{
	if (m->read == m->written && m->read < m->n)
		stand_in_line(m, m->v[m->read++]);
	m->v[m->written++] = now;
}

static void compare(struct change *c, struct memory *m)
{
	struct goro_walk walk = { .snap = c->t->snap };
	const struct record_known *old;
	const struct goro_info *g;

	while ((g = goro_snapshot_next(&walk)) && !m->no_memory) {
		const struct goro_info row = row_of(c->t, g);
		const struct record_known now = { row.id, sum_of(c->t, &row) };

		for (old = first_left(m); old && old->id < now.id; old = first_left(m)) {
			c->gone[c->ngone++] = old->id;
			leave(m);
		}
		if (!old || old->id != now.id || old->sum != now.sum)
			c->changed[c->nchanged++] = goro_walk_place(&walk);
		if (old && old->id == now.id)
			leave(m);
		remember(m, now);
	}
	for (old = first_left(m); old; old = first_left(m)) {
		c->gone[c->ngone++] = old->id;
		leave(m);
	}
}

static struct goro_info changed_row(const struct change *c, size_t i)
{
	struct goro_info room;

	return row_of(c->t, goro_snapshot_at(c->t->snap, c->changed[i], &room));
}

static void pack_keys(struct packer *p, const struct change *c)
{
	struct goro_info room;
	uint64_t last = 0;

	pack_number(p, c->ngone);
	for (size_t i = 0; i < c->ngone; i++) {
		pack_number(p, c->gone[i] - last);
		last = c->gone[i];
	}
	last = 0;
	pack_number(p, c->nchanged);
	for (size_t i = 0; i < c->nchanged; i++) {
		uint64_t id = goro_snapshot_at(c->t->snap, c->changed[i], &room)->id;

		pack_number(p, id - last);
		last = id;
	}
}

static void drain(struct packer *p, const struct record_sink *sink)
{
	if (p->n >= DRAIN)
		sink->take(sink->arg, p);
}

static void pack_waits(struct packer *p, const struct goro_snapshot *s, const struct goro_info *row)
{
	uint64_t last = row->wait_object;

	pack_number(p, row->nwaits);
	for (uint32_t k = 0; k < row->nwaits; k++) {
		struct goro_wait w = goro_snapshot_wait(s, row, k);

		pack_signed(p, (int64_t)(w.object - last));
		pack_number(p, w.reason);
		pack_number(p, w.wait_class);
		last = w.object;
	}
}

static void pack_rlocks(struct packer *p, const struct goro_snapshot *s,
			const struct goro_info *row)
{
	pack_number(p, row->nrlocks);
	for (uint32_t k = 0; k < row->nrlocks; k++)
		pack_number(p, s->rlocks[row->rlocks_first + k]);
}

/* What a row has in the i-th column: those of the table, but for its key, and then its lists. */
static void pack_value(struct packer *p, const struct change *c, const struct goro_info *row,
		       size_t i, uint64_t *last)
{
	uint64_t v;

	if (i == N_COLUMNS) {
		pack_waits(p, c->t->snap, row);
	} else if (i > N_COLUMNS) {
		pack_rlocks(p, c->t->snap, row);
	} else {
		v = load(row, &record_g_table.columns[i]);
		pack_signed(p, (int64_t)(v - *last));
		*last = v;
	}
}

static unsigned column_id(size_t i)
{
	return i == N_COLUMNS  ? COLUMN_WAITS
	       : i > N_COLUMNS ? COLUMN_RLOCKS
			       : record_g_table.columns[i].id;
}

/* Fills in lengths[]. */
static void count(struct change *c)
{
	struct packer p = { .counting = true };
	uint64_t last[ALL_COLUMNS] = { 0 };

	for (size_t k = 0; k < c->nchanged; k++) {
		const struct goro_info row = changed_row(c, k);

		for (size_t i = 1; i < ALL_COLUMNS; i++) {
			p.n = 0;
			pack_value(&p, c, &row, i, &last[i]);
			c->lengths[i] += p.n;
		}
	}
}

/* All that is in front of the values. Returns their length. */
static size_t pack_heads(struct packer *p, const struct change *c, size_t i)
{
	pack_number(p, column_id(i));
	pack_length(p, c->lengths[i]);
	return c->lengths[i];
}

static size_t length_of(const struct change *c)
{
	struct packer p = { .counting = true };

	pack_keys(&p, c);
	for (size_t i = 1; i < ALL_COLUMNS; i++)
		p.n += pack_heads(&p, c, i);
	pack_number(&p, COLUMN_END);
	return p.n;
}

static void pack_change(struct packer *p, const struct change *c, const struct record_sink *sink)
{
	pack_length(p, length_of(c));
	pack_keys(p, c);
	for (size_t i = 1; i < ALL_COLUMNS; i++) {
		uint64_t last = 0;

		pack_heads(p, c, i);
		for (size_t k = 0; k < c->nchanged; k++) {
			const struct goro_info row = changed_row(c, k);

			drain(p, sink);
			pack_value(p, c, &row, i, &last);
		}
	}
	pack_number(p, COLUMN_END);
}

bool record_pack_goroutines(struct packer *p, struct record_tick *old, struct record_tick *new,
			    const struct record_sink *sink)
{
	const size_t n = goro_snapshot_count(new->snap), nold = old ? old->nknown : 0;
	struct change c = { .t = new };
	struct memory m = { .n = nold };

	m.v = realloc(old ? old->known : NULL, ((n > nold ? n : nold) + 1) * sizeof *m.v);
	if (old && m.v)
		old->known = NULL;
	new->known = m.v;
	/* What is not needed of these is not touched. */
	c.gone = malloc((nold + 1) * sizeof *c.gone);
	c.changed = malloc((n + 1) * sizeof *c.changed);
	m.no_memory = !m.v || !c.gone || !c.changed;
	if (!m.no_memory)
		compare(&c, &m);
	new->nknown = m.written;
	if (!m.no_memory) {
		count(&c);
		pack_change(p, &c, sink);
	}
	free(m.line);
	free(c.gone);
	free(c.changed);
	return !m.no_memory;
}
