/* SPDX-License-Identifier: MIT */
/*
 * text.c - durations and sizes for people.
 */
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

const char *text_duration(char text[TEXT_NUMBER], uint64_t ns)
{
	uint64_t ms = ns / 1000000, s = ms / 1000;

	if (ms < 1000)
		snprintf(text, TEXT_NUMBER, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(text, TEXT_NUMBER, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(text, TEXT_NUMBER, "%" PRIu64 "m%" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, TEXT_NUMBER, "%" PRIu64 "h%" PRIu64 "m", s / 3600, s % 3600 / 60);
	else
		snprintf(text, TEXT_NUMBER, "%" PRIu64 "d%" PRIu64 "h", s / 86400,
			 s % 86400 / 3600);
	return text;
}

const char *text_bytes(char text[TEXT_NUMBER], uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	int unit = 0;

	if (bytes < 1024) {
		snprintf(text, TEXT_NUMBER, "%" PRIu64 " B", bytes);
		return text;
	}
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	snprintf(text, TEXT_NUMBER, value < 10 ? "%.1f %ciB" : "%.0f %ciB", value, units[unit]);
	return text;
}
