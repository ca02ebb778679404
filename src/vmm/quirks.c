/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/quirks.c: what single kinds of devices need besides: rows of ours, and those that were
 * registered. Windows in BARs: quirk_windows.c.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/internal.h"

/* ---- rows of ours ---- */

/*
 * The pending bits of a T5's virtual functions are at 0x1000 of a BAR of 8 KiB, and the capability
 * says that they are behind it.
 */
static void fix_chelsio_pba(struct uvfio_vm_device *dev)
{
	unsigned at = dev->config.caps.msix + PCI_MSIX_PBA;
	uint32_t pba = vm_config_copy(dev, at, 4);
	struct vfio_region r;

	if (!dev->config.caps.msix || vfio_device_region(&dev->open, pba & PCI_MSIX_PBA_BIR, &r) ||
	    (pba & PCI_MSIX_PBA_OFFSET) < r.size)
		return;
	vm_config_set(dev, at, 4, 0x1000 | (pba & PCI_MSIX_PBA_BIR), UINT32_MAX, 0);
}

static const struct fix {
	uint16_t vendor, device, device_mask;
	bool rom_hangs;				     /* guests hang in its ROM */
	void (*config)(struct uvfio_vm_device *dev); /* mends the copy of config space */
} fixes[] = {
	{ 0x14e4, 0x168e, 0xffff, .rom_hangs = true },	       /* Broadcom BCM57810 */
	{ 0x1425, 0x5800, 0xff00, .config = fix_chelsio_pba }, /* Chelsio T5, VFs */
};

static bool fits(const struct fix *f, const struct uvfio_vm_device *dev)
{
	return f->vendor == dev->config.vendor &&
	       f->device == (dev->config.device & f->device_mask);
}

bool vm_quirks_rom_hangs(const struct uvfio_vm_device *dev)
{
	for (size_t i = 0; i < sizeof(fixes) / sizeof(fixes[0]); i++)
		if (fixes[i].rom_hangs && fits(&fixes[i], dev))
			return true;
	return false;
}

void vm_quirks_config(struct uvfio_vm_device *dev)
{
	for (size_t i = 0; i < sizeof(fixes) / sizeof(fixes[0]); i++)
		if (fixes[i].config && fits(&fixes[i], dev))
			fixes[i].config(dev);
}

/* ---- rows of others ---- */

struct row {
	const struct uvfio_vm_quirk *quirk;
	struct row *next;
};

/* A leaf. Rows stay; new ones come behind. */
static pthread_mutex_t rows_lock = PTHREAD_MUTEX_INITIALIZER;
static struct row *rows;

int uvfio_vm_quirk_register(const struct uvfio_vm_quirk *q)
{
	VM_CALL();
	struct row *row, **end;

	if (!q || !q->name)
		return vm_fail(NULL, -EINVAL, "a quirk has a name");
	row = malloc(sizeof(*row));
	if (!row)
		return vm_fail(NULL, -ENOMEM, "out of memory");
	*row = (struct row){ .quirk = q };
	pthread_mutex_lock(&rows_lock);
	for (end = &rows; *end; end = &(*end)->next)
		;
	*end = row;
	pthread_mutex_unlock(&rows_lock);
	return 0;
}

static bool is_for(const struct uvfio_vm_quirk *q, const struct uvfio_vm_device *dev)
{
	const struct vm_config *c = &dev->config;

	return (q->vendor == UVFIO_VM_ANY_ID || q->vendor == c->vendor) &&
	       (q->device == UVFIO_VM_ANY_ID || q->device == c->device) &&
	       !((c->class_code ^ q->class_value) & q->class_mask);
}

/* List those of @dev. 0 or -errno with a sentence. */
static int find(struct uvfio_vm_device *dev)
{
	struct vm_config *c = &dev->config;
	unsigned n = 0;
	struct row *row;
	int rc = 0;

	pthread_mutex_lock(&rows_lock);
	for (row = rows; row; row = row->next)
		n += is_for(row->quirk, dev);
	if (n) {
		c->quirks = calloc(n, sizeof(*c->quirks));
		if (!c->quirks)
			rc = vm_fail(dev->vm, -ENOMEM, "out of memory");
	}
	n = 0;
	for (row = rows; row && c->quirks; row = row->next)
		if (is_for(row->quirk, dev))
			c->quirks[n++] = row->quirk;
	c->num_quirks = n;
	pthread_mutex_unlock(&rows_lock);
	return rc;
}

int vm_quirks_init(struct uvfio_vm_device *dev)
{
	struct vm_config *c = &dev->config;
	unsigned n;
	int rc = find(dev);

	if (rc)
		return rc;
	n = c->num_quirks;
	for (c->num_quirks = 0; c->num_quirks < n; c->num_quirks++) {
		const struct uvfio_vm_quirk *q = c->quirks[c->num_quirks];

		rc = q->setup ? q->setup(dev) : 0;
		if (rc) {
			vm_quirks_fini(dev);
			return vm_fail(dev->vm, rc, "%s: the quirk '%s': %s", dev->name, q->name,
				       strerror(-rc));
		}
		report_info("vm-quirk", dev->name, 0, "has the quirk '%s'", q->name);
	}
	return 0;
}

void vm_quirks_fini(struct uvfio_vm_device *dev)
{
	struct vm_config *c = &dev->config;

	while (c->num_quirks) {
		const struct uvfio_vm_quirk *q = c->quirks[--c->num_quirks];

		if (q->teardown)
			q->teardown(dev);
	}
	free(c->quirks);
	c->quirks = NULL;
}

bool vm_quirks_can_reset(const struct uvfio_vm_device *dev)
{
	for (unsigned i = 0; i < dev->config.num_quirks; i++)
		if (dev->config.quirks[i]->reset)
			return true;
	return false;
}

int vm_quirks_reset(struct uvfio_vm_device *dev)
{
	int rc = -ENOTSUP;

	for (unsigned i = 0; rc && i < dev->config.num_quirks; i++)
		if (dev->config.quirks[i]->reset)
			rc = dev->config.quirks[i]->reset(dev);
	return rc;
}

/* ---- for quirks ---- */

int uvfio_vm_config_emulate(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			    uint32_t value, uint32_t emulated, uint32_t writable)
{
	VM_CALL();

	if ((size != 1 && size != 2 && size != 4) || offset & (size - 1) ||
	    offset >= dev->config.size)
		return vm_fail(dev->vm, -EINVAL, "%s: config space has no %u bytes at 0x%x",
			       dev->name, size, offset);
	vm_config_set(dev, offset, size, value, emulated, writable & emulated);
	return 0;
}

int uvfio_vm_quirk_access(struct uvfio_vm_device *dev, unsigned region, uint64_t offset, void *buf,
			  size_t size, bool write)
{
	VM_CALL();

	if (region >= dev->open.dev->num_regions)
		return vm_fail(dev->vm, -EINVAL, "%s has no region %u", dev->name, region);
	if (!vm_device_rw(dev, region, offset, buf, size, write))
		return vm_fail(dev->vm, -EIO, "%s does not answer at 0x%llx of region %u",
			       dev->name, (unsigned long long)offset, region);
	return 0;
}
