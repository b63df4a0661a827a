/* SPDX-License-Identifier: MIT */
/*
 * view.h - screens. A view is a pure function from the model to cells, one file each.
 *
 * To add one: a view_id in model.h, a bit in keys.h, a view_NAME.c with its ops, and its line in
 * the table in view.c.
 */
#ifndef GOTOP_VIEW_H
#define GOTOP_VIEW_H

#include "keys.h"
#include "model.h"

#define MIN_WIDTH  60
#define MIN_HEIGHT 12

struct view_ops {
	unsigned bit;	 /* IN_... */
	bool has_header; /* the header and the tabs above it */
	/* Something that it shows has changed: frame, selection, the view itself. */
	void (*refresh)(struct model *m);
	/* Before drawing: fit tables to a body of this size. */
	void (*layout)(struct model *m, int w, int h);
	/* Draw the body: lines y .. y+h-1. */
	void (*draw)(const struct model *m, struct screen *s, int y, int h);
	/* Status line's left part. */
	void (*status)(const struct model *m, char *buf, size_t size);
};

extern const struct view_ops picker_ops, groups_ops, list_ops, goroutine_ops, help_ops;

const struct view_ops *view_ops(enum view_id view);

void view_new_frame(struct model *m);
void view_draw(struct model *m, struct screen *s);

/* The header's lines alone, for batch mode; returns how many were drawn. */
int header_draw(const struct model *m, struct screen *s, bool full);
int header_height(const struct model *m, int h);

/* ---- what the model asks of the tables' views ---- */

void groups_columns(struct table *t);
void list_columns(struct table *t);
void picker_columns(struct table *t);
/* Their column of the heap is there when it is counted. */
void groups_show_heap(struct table *t, bool known);
void list_show_heap(struct table *t, bool known);
int groups_compare(const struct model *m, const struct group_row *a, const struct group_row *b);
enum goro_info_field list_field(int column);
cell_fn groups_cell, list_cell, picker_cell;

/* ---- the goroutine screen ---- */

/* Listed frames of the goroutine on show, hidden ones left out: fills ret, returns how many. */
size_t goroutine_frames(const struct model *m, const struct goro_frame **ret, size_t max,
			size_t *hidden);
/* Frames that can be listed at most. */
#define MAX_FRAMES 512

#endif /* GOTOP_VIEW_H */
