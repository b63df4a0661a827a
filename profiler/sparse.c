/* SPDX-License-Identifier: MIT */
/*
 * sparse.c - see sparse.h.
 */
#include "sparse.h"

#include <string.h>
#include <sys/mman.h>
#include "sparse_pack.h"

enum { LINE = 512, WORDS = SPARSE_PAGE / 8, HEAD = sizeof(struct sparse_block) / 8 };

size_t sparse_room(uint64_t bytes)
{
	/* The first word stands for nothing. */
	return (size_t)(bytes / SPARSE_PAGE + 1) * (WORDS + HEAD) + 1;
}

bool sparse_open(struct sparse_store *s, uint64_t bytes, unsigned times)
{
	const size_t room = sparse_room(bytes) * times;
	void *words = mmap(NULL, room * sizeof *s->words, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*s = (struct sparse_store){ 0 };
	if (words == MAP_FAILED)
		return false;
	madvise(words, room * sizeof *s->words, MADV_DONTFORK);
	*s = (struct sparse_store){ .words = words, .room = room };
	return true;
}

void sparse_close(struct sparse_store *s)
{
	if (s->words)
		munmap(s->words, s->room * sizeof *s->words);
	*s = (struct sparse_store){ 0 };
}

void sparse_empty(struct sparse_store *s)
{
	const size_t piece = (size_t)4 << 20, used = s->used < s->room ? s->used : s->room;
	const size_t size = used * sizeof *s->words;

	for (size_t at = 0; s->words && at < size; at += piece)
		madvise((uint8_t *)s->words + at, size - at < piece ? size - at : piece,
			MADV_DONTNEED);
}

size_t sparse_pack_any(const uint8_t *page, struct sparse_block *head, uint64_t *words)
{
	size_t n = 0;

	for (unsigned line = 0; line < SPARSE_LINES; line++) {
		uint64_t map = 0;

		head->before[line] = (uint16_t)n;
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t v;

			memcpy(&v, page + line * LINE + bit * 8, sizeof v);
			words[n] = v;
			n += v != 0;
			map |= (uint64_t)(v != 0) << bit;
		}
		head->map[line] = map;
	}
	return n;
}

bool sparse_put(struct sparse_store *s, uint32_t *page, const uint8_t *bytes)
{
	sparse_pack_fn *best = sparse_pack_best();
	struct sparse_block head;
	uint64_t words[WORDS + SPARSE_SPILL];
	const size_t n = best ? best(bytes, &head, words) : sparse_pack_any(bytes, &head, words);
	size_t at = *page;
	struct sparse_block *old = at ? (void *)(s->words + at) : NULL;

	if (old && !memcmp(old, &head, sizeof head) && !memcmp(old->words, words, n * 8))
		return true;
	*page = 0;
	if (!n)
		return true;
	if (!old || at <= s->kept || sparse_block_words(old) < n) {
		/* The first word stands for nothing. */
		at = __atomic_fetch_add(&s->used, n + HEAD, __ATOMIC_RELAXED) + 1;
		if (n + HEAD > s->room || at > s->room - n - HEAD || at > UINT32_MAX)
			return false;
	}
	memcpy(s->words + at, &head, sizeof head);
	memcpy(s->words + at + HEAD, words, n * 8);
	*page = (uint32_t)at;
	return true;
}

/* Whole words of one line. */
static void get_words(const struct sparse *s, uint64_t at, size_t n, uint8_t *to)
{
	const struct sparse_block *b = sparse_block(s, at);
	const unsigned line = at / LINE % SPARSE_LINES, first = at / 8 % 64;
	uint64_t bits = b ? b->map[line] >> first : 0;
	const uint64_t *v = b ? sparse_words(b, line, first) : NULL;

	memset(to, 0, n * 8);
	if (n < 64)
		bits &= (UINT64_C(1) << n) - 1;
	for (; bits; bits &= bits - 1, v++)
		memcpy(to + (unsigned)__builtin_ctzll(bits) * 8, v, 8);
}

/* Less than a word. */
static void get_bytes(const struct sparse *s, uint64_t at, size_t len, uint8_t *to)
{
	const uint64_t word = sparse_word(s, at & ~UINT64_C(7));

	memcpy(to, (const uint8_t *)&word + at % 8, len);
}

void sparse_get(const struct sparse *s, uint64_t address, size_t len, void *to)
{
	uint8_t *out = to;

	for (uint64_t at = address, hi = address + len, end; at < hi; at = end) {
		const uint64_t line = (at | (LINE - 1)) + 1, last = line < hi ? line : hi;

		end = at % 8 || last - at < 8 ? (at | 7) + 1 : last & ~UINT64_C(7);
		end = end < hi ? end : hi;
		if (end - at < 8)
			get_bytes(s, at, end - at, out + (at - address));
		else
			get_words(s, at, (end - at) / 8, out + (at - address));
	}
}
