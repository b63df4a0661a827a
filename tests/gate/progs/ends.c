/* SPDX-License-Identifier: MIT */
/*
 * ends - a goroutine locks a mutex twice, at TWICE, and is started at START; then the program ends
 * in the way that its argument names:
 *
 *   crash     writes to address zero
 *   kill      kills itself
 *   quick     _exit(9), at which nothing is asked, once its input has ended
 *   exec CMD  becomes another program
 *   then CMD  the same, once its input has ended
 *   daemon    returns 0, while a child in a session of its own goes on until it is killed
 *   deep      returns 0; the goroutine has a hundred frames more
 *   user      is another user by then, and returns 0
 *   root DIR  has another root directory by then, and returns 0
 *   unseen    may open no file any more, and returns 0
 *   fork      forks while its goroutines are there, and both return 0
 */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goro.h"

static goro_mutex mu;

static void lock_twice(void *arg)
{
	goro_waitgroup_done(arg);
	goro_mutex_lock(&mu);
	goro_mutex_lock(&mu); /* TWICE */
	goro_mutex_unlock(&mu);
}

static void descend(void *arg, int frames)
{
	volatile int level = frames;

	if (level)
		descend(arg, level - 1);
	else
		lock_twice(arg);
	level = 0;
}

static void lock_deep(void *arg)
{
	descend(arg, 100);
}

/* The first process of a daemon ends at once; the second has a session, and nobody's streams. */
static void become_daemon(const char *self)
{
	if (fork())
		_exit(0);
	setsid();
	execl(self, self, "serve", (char *)NULL);
	_exit(127);
}

static void serve(void)
{
	printf("%d\n", (int)getpid());
	fflush(stdout);
	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		_exit(1);
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void end(char **argv)
{
	const char *how = argv[1];
	int *volatile nowhere = NULL;
	char c;

	if (!strcmp(how, "crash"))
		*nowhere = 1;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "exec"))
		execv(argv[2], argv + 2);
	if (!strcmp(how, "quick") || !strcmp(how, "then")) {
		while (read(STDIN_FILENO, &c, 1) > 0)
			;
		if (!strcmp(how, "then"))
			execv(argv[2], argv + 2);
		_exit(9);
	}
	if (!strcmp(how, "serve"))
		serve();
	if (!strcmp(how, "user") && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
		_exit(1);
	if (!strcmp(how, "root") && (chroot(argv[2]) || chdir("/")))
		_exit(1);
	if (!strcmp(how, "unseen") && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }))
		_exit(1);
	if (!strcmp(how, "fork")) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	goro_waitgroup started = { 0 };

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "daemon"))
		become_daemon(argv[0]);
	goro_waitgroup_add(&started, 1);
	if (!strcmp(argv[1], "deep"))
		go(lock_deep, &started);
	else
		go(lock_twice, &started); /* START */
	goro_waitgroup_wait(&started);
	end(argv);
	return 0;
}
