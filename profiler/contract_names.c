/* SPDX-License-Identifier: MIT */
/*
 * contract_names.c - the names and labels that goroutines carry with them.
 *
 * They lie in records of their own that stay mapped, and may be rewritten, or be another
 * goroutine's already, while we read. A name is for people, so the worst that comes of it is half
 * of one; what is read is bounded and ends in a NUL whatever the target says.
 */
#include <stdlib.h>
#include <string.h>
#include "contract.h"

enum { BATCH = 256, EXT_MAX = 4096 };

struct names {
	const struct contract *c;
	struct target *t;
	struct goro_snapshot *snap;
	size_t size, cap;
	char *bytes; /* BATCH records */
	struct target_read reads[BATCH];
	uint32_t g[BATCH];
	size_t n;
};

/* Where the text begins in snap->text; 0, the empty one, also when there is no memory for it. */
static uint32_t add_text(struct names *names, const char *text, size_t max)
{
	struct goro_snapshot *s = names->snap;
	size_t len = strnlen(text, max), at = s->ntext;

	if (!len || at + len + 1 > UINT32_MAX)
		return 0;
	if (at + len + 1 > names->cap) {
		size_t cap = 2 * (at + len + 1) + 4096;
		char *bigger = realloc(s->text, cap);

		if (!bigger)
			return 0;
		s->text = bigger;
		names->cap = cap;
	}
	memcpy(s->text + at, text, len);
	s->text[at + len] = '\0';
	s->ntext = at + len + 1;
	return (uint32_t)at;
}

static struct goro_error *read_batch(struct names *names)
{
	size_t labels = names->c->fields[GORO_FIELD_ext_labels].offset;
	struct goro_error *err = names->t->ops->read(names->t, names->reads, names->n);

	for (size_t i = 0; i < names->n && !err; i++) {
		struct goro_info *g = &names->snap->g[names->g[i]];
		const char *ext = names->bytes + i * names->size;

		if (!names->reads[i].ok)
			continue;
		g->name = add_text(names, ext, labels ? labels : names->size);
		if (labels)
			g->labels = add_text(names, ext + labels, names->size - labels);
	}
	names->n = 0;
	return err;
}

static struct goro_error *read_names(struct names *names)
{
	struct goro_error *err = NULL;

	for (size_t i = 0; i < names->snap->ng && !err; i++) {
		uint64_t ext = names->snap->g[i].ext;

		if (!ext)
			continue;
		names->reads[names->n] = (struct target_read){
			.address = ext,
			.to = names->bytes + names->n * names->size,
			.len = names->size,
		};
		names->g[names->n++] = (uint32_t)i;
		if (names->n == BATCH)
			err = read_batch(names);
	}
	return err ? err : read_batch(names);
}

struct goro_error *contract_read_names(const struct contract *c, struct target *t,
				       struct goro_snapshot *snap, bool any)
{
	const struct goro_field *labels = &c->fields[GORO_FIELD_ext_labels];
	struct names names = { .c = c, .t = t, .snap = snap };
	struct goro_error *err;

	names.size = labels->size ? (size_t)labels->offset + labels->size : 0;
	snap->text = calloc(1, 1);
	if (!snap->text)
		return &goro_enomem;
	snap->ntext = names.cap = 1;
	if (!any || !names.size || names.size > EXT_MAX)
		return NULL;
	names.bytes = malloc(BATCH * names.size);
	if (!names.bytes)
		return &goro_enomem;
	err = read_names(&names);
	free(names.bytes);
	return err;
}
