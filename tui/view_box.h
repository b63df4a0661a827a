/* SPDX-License-Identifier: MIT */
/* view_box.h - a table above, and a closer look at its selected row in a box below. */
#ifndef GOTOP_VIEW_BOX_H
#define GOTOP_VIEW_BOX_H

#include "view.h"

/* Lines of a body of h that the table gets: its rows, or a half when both want more. box: lines
 * that the box could use, with its frame; it is left out where there is no room for both. */
int box_split(size_t rows, int box, int h);

struct box {
	struct screen *s;
	int y, end, w;
};

/* Draw the frame; the lines go into it, as many as fit. */
struct box box_begin(struct screen *s, int y, int h, const char *title);
void box_line(struct box *b, enum role role, const char *label, const char *text);

/* A text of several lines, each wrapped, beside one label; and how many lines that takes. */
enum { BOX_LABEL = 9 };
void box_text(struct box *b, enum role role, const char *label, const char *text);
int box_text_lines(const char *text, int screen_width);

/* "wait sess.c:131 < watch_session sess.c:94": the user's frames, leaf first. */
void stack_line(const struct model *m, const struct goro_info *g, char *buf, size_t size);

enum role verdict_role(uint32_t verdict);

/* The end of a status line: how a table is sorted, and what is left out. */
void sort_and_filter(const struct model *m, char *buf, size_t size);

#endif /* GOTOP_VIEW_BOX_H */
