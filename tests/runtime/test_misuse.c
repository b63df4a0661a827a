/* SPDX-License-Identifier: MIT */
/*
 * What a program gets that asks for nonsense, or at the wrong time: before main(), after exit(), in
 * a signal handler. One line that says what was wrong, and never more than that goes wrong.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

static atomic_int ran;

static void run_it(void *arg)
{
	(void)arg;
	ran++;
}

/* ---- functions that are not there ------------------------------------------------------------ */

static void go_nothing(void)
{
	go(NULL, NULL);
}

static void go_copy_nothing(void)
{
	go_copy(NULL, &ran);
}

static void go_with_nothing(void)
{
	goro_go_with(NULL, NULL, NULL);
}

static void block_on_nothing(void)
{
	goro_blocking(NULL, NULL);
}

static void try_nothing(void)
{
	goro_try(NULL, NULL);
}

static void defer_nothing(void)
{
	goro_defer(NULL, NULL);
}

static void after_nothing(void)
{
	goro_after_func(1, NULL, NULL);
}

static void context_of_nothing(void)
{
	goro_context_after_func(goro_background(), NULL, NULL);
}

/* ---- numbers that make no sense -------------------------------------------------------------- */

static void no_time(void)
{
	int64_t start = goro_now();

	goro_sleep(0);
	goro_sleep(-1);
	goro_sleep(INT64_MIN);
	check_eq(goro_select_timeout(NULL, 0, INT64_MIN), -1);
	check(goro_now() - start < 10 * GORO_SECOND);
}

static void stack_of_no_size(void)
{
	goro_go_with(&(struct goro_options){ .stack_size = 0 }, run_it, NULL);
	goro_go_with(&(struct goro_options){ .stack_size = 1 }, run_it, NULL);
	goro_go_with(NULL, run_it, NULL);
	while (ran < 3)
		goro_yield();
}

static void absurd_stack(void)
{
	goro_go_with(&(struct goro_options){ .stack_size = SIZE_MAX }, run_it, NULL);
}

static void absurd_stack_recovered(void *arg)
{
	(void)arg;
	absurd_stack();
}

static void recovers(void *arg)
{
	(void)arg;
	check(strstr(goro_recover(), "bytes"));
}

static void recover_absurd_stack(void *arg)
{
	goro_defer(recovers, NULL);
	absurd_stack_recovered(arg);
}

/* It was a panic, not the end; and nothing is locked. */
static void absurd_stack_is_survived(void)
{
	check(!goro_try(recover_absurd_stack, NULL));
	go(run_it, NULL);
	while (!ran)
		goro_yield();
}

static void absurd_copy(void)
{
	static char byte;

	goro_go_copy(run_it, &byte, SIZE_MAX);
}

static void absurd_channel(void)
{
	goro_chan_make(SIZE_MAX, 1);
}

/* ---- descriptors that are not ---------------------------------------------------------------- */

static void bad_descriptors(void)
{
	static const int bad[] = { -1, INT_MIN, INT_MAX, 1000 };
	int fd = open("/dev/null", O_RDWR);
	char c = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_eq(goro_read(bad[i], &c, 1), -EBADF);
		check_eq(goro_write(bad[i], &c, 1), -EBADF);
		check_eq(goro_pread(bad[i], &c, 1, 0), -EBADF);
		check_eq(goro_accept(bad[i]), -EBADF);
		check_eq(goro_connect(bad[i], &c, 1), -EBADF);
		check_eq(goro_set_deadline(bad[i], 0, 0), -EBADF);
		check_eq(goro_port(bad[i]), -EBADF);
		check_eq(goro_close(bad[i]), -EBADF);
	}
	check_eq(goro_write(fd, &c, 1), 1);
	check_eq(goro_close(fd), 0);
	check_eq(goro_write(fd, &c, 1), -EBADF);
	check_eq(goro_close(fd), -EBADF);
	check_eq(goro_open("/no/such/file", O_RDONLY, 0), -ENOENT);
	check_eq(goro_listen_tcp("127.0.0.1", 65536, 1), -EINVAL);
	check_eq(goro_listen_tcp("127.0.0.1", -1, 1), -EINVAL);
}

/* ---- contexts that are not ------------------------------------------------------------------- */

static void no_context_done(void)
{
	goro_context_done(NULL);
}

static void no_context_err(void)
{
	goro_context_err(NULL);
}

static void no_context_after(void)
{
	goro_context_after_func(NULL, run_it, NULL);
}

static void no_context_sema(void)
{
	static goro_sema sema = GORO_SEMA(1);

	goro_sema_acquire_context(&sema, NULL, 1);
}

static void no_parent(void)
{
	goro_context_with_cancel(NULL);
}

/* ---- before main ----------------------------------------------------------------------------- */

static goro_chan *early;

static void send_42(void *chan)
{
	goro_chan_send(chan, &(int){ 42 });
}

/* Before the library's own constructor, which is the 200th. */
__attribute__((constructor(101))) static void before_all(void)
{
	early = goro_chan_of(int, 0);
	go(send_42, early);
	goro_yield();
}

static void before_main(void)
{
	int v = 0;

	check_eq(goro_id(), 1);
	check(goro_chan_recv(early, &v));
	check_eq(v, 42);
}

/* ---- after exit ------------------------------------------------------------------------------ */

/* The goroutine that ends the process is still one, and the others run. */
static void at_exit(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int v = 0;

	go(send_42, c);
	goro_chan_recv(c, &v);
	goro_sleep(GORO_MILLISECOND);
	if (v == 42)
		fputs("at exit: 42\n", stderr);
}

static void exit_here(void *arg)
{
	(void)arg;
	exit(7);
}

static void after_main(void)
{
	atexit(at_exit);
}

static void after_exit_elsewhere(void)
{
	atexit(at_exit);
	go(exit_here, NULL);
	goro_chan_recv(NULL, NULL);
}

static void stuck_at_exit(void)
{
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

static void deadlock_after_main(void)
{
	atexit(stuck_at_exit);
}

/* ---- in a signal handler --------------------------------------------------------------------- */

static goro_chan *signalled;

static void on_alarm(int signo)
{
	(void)signo;
	if (gettid() == getpid()) /* not on a worker that is only just starting */
		goro_chan_try_send(signalled, NULL);
}

/* Sooner or later it comes in the midst of a send. */
static void in_a_handler(void)
{
	struct itimerval often = { { 0, 100 }, { 0, 100 } };
	goro_chan *c = goro_chan_of(int, 100);

	signalled = goro_chan_make(0, 0);
	check(signal(SIGALRM, on_alarm) != SIG_ERR);
	check(!setitimer(ITIMER_REAL, &often, NULL));
	for (;;) {
		goro_chan_try_send(c, &(int){ 1 });
		goro_chan_try_recv(c, NULL);
	}
}

static void waits(int signo)
{
	(void)signo;
	goro_sleep(GORO_SECOND);
}

static void raise_on_signal_stack(void)
{
	struct sigaction sa = { .sa_handler = waits, .sa_flags = SA_ONSTACK | SA_NODEFER };

	check(!sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
}

static void waits_in_a_handler(void)
{
	goro_sleep(GORO_MILLISECOND);
	raise_on_signal_stack();
}

static void yields(void *end)
{
	while (!__atomic_load_n((int *)end, __ATOMIC_RELAXED))
		goro_yield();
}

static void raises(void *unused)
{
	(void)unused;
	raise_on_signal_stack();
}

/* Where others can run it is seen a little later. */
static void waits_in_handlers_beside_others(void)
{
	int end = 0;

	go(yields, &end);
	for (int i = 0; i < 1000; i++) {
		go(raises, NULL);
		goro_yield();
	}
}

#define CASE(f)	     .name = #f, .run = f
#define SAYS(...)    .status = 2, .says = { __VA_ARGS__ }
#define DIES(text)   SAYS("^fatal error: " text "$")
#define PANICS(text) SAYS("^panic: " text "$")
#define WAITS_IN_A_HANDLER                                                                      \
	SAYS("^fatal error: a signal handler waits on the signal stack, which the next signal " \
	     "writes over; let the handler write to a pipe, or use signalfd\\(\\), and have a " \
	     "goroutine read it$",                                                              \
	     "^waits\\(")
#define NO_CONTEXT PANICS("nil context; goro_background\\(\\) is the one that never ends")

static const struct check_case cases[] = {
	{ CASE(go_nothing), DIES("go of nil func value") },
	{ CASE(go_copy_nothing), DIES("go of nil func value") },
	{ CASE(go_with_nothing), DIES("go of nil func value") },
	{ CASE(block_on_nothing), DIES("goro_blocking of nil func value") },
	{ CASE(try_nothing), DIES("try of nil func value") },
	{ CASE(defer_nothing), DIES("defer of nil func value") },
	{ CASE(after_nothing), DIES("go of nil func value") },
	{ CASE(context_of_nothing), DIES("go of nil func value") },
	{ CASE(no_time) },
	{ CASE(stack_of_no_size) },
	{ CASE(absurd_stack),
	  PANICS("goro_go_with: a stack of 18446744073709551615 bytes; the biggest has [0-9]+") },
	{ CASE(absurd_stack_is_survived) },
	{ CASE(absurd_copy),
	  PANICS("go_copy of 18446744073709551615 bytes; at most 67108864 can be copied") },
	{ CASE(absurd_channel), PANICS("makechan: size out of range") },
	{ CASE(bad_descriptors) },
	{ CASE(no_context_done), NO_CONTEXT },
	{ CASE(no_context_err), NO_CONTEXT },
	{ CASE(no_context_after), NO_CONTEXT },
	{ CASE(no_context_sema), NO_CONTEXT },
	{ CASE(no_parent), PANICS("cannot create context from nil parent") },
	{ CASE(before_main) },
	{ CASE(after_main), .says = { "^at exit: 42$" } },
	{ CASE(after_exit_elsewhere), .status = 7, .says = { "^at exit: 42$" } },
	{ CASE(deadlock_after_main),
	  SAYS("^fatal error: all goroutines are asleep - deadlock!$", "^stuck_at_exit\\(") },
	{ CASE(in_a_handler),
	  SAYS("^fatal error: called from a signal handler that came in the midst of another "
	       "call; let the handler write to a pipe, or use signalfd\\(\\), and have a "
	       "goroutine read it$",
	       "^on_alarm\\(") },
	{ CASE(waits_in_a_handler), WAITS_IN_A_HANDLER },
	{ CASE(waits_in_handlers_beside_others), WAITS_IN_A_HANDLER },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
