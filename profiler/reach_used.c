/* SPDX-License-Identifier: MIT */
/*
 * reach_used.c - pointers that are used beside what they point to; see code_use.h.
 *
 * Each frame of a stack has words that its code will use as addresses, as they are or so many bytes
 * beside. The first is what all searching is about. The second is here: for each return address it
 * is known from the code which registers and words of the frame it concerns, and from the unwind
 * data where on the stack a register was saved that others have used since. Both are the same for
 * all that wait at the same place, so it is looked for once for each stack that differs; whether
 * one is like the first is told by the return addresses, which must lie in the same places.
 *
 * Rejected: to search what lies some bytes beside all words of a stack. As far as a struct is long
 * the next object is, so each exact pointer kept its neighbour, and hid what leaked in it.
 */
#include "reach_run.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/user.h>

#include "code_use.h"
#include "goro_introspect.h"
#include "reach_skip.h"
#include "target_sample.h"
#include "unwind.h"

enum {
	MOST_FRAMES = 256,
	MOST_STACK = 1 << 20, /* bytes of one to look at */
	CACHED = 1 << 14,
	FRAME_POINTER = 6, /* as DWARF counts */
};

/* What the code at a return address uses. */
struct point {
	uint64_t pc; /* 0: none */
	bool frame_pointer;
	bool all; /* there are no others */
	size_t n;
	struct code_use *uses;
};

/* A word of a stack, and its index, counted from where the stack was left. */
struct used_word {
	uint32_t at, index_at;
	int32_t factor, beside;
};

struct used_call {
	uint32_t at;
	uint64_t pc;
};

/* Stacks whose frames are the same. */
struct used_stack {
	bool looked;
	bool part; /* what some of it uses is not known */
	struct used_word *words;
	size_t nwords, words_cap;
	struct used_call *calls; /* that must be there, so that the words are where they are */
	size_t ncalls;
};

struct reach_used {
	struct used_stack *stacks; /* by index in the snapshot; NULL: nobody follows this code */
	struct point points[CACHED];
	struct unwind_frame frames[MOST_FRAMES];
	struct target_maps const *maps;
	struct goro_error *err; /* nothing can be read any more */
	uint8_t room[MOST_STACK];
};

bool reach_used_room(struct run *r, const struct target_maps *maps)
{
	if (reach_skips("used"))
		return true;
	r->used = calloc(1, sizeof *r->used);
	if (!r->used)
		return false;
	r->used->maps = maps;
	if (r->view->facts->machine != EM_X86_64 || !r->view->unwinder || reach_skips("machine"))
		return true;
	r->used->stacks = calloc(r->view->snap->nstacks + 1, sizeof *r->used->stacks);
	return r->used->stacks;
}

void reach_used_free(struct run *r)
{
	struct reach_used *u = r->used;

	if (!u)
		return;
	goro_error_free(u->err);
	for (size_t i = 0; u->stacks && i < r->view->snap->nstacks; i++) {
		free(u->stacks[i].words);
		free(u->stacks[i].calls);
	}
	for (size_t i = 0; i < CACHED; i++)
		free(u->points[i].uses);
	free(u->stacks);
	free(u);
}

/* ---- code --------------------------------------------------------------------------------------
 */

/* True: all of it. */
static bool read_at(struct run *r, uint64_t address, void *to, size_t size)
{
	bool ok = false;
	struct goro_error *err = target_read_at(r->view->t, address, to, size, &ok);

	if (r->used->err)
		goro_error_free(err);
	else
		r->used->err = err;
	return ok;
}

struct goro_error *reach_used_error(struct run *r)
{
	struct goro_error *err = r->used ? r->used->err : NULL;

	if (err)
		r->used->err = NULL;
	return err;
}

/* Only what is of a file, or the kernel's: what is written at run time may be anything. */
static size_t read_code(void *arg, uint64_t address, void *to, size_t size)
{
	struct run *r = arg;
	const struct target_map *m = target_maps_find(r->used->maps, address);

	if (!m || !m->executable || m->writable)
		return 0;
	if (size > m->hi - address)
		size = m->hi - address;
	return read_at(r, address, to, size) ? size : 0;
}

static struct point look_at(struct run *r, const struct unwind_frame *f, bool frame_pointer)
{
	struct code_use uses[CODE_USES_MAX];
	const struct code_point code = {
		.pc = f->pc - f->exact,
		.end = f->end,
		.returned = !f->exact,
		.frame_pointer = frame_pointer,
		.read = read_code,
		.arg = r,
	};
	struct point p = { .pc = f->pc, .frame_pointer = frame_pointer };

	p.n = code_uses_x86_64(&code, uses, &p.all);
	p.uses = malloc(p.n * sizeof *p.uses + 1);
	if (!p.uses) {
		r->no_memory = true;
		p.n = 0;
	} else {
		memcpy(p.uses, uses, p.n * sizeof *p.uses);
	}
	return p;
}

/* Does the register that may have it point into the same stack? */
static bool has_frame_pointer(const struct unwind_frame *f, uint64_t hi)
{
	return f->have >> FRAME_POINTER & 1 && f->value[FRAME_POINTER] >= f->sp &&
	       f->value[FRAME_POINTER] < hi;
}

static const struct point *point_of(struct run *r, const struct unwind_frame *f, uint64_t hi)
{
	const bool frame_pointer = has_frame_pointer(f, hi);
	struct point *p = &r->used->points[(f->pc ^ f->pc >> 14 ^ frame_pointer) % CACHED];

	if (p->pc != f->pc || p->frame_pointer != frame_pointer) {
		free(p->uses);
		*p = look_at(r, f, frame_pointer);
	}
	return p;
}

/* ---- stacks ------------------------------------------------------------------------------------
 */

/* Where the word lies; 0: in no memory. */
static uint64_t place_of(const struct unwind_frame *f, const struct code_place *p)
{
	if (p->in == CODE_USE_FRAME)
		return f->sp + (uint64_t)(int64_t)p->slot;
	if (p->in == CODE_USE_FP)
		return f->value[FRAME_POINTER] + (uint64_t)(int64_t)p->slot;
	return f->at[p->in];
}

/* What the code makes of them. */
static uint64_t address_of(uint64_t word, uint64_t index, int32_t factor, int32_t beside)
{
	return word + index * (uint64_t)(int64_t)factor + (uint64_t)(int64_t)beside;
}

static bool add_word(struct used_stack *s, struct used_word word)
{
	if (s->nwords == s->words_cap) {
		size_t cap = s->words_cap ? s->words_cap * 2 : 16;
		struct used_word *bigger = realloc(s->words, cap * sizeof *bigger);

		if (!bigger)
			return false;
		s->words = bigger;
		s->words_cap = cap;
	}
	s->words[s->nwords++] = word;
	return true;
}

/* The frames of a goroutine that was left at sp, of which [sp, sp + len) is there. */
static unsigned find_frames(struct run *r, const struct goro_info *info, const uint8_t *bytes,
			    size_t len, bool *all)
{
	const struct unwind_stack stack = {
		.layout = r->view->layout,
		.sp = info->sp,
		.hi = info->stack_hi,
		.bytes = bytes,
		.len = len,
		.still = r->view->nthreads,
		.main = info->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN),
	};

	return unwind_frames(r->view->unwinder, &stack, r->used->frames, MOST_FRAMES, all);
}

/* In the look without a stop it may only have gone on meanwhile, and then that shows nothing. */
static bool is_of_code(const struct run *r, const struct goro_info *info)
{
	const struct goro_stack *s = &r->view->snap->stacks[info->stack_id];

	return r->view->nthreads || !s->complete || s->n > MOST_FRAMES;
}

static void look_through(struct run *r, struct used_stack *s, const struct goro_info *info,
			 const uint8_t *bytes, size_t len)
{
	const struct unwind_frame *frames = r->used->frames;
	bool ok = true, all;
	const unsigned n = find_frames(r, info, bytes, len, &all);

	s->looked = true;
	s->part = !all && is_of_code(r, info);
	s->calls = calloc(n + 1, sizeof *s->calls);
	for (unsigned i = 0; i < n && s->calls && ok; i++) {
		const struct point *p = point_of(r, &frames[i], info->stack_hi);

		s->part |= !p->all;
		for (size_t k = 0; k < p->n && ok; k++) {
			const struct code_use *use = &p->uses[k];
			const uint64_t at = place_of(&frames[i], &use->word) - info->sp;
			const uint64_t index =
				use->factor ? place_of(&frames[i], &use->index) - info->sp : at;

			if (at < len && index < len)
				ok = add_word(s, (struct used_word){ (uint32_t)at, (uint32_t)index,
								     use->factor, use->beside });
		}
		if (i)
			s->calls[s->ncalls++] =
				(struct used_call){ (uint32_t)(frames[i].sp - 8 - info->sp),
						    frames[i].pc };
	}
	r->no_memory |= !ok || !s->calls;
}

static uint64_t word_at(const uint8_t *bytes, size_t len, uint32_t at)
{
	uint64_t v = 0;

	if (at <= len && len - at >= sizeof v)
		memcpy(&v, bytes + at, sizeof v);
	return v;
}

static bool is_like(const struct used_stack *s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < s->ncalls; i++) {
		if (word_at(bytes, len, s->calls[i].at) != s->calls[i].pc)
			return false;
	}
	return true;
}

static void visit_all(struct run *r, const struct used_stack *s, const struct goro_info *info,
		      const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < s->nwords; i++) {
		const struct used_word *w = &s->words[i];
		const uint64_t v = word_at(bytes, len, w->at);
		const uint64_t index = word_at(bytes, len, w->index_at);

		/* Below are frames that are out of use: see reach_asleep.c. */
		if (v && info->sp + w->at >= r->from[info - r->view->snap->g])
			reach_visit(r, address_of(v, index, w->factor, w->beside),
				    info->sp + w->at);
	}
}

static bool has_frames(const struct run *r, const struct goro_info *info)
{
	return info->stack_id < r->view->snap->nstacks && info->sp >= info->stack_lo &&
	       info->sp < info->stack_hi;
}

/* Else it is a thread's, or has not begun. */
static bool stands(const struct run *r, const struct goro_info *info)
{
	return (info->state == GORO_STATE_WAITING || info->state == GORO_STATE_RUNNABLE) &&
	       !(has_frames(r, info) && r->view->snap->stacks[info->stack_id].caught);
}

/* All words of a stack from `from` on, where its code cannot be followed. stack: these, or NULL. */
static void search_around(struct run *r, const struct goro_info *info, uint64_t from,
			  const uint8_t *stack)
{
	if (stack) {
		reach_search_beside(r, stack, info->stack_hi - from, from);
		return;
	}
	for (uint64_t at = from, len; at < info->stack_hi; at += len) {
		len = info->stack_hi - at < MOST_STACK ? info->stack_hi - at : MOST_STACK;
		if (read_at(r, at, r->used->room, len))
			reach_search_beside(r, r->used->room, len, at);
	}
}

/* stack: as of reach_search_used(). True: its frames are not all known. */
static bool follow(struct run *r, const struct goro_info *info, uint64_t from, const uint8_t *stack)
{
	struct used_stack *s = &r->used->stacks[info->stack_id], own = { 0 };
	const uint8_t *bytes = stack;
	size_t len = info->stack_hi - info->sp;

	if (s->looked && !s->nwords)
		return s->part;
	if (!stack || from != info->sp) {
		len = len < MOST_STACK ? len : MOST_STACK;
		if (!read_at(r, info->sp, r->used->room, len))
			return true;
		bytes = r->used->room;
	}
	if (!s->looked)
		look_through(r, s, info, bytes, len);
	if (is_like(s, bytes, len)) {
		visit_all(r, s, info, bytes, len);
		return s->part;
	}
	look_through(r, &own, info, bytes, len);
	visit_all(r, &own, info, bytes, len);
	free(own.words);
	free(own.calls);
	return own.part;
}

void reach_search_used(struct run *r, uint32_t g, const uint8_t *stack)
{
	const struct goro_info *info = &r->view->snap->g[g];
	const uint64_t from = r->from[g];
	bool around = true;

	/* To read a big stack of one that runs would give it pages that it has not. */
	if (!r->used || (!stack && !r->view->nthreads))
		return;
	if (r->used->stacks && !stands(r, info))
		return;
	if (r->used->stacks)
		around = has_frames(r, info) ? follow(r, info, from, stack) : r->view->nthreads;
	if (around)
		search_around(r, info, from, stack);
}

/* ---- threads -----------------------------------------------------------------------------------
 */

/* As much as there is of what lies from sp on. */
static size_t read_stack(struct run *r, uint64_t sp)
{
	const struct target_map *m = target_maps_find(r->used->maps, sp);
	size_t want = m && m->hi - sp < MOST_STACK ? m->hi - sp : MOST_STACK;

	for (; m && want >= 8; want /= 2) {
		if (read_at(r, sp, r->used->room, want))
			return want;
	}
	return 0;
}

/* Where a thread stands in code that cannot be followed: registers, and what is above. */
static void search_around_thread(struct run *r, const struct target_thread *t)
{
	const struct zone *z = zones_find(&r->zones, t->sp);

	reach_search_beside(r, (const uint8_t *)t->regs, t->nregs * sizeof *t->regs, 0);
	if (!z)
		reach_search_beside(r, r->used->room, read_stack(r, t->sp), t->sp);
	else if (z->kind == ZONE_STACK)
		search_around(r, &r->view->snap->g[z->index], t->sp, NULL);
}

static uint64_t value_of(const struct unwind_stack *stack, const struct unwind_frame *f,
			 const struct code_place *p)
{
	const uint64_t at = place_of(f, p) - stack->sp;

	if (p->in < UNWIND_REGISTERS)
		return f->have >> p->in & 1 ? f->value[p->in] : 0;
	return at < stack->len ? word_at(stack->bytes, stack->len, (uint32_t)at) : 0;
}

/* False: there may be others. */
static bool visit_uses(struct run *r, const struct unwind_stack *stack,
		       const struct unwind_frame *f)
{
	const struct point *p = point_of(r, f, stack->hi);

	for (size_t k = 0; k < p->n; k++) {
		const struct code_use *use = &p->uses[k];
		const uint64_t v = value_of(stack, f, &use->word);
		const uint64_t index = use->factor ? value_of(stack, f, &use->index) : 0;

		if (v)
			reach_visit(r, address_of(v, index, use->factor, use->beside), 0);
	}
	return p->all;
}

/* It has not run yet: in the call that made it, and nobody has called anything on its stack. */
static bool is_newborn(const struct target_thread *t, const struct target_registers *registers)
{
	enum { X86_CLONE = 56, X86_CLONE3 = 435, X86_RAX = 0 /* as DWARF counts */ };

	return (t->syscall == X86_CLONE || t->syscall == X86_CLONE3) && !registers->reg[X86_RAX];
}

/* False: what some of it uses is not known. */
static bool follow_thread(struct run *r, const struct target_thread *t)
{
	struct target_registers registers;
	struct unwind_stack stack = { .registers = &registers, .still = true, .main = true };
	bool all = false;
	unsigned n;

	registers_from_user((const struct user_regs_struct *)t->regs, &registers);
	stack.layout = r->view->layout;
	stack.sp = registers.sp;
	stack.bytes = r->used->room;
	stack.len = read_stack(r, stack.sp);
	stack.hi = stack.sp + stack.len;
	n = stack.len ? unwind_frames(r->view->unwinder, &stack, r->used->frames, MOST_FRAMES, &all)
		      : 0;
	all |= is_newborn(t, &registers);
	for (unsigned i = 0; i < n; i++)
		all &= visit_uses(r, &stack, &r->used->frames[i]);
	return all;
}

void reach_search_used_by(struct run *r, const struct target_thread *t)
{
	if (!r->used || !t->sp)
		return;
	if (!r->used->stacks || t->nregs * sizeof *t->regs < sizeof(struct user_regs_struct) ||
	    !follow_thread(r, t))
		search_around_thread(r, t);
}
