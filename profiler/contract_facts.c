/* SPDX-License-Identifier: MIT */
/*
 * contract_facts.c - what a search for pointers must know of a libgoro program: see facts.h.
 *
 * A goroutine that waits is in a queue of its object, from where whoever wakes it takes it. In
 * between it looks as if it still waited, and perhaps nobody has a pointer to the object any more:
 * so only who is still in the queue can be proved to be leaked. All queues are walked at once, one
 * waiter of each in a round, because a system call reads a thousand of them.
 */
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "facts.h"
#include "order.h"

#define MAX_REGIONS 65536u
#define BATCH	    1024u
#define MAX_WAITER  256u

void facts_free(struct facts *f)
{
	free(f->opaque);
	free(f->roots);
	free(f->workers);
	free(f->queued);
	free(f->locals);
	*f = (struct facts){ 0 };
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static struct goro_error *unreadable(const char *what, uint64_t address)
{
	return goro_error_at(GORO_PARTIAL, address, "%s at 0x%llx cannot be read", what,
			     (unsigned long long)address);
}

static struct goro_error *read_regions(const struct contract *c, struct target *t, struct facts *f)
{
	size_t n = c->raw.region_count;
	struct goro_region *v;
	struct goro_error *err;
	bool ok;

	if (c->raw.region_size != sizeof *v || n > MAX_REGIONS)
		return goro_error_new(GORO_UNSUPPORTED,
				      "its libgoro is too old to prove by reachability");
	v = calloc(n + 1, sizeof *v);
	f->opaque = calloc(n + 1, sizeof *f->opaque);
	f->roots = calloc(n + 1, sizeof *f->roots);
	if (!v || !f->opaque || !f->roots) {
		free(v);
		return &goro_enomem;
	}
	err = target_read_at(t, c->raw.regions, v, n * sizeof *v, &ok);
	for (size_t i = 0; !err && ok && i < n; i++) {
		const struct facts_range range = { v[i].lo, v[i].hi };

		if (!range.lo || range.lo >= range.hi)
			continue;
		if (v[i].kind == GORO_REGION_OPAQUE)
			f->opaque[f->nopaque++] = range;
		else if (v[i].kind == GORO_REGION_ROOT)
			f->roots[f->nroots++] = range;
	}
	free(v);
	if (!err && !ok)
		err = unreadable("its list of regions", c->raw.regions);
	return err;
}

struct goro_error *contract_read_workers(const struct contract *c, struct target *t,
					 struct facts_worker **ret, size_t *count, bool *all)
{
	size_t n = c->raw.m_count, size = contract_size(c, GORO_FIELD_m_id, GORO_FIELD_m_curg);
	uint64_t *table;
	uint8_t bytes[4096];
	struct goro_error *err;
	bool ok;

	*count = 0;
	*all = true;
	/* The fields were not added all at once. */
	if (contract_size(c, GORO_FIELD_m_stack_lo, GORO_FIELD_m_sp) > size)
		size = contract_size(c, GORO_FIELD_m_stack_lo, GORO_FIELD_m_sp);
	table = calloc(n + 1, sizeof *table);
	*ret = calloc(n + 1, sizeof **ret);
	if (!table || !*ret || size > sizeof bytes) {
		free(table);
		return &goro_enomem;
	}
	err = target_read_at(t, c->raw.ms, table, n * sizeof *table, &ok);
	for (size_t i = 0; !err && ok && i < n; i++) {
		struct record r = { bytes, size };
		struct facts_worker *w = &(*ret)[*count];
		bool there;

		err = target_read_at(t, table[i], bytes, size, &there);
		*all &= there;
		if (err || !there)
			continue;
		*w = (struct facts_worker){
			.id = (uint32_t)contract_get(c, r, GORO_FIELD_m_id),
			.tid = (uint32_t)contract_get(c, r, GORO_FIELD_m_tid),
			.lo = contract_get(c, r, GORO_FIELD_m_stack_lo),
			.hi = contract_get(c, r, GORO_FIELD_m_stack_hi),
			.sp = contract_get(c, r, GORO_FIELD_m_sp),
			.curg = contract_get(c, r, GORO_FIELD_m_curg),
		};
		*count += w->lo && w->lo < w->hi;
	}
	*all &= !err && ok;
	free(table);
	return err;
}

/* ---- queues ------------------------------------------------------------------------------------
 */

struct by_record {
	uint64_t record;
	uint32_t g;
};

struct queues {
	const struct contract *c;
	struct target *t;
	const struct goro_snapshot *snap;
	struct by_record *order; /* goroutines by the address of their record */
	uint32_t *seen;		 /* of each goroutine: in how many queues it is */
	uint64_t *at;		 /* the waiters to look at in this round */
	size_t n, cap;
	size_t size; /* of a waiter */
};

static uint64_t record_of(const void *by_record, size_t i)
{
	const struct by_record *v = by_record;

	return v[i].record;
}

static int by_address(const void *a, const void *b)
{
	const struct by_record *x = a, *y = b;

	return (x->record > y->record) - (x->record < y->record);
}

static bool push(struct queues *q, uint64_t waiter)
{
	if (!waiter)
		return true;
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 256;
		uint64_t *bigger = realloc(q->at, cap * sizeof *bigger);

		if (!bigger)
			return false;
		q->at = bigger;
		q->cap = cap;
	}
	q->at[q->n++] = waiter;
	return true;
}

/* The fields that head the queues of an object; at most two. */
static size_t heads_of(unsigned wait_class, enum goro_field_id heads[2])
{
	heads[1] = GORO_FIELD_chan_sendq;
	switch (wait_class) {
	case GORO_CLASS_CHAN:
		heads[0] = GORO_FIELD_chan_recvq;
		return 2;
	case GORO_CLASS_MUTEX:
		heads[0] = GORO_FIELD_mutex_waitq;
		return 1;
	case GORO_CLASS_RWMUTEX:
		heads[0] = GORO_FIELD_rwmutex_waitq;
		return 1;
	case GORO_CLASS_COND:
		heads[0] = GORO_FIELD_cond_waitq;
		return 1;
	case GORO_CLASS_WAITGROUP:
		heads[0] = GORO_FIELD_waitgroup_waitq;
		return 1;
	case GORO_CLASS_SEMA:
		heads[0] = GORO_FIELD_sema_waitq;
		return 1;
	default:
		return 0;
	}
}

/* The first waiters of all queues. */
static struct goro_error *first_round(struct queues *q)
{
	const struct goro_snapshot *snap = q->snap;
	uint64_t words[BATCH];
	struct target_read reads[BATCH];
	struct goro_error *err = NULL;
	size_t n = 0;

	for (size_t o = 0; o <= snap->nobjects && !err; o++) {
		enum goro_field_id heads[2];
		size_t nheads = o < snap->nobjects ? heads_of(snap->objects[o].wait_class, heads)
						   : 0;

		for (size_t k = 0; k < nheads; k++) {
			const struct goro_field *f = &q->c->fields[heads[k]];

			if (f->size != sizeof *words)
				continue;
			reads[n] = (struct target_read){
				.address = snap->objects[o].address + f->offset,
				.to = &words[n],
				.len = sizeof *words,
			};
			n++;
		}
		if (n < BATCH - 1 && o < snap->nobjects)
			continue;
		err = q->t->ops->read(q->t, reads, n);
		for (size_t i = 0; i < n && !err; i++) {
			if (reads[i].ok && !push(q, words[i]))
				err = &goro_enomem;
		}
		n = 0;
	}
	return err;
}

static void count(struct queues *q, uint64_t record)
{
	const struct by_record key = { .record = record };
	const struct by_record *found =
		bsearch(&key, q->order, q->snap->ng, sizeof key, by_address);

	if (found)
		q->seen[found->g]++;
}

/* Look at all of q->at, and leave their successors there. */
static struct goro_error *next_round(struct queues *q)
{
	static const size_t stride = MAX_WAITER;
	uint8_t *bytes = malloc((q->n < BATCH ? q->n : BATCH) * stride + 1);
	struct target_read reads[BATCH];
	struct goro_error *err = bytes ? NULL : &goro_enomem;
	size_t total = q->n, kept = 0;

	for (size_t first = 0; first < total && !err; first += BATCH) {
		size_t n = total - first < BATCH ? total - first : BATCH;

		for (size_t i = 0; i < n; i++)
			reads[i] = (struct target_read){ .address = q->at[first + i],
							 .to = bytes + i * stride,
							 .len = q->size };
		err = q->t->ops->read(q->t, reads, n);
		for (size_t i = 0; i < n && !err; i++) {
			struct record r = { bytes + i * stride, q->size };
			uint64_t next;

			if (!reads[i].ok)
				continue;
			count(q, contract_get(q->c, r, GORO_FIELD_waiter_g));
			next = contract_get(q->c, r, GORO_FIELD_waiter_next);
			if (next)
				q->at[kept++] = next;
		}
	}
	q->n = kept;
	free(bytes);
	return err;
}

static struct goro_error *read_queues(const struct contract *c, struct target *t,
				      const struct goro_snapshot *snap, struct facts *f)
{
	struct queues q = { .c = c, .t = t, .snap = snap };
	struct goro_error *err = NULL;
	uint64_t most = snap->nwaits, steps = 0;

	q.size = contract_size(c, GORO_FIELD_waiter_g, GORO_FIELD_waiter_kind);
	q.order = calloc(snap->ng + 1, sizeof *q.order);
	q.seen = calloc(snap->ng + 1, sizeof *q.seen);
	f->queued = calloc(snap->ng + 1, sizeof *f->queued);
	if (!q.order || !q.seen || !f->queued || q.size > MAX_WAITER)
		err = &goro_enomem;
	for (size_t i = 0; !err && i < snap->ng; i++)
		q.order[i] = (struct by_record){ snap->g[i].record, (uint32_t)i };
	if (!err) {
		err = order_things(q.order, sizeof *q.order, snap->ng, record_of) ? first_round(&q)
										  : &goro_enomem;
	}
	/* In damaged memory a queue may be a ring: there are no more steps than waiters. */
	while (!err && q.n && steps <= most) {
		steps += q.n;
		err = next_round(&q);
	}
	for (size_t i = 0; !err && i < snap->ng; i++)
		f->queued[i] = snap->g[i].nwaits && q.seen[i] == snap->g[i].nwaits;
	free(q.order);
	free(q.seen);
	free(q.at);
	return err;
}

/* ---- goroutines --------------------------------------------------------------------------------
 */

/* Few have values of their own: read them one by one. */
static struct goro_error *read_locals(const struct contract *c, struct target *t,
				      const struct goro_snapshot *snap, struct facts *f)
{
	const struct goro_field *name = &c->fields[GORO_FIELD_g_name];
	const struct goro_field *locals = &c->fields[GORO_FIELD_ext_locals];
	uint64_t exts[BATCH];
	struct target_read reads[BATCH];
	struct goro_error *err = NULL;

	f->locals = calloc(snap->ng + 1, sizeof *f->locals);
	if (!f->locals)
		return &goro_enomem;
	if (name->size != sizeof *exts || locals->size != sizeof *exts)
		return NULL;
	for (size_t first = 0; first < snap->ng && !err; first += BATCH) {
		size_t n = snap->ng - first < BATCH ? snap->ng - first : BATCH;

		for (size_t i = 0; i < n; i++)
			reads[i] = (struct target_read){ .address = snap->g[first + i].record +
								    name->offset,
							 .to = &exts[i],
							 .len = sizeof exts[i] };
		err = t->ops->read(t, reads, n);
		for (size_t i = 0; i < n && !err; i++) {
			bool ok = false;

			if (!reads[i].ok)
				err = unreadable("its record of a goroutine", reads[i].address);
			else if (exts[i])
				err = target_read_at(t, exts[i] + locals->offset,
						     &f->locals[first + i], sizeof *f->locals, &ok);
			if (!err && exts[i] && !ok)
				err = unreadable("its values of a goroutine", exts[i]);
		}
	}
	return err;
}

struct goro_error *contract_read_facts(const struct contract *c, struct target *t,
				       const struct goro_snapshot *snap, struct facts *f)
{
	struct goro_error *err;
	bool all = true;

	*f = (struct facts){ .record_size = c->raw.g_size,
			     .record_wait = c->fields[GORO_FIELD_g_wait_object].offset,
			     .sleep_entry = c->raw.sleep_entry,
			     .exit_entry = c->raw.exit_entry,
			     .machine = c->raw.machine };
	err = read_regions(c, t, f);
	if (!err)
		err = contract_read_workers(c, t, &f->workers, &f->nworkers, &all);
	if (!err && !all)
		err = unreadable("its list of threads", c->raw.ms);
	if (!err)
		err = read_queues(c, t, snap, f);
	if (!err)
		err = read_locals(c, t, snap, f);
	if (err)
		facts_free(f);
	return err;
}
