/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/vmm_guest.c: a guest for x86 that measures an edu device from inside: what a load and a
 * store of a register take, which trap, and what passes from the store that makes the device
 * interrupt to the guest's handler. It is a multiboot image, so QEMU starts it (-kernel), and so
 * does bench_vmm.c: 32-bit code without paging. What it prints on the first serial port are times
 * in cycles of the processor's time stamp counter: "NAME MINIMUM MEDIAN".
 */
#include <stdint.h>

#define ROUNDS	 1000u
#define BAR	 0xe0000000u /* where nobody placed it */
#define VECTOR	 0x40u
#define EDU	 0x11e81234u
#define APIC_EOI "0xfee000b0"

/* the local APIC (Intel SDM 3A, 11.4.1), and where messages to it go (11.11) */
static volatile uint32_t *const apic_spurious = (void *)0xfee000f0;
#define MESSAGES 0xfee00000u

__asm__(".pushsection .text.boot, \"ax\"\n"
	".balign 4\n"
	".long 0x1badb002, 0, -0x1badb002\n" /* Multiboot 0.6.96, 3.1.1 */
	".globl start\n"
	"start:\n"
	"	mov $stack_end, %esp\n"
	"	lgdt gdt_at\n"
	"	ljmp $8, $1f\n"
	"1:	mov $16, %eax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %es\n"
	"	mov %ax, %ss\n"
	"	call measure\n"
	"2:	hlt\n"
	"	jmp 2b\n"
	".globl on_interrupt, on_nothing\n"
	"on_interrupt:\n"
	"	push %eax\n"
	"	push %edx\n"
	"	rdtsc\n"
	"	mov %eax, came\n"
	"	incl interrupts\n"
	"	movl $0, " APIC_EOI "\n"
	"	pop %edx\n"
	"	pop %eax\n"
	"on_nothing:\n"
	"	iret\n"
	".balign 8\n"
	"gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n" /* flat code, data */
	"gdt_at:	.word 23\n"
	"	.long gdt\n"
	".popsection\n"
	".pushsection .bss\n"
	".balign 16\n"
	"	.skip 8192\n"
	"stack_end:\n"
	".popsection\n");

extern const char on_interrupt[], on_nothing[];
void measure(void);

volatile uint32_t interrupts, came; /* how many, and the low half of the counter at the last one */
static uint64_t idt[256];
static uint32_t times[ROUNDS];

static void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
/* The low half of the time stamp counter: differences are far below it. */
static uint32_t now(void)
{
	uint32_t low;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low)::"edx", "memory");
	return low;
}

static void put(const char *text)
{
	for (; *text; text++) {
		while (!(inb(0x3fd) & 0x20))
			;
		outb(0x3f8, (uint8_t)*text);
	}
}

static void put_number(uint32_t n)
{
	char text[12], *p = text + 11;

	*p = 0;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	put(" ");
	put(p);
}

static void __attribute__((noreturn)) end(const char *why)
{
	put(why);
	put("\n");
	outb(0xf4, 0);
	for (;;)
		__asm__ volatile("hlt");
}

/* PCI 3.0, 3.2.2.3.2: configuration mechanism #1 */
static uint32_t config_read(unsigned slot, unsigned at)
{
	outl(0xcf8, 0x80000000u | slot << 11 | at);
	return inl(0xcfc);
}
static void config_write(unsigned slot, unsigned at, uint32_t v)
{
	outl(0xcf8, 0x80000000u | slot << 11 | at);
	outl(0xcfc, v);
}

static void print_row(const char *name)
{
	for (unsigned gap = ROUNDS / 2; gap; gap /= 2)
		for (unsigned i = gap; i < ROUNDS; i++)
			for (unsigned k = i; k >= gap && times[k - gap] > times[k]; k -= gap) {
				uint32_t t = times[k];

				times[k] = times[k - gap];
				times[k - gap] = t;
			}
	put(name);
	put_number(times[0]);
	put_number(times[ROUNDS / 2]);
	put("\n");
}

static void gate(unsigned vector, const char *to)
{
	uint32_t at = (uint32_t)to;

	idt[vector] = (uint64_t)(at >> 16) << 48 | 0x8e00ull << 32 | 8u << 16 | (at & 0xffff);
}

static unsigned find_device(void)
{
	for (unsigned slot = 0; slot < 32; slot++)
		if (config_read(slot, 0) == EDU)
			return slot;
	end("no edu device");
}

/* Place the BAR if firmware did not, and have the device send a message to VECTOR. */
static volatile uint32_t *set_up(unsigned slot)
{
	uint32_t bar = config_read(slot, 0x10) & ~15u;
	unsigned cap = config_read(slot, 0x34) & 0xfc;

	if (!bar) {
		bar = BAR;
		config_write(slot, 0x10, bar);
	}
	config_write(slot, 4, 6); /* memory, bus master */
	while (cap && (config_read(slot, cap) & 0xff) != 5)
		cap = config_read(slot, cap) >> 8 & 0xfc;
	if (!cap)
		end("no MSI");
	config_write(slot, cap + 4, MESSAGES);
	config_write(slot, cap + 8, 0);
	config_write(slot, cap + 12, VECTOR);
	config_write(slot, cap, config_read(slot, cap) | 1u << 16);
	return (volatile uint32_t *)bar;
}

void measure(void)
{
	struct {
		uint16_t limit;
		uint32_t at;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint32_t)idt };
	volatile uint32_t *edu;

	for (unsigned i = 0; i < 256; i++)
		gate(i, on_nothing);
	gate(VECTOR, on_interrupt);
	/* the interrupt controllers of old, which firmware may have set up */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	edu = set_up(find_device());
	__asm__ volatile("lidt %0" ::"m"(idtr));
	*apic_spurious = 0x1ff;
	__asm__ volatile("sti");
	if (edu[0] != 0x010000edu)
		end("edu does not answer");
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t from = now();

		(void)edu[0];
		times[i] = now() - from;
	}
	print_row("load");
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t from = now();

		edu[1] = i;
		times[i] = now() - from;
	}
	print_row("store");
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t before = interrupts, from = now();

		edu[0x60 / 4] = 1;
		/* far longer than any machine needs */
		while (interrupts == before)
			if (now() - from > 0xf0000000u)
				end("no interrupt");
		times[i] = came - from;
		edu[0x64 / 4] = 1;
	}
	print_row("interrupt");
	end("done");
}
