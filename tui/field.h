/* SPDX-License-Identifier: MIT */
/*
 * field.h - what can be said of one goroutine: the columns of the list, and the words that the
 * filter language knows.
 */
#ifndef GOTOP_FIELD_H
#define GOTOP_FIELD_H

#include "frame.h"

enum field {
	F_GID,
	F_STATE,
	F_FOR,
	F_ON,
	F_HELD,
	F_MEM,
	F_HEAP,
	F_WORKER,
	F_VERDICT,
	F_WHERE,
	F_SPAWN,
	F_STACK,
	F_PARENT,
	F_NAME,
	F_LABEL,
	NFIELDS
};

enum field_kind {
	FIELD_COUNT,
	FIELD_DURATION, /* a bare number is seconds */
	FIELD_SIZE,	/* a bare number is bytes */
	FIELD_VERDICT,	/* ordered: ok suspect likely leaked */
	FIELD_TEXT,
};

/* Goroutines that share this have the same text, so it need be matched only once. */
enum field_domain { PER_GOROUTINE, PER_STACK, PER_SPAWN };

struct field_info {
	const char *name;
	enum field_kind kind;
	enum field_domain domain;
	const char *help;
};
extern const struct field_info fields[NFIELDS];

/* Not for FIELD_TEXT. */
uint64_t field_number(const struct frame *f, const struct goro_info *g, enum field field);

void field_text(const struct frame *f, const struct goro_info *g, enum field field, char *buf,
		size_t size);

extern const char *const verdict_names[4]; /* by enum goro_verdict */
const char *verdict_name(uint32_t verdict);
const char *proof_name(uint32_t proof); /* "cycle"; "" for none */

/* Below 0, 0, above 0; for sorting: by field, then by id. */
int field_compare(const struct frame *f, const struct goro_info *a, const struct goro_info *b,
		  enum field field);

#endif /* GOTOP_FIELD_H */
