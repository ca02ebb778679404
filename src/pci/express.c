/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/express.c: PCI Express: the capability of an endpoint, version 2, on a link of 16 GT/s and
 * four lanes; and Advanced Features, which gives a function of conventional PCI what it lacks of
 * Express: FLR. Both FLR bits read zero and act when a one is written (config.c).
 */
#include <errno.h>

#include "pci/internal.h"

/* PCIe 6.0, 7.5.3: version 2, with the fields that an endpoint leaves reserved */
#define EXP_LEN 0x3cu

#define LINK_SPEED_16GT 4u
#define LINK_WIDTH	4u

/*
 * linux/pci_regs.h: Relaxed Ordering and No Snoop are set and reads are of 512 bytes at power-on.
 * PCIe 6.0, 7.5.3.4
 */
#define DEVCTL_INIT \
	(PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B)
#define DEVCTL_WRITABLE                                                                           \
	(PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE | \
	 PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_EXT_TAG |              \
	 PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ)

int uvfio_add_pcie(struct uvfio_dev *dev, bool flr)
{
	uint8_t *c, *w;
	int off;

	off = pci_cap_new(dev, PCI_CAP_ID_EXP, EXP_LEN, NULL, NULL);
	if (off < 0)
		return off;
	c = dev->cfg.bytes + off;
	w = dev->cfg.wmask + off;
	dev->cap.exp = (unsigned)off;
	dev->cap.exp_flr = flr;

	put16(c + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	/*
	 * Max_Payload_Size 256; the latencies of L0s and L1 do not matter; Role-Based Error
	 * Reporting is required. 7.5.3.3
	 */
	put32(c + PCI_EXP_DEVCAP, 1u | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_L0S |
					  PCI_EXP_DEVCAP_L1 | PCI_EXP_DEVCAP_RBER |
					  (flr ? PCI_EXP_DEVCAP_FLR : 0));
	/* All that governs the link and how requests look is the PF's; a VF keeps it 0. 9.3.5 */
	if (!dev->vf.pf) {
		put16(c + PCI_EXP_DEVCTL, DEVCTL_INIT);
		put16(w + PCI_EXP_DEVCTL, DEVCTL_WRITABLE);
	}
	put16(dev->cfg.w1c + off + PCI_EXP_DEVSTA,
	      PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD);

	put32(c + PCI_EXP_LNKCAP,
	      LINK_SPEED_16GT | LINK_WIDTH << 4 | PCI_EXP_LNKCAP_ASPM_L1 | 3u << 12 | 6u << 15);
	if (!dev->vf.pf)
		put16(w + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB |
						  PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
	put16(c + PCI_EXP_LNKSTA, LINK_SPEED_16GT | LINK_WIDTH << 4 | PCI_EXP_LNKSTA_SLC);

	/* Completion timeout ranges A to D, and it can be switched off. 7.5.3.15 */
	put32(c + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_COMP_TMOUT_DIS | 0xf);
	if (!dev->vf.pf)
		put16(w + PCI_EXP_DEVCTL2,
		      PCI_EXP_DEVCTL2_COMP_TIMEOUT | PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
	put32(c + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
					   PCI_EXP_LNKCAP2_SLS_8_0GB | PCI_EXP_LNKCAP2_SLS_16_0GB);
	if (!dev->vf.pf) {
		put16(c + PCI_EXP_LNKCTL2, LINK_SPEED_16GT);
		put16(w + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS);
		put16(dev->cfg.sticky + off + PCI_EXP_LNKCTL2,
		      PCI_EXP_LNKCTL2_TLS); /* RWS: 7.5.3.19 */
	}
	put16(c + PCI_EXP_LNKSTA2, 0x1e); /* equalization was done and is complete */

	if (!dev->vf.pf)
		put16(dev->cfg.wmask + PCI_COMMAND,
		      get16(dev->cfg.wmask + PCI_COMMAND) | PCI_COMMAND_PARITY);
	return off;
}

int uvfio_add_atomics(struct uvfio_dev *dev, unsigned sizes)
{
	static const uint32_t bits[] = { PCI_EXP_DEVCAP2_ATOMIC_COMP32,
					 PCI_EXP_DEVCAP2_ATOMIC_COMP64,
					 PCI_EXP_DEVCAP2_ATOMIC_COMP128 };
	uint8_t *c = dev->cfg.bytes + dev->cap.exp, *w = dev->cfg.wmask + dev->cap.exp;
	uint32_t cap;

	if (!dev->create.now || !dev->cap.exp || dev->vf.pf || !sizes || sizes >> 3)
		return -EINVAL;
	cap = get32(c + PCI_EXP_DEVCAP2);
	for (unsigned i = 0; i < 3; i++)
		cap |= sizes >> i & 1 ? bits[i] : 0;
	put32(c + PCI_EXP_DEVCAP2, cap);
	/*
	 * a firmware has found the way to memory free: without a root port to be seen, this is how
	 * Linux learns of it
	 */
	put16(c + PCI_EXP_DEVCTL2, get16(c + PCI_EXP_DEVCTL2) | PCI_EXP_DEVCTL2_ATOMIC_REQ);
	put16(w + PCI_EXP_DEVCTL2, get16(w + PCI_EXP_DEVCTL2) | PCI_EXP_DEVCTL2_ATOMIC_REQ);
	return 0;
}

int uvfio_add_af(struct uvfio_dev *dev)
{
	/*
	 * PCI ECN "Advanced Capabilities for Conventional PCI": length, capabilities, control,
	 * status
	 */
	static const uint8_t body[] = { PCI_CAP_AF_SIZEOF, PCI_AF_CAP_TP | PCI_AF_CAP_FLR, 0, 0 };
	int off;

	off = pci_cap_new(dev, PCI_CAP_ID_AF, PCI_CAP_AF_SIZEOF, body, NULL);
	if (off > 0)
		dev->cap.af = (unsigned)off;
	return off;
}
