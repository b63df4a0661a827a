/* SPDX-License-Identifier: MIT */
/*
 * hide_maps.c - in memory of the program's own making, whose address is nowhere: whoever has it got
 * it by arithmetic.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hide.h"

void *map(int flags)
{
	void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

static void in_mapping(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
}

static void in_shared(void)
{
	void **p = map(MAP_SHARED);

	p[1000] = new_chan();
}

/* Of a pool that an administrator fills; the machine of the tests has room for two, perhaps. */
static void in_huge(void)
{
	const int kinds[] = { MAP_PRIVATE, MAP_SHARED };

	for (int i = 0; i < 2; i++) {
		void **p = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_HUGETLB | kinds[i], -1, 0);

		if (p == MAP_FAILED)
			exit(77);
		p[100000] = new_chan();
	}
}

static void in_dontfork(void)
{
	void **p = map(MAP_PRIVATE);

	madvise(p, 16 * PAGE, MADV_DONTFORK);
	p[1000] = new_chan();
}

/* A copy of the process has the map, and zeroes in it. */
static void in_wipeonfork(void)
{
	void **p = map(MAP_PRIVATE);

	madvise(p, 16 * PAGE, MADV_WIPEONFORK);
	p[1000] = new_chan();
}

/* What a core file leaves out. */
static void **map_undumped(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
	madvise(p, 16 * PAGE, MADV_DONTDUMP);
	return p;
}

static void in_nodump(void)
{
	(void)map_undumped();
}

static void in_noaccess(void)
{
	mprotect(map_undumped(), 16 * PAGE, PROT_NONE);
}

static void in_file(void)
{
	int fd = open("hide.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	void **p;

	if (fd < 0 || ftruncate(fd, 16 * PAGE))
		exit(1);
	p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		exit(1);
	p[1000] = new_chan();
}

/* It may not be written to by this map, but it was by another way. */
static void in_file_readonly(void)
{
	int fd = open("hide.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *chan = new_chan();

	if (fd < 0 || ftruncate(fd, 16 * PAGE) || pwrite(fd, &chan, 8, 8000) != 8 ||
	    mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		exit(1);
	close(fd);
}

static void in_shared_readonly(void)
{
	void **p = map(MAP_SHARED);

	p[1000] = new_chan();
	mprotect(p, 16 * PAGE, PROT_READ);
}

static void in_readonly(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
	mprotect(p, 16 * PAGE, PROT_READ);
}

const struct place places_in_maps[] = {
	{ "mapping", in_mapping },
	{ "shared", in_shared },
	{ "huge", in_huge },
	{ "dontfork", in_dontfork },
	{ "wipeonfork", in_wipeonfork },
	{ "readonly", in_readonly },
	{ "noaccess", in_noaccess },
	{ "nodump", in_nodump },
	{ "file", in_file },
	{ "file_readonly", in_file_readonly },
	{ "shared_readonly", in_shared_readonly },
	{ NULL, NULL },
};
