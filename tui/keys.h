/* SPDX-License-Identifier: MIT */
/*
 * keys.h - the one table of key bindings.
 *
 * Dispatch, the help screen, the bar in the last line and the man page's list come from it, so a
 * key cannot exist without being documented.
 */
#ifndef GOTOP_KEYS_H
#define GOTOP_KEYS_H

#include "screens.h"

#include <stdbool.h>
#include <stddef.h>

/* Keys that are no character. */
enum key {
	KEY_NONE = 0,
	KEY_TAB_ = 9,
	KEY_ENTER_ = 10,
	KEY_ESC_ = 27,
	KEY_SPECIAL = 0x200000,
	KEY_F1_,
	KEY_F2_,
	KEY_F3_,
	KEY_F4_,
	KEY_F5_,
	KEY_F6_,
	KEY_F7_,
	KEY_F8_,
	KEY_F9_,
	KEY_F10_,
	KEY_UP_,
	KEY_DOWN_,
	KEY_LEFT_,
	KEY_RIGHT_,
	KEY_PGUP_,
	KEY_PGDN_,
	KEY_HOME_,
	KEY_END_,
	KEY_BACKSPACE_,
	KEY_DELETE_,
	KEY_BACKTAB_,
	KEY_DIGIT_, /* in a binding: 1 to 9 */
};
#define KEY_CTRL(c) ((c)&0x1f)

enum command {
	CMD_NONE,
	CMD_UP,
	CMD_DOWN,
	CMD_PAGE_UP,
	CMD_PAGE_DOWN,
	CMD_HALF_UP,
	CMD_HALF_DOWN,
	CMD_TOP,
	CMD_BOTTOM,
	CMD_OPEN,
	CMD_BACK,
	CMD_SCREEN, /* arg: the digit of its tab, as a character */
	CMD_TAB,
	CMD_BACKTAB,
	CMD_GROUP_KEY,
	CMD_SORT_NEXT,
	CMD_SORT_PREV,
	CMD_INVERT,
	CMD_FILTER,
	CMD_CLEAR_FILTER,
	CMD_SEARCH,
	CMD_SEARCH_NEXT,
	CMD_SEARCH_PREV,
	CMD_GOTO,
	CMD_MARK,
	CMD_PROVE,
	CMD_CHAIN,
	CMD_RUNTIME_FRAMES,
	CMD_WINDOW,
	CMD_WALL,
	CMD_OFFCPU,
	CMD_CPU,
	CMD_TREE,
	CMD_BY_SPAWN,
	CMD_PREV_G,
	CMD_NEXT_G,
	CMD_EXPLAIN,
	CMD_ALL,
	CMD_RESCAN,
	CMD_PAUSE,
	CMD_STEP_BACK,
	CMD_STEP,
	CMD_SLOWER,
	CMD_FASTER,
	CMD_REDRAW,
	CMD_SUSPEND,
	CMD_HELP,
	CMD_QUIT,
	CMD_QUIT_KILL,
	/* Only by mouse. */
	CMD_ROW,     /* arg: row of the view's table */
	CMD_SORT_BY, /* arg: column */
};

struct binding {
	enum command command;
	unsigned where;
	int keys[4];
	const char *bar; /* word in the last line (its first key must be an F key), or NULL */
	const char *help;
};

extern const struct binding bindings[];
extern const size_t nbindings;

/* A command that a key can give takes that key as its argument. */
enum command keys_command(int key, unsigned where);

/* "Enter", "F5", "^C", "PgUp", "g": into buf of 16 bytes. */
const char *keys_name(int key, char *buf);

/* All keys of a binding, a blank between: "F1 h ?". */
void keys_list(const struct binding *b, char *buf, size_t size);

#endif /* GOTOP_KEYS_H */
