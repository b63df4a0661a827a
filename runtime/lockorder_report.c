/* SPDX-License-Identifier: MIT */
/*
 * lockorder_report.c - a ring of locks in words: on stderr, and for `goro check` at its gate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "lockorder.h"

struct report {
	const struct order_cycle *cycle;
	char *text;
	size_t size;
};

static bool is_runtime(const char *function)
{
	return !strncmp(function, "goro_", 5);
}

/* The program's own frames; what is below main is the C library's. */
static void put_stack(FILE *out, const struct order_stack *at)
{
	for (uint32_t i = 0; i < at->n; i++) {
		struct line line;

		goro_line_of(at->pc[i], true, &line);
		if (is_runtime(line.function))
			return;
		fprintf(out, "    %s(...)\n    \t%s:%d\n", line.function, line.file, line.number);
		if (!strcmp(line.function, "main"))
			return;
	}
}

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
	put_stack(out, &x->from);
	fprintf(out, "  and then, still holding it, lock %c%s:\n", to,
		x->to_reads ? " for reading" : "");
	put_stack(out, &x->to);
}

static void describe(void *arg)
{
	struct report *r = arg;
	FILE *out = open_memstream(&r->text, &r->size);

	if (!out)
		return;
	goro_lines_init();
	fprintf(out,
		"warning: %u locks are taken in %s orders, in which %u goroutines can deadlock\n",
		r->cycle->n, r->cycle->n == 2 ? "both" : "circular", r->cycle->n);
	for (uint32_t i = 0; i < r->cycle->n; i++)
		put_step(out, r->cycle, i);
	fclose(out);
}

void goro_order_report(struct order_cycle *cycle)
{
	static uint32_t busy; /* names and lines are not for two at once */
	struct report r = { .cycle = cycle };

	while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		goro_yield();
	/* On a thread's stack: libdw needs more than a goroutine has. */
	goro_blocking(describe, &r);
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	if (!r.text)
		return;
	os_write(STDERR_FILENO, r.text, strlen(r.text));
	goro_gate_order(r.text);
	free(r.text);
}
