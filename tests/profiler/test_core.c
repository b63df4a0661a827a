/* SPDX-License-Identifier: MIT */
/*
 * test_core.c - a core file shows what the process showed when it was written.
 *
 *	test_core PARK ABBA CAUGHT CROWD
 *
 * One body looks at a program alive and at its core files: the kernel's, and the one that gdb makes
 * of it while it runs. Then the kernel's is cut and damaged in every way.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "goro_introspect.h"
#include "program.h"

#define BOUND_NS (5ll * 1000000000) /* of processor time, for one look */

static const char *park, *abba, *caught, *crowd;
static char directory[] = "/tmp/goro-core-XXXXXX";

/* ---- making core files ----------------------------------------------------------------------- */

/* A child that leaves its core file in `directory`, if the system does that at all. */
static pid_t start_with(const char *program, const char *argument, const char *traceback)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || chdir(directory))
			_exit(1);
		setrlimit(RLIMIT_CORE, &all);
		setenv("ASAN_OPTIONS", "detect_leaks=0:disable_coredump=0", 1);
		setenv("TSAN_OPTIONS", "disable_coredump=0", 1);
		/* Its report is not what this is about. */
		if (traceback && !freopen("/dev/null", "w", stderr))
			_exit(1);
		if (traceback)
			setenv("GORO_TRACEBACK", traceback, 1);
		/* Each worker has some stacks to itself, which count. */
		if (program == crowd)
			setenv("GORO_MAXPROCS", "2", 1);
		execl(program, program, argument, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static pid_t start(const char *program)
{
	return start_with(program, NULL, NULL);
}

/* The kernel's core file of a child that dies; NULL: this system writes it elsewhere. */
static char *core_of(pid_t pid)
{
	char *plain, *numbered;
	int status;

	assert_true(asprintf(&plain, "%s/core", directory) > 0);
	assert_true(asprintf(&numbered, "%s/core.%d", directory, (int)pid) > 0);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status) && WCOREDUMP(status) && access(numbered, R_OK) == 0)
		assert_int_equal(rename(numbered, plain), 0);
	free(numbered);
	if (access(plain, R_OK) == 0)
		return plain;
	free(plain);
	return NULL;
}

static char *kernel_core(pid_t pid)
{
	kill(pid, SIGABRT);
	return core_of(pid);
}

/* gdb's core file of a child; NULL: there is no gdb, or it may not. */
static char *gdb_core(pid_t pid)
{
	char *command, *path;
	int status;

	assert_true(asprintf(&path, "%s/gdb.%d", directory, (int)pid) > 0);
	assert_true(asprintf(&command, "gcore -o %s/gdb %d >/dev/null 2>&1", directory, (int)pid) >
		    0);
	status = system(command);
	free(command);
	if (status == 0 && access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static bool remove_directory(void)
{
	char *command;
	int status;

	if (asprintf(&command, "rm -rf %s", directory) < 0)
		return false;
	status = system(command);
	free(command);
	return status == 0;
}

/* ---- the same ------------------------------------------------------------------------------- */

struct look {
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_verdicts *verdicts;
};

static bool all_wait(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	(void)scope;
	for (size_t i = 0; i < snap->ng; i++) {
		if (snap->g[i].state != GORO_STATE_WAITING || snap->g[i].torn)
			return false;
	}
	return snap->ng == *(size_t *)arg;
}

static void judge(struct look *l)
{
	struct goro_error *err = goro_scope_judge(l->scope, l->snap, NULL, &l->verdicts);

	if (err)
		fail_msg("judge: %s", err->message);
}

static void look_alive(struct look *l, pid_t pid, size_t goroutines)
{
	l->scope = program_open(pid);
	goro_snapshot_free(program_snapshot(l->scope, all_wait, &goroutines));
	goro_scope_close(l->scope);
	/* The first look may have begun before its exec, under our name. */
	l->scope = program_open(pid);
	l->snap = program_snapshot(l->scope, all_wait, &goroutines);
	judge(l);
}

static void look_dead(struct look *l, const char *path)
{
	struct goro_error *err = goro_scope_open(&l->scope, path);

	if (err)
		fail_msg("open: %d: %s", (int)err->code, err->message);
	err = goro_scope_snapshot(l->scope, &l->snap);
	if (err)
		fail_msg("snapshot: %d: %s", (int)err->code, err->message);
	judge(l);
}

static void look_end(struct look *l)
{
	goro_verdicts_free(l->verdicts);
	goro_snapshot_free(l->snap);
	goro_scope_close(l->scope);
}

static void same_stack(const struct look *a, const struct look *b, const struct goro_info *x,
		       const struct goro_info *y)
{
	size_t n, m, user;
	struct goro_frame *f = goro_scope_frames(a->scope, a->snap, x->stack_id, &n, &user);
	struct goro_frame *g = goro_scope_frames(b->scope, b->snap, y->stack_id, &m, &user);

	assert_true(n > 0);
	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(f[i].pc, g[i].pc);
		assert_int_equal(f[i].line, g[i].line);
		assert_string_equal(f[i].function ? f[i].function : "",
				    g[i].function ? g[i].function : "");
		assert_string_equal(f[i].module, g[i].module);
	}
	assert_int_equal(a->snap->stacks[x->stack_id].complete,
			 b->snap->stacks[y->stack_id].complete);
	free(f);
	free(g);
}

/* How many goroutines of b have no stack, because the core file lacks it. */
static unsigned same(const struct look *a, const struct look *b)
{
	unsigned lost = 0;

	assert_int_equal(a->snap->ng, b->snap->ng);
	assert_int_equal(a->snap->pid, b->snap->pid);
	assert_string_equal(a->snap->name, b->snap->name);
	assert_string_equal(a->snap->runtime, b->snap->runtime);
	assert_int_equal(b->snap->source, GORO_CORE);
	assert_int_equal(b->snap->bad_records, 0);
	for (size_t i = 0; i < a->snap->ng; i++) {
		const struct goro_info *x = &a->snap->g[i], *y = &b->snap->g[i];

		assert_int_equal(x->id, y->id);
		assert_int_equal(x->parent, y->parent);
		assert_int_equal(x->spawn_pc, y->spawn_pc);
		assert_int_equal(x->entry, y->entry);
		assert_int_equal(x->record, y->record);
		assert_int_equal(x->state, y->state);
		assert_int_equal(x->reason, y->reason);
		assert_int_equal(x->park_seq, y->park_seq);
		assert_int_equal(x->wait_object, y->wait_object);
		assert_int_equal(x->held_locks, y->held_locks);
		assert_int_equal(x->verdict, y->verdict);
		assert_int_equal(x->proof, y->proof);
		assert_int_equal(x->sp, y->sp);
		assert_int_equal(x->stack_lo, y->stack_lo);
		assert_int_equal(x->stack_hi, y->stack_hi);
		if (y->lost) {
			assert_int_equal(y->stack_id, GORO_NO_STACK);
			lost++;
			continue;
		}
		assert_int_equal(x->nwaits, y->nwaits);
		for (uint32_t j = 0; j < x->nwaits; j++)
			assert_int_equal(a->snap->waits[x->waits_first + j].object,
					 b->snap->waits[y->waits_first + j].object);
		same_stack(a, b, x, y);
	}
	assert_int_equal(lost, b->snap->lost);
	assert_int_equal(a->snap->truncated + lost, b->snap->truncated);
	assert_int_equal(a->verdicts->leaked, b->verdicts->leaked);
	return lost;
}

/* Returns how many stacks gdb's core file lacks. */
static unsigned alive_and_dead(const char *program, const char *argument, size_t goroutines,
			       size_t leaked)
{
	pid_t pid = start_with(program, argument, "single");
	struct look alive, dead;
	char *gdb, *kernel;
	unsigned lost = 0;

	look_alive(&alive, pid, goroutines);
	assert_int_equal(alive.verdicts->leaked, leaked);
	gdb = gdb_core(pid);
	kernel = kernel_core(pid);
	if (kernel) {
		look_dead(&dead, kernel);
		assert_int_equal(same(&alive, &dead), 0);
		assert_int_equal(dead.snap->cut, 0);
		look_end(&dead);
		unlink(kernel);
	}
	if (gdb) {
		look_dead(&dead, gdb);
		lost = same(&alive, &dead);
		look_end(&dead);
		unlink(gdb);
	}
	print_message("kernel's core: %s, gdb's core: %s, but for %u stacks\n",
		      kernel ? "same" : "none to be had", gdb ? "same" : "none to be had", lost);
	look_end(&alive);
	if (!kernel && !gdb)
		skip();
	free(kernel);
	free(gdb);
	return lost;
}

static void test_park(void **state)
{
	(void)state;
	assert_int_equal(alive_and_dead(park, NULL, 13, 2), 0);
}

static void test_cycle(void **state)
{
	(void)state;
	assert_int_equal(alive_and_dead(abba, NULL, 3, 2), 0);
}

/* Of how many stacks the guards are mappings: gdb cannot read on behind another one. */
static unsigned long mapped_guards(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long most = 65530;
	char line[32];

	if (f && fgets(line, sizeof line, f))
		most = strtoul(line, NULL, 10);
	if (f)
		fclose(f);
	return most / 256;
}

static void test_crowd(void **state)
{
	(void)state;
	if (mapped_guards() < 200)
		skip();
	assert_int_equal(alive_and_dead(crowd, "150", 151, 0), 0);
}

/* There are more goroutines than such guards. */
static void test_big_crowd(void **state)
{
	const unsigned long n = 3000, mapped = mapped_guards();
	unsigned lost;

	(void)state;
	lost = alive_and_dead(crowd, "3000", n + 1, 0);
	assert_true(mapped >= n || lost + mapped <= n + 100);
}

/* ---- running when it was made --------------------------------------------------------------- */

/* The user's frames of a goroutine, leaf first: "inner outer". */
static char *functions(const struct look *l, const struct goro_info *g)
{
	size_t n = 0, user, size;
	struct goro_frame *f =
		g->stack_id == GORO_NO_STACK
			? NULL
			: goro_scope_frames(l->scope, l->snap, g->stack_id, &n, &user);
	char *text;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < n; i++) {
		if (!f[i].runtime && f[i].file && strstr(f[i].file, "caught.c"))
			fprintf(out, "%s ", f[i].function);
	}
	if (n && l->snap->stacks[g->stack_id].complete)
		fputs("(end)", out);
	fclose(out);
	free(f);
	return text;
}

/* Does exactly one goroutine in that state have these frames, up to its end? Its id. */
static uint64_t one_has(const struct look *l, unsigned state, const char *expected)
{
	uint64_t id = 0;

	for (size_t i = 0; i < l->snap->ng; i++) {
		char *text = functions(l, &l->snap->g[i]);

		if (l->snap->g[i].state == state && strcmp(text, expected) == 0) {
			assert_int_equal(id, 0);
			id = l->snap->g[i].id;
		}
		free(text);
	}
	if (!id) {
		for (size_t i = 0; i < l->snap->ng; i++) {
			char *text = functions(l, &l->snap->g[i]);

			print_error("goroutine %d, state %d: %s\n", (int)l->snap->g[i].id,
				    l->snap->g[i].state, text);
			free(text);
		}
		fail_msg("no goroutine has: %s", expected);
	}
	return id;
}

/*
 * The one that ended it, when it was not in its own code but on the signal's stack, where the
 * runtime wrote its report (GORO_TRACEBACK=crash).
 */
static void test_caught(void **state)
{
	static const struct {
		const char *how, *traceback, *frames;
		int signal;
		uint64_t address;
	} ways[] = {
		{ "fault", "single", "fault_inner fault (end)", SIGSEGV, 8 },
		{ "fault", "crash", "fault_inner fault (end)", SIGSEGV, 8 },
		{ "abort", "single", "fault (end)", SIGABRT, 0 },
		{ "abort", "crash", "fault (end)", SIGABRT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		char *core = core_of(start_with(caught, ways[i].how, ways[i].traceback));
		struct look l;

		if (!core)
			skip();
		look_dead(&l, core);
		one_has(&l, GORO_STATE_RUNNING, "compute_inner compute (end)");
		one_has(&l, GORO_STATE_RUNNING, "compute_inner thread (end)");
		one_has(&l, GORO_STATE_WAITING, "call_blocks blocks (end)");
		assert_int_equal(l.snap->crash.goroutine,
				 one_has(&l, GORO_STATE_RUNNING, ways[i].frames));
		assert_int_equal(l.snap->crash.signal, ways[i].signal);
		assert_int_equal(l.snap->crash.address, ways[i].address);
		assert_true(l.snap->crash.tid > 0);
		assert_int_equal(l.snap->truncated, 0);
		look_end(&l);
		unlink(core);
		free(core);
	}
}

/* ---- hostile -------------------------------------------------------------------------------- */

/* Copy the data of a file and leave its holes; returns its size. */
static off_t copy_sparse(int from, int to)
{
	static char buffer[1 << 16];
	off_t end = lseek(from, 0, SEEK_END), at = 0;

	assert_int_equal(ftruncate(to, end), 0);
	while ((at = lseek(from, at, SEEK_DATA)) >= 0 && at < end) {
		off_t hole = lseek(from, at, SEEK_HOLE);

		while (at < hole) {
			size_t n = hole - at < (off_t)sizeof buffer ? (size_t)(hole - at)
								    : sizeof buffer;

			assert_int_equal(pread(from, buffer, n, at), n);
			assert_int_equal(pwrite(to, buffer, n, at), n);
			at += (off_t)n;
		}
	}
	return end;
}

/* Look at what may be anything: an error of one line, or a snapshot; soon, and no crash. */
static void look_at_damage(const char *path, bool cut)
{
	int64_t start = processor_ns();
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_open(&scope, path);

	if (!err) {
		err = goro_scope_snapshot(scope, &snap);
		if (!err) {
			struct goro_verdicts *v = NULL;

			assert_true(!cut || snap->cut);
			for (size_t i = 0; i < snap->nstacks; i++) {
				size_t n, user;

				free(goro_scope_frames(scope, snap, (uint32_t)i, &n, &user));
			}
			goro_error_free(goro_scope_judge(scope, snap, NULL, &v));
			goro_verdicts_free(v);
			goro_snapshot_free(snap);
		}
		goro_scope_close(scope);
	}
	if (err) {
		assert_true(err->code == GORO_UNSUPPORTED || err->code == GORO_PARTIAL);
		assert_null(strchr(err->message, '\n'));
	}
	goro_error_free(err);
	assert_true(processor_ns() - start < BOUND_NS);
}

/* The offset of a cut inside of data: another one would show the same. */
static off_t cut_before(int fd, off_t at)
{
	off_t hole;

	at = (at - 1) & ~(off_t)4095;
	if (at <= 0)
		return 0;
	hole = lseek(fd, at - 1, SEEK_HOLE);
	if (hole != at - 1)
		return at;
	/* In a hole: to its beginning. There is no call for that, so by steps. */
	while (at > 0 && lseek(fd, at - 1, SEEK_HOLE) == at - 1)
		at -= 4096;
	return at > 0 ? at : 0;
}

static void test_damage(void **state)
{
	pid_t pid = start(abba);
	size_t goroutines = 3, cuts = 0;
	struct look alive;
	char *core, *path;
	int from, to;
	off_t size;

	(void)state;
	look_alive(&alive, pid, goroutines);
	look_end(&alive);
	core = kernel_core(pid);
	if (!core)
		skip();
	assert_true(asprintf(&path, "%s/damaged", directory) > 0);
	from = open(core, O_RDONLY | O_CLOEXEC);
	to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(from >= 0 && to >= 0);
	size = copy_sparse(from, to);
	/* Bits of the headers and of the notes that lie; the same ones each time. */
	srand(1);
	for (int i = 0; i < 200; i++) {
		off_t at = rand() % (i & 1 ? 4096 : 32768);
		uint8_t old, new;

		assert_int_equal(pread(to, &old, 1, at), 1);
		new = i & 2 ? (uint8_t)rand() : (uint8_t)(old ^ 1 << rand() % 8);
		assert_int_equal(pwrite(to, &new, 1, at), 1);
		look_at_damage(path, false);
		assert_int_equal(pwrite(to, &old, 1, at), 1);
	}
	for (off_t at = cut_before(to, size); at > 0; at = cut_before(to, at)) {
		assert_int_equal(ftruncate(to, at + rand() % 4096), 0);
		look_at_damage(path, true);
		assert_int_equal(ftruncate(to, at), 0);
		look_at_damage(path, true);
		cuts++;
	}
	print_message("%zu cuts\n", cuts);
	assert_true(cuts > 20);
	close(from);
	close(to);
	unlink(path);
	unlink(core);
	free(path);
	free(core);
}

static void test_no_core(void **state)
{
	struct goro_scope *scope;
	struct goro_error *err = goro_scope_open(&scope, "/nowhere/core");

	(void)state;
	assert_int_equal(err->code, GORO_NO_TARGET);
	goro_error_free(err);
	err = goro_scope_open(&scope, abba);
	assert_int_equal(err->code, GORO_UNSUPPORTED);
	assert_non_null(strstr(err->message, "is neither a core file"));
	goro_error_free(err);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_park),	cmocka_unit_test(test_cycle),
		cmocka_unit_test(test_crowd),	cmocka_unit_test(test_big_crowd),
		cmocka_unit_test(test_caught),	cmocka_unit_test(test_damage),
		cmocka_unit_test(test_no_core),
	};
	int failed;

	if (argc != 5)
		return 2;
	park = argv[1];
	abba = argv[2];
	caught = argv[3];
	crowd = argv[4];
	if (!mkdtemp(directory))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return remove_directory() ? failed : 1;
}
