/* SPDX-License-Identifier: MIT */
/*
 * list.c - which processes can be looked into.
 */
#include "profiler.h"

#include <stdlib.h>
#include <string.h>
#include "reader.h"
#include "target.h"

/* Has it a runtime that we know, and may we look? False: nothing to list. The contract is found in
 * memory; opening every library of every process would take seconds. */
static bool examine(struct goro_candidate *c)
{
	struct modules modules = { .without_files = true };
	struct reader *reader = NULL;
	struct target *target;
	struct goro_error *err = target_open_process(&target, c->pid);

	if (err) {
		goro_error_free(err);
		return false;
	}
	err = modules_refresh(&modules, target);
	if (!err)
		err = reader_goro.probe(target, &modules, &reader);
	if (reader) {
		c->runtime = strdup(reader->runtime);
		c->goroutines = reader->goroutines;
		c->workers = reader->workers;
		c->attachable = true;
		reader->ops->close(reader);
	}
	if (err)
		c->why_not = strdup(err->message);
	modules_free(&modules);
	target->ops->close(target);
	/* One that ended while we looked is none. */
	bool there = !err || err->code != GORO_NO_TARGET;

	goro_error_free(err);
	return there;
}

static void candidate_free(struct goro_candidate *c)
{
	free(c->name);
	free(c->command);
	free(c->runtime);
	free(c->why_not);
}

struct goro_error *goro_list_processes(struct goro_candidate **ret, size_t *n, bool all)
{
	struct target_process_info *processes;
	struct goro_candidate *v;
	size_t count, kept = 0;
	struct goro_error *err = target_list_processes(&processes, &count);

	if (err)
		return err;
	v = calloc(count + 1, sizeof *v);
	if (!v) {
		target_list_free(processes, count);
		return &goro_enomem;
	}
	for (size_t i = 0; i < count; i++) {
		struct target_process_info *p = &processes[i];
		struct goro_candidate c = {
			.pid = p->pid,
			.uid = p->uid,
			.name = p->name,
			.command = p->command,
			.goroutines = -1,
			.workers = p->threads,
			.rss = p->rss,
		};

		p->name = p->command = NULL;
		if (examine(&c) && (c.attachable || (all && c.why_not)))
			v[kept++] = c;
		else
			candidate_free(&c);
	}
	target_list_free(processes, count);
	*ret = v;
	*n = kept;
	return NULL;
}

void goro_candidates_free(struct goro_candidate *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		candidate_free(&c[i]);
	free(c);
}
