/* SPDX-License-Identifier: MIT */
/* table.c - the list widget. */
#define _GNU_SOURCE
#include "table.h"
#include "keys.h"

#include <stdlib.h>
#include <string.h>

void table_fit(struct table *t, int height)
{
	size_t h = height > 1 ? (size_t)height : 1;

	t->height = (int)h;
	if (t->selected >= t->n)
		t->selected = t->n ? t->n - 1 : 0;
	if (t->top > t->selected)
		t->top = t->selected;
	if (t->selected >= t->top + h)
		t->top = t->selected - h + 1;
	if (t->top + h > t->n)
		t->top = t->n > h ? t->n - h : 0;
}

void table_move(struct table *t, long by)
{
	size_t away = by < 0 ? (size_t)-by : (size_t)by;

	if (by < 0)
		t->selected = t->selected > away ? t->selected - away : 0;
	else if (t->n)
		t->selected = away < t->n - t->selected ? t->selected + away : t->n - 1;
}

void table_choose(struct table *t, key_fn *key, const void *ctx)
{
	if (t->selected >= t->n)
		return;
	t->key = key(ctx, t->selected);
	t->keyed = t->chosen = true;
}

void table_follow(struct table *t, key_fn *key, const void *ctx)
{
	if (t->keyed && !(t->selected < t->n && key(ctx, t->selected) == t->key)) {
		size_t i = 0;

		while (i < t->n && key(ctx, i) != t->key)
			i++;
		t->selected = i < t->n ? i : t->selected;
	}
	table_fit(t, t->height);
	if (!t->n)
		return;
	t->key = key(ctx, t->selected);
	t->keyed = true;
}

void table_home(struct table *t)
{
	t->selected = t->top = 0;
	t->keyed = t->chosen = false;
}

struct order {
	const struct table *t;
	compare_fn *compare, *ties;
	const void *ctx;
};

static int by_order(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	int order = o->compare(o->ctx, o->t->sort, a, b);

	if (order)
		return table_rising(o->t) ? order : -order;
	return o->ties ? o->ties(o->ctx, o->t->sort, a, b) : 0;
}

void table_sort(const struct table *t, void *rows, size_t size, compare_fn *compare,
		compare_fn *ties, const void *ctx)
{
	struct order order = { t, compare, ties, ctx };

	if (t->n && t->sort >= 0)
		qsort_r(rows, t->n, size, by_order, &order);
}

static bool shown(const struct table *t, int i, int screen_width)
{
	return screen_width >= t->columns[i].need && !(t->hidden >> i & 1);
}

int table_fixed_width(const struct table *t, int screen_width)
{
	int w = 2;

	for (int i = 0; i < t->ncolumns; i++)
		if (shown(t, i, screen_width) && t->columns[i].width)
			w += t->columns[i].width + 1;
	return w;
}

/* "COUNT" with a mark when it is the sort column: "v" greatest first, "^" smallest first. */
static void draw_title(const struct table *t, struct screen *s, int y, int i, int x, int w)
{
	const struct column *c = &t->columns[i];
	char title[48];
	bool sorted = t->sort == i;

	snprintf(title, sizeof(title), "%s%s", c->title,
		 !sorted	   ? ""
		 : table_rising(t) ? "^"
				   : "v");
	if (c->right)
		screen_put_right(s, y, x, w, ROLE_HEAD, title);
	else
		screen_put(s, y, x, w, ROLE_HEAD, title);
	if (c->id)
		screen_hot(s, y, x, w, CMD_SORT_BY, i);
}

static void draw_cell(struct screen *s, int y, int x, int w, const struct column *c,
		      const struct cell_text *cell)
{
	if (c->right)
		screen_put_right(s, y, x, w, cell->role, cell->text);
	else
		screen_put(s, y, x, w, cell->role, cell->text);
	for (int i = 0; cell->roles && cell->text[i] && i < w; i++)
		if (x + i < s->w)
			s->cells[y * s->w + x + i].role = cell->roles[i];
}

void table_draw(const struct table *t, struct screen *s, int y, int height, cell_fn *cell,
		const void *ctx)
{
	struct cell_text text;

	for (int x = 0; x < s->w; x++)
		screen_put(s, y, x, 1, ROLE_HEAD, " ");
	for (int line = 0; line < height; line++) {
		size_t row = t->top + (size_t)line - 1;
		int x = 2;

		if (line && row >= t->n)
			break;
		for (int i = 0; i < t->ncolumns && x < s->w; i++) {
			const struct column *c = &t->columns[i];
			int w = c->width ? c->width : s->w - x;

			if (!shown(t, i, s->w))
				continue;
			if (line == 0) {
				draw_title(t, s, y, i, x, w);
			} else {
				text.text[0] = '\0';
				text.role = ROLE_TEXT;
				text.roles = NULL;
				cell(ctx, row, i, &text);
				draw_cell(s, y + line, x, w, c, &text);
			}
			x += w + 1;
		}
		if (line == 0)
			continue;
		if (row == t->selected) {
			screen_put(s, y + line, 0, 1, ROLE_TITLE, ">");
			screen_reverse(s, y + line, 0, s->w);
		}
		screen_hot(s, y + line, 0, s->w, CMD_ROW, (long)row);
	}
}

int table_next_sort(const struct table *t, int screen_width, int step)
{
	int i = t->sort;

	for (int tries = 0; tries < t->ncolumns; tries++) {
		i = (i + step + t->ncolumns) % t->ncolumns;
		if (t->columns[i].id && shown(t, i, screen_width))
			return i;
	}
	return t->sort;
}

int table_column(const struct table *t, const char *id)
{
	for (int i = 0; i < t->ncolumns; i++)
		if (t->columns[i].id && strcmp(t->columns[i].id, id) == 0)
			return i;
	return -1;
}

bool table_rising(const struct table *t)
{
	bool natural = t->sort >= 0 && t->columns[t->sort].rising;

	return natural != t->invert;
}
