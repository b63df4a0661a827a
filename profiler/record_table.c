/* SPDX-License-Identifier: MIT */
/*
 * record_table.c - the tables of a tick: which columns they have.
 *
 * Rows are sorted by a key. A table is written as the keys that went, the keys of new and changed
 * rows, and then column by column, each value as its difference to the one above: neighbours are
 * alike, and zlib sees long runs of the same bytes.
 */
#include "record_table.h"

#include <stdlib.h>
#include <string.h>

#define COLUMN_OF(type, id, field, flag)                                  \
	{                                                                 \
		(id), (uint8_t)sizeof(((struct type *)0)->field), (flag), \
			(uint16_t)offsetof(struct type, field)            \
	}
#define COLUMN(type, id, field) COLUMN_OF(type, id, field, false)
#define FLAG(type, id, field)	COLUMN_OF(type, id, field, true)

static const struct column g_columns[RECORD_G_COLUMNS] = {
	COLUMN(goro_info, 1, id),
	COLUMN(goro_info, 2, parent),
	COLUMN(goro_info, 3, spawn_pc),
	COLUMN(goro_info, 4, entry),
	COLUMN(goro_info, 5, record),
	COLUMN(goro_info, 6, state),
	COLUMN(goro_info, 7, reason),
	COLUMN(goro_info, 8, wait_class),
	COLUMN(goro_info, 9, flags),
	COLUMN(goro_info, 10, letter),
	COLUMN(goro_info, 11, park_seq),
	COLUMN(goro_info, 12, wait_object),
	COLUMN(goro_info, 13, wait_ns),
	COLUMN(goro_info, 14, sp),
	COLUMN(goro_info, 15, stack_lo),
	COLUMN(goro_info, 16, stack_hi),
	COLUMN(goro_info, 17, stack_resident),
	COLUMN(goro_info, 18, stack_used),
	COLUMN(goro_info, 19, stack_id),
	COLUMN(goro_info, 20, held_locks),
	COLUMN(goro_info, 21, rlocks_more),
	COLUMN(goro_info, 22, m_id),
	FLAG(goro_info, 23, queued),
	FLAG(goro_info, 24, torn),
	FLAG(goro_info, 25, lost),
	FLAG(goro_info, 26, labelled),
	COLUMN(goro_info, 27, ext),
	COLUMN(goro_info, 28, name),
	COLUMN(goro_info, 29, labels),
	COLUMN(goro_info, 30, stack_peak),
};

static const struct column object_columns[] = {
	COLUMN(goro_object, 1, address),   COLUMN(goro_object, 2, wait_class),
	FLAG(goro_object, 3, valid),	   COLUMN(goro_object, 4, owner),
	COLUMN(goro_object, 5, readers),   COLUMN(goro_object, 6, len),
	COLUMN(goro_object, 7, cap),	   COLUMN(goro_object, 8, elem_size),
	FLAG(goro_object, 9, closed),	   COLUMN(goro_object, 10, make_pc),
	COLUMN(goro_object, 11, nwaiters),
};

static const struct column proc_columns[] = {
	COLUMN(goro_proc, 1, id),	COLUMN(goro_proc, 2, status),
	COLUMN(goro_proc, 3, m_id),	COLUMN(goro_proc, 4, tid),
	COLUMN(goro_proc, 5, runq_len), COLUMN(goro_proc, 6, running),
	COLUMN(goro_proc, 7, nswitch),	COLUMN(goro_proc, 8, nspawn),
	COLUMN(goro_proc, 9, nexit),	COLUMN(goro_proc, 10, npark),
	COLUMN(goro_proc, 12, nsteal),	COLUMN(goro_proc, 13, nretake),
	COLUMN(goro_proc, 14, nspin),	COLUMN(goro_proc, 15, nyield),
	/* 11 was how many were made runnable, in recordings of before */
};

static const struct column tomb_columns[] = {
	COLUMN(goro_tomb, 1, id),	 COLUMN(goro_tomb, 2, parent),
	COLUMN(goro_tomb, 3, spawn_pc),	 COLUMN(goro_tomb, 4, entry),
	COLUMN(goro_tomb, 5, ago_ns),	 COLUMN(goro_tomb, 6, locks),
	COLUMN(goro_tomb, 7, rlocks[0]), COLUMN(goro_tomb, 8, rlocks[1]),
};

static const struct column head_columns[] = {
	COLUMN(goro_snapshot, 1, pid),
	COLUMN(goro_snapshot, 2, time),
	COLUMN(goro_snapshot, 3, wall_time),
	COLUMN(goro_snapshot, 4, uptime_ns),
	COLUMN(goro_snapshot, 5, rss),
	COLUMN(goro_snapshot, 6, cpu),
	COLUMN(goro_snapshot, 7, global_runq),
	COLUMN(goro_snapshot, 8, timers),
	FLAG(goro_snapshot, 9, deadlocked),
	COLUMN(goro_snapshot, 10, cost_ns),
	COLUMN(goro_snapshot, 11, bytes_read),
	COLUMN(goro_snapshot, 12, reread),
	COLUMN(goro_snapshot, 13, torn),
	COLUMN(goro_snapshot, 14, bad_records),
	COLUMN(goro_snapshot, 15, truncated),
	COLUMN(goro_snapshot, 16, lost),
	COLUMN(goro_snapshot, 17, cut),
	COLUMN(goro_snapshot, 18, cpu_ns),
	COLUMN(goro_snapshot, 19, heap_outside.bytes),
	COLUMN(goro_snapshot, 20, heap_outside.objects),
	COLUMN(goro_snapshot, 21, heap_outside.total_bytes),
	COLUMN(goro_snapshot, 22, heap_outside.total_objects),
	COLUMN(goro_snapshot, 23, reclaimed),
};

static const struct column heap_columns[] = {
	COLUMN(record_heap, 1, id),
	COLUMN(record_heap, 2, heap.bytes),
	COLUMN(record_heap, 3, heap.objects),
	COLUMN(record_heap, 4, heap.total_bytes),
	COLUMN(record_heap, 5, heap.total_objects),
};

static const struct column heap_ended_columns[] = {
	COLUMN(goro_heap_site, 1, spawn_pc),	       COLUMN(goro_heap_site, 2, heap.bytes),
	COLUMN(goro_heap_site, 3, heap.objects),       COLUMN(goro_heap_site, 4, heap.total_bytes),
	COLUMN(goro_heap_site, 5, heap.total_objects),
};

#define TABLE(columns, type)                                                        \
	{                                                                           \
		(columns), sizeof(columns) / sizeof *(columns), sizeof(struct type) \
	}

const struct table record_g_table = TABLE(g_columns, goro_info);
const struct table record_object_table = TABLE(object_columns, goro_object);
const struct table record_proc_table = TABLE(proc_columns, goro_proc);
const struct table record_tomb_table = TABLE(tomb_columns, goro_tomb);
const struct table record_heap_table = TABLE(heap_columns, record_heap);
const struct table record_heap_ended_table = TABLE(heap_ended_columns, goro_heap_site);
const struct table record_head_table = TABLE(head_columns, goro_snapshot);

void record_state_free(struct record_state *s)
{
	free(s->g);
	free(s->waits);
	free(s->rlocks);
	free(s->objects);
	free(s->procs);
	free(s->tombs);
	free(s->heap);
	free(s->heap_ended);
	free(s->name);
	free(s->runtime);
	memset(s, 0, sizeof *s);
}
