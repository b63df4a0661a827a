/* SPDX-License-Identifier: MIT */
/*
 * fuzz_record.c - a recording of any content: every tick forward and backward, with its names.
 *
 * A mutated file would be refused by its checksums, so the input is the content of the blocks: kind
 * (1 byte), length (3 bytes), bytes. From it a file is made whose checksums are right. An input
 * whose first byte is 'G' is taken for a file as it is.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include "record.h"

#define MAX_GOROUTINES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		abort();
}

static void put_block(int fd, unsigned kind, const uint8_t *raw, size_t n)
{
	struct record_head head = { .magic = "gblk", .kind = kind, .raw_size = (uint32_t)n };
	uLongf size = compressBound(n);
	uint8_t *bytes = malloc(size);

	if (!bytes || compress2(bytes, &size, raw, n, 1) != Z_OK)
		abort();
	head.size = (uint32_t)size;
	head.crc = (uint32_t)crc32(0, bytes, (uInt)size);
	head.head_crc = (uint32_t)crc32(0, (const uint8_t *)&head, sizeof head);
	put(fd, &head, sizeof head);
	put(fd, bytes, size);
	free(bytes);
}

static void put_file(int fd, const uint8_t *data, size_t size)
{
	static const uint8_t head[16] = RECORD_MAGIC "\1";

	if (size && data[0] == 'G') {
		put(fd, data, size);
		return;
	}
	put(fd, head, sizeof head);
	while (size >= 4) {
		unsigned kind = data[0] % 5;
		size_t n = data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16;

		data += 4;
		size -= 4;
		n = n < size ? n : size;
		put_block(fd, kind, data, n);
		data += n;
		size -= n;
	}
}

/* What a report relies on. */
static void check(const struct goro_snapshot *s)
{
	for (size_t i = 0; i < s->ng; i++) {
		const struct goro_info *g = &s->g[i];

		if ((i && s->g[i - 1].id >= g->id) ||
		    (g->stack_id != GORO_NO_STACK && g->stack_id >= s->nstacks) ||
		    (size_t)g->waits_first + g->nwaits > s->nwaits ||
		    (size_t)g->rlocks_first + g->nrlocks > s->nrlocks || g->name >= s->ntext ||
		    g->labels >= s->ntext)
			abort();
	}
	for (size_t i = 0; i < s->nstacks; i++) {
		if ((size_t)s->stacks[i].first + s->stacks[i].n > s->npcs)
			abort();
	}
}

static void look(struct record *r, size_t tick, struct symbolizer *names)
{
	struct goro_snapshot *snap;
	struct goro_error *err = record_snapshot(r, tick, names, &snap);
	size_t n;

	if (err) {
		goro_error_free(err);
		return;
	}
	check(snap);
	for (size_t i = 0; i < snap->npcs && i < 64; i++)
		symbolize(names, snap->pcs[i], true, &n);
	goro_snapshot_free(snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct symbolizer *names;
	struct goro_error *err;
	struct record *r;
	int fd = memfd_create("record", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	put_file(fd, data, size);
	err = record_open(&r, fd, "record");
	if (err) {
		goro_error_free(err);
		return 0;
	}
	record_limit(r, MAX_GOROUTINES);
	names = symbolizer_new_told();
	for (size_t i = 0; names && i < record_ticks(r) && i < 32; i++)
		look(r, i, names);
	for (size_t i = record_ticks(r); names && i-- > 0 && record_ticks(r) < 32;)
		look(r, i, names);
	symbolizer_free(names);
	record_close(r);
	return 0;
}
