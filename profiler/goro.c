/* SPDX-License-Identifier: MIT */
/*
 * goro.c - the command goro: one table of subcommands, and what they share.
 */
#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const struct command commands[] = {
	{ "ps", "list the processes that goro can look into", cmd_ps },
	{ "dump", "show all goroutines of a process with their stacks", cmd_dump },
	{ "stack", "show one goroutine: stack, source, wait-for chain, memory", cmd_stack },
	{ "leaks", "find goroutines that can never go on, and suspicious ones", cmd_leaks },
	{ "reclaim", "unwind leaked goroutines of a process that allows it", cmd_reclaim },
	{ "waits", "show who waits for what and for whom", cmd_waits },
	{ "profile", "say where time, waits, go statements or stack memory go", cmd_profile },
	{ "sched", "show processors, run queues, and how long goroutines wait to run", cmd_sched },
	{ "metrics", "print metrics as OpenMetrics, or serve them to Prometheus", cmd_metrics },
	{ "check", "run a program; fail when it leaves goroutines behind", cmd_check },
	{ "run", "run a program so that its heap is counted by goroutine", cmd_run },
	{ "record", "write what the goroutines do over time to a file", cmd_record },
	{ "replay", "show every moment of such a file", cmd_replay },
	{ "diff", "compare two moments: which spawn sites grew, came, went", cmd_diff },
	{ "doctor", "say why a process can or cannot be looked into", cmd_doctor },
	{ 0 },
};

const char *argp_program_version = "goro " GORO_VERSION;

static const char head_doc[] = "Look into a running program that uses libgoro: its goroutines, "
			       "what they wait for, and which of them are stuck for ever. The "
			       "program is not stopped and needs no preparation.\v";

static const char tail_doc[] =
	"`goro COMMAND --help' explains a command. TARGET is a process id, the name of exactly one "
	"process, a core file, or a "
	"recording.\n"
	"\n"
	"Exit status:\n"
	"  0    nothing found, or nothing to find\n"
	"  23   findings: leaked goroutines, a deadlock, goroutines left over at exit\n" //
	STATUS_HELP_TARGET "  124  timed out (check)\n"
	"  126  the program to check or run cannot be run\n"
	"  127  the program to check or run was not found";

int cmd_usage(const char *name, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, name ? "goro: %s: " : "goro: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return GORO_USAGE;
}

int cmd_fail(const char *name, struct goro_error *err)
{
	int status = err->code;

	fflush(stdout);
	fprintf(stderr, "goro: %s: ", name);
	report_put(stderr, err->message);
	if (err->hint) {
		fputs(strchr(err->hint, '\n') ? "\n" : ": ", stderr);
		for (const char *line = err->hint, *end; *line; line = end + (*end != '\0')) {
			char text[512];

			end = strchrnul(line, '\n');
			snprintf(text, sizeof text, "%.*s", (int)(end - line), line);
			report_put(stderr, text);
			if (*end && end[1])
				fputc('\n', stderr);
		}
	}
	fputc('\n', stderr);
	goro_error_free(err);
	return status;
}

int cmd_not_started(const char *name, const char *command, int error)
{
	fprintf(stderr, "goro: %s: cannot run %s: %s\n", name, command, strerror(error));
	return error == ENOENT ? GORO_NOT_FOUND : GORO_NOT_RUNNABLE;
}

void cmd_save_memory(struct goro_scope *scope)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	goro_scope_be_thrifty(scope, true);
}

void cmd_give_way(void)
{
	enum { NICE = 10 };

	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) < NICE && !errno)
		setpriority(PRIO_PROCESS, 0, NICE);
}

int cmd_finish(const char *name, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "goro: %s: cannot write the output: %s\n", name, strerror(errno));
	return GORO_PARTIAL;
}

static void say_what_is_missing(const struct goro_snapshot *snap)
{
	char bytes[TEXT_NUMBER];

	if (snap->bad_records || snap->truncated || snap->cut)
		fprintf(stderr,
			": %" PRIu32 " records could not be read, %" PRIu32
			" stacks not to their end",
			snap->bad_records, snap->truncated);
	if (snap->lost)
		fprintf(stderr, ", %" PRIu32 " of these are not in the core file%s", snap->lost,
			snap->cut ? ""
				  : " (gdb's gcore cannot read all: have the kernel write it, by "
				    "kill -ABRT PID)");
	if (snap->cut)
		fprintf(stderr, "; the core file is cut short, %s are missing",
			text_bytes(bytes, snap->cut));
	if (snap->damaged)
		fprintf(stderr, "; the recording is damaged behind its tick %zu, %s are lost",
			snap->tick, text_bytes(bytes, snap->damaged));
}

int cmd_completeness(const char *name, const struct goro_snapshot *snap)
{
	if (!snap->bad_records && !snap->truncated && !snap->cut && !snap->damaged)
		return GORO_OK;
	fflush(stdout);
	fprintf(stderr, "goro: %s: this is not all", name);
	say_what_is_missing(snap);
	fputs("; see `goro doctor'\n", stderr);
	return GORO_PARTIAL;
}

int cmd_completeness_but_stacks(const char *name, const struct goro_snapshot *snap)
{
	return snap->bad_records || snap->cut || snap->damaged ? cmd_completeness(name, snap)
							       : GORO_OK;
}

bool cmd_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fputs("Commands:\n", out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-8s %s\n", c->name, c->summary);
	fprintf(out, "\n%s", tail_doc);
	if (fclose(out))
		return (char *)text;
	return list;
}

/* Everything from the command's name on is the command's. */
static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	int *first = state->input;

	(void)arg;
	if (key == ARGP_KEY_ARG) {
		*first = state->next - 1;
		state->next = state->argc;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* As in most programs; what is behind "--" is not ours. */
static void accept_h(int argc, char **argv)
{
	static char help[] = "--help";

	if (argc > 1 && !strcmp(argv[1], "-h"))
		argv[1] = help;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	char name[32];

	accept_h(argc, argv);
	snprintf(name, sizeof name, "goro %s", c->name);
	argv[0] = name;
	return c->run(argc, argv);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .parser = parse_option,
					  .args_doc = "COMMAND [ARGUMENT...]",
					  .doc = head_doc,
					  .help_filter = help_filter };
	int first = 0;

	argp_err_exit_status = GORO_USAGE;
	accept_h(argc, argv);
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
	if (!first)
		return cmd_usage(NULL, "which command? See `goro --help'");
	for (const struct command *c = commands; c->name; c++) {
		if (!strcmp(argv[first], c->name))
			return run_command(c, argc - first, argv + first);
	}
	return cmd_usage(NULL, "there is no command '%s'; see `goro --help'", argv[first]);
}
