/* SPDX-License-Identifier: MIT */
/*
 * snapshot_objects.c - the objects that the goroutines of a snapshot wait for.
 */
#include "snapshot.h"
#include "snapshot_grow.h"

#include <stdlib.h>
#include <goro_introspect.h>
#include "member.h"
#include "order.h"

bool snapshot_is_object(const struct goro_wait *w)
{
	unsigned class = w->wait_class;

	return w->object && (class == GORO_CLASS_CHAN || class == GORO_CLASS_MUTEX ||
			     class == GORO_CLASS_RWMUTEX || class == GORO_CLASS_COND ||
			     class == GORO_CLASS_WAITGROUP || class == GORO_CLASS_SEMA);
}

/* The objects so far, and where each is by its address. */
struct collection {
	struct goro_snapshot *snap;
	size_t cap, size;
	uint32_t *table; /* open-addressed: index + 1 */
};

static size_t slot_of(const struct collection *c, uint64_t address)
{
	size_t at = (address * 0x9e3779b97f4a7c15ull) >> 32 & (c->size - 1);

	while (c->table[at] && c->snap->objects[c->table[at] - 1].address != address)
		at = (at + 1) & (c->size - 1);
	return at;
}

static bool rehash_objects(struct collection *c)
{
	free(c->table);
	c->size = c->size ? c->size * 2 : 256;
	c->table = calloc(c->size, sizeof *c->table);
	for (size_t i = 0; c->table && i < c->snap->nobjects; i++)
		c->table[slot_of(c, c->snap->objects[i].address)] = (uint32_t)i + 1;
	return c->table;
}

/* One address is one object, whatever damaged memory claims. */
static bool count_waiter(struct snapshot_builder *b, struct collection *c,
			 const struct goro_wait *w)
{
	struct goro_snapshot *s = c->snap;
	struct goro_object *o;
	size_t at;

	if (s->nobjects * 2 >= c->size && !rehash_objects(c))
		return false;
	at = slot_of(c, w->object);
	if (!c->table[at]) {
		if (!GROW(b, s->objects, s->nobjects, 1, c->cap))
			return false;
		s->objects[s->nobjects] = (struct goro_object){
			.address = w->object,
			.wait_class = w->wait_class,
		};
		c->table[at] = (uint32_t)++s->nobjects;
	}
	o = &s->objects[c->table[at] - 1];
	o->nwaiters++;
	if (w->wait_class < o->wait_class)
		o->wait_class = w->wait_class;
	return true;
}

static uint64_t address_of(const void *objects, size_t i)
{
	return ((const struct goro_object *)objects)[i].address;
}

static bool sort_objects(struct goro_snapshot *s)
{
	uint32_t *order = order_by(s->nobjects, address_of, s->objects);
	struct goro_object *sorted = malloc((s->nobjects + 1) * sizeof *sorted);

	for (size_t i = 0; order && sorted && i < s->nobjects; i++)
		sorted[i] = s->objects[order[i]];
	free(order);
	if (!order || !sorted) {
		free(sorted);
		return false;
	}
	free(s->objects);
	s->objects = sorted;
	return true;
}

static bool count_members(struct snapshot_builder *b, struct collection *c)
{
	const struct goro_snapshot *s = c->snap;

	for (size_t i = 0; i < s->nmembers; i++) {
		const struct goro_info *like = &s->g[s->crowds[s->members[i].crowd - 1].g];
		struct goro_wait w;

		if (!like->nwaits)
			continue;
		w = s->waits[like->waits_first];
		w.object = member_wait_object(s, &s->members[i]);
		if (snapshot_is_object(&w) && !count_waiter(b, c, &w))
			return false;
	}
	return true;
}

void snapshot_collect_objects(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	struct collection c = { .snap = s };
	bool ok = !b->no_memory;

	for (size_t i = 0; ok && i < s->ng; i++) {
		for (size_t j = 0; ok && s->g[i].id && j < s->g[i].nwaits; j++) {
			const struct goro_wait *w = &s->waits[s->g[i].waits_first + j];

			if (snapshot_is_object(w))
				ok = count_waiter(b, &c, w);
		}
	}
	ok = ok && (!b->objects || count_members(b, &c));
	free(c.table);
	if (!ok || (s->nobjects && !sort_objects(s)))
		b->no_memory = true;
}
