/* SPDX-License-Identifier: MIT */
/*
 * report_dump.c - all goroutines of a snapshot: as text in groups, and as JSON.
 *
 * Ten thousand goroutines have a handful of stacks, so each stack is written once.
 */
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

/* "ended by SIGSEGV (Segmentation fault) at 0x8, in thread 12, goroutine 7" */
static void put_crash(const struct report *r)
{
	const struct goro_crash *c = &r->snap->crash;
	const char *name = sigabbrev_np(c->signal), *meaning = sigdescr_np(c->signal);

	if (!c->signal)
		return;
	fprintf(r->out, "ended by SIG%s (%s)", name ? name : "?", meaning ? meaning : "?");
	if (c->address)
		fprintf(r->out, " at 0x%" PRIx64, c->address);
	fprintf(r->out, " in thread %d, ", c->tid);
	if (c->goroutine)
		fprintf(r->out, "goroutine %" PRIu64 "\n", c->goroutine);
	else
		fputs("which ran no goroutine\n", r->out);
}

static void put_summary(const struct report *r, const struct report_filter *filter)
{
	const struct goro_snapshot *s = r->snap;
	struct goro_group *states;
	char uptime[TEXT_NUMBER], rss[TEXT_NUMBER];
	size_t n;

	report_put(r->out, s->name);
	fprintf(r->out, " (pid %d), ", s->pid);
	report_put(r->out, s->runtime);
	fprintf(r->out, ", up %s", text_duration(uptime, s->uptime_ns));
	if (s->rss)
		fprintf(r->out, ", %s in memory", text_bytes(rss, s->rss));
	report_source(r->out, s);
	fputc('\n', r->out);
	fprintf(r->out, "%zu goroutine%s", goro_snapshot_count(s), plural(goro_snapshot_count(s)));
	if (filter) {
		fprintf(r->out, " of %zu match \"", filter->of);
		report_put(r->out, filter->text);
		fputc('"', r->out);
	}
	states = goro_groups(s, GORO_BY_STATE, NULL, &n);
	for (size_t i = 0; states && i < n; i++)
		fprintf(r->out, "%s %zu %s", i ? "," : ":", states[i].n,
			goro_state_text(&s->g[states[i].members[0]]));
	goro_groups_free(states, n);
	if (s->reclaimed)
		fprintf(r->out, "; %" PRIu64 " leaked and reclaimed", s->reclaimed);
	fputs(s->deadlocked ? "\nall goroutines are asleep: deadlock\n" : "\n", r->out);
	put_crash(r);
	report_heap_summary(r);
}

static void put_trust(const struct report *r)
{
	const struct goro_snapshot *s = r->snap;
	char cost[TEXT_NUMBER], bytes[TEXT_NUMBER];

	fprintf(r->out, "read %s in %s%s", text_bytes(bytes, s->bytes_read),
		text_duration(cost, (uint64_t)s->cost_ns),
		s->source == GORO_LIVE ? " without a stop" : "");
	if (s->torn)
		fprintf(r->out, "; %" PRIu32 " ran while they were read", s->torn);
	if (s->truncated)
		fprintf(r->out, "; %" PRIu32 " stack%s cut short", s->truncated,
			plural(s->truncated));
	if (s->lost)
		fprintf(r->out, ", %" PRIu32 " of them not in the core file", s->lost);
	if (s->bad_records)
		fprintf(r->out, "; %" PRIu32 " unreadable record%s", s->bad_records,
			plural(s->bad_records));
	fputc('\n', r->out);
}

static void put_spawn(const struct report *r, const struct goro_info *g, const char *indent)
{
	struct goro_frame site;

	if (g->flags & GORO_FLAG_MAIN)
		fprintf(r->out, "%sthe main goroutine\n", indent);
	if (g->flags & GORO_FLAG_FOREIGN)
		fprintf(r->out, "%sa thread that the program made\n", indent);
	if (!g->spawn_pc || !goro_scope_spawn_site(r->scope, g, &site))
		return;
	fprintf(r->out, "%sstarted by ", indent);
	report_frame(r->out, &site);
	fputc('\n', r->out);
}

/* Members of a group that look the same: state, reason and stack. */
static int by_look(const void *a, const void *b, void *snapshot)
{
	const struct goro_snapshot *s = snapshot;
	const struct goro_info *x = &s->g[*(const uint32_t *)a], *y = &s->g[*(const uint32_t *)b];

	if (x->stack_id != y->stack_id)
		return x->stack_id < y->stack_id ? -1 : 1;
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool same_look(const struct goro_info *x, const struct goro_info *y)
{
	return x->stack_id == y->stack_id && x->state == y->state && x->reason == y->reason;
}

static void put_look(const struct report *r, const uint32_t *member, size_t n)
{
	const struct goro_info *g = &r->snap->g[member[0]];
	uint64_t oldest = 0;
	size_t count = 0;
	char age[TEXT_NUMBER];

	for (size_t i = 0; i < n; i++) {
		const struct goro_info *m = &r->snap->g[member[i]];
		uint64_t wait_ns = m->crowd ? r->snap->crowds[m->crowd - 1].oldest_wait_ns
					    : m->wait_ns;

		count += goro_snapshot_weight(r->snap, m);
		if (wait_ns > oldest)
			oldest = wait_ns;
	}
	if (count == 1) {
		fputs("  ", r->out);
		report_heading(r, g);
	} else {
		fprintf(r->out, "  %zu [%s", count, goro_state_text(g));
		if (g->state == GORO_STATE_WAITING && oldest)
			fprintf(r->out, ", up to %s", text_duration(age, oldest));
		fprintf(r->out, "], first goroutine %" PRIu64, g->id);
	}
	fputc('\n', r->out);
	report_frames(r, g, "      ");
}

static void put_group(const struct report *r, const struct goro_group *group,
		      enum goro_group_key key)
{
	const struct goro_snapshot *s = r->snap;
	const struct goro_info *g = &s->g[group->members[0]];
	char memory[TEXT_NUMBER];
	size_t end;

	report_style(r, "1");
	fprintf(r->out, "%zu goroutine%s", group->n, plural(group->n));
	report_style(r, "");
	if (key == GORO_BY_STATE)
		fprintf(r->out, ", %s", goro_state_text(g));
	fprintf(r->out, ", %s of stacks in memory", text_bytes(memory, group->stack_resident));
	if (s->heap) {
		fputs(", ", r->out);
		report_heap(r->out, &group->heap);
	}
	if (group->verdict != GORO_VERDICT_OK) {
		report_style(r, "1;31");
		fprintf(r->out, ", %s", report_verdict_name(group->verdict));
		report_style(r, "");
	}
	fputc('\n', r->out);
	if (key == GORO_BY_SPAWN)
		put_spawn(r, g, "  ");
	qsort_r(group->members, group->nmembers, sizeof *group->members, by_look, (void *)s);
	for (size_t i = 0; i < group->nmembers; i = end) {
		for (end = i; end < group->nmembers &&
			      same_look(&s->g[group->members[i]], &s->g[group->members[end]]);
		     end++)
			;
		put_look(r, &group->members[i], end - i);
	}
	fputc('\n', r->out);
}

static void put_one(const struct report *r, const struct goro_info *g)
{
	report_style(r, "1");
	report_heading(r, g);
	report_style(r, "");
	if (g->verdict != GORO_VERDICT_OK)
		fprintf(r->out, " %s", report_verdict_name(g->verdict));
	fputc('\n', r->out);
	report_frames(r, g, "    ");
	put_spawn(r, g, "    ");
	if (r->snap->heap) {
		fputs("    holds ", r->out);
		report_heap(r->out, &r->snap->heap[g - r->snap->g]);
		fputc('\n', r->out);
	}
	fputc('\n', r->out);
}

void report_dump_text(const struct report *r, enum goro_group_key key,
		      const struct report_filter *filter)
{
	struct goro_walk walk = { .snap = r->snap };
	const struct goro_info *g;
	struct goro_group *groups;
	size_t n = 0;

	put_summary(r, filter);
	fputc('\n', r->out);
	if (key == GORO_BY_NONE) {
		while ((g = goro_snapshot_next(&walk)))
			put_one(r, g);
	} else {
		groups = goro_groups(r->snap, key, NULL, &n);
		for (size_t i = 0; groups && i < n; i++)
			put_group(r, &groups[i], key);
		goro_groups_free(groups, n);
	}
	if (r->snap->heap)
		report_heap_sites(r);
	put_trust(r);
}

void report_dump_json(const struct report *r, const struct report_filter *filter)
{
	if (!report_json_begin(r))
		return;
	if (filter) {
		fputs(",\n\"filter\":", r->out);
		report_json_element(
			r->out,
			json_pack("{s:o, s:I, s:I}", "expression", report_json_string(filter->text),
				  "kept", (json_int_t)r->snap->ng, "of", (json_int_t)filter->of),
			true);
	}
	fputs(",\n\"goroutines\":[", r->out);
	report_json_goroutines(r);
	fputs("],\n\"stacks\":[", r->out);
	for (size_t i = 0; i < r->snap->nstacks; i++)
		report_json_element(r->out, report_json_stack(r, (uint32_t)i), i == 0);
	fputc(']', r->out);
	if (r->snap->heap) {
		fputs(",\n\"heap\":", r->out);
		report_json_element(r->out, report_heap_json(r), true);
	}
	fputs("}\n", r->out);
}
