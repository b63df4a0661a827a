/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - a library that plugged.c loads while it is looked at.
 */
#include "goro.h"

void plugin_wait(void *never);

static volatile int after;

void plugin_wait(void *never)
{
	goro_chan_recv(never, NULL); /* @plugin */
	after++;
}
