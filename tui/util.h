/* SPDX-License-Identifier: MIT */
/*
 * util.h - memory that is there or the program ends, a clock, and how numbers look.
 *
 * The formats are made for columns: at most six characters for a duration or a size, never
 * rounded up into the next unit (999.9us is "999us", not "1000us").
 */
#ifndef GOTOP_UTIL_H
#define GOTOP_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC  INT64_C(1000000000)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_now(void);

/* CPU time of this process in nanoseconds. */
int64_t clock_cpu(void);

/* Each writes into buf and returns it. */
struct text {
	char s[32];
};

const char *fmt_count(struct text *buf, uint64_t n);	   /* 104,233 */
const char *fmt_delta(struct text *buf, int64_t n);	   /* +16,204  0  -3 */
const char *fmt_rate(struct text *buf, double per_second); /* +23  +0.5  0 */
const char *fmt_duration(struct text *buf, uint64_t ns);   /* 80us 1.9ms 8.2s 9m02s 2d03h */
const char *fmt_size(struct text *buf, uint64_t bytes);	   /* 512 1.2K 81M 5.9G */

/*
 * The last `width` of n values as a line of bars, oldest first. The scale runs over the values' own
 * range, but never over less than a tenth of the greatest: noise must not look like growth.
 */
void fmt_sparkline(char *buf, size_t size, const uint32_t *values, size_t n, size_t width,
		   bool ascii);

#endif /* GOTOP_UTIL_H */
