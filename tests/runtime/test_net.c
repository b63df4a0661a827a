/* SPDX-License-Identifier: MIT */
/* Sockets: what goes through them, who waits, and what becomes of those who wait. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

#define LOCAL "127.0.0.1"

static int listen_local(void)
{
	int fd = goro_listen_tcp(LOCAL, 0, 128);

	check(fd >= 0);
	return fd;
}

static int dial(int listener)
{
	int fd = goro_dial_tcp(LOCAL, goro_port(listener));

	check(fd >= 0);
	return fd;
}

/* The two ends of a connection: TCP that the runtime made, so also its shortcuts for that. */
static void connected(int ends[2])
{
	int listener = listen_local();

	ends[0] = dial(listener);
	ends[1] = goro_accept(listener);
	check(ends[1] >= 0);
	check_eq(goro_close(listener), 0);
}

static void read_all(int fd, void *buf, size_t n)
{
	char *at = buf;

	while (n) {
		ssize_t k = goro_read(fd, at, n);

		check(k > 0);
		at += k;
		n -= (size_t)k;
	}
}

/* ---- echo ------------------------------------------------------------------------------------ */

struct echo {
	int listener, rounds;
	goro_waitgroup wg;
	atomic_long served;
};

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

static void echo_accept(void *arg)
{
	struct echo *echo = arg;
	int fd;

	while ((fd = goro_accept(echo->listener)) >= 0)
		go_copy(echo_conn, &fd);
	check_eq(fd, -ECANCELED);
	goro_waitgroup_done(&echo->wg);
}

static void echo_client(void *arg)
{
	struct echo *echo = arg;
	int fd = dial(echo->listener);
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

struct waiter {
	int fd;
	goro_waitgroup *wg;
};

static void read_cancelled(void *arg)
{
	struct waiter *w = arg;
	char c;

	check_eq(goro_read(w->fd, &c, 1), -ECANCELED);
	goro_waitgroup_done(w->wg);
}

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

static void receive_for_ever(void *arg)
{
	goro_chan_recv(arg, NULL);
}

static void echo_one(void *arg)
{
	int fd = *(int *)arg;
	char c;

	while (goro_read(fd, &c, 1) == 1)
		if (goro_write(fd, &c, 1) != 1)
			break;
	goro_close(fd);
}

/* Numbers of closed descriptors come back at once; nothing of their past must. */
static void reuse_after_close(void)
{
	int listener = listen_local();
	goro_waitgroup wg = { 0 };

	for (int i = 0; i < 1000; i++) {
		int a = dial(listener), b = goro_accept(listener);
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

/* ---- deadlines ------------------------------------------------------------------------------- */

#define MS GORO_MILLISECOND

static void deadlines(void)
{
	static char lots[1 << 22];
	int ends[2], listener = listen_local();
	int64_t start = goro_now();
	char c;

	connected(ends);
	check_eq(goro_set_deadline(ends[0], start + 30 * MS, 0), 0);
	check_eq(goro_read(ends[0], &c, 1), -ETIMEDOUT);
	check(goro_now() >= start + 30 * MS);
	check_eq(goro_read(ends[0], &c, 1), -ETIMEDOUT); /* it stays over, also for what is there */
	check_eq(goro_write(ends[1], "x", 1), 1);
	check_eq(goro_read(ends[0], &c, 1), -ETIMEDOUT);
	check_eq(goro_write(ends[0], "y", 1), 1); /* the other direction has none */
	check_eq(goro_set_deadline(ends[0], 0, GORO_SAME_DEADLINE), 0);
	check_eq(goro_read(ends[0], &c, 1), 1);

	start = goro_now();
	check_eq(goro_set_deadline(ends[0], GORO_SAME_DEADLINE, start + 30 * MS), 0);
	check_eq(goro_write(ends[0], lots, sizeof(lots)), -ETIMEDOUT);
	check(goro_now() >= start + 30 * MS);
	check_eq(goro_set_deadline(listener, goro_now() + 10 * MS, 0), 0);
	check_eq(goro_accept(listener), -ETIMEDOUT);
	check_eq(goro_set_deadline(listener, 1, 1), 0); /* long ago */
	check_eq(goro_accept(listener), -ETIMEDOUT);
	check_eq(goro_set_deadline(ends[0], -1, -1), 0);
	check_eq(goro_read(ends[0], &c, 1), -ETIMEDOUT);
	check_eq(goro_connect(ends[0], NULL, 0), -ETIMEDOUT);
}

static void read_with_result(void *arg)
{
	int *fd_and_result = arg;
	char c;

	__atomic_store_n(&fd_and_result[1], (int)goro_read(fd_and_result[0], &c, 1),
			 __ATOMIC_RELAXED);
}

/* One that waits already is subject to a deadline set now, or moved. */
static void deadline_set_while_waiting(void)
{
	int ends[2];
	static int args[2];
	uint64_t id;

	connected(ends);
	args[0] = ends[0];
	__atomic_store_n(&args[1], 7, __ATOMIC_RELAXED);
	id = go(read_with_result, args);
	check_parked(id, GORO_REASON_IO);
	check_eq(goro_set_deadline(ends[0], goro_now() + 3600 * GORO_SECOND, 0), 0);
	goro_sleep(5 * MS);
	check_parked(id, GORO_REASON_IO);
	check_eq(goro_set_deadline(ends[0], goro_now() + 5 * MS, 0), 0);
	check_eventually(__atomic_load_n(&args[1], __ATOMIC_RELAXED) == -ETIMEDOUT);

	check_eq(goro_set_deadline(ends[0], goro_now() + 20 * MS, 0), 0);
	__atomic_store_n(&args[1], 7, __ATOMIC_RELAXED);
	id = go(read_with_result, args);
	check_eq(goro_set_deadline(ends[0], goro_now() + 60 * MS, 0), 0);
	goro_sleep(30 * MS);
	check_eq(__atomic_load_n(&args[1], __ATOMIC_RELAXED), 7); /* the first one was moved away */
	check_eventually(__atomic_load_n(&args[1], __ATOMIC_RELAXED) == -ETIMEDOUT);
}

/* A closed descriptor's deadline is not the next one's, and keeps no dead program alive. */
static void deadline_ends_with_close(void)
{
	int ends[2], fd;
	char c;

	connected(ends);
	fd = ends[0];
	check_eq(goro_set_deadline(fd, goro_now() + 20 * MS, goro_now() + 3600 * GORO_SECOND), 0);
	check_eq(goro_close(fd), 0);
	check_eq(goro_close(ends[1]), 0);
	connected(ends);
	check(ends[0] == fd || ends[1] == fd);
	go_copy(echo_one, &ends[1]);
	goro_sleep(25 * MS);
	check_eq(goro_write(ends[0], "q", 1), 1);
	check_eq(goro_read(ends[0], &c, 1), 1);
	goro_close(ends[0]);
	receive_for_ever(goro_chan_make(0, 0));
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
	int listener = listen_local(), held[64], n = 0, client = dial(listener), conn;
	struct rlimit old;

	conn = goro_accept(listener);
	goro_close(conn);
	goro_close(client);
	old = limit_descriptors(48);
	client = dial(listener);
	while (n < 64 && (held[n] = goro_open("/dev/null", O_RDONLY, 0)) >= 0)
		n++;
	check(n < 64);
	check_eq(held[n], -EMFILE);
	check_eq(goro_accept(listener), -EMFILE);
	check_eq(goro_dial_tcp(LOCAL, goro_port(listener)), -EMFILE);
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

/* ---- who waits ------------------------------------------------------------------------------- */

/* A thread that the runtime knows nothing of. */
static void *poke_later(void *arg)
{
	struct timespec ts = { 0, 100 * GORO_MILLISECOND };

	nanosleep(&ts, NULL);
	check_eq(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

/* All asleep but for one that waits for a descriptor: no deadlock. */
static void io_is_no_deadlock(void)
{
	pthread_t thread;
	int pair[2];
	char c;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	go(receive_for_ever, goro_chan_make(0, 0));
	check_eq(pthread_create(&thread, NULL, poke_later, &pair[1]), 0);
	check_eq(goro_read(pair[0], &c, 1), 1);
	check_eq(pthread_join(thread, NULL), 0);
}

/* And when that one is off its descriptor, it is one. */
static void deadlock_after_io(void)
{
	goro_waitgroup wg = { 0 };
	int pair[2];
	uint64_t id;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	goro_waitgroup_add(&wg, 1);
	id = go_copy(read_cancelled, &((struct waiter){ pair[0], &wg }));
	check_parked(id, GORO_REASON_IO);
	check_eq(goro_close(pair[0]), 0);
	goro_waitgroup_wait(&wg);
	receive_for_ever(goro_chan_make(0, 0));
}

static void yield_for_ever(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		goro_yield();
}

static void compute_for_ever(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		;
}

static void ping(int a, int b, int rounds, int64_t patience)
{
	int64_t worst = 0;
	char c;

	go_copy(echo_one, &b);
	for (int i = 0; i < rounds; i++) {
		int64_t start = goro_now(), took;

		check_eq(goro_write(a, "x", 1), 1);
		check_eq(goro_read(a, &c, 1), 1);
		took = goro_now() - start;
		worst = took > worst ? took : worst;
	}
	check(worst < patience);
}

/* Workers that never run out of goroutines still look at descriptors. */
static void polled_beside_yields(void)
{
	static atomic_bool stop;
	int ends[2];

	connected(ends);
	for (int i = 0; i < 8; i++)
		go(yield_for_ever, &stop);
	ping(ends[0], ends[1], 20, 2 * GORO_SECOND);
	stop = true;
}

static void polled_beside_hogs(void)
{
	static atomic_bool stop;
	int ends[2];

	connected(ends);
	for (int i = 0; i < 4; i++)
		go(compute_for_ever, &stop);
	ping(ends[0], ends[1], 10, 5 * GORO_SECOND);
	stop = true;
}

/* Timers are not late because their keeper sleeps in epoll_wait, nor because there is traffic. */
static void ticks_beside_traffic(void)
{
	struct echo e = { .listener = listen_local(), .rounds = 400 };
	int64_t worst = 0;

	goro_waitgroup_add(&e.wg, 65);
	go(echo_accept, &e);
	for (int i = 0; i < 64; i++)
		go(echo_client, &e);
	while (e.served < 64 * 400L) {
		int64_t start = goro_now(), late;

		goro_sleep(GORO_MILLISECOND);
		late = goro_now() - start - GORO_MILLISECOND;
		worst = late > worst ? late : worst;
	}
	fprintf(stderr, "worst tick: %ld us late\n", (long)(worst / GORO_MICROSECOND));
	check(worst < GORO_SECOND);
	goro_close(e.listener);
	goro_waitgroup_wait(&e.wg);
}

/* ---- dial in time ---------------------------------------------------------------------------- */

/* Nobody accepts, and there is room for no more: the next one to come is not answered. */
static int full_listener(void)
{
	int listener = goro_listen_tcp(LOCAL, 0, 0), fd;

	check(listener >= 0);
	for (int i = 0; i < 8; i++) {
		fd = goro_dial_tcp_timeout(LOCAL, goro_port(listener), 100 * GORO_MILLISECOND);
		if (fd == -ETIMEDOUT)
			return listener;
		check(fd >= 0);
	}
	check(false);
	return -1;
}

static void dial_in_time(void)
{
	int listener = full_listener(), fd;
	int64_t start = goro_now();

	check_eq(goro_dial_tcp_timeout(LOCAL, goro_port(listener), 30 * GORO_MILLISECOND),
		 -ETIMEDOUT);
	check(goro_now() - start >= 30 * GORO_MILLISECOND);
	check_eq(goro_dial_tcp_timeout(LOCAL, goro_port(listener), -1), -ETIMEDOUT);
	check_eq(goro_close(listener), 0);
	/* Who was in time has no deadline any more. */
	listener = goro_listen_tcp(LOCAL, 0, 5);
	fd = goro_dial_tcp_timeout("localhost", goro_port(listener), 20 * GORO_SECOND);
	check(fd >= 0);
	check_eq(goro_write(fd, "x", 1), 1);
	check_eq(goro_dial_tcp_timeout("no-such-host.invalid", 1, GORO_SECOND) < 0, 1);
}

static void cancel_later(void *ctx)
{
	goro_sleep(20 * GORO_MILLISECOND);
	goro_context_cancel(ctx);
}

static void dial_with_context(void)
{
	int listener = full_listener(), port = goro_port(listener), fd;
	goro_context *ctx = goro_context_with_cancel(goro_background()),
		     *limited = goro_context_with_timeout(goro_background(), 30 * GORO_MILLISECOND);

	go(cancel_later, ctx);
	check_eq(goro_dial_tcp_context(ctx, LOCAL, port), -ECANCELED);
	check_eq(goro_dial_tcp_context(ctx, LOCAL, port), -ECANCELED);
	check_eq(goro_dial_tcp_context(limited, LOCAL, port), -ETIMEDOUT);
	check_eq(goro_dial_tcp_context(limited, "localhost", port), -ETIMEDOUT);
	goro_context_release(ctx);
	goro_context_release(limited);
	goro_close(listener);
	listener = goro_listen_tcp(LOCAL, 0, 5);
	ctx = goro_context_with_timeout(goro_background(), 20 * GORO_SECOND);
	fd = goro_dial_tcp_context(ctx, "localhost", goro_port(listener));
	check(fd >= 0);
	goro_context_cancel(ctx); /* does not touch the connection */
	goro_context_release(ctx);
	check_eq(goro_write(fd, "x", 1), 1);
}

static void dial_without_context(void)
{
	goro_dial_tcp_context(NULL, LOCAL, 1);
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
		{ .name = "deadlines", .run = deadlines },
		{ .name = "deadline_set_while_waiting", .run = deadline_set_while_waiting },
		{ .name = "deadline_ends_with_close",
		  .run = deadline_ends_with_close,
		  .status = 2,
		  .says = { "^fatal error: all goroutines are asleep - deadlock!" } },
		{ .name = "epipe_without_sigpipe", .run = epipe_without_sigpipe },
		{ .name = "connect_refused", .run = connect_refused },
		{ .name = "out_of_descriptors", .run = out_of_descriptors },
		{ .name = "no_descriptor_to_poll", .run = no_descriptor_to_poll },
		{ .name = "foreign_sockets", .run = foreign_sockets },
		{ .name = "listen_everywhere", .run = listen_everywhere },
		{ .name = "io_is_no_deadlock", .run = io_is_no_deadlock },
		{ .name = "deadlock_after_io",
		  .run = deadlock_after_io,
		  .status = 2,
		  .says = { "^fatal error: all goroutines are asleep - deadlock!" } },
		{ .name = "polled_beside_yields", .run = polled_beside_yields },
		{ .name = "polled_beside_hogs", .run = polled_beside_hogs },
		{ .name = "dial_in_time", .run = dial_in_time },
		{ .name = "dial_with_context", .run = dial_with_context },
		{ .name = "dial_without_context",
		  .run = dial_without_context,
		  .status = 2,
		  .says = { "^panic: nil context$" } },
		{ .name = "ticks_beside_traffic", .run = ticks_beside_traffic },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
