/* SPDX-License-Identifier: MIT */
/*
 * target_process_track.c - a copy of a process that is made while it runs, and right at one moment.
 *
 * Every page that it has of its own is marked, then copied; the kernel clears the mark when the
 * page is written to. So once the process is stopped, which pages are out of date is known at once
 * (0.4 ms for a gigabyte), and only those are copied while it stands. A fork takes 10 to 30 ms for
 * that gigabyte, more where the pages lie far apart, and afterwards every page that is read or
 * written is copied once more.
 *
 * The marks are userfaultfd's in its asynchronous form (Linux 6.7): nobody waits for an answer, the
 * first write to a page costs its writer a microsecond. Only the process itself may ask for them,
 * so one of its threads is made to call userfaultfd(), we take the descriptor over and it closes
 * its own. When ours is closed, be it because we were killed, all marks are gone.
 *
 * Why the copy is right. A page that has its mark was not written to since it was marked, and it
 * was copied after that. All others are copied while the process stands: those without a mark,
 * those of maps that came or moved meanwhile (they are not registered), and those that we never
 * copied. Writes that no page table sees, of devices to pinned pages, would be missed: a process
 * that may have such (target_process_unseen.c) is not looked at in this way. What other processes
 * may write to is not copied here.
 *
 * What it gave back meanwhile (MADV_DONTNEED) and did not touch again is not told while it stands:
 * to ask for all pages takes three times as long. It is shown as it was, with pointers that are no
 * more; that may hide a leak for a moment, but makes up none. Only of a process whose stacks go
 * away and come back (GORO_COLD) all pages are asked for: there a missing page says where to look.
 *
 * The keeper asks for the marks and stops the process; the copy is ours, made in between. What
 * costs most is to touch memory of our own for the first time. So it goes by way of a small window,
 * zeros are left out of it (sparse.h), and it is put where the filter's copy of the heap is
 * already: a page that is still the same is only compared. (In memory shared with the keeper each
 * page took twice as long.)
 */
#include "target_process_track.h"
#include "two.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the kernel's interface: newer than some of its headers that are still about. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* ---- room ------------------------------------------------------------------------------------ */

struct process_track *process_track_room(const struct process *p, const struct target_maps *maps,
					 const struct target_freeze *how)
{
	struct process_track *t;
	uint64_t size = sizeof *t, space = 0;

	for (size_t i = 0; i < maps->n; i++) {
		const struct target_map *m = &maps->v[i];

		if (!track_holds(m))
			continue;
		space += m->hi - m->lo;
		size += sizeof(struct held) + (m->hi - m->lo) / PAGE * (1 + sizeof(uint32_t));
	}
	if (!how->store || space > MOST_SPACE || sysconf(_SC_PAGESIZE) != PAGE)
		return NULL;
	t = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	if (t == MAP_FAILED)
		return NULL;
	t->size = size;
	t->live = (struct target *)&p->target;
	t->pid = p->target.pid;
	t->store = how->store;
	t->drafts = how->drafts;
	t->ndrafts = how->ndrafts;
	t->uffd = t->pagemap = -1;
	for (size_t i = 0; i < maps->n; i++) {
		const struct target_map *m = &maps->v[i];

		if (track_holds(m))
			t->v[t->n++] = (struct held){ .lo = m->lo,
						      .hi = m->hi,
						      .file = m->inode != 0,
						      .readable = m->readable };
	}
	size = sizeof *t + t->n * sizeof *t->v;
	for (size_t i = 0; i < t->n; i++) {
		t->v[i].pages = size;
		size += (t->v[i].hi - t->v[i].lo) / PAGE * sizeof(uint32_t);
	}
	for (size_t i = 0; i < t->n; i++) {
		t->v[i].state = size;
		size += (t->v[i].hi - t->v[i].lo) / PAGE;
	}
	return t;
}

void process_track_free(struct process_track *t)
{
	if (t)
		munmap(t, t->size);
}

/* ---- the keeper: marks ------------------------------------------------------------------------
 */

/* Have one of its threads make the descriptor, take it, and have it closed there. */
static int take_uffd(int pid, int tid, uint64_t text)
{
	const uint64_t args[6] = { O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY };
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = -1;
	long there = pidfd < 0 ? -1 : stop_inject(tid, text, stop_nr_userfaultfd, args, NULL);

	if (there >= 0) {
		const uint64_t its[6] = { (uint64_t)there };

		fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)there, 0);
		stop_inject(tid, text, stop_nr_close, its, NULL);
	}
	if (pidfd >= 0)
		close(pidfd);
	return fd;
}

static bool get_uffd(struct process_track *t, uint64_t text, int64_t max_ns)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC };
	struct dirent *e;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", t->pid);
	dir = opendir(path);
	while (dir && t->uffd < 0 && (e = readdir(dir))) {
		struct stop one;

		if (e->d_name[0] == '.' || stop_one(&one, t->pid, atoi(e->d_name), max_ns))
			continue;
		t->uffd = take_uffd(t->pid, one.tids[0], text);
		stop_end(&one);
		break;
	}
	if (dir)
		closedir(dir);
	return t->uffd >= 0 && ioctl(t->uffd, UFFDIO_API, &api) == 0;
}

/* Older kernels refuse a question with a category that they do not know. */
static bool can_scan(struct process_track *t)
{
	struct page_run none;
	struct scan_pages s = { .size = sizeof s, .vec = (uintptr_t)&none, .vec_len = 1 };

	for (t->not_own = IS_ZERO | IS_GUARD; t->not_own; t->not_own &= ~(uint64_t)IS_GUARD) {
		s.inverted = s.mask = s.report = t->not_own;
		if (ioctl(t->pagemap, SCAN_PAGES, &s) == 0)
			return true;
		if (t->not_own == IS_ZERO)
			break;
	}
	return false;
}

bool process_track_begin(struct process_track *t, int dir, uint64_t text, int64_t max_ns)
{
	t->pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (t->pagemap < 0 || !can_scan(t) || !get_uffd(t, text, max_ns))
		return false;
	for (size_t i = 0; i < t->n; i++) {
		struct held *h = &t->v[i];
		struct uffdio_register r = { .range = { h->lo, h->hi - h->lo },
					     .mode = UFFDIO_REGISTER_MODE_WP };

		if (!h->readable)
			continue;
		memset(track_state(t, h), NONE, (h->hi - h->lo) / PAGE);
		h->registered = ioctl(t->uffd, UFFDIO_REGISTER, &r) == 0;
		/* It has marks of its own there. */
		if (!h->registered && errno == EBUSY)
			return false;
	}
	return true;
}

/* ---- the copy ---------------------------------------------------------------------------------
 */

/* What it has, piece by piece; each is taken by whoever comes first. */
struct round {
	struct process_track *t;
	int pagemap;
	bool first;	/* else only what was written since */
	uint64_t taken; /* number of the next piece */
	uint64_t bytes; /* copied */
	bool full;
};

/* Where one of them is: it only ever goes on. */
struct place {
	size_t held;
	uint64_t before; /* pieces of those before it */
};

/* Piece number `number` of all there are. False: there are not so many. */
static bool find_piece(const struct process_track *t, struct place *at, uint64_t number,
		       struct page_run *ret)
{
	for (; at->held < t->n; at->held++) {
		const struct held *h = &t->v[at->held];
		const uint64_t n = h->registered ? (h->hi - h->lo + SHARE - 1) / SHARE : 0;

		if (number - at->before < n) {
			ret->lo = h->lo + (number - at->before) * SHARE;
			ret->hi = h->hi - ret->lo > SHARE ? ret->lo + SHARE : h->hi;
			return true;
		}
		at->before += n;
	}
	return false;
}

/* Mark a piece, or what was written of it, and copy that. */
static void copy_piece(struct copier *c, const struct held *h, const struct page_run *piece,
		       bool first, struct page_run *runs)
{
	const struct process_track *t = c->t;

	for (uint64_t at = piece->lo, end; at < piece->hi; at = end) {
		const struct page_run range = { at, piece->hi, 0 };
		int n = track_scan(t, c->pagemap, &range, h->file, SCAN_AND_MARK | SCAN_MARKED_ONLY,
				   !first, runs, &end);

		/* It is gone, or another one. Some may have got new marks, unseen. */
		if (n < 0) {
			track_flush(c);
			track_drop(t, h, at, piece->hi);
			break;
		}
		for (int k = 0; k < n; k++) {
			memset(track_state(t, h) + (runs[k].lo - h->lo) / PAGE, COPIED,
			       (runs[k].hi - runs[k].lo) / PAGE);
			track_copy(c, runs[k].lo, runs[k].hi);
		}
	}
}

static void copy_pieces(void *round)
{
	struct round *r = round;
	struct page_run *runs = malloc(RUNS * sizeof *runs), piece;
	struct copier c = { .t = r->t, .pagemap = r->pagemap, .window = malloc(WINDOW) };
	struct place at = { 0 };

	c.full = !runs || !c.window;
	while (!c.full &&
	       find_piece(r->t, &at, __atomic_fetch_add(&r->taken, 1, __ATOMIC_RELAXED), &piece))
		copy_piece(&c, &r->t->v[at.held], &piece, r->first, runs);
	track_flush(&c);
	__atomic_fetch_add(&r->bytes, c.bytes, __ATOMIC_RELAXED);
	if (c.full)
		__atomic_store_n(&r->full, true, __ATOMIC_RELAXED);
	free(c.window);
	free(runs);
}

/* Mark what it has (the first time), or has written since, and copy it. */
static bool copy_round(struct process_track *t, int pagemap, bool first, uint64_t *bytes)
{
	struct round r = { .t = t, .pagemap = pagemap, .first = first };

	if (first)
		two_work(copy_pieces, &r);
	else
		copy_pieces(&r);
	*bytes = r.bytes;
	return r.bytes != 0 && !r.full;
}

bool process_track_copy(struct process_track *t, int dir)
{
	const int pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t bytes, before = UINT64_MAX;
	bool ok = pagemap >= 0;

	/* What it writes meanwhile is copied again, as long as that gets less. */
	for (int round = 0; ok && round < ROUNDS; round++) {
		ok = copy_round(t, pagemap, round == 0, &bytes) || (round && !bytes);
		if (bytes < FEW_BYTES || bytes > before / 2)
			break;
		before = bytes;
	}
	if (pagemap >= 0)
		close(pagemap);
	return ok;
}

bool process_track_absorb(struct process_track *t, uint64_t lo, uint64_t hi, const uint8_t *bytes)
{
	for (uint64_t at = lo; at < hi; at += PAGE) {
		const struct held *h = track_find(t, at);

		if (!h || track_state(t, h)[(at - h->lo) / PAGE] != STALE)
			continue;
		if (!track_put(t, h, at, bytes + (at - lo)))
			return false;
		track_state(t, h)[(at - h->lo) / PAGE] = OWN;
	}
	return true;
}
