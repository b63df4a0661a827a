/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_record.c - what one record says.
 */
#include "reader_goro_scan.h"

#include <string.h>

void scan_find_plain(struct scan *s)
{
	const struct contract *c = &s->r->contract;

	for (unsigned i = 0; i < GORO_NFIELDS; i++) {
		const struct goro_field *f = &c->fields[i];

		if (f->size && f->size <= 8 && (uint64_t)f->offset + 8 <= c->raw.g_size)
			s->plain[i] = (struct plain){ UINT64_MAX >> (64 - 8 * f->size), f->offset };
	}
}

static char letter_of(unsigned state, unsigned reason, const struct goro_name *names)
{
#define STATE_LETTER(id, letter, name) letter,
	static const char letters[] = { GORO_STATES(STATE_LETTER) };
#undef STATE_LETTER

	if (state == GORO_STATE_WAITING && reason && names[reason].letter)
		return (char)names[reason].letter;
	return state < sizeof letters ? letters[state] : '?';
}

void scan_decode(const struct scan *s, const uint8_t *rec, uint64_t address, struct goro_info *g)
{
#define REASON_CLASS(id, letter, name, class) GORO_CLASS_##class,
	static const uint8_t classes[] = { GORO_REASONS(REASON_CLASS) };
#undef REASON_CLASS
	const struct goro_name *names = s->r->contract.reasons;
	uint32_t status = (uint32_t)scan_get(s, rec, GORO_FIELD_g_status);
	uint64_t since = GORO_SINCE(scan_get(s, rec, GORO_FIELD_g_park_time));

	*g = (struct goro_info){
		.id = scan_get(s, rec, GORO_FIELD_g_id),
		.parent = scan_get(s, rec, GORO_FIELD_g_parent),
		.spawn_pc = scan_get(s, rec, GORO_FIELD_g_spawn_pc),
		.entry = scan_get(s, rec, GORO_FIELD_g_entry),
		.record = address,
		.ext = scan_get(s, rec, GORO_FIELD_g_name),
		.state = (uint8_t)GORO_STATUS_STATE(status),
		.reason = (uint8_t)GORO_STATUS_REASON(status),
		.flags = (uint8_t)scan_get(s, rec, GORO_FIELD_g_flags),
		.park_seq = (uint32_t)scan_get(s, rec, GORO_FIELD_g_park_seq),
		.sp = scan_get(s, rec, GORO_FIELD_g_sp),
		.stack_lo = scan_get(s, rec, GORO_FIELD_g_stack_lo),
		.stack_hi = scan_get(s, rec, GORO_FIELD_g_stack_hi),
		.stack_peak = scan_get(s, rec, GORO_FIELD_g_stack_peak) * 4096,
		.wait_ns = since && since < s->now ? s->now - since : 0,
		.held_locks = (uint32_t)scan_get(s, rec, GORO_FIELD_g_held_locks),
		.rlocks_more = (uint32_t)scan_get(s, rec, GORO_FIELD_g_rlocks_more),
		.m_id = GORO_WORKER((uint32_t)scan_get(s, rec, GORO_FIELD_g_m_id)),
		.labelled = scan_get(s, rec, GORO_FIELD_g_name) != 0,
		.stack_id = GORO_NO_STACK,
		.finding = UINT32_MAX,
	};
	if (g->state == GORO_STATE_WAITING) {
		g->wait_object = scan_get(s, rec, GORO_FIELD_g_wait_object);
		g->wait_class = g->reason < GORO_NREASONS ? classes[g->reason]
							  : names[g->reason].wait_class;
	}
	s->b->named |= g->ext != 0;
	g->letter = letter_of(g->state, g->reason, names);
}

bool scan_is_there(const struct goro_info *g)
{
	return g->id && g->state != GORO_STATE_FREE && g->state != GORO_STATE_DEAD &&
	       g->state < GORO_NSTATES;
}

void scan_find_stack_end(const struct scan *s, struct goro_info *g)
{
	const struct target_map *map;

	if (!(g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN)) ||
	    (g->sp >= g->stack_lo && g->sp < g->stack_hi))
		return;
	map = target_maps_find(&s->r->modules->maps, g->sp);
	if (map && map->writable) {
		g->stack_lo = map->lo;
		g->stack_hi = map->hi;
	}
}

bool scan_has_stack(const struct scan *s, const struct goro_info *g)
{
	return (g->state == GORO_STATE_WAITING || g->state == GORO_STATE_RUNNABLE) &&
	       g->sp >= g->stack_lo && g->sp < g->stack_hi && g->sp % 8 == 0 &&
	       g->stack_hi - g->sp >= s->r->contract.raw.saved_size;
}

bool scan_moved(const struct scan *s, const uint8_t *a, const uint8_t *b)
{
	static const enum goro_field_id fields[] = {
		GORO_FIELD_g_id,
		GORO_FIELD_g_status,
		GORO_FIELD_g_park_seq,
		GORO_FIELD_g_sp,
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (scan_get(s, a, fields[i]) != scan_get(s, b, fields[i]))
			return true;
	}
	return false;
}

void scan_add_rlocks(struct scan *s, uint32_t g, const uint8_t *rec)
{
	const struct contract *c = &s->r->contract;
	size_t at = c->fields[GORO_FIELD_g_rlocks].offset;

	if (!c->fields[GORO_FIELD_g_rlocks].size)
		return;
	for (size_t i = 0; i < c->raw.g_nrlocks && at + 8 <= c->raw.g_size; i++, at += 8) {
		uint64_t rwmutex;

		memcpy(&rwmutex, rec + at, sizeof rwmutex);
		if (rwmutex)
			snapshot_add_rlock(s->b, g, rwmutex);
	}
}
