/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/memory.c: the memory of a virtual machine (uvfio/vmm.h), and resets, with real
 * devices: in a guest whose kernel has VFIO and an IOMMU of 39 bits; host.sh boots it, and says
 * there which devices are where. Arguments: names of cases. The numbers are those of docs/vmm.md.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "lib/cases.h"
#include "vmm/internal.h"

#define EDU	  "0000:02:01.0" /* on a bus of PCI, a group with the next one */
#define NEIGHBOUR "0000:02:02.0" /* an e1000 */
#define NVME	  "0000:03:00.0"
#define IGB	  "0000:04:00.0"
#define LONE_EDU  "0000:05:00.0"

/* QEMU's docs/specs/edu.rst */
#define EDU_ID	   0x00u
#define EDU_STATUS 0x20u
#define EDU_SRC	   0x80u
#define EDU_DST	   0x88u
#define EDU_COUNT  0x90u
#define EDU_CMD	   0x98u
#define EDU_RUN	   1u
#define EDU_OUT	   2u /* from the buffer to memory */
#define EDU_BUFFER 0x40000u

#define K 4096ull

/* ---- a guest ---- */

static struct uvfio_vm *vm;
static char *mem;

/* BAR0 of the device that was assigned last, while it is mapped. */
static void *bar0;

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool level)
{
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
}

static int bar_map(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa, uint64_t size,
		   void *host, bool readonly)
{
	if (!bar)
		bar0 = host;
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	if (!bar)
		bar0 = NULL;
}

static void begin(void)
{
	static const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = msi };
	static const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };

	vm = uvfio_vm_new(&ops, NULL);
	CHECK(vm && uvfio_vm_use_irq_ops(vm, &irq, NULL) == 0);
	mem = mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mem != MAP_FAILED);
}

static void end(void)
{
	uvfio_vm_free(vm);
	munmap(mem, 64 * K);
}

static struct uvfio_vm_device *assign(const char *addr, const char *options)
{
	struct uvfio_vm_device *dev = NULL;
	int rc = uvfio_vm_assign(vm, addr, options, &dev);

	if (rc)
		printf("     %s: %s\n", addr, uvfio_vm_strerror(vm));
	CHECK(rc == 0);
	if (rc)
		exit(1);
	return dev;
}

static int add(uint64_t gpa, uint64_t size, void *host, unsigned flags)
{
	const struct uvfio_vm_memory m = {
		.gpa = gpa, .size = size, .host = host, .fd = -1, .flags = flags
	};

	return uvfio_vm_memory_add(vm, &m);
}

static bool says(const char *text)
{
	if (strstr(uvfio_vm_strerror(vm), text))
		return true;
	printf("     it says: %s\n", uvfio_vm_strerror(vm));
	return false;
}

/* ---- an edu's DMA ---- */

/* Have the guest place BAR0 and let the device do DMA. */
static void place(struct uvfio_vm_device *dev, uint32_t gpa)
{
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, gpa);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void edu_dma(struct uvfio_vm_device *dev, uint64_t gpa, unsigned n, bool out)
{
	uvfio_vm_bar_write(dev, 0, EDU_SRC, 8, out ? EDU_BUFFER : gpa);
	uvfio_vm_bar_write(dev, 0, EDU_DST, 8, out ? gpa : EDU_BUFFER);
	uvfio_vm_bar_write(dev, 0, EDU_COUNT, 8, n);
	uvfio_vm_bar_write(dev, 0, EDU_CMD, 8, EDU_RUN | (out ? EDU_OUT : 0));
	while (uvfio_vm_bar_read(dev, 0, EDU_CMD, 8) & EDU_RUN)
		usleep(1000);
}

/* True if an edu brings what memory at @from has, which is at @src here, to @to, at @dst. */
static bool copies(struct uvfio_vm_device *dev, uint64_t from, char *src, uint64_t to, char *dst)
{
	static unsigned seed;

	for (unsigned i = 0; i < 64; i++)
		src[i] = (char)(++seed * 7);
	memset(dst, 0, 64);
	edu_dma(dev, from, 64, false);
	edu_dma(dev, to, 64, true);
	return !memcmp(src, dst, 64);
}

/* ---- memory ---- */

/* (test 9), (test 10): before and after the device, and of the guest's ROM only to be read */
static void vm_ram(void)
{
	struct uvfio_vm_device *dev;

	begin();
	CHECK(add(0, 4 * K, mem, 0) == 0);
	dev = assign(LONE_EDU, NULL);
	place(dev, 0xe0000000);
	CHECK(copies(dev, K, mem + K, 2 * K, mem + 2 * K));
	CHECK(add(0x100000, 4 * K, mem + 8 * K, 0) == 0);
	CHECK(add(0xf0000, 4 * K, mem + 16 * K, UVFIO_VM_MEM_READONLY) == 0);
	CHECK(copies(dev, 0xf1000, mem + 17 * K, 0x101000, mem + 9 * K));
	CHECK(!copies(dev, 0x101000, mem + 9 * K, 0xf1000, mem + 17 * K));
	end();
}

/* (test 14), (test 15) */
static void vm_moves(void)
{
	struct uvfio_vm_device *dev;

	begin();
	dev = assign(LONE_EDU, NULL);
	place(dev, 0xe0000000);
	CHECK(add(0, 4 * K, mem, 0) == 0);
	CHECK(add(0x10000, 4 * K, mem + 8 * K, 0) == 0);
	CHECK(copies(dev, 0, mem, 0x10000, mem + 8 * K));
	CHECK(uvfio_vm_memory_remove(vm, 0x10000, 4 * K) == 0);
	CHECK(!copies(dev, 0, mem, 0x10000, mem + 8 * K));
	uvfio_vm_memory_begin(vm);
	CHECK(add(0x10000, 4 * K, mem + 16 * K, 0) == 0);
	CHECK(add(K, 8 * K, mem + 24 * K, 0) == 0);
	CHECK(uvfio_vm_memory_remove(vm, 0, 4 * K) == 0);
	CHECK(uvfio_vm_memory_commit(vm) == 0);
	CHECK(copies(dev, 8 * K, mem + 31 * K, 0x10000, mem + 16 * K));
	end();
}

/* (test 16) */
static void vm_ranges(void)
{
	struct uvfio_vm_device *none = NULL;
	struct uvfio_vm_range r[4];
	unsigned n;

	begin();
	CHECK(add(1ull << 39, 4 * K, mem, 0) == 0);
	CHECK(uvfio_vm_assign(vm, LONE_EDU, NULL, &none) == -EINVAL && !none);
	CHECK(says("0x8000000000-0x8000003fff") && says("0x7fffffffff"));
	CHECK(uvfio_vm_memory_remove(vm, 1ull << 39, 4 * K) == 0);
	assign(LONE_EDU, NULL);
	n = uvfio_vm_iova_ranges(vm, r, 4);
	CHECK(n >= 2 && r[0].first == 0 && r[n - 1].last == (1ull << 39) - 1);
	CHECK(add(1ull << 39, 4 * K, mem, 0) == -EINVAL && says("0x7fffffffff"));
	CHECK(add(0xfee00000, 4 * K, mem, 0) == -EINVAL);
	CHECK(!uvfio_vm_may_discard(vm));
	end();
}

/* (test 17): for who may not lock so much */
static void vm_memlock(void)
{
	struct rlimit rl = { 16 * K, 16 * K };
	struct uvfio_vm_device *dev;
	char group[64], path[128];
	int status = 1;
	ssize_t n;

	begin();
	n = readlink("/sys/bus/pci/devices/" LONE_EDU "/iommu_group", path, sizeof(path) - 1);
	CHECK(n > 0);
	path[n > 0 ? n : 0] = '\0';
	snprintf(group, sizeof(group), "/dev/vfio/%s", strrchr(path, '/') + 1);
	CHECK(chown(group, 1000, 1000) == 0);
	fflush(stdout);
	if (!fork()) {
		setrlimit(RLIMIT_MEMLOCK, &rl);
		CHECK(setuid(1000) == 0);
		CHECK(add(0, 8 * K, mem, 0) == 0);
		dev = assign(LONE_EDU, NULL);
		CHECK(add(0x100000, 32 * K, mem + 8 * K, 0) == -ENOMEM);
		CHECK(says("0x28000 bytes, must be locked, and RLIMIT_MEMLOCK is 0x10000 bytes"));
		uvfio_vm_unassign(dev);
		CHECK(add(0x100000, 32 * K, mem + 8 * K, 0) == 0);
		CHECK(uvfio_vm_assign(vm, LONE_EDU, NULL, &dev) == -ENOMEM);
		CHECK(says("0x28000 bytes, must be locked"));
		_exit(case_failed);
	}
	CHECK(wait(&status) > 0 && !status);
	CHECK(chown(group, 0, 0) == 0);
	end();
}

/* (test 18) */
static void vm_discards(void)
{
	struct uvfio_vm_memory m = {
		.gpa = 0x100000,
		.size = 16 * K,
		.fd = -1,
		.granularity = 4 * K,
		.flags = UVFIO_VM_MEM_DISCARDABLE,
	};
	struct uvfio_vm_device *dev;

	begin();
	m.host = mem + 16 * K;
	CHECK(add(0, 4 * K, mem, 0) == 0);
	CHECK(uvfio_vm_memory_add(vm, &m) == 0);
	dev = assign(LONE_EDU, NULL);
	place(dev, 0xe0000000);
	CHECK(uvfio_vm_memory_populate(vm, 0x100000, 12 * K) == 0);
	CHECK(uvfio_vm_memory_discard(vm, 0x104000, 4 * K) == 0);
	CHECK(copies(dev, 0x103000, mem + 19 * K, 0x108000, mem + 24 * K));
	CHECK(!copies(dev, 0, mem, 0x104000, mem + 20 * K));
	end();
}

/* (test 5), (test 20): a second device sees all of it, and works when the first one has gone */
static void vm_second(void)
{
	struct uvfio_vm_device *a, *b, *c;

	begin();
	CHECK(add(0, 4 * K, mem, 0) == 0);
	a = assign(NEIGHBOUR, NULL);
	b = assign(EDU, NULL);
	c = assign(LONE_EDU, NULL);
	place(b, 0xe0000000);
	place(c, 0xe1000000);
	CHECK(copies(b, 0, mem, K, mem + K));
	CHECK(copies(c, 0, mem, K, mem + K));
	uvfio_vm_unassign(a);
	CHECK(copies(b, 0, mem, K, mem + K));
	uvfio_vm_unassign(b);
	CHECK(copies(c, 0, mem, K, mem + K));
	b = assign(EDU, NULL);
	place(b, 0xe0000000);
	CHECK(copies(b, 0, mem, K, mem + K));
	end();
}

/* (test 21): a BAR as memory of another device; that it is refused would be a warning */
static void vm_peer(void)
{
	struct uvfio_vm_device *a, *b;
	uint32_t id = 0x010000ed;

	begin();
	CHECK(add(0, 4 * K, mem, 0) == 0);
	a = assign(EDU, NULL);
	place(a, 0xe0000000);
	CHECK(bar0);
	CHECK(add(0xc000000, 4 * K, bar0, UVFIO_VM_MEM_PEER) == 0);
	b = assign(LONE_EDU, NULL);
	place(b, 0xe1000000);
	edu_dma(b, 0xc000000 + EDU_ID, 4, false);
	edu_dma(b, 16, 4, true);
	CHECK(!memcmp(mem + 16, &id, 4));
	/* the BAR goes with its device: nobody reaches it any more, and the rest works */
	uvfio_vm_unassign(a);
	CHECK(copies(b, 0, mem, K, mem + K));
	CHECK(uvfio_vm_memory_remove(vm, 0xc000000, 4 * K) == 0);
	end();
}

/* (test 22) */
static void vm_own_iommu(void)
{
	struct uvfio_vm_device *a, *b;

	begin();
	CHECK(add(0, 16 * K, mem, 0) == 0);
	a = assign(EDU, NULL);
	b = assign(LONE_EDU, "iommu=vmm");
	place(a, 0xe0000000);
	place(b, 0xe1000000);
	CHECK(copies(a, 0, mem, K, mem + K));
	CHECK(!copies(b, 0, mem, K, mem + K));
	CHECK(uvfio_vm_dma_map(b, 0x100000, 2 * K, 2 * K, UVFIO_VM_READ | UVFIO_VM_WRITE) == 0);
	CHECK(copies(b, 0x100000, mem + 2 * K, 0x101000, mem + 3 * K));
	CHECK(uvfio_vm_dma_unmap(b, 0x100000, 2 * K) == (int64_t)(2 * K));
	CHECK(!copies(b, 0x100000, mem + 2 * K, 0x101000, mem + 3 * K));
	end();
}

/* ---- resets ---- */

/* (test 66) */
static void vm_reset_kinds(void)
{
	static const struct {
		const char *addr, *kind;
	} all[] = {
		{ IGB, "flr" },
		{ NVME, "flr" },
		{ LONE_EDU, "bus" },
		{ EDU, "bus" },
	};
	struct uvfio_vm_device *dev;

	begin();
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		dev = assign(all[i].addr, NULL);
		if (strcmp(uvfio_vm_reset_kind(dev), all[i].kind)) {
			printf("     %s: %s\n", all[i].addr, uvfio_vm_reset_kind(dev));
			CHECK(false);
		}
		CHECK(uvfio_vm_reset_device(dev) == 0);
		CHECK(uvfio_vm_reset(vm) == 0);
		uvfio_vm_unassign(dev);
	}
	end();
}

/* (test 67): what the guest set up is gone, and the device can be set up again */
static void vm_reset_leaves_nothing(void)
{
	struct uvfio_vm_device *dev;
	uint32_t fresh[16];

	begin();
	CHECK(add(0, 4 * K, mem, 0) == 0);
	dev = assign(LONE_EDU, NULL);
	for (unsigned i = 0; i < 16; i++)
		fresh[i] = uvfio_vm_config_read(dev, 4 * i, 4);
	place(dev, 0xe0000000);
	uvfio_vm_bar_write(dev, 0, EDU_STATUS, 4, 0x80);
	CHECK(uvfio_vm_bar_read(dev, 0, EDU_STATUS, 4) & 0x80);
	/* DMA that comes 100 ms later */
	uvfio_vm_bar_write(dev, 0, EDU_SRC, 8, EDU_BUFFER);
	uvfio_vm_bar_write(dev, 0, EDU_DST, 8, 0);
	uvfio_vm_bar_write(dev, 0, EDU_COUNT, 8, 64);
	uvfio_vm_bar_write(dev, 0, EDU_CMD, 8, EDU_RUN | EDU_OUT);
	CHECK(uvfio_vm_reset_device(dev) == 0);
	memset(mem, 0, K);
	for (unsigned i = 0; i < 16; i++)
		CHECK(uvfio_vm_config_read(dev, 4 * i, 4) == fresh[i]);
	usleep(300000);
	for (unsigned i = 0; i < 64; i++)
		CHECK(mem[i] == 0);
	place(dev, 0xe0000000);
	CHECK(copies(dev, 0, mem, K, mem + K));
	end();
}

/* (test 69): two functions of one bus without a reset of their own */
static void vm_reset_together(void)
{
	struct uvfio_vm_device *a, *b;

	begin();
	a = assign(EDU, NULL);
	CHECK(!strcmp(uvfio_vm_reset_kind(a), "bus"));
	b = assign(NEIGHBOUR, NULL);
	CHECK(!strcmp(uvfio_vm_reset_kind(a), "none"));
	CHECK(uvfio_vm_reset_device(a) == -EINVAL && says("only together with " NEIGHBOUR));
	CHECK(uvfio_vm_reset(vm) == 0);
	uvfio_vm_unassign(b);
	CHECK(uvfio_vm_reset_device(a) == 0);
	end();
}

static const struct named_case cases[] = {
	CASE(vm_ram),
	CASE(vm_moves),
	CASE(vm_ranges),
	CASE(vm_memlock),
	CASE(vm_discards),
	CASE(vm_second),
	CASE(vm_peer),
	CASE(vm_own_iommu),
	CASE(vm_reset_kinds),
	CASE(vm_reset_leaves_nothing),
	CASE(vm_reset_together),
};

int main(int argc, char **argv)
{
	guard_install();
	log_set(2, LOG_NONE);
	return run_named(argc, argv, cases, ARRAY_SIZE(cases));
}
