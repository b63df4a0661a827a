/* SPDX-License-Identifier: MIT */
/*
 * groups.h - the steps by which the model makes its group rows, for model.c.
 *
 * For a new frame: groups_fill, groups_track, groups_rates, groups_sort. After a choice changed:
 * the same without groups_track, which counts ticks.
 */
#ifndef GOTOP_GROUPS_H
#define GOTOP_GROUPS_H

#include "model.h"

void groups_free(struct model *m);
void groups_fill(struct model *m);
void groups_track(struct model *m);
void groups_rates(struct model *m);
void groups_sort(struct model *m);

/* The frame on show is what changes are counted from: now, or of what a new filter keeps. */
void groups_set_mark(struct model *m);
void groups_filter_mark(struct model *m);

/* What they are counted from now. */
const struct mark *groups_mark(const struct model *m);
void mark_free(struct mark *mark);

/* The last HISTORY values; the newest is the last. */
void ring_push(uint32_t *ring, uint32_t *n, uint32_t value);

/* Change per second of a ring whose last value is the newest tick's. */
double ring_rate(const struct model *m, const uint32_t *counts, uint32_t n);

#endif /* GOTOP_GROUPS_H */
