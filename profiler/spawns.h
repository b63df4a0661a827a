/* SPDX-License-Identifier: MIT */
/*
 * spawns.h - which return addresses are one go statement to whoever reads the source.
 *
 * A compiler that unrolls a loop, or puts a function into several others, makes several calls of
 * one go statement. All of them are one place: the same function, file and line. The first that is
 * seen stands for the others, as long as the scope is there; one without a line is by itself.
 */
#ifndef GORO_SPAWNS_H
#define GORO_SPAWNS_H

#include "profiler.h"

struct spawns;

/*
 * Find out which of a snapshot's spawn_pc are at one place, for goro_snapshot_site(). Each is
 * looked up once in the life of *spawns, which begins as NULL. Out of memory, they stay apart.
 */
void spawns_find(struct spawns **spawns, struct goro_scope *scope, struct goro_snapshot *snap);
void spawns_free(struct spawns *spawns);

#endif /* GORO_SPAWNS_H */
