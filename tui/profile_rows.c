/* SPDX-License-Identifier: MIT */
/* profile_rows.c - from a profile's tree to rows. */
#define _GNU_SOURCE
#include "profile_rows.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>

void profile_rows_clear(struct profile_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].prefix);
	r->n = 0;
}

void profile_rows_free(struct profile_rows *r)
{
	profile_rows_clear(r);
	free(r->v);
	free(r->folded);
}

static uint64_t hash(uint64_t h, const char *name)
{
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return h * 31 + 1;
}

static struct profile_row *add_row(struct profile_rows *r, const struct goro_profile_node *node,
				   uint64_t key)
{
	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 256;
		r->v = xrealloc(r->v, r->room, sizeof(*r->v));
	}
	r->v[r->n] = (struct profile_row){ .node = node, .key = key };
	return &r->v[r->n++];
}

struct path {
	const char *name;
	const struct path *up;
};

/* "[chan receive]": what a function does there, on top of its stack. */
static bool is_state(enum goro_profile_mode mode, const struct goro_profile_node *node)
{
	return mode != GORO_PROFILE_CPU && node->name[0] == '[' && !node->child;
}

static uint64_t self_of(enum goro_profile_mode mode, const struct goro_profile_node *node)
{
	uint64_t self = node->self;

	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		self += is_state(mode, c) ? c->self : 0;
	return self;
}

/*
 * A row for each function; one that calls itself has its time once in the total. What it waits for
 * is no function: the time is that of the one that waits.
 */
static void add_functions(struct profile_rows *r, enum goro_profile_mode mode,
			  const struct goro_profile_node *node, const struct path *up)
{
	for (; node; node = node->next) {
		const struct path path = { node->name, up };
		const struct path *p = up;
		struct profile_row *row;

		if (up && is_state(mode, node))
			continue;
		row = add_row(r, node, hash(1, node->name));

		while (p && strcmp(p->name, node->name) != 0)
			p = p->up;
		row->self = self_of(mode, node);
		row->total = p ? 0 : node->total;
		add_functions(r, mode, node->child, &path);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct profile_row *x = a, *y = b;
	int order = strcmp(x->node->name, y->node->name);

	/* The one that weighs most says the line. */
	return order ? order
		     : (x->node->total < y->node->total) - (x->node->total > y->node->total);
}

static void sum_equal_names(struct profile_rows *r)
{
	size_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_name);
	for (size_t i = 0; i < r->n; i++) {
		if (n && strcmp(r->v[n - 1].node->name, r->v[i].node->name) == 0) {
			r->v[n - 1].self += r->v[i].self;
			r->v[n - 1].total += r->v[i].total;
		} else {
			r->v[n++] = r->v[i];
		}
	}
	r->n = n;
}

static bool is_folded(const struct profile_rows *r, uint64_t key)
{
	for (size_t i = 0; i < r->nfolded; i++)
		if (r->folded[i] == key)
			return true;
	return false;
}

static int heaviest_first(const void *a, const void *b)
{
	const struct goro_profile_node *x = *(const struct goro_profile_node *const *)a;
	const struct goro_profile_node *y = *(const struct goro_profile_node *const *)b;

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* The children that weigh at least half a percent, the heaviest first; then theirs. */
static void add_tree(struct profile_rows *r, const struct goro_profile_node *root,
		     const struct goro_profile_node *node, uint64_t key, const char *indent,
		     bool ascii)
{
	const struct goro_profile_node **v;
	uint64_t least = root->total / 200;
	size_t n = 0, i = 0;

	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		n += c->total > least;
	if (!n)
		return;
	v = xcalloc(n, sizeof(struct goro_profile_node *));
	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		if (c->total > least)
			v[i++] = c;
	qsort(v, n, sizeof(struct goro_profile_node *), heaviest_first);
	for (i = 0; i < n; i++) {
		bool last = i + 1 == n, top = node == root;
		struct profile_row *row = add_row(r, v[i], hash(key, v[i]->name));
		uint64_t its = row->key;
		char *below = NULL;

		row->self = v[i]->self;
		row->total = v[i]->total;
		row->folded = v[i]->child && is_folded(r, its);
		if (asprintf(&row->prefix, "%s%s", indent,
			     top	     ? ""
			     : ascii && last ? "`- "
			     : ascii	     ? "|- "
			     : last	     ? "└─ "
					     : "├─ ") < 0 ||
		    asprintf(&below, "%s%s", indent,
			     top     ? ""
			     : last  ? "   "
			     : ascii ? "|  "
				     : "│  ") < 0)
			or_die(NULL);
		if (!row->folded)
			add_tree(r, root, v[i], its, below, ascii);
		free(below);
	}
	free(v);
}

void profile_rows_make(struct profile_rows *r, const struct picture *picture,
		       enum profile_shape shape, bool ascii)
{
	const struct goro_profile_node *root = picture->root;

	switch (shape) {
	case PROFILE_TREE:
		add_tree(r, root, root, 1, "", ascii);
		break;
	case PROFILE_BY_SPAWN:
		for (const struct goro_profile_node *c = root->child; c; c = c->next) {
			struct profile_row *row = add_row(r, c, hash(1, c->name));

			row->self = row->total = c->total;
		}
		break;
	case PROFILE_BY_FUNCTION:
		for (const struct goro_profile_node *c = root->child; c; c = c->next)
			add_functions(r, picture->mode, c->child, NULL);
		sum_equal_names(r);
		break;
	}
}

void profile_rows_fold(struct profile_rows *r, size_t row)
{
	uint64_t key = r->v[row].key;

	for (size_t i = 0; i < r->nfolded; i++) {
		if (r->folded[i] != key)
			continue;
		r->folded[i] = r->folded[--r->nfolded];
		return;
	}
	r->folded = xrealloc(r->folded, r->nfolded + 1, sizeof(*r->folded));
	r->folded[r->nfolded++] = key;
}
