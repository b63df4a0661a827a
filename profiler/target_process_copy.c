/* SPDX-License-Identifier: MIT */
/*
 * target_process_copy.c - copying memory of a process while it stands; see target_process_keeper.h.
 */
#include "target_process_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- shared memory -----------------------------------------------------------------------------
 */

/* An offset, or 0: no room. */
uint64_t keeper_reserve(struct shared *sh, size_t size)
{
	uint64_t at = (sh->used + 63) & ~63ull;

	if (size > sh->size || at > sh->size - size)
		return 0;
	sh->used = at + size;
	return at;
}

void *keeper_at(struct shared *sh, uint64_t offset)
{
	return (char *)sh + offset;
}

bool keeper_refuse(struct keeper *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->sh->message, sizeof k->sh->message, fmt, ap);
	va_end(ap);
	k->sh->error = -1;
	return false;
}

/* ---- copying -----------------------------------------------------------------------------------
 */

bool keeper_copy_range(struct keeper *k, uint64_t lo, uint64_t hi)
{
	struct target_read r = { .address = lo, .len = hi - lo };
	struct goro_error *err;
	uint64_t offset;

	k->copied += hi - lo;
	if (k->copied > k->how->max_copy)
		return keeper_refuse(k, "more than %llu MiB would have to be copied",
				     (unsigned long long)(k->how->max_copy >> 20));
	offset = keeper_reserve(k->sh, hi - lo);
	if (!offset)
		return keeper_refuse(k, "no memory for the copy");
	r.to = keeper_at(k->sh, offset);
	err = process_read_pid((struct target *)&k->p->target, k->p->target.pid, &r, 1);
	if (err) {
		goro_error_free(err);
		k->sh->error = ESRCH;
		return false;
	}
	if (!r.ok) {
		/* One page of it cannot be read by its owner either: take the others. */
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

		for (uint64_t a = lo; hi - lo > page && a < hi; a += page)
			if (!keeper_copy_range(k, a, a + page))
				return false;
		return true;
	}
	if (k->ncopies == k->copies_cap) {
		size_t cap = k->copies_cap ? k->copies_cap * 2 : 256;
		struct copy *bigger = realloc(k->copies, cap * sizeof *bigger);

		if (!bigger)
			return keeper_refuse(k, "out of memory");
		k->copies = bigger;
		k->copies_cap = cap;
	}
	k->copies[k->ncopies++] = (struct copy){ lo, hi, offset };
	return true;
}

/* The pages of a map that are its own, in runs. */
bool keeper_copy_own(struct keeper *k, const struct target_map *m)
{
	enum { PAGES = 4096 };
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), run = 0;
	uint8_t own[PAGES];

	for (uint64_t lo = m->lo, hi; lo < m->hi; lo = hi) {
		hi = m->hi - lo > PAGES * page ? lo + PAGES * page : m->hi;
		if (!process_own_pages(k->dir, &k->pagemap, lo, hi, own))
			return keeper_refuse(k, "its page map cannot be read");
		for (uint64_t a = lo; a < hi; a += page) {
			bool is = own[(a - lo) / page];

			if (is && !run)
				run = a;
			if (!is && run) {
				if (!keeper_copy_range(k, run, a))
					return false;
				run = 0;
			}
		}
	}
	return !run || keeper_copy_range(k, run, m->hi);
}

/*
 * Is what lies in a shared map the program's memory? Not if it is a file on a device, opened for
 * reading only: what is in there came by another way than through memory.
 */
static bool is_memory(const struct keeper *k, const struct target_map *m)
{
	char name[64];
	struct stat st;

	if (m->writable || m->dev >> 32 == 0)
		return true;
	snprintf(name, sizeof name, "map_files/%llx-%llx", (unsigned long long)m->lo,
		 (unsigned long long)m->hi);
	/* The link has the permissions with which the file was opened. */
	return fstatat(k->dir, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_mode & S_IWUSR;
}

/*
 * What a child would see change, or not at all, and what does not look like the program's own: see
 * process_own_pages(). Maps without permission to read are not asked for: nobody can follow a
 * pointer in there.
 */
bool keeper_copy_shared(struct keeper *k)
{
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];
		uint64_t word;
		struct target_read first = { .address = m->lo, .to = &word, .len = sizeof word };

		if (!m->shared || !m->readable || !is_memory(k, m))
			continue;
		/* A device's memory: nobody can read it from outside. */
		goro_error_free(process_read_pid((struct target *)&k->p->target, k->p->target.pid,
						 &first, 1));
		if (first.ok && !keeper_copy_range(k, m->lo, m->hi))
			return false;
	}
	return true;
}

bool keeper_copy_all(struct keeper *k)
{
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		if (!m->shared && m->readable && !keeper_copy_own(k, m))
			return false;
	}
	return true;
}

/* ---- what a child lacks ------------------------------------------------------------------------
 */

static bool is_wiped(const struct keeper *k, const struct target_map *m)
{
	for (size_t i = 0; i < k->wiped.n; i++)
		if (k->wiped.v[i].lo < m->hi && m->lo < k->wiped.v[i].hi)
			return true;
	return false;
}

/*
 * A private map that the child does not have was kept from it: MADV_DONTFORK. Others it has, but
 * empty: MADV_WIPEONFORK.
 */
bool keeper_copy_lacking(struct keeper *k)
{
	struct target_maps theirs = { 0 };
	char path[64];
	size_t len;
	char *text;
	bool ok = true;

	snprintf(path, sizeof path, "/proc/%d/maps", k->sh->child);
	text = process_text(AT_FDCWD, path, &len);
	if (!text || process_parse_maps(text, len, &theirs))
		return keeper_refuse(k, "the copy's memory map cannot be read");
	for (size_t i = 0; ok && i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		if (!m->shared && m->readable &&
		    (!target_maps_find(&theirs, m->lo) || is_wiped(k, m)))
			ok = keeper_copy_own(k, m);
	}
	target_maps_free(&theirs);
	return ok;
}

/* The target runs again. Is there any map that was wiped for the child, and not known to be? */
bool keeper_check_wiped(struct keeper *k)
{
	struct process_wiped theirs;
	char path[64];
	bool ok = true;

	snprintf(path, sizeof path, "/proc/%d/smaps", k->sh->child);
	if (!process_wiped_read(AT_FDCWD, path, &theirs))
		return keeper_refuse(k, "the copy's memory map cannot be read");
	for (size_t i = 0; i < theirs.n; i++)
		ok &= process_wiped_has(&k->wiped, theirs.v[i].lo, theirs.v[i].hi);
	process_wiped_free(&theirs);
	return ok || keeper_refuse(k, "it kept memory from children while it was stopped");
}

/* ---- the list of what was copied ---------------------------------------------------------------
 */

static int by_lo(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

void keeper_publish_copies(struct keeper *k)
{
	struct shared *sh = k->sh;

	if (k->ncopies)
		qsort(k->copies, k->ncopies, sizeof *k->copies, by_lo);
	sh->copies = keeper_reserve(sh, (k->ncopies + 1) * sizeof *k->copies);
	if (!sh->copies) {
		keeper_refuse(k, "no memory for the copy");
		return;
	}
	if (k->ncopies)
		memcpy(keeper_at(sh, sh->copies), k->copies, k->ncopies * sizeof *k->copies);
	sh->ncopies = k->ncopies;
}
