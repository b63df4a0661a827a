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
 * What costs most is to touch memory of our own for the first time. So the copy goes by way of a
 * small window, and zeros are left out of it (sparse.h).
 */
#include "sparse.h"
#include "target_process_pages.h"
#include "target_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
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

/* Of each page. */
enum { UNKNOWN = 0, OWN = 1, NONE = 2, COPIED = 3 /* while it ran */ };

enum { RUNS = 8192, BATCH = 512, PAGE = 4096, ROUNDS = 5 };

#define PIECE	   (UINT64_C(4) << 20)	/* for which the process's memory map is held */
#define WINDOW	   (UINT64_C(1) << 19)	/* stays in the processor's cache */
#define MOST_SPACE (UINT64_C(64) << 30) /* of its address space */
#define FEW_BYTES  (UINT64_C(256) << 10)

/* A private map. All of it lies in shared memory between keeper and us. */
struct held {
	uint64_t lo, hi;
	uint64_t pages, state; /* offsets: of what sparse.h says of each page, of a byte of state */
	bool file;	       /* what is not its own is the file's, else zeroes */
	bool readable;
	bool registered;
};

struct process_track {
	size_t size, n;
	int uffd, pagemap, pid; /* the keeper's */
	struct target *live;
	struct sparse_store store; /* behind it all */
	struct page_run *sure; /* the keeper's: what is right unless it was said to be written to */
	size_t nsure;
	uint64_t not_own; /* what the kernel can tell of pages that hold nothing of its own */
	struct held v[];
};

static uint32_t *pages_of(const struct process_track *t, const struct held *h)
{
	return (void *)((uint8_t *)t + h->pages);
}

static uint8_t *state_of(const struct process_track *t, const struct held *h)
{
	return (uint8_t *)t + h->state;
}

/* ---- room ------------------------------------------------------------------------------------ */

static bool is_held(const struct target_map *m)
{
	/* The kernel's own have no pages, and user memory ends at 2^47. */
	return !m->shared && m->lo >> 47 == 0 && !(m->path && !strncmp(m->path, "[v", 2));
}

struct process_track *process_track_room(const struct target_maps *maps)
{
	struct process_track *t;
	uint64_t size = sizeof *t, space = 0, bytes = 0;

	for (size_t i = 0; i < maps->n; i++) {
		const struct target_map *m = &maps->v[i];

		if (!is_held(m))
			continue;
		space += m->hi - m->lo;
		bytes += m->readable ? m->hi - m->lo : 0;
		size += sizeof(struct held) + (m->hi - m->lo) / PAGE * (1 + sizeof(uint32_t));
	}
	if (space > MOST_SPACE || sysconf(_SC_PAGESIZE) != PAGE)
		return NULL;
	size = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	bytes = sparse_room(bytes) * sizeof(uint64_t);
	t = mmap(NULL, size + bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t == MAP_FAILED)
		return NULL;
	t->size = size + bytes;
	t->store = (struct sparse_store){ .words = (void *)((uint8_t *)t + size),
					  .room = bytes / sizeof(uint64_t) };
	t->uffd = t->pagemap = -1;
	for (size_t i = 0; i < maps->n; i++) {
		const struct target_map *m = &maps->v[i];

		if (is_held(m))
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

/* ---- the keeper: before the stop ------------------------------------------------------------- */

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

/*
 * The runs of its own pages in [lo, hi), up to where *end says. -1: not possible. Whether a page is
 * a file's is not asked where there is none: that takes ten times as long.
 */
static int scan(const struct process_track *t, const struct page_run *range, bool file,
		uint64_t flags, bool written, struct page_run *v, uint64_t *end)
{
	const uint64_t not = t->not_own | (file ? IS_FILE : 0u);
	struct scan_pages s = {
		.size = sizeof s,
		.flags = flags,
		.start = range->lo,
		.end = range->hi,
		.vec = (uintptr_t)v,
		.vec_len = RUNS,
		.inverted = not,
		.mask = not | (written ? IS_WRITTEN : 0u),
		.any_of = IS_PRESENT | IS_SWAPPED,
		.report = IS_WRITTEN,
	};
	int n = ioctl(t->pagemap, SCAN_PAGES, &s);

	/* Not walk_end: that is where the kernel emptied a buffer of its own, which may be before.
	 */
	*end = n < RUNS ? range->hi : v[n - 1].hi;
	return n < 0 ? -1 : n;
}

/* Many pieces at once, by way of a window. */
struct copier {
	struct process_track *t;
	struct target_read v[BATCH];
	size_t n, used; /* of the window */
	uint64_t bytes;
	bool full; /* there is no room for some */
};

static uint8_t window[WINDOW];

static const struct held *held_of(const struct process_track *t, uint64_t address)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->v[mid].hi <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->n && t->v[lo].lo <= address ? &t->v[lo] : NULL;
}

/* What was copied of it is not there any more. */
static void drop(const struct process_track *t, const struct held *h, uint64_t lo, uint64_t hi)
{
	uint8_t *state = state_of(t, h) + (lo - h->lo) / PAGE, *end = state + (hi - lo) / PAGE;

	for (uint8_t *s = state; s < end && (s = memchr(s, COPIED, (size_t)(end - s))); s++) {
		pages_of(t, h)[(lo - h->lo) / PAGE + (uint64_t)(s - state)] = 0;
		*s = NONE;
	}
}

/* What its owner cannot read either holds nothing that counts. */
static void lose(const struct process_track *t, const struct held *h, uint64_t address)
{
	pages_of(t, h)[(address - h->lo) / PAGE] = 0;
	state_of(t, h)[(address - h->lo) / PAGE] = NONE;
}

/* One page that could not be read with others: it, or one of them, is the reason. */
static bool read_page(const struct process_track *t, uint64_t address, void *to)
{
	struct target_read page = { .address = address, .to = to, .len = PAGE };

	goro_error_free(process_read_pid(t->live, t->pid, &page, 1));
	return page.ok;
}

static void flush(struct copier *c)
{
	struct goro_error *err = c->full ? NULL
					 : process_read_pid(c->t->live, c->t->pid, c->v, c->n);

	/* An error and not a piece that cannot be read: it is gone, and each call would wait for
	 * that. */
	c->full |= err != NULL;
	goro_error_free(err);
	for (size_t i = 0; i < c->n && !c->full; i++) {
		const struct held *h = held_of(c->t, c->v[i].address);
		uint8_t *bytes = c->v[i].to;

		for (size_t at = 0; h && at < c->v[i].len; at += PAGE) {
			uint64_t address = c->v[i].address + at;

			if (!c->v[i].ok && !read_page(c->t, address, bytes + at))
				lose(c->t, h, address);
			else
				c->full |= !sparse_put(&c->t->store,
						       &pages_of(c->t, h)[(address - h->lo) / PAGE],
						       bytes + at);
		}
	}
	c->n = c->used = 0;
}

static void copy(struct copier *c, uint64_t lo, uint64_t hi)
{
	c->bytes += hi - lo;
	for (uint64_t end; lo < hi; lo = end) {
		end = hi - lo > WINDOW - c->used ? lo + (WINDOW - c->used) : hi;
		c->v[c->n++] = (struct target_read){ .address = lo,
						     .to = window + c->used,
						     .len = end - lo };
		c->used += end - lo;
		if (c->n == BATCH || c->used == WINDOW)
			flush(c);
	}
}

/* Mark what it has (the first time), or has written since, and copy it. */
static bool copy_round(struct process_track *t, bool first, uint64_t *bytes)
{
	static struct page_run runs[RUNS];
	struct copier c = { .t = t };

	for (size_t i = 0; i < t->n; i++) {
		const struct held *h = &t->v[i];

		for (uint64_t at = h->lo, end; h->registered && at < h->hi; at = end) {
			uint64_t stop = h->hi - at > PIECE * 16 ? at + PIECE * 16 : h->hi;
			const struct page_run range = { at, stop, 0 };
			int n = scan(t, &range, h->file, SCAN_AND_MARK | SCAN_MARKED_ONLY, !first,
				     runs, &end);

			/* It is gone, or another one. Some may have got new marks, unseen. */
			if (n < 0) {
				flush(&c);
				drop(t, h, at, h->hi);
				break;
			}
			for (int k = 0; k < n; k++) {
				memset(state_of(t, h) + (runs[k].lo - h->lo) / PAGE, COPIED,
				       (runs[k].hi - runs[k].lo) / PAGE);
				copy(&c, runs[k].lo, runs[k].hi);
			}
		}
	}
	flush(&c);
	*bytes = c.bytes;
	return c.bytes != 0 && !c.full;
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

bool process_track_begin(struct process_track *t, struct target *live, int dir, uint64_t text,
			 int64_t max_ns)
{
	uint64_t bytes, before = UINT64_MAX;

	t->live = live;
	t->pid = live->pid;
	t->pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
	if (t->pagemap < 0 || !can_scan(t) || !get_uffd(t, text, max_ns))
		return false;
	for (size_t i = 0; i < t->n; i++) {
		struct held *h = &t->v[i];
		struct uffdio_register r = { .range = { h->lo, h->hi - h->lo },
					     .mode = UFFDIO_REGISTER_MODE_WP };

		if (!h->readable)
			continue;
		memset(state_of(t, h), NONE, (h->hi - h->lo) / PAGE);
		h->registered = ioctl(t->uffd, UFFDIO_REGISTER, &r) == 0;
		/* It has marks of its own there. */
		if (!h->registered && errno == EBUSY)
			return false;
	}
	/* What it writes meanwhile is copied again, as long as that gets less. */
	for (int round = 0; round < ROUNDS; round++) {
		if (!copy_round(t, round == 0, &bytes) && (round == 0 || bytes))
			return false;
		if (bytes < FEW_BYTES || bytes > before / 2)
			break;
		before = bytes;
	}
	return true;
}

/* ---- the keeper: while it stands ------------------------------------------------------------- */

/* Its own: copy what was written to, or never copied. */
static void keep(struct copier *c, const struct held *h, const struct page_run *run)
{
	uint8_t *state = state_of(c->t, h);
	const uint64_t hi = (run->hi - h->lo) / PAGE;

	for (uint64_t i = (run->lo - h->lo) / PAGE, end; i < hi; i = end) {
		bool stale = run->categories & IS_WRITTEN || state[i] != COPIED;

		for (end = i;
		     end < hi && (run->categories & IS_WRITTEN || state[end] != COPIED) == stale;
		     end++)
			state[end] = OWN;
		if (stale)
			copy(c, h->lo + i * PAGE, h->lo + end * PAGE);
	}
}

/* Whatever was known of [lo, hi), it is something else now. */
static void forget(const struct process_track *t, uint64_t lo, uint64_t hi)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct held *h = &t->v[i];
		uint64_t from = lo > h->lo ? lo : h->lo, to = hi < h->hi ? hi : h->hi;

		if (from < to)
			memset(state_of(t, h) + (from - h->lo) / PAGE, UNKNOWN, (to - from) / PAGE);
	}
}

/* Nobody can read it now, but it counts whether there is anything in it. */
static enum process_tracked note_unreadable(const struct process_track *t, const struct held *h,
					    const struct target_map *m)
{
	static struct page_run runs[RUNS];

	forget(t, m->lo, m->hi);
	for (uint64_t at = m->lo, end; at < m->hi; at = end) {
		const struct page_run range = { at, m->hi, 0 };
		int n = scan(t, &range, m->inode, 0, false, runs, &end);

		if (n < 0 || (n && (!h || m->hi > h->hi)))
			return TRACKED_LOST;
		for (int k = 0; k < n; k++)
			memset(state_of(t, h) + (runs[k].lo - h->lo) / PAGE, OWN,
			       (runs[k].hi - runs[k].lo) / PAGE);
	}
	return TRACKED_ALL;
}

/* Of [lo, hi) what was copied is right: once the process runs again that is written down. */
static bool note_sure(struct process_track *t, uint64_t lo, uint64_t hi)
{
	struct page_run *bigger = realloc(t->sure, (t->nsure + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	t->sure = bigger;
	bigger[t->nsure++] = (struct page_run){ lo, hi, 0 };
	return true;
}

static void settle(struct process_track *t)
{
	for (size_t i = 0; i < t->nsure; i++) {
		const struct held *h = held_of(t, t->sure[i].lo);
		uint8_t *s = state_of(t, h) + (t->sure[i].lo - h->lo) / PAGE;
		uint8_t *end = s + (t->sure[i].hi - t->sure[i].lo) / PAGE;

		while ((s = memchr(s, COPIED, (size_t)(end - s))))
			*s++ = OWN;
	}
	free(t->sure);
	t->sure = NULL;
	t->nsure = 0;
}

enum process_tracked process_track_map(struct process_track *t, const struct target_map *m,
				       uint64_t *budget)
{
	static struct page_run runs[RUNS];
	const struct held *h = held_of(t, m->lo);
	/* Another arena of cold stacks may have come since we asked where they are. */
	const bool exact = t->live->absent.n != 0;
	struct copier c = { .t = t };
	uint64_t done = m->lo;

	if (!is_held(m))
		return TRACKED_NOT;
	if (!m->readable)
		return note_unreadable(t, h, m);
	if (!h || !h->registered || m->hi > h->hi) {
		forget(t, m->lo, m->hi);
		return TRACKED_NOT;
	}
	for (uint64_t at = m->lo, end; at < m->hi; at = end) {
		const struct page_run range = { at, m->hi, 0 };
		int n = scan(t, &range, m->inode, SCAN_MARKED_ONLY, !exact, runs, &end);

		if (n < 0) {
			forget(t, m->lo, m->hi);
			return TRACKED_NOT;
		}
		for (int k = 0; k < n; k++) {
			if (exact)
				drop(t, h, done, runs[k].lo);
			keep(&c, h, &runs[k]);
			done = runs[k].hi;
			if (c.bytes > *budget || c.full)
				return TRACKED_TOO_MUCH;
		}
	}
	if (exact)
		drop(t, h, done, m->hi);
	flush(&c);
	if (c.full || (!exact && !note_sure(t, m->lo, m->hi)))
		return TRACKED_TOO_MUCH;
	*budget -= c.bytes;
	return TRACKED_ALL;
}

/* ---- the keeper: afterwards -------------------------------------------------------------------
 */

/* Piece by piece: to give back all at once would hold up whoever wants memory meanwhile. */
void process_track_end(struct process_track *t)
{
	settle(t);
	for (size_t i = 0; i < t->n && t->uffd >= 0; i++) {
		const struct held *h = &t->v[i];

		for (uint64_t at = h->lo, end; h->registered && at < h->hi; at = end) {
			struct uffdio_range r = { .start = at };

			end = h->hi - at > PIECE * 8 ? at + PIECE * 8 : h->hi;
			r.len = end - at;
			ioctl(t->uffd, UFFDIO_UNREGISTER, &r);
		}
	}
	if (t->uffd >= 0)
		close(t->uffd);
	if (t->pagemap >= 0)
		close(t->pagemap);
	t->uffd = t->pagemap = -1;
}

/* ---- our side ---------------------------------------------------------------------------------
 */

static struct sparse sparse_of(const struct process_track *t, const struct held *h)
{
	return (struct sparse){ h->lo, h->hi, pages_of(t, h), t->store.words };
}

static void get(const struct process_track *t, const struct held *h, uint64_t at, size_t len,
		void *to)
{
	const struct sparse all = sparse_of(t, h);

	sparse_get(&all, at, len, to);
}

bool process_track_fill(const struct process_track *t, const struct target_read *r)
{
	uint64_t at = r->address, hi = at + r->len, end;
	bool all = true;

	for (; at < hi; at = end) {
		const struct held *h = held_of(t, at);
		uint8_t *to = (uint8_t *)r->to + (at - r->address), state;

		end = (at / PAGE + 1) * PAGE;
		end = end < hi ? end : hi;
		state = h ? state_of(t, h)[(at - h->lo) / PAGE] : UNKNOWN;
		if (h && h->readable && state == OWN)
			get(t, h, at, end - at, to);
		else if (h && h->readable && state == NONE && !h->file)
			memset(to, 0, end - at);
		else
			all = false;
	}
	return all;
}

void process_track_own(const struct process_track *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	for (uint64_t at = lo, end; at < hi; at = end) {
		const struct held *h = held_of(t, at);

		end = h && h->hi < hi ? h->hi : hi;
		if (!h) {
			end = at + PAGE;
			continue;
		}
		for (; at < end; at += PAGE)
			own[(at - lo) / PAGE] = state_of(t, h)[(at - h->lo) / PAGE] == OWN;
	}
}

bool process_track_sparse(const struct process_track *t, uint64_t lo, uint64_t hi,
			  struct sparse *ret)
{
	const struct held *h = held_of(t, lo);
	const uint8_t *state;

	if (!h || hi > h->hi || h->file || !h->readable)
		return false;
	state = state_of(t, h) + (lo - h->lo) / PAGE;
	if (memchr(state, UNKNOWN, (hi - lo) / PAGE) || memchr(state, COPIED, (hi - lo) / PAGE))
		return false;
	*ret = sparse_of(t, h);
	return true;
}
