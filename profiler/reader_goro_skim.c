/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_skim.c - which records of a program that was looked at before are as they were.
 *
 * Most are, and only the time goes on that they say it for. To copy the records and to compare them
 * is most of what such a look takes, so in a big table two threads do it where there are two
 * processors: one from the front and one from the back, until they meet.
 */
#include "reader_goro_past.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "two.h"

#define AHEAD 12 /* records from fetching a goroutine to comparing it */

_Static_assert(offsetof(struct goro_info, lost) < 64,
	       "what a look compares is no more than fetched");

/* One of the two, and what it found. */
struct side {
	uint8_t *records; /* BATCH of them */
	uint32_t *look;	  /* those to be looked at closer, by number */
	uint32_t *ask;	  /* goroutines: what of their stacks is in RAM? */
	size_t nlook, nask;
	uint32_t unreadable;
	struct goro_error *err;
};

struct skim {
	struct scan *s;
	uint32_t per_chunk, total; /* batches */
	_Atomic uint32_t taken;	   /* of them */
	_Atomic uint32_t sides;
	struct side side[2];
};

/* Nor did anything change that can although it does not run. Who holds no lock lists none. */
static bool is_plain(const struct scan *s, const uint8_t *rec, const struct seen *e)
{
	return e->plain && scan_get(s, rec, GORO_FIELD_g_stack_peak) == e->peak &&
	       !scan_get(s, rec, GORO_FIELD_g_held_locks) && !scan_get(s, rec, GORO_FIELD_g_name);
}

static bool is_free(const struct scan *s, const uint8_t *rec)
{
	unsigned state = GORO_STATUS_STATE((uint32_t)scan_get(s, rec, GORO_FIELD_g_status));

	return state == GORO_STATE_FREE || state == GORO_STATE_DEAD;
}

/*
 * Records come by address and goroutines by id: without this half of the time were spent in waiting
 * for memory.
 */
static inline void fetch(const struct goro_snapshot *snap, const struct seen *e)
{
	const struct goro_info *g;

	if (!e->place)
		return;
	g = &snap->g[e->place - 1];
	__builtin_prefetch(&g->id, 1);
	__builtin_prefetch(&g->lost, 1);
}

/* Only its time went on, and what was judged of it is void. */
static void pass_time(const struct renewal *r, const struct seen *e, struct goro_info *g,
		      struct side *side)
{
	g->wait_ns += r->passed;
	g->verdict = g->proof = 0;
	g->finding = UINT32_MAX;
	g->queued = false;
	if (e->turn == r->turn)
		g->stack_resident = 0;
	if (!g->stack_resident)
		side->ask[side->nask++] = e->place - 1;
}

/* The records of a batch, the first of which has this number. */
static void compare(const struct scan *s, struct side *side, uint32_t number, uint32_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	const struct seen *e = past_by_number(s->renewal->past, number);
	const uint8_t *rec = side->records;

	for (uint32_t i = 0; i < n; i++, e++, rec += g_size) {
		struct goro_info *g = e->place ? &s->b->snap->g[e->place - 1] : NULL;

		if (i + AHEAD < n)
			fetch(s->b->snap, &e[AHEAD]);
		if (g && e->still && renew_is_same(s, rec, g) && is_plain(s, rec, e))
			pass_time(s->renewal, e, g, side);
		else if (g || !is_free(s, rec))
			side->look[side->nlook++] = number + i;
	}
}

/* Of what cannot be read, what was there is dropped: whoever looks closer finds nothing. */
static void compare_batch(const struct skim *k, struct side *side, uint32_t batch)
{
	const struct scan *s = k->s;
	const uint32_t len = s->renewal->past->chunk_len;
	uint32_t chunk = batch / k->per_chunk, at = batch % k->per_chunk * BATCH;
	uint32_t n = len - at < BATCH ? len - at : BATCH, number = chunk * len + at;
	bool ok;

	side->err = target_read_at(s->t, renew_address(s, number), side->records,
				   (size_t)n * s->r->contract.raw.g_size, &ok);
	if (side->err)
		return;
	if (ok) {
		compare(s, side, number, n);
		return;
	}
	side->unreadable += n;
	for (uint32_t i = 0; i < n; i++)
		side->look[side->nlook++] = number + i;
}

static void work(void *skim)
{
	struct skim *k = skim;
	uint32_t which = atomic_fetch_add(&k->sides, 1);
	struct side *side = &k->side[which];

	/* Together they take each batch once: so many from the front, all others from the back. */
	for (uint32_t i = 0; !side->err && atomic_fetch_add(&k->taken, 1) < k->total; i++)
		compare_batch(k, side, which ? k->total - 1 - i : i);
}

static bool side_begin(struct side *side, const struct scan *s, size_t records)
{
	side->records = malloc((size_t)BATCH * s->r->contract.raw.g_size);
	side->look = malloc((records + 1) * sizeof *side->look);
	side->ask = malloc((s->renewal->old_ng + 1) * sizeof *side->ask);
	return side->records && side->look && side->ask;
}

static void side_end(struct side *side)
{
	free(side->records);
	free(side->look);
	free(side->ask);
}

/* No goroutine is asked about twice: there is room. */
static void add_side(struct scan *s, const struct side *side, uint32_t *look, size_t *n)
{
	struct renewal *r = s->renewal;

	memcpy(look + *n, side->look, side->nlook * sizeof *look);
	*n += side->nlook;
	memcpy(r->ask + r->nask, side->ask, side->nask * sizeof *r->ask);
	r->nask += side->nask;
	s->b->snap->bad_records += side->unreadable;
}

struct goro_error *renew_skim(struct scan *s, uint32_t **look, size_t *n)
{
	const struct past *p = s->renewal->past;
	size_t records = p->nchunks * p->chunk_len;
	struct skim k = { .s = s, .per_chunk = (p->chunk_len + BATCH - 1) / BATCH };
	const bool two = records >= s->r->for_two && s->t->ops->threads;
	struct goro_error *err = NULL;

	*n = 0;
	*look = malloc((records + 1) * sizeof **look);
	k.total = (uint32_t)p->nchunks * k.per_chunk;
	if (!*look || !side_begin(&k.side[0], s, records) ||
	    (two && !side_begin(&k.side[1], s, records)))
		err = &goro_enomem;
	else if (two)
		two_work(work, &k);
	else
		work(&k);
	for (int i = 0; i < (two ? 2 : 1); i++) {
		if (!err && k.side[i].err)
			err = k.side[i].err;
		else
			goro_error_free(k.side[i].err);
		if (!err)
			add_side(s, &k.side[i], *look, n);
		side_end(&k.side[i]);
	}
	return err;
}
