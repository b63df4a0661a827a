/* SPDX-License-Identifier: MIT */
/*
 * command.c - one function for each thing that the user can do, and the switch from command to
 * function. What takes time is asked of the feed.
 */
#include "command.h"
#include "feed.h"
#include "input.h"
#include "term.h"
#include "util.h"
#include "view.h"

#define MIN_INTERVAL (NSEC_PER_SEC / 10)
#define MAX_INTERVAL (60 * NSEC_PER_SEC)

void command_list_processes(struct app *a)
{
	a->listed = a->m.now;
	feed_list(a->feed, a->m.listing_all);
}

static void leave_target(struct app *a)
{
	feed_give_back(a->feed, model_drop_frame(&a->m));
	feed_detach(a->feed);
	a->m.view = VIEW_PICKER;
	a->m.nback = 0;
	a->m.from_picker = true; /* whoever was named on the command line */
	command_list_processes(a);
}

static const struct goro_candidate *selected_candidate(struct model *m)
{
	size_t row = view_table(m, VIEW_PICKER)->selected;

	return m->listing && row < m->listing->n ? &m->listing->c[row] : NULL;
}

static void attach_selected(struct app *a)
{
	struct model *m = &a->m;

	const struct goro_candidate *c = selected_candidate(m);

	if (!c)
		return;
	goro_error_free(m->explain);
	m->explain = NULL;
	m->from_picker = true;
	m->asked_pid = c->pid;
	model_say(m, false, "attaching to %d", c->pid);
	a->attaching = true;
	feed_attach_pid(a->feed, c->pid);
}

static void open_selected(struct app *a)
{
	struct model *m = &a->m;
	const struct table *t = model_table(m);

	if (m->view == VIEW_PICKER)
		attach_selected(a);
	else if (view_ops(m->view)->open && m->frame && t->selected < t->n)
		view_ops(m->view)->open(m, t->selected);
}

static void back(struct app *a)
{
	struct model *m = &a->m;

	if (m->view == VIEW_PICKER && m->explain) {
		goro_error_free(m->explain);
		m->explain = NULL;
	} else if (m->view == VIEW_GROUPS && (m->from_picker || m->ended)) {
		leave_target(a);
	} else if (!model_back(m) && m->view != VIEW_GROUPS && m->view != VIEW_PICKER) {
		m->view = VIEW_GROUPS;
	}
}

static void show_all(struct model *m, enum view_id view)
{
	if (view == NVIEWS)
		return;
	if (view == VIEW_LIST && (m->in_group || m->view != VIEW_LIST)) {
		m->in_group = false;
		model_refresh(m);
	}
	model_go(m, view);
}

void command_move(struct model *m, long by)
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

	if (!t || !(view_traits(m->view) & HAS_SORT) || column < 0 || !t->columns[column].id)
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
		model_open_goroutine(m, chain[1]);
	else
		model_say(m, true, "it waits for no other goroutine that is known");
}

/* The goroutine beside the one on show, in the order of the list. */
static void neighbour(struct model *m, int step)
{
	struct table *t = view_table(m, VIEW_LIST);

	model_list(m);
	if (!m->frame || !t->n)
		return;
	for (size_t i = 0; i < t->n; i++) {
		if (list_key(m, i) != m->gid)
			continue;
		if ((step < 0 && i == 0) || (step > 0 && i + 1 == t->n))
			return;
		t->selected = step > 0 ? i + 1 : i - 1;
		table_choose(t, list_key, m);
		m->gid = t->key;
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

/* What came of it is said when the frame is there: see command_proved(). */
static void prove(struct app *a)
{
	struct model *m = &a->m;

	if (!m->frame || m->frame->snap->source == GORO_RECORDING)
		return model_say(m, true, "only of a program that runs, or a core file");
	if (m->ended || m->paused)
		return model_say(m, true, m->ended ? "it has ended" : "paused: Z goes on");
	m->proving = true;
	model_say(m, false, "searching its memory");
	feed_prove(a->feed);
}

void command_proved(struct model *m)
{
	const struct goro_verdicts *v = m->frame->verdicts;
	struct text n, t;
	char pause[64] = "it was not stopped";

	m->proving = false;
	if (!v || !v->reach.tried)
		return model_say(m, true, "nothing can be proved here");
	if (v->reach.pause_ns > m->pause_ns)
		m->pause_ns = v->reach.pause_ns;
	if (v->reach.unknown[0])
		return model_say(m, true, "reachability is unknown: %s", v->reach.unknown);
	if (v->reach.stops)
		snprintf(pause, sizeof(pause), "it was stopped for %s",
			 fmt_duration(&t, v->reach.pause_ns));
	if (v->leaked)
		model_say(m, false, "%s goroutine%s LEAKED; %s", fmt_count(&n, v->leaked),
			  v->leaked == 1 ? " is" : "s are", pause);
	else
		model_say(m, false, "nothing is leaked; %s", pause);
}

static void step(struct app *a, long ticks)
{
	if (!a->m.frame || a->m.frame->snap->source != GORO_RECORDING)
		return model_say(&a->m, true, "only in a recording: gotop FILE");
	if (!a->m.paused)
		pause_or_go(a);
	feed_step(a->feed, ticks);
}

static void explain(struct app *a)
{
	struct model *m = &a->m;

	const struct goro_candidate *c = selected_candidate(m);

	if (!c)
		return;
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

void command_quit(struct app *a, bool kill_child)
{
	a->quit = true;
	a->kill_child = kill_child;
}

void command_run(struct app *a, enum command c, long arg)
{
	struct model *m = &a->m;
	struct table *t = model_table(m);

	if (view_ops(m->view)->command && view_ops(m->view)->command(m, c))
		return;
	switch (c) {
	case CMD_UP:
		return command_move(m, -1);
	case CMD_DOWN:
		return command_move(m, 1);
	case CMD_PAGE_UP:
		return command_move(m, -page(a));
	case CMD_PAGE_DOWN:
		return command_move(m, page(a));
	case CMD_HALF_UP:
		return command_move(m, -(page(a) + 1) / 2);
	case CMD_HALF_DOWN:
		return command_move(m, (page(a) + 1) / 2);
	case CMD_TOP:
		return command_move(m, -INT32_MAX);
	case CMD_BOTTOM:
		return command_move(m, INT32_MAX);
	case CMD_OPEN:
		return open_selected(a);
	case CMD_BACK:
		return back(a);
	case CMD_SCREEN:
		return show_all(m, view_by_digit((int)arg));
	case CMD_TAB:
		return show_all(m, view_beside(m->view, 1));
	case CMD_BACKTAB:
		return show_all(m, view_beside(m->view, -1));
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
		return;
	case CMD_PROVE:
		return prove(a);
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
		return command_list_processes(a);
	case CMD_RESCAN:
		return command_list_processes(a);
	case CMD_PAUSE:
		return pause_or_go(a);
	case CMD_STEP_BACK:
		return step(a, -1);
	case CMD_STEP:
		return step(a, 1);
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
		/* Who leaves a page of help by q, as of man, does not mean all of it. */
		if (m->view == VIEW_HELP && arg == 'q')
			return back(a);
		return command_quit(a, false);
	case CMD_QUIT_KILL:
		return command_quit(a, true);
	case CMD_ROW:
		return click_row(a, (size_t)arg);
	case CMD_WINDOW:
	case CMD_WALL:
	case CMD_OFFCPU:
	case CMD_CPU:
	case CMD_TREE:
	case CMD_BY_SPAWN:
	case CMD_NONE:
		return;
	}
}
