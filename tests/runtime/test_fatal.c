/* SPDX-License-Identifier: MIT */
/* Reports that end the process: deadlock and panic. Go's words, status 2. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
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

static void sleeper(void *arg)
{
	goro_sleep(100 * GORO_MILLISECOND);
	goro_chan_close(arg);
}

static void libc_sleeper(void *arg)
{
	usleep(100000);
	goro_chan_close(arg);
}

/* ---- deadlock -------------------------------------------------------------------------------- */

static void deadlock_of_main_alone(void)
{
	wait_here(goro_chan_make(0, 0));
}

static void deadlock_of_several(void)
{
	go(receiver, goro_chan_make(0, 0));
	go(sender, goro_chan_make(0, 0));
	wait_here(goro_chan_make(0, 0));
}

/* All that still slept has ended: the report comes then, not before. */
static void deadlock_comes_when_the_last_sleeper_ends(void)
{
	goro_chan *c = goro_chan_make(0, 0);

	go(sleeper, c);
	wait_here(c);
	fputs("no deadlock so far\n", stderr);
	wait_here(goro_chan_make(0, 0));
}

/* More than the pipe takes at once, which somebody has made non-blocking: nothing is lost. */
static void deadlock_of_a_crowd(void)
{
	check(!fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK | O_WRONLY));
	check(fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096) > 0);
	for (int i = 0; i < 500; i++)
		go(receiver, goro_chan_make(0, 0));
	goro_go_with(&(struct goro_options){ .name = "the last" }, sender, goro_chan_make(0, 0));
	wait_here(goro_chan_make(0, 0));
}

static void use_up_descriptors(rlim_t soft, rlim_t hard)
{
	check(!setrlimit(RLIMIT_NOFILE, &(struct rlimit){ soft, hard }));
	while (dup(STDOUT_FILENO) >= 0)
		;
	check_eq(errno, EMFILE);
}

/* A directory is read to see that nobody else can come, and files for symbols and lines. */
static void deadlock_without_descriptors(rlim_t soft, rlim_t hard)
{
	use_up_descriptors(soft, hard);
	go(receiver, goro_chan_make(0, 0));
	wait_here(goro_chan_make(0, 0));
}

static void deadlock_at_the_soft_limit(void)
{
	deadlock_without_descriptors(40, 100);
}

static void deadlock_at_the_hard_limit(void)
{
	deadlock_without_descriptors(40, 40);
}

static void *closes_late(void *c)
{
	usleep(200000);
	goro_chan_close(c);
	return NULL;
}

static void who_may_call_yet_without_descriptors(void)
{
	goro_chan *c = goro_chan_make(0, 0);
	pthread_t thread;

	use_up_descriptors(40, 40);
	check(!pthread_create(&thread, NULL, closes_late, c));
	wait_here(c);
	check(!pthread_join(thread, NULL));
}

static void who_sleeps_is_no_deadlock(void)
{
	goro_chan *a = goro_chan_make(0, 0), *b = goro_chan_make(0, 0);

	go(sleeper, a);
	wait_here(a);
	go(libc_sleeper, b);
	wait_here(b);
}

/* Main needs the worker that the other one blocks; then nobody has
 * it, and yet it is no deadlock. */
static void who_blocks_without_a_worker_is_no_deadlock(void)
{
	goro_chan *c = goro_chan_make(0, 0);

	go(libc_sleeper, c);
	goro_sleep(30 * GORO_MILLISECOND);
	wait_here(c);
}

/* ---- panic ----------------------------------------------------------------------------------- */

static __attribute__((noinline)) void panic_here(void)
{
	goro_panic("the %s is %d", "answer", 42);
}

static void panicker(void *arg)
{
	(void)arg;
	panic_here();
}

static void panic_in_goroutine(void)
{
	check_parked(go(receiver, goro_chan_make(0, 0)), GORO_REASON_CHAN_RECV);
	go(panicker, NULL);
	goro_sleep(100 * GORO_SECOND);
}

static void panic_in_main(void)
{
	panic_here();
}

/* Two at once: one report, whole. */
static void panics_at_once(void)
{
	for (int i = 0; i < 50; i++)
		go(panicker, NULL);
	goro_sleep(100 * GORO_SECOND);
}

#define DIES	      .status = 2, .says
#define ASLEEP	      "^fatal error: all goroutines are asleep - deadlock!$"
#define PANIC	      "^panic: the answer is 42$"
#define ANY	      "[1-9][0-9]*"
#define CREATED_BY(f) "^created by " f " in goroutine 1$"
#define LINE	      "\n\t.*test_fatal\\.c:[1-9]"
#define WITHOUT_DESCRIPTORS                                          \
	"^goroutine 1 \\[chan receive\\]:\nwait_here\\(...\\)" LINE, \
		"^goroutine " ANY " \\[chan receive\\]:\nwait_here\\(...\\)" LINE, "^receiver\\("

static const struct check_case cases[] = {
	{ .name = "deadlock_of_main_alone",
	  .run = deadlock_of_main_alone,
	  DIES = { ASLEEP, "^goroutine 1 \\[chan receive\\]:$", "^wait_here\\(",
		   "^deadlock_of_main_alone\\(", "^main\\(" } },
	{ .name = "deadlock_of_several",
	  .run = deadlock_of_several,
	  DIES = { ASLEEP, "^goroutine 1 \\[chan receive\\]:$",
		   "^goroutine " ANY " \\[chan receive\\]:$", "^wait_here\\(", "^receiver\\(",
		   CREATED_BY("deadlock_of_several"), "^goroutine " ANY " \\[chan send\\]:$",
		   "^sender\\(", CREATED_BY("deadlock_of_several") } },
	{ .name = "deadlock_of_a_crowd",
	  .run = deadlock_of_a_crowd,
	  DIES = { ASLEEP, "^goroutine " ANY " \\[chan send, \"the last\"\\]:$", "^sender\\(",
		   CREATED_BY("deadlock_of_a_crowd") } },
	{ .name = "deadlock_at_the_soft_limit",
	  .run = deadlock_at_the_soft_limit,
	  DIES = { ASLEEP, WITHOUT_DESCRIPTORS } },
	{ .name = "deadlock_at_the_hard_limit",
	  .run = deadlock_at_the_hard_limit,
	  DIES = { ASLEEP, WITHOUT_DESCRIPTORS } },
	{ .name = "who_may_call_yet_without_descriptors",
	  .run = who_may_call_yet_without_descriptors },
	{ .name = "deadlock_without_stacks",
	  .run = deadlock_of_several,
	  DIES = { ASLEEP },
	  .never = "wait_here",
	  .env = "GORO_TRACEBACK=none" },
	{ .name = "deadlock_comes_when_the_last_sleeper_ends",
	  .run = deadlock_comes_when_the_last_sleeper_ends,
	  DIES = { "^no deadlock so far$", ASLEEP } },
	{ .name = "who_sleeps_is_no_deadlock", .run = who_sleeps_is_no_deadlock },
	{ .name = "who_blocks_without_a_worker_is_no_deadlock",
	  .run = who_blocks_without_a_worker_is_no_deadlock },
	{ .name = "panic_in_main",
	  .run = panic_in_main,
	  DIES = { PANIC, "^goroutine 1 \\[running\\]:$", "^panic_here\\(", "^panic_in_main\\(" } },
	{ .name = "panic_in_goroutine",
	  .run = panic_in_goroutine,
	  DIES = { PANIC, "^goroutine " ANY " \\[running\\]:$", "^panic_here\\(", "^panicker\\(",
		   CREATED_BY("panic_in_goroutine") } },
	{ .name = "panics_at_once", .run = panics_at_once, DIES = { PANIC, "^panicker\\(" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
