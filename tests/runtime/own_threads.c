/* SPDX-License-Identifier: MIT */
/* own_threads.c - see own_threads.h. */
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "own_threads.h"

int tid(void)
{
	return (int)syscall(SYS_gettid);
}

bool thread_exists(int id)
{
	return !syscall(SYS_tgkill, getpid(), id, 0);
}

/* Others write records meanwhile: an observer knows, ThreadSanitizer does not. */
__attribute__((no_sanitize("thread"))) uint32_t flags_seen(uint64_t id)
{
	const struct goro_introspect *gi = &goro_introspect;
	const struct goro_field *fields = (const void *)(uintptr_t)gi->fields;
	const uint64_t *chunks = (const void *)(uintptr_t)gi->g_chunks;

	for (uint32_t i = 0; i < gi->g_nchunks * gi->g_chunk_len; i++) {
		const char *g = (const char *)(uintptr_t)chunks[i / gi->g_chunk_len] +
				(size_t)(i % gi->g_chunk_len) * gi->g_size;
		if (*(const volatile uint64_t *)g == id)
			return *(const volatile uint16_t *)(g + fields[GORO_FIELD_g_flags].offset);
	}
	return 0;
}

struct echo {
	goro_chan *in, *out;
};

static void echo(void *arg)
{
	struct echo *e = arg;
	int v;

	while (goro_chan_recv(e->in, &v)) {
		v++;
		goro_chan_send(e->out, &v);
	}
	goro_chan_close(e->out);
}

void tell_tid(void *arg)
{
	*(int *)arg = tid();
}

static void poke(void *fd)
{
	goro_sleep(GORO_MILLISECOND);
	check_eq(goro_write(*(int *)fd, "x", 1), 1);
}

/* Every way to wait, and a yield: the same thread afterwards. */
void waits(int rounds)
{
	struct echo e = { goro_chan_of(int, 0), goro_chan_of(int, 1) };
	static goro_mutex mu;
	int me = tid(), there = 0, pair[2];

	go(echo, &e);
	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < rounds; i++) {
		struct goro_case cases[] = { goro_recv_case(e.out, &there) };
		char c;

		goro_chan_send(e.in, &i);
		check_eq(tid(), me);
		check_eq(goro_select(cases, 1), 0);
		check_eq(there, i + 1);
		check_eq(tid(), me);
		goro_yield();
		check_eq(tid(), me);
		goro_sleep(10 * GORO_MICROSECOND);
		check_eq(tid(), me);
		check_eq(goro_select_timeout(cases, 1, GORO_MICROSECOND), -1);
		check_eq(tid(), me);
		goro_mutex_lock(&mu);
		goro_yield();
		goro_mutex_unlock(&mu);
		check_eq(tid(), me);
		goro_blocking(tell_tid, &there);
		check_eq(there, me);
		check_eq(tid(), me);
		if (i % 64)
			continue;
		go(poke, &pair[1]);
		check_eq(goro_read(pair[0], &c, 1), 1);
		check_eq(tid(), me);
	}
	goro_chan_close(e.in);
	check(!goro_chan_recv(e.out, NULL));
	check_eq(goro_close(pair[0]), 0);
	check_eq(goro_close(pair[1]), 0);
	goro_chan_free(e.in);
	goro_chan_free(e.out);
}

void locked_hog(void *stop)
{
	goro_lock_os_thread();
	while (!atomic_load((atomic_bool *)stop))
		;
}
