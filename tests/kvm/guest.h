/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/kvm/guest.h: a guest of KVM's of a few instructions, which does one thing after the other
 * as a test asks it, and counts interrupts. It sleeps (hlt) with interrupts on in between; a
 * message with vector WAKE, which counts nothing, has it ask for what there is to do, by a read of
 * a port.
 */
#ifndef TESTS_KVM_GUEST_H
#define TESTS_KVM_GUEST_H
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "uvfio/vmm.h"

#define MEMORY	    (4u << 20)
#define FREE_MEMORY (3u << 20) /* a MiB that nothing else uses */
#define WAKE	    0x30
#define FIRST_IRQ   0x40 /* 64 vectors that are counted */
#define PIN_A	    18	 /* the IO-APIC's, vectors 0x50 and 0x51: their handler serves devices */
#define PIN_B	    19
#define IRQ_A	    0x50
#define IRQ_B	    0x51

/* Things that the guest can do. */
enum op { OP_SLEEP, OP_LOAD, OP_STORE, OP_LOAD8, OP_SPIN, OP_HOLD, OP_IN, OP_OUT };

/* At 0x8000 in the guest's memory; the code below has the offsets. */
struct shared {
	uint64_t addr, value; /* 0x00, 0x08: of what it does */
	uint32_t stop;	      /* 0x10: SPIN and HOLD end */
	uint32_t spins;	      /* 0x14: loads of SPIN */
	uint32_t serve[4];    /* 0x18: where devices say that they interrupt, in bit 0; 0: none */
	uint32_t io_apic;     /* 0x28: there is one */
	uint32_t served;      /* 0x2c: how many lines the handler took down */
	uint32_t holds;	      /* 0x30: it is in HOLD */
	uint32_t end_offset;  /* 0x34: a line is ended so far behind the register of serve[], */
	uint32_t end_value;   /* 0x38: by this; 0 and 0 for testdevs */
	uint32_t unused[49];
	uint32_t count[64]; /* 0x100: by vector */
};

extern const char guest_code[], guest_stubs[], guest_wake[], guest_end[];
__asm__(".pushsection .rodata\n"
	".code64\n"
	"guest_code:\n"
	"  mov $0x8000, %edi\n"
	"  mov $0xfee00000, %ebx\n"
	"  movl $0x1ff, 0xf0(%rbx)\n" /* the local APIC is on */
	"  movl $0, 0x80(%rbx)\n"
	"  cmpl $0, 0x28(%rdi)\n"
	"  je 1f\n"
	"  mov $0xfec00000, %ecx\n"
	"  movl $0x34, (%rcx)\n" /* pin 18: level, vector 0x50 */
	"  movl $0x8050, 0x10(%rcx)\n"
	"  movl $0x35, (%rcx)\n"
	"  movl $0, 0x10(%rcx)\n"
	"  movl $0x36, (%rcx)\n" /* pin 19: level, vector 0x51 */
	"  movl $0x8051, 0x10(%rcx)\n"
	"  movl $0x37, (%rcx)\n"
	"  movl $0, 0x10(%rcx)\n"
	"1: cli\n"
	"  in $0xe8, %eax\n" /* what is there to do? */
	"  mov (%rdi), %rsi\n"
	"  mov 8(%rdi), %rdx\n"
	"  cmp $1, %eax\n je 11f\n"
	"  cmp $2, %eax\n je 12f\n"
	"  cmp $3, %eax\n je 13f\n"
	"  cmp $4, %eax\n je 14f\n"
	"  cmp $5, %eax\n je 15f\n"
	"  cmp $6, %eax\n je 16f\n"
	"  cmp $7, %eax\n je 17f\n"
	"  sti\n"
	"guest_halt: hlt\n"
	"guest_awake: jmp 1b\n"
	"11: mov (%rsi), %edx\n jmp 9f\n"
	"12: mov %edx, (%rsi)\n jmp 9f\n"
	"13: mov (%rsi), %rdx\n jmp 9f\n"
	"14: sti\n" /* loads until it is told to stop */
	"2: mov (%rsi), %edx\n"
	"  mov %rdx, 8(%rdi)\n"
	"  lock incl 0x14(%rdi)\n"
	"  cmpl $0, 0x10(%rdi)\n"
	"  je 2b\n"
	"  jmp 9f\n"
	"15: movl $1, 0x30(%rdi)\n" /* takes no interrupts until it is told to stop */
	"3: pause\n"
	"  cmpl $0, 0x10(%rdi)\n"
	"  je 3b\n"
	"  movl $0, 0x30(%rdi)\n"
	"  jmp 9f\n"
	"16: mov %esi, %edx\n in (%dx), %eax\n mov %eax, %edx\n jmp 9f\n"
	"17: mov %edx, %eax\n mov %esi, %edx\n out %eax, (%dx)\n"
	"9: mov %rdx, 8(%rdi)\n"
	"  out %al, $0xe9\n" /* done */
	"  jmp 1b\n"
	/*
	 * An emulated processor may lose the shadow of sti when it leaves the guest there: a
	 * message that comes between sti and hlt must not be slept over.
	 */
	"guest_wake:\n"
	"  push %rax\n"
	"  lea guest_halt(%rip), %rax\n"
	"  cmp %rax, 8(%rsp)\n"
	"  jne 10f\n"
	"  lea guest_awake(%rip), %rax\n"
	"  mov %rax, 8(%rsp)\n"
	"10: pop %rax\n"
	"  movl $0, 0xb0(%rbx)\n"
	"  iretq\n"
	"  .set v, 0x40\n"
	"  .balign 16\n"
	"guest_stubs:\n"
	"  .rept 64\n"
	"  .balign 16\n"
	"  pushq $v\n"
	"  jmp 4f\n"
	"  .set v, v + 1\n"
	"  .endr\n"
	"4: push %rax\n"
	"  push %rcx\n"
	"  push %rdx\n"
	"  mov 24(%rsp), %eax\n"
	"  cmp $0x50, %eax\n je 5f\n"
	"  cmp $0x51, %eax\n je 5f\n"
	"6: lock incl (%rdi,%rax,4)\n" /* 0x8000 + 0x40 * 4 is count[0] */
	"  movl $0, 0xb0(%rbx)\n"
	"  pop %rdx\n"
	"  pop %rcx\n"
	"  pop %rax\n"
	"  add $8, %rsp\n"
	"  iretq\n"
	/* a line: the first device that asks for it is served, as a driver serves its own */
	"5: xor %ecx, %ecx\n"
	"7: mov 0x18(%rdi,%rcx,4), %edx\n"
	"  test %edx, %edx\n jz 8f\n"
	"  testl $1, (%rdx)\n jz 8f\n"
	"  add 0x34(%rdi), %edx\n"
	"  mov 0x38(%rdi), %ecx\n"
	"  mov %ecx, (%rdx)\n"
	"  lock incl 0x2c(%rdi)\n"
	"  jmp 6b\n"
	"8: inc %ecx\n"
	"  cmp $4, %ecx\n"
	"  jne 7b\n"
	"  jmp 6b\n"
	"guest_end:\n"
	".popsection\n");

enum irqchip { IRQCHIP_FULL, IRQCHIP_SPLIT };

struct guest {
	int fd, cpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *memory;
	volatile struct shared *shared;
	struct uvfio_vm *vm;
	pthread_t thread;
	pthread_mutex_t lock; /* guards op and done */
	pthread_cond_t cond;
	enum op op;
	bool done;
	atomic_bool stop;
	atomic_int error;	/* of KVM_RUN, or the reason of an exit that nobody expects */
	atomic_uint mmio_exits; /* of anything but the APICs */
	atomic_int eoi_vector;	/* of the last KVM_EXIT_IOAPIC_EOI */
	void (*on_eoi)(struct guest *g, int vector);
};

static int kvm_fd = -1;

static inline uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
static inline void nap_ms(unsigned ms)
{
	usleep(ms * 1000);
}
/* Wait until @x holds, 20 s at most: a slow machine is no fault. True if it did. */
#define EVENTUALLY(x)                             \
	({                                        \
		uint64_t end_ = now_ms() + 20000; \
                                                  \
		while (!(x) && now_ms() < end_)   \
			usleep(500);              \
		(x);                              \
	})

static inline void set_gate(uint8_t *memory, int vector, uint64_t to)
{
	uint32_t gate[4] = { 8u << 16 | (to & 0xffff), (uint32_t)((to & 0xffff0000u) | 0x8e00) };

	memcpy(memory + 0x3000 + vector * 16, gate, sizeof(gate));
}

/* The guest's own message: @vector at its processor. */
static inline void message(struct guest *g, int vector)
{
	struct kvm_msi m = { .address_lo = 0xfee00000, .data = (uint32_t)vector };

	if (ioctl(g->fd, KVM_SIGNAL_MSI, &m) < 0)
		perror("KVM_SIGNAL_MSI");
}

static inline void guest_port(struct guest *g)
{
	uint8_t *data = (uint8_t *)g->run + g->run->io.data_offset;
	bool write = g->run->io.direction == KVM_EXIT_IO_OUT;
	uint32_t v = 0;

	pthread_mutex_lock(&g->lock);
	if (g->run->io.port == 0xe8) {
		v = g->op;
		g->op = OP_SLEEP;
	} else if (g->run->io.port == 0xe9) {
		g->done = true;
		pthread_cond_broadcast(&g->cond);
	}
	pthread_mutex_unlock(&g->lock);
	if (g->run->io.port != 0xe8 && g->run->io.port != 0xe9) {
		memcpy(&v, data, g->run->io.size);
		if (!g->vm || uvfio_vm_pio(g->vm, g->run->io.port, g->run->io.size, &v, write))
			v = UINT32_MAX;
	}
	memcpy(data, &v, g->run->io.size);
}

static inline void guest_mmio(struct guest *g)
{
	uint64_t v = 0;

	atomic_fetch_add(&g->mmio_exits, 1);
	memcpy(&v, g->run->mmio.data, g->run->mmio.len);
	if (!g->vm || uvfio_vm_mmio(g->vm, g->run->mmio.phys_addr, g->run->mmio.len, &v,
				    g->run->mmio.is_write))
		v = UINT64_MAX;
	memcpy(g->run->mmio.data, &v, g->run->mmio.len);
}

/* Say where the processor is that does not answer, and which vectors wait for it. */
static inline void guest_describe(struct guest *g)
{
	struct kvm_regs r = { 0 };
	struct kvm_lapic_state apic = { 0 };
	const uint32_t *word = (const uint32_t *)apic.regs;

	if (ioctl(g->cpu, KVM_GET_REGS, &r))
		return;
	printf("     rip 0x%llx flags 0x%llx\n", r.rip, r.rflags);
	if (ioctl(g->cpu, KVM_GET_LAPIC, &apic))
		return;
	for (unsigned i = 0; i < 8; i++)
		if (word[(0x100 + i * 16) / 4] | word[(0x200 + i * 16) / 4])
			printf("     vectors 0x%x..: in service 0x%x, requested 0x%x\n", i * 32,
			       word[(0x100 + i * 16) / 4], word[(0x200 + i * 16) / 4]);
	fflush(stdout);
}

static inline void *guest_main(void *arg)
{
	struct guest *g = arg;

	while (!atomic_load(&g->stop)) {
		if (ioctl(g->cpu, KVM_RUN, 0) < 0) {
			if (atomic_load(&g->error) == ETIMEDOUT) {
				guest_describe(g);
				break;
			}
			if (errno == EINTR || errno == EAGAIN ||
			    (errno == EFAULT && g->vm && uvfio_vm_fault(g->vm)))
				continue;
			atomic_store(&g->error, errno);
			break;
		}
		switch (g->run->exit_reason) {
		case KVM_EXIT_IO:
			guest_port(g);
			break;
		case KVM_EXIT_MMIO:
			guest_mmio(g);
			break;
		case KVM_EXIT_IOAPIC_EOI:
			atomic_store(&g->eoi_vector, g->run->eoi.vector);
			if (g->on_eoi)
				g->on_eoi(g, g->run->eoi.vector);
			break;
		case KVM_EXIT_HLT:
			break;
		default:
			printf("     the guest ends with reason %u\n", g->run->exit_reason);
			atomic_store(&g->error, 1000 + (int)g->run->exit_reason);
			return NULL;
		}
	}
	return NULL;
}

/* In 64-bit mode, with the first 4 GiB one to one. */
static inline bool guest_registers(struct guest *g)
{
	struct kvm_segment segment = {
		.limit = UINT32_MAX, .selector = 16, .type = 3, .present = 1
	};
	struct kvm_regs r = { .rip = 0x10000, .rsp = 0x20000, .rflags = 2 };
	uint64_t *table = (uint64_t *)(g->memory + 0x1000), *gdt = (uint64_t *)(g->memory + 0x9000);
	struct kvm_sregs s;

	table[0] = 0x2000 | 3;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (0x4000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 2048; i++)
		table[1536 + i] = i << 21 | 0x83;
	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	if (ioctl(g->cpu, KVM_GET_SREGS, &s))
		return false;
	segment.s = segment.g = segment.db = 1;
	s.cs = s.ds = s.es = s.fs = s.gs = s.ss = segment;
	s.cs.selector = 8;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.gdt.base = 0x9000;
	s.gdt.limit = 23;
	s.idt.base = 0x3000;
	s.idt.limit = 0xfff;
	s.cr0 = 0x80050033;
	s.cr3 = 0x1000;
	s.cr4 = 0x20;
	s.efer = 0x500;
	return !ioctl(g->cpu, KVM_SET_SREGS, &s) && !ioctl(g->cpu, KVM_SET_REGS, &r);
}

static inline bool guest_cpuid(struct guest *g)
{
	struct {
		struct kvm_cpuid2 c;
		struct kvm_cpuid_entry2 entries[256];
	} id = { .c.nent = 256 };

	return !ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &id) && !ioctl(g->cpu, KVM_SET_CPUID2, &id);
}

static void no_signal(int signal)
{
	(void)signal; /* only to get out of KVM_RUN */
}

/* Make a guest, which does not run yet. */
static inline bool guest_new(struct guest *g, enum irqchip chip)
{
	struct kvm_userspace_memory_region r = { .memory_size = MEMORY };
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct sigaction sa = { .sa_handler = no_signal };

	*g = (struct guest){ .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
	sigaction(SIGUSR1, &sa, NULL);
	g->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (g->fd < 0 || ioctl(g->fd, KVM_SET_TSS_ADDR, 0xfffbd000) ||
	    (chip == IRQCHIP_FULL ? ioctl(g->fd, KVM_CREATE_IRQCHIP, 0)
				  : ioctl(g->fd, KVM_ENABLE_CAP, &split)))
		return false;
	g->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r.userspace_addr = (uintptr_t)g->memory;
	if (g->memory == MAP_FAILED || ioctl(g->fd, KVM_SET_USER_MEMORY_REGION, &r))
		return false;
	g->shared = (volatile struct shared *)(g->memory + 0x8000);
	g->shared->io_apic = chip == IRQCHIP_FULL;
	g->cpu = ioctl(g->fd, KVM_CREATE_VCPU, 0);
	g->run_size = (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	g->run = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->cpu, 0);
	if (g->cpu < 0 || g->run == MAP_FAILED || !guest_cpuid(g) || !guest_registers(g))
		return false;
	memcpy(g->memory + 0x10000, guest_code, (size_t)(guest_end - guest_code));
	for (int i = 0; i < 64; i++)
		set_gate(g->memory, FIRST_IRQ + i,
			 0x10000 + (uint64_t)(guest_stubs - guest_code) + (uint64_t)i * 16);
	set_gate(g->memory, WAKE, 0x10000 + (uint64_t)(guest_wake - guest_code));
	return true;
}

/* Ask the guest to begin with @op; guest_wait() waits for its end. */
static inline void guest_begin(struct guest *g, enum op op, uint64_t addr, uint64_t value)
{
	pthread_mutex_lock(&g->lock);
	g->shared->addr = addr;
	g->shared->value = value;
	g->shared->stop = 0;
	g->done = false;
	g->op = op;
	pthread_mutex_unlock(&g->lock);
	message(g, WAKE);
}

/* The guest does not answer: the case fails, and the processor stops. */
static inline void guest_is_lost(struct guest *g)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&g->error, &none, ETIMEDOUT)) {
		printf("     the guest does not answer (error %d)\n", none);
		return;
	}
	puts("     the guest does not answer");
	g->run->immediate_exit = 1;
	pthread_kill(g->thread, SIGUSR1);
}

/* Return the value, of a load; all ones if the guest does not answer. */
static inline uint64_t guest_wait(struct guest *g)
{
	uint64_t end = now_ms() + 30000, value = UINT64_MAX;
	struct timespec t;
	bool done;

	pthread_mutex_lock(&g->lock);
	while (!g->done && !atomic_load(&g->error) && now_ms() < end) {
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec++;
		pthread_cond_timedwait(&g->cond, &g->lock, &t);
	}
	done = g->done;
	if (done)
		value = g->shared->value;
	pthread_mutex_unlock(&g->lock);
	if (!done)
		guest_is_lost(g);
	return value;
}

static inline uint64_t guest_do(struct guest *g, enum op op, uint64_t addr, uint64_t value)
{
	guest_begin(g, op, addr, value);
	return guest_wait(g);
}

static inline uint64_t guest_stop_op(struct guest *g)
{
	g->shared->stop = 1;
	return guest_wait(g);
}

static inline unsigned count_of(struct guest *g, unsigned vector)
{
	return __atomic_load_n(&g->shared->count[vector - FIRST_IRQ], __ATOMIC_SEQ_CST);
}

/* When it returns the guest has taken all interrupts that had arrived. */
static inline void guest_settle(struct guest *g)
{
	guest_do(g, OP_LOAD, 0x8000, 0);
	guest_do(g, OP_LOAD, 0x8000, 0);
}

/*
 * Return how often the line @vector was served and found nothing, once it is quiet: a level may be
 * taken twice, as a real one may, but an interrupt that was served counts once.
 */
static inline unsigned guest_spurious(struct guest *g, unsigned vector)
{
	unsigned n;

	guest_settle(g);
	n = count_of(g, vector) - g->shared->served;
	if (n)
		printf("     %u interrupts found nothing to do\n", n);
	return n;
}

static inline bool guest_start(struct guest *g)
{
	if (pthread_create(&g->thread, NULL, guest_main, g))
		return false;
	return guest_do(g, OP_LOAD, 0x8028, 0) <= 1;
}

/* The processor stops for good: nothing of the guest's runs any more. */
static inline void guest_stop(struct guest *g)
{
	atomic_store(&g->stop, true);
	g->run->immediate_exit = 1;
	pthread_kill(g->thread, SIGUSR1);
	pthread_join(g->thread, NULL);
}
static inline void guest_free(struct guest *g)
{
	munmap(g->run, g->run_size);
	close(g->cpu);
	close(g->fd);
	munmap(g->memory, MEMORY);
}
#endif
