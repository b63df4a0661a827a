/* SPDX-License-Identifier: MIT */
/*
 * order.c - see order.h.
 *
 * Ids and addresses of one program lie close together, so key and index nearly always fit into one
 * word, and words are sorted by their digits: a million takes some 20 ms and 16 MB for the while.
 * Rejected: qsort() of the things themselves, which moves 200 bytes where 8 do; qsort() of indices,
 * which misses the cache with every comparison. What does not fit into words is sorted by it.
 */
#include "order.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT 11
#define THING 512 /* the most bytes that one may have */

static unsigned width(uint64_t max)
{
	return max ? 64u - (unsigned)__builtin_clzll(max) : 0;
}

/* Sort by the bits from..end; stable. Where the result is: v or other. */
static uint64_t *sort_words(uint64_t *v, uint64_t *other, size_t n, unsigned from, unsigned end)
{
	for (unsigned at = from; at < end; at += DIGIT) {
		size_t place[1u << DIGIT] = { 0 }, sum = 0;
		uint64_t mask = (1u << DIGIT) - 1, *swap;

		for (size_t i = 0; i < n; i++)
			place[v[i] >> at & mask]++;
		for (size_t d = 0; d <= mask; d++) {
			size_t count = place[d];

			place[d] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			other[place[v[i] >> at & mask]++] = v[i];
		swap = v;
		v = other;
		other = swap;
	}
	return v;
}

static uint32_t *by_words(size_t n, order_key_fn *key, const void *things, uint64_t min,
			  unsigned index_bits, unsigned key_bits)
{
	uint64_t *v = malloc((n + 1) * sizeof *v), *other = malloc((n + 1) * sizeof *other),
		 *sorted;
	uint32_t *order = NULL;

	for (size_t i = 0; v && i < n; i++)
		v[i] = (key(things, i) - min) << index_bits | i;
	if (v && other) {
		sorted = sort_words(v, other, n, index_bits, index_bits + key_bits);
		free(sorted == v ? other : v); /* before there is a third */
		v = sorted;
		other = NULL;
		order = malloc((n + 1) * sizeof *order);
		for (size_t i = 0; order && i < n; i++)
			order[i] = (uint32_t)(sorted[i] & ((1ull << index_bits) - 1));
	}
	free(v);
	free(other);
	return order;
}

struct pair {
	uint64_t key;
	uint32_t index;
};

static int by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static uint32_t *by_pairs(size_t n, order_key_fn *key, const void *things)
{
	struct pair *v = malloc((n + 1) * sizeof *v);
	uint32_t *order = malloc((n + 1) * sizeof *order);

	for (size_t i = 0; v && i < n; i++)
		v[i] = (struct pair){ key(things, i), (uint32_t)i };
	if (v && order)
		qsort(v, n, sizeof *v, by_key);
	for (size_t i = 0; v && order && i < n; i++)
		order[i] = v[i].index;
	if (!v) {
		free(order);
		order = NULL;
	}
	free(v);
	return order;
}

uint32_t *order_by(size_t n, order_key_fn *key, const void *things)
{
	uint64_t min = UINT64_MAX, max = 0, last = 0;
	unsigned index_bits = width(n), key_bits;
	bool sorted = true;
	uint32_t *order;

	for (size_t i = 0; i < n; i++) {
		uint64_t k = key(things, i);

		sorted &= k >= last;
		last = k;
		min = k < min ? k : min;
		max = k > max ? k : max;
	}
	key_bits = n ? width(max - min) : 0;
	if (!sorted)
		return index_bits + key_bits <= 64
			       ? by_words(n, key, things, min, index_bits, key_bits)
			       : by_pairs(n, key, things);
	order = malloc((n + 1) * sizeof *order);
	for (size_t i = 0; order && i < n; i++)
		order[i] = (uint32_t)i;
	return order;
}

/* Cycle by cycle: a second array would double the memory. */
void order_apply(void *v, size_t size, uint32_t *from, size_t n)
{
	unsigned char *things = v, first[THING];

	assert(size <= sizeof first);
	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		if (from[i] == i)
			continue;
		memcpy(first, things + i * size, size);
		while (from[at] != i) {
			size_t next = from[at];

			memcpy(things + at * size, things + next * size, size);
			from[at] = (uint32_t)at;
			at = next;
		}
		memcpy(things + at * size, first, size);
		from[at] = (uint32_t)at;
	}
}

bool order_things(void *v, size_t size, size_t n, order_key_fn *key)
{
	uint32_t *order = order_by(n, key, v);

	if (order)
		order_apply(v, size, order, n);
	free(order);
	return order != NULL;
}

/* ---- without other memory -------------------------------------------------------------------- */

struct some {
	unsigned char *v;
	size_t size, n;
	order_one_fn *key;
	const void *ctx;
	uint64_t min;
};

static uint64_t key_at(const struct some *s, size_t i)
{
	return s->key(s->ctx, s->v + i * s->size) - s->min;
}

static void swap(struct some *s, size_t i, size_t j)
{
	unsigned char *a = s->v + i * s->size, *b = s->v + j * s->size, c[THING];

	memcpy(c, a, s->size);
	memcpy(a, b, s->size);
	memcpy(b, c, s->size);
}

static void insert_each(struct some *s)
{
	for (size_t i = 1; i < s->n; i++) {
		for (size_t j = i; j && key_at(s, j - 1) > key_at(s, j); j--)
			swap(s, j - 1, j);
	}
}

/* By the byte from bit `at` on, each into its place; then what has that byte alike by the next. */
static void sort_bytes(struct some *s, unsigned at)
{
	size_t next[256], end[256] = { 0 }, sum = 0;

	if (s->n <= 16) {
		insert_each(s);
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		end[key_at(s, i) >> at & 255]++;
	for (unsigned d = 0; d < 256; d++) {
		next[d] = sum;
		sum += end[d];
		end[d] = sum;
	}
	for (unsigned d = 0; d < 256; d++) {
		while (next[d] < end[d]) {
			unsigned of = key_at(s, next[d]) >> at & 255;

			if (of == d)
				next[d]++;
			else
				swap(s, next[d], next[of]++);
		}
	}
	for (unsigned d = 0; at && d < 256; d++) {
		struct some part = *s;
		size_t from = d ? end[d - 1] : 0;

		part.v += from * s->size;
		part.n = end[d] - from;
		sort_bytes(&part, at - 8);
	}
}

void order_in_place(void *v, size_t size, size_t n, order_one_fn *key, const void *ctx)
{
	struct some s = { .v = v, .size = size, .n = n, .key = key, .ctx = ctx };
	uint64_t min = UINT64_MAX, max = 0, last = 0;
	bool sorted = true;

	assert(size <= THING);
	for (size_t i = 0; i < n; i++) {
		uint64_t k = key_at(&s, i);

		sorted &= k >= last;
		last = k;
		min = k < min ? k : min;
		max = k > max ? k : max;
	}
	if (sorted)
		return;
	s.min = min;
	sort_bytes(&s, (width(max - min) - 1) / 8 * 8);
}
