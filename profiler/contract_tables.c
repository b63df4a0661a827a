/* SPDX-License-Identifier: MIT */
/*
 * contract_tables.c - processors, ended lock owners, and the objects that goroutines wait for.
 */
#include "contract.h"

#include <stdlib.h>
#include <string.h>

/* ---- processors ------------------------------------------------------------------------------ */

/* Structures that a table of pointers points to; what cannot be read is all zeros. */
struct pointed {
	uint64_t *addresses;
	uint8_t *bytes;
	size_t n, size;
};

static void pointed_free(struct pointed *p)
{
	free(p->addresses);
	free(p->bytes);
}

static struct goro_error *pointed_read(struct pointed *p, struct target *t)
{
	struct target_read *reads = calloc(p->n + 1, sizeof *reads);
	struct goro_error *err;

	if (!reads)
		return &goro_enomem;
	for (size_t i = 0; i < p->n; i++)
		reads[i] = (struct target_read){ .address = p->addresses[i],
						 .to = p->bytes + i * p->size,
						 .len = p->size };
	err = t->ops->read(t, reads, p->n);
	for (size_t i = 0; i < p->n && !err; i++) {
		if (!reads[i].ok)
			memset(reads[i].to, 0, p->size);
	}
	free(reads);
	return err;
}

static bool pointed_alloc(struct pointed *p, size_t n, size_t size)
{
	p->addresses = calloc(n + 1, sizeof *p->addresses);
	p->bytes = calloc(n + 1, size + 1);
	p->n = n;
	p->size = size;
	return p->addresses && p->bytes;
}

static struct goro_error *read_table(struct pointed *p, struct target *t, uint64_t table, size_t n,
				     size_t size)
{
	struct goro_error *err;
	bool ok;

	if (!pointed_alloc(p, n, size))
		return &goro_enomem;
	err = target_read_at(t, table, p->addresses, n * sizeof *p->addresses, &ok);
	if (err)
		return err;
	if (!ok)
		p->n = 0;
	return pointed_read(p, t);
}

static struct record pointed_at(const struct pointed *p, size_t i)
{
	return (struct record){ p->bytes + i * p->size, p->size };
}

/* An array in a P; a newer runtime's longer tail counts in our last bucket. */
static struct goro_histogram decode_histogram(const struct contract *c, struct record r,
					      enum goro_field_id field)
{
	struct goro_histogram h = { 0 };
	size_t at = c->fields[field].offset, n = c->raw.p_nbuckets;

	if (!c->fields[field].size || n > 64)
		return h;
	for (size_t i = 0; i < n && at + 8 <= r.size; i++, at += 8) {
		uint64_t value;

		memcpy(&value, r.bytes + at, sizeof value);
		h.n[i < GORO_BUCKETS ? i : GORO_BUCKETS - 1] += value;
	}
	return h;
}

static size_t p_size(const struct contract *c)
{
	size_t size = contract_size(c, GORO_FIELD_p_id, GORO_FIELD_p_nretake);
	size_t end = contract_size(c, GORO_FIELD_p_slices, GORO_FIELD_p_nspin);

	return end > size ? end : size;
}

/* Its ends are of two moments, and a worker that takes the last entry back moves the tail first. */
static uint32_t runq_len(const struct contract *c, struct record r)
{
	uint32_t head = (uint32_t)contract_get(c, r, GORO_FIELD_p_runq_head);
	uint32_t tail = (uint32_t)contract_get(c, r, GORO_FIELD_p_runq_tail);
	bool next = contract_get(c, r, GORO_FIELD_p_runnext) != 0;

	return ((int32_t)(tail - head) > 0 ? tail - head : 0) + next;
}

static struct goro_proc decode_proc(const struct contract *c, struct record r)
{
	return (struct goro_proc){
		.id = (uint32_t)contract_get(c, r, GORO_FIELD_p_id),
		.status = (uint32_t)contract_get(c, r, GORO_FIELD_p_status),
		.runq_len = runq_len(c, r),
		.nswitch = contract_get(c, r, GORO_FIELD_p_nswitch),
		.nspawn = contract_get(c, r, GORO_FIELD_p_nspawn),
		.nexit = contract_get(c, r, GORO_FIELD_p_nexit),
		.npark = contract_get(c, r, GORO_FIELD_p_npark),
		.nyield = contract_get(c, r, GORO_FIELD_p_nyield),
		.nsteal = contract_get(c, r, GORO_FIELD_p_nsteal),
		.nretake = contract_get(c, r, GORO_FIELD_p_nretake),
		.nspin = contract_get(c, r, GORO_FIELD_p_nspin),
		.slices = decode_histogram(c, r, GORO_FIELD_p_slices),
		.latencies = decode_histogram(c, r, GORO_FIELD_p_latencies),
	};
}

struct goro_error *contract_read_procs(const struct contract *c, struct target *t,
				       struct snapshot_builder *b)
{
	struct pointed ps = { 0 }, ms = { 0 }, gs = { 0 };
	size_t g_size = contract_size(c, GORO_FIELD_g_id, GORO_FIELD_g_id);
	struct goro_error *err = read_table(&ps, t, c->raw.ps, c->raw.p_count, p_size(c));

	if (!err)
		err = read_table(&ms, t, c->raw.ms, c->raw.m_count,
				 contract_size(c, GORO_FIELD_m_id, GORO_FIELD_m_curg));
	if (!err && !pointed_alloc(&gs, ms.n, g_size))
		err = &goro_enomem;
	for (size_t i = 0; !err && i < ms.n; i++)
		gs.addresses[i] = contract_get(c, pointed_at(&ms, i), GORO_FIELD_m_curg);
	if (!err)
		err = pointed_read(&gs, t);
	for (size_t i = 0; !err && i < ps.n; i++) {
		struct goro_proc p = decode_proc(c, pointed_at(&ps, i));
		uint64_t m = contract_get(c, pointed_at(&ps, i), GORO_FIELD_p_m);

		for (size_t j = 0; m && j < ms.n; j++) {
			if (ms.addresses[j] != m)
				continue;
			p.m_id = (uint32_t)contract_get(c, pointed_at(&ms, j), GORO_FIELD_m_id);
			p.tid = (uint32_t)contract_get(c, pointed_at(&ms, j), GORO_FIELD_m_tid);
			p.running = contract_get(c, pointed_at(&gs, j), GORO_FIELD_g_id);
		}
		snapshot_add_proc(b, &p);
	}
	pointed_free(&ps);
	pointed_free(&ms);
	pointed_free(&gs);
	return err;
}

/* ---- ended lock owners ----------------------------------------------------------------------- */

/* As many as there are and we have room for; an old runtime has none. */
static void tomb_rlocks(const struct contract *c, struct record r, struct goro_tomb *tomb)
{
	const struct goro_field *f = &c->fields[GORO_FIELD_tomb_rlocks];
	size_t n = f->size < sizeof tomb->rlocks ? f->size : sizeof tomb->rlocks;

	if (f->offset + n <= r.size)
		memcpy(tomb->rlocks, r.bytes + f->offset, n);
}

struct goro_error *contract_read_tombs(const struct contract *c, struct target *t,
				       struct snapshot_builder *b, uint64_t now)
{
	size_t n = c->raw.tomb_count, size = c->raw.tomb_size;
	uint8_t *bytes = calloc(n + 1, size + 1);
	struct goro_error *err;
	bool ok;

	if (!bytes)
		return &goro_enomem;
	err = target_read_at(t, c->raw.tombs, bytes, n * size, &ok);
	for (size_t i = 0; !err && ok && i < n; i++) {
		struct record r = { bytes + i * size, size };
		uint64_t time = contract_get(c, r, GORO_FIELD_tomb_time);
		struct goro_tomb tomb = {
			.id = contract_get(c, r, GORO_FIELD_tomb_id),
			.parent = contract_get(c, r, GORO_FIELD_tomb_parent),
			.spawn_pc = contract_get(c, r, GORO_FIELD_tomb_spawn_pc),
			.entry = contract_get(c, r, GORO_FIELD_tomb_entry),
			.ago_ns = time < now ? now - time : 0,
			.locks = (uint32_t)contract_get(c, r, GORO_FIELD_tomb_locks),
		};

		tomb_rlocks(c, r, &tomb);
		if (tomb.id)
			snapshot_add_tomb(b, &tomb);
	}
	free(bytes);
	return err;
}

/* ---- objects --------------------------------------------------------------------------------- */

static size_t object_size(const struct contract *c, unsigned class)
{
	size_t size = 0;

	switch (class) {
	case GORO_CLASS_CHAN:
		size = contract_size(c, GORO_FIELD_chan_elem_size, GORO_FIELD_chan_make_pc);
		break;
	case GORO_CLASS_MUTEX:
		size = contract_size(c, GORO_FIELD_mutex_owner, GORO_FIELD_mutex_waitq);
		break;
	case GORO_CLASS_RWMUTEX:
		size = contract_size(c, GORO_FIELD_rwmutex_writer, GORO_FIELD_rwmutex_waitq);
		break;
	case GORO_CLASS_WAITGROUP:
		size = contract_size(c, GORO_FIELD_waitgroup_count, GORO_FIELD_waitgroup_waitq);
		break;
	}
	return size ? size : 1;
}

static void decode_object(const struct contract *c, struct record r, struct goro_object *o)
{
	switch (o->wait_class) {
	case GORO_CLASS_CHAN:
		o->elem_size = (uint32_t)contract_get(c, r, GORO_FIELD_chan_elem_size);
		o->cap = (uint32_t)contract_get(c, r, GORO_FIELD_chan_cap);
		o->len = (uint32_t)contract_get(c, r, GORO_FIELD_chan_count);
		o->closed = contract_get(c, r, GORO_FIELD_chan_closed) != 0;
		o->make_pc = contract_get(c, r, GORO_FIELD_chan_make_pc);
		break;
	case GORO_CLASS_MUTEX:
		o->owner = contract_get(c, r, GORO_FIELD_mutex_owner);
		break;
	case GORO_CLASS_RWMUTEX:
		o->owner = contract_get(c, r, GORO_FIELD_rwmutex_writer);
		o->readers = (uint32_t)contract_get(c, r, GORO_FIELD_rwmutex_readers);
		break;
	case GORO_CLASS_WAITGROUP:
		o->len = (uint32_t)contract_get(c, r, GORO_FIELD_waitgroup_count);
		break;
	}
}

enum { OBJECTS = 1024, NEAR = 256, SPAN = 4096 };

/* Objects to be read, those that lie close to each other in one piece. */
struct objects {
	struct goro_object *of[OBJECTS];
	uint32_t piece[OBJECTS]; /* in reads */
	struct target_read reads[OBJECTS];
	size_t n, nreads;
	uint8_t *bytes; /* SPAN for each piece */
	bool apart;	/* each in a piece of its own */
};

static void add_object(const struct contract *c, struct objects *os, struct goro_object *o)
{
	size_t size = object_size(c, o->wait_class);
	struct target_read *r = os->nreads ? &os->reads[os->nreads - 1] : NULL;

	if (!r || os->apart || o->address + size < o->address ||
	    o->address - r->address > r->len + NEAR || o->address + size - r->address > SPAN) {
		r = &os->reads[os->nreads];
		*r = (struct target_read){ .address = o->address,
					   .to = os->bytes + os->nreads++ * SPAN };
	}
	if (r->len < o->address + size - r->address)
		r->len = o->address + size - r->address;
	os->piece[os->n] = (uint32_t)os->nreads - 1;
	os->of[os->n++] = o;
}

static struct goro_error *read_objects(const struct contract *c, struct target *t,
				       struct objects *os)
{
	struct goro_error *err = t->ops->read(t, os->reads, os->nreads);

	for (size_t i = 0; i < os->n && !err; i++) {
		const struct target_read *r = &os->reads[os->piece[i]];
		struct goro_object *o = os->of[i];
		size_t at = o->address - r->address;

		o->valid = r->ok;
		if (r->ok)
			decode_object(
				c, (struct record){ (const uint8_t *)r->to + at, r->len - at }, o);
	}
	os->n = os->nreads = 0;
	return err;
}

/* A piece of which not all can be read is of two objects that have
 * nothing to do with each other. */
struct goro_error *contract_read_objects(const struct contract *c, struct target *t,
					 struct goro_snapshot *snap)
{
	struct objects *os = calloc(1, sizeof *os);
	struct goro_error *err = NULL;

	if (os)
		os->bytes =
			malloc((snap->nobjects < OBJECTS ? snap->nobjects : OBJECTS) * SPAN + 1);
	if (!os || !os->bytes)
		err = &goro_enomem;
	for (int apart = 0; apart < 2 && !err; apart++) {
		os->apart = apart;
		for (size_t i = 0; i < snap->nobjects && !err; i++) {
			if (!snap->objects[i].valid)
				add_object(c, os, &snap->objects[i]);
			if (os->n == OBJECTS)
				err = read_objects(c, t, os);
		}
		if (!err)
			err = read_objects(c, t, os);
	}
	if (os)
		free(os->bytes);
	free(os);
	return err;
}
