/* SPDX-License-Identifier: MIT */
/*
 * goro_observed - a program to be looked at: goro_observed GOROUTINES.
 *
 * That many goroutines wait, ten to a channel, each eight calls deep. It obeys lines on its stdin,
 * answers each with one line, and ends with its input:
 *
 *	wake N     the next N goroutines run and wait again
 *	gaps MS    for so long one goroutine does nothing but yield; how long it did not get to run,
 *	           in microseconds: the longest in each millisecond in which it ran
 *	held MS    the same, less what its thread was ready to run and waited for a processor:
 *	           what is left is a lock, a page that had to be brought, or somebody who stopped it
 *	rest MS    for so long one goroutine sleeps, and none runs
 *
 * go/observed.go is the same program in Go.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goro.h"

enum { DEPTH = 8, PER_CHANNEL = 10, WINDOW_MS = 1, SMALL_NS = 20000 };

static goro_chan **channels;
static int nchannels, next_channel;
static goro_waitgroup running;

static __attribute__((noinline)) int deep(goro_chan *c, int depth)
{
	char frame[32];

	memset(frame, depth, sizeof(frame));
	__asm__ volatile("" : : "r"(frame) : "memory");
	if (depth > 1)
		return deep(c, depth - 1) + frame[depth];
	do
		goro_waitgroup_done(&running);
	while (goro_chan_recv(c, NULL));
	return 0;
}

static void wait_deep(void *channel)
{
	int result = deep(channel, DEPTH - 1);

	__asm__ volatile("" : : "r"(result));
}

static void gather(int n)
{
	nchannels = (n + PER_CHANNEL - 1) / PER_CHANNEL;
	channels = calloc((size_t)nchannels, sizeof(goro_chan *));
	if (!channels)
		exit(1);
	goro_waitgroup_add(&running, n);
	for (int i = 0; i < n; i++) {
		if (i % PER_CHANNEL == 0)
			channels[i / PER_CHANNEL] = goro_chan_make(0, 0);
		go(wait_deep, channels[i / PER_CHANNEL]);
	}
	goro_waitgroup_wait(&running);
}

static void wake(int n)
{
	goro_waitgroup_add(&running, n);
	for (int i = 0; i < n; i++) {
		goro_chan_send(channels[next_channel], NULL);
		next_channel = (next_channel + 1) % nchannels;
	}
	goro_waitgroup_wait(&running);
	puts("done");
}

/* How long a thread has waited for a processor, in ns; the kernel counts it. */
struct waited {
	pid_t tid;
	int64_t ns;
};

static struct waited look_how_long(void)
{
	struct waited w = { .tid = gettid() };
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	char text[128] = "";
	long long ran, waited;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	    sscanf(text, "%lld %lld", &ran, &waited) == 2)
		w.ns = waited;
	if (fd >= 0)
		close(fd);
	return w;
}

/* Of this gap, what it did not wait for a processor. Of one that
 * ended on another thread: unknown. */
static int64_t held_of(int64_t gap, struct waited *before)
{
	struct waited now = look_how_long();
	int64_t held = now.tid == before->tid ? gap - (now.ns - before->ns) : 0;

	*before = now;
	return held > 0 ? held : 0;
}

/* A gap that is longer than a window counts where it ended. */
static void gaps(int ms, bool held)
{
	size_t n = (size_t)(ms / WINDOW_MS) + 1, at = 0;
	int64_t *worst = calloc(n + 1, sizeof(*worst)), start = goro_now(), last = start,
		now = start;
	struct waited before = look_how_long();

	while (worst && now - start < ms * GORO_MILLISECOND) {
		int64_t gap;

		goro_yield();
		now = goro_now();
		gap = now - last;
		if (held && gap > SMALL_NS)
			gap = held_of(gap, &before);
		at = (size_t)((now - start) / (WINDOW_MS * GORO_MILLISECOND));
		at = at < n ? at : n;
		worst[at] = gap > worst[at] ? gap : worst[at];
		last = held ? goro_now() : now;
	}
	if (!worst)
		exit(1);
	for (size_t i = 0; i <= at; i++)
		if (worst[i])
			printf("%.1f ", (double)worst[i] / 1e3);
	puts("");
	free(worst);
}

static void gaps_of(void *ms)
{
	gaps(*(int *)ms, false);
	goro_waitgroup_done(&running);
}

static void held_of_gaps(void *ms)
{
	gaps(*(int *)ms, true);
	goro_waitgroup_done(&running);
}

static void rest(void *ms)
{
	goro_sleep(*(int *)ms * GORO_MILLISECOND);
	puts("done");
	goro_waitgroup_done(&running);
}

/* While main waits, so that there is as much to say of it whatever the other one does. */
static void let(void (*fn)(void *), int ms)
{
	goro_waitgroup_add(&running, 1);
	go(fn, &ms);
	goro_waitgroup_wait(&running);
}

static void read_line(void *line)
{
	if (!fgets(line, 64, stdin))
		_exit(0);
}

int main(int argc, char **argv)
{
	int n = argc == 2 ? atoi(argv[1]) : 0, value;
	char line[64];

	if (n < 1) {
		fprintf(stderr, "usage: goro_observed GOROUTINES\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	gather(n);
	puts("ready");
	for (;;) {
		goro_blocking(read_line, line);
		if (sscanf(line, "wake %d", &value) == 1)
			wake(value);
		else if (sscanf(line, "gaps %d", &value) == 1)
			let(gaps_of, value);
		else if (sscanf(line, "held %d", &value) == 1)
			let(held_of_gaps, value);
		else if (sscanf(line, "rest %d", &value) == 1)
			let(rest, value);
		else
			return 2;
	}
}
