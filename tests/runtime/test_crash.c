/* SPDX-License-Identifier: MIT */
/*
 * GORO_TRACEBACK=all|system|crash: a signal that would end the program brings the stacks of all
 * goroutines first, wherever it comes, and whatever state the program is in.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

static atomic_int running;
static volatile uintptr_t bad = 8;

static __attribute__((noinline)) void wait_here(goro_chan *c)
{
	goro_chan_recv(c, NULL);
	running = -1;
}

static void receiver(void *arg)
{
	wait_here(arg);
	running = -1;
}

static void computer(void *arg)
{
	running++;
	for (;;)
		(void)arg;
}

static __attribute__((noinline)) void fault(void)
{
	*(volatile char *)bad = 1;
}

/* One that waits, and one that computes: with one worker, the others run where sysmon put them. */
static void others(void)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	check_parked(go(receiver, goro_chan_make(0, 0)), GORO_REASON_CHAN_RECV);
	go(computer, NULL);
	check_eventually(running == 1);
}

static __attribute__((noinline)) void crash_in_goroutine(goro_fn *fn)
{
	others();
	go(fn, NULL);
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void faulter(void *arg)
{
	(void)arg;
	goro_set_name("the bad one");
	goro_set_label("request", "12]34");
	fault();
}

static void segv(void)
{
	goro_set_label("customer", "a[c]me");
	crash_in_goroutine(faulter);
}

static void segv_in_main(void)
{
	others();
	fault();
}

static void jumper(void *arg)
{
	((void (*)(void))(bad - 8))();
	running = (int)(intptr_t)arg;
}

static void call_of_null(void)
{
	crash_in_goroutine(jumper);
}

/* Behind the end of a file. */
static void bus_faulter(void *arg)
{
	FILE *file = tmpfile();
	char *page;

	(void)arg;
	check(file && !ftruncate(fileno(file), 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	check(page != MAP_FAILED && !ftruncate(fileno(file), 0));
	*(volatile char *)page = 1;
}

static void bus(void)
{
	crash_in_goroutine(bus_faulter);
}

static void trapper(void *arg)
{
	(void)arg;
#ifdef __x86_64__
	__asm__ volatile("ud2");
#else
	__asm__ volatile("udf #0");
#endif
}

static void illegal(void)
{
	crash_in_goroutine(trapper);
}

static void fpe_raiser(void *arg)
{
	(void)arg;
	raise(SIGFPE);
}

static void fpe(void)
{
	crash_in_goroutine(fpe_raiser);
}

static void aborter(void *arg)
{
	(void)arg;
	abort();
}

static void aborts(void)
{
	crash_in_goroutine(aborter);
}

static void killed_from_outside(void)
{
	char number[32], *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, number, NULL };

	snprintf(number, sizeof(number), "kill -SEGV %d", (int)getpid());
	others();
	check_run(argv, 10);
	goro_sleep(10 * GORO_SECOND);
}

static void *foreign(void *arg)
{
	fault();
	return arg;
}

static void on_a_foreign_thread(void)
{
	pthread_t thread;

	others();
	check(!pthread_create(&thread, NULL, foreign, NULL));
	pthread_join(thread, NULL);
}

static void in_a_blocking_call(void)
{
	others();
	goro_blocking(aborter, NULL);
}

/* A worker that sleeps, having nothing to do, stands on its own stack. */
static void on_the_scheduler(void)
{
	const struct goro_field *fields = (const void *)(uintptr_t)goro_introspect.fields;
	const uint64_t *ms = (const void *)(uintptr_t)goro_introspect.ms;
	volatile uint32_t *tids[2];
	bool first;

	check_parked(go(receiver, goro_chan_make(0, 0)), GORO_REASON_CHAN_RECV);
	goro_sleep(GORO_MILLISECOND);
	check_eventually(__atomic_load_n(&goro_introspect.m_count, __ATOMIC_ACQUIRE) > 1);
	for (int i = 0; i < 2; i++) {
		tids[i] = (void *)(uintptr_t)(ms[i] + fields[GORO_FIELD_m_tid].offset);
		check_eventually(*tids[i]);
	}
	/* From here on we stay where we are. */
	first = *tids[0] != (uint32_t)gettid();
	usleep(300000); /* any time is right, but then it has nothing to do */
	syscall(SYS_tgkill, getpid(), *tids[first ? 0 : 1], SIGSEGV);
	usleep(10000000);
}

/* ---- worse ----------------------------------------------------------------------------------- */

/* Who dies in malloc holds its lock: whatever allocates from now on waits for ever. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAVE_MALLOC_LOCK 1
static pthread_mutex_t malloc_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread bool die_in_malloc; /* others may allocate until it does */
void *__libc_malloc(size_t size);

__attribute__((noinline)) void *malloc(size_t size)
{
	void *p;

	pthread_mutex_lock(&malloc_lock);
	if (die_in_malloc)
		abort();
	p = __libc_malloc(size);
	pthread_mutex_unlock(&malloc_lock);
	return p;
}

static void allocator(void *arg)
{
	void *(*volatile allocate)(size_t) = malloc; /* no compiler can tell what it is for */

	die_in_malloc = true;
	running = !allocate(10);
	(void)arg;
}

static void with_the_heap_locked(void)
{
	crash_in_goroutine(allocator);
}
#endif

/* What lies above its frame is overwritten, return addresses and all. */
static __attribute__((noinline)) void lose_stack(void *arg)
{
	char *volatile *at = arg;
	char here[16] = "";

	*at = here;
	goro_sleep(100 * GORO_SECOND);
	running = here[0];
}

static void overwritten(void *arg)
{
	lose_stack(arg);
	running = -1;
}

__attribute__((no_sanitize("address"))) static void smasher(void *arg)
{
	char *volatile *at = arg;

	for (int i = 0; i < 120; i++)
		((volatile char *)*at)[i] = (char)(i * 37 + 1);
	fault();
}

static void with_a_broken_stack(void)
{
	static char *volatile at;

	others();
	check_parked(go(overwritten, (void *)(uintptr_t)&at), GORO_REASON_SLEEP);
	go(smasher, (void *)(uintptr_t)&at);
	goro_sleep(100 * GORO_SECOND);
}

static void two_at_once(void)
{
	others();
	for (int i = 0; i < 20; i++)
		go(faulter, NULL);
	goro_sleep(100 * GORO_SECOND);
}

/* ---- the program's own handlers -------------------------------------------------------------- */

static void own_handler(int signo)
{
	(void)signo;
	_exit(77);
}

__attribute__((constructor(101))) static void before_the_runtime(void)
{
	if (getenv("HANDLER_FIRST")) {
		signal(SIGSEGV, own_handler);
		signal(SIGABRT, own_handler);
	}
}

static void again_with_handler(const char *name)
{
	char self[] = "/proc/self/exe", flag[] = "--case";

	if (getenv("HANDLER_FIRST"))
		return;
	setenv("HANDLER_FIRST", "1", 1);
	execv(self, (char *[]){ self, flag, strdup(name), NULL });
}

static void handler_of_before(void)
{
	again_with_handler("handler_of_before");
	crash_in_goroutine(faulter);
}

static void abort_handler_of_before(void)
{
	again_with_handler("abort_handler_of_before");
	crash_in_goroutine(aborter);
}

static void handler_of_later(void)
{
	signal(SIGSEGV, own_handler);
	crash_in_goroutine(faulter);
}

/* ---- words of our own ------------------------------------------------------------------------ */

static void panicker(void *arg)
{
	(void)arg;
	goro_panic("enough");
}

static void panics(void)
{
	crash_in_goroutine(panicker);
}

static void thrower(void *arg)
{
	(void)arg;
	go(NULL, NULL);
}

static void throws(void)
{
	crash_in_goroutine(thrower);
}

static void nothing(void)
{
}

/* ---- many ------------------------------------------------------------------------------------ */

#ifdef __SANITIZE_ADDRESS__
enum { MANY = 10000 };
#else
enum { MANY = 100000 };
#endif

static void many(void)
{
	goro_chan *c = goro_chan_make(0, 0);
	uint64_t last = 0;

	for (int i = 0; i < MANY; i++)
		last = go(receiver, c);
	check_parked(last, GORO_REASON_CHAN_RECV);
	goro_panic("one of %zu", goro_count());
}

#define ALL_WITH(n) .env = "GORO_TRACEBACK=all", .workers = n
#define ALL	    ALL_WITH("1 2")
#define CRASH	    .env = "GORO_TRACEBACK=crash", .workers = "2"
#define ANY	    "[1-9][0-9]*"
#define AT	    "\\(.*\n\t.*\n" /* the rest of a frame */
#define SIGNAL(s)   "^fatal error: unexpected signal$", "^\\[signal " s
#define SEGV(at)    SIGNAL("SIGSEGV: segmentation violation code=0x1 addr=" at " pc=0x[0-9a-f]+\\]$")
#define THE_OTHERS                                                                           \
	.anywhere = { "^goroutine " ANY " \\[chan receive.*\\]:\nwait_here" AT "receiver" AT \
		      "created by others in goroutine 1\n",                                  \
		      "^goroutine " ANY " \\[running.*\\]:\ncomputer" AT "created by others in " }

/* With the runtime's frames in between. */
#define THE_OTHERS_WHOLE \
	.anywhere = { "\nwait_here" AT "receiver" AT "goro_main" AT, "\ncomputer" AT }

static const struct check_case cases[] = {
	{ "segv",
	  segv,
	  2,
	  { SEGV("0x8"),
	    "^goroutine " ANY " \\[running, \"the bad one\", customer=a\\?c\\?me, "
	    "request=12\\?34\\]:\nfault" AT "faulter" AT
	    "created by crash_in_goroutine in goroutine 1\n",
	    "^goroutine 1 \\[sleep, customer=a\\?c\\?me\\]:\ncrash_in_goroutine" AT },
	  THE_OTHERS,
	  ALL },
	{ "segv_unasked", segv, 128 + SIGSEGV, .never = "." },
	{ "segv_with_core",
	  segv,
	  128 + SIGSEGV,
	  { SEGV("0x8"), "^faulter" AT },
	  THE_OTHERS_WHOLE,
	  CRASH },
	{ "segv_in_main",
	  segv_in_main,
	  2,
	  { SEGV("0x8"), "^goroutine 1 \\[running\\]:\nfault" AT "segv_in_main" AT },
	  THE_OTHERS,
	  ALL },
	{ "call_of_null",
	  call_of_null,
	  2,
	  { SEGV("0x0"), "^goroutine " ANY " \\[running\\]:\njumper" AT "created by " },
	  THE_OTHERS,
	  ALL },
	{ "bus",
	  bus,
	  2,
	  { SIGNAL("SIGBUS: bus error code=0x2 addr=0x[1-9a-f]"), "\nbus_faulter" AT },
	  THE_OTHERS,
	  ALL },
	{ "illegal",
	  illegal,
	  2,
	  { SIGNAL("SIGILL: illegal instruction code="), "\ntrapper" AT },
	  THE_OTHERS,
	  ALL },
	{ "fpe",
	  fpe,
	  2,
	  { SIGNAL("SIGFPE: floating-point exception code=0xfffffffa addr=0x0 "),
	    "\nfpe_raiser" AT },
	  THE_OTHERS,
	  ALL },
	{ "abort",
	  aborts,
	  2,
	  { SIGNAL("SIGABRT: abort code="), "\nabort" AT "aborter" AT },
	  THE_OTHERS,
	  ALL },
	{ "abort_unasked", aborts, 128 + SIGABRT, .never = "goroutine" },
	{ "abort_with_core",
	  aborts,
	  128 + SIGABRT,
	  { SIGNAL("SIGABRT: abort code="), "\nabort" AT "aborter" AT },
	  THE_OTHERS_WHOLE,
	  CRASH },
	{ "killed_from_outside",
	  killed_from_outside,
	  2,
	  { "^fatal error: unexpected signal", "^\\[signal SIGSEGV: segmentation violation ",
	    "^\\[sent by process " ANY "\\]$" },
	  .anywhere = { "wait_here", "goroutine 1 \\[" },
	  ALL },
	{ "on_a_foreign_thread",
	  on_a_foreign_thread,
	  2,
	  { SEGV("0x8"), "^[^\n]*thread[^\n]*:\nfault" AT "foreign" AT,
	    "^goroutine 1 \\[running\\]:", "\non_a_foreign_thread" AT },
	  THE_OTHERS,
	  ALL },
	{ "in_a_blocking_call",
	  in_a_blocking_call,
	  2,
	  { SIGNAL("SIGABRT: abort code="), "\nabort" AT "aborter" AT,
	    "^goroutine 1 \\[syscall\\]:\nin_a_blocking_call" AT },
	  THE_OTHERS,
	  ALL },
	{ "on_the_scheduler",
	  on_the_scheduler,
	  2,
	  { "^fatal error: unexpected signal during runtime execution$",
	    "^\\[signal SIGSEGV: ", "^runtime stack:$", "^goroutine 1 \\[",
	    "^goroutine " ANY " \\[chan receive\\]:\nwait_here" AT },
	  ALL_WITH("2") },
#ifdef HAVE_MALLOC_LOCK
	{ "with_the_heap_locked",
	  with_the_heap_locked,
	  2,
	  { SIGNAL("SIGABRT: abort code="), "\nabort" AT "malloc[^(]*" AT "allocator" AT },
	  .anywhere = { "\nwait_here" AT "receiver" AT "created by others in ",
			"\ncomputer" AT "created by others" },
	  ALL_WITH("2") },
	{ "with_the_heap_locked_and_core",
	  with_the_heap_locked,
	  128 + SIGABRT,
	  { SIGNAL("SIGABRT: abort code="), "\nallocator" AT },
	  CRASH },
#endif
	{ "with_a_broken_stack",
	  with_a_broken_stack,
	  2,
	  { SEGV("0x8"), "\nfault" AT "smasher" AT },
	  THE_OTHERS,
	  ALL_WITH("2") },
	{ "two_at_once",
	  two_at_once,
	  2,
	  { SEGV("0x8"), "\nfault" AT "faulter" AT },
	  THE_OTHERS,
	  "unexpected signal(.|\n)*unexpected signal",
	  ALL },
	{ "handler_of_before", handler_of_before, 77, .never = ".", ALL },
	{ "abort_handler_of_before", abort_handler_of_before, 77, .never = ".", ALL },
	{ "handler_of_later", handler_of_later, 77, .never = ".", ALL },
	{ "panic", panics, 2, { "^panic: enough$", "\npanicker" AT }, .never = "wait_here" },
	{ "panic_none",
	  panics,
	  2,
	  { "^panic: enough$" },
	  .never = "goroutine",
	  .env = "GORO_TRACEBACK=0" },
	{ "panic_all", panics, 2, { "^panic: enough$", "\npanicker" AT }, THE_OTHERS, ALL },
	{ "panic_system",
	  panics,
	  2,
	  { "^panic: enough$", "\ngoro_panic" AT "panicker" AT "goro_main" AT,
	    "\ngoro_park_recv" AT, "\nwait_here" AT },
	  .env = "GORO_TRACEBACK=system" },
	{ "panic_with_core",
	  panics,
	  128 + SIGABRT,
	  { "^panic: enough$", "\npanicker" AT },
	  THE_OTHERS_WHOLE,
	  CRASH },
	{ "fatal_error",
	  throws,
	  2,
	  { "^fatal error: go of nil func value$", "^goroutine " ANY " \\[running\\]:$",
	    "\nthrower" AT },
	  THE_OTHERS },
	{ "bad_level",
	  nothing,
	  2,
	  { "^fatal error: GORO_TRACEBACK=loud: not one of none, single, all, system, crash\n$" },
	  .never = "\\(\\.\\.\\.\\)",
	  .env = "GORO_TRACEBACK=loud" },
	{ "many",
	  many,
	  2,
	  { "^panic: one of ", "^goroutine 1 \\[running\\]:\nmany" AT,
	    "^goroutine " ANY " \\[chan receive\\]:\nwait_here" AT },
	  ALL_WITH("2") },
};

int main(int argc, char **argv)
{
	/* AddressSanitizer has reports of its own; here ours are wanted. */
	setenv("ASAN_OPTIONS",
	       "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0", 1);
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
