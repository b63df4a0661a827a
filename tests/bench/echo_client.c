/* SPDX-License-Identifier: MIT */
/*
 * echo_client - the other side of the benchmark `echo`, for either server: echo_client PORT
 * REQUESTS.
 *
 * 64 connections, on each of which 64 bytes go there and back, one request at a time; one thread,
 * epoll, nothing of what is measured. Prints the requests per second. It checks every byte.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS = 64, BYTES = 64 };

static struct conn {
	int fd;
	size_t got;
	unsigned char seq, in[BYTES];
} conns[CONNS];

static void die(const char *what)
{
	fprintf(stderr, "echo_client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void request(struct conn *c)
{
	unsigned char out[BYTES];

	memset(out, ++c->seq, sizeof(out));
	c->got = 0;
	if (send(c->fd, out, sizeof(out), MSG_NOSIGNAL) != sizeof(out))
		die("send");
}

/* What has come; 1: the answer is complete. */
static int answered(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->got, sizeof(c->in) - c->got, 0);

	if (n <= 0)
		die("receive");
	c->got += (size_t)n;
	if (c->got < sizeof(c->in))
		return 0;
	for (size_t i = 0; i < sizeof(c->in); i++)
		if (c->in[i] != c->seq) {
			fprintf(stderr, "echo_client: wrong answer\n");
			exit(1);
		}
	return 1;
}

static void open_conn(struct conn *c, int port, int epfd)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int on = 1;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &event))
		die("connect");
}

/* Requests on all connections until `n` are answered. */
static void exchange(int epfd, long n)
{
	long sent = 0, done = 0;

	for (; sent < CONNS && sent < n; sent++)
		request(&conns[sent]);
	while (done < n) {
		struct epoll_event events[CONNS];
		int ready = epoll_wait(epfd, events, CONNS, 30000);

		if (ready <= 0)
			die("no answer");
		for (int i = 0; i < ready; i++) {
			struct conn *c = events[i].data.ptr;

			if (!answered(c))
				continue;
			done++;
			if (sent < n) {
				sent++;
				request(c);
			}
		}
	}
}

int main(int argc, char **argv)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	long n = argc == 3 ? atol(argv[2]) : 0;
	double start;

	if (n < 1) {
		fprintf(stderr, "usage: echo_client PORT REQUESTS\n");
		return 2;
	}
	for (int i = 0; i < CONNS; i++)
		open_conn(&conns[i], atoi(argv[1]), epfd);
	exchange(epfd, CONNS);
	start = seconds();
	exchange(epfd, n);
	printf("echo %.0f\n", (double)n / (seconds() - start));
	return 0;
}
