/* SPDX-License-Identifier: MIT */
/*
 * prof.c - parts of a second each, the last of them summed up.
 *
 * Rejected: one long profile that is looked into while it grows. What was a minute ago would weigh
 * as much as what is now, and the names of its stacks are looked up at its end.
 */
#define _GNU_SOURCE
#include "prof.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = 30 };

struct prof {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int wake_fd;
	atomic_int cut; /* end the part that is being taken */

	/* Under the lock. */
	bool quit;
	int pid; /* 0: do nothing */
	enum goro_profile_mode mode;
	size_t ng;
	bool failed; /* do not try again until something else is wanted */
	struct picture *picture;
	struct goro_error *err;

	/* Of the thread. */
	struct goro_scope *scope;
	int scope_pid;
	enum goro_profile_mode parts_mode;
	struct goro_profile_part *parts[PARTS];
	size_t nparts;
};

void picture_free(struct picture *picture)
{
	if (picture)
		goro_profile_node_free(picture->root);
	free(picture);
}

struct picture *picture_of(enum goro_profile_mode mode, struct goro_profile_part *const *parts,
			   size_t n)
{
	struct picture *p = xcalloc(1, sizeof(*p));

	p->mode = mode;
	p->root = xcalloc(1, sizeof(*p->root));
	p->root->name = xstrdup("all");
	for (size_t i = 0; i < n; i++) {
		if (!goro_profile_merge(p->root, parts[i]->root))
			or_die(NULL);
		p->ns += parts[i]->ns;
		p->taken += parts[i]->taken;
		p->missed += parts[i]->missed;
	}
	if (n) {
		memcpy(p->how, parts[n - 1]->how, sizeof(p->how));
		memcpy(p->note, parts[n - 1]->note, sizeof(p->note));
	}
	return p;
}

unsigned prof_rate(enum goro_profile_mode mode, size_t ng)
{
	if (mode == GORO_PROFILE_CPU)
		return 99;
	return ng < 20000 ? 20 : ng < 200000 ? 5 : 1;
}

static void drop_parts(struct prof *p)
{
	for (size_t i = 0; i < p->nparts; i++)
		goro_profile_part_free(p->parts[i]);
	p->nparts = 0;
}

static void leave(struct prof *p)
{
	drop_parts(p);
	if (p->scope)
		goro_scope_close(p->scope);
	p->scope = NULL;
	p->scope_pid = 0;
}

static void wake(struct prof *p)
{
	ssize_t n;

	do
		n = write(p->wake_fd, "", 1);
	while (n < 0 && errno == EINTR);
}

/* One more part, if that is still what is wanted when it is there. */
static void add_part(struct prof *p, struct goro_profile_part *part, enum goro_profile_mode mode)
{
	struct picture *old, *picture;

	if (p->nparts == PARTS) {
		goro_profile_part_free(p->parts[0]);
		memmove(p->parts, p->parts + 1, (PARTS - 1) * sizeof(p->parts[0]));
		p->nparts--;
	}
	p->parts[p->nparts++] = part;
	picture = picture_of(mode, p->parts, p->nparts);
	pthread_mutex_lock(&p->lock);
	old = p->picture;
	p->picture = picture;
	p->failed |= part->ended;
	pthread_mutex_unlock(&p->lock);
	picture_free(old);
	wake(p);
}

static void fail(struct prof *p, struct goro_error *err)
{
	struct goro_error *old;

	pthread_mutex_lock(&p->lock);
	old = p->err;
	p->err = err;
	p->failed = true;
	pthread_mutex_unlock(&p->lock);
	goro_error_free(old);
	wake(p);
}

static bool is_cut(void *arg)
{
	struct prof *p = arg;

	return atomic_load(&p->cut);
}

static void sample(struct prof *p, int pid, enum goro_profile_mode mode, size_t ng)
{
	const struct goro_profile_options o = { .mode = mode,
						.hz = prof_rate(mode, ng),
						.duration_ns = NSEC_PER_SEC,
						.stop = is_cut,
						.arg = p };
	struct goro_profile_part *part = NULL;
	struct goro_error *err = NULL;

	if (p->scope_pid != pid) {
		leave(p);
		err = goro_scope_open_pid(&p->scope, pid);
		if (err)
			p->scope = NULL;
		p->scope_pid = err ? 0 : pid;
	}
	if (p->parts_mode != mode)
		drop_parts(p);
	p->parts_mode = mode;
	if (!err)
		err = goro_scope_profile_part(p->scope, &o, &part);
	if (err)
		fail(p, err);
	else if (atomic_load(&p->cut))
		goro_profile_part_free(part); /* too short, or of what nobody wants any more */
	else
		add_part(p, part, mode);
}

static void *run(void *arg)
{
	struct prof *p = arg;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (!p->quit && (p->pid ? p->failed : !p->scope))
			pthread_cond_wait(&p->changed, &p->lock);
		bool quit = p->quit;
		int pid = p->pid;
		enum goro_profile_mode mode = p->mode;
		size_t ng = p->ng;
		atomic_store(&p->cut, 0);
		pthread_mutex_unlock(&p->lock);

		if (quit)
			break;
		if (pid)
			sample(p, pid, mode, ng);
		else
			leave(p);
	}
	leave(p);
	return NULL;
}

/* ---- the screen thread's side ---- */

struct prof *prof_start(int wake_fd)
{
	struct prof *p = xcalloc(1, sizeof(*p));
	sigset_t all, old;

	p->wake_fd = wake_fd;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	/* Signals are the screen thread's: it owns the terminal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&p->thread, NULL, run, p)) {
		perror("gotop: cannot start a thread");
		exit(1);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return p;
}

void prof_run(struct prof *p, int pid, enum goro_profile_mode mode, size_t ng)
{
	pthread_mutex_lock(&p->lock);
	p->ng = ng;
	if (p->pid != pid || p->mode != mode) {
		p->pid = pid;
		p->mode = mode;
		p->failed = false;
		picture_free(p->picture);
		p->picture = NULL;
		atomic_store(&p->cut, 1);
		pthread_cond_signal(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
}

void prof_halt(struct prof *p)
{
	prof_run(p, 0, p->mode, 0);
}

void prof_take(struct prof *p, struct picture **picture, struct goro_error **err)
{
	pthread_mutex_lock(&p->lock);
	*picture = p->picture;
	*err = p->err;
	p->picture = NULL;
	p->err = NULL;
	pthread_mutex_unlock(&p->lock);
}

bool prof_stop(struct prof *p)
{
	struct timespec limit;

	pthread_mutex_lock(&p->lock);
	p->quit = true;
	atomic_store(&p->cut, 1);
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 2;
	if (pthread_timedjoin_np(p->thread, NULL, &limit) != 0) {
		pthread_detach(p->thread);
		return false;
	}
	picture_free(p->picture);
	goro_error_free(p->err);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
	return true;
}
