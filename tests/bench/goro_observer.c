/* SPDX-License-Identifier: MIT */
/*
 * goro_observer - what it costs to look into a program, and what that program feels of it:
 * goro_observer NAME WORKERS [DIVISOR].
 *
 *   dump_cold_1e5, dump_cold_1e6
 *       `goro dump` from its start to its end, of goro_observed with so many goroutines, and the
 *       most memory that it needed
 *   dump_all_1e5
 *       the same in the forms that write each goroutine down
 *   memory_1e6
 *       the most memory that each command needs for as many
 *   tick_warm_1pct
 *       one more snapshot of 100,000, 1% of which ran since the last
 *   unwind_frame
 *       per frame, by our rows and by libunwind over the same copied stacks
 *   observed_gap
 *       for how long a goroutine that does nothing but yield did not get to run, in each
 *       millisecond: alone; while it is dumped, listed or recorded without end; and while the same
 *       is done to a twin of its process, which takes as much of the machine and does not look at
 * it observed_held the same without what its thread was ready and waited for a processor, which is
 * all that a busy machine adds: alone, dumped, listed and recorded
 */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "elf.h"
#include "profiler.h"
#include "reader.h"
#include "unwind.h"

static int divisor = 1;
static char directory[4096]; /* of this program */

static int scaled(int n)
{
	return n / divisor > 1 ? n / divisor : 1;
}

static void print_figure(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
}

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "goro_observer: %s\n", what);
		exit(1);
	}
}

#define SKIPPED 77 /* to CTest */

static void succeed(struct goro_error *err)
{
	if (err && err->code == GORO_PERMISSION) {
		fprintf(stderr, "goro_observer: skipped: %s\n", err->message);
		exit(SKIPPED);
	}
	must(!err, err ? err->message : "");
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(values[0]), by_value);
	return values[n / 2];
}

/* ---- the program that is looked at -------------------------------------------------------------
 */

struct observed {
	pid_t pid;
	FILE *to, *from;
};

static void answer(struct observed *o, char line[128])
{
	must(fgets(line, 128, o->from), "goro_observed does not answer");
}

static void ask(struct observed *o, const char *what, int value)
{
	fprintf(o->to, "%s %d\n", what, value);
	fflush(o->to);
}

static struct observed observe(int goroutines)
{
	struct observed o;
	char path[4128], count[16], line[128];
	int to[2], from[2];

	snprintf(path, sizeof(path), "%s/goro_observed", directory);
	snprintf(count, sizeof(count), "%d", goroutines);
	must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "no pipe");
	o.pid = fork();
	must(o.pid >= 0, "no process");
	if (o.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl(path, path, count, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	o.to = fdopen(to[1], "w");
	o.from = fdopen(from[0], "r");
	must(o.to && o.from, "no memory");
	answer(&o, line);
	return o;
}

static void dismiss(struct observed *o)
{
	fclose(o->to);
	fclose(o->from);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
}

/* ---- goro dump ---------------------------------------------------------------------------------
 */

/* PROGRAM [COMMAND] [OPTION...] PID, its output thrown away. */
static pid_t start_program(const struct observed *o, const char *program, const char *const *words)
{
	char path[4160], pid[16];
	const char *argv[12] = { path };
	posix_spawn_file_actions_t files;
	pid_t ret;
	int n = 1;

	snprintf(path, sizeof(path), "%s/../../bin/%s", directory, program);
	snprintf(pid, sizeof(pid), "%d", o->pid);
	for (; *words; words++)
		argv[n++] = *words;
	argv[n] = pid;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	must(posix_spawn(&ret, path, &files, NULL, (char *const *)argv, environ) == 0,
	     "cannot start goro or gotop");
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

/* Its most memory in bytes, and how long it took. */
static double run_program(const struct observed *o, const char *program, const char *const *words,
			  double *ms)
{
	double start = now_ms();
	pid_t pid = start_program(o, program, words);
	struct rusage usage;
	int status;

	must(wait4(pid, &status, 0, &usage) == pid, "no goro");
	if (WIFEXITED(status) && WEXITSTATUS(status) == GORO_PERMISSION)
		exit(SKIPPED);
	must(status == 0, "goro failed");
	*ms = now_ms() - start;
	return (double)usage.ru_maxrss * 1024;
}

static double run_goro(const struct observed *o, const char *const *words, double *ms)
{
	return run_program(o, "goro", words, ms);
}

static void dump(const struct observed *o, const char *name, const char *rss_name,
		 const char *const *words, int n)
{
	double ms[16], rss = 0;

	for (int i = 0; i < n; i++) {
		double bytes = run_goro(o, words, &ms[i]);

		rss = bytes > rss ? bytes : rss;
	}
	print_figure(name, median(ms, n));
	print_figure(rss_name, rss / 1e6);
}

static const char *const dump_text[] = { "dump", NULL };
static const char *const dump_go[] = { "dump", "-f", "go", NULL };
static const char *const dump_json[] = { "dump", "-f", "json", NULL };

static void dump_cold_1e5(void)
{
	struct observed o = observe(scaled(100000));

	dump(&o, "dump_cold_1e5", "dump_memory_1e5", dump_text, 5);
	dismiss(&o);
}

static void dump_cold_1e6(void)
{
	struct observed o = observe(scaled(1000000));

	dump(&o, "dump_cold_1e6", "dump_memory_1e6", dump_text, 3);
	dismiss(&o);
}

static void dump_all_1e5(void)
{
	struct observed o = observe(scaled(100000));

	dump(&o, "dump_go_1e5", "dump_go_memory_1e5", dump_go, 3);
	dump(&o, "dump_json_1e5", "dump_json_memory_1e5", dump_json, 3);
	dismiss(&o);
}

/* Whoever looks again and again looks more than once. */
static void memory_1e6(void)
{
	static const struct {
		const char *figure, *program, *words[8];
	} rows[] = {
		{ "memory_dump", "goro", { "dump" } },
		{ "memory_dump_json", "goro", { "dump", "-f", "json" } },
		{ "memory_dump_go", "goro", { "dump", "-f", "go" } },
		{ "memory_waits", "goro", { "waits" } },
		{ "memory_sched", "goro", { "sched" } },
		{ "memory_record", "goro", { "record", "-d", "0", "-o", "/dev/null" } },
		{ "memory_metrics", "goro", { "metrics" } },
		{ "memory_gotop", "gotop", { "-b", "-d", "0.1", "-n", "4" } },
		{ "memory_gotop_list",
		  "gotop",
		  { "-b", "--screen", "list", "-d", "0.1", "-n", "2" } },
		{ "memory_gotop_waits",
		  "gotop",
		  { "-b", "--screen", "waits", "-d", "0.1", "-n", "2" } },
	};
	struct observed o = observe(scaled(1000000));
	double ms;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		print_figure(rows[i].figure,
			     run_program(&o, rows[i].program, rows[i].words, &ms) / 1e6);
	dismiss(&o);
}

/* ---- one more snapshot -------------------------------------------------------------------------
 */

static void tick_warm_1pct(void)
{
	enum { WARM = 3, TICKS = 21 };
	const int n = scaled(100000);
	struct observed o = observe(n);
	struct goro_scope *scope;
	double ms[TICKS];
	char line[128];

	succeed(goro_scope_open_pid(&scope, o.pid));
	for (int i = 0; i < WARM + TICKS; i++) {
		struct goro_snapshot *snap;
		double start;

		ask(&o, "wake", n / 100);
		answer(&o, line);
		start = now_ms();
		succeed(goro_scope_snapshot(scope, &snap));
		goro_snapshot_free(snap);
		if (i >= WARM)
			ms[i - WARM] = now_ms() - start;
	}
	print_figure("tick_warm_1pct", median(ms, TICKS));
	goro_scope_close(scope);
	dismiss(&o);
}

/* ---- unwinding ---------------------------------------------------------------------------------
 */

struct stacks {
	struct target *target;
	struct modules modules;
	struct reader *reader;
	struct unwinder *unwinder;
	struct unwind_stack *v;
	uint8_t *bytes;
	size_t n;
};

/* Copies of the stacks of all that wait. */
static void copy_stacks(struct stacks *s, struct goro_snapshot *snap)
{
	struct target_read *reads = calloc(snap->ng, sizeof(*reads));
	size_t used = 0, total = 0;

	for (size_t i = 0; i < snap->ng; i++)
		total += snap->g[i].stack_used;
	s->bytes = malloc(total + 1);
	s->v = calloc(snap->ng, sizeof(*s->v));
	must(reads && s->bytes && s->v, "no memory");
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (!g->stack_used || g->flags)
			continue;
		s->v[s->n] = (struct unwind_stack){
			.layout = s->reader->ops->layout(s->reader),
			.sp = g->sp,
			.hi = g->sp + g->stack_used,
			.bytes = s->bytes + used,
			.len = g->stack_used,
		};
		reads[s->n++] = (struct target_read){
			.address = g->sp,
			.to = s->bytes + used,
			.len = g->stack_used,
		};
		used += g->stack_used;
	}
	succeed(s->target->ops->read(s->target, reads, s->n));
	for (size_t i = 0; i < s->n; i++)
		must(reads[i].ok, "a stack cannot be read");
	free(reads);
}

static void open_stacks(struct stacks *s, pid_t pid)
{
	struct snapshot_builder b;

	*s = (struct stacks){ 0 };
	succeed(target_open_process(&s->target, pid));
	succeed(modules_refresh(&s->modules, s->target));
	succeed(reader_goro.probe(s->target, &s->modules, &s->reader));
	must(s->reader, "no runtime");
	s->unwinder = unwinder_new(s->target, &s->modules);
	must(s->unwinder && snapshot_begin(&b, s->unwinder), "no memory");
	succeed(s->reader->ops->read(s->reader, s->target, &b));
	copy_stacks(s, b.snap);
	snapshot_abandon(&b);
}

static void close_stacks(struct stacks *s)
{
	free(s->v);
	free(s->bytes);
	unwinder_free(s->unwinder);
	s->reader->ops->close(s->reader);
	modules_free(&s->modules);
	s->target->ops->close(s->target);
}

typedef enum unwind_status unwind_fn(void *unwinder, const struct unwind_stack *s,
				     struct unwind_result *r);

static enum unwind_status by_rows(void *unwinder, const struct unwind_stack *s,
				  struct unwind_result *r)
{
	return unwind_by_rows(unwinder, s, false, r);
}

static enum unwind_status by_libunwind(void *reference, const struct unwind_stack *s,
				       struct unwind_result *r)
{
	return unwind_by_libunwind(reference, s, r, NULL, 0);
}

/* The first n stacks, again and again for a while: the median over the rounds. */
static double ns_per_frame(const struct stacks *s, size_t n, unwind_fn *fn, void *unwinder)
{
	static struct unwind_result r;
	double ns[64], end = now_ms() + 500.0 / divisor;
	int rounds = 0;

	do {
		double start = now_ms();
		size_t frames = 0;

		for (size_t i = 0; i < n; i++) {
			must(fn(unwinder, &s->v[i], &r) == UNWIND_DONE && r.complete,
			     "a stack cannot be unwound");
			frames += r.n;
		}
		ns[rounds++] = (now_ms() - start) * 1e6 / (double)frames;
	} while (rounds < 64 && now_ms() < end);
	return median(ns, rounds);
}

static void unwind_frame(void)
{
	struct observed o = observe(scaled(100000));
	struct unwind_reference *reference;
	struct stacks s;

	open_stacks(&s, o.pid);
	reference = unwind_reference_new(s.target, &s.modules);
	must(reference, "no memory");
	/* As many as a dump copies at a time, and walks at once. */
	print_figure("unwind_frame",
		     ns_per_frame(&s, s.n < 1024 ? s.n : 1024, by_rows, s.unwinder));
	print_figure("unwind_frame_libunwind",
		     ns_per_frame(&s, s.n < 256 ? s.n : 256, by_libunwind, reference));
	unwind_reference_free(reference);
	close_stacks(&s);
	dismiss(&o);
}

/* ---- what the program feels --------------------------------------------------------------------
 */

enum { ROUNDS = 4 };

/* How long it did not run, in us, of all rounds. */
struct gaps {
	const char *when;
	bool twin;		  /* the other one is looked at */
	const char *const *words; /* by this command; NULL: nobody is */
	double *v;
	size_t n;
};

static void add_answer(struct observed *o, struct gaps *gaps)
{
	char *line = NULL, *at, *end;
	size_t size = 0, room = gaps->n;
	double us;

	must(getline(&line, &size, o->from) > 0, "goro_observed does not answer");
	for (at = line; us = strtod(at, &end), end != at; at = end) {
		if (gaps->n == room) {
			room = 2 * room + 1024;
			gaps->v = reallocarray(gaps->v, room, sizeof(*gaps->v));
			must(gaps->v, "no memory");
		}
		gaps->v[gaps->n++] = us;
	}
	free(line);
}

static void print_gaps(const char *prefix, struct gaps *gaps)
{
	static const struct {
		const char *name;
		double share;
	} parts[] = { { "median", .5 }, { "p99", .99 }, { "p999", .999 }, { "worst", 1 } };
	char figure[64];

	must(gaps->n, "not an answer");
	qsort(gaps->v, gaps->n, sizeof(*gaps->v), by_value);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(figure, sizeof(figure), "%s_%s_%s", prefix, gaps->when, parts[i].name);
		print_figure(figure, gaps->v[(size_t)((double)(gaps->n - 1) * parts[i].share)]);
	}
	free(gaps->v);
}

/*
 * Ask it for `what` again and again, with and without an observer, who may look at its twin. There
 * and back, so that none of them always comes after the same other one.
 */
static void feel(const char *prefix, const char *what, struct gaps *gaps, size_t n,
		 const char *duration)
{
	const int ms = atoi(duration);
	struct observed o = observe(scaled(100000)), twin = observe(scaled(100000));
	char line[128];
	double took;

	for (size_t i = 0; i < ROUNDS * n; i++) {
		struct gaps *g = &gaps[i / n % 2 ? n - 1 - i % n : i % n];
		double end = now_ms() + ms;

		/* As much is to be said of it then, and none of its goroutines runs. */
		ask(&twin, "rest", ms);
		ask(&o, what, ms);
		while (g->words && now_ms() < end)
			run_goro(g->twin ? &twin : &o, g->words, &took);
		add_answer(&o, g);
		answer(&twin, line);
	}
	for (size_t i = 0; i < n; i++)
		print_gaps(prefix, &gaps[i]);
	dismiss(&twin);
	dismiss(&o);
}

/* Where a recording goes meanwhile. */
static char recording[] = "/tmp/goro_observer_XXXXXX";
static char duration[16];
static const char *const record[] = {
	"record", "-i", "100ms", "-d", duration, "-o", recording, NULL
};

static void begin_to_record(void)
{
	int fd = mkstemp(recording);

	must(fd >= 0, "no temporary file");
	close(fd);
	snprintf(duration, sizeof(duration), "%dms", scaled(1000));
}

static void observed_gap(void)
{
	struct gaps gaps[] = {
		{ .when = "alone" },
		{ .when = "dumped", .words = dump_text },
		{ .when = "dumped_twin", .words = dump_text, .twin = true },
		{ .when = "listed", .words = dump_json },
		{ .when = "listed_twin", .words = dump_json, .twin = true },
		{ .when = "recorded", .words = record },
		{ .when = "recorded_twin", .words = record, .twin = true },
	};

	begin_to_record();
	feel("gap", "gaps", gaps, sizeof(gaps) / sizeof(gaps[0]), duration);
	unlink(recording);
}

static void observed_held(void)
{
	struct gaps gaps[] = {
		{ .when = "alone" },
		{ .when = "dumped", .words = dump_text },
		{ .when = "listed", .words = dump_json },
		{ .when = "recorded", .words = record },
	};

	begin_to_record();
	feel("held", "held", gaps, sizeof(gaps) / sizeof(gaps[0]), duration);
	unlink(recording);
}

static const struct {
	const char *name;
	void (*run)(void);
} figures[] = {
	{ "dump_cold_1e5", dump_cold_1e5 },   { "dump_cold_1e6", dump_cold_1e6 },
	{ "dump_all_1e5", dump_all_1e5 },     { "memory_1e6", memory_1e6 },
	{ "tick_warm_1pct", tick_warm_1pct }, { "unwind_frame", unwind_frame },
	{ "observed_gap", observed_gap },     { "observed_held", observed_held },
};

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", directory, sizeof(directory) - 1);

	divisor = argc > 3 ? atoi(argv[3]) : 1;
	if (argc < 3 || argc > 4 || divisor < 1 || n <= 0) {
		fprintf(stderr, "usage: goro_observer NAME WORKERS [DIVISOR]\n");
		return 2;
	}
	*strrchr(directory, '/') = '\0';
	setenv("GORO_MAXPROCS", argv[2], 1);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (strcmp(argv[1], figures[i].name) == 0) {
			figures[i].run();
			return 0;
		}
	fprintf(stderr, "goro_observer: no figure '%s'\n", argv[1]);
	return 2;
}
