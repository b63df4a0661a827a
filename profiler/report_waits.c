/* SPDX-License-Identifier: MIT */
/*
 * report_waits.c - the wait-for graph: what is waited for, by whom, and who could end it.
 *
 * The unit is the object, with its waiters summed up by where they stand (waits.c): in the picture
 * one node.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

static void put_readers_text(const struct report *r, const struct goro_waits *v, uint64_t object)
{
	size_t n;
	const struct goro_holder *h = goro_waits_readers(v, object, &n);

	for (size_t i = 0; i < n; i++) {
		fputs("  held for reading by ", r->out);
		report_heading(r, &r->snap->g[h[i].g]);
		fputc('\n', r->out);
	}
}

static void put_bunch_text(const struct report *r, const struct goro_waiter *first, size_t n)
{
	const struct goro_info *g;
	struct goro_info room;
	struct goro_frame blocked;
	uint64_t oldest = 0;
	size_t nleaked = 0;
	char age[TEXT_NUMBER];

	for (size_t i = 0; i < n; i++) {
		g = goro_snapshot_at(r->snap, first[i].place, &room);
		/* A verdict is of the one that stands for a crowd. */
		nleaked += first[i].place < r->snap->ng && g->verdict == GORO_VERDICT_LEAKED;
		if (g->wait_ns > oldest)
			oldest = g->wait_ns;
	}
	g = goro_snapshot_at(r->snap, first->place, &room);
	if (n == 1)
		fprintf(r->out, "  goroutine %" PRIu64, g->id);
	else
		fprintf(r->out, "  %zu goroutines, the first is %" PRIu64, n, g->id);
	fprintf(r->out, " [%s, %s%s]", goro_wait_reason(first->reason), n == 1 ? "" : "up to ",
		text_duration(age, oldest));
	if (report_blocked_frame(r, g, &blocked)) {
		fputc(' ', r->out);
		report_frame(r->out, &blocked);
	}
	if (nleaked == n)
		fprintf(r->out, ", LEAKED (%s)", report_proof_name(g->proof));
	fputc('\n', r->out);
}

void report_waits_text(const struct report *r)
{
	struct goro_waits *v = goro_waits(r->snap, NULL);
	char object[128];
	size_t objects = 0, n;

	if (!v)
		return;
	for (size_t i = 0; i < v->n; i += n) {
		n = goro_waits_bunch(v, i);
		if (i == 0 || v->w[i].object != v->w[i - 1].object) {
			fputs(objects++ ? "\n" : "", r->out);
			report_style(r, "1");
			goro_wait_object_text(r->snap, v->w[i].object, object, sizeof object);
			fputs(object, r->out);
			report_style(r, "");
			fputc('\n', r->out);
			put_readers_text(r, v, v->w[i].object);
		}
		put_bunch_text(r, &v->w[i], n);
	}
	if (!v->n)
		fputs("no goroutine waits for another one\n", r->out);
	goro_waits_free(v);
}

static json_t *object_json(const struct report *r, const struct goro_waits *v, uint64_t address)
{
	const struct goro_object *o = address ? goro_snapshot_object(r->snap, address) : NULL;
	bool known = address && address != GORO_WAIT_UNREAD;
	json_t *readers, *all = json_pack("{s:o, s:o}", "address",
					  report_json_hex(known ? address : 0), "kind",
					  known ? json_string(goro_wait_kind(o ? o->wait_class : 0))
						: json_null());
	const struct goro_holder *h;
	size_t n;

	json_object_set_new(all, "waiters", json_array());
	if (!o || !o->valid)
		return all;
	readers = json_array();
	h = goro_waits_readers(v, address, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(readers, json_integer((json_int_t)r->snap->g[h[i].g].id));
	json_object_set_new(all, "owner",
			    o->owner ? json_integer((json_int_t)o->owner) : json_null());
	json_object_set_new(all, "nreaders", json_integer(o->readers));
	json_object_set_new(all, "readers", readers);
	json_object_set_new(all, "len", json_integer(o->len));
	json_object_set_new(all, "cap", json_integer(o->cap));
	json_object_set_new(all, "closed", json_boolean(o->closed));
	return all;
}

void report_waits_json(const struct report *r)
{
	struct goro_waits *v = goro_waits(r->snap, NULL);
	size_t end;

	if (!v || !report_json_begin(r)) {
		goro_waits_free(v);
		return;
	}
	fputs(",\n\"objects\":[", r->out);
	for (size_t i = 0; i < v->n; i = end) {
		json_t *object = object_json(r, v, v->w[i].object);
		json_t *waiters = json_object_get(object, "waiters");

		for (end = i; end < v->n && v->w[end].object == v->w[i].object; end++) {
			struct goro_info room;
			const struct goro_info *g =
				goro_snapshot_at(r->snap, v->w[end].place, &room);

			json_array_append_new(waiters,
					      json_pack("{s:I, s:s, s:I}", "goroutine",
							(json_int_t)g->id, "wait_reason",
							goro_wait_reason(v->w[end].reason),
							"wait_ns", (json_int_t)g->wait_ns));
		}
		report_json_element(r->out, object, i == 0);
	}
	fputs("]}\n", r->out);
	goro_waits_free(v);
}

/* ---- dot ------------------------------------------------------------------------------------- */

static void put_dot_text(FILE *out, const char *text)
{
	char *clean = strdup(text);

	if (clean)
		report_clean(clean);
	for (const char *at = clean; at && *at; at++) {
		if (*at == '"' || *at == '\\')
			putc('\\', out);
		putc(*at, out);
	}
	free(clean);
}

static void put_bunch_dot(const struct report *r, const struct goro_waiter *first, size_t n)
{
	struct goro_info room;
	const struct goro_info *g = goro_snapshot_at(r->snap, first->place, &room);
	struct goro_frame blocked;

	fprintf(r->out, "\tg%" PRIu64 " [shape=box, label=\"", g->id);
	if (n == 1)
		fprintf(r->out, "goroutine %" PRIu64, g->id);
	else
		fprintf(r->out, "%zu goroutines", n);
	if (report_blocked_frame(r, g, &blocked)) {
		fputs("\\n", r->out);
		put_dot_text(r->out, blocked.function ? blocked.function : "?");
		if (blocked.file) {
			fputs("\\n", r->out);
			put_dot_text(r->out, goro_basename(blocked.file));
			fprintf(r->out, ":%" PRIu32, blocked.line);
		}
	}
	fprintf(r->out, "\"];\n\tg%" PRIu64 " -> o%" PRIx64 " [label=\"%s\"];\n", g->id,
		(uint64_t)first->object, goro_wait_reason(first->reason));
}

/* node: of a goroutine, by place: the first of its bunch, or itself. */
static void put_object_dot(const struct report *r, const struct goro_waits *v, const uint32_t *node,
			   uint64_t address)
{
	const struct goro_snapshot *s = r->snap;
	const struct goro_object *o = address ? goro_snapshot_object(s, address) : NULL;
	const struct goro_info *owner = NULL;
	const struct goro_holder *h;
	struct goro_info room;
	char object[128];
	size_t n;

	fprintf(r->out, "\to%" PRIx64 " [shape=ellipse, label=\"", address);
	goro_wait_object_text(s, address, object, sizeof object);
	fputs(object, r->out);
	fputs("\"];\n", r->out);
	if (o && o->valid && o->owner) {
		owner = goro_snapshot_find(s, o->owner);
		fprintf(r->out, "\to%" PRIx64 " -> g%" PRIu64 " [label=\"held by\"];\n", address,
			owner ? goro_snapshot_at(s, node[owner - s->g], &room)->id : o->owner);
	}
	h = goro_waits_readers(v, address, &n);
	for (size_t i = 0; i < n; i++)
		fprintf(r->out, "\to%" PRIx64 " -> g%" PRIu64 " [label=\"read by\"];\n", address,
			goro_snapshot_at(s, node[h[i].g], &room)->id);
}

static uint32_t *make_nodes(const struct goro_waits *v)
{
	const size_t all = v->snap->ng + v->snap->nmembers;
	uint32_t *node = calloc(all + 1, sizeof *node);
	size_t n;

	for (size_t i = 0; node && i < all; i++)
		node[i] = (uint32_t)i;
	for (size_t i = 0; node && i < v->n; i += n) {
		n = goro_waits_bunch(v, i);
		for (size_t k = 0; k < n; k++)
			node[v->w[i + k].place] = v->w[i].place;
	}
	return node;
}

void report_waits_dot(const struct report *r)
{
	struct goro_waits *v = goro_waits(r->snap, NULL);
	uint32_t *node = v ? make_nodes(v) : NULL;
	size_t n;

	fputs("digraph waits {\n", r->out);
	for (size_t i = 0; node && i < v->n; i += n) {
		n = goro_waits_bunch(v, i);
		if (i == 0 || v->w[i].object != v->w[i - 1].object)
			put_object_dot(r, v, node, v->w[i].object);
		put_bunch_dot(r, &v->w[i], n);
	}
	fputs("}\n", r->out);
	free(node);
	goro_waits_free(v);
}
