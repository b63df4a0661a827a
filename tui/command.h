/* SPDX-License-Identifier: MIT */
/* command.h - the running program, and what a key or a click does to it. */
#ifndef GOTOP_COMMAND_H
#define GOTOP_COMMAND_H

#include "app.h"
#include "keys.h"
#include "model.h"
#include "screen.h"

struct app {
	const struct app_options *opt;
	struct model m;
	struct feed *feed;
	struct prof *prof;
	struct screen screen;
	int wake[2];
	bool quit, kill_child;
	bool attaching; /* to what was chosen in the picker; no answer yet */
	int64_t listed; /* when the picker's processes were last asked for */
	int status;
	struct goro_error *fatal; /* told after the terminal is restored */
};

void command_run(struct app *a, enum command c, long arg);

void command_move(struct model *m, long by); /* the selected row or frame, or the page of help */
void command_list_processes(struct app *a);
void command_proved(struct model *m); /* the frame on show is the answer to CMD_PROVE */
void command_quit(struct app *a, bool kill_child);

#endif /* GOTOP_COMMAND_H */
