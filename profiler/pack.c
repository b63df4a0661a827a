/* SPDX-License-Identifier: MIT */
/*
 * pack.c - see pack.h.
 */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

/* A part's length is written when it is known, so it has a fixed size. */
#define LENGTH_SIZE 4

void pack_free(struct packer *p)
{
	free(p->bytes);
	*p = (struct packer){ 0 };
}

void pack_bytes(struct packer *p, const void *bytes, size_t n)
{
	if (p->no_memory)
		return;
	if (p->counting) {
		p->n += n;
		return;
	}
	if (p->cap - p->n < n) {
		size_t cap = p->cap ? p->cap * 2 : 4096;
		uint8_t *bigger;

		while (cap - p->n < n)
			cap *= 2;
		bigger = realloc(p->bytes, cap);
		if (!bigger) {
			p->no_memory = true;
			return;
		}
		p->bytes = bigger;
		p->cap = cap;
	}
	if (n)
		memcpy(p->bytes + p->n, bytes, n);
	p->n += n;
}

void pack_number(struct packer *p, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n] = v & 0x7f;
		v >>= 7;
		bytes[n++] |= v ? 0x80 : 0;
	} while (v);
	pack_bytes(p, bytes, n);
}

void pack_signed(struct packer *p, int64_t v)
{
	pack_number(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void pack_string(struct packer *p, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	pack_number(p, s ? n + 1 : 0);
	pack_bytes(p, s, n);
}

size_t pack_begin(struct packer *p)
{
	static const uint8_t length[LENGTH_SIZE];

	pack_bytes(p, length, sizeof length);
	return p->n;
}

void pack_end(struct packer *p, size_t begin)
{
	uint32_t length = (uint32_t)(p->n - begin);

	if (!p->no_memory && !p->counting)
		memcpy(p->bytes + begin - LENGTH_SIZE, &length, LENGTH_SIZE);
}

void pack_length(struct packer *p, size_t n)
{
	uint32_t length = (uint32_t)n;

	p->no_memory |= n > UINT32_MAX;
	pack_bytes(p, &length, LENGTH_SIZE);
}

size_t unpack_left(const struct unpacker *u)
{
	return (size_t)(u->end - u->at);
}

static void fail(struct unpacker *u)
{
	u->bad = true;
	u->at = u->end;
}

uint64_t unpack_number(struct unpacker *u)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (u->at == u->end)
			break;
		byte = *u->at++;
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	fail(u);
	return 0;
}

int64_t unpack_signed(struct unpacker *u)
{
	uint64_t v = unpack_number(u);

	return (int64_t)(v >> 1 ^ -(v & 1));
}

const char *unpack_string(struct unpacker *u, size_t *n)
{
	uint64_t length = unpack_number(u);
	const char *s = (const char *)u->at;

	*n = 0;
	if (!length)
		return NULL;
	if (length - 1 > unpack_left(u)) {
		fail(u);
		return NULL;
	}
	*n = length - 1;
	u->at += *n;
	return s;
}

struct unpacker unpack_part(struct unpacker *u)
{
	struct unpacker part = { u->end, u->end, false };
	uint32_t length;

	if (unpack_left(u) < LENGTH_SIZE) {
		fail(u);
		return part;
	}
	memcpy(&length, u->at, LENGTH_SIZE);
	u->at += LENGTH_SIZE;
	if (length > unpack_left(u)) {
		fail(u);
		return part;
	}
	part.at = u->at;
	part.end = u->at + length;
	u->at += length;
	return part;
}

uint64_t unpack_count(struct unpacker *u)
{
	uint64_t n = unpack_number(u);

	if (n > unpack_left(u)) {
		fail(u);
		return 0;
	}
	return n;
}
