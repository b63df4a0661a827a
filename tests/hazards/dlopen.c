/* SPDX-License-Identifier: MIT */
/*
 * A program without a runtime that loads a plugin which brings libgoro.so. The runtime's
 * thread-local variable is of the fast kind that is laid out at start; there must be room for it
 * afterwards too.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int (*sum)(int);

	if (!plugin) {
		fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: dlopen PLUGIN");
		return 2;
	}
	*(void **)&sum = dlsym(plugin, "plugin_sum");
	if (!sum || sum(100) != 338350) {
		fprintf(stderr, "the plugin is wrong\n");
		return 1;
	}
	return 0;
}
