/* SPDX-License-Identifier: MIT */
/*
 * The word of a descriptor (netpoll.c): a reader parks on it without a lock while threads outside
 * of the runtime bring news, as pollers do, and others take a deadline away and back. It gets all
 * that is sent, and never sleeps on it.
 */
#include <pthread.h>

#include "stress.h"

#include "netpoll.c"

enum { READERS = 3 };

static struct reader {
	_Atomic uintptr_t word;
	_Atomic unsigned long sent, got;
	unsigned long blocked;
	pthread_t poller;
	atomic_bool over, done; /* nothing more is sent; the reader has all */
} readers[READERS];

static atomic_bool stop;
static goro_waitgroup wg;

static void bring_news(struct reader *r, bool ready)
{
	struct g_chain list = { 0 };

	chain(&list, unblock(&r->word, ready));
	goro_netpoll_inject(list);
}

/* An edge for each that is sent; beside them news that say nothing, as a moved deadline does. */
static void *poller(void *arg)
{
	struct reader *r = arg;
	uint64_t random = stress_seed((uintptr_t)arg);

	while (!stop) {
		/* Not far ahead, so that it has to wait. */
		while (r->sent > 3 + r->got && !stop)
			;
		atomic_fetch_add(&r->sent, 1);
		bring_news(r, true);
		if (stress_random(&random) % 4 == 0)
			bring_news(r, false);
		for (volatile uint64_t k = stress_random(&random) % 500; k; k--)
			;
	}
	r->over = true;
	while (!r->done)
		bring_news(r, true);
	return NULL;
}

static void live(void *arg)
{
	struct reader *r = arg;

	while (!r->over || r->got < r->sent) {
		struct m *mp;

		if (atomic_load(&r->word) == WORD_READY) /* goro_side_reset() */
			atomic_store(&r->word, WORD_NIL);
		if (r->got < atomic_load(&r->sent)) {
			r->got++;
			continue;
		}
		mp = enter();
		mp = block(mp, &r->word, NULL, SIDE_READ);
		leave(mp);
		r->blocked++;
	}
	r->done = true;
	goro_waitgroup_done(&wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv), patience;
	unsigned long got = 0, blocked = 0;

	must(!poll_init()); /* the workers poll when somebody waits */
	goro_waitgroup_add(&wg, READERS);
	for (int i = 0; i < READERS; i++) {
		go(live, &readers[i]);
		must(!pthread_create(&readers[i].poller, NULL, poller, &readers[i]));
	}
	while (goro_now() < end)
		goro_sleep(5 * GORO_MILLISECOND);
	/* While the pollers still run: who sleeps on its news shows here, before they stop. */
	for (int i = 0; i < READERS; i++) {
		unsigned long sent = readers[i].sent;

		for (patience = goro_now() + 30 * GORO_SECOND; readers[i].got < sent;) {
			must(goro_now() < patience);
			goro_sleep(GORO_MILLISECOND);
		}
	}
	stop = true;
	goro_waitgroup_wait(&wg);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].poller, NULL);
		must(readers[i].got == readers[i].sent);
		got += readers[i].got;
		blocked += readers[i].blocked;
	}
	printf("%lu news, %lu waits: none lost\n", got, blocked);
	must(blocked);
	return 0;
}
