/* SPDX-License-Identifier: MIT */
/*
 * Each screen, in four sizes, against the text that it should be. Regenerate with
 *
 *	test_tui_golden --update
 *
 * and read the difference before you commit it.
 */
#define _GNU_SOURCE
#include "fake_scope.h"
#include "input.h"
#include "prof.h"
#include "util.h"
#include "view.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool update;
static int failures, compared;

struct rig {
	struct goro_scope *scope;
	struct namer *namer;
	struct model m;
};

static void tick(struct rig *r)
{
	const struct goro_verdict_options vo = { .suspect_age_ns = 1 };
	struct frame *f;
	struct goro_error *err = frame_take(r->namer, &vo, &f);

	if (err) {
		fprintf(stderr, "the fake target failed: %s\n", err->message);
		exit(1);
	}
	f->tick_ns = 3800000;
	f->own_cpu = 0.002;
	r->m.now = f->snap->time;
	frame_free(r->namer, model_frame(&r->m, f));
	model_rows(&r->m);
}

static void set_up(struct rig *r, int ticks)
{
	memset(r, 0, sizeof(*r));
	fake_reset();
	goro_error_free(goro_scope_open(&r->scope, "shop"));
	r->namer = namer_new(r->scope);
	model_init(&r->m, false);
	r->m.view = VIEW_GROUPS;
	for (int i = 0; i < ticks; i++)
		tick(r);
}

static void tear_down(struct rig *r)
{
	frame_free(r->namer, model_drop_frame(&r->m));
	namer_free(r->namer);
	goro_scope_close(r->scope);
	model_free(&r->m);
	if (fake.live_snapshots || fake.open_scopes) {
		fprintf(stderr, "%d snapshots and %d scopes were not freed\n", fake.live_snapshots,
			fake.open_scopes);
		failures++;
	}
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static void compare(const char *name, const char *got)
{
	char path[512];
	char *want;

	snprintf(path, sizeof(path), "%s/%s.txt", GOLDEN, name);
	compared++;
	if (update) {
		FILE *f = fopen(path, "w");

		if (!f || fputs(got, f) < 0 || fclose(f)) {
			perror(path);
			exit(1);
		}
		return;
	}
	want = read_file(path);
	if (!want || strcmp(want, got) != 0) {
		printf("%s differs.\n--- expected\n%s--- drawn\n%s", path,
		       want ? want : "(no such file)\n", got);
		failures++;
	}
	free(want);
}

static void shoot(struct rig *r, const char *name, int w, int h, bool ascii)
{
	struct screen s;
	char *text = NULL, file[128];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	r->m.ascii = ascii;
	view_new_frame(&r->m); /* some text is made before it is drawn */
	screen_init(&s, w, h, ascii);
	view_draw(&r->m, &s);
	screen_dump(&s, f);
	fclose(f);
	screen_free(&s);
	snprintf(file, sizeof(file), "%s-%dx%d%s", name, w, h, ascii ? "-ascii" : "");
	compare(file, text);
	free(text);
}

static void shoot_all(struct rig *r, const char *name)
{
	static const int sizes[][2] = { { 60, 12 }, { 80, 24 }, { 100, 30 }, { 200, 60 } };

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		shoot(r, name, sizes[i][0], sizes[i][1], false);
	shoot(r, name, 80, 24, true);
}

static void groups(void)
{
	struct rig r;

	set_up(&r, 12);
	shoot_all(&r, "groups");
	r.m.tables[VIEW_GROUPS].selected = 1;
	model_note_selection(&r.m);
	shoot_all(&r, "groups-second");
	model_set_group_key(&r.m, GORO_BY_STACK);
	shoot_all(&r, "groups-stack");
	model_set_group_key(&r.m, GORO_BY_STATE);
	shoot_all(&r, "groups-state");
	tear_down(&r);
}

static void filtered(void)
{
	struct rig r;
	char err[256];

	set_up(&r, 3);
	model_set_filter(&r.m, goro_filter_parse("state=lock and for>5s", err, sizeof(err)));
	shoot_all(&r, "groups-filter");
	model_set_filter(&r.m, goro_filter_parse("no_such_function", err, sizeof(err)));
	shoot_all(&r, "groups-none");
	tear_down(&r);
}

static void list(void)
{
	struct rig r;

	set_up(&r, 3);
	model_go(&r.m, VIEW_LIST);
	shoot_all(&r, "list");
	model_back(&r.m);
	model_open_group(&r.m);
	shoot_all(&r, "list-group");
	r.m.in_group = false;
	r.m.tables[VIEW_LIST].sort = table_column(&r.m.tables[VIEW_LIST], "verdict");
	model_refresh(&r.m);
	shoot_all(&r, "list-verdict");
	tear_down(&r);
}

/* The row of a view's table whose text has a word. */
static void select_row(struct rig *r, const char *word)
{
	snprintf(r->m.search, sizeof(r->m.search), "%s", word);
	if (!model_search(&r->m, 0, 1)) {
		printf("no row has \"%s\"\n", word);
		failures++;
	}
	r->m.search[0] = '\0';
}

static void waits(void)
{
	struct rig r;
	char err[256];

	set_up(&r, 3);
	model_go(&r.m, VIEW_WAITS);
	shoot_all(&r, "waits");
	select_row(&r, "0x7f40");
	shoot_all(&r, "waits-cycle");
	view_ops(VIEW_WAITS)->open(&r.m, r.m.tables[VIEW_WAITS].selected);
	shoot_all(&r, "waits-members");
	model_back(&r.m);
	model_set_filter(&r.m, goro_filter_parse("state=sleep", err, sizeof(err)));
	shoot_all(&r, "waits-none");
	tear_down(&r);
}

static void leaks(void)
{
	struct rig r;
	char err[256];

	set_up(&r, 3);
	model_go(&r.m, VIEW_LEAKS);
	shoot_all(&r, "leaks");
	fake.proved = true;
	tick(&r);
	select_row(&r, "unreachable");
	shoot_all(&r, "leaks-proved");
	view_ops(VIEW_LEAKS)->open(&r.m, r.m.tables[VIEW_LEAKS].selected);
	shoot_all(&r, "leaks-members");
	model_back(&r.m);
	model_set_filter(&r.m, goro_filter_parse("state=sleep", err, sizeof(err)));
	shoot_all(&r, "leaks-none");
	tear_down(&r);
}

static void sched(void)
{
	struct rig r;

	set_up(&r, 1);
	model_go(&r.m, VIEW_SCHED);
	shoot_all(&r, "sched-first");
	for (int i = 0; i < 5; i++)
		tick(&r);
	shoot_all(&r, "sched");
	tear_down(&r);
}

static void profile(void)
{
	const struct goro_profile_options o = { .mode = GORO_PROFILE_WALL };
	struct goro_profile_part *part;
	struct rig r;

	set_up(&r, 3);
	model_go(&r.m, VIEW_PROFILE);
	shoot_all(&r, "profile-sampling");
	goro_error_free(goro_scope_profile_part(r.scope, &o, &part));
	profile_show(&r.m, picture_of(GORO_PROFILE_WALL, &part, 1));
	goro_profile_part_free(part);
	shoot_all(&r, "profile");
	view_ops(VIEW_PROFILE)->command(&r.m, CMD_TREE);
	shoot_all(&r, "profile-tree");
	tear_down(&r);
}

static void goroutine(void)
{
	static const struct {
		uint64_t id;
		const char *name;
	} shots[] = {
		{ FAKE_FIRST_LEAK, "g-chan" }, { FAKE_WAITER, "g-lock" }, { 300, "g-cycle" },
		{ FAKE_HOG, "g-running" },     { 10, "g-no-source" },	  { 400, "g-truncated" },
		{ 123456, "g-ended" },
	};
	struct rig r;

	set_up(&r, 3);
	r.m.view = VIEW_GOROUTINE;
	for (size_t i = 0; i < ARRAY_LEN(shots); i++) {
		r.m.gid = shots[i].id;
		view_new_frame(&r.m);
		shoot_all(&r, shots[i].name);
	}
	r.m.gid = FAKE_WAITER;
	r.m.runtime_frames = true;
	r.m.frame_selected = 4;
	view_new_frame(&r.m);
	shoot_all(&r, "g-runtime-frames");
	tear_down(&r);
}

/* Of a program that runs with goro run --heap. */
static void heap(void)
{
	struct rig r;

	set_up(&r, 0);
	fake.heap = true;
	for (int i = 0; i < 3; i++)
		tick(&r);
	r.m.tables[VIEW_GROUPS].sort = table_column(&r.m.tables[VIEW_GROUPS], "heap");
	model_refresh(&r.m);
	shoot_all(&r, "heap-groups");
	model_go(&r.m, VIEW_LIST);
	r.m.tables[VIEW_LIST].sort = table_column(&r.m.tables[VIEW_LIST], "heap");
	model_refresh(&r.m);
	shoot_all(&r, "heap-list");
	r.m.view = VIEW_GOROUTINE;
	r.m.gid = FAKE_FIRST_LEAK;
	view_new_frame(&r.m);
	shoot_all(&r, "heap-g");
	tear_down(&r);
}

static void picker(void)
{
	struct listing *l = xcalloc(1, sizeof(*l));
	struct rig r;

	set_up(&r, 0);
	r.m.view = VIEW_PICKER;
	shoot_all(&r, "picker-looking");
	goro_error_free(goro_list_processes(&l->c, &l->n, true));
	model_listing(&r.m, l);
	shoot_all(&r, "picker");
	r.m.tables[VIEW_PICKER].selected = 2;
	model_note_selection(&r.m);
	r.m.explain = goro_scope_open_pid(&r.scope, 39777);
	r.m.explain_pid = 39777;
	shoot_all(&r, "picker-explain");
	fake.no_processes = 1;
	l = xcalloc(1, sizeof(*l));
	goro_error_free(goro_list_processes(&l->c, &l->n, true));
	goro_error_free(r.m.explain);
	r.m.explain = NULL;
	model_listing(&r.m, l);
	shoot_all(&r, "picker-empty");
	tear_down(&r);
}

static void moods(void)
{
	struct rig r;

	set_up(&r, 0);
	r.m.target = xstrdup("shop");
	shoot_all(&r, "reading");
	r.m.waiting = true;
	shoot_all(&r, "waiting");
	tear_down(&r);

	set_up(&r, 3);
	r.m.now += 9 * NSEC_PER_SEC;
	shoot_all(&r, "stale");
	r.m.paused = true;
	shoot_all(&r, "paused");
	r.m.paused = false;
	r.m.ended = true;
	shoot_all(&r, "ended");
	r.m.ended = false;
	r.m.now -= 9 * NSEC_PER_SEC;
	r.m.read_error = xstrdup("cannot read 8 bytes at 0x1234 of process 48213");
	shoot_all(&r, "read-error");
	shoot(&r, "small", 59, 12, false);
	shoot(&r, "small", 20, 3, false);
	shoot(&r, "small", 1, 1, false);
	tear_down(&r);
}

static void damaged(void)
{
	struct rig r;

	set_up(&r, 0);
	fake.damaged = true;
	tick(&r);
	shoot_all(&r, "damaged");
	tear_down(&r);
}

static void help_and_input(void)
{
	struct rig r;

	set_up(&r, 3);
	model_go(&r.m, VIEW_HELP);
	shoot_all(&r, "help");
	model_back(&r.m);
	input_open(&r.m, INPUT_FILTER);
	for (const char *p = "sate=lock"; *p; p++)
		input_key(&r.m, *p);
	shoot_all(&r, "input-error");
	input_open(&r.m, INPUT_SEARCH);
	for (const char *p = "cron"; *p; p++)
		input_key(&r.m, *p);
	shoot_all(&r, "input-search");
	tear_down(&r);
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "C.UTF-8");
	update = argc > 1 && strcmp(argv[1], "--update") == 0;
	groups();
	filtered();
	list();
	waits();
	leaks();
	sched();
	profile();
	goroutine();
	heap();
	picker();
	moods();
	damaged();
	help_and_input();
	printf("%d screens, %d wrong\n", compared, failures);
	return failures != 0;
}
