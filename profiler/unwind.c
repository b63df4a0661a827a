/* SPDX-License-Identifier: MIT */
/*
 * unwind.c - walking a stack by compiled rows.
 *
 * The stacks of one program have few distinct return addresses (hundreds, where there are a hundred
 * thousand stacks), so nearly every step is answered by a small direct-mapped cache: return
 * address -> rule.
 */
#include "unwind.h"

#include <stdlib.h>
#include <string.h>
#include "cfi.h"

#define CACHE_SIZE (1u << 14)

enum place {
	PLACE_EMPTY = 0, /* no entry */
	PLACE_NOWHERE,	 /* not in executable memory: no return address */
	PLACE_NO_RULE,	 /* code without unwind data */
	PLACE_RULE,
};

struct cached {
	uint64_t pc;
	struct cfi_rule rule;
	uint8_t place; /* enum place */
};

struct unwinder {
	struct target *target;
	struct modules *modules;
	struct unwind_reference *reference; /* made at the first use */
	struct unwind_comparison *comparison;
	size_t unknown;
	struct unwind_result other; /* scratch */
	struct cached cache[CACHE_SIZE];
};

struct unwinder *unwinder_new(struct target *t, struct modules *ms)
{
	struct unwinder *u = calloc(1, sizeof *u);

	if (u) {
		u->target = t;
		u->modules = ms;
	}
	return u;
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	unwind_reference_free(u->reference);
	free(u);
}

void unwinder_modules_changed(struct unwinder *u)
{
	memset(u->cache, 0, sizeof u->cache);
	unwind_reference_free(u->reference);
	u->reference = NULL;
	u->unknown = 0;
}

void unwinder_compare(struct unwinder *u, struct unwind_comparison *c)
{
	u->comparison = c;
}

bool unwinder_compares(const struct unwinder *u)
{
	return u->comparison != NULL;
}

size_t unwinder_unknown(const struct unwinder *u)
{
	return u->unknown;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static struct cfi_table *compile_section(struct module *m, const char *name, bool eh)
{
	struct cfi_section s = { .machine = m->machine, .eh = eh };

	s.data = module_section(m, name, &s.size, &s.address);
	return s.data ? cfi_compile(&s) : NULL;
}

/* A module may have both: code that was compiled without .eh_frame has the other one with -g. */
static const struct cfi_rule *module_rule(struct module *m, uint64_t pc)
{
	const struct cfi_rule *rule = NULL;

	if (!m->eh_frame_tried) {
		m->eh_frame_tried = true;
		m->eh_frame = compile_section(m, ".eh_frame", true);
	}
	if (m->eh_frame)
		rule = cfi_find(m->eh_frame, pc);
	if (rule)
		return rule;
	if (!m->debug_frame_tried) {
		m->debug_frame_tried = true;
		m->debug_frame = compile_section(m, ".debug_frame", false);
	}
	return m->debug_frame ? cfi_find(m->debug_frame, pc) : NULL;
}

/*
 * A return address belongs to the call before it: behind a call that never returns the next
 * function may begin.
 */
static const struct cached *find_rule(struct unwinder *u, uint64_t pc)
{
	struct cached *c = &u->cache[(pc ^ pc >> 14) & (CACHE_SIZE - 1)];
	const struct module_text *text;
	const struct cfi_rule *rule;

	if (c->pc == pc && c->place != PLACE_EMPTY)
		return c;
	c->pc = pc;
	c->place = PLACE_NOWHERE;
	text = modules_find_text(u->modules, pc - 1);
	if (!text) {
		u->unknown++;
		return c;
	}
	c->place = PLACE_NO_RULE;
	rule = text->module ? module_rule(text->module, pc - 1 - text->module->bias) : NULL;
	if (rule) {
		c->place = PLACE_RULE;
		c->rule = *rule;
	}
	return c;
}

/* ---- walking --------------------------------------------------------------------------------- */

enum unwind_status unwind_load(const struct unwind_stack *s, uint64_t address, uint64_t *ret)
{
	if (address < s->sp || address > s->hi || s->hi - address < 8)
		return UNWIND_CANNOT;
	if (address - s->sp > s->len || s->len - (address - s->sp) < 8)
		return UNWIND_MORE;
	memcpy(ret, s->bytes + (address - s->sp), 8);
	return UNWIND_DONE;
}

enum unwind_status unwind_start(const struct unwind_stack *s, uint64_t *pc, uint64_t *sp)
{
	if (s->registers) {
		*pc = s->registers->pc + 1;
		*sp = s->registers->sp;
		return UNWIND_DONE;
	}
	*sp = s->sp + s->layout->saved_size;
	return unwind_load(s, s->sp + s->layout->saved_pc, pc);
}

struct frame {
	uint64_t pc, sp, fp;
};

/*
 * From a frame to its caller. CANNOT: there is no caller to be found here. The stack pointer rises
 * with every step, so that a walk ends.
 */
static enum unwind_status step(const struct unwind_stack *s, const struct cfi_rule *rule,
			       struct frame *f)
{
	uint64_t cfa = (rule->cfa == CFI_SP ? f->sp : f->fp) + (uint64_t)(int64_t)rule->cfa_offset;
	enum unwind_status status;

	if (rule->cfa == CFI_AT_FP) {
		status = unwind_load(s, cfa, &cfa);
		if (status != UNWIND_DONE)
			return status;
	}
	if (cfa <= f->sp || cfa > s->hi)
		return UNWIND_CANNOT;
	status = unwind_load(s, cfa + (uint64_t)(int64_t)rule->ra_offset, &f->pc);
	if (status != UNWIND_DONE)
		return status;
	if (rule->fp == CFI_SAVED || rule->fp == CFI_SAVED_AT_FP) {
		uint64_t base = rule->fp == CFI_SAVED ? cfa : f->fp;

		status = unwind_load(s, base + (uint64_t)(int64_t)rule->fp_offset, &f->fp);
		if (status != UNWIND_DONE)
			return status;
	} else if (rule->fp == CFI_UNDEFINED) {
		f->fp = 0;
	}
	f->sp = cfa;
	return UNWIND_DONE;
}

/* What every function that keeps a frame pointer does, where it lies at the top of the frame. */
static const struct cfi_rule frame_pointer_rule = {
	.cfa = CFI_FP,
	.cfa_offset = 16,
	.fp = CFI_SAVED,
	.fp_offset = -16,
	.ra = CFI_SAVED,
	.ra_offset = -8,
};

enum unwind_status unwind_by_rows(struct unwinder *u, const struct unwind_stack *s, bool guess,
				  struct unwind_result *r)
{
	const struct unwind_layout *layout = s->layout;
	uint16_t saved_fp = layout->saved_reg[layout->frame_pointer];
	struct frame f = { 0 };
	enum unwind_status status;

	r->n = 0;
	r->end_sp = 0;
	r->complete = r->by_frame_pointer = false;
	status = unwind_start(s, &f.pc, &f.sp);
	if (s->registers)
		f.fp = s->registers->reg[layout->frame_pointer];
	else if (status == UNWIND_DONE && saved_fp != 0xffff)
		status = unwind_load(s, s->sp + saved_fp, &f.fp);
	while (status == UNWIND_DONE) {
		const struct cached *c = find_rule(u, f.pc);
		const struct cfi_rule *rule = &c->rule;

		if (c->place == PLACE_NOWHERE || r->n == UNWIND_MAX_FRAMES)
			return UNWIND_DONE;
		r->pcs[r->n++] = f.pc;
		if (f.pc >= layout->entry_lo && f.pc < layout->entry_hi) {
			r->complete = true;
			r->end_sp = f.sp;
			return UNWIND_DONE;
		}
		if (c->place == PLACE_NO_RULE || rule->cfa == CFI_COMPLEX ||
		    (rule->ra == CFI_SAME && r->n > 1)) {
			if (!guess)
				return UNWIND_CANNOT;
			if (c->place == PLACE_RULE || !layout->frame_pointer_is_exact)
				return UNWIND_DONE;
			rule = &frame_pointer_rule;
			r->by_frame_pointer = true;
		}
		if (rule->ra == CFI_UNDEFINED) {
			r->complete = s->main;
			return UNWIND_DONE;
		}
		if (rule->ra != CFI_SAVED)
			return guess ? UNWIND_DONE : UNWIND_CANNOT;
		status = step(s, rule, &f);
	}
	return status == UNWIND_MORE ? UNWIND_MORE : UNWIND_DONE;
}

/* ---- both ------------------------------------------------------------------------------------ */

static enum unwind_status by_libunwind(struct unwinder *u, const struct unwind_stack *s,
				       struct unwind_result *r)
{
	if (!u->reference)
		u->reference = unwind_reference_new(u->target, u->modules);
	if (!u->reference) {
		r->n = 0;
		r->end_sp = 0;
		r->complete = r->by_frame_pointer = false;
		return UNWIND_DONE;
	}
	return unwind_by_libunwind(u->reference, s, r, NULL, 0);
}

unsigned unwind_frames(struct unwinder *u, const struct unwind_stack *s,
		       struct unwind_frame *frames, unsigned most, bool *all)
{
	*all = false;
	if (!u->reference)
		u->reference = unwind_reference_new(u->target, u->modules);
	if (!u->reference)
		return 0;
	unwind_by_libunwind(u->reference, s, &u->other, frames, most);
	*all = u->other.complete && u->other.n <= most;
	return u->other.n < most ? u->other.n : most;
}

static void compare(struct unwinder *u, const struct unwind_stack *s,
		    const struct unwind_result *rows)
{
	struct unwind_comparison *c = u->comparison;

	if (by_libunwind(u, s, &u->other) == UNWIND_MORE)
		return;
	if (u->reference && unwind_reference_lacked_table(u->reference)) {
		c->without_reference++;
		return;
	}
	c->compared++;
	if (rows->n == u->other.n && rows->complete == u->other.complete &&
	    memcmp(rows->pcs, u->other.pcs, rows->n * sizeof *rows->pcs) == 0)
		return;
	c->different++;
	c->rows = *rows;
	c->libunwind = u->other;
}

static enum unwind_status unwind_described(struct unwinder *u, const struct unwind_stack *s,
					   struct unwind_result *r)
{
	enum unwind_status status = unwind_by_rows(u, s, false, r);

	if (status == UNWIND_DONE && u->comparison)
		compare(u, s, r);
	if (status != UNWIND_CANNOT)
		return status;
	if (u->comparison)
		u->comparison->only_libunwind++;
	status = by_libunwind(u, s, r);
	if (status == UNWIND_MORE || r->complete)
		return status;
	/* Neither has data for all of it: take the longer one of what libunwind found and of
	 * what frame pointers say. */
	status = unwind_by_rows(u, s, true, &u->other);
	if (status == UNWIND_MORE)
		return status;
	if (u->other.complete || u->other.n > r->n)
		*r = u->other;
	if (u->comparison && r->by_frame_pointer)
		u->comparison->by_frame_pointer++;
	return UNWIND_DONE;
}

/* ---- caught where there is no data ----------------------------------------------------------- */

static bool has_data(void *arg, uint64_t pc)
{
	return find_rule(arg, pc + 1)->place == PLACE_RULE;
}

/* Where on the stack what it will return to lies. CANNOT: nowhere that is known. */
static enum unwind_status find_return(struct unwinder *u, const struct unwind_stack *s,
				      const struct unwind_leaf *leaf, uint64_t *ret)
{
	const struct cfi_rule *rule;

	*ret = s->sp + (uint64_t)leaf->sp;
	if (leaf->returns)
		return UNWIND_DONE;
	rule = &find_rule(u, leaf->pc + 1)->rule;
	if (rule->cfa != CFI_SP || rule->ra != CFI_SAVED || rule->fp != CFI_SAME)
		return UNWIND_CANNOT;
	*ret += (uint64_t)rule->cfa_offset + (uint64_t)rule->ra_offset;
	return UNWIND_DONE;
}

/*
 * Unwind from where it will be: behind its return, or at the first instruction that has data. The
 * frame that it is in is the first one all the same.
 */
static enum unwind_status unwind_after(struct unwinder *u, const struct unwind_stack *s,
				       const struct unwind_leaf *leaf, struct unwind_result *r)
{
	struct target_registers registers = *s->registers;
	struct unwind_stack later = *s;
	enum unwind_status status;
	uint64_t slot;

	later.registers = &registers;
	registers.pc = leaf->pc;
	if (find_return(u, s, leaf, &slot) == UNWIND_DONE) {
		uint64_t pc;

		status = unwind_load(s, slot, &pc);
		if (status != UNWIND_DONE)
			return status;
		registers.pc = pc - 1; /* as unwind_start() wants it */
		registers.sp = slot + 8;
		later.sp = registers.sp;
		later.bytes += later.sp - s->sp;
		later.len -= later.sp - s->sp;
	} else if (leaf->sp) {
		return UNWIND_CANNOT;
	}
	status = unwind_described(u, &later, r);
	if (status == UNWIND_MORE)
		return status;
	if (later.sp != s->sp) {
		if (r->n == UNWIND_MAX_FRAMES) {
			r->n--;
			r->complete = false;
		}
		memmove(r->pcs + 1, r->pcs, r->n * sizeof *r->pcs);
		r->n++;
	}
	r->pcs[0] = s->registers->pc + 1;
	return UNWIND_DONE;
}

enum unwind_status unwind(struct unwinder *u, const struct unwind_stack *s, struct unwind_result *r)
{
	const struct target_registers *now = s->registers;
	enum unwind_status status = UNWIND_CANNOT;
	struct unwind_leaf leaf;

	if (now && find_rule(u, now->pc + 1)->place == PLACE_NO_RULE) {
		const struct module *m = modules_find_text(u->modules, now->pc)->module;

		if (m && unwind_leaf(u->target, m->machine, now, has_data, u, &leaf))
			status = unwind_after(u, s, &leaf, r);
	}
	return status == UNWIND_CANNOT ? unwind_described(u, s, r) : status;
}
