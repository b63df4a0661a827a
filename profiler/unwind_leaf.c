/* SPDX-License-Identifier: MIT */
/*
 * unwind_leaf.c - a thread that was caught in code without unwind data, on its way out of it.
 *
 * Two such places are met in every program. The C library ends clone's and clone3's data before the
 * system call, since what follows runs in the child too, on another stack; and who has just made a
 * thread is often pushed aside right there, by that thread. And linkers other than GNU ld describe
 * no stub of the procedure linkage table.
 *
 * What is there are a few instructions that end in a return or lead to code that has data. So they
 * are run here, as the processor would run them next, with the registers that the thread has: that
 * is no guess. An instruction that is not known ends it, and then the stack is cut short as before.
 *
 * Rejected: to take what lies at the stack pointer for the return address, as debuggers do. It is
 * one only where nothing was pushed, and a caller that is none is worse than none.
 *
 * Only x86-64: on AArch64 the C library's data has no such hole, and the few stubs there leave the
 * return address in a register.
 */
#include "unwind.h"

#include <elf.h>
#include <string.h>

enum {
	MAX_STEPS = 16,
	MAX_LENGTH = 15, /* of an instruction */
	SYS_CLONE = 56,
	SYS_CLONE3 = 435,
};

enum { FLAG_ZERO = 1 << 6, FLAG_SIGN = 1 << 7, FLAG_OVERFLOW = 1 << 11 };

enum outcome { GOES_ON, RETURNS, UNKNOWN };

struct run {
	struct target *target;
	uint64_t pc, ax, flags;
	int64_t sp; /* what was added to it */
};

/* Its opcode, the prefixes of a branch skipped, and what comes behind. */
struct instruction {
	const uint8_t *at;
	size_t prefix;
};

static bool is(const struct instruction *i, size_t n, const char *bytes)
{
	return i->prefix + n <= MAX_LENGTH && memcmp(i->at, bytes, n) == 0;
}

static int64_t signed8(const uint8_t *p)
{
	return (int8_t)*p;
}

static int64_t signed32(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static void set_flags(struct run *r, uint64_t value)
{
	r->flags = (value ? 0 : FLAG_ZERO) | (value >> 63 ? FLAG_SIGN : 0);
}

static bool zero(const struct run *r)
{
	return r->flags & FLAG_ZERO;
}

static bool less(const struct run *r)
{
	return !(r->flags & FLAG_SIGN) != !(r->flags & FLAG_OVERFLOW);
}

static enum outcome next(struct run *r, const struct instruction *i, size_t len)
{
	r->pc += i->prefix + len;
	return GOES_ON;
}

static enum outcome branch(struct run *r, const struct instruction *i, size_t len, bool taken,
			   int64_t distance)
{
	next(r, i, len);
	if (taken)
		r->pc += (uint64_t)distance;
	return GOES_ON;
}

/* jmp *distance(%rip): a stub jumps by way of its entry in the table. */
static enum outcome jump_through(struct run *r, const struct instruction *i)
{
	uint64_t to;
	bool ok = false;

	next(r, i, 6);
	goro_error_free(target_read_at(r->target, r->pc + (uint64_t)signed32(i->at + 2), &to,
				       sizeof to, &ok));
	r->pc = to;
	return ok ? GOES_ON : UNKNOWN;
}

static enum outcome push(struct run *r, const struct instruction *i, size_t len)
{
	r->sp -= 8;
	return next(r, i, len);
}

/*
 * Who makes this call comes back from it with the stack as it is, also when it fails: the child,
 * which does not, begins behind it.
 */
static enum outcome make_thread(struct run *r, const struct instruction *i)
{
	if (r->ax != SYS_CLONE && r->ax != SYS_CLONE3)
		return UNKNOWN;
	r->ax = 1;
	return next(r, i, 2);
}

static enum outcome run_one(struct run *r)
{
	uint8_t bytes[MAX_LENGTH] = { 0 };
	struct instruction i = { bytes, 0 };
	bool ok = false;

	/* It may be the last one before the end of the map. */
	for (size_t n = sizeof bytes; n && !ok; n--)
		goro_error_free(target_read_at(r->target, r->pc, bytes, n, &ok));
	if (!ok)
		return UNKNOWN;
	if (is(&i, 4, "\xf3\x0f\x1e\xfa")) /* endbr64 */
		return next(r, &i, 4);
	if (bytes[0] == 0xf2 || bytes[0] == 0xf3) /* bnd, rep: nothing to a branch */
		i = (struct instruction){ bytes + 1, 1 };
	if (is(&i, 1, "\xc3"))
		return RETURNS;
	if (is(&i, 1, "\xeb"))
		return branch(r, &i, 2, true, signed8(i.at + 1));
	if (is(&i, 1, "\xe9"))
		return branch(r, &i, 5, true, signed32(i.at + 1));
	if (is(&i, 2, "\xff\x25"))
		return jump_through(r, &i);
	if (i.prefix)
		return UNKNOWN;
	if (is(&i, 1, "\x74"))
		return branch(r, &i, 2, zero(r), signed8(i.at + 1));
	if (is(&i, 2, "\x0f\x84"))
		return branch(r, &i, 6, zero(r), signed32(i.at + 2));
	if (is(&i, 1, "\x7c"))
		return branch(r, &i, 2, less(r), signed8(i.at + 1));
	if (is(&i, 2, "\x0f\x8c"))
		return branch(r, &i, 6, less(r), signed32(i.at + 2));
	if (is(&i, 3, "\x48\x85\xc0")) { /* test %rax, %rax */
		set_flags(r, r->ax);
		return next(r, &i, 3);
	}
	if (is(&i, 2, "\x0f\x05"))
		return make_thread(r, &i);
	if (is(&i, 2, "\x41\xbb")) /* mov number, %r11d: mold's stubs name their function so */
		return next(r, &i, 6);
	if (is(&i, 2, "\x41\x53")) /* push %r11 */
		return push(r, &i, 2);
	if (is(&i, 1, "\x68"))
		return push(r, &i, 5);
	if (is(&i, 1, "\x6a"))
		return push(r, &i, 2);
	if (is(&i, 2, "\xff\x35")) /* push distance(%rip) */
		return push(r, &i, 6);
	return UNKNOWN;
}

bool unwind_leaf(struct target *t, unsigned machine, const struct target_registers *from,
		 bool (*has_data)(void *arg, uint64_t pc), void *arg, struct unwind_leaf *ret)
{
	struct run r = { t, from->pc, from->reg[0], from->flags, 0 };
	enum outcome outcome = GOES_ON;

	if (machine != EM_X86_64 || !(from->have & 1))
		return false;
	for (int n = 0; outcome == GOES_ON && n < MAX_STEPS; n++) {
		if (n && has_data(arg, r.pc))
			break;
		outcome = run_one(&r);
	}
	*ret = (struct unwind_leaf){ r.pc, r.sp, outcome == RETURNS };
	return ret->returns || (outcome == GOES_ON && has_data(arg, r.pc));
}
