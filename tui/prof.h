/* SPDX-License-Identifier: MIT */
/*
 * prof.h - the thread that samples the target, for the profile screen.
 *
 * It has a scope of its own, so that the tick of the feed and the samples do not wait for each
 * other, and samples only while it is asked to. What it has seen in the last half minute comes as
 * one tree after each second; one that was not taken in time is replaced.
 */
#ifndef GOTOP_PROF_H
#define GOTOP_PROF_H

#include "profiler.h"

/* What was seen. The receiver owns it. */
struct picture {
	enum goro_profile_mode mode;
	struct goro_profile_node *root; /* ns, of all of `ns` */
	uint64_t ns, taken, missed;
	char how[16], note[128];
};

struct prof;

struct prof *prof_start(int wake_fd);

/* Sample a process from now on; nothing changes when that is what it does. ng: goroutines. */
void prof_run(struct prof *p, int pid, enum goro_profile_mode mode, size_t ng);
void prof_halt(struct prof *p);

/* The newest picture, and what went wrong; NULL: nothing new. */
void prof_take(struct prof *p, struct picture **picture, struct goro_error **err);

/* Ends the thread. False: it hangs in a read of the target; then only exiting helps. */
bool prof_stop(struct prof *p);

/* Looks a second that do not take more than a fraction of one core. */
unsigned prof_rate(enum goro_profile_mode mode, size_t ng);

void picture_free(struct picture *picture);

/* The sum of parts, oldest first. */
struct picture *picture_of(enum goro_profile_mode mode, struct goro_profile_part *const *parts,
			   size_t n);

#endif /* GOTOP_PROF_H */
