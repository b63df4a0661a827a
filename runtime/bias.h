/* SPDX-License-Identifier: MIT */
/*
 * bias.h - the spin lock of an object that one P uses by itself for now: it is taken without an
 * atomic read-modify-write, which is two thirds of what a free mutex costs.
 *
 * The lock's word is 0, 1 (held), or the token of a P, to which it is biased: nobody holds it, and
 * that P needs not take it, but says in `inside` what it is at:
 *
 *	P:      inside = word;  (compiler barrier)  if (*word == token) plain loads and stores;
 *		inside = NULL;
 *	others: exchange(word, 1) gives a token;  membarrier();  wait while (its inside == word);
 *
 * Dekker's algorithm with the fence on one side, as in retake.c: either the P sees the 1 and takes
 * the lock like everybody, or we see that it is inside and wait. Then the lock is ours, and not
 * biased any more. What a P does inside is a few instructions between enter() and leave(), so it
 * cannot lose the P there; it neither parks nor takes another such lock. Who has more to do takes
 * the lock.
 *
 * A lock is biased when a P has taken it BIAS_FIRST times with nobody else in between that it met.
 * Each time that this is undone, which takes the others some microseconds, it takes four times as
 * many, up to a million: a bias that was wrong costs little, and one that is right comes back.
 * The model is tests/model/bias.pml.
 *
 * Rejected: bias by goroutine (those that share a lock mostly share a P, too); giving it up at a
 * signal or at a safe point (a P that computes comes to none); moving it to another P at once (each
 * move costs a membarrier).
 */
#ifndef GORO_BIAS_H
#define GORO_BIAS_H

#include "runtime.h"

enum { BIAS_FIRST = 1024, BIAS_TIMES = 5 };

/* The word was `old`, not 0, and is 1 now: returns when the lock is ours, what bias_lock() does. */
bool goro_bias_lock_slow(uint32_t *l, uint32_t old);
/* The row is long enough: unlock, and bias it if that can be. */
void goro_bias_give(struct p *pp, uint32_t *l);

/* Not 0 and not 1. */
static inline uint32_t bias_token(const struct p *pp)
{
	return (pp->id + 1) << 1;
}

/*
 * True: what l is for may be read and written until bias_end(), which is soon. (A single P is alone
 * with every object.)
 */
static __always_inline bool bias_begin(struct p *pp, uint32_t *l)
{
	uint32_t token;

	if (sched.solo)
		return true;
	token = bias_token(pp);
	/* First only a look: mostly there is no bias, and then this is all. */
	if (__atomic_load_n(l, __ATOMIC_RELAXED) != token)
		return false;
	atomic_store_explicit(&pp->inside, l, memory_order_relaxed);
	barrier(); /* the processor's half is the membarrier in bias.c */
	if (likely(__atomic_load_n(l, __ATOMIC_RELAXED) == token))
		return true;
	atomic_store_explicit(&pp->inside, NULL, memory_order_relaxed);
	return false;
}

/* Release: what was done comes before whoever waits for us goes on. */
static inline void bias_end(struct p *pp)
{
	atomic_store_explicit(&pp->inside, NULL, memory_order_release);
}

/* lock(), of one that may be biased. True: another P lost its bias by
 * that, which is to be counted. */
static inline bool bias_lock(uint32_t *l)
{
	uint32_t old;

	if (sched.solo)
		return false;
	/* Acquire: what was done under it, or inside of it by who had it biased and lost that. */
	old = __atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE);
	return unlikely(old) && goro_bias_lock_slow(l, old);
}

/* A place for the row of this lock; others may share it. (No pointer: nobody is kept by it.) */
static inline struct bias_row *bias_row(struct p *pp, const uint32_t *l)
{
	return &pp->bias_rows[(uintptr_t)l >> 5 & (P_BIAS_ROWS - 1)];
}

static inline uint32_t bias_key(const uint32_t *l)
{
	return (uint32_t)((uintptr_t)l >> 3);
}

/* Somebody else was met at it. */
static inline void bias_break_row(struct p *pp, const uint32_t *l)
{
	bias_row(pp, l)->key = 0;
}

/* unlock(), of one that nobody waits for and that was `undone` times biased in vain. */
static inline void bias_unlock(struct p *pp, uint32_t *l, uint32_t undone)
{
	struct bias_row *row;

	if (sched.solo)
		return;
	row = bias_row(pp, l);
	if (unlikely(row->key != bias_key(l))) {
		row->key = bias_key(l);
		row->left = BIAS_FIRST << 2 * (undone < BIAS_TIMES ? undone : BIAS_TIMES);
	} else if (unlikely(--row->left == 0)) {
		goro_bias_give(pp, l);
		return;
	}
	unlock_always(l);
}

#endif /* GORO_BIAS_H */
