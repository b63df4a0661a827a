/* SPDX-License-Identifier: MIT */
/*
 * naps - a program that ends as most small ones do: main() sleeps, and returns.
 *
 *	naps		nobody uses the channel any more, though main() still has it
 *	naps lent	another goroutine looks at main()'s variable when it gets up
 *	naps closed	main() closes it when it gets up
 */
#include <string.h>
#include "goro.h"

static void waits(void *arg)
{
	goro_chan_recv(arg, NULL);
}

static void borrows(void *variable)
{
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(*(goro_chan **)variable);
}

static int closes(void)
{
	goro_chan *c = goro_chan_make(0, 0);

	go(waits, c);
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(c);
	return 0;
}

int main(int argc, char **argv)
{
	goro_chan *c;

	if (argc > 1 && !strcmp(argv[1], "closed"))
		return closes();
	c = goro_chan_make(0, 0);
	go(waits, c);
	if (argc > 1)
		go(borrows, &c);
	goro_sleep(100000 * GORO_SECOND);
	return 0;
}
