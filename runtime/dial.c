/* SPDX-License-Identifier: MIT */
/*
 * dial.c - TCP by name: look it up, try its addresses one after the other, until a deadline or the
 * end of a context.
 *
 * A lookup sits in the C library, which nobody can call back: who gives up leaves it to a goroutine
 * that waits for its end and throws the answer away. Of what time is left each address gets its
 * share, so that one which swallows packets does not take it all (Go's partialDeadline).
 *
 * Rejected: a resolver of our own (nsswitch.conf, mDNS and /etc/hosts are the C library's); trying
 * IPv6 and IPv4 at once (RFC 8305), which costs a server two connections for each one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "netpoll.h"

enum { ADDRS_MAX = 16 };

#define SHARE_MIN (2 * GORO_SECOND)

/* How long it may take. */
struct limit {
	int64_t deadline; /* NEVER: none */
	goro_context *ctx;
};

static int limit_check(const struct limit *limit)
{
	int err = goro_context_err(limit->ctx);

	return err ? err : goro_now() >= limit->deadline ? -ETIMEDOUT : 0;
}

/* ---- names -------------------------------------------------------------------------------------
 */

struct lookup {
	_Atomic uint32_t users; /* who waits for it, and who makes it */
	goro_chan *done;	/* closed */
	const char *host;
	int port;
	bool passive;
	int n; /* addresses, or an error */
	struct os_addr to[ADDRS_MAX];
	char name[];
};

static void look_up(void *arg)
{
	struct lookup *l = arg;

	l->n = os_resolve(l->host, l->port, l->passive, false, l->to, ADDRS_MAX);
}

static void lookup_put(struct lookup *l)
{
	if (atomic_fetch_sub(&l->users, 1) > 1)
		return;
	goro_chan_free(l->done);
	free(l);
}

static void look_up_aside(void *arg)
{
	struct lookup *l = arg;

	goro_blocking(look_up, l);
	goro_chan_close(l->done);
	lookup_put(l);
}

static int lookup_wait(struct lookup *l, const struct limit *limit)
{
	struct goro_case cases[] = {
		goro_recv_case(l->done, NULL),
		goro_recv_case(goro_context_done(limit->ctx), NULL),
	};
	int which;

	if (limit->deadline == NEVER)
		which = goro_select(cases, 2);
	else
		which = goro_select_timeout(cases, 2, limit->deadline - goro_now());
	return which == 0 ? l->n : limit_check(limit);
}

/* Only a name that must be looked up is worth a blocking call. limit NULL: wait for it. */
static int resolve(const char *host, int port, bool passive, struct os_addr *to,
		   const struct limit *limit)
{
	size_t len = host ? strlen(host) : 0;
	struct lookup *l;
	int n;

	if (port < 0 || port > 65535)
		return -EINVAL;
	n = os_resolve(host, port, passive, true, to, ADDRS_MAX);
	if (n != -ENOENT || !host)
		return n;
	l = calloc(1, sizeof(*l) + len + 1);
	if (!l)
		return -ENOMEM;
	l->host = memcpy(l->name, host, len);
	l->port = port;
	l->passive = passive;
	if (!limit || (limit->deadline == NEVER && !goro_context_done(limit->ctx))) {
		atomic_init(&l->users, 1);
		goro_blocking(look_up, l);
		n = l->n;
	} else {
		atomic_init(&l->users, 2);
		l->done = goro_chan_make(0, 0);
		goro_go(look_up_aside, l);
		n = lookup_wait(l, limit);
	}
	if (n > 0)
		memcpy(to, l->to, (size_t)n * sizeof(*to));
	lookup_put(l);
	return n;
}

/* ---- dial --------------------------------------------------------------------------------------
 */

struct dialing {
	struct context_node node;
	int fd;
};

/* The context was cancelled: whoever connects is to come back now. */
static void give_up(struct context_node *node)
{
	goro_set_deadline(((struct dialing *)node)->fd, GORO_SAME_DEADLINE, 1);
}

/* The share of the first of n addresses. */
static int64_t share_of(int64_t deadline, int n)
{
	int64_t now = goro_now(), left = deadline - now, share = left / n;

	if (deadline == NEVER)
		return 0;
	if (share < SHARE_MIN)
		share = left < SHARE_MIN ? left : SHARE_MIN;
	return now + share;
}

static int connect_until(int fd, const struct os_addr *addr, const struct limit *limit, int n)
{
	struct dialing d = { .node.fn = give_up, .fd = fd };
	int64_t deadline = share_of(limit->deadline, n);
	int err = 0;

	if (deadline)
		err = goro_set_deadline(fd, GORO_SAME_DEADLINE, deadline);
	if (!err)
		err = goro_context_watch(limit->ctx, &d.node);
	if (err)
		return err;
	err = goro_connect(fd, addr->bytes, addr->len);
	goro_context_unwatch(limit->ctx, &d.node);
	if (!err)
		err = goro_context_err(limit->ctx);
	return err ? err : goro_set_deadline(fd, GORO_SAME_DEADLINE, 0);
}

static int dial(const char *host, int port, const struct limit *limit)
{
	struct os_addr addrs[ADDRS_MAX] = { 0 };
	int err = limit_check(limit);
	int n = err ? err : resolve(host, port, false, addrs, limit);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		int over, fd = goro_fd_adopt(os_tcp_socket(addrs[i].family));

		err = fd < 0 ? fd : connect_until(fd, &addrs[i], limit, n - i);
		if (!err)
			return fd;
		if (fd >= 0)
			goro_close(fd);
		over = limit_check(limit);
		if (over)
			return over;
	}
	return err;
}

int goro_dial_tcp(const char *host, int port)
{
	return dial(host, port, &(struct limit){ NEVER, goro_background() });
}

int goro_dial_tcp_timeout(const char *host, int port, int64_t ns)
{
	return dial(host, port, &(struct limit){ goro_when(ns), goro_background() });
}

int goro_dial_tcp_context(goro_context *ctx, const char *host, int port)
{
	struct limit limit = { NEVER, ctx };

	if (!ctx)
		goro_panic("nil context");
	if (!goro_context_deadline(ctx, &limit.deadline))
		limit.deadline = NEVER;
	return dial(host, port, &limit);
}

/* ---- listen ------------------------------------------------------------------------------------
 */

/* Of all addresses the IPv6 one serves IPv4 too; where there is no IPv6 the next one is taken. */
static int listen_order(struct os_addr *addrs, int n, const char *host)
{
	for (int i = 1; !host && i < n; i++) {
		if (addrs[i].len > addrs[0].len) {
			struct os_addr swap = addrs[0];

			addrs[0] = addrs[i];
			addrs[i] = swap;
		}
	}
	return n;
}

int goro_listen_tcp(const char *host, int port, int backlog)
{
	struct os_addr addrs[ADDRS_MAX];
	int n = listen_order(addrs, resolve(host, port, true, addrs, NULL), host), err = n;

	for (int i = 0; i < n; i++) {
		int fd = goro_fd_adopt(os_tcp_socket(addrs[i].family));

		err = fd < 0 ? fd : os_listen(fd, &addrs[i], backlog);
		if (!err)
			return fd;
		if (fd >= 0)
			goro_close(fd);
		if (err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL)
			break;
	}
	return err;
}

int goro_port(int fd)
{
	return os_port(fd);
}
