/* SPDX-License-Identifier: MIT */
/*
 * sparse.h - a copy of another process's memory in which words that are zero take no room.
 *
 * Memory that nobody has touched yet is what costs most about a copy: the kernel hands it out page
 * by page, and clears each. Heaps and stacks are full of zeros, so most of that can be left out,
 * and who looks for pointers has fewer words to look at. Nothing is lost: every byte can be had.
 *
 * A page is a block in a store: a bitmap of its words that are not zero, how many come before each
 * 64 of them, and the words.
 *
 * Rejected: to keep only what may be a pointer (runtimes' and malloc's structures are read from the
 * same copy); a general compressor (one word could not be had without its neighbours); huge pages
 * for the store (a tenth of the time, but four times as much in a virtual machine that gives free
 * memory back to its host, where a huge page is never one that was used a moment ago); to
 * give it back by two threads at once (no faster).
 */
#ifndef GORO_SPARSE_H
#define GORO_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARSE_PAGE  4096u
#define SPARSE_LINES 8u /* of 64 words, in a page */

/*
 * `words` is memory that costs nothing until it is used: see sparse_room(). What was put before
 * `kept` stays as it is: a page that is another now gets another block, and one that is not keeps
 * its own, so that whoever had them sees which are which.
 */
struct sparse_store {
	uint64_t *words;
	size_t used, room;
	size_t kept;
};

/* [lo, hi), page by page: where its block begins in the store. 0: all of it is zero. */
struct sparse {
	uint64_t lo, hi;
	const uint32_t *pages;
	const uint64_t *words;
};

struct sparse_block {
	uint64_t map[SPARSE_LINES];
	uint16_t before[SPARSE_LINES];
	uint64_t words[];
};

/* Words of a store that hold that many bytes in any case. */
size_t sparse_room(uint64_t bytes);

/* Room for that many bytes, `times` over; children do not have it. False: there is none. */
bool sparse_open(struct sparse_store *s, uint64_t bytes, unsigned times);
void sparse_close(struct sparse_store *s);
/* Before that: give its pages back, a few at a time, so that other threads may have new ones. */
void sparse_empty(struct sparse_store *s);

/*
 * Put one page into the store, in the place of what *page says; if that is the same already,
 * nothing is written. False: there is no room. Several threads may do so at once, with different
 * pages.
 */
bool sparse_put(struct sparse_store *s, uint32_t *page, const uint8_t *bytes);

/* Any bytes of it. */
void sparse_get(const struct sparse *s, uint64_t address, size_t len, void *to);

/* Bits that are set: compilers make a call of it where the machine may lack the instruction. */
static inline unsigned sparse_count(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555;
	v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
	return (unsigned)(((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56);
}

static inline const struct sparse_block *sparse_block(const struct sparse *s, uint64_t address)
{
	uint32_t at = s->pages[(address - s->lo) / SPARSE_PAGE];

	return at ? (const struct sparse_block *)(const void *)(s->words + at) : NULL;
}

static inline size_t sparse_block_words(const struct sparse_block *b)
{
	return b->before[SPARSE_LINES - 1] + sparse_count(b->map[SPARSE_LINES - 1]);
}

/* The words of a line, from that bit on. */
static inline const uint64_t *sparse_words(const struct sparse_block *b, unsigned line,
					   unsigned bit)
{
	return b->words + b->before[line] + sparse_count(b->map[line] & ((UINT64_C(1) << bit) - 1));
}

/* Words of one line that are not zero: `bits` says which, v[] is what they are. */
struct sparse_piece {
	uint64_t bits;
	const uint64_t *v;
	uint64_t next; /* address behind all that these stand for */
};

/* The first of [from, end). Addresses are aligned to words. */
static inline struct sparse_piece sparse_piece(const struct sparse *s, uint64_t from, uint64_t end)
{
	const struct sparse_block *b = sparse_block(s, from);
	const unsigned line = from / 512 % SPARSE_LINES, bit = from / 8 % 64;
	struct sparse_piece p = { .next = (from | (SPARSE_PAGE - 1)) + 1 };

	if (!b)
		return p;
	p.next = (from | 511) + 1;
	p.bits = b->map[line] >> bit << bit;
	if (p.next > end && end % 512)
		p.bits &= (UINT64_C(1) << end / 8 % 64) - 1;
	p.v = sparse_words(b, line, bit);
	return p;
}

/* The aligned word there. */
static inline uint64_t sparse_word(const struct sparse *s, uint64_t address)
{
	const struct sparse_block *b = sparse_block(s, address);
	unsigned line = address / 512 % SPARSE_LINES, bit = address / 8 % 64;

	return b && b->map[line] >> bit & 1 ? *sparse_words(b, line, bit) : 0;
}

#endif /* GORO_SPARSE_H */
