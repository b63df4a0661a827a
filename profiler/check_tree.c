/* SPDX-License-Identifier: MIT */
/*
 * check_tree.c - which processes are the program of goro check and what it has started.
 *
 * They are its process group, and those that have left it (timeout(1), setsid(1) and daemons do)
 * but have the name of our gate in their environment, which is one for each run. Rejected: the tree
 * of parents, since who loses his parent is a child of init; to adopt such orphans
 * (PR_SET_CHILD_SUBREAPER), since a daemon waits until its parent is number 1.
 */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "target.h"

bool check_tree_has(int group, int pid)
{
	const char *gate = getenv("GORO_CHECK");

	return getpgid(pid) == group || (gate && target_process_env_is(pid, "GORO_CHECK", gate));
}

size_t check_tree_signal(int group, int signo)
{
	struct target_process_info *v;
	size_t n, found = 0;
	struct goro_error *err = target_list_processes(&v, &n);
	bool grouped = false;

	if (err) {
		goro_error_free(err);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (!check_tree_has(group, v[i].pid))
			continue;
		found++;
		if (getpgid(v[i].pid) == group)
			grouped = true;
		else if (signo)
			kill(v[i].pid, signo);
	}
	target_list_free(v, n);
	/* All at once: none of them can fork meanwhile. */
	if (grouped && signo)
		kill(-group, signo);
	return found;
}
