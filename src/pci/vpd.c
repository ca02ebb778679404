/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/vpd.c: vital product data: a window of four bytes and a flag that says which side's turn it
 * is. PCI 3.0, appendix I: the driver writes the address with F clear and waits until F is set, or
 * writes data, then the address with F set, and waits until F is clear. Here the transfer is done
 * when the write is.
 */
#include <errno.h>
#include <stdlib.h>

#include "pci/internal.h"

#define VPD_MAX 32768u

int uvfio_add_vpd(struct uvfio_dev *dev, const void *data, size_t len, bool writable)
{
	uint8_t *copy;
	int off;

	if (!dev->create.now || !data || !len || len % 4 || len > VPD_MAX)
		return uvfio_error(dev, "VPD of %zu bytes: must be a multiple of 4, up to %u", len,
				   VPD_MAX);
	if (dev->cap.vpd) {
		uvfio_error(dev, "VPD is there already");
		return -EEXIST;
	}
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	off = pci_cap_new(dev, PCI_CAP_ID_VPD, PCI_CAP_VPD_SIZEOF, NULL, NULL);
	if (off < 0) {
		free(copy);
		return off;
	}
	dev->cap.vpd = (unsigned)off;
	dev->vpd.data = copy;
	dev->vpd.len = len;
	dev->vpd.writable = writable;
	put16(dev->cfg.wmask + off + PCI_VPD_ADDR, 0xffff);
	put32(dev->cfg.wmask + off + PCI_VPD_DATA, 0xffffffff);
	return off;
}

void pci_vpd_transfer(pci_function *fn)
{
	uint8_t *c = fn->cfg.bytes + fn->cap.vpd;
	uint16_t reg = get16(c + PCI_VPD_ADDR);
	unsigned addr = reg & PCI_VPD_ADDR_MASK & ~3u;

	/*
	 * Beyond the VPD's end the flag never turns, and the driver gives up as with a chip whose
	 * ROM is missing.
	 */
	if (!range_within(addr, 4, fn->vpd.len)) {
		report_debug("vpd-range", fn->name, 0, "VPD access at 0x%x, there are 0x%zx bytes",
			     addr, fn->vpd.len);
		return;
	}
	if (!(reg & PCI_VPD_ADDR_F)) {
		memcpy(c + PCI_VPD_DATA, fn->vpd.data + addr, 4);
		put16(c + PCI_VPD_ADDR, reg | PCI_VPD_ADDR_F);
		return;
	}
	if (fn->vpd.writable)
		memcpy(fn->vpd.data + addr, c + PCI_VPD_DATA, 4);
	put16(c + PCI_VPD_ADDR, reg & ~PCI_VPD_ADDR_F);
}
