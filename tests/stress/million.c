/* SPDX-License-Identifier: MIT */
/*
 * A million goroutines, parked, woken and ended: stress_million [N]. Prints what each step takes
 * and what it leaves behind; each goroutine passes each step once. And what it takes until their
 * memory is back with the system, while the program goes on. Without enough memory it says so and
 * ends with status 77.
 */
#include <unistd.h>

#include "stress.h"

enum { MILLION = 1000000, BYTES_EACH = 6000, PATIENCE_S = 90 };

static goro_chan *gate, *way_out;
static goro_waitgroup inside, outside;
static atomic_uchar *steps; /* of each goroutine */

static void visit(void *arg)
{
	int me = *(int *)arg;
	bool open;

	must(atomic_fetch_add(&steps[me], 1) == 0);
	goro_waitgroup_done(&inside);
	open = goro_chan_recv(gate, NULL);
	must(!open && atomic_fetch_add(&steps[me], 1) == 1);
	goro_chan_recv(way_out, NULL); /* parked again: one send for each */
	must(atomic_fetch_add(&steps[me], 1) == 2);
	goro_waitgroup_done(&outside);
}

static double megabytes(const char *file, const char *field)
{
	char line[256];
	double kb = -1;
	FILE *f = fopen(file, "re");

	must(f);
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = atof(line + strlen(field));
	fclose(f);
	return kb / 1024;
}

static double memory(void)
{
	return megabytes("/proc/self/status", "VmRSS:") + megabytes("/proc/self/status", "VmPTE:");
}

static int64_t begun;

static void say(const char *what, int n)
{
	int64_t now = goro_now();

	printf("%-28s%8.0f ms  %6.0f ns each  %6.0f MiB\n", what, (double)(now - begun) / 1e6,
	       (double)(now - begun) / n, memory());
	fflush(stdout);
	begun = goro_now();
}

/* A sanitizer keeps for itself what it needed. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { KEEPS_MEMORY = true };
#else
enum { KEEPS_MEMORY = false };
#endif

/* Until a hundredth of what they took is left, and 8 MiB for caches. Somebody works meanwhile, so
 * that what gives it back does not have the machine for itself, nor looks as often as it likes. */
static void wait_for_return(double before, int n)
{
	double full = memory();
	int64_t end = goro_now() + PATIENCE_S * GORO_SECOND;

	while (!KEEPS_MEMORY && memory() > before + (full - before) / 100 + 8) {
		must(goro_now() < end);
		for (int64_t until = goro_now() + 100 * GORO_MILLISECOND; goro_now() < until;)
			goro_yield();
	}
	say("given back", n);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : MILLION;
	double need = (double)n * BYTES_EACH / (1 << 20), before,
	       available = megabytes("/proc/meminfo", "MemAvailable:");

	if (n < 1 || argc > 2) {
		fprintf(stderr, "usage: %s [GOROUTINES]\n", argv[0]);
		return 2;
	}
	if (available < need) {
		printf("skipped: %d goroutines need %.0f MiB, and there are %.0f\n", n, need,
		       available);
		return 77;
	}
	steps = calloc((size_t)n, sizeof(*steps));
	must(steps);
	gate = goro_chan_make(0, 0);
	way_out = goro_chan_make(0, 0);
	goro_waitgroup_add(&inside, n);
	goro_waitgroup_add(&outside, n);
	printf("%d goroutines, %d workers\n", n, goro_maxprocs());

	memset((void *)steps, 0, (size_t)n);
	before = memory();
	begun = goro_now();
	for (int i = 0; i < n; i++)
		go_copy(visit, &i);
	goro_waitgroup_wait(&inside);
	say("started and parked", n);
	must(goro_count() == (size_t)n + 1);
	goro_chan_close(gate);
	for (int i = 0; i < n; i++)
		goro_chan_send(way_out, NULL);
	say("woken, parked, woken", n);
	goro_waitgroup_wait(&outside);
	for (int i = 0; i < n; i++)
		must(steps[i] == 3);
	while (goro_count() > 1)
		goro_yield();
	say("ended", n);
	wait_for_return(before, n);
	return 0;
}
