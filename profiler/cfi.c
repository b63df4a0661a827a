/* SPDX-License-Identifier: MIT */
/*
 * cfi.c - the compiler from .eh_frame or .debug_frame to rows.
 *
 * Two passes: collect the functions and sort them (linkers leave them in order of their sections;
 * cfi_entries.c), then run each one's instructions and write a row wherever the rule changes. Time
 * and memory are linear in the section's size.
 *
 * Of DWARF's expressions two are known, because gcc writes them for each function that aligns its
 * stack and has a size known only at run time: it keeps the CFA in a slot of its frame.
 */
#include "cfi.h"

#include <dwarf.h>
#include <stdlib.h>
#include "cfi_entries.h"

#define MAX_ROWS   (16u << 20)
#define MAX_STATES 16 /* nested DW_CFA_remember_state */

struct compiler {
	struct cfi_functions f;
	struct cfi_table *t;
	size_t cap;
	bool no_memory;
};

enum cfa_how { CFA_REGISTER, CFA_AT_FP, CFA_OTHER };

struct state {
	struct cfi_rule rule;
	enum cfa_how cfa_how;
	uint64_t cfa_reg;
	int64_t cfa_offset;
	bool fp_pushed; /* where the frame pointer is saved has been part of the stack */
};

struct run {
	const struct cfi_machine *m;
	const struct cie *cie;
	struct state now, initial;
	struct state saved[MAX_STATES];
	unsigned nsaved;
	bool bad;
};

#define CFI_OTHER 0x80 /* a register rule that rows cannot say */

/*
 * Behind the pop in an epilogue gcc says of the frame pointer what it said before: that it lies
 * where it was pushed. That is below the stack now, where no copy of the stack has it; but the
 * register has it again. (What was put below the stack without a push, into the red zone, is read
 * there by libunwind.)
 */
static void saved_or_popped(struct run *r, struct cfi_rule *rule)
{
	struct state *s = &r->now;

	if (rule->fp != CFI_SAVED)
		return;
	if (s->cfa_how != CFA_REGISTER || s->cfa_reg != r->m->sp ||
	    rule->fp_offset >= -s->cfa_offset)
		s->fp_pushed = true;
	else
		rule->fp = s->fp_pushed ? CFI_SAME : CFI_OTHER;
	if (rule->fp == CFI_SAME)
		rule->fp_offset = 0;
}

static struct cfi_rule rule_of(struct run *r)
{
	const struct state *s = &r->now;
	struct cfi_rule rule = s->rule;

	saved_or_popped(r, &rule);
	rule.cfa = CFI_COMPLEX;
	rule.cfa_offset = (int32_t)s->cfa_offset;
	if (s->cfa_how == CFA_OTHER || s->cfa_offset != rule.cfa_offset || r->bad ||
	    r->cie->signal || rule.fp > CFI_SAVED_AT_FP || rule.ra > CFI_UNDEFINED)
		return (struct cfi_rule){ .cfa = CFI_COMPLEX };
	if (s->cfa_how == CFA_AT_FP)
		rule.cfa = CFI_AT_FP;
	else if (s->cfa_reg == r->m->sp)
		rule.cfa = CFI_SP;
	else if (s->cfa_reg == r->m->fp)
		rule.cfa = CFI_FP;
	else
		return (struct cfi_rule){ .cfa = CFI_COMPLEX };
	return rule;
}

static void set_reg(struct run *r, uint64_t reg, unsigned how, int64_t offset)
{
	struct cfi_rule *rule = &r->now.rule;

	if (offset != (int32_t)offset)
		how = CFI_OTHER;
	if (reg == r->m->fp) {
		rule->fp = (uint8_t)how;
		r->now.fp_pushed = false;
		rule->fp_offset = how == CFI_SAVED || how == CFI_SAVED_AT_FP ? (int32_t)offset : 0;
	} else if (reg == r->m->ra) {
		rule->ra = (uint8_t)how;
		rule->ra_offset = how == CFI_SAVED ? (int32_t)offset : 0;
	} else if (reg == r->m->sp && how != CFI_SAME) {
		/* The caller's stack pointer is not the CFA. */
		r->now.cfa_how = CFA_OTHER;
	}
}

static void restore_reg(struct run *r, uint64_t reg)
{
	const struct cfi_rule *from = &r->initial.rule;

	if (reg == r->m->fp)
		set_reg(r, reg, from->fp, from->fp_offset);
	else if (reg == r->m->ra)
		set_reg(r, reg, from->ra, from->ra_offset);
}

static int64_t scaled(const struct run *r, uint64_t n)
{
	return (int64_t)(n * (uint64_t)r->cie->data_align);
}

static void def_cfa(struct run *r, uint64_t reg, int64_t offset)
{
	r->now.cfa_how = CFA_REGISTER;
	r->now.cfa_reg = reg;
	r->now.cfa_offset = offset;
}

/* What follows is an expression's length and its operations; the cursor is moved behind them. */
static struct cursor get_expression(struct cursor *c)
{
	uint64_t len = get_uleb(c);
	struct cursor e = { c->p, c->p, false };

	skip(c, len);
	e.end = c->p;
	return e;
}

/* Frame pointer + *offset, with nothing behind it or just a load from there? */
static bool is_fp_offset(const struct run *r, struct cursor e, bool loaded, int64_t *offset)
{
	if (get(&e, 1) != DW_OP_breg0 + r->m->fp)
		return false;
	*offset = get_sleb(&e);
	if (loaded && get(&e, 1) != DW_OP_deref)
		return false;
	return !e.bad && e.p == e.end;
}

static void def_cfa_expression(struct run *r, struct cursor *c)
{
	int64_t offset;

	if (is_fp_offset(r, get_expression(c), true, &offset)) {
		r->now.cfa_how = CFA_AT_FP;
		r->now.cfa_offset = offset;
	} else {
		r->now.cfa_how = CFA_OTHER;
	}
}

static void set_expression(struct run *r, uint64_t reg, struct cursor *c)
{
	int64_t offset;

	if (is_fp_offset(r, get_expression(c), false, &offset) && reg == r->m->fp)
		set_reg(r, reg, CFI_SAVED_AT_FP, offset);
	else
		set_reg(r, reg, CFI_OTHER, 0);
}

/* One instruction that does not move the location; unknown ones end the function's rows. */
static void execute(struct run *r, struct cursor *c, unsigned op)
{
	uint64_t reg;

	switch (op) {
	case DW_CFA_nop:
		break;
	case DW_CFA_offset_extended:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, get_uleb(c)));
		break;
	case DW_CFA_offset_extended_sf:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_GNU_negative_offset_extended:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, -get_uleb(c)));
		break;
	case DW_CFA_restore_extended:
		restore_reg(r, get_uleb(c));
		break;
	case DW_CFA_undefined:
		set_reg(r, get_uleb(c), CFI_UNDEFINED, 0);
		break;
	case DW_CFA_same_value:
		set_reg(r, get_uleb(c), CFI_SAME, 0);
		break;
	case DW_CFA_register:
		reg = get_uleb(c);
		get_uleb(c);
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_val_offset:
	case DW_CFA_val_offset_sf:
		reg = get_uleb(c);
		get_uleb(c);
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_expression:
		reg = get_uleb(c);
		set_expression(r, reg, c);
		break;
	case DW_CFA_val_expression:
		reg = get_uleb(c);
		skip(c, get_uleb(c));
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_remember_state:
		if (r->nsaved == MAX_STATES)
			r->bad = true;
		else
			r->saved[r->nsaved++] = r->now;
		break;
	case DW_CFA_restore_state:
		if (r->nsaved == 0)
			r->bad = true;
		else
			r->now = r->saved[--r->nsaved];
		break;
	case DW_CFA_def_cfa:
		reg = get_uleb(c);
		def_cfa(r, reg, (int64_t)get_uleb(c));
		break;
	case DW_CFA_def_cfa_sf:
		reg = get_uleb(c);
		def_cfa(r, reg, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_def_cfa_register:
		def_cfa(r, get_uleb(c), r->now.cfa_offset);
		break;
	case DW_CFA_def_cfa_offset:
		def_cfa(r, r->now.cfa_reg, (int64_t)get_uleb(c));
		break;
	case DW_CFA_def_cfa_offset_sf:
		def_cfa(r, r->now.cfa_reg, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_def_cfa_expression:
		def_cfa_expression(r, c);
		break;
	case DW_CFA_GNU_args_size:
		get_uleb(c);
		break;
	default:
		r->bad = true;
	}
}

static bool same_rule(const struct cfi_rule *a, const struct cfi_rule *b)
{
	return a->cfa == b->cfa && a->cfa_offset == b->cfa_offset && a->fp == b->fp &&
	       a->fp_offset == b->fp_offset && a->ra == b->ra && a->ra_offset == b->ra_offset;
}

static void add_row(struct compiler *k, uint64_t pc, struct cfi_rule rule)
{
	struct cfi_table *t = k->t;

	pc -= t->base;
	if (pc > UINT32_MAX || t->n >= MAX_ROWS)
		return;
	if (t->n && t->pcs[t->n - 1] >= pc)
		t->n--; /* the same address again: the later rule holds */
	if (t->n && same_rule(&t->rules[t->n - 1], &rule))
		return;
	if (t->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 4096;
		uint32_t *pcs = realloc(t->pcs, cap * sizeof *pcs);
		struct cfi_rule *rules;

		if (pcs)
			t->pcs = pcs;
		rules = realloc(t->rules, cap * sizeof *rules);
		if (rules)
			t->rules = rules;
		if (!pcs || !rules) {
			k->no_memory = true;
			return;
		}
		k->cap = cap;
	}
	t->pcs[t->n] = (uint32_t)pc;
	t->rules[t->n++] = rule;
}

/*
 * Run a program from location `at` up to `end`, writing a row at every step. The head's program
 * runs with at == end: it has no locations.
 */
static void run_program(struct run *r, struct compiler *k, struct cursor c, uint64_t at,
			uint64_t end)
{
	while (c.p < c.end && !r->bad) {
		unsigned op = (unsigned)get(&c, 1), low = op & 0x3f;
		uint64_t delta = 0;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			delta = low;
			break;
		case DW_CFA_offset:
			set_reg(r, low, CFI_SAVED, scaled(r, get_uleb(&c)));
			continue;
		case DW_CFA_restore:
			restore_reg(r, low);
			continue;
		default:
			if (op == DW_CFA_advance_loc1)
				delta = get(&c, 1);
			else if (op == DW_CFA_advance_loc2)
				delta = get(&c, 2);
			else if (op == DW_CFA_advance_loc4)
				delta = get(&c, 4);
			else
				execute(r, &c, op);
		}
		if (c.bad)
			r->bad = true;
		if (!delta || at == end)
			continue;
		add_row(k, at, rule_of(r));
		delta *= r->cie->code_align;
		if (delta >= end - at)
			return;
		at += delta;
	}
	if (at < end)
		add_row(k, at, rule_of(r));
}

static void compile_fde(struct compiler *k, const struct fde *fde, uint64_t end)
{
	struct run r = { .m = k->f.m, .cie = &k->f.cie };

	cfi_parse_cie(&k->f, fde->cie);
	r.now.cfa_how = CFA_OTHER; /* until it is defined */
	r.now.rule.ra = CFI_SAME;
	run_program(&r, k, k->f.cie.program, 0, 0);
	r.initial = r.now;
	r.nsaved = 0;
	run_program(&r, k, fde->program, fde->start, end);
}

static void compile_all(struct compiler *k)
{
	for (size_t i = 0; i < k->f.nfdes && !k->no_memory; i++) {
		uint64_t end = k->f.fdes[i].end;
		bool last = i + 1 == k->f.nfdes;

		if (!last && k->f.fdes[i + 1].start < end)
			end = k->f.fdes[i + 1].start;
		if (end == k->f.fdes[i].start)
			continue;
		compile_fde(k, &k->f.fdes[i], end);
		if (last || k->f.fdes[i + 1].start > end)
			add_row(k, end, (struct cfi_rule){ .cfa = CFI_NONE });
	}
}

struct cfi_table *cfi_compile(const struct cfi_section *s)
{
	struct compiler k = { 0 };

	if (!cfi_functions(&k.f, s))
		return NULL;
	k.t = calloc(1, sizeof *k.t);
	if (k.t) {
		k.t->base = k.f.fdes[0].start;
		compile_all(&k);
	}
	free(k.f.fdes);
	if (k.t && (k.no_memory || k.t->n == 0)) {
		cfi_free(k.t);
		k.t = NULL;
	}
	return k.t;
}

void cfi_free(struct cfi_table *t)
{
	if (!t)
		return;
	free(t->pcs);
	free(t->rules);
	free(t);
}

const struct cfi_rule *cfi_find(const struct cfi_table *t, uint64_t pc)
{
	size_t lo = 0, hi = t->n;
	uint64_t at = pc - t->base;

	if (pc < t->base || at > UINT32_MAX)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->pcs[mid] <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || t->rules[lo - 1].cfa == CFI_NONE)
		return NULL;
	return &t->rules[lo - 1];
}
