/* SPDX-License-Identifier: MIT */
/*
 * introspect.c - the contract: this program's half of goro_introspect.h.
 *
 * The tables below are filled from the real structures by the compiler. Nothing else in the runtime
 * writes the contract, but for the counters in it that are state of the scheduler.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chan.h"

/* Contract name -> member. An embedded struct waitq begins with its first waiter. */
#define AT_g_id		    struct g, id
#define AT_g_status	    struct g, state
#define AT_g_flags	    struct g, flags
#define AT_g_park_seq	    struct g, park_seq
#define AT_g_sp		    struct g, sp
#define AT_g_wait_object    struct g, wait_object
#define AT_g_waiting	    struct g, waiting
#define AT_g_park_time	    struct g, since
#define AT_g_stack_lo	    struct g, stack_lo
#define AT_g_stack_hi	    struct g, stack_hi
#define AT_g_spawn_pc	    struct g, spawn_pc
#define AT_g_entry	    struct g, entry
#define AT_g_parent	    struct g, parent
#define AT_g_held_locks	    struct g, held_locks
#define AT_g_m_id	    struct g, m_id
#define AT_g_rlocks	    struct g, rlocks
#define AT_g_rlocks_more    struct g, rlocks_more
#define AT_waiter_g	    struct goro_waiter, g
#define AT_waiter_next	    struct goro_waiter, next
#define AT_waiter_object    struct goro_waiter, object
#define AT_waiter_next_of_g struct goro_waiter, next_of_g
#define AT_waiter_kind	    struct goro_waiter, kind
#define AT_chan_elem_size   struct goro_chan, elem_size
#define AT_chan_cap	    struct goro_chan, cap
#define AT_chan_count	    struct goro_chan, count
#define AT_chan_closed	    struct goro_chan, closed
#define AT_chan_recvq	    struct goro_chan, recvq.first
#define AT_chan_sendq	    struct goro_chan, sendq.first
#define AT_chan_make_pc	    struct goro_chan, make_pc
#define AT_mutex_owner	    goro_mutex, owner_
#define AT_mutex_waitq	    goro_mutex, first_
#define AT_rwmutex_writer   goro_rwmutex, writer_
#define AT_rwmutex_readers  goro_rwmutex, readers_
#define AT_rwmutex_waitq    goro_rwmutex, first_
#define AT_waitgroup_count  goro_waitgroup, count_
#define AT_waitgroup_waitq  goro_waitgroup, first_
#define AT_p_id		    struct p, id
#define AT_p_status	    struct p, status
#define AT_p_m		    struct p, m
#define AT_p_runq_head	    struct p, runq_head
#define AT_p_runq_tail	    struct p, runq_tail
#define AT_p_runnext	    struct p, runnext
#define AT_p_nswitch	    struct p, nswitch
#define AT_p_nspawn	    struct p, nspawn
#define AT_p_nexit	    struct p, nexit
#define AT_p_npark	    struct p, nswitch /* who comes has gone */
#define AT_p_nyield	    struct p, nyield
#define AT_p_nsteal	    struct p, nsteal
#define AT_p_nretake	    struct p, nretake
#define AT_p_nspin	    struct p, nspin
#define AT_p_slices	    struct p, slices
#define AT_p_latencies	    struct p, latencies
#define AT_m_id		    struct m, id
#define AT_m_tid	    struct m, tid
#define AT_m_curg	    struct m, curg
#define AT_tomb_id	    struct tomb, id
#define AT_tomb_spawn_pc    struct tomb, spawn_pc
#define AT_tomb_entry	    struct tomb, entry
#define AT_tomb_parent	    struct tomb, parent
#define AT_tomb_time	    struct tomb, time
#define AT_tomb_locks	    struct tomb, locks
#define AT_tomb_rlocks	    struct tomb, rlocks
#define AT_g_name	    struct g, ext
#define AT_ext_labels	    struct g_ext, labels
#define AT_g_stack_peak	    struct g, stack_peak
#define AT_cond_waitq	    goro_cond, first_
#define AT_sema_waitq	    goro_sema, first_
#define AT_m_stack_lo	    struct m, g0.stack_lo
#define AT_m_stack_hi	    struct m, g0.stack_hi
#define AT_m_sp		    struct m, g0.sp
#define AT_ext_locals	    struct g_ext, locals

#define WHERE(...) WHERE_(__VA_ARGS__)
#define WHERE_(type, member)                                        \
	{                                                           \
		offsetof(type, member), sizeof(((type *)0)->member) \
	}
#define FIELD(s, f, meaning) [GORO_FIELD_##s##_##f] = WHERE(AT_##s##_##f),

_Static_assert(offsetof(struct g, state) % 16 == 0 &&
		       offsetof(struct g, state) / 16 == offsetof(struct g, park_seq) / 16 &&
		       offsetof(struct g, park_seq) < offsetof(struct g, sp) &&
		       offsetof(struct g, park_seq) < offsetof(struct g, wait_object),
	       "what an observer copies later is no older");

static const struct goro_field fields[GORO_NFIELDS] = { GORO_FIELDS(FIELD) };

#define STATE_NAME(id, letter_, name_) [GORO_STATE_##id] = { .name = name_, .letter = letter_ },
#define REASON_NAME(id, letter_, name_, class_) \
	[GORO_REASON_##                         \
		id] = { .name = name_, .letter = letter_, .wait_class = GORO_CLASS_##class_ },

static const struct goro_name state_names[GORO_NSTATES] = { GORO_STATES(STATE_NAME) };
static const struct goro_name reason_names[GORO_NREASONS] = { GORO_REASONS(REASON_NAME) };

GORO_API struct goro_introspect goro_introspect = { .version = GORO_CONTRACT_VERSION };
extern struct goro_introspect goro_contract
	__attribute__((alias("goro_introspect"), visibility("hidden")));

/* How an observer finds it even after strip: a note with the distance to the structure. */
__asm__(".pushsection .note.goro, \"a\", @note\n\t"
	".balign 4\n\t"
	".long 5\n\t" /* size of the owner's name */
	".long 8\n\t" /* size of the descriptor */
	".long 1\n\t" /* GORO_NOTE_TYPE */
	".asciz \"GORO\"\n\t"
	".balign 4\n\t"
	"1: .quad goro_contract - 1b\n\t"
	".popsection");

extern char goro_entry[], goro_entry_end[];

/* Of text_range.h, by the linker; both NULL without it. */
#define TEXT_RANGES __attribute__((weak, visibility("hidden")))
extern const struct goro_text_range __start_goro_text[] TEXT_RANGES;
extern const struct goro_text_range __stop_goro_text[] TEXT_RANGES;

static uint64_t addr(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* For code in this process: see the contract. */
static uint64_t current_g(void)
{
	struct m *mp = getm();

	return mp && !mp->aside ? addr(mp->curg) : 0;
}

typedef uint64_t word_in_bytes __attribute__((may_alias));

void goro_introspect_init(void)
{
	struct goro_introspect *c = &goro_introspect;
	uint64_t cookie;

	c->size = sizeof(*c);
	c->machine = GORO_ELF_MACHINE;
	c->word_size = sizeof(void *);
	c->fields = addr(fields);
	c->state_names = addr(state_names);
	c->reason_names = addr(reason_names);
	c->nfields = GORO_NFIELDS;
	c->nstates = GORO_NSTATES;
	c->nreasons = GORO_NREASONS;
	c->name_size = sizeof(struct goro_name);
	snprintf(c->runtime_version, sizeof(c->runtime_version), "%s", GORO_VERSION);
	c->g_chunks = addr(g_chunks);
	c->g_nchunks_max = G_CHUNKS_MAX;
	c->g_chunk_len = G_CHUNK_LEN;
	c->g_size = sizeof(struct g);
	c->g_nrlocks = G_NRLOCKS;
	c->ps = addr(goro_ps);
	c->ms = addr(goro_ms);
	c->tombs = addr(goro_tombs);
	c->tomb_count = TOMB_MAX;
	c->tomb_size = sizeof(struct tomb);
	c->start_time = (uint64_t)goro_clock_advance();
	memset(c->saved_reg, 0xff, sizeof(c->saved_reg));
#define SAVED(number, reg) c->saved_reg[number] = offsetof(struct switch_frame, reg);
	SWITCH_FRAME_REGS(SAVED)
	c->saved_pc = offsetof(struct switch_frame, pc);
	c->saved_size = sizeof(struct switch_frame);
	c->entry_owner = offsetof(struct stack_owner, record);
	c->p_nbuckets = P_NBUCKETS;
	c->entry_lo = addr(goro_entry);
	c->entry_hi = addr(goro_entry_end);
	c->region_size = sizeof(struct goro_region);
	c->current_g = addr(current_g);
	c->text_ranges = addr(__start_goro_text);
	c->text_range_count = (uint32_t)(__stop_goro_text - __start_goro_text);
	c->text_range_size = sizeof(struct goro_text_range);
	c->sleep_entry = addr(goro_sleep);
	c->exit_entry = addr(exit);
	/* Release: whoever sees the cookie sees all of the above. */
	memcpy(&cookie, GORO_CONTRACT_COOKIE, sizeof(cookie));
	__atomic_store_n((word_in_bytes *)c->cookie, cookie, __ATOMIC_RELEASE);
}

bool goro_is_ours(uintptr_t pc)
{
	const struct goro_text_range *r = (const void *)(uintptr_t)goro_contract.text_ranges;

	for (uint32_t i = 0; i < goro_contract.text_range_count; i++)
		if (pc - r[i].lo < r[i].hi - r[i].lo)
			return true;
	return false;
}
