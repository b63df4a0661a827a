/* SPDX-License-Identifier: MIT */
/*
 * target_process_freeze.c - a view of a process that a keeper has made, as a target of its own; see
 * target_process_keeper.h.
 */
#include "target_process_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "target_absent.h"

#define ROOM_FIXED (512ull << 20) /* for registers, maps and the list of copies */

struct frozen {
	struct target target;
	struct process *live;
	struct shared *sh;
	struct process_track *track;
	size_t size;
	int socket;
	pid_t keeper;
	int dir, pagemap, mem; /* of the child */
	struct target_thread *threads;
};

/* Put what was copied during the stop over what was read. */
static void overlay(const struct frozen *f, struct target_read *r)
{
	const struct copy *v = keeper_at(f->sh, f->sh->copies);
	uint64_t hi = r->address + r->len, covered = 0;
	size_t lo = 0, n = f->sh->ncopies;

	while (lo < n) {
		size_t mid = (lo + n) / 2;

		if (v[mid].hi <= r->address)
			lo = mid + 1;
		else
			n = mid;
	}
	for (; lo < f->sh->ncopies && v[lo].lo < hi; lo++) {
		uint64_t from = v[lo].lo > r->address ? v[lo].lo : r->address;
		uint64_t to = v[lo].hi < hi ? v[lo].hi : hi;

		memcpy((char *)r->to + (from - r->address),
		       (char *)keeper_at(f->sh, v[lo].at) + (from - v[lo].lo), to - from);
		covered += to - from;
	}
	if (covered == r->len)
		r->ok = true;
}

/* What is not in the copy is what does not change: a file's, or nothing. */
static struct goro_error *read_tracked(struct frozen *f, struct target_read *v, size_t n)
{
	struct goro_error *err;
	bool all = true;

	for (size_t i = 0; i < n; i++)
		all &= v[i].ok = process_track_fill(f->track, &v[i]);
	if (all)
		return NULL;
	err = process_read_pid(&f->live->target, f->target.pid, v, n);
	for (size_t i = 0; !err && i < n; i++) {
		overlay(f, &v[i]);
		v[i].ok |= process_track_fill(f->track, &v[i]);
	}
	return err;
}

/*
 * Without a child: pages that were not copied are a file's, and do not change. But those of a stack
 * that was cold are back now, perhaps, with what was written since.
 */
static struct goro_error *read_copied(struct target *t, struct target_read *v, size_t n)
{
	struct frozen *f = (struct frozen *)t;

	if (!t->absent.n)
		return process_read_pid(&f->live->target, t->pid, v, n);
	for (size_t i = 0; i < n; i++) {
		struct goro_error *err;

		if (target_absent_touches(t, v[i].address, v[i].address + v[i].len)) {
			memset(v[i].to, 0, v[i].len);
			v[i].ok = true;
			continue;
		}
		err = process_read_pid(&f->live->target, t->pid, &v[i], 1);
		if (err)
			return err;
	}
	return NULL;
}

/*
 * Of the child, by /proc/PID/mem. process_vm_readv() pins the pages that it reads, and before that
 * the kernel gives the child one of its own of each that it shares: that would double the memory
 * that the target's cgroup pays for, and take longer.
 */
static struct goro_error *read_child(struct frozen *f, struct target_read *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t done = 0;
		ssize_t got = 1;

		while (done < v[i].len && got > 0 && v[i].address + done <= INT64_MAX) {
			got = pread(f->mem, (char *)v[i].to + done, v[i].len - done,
				    (off_t)(v[i].address + done));
			done += got > 0 ? (size_t)got : 0;
		}
		/* Where there is no memory it is an error; the end of it
		 * all is that of the child. */
		if (got == 0)
			return goro_error_new(GORO_PARTIAL, "the copy of process %d was killed",
					      f->target.pid);
		v[i].ok = done == v[i].len;
		if (v[i].ok)
			__atomic_fetch_add(&f->target.bytes_read, done, __ATOMIC_RELAXED);
	}
	return NULL;
}

static struct goro_error *read_still(struct target *t, struct target_read *v, size_t n)
{
	struct frozen *f = (struct frozen *)t;
	struct goro_error *err;

	if (f->sh->tracked)
		return read_tracked(f, v, n);
	err = f->sh->child ? read_child(f, v, n) : read_copied(t, v, n);
	for (size_t i = 0; !err && f->sh->ncopies && i < n; i++)
		overlay(f, &v[i]);
	return err;
}

static const struct target_absent_ops absent_ops = { .read = read_still };

static struct goro_error *frozen_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}

static struct goro_error *frozen_maps(struct target *t, struct target_maps *ret)
{
	struct frozen *f = (struct frozen *)t;
	char *text = malloc(f->sh->maps_len + 1);

	*ret = (struct target_maps){ 0 };
	if (!text)
		return &goro_enomem;
	memcpy(text, keeper_at(f->sh, f->sh->maps), f->sh->maps_len + 1);
	return process_parse_maps(text, f->sh->maps_len, ret);
}

static bool frozen_own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	struct frozen *f = (struct frozen *)t;
	const struct copy *v = keeper_at(f->sh, f->sh->copies);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!f->sh->child)
		memset(own, 0, (hi - lo) / page);
	if (f->sh->tracked)
		process_track_own(f->track, lo, hi, own);
	else if (!f->sh->child)
		;
	else if (!process_own_pages(f->dir, &f->pagemap, lo, hi, own))
		return false;
	for (size_t i = 0; i < f->sh->ncopies; i++) {
		uint64_t from = v[i].lo > lo ? v[i].lo : lo, to = v[i].hi < hi ? v[i].hi : hi;

		if (from < to)
			memset(own + (from - lo) / page, 1, (to - from) / page);
	}
	target_absent_own(t, &absent_ops, lo, hi, own);
	return true;
}

static bool frozen_sparse(struct target *t, uint64_t lo, uint64_t hi, struct sparse *ret)
{
	struct frozen *f = (struct frozen *)t;

	return f->sh->tracked && process_track_sparse(f->track, lo, hi, ret);
}

static int frozen_open_file(struct target *t, const struct target_map *map)
{
	struct frozen *f = (struct frozen *)t;

	return f->live->target.ops->open_file(&f->live->target, map);
}

static struct goro_error *frozen_usage(struct target *t, struct target_usage *ret)
{
	(void)t;
	*ret = (struct target_usage){ 0 };
	return NULL;
}

static void frozen_close(struct target *t)
{
	struct frozen *f = (struct frozen *)t;

	if (f->socket >= 0)
		close(f->socket); /* the keeper cleans up */
	while (f->keeper > 0 && waitpid(f->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	if (f->pagemap >= 0)
		close(f->pagemap);
	if (f->mem >= 0)
		close(f->mem);
	if (f->dir >= 0)
		close(f->dir);
	munmap(f->sh, f->size);
	process_track_free(f->track);
	free(f->threads);
	target_absent_free(t);
	free(t->name);
	free(f);
}

static const struct target_ops frozen_ops = {
	.threads = true,
	.maps = frozen_maps,
	.read = frozen_read,
	.open_file = frozen_open_file,
	.own_pages = frozen_own_pages,
	.sparse = frozen_sparse,
	.usage = frozen_usage,
	.close = frozen_close,
};

static struct goro_error *start_keeper(struct frozen *f, const struct target_freeze *how)
{
	struct keeper k = { .sh = f->sh, .how = how, .p = f->live, .track = f->track };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return goro_error_new(GORO_PARTIAL, "no consistent view: %s", strerror(errno));
	f->keeper = fork();
	if (f->keeper == 0) {
		close(pair[0]);
		keeper_main(&k, pair[1]);
	}
	close(pair[1]);
	f->socket = pair[0];
	if (f->keeper < 0)
		return goro_error_new(GORO_PARTIAL, "no consistent view: cannot fork: %s",
				      strerror(errno));
	return NULL;
}

/* Nobody may stop a thread that is about to end, either; if that is so, it soon has. */
static bool ends(const struct process *p)
{
	unsigned long long tracer = 0;

	for (int i = 0; i < 50; i++) {
		if (process_ended(p))
			return true;
		if (process_status(p->dir, "status", "TracerPid", 10, &tracer) && tracer)
			return false;
		usleep(1000);
	}
	return false;
}

/* Until it is done, with our help. False: it was killed. */
static bool wait_for_keeper(const struct frozen *f)
{
	for (char byte;;) {
		ssize_t n = read(f->socket, &byte, 1);
		const char *answer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1 || byte == *KEEPER_DONE)
			return n == 1;
		answer = process_track_copy(f->track, f->live->dir) ? KEEPER_COPIED : KEEPER_FAILED;
		if (send(f->socket, answer, 1, MSG_NOSIGNAL) != 1)
			return false;
	}
}

/* What was copied while it stood, to the rest. */
static struct goro_error *absorb(const struct frozen *f)
{
	const struct copy *v = keeper_at(f->sh, f->sh->copies);

	for (size_t i = 0; f->sh->tracked && i < f->sh->ncopies; i++) {
		if (!process_track_absorb(f->track, v[i].lo, v[i].hi, keeper_at(f->sh, v[i].at)))
			return goro_error_new(GORO_PARTIAL,
					      "no consistent view of process %d: no room for it",
					      f->target.pid);
	}
	return NULL;
}

/* Only one process can trace another. */
static struct goro_error *held(const struct process *p)
{
	unsigned long long tracer = 0;
	char path[64], *name;
	size_t len = 0;
	struct goro_error *err;

	if (!process_status(p->dir, "status", "TracerPid", 10, &tracer) || !tracer)
		return goro_error_new(GORO_PARTIAL,
				      "no consistent view of process %d: it may not be stopped, or "
				      "a debugger holds it",
				      p->target.pid);
	snprintf(path, sizeof path, "/proc/%llu/comm", tracer);
	name = process_text(AT_FDCWD, path, &len);
	if (name)
		name[strcspn(name, "\n")] = '\0';
	err = goro_error_new(GORO_PARTIAL,
			     "no consistent view of process %d: process %llu (%s) traces it, and "
			     "only one can: end that first",
			     p->target.pid, tracer, name ? name : "?");
	free(name);
	return err;
}

static struct goro_error *result(struct frozen *f)
{
	if (!wait_for_keeper(f))
		return goro_error_new(GORO_PARTIAL,
				      "no consistent view of process %d: the keeper was killed",
				      f->target.pid);
	/* Who is being killed cannot be stopped, or soon has nothing to be read. */
	if ((f->sh->stuck || !process_has_memory(f->live)) && ends(f->live))
		return process_gone(f->live);
	if (f->sh->error == -1)
		return goro_error_new(GORO_PARTIAL, "no consistent view of process %d: %.255s",
				      f->target.pid, f->sh->message);
	if (f->sh->error == EPERM && ends(f->live))
		return process_gone(f->live);
	if (f->sh->error == EPERM)
		return held(f->live);
	if (f->sh->error)
		return process_explain(f->live, f->sh->error, "the threads");
	return NULL;
}

static struct goro_error *take_threads(struct frozen *f, struct target_frozen *ret)
{
	size_t n = f->sh->nthreads;
	char path[64];

	f->threads = calloc(n + 1, sizeof *f->threads);
	if (!f->threads)
		return &goro_enomem;
	memcpy(f->threads, keeper_at(f->sh, f->sh->threads), n * sizeof *f->threads);
	for (size_t i = 0; i < n; i++)
		f->threads[i].vector = keeper_at(f->sh, (uintptr_t)f->threads[i].vector);
	if (f->sh->child) {
		snprintf(path, sizeof path, "/proc/%d", f->sh->child);
		f->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		f->mem = openat(f->dir, "mem", O_RDONLY | O_CLOEXEC);
		if (f->mem < 0)
			return goro_error_new(GORO_PARTIAL,
					      "the copy of process %d cannot be read: %s",
					      f->target.pid, strerror(errno));
	}
	*ret = (struct target_frozen){
		.threads = f->threads,
		.nthreads = n,
		.kept = keeper_at(f->sh, f->sh->kept),
		.nkept = f->sh->nkept,
		.pause_ns = (uint64_t)f->sh->pause_ns,
		.copied = !f->sh->child && !f->sh->tracked,
	};
	return NULL;
}

static struct goro_error *make_room(struct frozen *f, const struct target_freeze *how)
{
	struct target_maps maps;
	struct goro_error *err = f->live->target.ops->maps(&f->live->target, &maps);

	if (err)
		return err;
	f->track = process_track_room(f->live, &maps, how);
	target_maps_free(&maps);
	return NULL;
}

struct goro_error *process_freeze(struct target *t, const struct target_freeze *how,
				  struct target_frozen *ret)
{
	struct frozen *f = calloc(1, sizeof *f);
	struct goro_error *err;

	if (!f)
		return &goro_enomem;
	*f = (struct frozen){
		.target = { .ops = &frozen_ops,
			    .pid = t->pid,
			    .name = strdup(t->name ? t->name : "?") },
		.live = (struct process *)t,
		.size = ROOM_FIXED + how->max_copy,
		.socket = -1,
		.keeper = -1,
		.dir = -1,
		.pagemap = -1,
		.mem = -1,
	};
	f->sh = mmap(NULL, f->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->sh == MAP_FAILED) {
		err = goro_error_new(GORO_PARTIAL,
				     "no consistent view of process %d: no room for a copy in our "
				     "own address space (see ulimit -v)",
				     t->pid);
		free(f->target.name);
		free(f);
		return err;
	}
	f->sh->size = f->size;
	f->sh->used = sizeof *f->sh;
	err = make_room(f, how);
	if (!err)
		err = start_keeper(f, how);
	if (!err)
		err = result(f);
	if (!err)
		err = absorb(f);
	if (!err)
		err = take_threads(f, ret);
	if (err)
		frozen_close(&f->target);
	else
		ret->memory = &f->target;
	return err;
}
