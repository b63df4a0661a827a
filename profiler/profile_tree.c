/* SPDX-License-Identifier: MIT */
/*
 * profile_tree.c - what was sampled as a tree of names, for formats and for a screen.
 */
#include "profile_tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "sampler.h"

void profile_line_name(char *text, size_t size, const struct goro_frame *f, const char *word)
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

bool profile_spawn_name(char *text, size_t size, struct goro_scope *scope, uint64_t spawn_pc)
{
	const struct goro_info g = { .spawn_pc = spawn_pc };
	struct goro_frame site;
	size_t len;

	if (!spawn_pc || !goro_scope_spawn_site(scope, &g, &site))
		return false;
	profile_line_name(text, size, &site, NULL);
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
	profile_line_name(l->v[l->n].name, sizeof l->v[l->n].name, frame, word);
	l->v[l->n++].frame = frame;
}

/* The child with that name, made if there is none. */
static struct goro_profile_node *child_of(struct goro_profile_node *node, const struct line *line)
{
	struct goro_profile_node **at = &node->child, *made;

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

static bool add_sample(struct goro_profile_node *root, const struct line *spawn,
		       const struct lines *lines, uint64_t value)
{
	struct goro_profile_node *node = root;

	node->total += value;
	if (spawn) {
		node = child_of(node, spawn);
		if (!node)
			return false;
		node->total += value;
	}
	for (size_t i = lines->n; i-- > 0;) {
		node = child_of(node, &lines->v[i]);
		if (!node)
			return false;
		node->total += value;
	}
	node->self += value;
	return true;
}

static const struct line *spawn_line(struct goro_scope *scope, const struct profile_sample *s,
				     struct line *line)
{
	if (!profile_spawn_name(line->name, sizeof line->name, scope, s->key.spawn_pc))
		snprintf(line->name, sizeof line->name, "(by no go statement)");
	line->frame = NULL;
	return line;
}

struct goro_profile_node *profile_tree(const struct profile *p, struct goro_scope *spawns)
{
	struct goro_profile_node *root = calloc(1, sizeof *root);
	struct lines lines = { 0 };
	struct line spawn;
	bool ok = root && (root->name = strdup("all"));

	for (size_t i = 0; ok && i < p->nsamples; i++) {
		uint64_t value = p->samples[i].values[profile_kinds[p->kind].shown];

		lines.n = 0;
		profile_lines(p, &p->samples[i], collect, &lines);
		if (value)
			ok = !lines.no_memory &&
			     add_sample(root,
					spawns ? spawn_line(spawns, &p->samples[i], &spawn) : NULL,
					&lines, value);
	}
	free(lines.v);
	if (!ok) {
		goro_profile_node_free(root);
		return NULL;
	}
	return root;
}

/* ---- for a screen ---------------------------------------------------------------------------- */

/* The lines outlive the scope, whose strings the frames are. */
static bool copy_lines(struct goro_profile_node *node)
{
	for (; node; node = node->next) {
		const struct goro_frame *f = node->frame;

		if (f && f->file && f->line) {
			const char *file = goro_basename(f->file);
			size_t size = strlen(file) + 12;

			node->where = malloc(size);
			if (!node->where)
				return false;
			snprintf(node->where, size, "%s:%" PRIu32, file, f->line);
		}
		node->frame = NULL;
		if (!copy_lines(node->child))
			return false;
	}
	return true;
}

static const enum profile_kind kinds[] = {
	[GORO_PROFILE_WALL] = PROFILE_WALL,
	[GORO_PROFILE_OFFCPU] = PROFILE_OFFCPU,
	[GORO_PROFILE_CPU] = PROFILE_CPU,
};

const char *goro_profile_mode_name(enum goro_profile_mode mode)
{
	return profile_kinds[kinds[mode]].name;
}

struct goro_error *goro_scope_profile_part(struct goro_scope *scope,
					   const struct goro_profile_options *o,
					   struct goro_profile_part **ret)
{
	const struct sampler_options so = { .kind = kinds[o->mode],
					    .hz = o->hz,
					    .duration_ns = o->duration_ns,
					    .stopped = o->stop,
					    .stopped_arg = o->arg };
	struct goro_profile_part *part;
	struct profile *p;
	struct goro_error *err = goro_scope_profile(scope, &so, &p);

	if (err)
		return err;
	part = calloc(1, sizeof *part);
	if (part && profile_resolve(p, scope))
		part->root = profile_tree(p, scope);
	if (!part || !part->root || !copy_lines(part->root)) {
		goro_profile_part_free(part);
		profile_free(p);
		return &goro_enomem;
	}
	part->ns = (uint64_t)(o->mode == GORO_PROFILE_CPU ? p->end - p->begin : p->covered);
	part->taken = p->taken;
	part->missed = p->missed;
	part->ended = p->ended;
	snprintf(part->how, sizeof part->how, "%s", p->how ? p->how : "");
	snprintf(part->note, sizeof part->note, "%s", p->note ? p->note : "");
	profile_free(p);
	*ret = part;
	return NULL;
}
