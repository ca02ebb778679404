/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_vmm.c: the smallest monitor in which vmm_guest.c measures an edu device that
 * uvfio/vmm.h assigned to it: KVM, a processor, memory, a serial port to write to.
 *
 *	vmm vmm_guest.elf
 *
 * QEMU runs the same image with its own edu; bench/vmm compares the two.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uvfio/vmm.h"
#include "bench.h"

#define RAM_SIZE (16u << 20)
#define SLOT	 1u /* of the device on the bus */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static uint8_t *ram;
static uint32_t config_address;

static int no_line(void *ctx, struct uvfio_vm_device *of, unsigned pin)
{
	return -1;
}

static int need(int rc, const char *what)
{
	if (rc < 0)
		bench_die(what, errno);
	return rc;
}

/* Load the image; returns where it begins to run. */
static uint32_t load(const char *path)
{
	int fd = need(open(path, O_RDONLY | O_CLOEXEC), path);
	Elf32_Ehdr head;
	Elf32_Phdr ph;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS32)
		bench_die(path, ENOEXEC);
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), head.e_phoff + i * sizeof(ph)) != sizeof(ph))
			bench_die(path, EIO);
		if (ph.p_type != PT_LOAD)
			continue;
		if (ph.p_memsz > RAM_SIZE || ph.p_paddr > RAM_SIZE - ph.p_memsz ||
		    ph.p_filesz > ph.p_memsz ||
		    pread(fd, ram + ph.p_paddr, ph.p_filesz, ph.p_offset) != (ssize_t)ph.p_filesz)
			bench_die(path, ENOEXEC);
	}
	close(fd);
	return head.e_entry;
}

/* 32-bit code without paging, as multiboot has it. */
static int processor(int vm_fd, int kvm, uint32_t entry)
{
	const struct kvm_segment flat = {
		.limit = 0xffffffff, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = entry, .rflags = 2 };
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 e[128];
	} cpuid = { .head.nent = 128 };
	struct kvm_sregs s;
	int cpu = need(ioctl(vm_fd, KVM_CREATE_VCPU, 0), "a processor");

	need(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "cpuid");
	need(ioctl(cpu, KVM_SET_CPUID2, &cpuid), "cpuid");
	need(ioctl(cpu, KVM_GET_SREGS, &s), "registers");
	s.cs = s.ds = s.es = s.fs = s.gs = s.ss = flat;
	s.cs.type = 11;
	s.ds.type = s.es.type = s.fs.type = s.gs.type = s.ss.type = 3;
	s.cr0 |= 1;
	need(ioctl(cpu, KVM_SET_SREGS, &s), "registers");
	need(ioctl(cpu, KVM_SET_REGS, &regs), "registers");
	return cpu;
}

/* Answer an access of a port, of @size bytes; true: the guest is done. */
static bool port(uint16_t at, bool write, unsigned size, uint8_t *data)
{
	bool ours = config_address >> 31 && (config_address >> 11 & 0x1fff) == SLOT;
	unsigned reg = (config_address & 0xfc) + (at & 3);
	uint32_t v = 0;

	if (write)
		memcpy(&v, data, size);
	if (at == 0xf4)
		return true;
	if (write && at == 0x3f8)
		putchar((int)v);
	else if (write && at == 0xcf8)
		config_address = v;
	else if (write && at >= 0xcfc && at <= 0xcff && ours)
		uvfio_vm_config_write(dev, reg, size, v);
	if (write)
		return false;
	v = UINT32_MAX;
	if (at == 0x3fd)
		v = 0x60; /* the transmitter is empty */
	else if (at >= 0xcfc && at <= 0xcff && ours)
		v = uvfio_vm_config_read(dev, reg, size);
	memcpy(data, &v, size);
	return false;
}

static void run(int cpu, struct kvm_run *k)
{
	for (;;) {
		if (ioctl(cpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			bench_die("KVM_RUN", errno);
		}
		if (k->exit_reason == KVM_EXIT_MMIO) {
			uint64_t v = 0;

			memcpy(&v, k->mmio.data, k->mmio.len);
			if (uvfio_vm_mmio(vm, k->mmio.phys_addr, k->mmio.len, &v, k->mmio.is_write))
				v = UINT64_MAX;
			if (!k->mmio.is_write)
				memcpy(k->mmio.data, &v, k->mmio.len);
		} else if (k->exit_reason == KVM_EXIT_IO) {
			if (port(k->io.port, k->io.direction == KVM_EXIT_IO_OUT, k->io.size,
				 (uint8_t *)k + k->io.data_offset))
				return;
		} else {
			fprintf(stderr, "bench: the guest stopped, exit %u\n", k->exit_reason);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	struct uvfio_vm_kvm back = { .intx_gsi = no_line };
	struct uvfio_vm_memory memory = { .size = RAM_SIZE, .fd = -1 };
	struct kvm_userspace_memory_region slot = { .memory_size = RAM_SIZE };
	int kvm, vm_fd, cpu, size;
	struct kvm_run *k;

	if (argc != 2)
		bench_die("vmm IMAGE", EINVAL);
	kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm_fd = need(ioctl(kvm, KVM_CREATE_VM, 0), "a machine");
	need(ioctl(vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000), "a machine");
	need(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0), "an irqchip");
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		bench_die("memory", errno);
	slot.userspace_addr = (uintptr_t)ram;
	need(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot), "memory");
	memory.host = ram;
	back.vm_fd = vm_fd;
	vm = uvfio_vm_new(NULL, NULL);
	if (!vm || uvfio_vm_use_kvm(vm, &back, NULL) || uvfio_vm_memory_add(vm, &memory) ||
	    uvfio_vm_assign(vm, "edu", NULL, &dev) || uvfio_vm_start_thread(vm)) {
		fprintf(stderr, "bench: %s\n", uvfio_vm_strerror(vm));
		return 1;
	}
	cpu = processor(vm_fd, kvm, load(argv[1]));
	size = need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "a processor");
	k = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	if (k == MAP_FAILED)
		bench_die("a processor", errno);
	/* what a cycle of the guest's counter takes: the guest knows cycles alone */
	printf("khz %d\n", ioctl(cpu, KVM_GET_TSC_KHZ, 0));
	run(cpu, k);
	uvfio_vm_free(vm);
	return 0;
}
