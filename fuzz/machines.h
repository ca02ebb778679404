/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/machines.h: the machines that hostile programs are given, by a fuzzer (uapi.c) and by
 * threads (src/uapi/race_test.c): all kinds of devices and groups, with an IOMMU that tracks what
 * is written, and a smaller machine without an IOMMU.
 */
#ifndef FUZZ_MACHINES_H
#define FUZZ_MACHINES_H
#include "hostile.h"
#include "machine/machine.h"
#include "models/testdev/testdev.h"
#include "uapi/uapi.h"
#include "vfio/iommu_hw.h"
#include "vfio/kernel.h"

/* Whose devices the program has: what the calls below go to. */
static struct machine *machine;
static bool no_iommu;

static const char *const all_specs[] = {
	"testdev,migration=on,ram=8K,region=on,pri=on", /* group 1 */
	"testdev,group=1,msix=off,pri=on",
	"edu,dma_delay=1,factorial_delay=1",
	"testdev,pcie=off,intx=off",
	"testdev,bus=shared,group=5,ram=4K,no_soft_reset=on,migration=on",
	"testdev,bus=shared,group=6,ram=4K",
	"igb,sriov_numvfs=2", /* the VFs take a token */
};
static const char *const noiommu_specs[] = { "testdev,migration=on,ram=4K", "edu", "edu,group=2" };

static const char *const nodes[] = {
	"/dev/vfio/vfio",
	"/dev/iommu",
	"/dev/vfio/1",
	"/dev/vfio/2",
	"/dev/vfio/devices/vfio0",
	"/dev/iommu",
	"/dev/vfio/devices/vfio2",
	"/dev/vfio/5",
	"/dev/vfio/vfio",
	"/dev/vfio/6",
	"/dev/vfio/devices/vfio4",
	"/dev/vfio/devices/vfio5",
	"/dev/iommu",
	"/dev/vfio/devices/vfio1",
	"/dev/vfio/3",
	"/dev/vfio/7",
	"/dev/vfio/8",
	"/dev/vfio/9",
	"/dev/vfio/devices/vfio6",
	"/dev/vfio/devices/vfio7",
	"/dev/vfio/devices/vfio8",
	"/dev/vfio/noiommu-1",
	"/dev/vfio/noiommu-2",
	"/dev/vfio/noiommu-1",
	"/dev/vfio/01",
	"/dev/vfio/",
	"/dev/vfio/99999999999",
	"/dev/vfio/devices/vfio3",
	"/dev/vfio/devices/vfio9",
	"/dev/vfio/devices/",
	"/dev/vfio/4",
	"/dev/vfio/noiommu-4",
};

#define NUM_NODES (sizeof(nodes) / sizeof(nodes[0]))

static struct machine *make_machine(const char *const *specs, unsigned n, bool iommu)
{
	struct machine *m = machine_new();
	char *err = NULL;

	REQUIRE(m, "a machine");
	if (!iommu)
		REQUIRE(!machine_set_noiommu(m, "all"), "no IOMMU");
	for (unsigned i = 0; i < n; i++)
		REQUIRE(!machine_add(m, specs[i], &err), "%s: %s", specs[i], err);
	REQUIRE(!machine_start(m, &err), "VFs: %s", err);
	return m;
}

/* Make the machine of everything. The IOMMU is the process's. */
static struct machine *machine_of_all(void)
{
	REQUIRE(!vfio_iommu_choose("dirty-tracking=on"), "dirty tracking");
	return make_machine(all_specs, sizeof(all_specs) / sizeof(all_specs[0]), true);
}

static struct machine *machine_without_iommu(void)
{
	return make_machine(noiommu_specs, sizeof(noiommu_specs) / sizeof(noiommu_specs[0]), false);
}

/* Give device @i of the machine, VFs behind the others, or NULL: there are fewer. */
static struct machine_device *device_at(unsigned i)
{
	unsigned n = machine_num_devices(machine);

	return i < n ? machine_device(machine, i)
		     : machine_vf(machine, machine_device(machine, n - 1), i - n);
}

static const char *some_name(struct in *in)
{
	unsigned i = in8(in) % 10;

	return device_at(i) ? device_at(i)->addr : device_at(0)->addr;
}

/* Nobody has anything open: nothing is left of it. */
static void require_all_closed(void)
{
	struct vfio_system *sys = machine_system(machine);

	REQUIRE(!sys->ioases.asides.root, "memory is left aside");
	REQUIRE(!atomic_load(&sys->ioases.mappings) && !atomic_load(&sys->ioases.pages_locked),
		"mappings are left");
	for (unsigned i = 0; device_at(i); i++) {
		struct machine_device *d = device_at(i);
		struct vfio_group *g = vfio_system_group(sys, d->group);

		REQUIRE(!d->vdev->open_count && !g->opened && !g->container && !g->device_files,
			"%s is left open", d->addr);
	}
}

/* ---- what devices do of themselves ---- */

/* Write @value as a client would. */
static void poke(struct uapi_file *f, uint64_t pos, uint64_t value, size_t n)
{
	memcpy(arena, &value, n);
	uapi_pwrite(f, arena, n, pos);
}

/*
 * Have testdev or edu act: DMA, with an interrupt at its end, interrupts alone, page requests.
 * Without an IOMMU their addresses are the fuzzer's own, and they do not.
 */
static void device_acts(struct in *in, struct uapi_file *f)
{
	const uint64_t regs = 2ull << 40;
	uint8_t how = in8(in);

	if (no_iommu)
		return;
	poke(f, (7ull << 40) + 4, 6 | (how & 0x80 ? 0x400 : 0), 2);
	switch (how & 3) {
	case 0:
		poke(f, regs + TD_DMA_SRC, some_iova(in), 8);
		poke(f, regs + TD_DMA_DST, some_iova(in), 8);
		poke(f, regs + TD_DMA_LEN, in16(in) % 0x9000, 8);
		poke(f, regs + TD_DMA_VECTOR, in8(in), 4);
		poke(f, regs + TD_DMA_CMD,
		     (in8(in) & 7) | (how & 0x70) << 4 | (in8(in) & 1 ? TD_DMA_PAGING : 0), 4);
		break;
	case 1:
		poke(f, regs + TD_INTX, how >> 2 & 1, 4);
		poke(f, regs + TD_MSI, in8(in), 4);
		poke(f, regs + TD_TIMER_VECTOR, in8(in) & 1 ? TD_INTX_TIMER : in8(in), 4);
		poke(f, regs + TD_TIMER, in8(in), 4);
		break;
	case 2:
		if (how & 4) {
			poke(f, regs + TD_PAGE_ADDR, some_iova(in), 8);
			poke(f, regs + TD_PAGE_CMD, in32(in) & TD_PAGE_CMD_BITS, 4);
		} else {
			poke(f, regs + TD_ERROR, in32(in), 4);
		}
		break;
	default: /* edu: BAR0, 0x80 source, 0x88 destination, 0x90 count, 0x98 command; 0x08
		    factorial, 0x60 raise */
		poke(f, 0x80, how & 4 ? 0x40000 : some_iova(in), 8);
		poke(f, 0x88, how & 4 ? some_iova(in) : 0x40000, 8);
		poke(f, 0x90, in16(in) % 0x1100, 8);
		poke(f, 0x98, 1 | (how & 4 ? 0 : 2) | (how & 8 ? 4 : 0), 8);
		poke(f, 0x60, in8(in), 4);
		poke(f, 0x08, in8(in), 4);
	}
}
#endif
