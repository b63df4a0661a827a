/* SPDX-License-Identifier: MIT */
/*
 * A process that has used up nearly all the mappings that it may have (vm.max_map_count), and then
 * starts 10,000 goroutines: their stacks and guards must not need a mapping each, and when guards
 * would, goroutines go without.
 */
#include <sys/mman.h>

#include "stress.h"

enum { GOROUTINES = 10000, LEFT = 100 };

static goro_chan *gate;
static goro_waitgroup wg;

static void wait_at_gate(void *unused)
{
	(void)unused;
	goro_chan_recv(gate, NULL);
	goro_waitgroup_done(&wg);
}

/* Every second page other than its neighbours, so that none can share a mapping. */
static size_t use_up_mappings(size_t page)
{
	size_t n = 1u << 17;
	char *area = mmap(NULL, 2 * n * page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t used = 0;

	must(area != MAP_FAILED);
	while (used < n && !mprotect(area + 2 * used * page, page, PROT_READ))
		used++;
	if (used == n)
		return 0;
	for (size_t i = 0; i < LEFT / 2 && used; i++)
		must(!mprotect(area + 2 * --used * page, page, PROT_NONE));
	return used;
}

int main(void)
{
	size_t used = use_up_mappings(4096);

	if (!used) {
		puts("skipped: this machine has no limit of mappings to speak of");
		return 77;
	}
	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&wg, GOROUTINES);
	stress_start(GOROUTINES, wait_at_gate, NULL);
	must(goro_count() == GOROUTINES + 1);
	goro_yield();
	goro_chan_close(gate);
	goro_waitgroup_wait(&wg);
	printf("%d goroutines beside %zu mappings of our own\n", GOROUTINES, 2 * used);
	return 0;
}
