/* SPDX-License-Identifier: MIT */
/*
 * cmd_diff.c - goro diff
 */
#include "cmd.h"
#include "error.h"
#include "report_diff.h"

static const char *const formats[] = { "text", "json", NULL };

struct options {
	const char *targets[2];
	int format;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0, "text or json", 0 },
	{ 0 },
};

static const char doc[] =
	"Compare two moments: which spawn sites have more goroutines than before, which are new, "
	"which have fewer, which are gone. A and B are each a process, a core file or a recording; "
	"FILE@AT is one tick of a recording: its number (from 1; -1 is the last), a time of day "
	"15:04:05, or +DURATION. A recording alone is compared from its first tick to its "
	"last.\v"
	"Exit status:\n"
	"  0    done, whatever the difference\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->format = cmd_one_of("diff", "the format is", arg, formats);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num >= 2)
			exit(cmd_usage("diff", "two targets, but got '%s' as well", arg));
		o->targets[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->targets[0])
			exit(cmd_usage("diff", "what with what? Give two targets, or a recording"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct moment {
	struct goro_scope *scope;
	struct goro_snapshot *snap;
};

static void moment_end(struct moment *m)
{
	goro_snapshot_free(m->snap);
	goro_scope_close(m->scope);
}

/* Go statements are counted, and nobody is asked for alone. */
static struct goro_error *look(struct moment *m)
{
	struct goro_error *err;

	goro_scope_summarize(m->scope);
	err = goro_scope_snapshot(m->scope, &m->snap);
	if (err)
		goro_scope_close(m->scope);
	return err;
}

static int compare(const struct options *o, struct moment *a, struct moment *b)
{
	struct diff *d = diff_make(a->scope, a->snap, b->scope, b->snap);
	const struct report r = { stdout, b->scope, b->snap, o->format == 0 && cmd_colour(stdout) };
	int status = cmd_completeness("diff", a->snap), other = cmd_completeness("diff", b->snap);

	if (!d)
		return cmd_fail("diff", &goro_enomem);
	if (o->format == 1)
		report_diff_json(&r, d);
	else
		report_diff_text(&r, d);
	diff_free(d);
	return cmd_finish("diff", status ? status : other);
}

int cmd_diff(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "A [B]", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct moment a = { 0 }, b = { 0 };
	struct goro_error *err;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.targets[0], NULL, &a.scope);
	if (err)
		return cmd_fail("diff", err);
	if (!o.targets[1]) {
		if (!goro_scope_ticks(a.scope)) {
			goro_scope_close(a.scope);
			return cmd_usage("diff", "with what? %s is no recording", o.targets[0]);
		}
		goro_scope_seek(a.scope, 1);
	}
	err = look(&a);
	if (err)
		return cmd_fail("diff", err);
	err = cmd_open_target(o.targets[1] ? o.targets[1] : o.targets[0], NULL, &b.scope);
	if (!err)
		err = look(&b);
	if (err) {
		moment_end(&a);
		return cmd_fail("diff", err);
	}
	status = compare(&o, &a, &b);
	moment_end(&a);
	moment_end(&b);
	return status;
}
