/* SPDX-License-Identifier: MIT */
/*
 * util.c - allocation, clock and number formats.
 *
 * A monitor that is out of memory has nothing sensible left to do: it says so and exits (atexit
 * restores the terminal). Errors of allocation are therefore not passed up anywhere in gotop.
 */
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void *or_die(void *p)
{
	if (!p) {
		fputs("gotop: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return or_die(calloc(n ? n : 1, size));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	return or_die(reallocarray(p, n ? n : 1, size));
}

char *xstrdup(const char *s)
{
	return or_die(strdup(s));
}

int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t clock_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

const char *fmt_delta(struct text *buf, int64_t n)
{
	struct text abs;
	uint64_t magnitude = n < 0 ? -(uint64_t)n : (uint64_t)n;

	fmt_count(&abs, magnitude);
	snprintf(buf->s, sizeof(buf->s), "%s%.30s", n > 0 ? "+" : n < 0 ? "-" : "", abs.s);
	return buf->s;
}

const char *fmt_rate(struct text *buf, double per_second)
{
	double magnitude = per_second < 0 ? -per_second : per_second;

	if (!(magnitude >= 0.05))
		return strcpy(buf->s, "0");
	if (magnitude < 9.95) {
		snprintf(buf->s, sizeof(buf->s), "%+.1f", per_second);
		return buf->s;
	}
	if (magnitude > 1e15)
		magnitude = 1e15;
	return fmt_delta(buf, (int64_t)(per_second < 0 ? -magnitude - 0.5 : magnitude + 0.5));
}

void fmt_sparkline(char *buf, size_t size, const uint32_t *values, size_t n, size_t width,
		   bool ascii)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const plain[] = { ".", ":", "-", "=", "+", "*", "#", "@" };
	const char *const *levels = ascii ? plain : blocks;
	double min = UINT32_MAX, max = 0;
	size_t used = 0;

	if (n > width) {
		values += n - width;
		n = width;
	}
	for (size_t i = 0; i < n; i++) {
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
	}
	double span = max - min;
	double least = max / 10 > 7 ? max / 10 : 7;
	double low = min;
	if (span < least) {
		/* The middle falls into the middle of a level, not between two. */
		low = (min + max) / 2 - least * 3 / 7;
		span = least;
	}
	if (low < 0)
		low = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		int level = (int)((values[i] - low) / span * 7 + 0.5);
		const char *s = levels[level < 0 ? 0 : level > 7 ? 7 : level];
		size_t len = strlen(s);

		if (used + len >= size)
			break;
		memcpy(buf + used, s, len + 1);
		used += len;
	}
}
