/* SPDX-License-Identifier: MIT */
/* net.c - see net.h. */
#include "net.h"

#include <string.h>

int listen_local(void)
{
	int fd = goro_listen_tcp(LOCAL, 0, 128);

	check(fd >= 0);
	return fd;
}

int dial_local(int listener)
{
	int fd = goro_dial_tcp(LOCAL, goro_port(listener));

	check(fd >= 0);
	return fd;
}

void connected(int ends[2])
{
	int listener = listen_local();

	ends[0] = dial_local(listener);
	ends[1] = goro_accept(listener);
	check(ends[1] >= 0);
	check_eq(goro_close(listener), 0);
}

void read_all(int fd, void *buf, size_t n)
{
	char *at = buf;

	while (n) {
		ssize_t k = goro_read(fd, at, n);

		check(k > 0);
		at += k;
		n -= (size_t)k;
	}
}

static void echo_conn(void *arg)
{
	int fd = *(int *)arg;
	char buf[512];
	ssize_t n;

	while ((n = goro_read(fd, buf, sizeof(buf))) > 0)
		check_eq(goro_write(fd, buf, (size_t)n), n);
	check_eq(n, 0);
	check_eq(goro_close(fd), 0);
}

void echo_accept(void *arg)
{
	struct echo *echo = arg;
	int fd;

	while ((fd = goro_accept(echo->listener)) >= 0)
		go_copy(echo_conn, &fd);
	check_eq(fd, -ECANCELED);
	goro_waitgroup_done(&echo->wg);
}

void echo_client(void *arg)
{
	struct echo *echo = arg;
	int fd = dial_local(echo->listener);
	unsigned char out[64], in[64];

	for (int i = 0; i < echo->rounds; i++) {
		for (size_t k = 0; k < sizeof(out); k++)
			out[k] = (unsigned char)((size_t)fd * 31 + (size_t)i * 7 + k);
		check_eq(goro_write(fd, out, sizeof(out)), (int64_t)sizeof(out));
		read_all(fd, in, sizeof(in));
		check(memcmp(out, in, sizeof(out)) == 0);
		echo->served++;
	}
	check_eq(goro_close(fd), 0);
	goro_waitgroup_done(&echo->wg);
}

void read_cancelled(void *arg)
{
	struct waiter *w = arg;
	char c;

	check_eq(goro_read(w->fd, &c, 1), -ECANCELED);
	goro_waitgroup_done(w->wg);
}

void receive_for_ever(void *arg)
{
	goro_chan_recv(arg, NULL);
}

void echo_one(void *arg)
{
	int fd = *(int *)arg;
	char c;

	while (goro_read(fd, &c, 1) == 1)
		if (goro_write(fd, &c, 1) != 1)
			break;
	goro_close(fd);
}
