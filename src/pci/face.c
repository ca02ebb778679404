/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/face.c: what can be found out about a function by its config space alone; and how a function
 * of ours shows itself.
 */
#include <linux/pci_regs.h>

#include "pci/internal.h"

#define FIRST_CAP     0x40u
#define FIRST_EXT_CAP 0x100u

unsigned pci_face_config(const struct pci_face *f, uint8_t buf[PCI_CFG_EXP_SIZE])
{
	for (unsigned i = 0; i < f->config_size; i += 4)
		put32(buf + i, pci_face_read(f, i, 4));
	return f->config_size;
}

unsigned pci_face_find_cap(const struct pci_face *f, uint8_t id)
{
	unsigned off, left = PCI_CFG_SIZE / 4;

	if (!(pci_face_read(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (off = pci_face_read(f, PCI_CAPABILITY_LIST, 1) & ~3u; off >= FIRST_CAP && left--;
	     off = pci_face_read(f, off + 1, 1) & ~3u) {
		if (pci_face_read(f, off, 1) == id)
			return off;
	}
	return 0;
}

unsigned pci_face_find_ext_cap(const struct pci_face *f, uint16_t id)
{
	unsigned off = FIRST_EXT_CAP, left = PCI_CFG_EXP_SIZE / 4;
	uint32_t header;

	for (; off >= FIRST_EXT_CAP && off + 4 <= f->config_size && left--;
	     off = PCI_EXT_CAP_NEXT(header)) {
		header = pci_face_read(f, off, 4);
		if (PCI_EXT_CAP_ID(header) == id)
			return off;
	}
	return 0;
}

unsigned pci_face_power_state(const struct pci_face *f)
{
	unsigned pm = pci_face_find_cap(f, PCI_CAP_ID_PM);

	return pm ? pci_face_read(f, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK : 0;
}

unsigned pci_face_bar_register(const struct pci_face *f, unsigned bar)
{
	if (bar >= PCI_FACE_VF_BARS)
		return pci_face_find_ext_cap(f, PCI_EXT_CAP_ID_SRIOV) + PCI_SRIOV_BAR +
		       4 * (bar - PCI_FACE_VF_BARS);
	return bar == PCI_ROM_BAR ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

/* Return what the register, and the next one of a 64-bit BAR, has above the bits of @mask. */
static uint64_t read_address(const struct pci_face *f, unsigned bar, uint32_t mask, unsigned flags)
{
	unsigned reg = pci_face_bar_register(f, bar);
	uint64_t v = pci_face_read(f, reg, 4) & mask;

	if (flags & UVFIO_BAR_64)
		v |= (uint64_t)pci_face_read(f, reg + 4, 4) << 32;
	return v;
}

uint64_t pci_face_bar_address(const struct pci_face *f, unsigned bar)
{
	const uint32_t memory = (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	const struct pci_bar *b;

	/* the VF BARs of the capability are laid out as those of the header */
	if (bar >= PCI_FACE_VF_BARS)
		return read_address(f, bar, memory, f->sriov.bars[bar - PCI_FACE_VF_BARS].flags);
	b = &f->bars[bar];
	if (!b->size)
		return 0;
	if (f->pf)
		return pci_face_bar_address(f->pf, PCI_FACE_VF_BARS + bar) + f->vf_index * b->size;
	if (bar == PCI_ROM_BAR)
		return read_address(f, bar, (uint32_t)PCI_ROM_ADDRESS_MASK, 0);
	if (b->flags & UVFIO_BAR_IO)
		return read_address(f, bar, (uint32_t)PCI_BASE_ADDRESS_IO_MASK, 0);
	return read_address(f, bar, memory, b->flags);
}

/* ---- of a function of ours ---- */

static uint32_t function_read(void *hardware, unsigned off, unsigned size)
{
	return pci_config_read(hardware, off, size);
}

static void function_write(void *hardware, unsigned off, unsigned size, uint32_t value)
{
	pci_config_write(hardware, off, size, value);
}

static const struct pci_face_ops function_ops = { function_read, function_write };

void pci_function_face(pci_function *fn, const struct pci_face *pf, struct pci_face *out)
{
	const struct uvfio_model *model = pci_function_model(fn);
	const struct uvfio_sriov *iov = pci_sriov_info(fn);

	*out = (struct pci_face){
		.ops = &function_ops,
		.hardware = fn,
		.model = model->name,
		.summary = model->summary,
		.config_size = pci_config_size(fn),
		.pf = pf,
		.vf_index = pf ? uvfio_vf_index(fn) : 0,
	};
	for (unsigned i = 0; i <= PCI_ROM_BAR; i++)
		out->bars[i] = *pci_function_bar(fn, i);
	if (!iov)
		return;
	out->sriov = (struct pci_face_sriov){
		.total = iov->total_vfs,
		.offset = iov->first_vf_offset,
		.stride = iov->vf_stride,
		.vf_device_id = iov->vf_device_id,
		.host_driver = iov->host_driver,
	};
	for (unsigned i = 0; i < PCI_BARS; i++)
		out->sriov.bars[i] = (struct pci_bar){ iov->bars[i].size, iov->bars[i].flags };
}
