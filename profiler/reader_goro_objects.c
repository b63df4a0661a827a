/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_objects.c - the objects that are waited for, when only some waits changed.
 *
 * What those wait for that ran is counted out of the objects and in again. A channel at which
 * somebody was parked the whole time did not change but by the number of them: it is open, and as
 * empty or as full as it was. All other objects are read again.
 */
#include "reader_goro_past.h"

#include <stdlib.h>

static void count_all(struct scan *s)
{
	struct goro_snapshot *snap = s->b->snap;

	free(snap->objects);
	snap->objects = NULL;
	snap->nobjects = 0;
	snapshot_collect_objects(s->b);
}

/* Was it left by somebody, or has it contents that change while all wait? Then read it again. */
static void renew_contents(struct goro_snapshot *snap, const bool *touched)
{
	for (size_t i = 0; i < snap->nobjects; i++) {
		struct goro_object *o = &snap->objects[i];

		if (touched[i] || !o->valid || o->wait_class != GORO_CLASS_CHAN)
			*o = (struct goro_object){ .address = o->address,
						   .wait_class = o->wait_class,
						   .nwaiters = o->nwaiters };
	}
}

static struct goro_object *find(struct goro_snapshot *snap, const struct goro_wait *w)
{
	return (struct goro_object *)goro_snapshot_object(snap, w->object);
}

/* One more waiter, at an object that may be a new one. False: count all. */
static bool count_in(struct scan *s, const struct goro_wait *w, bool *touched)
{
	struct renewal *r = s->renewal;
	struct goro_object *o = find(s->b->snap, w), *v;

	if (o) {
		o->nwaiters++;
		touched[o - s->b->snap->objects] = true;
		return o->wait_class == w->wait_class;
	}
	v = renew_grow(s, r->objects, r->nobjects, &r->objects_cap, sizeof *r->objects);
	if (!v)
		return false;
	r->objects = v;
	r->objects[r->nobjects++] = (struct goro_object){
		.address = w->object,
		.wait_class = w->wait_class,
		.nwaiters = 1,
	};
	return true;
}

static bool recount(struct scan *s, bool *touched)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;

	for (size_t i = 0; i < r->n; i++) {
		const struct goro_info *g = r->v[i].g == UINT32_MAX ? NULL : &snap->g[r->v[i].g];

		for (uint32_t k = 0; g && k < g->nwaits; k++) {
			const struct goro_wait *w = &snap->waits[g->waits_first + k];

			if (snapshot_is_object(w) && !count_in(s, w, touched))
				return false;
		}
	}
	for (size_t i = 0; i < r->nleft; i++) {
		struct goro_object *o;

		if (!snapshot_is_object(&r->left[i]))
			continue;
		o = find(snap, &r->left[i]);
		if (!o || o->wait_class != r->left[i].wait_class || !o->nwaiters)
			return false;
		r->lonely |= --o->nwaiters == 0;
		touched[o - snap->objects] = true;
	}
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct goro_object *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* The new ones in order, each one once. False: count all. */
static bool sort_new(struct renewal *r)
{
	size_t n = 0;

	if (r->nobjects)
		qsort(r->objects, r->nobjects, sizeof *r->objects, by_address);
	for (size_t i = 0; i < r->nobjects; i++) {
		struct goro_object *last = n ? &r->objects[n - 1] : NULL;

		if (!last || last->address != r->objects[i].address) {
			r->objects[n++] = r->objects[i];
			continue;
		}
		if (last->wait_class != r->objects[i].wait_class)
			return false;
		last->nwaiters++;
	}
	r->nobjects = n;
	return true;
}

/* The new ones come in, and those go that nobody waits for any more. */
static bool merge_objects(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;
	struct goro_object *all;
	size_t n = 0, k = 0;

	if (!r->nobjects && !r->lonely)
		return true;
	all = sort_new(r) ? malloc((snap->nobjects + r->nobjects + 1) * sizeof *all) : NULL;
	if (!all)
		return false;
	for (size_t i = 0; i < snap->nobjects; i++) {
		while (k < r->nobjects && r->objects[k].address < snap->objects[i].address)
			all[n++] = r->objects[k++];
		if (snap->objects[i].nwaiters)
			all[n++] = snap->objects[i];
	}
	while (k < r->nobjects)
		all[n++] = r->objects[k++];
	free(snap->objects);
	snap->objects = all;
	snap->nobjects = n;
	return true;
}

void renew_objects(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;
	bool *touched = calloc(snap->nobjects + 1, sizeof *touched);

	if (touched && !r->odd && r->n + r->nleft <= snap->ng / 2 && recount(s, touched)) {
		renew_contents(snap, touched);
		if (merge_objects(s)) {
			free(touched);
			return;
		}
	}
	free(touched);
	count_all(s);
}
