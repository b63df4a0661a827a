/* SPDX-License-Identifier: MIT */
/*
 * target_process_memory.c - the memory of a live process: many pieces with one call.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* Of the process itself; -1: it cannot be opened. Several threads may come for it. */
static int own_mem(struct process *p)
{
	int mem = __atomic_load_n(&p->mem, __ATOMIC_ACQUIRE), none = -1;

	if (mem != -1)
		return mem < 0 ? -1 : mem;
	mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC);
	if (__atomic_compare_exchange_n(&p->mem, &none, mem < 0 ? -2 : mem, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mem;
	if (mem >= 0)
		close(mem);
	return none < 0 ? -1 : none;
}

/* As process_vm_readv() does it, a call for each of the remote pieces. */
static ssize_t read_file(int mem, const struct batch *b)
{
	size_t first = 0;
	ssize_t sum = 0;

	for (size_t i = 0; i < b->nremote; i++) {
		const off_t at = (off_t)(uintptr_t)b->remote[i].iov_base;
		const size_t len = b->remote[i].iov_len;
		size_t past = first, there = 0;
		ssize_t got;

		do
			there += b->local[past++].iov_len;
		while (there < len);
		got = len ? preadv(mem, b->local + first, (int)(past - first), at) : 0;
		if (got == 0 && len)
			errno = ESRCH; /* its memory is gone */
		if (got < 0 && errno == EIO)
			errno = EFAULT; /* a page that is not there */
		if (got <= 0 && len)
			return sum ? sum : -1;
		sum += got;
		if ((size_t)got < len)
			break;
		first = past;
	}
	return sum;
}

/*
 * Filters of containers forbid process_vm_readv(), and some kernels lack it. The file in /proc
 * tells the same to the same people; it costs a call for each piece.
 */
static ssize_t read_batch(struct process *p, int pid, const struct batch *b)
{
	char path[32];
	ssize_t got = -1;
	int mem;

	if (!__atomic_load_n(&p->by_file, __ATOMIC_RELAXED)) {
		got = process_vm_readv(pid, b->local, b->nlocal, b->remote, b->nremote, 0);
		if (got >= 0 || (errno != EPERM && errno != ENOSYS))
			return got;
	}
	errno = EPERM;
	if (pid == p->target.pid) {
		mem = own_mem(p);
		got = mem < 0 ? -1 : read_file(mem, b);
	} else {
		snprintf(path, sizeof path, "/proc/%d/mem", pid);
		mem = open(path, O_RDONLY | O_CLOEXEC);
		got = mem < 0 ? -1 : read_file(mem, b);
		if (mem >= 0)
			close(mem);
	}
	if (got >= 0)
		__atomic_store_n(&p->by_file, true, __ATOMIC_RELAXED);
	return got;
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
		got = read_batch((struct process *)t, pid, &b);
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
	int mem = own_mem((struct process *)t);

	if (mem < 0 || pread(mem, to, len, (off_t)address) != (ssize_t)len)
		return false;
	__atomic_fetch_add(&t->bytes_read, len, __ATOMIC_RELAXED);
	return true;
}

static const struct target_absent_ops absent_ops = { read_direct, page_there };

struct goro_error *process_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}
