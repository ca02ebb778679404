/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/msi.c: MSI: as many vectors as the guest enables, all at once, which differ in the low bits
 * of the data. The mask bits reach the device, which may not have them set by then (VFIO sets up
 * its vectors after the guest did), so a masked vector is disconnected as well.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vmm/internal.h"

/* The registers, as the guest wrote them. */
struct msi {
	uint16_t flags;
	uint64_t address;
	uint32_t data, masked;
	unsigned vectors; /* that the guest enabled */
};

static struct msi read_msi(const struct uvfio_vm_device *dev)
{
	unsigned cap = dev->config.caps.msi;
	struct msi m = { .flags = (uint16_t)vm_config_copy(dev, cap + PCI_MSI_FLAGS, 2) };
	bool is64 = m.flags & PCI_MSI_FLAGS_64BIT;
	unsigned log2 = (m.flags & PCI_MSI_FLAGS_QSIZE) >> 4;

	m.address = vm_config_copy(dev, cap + PCI_MSI_ADDRESS_LO, 4);
	if (is64)
		m.address |= (uint64_t)vm_config_copy(dev, cap + PCI_MSI_ADDRESS_HI, 4) << 32;
	m.data = vm_config_copy(dev, cap + (is64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2);
	if (m.flags & PCI_MSI_FLAGS_MASKBIT)
		m.masked = vm_config_copy(dev, cap + (is64 ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4);
	/* 6 and 7 mean nothing (PCI 3.0, 6.8.1.3) */
	m.vectors = 1u << (log2 > 5 ? 5 : log2);
	return m;
}

/* Return how many vectors can be used, those without a gap. */
static unsigned usable(const struct uvfio_vm_device *dev)
{
	unsigned n = 0;

	while (n < dev->irq.num_vectors && vm_vector_usable(dev, n))
		n++;
	return n;
}

/*
 * Bring routes and masks to what the registers say. 0; or -errno: some vectors have no eventfd, or
 * no way to the guest.
 */
static int follow(struct uvfio_vm_device *dev, const struct msi *m)
{
	uint32_t low = m->vectors - 1;
	unsigned n = dev->irq.num_vectors;
	int rc = 0;

	for (unsigned i = 0; i < n; i++) {
		int one = vm_vector_prepare(dev, i, m->address, (m->data & ~low) | i);

		if (one) {
			vm_vector_disconnect(dev, i);
			rc = one;
		}
	}
	vm_vectors_commit(dev);
	for (unsigned i = 0; i < n; i++) {
		if (m->masked >> i & 1)
			vm_vector_disconnect(dev, i);
		else if (vm_vector_usable(dev, i))
			vm_vector_connect(dev, i);
	}
	if (usable(dev) == n)
		return 0;
	return rc ? rc : -ENOMEM; /* of an irqfd that was refused, and the loop has no room */
}

/* Try with @n vectors. 0; positive: so many can be had, fewer; or -errno: nothing is on. */
static int try(struct uvfio_vm_device *dev, const struct msi *m, unsigned n)
{
	struct vm_irq *irq = &dev->irq;
	int rc = vm_vectors_new(dev, n);

	if (rc)
		return rc;
	rc = follow(dev, m);
	if (rc) {
		unsigned have = usable(dev);

		vm_vectors_free(dev);
		return have ? (int)have : rc;
	}
	for (unsigned i = 0; i < n; i++)
		irq->fds[i] = irq->vectors[i].eventfd;
	rc = vm_set_irqs(dev, VFIO_PCI_MSI_IRQ_INDEX,
			 VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, n, irq->fds);
	if (!rc)
		return 0;
	vm_vectors_free(dev);
	return rc > 0 && (unsigned)rc >= n ? -ENOSPC : rc;
}

/* Have MSI on; nothing else is. 0 or -errno. */
static int switch_on(struct uvfio_vm_device *dev, const struct msi *m)
{
	unsigned n = m->vectors < dev->irq.msi_max ? m->vectors : dev->irq.msi_max;
	int rc = n ? (int)n : -EINVAL;

	while (rc > 0) {
		n = (unsigned)rc;
		rc = try(dev, m, n);
	}
	if (rc)
		return rc;
	if (n < m->vectors)
		vm_warn("vmm-msi-fewer", dev, 0, "MSI has %u of the %u vectors that the guest has",
			n, m->vectors);
	dev->irq.kind = VM_IRQ_MSI;
	return 0;
}

static void enable(struct uvfio_vm_device *dev, const struct msi *m)
{
	int rc;

	vm_irq_off(dev);
	rc = switch_on(dev, m);
	if (!rc)
		return;
	vm_warn("vmm-msi", dev, rc, "MSI cannot be had: the device has INTx");
	vm_irq_fall_back(dev);
}

void vm_msi_off(struct uvfio_vm_device *dev)
{
	int rc = vm_set_irqs(dev, VFIO_PCI_MSI_IRQ_INDEX,
			     VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);

	if (rc)
		vm_warn("vmm-msi-off", dev, rc, "VFIO does not switch MSI off");
	vm_vectors_free(dev);
	dev->irq.kind = VM_IRQ_NONE;
}

void vm_msi_written(struct uvfio_vm_device *dev, uint16_t old)
{
	bool is = dev->irq.kind == VM_IRQ_MSI;
	struct msi m = read_msi(dev);
	int rc;

	if (!(m.flags & PCI_MSI_FLAGS_ENABLE)) {
		if (is) {
			vm_msi_off(dev);
			vm_irq_fall_back(dev);
		}
		return;
	}
	/* what could not be had is tried again when the guest asks for it anew */
	if (!(old & PCI_MSI_FLAGS_ENABLE) || (m.flags ^ old) & PCI_MSI_FLAGS_QSIZE)
		enable(dev, &m);
	else if (is && (rc = follow(dev, &m)))
		vm_warn("vmm-vector", dev, rc, "some vectors of MSI have no interrupts");
}

uint32_t vm_msi_pending(const struct uvfio_vm_device *dev)
{
	if (dev->irq.kind != VM_IRQ_MSI)
		return 0;
	return (uint32_t)vm_vectors_waiting(dev, 0, dev->irq.num_vectors);
}
