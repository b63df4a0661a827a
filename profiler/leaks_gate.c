/* SPDX-License-Identifier: MIT */
/*
 * leaks_gate.c - the findings of goro leaks as sites, for suppressions, a baseline and the formats
 * that gate a build.
 */
#include "leaks_gate.h"

#include <string.h>

#include "cmd.h"

static enum site_kind kind_of(const struct goro_finding *f)
{
	return f->verdict == GORO_VERDICT_LEAKED   ? SITE_LEAKED
	       : f->verdict == GORO_VERDICT_LIKELY ? SITE_LIKELY
						   : SITE_SUSPECT;
}

static void add(struct sites *sites, struct goro_scope *scope, const struct goro_snapshot *snap,
		const struct goro_finding *f)
{
	sites_add(sites, scope, snap, kind_of(f), f->members, f->nmembers, f->evidence);
}

static bool counts(struct filter *filter, struct goro_scope *scope,
		   const struct goro_snapshot *snap, const struct goro_finding *f)
{
	struct sites one = { 0 };
	bool is_new;

	add(&one, scope, snap, f);
	filter_apply(filter, &one);
	is_new = !one.n || site_is_new(&one.v[0]);
	sites_free(&one);
	return is_new;
}

static void forget(struct goro_snapshot *snap, struct goro_verdicts *v, struct goro_finding *f)
{
	v->leaked -= f->verdict == GORO_VERDICT_LEAKED ? f->n : 0;
	v->likely -= f->verdict == GORO_VERDICT_LIKELY ? f->n : 0;
	v->suspect -= f->verdict == GORO_VERDICT_SUSPECT ? f->n : 0;
	for (size_t i = 0; i < f->nmembers; i++)
		snap->g[f->members[i]].finding = UINT32_MAX;
	free(f->members);
	free(f->evidence);
}

void leaks_filter(struct filter *filter, struct goro_scope *scope, struct goro_snapshot *snap,
		  struct goro_verdicts *v, struct sites *sites)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++)
		add(sites, scope, snap, &v->findings[i]);
	for (size_t i = 0; i < v->n; i++) {
		struct goro_finding *f = &v->findings[i];

		if (!counts(filter, scope, snap, f)) {
			forget(snap, v, f);
			continue;
		}
		for (size_t k = 0; k < f->nmembers; k++)
			snap->g[f->members[k]].finding = (uint32_t)kept;
		v->findings[kept++] = *f;
	}
	v->n = kept;
	sites_sort(sites);
	filter_apply(filter, sites);
}

/* Bits of the kinds that fail from a level on: leaked, likely, suspect. */
static unsigned kinds_of(int level)
{
	return 1u << SITE_LEAKED | (level >= 1 ? 1u << SITE_LIKELY : 0) |
	       (level >= 2 ? 1u << SITE_SUSPECT : 0);
}

void leaks_report(FILE *out, const char *format, const struct filter *filter,
		  const struct goro_snapshot *snap, const struct sites *sites, int level,
		  int status)
{
	struct report_gate r = {
		.out = out,
		.command = "leaks",
		.subject = snap->name ? snap->name : "",
		.sites = sites,
		.fail = kinds_of(level),
		.baseline = filter->baseline_path != NULL,
		.status = status,
	};

	if (!strcmp(format, "junit"))
		report_junit(&r);
	else if (!strcmp(format, "sarif"))
		report_sarif(&r);
	else
		report_github(&r);
}
