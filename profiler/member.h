/* SPDX-License-Identifier: MIT */
/*
 * member.h - what one of a crowd has to itself: see crowd.h and struct goro_member.
 */
#ifndef GORO_MEMBER_H
#define GORO_MEMBER_H

#include "profiler.h"

/* Can it be told from a member and from who stands for it? */
bool member_fits(const struct goro_snapshot *snap, const struct goro_info *g);

/* And in the crowd of that one, or one that begins with it? */
bool member_near(const struct goro_snapshot *snap, const struct goro_info *one,
		 const struct goro_info *g);

struct goro_member member_of(const struct goro_info *g, const struct goro_crowd *crowd,
			     uint32_t number);

/* Who is at a place of goro_snapshot_at(): the one that it is like,
 * itself or of its crowd; its id. */
const struct goro_info *member_like(const struct goro_snapshot *snap, uint32_t place);
uint64_t member_id_at(const struct goro_snapshot *snap, uint32_t place);

/* What it waits for, if it waits for one object. */
uint64_t member_wait_object(const struct goro_snapshot *snap, const struct goro_member *m);

/* For order_in_place(). */
uint64_t member_id(const void *snapshot, const void *member);

bool member_exists(const struct goro_snapshot *snap, uint64_t id);

#endif /* GORO_MEMBER_H */
