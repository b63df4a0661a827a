/* SPDX-License-Identifier: MIT */
/*
 * snapshot_home.c - see snapshot_home.h.
 *
 * A home lives until it is closed and all that it lent have come back: snapshots outlive scopes.
 */
#include "snapshot_home.h"

#include <pthread.h>
#include <stdlib.h>

/* A judgement takes up to three looks; but of many goroutines memory counts for more than time. */
enum { KEPT_MOST = 3, KEPT_OF_MANY = 1, MANY = 1 << 17 };

struct snapshot_home {
	pthread_mutex_t lock;
	size_t lent;
	bool closed;
	struct goro_snapshot *kept[KEPT_MOST]; /* the oldest first */
	size_t n;
};

struct snapshot_home *snapshot_home_new(void)
{
	struct snapshot_home *home = calloc(1, sizeof *home);

	if (home)
		pthread_mutex_init(&home->lock, NULL);
	return home;
}

static void destroy(struct snapshot_home *home)
{
	pthread_mutex_destroy(&home->lock);
	free(home);
}

void snapshot_forget(struct goro_snapshot *snap)
{
	struct snapshot_past *past = snap->past;
	struct snapshot_home *home;
	bool last;

	if (!past)
		return;
	snap->past = NULL;
	home = past->home;
	free(past->stack_table);
	past->free(past);
	pthread_mutex_lock(&home->lock);
	home->lent--;
	last = home->closed && !home->lent;
	pthread_mutex_unlock(&home->lock);
	if (last)
		destroy(home);
}

static void discard(struct goro_snapshot *snap)
{
	snapshot_forget(snap);
	goro_snapshot_free(snap);
}

void snapshot_home_close(struct snapshot_home *home)
{
	struct goro_snapshot *snap;
	bool last;

	if (!home)
		return;
	while ((snap = snapshot_home_take(home)))
		discard(snap);
	pthread_mutex_lock(&home->lock);
	home->closed = true;
	last = !home->lent;
	pthread_mutex_unlock(&home->lock);
	if (last)
		destroy(home);
}

void snapshot_home_lend(struct snapshot_home *home)
{
	pthread_mutex_lock(&home->lock);
	home->lent++;
	pthread_mutex_unlock(&home->lock);
}

struct goro_snapshot *snapshot_home_take(struct snapshot_home *home)
{
	struct goro_snapshot *snap = NULL;

	pthread_mutex_lock(&home->lock);
	if (home->n)
		snap = home->kept[--home->n];
	pthread_mutex_unlock(&home->lock);
	return snap;
}

bool snapshot_home_keep(struct goro_snapshot *snap)
{
	struct snapshot_home *home = snap->past->home;
	size_t most = snap->ng > MANY ? KEPT_OF_MANY : KEPT_MOST, at;
	struct goro_snapshot *oldest = NULL;
	bool kept = false;

	pthread_mutex_lock(&home->lock);
	if (!home->closed && home->n >= most) {
		oldest = home->kept[0];
		for (size_t i = 1; i < home->n; i++)
			home->kept[i - 1] = home->kept[i];
		home->n--;
	}
	if (!home->closed && home->n < most) {
		for (at = home->n; at && home->kept[at - 1]->time > snap->time; at--)
			home->kept[at] = home->kept[at - 1];
		home->kept[at] = snap;
		home->n++;
		kept = true;
	}
	pthread_mutex_unlock(&home->lock);
	if (oldest)
		discard(oldest);
	return kept;
}
