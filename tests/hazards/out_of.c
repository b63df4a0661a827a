/* SPDX-License-Identifier: MIT */
/*
 * What happens when there is no memory, no thread, no descriptor: at each of the places where the
 * runtime asks for one, once, and from there on for ever.
 *
 * The linker hands us the runtime's calls of malloc, mmap and the like (--wrap). The program runs
 * itself once to count them over a workload that touches every part of the API, then again for each
 * of them with that one failing. It must come to its end, with what it did being right or having
 * failed with the error that was given; or it must die of the runtime's own words, which say what
 * there is too little of. It may not crash, hang, or do something else.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* ---- the failures ---------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_epoll_create1(int flags);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_epoll_create1(int flags);
FILE *__wrap_open_memstream(char **text, size_t *size);

static long asked, fail_at = -1;
static bool for_ever;

static bool fails(void)
{
	long n = __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);

	if (n == 1) {
		const char *at = getenv("FAIL_AT");

		for_ever = getenv("FAIL_FOR_EVER");
		__atomic_store_n(&fail_at, at ? atol(at) : 0, __ATOMIC_RELAXED);
	}
	return fail_at > 0 && (n == fail_at || (for_ever && n > fail_at));
}

void *__wrap_malloc(size_t size)
{
	if (!fails())
		return __real_malloc(size);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	if (!fails())
		return __real_calloc(n, size);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
	if (!fails())
		return __real_realloc(p, size);
	errno = ENOMEM;
	return NULL;
}

void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap(addr, size, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

int __wrap_epoll_create1(int flags)
{
	if (!fails())
		return __real_epoll_create1(flags);
	errno = EMFILE;
	return -1;
}

FILE *__wrap_open_memstream(char **text, size_t *size)
{
	if (!fails())
		return __real_open_memstream(text, size);
	errno = ENOMEM;
	return NULL;
}

/* ---- the workload ---------------------------------------------------------------------------- */

/* It has worked, or there was too little of something. */
static bool worked(int64_t result, int64_t wanted)
{
	if (result == -ENOMEM || result == -EMFILE || result == -EAGAIN)
		return false;
	check_eq(result, wanted);
	return true;
}

static void done(void *wg)
{
	goro_waitgroup_done(wg);
}

struct big {
	goro_waitgroup *wg;
	char more[500];
};

static void done_by_copy(void *big)
{
	goro_waitgroup_done(((struct big *)big)->wg);
}

/* More than a processor's queue takes. */
static void goroutines(void)
{
	struct big args = { 0 };
	goro_waitgroup wg = { 0 };

	args.wg = &wg;
	for (int i = 0; i < 600; i++) {
		goro_waitgroup_add(&wg, 1);
		go(done, &wg);
	}
	goro_waitgroup_add(&wg, 1);
	goro_go_with(&(struct goro_options){ .name = "big", .stack_size = 1 << 20 }, done, &wg);
	goro_waitgroup_wait(&wg);
	check_eq(goro_set_label("key", "value"), 0);
	goro_waitgroup_add(&wg, 1);
	go_copy(done_by_copy, &args);
	goro_waitgroup_wait(&wg);
}

static void channels(void)
{
	goro_chan *c[20];
	struct goro_case cases[20];
	int v = 0;

	for (int i = 0; i < 20; i++) {
		c[i] = goro_chan_of(int, 1);
		cases[i] = (struct goro_case)goro_recv_case(c[i], &v);
	}
	goro_chan_send(c[13], &(int){ 42 });
	check_eq(goro_select(cases, 20), 13);
	check_eq(v, 42);
	check_eq(goro_select_timeout(cases, 20, GORO_MICROSECOND), -1);
	for (int i = 0; i < 20; i++)
		goro_chan_free(c[i]);
}

static void times(void)
{
	goro_waitgroup wg = { 0 };
	goro_timer *t = goro_timer_new(GORO_MICROSECOND), *f;
	goro_ticker *k = goro_ticker_new(GORO_MICROSECOND);
	goro_chan *after = goro_after(GORO_MICROSECOND);

	goro_waitgroup_add(&wg, 1);
	f = goro_after_func(1, done, &wg);
	check(goro_chan_recv(goro_timer_chan(t), NULL));
	check(goro_chan_recv(goro_ticker_chan(k), NULL));
	check(goro_chan_recv(after, NULL));
	goro_waitgroup_wait(&wg);
	goro_sleep(GORO_MICROSECOND);
	goro_timer_free(t);
	goro_timer_free(f);
	goro_ticker_free(k);
	goro_chan_free(after);
}

static void contexts(void)
{
	static const char key;
	goro_waitgroup wg = { 0 };
	goro_context *a = goro_context_with_cancel(goro_background()),
		     *b = goro_context_with_timeout(a, GORO_SECOND),
		     *v = goro_context_with_value(b, &key, &wg, NULL),
		     *w = goro_context_without_cancel(v);
	goro_context_after *after;

	goro_waitgroup_add(&wg, 1);
	after = goro_context_after_func(v, done, &wg);
	goro_context_cancel(a);
	goro_waitgroup_wait(&wg);
	check(!goro_context_after_stop(after));
	check(goro_context_value(w, &key) == &wg && goro_context_err(w) == 0);
	goro_context_release(w);
	goro_context_release(v);
	goro_context_release(b);
	goro_context_release(a);
}

static int task(void *arg)
{
	goro_sema_acquire(arg, 1);
	goro_sema_release(arg, 1);
	return 0;
}

static int answer(void *arg, void *result)
{
	(void)arg;
	*(int *)result = 42;
	return 0;
}

static void *make(void *arg)
{
	(void)arg;
	return __real_malloc(10);
}

static void drop(void *object, void *arg)
{
	(void)arg;
	free(object);
}

static void together(void)
{
	static goro_sema sema = GORO_SEMA(1);
	static goro_flight flight;
	static goro_pool pool = { .make = make, .drop = drop };
	static goro_local local = { NULL };
	goro_group *g = goro_group_new(goro_background());
	goro_flight_ticket *t;
	int result = 0;
	void *object;

	for (int i = 0; i < 5; i++)
		goro_group_go(g, task, &sema);
	check_eq(goro_group_wait(g), 0);
	goro_group_free(g);
	t = goro_flight_start(&flight, "key", answer, NULL, sizeof(int));
	check_eq(goro_flight_take(t, &result, NULL), 0);
	check_eq(result, 42);
	goro_flight_drop(t);
	object = goro_pool_get(&pool);
	check(object);
	goro_pool_put(&pool, object);
	goro_pool_clear(&pool);
	goro_local_set(&local, &result);
	check(goro_local_get(&local) == &result);
	goro_local_set(&local, NULL);
}

static void serve_one(void *arg)
{
	int fd = goro_accept(*(int *)arg);
	char c = 0;
	ssize_t n;

	goro_close(*(int *)arg); /* who was not accepted is told so */
	if (!worked(fd < 0 ? fd : 0, 0))
		return;
	n = goro_read(fd, &c, 1);
	if (n == 1)
		n = goro_write(fd, &c, 1);
	/* The other side may lack something too, and be gone. */
	check(n == 0 || n == -ECONNRESET || n == -EPIPE || n == 1 || !worked(n, 1));
	goro_close(fd);
}

static void network(void)
{
	int listener = goro_listen_tcp("127.0.0.1", 0, 5), port = goro_port(listener), fd;
	char c = 'x';

	if (listener < 0) {
		worked(listener, 0);
		return;
	}
	go_copy(serve_one, &listener);
	fd = goro_dial_tcp_timeout("localhost", port, 20 * GORO_SECOND);
	if (fd < 0) {
		check(fd == -ECONNREFUSED || fd == -ECONNRESET || !worked(fd, 0));
	} else {
		ssize_t n = goro_write(fd, &c, 1);

		if (n != 1 || (n = goro_read(fd, &c, 1)) != 1)
			check(n == 0 || n == -ECONNRESET || !worked(n, 1));
		goro_close(fd);
	}
}

static void files(void)
{
	int fd = goro_open("/dev/zero", O_RDONLY, 0);
	char c = 1;

	if (fd < 0) {
		worked(fd, 0);
		return;
	}
	if (worked(goro_pread(fd, &c, 1, 0), 1))
		check_eq(c, 0);
	goro_close(fd);
}

static void *calls_in(void *wg)
{
	goro_waitgroup_done(wg);
	return NULL;
}

/* The program's own and the runtime's, which has more to do now. */
static void threads(void)
{
	goro_waitgroup wg = { 0 };
	int procs = goro_maxprocs();
	pthread_t own;

	goro_waitgroup_add(&wg, 2);
	check(!__real_pthread_create(&own, NULL, calls_in, &wg));
	check(!pthread_detach(own)); /* nobody joins it when this dies meanwhile */
	goro_go_with(&(struct goro_options){ .pinned = true }, done, &wg);
	goro_set_maxprocs(procs + 2);
	goro_waitgroup_wait(&wg);
	goro_set_maxprocs(procs);
}

static void answer_late(void *c)
{
	goro_chan_recv(c, NULL);
}

static void marks(void)
{
	goro_chan *c = goro_chan_make(0, 0);
	goro_leak_mark *mark = goro_mark_leaks();
	char *left;

	go(answer_late, c);
	left = goro_leaks_since(mark, 0);
	check(!left || strstr(left, "answer_late") || strstr(left, "1 goroutine"));
	free(left);
	goro_chan_send(c, NULL);
	left = goro_stack();
	check(!left || strstr(left, "goroutine 1 "));
	free(left);
}

/* With GORO_LOCKORDER in both orders, with GORO_DEBUG held over a wait: that is to be said. */
static void locks(void)
{
	static goro_mutex a, b;
	static goro_rwmutex rw;
	static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;

	for (int i = 0; i < 2; i++) {
		goro_mutex_lock(i ? &a : &b);
		goro_rwmutex_rlock(&rw);
		goro_mutex_lock(i ? &b : &a);
		goro_mutex_unlock(&a);
		goro_rwmutex_runlock(&rw);
		goro_mutex_unlock(&b);
	}
	goro_lock_os_thread(); /* so that it may be unlocked */
	goro_unlock_os_thread();
	pthread_mutex_lock(&own);
	goro_yield();
	pthread_mutex_unlock(&own);
}

static void recovers(void *arg)
{
	(void)arg;
	goro_recover();
}

static void panics(void *arg)
{
	goro_defer(recovers, arg);
	goro_panic("%s", "often");
}

static void work(void)
{
	void (*const parts[])(void) = { goroutines, channels, times,   contexts, together,
					network,    files,    threads, marks,	 locks };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		parts[i]();
	check(!goro_try(panics, NULL));
	printf("done %ld\n", __atomic_load_n(&asked, __ATOMIC_RELAXED));
	fflush(stdout);
}

/* ---- the judge ------------------------------------------------------------------------------- */

static long run_with(long at, bool ever)
{
	char self[4096], number[32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct check_run run;
	const char *count;
	long result = 0;
	bool good;

	check(n > 0);
	self[n] = '\0';
	snprintf(number, sizeof(number), "%ld", at);
	setenv("FAIL_AT", number, 1);
	if (ever)
		setenv("FAIL_FOR_EVER", "1", 1);
	else
		unsetenv("FAIL_FOR_EVER");
	run = check_run((char *[]){ self, (char[]){ "work" }, NULL }, 60);
	count = check_match(run.out, "^done ");
	if (count)
		result = atol(count);
	good = !run.timed_out &&
	       ((run.status == 0 && count) ||
		(run.status == 2 &&
		 check_match(run.err, "^(fatal error|panic): .*(out of memory|cannot start a "
				      "thread|no thread)")));
	if (!good) {
		printf("without the %ldth%s: status %d%s\n%s%s", at, ever ? " and all later" : "",
		       run.status, run.timed_out ? ", too late" : "", run.out, run.err);
		exit(1);
	}
	free(run.out);
	free(run.err);
	return at ? run.status : result;
}

/* What is only asked for with the setting, NAME=VALUE or none. */
static void fail_everywhere(const char *setting)
{
	long n, died = 0, lived = 0;

	if (setting)
		putenv(strdup(setting));
	n = run_with(0, false);
	check(n > 30);
	for (long at = 1; at <= n + 2; at++)
		for (int ever = 0; ever < 2; ever++)
			*(run_with(at, ever) ? &died : &lived) += 1;
	printf("%s%s%ld requests: %ld runs came to their end without, %ld said what they lacked\n",
	       setting ? setting : "", setting ? ": " : "", n, lived, died);
	check(died > 0 && lived > 0);
	if (setting)
		putenv(strndup(setting, strcspn(setting, "=")));
}

int main(int argc, char **argv)
{
	static const char *const settings[] = { "GORO_LOCKORDER=1", "GORO_DEBUG=pthread",
						"GORO_COLD=0.001", "GORO_RECLAIM=ask" };

	if (argc > 1 && !strcmp(argv[1], "work")) {
		work();
		return 0;
	}
	setenv("GORO_TRACEBACK", "none", 1);
	if (argc == 1)
		fail_everywhere(NULL);
	for (size_t i = 0; argc > 1 && i < sizeof(settings) / sizeof(settings[0]); i++)
		fail_everywhere(settings[i]);
	return 0;
}
