/* SPDX-License-Identifier: MIT */
/*
 * seeds.c - a fuzz target without a fuzzer: the inputs that we have, each as it is and cut short.
 *
 *	fuzz_seeds_NAME DIRECTORY
 *
 * It needs no clang, so whatever a fuzzer has once found is looked for in every build of the suite.
 * Each input lies in memory of its own size, so that a read behind its end is seen.
 */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUTS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *bytes, size_t size)
{
	uint8_t *own = malloc(size ? size : 1);

	if (!own)
		err(1, "malloc");
	memcpy(own, bytes, size);
	LLVMFuzzerTestOneInput(own, size);
	free(own);
}

static void run_file(const char *directory, const char *name)
{
	static uint8_t bytes[1 << 20];
	char path[4096];
	size_t size;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	f = fopen(path, "re");
	if (!f)
		err(1, "%s", path);
	size = fread(bytes, 1, sizeof bytes, f);
	if (ferror(f) || size == sizeof bytes)
		errx(1, "%s: cannot be read, or is too big", path);
	fclose(f);
	/* What is printed last is what it failed with. */
	printf("%s\n", name);
	fflush(stdout);
	for (size_t i = 0; i <= CUTS; i++)
		run(bytes, size - size * i / CUTS);
}

int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *e;
	size_t n = 0;

	if (!d)
		err(1, "usage: %s DIRECTORY", argv[0]);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		run_file(argv[1], e->d_name);
		n++;
	}
	closedir(d);
	printf("%zu inputs\n", n);
	return n == 0;
}
