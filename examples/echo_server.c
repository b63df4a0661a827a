/* SPDX-License-Identifier: MIT */
/*
 * echo_server - sends back what it gets: echo_server [PORT]. Without a port, or with 0, one that is
 * free is taken, and printed.
 *
 * One goroutine for each connection, and code that reads as if it blocked: what waits for a slow
 * client is the goroutine, not its thread. Ten thousand idle clients cost ten thousand small
 * stacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goro.h"

static void serve(void *arg)
{
	int fd = *(int *)arg;
	char buf[4096];
	ssize_t n;

	while ((n = goro_read(fd, buf, sizeof(buf))) > 0)
		if (goro_write(fd, buf, (size_t)n) < 0)
			break;
	goro_close(fd);
}

static int usage(void)
{
	fprintf(stderr, "usage: echo_server [PORT]\n");
	return 2;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	long port = argc > 1 ? strtol(argv[1], &end, 10) : 0;
	int listener, fd;

	if (argc > 2 || (end && (end == argv[1] || *end)) || port < 0 || port > 65535)
		return usage();
	listener = goro_listen_tcp(NULL, (int)port, 1024);
	if (listener < 0) {
		fprintf(stderr, "echo_server: cannot listen on port %ld: %s\n", port,
			strerror(-listener));
		return 1;
	}
	printf("%d\n", goro_port(listener));
	fflush(stdout);
	for (;;) {
		fd = goro_accept(listener);
		if (fd >= 0) {
			go_copy(serve, &fd);
			continue;
		}
		fprintf(stderr, "echo_server: cannot accept: %s\n", strerror(-fd));
		goro_sleep(100 *
			   GORO_MILLISECOND); /* out of descriptors: some will be free again */
	}
}
