/* SPDX-License-Identifier: MIT */
/*
 * launch.c - start a command and let it live its own life.
 *
 * fork and exec with a pipe that closes on exec: what exec answered is known before anything is
 * shown, and a command that cannot be run gives the shell's statuses 126 and 127.
 */
#define _GNU_SOURCE
#include "launch.h"
#include "profiler.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int open_log(struct child *c)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	if (!dir || dir[0] != '/' || strlen(dir) > 100)
		dir = "/tmp";
	snprintf(c->log, sizeof(c->log), "%s/gotop-%.60s-XXXXXX", dir, c->name);
	fd = mkostemp(c->log, O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "gotop: cannot make %s for the output of %s: %s\n", c->log, c->name,
			strerror(errno));
		c->log[0] = '\0';
	}
	return fd;
}

static _Noreturn void become(char *const *argv, int out, int report)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;
	int err;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execvp(argv[0], argv);
	err = errno;
	if (write(report, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int launch(struct child *c, char *const *argv, bool to_log)
{
	int report[2], out = STDERR_FILENO, err = 0;
	const char *slash = strrchr(argv[0], '/');
	ssize_t n;

	c->name = slash ? slash + 1 : argv[0];
	c->log[0] = '\0';
	if (to_log) {
		out = open_log(c);
		if (out < 0)
			return GORO_NOT_RUNNABLE;
	}
	if (pipe2(report, O_CLOEXEC)) {
		perror("gotop: cannot make a pipe");
		return GORO_NOT_RUNNABLE;
	}
	c->pid = fork();
	if (c->pid == 0)
		become(argv, out, report[1]);
	close(report[1]);
	if (to_log)
		close(out);
	if (c->pid < 0)
		err = errno;
	do
		n = read(report[0], &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (!err)
		return 0;
	fprintf(stderr, "gotop: cannot run '%s': %s\n", argv[0], strerror(err));
	if (c->pid > 0)
		waitpid(c->pid, NULL, 0);
	if (to_log)
		unlink(c->log);
	return err == ENOENT ? GORO_NOT_FOUND : GORO_NOT_RUNNABLE;
}

/* True when it has ended within the time. */
static bool ended(pid_t pid, int64_t limit, int *status)
{
	const struct timespec step = { 0, 10 * NSEC_PER_MSEC };
	int64_t until = clock_now() + limit;

	for (;;) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		if (clock_now() >= until)
			return false;
		nanosleep(&step, NULL);
	}
}

static void end_it(struct child *c, int *status)
{
	kill(-c->pid, SIGTERM);
	if (ended(c->pid, 2 * NSEC_PER_SEC, status))
		return;
	kill(-c->pid, SIGKILL);
	ended(c->pid, 2 * NSEC_PER_SEC, status);
}

void launch_finish(struct child *c, bool kill_it)
{
	struct stat st;
	int status = 0;
	bool gone = ended(c->pid, 0, &status);

	if (!gone && kill_it) {
		end_it(c, &status);
		fprintf(stderr, "gotop: %s (process %d) was ended\n", c->name, (int)c->pid);
	} else if (!gone) {
		fprintf(stderr, "gotop: %s goes on as process %d\n", c->name, (int)c->pid);
	} else if (WIFSIGNALED(status)) {
		fprintf(stderr, "gotop: %s was killed by signal %d (%s)\n", c->name,
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else {
		fprintf(stderr, "gotop: %s ended with status %d\n", c->name, WEXITSTATUS(status));
	}
	if (!c->log[0])
		return;
	if ((gone || kill_it) && stat(c->log, &st) == 0 && st.st_size == 0)
		unlink(c->log);
	else
		fprintf(stderr, "gotop: its output is in %s\n", c->log);
}
