/* SPDX-License-Identifier: MIT */
/*
 * script_term.h - a terminal that types a script into the real app loop and reads its screen.
 *
 *	see TEXT	wait until it is on the screen (10 s at most, else the test fails)
 *	gone TEXT	wait until it is not
 *	key NAME	a key as keys.h names it: q F5 Enter ^C Space
 *	type TEXT	its characters
 *	click TEXT	a click on its first place on the screen
 *	wheel N		N rows, below zero is up
 *	size W H	another size of the window
 *	hangup		the terminal goes away
 *	do NAME		call the test's function
 */
#ifndef SCRIPT_TERM_H
#define SCRIPT_TERM_H

typedef void script_fn(const char *name);

/* NULL-terminated; the last steps must make gotop quit. */
void script_set(const char *const *steps, script_fn *fn);

/* All steps were done. */
int script_done(void);

#endif /* SCRIPT_TERM_H */
