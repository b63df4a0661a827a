/* SPDX-License-Identifier: MIT */
/*
 * report_folded.c - "root;caller;leaf 12": what flamegraph.pl, inferno, speedscope and others read.
 *
 * The number is in the profile's own unit: nanoseconds, bytes or a count.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* ';' separates frames and the last blank the number; blanks inside of names do no harm. */
static void put_name(FILE *out, const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && (c = strchr(c, ';')); c++)
		*c = ':';
	report_put(out, copy);
	free(copy);
}

struct path {
	const struct goro_profile_node *node;
	const struct path *caller;
};

static void put_path(FILE *out, const struct path *path)
{
	if (path->caller) {
		put_path(out, path->caller);
		putc(';', out);
	}
	put_name(out, path->node->name);
}

static void put_tree(FILE *out, const struct goro_profile_node *node, const struct path *caller)
{
	for (; node; node = node->next) {
		const struct path path = { node, caller };

		if (node->self) {
			put_path(out, &path);
			fprintf(out, " %" PRIu64 "\n", node->self);
		}
		put_tree(out, node->child, &path);
	}
}

bool report_folded(FILE *out, struct goro_scope *scope, const struct profile *p)
{
	struct goro_profile_node *root = profile_tree(p, NULL);

	(void)scope;
	if (!root)
		return false;
	put_tree(out, root->child, NULL);
	goro_profile_node_free(root);
	return true;
}
