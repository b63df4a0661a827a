/* SPDX-License-Identifier: MIT */
/*
 * report_speedscope.c - the file format of speedscope.app, "sampled" kind.
 *
 * One profile for each type of number, with its unit, so that a duration reads as one. Written
 * piece by piece: the samples of a long profile would be a big tree.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "report.h"

/* A frame that has its number; in a tree of search.h. */
struct numbered {
	char *name;
	const char *file;
	uint32_t line, number;
};

struct writer {
	FILE *out;
	const struct profile *p;
	void *tree;
	uint32_t nframes;
	uint32_t *stack; /* of the sample at hand, leaf first */
	size_t n, cap;
	bool no_memory;
};

static int by_place(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = strcmp(x->file, y->file);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static void put_frame(struct writer *w, const struct numbered *f)
{
	json_t *frame = json_pack("{s:o}", "name", report_json_string(f->name));

	if (frame && *f->file)
		json_object_set_new(frame, "file", report_json_string(f->file));
	if (frame && f->line)
		json_object_set_new(frame, "line", json_integer(f->line));
	w->no_memory |= !frame;
	report_json_element(w->out, frame, f->number == 0);
}

/* The number of a frame; a new one is written. */
static uint32_t number(struct writer *w, const struct goro_frame *frame, const char *word)
{
	char name[256];
	struct numbered key = { name, frame && frame->file ? frame->file : "",
				frame ? frame->line : 0, w->nframes };
	struct numbered **found, *made;

	profile_line_name(name, sizeof name, frame, word);
	found = tfind(&key, &w->tree, by_place);
	if (found)
		return (*found)->number;
	made = malloc(sizeof *made);
	if (made) {
		*made = key;
		made->name = strdup(name);
	}
	if (!made || !made->name || !tsearch(made, &w->tree, by_place)) {
		free(made);
		w->no_memory = true;
		return 0;
	}
	put_frame(w, made);
	return w->nframes++;
}

static void collect(const struct goro_frame *frame, const char *word, void *arg)
{
	struct writer *w = arg;

	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 64;
		uint32_t *stack = realloc(w->stack, cap * sizeof *stack);

		if (!stack) {
			w->no_memory = true;
			return;
		}
		w->stack = stack;
		w->cap = cap;
	}
	w->stack[w->n++] = number(w, frame, word);
}

/* Speedscope's stacks begin with the root. */
static void put_samples(struct writer *w)
{
	for (size_t i = 0; i < w->p->nsamples; i++) {
		w->n = 0;
		profile_lines(w->p, &w->p->samples[i], collect, w);
		fputs(i ? ",\n[" : "\n[", w->out);
		for (size_t j = w->n; j-- > 0;)
			fprintf(w->out, "%" PRIu32 "%s", w->stack[j], j ? "," : "");
		fputc(']', w->out);
	}
}

static void put_profile(struct writer *w, unsigned type)
{
	const struct profile_kind_info *kind = &profile_kinds[w->p->kind];
	const char *unit = kind->types[type].unit;

	fputs("{\"type\":\"sampled\",\"name\":", w->out);
	json_t *name = json_sprintf("%s %s of %s (%d)", kind->name, kind->types[type].type,
				    w->p->program, w->p->pid);

	if (!name) /* the program's name is no UTF-8 */
		name = json_string(kind->name);
	json_dumpf(name, w->out, JSON_ENCODE_ANY);
	json_decref(name);
	fprintf(w->out, ",\"unit\":\"%s\",\"startValue\":0,\"endValue\":%" PRIu64 ",\"samples\":[",
		!strcmp(unit, "count") ? "none" : unit, profile_total(w->p, type));
	put_samples(w);
	fputs("],\"weights\":[", w->out);
	for (size_t i = 0; i < w->p->nsamples; i++)
		fprintf(w->out, "%s%" PRIu64, i ? "," : "", w->p->samples[i].values[type]);
	fputs("]}", w->out);
}

static void forget(void *node)
{
	struct numbered *f = node;

	free(f->name);
	free(f);
}

bool report_speedscope(FILE *out, struct goro_scope *scope, const struct profile *p)
{
	const struct profile_kind_info *kind = &profile_kinds[p->kind];
	struct writer w = { .out = out, .p = p };

	(void)scope;
	fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
	      "\"exporter\":\"goro\",\n\"shared\":{\"frames\":[",
	      out);
	for (size_t i = 0; i < p->nsamples; i++) {
		w.n = 0;
		profile_lines(p, &p->samples[i], collect, &w);
	}
	fprintf(out, "]},\n\"activeProfileIndex\":%u,\n\"profiles\":[", kind->shown);
	for (unsigned i = 0; i < kind->ntypes; i++) {
		if (i)
			fputs(",\n", out);
		put_profile(&w, i);
	}
	fputs("]}\n", out);
	tdestroy(w.tree, forget);
	free(w.stack);
	return !w.no_memory;
}
