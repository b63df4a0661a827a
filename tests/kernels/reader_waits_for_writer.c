/* SPDX-License-Identifier: MIT */
/*
 * reader_waits_for_writer - a reader keeps its lock until the writer has said that it is done.
 *
 * Like kubernetes/10182, kubernetes/26980.
 *
 * expect: reader, chan receive: unreachable
 * expect: writer, sync.RWMutex.Lock: orphan
 */
#include "kernel.h"

struct status {
	goro_rwmutex rw;
	goro_chan *updated;
	goro_chan *reads;
};

static void reader(void *arg)
{
	struct status *s = arg;

	goro_rwmutex_rlock(&s->rw);
	goro_chan_close(s->reads);
	if (fixed)
		goro_rwmutex_runlock(&s->rw);
	goro_chan_recv(s->updated, NULL);
	if (!fixed)
		goro_rwmutex_runlock(&s->rw);
	after();
}

static void writer(void *arg)
{
	struct status *s = arg;

	goro_chan_recv(s->reads, NULL);
	goro_rwmutex_lock(&s->rw);
	goro_rwmutex_unlock(&s->rw);
	goro_chan_close(s->updated);
}

void kernel(void *unused)
{
	struct status *s = NEW(struct status);

	(void)unused;
	s->updated = goro_chan_of(int, 0);
	s->reads = goro_chan_of(int, 0);
	go(reader, s);
	go(writer, s);
}
