/* SPDX-License-Identifier: MIT */
/*
 * context_x86_64.S - the switch between two stacks, and the first frame of a goroutine.
 *
 * Push-style: what must survive goes onto the old stack in the layout of struct switch_frame, the
 * stack pointer changes, and the same layout is popped from the new one. That is where to go on and
 * the frame pointer; of the other registers a compiler saves those that it uses, since it is told
 * that none survives. (It has saved most of them already where the function began. To push all that
 * the ABI calls callee-saved took 8% of a message.) What the goroutine that is left had in them stays until then: see
 * context_forget().
 *
 * Because the layout is the same on both sides, "CFA = rsp + distance" is exact on every single
 * instruction, before and after the stack pointer moves: a debugger, a profiler's signal or an
 * observer may look at any of them.
 *
 * The control words of SSE and x87 are callee-saved too (only their control bits). They are stored
 * always and loaded only where they differ, because loading them is slow. To look at what stmxcsr
 * has just stored is slow, too. So that comes first, below the stack pointer, where the frame will
 * be, and the comparison last: 12% of a yield. Both frames are still what they were then. The one
 * that was left is nobody else's before after_switch(), and no signal touches the 128 bytes below a
 * stack pointer.
 */
	.text

/*
 * goro_context_switch(uintptr_t *save_sp [rdi], uintptr_t load_sp [rsi]); context_switch() jumps here
 * with where to go on in rcx. No call and no ret: the processor foretells where a ret goes by the
 * calls that it has seen, and those were of another stack. A jump it foretells by what came before.
 */
	.p2align 6
	.globl	goro_context_switch
	.hidden	goro_context_switch
	.type	goro_context_switch, @function
goro_context_switch:
	.cfi_startproc
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rcx
	stmxcsr	-24(%rsp)	/* the frame's, once there is one */
	fnstcw	-20(%rsp)
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rip, 0
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	%rsp, (%rdi)
	movq	%rsp, %rdx
	movq	%rsi, %rsp
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	movl	(%rdx), %eax
	movzwl	4(%rdx), %r8d
	cmpl	-24(%rsp), %eax
	jne	.Lload_mxcsr
.Lmxcsr_done:
	cmpw	-20(%rsp), %r8w
	jne	.Lload_x87cw
.Lx87cw_done:
	jmp	*%rcx

.Lload_mxcsr:
	ldmxcsr	-24(%rsp)
	jmp	.Lmxcsr_done
.Lload_x87cw:
	fldcw	-20(%rsp)
	jmp	.Lx87cw_done
	.cfi_endproc
	.size	goro_context_switch, . - goro_context_switch

/*
 * The outermost frame of every goroutine and of a worker's own stack. A fresh stack "returns" here
 * from its first switch with rbp = the C function to call. Its return address and frame pointer are
 * undefined for unwinders and, once it calls, zero for frame-pointer walkers.
 */
	.p2align 4
	.globl	goro_entry
	.hidden	goro_entry
	.type	goro_entry, @function
goro_entry:
	.cfi_startproc
	.cfi_undefined %rip
	.cfi_undefined %rbp
	.cfi_def_cfa %rsp, 8
	nop	/* so that pc - 1 of the first pc still lies inside */
	.globl	goro_entry_start
	.hidden	goro_entry_start
goro_entry_start:
	movq	%rbp, %rax
	xorl	%edi, %edi
	xorl	%ebp, %ebp
	/* What the one before left in registers, a proof would find in this one. */
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	call	*%rax
	ud2
	.cfi_endproc
	.globl	goro_entry_end
	.hidden	goro_entry_end
goro_entry_end:
	.size	goro_entry, . - goro_entry

/*
 * goro_call_NAME(fn [rdi], a [rsi], b [rdx]): what fn(a, b) returns. If an exception of C++ leaves fn,
 * it passes through here, and the unwinder asks goro_left_NAME() about it: see defer.c.
 */
	.macro	watched_call name
	.p2align 4
	.globl	goro_call_\name
	.hidden	goro_call_\name
	.hidden	goro_left_\name
	.type	goro_call_\name, @function
goro_call_\name:
	.cfi_startproc
	.cfi_personality 0x1b, goro_left_\name
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	call	*%rax
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size	goro_call_\name, . - goro_call_\name
	.endm

	watched_call try
	watched_call deferred
	watched_call once
	watched_call flight

/*
 * bool goro_wait(struct m *mp, void *a, void *b, bool (*fn)(struct m *, void *, void *) [rcx])
 * goro_wait_int() is the same for an int.
 * What fn returns, but who called goes on by a jump: see goro_context_switch. The call and ret in
 * here are the same for all that waits, so that they are foretold right whoever else ran meanwhile.
 */
	.p2align 6
	.globl	goro_wait, goro_wait_int
	.hidden	goro_wait, goro_wait_int
	.type	goro_wait, @function
goro_wait_int:
goro_wait:
	.cfi_startproc
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*%rcx
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmp	*%rcx
	.cfi_endproc
	.size	goro_wait, . - goro_wait

/*
 * Stacks without what those who used them before have left there. A frame is seldom written whole
 * (what aligns it, variables that are set later), and an observer that searches for pointers must
 * take all of it for alive: what an earlier frame left in one that stays for long would keep alive
 * what nobody has any more. In C the frame of who wipes would have such gaps itself.
 *
 * goro_wipe_start(): below the caller's frame, where the frames of a goroutine that starts will be;
 * as much as one that waits has, and then on down to where the stack's last owner has been, but not
 * into a page that may never have been touched. Somebody has been in a block if one of four words of
 * its 32 is not zero: this is in the way of each that starts. Valgrind takes all of that for
 * mistakes.
 *
 * Rejected: to wipe when a goroutine ends (how deep it went would have to be found as well, and many
 * stacks are never used again); as much each time as a select or a connect needs, which is kilobytes.
 */
	.macro	wipe_block below	/* 256 bytes */
	.set	at, 16
	.rept	16
	movaps	%xmm0, -at(\below)
	.set	at, at + 16
	.endr
	.endm

	.p2align 4
	.globl	goro_wipe_start
	.hidden	goro_wipe_start
	.type	goro_wipe_start, @function
goro_wipe_start:
	.cfi_startproc
	xorl	%eax, %eax
	pxor	%xmm0, %xmm0
	movq	%rax, -8(%rsp)
	leaq	-8(%rsp), %rdi
	wipe_block %rdi
	subq	$256, %rdi
.Lwas_here:
	movq	-8(%rdi), %rax
	orq	-72(%rdi), %rax
	orq	-136(%rdi), %rax
	orq	-200(%rdi), %rax
	jnz	.Lgo_down
	ret
.Lgo_down:
	wipe_block %rdi
	subq	$256, %rdi
	testl	$3840, %edi	/* a whole block in this page */
	jnz	.Lwas_here
	ret
	.cfi_endproc
	.size	goro_wipe_start, . - goro_wipe_start

/* goro_wipe(size_t size [rdi], in bytes, a multiple of 16): below the caller's frame. */
	.p2align 4
	.globl	goro_wipe
	.hidden	goro_wipe
	.type	goro_wipe, @function
goro_wipe:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	%rdi, %rsp
	movq	%rdi, %rcx
	shrq	$3, %rcx
	movq	%rsp, %rdi
	xorl	%eax, %eax
	rep stosq
	leave
	.cfi_def_cfa %rsp, 8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size	goro_wipe, . - goro_wipe

/*
 * The calling thread's m. Defined here, since getm() reads it in an asm that no compiler sees
 * through: one that optimises the whole program would find that nobody reads it.
 */
	.section .tbss, "awT", @nobits
	.p2align 3
	.globl	goro_tls_m
	.hidden	goro_tls_m
	.type	goro_tls_m, @object
	.size	goro_tls_m, 8
goro_tls_m:
	.zero	8


	.section .note.GNU-stack, "", @progbits
