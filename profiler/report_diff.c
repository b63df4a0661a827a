/* SPDX-License-Identifier: MIT */
/*
 * report_diff.c - which spawn sites grew, came, shrank and went between two snapshots.
 *
 * A site is compared by function, file and line, and without these by its module and the offset in
 * it: addresses differ from one run of a program to the next.
 */
#include "report_diff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

struct site {
	struct goro_frame at; /* not for main */
	bool is_main, known;
	size_t before, after; /* goroutines */
	uint64_t stacks_before, stacks_after;
};

enum change { GROWN, NEW, SHRUNK, GONE, SAME, NCHANGES };

static const char *const change_names[] = { "grown", "new", "shrunk", "gone", "same" };

struct diff {
	const struct goro_snapshot *before, *after;
	struct site *sites;
	size_t n;
};

/* ---- making ---------------------------------------------------------------------------------- */

static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int by_place(const void *a, const void *b)
{
	const struct site *x = a, *y = b;
	int c;

	if (x->is_main != y->is_main)
		return x->is_main ? -1 : 1;
	if ((c = compare_text(x->at.file, y->at.file)))
		return c;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	if ((c = compare_text(x->at.function, y->at.function)) || x->at.line)
		return c;
	if ((c = strcmp(goro_basename(x->at.module), goro_basename(y->at.module))))
		return c;
	return (x->at.module_offset > y->at.module_offset) -
	       (x->at.module_offset < y->at.module_offset);
}

static bool add_sites(struct diff *d, struct goro_scope *scope, const struct goro_snapshot *snap,
		      bool after)
{
	size_t n;
	struct goro_group *groups = goro_groups(snap, GORO_BY_SPAWN, NULL, &n);
	struct site *bigger = groups ? realloc(d->sites, (d->n + n + 1) * sizeof *bigger) : NULL;

	if (!bigger) {
		goro_groups_free(groups, n);
		return false;
	}
	d->sites = bigger;
	for (size_t i = 0; i < n; i++) {
		const struct goro_info *g = &snap->g[groups[i].members[0]];
		struct site *s = &d->sites[d->n++];

		*s = (struct site){ .is_main = g->flags & GORO_FLAG_MAIN };
		s->known = goro_scope_spawn_site(scope, g, &s->at);
		if (!s->known)
			s->at = (struct goro_frame){ .pc = g->spawn_pc };
		if (after) {
			s->after = groups[i].n;
			s->stacks_after = groups[i].stack_resident;
		} else {
			s->before = groups[i].n;
			s->stacks_before = groups[i].stack_resident;
		}
	}
	goro_groups_free(groups, n);
	return true;
}

/* What is at one place is one site: a line may have several go statements. */
static void merge(struct diff *d)
{
	size_t kept = 0;

	qsort(d->sites, d->n, sizeof *d->sites, by_place);
	for (size_t i = 0; i < d->n; i++) {
		struct site *last = kept ? &d->sites[kept - 1] : NULL;

		if (!last || by_place(last, &d->sites[i]) != 0) {
			d->sites[kept++] = d->sites[i];
			continue;
		}
		last->before += d->sites[i].before;
		last->after += d->sites[i].after;
		last->stacks_before += d->sites[i].stacks_before;
		last->stacks_after += d->sites[i].stacks_after;
	}
	d->n = kept;
}

static enum change change_of(const struct site *s)
{
	if (s->before == s->after)
		return SAME;
	if (!s->before)
		return NEW;
	if (!s->after)
		return GONE;
	return s->after > s->before ? GROWN : SHRUNK;
}

static size_t difference(const struct site *s)
{
	return s->after > s->before ? s->after - s->before : s->before - s->after;
}

/* By kind of change, the greatest first. */
static int by_change(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (change_of(x) != change_of(y))
		return change_of(x) < change_of(y) ? -1 : 1;
	if (difference(x) != difference(y))
		return difference(x) > difference(y) ? -1 : 1;
	return by_place(a, b);
}

struct diff *diff_make(struct goro_scope *before_scope, const struct goro_snapshot *before,
		       struct goro_scope *after_scope, const struct goro_snapshot *after)
{
	struct diff *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->before = before;
	d->after = after;
	if (!add_sites(d, before_scope, before, false) || !add_sites(d, after_scope, after, true)) {
		diff_free(d);
		return NULL;
	}
	merge(d);
	qsort(d->sites, d->n, sizeof *d->sites, by_change);
	return d;
}

void diff_free(struct diff *d)
{
	if (d)
		free(d->sites);
	free(d);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_moment(const struct report *r, const char *what, const struct goro_snapshot *s)
{
	fprintf(r->out, "%s", what);
	report_put(r->out, s->name);
	fprintf(r->out, " (pid %d)", s->pid);
	report_source(r->out, s);
	fprintf(r->out, ": %zu goroutine%s", goro_snapshot_count(s),
		plural(goro_snapshot_count(s)));
}

static void put_site(const struct report *r, const struct site *s)
{
	fprintf(r->out, "  %+8lld  %zu to %zu, ", (long long)s->after - (long long)s->before,
		s->before, s->after);
	if (s->is_main) {
		fputs("the main goroutine", r->out);
	} else {
		fputs("started by ", r->out);
		report_frame(r->out, &s->at);
	}
	fputc('\n', r->out);
}

void report_diff_text(const struct report *r, const struct diff *d)
{
	static const char *const colours[] = { "1;31", "1;31", "32", "32", "" };
	size_t same = 0, same_goroutines = 0;
	char time[TEXT_NUMBER];
	enum change last = NCHANGES;

	put_moment(r, "from ", d->before);
	fputc('\n', r->out);
	put_moment(r, "to   ", d->after);
	fprintf(r->out, " (%+lld",
		(long long)goro_snapshot_count(d->after) -
			(long long)goro_snapshot_count(d->before));
	if (d->after->wall_time > d->before->wall_time)
		fprintf(r->out, " in %s",
			text_duration(time,
				      (uint64_t)(d->after->wall_time - d->before->wall_time)));
	fputs(")\n", r->out);
	for (size_t i = 0; i < d->n; i++) {
		enum change c = change_of(&d->sites[i]);

		if (c == SAME) {
			same++;
			same_goroutines += d->sites[i].after;
			continue;
		}
		if (c != last) {
			fputc('\n', r->out);
			report_style(r, colours[c]);
			fprintf(r->out, "%s:", change_names[c]);
			report_style(r, "");
			fputc('\n', r->out);
		}
		last = c;
		put_site(r, &d->sites[i]);
	}
	fprintf(r->out, "\n%zu spawn site%s with as many goroutines as before (%zu)\n", same,
		plural(same), same_goroutines);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *moment_json(const struct report *r, const struct goro_snapshot *s)
{
	struct report of = { .out = r->out, .scope = r->scope, .snap = s };
	json_t *head = report_json_head(&of);

	json_object_set_new(head, "goroutines", json_integer((json_int_t)goro_snapshot_count(s)));
	return head;
}

static json_t *site_json(const struct site *s)
{
	json_t *spawn = s->is_main || !s->known
				? json_null()
				: json_pack("{s:o, s:o, s:o}", "function",
					    report_json_string(s->at.function), "file",
					    report_json_string(s->at.file), "line",
					    s->at.line ? json_integer(s->at.line) : json_null());

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:o}", "change",
			 change_names[change_of(s)], "before", (json_int_t)s->before, "after",
			 (json_int_t)s->after, "stack_resident_before",
			 (json_int_t)s->stacks_before, "stack_resident_after",
			 (json_int_t)s->stacks_after, "main", s->is_main, "spawn", spawn);
}

void report_diff_json(const struct report *r, const struct diff *d)
{
	json_t *sites = json_array(), *all;

	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(sites, site_json(&d->sites[i]));
	all = json_pack("{s:i, s:o, s:o, s:o}", "schema_version", REPORT_JSON_VERSION, "before",
			moment_json(r, d->before), "after", moment_json(r, d->after), "sites",
			sites);
	json_dumpf(all, r->out, JSON_INDENT(2));
	fputc('\n', r->out);
	json_decref(all);
}
