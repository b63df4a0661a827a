/* SPDX-License-Identifier: MIT */
/* view.c - what all screens share: tabs above, status and keys below. */
#include "view.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>

#define VIEW_OPS(id, name, traits) [VIEW_##id] = &name##_ops,
static const struct view_ops *const views[NVIEWS] = { GOTOP_SCREENS(VIEW_OPS) };
#undef VIEW_OPS

#define VIEW_TRAITS(id, name, traits) [VIEW_##id] = (traits),
static const unsigned view_trait[NVIEWS] = { GOTOP_SCREENS(VIEW_TRAITS) };
#undef VIEW_TRAITS

const struct view_ops *view_ops(enum view_id view)
{
	return views[view];
}

unsigned view_traits(enum view_id view)
{
	return view_trait[view];
}

enum view_id view_by_digit(int digit)
{
	int n = '0';

	for (int v = 0; v < NVIEWS; v++)
		if (views[v]->tab && ++n == digit)
			return (enum view_id)v;
	return NVIEWS;
}

enum view_id view_by_name(const char *name)
{
	for (int v = 0; v < NVIEWS; v++)
		if (views[v]->tab && strcasecmp(views[v]->tab, name) == 0)
			return (enum view_id)v;
	return NVIEWS;
}

enum view_id view_beside(enum view_id view, int step)
{
	int v = (int)view;

	/* From a screen without a tab of its own, like one goroutine's: to the first. */
	if (!views[view]->tab)
		return view_by_digit('1');
	do
		v = (v + step + NVIEWS) % NVIEWS;
	while (!views[v]->tab);
	return (enum view_id)v;
}

void views_begin(struct model *m)
{
	for (int v = 0; v < NVIEWS; v++) {
		if (views[v]->state)
			m->state[v] = xcalloc(1, views[v]->state);
		if (views[v]->columns)
			m->tables[v] = (struct table){ .columns = views[v]->columns,
						       .ncolumns = views[v]->ncolumns,
						       .sort = views[v]->sort };
		if (views[v]->begin)
			views[v]->begin(m);
	}
}

void views_end(struct model *m)
{
	for (int v = 0; v < NVIEWS; v++) {
		if (views[v]->end)
			views[v]->end(m);
		free(m->state[v]);
		m->state[v] = NULL;
	}
}

void views_frame(struct model *m, const struct frame *before)
{
	for (int v = 0; v < NVIEWS; v++)
		if (views[v]->new_frame)
			views[v]->new_frame(m, before);
}

void views_drop(struct model *m)
{
	for (int v = 0; v < NVIEWS; v++)
		if (views[v]->drop)
			views[v]->drop(m);
}

void view_new_frame(struct model *m)
{
	if (views[m->view]->refresh)
		views[m->view]->refresh(m);
}

/* "[3 Waits]" is on, " 4 Leaks " is not; where there is no room, " 4 ". */
static int draw_tab(struct screen *s, int y, int x, enum view_id view, int digit, bool on,
		    bool brief)
{
	char text[48];
	int w;

	if (on)
		snprintf(text, sizeof(text), "[%c %s]", digit, views[view]->tab);
	else if (brief)
		snprintf(text, sizeof(text), " %c ", digit);
	else
		snprintf(text, sizeof(text), " %c %s ", digit, views[view]->tab);
	w = screen_put(s, y, x, s->w - x, on ? ROLE_TITLE : ROLE_DIM, text);
	screen_hot(s, y, x, w, CMD_SCREEN, digit);
	return w;
}

static void draw_tabs(const struct model *m, struct screen *s, int y)
{
	char title[320] = "";
	int x = 0, all = 0, digit = '0';

	if (views[m->view]->title)
		views[m->view]->title(m, title, sizeof(title));
	for (int v = 0; v < NVIEWS; v++)
		all += views[v]->tab ? (int)strlen(views[v]->tab) + 4 : 0;
	if (title[0])
		all += 2 + (screen_width(s, title) < 24 ? screen_width(s, title) : 24);
	for (int v = 0; v < NVIEWS; v++)
		if (views[v]->tab)
			x += draw_tab(s, y, x, (enum view_id)v, ++digit, m->view == (enum view_id)v,
				      all > s->w);
	screen_put_right(s, y, x + 2, s->w - x - 2, ROLE_DIM, title);
}

static void clear_line(struct screen *s, int y)
{
	for (int x = 0; x < s->w; x++)
		screen_put(s, y, x, 1, ROLE_TEXT, " ");
}

/* An error in what is typed: above it, on two lines where one is too short. */
static void draw_error(struct screen *s, int y, const char *error)
{
	char first[256];
	size_t cut = strlen(error), width = (size_t)s->w;

	if (cut > width) {
		for (cut = width; cut > 0 && error[cut] != ' '; cut--)
			;
		snprintf(first, sizeof(first), "%.*s", (int)cut, error);
		clear_line(s, y - 1);
		screen_put(s, y - 1, 0, s->w, ROLE_ALARM, first);
		error += cut + (error[cut] == ' ');
	}
	clear_line(s, y);
	screen_put(s, y, 0, s->w, ROLE_ALARM, error);
}

static void draw_input(const struct model *m, struct screen *s, int y)
{
	static const char *const prompts[] = { [INPUT_FILTER] = "filter: ",
					       [INPUT_SEARCH] = "search: ",
					       [INPUT_GOTO] = "goroutine: " };
	const struct input *in = &m->input;
	char before[sizeof(in->text)];
	int x = screen_put(s, y, 0, s->w, ROLE_TITLE, prompts[in->kind]);
	int room = s->w - x - 1, skip = 0;

	memcpy(before, in->text, in->at);
	before[in->at] = '\0';
	/* Keep the cursor in view: drop characters on the left. */
	while (before[skip] && screen_width(s, before + skip) > room)
		do
			skip++;
		while (((unsigned char)before[skip] & 0xc0) == 0x80);
	screen_put(s, y, x, s->w - x, ROLE_TEXT, in->text + skip);
	s->cursor_y = y;
	s->cursor_x = x + screen_width(s, before + skip);
	if (in->error[0])
		draw_error(s, y - 1, in->error);
}

/* What is about a target needs a look at it. */
static bool has_something(const struct model *m)
{
	return m->frame || !(view_trait[m->view] & HAS_DATA);
}

static void draw_status(const struct model *m, struct screen *s, int y)
{
	char text[512] = "";

	if (m->input.kind != INPUT_NONE) {
		draw_input(m, s, y);
		return;
	}
	if (m->message[0]) {
		screen_put(s, y, 0, s->w, m->message_bad ? ROLE_ALARM : ROLE_TITLE, m->message);
		return;
	}
	if (m->read_error) {
		screen_printf(s, y, 0, s->w, ROLE_ALARM, "last read failed: %s", m->read_error);
		return;
	}
	if (has_something(m))
		views[m->view]->status(m, text, sizeof(text));
	screen_put(s, y, 0, s->w, ROLE_DIM, text);
}

static int bar_width(const struct binding *b)
{
	char name[16];

	return (int)(strlen(keys_name(b->keys[0], name)) + strlen(b->bar));
}

/* What is last in the table, to quit, has its place also where there is not room for all. */
static void draw_bar(const struct model *m, struct screen *s, int y)
{
	unsigned where = view_bit(m->view);
	char name[16];
	int x = 0, last = 0;

	for (size_t i = 0; i < nbindings; i++)
		if (bindings[i].bar && bindings[i].where & where)
			last = bar_width(&bindings[i]);
	for (size_t i = 0; i < nbindings; i++) {
		const struct binding *b = &bindings[i];
		int start = x;

		if (!b->bar || !(b->where & where))
			continue;
		if (b->command != CMD_QUIT && x + bar_width(b) + 1 + last > s->w)
			continue;
		x += screen_put(s, y, x, s->w - x, ROLE_KEY, keys_name(b->keys[0], name));
		x += screen_put(s, y, x, s->w - x, ROLE_BAR, b->bar);
		screen_hot(s, y, start, x - start, (int)b->command, 0);
		x += 1;
	}
}

static void too_small(struct screen *s)
{
	screen_printf(s, s->h / 2, 0, s->w, ROLE_ALARM, "%dx%d is too small: gotop needs %dx%d",
		      s->w, s->h, MIN_WIDTH, MIN_HEIGHT);
}

void view_draw(struct model *m, struct screen *s)
{
	const struct view_ops *v = views[m->view];
	bool has_header = view_trait[m->view] & HAS_DATA;
	int top = has_header ? header_height(m, s->h) + 1 : 0;
	int body = s->h - top - 2;

	screen_clear(s);
	if (s->w < MIN_WIDTH || s->h < MIN_HEIGHT) {
		too_small(s);
		return;
	}
	v->layout(m, s->w, body);
	if (has_header) {
		header_draw(m, s, top > 3);
		draw_tabs(m, s, top - 1);
	}
	if (has_something(m))
		v->draw(m, s, top, body);
	draw_bar(m, s, s->h - 1);
	draw_status(m, s, s->h - 2);
}
