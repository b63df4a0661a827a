/* SPDX-License-Identifier: MIT */
/*
 * feed.c - requests in, frames out.
 *
 * One mutex guards the mailbox and is never held over a call into the library. Rejected: reading
 * on the screen thread with a short timeout. A read of a stopped or swapping target can block in
 * the kernel for seconds, and then keys must still work.
 */
#define _GNU_SOURCE
#include "feed.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AWAIT_LIMIT (15 * NSEC_PER_SEC)
#define AWAIT_STEP  (20 * NSEC_PER_MSEC)

enum request { REQ_NONE, REQ_LIST, REQ_ATTACH, REQ_ATTACH_PID, REQ_AWAIT_PID };

struct given_back {
	struct frame *frame;
	struct given_back *next;
};

struct feed {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int wake_fd;

	/* Under the lock. */
	struct feed_options opt;
	bool stop, hold, list_all;
	long step; /* of a recording: ticks to go, backward if negative */
	bool prove;
	bool leave; /* detach before anything else; until then no frame is handed out */
	enum request request;
	char *target;
	int pid;
	struct news news;
	struct given_back *back;

	/* Of the reader thread. */
	struct goro_scope *scope;
	struct namer *namer;
	int64_t last_tick, last_cost; /* when the last read began, and what it took */
	bool over;		      /* there is no more to come */
	size_t at, ticks;	      /* of a recording: the tick that was read last, and all */
	int await_pid;
	int64_t await_until;
};

void listing_free(struct listing *l)
{
	if (!l)
		return;
	goro_candidates_free(l->c, l->n);
	free(l);
}

static void wake(struct feed *feed)
{
	ssize_t n;

	do
		n = write(feed->wake_fd, "", 1);
	while (n < 0 && errno == EINTR);
}

/* ---- what the reader thread reports ---- */

static void post_frame(struct feed *feed, struct frame *f)
{
	struct frame *old;

	pthread_mutex_lock(&feed->lock);
	old = feed->news.frame;
	if (old && old->proved) {
		/* The user waits for this one. */
		feed->news.frame = old;
		old = f;
	} else {
		feed->news.frame = f;
	}
	feed->news.attached = true;
	feed->news.busy_since = 0;
	pthread_mutex_unlock(&feed->lock);
	frame_free(feed->namer, old);
	wake(feed);
}

static void post_error(struct feed *feed, struct goro_error *err, bool ended)
{
	pthread_mutex_lock(&feed->lock);
	goro_error_free(feed->news.error);
	feed->news.error = err;
	feed->news.ended |= ended;
	feed->news.waiting = false;
	feed->news.busy_since = 0;
	pthread_mutex_unlock(&feed->lock);
	wake(feed);
}

static void post_listing(struct feed *feed, struct listing *l)
{
	struct listing *old;

	pthread_mutex_lock(&feed->lock);
	old = feed->news.listing;
	feed->news.listing = l;
	pthread_mutex_unlock(&feed->lock);
	listing_free(old);
	wake(feed);
}

static void set_waiting(struct feed *feed, bool waiting)
{
	pthread_mutex_lock(&feed->lock);
	feed->news.waiting = waiting;
	pthread_mutex_unlock(&feed->lock);
	wake(feed);
}

/* ---- what it does ---- */

static void free_returned(struct feed *feed)
{
	struct given_back *b, *next;

	pthread_mutex_lock(&feed->lock);
	b = feed->back;
	feed->back = NULL;
	pthread_mutex_unlock(&feed->lock);
	for (; b; b = next) {
		next = b->next;
		frame_free(feed->namer, b->frame);
		free(b);
	}
}

static void detach(struct feed *feed)
{
	struct frame *untaken;

	pthread_mutex_lock(&feed->lock);
	untaken = feed->news.frame;
	feed->news.frame = NULL;
	feed->news.attached = feed->news.ended = feed->news.waiting = false;
	feed->news.busy_since = 0;
	feed->leave = false;
	pthread_mutex_unlock(&feed->lock);
	feed->await_pid = 0;
	free_returned(feed);
	if (!feed->scope)
		return;
	frame_free(feed->namer, untaken);
	namer_free(feed->namer);
	goro_scope_close(feed->scope);
	feed->scope = NULL;
	feed->namer = NULL;
}

static void attached(struct feed *feed, struct goro_scope *scope)
{
	feed->scope = scope;
	feed->namer = namer_new(scope);
	feed->last_tick = feed->last_cost = 0;
	feed->over = false;
	feed->at = 0;
	feed->ticks = goro_scope_ticks(scope);
}

static void list(struct feed *feed, bool all)
{
	struct listing *l = xcalloc(1, sizeof(*l));
	struct goro_error *err = goro_list_processes(&l->c, &l->n, all);

	if (!err) {
		post_listing(feed, l);
		return;
	}
	free(l);
	post_error(feed, err, false);
}

/* A command's runtime is up a moment after its exec. Until then its error is not an answer. */
static void try_await(struct feed *feed)
{
	struct goro_scope *scope = NULL;
	struct goro_error *err = goro_scope_open_pid(&scope, feed->await_pid);
	siginfo_t si = { 0 };
	bool gone;

	if (!err) {
		feed->await_pid = 0;
		set_waiting(feed, false);
		attached(feed, scope);
		return;
	}
	/* WNOWAIT: whoever started it also wants to know how it ended. */
	gone = waitid(P_PID, (id_t)feed->await_pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       si.si_pid == feed->await_pid;
	if (err->code == GORO_PERMISSION || gone || clock_now() > feed->await_until) {
		feed->await_pid = 0;
		post_error(feed, err, false);
		return;
	}
	goro_error_free(err);
}

static void serve(struct feed *feed, enum request req, const char *target, int pid, bool all)
{
	struct goro_scope *scope = NULL;
	struct goro_error *err;

	if (req == REQ_LIST) {
		list(feed, all);
		return;
	}
	detach(feed);
	if (req == REQ_AWAIT_PID) {
		feed->await_pid = pid;
		feed->await_until = clock_now() + AWAIT_LIMIT;
		set_waiting(feed, true);
		return;
	}
	err = target ? goro_scope_open(&scope, target) : goro_scope_open_pid(&scope, pid);
	if (err)
		post_error(feed, err, false);
	else
		attached(feed, scope);
}

/* A recording plays from its first tick to its last, where it stands still. */
static void seek(struct feed *feed, long step)
{
	long last = (long)feed->ticks, at = (long)feed->at + step;

	feed->at = (size_t)(at < 1 ? 1 : at > last ? last : at);
	goro_scope_seek(feed->scope, feed->at);
}

/* Is the tick that was read the last that can differ from those before? */
static bool is_last(const struct feed *feed, const struct goro_snapshot *snap)
{
	return snap->source == GORO_CORE || (feed->ticks && feed->at == feed->ticks);
}

static void tick(struct feed *feed, const struct feed_options *opt, long step, bool prove)
{
	struct goro_verdict_options vo = { .suspect_age_ns = opt->suspect_age_ns, .reach = prove };
	struct goro_error *err;
	struct frame *f;

	feed->last_tick = clock_now();
	pthread_mutex_lock(&feed->lock);
	feed->news.busy_since = feed->last_tick;
	pthread_mutex_unlock(&feed->lock);
	if (feed->ticks)
		seek(feed, step ? step : 1);
	err = frame_take(feed->namer, &vo, &f);
	feed->last_cost = clock_now() - feed->last_tick;
	if (err) {
		/* Any other error may pass (a process in exec, a page not yet there): try on. */
		feed->over = err->code == GORO_NO_TARGET;
		post_error(feed, err, feed->over);
		return;
	}
	feed->over = is_last(feed, f->snap);
	post_frame(feed, f);
}

/* Never more than half of the time: a huge target slows the refresh, not the machine. */
static int64_t next_tick(const struct feed *feed)
{
	int64_t rest = 2 * feed->last_cost;

	if (!feed->scope || feed->hold || feed->over)
		return INT64_MAX;
	return feed->last_tick + (feed->opt.interval_ns > rest ? feed->opt.interval_ns : rest);
}

/* When there is something to do next, or INT64_MAX. Under the lock. */
static int64_t due(const struct feed *feed, int64_t now)
{
	if (feed->stop || feed->leave || feed->request || feed->back || feed->step || feed->prove)
		return 0;
	return feed->await_pid ? now + AWAIT_STEP : next_tick(feed);
}

static void sleep_until(struct feed *feed, int64_t when)
{
	struct timespec ts = { when / NSEC_PER_SEC, when % NSEC_PER_SEC };

	if (when == INT64_MAX)
		pthread_cond_wait(&feed->changed, &feed->lock);
	else
		pthread_cond_timedwait(&feed->changed, &feed->lock, &ts);
}

static void *run(void *arg)
{
	struct feed *feed = arg;
	bool stop = false;

	while (!stop) {
		pthread_mutex_lock(&feed->lock);
		int64_t when = due(feed, clock_now());
		if (when > clock_now())
			sleep_until(feed, when);
		enum request req = feed->request;
		char *target = feed->target;
		int pid = feed->pid;
		bool all = feed->list_all, read = clock_now() >= next_tick(feed);
		struct feed_options opt = feed->opt;
		long step = feed->step;
		feed->request = REQ_NONE;
		feed->target = NULL;
		bool prove = feed->prove;
		feed->step = 0;
		feed->prove = false;
		bool leave = feed->leave;
		stop = feed->stop;
		pthread_mutex_unlock(&feed->lock);

		if (leave)
			detach(feed);
		else if (feed->scope)
			free_returned(feed);
		if (req != REQ_NONE && !stop)
			serve(feed, req, target, pid, all);
		free(target);
		if (stop)
			break;
		if (feed->await_pid)
			try_await(feed);
		if (feed->scope && (read || prove || feed->last_tick == 0 || (step && feed->ticks)))
			tick(feed, &opt, step, prove);
	}
	detach(feed);
	return NULL;
}

/* ---- the screen thread's side ---- */

struct feed *feed_start(const struct feed_options *opt, int wake_fd)
{
	struct feed *feed = xcalloc(1, sizeof(*feed));
	pthread_condattr_t monotonic;
	sigset_t all, old;

	feed->opt = *opt;
	feed->wake_fd = wake_fd;
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* Signals are the screen thread's: it owns the terminal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&feed->thread, NULL, run, feed)) {
		perror("gotop: cannot start a thread");
		exit(1);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return feed;
}

static void request(struct feed *feed, enum request req, const char *target, int pid)
{
	char *copy = target ? xstrdup(target) : NULL;

	pthread_mutex_lock(&feed->lock);
	free(feed->target);
	feed->target = copy;
	feed->pid = pid;
	feed->request = req;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_list(struct feed *feed, bool all)
{
	pthread_mutex_lock(&feed->lock);
	feed->list_all = all;
	pthread_mutex_unlock(&feed->lock);
	request(feed, REQ_LIST, NULL, 0);
}

void feed_attach(struct feed *feed, const char *target)
{
	request(feed, REQ_ATTACH, target, 0);
}

void feed_attach_pid(struct feed *feed, int pid)
{
	request(feed, REQ_ATTACH_PID, NULL, pid);
}

void feed_await_pid(struct feed *feed, int pid)
{
	request(feed, REQ_AWAIT_PID, NULL, pid);
}

void feed_detach(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->leave = true;
	free(feed->target);
	feed->target = NULL;
	feed->request = REQ_NONE;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_set_interval(struct feed *feed, int64_t ns)
{
	pthread_mutex_lock(&feed->lock);
	feed->opt.interval_ns = ns;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_hold(struct feed *feed, bool hold)
{
	pthread_mutex_lock(&feed->lock);
	feed->hold = hold;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_step(struct feed *feed, long ticks)
{
	pthread_mutex_lock(&feed->lock);
	feed->step += ticks;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_prove(struct feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	feed->prove = true;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

void feed_take(struct feed *feed, struct news *ret)
{
	pthread_mutex_lock(&feed->lock);
	*ret = feed->news;
	if (feed->leave)
		ret->frame = NULL;
	else
		feed->news.frame = NULL;
	feed->news.listing = NULL;
	feed->news.error = NULL;
	pthread_mutex_unlock(&feed->lock);
}

void feed_give_back(struct feed *feed, struct frame *f)
{
	struct given_back *b;

	if (!f)
		return;
	b = xcalloc(1, sizeof(*b));
	b->frame = f;
	pthread_mutex_lock(&feed->lock);
	b->next = feed->back;
	feed->back = b;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
}

bool feed_stop(struct feed *feed)
{
	struct timespec limit;

	pthread_mutex_lock(&feed->lock);
	feed->stop = true;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 2;
	if (pthread_timedjoin_np(feed->thread, NULL, &limit) != 0) {
		pthread_detach(feed->thread);
		return false;
	}
	listing_free(feed->news.listing);
	goro_error_free(feed->news.error);
	pthread_mutex_destroy(&feed->lock);
	pthread_cond_destroy(&feed->changed);
	free(feed);
	return true;
}
