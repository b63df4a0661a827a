/* SPDX-License-Identifier: MIT */
/*
 * code_use_x86_64.c - see code_use.h.
 *
 * A way is a state: for each register of which words it was made, if it was. Instructions that are
 * not known here may do what they like with the registers that they write, which are nothing's
 * then; and memory that they take is used.
 *
 * Rejected: a decoder of our own, as sleep_loop_x86_64.c has one. That knows a handful of
 * instructions and gives up at others; here every one has to be gone past.
 */
#include "code_use.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>

#include "code_value.h"
#include "code_ways.h"

enum { RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, NREGS = 16 };

enum {
	MOST_STEPS = 16000, /* instructions */
	MOST_BEHIND = 1000, /* of them behind a jump by a table */
	MOST_WAYS = 1024,   /* that wait to be followed */
	MOST_WORDS = 48,    /* registers, and words of the frame */
	MOST_STORED = 24,
	TEXT = 512, /* bytes of code read at a time */
	LONGEST = ZYDIS_MAX_INSTRUCTION_LENGTH,
	NOTHING = CODE_NOTHING,
};

struct stored {
	struct code_place slot;
	struct code_value value;
};

struct way {
	uint64_t pc;
	int64_t sp; /* from where it was at first */
	struct code_value reg[NREGS];
	struct stored stored[MOST_STORED]; /* what it put into its frame, the last ones */
	unsigned nstored;
	uint64_t used; /* bits of words */
};

struct walk {
	const struct code_point *point;
	struct code_use *ret;
	size_t n;
	ZydisDecoder decoder;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct code_place slots[MOST_WORDS]; /* of the words that are no registers */
	int16_t nwords;
	struct way todo[MOST_WAYS];
	unsigned ntodo, steps;
	struct code_facts facts;
	bool more; /* there are ways, or words, that were not followed */
	uint8_t text[TEXT];
	uint64_t text_at;
	size_t text_size;
};

/* ---- registers --------------------------------------------------------------------------------
 */

/* DWARF's number of a register or a part of one; else NOTHING. */
static int number(ZydisRegister reg)
{
	static const int8_t numbers[NREGS] = { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
					       8,   9,	 10,  11,  12,	13,  14,  15 };
	const ZydisRegister all = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (ZydisRegisterGetClass(all) != ZYDIS_REGCLASS_GPR64)
		return NOTHING;
	return numbers[ZydisRegisterGetId(all)];
}

/* Its number, if it is one that can have a pointer; else NOTHING. */
static int whole(ZydisRegister reg)
{
	return ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR64 ? number(reg) : NOTHING;
}

static void clobber(struct way *w, ZydisRegister reg)
{
	const int r = number(reg);

	if (r >= 0 && r != RSP)
		w->reg[r] = code_nothing;
}

/* ---- words ------------------------------------------------------------------------------------
 */

static bool is_at(const struct stored *s, struct code_place slot)
{
	return s->slot.in == slot.in && s->slot.slot == slot.slot;
}

/* The word of the frame there. */
static struct code_value load(struct walk *k, const struct way *w, struct code_place slot)
{
	int16_t i;

	for (unsigned s = 0; s < w->nstored; s++) {
		if (is_at(&w->stored[s], slot))
			return w->stored[s].value;
	}
	for (i = NREGS; i < k->nwords; i++) {
		if (k->slots[i].in == slot.in && k->slots[i].slot == slot.slot)
			break;
	}
	k->more |= i == MOST_WORDS;
	if (i == MOST_WORDS || w->used >> i & 1)
		return code_nothing;
	k->slots[i] = slot;
	k->nwords += i == k->nwords;
	return code_word(i);
}

/* Where it is stored, or can be: rather forget that something was overwritten than a word. */
static unsigned place_for(struct walk *k, const struct way *w, struct code_place slot)
{
	unsigned forget = MOST_STORED;

	for (unsigned s = 0; s < w->nstored; s++) {
		if (is_at(&w->stored[s], slot))
			return s;
		if (w->stored[s].value.word == NOTHING)
			forget = s;
	}
	if (w->nstored < MOST_STORED)
		return w->nstored;
	k->more |= forget == MOST_STORED;
	return forget % MOST_STORED;
}

static void store(struct walk *k, struct way *w, struct code_place slot, struct code_value value)
{
	const unsigned s = place_for(k, w, slot);

	w->nstored += s == w->nstored;
	w->stored[s] = (struct stored){ slot, value };
}

static const struct code_place nowhere;

static bool is_same_place(const struct code_place *a, const struct code_place *b)
{
	return a->in == b->in && a->slot == b->slot;
}

static bool is_same(const struct code_use *a, const struct code_use *b)
{
	return is_same_place(&a->word, &b->word) && is_same_place(&a->index, &b->index) &&
	       a->factor == b->factor && a->beside == b->beside;
}

/* It is used, so nothing else has to be known of its word. */
static void use(struct walk *k, struct way *w, struct code_value v)
{
	const bool beside = code_is_beside(v) && v.beside == (int32_t)v.beside;
	const struct code_use found = {
		.word = v.word == NOTHING ? nowhere : k->slots[v.word],
		.index = v.index == NOTHING ? nowhere : k->slots[v.index],
		.factor = v.index == NOTHING ? 0 : v.factor,
		.beside = (int32_t)v.beside,
	};

	if (v.word == NOTHING)
		return;
	w->used |= UINT64_C(1) << v.word;
	for (unsigned r = 0; r < NREGS; r++) {
		if (w->reg[r].word == v.word)
			w->reg[r] = code_nothing;
	}
	for (unsigned s = 0; s < w->nstored; s++) {
		if (w->stored[s].value.word == v.word)
			w->stored[s].value = code_nothing;
	}
	for (size_t i = 0; i < k->n && beside; i++) {
		if (is_same(&k->ret[i], &found))
			return;
	}
	k->more |= beside && k->n == CODE_USES_MAX;
	if (beside && k->n < CODE_USES_MAX)
		k->ret[k->n++] = found;
}

/* ---- operands ---------------------------------------------------------------------------------
 */

static bool is_memory(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool is_register(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* It is not the address that it looks like. */
static bool has_segment(const ZydisDecodedOperand *op)
{
	return op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS;
}

static struct code_value value_of(const struct way *w, ZydisRegister reg)
{
	const int r = whole(reg);

	return r < 0 || r == RSP ? code_nothing : w->reg[r];
}

/* Is it a word of the frame, by itself? */
static bool is_slot(const struct walk *k, const struct way *w, const ZydisDecodedOperand *op,
		    struct code_place *ret)
{
	const int base = is_memory(op) ? whole(op->mem.base) : NOTHING;
	const bool by_fp = base == RBP && k->point->frame_pointer;

	if ((base != RSP && !by_fp) || op->mem.index != ZYDIS_REGISTER_NONE)
		return false;
	*ret = (struct code_place){ by_fp ? CODE_USE_FP : CODE_USE_FRAME,
				    (int32_t)(op->mem.disp.value + (by_fp ? 0 : w->sp)) };
	return true;
}

static bool is_frame(const struct walk *k, ZydisRegister reg)
{
	const int r = whole(reg);

	return r == RSP || (r == RBP && k->point->frame_pointer);
}

static struct code_value base_of(const struct walk *k, const struct way *w,
				 const ZydisDecodedOperand *op)
{
	return is_frame(k, op->mem.base) ? code_nothing : value_of(w, op->mem.base);
}

static struct code_value index_of(const struct way *w, const ZydisDecodedOperand *op)
{
	return code_times(value_of(w, op->mem.index), op->mem.scale);
}

static struct code_value address_of(const struct walk *k, const struct way *w,
				    const ZydisDecodedOperand *op)
{
	if (is_frame(k, op->mem.base) || has_segment(op))
		return code_nothing;
	return code_add(code_sum(base_of(k, w, op), index_of(w, op)), op->mem.disp.value);
}

/* Memory that is read or written. */
static void touch(struct walk *k, struct way *w, const ZydisDecodedOperand *op)
{
	const struct code_value base = base_of(k, w, op), index = index_of(w, op);

	if (has_segment(op))
		return;
	use(k, w, code_add(code_sum(base, index), op->mem.disp.value));
	/* Either of two may be the pointer. */
	if (base.word != NOTHING && index.word != NOTHING && index.index == NOTHING)
		use(k, w, code_add(code_sum(index, base), op->mem.disp.value));
}

/* ---- ways -------------------------------------------------------------------------------------
 */

/* A place that has a word: so that no two are the same, and none is 0. */
static uint64_t place_of(unsigned in, int64_t at)
{
	return code_mix(in + 1, (uint64_t)at);
}

/* Nobody has used the word of the frame, and it is where it was. */
static bool is_untouched(const struct walk *k, const struct way *w, int word)
{
	if (w->used >> word & 1)
		return false;
	for (unsigned s = 0; s < w->nstored; s++) {
		if (is_at(&w->stored[s], k->slots[word]))
			return false;
	}
	return true;
}

static bool add_fact(struct walk *k, uint64_t where, struct code_value v)
{
	const uint64_t words = (uint64_t)(uint16_t)v.word << 16 | (uint16_t)v.index;

	/* In a loop the factor may grow as the bytes do. */
	return code_is_known(v) &&
	       code_facts_add(&k->facts, code_mix(where, words),
			      v.beside ^ (int64_t)((uint64_t)(uint32_t)v.factor << 32));
}

/* Something is there that was not there yet. */
static bool is_new(struct walk *k, const struct way *w)
{
	const uint64_t here = code_mix(w->pc, (uint64_t)w->sp);
	bool any = code_facts_add(&k->facts, here, 0);

	for (unsigned r = 0; r < NREGS; r++)
		any |= add_fact(k, code_mix(here, place_of(r, 0)), w->reg[r]);
	for (unsigned s = 0; s < w->nstored; s++) {
		const struct code_place *p = &w->stored[s].slot;

		any |= add_fact(k, code_mix(here, place_of(p->in, p->slot)), w->stored[s].value);
	}
	for (int i = NREGS; i < k->nwords; i++) {
		if (is_untouched(k, w, i))
			any |= code_facts_add(&k->facts, code_mix(here, place_of(NREGS, i)), 0);
	}
	return any;
}

static void fork_to(struct walk *k, const struct way *w, uint64_t pc)
{
	k->more |= k->ntodo == MOST_WAYS;
	if (k->ntodo == MOST_WAYS)
		return;
	k->todo[k->ntodo] = *w;
	k->todo[k->ntodo++].pc = pc;
}

static bool decode(struct walk *k, uint64_t pc)
{
	const uint8_t *code;
	size_t left;

	if (pc < k->text_at || pc - k->text_at + LONGEST > k->text_size) {
		k->text_at = pc;
		k->text_size = k->point->read(k->point->arg, pc, k->text, sizeof k->text);
	}
	code = k->text + (pc - k->text_at);
	left = k->text_size - (pc - k->text_at);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&k->decoder, code, left, &k->insn, k->ops));
}

/* Who is called, or jumped to, uses what it is given. */
static void give(struct walk *k, struct way *w)
{
	static const uint8_t given[] = { RDI, RSI, RDX, RCX, 8, 9 };

	for (size_t i = 0; i < sizeof given; i++) {
		if (code_is_beside(w->reg[given[i]]))
			use(k, w, w->reg[given[i]]);
	}
}

static void called(struct way *w)
{
	static const uint8_t lost[] = { RAX, RDX, RCX, RSI, RDI, 8, 9, 10, 11 };

	for (size_t i = 0; i < sizeof lost; i++)
		w->reg[lost[i]] = code_nothing;
}

/* ---- instructions -----------------------------------------------------------------------------
 */

/* All that is not known better. */
static void other(struct walk *k, struct way *w)
{
	struct code_place slot;

	for (unsigned i = 0; i < k->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &k->ops[i];

		if (is_memory(op) && !is_slot(k, w, op, &slot))
			touch(k, w, op);
		else if (is_memory(op) && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			store(k, w, slot, code_nothing);
	}
	for (unsigned i = 0; i < k->insn.operand_count; i++) {
		if (is_register(&k->ops[i]) && k->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			clobber(w, k->ops[i].reg.value);
	}
}

static void move(struct walk *k, struct way *w)
{
	const ZydisDecodedOperand *to = &k->ops[0], *from = &k->ops[1];
	struct code_value v = code_nothing;
	struct code_place slot;

	if (to->size != 64) {
		other(k, w);
		return;
	}
	if (is_memory(from)) {
		if (is_slot(k, w, from, &slot))
			v = load(k, w, slot);
		else
			touch(k, w, from);
	} else if (is_register(from)) {
		v = value_of(w, from->reg.value);
	}
	if (is_register(to) && whole(to->reg.value) >= 0) {
		clobber(w, to->reg.value);
		if (whole(to->reg.value) != RSP)
			w->reg[whole(to->reg.value)] = v;
	} else if (is_memory(to) && is_slot(k, w, to, &slot)) {
		store(k, w, slot, v);
	} else if (is_memory(to)) {
		touch(k, w, to);
		/* Somebody else may have it now. */
		if (code_is_beside(v))
			use(k, w, v);
	}
}

/* A register's, or a word of the frame's. */
static bool operand_value(struct walk *k, struct way *w, const ZydisDecodedOperand *op,
			  struct code_value *ret)
{
	struct code_place slot;

	if (is_register(op))
		*ret = value_of(w, op->reg.value);
	else if (is_memory(op) && op->size == 64 && is_slot(k, w, op, &slot))
		*ret = load(k, w, slot);
	else
		return false;
	return true;
}

/* add, sub, inc, dec */
static void step(struct walk *k, struct way *w, int sign)
{
	const ZydisDecodedOperand *to = &k->ops[0], *by = &k->ops[1];
	const bool one = k->insn.operand_count_visible == 1;
	const bool constant = one || by->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	const int64_t n = sign * (constant && !one ? by->imm.value.s : 1);
	const int r = is_register(to) ? whole(to->reg.value) : NOTHING;
	struct code_value with;
	struct code_place slot;

	if (is_memory(to) && to->size == 64 && constant && is_slot(k, w, to, &slot)) {
		store(k, w, slot, code_add(load(k, w, slot), n));
	} else if (r == RSP && constant) {
		w->sp = code_plus(w->sp, n);
	} else if (r >= 0 && r != RSP && constant) {
		w->reg[r] = code_add(w->reg[r], n);
	} else if (r >= 0 && r != RSP && operand_value(k, w, by, &with)) {
		/* Between two pointers, probably. */
		if (sign < 0 && with.word != NOTHING)
			w->reg[r] = code_nothing;
		else
			w->reg[r] = code_sum(w->reg[r], code_times(with, sign));
	} else {
		other(k, w);
	}
}

/* shl and imul, by a constant */
static void multiply(struct walk *k, struct way *w)
{
	const bool shift = k->insn.mnemonic != ZYDIS_MNEMONIC_IMUL;
	const ZydisDecodedOperand *to = &k->ops[0], *by = &k->ops[shift ? 1 : 2];
	const int r = is_register(to) ? whole(to->reg.value) : NOTHING;
	struct code_value v;

	if (r < 0 || r == RSP || k->insn.operand_count_visible != (shift ? 2 : 3) ||
	    by->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || (shift && by->imm.value.u > 30) ||
	    !operand_value(k, w, &k->ops[shift ? 0 : 1], &v))
		other(k, w);
	else
		w->reg[r] = code_times(v, shift ? INT64_C(1) << by->imm.value.u : by->imm.value.s);
}

static void compute_address(struct walk *k, struct way *w)
{
	const int r = whole(k->ops[0].reg.value);

	if (r == RSP && whole(k->ops[1].mem.base) == RSP)
		w->sp = code_plus(w->sp, k->ops[1].mem.disp.value);
	else if (r >= 0 && r != RSP)
		w->reg[r] = address_of(k, w, &k->ops[1]);
	else
		clobber(w, k->ops[0].reg.value);
}

static void push(struct walk *k, struct way *w)
{
	const ZydisDecodedOperand *op = &k->ops[0];
	struct code_place slot;
	struct code_value v = code_nothing;

	if (is_register(op))
		v = value_of(w, op->reg.value);
	else if (is_memory(op) && is_slot(k, w, op, &slot))
		v = load(k, w, slot);
	else if (is_memory(op))
		touch(k, w, op);
	w->sp = code_plus(w->sp, -8);
	store(k, w, (struct code_place){ CODE_USE_FRAME, (int32_t)w->sp }, v);
}

/* Either of two. */
static void choose(struct walk *k, struct way *w)
{
	fork_to(k, w, w->pc);
	move(k, w);
}

static bool falls_through(const struct walk *k)
{
	return k->insn.meta.category != ZYDIS_CATEGORY_UNCOND_BR &&
	       k->insn.meta.category != ZYDIS_CATEGORY_RET;
}

/*
 * By a table: to anywhere behind it in the function, where the way from the instruction before does
 * not lead. (To what lies before it ways of a loop lead, too.)
 */
static void scatter(struct walk *k, const struct way *w)
{
	bool falls = false;
	unsigned n = 0;
	uint64_t pc;

	for (pc = w->pc; pc < k->point->end && n++ < MOST_BEHIND && k->steps++ < MOST_STEPS;
	     pc += k->insn.length) {
		if (!falls)
			fork_to(k, w, pc);
		if (!decode(k, pc))
			break;
		falls = falls_through(k);
	}
	k->more |= pc < k->point->end || !k->point->end;
}

/* False: the way ends there. */
static bool jump(struct walk *k, struct way *w, bool always)
{
	const ZydisDecodedOperand *op = &k->ops[0];

	if (op->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		scatter(k, w);
		give(k, w);
		return false;
	}
	if (!always)
		fork_to(k, w, w->pc);
	w->pc += (uint64_t)op->imm.value.s;
	return true;
}

static void call(struct walk *k, struct way *w)
{
	if (is_memory(&k->ops[0]))
		touch(k, w, &k->ops[0]);
	give(k, w);
	called(w);
}

/* By its kind, where all of one are alike. *ends: the way does. False: they are not. */
static bool execute_kind(struct walk *k, struct way *w, bool *ends)
{
	switch (k->insn.meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
		*ends = !jump(k, w, k->insn.meta.category == ZYDIS_CATEGORY_UNCOND_BR);
		return true;
	case ZYDIS_CATEGORY_CALL:
		call(k, w);
		return true;
	case ZYDIS_CATEGORY_RET:
		if (code_is_beside(w->reg[RAX]))
			use(k, w, w->reg[RAX]);
		*ends = true;
		return true;
	case ZYDIS_CATEGORY_CMOV:
		choose(k, w);
		return true;
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_PREFETCH:
		return true;
	default:
		return false;
	}
}

/* False: the way ends there. */
static bool execute(struct walk *k, struct way *w)
{
	bool ends = false;

	w->pc += k->insn.length;
	if (execute_kind(k, w, &ends))
		return !ends;
	switch (k->insn.mnemonic) {
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_LEAVE: /* what follows is its caller's */
		return false;
	case ZYDIS_MNEMONIC_MOV:
		move(k, w);
		break;
	case ZYDIS_MNEMONIC_LEA:
		compute_address(k, w);
		break;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_INC:
		step(k, w, 1);
		break;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_DEC:
		step(k, w, -1);
		break;
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_IMUL:
		multiply(k, w);
		break;
	case ZYDIS_MNEMONIC_PUSH:
		push(k, w);
		break;
	case ZYDIS_MNEMONIC_POP:
		w->sp = code_plus(w->sp, 8);
		other(k, w);
		break;
	default:
		other(k, w);
		break;
	}
	return true;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static void follow(struct walk *k, struct way *w)
{
	while (is_new(k, w)) {
		if (k->steps++ >= MOST_STEPS || !decode(k, w->pc)) {
			k->more = true;
			return;
		}
		if (!execute(k, w))
			return;
	}
}

static void walk(struct walk *k)
{
	static const bool preserved[NREGS] = {
		[RBX] = true, [RBP] = true, [12] = true, [13] = true, [14] = true, [15] = true
	};
	struct way w = { .pc = k->point->pc };

	for (int r = 0; r < NREGS; r++) {
		k->slots[r] = (struct code_place){ .in = (uint8_t)r };
		w.reg[r] = code_nothing;
		if (r != RSP && (preserved[r] || !k->point->returned) &&
		    !(r == RBP && k->point->frame_pointer))
			w.reg[r] = code_word(r);
	}
	k->nwords = NREGS;
	fork_to(k, &w, w.pc);
	while (k->ntodo && k->steps <= MOST_STEPS) {
		w = k->todo[--k->ntodo];
		follow(k, &w);
	}
}

size_t code_uses_x86_64(const struct code_point *point, struct code_use ret[CODE_USES_MAX],
			bool *all)
{
	struct walk *k = malloc(sizeof *k);
	size_t n = 0;

	*all = false;
	if (!k)
		return 0;
	/* Most of it is room, and is not touched. */
	k->point = point;
	k->ret = ret;
	k->n = k->text_at = k->text_size = 0;
	k->ntodo = k->steps = 0;
	k->more = false;
	code_facts_clear(&k->facts);
	if (ZYAN_SUCCESS(ZydisDecoderInit(&k->decoder, ZYDIS_MACHINE_MODE_LONG_64,
					  ZYDIS_STACK_WIDTH_64))) {
		walk(k);
		*all = !k->more && !k->facts.full;
	}
	n = k->n;
	free(k);
	return n;
}
