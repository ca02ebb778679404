/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/guard_copy.S: the copy of guard.h. In assembly, so that the place of a fault says how much
 * was done, and so that no sanitizer instruments accesses to memory that belongs to somebody else.
 *
 * size_t guard_copy_asm(void *dst, const void *src, size_t n): return how many bytes are left (0:
 * all done).
 *
 * Ascending and in the widest pieces that fit, each with one move: a device that writes a naturally
 * aligned 2, 4 or 8 bytes is seen to write them at once, and the last word of a structure (a phase
 * bit) becomes visible last. `rep movsb` promises neither and serves only what is large.
 *
 * Each instruction that may fault has a pair (its address, where to go) in guard_fixups, relative
 * to the table: no relocations. A word that straddles into a missing page is tried again by bytes,
 * so that the count is exact.
 */
/* From here on the start-up of rep movsb pays: measured on an AMD EPYC with ERMS and FSRM. */
#define LARGE 320

	.text
	.globl guard_copy_asm
	.hidden guard_copy_asm
	.type guard_copy_asm, @function
	.p2align 5
guard_copy_asm:
	.cfi_startproc
	movq %rdx, %rcx
	cmpq $LARGE, %rcx
	jae .Llarge
	cmpq $8, %rcx
	jb .Ltail4
.p2align 4
.Lwords:
.Lr8:	movq (%rsi), %rax
.Lw8:	movq %rax, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
	subq $8, %rcx
	cmpq $8, %rcx
	jae .Lwords
.Ltail4:
	testb $4, %cl
	jz .Ltail2
.Lr4:	movl (%rsi), %eax
.Lw4:	movl %eax, (%rdi)
	addq $4, %rsi
	addq $4, %rdi
	subq $4, %rcx
.Ltail2:
	testb $2, %cl
	jz .Ltail1
.Lr2:	movzwl (%rsi), %eax
.Lw2:	movw %ax, (%rdi)
	addq $2, %rsi
	addq $2, %rdi
	subq $2, %rcx
.Ltail1:
	testb $1, %cl
	jz .Ldone
.Lr1:	movzbl (%rsi), %eax
.Lw1:	movb %al, (%rdi)
	decq %rcx
.Ldone:
	movq %rcx, %rax
	ret
.Llarge:
.Lrep:	rep movsb
	movq %rcx, %rax
	ret
	/* after a fault in a wider move: byte by byte up to the bad one */
.Lbytes:
	testq %rcx, %rcx
	jz .Ldone
.Lrb:	movb (%rsi), %al
.Lwb:	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rcx
	jmp .Lbytes
	.cfi_endproc
	.size guard_copy_asm, . - guard_copy_asm

/*
 * long guard_strncpy_asm(char *dst, const char *src, size_t max): return the length, with its end
 * copied; -1: a fault; -2: no end within max bytes.
 */
	.globl guard_strncpy_asm
	.hidden guard_strncpy_asm
	.type guard_strncpy_asm, @function
	.p2align 4
guard_strncpy_asm:
	.cfi_startproc
	xorl %eax, %eax
.Lnext:	cmpq %rdx, %rax
	jae .Llong
.Lrs:	movzbl (%rsi,%rax), %ecx
.Lws:	movb %cl, (%rdi,%rax)
	testb %cl, %cl
	jz .Lend
	incq %rax
	jmp .Lnext
.Llong:	movq $-2, %rax
.Lend:	ret
.Lbad:	movq $-1, %rax
	ret
	.cfi_endproc
	.size guard_strncpy_asm, . - guard_strncpy_asm

	.section .rodata
	.p2align 2
	.globl guard_fixups
	.hidden guard_fixups
	.globl guard_fixups_end
	.hidden guard_fixups_end
.macro fixup at, to
	.long \at - guard_fixups
	.long \to - guard_fixups
.endm
guard_fixups:
	fixup .Lr8, .Lbytes
	fixup .Lw8, .Lbytes
	fixup .Lr4, .Lbytes
	fixup .Lw4, .Lbytes
	fixup .Lr2, .Lbytes
	fixup .Lw2, .Lbytes
	fixup .Lr1, .Ldone
	fixup .Lw1, .Ldone
	fixup .Lrep, .Ldone
	fixup .Lrb, .Ldone
	fixup .Lwb, .Ldone
	fixup .Lrs, .Lbad
	fixup .Lws, .Lbad
guard_fixups_end:
	.section .note.GNU-stack, "", @progbits
