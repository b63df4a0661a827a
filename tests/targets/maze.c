/* SPDX-License-Identifier: MIT */
/*
 * maze.c - goroutines that park at random depths, having got there by random ways through functions
 * of every shape. Each one writes down the way it went, so that tests/profiler/test_maze.c can hold
 * what an unwinder finds against what happened.
 *
 *	maze SEED FILE
 *
 * FILE gets a line for each: its id and the functions, outermost first; then "done".
 *
 * Compiled as C++ it has some more shapes: maze.cc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include "target.h"

#ifdef __clang__
#define SHAPE NOINLINE /* it makes no clones */
#else
#define SHAPE __attribute__((noipa))
#endif

enum { WALKERS = 300, DEPTH_MAX = 48 };

struct walk {
	uint64_t random;
	int n, depth; /* steps done, and how many to do */
	const char *way[DEPTH_MAX + 8];
};

typedef long shape_fn(struct walk *w);

static goro_chan *never;
static goro_waitgroup arrived;
static goro_mutex file_lock;
static FILE *file;

static unsigned draw(struct walk *w, unsigned n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % n;
}

#define HERE(w) ((w)->way[(w)->n++] = __func__)

static long onward(struct walk *w);

static SHAPE long shape_plain(struct walk *w)
{
	long v;

	HERE(w);
	v = onward(w);
	used(v);
	return v + 1;
}

static SHAPE long shape_registers(struct walk *w)
{
	long a = draw(w, 100), b = a * 3, c = a ^ 5, d = a + b, e = b * c, f = c - a, v;

	HERE(w);
	v = onward(w);
	used(a + b * c);
	used(d ^ e);
	used(f);
	return v + a + b + c + d + e + f;
}

static SHAPE long shape_alloca(struct walk *w)
{
	size_t size = draw(w, 700) + 1;
	char *buffer = (char *)alloca(size);
	long v;

	HERE(w);
	memset(buffer, 1, size);
	v = onward(w);
	used(buffer[size - 1]);
	return v;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
static SHAPE long shape_vla(struct walk *w)
{
	long buffer[draw(w, 90) + 1], v;

	HERE(w);
	memset(buffer, 1, sizeof buffer);
	v = onward(w);
	used(buffer[sizeof buffer / sizeof buffer[0] - 1]);
	return v;
}
#pragma GCC diagnostic pop

static SHAPE long shape_aligned(struct walk *w)
{
	char buffer[192] __attribute__((aligned(64)));
	long v;

	HERE(w);
	memset(buffer, 2, sizeof buffer);
	used(buffer[draw(w, sizeof buffer)]);
	v = onward(w);
	used(buffer[draw(w, sizeof buffer)]);
	return v;
}

static SHAPE long shape_aligned_alloca(struct walk *w)
{
	char buffer[128] __attribute__((aligned(32)));
	size_t size = draw(w, 300) + 1;
	char *more = (char *)alloca(size);
	long v;

	HERE(w);
	memset(buffer, 3, sizeof buffer);
	memset(more, 4, size);
	v = onward(w);
	used(buffer[size % sizeof buffer] + more[size / 2]);
	return v;
}

static SHAPE long shape_big(struct walk *w)
{
	char buffer[3000];
	long v;

	HERE(w);
	memset(buffer, 5, sizeof buffer);
	used(buffer[draw(w, sizeof buffer)]);
	v = onward(w);
	used(buffer[7]);
	return v;
}

static SHAPE long many_arguments(struct walk *w, long a, long b, long c, long d, long e, long f,
				 long g, long h)
{
	long v;

	HERE(w);
	v = onward(w);
	used(v);
	return v + a + b + c + d + e + f + g + h;
}

static SHAPE long shape_arguments(struct walk *w)
{
	long v;

	HERE(w);
	v = many_arguments(w, 1, 2, 3, 4, 5, 6, 7, draw(w, 9));
	used(v);
	return v;
}

static SHAPE long variadic(struct walk *w, int n, ...)
{
	va_list list;
	long v;

	HERE(w);
	va_start(list, n);
	v = onward(w);
	while (n--)
		v += va_arg(list, int) + (long)va_arg(list, double);
	va_end(list);
	return v;
}

static SHAPE long shape_variadic(struct walk *w)
{
	long v;

	HERE(w);
	v = variadic(w, 2, 1, 0.5, 2, 0.25);
	used(v);
	return v;
}

static SHAPE long shape_numbers(struct walk *w)
{
	double a = draw(w, 100), b = a / 3, c = a * b;
	long v;

	HERE(w);
	v = onward(w);
	used((long)(a + b * c));
	return v + (long)c;
}

struct large {
	long v[20];
};

static SHAPE struct large return_large(struct walk *w)
{
	struct large l = { { draw(w, 5) } };

	HERE(w);
	l.v[3] = onward(w);
	used(l.v[0]);
	return l;
}

static SHAPE long shape_structure(struct walk *w)
{
	struct large l;

	HERE(w);
	l = return_large(w);
	used(l.v[3]);
	return l.v[3] + l.v[19];
}

static SHAPE long shape_early_out(struct walk *w)
{
	long kept[6], v;

	if (w->depth < 0) /* never, but only we know; what follows is set up after this */
		return 1;
	HERE(w);
	for (int i = 0; i < 6; i++)
		kept[i] = draw(w, 10);
	v = onward(w);
	for (int i = 0; i < 6; i++)
		used(kept[i]);
	return v;
}

static SHAPE long shape_again(struct walk *w)
{
	long v;

	HERE(w);
	v = w->n < w->depth && draw(w, 2) ? shape_again(w) : onward(w);
	used(v);
	return v * 3;
}

static SHAPE long shape_setjmp(struct walk *w)
{
	jmp_buf env;
	volatile long v = 0;

	HERE(w);
	if (setjmp(env) == 0) {
		v = onward(w);
		longjmp(env, 1);
	}
	return v;
}

static SHAPE long shape_frame_address(struct walk *w)
{
	long v;

	HERE(w);
	used((long)(intptr_t)__builtin_frame_address(0));
	v = onward(w);
	used((long)(intptr_t)__builtin_return_address(0));
	return v;
}

/* The C library calls us back: who walks is found beside the key. */
struct probe {
	int key;
	struct walk *walk;
};

static SHAPE int compare_probes(const void *a, const void *b)
{
	const struct probe *p = (const struct probe *)a, *q = (const struct probe *)b;

	HERE(p->walk);
	used(onward(p->walk));
	return p->key - q->key;
}

static SHAPE long shape_called_back(struct walk *w)
{
	struct probe key = { 1, w }, one = { 1, w };

	HERE(w);
	used(bsearch(&key, &one, 1, sizeof one, compare_probes) != NULL);
	used(key.key);
	return 1;
}

static SHAPE long shape_sort(struct walk *w)
{
	struct probe two[2] = { { 1, w }, { 2, w } };

	HERE(w);
	qsort(two, 2, sizeof two[0], compare_probes);
	used(two[0].key);
	return 1;
}

#ifndef MAZE_MORE_SHAPES
#define MAZE_MORE_SHAPES shape_plain
#endif

static shape_fn *const shapes[] = {
	shape_plain,	   shape_registers,  shape_alloca,	  shape_aligned,
	shape_big,	   shape_arguments,  shape_variadic,	  shape_numbers,
	shape_structure,   shape_early_out,  shape_again,	  shape_setjmp,
	shape_called_back, shape_sort,	     shape_frame_address, shape_aligned_alloca,
	shape_vla,	   MAZE_MORE_SHAPES,
};

static void write_down(const struct walk *w)
{
	goro_mutex_lock(&file_lock);
	fprintf(file, "%llu", (unsigned long long)goro_id());
	for (int i = 0; i < w->n; i++)
		fprintf(file, " %s", w->way[i]);
	fputc('\n', file);
	goro_mutex_unlock(&file_lock);
}

/* Deeper, or, deep enough, wait for ever. */
static INLINE long go_on(struct walk *w)
{
	int got = 0;

	if (w->n < w->depth)
		return shapes[draw(w, sizeof shapes / sizeof shapes[0])](w);
	write_down(w);
	goro_waitgroup_done(&arrived);
	goro_chan_recv(never, &got);
	return got;
}

static SHAPE long onward(struct walk *w)
{
	long v;

	HERE(w);
	v = go_on(w);
	used(v);
	return v;
}

static void start(void *arg)
{
	struct walk w = { (uint64_t)(uintptr_t)arg, 0, 0, { NULL } };

	HERE(&w);
	w.depth = (int)draw(&w, DEPTH_MAX);
	used(onward(&w));
	used(2);
}

int main(int argc, char **argv)
{
	uint64_t seed;

	if (argc != 3 || !(file = fopen(argv[2], "w"))) {
		fprintf(stderr, "usage: maze SEED FILE\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	never = goro_chan_of(int, 0);
	goro_waitgroup_add(&arrived, WALKERS);
	for (uint64_t i = 0; i < WALKERS; i++)
		go(start, (void *)(uintptr_t)(seed * WALKERS + i));
	goro_waitgroup_wait(&arrived);
	fprintf(file, "done\n");
	fclose(file);
	keep_alive(NULL);
	return 0;
}
