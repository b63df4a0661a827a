/* SPDX-License-Identifier: MIT */
/*
 * test_dlopen.c - a library that is loaded after the first snapshot is found, unwound and named.
 *
 *	test_dlopen PLUGGED LIBRARY
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "goro_introspect.h"
#include "program.h"

static const char *plugged, *library;

static bool has_plugin_stack(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	bool found = false;

	(void)arg;
	for (uint32_t i = 0; i < snap->nstacks && !found; i++) {
		size_t n, user;
		struct goro_frame *f = goro_scope_frames(scope, snap, i, &n, &user);

		found = user < n && f[user].function &&
			strcmp(f[user].function, "plugin_wait") == 0 &&
			strcmp(goro_basename(f[user].file), "plugin.c") == 0 &&
			strcmp(goro_basename(f[user].module), goro_basename(library)) == 0 &&
			snap->stacks[i].complete;
		free(f);
	}
	return found;
}

/* Then it has said what to do at the signal, which would end it before. */
static bool main_sleeps(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	(void)scope;
	(void)arg;
	return snap->ng == 1 && snap->g[0].state == GORO_STATE_WAITING &&
	       snap->g[0].reason == GORO_REASON_SLEEP;
}

static void test_dlopen(void **state)
{
	const char *argv[] = { plugged, library, NULL };
	pid_t pid = program_start(argv);
	struct goro_scope *scope = program_open(pid);
	struct goro_snapshot *snap;

	(void)state;
	snap = program_snapshot(scope, main_sleeps, NULL);
	assert_false(has_plugin_stack(scope, snap, NULL));
	goro_snapshot_free(snap);
	kill(pid, SIGUSR1);
	goro_snapshot_free(program_snapshot(scope, has_plugin_stack, NULL));
	goro_scope_close(scope);
	program_stop(pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_dlopen) };

	if (argc != 3)
		return 2;
	plugged = argv[1];
	library = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
