/* SPDX-License-Identifier: MIT */
/* Sockets: what goes through them, who waits, and what becomes of those who wait. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "net.h"

/* ---- echo ------------------------------------------------------------------------------------ */

/* Two acceptors on one listener, 64 connections, and everybody gets his own bytes back. */
static void echo(void)
{
	struct echo e = { .listener = listen_local(), .rounds = 300 };
	goro_waitgroup *wg = &e.wg;

	goro_waitgroup_add(wg, 64);
	for (int i = 0; i < 64; i++)
		go(echo_client, &e);
	goro_waitgroup_add(wg, 2);
	go(echo_accept, &e);
	go(echo_accept, &e);
	check_eventually(e.served == 64 * 300L);
	check_eq(goro_close(e.listener), 0);
	goro_waitgroup_wait(wg);
}

/* ---- data ------------------------------------------------------------------------------------ */

#define BULK (8u << 20)

static void send_bulk(void *arg)
{
	int fd = *(int *)arg;
	unsigned char *data = malloc(BULK);

	check(data);
	for (size_t i = 0; i < BULK; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 24);
	check_eq(goro_write(fd, data, BULK), BULK); /* more than any buffer holds */
	check_eq(shutdown(fd, SHUT_WR), 0);
	free(data);
}

/* All of a big write arrives, in order; and a half-closed connection still carries the answer. */
static void bulk_and_half_close(void)
{
	int ends[2];
	size_t got = 0;
	ssize_t n;
	static unsigned char buf[100000];

	connected(ends);
	go_copy(send_bulk, &ends[0]);
	while ((n = goro_read(ends[1], buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			check_eq(buf[i], (unsigned char)(got * 2654435761u >> 24));
	check_eq(n, 0);
	check_eq(got, BULK);
	check_eq(goro_read(ends[1], buf, 1), 0); /* the end stays the end */
	check_eq(goro_write(ends[1], "bye", 3), 3);
	read_all(ends[0], buf, 3);
	check(memcmp(buf, "bye", 3) == 0);
	check_eq(goro_close(ends[0]), 0);
	check_eq(goro_close(ends[1]), 0);
}

struct writer {
	int fd;
	char letter;
	goro_waitgroup *wg;
};

enum { PIECE = 300000 };

static void write_letters(void *arg)
{
	struct writer *w = arg;
	char *piece = malloc(PIECE);

	check(piece);
	memset(piece, w->letter, PIECE);
	for (int i = 0; i < 5; i++)
		check_eq(goro_write(w->fd, piece, PIECE), PIECE);
	free(piece);
	goro_waitgroup_done(w->wg);
}

static void close_after(void *arg)
{
	struct writer *w = arg;

	goro_waitgroup_wait(w->wg);
	check_eq(shutdown(w->fd, SHUT_WR), 0);
}

/* What several goroutines write at once is not mixed. */
static void writes_take_turns(void)
{
	goro_waitgroup wg = { 0 };
	static char buf[PIECE];
	int ends[2], pieces = 0;

	connected(ends);
	goro_waitgroup_add(&wg, 4);
	for (char c = 'a'; c < 'e'; c++)
		go_copy(write_letters, &((struct writer){ ends[0], c, &wg }));
	go_copy(close_after, &((struct writer){ ends[0], 0, &wg }));
	for (; pieces < 20; pieces++) {
		read_all(ends[1], buf, PIECE);
		for (int i = 1; i < PIECE; i++)
			check_eq(buf[i], buf[0]);
	}
	check_eq(goro_read(ends[1], buf, 1), 0);
}

static void answer_slowly(void *arg)
{
	int fd = *(int *)arg;
	char c;

	/* Fills less than asked for, then more arrives: the reader must see each of them. */
	for (int i = 0; i < 2000; i++) {
		check_eq(goro_write(fd, "abc", 3), 3);
		if (i % 16 == 0)
			check_eq(goro_read(fd, &c, 1), 1);
	}
	check_eq(shutdown(fd, SHUT_WR), 0);
}

/* A short read is followed by a wait without a try; nothing may be lost by that, nor the end. */
static void short_reads(void)
{
	char buf[64];
	int ends[2];
	long got = 0;
	ssize_t n;

	for (int round = 0; round < 20; round++) {
		connected(ends);
		got = 0;
		go_copy(answer_slowly, &ends[1]);
		for (int acks = 0; (n = goro_read(ends[0], buf, sizeof(buf))) > 0;) {
			got += n;
			for (; acks < 125 && got > acks * 48; acks++)
				check_eq(goro_write(ends[0], "!", 1), 1);
		}
		check_eq(n, 0);
		check_eq(got, 6000);
		check_eq(goro_close(ends[0]), 0);
		check_eq(goro_close(ends[1]), 0);
	}
}

/* As read(2): it neither waits for data nor takes any, nor a packet; a deadline counts. */
static void reads_of_nothing(void)
{
	int ends[2], packets[2];
	char buf[4];

	connected(ends);
	check_eq(goro_read(ends[0], buf, 0), 0);
	check_eq(goro_write(ends[0], buf, 0), 0);
	check_eq(goro_write(ends[1], "ab", 2), 2);
	check_eq(goro_read(ends[0], buf, 4), 2);
	check_eq(goro_read(ends[0], NULL, 0), 0); /* the stream is known to be empty */
	check_eq(goro_write(ends[1], "c", 1), 1);
	check_eq(goro_read(ends[0], buf, 1), 1);
	check_eq(goro_set_deadline(ends[0], goro_now(), 0), 0);
	check_eq(goro_read(ends[0], buf, 0), -ETIMEDOUT);

	check_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, packets), 0);
	check_eq(goro_write(packets[0], "whole", 5), 5);
	check_eq(goro_read(packets[1], buf, 0), 0);
	check_eq(goro_read(packets[1], buf, 4), 4);
	for (int i = 0; i < 2; i++) {
		check_eq(goro_close(ends[i]), 0);
		check_eq(goro_close(packets[i]), 0);
	}
}

/* ---- close ----------------------------------------------------------------------------------- */

static void write_cancelled(void *arg)
{
	struct waiter *w = arg;
	static char lots[1 << 20];

	for (;;) {
		ssize_t n = goro_write(w->fd, lots, sizeof(lots));

		if (n == (ssize_t)sizeof(lots))
			continue;
		check_eq(n, -ECANCELED);
		break;
	}
	goro_waitgroup_done(w->wg);
}

static void accept_cancelled(void *arg)
{
	struct waiter *w = arg;

	check_eq(goro_accept(w->fd), -ECANCELED);
	goro_waitgroup_done(w->wg);
}

/* Closing gets everybody off, whoever waits for the turn too, and when it returns it is closed. */
static void close_while_blocked(void)
{
	goro_waitgroup wg = { 0 };
	int ends[2], listener = listen_local(), port = goro_port(listener);
	uint64_t ids[6];

	connected(ends);
	goro_waitgroup_add(&wg, 6);
	ids[0] = go_copy(read_cancelled, &((struct waiter){ ends[0], &wg }));
	ids[1] = go_copy(read_cancelled, &((struct waiter){ ends[0], &wg }));
	ids[2] = go_copy(write_cancelled, &((struct waiter){ ends[0], &wg }));
	ids[3] = go_copy(write_cancelled, &((struct waiter){ ends[0], &wg }));
	ids[4] = go_copy(accept_cancelled, &((struct waiter){ listener, &wg }));
	ids[5] = go_copy(accept_cancelled, &((struct waiter){ listener, &wg }));
	for (int i = 0; i < 6; i++)
		check_parked(ids[i], GORO_REASON_IO);
	check_eq(goro_close(ends[0]), 0);
	check(fcntl(ends[0], F_GETFD) < 0);
	check_eq(goro_close(listener), 0);
	listener = goro_listen_tcp(LOCAL, port, 1); /* so it is really free again */
	check(listener >= 0);
	goro_waitgroup_wait(&wg);
	check_eq(goro_close(ends[0]), -EBADF);
}

static void bad_descriptors(void)
{
	char c;

	for (int fd = -1; fd > INT32_MIN / 2; fd *= 3) {
		check_eq(goro_read(fd, &c, 1), -EBADF);
		check_eq(goro_close(fd), -EBADF);
		check_eq(goro_accept(fd), -EBADF);
	}
	check_eq(goro_read(INT32_MAX, &c, 1), -EBADF);
	check_eq(goro_write(3000, &c, 1), -EBADF);
	check_eq(goro_connect(3000, NULL, 0), -EBADF);
	check_eq(goro_port(3000), -EBADF);
	check_eq(goro_port(0), -ENOTSOCK);
	check_eq(goro_dial_tcp(LOCAL, -1), -EINVAL);
	check_eq(goro_dial_tcp(LOCAL, 65536), -EINVAL);
	check_eq(goro_listen_tcp("999.1.1.1.invalid", 0, 1), -ENOENT);
	errno = 77;
	check_eq(goro_read(3000, &c, 1), -EBADF);
	check_eq(errno, 77);
}

/* Numbers of closed descriptors come back at once; nothing of their past must. */
static void reuse_after_close(void)
{
	int listener = listen_local();
	goro_waitgroup wg = { 0 };

	for (int i = 0; i < 1000; i++) {
		int a = dial_local(listener), b = goro_accept(listener);
		char c = (char)i;

		check(b >= 0);
		if (i % 3 == 0) {
			goro_waitgroup_add(&wg, 1);
			check_parked(go_copy(read_cancelled, &((struct waiter){ a, &wg })),
				     GORO_REASON_IO);
			check_eq(goro_close(a), 0);
			check_eq(goro_close(b), 0);
			goro_waitgroup_wait(&wg);
			continue;
		}
		go_copy(echo_one, &b);
		check_eq(goro_write(a, &c, 1), 1);
		c++;
		check_eq(goro_read(a, &c, 1), 1);
		check_eq(c, (char)i);
		check_eq(goro_close(a), 0);
	}
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void epipe_without_sigpipe(void)
{
	int ends[2];
	ssize_t n;

	check(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	connected(ends);
	check_eq(goro_close(ends[1]), 0);
	errno = 5;
	do
		n = goro_write(ends[0], "x", 1);
	while (n == 1);
	check(n == -EPIPE || n == -ECONNRESET);
	check_eq(goro_write(ends[0], "x", 1), -EPIPE);
	check_eq(errno, 5);
}

static void connect_refused(void)
{
	int listener = listen_local(), port = goro_port(listener);

	check_eq(goro_close(listener), 0);
	check_eq(goro_dial_tcp(LOCAL, port), -ECONNREFUSED);
	check_eq(goro_dial_tcp("no-such-host.invalid", port) < 0, 1);
}

/* Limits what there is, and gives it back: a sanitizer needs some in the end. */
static struct rlimit limit_descriptors(rlim_t n)
{
	struct rlimit old, limit;

	check_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = (struct rlimit){ n, old.rlim_max };
	check_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return old;
}

/* Out of descriptors is an error to be told, and over when some are free again. */
static void out_of_descriptors(void)
{
	int listener = listen_local(), held[64], n = 0, client = dial_local(listener), conn;
	struct rlimit old;

	conn = goro_accept(listener);
	goro_close(conn);
	goro_close(client);
	old = limit_descriptors(48);
	client = dial_local(listener);
	while (n < 64 && (held[n] = goro_open("/dev/null", O_RDONLY, 0)) >= 0)
		n++;
	check(n < 64);
	check_eq(held[n], -EMFILE);
	check_eq(goro_accept(listener), -EMFILE);
	check_eq(goro_dial_tcp(LOCAL, goro_port(listener)), -EMFILE);
	check_eq(goro_dial_tcp("localhost", goro_port(listener)), -EMFILE); /* not -ENOENT */
	check_eq(goro_listen_tcp(LOCAL, 0, 1), -EMFILE);
	check_eq(goro_close(held[--n]), 0);
	conn = goro_accept(listener);
	check(conn >= 0);
	check_eq(goro_write(conn, "x", 1), 1);
	read_all(client, held, 1);
	check_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* No descriptor left for epoll itself: the call that has to wait says so. */
static void no_descriptor_to_poll(void)
{
	struct rlimit old;
	int listener = listen_local(), ends[2], last = -1, fd;
	char c;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	old = limit_descriptors(48);
	while ((fd = dup(0)) >= 0)
		last = fd;
	check_eq(goro_read(ends[0], &c, 1), -EMFILE);
	check_eq(goro_accept(listener), -EMFILE);
	check_eq(close(last), 0);
	go_copy(echo_one, &ends[1]);
	check_eq(goro_write(ends[0], "y", 1), 1);
	check_eq(goro_read(ends[0], &c, 1), 1);
	check_eq(c, 'y');
	check_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* ---- other sockets --------------------------------------------------------------------------- */

static void send_three(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 3; i++)
		check_eq(goro_write(fd, "datagram", (size_t)(i + 1)), i + 1);
}

/* Sockets that the program made itself, blocking as they are at first. */
static void foreign_sockets(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int pair[2], listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char buf[100];

	check_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	go_copy(send_three, &pair[0]);
	for (int i = 0; i < 3; i++)
		check_eq(goro_read(pair[1], buf, sizeof(buf)), i + 1);

	snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "goro-test-%d", (int)getpid());
	check_eq(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	check_eq(listen(listener, 5), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	check_eq(goro_connect(fd, &sa, sizeof(sa)), 0);
	pair[0] = goro_accept(listener);
	check(pair[0] >= 0);
	go_copy(echo_one, &pair[0]);
	check_eq(goro_write(fd, "z", 1), 1);
	check_eq(goro_read(fd, buf, 1), 1);
	check_eq(buf[0], 'z');
}

static void listen_everywhere(void)
{
	int listener = goro_listen_tcp(NULL, 0, 5), fd;

	check(listener >= 0);
	fd = goro_dial_tcp(LOCAL, goro_port(listener));
	check(fd >= 0);
	fd = goro_dial_tcp("localhost", goro_port(listener));
	check(fd >= 0);
	check_eq(goro_listen_tcp(LOCAL, goro_port(listener), 5), -EADDRINUSE);
}

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{ .name = "echo", .run = echo },
		{ .name = "bulk_and_half_close", .run = bulk_and_half_close },
		{ .name = "writes_take_turns", .run = writes_take_turns },
		{ .name = "short_reads", .run = short_reads },
		{ .name = "reads_of_nothing", .run = reads_of_nothing },
		{ .name = "close_while_blocked", .run = close_while_blocked },
		{ .name = "bad_descriptors", .run = bad_descriptors },
		{ .name = "reuse_after_close", .run = reuse_after_close },
		{ .name = "epipe_without_sigpipe", .run = epipe_without_sigpipe },
		{ .name = "connect_refused", .run = connect_refused },
		{ .name = "out_of_descriptors", .run = out_of_descriptors },
		{ .name = "no_descriptor_to_poll", .run = no_descriptor_to_poll },
		{ .name = "foreign_sockets", .run = foreign_sockets },
		{ .name = "listen_everywhere", .run = listen_everywhere },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
