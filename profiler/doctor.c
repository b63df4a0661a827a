/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - go the way of every other command step by step, and say how each step went.
 */
#include "doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include "contract.h"
#include "record.h"
#include "scope.h"
#include "text.h"

static struct doctor_check *add(struct doctor *d, const char *name, enum doctor_state state,
				const char *fmt, ...)
{
	struct doctor_check *c = &d->checks[d->nchecks++];
	va_list ap;

	*c = (struct doctor_check){ .name = name, .state = state };
	va_start(ap, fmt);
	if (vasprintf(&c->text, fmt, ap) < 0)
		c->text = NULL;
	va_end(ap);
	return c;
}

static void add_error(struct doctor *d, const char *name, struct goro_error *err)
{
	struct doctor_check *c = add(d, name, DOCTOR_FAILURE, "%s", err->message);

	c->fix = err->hint ? strdup(err->hint) : NULL;
	d->status = err->code;
	goro_error_free(err);
}

/* How the contract was found; the reader found it, or there were no scope. */
static void examine_contract(struct doctor *d, struct goro_scope *scope)
{
	struct contract *c = calloc(1, sizeof *c);
	const struct module *m;
	struct goro_error *err;
	uint64_t address = 0;

	if (!c)
		return;
	err = contract_find(scope->target, &scope->modules, &address);
	if (!err)
		err = contract_load(c, scope->target, address);
	if (err) {
		add_error(d, "contract", err);
		free(c);
		return;
	}
	m = modules_find(&scope->modules, address);
	add(d, "contract", DOCTOR_OK,
	    "version %" PRIu32 " of %s at 0x%" PRIx64 ", found by its %s in %s", c->raw.version,
	    scope->reader->runtime, address,
	    m && contract_has_note(scope->target, m) ? "ELF note" : "symbol",
	    m ? m->path : "no module");
	free(c);
}

static void examine_goroutines(struct doctor *d, const struct goro_snapshot *s)
{
	bool bad = s->torn || s->bad_records;
	char cost[TEXT_NUMBER];

	add(d, "goroutines", bad ? DOCTOR_WARNING : DOCTOR_OK,
	    "%zu read in %s; %" PRIu32 " ran while they were read, %" PRIu32 " records unreadable",
	    goro_snapshot_count(s), text_duration(cost, (uint64_t)s->cost_ns), s->torn,
	    s->bad_records);
}

static void examine_unwinding(struct doctor *d, const struct goro_snapshot *s,
			      const struct unwind_comparison *cmp)
{
	struct doctor_check *c;

	if (cmp->different) {
		c = add(d, "unwinding", DOCTOR_FAILURE,
			"our unwinder and libunwind differ on %zu of %zu stacks", cmp->different,
			cmp->compared);
		c->fix = strdup("the frames of this program cannot be trusted: please report it "
				"with the program");
		d->status = GORO_PARTIAL;
	} else if (cmp->without_reference && !cmp->compared) {
		c = add(d, "unwinding", s->truncated ? DOCTOR_WARNING : DOCTOR_OK,
			"%zu stacks by our unwinder alone, for libunwind has no tables; %" PRIu32
			" are cut short",
			cmp->without_reference, s->truncated);
	} else {
		c = add(d, "unwinding",
			s->truncated || cmp->by_frame_pointer ? DOCTOR_WARNING : DOCTOR_OK,
			"our unwinder and libunwind agree on %zu stacks; %zu needed libunwind, "
			"%zu frame pointers, %" PRIu32 " are cut short",
			cmp->compared, cmp->only_libunwind - cmp->by_frame_pointer,
			cmp->by_frame_pointer, s->truncated);
	}
	if (!c->fix && (s->truncated > s->lost || cmp->by_frame_pointer))
		c->fix = strdup("compile with -fasynchronous-unwind-tables and do not strip "
				".eh_frame");
}

/* What a core file should hold and does not. */
static void examine_core(struct doctor *d, const struct goro_snapshot *s)
{
	char cut[TEXT_NUMBER];
	struct doctor_check *c;

	if (s->cut) {
		c = add(d, "core", DOCTOR_WARNING, "it is cut short: %s are missing",
			text_bytes(cut, s->cut));
		c->fix = strdup("was the disk full, or the limit (ulimit -c) too low?");
	} else if (s->lost) {
		c = add(d, "core", DOCTOR_WARNING,
			"the stacks of %" PRIu32 " goroutines are not in it", s->lost);
		c->fix = strdup("gdb's gcore has no more than the first some hundred, and none "
				"of an older runtime: let\nthe kernel write the core file (prlimit "
				"--core=unlimited --pid PID; kill -ABRT PID)");
	} else {
		add(d, "core", DOCTOR_OK, "all stacks are in it");
	}
}

static bool has_section(struct module *m, const char *name)
{
	uint64_t address;
	size_t size;

	return m->elf && module_section(m, name, &size, &address);
}

static struct doctor_module *module_entry(struct doctor *d, struct module *m)
{
	struct doctor_module *e;

	if (!strcmp(m->path, TARGET_VDSO)) /* nobody has its sources */
		return NULL;
	for (size_t i = 0; i < d->nmodules; i++) {
		if (!strcmp(d->modules[i].path, m->path))
			return &d->modules[i];
	}
	e = realloc(d->modules, (d->nmodules + 1) * sizeof *e);
	if (!e)
		return NULL;
	d->modules = e;
	e = &d->modules[d->nmodules];
	*e = (struct doctor_module){
		.path = strdup(m->path),
		.has_file = m->elf != NULL,
		.no_file = m->no_file,
		.has_unwind = has_section(m, ".eh_frame") || has_section(m, ".debug_frame"),
		.has_debug = has_section(m, ".debug_info"),
	};
	snprintf(e->build_id, sizeof e->build_id, "%s", m->build_id);
	d->nmodules += e->path != NULL;
	return e->path ? e : NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Names of every address in the stacks, each counted once. */
static void examine_addresses(struct doctor *d, struct goro_scope *scope,
			      struct goro_snapshot *snap)
{
	qsort(snap->pcs, snap->npcs, sizeof *snap->pcs, by_value);
	for (size_t i = 0; i < snap->npcs; i++) {
		struct module *m = modules_find(&scope->modules, snap->pcs[i]);
		struct doctor_module *e;
		const struct goro_frame *f;
		size_t n = 0;

		if (!m || (i && snap->pcs[i] == snap->pcs[i - 1]))
			continue;
		e = module_entry(d, m);
		f = goro_scope_symbolize(scope, snap->pcs[i], true, &n);
		if (!e || !n)
			continue;
		if (m->no_split && !e->no_split)
			e->no_split = strdup(m->no_split);
		e->addresses++;
		e->functions += f[n - 1].function != NULL;
		e->lines += f[n - 1].line != 0;
	}
}

/* What would give a module's addresses their names. */
static void put_module_fix(FILE *fix, const struct doctor_module *m, bool core)
{
	if (!m->has_file && m->no_file == ESTALE)
		fprintf(fix, "%s: the file there is not the one that ran%s\n", m->path,
			core ? ": put that one in its place" : "");
	else if (m->no_split)
		fprintf(fix,
			"%s: what is inlined is not known: %s, which says so, is not "
			"there (packages, .dwp, are not read)\n",
			m->path, m->no_split);
	else if (!m->has_file)
		fprintf(fix, "%s: its file cannot be opened%s%s\n", m->path, m->no_file ? ": " : "",
			m->no_file ? strerror(m->no_file) : "");
	else
		fprintf(fix, "%s: %s\n", m->path,
			m->has_debug ? "some of its code was compiled without -g"
				     : "compile it with -g, or install its debug symbols");
}

static void examine_symbols(struct doctor *d, bool core)
{
	size_t addresses = 0, functions = 0, lines = 0, size;
	bool nameless = false;
	struct doctor_check *c;
	FILE *fix;

	for (size_t i = 0; i < d->nmodules; i++) {
		addresses += d->modules[i].addresses;
		functions += d->modules[i].functions;
		lines += d->modules[i].lines;
		nameless |= !d->modules[i].lines || d->modules[i].no_split;
	}
	c = add(d, "symbols", nameless || functions < addresses ? DOCTOR_WARNING : DOCTOR_OK,
		"of %zu addresses %zu have a function and %zu a line", addresses, functions, lines);
	if (c->state == DOCTOR_OK)
		return;
	fix = open_memstream(&c->fix, &size);
	for (size_t i = 0; fix && i < d->nmodules; i++) {
		const struct doctor_module *m = &d->modules[i];

		if (m->lines && m->functions == m->addresses && !m->no_split)
			continue; /* assembly has no lines */
		put_module_fix(fix, m, core);
	}
	if (fix)
		fclose(fix);
}

static void examine_snapshot(struct doctor *d, struct goro_scope *scope)
{
	struct unwind_comparison *cmp = calloc(1, sizeof *cmp);
	struct goro_snapshot *snap;
	struct goro_error *err;

	if (!cmp)
		return;
	unwinder_compare(scope->unwinder, cmp);
	goro_scope_summarize(scope); /* nobody is told of any one of them */
	err = goro_scope_snapshot(scope, &snap);
	unwinder_compare(scope->unwinder, NULL);
	if (err) {
		add_error(d, "goroutines", err);
	} else {
		if (snap->source == GORO_CORE)
			examine_core(d, snap);
		examine_goroutines(d, snap);
		examine_unwinding(d, snap, cmp);
		examine_addresses(d, scope, snap);
		examine_symbols(d, snap->source == GORO_CORE);
		if (snap->lost || snap->cut)
			d->status = GORO_PARTIAL;
		goro_snapshot_free(snap);
	}
	free(cmp);
}

/* Every tick must be there; what was wrong with the process then is in each of them. */
static void examine_recording(struct doctor *d, struct goro_scope *scope)
{
	size_t n = goro_scope_ticks(scope);
	uint64_t torn = 0, truncated = 0, bad = 0;
	struct doctor_check *c;

	for (size_t tick = 1; tick <= n; tick++) {
		struct goro_snapshot *snap;
		struct goro_error *err;

		goro_scope_seek(scope, tick);
		err = goro_scope_snapshot(scope, &snap);
		if (err) {
			add_error(d, "recording", err);
			return;
		}
		torn += snap->torn;
		truncated += snap->truncated;
		bad += snap->bad_records;
		goro_snapshot_free(snap);
	}
	add(d, "recording", DOCTOR_OK, "%zu ticks, all whole", n);
	add(d, "goroutines", torn || truncated || bad ? DOCTOR_WARNING : DOCTOR_OK,
	    "in all ticks: %" PRIu64 " ran while they were read, %" PRIu64
	    " stacks are cut short, %" PRIu64 " records unreadable",
	    torn, truncated, bad);
	if (record_left_over(scope->record)) {
		c = add(d, "end", DOCTOR_WARNING, "%" PRIu64 " bytes behind the last whole tick",
			record_left_over(scope->record));
		if (record_damaged(scope->record)) {
			c->fix = strdup("the file is damaged from there on");
			d->status = GORO_PARTIAL;
		} else {
			c->fix = strdup("its recorder was killed while it wrote");
		}
	}
}

void doctor_examine(struct doctor *d, const char *target)
{
	struct goro_scope *scope;
	struct goro_error *err = goro_scope_open(&scope, target);

	*d = (struct doctor){ .status = GORO_OK };
	if (err) {
		bool unsupported = err->code == GORO_UNSUPPORTED;

		if (unsupported)
			add(d, "process", DOCTOR_OK, "it can be read");
		add_error(d, unsupported ? "contract" : "process", err);
		return;
	}
	if (scope->record) {
		examine_recording(d, scope);
		goro_scope_close(scope);
		return;
	}
	if (scope->target->file)
		add(d, "process", DOCTOR_OK, "%d (%s), as it was when %s was written",
		    scope->target->pid, scope->target->name, scope->target->file);
	else
		add(d, "process", DOCTOR_OK, "%d (%s) can be read", scope->target->pid,
		    scope->target->name ? scope->target->name : "?");
	examine_contract(d, scope);
	examine_snapshot(d, scope);
	goro_scope_close(scope);
}

void doctor_free(struct doctor *d)
{
	for (size_t i = 0; i < d->nchecks; i++) {
		free(d->checks[i].text);
		free(d->checks[i].fix);
	}
	for (size_t i = 0; i < d->nmodules; i++) {
		free(d->modules[i].path);
		free(d->modules[i].no_split);
	}
	free(d->modules);
}
