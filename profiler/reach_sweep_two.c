/* SPDX-License-Identifier: MIT */
/*
 * reach_sweep_two.c - a sweep by two threads, each through half of the heap; see reach_sweep.c.
 *
 * Each thread alone touches the marks of its half: every other few megabytes, because more points
 * to what is old than to what is new, and what is old lies at one end. What the other one's objects
 * point to comes as mail; it is taken before each part of the heap, so that most of it is still in
 * front of the sweep. Who has little left waits for mail, and leaves that little to the list, as
 * when one thread does it all: a chain that goes to and fro does not cost a sweep for each link.
 * Once both wait and no mail is on its way there is nothing more to do.
 */
#include "reach_sweep.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reach_skip.h"
#include "two.h"

enum { BLOCK = 2 }; /* 2^2 parts in a row are one thread's */

struct mail {
	struct mail *next;
	uint32_t n;
	uint32_t numbers[];
};

struct halves {
	pthread_mutex_t lock; /* of what follows, and of what of the run is neither half's own */
	pthread_cond_t changed;
	struct mail *mail[2]; /* for each; read without the lock to see if there is any */
	bool idle[2];	      /* so is this */
	bool done;
	size_t wide; /* what is left of fewer is the list's, of both together fewer than its */
	struct sweep half[2];
};

void sweep_lock(struct sweep *s)
{
	if (s->both)
		pthread_mutex_lock(&s->both->lock);
}

void sweep_unlock(struct sweep *s)
{
	if (s->both)
		pthread_mutex_unlock(&s->both->lock);
}

void sweep_send(struct sweep *s, const uint32_t *numbers, uint32_t n)
{
	struct halves *both = s->both;
	struct mail *m = malloc(sizeof *m + n * sizeof *m->numbers);

	if (reach_skips("mail"))
		n = 0;
	if (m) {
		m->n = n;
		memcpy(m->numbers, numbers, n * sizeof *numbers);
	}
	sweep_lock(s);
	if (m) {
		m->next = both->mail[!s->which];
		__atomic_store_n(&both->mail[!s->which], m, __ATOMIC_RELAXED);
		pthread_cond_broadcast(&both->changed);
	} else {
		s->r->no_memory = true;
	}
	sweep_unlock(s);
}

/* Mark what waits of its own, or send the other half what waits for it. */
static void empty_parts(struct sweep *s, bool own)
{
	for (size_t part = 0; part < sweep_parts(s->f); part++) {
		if (sweep_owns(s, (uint32_t)part << s->f->shift) == own)
			sweep_mark_part(s, part);
	}
}

void sweep_take(struct sweep *s)
{
	struct mail *m, *next;

	if (!s->both)
		return;
	/* Nobody shall wait for what only waits to become more. */
	if (__atomic_load_n(&s->both->idle[!s->which], __ATOMIC_RELAXED))
		empty_parts(s, false);
	if (!__atomic_load_n(&s->both->mail[s->which], __ATOMIC_RELAXED))
		return;
	sweep_lock(s);
	m = s->both->mail[s->which];
	__atomic_store_n(&s->both->mail[s->which], NULL, __ATOMIC_RELAXED);
	sweep_unlock(s);
	for (; m; m = next) {
		next = m->next;
		sweep_mark_all(s, m->numbers, m->n);
		free(m);
	}
}

/* It has nothing to do. False: nor will it, for nobody has. */
static bool wait_for_mail(struct sweep *s)
{
	struct halves *both = s->both;
	bool more;

	sweep_lock(s);
	__atomic_store_n(&both->idle[s->which], true, __ATOMIC_RELAXED);
	if (both->idle[!s->which] && !both->mail[0] && !both->mail[1]) {
		both->done = true;
		pthread_cond_broadcast(&both->changed);
	}
	while (!both->mail[s->which] && !both->done)
		pthread_cond_wait(&both->changed, &both->lock);
	more = !both->done;
	if (more)
		__atomic_store_n(&both->idle[s->which], false, __ATOMIC_RELAXED);
	sweep_unlock(s);
	return more;
}

static void sweep_half(void *halves, unsigned which)
{
	struct halves *both = halves;
	struct sweep *s = &both->half[which];
	bool down = true;

	do {
		for (;; down = !down) {
			sweep_take(s);
			empty_parts(s, true);
			if (s->npending < both->wide)
				break;
			sweep_once(s, down);
		}
		/* Last: of what was its own some began in the other half. */
		empty_parts(s, false);
	} while (wait_for_mail(s));
}

/* Of what is its own. */
static size_t count_pending(const struct sweep *s)
{
	size_t n = 0;

	for (size_t k = 0; k < s->f->nstrips; k++) {
		const struct strip *t = &s->f->strips[k];

		for (uint32_t number = t->base; number < t->end; number += 64) {
			if (sweep_owns(s, number))
				n += sparse_count(t->pending[(number - t->base) / 64]);
		}
	}
	return n;
}

void sweep_count(const struct sweep *s)
{
	s->r->ret->objects += s->objects;
	s->r->ret->object_bytes += s->bytes;
}

bool sweep_both(struct run *r)
{
	struct field *f = r->field;
	const unsigned block = f->shift + (r->wide == 1 ? 0 : BLOCK);
	struct halves both = { .wide = r->wide > 1 ? r->wide / 2 : 1 };
	bool ok;

	if (!f->parts[1])
		f->parts[1] = calloc(1, sizeof *f->parts[1]);
	if (!f->parts[1])
		return false;
	pthread_mutex_init(&both.lock, NULL);
	pthread_cond_init(&both.changed, NULL);
	for (unsigned i = 0; i < 2; i++) {
		both.half[i] = (struct sweep){ .r = r,
					       .f = f,
					       .parts = f->parts[i],
					       .mask = UINT32_C(1) << block,
					       .own = i << block,
					       .both = &both,
					       .which = i };
		both.half[i].npending = count_pending(&both.half[i]);
	}
	ok = two_halves(sweep_half, &both);
	for (unsigned i = 0; i < 2 && ok; i++)
		sweep_count(&both.half[i]);
	pthread_cond_destroy(&both.changed);
	pthread_mutex_destroy(&both.lock);
	return ok;
}
