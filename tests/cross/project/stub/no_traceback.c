/* SPDX-License-Identifier: MIT */
/* no_traceback.c - fatal reports without stacks: only their message and the spawn site's address.
 */
#include <stdio.h>

#include "runtime.h"

void goro_traceback_running(struct g *gp, void *ucontext, bool exact)
{
	(void)ucontext, (void)exact;
	if (gp)
		fprintf(stderr, "\ngoroutine %lu\n", (unsigned long)gp->id);
}

void goro_traceback_others(void)
{
}
