/* SPDX-License-Identifier: MIT */
/*
 * view.h - screens. A view is a pure function from the model to cells, one file each.
 *
 * To add one: a view_NAME.c with its ops, and its line in the table of screens.h.
 */
#ifndef GOTOP_VIEW_H
#define GOTOP_VIEW_H

#include "keys.h"
#include "model.h"

#define MIN_WIDTH  60
#define MIN_HEIGHT 12

struct view_ops {
	const char *tab; /* its name in the bar, whose lower case --screen takes; or NULL */
	size_t state;	 /* bytes of its private state: zeroed, see view_state() */
	/* The private state was made, is to be emptied. */
	void (*begin)(struct model *m);
	void (*end)(struct model *m);
	/* Each new frame, also while another view is on show: for what needs its history. before:
	 * the frame on show until now, or NULL. */
	void (*new_frame)(struct model *m, const struct frame *before);
	void (*drop)(struct model *m); /* the target was left */
	/* Something that it shows has changed: frame, selection, the view itself. */
	void (*refresh)(struct model *m);
	/* Before drawing: fit tables to a body of this size. */
	void (*layout)(struct model *m, int w, int h);
	/* Draw the body: lines y .. y+h-1. With HAS_DATA: only when there is a frame. */
	void (*draw)(const struct model *m, struct screen *s, int y, int h);
	/* Status line's left part (with HAS_DATA: only when there is a frame), and the right end of
	 * the bar of tabs (may be NULL). */
	void (*status)(const struct model *m, char *buf, size_t size);
	void (*title)(const struct model *m, char *buf, size_t size);

	/* With HAS_TABLE: its columns, which of them sorts at first (-1: none), and its rows, which
	 * refresh makes. The table itself is in the model, see view_table(). */
	const struct column *columns;
	int ncolumns, sort;
	cell_fn *cell;
	key_fn *key;
	/* Text by which search finds a row. */
	void (*row_text)(const struct model *m, size_t row, char *buf, size_t size);
	void (*open)(struct model *m, size_t row); /* Enter; or NULL */
	/* A command of its own keys; false: not one of these. */
	bool (*command)(struct model *m, enum command c);
	/* In batch mode: lines that it draws; NULL: its table is printed. */
	int (*lines)(const struct model *m);
};

#define VIEW_OPS(id, name, traits) extern const struct view_ops name##_ops;
GOTOP_SCREENS(VIEW_OPS)
#undef VIEW_OPS

const struct view_ops *view_ops(enum view_id view);
unsigned view_traits(enum view_id view);
static inline unsigned view_bit(enum view_id view)
{
	return 1u << view;
}

/* The view of a tab: by its digit, by its name, and the next in the bar. NVIEWS: there is none. */
enum view_id view_by_digit(int digit);
enum view_id view_by_name(const char *name);
enum view_id view_beside(enum view_id view, int step);

/* The private state of a view. */
static inline void *view_state(const struct model *m, enum view_id view)
{
	return m->state[view];
}
/* Its table. */
static inline struct table *view_table(struct model *m, enum view_id view)
{
	return &m->tables[view];
}
void views_begin(struct model *m);
void views_end(struct model *m);
void views_frame(struct model *m, const struct frame *before);
void views_drop(struct model *m);

void view_new_frame(struct model *m);
void view_draw(struct model *m, struct screen *s);

/* The header's lines alone, for batch mode; returns how many were drawn. */
int header_draw(const struct model *m, struct screen *s, bool full);
int header_height(const struct model *m, int h);

/* ---- what the model asks of the tables' views ---- */

compare_fn groups_compare;
key_fn groups_key, list_key, picker_key;
enum goro_info_field list_field(int column);

/* ---- the profile screen: prof.c samples while it is on show ---- */

struct picture;
enum goro_profile_mode profile_mode(const struct model *m);
void profile_set_mode(struct model *m, enum goro_profile_mode mode);
/* Both take over what they are given. */
void profile_show(struct model *m, struct picture *picture);
void profile_failed(struct model *m, struct goro_error *err);

/* ---- the goroutine screen ---- */

/* Listed frames of the goroutine on show, hidden ones left out: fills ret, returns how many. */
size_t goroutine_frames(const struct model *m, const struct goro_frame **ret, size_t max,
			size_t *hidden);
/* Frames that can be listed at most. */
#define MAX_FRAMES 512

#endif /* GOTOP_VIEW_H */
