/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq.c: which kind of interrupt a device has now, and the way from one to the other; and the
 * two indices of VFIO that are no interrupts of the guest: ERR and REQ. VFIO has one kind on at a
 * time, so what is on goes off whole before another one comes. What cannot be had becomes INTx,
 * which is what a device has that nobody set up.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "vmm/internal.h"

#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

int vm_set_irqs(struct uvfio_vm_device *dev, unsigned index, uint32_t flags, unsigned start,
		unsigned count, const void *data)
{
	struct vfio_irq_set_args a = {
		.flags = flags, .index = index, .start = start, .count = count, .data = data
	};

	return vfio_device_set_irqs(&dev->open, &a);
}

int vm_eventfd(void)
{
	return (int)fd_of_ours(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);
}

/* ---- what the device has ---- */

static void init_intx(struct uvfio_vm_device *dev)
{
	const uint32_t need = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_AUTOMASKED;
	struct vm_intx *x = &dev->irq.intx;
	unsigned pin = vm_config_get(dev, PCI_INTERRUPT_PIN, 1);
	struct vfio_irq irq;

	if (!pin || pin > 4 || vfio_device_irq(&dev->open, VFIO_PCI_INTX_IRQ_INDEX, &irq) ||
	    irq.count != 1)
		return;
	if ((irq.flags & need) != need) {
		vm_warn("vmm-intx", dev, 0,
			"INTx is left out: VFIO does not signal an eventfd and mask (flags 0x%x)",
			irq.flags);
		return;
	}
	x->there = true;
	x->pin = pin - 1;
}

static void init_msi(struct uvfio_vm_device *dev)
{
	unsigned cap = dev->config.caps.msi;
	struct vfio_irq irq;
	unsigned most;

	if (!cap || vfio_device_irq(&dev->open, VFIO_PCI_MSI_IRQ_INDEX, &irq))
		return;
	most = 1u << ((vm_config_copy(dev, cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QMASK) >> 1);
	most = most > 32 ? 32 : most;
	dev->irq.msi_max = irq.count < most ? irq.count : most;
}

static int init_msix(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;
	unsigned cap = dev->config.caps.msix;
	struct vfio_irq info;
	uint32_t pba;

	if (!cap || vfio_device_irq(&dev->open, VFIO_PCI_MSIX_IRQ_INDEX, &info) || !info.count)
		return 0;
	irq->msix_count = (vm_config_copy(dev, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	irq->msix_max = info.count < irq->msix_count ? info.count : irq->msix_count;
	irq->msix_noresize = info.flags & VFIO_IRQ_INFO_NORESIZE;
	irq->msix_maskable = info.flags & VFIO_IRQ_INFO_MASKABLE;
	/* the device's, whatever the guest is shown */
	if (!vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, cap + PCI_MSIX_PBA, &pba, 4, false))
		pba = PCI_MSIX_PBA_BIR; /* no BAR */
	irq->pba_bar = pba & PCI_MSIX_PBA_BIR;
	irq->pba_offset = pba & PCI_MSIX_PBA_OFFSET;
	irq->table = malloc(irq->msix_count * PCI_MSIX_ENTRY_SIZE);
	if (!irq->table)
		return vm_fail(dev->vm, -ENOMEM, "%s: out of memory", dev->name);
	vm_msix_table_reset(dev);
	return 0;
}

int vm_irq_init(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;

	*irq = (struct vm_irq){
		.intx = { .eventfd = -1,
			  .resamplefd = -1,
			  .timer = -1,
			  .watch = -1,
			  .timer_watch = -1,
			  .gsi = -1,
			  .stands = atomic_load(&dev->vm->paused) },
		.err_fd = -1,
		.req_fd = -1,
		.err_watch = -1,
		.req_watch = -1,
	};
	init_intx(dev);
	init_msi(dev);
	return init_msix(dev);
}

void vm_irq_fini(struct uvfio_vm_device *dev)
{
	free(dev->irq.table);
	dev->irq.table = NULL;
}

/* ---- from one kind to the other ---- */

void vm_irq_off(struct uvfio_vm_device *dev)
{
	switch (dev->irq.kind) {
	case VM_IRQ_NONE:
		break;
	case VM_IRQ_INTX:
		vm_intx_off(dev);
		break;
	case VM_IRQ_MSI:
		vm_msi_off(dev);
		break;
	case VM_IRQ_MSIX:
		vm_msix_off(dev);
		break;
	}
}

int vm_irq_to_intx(struct uvfio_vm_device *dev)
{
	int rc;

	if (dev->irq.kind != VM_IRQ_INTX)
		vm_irq_off(dev);
	vm_msix_table_reset(dev);
	if (dev->irq.kind == VM_IRQ_INTX || !dev->irq.intx.there)
		return 0;
	rc = vm_intx_on(dev);
	return rc ? vm_fail(dev->vm, rc, "%s: INTx cannot be had: %s", dev->name, strerror(-rc))
		  : 0;
}

void vm_irq_fall_back(struct uvfio_vm_device *dev)
{
	int rc;

	if (!dev->irq.intx.there)
		return;
	rc = vm_intx_on(dev);
	if (rc)
		vm_warn("vmm-intx", dev, rc, "INTx cannot be had: the device has no interrupts");
}

static void describe_intx(struct uvfio_vm_device *dev, FILE *f)
{
	const struct vm_intx *x = &dev->irq.intx;

	fputs(x->bypass ? dev->vm->kvm ? "INTX kvm" : "INTX irqfd" : "INTX", f);
	if (x->gsi >= 0)
		fprintf(f, " gsi %d", x->gsi);
	else if (dev->vm->irq_ops.intx_gsi)
		fputs(" nowhere", f);
	if (x->pending)
		fputs(", pending", f);
}

static void describe_vectors(struct uvfio_vm_device *dev, FILE *f)
{
	const struct vm_irq *irq = &dev->irq;
	unsigned on = 0, bypass = 0;

	for (unsigned i = 0; i < irq->num_vectors; i++) {
		on += irq->vectors[i].connected;
		bypass += irq->vectors[i].irqfd;
	}
	fprintf(f, "%s %u of %u vectors", irq->kind == VM_IRQ_MSI ? "MSI" : "MSIX", on,
		irq->num_vectors);
	if (bypass)
		fprintf(f, ", %u by %s", bypass, dev->vm->kvm ? "kvm" : "irqfd");
}

void vm_irq_describe(struct uvfio_vm_device *dev, FILE *f)
{
	switch (dev->irq.kind) {
	case VM_IRQ_NONE:
		fputs("NONE", f);
		break;
	case VM_IRQ_INTX:
		describe_intx(dev, f);
		break;
	default:
		describe_vectors(dev, f);
	}
}

/* ---- errors and requests ---- */

static void on_error(struct uvfio_vm_device *dev, uint64_t arg)
{
	struct uvfio_vm *vm = dev->vm;

	(void)arg;
	if (vm->ops.error)
		vm->ops.error(vm->ctx, dev);
	else
		vm_warn("vmm-error", dev, 0, "the device reports an error, and nobody asks");
}

/* The owner repeats its request until the device is closed. */
static void on_request(struct uvfio_vm_device *dev, uint64_t arg)
{
	struct uvfio_vm *vm = dev->vm;

	(void)arg;
	if (dev->irq.requested)
		return;
	dev->irq.requested = true;
	if (vm->ops.unplug_requested)
		vm->ops.unplug_requested(vm->ctx, dev);
	else
		vm_warn("vmm-request", dev, 0, "its owner wants the device, and nobody asks");
}

/* Have a watched eventfd for @index, if VFIO has that. 0 or -errno. */
static int prepare(struct uvfio_vm_device *dev, unsigned index, vm_event_fn *fn, int *fd,
		   int *watch)
{
	struct vfio_irq irq;
	int rc;

	if (vfio_device_irq(&dev->open, index, &irq) || irq.count != 1)
		return 0;
	rc = vm_eventfd();
	if (rc < 0)
		return rc;
	*fd = rc;
	rc = vm_watch_add_free(dev, *fd, fn, 0);
	if (rc < 0) {
		sys_close(*fd);
		*fd = -1;
		return rc;
	}
	*watch = rc;
	return 0;
}

static void arm(struct uvfio_vm_device *dev, unsigned index, int fd, const char *name)
{
	int rc = fd < 0 ? 0 : vm_set_irqs(dev, index, EVENTFD, 0, 1, &fd);

	if (rc)
		vm_warn("vmm-listen", dev, rc, "VFIO does not signal %s of it", name);
}

static void disarm(struct uvfio_vm_device *dev, unsigned index, int fd)
{
	static const int32_t none = -1;

	/* it may never have been armed */
	if (fd >= 0)
		vm_set_irqs(dev, index, EVENTFD, 0, 1, &none);
}

static void unprepare(struct uvfio_vm_device *dev, int *fd, int *watch)
{
	vm_watch_del_free(dev, *watch);
	*watch = -1;
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/*
 * All that can fail comes first: a handler that runs must find the assignment done, but for the
 * lock of the guest's devices, and may undo it. The device's lock keeps it from doing so between
 * the two.
 */
int vm_irq_listen(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;
	int rc;

	rc = prepare(dev, VFIO_PCI_ERR_IRQ_INDEX, on_error, &irq->err_fd, &irq->err_watch);
	if (!rc)
		rc = prepare(dev, VFIO_PCI_REQ_IRQ_INDEX, on_request, &irq->req_fd,
			     &irq->req_watch);
	if (rc) {
		unprepare(dev, &irq->err_fd, &irq->err_watch);
		return vm_fail(dev->vm, rc, "%s: no eventfd for errors and requests: %s", dev->name,
			       strerror(-rc));
	}
	pthread_mutex_lock(&dev->lock);
	arm(dev, VFIO_PCI_ERR_IRQ_INDEX, irq->err_fd, "errors");
	arm(dev, VFIO_PCI_REQ_IRQ_INDEX, irq->req_fd, "requests");
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

void vm_irq_unlisten(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;

	pthread_mutex_lock(&dev->lock);
	disarm(dev, VFIO_PCI_REQ_IRQ_INDEX, irq->req_fd);
	disarm(dev, VFIO_PCI_ERR_IRQ_INDEX, irq->err_fd);
	pthread_mutex_unlock(&dev->lock);
	/* without the lock, which a handler that runs may want */
	unprepare(dev, &irq->req_fd, &irq->req_watch);
	unprepare(dev, &irq->err_fd, &irq->err_watch);
}
