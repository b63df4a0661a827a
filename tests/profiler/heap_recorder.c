/* SPDX-License-Identifier: MIT */
/*
 * heap_recorder - writes its own heap as text, with what is in use in it and what is not, for
 * test_heap.c. It needs nothing but libc, so that it runs with any version of it:
 *
 *	LIB/ld-linux-x86-64.so.2 --library-path LIB heap_recorder > heaps/glibc-VERSION.txt
 *
 * (built against the oldest: symbols have the version that they are linked with). Lines: "glibc
 * VERSION", "live ADDRESS SIZE", "freed ADDRESS SIZE", "map LO HI rwxp INODE", and "data ADDRESS"
 * with 64 bytes that are not all zero.
 */
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1024, LINE = 64 };

static struct piece {
	uint64_t address;
	size_t size;
	int freed;
} pieces[MOST];
static size_t npieces;

static size_t take(size_t size)
{
	void *p = malloc(size);

	if (!p || npieces == MOST)
		_exit(1);
	memset(p, 0, size);
	pieces[npieces] = (struct piece){ (uintptr_t)p, size, 0 };
	return npieces++;
}

static void give(size_t i)
{
	pieces[i].freed = 1;
	free((void *)(uintptr_t)pieces[i].address);
}

/*
 * Neighbours of all kinds; then some go: seven of a size to the thread's cache, more to the fast
 * bins, big ones to the other bins, where neighbours become one.
 */
static void use_heap(void)
{
	static const size_t sizes[] = { 1, 24, 25, 40, 100, 500, 1032, 1040, 3000, 20000 };
	size_t all[10][12];

	for (int round = 0; round < 12; round++)
		for (int s = 0; s < 10; s++)
			all[s][round] = take(sizes[s]);
	for (int s = 0; s < 10; s++)
		for (int round = 0; round < 12; round++)
			if (s < 4 ? round % 2 : s < 8 ? round < 9 : round % 5 == 2)
				give(all[s][round]);
	/* Both of these are neighbours. */
	give(all[8][11]);
	give(all[9][11]);
}

/* A thread has an arena of its own, which stays. */
static void *other_arena(void *arg)
{
	use_heap();
	return arg;
}

static char out[4096];
static size_t nout;

static void flush(void)
{
	for (size_t done = 0; done < nout;) {
		ssize_t n = write(1, out + done, nout - done);

		if (n <= 0)
			_exit(1);
		done += (size_t)n;
	}
	nout = 0;
}

static void put(const char *text)
{
	for (; *text; text++) {
		out[nout++] = *text;
		if (nout == sizeof(out))
			flush();
	}
}

static void put_number(uint64_t v, unsigned base)
{
	char text[24], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = "0123456789abcdef"[v % base];
	while (v /= base);
	put(p);
}

static void put_line(const unsigned char *at)
{
	put("data ");
	put_number((uintptr_t)at, 16);
	put(" ");
	for (int i = 0; i < LINE; i++) {
		put((char[]){ "0123456789abcdef"[at[i] >> 4], "0123456789abcdef"[at[i] & 15], 0 });
	}
	put("\n");
}

/* Its own buffers are not part of what is recorded: they change. */
static char maps[65536];

static void put_map(const char *line)
{
	static const unsigned char zero[LINE];
	unsigned long long lo, hi, offset;
	unsigned long inode;
	unsigned major, minor;
	char flags[8];

	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %lu", &lo, &hi, flags, &offset, &major, &minor,
		   &inode) != 7 ||
	    lo >> 47)
		return;
	put("map ");
	put_number(lo, 16);
	put(" ");
	put_number(hi, 16);
	put(" ");
	put(flags);
	put(" ");
	put_number(inode, 10);
	put("\n");
	if (strncmp(flags, "rw-p", 4) != 0 || strstr(line, "[stack]"))
		return;
	for (const unsigned char *at = (void *)(uintptr_t)lo; at < (unsigned char *)(uintptr_t)hi;
	     at += LINE) {
		int ours = at + LINE > (unsigned char *)maps &&
			   at < (unsigned char *)maps + sizeof(maps);

		ours |= at + LINE > (unsigned char *)out && at < (unsigned char *)out + sizeof(out);
		if (!ours && memcmp(at, zero, LINE) != 0)
			put_line(at);
	}
}

int main(void)
{
	pthread_t t;
	ssize_t n = 1;
	size_t len = 0;
	int fd;

	/* First: it would take memory of what was freed. */
	if (pthread_create(&t, NULL, other_arena, NULL) || pthread_join(t, NULL))
		return 1;
	use_heap();
	take(300000); /* with a mapping of its own */
	take(1000000);
	/* stdio would take memory of what was freed. */
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	for (; fd >= 0 && n > 0; len += n > 0 ? (size_t)n : 0)
		n = read(fd, maps + len, sizeof(maps) - 1 - len);
	if (fd < 0 || n < 0)
		return 1;
	put("glibc ");
	put(gnu_get_libc_version());
	put("\n");
	for (size_t i = 0; i < npieces; i++) {
		put(pieces[i].freed ? "freed " : "live ");
		put_number(pieces[i].address, 16);
		put(" ");
		put_number(pieces[i].size, 10);
		put("\n");
	}
	for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n"))
		put_map(line);
	flush();
	return 0;
}
