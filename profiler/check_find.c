/* SPDX-License-Identifier: MIT */
/*
 * check_find.c - what of a snapshot is a finding of goro check.
 */
#include "check.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "report.h"

static bool matches(const struct check_options *opt, const char *text)
{
	for (size_t i = 0; text && i < opt->nallow; i++) {
		if (!fnmatch(opt->allow[i], text, 0))
			return true;
	}
	return false;
}

/* A glob is matched against the entry function, the spawning function and "file.c:12". */
static bool allowed(struct goro_scope *scope, const struct goro_info *g,
		    const struct check_options *opt)
{
	const struct goro_frame *entry;
	struct goro_frame site;
	char place[512];
	size_t n = 0;

	if (!opt->nallow)
		return false;
	entry = goro_scope_symbolize(scope, g->entry, false, &n);
	if (n && matches(opt, entry[n - 1].function))
		return true;
	if (!g->spawn_pc || !goro_scope_spawn_site(scope, g, &site))
		return false;
	snprintf(place, sizeof place, "%s:%" PRIu32, goro_basename(site.file), site.line);
	return matches(opt, site.function) || matches(opt, place);
}

static bool counts(struct goro_scope *scope, const struct goro_info *g,
		   const struct check_options *opt, enum check_what what, uint64_t caller)
{
	if (g->flags & GORO_FLAG_SYSTEM)
		return false;
	switch (what) {
	case CHECK_PROVED:
		return g->verdict == GORO_VERDICT_LEAKED;
	case CHECK_ASLEEP:
		return true;
	default:
		return !(g->flags & GORO_FLAG_MAIN) && g->id != caller && !allowed(scope, g, opt);
	}
}

bool check_leftover(struct goro_scope *scope, const struct goro_snapshot *snap,
		    const struct check_options *opt, uint64_t caller)
{
	for (size_t i = 0; i < snap->ng; i++) {
		if (counts(scope, &snap->g[i], opt, CHECK_AT_EXIT, caller))
			return true;
	}
	return false;
}

/* Goroutines in the order of their groups-to-be. */
static int by_place(const void *a, const void *b, void *snapshot)
{
	const struct goro_snapshot *s = snapshot;
	const struct goro_info *x = &s->g[*(const uint32_t *)a], *y = &s->g[*(const uint32_t *)b];

	if (x->finding != y->finding)
		return x->finding < y->finding ? -1 : 1;
	if (x->spawn_pc != y->spawn_pc)
		return x->spawn_pc < y->spawn_pc ? -1 : 1;
	if (x->stack_id != y->stack_id)
		return x->stack_id < y->stack_id ? -1 : 1;
	if (x->state != y->state || x->reason != y->reason)
		return x->state * 256 + x->reason < y->state * 256 + y->reason ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool same_place(const struct goro_info *x, const struct goro_info *y)
{
	return x->finding == y->finding && x->spawn_pc == y->spawn_pc &&
	       x->stack_id == y->stack_id && x->state == y->state && x->reason == y->reason;
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

static void fill_group(struct check_group *group, struct goro_scope *scope,
		       const struct goro_snapshot *snap, const struct goro_info *g,
		       const char *evidence)
{
	const struct report r = { .scope = scope, .snap = snap };
	struct goro_frame blocked, spawn;
	bool has_blocked = report_blocked_frame(&r, g, &blocked);
	bool has_spawn = g->spawn_pc && goro_scope_spawn_site(scope, g, &spawn);

	group->program = strdup(snap->name ? snap->name : "");
	group->state = strdup(goro_state_text(g));
	group->blocked = frame_text(has_blocked ? &blocked : NULL);
	group->spawn = frame_text(has_spawn ? &spawn : NULL);
	group->frames = frames_text(scope, snap, g);
	group->evidence = strdup(evidence);
	group->details = json_pack(
		"{s:o, s:o, s:o}", "blocked",
		has_blocked ? report_json_frame(&blocked) : json_null(), "spawn",
		has_spawn ? report_json_frame(&spawn) : json_null(), "stack",
		g->stack_id == GORO_NO_STACK ? json_null() : report_json_stack(&r, g->stack_id));
}

static bool is_whole(const struct check_group *g)
{
	return g->program && g->state && g->blocked && g->spawn && g->frames && g->evidence &&
	       g->details;
}

static void free_group(struct check_group *g)
{
	free(g->program);
	free(g->state);
	free(g->blocked);
	free(g->spawn);
	free(g->frames);
	free(g->evidence);
	json_decref(g->details);
}

/* Evidence names goroutines by number, so it is no part of what makes groups equal. */
static bool same_group(const struct check_group *a, const struct check_group *b)
{
	return a->kind == b->kind && !strcmp(a->program, b->program) &&
	       !strcmp(a->state, b->state) && !strcmp(a->blocked, b->blocked) &&
	       !strcmp(a->spawn, b->spawn) && !strcmp(a->frames, b->frames);
}

/* Takes the group's strings over. */
static void add_group(struct check_findings *f, struct check_group *group)
{
	struct check_group *v;

	if (!is_whole(group)) {
		f->no_memory = true;
		free_group(group);
		return;
	}
	for (size_t i = 0; i < f->n; i++) {
		if (!same_group(&f->v[i], group))
			continue;
		f->v[i].count += group->count;
		if (group->oldest_ns > f->v[i].oldest_ns)
			f->v[i].oldest_ns = group->oldest_ns;
		free_group(group);
		return;
	}
	v = realloc(f->v, (f->n + 1) * sizeof *v);
	if (!v) {
		f->no_memory = true;
		free_group(group);
		return;
	}
	f->v = v;
	f->v[f->n++] = *group;
}

static enum check_kind kind_of(const struct goro_info *g, enum check_what what)
{
	if (g->verdict == GORO_VERDICT_LEAKED)
		return CHECK_LEAKED;
	return what == CHECK_ASLEEP ? CHECK_DEADLOCK : CHECK_LEFTOVER;
}

static void add_goroutines(struct check_findings *f, struct goro_scope *scope,
			   struct goro_snapshot *snap, const struct goro_verdicts *verdicts,
			   enum check_what what, uint32_t *which, size_t n)
{
	size_t end;

	qsort_r(which, n, sizeof *which, by_place, snap);
	for (size_t i = 0; i < n; i = end) {
		const struct goro_info *g = &snap->g[which[i]];
		struct check_group group = { .kind = kind_of(g, what) };
		bool proved = g->verdict == GORO_VERDICT_LEAKED && g->finding < verdicts->n;

		for (end = i; end < n && same_place(g, &snap->g[which[end]]); end++) {
			uint64_t age = snap->g[which[end]].wait_ns;

			if (age > group.oldest_ns)
				group.oldest_ns = age;
		}
		group.count = end - i;
		fill_group(&group, scope, snap, g,
			   proved ? verdicts->findings[g->finding].evidence : "");
		add_group(f, &group);
	}
}

struct goro_error *check_find(struct check_findings *f, struct goro_scope *scope,
			      struct goro_snapshot *snap, const struct check_options *opt,
			      enum check_what what, uint64_t caller)
{
	static const struct goro_verdict_options proofs_only = { 0 };
	struct goro_verdicts *verdicts;
	struct goro_error *err = goro_scope_judge(scope, snap, &proofs_only, &verdicts);
	uint32_t *which;
	size_t n = 0;

	if (err)
		return err;
	which = calloc(snap->ng + 1, sizeof *which);
	f->no_memory |= !which;
	for (size_t i = 0; which && i < snap->ng; i++) {
		if (counts(scope, &snap->g[i], opt, what, caller))
			which[n++] = (uint32_t)i;
	}
	if (n)
		add_goroutines(f, scope, snap, verdicts, what, which, n);
	free(which);
	goro_verdicts_free(verdicts);
	return NULL;
}

void check_findings_free(struct check_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free_group(&f->v[i]);
	free(f->v);
	*f = (struct check_findings){ 0 };
}
