/* SPDX-License-Identifier: MIT */
/*
 * report_profile.c - what the formats of profiles share: names, and stacks as a tree.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct profile_format profile_formats[] = {
	{ "pprof", report_pprof, true },	{ "folded", report_folded, false },
	{ "svg", report_svg, false },		{ "speedscope", report_speedscope, false },
	{ "perfetto", report_perfetto, false }, { 0 },
};

void report_profile_name(char *text, size_t size, const struct goro_frame *f, const char *word)
{
	if (word)
		snprintf(text, size, "%s", word);
	else if (f->function)
		snprintf(text, size, "%s", f->function);
	else if (f->module && *f->module == '[')
		snprintf(text, size, "%s", f->module);
	else if (f->module)
		snprintf(text, size, "%s+0x%" PRIx64, goro_basename(f->module), f->module_offset);
	else
		snprintf(text, size, "0x%" PRIx64, f->pc);
}

bool report_profile_spawn(char *text, size_t size, struct goro_scope *scope, uint64_t spawn_pc)
{
	const struct goro_info g = { .spawn_pc = spawn_pc };
	struct goro_frame site;
	size_t len;

	if (!spawn_pc || !goro_scope_spawn_site(scope, &g, &site))
		return false;
	report_profile_name(text, size, &site, NULL);
	len = strlen(text);
	if (site.file && len < size)
		snprintf(text + len, size - len, " at %s:%" PRIu32, goro_basename(site.file),
			 site.line);
	return true;
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct line {
	char name[256];
	const struct goro_frame *frame;
};

/* The lines of one sample; leaf first. */
struct lines {
	struct line *v;
	size_t n, cap;
	bool no_memory;
};

static void collect(const struct goro_frame *frame, const char *word, void *arg)
{
	struct lines *l = arg;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct line *v = realloc(l->v, cap * sizeof *v);

		if (!v) {
			l->no_memory = true;
			return;
		}
		l->v = v;
		l->cap = cap;
	}
	report_profile_name(l->v[l->n].name, sizeof l->v[l->n].name, frame, word);
	l->v[l->n++].frame = frame;
}

/* The child with that name, made if there is none. */
static struct profile_node *child_of(struct profile_node *node, const struct line *line)
{
	struct profile_node **at = &node->child, *made;

	while (*at && strcmp((*at)->name, line->name) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, line->name) == 0)
		return *at;
	made = calloc(1, sizeof *made);
	if (!made || !(made->name = strdup(line->name))) {
		free(made);
		return NULL;
	}
	made->frame = line->frame;
	made->next = *at;
	*at = made;
	return made;
}

static bool add_sample(struct profile_node *root, const struct lines *lines, uint64_t value)
{
	struct profile_node *node = root;

	node->total += value;
	for (size_t i = lines->n; i-- > 0;) {
		node = child_of(node, &lines->v[i]);
		if (!node)
			return false;
		node->total += value;
	}
	node->self += value;
	return true;
}

struct profile_node *report_profile_tree(const struct profile *p)
{
	struct profile_node *root = calloc(1, sizeof *root);
	struct lines lines = { 0 };
	bool ok = root && (root->name = strdup("all"));

	for (size_t i = 0; ok && i < p->nsamples; i++) {
		uint64_t value = p->samples[i].values[profile_kinds[p->kind].shown];

		lines.n = 0;
		profile_lines(p, &p->samples[i], collect, &lines);
		if (value)
			ok = !lines.no_memory && add_sample(root, &lines, value);
	}
	free(lines.v);
	if (!ok) {
		report_profile_tree_free(root);
		return NULL;
	}
	return root;
}

/* As deep as the deepest stack, which unwinding bounds. */
void report_profile_tree_free(struct profile_node *root)
{
	while (root) {
		struct profile_node *next = root->next;

		report_profile_tree_free(root->child);
		free(root->name);
		free(root);
		root = next;
	}
}
