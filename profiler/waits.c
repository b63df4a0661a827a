/* SPDX-License-Identifier: MIT */
/*
 * waits.c - what is waited for, by whom, and who could end it: the wait-for graph as a list of
 * objects with their waiters.
 *
 * The waiters of one object that stand at one place are one bunch: ten thousand receivers of one
 * channel are one line. Works on a snapshot alone.
 */
#include "goro_introspect.h"
#include "member.h"
#include "order.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t object_of(const void *snapshot, const void *waiter)
{
	(void)snapshot;
	return ((const struct goro_waiter *)waiter)->object;
}

static uint64_t place_of(const void *snapshot, const void *waiter)
{
	const struct goro_waiter *w = waiter;

	return (uint64_t)w->reason << 32 | member_like(snapshot, w->place)->stack_id;
}

static uint64_t id_of(const void *snapshot, const void *waiter)
{
	return member_id_at(snapshot, ((const struct goro_waiter *)waiter)->place);
}

/*
 * By object, then by reason and stack, then by id. There may be a million: qsort() would take as
 * much memory again as they have, and as much time.
 */
static void sort_waiters(struct goro_waits *v)
{
	order_in_place(v->w, sizeof *v->w, v->n, object_of, v->snap);
	for (size_t i = 0, n; i < v->n; i += n) {
		n = goro_waits_of_object(v, i);
		order_in_place(v->w + i, sizeof *v->w, n, place_of, v->snap);
	}
	for (size_t i = 0, n; i < v->n; i += n) {
		n = goro_waits_bunch(v, i);
		order_in_place(v->w + i, sizeof *v->w, n, id_of, v->snap);
	}
}

static int by_held_object(const void *a, const void *b)
{
	const struct goro_holder *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

static bool is_wait(const struct goro_info *g)
{
	return g->state == GORO_STATE_WAITING && g->wait_class != GORO_CLASS_EXTERNAL &&
	       g->wait_class != GORO_CLASS_NONE;
}

static void add(struct goro_waits *v, uint64_t object, uint8_t reason, uint32_t place)
{
	v->w[v->n++] = (struct goro_waiter){
		.object = object < GORO_WAIT_UNREAD ? object : GORO_WAIT_UNREAD,
		.reason = reason,
		.place = place,
	};
}

/* All waits and all read locks. A goroutine in a select has several waits. */
static void collect(struct goro_waits *v, const bool *keep)
{
	const struct goro_snapshot *s = v->snap;
	struct goro_walk walk = { .snap = s };
	const struct goro_info *g;

	while ((g = goro_snapshot_next(&walk))) {
		uint32_t place = goro_walk_place(&walk);

		for (uint32_t k = 0; k < g->nrlocks; k++)
			v->holders[v->nholders++] =
				(struct goro_holder){ s->rlocks[g->rlocks_first + k], place };
		if (!is_wait(g) || (keep && !keep[place]))
			continue;
		for (uint32_t k = 0; k < g->nwaits; k++) {
			struct goro_wait w = goro_snapshot_wait(s, g, k);

			add(v, w.object, w.reason, place);
		}
		if (!g->nwaits)
			add(v, g->wait_class == GORO_CLASS_NEVER ? 0 : GORO_WAIT_UNREAD, g->reason,
			    place);
	}
	sort_waiters(v);
	qsort(v->holders, v->nholders, sizeof *v->holders, by_held_object);
}

struct goro_waits *goro_waits(const struct goro_snapshot *snap, const bool *keep)
{
	struct goro_waits *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->snap = snap;
	v->w = calloc(snap->nwaits + snap->ng + snap->nmembers + 1, sizeof *v->w);
	v->holders = calloc(snap->nrlocks + 1, sizeof *v->holders);
	if (!v->w || !v->holders) {
		goro_waits_free(v);
		return NULL;
	}
	collect(v, keep);
	return v;
}

void goro_waits_free(struct goro_waits *v)
{
	if (!v)
		return;
	free(v->w);
	free(v->holders);
	free(v);
}

size_t goro_waits_of_object(const struct goro_waits *v, size_t at)
{
	size_t n = 1;

	while (at + n < v->n && v->w[at + n].object == v->w[at].object)
		n++;
	return n;
}

size_t goro_waits_bunch(const struct goro_waits *v, size_t at)
{
	const struct goro_waiter *first = &v->w[at];
	const uint32_t stack = member_like(v->snap, first->place)->stack_id;
	size_t n = 1;

	while (at + n < v->n && first[n].object == first->object &&
	       first[n].reason == first->reason &&
	       member_like(v->snap, first[n].place)->stack_id == stack)
		n++;
	return n;
}

const struct goro_holder *goro_waits_readers(const struct goro_waits *v, uint64_t object, size_t *n)
{
	size_t lo = 0, hi = v->nholders, first;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->holders[mid].object < object)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (first = lo; lo < v->nholders && v->holders[lo].object == object; lo++)
		;
	*n = object ? lo - first : 0;
	return v->holders + first;
}

const char *goro_wait_reason(uint8_t reason)
{
#define NAME(id, letter, name, class) name,
	static const char *const names[] = { GORO_REASONS(NAME) };
#undef NAME

	return reason < GORO_NREASONS ? names[reason] : "unknown";
}

const char *goro_wait_kind(unsigned wait_class)
{
	static const char *const names[] = { "object", "object",  "nothing", "channel",	  "select",
					     "mutex",  "rwmutex", "cond",    "waitgroup", "sema" };

	return wait_class < sizeof names / sizeof *names ? names[wait_class] : "object";
}

/* ", held by goroutine 7" and the like. */
static void state_text(const struct goro_snapshot *snap, const struct goro_object *o, char *buf,
		       size_t size)
{
	buf[0] = '\0';
	if (o->wait_class == GORO_CLASS_CHAN)
		snprintf(buf, size, ", %s%" PRIu32 " of %" PRIu32 " buffered",
			 o->closed ? "closed, " : "", o->len, o->cap);
	else if (o->wait_class == GORO_CLASS_WAITGROUP)
		snprintf(buf, size, ", %" PRIu32 " not done", o->len);
	else if (o->owner)
		snprintf(buf, size, ", held by goroutine %" PRIu64 "%s", o->owner,
			 goro_snapshot_find(snap, o->owner) ? "" : ", which has ended");
	else if (o->wait_class == GORO_CLASS_RWMUTEX && o->readers)
		snprintf(buf, size, ", held by %" PRIu32 " reader%s", o->readers,
			 plural(o->readers));
}

void goro_wait_object_text(const struct goro_snapshot *snap, uint64_t address, char *buf,
			   size_t size)
{
	const struct goro_object *o = goro_snapshot_object(snap, address);
	char state[80] = "";

	if (!address) {
		snprintf(buf, size, "nothing: these can never go on");
		return;
	}
	if (address == GORO_WAIT_UNREAD) {
		snprintf(buf, size, "what could not be read");
		return;
	}
	if (o && o->valid)
		state_text(snap, o, state, sizeof state);
	snprintf(buf, size, "%s 0x%" PRIx64 "%s", goro_wait_kind(o ? o->wait_class : 0), address,
		 state);
}
