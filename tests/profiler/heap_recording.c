/* SPDX-License-Identifier: MIT */
/*
 * heap_recording.c - see heap_recording.h.
 */
#include "heap_recording.h"

#include <stdio.h>
#include <string.h>

enum { LINE = RECORDING_LINE };

static void copy_line(const struct recorded_line *l, const struct target_read *v)
{
	uint64_t from = l->address > v->address ? l->address : v->address;
	uint64_t end = v->address + v->len, to = l->address + LINE;

	to = to < end ? to : end;
	memcpy((char *)v->to + (from - v->address), l->bytes + (from - l->address), to - from);
}

static struct goro_error *read_lines(struct target *t, struct target_read *v, size_t n)
{
	const struct heap_recording *r = (const struct heap_recording *)t;

	for (size_t i = 0; i < n; i++) {
		const struct target_map *m = target_maps_find(&r->maps, v[i].address);
		size_t lo = 0, hi = r->nlines;

		v[i].ok = m && m->readable && v[i].len <= m->hi - v[i].address;
		if (!v[i].ok)
			continue;
		memset(v[i].to, 0, v[i].len);
		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (r->line[mid].address + LINE <= v[i].address)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (; lo < r->nlines && r->line[lo].address < v[i].address + v[i].len; lo++)
			copy_line(&r->line[lo], &v[i]);
	}
	return NULL;
}

static bool parse_data(struct heap_recording *r, const char *text)
{
	struct recorded_line *l = &r->line[r->nlines++];
	int at;

	if (r->nlines == RECORDING_LINES || sscanf(text, "data %lx %n", &l->address, &at) != 1)
		return false;
	for (size_t i = 0; i < LINE; i++) {
		unsigned byte;

		if (sscanf(text + at + 2 * i, "%2x", &byte) != 1)
			return false;
		l->bytes[i] = (uint8_t)byte;
	}
	return true;
}

static bool parse(struct heap_recording *r, const char *text)
{
	struct target_map *m = &r->map[r->maps.n];
	struct recorded_piece *p = &r->piece[r->npieces];
	char flags[8];

	if (r->maps.n == RECORDING_MAPS - 1 || r->npieces == RECORDING_PIECES - 1)
		return false;
	if (!strncmp(text, "data ", 5))
		return parse_data(r, text);
	if (sscanf(text, "map %lx %lx %7s %lu", &m->lo, &m->hi, flags, &m->inode) == 4) {
		m->readable = flags[0] == 'r';
		m->writable = flags[1] == 'w';
		m->shared = flags[3] == 's';
		r->maps.n++;
	} else if (sscanf(text, "live %lx %zu", &p->address, &p->size) == 2) {
		r->npieces++;
	} else if (sscanf(text, "freed %lx %zu", &p->address, &p->size) == 2) {
		p->freed = true;
		r->npieces++;
	}
	return true;
}

bool heap_recording_load(struct heap_recording *r, const char *path)
{
	static const struct target_ops ops = { .read = read_lines };
	char text[512];
	FILE *f = fopen(path, "re");
	bool ok = f != NULL;

	memset(r, 0, sizeof *r);
	r->target.ops = &ops;
	r->maps.v = r->map;
	while (ok && fgets(text, sizeof text, f))
		ok = parse(r, text);
	if (f)
		fclose(f);
	return ok && r->npieces && r->nlines;
}
