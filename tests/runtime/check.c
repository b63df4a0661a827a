/* SPDX-License-Identifier: MIT */
/* check.c - see check.h. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goro_introspect.h"

#define OUTPUT_MAX     (1u << 20)
#define CASE_SECONDS   60
#define STATUS_OF_FAIL 99

extern char **environ;
extern struct goro_introspect goro_introspect;

void check_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	_exit(STATUS_OF_FAIL);
}

void check_fail_eq(const char *file, int line, const char *got_text, int64_t got,
		   const char *wanted_text, int64_t wanted)
{
	fprintf(stderr, "%s:%d: failed: %s is %ld, not %s (%ld)\n", file, line, got_text, (long)got,
		wanted_text, (long)wanted);
	_exit(STATUS_OF_FAIL);
}

/* ---- running a program ----------------------------------------------------------------------- */

static int64_t left_ms(int64_t deadline)
{
	int64_t ms = (deadline - goro_now()) / GORO_MILLISECOND;

	return ms < 0 ? 0 : ms;
}

/* Append what fd has to text; false at its end. Output beyond the maximum is read and dropped. */
static bool drain(int fd, char *text, size_t *len)
{
	char rest[4096];
	size_t room = OUTPUT_MAX - *len;
	ssize_t n = room ? read(fd, text + *len, room) : read(fd, rest, sizeof(rest));

	if (n > 0 && room) {
		*len += (size_t)n;
		text[*len] = '\0';
	}
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Where it hangs, for who reads the output of the test. */
static void show_stacks(pid_t pid)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "timeout 60 gdb -nx -q -batch -p %d -ex 'thread apply all backtrace' 2>&1 "
		 "</dev/null",
		 (int)pid);
	fflush(stdout);
	if (system(command))
		printf("(no debugger may look at process %d)\n", (int)pid);
}

static void read_both(struct check_run *run, const int fds[2], pid_t pid, int64_t deadline)
{
	struct pollfd polls[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	char *texts[2] = { run->out, run->err };
	size_t lens[2] = { 0, 0 };

	while (polls[0].fd >= 0 || polls[1].fd >= 0) {
		int n = poll(polls, 2, (int)left_ms(deadline));

		if (n == 0 && !run->timed_out) {
			run->timed_out = true;
			show_stacks(pid);
			kill(pid, SIGKILL);
			deadline = goro_now() + 5 * GORO_SECOND;
		} else if (n == 0) {
			return; /* a grandchild keeps the pipe open */
		}
		for (int i = 0; n > 0 && i < 2; i++)
			if (polls[i].revents && !drain(fds[i], texts[i], &lens[i]))
				polls[i].fd = -1;
	}
}

static pid_t start(char *const argv[], const int out[2], const int err[2])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	pid_t pid;
	int error;

	/* A shell that starts us in the background has us ignore it, and so would the program. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGQUIT);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	error = posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (error) {
		fprintf(stderr, "cannot start %s: %s\n", argv[0], strerror(error));
		exit(STATUS_OF_FAIL);
	}
	return pid;
}

struct check_run check_run(char *const argv[], int timeout_seconds)
{
	struct check_run run = { .out = calloc(1, OUTPUT_MAX + 1),
				 .err = calloc(1, OUTPUT_MAX + 1) };
	int out[2], err[2], status;
	pid_t pid;

	if (!run.out || !run.err || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		check_fail(__FILE__, __LINE__, "memory and descriptors");
	pid = start(argv, out, err);
	close(out[1]);
	close(err[1]);
	read_both(&run, (int[]){ out[0], err[0] }, pid, goro_now() + timeout_seconds * GORO_SECOND);
	close(out[0]);
	close(err[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return run;
}

const char *check_match(const char *text, const char *regex)
{
	regmatch_t match;
	regex_t compiled;
	int error = regcomp(&compiled, regex, REG_EXTENDED | REG_NEWLINE);

	if (error) {
		fprintf(stderr, "bad regex in the test: %s\n", regex);
		exit(STATUS_OF_FAIL);
	}
	error = regexec(&compiled, text, 1, &match, 0);
	regfree(&compiled);
	return error ? NULL : text + match.rm_eo;
}

/* ---- cases ----------------------------------------------------------------------------------- */

/*
 * A stack begins with a function of the program's, or with the API's function that it called: never
 * with what that one is made of (unless GORO_TRACEBACK asks for it).
 */
static bool begins_inside(const char *report)
{
	const char *line, *file;

	for (const char *at = report; (at = strstr(at, "]:\n")); at = line) {
		line = at + strlen("]:\n");
		file = strchr(line, '\n');
		if (!file || strncmp(file, "\n\t" RUNTIME_DIR, strlen("\n\t" RUNTIME_DIR)) ||
		    !strncmp(line, "goro_", strlen("goro_")))
			continue;
		printf("  a stack begins with the runtime's %.*s\n", (int)strcspn(line, "("), line);
		return true;
	}
	return false;
}

static bool shows_system(const struct check_case *c)
{
	return c->env && (strstr(c->env, "TRACEBACK=system") || strstr(c->env, "TRACEBACK=crash"));
}

static bool judge(const struct check_case *c, const struct check_run *run)
{
	const char *at = run->err;

	if (run->timed_out) {
		printf("  did not end in %d s\n", CASE_SECONDS);
		return false;
	}
	if (run->status != c->status) {
		printf("  exit status %d, not %d\n", run->status, c->status);
		return false;
	}
	for (int i = 0; c->says[i]; i++) {
		at = check_match(at, c->says[i]);
		if (!at) {
			printf("  stderr lacks (in this order): %s\n", c->says[i]);
			return false;
		}
	}
	for (int i = 0; c->anywhere[i]; i++)
		if (!check_match(run->err, c->anywhere[i])) {
			printf("  stderr lacks: %s\n", c->anywhere[i]);
			return false;
		}
	if (c->never && check_match(run->err, c->never)) {
		printf("  stderr has: %s\n", c->never);
		return false;
	}
	return shows_system(c) || !begins_inside(run->err);
}

static bool run_case(const struct check_case *c, const char *workers)
{
	char self[] = "/proc/self/exe", flag[] = "--case", name[128];
	char *argv[] = { self, flag, name, NULL };
	char path[4096];
	ssize_t n = readlink(self, path, sizeof(path) - 1);
	struct check_run run;
	bool good;

	check(n > 0);
	path[n] = '\0';
	argv[0] = path;
	snprintf(name, sizeof(name), "%s", c->name);
	setenv("GORO_MAXPROCS", workers, 1);
	if (c->env)
		putenv(strdup(c->env));
	run = check_run(argv, CASE_SECONDS);
	if (c->env)
		putenv(strndup(c->env, strcspn(c->env, "=")));
	good = judge(c, &run);
	printf("%s %s, %s worker%s\n", good ? "ok  " : "FAIL", c->name, workers,
	       strcmp(workers, "1") ? "s" : "");
	if (!good)
		printf("--- stdout\n%s\n--- stderr\n%s\n---\n", run.out, run.err);
	fflush(stdout);
	free(run.out);
	free(run.err);
	return good;
}

static bool run_workers(const struct check_case *c)
{
	char list[64], *save, *workers;
	bool good = true;

	snprintf(list, sizeof(list), "%s", c->workers ? c->workers : "1 2 4");
	for (workers = strtok_r(list, " ", &save); workers; workers = strtok_r(NULL, " ", &save))
		good &= run_case(c, workers);
	return good;
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int check_main(int argc, char **argv, const struct check_case *cases, size_t n)
{
	size_t ran = 0, failed = 0;

	if (argc == 3 && strcmp(argv[1], "--case") == 0) {
		for (size_t i = 0; i < n; i++)
			if (strcmp(argv[2], cases[i].name) == 0) {
				cases[i].run();
				return 0;
			}
		return STATUS_OF_FAIL;
	}
	for (size_t i = 0; i < n; i++)
		if (wanted(cases[i].name, argc, argv)) {
			ran++;
			failed += !run_workers(&cases[i]);
		}
	printf("%zu cases, %zu failed\n", ran, failed);
	return failed || !ran;
}

/* ---- an observer's view ---------------------------------------------------------------------- */

/* Observers read what is being written, by contract; ThreadSanitizer need not know of them. */
#define AS_OBSERVER __attribute__((no_sanitize("thread")))

static AS_OBSERVER const char *record_of(uint64_t id)
{
	const struct goro_introspect *gi = &goro_introspect;
	const struct goro_field *fields = (const void *)(uintptr_t)gi->fields;
	const uint64_t *chunks = (const void *)(uintptr_t)gi->g_chunks;
	uint32_t n = __atomic_load_n(&gi->g_nchunks, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < gi->g_chunk_len; k++) {
			const char *g = (const char *)(uintptr_t)chunks[i] + (size_t)k * gi->g_size;
			const void *at = g + fields[GORO_FIELD_g_id].offset;

			if (__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED) == id)
				return g;
		}
	return NULL;
}

static AS_OBSERVER bool is_parked(uint64_t id, int reason)
{
	const struct goro_field *fields = (const void *)(uintptr_t)goro_introspect.fields;
	const char *g = record_of(id);
	const void *at;
	uint32_t status;

	if (!g)
		return false;
	at = g + fields[GORO_FIELD_g_status].offset;
	status = __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
	return GORO_STATUS_STATE(status) == GORO_STATE_WAITING &&
	       GORO_STATUS_REASON(status) == (uint32_t)reason;
}

void check_parked(uint64_t id, int reason)
{
	check_eventually(is_parked(id, reason));
}
