/* SPDX-License-Identifier: MIT */
/*
 * sparse_pack_x86_64.c - four words at a time, with AVX2: which of them are zero comes as four
 * bits, and a table says how to move the others together.
 */
#include "sparse_pack.h"

#include <immintrin.h>

/* Halves of words, in the order of those that stay; what is behind them does not matter. */
#define W(i) 2 * (i), 2 * (i) + 1
#define R(a, b, c, d)                  \
	{                              \
		W(a), W(b), W(c), W(d) \
	}
static const int32_t moves[16][8] __attribute__((aligned(32))) = {
	R(0, 0, 0, 0), R(0, 0, 0, 0), R(1, 0, 0, 0), R(0, 1, 0, 0), R(2, 0, 0, 0), R(0, 2, 0, 0),
	R(1, 2, 0, 0), R(0, 1, 2, 0), R(3, 0, 0, 0), R(0, 3, 0, 0), R(1, 3, 0, 0), R(0, 1, 3, 0),
	R(2, 3, 0, 0), R(0, 2, 3, 0), R(1, 2, 3, 0), R(0, 1, 2, 3),
};

__attribute__((target("avx2,popcnt"))) static size_t pack_avx2(const uint8_t *page,
							       struct sparse_block *head,
							       uint64_t *words)
{
	const __m256i zero = _mm256_setzero_si256();
	size_t n = 0;

	for (unsigned line = 0; line < SPARSE_LINES; line++) {
		uint64_t map = 0;

		head->before[line] = (uint16_t)n;
		for (unsigned bit = 0; bit < 64; bit += 4, page += 32) {
			const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)page);
			const __m256d is = _mm256_castsi256_pd(_mm256_cmpeq_epi64(v, zero));
			const unsigned some = 15 ^ (unsigned)_mm256_movemask_pd(is);
			const __m256i *move = (const void *)moves[some];

			_mm256_storeu_si256(
				(void *)(words + n),
				_mm256_permutevar8x32_epi32(v, _mm256_load_si256(move)));
			n += (unsigned)__builtin_popcount(some);
			map |= (uint64_t)some << bit;
		}
		head->map[line] = map;
	}
	return n;
}

sparse_pack_fn *sparse_pack_best(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") ? pack_avx2
										  : NULL;
}
