/* SPDX-License-Identifier: MIT */
/*
 * test_memory.c - what each goroutine costs who looks at it: test_memory OBSERVED GORO GOTOP.
 *
 * Each command looks at few and at many goroutines; what its most memory grew by between, divided
 * by theirs, is what one costs, whatever the program itself, its libraries and names need. Who
 * looks again and again saves memory of very many only, that of debug information, too; so these
 * have bounds of their own, between very many and twice as many.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "profiler.h"

enum { FEW = 2000, MANY = 62000, VERY_MANY = 140000, TWICE = 280000, SKIPPED = 77, WORDS = 12 };

struct observed {
	pid_t pid;
	int input, output;
	char id[16];
};

/*
 * "PID" is the program's. What a row costs: crowds keep an id of 8 bytes; lists 40 bytes, and some
 * 10 for what is waited for; waits as much again for who waits for what; all others a whole record
 * of some 200, and a recorder 20 more for what it remembers of the last tick.
 */
struct row {
	double most; /* bytes for each */
	const char *words[WORDS];
};

static const struct row of_many[] = {
	{ 40, { "goro", "dump", "PID" } },
	{ 60, { "goro", "stack", "PID", "777" } },
	{ 60, { "goro", "sched", "PID" } },
	{ 60, { "goro", "doctor", "PID" } },
	{ 60, { "goro", "profile", "-d", "100ms", "-f", "folded", "PID" } },
	{ 80, { "goro", "diff", "PID", "PID" } },
	{ 75, { "goro", "dump", "-f", "json", "PID" } },
	{ 75, { "goro", "dump", "-f", "go", "PID" } },
	{ 75, { "goro", "dump", "-g", "none", "PID" } },
	{ 75, { "goro", "dump", "-f", "folded", "PID" } },
	{ 105, { "goro", "waits", "PID" } },
	{ 105, { "goro", "waits", "-f", "dot", "PID" } },
	{ 360, { "gotop", "-b", "PID" } },
	{ 620, { "gotop", "-b", "-d", "0.1", "-n", "3", "PID" } },
	{ 330, { "goro", "record", "-d", "0", "-o", "/dev/null", "PID" } },
	{ 360, { "goro", "metrics", "PID" } },
};

/*
 * Two looks are there at once, of 40 bytes and some 5 for what is waited for, and 2 for growth;
 * what debug information took before the second does not count. How much of files and libraries is
 * in RAM differs by some 10 bytes for each from run to run; a look more costs 45, and whole records
 * 200.
 */
static const struct row of_very_many[] = {
	{ 105, { "goro", "record", "-d", "0", "-o", "/dev/null", "PID" } },
	{ 80, { "goro", "metrics", "PID" } },
	{ 95, { "gotop", "-b", "-d", "0.1", "-n", "3", "PID" } },
	{ 95, { "gotop", "-b", "--screen", "list", "-d", "0.1", "-n", "2", "PID" } },
	{ 105, { "gotop", "-b", "--screen", "waits", "-d", "0.1", "-n", "2", "PID" } },
};

static void fail(const char *what)
{
	fprintf(stderr, "test_memory: %s\n", what);
	exit(1);
}

static struct observed observe(const char *path, int goroutines)
{
	struct observed o;
	int to[2], from[2];
	char count[16], first;

	snprintf(count, sizeof count, "%d", goroutines);
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		fail("no pipe");
	o.pid = fork();
	if (o.pid < 0)
		fail("no process");
	if (o.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl(path, path, count, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	o.input = to[1];
	o.output = from[0];
	snprintf(o.id, sizeof o.id, "%d", o.pid);
	if (read(o.output, &first, 1) != 1)
		fail("the program that is looked at did not start");
	return o;
}

static void dismiss(const struct observed *o)
{
	close(o->input);
	close(o->output);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
}

/* The most memory that the command had, in bytes. */
static double most_of(const char *const *paths, const struct row *row, const struct observed *o)
{
	const char *argv[WORDS + 1] = { paths[strcmp(row->words[0], "gotop") == 0] };
	posix_spawn_file_actions_t files;
	struct rusage usage;
	int status = 0;
	pid_t pid;

	for (int i = 1; i < WORDS && row->words[i]; i++)
		argv[i] = strcmp(row->words[i], "PID") == 0 ? o->id : row->words[i];
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, argv[0], &files, NULL, (char *const *)argv, environ) ||
	    wait4(pid, &status, 0, &usage) != pid)
		fail("cannot start it");
	posix_spawn_file_actions_destroy(&files);
	if (WIFEXITED(status) && WEXITSTATUS(status) == GORO_PERMISSION) {
		puts("skipped: this system does not let goro look into the program");
		exit(SKIPPED);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("it failed");
	return (double)usage.ru_maxrss * 1024;
}

/* What one costs, in bytes. */
static double each_of(const char *const *paths, const struct row *row, const struct observed *few,
		      const struct observed *many, int more)
{
	return (most_of(paths, row, many) - most_of(paths, row, few)) / more;
}

/*
 * How much of files and libraries is in RAM differs from run to run. So who is above is measured
 * once more.
 */
static bool compare(char **argv, const struct row *rows, size_t n, int few, int many)
{
	const char *paths[2] = { argv[2], argv[3] };
	const struct observed a = observe(argv[1], few), b = observe(argv[1], many);
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		double each = each_of(paths, &rows[i], &a, &b, many - few);
		bool fits;

		if (each > rows[i].most)
			each = each_of(paths, &rows[i], &a, &b, many - few);
		fits = each <= rows[i].most;
		printf("%s %6.1f bytes for each of %d goroutines, at most %.0f:",
		       fits ? "ok  " : "FAIL", each, many, rows[i].most);
		for (int k = 0; k < WORDS && rows[i].words[k]; k++)
			printf(" %s", rows[i].words[k]);
		putchar('\n');
		good &= fits;
	}
	dismiss(&a);
	dismiss(&b);
	return good;
}

int main(int argc, char **argv)
{
	bool good;

	if (argc != 4)
		fail("OBSERVED GORO GOTOP");
	good = compare(argv, of_many, sizeof of_many / sizeof *of_many, FEW, MANY);
	good &= compare(argv, of_very_many, sizeof of_very_many / sizeof *of_very_many, VERY_MANY,
			TWICE);
	return good ? 0 : 1;
}
