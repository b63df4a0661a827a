/* SPDX-License-Identifier: MIT */
/*
 * report_test.c - reports of snapshots made by hand, to the last character.
 *
 * The linker gives goro_scope_frames() and goro_scope_spawn_site() to the two functions below, so
 * that names need no process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"
#include "goro_introspect.h"
#include "report.h"

enum { A = 0xa000, B = 0xb000 };

struct goro_frame *__wrap_goro_scope_frames(struct goro_scope *scope,
					    const struct goro_snapshot *snap, uint32_t stack_id,
					    size_t *n, size_t *user);
bool __wrap_goro_scope_spawn_site(struct goro_scope *scope, const struct goro_info *g,
				  struct goro_frame *ret);
const struct goro_frame *__wrap_goro_scope_symbolize(struct goro_scope *scope, uint64_t pc,
						     bool is_return, size_t *n);

/* Stack 0: one function of the runtime, an inlined one, its caller. Others: nothing is known. */
struct goro_frame *__wrap_goro_scope_frames(struct goro_scope *scope,
					    const struct goro_snapshot *snap, uint32_t stack_id,
					    size_t *n, size_t *user)
{
	static const struct goro_frame known[] = {
		{ .pc = 0x100, .function = "goro_chan_recv", .runtime = true },
		{ .pc = 0x200,
		  .function = "pop",
		  .file = "/src/a \033b.c",
		  .line = 7,
		  .module = "/bin/fake",
		  .function_offset = 0x1c,
		  .inlined = true },
		{ .pc = 0x200,
		  .function = "work",
		  .file = "/src/a.c",
		  .line = 12,
		  .module = "/bin/fake",
		  .function_offset = 0x1c },
	};
	static const struct goro_frame unknown[] = {
		{ .pc = 0x300, .module = "/lib/\"x\".so", .module_offset = 0x42 },
	};
	bool first = stack_id == 0;
	struct goro_frame *f = calloc(3, sizeof *f);

	(void)scope;
	(void)snap;
	*n = first ? 3 : 1;
	*user = first ? 1 : 0;
	memcpy(f, first ? known : unknown, *n * sizeof *f);
	return f;
}

bool __wrap_goro_scope_spawn_site(struct goro_scope *scope, const struct goro_info *g,
				  struct goro_frame *ret)
{
	(void)scope;
	*ret = (struct goro_frame){ .pc = g->spawn_pc,
				    .function = "main",
				    .file = "/src/a.c",
				    .line = 30,
				    .function_offset = 0x20 };
	return g->spawn_pc != 0;
}

const struct goro_frame *__wrap_goro_scope_symbolize(struct goro_scope *scope, uint64_t pc,
						     bool is_return, size_t *n)
{
	static const struct goro_frame entry = {
		.pc = 0x4000, .function = "work", .file = "/src/a.c", .line = 9
	};

	(void)scope;
	assert_int_equal(pc, entry.pc);
	assert_false(is_return);
	*n = 1;
	return &entry;
}

typedef void report_fn(const struct report *r);

static void expect(const struct fake *f, report_fn *fn, const char *want)
{
	struct goro_snapshot *snap = fake_freeze(f);
	char *text = NULL;
	size_t size;
	struct report r = { .out = open_memstream(&text, &size), .snap = snap };

	fn(&r);
	fclose(r.out);
	assert_string_equal(text, want);
	free(text);
	goro_snapshot_free(snap);
}

static void make_program(struct fake *f)
{
	fake_wait(f, 1, GORO_REASON_SLEEP, 0)->stack_id = 2;
	fake_wait(f, 2, GORO_REASON_CHAN_RECV, A)->stack_resident = 4096;
	fake_wait(f, 3, GORO_REASON_CHAN_RECV, A)->stack_resident = 8192;
	fake_g(f, 4);
	fake_wait(f, 5, GORO_REASON_MUTEX, B)->wait_ns = UINT64_C(720000000000);
	fake_chan(f, A)->cap = 3;
	fake_mutex(f, B, 2);
}

static void dump_by_spawn(const struct report *r)
{
	report_dump_text(r, GORO_BY_SPAWN, NULL);
}

static void dump_json(const struct report *r)
{
	report_dump_json(r, NULL);
}

static void dump_as_text(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_program(&f);
	expect(&f, dump_by_spawn,
	       "fake (pid 4711), goro 0.1.0, up 1m35s, 3.0 MiB in memory\n"
	       "5 goroutines: 2 chan receive, 1 sleep, 1 running, 1 sync.Mutex.Lock\n"
	       "\n"
	       "4 goroutines, 12 KiB of stacks in memory\n"
	       "  started by main at /src/a.c:30\n"
	       "  2 [chan receive, up to 1m29s], first goroutine 2\n"
	       "      pop (inlined) at /src/a ?b.c:7\n"
	       "      work at /src/a.c:12\n"
	       "  goroutine 5 [sync.Mutex.Lock, 12m0s]\n"
	       "      pop (inlined) at /src/a ?b.c:7\n"
	       "      work at /src/a.c:12\n"
	       "  goroutine 4 [running]\n"
	       "      (it runs: its stack does not stand still)\n"
	       "\n"
	       "1 goroutine, 0 B of stacks in memory\n"
	       "  the main goroutine\n"
	       "  goroutine 1 [sleep, 1m29s]\n"
	       "      0x300 in /lib/\"x\".so+0x42\n"
	       "      (the rest of the stack could not be unwound)\n"
	       "\n"
	       "read 4.0 KiB in 2ms without a stop\n");
}

static void dump_as_go(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_program(&f);
	expect(&f, report_dump_go,
	       "goroutine 1 [sleep, 1 minutes]:\n"
	       "0x300(...)\n"
	       "\t??:0\n"
	       "...additional frames elided...\n"
	       "\n"
	       "goroutine 2 [chan receive, 1 minutes]:\n"
	       "pop(...)\n"
	       "\t/src/a ?b.c:7\n"
	       "work(...)\n"
	       "\t/src/a.c:12 +0x1c\n"
	       "created by main in goroutine 1\n"
	       "\t/src/a.c:30 +0x20\n"
	       "\n"
	       "goroutine 3 [chan receive, 1 minutes]:\n"
	       "pop(...)\n"
	       "\t/src/a ?b.c:7\n"
	       "work(...)\n"
	       "\t/src/a.c:12 +0x1c\n"
	       "created by main in goroutine 1\n"
	       "\t/src/a.c:30 +0x20\n"
	       "\n"
	       "goroutine 4 [running]:\n"
	       "\tgoroutine running on other thread; stack unavailable\n"
	       "created by main in goroutine 1\n"
	       "\t/src/a.c:30 +0x20\n"
	       "\n"
	       "goroutine 5 [sync.Mutex.Lock, 12 minutes]:\n"
	       "pop(...)\n"
	       "\t/src/a ?b.c:7\n"
	       "work(...)\n"
	       "\t/src/a.c:12 +0x1c\n"
	       "created by main in goroutine 1\n"
	       "\t/src/a.c:30 +0x20\n");
}

/* What Go has another word for, how long, and what stands behind it in the brackets. */
static void states_as_go(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 2)->state = GORO_STATE_NEW;
	fake_g(&f, 3)->state = GORO_STATE_RUNNABLE;
	f.g[1].wait_ns = UINT64_C(300000000000); /* since it can run: not told by Go */
	fake_wait(&f, 4, GORO_REASON_BLOCKING, 0)->wait_ns = UINT64_C(59999999999);
	fake_wait(&f, 5, GORO_REASON_ONCE, B)->wait_ns = UINT64_C(60000000000);
	fake_wait(&f, 6, GORO_REASON_SELECT_TIMEOUT, 0)->wait_ns = UINT64_C(7379999999999);
	f.g[4].flags = GORO_FLAG_LOCKED;
	fake_wait(&f, 7, GORO_REASON_SEMA_CONTEXT, 0)->wait_ns = 0;
	for (size_t i = 1; i < f.ng; i++)
		f.g[i].spawn_pc = 0;
	for (size_t i = 2; i < f.ng; i++)
		f.g[i].stack_id = 0;
#define FRAMES "pop(...)\n\t/src/a ?b.c:7\nwork(...)\n\t/src/a.c:12 +0x1c\n"
	expect(&f, report_dump_go,
	       "goroutine 2 [runnable]:\nwork(...)\n\t/src/a.c:9\n"
	       "created by main in goroutine 1\n\t/src/a.c:30 +0x20\n"
	       "\ngoroutine 3 [runnable]:\n"
	       "\tgoroutine running on other thread; stack unavailable\n"
	       "\ngoroutine 4 [syscall]:\n" FRAMES
	       "\ngoroutine 5 [sync.Mutex.Lock, 1 minutes]:\n" FRAMES
	       "\ngoroutine 6 [select, 122 minutes, locked to thread]:\n" FRAMES
	       "\ngoroutine 7 [semacquire]:\n" FRAMES);
#undef FRAMES
}

static void dump_as_json(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_wait(&f, 2, GORO_REASON_CHAN_RECV, A);
	fake_chan(&f, A);
	f.g[0].stack_hi = 8192;
	f.g[0].stack_lo = 4096;
	f.g[0].stack_used = 512;
	f.g[0].stack_resident = 4096;
	expect(&f, dump_json,
	       "{\"schema_version\":2,\"pid\":4711,\"name\":\"fake\",\"runtime\":\"goro 0.1.0\","
	       "\"time_ns\":1700000000000000000,\"uptime_ns\":95000000000,\"rss\":3145728,"
	       "\"stopped\":false,\"reclaimed\":0,"
	       "\"trust\":{\"cost_ns\":2000000,\"bytes_read\":4096,\"reread\":0,\"torn\":0,"
	       "\"truncated\":0,\"lost\":0,\"bad_records\":0},\n"
	       "\"goroutines\":[\n"
	       "{\"id\":2,\"state\":\"waiting\",\"wait_reason\":\"chan receive\","
	       "\"wait_ns\":89998000000,\"wait_object\":\"0xa000\",\"spawn\":{\"function\":"
	       "\"main\",\"file\":\"/src/a.c\",\"line\":30},\"parent\":1,\"stack_id\":0,"
	       "\"memory\":{\"stack_reserved\":4096,\"stack_resident\":4096,\"stack_used\":512,"
	       "\"stack_peak\":4096},\"verdict\":\"ok\",\"proof\":null,\"name\":null,\"labels\":{}}"
	       "],"
	       "\n"
	       "\"stacks\":[\n"
	       "{\"id\":0,\"complete\":true,\"by_frame_pointer\":false,\"frames\":[{\"function\":"
	       "\"goro_chan_recv\","
	       "\"file\":null,\"line\":null,\"inlined\":false,\"module\":null,\"pc\":\"0x100\","
	       "\"runtime\":true},{\"function\":\"pop\",\"file\":\"/src/a \\u001Bb.c\","
	       "\"line\":7,\"inlined\":true,\"module\":\"/bin/fake\",\"pc\":\"0x200\","
	       "\"runtime\":false},{\"function\":\"work\",\"file\":\"/src/a.c\",\"line\":12,"
	       "\"inlined\":false,\"module\":\"/bin/fake\",\"pc\":\"0x200\","
	       "\"runtime\":false}]},\n"
	       "{\"id\":1,\"complete\":true,\"by_frame_pointer\":false,\"frames\":[{\"function\":"
	       "null,\"file\":null,\"line\":"
	       "null,\"inlined\":false,\"module\":\"/lib/\\\"x\\\".so\",\"pc\":\"0x300\","
	       "\"runtime\":false}]},\n"
	       "{\"id\":2,\"complete\":false,\"by_frame_pointer\":false,\"frames\":[{\"function\":"
	       "null,\"file\":null,"
	       "\"line\":null,\"inlined\":false,\"module\":\"/lib/\\\"x\\\".so\",\"pc\":"
	       "\"0x300\",\"runtime\":false}]}]}\n");
}

static void waits_as_text(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_program(&f);
	expect(&f, report_waits_text,
	       "channel 0xa000, 0 of 3 buffered\n"
	       "  2 goroutines, the first is 2 [chan receive, up to 1m29s] pop (inlined) at "
	       "/src/a ?b.c:7\n"
	       "\n"
	       "mutex 0xb000, held by goroutine 2\n"
	       "  goroutine 5 [sync.Mutex.Lock, 12m0s] pop (inlined) at /src/a ?b.c:7\n");
}

static void waits_as_dot(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_program(&f);
	fake_find(&f, 5)->stack_id = 1;
	f.objects[1].owner = 3; /* stands with 2, so that is its node */
	expect(&f, report_waits_dot,
	       "digraph waits {\n"
	       "\toa000 [shape=ellipse, label=\"channel 0xa000, 0 of 3 buffered\"];\n"
	       "\tg2 [shape=box, label=\"2 goroutines\\npop\\na ?b.c:7\"];\n"
	       "\tg2 -> oa000 [label=\"chan receive\"];\n"
	       "\tob000 [shape=ellipse, label=\"mutex 0xb000, held by goroutine 3\"];\n"
	       "\tob000 -> g2 [label=\"held by\"];\n"
	       "\tg5 [shape=box, label=\"goroutine 5\\n?\"];\n"
	       "\tg5 -> ob000 [label=\"sync.Mutex.Lock\"];\n"
	       "}\n");
}

static void nothing_waits(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_wait(&f, 1, GORO_REASON_SLEEP, 0);
	expect(&f, report_waits_text, "no goroutine waits for another one\n");
	expect(&f, report_waits_dot, "digraph waits {\n}\n");
}

/* A target may call itself anything: JSON stays UTF-8, and no escape reaches the terminal. */
static void hostile_names(void **state)
{
	static const struct {
		const char *from, *json;
	} cases[] = {
		{ "plain", "plain" },		{ "h\xc3\xa9", "h\xc3\xa9" },
		{ "\xff\xfe", "??" },		{ "a\xc3", "a?" },
		{ "\xc0\xaf", "??" },		{ "\xed\xa0\x80x", "???x" },
		{ "\xf4\x90\x80\x80", "????" }, { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
	};
	char *text = NULL;
	size_t size;
	FILE *out;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *value = report_json_string(cases[i].from);

		assert_string_equal(json_string_value(value), cases[i].json);
		json_decref(value);
	}
	out = open_memstream(&text, &size);
	report_put(out, "a\033[2J\r\nb\177");
	fclose(out);
	assert_string_equal(text, "a?[2J??b?");
	free(text);
}

static void numbers(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} durations[] = {
		{ 0, "0ms" },
		{ 999999999, "999ms" },
		{ 1000000000, "1.0s" },
		{ 59999999999, "59.9s" },
		{ 60000000000, "1m0s" },
		{ 3599999999999, "59m59s" },
		{ 3600000000000, "1h0m" },
		{ 90061000000000, "1d1h" },
		{ UINT64_MAX, "213503d23h" },
	};
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = { { 0, "0 B" },	   { 1023, "1023 B" },	   { 1024, "1.0 KiB" },
		      { 10240, "10 KiB" }, { 1048576, "1.0 MiB" }, { UINT64_MAX, "16 EiB" } };
	char text[TEXT_NUMBER];

	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
		assert_string_equal(text_duration(text, durations[i].ns), durations[i].text);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		assert_string_equal(text_bytes(text, sizes[i].bytes), sizes[i].text);
}

static void leaks_as_text(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	uint32_t members[] = { 1, 2 };
	struct goro_finding finding = { .verdict = GORO_VERDICT_LEAKED,
					.proof = GORO_PROOF_CYCLE,
					.members = members,
					.nmembers = 2,
					.n = 2,
					.evidence = strdup("one line\nand \033 another\n") };
	const struct goro_verdicts v = { .findings = &finding, .n = 1, .leaked = 2 };
	char *text = NULL;
	size_t size;
	struct report r = { .out = open_memstream(&text, &size), .colour = true };

	(void)state;
	make_program(&f);
	r.snap = snap = fake_freeze(&f);
	report_leaks_text(&r, &v);
	fclose(r.out);
	assert_string_equal(text, "\033[1;31mLEAKED\033[m (cycle): 2 goroutines [chan receive, up "
				  "to 1m29s]\n"
				  "  one line\n"
				  "  and ? another\n"
				  "      pop (inlined) at /src/a ?b.c:7\n"
				  "      work at /src/a.c:12\n"
				  "  started by main at /src/a.c:30\n"
				  "  goroutines 2, 3\n"
				  "\n"
				  "5 goroutines: 2 leaked, 0 likely, 0 suspect\n");
	free(text);
	free(finding.evidence);
	goro_snapshot_free(snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_as_text),	 cmocka_unit_test(dump_as_go),
		cmocka_unit_test(states_as_go),	 cmocka_unit_test(dump_as_json),
		cmocka_unit_test(waits_as_text), cmocka_unit_test(waits_as_dot),
		cmocka_unit_test(nothing_waits), cmocka_unit_test(hostile_names),
		cmocka_unit_test(numbers),	 cmocka_unit_test(leaks_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
