/* SPDX-License-Identifier: MIT */
/*
 * profile_tree.h - names for the lines of a profile, and all its stacks as a tree of these.
 */
#ifndef GORO_PROFILE_TREE_H
#define GORO_PROFILE_TREE_H

#include "profile.h"

/* A name for a line of a stack, at most `size` bytes with the NUL: function, else module+offset. */
void profile_line_name(char *text, size_t size, const struct goro_frame *f, const char *word);

/* "handle at server.c:20", the go statement; false: main, or not known. */
bool profile_spawn_name(char *text, size_t size, struct goro_scope *scope, uint64_t spawn_pc);

/*
 * All stacks as a tree of names, the root first, by the type that is shown. spawns: the scope, to
 * have go statements between the root and the stacks; or NULL. NULL: out of memory.
 */
struct goro_profile_node *profile_tree(const struct profile *p, struct goro_scope *spawns);

#endif /* GORO_PROFILE_TREE_H */
