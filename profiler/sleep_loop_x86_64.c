/* SPDX-License-Identifier: MIT */
/*
 * sleep_loop_x86_64.c - see sleep_loop.h.
 *
 * All instructions that can follow are decoded, whatever the conditions of jumps are. Allowed is
 * what moves no pointer to anywhere but a register: arithmetic, loads (what is loaded stays in
 * registers), constants stored to memory, jumps, and calls of goro_sleep(), which takes a number.
 * Everything else, be it unknown or just rare, is reason to say no: that costs a leak that is not
 * seen, never one that is none. So the table below needs no instruction but those that compilers
 * write in such loops.
 *
 * Memory may be written through any pointer, but only with constants: what other goroutines wait
 * for gets known to nobody by that. Flags, and so control, may depend on everything.
 *
 * A return is mostly refused, too: where it goes is somebody else's frame, whose registers lie in
 * this one and in those of the runtime. Only if nobody there wants them it is as good as a loop.
 *
 * Rejected: a library that decodes all instructions. What it takes here are their lengths, what
 * they read and what they write, and all of that for a handful.
 */
#include "sleep_loop.h"

#include <string.h>

enum { MOST = 128 }; /* instructions */

enum what {
	REFUSED,
	PLAIN,
	JUMP,
	BRANCH,
	CALL,
	CALL_AT, /* by a pointer beside the code */
	UNWIND,	 /* gives up some of the frame */
	RETURN,
};

struct instruction {
	unsigned len;
	enum what what;
	int32_t distance; /* of what it jumps to, calls or reads, from its end */
};

struct decoder {
	const uint8_t *p; /* the bytes of one instruction */
	size_t n;	  /* that there are */
	size_t at;	  /* decoded so far */
	bool bad;
	uint8_t rex;
	bool narrow; /* operands of 16 bits */
};

enum { REX_W = 8, REX_R = 4, REX_X = 2, REX_B = 1 };
enum { RSP = 4, RIP = 5 };

static uint8_t byte(struct decoder *d)
{
	if (d->at == d->n) {
		d->bad = true;
		return 0;
	}
	return d->p[d->at++];
}

static int32_t number(struct decoder *d, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)byte(d) << 8 * i;
	return size == 1 ? (int8_t)v : (int32_t)v;
}

struct operands {
	unsigned reg; /* with its REX bit, but for a group: that is in `group` */
	unsigned group;
	unsigned rm; /* a register; with memory nothing is said of it */
	bool memory;
	bool beside; /* memory at the end of the instruction + distance */
	int32_t distance;
};

static struct operands operands(struct decoder *d)
{
	const uint8_t modrm = byte(d);
	const unsigned mod = modrm >> 6, low = modrm & 7;
	struct operands o = {
		.group = modrm >> 3 & 7,
		.memory = mod != 3,
	};
	unsigned size = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	o.reg = o.group | (d->rex & REX_R ? 8 : 0);
	o.rm = low | (d->rex & REX_B ? 8 : 0);
	if (mod == 3)
		return o;
	if (low == RSP) {
		if ((byte(d) & 7) == 5 && mod == 0)
			size = 4;
	} else if (mod == 0 && low == RIP) {
		o.beside = true;
		size = 4;
	}
	o.distance = number(d, size);
	return o;
}

static const struct instruction plain = { .what = PLAIN };

static const struct instruction refused = { .what = REFUSED };

static const struct instruction unwinds = { .what = UNWIND };

/* To a register. (4 is rsp; the byte register of that number is ah or spl.) */
static struct instruction into(unsigned reg)
{
	return reg == RSP ? refused : plain;
}

/* add, or, adc, sbb, and, sub, xor, cmp between two operands, or with a constant. */
static struct instruction arithmetic(struct decoder *d, uint8_t op)
{
	const bool compares = op >> 3 == 7;
	struct operands o;

	if ((op & 7) == 4 || (op & 7) == 5) {
		number(d, (op & 7) == 4 ? 1 : d->narrow ? 2 : 4);
		return plain;
	}
	if ((op & 7) > 5)
		return refused;
	o = operands(d);
	if (compares)
		return plain;
	if ((op & 7) < 2 && o.memory)
		return refused; /* a register's value is written */
	return into((op & 7) < 2 ? o.rm : o.reg);
}

/* The same with a constant at the end. */
static struct instruction arithmetic_with(struct decoder *d, uint8_t op)
{
	const struct operands o = operands(d);

	number(d, op == 0x81 ? (d->narrow ? 2 : 4) : 1);
	if (o.group == 7 || o.memory)
		return plain;
	if (o.rm == RSP && o.group == 0 && d->rex & REX_W)
		return unwinds;
	return into(o.rm);
}

/* Groups of which one or two are known. */
static struct instruction group(struct decoder *d, uint8_t op)
{
	const struct operands o = operands(d);

	switch (op) {
	case 0xc0: /* shifts */
	case 0xc1:
		number(d, 1);
		return o.memory ? refused : into(o.rm);
	case 0xd0:
	case 0xd1:
		return o.memory ? refused : into(o.rm);
	case 0xc6: /* mov of a constant */
	case 0xc7:
		number(d, op == 0xc6 ? 1 : d->narrow ? 2 : 4);
		return o.group ? refused : o.memory ? plain : into(o.rm);
	case 0xf6: /* test with a constant */
	case 0xf7:
		number(d, op == 0xf6 ? 1 : d->narrow ? 2 : 4);
		return o.group ? refused : plain;
	case 0xfe: /* inc, dec */
		return o.group > 1 ? refused : o.memory ? plain : into(o.rm);
	default: /* 0xff: the same, and call */
		if (o.group == 2 && o.beside)
			return (struct instruction){ .what = CALL_AT, .distance = o.distance };
		return o.group > 1 ? refused : o.memory ? plain : into(o.rm);
	}
}

/* Two bytes: 0x0f and op. */
static struct instruction second_table(struct decoder *d)
{
	const uint8_t op = byte(d);
	struct operands o;

	if (op >> 4 == 8)
		return (struct instruction){ .what = BRANCH, .distance = number(d, 4) };
	o = operands(d);
	if (op == 0x1f && !o.group) /* nop */
		return plain;
	if (op >> 4 == 4) /* cmov */
		return into(o.reg);
	if (op >> 4 == 9) /* setcc */
		return o.memory ? refused : into(o.rm);
	if (op == 0xaf) /* imul */
		return into(o.reg);
	if (op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf) /* movzx, movsx */
		return into(o.reg);
	return refused;
}

static struct instruction one_byte(struct decoder *d, uint8_t op)
{
	struct operands o;

	switch (op) {
	case 0x90: /* nop */
		return d->rex ? refused : plain;
	case 0x98: /* cdqe, cqo: of a number in rax */
	case 0x99:
		return plain;
	case 0xa8:
	case 0xa9:
		number(d, op == 0xa8 ? 1 : d->narrow ? 2 : 4);
		return plain;
	case 0xe8:
	case 0xe9:
		return (struct instruction){ .what = op == 0xe8 ? CALL : JUMP,
					     .distance = number(d, 4) };
	case 0xeb:
		return (struct instruction){ .what = JUMP, .distance = number(d, 1) };
	case 0xc3:
		return (struct instruction){ .what = RETURN };
	case 0xc9: /* leave */
		return unwinds;
	default:
		break;
	}
	if (op >> 4 == 7)
		return (struct instruction){ .what = BRANCH, .distance = number(d, 1) };
	if (op >> 3 == 0xb) /* pop */
		return (op & 7) == RSP && !(d->rex & REX_B) ? refused : unwinds;
	if (op >> 4 == 0xb) { /* mov of a constant */
		const bool is_byte = op < 0xb8;

		number(d, is_byte ? 1 : d->narrow ? 2 : 4);
		if (!is_byte && d->rex & REX_W)
			number(d, 4);
		return into((op & 7) | (d->rex & REX_B ? 8 : 0));
	}
	if (op == 0x80 || op == 0x81 || op == 0x83)
		return arithmetic_with(d, op);
	if (op == 0xc0 || op == 0xc1 || op == 0xd0 || op == 0xd1 || op == 0xc6 || op == 0xc7 ||
	    op == 0xf6 || op == 0xf7 || op == 0xfe || op == 0xff)
		return group(d, op);
	if (op != 0x63 && op != 0x69 && op != 0x6b && (op < 0x84 || op > 0x8d || op == 0x8c))
		return refused;
	o = operands(d);
	switch (op) {
	case 0x63: /* movsxd */
		return into(o.reg);
	case 0x69: /* imul with a constant */
	case 0x6b:
		number(d, op == 0x6b ? 1 : d->narrow ? 2 : 4);
		return into(o.reg);
	case 0x84: /* test */
	case 0x85:
		return plain;
	case 0x88: /* mov */
	case 0x89:
		return o.memory ? refused : into(o.rm);
	case 0x8a:
	case 0x8b:
		return into(o.reg);
	case 0x8d: /* lea */
		if (o.memory && o.reg == RSP && d->rex & REX_W)
			return unwinds;
		return o.memory ? into(o.reg) : refused;
	default: /* xchg */
		return refused;
	}
}

static struct instruction decode(const uint8_t *p, size_t n)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	struct decoder d = { .p = p, .n = n };
	struct instruction i;
	uint8_t op;

	if (n >= sizeof endbr64 && !memcmp(p, endbr64, sizeof endbr64))
		return (struct instruction){ .len = sizeof endbr64, .what = PLAIN };
	for (op = byte(&d); op == 0x66 || op == 0x2e; op = byte(&d)) /* the other one pads */
		d.narrow |= op == 0x66;
	if (op >> 4 == 4) {
		d.rex = op;
		op = byte(&d);
	}
	if (op == 0x0f)
		i = second_table(&d);
	else if (op < 0x40)
		i = arithmetic(&d, op);
	else
		i = one_byte(&d, op);
	i.len = (unsigned)d.at;
	/* A jump of another size, a segment: nothing that is known here has them. */
	return d.bad || (d.narrow && i.what != PLAIN) ? refused : i;
}

struct walk {
	const struct sleep_loop_text *text;
	const struct sleep_loop_callee *callee;
	bool seen[sizeof((struct sleep_loop_text *)0)->bytes];
	uint16_t todo[MOST];
	unsigned ntodo, steps;
};

/* False: it leaves the text that we have. */
static bool go_to(struct walk *w, uint64_t at)
{
	const uint64_t in = at - w->text->address;

	if (in >= sizeof w->text->bytes || w->ntodo == MOST)
		return false;
	if (!w->seen[in]) {
		w->seen[in] = true;
		w->todo[w->ntodo++] = (uint16_t)in;
	}
	return true;
}

static bool step(struct walk *w, size_t at)
{
	const struct instruction i = decode(w->text->bytes + at, sizeof w->text->bytes - at);
	const uint64_t next = w->text->address + at + i.len;
	const uint64_t there = next + (uint64_t)(int64_t)i.distance;

	switch (i.what) {
	case PLAIN:
		return go_to(w, next);
	case JUMP:
		return go_to(w, there);
	case BRANCH:
		return go_to(w, there) && go_to(w, next);
	case CALL:
		return w->callee->is_sleep(w->callee->arg, there) && go_to(w, next);
	case CALL_AT:
		return w->callee->is_sleep_at(w->callee->arg, there) && go_to(w, next);
	case UNWIND:
		return w->callee->may_return && go_to(w, next);
	case RETURN:
		return w->callee->may_return;
	default:
		return false;
	}
}

/* The call that returns there is one of goro_sleep(). */
static bool called_sleep(const struct sleep_loop_text *text, const struct sleep_loop_callee *callee)
{
	static const unsigned lengths[] = { 5, 6 };
	const uint64_t end = text->address + SLEEP_LOOP_BEFORE;

	for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
		const uint8_t *p = text->bytes + SLEEP_LOOP_BEFORE - lengths[k];
		const struct instruction i = decode(p, lengths[k]);

		if (i.len != lengths[k])
			continue;
		if (i.what == CALL &&
		    callee->is_sleep(callee->arg, end + (uint64_t)(int64_t)i.distance))
			return true;
		if (i.what == CALL_AT &&
		    callee->is_sleep_at(callee->arg, end + (uint64_t)(int64_t)i.distance))
			return true;
	}
	return false;
}

bool sleep_loop(const struct sleep_loop_text *text, const struct sleep_loop_callee *callee)
{
	struct walk w = { .text = text, .callee = callee };

	if (!called_sleep(text, callee) || !go_to(&w, text->address + SLEEP_LOOP_BEFORE))
		return false;
	while (w.ntodo) {
		if (++w.steps > MOST || !step(&w, w.todo[--w.ntodo]))
			return false;
	}
	return true;
}
