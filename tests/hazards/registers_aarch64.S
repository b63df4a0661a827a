/* SPDX-License-Identifier: MIT */
/*
 * long registers_kept(void (*fn)(void), uint64_t seed): fill every callee-saved register with values
 * of its own, call fn, and say how many of them changed.
 */
	.text
	.macro	fill reg, n
	add	\reg, x1, #\n
	.endm

	.macro	fill_d reg, n
	add	x9, x1, #\n
	fmov	\reg, x9
	.endm

	.macro	judge reg, n
	add	x9, x1, #\n
	cmp	x9, \reg
	cinc	x0, x0, ne
	.endm

	.macro	judge_d reg, n
	fmov	x10, \reg
	judge	x10, \n
	.endm

	.macro	each op
	\op	x19, 1
	\op	x20, 2
	\op	x21, 3
	\op	x22, 4
	\op	x23, 5
	\op	x24, 6
	\op	x25, 7
	\op	x26, 8
	\op	x27, 9
	\op	x28, 10
	\op\()_d d8, 11
	\op\()_d d9, 12
	\op\()_d d10, 13
	\op\()_d d11, 14
	\op\()_d d12, 15
	\op\()_d d13, 16
	\op\()_d d14, 17
	\op\()_d d15, 18
	.endm

	.macro	each_pair op
	\op	x19, x20, [sp, #16]
	\op	x21, x22, [sp, #32]
	\op	x23, x24, [sp, #48]
	\op	x25, x26, [sp, #64]
	\op	x27, x28, [sp, #80]
	\op	d8, d9, [sp, #96]
	\op	d10, d11, [sp, #112]
	\op	d12, d13, [sp, #128]
	\op	d14, d15, [sp, #144]
	.endm

	.globl	registers_kept
	.type	registers_kept, %function
registers_kept:
	.cfi_startproc
	stp	x29, x30, [sp, #-176]!
	.cfi_adjust_cfa_offset 176
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	each_pair stp
	str	x1, [sp, #160]
	each	fill
	blr	x0
	ldr	x1, [sp, #160]
	mov	x0, xzr
	each	judge
	each_pair ldp
	ldp	x29, x30, [sp], #176
	.cfi_adjust_cfa_offset -176
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	registers_kept, . - registers_kept
	.section .note.GNU-stack, "", %progbits
