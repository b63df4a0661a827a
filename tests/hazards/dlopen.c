/* SPDX-License-Identifier: MIT */
/*
 * A program without a runtime that loads a plugin which brings libgoro.so. The runtime's
 * thread-local variable is of the fast kind that is laid out at start; there must be room for it
 * afterwards too. The thread that loads it ends before anybody calls, and it is closed while
 * workers run its code.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static void *load(void *file)
{
	return dlopen(file, RTLD_NOW);
}

int main(int argc, char **argv)
{
	struct timespec a_while = { 0, 50 * 1000 * 1000 };
	void *plugin = NULL;
	pthread_t loader;
	int (*sum)(int);

	if (argc != 2 || pthread_create(&loader, NULL, load, argv[1])) {
		fprintf(stderr, "usage: dlopen PLUGIN\n");
		return 2;
	}
	pthread_join(loader, &plugin);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	*(void **)&sum = dlsym(plugin, "plugin_sum");
	if (!sum || sum(100) != 338350) {
		fprintf(stderr, "the plugin is wrong\n");
		return 1;
	}
	dlclose(plugin);
	nanosleep(&a_while, NULL);
	return 0;
}
