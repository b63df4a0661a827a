/* SPDX-License-Identifier: MIT */
/*
 * filter.c - which goroutines a filter keeps.
 *
 * The tree is walked for each goroutine, but a test of a name is done once for each stack or spawn
 * site and remembered, so 100,000 goroutines cost few regular expression matches.
 */
#define _GNU_SOURCE
#include "filter.h"
#include "filter_node.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>

bool text_contains(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static bool in_field(const struct node *n, const struct frame *f, const struct goro_info *g)
{
	char text[MAX_MATCH];

	field_text(f, g, n->field, text, sizeof(text));
	if (n->op == OP_MATCH || n->op == OP_NOMATCH)
		return regexec(&n->regex, text, 0, NULL, 0) == 0;
	if (n->op == OP_WORD)
		return text_contains(text, n->value);
	return strcasecmp(text, n->value) == 0;
}

static bool text_test(const struct node *n, const struct frame *f, const struct goro_info *g)
{
	if (in_field(n, f, g))
		return true;
	if (n->field != F_STATE)
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

static bool eval_test(const struct node *n, const struct frame *f, const struct goro_info *g)
{
	bool negate = n->op == OP_NE || n->op == OP_NOMATCH;
	uint8_t *memo = NULL;
	bool yes;

	if (fields[n->field].kind != FIELD_TEXT && n->op != OP_MATCH && n->op != OP_NOMATCH)
		return number_test(n, field_number(f, g, n->field));
	if (n->memo && fields[n->field].domain == PER_STACK && g->stack_id < f->snap->nstacks)
		memo = &n->memo[g->stack_id];
	if (n->memo && fields[n->field].domain == PER_SPAWN) {
		const struct spawn_name *s = frame_spawn(f, g);

		memo = s ? &n->memo[s - f->spawns] : NULL;
	}
	if (memo && *memo)
		yes = *memo == 2;
	else
		yes = text_test(n, f, g);
	if (memo)
		*memo = yes ? 2 : 1;
	return yes != negate;
}

static bool eval(const struct node *n, const struct frame *f, const struct goro_info *g)
{
	switch (n->kind) {
	case NODE_AND:
		return eval(n->left, f, g) && eval(n->right, f, g);
	case NODE_OR:
		return eval(n->left, f, g) || eval(n->right, f, g);
	case NODE_NOT:
		return !eval(n->left, f, g);
	case NODE_TEST:
		return eval_test(n, f, g);
	}
	return false;
}

size_t filter_apply(struct filter *f, const struct frame *frame, bool *keep)
{
	size_t kept = 0, room = frame->snap->nstacks;
	struct node *nodes = f->nodes;

	if (frame->nspawns > room)
		room = frame->nspawns;
	for (size_t i = 0; i < f->nnodes; i++)
		if (nodes[i].kind == NODE_TEST)
			nodes[i].memo = xcalloc(room, 1);
	for (size_t i = 0; i < frame->snap->ng; i++) {
		keep[i] = eval(f->root, frame, &frame->snap->g[i]);
		kept += keep[i];
	}
	for (size_t i = 0; i < f->nnodes; i++) {
		free(nodes[i].memo);
		nodes[i].memo = NULL;
	}
	return kept;
}
