/* SPDX-License-Identifier: MIT */
/*
 * evidence.c - why a finding is one, in words: what a reader can check line by line.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "goro_introspect.h"
#include "text.h"
#include "verdict.h"

#define MOST_LINES 16 /* of one cycle; the rest is counted */

struct writer {
	FILE *out;
	const struct goro_snapshot *snap;
	const struct stuck *stuck;
	const struct evidence_names *names;
};

static void write_line(struct writer *w, const struct goro_frame *f)
{
	if (f->file && f->line)
		fprintf(w->out, " at %s:%" PRIu32, f->file, f->line);
	if (f->function)
		fprintf(w->out, " (%s)", f->function);
	else if ((!f->file || !f->line) && f->module)
		fprintf(w->out, " at %s+0x%" PRIx64, goro_basename(f->module), f->module_offset);
}

/* " at file:line (function)" of the first frame that is the user's. */
static void write_place(struct writer *w, const struct goro_info *g)
{
	struct goro_frame *frames;
	size_t n = 0, user = 0;

	if (g->stack_id == GORO_NO_STACK)
		return;
	frames = w->names->frames(w->names->scope, w->snap, g->stack_id, &n, &user);
	if (frames && user < n)
		write_line(w, &frames[user]);
	free(frames);
}

static void write_waiter(struct writer *w, const struct goro_info *g)
{
	fprintf(w->out, "goroutine %" PRIu64 " waits in %s", g->id, goro_state_text(g));
	write_place(w, g);
}

/* "goroutine 7 waits in ... at ... for 0x.., which goroutine 8 holds" */
static void write_edge(struct writer *w, const struct goro_info *g, const struct stuck *s)
{
	const struct goro_info *cause = &w->snap->g[s->cause];
	const struct goro_object *lock = goro_snapshot_object(w->snap, g->wait_object);

	write_waiter(w, g);
	fprintf(w->out, " for the lock 0x%" PRIx64, g->wait_object);
	if (cause->state == GORO_STATE_WAITING && cause->reason == GORO_REASON_RWMUTEX_W &&
	    cause->wait_object == g->wait_object && lock && !lock->owner)
		fprintf(w->out, ", behind goroutine %" PRIu64 ", which waits to write", cause->id);
	else
		fprintf(w->out, ", which goroutine %" PRIu64 " holds%s", cause->id,
			lock && !lock->owner ? " for reading" : "");
}

/* Follow the causes from one member: they lead into a loop, which is what is shown. */
static void write_cycle(struct writer *w, const struct goro_finding *f)
{
	uint32_t start = f->members[0], at, lines = 0, all = 0;

	/* No loop is longer than the finding, so that many steps end inside one. */
	for (size_t i = 0; i < f->nmembers; i++)
		start = w->stuck[start].cause;
	at = start;
	do {
		if (lines++ < MOST_LINES) {
			write_edge(w, &w->snap->g[at], &w->stuck[at]);
			fputc('\n', w->out);
		}
		at = w->stuck[at].cause;
	} while (at != start);
	if (lines > MOST_LINES)
		fprintf(w->out, "and so on: %" PRIu32 " goroutines in a ring\n", lines);
	for (size_t i = 0; i < f->nmembers; i++)
		all += w->stuck[f->members[i]].cycle == w->stuck[start].cycle;
	if (all > lines)
		fprintf(w->out, "%" PRIu32 " more goroutine%s\n", all - lines,
			all - lines == 1 ? " closes a ring with these"
					 : "s close rings with these");
	if (f->n > all)
		fprintf(w->out, "%zu more goroutine%s in rings of the same shape\n", f->n - all,
			f->n - all == 1 ? " stands" : "s stand");
}

static void write_never(struct writer *w, const struct goro_finding *f)
{
	const struct goro_info *g = &w->snap->g[f->members[0]];
	const struct goro_object *lock = goro_snapshot_object(w->snap, g->wait_object);

	write_waiter(w, g);
	if (!w->stuck[f->members[0]].self_lock) {
		fputs(", which nothing can end\n", w->out);
		return;
	}
	fprintf(w->out, " for the lock 0x%" PRIx64 ", which it holds itself%s\n", g->wait_object,
		lock && !lock->owner ? " for reading" : "");
}

static void write_tomb(struct writer *w, const struct goro_tomb *t)
{
	char ago[TEXT_NUMBER];
	struct goro_frame site;
	struct goro_info owner = {
		.id = t->id, .spawn_pc = t->spawn_pc, .entry = t->entry, .parent = t->parent
	};

	fprintf(w->out, "goroutine %" PRIu64 " was started", t->id);
	if (w->names->spawn_site(w->names->scope, &owner, &site))
		write_line(w, &site);
	fprintf(w->out, " and ended %s ago while it held %" PRIu32 " lock%s\n",
		text_duration(ago, t->ago_ns), t->locks, plural(t->locks));
}

static void write_owner_tomb(struct writer *w, uint64_t id)
{
	for (size_t i = 0; i < w->snap->ntombs; i++) {
		if (w->snap->tombs[i].id == id) {
			write_tomb(w, &w->snap->tombs[i]);
			return;
		}
	}
}

static void write_reader_tombs(struct writer *w, uint64_t lock)
{
	uint32_t lines = 0;

	for (size_t i = 0; i < w->snap->ntombs; i++) {
		const struct goro_tomb *t = &w->snap->tombs[i];

		if ((t->rlocks[0] == lock || t->rlocks[1] == lock) && lines++ < MOST_LINES)
			write_tomb(w, t);
	}
}

static void write_orphan(struct writer *w, const struct goro_finding *f)
{
	const struct goro_info *g = &w->snap->g[f->members[0]];
	const struct stuck *s = &w->stuck[f->members[0]];

	if (s->dead_owner) {
		write_waiter(w, g);
		fprintf(w->out,
			" for the lock 0x%" PRIx64 ", whose owner, goroutine %" PRIu64
			", has ended\n",
			g->wait_object, s->dead_owner);
		write_owner_tomb(w, s->dead_owner);
		return;
	}
	if (s->dead_readers) {
		write_waiter(w, g);
		fprintf(w->out,
			" for the lock 0x%" PRIx64 ", which is locked for reading %" PRIu32
			" time%s more than living goroutines hold it: who did has ended\n",
			g->wait_object, s->dead_readers, plural(s->dead_readers));
		write_reader_tombs(w, g->wait_object);
		return;
	}
	if (s->cause == WAIT_NONE)
		return;
	write_edge(w, g, s);
	fputs("\n", w->out);
	g = &w->snap->g[s->cause];
	write_waiter(w, g);
	fputs(g->verdict == GORO_VERDICT_LEAKED ? ", and is LEAKED itself\n"
						: ", which nothing can end\n",
	      w->out);
}

static void write_bytes(FILE *out, uint64_t n)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB" };
	double v = (double)n;
	size_t i = 0;

	while (v >= 1024 && i + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		i++;
	}
	fprintf(out, i ? "%.1f %s" : "%.0f %s", v, units[i]);
}

/* What could have woken it, in the words of what it waits for. */
static const char *waker_of(const struct goro_wait *w)
{
	switch (w->reason) {
	case GORO_REASON_CHAN_RECV:
		return "a close of, or a send on, the channel";
	case GORO_REASON_CHAN_SEND:
		return "a receive from the channel";
	case GORO_REASON_COND:
		return "a signal of the condition";
	case GORO_REASON_WAITGROUP:
		return "the last done of the waitgroup";
	case GORO_REASON_SEMA:
		return "a release of the semaphore";
	default:
		return "an unlock of the lock";
	}
}

static void write_object(struct writer *w, const struct goro_wait *wait)
{
	const struct goro_object *o = goro_snapshot_object(w->snap, wait->object);
	struct goro_frame made;

	fprintf(w->out, "only %s 0x%" PRIx64, waker_of(wait), wait->object);
	if (o && o->valid && o->make_pc && w->names->line &&
	    w->names->line(w->names->scope, o->make_pc, &made)) {
		fputs(", made", w->out);
		write_line(w, &made);
		fputc(',', w->out);
	}
	if (o && o->wait_class == GORO_CLASS_WAITGROUP)
		fprintf(w->out, " (%" PRIu32 " missing)", o->len);
	fputs(" could wake it\n", w->out);
}

static void write_unreachable(struct writer *w, const struct goro_finding *f,
			      const struct goro_reach *reach)
{
	const struct goro_info *g = &w->snap->g[f->members[0]];

	write_waiter(w, g);
	fputc('\n', w->out);
	for (uint32_t i = 0; i < g->nwaits && i < MOST_LINES; i++) {
		if (w->snap->waits[g->waits_first + i].object)
			write_object(w, &w->snap->waits[g->waits_first + i]);
	}
	fputs("nothing that can still run has a pointer to ", w->out);
	fputs(g->nwaits > 1 ? "any of these: " : "it: ", w->out);
	write_bytes(w->out, reach->root_bytes);
	fprintf(w->out, " of roots and %" PRIu64 " objects (", reach->objects);
	write_bytes(w->out, reach->object_bytes);
	if (w->snap->source == GORO_CORE)
		fputs(") searched, in the core file\n", w->out);
	else
		fprintf(w->out, ") searched, as they were at one moment (paused for %.1f ms)\n",
			(double)reach->pause_ns / 1e6);
}

static void write_retained(struct writer *w, const struct goro_finding *f)
{
	fputs("keeps ", w->out);
	write_bytes(w->out, f->stack_bytes);
	fputs(" of stack", w->out);
	if (f->heap_bytes) {
		fputs(" and ", w->out);
		write_bytes(w->out, f->heap_bytes);
		fputs(" of heap", w->out);
	}
	fputc('\n', w->out);
}

static void write_suspicion(struct writer *w, const struct goro_finding *f,
			    const struct goro_growth *growth,
			    const struct goro_verdict_options *opt)
{
	char age[TEXT_NUMBER], limit[TEXT_NUMBER];
	const struct growth_site *site = growth_site(growth, f->site);
	uint64_t oldest = 0;

	if (f->proof == GORO_PROOF_GROWTH && site) {
		fprintf(w->out,
			"waiting goroutines of this spawn site grew from %" PRIu64 " to %" PRIu64
			" at each of the last %" PRIu32 " looks (%s), and none was woken\n",
			site->first_count, site->count, site->streak,
			text_duration(age, (uint64_t)(w->snap->time - site->since)));
		return;
	}
	for (size_t i = 0; i < f->nmembers; i++) {
		const struct goro_info *g = &w->snap->g[f->members[i]];
		uint64_t waits = g->crowd && w->snap->nmembers
					 ? w->snap->crowds[g->crowd - 1].oldest_wait_ns
					 : g->wait_ns;

		if (waits > oldest)
			oldest = waits;
	}
	fprintf(w->out, "has not moved for %s (the threshold is %s)\n", text_duration(age, oldest),
		text_duration(limit, opt->suspect_age_ns));
}

char *evidence_text(const struct goro_snapshot *snap, const struct goro_finding *finding,
		    const struct stuck *stuck, const struct goro_growth *growth,
		    const struct goro_verdict_options *opt, const struct goro_reach *reach,
		    const struct evidence_names *names)
{
	char *text = NULL;
	size_t size = 0;
	struct writer w = { open_memstream(&text, &size), snap, stuck, names };

	if (!w.out)
		return NULL;
	switch (finding->proof) {
	case GORO_PROOF_NEVER:
		write_never(&w, finding);
		break;
	case GORO_PROOF_CYCLE:
		write_cycle(&w, finding);
		break;
	case GORO_PROOF_ORPHAN:
		write_orphan(&w, finding);
		break;
	case GORO_PROOF_UNREACHABLE:
		write_unreachable(&w, finding, reach);
		break;
	default:
		write_suspicion(&w, finding, growth, opt);
		break;
	}
	if (reach->retains && finding->verdict == GORO_VERDICT_LEAKED)
		write_retained(&w, finding);
	if (fclose(w.out)) {
		free(text);
		return NULL;
	}
	return text;
}
