/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/bars.c: BARs of real devices that are assigned to a virtual machine (uvfio/vmm.h), in
 * a guest whose kernel has VFIO and an IOMMU: host.sh boots it, and says there which devices are
 * where. The monitor has no processor: what it is given as memory it reads itself. Arguments: names
 * of cases.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "lib/cases.h"
#include "vmm/internal.h"

#define NVME	 "0000:03:00.0"
#define IGB	 "0000:04:00.0"
#define LONE_EDU "0000:05:00.0"
#define SDHCI	 "0000:06:00.0"

#define EDU_ID	   0x010000edu
#define IGB_STATUS 0x8u
#define SDHCI_CAP  0x40u
#define AT	   0xc0000000u
#define ELSEWHERE  0xd0000000u
#define PORTS	   0xc000u

/* ---- a guest with one device ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;

/* The pieces of BARs that the guest has now. */
static struct {
	unsigned bar;
	uint64_t gpa, size;
	char *host;
} up[16];
static unsigned num_up;

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool level)
{
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
}

static int bar_map(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa, uint64_t size,
		   void *host, bool readonly)
{
	if (num_up == ARRAY_SIZE(up))
		return -ENOSPC;
	up[num_up].bar = bar;
	up[num_up].gpa = gpa;
	up[num_up].size = size;
	up[num_up++].host = host;
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	for (unsigned i = 0; i < num_up; i++) {
		if (up[i].gpa != gpa || up[i].size != size)
			continue;
		up[i] = up[--num_up];
		return;
	}
	CHECK(!"a piece goes that was not there");
}

static bool begin(const char *device, const char *options)
{
	static const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = msi };
	static const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	int rc;

	num_up = 0;
	vm = uvfio_vm_new(&ops, NULL);
	CHECK(vm && uvfio_vm_use_irq_ops(vm, &irq, NULL) == 0);
	rc = uvfio_vm_assign(vm, device, options, &dev);
	if (rc) {
		printf("     %s: %s\n", device, uvfio_vm_strerror(vm));
		uvfio_vm_free(vm);
	}
	CHECK(rc == 0);
	return rc == 0;
}

static void end(void)
{
	uvfio_vm_unassign(dev);
	CHECK(num_up == 0);
	uvfio_vm_free(vm);
}

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static void set(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(dev, at, size, value);
}

/* Have BAR @bar at @gpa, below 4 GiB, and the device decode. */
static void place(unsigned bar, uint32_t gpa)
{
	struct uvfio_vm_bar b;

	CHECK(!uvfio_vm_bar_info(dev, bar, &b));
	set(PCI_BASE_ADDRESS_0 + 4 * bar, 4, gpa);
	if (b.is64)
		set(PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4, 0);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}

static uint64_t load(uint64_t gpa, unsigned size)
{
	uint64_t value = 0x5555555555555555;

	CHECK(!uvfio_vm_mmio(vm, gpa, size, &value, false));
	return value;
}

static sigjmp_buf away_at;

static void on_fault(int sig)
{
	siglongjmp(away_at, 1);
}

/*
 * What a processor of the guest would read at @gpa, without a trap: false: it would have a trap, or
 * a fault of the monitor.
 */
static bool peek(uint64_t gpa, uint32_t *value)
{
	struct sigaction sa = { .sa_handler = on_fault }, old;
	volatile uint32_t *volatile at = NULL;

	for (unsigned i = 0; i < num_up; i++)
		if (gpa - up[i].gpa < up[i].size)
			at = (volatile uint32_t *)(up[i].host + (gpa - up[i].gpa));
	if (!at)
		return false;
	sigaction(SIGBUS, &sa, &old);
	if (sigsetjmp(away_at, 1))
		at = NULL;
	else
		*value = *at;
	sigaction(SIGBUS, &old, NULL);
	return at;
}

static unsigned find_cap(uint8_t id)
{
	unsigned at = cfg(PCI_CAPABILITY_LIST, 1);

	while (at && cfg(at, 1) != id)
		at = cfg(at + 1, 1);
	return at;
}

static bool is_up(uint64_t gpa)
{
	for (unsigned i = 0; i < num_up; i++)
		if (gpa - up[i].gpa < up[i].size)
			return true;
	return false;
}

/* ---- the cases ---- */

/* A load reaches the device without us (test 27), wherever the guest moves the BAR (test 25). */
static void direct(void)
{
	uint32_t value = 0;

	if (!begin(LONE_EDU, NULL))
		return;
	place(0, AT);
	CHECK(num_up == 1 && up[0].gpa == AT && up[0].size == 0x100000);
	/* so that the host can have large pages there */
	CHECK(!((uintptr_t)up[0].host % 0x100000));
	CHECK(peek(AT, &value) && value == EDU_ID);
	CHECK(load(AT, 4) == EDU_ID);
	set(PCI_BASE_ADDRESS_0, 4, ELSEWHERE);
	CHECK(num_up == 1 && peek(ELSEWHERE, &value) && value == EDU_ID && !is_up(AT));
	set(PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
	CHECK(num_up == 0);
	set(PCI_BASE_ADDRESS_0, 4, AT);
	CHECK(num_up == 1 && peek(AT, &value));
	set(PCI_COMMAND, 2, 0);
	CHECK(num_up == 0 && uvfio_vm_bar_read(dev, 0, 0, 4) == UINT32_MAX);
	end();
	/* never mapped (test 35) */
	if (!begin(LONE_EDU, "bars=-0"))
		return;
	place(0, AT);
	CHECK(num_up == 0 && load(AT, 4) == EDU_ID);
	end();
}

/* All pages but those of the MSI-X table and the pending bits (tests 28, 29). */
static void pieces_of(const char *device)
{
	uint64_t table, pba, table_end, pba_end;
	struct uvfio_vm_bar b;
	unsigned cap, n, bar;
	bool trapped;

	if (!begin(device, NULL))
		return;
	cap = find_cap(PCI_CAP_ID_MSIX);
	CHECK(cap);
	n = (cfg(cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	table = cfg(cap + PCI_MSIX_TABLE, 4);
	pba = cfg(cap + PCI_MSIX_PBA, 4);
	bar = table & PCI_MSIX_TABLE_BIR;
	CHECK(bar == (pba & PCI_MSIX_PBA_BIR));
	table &= PCI_MSIX_TABLE_OFFSET;
	pba &= PCI_MSIX_PBA_OFFSET;
	table_end = align_up(table + 16 * n, PAGE_SIZE_4K);
	pba_end = align_up(pba + (n + 63) / 64 * 8, PAGE_SIZE_4K);
	CHECK(!uvfio_vm_bar_info(dev, bar, &b));
	place(bar, AT);
	for (uint64_t at = 0; at < b.size; at += PAGE_SIZE_4K) {
		trapped = (at >= align_down(table, PAGE_SIZE_4K) && at < table_end) ||
			  (at >= align_down(pba, PAGE_SIZE_4K) && at < pba_end);
		if (is_up(AT + at) == trapped)
			printf("     0x%" PRIx64 " of BAR%u\n", at, bar);
		CHECK(is_up(AT + at) != trapped);
	}
	/* the table is ours: masked, whatever the host has in its own */
	CHECK(load(AT + table + 12, 4) == PCI_MSIX_ENTRY_CTRL_MASKBIT);
	end();
}
static void pieces_nvme(void)
{
	pieces_of(NVME);
}
static void pieces_igb(void)
{
	pieces_of(IGB);
}

/* The table elsewhere, and its page in the guest's hands: this host lets it be mapped (test 34). */
static void table_elsewhere(void)
{
	struct uvfio_vm_bar b;
	unsigned cap;

	if (!begin(NVME, "msix=bar4"))
		return;
	cap = find_cap(PCI_CAP_ID_MSIX);
	CHECK(cfg(cap + PCI_MSIX_TABLE, 4) == 4);
	CHECK(!uvfio_vm_bar_info(dev, 4, &b) && b.size >= PAGE_SIZE_4K);
	CHECK(!uvfio_vm_bar_info(dev, 0, &b));
	place(4, ELSEWHERE);
	place(0, AT);
	CHECK(num_up == 1 && up[0].bar == 0 && up[0].size == b.size);
	CHECK(load(ELSEWHERE + 12, 4) == PCI_MSIX_ENTRY_CTRL_MASKBIT);
	end();
}

/* A BAR of 256 bytes is a page if the guest has it at the begin of one (test 30). */
static void sub_page(void)
{
	struct uvfio_vm_bar b;
	uint32_t value = 0;
	uint64_t trapped;

	if (!begin(SDHCI, NULL))
		return;
	CHECK(!uvfio_vm_bar_info(dev, 0, &b) && b.size == 0x100);
	place(0, AT);
	CHECK(num_up == 1 && up[0].gpa == AT && up[0].size == PAGE_SIZE_4K);
	trapped = load(AT + SDHCI_CAP, 4);
	CHECK(trapped && trapped != UINT32_MAX);
	CHECK(peek(AT + SDHCI_CAP, &value) && value == trapped);
	place(0, AT + 0x300);
	CHECK(num_up == 0 && load(AT + 0x300 + SDHCI_CAP, 4) == trapped);
	place(0, ELSEWHERE);
	CHECK(num_up == 1 && up[0].gpa == ELSEWHERE);
	end();
}

/* Sizes, borders, ports (test 32). */
static void accesses(void)
{
	uint64_t low, high;
	uint32_t value;

	if (!begin(NVME, "mmap=off"))
		return;
	place(0, AT);
	/* CAP: it has 8 bytes, and is not 0 */
	low = load(AT, 4);
	high = load(AT + 4, 4);
	CHECK(low != UINT32_MAX && high != UINT32_MAX && load(AT, 8) == (high << 32 | low));
	CHECK(load(AT, 2) == (low & 0xffff) && load(AT + 2, 2) == low >> 16);
	CHECK(load(AT + 2, 4) == ((high << 32 | low) >> 16 & UINT32_MAX));
	CHECK(uvfio_vm_bar_read(dev, 0, UINT64_MAX - 3, 8) == UINT64_MAX);
	end();
	if (!begin(IGB, NULL))
		return;
	place(0, AT);
	place(2, PORTS);
	/* IOADDR and IODATA */
	value = IGB_STATUS;
	CHECK(!uvfio_vm_pio(vm, PORTS, 4, &value, true));
	CHECK(!uvfio_vm_pio(vm, PORTS + 4, 4, &value, false));
	CHECK(value == load(AT + IGB_STATUS, 4) && value != UINT32_MAX);
	CHECK(uvfio_vm_pio(vm, PORTS + 32, 4, &value, false) == -ENOENT);
	end();
}

/* Decoding goes off behind our back; a reset by the host (test 33). */
static void away(void)
{
	uint32_t value = 0;
	uint16_t command = 0;
	int fd;

	if (!begin(LONE_EDU, NULL))
		return;
	place(0, AT);
	CHECK(uvfio_vm_fault(vm) == 0 && num_up == 1);
	CHECK(vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true));
	CHECK(!peek(AT, &value) && num_up == 1);
	CHECK(uvfio_vm_fault(vm) == 1 && num_up == 0);
	CHECK(load(AT, 4) == UINT32_MAX);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(num_up == 1 && peek(AT, &value) && value == EDU_ID);
	end();

	if (!begin(IGB, NULL))
		return;
	place(0, AT);
	fd = open("/sys/bus/pci/devices/" IGB "/reset", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "1", 1) == 1);
	close(fd);
	/* it is as it was, or a fault says that it is away */
	CHECK(peek(AT + IGB_STATUS, &value) || uvfio_vm_fault(vm) == 1);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(is_up(AT + IGB_STATUS) && peek(AT + IGB_STATUS, &value));
	CHECK(value == load(AT + IGB_STATUS, 4) && value != UINT32_MAX);
	end();
}

static const struct named_case cases[] = {
	CASE(direct),	CASE(pieces_nvme), CASE(pieces_igb), CASE(table_elsewhere),
	CASE(sub_page), CASE(accesses),	   CASE(away),
};

int main(int argc, char **argv)
{
	log_set(2, LOG_ERR);
	return run_named(argc, argv, cases, ARRAY_SIZE(cases));
}
