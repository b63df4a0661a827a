/* SPDX-License-Identifier: MIT */
/*
 * endless.c - a goroutine that computes and never lets go, so that its P is soon another's.
 */
#include <goro.h>

static void endless(void *unused)
{
	(void)unused;
	for (volatile unsigned n = 0;; n++)
		;
}

int main(void)
{
	go(endless, NULL);
	for (;;)
		goro_sleep(GORO_SECOND);
}
