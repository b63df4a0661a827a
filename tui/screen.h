/* SPDX-License-Identifier: MIT */
/*
 * screen.h - a grid of cells: what every view draws on, and what tests read.
 *
 * A view never talks to a terminal. It fills a grid, term.c shows the grid, and a test or batch
 * mode prints it as text. Places that react to the mouse are noted in the grid while it is drawn,
 * so what is clicked is always what was seen.
 */
#ifndef GOTOP_SCREEN_H
#define GOTOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a piece of text is; term.c decides how that looks. Never the only carrier of a meaning. */
enum role {
	ROLE_TEXT,
	ROLE_DIM,
	ROLE_TITLE,
	ROLE_BOX,
	ROLE_HEAD,  /* column titles */
	ROLE_KEY,   /* key in the last line */
	ROLE_BAR,   /* its label */
	ROLE_ALARM, /* PAUSED, ENDED, errors */
	ROLE_RUN,
	ROLE_READY,
	ROLE_LOCK,
	ROLE_CHAN,
	ROLE_IO,
	ROLE_SLEEP,
	ROLE_SYSCALL,
	ROLE_LEAKED,
	ROLE_LIKELY,
	ROLE_SUSPECT,
	NROLES
};

struct cell {
	uint32_t ch; /* code point; 0: right half of the one before */
	uint8_t role;
	bool reverse; /* selected */
};

/* A click here does `command` with `arg` (see keys.h). */
struct hot {
	int y, x, w;
	int command;
	long arg;
};

struct screen {
	int w, h;
	struct cell *cells;
	bool ascii;		/* only ASCII may be drawn */
	int cursor_x, cursor_y; /* -1: no cursor */
	struct hot *hots;
	size_t nhots, hots_room;
};

void screen_init(struct screen *s, int w, int h, bool ascii);
void screen_resize(struct screen *s, int w, int h);
void screen_free(struct screen *s);
void screen_clear(struct screen *s);

/*
 * Write UTF-8 at (y, x) into at most w columns; returns the columns used. What does not fit is cut
 * and the cut marked. Control characters and bytes that are no UTF-8 become '?': names come from
 * the target and may hold anything.
 */
int screen_put(struct screen *s, int y, int x, int w, enum role role, const char *text);
int screen_printf(struct screen *s, int y, int x, int w, enum role role, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
int screen_put_right(struct screen *s, int y, int x, int w, enum role role, const char *text);

/* Columns that a text takes. */
int screen_width(const struct screen *s, const char *text);

/* How many bytes of a text make its first line when it is wrapped at w columns: up to a newline or
 * to the last blank that fits. */
size_t text_line(const char *text, int w);
/* What follows that line, its newline or blanks left out. */
const char *text_after(const char *text, size_t line);

void screen_reverse(struct screen *s, int y, int x, int w);

/* A frame with a title in its upper edge; the inside is (y+1, x+2) to (y+h-2, x+w-3). */
void screen_box(struct screen *s, int y, int x, int h, int w, const char *title);

/* Pieces of one line, by rising rank of importance lost first: 0 is kept longest. */
struct segment {
	char text[160];
	enum role role;
	int rank;
};

/* Those that fit, in their order, two spaces apart. Returns the columns used. */
int screen_segments(struct screen *s, int y, int x, int w, const struct segment *seg, size_t n);

void screen_hot(struct screen *s, int y, int x, int w, int command, long arg);
const struct hot *screen_hit(const struct screen *s, int y, int x);

/* The grid as text, blanks at line ends cut off. */
void screen_dump(const struct screen *s, FILE *out);

#endif /* GOTOP_SCREEN_H */
