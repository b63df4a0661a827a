/* SPDX-License-Identifier: MIT */
/* leaky.c - a goroutine that waits for what nobody has, holding 1000 bytes. */
#include <goro.h>
#include <stdio.h>
#include <stdlib.h>

static void stuck(void *channel)
{
	char *mine = malloc(1000);
	int x;

	mine[0] = 1;
	goro_chan_recv(channel, &x);
	free(mine);
}

int main(void)
{
	go(stuck, goro_chan_of(int, 0));
	for (int i = 0; i < 100; i++)
		goro_yield();
	puts("ready");
	fflush(stdout);
	for (;;)
		goro_sleep(GORO_SECOND);
}
