/* SPDX-License-Identifier: MIT */
/* mixed.h - the world of mixed.c: what its goroutines share, and the accounts that must balance. */
#ifndef MIXED_H
#define MIXED_H

#include "stress.h"

enum {
	CHANS = 64,
	ACCOUNTS = 32,
	MONEY = 1000, /* in each account, at first */
	LINES = 16,   /* sockets with an echo behind them */
	TREES = 16,   /* contexts that are cancelled now and then */
	SLOTS = 5,    /* of the semaphore */
	DOORS = 16,   /* by which threads of the program's own come in, one at a time */
	TOKENS = 1 << 25,
};

/* One bit for each token: whoever sets one that is set has found it twice. */
struct bits {
	_Atomic uint64_t *words;
};

/*
 * What comes in must go out. Every number on the left is counted by who gives, on the right by who
 * gets, and at the end of a wave, when all is quiet, they are equal.
 */
struct accounts {
	atomic_ulong sent, received; /* tokens through channels; see also the bits */
	atomic_ulong timers_made, timers_fired, timers_stopped;
	atomic_ulong children_made, children_ran;
	atomic_ulong panics, recovered;
	atomic_ulong taken, given; /* of the semaphore */
	atomic_ulong echoed, cancelled, timeouts, hogs, resizes;
	atomic_ulong strangers; /* threads that came, did some of everything, and went */
};

/* Whatever anybody has got done in any world: where that stands still for long, all do. */
extern atomic_ulong mixed_moves;

static inline void mixed_move(void)
{
	atomic_fetch_add_explicit(&mixed_moves, 1, memory_order_relaxed);
}

struct world {
	uint64_t seed;
	int n; /* goroutines */
	goro_chan *chan[CHANS];
	goro_chan *stop_chan; /* closed at the end of the wave */
	atomic_bool stop;
	atomic_ulong senders; /* that may still send: channels are closed when they are gone */
	atomic_ulong next_token;
	struct bits sent, received;

	goro_mutex mu[ACCOUNTS];
	goro_rwmutex audit;
	long money[ACCOUNTS];

	goro_chan *lines; /* ends of sockets that nobody uses now */
	int line[LINES];
	goro_rwmutex trees_lock;
	goro_context *tree[TREES];
	goro_sema sema;
	goro_mutex queue_mu;
	goro_cond queue_cond;
	unsigned long queue; /* items, under queue_mu */
	unsigned long queue_max;

	goro_waitgroup workers, children, resizer, doors;
	struct accounts acc;
};

/* One goroutine's life in the world. */
struct life {
	struct world *w;
	uint64_t random;
};

/* One random operation. */
void mixed_step(struct life *life);

/* A token that was received, by an operation or at the end. */
void mixed_received(struct world *w, uint64_t token);

/* True: it was not set. */
static inline bool bits_set(struct bits *b, uint64_t i)
{
	return !(atomic_fetch_or(&b->words[i / 64], UINT64_C(1) << i % 64) >> i % 64 & 1);
}

#endif /* MIXED_H */
