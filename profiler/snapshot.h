/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - building a snapshot.
 *
 * A reader hands over one goroutine after the other; the builder unwinds its stack at once, while
 * the copied bytes are still in the processor's cache, and keeps only the frames. Equal stacks are
 * stored once. Nothing is allocated per goroutine: everything lies in arrays that double.
 */
#ifndef GORO_SNAPSHOT_H
#define GORO_SNAPSHOT_H

#include "profiler.h"
#include "snapshot_home.h"
#include "unwind.h"

struct snapshot_builder {
	struct goro_snapshot *snap;
	struct unwinder *unwinder;
	size_t g_cap, waits_cap, rlocks_cap, stacks_cap, pcs_cap, procs_cap, tombs_cap;
	uint32_t *stack_table; /* open-addressed: hash of pcs -> stack id + 1 */
	size_t stack_table_size;
	bool summarize;	       /* see crowd.h */
	uint32_t *crowd_table; /* open-addressed: hash of what a crowd has in common -> index + 1 */
	size_t crowd_table_size, crowd_table_used, crowds_cap, crowd_ids_cap, members_cap;
	bool members;		     /* keep them */
	bool objects;		     /* and what they wait for */
	bool thrifty;		     /* all that if there are many */
	bool confirm;		     /* but nobody will tell of this look's members */
	const struct proved *proved; /* those are in no crowd either; or NULL */
	uint64_t single_out;	     /* never part of a crowd */
	bool named;		     /* some goroutine has a name or labels */
	bool counted;		     /* snap->torn is right */
	bool no_memory;		     /* some array could not grow; freeze reports it */
	struct unwind_result result; /* scratch: too big for the stack of a thread */
};

/* False: out of memory. */
bool snapshot_begin(struct snapshot_builder *b, struct unwinder *unwinder);

/*
 * Go on with a snapshot that has a past: with its goroutines, what they wait for, stacks and
 * objects. Everything else starts anew.
 */
void snapshot_continue(struct snapshot_builder *b, struct goro_snapshot *old);

/* Make room for so many more goroutines at once. */
void snapshot_expect(struct snapshot_builder *b, size_t ng);

/* Add a goroutine; its index, or UINT32_MAX. id 0 marks one that freeze leaves out. */
uint32_t snapshot_add_g(struct snapshot_builder *b, const struct goro_info *g);

/* One more object that g waits for; calls for one goroutine come without others in between. */
void snapshot_add_wait(struct snapshot_builder *b, uint32_t g, const struct goro_wait *w);
/* One more rwmutex that g holds for reading; likewise. */
void snapshot_add_rlock(struct snapshot_builder *b, uint32_t g, uint64_t rwmutex);

/* Unwind g's stack and set its stack_id. UNWIND_MORE: call again with more bytes. */
enum unwind_status snapshot_add_stack(struct snapshot_builder *b, uint32_t g,
				      const struct unwind_stack *s);

/* The id of a stack that was unwound before: only n, complete and by_frame_pointer of st count. */
uint32_t snapshot_intern_stack(struct snapshot_builder *b, const struct goro_stack *st,
			       const uint64_t *pcs);

/* Its number, from 1 on; 0: out of memory. */
uint32_t snapshot_add_crowd(struct snapshot_builder *b, const struct goro_crowd *crowd);
void snapshot_add_crowd_id(struct snapshot_builder *b, uint64_t id);
void snapshot_add_member(struct snapshot_builder *b, const struct goro_member *m);

void snapshot_add_proc(struct snapshot_builder *b, const struct goro_proc *p);
void snapshot_add_tomb(struct snapshot_builder *b, const struct goro_tomb *t);

/* Bring the goroutines in order and drop those with id 0 and those whose id occurs twice. */
void snapshot_sort(struct snapshot_builder *b);

/*
 * The same where the goroutines up to index n are in order already, but for those with id 0. to[i]
 * becomes the new index of what was i, or UINT32_MAX. False: they were not in order, or two had one
 * id; they are sorted, and to[] says nothing.
 */
bool snapshot_merge(struct snapshot_builder *b, size_t n, uint32_t *to);

/*
 * Make the table of the objects that are waited for, without contents: sorted, each one once. What
 * those with id 0 wait for does not count. What members wait for counts if b->objects; then all are
 * in order.
 */
void snapshot_collect_objects(struct snapshot_builder *b);

/* Is it something that has a place in that table? */
bool snapshot_is_object(const struct goro_wait *w);

/* End. Returns the snapshot, or NULL: out of memory. The builder is empty then. */
struct goro_snapshot *snapshot_freeze(struct snapshot_builder *b);
void snapshot_abandon(struct snapshot_builder *b);

#endif /* GORO_SNAPSHOT_H */
