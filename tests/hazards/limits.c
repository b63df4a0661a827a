/* SPDX-License-Identifier: MIT */
/*
 * What the runtime cannot do, and must say in one line: goroutines in a forked child, calls from
 * inside goro_blocking(), more stacks than there is address space. And what it can beside
 * them: posix_spawn, threads that leave it alone.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

/* 0 in the child. */
static pid_t forked(void)
{
	pid_t child = fork();

	check(child >= 0);
	return child;
}

/* As a shell says it: fit to be the waiting one's own exit status, which a wait status is not. */
static int how_it_ended(pid_t child)
{
	int status;

	check(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Started before and after, goroutines of the parent never notice. */
static void parent_of_a_fork(void)
{
	int ran = 0;
	pid_t child = forked();

	if (!child)
		_exit(0);
	check_eq(how_it_ended(child), 0);
	go(set, &ran);
	goro_yield();
	check_eventually(ran);
}

static void child_of_a_fork(void)
{
	int ran = 0;
	pid_t child;

	go(set, &ran);
	goro_yield();
	check_eventually(ran);
	child = forked();
	if (!child)
		go(wait_for_ever, NULL);
	_exit(how_it_ended(child));
}

static void echo(void *fd)
{
	char c;

	while (goro_read(*(int *)fd, &c, 1) == 1)
		check(goro_write(*(int *)fd, &c, 1) == 1);
	goro_close(*(int *)fd);
}

static void lock_and_send(void *c)
{
	static goro_mutex mu;

	goro_mutex_lock(&mu);
	goro_yield();
	goro_mutex_unlock(&mu);
	goro_chan_send(c, &(int){ 1 });
}

/* As a daemon does, and a server with a process for each core. */
static void use_everything(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	struct goro_case cases[] = { goro_recv_case(c, NULL) };
	int pair[2], sum = 0, one;
	char byte = 'x';

	check(goro_select_timeout(cases, 1, GORO_MILLISECOND) == -1);
	goro_set_maxprocs(4);
	for (int i = 0; i < 100; i++)
		go(lock_and_send, c);
	for (int i = 0; i < 100; i++) {
		check(goro_chan_recv(c, &one));
		sum += one;
	}
	check(sum == 100);
	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	go(echo, &pair[1]);
	for (int i = 0; i < 100; i++) {
		check(goro_write(pair[0], &byte, 1) == 1);
		check(goro_read(pair[0], &byte, 1) == 1);
	}
	goro_close(pair[0]);
	check_eventually(goro_count() == 1);
}

static void fork_before_all(void)
{
	static goro_mutex held;
	pid_t child;

	goro_mutex_lock(&held);
	child = forked();
	if (!child) {
		child = forked();
		if (child)
			_exit(how_it_ended(child));
		goro_mutex_unlock(&held);
		use_everything();
		exit(0);
	}
	check_eq(how_it_ended(child), 0);
	use_everything();
}

/* (Where there are no cold stacks it is like any other.) */
static void fork_of_a_fork(void)
{
	int ran = 0;
	pid_t child;

	go(set, &ran);
	goro_yield();
	check_eventually(ran);
	child = forked();
	if (!child) {
		child = forked();
		_exit(child ? how_it_ended(child) : 0);
	}
	check_eq(how_it_ended(child), 0);
}

static void spawned_process(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	pid_t child;

	check(!posix_spawn(&child, "/bin/true", NULL, NULL, argv, NULL));
	check_eq(how_it_ended(child), 0);
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
	  .says = { "goroutines do not exist in a fork\\(\\)ed child; use posix_spawn.*, or fork "
		    "before" } },
	{ "fork_before_all", fork_before_all, .status = 0 },
	{ "fork_of_a_fork", fork_of_a_fork, .status = 0, .env = "GORO_COLD=0.01" },
	{ "spawned_process", spawned_process, .status = 0 },
	{ "call_in_blocking", call_in_blocking, .status = 2,
	  .says = { "called from inside goro_blocking\\(\\)" } },
	{ "foreign_thread_is_quiet", foreign_thread_is_quiet, .status = 0 },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
