/* SPDX-License-Identifier: MIT */
/*
 * report_waits.c - the wait-for graph: what is waited for, by whom, and who could end it.
 *
 * The unit is the object, with its waiters summed up by where they stand: ten thousand receivers of
 * one channel are one line, in the picture one node.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

/* One goroutine that waits for one object. */
#define UNREAD UINT64_MAX /* in place of an object: it waits, but for what was not seen */

struct wait {
	uint64_t object;
	uint32_t g; /* index in snap->g */
	uint8_t reason;
};

/* Waits of one object, for one reason, with one stack. */
struct bunch {
	const struct wait *first;
	size_t n;
};

static int by_object(const void *a, const void *b, void *snapshot)
{
	const struct goro_snapshot *s = snapshot;
	const struct wait *x = a, *y = b;
	uint32_t sx = s->g[x->g].stack_id, sy = s->g[y->g].stack_id;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	if (sx != sy)
		return sx < sy ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

/* A goroutine that holds an object for reading. */
struct holder {
	uint64_t object;
	uint32_t g;
};

struct view {
	struct wait *w; /* in the order of their objects */
	size_t n;
	struct holder *holders; /* likewise */
	size_t nholders;
	uint32_t *node; /* of a goroutine: the first of its bunch, or itself */
};

static int by_held_object(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return x->g < y->g ? -1 : x->g > y->g;
}

static bool is_wait(const struct goro_info *g)
{
	return g->state == GORO_STATE_WAITING && g->wait_class != GORO_CLASS_EXTERNAL &&
	       g->wait_class != GORO_CLASS_NONE;
}

/* All waits and all read locks. A goroutine in a select has several waits. */
static void collect(const struct goro_snapshot *s, struct view *v)
{
	for (size_t i = 0; i < s->ng; i++) {
		const struct goro_info *g = &s->g[i];

		for (uint32_t k = 0; k < g->nrlocks; k++)
			v->holders[v->nholders++] =
				(struct holder){ s->rlocks[g->rlocks_first + k], (uint32_t)i };
		if (!is_wait(g))
			continue;
		for (uint32_t k = 0; k < g->nwaits; k++) {
			const struct goro_wait *from = &s->waits[g->waits_first + k];

			v->w[v->n++] = (struct wait){ from->object, (uint32_t)i, from->reason };
		}
		if (!g->nwaits)
			v->w[v->n++] =
				(struct wait){ g->wait_class == GORO_CLASS_NEVER ? 0 : UNREAD,
					       (uint32_t)i, g->reason };
	}
	qsort_r(v->w, v->n, sizeof *v->w, by_object, (void *)s);
	qsort(v->holders, v->nholders, sizeof *v->holders, by_held_object);
}

static struct bunch next_bunch(const struct goro_snapshot *s, const struct wait *w, size_t left)
{
	size_t n = 1;

	while (n < left && w[n].object == w->object && w[n].reason == w->reason &&
	       s->g[w[n].g].stack_id == s->g[w->g].stack_id)
		n++;
	return (struct bunch){ w, n };
}

static bool view_make(const struct goro_snapshot *s, struct view *v)
{
	struct bunch b;

	*v = (struct view){ .w = calloc(s->nwaits + s->ng + 1, sizeof *v->w),
			    .holders = calloc(s->nrlocks + 1, sizeof *v->holders),
			    .node = calloc(s->ng + 1, sizeof *v->node) };
	if (!v->w || !v->holders || !v->node)
		return false;
	collect(s, v);
	for (size_t i = 0; i < s->ng; i++)
		v->node[i] = (uint32_t)i;
	for (size_t i = 0; i < v->n; i += b.n) {
		b = next_bunch(s, &v->w[i], v->n - i);
		for (size_t k = 0; k < b.n; k++)
			v->node[b.first[k].g] = b.first->g;
	}
	return true;
}

static void view_free(struct view *v)
{
	free(v->w);
	free(v->holders);
	free(v->node);
}

/* The goroutines that hold an object for reading. */
static const struct holder *find_holders(const struct view *v, uint64_t object, size_t *n)
{
	size_t lo = 0, hi = v->nholders, first;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->holders[mid].object < object)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (first = lo; lo < v->nholders && v->holders[lo].object == object; lo++)
		;
	*n = object ? lo - first : 0;
	return &v->holders[first];
}

static const char *reason_name(uint8_t reason)
{
#define NAME(id, letter, name, class) name,
	static const char *const names[] = { GORO_REASONS(NAME) };
#undef NAME

	return reason < GORO_NREASONS ? names[reason] : "unknown";
}

static const char *class_name(unsigned wait_class)
{
	static const char *const names[] = { "object", "object",  "nothing", "channel",	  "select",
					     "mutex",  "rwmutex", "cond",    "waitgroup", "sema" };

	return wait_class < sizeof names / sizeof *names ? names[wait_class] : "object";
}

/* "mutex 0x5581, held by goroutine 7" and the like: on one line, without its end. */
static void put_object(const struct report *r, uint64_t address, FILE *out)
{
	const struct goro_object *o = goro_snapshot_object(r->snap, address);

	if (!address) {
		fputs("nothing: these can never go on", out);
		return;
	}
	if (address == UNREAD) {
		fputs("what could not be read", out);
		return;
	}
	fprintf(out, "%s 0x%" PRIx64, class_name(o ? o->wait_class : 0), address);
	if (!o || !o->valid)
		return;
	if (o->wait_class == GORO_CLASS_CHAN)
		fprintf(out, ", %s%" PRIu32 " of %" PRIu32 " buffered", o->closed ? "closed, " : "",
			o->len, o->cap);
	else if (o->wait_class == GORO_CLASS_WAITGROUP)
		fprintf(out, ", %" PRIu32 " not done", o->len);
	else if (o->owner)
		fprintf(out, ", held by goroutine %" PRIu64 "%s", o->owner,
			goro_snapshot_find(r->snap, o->owner) ? "" : ", which has ended");
	else if (o->wait_class == GORO_CLASS_RWMUTEX && o->readers)
		fprintf(out, ", held by %" PRIu32 " reader%s", o->readers,
			o->readers == 1 ? "" : "s");
}

static void put_readers_text(const struct report *r, const struct view *v, uint64_t object)
{
	size_t n;
	const struct holder *h = find_holders(v, object, &n);

	for (size_t i = 0; i < n; i++) {
		fputs("  held for reading by ", r->out);
		report_heading(r, &r->snap->g[h[i].g]);
		fputc('\n', r->out);
	}
}

static void put_bunch_text(const struct report *r, struct bunch b)
{
	const struct goro_info *g = &r->snap->g[b.first->g];
	struct goro_frame blocked;
	uint64_t oldest = 0;
	char age[TEXT_NUMBER];

	for (size_t i = 0; i < b.n; i++) {
		if (r->snap->g[b.first[i].g].wait_ns > oldest)
			oldest = r->snap->g[b.first[i].g].wait_ns;
	}
	if (b.n == 1)
		fprintf(r->out, "  goroutine %" PRIu64, g->id);
	else
		fprintf(r->out, "  %zu goroutines, the first is %" PRIu64, b.n, g->id);
	fprintf(r->out, " [%s, %s%s]", reason_name(b.first->reason), b.n == 1 ? "" : "up to ",
		text_duration(age, oldest));
	if (report_blocked_frame(r, g, &blocked)) {
		fputc(' ', r->out);
		report_frame(r->out, &blocked);
	}
	fputc('\n', r->out);
}

void report_waits_text(const struct report *r)
{
	size_t objects = 0;
	struct view v;
	struct bunch b;

	if (!view_make(r->snap, &v)) {
		view_free(&v);
		return;
	}
	for (size_t i = 0; i < v.n; i += b.n) {
		b = next_bunch(r->snap, &v.w[i], v.n - i);
		if (i == 0 || v.w[i].object != v.w[i - 1].object) {
			fputs(objects++ ? "\n" : "", r->out);
			report_style(r, "1");
			put_object(r, v.w[i].object, r->out);
			report_style(r, "");
			fputc('\n', r->out);
			put_readers_text(r, &v, v.w[i].object);
		}
		put_bunch_text(r, b);
	}
	if (!v.n)
		fputs("no goroutine waits for another one\n", r->out);
	view_free(&v);
}

static json_t *object_json(const struct report *r, const struct view *v, uint64_t address)
{
	const struct goro_object *o = address ? goro_snapshot_object(r->snap, address) : NULL;
	bool known = address && address != UNREAD;
	json_t *readers, *all = json_pack("{s:o, s:o}", "address",
					  report_json_hex(known ? address : 0), "kind",
					  known ? json_string(class_name(o ? o->wait_class : 0))
						: json_null());
	const struct holder *h;
	size_t n;

	json_object_set_new(all, "waiters", json_array());
	if (!o || !o->valid)
		return all;
	readers = json_array();
	h = find_holders(v, address, &n);
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
	struct view v;
	size_t end;

	if (!view_make(r->snap, &v) || !report_json_begin(r)) {
		view_free(&v);
		return;
	}
	fputs(",\n\"objects\":[", r->out);
	for (size_t i = 0; i < v.n; i = end) {
		json_t *object = object_json(r, &v, v.w[i].object);
		json_t *waiters = json_object_get(object, "waiters");

		for (end = i; end < v.n && v.w[end].object == v.w[i].object; end++) {
			const struct goro_info *g = &r->snap->g[v.w[end].g];

			json_array_append_new(waiters,
					      json_pack("{s:I, s:s, s:I}", "goroutine",
							(json_int_t)g->id, "wait_reason",
							reason_name(v.w[end].reason), "wait_ns",
							(json_int_t)g->wait_ns));
		}
		report_json_element(r->out, object, i == 0);
	}
	fputs("]}\n", r->out);
	view_free(&v);
}

/* ---- dot ------------------------------------------------------------------------------------- */

static void put_dot_text(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc((unsigned char)*text < ' ' ? '?' : *text, out);
	}
}

static void put_bunch_dot(const struct report *r, struct bunch b)
{
	const struct goro_info *g = &r->snap->g[b.first->g];
	struct goro_frame blocked;

	fprintf(r->out, "\tg%" PRIu64 " [shape=box, label=\"", g->id);
	if (b.n == 1)
		fprintf(r->out, "goroutine %" PRIu64, g->id);
	else
		fprintf(r->out, "%zu goroutines", b.n);
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
		b.first->object, reason_name(b.first->reason));
}

static void put_object_dot(const struct report *r, const struct view *v, uint64_t address)
{
	const struct goro_snapshot *s = r->snap;
	const struct goro_object *o = address ? goro_snapshot_object(s, address) : NULL;
	const struct goro_info *owner = NULL;
	const struct holder *h;
	size_t n;

	fprintf(r->out, "\to%" PRIx64 " [shape=ellipse, label=\"", address);
	put_object(r, address, r->out);
	fputs("\"];\n", r->out);
	if (o && o->valid && o->owner) {
		owner = goro_snapshot_find(s, o->owner);
		fprintf(r->out, "\to%" PRIx64 " -> g%" PRIu64 " [label=\"held by\"];\n", address,
			owner ? s->g[v->node[owner - s->g]].id : o->owner);
	}
	h = find_holders(v, address, &n);
	for (size_t i = 0; i < n; i++)
		fprintf(r->out, "\to%" PRIx64 " -> g%" PRIu64 " [label=\"read by\"];\n", address,
			s->g[v->node[h[i].g]].id);
}

void report_waits_dot(const struct report *r)
{
	struct view v;
	struct bunch b;
	bool ok = view_make(r->snap, &v);

	fputs("digraph waits {\n", r->out);
	for (size_t i = 0; ok && i < v.n; i += b.n) {
		b = next_bunch(r->snap, &v.w[i], v.n - i);
		if (i == 0 || v.w[i].object != v.w[i - 1].object)
			put_object_dot(r, &v, v.w[i].object);
		put_bunch_dot(r, b);
	}
	fputs("}\n", r->out);
	view_free(&v);
}
