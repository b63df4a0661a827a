/* SPDX-License-Identifier: MIT */
/*
 * report_json_goroutines.c - all goroutines of a snapshot as JSON.
 *
 * There may be a million, and nearly all that is said of each is a number or a word of ours: it is
 * written as it is. What a program has named goes through jansson, which knows the rules; where
 * goroutines were started, once for many.
 *
 * Rejected: a tree of jansson's for each, twenty allocations: seven times the time.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

/* What was told of go statements; one forgets the other whose place it takes. */
enum { SITES = 256 };

struct site {
	uint64_t spawn_pc;
	char *text; /* NULL: none yet */
};

struct writer {
	const struct report *r;
	FILE *out;
	struct site sites[SITES];
};

static void put(struct writer *w, const char *text)
{
	fputs_unlocked(text, w->out);
}

static void put_word(struct writer *w, const char *key, const char *word)
{
	put(w, key);
	if (word)
		putc_unlocked('"', w->out);
	put(w, word ? word : "null");
	if (word)
		putc_unlocked('"', w->out);
}

static void put_number(struct writer *w, const char *key, uint64_t value)
{
	const bool negative = value > INT64_MAX; /* as jansson has it: numbers are signed */
	char digits[24], *at = digits + sizeof digits;

	if (negative)
		value = -value;
	do
		*--at = (char)('0' + value % 10);
	while (value /= 10);
	if (negative)
		*--at = '-';
	put(w, key);
	fwrite_unlocked(at, 1, (size_t)(digits + sizeof digits - at), w->out);
}

static void put_hex(struct writer *w, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "0x%" PRIx64, value);
	put_word(w, key, value ? text : NULL);
}

static void put_value(struct writer *w, const char *key, json_t *value)
{
	put(w, key);
	json_dumpf(value, w->out, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
}

static void put_spawn(struct writer *w, const struct goro_info *g)
{
	struct site *s = &w->sites[(g->spawn_pc * 0x9e3779b97f4a7c15ull) >> 32 & (SITES - 1)];

	if (!s->text || s->spawn_pc != g->spawn_pc) {
		json_t *value = report_json_spawn(w->r, g);

		free(s->text);
		s->spawn_pc = g->spawn_pc;
		s->text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		json_decref(value);
	}
	put(w, ",\"spawn\":");
	put(w, s->text ? s->text : "null");
}

static void put_memory(struct writer *w, const struct goro_info *g)
{
	const struct goro_snapshot *s = w->r->snap;

	put_number(w, ",\"memory\":{\"stack_reserved\":", g->stack_hi - g->stack_lo);
	put_number(w, ",\"stack_resident\":", g->stack_resident);
	put_number(w, ",\"stack_used\":", g->stack_used);
	put_number(w, ",\"stack_peak\":",
		   g->stack_peak > g->stack_resident ? g->stack_peak : g->stack_resident);
	if (s->heap) {
		const struct goro_heap *h = &s->heap[g - s->g];

		put_number(w, ",\"heap_live\":", h->bytes);
		put_number(w, ",\"heap_objects\":", h->objects);
		put_number(w, ",\"heap_total\":", h->total_bytes);
		put_number(w, ",\"heap_total_objects\":", h->total_objects);
	}
	put(w, "}");
}

static json_t *labels_of(const struct goro_snapshot *s, const struct goro_info *g)
{
	json_t *labels = json_object();
	const char *line = s->text ? s->text + g->labels : "", *end;

	for (; *line; line = *end ? end + 1 : end) {
		const char *equals;
		char *key = NULL;

		end = strchrnul(line, '\n');
		equals = memchr(line, '=', (size_t)(end - line));
		if (equals)
			key = strndup(line, (size_t)(equals - line));
		if (key) {
			char *value = strndup(equals + 1, (size_t)(end - equals - 1));
			json_t *text = report_json_string(key);

			json_object_set_new(labels, json_string_value(text),
					    report_json_string(value ? value : ""));
			json_decref(text);
			free(value);
		}
		free(key);
	}
	return labels;
}

static json_t *name_of(const struct goro_snapshot *s, const struct goro_info *g)
{
	return s->text && g->name ? report_json_string(s->text + g->name) : json_null();
}

static void put_goroutine(struct writer *w, const struct goro_info *g)
{
	const struct goro_snapshot *s = w->r->snap;
	const bool waits = g->state == GORO_STATE_WAITING;

	put_number(w, "{\"id\":", g->id);
	put_word(w, ",\"state\":", report_state_name(g));
	put_word(w, ",\"wait_reason\":", waits ? goro_state_text(g) : NULL);
	put_number(w, ",\"wait_ns\":", waits ? g->wait_ns : 0);
	put_hex(w, ",\"wait_object\":", waits ? g->wait_object : 0);
	put_spawn(w, g);
	if (g->parent)
		put_number(w, ",\"parent\":", g->parent);
	else
		put(w, ",\"parent\":null");
	if (g->stack_id != GORO_NO_STACK)
		put_number(w, ",\"stack_id\":", g->stack_id);
	else
		put(w, ",\"stack_id\":null");
	put_memory(w, g);
	put_word(w, ",\"verdict\":", report_json_verdict_name(g->verdict));
	put_word(w, ",\"proof\":", report_proof_name(g->proof));
	if (s->text && (g->name || g->labels)) {
		put_value(w, ",\"name\":", name_of(s, g));
		put_value(w, ",\"labels\":", labels_of(s, g));
	} else {
		put(w, ",\"name\":null,\"labels\":{}");
	}
	put(w, "}");
}

void report_json_goroutines(const struct report *r)
{
	struct writer *w = calloc(1, sizeof *w);
	struct goro_walk walk = { .snap = r->snap };
	const struct goro_info *g;

	if (!w)
		return;
	*w = (struct writer){ .r = r, .out = r->out };
	for (bool first = true; (g = goro_snapshot_next(&walk)); first = false) {
		put(w, first ? "\n" : ",\n");
		put_goroutine(w, g);
	}
	for (size_t i = 0; i < SITES; i++)
		free(w->sites[i].text);
	free(w);
}
