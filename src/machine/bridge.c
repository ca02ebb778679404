/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/bridge.c: bridges as the view shows them: the config space of a root port, of a bridge to
 * PCI and of the ports of a switch, with the numbers and windows of what is behind. Nobody opens
 * one, and software of the host would not reconfigure it, so it is bytes that do not change. The
 * IDs are those of QEMU's bridges.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "machine/internal.h"

#define EXP_AT	0x40u
#define PM_AT	0x80u
#define ACS_AT	0x100u
#define IO_UNIT 0x1000ull
#define MB	0x100000ull

/* PCIe 6.0, 7.5.3: all of version 2 */
#define LINK_SPEED_16GT 4u
#define LINK_WIDTH	4u
#define ACS_OF_PORT	(ACS_SET | PCI_ACS_TB | PCI_ACS_DT)
#define ACS_SET		(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

static uint32_t bridge_read(void *hardware, unsigned off, unsigned size)
{
	const struct machine_bridge_face *b = hardware;
	uint32_t v = ~0u;

	if (off + size <= sizeof(b->config))
		memcpy(&v, b->config + off, size);
	return v;
}

static void bridge_write(void *hardware, unsigned off, unsigned size, uint32_t value)
{
}

static const struct pci_face_ops bridge_ops = { bridge_read, bridge_write };

/* ---- windows ---- */

static void widen(struct view_window *w, uint64_t start, uint64_t size, uint64_t unit)
{
	uint64_t from = start & ~(unit - 1), to = align_up(start + size, unit);

	if (w->size && from > w->start)
		from = w->start;
	if (w->size && to < w->start + w->size)
		to = w->start + w->size;
	*w = (struct view_window){ from, to - from };
}

static void cover(struct machine_bridge_face *b, const struct pci_face *f, unsigned bar,
		  const struct pci_bar *is, unsigned count)
{
	uint64_t at = is->size ? pci_face_bar_address(f, bar) : 0;

	if (!at)
		return;
	if (bar != PCI_ROM_BAR && is->flags & UVFIO_BAR_IO)
		widen(&b->windows[VIEW_WINDOW_IO], at, is->size, IO_UNIT);
	else if (at < 1ull << 32)
		widen(&b->windows[VIEW_WINDOW_MEM], at, is->size * count, MB);
	else
		widen(&b->windows[VIEW_WINDOW_PREF], at, is->size * count, MB);
}

/* Open the windows for what @dev, which is behind the bridge, has. */
static void cover_device(struct machine_bridge_face *b, const struct plugged *dev)
{
	const struct pci_face *f = dev->d.face;

	if (!f)
		return;
	for (unsigned i = 0; i <= PCI_ROM_BAR; i++)
		cover(b, f, i, &f->bars[i], 1);
	for (unsigned i = 0; i < PCI_BARS && f->sriov.total; i++)
		cover(b, f, PCI_FACE_VF_BARS + i, &f->sriov.bars[i], f->sriov.total);
}

/* Write base and limit registers: PCI-to-PCI Bridge 1.2, 3.2.5; a window without room is closed. */
static void put_windows(struct machine_bridge_face *b)
{
	const struct view_window *io = &b->windows[VIEW_WINDOW_IO],
				 *mem = &b->windows[VIEW_WINDOW_MEM],
				 *pref = &b->windows[VIEW_WINDOW_PREF];
	uint8_t *c = b->config;

	c[PCI_IO_BASE] = io->size ? (uint8_t)(io->start >> 8) : 0xf0;
	c[PCI_IO_LIMIT] = io->size ? (uint8_t)((io->start + io->size - 1) >> 8 & 0xf0) : 0;
	put16(c + PCI_MEMORY_BASE, mem->size ? (uint16_t)(mem->start >> 16) : 0xfff0);
	put16(c + PCI_MEMORY_LIMIT,
	      mem->size ? (uint16_t)((mem->start + mem->size - 1) >> 16 & 0xfff0) : 0);
	put16(c + PCI_PREF_MEMORY_BASE,
	      (pref->size ? (uint16_t)(pref->start >> 16) & 0xfff0 : 0xfff0) |
		      PCI_PREF_RANGE_TYPE_64);
	put16(c + PCI_PREF_MEMORY_LIMIT,
	      (pref->size ? (uint16_t)((pref->start + pref->size - 1) >> 16 & 0xfff0) : 0) |
		      PCI_PREF_RANGE_TYPE_64);
	if (!pref->size)
		return;
	put32(c + PCI_PREF_BASE_UPPER32, (uint32_t)(pref->start >> 32));
	put32(c + PCI_PREF_LIMIT_UPPER32, (uint32_t)((pref->start + pref->size - 1) >> 32));
}

/* ---- capabilities ---- */

static void put_express(const struct machine_bridge *b, uint8_t *config)
{
	bool port = b->type == PCI_EXP_TYPE_ROOT_PORT || b->type == PCI_EXP_TYPE_DOWNSTREAM;
	uint8_t *c = config + EXP_AT;

	c[PCI_CAP_LIST_ID] = PCI_CAP_ID_EXP;
	c[PCI_CAP_LIST_NEXT] = PM_AT;
	put16(c + PCI_EXP_FLAGS, (uint16_t)(2 | b->type << 4));
	put32(c + PCI_EXP_DEVCAP, 1u | PCI_EXP_DEVCAP_RBER);
	put16(c + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_PAYLOAD_256B);
	/* memory completes AtomicOps, and a switch lets them through: 6.15 */
	put32(c + PCI_EXP_DEVCAP2, b->type == PCI_EXP_TYPE_ROOT_PORT
					   ? PCI_EXP_DEVCAP2_ATOMIC_COMP32 |
						     PCI_EXP_DEVCAP2_ATOMIC_COMP64 |
						     PCI_EXP_DEVCAP2_ATOMIC_COMP128
					   : PCI_EXP_DEVCAP2_ATOMIC_ROUTE);
	put32(c + PCI_EXP_LNKCAP, LINK_SPEED_16GT | LINK_WIDTH << 4 |
					  (port ? PCI_EXP_LNKCAP_DLLLARC : 0) |
					  (uint32_t)b->address.device << 24);
	put16(c + PCI_EXP_LNKSTA,
	      (uint16_t)(LINK_SPEED_16GT | LINK_WIDTH << 4 | (port ? PCI_EXP_LNKSTA_DLLLA : 0)));
	put32(c + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
					   PCI_EXP_LNKCAP2_SLS_8_0GB | PCI_EXP_LNKCAP2_SLS_16_0GB);
	put16(c + PCI_EXP_LNKCTL2, LINK_SPEED_16GT);
	/* ports of which devices share no group send nothing past the IOMMU: 6.12 */
	if (!port)
		return;
	put32(config + ACS_AT, PCI_EXT_CAP_ID_ACS | 1u << 16);
	put16(config + ACS_AT + PCI_ACS_CAP, ACS_OF_PORT);
	put16(config + ACS_AT + PCI_ACS_CTRL, ACS_SET);
}

static uint16_t device_id(unsigned type, uint16_t *vendor)
{
	*vendor = 0x104c; /* Texas Instruments, XIO3130 */
	if (type == PCI_EXP_TYPE_UPSTREAM)
		return 0x8232;
	if (type == PCI_EXP_TYPE_DOWNSTREAM)
		return 0x8233;
	*vendor = 0x1b36; /* Red Hat */
	return type == PCI_EXP_TYPE_PCI_BRIDGE ? 0x000e : 0x000c;
}

/* Read what put_windows() wrote. */
static void get_windows(struct machine_bridge_face *b, const uint8_t *c)
{
	uint64_t base, limit;

	base = (uint64_t)(c[PCI_IO_BASE] & 0xf0) << 8;
	limit = (uint64_t)(c[PCI_IO_LIMIT] & 0xf0) << 8 | 0xfff;
	if (limit > base)
		b->windows[VIEW_WINDOW_IO] = (struct view_window){ base, limit + 1 - base };
	base = (uint64_t)(get16(c + PCI_MEMORY_BASE) & 0xfff0) << 16;
	limit = (uint64_t)(get16(c + PCI_MEMORY_LIMIT) & 0xfff0) << 16 | 0xfffff;
	if (limit > base)
		b->windows[VIEW_WINDOW_MEM] = (struct view_window){ base, limit + 1 - base };
	base = (uint64_t)(get16(c + PCI_PREF_MEMORY_BASE) & 0xfff0) << 16 |
	       (uint64_t)get32(c + PCI_PREF_BASE_UPPER32) << 32;
	limit = (uint64_t)(get16(c + PCI_PREF_MEMORY_LIMIT) & 0xfff0) << 16 | 0xfffff |
		(uint64_t)get32(c + PCI_PREF_LIMIT_UPPER32) << 32;
	if (limit > base)
		b->windows[VIEW_WINDOW_PREF] = (struct view_window){ base, limit + 1 - base };
}

void machine_bridge_show(struct machine *m, const struct machine_bridge *b, const uint8_t *config,
			 struct machine_bridge_face *out)
{
	uint8_t *c = out->config;
	uint16_t vendor;

	memset(out, 0, sizeof(*out));
	if (config)
		get_windows(out, config);
	for (unsigned i = 0; i < m->num_plugged; i++) {
		const struct pci_address *a = &m->plugged[i]->d.address;

		if (!a->segment && a->bus >= b->secondary && a->bus <= b->subordinate)
			cover_device(out, m->plugged[i]);
	}
	put16(c + PCI_DEVICE_ID, device_id(b->type, &vendor));
	put16(c + PCI_VENDOR_ID, vendor);
	put16(c + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	put16(c + PCI_CLASS_DEVICE, 0x0604);
	c[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	c[PCI_PRIMARY_BUS] = b->address.bus;
	c[PCI_SECONDARY_BUS] = (uint8_t)b->secondary;
	c[PCI_SUBORDINATE_BUS] = (uint8_t)b->subordinate;
	put_windows(out);
	c[PCI_CAPABILITY_LIST] = EXP_AT;
	put_express(b, c);
	c[PM_AT + PCI_CAP_LIST_ID] = PCI_CAP_ID_PM;
	put16(c + PM_AT + PCI_PM_PMC, 3);
	put16(c + PM_AT + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	out->face = (struct pci_face){ .ops = &bridge_ops,
				       .hardware = out,
				       .model = "bridge",
				       .config_size = sizeof(out->config) };
}
