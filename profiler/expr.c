/* SPDX-License-Identifier: MIT */
/*
 * expr.c - which goroutines a filter keeps.
 *
 * The tree is walked for each goroutine, but a test of a name is done once for each stack or spawn
 * site and remembered, so 100,000 goroutines cost few regular expression matches.
 */
#include "expr_node.h"

#include <stdlib.h>
#include <string.h>

bool goro_text_contains(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static bool in_field(const struct node *n, const struct goro_names *names,
		     const struct goro_info *g)
{
	char text[MAX_MATCH];

	goro_field_text(names, g, n->field, text, sizeof(text));
	if (n->op == OP_MATCH || n->op == OP_NOMATCH)
		return regexec(&n->regex, text, 0, NULL, 0) == 0;
	if (n->op == OP_WORD)
		return goro_text_contains(text, n->value);
	return strcasecmp(text, n->value) == 0;
}

static bool text_test(const struct node *n, const struct goro_names *names,
		      const struct goro_info *g)
{
	if (in_field(n, names, g))
		return true;
	if (n->field != GORO_F_STATE)
		return false;
	/* A state has two names: ours, and Go's. */
	const char *words = goro_state_text(g);
	if (n->op == OP_MATCH || n->op == OP_NOMATCH)
		return regexec(&n->regex, words, 0, NULL, 0) == 0;
	return strcasecmp(words, n->value) == 0;
}

static bool number_test(const struct node *n, uint64_t x)
{
	switch (n->op) {
	case OP_EQ:
		return x == n->number;
	case OP_NE:
		return x != n->number;
	case OP_GE:
		return x >= n->number;
	case OP_GT:
		return x > n->number;
	case OP_LE:
		return x <= n->number;
	case OP_LT:
		return x < n->number;
	case OP_IN:
		return x >= n->number && x <= n->upto;
	default:
		return false;
	}
}

static bool eval_test(const struct node *n, const struct goro_names *names,
		      const struct goro_info *g)
{
	bool negate = n->op == OP_NE || n->op == OP_NOMATCH;
	uint8_t *memo = NULL;
	bool yes;

	if (goro_fields[n->field].kind != GORO_FIELD_TEXT && n->op != OP_MATCH &&
	    n->op != OP_NOMATCH)
		return number_test(n, goro_field_number(names, g, n->field));
	if (n->memo && goro_fields[n->field].domain == GORO_PER_STACK &&
	    g->stack_id < names->snap->nstacks)
		memo = &n->memo[g->stack_id];
	if (n->memo && goro_fields[n->field].domain == GORO_PER_SPAWN) {
		const struct goro_spawn_name *s = goro_names_spawn(names, g);

		memo = s ? &n->memo[s - names->spawns] : NULL;
	}
	if (memo && *memo)
		yes = *memo == 2;
	else
		yes = text_test(n, names, g);
	if (memo)
		*memo = yes ? 2 : 1;
	return yes != negate;
}

static bool eval(const struct node *n, const struct goro_names *names, const struct goro_info *g)
{
	switch (n->kind) {
	case NODE_AND:
		return eval(n->left, names, g) && eval(n->right, names, g);
	case NODE_OR:
		return eval(n->left, names, g) || eval(n->right, names, g);
	case NODE_NOT:
		return !eval(n->left, names, g);
	case NODE_TEST:
		return eval_test(n, names, g);
	}
	return false;
}

size_t goro_filter_apply(struct goro_filter *f, const struct goro_names *names, bool *keep)
{
	size_t kept = 0, room = names->snap->nstacks;
	struct goro_walk walk = { .snap = names->snap };
	const struct goro_info *g;
	struct node *nodes = f->nodes;

	if (names->nspawns > room)
		room = names->nspawns;
	for (size_t i = 0; i < f->nnodes; i++)
		if (nodes[i].kind == NODE_TEST)
			nodes[i].memo = calloc(room + 1, 1); /* without it: slower */
	while ((g = goro_snapshot_next(&walk))) {
		bool yes = eval(f->root, names, g);

		keep[goro_walk_place(&walk)] = yes;
		kept += yes;
	}
	for (size_t i = 0; i < f->nnodes; i++) {
		free(nodes[i].memo);
		nodes[i].memo = NULL;
	}
	return kept;
}

/* Only stacks that somebody still has, numbered from 0 again. */
static bool keep_stacks(struct goro_snapshot *snap)
{
	uint32_t *to = calloc(snap->nstacks + 1, sizeof *to), n = 0;

	if (!to)
		return false;
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].stack_id < snap->nstacks)
			to[snap->g[i].stack_id] = 1;
	for (size_t i = 0; i < snap->nstacks; i++) {
		if (!to[i])
			continue;
		snap->stacks[n] = snap->stacks[i];
		to[i] = n++;
	}
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].stack_id < snap->nstacks)
			snap->g[i].stack_id = to[snap->g[i].stack_id];
	snap->nstacks = n;
	free(to);
	return true;
}

bool goro_snapshot_keep(struct goro_snapshot *snap, const bool *keep)
{
	size_t n = 0;

	for (size_t i = 0; i < snap->ng; i++) {
		if (!keep[i])
			continue;
		snap->g[n] = snap->g[i];
		if (snap->heap)
			snap->heap[n] = snap->heap[i];
		n++;
	}
	snap->ng = n;
	return keep_stacks(snap);
}
