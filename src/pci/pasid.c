/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/pasid.c: a function with PASIDs: the capability, and DMA that says whose it is.
 */
#include <errno.h>

#include "iommu/pasid.h"
#include "pci/internal.h"

#ifndef PCI_EXP_DEVCAP2_EE_PREFIX
#define PCI_EXP_DEVCAP2_EE_PREFIX 0x00200000 /* PCIe 6.0, 7.5.3.15: End-End TLP Prefix Supported */
#endif
#define EE_PREFIX_ONE 0x00400000u /* the same: Max End-End TLP Prefixes, 1 */

/*
 * Enabled from power-on, with all that it has: the host's IOMMU driver does that before anybody has
 * the device, and again after each reset. No byte is the user's to write.
 */
int uvfio_add_pasid(struct uvfio_dev *dev, unsigned width, bool exec)
{
	uint8_t cap[PCI_EXT_CAP_PASID_SIZEOF] = { 0 }, *exp = dev->cfg.bytes + dev->cap.exp;
	int off;

	if (!width || width > IOMMU_PASID_BITS_MAX || dev->vf.pf || !dev->cap.exp)
		return -EINVAL;
	/* PCIe 6.0, 7.8.8 */
	put16(cap + PCI_PASID_CAP, (uint16_t)((exec ? PCI_PASID_CAP_EXEC : 0) | width << 8));
	put16(cap + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE | (exec ? PCI_PASID_CTRL_EXEC : 0));
	off = pci_ext_cap_new(dev, PCI_EXT_CAP_ID_PASID, 1, sizeof(cap), cap + 4, NULL);
	if (off < 0)
		return off;
	put32(exp + PCI_EXP_DEVCAP2,
	      get32(exp + PCI_EXP_DEVCAP2) | PCI_EXP_DEVCAP2_EE_PREFIX | EE_PREFIX_ONE);
	return iommu_pasid_add(&dev->iommu, width, exec) ? -ENOMEM : off;
}

bool pci_pasid_valid(const pci_function *fn, uint32_t pasid)
{
	return pasid == UVFIO_NO_PASID || !(pasid >> iommu_pasid_bits(&fn->iommu));
}

int uvfio_dma_read_pasid(struct uvfio_dev *dev, uint32_t pasid, uint64_t iova, void *buf,
			 size_t len)
{
	return pci_pasid_valid(dev, pasid)
		       ? iommu_dma_read_pasid(&dev->iommu, pasid, iova, buf, len)
		       : -EINVAL;
}

int uvfio_dma_write_pasid(struct uvfio_dev *dev, uint32_t pasid, uint64_t iova, const void *buf,
			  size_t len)
{
	return pci_pasid_valid(dev, pasid)
		       ? iommu_dma_write_pasid(&dev->iommu, pasid, iova, buf, len)
		       : -EINVAL;
}
