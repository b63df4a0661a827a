/* SPDX-License-Identifier: MIT */
/* Defer, panic, recover: order, nesting, the end of goroutines, and Go's words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* What ran, in order. */
static char trail[256];
#define STEP(s) ((void *)(s))

static void leave_trail(void *step)
{
	strcat(trail, step);
}

static void recover_here(void *message)
{
	const char *got = goro_recover();

	strcpy(message, got ? got : "nothing");
	strcat(trail, "R");
	check(!goro_recover()); /* it is over */
}

/* ---- defer -------------------------------------------------------------------------------------
 */

static int early_return(bool early)
{
	goro_defer(leave_trail, STEP("1"));
	goro_defer(leave_trail, STEP("2"));
	if (early) {
		goro_defer(leave_trail, STEP("3"));
		return strlen(trail) == 0;
	}
	strcat(trail, "-");
	return 0;
}

static void runs_when_the_block_ends(void)
{
	for (int i = 0; i < 3; i++) {
		goro_defer(leave_trail, STEP("b"));
		if (i == 1)
			continue;
		leave_trail(STEP("i"));
	}
	check(!strcmp(trail, "ibbib"));
}

static void last_one_first(void)
{
	check_eq(early_return(true), 1);
	check(!strcmp(trail, "321"));
	early_return(false);
	check(!strcmp(trail, "321-21"));
}

/* A program may hide a pair of them in a macro, which is one line. */
#define DEFER_BOTH(a, b)                  \
	goro_defer(leave_trail, STEP(a)); \
	goro_defer(leave_trail, STEP(b))

static void two_on_one_line(void)
{
	{
		DEFER_BOTH("1", "2");
		DEFER_BOTH("3", "4");
	}
	check(!strcmp(trail, "4321"));
}

static void exiter(void *arg)
{
	(void)arg;
	goro_defer(leave_trail, STEP("x"));
	{
		goro_defer(leave_trail, STEP("y"));
		goro_exit();
	}
}

static void exit_runs_what_is_deferred(void)
{
	goro_go(exiter, NULL);
	check_eventually(goro_count() == 1);
	check(!strcmp(trail, "yx"));
}

static void waits(void *ch)
{
	goro_chan_recv(ch, NULL);
	leave_trail(STEP("w"));
}

static void waiter(void *ch)
{
	goro_defer(leave_trail, STEP("d"));
	goro_defer(waits, ch);
	goro_exit();
}

/* A deferred function may block and go on on another thread. */
static void deferred_functions_may_block(void)
{
	goro_chan *ch = goro_chan_make(0, 0);

	goro_go(waiter, ch);
	goro_chan_send(ch, NULL);
	check_eventually(goro_count() == 1);
	check(!strcmp(trail, "wd"));
	goro_chan_free(ch);
}

/* ---- panic and recover -------------------------------------------------------------------------
 */

static void inner(void *arg)
{
	(void)arg;
	goro_defer(leave_trail, STEP("i"));
	goro_panic("broken %d", 7);
}

static void outer(void *message)
{
	goro_defer(leave_trail, STEP("o"));
	goro_defer(recover_here, message);
	inner(NULL);
	leave_trail(STEP("never"));
}

static void recover_returns_the_message(void)
{
	char message[64] = "";

	check(!goro_try(outer, message));
	check(!strcmp(message, "broken 7"));
	check(!strcmp(trail, "iRo"));
	check(!goro_recover());
}

static void nothing_to_recover(void)
{
	char message[64] = "";

	{
		goro_defer(recover_here, message);
	}
	check(!strcmp(message, "nothing"));
	check(goro_try(leave_trail, STEP("t")));
	check(!strcmp(trail, "Rt"));
}

static void close_twice(void *message)
{
	goro_chan *ch = goro_chan_make(0, 0);

	goro_defer(recover_here, message);
	goro_chan_close(ch);
	goro_chan_close(ch);
}

static void misuse_can_be_recovered(void)
{
	char message[64] = "";

	check(!goro_try(close_twice, message));
	check(!strcmp(message, "close of closed channel"));
}

static void ends_quietly(void *message)
{
	goro_defer(recover_here, message);
	goro_panic("not fatal");
}

static void recovered_goroutine_ends(void)
{
	static char message[64];

	goro_go(ends_quietly, message);
	check_eventually(goro_count() == 1);
	check(!strcmp(message, "not fatal"));
}

static void recovered_main_exits_with_0(void)
{
	static char message[64];

	goro_defer(recover_here, message);
	goro_panic("not fatal");
}

static void try_inside(void *message)
{
	check(!goro_try(outer, message));
	leave_trail(STEP("+"));
}

static void outer_panic(void *message)
{
	goro_defer(recover_here, message);
	{
		static char other[64];

		goro_defer(try_inside, other); /* runs during the panic, and recovers its own */
		goro_panic("outer");
	}
}

static void panic_in_panic(void)
{
	char message[64] = "";

	check(!goro_try(outer_panic, message));
	check(!strcmp(message, "outer"));
	check(!strcmp(trail, "iRo+R"));
}

static void panics_again(void *arg)
{
	(void)arg;
	goro_panic("second");
}

static void replaced(void *message)
{
	goro_defer(recover_here, message);
	goro_defer(panics_again, NULL);
	goro_panic("first");
}

/* The later panic takes the place of the one during which it began. */
static void recover_takes_the_last(void)
{
	char message[64] = "";

	check(!goro_try(replaced, message));
	check(!strcmp(message, "second"));
	check(!goro_recover());
	check(goro_try(leave_trail, STEP("t")));
}

static void recovers_and_panics(void *arg)
{
	(void)arg;
	check(!strcmp(goro_recover(), "first"));
	goro_panic("second");
}

static void dies_of_both(void)
{
	goro_defer(recovers_and_panics, NULL);
	goro_panic("first");
}

static void dies_of_nested(void)
{
	goro_defer(panics_again, NULL);
	goro_panic("first");
}

/* Without a goro_try(): it returns to the panic that runs it, and that one goes on. */
static void panics_and_recovers(void *message)
{
	goro_defer(recover_here, message);
	goro_panic("its own");
}

static void panics_twice_and_recovers(void *message)
{
	static char inner[64];

	goro_defer(recover_here, message);
	goro_defer(panics_and_recovers, inner);
	goro_panic("second");
}

static void outermost_panic(void *message)
{
	static char other[64];

	goro_defer(recover_here, message);
	goro_defer(panics_twice_and_recovers, other);
	goro_panic("first");
}

static void first_goes_on(void)
{
	char message[64] = "";

	check(!goro_try(outermost_panic, message));
	check(!strcmp(message, "first"));
	check(!strcmp(trail, "RRR"));
}

/* Nobody recovers from the first one, so that is what the program dies of. */
static void dies_of_first(void)
{
	static char other[64];

	goro_defer(leave_trail, STEP("x"));
	goro_defer(panics_and_recovers, other);
	goro_panic("first");
}

static void deferred_exit(void *arg)
{
	(void)arg;
	goro_exit();
}

static void exits_in_panic(void *arg)
{
	(void)arg;
	goro_defer(leave_trail, STEP("e"));
	goro_defer(deferred_exit, NULL);
	goro_panic("lost");
}

static void exit_ends_a_panic(void)
{
	goro_go(exits_in_panic, NULL);
	check_eventually(goro_count() == 1);
	check(!strcmp(trail, "e"));
}

static goro_fn *volatile bottom = inner;

static void deep(int left)
{
	goro_defer(leave_trail, STEP(left % 2 ? "1" : "0"));
	if (left)
		deep(left - 1);
	else
		bottom(NULL);
}

static void deep_with_recover(void *message)
{
	goro_defer(recover_here, message);
	deep(99);
}

static void many_frames(void)
{
	char message[64] = "";

	check(!goro_try(deep_with_recover, message));
	check(!strncmp(trail, "i01010", 6));
	check_eq(strlen(trail), 102);
}

#define DIES .status = 2, .says
static __attribute__((noinline)) void goes_wrong(void *text)
{
	check(!strcmp(text, ""));
	goro_panic("it went wrong");
}

static void keep_stack(void *text)
{
	char *stack;

	errno = EDOM;
	stack = goro_stack();
	check_eq(errno, EDOM);
	check(stack != NULL);
	snprintf(text, 4096, "%s", stack);
	free(stack);
	check(goro_recover() != NULL);
}

static __attribute__((noinline)) void handle(void *text)
{
	goro_defer(keep_stack, text);
	goes_wrong(text);
}

struct kept {
	char text[4096];
	goro_waitgroup done;
};

static void handle_aside(void *arg)
{
	struct kept *own = arg;

	goro_try(handle, own->text);
	goro_waitgroup_done(&own->done);
}

/* Each of these, in this order. */
static void check_lines(const char *text, const char *const *lines)
{
	for (; *lines; lines++) {
		text = strstr(text, *lines);
		check(text != NULL);
	}
}

static void stack_leads_to_the_panic(void)
{
	static const char *const here[] = { "\nkeep_stack(...)\n\t", "\ngoro_panic(...)\n\t",
					    "\ngoes_wrong(...)\n\t", "\nhandle(...)\n\t", NULL };
	static const char *const in_main[] = { "\nstack_leads_to_the_panic(...)\n\t",
					       "\nmain(...)\n\t", NULL };
	static struct kept own;

	goro_try(handle, own.text);
	check(!strncmp(own.text, "goroutine 1 [running]:\n", 23));
	check_lines(own.text, here);
	check_lines(own.text, in_main);
	check(!strstr(own.text, "goro_try"));
	check(strstr(own.text, "test_defer.c:") != NULL);
	own.text[0] = '\0';
	goro_waitgroup_add(&own.done, 1);
	go(handle_aside, &own);
	goro_waitgroup_wait(&own.done);
	check(strncmp(own.text, "goroutine 1 ", 12) != 0);
	check_lines(own.text, here);
	check(!strstr(own.text, "main("));
}

static const struct check_case cases[] = {
	{ .name = "stack_leads_to_the_panic", .run = stack_leads_to_the_panic },
	{ .name = "runs_when_the_block_ends", .run = runs_when_the_block_ends },
	{ .name = "last_one_first", .run = last_one_first },
	{ .name = "two_on_one_line", .run = two_on_one_line },
	{ .name = "exit_runs_what_is_deferred", .run = exit_runs_what_is_deferred },
	{ .name = "deferred_functions_may_block", .run = deferred_functions_may_block },
	{ .name = "recover_returns_the_message", .run = recover_returns_the_message },
	{ .name = "nothing_to_recover", .run = nothing_to_recover },
	{ .name = "misuse_can_be_recovered", .run = misuse_can_be_recovered },
	{ .name = "recovered_goroutine_ends", .run = recovered_goroutine_ends },
	{ .name = "recovered_main_exits_with_0", .run = recovered_main_exits_with_0 },
	{ .name = "panic_in_panic", .run = panic_in_panic },
	{ .name = "recover_takes_the_last", .run = recover_takes_the_last },
	{ .name = "dies_of_both",
	  .run = dies_of_both,
	  DIES = { "^panic: first \\[recovered\\]$", "^\tpanic: second$",
		   "^goroutine 1 \\[running\\]:$" } },
	{ .name = "dies_of_nested",
	  .run = dies_of_nested,
	  DIES = { "^panic: first$", "^\tpanic: second$", "^panics_again\\(" } },
	{ .name = "first_goes_on", .run = first_goes_on },
	{ .name = "dies_of_first",
	  .run = dies_of_first,
	  DIES = { "^panic: first$", "^dies_of_first\\(" } },
	{ .name = "exit_ends_a_panic", .run = exit_ends_a_panic },
	{ .name = "many_frames", .run = many_frames },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
