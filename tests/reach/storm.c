/* SPDX-License-Identifier: MIT */
/*
 * storm - a program that nobody can look at for long: every few milliseconds it becomes another
 * one, and in between makes children, threads and maps as fast as it can. Its 20 leaks are true.
 *
 *	storm [GENERATION]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "goro.h"

static void waits(void *arg)
{
	goro_chan_recv(arg, NULL);
}

__attribute__((noinline)) static void leak(void)
{
	go(waits, goro_chan_of(int, 0));
}

static void *makes_maps(void *arg)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return arg;
		p[5000] = 1;
		munmap(p, 1 << 20);
	}
}

static void *makes_children(void *arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		/* What exec() left of one that another thread was waiting for. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *makes_threads(void *arg)
{
	for (;;) {
		pthread_t t;

		if (!pthread_create(&t, NULL, nothing, NULL))
			pthread_join(t, NULL);
	}
	return arg;
}

int main(int argc, char **argv)
{
	const int generation = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
	char next[16];
	pthread_t t;

	pthread_create(&t, NULL, makes_maps, NULL);
	pthread_create(&t, NULL, makes_children, NULL);
	pthread_create(&t, NULL, makes_threads, NULL);
	for (volatile int i = 0; i < 20; i++)
		leak();
	goro_sleep((5 + generation * 7 % 400) * GORO_MILLISECOND);
	snprintf(next, sizeof(next), "%d", generation + 1);
	execv("/proc/self/exe", (char *[]){ argv[0], next, NULL });
	return 1;
}
