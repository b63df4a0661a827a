/* SPDX-License-Identifier: MIT */
/*
 * code_ways.h - which ways through code have been followed already; for code_use_*.c.
 *
 * A way is known by its facts: at this instruction that register has so many bytes beside that
 * word. It need be followed on only if one of its facts is new there. (Not if all of it as a whole
 * is new: where branches come together there are too many of these, and which is followed must not
 * depend on what has nothing to do with a word.) In a loop that steps through an array a fact would
 * be new each time round, so of a place and a word it is the first few distances that count.
 */
#ifndef GORO_CODE_WAYS_H
#define GORO_CODE_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CODE_FACTS = 1 << 13,
	CODE_DISTANCES = 3,
};

struct code_fact {
	uint64_t what; /* hash of the instruction, the place and the word */
	unsigned n;
	int64_t distance[CODE_DISTANCES];
};

struct code_facts {
	uint16_t place[2 * CODE_FACTS]; /* one more than in v; 0: free */
	size_t n;
	bool full; /* some were not kept: ways may not have been followed */
	struct code_fact v[CODE_FACTS];
};

static inline uint64_t code_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

void code_facts_clear(struct code_facts *f);
/* True: it is new. */
bool code_facts_add(struct code_facts *f, uint64_t what, int64_t distance);

#endif /* GORO_CODE_WAYS_H */
