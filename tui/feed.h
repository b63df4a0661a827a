/* SPDX-License-Identifier: MIT */
/*
 * feed.h - the thread that looks at the target.
 *
 * All calls into the library that may wait happen there. The screen thread tells it what to do,
 * gets a byte in a pipe when there is news, and takes the latest news; it never waits. A frame
 * that was not taken in time is replaced, so a slow terminal costs no memory.
 */
#ifndef GOTOP_FEED_H
#define GOTOP_FEED_H

#include "frame.h"

struct feed;

struct feed_options {
	int64_t interval_ns;
	uint64_t suspect_age_ns;
};

/* Processes, as the picker shows them. */
struct listing {
	struct goro_candidate *c;
	size_t n;
};

/* What is new. Each part may be absent. The receiver owns all but the frame: see below. */
struct news {
	struct frame *frame;
	struct listing *listing;
	struct goro_error *error; /* of the last request, or why reading ended */
	bool attached;		  /* a target is being read */
	bool ended;		  /* it was, and has gone */
	bool waiting;		  /* for the runtime of a started command */
	int64_t busy_since;	  /* a read began then and has not come back; 0: none */
};

struct feed *feed_start(const struct feed_options *opt, int wake_fd);

/* Ask for things. Each replaces an earlier request that has not been begun. */
void feed_list(struct feed *feed, bool all);
void feed_attach(struct feed *feed, const char *target);
void feed_attach_pid(struct feed *feed, int pid);
/* A command that was just started: its runtime may take a moment to come up. */
void feed_await_pid(struct feed *feed, int pid);
/* Close the target. Every frame must have been given back; none comes after this call. */
void feed_detach(struct feed *feed);

void feed_set_interval(struct feed *feed, int64_t ns);
void feed_hold(struct feed *feed, bool hold); /* do not read the target */

/* In a recording: show another tick now, also on hold. Nothing happens elsewhere. */
void feed_step(struct feed *feed, long ticks);

/* Prove by reachability what is leaked, now. */
void feed_prove(struct feed *feed);

void feed_take(struct feed *feed, struct news *ret);
void feed_give_back(struct feed *feed, struct frame *f);

/* Ends the thread. False: it hangs in a read of the target; then only exiting helps. */
bool feed_stop(struct feed *feed);

void listing_free(struct listing *l);

#endif /* GOTOP_FEED_H */
