/* SPDX-License-Identifier: MIT */
/*
 * check_find.c - what of a snapshot is a finding of goro check.
 */
#include "check.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <search.h>
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
		return !(g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN)) && g->id != caller &&
		       !allowed(scope, g, opt);
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

/* Goroutines in the order of their sites-to-be. */
static int by_place(const void *a, const void *b, void *snapshot)
{
	const struct goro_snapshot *s = snapshot;
	const struct goro_info *x = &s->g[*(const uint32_t *)a], *y = &s->g[*(const uint32_t *)b];
	uint64_t a_site = goro_snapshot_site(s, x->spawn_pc);
	uint64_t b_site = goro_snapshot_site(s, y->spawn_pc);

	if (x->finding != y->finding)
		return x->finding < y->finding ? -1 : 1;
	if (a_site != b_site)
		return a_site < b_site ? -1 : 1;
	if (x->stack_id != y->stack_id)
		return x->stack_id < y->stack_id ? -1 : 1;
	if (x->state != y->state || x->reason != y->reason)
		return x->state * 256 + x->reason < y->state * 256 + y->reason ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool same_place(const struct goro_snapshot *s, const struct goro_info *x,
		       const struct goro_info *y)
{
	return x->finding == y->finding && x->stack_id == y->stack_id && x->state == y->state &&
	       x->reason == y->reason &&
	       goro_snapshot_site(s, x->spawn_pc) == goro_snapshot_site(s, y->spawn_pc);
}

static enum site_kind kind_of(const struct goro_info *g, enum check_what what)
{
	if (g->verdict == GORO_VERDICT_LEAKED)
		return SITE_LEAKED;
	return what == CHECK_ASLEEP ? SITE_DEADLOCK : SITE_LEFTOVER;
}

static void add_goroutines(struct check_findings *f, struct goro_scope *scope,
			   struct goro_snapshot *snap, const struct goro_verdicts *verdicts,
			   enum check_what what, uint32_t *which, size_t n)
{
	size_t end;

	qsort_r(which, n, sizeof *which, by_place, snap);
	for (size_t i = 0; i < n; i = end) {
		const struct goro_info *g = &snap->g[which[i]];
		bool proved = g->verdict == GORO_VERDICT_LEAKED && g->finding < verdicts->n;

		for (end = i; end < n && same_place(snap, g, &snap->g[which[end]]); end++)
			;
		sites_add(&f->sites, scope, snap, kind_of(g, what), &which[i], end - i,
			  proved ? verdicts->findings[g->finding].evidence : "");
	}
}

/* ---- with --every a goroutine is found again and again --------------------------------------- */

/* A process that becomes another by exec() keeps its id; the goroutines of its new runtime begin at
 * 1 again. */
struct seen {
	int pid;
	int64_t start; /* of the runtime */
	uint64_t id;
};

static int by_identity(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* True the first time. */
static bool is_first(struct check_findings *f, struct seen key)
{
	struct seen *copy;

	if (tfind(&key, &f->seen, by_identity))
		return false;
	copy = malloc(sizeof *copy);
	if (!copy) {
		f->sites.no_memory = true;
		return false;
	}
	*copy = key;
	if (!tsearch(copy, &f->seen, by_identity)) {
		free(copy);
		f->sites.no_memory = true;
	}
	return true;
}

void check_note_process(struct check_findings *f, int pid)
{
	f->checked += is_first(f, (struct seen){ .pid = pid }); /* no goroutine has the id 0 */
}

void check_forget_seen(struct check_findings *f)
{
	tdestroy(f->seen, free);
	f->seen = NULL;
}

struct goro_error *check_find(struct check_findings *f, struct goro_scope *scope,
			      struct goro_snapshot *snap, const struct check_options *opt,
			      enum check_what what, uint64_t caller)
{
	static const struct goro_verdict_options proofs_only = { .reach = true };
	struct goro_verdicts *verdicts;
	struct goro_error *err = goro_scope_judge(scope, snap, &proofs_only, &verdicts);
	struct seen one = { snap->pid, snap->time - (int64_t)snap->uptime_ns, 0 };
	uint32_t *which;
	size_t n = 0;

	if (err)
		return err;
	which = calloc(snap->ng + 1, sizeof *which);
	f->sites.no_memory |= !which;
	for (size_t i = 0; which && i < snap->ng; i++) {
		one.id = snap->g[i].id;
		if (counts(scope, &snap->g[i], opt, what, caller) && is_first(f, one))
			which[n++] = (uint32_t)i;
	}
	if (n)
		add_goroutines(f, scope, snap, verdicts, what, which, n);
	/* Main alone has nobody whom it could wait for in vain. */
	if (verdicts->reach.unknown[0] && (n || (what == CHECK_PROVED && snap->ng > 1)))
		snprintf(f->unknown, sizeof f->unknown, "%s", verdicts->reach.unknown);
	free(which);
	goro_verdicts_free(verdicts);
	return NULL;
}

void check_findings_free(struct check_findings *f)
{
	check_forget_seen(f);
	sites_free(&f->sites);
}
