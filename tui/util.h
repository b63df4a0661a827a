/* SPDX-License-Identifier: MIT */
/*
 * util.h - memory that is there or the program ends, a clock, and how numbers look.
 *
 * The formats are made for columns; those of counts, durations and sizes are profiler.h's.
 */
#ifndef GOTOP_UTIL_H
#define GOTOP_UTIL_H

#include "profiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC  INT64_C(1000000000)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *or_die(void *p); /* p, unless it is NULL */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);

static inline int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t clock_now(void);

/* CPU time of this process in nanoseconds. */
int64_t clock_cpu(void);

/* Each writes into buf and returns it. */
struct text {
	char s[32];
};

const char *fmt_delta(struct text *buf, int64_t n);	   /* +16,204  0  -3 */
const char *fmt_rate(struct text *buf, double per_second); /* +23  +0.5  0 */

static inline const char *fmt_count(struct text *buf, uint64_t n)
{
	return goro_text_count(buf->s, sizeof(buf->s), n);
}

static inline const char *fmt_duration(struct text *buf, uint64_t ns)
{
	return goro_text_duration(buf->s, sizeof(buf->s), ns);
}

static inline const char *fmt_size(struct text *buf, uint64_t bytes)
{
	return goro_text_size(buf->s, sizeof(buf->s), bytes);
}

/*
 * The last `width` of n values as a line of bars, oldest first. The scale runs over the values' own
 * range, but never over less than a tenth of the greatest: noise must not look like growth.
 */
void fmt_sparkline(char *buf, size_t size, const uint32_t *values, size_t n, size_t width,
		   bool ascii);

#endif /* GOTOP_UTIL_H */
