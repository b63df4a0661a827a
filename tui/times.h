/* SPDX-License-Identifier: MIT */
/*
 * times.h - how long goroutines wait to run, and how long they run at a time: histograms of the
 * last looks, for what was slow an hour ago says nothing about now; or since the target's start.
 */
#ifndef GOTOP_TIMES_H
#define GOTOP_TIMES_H

#include "model.h"

enum times_kind { TIMES_WAITING, TIMES_RUNNING, NTIMES };

struct times_look {
	int64_t time;
	struct goro_histogram sum[NTIMES];
};

struct times {
	struct times_look looks[HISTORY]; /* the newest is the last */
	uint32_t nlooks;
	uint32_t p99[NTIMES][HISTORY]; /* ns, of what came between two looks */
	uint32_t np99;
	bool from_start; /* show these, and not the last looks */
};

void times_push(struct times *t, const struct goro_snapshot *snap);
void times_drop(struct times *t);

/* In a box at (y, x): a line for each bucket, or for several where there is not room for all. */
void times_draw(const struct times *t, struct screen *s, int y, int x, int h, int w,
		enum times_kind kind);

#endif /* GOTOP_TIMES_H */
