/* SPDX-License-Identifier: MIT */
/* view_picker.c - which process? And if it cannot be looked into: why, and what to do. */
#include "util.h"
#include "view.h"

#include <pwd.h>
#include <string.h>

enum { C_PID, C_USER, C_RUNTIME, C_G, C_WORKERS, C_RSS, C_ATTACH, C_COMMAND, NCOLUMNS };

static const struct column columns[NCOLUMNS] = {
	[C_PID] = { NULL, "PID", 8, 0, true, true },
	[C_USER] = { NULL, "USER", 8, 80, false, true },
	[C_RUNTIME] = { NULL, "RUNTIME", 12, 0, false, true },
	[C_G] = { NULL, "G", 9, 0, true, false },
	[C_WORKERS] = { NULL, "WORKERS", 7, 90, true, false },
	[C_RSS] = { NULL, "RSS", 6, 70, true, false },
	[C_ATTACH] = { NULL, "ATTACH", 6, 0, false, false },
	[C_COMMAND] = { NULL, "COMMAND", 0, 0, false, true },
};

uint64_t picker_key(const void *ctx, size_t row)
{
	const struct model *m = ctx;

	return (uint64_t)m->listing->c[row].pid;
}

static void user_text(unsigned uid, char *buf, size_t size)
{
	char room[1024];
	struct passwd pw, *found = NULL;

	if (getpwuid_r((uid_t)uid, &pw, room, sizeof(room), &found) == 0 && found)
		snprintf(buf, size, "%s", found->pw_name);
	else
		snprintf(buf, size, "%u", uid);
}

/* The command line without the program's directories: what follows them tells programs apart. */
static void command_text(const struct goro_candidate *c, char *buf, size_t size)
{
	const char *line = c->command ? c->command : c->name ? c->name : "?";
	const char *name = line;

	for (const char *p = line; *p && *p != ' '; p++)
		if (*p == '/' && p[1] && p[1] != ' ')
			name = p + 1;
	snprintf(buf, size, "%s", name);
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct goro_candidate *c = &m->listing->c[row];
	struct text t;

	if (!c->attachable)
		out->role = ROLE_DIM;
	switch (column) {
	case C_PID:
		snprintf(out->text, sizeof(out->text), "%d", c->pid);
		break;
	case C_USER:
		user_text(c->uid, out->text, sizeof(out->text));
		break;
	case C_RUNTIME:
		snprintf(out->text, sizeof(out->text), "%s", c->runtime ? c->runtime : "-");
		break;
	case C_G:
		strcpy(out->text,
		       c->goroutines >= 0 ? fmt_count(&t, (uint64_t)c->goroutines) : "?");
		break;
	case C_WORKERS:
		snprintf(out->text, sizeof(out->text), "%d", c->workers);
		break;
	case C_RSS:
		strcpy(out->text, fmt_size(&t, c->rss));
		break;
	case C_ATTACH:
		strcpy(out->text, c->attachable ? "yes" : "no");
		out->role = c->attachable ? ROLE_RUN : ROLE_ALARM;
		break;
	case C_COMMAND:
		command_text(c, out->text, sizeof(out->text));
		break;
	}
}

static int hint_lines(const struct model *m)
{
	int n = 0;

	for (const char *p = m->explain->hint; p && *p; p++)
		n += *p == '\n' || !p[1];
	return n;
}

/* The box gets what it needs as long as one process stays in view. */
static int explain_lines(const struct model *m, int h)
{
	int n;

	if (!m->explain)
		return 0;
	n = 3 + hint_lines(m);
	return n < h - 4 ? n : h - 4;
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(view_table(m, VIEW_PICKER), h - 2 - 1 - explain_lines(m, h));
}

static void draw_explain(const struct model *m, struct screen *s, int y, int h)
{
	char title[64], line[512];
	int end = y + h - 1, left = hint_lines(m);

	if (m->explain_pid)
		snprintf(title, sizeof(title), "why %d cannot be attached", m->explain_pid);
	else
		snprintf(title, sizeof(title), "why it cannot be attached");
	screen_box(s, y, 0, h, s->w, title);
	screen_put(s, ++y, 2, s->w - 4, ROLE_ALARM,
		   m->explain->message ? m->explain->message : "no reason is known");
	for (const char *p = m->explain->hint; p && *p; left--) {
		size_t n = strcspn(p, "\n");

		if (y + 2 == end && left > 1) {
			screen_printf(s, ++y, 2, s->w - 4, ROLE_DIM,
				      "%d more lines in a higher window", left);
			break;
		}
		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		screen_put(s, ++y, 2, s->w - 4, ROLE_TEXT, line);
		p += n + (p[n] == '\n');
	}
}

static void draw_nothing(struct screen *s, int y)
{
	screen_put(s, y, 2, s->w - 2, ROLE_TEXT, "No process with a goro runtime is running.");
	screen_put(s, y + 1, 2, s->w - 2, ROLE_TEXT,
		   "r looks again.  To run one: gotop -- COMMAND");
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	int box = explain_lines(m, h);

	screen_put(s, y, 0, s->w, ROLE_TITLE, "gotop - choose a target");
	if (m->listing)
		table_draw(&m->tables[VIEW_PICKER], s, y + 2, h - 2 - box, cell, m);
	if (!m->listing)
		screen_put(s, y + 2, 2, s->w - 2, ROLE_DIM, "looking for processes");
	else if (!m->listing->n)
		draw_nothing(s, y + 4);
	if (m->explain && box >= 3)
		draw_explain(m, s, y + h - box, box);
}

static void status(const struct model *m, char *buf, size_t size)
{
	(void)m;
	snprintf(buf, size, "Enter attach  e explain  a %s  r look again",
		 m->listing_all ? "only attachable ones" : "show all");
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	const struct goro_candidate *c = &m->listing->c[row];

	snprintf(buf, size, "%d %s %s", c->pid, c->name ? c->name : "",
		 c->command ? c->command : "");
}

const struct view_ops picker_ops = {
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = -1,
	.cell = cell,
	.key = picker_key,
	.row_text = row_text,
	.layout = layout,
	.draw = draw,
	.status = status,
};
