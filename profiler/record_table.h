/* SPDX-License-Identifier: MIT */
/*
 * record_table.h - the tables of a tick, for record_pack.c and record_unpack.c.
 */
#ifndef GORO_RECORD_TABLE_H
#define GORO_RECORD_TABLE_H

#include <string.h>

#include "record.h"

/* Parts of a tick. */
enum {
	PART_END = 0,
	PART_HEAD,
	PART_GOROUTINES,
	PART_OBJECTS,
	PART_PROCS,
	PART_TOMBS,
	PART_WHO,
	PART_HEAP,
	PART_HEAP_ENDED,
};

struct column {
	uint8_t id; /* in the file: never reused */
	uint8_t size;
	bool flag; /* a bool: 0 or 1, whatever the file says */
	uint16_t offset;
};

struct table {
	const struct column *columns; /* the first is the key */
	size_t ncolumns, row_size;
};

/* Columns of waits and read locks: lists that belong to a goroutine. */
enum { COLUMN_END = 0, COLUMN_WAITS = 100, COLUMN_RLOCKS = 101 };

/* Of goroutines. */
#define RECORD_G_COLUMNS 30

extern const struct table record_g_table;
extern const struct table record_object_table;
extern const struct table record_proc_table;
extern const struct table record_tomb_table;
extern const struct table record_heap_table;
extern const struct table record_heap_ended_table;
extern const struct table record_head_table;

static inline uint64_t load(const void *row, const struct column *c)
{
	uint64_t v = 0;

	memcpy(&v, (const char *)row + c->offset, c->size);
	return v;
}

/* A value that does not fit is cut. */
static inline void store(void *row, const struct column *c, uint64_t v)
{
	if (c->flag)
		v = v != 0;
	memcpy((char *)row + c->offset, &v, c->size);
}

static inline const void *row_at(const struct table *t, const void *rows, size_t i)
{
	return (const char *)rows + i * t->row_size;
}

#endif /* GORO_RECORD_TABLE_H */
