/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/kvm/kvm_slot.c: `kvm_slot ADDRESS`: a VFIO program of libc alone, of an edu by its group,
 * that gives a mapped BAR to a guest of KVM's as memory. The guest, five instructions in real mode,
 * loads the device's id from there, inverts a word by it, and says both by a port: three exits in
 * all. Under `uvfio run --device host=ADDRESS` and on the kernel's vfio-pci alone it is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096ul
#define BAR_GPA 0xa0000ul
#define EDU_ID	0x10000edu

/* At 0x1000; ds is the BAR's */
extern const char code[], code_end[];
__asm__(".pushsection .rodata\n"
	".code16\n"
	"code:\n"
	"  mov (0), %eax\n"
	"  mov $0xe9, %dx\n"
	"  out %eax, %dx\n"
	"  movl $0x12345678, (4)\n"
	"  mov (4), %eax\n"
	"  out %eax, %dx\n"
	"  hlt\n"
	"code_end:\n"
	".code64\n"
	".popsection\n");

static int failed;

static bool check(bool ok, const char *what)
{
	printf("%s %s%s%s\n", ok ? "ok  " : "FAIL", what, ok ? "" : ": ",
	       ok ? "" : strerror(errno));
	failed += !ok;
	return ok;
}

/* Open the device at @address. -1: errno says why not. */
static int open_device(const char *address, uint64_t *bar_offset)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	int container = open("/dev/vfio/vfio", O_RDWR), group, dev;
	char path[96], link[96], *number;
	uint16_t command = PCI_COMMAND_MEMORY;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	number = strrchr(link, '/');
	if (!number)
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio%s", number);
	group = open(path, O_RDWR);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -1;
	dev = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address);
	if (dev < 0 || ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &bar) ||
	    pwrite(dev, &command, sizeof(command),
		   (off_t)((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + PCI_COMMAND) !=
		    sizeof(command))
		return -1;
	*bar_offset = bar.offset;
	return dev;
}

static int set_slot(int vm, uint32_t slot, uint64_t gpa, void *at)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)at,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static int start(int cpu)
{
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(cpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.ds.base = BAR_GPA;
	sregs.ds.selector = BAR_GPA >> 4;
	return ioctl(cpu, KVM_SET_SREGS, &sregs) || ioctl(cpu, KVM_SET_REGS, &regs);
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR), vm = ioctl(kvm, KVM_CREATE_VM, 0),
	    cpu = ioctl(vm, KVM_CREATE_VCPU, 0), dev, size, exits = 0;
	uint32_t said[2] = { 0 };
	struct kvm_run *run;
	uint64_t offset = 0;
	void *memory, *bar;

	dev = argc > 1 ? open_device(argv[1], &offset) : -1;
	if (!check(cpu >= 0 && dev >= 0, "a guest of KVM's, and a device"))
		return 1;
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, (off_t)offset);
	if (!check(bar != MAP_FAILED, "its BAR is mapped, though KVM is in use"))
		return 1;
	check(*(volatile uint32_t *)bar == EDU_ID, "a load of our own");
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(memory, code, (size_t)(code_end - code));
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	check(!set_slot(vm, 0, 0x1000, memory) && !set_slot(vm, 1, BAR_GPA, bar),
	      "it is memory of the guest");
	check(!start(cpu), "the guest begins");
	for (; exits < 9; exits++) {
		if ((ioctl(cpu, KVM_RUN, 0) && !check(false, "it runs")) ||
		    run->exit_reason != KVM_EXIT_IO)
			break;
		if (exits < 2)
			memcpy(&said[exits], (char *)run + run->io.data_offset, sizeof(said[0]));
	}
	check(exits == 2 && run->exit_reason == KVM_EXIT_HLT, "no access of the BAR came out");
	check(said[0] == EDU_ID, "the device's id by a load of the guest");
	check(said[1] == ~0x12345678u, "a store and a load of it");
	return failed != 0;
}
