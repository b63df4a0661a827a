/* SPDX-License-Identifier: MIT */
/*
 * profile_node.c - trees of names, added up and freed.
 */
#include "profiler.h"

#include <stdlib.h>
#include <string.h>

/* As deep as the deepest stack, which unwinding bounds. */
void goro_profile_node_free(struct goro_profile_node *root)
{
	while (root) {
		struct goro_profile_node *next = root->next;

		goro_profile_node_free(root->child);
		free(root->name);
		free(root->where);
		free(root);
		root = next;
	}
}

bool goro_profile_merge(struct goro_profile_node *into, const struct goro_profile_node *from)
{
	struct goro_profile_node **at = &into->child;

	into->total += from->total;
	into->self += from->self;
	/* Both have their children by name. */
	for (const struct goro_profile_node *c = from->child; c; c = c->next) {
		while (*at && strcmp((*at)->name, c->name) < 0)
			at = &(*at)->next;
		if (!*at || strcmp((*at)->name, c->name) != 0) {
			struct goro_profile_node *made = calloc(1, sizeof *made);

			if (!made)
				return false;
			made->next = *at;
			*at = made;
			made->name = strdup(c->name);
			made->where = c->where ? strdup(c->where) : NULL;
			if (!made->name || (c->where && !made->where))
				return false;
		}
		if (!goro_profile_merge(*at, c))
			return false;
	}
	return true;
}

void goro_profile_part_free(struct goro_profile_part *part)
{
	if (part)
		goro_profile_node_free(part->root);
	free(part);
}
