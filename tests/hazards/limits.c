/* SPDX-License-Identifier: MIT */
/*
 * What the runtime cannot do, and must say in one line: goroutines in a forked child, calls from
 * inside goro_blocking(), more stacks than there is address space. And what it can beside
 * them: posix_spawn, threads that leave it alone.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static goro_chan *never;

static void wait_for_ever(void *unused)
{
	(void)unused;
	goro_chan_recv(never, NULL);
}

static void out_of_address_space(void)
{
	struct rlimit limit = { 1u << 30, 1u << 30 };

	never = goro_chan_make(0, 0);
	check(!setrlimit(RLIMIT_AS, &limit));
	for (int i = 0; i < 1000000; i++) {
		go(wait_for_ever, NULL);
		goro_yield();
	}
}

static void set(void *arg)
{
	*(int *)arg = 1;
}

/* Started before and after, goroutines of the parent never notice. */
static void parent_of_a_fork(void)
{
	int ran = 0, status;
	pid_t child = fork();

	check(child >= 0);
	if (!child)
		_exit(0);
	check(waitpid(child, &status, 0) == child && status == 0);
	go(set, &ran);
	goro_yield();
	check_eventually(ran);
}

static void child_of_a_fork(void)
{
	int status;
	pid_t child = fork();

	check(child >= 0);
	if (!child)
		go(wait_for_ever, NULL);
	check(waitpid(child, &status, 0) == child);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

static void spawned_process(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	int status;
	pid_t child;

	check(!posix_spawn(&child, "/bin/true", NULL, NULL, argv, NULL));
	check(waitpid(child, &status, 0) == child && status == 0);
}

static void *call_from_outside(void *fn)
{
	((void (*)(void))(uintptr_t)fn)();
	return NULL;
}

static void on_a_thread(void (*fn)(void))
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, call_from_outside, (void *)(uintptr_t)fn));
	pthread_join(thread, NULL);
}

static void nothing(void)
{
}

static void send_something(void)
{
	goro_chan_try_send(never, NULL);
}

static void send_in_blocking(void *unused)
{
	(void)unused;
	send_something();
}

static void call_in_blocking(void)
{
	never = goro_chan_make(0, 0);
	goro_blocking(send_in_blocking, NULL);
}

static void foreign_thread_is_quiet(void)
{
	int ran = 0;

	on_a_thread(nothing);
	go(set, &ran);
	check_eventually(ran);
}

static const struct check_case cases[] = {
	{ "out_of_address_space", out_of_address_space, .status = 2,
	  .says = { "out of memory: no address space for another stack.*ulimit -v.*GORO_STACK" },
	  .env = "GORO_TRACEBACK=none" },
	{ "parent_of_a_fork", parent_of_a_fork, .status = 0 },
	{ "child_of_a_fork", child_of_a_fork, .status = 2,
	  .says = { "goroutines do not exist in a fork\\(\\)ed child; use posix_spawn" } },
	{ "spawned_process", spawned_process, .status = 0 },
	{ "call_in_blocking", call_in_blocking, .status = 2,
	  .says = { "called from inside goro_blocking\\(\\)" } },
	{ "foreign_thread_is_quiet", foreign_thread_is_quiet, .status = 0 },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
