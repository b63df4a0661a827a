/* SPDX-License-Identifier: MIT */
/* field.c - the fields of a goroutine as numbers and as text. */
#include "field.h"
#include "util.h"

#include <inttypes.h>
#include <string.h>

const struct field_info fields[NFIELDS] = {
	[F_GID] = { "gid", FIELD_COUNT, PER_GOROUTINE, "goroutine id" },
	[F_STATE] = { "state", FIELD_TEXT, PER_GOROUTINE,
		      "run ready chan select lock io sleep .. or Go's words" },
	[F_FOR] = { "for", FIELD_DURATION, PER_GOROUTINE, "time in this state: for>5s" },
	[F_ON] = { "on", FIELD_TEXT, PER_GOROUTINE, "what it waits for" },
	[F_HELD] = { "held", FIELD_COUNT, PER_GOROUTINE, "locks it holds" },
	[F_MEM] = { "mem", FIELD_SIZE, PER_GOROUTINE, "stack in RAM: mem>=64K" },
	[F_HEAP] = { "heap", FIELD_SIZE, PER_GOROUTINE, "heap it holds, with goro run --heap" },
	[F_WORKER] = { "worker", FIELD_COUNT, PER_GOROUTINE, "worker that ran it last" },
	[F_VERDICT] = { "verdict", FIELD_VERDICT, PER_GOROUTINE,
			"ok < suspect < likely < leaked: verdict>=likely" },
	[F_WHERE] = { "where", FIELD_TEXT, PER_STACK, "file:line function it is at" },
	[F_SPAWN] = { "spawn", FIELD_TEXT, PER_SPAWN, "file:line function it was started with" },
	[F_STACK] = { "stack", FIELD_TEXT, PER_STACK, "all functions of its stack" },
	[F_PARENT] = { "parent", FIELD_COUNT, PER_GOROUTINE, "id of the one that started it" },
	[F_NAME] = { "name", FIELD_TEXT, PER_GOROUTINE, "its own, set by goro_set_name()" },
	[F_LABEL] = { "label", FIELD_TEXT, PER_GOROUTINE,
		      "key=value, by goro_set_label(): label~request=12" },
};

const char *const verdict_names[4] = { "ok", "SUSPECT", "LIKELY", "LEAKED" };

const char *verdict_name(uint32_t verdict)
{
	return verdict < ARRAY_LEN(verdict_names) ? verdict_names[verdict] : "?";
}

const char *proof_name(uint32_t proof)
{
	static const char *const proofs[] = { "",    "never",  "cycle",	     "orphan",
					      "age", "growth", "unreachable" };

	return proof < ARRAY_LEN(proofs) ? proofs[proof] : "";
}

uint64_t field_number(const struct frame *f, const struct goro_info *g, enum field field)
{
	switch (field) {
	case F_GID:
		return g->id;
	case F_FOR:
		return g->wait_ns;
	case F_HELD:
		return g->held_locks;
	case F_MEM:
		return g->stack_resident;
	case F_HEAP:
		return f->snap->heap ? f->snap->heap[g - f->snap->g].bytes : 0;
	case F_WORKER:
		return g->m_id;
	case F_VERDICT:
		return g->verdict;
	case F_PARENT:
		return g->parent;
	default:
		return 0;
	}
}

static void object_text(const struct frame *f, const struct goro_info *g, char *buf, size_t size)
{
	const struct goro_object *o = goro_snapshot_object(f->snap, g->wait_object);
	enum activity a = activity_of(g->letter);
	unsigned long long at = g->wait_object;
	int used;

	switch (a) {
	case ACT_RUN:
	case ACT_READY:
		snprintf(buf, size, "-");
		return;
	case ACT_SELECT:
		if (g->nwaits)
			snprintf(buf, size, "%u channel%s", g->nwaits, g->nwaits == 1 ? "" : "s");
		else
			snprintf(buf, size,
				 strstr(goro_state_text(g), "no cases") ? "nothing: for ever"
									: "-");
		return;
	case ACT_CHAN:
		if (!at)
			snprintf(buf, size,
				 strstr(goro_state_text(g), "nil") ? "nil channel: for ever" : "-");
		else if (o && o->valid)
			snprintf(buf, size, "chan 0x%llx %u/%u%s", at, o->len, o->cap,
				 o->closed ? " closed" : "");
		else
			snprintf(buf, size, "chan 0x%llx", at);
		return;
	case ACT_LOCK:
		used = snprintf(buf, size, "%s 0x%llx",
				strstr(goro_state_text(g), "RWMutex") ? "rwmutex" : "mutex", at);
		if (used < 0 || (size_t)used >= size || !o || !o->valid)
			return;
		if (o->owner)
			snprintf(buf + used, size - (size_t)used, " held by g%" PRIu64, o->owner);
		else if (o->readers)
			snprintf(buf + used, size - (size_t)used, " read by %u", o->readers);
		return;
	case ACT_WAITGROUP:
		if (o && o->valid)
			snprintf(buf, size, "waitgroup 0x%llx, %u to go", at, o->len);
		else
			snprintf(buf, size, "waitgroup 0x%llx", at);
		return;
	case ACT_COND:
	case ACT_SEMA:
		snprintf(buf, size, "%s 0x%llx", activities[a].name, at);
		return;
	default:
		if (at)
			snprintf(buf, size, "0x%llx", at);
		else
			snprintf(buf, size, "-");
	}
}

static void trace_text(const struct frame *f, const struct goro_info *g, char *buf, size_t size)
{
	const struct stack_names *s = frame_stack(f, g);
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; s && i < s->n && used + 1 < size; i++) {
		int n = snprintf(buf + used, size - used, "%s%s", i ? " < " : "",
				 s->frames[i].function ? s->frames[i].function : "?");
		used += n > 0 ? (size_t)n : 0;
	}
}

void field_text(const struct frame *f, const struct goro_info *g, enum field field, char *buf,
		size_t size)
{
	struct text t;

	switch (field) {
	case F_GID:
		snprintf(buf, size, "%s", fmt_count(&t, g->id));
		return;
	case F_STATE:
		snprintf(buf, size, "%s", activities[activity_of(g->letter)].name);
		return;
	case F_FOR:
		snprintf(buf, size, "%s", g->wait_ns ? fmt_duration(&t, g->wait_ns) : "-");
		return;
	case F_ON:
		object_text(f, g, buf, size);
		return;
	case F_HELD:
		snprintf(buf, size, "%s", fmt_count(&t, g->held_locks));
		return;
	case F_MEM:
		snprintf(buf, size, "%s", fmt_size(&t, g->stack_resident));
		return;
	case F_HEAP:
		snprintf(buf, size, "%s", fmt_size(&t, field_number(f, g, field)));
		return;
	case F_WORKER:
		snprintf(buf, size, "W%u", g->m_id);
		return;
	case F_VERDICT:
		snprintf(buf, size, "%s", verdict_name(g->verdict));
		return;
	case F_WHERE:
		place_text(frame_where(f, g), buf, size);
		return;
	case F_SPAWN:
		spawn_text(frame_spawn(f, g), buf, size);
		return;
	case F_STACK:
		trace_text(f, g, buf, size);
		return;
	case F_PARENT:
		snprintf(buf, size, "%s", fmt_count(&t, g->parent));
		return;
	case F_NAME:
		snprintf(buf, size, "%s", f->snap->text ? f->snap->text + g->name : "");
		return;
	case F_LABEL:
		snprintf(buf, size, "%s", f->snap->text ? f->snap->text + g->labels : "");
		for (char *end = buf; (end = strchr(end, '\n'));)
			*end = end[1] ? ' ' : '\0';
		return;
	case NFIELDS:
		break;
	}
	buf[0] = '\0';
}

static int compare_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_place(const struct goro_frame *a, const struct goro_frame *b)
{
	if (a == b)
		return 0;
	if (!a || !b)
		return a ? 1 : -1;
	int order = strcmp(goro_basename(a->file ? a->file : ""),
			   goro_basename(b->file ? b->file : ""));
	if (order == 0)
		order = compare_number(a->line, b->line);
	return order ? order : compare_number(a->pc, b->pc);
}

int field_compare(const struct frame *f, const struct goro_info *a, const struct goro_info *b,
		  enum field field)
{
	const struct spawn_name *x, *y;
	int order;

	switch (field) {
	case F_STATE:
		order = compare_number(activity_of(a->letter), activity_of(b->letter));
		break;
	case F_ON:
		order = compare_number(a->wait_object, b->wait_object);
		break;
	case F_WHERE:
	case F_STACK:
		order = a->stack_id == b->stack_id
				? 0
				: compare_place(frame_where(f, a), frame_where(f, b));
		break;
	case F_SPAWN:
		if (a->spawn_pc == b->spawn_pc) {
			order = 0;
			break;
		}
		x = frame_spawn(f, a);
		y = frame_spawn(f, b);
		order = compare_place(x && x->known ? &x->at : NULL, y && y->known ? &y->at : NULL);
		break;
	default:
		order = compare_number(field_number(f, a, field), field_number(f, b, field));
	}
	return order ? order : compare_number(a->id, b->id);
}
