/* SPDX-License-Identifier: MIT */
/*
 * target_process_keeper.c - stopping a process and looking at it; see target_process_keeper.h.
 */
#include "target_process_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_THREADS  4096
#define MAX_VECTOR   16384u	/* bytes of a thread's vector state */
#define FORK_NS_GB   25000000ll /* what a fork takes for each GiB that is resident, generously */
#define COPY_NS_GB   700000000ll
#define COPY_NS_MB   (COPY_NS_GB >> 10)
#define MOST_CHANGES (16ull << 20) /* to copy while it stands; with more a fork is faster */

/* ---- while it stands ---------------------------------------------------------------------------
 */

static bool read_threads(struct keeper *k)
{
	static uint8_t vector[MAX_VECTOR];
	struct shared *sh = k->sh;
	struct target_thread *threads;

	if (k->stop.n > MAX_THREADS)
		return keeper_refuse(k, "it has more than %d threads", MAX_THREADS);
	sh->threads = keeper_reserve(sh, k->stop.n * sizeof *threads);
	if (!sh->threads)
		return keeper_refuse(k, "no memory for its registers");
	threads = keeper_at(sh, sh->threads);
	for (size_t i = 0; i < k->stop.n; i++) {
		size_t size = sizeof vector;
		int err = stop_registers(k->stop.tids[i], &threads[i], vector, &size);
		uint64_t offset = err ? 0 : keeper_reserve(sh, size);

		if (err == -ESRCH) {
			sh->error = ESRCH;
			return false;
		}
		if (!offset)
			return keeper_refuse(k, "the registers of thread %d cannot be read",
					     k->stop.tids[i]);
		memcpy(keeper_at(sh, offset), vector, size);
		threads[i].vector = (const uint8_t *)(uintptr_t)offset;
		threads[i].vector_size = size;
	}
	sh->nthreads = k->stop.n;
	return true;
}

static bool read_maps(struct keeper *k)
{
	size_t len;
	char *text = process_text(k->dir, "maps", &len);
	struct goro_error *err;

	if (!text) {
		k->sh->error = errno;
		return false;
	}
	k->sh->maps = keeper_reserve(k->sh, len + 1);
	if (!k->sh->maps) {
		free(text);
		return keeper_refuse(k, "no memory for its memory map");
	}
	memcpy(keeper_at(k->sh, k->sh->maps), text, len + 1);
	k->sh->maps_len = len;
	target_maps_free(&k->live);
	err = process_parse_maps(text, len, &k->live);
	goro_error_free(err);
	return err ? keeper_refuse(k, "out of memory") : true;
}

/* What the kernel has for it, and could be a pointer. */
static bool hides(struct keeper *k)
{
	return k->kept.hides &&
	       !keeper_refuse(k, "it has %s, and what pointers that holds nobody can see",
			      k->kept.hides);
}

static bool read_kept(struct keeper *k)
{
	struct shared *sh = k->sh;

	if (!process_kept_read(&k->kept, &k->stop, k->dir, &k->live, k->how->netpoll))
		return keeper_refuse(k, "its descriptors cannot be read");
	if (hides(k))
		return false;
	sh->nkept = k->kept.nwords;
	sh->kept = keeper_reserve(sh, (sh->nkept + 1) * sizeof *k->kept.words);
	if (!sh->kept)
		return keeper_refuse(k, "no memory for what the kernel has for it");
	if (sh->nkept)
		memcpy(keeper_at(sh, sh->kept), k->kept.words, sh->nkept * sizeof *k->kept.words);
	return true;
}

static bool too_long(struct keeper *k, int64_t ns_per_gb, const char *what)
{
	unsigned long long rss = keeper_resident_bytes(k);
	int64_t ns = (int64_t)((double)rss / (1u << 30) * (double)ns_per_gb);

	if (ns <= (int64_t)k->how->max_pause_ns)
		return false;
	keeper_refuse(k, "%s its %llu MiB could pause it for some %lld ms, more than --max-pause",
		      what, rss >> 20, (long long)(ns / 1000000) + 1);
	return true;
}

static bool look(struct keeper *k)
{
	bool child = keeper_may_fork(k);

	if (!child && too_long(k, COPY_NS_GB, "copying"))
		return false;
	if (child && too_long(k, FORK_NS_GB, "forking"))
		return false;
	if (!read_maps(k) || !read_threads(k) || !read_kept(k) || !keeper_copy_shared(k))
		return false;
	if (child && keeper_make_child(k))
		return keeper_copy_lacking(k);
	if (child && too_long(k, COPY_NS_GB, "no child can be made, and copying"))
		return false;
	return keeper_copy_all(k);
}

/* ---- stopping it -------------------------------------------------------------------------------
 */

static bool stop_them(struct keeper *k)
{
	int err = 0;

	for (int i = 0; i < PATIENCE / 10; i++) {
		err = stop_all(&k->stop, k->p->target.pid, (int64_t)k->how->max_pause_ns);
		k->sh->stuck = k->stop.stuck;
		if (k->stop.stuck)
			return keeper_refuse(k, "a thread of it sleeps in the kernel where nobody "
						"can stop it (state D, such as in vfork())");
		/* On a busy machine a thread may wait long for a core to stop on. */
		if (err != -EPERM && (err != -ETIME || i >= 3))
			break;
		usleep(PATIENCE_US);
	}
	if (err == -ETIME)
		return keeper_refuse(k, "its threads did not all stop within --max-pause");
	k->sh->error = -err;
	return !err;
}

static void let_go(struct keeper *k)
{
	int64_t ns = stop_end(&k->stop);

	k->sh->pause_ns = ns > k->sh->pause_ns ? ns : k->sh->pause_ns;
}

/* Make what was copied while it ran right. False: not so. */
static bool look_at_changes(struct keeper *k)
{
	uint64_t most = k->how->max_pause_ns / COPY_NS_MB << 20;

	most = most < MOST_CHANGES ? most : MOST_CHANGES;
	if (!read_maps(k) || !read_threads(k) || !read_kept(k) || !keeper_copy_shared(k))
		return false;
	most += k->copied;
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		switch (process_track_map(k, m, most)) {
		case TRACKED_ALL:
			break;
		case TRACKED_NOT:
			if (!m->shared && m->readable && !keeper_copy_own(k, m))
				return false;
			break;
		default:
			return false;
		}
	}
	return true;
}

/* Have it copied, now that what is written to is seen. False: there is no copy. */
static bool have_copied(struct keeper *k)
{
	char answer = 0;
	ssize_t n = write(k->socket, KEEPER_MARKS, 1);

	while (n == 1 && (n = read(k->socket, &answer, 1)) < 0 && errno == EINTR)
		n = 1;
	k->left = n != 1;
	return answer == *KEEPER_COPIED;
}

/* The first choice: hardly anything is left to do while it stands. */
static bool track(struct keeper *k)
{
	const uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t used = k->sh->used;

	if (k->track && keeper_may_inject(k) && keeper_resident_bytes(k) < most / 2 &&
	    read_maps(k) && !process_written_unseen(k->dir, &k->live) &&
	    process_track_begin(k->track, k->dir, keeper_find_instruction(k),
				(int64_t)k->how->max_pause_ns) &&
	    have_copied(k) && stop_them(k)) {
		k->sh->tracked = look_at_changes(k);
		let_go(k);
	}
	if (k->sh->tracked) {
		process_track_settle(k->track);
	} else {
		if (k->track)
			process_track_end(k->track);
		k->sh->used = used;
		if (!k->stop.stuck)
			k->sh->error = 0;
		k->copied = k->ncopies = 0;
	}
	return k->sh->tracked;
}

static void check_kept(struct keeper *k)
{
	if (!process_kept_all(&k->kept, k->p->target.pid, k->dir))
		keeper_refuse(k, "it opened files while it was looked at");
}

/* Stop them all, look, let them go on. */
static void stop_and_look(struct keeper *k)
{
	if (!read_maps(k))
		return;
	if (!process_kept_list(&k->kept, k->p->target.pid, k->dir, &k->live)) {
		k->sh->error = errno;
		return;
	}
	if (hides(k))
		return;
	if (track(k)) {
		check_kept(k);
		return;
	}
	if (k->stop.stuck || k->left)
		return;
	if (!process_wiped_read(k->dir, "smaps", &k->wiped)) {
		k->sh->error = errno;
		return;
	}
	if (!stop_them(k))
		return;
	look(k);
	let_go(k);
	if (!k->sh->error && k->sh->child)
		keeper_check_wiped(k);
	if (!k->sh->error)
		check_kept(k);
}

/* ---- the process -------------------------------------------------------------------------------
 */

/*
 * No signals, and no terminal, group or name that somebody who kills us would hit. Nothing that we
 * have open stays open for its sake: a pipe behind us must see the end of us.
 */
static void keep_apart(int *socket, int *dir)
{
	int s = fcntl(*socket, F_DUPFD, 16), d = fcntl(*dir, F_DUPFD, 16);
	int null = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 16);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "snapshot-keeper");
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	*socket = dup2(s, 3);
	*dir = dup2(d, 4);
	close_range(5, ~0u, 0);
}

void keeper_main(struct keeper *k, int socket)
{
	char byte = 0;
	ssize_t n;

	k->socket = socket;
	k->dir = k->p->dir;
	k->pagemap = -1;
	keep_apart(&k->socket, &k->dir);
	/* Of its descriptors we have only that one, and as another. */
	k->p->dir = k->dir;
	k->p->mem = k->p->pagemap = -1;
	stop_and_look(k);
	if (k->sh->child)
		keeper_offer_to_oom_killer(k->sh->child);
	if (!k->sh->error)
		keeper_publish_copies(k);
	if (k->sh->error)
		keeper_end_child(k);
	n = write(k->socket, KEEPER_DONE, 1);
	/* Not before: who waits for us needs none of it. */
	if (k->sh->tracked)
		process_track_end(k->track);
	if (n == 1 && !k->sh->error) {
		while (read(k->socket, &byte, 1) < 0 && errno == EINTR)
			;
		keeper_end_child(k);
	} else if (!k->sh->error) {
		keeper_end_child(k);
	}
	_exit(0);
}
