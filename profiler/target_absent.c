/* SPDX-License-Identifier: MIT */
/*
 * target_absent.c - reads of stacks that are kept elsewhere.
 *
 * Of what stands still (a core file, a forked child) all is read as it is first; only where that
 * gives zeros is there anything to look up. A process that runs, or stands under somebody else's
 * debugger, must not be asked for a page that is not there: process_vm_readv() would wait until a
 * thread of the process brings it back. So there each page of an arena is asked for in a way that
 * fails instead.
 *
 * Rejected: a table of all cold stacks, read first. It is old before it is complete, and asking for
 * one that has become cold since may wait for ever.
 */
#include "target_absent.h"

#include <stdlib.h>
#include <string.h>

#define PAGE	 4096u
#define TRIES	 64
#define MAX_COLD (1u << 20) /* bytes of one cold stack */

static int by_lo(const void *a, const void *b)
{
	const struct goro_cold_arena *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

void target_absent_free(struct target *t)
{
	free(t->absent.v);
	t->absent = (struct target_absent){ 0 };
}

/* What makes no sense is left out: the numbers are the target's. */
void target_absent_set(struct target *t, struct goro_cold_arena *v, size_t n)
{
	uint64_t end = 0;
	size_t kept = 0;

	if (t->absent.v)
		target_absent_free(t);
	if (n)
		qsort(v, n, sizeof *v, by_lo);
	for (size_t i = 0; i < n; i++) {
		if (v[i].lo < end || v[i].lo >= v[i].hi || v[i].slot_size < PAGE ||
		    v[i].lo % PAGE || v[i].slot_size % PAGE)
			continue;
		end = v[i].hi;
		v[kept++] = v[i];
	}
	/* Others may read meanwhile, of what is not in arenas. */
	t->absent.v = v;
	__atomic_store_n(&t->absent.n, kept, __ATOMIC_RELEASE);
}

/* The first arena that ends above the address; maybe it begins above it, too. */
static size_t find(const struct target *t, uint64_t address)
{
	size_t lo = 0, hi = __atomic_load_n(&t->absent.n, __ATOMIC_ACQUIRE);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->absent.v[mid].hi <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool target_absent_touches(const struct target *t, uint64_t lo, uint64_t hi)
{
	size_t n = __atomic_load_n(&t->absent.n, __ATOMIC_ACQUIRE), i = n ? find(t, lo) : 0;

	return i < n && t->absent.v[i].lo < hi;
}

static const struct goro_cold_arena *arena_of(const struct target *t, uint64_t address)
{
	size_t n = __atomic_load_n(&t->absent.n, __ATOMIC_ACQUIRE), i = n ? find(t, address) : 0;

	return i < n && t->absent.v[i].lo <= address ? &t->absent.v[i] : NULL;
}

static bool raw(struct target *t, const struct target_absent_ops *ops, uint64_t address, void *to,
		size_t len)
{
	struct target_read r = { .address = address, .to = to, .len = len };

	if (target_absent_touches(t, address, address + len)) {
		/* The runtime's own tables lie in no arena. */
		return false;
	}
	goro_error_free(ops->read(t, &r, 1));
	return r.ok;
}

/* The copy of the slot that the page lies in. False: it has none. */
static bool look_up(struct target *t, const struct target_absent_ops *ops, uint64_t page,
		    uint64_t *at, struct goro_cold_stack *c)
{
	const struct goro_cold_arena *a = arena_of(t, page);
	uint64_t slot = a ? (page - a->lo) / a->slot_size : 0;

	return a && raw(t, ops, a->copies + slot * sizeof *at, at, sizeof *at) && *at &&
	       !(*at & 1) && raw(t, ops, *at, c, sizeof *c) && c->seq && c->size <= MAX_COLD &&
	       c->from <= c->to && c->to <= c->size;
}

/* Bytes of one page, from the copy. False: not there, or it changed meanwhile. */
static bool from_copy(struct target *t, const struct target_absent_ops *ops, uint64_t at,
		      const struct goro_cold_stack *c, struct target_read *r)
{
	uint64_t lo = r->address - c->lo, hi = lo + r->len, seq = 0;
	uint64_t from = lo > c->from ? lo : c->from, to = hi < c->to ? hi : c->to;

	if (lo >= c->size || hi > c->size)
		return false;
	if (c->moving) {
		if (ops->there)
			return ops->there(t, c->moving + lo, r->to, r->len);
		return raw(t, ops, c->moving + lo, r->to, r->len);
	}
	memset(r->to, 0, r->len);
	if (from < to &&
	    !raw(t, ops, at + sizeof *c + (from - c->from), (char *)r->to + (from - lo), to - from))
		return false;
	return raw(t, ops, at, &seq, sizeof seq) && seq == c->seq;
}

/*
 * A piece of one page of a process that runs. It may come back and go away while we look for it. A
 * page that was never touched is neither there nor anywhere else: zeros.
 */
static bool live_piece(struct target *t, const struct target_absent_ops *ops, struct target_read *r)
{
	struct goro_cold_stack c;
	int nowhere = 0;
	uint64_t at;

	for (int i = 0; i < TRIES; i++) {
		if (ops->there(t, r->address, r->to, r->len))
			return true;
		if (!look_up(t, ops, r->address, &at, &c) || r->address - c.lo >= c.size) {
			if (++nowhere == 3)
				break;
		} else if (from_copy(t, ops, at, &c, r)) {
			return true;
		}
	}
	memset(r->to, 0, r->len);
	return nowhere == 3;
}

static bool all_zero(const void *bytes, size_t len)
{
	const char *b = bytes;

	return len == 0 || (*b == 0 && memcmp(b, b + 1, len - 1) == 0);
}

/* A piece of one page of what stands still, which was read already. */
static bool still_piece(struct target *t, const struct target_absent_ops *ops,
			struct target_read *r, bool ok)
{
	struct goro_cold_stack c;
	uint64_t at;

	if (ok && !all_zero(r->to, r->len))
		return true;
	if (!look_up(t, ops, r->address, &at, &c) || r->address - c.lo >= c.size)
		return ok;
	return from_copy(t, ops, at, &c, r);
}

/* Page by page, what of the read lies in arenas; the rest as it is. */
static bool in_pieces(struct target *t, const struct target_absent_ops *ops,
		      const struct target_read *r)
{
	uint64_t end = r->address + r->len, next;
	bool ok = true;

	for (uint64_t at = r->address; at < end; at = next) {
		struct target_read piece = { .address = at,
					     .to = (char *)r->to + (at - r->address) };
		bool absent = arena_of(t, at) != NULL;

		next = (at | (PAGE - 1)) + 1;
		next = next < end ? next : end;
		piece.len = next - at;
		if (absent && ops->there) {
			ok &= live_piece(t, ops, &piece);
			continue;
		}
		goro_error_free(ops->read(t, &piece, 1));
		ok &= absent ? still_piece(t, ops, &piece, piece.ok) : piece.ok;
	}
	return ok;
}

/* Runs of those that need no care go to the kernel together. */
struct goro_error *target_absent_read(struct target *t, const struct target_absent_ops *ops,
				      struct target_read *v, size_t n)
{
	struct goro_error *err = NULL;
	size_t done = 0;

	while (done < n && !err) {
		size_t run = done;

		while (run < n &&
		       !target_absent_touches(t, v[run].address, v[run].address + v[run].len))
			run++;
		if (run > done)
			err = ops->read(t, v + done, run - done);
		if (!err && run < n) {
			v[run].ok = in_pieces(t, ops, &v[run]);
			run++;
		}
		done = run;
	}
	return err;
}

void target_absent_own(struct target *t, const struct target_absent_ops *ops, uint64_t lo,
		       uint64_t hi, uint8_t *own)
{
	for (uint64_t at = lo; at < hi; at += PAGE) {
		struct goro_cold_stack c;
		uint64_t copy;

		if (own[(at - lo) / PAGE] || !target_absent_touches(t, at, at + PAGE))
			continue;
		if (look_up(t, ops, at, &copy, &c) && at - c.lo < c.size)
			own[(at - lo) / PAGE] = 1;
	}
}
