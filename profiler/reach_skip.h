/* SPDX-License-Identifier: MIT */
/*
 * reach_skip.h - how the tests break the search for roots, to see that they would notice.
 *
 * In the tests' build of reach*.c GORO_REACH_SKIP names a kind of root that is left out. In every
 * other build this is nothing.
 */
#ifndef GORO_REACH_SKIP_H
#define GORO_REACH_SKIP_H

#include <stdbool.h>

#ifdef REACH_MUTANT
#include <stdlib.h>
#include <string.h>

static inline bool reach_skips(const char *kind)
{
	const char *env = getenv("GORO_REACH_SKIP");

	return env && !strcmp(env, kind);
}
#else
#define reach_skips(kind) false
#endif

#endif /* GORO_REACH_SKIP_H */
