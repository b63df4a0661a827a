/* SPDX-License-Identifier: MIT */
/*
 * test_record.c - what was recorded is what was seen.
 *
 *	test_record BUSY ABBA NAMED CROWDED
 *
 * Snapshots of real programs go into a file and come back the same, tick by tick and in any order.
 * Then the file is cut and damaged at every kind of place.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "goro_introspect.h"
#include "program.h"
#include "reader_goro.h"
#include "record.h"
#include "scope.h"

#define TICKS	 12
#define BOUND_NS (5ll * 1000000000)

static const char *busy, *abba, *named, *crowded;
static char path[] = "/tmp/goro-record-XXXXXX";

static void no_error(struct goro_error *err)
{
	if (err)
		fail_msg("%d: %s", (int)err->code, err->message);
}

/* ---- the same ------------------------------------------------------------------------------- */

static void same_frames(const struct goro_frame *a, size_t n, const struct goro_frame *b, size_t m)
{
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a[i].pc, b[i].pc);
		assert_int_equal(a[i].line, b[i].line);
		assert_int_equal(a[i].module_offset, b[i].module_offset);
		assert_int_equal(a[i].function_offset, b[i].function_offset);
		assert_int_equal(a[i].inlined, b[i].inlined);
		assert_int_equal(a[i].runtime, b[i].runtime);
		assert_string_equal(a[i].function ? a[i].function : "-",
				    b[i].function ? b[i].function : "-");
		assert_string_equal(a[i].file ? a[i].file : "-", b[i].file ? b[i].file : "-");
		assert_string_equal(a[i].module ? a[i].module : "-",
				    b[i].module ? b[i].module : "-");
	}
}

static void same_names(struct goro_scope *x, const struct goro_snapshot *a,
		       const struct goro_info *g, struct goro_scope *y,
		       const struct goro_snapshot *b, const struct goro_info *h)
{
	size_t n, m, user;
	struct goro_frame *f, *k, p, q;
	bool known;

	assert_int_equal(g->stack_id == GORO_NO_STACK, h->stack_id == GORO_NO_STACK);
	if (g->stack_id != GORO_NO_STACK) {
		f = goro_scope_frames(x, a, g->stack_id, &n, &user);
		k = goro_scope_frames(y, b, h->stack_id, &m, &user);
		same_frames(f, n, k, m);
		free(f);
		free(k);
		assert_int_equal(a->stacks[g->stack_id].complete, b->stacks[h->stack_id].complete);
	}
	known = goro_scope_spawn_site(x, g, &p);
	assert_int_equal(known, goro_scope_spawn_site(y, h, &q));
	if (known)
		same_frames(&p, 1, &q, 1);
}

static void same_goroutine(const struct goro_snapshot *a, const struct goro_info *g,
			   const struct goro_snapshot *b, const struct goro_info *h)
{
#define SAME(field) assert_int_equal(g->field, h->field)
	SAME(id);
	SAME(parent);
	SAME(spawn_pc);
	SAME(entry);
	SAME(record);
	SAME(state);
	SAME(reason);
	SAME(wait_class);
	SAME(flags);
	SAME(letter);
	SAME(park_seq);
	SAME(wait_object);
	SAME(wait_ns);
	SAME(sp);
	SAME(stack_lo);
	SAME(stack_hi);
	SAME(stack_resident);
	SAME(stack_peak);
	SAME(stack_used);
	SAME(held_locks);
	SAME(rlocks_more);
	SAME(m_id);
	SAME(queued);
	SAME(torn);
	SAME(nwaits);
	SAME(nrlocks);
	SAME(ext);
	SAME(labelled);
#undef SAME
	assert_string_equal(a->text + g->name, b->text + h->name);
	assert_string_equal(a->text + g->labels, b->text + h->labels);
	for (uint32_t i = 0; i < g->nwaits; i++) {
		struct goro_wait x = goro_snapshot_wait(a, g, i), y = goro_snapshot_wait(b, h, i);

		assert_int_equal(x.object, y.object);
		assert_int_equal(x.reason, y.reason);
		assert_int_equal(x.wait_class, y.wait_class);
	}
	for (uint32_t i = 0; i < g->nrlocks; i++)
		assert_int_equal(a->rlocks[g->rlocks_first + i], b->rlocks[h->rlocks_first + i]);
}

/* b is tick `tick` of a recording. */
static void same(struct goro_scope *x, const struct goro_snapshot *a, struct goro_scope *y,
		 const struct goro_snapshot *b, size_t tick)
{
	struct goro_walk walk = { .snap = a };

	assert_int_equal(b->source, GORO_RECORDING);
	assert_int_equal(b->tick, tick);
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->runtime, b->runtime);
	assert_int_equal(a->pid, b->pid);
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->wall_time, b->wall_time);
	assert_int_equal(a->rss, b->rss);
	assert_int_equal(a->cpu_ns, b->cpu_ns);
	assert_memory_equal(&a->cpu, &b->cpu, sizeof a->cpu);
	assert_int_equal(a->timers, b->timers);
	assert_int_equal(a->torn, b->torn);
	assert_int_equal(a->truncated, b->truncated);
	assert_int_equal(goro_snapshot_count(a), b->ng);
	for (size_t i = 0; i < b->ng; i++) {
		const struct goro_info *g = goro_snapshot_next(&walk);

		same_goroutine(a, g, b, &b->g[i]);
		same_names(x, a, g, y, b, &b->g[i]);
	}
	assert_int_equal(a->nobjects, b->nobjects);
	for (size_t i = 0; i < a->nobjects; i++) {
		const struct goro_object *o = &a->objects[i], *p = &b->objects[i];

		assert_int_equal(o->address, p->address);
		assert_int_equal(o->wait_class, p->wait_class);
		assert_int_equal(o->valid, p->valid);
		assert_int_equal(o->owner, p->owner);
		assert_int_equal(o->len, p->len);
		assert_int_equal(o->make_pc, p->make_pc);
		assert_int_equal(o->nwaiters, p->nwaiters);
	}
	assert_int_equal(a->nprocs, b->nprocs);
	for (size_t i = 0; i < a->nprocs; i++) {
		assert_int_equal(a->procs[i].nswitch, b->procs[i].nswitch);
		assert_int_equal(a->procs[i].running, b->procs[i].running);
	}
	assert_int_equal(a->ntombs, b->ntombs);
}

/* ---- recording ------------------------------------------------------------------------------- */

struct session {
	pid_t pid;
	struct goro_scope *scope;
	struct goro_snapshot *snaps[TICKS];
	uint64_t ends[TICKS]; /* of the file, after each tick */
};

static bool any(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	(void)scope;
	return snap->ng >= *(size_t *)arg;
}

static bool thrifty; /* even of few goroutines lists are recorded */

static void session_start(struct session *s, const char *program, size_t goroutines)
{
	const char *argv[] = { program, NULL };
	struct goro_recorder *r;
	struct goro_snapshot *first;

	s->pid = program_start(argv);
	s->scope = program_open(s->pid);
	first = program_snapshot(s->scope, any, &goroutines);
	goro_snapshot_free(first);
	goro_scope_close(s->scope); /* it may have begun before its exec, under our name */
	s->scope = program_open(s->pid);
	if (thrifty) {
		goro_scope_be_thrifty(s->scope, true);
		((struct reader_goro *)s->scope->reader)->many = 2;
	}
	no_error(goro_recorder_open(&r, s->scope, path));
	for (int i = 0; i < TICKS; i++) {
		no_error(goro_scope_snapshot(s->scope, &s->snaps[i]));
		no_error(goro_recorder_add(r, s->snaps[i]));
		s->ends[i] = goro_recorder_bytes(r);
		nap();
	}
	goro_recorder_close(r);
}

static void session_end(struct session *s)
{
	for (int i = 0; i < TICKS; i++)
		goro_snapshot_free(s->snaps[i]);
	goro_scope_close(s->scope);
	program_stop(s->pid);
}

static struct goro_snapshot *snapshot_at(struct goro_scope *scope, size_t tick)
{
	struct goro_snapshot *snap;

	goro_scope_seek(scope, tick);
	no_error(goro_scope_snapshot(scope, &snap));
	return snap;
}

static void round_trip(const char *program, size_t goroutines)
{
	struct session s;
	struct goro_scope *file;
	struct goro_snapshot *snap;

	session_start(&s, program, goroutines);
	no_error(goro_scope_open(&file, path));
	assert_int_equal(goro_scope_ticks(file), TICKS);
	/* Forward, backward, and the last one where it opens. */
	no_error(goro_scope_snapshot(file, &snap));
	same(s.scope, s.snaps[TICKS - 1], file, snap, TICKS);
	goro_snapshot_free(snap);
	for (size_t i = 1; i <= TICKS; i++) {
		assert_int_equal(goro_scope_tick_time(file, i), s.snaps[i - 1]->wall_time);
		snap = snapshot_at(file, i);
		same(s.scope, s.snaps[i - 1], file, snap, i);
		goro_snapshot_free(snap);
	}
	for (size_t i = TICKS; i >= 1; i--) {
		snap = snapshot_at(file, i);
		same(s.scope, s.snaps[i - 1], file, snap, i);
		goro_snapshot_free(snap);
	}
	goro_scope_close(file);
	session_end(&s);
}

static void test_busy(void **state)
{
	(void)state;
	round_trip(busy, 3);
}

static void test_names(void **state)
{
	(void)state;
	round_trip(named, 3);
}

static void test_thrifty(void **state)
{
	struct session s;
	size_t members = 0;

	(void)state;
	thrifty = true;
	round_trip(crowded, 200);
	round_trip(busy, 3);
	round_trip(named, 3);
	session_start(&s, crowded, 200);
	for (int i = 0; i < TICKS; i++)
		members += s.snaps[i]->nmembers;
	assert_true(members > 100);
	session_end(&s);
	thrifty = false;
}

/* Goroutines come and go before, between and behind others. */
static void test_order(void **state)
{
	static const struct {
		size_t n;
		uint64_t ids[8];
	} ticks[] = {
		{ 3, { 5, 9, 12 } },
		{ 8, { 1, 2, 3, 4, 5, 6, 9, 12 } },
		{ 2, { 4, 12 } },
		{ 7, { 1, 3, 4, 6, 7, 8, 12 } },
		{ 0, { 0 } },
		{ 4, { 2, 3, 20, 21 } },
		{ 5, { 1, 5, 6, 7, 20 } },
		{ 6, { 2, 3, 10, 15, 21, 22 } },
	};
	/* Those that stay make a whole tick so big that changes are written all the time. */
	enum { N = sizeof ticks / sizeof *ticks, STAY = 200 };
	struct goro_info g[8 + STAY];
	uint64_t random = 1;
	struct goro_scope *file;
	struct goro_recorder *r;

	(void)state;
	no_error(goro_recorder_open(&r, NULL, path));
	for (size_t t = 0; t < N; t++) {
		struct goro_snapshot snap = { .g = g, .ng = ticks[t].n, .time = 1000 };

		for (size_t i = 0; i < snap.ng; i++)
			g[i] = (struct goro_info){
				.id = ticks[t].ids[i],
				.letter = 'w',
				.park_seq = (uint32_t)(ticks[t].ids[i] % 3 ? t : 1),
				.stack_peak = 4096 * (t / 2), /* trimmed, without a park */
				.stack_id = GORO_NO_STACK,
			};
		random = 1;
		for (int i = 0; i < STAY; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			g[snap.ng++] = (struct goro_info){
				.id = 1000 + (uint64_t)i,
				.letter = 'w',
				.wait_object = random,
				.sp = random >> 7,
				.stack_id = GORO_NO_STACK,
			};
		}
		no_error(goro_recorder_add(r, &snap));
	}
	goro_recorder_close(r);
	no_error(goro_scope_open(&file, path));
	assert_int_equal(goro_scope_ticks(file), N);
	for (size_t t = 0; t < N; t++) {
		struct goro_snapshot *snap = snapshot_at(file, t + 1);

		assert_int_equal(snap->ng, ticks[t].n + STAY);
		for (size_t i = 0; i < ticks[t].n; i++) {
			assert_int_equal(snap->g[i].id, ticks[t].ids[i]);
			assert_int_equal(snap->g[i].park_seq, ticks[t].ids[i] % 3 ? t : 1);
			assert_int_equal(snap->g[i].stack_peak, 4096 * (t / 2));
		}
		goro_snapshot_free(snap);
	}
	goro_scope_close(file);
}

/* Without the process: the verdicts come from two neighbouring ticks. */
static void test_verdicts(void **state)
{
	struct goro_verdicts *v;
	struct goro_snapshot *snap;
	struct goro_scope *file;
	struct session s;

	(void)state;
	session_start(&s, abba, 3);
	session_end(&s);
	no_error(goro_scope_open(&file, path));
	for (size_t i = 1; i <= TICKS; i++) {
		snap = snapshot_at(file, i);
		no_error(goro_scope_judge(file, snap, NULL, &v));
		assert_true(v->leaked == 0 || v->leaked == 2);
		if (i == TICKS && snap->g[1].state == GORO_STATE_WAITING &&
		    snap->g[2].state == GORO_STATE_WAITING) {
			assert_int_equal(v->leaked, 2);
			assert_int_equal(v->findings[0].proof, GORO_PROOF_CYCLE);
			assert_non_null(strstr(v->findings[0].evidence, "abba.c:"));
		}
		goro_verdicts_free(v);
		goro_snapshot_free(snap);
	}
	goro_scope_close(file);
}

/* ---- hostile -------------------------------------------------------------------------------- */

static bool error_is_decent(struct goro_error *err)
{
	bool ok = !err || ((err->code == GORO_UNSUPPORTED || err->code == GORO_PARTIAL) &&
			   !strchr(err->message, '\n'));

	goro_error_free(err);
	return ok;
}

/* A file that was cut has all ticks that were complete. */
static void test_cut(void **state)
{
	struct session s;
	struct goro_scope *file;
	struct goro_snapshot *snap;
	struct goro_error *err;
	size_t complete = TICKS;

	(void)state;
	session_start(&s, busy, 3);
	for (uint64_t size = s.ends[TICKS - 1]; size-- > 0;) {
		while (complete && s.ends[complete - 1] > size)
			complete--;
		/* Each byte around a border, and some in between. */
		if (size % 61 && (!complete || size > s.ends[complete - 1] + 2) && size > 50)
			continue;
		assert_int_equal(truncate(path, (off_t)size), 0);
		err = goro_scope_open(&file, path);
		assert_int_equal(!err, complete > 0);
		if (err) {
			assert_true(error_is_decent(err));
			continue;
		}
		assert_int_equal(goro_scope_ticks(file), complete);
		snap = snapshot_at(file, complete);
		same(s.scope, s.snaps[complete - 1], file, snap, complete);
		assert_int_equal(snap->damaged, 0);
		goro_snapshot_free(snap);
		goro_scope_close(file);
	}
	session_end(&s);
}

static void flip(int fd, uint64_t at)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* The block that ends there. Returns where it begins. */
static uint64_t find_tick(int fd, uint64_t end, struct record_head *head)
{
	uint64_t at = 16;

	for (;;) {
		assert_int_equal(pread(fd, head, sizeof *head, (off_t)at), sizeof *head);
		if (at + sizeof *head + head->size == end)
			return at;
		at += sizeof *head + head->size;
	}
}

/* All can be read but those from `bad` to `good`, which are counted from 1. */
static void damaged_are(struct session *s, size_t bad, size_t good)
{
	struct goro_scope *file;
	struct goro_snapshot *snap;
	struct goro_error *err;

	no_error(goro_scope_open(&file, path));
	assert_int_equal(goro_scope_ticks(file), TICKS);
	for (size_t i = 1; i <= TICKS; i++) {
		goro_scope_seek(file, i);
		err = goro_scope_snapshot(file, &snap);
		assert_int_equal(!err, i < bad || i >= good);
		if (err) {
			char hint[32];

			snprintf(hint, sizeof hint, "--at %zu", bad - 1);
			assert_int_equal(err->code, GORO_PARTIAL);
			assert_int_equal(err->hint != NULL, bad > 1);
			assert_true(!err->hint || strstr(err->hint, hint));
			goro_error_free(err);
			continue;
		}
		same(s->scope, s->snaps[i - 1], file, snap, i);
		goro_snapshot_free(snap);
	}
	goro_scope_close(file);
}

/* Who did not choose a tick gets the last that there is, and is told what is behind it. */
static void last_is(struct session *s, size_t last, uint64_t damaged)
{
	struct goro_scope *file;
	struct goro_snapshot *snap;

	no_error(goro_scope_open(&file, path));
	no_error(goro_scope_snapshot(file, &snap));
	same(s->scope, s->snaps[last - 1], file, snap, last);
	assert_int_equal(snap->damaged, damaged);
	goro_snapshot_free(snap);
	goro_scope_close(file);
}

/* A tick in the middle is damaged: what is made from it is lost, and nothing else. */
static void test_damaged_tick(void **state)
{
	size_t good = TICKS + 1;
	struct session s;
	int fd;

	(void)state;
	session_start(&s, busy, 3);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t bad = TICKS; bad >= 1; bad--) {
		struct record_head head;
		uint64_t at = find_tick(fd, s.ends[bad - 1], &head);

		flip(fd, at + sizeof head + head.size / 2);
		damaged_are(&s, bad, good);
		if (good <= TICKS)
			last_is(&s, TICKS, 0);
		else if (bad > 1)
			last_is(&s, bad - 1, s.ends[TICKS - 1] - s.ends[bad - 2]);
		flip(fd, at + sizeof head + head.size / 2);
		if (head.kind == RECORD_WHOLE)
			good = bad;

		/* Without a head nobody knows what it was, nor where the next begins. */
		flip(fd, at + offsetof(struct record_head, time));
		if (bad > 1)
			last_is(&s, bad - 1, s.ends[TICKS - 1] - s.ends[bad - 2]);
		flip(fd, at + offsetof(struct record_head, time));
	}
	close(fd);
	session_end(&s);
}

static void look_at_damage(void)
{
	struct goro_scope *file;
	struct goro_error *err = goro_scope_open(&file, path);
	int64_t start = processor_ns();

	if (err) {
		assert_true(error_is_decent(err));
		return;
	}
	for (size_t i = goro_scope_ticks(file); i >= 1; i--) {
		struct goro_snapshot *snap;

		goro_scope_seek(file, i);
		err = goro_scope_snapshot(file, &snap);
		if (!err)
			goro_snapshot_free(snap);
		assert_true(error_is_decent(err));
	}
	goro_scope_close(file);
	assert_true(processor_ns() - start < BOUND_NS);
}

static void test_damage(void **state)
{
	struct session s;
	int fd;

	(void)state;
	session_start(&s, busy, 3);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = 0; at < (off_t)s.ends[TICKS - 1]; at += 13) {
		uint8_t byte, bad;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		bad = byte ^ (uint8_t)(1 << at % 8);
		assert_int_equal(pwrite(fd, &bad, 1, at), 1);
		look_at_damage();
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
	session_end(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy),	 cmocka_unit_test(test_names),
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damage),	 cmocka_unit_test(test_thrifty),
		cmocka_unit_test(test_order),	 cmocka_unit_test(test_damaged_tick),
	};
	int failed, fd;

	if (argc != 5)
		return 2;
	busy = argv[1];
	abba = argv[2];
	named = argv[3];
	crowded = argv[4];
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
