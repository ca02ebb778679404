/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/step_run.S: int x86_step_run(struct step *s): load the program's vector state, general
 * registers and flags, jump to the instruction, which ends with a jump to x86_step_back, and store
 * them. The stack stays ours, so that signals have one. While the instruction runs, the stack is:
 * its address; MXCSR and x87 control word of ours; s; saved registers; return.
 */
	.text
	.globl x86_step_run
	.hidden x86_step_run
	.type x86_step_run, @function
	.globl x86_step_back
	.hidden x86_step_back
	.globl x86_step_faulted
	.hidden x86_step_faulted
x86_step_run:
	.cfi_startproc
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq %r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	pushq %r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	pushq %r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	pushq %r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	pushq %rdi
	.cfi_adjust_cfa_offset 8
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	movl 160(%rdi), %eax
	xorl %edx, %edx
	movq 144(%rdi), %rcx
	xrstor64 (%rcx)
	pushq 136(%rdi)
	.cfi_adjust_cfa_offset 8
	pushq 128(%rdi)
	.cfi_adjust_cfa_offset 8
	movq 0(%rdi), %rax
	movq 8(%rdi), %rcx
	movq 16(%rdi), %rdx
	movq 24(%rdi), %rbx
	movq 40(%rdi), %rbp
	movq 48(%rdi), %rsi
	movq 64(%rdi), %r8
	movq 72(%rdi), %r9
	movq 80(%rdi), %r10
	movq 88(%rdi), %r11
	movq 96(%rdi), %r12
	movq 104(%rdi), %r13
	movq 112(%rdi), %r14
	movq 120(%rdi), %r15
	movq 56(%rdi), %rdi
	popfq
	.cfi_adjust_cfa_offset -8
	jmp *(%rsp)
x86_step_back:
	pushfq
	.cfi_adjust_cfa_offset 8
	pushq %rdi
	.cfi_adjust_cfa_offset 8
	movq 32(%rsp), %rdi
	movq %rax, 0(%rdi)
	movq %rcx, 8(%rdi)
	movq %rdx, 16(%rdi)
	movq %rbx, 24(%rdi)
	movq %rbp, 40(%rdi)
	movq %rsi, 48(%rdi)
	popq 56(%rdi)
	.cfi_adjust_cfa_offset -8
	movq %r8, 64(%rdi)
	movq %r9, 72(%rdi)
	movq %r10, 80(%rdi)
	movq %r11, 88(%rdi)
	movq %r12, 96(%rdi)
	movq %r13, 104(%rdi)
	movq %r14, 112(%rdi)
	movq %r15, 120(%rdi)
	popq 128(%rdi)
	.cfi_adjust_cfa_offset -8
	cld
	movq 152(%rdi), %rcx
	xorl %ebx, %ebx
	testq %rcx, %rcx
	jz .Lours
	movl 160(%rdi), %eax
	xorl %edx, %edx
	xsave64 (%rcx)
	jmp .Lours
x86_step_faulted:
	movl $-1, %ebx
.Lours:
	cld
	fninit
	ldmxcsr 8(%rsp)
	fldcw 12(%rsp)
	movl %ebx, %eax
	addq $16, %rsp
	.cfi_adjust_cfa_offset -16
	popq %rdi
	.cfi_adjust_cfa_offset -8
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
	.cfi_endproc
	.size x86_step_run, . - x86_step_run
	.section .note.GNU-stack, "", @progbits
