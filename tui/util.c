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

static void *or_die(void *p)
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

const char *fmt_count(struct text *buf, uint64_t n)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *out = buf->s;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf->s;
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

const char *fmt_duration(struct text *buf, uint64_t ns)
{
	uint64_t us = ns / 1000, ms = us / 1000, s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
	char *p = buf->s;
	size_t n = sizeof(buf->s);

	if (us == 0)
		snprintf(p, n, "%" PRIu64 "ns", ns);
	else if (ms == 0)
		snprintf(p, n, "%" PRIu64 "us", us);
	else if (ms < 10)
		snprintf(p, n, "%" PRIu64 ".%" PRIu64 "ms", ms, us / 100 % 10);
	else if (s == 0)
		snprintf(p, n, "%" PRIu64 "ms", ms);
	else if (s < 10)
		snprintf(p, n, "%" PRIu64 ".%" PRIu64 "s", s, ms / 100 % 10);
	else if (m == 0)
		snprintf(p, n, "%" PRIu64 "s", s);
	else if (h == 0)
		snprintf(p, n, "%" PRIu64 "m%02" PRIu64 "s", m, s % 60);
	else if (d == 0)
		snprintf(p, n, "%" PRIu64 "h%02" PRIu64 "m", h, m % 60);
	else if (d < 100)
		snprintf(p, n, "%" PRIu64 "d%02" PRIu64 "h", d, h % 24);
	else
		snprintf(p, n, "%" PRIu64 "d", d);
	return buf->s;
}

const char *fmt_size(struct text *buf, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths = bytes * 10;
	int u = 0;

	if (bytes > UINT64_MAX / 10)
		tenths = bytes / 1024 * 10, u = 1;
	while (tenths >= 10240 && units[u + 1]) {
		tenths /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(buf->s, sizeof(buf->s), "%" PRIu64, tenths / 10);
	else if (tenths < 100)
		snprintf(buf->s, sizeof(buf->s), "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			 tenths % 10, units[u]);
	else
		snprintf(buf->s, sizeof(buf->s), "%" PRIu64 "%c", tenths / 10, units[u]);
	return buf->s;
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
