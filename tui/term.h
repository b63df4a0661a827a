/* SPDX-License-Identifier: MIT */
/*
 * term.h - the terminal: shows a grid, gives keys and clicks. Implemented by term.c over ncurses;
 * a test links its own, which types a script and reads the grid.
 */
#ifndef GOTOP_TERM_H
#define GOTOP_TERM_H

#include "screen.h"

struct term_options {
	bool color, mouse, ascii;
};

struct event {
	enum { EVENT_KEY, EVENT_CLICK, EVENT_WHEEL, EVENT_RESIZE, EVENT_HANGUP } kind;
	int key;  /* see keys.h */
	int y, x; /* click */
	int by;	  /* wheel: rows, below zero is up */
};

/* False, after a message: this terminal cannot be used. */
bool term_open(const struct term_options *opt);
void term_close(void);

void term_size(int *w, int *h);
void term_draw(const struct screen *s);
void term_redraw(void); /* all of it, whatever we think is there */

/* Wait for a key, a byte in wake_fd (which is read away), a signal or the end of the time. */
void term_wait(int wake_fd, int timeout_ms);
bool term_event(struct event *ev);

/* Let the mouse go while text is typed, so that the terminal's own selection works. */
void term_mouse(bool on);

/* Give the terminal back and stop, as the shell expects of ^Z; returns when continued. */
void term_suspend(void);

#endif /* GOTOP_TERM_H */
