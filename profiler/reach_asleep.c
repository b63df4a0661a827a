/* SPDX-License-Identifier: MIT */
/*
 * reach_asleep.c - frames that nobody will use any more, of goroutines that only sleep.
 *
 * What the frames of one that is parked hold counts as if its code would use it. A goroutine whose
 * code does nothing any more but sleep (sleep_loop.h) does not: neither the function that sleeps
 * looks at its own frame again, nor does the runtime below it at anything but registers that
 * nobody wants back. So it is with a main() that sleeps and then returns: who called it only calls
 * exit(), which does not return. The words from the stack pointer up to the caller's are no roots
 * then. They are an object like any: searched once something points into them, such as another
 * goroutine that was given the address of a variable, the goroutine's list of deferred functions,
 * or a jmp_buf. What its callers' frames hold counts as ever.
 *
 * Where the caller's words begin is told by its return address, which the unwinder knows. It must
 * be the only such word on the whole stack: a second one could be what is left of an earlier call,
 * and which of them is in use cannot be seen by looking at it.
 */
#include "reach_run.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "reach_skip.h"
#include "sleep_loop.h"

enum {
	MOST_STACK = 1 << 18, /* bytes of stack to look for a return address in */
	MOST_DEPTH = 8,	      /* frames of the runtime below the one that called it */
};

/* ---- whom an instruction calls -----------------------------------------------------------------
 */

static bool read_at(const struct run *r, uint64_t address, void *to, size_t size)
{
	bool ok = false;

	goro_error_free(target_read_at(r->view->t, address, to, size, &ok));
	return ok;
}

static bool is_sleep_at(void *arg, uint64_t slot)
{
	const struct run *r = arg;
	uint64_t there;

	return read_at(r, slot, &there, sizeof there) && there == r->view->facts->sleep_entry;
}

/* Itself, or a linker's stub that jumps there. */
static bool is_sleep(void *arg, uint64_t address)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa }, jump[] = { 0xff, 0x25 };
	const struct run *r = arg;
	uint8_t stub[11];
	int32_t distance;
	size_t at = 0;

	if (address == r->view->facts->sleep_entry || reach_skips("code"))
		return true;
	if (!read_at(r, address, stub, sizeof stub))
		return false;
	at += memcmp(stub, endbr64, sizeof endbr64) ? 0 : sizeof endbr64;
	at += stub[at] == 0xf2; /* bnd */
	if (memcmp(stub + at, jump, sizeof jump))
		return false;
	at += sizeof jump;
	memcpy(&distance, stub + at, sizeof distance);
	at += sizeof distance;
	return is_sleep_at(arg, address + at + (uint64_t)(int64_t)distance);
}

/* Text of the program that nobody writes to. */
static bool read_text(const struct run *r, const struct target_maps *maps, uint64_t pc,
		      struct sleep_loop_text *ret)
{
	const struct target_map *m = target_maps_find(maps, pc);

	if (!m || !m->executable || m->writable || !m->inode || pc - m->lo < SLEEP_LOOP_BEFORE)
		return false;
	*ret = (struct sleep_loop_text){ .address = pc - SLEEP_LOOP_BEFORE };
	/* Near the map's end there is less of it; no instruction consists of what is missing. */
	return read_at(r, ret->address, ret->bytes,
		       m->hi - ret->address < sizeof ret->bytes ? m->hi - ret->address
								: sizeof ret->bytes);
}

/* Is what returns there main()? Its caller gives exit() the result, and does no more. */
static bool returns_to_exit(const struct run *r, const struct target_maps *maps, uint64_t pc)
{
	static const uint8_t code[] = { 0x89, 0xc7, 0xe8 }; /* mov %eax, %edi; call */
	const uint64_t exit_entry = r->view->facts->exit_entry;
	const struct target_map *m = target_maps_find(maps, pc);
	uint8_t there[sizeof code + 4];
	int32_t distance;

	if (reach_skips("caller"))
		return true;
	if (!exit_entry || !m || !m->executable || m->writable || !m->inode ||
	    !read_at(r, pc, there, sizeof there) || memcmp(there, code, sizeof code))
		return false;
	memcpy(&distance, there + sizeof code, sizeof distance);
	return pc + sizeof there + (uint64_t)(int64_t)distance == exit_entry;
}

/* ---- frames ------------------------------------------------------------------------------------
 */

/* Where on [lo, hi) that word lies, if there is just one; else 0. */
static uint64_t only_word(const struct run *r, uint64_t lo, uint64_t hi, uint64_t word)
{
	const size_t n = hi - lo < MOST_STACK ? (hi - lo) / 8 : 0;
	uint64_t *words = calloc(n + 1, sizeof *words), found = 0;

	if (!words || lo % 8 || !read_at(r, lo, words, n * sizeof *words)) {
		free(words);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		if (words[i] != word)
			continue;
		if (found) {
			found = 0;
			break;
		}
		found = lo + i * 8;
	}
	free(words);
	return found;
}

/* Which frame of a stack calls goro_sleep() and needs nothing of what it has. */
struct sleeper {
	enum { NOT_LOOKED, NO, YES } is;
	uint32_t frame;
};

static struct sleeper find_sleeper(const struct run *r, const struct target_maps *maps,
				   const struct goro_stack *stack)
{
	struct sleep_loop_callee callee = { is_sleep, is_sleep_at, (void *)r, false };
	const uint64_t *pcs = r->view->snap->pcs + stack->first;
	struct sleep_loop_text text;

	if (!stack->complete || stack->by_frame_pointer || stack->caught)
		return (struct sleeper){ .is = NO };
	for (uint32_t i = 0; i < MOST_DEPTH && i + 1 < stack->n; i++) {
		if (!read_text(r, maps, pcs[i], &text))
			continue;
		callee.may_return = returns_to_exit(r, maps, pcs[i + 1]);
		if (sleep_loop(&text, &callee))
			return (struct sleeper){ YES, i };
	}
	return (struct sleeper){ .is = NO };
}

/* Up to where the stack of goroutine g is out of use; 0: it is not. */
static uint64_t find_end(const struct run *r, const struct sleeper *s, size_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];
	const struct goro_stack *stack = &r->view->snap->stacks[info->stack_id];
	const uint64_t above = r->view->snap->pcs[stack->first + s->frame + 1];

	return only_word(r, r->from[g], info->stack_hi, above);
}

static bool may_be(const struct run *r, size_t g, const struct roots *roots)
{
	const struct goro_info *info = &r->view->snap->g[g];

	return info->state == GORO_STATE_WAITING && info->reason == GORO_REASON_SLEEP &&
	       !info->torn && !(info->flags & (GORO_FLAG_SYSTEM | GORO_FLAG_FOREIGN)) &&
	       roots->parked[g] && r->from[g] && r->from[g] == info->sp &&
	       info->stack_id != GORO_NO_STACK;
}

static bool add(struct run *r, size_t g, uint64_t end)
{
	struct frames *bigger = realloc(r->frames, (r->nframes + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	r->frames = bigger;
	/* Its record leads to the lowest of them, where it was left. */
	r->frames[r->nframes++] =
		(struct frames){ .lo = r->from[g] + 8, .hi = end, .g = (uint32_t)g };
	r->from[g] = end;
	return true;
}

bool reach_find_asleep(struct run *r, const struct target_maps *maps, const struct roots *roots)
{
	const struct goro_snapshot *snap = r->view->snap;
	struct sleeper *sleepers;
	bool ok = true;

	if (!r->view->facts->sleep_entry || r->view->facts->machine != EM_X86_64)
		return true;
	sleepers = calloc(snap->nstacks + 1, sizeof *sleepers);
	if (!sleepers)
		return false;
	for (size_t g = 0; g < snap->ng && ok; g++) {
		struct sleeper *s;
		uint64_t end;

		if (!may_be(r, g, roots))
			continue;
		s = &sleepers[snap->g[g].stack_id];
		if (s->is == NOT_LOOKED)
			*s = find_sleeper(r, maps, &snap->stacks[snap->g[g].stack_id]);
		end = s->is == YES ? find_end(r, s, g) : 0;
		ok = !end || add(r, g, end);
	}
	free(sleepers);
	return ok;
}

void reach_mark_frames(struct run *r, uint32_t index)
{
	struct frames *f = &r->frames[index];

	if (f->marked || reach_skips("lent"))
		return;
	f->marked = true;
	reach_push(r, (struct todo){ .kind = ZONE_FRAMES, .index = index });
	reach_wake_watchers(r, f->lo);
}

struct goro_error *reach_search_frames(struct run *r, uint32_t index)
{
	const struct frames *f = &r->frames[index];

	r->here = (struct reach_link){ .kind = REACH_STACK, .id = r->view->snap->g[f->g].id };
	return reach_search_memory(r, f->lo, f->hi);
}
