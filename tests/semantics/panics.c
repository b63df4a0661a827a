/* SPDX-License-Identifier: MIT */
/*
 * "Handling panics" of the language specification, and runtime.Goexit: who may recover what, and
 * what survives what.
 */
#include <stdatomic.h>
#include <string.h>

#include "check.h"

static char trail[256];
#define STEP(s) ((void *)(s))

static void leave_trail(void *step)
{
	strcat(trail, step);
}

static void recovers(void *unused)
{
	(void)unused;
	strcat(trail, goro_recover() ? "R" : "-");
}

/* ---- recover -----------------------------------------------------------------------------------
 */

static void block_that_ends(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
}

static void helper_cannot_recover_body(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
	goro_defer(block_that_ends, NULL);
	goro_panic("one");
}

/* A deferred function that runs because its block ended is not the one that the panic called, even
 * if all of that happens during a panic: its recover() returns nil. */
static void ordinary_deferred_cannot_recover(void)
{
	check(!goro_try(helper_cannot_recover_body, NULL));
	check(!strcmp(trail, "-R"));
}

static void panics_and_recovers(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
	goro_panic("inner");
}

static void tries_inside(void *unused)
{
	(void)unused;
	goro_defer(leave_trail, STEP("t"));
	check(!goro_try(panics_and_recovers, NULL));
}

static void inner_is_over_body(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
	goro_defer(block_that_ends, NULL);
	goro_defer(tries_inside, NULL);
	goro_panic("outer");
}

/* The panic that a deferred function raised and recovered leaves the outer one as it was. */
static void outer_goes_on_after_inner(void)
{
	check(!goro_try(inner_is_over_body, NULL));
	check(!strcmp(trail, "Rt-R"));
	check(goro_try(recovers, NULL)); /* nothing is left of either */
	check(!strcmp(trail, "Rt-R-"));
}

static void try_within_ordinary(void *unused)
{
	(void)unused;
	check(!goro_try(panics_and_recovers, NULL));
	recovers(NULL); /* in a function that runs because a block ended */
}

static void ordinary_block(void *unused)
{
	(void)unused;
	goro_defer(try_within_ordinary, NULL);
}

static void landing_restores_body(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
	goro_defer(ordinary_block, NULL);
	goro_panic("outer");
}

static void landing_restores_who_may_recover(void)
{
	check(!goro_try(landing_restores_body, NULL));
	check(!strcmp(trail, "R-R"));
}

static void panics_third(void *unused)
{
	(void)unused;
	goro_panic("third");
}

static void panics_second(void *unused)
{
	(void)unused;
	goro_defer(panics_third, NULL);
	goro_panic("second");
}

static void dies_of_three(void)
{
	goro_defer(panics_second, NULL);
	goro_panic("first");
}

/* ---- Goexit ------------------------------------------------------------------------------------
 */

static atomic_int after;
static goro_waitgroup ended;

static void tell_end(void *unused)
{
	(void)unused;
	goro_waitgroup_done(&ended);
}

static void run_to_its_end(goro_fn *fn)
{
	goro_waitgroup_add(&ended, 1);
	go(fn, NULL);
	goro_waitgroup_wait(&ended);
	check_eventually(goro_count() == 1);
}

static void exits(void *unused)
{
	(void)unused;
	goro_exit();
}

static void exit_is_no_panic_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_defer(recovers, NULL);
	goro_exit();
}

/* "Because Goexit is not a panic, any recover calls in those
 * deferred functions will return nil." */
static void exit_is_no_panic(void)
{
	run_to_its_end(exit_is_no_panic_body);
	check(!strcmp(trail, "-"));
}

static void exit_in_panic_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_defer(recovers, NULL);
	goro_defer(exits, NULL);
	goro_panic("dropped");
}

/* A Goexit in a deferred function ends the panic, and the process lives. */
static void exit_drops_the_panic(void)
{
	run_to_its_end(exit_in_panic_body);
	check(!strcmp(trail, "-"));
}

static void panic_in_exit_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_defer(recovers, NULL); /* of the panic below */
	goro_defer(panics_third, NULL);
	goro_exit();
}

static void inside_a_try(void *unused)
{
	(void)unused;
	goro_try(panic_in_exit_body, NULL);
	after++; /* that would be a goroutine which survived its exit */
}

/* A panic that is recovered during Goexit: the goroutine goes on ending. */
static void recovered_panic_does_not_stop_exit(void)
{
	run_to_its_end(inside_a_try);
	check(!strcmp(trail, "R"));
	check_eq(after, 0);
}

static void try_in_exit(void *unused)
{
	(void)unused;
	check(!goro_try(panics_and_recovers, NULL));
	after++;
}

static void try_in_exit_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_defer(recovers, NULL);
	goro_defer(try_in_exit, NULL);
	goro_exit();
}

/* But a deferred function may try something that panics, and go on itself. */
static void exit_may_try(void)
{
	run_to_its_end(try_in_exit_body);
	check(!strcmp(trail, "R-"));
	check_eq(after, 1);
}

static void exit_twice_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_defer(leave_trail, STEP("1"));
	goro_defer(exits, NULL);
	goro_defer(leave_trail, STEP("2"));
	goro_exit();
}

static void exit_in_exit(void)
{
	run_to_its_end(exit_twice_body);
	check(!strcmp(trail, "21"));
}

static void panic_in_exit_kills_body(void *unused)
{
	(void)unused;
	goro_defer(panics_third, NULL);
	goro_exit();
}

static void panic_in_exit_kills(void)
{
	go(panic_in_exit_kills_body, NULL);
	goro_sleep(60 * GORO_SECOND);
}

static void still_there(void *unused)
{
	(void)unused;
	check_eventually(!strcmp(trail, "R"));
	fprintf(stderr, "the others ran on\n");
	_Exit(7);
}

/* main's Goexit, too, is not stopped by a panic that is recovered: the others run on. */
static void main_goes_on_exiting(void)
{
	go(still_there, NULL);
	goro_defer(recovers, NULL);
	goro_defer(panics_third, NULL);
	goro_exit();
}

/* ---- what cannot be recovered, and what a panic leaves behind ----------------------------------
 */

static void unlocks(void *unused)
{
	goro_mutex mu = { 0 };

	(void)unused;
	goro_defer(recovers, NULL);
	goro_mutex_unlock(&mu);
}

static void fatal_errors_are_no_panics(void)
{
	goro_try(unlocks, NULL);
}

static goro_once once;
static int times;

static void once_panics(void *unused)
{
	(void)unused;
	times++;
	goro_panic("in once");
}

static void do_once(void *fn)
{
	goro_defer(recovers, NULL);
	goro_once_do(&once, (goro_fn *)fn, NULL);
}

/* "If f panics, Do considers it to have returned; future calls of Do return without calling f." */
static void once_that_panics_has_run(void)
{
	check(!goro_try(do_once, (void *)once_panics));
	check(goro_try(do_once, (void *)once_panics));
	check_eq(times, 1);
	check(!strcmp(trail, "R-"));
}

static void once_exits_body(void *unused)
{
	(void)unused;
	goro_defer(tell_end, NULL);
	goro_once_do(&once, exits, NULL);
}

static void once_that_exits_has_run(void)
{
	run_to_its_end(once_exits_body);
	goro_once_do(&once, once_panics, NULL);
	check_eq(times, 0);
}

static goro_mutex mu;

static void unlock_it(void *unused)
{
	(void)unused;
	goro_mutex_unlock(&mu);
}

static void locks_and_panics(void *unused)
{
	(void)unused;
	goro_defer(recovers, NULL);
	goro_mutex_lock(&mu);
	goro_defer(unlock_it, NULL);
	goro_panic("with a lock");
}

static void deferred_unlock_runs(void)
{
	check(!goro_try(locks_and_panics, NULL));
	check(goro_mutex_try_lock(&mu));
}

static void quiet_recover(void *unused)
{
	(void)unused;
	check(goro_recover());
	goro_yield();
	check(!goro_recover());
}

static void quiet(void *arg)
{
	(void)arg;
	goro_defer(quiet_recover, NULL);
	goro_yield();
	goro_panic("mine");
}

static void crowd_member(void *arg)
{
	for (int i = 0; i < 50; i++)
		check(!goro_try(quiet, NULL));
	goro_waitgroup_done(arg);
}

/* Each goroutine's panics are its own. */
static void a_crowd_panics(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 100);
	for (int i = 0; i < 100; i++)
		go(crowd_member, &wg);
	goro_waitgroup_wait(&wg);
}

/* ---- words of any length ----------------------------------------------------------------------
 */

enum { LONG = 9000 };

static void panic_at_length(void)
{
	char text[LONG + 1];

	memset(text, 'x', LONG);
	text[LONG] = '\0';
	goro_panic("%sy", text);
}

static void recovers_all_of_it(void *arg)
{
	const char *message = goro_recover();

	check(message);
	check_eq(strlen(message), LONG + 1);
	check_eq(message[LONG], 'y');
	*(bool *)arg = true;
}

static void long_panic(void *recovered)
{
	goro_defer(recovers_all_of_it, recovered);
	panic_at_length();
}

static void long_words_are_recovered(void)
{
	bool recovered = false;

	check(!goro_try(long_panic, &recovered));
	check(recovered);
}

/* As much as the stack has room for beside the deferred functions, which still run. */
static void recovers_some_of_it(void *arg)
{
	const char *message = goro_recover();

	check(message && strlen(message) > 1000 && strspn(message, "x") == strlen(message));
	goro_waitgroup_done(arg);
}

static void panic_beyond_the_stack(void *wg)
{
	static char text[4 << 20];

	goro_defer(recovers_some_of_it, wg);
	memset(text, 'x', sizeof(text) - 1);
	goro_panic("%s", text);
}

static void longer_than_the_stack(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 1);
	go(panic_beyond_the_stack, &wg);
	goro_waitgroup_wait(&wg);
}

static void panic_in_two_lines(void)
{
	goro_panic("first line\nsecond line");
}

static void panics_with_the_same(void *arg)
{
	(void)arg;
	goro_panic("%s", goro_recover());
}

static void panic_goes_on(void)
{
	goro_defer(panics_with_the_same, NULL);
	goro_panic("same");
}

static void panic_goes_on_twice(void)
{
	goro_defer(panics_with_the_same, NULL);
	panic_goes_on();
}

static void panics_with_another(void *unused)
{
	(void)unused;
	goro_panic("second");
}

/* The first is over when the second begins: only who panics while it recovers has both. */
static void panics_after_recovery(void)
{
	goro_defer(panics_with_another, NULL);
	goro_defer(recovers, NULL);
	goro_panic("first");
}

static void panic_exit_panic(void *unused)
{
	(void)unused;
	goro_defer(panics_with_another, NULL);
	goro_defer(exits, NULL);
	goro_panic("first");
}

static void panics_while_it_exits(void)
{
	go(panic_exit_panic, NULL);
	goro_select(NULL, 0);
}

#define DIES .status = 2, .says
#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(ordinary_deferred_cannot_recover),
	CASE(outer_goes_on_after_inner),
	CASE(landing_restores_who_may_recover),
	{ .name = "dies_of_three",
	  .run = dies_of_three,
	  DIES = { "^panic: first$", "^\tpanic: second$", "^\tpanic: third$" } },
	CASE(exit_is_no_panic),
	CASE(exit_drops_the_panic),
	CASE(recovered_panic_does_not_stop_exit),
	CASE(exit_may_try),
	CASE(exit_in_exit),
	{ .name = "panic_in_exit_kills", .run = panic_in_exit_kills, DIES = { "^panic: third$" } },
	{ .name = "main_goes_on_exiting",
	  .run = main_goes_on_exiting,
	  .status = 7,
	  .says = { "^the others ran on$" } },
	{ .name = "fatal_errors_are_no_panics",
	  .run = fatal_errors_are_no_panics,
	  DIES = { "^fatal error: sync: unlock of unlocked mutex$" } },
	CASE(once_that_panics_has_run),
	CASE(once_that_exits_has_run),
	CASE(deferred_unlock_runs),
	CASE(a_crowd_panics),
	{ .name = "dies_at_length", .run = panic_at_length, DIES = { "^panic: x{200}.*x{200}y$" } },
	CASE(long_words_are_recovered),
	CASE(longer_than_the_stack),
	{ .name = "dies_in_two_lines",
	  .run = panic_in_two_lines,
	  DIES = { "^panic: first line$", "^\tsecond line$", "^goroutine 1 " } },
	{ .name = "dies_when_it_goes_on",
	  .run = panic_goes_on,
	  DIES = { "^panic: same \\[recovered, repanicked\\]$", "^$", "^goroutine 1 " } },
	{ .name = "dies_when_it_goes_on_twice",
	  .run = panic_goes_on_twice,
	  DIES = { "^panic: same \\[recovered, repanicked\\]$", "^$", "^goroutine 1 " } },
	{ .name = "dies_of_the_second",
	  .run = panics_after_recovery,
	  DIES = { "^panic: second$", "^goroutine 1 " },
	  .never = "first" },
	{ .name = "dies_of_both_around_an_exit",
	  .run = panics_while_it_exits,
	  DIES = { "^panic: first$", "^\tpanic: second$" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
