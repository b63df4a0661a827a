/* SPDX-License-Identifier: MIT */
/* view_help.c - the keys, made from the table of bindings, and the words of the filter language. */
#include "util.h"
#include "view.h"

#include <ctype.h>
#include <string.h>

struct line {
	char key[40];
	char text[120];
	bool title;
};

enum { MAX_LINES = 128 };

static size_t add(struct line *lines, size_t n, bool title, const char *key, const char *text)
{
	if (n == MAX_LINES)
		return n;
	snprintf(lines[n].key, sizeof(lines[n].key), "%s", key);
	snprintf(lines[n].text, sizeof(lines[n].text), "%s", text);
	lines[n].title = title;
	return n + 1;
}

static size_t add_keys(struct line *lines, size_t n, const char *title, unsigned exactly)
{
	char keys[40];

	n = add(lines, n, true, title, "");
	for (size_t i = 0; i < nbindings; i++) {
		if (bindings[i].where != exactly)
			continue;
		keys_list(&bindings[i], keys, sizeof(keys));
		n = add(lines, n, false, keys, bindings[i].help);
	}
	return add(lines, n, false, "", "");
}

/* The keys of one screen alone, if it has any. */
static size_t add_view(struct line *lines, size_t n, enum view_id view)
{
	const char *title = view == VIEW_GOROUTINE ? "ONE GOROUTINE"
			    : view == VIEW_PICKER  ? "CHOOSING A TARGET"
						   : view_ops(view)->tab;
	char upper[40] = "";

	for (size_t i = 0; title && title[i] && i + 1 < sizeof(upper); i++)
		upper[i] = (char)toupper((unsigned char)title[i]);
	for (size_t i = 0; i < nbindings; i++)
		if (bindings[i].where == view_bit(view))
			return add_keys(lines, n, upper, view_bit(view));
	return n;
}

static size_t make(struct line *lines)
{
	size_t n = 0;

	static const struct {
		const char *title;
		unsigned where;
	} parts[] = {
		{ "EVERYWHERE", IN_ALL },
		{ "TABLES", IN_TABLES },
		{ "A TARGET'S SCREENS", IN_DATA },
		{ "SORTED TABLES", IN_SORTED },
		{ "SCREENS OF GOROUTINES", IN_FILTERED },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		n = add_keys(lines, n, parts[i].title, parts[i].where);
	for (int v = 0; v < NVIEWS; v++)
		n = add_view(lines, n, (enum view_id)v);
	n = add(lines, n, true, "MOUSE", "");
	n = add(lines, n, false, "click", "select a row; on a title: sort; on a key: press it");
	n = add(lines, n, false, "click again", "open the selected row");
	n = add(lines, n, false, "wheel", "scroll");
	n = add(lines, n, false, "", "");
	n = add(lines, n, true, "FILTER", "");
	n = add(lines, n, false, "word",
		"is in the place it is at or was spawned at, or its stack");
	n = add(lines, n, false, "field op value", "op: = != ~ !~ (regular expression) > >= < <=");
	n = add(lines, n, false, "field in 1..9", "from, to");
	n = add(lines, n, false, "and or not ( )", "state=lock and for>5s and not spawn~\"^net\"");
	for (int i = 0; i < GORO_NINFO_FIELDS; i++)
		n = add(lines, n, false, goro_fields[i].name, goro_fields[i].help);
	n = add(lines, n, false, "", "");
	n = add(lines, n, true, "STATES", "letter in the bars, name in the filter");
	for (int a = 0; a < GORO_ACT_OTHER; a++) {
		char letter[2] = { goro_activities[a].letter, '\0' };

		n = add(lines, n, false, letter, goro_activities[a].name);
	}
	return n;
}

static void layout(struct model *m, int w, int h)
{
	struct line lines[MAX_LINES];

	(void)w;
	m->help_lines = make(lines);
	m->help_height = (size_t)h;
	if (m->help_top + (size_t)h > m->help_lines)
		m->help_top = m->help_lines > (size_t)h ? m->help_lines - (size_t)h : 0;
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	struct line lines[MAX_LINES];
	size_t n = make(lines);

	for (int i = 0; i < h && m->help_top + (size_t)i < n; i++) {
		const struct line *l = &lines[m->help_top + (size_t)i];

		if (l->title) {
			int used = screen_put(s, y + i, 0, s->w, ROLE_TITLE, l->key);

			screen_put(s, y + i, used + 2, s->w - used - 2, ROLE_DIM, l->text);
			continue;
		}
		screen_put(s, y + i, 2, 18, ROLE_RUN, l->key);
		screen_put(s, y + i, 21, s->w - 21, ROLE_TEXT, l->text);
	}
}

static void status(const struct model *m, char *buf, size_t size)
{
	size_t last = m->help_top + m->help_height;

	snprintf(buf, size, "Up Down scroll  Esc back   lines %zu-%zu of %zu", m->help_top + 1,
		 last < m->help_lines ? last : m->help_lines, m->help_lines);
}

const struct view_ops help_ops = {
	.layout = layout,
	.draw = draw,
	.status = status,
};
