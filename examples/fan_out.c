/* SPDX-License-Identifier: MIT */
/*
 * fan_out - asks many servers at once and gathers the answers, giving the slow ones a deadline.
 *
 * The servers are goroutines of this program too, each on a port of its own. Server i answers with
 * i * i after i milliseconds, but every tenth one never does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goro.h"

#define SERVERS	 50
#define PATIENCE (2 * GORO_SECOND)

struct server {
	int number, listener;
};

static void die(const char *what, int err)
{
	fprintf(stderr, "fan_out: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void answer(void *arg)
{
	struct server *server = arg;
	int fd = goro_accept(server->listener);
	char text[32];

	if (fd < 0)
		return;
	if (server->number % 10 == 0) { /* reads until the client has had enough */
		goro_read(fd, text, sizeof(text));
	} else {
		goro_sleep(server->number * GORO_MILLISECOND);
		snprintf(text, sizeof(text), "%d", server->number * server->number);
		goro_write(fd, text, strlen(text));
	}
	goro_close(fd);
}

struct question {
	int number, port;
	goro_chan *answers;
};

struct reply {
	int number, value; /* < 0: an error */
};

/* What a server says until it closes. */
static int ask(int fd)
{
	char text[32];
	size_t len = 0;
	ssize_t n = 0;

	goro_set_deadline(fd, goro_now() + PATIENCE, GORO_SAME_DEADLINE);
	while (len < sizeof(text) - 1 &&
	       (n = goro_read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return n < 0 ? (int)n : atoi(text);
}

static void client(void *arg)
{
	struct question *q = arg;
	int fd = goro_dial_tcp("127.0.0.1", q->port);
	struct reply reply = { q->number, fd };

	if (fd >= 0) {
		reply.value = ask(fd);
		goro_close(fd);
	}
	goro_chan_send(q->answers, &reply);
}

int main(void)
{
	goro_chan *answers = goro_chan_of(struct reply, 0);
	long sum = 0;
	int late = 0;

	for (int i = 1; i <= SERVERS; i++) {
		struct server server = { i, goro_listen_tcp("127.0.0.1", 0, 1) };

		if (server.listener < 0)
			die("cannot listen", server.listener);
		go_copy(answer, &server);
		go_copy(client, &((struct question){ i, goro_port(server.listener), answers }));
	}
	for (int i = 0; i < SERVERS; i++) {
		struct reply reply;

		goro_chan_recv(answers, &reply);
		if (reply.value >= 0)
			sum += reply.value;
		else if (reply.value == -ETIMEDOUT)
			late++;
		else
			die("cannot ask", reply.value);
	}
	printf("%d servers answered, %d were too late\n", SERVERS - late, late);
	printf("sum: %ld\n", sum);
	return 0;
}
