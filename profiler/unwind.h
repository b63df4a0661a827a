/* SPDX-License-Identifier: MIT */
/*
 * unwind.h - the frames of a stack that stands still.
 *
 * Two unwinders work on the same copied bytes. The fast one walks rows that were compiled once from
 * .eh_frame (cfi.h): it follows only the program counter, the stack pointer and the frame pointer,
 * which is all that nearly every function needs. The other is libunwind: it is the reference that
 * the rows are tested against, and it does what they cannot (DWARF expressions, other registers).
 *
 * A thread that was caught running may be where there is no such data: unwind_leaf.c leads it out.
 *
 * A walk never guesses. It is complete when it arrives where goroutines begin; wherever it cannot
 * go on it stops and says so.
 */
#ifndef GORO_UNWIND_H
#define GORO_UNWIND_H

#include "elf.h"
#include "target.h"
#include "target_sample.h"

#define UNWIND_MAX_FRAMES 1024

/* How a switch leaves a stack; see saved_reg in goro_introspect.h. */
struct unwind_layout {
	uint16_t saved_reg[64];
	uint16_t saved_pc, saved_size;
	unsigned frame_pointer;	     /* index in saved_reg */
	bool frame_pointer_is_exact; /* see cfi.h */
	uint64_t entry_lo, entry_hi;
};

/* A stack to unwind: where it was left, and the bytes of it that were copied. */
struct unwind_stack {
	const struct unwind_layout *layout;
	/*
	 * NULL: the switch left it, its registers lie at sp. Else it was caught on its way, at any
	 * instruction; then pcs[0] of the result is one more than its pc, so that all of pcs are
	 * looked up alike.
	 */
	const struct target_registers *registers;
	uint64_t sp;	      /* where the saved registers lie; of a caught one: registers->sp */
	uint64_t hi;	      /* end of the stack; more bytes can be had up to here */
	const uint8_t *bytes; /* copy of [sp, sp + len) */
	size_t len;
	/* It stands for as long as we look, so that more than the copy can be believed: what lies
	 * below its stack pointer, and the stack that a signal came upon. */
	bool still;
	bool main; /* a thread's own: ends where it begins, not in the entry of goroutines */
	/* When this one is a signal's: the stack that the signal came upon. hi 0: it is not. */
	uint64_t under_lo, under_hi;
};

struct unwind_result {
	uint64_t pcs[UNWIND_MAX_FRAMES]; /* leaf first; return addresses, or one more than the pc */
	unsigned n;
	uint64_t end_sp; /* stack pointer of the outermost frame, when it is the entry of goroutines
			  */
	bool complete;
	bool by_frame_pointer;
};

enum unwind_status {
	UNWIND_DONE,   /* complete or truncated */
	UNWIND_MORE,   /* it needs more bytes of the stack */
	UNWIND_CANNOT, /* rows only: something for libunwind */
};

/* Rows and libunwind side by side, for tests and for diagnosis. */
struct unwind_comparison {
	size_t compared, different;
	size_t only_libunwind;		      /* stacks that the rows could not do */
	size_t by_frame_pointer;	      /* nor libunwind: of those, in part */
	size_t without_reference;	      /* code that libunwind has no table for */
	struct unwind_result rows, libunwind; /* of the last difference */
};

/* One frame, and the registers as its function has them. Of those that are numbered by DWARF below
 * UNWIND_REGISTERS: */
enum { UNWIND_REGISTERS = 16 };

struct unwind_frame {
	uint64_t pc, sp; /* pc: as unwind_result.pcs */
	uint64_t end;	 /* of the function's code; 0: not known */
	bool exact;	 /* no call returns there: it was interrupted */
	uint32_t have;	 /* bit i: value[i] is known */
	uint64_t value[UNWIND_REGISTERS];
	uint64_t at[UNWIND_REGISTERS]; /* where on the stack it was saved; 0: nowhere */
};

struct unwinder;

struct unwinder *unwinder_new(struct target *t, struct modules *ms);
void unwinder_free(struct unwinder *u);

/* Call after modules_refresh(). */
void unwinder_modules_changed(struct unwinder *u);

/* From now on unwind every stack in both ways and count into *c; NULL: stop that. */
void unwinder_compare(struct unwinder *u, struct unwind_comparison *c);
bool unwinder_compares(const struct unwinder *u);

/* Unwind: by rows, and where they cannot by libunwind. DONE or MORE. */
enum unwind_status unwind(struct unwinder *u, const struct unwind_stack *s,
			  struct unwind_result *r);

/* Frame pointers are followed through code without unwind data only when `guess` is set. */
enum unwind_status unwind_by_rows(struct unwinder *u, const struct unwind_stack *s, bool guess,
				  struct unwind_result *r);

/* The frames of a stack that is there as a whole, at most that many, by libunwind: how many. *all:
 * these are all that there are. */
unsigned unwind_frames(struct unwinder *u, const struct unwind_stack *s,
		       struct unwind_frame *frames, unsigned most, bool *all);

/* Return addresses seen in no executable map since the last unwinder_modules_changed(). */
size_t unwinder_unknown(const struct unwinder *u);

/* 8 bytes of the stack at address. CANNOT: outside of it; MORE: not copied yet. */
enum unwind_status unwind_load(const struct unwind_stack *s, uint64_t address, uint64_t *ret);

/* The first return address and the stack pointer once the switch's frame is popped; of a thread
 * that was caught running its pc, plus one, and its stack pointer. */
enum unwind_status unwind_start(const struct unwind_stack *s, uint64_t *pc, uint64_t *sp);

/* ---- unwind_leaf.c --------------------------------------------------------------------------- */

/* Where a thread comes from code without unwind data, before anything that it called. */
struct unwind_leaf {
	uint64_t pc;  /* of an instruction that has data; or of the return */
	int64_t sp;   /* what is added to the stack pointer until there */
	bool returns; /* it is a return */
};

/* has_data(arg, pc): is there unwind data for the instruction at pc? False: it cannot be told. */
bool unwind_leaf(struct target *t, unsigned machine, const struct target_registers *from,
		 bool (*has_data)(void *arg, uint64_t pc), void *arg, struct unwind_leaf *ret);

/* ---- unwind_libunwind.c ---------------------------------------------------------------------- */

struct unwind_reference;

struct unwind_reference *unwind_reference_new(struct target *t, struct modules *ms);
void unwind_reference_free(struct unwind_reference *ref);
/* frames: room for what each frame has, of the first `most`; NULL: nobody wants that. */
enum unwind_status unwind_by_libunwind(struct unwind_reference *ref, const struct unwind_stack *s,
				       struct unwind_result *r, struct unwind_frame *frames,
				       unsigned most);

/* Did the last one end for want of a table? */
bool unwind_reference_lacked_table(const struct unwind_reference *ref);

#endif /* GORO_UNWIND_H */
