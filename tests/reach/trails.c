/* SPDX-License-Identifier: MIT */
/*
 * trails - stacks full of what their last owners left there.
 *
 * For each way to wait: a goroutine fills its stack with pointers to a channel and ends; the next
 * one waits in that way on the same stack. On the channel waits a third, named after the way.
 * Nobody has the channel any more, so that one is leaked; what the runtime's frames do not write
 * over would hide it.
 *
 *	trails [WAY]
 *
 * Makes trails.fifo where it runs, prints "ready" when all wait, and ends when its standard input
 * does.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goro.h"

#define NEVER (100000 * GORO_SECOND)
#define LEFT  6000 /* bytes of a stack */

/* One for each way, in memory that is a root, as what the waits below use is. */
struct trail {
	goro_fn *wait;
	uintptr_t hidden; /* a channel's address, from who searches for pointers */
	uintptr_t filled; /* where the one before had its frame */
	bool begun;
};

static goro_chan *channels[8], *full;
static goro_mutex mutex, cond_mutex;
static goro_rwmutex read_locked, locked;
static goro_cond cond;
static goro_waitgroup waitgroup;
static goro_sema sema = GORO_SEMA(1);
static goro_once once;
static goro_group *busy_group, *limited_group;
static goro_flight flight;
static int listener, deaf_port, in[2], out[2], shared[2], held[2];

static void fail(const char *what)
{
	fprintf(stderr, "trails: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- ways to wait ------------------------------------------------------------------------------
 */

static void receives(void *unused)
{
	(void)unused;
	goro_chan_recv(channels[0], NULL);
}

static void sends(void *unused)
{
	(void)unused;
	goro_chan_send(full, &(int){ 1 });
}

static void select_of(int n, int64_t ns)
{
	static struct goro_case cases[8];

	for (int i = 0; i < n; i++)
		cases[i] = (struct goro_case)goro_recv_case(channels[i], NULL);
	if (ns)
		goro_select_timeout(cases, n, ns);
	else
		goro_select(cases, n);
}

#define SELECTS(n)                            \
	static void selects_##n(void *unused) \
	{                                     \
		(void)unused;                 \
		select_of(n, 0);              \
	}
SELECTS(1)
SELECTS(2)
SELECTS(3)
SELECTS(5)
SELECTS(8)

static void selects_for_a_time(void *unused)
{
	(void)unused;
	select_of(2, NEVER);
}

static void sleeps(void *unused)
{
	(void)unused;
	goro_sleep(NEVER);
}

static void locks(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mutex);
}

static void locks_to_read(void *unused)
{
	(void)unused;
	goro_rwmutex_rlock(&locked);
}

static void locks_to_write(void *unused)
{
	(void)unused;
	goro_rwmutex_lock(&read_locked);
}

static void waits_for_a_condition(void *unused)
{
	(void)unused;
	goro_mutex_lock(&cond_mutex);
	goro_cond_wait(&cond, &cond_mutex);
}

static void waits_for_a_group(void *unused)
{
	(void)unused;
	goro_waitgroup_wait(&waitgroup);
}

static void acquires(void *unused)
{
	(void)unused;
	goro_sema_acquire(&sema, 1);
}

static void acquires_in_a_context(void *unused)
{
	static goro_context *ctx;

	(void)unused;
	ctx = goro_context_with_timeout(goro_background(), NEVER);
	goro_sema_acquire_context(&sema, ctx, 1);
}

static void never_twice(void *unused)
{
	(void)unused;
	goro_chan_recv(channels[0], NULL);
}

static void waits_for_once(void *unused)
{
	(void)unused;
	goro_once_do(&once, never_twice, NULL);
}

static void waits_for_tasks(void *unused)
{
	(void)unused;
	goro_group_wait(busy_group);
}

static int task(void *unused)
{
	(void)unused;
	goro_chan_recv(channels[0], NULL);
	return 0;
}

static void starts_a_task(void *unused)
{
	(void)unused;
	goro_group_go(limited_group, task, NULL);
}

static int fetch(void *unused, void *result)
{
	(void)unused;
	goro_chan_recv(channels[0], NULL);
	*(int *)result = 1;
	return 0;
}

static void flies_too(void *unused)
{
	int result = 0;

	(void)unused;
	goro_flight_do(&flight, "key", fetch, NULL, &result, sizeof(result), NULL);
}

static void reads(void *unused)
{
	char byte;

	(void)unused;
	goro_read(in[0], &byte, 1);
}

static void reads_after_another(void *unused)
{
	char byte;

	(void)unused;
	goro_read(shared[0], &byte, 1);
}

static void writes(void *unused)
{
	static const char much[1 << 20];

	(void)unused;
	goro_write(out[1], much, sizeof(much));
}

static void accepts(void *unused)
{
	(void)unused;
	goro_accept(listener);
}

static void dials(void *unused)
{
	(void)unused;
	goro_dial_tcp("127.0.0.1", deaf_port);
}

static void dials_for_a_time(void *unused)
{
	(void)unused;
	goro_dial_tcp_timeout("127.0.0.1", deaf_port, NEVER);
}

static void opens(void *unused)
{
	(void)unused;
	goro_open("trails.fifo", O_WRONLY, 0);
}

static void read_blocking(void *unused)
{
	char byte;

	(void)unused;
	if (read(held[0], &byte, 1) < 0)
		fail("read");
}

static void blocks(void *unused)
{
	(void)unused;
	goro_blocking(read_blocking, NULL);
}

static void reads_the_time(void *unused)
{
	static goro_timer *timer;

	(void)unused;
	timer = goro_timer_new(NEVER);
	goro_chan_recv(goro_timer_chan(timer), NULL);
}

static void waits_for_a_context(void *unused)
{
	static goro_context *ctx;

	(void)unused;
	ctx = goro_context_with_timeout(goro_background(), NEVER);
	goro_chan_recv(goro_context_done(ctx), NULL);
}

static const struct {
	const char *name;
	goro_fn *wait;
} ways[] = {
	{ "receives", receives },
	{ "sends", sends },
	{ "selects_1", selects_1 },
	{ "selects_2", selects_2 },
	{ "selects_3", selects_3 },
	{ "selects_5", selects_5 },
	{ "selects_8", selects_8 },
	{ "selects_for_a_time", selects_for_a_time },
	{ "sleeps", sleeps },
	{ "locks", locks },
	{ "locks_to_read", locks_to_read },
	{ "locks_to_write", locks_to_write },
	{ "waits_for_a_condition", waits_for_a_condition },
	{ "waits_for_a_group", waits_for_a_group },
	{ "acquires", acquires },
	{ "acquires_in_a_context", acquires_in_a_context },
	{ "waits_for_once", waits_for_once },
	{ "waits_for_tasks", waits_for_tasks },
	{ "starts_a_task", starts_a_task },
	{ "flies_too", flies_too },
	{ "reads", reads },
	{ "reads_after_another", reads_after_another },
	{ "writes", writes },
	{ "accepts", accepts },
	{ "dials", dials },
	{ "dials_for_a_time", dials_for_a_time },
	{ "opens", opens },
	{ "blocks", blocks },
	{ "reads_the_time", reads_the_time },
	{ "waits_for_a_context", waits_for_a_context },
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static struct trail trails[WAYS];

/* ---- the stacks --------------------------------------------------------------------------------
 */

static void begins(void *arg)
{
	struct trail *t = arg;
	intptr_t apart = (intptr_t)(t->filled - (uintptr_t)__builtin_frame_address(0));

	if (apart < -256 || apart > 256)
		fail("the stack is another one");
	t->begun = true;
	t->wait(NULL);
}

__attribute__((noinline)) static void fill(uintptr_t hidden)
{
	volatile uintptr_t below[LEFT / sizeof(uintptr_t)];

	for (size_t i = 0; i < LEFT / sizeof(uintptr_t); i++)
		below[i] = ~hidden;
	__asm__ volatile("" ::"r"(below));
}

static void fills(void *arg)
{
	struct trail *t = arg;

	t->filled = (uintptr_t)__builtin_frame_address(0);
	go(begins, t); /* it runs when this one ends, and on its stack */
	fill(t->hidden);
}

static void leaks(void *arg)
{
	struct trail *t = arg;
	goro_chan *c = goro_chan_of(int, 0);

	t->hidden = ~(uintptr_t)c;
	goro_chan_recv(c, NULL);
}

static void wait_in(size_t i)
{
	struct trail *t = &trails[i];

	t->wait = ways[i].wait;
	goro_go_with(&(struct goro_options){ .name = ways[i].name }, leaks, t);
	while (!t->hidden)
		goro_yield();
	go(fills, t);
	while (!t->begun)
		goro_yield();
}

/* ---- what they wait for ------------------------------------------------------------------------
 */

/* Connections to it hang: what may wait to be accepted is there. */
static int deaf_listener(void)
{
	int fd = goro_listen_tcp("127.0.0.1", 0, 0), port = goro_port(fd);
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	for (int i = 0; i < 4; i++) {
		int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (s < 0)
			fail("socket");
		if (connect(s, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
			fail("connect");
	}
	return port;
}

static void prepare(void)
{
	for (int i = 0; i < 8; i++)
		channels[i] = goro_chan_of(int, 0);
	full = goro_chan_of(int, 1);
	goro_chan_send(full, &(int){ 1 });
	goro_mutex_lock(&mutex);
	goro_rwmutex_lock(&locked);
	goro_rwmutex_rlock(&read_locked);
	goro_waitgroup_add(&waitgroup, 1);
	goro_sema_acquire(&sema, 1);
	busy_group = goro_group_new(NULL);
	goro_group_go(busy_group, task, NULL);
	limited_group = goro_group_new(NULL);
	goro_group_set_limit(limited_group, 1);
	goro_group_go(limited_group, task, NULL);
	go(waits_for_once, NULL);
	go(flies_too, NULL);
	listener = goro_listen_tcp("127.0.0.1", 0, 1);
	deaf_port = deaf_listener();
	if (pipe(in) || pipe(out) || pipe(shared) || pipe(held))
		fail("pipe");
	go(reads_after_another, NULL);
	if (mkfifo("trails.fifo", 0600))
		fail("trails.fifo");
	goro_yield();
}

int main(int argc, char **argv)
{
	char byte;

	prepare();
	for (size_t i = 0; i < WAYS; i++) {
		if (argc < 2 || !strcmp(ways[i].name, argv[1]))
			wait_in(i);
	}
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	unlink("trails.fifo");
	return 0;
}
