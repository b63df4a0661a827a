/* SPDX-License-Identifier: MIT */
/*
 * app.c - the screen thread: news and events change the model, then the model is drawn.
 *
 * It never waits for the target. All that can take time is asked of the feed (feed.c) and comes
 * back as news.
 */
#define _GNU_SOURCE
#include "app.h"
#include "feed.h"
#include "input.h"
#include "term.h"
#include "util.h"
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIN_INTERVAL (NSEC_PER_SEC / 10)
#define MAX_INTERVAL (60 * NSEC_PER_SEC)

struct app {
	const struct app_options *opt;
	struct model m;
	struct feed *feed;
	struct screen screen;
	int wake[2];
	bool quit, kill_child;
	bool attaching; /* to what was chosen in the picker; no answer yet */
	int64_t listed; /* when the picker's processes were last asked for */
	int status;
	struct goro_error *fatal; /* told after the terminal is restored */
};

/* ---- news ------------------------------------------------------------------------------------ */

static void show_error(struct app *a, struct goro_error *err)
{
	struct model *m = &a->m;

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
	m->explain_pid = a->attaching ? m->picker_selected : 0;
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
	m->ended = news.ended;
	m->waiting = news.waiting;
	m->busy_since = news.busy_since;
	if (news.listing)
		model_listing(m, news.listing);
	if (news.frame && m->paused) {
		/* It was under way when the screen was frozen. */
		feed_give_back(a->feed, news.frame);
	} else if (news.frame) {
		model_frame(m, news.frame);
		feed_give_back(a->feed, m->spare);
		m->spare = NULL;
		if (m->view == VIEW_PICKER) {
			m->view = VIEW_GROUPS;
			m->message[0] = '\0';
		}
		a->attaching = false;
	}
	if (news.error && news.ended && m->frame)
		goro_error_free(news.error);
	else if (news.error)
		show_error(a, news.error);
}

static void list_processes(struct app *a)
{
	a->listed = a->m.now;
	feed_list(a->feed, a->m.listing_all);
}

/* The picker shows what runs now; but a request to attach must not be overtaken. */
static void keep_listing(struct app *a)
{
	if (a->m.view == VIEW_PICKER && !a->attaching && a->m.now - a->listed > 2 * NSEC_PER_SEC)
		list_processes(a);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void leave_target(struct app *a)
{
	struct frame *frames[2];

	model_drop_frames(&a->m, frames);
	feed_give_back(a->feed, frames[0]);
	feed_give_back(a->feed, frames[1]);
	feed_detach(a->feed);
	a->m.view = VIEW_PICKER;
	a->m.nback = 0;
	list_processes(a);
}

static void attach_selected(struct app *a)
{
	struct model *m = &a->m;

	if (!m->listing || m->picker_table.selected >= m->listing->n)
		return;
	goro_error_free(m->explain);
	m->explain = NULL;
	m->from_picker = true;
	m->picker_selected = m->listing->c[m->picker_table.selected].pid;
	model_say(m, false, "attaching to %d", m->picker_selected);
	a->attaching = true;
	feed_attach_pid(a->feed, m->picker_selected);
}

static void open_goroutine(struct model *m, uint64_t id)
{
	m->gid = id;
	m->frame_selected = 0;
	m->runtime_frames = false;
	model_go(m, VIEW_GOROUTINE);
	view_new_frame(m);
}

static void open_selected(struct app *a)
{
	struct model *m = &a->m;

	if (m->view == VIEW_PICKER)
		attach_selected(a);
	else if (m->view == VIEW_GROUPS)
		model_open_group(m);
	else if (m->view == VIEW_LIST && m->list_table.selected < m->list_table.n)
		open_goroutine(m, m->frame->snap->g[m->list[m->list_table.selected]].id);
}

static void back(struct app *a)
{
	struct model *m = &a->m;

	if (m->view == VIEW_PICKER && m->explain) {
		goro_error_free(m->explain);
		m->explain = NULL;
	} else if (m->view == VIEW_GROUPS && m->from_picker) {
		leave_target(a);
	} else if (!model_back(m) && m->view != VIEW_GROUPS && m->view != VIEW_PICKER) {
		m->view = VIEW_GROUPS;
	}
}

static void show_all(struct model *m, enum view_id view)
{
	if (view == VIEW_LIST && (m->in_group || m->view != VIEW_LIST)) {
		m->in_group = false;
		model_refresh(m);
	}
	model_go(m, view);
}

static void move(struct model *m, long by)
{
	struct table *t = model_table(m);

	if (t) {
		table_move(t, by);
		model_note_selection(m);
		return;
	}
	size_t *at = m->view == VIEW_HELP ? &m->help_top : &m->frame_selected;
	size_t away = (size_t)(by < 0 ? -by : by);

	/* Past the end is put right by the view. */
	*at = by > 0 ? *at + (away < 10000 ? away : 10000) : *at > away ? *at - away : 0;
	view_new_frame(m);
}

static long page(const struct app *a)
{
	struct model *m = (struct model *)&a->m;
	const struct table *t = model_table(m);
	int h = t ? t->height : a->screen.h - 8;

	return h > 2 ? h - 1 : 1;
}

static void sort_by(struct model *m, int column)
{
	struct table *t = model_table(m);

	if (!t || m->view == VIEW_PICKER || column < 0 || !t->columns[column].id)
		return;
	if (column == t->sort)
		t->invert = !t->invert;
	else
		t->invert = false;
	t->sort = column;
	model_refresh(m);
}

static void search_again(struct model *m, int step)
{
	struct table *t = model_table(m);

	if (!m->search[0]) {
		model_say(m, true, "nothing to search for yet: / starts a search");
		return;
	}
	if (!t->n || !model_search(m, t->selected + t->n + (size_t)(step > 0 ? 1 : -1), step))
		model_say(m, true, "no row has \"%s\"", m->search);
}

static void follow_chain(struct model *m)
{
	uint64_t chain[2];
	bool cycle;

	if (m->frame && goro_wait_chain(m->frame->snap, m->gid, chain, 2, &cycle) == 2)
		open_goroutine(m, chain[1]);
	else
		model_say(m, true, "it waits for no other goroutine that is known");
}

/* The goroutine beside the one on show, in the order of the list. */
static void neighbour(struct model *m, int step)
{
	struct table *t = &m->list_table;

	if (!m->frame || !t->n)
		return;
	for (size_t i = 0; i < t->n; i++) {
		if (m->frame->snap->g[m->list[i]].id != m->gid)
			continue;
		if ((step < 0 && i == 0) || (step > 0 && i + 1 == t->n))
			return;
		t->selected = step > 0 ? i + 1 : i - 1;
		m->gid = m->list_selected = m->frame->snap->g[m->list[t->selected]].id;
		m->frame_selected = 0;
		view_new_frame(m);
		return;
	}
}

static void set_interval(struct app *a, int64_t ns)
{
	struct text t;

	if (ns < MIN_INTERVAL)
		ns = MIN_INTERVAL;
	if (ns > MAX_INTERVAL)
		ns = MAX_INTERVAL;
	a->m.interval_ns = ns;
	feed_set_interval(a->feed, ns);
	model_say(&a->m, false, "refresh every %s", fmt_duration(&t, (uint64_t)ns));
}

/* 0.1 .2 .5 1 2 5 10 .. 60 s */
static int64_t next_interval(int64_t ns, bool slower)
{
	static const int64_t steps[] = { 1, 2, 5, 10, 20, 50, 100, 200, 300, 600 };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		size_t k = slower ? i : ARRAY_LEN(steps) - 1 - i;
		int64_t step = steps[k] * MIN_INTERVAL;

		if (slower ? step > ns : step < ns)
			return step;
	}
	return ns;
}

static void pause_or_go(struct app *a)
{
	a->m.paused = !a->m.paused;
	feed_hold(a->feed, a->m.paused);
}

static void explain(struct app *a)
{
	struct model *m = &a->m;

	if (!m->listing || m->picker_table.selected >= m->listing->n)
		return;
	const struct goro_candidate *c = &m->listing->c[m->picker_table.selected];
	if (c->attachable) {
		model_say(m, false, "%d can be attached: Enter", c->pid);
		return;
	}
	attach_selected(a);
}

static void click_row(struct app *a, size_t row)
{
	struct model *m = &a->m;
	struct table *t = model_table(m);

	if (m->view == VIEW_GOROUTINE) {
		m->frame_selected = row;
		view_new_frame(m);
	} else if (t && t->selected == row) {
		open_selected(a);
	} else if (t) {
		t->selected = row;
		model_note_selection(m);
	}
}

static void quit(struct app *a, bool kill_child)
{
	a->quit = true;
	a->kill_child = kill_child;
}

static void toggle_view(struct model *m)
{
	show_all(m, m->view == VIEW_GROUPS ? VIEW_LIST : VIEW_GROUPS);
}

static void run_command(struct app *a, enum command c, long arg)
{
	struct model *m = &a->m;
	struct table *t = model_table(m);

	switch (c) {
	case CMD_UP:
		return move(m, -1);
	case CMD_DOWN:
		return move(m, 1);
	case CMD_PAGE_UP:
		return move(m, -page(a));
	case CMD_PAGE_DOWN:
		return move(m, page(a));
	case CMD_HALF_UP:
		return move(m, -(page(a) + 1) / 2);
	case CMD_HALF_DOWN:
		return move(m, (page(a) + 1) / 2);
	case CMD_TOP:
		return move(m, -INT32_MAX);
	case CMD_BOTTOM:
		return move(m, INT32_MAX);
	case CMD_OPEN:
		return open_selected(a);
	case CMD_BACK:
		return back(a);
	case CMD_GROUPS:
		return show_all(m, VIEW_GROUPS);
	case CMD_LIST:
		return show_all(m, VIEW_LIST);
	case CMD_TAB:
	case CMD_BACKTAB:
		return toggle_view(m);
	case CMD_GROUP_KEY:
		return model_set_group_key(m, (enum goro_group_key)((m->group_key + 1) % 3));
	case CMD_SORT_NEXT:
		return sort_by(m, table_next_sort(t, a->screen.w, 1));
	case CMD_SORT_PREV:
		return sort_by(m, table_next_sort(t, a->screen.w, -1));
	case CMD_SORT_BY:
		return sort_by(m, (int)arg);
	case CMD_INVERT:
		return sort_by(m, t->sort);
	case CMD_FILTER:
		return input_open(m, INPUT_FILTER);
	case CMD_CLEAR_FILTER:
		return model_set_filter(m, NULL);
	case CMD_SEARCH:
		return input_open(m, INPUT_SEARCH);
	case CMD_SEARCH_NEXT:
		return search_again(m, 1);
	case CMD_SEARCH_PREV:
		return search_again(m, -1);
	case CMD_GOTO:
		return input_open(m, INPUT_GOTO);
	case CMD_MARK:
		if (m->frame)
			model_mark(m);
		feed_give_back(a->feed, m->spare);
		m->spare = NULL;
		return;
	case CMD_CHAIN:
		return follow_chain(m);
	case CMD_RUNTIME_FRAMES:
		m->runtime_frames = !m->runtime_frames;
		m->frame_selected = 0;
		return view_new_frame(m);
	case CMD_PREV_G:
		return neighbour(m, -1);
	case CMD_NEXT_G:
		return neighbour(m, 1);
	case CMD_EXPLAIN:
		return explain(a);
	case CMD_ALL:
		m->listing_all = !m->listing_all;
		return list_processes(a);
	case CMD_RESCAN:
		return list_processes(a);
	case CMD_PAUSE:
		return pause_or_go(a);
	case CMD_SLOWER:
		return set_interval(a, next_interval(m->interval_ns, true));
	case CMD_FASTER:
		return set_interval(a, next_interval(m->interval_ns, false));
	case CMD_REDRAW:
		return term_redraw();
	case CMD_SUSPEND:
		return term_suspend();
	case CMD_HELP:
		m->help_top = 0;
		return m->view == VIEW_HELP ? back(a) : model_go(m, VIEW_HELP);
	case CMD_QUIT:
		return quit(a, false);
	case CMD_QUIT_KILL:
		return quit(a, true);
	case CMD_ROW:
		return click_row(a, (size_t)arg);
	case CMD_NONE:
		return;
	}
}

/* ---- events ---------------------------------------------------------------------------------- */

static void input_done(struct app *a)
{
	struct model *m = &a->m;
	uint64_t id;

	switch (input_enter(m, &id)) {
	case INPUT_RESULT_GOTO:
		open_goroutine(m, id);
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
			quit(a, false);
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
	run_command(a, keys_command(key, view_ops(m->view)->bit), 0);
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
			run_command(a, (enum command)hot->command, hot->arg);
		break;
	case EVENT_WHEEL:
		if (a->m.input.kind == INPUT_NONE)
			move(&a->m, ev->by);
		break;
	case EVENT_RESIZE:
		term_redraw();
		break;
	case EVENT_HANGUP:
		quit(a, false);
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

bool app_apply_sort(struct model *m, const struct app_options *opt)
{
	int group, list;

	if (!opt->sort)
		return true;
	group = table_column(&m->group_table, opt->sort);
	list = table_column(&m->list_table, opt->sort);
	if (group < 0 && list < 0)
		return false;
	if (group >= 0) {
		m->group_table.sort = group;
		m->group_table.invert = opt->sort_inverted;
	}
	if (list >= 0) {
		m->list_table.sort = list;
		m->list_table.invert = opt->sort_inverted;
	}
	return true;
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
	m->view = opt->group_key == GORO_BY_NONE ? VIEW_LIST : VIEW_GROUPS;
	if (opt->child) {
		m->target = xstrdup(opt->child_name);
		feed_await_pid(a->feed, opt->child);
	} else if (opt->target) {
		m->target = xstrdup(opt->target);
		feed_attach(a->feed, opt->target);
	} else {
		m->from_picker = true;
		m->view = VIEW_PICKER;
		list_processes(a);
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
	struct frame *frames[2];
	int w, h;

	open_wake(a.wake);
	if (!term_open(&to))
		return GORO_USAGE;
	term_size(&w, &h);
	screen_init(&a.screen, w, h, opt->ascii);
	model_init(&a.m, opt->ascii);
	a.feed = feed_start(&fo, a.wake[1]);
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
	model_drop_frames(&a.m, frames);
	feed_give_back(a.feed, frames[0]);
	feed_give_back(a.feed, frames[1]);
	model_free(&a.m);
	screen_free(&a.screen);
	if (!feed_stop(a.feed))
		return a.status; /* it hangs in the kernel, and may still write to the pipe */
	close(a.wake[0]);
	close(a.wake[1]);
	return a.status;
}
