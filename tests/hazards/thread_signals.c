/* SPDX-License-Identifier: MIT */
/*
 * Signals of the process that come to a worker at the first and at the last moment of its thread,
 * and whose handler calls us. To the runtime a thread that is not known yet, or no more, is one of
 * the program's own, which the handler would make a goroutine of: it would keep a processor when
 * the thread goes on as a worker, or is gone. At the first moment such a call must be refused as in
 * any other worker; at the last one there is none any more.
 *
 *	thread_signals [first]	else at the last one
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "stress.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

struct thread {
	void *(*fn)(void *);
	void *arg;
};

enum { THREADS = 20 };

static bool at_first;
static pthread_key_t end_of_thread;
static goro_chan *full;
static atomic_int ended;

static void call(int signo)
{
	(void)signo;
	goro_chan_try_send(full, NULL);
}

/* In the last of all rounds: whoever begins something now that a thread's end is to undo is late.
 */
static void at_end(void *rounds)
{
	intptr_t n = (intptr_t)rounds;

	if (n < PTHREAD_DESTRUCTOR_ITERATIONS)
		must(!pthread_setspecific(end_of_thread, (void *)(n + 1)));
	else
		raise(SIGUSR1);
	if (n == PTHREAD_DESTRUCTOR_ITERATIONS)
		atomic_fetch_add(&ended, 1);
}

static void *run(void *arg)
{
	struct thread t = *(struct thread *)arg;

	free(arg);
	if (at_first)
		raise(SIGUSR1);
	else
		must(!pthread_setspecific(end_of_thread, (void *)1));
	return t.fn(t.arg);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	struct thread *t = malloc(sizeof(*t));

	must(t);
	*t = (struct thread){ fn, arg };
	return __real_pthread_create(thread, attr, run, t);
}

static void nothing(void *arg)
{
	(void)arg;
}

int main(int argc, char **argv)
{
	int64_t end = goro_now() + 60 * GORO_SECOND;
	struct sigaction sa = { .sa_handler = call, .sa_flags = SA_RESTART };

	at_first = argc > 1 && !strcmp(argv[1], "first");
	must(!pthread_key_create(&end_of_thread, at_end));
	full = goro_chan_make(0, 0);
	must(!sigaction(SIGUSR1, &sa, NULL));
	/* Each ends with its goroutine. */
	for (int i = 0; i < THREADS; i++)
		goro_go_with(&(struct goro_options){ .pinned = true }, nothing, NULL);
	while (atomic_load(&ended) < THREADS) {
		must(goro_now() < end);
		goro_sleep(GORO_MILLISECOND);
	}
	must(goro_count() == 1);
	printf("%d threads ended\n", ended);
	return 0;
}
