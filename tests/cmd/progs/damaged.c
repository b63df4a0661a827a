/* SPDX-License-Identifier: MIT */
/*
 * damaged - a program that wrote over one of its runtime's records, as a wild pointer may. The rest
 * of it can be read as ever; that something is missing must be said.
 */
#include "goro.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

static void nothing(void *arg)
{
	goro_waitgroup_done(arg);
}

int main(void)
{
	const struct goro_field *fields;
	goro_waitgroup wg = { 0 };
	unsigned char *last;

	goro_waitgroup_add(&wg, 1);
	go(nothing, &wg);
	goro_waitgroup_wait(&wg);
	fields = (const struct goro_field *)goro_introspect.fields;
	last = (unsigned char *)((uint64_t *)goro_introspect.g_chunks)[0] +
	       (uint64_t)(goro_introspect.g_chunk_len - 1) * goro_introspect.g_size;
	/* The runtime looks at it as well. */
	__atomic_store_n(&last[fields[GORO_FIELD_g_status].offset], 0xff, __ATOMIC_RELAXED);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
