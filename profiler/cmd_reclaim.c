/* SPDX-License-Identifier: MIT */
/*
 * cmd_reclaim.c - goro reclaim: the one command that makes the target do something, which it does
 * itself and only if it was started so that it may be asked.
 *
 * A proof, a request, and again, in the stages of reclaim.h. Each stage has a proof of its own, but
 * asks only for goroutines that the first one found: what leaks meanwhile is for the next call.
 * The runtime of the target calls this, too: then the socket is in the environment, and the program
 * must hear of us before it can be read where only an ancestor may.
 */
#include "cmd.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "reclaim.h"

struct options {
	const char *target;
	struct goro_verdict_options verdict;
};

enum { OPTION_PAUSE = 256 };

static const struct argp_option options[] = {
	{ "max-pause", OPTION_PAUSE, "DURATION", 0,
	  "Rather know nothing than stop the program for longer (default 100ms)", 0 },
	{ 0 },
};

static const char doc[] =
	"Have a program unwind its leaked goroutines.\v"
	"The program must have been started with GORO_RECLAIM in its environment; see goro(1).\n"
	"\n"
	"What `goro leaks' proves LEAKED ends as by goro_exit(): its deferred functions run, its "
	"stack is given back; memory that none of them frees stays lost. Main is never unwound. "
	"Who waits for a lock or a waitgroup comes last, because what the others let go of may "
	"help.\n"
	"\n"
	"Exit status:\n"
	"  0    nothing was LEAKED\n"
	"  23   goroutines were LEAKED; what was done is printed\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPTION_PAUSE:
		cmd_duration_option("reclaim", "--max-pause", arg, &o->verdict.max_pause_ns);
		if (!o->verdict.max_pause_ns)
			exit(cmd_usage("reclaim", "--max-pause 0 leaves no time for a proof"));
		return 0;
	default:
		return cmd_parse_target("reclaim", key, arg, &o->target);
	}
}

/* Everything that one call needs. */
struct call {
	const struct options *o;
	struct goro_scope *scope;
	int fd;				  /* the socket, or -1 */
	struct goro_reclaim_entry *first; /* who was LEAKED at the first proof, by rising id */
	size_t nfirst;
	size_t leaked, unwound;
	bool asked;
	bool known; /* the search for pointers was possible */
};

/* Was it so at the first proof? */
static bool was_leaked(const struct call *c, const struct goro_info *g)
{
	size_t lo = 0, hi = c->nfirst;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c->first[mid].id < g->id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->nfirst && c->first[lo].id == g->id && c->first[lo].park_seq == g->park_seq;
}

static struct goro_reclaim_entry entry_of(const struct goro_info *g)
{
	return (struct goro_reclaim_entry){
		.record = g->record,
		.id = g->id,
		.park_seq = g->park_seq,
	};
}

static struct goro_error *remember(struct call *c, const struct goro_snapshot *snap)
{
	c->first = calloc(snap->ng + 1, sizeof *c->first);
	if (!c->first)
		return &goro_enomem;
	for (size_t i = 0; i < snap->ng; i++) {
		if (snap->g[i].verdict == GORO_VERDICT_LEAKED)
			c->first[c->nfirst++] = entry_of(&snap->g[i]);
	}
	c->leaked = c->nfirst;
	return NULL;
}

/* One line for all of a finding that were unwound. */
static void print_finding(const struct call *c, const struct goro_snapshot *snap,
			  const struct goro_finding *f, const bool *done)
{
	const struct goro_info *g = NULL;
	struct goro_frame site;
	size_t n = 0;

	for (size_t i = 0; i < f->nmembers; i++) {
		if (done[f->members[i]]) {
			g = &snap->g[f->members[i]];
			n++;
		}
	}
	if (!n)
		return;
	printf("reclaimed %zu goroutine%s [%s], started by ", n, plural(n), goro_state_text(g));
	if (goro_scope_spawn_site(c->scope, g, &site))
		report_frame(stdout, &site);
	else
		fputs("?", stdout);
	fputc('\n', stdout);
}

/* Ask for those who are chosen, in parts; what was done is left in chosen[]. */
static struct goro_error *ask(struct call *c, const struct goro_snapshot *snap, bool *chosen)
{
	struct goro_reclaim_entry *e = calloc(GORO_RECLAIM_MAX, sizeof *e);
	struct goro_error *err = e ? NULL : &goro_enomem;

	for (size_t i = 0, n; !err && i < snap->ng;) {
		for (n = 0; i < snap->ng && n < GORO_RECLAIM_MAX; i++) {
			if (chosen[i])
				e[n++] = entry_of(&snap->g[i]);
		}
		if (!n)
			break;
		err = reclaim_ask(c->fd, e, n);
		c->asked = true;
		for (size_t k = 0; !err && k < n; k++) {
			const struct goro_info *g = goro_snapshot_find(snap, e[k].id);

			/* The answer has an order of its own. */
			if (g)
				chosen[g - snap->g] = e[k].result;
			c->unwound += e[k].result != 0;
		}
	}
	free(e);
	return err;
}

static struct goro_error *choose_and_ask(struct call *c, struct goro_snapshot *snap,
					 const struct goro_verdicts *v, enum reclaim_stage stage)
{
	bool *chosen = calloc(snap->ng + 1, sizeof *chosen);
	struct goro_error *err;

	if (!chosen)
		return &goro_enomem;
	reclaim_choose(snap, stage, chosen);
	for (size_t i = 0; i < snap->ng; i++)
		chosen[i] = chosen[i] && was_leaked(c, &snap->g[i]);
	err = ask(c, snap, chosen);
	for (size_t i = 0; !err && i < v->n; i++)
		print_finding(c, snap, &v->findings[i], chosen);
	free(chosen);
	return err;
}

static struct goro_error *connect_to(struct call *c, const struct goro_snapshot *snap)
{
	if (c->fd >= 0)
		return NULL;
	if (snap->source != GORO_LIVE)
		return goro_error_new(GORO_USAGE, "TARGET is not a process that runs");
	if (!snap->reclaim_socket[0])
		return goro_error_hint(
			goro_error_new(GORO_PERMISSION, "process %d does not allow it", snap->pid),
			"start it with GORO_RECLAIM=ask, or GORO_RECLAIM=1, in its environment");
	return reclaim_connect(snap->reclaim_socket, snap->pid, &c->fd);
}

static struct goro_error *run_stage(struct call *c, enum reclaim_stage stage)
{
	struct goro_snapshot *snap = NULL;
	struct goro_verdicts *v = NULL;
	struct goro_error *err = goro_scope_snapshot(c->scope, &snap);

	if (!err)
		err = connect_to(c, snap);
	if (!err)
		err = goro_scope_judge(c->scope, snap, &c->o->verdict, &v);
	if (!err && stage == RECLAIM_FIRST) {
		err = remember(c, snap);
		if (v->reach.unknown[0]) {
			c->known = false;
			fprintf(stderr, "goro: reclaim: reachability is unknown: %s\n",
				v->reach.unknown);
		}
	}
	if (!err)
		err = choose_and_ask(c, snap, v, stage);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
	return err;
}

static int reclaim(struct call *c)
{
	const char *socket = getenv(GORO_RECLAIM_SOCKET);
	struct goro_error *err = NULL;

	if (socket && *socket)
		err = reclaim_connect(socket, 0, &c->fd);
	if (!err)
		err = goro_scope_open(&c->scope, c->o->target);
	for (int i = 0; !err && i < RECLAIM_STAGES; i++) {
		if (i && c->unwound == c->leaked)
			break;
		err = run_stage(c, (enum reclaim_stage)i);
	}
	/* A word for the program that waits to hear whether there was a proof. */
	if (!err && !c->asked && c->known)
		err = reclaim_ask(c->fd, NULL, 0);
	if (err)
		return cmd_fail("reclaim", err);
	printf("%zu goroutine%s leaked, %zu reclaimed", c->leaked,
	       c->leaked == 1 ? " was" : "s were", c->unwound);
	if (c->leaked > c->unwound)
		fputs("; what is left went on meanwhile, or is main or another that is never "
		      "unwound",
		      stdout);
	fputc('\n', stdout);
	return c->leaked ? GORO_FINDINGS : c->known ? GORO_OK : GORO_PARTIAL;
}

int cmd_reclaim(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { .verdict.reach = true };
	struct call c = { .o = &o, .fd = -1, .known = true };
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	status = cmd_finish("reclaim", reclaim(&c));
	if (c.fd >= 0)
		close(c.fd);
	goro_scope_close(c.scope);
	free(c.first);
	return status;
}
