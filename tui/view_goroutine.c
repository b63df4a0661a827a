/* SPDX-License-Identifier: MIT */
/*
 * view_goroutine.c - one goroutine: its stack, the source at the selected frame, what it waits for
 * and who could wake it, its memory, its verdict.
 */
#include "util.h"
#include "view.h"

#include <inttypes.h>
#include <string.h>

size_t goroutine_frames(const struct model *m, const struct goro_frame **ret, size_t max,
			size_t *hidden)
{
	struct goro_info room;
	const struct goro_info *g = model_goroutine(m, m->gid, &room);
	const struct goro_stack_names *s = g ? goro_names_stack(m->frame->names, g) : NULL;
	size_t n = 0, all = 0;

	for (size_t i = 0; s && i < s->n; i++)
		all += !s->frames[i].runtime;
	*hidden = 0;
	for (size_t i = 0; s && i < s->n && n < max; i++) {
		/* A stack of the runtime's frames alone is shown as it is. */
		if (s->frames[i].runtime && !m->runtime_frames && all)
			++*hidden;
		else
			ret[n++] = &s->frames[i];
	}
	return n;
}

static void refresh(struct model *m)
{
	const struct goro_frame *frames[MAX_FRAMES];
	size_t hidden, n = goroutine_frames(m, frames, MAX_FRAMES, &hidden);

	if (m->frame_selected >= n)
		m->frame_selected = n ? n - 1 : 0;
	source_load(&m->source, n ? frames[m->frame_selected]->file : NULL);
}

static void layout(struct model *m, int w, int h)
{
	(void)m;
	(void)w;
	(void)h;
}

static enum role role_of_verdict(uint32_t verdict)
{
	return verdict == GORO_VERDICT_LEAKED	? ROLE_LEAKED
	       : verdict == GORO_VERDICT_LIKELY ? ROLE_LIKELY
	       : verdict			? ROLE_SUSPECT
						: ROLE_DIM;
}

/* What it has set itself: its labels take what is left of the line. */
static void put_own(const struct frame *f, const struct goro_info *g, struct segment *name,
		    char *labels, size_t size)
{
	char text[128];

	goro_field_text(f->names, g, GORO_F_NAME, text, sizeof(text));
	name->rank = 1;
	snprintf(name->text, sizeof(name->text), text[0] ? "name %s" : "%s", text);
	goro_field_text(f->names, g, GORO_F_LABEL, labels, size);
}

static int draw_summary(const struct model *m, const struct goro_info *g, struct screen *s, int y,
			int h)
{
	struct segment seg[8] = { 0 };
	struct text t, t2;
	char spawn[200], labels[256], most[64], heap[64] = "";
	const char *reserved;
	size_t n = 0;
	int used;

	snprintf(seg[n].text, sizeof(seg[n].text), "g%s", fmt_count(&t, g->id));
	seg[n++].role = ROLE_TITLE;
	seg[n].role = (enum role)activity_roles[goro_activity_of(g->letter)];
	snprintf(seg[n].text, sizeof(seg[n].text), "%s%s%s", goro_state_text(g),
		 g->wait_ns ? " " : "", g->wait_ns ? fmt_duration(&t, g->wait_ns) : "");
	n++;
	if (g->verdict) {
		seg[n].role = role_of_verdict(g->verdict);
		snprintf(seg[n].text, sizeof(seg[n].text), "%s (%s)", goro_verdict_name(g->verdict),
			 goro_proof_name(g->proof));
		n++;
	}
	put_own(m->frame, g, &seg[n++], labels, sizeof(labels));
	goro_spawn_text(goro_names_spawn(m->frame->names, g), spawn, sizeof(spawn));
	seg[n].rank = 2;
	snprintf(seg[n].text, sizeof(seg[n].text), g->parent ? "spawned %.100s by g%s" : "%.100s",
		 spawn, fmt_count(&t, g->parent));
	n++;
	used = screen_segments(s, y, 0, s->w, seg, n);
	screen_put(s, y, used + 2, s->w - used - 2, ROLE_TEXT, labels);
	if (h < 14)
		return 1;
	if (m->frame->snap->heap)
		snprintf(heap, sizeof(heap), "   heap %s",
			 fmt_size(&t, goro_field_number(m->frame->names, g, GORO_F_HEAP)));
	reserved = fmt_size(&t, g->stack_hi > g->stack_lo ? g->stack_hi - g->stack_lo : 0);
	if (g->stack_peak > g->stack_resident)
		snprintf(most, sizeof(most), "once %s, of %s", fmt_size(&t2, g->stack_peak),
			 reserved);
	else
		snprintf(most, sizeof(most), "%s reserved", reserved);
	screen_printf(s, y + 1, 0, s->w, ROLE_TEXT,
		      "stack %s used, %s in RAM, %s   holds %u lock%s%s   worker %u",
		      fmt_size(&t, g->stack_used), fmt_size(&t2, g->stack_resident), most,
		      g->held_locks, g->held_locks == 1 ? "" : "s", heap, g->m_id);
	return 2;
}

static void frame_line(const struct goro_frame *f, size_t number, struct screen *s, int y, int x,
		       int w)
{
	char at[256], name[256];
	int place, used;

	if (f->file && f->line)
		snprintf(at, sizeof(at), "%s:%u", goro_basename(f->file), f->line);
	else if (f->module)
		snprintf(at, sizeof(at), "%s+0x%" PRIx64, goro_basename(f->module),
			 f->module_offset);
	else
		snprintf(at, sizeof(at), "0x%" PRIx64, f->pc);
	snprintf(name, sizeof(name), "%2zu %s%s", number, f->inlined ? "[inl] " : "",
		 f->function ? f->function : "?");
	place = screen_width(s, at);
	if (place > w / 2)
		place = w / 2;
	used = screen_put(s, y, x, w - place - 1, f->runtime ? ROLE_DIM : ROLE_TEXT, name);
	if (used < w / 2)
		used = w / 2;
	screen_put(s, y, x + used + 1, w - used - 1, ROLE_DIM, at);
}

static void draw_stack(const struct model *m, const struct goro_info *g, struct screen *s, int y,
		       int h, int w)
{
	const struct goro_frame *frames[MAX_FRAMES];
	size_t hidden, n = goroutine_frames(m, frames, MAX_FRAMES, &hidden), top = 0;
	const struct goro_stack *st = NULL;
	size_t rows = h > 2 ? (size_t)h - 2 : 0;
	const char *guess;
	char title[96];

	if (g->stack_id < m->frame->snap->nstacks)
		st = &m->frame->snap->stacks[g->stack_id];
	guess = st && st->by_frame_pointer ? ", by frame pointer" : "";
	if (hidden)
		snprintf(title, sizeof(title), "STACK %zu frame%s%s, %zu hidden (H)%s", n,
			 n == 1 ? "" : "s", st && !st->complete ? ", truncated" : "", hidden,
			 guess);
	else
		snprintf(title, sizeof(title), "STACK %zu frame%s%s%s", n, n == 1 ? "" : "s",
			 !st		? ""
			 : st->complete ? ", complete"
					: ", truncated",
			 guess);
	screen_box(s, y, 0, h, w, title);
	if (!n)
		screen_put(s, y + 1, 2, w - 4, ROLE_DIM,
			   g->torn	      ? "it ran while it was read"
			   : g->letter == 'r' ? "it is running: its stack changes"
			   : g->letter == 'n' ? "it has not run yet"
					      : "its stack could not be read");
	if (m->frame_selected >= rows)
		top = m->frame_selected - rows + 1;
	for (size_t i = top; i < n && i < top + rows; i++) {
		int line = y + 1 + (int)(i - top);

		frame_line(frames[i], i, s, line, 3, w - 5);
		if (i == m->frame_selected) {
			screen_put(s, line, 1, 1, ROLE_TITLE, ">");
			screen_reverse(s, line, 1, w - 2);
		}
		screen_hot(s, line, 1, w - 2, CMD_ROW, (long)i);
	}
}

static void expand(const char *line, char *buf, size_t size)
{
	size_t n = 0;

	for (; *line && n + 5 < size; line++) {
		if (*line != '\t') {
			buf[n++] = *line;
			continue;
		}
		do
			buf[n++] = ' ';
		while (n % 4);
	}
	buf[n] = '\0';
}

static void source_line(const struct model *m, size_t line, bool here, struct screen *s, int y,
			int x, int w)
{
	char text[1024];

	expand(m->source.lines[line - 1], text, sizeof(text));
	screen_printf(s, y, x, w, here ? ROLE_TITLE : ROLE_TEXT, "%s%5zu %s", here ? ">>" : "  ",
		      line, text);
}

static void draw_source(const struct model *m, struct screen *s, int y, int h, int x, int w)
{
	const struct goro_frame *frames[MAX_FRAMES];
	size_t hidden, n = goroutine_frames(m, frames, MAX_FRAMES, &hidden);
	const struct goro_frame *f = n ? frames[m->frame_selected] : NULL;
	char title[160] = "SOURCE";
	bool box = h > 2;
	size_t rows = box ? (size_t)h - 2 : (size_t)h, first = 1;

	if (f && f->file)
		snprintf(title, sizeof(title), "SOURCE %.100s", goro_basename(f->file));
	if (box) {
		screen_box(s, y, x, h, w, title);
		y++, x += 2, w -= 4;
	}
	if (!f)
		return;
	if (!f->file || !f->line) {
		screen_put(s, y, x, w, ROLE_DIM, "no line is known: build it with -g");
		return;
	}
	if (f->line > m->source.n) {
		screen_printf(s, y, x, w, ROLE_DIM,
			      m->source.n ? "%s has no line %u" : "%s cannot be read (line %u)",
			      f->file, f->line);
		return;
	}
	if (f->line > rows / 2)
		first = f->line - rows / 2;
	for (size_t i = 0; i < rows && first + i <= m->source.n; i++)
		source_line(m, first + i, first + i == f->line, s, y + (int)i, x, w);
}

/* Lines of a box; without a screen they are only counted. */
struct out {
	struct screen *s;
	int y, end, w;
};

static void line_out(struct out *o, enum role role, const char *text)
{
	if (o->y >= o->end)
		return;
	if (o->s)
		screen_put(o->s, o->y, 2, o->w, role, text);
	o->y++;
}

static void chain_line(const struct model *m, uint64_t id, const char *mark, struct out *o)
{
	struct goro_info room;
	const struct goro_info *g = model_goroutine(m, id, &room);
	char on[160], where[160], text[512];
	struct text t, t2;

	if (!g) {
		snprintf(text, sizeof(text), "g%s has ended", fmt_count(&t, id));
		line_out(o, ROLE_LEAKED, text);
		return;
	}
	goro_field_text(m->frame->names, g, GORO_F_ON, on, sizeof(on));
	goro_field_text(m->frame->names, g, GORO_F_WHERE, where, sizeof(where));
	snprintf(text, sizeof(text), "g%-7s %-6s %6s  %s%s%s%s", fmt_count(&t, id),
		 goro_activities[goro_activity_of(g->letter)].name,
		 g->wait_ns ? fmt_duration(&t2, g->wait_ns) : "-", strcmp(on, "-") == 0 ? "" : on,
		 strcmp(on, "-") == 0 ? "" : "  ", strcmp(where, "?") == 0 ? "" : where, mark);
	line_out(o, (enum role)activity_roles[goro_activity_of(g->letter)], text);
}

static void object_lines(const struct model *m, const struct goro_info *g, struct out *o)
{
	const struct goro_object *obj = goro_snapshot_object(m->frame->snap, g->wait_object);
	const struct goro_frame *made = obj ? goro_names_maker(m->frame->names, obj) : NULL;
	char place[200], text[320];
	struct text t;

	if (!obj || !obj->valid)
		return;
	if (made) {
		goro_place_text(made, place, sizeof(place));
		snprintf(text, sizeof(text), "the channel was made at %s", place);
		line_out(o, ROLE_TEXT, text);
	}
	if (obj->nwaiters > 1) {
		snprintf(text, sizeof(text), "%s goroutines wait for it",
			 fmt_count(&t, obj->nwaiters));
		line_out(o, ROLE_TEXT, text);
	}
}

static void evidence_out(const struct model *m, const struct goro_info *g, struct out *o)
{
	const struct goro_verdicts *v = m->frame->verdicts;
	const char *p;
	char text[512];

	if (!g->verdict || !v || g->finding >= v->n)
		return;
	snprintf(text, sizeof(text), "%s (%s)", goro_verdict_name(g->verdict),
		 goro_proof_name(g->proof));
	line_out(o, role_of_verdict(g->verdict), text);
	for (p = v->findings[g->finding].evidence; p && *p;) {
		size_t n = text_line(p, o->w - 2);

		snprintf(text, sizeof(text), "  %.*s", (int)n, p);
		line_out(o, ROLE_TEXT, text);
		p = text_after(p, n);
	}
}

enum { MAX_CHAIN = 16 };

struct chain {
	uint64_t ids[MAX_CHAIN];
	size_t n;
	bool cycle;
};

static struct chain chain_of(const struct model *m, const struct goro_info *g)
{
	struct chain c = { .n = 0 };

	c.n = goro_wait_chain(m->frame->snap, g->id, c.ids, MAX_CHAIN, &c.cycle);
	if (!c.n)
		c.ids[c.n++] = g->id;
	return c;
}

static void wait_lines(const struct model *m, const struct goro_info *g, const struct chain *c,
		       struct out *o)
{
	const char *end = c->cycle ? "  <- back to one above" : c->n > 1 ? "  <- the root" : "";

	for (size_t i = 0; i < c->n; i++)
		chain_line(m, c->ids[i], i + 1 < c->n ? "" : end, o);
	object_lines(m, g, o);
	evidence_out(m, g, o);
}

static void draw_waits(const struct model *m, const struct goro_info *g, struct screen *s, int y,
		       int h)
{
	struct chain c = chain_of(m, g);
	struct out o = { s, y + 1, y + h - 1, s->w - 4 };
	char title[96] = "WAITS FOR";

	if (c.n > 1 || c.cycle)
		snprintf(title, sizeof(title), "WAIT-FOR CHAIN of %zu, %s  (w: go there)", c.n,
			 c.cycle ? "a CYCLE" : "no cycle");
	screen_box(s, y, 0, h, s->w, title);
	wait_lines(m, g, &c, &o);
}

/* Lines for stack and source, of h: three fifths, less when what it waits for needs more. */
static int upper_lines(const struct model *m, const struct goro_info *g, int w, int h)
{
	enum { LEAST = 6 };
	struct chain c = chain_of(m, g);
	struct out o = { NULL, 0, h, w - 4 };
	int upper = h - h * 2 / 5;

	if (h < 10)
		return h;
	wait_lines(m, g, &c, &o);
	if (h - upper < o.y + 2 && upper > LEAST)
		upper = h - (o.y + 2) > LEAST ? h - (o.y + 2) : LEAST;
	return upper;
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	struct goro_info room;
	const struct goro_info *g = model_goroutine(m, m->gid, &room);
	struct text t;
	int used, boxes;

	if (!m->frame)
		return;
	if (!g) {
		screen_printf(s, y, 0, s->w, ROLE_ALARM, "g%s has ended. Esc goes back.",
			      fmt_count(&t, m->gid));
		return;
	}
	used = draw_summary(m, g, s, y, h);
	y += used, h -= used;
	if (s->w < 80 && h < 14) {
		draw_stack(m, g, s, y, h - 1, s->w);
		draw_source(m, s, y + h - 1, 1, 0, s->w);
		return;
	}
	boxes = upper_lines(m, g, s->w, h);
	if (s->w < 80) {
		int half = boxes / 2;

		draw_stack(m, g, s, y, half, s->w);
		draw_source(m, s, y + half, boxes - half, 0, s->w);
	} else {
		int half = s->w * 9 / 20;

		draw_stack(m, g, s, y, boxes, half);
		draw_source(m, s, y, boxes, half, s->w - half);
	}
	if (h > boxes)
		draw_waits(m, g, s, y + boxes, h - boxes);
}

static void status(const struct model *m, char *buf, size_t size)
{
	struct goro_info room;
	const struct goro_info *g = model_goroutine(m, m->gid, &room);

	if (g)
		snprintf(buf, size,
			 "Up Down frame  w waits for  H runtime frames  < > goroutine  Esc back");
	else
		snprintf(buf, size, "Esc back");
}

static void title(const struct model *m, char *buf, size_t size)
{
	struct text t;

	snprintf(buf, size, "g%s  < > before, next", fmt_count(&t, m->gid));
}

const struct view_ops goroutine_ops = {
	.title = title,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
};
