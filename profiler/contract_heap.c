/* SPDX-License-Identifier: MIT */
/*
 * contract_heap.c - who holds how much of the heap, from the books of libgoro-heap.so.
 *
 * Accounts of goroutines that are in the snapshot are theirs. All others are of goroutines that
 * have ended, or that started after the snapshot was read: they are summed up by their go
 * statement.
 */
#include <stdlib.h>
#include <string.h>

#include "contract.h"

#define MAX_ACCOUNTS (1u << 22)
#define MAX_SITES    65535u
#define MAX_SIZE     512u  /* of an account: 2 GB of them are the most that is read */
#define BATCH	     4096u /* accounts in one go */

struct books {
	struct goro_heap_contract raw;
	struct goro_snapshot *snap;
	size_t next; /* the goroutine after the one found last: ids mostly rise */

	struct goro_heap_site *sites; /* open-addressed by spawn_pc + 1 */
	size_t nsites, size;
};

/* ---- sites -------------------------------------------------------------------------------------
 */

static struct goro_heap_site *slot(struct goro_heap_site *sites, size_t size, uint64_t key)
{
	size_t at = (size_t)(key * 0x9e3779b97f4a7c15ull >> 32) & (size - 1);

	while (sites[at].spawn_pc && sites[at].spawn_pc != key)
		at = (at + 1) & (size - 1);
	return &sites[at];
}

static bool grow(struct books *b)
{
	size_t size = b->size ? b->size * 2 : 64;
	struct goro_heap_site *bigger;

	if (b->nsites * 2 < b->size)
		return true;
	bigger = calloc(size, sizeof *bigger);
	if (!bigger)
		return false;
	for (size_t i = 0; i < b->size; i++) {
		if (b->sites[i].spawn_pc)
			*slot(bigger, size, b->sites[i].spawn_pc) = b->sites[i];
	}
	free(b->sites);
	b->sites = bigger;
	b->size = size;
	return true;
}

/* In the table a key is one more than the spawn_pc, so that 0 is free; main and threads have 0. */
static bool add_ended(struct books *b, uint64_t spawn_pc, const struct goro_heap *h)
{
	struct goro_heap_site *s;

	if (!h->total_bytes && !h->total_objects)
		return true;
	if (!grow(b))
		return false;
	if (b->nsites >= MAX_SITES)
		spawn_pc = 0;
	s = slot(b->sites, b->size, spawn_pc + 1);
	b->nsites += !s->spawn_pc;
	s->spawn_pc = spawn_pc + 1;
	goro_heap_add(&s->heap, h);
	return true;
}

static int by_spawn_pc(const void *a, const void *b)
{
	const struct goro_heap_site *x = a, *y = b;

	return (x->spawn_pc > y->spawn_pc) - (x->spawn_pc < y->spawn_pc);
}

/* The table becomes a sorted list, which the snapshot takes over. */
static void give_sites(struct books *b)
{
	struct goro_snapshot *snap = b->snap;

	snap->heap_ended = b->sites;
	for (size_t i = 0; i < b->size; i++) {
		if (b->sites[i].spawn_pc)
			b->sites[snap->nheap_ended++] = b->sites[i];
	}
	for (size_t i = 0; i < snap->nheap_ended; i++)
		snap->heap_ended[i].spawn_pc--;
	if (snap->nheap_ended)
		qsort(snap->heap_ended, snap->nheap_ended, sizeof *snap->heap_ended, by_spawn_pc);
}

/* ---- accounts ----------------------------------------------------------------------------------
 */

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* See struct goro_heap_account. */
static struct goro_heap balance(const struct goro_heap_account *a)
{
	struct goro_heap h = { .total_bytes = a->bytes, .total_objects = a->objects };
	uint64_t kept = minus(a->objects, a->own_freed_objects);

	h.bytes = minus(minus(a->bytes, a->own_freed_bytes), a->freed_bytes);
	h.objects = a->left > GORO_HEAP_BIAS / 2 ? minus(kept, GORO_HEAP_BIAS - a->left) : a->left;
	return h;
}

static const struct goro_info *find(struct books *b, uint64_t id)
{
	const struct goro_info *g = NULL;

	if (b->next < b->snap->ng && b->snap->g[b->next].id == id)
		g = &b->snap->g[b->next];
	else
		g = goro_snapshot_find(b->snap, id);
	if (g)
		b->next = (size_t)(g - b->snap->g) + 1;
	return g;
}

/* Nobody allocated an exabyte. */
static bool is_possible(const struct goro_heap *h)
{
	return !(h->total_bytes >> 60) && !(h->total_objects >> 60) &&
	       h->objects <= h->total_objects;
}

static bool add_account(struct books *b, const struct goro_heap_account *a)
{
	const struct goro_heap h = balance(a);
	const struct goro_info *g;

	if (!a->id)
		return true;
	if (!is_possible(&h)) {
		b->snap->bad_records++;
		return true;
	}
	if (a->id == GORO_HEAP_OUTSIDE) {
		goro_heap_add(&b->snap->heap_outside, &h);
		return true;
	}
	g = find(b, a->id);
	if (!g)
		return add_ended(b, a->spawn_pc, &h);
	b->snap->heap[g - b->snap->g] = h;
	return true;
}

static struct goro_error *read_accounts(struct books *b, struct target *t)
{
	const size_t size = b->raw.account_size;
	const size_t most = b->raw.account_count < BATCH ? b->raw.account_count : BATCH;
	uint8_t *bytes = malloc(most * size + 1);
	struct goro_error *err = bytes ? NULL : &goro_enomem;

	for (uint32_t at = 0; !err && at < b->raw.account_count; at += BATCH) {
		uint32_t n = b->raw.account_count - at;
		bool ok;

		n = n < BATCH ? n : BATCH;
		err = target_read_at(t, b->raw.accounts + at * size, bytes, n * size, &ok);
		if (!err && !ok)
			b->snap->bad_records += n;
		for (uint32_t i = 0; !err && ok && i < n; i++) {
			struct goro_heap_account a;

			memcpy(&a, bytes + i * size, sizeof a);
			if (!add_account(b, &a))
				err = &goro_enomem;
		}
	}
	free(bytes);
	return err;
}

static struct goro_error *read_sites(struct books *b, struct target *t)
{
	const size_t size = b->raw.site_size;
	uint8_t *bytes = malloc(b->raw.site_count * size + 1);
	struct goro_error *err;
	bool ok;

	if (!bytes)
		return &goro_enomem;
	err = target_read_at(t, b->raw.sites, bytes, b->raw.site_count * size, &ok);
	for (uint32_t i = 0; !err && ok && i < b->raw.site_count; i++) {
		struct goro_heap_closed c;
		struct goro_heap h = { 0 };

		memcpy(&c, bytes + i * size, sizeof c);
		h.total_bytes = c.bytes;
		h.total_objects = c.objects;
		if (!is_possible(&h))
			b->snap->bad_records++;
		else if (!add_ended(b, c.spawn_pc, &h))
			err = &goro_enomem;
	}
	free(bytes);
	return err;
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static bool makes_sense(const struct goro_heap_contract *c)
{
	return memcmp(c->cookie, GORO_HEAP_COOKIE, sizeof c->cookie) == 0 &&
	       c->version == GORO_HEAP_VERSION && c->size >= sizeof *c &&
	       c->account_size >= sizeof(struct goro_heap_account) && c->account_size <= MAX_SIZE &&
	       c->account_count <= MAX_ACCOUNTS &&
	       c->site_size >= sizeof(struct goro_heap_closed) && c->site_size <= MAX_SIZE &&
	       c->site_count <= MAX_SITES && !c->bypassed;
}

struct goro_error *contract_read_heap(uint64_t address, struct target *t,
				      struct goro_snapshot *snap)
{
	struct books b = { .snap = snap };
	struct goro_error *err;
	bool ok;

	err = target_read_at(t, address, &b.raw, sizeof b.raw, &ok);
	if (err || !ok || !makes_sense(&b.raw))
		return err;
	snap->heap = calloc(snap->ng + 1, sizeof *snap->heap);
	if (!snap->heap)
		return &goro_enomem;
	err = read_accounts(&b, t);
	if (!err)
		err = read_sites(&b, t);
	give_sites(&b);
	return err;
}
