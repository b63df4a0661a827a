/* SPDX-License-Identifier: MIT */
/*
 * app.c - the screen thread: news and events change the model, then the model is drawn.
 *
 * It never waits for the target. All that can take time is asked of the feed (feed.c) and comes
 * back as news.
 */
#define _GNU_SOURCE
#include "app.h"
#include "command.h"
#include "feed.h"
#include "input.h"
#include "prof.h"
#include "term.h"
#include "util.h"
#include "view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- news ------------------------------------------------------------------------------------ */

static void show_error(struct app *a, struct goro_error *err)
{
	struct model *m = &a->m;

	m->proving = false;
	if (m->frame) {
		free(m->read_error);
		m->read_error = xstrdup(err->message ? err->message : "unknown error");
		goro_error_free(err);
		return;
	}
	if (!m->from_picker) {
		/* There is nothing to show: the command line named this target. */
		a->fatal = err;
		a->status = (int)err->code;
		a->quit = true;
		return;
	}
	m->explain_pid = a->attaching ? m->asked_pid : 0;
	a->attaching = false;
	m->message[0] = '\0';
	goro_error_free(m->explain);
	m->explain = err;
	m->view = VIEW_PICKER;
	m->nback = 0;
}

static void take_news(struct app *a)
{
	struct model *m = &a->m;
	struct news news;

	feed_take(a->feed, &news);
	m->attached = news.attached;
	if (news.ended && !m->ended && m->frame)
		model_say(m, false, "it has ended: Esc leads from the groups to all that run now");
	m->ended = news.ended;
	m->waiting = news.waiting;
	m->busy_since = news.busy_since;
	if (news.listing)
		model_listing(m, news.listing);
	if (news.frame && m->paused && news.frame->snap->source != GORO_RECORDING) {
		/* It was under way when the screen was frozen. */
		feed_give_back(a->feed, news.frame);
	} else if (news.frame) {
		feed_give_back(a->feed, model_frame(m, news.frame));
		model_rows(m);
		if (m->view == VIEW_PICKER) {
			m->view = app_screen(a->opt);
			view_new_frame(m);
			m->message[0] = '\0';
		}
		if (m->frame->proved)
			command_proved(m);
		a->attaching = false;
	}
	if (news.error && news.ended && m->frame)
		goro_error_free(news.error);
	else if (news.error)
		show_error(a, news.error);
}

/* The picker shows what runs now; but a request to attach must not be overtaken. */
static void keep_listing(struct app *a)
{
	if (a->m.view == VIEW_PICKER && !a->attaching && a->m.now - a->listed > 2 * NSEC_PER_SEC)
		command_list_processes(a);
}

/* The target is sampled only while that can be seen. */
static void keep_sampling(struct app *a)
{
	struct model *m = &a->m;
	const struct goro_snapshot *snap = m->frame ? m->frame->snap : NULL;
	struct picture *picture;
	struct goro_error *err;

	if (m->view == VIEW_PROFILE && snap && snap->source == GORO_LIVE && !m->paused && !m->ended)
		prof_run(a->prof, snap->pid, profile_mode(m), m->frame->n);
	else
		prof_halt(a->prof);
	prof_take(a->prof, &picture, &err);
	if (picture)
		profile_show(m, picture);
	if (err)
		profile_failed(m, err);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void input_done(struct app *a)
{
	struct model *m = &a->m;
	uint64_t id;

	switch (input_enter(m, &id)) {
	case INPUT_RESULT_GOTO:
		model_open_goroutine(m, id);
		break;
	case INPUT_RESULT_NONE:
		break;
	}
}

static void on_key(struct app *a, int key)
{
	struct model *m = &a->m;

	m->message[0] = '\0';
	if (m->input.kind != INPUT_NONE) {
		if (key == KEY_CTRL('C')) {
			command_quit(a, false);
			return;
		}
		if (key == KEY_ENTER_)
			input_done(a);
		else
			input_key(m, key);
		if (m->input.kind == INPUT_NONE)
			term_mouse(true);
		return;
	}
	command_run(a, keys_command(key, view_bit(m->view)), key);
	if (m->input.kind != INPUT_NONE)
		term_mouse(false);
}

static void on_event(struct app *a, const struct event *ev)
{
	const struct hot *hot;

	switch (ev->kind) {
	case EVENT_KEY:
		on_key(a, ev->key);
		break;
	case EVENT_CLICK:
		hot = screen_hit(&a->screen, ev->y, ev->x);
		a->m.message[0] = '\0';
		if (hot && a->m.input.kind == INPUT_NONE)
			command_run(a, (enum command)hot->command, hot->arg);
		break;
	case EVENT_WHEEL:
		if (a->m.input.kind == INPUT_NONE)
			command_move(&a->m, ev->by);
		break;
	case EVENT_RESIZE:
		term_redraw();
		break;
	case EVENT_HANGUP:
		command_quit(a, false);
		break;
	}
}

static void draw(struct app *a)
{
	int w, h;

	term_size(&w, &h);
	if (w != a->screen.w || h != a->screen.h)
		screen_resize(&a->screen, w, h);
	view_draw(&a->m, &a->screen);
	term_draw(&a->screen);
}

static void loop(struct app *a)
{
	while (!a->quit) {
		struct event ev;

		a->m.now = a->opt->clock();
		take_news(a);
		if (a->quit)
			break;
		keep_listing(a);
		keep_sampling(a);
		draw(a);
		/* Half a second: the age of data that are not renewed is on the screen. */
		term_wait(a->wake[0], 500);
		while (!a->quit && term_event(&ev)) {
			on_event(a, &ev);
			/* A click on what is not yet drawn would hit something else. */
			if (ev.kind == EVENT_CLICK)
				draw(a);
		}
	}
}

/* To every table that has such a column. */
bool app_apply_sort(struct model *m, const struct app_options *opt)
{
	bool found = !opt->sort;

	for (int v = 0; opt->sort && v < NVIEWS; v++) {
		struct table *t;
		int column;

		if (!(view_traits((enum view_id)v) & HAS_SORT))
			continue;
		t = view_table(m, (enum view_id)v);
		column = table_column(t, opt->sort);
		if (column < 0)
			continue;
		found = true;
		t->sort = column;
		t->invert = opt->sort_inverted;
	}
	return found;
}

enum view_id app_screen(const struct app_options *opt)
{
	if (opt->screen)
		return view_by_name(opt->screen);
	return opt->group_key == GORO_BY_NONE ? VIEW_LIST : VIEW_GROUPS;
}

static void begin(struct app *a)
{
	const struct app_options *opt = a->opt;
	struct model *m = &a->m;

	m->now = opt->clock();
	m->interval_ns = opt->interval_ns;
	m->filter = opt->filter;
	m->group_key = opt->group_key == GORO_BY_NONE ? GORO_BY_SPAWN : opt->group_key;
	app_apply_sort(m, opt);
	profile_set_mode(m, opt->profile);
	m->view = app_screen(opt);
	if (opt->child) {
		m->target = xstrdup(opt->child_name);
		feed_await_pid(a->feed, opt->child);
	} else if (opt->target) {
		m->target = xstrdup(opt->target);
		feed_attach(a->feed, opt->target);
	} else {
		m->from_picker = true;
		m->view = VIEW_PICKER;
		command_list_processes(a);
	}
}

/* Both ends: the feed must not block on a full pipe, the screen not on an empty one. */
static void open_wake(int wake[2])
{
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK)) {
		perror("gotop: cannot make a pipe");
		exit(1);
	}
}

int app_run(const struct app_options *opt, bool *kill_child)
{
	struct feed_options fo = { opt->interval_ns, SUSPECT_AGE_NS };
	struct term_options to = { opt->color, opt->mouse, opt->ascii };
	struct app a = { .opt = opt };
	int w, h;

	open_wake(a.wake);
	if (!term_open(&to))
		return GORO_USAGE;
	term_size(&w, &h);
	screen_init(&a.screen, w, h, opt->ascii);
	model_init(&a.m, opt->ascii);
	a.feed = feed_start(&fo, a.wake[1]);
	a.prof = prof_start(a.wake[1]);
	begin(&a);
	loop(&a);
	term_close();
	if (a.fatal) {
		fprintf(stderr, "gotop: %s\n", a.fatal->message ? a.fatal->message : "error");
		if (a.fatal->hint)
			fprintf(stderr, "%s\n", a.fatal->hint);
		goro_error_free(a.fatal);
	}
	*kill_child = a.kill_child;
	feed_give_back(a.feed, model_drop_frame(&a.m));
	model_free(&a.m);
	screen_free(&a.screen);
	bool hangs = !prof_stop(a.prof);
	if (!feed_stop(a.feed) || hangs)
		return a.status; /* it hangs in the kernel, and may still write to the pipe */
	close(a.wake[0]);
	close(a.wake[1]);
	return a.status;
}
