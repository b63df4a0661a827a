/* SPDX-License-Identifier: MIT */
/*
 * frames.c - frames that are not of a plain function: of a size known only at run time,
 * over-aligned, huge, called through a pointer, and called back by the C library.
 *
 * stack 1 chan receive
 *	receive @receive
 *	with_alloca @alloca
 *	start_alloca @start_alloca
 * stack 1 chan receive
 *	receive @receive
 *	over_aligned @aligned
 *	start_aligned @start_aligned
 * stack 1 chan receive
 *	receive @receive
 *	huge @huge
 *	start_huge @start_huge
 * stack 1 chan receive
 *	receive @receive
 *	callee @callee
 *	through_pointer @pointer
 *	start_pointer @start_pointer
 * stack 1 chan receive
 *	receive @receive
 *	compare @compare
 *	sort @sort
 *	start_sort @start_sort
 * stack 1 chan receive
 *	receive @receive
 *	over_aligned @aligned
 *	with_alloca @alloca_aligned
 *	start_both @start_both
 * stack 1 chan receive
 *	receive @receive
 *	main @main
 */
#include "target.h"

static goro_chan *never;

static NOINLINE int receive(int v)
{
	int got = 0;

	goro_chan_recv(never, &got); /* @receive */
	return got + v;
}

static NOINLINE int over_aligned(int n)
{
	char buffer[192] __attribute__((aligned(64)));

	memset(buffer, n, sizeof buffer);
	used(buffer[n]);
	n = receive(n); /* @aligned */
	used(buffer[5]);
	return n;
}

static NOINLINE int with_alloca(size_t size, int aligned_too)
{
	char *buffer = alloca(size);
	int v;

	memset(buffer, 1, size);
	used(buffer[size / 2]);
	if (aligned_too)
		v = over_aligned(3); /* @alloca_aligned */
	else
		v = receive(1); /* @alloca */
	used(buffer[1]);
	return v;
}

static void start_alloca(void *arg)
{
	used(with_alloca((size_t)(intptr_t)arg, 0)); /* @start_alloca */
	used(1);
}

static void start_aligned(void *arg)
{
	used(over_aligned((int)(intptr_t)arg)); /* @start_aligned */
	used(2);
}

static void start_both(void *arg)
{
	used(with_alloca((size_t)(intptr_t)arg, 1)); /* @start_both */
	used(3);
}

static NOINLINE int huge(int n)
{
	char buffer[50000];

	memset(buffer, n, sizeof buffer);
	used(buffer[n]);
	n = receive(n); /* @huge */
	used(buffer[n & 1023]);
	return n;
}

static void start_huge(void *arg)
{
	used(huge((int)(intptr_t)arg)); /* @start_huge */
	used(4);
}

static NOINLINE int callee(int v)
{
	v = receive(v); /* @callee */
	used(v);
	return v;
}

static int (*volatile pointer)(int) = callee;

static NOINLINE int through_pointer(int v)
{
	v = pointer(v); /* @pointer */
	used(v);
	return v;
}

static void start_pointer(void *arg)
{
	used(through_pointer((int)(intptr_t)arg)); /* @start_pointer */
	used(5);
}

static int compare(const void *a, const void *b)
{
	int v = receive(*(const int *)a); /* @compare */

	return v - *(const int *)b;
}

static NOINLINE void sort(int *v, size_t n)
{
	qsort(v, n, sizeof *v, compare); /* @sort */
	used(v[0]);
}

static void start_sort(void *arg)
{
	int v[] = { 3, 1, (int)(intptr_t)arg };

	sort(v, 3); /* @start_sort */
	used(v[1]);
}

int main(void)
{
	never = goro_chan_of(int, 0);
	go(start_alloca, (void *)333);
	go(start_aligned, (void *)5);
	go(start_both, (void *)1000);
	go(start_huge, (void *)6);
	go(start_pointer, (void *)7);
	go(start_sort, (void *)2);
	go(keep_alive, NULL);
	used(receive(8)); /* @main */
	return 0;
}
