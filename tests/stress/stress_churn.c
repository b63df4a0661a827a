/* SPDX-License-Identifier: MIT */
/*
 * Churn: goroutines that start, end in every possible way, and leave their successors their stacks
 * and records. Each gets its own argument, each ends once, and memory does not grow with the number
 * that ever lived, only with the number alive at once.
 */
#include <unistd.h>

#include "stress.h"

#define GENERATIONS (20 / STRESS_SLOW)

struct life {
	goro_waitgroup wg;
	atomic_long born, ended;
	_Atomic uint64_t sum;
};

struct soul {
	struct life *life;
	uint64_t number;
	unsigned char padding[80]; /* beyond what a record holds itself */
};

/* Uses some stack, so that a dirty page of the last owner would be noticed by who expects zeros. */
static __attribute__((noinline)) uint64_t dirty_stack(uint64_t n)
{
	volatile unsigned char bytes[3000];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(bytes); i += 7)
		bytes[i] = (unsigned char)n;
	for (size_t i = 0; i < sizeof(bytes); i += 7)
		sum += bytes[i];
	return sum;
}

static void be(void *arg)
{
	struct soul *soul = arg;
	struct life *life = soul->life;
	uint64_t n = soul->number;

	dirty_stack(n);
	if (n % 5 == 0)
		goro_yield();
	for (size_t i = 0; i < sizeof(soul->padding); i++)
		must(soul->padding[i] == (unsigned char)n);
	life->sum += n;
	life->ended++;
	if (n % 3 == 0) {
		struct soul child = { life, n + 1, { 0 } };

		memset(child.padding, (unsigned char)(n + 1), sizeof(child.padding));
		life->born++;
		goro_waitgroup_add(&life->wg, 1);
		go_copy(be, &child);
	}
	goro_waitgroup_done(&life->wg);
	if (n % 2)
		goro_exit();
}

static uint64_t run_wave(void)
{
	struct life life = { 0 };
	uint64_t expected = 0;

	for (int g = 0; g < GENERATIONS; g++) {
		for (uint64_t n = 0; n < STRESS_LIVE / 4; n++) {
			struct soul soul = { &life, n, { 0 } };

			memset(soul.padding, (unsigned char)n, sizeof(soul.padding));
			life.born++;
			goro_waitgroup_add(&life.wg, 1);
			go_copy(be, &soul);
			expected += n + (n % 3 == 0 ? n + 1 : 0);
		}
		goro_waitgroup_wait(&life.wg);
	}
	must(life.born == life.ended);
	must(life.sum == expected);
	return (uint64_t)life.ended;
}

static long resident_pages(void)
{
	long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	must(f && fscanf(f, "%ld %ld", &size, &resident) == 2);
	fclose(f);
	return resident;
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	uint64_t lives = run_wave();
	long before = resident_pages(), grown;

	do {
		lives += run_wave();
	} while (goro_now() < end);
	while (goro_count() > 1) /* who has said Done has yet to end */
		goro_yield();
	grown = (resident_pages() - before) * sysconf(_SC_PAGESIZE);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* theirs does grow */
	must(grown < 64 << 20);
#endif
	printf("%lu lives, memory grew by %ld KiB\n", (unsigned long)lives, grown / 1024);
	return 0;
}
