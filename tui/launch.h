/* SPDX-License-Identifier: MIT */
/* launch.h - start the command of `gotop -- CMD`. */
#ifndef GOTOP_LAUNCH_H
#define GOTOP_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	const char *name;
	char log[256]; /* where its output goes; "" for our stderr */
};

/*
 * 0, or the exit status (126, 127) after a message. to_log: its output goes to a file, since the
 * screen is ours; else to our stderr. It gets its own session: it outlives gotop and its terminal.
 */
int launch(struct child *c, char *const *argv, bool to_log);

/* gotop ends: end the child too if asked to, and say what becomes of it. */
void launch_finish(struct child *c, bool kill_it);

#endif /* GOTOP_LAUNCH_H */
