/* SPDX-License-Identifier: MIT */
/*
 * record_pack.c - how two ticks differ, as columns: all but the goroutines, of which there are many
 * (record_goroutines.c).
 */
#include "record_table.h"

#include <stdlib.h>

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
			if (!equal(d->t, row_at(d->t, d->old, i), row_at(d->t, d->new, j)))
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

void record_pack(struct packer *p, struct record_tick *old_tick, struct record_tick *new_tick,
		 const struct record_sink *sink)
{
	static const struct record_state nothing;
	const struct record_state *old = old_tick ? &old_tick->rest : &nothing;
	const struct record_state *new = &new_tick->rest;

	pack_rows(p, PART_HEAD, &record_head_table, &new->head, 1);
	if (old == &nothing) {
		size_t begin;

		pack_number(p, PART_WHO);
		begin = pack_begin(p);
		pack_string(p, new->name);
		pack_string(p, new->runtime);
		pack_end(p, begin);
	}
	pack_number(p, PART_GOROUTINES);
	p->no_memory |= !record_pack_goroutines(p, old_tick, new_tick, sink);
	pack_table(p, PART_OBJECTS,
		   &(struct difference){ .t = &record_object_table,
					 .old = old->objects,
					 .new = new->objects,
					 .nold = old->nobjects,
					 .nnew = new->nobjects });
	pack_rows(p, PART_PROCS, &record_proc_table, new->procs, new->nprocs);
	pack_rows(p, PART_TOMBS, &record_tomb_table, new->tombs, new->ntombs);
	if (new->heap) {
		pack_table(p, PART_HEAP,
			   &(struct difference){ .t = &record_heap_table,
						 .old = old->heap,
						 .new = new->heap,
						 .nold = old->nheap,
						 .nnew = new->nheap });
		pack_rows(p, PART_HEAP_ENDED, &record_heap_ended_table, new->heap_ended,
			  new->nheap_ended);
	}
	pack_number(p, PART_END);
}
