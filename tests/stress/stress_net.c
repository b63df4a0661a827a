/* SPDX-License-Identifier: MIT */
/*
 * Socket storm: clients connect, exchange random amounts, are cut off by deadlines and by closes
 * from other goroutines, and start again, so that descriptor numbers are reused all the time. Every
 * byte that arrives is the one that was sent on that connection, and nobody waits for ever.
 */
#include <fcntl.h>

#include "stress.h"

#define CLIENTS	       100
#define OWN_NUMBERS_AT 600 /* beyond what all of them need */

struct storm {
	int listener;
	int64_t end;
	goro_waitgroup clients, servers;
	atomic_int next;
	atomic_long exchanged, late, cut;
};

struct serving {
	struct storm *storm;
	int fd;
};

static void serve(void *arg)
{
	struct serving *s = arg;
	unsigned char buf[3000];
	ssize_t n;

	while ((n = goro_read(s->fd, buf, sizeof(buf))) > 0)
		if (goro_write(s->fd, buf, (size_t)n) < 0)
			break;
	must(goro_close(s->fd) == 0);
	goro_waitgroup_done(&s->storm->servers);
}

static void accept_all(void *arg)
{
	struct storm *storm = arg;
	int fd;

	while ((fd = goro_accept(storm->listener)) >= 0) {
		goro_waitgroup_add(&storm->servers, 1);
		go_copy(serve, &((struct serving){ storm, fd }));
	}
	must(fd == -ECANCELED);
	goro_waitgroup_done(&storm->servers);
}

struct cutter {
	int fd;
	int64_t after;
	goro_waitgroup *done;
};

static void cut(void *arg)
{
	struct cutter *c = arg;

	goro_sleep(c->after);
	must(goro_close(c->fd) == 0);
	goro_waitgroup_done(c->done);
}

/* 0, or why it ended early. Byte i of a connection is seed + i. */
static ssize_t exchange(int fd, uint64_t *random, int rounds)
{
	unsigned char out[2000], in[2000], seed = (unsigned char)stress_random(random);
	unsigned char there = seed, back = seed;

	for (int i = 0; i < rounds; i++) {
		size_t n = 1 + stress_random(random) % sizeof(out), got = 0;
		ssize_t k;

		for (size_t b = 0; b < n; b++)
			out[b] = there++;
		k = goro_write(fd, out, n);
		if (k < 0)
			return k;
		while (got < n) {
			k = goro_read(fd, in, n - got);
			if (k <= 0)
				return k ? k : -EPIPE;
			for (ssize_t b = 0; b < k; b++)
				must(in[b] == back++);
			got += (size_t)k;
		}
	}
	return 0;
}

/*
 * The same connection under a number that only this client uses: a call that comes after the cut
 * must not meet somebody else's connection.
 */
static int own_number(int fd, int client)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, OWN_NUMBERS_AT + client);

	must(own == OWN_NUMBERS_AT + client);
	must(goro_close(fd) == 0);
	return own;
}

static void once(struct storm *storm, uint64_t *random, int client)
{
	goro_waitgroup done = { 0 };
	uint64_t kind = stress_random(random) % 4;
	int64_t soon = (int64_t)(stress_random(random) % (3 * GORO_MILLISECOND));
	int fd = goro_dial_tcp("127.0.0.1", goro_port(storm->listener));
	ssize_t result;

	must(fd >= 0);
	if (kind == 0)
		must(goro_set_deadline(fd, goro_now() + soon, GORO_SAME_DEADLINE) == 0);
	if (kind == 1) {
		fd = own_number(fd, client);
		goro_waitgroup_add(&done, 1);
		go_copy(cut, &((struct cutter){ fd, soon, &done }));
	}
	result = exchange(fd, random, kind < 2 ? 1000 : 20);
	if (kind == 1) {
		goro_waitgroup_wait(&done);
		must(result == 0 || result == -ECANCELED || result == -EBADF);
		storm->cut += result != 0;
		return;
	}
	must(result == 0 || (kind == 0 && result == -ETIMEDOUT));
	storm->late += result != 0;
	storm->exchanged += result == 0;
	must(goro_close(fd) == 0);
}

static void client(void *arg)
{
	struct storm *storm = arg;
	int number = storm->next++;
	uint64_t random = stress_seed((uint64_t)number);

	/* On a busy machine the first may all come too late. */
	while (goro_now() < storm->end || !storm->exchanged)
		once(storm, &random, number);
	goro_waitgroup_done(&storm->clients);
}

int main(int argc, char **argv)
{
	static struct storm storm;

	storm.end = stress_end(argc, argv);
	storm.listener = goro_listen_tcp("127.0.0.1", 0, 1024);
	must(storm.listener >= 0);
	goro_waitgroup_add(&storm.servers, 2);
	stress_start(2, accept_all, &storm);
	goro_waitgroup_add(&storm.clients, CLIENTS);
	stress_start(CLIENTS, client, &storm);
	goro_waitgroup_wait(&storm.clients);
	must(goro_close(storm.listener) == 0);
	goro_waitgroup_wait(&storm.servers);
	while (goro_count() > 1) /* the echoes, which see the end of a connection later than we */
		goro_yield();
	printf("%ld connections served, %ld cut by a deadline, %ld by a close\n",
	       (long)storm.exchanged, (long)storm.late, (long)storm.cut);
	return 0;
}
