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

void machine_spaces_window(struct machine_spaces *s)
{
	/* PCI-to-PCI Bridge 1.2, 3.2.5.6 and 3.2.5.8 */
	s->io = align_up(s->io, 0x1000);
	s->mem32 = align_up(s->mem32, 0x100000);
	s->mem64 = align_up(s->mem64, 0x100000);
}

void machine_spaces_raise(struct machine_spaces *s, const struct machine_spaces *to)
{
	s->io = s->io > to->io ? s->io : to->io;
	s->mem32 = s->mem32 > to->mem32 ? s->mem32 : to->mem32;
	s->mem64 = s->mem64 > to->mem64 ? s->mem64 : to->mem64;
}

bool machine_spaces_overlap(const struct machine_spaces *from, const struct machine_spaces *to,
			    const struct machine_spaces *other, const struct machine_spaces *end)
{
	return (from->io < end->io && other->io < to->io) ||
	       (from->mem32 < end->mem32 && other->mem32 < to->mem32) ||
	       (from->mem64 < end->mem64 && other->mem64 < to->mem64);
}

/*
 * Return a naturally aligned piece of a window, or 0. A BAR of memory gets whole pages: a page that
 * two devices share could be mapped by neither.
 */
static uint64_t take(uint64_t *next, uint64_t end, uint64_t size, uint64_t align)
{
	uint64_t at = align_up(*next, align);

	if (at < *next || size > end || at > end - size)
		return 0;
	*next = at + size;
	return at;
}

/* Program a BAR, of the function or of its VFs. */
static void program(const struct pci_face *f, unsigned bar, unsigned flags, uint64_t at)
{
	unsigned reg = pci_face_bar_register(f, bar);

	pci_face_write(f, reg, 4, (uint32_t)at);
	if (bar != PCI_ROM_BAR && flags & UVFIO_BAR_64)
		pci_face_write(f, reg + 4, 4, (uint32_t)(at >> 32));
}

static int assign_bar(struct machine_spaces *s, const struct pci_face *f, const char *addr,
		      unsigned bar, uint16_t *decode, char **err)
{
	const struct pci_bar *b = &f->bars[bar];
	uint64_t at, align;
	const char *space;

	if (!b->size)
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
				    addr, bar, (unsigned long long)b->size, space);
	program(f, bar, b->flags, at);
	return 0;
}

/* Give an address to BAR @bar of all VFs at once, as many as there can be. */
static int assign_vf_bar(struct machine_spaces *s, const struct pci_face *f, const char *addr,
			 unsigned bar, char **err)
{
	const struct pci_bar *b = &f->sriov.bars[bar];
	bool wide = b->flags & UVFIO_BAR_64;
	uint64_t at;

	if (!b->size)
		return 0;
	at = take(wide ? &s->mem64 : &s->mem32, wide ? MEM64_END : MEM32_END,
		  b->size * f->sriov.total, b->size);
	if (!at)
		return machine_fail(err, -ENOSPC,
				    "%s: BAR%u of %u virtual functions, %llu bytes each, does not "
				    "fit into what is left of %s addresses",
				    addr, bar, f->sriov.total, (unsigned long long)b->size,
				    wide ? "64-bit memory" : "32-bit memory");
	program(f, PCI_FACE_VF_BARS + bar, b->flags, at);
	return 0;
}

int machine_assign(struct machine_spaces *s, const struct pci_face *f, const char *addr, char **err)
{
	struct machine_spaces tried = *s;
	uint16_t decode = 0;
	unsigned pin;
	int rc;

	for (unsigned bar = 0; bar <= PCI_ROM_BAR; bar++) {
		rc = assign_bar(&tried, f, addr, bar, &decode, err);
		if (rc)
			return rc;
	}
	for (unsigned bar = 0; bar < PCI_BARS && f->sriov.total; bar++) {
		rc = assign_vf_bar(&tried, f, addr, bar, err);
		if (rc)
			return rc;
	}
	*s = tried;
	pin = pci_face_read(f, PCI_INTERRUPT_PIN, 1);
	if (pin)
		pci_face_write(f, PCI_INTERRUPT_LINE, 1, FIRST_LINE + (pin - 1) % 2);
	pci_face_write(f, PCI_COMMAND, 2, pci_face_read(f, PCI_COMMAND, 2) | decode);
	return 0;
}
