/* SPDX-License-Identifier: MIT */
/*
 * context_aarch64.S - the switch between two stacks, and the first frame of a goroutine.
 *
 * As in context_x86_64.S the layout of struct switch_frame is the same on the stack that is left and
 * on the one that is entered, so "CFA = sp + 176" holds on every instruction on both sides of the
 * move of sp, and a saved register's rule may stand from its store to its load.
 *
 * The return address is kept as it is: what pac-ret signs is each C function's own, in its own
 * frame, with its own sp, and that travels with the stack. `bti c` is a no-op where there is no BTI.
 * fpcr is loaded only where it differs, because writing it is slow.
 */
	.text

/* A pair of registers to or from the frame, and what unwinders must know of it. */
	.macro	save_pair a, b, a_number, b_number, at
	stp	\a, \b, [sp, #\at]
	.cfi_rel_offset \a_number, \at
	.cfi_rel_offset \b_number, \at + 8
	.endm

	.macro	load_pair a, b, a_number, b_number, at
	ldp	\a, \b, [sp, #\at]
	.cfi_restore \a_number
	.cfi_restore \b_number
	.endm

	.macro	each_pair op
	\op	d8, d9, 72, 73, 16
	\op	d10, d11, 74, 75, 32
	\op	d12, d13, 76, 77, 48
	\op	d14, d15, 78, 79, 64
	\op	x19, x20, 19, 20, 80
	\op	x21, x22, 21, 22, 96
	\op	x23, x24, 23, 24, 112
	\op	x25, x26, 25, 26, 128
	\op	x27, x28, 27, 28, 144
	\op	x29, x30, 29, 30, 160
	.endm

/* void goro_context_switch(uintptr_t *save_sp [x0], uintptr_t load_sp [x1]) */
	.p2align 5
	.globl	goro_context_switch
	.hidden	goro_context_switch
	.type	goro_context_switch, %function
goro_context_switch:
	.cfi_startproc
	hint	#34		/* bti c */
	sub	sp, sp, #176
	.cfi_adjust_cfa_offset 176
	each_pair save_pair
	mrs	x9, fpcr
	str	x9, [sp]
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1
	ldr	x10, [sp]
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:	each_pair load_pair
	add	sp, sp, #176
	.cfi_adjust_cfa_offset -176
	ret
	.cfi_endproc
	.size	goro_context_switch, . - goro_context_switch

/*
 * The outermost frame of every goroutine and of a worker's own stack. A fresh stack "returns" here
 * from its first switch with x19 = the C function to call. Its return
 * address and frame pointer are undefined for unwinders and zero for frame-pointer walkers.
 */
	.p2align 4
	.globl	goro_entry
	.hidden	goro_entry
	.type	goro_entry, %function
goro_entry:
	.cfi_startproc
	.cfi_undefined x30
	.cfi_undefined x29
	.cfi_def_cfa sp, 0
	nop	/* so that pc - 1 of the first pc still lies inside */
	.globl	goro_entry_start
	.hidden	goro_entry_start
goro_entry_start:
	mov	x0, xzr
	mov	x29, xzr
	mov	x30, xzr
	blr	x19
	brk	#0
	.cfi_endproc
	.globl	goro_entry_end
	.hidden	goro_entry_end
goro_entry_end:
	.size	goro_entry, . - goro_entry

/*
 * goro_call_NAME(fn [x0], a [x1], b [x2]): what fn(a, b) returns. If an exception of C++ leaves fn,
 * it passes through here, and the unwinder asks goro_left_NAME() about it: see defer.c.
 */
	.macro	watched_call name
	.p2align 4
	.globl	goro_call_\name
	.hidden	goro_call_\name
	.hidden	goro_left_\name
	.type	goro_call_\name, %function
goro_call_\name:
	.cfi_startproc
	.cfi_personality 0x1b, goro_left_\name
	hint	#34		/* bti c */
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset 29, 0
	.cfi_rel_offset 30, 8
	mov	x29, sp
	mov	x9, x0
	mov	x0, x1
	mov	x1, x2
	blr	x9
	ldp	x29, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	.cfi_restore 29
	.cfi_restore 30
	ret
	.cfi_endproc
	.size	goro_call_\name, . - goro_call_\name
	.endm

	watched_call try
	watched_call deferred
	watched_call once
	watched_call flight

/*
 * Stacks without what those who used them before have left there: see context_x86_64.S.
 */
	.macro	wipe_block		/* 256 bytes below x0, which goes down there */
	.rept	16
	stp	xzr, xzr, [x0, #-16]!
	.endr
	.endm

	.p2align 4
	.globl	goro_wipe_start
	.hidden	goro_wipe_start
	.type	goro_wipe_start, %function
goro_wipe_start:
	.cfi_startproc
	hint	#34		/* bti c */
	mov	x0, sp
	wipe_block
.Lwas_here:
	ldur	x1, [x0, #-8]
	ldur	x2, [x0, #-72]
	ldur	x3, [x0, #-136]
	ldur	x4, [x0, #-200]
	orr	x1, x1, x2
	orr	x3, x3, x4
	orr	x1, x1, x3
	cbnz	x1, .Lgo_down
	ret
.Lgo_down:
	wipe_block
	tst	x0, #3840	/* a whole block in this page */
	b.ne	.Lwas_here
	ret
	.cfi_endproc
	.size	goro_wipe_start, . - goro_wipe_start

	.p2align 4
	.globl	goro_wipe
	.hidden	goro_wipe
	.type	goro_wipe, %function
goro_wipe:
	.cfi_startproc
	hint	#34		/* bti c */
	mov	x1, sp
	sub	x2, sp, x0
.Lwipe:
	stp	xzr, xzr, [x1, #-16]!
	cmp	x1, x2
	b.hi	.Lwipe
	ret
	.cfi_endproc
	.size	goro_wipe, . - goro_wipe

	/* This object may be linked into a program that enforces BTI: GNU_PROPERTY_AARCH64_FEATURE_1. */
	.section .note.gnu.property, "a", %note
	.p2align 3
	.word	4, 16, 5	/* sizes of name and descriptor, NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.word	0xc0000000, 4, 1, 0	/* FEATURE_1_AND: BTI */

/*
 * The calling thread's m. Defined here, since getm() reads it in an asm that no compiler sees
 * through: one that optimises the whole program would find that nobody reads it.
 */
	.section .tbss, "awT", %nobits
	.p2align 3
	.globl	goro_tls_m
	.hidden	goro_tls_m
	.type	goro_tls_m, %object
	.size	goro_tls_m, 8
goro_tls_m:
	.zero	8

	.section .note.GNU-stack, "", %progbits
