/* SPDX-License-Identifier: MIT */
/*
 * report_svg.c - a flame graph (Brendan Gregg's) as one file: the root below, each frame as wide as
 * its share. The picture is complete without its script, which adds zoom, search and details.
 *
 * Colour tells kinds apart, and a little variation neighbours: the program's frames are warm,
 * the runtime's green, words in brackets (states, the kernel) blue.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "flame.h"
#include "report.h"

#define WIDTH	   1200
#define LEFT	   10
#define INNER	   (WIDTH - 2 * LEFT)
#define ROW	   18
#define HEAD	   74
#define FOOT	   34
#define MIN_WIDTH  0.15 /* narrower ones are left out */
#define CHAR_WIDTH 7.25

struct picture {
	FILE *out;
	const struct profile *p;
	uint64_t total;
	unsigned height, depth; /* pixels; rows */
	size_t left_out;
};

/* Names come from a stranger: only what XML allows. */
static void put_xml(FILE *out, const char *text)
{
	while (*text) {
		size_t n = report_utf8_length(text);
		bool control = ((unsigned char)*text < ' ' && *text != '\n') || *text == 0x7f ||
			       report_is_c1(text);
		bool no_character = !n || control || !strncmp(text, "\xef\xbf\xbe", 3) ||
				    !strncmp(text, "\xef\xbf\xbf", 3);

		if (no_character)
			putc('?', out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fwrite(text, 1, n, out);
		text += n ? n : 1;
	}
}

static const char *value_text(const struct profile *p, uint64_t value, char text[64])
{
	const struct profile_type *t = &profile_kinds[p->kind].types[profile_kinds[p->kind].shown];
	char number[TEXT_NUMBER];

	if (!strcmp(t->unit, "nanoseconds"))
		snprintf(text, 64, "%s", text_duration(number, value));
	else if (!strcmp(t->unit, "bytes"))
		snprintf(text, 64, "%s", text_bytes(number, value));
	else
		snprintf(text, 64, "%" PRIu64 " %s", value, t->type);
	return text;
}

static void put_colour(FILE *out, const struct goro_profile_node *node)
{
	unsigned h = 2166136261u, hue, saturation, light;

	for (const char *c = node->name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	h ^= h >> 15;
	if (!strcmp(node->name, "all")) {
		hue = 40;
		saturation = 8;
		light = 80;
	} else if (*node->name == '[') {
		hue = 212 + h % 12;
		saturation = 62;
		light = 74 + h / 16 % 6;
	} else if (node->frame && node->frame->runtime) {
		hue = 150 + h % 20;
		saturation = 38;
		light = 66 + h / 32 % 8;
	} else {
		hue = 14 + h % 34;
		saturation = 86;
		light = 62 + h / 64 % 10;
	}
	fprintf(out, "hsl(%u,%u%%,%u%%)", hue, saturation, light);
}

/* What fits on a frame, by its width alone; the script does the same. */
static void put_label(FILE *out, const char *name, double width)
{
	int room = (int)((width - 8) / CHAR_WIDTH);
	char cut[256];

	if (room < 3)
		return;
	if (strlen(name) <= (size_t)room) {
		put_xml(out, name);
		return;
	}
	snprintf(cut, sizeof cut, "%.*s", room - 1, name);
	put_xml(out, cut);
	fputs("\xe2\x80\xa6", out);
}

static void put_frame(struct picture *pic, const struct goro_profile_node *node, double x,
		      double width, unsigned row)
{
	const unsigned y = pic->height - FOOT - (row + 1) * ROW;
	const double share = 100.0 / (double)pic->total;
	FILE *out = pic->out;
	char total[64], self[64];

	fputs("<g class=\"f\" data-n=\"", out);
	put_xml(out, node->name);
	fputs("\"><title>", out);
	put_xml(out, node->name);
	if (node->frame && node->frame->file) {
		fputs("  ", out);
		put_xml(out, goro_basename(node->frame->file));
		fprintf(out, ":%" PRIu32, node->frame->line);
	}
	fprintf(out, "\n%s, %.2f%%", value_text(pic->p, node->total, total),
		share * (double)node->total);
	if (node->self)
		fprintf(out, "; itself %s, %.2f%%", value_text(pic->p, node->self, self),
			share * (double)node->self);
	fprintf(out,
		"</title><rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" rx=\"2\" fill=\"",
		LEFT + x, y, width, ROW - 1);
	put_colour(out, node);
	fprintf(out, "\"/><text x=\"%.2f\" y=\"%u\">", LEFT + x + 4, y + 13);
	put_label(out, node->name, width);
	fputs("</text></g>\n", out);
}

/* Children lie side by side in the order of their names, from x on. */
static void put_tree(struct picture *pic, const struct goro_profile_node *node, double x,
		     unsigned row)
{
	for (; node; node = node->next) {
		double width = (double)node->total / (double)pic->total * INNER;

		if (width >= MIN_WIDTH) {
			put_frame(pic, node, x, width, row);
			put_tree(pic, node->child, x, row + 1);
		} else {
			pic->left_out++;
		}
		x += width;
	}
}

static unsigned depth(const struct goro_profile_node *node, uint64_t total)
{
	unsigned deepest = 0;

	for (; node; node = node->next) {
		unsigned d;

		if ((double)node->total / (double)total * INNER < MIN_WIDTH)
			continue;
		d = 1 + depth(node->child, total);
		deepest = d > deepest ? d : deepest;
	}
	return deepest;
}

static void put_subtitle(FILE *out, const struct profile *p)
{
	char duration[TEXT_NUMBER], when[32];
	time_t begin = (time_t)(p->wall_begin / 1000000000);
	struct tm tm;

	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&begin, &tm));
	fprintf(out, "%s", when);
	if (p->hz)
		fprintf(out, ", %s at %u Hz, %" PRIu64 " %s",
			text_duration(duration, (uint64_t)(p->end - p->begin)), p->hz, p->taken,
			p->kind == PROFILE_CPU ? "samples" : "looks");
	if (p->how)
		fprintf(out, " by %s", p->how);
	if (p->missed)
		fprintf(out, ", %" PRIu64 " missed", p->missed);
	if (p->truncated)
		fprintf(out, ", %" PRIu64 " stacks truncated", p->truncated);
	if (p->note) {
		fputs("; ", out);
		put_xml(out, p->note);
	}
}

static void put_head(struct picture *pic)
{
	const struct profile *p = pic->p;
	FILE *out = pic->out;
	char total[64];

	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"viewBox=\"0 0 %d %u\" style=\"max-width:100%%;height:auto\">\n<style>\n",
		WIDTH, pic->height, WIDTH, pic->height);
	fwrite(flame_css, 1, sizeof flame_css, out);
	fputs("</style>\n<rect id=\"paper\" width=\"100%\" height=\"100%\"/>\n"
	      "<text id=\"title\" x=\"10\" y=\"26\">",
	      out);
	put_xml(out, p->program);
	fprintf(out, " (pid %d): %s, %s</text>\n<text id=\"subtitle\" x=\"10\" y=\"46\">", p->pid,
		profile_kinds[p->kind].title, value_text(p, pic->total, total));
	put_subtitle(out, p);
	fprintf(out,
		"</text>\n<foreignObject id=\"search\" x=\"%d\" y=\"10\" width=\"240\" "
		"height=\"28\"></foreignObject>\n"
		"<text id=\"matched\" x=\"%d\" y=\"56\" text-anchor=\"end\"></text>\n"
		"<text id=\"reset\" class=\"button\" x=\"10\" y=\"66\" style=\"display:none\">"
		"show all</text>\n",
		WIDTH - LEFT - 240, WIDTH - LEFT);
}

static void put_foot(struct picture *pic)
{
	fprintf(pic->out, "<text id=\"details\" x=\"10\" y=\"%u\">", pic->height - 12);
	if (!pic->total)
		fputs("nothing was seen", pic->out);
	else if (pic->left_out)
		fprintf(pic->out, "%zu frame%s too narrow to be drawn", pic->left_out,
			pic->left_out == 1 ? " is" : "s are");
	fputs("\xc2\xa0</text>\n<script><![CDATA[\n", pic->out);
	fwrite(flame_js, 1, sizeof flame_js, pic->out);
	fputs("]]></script>\n</svg>\n", pic->out);
}

bool report_svg(FILE *out, struct goro_scope *scope, const struct profile *p)
{
	struct goro_profile_node *root = profile_tree(p, NULL);
	struct picture pic = { .out = out, .p = p };

	(void)scope;
	if (!root)
		return false;
	pic.total = root->total;
	pic.depth = pic.total ? depth(root, pic.total) : 0;
	pic.height = HEAD + pic.depth * ROW + FOOT;
	put_head(&pic);
	if (pic.total)
		put_tree(&pic, root, 0, 0);
	put_foot(&pic);
	goro_profile_node_free(root);
	return true;
}
