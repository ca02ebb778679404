/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/msix_place.c: where the guest has the MSI-X table and the pending bits. They are ours, so
 * that their pages are trapped. With msix=barN they are where the device has nothing: in the upper
 * half of a BAR that is shown twice as large, or in one that the device does not have.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "base/util.h"
#include "vmm/internal.h"
#include "vmm/pieces.h"

/* Have what the capability says in the copy. */
static void set_capability(struct uvfio_vm_device *dev)
{
	const struct vm_msix_place *m = &dev->bars.msix;
	unsigned cap = dev->config.caps.msix;

	vm_config_set(dev, cap + PCI_MSIX_TABLE, 4, (uint32_t)m->table_offset | m->table_bar,
		      UINT32_MAX, 0);
	vm_config_set(dev, cap + PCI_MSIX_PBA, 4, (uint32_t)m->pba_offset | m->pba_bar, UINT32_MAX,
		      0);
}

/* True if BAR @index is none of its own: its register is the upper half of the one before. */
static bool is_upper_half(const struct uvfio_vm_device *dev, unsigned index)
{
	return index && dev->bars.bar[index - 1].is64;
}

/* Make BAR @index, which the device does not have, of @size bytes. */
static void make_bar(struct uvfio_vm_device *dev, unsigned index, uint64_t size)
{
	struct vm_bar *b = &dev->bars.bar[index];

	b->size = size;
	b->is64 = index < 5 && !dev->bars.bar[index + 1].region_size;
	b->prefetch = b->is64;
}

/* Have table and pending bits in the BAR that the user wants. 0 or -EINVAL with a sentence. */
static int relocate(struct uvfio_vm_device *dev, unsigned index)
{
	struct vm_msix_place *m = &dev->bars.msix;
	struct vm_bar *b = &dev->bars.bar[index];
	uint64_t need = PAGE_SIZE_4K, at = 0;

	while (need < m->table_size + m->pba_size)
		need *= 2;
	if (is_upper_half(dev, index))
		return vm_fail(dev->vm, -EINVAL, "%s: msix=bar%u: that is the upper half of BAR%u",
			       dev->name, index, index - 1);
	if (b->io || (b->region_size && !b->size))
		return vm_fail(dev->vm, -EINVAL, "%s: msix=bar%u: that BAR is one of ports",
			       dev->name, index);
	if (!b->is64 && b->size > HUGE_1G)
		return vm_fail(dev->vm, -EINVAL,
			       "%s: msix=bar%u: a BAR of 32 bits with 0x%" PRIx64
			       " bytes cannot be twice as large",
			       dev->name, index, b->size);
	if (b->size) {
		at = b->size > need ? b->size : need;
		b->size = 2 * at;
	} else {
		make_bar(dev, index, need);
	}
	m->table_bar = m->pba_bar = index;
	m->table_offset = at;
	m->pba_offset = at + m->table_size;
	dev->bars.moved_msix = true;
	set_capability(dev);
	return 0;
}

/* Check that @what is in a BAR of the device. 0 or -EINVAL with a sentence. */
static int check(struct uvfio_vm_device *dev, const char *what, unsigned bar, uint64_t offset,
		 uint64_t size)
{
	if (bar < UVFIO_VM_ROM && !dev->bars.bar[bar].io &&
	    range_within(offset, size, dev->bars.bar[bar].region_size))
		return 0;
	return vm_fail(dev->vm, -EINVAL,
		       "%s: the device has its MSI-X %s at 0x%" PRIx64
		       " of BAR%u, and no memory there",
		       dev->name, what, offset, bar);
}

/* Find out where the device has them. 0 or -EINVAL with a sentence. */
static int learn(struct uvfio_vm_device *dev)
{
	struct vm_msix_place *m = &dev->bars.msix;
	uint32_t table, pba;
	unsigned count = dev->irq.msix_count;
	int rc;

	table = vm_config_copy(dev, dev->config.caps.msix + PCI_MSIX_TABLE, 4);
	pba = vm_config_copy(dev, dev->config.caps.msix + PCI_MSIX_PBA, 4);
	m->table_bar = table & PCI_MSIX_TABLE_BIR;
	m->table_offset = table & PCI_MSIX_TABLE_OFFSET;
	m->table_size = 16ull * count;
	m->pba_bar = pba & PCI_MSIX_PBA_BIR;
	m->pba_offset = pba & PCI_MSIX_PBA_OFFSET;
	m->pba_size = (count + 63ull) / 64 * 8;
	rc = check(dev, "table", m->table_bar, m->table_offset, m->table_size);
	if (rc)
		return rc;
	return check(dev, "pending bits", m->pba_bar, m->pba_offset, m->pba_size);
}

/*
 * Have the pages of what the device has there trapped: the table's, but where it was moved away
 * and the host lets it be mapped; and those of the pending bits, but with pba=off. 0 or -ENOMEM.
 */
static int cut(struct uvfio_vm_device *dev, const struct vm_msix_place *m)
{
	struct vfio_region r;
	int rc = vfio_device_region(&dev->open, m->table_bar, &r);

	if (!rc && !(dev->bars.moved_msix && r.msix_mappable))
		rc = vm_pieces_cut(&dev->bars.bar[m->table_bar], m->table_offset, m->table_size);
	if (!rc && !dev->bars.moved_msix && dev->options.pba_trapped)
		rc = vm_pieces_cut(&dev->bars.bar[m->pba_bar], m->pba_offset, m->pba_size);
	return rc ? vm_fail(dev->vm, rc, "out of memory") : 0;
}

int vm_msix_place(struct uvfio_vm_device *dev)
{
	struct vm_msix_place device;
	int rc;

	if (!dev->config.caps.msix || !dev->irq.msix_count)
		return dev->options.msix_bar == VM_MSIX_KEEP
			       ? 0
			       : vm_fail(dev->vm, -EINVAL, "%s: msix=bar%u: it has no MSI-X",
					 dev->name, dev->options.msix_bar);
	rc = learn(dev);
	device = dev->bars.msix;
	if (!rc && dev->options.msix_bar != VM_MSIX_KEEP)
		rc = relocate(dev, dev->options.msix_bar);
	return rc ? rc : cut(dev, &device);
}
