/* SPDX-License-Identifier: MIT */
/*
 * exits - a goroutine other than main calls exit(3) while main waits for it. Nothing is left over.
 */
#include <stdlib.h>

#include "goro.h"

static void end_it(void *arg)
{
	(void)arg;
	exit(3);
}

int main(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 1);
	go(end_it, NULL);
	goro_waitgroup_wait(&wg);
	return 0;
}
