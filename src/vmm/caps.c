/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/caps.c: capabilities that the guest sees. The chain of the device is walked, each capability
 * is prepared by a function of a table, and those that are not hidden are chained anew, in the
 * device's order and each at its place. A real device can be broken: no pointer, length or order is
 * taken on trust.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vmm/internal.h"

#define MAX_CAPS     48u	/* dwords behind the header: PCI 3.0, 6.7 */
#define MAX_EXT_CAPS (3840 / 8) /* as many as have room */

/* MSI's data of 32 bits, which VFIO has none of (PCIe 6.0, 7.7.1.2): the guest has those of 16. */
#define MSI_EXTENDED_DATA 0x0600u

/* One that was found. */
struct cap {
	unsigned at, id;
	unsigned room; /* bytes up to the next one, or the end of config space */
	bool shown;
};

static bool has_vectors(struct uvfio_vm_device *dev, unsigned index)
{
	struct vfio_irq irq;

	return !vfio_device_irq(&dev->open, index, &irq) && irq.count;
}

static uint32_t get(const struct uvfio_vm_device *dev, unsigned at, unsigned size)
{
	return vm_config_copy(dev, at, size);
}

/* ---- what is done with each: SHOWN, HIDDEN, or -errno with a sentence ---- */

enum { SHOWN, HIDDEN };

static int setup_pm(struct uvfio_vm_device *dev, const struct cap *c)
{
	struct vm_caps *caps = &dev->config.caps;

	if (caps->pm || c->room < PCI_PM_SIZEOF)
		return HIDDEN;
	caps->pm = c->at;
	caps->pm_reset = !(get(dev, c->at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET);
	return SHOWN;
}

/* Emulate all of it but the mask and pending bits, which the device has. PCI 3.0, 6.8.1. */
static int setup_msi(struct uvfio_vm_device *dev, const struct cap *c)
{
	struct vm_caps *caps = &dev->config.caps;
	uint16_t flags = (uint16_t)get(dev, c->at + PCI_MSI_FLAGS, 2) & ~MSI_EXTENDED_DATA;
	bool is64 = flags & PCI_MSI_FLAGS_64BIT, masks = flags & PCI_MSI_FLAGS_MASKBIT;
	unsigned size = 10u + (is64 ? 4 : 0) + (masks ? 10 : 0);
	unsigned data = c->at + (is64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
	unsigned max = (flags & PCI_MSI_FLAGS_QMASK) >> 1;

	if (caps->msi || c->room < size || max > 5 || !has_vectors(dev, VFIO_PCI_MSI_IRQ_INDEX))
		return HIDDEN;
	caps->msi = c->at;
	caps->msi_size = size;
	vm_config_set(dev, c->at, 2, get(dev, c->at, 2), 0xffff, 0);
	vm_config_set(dev, c->at + PCI_MSI_FLAGS, 2,
		      flags & ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE), 0xffff,
		      PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	vm_config_set(dev, c->at + PCI_MSI_ADDRESS_LO, 4, 0, UINT32_MAX, UINT32_MAX & ~3u);
	if (is64)
		vm_config_set(dev, c->at + PCI_MSI_ADDRESS_HI, 4, 0, UINT32_MAX, UINT32_MAX);
	vm_config_set(dev, data, 2, 0, 0xffff, 0xffff);
	if (masks) {
		uint32_t vectors = max == 5 ? UINT32_MAX : (1u << (1u << max)) - 1;
		unsigned mask = c->at + (is64 ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);

		vm_config_pass(dev, mask, 4, vectors);
	}
	return SHOWN;
}

static int setup_msix(struct uvfio_vm_device *dev, const struct cap *c)
{
	struct vm_caps *caps = &dev->config.caps;
	uint16_t flags = (uint16_t)get(dev, c->at + PCI_MSIX_FLAGS, 2);

	if (caps->msix || c->room < PCI_CAP_MSIX_SIZEOF ||
	    !has_vectors(dev, VFIO_PCI_MSIX_IRQ_INDEX))
		return HIDDEN;
	caps->msix = c->at;
	vm_config_set(dev, c->at, 2, get(dev, c->at, 2), 0xffff, 0);
	vm_config_set(dev, c->at + PCI_MSIX_FLAGS, 2, flags & PCI_MSIX_FLAGS_QSIZE, 0xffff,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	vm_config_set(dev, c->at + PCI_MSIX_TABLE, 4, get(dev, c->at + PCI_MSIX_TABLE, 4),
		      UINT32_MAX, 0);
	vm_config_set(dev, c->at + PCI_MSIX_PBA, 4, get(dev, c->at + PCI_MSIX_PBA, 4), UINT32_MAX,
		      0);
	return SHOWN;
}

static int setup_af(struct uvfio_vm_device *dev, const struct cap *c)
{
	struct vm_caps *caps = &dev->config.caps;
	uint32_t have;

	if (caps->af || c->room < PCI_CAP_AF_SIZEOF)
		return HIDDEN;
	caps->af = c->at;
	have = get(dev, c->at + PCI_AF_CAP, 1);
	caps->af_flr = have & PCI_AF_CAP_TP && have & PCI_AF_CAP_FLR;
	caps->flr |= caps->af_flr;
	return SHOWN;
}

/* ---- PCI Express: by where the guest has the device. PCIe 6.0, 7.5.3 ---- */

#define EXP_SIZE_LINK  (PCI_EXP_LNKSTA + 2u) /* with the link's registers */
#define EXP_SIZE_LINK2 (PCI_EXP_LNKSTA2 + 2u)

static uint16_t exp_type(uint16_t flags)
{
	return (flags & PCI_EXP_FLAGS_TYPE) >> 4;
}

static void set_exp_type(struct uvfio_vm_device *dev, unsigned at, unsigned type)
{
	vm_config_set(dev, at + PCI_EXP_FLAGS, 2, type << 4, PCI_EXP_FLAGS_TYPE, 0);
}

/* Show these registers of a link, none of which the guest changes. */
static void set_link(struct uvfio_vm_device *dev, unsigned at, uint32_t cap, uint32_t sta)
{
	vm_config_set(dev, at + PCI_EXP_LNKCAP, 4, cap, UINT32_MAX, 0);
	vm_config_set(dev, at + PCI_EXP_LNKCTL, 2, 0, 0xffff, 0);
	vm_config_set(dev, at + PCI_EXP_LNKSTA, 2, sta, 0xffff, 0);
}

static void set_link2(struct uvfio_vm_device *dev, unsigned at, uint32_t cap, uint32_t ctl)
{
	vm_config_set(dev, at + PCI_EXP_LNKCAP2, 4, cap, UINT32_MAX, 0);
	vm_config_set(dev, at + PCI_EXP_LNKCTL2, 2, ctl, 0xffff, 0);
	vm_config_set(dev, at + PCI_EXP_LNKSTA2, 2, 0, 0xffff, 0);
}

/* On a root bus: an endpoint is a part of the root complex, and has no link. */
static int exp_on_root(struct uvfio_vm_device *dev, const struct cap *c, uint16_t flags)
{
	if (exp_type(flags) == PCI_EXP_TYPE_LEG_END)
		return HIDDEN;
	if (exp_type(flags) != PCI_EXP_TYPE_ENDPOINT)
		return SHOWN;
	set_exp_type(dev, c->at, PCI_EXP_TYPE_RC_END);
	if (c->room >= EXP_SIZE_LINK)
		set_link(dev, c->at, 0, 0);
	if ((flags & PCI_EXP_FLAGS_VERS) > 1 && c->room >= EXP_SIZE_LINK2)
		set_link2(dev, c->at, 0, 0);
	return SHOWN;
}

/* Behind a port: a part of the root complex becomes an endpoint, whose link is made up. */
static int exp_behind_port(struct uvfio_vm_device *dev, const struct cap *c, uint16_t flags)
{
	/* a capability of an integrated endpoint can end before the link's registers */
	if (c->room < EXP_SIZE_LINK)
		return HIDDEN;
	if (exp_type(flags) != PCI_EXP_TYPE_RC_END) {
		/* the port above shows the same; that of the host may change */
		vm_config_set(dev, c->at + PCI_EXP_LNKSTA, 2, get(dev, c->at + PCI_EXP_LNKSTA, 2),
			      PCI_EXP_LNKSTA_CLS | PCI_EXP_LNKSTA_NLW, 0);
		return SHOWN;
	}
	set_exp_type(dev, c->at, PCI_EXP_TYPE_ENDPOINT);
	set_link(dev, c->at, 1 << 4 | PCI_EXP_LNKCAP_SLS_2_5GB,
		 PCI_EXP_LNKSTA_NLW_X1 | PCI_EXP_LNKSTA_CLS_2_5GB);
	if ((flags & PCI_EXP_FLAGS_VERS) > 1 && c->room >= EXP_SIZE_LINK2)
		set_link2(dev, c->at, PCI_EXP_LNKCAP2_SLS_2_5GB, PCI_EXP_LNKCTL2_TLS_2_5GT);
	return SHOWN;
}

static int setup_pcie(struct uvfio_vm_device *dev, const struct cap *c)
{
	struct vm_caps *caps = &dev->config.caps;
	uint16_t flags = (uint16_t)get(dev, c->at + PCI_EXP_FLAGS, 2), type = exp_type(flags);
	int rc = SHOWN;

	if (caps->has_pcie || c->room < PCI_EXP_DEVSTA + 2)
		return HIDDEN;
	if (type != PCI_EXP_TYPE_ENDPOINT && type != PCI_EXP_TYPE_LEG_END &&
	    type != PCI_EXP_TYPE_RC_END)
		return vm_fail(dev->vm, -ENOTSUP,
			       "%s has the PCI Express type %u: only endpoints can be assigned",
			       dev->name, type);
	caps->has_pcie = true;
	caps->exp_flr = get(dev, c->at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR;
	caps->flr |= caps->exp_flr;
	/* virtual functions of the 82599 have none */
	if (!(flags & PCI_EXP_FLAGS_VERS))
		vm_config_set(dev, c->at + PCI_EXP_FLAGS, 2, 1, PCI_EXP_FLAGS_VERS, 0);
	if (dev->options.bus == VM_BUS_PCI)
		return HIDDEN;
	if (dev->options.bus == VM_BUS_ROOT)
		rc = exp_on_root(dev, c, flags);
	else if (dev->options.bus == VM_BUS_PORT)
		rc = exp_behind_port(dev, c, flags);
	if (rc == SHOWN)
		caps->pcie = c->at;
	return rc;
}

static int setup(struct uvfio_vm_device *dev, const struct cap *c)
{
	switch (c->id) {
	case PCI_CAP_ID_PM:
		return setup_pm(dev, c);
	case PCI_CAP_ID_MSI:
		return setup_msi(dev, c);
	case PCI_CAP_ID_MSIX:
		return setup_msix(dev, c);
	case PCI_CAP_ID_EXP:
		return setup_pcie(dev, c);
	case PCI_CAP_ID_AF:
		return setup_af(dev, c);
	default:
		return SHOWN;
	}
}

/* ---- the chain ---- */

/* Find how far each one can reach. */
static void find_room(struct cap *caps, unsigned n, unsigned end)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned next = end;

		for (unsigned j = 0; j < n; j++)
			if (caps[j].at > caps[i].at && caps[j].at < next)
				next = caps[j].at;
		caps[i].room = next - caps[i].at;
	}
}

/* List the capabilities of the device, in its order: how many. */
static unsigned walk(const struct uvfio_vm_device *dev, struct cap caps[MAX_CAPS])
{
	unsigned next, n = 0;
	uint64_t seen = 0;

	if (!(get(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	next = get(dev, PCI_CAPABILITY_LIST, 1);
	while (n < MAX_CAPS && next != 0xff && (next &= ~3u) >= PCI_STD_HEADER_SIZEOF) {
		uint64_t bit = 1ull << next / 4;

		if (seen & bit || get(dev, next, 1) == 0xff)
			break;
		seen |= bit;
		caps[n++] = (struct cap){ .at = next, .id = get(dev, next, 1) };
		next = get(dev, next + 1, 1);
	}
	find_room(caps, n, PCI_CFG_SIZE);
	return n;
}

/* Return how many bytes are hidden with a capability: behind it may be registers of the device. */
static unsigned hidden_size(struct uvfio_vm_device *dev, const struct cap *c)
{
	unsigned size = c->room;

	if (c->id == PCI_CAP_ID_MSI)
		size = 24;
	else if (c->id == PCI_CAP_ID_MSIX)
		size = PCI_CAP_MSIX_SIZEOF;
	else if (c->id == PCI_CAP_ID_EXP)
		size = (get(dev, c->at + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_VERS) > 1
			       ? PCI_EXP_SLTSTA2 + 2u
			       : EXP_SIZE_LINK;
	return size < c->room ? size : c->room;
}

static int init_chain(struct uvfio_vm_device *dev)
{
	struct cap caps[MAX_CAPS];
	unsigned n = walk(dev, caps), last = PCI_CAPABILITY_LIST;
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		int rc = setup(dev, &caps[i]);

		if (rc < 0)
			return rc;
		caps[i].shown = rc == SHOWN;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!caps[i].shown) {
			vm_config_hide(dev, caps[i].at, hidden_size(dev, &caps[i]));
			continue;
		}
		vm_config_set(dev, last, 1, caps[i].at, 0xff, 0);
		last = caps[i].at + PCI_CAP_LIST_NEXT;
		any = true;
	}
	vm_config_set(dev, last, 1, 0, 0xff, 0);
	vm_config_set(dev, PCI_STATUS, 2, any ? PCI_STATUS_CAP_LIST : 0, PCI_STATUS_CAP_LIST, 0);
	return 0;
}

/* ---- extended capabilities: PCIe 6.0, 7.6 ---- */

/* Left out always, and how long each is. */
static const struct {
	uint16_t id, size; /* size 0: up to the next one */
} left_out[] = {
	{ PCI_EXT_CAP_ID_ARI, PCI_EXT_CAP_ARI_SIZEOF },
	{ PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF },
	{ PCI_EXT_CAP_ID_SRIOV, PCI_EXT_CAP_SRIOV_SIZEOF },
	{ PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF },
	{ PCI_EXT_CAP_ID_REBAR, 0 },
	{ PCI_EXT_CAP_ID_PASID, PCI_EXT_CAP_PASID_SIZEOF },
	{ 0x24, 0 }, /* resizable BARs of VFs: linux-libc-dev 6.1 has no name */
};

/* True if the guest does not see it; @size gets how many bytes are hidden with it. */
static bool is_left_out(const struct uvfio_vm_device *dev, const struct cap *c, unsigned *size)
{
	const struct vm_options *o = &dev->options;

	*size = c->room;
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
		if (left_out[i].id == c->id) {
			if (left_out[i].size && left_out[i].size < c->room)
				*size = left_out[i].size;
			return true;
		}
	}
	for (unsigned i = 0; i < o->num_hide; i++)
		if (o->hide[i] == c->id)
			return true;
	return false;
}

/* List the extended capabilities of the device, in its order: how many. */
static unsigned walk_ext(const struct uvfio_vm_device *dev, struct cap caps[MAX_EXT_CAPS])
{
	uint8_t seen[PCI_CFG_EXP_SIZE / 4] = { 0 };
	unsigned next = PCI_CFG_SIZE, n = 0;

	while (n < MAX_EXT_CAPS && next >= PCI_CFG_SIZE && !seen[next / 4]) {
		uint32_t header = get(dev, next, 4);

		if (!header || header == UINT32_MAX)
			break;
		seen[next / 4] = 1;
		caps[n++] = (struct cap){ .at = next, .id = PCI_EXT_CAP_ID(header) };
		next = PCI_EXT_CAP_NEXT(header);
	}
	find_room(caps, n, PCI_CFG_EXP_SIZE);
	return n;
}

static void set_ext_next(struct uvfio_vm_device *dev, unsigned at, unsigned next)
{
	vm_config_set(dev, at, 4, next << 20, 0xfffu << 20, 0);
}

/*
 * Chain them anew. No pointer leads past the first one, so when it is hidden it becomes one that is
 * nothing, of id 0 and version 0, which leads on.
 */
static void init_ext_chain(struct uvfio_vm_device *dev)
{
	struct cap caps[MAX_EXT_CAPS];
	unsigned n = walk_ext(dev, caps), last = 0, size;

	for (unsigned i = 0; i < n; i++) {
		if (is_left_out(dev, &caps[i], &size)) {
			vm_config_hide(dev, caps[i].at, size);
			if (i)
				continue;
		}
		if (i)
			set_ext_next(dev, last, caps[i].at);
		last = caps[i].at;
	}
	if (n)
		set_ext_next(dev, last, 0);
}

int vm_caps_init(struct uvfio_vm_device *dev)
{
	int rc = init_chain(dev);

	if (rc)
		return rc;
	/* a conventional bus does not reach further */
	if (dev->options.bus == VM_BUS_PCI || dev->options.bus == VM_BUS_CONVENTIONAL)
		dev->config.size = PCI_CFG_SIZE;
	if (dev->config.size > PCI_CFG_SIZE)
		init_ext_chain(dev);
	return 0;
}
