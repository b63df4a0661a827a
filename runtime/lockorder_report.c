/* SPDX-License-Identifier: MIT */
/*
 * lockorder_report.c - a ring of locks in words: on stderr, and for `goro check` at its gate.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lockorder.h"

struct report {
	const struct order_cycle *cycle;
	char *text;
	size_t size;
};

static char letter(const struct order_cycle *c, uint32_t lock)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->edge[i].from == lock)
			return (char)('A' + i);
	}
	return '?';
}

static void put_step(FILE *out, const struct order_cycle *c, uint32_t i)
{
	const struct order_example *x = &c->edge[i].example;
	char from = letter(c, c->edge[i].from), to = letter(c, c->edge[i].to);

	fprintf(out, "\ngoroutine %lu took lock %c%s:\n", (unsigned long)x->g, from,
		x->from_reads ? " for reading" : "");
	goro_warning_stack(out, &x->from);
	fprintf(out, "  and then, still holding it, lock %c%s:\n", to,
		x->to_reads ? " for reading" : "");
	goro_warning_stack(out, &x->to);
}

static void describe(void *arg)
{
	struct report *r = arg;
	FILE *out = open_memstream(&r->text, &r->size);

	if (!out)
		return;
	goro_warning_begin();
	fprintf(out,
		"warning: %u locks are taken in %s orders, in which %u goroutines can deadlock\n",
		r->cycle->n, r->cycle->n == 2 ? "both" : "circular", r->cycle->n);
	for (uint32_t i = 0; i < r->cycle->n; i++)
		put_step(out, r->cycle, i);
	goro_warning_end();
	fclose(out);
}

void goro_order_report(struct order_cycle *cycle)
{
	struct report r = { .cycle = cycle };

	/* On a thread's stack: libdw needs more than a goroutine has. */
	goro_blocking(describe, &r);
	if (!r.text)
		return;
	goro_warning_say("order", r.text);
	free(r.text);
}
