/* SPDX-License-Identifier: MIT */
/*
 * gate.c - the last moment of a process, which nobody can see from outside in time.
 *
 * Under `goro check` the environment names a socket. When the process is about to end it says so
 * there and waits for leave to go, while its other goroutines run on: whatever is left over can
 * finish, or be looked at. Every process of the tree that has a runtime does this for itself.
 *
 * main() has returned then, or somebody called exit(), whose frames lie where others were before.
 * They are written only in part. In what they leave out, pointers that nobody has any more would
 * keep alive what is looked for, or not, as it happens: in one run of ten, measured. So the room of
 * these frames, and of our own, is said to be opaque. (Wiping it is no way: they are in use.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static char gate_path[108];

static noinline void gate(const char *event, int status)
{
	struct m *mp = getm();
	char line[64] = "";
	int fd;

	if (!gate_path[0] || sched.forked)
		return;
	fd = os_gate_connect(gate_path);
	if (fd < 0) {
		/* Refused: whoever asked for it has ended, or does not wait any more. */
		if (fd != -ECONNREFUSED)
			goro_report_say("goro: check: process %d ends unseen: %s\n", os_pid(),
					strerror(-fd));
		return;
	}
	/* The goroutine that calls exit() is not left over: say which one it is. */
	snprintf(line, sizeof(line), "%s %d %d %lu\n", event, os_pid(), status,
		 mp && mp->curg ? (unsigned long)mp->curg->id : 0ul);
	os_gate_ask(fd, line);
}

void goro_gate_warning(const char *kind, const char *text)
{
	size_t size = strlen(text) + 64;
	char *message;
	int fd;

	if (!gate_path[0] || sched.forked)
		return;
	fd = os_gate_connect(gate_path);
	message = fd < 0 ? NULL : malloc(size);
	if (message) {
		snprintf(message, size, "%s %d %zu %.30s\n%s", kind, os_pid(), strlen(text),
			 program_invocation_short_name, text);
		os_gate_ask(fd, message);
		free(message);
	}
}

static void gate_at_exit(int status, void *unused)
{
	uintptr_t lo, hi;
	struct m *mp = getm();
	bool opaque;

	(void)unused;
	if (!gate_path[0] || sched.forked)
		return;
	opaque = mp && mp->curg && goro_exit_frames(&lo, &hi) &&
		 !goro_region_add((void *)lo, hi - lo, GORO_REGION_OPAQUE);
	wipe_below();
	gate("exit", status);
	if (opaque)
		goro_region_remove((void *)lo, hi - lo, GORO_REGION_OPAQUE);
}

void goro_gate_deadlock(void)
{
	gate("deadlock", 2);
}

void goro_gate_init(void)
{
	const char *path = getenv("GORO_CHECK");

	if (!path || !*path || strlen(path) >= sizeof(gate_path))
		return;
	strcpy(gate_path, path);
	on_exit(gate_at_exit, NULL);
}
