/* SPDX-License-Identifier: MIT */
/*
 * hide_bare.c - as hide_used.c, in code without unwind data: nobody knows who has called it, nor
 * where what that one had in registers is by now.
 */
#include <unistd.h>

#include "hide_used.h"

static volatile bool never;

static __attribute__((noinline)) void sleeps(void)
{
	take_registers();
	goro_sleep(100000 * GORO_SECOND);
	take_registers();
}

static __attribute__((noinline)) void pauses(void)
{
	take_registers();
	while (!never)
		pause();
	take_registers();
}

void hide_bare(void *arg)
{
	TAKE(24);
	sleeps();
	CLOSE(24);
}

void *hide_bare_thread(void *arg)
{
	TAKE(24);
	pauses();
	CLOSE(24);
	return NULL;
}
