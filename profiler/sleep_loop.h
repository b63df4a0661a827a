/* SPDX-License-Identifier: MIT */
/*
 * sleep_loop.h - what a goroutine that sleeps can still do, by its machine code.
 *
 * A program's main often ends in `for (;;) goro_sleep(...)`. Behind that it never uses what its
 * variables hold; but the compiler leaves the values where they were, on the stack and in
 * registers. Who looks at these words alone must believe that main could still send on each channel
 * that it ever had. So it is with `goro_sleep(...); return 0`.
 */
#ifndef GORO_SLEEP_LOOP_H
#define GORO_SLEEP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLEEP_LOOP_BEFORE = 64, SLEEP_LOOP_AFTER = 448 };

/* A piece of the program's text: SLEEP_LOOP_BEFORE bytes before a return address, and so many
 * behind it. */
struct sleep_loop_text {
	uint64_t address; /* of bytes[0] */
	uint8_t bytes[SLEEP_LOOP_BEFORE + SLEEP_LOOP_AFTER];
};

/* Is `call`, what some instruction calls, goro_sleep()? */
struct sleep_loop_callee {
	bool (*is_sleep)(void *arg, uint64_t address);
	bool (*is_sleep_at)(void *arg, uint64_t slot); /* a pointer to it lies there */
	void *arg;
	bool may_return; /* to a caller that uses nothing but what is returned */
};

/*
 * From the return address in the middle of `text` on, which is one of goro_sleep(): does the code
 * do nothing but compute with numbers and sleep, for ever or until it returns? False: it does more,
 * or that cannot be told.
 */
bool sleep_loop(const struct sleep_loop_text *text, const struct sleep_loop_callee *callee);

#endif /* GORO_SLEEP_LOOP_H */
