/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_past.c - see reader_goro_past.h, and reader_goro_renew.h for why.
 */
#include "reader_goro_past.h"

#include <stdlib.h>

#define ODD_TIMES 2 /* what is left over may grow to so many times what is used */

static void past_free(struct snapshot_past *base)
{
	struct past *p = (struct past *)base;

	for (size_t i = 0; i < p->nchunks; i++)
		free(p->chunks[i].v);
	free(p->chunks);
	free(p);
}

static struct seen_chunk *chunk_of(const struct past *p, uint64_t address)
{
	size_t lo = 0, hi = p->nchunks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->chunks[mid].address > address)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo ? &p->chunks[lo - 1] : NULL;
}

struct seen *past_at(const struct past *p, uint64_t record)
{
	struct seen_chunk *c = chunk_of(p, record);
	uint64_t at = c ? (record - c->address) / p->g_size : 0;

	return c && at < p->chunk_len ? &c->v[at] : NULL;
}

struct seen *past_by_number(const struct past *p, uint32_t number)
{
	return &p->chunks[number / p->chunk_len].v[number % p->chunk_len];
}

uint64_t renew_address(const struct scan *s, uint32_t number)
{
	const struct past *p = s->renewal->past;

	return p->chunks[number / p->chunk_len].address +
	       (uint64_t)(number % p->chunk_len) * p->g_size;
}

void past_see(struct seen *e, const struct goro_snapshot *snap, size_t i)
{
	const struct goro_info *g = &snap->g[i];

	*e = (struct seen){
		.place = g->id ? (uint32_t)i + 1 : 0,
		.peak = (uint16_t)(g->stack_peak / 4096),
		/* Stacks that lie close to each other take turns together: their pages are looked
		 * up in one go. */
		.turn = (uint8_t)((g->stack_lo >> 24) % RENEW_LOOKS),
		.still = g->id && g->state == GORO_STATE_WAITING && !g->torn && !g->lost &&
			 g->stack_id != GORO_NO_STACK && snap->stacks[g->stack_id].complete,
	};
	e->plain = e->still && g->wait_ns && !g->flags && !g->ext && !g->held_locks &&
		   !g->nrlocks && !g->rlocks_more;
}

static bool add_chunks(struct past *p, const struct scan *s)
{
	p->chunks = calloc(s->nchunks + 1, sizeof *p->chunks);
	for (size_t i = 0; p->chunks && i < s->nchunks; i++) {
		p->chunks[i] = (struct seen_chunk){ s->chunks[i],
						    calloc(p->chunk_len, sizeof(struct seen)) };
		p->nchunks++;
		if (!p->chunks[i].v)
			return false;
	}
	return p->chunks;
}

/* Where most records are free there is little to remember. */
static bool is_worth_it(const struct scan *s)
{
	return s->nchunks * s->r->contract.raw.g_chunk_len / 4 <= s->b->snap->ng + 16384;
}

void renew_remember(struct scan *s, struct snapshot_home *home)
{
	struct goro_snapshot *snap = s->b->snap;
	struct past *p = home && is_worth_it(s) ? calloc(1, sizeof *p) : NULL;

	if (!p)
		return;
	*p = (struct past){
		.base = { .home = home, .free = past_free },
		.chunk_len = s->r->contract.raw.g_chunk_len,
		.g_size = s->r->contract.raw.g_size,
		.time = (int64_t)s->now,
		.first_stacks = snap->nstacks,
	};
	if (!add_chunks(p, s)) {
		past_free(&p->base);
		return;
	}
	for (size_t i = 0; i < snap->ng; i++) {
		struct seen *e = past_at(p, snap->g[i].record);

		if (e)
			past_see(e, snap, i);
	}
	snapshot_home_lend(home);
	snap->past = &p->base;
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Chunks stay where they are, and there may be more of them. */
static bool adopt_chunks(struct past *p, const struct scan *s)
{
	struct seen_chunk *more = calloc(s->nchunks + 1, sizeof *more);
	size_t old = 0;
	bool ok = more;

	for (size_t i = 0; ok && i < s->nchunks; i++) {
		more[i].address = s->chunks[i];
		if (old < p->nchunks && p->chunks[old].address == s->chunks[i])
			old++;
	}
	ok = ok && old == p->nchunks;
	for (size_t i = s->nchunks; ok && i-- > 0;) {
		if (old && p->chunks[old - 1].address == more[i].address)
			more[i].v = p->chunks[--old].v;
		else
			more[i].v = calloc(p->chunk_len, sizeof(struct seen));
		ok = more[i].v;
	}
	if (!ok) {
		/* Those that were taken over are still there too; the new ones go. */
		for (size_t i = 0; more && i < s->nchunks; i++) {
			struct seen_chunk *c = chunk_of(p, more[i].address);

			if (!c || c->address != more[i].address)
				free(more[i].v);
		}
		free(more);
		return false;
	}
	free(p->chunks);
	p->chunks = more;
	p->nchunks = s->nchunks;
	return true;
}

static bool fits(struct past *p, const struct scan *s, const struct goro_snapshot *old)
{
	return p->chunk_len == s->r->contract.raw.g_chunk_len &&
	       p->g_size == s->r->contract.raw.g_size && p->time <= (int64_t)s->now &&
	       p->wasted_waits <= ODD_TIMES * old->ng + 1024 &&
	       old->nstacks <= ODD_TIMES * p->first_stacks + 1024 && adopt_chunks(p, s);
}

struct renewal *renew_begin(struct scan *s, struct snapshot_home *home)
{
	struct goro_snapshot *old = home ? snapshot_home_take(home) : NULL;
	struct past *p = old ? (struct past *)old->past : NULL;
	struct renewal *r = old ? calloc(1, sizeof *r) : NULL;

	if (r)
		r->ask = malloc((old->ng + 1) * sizeof *r->ask);
	if (!r || !r->ask || !fits(p, s, old)) {
		if (old) {
			snapshot_forget(old);
			goro_snapshot_free(old);
		}
		renew_free(r);
		return NULL;
	}
	snapshot_continue(s->b, old);
	r->past = p;
	r->old_ng = old->ng;
	r->old_nwaits = old->nwaits;
	r->passed = s->now - (uint64_t)p->time;
	r->turn = p->looks++ % RENEW_LOOKS;
	return r;
}

void renew_free(struct renewal *r)
{
	if (!r)
		return;
	free(r->ask);
	free(r->v);
	free(r->left);
	free(r->objects);
	free(r);
}
