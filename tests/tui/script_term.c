/* SPDX-License-Identifier: MIT */
/* script_term.c - term.h over a script. */
#define _GNU_SOURCE
#include "script_term.h"
#include "keys.h"
#include "term.h"
#include "util.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const *steps;
static size_t at;
static script_fn *callback;
static int width, height;
static char *shown; /* the screen as text */
static int64_t waiting_since;
static struct event queue[512];
static size_t queued, taken;

void script_set(const char *const *s, script_fn *fn)
{
	steps = s;
	callback = fn;
	at = 0;
	width = 100;
	height = 30;
	waiting_since = 0;
	queued = taken = 0;
}

int script_done(void)
{
	return !steps[at];
}

bool term_open(const struct term_options *opt)
{
	(void)opt;
	return true;
}

void term_close(void)
{
	free(shown);
	shown = NULL;
}

void term_size(int *w, int *h)
{
	*w = width;
	*h = height;
}

void term_draw(const struct screen *s)
{
	size_t size;
	FILE *f;

	free(shown);
	shown = NULL;
	f = open_memstream(&shown, &size);
	screen_dump(s, f);
	fclose(f);
}

void term_redraw(void)
{
}

void term_mouse(bool on)
{
	(void)on;
}

void term_suspend(void)
{
}

static void push(struct event ev)
{
	if (queued == ARRAY_LEN(queue)) {
		fprintf(stderr, "the script types too much at once\n");
		exit(1);
	}
	queue[queued++] = ev;
}

static void push_key(int key)
{
	push((struct event){ .kind = EVENT_KEY, .key = key });
}

static int key_by_name(const char *name)
{
	char buf[16];

	if (name[0] && !name[1])
		return name[0];
	for (int key = 1; key <= KEY_BACKTAB_; key++) {
		if (key == 33)
			key = KEY_SPECIAL;
		if (strcmp(keys_name(key, buf), name) == 0)
			return key;
	}
	fprintf(stderr, "the script knows no key '%s'\n", name);
	exit(1);
}

static void click(const char *text)
{
	const char *hit = strstr(shown, text), *line = shown;
	int y = 0, x = 0;

	if (!hit) {
		fprintf(stderr, "cannot click on \"%s\":\n%s", text, shown);
		exit(1);
	}
	for (const char *p = shown; p < hit; p++)
		if (*p == '\n') {
			y++;
			line = p + 1;
		}
	for (const char *p = line; p < hit; p++)
		x += ((unsigned char)*p & 0xc0) != 0x80;
	push((struct event){ .kind = EVENT_CLICK, .y = y, .x = x });
}

/* True when it is as wanted; false: not yet. */
static bool seen(const char *text, bool wanted)
{
	int64_t now = clock_now();

	if ((strstr(shown, text) != NULL) == wanted) {
		waiting_since = 0;
		return true;
	}
	if (!waiting_since)
		waiting_since = now;
	if (now - waiting_since < 10 * NSEC_PER_SEC)
		return false;
	fprintf(stderr, "step %zu: \"%s\" %s:\n%s", at, text, wanted ? "never came" : "never went",
		shown);
	exit(1);
}

/* False: nothing can be done before the screen changes. */
static bool step(const char *s)
{
	const char *arg = strchr(s, ' ');

	arg = arg ? arg + 1 : "";
	if (strncmp(s, "see ", 4) == 0)
		return seen(arg, true);
	if (strncmp(s, "gone ", 5) == 0)
		return seen(arg, false);
	if (strncmp(s, "key ", 4) == 0) {
		push_key(key_by_name(arg));
	} else if (strncmp(s, "type ", 5) == 0) {
		for (; *arg; arg++)
			push_key((unsigned char)*arg);
	} else if (strncmp(s, "click ", 6) == 0) {
		click(arg);
	} else if (strncmp(s, "wheel ", 6) == 0) {
		push((struct event){ .kind = EVENT_WHEEL, .by = atoi(arg) });
	} else if (strncmp(s, "size ", 5) == 0) {
		sscanf(arg, "%d %d", &width, &height);
		push((struct event){ .kind = EVENT_RESIZE });
	} else if (strcmp(s, "hangup") == 0) {
		push((struct event){ .kind = EVENT_HANGUP });
	} else if (strncmp(s, "do ", 3) == 0) {
		callback(arg);
	} else {
		fprintf(stderr, "the script has no step '%s'\n", s);
		exit(1);
	}
	return true;
}

void term_wait(int wake_fd, int timeout_ms)
{
	struct pollfd p = { .fd = wake_fd, .events = POLLIN };
	char drain[64];

	(void)timeout_ms;
	if (taken < queued)
		return;
	if (!steps[at]) {
		fprintf(stderr, "the script is over and gotop has not quit:\n%s", shown);
		exit(1);
	}
	if (step(steps[at])) {
		at++;
		return;
	}
	if (poll(&p, 1, 20) > 0)
		while (read(wake_fd, drain, sizeof(drain)) == sizeof(drain))
			;
}

bool term_event(struct event *ev)
{
	if (taken == queued) {
		taken = queued = 0;
		return false;
	}
	*ev = queue[taken++];
	return true;
}
