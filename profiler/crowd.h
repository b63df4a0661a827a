/* SPDX-License-Identifier: MIT */
/*
 * crowd.h - one goroutine that stands for many, where nobody asks for each.
 *
 * A summary of a million goroutines that wait in one line needs no million records. While they are
 * read, one that differs from an earlier one in nothing that a summary shows, and about which there
 * is nothing to judge, becomes a number in that one's crowd, and its id is kept. So the memory of
 * an observer goes with what there is to tell.
 *
 * Who waits for a lock or for ever, holds locks, is locked to a thread or has a name is never part
 * of a crowd: verdicts are about these, and rest on the ids of all (waitgraph.c).
 *
 * Where each is to be told (JSON, Go's form), what it has to itself is kept of each, 40 bytes: the
 * rest it has in common with the one that stands for it (member.c).
 *
 * Rejected: to write the report while reading, which each format would do anew, and in no order;
 * smaller records for all, which a summary would still need a million of.
 */
#ifndef GORO_CROWD_H
#define GORO_CROWD_H

#include "snapshot.h"

/*
 * The goroutines from index `first` on are complete: let those join crowds that can, and drop those
 * with id 0. What they wait for begins at snap->waits[first_wait].
 */
void crowd_join(struct snapshot_builder *b, size_t first, size_t first_wait);

/*
 * The goroutines are in order, and the objects that they wait for are collected: bring the members
 * in order, too, and the ids, if somebody may ask for them.
 */
void crowd_end(struct snapshot_builder *b);

/* Was there a goroutine of that id, alone or in a crowd? */
bool crowd_has(const struct goro_snapshot *snap, uint64_t id);

#endif /* GORO_CROWD_H */
