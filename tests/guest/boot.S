/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/guest/boot.S: a boot sector that reads 8 times 64 sectors behind itself through int 13h,
 * function 42h, prints the sum of their bytes on COM1, and ends QEMU (isa-debug-exit at 0xf4). The
 * BIOS's own NVMe driver, which polls, does the reading.
 */
.code16
.globl _start
_start:
	xorw %ax,%ax
	movw %ax,%ds
	movw %ax,%es
	movw %ax,%ss
	movw $0x7c00,%sp
	movb %dl,drive
	movw $msg,%si
	call puts
	movw $0x1000,%ax
	movw %ax,%es
	xorl %edi,%edi
	movw $8,%cx
1:	pushw %cx
	movb $0x42,%ah
	movb drive,%dl
	movw $dap,%si
	int $0x13
	jc bad
	xorw %bx,%bx
2:	movzbl %es:(%bx),%eax
	addl %eax,%edi
	incw %bx
	cmpw $32768,%bx
	jne 2b
	addl $64,dap+8
	popw %cx
	loop 1b
	movl %edi,%eax
	movw $8,%cx
3:	roll $4,%eax
	movl %eax,%ebx
	andb $15,%al
	addb $'0',%al
	cmpb $'9',%al
	jbe 4f
	addb $39,%al
4:	call putc
	movl %ebx,%eax
	loop 3b
	movw $done,%si
	call puts
	jmp end
bad:	movw $err,%si
	call puts
end:	movw $0xf4,%dx
	movb $0,%al
	outb %al,%dx
	hlt
puts:	lodsb
	testb %al,%al
	jz 1f
	call putc
	jmp puts
1:	ret
putc:	movw $0x3f8,%dx
	outb %al,%dx
	ret
msg:	.asciz "boot sector runs, sum "
done:	.asciz " end\n"
err:	.asciz "int13 error\n"
drive:	.byte 0
.balign 4
dap:	.byte 16,0
	.word 64
	.word 0,0x1000
	.quad 1
.org 510
.word 0xaa55
