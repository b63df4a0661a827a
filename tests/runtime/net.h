/* SPDX-License-Identifier: MIT */
/* net.h - what the tests of descriptors share. */
#ifndef GORO_TEST_NET_H
#define GORO_TEST_NET_H

#include <stdatomic.h>

#include "check.h"

#define LOCAL "127.0.0.1"

int listen_local(void);
int dial_local(int listener);

/* The two ends of a connection: TCP that the runtime made, so also its shortcuts for that. */
void connected(int ends[2]);

void read_all(int fd, void *buf, size_t n);

/* A server and its clients, which get back what they send, `rounds` times each. */
struct echo {
	int listener, rounds;
	goro_waitgroup wg;
	atomic_long served;
};

void echo_accept(void *echo); /* goroutines, both of `wg` */
void echo_client(void *echo);

/* Goroutines: give back one byte after the other; wait for a byte
 * until the descriptor is closed. */
void echo_one(void *fd);
struct waiter {
	int fd;
	goro_waitgroup *wg;
};

void read_cancelled(void *waiter);

void receive_for_ever(void *chan);

#endif /* GORO_TEST_NET_H */
