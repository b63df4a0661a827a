/* SPDX-License-Identifier: MIT */
/*
 * goroutine_size - what a goroutine costs in memory: the growth of the process over 10,000 of them
 * that wait on a channel, divided by 10,000.
 *
 * Two things grow: resident pages (statm), and the page tables that map them, which statm does not
 * count (VmPTE). With stacks far apart the second is not small, so leaving it out would flatter us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "goro.h"

#define GOROUTINES 10000

struct blocked {
	goro_waitgroup started;
	goro_chan *never; /* closed at the end only */
};

static void block(void *arg)
{
	struct blocked *b = arg;

	goro_waitgroup_done(&b->started);
	goro_chan_recv(b->never, NULL);
}

static FILE *open_proc(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static long resident_bytes(void)
{
	long size, resident;
	FILE *f = open_proc("/proc/self/statm");

	if (fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static long page_table_bytes(void)
{
	char line[256];
	long kb = 0;
	FILE *f = open_proc("/proc/self/status");

	while (fgets(line, sizeof(line), f) && sscanf(line, "VmPTE: %ld", &kb) != 1)
		;
	fclose(f);
	return kb * 1024;
}

int main(void)
{
	struct blocked b = { .never = goro_chan_make(0, 0) };
	long resident = resident_bytes();
	long tables = page_table_bytes();

	goro_waitgroup_add(&b.started, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		go(block, &b);
	goro_waitgroup_wait(&b.started);

	resident = resident_bytes() - resident;
	tables = page_table_bytes() - tables;
	printf("%d goroutines blocked\n", GOROUTINES);
	printf("resident: %ld bytes each\n", resident / GOROUTINES);
	printf("page tables: %ld bytes each\n", tables / GOROUTINES);
	printf("goroutine: %ld bytes\n", (resident + tables) / GOROUTINES);
	return 0;
}
