/* SPDX-License-Identifier: MIT */
/*
 * cmd.h - what the subcommands of goro share.
 */
#ifndef GORO_CMD_H
#define GORO_CMD_H

#include <argp.h>
#include <stdlib.h>
#include "profile.h"
#include "profiler.h"
#include "report.h"

struct command {
	const char *name;
	const char *summary;		   /* for `goro --help` */
	int (*run)(int argc, char **argv); /* argv[0]: "goro NAME"; returns the exit status */
};

extern const struct command commands[]; /* ends with a NULL name */

int cmd_ps(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_stack(int argc, char **argv);
int cmd_leaks(int argc, char **argv);
int cmd_waits(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_sched(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_reclaim(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_diff(int argc, char **argv);

#define STATUS_HELP_TARGET                                                    \
	"  2    wrong usage\n"                                                \
	"  3    no such process, or it ended while it was read\n"             \
	"  4    no permission to read it; the message says what would help\n" \
	"  5    it has no goro runtime, or one that cannot be read\n"         \
	"  6    it could be read in part only; so is a core file that was cut short\n"

/* Print "goro: NAME: ..." as one line on stderr. Returns GORO_USAGE. */
int cmd_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print an error object in the same way, free it and return its status. */
int cmd_fail(const char *name, struct goro_error *err);

/* Say that a command cannot be run, by exec's errno. Returns 126 or 127, as a shell does. */
int cmd_not_started(const char *name, const char *command, int error);

/*
 * For who looks again and again: what one look at a million goroutines took is the system's again
 * before the next. malloc() would keep it, in pieces that the next look grows around.
 */
void cmd_save_memory(struct goro_scope *scope);

/*
 * For who looks again and again, and stops nobody meanwhile: let the target have the processor
 * first. What a recorder does to a target is to run where that would run, for a tick of the kernel
 * (4 ms) at a time; a nice value of 10 makes it rare. Not of those who may stop the target for a
 * proof: it would stand for longer. Rejected: SCHED_BATCH, which makes no difference here, and
 * SCHED_IDLE, which on a machine that is busy never ends a look.
 */
void cmd_give_way(void);

/* Flush stdout; a full disk or a closed pipe turns `status` into a failure. */
int cmd_finish(const char *name, int status);

/* Is the picture whole? If not, say so on stderr and return GORO_PARTIAL. */
int cmd_completeness(const char *name, const struct goro_snapshot *snap);

/* The same for what shows no stacks, so that it does not matter where they end. */
int cmd_completeness_but_stacks(const char *name, const struct goro_snapshot *snap);

/* ---- cmd_output.c ---------------------------------------------------------------------------- */

struct cmd_output {
	const char *name; /* NULL: the standard output; so is "-" */
	FILE *file;	  /* from begin to end: what to write to */
	char *beside;	  /* the file that will take its place, or NULL */
	int fd;
	bool created; /* there was none */
};

/* Open it, and leave what is in it. False: errno. */
bool cmd_output_open(struct cmd_output *o, const char *name);
/* Now o->file can be written. False: errno. Call end all the same. */
bool cmd_output_begin(struct cmd_output *o);
/* good: put what was written in its place; else leave that as it was. Returns 0, or errno when it
 * could not be written. */
int cmd_output_end(struct cmd_output *o, bool good);

/* ---- cmd_words.c ----------------------------------------------------------------------------- */

/* "500ms", "2s", "1m", "1h", "0": to nanoseconds. */
bool cmd_duration(const char *text, uint64_t *ns);
/* The same, and without a unit it is seconds: "10", "0.2". */
bool cmd_seconds(const char *text, uint64_t *ns);

/* The same for what an option was given. If it is none, say so and exit. */
void cmd_duration_option(const char *name, const char *option, const char *arg, uint64_t *ns);

/* A decimal goroutine id. */
bool cmd_number(const char *text, uint64_t *value);

/*
 * Which of the words in a NULL-terminated list `arg` is. If none, say "WHAT one, two or three, not
 * 'ARG'" and exit.
 */
int cmd_one_of(const char *name, const char *what, const char *arg, const char *const *words);

/* ---- cmd_profile.c --------------------------------------------------------------------------- */

/* Write one moment as a profile in one of profile_formats: how many are where. */
struct goro_error *cmd_put_profile(struct goro_scope *scope, const struct goro_snapshot *snap,
				   enum profile_kind kind, const char *format);

/* Exit with one line when such bytes would go to a terminal. */
void cmd_refuse_terminal(const char *name, const char *format);

/* ---- cmd_target.c ---------------------------------------------------------------------------- */

/* The option of the commands that look once, and the key that it has in argp. */
enum { CMD_OPTION_AT = 0x400 };
#define CMD_AT_OPTION                                                                            \
	{                                                                                        \
		"at", CMD_OPTION_AT, "AT", 0,                                                    \
			"Of a recording: a tick's number (from 1; -1 is the last, which is the " \
			"default), a "                                                           \
			"time of day 15:04:05, or +DURATION from the first tick",                \
			0                                                                        \
	}

/*
 * For the `default` of the argp parser of a command whose one argument is a TARGET: takes it, and
 * exits when there is none or one too many.
 */
error_t cmd_parse_target(const char *name, int key, char *arg, const char **target);

/* Open TARGET, or FILE@AT; `at`, when not NULL, says where in a recording. */
struct goro_error *cmd_open_target(const char *target, const char *at, struct goro_scope **scope);

/* The same, and take one snapshot; what is not NULL on failure has been released. */
struct goro_error *cmd_open_at(const char *target, const char *at, struct goro_scope **scope,
			       struct goro_snapshot **snap);
struct goro_error *cmd_open(const char *target, struct goro_scope **scope,
			    struct goro_snapshot **snap);

/* Which tick is that? Fails with GORO_USAGE. */
struct goro_error *cmd_find_tick(struct goro_scope *scope, const char *at, size_t *tick);

/* "15:04:05" */
const char *cmd_time_of_day(char text[16], int64_t wall_time);

/* May we colour what goes to this stream? */
bool cmd_colour(FILE *out);

#endif /* GORO_CMD_H */
