/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm.c: a small virtual machine monitor whose guest has PCI devices by libuvfio. It boots Linux on
 * KVM with one processor, a serial console on stdin and stdout, and the devices that are named:
 * software ones of uvfio's, or real ones that are bound to vfio-pci.
 *
 *	vmm --kernel bzImage --initrd initrd --append "console=ttyS0 ..." \
 *		--device nvme,image=disk.img --device 0000:03:00.0
 *
 * What concerns devices stands first. The rest is what any monitor has. There is no firmware: the
 * kernel starts by its 64-bit boot protocol (Documentation/arch/x86/boot.rst), finds processor,
 * IO-APIC and PCI's lines in a table of the MultiProcessor Specification 1.4, and places BARs.
 */
#include <asm/bootparam.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uvfio/vmm.h"

#define SLOTS	     32 /* of bus 0; a host bridge is in the first */
#define FIRST_PIN    16 /* of the IO-APIC: eight lines that the slots share */
#define BOOT_PARAMS  0x7000
#define GDT	     0x8000
#define PAGE_TABLES  0x9000 /* six pages: the first 4 GiB are mapped one to one */
#define COMMAND_LINE 0x20000
#define MP_TABLE     0xf0000
#define KERNEL	     0x100000

static int kvm_fd, vm_fd, vcpu_fd;
static struct kvm_run *run;
static uint8_t *ram;
static uint64_t ram_size;

static int call(int fd, unsigned long cmd, void *arg, const char *what)
{
	int rc = ioctl(fd, cmd, arg);

	if (rc < 0)
		err(1, "%s", what);
	return rc;
}
#define CALL(fd, cmd, arg) call(fd, cmd, (void *)(uintptr_t)(arg), #cmd)

/* ---- devices ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *slots[SLOTS]; /* NULL: empty */
static pthread_rwlock_t slots_lock = PTHREAD_RWLOCK_INITIALIZER;
static uint32_t config_address; /* port 0xcf8 */

/* Return the pin of the IO-APIC to which pin @pin of a slot is soldered: its GSI, too. */
static int gsi_of(uintptr_t slot, unsigned pin)
{
	return FIRST_PIN + (int)((slot + pin) % 8);
}

static int intx_gsi(void *ctx, struct uvfio_vm_device *dev, unsigned pin)
{
	uintptr_t slot = (uintptr_t)uvfio_vm_device_priv(dev);

	return slot ? gsi_of(slot, pin) : -1; /* it has no slot yet: plug_in() */
}

/* Port 0xcfc: config space of what 0xcf8 points at (PCI 3.0, 3.2.2.3.2). */
static uint32_t config_space(unsigned offset, unsigned size, uint32_t value, bool write)
{
	static const uint32_t bridge[64] = { 0x00081b36, [2] = 0x06000000 };
	unsigned slot = config_address >> 11 & 31;

	offset += config_address & 0xfc;
	if (!(config_address >> 31) || config_address & 0x00ff0700)
		return UINT32_MAX; /* another bus, another function: nobody */
	if (!slot)
		return bridge[offset / 4] >> offset % 4 * 8;
	pthread_rwlock_rdlock(&slots_lock);
	if (!slots[slot])
		value = UINT32_MAX;
	else if (write)
		uvfio_vm_config_write(slots[slot], offset, size, value);
	else
		value = uvfio_vm_config_read(slots[slot], offset, size);
	pthread_rwlock_unlock(&slots_lock);
	return value;
}

/* Put a device into the lowest slot that is free. */
static int plug_in(const char *spec, const char *options)
{
	struct uvfio_vm_device *dev;
	uintptr_t n = 1;
	int rc;

	while (n < SLOTS && slots[n])
		n++;
	if (n == SLOTS)
		return -ENOSPC;
	rc = uvfio_vm_assign(vm, spec, options, &dev);
	if (rc) {
		warnx("%s: %s", spec, uvfio_vm_strerror(vm));
		return rc;
	}
	uvfio_vm_device_set_priv(dev, (void *)n);
	uvfio_vm_intx_route_changed(vm); /* intx_gsi() knows it now */
	pthread_rwlock_wrlock(&slots_lock);
	slots[n] = dev;
	pthread_rwlock_unlock(&slots_lock);
	printf("vmm: %s is at 00:%02x.0: %s\r\n", spec, (unsigned)n, uvfio_vm_device_name(dev));
	return 0;
}

static void pull_out(uintptr_t n)
{
	struct uvfio_vm_device *dev;

	pthread_rwlock_wrlock(&slots_lock);
	dev = slots[n];
	slots[n] = NULL;
	pthread_rwlock_unlock(&slots_lock);
	uvfio_vm_unassign(dev); /* NULL: nothing happens */
	printf("vmm: 00:%02x.0 is empty\r\n", (unsigned)n);
}

/* Hear of requests to change the devices while the guest runs: "add SPEC", "del SLOT". */
static void *control_thread(void *arg)
{
	FILE *f = fopen(arg, "r+"); /* a FIFO that always has a writer, so that no end is read */
	char line[512], word[512];
	unsigned n;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "add %511s", word) == 1)
			plug_in(word, "bus=root");
		else if (sscanf(line, "del %x", &n) == 1 && n < SLOTS)
			pull_out(n);
		else
			warnx("control: add SPEC, or del SLOT");
		fflush(stdout);
	}
	return NULL;
}

/* The owner of a real device wants it back. A larger monitor would have the guest agree first. */
static void unplug_requested(void *ctx, struct uvfio_vm_device *dev)
{
	pull_out((uintptr_t)uvfio_vm_device_priv(dev));
}

/* Make the guest known to the library, with KVM as the way for its interrupts. */
static void guest_devices(void)
{
	struct uvfio_vm_ops ops = { .unplug_requested = unplug_requested };
	struct uvfio_vm_kvm kvm = { vm_fd, .kvm_slot = 1, .kvm_slots = 64, .intx_gsi = intx_gsi };
	struct uvfio_vm_memory memory = { .size = ram_size, .host = ram, .fd = -1 };

	vm = uvfio_vm_new(&ops, NULL);
	if (!vm || uvfio_vm_use_kvm(vm, &kvm, NULL) || uvfio_vm_memory_add(vm, &memory) ||
	    uvfio_vm_start_thread(vm))
		errx(1, "%s", uvfio_vm_strerror(vm));
}

/* ---- the serial port: a 16550 whose transmitter is always empty ---- */

enum { UART_DATA, UART_IER, UART_IIR, UART_LCR, UART_MCR, UART_LSR, UART_MSR };
static pthread_mutex_t uart_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t uart[8], uart_in[4096]; /* registers; what stdin had */
static unsigned uart_head, uart_tail;

/* Return what IIR says, and have the line say the same. */
static unsigned uart_interrupt(void)
{
	bool received = uart_head != uart_tail;
	unsigned cause = (uart[UART_IER] & received) ? 4 : uart[UART_IER] & 2 ? 2 : 1;
	struct kvm_irq_level l = { .irq = 4, .level = cause != 1 };

	CALL(vm_fd, KVM_IRQ_LINE, &l);
	return uart[UART_IIR] & 1 ? 0xc0 | cause : cause; /* a FIFO, if it was enabled */
}

static uint8_t uart_access(unsigned reg, uint8_t v, bool is_write)
{
	bool divisor = reg < 2 && uart[UART_LCR] & 0x80; /* any speed will do */

	pthread_mutex_lock(&uart_lock);
	if (is_write && reg == UART_DATA && !divisor) {
		if (write(1, &v, 1) != 1)
			exit(1);
	} else if (is_write) {
		uart[reg] = divisor ? uart[reg] : v;
	} else if (reg == UART_DATA && uart_head != uart_tail) {
		v = uart_in[uart_tail++ % sizeof(uart_in)];
	} else if (reg == UART_LSR) {
		v = 0x60 | (uart_head != uart_tail);
	} else {
		v = reg == UART_MSR ? 0xb0 : reg == UART_IIR ? uart_interrupt() : uart[reg];
	}
	uart_interrupt();
	pthread_mutex_unlock(&uart_lock);
	return v;
}

static void *input_thread(void *arg)
{
	uint8_t c;

	while (read(0, &c, 1) == 1) {
		pthread_mutex_lock(&uart_lock);
		if (uart_head - uart_tail < sizeof(uart_in)) /* else it is lost, as on a wire */
			uart_in[uart_head++ % sizeof(uart_in)] = c;
		uart_interrupt();
		pthread_mutex_unlock(&uart_lock);
	}
	return NULL;
}

/* ---- the guest's kernel ---- */

/* Read a file into the guest's memory; return its size. */
static uint64_t load(const char *path, uint64_t at)
{
	uint64_t room = at < ram_size ? ram_size - at : 0, n = 0;
	FILE *f = fopen(path, "re");

	if (!f || !(n = fread(ram + at, 1, room, f)) || n == room)
		errx(1, "%s cannot be read, or needs more memory", path);
	fclose(f);
	return n;
}

static void load_linux(const char *kernel, const char *initrd, const char *append)
{
	struct boot_params *bp = (struct boot_params *)(ram + BOOT_PARAMS);
	uint64_t size = load(kernel, KERNEL), setup, at;

	memcpy(&bp->hdr, ram + KERNEL + 0x1f1, sizeof(bp->hdr));
	setup = (bp->hdr.setup_sects + 1u) * 512;
	if (size <= setup || bp->hdr.header != 0x53726448 || !(bp->hdr.xloadflags & XLF_KERNEL_64))
		errx(1, "%s is no 64-bit bzImage", kernel);
	memmove(ram + KERNEL, ram + KERNEL + setup, size - setup);
	if (initrd) { /* behind the place to which the kernel unpacks itself */
		at = (bp->hdr.pref_address + bp->hdr.init_size + 0xfff) & ~0xfffull;
		bp->hdr.ramdisk_image = (uint32_t)at;
		bp->hdr.ramdisk_size = (uint32_t)load(initrd, at);
	}
	/* no ACPI and no keyboard controller: a triple fault ends the machine */
	snprintf((char *)ram + COMMAND_LINE, 2048, "pci=conf1 reboot=t %s", append);
	bp->hdr.cmd_line_ptr = COMMAND_LINE;
	bp->hdr.type_of_loader = 0xff;
	bp->e820_entries = 4; /* 1: memory; 2: reserved */
	bp->e820_table[0] = (struct boot_e820_entry){ 0, 0x9f000, 1 };
	bp->e820_table[1] = (struct boot_e820_entry){ MP_TABLE, KERNEL - MP_TABLE, 2 };
	bp->e820_table[2] = (struct boot_e820_entry){ KERNEL, ram_size - KERNEL, 1 };
	bp->e820_table[3] = (struct boot_e820_entry){ 0xfec00000, 0x1400000, 2 }; /* the APICs */
}

/* ---- processor, IO-APIC and lines of PCI: MultiProcessor Specification 1.4, chapter 4 ---- */

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	return (uint8_t *)memcpy(p, bytes, n) + n;
}
/* @flags: 0: as the bus has it; 15: level, active low */
static uint8_t *mp_line(uint8_t *p, uint8_t flags, uint8_t bus, unsigned irq, unsigned pin)
{
	return put(p, (uint8_t[]){ 3, 0, flags, 0, bus, (uint8_t)irq, 1, (uint8_t)pin }, 8);
}
static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum -= *p++;
	return sum;
}

static void mp_table(void)
{
	uint8_t *start = ram + MP_TABLE, *table = start + 16, *p = table + 44;
	uint16_t entries = 1 + 2 + 1 + 16 + (SLOTS - 1) * 4, size;

	p = put(p, (uint8_t[20]){ 0, 0, 0x14, 3, 0, 6, 0, 0, 1, 2 }, 20); /* the processor */
	p = put(p, "\1\0PCI   \1\1ISA   ", 16);
	p = put(p, (uint8_t[]){ 2, 1, 0x11, 1, 0, 0, 0xc0, 0xfe }, 8); /* the IO-APIC */
	for (unsigned i = 0; i < 16; i++)
		p = mp_line(p, 0, 1, i, i);
	for (unsigned i = 4; i < SLOTS * 4; i++)
		p = mp_line(p, 15, 0, i, (unsigned)gsi_of(i / 4, i % 4));
	size = (uint16_t)(p - table);
	put(table, "PCMP\0\0\4\0UVFIO   VMM         ", 28);
	put(table + 4, &size, 2);
	put(table + 34, &entries, 2);
	put(table + 36, (uint8_t[]){ 0, 0, 0xe0, 0xfe }, 4); /* the local APIC */
	table[7] = checksum(table, size);
	/* what points at it: 16 bytes long, revision 1.4 */
	put(start, (uint8_t[16]){ '_', 'M', 'P', '_', 0x10, 0, 0x0f, 0, 1, 4 }, 16);
	start[10] = checksum(start, 16);
}

/* ---- KVM ---- */

static void new_machine(void)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_userspace_memory_region r = { .memory_size = ram_size };
	uint64_t identity_map = 0xfffbc000;

	vm_fd = CALL(kvm_fd, KVM_CREATE_VM, 0);
	CALL(vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	CALL(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	CALL(vm_fd, KVM_CREATE_IRQCHIP, 0);
	CALL(vm_fd, KVM_CREATE_PIT2, &pit);
	ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "memory for the guest");
	guest_devices(); /* devices reach the memory before the guest does */
	r.userspace_addr = (uintptr_t)ram;
	CALL(vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
}

/* All that KVM can, with one processor whose APIC has the number 0 and a deadline timer. */
static void set_cpuid(void)
{
	struct {
		struct kvm_cpuid2 c;
		struct kvm_cpuid_entry2 entries[256];
	} id = { .c.nent = 256 };

	CALL(kvm_fd, KVM_GET_SUPPORTED_CPUID, &id);
	for (struct kvm_cpuid_entry2 *e = id.entries; e < id.entries + id.c.nent; e++) {
		if (e->function == 1) {
			e->ebx &= 0xffffff;
			if (CALL(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER))
				e->ecx |= 1u << 24;
		}
		if (e->function == 0xb || e->function == 0x1f)
			e->edx = 0;
	}
	CALL(vcpu_fd, KVM_SET_CPUID2, &id);
}

/* In 64-bit mode at the kernel's entry, as its boot protocol wants it. */
static void set_registers(void)
{
	struct kvm_segment segment = { 0, UINT32_MAX, 0x18, .type = 3, .present = 1 };
	struct kvm_regs r = { .rip = KERNEL + 0x200, .rsi = BOOT_PARAMS, .rflags = 2 };
	uint64_t *gdt = (uint64_t *)(ram + GDT), *table = (uint64_t *)(ram + PAGE_TABLES);
	struct kvm_sregs s;

	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	table[0] = (PAGE_TABLES + 0x1000) | 3;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (PAGE_TABLES + 0x2000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 2048; i++)
		table[1024 + i] = i << 21 | 0x83;
	CALL(vcpu_fd, KVM_GET_SREGS, &s);
	segment.s = segment.g = segment.db = 1;
	s.cs = s.ds = s.es = s.fs = s.gs = s.ss = segment;
	s.cs.selector = 0x10;
	s.cs.type = 11; /* code */
	s.cs.db = 0;
	s.cs.l = 1; /* of 64 bits */
	s.gdt.base = GDT;
	s.gdt.limit = 31;
	s.cr3 = PAGE_TABLES;
	s.cr4 = 0x20;	    /* PAE */
	s.cr0 = 0x80000011; /* paging, protected mode */
	s.efer = 0x500;	    /* long mode */
	CALL(vcpu_fd, KVM_SET_SREGS, &s);
	CALL(vcpu_fd, KVM_SET_REGS, &r);
}

static void new_processor(void)
{
	size_t size = (size_t)CALL(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu_fd = CALL(vm_fd, KVM_CREATE_VCPU, 0);
	set_cpuid();
	set_registers();
	run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	if (run == MAP_FAILED)
		err(1, "the processor's state");
}

/* A port: @v is what the guest writes; return what it reads. */
static uint32_t port(uint16_t p, unsigned size, uint32_t v, bool write)
{
	if (p == 0xcf8 && size == 4)
		return write ? (config_address = v) : config_address;
	if (p >= 0xcfc && p < 0xd00)
		return config_space(p & 3, size, v, write);
	if (p >= 0x3f8 && p < 0x400)
		return uart_access(p & 7, (uint8_t)v, write);
	if (p == 0x71)
		return 0; /* a clock chip that is never busy */
	return uvfio_vm_pio(vm, p, size, &v, write) ? UINT32_MAX : v;
}

static void exit_io(void)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool write = run->io.direction == KVM_EXIT_IO_OUT;

	for (unsigned i = 0; i < run->io.count; i++, data += run->io.size) {
		uint32_t v = 0;

		memcpy(&v, data, run->io.size);
		v = port(run->io.port, run->io.size, v, write);
		memcpy(data, &v, run->io.size);
	}
}

static void exit_mmio(void)
{
	uint64_t v = 0;

	memcpy(&v, run->mmio.data, run->mmio.len);
	if (uvfio_vm_mmio(vm, run->mmio.phys_addr, run->mmio.len, &v, run->mmio.is_write))
		v = UINT64_MAX;
	memcpy(run->mmio.data, &v, run->mmio.len);
}

static void run_guest(void)
{
	while (true) {
		if (ioctl(vcpu_fd, KVM_RUN, 0)) {
			/* EFAULT: a BAR that was mapped is gone: the library has trapped it now */
			if (errno == EINTR || (errno == EFAULT && uvfio_vm_fault(vm)))
				continue;
			err(1, "KVM_RUN");
		}
		if (run->exit_reason == KVM_EXIT_IO)
			exit_io();
		else if (run->exit_reason == KVM_EXIT_MMIO)
			exit_mmio();
		else if (run->exit_reason == KVM_EXIT_SHUTDOWN)
			return;
		else
			errx(1, "KVM stops with reason %u", run->exit_reason);
	}
}

int main(int argc, char **argv)
{
	const char *kernel = NULL, *initrd = NULL, *append = "console=ttyS0";
	const char *mem = "256", *spec[SLOTS], *options[SLOTS];
	char *control = NULL;
	unsigned n = 0;
	pthread_t t;

	for (; argc > 2; argc -= 2, argv += 2) {
		if (!strcmp(argv[1], "--kernel"))
			kernel = argv[2];
		else if (!strcmp(argv[1], "--initrd"))
			initrd = argv[2];
		else if (!strcmp(argv[1], "--append"))
			append = argv[2];
		else if (!strcmp(argv[1], "--mem"))
			mem = argv[2];
		else if (!strcmp(argv[1], "--control"))
			control = argv[2];
		else if (!strcmp(argv[1], "--device") && n < SLOTS - 1)
			options[n] = "bus=root", spec[n++] = argv[2];
		else if (!strcmp(argv[1], "--options") && n)
			options[n - 1] = argv[2];
		else
			break;
	}
	ram_size = strtoull(mem, NULL, 0) << 20;
	if (argc > 1 || !kernel || ram_size < 64 << 20 || ram_size > 3072ull << 20)
		errx(2, "vmm --kernel FILE [--initrd FILE] [--append TEXT] [--mem MIB, 64 to 3072] "
			"[--control FIFO] [--device SPEC [--options TEXT]]...");
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		err(1, "/dev/kvm");
	new_machine();
	for (unsigned i = 0; i < n; i++)
		if (plug_in(spec[i], options[i]))
			return 1;
	load_linux(kernel, initrd, append);
	mp_table();
	new_processor();
	if (pthread_create(&t, NULL, input_thread, NULL) ||
	    (control && pthread_create(&t, NULL, control_thread, control)))
		errx(1, "no thread");
	run_guest();
	uvfio_vm_free(vm);
	return 0;
}
