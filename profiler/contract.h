/* SPDX-License-Identifier: MIT */
/*
 * contract.h - the contract of a goro program (goro_introspect.h), found, checked and used.
 *
 * Every number in it is the target's word and may be nonsense. contract_load() refuses what would
 * make later reads unbounded; field access refuses what lies outside of the record.
 */
#ifndef GORO_CONTRACT_H
#define GORO_CONTRACT_H

#include <goro_introspect.h>
#include "elf.h"
#include "snapshot.h"
#include "target.h"
#include "unwind.h"

#define CONTRACT_TEXT 256

struct contract {
	uint64_t address;
	struct goro_introspect raw; /* what this program does not have is 0 */
	struct goro_field fields[GORO_NFIELDS];
	struct goro_name reasons[256];
	struct goro_text_range text[CONTRACT_TEXT]; /* of the runtime, as far as it was told */
	size_t ntext;
	struct unwind_layout layout;
};

/* Bytes of one of the target's structures. */
struct record {
	const uint8_t *bytes;
	size_t size;
};

/* *address 0: there is none. */
struct goro_error *contract_find(struct target *t, struct modules *ms, uint64_t *address);

/* What a note of this type points to, if that begins with the cookie
 * (8 bytes); 0: there is none. */
uint64_t contract_find_note(struct target *t, const struct modules *ms, uint32_t type,
			    const char *cookie);

/* Has this module the note, so that no symbol is needed? */
bool contract_has_note(struct target *t, const struct module *m);

/* Read and check it. Fails with 5 when it makes no sense or is of a version we do not know. */
struct goro_error *contract_load(struct contract *c, struct target *t, uint64_t address);

/* A field's value; 0 when this program does not have it. */
uint64_t contract_get(const struct contract *c, struct record r, enum goro_field_id field);

/* Bytes from a structure's start that hold all of the fields first..last. */
size_t contract_size(const struct contract *c, enum goro_field_id first, enum goro_field_id last);

/* ---- contract_tables.c: all but the goroutines ----------------------------------------------- */

struct goro_error *contract_read_procs(const struct contract *c, struct target *t,
				       struct snapshot_builder *b);
struct goro_error *contract_read_tombs(const struct contract *c, struct target *t,
				       struct snapshot_builder *b, uint64_t now);
/* Fill in what snapshot_collect_objects() listed, but for those that are valid already. */
struct goro_error *contract_read_objects(const struct contract *c, struct target *t,
					 struct goro_snapshot *snap);

/* ---- contract_names.c ------------------------------------------------------------------------ */

/* Names and labels, by the addresses that the goroutines' records gave, if any did. */
struct goro_error *contract_read_names(const struct contract *c, struct target *t,
				       struct goro_snapshot *snap, bool any);

/* ---- contract_heap.c ------------------------------------------------------------------------- */

/*
 * Who holds how much of the heap, by the contract of libgoro-heap.so at this address; after
 * snapshot_sort(). One that makes no sense is as if there were none.
 */
struct goro_error *contract_read_heap(uint64_t address, struct target *t,
				      struct goro_snapshot *snap);

/* ---- contract_queue.c ------------------------------------------------------------------------ */

/* Set `queued` of the goroutines that seem to hold what they wait for; after the objects. */
struct goro_error *contract_read_queues(const struct contract *c, struct target *t,
					struct goro_snapshot *snap);

/* ---- contract_facts.c ------------------------------------------------------------------------ */

struct facts;
struct facts_worker;

/* Threads of the runtime with a stack of their own; *all: none was unreadable. Free *ret. */
struct goro_error *contract_read_workers(const struct contract *c, struct target *t,
					 struct facts_worker **ret, size_t *count, bool *all);

/* After contract_load(); snap is of the same view. Free with facts_free(). */
struct goro_error *contract_read_facts(const struct contract *c, struct target *t,
				       const struct goro_snapshot *snap, struct facts *f);

#endif /* GORO_CONTRACT_H */
