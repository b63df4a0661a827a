/* SPDX-License-Identifier: MIT */
/*
 * code_ways.c - see code_ways.h.
 */
#include "code_ways.h"

#include <string.h>

void code_facts_clear(struct code_facts *f)
{
	memset(f->place, 0, sizeof f->place);
	f->n = 0;
	f->full = false;
}

static struct code_fact *find(struct code_facts *f, uint64_t what)
{
	const size_t room = sizeof f->place / sizeof *f->place;
	struct code_fact *fact;
	size_t i = what % room;

	for (; f->place[i]; i = (i + 1) % room) {
		fact = &f->v[f->place[i] - 1];
		if (fact->what == what)
			return fact;
	}
	if (f->n == CODE_FACTS) {
		f->full = true;
		return NULL;
	}
	fact = &f->v[f->n++];
	f->place[i] = (uint16_t)f->n;
	*fact = (struct code_fact){ .what = what };
	return fact;
}

bool code_facts_add(struct code_facts *f, uint64_t what, int64_t distance)
{
	struct code_fact *fact = find(f, what);

	if (!fact)
		return false;
	for (unsigned i = 0; i < fact->n; i++) {
		if (fact->distance[i] == distance)
			return false;
	}
	if (fact->n == CODE_DISTANCES)
		return false;
	fact->distance[fact->n++] = distance;
	return true;
}
