/* SPDX-License-Identifier: MIT */
/*
 * target_process_memory.c - the memory of a live process: many pieces with one call.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "target_absent.h"

#define PAGE  4096u
#define BATCH 1024 /* IOV_MAX */

/* What one call reads: pieces, in a form that the kernel takes. */
struct batch {
	struct iovec local[BATCH], remote[BATCH];
	size_t nlocal, nremote;
	enum { PIECE, JOINED, GAP } what[BATCH]; /* each local one is */
	uint8_t gaps[PAGE];
};

/*
 * What costs is to find a page, not to copy from it. So a piece that begins on the page on which
 * the one before it ends is read together with that, and with what lies between them.
 */
static bool is_near(const struct iovec *last, const struct target_read *r)
{
	const uint64_t end = (uintptr_t)last->iov_base + last->iov_len;

	return r->len && last->iov_len && r->address >= end &&
	       r->address / PAGE == (end - 1) / PAGE;
}

static void add_local(struct batch *b, int what, void *to, size_t len)
{
	b->what[b->nlocal] = what;
	b->local[b->nlocal++] = (struct iovec){ to, len };
}

/* False: there is no room. */
static bool add_piece(struct batch *b, const struct target_read *r)
{
	struct iovec *last = b->nremote ? &b->remote[b->nremote - 1] : NULL;
	size_t gap;

	if (b->nlocal + 2 > BATCH)
		return false;
	if (!last || !is_near(last, r)) {
		add_local(b, PIECE, r->to, r->len);
		b->remote[b->nremote++] = (struct iovec){ (void *)(uintptr_t)r->address, r->len };
		return true;
	}
	gap = r->address - ((uintptr_t)last->iov_base + last->iov_len);
	if (gap)
		add_local(b, GAP, b->gaps, gap);
	add_local(b, JOINED, r->to, r->len);
	last->iov_len += gap + r->len;
	return true;
}

/* The first `got` bytes were read: how many pieces is that? *next: what comes behind them. */
static size_t pieces_read(struct target *t, const struct batch *b, uint64_t got, size_t *next)
{
	uint64_t bytes = 0;
	size_t i, n = 0;

	for (i = 0; i < b->nlocal && got >= b->local[i].iov_len; i++) {
		got -= b->local[i].iov_len;
		bytes += b->what[i] == GAP ? 0 : b->local[i].iov_len;
		n += b->what[i] != GAP;
	}
	__atomic_fetch_add(&t->bytes_read, bytes, __ATOMIC_RELAXED);
	*next = i;
	return n;
}

/* Was it read together with no other? */
static bool stood_alone(const struct batch *b, size_t i)
{
	return b->what[i] == PIECE && (i + 1 == b->nlocal || b->what[i + 1] == PIECE);
}

/*
 * One call reads a batch. It stops at the first piece that faults: leave that one out and go on
 * behind it. If it was joined to others it is tried alone first: whether what lies before the fault
 * comes over is not promised.
 */
struct goro_error *process_read_pid(struct target *t, int pid, struct target_read *v, size_t n)
{
	struct batch b;
	bool alone = false;

	for (size_t done = 0, there; done < n; done += there) {
		const size_t most = alone ? 1 : n - done;
		size_t size = 0, next;
		ssize_t got;

		b.nlocal = b.nremote = 0;
		for (; size < most && add_piece(&b, &v[done + size]); size++)
			v[done + size].ok = false;
		got = process_vm_readv(pid, b.local, b.nlocal, b.remote, b.nremote, 0);
		if (got < 0 && errno != EFAULT && errno != EINVAL)
			return process_explain((struct process *)t, errno, "the memory");
		there = pieces_read(t, &b, got > 0 ? (uint64_t)got : 0, &next);
		for (size_t i = 0; i < there; i++)
			v[done + i].ok = true;
		alone = next < b.nlocal && !stood_alone(&b, next);
		there += next < b.nlocal && !alone;
	}
	return NULL;
}

static struct goro_error *read_direct(struct target *t, struct target_read *v, size_t n)
{
	return process_read_pid(t, t->pid, v, n);
}

/*
 * Of a page that userfaultfd would bring, /proc/PID/mem says EIO; process_vm_readv() waits for it.
 */
static bool page_there(struct target *t, uint64_t address, void *to, size_t len)
{
	struct process *p = (struct process *)t;

	if (p->mem == -1) {
		p->mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC);
		if (p->mem < 0)
			p->mem = -2;
	}
	if (p->mem < 0 || pread(p->mem, to, len, (off_t)address) != (ssize_t)len)
		return false;
	t->bytes_read += len;
	return true;
}

static const struct target_absent_ops absent_ops = { read_direct, page_there };

struct goro_error *process_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}
