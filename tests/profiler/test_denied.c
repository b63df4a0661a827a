/* SPDX-License-Identifier: MIT */
/*
 * test_denied.c - what is said of a process that has no memory when we read it, over a /proc of our
 * own: real ones go through these states when they like.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "target_process.h"

struct proc {
	char path[64];
	struct process p;
	pthread_t thread;
	/* What it is after half a second. */
	char state;
	int threads;
	long pages;
};

static void put(const struct proc *proc, const char *name, const char *text)
{
	int dir = proc->p.dir, fd = openat(dir, "new", O_CREAT | O_WRONLY | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(renameat(dir, "new", dir, name), 0);
}

static void set(const struct proc *proc, char state, int threads, long pages)
{
	char text[160];

	snprintf(text, sizeof text, "%ld %ld 1 1 0 1 0\n", pages, pages / 2);
	put(proc, "statm", text);
	snprintf(text, sizeof text, "77 (victim) %c 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 %d 0 1 0 0\n",
		 state, threads);
	put(proc, "stat", text);
}

static void *later(void *arg)
{
	const struct proc *proc = arg;

	usleep(500000);
	set(proc, proc->state, proc->threads, proc->pages);
	return NULL;
}

static void begin(struct proc *proc, char state, int threads, long pages)
{
	*proc = (struct proc){ .path = "/tmp/test_denied-XXXXXX", .p.target.pid = 77 };
	assert_non_null(mkdtemp(proc->path));
	proc->p.dir = open(proc->path, O_RDONLY | O_DIRECTORY);
	assert_true(proc->p.dir >= 0);
	set(proc, state, threads, pages);
}

static void then(struct proc *proc, char state, int threads, long pages)
{
	proc->state = state;
	proc->threads = threads;
	proc->pages = pages;
	assert_int_equal(pthread_create(&proc->thread, NULL, later, proc), 0);
}

/* What is said, and by which status. */
static void expect(struct proc *proc, enum goro_status status, const char *text)
{
	struct goro_error *err = process_explain(&proc->p, ESRCH, "the memory");

	assert_non_null(err);
	assert_string_equal(err->message, text);
	assert_int_equal(err->code, status);
	goro_error_free(err);
	if (proc->thread)
		pthread_join(proc->thread, NULL);
	unlinkat(proc->p.dir, "stat", 0);
	unlinkat(proc->p.dir, "statm", 0);
	close(proc->p.dir);
	rmdir(proc->path);
}

/* To give back the memory of a big one takes the kernel its time, in which nothing is there to
 * read. */
static void slow_end(void **state)
{
	struct proc proc;

	(void)state;
	begin(&proc, 'R', 5, 0);
	then(&proc, 'Z', 1, 0);
	expect(&proc, GORO_NO_TARGET, "process 77 has ended");
}

static void other_program(void **state)
{
	struct proc proc;

	(void)state;
	begin(&proc, 'Z', 2, 0); /* a thread calls execve(), the first has made way for it */
	then(&proc, 'R', 1, 500);
	expect(&proc, GORO_UNSUPPORTED, "process 77 has become another program");
}

static void first_thread_ended(void **state)
{
	struct proc proc;

	(void)state;
	begin(&proc, 'Z', 4, 0);
	expect(&proc, GORO_UNSUPPORTED,
	       "the first thread of process 77 has ended, and the kernel shows its memory no more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_end),
		cmocka_unit_test(other_program),
		cmocka_unit_test(first_thread_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
