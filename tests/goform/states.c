/* SPDX-License-Identifier: MIT */
/*
 * states.c - a goroutine in each state that Go has a name for; states.go is the same in Go.
 *
 * SIGUSR1: from now on all of them have waited for five minutes, by what is written of them.
 * SIGUSR2: one more is started, and the program ends by abort() before that one has run.
 */
#include <goro.h>
#include <goro_introspect.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP __attribute__((noinline)) static

static uint64_t sink;
static goro_mutex mutex, cond_mutex;
static goro_rwmutex rw_read, rw_write;
static goro_waitgroup waitgroup;
static goro_cond cond;
static goro_once once;
static goro_sema sema = GORO_SEMA(1);
static int pipe_fds[2], blocking_fds[2];
static atomic_int told; /* any thread may get the signal */
extern struct goro_introspect goro_introspect;

/* Something to do after a call, so that it stays one, and so that no two functions are alike. */
#define use(v) __atomic_store_n(&sink, (v), __ATOMIC_RELAXED)

KEEP void wait_recv(void *c)
{
	goro_chan_recv(c, NULL);
	use(1);
}

KEEP void wait_send(void *c)
{
	int v = 1;

	goro_chan_send(c, &v);
	use(2);
}

KEEP void wait_recv_nil(void *unused)
{
	(void)unused;
	goro_chan_recv(NULL, NULL);
	use(3);
}

KEEP void wait_send_nil(void *unused)
{
	int v = 1;

	(void)unused;
	goro_chan_send(NULL, &v);
	use(4);
}

KEEP void wait_select(void *c)
{
	int v = 1;
	struct goro_case cases[] = { goro_recv_case(c, NULL), goro_send_case(c, &v) };

	cases[1].chan = goro_chan_of(int, 0);
	goro_select(cases, 2);
	use(5);
}

KEEP void wait_select_none(void *unused)
{
	(void)unused;
	goro_select(NULL, 0);
	use(6);
}

KEEP void wait_mutex(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mutex);
	use(7);
}

KEEP void wait_rlock(void *unused)
{
	(void)unused;
	goro_rwmutex_rlock(&rw_write);
	use(8);
}

KEEP void wait_lock(void *unused)
{
	(void)unused;
	goro_rwmutex_lock(&rw_read);
	use(9);
}

KEEP void wait_waitgroup(void *unused)
{
	(void)unused;
	goro_waitgroup_wait(&waitgroup);
	use(10);
}

KEEP void wait_cond(void *unused)
{
	(void)unused;
	goro_mutex_lock(&cond_mutex);
	goro_cond_wait(&cond, &cond_mutex);
	use(11);
}

KEEP void wait_sleep(void *unused)
{
	(void)unused;
	goro_sleep(3600 * GORO_SECOND);
	use(12);
}

KEEP void wait_io(void *unused)
{
	char byte;

	(void)unused;
	goro_read(pipe_fds[0], &byte, 1);
	use(13);
}

KEEP void wait_locked(void *c)
{
	goro_lock_os_thread();
	goro_chan_recv(c, NULL);
	use(14);
}

KEEP void wait_inner(goro_chan *c)
{
	goro_chan_recv(c, NULL);
	use(15);
}

KEEP void wait_outer(void *c)
{
	wait_inner(c);
	use(16);
}

KEEP void hold_once(void *c)
{
	goro_chan_recv(c, NULL);
	use(18);
}

KEEP void wait_once(void *c)
{
	goro_once_do(&once, hold_once, c);
	use(19);
}

KEEP void wait_sema(void *unused)
{
	(void)unused;
	goro_sema_acquire(&sema, 1);
	use(20);
}

KEEP void wait_timeout(void *c)
{
	struct goro_case cases[] = { goro_recv_case(c, NULL) };

	goro_select_timeout(cases, 1, 3600 * GORO_SECOND);
	use(21);
}

KEEP void read_it(void *byte)
{
	if (read(blocking_fds[0], byte, 1) != 1)
		use(22);
}

KEEP void wait_syscall(void *unused)
{
	char byte;

	(void)unused;
	goro_blocking(read_it, &byte);
	use(23);
}

KEEP void wait_new(void *unused)
{
	(void)unused;
	use(24);
}

KEEP void start_nested(goro_chan *c)
{
	go(wait_outer, c);
	use(17);
}

static void tell(int sig)
{
	told = sig;
}

static void grow_old(void)
{
	const struct goro_introspect *c = &goro_introspect;
	const struct goro_field *fields = (void *)(uintptr_t)c->fields;
	const uint64_t *chunks = (void *)(uintptr_t)c->g_chunks;

	for (uint32_t i = 0; i < c->g_nchunks * c->g_chunk_len; i++) {
		char *g = (char *)(uintptr_t)chunks[i / c->g_chunk_len] +
			  (size_t)(i % c->g_chunk_len) * c->g_size;
		uint64_t at;

		memcpy(&at, g + fields[GORO_FIELD_g_park_time].offset, sizeof at);
		at -= GORO_SINCE(302 * (uint64_t)GORO_SECOND); /* and leave the state */
		memcpy(g + fields[GORO_FIELD_g_park_time].offset, &at, sizeof at);
	}
}

int main(void)
{
	struct sigaction on_tell = { .sa_handler = tell, .sa_flags = SA_RESTART };

	if (pipe2(pipe_fds, O_NONBLOCK) || pipe(blocking_fds) ||
	    sigaction(SIGUSR1, &on_tell, NULL) || sigaction(SIGUSR2, &on_tell, NULL))
		return 1;
	goro_sema_acquire(&sema, 1);
	goro_mutex_lock(&mutex);
	goro_rwmutex_rlock(&rw_read);
	goro_rwmutex_lock(&rw_write);
	goro_waitgroup_add(&waitgroup, 1);
	go(wait_recv, goro_chan_of(int, 0));
	go(wait_send, goro_chan_of(int, 0));
	go(wait_recv_nil, NULL);
	go(wait_send_nil, NULL);
	go(wait_select, goro_chan_of(int, 0));
	go(wait_select_none, NULL);
	go(wait_mutex, NULL);
	go(wait_rlock, NULL);
	go(wait_lock, NULL);
	go(wait_waitgroup, NULL);
	go(wait_cond, NULL);
	go(wait_sleep, NULL);
	go(wait_io, NULL);
	go(wait_locked, goro_chan_of(int, 0));
	start_nested(goro_chan_of(int, 0));
	go(wait_sema, NULL);
	go(wait_timeout, goro_chan_of(int, 0));
	go(wait_syscall, NULL);
	go(wait_once, goro_chan_of(int, 0));
	goro_sleep(GORO_MILLISECOND);
	go(wait_once, goro_chan_of(int, 0));
	while (told == 0)
		goro_sleep(10 * GORO_MILLISECOND);
	if (told == SIGUSR1)
		grow_old();
	while (told == SIGUSR1)
		goro_sleep(10 * GORO_MILLISECOND);
	go(wait_new, NULL);
	abort();
}
