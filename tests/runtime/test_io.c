/* SPDX-License-Identifier: MIT */
/* Files, pipes, terminals in their usual state: calls that block run aside. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

#define MS GORO_MILLISECOND

/* ---- files ----------------------------------------------------------------------------------- */

static int scratch(void)
{
	char path[] = "/tmp/goro-test-XXXXXX";
	int fd = mkstemp(path);

	check(fd >= 0);
	check_eq(close(fd), 0);
	fd = goro_open(path, O_RDWR, 0);
	check(fd >= 0);
	check_eq(unlink(path), 0);
	return fd;
}

struct slice {
	int fd, number;
	goro_waitgroup *wg;
};

static void write_slice(void *arg)
{
	struct slice *s = arg;
	char text[16], back[16];

	for (int i = 0; i < 50; i++) {
		int64_t at = (s->number * 50 + i) * 16;

		memset(text, 'a' + s->number, sizeof(text));
		check_eq(goro_pwrite(s->fd, text, sizeof(text), at), 16);
		check_eq(goro_pread(s->fd, back, sizeof(back), at), 16);
		check(memcmp(text, back, sizeof(text)) == 0);
	}
	goro_waitgroup_done(s->wg);
}

static void files(void)
{
	goro_waitgroup wg = { 0 };
	int fd = scratch();
	char buf[100];

	check_eq(goro_write(fd, "hello", 5), 5);
	check_eq(goro_read(fd, buf, sizeof(buf)), 0);
	check_eq(goro_pread(fd, buf, sizeof(buf), 1), 4);
	check(memcmp(buf, "ello", 4) == 0);
	check_eq(goro_set_deadline(fd, 1, 1), -ENOTSUP);
	goro_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		go_copy(write_slice, &((struct slice){ fd, i, &wg }));
	goro_waitgroup_wait(&wg);
	check_eq(goro_close(fd), 0);
	check_eq(goro_pread(fd, buf, 1, 0), -EBADF);
	check_eq(goro_open("/no/such/file", O_RDONLY, 0), -ENOENT);
	fd = goro_open("/", O_RDONLY, 0);
	check(fd >= 0);
	check(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	check_eq(goro_read(fd, buf, 1), -EISDIR);
	check_eq(goro_close(fd), 0);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

struct ends {
	int in, out;
	atomic_long got;
};

static void drain(void *arg)
{
	struct ends *ends = arg;
	char buf[1000];
	ssize_t n;

	while ((n = goro_read(ends->in, buf, sizeof(buf))) > 0)
		ends->got += n;
	check_eq(n, 0);
	ends->got += 1000000000;
}

static void through_pipe(int flags)
{
	static char lots[1 << 20];
	static struct ends ends;
	int fds[2];

	check_eq(pipe2(fds, flags), 0);
	ends.in = fds[0];
	ends.out = fds[1];
	ends.got = 0;
	go(drain, &ends);
	check_eq(goro_write(ends.out, lots, sizeof(lots)), (int64_t)sizeof(lots));
	check_eq(goro_write(ends.out, "x", 1), 1);
	check_eq(goro_close(ends.out), 0);
	check_eventually(ends.got == 1000000001 + (long)sizeof(lots));
	check_eq(goro_close(ends.in), 0);
}

static void pipes(void)
{
	int fds[2];

	through_pipe(O_CLOEXEC);
	through_pipe(O_CLOEXEC | O_NONBLOCK);
	check_eq(pipe(fds), 0); /* it may be shared: its mode is not ours to change */
	check_eq(goro_write(fds[1], "x", 1), 1);
	check_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
}

static void read_blocking(void *arg)
{
	struct ends *ends = arg;
	char c;

	check_eq(goro_read(ends->in, &c, 1), 1);
	ends->got = 1;
}

/* A read that sits in the kernel cannot be cancelled: close does not wait for it. */
static void close_during_blocking_read(void)
{
	static struct ends ends;
	int fds[2];

	check_eq(pipe(fds), 0);
	ends.in = fds[0];
	check_parked(go(read_blocking, &ends), GORO_REASON_BLOCKING);
	check_eq(goro_close(fds[0]), 0);
	check_eq(goro_write(fds[1], "x", 1), 1);
	check_eventually(ends.got == 1);
	check_eventually(fcntl(fds[0], F_GETFD) < 0);
}

/* ---- blocking calls -------------------------------------------------------------------------- */

struct nap {
	int64_t ns;
	atomic_int *state;
	goro_waitgroup *wg;
};

static void sleep_in_libc(void *arg)
{
	struct nap *nap = arg;
	struct timespec ts = { nap->ns / GORO_SECOND, nap->ns % GORO_SECOND };

	errno = 33; /* stays in there */
	nanosleep(&ts, NULL);
}

static void nap_aside(void *arg)
{
	struct nap *nap = arg;

	(*nap->state)++;
	errno = 44;
	goro_blocking(sleep_in_libc, nap);
	check_eq(errno, 44);
	(*nap->state)--;
	goro_waitgroup_done(nap->wg);
}

/* All at once, however few workers there are. */
static void many_at_once(void)
{
	goro_waitgroup wg = { 0 };
	atomic_int state = 0;
	int64_t start = goro_now();

	goro_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		go_copy(nap_aside, &((struct nap){ (200 + 10 * i) * MS, &state, &wg }));
	goro_waitgroup_wait(&wg);
	check(goro_now() - start >= 200 * MS);
	check(goro_now() - start < 20 * 200 * MS / 2);
	check_eq(state, 0);
}

/* A ticking goroutine is not late beside one that sits in the kernel; it is all that runs. */
static void ticks_beside_it(void)
{
	goro_waitgroup wg = { 0 };
	atomic_int state = 0;
	int64_t worst = 0;
	int ticks = 0;

	goro_waitgroup_add(&wg, 3);
	for (int i = 0; i < 3; i++)
		go_copy(nap_aside, &((struct nap){ 300 * MS, &state, &wg }));
	check_eventually(state == 3);
	while (state) {
		int64_t start = goro_now(), late;

		goro_sleep(MS);
		late = goro_now() - start - MS;
		worst = late > worst ? late : worst;
		ticks++;
	}
	fprintf(stderr, "%d ticks, worst: %ld us late\n", ticks, (long)(worst / 1000));
	check(worst < 250 * MS);
	check(ticks > 10);
	goro_waitgroup_wait(&wg);
}

/* The only goroutine there is may do it too, and its place in line is a state of its own. */
static void main_alone(void)
{
	struct nap nap = { 20 * MS, NULL, NULL };
	int64_t start = goro_now();

	goro_blocking(sleep_in_libc, &nap);
	check(goro_now() - start >= 20 * MS);
}

static void is_seen_as_such(void)
{
	goro_waitgroup wg = { 0 };
	atomic_int state = 0;

	goro_waitgroup_add(&wg, 1);
	check_parked(go_copy(nap_aside, &((struct nap){ 100 * MS, &state, &wg })),
		     GORO_REASON_BLOCKING);
	goro_waitgroup_wait(&wg);
}

static void answer(void *arg)
{
	int fd = *(int *)arg;
	char c;

	while (goro_read(fd, &c, 1) == 1)
		check_eq(goro_write(fd, &c, 1), 1);
}

/* While one blocks, the others' descriptors are polled. */
static void polled_beside_it(void)
{
	goro_waitgroup wg = { 0 };
	atomic_int state = 0;
	int64_t start = goro_now();
	int pair[2];
	char c;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	go_copy(answer, &pair[1]);
	goro_waitgroup_add(&wg, 1);
	go_copy(nap_aside, &((struct nap){ 2000 * MS, &state, &wg }));
	check_eventually(state == 1);
	for (int i = 0; i < 100; i++) {
		check_eq(goro_write(pair[0], "x", 1), 1);
		check_eq(goro_read(pair[0], &c, 1), 1);
	}
	check(goro_now() - start < 2000 * MS);
	check_eq(state, 1);
}

static void nothing(void *arg)
{
	(*(long *)arg)++;
}

static void call_often(void *arg)
{
	struct slice *s = arg;
	long n = 0;

	for (int i = 0; i < 1000; i++) {
		goro_blocking(nothing, &n);
		if (i % 10 == 0)
			goro_yield();
	}
	check_eq(n, 1000);
	goro_waitgroup_done(s->wg);
}

static void many_short_ones(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 16);
	for (int i = 0; i < 16; i++)
		go_copy(call_often, &((struct slice){ 0, i, &wg }));
	goro_waitgroup_wait(&wg);
}

static void come_back(void *arg)
{
	(void)arg;
	goro_yield();
}

static void use_900k(void *used)
{
	volatile char room[900 * 1024];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 1;
	*(bool *)used = room[0];
}

static void blocks_with_900k(void *wg)
{
	bool used = false;

	goro_blocking(use_900k, &used);
	check(used);
	if (wg)
		goro_waitgroup_done(wg);
}

static void *blocks_on_a_thread(void *unused)
{
	blocks_with_900k(unused);
	return NULL;
}

/* On whichever thread: the first one, a worker's, one of the program's own. */
static void room_in_blocking(void)
{
	goro_waitgroup wg = { 0 };
	pthread_t own;

	blocks_with_900k(NULL);
	goro_waitgroup_add(&wg, 10);
	for (int i = 0; i < 10; i++)
		go(blocks_with_900k, &wg);
	goro_waitgroup_wait(&wg);
	check(!pthread_create(&own, NULL, blocks_on_a_thread, NULL));
	check(!pthread_join(own, NULL));
}

static void runtime_in_blocking(void)
{
	goro_blocking(come_back, NULL);
}

static void no_function(void)
{
	goro_blocking(NULL, NULL);
}

/* A call that is under way may end and wake others: no deadlock. When it has ended, it is one. */
static void deadlock_after_blocking(void)
{
	goro_waitgroup wg = { 0 };
	atomic_int state = 0;

	goro_waitgroup_add(&wg, 2);
	go_copy(nap_aside, &((struct nap){ 50 * MS, &state, &wg }));
	goro_waitgroup_wait(&wg);
}

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{ .name = "files", .run = files },
		{ .name = "pipes", .run = pipes },
		{ .name = "close_during_blocking_read", .run = close_during_blocking_read },
		{ .name = "many_at_once", .run = many_at_once },
		{ .name = "ticks_beside_it", .run = ticks_beside_it },
		{ .name = "main_alone", .run = main_alone },
		{ .name = "is_seen_as_such", .run = is_seen_as_such },
		{ .name = "polled_beside_it", .run = polled_beside_it },
		{ .name = "many_short_ones", .run = many_short_ones },
		{ .name = "room_in_blocking", .run = room_in_blocking },
		{ .name = "runtime_in_blocking",
		  .run = runtime_in_blocking,
		  .status = 2,
		  .says = { "^fatal error: .*goro_blocking" } },
		{ .name = "no_function",
		  .run = no_function,
		  .status = 2,
		  .says = { "^fatal error: goro_blocking of nil func value" } },
		{ .name = "deadlock_after_blocking",
		  .run = deadlock_after_blocking,
		  .status = 2,
		  .says = { "^fatal error: all goroutines are asleep - deadlock!" } },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
