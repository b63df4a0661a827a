/* SPDX-License-Identifier: MIT */
/*
 * site.c - goroutines of a snapshot as text that outlives their process.
 *
 * The id of a site is a hash of what stays the same when the program is changed elsewhere, built
 * again or run again: the program's name, who starts the goroutine, what it waits for, and the
 * functions on its stack. Rejected: lines, which move with every edit above them; the kind, since a
 * known leftover that can be proved one day is no new one.
 */
#include "site.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "report.h"

static const struct {
	const char *name, *text;
} kinds[] = {
	[SITE_LEAKED] = { "leaked", "stuck for ever" },
	[SITE_DEADLOCK] = { "deadlock", "in a deadlock of all" },
	[SITE_LOCKORDER] = { "lockorder", "take locks in both orders" },
	[SITE_PTHREAD] = { "pthread", "hold a thread's lock while they wait" },
	[SITE_LIKELY] = { "likely", "likely leaked" },
	[SITE_SUSPECT] = { "suspect", "under suspicion" },
	[SITE_LEFTOVER] = { "leftover", "left over at exit" },
};

const char *site_kind_name(enum site_kind kind)
{
	return kinds[kind].name;
}

const char *site_kind_text(enum site_kind kind)
{
	return kinds[kind].text;
}

void site_title(FILE *out, const struct site *site)
{
	char age[TEXT_NUMBER];

	report_put(out, site->program);
	if (site_is_warning(site)) {
		fprintf(out, ": goroutines %s", site_kind_text(site->kind));
		return;
	}
	fprintf(out, ": %zu goroutine%s %s [%s", site->count, plural(site->count),
		site_kind_text(site->kind), site->state);
	if (site->oldest_ns)
		fprintf(out, ", %s%s", site->count == 1 ? "" : "up to ",
			text_duration(age, site->oldest_ns));
	fputc(']', out);
}

struct text {
	FILE *out;
	char *text;
	size_t size;
};

static FILE *text_open(struct text *t)
{
	t->text = NULL;
	t->out = open_memstream(&t->text, &t->size);
	return t->out;
}

static char *text_close(struct text *t)
{
	if (t->out)
		fclose(t->out);
	return t->text;
}

static char *frame_text(const struct goro_frame *f)
{
	struct text t;

	if (f && text_open(&t))
		report_frame(t.out, f);
	return f ? text_close(&t) : strdup("");
}

static char *frames_text(struct goro_scope *scope, const struct goro_snapshot *snap,
			 const struct goro_info *g)
{
	struct text t;
	struct report r = { .out = text_open(&t), .scope = scope, .snap = snap };

	if (r.out)
		report_frames(&r, g, "      ");
	return text_close(&t);
}

static void put_function(FILE *out, const struct goro_frame *f)
{
	if (f->function)
		report_put(out, f->function);
	else if (f->module)
		fprintf(out, "%s+0x%" PRIx64, goro_basename(f->module), f->module_offset);
	else
		fputc('?', out);
}

/*
 * The functions of its stack that are not the runtime's. One that did not stand still while it was
 * read has any stack or none: then only the function that it was started with.
 */
static char *stack_text(struct goro_scope *scope, const struct goro_snapshot *snap,
			const struct goro_info *g)
{
	const struct goro_frame *entry;
	struct goro_frame *frames;
	struct text t;
	size_t n = 0, user = 0;
	bool any = false;

	if (!text_open(&t))
		return NULL;
	if (g->state == GORO_STATE_WAITING && g->stack_id != GORO_NO_STACK) {
		frames = goro_scope_frames(scope, snap, g->stack_id, &n, &user);
		for (size_t i = user; frames && i < n; i++) {
			if (frames[i].runtime)
				continue;
			fputs(any ? " < " : "", t.out);
			put_function(t.out, &frames[i]);
			any = true;
		}
		free(frames);
	}
	entry = any ? NULL : goro_scope_symbolize(scope, g->entry, false, &n);
	if (entry && n)
		put_function(t.out, &entry[n - 1]);
	return text_close(&t);
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo): short, and the same everywhere. */
static uint64_t hash(uint64_t h, const char *text)
{
	do {
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	} while (*text++);
	return h;
}

static void name_place(struct site *site, const struct goro_info *g, const struct goro_frame *spawn)
{
	bool waits = g->state == GORO_STATE_WAITING;
	uint64_t h = hash(UINT64_C(0xcbf29ce484222325), site->program);

	h = hash(h, waits ? site->state : "");
	h = hash(h, site->stack);
	h = hash(h, spawn && spawn->function ? spawn->function : "");
	h = hash(h, spawn ? goro_basename(spawn->file) : "");
	snprintf(site->id, sizeof site->id, "%016" PRIx64, h);
}

static void fill(struct site *site, struct goro_scope *scope, const struct goro_snapshot *snap,
		 const struct goro_info *g, const char *evidence)
{
	const struct report r = { .scope = scope, .snap = snap };
	struct goro_frame blocked, spawn;
	bool has_blocked = report_blocked_frame(&r, g, &blocked);
	bool has_spawn = g->spawn_pc && goro_scope_spawn_site(scope, g, &spawn);

	site->proof = report_proof_name(g->proof);
	site->program = strdup(snap->name ? snap->name : "");
	site->state = strdup(goro_state_text(g));
	site->blocked = frame_text(has_blocked ? &blocked : NULL);
	site->spawn = frame_text(has_spawn ? &spawn : NULL);
	site->stack = stack_text(scope, snap, g);
	site->frames = frames_text(scope, snap, g);
	site->evidence = strdup(evidence);
	site->details = json_pack(
		"{s:o, s:o, s:o}", "blocked",
		has_blocked ? report_json_frame(&blocked) : json_null(), "spawn",
		has_spawn ? report_json_frame(&spawn) : json_null(), "stack",
		g->stack_id == GORO_NO_STACK ? json_null() : report_json_stack(&r, g->stack_id));
	if (site->program && site->state && site->stack)
		name_place(site, g, has_spawn ? &spawn : NULL);
}

static bool is_whole(const struct site *s)
{
	return s->program && s->state && s->blocked && s->spawn && s->stack && s->frames &&
	       s->evidence && s->details;
}

static void free_site(struct site *s)
{
	free(s->program);
	free(s->state);
	free(s->blocked);
	free(s->spawn);
	free(s->stack);
	free(s->frames);
	free(s->evidence);
	json_decref(s->details);
}

/* Evidence names goroutines by number, so it is no part of what makes sites equal. */
static bool same_site(const struct site *a, const struct site *b)
{
	return a->kind == b->kind && a->proof == b->proof && !strcmp(a->id, b->id) &&
	       !strcmp(a->state, b->state) && !strcmp(a->blocked, b->blocked) &&
	       !strcmp(a->spawn, b->spawn) && !strcmp(a->frames, b->frames);
}

static void merge(struct site *into, struct site *site)
{
	into->count += site->count;
	into->runs += into->last_run != site->last_run;
	into->last_run = site->last_run;
	if (site->oldest_ns > into->oldest_ns)
		into->oldest_ns = site->oldest_ns;
	free_site(site);
}

/* Takes the strings of `site` over. */
static void add(struct sites *sites, struct site *site)
{
	struct site *v = is_whole(site) ? sites->v : NULL;

	for (size_t i = 0; v && i < sites->n; i++) {
		if (same_site(&v[i], site)) {
			merge(&v[i], site);
			return;
		}
	}
	v = is_whole(site) ? realloc(sites->v, (sites->n + 1) * sizeof *v) : NULL;
	if (!v) {
		sites->no_memory = true;
		free_site(site);
		return;
	}
	sites->v = v;
	sites->v[sites->n++] = *site;
}

void sites_add(struct sites *sites, struct goro_scope *scope, const struct goro_snapshot *snap,
	       enum site_kind kind, const uint32_t *which, size_t n, const char *evidence)
{
	struct site site = { .kind = kind, .count = n, .runs = 1, .last_run = sites->run };

	for (size_t i = 0; i < n; i++) {
		if (snap->g[which[i]].wait_ns > site.oldest_ns)
			site.oldest_ns = snap->g[which[i]].wait_ns;
	}
	fill(&site, scope, snap, &snap->g[which[0]], evidence);
	add(sites, &site);
}

/* "    f(...)" and then "    \t/src/a.c:12": the frames of a text, as those of a stack. */
static json_t *text_frames(const char *text, FILE *functions)
{
	json_t *frames = json_array();
	char function[256] = "", file[512];
	unsigned line;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		if (sscanf(at, "    \t%511[^:\n]:%u", file, &line) == 2 && *function) {
			struct goro_frame f = { .function = function, .file = file, .line = line };

			json_array_append_new(frames, report_json_frame(&f));
			fprintf(functions, "%s%s", json_array_size(frames) > 1 ? " < " : "",
				function);
			*function = '\0';
		} else if (!strncmp(at, "    ", 4) && at[4] != '\t') {
			snprintf(function, sizeof function, "%.*s", (int)strcspn(at + 4, "(\n"),
				 at + 4);
		}
	}
	return frames;
}

void sites_add_text(struct sites *sites, enum site_kind kind, const char *program, const char *text)
{
	struct site site = { .kind = kind, .count = 1, .runs = 1, .last_run = sites->run };
	struct text functions;
	json_t *frames, *first;

	if (!text_open(&functions)) {
		sites->no_memory = true;
		return;
	}
	frames = text_frames(text, functions.out);
	first = json_array_get(frames, 0);
	site.stack = text_close(&functions);
	site.program = strdup(program);
	site.state = strdup(site_kind_name(kind));
	site.blocked = strdup("");
	site.spawn = strdup("");
	site.frames = strdup("");
	site.evidence = strdup(text);
	for (char *tab = site.evidence; tab && (tab = strchr(tab, '\t'));)
		*tab = ' '; /* in a report it would be taken for what confuses a terminal */
	site.details = json_pack("{s:o, s:n, s:{s:b, s:o}}", "blocked",
				 first ? json_deep_copy(first) : json_null(), "spawn", "stack",
				 "complete", false, "frames", frames);
	if (site.stack && site.program && site.state)
		name_place(&site, &(struct goro_info){ .state = GORO_STATE_WAITING }, NULL);
	add(sites, &site);
}

/* Nothing that differs from run to run: no pids, no addresses, no times. */
static int by_weight(const void *a, const void *b)
{
	const struct site *x = a, *y = b;
	int d;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	d = strcmp(x->program, y->program);
	d = d ? d : strcmp(x->spawn, y->spawn);
	d = d ? d : strcmp(x->blocked, y->blocked);
	d = d ? d : strcmp(x->state, y->state);
	return d ? d : strcmp(x->frames, y->frames);
}

void sites_sort(struct sites *sites)
{
	if (sites->n)
		qsort(sites->v, sites->n, sizeof *sites->v, by_weight);
}

void sites_free(struct sites *sites)
{
	for (size_t i = 0; i < sites->n; i++)
		free_site(&sites->v[i]);
	free(sites->v);
	*sites = (struct sites){ 0 };
}
