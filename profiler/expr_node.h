/* SPDX-License-Identifier: MIT */
/* expr_node.h - a parsed filter, between expr_parse.c, which makes it, and expr.c. */
#ifndef GORO_EXPR_NODE_H
#define GORO_EXPR_NODE_H

#include "profiler.h"

#include <regex.h>

#define MAX_NODES 1024
#define MAX_VALUE 256
#define MAX_MATCH 2048 /* characters of a name that are looked at */

enum op { OP_EQ, OP_NE, OP_MATCH, OP_NOMATCH, OP_GE, OP_GT, OP_LE, OP_LT, OP_IN, OP_WORD };

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_TEST };

struct node {
	enum node_kind kind;
	struct node *left, *right;
	/* NODE_TEST */
	enum goro_info_field field;
	enum op op;
	uint64_t number, upto;
	char value[MAX_VALUE];
	bool has_regex;
	regex_t regex;
	uint8_t *memo; /* while goro_filter_apply() runs: 0 not known, 1 no, 2 yes */
};

struct goro_filter {
	char *source;
	struct node *root;
	struct node nodes[MAX_NODES];
	size_t nnodes;
};

#endif /* GORO_EXPR_NODE_H */
