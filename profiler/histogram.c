/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - durations by powers of two.
 */
#include "profiler.h"

uint64_t goro_histogram_count(const struct goro_histogram *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < GORO_BUCKETS; i++)
		sum += h->n[i];
	return sum;
}

uint64_t goro_histogram_quantile(const struct goro_histogram *h, double p)
{
	uint64_t total = goro_histogram_count(h), below = 0;

	for (size_t i = 0; i < GORO_BUCKETS; i++) {
		below += h->n[i];
		if (h->n[i] && (double)below >= p * (double)total)
			return UINT64_C(1) << i;
	}
	return 0;
}

void goro_histogram_add(struct goro_histogram *sum, const struct goro_histogram *h)
{
	for (size_t i = 0; i < GORO_BUCKETS; i++)
		sum->n[i] += h->n[i];
}
