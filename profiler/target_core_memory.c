/* SPDX-License-Identifier: MIT */
/*
 * target_core_memory.c - the memory of a process, as far as its core file or the files that it had
 * mapped have it.
 *
 * What is in neither place is missing, and a read of it fails: nothing is taken for zeros.
 */
#include "target_core.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "target_absent.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* What the core file does not hold of a file's map is as it is in that file. */
static size_t read_from_file(struct core *c, uint64_t address, uint8_t *to, size_t len)
{
	size_t i = core_find_mapping(&c->file, address);
	const struct core_mapping *m;
	const struct core_backing *b;
	uint64_t n;
	ssize_t got;

	if (i == SIZE_MAX)
		return 0;
	m = &c->file.mappings[i];
	b = core_backing_use(c, i);
	if (b->fd < 0)
		return 0;
	n = m->hi - address < len ? m->hi - address : len;
	if (m->offset + (address - m->lo) > INT64_MAX)
		return 0;
	got = pread(b->fd, to, n, (off_t)(m->offset + (address - m->lo)));
	return got > 0 ? (size_t)got : 0;
}

/* Up to where the core file's segments say nothing about memory from address on. */
static uint64_t core_next_dumped(const struct core_file *f, uint64_t address)
{
	size_t lo = 0, hi = f->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->segments[mid].lo <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->nsegments ? f->segments[lo].lo : UINT64_MAX;
}

static bool read_piece(struct core *c, uint64_t address, uint8_t *to, size_t len)
{
	size_t done = 0;

	if (address + len < address)
		return false;
	while (done < len) {
		uint64_t at = address + done, border;
		size_t got = core_file_read(&c->file, at, to + done, len - done);

		done += got;
		if (got)
			continue;
		border = core_next_dumped(&c->file, at);
		got = read_from_file(c, at, to + done,
				     border - at < len - done ? border - at : len - done);
		if (!got)
			return false;
		done += got;
	}
	return true;
}

static struct goro_error *read_all(struct target *t, struct target_read *v, size_t n)
{
	struct core *c = (struct core *)t;

	for (size_t i = 0; i < n; i++) {
		v[i].ok = read_piece(c, v[i].address, v[i].to, v[i].len);
		if (v[i].ok)
			t->bytes_read += v[i].len;
	}
	return NULL;
}

static const struct target_absent_ops absent_ops = { .read = read_all };

struct goro_error *core_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}

/* The end of what of [at, hi) is in one place, or `at` itself: it is in none. */
static uint64_t present_until(struct core *c, uint64_t at, uint64_t hi)
{
	const struct core_file *f = &c->file;
	const struct core_segment *s = core_file_find(f, at);
	uint64_t dumped = 0, border = core_next_dumped(f, at);
	size_t i;

	if (s && s->offset < f->size)
		dumped = f->size - s->offset < s->filesz ? f->size - s->offset : s->filesz;
	if (s && at - s->lo < dumped)
		return s->lo + dumped < hi ? s->lo + dumped : hi;
	/* What the process could write to may differ from the file; so may a file that changed. */
	i = core_find_mapping(f, at);
	if (i == SIZE_MAX || !s || s->writable || at - s->lo < s->filesz ||
	    core_backing_use(c, i)->fd < 0 || !core_backing_use(c, i)->unchanged)
		return at;
	border = border < s->hi ? border : s->hi;
	border = border < f->mappings[i].hi ? border : f->mappings[i].hi;
	return border < hi ? border : hi;
}

bool core_missing(struct target *t, uint64_t lo, uint64_t hi, struct target_gap *ret)
{
	struct core *c = (struct core *)t;

	for (uint64_t at = lo, end; at < hi; at = end) {
		const struct core_segment *s;
		size_t i;

		end = present_until(c, at, hi);
		if (end > at)
			continue;
		s = core_file_find(&c->file, at);
		i = core_find_mapping(&c->file, at);
		*ret = (struct target_gap){ at, s && s->hi < hi ? s->hi : hi, NULL };
		if (i != SIZE_MAX)
			ret->path = c->file.mappings[i].path;
		return true;
	}
	return false;
}

/* ---- what was in RAM ----------------------------------------------------------------------- */

/* Of [lo, hi) in the core file: bytes that are no hole. */
static uint64_t data_between(int fd, uint64_t lo, uint64_t hi)
{
	uint64_t sum = 0;

	while (lo < hi) {
		off_t data = lseek(fd, (off_t)lo, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= hi)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > hi)
			hole = (off_t)hi;
		if (hole <= data)
			break;
		sum += (uint64_t)(hole - data);
		lo = (uint64_t)hole;
	}
	return sum;
}

/* Of one segment, what lies in [lo, hi). */
static uint64_t resident_of(const struct core *c, const struct core_segment *s, uint64_t lo,
			    uint64_t hi)
{
	uint64_t end = s->lo + s->filesz;

	lo = lo > s->lo ? lo : s->lo;
	hi = hi < end ? hi : end;
	if (lo >= hi || s->offset + (hi - s->lo) > INT64_MAX)
		return 0;
	return data_between(c->file.fd, s->offset + (lo - s->lo), s->offset + (hi - s->lo));
}

/* Holes read as zeros: there is no need to read them. Where there are none, all is read. */
bool core_own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	const struct core *c = (const struct core *)t;
	const struct core_segment *s;

	memset(own, 1, (hi - lo + CORE_PAGE - 1) / CORE_PAGE);
	for (uint64_t at = lo, end; c->file.sparse && at < hi; at = end) {
		s = core_file_find(&c->file, at);
		end = s && at < s->lo + s->filesz ? s->lo + s->filesz
		      : s			  ? s->hi
						  : core_next_dumped(&c->file, at);
		end = end < hi ? end : hi;
		if (!s || at >= s->lo + s->filesz || at % CORE_PAGE || end % CORE_PAGE ||
		    s->offset + (end - s->lo) > INT64_MAX)
			continue;
		for (uint64_t a = at; a < end; a += CORE_PAGE) {
			uint64_t offset = s->offset + (a - s->lo);
			off_t data = lseek(c->file.fd, (off_t)offset, SEEK_DATA);

			if (data < 0 && errno != ENXIO)
				break; /* no such call on this file system */
			if (data >= 0 && (uint64_t)data < offset + (end - a)) {
				uint64_t skip = ((uint64_t)data - offset) / CORE_PAGE * CORE_PAGE;
				off_t hole = lseek(c->file.fd, data, SEEK_HOLE);

				memset(own + (a - lo) / CORE_PAGE, 0, skip / CORE_PAGE);
				if (hole <= data)
					break;
				a += ((uint64_t)hole - offset + CORE_PAGE - 1) / CORE_PAGE *
					     CORE_PAGE -
				     CORE_PAGE;
				continue;
			}
			memset(own + (a - lo) / CORE_PAGE, 0, (end - a) / CORE_PAGE);
			break;
		}
	}
	target_absent_own(t, &absent_ops, lo, hi, own);
	return true;
}

/*
 * The kernel leaves holes where no page was; a file without holes has lost that. gdb leaves some
 * only where it could not read.
 */
void core_resident(struct target *t, struct target_range *v, size_t n)
{
	struct core *c = (struct core *)t;
	const struct core_segment *s = c->file.segments, *end = s + c->file.nsegments;

	for (size_t i = 0; i < n; i++) {
		v[i].resident = 0;
		while (s < end && s->hi <= v[i].lo)
			s++;
		for (const struct core_segment *of = s;
		     c->file.sparse && !c->file.other_order && of < end && of->lo < v[i].hi; of++)
			v[i].resident += resident_of(c, of, v[i].lo, v[i].hi);
	}
}
