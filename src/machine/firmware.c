/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/firmware.c: what a PC's firmware does to a function at boot: bus addresses for its BARs,
 * decoding on, an interrupt line. Everything is done by config writes, so that a function sees what
 * it would see in a computer.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "base/util.h"
#include "machine/internal.h"

/*
 * The windows of a PC: I/O ports behind those of the board; 32-bit memory below the I/O APIC at
 * 0xfec00000; 64-bit memory at the top of 46 address bits (where OVMF puts it).
 */
#define IO_START    0x1000ull
#define IO_END	    0x10000ull
#define MEM32_START 0xe0000000ull
#define MEM32_END   0xfec00000ull
#define MEM64_START 0x380000000000ull
#define MEM64_END   0x400000000000ull
/* the lines that PC firmwares give to PCI */
#define FIRST_LINE 10u

void machine_spaces_init(struct machine_spaces *s)
{
	s->io = IO_START;
	s->mem32 = MEM32_START;
	s->mem64 = MEM64_START;
}

/*
 * A naturally aligned piece of a window. A BAR of memory gets whole pages: a page that two devices
 * share could be mapped by neither.
 */
static uint64_t take(uint64_t *next, uint64_t end, uint64_t size, uint64_t align)
{
	uint64_t at = align_up(*next, align);

	if (at < *next || size > end || at > end - size)
		return 0;
	*next = at + size;
	return at;
}

static unsigned bar_register(unsigned bar)
{
	return bar == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

/*
 * Of a PF: where the VFs' BARs @bar begin. The VF BARs of the capability are laid out as those of
 * the header.
 */
static uint64_t vf_bars_address(pci_function *pf, unsigned bar)
{
	unsigned reg = pci_find_ext_cap(pf, PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_BAR + 4 * bar;
	uint64_t v = pci_config_read(pf, reg, 4) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

	if (pci_sriov_info(pf)->bars[bar].flags & UVFIO_BAR_64)
		v |= (uint64_t)pci_config_read(pf, reg + 4, 4) << 32;
	return v;
}

uint64_t machine_bar_address(pci_function *fn, unsigned bar)
{
	const struct pci_bar *b = pci_function_bar(fn, bar);
	unsigned reg = bar_register(bar);
	pci_function *pf = pci_function_pf(fn);
	uint64_t v;

	if (bar >= MACHINE_VF_BARS)
		return vf_bars_address(fn, bar - MACHINE_VF_BARS);
	if (!b || !b->size)
		return 0;
	if (pf)
		return vf_bars_address(pf, bar) + uvfio_vf_index(fn) * b->size;
	v = pci_config_read(fn, reg, 4);
	if (bar == PCI_ROM_BAR)
		return v & PCI_ROM_ADDRESS_MASK;
	if (b->flags & UVFIO_BAR_IO)
		return v & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
	v &= (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (b->flags & UVFIO_BAR_64)
		v |= (uint64_t)pci_config_read(fn, reg + 4, 4) << 32;
	return v;
}

static int assign_bar(struct machine_spaces *s, pci_function *fn, unsigned bar, uint16_t *decode,
		      char **err)
{
	const struct pci_bar *b = pci_function_bar(fn, bar);
	unsigned reg = bar_register(bar);
	uint64_t at, align;
	const char *space;

	if (!b || !b->size)
		return 0;
	align = b->size > PAGE_SIZE_4K ? b->size : PAGE_SIZE_4K;
	if (bar != PCI_ROM_BAR && b->flags & UVFIO_BAR_IO) {
		space = "I/O";
		at = take(&s->io, IO_END, b->size, b->size);
		*decode |= PCI_COMMAND_IO;
	} else if (bar != PCI_ROM_BAR && b->flags & UVFIO_BAR_64) {
		space = "64-bit memory";
		at = take(&s->mem64, MEM64_END, b->size, align);
		*decode |= PCI_COMMAND_MEMORY;
	} else {
		space = "32-bit memory";
		at = take(&s->mem32, MEM32_END, b->size, align);
		if (bar != PCI_ROM_BAR) /* a ROM decodes when its own enable bit is set, too */
			*decode |= PCI_COMMAND_MEMORY;
	}
	if (!at)
		return machine_fail(err, -ENOSPC,
				    "%s: BAR%u of %llu bytes does not fit into what is left of %s "
				    "addresses",
				    pci_function_name(fn), bar, (unsigned long long)b->size, space);
	pci_config_write(fn, reg, 4, (uint32_t)at);
	if (bar != PCI_ROM_BAR && b->flags & UVFIO_BAR_64)
		pci_config_write(fn, reg + 4, 4, (uint32_t)(at >> 32));
	return 0;
}

/* For all VFs at once, as many as there can be. */
static int assign_vf_bar(struct machine_spaces *s, pci_function *pf, unsigned bar, char **err)
{
	const struct uvfio_sriov *iov = pci_sriov_info(pf);
	unsigned reg = pci_find_ext_cap(pf, PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_BAR + 4 * bar;
	bool wide = iov->bars[bar].flags & UVFIO_BAR_64;
	uint64_t size = iov->bars[bar].size, at;

	if (!size)
		return 0;
	at = take(wide ? &s->mem64 : &s->mem32, wide ? MEM64_END : MEM32_END, size * iov->total_vfs,
		  size);
	if (!at)
		return machine_fail(err, -ENOSPC,
				    "%s: BAR%u of %u virtual functions, %llu bytes each, does not "
				    "fit into what is left of "
				    "%s addresses",
				    pci_function_name(pf), bar, iov->total_vfs,
				    (unsigned long long)size,
				    wide ? "64-bit memory" : "32-bit memory");
	pci_config_write(pf, reg, 4, (uint32_t)at);
	if (wide)
		pci_config_write(pf, reg + 4, 4, (uint32_t)(at >> 32));
	return 0;
}

int machine_assign(struct machine_spaces *s, pci_function *fn, char **err)
{
	struct machine_spaces tried = *s;
	uint16_t decode = 0;
	unsigned pin;
	int rc;

	for (unsigned bar = 0; bar <= PCI_ROM_BAR; bar++) {
		rc = assign_bar(&tried, fn, bar, &decode, err);
		if (rc)
			return rc;
	}
	for (unsigned bar = 0; bar < PCI_BARS && pci_sriov_total(fn); bar++) {
		rc = assign_vf_bar(&tried, fn, bar, err);
		if (rc)
			return rc;
	}
	*s = tried;
	pin = pci_intx_pin(fn);
	if (pin)
		pci_config_write(fn, PCI_INTERRUPT_LINE, 1, FIRST_LINE + (pin - 1) % 2);
	pci_config_write(fn, PCI_COMMAND, 2, pci_config_read(fn, PCI_COMMAND, 2) | decode);
	return 0;
}
