/* SPDX-License-Identifier: MIT */
/*
 * keys.c - the bindings. Taken from htop where htop has the action, from less and vim for
 * movement and search; `g` groups, so "gg" for the top is not offered (Home is).
 */
#include "keys.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

const struct binding bindings[] = {
	{ CMD_HELP, IN_ALL, { KEY_F1_, 'h', '?' }, "Help", "this help" },
	{ CMD_UP, IN_ALL, { KEY_UP_, 'k' }, NULL, "up: a row, a frame" },
	{ CMD_DOWN, IN_ALL, { KEY_DOWN_, 'j' }, NULL, "down" },
	{ CMD_PAGE_UP, IN_ALL, { KEY_PGUP_, KEY_CTRL('B') }, NULL, "page up" },
	{ CMD_PAGE_DOWN, IN_ALL, { KEY_PGDN_, KEY_CTRL('F') }, NULL, "page down" },
	{ CMD_HALF_UP, IN_ALL, { KEY_CTRL('U') }, NULL, "half a page up" },
	{ CMD_HALF_DOWN, IN_ALL, { KEY_CTRL('D') }, NULL, "half a page down" },
	{ CMD_TOP, IN_ALL, { KEY_HOME_ }, NULL, "first row" },
	{ CMD_BOTTOM, IN_ALL, { KEY_END_, 'G' }, NULL, "last row" },
	{ CMD_OPEN,
	  IN_TABLES,
	  { KEY_ENTER_, 'd' },
	  NULL,
	  "open: attach, members of a group, one goroutine" },
	{ CMD_BACK, IN_ALL, { KEY_ESC_, KEY_BACKSPACE_ }, NULL, "back to the screen before" },
	{ CMD_SCREEN, IN_DATA, { KEY_DIGIT_ }, NULL, "the screen of that number, see the bar" },
	{ CMD_TAB, IN_DATA, { KEY_TAB_ }, NULL, "next screen" },
	{ CMD_BACKTAB, IN_DATA, { KEY_BACKTAB_ }, NULL, "screen before" },
	{ CMD_SEARCH, IN_TABLES, { KEY_F3_, '/' }, "Search", "search as you type" },
	{ CMD_SEARCH_NEXT, IN_TABLES, { 'n' }, NULL, "next hit" },
	{ CMD_SEARCH_PREV, IN_TABLES, { 'N' }, NULL, "hit before" },
	{ CMD_FILTER, IN_FILTERED, { KEY_F4_, 'f' }, "Filter", "filter, see below" },
	{ CMD_CLEAR_FILTER, IN_FILTERED, { '\\' }, NULL, "clear the filter" },
	{ CMD_GROUP_KEY,
	  IN_GROUPS,
	  { KEY_F5_, 'g' },
	  "Group",
	  "group by spawn site, stack, state in turn" },
	{ CMD_TREE,
	  IN_PROFILE,
	  { KEY_F5_, 't' },
	  "Tree",
	  "tree of stacks (Enter folds), or functions" },
	{ CMD_SORT_NEXT,
	  IN_SORTED,
	  { KEY_F6_, '>' },
	  "Sort",
	  "sort by the next column (or click its title)" },
	{ CMD_SORT_PREV, IN_SORTED, { '<' }, NULL, "sort by the column before" },
	{ CMD_INVERT, IN_SORTED, { 'I' }, NULL, "invert the order" },
	{ CMD_MARK,
	  IN_GROUPS,
	  { KEY_F7_, 'm' },
	  "Mark",
	  "mark now: column +MARK counts from here" },
	{ CMD_PROVE,
	  IN_DATA,
	  { KEY_F8_, 'L' },
	  "Leaks",
	  "prove what is leaked: search the target's memory, which may stop it for milliseconds" },
	{ CMD_GOTO, IN_DATA, { ':' }, NULL, "go to a goroutine by its id" },
	{ CMD_CHAIN, IN_GOROUTINE, { 'w' }, NULL, "go to the goroutine that it waits for" },
	{ CMD_RUNTIME_FRAMES, IN_GOROUTINE, { 'H' }, NULL, "show or hide the runtime's frames" },
	{ CMD_BY_SPAWN, IN_PROFILE, { 'g' }, NULL, "by spawn site, or by function" },
	{ CMD_WALL, IN_PROFILE, { 'w' }, NULL, "sample the time of all goroutines" },
	{ CMD_OFFCPU, IN_PROFILE, { 'o' }, NULL, "sample the time in which they wait" },
	{ CMD_CPU,
	  IN_PROFILE,
	  { 'c' },
	  NULL,
	  "sample processor time: where perf events are forbidden that stops threads" },
	{ CMD_WINDOW, IN_SCHED, { 'T' }, NULL, "histograms of the last looks, or since the start" },
	{ CMD_PREV_G, IN_GOROUTINE, { '<' }, NULL, "goroutine before, in the list's order" },
	{ CMD_NEXT_G, IN_GOROUTINE, { '>' }, NULL, "next goroutine" },
	{ CMD_EXPLAIN, IN_PICKER, { 'e' }, NULL, "explain why it cannot be attached" },
	{ CMD_ALL, IN_PICKER, { 'a' }, NULL, "show all processes or only attachable ones" },
	{ CMD_RESCAN, IN_PICKER, { 'r' }, NULL, "look for processes again" },
	{ CMD_PAUSE, IN_DATA, { 'Z' }, NULL, "pause: freeze the screen, leave the target alone" },
	{ CMD_PAUSE, IN_GROUPS, { ' ' }, NULL, "pause" },
	{ CMD_STEP_BACK, IN_DATA, { '[' }, NULL, "in a recording: the tick before" },
	{ CMD_STEP, IN_DATA, { ']' }, NULL, "in a recording: the next tick" },
	{ CMD_SLOWER, IN_DATA, { '+' }, NULL, "refresh less often" },
	{ CMD_FASTER, IN_DATA, { '-' }, NULL, "refresh more often" },
	{ CMD_REDRAW, IN_ALL, { KEY_CTRL('L') }, NULL, "redraw" },
	{ CMD_SUSPEND, IN_ALL, { KEY_CTRL('Z') }, NULL, "suspend gotop (fg brings it back)" },
	{ CMD_QUIT,
	  IN_ALL,
	  { KEY_F10_, 'q', KEY_CTRL('C') },
	  "Quit",
	  "quit; q leaves this help first" },
	{ CMD_QUIT_KILL, IN_ALL, { 'Q' }, NULL, "quit, and end the command started by gotop" },
};
const size_t nbindings = ARRAY_LEN(bindings);

static bool matches(int bound, int key)
{
	if (bound == KEY_DIGIT_ && key >= '1' && key <= '9')
		return true;
	return bound == key && key != KEY_NONE;
}

enum command keys_command(int key, unsigned where)
{
	for (size_t i = 0; i < nbindings; i++) {
		if (!(bindings[i].where & where))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(bindings[i].keys); k++)
			if (matches(bindings[i].keys[k], key))
				return bindings[i].command;
	}
	return CMD_NONE;
}

static const struct {
	int key;
	const char *name;
} names[] = {
	{ KEY_TAB_, "Tab" },	   { KEY_ENTER_, "Enter" },
	{ KEY_ESC_, "Esc" },	   { ' ', "Space" },
	{ KEY_UP_, "Up" },	   { KEY_DOWN_, "Down" },
	{ KEY_LEFT_, "Left" },	   { KEY_RIGHT_, "Right" },
	{ KEY_PGUP_, "PgUp" },	   { KEY_PGDN_, "PgDn" },
	{ KEY_HOME_, "Home" },	   { KEY_END_, "End" },
	{ KEY_DELETE_, "Del" },	   { KEY_BACKSPACE_, "Backspace" },
	{ KEY_BACKTAB_, "S-Tab" }, { KEY_DIGIT_, "1..9" },
};

const char *keys_name(int key, char *buf)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].key == key)
			return strcpy(buf, names[i].name);
	if (key >= KEY_F1_ && key <= KEY_F10_)
		snprintf(buf, 16, "F%d", key - KEY_F1_ + 1);
	else if (key < 32)
		snprintf(buf, 16, "^%c", key + 64);
	else
		snprintf(buf, 16, "%c", key < 127 ? key : '?');
	return buf;
}

void keys_list(const struct binding *b, char *buf, size_t size)
{
	char name[16];
	size_t used = 0;

	buf[0] = '\0';
	for (size_t k = 0; k < ARRAY_LEN(b->keys) && b->keys[k] && used < size; k++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", k ? " " : "",
					 keys_name(b->keys[k], name));
}
