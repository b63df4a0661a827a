/* SPDX-License-Identifier: MIT */
/* times.c - how long goroutines wait to run and run at a time: kept
 * from look to look, and drawn. */
#include "times.h"
#include "groups.h"
#include "util.h"

#include <inttypes.h>
#include <string.h>

/* newer - older, bucket by bucket; what was counted does not become less. */
static struct goro_histogram between(const struct goro_histogram *older,
				     const struct goro_histogram *newer)
{
	struct goro_histogram h = *newer;

	for (int i = 0; i < GORO_BUCKETS; i++)
		h.n[i] -= older->n[i] < h.n[i] ? older->n[i] : h.n[i];
	return h;
}

void times_push(struct times *t, const struct goro_snapshot *snap)
{
	struct times_look *look;
	struct goro_histogram h;
	uint32_t n;

	if (t->nlooks && t->looks[t->nlooks - 1].time == snap->time)
		t->nlooks--; /* the same tick of a recording again */
	if (t->nlooks == HISTORY) {
		memmove(t->looks, t->looks + 1, (HISTORY - 1) * sizeof(*t->looks));
		t->nlooks--;
	}
	look = &t->looks[t->nlooks++];
	memset(look, 0, sizeof(*look));
	look->time = snap->time;
	for (size_t i = 0; i < snap->nprocs; i++) {
		goro_histogram_add(&look->sum[TIMES_WAITING], &snap->procs[i].latencies);
		goro_histogram_add(&look->sum[TIMES_RUNNING], &snap->procs[i].slices);
	}
	if (t->nlooks < 2)
		return;
	for (int k = 0; k < NTIMES; k++) {
		uint64_t ns;

		h = between(&look[-1].sum[k], &look->sum[k]);
		ns = goro_histogram_quantile(&h, .99);
		n = t->np99;
		ring_push(t->p99[k], &n, ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX);
	}
	t->np99 = n;
}

void times_drop(struct times *t)
{
	t->nlooks = t->np99 = 0;
}

static const char *const kind_titles[NTIMES] = { "wait to run", "run slice" };

/* Of the last looks, or, with only one or when asked, since the start. */
static struct goro_histogram shown(const struct times *t, enum times_kind kind, bool *from_start)
{
	*from_start = t->from_start || t->nlooks < 2;
	if (!t->nlooks)
		return (struct goro_histogram){ .n = { 0 } };
	if (*from_start)
		return t->looks[t->nlooks - 1].sum[kind];
	return between(&t->looks[0].sum[kind], &t->looks[t->nlooks - 1].sum[kind]);
}

/* Where its values lie: buckets first to last. False: there are none. */
static bool extent(const struct goro_histogram *h, int *first, int *last)
{
	*first = GORO_BUCKETS;
	*last = -1;
	for (int i = 0; i < GORO_BUCKETS; i++) {
		if (!h->n[i])
			continue;
		*first = *first < i ? *first : i;
		*last = i;
	}
	return *last >= 0;
}

/* A bar in eighths of a column, of at most `width` columns; what is there is seen. */
static void bar(char *buf, size_t size, uint64_t n, uint64_t most, int width, bool ascii)
{
	static const char *const parts[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	uint64_t eighths = (uint64_t)((double)n / (double)most * width * 8 + 0.5);
	size_t used = 0;

	if (n && eighths < (ascii ? 8u : 1u))
		eighths = ascii ? 8 : 1;
	buf[0] = '\0';
	for (uint64_t i = 0; i < eighths / 8 && used + 4 < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s", ascii ? "#" : "█");
	if (!ascii && used + 4 < size)
		snprintf(buf + used, size - used, "%s", parts[eighths % 8]);
}

static void histogram_title(const struct times *t, enum times_kind kind,
			    const struct goro_histogram *h, bool from_start, char *buf, size_t size)
{
	struct text a, b, d;
	char since[40] = "all";

	if (!from_start)
		snprintf(since, sizeof(since), "%s",
			 fmt_duration(&d,
				      (uint64_t)(t->looks[t->nlooks - 1].time - t->looks[0].time)));
	if (!goro_histogram_count(h))
		snprintf(buf, size, "%s, %s: none", kind_titles[kind], since);
	else
		snprintf(buf, size, "%s, %s: p50 %s  p99 %s", kind_titles[kind], since,
			 fmt_duration(&a, goro_histogram_quantile(h, .5)),
			 fmt_duration(&b, goro_histogram_quantile(h, .99)));
}

void times_draw(const struct times *t, struct screen *s, int y, int x, int h, int w,
		enum times_kind kind)
{
	bool from_start, trend = h >= 8 && t->np99 > 1;
	struct goro_histogram hist = shown(t, kind, &from_start);
	int first, last, rows = h - 2 - trend, step = 1;
	uint64_t most = 0;
	char title[160], text[1024];
	struct text upper;

	histogram_title(t, kind, &hist, from_start, title, sizeof(title));
	screen_box(s, y, x, h, w, title);
	if (trend) {
		int used = screen_put(s, y + h - 2, x + 2, w - 4, ROLE_DIM, "p99 over time  ");

		fmt_sparkline(text, sizeof(text), t->p99[kind], t->np99, (size_t)(w - 4 - used),
			      s->ascii);
		screen_put(s, y + h - 2, x + 2 + used, w - 4 - used, ROLE_RUN, text);
	}
	if (!extent(&hist, &first, &last))
		return;
	while ((last - first) / step + 1 > rows)
		step++;
	for (int i = first; i <= last; i += step) {
		uint64_t n = 0;

		for (int k = i; k < i + step && k < GORO_BUCKETS; k++)
			n += hist.n[k];
		most = n > most ? n : most;
	}
	for (int i = first; i <= last; i += step) {
		int upto = i + step - 1 < GORO_BUCKETS ? i + step - 1 : GORO_BUCKETS - 1;
		uint64_t n = 0;
		int used;

		for (int k = i; k <= upto; k++)
			n += hist.n[k];
		y++;
		used = screen_printf(s, y, x + 2, w - 4, ROLE_DIM, "< %6s %9s ",
				     fmt_duration(&upper, UINT64_C(1) << upto), "");
		screen_put_right(s, y, x + 11, 9, ROLE_TEXT, fmt_count(&upper, n));
		bar(text, sizeof(text), n, most, w - 4 - used, s->ascii);
		screen_put(s, y, x + 2 + used, w - 4 - used,
			   kind == TIMES_WAITING ? ROLE_READY : ROLE_RUN, text);
	}
}
