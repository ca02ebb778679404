/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/lost.c: writes to config space that the driver drops, for the checker (check/). Most of
 * them are nobody's mistake: BARs are sized by them, a monitor passes on all that its guest writes,
 * and a guest writes what it would on a machine of its own (sizes of payloads, link control, error
 * masks, MSI's registers). So there is a list of what is told: registers by which a program wants
 * something to happen that does not.
 */
#include "vfio_pci/internal.h"

#ifndef PCI_EXT_CAP_ID_PASID
#define PCI_EXT_CAP_ID_PASID 0x1b /* PCIe 6.0, 7.8.9 */
#endif

/* A write, in one capability. */
struct piece {
	const struct vfio_pci_cap *cap;
	unsigned pos, size;
	uint32_t value, before, after;
};

/* Return the byte at @off of the capability in @value, if it was written; else 0. */
static unsigned byte_of(const struct piece *p, unsigned off, uint32_t value)
{
	unsigned at = p->cap->pos + off;

	return at >= p->pos && at < p->pos + p->size ? value >> 8 * (at - p->pos) & 0xff : 0;
}

/* True if a bit of [@off, @off + @n) was to change, and did not. */
static bool is_lost(const struct piece *p, unsigned off, unsigned n)
{
	for (unsigned i = off; i < off + n; i++) {
		unsigned value = byte_of(p, i, p->value);

		if ((value ^ byte_of(p, i, p->after)) & (value ^ byte_of(p, i, p->before)))
			return true;
	}
	return false;
}

static const char *of_header(const struct piece *p)
{
	if (is_lost(p, PCI_VENDOR_ID, 4) || is_lost(p, PCI_CLASS_REVISION, 4))
		return "IDs are read-only";
	return NULL;
}

static const char *of_power(struct vfio_pci_device *vd, const struct piece *p)
{
	unsigned off = PCI_PM_CTRL, want = byte_of(p, off, p->value) & PCI_PM_CTRL_STATE_MASK;

	if (p->cap->pos + off < p->pos || p->cap->pos + off >= p->pos + p->size ||
	    pci_power_state(vd->fn) == want)
		return NULL;
	if (uvfio_num_vfs(vd->fn))
		return "it sleeps only when its virtual functions are gone";
	return "the function does not have this power state, or cannot go there from this one";
}

static const char *of_extended(const struct piece *p)
{
	/* offsets: PCIe 6.0, 9.3.3, 10.5.1, 10.5.2, 7.8.9 */
	switch (p->cap->id) {
	case PCI_EXT_CAP_ID_SRIOV:
		return is_lost(p, PCI_SRIOV_CTRL, 2) || is_lost(p, PCI_SRIOV_NUM_VF, 2)
			       ? "a user cannot make virtual functions: the file sriov_numvfs does"
			       : NULL;
	case PCI_EXT_CAP_ID_ATS:
		return is_lost(p, PCI_ATS_CTRL, 2) ? "ATS is the IOMMU driver's" : NULL;
	case PCI_EXT_CAP_ID_PRI:
		return is_lost(p, PCI_PRI_CTRL, 1) || is_lost(p, PCI_PRI_ALLOC_REQ, 4)
			       ? "page requests are the IOMMU driver's"
			       : NULL;
	case PCI_EXT_CAP_ID_PASID:
		return is_lost(p, PCI_PASID_CTRL, 2) ? "PASIDs are the IOMMU driver's" : NULL;
	}
	return NULL;
}

static const char *of_standard(struct vfio_pci_device *vd, const struct piece *p)
{
	unsigned at = p->cap->pos;

	switch (p->cap->id) {
	case PCI_CAP_ID_PM:
		return of_power(vd, p);
	case PCI_CAP_ID_EXP:
		if (byte_of(p, PCI_EXP_DEVCTL + 1, p->value) & PCI_EXP_DEVCTL_BCR_FLR >> 8 &&
		    !(pci_config_read(vd->fn, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
			return "the function has no FLR: nothing was reset";
		return NULL;
	case PCI_CAP_ID_AF:
		if (byte_of(p, PCI_AF_CTRL, p->value) & PCI_AF_CTRL_FLR &&
		    !(pci_config_read(vd->fn, at + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR))
			return "the function has no FLR: nothing was reset";
		return NULL;
	case PCI_CAP_ID_VPD:
		if (byte_of(p, PCI_VPD_ADDR + 1, p->value) & PCI_VPD_ADDR_F >> 8 &&
		    byte_of(p, PCI_VPD_ADDR, p->value) & 3)
			return "VPD is written at multiples of 4";
		return NULL;
	}
	return NULL;
}

void vfio_pci_lost_config(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value,
			  uint32_t before, uint32_t after)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("config-lost"));
	unsigned index = vd->config.cap_of[pos];
	struct piece p = { .pos = pos, .size = size, .value = value, .before = before };
	const char *why;

	if (!index)
		return;
	p.after = after;
	p.cap = &vd->config.caps[index - 1];
	if (!p.cap->pos)
		why = of_header(&p);
	else
		why = p.cap->pos < PCI_CFG_SIZE ? of_standard(vd, &p) : of_extended(&p);
	if (why)
		report_say(&code, vd->vdev.name, 0,
			   "config space: write of 0x%0*x at 0x%02x has no effect: %s",
			   2 * (int)size, value, pos, why);
}

void vfio_pci_lost_table(struct vfio_pci_device *vd, unsigned bar, uint64_t pos)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("config-lost"));

	report_say(&code, vd->vdev.name, 0,
		   "BAR%u: write at 0x%llx, into the table of MSI-X, has no effect: "
		   "VFIO_DEVICE_SET_IRQS sets it up",
		   bar, (unsigned long long)pos);
}
