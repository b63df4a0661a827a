/* SPDX-License-Identifier: MIT */
/*
 * Goroutines that were deep once and then wait for long: what they do not need any more goes back
 * to the system, what they need stays as it is, and observers still learn how deep they were. Then
 * they are woken while they are being trimmed, and go deep at once: nothing of that may be lost.
 * Some have so big a stack that a trim takes milliseconds.
 */
#include "goro_introspect.h"
#include "stress.h"

enum {
	GOROUTINES = 2000,
	WAVES = 2,
	BIG = 6,
	DEEP = 80 * 1024,
	VERY_DEEP = 16 * 1024 * 1024,
	LIVE = 6000,
	PATIENCE_S = 60,
};

extern struct goro_introspect goro_introspect;

static goro_sema turn = GORO_SEMA(GOROUTINES);
static goro_waitgroup parked, woken;
static _Atomic bool enough;

static unsigned char pattern(size_t i, uintptr_t who)
{
	return (unsigned char)(i * 31 + who);
}

/* Down in order, as a stack is used: a trim begins at the other end. */
static void fill_and_check(volatile unsigned char *deep, size_t size, uintptr_t who)
{
	for (size_t i = size; i-- > 0;)
		deep[i] = pattern(i, who);
	for (size_t i = 0; i < size; i++)
		must(deep[i] == pattern(i, who));
}

static __attribute__((noinline)) void go_deep(uintptr_t who)
{
	volatile unsigned char deep[DEEP];

	fill_and_check(deep, sizeof(deep), who);
}

static __attribute__((noinline)) void go_very_deep(uintptr_t who)
{
	volatile unsigned char deep[VERY_DEEP];

	fill_and_check(deep, sizeof(deep), who);
}

static void big(void *arg)
{
	go_very_deep((uintptr_t)arg);
	goro_waitgroup_done(&parked);
	goro_sema_acquire(&turn, 1);
	go_very_deep((uintptr_t)arg);
	goro_waitgroup_done(&woken);
}

/* With some pages in use while it waits. */
static void live(void *arg)
{
	uintptr_t who = (uintptr_t)arg;
	volatile unsigned char used[LIVE];

	for (size_t i = 0; i < LIVE; i++)
		used[i] = pattern(i, who);
	while (!atomic_load(&enough)) {
		go_deep(who);
		goro_waitgroup_done(&parked);
		goro_sema_acquire(&turn, 1);
		goro_waitgroup_done(&woken);
		for (size_t i = 0; i < LIVE; i++)
			must(used[i] == pattern(i, who));
	}
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	must(f && fscanf(f, "%*s %ld", &pages) == 1);
	fclose(f);
	return pages * 4;
}

/* As an observer finds it: how many goroutines are known to have been so deep? */
static int were_deep(void)
{
	const struct goro_introspect *c = &goro_introspect;
	const struct goro_field *fields = (const struct goro_field *)(uintptr_t)c->fields;
	const uint64_t *chunks = (const uint64_t *)(uintptr_t)c->g_chunks;
	struct goro_field peak = fields[GORO_FIELD_g_stack_peak];
	int n = 0;

	must(peak.size == 2);
	for (uint64_t i = 0; i < (uint64_t)c->g_nchunks * c->g_chunk_len; i++) {
		const char *g = (const char *)(uintptr_t)chunks[i / c->g_chunk_len] +
				i % c->g_chunk_len * c->g_size;

		n += *(const volatile uint16_t *)(g + peak.offset) * 4096 >= DEEP;
	}
	return n;
}

static void wait_for_less_than(long kib)
{
	int64_t end = goro_now() + PATIENCE_S * GORO_SECOND;

	while (resident_kib() > kib) {
		must(goro_now() < end);
		goro_sleep(GORO_MILLISECOND);
	}
}

/* Woken as soon as one of them is seen to shrink. */
static void wake_big_ones(void)
{
	goro_waitgroup_add(&parked, BIG);
	goro_waitgroup_add(&woken, BIG);
	for (uintptr_t i = 0; i < BIG; i++)
		goro_go_with(&(struct goro_options){ .stack_size = VERY_DEEP + 64 * 1024 }, big,
			     (void *)i);
	goro_waitgroup_wait(&parked);
	for (long full = resident_kib(); resident_kib() > full - 1024;)
		;
	goro_sema_release(&turn, BIG);
	goro_waitgroup_wait(&woken);
}

int main(void)
{
	long full, before = resident_kib();

	goro_sema_acquire(&turn, GOROUTINES); /* all, so that there are none */
	goro_waitgroup_add(&parked, GOROUTINES);
	for (uintptr_t i = 0; i < GOROUTINES; i++)
		go(live, (void *)i);
	goro_waitgroup_wait(&parked);
	full = resident_kib();
	wait_for_less_than(before + GOROUTINES * 16);
	for (int i = 0; were_deep() < GOROUTINES; i++) {
		must(i < PATIENCE_S * 100);
		goro_sleep(10 * GORO_MILLISECOND);
	}
	printf("%ld KiB each, %ld after a while\n", (full - before) / GOROUTINES,
	       (resident_kib() - before) / GOROUTINES);

	for (int wave = 0; wave < WAVES; wave++) {
		/* From the second on: when the first of them has been trimmed. */
		if (wave)
			wait_for_less_than(full - full / 20);
		atomic_store(&enough, wave == WAVES - 1);
		goro_waitgroup_add(&woken, GOROUTINES);
		if (wave < WAVES - 1)
			goro_waitgroup_add(&parked, GOROUTINES);
		for (int i = 0; i < GOROUTINES; i++) {
			goro_sema_release(&turn, 1);
			if (i % 64 == 0)
				goro_yield();
		}
		goro_waitgroup_wait(&woken);
		goro_waitgroup_wait(&parked);
		full = resident_kib();
	}
	wake_big_ones();
	return 0;
}
