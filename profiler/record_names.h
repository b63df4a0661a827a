/* SPDX-License-Identifier: MIT */
/*
 * record_names.h - the names that a recording has: strings, symbolised pcs, stacks.
 *
 * Each is written once and has a number from then on. What is new is packed as it comes, for the
 * block in front of the tick that needs it.
 */
#ifndef GORO_RECORD_NAMES_H
#define GORO_RECORD_NAMES_H

#include "pack.h"
#include "profiler.h"

/* Open-addressed: hash -> index + 1 of an entry that the owner compares. */
struct index {
	uint32_t *slots;
	size_t size, n;
};

struct written_stack {
	size_t first; /* in pcs[] */
	uint32_t n;
	bool complete, by_frame_pointer;
};

struct record_names {
	struct goro_scope *scope;
	char **strings;
	size_t nstrings, strings_cap;
	struct index string_index;
	uint64_t *keys; /* pc * 2 + is_return of the pcs that were written */
	size_t nkeys, keys_cap;
	struct index key_index;
	struct written_stack *stacks;
	uint64_t *pcs;
	size_t nstacks, stacks_cap, npcs, pcs_cap;
	struct index stack_index;

	struct packer strings_out, frames_out, stacks_out; /* new names of the tick that is made */
	size_t new_strings, new_pcs, new_stacks;
	bool no_memory;
};

/* A string's number in the file + 1; 0 for NULL. */
uint64_t record_string(struct record_names *r, const char *s);

/* Write what a pc means, unless that was done. */
void record_pc(struct record_names *r, uint64_t pc, bool is_return);

/* A stack's number in the file. */
uint32_t record_stack(struct record_names *r, const struct goro_stack *st, const uint64_t *pcs);

/* Are there new ones? Pack them then. */
bool record_has_names(const struct record_names *r);
void record_pack_names(struct record_names *r, struct packer *p);

void record_names_free(struct record_names *r);

#endif /* GORO_RECORD_NAMES_H */
