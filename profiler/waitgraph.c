/* SPDX-License-Identifier: MIT */
/*
 * waitgraph.c - the wait-for graph of a snapshot and what it proves.
 *
 * Nodes are the goroutines and the locks they wait for. An edge a -> b means that a cannot go on
 * before b has: a waiter needs its lock, a lock needs every one of its holders, a reader that
 * queues behind a writer needs that writer. Since all edges of a node are needed (an AND graph),
 * everything from which a cycle, a dead owner or a wait without end can be reached is stuck for
 * ever. Locks are nodes of their own so that a thousand writers that wait for a thousand readers
 * cost 2000 edges and not a million.
 *
 * Soundness. An edge counts only if two snapshots agree on it and both ends were parked the whole
 * time in between (the park sequence did not change). A parked goroutine cannot release anything,
 * and only the owner can release a lock; so what both snapshots show was true at one instant
 * between them, and what is a proof at one instant is one for ever. A lock whose readers are not
 * all known by name proves nothing. Rejected: to wait some seconds and look again, which is a
 * timeout with extra steps; to believe a single snapshot, whose records are read one after the
 * other.
 *
 * Readers that have ended leave no name, only a count: a rwmutex that is locked for reading more
 * often than all living goroutines together own up to was left locked. For the two numbers to be of
 * one time, nobody may take a read lock while they are read: that is so as long as a writer waits,
 * since it holds back all new readers. The counts come from the second look (goroutines first,
 * locks after them, and what is released meanwhile makes the first number too big and never too
 * small), and a writer must be parked, without having run, from the first look to a third one.
 *
 * Channels, conditions and waitgroups have no owners: what waits for them is no part of this graph.
 */
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "crowd.h"
#include "waitgraph.h"

struct graph {
	const struct goro_snapshot *snap;
	const struct goro_snapshot *again;
	const struct goro_snapshot *last; /* or NULL */
	const bool *leaked;		  /* by index, what is known already; or NULL */
	struct stuck *stuck;
	uint32_t nodes;		/* goroutines first, then objects */
	uint32_t *next;		/* of a goroutine: the one node it needs, or WAIT_NONE */
	uint32_t *holder_first; /* of an object: holders[holder_first[o] .. holder_first[o + 1]) */
	uint32_t *holders;	/* indices of goroutines */
	uint64_t *dead_owner;	/* of an object: the owner that is no more, or 0 */
	uint32_t *dead_readers; /* of an object: read locks that no living goroutine holds */
	uint32_t *component;	/* of a node, in the order in which they are completed */
	bool *done;		/* of a node: proved to be stuck */
	bool *cyclic;		/* of a node: its component has more than one node */
};

static const struct goro_object *object_at(const struct goro_snapshot *snap, uint64_t address,
					   uint32_t *index)
{
	const struct goro_object *o = address ? goro_snapshot_object(snap, address) : NULL;

	if (o && index)
		*index = (uint32_t)(o - snap->objects);
	return o;
}

/* Parked on the same wait in snap and in a later one, without having run in between. */
static bool parked_until(const struct graph *gr, const struct goro_info *g,
			 const struct goro_snapshot *later)
{
	const struct goro_info *h = later == gr->snap ? g : goro_snapshot_find(later, g->id);

	return h && !g->torn && !h->torn && g->state == GORO_STATE_WAITING &&
	       h->state == GORO_STATE_WAITING && g->record == h->record &&
	       g->park_seq == h->park_seq && g->reason == h->reason &&
	       g->wait_object == h->wait_object;
}

static bool still_parked(const struct graph *gr, const struct goro_info *g)
{
	return parked_until(gr, g, gr->again);
}

/* The lock that g waits for, if both snapshots know the same of it. */
static const struct goro_object *agreed_lock(const struct graph *gr, const struct goro_info *g,
					     uint32_t *index)
{
	const struct goro_object *a, *b;

	if (g->wait_class != GORO_CLASS_MUTEX && g->wait_class != GORO_CLASS_RWMUTEX)
		return NULL;
	a = object_at(gr->snap, g->wait_object, index);
	b = object_at(gr->again, g->wait_object, NULL);
	if (!a || !b || !a->valid || !b->valid || a->wait_class != g->wait_class ||
	    b->wait_class != g->wait_class || a->owner != b->owner || a->readers != b->readers)
		return NULL;
	return a;
}

/*
 * Ids are never reused, so an owner that is in neither snapshot has ended; provided that no record
 * was skipped and that the id is one that was given to somebody.
 */
static bool has_ended(const struct graph *gr, uint64_t id)
{
	const struct goro_snapshot *s = gr->snap;

	if (s->bad_records || gr->again->bad_records || !s->ng)
		return false;
	if (crowd_has(s, id) || crowd_has(gr->again, id))
		return false;
	if (id < s->g[s->ng - 1].id)
		return true;
	for (size_t i = 0; i < s->ntombs; i++) {
		if (s->tombs[i].id == id)
			return true;
	}
	return false;
}

/* How many read locks of each object the goroutines of snap own up to. */
static void count_readers(const struct goro_snapshot *snap, uint32_t *count)
{
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		for (uint32_t k = 0; k < g->nrlocks; k++) {
			uint32_t o;

			if (object_at(snap, snap->rlocks[g->rlocks_first + k], &o))
				count[o]++;
		}
	}
}

/* Are all readers of this lock known by name, in both snapshots? */
static bool readers_known(const struct graph *gr, const struct goro_object *a, const uint32_t *in_a,
			  const uint32_t *in_b)
{
	uint32_t o;

	if (a->wait_class != GORO_CLASS_RWMUTEX || !a->valid || a->owner || !a->readers ||
	    in_a[a - gr->snap->objects] != a->readers)
		return false;
	return object_at(gr->again, a->address, &o) && in_b[o] == gr->again->objects[o].readers;
}

/* Lay out holders: first the counts become offsets, then each holder goes to its place. */
static bool add_holders(struct graph *gr, const uint32_t *in_a, const uint32_t *in_b)
{
	const struct goro_snapshot *snap = gr->snap;
	uint32_t *at = calloc(snap->nobjects + 1, sizeof *at);
	uint32_t total = 0;

	if (!at)
		return false;
	for (size_t o = 0; o < snap->nobjects; o++) {
		const struct goro_object *obj = &snap->objects[o];

		gr->holder_first[o] = at[o] = total;
		if (!obj->valid)
			continue;
		if (obj->owner && (obj->wait_class == GORO_CLASS_MUTEX ||
				   obj->wait_class == GORO_CLASS_RWMUTEX)) {
			const struct goro_info *owner = goro_snapshot_find(snap, obj->owner);

			if (owner)
				gr->holders[total++] = (uint32_t)(owner - snap->g);
			else if (has_ended(gr, obj->owner))
				gr->dead_owner[o] = obj->owner;
		} else if (readers_known(gr, obj, in_a, in_b)) {
			total += obj->readers;
		}
	}
	gr->holder_first[snap->nobjects] = total;
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		for (uint32_t k = 0; k < g->nrlocks; k++) {
			uint32_t o;

			if (!object_at(snap, snap->rlocks[g->rlocks_first + k], &o) ||
			    snap->objects[o].owner || at[o] == gr->holder_first[o + 1])
				continue;
			gr->holders[at[o]++] = (uint32_t)i;
		}
	}
	free(at);
	return true;
}

/* Of the writers that wait for each object, the one that came first. */
static void first_writers(const struct graph *gr, uint32_t *writer)
{
	const struct goro_snapshot *snap = gr->snap;

	memset(writer, 0xff, snap->nobjects * sizeof *writer);
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];
		uint32_t o;

		if (g->reason != GORO_REASON_RWMUTEX_W || !still_parked(gr, g) ||
		    !agreed_lock(gr, g, &o))
			continue;
		if (writer[o] == WAIT_NONE || g->wait_ns > snap->g[writer[o]].wait_ns)
			writer[o] = (uint32_t)i;
	}
}

/* See the head of the file. */
static void count_dead_readers(struct graph *gr, const uint32_t *writer, const uint32_t *in_b)
{
	const struct goro_snapshot *snap = gr->snap, *again = gr->again;
	uint64_t elsewhere = 0;

	if (!gr->last || again->bad_records)
		return;
	/* Of some read locks we know that they are held, but not which lock it is. */
	for (size_t i = 0; i < again->ng; i++)
		elsewhere += again->g[i].rlocks_more;
	for (uint32_t o = 0; o < snap->nobjects; o++) {
		uint64_t living;
		uint32_t b;

		if (writer[o] == WAIT_NONE || !parked_until(gr, &snap->g[writer[o]], gr->last) ||
		    !object_at(again, snap->objects[o].address, &b) || again->objects[b].owner)
			continue;
		living = in_b[b] + elsewhere;
		if (again->objects[b].readers > living)
			gr->dead_readers[o] = (uint32_t)(again->objects[b].readers - living);
	}
}

static bool seems_to_hold(const struct goro_snapshot *snap, const struct goro_info *g,
			  const struct goro_object *lock)
{
	bool holds = lock->owner == g->id;

	for (uint32_t k = 0; k < g->nrlocks; k++)
		holds |= snap->rlocks[g->rlocks_first + k] == lock->address;
	return holds;
}

/*
 * A lock that is handed over belongs to its waiter a moment before that one is woken: it looks as
 * if the goroutine waited for itself. It does only if it is in the lock's queue as well.
 */
static bool was_handed_over(const struct graph *gr, const struct goro_info *g,
			    const struct goro_object *lock)
{
	const struct goro_info *h = goro_snapshot_find(gr->again, g->id);

	if (!h)
		return true;
	return (seems_to_hold(gr->snap, g, lock) && !g->queued) ||
	       (seems_to_hold(gr->again, h, lock) && !h->queued);
}

static void add_waiters(struct graph *gr, const uint32_t *writer)
{
	const struct goro_snapshot *snap = gr->snap;

	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];
		const struct goro_object *lock;
		uint32_t o;

		gr->next[i] = WAIT_NONE;
		if (!still_parked(gr, g))
			continue;
		if (g->wait_class == GORO_CLASS_NEVER)
			gr->done[i] = true;
		lock = agreed_lock(gr, g, &o);
		if (!lock || was_handed_over(gr, g, lock))
			continue;
		if (lock->owner || g->reason == GORO_REASON_RWMUTEX_W)
			gr->next[i] = (uint32_t)snap->ng + o;
		else if (g->reason == GORO_REASON_RWMUTEX_R && writer[o] != WAIT_NONE &&
			 snap->g[writer[o]].wait_ns >= g->wait_ns)
			gr->next[i] = writer[o];
	}
}

static size_t successors(const struct graph *gr, uint32_t node, const uint32_t **list)
{
	uint32_t o;

	if (node < gr->snap->ng) {
		*list = &gr->next[node];
		return gr->next[node] != WAIT_NONE;
	}
	o = node - (uint32_t)gr->snap->ng;
	*list = &gr->holders[gr->holder_first[o]];
	return gr->holder_first[o + 1] - gr->holder_first[o];
}

/* A component is complete, and so is all that it can reach: is it stuck? */
static void close_component(struct graph *gr, const uint32_t *member, size_t n, uint32_t number)
{
	bool stuck = n > 1;
	const uint32_t *to;

	for (size_t i = 0; i < n; i++)
		gr->component[member[i]] = number;
	for (size_t i = 0; i < n; i++) {
		size_t degree = successors(gr, member[i], &to);

		stuck |= gr->done[member[i]];
		for (size_t k = 0; k < degree; k++)
			stuck |= gr->done[to[k]];
	}
	for (size_t i = 0; i < n; i++) {
		gr->done[member[i]] = stuck;
		gr->cyclic[member[i]] = n > 1;
	}
}

/* Tarjan's strongly connected components, without recursion: a chain may be a million long. */
struct walk {
	uint32_t *index; /* order of discovery, from 1; 0: not seen */
	uint32_t *low;
	uint32_t *edge; /* next successor to look at */
	uint32_t *path; /* nodes whose successors are being looked at */
	uint32_t *open; /* nodes whose component is not complete */
	uint32_t npath, nopen, clock, ncomponents;
};

static void walk_from(struct graph *gr, struct walk *w, uint32_t root)
{
	w->path[w->npath++] = root;
	while (w->npath) {
		uint32_t v = w->path[w->npath - 1];
		const uint32_t *to;
		size_t degree = successors(gr, v, &to);

		if (!w->index[v]) {
			w->index[v] = w->low[v] = ++w->clock;
			w->open[w->nopen++] = v;
		}
		if (w->edge[v] < degree) {
			uint32_t next = to[w->edge[v]++];

			if (!w->index[next])
				w->path[w->npath++] = next;
			else if (gr->component[next] == WAIT_NONE && w->index[next] < w->low[v])
				w->low[v] = w->index[next];
			continue;
		}
		w->npath--;
		if (w->npath && w->low[v] < w->low[w->path[w->npath - 1]])
			w->low[w->path[w->npath - 1]] = w->low[v];
		if (w->low[v] == w->index[v]) {
			uint32_t first = w->nopen;

			while (w->open[--first] != v)
				;
			close_component(gr, &w->open[first], w->nopen - first, w->ncomponents++);
			w->nopen = first;
		}
	}
}

static bool find_components(struct graph *gr)
{
	size_t n = gr->nodes + 1ul;
	uint32_t *memory = calloc(n * 5, sizeof *memory);
	struct walk w = { memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 4 * n, 0, 0,
			  0,	  0 };

	if (!memory)
		return false;
	memset(gr->component, 0xff, gr->nodes * sizeof *gr->component);
	for (uint32_t v = 0; v < gr->nodes; v++) {
		if (!w.index[v])
			walk_from(gr, &w, v);
	}
	free(memory);
	return true;
}

/* The stuck goroutine that an object waits for; one of its own cycle if there is one. */
static uint32_t stuck_holder(const struct graph *gr, uint32_t o)
{
	uint32_t node = (uint32_t)gr->snap->ng + o, best = WAIT_NONE;

	for (uint32_t k = gr->holder_first[o]; k < gr->holder_first[o + 1]; k++) {
		uint32_t holder = gr->holders[k];

		if (!gr->done[holder])
			continue;
		if (gr->component[holder] == gr->component[node])
			return holder;
		if (best == WAIT_NONE)
			best = holder;
	}
	return best;
}

/* Say of each stuck goroutine why. Returns how many, or -1. */
static long explain(struct graph *gr)
{
	const struct goro_snapshot *snap = gr->snap;
	uint32_t *cause = calloc(snap->nobjects + 1, sizeof *cause);
	uint32_t *members = calloc(gr->nodes + 1ul, sizeof *members);
	long found = -1;

	if (!cause || !members)
		goto out;
	for (size_t o = 0; o < snap->nobjects; o++)
		cause[o] = stuck_holder(gr, (uint32_t)o);
	for (size_t i = 0; i < snap->ng; i++)
		members[gr->component[i]]++;
	found = 0;
	for (size_t i = 0; i < snap->ng; i++) {
		struct stuck *s = &gr->stuck[i];
		uint32_t next = gr->next[i];

		*s = (struct stuck){ .proof = GORO_PROOF_NONE, .cause = WAIT_NONE };
		if (!gr->done[i])
			continue;
		found++;
		s->cycle = gr->component[i];
		if (gr->leaked && gr->leaked[i]) {
			s->proof = GORO_PROOF_UNREACHABLE;
			continue;
		}
		if (next == WAIT_NONE) {
			s->proof = GORO_PROOF_NEVER;
			continue;
		}
		s->cause = next < snap->ng ? next : cause[next - snap->ng];
		if (next >= snap->ng && s->cause == WAIT_NONE) {
			s->dead_owner = gr->dead_owner[next - snap->ng];
			s->dead_readers = gr->dead_readers[next - snap->ng];
		}
		if (!gr->cyclic[i]) {
			s->proof = GORO_PROOF_ORPHAN;
		} else if (members[gr->component[i]] == 1) {
			s->proof = GORO_PROOF_NEVER;
			s->self_lock = true;
		} else {
			s->proof = GORO_PROOF_CYCLE;
		}
	}
out:
	free(cause);
	free(members);
	return found;
}

static bool build(struct graph *gr)
{
	const struct goro_snapshot *snap = gr->snap;
	uint32_t *in_a = calloc(snap->nobjects + 1, sizeof *in_a);
	uint32_t *in_b = calloc(gr->again->nobjects + 1, sizeof *in_b);
	uint32_t *writer = calloc(snap->nobjects + 1, sizeof *writer);
	bool ok = in_a && in_b && writer;

	if (ok) {
		count_readers(snap, in_a);
		count_readers(gr->again, in_b);
		ok = add_holders(gr, in_a, in_b);
	}
	if (ok) {
		first_writers(gr, writer);
		count_dead_readers(gr, writer, in_b);
		add_waiters(gr, writer);
		for (size_t o = 0; o < snap->nobjects; o++)
			gr->done[snap->ng + o] = gr->dead_owner[o] || gr->dead_readers[o];
		for (size_t i = 0; gr->leaked && i < snap->ng; i++)
			gr->done[i] |= gr->leaked[i];
	}
	free(in_a);
	free(in_b);
	free(writer);
	return ok;
}

long waitgraph_prove(const struct goro_snapshot *snap, const struct goro_snapshot *again,
		     struct stuck *stuck)
{
	return waitgraph_prove_thrice(snap, again, snap == again ? snap : NULL, stuck);
}

bool waitgraph_wants_third(const struct goro_snapshot *snap, const struct stuck *stuck)
{
	for (size_t i = 0; i < snap->ng; i++) {
		if (stuck[i].dead_readers)
			return true;
	}
	return false;
}

static long prove(struct graph gr)
{
	const struct goro_snapshot *snap = gr.snap;
	long found = -1;

	if (snap->ng + snap->nobjects >= WAIT_NONE - 1)
		return -1;
	gr.nodes = (uint32_t)(snap->ng + snap->nobjects);
	gr.next = calloc(snap->ng + 1, sizeof *gr.next);
	gr.holder_first = calloc(snap->nobjects + 1, sizeof *gr.holder_first);
	gr.holders = calloc(snap->nobjects + snap->nrlocks + 1, sizeof *gr.holders);
	gr.dead_owner = calloc(snap->nobjects + 1, sizeof *gr.dead_owner);
	gr.dead_readers = calloc(snap->nobjects + 1, sizeof *gr.dead_readers);
	gr.component = calloc(gr.nodes + 1ul, sizeof *gr.component);
	gr.done = calloc(gr.nodes + 1ul, sizeof *gr.done);
	gr.cyclic = calloc(gr.nodes + 1ul, sizeof *gr.cyclic);
	if (gr.next && gr.holder_first && gr.holders && gr.dead_owner && gr.dead_readers &&
	    gr.component && gr.done && gr.cyclic && build(&gr) && find_components(&gr))
		found = explain(&gr);
	free(gr.next);
	free(gr.holder_first);
	free(gr.holders);
	free(gr.dead_owner);
	free(gr.dead_readers);
	free(gr.component);
	free(gr.done);
	free(gr.cyclic);
	return found;
}

long waitgraph_prove_thrice(const struct goro_snapshot *snap, const struct goro_snapshot *again,
			    const struct goro_snapshot *last, struct stuck *stuck)
{
	return prove((struct graph){ .snap = snap, .again = again, .last = last, .stuck = stuck });
}

long waitgraph_prove_with(const struct goro_snapshot *snap, const bool *leaked, struct stuck *stuck)
{
	return prove((struct graph){
		.snap = snap, .again = snap, .last = snap, .leaked = leaked, .stuck = stuck });
}

/* A goroutine that reads under `lock`: rather one that waits itself, for it is nearer the root. */
static const struct goro_info *some_reader(const struct goro_snapshot *snap, uint64_t lock)
{
	const struct goro_info *any = NULL;

	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		for (uint32_t k = 0; k < g->nrlocks; k++) {
			if (snap->rlocks[g->rlocks_first + k] != lock)
				continue;
			if (g->state == GORO_STATE_WAITING)
				return g;
			if (!any)
				any = g;
		}
	}
	return any;
}

/* The id of the goroutine that g waits for, or 0. */
static uint64_t waits_for(const struct goro_snapshot *snap, const struct goro_info *g)
{
	const struct goro_object *o;
	const struct goro_info *reader, *writer = NULL;

	if (g->state != GORO_STATE_WAITING ||
	    (g->wait_class != GORO_CLASS_MUTEX && g->wait_class != GORO_CLASS_RWMUTEX))
		return 0;
	o = object_at(snap, g->wait_object, NULL);
	if (!o || !o->valid)
		return 0;
	if (o->owner || g->wait_class == GORO_CLASS_MUTEX)
		return o->owner;
	for (size_t i = 0; g->reason == GORO_REASON_RWMUTEX_R && i < snap->ng; i++) {
		const struct goro_info *w = &snap->g[i];

		if (w->state == GORO_STATE_WAITING && w->reason == GORO_REASON_RWMUTEX_W &&
		    w->wait_object == g->wait_object && (!writer || w->wait_ns > writer->wait_ns))
			writer = w;
	}
	if (writer)
		return writer->id;
	reader = some_reader(snap, g->wait_object);
	return reader ? reader->id : 0;
}

size_t goro_wait_chain(const struct goro_snapshot *snap, uint64_t id, uint64_t *chain, size_t max,
		       bool *cycle)
{
	size_t n = 0;

	*cycle = false;
	while (id && n < max) {
		const struct goro_info *g = goro_snapshot_find(snap, id);

		chain[n++] = id;
		id = g ? waits_for(snap, g) : 0;
		for (size_t i = 0; i < n && id; i++) {
			if (chain[i] == id) {
				*cycle = true;
				return n;
			}
		}
	}
	return n;
}
