/* SPDX-License-Identifier: MIT */
/*
 * term.c - the terminal, by ncurses. The only file that includes it.
 *
 * raw() rather than cbreak(): ^C, ^Z and ^\ are keys, so that they restore the terminal before
 * anything else happens. A crash restores it too (the handler runs endwin(), which is not
 * async-signal-safe, but nothing can be made worse by then).
 */
#define _XOPEN_SOURCE_EXTENDED 1
#define _GNU_SOURCE
#include "term.h"
#include "keys.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_open, mouse_wanted, hung_up;
static volatile sig_atomic_t got_signal, got_winch;
static attr_t look[NROLES];
static short pair_of[NROLES];

static void on_end(int sig)
{
	got_signal = sig;
}

static void on_winch(int sig)
{
	(void)sig;
	got_winch = 1;
}

static void on_crash(int sig)
{
	if (is_open)
		endwin();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static void handle_signals(void)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		handle(ends[i], on_end);
	for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
		handle(crashes[i], on_crash);
	handle(SIGWINCH, on_winch);
	signal(SIGPIPE, SIG_IGN);
}

/* How each role looks: attributes that carry it without colour, and a colour. */
static const struct {
	attr_t attr;
	short fg, bg;
} styles[NROLES] = {
	[ROLE_TEXT] = { A_NORMAL, -1, -1 },
	[ROLE_DIM] = { A_DIM, -1, -1 },
	[ROLE_TITLE] = { A_BOLD, -1, -1 },
	[ROLE_BOX] = { A_DIM, -1, -1 },
	[ROLE_HEAD] = { A_REVERSE, COLOR_BLACK, COLOR_GREEN },
	[ROLE_KEY] = { A_NORMAL, -1, -1 },
	[ROLE_BAR] = { A_REVERSE, COLOR_BLACK, COLOR_CYAN },
	[ROLE_ALARM] = { A_BOLD, COLOR_RED, -1 },
	[ROLE_RUN] = { A_NORMAL, COLOR_GREEN, -1 },
	[ROLE_READY] = { A_NORMAL, COLOR_CYAN, -1 },
	[ROLE_LOCK] = { A_BOLD, COLOR_RED, -1 },
	[ROLE_CHAN] = { A_NORMAL, COLOR_YELLOW, -1 },
	[ROLE_IO] = { A_BOLD, COLOR_BLUE, -1 },
	[ROLE_SLEEP] = { A_DIM, -1, -1 },
	[ROLE_SYSCALL] = { A_NORMAL, COLOR_MAGENTA, -1 },
	[ROLE_LEAKED] = { A_BOLD | A_REVERSE, COLOR_RED, -1 },
	[ROLE_LIKELY] = { A_BOLD, COLOR_YELLOW, -1 },
	[ROLE_SUSPECT] = { A_NORMAL, COLOR_YELLOW, -1 },
};

static void make_styles(bool color)
{
	short pairs = 0;

	color = color && has_colors();
	if (color) {
		start_color();
		use_default_colors();
	}
	for (int r = 0; r < NROLES; r++) {
		bool painted = color && (styles[r].fg >= 0 || styles[r].bg >= 0);

		look[r] = styles[r].attr;
		pair_of[r] = 0;
		if (!painted || pairs + 1 >= COLOR_PAIRS)
			continue;
		if (styles[r].bg >= 0)
			look[r] &= ~A_REVERSE;
		init_pair(++pairs, styles[r].fg, styles[r].bg);
		pair_of[r] = pairs;
	}
}

bool term_open(const struct term_options *opt)
{
	SCREEN *scr = newterm(NULL, stdout, stdin);

	if (!scr) {
		fprintf(stderr, "gotop: terminal type '%s' is not known here, using vt100\n",
			getenv("TERM") ? getenv("TERM") : "");
		scr = newterm("vt100", stdout, stdin);
	}
	if (!scr) {
		fprintf(stderr, "gotop: no terminal description: set TERM, or use -b\n");
		return false;
	}
	is_open = true;
	atexit(term_close);
	handle_signals();
	set_escdelay(25);
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	make_styles(opt->color);
	mouse_wanted = opt->mouse;
	term_mouse(true);
	return true;
}

/* Where there is no other screen to go back to, what follows is written over the last line. */
static void leave_screen(void)
{
	move(LINES - 1, 0);
	clrtoeol();
	refresh();
	endwin();
}

void term_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	mousemask(0, NULL);
	leave_screen();
}

void term_mouse(bool on)
{
	mmask_t mask = BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED;

	mousemask(on && mouse_wanted ? mask : 0, NULL);
	mouseinterval(0);
}

void term_size(int *w, int *h)
{
	getmaxyx(stdscr, *h, *w);
}

void term_draw(const struct screen *s)
{
	int w, h;

	term_size(&w, &h);
	erase();
	for (int y = 0; y < s->h && y < h; y++) {
		for (int x = 0; x < s->w && x < w; x++) {
			const struct cell *c = &s->cells[y * s->w + x];
			wchar_t text[2] = { (wchar_t)c->ch, 0 };
			cchar_t cc;

			if (!c->ch || (c->ch == ' ' && !c->role && !c->reverse))
				continue;
			setcchar(&cc, text, look[c->role] | (c->reverse ? A_REVERSE | A_BOLD : 0),
				 c->reverse && c->role != ROLE_LEAKED ? 0 : pair_of[c->role], NULL);
			/* Writing the last cell of the screen "fails" after it has been done. */
			(void)mvadd_wch(y, x, &cc);
		}
	}
	curs_set(s->cursor_x >= 0);
	if (s->cursor_x >= 0)
		move(s->cursor_y, s->cursor_x);
	refresh();
}

void term_redraw(void)
{
	clearok(stdscr, TRUE);
}

void term_wait(int wake_fd, int timeout_ms)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			       { .fd = wake_fd, .events = POLLIN } };
	char drain[64];

	if (got_signal || got_winch || hung_up)
		return;
	if (poll(p, 2, timeout_ms) <= 0)
		return;
	if (p[1].revents & POLLIN)
		while (read(wake_fd, drain, sizeof(drain)) == sizeof(drain))
			;
	if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
		hung_up = true;
}

static int translate(int c)
{
	static const struct {
		int curses, key;
	} map[] = {
		{ KEY_UP, KEY_UP_ },	    { KEY_DOWN, KEY_DOWN_ },
		{ KEY_LEFT, KEY_LEFT_ },    { KEY_RIGHT, KEY_RIGHT_ },
		{ KEY_PPAGE, KEY_PGUP_ },   { KEY_NPAGE, KEY_PGDN_ },
		{ KEY_HOME, KEY_HOME_ },    { KEY_END, KEY_END_ },
		{ KEY_FIND, KEY_HOME_ },    { KEY_SELECT, KEY_END_ },
		{ KEY_DC, KEY_DELETE_ },    { KEY_BACKSPACE, KEY_BACKSPACE_ },
		{ KEY_BTAB, KEY_BACKTAB_ }, { KEY_ENTER, KEY_ENTER_ },
		{ KEY_A1, KEY_HOME_ },	    { KEY_C1, KEY_END_ },
	};

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].curses == c)
			return map[i].key;
	if (c >= KEY_F(1) && c <= KEY_F(10))
		return KEY_F1_ + (c - KEY_F(1));
	return KEY_NONE;
}

static bool mouse_event(struct event *ev)
{
	MEVENT me;

	if (getmouse(&me) != OK)
		return false;
	ev->y = me.y;
	ev->x = me.x;
	if (me.bstate & BUTTON1_PRESSED) {
		ev->kind = EVENT_CLICK;
		return true;
	}
	ev->kind = EVENT_WHEEL;
	ev->by = me.bstate & BUTTON4_PRESSED ? -3 : me.bstate & BUTTON5_PRESSED ? 3 : 0;
	return ev->by != 0;
}

static bool key_event(struct event *ev)
{
	wint_t c;
	int rc;

	while ((rc = get_wch(&c)) != ERR) {
		ev->kind = EVENT_KEY;
		if (rc == KEY_CODE_YES && c == KEY_MOUSE) {
			if (mouse_event(ev))
				return true;
			continue;
		}
		if (rc == KEY_CODE_YES && c == KEY_RESIZE) {
			ev->kind = EVENT_RESIZE;
			return true;
		}
		if (rc == KEY_CODE_YES)
			ev->key = translate((int)c);
		else if (c == '\r')
			ev->key = KEY_ENTER_;
		else if (c == 127 || c == 8)
			ev->key = KEY_BACKSPACE_;
		else
			ev->key = (int)c;
		if (ev->key != KEY_NONE)
			return true;
	}
	return false;
}

bool term_event(struct event *ev)
{
	memset(ev, 0, sizeof(*ev));
	if (got_signal || hung_up) {
		ev->kind = EVENT_HANGUP;
		return true;
	}
	if (got_winch) {
		got_winch = 0;
		endwin();
		refresh();
		ev->kind = EVENT_RESIZE;
		return true;
	}
	return key_event(ev);
}

void term_suspend(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, old;

	mousemask(0, NULL);
	leave_screen();
	/* Not SIGSTOP: the shell says "Stopped" of this one, and it can be ignored. */
	sigemptyset(&dfl.sa_mask);
	sigaction(SIGTSTP, &dfl, &old);
	raise(SIGTSTP);
	sigaction(SIGTSTP, &old, NULL);
	term_mouse(true);
	clearok(stdscr, TRUE);
	refresh();
}
