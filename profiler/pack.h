/* SPDX-License-Identifier: MIT */
/*
 * pack.h - numbers and strings as few bytes, for files.
 *
 * LEB128 for numbers, zigzag for signed ones, as in DWARF and protobuf. Writing sticks at the first
 * failed allocation, reading at the first byte that is not there: ask once at the end.
 */
#ifndef GORO_PACK_H
#define GORO_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packer {
	uint8_t *bytes;
	size_t n, cap;
	bool no_memory;
	bool counting; /* only n is kept */
};

void pack_free(struct packer *p);
void pack_bytes(struct packer *p, const void *bytes, size_t n);
void pack_number(struct packer *p, uint64_t v);
void pack_signed(struct packer *p, int64_t v);
void pack_string(struct packer *p, const char *s); /* NULL is not "" */

/* A part with its own length: what the reader does not know it can leave out. */
size_t pack_begin(struct packer *p); /* give the result to the end */
void pack_end(struct packer *p, size_t begin);
/* The same where the length is known before. */
void pack_length(struct packer *p, size_t n);

struct unpacker {
	const uint8_t *at, *end;
	bool bad; /* read behind the end; everything is 0 from then on */
};

uint64_t unpack_number(struct unpacker *u);
int64_t unpack_signed(struct unpacker *u);
/* Points into the packed bytes and is not terminated; NULL for NULL. */
const char *unpack_string(struct unpacker *u, size_t *n);
/* The next part, as one to read from. */
struct unpacker unpack_part(struct unpacker *u);
/* A count of things of which each takes at least one byte: more than there are bytes is bad. */
uint64_t unpack_count(struct unpacker *u);
size_t unpack_left(const struct unpacker *u);

#endif /* GORO_PACK_H */
