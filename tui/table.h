/* SPDX-License-Identifier: MIT */
/*
 * table.h - the list widget: columns, a window of rows in some order, a cursor on one of them.
 *
 * The widget asks for the text of the visible cells only, whatever the number of rows. The rows are
 * made anew at every tick, so the cursor is on what a row stands for (its key), not on a number.
 */
#ifndef GOTOP_TABLE_H
#define GOTOP_TABLE_H

#include "screen.h"

struct column {
	const char *id; /* for --sort and messages; NULL: cannot be sorted by */
	const char *title;
	int width; /* 0: takes what is left (one column, the last) */
	int need;  /* shown only on screens at least this wide */
	bool right;
	bool rising; /* natural order: smallest first */
};

struct cell_text {
	char text[768];
	enum role role;
	const uint8_t *roles; /* a role for each (ASCII) character instead, or NULL */
	uint8_t role_room[64];
};

struct table {
	const struct column *columns;
	int ncolumns;
	int sort; /* column, or -1 */
	bool invert;
	unsigned hidden; /* bit i: column i is not shown, since there is nothing to show in it */
	size_t n, top, selected;
	int height; /* rows in the window when last fitted */
	/* What the cursor is on: */
	uint64_t key;
	bool keyed;  /* it is known */
	bool chosen; /* the user put it there: it is not just the first row */
};

typedef void cell_fn(const void *ctx, size_t row, int column, struct cell_text *out);
/* What a row stands for: the same as long as the thing is there, wherever its row is. */
typedef uint64_t key_fn(const void *ctx, size_t row);
/* Two rows by a column, the smaller first: < 0, 0, > 0. */
typedef int compare_fn(const void *ctx, int column, const void *a, const void *b);

/* Move the window so that the selected row is in it. */
void table_fit(struct table *t, int height);
void table_move(struct table *t, long by);

/* The user has put the cursor on the selected row. */
void table_choose(struct table *t, key_fn *key, const void *ctx);
/* There are other rows, or another order: the cursor goes where its key is now. What is gone leaves
 * it to the row that came into its place. */
void table_follow(struct table *t, key_fn *key, const void *ctx);
/* To the first row, whatever it is. */
void table_home(struct table *t);

/* Bring n rows of `size` bytes into the order of the sort column, and the wished direction; those
 * that are equal there by `ties`, whose order does not turn. */
void table_sort(const struct table *t, void *rows, size_t size, compare_fn *compare,
		compare_fn *ties, const void *ctx);

/* Title line at y, rows below it: `height` lines in all. */
void table_draw(const struct table *t, struct screen *s, int y, int height, cell_fn *cell,
		const void *ctx);

/* The next column in a direction that can be sorted by and is shown at this width. */
int table_next_sort(const struct table *t, int screen_width, int step);

/* Index of a column by its id, -1 if there is none. */
int table_column(const struct table *t, const char *id);

/* Do rising values come first, by the column's nature and the user's wish? */
bool table_rising(const struct table *t);

/* What the fixed columns take on a screen of this width. */
int table_fixed_width(const struct table *t, int screen_width);

#endif /* GOTOP_TABLE_H */
