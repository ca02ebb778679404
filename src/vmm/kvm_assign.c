/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/kvm_assign.c: the interface that KVM had for assigned devices before VFIO, over this library.
 * The monitor names GSIs; here the guest's writes are made that bring them about: the message that
 * goes into MSI's registers or into MSI-X's table has the GSI for data, and whoever is to deliver
 * it finds it there. So a GSI needs no table: the functions that give a message a route answer the
 * GSI that is in it.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "uvfio/kvm_assign.h"
#include "base/sys.h"
#include "vmm/internal.h"

#define HOST(kinds)  ((kinds)&UVFIO_KVM_IRQ_HOST_MASK)
#define GUEST(kinds) ((kinds)&UVFIO_KVM_IRQ_GUEST_MASK)
/* HOST_MSI and GUEST_MSI, and so on, are eight bits apart. */
#define GUEST_OF(host) ((host) << 8)

/* A PC's processors take messages there (Intel SDM 3A, 11.11.1); the data tells ours apart. */
#define MESSAGE_ADDRESS 0xfee00000u
#define MAX_GSI		0xffffu /* what MSI's data register holds */

struct entry {
	uint32_t vector, gsi; /* gsi 0: the place is free */
};

/* A device. Changed with uvfio_kvm_assign.lock and, what callbacks look at, lines held. */
struct assigned {
	struct cds_list_head node;
	uint32_t id;
	struct uvfio_vm_device *dev; /* NULL: it is being assigned; lines */
	uint32_t kinds;		     /* that are assigned; lines */
	uint32_t gsi;		     /* of INTx or MSI; lines */
	bool up;		     /* it pulls the line of its pin; lines */
	struct entry *entries;
	unsigned num_entries;
};

/*
 * Lock order: lock > those of vmm/internal.h > lines, which is a leaf, held around set_irq().
 * Nobody assigns or unassigns with lock held: a callback about the device, for which these wait,
 * may want it.
 */
struct uvfio_kvm_assign {
	struct uvfio_vm *vm;
	struct uvfio_kvm_irqchip chip;
	bool has_chip;
	void *ctx;
	pthread_mutex_t lock, lines;
	struct cds_list_head devices; /* struct assigned.node; changed with both */
};

/* ---- the guest's interrupt controller ---- */

/* Set a GSI. lines is held. */
static void set_irq(struct uvfio_kvm_assign *a, uint32_t gsi, bool level)
{
	struct kvm_irq_level arg = { .irq = gsi, .level = level };
	int rc = 0;

	if (a->chip.vm_fd < 0)
		a->chip.set_irq(a->ctx, (int)gsi, level);
	else
		rc = sys_ioctl(a->chip.vm_fd, KVM_IRQ_LINE, &arg);
	if (rc)
		report_warn(REPORT_LIMITED("kvm-irq-line"), NULL, rc,
			    "KVM did not take interrupt %u", gsi);
}

/* Find a device among those that are there. lines is held. */
static struct assigned *of_device(struct uvfio_kvm_assign *a, const struct uvfio_vm_device *dev)
{
	struct assigned *d;

	cds_list_for_each_entry(d, &a->devices, node)
		if (d->dev == dev)
			return d;
	return NULL;
}

/* Pull the line of @d, or let it go: it is the OR of all that have it. lines is held. */
static void pull(struct uvfio_kvm_assign *a, struct assigned *d, bool up)
{
	struct assigned *other;

	if (d->up == up)
		return;
	d->up = up;
	cds_list_for_each_entry(other, &a->devices, node)
		if (other != d && other->up && other->gsi == d->gsi)
			return;
	set_irq(a, d->gsi, up);
}

static void on_intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	struct uvfio_kvm_assign *a = ctx;
	struct assigned *d;

	pthread_mutex_lock(&a->lines);
	d = of_device(a, dev);
	if (d && d->kinds & UVFIO_KVM_IRQ_GUEST_INTX)
		pull(a, d, level);
	pthread_mutex_unlock(&a->lines);
}

static void on_msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	struct uvfio_kvm_assign *a = ctx;
	struct assigned *d;

	pthread_mutex_lock(&a->lines);
	d = of_device(a, dev);
	if (d && d->kinds & (UVFIO_KVM_IRQ_GUEST_MSI | UVFIO_KVM_IRQ_GUEST_MSIX))
		set_irq(a, data, true);
	pthread_mutex_unlock(&a->lines);
}

static int intx_gsi(void *ctx, struct uvfio_vm_device *dev, unsigned pin)
{
	struct uvfio_kvm_assign *a = ctx;
	struct assigned *d;
	int gsi = -1;

	pthread_mutex_lock(&a->lines);
	d = of_device(a, dev);
	if (d && d->kinds & UVFIO_KVM_IRQ_GUEST_INTX)
		gsi = (int)d->gsi;
	pthread_mutex_unlock(&a->lines);
	return gsi;
}

static int route_add(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	struct uvfio_kvm_assign *a = ctx;
	struct assigned *d;
	int gsi = -ENOENT; /* no side of the guest's: the message is dropped */

	pthread_mutex_lock(&a->lines);
	d = of_device(a, dev);
	if (d && d->kinds & (UVFIO_KVM_IRQ_GUEST_MSI | UVFIO_KVM_IRQ_GUEST_MSIX))
		gsi = (int)data;
	pthread_mutex_unlock(&a->lines);
	return gsi;
}

/* A message is only ever changed with MSI and MSI-X off. */
static int route_update(void *ctx, int gsi, uint64_t address, uint32_t data)
{
	return (uint32_t)gsi == data ? 0 : -EINVAL;
}

static void route_del(void *ctx, int gsi)
{
}

/* The routes are the monitor's, by KVM_SET_GSI_ROUTING. */
static int route_commit(void *ctx)
{
	return 0;
}

static int irqfd(void *ctx, int eventfd, int gsi, int resamplefd, bool assign)
{
	struct uvfio_kvm_assign *a = ctx;
	struct kvm_irqfd arg = { .fd = (uint32_t)eventfd, .gsi = (uint32_t)gsi };

	if (!assign) {
		arg.flags = KVM_IRQFD_FLAG_DEASSIGN;
	} else if (resamplefd >= 0) {
		arg.flags = KVM_IRQFD_FLAG_RESAMPLE;
		arg.resamplefd = (uint32_t)resamplefd;
	}
	return sys_ioctl(a->chip.vm_fd, KVM_IRQFD, &arg);
}

/* True if the guest has an irqchip: KVM's must be whole in the kernel. */
static bool has_irqchip(const struct uvfio_kvm_assign *a)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	return a->has_chip &&
	       (a->chip.vm_fd < 0 || !sys_ioctl(a->chip.vm_fd, KVM_GET_IRQCHIP, &chip));
}

/* ---- a guest ---- */

struct uvfio_kvm_assign *uvfio_kvm_assign_new(const struct uvfio_vm_ops *ops,
					      const struct uvfio_kvm_irqchip *chip, void *ctx)
{
	VM_CALL();
	struct uvfio_vm_irq_ops irq = {
		.intx = on_intx, .msi = on_msi, .exact_eoi = true, .intx_gsi = intx_gsi
	};
	struct uvfio_kvm_assign *a;

	if (chip && chip->vm_fd < 0 && !chip->set_irq) {
		vm_fail(NULL, -EINVAL, "an irqchip is KVM's, or has set_irq()");
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		vm_fail(NULL, -ENOMEM, "out of memory");
		return NULL;
	}
	CDS_INIT_LIST_HEAD(&a->devices);
	a->ctx = ctx;
	a->has_chip = chip;
	a->chip.vm_fd = -1;
	if (chip)
		a->chip = *chip;
	if (a->chip.vm_fd >= 0) {
		irq.route_add = route_add;
		irq.route_update = route_update;
		irq.route_del = route_del;
		irq.route_commit = route_commit;
		irq.irqfd = irqfd;
	}
	a->vm = uvfio_vm_new(ops, ctx);
	if (!a->vm || uvfio_vm_use_irq_ops(a->vm, &irq, a)) {
		uvfio_vm_free(a->vm);
		free(a);
		return NULL;
	}
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->lines, NULL);
	return a;
}

static void forget(struct assigned *d)
{
	free(d->entries);
	free(d);
}

void uvfio_kvm_assign_free(struct uvfio_kvm_assign *a)
{
	VM_CALL();
	struct assigned *d, *next;

	if (!a)
		return;
	/* its devices go with it; until then their interrupts look for them here */
	uvfio_vm_free(a->vm);
	cds_list_for_each_entry_safe(d, next, &a->devices, node)
		forget(d);
	pthread_mutex_destroy(&a->lines);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

struct uvfio_vm *uvfio_kvm_assign_vm(const struct uvfio_kvm_assign *a)
{
	return a->vm;
}

void uvfio_kvm_assign_ack(struct uvfio_kvm_assign *a, int gsi)
{
	uvfio_vm_intx_eoi(a->vm, gsi);
}

/* ---- devices ---- */

/* Find the device @id, also one that is just being assigned. lock is held. */
static struct assigned *of_id(struct uvfio_kvm_assign *a, uint32_t id)
{
	struct assigned *d;

	cds_list_for_each_entry(d, &a->devices, node)
		if (d->id == id)
			return d;
	return NULL;
}

/* The same, of those that are there. */
static struct assigned *find(struct uvfio_kvm_assign *a, uint32_t id)
{
	struct assigned *d = of_id(a, id);

	return d && d->dev ? d : NULL;
}

/* Take @d out of the list, whatever it is in the middle of; with lock held, or alone. */
static void take_out(struct uvfio_kvm_assign *a, struct assigned *d)
{
	pthread_mutex_lock(&a->lines);
	if (d->up)
		pull(a, d, false);
	cds_list_del(&d->node);
	pthread_mutex_unlock(&a->lines);
}

/* Keep the number @id, before its device is there. 0, -EEXIST, -ENOMEM. */
static int reserve(struct uvfio_kvm_assign *a, uint32_t id, struct assigned **out)
{
	struct assigned *d = calloc(1, sizeof(*d));
	int rc = d ? 0 : vm_fail(a->vm, -ENOMEM, "out of memory");

	pthread_mutex_lock(&a->lock);
	if (!rc && of_id(a, id))
		rc = vm_fail(a->vm, -EEXIST, "there is a device %u already", id);
	if (!rc) {
		d->id = id;
		pthread_mutex_lock(&a->lines);
		cds_list_add_tail(&d->node, &a->devices);
		pthread_mutex_unlock(&a->lines);
	}
	pthread_mutex_unlock(&a->lock);
	if (rc) {
		free(d);
		return rc;
	}
	*out = d;
	return 0;
}

/* Have the pin interrupt, or not, by the bit that functions have for it. */
static void let_intx(struct uvfio_vm_device *dev, bool on)
{
	uint32_t command = uvfio_vm_config_read(dev, PCI_COMMAND, 2);

	uvfio_vm_config_write(dev, PCI_COMMAND, 2,
			      on ? command & ~(uint32_t)PCI_COMMAND_INTX_DISABLE
				 : command | PCI_COMMAND_INTX_DISABLE);
}

int uvfio_kvm_assign_pci_device(struct uvfio_kvm_assign *a, uint32_t id, uint32_t segment,
				uint32_t bus, uint32_t devfn, uint32_t flags, const char *model)
{
	VM_CALL();
	struct uvfio_vm_device *dev;
	struct assigned *d;
	char *spec;
	int rc;

	if (flags != UVFIO_KVM_ASSIGN_ENABLE_IOMMU)
		return vm_fail(a->vm, -EINVAL,
			       "flags 0x%x: devices are assigned behind an IOMMU alone", flags);
	if (segment > 0xffff || bus > 0xff || devfn > 0xff)
		return vm_fail(a->vm, -EINVAL, "there is no segment %u, bus %u, devfn %u", segment,
			       bus, devfn);
	if (asprintf(&spec, "%s%s%04x:%02x:%02x.%u", model ? model : "", model ? ",addr=" : "",
		     segment, bus, devfn >> 3, devfn & 7) < 0)
		return vm_fail(a->vm, -ENOMEM, "out of memory");
	rc = reserve(a, id, &d);
	if (!rc) {
		rc = uvfio_vm_assign(a->vm, spec, NULL, &dev);
		if (!rc) {
			/* until ASSIGN_DEV_IRQ asks for it */
			let_intx(dev, false);
			pthread_mutex_lock(&a->lines);
			d->dev = dev;
			pthread_mutex_unlock(&a->lines);
		} else {
			pthread_mutex_lock(&a->lock);
			take_out(a, d);
			pthread_mutex_unlock(&a->lock);
			forget(d);
		}
	}
	free(spec);
	return rc == -ENODEV || rc == -ENOENT ? -EINVAL : rc;
}

int uvfio_kvm_deassign_pci_device(struct uvfio_kvm_assign *a, uint32_t id)
{
	VM_CALL();
	struct assigned *d;

	pthread_mutex_lock(&a->lock);
	d = find(a, id);
	if (d)
		take_out(a, d);
	pthread_mutex_unlock(&a->lock);
	if (!d)
		return vm_fail(a->vm, -EINVAL, "there is no device %u", id);
	uvfio_vm_unassign(d->dev);
	forget(d);
	return 0;
}

struct uvfio_vm_device *uvfio_kvm_assign_device(struct uvfio_kvm_assign *a, uint32_t id)
{
	struct uvfio_vm_device *dev;
	struct assigned *d;

	pthread_mutex_lock(&a->lock);
	d = find(a, id);
	dev = d ? d->dev : NULL;
	pthread_mutex_unlock(&a->lock);
	return dev;
}

/* ---- interrupts of a device: lock is held ---- */

static enum vm_irq_kind kind_of(struct uvfio_vm_device *dev)
{
	enum vm_irq_kind kind;

	pthread_mutex_lock(&dev->lock);
	kind = dev->irq.kind;
	pthread_mutex_unlock(&dev->lock);
	return kind;
}

/* MSI with one message, whose data is the GSI. */
static int msi_on(struct uvfio_kvm_assign *a, struct assigned *d)
{
	struct uvfio_vm_device *dev = d->dev;
	unsigned cap = dev->config.caps.msi;
	uint32_t flags;

	if (!cap)
		return vm_fail(a->vm, -EINVAL, "%s has no MSI", dev->name);
	flags = uvfio_vm_config_read(dev, cap + PCI_MSI_FLAGS, 2) &
		~(uint32_t)(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
	uvfio_vm_config_write(dev, cap + PCI_MSI_FLAGS, 2, flags);
	uvfio_vm_config_write(dev, cap + PCI_MSI_ADDRESS_LO, 4, MESSAGE_ADDRESS);
	if (flags & PCI_MSI_FLAGS_64BIT)
		uvfio_vm_config_write(dev, cap + PCI_MSI_ADDRESS_HI, 4, 0);
	uvfio_vm_config_write(
		dev, cap + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2,
		d->gsi);
	uvfio_vm_config_write(dev, cap + PCI_MSI_FLAGS, 2, flags | PCI_MSI_FLAGS_ENABLE);
	if (kind_of(dev) == VM_IRQ_MSI)
		return 0;
	uvfio_vm_config_write(dev, cap + PCI_MSI_FLAGS, 2, flags);
	return vm_fail(a->vm, -EIO, "%s: MSI is not to be had", dev->name);
}

/* Write the entry of @vector in the table: masked without a GSI. */
static void write_entry(struct uvfio_vm_device *dev, uint32_t vector, uint32_t gsi)
{
	const struct vm_msix_place *p = &dev->bars.msix;
	uint64_t at = p->table_offset + vector * PCI_MSIX_ENTRY_SIZE;

	uvfio_vm_bar_write(dev, p->table_bar, at + PCI_MSIX_ENTRY_LOWER_ADDR, 4, MESSAGE_ADDRESS);
	uvfio_vm_bar_write(dev, p->table_bar, at + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
	uvfio_vm_bar_write(dev, p->table_bar, at + PCI_MSIX_ENTRY_DATA, 4, gsi);
	uvfio_vm_bar_write(dev, p->table_bar, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4,
			   gsi ? 0 : PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* MSI-X with the entries that were set, all in one go; the others are masked. */
static int msix_on(struct uvfio_kvm_assign *a, struct assigned *d)
{
	struct uvfio_vm_device *dev = d->dev;
	unsigned cap = dev->config.caps.msix, n = 0;
	uint32_t flags;

	for (unsigned i = 0; i < d->num_entries; i++) {
		const struct entry *e = &d->entries[i];

		n += !!e->gsi;
		if (e->gsi && cap && e->vector >= dev->irq.msix_count)
			return vm_fail(a->vm, -EINVAL, "%s has no MSI-X entry %u", dev->name,
				       e->vector);
	}
	if (!cap)
		return vm_fail(a->vm, -EINVAL, "%s has no MSI-X", dev->name);
	if (!n)
		return vm_fail(a->vm, -EINVAL, "no MSI-X entry of %s was set", dev->name);
	flags = uvfio_vm_config_read(dev, cap + PCI_MSIX_FLAGS, 2) &
		~(uint32_t)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	uvfio_vm_config_write(dev, cap + PCI_MSIX_FLAGS, 2,
			      flags | PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < dev->irq.msix_count; i++)
		write_entry(dev, i, 0);
	for (unsigned i = 0; i < d->num_entries; i++)
		if (d->entries[i].gsi)
			write_entry(dev, d->entries[i].vector, d->entries[i].gsi);
	uvfio_vm_config_write(dev, cap + PCI_MSIX_FLAGS, 2, flags | PCI_MSIX_FLAGS_ENABLE);
	if (kind_of(dev) == VM_IRQ_MSIX)
		return 0;
	uvfio_vm_config_write(dev, cap + PCI_MSIX_FLAGS, 2, flags);
	return vm_fail(a->vm, -EIO, "%s: MSI-X is not to be had", dev->name);
}

/* Have the device interrupt in a way, which is not on. */
static int host_on(struct uvfio_kvm_assign *a, struct assigned *d, uint32_t kind)
{
	switch (kind) {
	case UVFIO_KVM_IRQ_HOST_INTX:
		if (!d->dev->irq.intx.there)
			return vm_fail(a->vm, -EIO, "%s has no pin", d->dev->name);
		let_intx(d->dev, true);
		return 0;
	case UVFIO_KVM_IRQ_HOST_MSI:
		return msi_on(a, d);
	default:
		return msix_on(a, d);
	}
}

static void host_off(struct assigned *d, uint32_t kind)
{
	struct uvfio_vm_device *dev = d->dev;
	unsigned cap = 0;

	/* first, since INTx is what comes back when messages go */
	let_intx(dev, false);
	if (kind == UVFIO_KVM_IRQ_HOST_MSI)
		cap = dev->config.caps.msi;
	if (kind == UVFIO_KVM_IRQ_HOST_MSIX)
		cap = dev->config.caps.msix;
	/* the control word is at the same place in both (PCI 3.0, 6.8.1.3, 6.8.2.3) */
	if (cap)
		uvfio_vm_config_write(
			dev, cap + PCI_MSI_FLAGS, 2,
			uvfio_vm_config_read(dev, cap + PCI_MSI_FLAGS, 2) &
				~(uint32_t)(PCI_MSI_FLAGS_ENABLE | PCI_MSIX_FLAGS_ENABLE));
}

/* Say which sides are assigned, and let the line go that is not assigned any more. */
static void set_kinds(struct uvfio_kvm_assign *a, struct assigned *d, uint32_t kinds)
{
	pthread_mutex_lock(&a->lines);
	if (!(kinds & UVFIO_KVM_IRQ_GUEST_INTX))
		pull(a, d, false);
	d->kinds = kinds;
	pthread_mutex_unlock(&a->lines);
}

static bool is_one(uint32_t bits)
{
	return !(bits & (bits - 1));
}

static int check_kinds(struct uvfio_kvm_assign *a, uint32_t kinds)
{
	const uint32_t known =
		UVFIO_KVM_IRQ_HOST_INTX | UVFIO_KVM_IRQ_HOST_MSI | UVFIO_KVM_IRQ_HOST_MSIX;

	if (!kinds || kinds & ~(known | GUEST_OF(known)) || !is_one(HOST(kinds)) ||
	    !is_one(GUEST(kinds)))
		return vm_fail(a->vm, -EINVAL, "kinds 0x%x: one for each side, at most", kinds);
	return 0;
}

/* Assign the guest's side of interrupts that the host's side may have already. */
static int guest_on(struct uvfio_kvm_assign *a, struct assigned *d, uint32_t kind, uint32_t gsi)
{
	uint32_t before = d->kinds, host = HOST(before);
	int rc = 0;

	if (kind != UVFIO_KVM_IRQ_GUEST_MSIX && gsi > MAX_GSI)
		return vm_fail(a->vm, -EINVAL, "there is no GSI %u", gsi);
	pthread_mutex_lock(&a->lines);
	d->gsi = gsi;
	d->kinds |= kind;
	pthread_mutex_unlock(&a->lines);
	if (kind == UVFIO_KVM_IRQ_GUEST_INTX) {
		/* what is pending arrives there */
		uvfio_vm_intx_route_changed(a->vm);
	} else if (host) {
		host_off(d, host);
		rc = host_on(a, d, host);
	}
	if (rc)
		set_kinds(a, d, before & ~host);
	return rc;
}

static int assign_irq(struct uvfio_kvm_assign *a, struct assigned *d, uint32_t kinds, uint32_t gsi)
{
	uint32_t host = HOST(kinds), guest = GUEST(kinds);
	uint32_t all = kinds | d->kinds;
	int rc;

	rc = check_kinds(a, kinds);
	if (rc)
		return rc;
	if (host && HOST(d->kinds))
		return vm_fail(a->vm, -EEXIST, "%s has an interrupt of the host's already",
			       d->dev->name);
	/* what VFIO has no way for; of a side that is assigned already the next lines speak */
	if (HOST(all) && GUEST(all) && is_one(GUEST(all)) && GUEST(all) != GUEST_OF(HOST(all)))
		return vm_fail(a->vm, -EINVAL, "%s: the guest's interrupt is of another kind",
			       d->dev->name);
	if (host) {
		/* of MSI-X the guest's side is in its entries; of others it comes below */
		rc = host_on(a, d, host);
		if (rc)
			return rc;
		set_kinds(a, d, d->kinds | host);
	}
	if (!guest)
		return 0;
	if (GUEST(d->kinds))
		return vm_fail(a->vm, -EEXIST, "%s has an interrupt of the guest's already",
			       d->dev->name);
	return guest_on(a, d, guest, gsi);
}

int uvfio_kvm_assign_dev_irq(struct uvfio_kvm_assign *a, uint32_t id, uint32_t kinds,
			     uint32_t guest_irq)
{
	VM_CALL();
	struct assigned *d;
	int rc;

	if (!has_irqchip(a))
		return vm_fail(a->vm, -EINVAL, "the guest has no irqchip");
	pthread_mutex_lock(&a->lock);
	d = find(a, id);
	rc = d ? assign_irq(a, d, kinds, guest_irq)
	       : vm_fail(a->vm, -ENODEV, "there is no device %u", id);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static int deassign_irq(struct uvfio_kvm_assign *a, struct assigned *d, uint32_t kinds)
{
	if (!d->kinds)
		return vm_fail(a->vm, -ENXIO, "%s has no interrupt", d->dev->name);
	kinds &= d->kinds;
	if (HOST(kinds)) {
		host_off(d, HOST(kinds));
		free(d->entries);
		d->entries = NULL;
		d->num_entries = 0;
	}
	if (!kinds)
		return 0;
	set_kinds(a, d, d->kinds & ~kinds);
	if (kinds & UVFIO_KVM_IRQ_GUEST_INTX) {
		uvfio_vm_intx_route_changed(a->vm);
	} else if (GUEST(kinds) && HOST(d->kinds)) {
		/* its messages go nowhere from now on */
		host_off(d, HOST(d->kinds));
		return host_on(a, d, HOST(d->kinds));
	}
	return 0;
}

int uvfio_kvm_deassign_dev_irq(struct uvfio_kvm_assign *a, uint32_t id, uint32_t kinds)
{
	VM_CALL();
	struct assigned *d;
	int rc;

	if (!has_irqchip(a))
		return vm_fail(a->vm, -EINVAL, "the guest has no irqchip");
	pthread_mutex_lock(&a->lock);
	d = find(a, id);
	rc = d ? deassign_irq(a, d, kinds) : vm_fail(a->vm, -ENODEV, "there is no device %u", id);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

/* ---- entries of MSI-X ---- */

static int set_nr(struct uvfio_kvm_assign *a, uint32_t id, uint32_t n)
{
	struct assigned *d = find(a, id);

	if (!d)
		return vm_fail(a->vm, -EINVAL, "there is no device %u", id);
	if (!n || n >= UVFIO_KVM_MAX_MSIX)
		return vm_fail(a->vm, -EINVAL, "%u entries of MSI-X: from 1 to %u", n,
			       UVFIO_KVM_MAX_MSIX - 1);
	if (d->num_entries)
		return vm_fail(a->vm, -EINVAL, "%s has %u entries of MSI-X already", d->dev->name,
			       d->num_entries);
	d->entries = calloc(n, sizeof(*d->entries));
	if (!d->entries)
		return vm_fail(a->vm, -ENOMEM, "out of memory");
	d->num_entries = n;
	return 0;
}

int uvfio_kvm_assign_set_msix_nr(struct uvfio_kvm_assign *a, uint32_t id, uint32_t n)
{
	VM_CALL();
	int rc;

	pthread_mutex_lock(&a->lock);
	rc = set_nr(a, id, n);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

static int set_entry(struct uvfio_kvm_assign *a, uint32_t id, uint32_t vector, uint32_t gsi)
{
	struct assigned *d = find(a, id);
	struct entry *place = NULL;
	int rc;

	if (!d)
		return vm_fail(a->vm, -EINVAL, "there is no device %u", id);
	for (unsigned i = 0; i < d->num_entries; i++) {
		struct entry *e = &d->entries[i];

		if (e->gsi && e->vector == vector) {
			place = e;
			break;
		}
		if (!e->gsi && !place)
			place = e;
	}
	if (!place)
		return vm_fail(a->vm, -ENOSPC, "%s has no room for another entry of MSI-X",
			       d->dev->name);
	*place = (struct entry){ vector, gsi };
	if (!(d->kinds & UVFIO_KVM_IRQ_HOST_MSIX))
		return 0;
	host_off(d, UVFIO_KVM_IRQ_HOST_MSIX);
	rc = msix_on(a, d);
	if (rc)
		set_kinds(a, d, d->kinds & ~UVFIO_KVM_IRQ_HOST_MSIX);
	return rc;
}

int uvfio_kvm_assign_set_msix_entry(struct uvfio_kvm_assign *a, uint32_t id, uint32_t entry,
				    uint32_t gsi)
{
	VM_CALL();
	int rc;

	pthread_mutex_lock(&a->lock);
	rc = set_entry(a, id, entry, gsi);
	pthread_mutex_unlock(&a->lock);
	return rc;
}
