/* SPDX-License-Identifier: MIT */
/*
 * text_column.c - numbers as columns have them: never rounded up into the next unit (999.9us is
 * "999us", not "1000us"), so that a width of six is enough.
 */
#include "profiler.h"

#include <inttypes.h>

const char *goro_text_count(char *buf, size_t size, uint64_t n)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t used = 0;

	for (size_t i = 0; i < len && used + 2 < size; i++) {
		if (i && (len - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

const char *goro_text_duration(char *p, size_t n, uint64_t ns)
{
	uint64_t us = ns / 1000, ms = us / 1000, s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;

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
	return p;
}

const char *goro_text_size(char *buf, size_t size, uint64_t bytes)
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
		snprintf(buf, size, "%" PRIu64, tenths / 10);
	else if (tenths < 100)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
			 units[u]);
	else
		snprintf(buf, size, "%" PRIu64 "%c", tenths / 10, units[u]);
	return buf;
}
