/* SPDX-License-Identifier: MIT */
/* How long: deadlines of what waits for a descriptor, and of dialling. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "goro_introspect.h"
#include "net.h"

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

/* ---- dial in time ---------------------------------------------------------------------------- */

static bool is_full(int listener)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	check_eq(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_unacked > info.tcpi_sacked; /* of a listener: its queue, its backlog */
}

/* Nobody accepts, and there is room for no more: the next one to come is not answered. */
static int full_listener(void)
{
	int listener = goro_listen_tcp(LOCAL, 0, 0);

	check(listener >= 0);
	for (int i = 0; i < 8 && !is_full(listener); i++)
		dial_local(listener);
	check(is_full(listener));
	return listener;
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
		{ .name = "deadlines", .run = deadlines },
		{ .name = "deadline_set_while_waiting", .run = deadline_set_while_waiting },
		{ .name = "deadline_ends_with_close",
		  .run = deadline_ends_with_close,
		  .status = 2,
		  .says = { "^fatal error: all goroutines are asleep - deadlock!" } },
		{ .name = "dial_in_time", .run = dial_in_time },
		{ .name = "dial_with_context", .run = dial_with_context },
		{ .name = "dial_without_context",
		  .run = dial_without_context,
		  .status = 2,
		  .says = { "^panic: nil context$" } },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
