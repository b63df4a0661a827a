/* SPDX-License-Identifier: MIT */
/*
 * Huge pages: where the kernel gives one to whatever memory can have it, a parked goroutine must
 * still cost a page or two and not 2 MiB. So stacks lie in mappings that refuse them.
 */
#include <unistd.h>

#include "stress.h"

enum { GOROUTINES = 10000 };

static goro_chan *gate;
static goro_waitgroup parked, ended;
static _Atomic uintptr_t a_stack;

static void wait_at_gate(void *unused)
{
	char here;

	(void)unused;
	atomic_store(&a_stack, (uintptr_t)&here);
	goro_waitgroup_done(&parked);
	goro_chan_recv(gate, NULL);
	goro_waitgroup_done(&ended);
}

static long resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	must(f && fscanf(f, "%*s %ld", &pages) == 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* Does the mapping of this address have a flag of smaps' VmFlags? */
static bool has_flag(uintptr_t addr, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long lo, hi;
	bool here = false, found = false;
	char line[512];

	must(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
			here = addr >= lo && addr < hi;
		if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag);
	}
	fclose(f);
	return found;
}

int main(void)
{
	long before, each;

	gate = goro_chan_make(0, 0);
	before = resident_bytes();
	goro_waitgroup_add(&parked, GOROUTINES);
	goro_waitgroup_add(&ended, GOROUTINES);
	stress_start(GOROUTINES, wait_at_gate, NULL);
	goro_waitgroup_wait(&parked);
	each = (resident_bytes() - before) / GOROUTINES;
	printf("%ld bytes resident for each parked goroutine\n", each);
	must(each < 3 * 4096);
	must(has_flag(atomic_load(&a_stack), " nh")); /* no huge pages, whatever the system's way */
	goro_chan_close(gate);
	goro_waitgroup_wait(&ended);
	return 0;
}
