/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - goro doctor: what works on a target, what does not, and what would help.
 */
#ifndef GORO_DOCTOR_H
#define GORO_DOCTOR_H

#include "profiler.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAILURE };

/* One thing that was looked at. */
struct doctor_check {
	const char *name; /* "process", "contract", "goroutines", "unwinding", "symbols" */
	enum doctor_state state;
	char *text; /* one line */
	char *fix;  /* lines, or NULL */
};

/* An executable or library in which goroutines stand. */
struct doctor_module {
	char *path;
	char build_id[41]; /* "" for none */
	bool has_file;	   /* it could be opened */
	int no_file;	   /* errno: why it could not */
	bool has_unwind;   /* .eh_frame or .debug_frame */
	bool has_debug;	   /* .debug_info in the file itself */
	char *no_split;	   /* a .dwo that it names and that is not there; or NULL */
	size_t addresses, functions, lines; /* of the stacks: in it, with a name, with a line */
};

struct doctor {
	struct doctor_check checks[8];
	size_t nchecks;
	struct doctor_module *modules;
	size_t nmodules;
	enum goro_status status; /* of the command */
};

/* Free with doctor_free(). */
void doctor_examine(struct doctor *d, const char *target);
void doctor_free(struct doctor *d);

#endif /* GORO_DOCTOR_H */
