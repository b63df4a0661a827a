/* SPDX-License-Identifier: MIT */
/*
 * plugged.c - loads a library at SIGUSR1, and starts a goroutine in it.
 *
 *	plugged LIBRARY
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include "goro.h"

static atomic_bool asked; /* any thread may get the signal */

static void on_signal(int signo)
{
	(void)signo;
	atomic_store(&asked, true);
}

int main(int argc, char **argv)
{
	goro_fn *fn;
	void *library;

	if (argc != 2)
		return 2;
	signal(SIGUSR1, on_signal);
	while (!atomic_load(&asked))
		goro_sleep(GORO_MILLISECOND);
	library = dlopen(argv[1], RTLD_NOW);
	fn = library ? (goro_fn *)dlsym(library, "plugin_wait") : NULL;
	if (!fn) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	go(fn, goro_chan_of(int, 0));
	for (;;)
		goro_sleep(GORO_SECOND);
}
