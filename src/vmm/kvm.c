/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/kvm.c: a guest of KVM's. Its functions are those of struct uvfio_vm_irq_ops by which
 * interrupts pass without the monitor, and BARs as memory slots. The routes are in kvm_routes.c.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "vmm/internal.h"
#include "vmm/kvm.h"
#include "vmm/kvm_routes.h"

enum vfio_state { UNTRIED, ABSENT, THERE };

struct vm_kvm {
	int vm_fd;
	void *ctx; /* of the monitor's functions */
	int (*intx_gsi)(void *ctx, struct uvfio_vm_device *dev, unsigned pin);
	bool resample;	       /* INTx may go by irqfds */
	atomic_bool said_full; /* that there are no GSIs left */
	struct vm_kvm_routes routes;
	/* all below; a leaf, held around KVM's calls */
	pthread_mutex_t lock;
	unsigned *levels; /* of a GSI: how many devices hold the line */
	bool *slots;	  /* of those that are ours: it is in use */
	unsigned first_slot, num_slots;
	enum vfio_state vfio_state;
	int vfio;		    /* KVM's VFIO device, if it is THERE */
	struct cds_list_head files; /* struct vfio_file */
};

/* A file that KVM's VFIO device was told of: of a group, it is that of several devices. */
struct vfio_file {
	struct cds_list_head node;
	int fd;
	unsigned users;
};

/* ---- lines and messages by system calls ---- */

/* Count a device at the line of @gsi, or no more; with the lock. */
static void hold_line(struct vm_kvm *k, struct uvfio_vm_device *dev, unsigned gsi, bool level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };
	int rc;

	if (level ? k->levels[gsi]++ : --k->levels[gsi])
		return;
	rc = sys_ioctl(k->vm_fd, KVM_IRQ_LINE, &l);
	if (rc)
		vm_warn("vmm-kvm-line", dev, rc, "KVM does not move the line of GSI %u", gsi);
}

static void intx(void *arg, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	struct vm_kvm *k = arg;
	int gsi = level ? k->intx_gsi(k->ctx, dev, pin) : -1;

	pthread_mutex_lock(&k->lock);
	/* the pin may lead elsewhere since it was raised */
	if (dev->irq.kvm_line && dev->irq.kvm_line != gsi + 1) {
		hold_line(k, dev, (unsigned)dev->irq.kvm_line - 1, false);
		dev->irq.kvm_line = 0;
	}
	if (!dev->irq.kvm_line && gsi >= 0 && (unsigned)gsi < k->routes.max) {
		hold_line(k, dev, (unsigned)gsi, true);
		dev->irq.kvm_line = gsi + 1;
	}
	pthread_mutex_unlock(&k->lock);
}

static int intx_gsi(void *arg, struct uvfio_vm_device *dev, unsigned pin)
{
	struct vm_kvm *k = arg;
	int gsi = k->intx_gsi(k->ctx, dev, pin);

	return gsi >= 0 && (unsigned)gsi < k->routes.max ? gsi : -1;
}

static void msi(void *arg, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	struct vm_kvm *k = arg;
	struct kvm_msi m = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};
	int rc = -EINVAL;

	if (vm_kvm_is_msi(address))
		rc = sys_ioctl(k->vm_fd, KVM_SIGNAL_MSI, &m);
	/* 0: the guest does not take it now, as a message that the APIC drops */
	if (rc < 0)
		vm_warn("vmm-kvm-msi", dev, rc,
			"a message of %#x to %#llx is not delivered: it is no interrupt", data,
			(unsigned long long)address);
}

/* ---- past the monitor ---- */

static int route_add(void *arg, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	struct vm_kvm *k = arg;
	int rc = vm_kvm_route_add(&k->routes, address, data);

	if (rc == -ENOSPC && !atomic_exchange(&k->said_full, true))
		vm_warn("vmm-kvm-gsis", dev, 0,
			"no route of KVM's is left of %u: messages that have none go through the "
			"monitor",
			k->routes.max);
	return rc;
}

static int route_update(void *arg, int gsi, uint64_t address, uint32_t data)
{
	struct vm_kvm *k = arg;

	return vm_kvm_route_update(&k->routes, gsi, address, data);
}

static void route_del(void *arg, int gsi)
{
	struct vm_kvm *k = arg;

	vm_kvm_route_del(&k->routes, gsi);
}

static int route_commit(void *arg)
{
	struct vm_kvm *k = arg;

	return vm_kvm_route_commit(&k->routes);
}

static int irqfd(void *arg, int eventfd, int gsi, int resamplefd, bool assign)
{
	struct vm_kvm *k = arg;
	struct kvm_irqfd f = { .fd = (uint32_t)eventfd, .gsi = (uint32_t)gsi };

	if (!assign) {
		f.flags = KVM_IRQFD_FLAG_DEASSIGN;
	} else if (resamplefd >= 0) {
		if (!k->resample)
			return -EINVAL;
		f.flags = KVM_IRQFD_FLAG_RESAMPLE;
		f.resamplefd = (uint32_t)resamplefd;
	}
	return sys_ioctl(k->vm_fd, KVM_IRQFD, &f);
}

/* ---- memory slots ---- */

static int set_slot(struct vm_kvm *k, unsigned slot, uint64_t gpa, uint64_t size, void *host,
		    bool readonly)
{
	struct kvm_userspace_memory_region r = {
		.slot = k->first_slot + slot,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return sys_ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
}

int vm_kvm_slot_add(struct vm_kvm *k, uint64_t gpa, uint64_t size, void *host, bool readonly)
{
	unsigned slot = 0;
	int rc;

	pthread_mutex_lock(&k->lock);
	while (slot < k->num_slots && k->slots[slot])
		slot++;
	if (slot < k->num_slots)
		k->slots[slot] = true;
	pthread_mutex_unlock(&k->lock);
	if (slot == k->num_slots)
		return -ENOSPC;
	rc = set_slot(k, slot, gpa, size, host, readonly);
	if (!rc)
		return (int)slot;
	pthread_mutex_lock(&k->lock);
	k->slots[slot] = false;
	pthread_mutex_unlock(&k->lock);
	return rc;
}

void vm_kvm_slot_del(struct vm_kvm *k, unsigned slot)
{
	int rc = set_slot(k, slot, 0, 0, NULL, false);

	/* it takes no memory of the kernel's; that it failed must not pass in silence */
	if (rc)
		report_err("vmm-kvm-slot", "kvm", rc, "slot %u cannot be taken away",
			   k->first_slot + slot);
	pthread_mutex_lock(&k->lock);
	k->slots[slot] = rc != 0;
	pthread_mutex_unlock(&k->lock);
}

/* ---- KVM's VFIO device ---- */

/* Make the device with the first file: a guest without real devices has none. With the lock. */
static bool have_vfio(struct vm_kvm *k)
{
	struct kvm_create_device d = { .type = KVM_DEV_TYPE_VFIO };
	int rc;

	if (k->vfio_state != UNTRIED)
		return k->vfio_state == THERE;
	rc = sys_ioctl(k->vm_fd, KVM_CREATE_DEVICE, &d);
	k->vfio_state = rc ? ABSENT : THERE;
	k->vfio = (int)d.fd;
	if (rc == -EBUSY)
		report_warn("vmm-kvm-vfio", "kvm", rc,
			    "the monitor made KVM's VFIO device, and must tell it of its files");
	else if (rc)
		report_info("vmm-kvm-vfio", "kvm", rc, "KVM has no VFIO device");
	return !rc;
}

/* Devices work without: KVM asks it about DMA that goes past caches. */
static void tell(struct vm_kvm *k, int fd, bool add)
{
	int32_t file = fd;
	struct kvm_device_attr a = {
		.group = KVM_DEV_VFIO_GROUP, /* the same numbers as for any file, since 6.6 */
		.attr = add ? KVM_DEV_VFIO_GROUP_ADD : KVM_DEV_VFIO_GROUP_DEL,
		.addr = (uintptr_t)&file,
	};
	int rc;

	if (!have_vfio(k))
		return;
	rc = sys_ioctl(k->vfio, KVM_SET_DEVICE_ATTR, &a);
	if (rc)
		report_warn("vmm-kvm-vfio", "kvm", rc, "KVM's VFIO device does not %s a file",
			    add ? "take" : "give back");
}

static struct vfio_file *find_file(struct vm_kvm *k, int fd)
{
	struct vfio_file *f;

	cds_list_for_each_entry(f, &k->files, node)
		if (f->fd == fd)
			return f;
	return NULL;
}

/* Count a device more that is had by the file. 0 or -ENOMEM. */
static int get_file(struct vm_kvm *k, int fd)
{
	struct vfio_file *f = find_file(k, fd);

	if (f) {
		f->users++;
		return 0;
	}
	f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct vfio_file){ .fd = fd, .users = 1 };
	cds_list_add_tail(&f->node, &k->files);
	tell(k, fd, true);
	return 0;
}

static void put_file(struct vm_kvm *k, int fd)
{
	struct vfio_file *f = find_file(k, fd);

	if (!f || --f->users)
		return;
	tell(k, fd, false);
	cds_list_del(&f->node);
	free(f);
}

int vm_kvm_file(void *arg, int fd, bool add)
{
	struct vm_kvm *k = arg;
	int rc = 0;

	pthread_mutex_lock(&k->lock);
	if (add)
		rc = get_file(k, fd);
	else
		put_file(k, fd);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

/* ---- its life ---- */

static int extension(const struct uvfio_vm_kvm *kvm, long what)
{
	return sys_ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, (void *)what);
}

/* Return 1 if the irqchip is whole in the kernel; 0: it is split, there is no IO-APIC; -errno. */
static int has_pins(const struct uvfio_vm_kvm *kvm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	int rc = sys_ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &chip);

	return rc == -ENXIO ? 0 : rc ? rc : 1;
}

/* Check what the monitor asks for against what this KVM has. */
static int check(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, unsigned max)
{
	int slots = extension(kvm, KVM_CAP_NR_MEMSLOTS);

	if (extension(kvm, KVM_CAP_IRQFD) <= 0 || extension(kvm, KVM_CAP_SIGNAL_MSI) <= 0)
		return vm_fail(vm, -ENOSYS, "this KVM has no irqfds, or no messages");
	if (kvm->gsi_base >= max)
		return vm_fail(vm, -EINVAL, "gsi_base is %u: this KVM has GSIs below %u",
			       kvm->gsi_base, max);
	if (kvm->kvm_slots &&
	    (slots <= 0 || (uint64_t)kvm->kvm_slot + kvm->kvm_slots > (unsigned)slots))
		return vm_fail(vm, -EINVAL, "slots %u to %llu: this KVM has them below %d",
			       kvm->kvm_slot,
			       (unsigned long long)kvm->kvm_slot + kvm->kvm_slots - 1,
			       slots > 0 ? slots : 0);
	return 0;
}

int vm_kvm_new(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, void *ctx, struct vm_kvm **out,
	       struct uvfio_vm_irq_ops *ops)
{
	int max = extension(kvm, KVM_CAP_IRQ_ROUTING);
	struct vm_kvm *k;
	int pins, rc;

	if (max == -EBADF || max == -ENOTTY)
		return vm_fail(vm, -EINVAL, "vm_fd is no guest of KVM's");
	if (max <= 0 || max > UINT16_MAX)
		return vm_fail(vm, -ENOSYS, "this KVM routes no interrupts");
	rc = check(vm, kvm, (unsigned)max);
	if (rc)
		return rc;
	pins = has_pins(kvm);
	if (pins < 0)
		return vm_fail(vm, -ENOSYS, "KVM does not tell of the irqchip: %s",
			       strerror(-pins));
	k = calloc(1, sizeof(*k));
	if (!k)
		return vm_fail(vm, -ENOMEM, "out of memory");
	k->vm_fd = kvm->vm_fd;
	k->ctx = ctx;
	k->intx_gsi = kvm->intx_gsi;
	k->resample = pins && extension(kvm, KVM_CAP_IRQFD_RESAMPLE) > 0;
	k->first_slot = kvm->kvm_slot;
	k->num_slots = kvm->kvm_slots;
	k->vfio = -1;
	CDS_INIT_LIST_HEAD(&k->files);
	rc = -ENOMEM;
	k->levels = calloc((size_t)max, sizeof(*k->levels));
	k->slots = calloc(kvm->kvm_slots + 1u, sizeof(*k->slots));
	if (k->levels && k->slots)
		rc = vm_kvm_routes_init(&k->routes, kvm, ctx, (unsigned)max, pins);
	if (rc) {
		free(k->levels);
		free(k->slots);
		free(k);
		if (rc == -ENOMEM)
			return vm_fail(vm, rc, "out of memory");
		return vm_fail(vm, -ENOSYS, "KVM takes no routes: has the guest an irqchip? (%s)",
			       strerror(-rc));
	}
	pthread_mutex_init(&k->lock, NULL);
	*ops = (struct uvfio_vm_irq_ops){
		.intx = intx,
		.msi = msi,
		.intx_gsi = intx_gsi,
		.route_add = route_add,
		.route_update = route_update,
		.route_del = route_del,
		.route_commit = route_commit,
		.irqfd = irqfd,
	};
	*out = k;
	return 0;
}

void vm_kvm_free(struct vm_kvm *k)
{
	if (!k)
		return;
	if (k->vfio_state == THERE)
		sys_close(k->vfio);
	vm_kvm_routes_fini(&k->routes);
	pthread_mutex_destroy(&k->lock);
	free(k->levels);
	free(k->slots);
	free(k);
}

int uvfio_vm_kvm_route(struct uvfio_vm *vm, const struct kvm_irq_routing_entry *e)
{
	VM_CALL();
	int rc;

	if (!vm->kvm)
		return vm_fail(vm, -EINVAL, "the guest is not of KVM's");
	rc = vm_kvm_route_own(&vm->kvm->routes, e);
	if (rc == -EINVAL)
		return vm_fail(vm, rc,
			       "GSI %u: the monitor sets the table, the GSI is too high or "
			       "in use for a message, or KVM does not take the route",
			       e->gsi);
	return rc ? vm_fail(vm, rc, "GSI %u: %s", e->gsi, strerror(-rc)) : 0;
}
