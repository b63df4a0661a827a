/* SPDX-License-Identifier: MIT */
/*
 * reach_stacks.c - the stacks and records of goroutines that can run, many at a time; see reach.c.
 *
 * They are read when they are searched, and forgotten then: who can never be woken is never read,
 * and a copy of a million stacks would be most of our memory.
 *
 * What is to be searched at one moment is a round, by rising address of the records: those lie side
 * by side, and so do page tables of stacks that were given out in a row, which is what a read
 * costs. In a big round a second thread reads as well. Each takes the next batch that nobody has,
 * and reads it into room of its own; only the thread that marks searches. It waits for the other
 * one when nothing else is left to do, not for each batch: if that does not get a processor this
 * thread does it all. In which order they are searched makes no difference to what is marked in the
 * end; for a chain that is to be the same each time one thread reads alone.
 *
 * Rejected: a thread that reads the next ones meanwhile, and is waited for (each change of hands
 * costs milliseconds where other programs are at work, and there are hundreds of them).
 */
#include "reach_run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "order.h"
#include "reach_skip.h"
#include "two.h"

enum {
	BATCH = 512,	     /* goroutines at a time */
	SMALL_STACK = 16384, /* bytes; others are searched where they are */
	ROOM = 1 << 20,	     /* bytes of a batch's stacks */
	AHEAD = 4,	     /* batches that may have been read and not searched */
	SORT = 64,	     /* goroutines in a round, to be worth it */
	WORTH_TWO = 8192,    /* so it is with another thread */
};

/* What was read of them. */
struct batch {
	enum { EMPTY, TAKEN, READ } state;
	size_t first, n; /* of r->stacks */
	struct goro_error *err;
	struct target_read records[BATCH], stacks[BATCH];
	uint8_t *stack[BATCH]; /* or NULL: it is not here */
	uint8_t room[ROOM];
	uint8_t record[];
};

struct reach_batch {
	size_t next, end; /* of the round: what nobody has taken yet */
	struct batch *own;

	/* With another thread. The lock is that of what is above, and of what follows. */
	bool two, stop;
	struct two_beside other;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *others[AHEAD];
};

static struct batch *new_batch(const struct run *r)
{
	struct batch *b = malloc(sizeof *b + (size_t)BATCH * r->view->facts->record_size);

	if (b) {
		b->state = EMPTY;
		b->err = NULL;
	}
	return b;
}

bool reach_stacks_room(struct run *r)
{
	r->stacks = calloc(r->view->snap->ng + 1, sizeof *r->stacks);
	r->batch = calloc(1, sizeof *r->batch);
	if (r->batch)
		r->batch->own = new_batch(r);
	return r->stacks && r->batch && r->batch->own;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static struct goro_error *read_all(struct run *r, struct target_read *reads, size_t n)
{
	struct goro_error *err = r->view->t->ops->read(r->view->t, reads, n);

	for (size_t i = 0; i < n && !err; i++) {
		if (!reads[i].ok)
			memset(reads[i].to, 0, reads[i].len);
	}
	return err;
}

/* As many of the round as there is room for. False: nothing is left of it. */
static bool take(const struct run *r, struct batch *b)
{
	struct reach_batch *all = r->batch;
	size_t used = 0;

	b->first = all->next;
	for (b->n = 0; b->n < BATCH && all->next < all->end; b->n++, all->next++) {
		const uint32_t g = r->stacks[all->next];
		const uint64_t len = r->from[g] ? r->view->snap->g[g].stack_hi - r->from[g] : 0;
		const bool here = len && len <= SMALL_STACK;

		if (here && len > ROOM - used)
			break;
		b->stack[b->n] = here ? b->room + used : NULL;
		used += here ? len : 0;
	}
	b->state = b->n ? TAKEN : EMPTY;
	return b->n;
}

static void read_batch(struct run *r, struct batch *b)
{
	const size_t size = r->view->facts->record_size;
	size_t nstacks = 0;

	for (size_t i = 0; i < b->n; i++) {
		const uint32_t g = r->stacks[b->first + i];
		const struct goro_info *info = &r->view->snap->g[g];

		b->records[i] = (struct target_read){ .address = info->record,
						      .to = b->record + i * size,
						      .len = size };
		if (b->stack[i])
			b->stacks[nstacks++] =
				(struct target_read){ .address = r->from[g],
						      .to = b->stack[i],
						      .len = info->stack_hi - r->from[g] };
	}
	b->err = read_all(r, b->records, b->n);
	if (!b->err)
		b->err = read_all(r, b->stacks, nstacks);
}

static void search_record(struct run *r, uint32_t g, const uint8_t *record)
{
	const struct goro_info *info = &r->view->snap->g[g];
	const struct facts *facts = r->view->facts;
	size_t stale = info->state == GORO_STATE_WAITING ? facts->record_size : facts->record_wait;

	r->here = (struct reach_link){ .kind = REACH_RECORD, .id = info->id };
	reach_search_bytes(r, record, stale, info->record);
	if (stale + 8 < facts->record_size)
		reach_search_bytes(r, record + stale + 8, facts->record_size - stale - 8,
				   info->record + stale + 8);
}

static struct goro_error *search_stack(struct run *r, uint32_t g, const uint8_t *stack)
{
	const struct goro_info *info = &r->view->snap->g[g];
	bool skip = reach_skips("stacks") && !r->candidate[g];

	if (!reach_skips("locals"))
		reach_visit(r, r->view->facts->locals[g], info->record);
	r->here.kind = REACH_STACK;
	/* Its own code finds what lies in its frames by its stack
	 * pointer: no word need lead there. */
	if (r->from[g] && !reach_skips("frames"))
		reach_wake_watchers(r, r->from[g]);
	if (!r->from[g] || skip)
		return NULL;
	reach_search_used(r, g, stack);
	if (!stack)
		return reach_search_memory(r, r->from[g], info->stack_hi);
	reach_search_bytes(r, stack, info->stack_hi - r->from[g], r->from[g]);
	return NULL;
}

static struct goro_error *search_batch(struct run *r, struct batch *b)
{
	struct goro_error *err = b->err;

	b->err = NULL;
	for (size_t i = 0; i < b->n && !err; i++) {
		const uint32_t g = r->stacks[b->first + i];

		search_record(r, g, b->record + i * (size_t)r->view->facts->record_size);
		err = search_stack(r, g, b->stack[i]);
	}
	r->nsearched += b->n;
	return err;
}

/* ---- the other thread --------------------------------------------------------------------------
 */

static struct batch *find(const struct reach_batch *all, unsigned state)
{
	for (size_t i = 0; i < AHEAD; i++) {
		if (all->others[i]->state == state)
			return all->others[i];
	}
	return NULL;
}

static void read_ahead(void *run)
{
	struct run *r = run;
	struct reach_batch *all = r->batch;

	pthread_mutex_lock(&all->lock);
	while (!all->stop) {
		struct batch *b = find(all, EMPTY);

		if (!b) {
			pthread_cond_wait(&all->changed, &all->lock);
			continue;
		}
		if (!take(r, b))
			break;
		pthread_mutex_unlock(&all->lock);
		read_batch(r, b);
		if (reach_skips("ahead"))
			memset(b->room, 0, sizeof b->room);
		pthread_mutex_lock(&all->lock);
		b->state = READ;
		pthread_cond_broadcast(&all->changed);
	}
	pthread_mutex_unlock(&all->lock);
}

static void begin_two(struct run *r)
{
	struct reach_batch *all = r->batch;

	if (!r->view->t->ops->threads || r->view->why ||
	    (r->wide != 1 && (all->end - all->next < WORTH_TWO || !two_are_there())))
		return;
	for (size_t i = 0; i < AHEAD; i++) {
		if (!all->others[i])
			all->others[i] = new_batch(r);
		if (!all->others[i])
			return;
	}
	all->stop = false;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	all->two = two_try(&all->other, read_ahead, r);
}

static void end_two(struct run *r)
{
	struct reach_batch *all = r->batch;

	if (!all->two)
		return;
	pthread_mutex_lock(&all->lock);
	all->stop = true;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
	two_end(&all->other);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	all->two = false;
}

/* One that can be searched. There is one: the round is not at its end. */
static struct batch *next_batch(struct run *r)
{
	struct reach_batch *all = r->batch;
	struct batch *b = all->own;

	if (all->two) {
		pthread_mutex_lock(&all->lock);
		while (!(b = find(all, READ))) {
			b = all->own;
			if (!reach_skips("ahead") && take(r, b))
				break;
			pthread_cond_wait(&all->changed, &all->lock);
		}
		pthread_mutex_unlock(&all->lock);
	} else {
		take(r, b);
	}
	if (b->state == TAKEN)
		read_batch(r, b);
	return b;
}

static void give_back(struct reach_batch *all, struct batch *b)
{
	if (all->two)
		pthread_mutex_lock(&all->lock);
	b->state = EMPTY;
	if (all->two) {
		pthread_cond_broadcast(&all->changed);
		pthread_mutex_unlock(&all->lock);
	}
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

static uint64_t record_of(const void *run, size_t i)
{
	const struct run *r = run;

	return r->view->snap->g[r->stacks[r->batch->next + i]].record;
}

static void begin_round(struct run *r)
{
	struct reach_batch *all = r->batch;
	uint32_t *round = r->stacks + r->nsearched, *order;
	size_t n;

	all->next = r->nsearched;
	all->end = r->nstacks;
	n = all->end - all->next;
	/* They can be read in any order, if there is no memory for a better one. */
	order = n >= SORT && !r->view->why ? order_by(n, record_of, r) : NULL;
	for (size_t i = 0; order && i < n; i++)
		order[i] = round[order[i]];
	if (order)
		memcpy(round, order, n * sizeof *order);
	free(order);
	begin_two(r);
}

struct goro_error *reach_search_stacks(struct run *r)
{
	struct reach_batch *all = r->batch;
	struct goro_error *err;
	struct batch *b;

	if (r->nsearched == all->end)
		begin_round(r);
	b = next_batch(r);
	err = search_batch(r, b);
	give_back(all, b);
	if (r->nsearched == all->end)
		end_two(r);
	return err;
}

void reach_stacks_free(struct run *r)
{
	struct reach_batch *all = r->batch;

	if (!all)
		return;
	end_two(r);
	for (size_t i = 0; i < AHEAD; i++) {
		if (all->others[i])
			goro_error_free(all->others[i]->err);
		free(all->others[i]);
	}
	free(all->own);
	free(all);
}
