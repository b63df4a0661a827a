/* SPDX-License-Identifier: MIT */
/*
 * hide - a program that keeps its only pointer to a channel where it is hard to find.
 *
 *	hide PLACE
 *
 * Goroutines wait on channels that are reachable by way of PLACE alone; one more goroutine is
 * leaked in truth. So whoever looks must find one leaked goroutine, always, and not one more. It
 * prints "ready", and ends when its standard input does.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hide.h"

static goro_waitgroup placed; /* the setup is over */
static goro_waitgroup parked; /* those who wait are about to */

/* A place on the stack of the one that is leaked; nobody shall find it. */
static uintptr_t disguised;
uintptr_t hidden_leak;

/*
 * HIDE_STACK: what they wait for lies on their own stacks, so that it can be lost where nothing is
 * known of the heap. To the places it is a pointer like any other.
 */
static bool on_stacks;
static uintptr_t given; /* the complement of the newest one's */

static void wait_on_own_stack(uintptr_t *complement)
{
	goro_waitgroup mine = { 0 };

	goro_waitgroup_add(&mine, 1);
	*complement = ~(uintptr_t)&mine;
	goro_waitgroup_done(&parked);
	goro_waitgroup_wait(&mine);
}

static void leaked_in_truth(void *arg)
{
	volatile char here = 0;

	disguised = ~(uintptr_t)&here;
	if (on_stacks)
		wait_on_own_stack(&hidden_leak);
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

static void waits(void *arg)
{
	if (on_stacks)
		wait_on_own_stack(&given);
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

goro_chan *new_chan(void)
{
	goro_chan *c = on_stacks ? NULL : goro_chan_of(int, 0);

	goro_waitgroup_add(&parked, 1);
	go(waits, c);
	goro_waitgroup_wait(&parked);
	return on_stacks ? (goro_chan *)~given : c;
}

void wait_until_cold(uintptr_t at)
{
	unsigned char there = 1;

	while (!mincore((void *)(at & ~(uintptr_t)(PAGE - 1)), PAGE, &there) && there & 1)
		goro_sleep(GORO_MILLISECOND);
}

/*
 * What may stand in the way of whoever looks; each makes it take another way. HIDE_WIDE: so much
 * address space that no copy of it is kept in advance. HIDE_SECCOMP: a filter, as in a container,
 * that ends the process for making another one. HIDE_FAT: so many MiB that it really uses.
 */
static void obstruct(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static void *volatile fat;
	const size_t size = getenv("HIDE_FAT") ? strtoul(getenv("HIDE_FAT"), NULL, 10) << 20 : 0;
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	if (getenv("HIDE_WIDE") &&
	    mmap(NULL, 65ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
		    MAP_FAILED)
		exit(77);
	if (size) {
		fat = malloc(size);
		memset(fat, 1, size);
	}
	if (getenv("HIDE_SECCOMP") && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
				       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)))
		exit(77);
}

/* Before the rest, so that its stack was never anybody else's. */
static void leak(void)
{
	goro_chan *c = on_stacks ? NULL : goro_chan_of(int, 0);

	hidden_leak = ~(uintptr_t)c;
	goro_waitgroup_add(&parked, 1);
	go(leaked_in_truth, c);
}

static void setup(void *arg)
{
	const struct place *p = arg;

	p->hide();
	goro_waitgroup_done(&placed);
}

/* What setup left on its stack is no pointer that counts, but here nothing shall depend on it. */
static void scrub(void *arg)
{
	volatile char bytes[16384];

	(void)arg;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
	goro_waitgroup_done(&placed);
}

/* main sleeps: then no thread has in its registers what was copied long ago. */
static void wait_for_input_to_end(void)
{
	struct pollfd fd = { .fd = 0, .events = POLLIN };

	while (poll(&fd, 1, 0) == 0)
		goro_sleep(20 * GORO_MILLISECOND);
	_exit(0);
}

/* Before there is another thread: none of them shall take it. */
static void block_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, HIDE_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static const struct place *find(const char *name)
{
	static const struct place *const all[] = {
		places_in_objects,  places_in_threads,	places_in_maps,
		places_of_parked,   places_that_change, places_in_passing,
		places_like_malloc, places_packed,	places_used,
#ifndef HIDE_PLAIN
		places_in_kernel,   places_sent,
#endif
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (const struct place *p = all[i]; p->name; p++)
			if (!strcmp(name, p->name))
				return p;
	return NULL;
}

int main(int argc, char **argv)
{
	const struct place *place = argc == 2 ? find(argv[1]) : NULL;

	if (!place) {
		fprintf(stderr, "usage: hide PLACE\n");
		return 2;
	}
	on_stacks = getenv("HIDE_STACK");
	block_signal();
	obstruct();
	leak();
	goro_waitgroup_wait(&parked);
	goro_waitgroup_add(&placed, 1);
	go(setup, (void *)place);
	goro_waitgroup_wait(&placed);
	for (int k = 0; k < 4; k++) {
		goro_waitgroup_add(&placed, 1);
		go(scrub, NULL);
		goro_waitgroup_wait(&placed);
	}
	goro_waitgroup_wait(&parked);
	/* Else it may be looked at just when the runtime takes its stack away. */
	if (goro_introspect.cold_arenas)
		wait_until_cold(~disguised);
	printf("ready\n");
	fflush(stdout);
	wait_for_input_to_end();
}
