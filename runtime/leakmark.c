/* SPDX-License-Identifier: MIT */
/*
 * leakmark.c - which goroutines were started since a mark and are still there: for tests.
 *
 * A mark is the ids of all that existed. Rejected: one number, since ids are given to the Ps in
 * batches and do not rise with time; counting, which takes one that ended for one that began.
 *
 * Those that are left over may run on while they are described. So their stacks are left alone:
 * what they are comes from their records, and where they stand is for `goro check` to say, which
 * reads from outside.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "runtime.h"

enum { LINES_MAX = 20 };

struct goro_leak_mark {
	size_t n;
	uint64_t ids[]; /* sorted */
};

struct seen {
	uint64_t id;
	uintptr_t entry, spawn_pc;
	uint32_t status;
};

struct list {
	struct seen *v;
	size_t n, cap;
};

static void *must(void *p)
{
	if (!p)
		goro_throw("out of memory: the list of goroutines for a leak mark");
	return p;
}

/*
 * A record may be given to another goroutine while it is read; if it was not, status and id are the
 * same before and after. ThreadSanitizer does not know that this is a seqlock.
 */
__attribute__((no_sanitize("thread"))) static bool read_record(const struct g *gp, struct seen *s)
{
	const volatile struct g *v = gp;
	uint32_t state, flags;

	s->status = atomic_load_explicit(&v->state, memory_order_acquire);
	s->id = v->id;
	s->entry = v->entry;
	s->spawn_pc = v->spawn_pc;
	flags = atomic_load_explicit(&v->flags, memory_order_relaxed);
	state = GORO_STATUS_STATE(s->status);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return s->id && state != GORO_STATE_FREE && state != GORO_STATE_DEAD && s->id == v->id &&
	       !(flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN | GORO_FLAG_SYSTEM));
}

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_known(const goro_leak_mark *mark, uint64_t id)
{
	return mark && bsearch(&id, mark->ids, mark->n, sizeof(id), by_id);
}

/* Everybody but main, the caller and those that the mark knows. */
static void collect(struct list *list, const goro_leak_mark *mark)
{
	uint64_t self = goro_id(), all = goro_g_count();

	list->n = 0;
	for (uint64_t i = 0; i < all; i++) {
		struct seen s;

		if (!read_record(goro_g_by_index(i), &s) || s.id == self || is_known(mark, s.id))
			continue;
		if (list->n == list->cap) {
			list->cap = list->cap ? list->cap * 2 : 64;
			list->v = must(realloc(list->v, list->cap * sizeof(*list->v)));
		}
		list->v[list->n++] = s;
	}
}

goro_leak_mark *goro_mark_leaks(void)
{
	struct list list = { 0 };
	goro_leak_mark *mark;

	collect(&list, NULL);
	mark = must(malloc(sizeof(*mark) + (list.n + 1) * sizeof(*mark->ids)));
	/* The caller too: somebody else may ask what was left over. */
	mark->ids[0] = goro_id();
	for (size_t i = 0; i < list.n; i++)
		mark->ids[i + 1] = list.v[i].id;
	mark->n = list.n + 1;
	qsort(mark->ids, mark->n, sizeof(*mark->ids), by_id);
	free(list.v);
	return mark;
}

/* ---- in words -------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->spawn_pc != y->spawn_pc)
		return x->spawn_pc < y->spawn_pc ? -1 : 1;
	if (x->entry != y->entry)
		return x->entry < y->entry ? -1 : 1;
	return (x->status > y->status) - (x->status < y->status);
}

static const char *state_text(uint32_t status)
{
#define STATE(id, letter, name)		[GORO_STATE_##id] = name,
#define REASON(id, letter, name, class) [GORO_REASON_##id] = name,
	static const char *const states[] = { GORO_STATES(STATE) };
	static const char *const reasons[] = { GORO_REASONS(REASON) };

	return GORO_STATUS_STATE(status) == GORO_STATE_WAITING ? reasons[GORO_STATUS_REASON(status)]
							       : states[GORO_STATUS_STATE(status)];
}

static void describe_place(FILE *out, const struct seen *s, size_t n)
{
	struct line entry, spawn;

	goro_line_of(s->entry, false, &entry);
	goro_line_of(s->spawn_pc, true, &spawn);
	fprintf(out, "\n  %zu x %s [%s], started by %s ", n, entry.function, state_text(s->status),
		spawn.function);
	if (spawn.number)
		fprintf(out, "at %s:%d", spawn.file, spawn.number);
	else
		fprintf(out, "in %s", spawn.file);
}

struct description {
	struct list *list;
	char *text;
};

static void describe(void *arg)
{
	struct description *d = arg;
	struct list *list = d->list;
	size_t size, end, lines = 0;
	FILE *out = must(open_memstream(&d->text, &size));

	goro_lines_init();
	qsort(list->v, list->n, sizeof(*list->v), by_place);
	fprintf(out, "%zu goroutine%s left over:", list->n, list->n == 1 ? " is" : "s are");
	for (size_t i = 0; i < list->n; i = end) {
		for (end = i; end < list->n && !by_place(&list->v[i], &list->v[end]); end++)
			;
		if (++lines <= LINES_MAX)
			describe_place(out, &list->v[i], end - i);
	}
	if (lines > LINES_MAX)
		fprintf(out, "\n  and %zu more places", lines - LINES_MAX);
	fclose(out);
}

char *goro_leaks_since(goro_leak_mark *mark, int64_t grace)
{
	static goro_mutex one_at_a_time; /* names and lines are not for two at once */
	int64_t until = goro_now() + grace, pause = GORO_MILLISECOND / 8;
	struct list list = { 0 };
	struct description d = { &list, NULL };

	for (;;) {
		int64_t now = goro_now();

		collect(&list, mark);
		if (!list.n || now >= until)
			break;
		pause = pause < 32 * GORO_MILLISECOND ? pause * 2 : pause;
		goro_sleep(pause < until - now ? pause : until - now);
	}
	if (list.n) {
		/* On a thread's stack: libdw needs more than a goroutine has. */
		goro_mutex_lock(&one_at_a_time);
		goro_blocking(describe, &d);
		goro_mutex_unlock(&one_at_a_time);
	}
	free(list.v);
	free(mark);
	return d.text;
}

void goro_assert_no_leaks(goro_leak_mark *mark, int64_t grace)
{
	char *text = goro_leaks_since(mark, grace);
	char first[64];

	if (!text)
		return;
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, ":"), text);
	os_write(STDERR_FILENO, text, strlen(text));
	os_write(STDERR_FILENO, "\n", 1);
	free(text);
	goro_panic("%s", first);
}
