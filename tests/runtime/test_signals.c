/* SPDX-License-Identifier: MIT */
/*
 * What signals bring about: the dump at SIGQUIT, and the report of a stack overflow, which is a
 * SIGSEGV in a guard. Go's words, status 2.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

static atomic_int running;

static __attribute__((noinline)) void wait_here(goro_chan *c)
{
	goro_chan_recv(c, NULL);
	running = -1; /* code behind the call: no tail call, so this function is in the stack */
}

static void receiver(void *arg)
{
	wait_here(arg);
	running = -1;
}

static void sender(void *arg)
{
	goro_chan_send(arg, NULL);
	running = -1;
}

static void computer(void *arg)
{
	running++;
	for (;;)
		(void)arg;
}

/* ---- SIGQUIT --------------------------------------------------------------------------------- */

static void quit(void)
{
	check_parked(go(receiver, goro_chan_make(0, 0)), GORO_REASON_CHAN_RECV);
	check_parked(go(sender, goro_chan_make(0, 0)), GORO_REASON_CHAN_SEND);
	kill(getpid(), SIGQUIT);
	for (;;)
		goro_sleep(GORO_MILLISECOND);
}

static void quit_while_all_sleep(void)
{
	check_parked(go(receiver, goro_chan_make(0, 0)), GORO_REASON_CHAN_RECV);
	kill(getpid(), SIGQUIT);
	goro_sleep(100 * GORO_SECOND);
}

static void quit_while_one_computes(void)
{
	go(computer, NULL);
	check_eventually(running == 1);
	kill(getpid(), SIGQUIT);
	for (;;)
		goro_sleep(GORO_MILLISECOND);
}

/* Before anything was started that could watch. */
static void quit_alone(void)
{
	kill(getpid(), SIGQUIT);
	computer(NULL);
}

/* A program that is started with the signal ignored goes on ignoring it: nohup. */
static void quit_ignored(void)
{
	char self[] = "/proc/self/exe", flag[] = "--case", name[] = "quit_ignored";

	if (!getenv("IGNORED_SINCE_EXEC")) {
		signal(SIGQUIT, SIG_IGN);
		setenv("IGNORED_SINCE_EXEC", "1", 1);
		execv(self, (char *[]){ self, flag, name, NULL });
	}
	kill(getpid(), SIGQUIT);
	goro_sleep(20 * GORO_MILLISECOND);
}

static atomic_int caught; /* any thread may get the signal */

static void catch (int signo)
{
	caught = signo;
}

/* A program may take the signals that the runtime would take. */
static void quit_taken(void)
{
	signal(SIGQUIT, catch);
	kill(getpid(), SIGQUIT);
	check_eventually(caught == SIGQUIT);
}

/* A fault that is no stack overflow kills as it would without us;
 * AddressSanitizer has its own end. */
#ifdef __SANITIZE_ADDRESS__
#define STATUS_OF_FAULT 1
#else
#define STATUS_OF_FAULT (128 + SIGSEGV)
#endif

static void plain_fault(void *arg)
{
	*(volatile char *)arg = 1;
}

static void raiser(void *arg)
{
	(void)arg;
	raise(SIGSEGV); /* no instruction to fault again */
	puts("survived");
}

static void fault_that_was_sent(void)
{
	go(raiser, NULL);
	goro_sleep(10 * GORO_SECOND);
}

static void fault_in_goroutine(void)
{
	go(plain_fault, (void *)8);
	goro_sleep(100 * GORO_SECOND);
}

/* ---- stack overflow -------------------------------------------------------------------------- */

static __attribute__((noinline)) int dig(int depth)
{
	volatile char hole[512];

	hole[depth % 512] = (char)depth;
	return depth < 0 ? 0 : dig(depth + 1) + hole[depth % 512];
}

static void dig_in_goroutine(void *arg)
{
	running = dig(0);
	(void)arg;
}

static void stack_overflow(void)
{
	go(dig_in_goroutine, NULL);
	goro_sleep(100 * GORO_SECOND);
}

static void dig_aside(void *unused)
{
	goro_blocking(dig_in_goroutine, unused);
}

static void overflow_of_blocking(void)
{
	dig_aside(NULL);
}

static void overflow_of_blocking_elsewhere(void)
{
	go(dig_aside, NULL);
	goro_sleep(100 * GORO_SECOND);
}

static void *dig_in_thread(void *unused)
{
	dig_aside(unused);
	return NULL;
}

static void overflow_of_blocking_thread(void)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, dig_in_thread, NULL));
	goro_sleep(100 * GORO_SECOND);
}

/* A frame of more than a stack and its guard: its first touch would be beyond them. */
static void use_400k(void *arg)
{
	volatile char hole[400 * 1024];

	/* All of it: who sees that only one byte is used makes room for one. */
	__asm__ volatile("" : : "r"(hole) : "memory");
	hole[0] = 1;
	running = hole[0];
	(void)arg;
}

static void large_frame(void)
{
	go(use_400k, NULL);
	goro_sleep(100 * GORO_SECOND);
}

static __attribute__((noinline)) int dig_to(int depth)
{
	volatile char hole[1000];

	hole[0] = (char)depth;
	return depth == 0 ? hole[0] : dig_to(depth - 1) + hole[0];
}

static void use_700k(void *arg)
{
	running = dig_to(700) + 1;
	goro_chan_close(arg);
}

static void bigger_stack(void)
{
	goro_chan *c = goro_chan_make(0, 0);

	go(use_700k, c);
	goro_chan_recv(c, NULL);
}

#define DIES	      .status = 2, .says
#define ANY	      "[1-9][0-9]*"
#define AT	      "\\(.*\n\t.*\n" /* the rest of a frame */
#define CREATED_BY(f) "created by " f " in goroutine 1\n"

/* The order of goroutines depends on who runs; the lines of one stack belong together. */
#define OVERFLOW_ASIDE                                                      \
	"^runtime: goro_blocking\\(\\)'s stack exceeds [0-9]+-byte limit$", \
		"^fatal error: stack overflow$", "^dig\\("
static const struct check_case cases[] = {
	{ .name = "quit",
	  .run = quit,
	  DIES = { "^SIGQUIT: quit$" },
	  .anywhere = { "^goroutine 1 \\[",
			"^goroutine " ANY " \\[chan receive\\]:\nwait_here" AT
			"receiver" AT CREATED_BY("quit"),
			"^goroutine " ANY " \\[chan send\\]:\nsender" AT CREATED_BY("quit") } },
	{ .name = "quit_while_all_sleep",
	  .run = quit_while_all_sleep,
	  DIES = { "^SIGQUIT: quit$" },
	  .anywhere = { "^goroutine 1 \\[sleep\\]:\nquit_while_all_sleep" AT,
			"^goroutine " ANY " \\[chan receive\\]:\nwait_here" AT } },
	{ .name = "quit_while_one_computes",
	  .run = quit_while_one_computes,
	  DIES = { "^SIGQUIT: quit$" },
	  .anywhere = { "^goroutine " ANY " \\[running\\]:\ncomputer" AT } },
	{ .name = "quit_alone",
	  .run = quit_alone,
	  DIES = { "^SIGQUIT: quit$", "^goroutine 1 \\[running\\]:$", "^quit_alone" AT } },
	{ .name = "quit_ignored", .run = quit_ignored },
	{ .name = "quit_taken", .run = quit_taken },
	{ .name = "fault_in_goroutine",
	  .run = fault_in_goroutine,
	  .status = STATUS_OF_FAULT,
	  .never = "stack overflow" },
	{ .name = "fault_that_was_sent", .run = fault_that_was_sent, .status = STATUS_OF_FAULT },
	{ .name = "stack_overflow",
	  .run = stack_overflow,
	  DIES = { "^runtime: goroutine stack exceeds " ANY "-byte limit$",
		   "^fatal error: stack overflow$", "^goroutine " ANY " \\[running\\]:$", "^dig\\(",
		   "^created by stack_overflow in goroutine 1$" } },
	{ .name = "overflow_of_blocking", .run = overflow_of_blocking, DIES = { OVERFLOW_ASIDE } },
	{ .name = "overflow_of_blocking_elsewhere",
	  .run = overflow_of_blocking_elsewhere,
	  DIES = { OVERFLOW_ASIDE } },
	{ .name = "overflow_of_blocking_thread",
	  .run = overflow_of_blocking_thread,
	  DIES = { OVERFLOW_ASIDE } },
	{ .name = "large_frame",
	  .run = large_frame,
	  DIES = { "^fatal error: stack overflow$", "^use_400k\\(",
		   "^created by large_frame in goroutine 1$" },
	  .env = "GORO_STACK=128K" },
	{ .name = "bigger_stack", .run = bigger_stack, .env = "GORO_STACK=1M" },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
