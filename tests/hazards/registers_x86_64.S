/* SPDX-License-Identifier: MIT */
/*
 * long registers_kept(void (*fn)(void), uint64_t seed): fill every callee-saved register with values
 * of its own, call fn, and say how many of them changed.
 */
	.text
	.macro	fill reg, n
	leaq	\n(%rsi), %\reg
	.endm

	.macro	judge reg, n
	leaq	\n(%rcx), %rdx
	cmpq	%rdx, %\reg
	je	1f
	incl	%eax
1:
	.endm

	.macro	each op
	\op	rbp, 1
	\op	rbx, 2
	\op	r12, 3
	\op	r13, 4
	\op	r14, 5
	\op	r15, 6
	.endm

	.globl	registers_kept
	.type	registers_kept, @function
registers_kept:
	.cfi_startproc
	.irp	reg, rbp, rbx, r12, r13, r14, r15, rsi
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.endr
	each	fill
	call	*%rdi
	movq	(%rsp), %rcx
	xorl	%eax, %eax
	each	judge
	.irp	reg, rcx, r15, r14, r13, r12, rbx, rbp
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.endr
	ret
	.cfi_endproc
	.size	registers_kept, . - registers_kept
	.section .note.GNU-stack, "", @progbits
