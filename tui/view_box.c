/* SPDX-License-Identifier: MIT */
/* view_box.c - what the screens share that show one of their rows closer. */
#include "view_box.h"
#include "util.h"

#include <string.h>

int box_split(size_t rows, int box, int h)
{
	int want = rows < 1000 ? (int)rows + 2 : 1000;

	if (h < 10)
		return h;
	if (want + box <= h)
		return h - box;
	if (want < h / 2)
		return want;
	return box < h / 2 ? h - box : h - h / 2;
}

struct box box_begin(struct screen *s, int y, int h, const char *title)
{
	screen_box(s, y, 0, h, s->w, title);
	return (struct box){ s, y + 1, y + h - 1, s->w - 4 };
}

void box_line(struct box *b, enum role role, const char *label, const char *text)
{
	if (b->y >= b->end)
		return;
	int used = screen_put(b->s, b->y, 2, b->w, ROLE_DIM, label);
	screen_put(b->s, b->y++, 2 + used, b->w - used, role, text);
}

void box_text(struct box *b, enum role role, const char *label, const char *text)
{
	char before[32], line[512];

	snprintf(before, sizeof(before), "%-8s ", label);
	do {
		size_t n = text_line(text, b->w - BOX_LABEL);

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		box_line(b, role, before, line);
		snprintf(before, sizeof(before), "%*s", BOX_LABEL, "");
		text = text_after(text, n);
	} while (*text);
}

int box_text_lines(const char *text, int screen_width)
{
	int n = 0;

	for (; text && *text; n++)
		text = text_after(text, text_line(text, screen_width - 4 - BOX_LABEL));
	return n;
}

void stack_line(const struct model *m, const struct goro_info *g, char *buf, size_t size)
{
	const struct goro_stack_names *s = goro_names_stack(m->frame->names, g);
	char place[256];
	size_t used = 0;

	buf[0] = '\0';
	if (!s || !s->n) {
		snprintf(buf, size, "no stack");
		return;
	}
	for (size_t i = s->user < s->n ? s->user : 0; i < s->n && used + 1 < size; i++) {
		if (s->frames[i].runtime && i > s->user)
			continue;
		goro_place_text(&s->frames[i], place, sizeof(place));
		int n = snprintf(buf + used, size - used, "%s%s", used ? " < " : "", place);
		used += n > 0 ? (size_t)n : 0;
		/* What the C library does to call main is of no interest. */
		if (s->frames[i].function && strcmp(s->frames[i].function, "main") == 0)
			break;
	}
}

enum role verdict_role(uint32_t verdict)
{
	static const enum role roles[] = { ROLE_DIM, ROLE_SUSPECT, ROLE_LIKELY, ROLE_LEAKED };

	return verdict < ARRAY_LEN(roles) ? roles[verdict] : ROLE_TEXT;
}

void sort_and_filter(const struct model *m, char *buf, size_t size)
{
	const struct table *t = &m->tables[m->view];

	snprintf(buf, size, "  sort: %s %s%s%.160s", t->columns[t->sort].id,
		 table_rising(t) ? "^" : "v", m->filter ? "  filter: " : "",
		 m->filter ? goro_filter_source(m->filter) : "");
}
