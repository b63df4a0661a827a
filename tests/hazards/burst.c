/* SPDX-License-Identifier: MIT */
/*
 * A burst of goroutines is over: the memory of their stacks and records, and the page tables under
 * them, must go back to the system within seconds, while the program runs on and while it sleeps.
 * Then a second burst must find everything in order, a guard below each stack too, and cost no new
 * address space.
 *
 *	burst [GOROUTINES]
 */
#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "stress.h"

enum { DEEP = 16 * 1024, PATIENCE_S = 60 };

struct memory {
	long rss, tables, space; /* KiB */
};

extern struct goro_introspect goro_introspect;

static goro_chan *gate;
static goro_waitgroup parked, ended;

static void wait_at_gate(void *unused)
{
	(void)unused;
	goro_waitgroup_done(&parked);
	goro_chan_recv(gate, NULL);
	goro_waitgroup_done(&ended);
}

static void wait_deep_down(void *arg)
{
	volatile unsigned char deep[DEEP] = { 0 };

	for (size_t i = 0; i < DEEP; i++)
		deep[i] = (unsigned char)(i ^ (uintptr_t)arg);
	goro_waitgroup_done(&parked);
	goro_chan_recv(gate, NULL);
	for (size_t i = 0; i < DEEP; i++)
		must(deep[i] == (unsigned char)(i ^ (uintptr_t)arg));
	goro_waitgroup_done(&ended);
}

static long status_line(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	must(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kib = atol(line + strlen(name));
	fclose(f);
	must(kib >= 0);
	return kib;
}

static struct memory memory(const char *when)
{
	struct memory m = { status_line("VmRSS:"), status_line("VmPTE:"), status_line("VmSize:") };

	printf("%-12s %8ld KiB resident, %6ld KiB of page tables\n", when, m.rss, m.tables);
	fflush(stdout);
	return m;
}

static void burst(int n)
{
	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&parked, n);
	goro_waitgroup_add(&ended, n);
	for (int i = 0; i < n; i++) {
		struct goro_options big = { .stack_size = i % 1024 ? 300 * 1024 : 5 * 1024 * 1024 };

		goro_go_with(i % 64 ? NULL : &big, i % 4 ? wait_at_gate : wait_deep_down,
			     (void *)(uintptr_t)i);
	}
	goro_waitgroup_wait(&parked);
}

static void end_of_burst(void)
{
	goro_chan_close(gate);
	goro_waitgroup_wait(&ended);
	goro_chan_free(gate);
}

static bool linux_is_at_least(int major, int minor)
{
	struct utsname u;
	int is_major = 0, is_minor = 0;

	return !uname(&u) && sscanf(u.release, "%d.%d", &is_major, &is_minor) == 2 &&
	       is_major * 1000 + is_minor >= major * 1000 + minor;
}

/* Others keep them for the next time. */
static bool frees_page_tables(void)
{
	struct utsname u;

	return !uname(&u) && !strcmp(u.machine, "x86_64") && linux_is_at_least(6, 14);
}

static uint64_t field(const char *record, enum goro_field_id id)
{
	const struct goro_field *f =
		(const struct goro_field *)(uintptr_t)goro_introspect.fields + id;
	uint64_t value = 0;

	memcpy(&value, record + f->offset, f->size);
	return value;
}

/* The kernel, asked to read from the byte below the stack of each goroutine, must refuse. */
static int count_guards(void)
{
	const struct goro_introspect *c = &goro_introspect;
	const uint64_t *chunks = (const uint64_t *)(uintptr_t)c->g_chunks;
	int ends[2], n = 0;

	must(!pipe(ends));
	for (uint64_t i = 0; i < (uint64_t)c->g_nchunks * c->g_chunk_len; i++) {
		const char *g = (const char *)(uintptr_t)chunks[i / c->g_chunk_len] +
				i % c->g_chunk_len * c->g_size;
		uint64_t status = field(g, GORO_FIELD_g_status);
		uintptr_t lo = (uintptr_t)field(g, GORO_FIELD_g_stack_lo);

		if (GORO_STATUS_STATE(status) != GORO_STATE_WAITING || !lo ||
		    field(g, GORO_FIELD_g_flags) & GORO_FLAG_MAIN)
			continue;
		must(write(ends[1], (const void *)(lo - 1), 1) == -1 && errno == EFAULT);
		n++;
	}
	close(ends[0]);
	close(ends[1]);
	return n;
}

/* Until what is left is a twentieth of what the burst took, and 4 MiB for caches. */
static void wait_for_return(struct memory before, struct memory full, bool sleeping)
{
	int64_t start = goro_now(), end = start + PATIENCE_S * GORO_SECOND;
	long rss = before.rss + (full.rss - before.rss) / 20 + 4096;
	long tables = before.tables + (full.tables - before.tables) / 20 + 1024;
	bool tables_go = frees_page_tables();

	while (status_line("VmRSS:") > rss || (tables_go && status_line("VmPTE:") > tables)) {
		if (goro_now() > end) {
			memory("still");
			must(!"the memory comes back");
		}
		if (sleeping)
			goro_sleep(100 * GORO_MILLISECOND);
		else
			goro_yield();
	}
	memory("given back");
	printf("%12s after %.1f s\n", "", (double)(goro_now() - start) / 1e9);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 50000;
	struct memory before = memory("before"), full, again;

	burst(n);
	full = memory("burst");
	end_of_burst();
	wait_for_return(before, full, true);
	burst(n);
	again = memory("again");
	/* Before, guards are mappings, and there are only so many. The last ones may still be on
	 * their way to the gate. */
	while (linux_is_at_least(6, 13) && count_guards() < n)
		goro_yield();
	end_of_burst();
	must(again.space - full.space < (full.space - before.space) / 10 + 8192);
	wait_for_return(before, full, false);
	return 0;
}
