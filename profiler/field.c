/* SPDX-License-Identifier: MIT */
/* field.c - the fields of a goroutine as numbers and as text. */

#include "profiler.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>

const struct goro_activity_info goro_activities[GORO_NACTIVITIES] = {
	[GORO_ACT_RUN] = { 'r', "run" },      [GORO_ACT_READY] = { 'R', "ready" },
	[GORO_ACT_CHAN] = { 'c', "chan" },    [GORO_ACT_SELECT] = { 's', "select" },
	[GORO_ACT_LOCK] = { 'l', "lock" },    [GORO_ACT_COND] = { 'o', "cond" },
	[GORO_ACT_WAITGROUP] = { 'g', "wg" }, [GORO_ACT_SEMA] = { 'm', "sema" },
	[GORO_ACT_IO] = { 'i', "io" },	      [GORO_ACT_SLEEP] = { 'z', "sleep" },
	[GORO_ACT_SYSCALL] = { 'y', "sys" },  [GORO_ACT_NEW] = { 'n', "new" },
	[GORO_ACT_DEAD] = { 'x', "dead" },    [GORO_ACT_OTHER] = { '?', "other" },
};

enum goro_activity goro_activity_of(char letter)
{
	for (int a = 0; a < GORO_ACT_OTHER; a++)
		if (goro_activities[a].letter == letter)
			return (enum goro_activity)a;
	return GORO_ACT_OTHER;
}

const struct goro_field_info goro_fields[GORO_NINFO_FIELDS] = {
	[GORO_F_GID] = { "gid", GORO_FIELD_COUNT, GORO_PER_GOROUTINE, "goroutine id" },
	[GORO_F_STATE] = { "state", GORO_FIELD_TEXT, GORO_PER_GOROUTINE,
			   "run ready chan select lock io sleep .. or Go's words" },
	[GORO_F_FOR] = { "for", GORO_FIELD_DURATION, GORO_PER_GOROUTINE,
			 "time in this state: for>5s" },
	[GORO_F_ON] = { "on", GORO_FIELD_TEXT, GORO_PER_GOROUTINE, "what it waits for" },
	[GORO_F_HELD] = { "held", GORO_FIELD_COUNT, GORO_PER_GOROUTINE, "locks it holds" },
	[GORO_F_MEM] = { "mem", GORO_FIELD_SIZE, GORO_PER_GOROUTINE, "stack in RAM: mem>=64K" },
	[GORO_F_HEAP] = { "heap", GORO_FIELD_SIZE, GORO_PER_GOROUTINE,
			  "heap it holds, with goro run --heap" },
	[GORO_F_WORKER] = { "worker", GORO_FIELD_COUNT, GORO_PER_GOROUTINE,
			    "worker that ran it last" },
	[GORO_F_VERDICT] = { "verdict", GORO_FIELD_VERDICT, GORO_PER_GOROUTINE,
			     "ok < suspect < likely < leaked: verdict>=likely" },
	[GORO_F_WHERE] = { "where", GORO_FIELD_TEXT, GORO_PER_STACK,
			   "file:line function it is at" },
	[GORO_F_SPAWN] = { "spawn", GORO_FIELD_TEXT, GORO_PER_SPAWN,
			   "file:line function it was started with" },
	[GORO_F_STACK] = { "stack", GORO_FIELD_TEXT, GORO_PER_STACK, "all functions of its stack" },
	[GORO_F_PARENT] = { "parent", GORO_FIELD_COUNT, GORO_PER_GOROUTINE,
			    "id of the one that started it" },
	[GORO_F_NAME] = { "name", GORO_FIELD_TEXT, GORO_PER_GOROUTINE,
			  "its own, set by goro_set_name()" },
	[GORO_F_LABEL] = { "label", GORO_FIELD_TEXT, GORO_PER_GOROUTINE,
			   "key=value, by goro_set_label(): label~request=12" },
};

const char *goro_verdict_name(uint32_t verdict)
{
	static const char *const words[] = { "ok", "SUSPECT", "LIKELY", "LEAKED" };

	return verdict < sizeof words / sizeof *words ? words[verdict] : "?";
}

const char *goro_proof_name(uint32_t proof)
{
	static const char *const proofs[] = { "",    "never",  "cycle",	     "orphan",
					      "age", "growth", "unreachable" };

	return proof < sizeof proofs / sizeof *proofs ? proofs[proof] : "";
}

uint64_t goro_field_number(const struct goro_names *names, const struct goro_info *g,
			   enum goro_info_field field)
{
	switch (field) {
	case GORO_F_GID:
		return g->id;
	case GORO_F_FOR:
		return g->wait_ns;
	case GORO_F_HELD:
		return g->held_locks;
	case GORO_F_MEM:
		return g->stack_resident;
	case GORO_F_HEAP:
		return names->snap->heap ? names->snap->heap[g - names->snap->g].bytes : 0;
	case GORO_F_WORKER:
		return g->m_id;
	case GORO_F_VERDICT:
		return g->verdict;
	case GORO_F_PARENT:
		return g->parent;
	default:
		return 0;
	}
}

static void object_text(const struct goro_names *names, const struct goro_info *g, char *buf,
			size_t size)
{
	const struct goro_object *o = goro_snapshot_object(names->snap, g->wait_object);
	enum goro_activity a = goro_activity_of(g->letter);
	unsigned long long at = g->wait_object;
	int used;

	switch (a) {
	case GORO_ACT_RUN:
	case GORO_ACT_READY:
		snprintf(buf, size, "-");
		return;
	case GORO_ACT_SELECT:
		if (g->nwaits)
			snprintf(buf, size, "%u channel%s", g->nwaits, plural(g->nwaits));
		else
			snprintf(buf, size,
				 strstr(goro_state_text(g), "no cases") ? "nothing: for ever"
									: "-");
		return;
	case GORO_ACT_CHAN:
		if (!at)
			snprintf(buf, size,
				 strstr(goro_state_text(g), "nil") ? "nil channel: for ever" : "-");
		else if (o && o->valid)
			snprintf(buf, size, "chan 0x%llx %u/%u%s", at, o->len, o->cap,
				 o->closed ? " closed" : "");
		else
			snprintf(buf, size, "chan 0x%llx", at);
		return;
	case GORO_ACT_LOCK:
		used = snprintf(buf, size, "%s 0x%llx",
				strstr(goro_state_text(g), "RWMutex") ? "rwmutex" : "mutex", at);
		if (used < 0 || (size_t)used >= size || !o || !o->valid)
			return;
		if (o->owner)
			snprintf(buf + used, size - (size_t)used, " held by g%" PRIu64, o->owner);
		else if (o->readers)
			snprintf(buf + used, size - (size_t)used, " read by %u", o->readers);
		return;
	case GORO_ACT_WAITGROUP:
		if (o && o->valid)
			snprintf(buf, size, "waitgroup 0x%llx, %u to go", at, o->len);
		else
			snprintf(buf, size, "waitgroup 0x%llx", at);
		return;
	case GORO_ACT_COND:
	case GORO_ACT_SEMA:
		snprintf(buf, size, "%s 0x%llx", goro_activities[a].name, at);
		return;
	default:
		if (at)
			snprintf(buf, size, "0x%llx", at);
		else
			snprintf(buf, size, "-");
	}
}

static void trace_text(const struct goro_names *names, const struct goro_info *g, char *buf,
		       size_t size)
{
	const struct goro_stack_names *s = goro_names_stack(names, g);
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; s && i < s->n && used + 1 < size; i++) {
		int n = snprintf(buf + used, size - used, "%s%s", i ? " < " : "",
				 s->frames[i].function ? s->frames[i].function : "?");
		used += n > 0 ? (size_t)n : 0;
	}
}

void goro_field_text(const struct goro_names *names, const struct goro_info *g,
		     enum goro_info_field field, char *buf, size_t size)
{
	char t[32];

	switch (field) {
	case GORO_F_GID:
		snprintf(buf, size, "%s", goro_text_count(t, sizeof t, g->id));
		return;
	case GORO_F_STATE:
		snprintf(buf, size, "%s", goro_activities[goro_activity_of(g->letter)].name);
		return;
	case GORO_F_FOR:
		snprintf(buf, size, "%s",
			 g->wait_ns ? goro_text_duration(t, sizeof t, g->wait_ns) : "-");
		return;
	case GORO_F_ON:
		object_text(names, g, buf, size);
		return;
	case GORO_F_HELD:
		snprintf(buf, size, "%s", goro_text_count(t, sizeof t, g->held_locks));
		return;
	case GORO_F_MEM:
		snprintf(buf, size, "%s", goro_text_size(t, sizeof t, g->stack_resident));
		return;
	case GORO_F_HEAP:
		snprintf(buf, size, "%s",
			 goro_text_size(t, sizeof t, goro_field_number(names, g, field)));
		return;
	case GORO_F_WORKER:
		snprintf(buf, size, "W%u", g->m_id);
		return;
	case GORO_F_VERDICT:
		snprintf(buf, size, "%s", goro_verdict_name(g->verdict));
		return;
	case GORO_F_WHERE:
		goro_place_text(goro_names_where(names, g), buf, size);
		return;
	case GORO_F_SPAWN:
		goro_spawn_text(goro_names_spawn(names, g), buf, size);
		return;
	case GORO_F_STACK:
		trace_text(names, g, buf, size);
		return;
	case GORO_F_PARENT:
		snprintf(buf, size, "%s", goro_text_count(t, sizeof t, g->parent));
		return;
	case GORO_F_NAME:
		snprintf(buf, size, "%s", names->snap->text ? names->snap->text + g->name : "");
		return;
	case GORO_F_LABEL:
		snprintf(buf, size, "%s", names->snap->text ? names->snap->text + g->labels : "");
		for (char *end = buf; (end = strchr(end, '\n'));)
			*end = end[1] ? ' ' : '\0';
		return;
	case GORO_NINFO_FIELDS:
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

/* Those without one behind all others. */
static int compare_name(const struct goro_names *names, const struct goro_info *a,
			const struct goro_info *b)
{
	const char *text = names->snap->text;
	const char *x = text ? text + a->name : "", *y = text ? text + b->name : "";

	return !*x || !*y ? !*x - !*y : strcmp(x, y);
}

int goro_field_compare(const struct goro_names *names, const struct goro_info *a,
		       const struct goro_info *b, enum goro_info_field field)
{
	const struct goro_spawn_name *x, *y;
	int order;

	switch (field) {
	case GORO_F_STATE:
		order = compare_number(goro_activity_of(a->letter), goro_activity_of(b->letter));
		break;
	case GORO_F_ON:
		order = compare_number(a->wait_object, b->wait_object);
		break;
	case GORO_F_WHERE:
	case GORO_F_STACK:
		order = a->stack_id == b->stack_id ? 0
						   : compare_place(goro_names_where(names, a),
								   goro_names_where(names, b));
		break;
	case GORO_F_SPAWN:
		if (a->spawn_pc == b->spawn_pc) {
			order = 0;
			break;
		}
		x = goro_names_spawn(names, a);
		y = goro_names_spawn(names, b);
		order = compare_place(x && x->known ? &x->at : NULL, y && y->known ? &y->at : NULL);
		break;
	case GORO_F_NAME:
		order = compare_name(names, a, b);
		break;
	default:
		order = compare_number(goro_field_number(names, a, field),
				       goro_field_number(names, b, field));
	}
	return order ? order : compare_number(a->id, b->id);
}
