/* SPDX-License-Identifier: MIT */
/*
 * Goroutines that were deep and now wait are trimmed beside one that works on: that must not take
 * sysmon much of a processor, because each step interrupts who works. Of its threads the program
 * then has one that works, on its only P, and sysmon comes next in what it has used.
 */
#include <dirent.h>
#include <time.h>

#include "stress.h"

enum {
	GOROUTINES = 5000,
	DEEP = 20 * 1024,
	PATIENCE_S = 60,
	THREADS = 64,
};

static goro_waitgroup parked;
static goro_sema turn = GORO_SEMA(GOROUTINES);
static _Atomic bool over;

static __attribute__((noinline)) void go_deep(void)
{
	unsigned char deep[DEEP];

	memset(deep, 1, sizeof(deep));
	__asm__ volatile("" : : "r"(deep) : "memory");
}

static void deep_once(void *unused)
{
	(void)unused;
	go_deep();
	goro_waitgroup_done(&parked);
	goro_sema_acquire(&turn, 1);
}

static void works(void *unused)
{
	(void)unused;
	while (!atomic_load(&over))
		goro_yield();
	goro_waitgroup_done(&parked);
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	must(f && fscanf(f, "%*s %ld", &pages) == 1);
	fclose(f);
	return pages * 4;
}

struct usage {
	int n;
	struct {
		int tid;
		int64_t ns;
	} of[THREADS];
};

static struct usage usage_now(void)
{
	struct usage u = { 0 };
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;

	must(dir);
	while ((e = readdir(dir))) {
		const int tid = atoi(e->d_name);
		struct timespec used;

		/* The clock of what that thread has run: see clock_getcpuclockid(). */
		if (!tid || clock_gettime((clockid_t)(~(unsigned)tid << 3 | 6), &used))
			continue;
		must(u.n < THREADS);
		u.of[u.n].tid = tid;
		u.of[u.n++].ns = used.tv_sec * GORO_SECOND + used.tv_nsec;
	}
	closedir(dir);
	return u;
}

/* What the thread has used since then that comes second in it. */
static int64_t second_most(const struct usage *before, const struct usage *now)
{
	int64_t most = 0, second = 0;

	for (int i = 0; i < now->n; i++) {
		int64_t ns = now->of[i].ns;

		for (int k = 0; k < before->n; k++)
			if (before->of[k].tid == now->of[i].tid)
				ns -= before->of[k].ns;
		if (ns > most) {
			second = most;
			most = ns;
		} else if (ns > second) {
			second = ns;
		}
	}
	return second;
}

static void wait_for_less_than(long kib)
{
	int64_t end = goro_now() + PATIENCE_S * GORO_SECOND;

	while (resident_kib() > kib) {
		must(goro_now() < end);
		goro_sleep(100 * GORO_MICROSECOND);
	}
}

int main(void)
{
	struct usage before, after;
	int64_t begin, took, sysmon;
	const long all = (long)GOROUTINES * (DEEP / 1024);
	long full;

	goro_sema_acquire(&turn, GOROUTINES); /* all, so that there are none */
	goro_waitgroup_add(&parked, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		go(deep_once, NULL);
	goro_waitgroup_wait(&parked);
	goro_waitgroup_add(&parked, 1);
	go(works, NULL);

	full = resident_kib();
	wait_for_less_than(full - all / 32);
	begin = goro_now();
	before = usage_now();
	wait_for_less_than(full - all / 4 * 3);
	after = usage_now();
	took = goro_now() - begin;
	sysmon = second_most(&before, &after);
	printf("trimmed for %.0f ms, %.0f of them at work\n", (double)took / GORO_MILLISECOND,
	       (double)sysmon / GORO_MILLISECOND);
	must(sysmon < took / 4);

	atomic_store(&over, true);
	goro_waitgroup_wait(&parked);
	goro_sema_release(&turn, GOROUTINES);
	return 0;
}
