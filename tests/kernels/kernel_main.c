/* SPDX-License-Identifier: MIT */
#include "kernel.h"

bool fixed;

void after(void)
{
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 1;

	fixed = argc > 1 && !strcmp(argv[1], "fixed");
	for (int i = 0; i < n; i++)
		go(kernel, NULL);
	for (;;)
		goro_sleep(3600 * GORO_SECOND);
}
