/* SPDX-License-Identifier: MIT */
/*
 * sampler_heap.c - who holds the heap, at one moment, as a profile.
 *
 * The types have the names that Go gives them in its heap profile, so that `go tool pprof
 * -inuse_space` and its relatives know them. A stack is what is known of whose memory it is: the
 * function that a goroutine was started with, and the go statement that started it. Where in it
 * the memory was allocated is not known: to unwind a stack costs more than ten calls of malloc().
 */
#include "error.h"
#include "goro_introspect.h"
#include "sampler.h"

static void add(struct sampler *s, const struct goro_heap *h, struct profile_key key)
{
	const uint64_t values[PROFILE_VALUES] = { h->total_objects, h->total_bytes, h->objects,
						  h->bytes };

	if (h->total_objects)
		profile_add(s->profile, &key, values);
}

static void add_goroutine(struct sampler *s, const struct goro_snapshot *snap,
			  const struct goro_info *g, const struct goro_heap *h)
{
	/* The function as if it had called something: a return address. */
	const uint64_t pcs[] = { g->entry + 1, g->spawn_pc };
	const char *word = g->flags & GORO_FLAG_FOREIGN ? "(a thread)" : "main";

	add(s, h,
	    (struct profile_key){
		    .stack = g->entry ? profile_stack(s->profile, pcs, g->spawn_pc ? 2 : 1, NULL,
						      NULL)
				      : profile_stack(s->profile, NULL, 0, word, NULL),
		    .goroutine = g->id,
		    .spawn_pc = g->spawn_pc,
		    .labels = g->labelled && h->total_objects ? sampler_snapshot_labels(s, snap, g)
							      : NULL,
	    });
}

static void add_ended(struct sampler *s, const struct goro_heap_site *site)
{
	add(s, &site->heap,
	    (struct profile_key){
		    .stack = profile_stack(s->profile, &site->spawn_pc, site->spawn_pc ? 1 : 0,
					   "(ended goroutines)", NULL),
		    .spawn_pc = site->spawn_pc,
	    });
}

struct goro_error *sampler_heap(struct sampler *s, const struct goro_snapshot *snap)
{
	if (!snap->heap)
		return goro_error_hint(goro_error_new(GORO_UNSUPPORTED,
						      "the heap of %s is not counted by goroutine",
						      snap->name),
				       "start it with: goro run --heap -- CMD");
	for (size_t i = 0; i < snap->ng; i++)
		add_goroutine(s, snap, &snap->g[i], &snap->heap[i]);
	for (size_t i = 0; i < snap->nheap_ended; i++)
		add_ended(s, &snap->heap_ended[i]);
	add(s, &snap->heap_outside,
	    (struct profile_key){ .stack = profile_stack(s->profile, NULL, 0, "(threads)", NULL) });
	return NULL;
}
