/* SPDX-License-Identifier: MIT */
/*
 * report_why.c - what keeps a goroutine alive: the chain from a root to what it waits for.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

static void put_goroutine(FILE *out, const struct report *r, uint64_t id)
{
	const struct goro_info *g = goro_snapshot_find(r->snap, id);

	fprintf(out, "goroutine %" PRIu64, id);
	if (g)
		fprintf(out, " [%s]", goro_state_text(g));
}

static void put_link(FILE *out, const struct report *r, const struct goro_reach_link *l)
{
	char text[512];

	switch (l->kind) {
	case GORO_REACH_MEMORY:
		goro_scope_describe(r->scope, l->at, text, sizeof text);
		fputs("a pointer in ", out);
		report_put(out, text);
		fprintf(out, ", at 0x%" PRIx64, l->at);
		break;
	case GORO_REACH_REGISTERS:
		fprintf(out, "a register of thread %" PRIu64, l->id);
		break;
	case GORO_REACH_STACK:
		if (l->at)
			fprintf(out, "a pointer at 0x%" PRIx64 " on the stack of ", l->at);
		else
			fputs("a variable on the stack of ", out);
		put_goroutine(out, r, l->id);
		break;
	case GORO_REACH_RECORD:
		fputs("an argument or a value of ", out);
		put_goroutine(out, r, l->id);
		break;
	case GORO_REACH_OBJECT:
		fprintf(out,
			"a pointer at 0x%" PRIx64 " in the object 0x%" PRIx64 " of %" PRIu64
			" bytes",
			l->at, l->object, l->size);
		break;
	case GORO_REACH_KERNEL:
		fputs("a pointer that the kernel has (epoll, timer, pipe, socket or signal)", out);
		break;
	}
}

/* Why there is no chain. */
static const char *by_itself(const struct goro_info *g)
{
	if (g->verdict == GORO_VERDICT_LEAKED)
		return "nothing: it is LEAKED";
	if (g->state != GORO_STATE_WAITING)
		return "it is not blocked";
	switch (g->wait_class) {
	case GORO_CLASS_NEVER:
		return "nothing that it waits for: it lets the others work until the process ends";
	case GORO_CLASS_EXTERNAL:
	case GORO_CLASS_NONE:
		return "time or the kernel can end its wait";
	default:
		return "what it waits for lies in memory that is never given back, such as a "
		       "global variable, or it was about to be woken";
	}
}

void report_why_text(const struct report *r, const struct goro_verdicts *v, uint64_t id)
{
	const struct goro_info *g = goro_snapshot_find(r->snap, id);

	fprintf(r->out, "goroutine %" PRIu64 " [%s]\n", id, g ? goro_state_text(g) : "?");
	if (v->reach.unknown[0])
		fputs("  it is not known what keeps it alive\n", r->out);
	else if (!v->reach.nchain && g)
		fprintf(r->out, "  %s\n", by_itself(g));
	for (size_t i = 0; i < v->reach.nchain; i++) {
		fputs(i ? "  -> " : "  ", r->out);
		put_link(r->out, r, &v->reach.chain[i]);
		fputc('\n', r->out);
	}
	if (v->reach.nchain)
		fputs("  -> what it waits for\n", r->out);
}

json_t *report_why_json(const struct report *r, const struct goro_verdicts *v, uint64_t id)
{
	static const char *const kinds[] = { "memory", "registers", "stack",
					     "record", "object",    "kernel" };
	const struct goro_info *g = goro_snapshot_find(r->snap, id);
	json_t *chain = json_array();

	for (size_t i = 0; i < v->reach.nchain; i++) {
		const struct goro_reach_link *l = &v->reach.chain[i];
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		if (!out)
			break;
		put_link(out, r, l);
		fclose(out);
		json_array_append_new(
			chain,
			json_pack("{s:s, s:o, s:o, s:o}", "kind", kinds[l->kind], "text",
				  report_json_string(text), "address", report_json_hex(l->at), "id",
				  l->id ? json_integer((json_int_t)l->id) : json_null()));
		free(text);
	}
	return json_pack("{s:I, s:o, s:o}", "goroutine", (json_int_t)id, "reason",
			 v->reach.nchain || !g || v->reach.unknown[0] ? json_null()
								      : json_string(by_itself(g)),
			 "chain", chain);
}
