/* SPDX-License-Identifier: MIT */
/*
 * goro_bench - each benchmark once, in one process: goro_bench NAME WORKERS [DIVISOR].
 *
 * go/main.go does the same work line by line in Go, and tests/bench/run compares the two. A run
 * prints one line for each figure it took: "name value". DIVISOR makes the work smaller, for the
 * tests; a negative one makes it so many times bigger. Each benchmark checks its result, so that
 * nobody wins by leaving work out.
 */
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goro.h"

extern char **environ;

static int divisor = 1;

static int scaled(int n)
{
	if (divisor < 0)
		return n * -divisor;
	return n / divisor > 1 ? n / divisor : 1;
}

static void print_figure(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
}

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "goro_bench: wrong result: %s\n", what);
		exit(1);
	}
}

/* A size in /proc/self/status. (Not getrusage's maximum: that one begins with our parent's.) */
static double status_bytes(const char *field)
{
	char line[256];
	size_t n = strlen(field);
	double kb = -1;
	FILE *f = fopen("/proc/self/status", "re");

	must(f, "/proc/self/status");
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			kb = atof(line + n + 1);
	fclose(f);
	return kb * 1024;
}

/* ---- switches ---------------------------------------------------------------------------------
 */

struct pair {
	int n;
	goro_chan *there, *back;
	goro_waitgroup wg;
	_Atomic int turn;
};

/* Each waits for its turn: with a worker to itself a yield alone would return at once. */
static void yield_in_turn(struct pair *pair, int me)
{
	for (int i = 0; i < pair->n; i++) {
		while (atomic_load_explicit(&pair->turn, memory_order_acquire) != me)
			goro_yield();
		atomic_store_explicit(&pair->turn, !me, memory_order_release);
		goro_yield();
	}
	goro_waitgroup_done(&pair->wg);
}

static void yielder(void *arg)
{
	yield_in_turn(arg, 0);
}

static void other_yielder(void *arg)
{
	yield_in_turn(arg, 1);
}

/* Two goroutines yield to each other. */
static void bench_yield(void)
{
	struct pair pair = { .n = scaled(3000000) };
	int64_t start = goro_now();

	goro_waitgroup_add(&pair.wg, 2);
	go(yielder, &pair);
	go(other_yielder, &pair);
	goro_waitgroup_wait(&pair.wg);
	print_figure("yield", (double)(goro_now() - start) / (2.0 * pair.n));
}

static void answer(void *arg)
{
	struct pair *pair = arg;
	int64_t v;

	for (int i = 0; i < pair->n; i++) {
		goro_chan_recv(pair->there, &v);
		v++;
		goro_chan_send(pair->back, &v);
	}
	goro_waitgroup_done(&pair->wg);
}

/* Ping-pong over two unbuffered channels. */
static void bench_chan_unbuffered(void)
{
	struct pair pair = {
		scaled(1500000), goro_chan_of(int64_t, 0), goro_chan_of(int64_t, 0), { 0 }, 0
	};
	int64_t start = goro_now(), v;

	goro_waitgroup_add(&pair.wg, 1);
	go(answer, &pair);
	for (int64_t i = 0; i < pair.n; i++) {
		goro_chan_send(pair.there, &i);
		goro_chan_recv(pair.back, &v);
		must(v == i + 1, "ping-pong");
	}
	goro_waitgroup_wait(&pair.wg);
	print_figure("chan_unbuffered", (double)(goro_now() - start) / (2.0 * pair.n));
}

/* ---- buffered channels ------------------------------------------------------------------------
 */

struct stream {
	goro_chan *c;
	int each;
	goro_waitgroup wg;
	_Atomic int64_t sum;
};

static void stream_in(void *arg)
{
	struct stream *s = arg;

	for (int64_t i = 0; i < s->each; i++)
		goro_chan_send(s->c, &i);
	goro_waitgroup_done(&s->wg);
}

static void stream_out(void *arg)
{
	struct stream *s = arg;
	int64_t sum = 0, v;

	for (int i = 0; i < s->each; i++) {
		goro_chan_recv(s->c, &v);
		sum += v;
	}
	s->sum += sum;
	goro_waitgroup_done(&s->wg);
}

static void stream(const char *name, int producers, int n)
{
	struct stream s = { goro_chan_of(int64_t, 128), n / producers, { 0 }, 0 };
	int64_t start = goro_now();

	goro_waitgroup_add(&s.wg, 2 * producers);
	for (int i = 0; i < producers; i++) {
		go(stream_in, &s);
		go(stream_out, &s);
	}
	goro_waitgroup_wait(&s.wg);
	must(s.sum == (int64_t)producers * s.each * (s.each - 1) / 2, name);
	print_figure(name, (double)(goro_now() - start) / ((double)producers * s.each));
}

static void bench_chan_buffered_1p1c(void)
{
	stream("chan_buffered_1p1c", 1, scaled(10000000));
}

static void bench_chan_buffered_4p4c(void)
{
	stream("chan_buffered_4p4c", 4, scaled(8000000));
}

/* ---- start and end ----------------------------------------------------------------------------
 */

static void done(void *arg)
{
	goro_waitgroup_done(arg);
}

/* Trivial goroutines in batches of 10,000. */
static void bench_spawn_join(void)
{
	const int batch = scaled(10000), batches = 100;
	goro_waitgroup wg = { 0 };
	int64_t start = goro_now();

	for (int k = 0; k < batches; k++) {
		goro_waitgroup_add(&wg, batch);
		for (int i = 0; i < batch; i++)
			go(done, &wg);
		goro_waitgroup_wait(&wg);
	}
	print_figure("spawn_join", (double)(goro_now() - start) / ((double)batch * batches));
}

static __attribute__((noinline)) int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

struct fib_call {
	int n, *result;
	goro_waitgroup *wg;
};

static int fib_parallel(int n);

static void fib_goroutine(void *arg)
{
	struct fib_call *call = arg;

	*call->result = fib_parallel(call->n);
	goro_waitgroup_done(call->wg);
}

static int fib_parallel(int n)
{
	goro_waitgroup wg = { 0 };
	int x, y;

	if (n < 12)
		return fib(n);
	goro_waitgroup_add(&wg, 1);
	go_copy(fib_goroutine, &((struct fib_call){ n - 2, &y, &wg }));
	x = fib_parallel(n - 1);
	goro_waitgroup_wait(&wg);
	return x + y;
}

/* fib(35), a goroutine per call above the cutoff; milliseconds each. */
static void bench_fork_join(void)
{
	const int rounds = scaled(5), n = divisor > 1 ? 20 : 35;
	int64_t start = goro_now();

	for (int i = 0; i < rounds; i++)
		must(fib_parallel(n) == (n == 35 ? 9227465 : 6765), "fib");
	print_figure("fork_join", (double)(goro_now() - start) / 1e6 / rounds);
}

struct sky {
	goro_chan *up;
	int64_t number, size;
};

static void skynet(void *arg)
{
	struct sky *sky = arg;
	int64_t sum = 0, part = sky->size / 10, v;
	goro_chan *c;

	if (sky->size == 1) {
		goro_chan_send(sky->up, &sky->number);
		return;
	}
	c = goro_chan_of(int64_t, 0);
	for (int i = 0; i < 10; i++)
		go_copy(skynet, &((struct sky){ c, sky->number + i * part, part }));
	for (int i = 0; i < 10; i++) {
		goro_chan_recv(c, &v);
		sum += v;
	}
	goro_chan_free(c);
	goro_chan_send(sky->up, &sum);
}

/* A tree of goroutines, ten children each, with a million leaves that are added up. */
static void bench_skynet(void)
{
	const int64_t leaves = divisor > 1 ? 1000 : 1000000;
	goro_chan *c = goro_chan_of(int64_t, 0);
	int64_t start = goro_now(), sum;

	go_copy(skynet, &((struct sky){ c, 0, leaves }));
	goro_chan_recv(c, &sum);
	must(sum == leaves * (leaves - 1) / 2, "skynet");
	print_figure("skynet", (double)(goro_now() - start) / 1e6);
	print_figure("skynet_rss", status_bytes("VmHWM") / (1 << 20));
}

/* ---- locks ------------------------------------------------------------------------------------
 */

struct shared {
	goro_mutex mu;
	goro_waitgroup wg;
	int64_t count;
	int n;
};

static void lock_unlock(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < s->n; i++) {
		goro_mutex_lock(&s->mu);
		s->count++;
		goro_mutex_unlock(&s->mu);
	}
	goro_waitgroup_done(&s->wg);
}

/* Eight goroutines on one mutex. */
static void bench_mutex_contended(void)
{
	struct shared s = { .n = scaled(1000000) };
	int64_t start = goro_now();

	goro_waitgroup_add(&s.wg, 8);
	for (int i = 0; i < 8; i++)
		go(lock_unlock, &s);
	goro_waitgroup_wait(&s.wg);
	must(s.count == 8 * (int64_t)s.n, "mutex");
	print_figure("mutex_contended", (double)(goro_now() - start) / (8.0 * s.n));
}

/* ---- select -----------------------------------------------------------------------------------
 */

/* One goroutine selects over four channels, each with a producer of its own. */
static void select_4(const char *name, size_t cap, int n)
{
	struct stream s[4];
	int64_t sum = 0, v = 0, start = goro_now();

	for (int i = 0; i < 4; i++) {
		s[i] = (struct stream){ goro_chan_of(int64_t, cap), n / 4, { 0 }, 0 };
		goro_waitgroup_add(&s[i].wg, 1);
		go(stream_in, &s[i]);
	}
	for (int i = 0; i < n / 4 * 4; i++) {
		struct goro_case cases[] = {
			goro_recv_case(s[0].c, &v),
			goro_recv_case(s[1].c, &v),
			goro_recv_case(s[2].c, &v),
			goro_recv_case(s[3].c, &v),
		};

		goro_select(cases, 4);
		sum += v;
	}
	print_figure(name, (double)(goro_now() - start) / n);
	must(sum == 4 * (int64_t)(n / 4) * (n / 4 - 1) / 2, name);
	for (int i = 0; i < 4; i++)
		goro_waitgroup_wait(&s[i].wg);
}

static void bench_select_4(void)
{
	select_4("select_4", 0, scaled(2000000));
}

static void bench_select_4_buffered(void)
{
	select_4("select_4_buffered", 128, scaled(4000000));
}

/* ---- many that wait ---------------------------------------------------------------------------
 */

struct crowd {
	goro_chan *gate;
	goro_waitgroup inside, gone;
};

static void wait_at_gate(void *arg)
{
	struct crowd *crowd = arg;

	goro_waitgroup_done(&crowd->inside);
	goro_chan_recv(crowd->gate, NULL);
	goro_waitgroup_done(&crowd->gone);
}

static void gather(struct crowd *crowd, int n)
{
	crowd->gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&crowd->inside, n);
	goro_waitgroup_add(&crowd->gone, n);
	for (int i = 0; i < n; i++)
		go(wait_at_gate, crowd);
	goro_waitgroup_wait(&crowd->inside);
}

/* A hundred thousand wait on one channel; from its close until the last one has run. */
static void bench_wake(void)
{
	const int n = scaled(100000);
	struct crowd crowd = { 0 };
	int64_t start;

	gather(&crowd, n);
	start = goro_now();
	goro_chan_close(crowd.gate);
	goro_waitgroup_wait(&crowd.gone);
	print_figure("wake", (double)(goro_now() - start) / n);
}

static double memory(void)
{
	return status_bytes("VmRSS") + status_bytes("VmPTE");
}

static void parked(const char *memory_name, const char *create_name, int n)
{
	struct crowd crowd = { 0 };
	double before = memory();
	int64_t start = goro_now();

	gather(&crowd, n);
	print_figure(create_name, (double)(goro_now() - start) / n);
	print_figure(memory_name, (memory() - before) / n);
}

static void bench_parked(void)
{
	parked("parked_memory", "parked_create", scaled(100000));
}

static void bench_parked_1m(void)
{
	parked("parked_memory_1m", "parked_create_1m", scaled(1000000));
}

/* GORO_COLD is set, see set_environment(): until no more memory goes back. */
static void parked_cold(const char *name, int n)
{
	struct crowd crowd = { 0 };
	double before = memory(), now, last;

	gather(&crowd, n);
	now = memory();
	for (int still = 0; still < 3; still = now < last * 0.99 ? 0 : still + 1) {
		goro_sleep(GORO_SECOND);
		last = now;
		now = memory();
	}
	print_figure(name, (now - before) / n);
}

static void bench_parked_cold(void)
{
	parked_cold("parked_memory_cold", scaled(100000));
}

static void bench_parked_cold_1m(void)
{
	parked_cold("parked_memory_cold_1m", scaled(1000000));
}

struct timer_test {
	uint64_t seed;
	goro_waitgroup *wg;
};

static void sleep_ten_times(void *arg)
{
	struct timer_test *t = arg;
	uint64_t s = t->seed;

	for (int i = 0; i < 10; i++) {
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		goro_sleep((int64_t)(1 + s % 100) * GORO_MILLISECOND);
	}
	goro_waitgroup_done(t->wg);
}

static double cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/* A hundred thousand sleep 1 to 100 ms, ten times. The sleeps alone are half a second and more. */
static void bench_timers(void)
{
	const int n = scaled(100000);
	goro_waitgroup wg = { 0 };
	int64_t start = goro_now();
	double cpu = cpu_ms();

	goro_waitgroup_add(&wg, n);
	for (uint64_t i = 0; i < (uint64_t)n; i++) {
		struct timer_test t = { i * 2654435761u + 88172645463325252u, &wg };

		go_copy(sleep_ten_times, &t);
	}
	goro_waitgroup_wait(&wg);
	print_figure("timers", (double)(goro_now() - start) / 1e6);
	print_figure("timers_cpu", cpu_ms() - cpu);
}

/* ---- sockets ----------------------------------------------------------------------------------
 */

static void echo_conn(void *arg)
{
	int fd = *(int *)arg;
	char buf[512];
	ssize_t n;

	while ((n = goro_read(fd, buf, sizeof(buf))) > 0)
		if (goro_write(fd, buf, (size_t)n) < 0)
			break;
	goro_close(fd);
}

static void echo_serve(void *arg)
{
	int fd;

	while ((fd = goro_accept(*(int *)arg)) >= 0)
		go_copy(echo_conn, &fd);
}

struct child {
	pid_t pid;
	int status;
};

static void wait_for(void *arg)
{
	struct child *child = arg;

	if (waitpid(child->pid, &child->status, 0) < 0)
		child->status = -1;
}

/* 64 connections, 64 bytes there and back; the client, a process of its own, prints the figure. */
static void bench_echo(void)
{
	int listener = goro_listen_tcp("127.0.0.1", 0, 128);
	char path[4096], port[16], requests[16];
	char *argv[] = { path, port, requests, NULL };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	struct child child = { 0 };

	must(n > 0 && listener >= 0, "echo");
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, "echo_client");
	snprintf(port, sizeof(port), "%d", goro_port(listener));
	snprintf(requests, sizeof(requests), "%d", scaled(200000));
	go(echo_serve, &listener);
	must(posix_spawn(&child.pid, path, NULL, NULL, argv, environ) == 0, "no echo_client");
	goro_blocking(wait_for, &child);
	must(child.status == 0, "echo_client");
}

static const struct {
	const char *name;
	void (*run)(void);
} benches[] = {
	{ "yield", bench_yield },
	{ "chan_unbuffered", bench_chan_unbuffered },
	{ "chan_buffered_1p1c", bench_chan_buffered_1p1c },
	{ "chan_buffered_4p4c", bench_chan_buffered_4p4c },
	{ "spawn_join", bench_spawn_join },
	{ "mutex_contended", bench_mutex_contended },
	{ "select_4", bench_select_4 },
	{ "select_4_buffered", bench_select_4_buffered },
	{ "fork_join", bench_fork_join },
	{ "wake", bench_wake },
	{ "timers", bench_timers },
	{ "skynet", bench_skynet },
	{ "parked", bench_parked },
	{ "parked_1m", bench_parked_1m },
	{ "parked_cold", bench_parked_cold },
	{ "parked_cold_1m", bench_parked_cold_1m },
	{ "echo", bench_echo },
};

/* The runtime reads its environment when it starts, so with another one we start again. */
static void set_environment(char **argv)
{
	bool cold = strncmp(argv[1], "parked_cold", strlen("parked_cold")) == 0;

	if (goro_maxprocs() == atoi(argv[2]) && cold == (getenv("GORO_COLD") != NULL))
		return;
	if (cold)
		setenv("GORO_COLD", "0.1", 1);
	if (getenv("GORO_BENCH_AGAIN") || setenv("GORO_BENCH_AGAIN", "1", 1) ||
	    setenv("GORO_MAXPROCS", argv[2], 1) || execv("/proc/self/exe", argv)) {
		fprintf(stderr, "goro_bench: cannot run with %s workers\n", argv[2]);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: goro_bench NAME WORKERS [DIVISOR]\n");
		return 2;
	}
	set_environment(argv);
	divisor = argc == 4 ? atoi(argv[3]) : 1;
	for (size_t i = 0; divisor && i < sizeof(benches) / sizeof(benches[0]); i++)
		if (strcmp(argv[1], benches[i].name) == 0) {
			benches[i].run();
			return 0;
		}
	fprintf(stderr, "goro_bench: no benchmark '%s', or a bad divisor\n", argv[1]);
	return 2;
}
