/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_scan.c - the goroutines of a libgoro program, read while it runs.
 *
 * In batches: the records, the top of each parked stack, the records again. A goroutine whose
 * record did not change in between did not run, so its copied stack is consistent (the contract
 * says why). Those that did change, or whose stack is deeper than the first window, go into the
 * next round. After some rounds a goroutine that is always on the move is given up as torn.
 *
 * Rejected: stopping the program for one consistent picture. It costs the target milliseconds at a
 * hundred thousand goroutines, and each parked goroutine is consistent in itself without it.
 */
#include "reader_goro_scan.h"
#include "crowd.h"
#include "reader_goro_renew.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- later rounds: one by one ---------------------------------------------------------------- */

/* s->reads are of records. What cannot be read is none. */
static struct goro_error *read_some(struct scan *s, size_t n)
{
	struct goro_error *err = s->t->ops->read(s->t, s->reads, n);

	for (size_t i = 0; i < n && !err; i++) {
		if (!s->reads[i].ok)
			memset(s->reads[i].to, 0, s->reads[i].len);
	}
	return err;
}

/* Read the records of the items into their slots. */
static struct goro_error *read_each(struct scan *s, const struct item *items, size_t n, uint8_t *to)
{
	for (size_t i = 0; i < n; i++)
		s->reads[i] = (struct target_read){ .address = items[i].record,
						    .to = to + items[i].slot,
						    .len = s->r->contract.raw.g_size };
	return read_some(s, n);
}

/* How many of the items have room in one batch, with the biggest window each may want. */
static size_t batch_length(const struct item *v, size_t n)
{
	size_t bytes = 0, i;

	for (i = 0; i < n && i < BATCH; i++) {
		bytes += v[i].window + 16;
		if (bytes > SLAB && i)
			break;
	}
	return i;
}

static struct goro_error *rescan(struct scan *s, struct item *v, size_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_error *err;
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		v[i].slot = (uint32_t)i * g_size;
	err = read_each(s, v, n, s->before);
	if (err)
		return err;
	s->nitems = 0;
	for (size_t i = 0; i < n; i++) {
		struct goro_info *g = &s->b->snap->g[v[i].g];

		scan_decode(s, s->before + v[i].slot, v[i].record, g);
		scan_find_stack_end(s, g);
		if (!scan_is_there(g))
			g->id = 0; /* it ended: freeze leaves it out */
		else if (scan_has_stack(s, g) && scan_place(s, &v[i], g, &used))
			s->items[s->nitems++] = v[i];
		else
			scan_add_rlocks(s, v[i].g, s->before + v[i].slot);
	}
	err = scan_read_stacks(s);
	if (!err)
		err = read_each(s, s->items, s->nitems, s->after);
	if (!err)
		scan_finish_all(s);
	return err;
}

struct goro_error *scan_again(struct scan *s)
{
	struct goro_error *err = NULL;

	while (s->again.n && !err && !s->b->no_memory) {
		struct list round = s->again;

		s->again = (struct list){ 0 };
		for (size_t at = 0, n; at < round.n && !err; at += n) {
			n = batch_length(round.v + at, round.n - at);
			err = rescan(s, round.v + at, n);
		}
		free(round.v);
	}
	return err;
}

/* ---- first round: chunk by chunk ------------------------------------------------------------- */

bool scan_decode_new(struct scan *s, uint32_t slot, uint64_t address, struct goro_info *g)
{
	scan_decode(s, s->before + slot, address, g);
	if (g->state >= GORO_NSTATES)
		s->b->snap->bad_records++;
	if (!scan_is_there(g))
		return false;
	scan_find_stack_end(s, g);
	if (g->flags & GORO_FLAG_MAIN)
		s->r->main = *g;
	return true;
}

void scan_want_stack(struct scan *s, uint64_t address, uint32_t slot, uint32_t at, size_t *used)
{
	struct item it = { .record = address, .g = at, .slot = slot, .window = FIRST_WINDOW };
	const struct goro_info *g = &s->b->snap->g[at];

	if (scan_has_stack(s, g) && scan_place(s, &it, g, used)) {
		s->items[s->nitems++] = it;
		return;
	}
	if (g->state == GORO_STATE_WAITING)
		s->b->snap->bad_records++; /* it must have one */
	scan_add_rlocks(s, at, s->before + slot);
}

static void classify(struct scan *s, uint64_t address, uint32_t n, size_t *used)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_info g;

	for (uint32_t i = 0; i < n; i++, address += g_size) {
		uint32_t at;

		if (!scan_decode_new(s, i * g_size, address, &g))
			continue;
		at = snapshot_add_g(s->b, &g);
		if (at != UINT32_MAX)
			scan_want_stack(s, address, i * g_size, at, used);
	}
}

static struct goro_error *read_records(struct scan *s, uint64_t address, uint32_t n, uint8_t *to,
				       bool *ok)
{
	return target_read_at(s->t, address, to, (size_t)n * s->r->contract.raw.g_size, ok);
}

/*
 * The stacks of the items, and what their records say after that. The batch is of n records in a
 * row from that address, or (n 0) of single ones.
 */
static struct goro_error *finish_batch(struct scan *s, uint64_t address, uint32_t n)
{
	struct goro_error *err;
	bool ok = true;

	if (s->b->snap->ng > s->max_goroutines)
		return goro_error_new(GORO_PARTIAL,
				      "its more than %zu goroutines do not fit in our memory",
				      s->max_goroutines);
	if (!s->nitems)
		return NULL;
	err = scan_read_stacks(s);
	if (err)
		return err;
	if (!n || s->nitems <= n / s->r->piece)
		err = read_each(s, s->items, s->nitems, s->after);
	else
		err = read_records(s, address, n, s->after, &ok);
	if (err)
		return err;
	if (!ok) /* gone between two reads: believe nothing of it */
		memset(s->after, 0, (size_t)n * s->r->contract.raw.g_size);
	scan_finish_all(s);
	return NULL;
}

static struct goro_error *scan_records(struct scan *s, uint64_t address, uint32_t n)
{
	struct goro_error *err;
	size_t used = 0;
	bool ok;

	err = read_records(s, address, n, s->before, &ok);
	if (err)
		return err;
	if (!ok) {
		s->b->snap->bad_records += n;
		return NULL;
	}
	s->nitems = 0;
	classify(s, address, n, &used);
	return finish_batch(s, address, n);
}

/* ---- or first those of a look before ----------------------------------------------------------
 */

/* Those of a batch, which are rising. */
static struct goro_error *look_in_a_row(struct scan *s, const uint32_t *numbers, size_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	const uint64_t address = renew_address(s, numbers[0]);
	uint32_t len = numbers[n - 1] - numbers[0] + 1;
	struct goro_error *err;
	size_t used = 0;
	bool ok;

	err = read_records(s, address, len, s->before, &ok);
	if (err)
		return err;
	if (!ok)
		memset(s->before, 0, (size_t)len * g_size);
	s->nitems = 0;
	for (size_t i = 0; i < n && !s->b->no_memory; i++)
		renew_look(s, numbers[i], (numbers[i] - numbers[0]) * g_size, &used);
	return finish_batch(s, address, len);
}

static struct goro_error *look_at_each(struct scan *s, const uint32_t *numbers, size_t n)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct goro_error *err;
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		s->reads[i] = (struct target_read){ .address = renew_address(s, numbers[i]),
						    .to = s->before + i * g_size,
						    .len = g_size };
	err = read_some(s, n);
	if (err)
		return err;
	s->nitems = 0;
	for (size_t i = 0; i < n && !s->b->no_memory; i++)
		renew_look(s, numbers[i], (uint32_t)i * g_size, &used);
	return finish_batch(s, 0, 0);
}

/* How many of them lie in the batch of the first; and is that worth reading it as a whole? */
static size_t in_batch(const struct scan *s, const uint32_t *numbers, size_t n, bool *in_a_row)
{
	const uint32_t len = s->r->contract.raw.g_chunk_len, at = numbers[0] % len / BATCH * BATCH;
	const uint32_t first = numbers[0] - numbers[0] % len + at;
	const uint32_t size = len - at < BATCH ? len - at : BATCH;
	size_t i = 1;

	while (i < n && numbers[i] - first < size)
		i++;
	*in_a_row = i > s->r->piece;
	return i;
}

/* Those of one batch that is worth it, or of several that are not. */
static size_t together(const struct scan *s, const uint32_t *numbers, size_t n, bool *in_a_row)
{
	size_t some = in_batch(s, numbers, n, in_a_row), more;
	bool next = false;

	for (; !*in_a_row && some < n; some += more) {
		more = in_batch(s, numbers + some, n - some, &next);
		if (next || some + more > BATCH)
			break;
	}
	return some;
}

static struct goro_error *renew_chunks(struct scan *s)
{
	uint32_t *look;
	size_t n, some;
	struct goro_error *err = renew_skim(s, &look, &n);

	for (size_t i = 0; i < n && !err && !s->b->no_memory; i += some) {
		bool in_a_row;

		some = together(s, look + i, n - i, &in_a_row);
		err = (in_a_row ? look_in_a_row : look_at_each)(s, look + i, some);
	}
	free(look);
	return err;
}

/* ---- all rounds ------------------------------------------------------------------------------ */

/* Goroutines can join crowds when all is known of them: then no round is left for later. */
static struct goro_error *summarize_records(struct scan *s, uint64_t address, uint32_t n)
{
	size_t first = s->b->snap->ng, first_wait = s->b->snap->nwaits;
	struct goro_error *err = scan_records(s, address, n);

	if (!err)
		err = scan_again(s);
	if (!err && !s->b->no_memory) {
		scan_ask_resident(s, first);
		crowd_join(s->b, first, first_wait);
	}
	return err;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct goro_error *scan_list_chunks(struct scan *s)
{
	const struct goro_introspect *raw = &s->r->contract.raw;
	uint64_t bytes = (uint64_t)raw->g_chunk_len * raw->g_size, last = 0;
	struct goro_error *err;
	bool ok;

	s->chunks = calloc(raw->g_nchunks + 1, sizeof *s->chunks);
	if (!s->chunks)
		return &goro_enomem;
	err = target_read_at(s->t, raw->g_chunks, s->chunks, raw->g_nchunks * sizeof *s->chunks,
			     &ok);
	if (!err && !ok)
		err = goro_error_at(GORO_UNSUPPORTED, raw->g_chunks,
				    "its goro contract makes no sense: the table of goroutines at "
				    "0x%llx cannot be read",
				    (unsigned long long)raw->g_chunks);
	if (err)
		return err;
	qsort(s->chunks, raw->g_nchunks, sizeof *s->chunks, by_value);
	for (uint32_t i = 0; i < raw->g_nchunks; i++) {
		/* Chunks that overlap would multiply what is there. */
		if (s->chunks[i] && s->chunks[i] >= last) {
			last = s->chunks[i] + bytes;
			s->chunks[s->nchunks++] = s->chunks[i];
		} else if (s->chunks[i]) {
			s->odd_records += raw->g_chunk_len;
		}
	}
	return NULL;
}

struct goro_error *scan_chunks(struct scan *s)
{
	const struct goro_introspect *raw = &s->r->contract.raw;
	struct goro_error *err = NULL;

	s->b->snap->bad_records += s->odd_records;
	if (s->renewal)
		return renew_chunks(s);
	for (size_t i = 0; !err && i < s->nchunks; i++) {
		for (uint32_t at = 0; !err && at < raw->g_chunk_len; at += BATCH) {
			uint32_t n = raw->g_chunk_len - at;

			n = n < BATCH ? n : BATCH;
			err = (s->b->summarize ? summarize_records : scan_records)(
				s, s->chunks[i] + (uint64_t)at * raw->g_size, n);
		}
	}
	return err;
}

/* ---- its memory ------------------------------------------------------------------------------ */

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

bool scan_begin(struct scan *s)
{
	size_t records = (size_t)BATCH * s->r->contract.raw.g_size;
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	scan_find_plain(s);
	s->max_goroutines = memory / 4 / sizeof(struct goro_info);
	s->now = s->t->file ? s->r->contract.raw.clock : monotonic();
	s->before = malloc(records);
	s->after = malloc(records);
	s->reads = calloc(BATCH, sizeof *s->reads);
	s->items = calloc(BATCH, sizeof *s->items);
	return s->before && s->after && s->reads && s->items;
}

void scan_end(struct scan *s)
{
	free(s->before);
	free(s->after);
	free(s->slab);
	free(s->reads);
	free(s->items);
	free(s->again.v);
	free(s->waits);
	free(s->chunks);
	renew_free(s->renewal);
}
