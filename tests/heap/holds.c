/* SPDX-License-Identifier: MIT */
/*
 * holds.c - goroutines that hold known amounts of heap, for `goro run --heap'. Each has a name,
 * under which heap.py finds its figures; what they must be is in heap_test.sh.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <goro.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *cxx_holds(void) __attribute__((weak)); /* holds_cxx.cpp, where there is a compiler */

static goro_waitgroup done;
static goro_chan *never;
static void *kept[4096];
static size_t nkept;
static goro_mutex lock;

static void must(int ok, const char *what)
{
	if (!ok) {
		printf("FAIL: %s\n", what);
		fflush(stdout);
		_exit(1);
	}
}

static void *keep(void *p)
{
	must(p != NULL, "memory");
	goro_mutex_lock(&lock);
	kept[nkept++] = p;
	goro_mutex_unlock(&lock);
	return p;
}

/* The figures stand: wait for ever. */
static void stay(void)
{
	int x;

	goro_waitgroup_done(&done);
	goro_chan_recv(never, &x);
}

static volatile size_t too_much = SIZE_MAX / 2, nothing; /* the compiler shall not know */

static int aligned(const void *p, size_t to)
{
	return (uintptr_t)p % to == 0;
}

/* One of each: 100 + 200 + 640 + 5000 + 96 + 4096 + 1 + 21 + 6 + 0 bytes in 10 objects. */
static void family(void *unused)
{
	void *p;

	(void)unused;
	goro_set_name("family");
	must(malloc_usable_size(keep(malloc(100))) >= 100, "usable size");
	p = keep(calloc(10, 20));
	for (int i = 0; i < 200; i++)
		must(((char *)p)[i] == 0, "calloc is zero");
	must(aligned(keep(aligned_alloc(64, 640)), 64), "aligned_alloc");
	must(posix_memalign(&p, 4096, 5000) == 0 && aligned(keep(p), 4096), "posix_memalign");
	must(posix_memalign(&p, 3, 10) == EINVAL, "posix_memalign of 3");
	must(aligned(keep(memalign(32, 96)), 32), "memalign");
	must(aligned(keep(valloc(4096)), 4096), "valloc");
	must(aligned(keep(pvalloc(1)), 4096), "pvalloc");
	keep(reallocarray(NULL, 3, 7));
	errno = 0;
	must(!reallocarray(NULL, too_much, 4) && errno == ENOMEM, "reallocarray");
	keep(strdup("hello"));
	keep(malloc(0));
	errno = 0;
	must(!malloc(too_much) && errno == ENOMEM, "too much");
	must(!calloc(too_much, 4), "calloc of too much");
	stay();
}

/* 10 objects of 1000 bytes; others take 4 of them and free 3, and make 1 their own. */
static void *of_giver[10];

static void giver(void *given)
{
	goro_set_name("giver");
	for (int i = 0; i < 10; i++)
		of_giver[i] = malloc(1000);
	goro_waitgroup_done(given);
	stay();
}

static void taker(void *given)
{
	goro_set_name("taker");
	goro_waitgroup_wait(given);
	free(of_giver[0]);
	free(of_giver[5]);
	free(of_giver[9]);
	of_giver[3] = realloc(of_giver[3], 1500);
	stay();
}

/* What realloc() does: 5000 bytes are left in 1 object, 8160 were allocated in 5. */
static void grower(void *unused)
{
	char *p = malloc(10), *q;

	(void)unused;
	goro_set_name("grower");
	strcpy(p, "contents");
	p = realloc(p, 3000);
	must(strcmp(p, "contents") == 0, "realloc keeps the contents");
	p = realloc(p, 150);
	errno = 0;
	must(!realloc(p, too_much) && errno == ENOMEM, "realloc of too much");
	must(strcmp(p, "contents") == 0, "a failed realloc keeps the contents");
	p = realloc(p, 5000);
	keep(p);
	q = realloc(NULL, nothing);
	free(q);
	free(NULL);
	stay();
}

/* All of its own is freed: 0 in 0, of 64000 in 1000. */
static void tidy(void *unused)
{
	(void)unused;
	goro_set_name("tidy");
	for (int i = 0; i < 1000; i++)
		free(malloc(64));
	stay();
}

static goro_waitgroup empties;

static void empty(void *unused)
{
	(void)unused;
	goro_waitgroup_done(&empties);
}

/* It has threads started, whose memory is not its own: 100 in 1. */
static void starter(void *unused)
{
	(void)unused;
	goro_set_name("starter");
	keep(malloc(100));
	goro_set_maxprocs(goro_maxprocs() + 4);
	for (int i = 0; i < 8; i++) {
		goro_waitgroup_add(&empties, 1);
		go(empty, NULL);
	}
	goro_waitgroup_wait(&empties);
	stay();
}

/* Ends, and leaves 500 bytes behind. */
static void leaver(void *unused)
{
	(void)unused;
	keep(malloc(500));
	free(malloc(70));
	goro_waitgroup_done(&done);
}

static pthread_barrier_t thread_ready;
static void *of_thread;

/* It calls nothing of ours, else it would be a goroutine. */
static void *thread(void *unused)
{
	(void)unused;
	of_thread = malloc(12345);
	pthread_barrier_wait(&thread_ready);
	for (;;)
		pause();
	return NULL;
}

static void cxx(void *unused)
{
	(void)unused;
	goro_set_name("cxx");
	keep(cxx_holds());
	stay();
}

static void *before_main;

__attribute__((constructor(101))) static void early(void)
{
	before_main = realloc(malloc(10), 20);
}

__attribute__((destructor)) static void late(void)
{
	free(before_main);
	free(malloc(100));
}

/* A child has all that malloc() can do, and changes nothing here. */
static void fork_child(void)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0, "fork");
	if (!pid) {
		char *p = malloc(100);

		free(of_giver[1]);
		p = realloc(p, 100000);
		free(p);
		_exit(p ? 0 : 1);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0, "the child");
}

static __attribute__((noinline)) void start(goro_fn *fn, void *arg)
{
	goro_waitgroup_add(&done, 1);
	goro_go(fn, arg);
}

/* Waves, so that records are used again: 3 goroutines a wave, 20 waves, 30000 bytes are left. */
static void leavers(void)
{
	for (int wave = 0; wave < 20; wave++) {
		for (volatile int i = 0; i < 3; i++) { /* unrolled it would be three sites */
			goro_waitgroup_add(&done, 1);
			go(leaver, NULL);
		}
		goro_waitgroup_wait(&done);
	}
	/* Main frees 8 of the first: 26000 in 52 stay. */
	for (int i = 0; i < 8; i++)
		free(kept[i]);
}

int main(int argc, char **argv)
{
	static goro_waitgroup given;
	pthread_t t;

	if (argc > 1 && !strcmp(argv[1], "end")) /* the ways in and out of a program */
		return 7;
	never = goro_chan_of(int, 0);
	leavers();
	goro_waitgroup_add(&given, 1);
	start(starter, NULL);
	start(family, NULL);
	start(giver, &given);
	start(taker, &given);
	start(grower, NULL);
	start(tidy, NULL);
	if (cxx_holds)
		start(cxx, NULL);
	pthread_barrier_init(&thread_ready, NULL, 2);
	pthread_create(&t, NULL, thread, NULL);
	pthread_barrier_wait(&thread_ready);
	goro_waitgroup_wait(&done);
	fork_child();
	puts("ready");
	fflush(stdout);
	for (;;)
		goro_sleep(GORO_SECOND);
}
