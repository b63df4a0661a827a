/* SPDX-License-Identifier: MIT */
/*
 * report_heap.c - who holds the heap, with `goro run --heap`: in words and as JSON.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

static struct goro_heap sum_goroutines(const struct goro_snapshot *s)
{
	struct goro_heap sum = { 0 };

	for (size_t i = 0; i < s->ng; i++)
		goro_heap_add(&sum, &s->heap[i]);
	return sum;
}

static struct goro_heap sum_ended(const struct goro_snapshot *s)
{
	struct goro_heap sum = { 0 };

	for (size_t i = 0; i < s->nheap_ended; i++)
		goro_heap_add(&sum, &s->heap_ended[i].heap);
	return sum;
}

void report_heap(FILE *out, const struct goro_heap *h)
{
	char bytes[TEXT_NUMBER];

	fprintf(out, "%s of heap in %" PRIu64 " object%s", text_bytes(bytes, h->bytes), h->objects,
		plural(h->objects));
}

void report_heap_summary(const struct report *r)
{
	struct goro_heap living, ended;
	char text[TEXT_NUMBER];

	if (!r->snap->heap)
		return;
	living = sum_goroutines(r->snap);
	ended = sum_ended(r->snap);
	fputs("goroutines hold ", r->out);
	report_heap(r->out, &living);
	fprintf(r->out, ", ended ones %s", text_bytes(text, ended.bytes));
	fprintf(r->out, ", threads %s\n", text_bytes(text, r->snap->heap_outside.bytes));
}

static int by_site(const void *a, const void *b)
{
	const struct goro_heap_site *x = a, *y = b;

	return (x->spawn_pc > y->spawn_pc) - (x->spawn_pc < y->spawn_pc);
}

/* What goroutines that have ended hold: an element for each go statement. NULL: out of memory. */
static struct goro_heap_site *ended_sites(const struct goro_snapshot *s, size_t *n)
{
	struct goro_heap_site *v = calloc(s->nheap_ended + 1, sizeof(*v));

	*n = 0;
	for (size_t i = 0; v && i < s->nheap_ended; i++) {
		v[i] = s->heap_ended[i];
		v[i].spawn_pc = goro_snapshot_site(s, v[i].spawn_pc);
	}
	if (v && s->nheap_ended)
		qsort(v, s->nheap_ended, sizeof(*v), by_site);
	for (size_t i = 0; v && i < s->nheap_ended; i++) {
		if (*n && v[*n - 1].spawn_pc == v[i].spawn_pc)
			goro_heap_add(&v[*n - 1].heap, &v[i].heap);
		else
			v[(*n)++] = v[i];
	}
	return v;
}

static int by_bytes(const void *a, const void *b)
{
	const struct goro_heap_site *x = a, *y = b;

	if (x->heap.bytes != y->heap.bytes)
		return x->heap.bytes > y->heap.bytes ? -1 : 1;
	return (x->spawn_pc > y->spawn_pc) - (x->spawn_pc < y->spawn_pc);
}

/* Main does not end: what nobody started was a thread of the program's own. */
static void put_starter(const struct report *r, uint64_t spawn_pc)
{
	const struct goro_info g = { .spawn_pc = spawn_pc };
	struct goro_frame site;

	if (!spawn_pc || !goro_scope_spawn_site(r->scope, &g, &site)) {
		fputs("threads that the program made", r->out);
		return;
	}
	fputs("started by ", r->out);
	report_frame(r->out, &site);
}

void report_heap_sites(const struct report *r)
{
	size_t all, n = 0;
	struct goro_heap_site *sites = ended_sites(r->snap, &all);

	for (size_t i = 0; i < all; i++) {
		if (sites[i].heap.objects)
			sites[n++] = sites[i];
	}
	if (n) {
		qsort(sites, n, sizeof(*sites), by_bytes);
		report_style(r, "1");
		fputs("held by goroutines that have ended", r->out);
		report_style(r, "");
		fputc('\n', r->out);
	}
	for (size_t i = 0; i < n; i++) {
		fputs("  ", r->out);
		report_heap(r->out, &sites[i].heap);
		fputs(", ", r->out);
		put_starter(r, sites[i].spawn_pc);
		fputc('\n', r->out);
	}
	if (n)
		fputc('\n', r->out);
	free(sites);
}

json_t *report_heap_json(const struct report *r)
{
	json_t *ended = json_array();
	size_t n;
	struct goro_heap_site *sites = ended_sites(r->snap, &n);

	for (size_t i = 0; i < n; i++) {
		const struct goro_info g = { .spawn_pc = sites[i].spawn_pc };
		json_t *site = report_json_heap(&sites[i].heap);

		json_object_set_new(site, "spawn", report_json_spawn(r, &g));
		json_array_append_new(ended, site);
	}
	free(sites);
	return json_pack("{s:o, s:o}", "ended", ended, "outside",
			 report_json_heap(&r->snap->heap_outside));
}
