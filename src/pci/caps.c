/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/caps.c: building config space: room for a capability, its link in the chain, its bytes and
 * the bits that software may write. The capabilities with a behaviour of their own are added by the
 * file that has it (msi.c, express.c, aer.c, power.c, vpd.c).
 */
#include <errno.h>

#include "pci/internal.h"

#define FIRST_CAP     PCI_STD_HEADER_SIZEOF
#define FIRST_EXT_CAP PCI_CFG_SIZE

static bool used(const pci_function *fn, unsigned byte)
{
	return fn->cfg.used[byte / 8] & 1u << byte % 8;
}

/* Reserve the first @len free bytes at a dword in [from, to). Their offset, or -ENOSPC. */
static int reserve(pci_function *fn, unsigned from, unsigned to, size_t len)
{
	unsigned off = from, i;

	while (range_within(off, len, to)) {
		for (i = 0; i < len && !used(fn, off + i); i++)
			;
		if (i == len) {
			for (i = 0; i < len; i++)
				fn->cfg.used[(off + i) / 8] |= (uint8_t)(1u << (off + i) % 8);
			return (int)off;
		}
		off = (unsigned)align_up(off + i + 1, 4);
	}
	return -ENOSPC;
}

static void fill(pci_function *fn, unsigned off, size_t len, const void *data, const void *writable)
{
	if (data)
		memcpy(fn->cfg.bytes + off, data, len);
	if (writable)
		memcpy(fn->cfg.wmask + off, writable, len);
}

static unsigned find_cap(const pci_function *fn, uint8_t id)
{
	unsigned off, left = PCI_CFG_SIZE / 4;

	/*
	 * The pointers are hardware's own and read-only; what bounds the walk is a model that sets
	 * them by uvfio_config_set.
	 */
	for (off = fn->cfg.bytes[PCI_CAPABILITY_LIST];
	     off >= FIRST_CAP && off + 1 < PCI_CFG_SIZE && left--; off = fn->cfg.bytes[off + 1]) {
		if (fn->cfg.bytes[off] == id)
			return off;
	}
	return 0;
}

static unsigned find_ext_cap(const pci_function *fn, uint16_t id)
{
	unsigned off = fn->cfg.last_ext_cap ? FIRST_EXT_CAP : 0, left = PCI_CFG_EXP_SIZE / 4;
	uint32_t header;

	for (; off >= FIRST_EXT_CAP && off + 4 <= PCI_CFG_EXP_SIZE && left--;
	     off = PCI_EXT_CAP_NEXT(header)) {
		header = get32(fn->cfg.bytes + off);
		if (PCI_EXT_CAP_ID(header) == id)
			return off;
	}
	return 0;
}

/* The lock, since a reset writes every byte of config space. */
unsigned pci_find_cap(pci_function *fn, uint8_t id)
{
	unsigned off;

	pthread_mutex_lock(&fn->lock);
	off = find_cap(fn, id);
	pthread_mutex_unlock(&fn->lock);
	return off;
}

unsigned pci_find_ext_cap(pci_function *fn, uint16_t id)
{
	unsigned off;

	pthread_mutex_lock(&fn->lock);
	off = find_ext_cap(fn, id);
	pthread_mutex_unlock(&fn->lock);
	return off;
}

int pci_cap_new(pci_function *fn, uint8_t id, size_t len, const void *data, const void *writable)
{
	int off;

	if (!fn->create.now || len < 2)
		return -EINVAL;
	if (id != PCI_CAP_ID_VNDR && find_cap(fn, id)) {
		uvfio_error(fn, "capability 0x%02x is there already", id);
		return -EEXIST;
	}
	off = reserve(fn, FIRST_CAP, PCI_CFG_SIZE, len);
	if (off < 0) {
		uvfio_error(fn, "no room for capability 0x%02x of %zu bytes in config space", id,
			    len);
		return off;
	}
	fn->cfg.bytes[off] = id;
	fill(fn, (unsigned)off + 2, len - 2, data, writable);
	fn->cfg.bytes[fn->cfg.last_cap ? fn->cfg.last_cap + 1 : PCI_CAPABILITY_LIST] = (uint8_t)off;
	fn->cfg.bytes[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	fn->cfg.last_cap = (unsigned)off;
	return off;
}

int pci_ext_cap_new(pci_function *fn, uint16_t id, unsigned version, size_t len, const void *data,
		    const void *writable)
{
	uint32_t header;
	int off;

	if (!fn->create.now || len < 4 || len % 4 || version > 0xf)
		return -EINVAL;
	if (id != PCI_EXT_CAP_ID_VNDR && id != PCI_EXT_CAP_ID_DVSEC && find_ext_cap(fn, id)) {
		uvfio_error(fn, "extended capability 0x%04x is there already", id);
		return -EEXIST;
	}
	off = reserve(fn, FIRST_EXT_CAP, PCI_CFG_EXP_SIZE, len);
	if (off < 0) {
		uvfio_error(fn,
			    "no room for extended capability 0x%04x of %zu bytes in config space",
			    id, len);
		return off;
	}
	put32(fn->cfg.bytes + off, id | version << 16);
	fill(fn, (unsigned)off + 4, len - 4, data, writable);
	if (fn->cfg.last_ext_cap) {
		header = get32(fn->cfg.bytes + fn->cfg.last_ext_cap);
		put32(fn->cfg.bytes + fn->cfg.last_ext_cap, header | (uint32_t)off << 20);
	}
	fn->cfg.last_ext_cap = (unsigned)off;
	return off;
}

int uvfio_add_cap(struct uvfio_dev *dev, uint8_t id, const void *data, const void *writable,
		  size_t len)
{
	static const uint8_t own[] = { PCI_CAP_ID_PM,  PCI_CAP_ID_VPD,	PCI_CAP_ID_MSI,
				       PCI_CAP_ID_EXP, PCI_CAP_ID_MSIX, PCI_CAP_ID_AF };

	/* They would be there and do nothing. */
	if (memchr(own, id, sizeof(own)))
		return uvfio_error(dev, "capability 0x%02x is added by a function of its own", id);
	return pci_cap_new(dev, id, len, data, writable);
}

int uvfio_add_vendor_cap(struct uvfio_dev *dev, const void *data, const void *writable, size_t len)
{
	uint8_t body[PCI_CFG_SIZE] = { 0 }, mask[PCI_CFG_SIZE] = { 0 };

	if (len < 3 || len > PCI_CFG_SIZE - FIRST_CAP)
		return -EINVAL;
	/* PCI 3.0, 6.7 and appendix H: the length stands after the header */
	body[0] = (uint8_t)len;
	if (data)
		memcpy(body + 1, data, len - 3);
	if (writable)
		memcpy(mask + 1, writable, len - 3);
	return pci_cap_new(dev, PCI_CAP_ID_VNDR, len, body, mask);
}

int uvfio_add_ext_cap(struct uvfio_dev *dev, uint16_t id, unsigned version, const void *data,
		      const void *writable, size_t len)
{
	if (id == PCI_EXT_CAP_ID_ERR)
		return uvfio_error(dev, "extended capability 0x%04x is added by uvfio_add_aer", id);
	return pci_ext_cap_new(dev, id, version, len, data, writable);
}

int uvfio_add_dsn(struct uvfio_dev *dev, uint64_t serial)
{
	uint8_t body[8];

	put32(body, (uint32_t)serial); /* PCIe 6.0, 7.9.3: lower dword first */
	put32(body + 4, (uint32_t)(serial >> 32));
	return pci_ext_cap_new(dev, PCI_EXT_CAP_ID_DSN, 1, 4 + sizeof(body), body, NULL);
}
