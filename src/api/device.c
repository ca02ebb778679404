/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/device.c: registers and interrupts of an open device: calls of the waist, without the
 * kernel's argument structures.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "api/internal.h"

_Static_assert(UVFIO_INDEX_INTX == (int)VFIO_PCI_INTX_IRQ_INDEX &&
		       UVFIO_INDEX_MSI == (int)VFIO_PCI_MSI_IRQ_INDEX &&
		       UVFIO_INDEX_MSIX == (int)VFIO_PCI_MSIX_IRQ_INDEX &&
		       UVFIO_INDEX_ERR == (int)VFIO_PCI_ERR_IRQ_INDEX &&
		       UVFIO_INDEX_REQ == (int)VFIO_PCI_REQ_IRQ_INDEX,
	       "indices are VFIO's");
_Static_assert(UVFIO_REGION_ROM == VFIO_PCI_ROM_REGION_INDEX &&
		       UVFIO_REGION_CONFIG == VFIO_PCI_CONFIG_REGION_INDEX,
	       "regions are VFIO's");

int64_t uvfio_region_size(struct uvfio_device *dev, unsigned region)
{
	API_CALL();
	struct vfio_region r;
	int rc;

	rc = vfio_device_region(&dev->open, region, &r);
	if (rc)
		return api_fail(dev->u, rc, "%s has no region %u", dev->plugged->addr, region);
	return (int64_t)r.size;
}

static ssize_t access_region(struct uvfio_device *dev, unsigned region, uint64_t offset, void *buf,
			     size_t count, bool write)
{
	ssize_t rc = vfio_device_rw(&dev->open, region, offset, buf, count, write);

	if (__builtin_expect(rc < 0, 0))
		api_fail(dev->u, (int)rc, "%s: %s of %zu bytes at 0x%" PRIx64 " of region %u: %s",
			 dev->plugged->addr, write ? "write" : "read", count, offset, region,
			 rc == -EIO ? "memory decoding is off (COMMAND), or the device is in D3"
				    : strerror((int)-rc));
	return rc;
}

ssize_t uvfio_read(struct uvfio_device *dev, unsigned region, uint64_t offset, void *buf,
		   size_t count)
{
	API_CALL();
	return access_region(dev, region, offset, buf, count, false);
}

ssize_t uvfio_write(struct uvfio_device *dev, unsigned region, uint64_t offset, const void *buf,
		    size_t count)
{
	API_CALL();
	return access_region(dev, region, offset, (void *)buf, count, true);
}

uint32_t uvfio_read32(struct uvfio_device *dev, unsigned bar, uint64_t offset)
{
	API_CALL();
	uint32_t v;

	return access_region(dev, bar, offset, &v, sizeof(v), false) == sizeof(v) ? v : UINT32_MAX;
}

uint64_t uvfio_read64(struct uvfio_device *dev, unsigned bar, uint64_t offset)
{
	API_CALL();
	uint64_t v;

	return access_region(dev, bar, offset, &v, sizeof(v), false) == sizeof(v) ? v : UINT64_MAX;
}

/* Write all of a register, or fail: a write that stops in the middle ran over the region's end. */
static int write_register(struct uvfio_device *dev, unsigned bar, uint64_t offset, const void *v,
			  size_t size)
{
	ssize_t rc = access_region(dev, bar, offset, (void *)v, size, true);

	if (rc >= 0 && (size_t)rc != size)
		return api_fail(dev->u, -EINVAL,
				"%s: write at 0x%" PRIx64 " runs over the end of region %u",
				dev->plugged->addr, offset, bar);
	return rc < 0 ? (int)rc : 0;
}

int uvfio_write32(struct uvfio_device *dev, unsigned bar, uint64_t offset, uint32_t value)
{
	API_CALL();
	return write_register(dev, bar, offset, &value, sizeof(value));
}

int uvfio_write64(struct uvfio_device *dev, unsigned bar, uint64_t offset, uint64_t value)
{
	API_CALL();
	return write_register(dev, bar, offset, &value, sizeof(value));
}

/* ---- interrupts ---- */

int uvfio_irq_count(struct uvfio_device *dev, enum uvfio_irq_index index)
{
	API_CALL();
	struct vfio_irq irq;
	int rc;

	rc = vfio_device_irq(&dev->open, index, &irq);
	if (rc)
		return api_fail(dev->u, rc, "%s has no interrupt index %d", dev->plugged->addr,
				(int)index);
	return (int)irq.count;
}

static int set_irqs(struct uvfio_device *dev, const struct vfio_irq_set_args *a, const char *what)
{
	int rc = vfio_device_set_irqs(&dev->open, a);

	if (rc < 0)
		api_fail(dev->u, rc, "%s: %s, interrupt index %u, vectors %u to %u: %s",
			 dev->plugged->addr, what, a->index, a->start,
			 a->start + a->count - (a->count ? 1 : 0), strerror(-rc));
	return rc;
}

int uvfio_irq_enable(struct uvfio_device *dev, enum uvfio_irq_index index, unsigned start,
		     unsigned count, const int *fds)
{
	API_CALL();
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.start = start,
		.count = count,
		.data = fds,
	};

	/* VFIO reads a count of 0 as "disable" */
	if (!count || !fds)
		return api_fail(dev->u, -EINVAL, "%s: enabling no interrupt vectors",
				dev->plugged->addr);
	return set_irqs(dev, &a, "enabling");
}

int uvfio_irq_disable(struct uvfio_device *dev, enum uvfio_irq_index index)
{
	API_CALL();
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
	};
	int fd = -1;

	if (index == UVFIO_INDEX_ERR || index == UVFIO_INDEX_REQ) {
		/* these two are disabled by an eventfd of -1 (drivers/vfio/pci/vfio_pci_intrs.c) */
		a.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
		a.count = 1;
		a.data = &fd;
	}
	return set_irqs(dev, &a, "disabling");
}

static int intx(struct uvfio_device *dev, uint32_t action, const char *what)
{
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_NONE | action,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};

	return set_irqs(dev, &a, what);
}

int uvfio_intx_mask(struct uvfio_device *dev)
{
	API_CALL();
	return intx(dev, VFIO_IRQ_SET_ACTION_MASK, "masking");
}

int uvfio_intx_unmask(struct uvfio_device *dev)
{
	API_CALL();
	return intx(dev, VFIO_IRQ_SET_ACTION_UNMASK, "unmasking");
}

/* ---- the function ---- */

int uvfio_bus_master(struct uvfio_device *dev, bool on)
{
	API_CALL();
	uint16_t command;
	ssize_t rc;

	pthread_mutex_lock(&dev->command_lock);
	rc = access_region(dev, UVFIO_REGION_CONFIG, PCI_COMMAND, &command, sizeof(command), false);
	if (rc == sizeof(command)) {
		command = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
		rc = access_region(dev, UVFIO_REGION_CONFIG, PCI_COMMAND, &command, sizeof(command),
				   true);
	}
	pthread_mutex_unlock(&dev->command_lock);
	if (rc >= 0 && rc != sizeof(command))
		rc = api_fail(dev->u, -EIO, "%s: COMMAND cannot be written", dev->plugged->addr);
	return rc < 0 ? (int)rc : 0;
}

int uvfio_reset(struct uvfio_device *dev)
{
	API_CALL();
	int rc;

	rc = vfio_device_reset(&dev->open);
	if (rc)
		api_fail(dev->u, rc, "%s: reset: %s", dev->plugged->addr,
			 rc == -EINVAL ? "the function has no way to be reset" : strerror(-rc));
	return rc;
}

uint64_t uvfio_dma_faults(const struct uvfio_device *dev)
{
	return atomic_load(&dev->open.dev->iommu->faults) - dev->faults_before;
}
