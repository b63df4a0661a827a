/* SPDX-License-Identifier: MIT */
/*
 * target_process_wiped.c - which maps of a process a child of it would not see as they are: those
 * that are wiped for it (MADV_WIPEONFORK), and private ones of huge pages, for which a child has no
 * reservation: with the pool empty it loses them when the process writes, or when they are read.
 *
 * Only smaps says so, and that file makes the kernel walk every page table. So it is read while the
 * process runs: before it is stopped, to know what to copy, and once more of its child, to see
 * that nothing was missed.
 */
#include "target_process.h"

#include <stdlib.h>
#include <string.h>

static bool add(struct process_wiped *w, uint64_t lo, uint64_t hi)
{
	struct process_range *bigger = realloc(w->v, (w->n + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	w->v = bigger;
	w->v[w->n++] = (struct process_range){ lo, hi };
	return true;
}

bool process_wiped_read(int dir, const char *name, struct process_wiped *ret)
{
	size_t len;
	char *text = process_text(dir, name, &len), *rest = text, *line;
	unsigned long long lo = 0, hi = 0, from, to;
	char rights[5] = "";
	bool ok = text != NULL;

	*ret = (struct process_wiped){ 0 };
	while (ok && rest && (line = strsep(&rest, "\n"))) {
		/* Some keys begin like a number, "AnonHugePages:" for one. */
		if (sscanf(line, "%llx-%llx %4s", &from, &to, rights) == 3) {
			lo = from;
			hi = to;
			continue;
		}
		/* "VmFlags: rd wr mr mw me ac wf " */
		if (strncmp(line, "VmFlags:", 8) == 0 &&
		    (strstr(line, " wf") || (strstr(line, " ht") && rights[3] == 'p')))
			ok = add(ret, lo, hi);
	}
	free(text);
	if (!ok)
		process_wiped_free(ret);
	return ok;
}

bool process_wiped_has(const struct process_wiped *w, uint64_t lo, uint64_t hi)
{
	/* Neighbours may have become one map or two meanwhile. */
	for (size_t i = 0; i < w->n && lo < hi; i++)
		if (w->v[i].lo <= lo && lo < w->v[i].hi)
			lo = w->v[i].hi;
	return lo >= hi;
}

void process_wiped_free(struct process_wiped *w)
{
	free(w->v);
	*w = (struct process_wiped){ 0 };
}
