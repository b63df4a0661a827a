/* SPDX-License-Identifier: MIT */
/*
 * netpoll.h - one record for each descriptor that goroutines use, and how they wait for it.
 */
#ifndef GORO_NETPOLL_H
#define GORO_NETPOLL_H

#include "timer.h"

enum poll_side_id { SIDE_READ, SIDE_WRITE };

/*
 * One direction of a descriptor. Only one goroutine at a time reads, and one writes: it has the
 * turn, and others queue for it. So there is never more than one in `word`.
 */
struct poll_side {
	_Atomic uintptr_t word; /* WORD_*, or the g that waits: netpoll.c */
	uint32_t lock;		/* of the turn */
	bool busy;		/* somebody has it */
	_Atomic bool drained;	/* the last read took all there was; only who has the turn */
	struct goro_waiter *first, *last;
	_Atomic int64_t deadline; /* in goro_now()'s time; 0: none */
	struct timer timer;	  /* its alarm */
};

struct poll_desc {
	struct poll_side side[2];
	_Atomic uint32_t refs; /* calls that use it now, and REF_CLOSING */
	_Atomic uint32_t seq;  /* +1 when the descriptor is closed: older events are not ours */
	_Atomic uint32_t kind; /* enum fd_kind */
	uint32_t deadline_lock;
	_Atomic bool registered;
	_Atomic bool hangup;	    /* an event said that the other side is gone */
	struct poll_closer *closer; /* who waits until the last call is over */
};

/* The record of fd, with one more reference; NULL and *err when there is none or it is closing. */
struct poll_desc *goro_desc_get(int fd, int *err);
/* The last one out of a closed descriptor closes it; returns what came of that, else 0. */
int goro_desc_put(struct poll_desc *pd, int fd);
/* fd is new: whatever the record says is about another that was closed behind our back. */
int goro_desc_adopt(int fd, enum fd_kind kind);
/* The same for a new socket of ours, or an error: closes it when that fails. */
int goro_fd_adopt(int fd);
/* Get everybody off it, and close it; waits until it is closed. */
int goro_desc_close(int fd);

/* The turn. */
void goro_side_take(struct poll_desc *pd, enum poll_side_id id);
void goro_side_give(struct poll_desc *pd, enum poll_side_id id);

/* 0, or -ECANCELED when it is being closed, or -ETIMEDOUT when its deadline is over. */
int goro_side_check(struct poll_desc *pd, enum poll_side_id id);
/* Before a try: readiness seen so far is used up. */
void goro_side_reset(struct poll_desc *pd, enum poll_side_id id);
/* From now on; see goro_set_deadline(). */
void goro_desc_deadline(struct poll_desc *pd, const int64_t deadline[2]);

/* After a try that would block. 0: try again, or what goro_side_check() says. */
int goro_side_wait(struct poll_desc *pd, int fd, enum poll_side_id id);

#endif /* GORO_NETPOLL_H */
