/* SPDX-License-Identifier: MIT */
/*
 * fake.c - snapshots made by hand; see fake.h.
 */
#include "fake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

struct goro_info *fake_g(struct fake *f, uint64_t id)
{
	struct goro_info *g = &f->g[f->ng++];

	assert(f->ng <= FAKE_MAX);
	*g = (struct goro_info){
		.id = id,
		.record = 0x1000 + id * 0x100,
		.parent = id == 1 ? 0 : 1,
		.spawn_pc = id == 1 ? 0 : 0x5000,
		.entry = 0x4000,
		.state = GORO_STATE_RUNNING,
		.flags = id == 1 ? GORO_FLAG_MAIN : 0,
		.letter = 'r',
		.park_seq = 7,
		.stack_id = GORO_NO_STACK,
		.finding = UINT32_MAX,
	};
	return g;
}

struct goro_info *fake_wait(struct fake *f, uint64_t id, unsigned reason, uint64_t object)
{
#define CLASS(id, letter, name, class) GORO_CLASS_##class,
	static const uint8_t classes[] = { GORO_REASONS(CLASS) };
#undef CLASS
	struct goro_info *g = fake_g(f, id);

	g->state = GORO_STATE_WAITING;
	g->reason = (uint8_t)reason;
	g->wait_class = classes[reason];
	g->wait_object = object;
	g->wait_ns = UINT64_C(90000000000) - id * 1000000;
	g->stack_id = 0;
	return g;
}

struct goro_info *fake_find(struct fake *f, uint64_t id)
{
	for (size_t i = 0; i < f->ng; i++) {
		if (f->g[i].id == id)
			return &f->g[i];
	}
	return NULL;
}

void fake_rlock(struct fake *f, uint64_t id, uint64_t object)
{
	struct goro_info *g = fake_find(f, id);

	f->rlocks[g - f->g][g->nrlocks++] = object;
}

static struct goro_object *add_object(struct fake *f, uint64_t address, uint8_t wait_class)
{
	struct goro_object *o = &f->objects[f->nobjects++];

	*o = (struct goro_object){ .address = address, .wait_class = wait_class, .valid = true };
	return o;
}

struct goro_object *fake_mutex(struct fake *f, uint64_t address, uint64_t owner)
{
	struct goro_object *o = add_object(f, address, GORO_CLASS_MUTEX);

	o->owner = owner;
	return o;
}

struct goro_object *fake_rwmutex(struct fake *f, uint64_t address, uint64_t writer,
				 uint32_t readers)
{
	struct goro_object *o = add_object(f, address, GORO_CLASS_RWMUTEX);

	o->owner = writer;
	o->readers = readers;
	return o;
}

struct goro_object *fake_chan(struct fake *f, uint64_t address)
{
	return add_object(f, address, GORO_CLASS_CHAN);
}

static int by_id(const void *a, const void *b)
{
	const struct goro_info *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int by_address(const void *a, const void *b)
{
	const struct goro_object *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = calloc(n + 1, size);

	assert(to);
	memcpy(to, from, n * size);
	return to;
}

struct goro_snapshot *fake_freeze(const struct fake *f)
{
	static const uint64_t pcs[] = { 0x100, 0x200, 0x300 };
	static const struct goro_stack stacks[] = { { 0, 2, true, false, false },
						    { 1, 2, true, false, false },
						    { 2, 1, false, false, false } };
	struct goro_snapshot *s = calloc(1, sizeof *s);

	assert(s);
	s->pid = 4711;
	s->name = strdup("fake");
	s->runtime = strdup("goro 0.1.0");
	s->time = 1000000000;
	s->wall_time = 1700000000000000000;
	s->uptime_ns = UINT64_C(95000000000);
	s->rss = 3 << 20;
	s->cost_ns = 2000000;
	s->bytes_read = 4096;
	s->g = copy(f->g, f->ng, sizeof *f->g);
	s->ng = f->ng;
	s->objects = copy(f->objects, f->nobjects, sizeof *f->objects);
	s->nobjects = f->nobjects;
	s->tombs = copy(f->tombs, f->ntombs, sizeof *f->tombs);
	s->ntombs = f->ntombs;
	s->stacks = copy(stacks, 3, sizeof *stacks);
	s->nstacks = 3;
	s->pcs = copy(pcs, 3, sizeof *pcs);
	s->npcs = 3;
	s->waits = calloc(f->ng + 1, sizeof *s->waits);
	s->rlocks = calloc(f->ng * 2 + 1, sizeof *s->rlocks);
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];

		g->rlocks_first = (uint32_t)s->nrlocks;
		for (uint32_t k = 0; k < g->nrlocks; k++)
			s->rlocks[s->nrlocks++] = f->rlocks[i][k];
		g->waits_first = (uint32_t)s->nwaits;
		g->nwaits = g->wait_object != 0;
		if (g->nwaits)
			s->waits[s->nwaits++] =
				(struct goro_wait){ g->wait_object, g->reason, g->wait_class };
	}
	qsort(s->g, s->ng, sizeof *s->g, by_id);
	qsort(s->objects, s->nobjects, sizeof *s->objects, by_address);
	return s;
}
