/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/reset.c: resets of one device, and of all of a guest: which way is the best that a device
 * has, and which other devices it takes along.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/internal.h"

#define CONFIG	 VFIO_PCI_CONFIG_REGION_INDEX
#define TRIES	 20u	   /* while the kernel says EAGAIN: somebody has the device's lock */
#define PAUSE_NS 10000000L /* between them */

/* ---- before and after ---- */

/* Have it awake: in D3 it would lose what is written, and not answer. */
static void wake(struct uvfio_vm_device *dev)
{
	unsigned pmcsr = dev->config.caps.pm + PCI_PM_CTRL;
	uint16_t v;

	if (!dev->config.caps.pm || !vm_device_rw(dev, CONFIG, pmcsr, &v, 2, false) ||
	    !(v & PCI_PM_CTRL_STATE_MASK))
		return;
	v &= (uint16_t)~PCI_PM_CTRL_STATE_MASK;
	if (!vm_device_rw(dev, CONFIG, pmcsr, &v, 2, true) ||
	    !vm_device_rw(dev, CONFIG, pmcsr, &v, 2, false))
		return;
	if (v & PCI_PM_CTRL_STATE_MASK)
		vm_warn("vm-stuck", dev, 0, "cannot be woken up: it stays in D%u",
			v & PCI_PM_CTRL_STATE_MASK);
}

void vm_reset_before(struct uvfio_vm_device *dev)
{
	vm_irq_off(dev);
	wake(dev);
	/* BARs go out of the guest's reach by this, before the device ceases to decode */
	vm_config_put(dev, PCI_COMMAND, 2,
		      vm_config_get(dev, PCI_COMMAND, 2) &
			      (uint32_t) ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
					   PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
}

void vm_reset_after(struct uvfio_vm_device *dev)
{
	int rc;

	vm_config_after_reset(dev);
	dev->bars.asleep = false;
	vm_bars_update(dev);
	rc = vm_irq_to_intx(dev);
	if (rc)
		vm_warn("vm-reset-intx", dev, rc, "after a reset INTx cannot be had: %m");
}

/* ---- what there is ---- */

enum kind { KIND_NONE, KIND_QUIRK, KIND_FLR, KIND_BUS, KIND_PM };

static const char *const names[] = {
	[KIND_NONE] = "none", [KIND_QUIRK] = "quirk", [KIND_FLR] = "flr",
	[KIND_BUS] = "bus",   [KIND_PM] = "pm",
};

static bool has_reset(const struct uvfio_vm_device *dev)
{
	return dev->plugged->vdev->flags & VFIO_DEVICE_FLAGS_RESET;
}

/* The functions that a reset of a device's slot or bus hits. */
struct hits {
	struct vfio_place *at; /* malloc'ed; by address */
	unsigned n;
};

/* Find it. 0; -ENODEV: there is no such reset; or -errno. To be freed if 0. */
static int find_hits(struct uvfio_vm_device *dev, struct hits *h)
{
	int n = vfio_device_slot(&dev->open, NULL, 0), now;

	*h = (struct hits){ 0 };
	if (n <= 0)
		return n ? n : -ENODEV;
	h->at = calloc((size_t)n, sizeof(*h->at));
	if (!h->at)
		return -ENOMEM;
	now = vfio_device_slot(&dev->open, h->at, (unsigned)n);
	h->n = (unsigned)n;
	if (now == n)
		return 0;
	/* functions came or went meanwhile */
	free(h->at);
	return now < 0 ? now : -EAGAIN;
}

/* Return the guest's device at @at, or NULL. */
static struct uvfio_vm_device *device_at(struct uvfio_vm *vm, const struct vfio_place *at)
{
	struct uvfio_vm_device *dev;

	cds_list_for_each_entry(dev, &vm->devices, node)
		if (at->dev && dev->plugged->vdev == at->dev)
			return dev;
	return NULL;
}

/* True if the guest has a device of the group that @at is in: then nobody else can use it. */
static bool has_group(struct uvfio_vm *vm, const struct vfio_place *at)
{
	struct uvfio_vm_device *dev;

	cds_list_for_each_entry(dev, &vm->devices, node)
		if (at->group && dev->plugged->vdev->group == at->group)
			return true;
	return false;
}

/*
 * May all that is hit be reset? 0; -EPERM: something is not the guest's; -EINVAL: it is only to be
 * @alone, and is not. With a sentence.
 */
static int check_hits(struct uvfio_vm_device *dev, const struct hits *h, bool alone)
{
	char addr[PCI_ADDRESS_TEXT];

	for (unsigned i = 0; i < h->n; i++) {
		struct uvfio_vm_device *other = device_at(dev->vm, &h->at[i]);

		if (other == dev || h->at[i].dev == dev->plugged->vdev)
			continue;
		pci_address_print(&h->at[i].address, addr);
		if (!other && !has_group(dev->vm, &h->at[i]))
			return vm_fail(dev->vm, -EPERM,
				       "%s is reset only together with %s of group %u, which is "
				       "not this guest's",
				       dev->name, addr,
				       h->at[i].group ? h->at[i].group->iommu->id
						      : h->at[i].outside);
		if (other && alone)
			return vm_fail(dev->vm, -EINVAL,
				       "%s is reset only together with %s, which the guest has, "
				       "too",
				       dev->name, addr);
	}
	return 0;
}

/* Return 0 if a reset of the slot would do for @dev alone, or why not, with a sentence. */
static int can_hot_reset(struct uvfio_vm_device *dev)
{
	struct hits h;
	int rc = find_hits(dev, &h);

	if (rc)
		return vm_fail(dev->vm, rc, "%s: there is no reset of its slot: %s", dev->name,
			       strerror(-rc));
	rc = check_hits(dev, &h, true);
	free(h.at);
	return rc;
}

/*
 * True if VFIO's reset of the device alone is as good as any: by FLR or, where D3 resets nothing,
 * by the bus, which serves for one function. The device said so when it was opened; others may have
 * come to its slot since.
 */
static bool is_plain_good(struct uvfio_vm_device *dev)
{
	const struct vm_caps *caps = &dev->config.caps;

	return has_reset(dev) &&
	       (caps->flr || (!caps->pm_reset && vfio_device_slot(&dev->open, NULL, 0) <= 1));
}

/* Return the best way to reset @dev alone. vm.devices_lock is held. */
static enum kind choose(struct uvfio_vm_device *dev)
{
	if (vm_quirks_can_reset(dev))
		return KIND_QUIRK;
	if (is_plain_good(dev))
		return dev->config.caps.flr ? KIND_FLR : KIND_BUS;
	if (!can_hot_reset(dev))
		return KIND_BUS;
	return has_reset(dev) && dev->config.caps.pm_reset ? KIND_PM : KIND_NONE;
}

const char *uvfio_vm_reset_kind(const struct uvfio_vm_device *dev)
{
	VM_CALL();
	struct uvfio_vm_device *d = (struct uvfio_vm_device *)dev;
	enum kind kind = KIND_NONE;

	if (!vm_enter(d))
		return names[kind];
	pthread_mutex_lock(&d->vm->devices_lock);
	kind = choose(d);
	pthread_mutex_unlock(&d->vm->devices_lock);
	vm_leave(d);
	return names[kind];
}

void vm_reset_init(struct uvfio_vm_device *dev)
{
	enum kind kind = choose(dev);

	if (kind != KIND_NONE)
		report_info("vm-reset", dev->name, 0, "is reset by: %s", names[kind]);
	else
		report_warn("vm-no-reset", dev->name, 0,
			    "cannot be reset alone: its state may leak from one guest to the next");
}

/* ---- doing it ---- */

/* Do what may say EAGAIN for a while. */
static int retry(struct uvfio_vm_device *dev, int (*reset)(struct vfio_open *o))
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int rc = reset(&dev->open);

	for (unsigned i = 1; rc == -EAGAIN && i < TRIES; i++) {
		nanosleep(&pause, NULL);
		rc = reset(&dev->open);
	}
	return rc;
}

static void before(struct uvfio_vm_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	vm_reset_before(dev);
	pthread_mutex_unlock(&dev->lock);
}

static void after(struct uvfio_vm_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	vm_reset_after(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* Reset @dev by its quirk, if it has one that can. True: it is done. */
static bool by_quirk(struct uvfio_vm_device *dev)
{
	int rc = vm_quirks_can_reset(dev) ? vm_quirks_reset(dev) : -ENOTSUP;

	if (rc && rc != -ENOTSUP)
		vm_warn("vm-quirk-reset", dev, rc, "its quirk could not reset it: %m");
	return !rc;
}

/*
 * Reset @dev, which is quiet, by its quirk, or by VFIO's reset where that is as good as any. 0,
 * -ENOTSUP: there is neither; or -errno.
 */
static int reset_well(struct uvfio_vm_device *dev)
{
	if (by_quirk(dev))
		return 0;
	return is_plain_good(dev) ? retry(dev, vfio_device_reset) : -ENOTSUP;
}

/*
 * Reset @dev, which is quiet, by its slot, if it is alone there, else by VFIO's reset, weak as that
 * is; @rc: of reset_well(). 0 or -errno with a sentence. vm.devices_lock is held.
 */
static int reset_somehow(struct uvfio_vm_device *dev, int rc)
{
	int hot = can_hot_reset(dev);

	if (!hot) {
		hot = retry(dev, vfio_device_slot_reset);
		if (!hot)
			return 0;
		vm_fail(dev->vm, hot, "%s: its slot could not be reset: %s", dev->name,
			strerror(-hot));
	}
	if (rc == -ENOTSUP && has_reset(dev))
		rc = retry(dev, vfio_device_reset);
	if (!rc)
		return 0;
	/* who is in the way is said */
	if (hot == -EPERM || hot == -EINVAL)
		return hot;
	if (rc == -ENOTSUP)
		return vm_fail(dev->vm, rc, "%s has no way to be reset", dev->name);
	return vm_fail(dev->vm, rc, "%s could not be reset: %s", dev->name, strerror(-rc));
}

int uvfio_vm_reset_device(struct uvfio_vm_device *dev)
{
	VM_CALL();
	int rc;

	if (!vm_enter(dev))
		return -ENODEV;
	before(dev);
	/* it may take long: other devices go on meanwhile */
	rc = reset_well(dev);
	if (rc) {
		pthread_mutex_lock(&dev->vm->devices_lock);
		rc = reset_somehow(dev, rc);
		pthread_mutex_unlock(&dev->vm->devices_lock);
	}
	after(dev);
	vm_leave(dev);
	return rc;
}

/* ---- the whole guest ---- */

/* Reset @dev's slot, with all of the guest's devices in it. 0 or -errno with a sentence. */
static int reset_slot(struct uvfio_vm_device *dev)
{
	struct uvfio_vm *vm = dev->vm;
	struct uvfio_vm_device *hit;
	struct hits h;
	int rc = find_hits(dev, &h);

	if (rc)
		return vm_fail(vm, rc, "%s: there is no reset of its slot: %s", dev->name,
			       strerror(-rc));
	rc = check_hits(dev, &h, false);
	if (rc)
		goto out;
	for (unsigned i = 0; i < h.n; i++) {
		hit = device_at(vm, &h.at[i]);
		if (hit)
			before(hit);
	}
	rc = retry(dev, vfio_device_slot_reset);
	for (unsigned i = 0; i < h.n; i++) {
		hit = device_at(vm, &h.at[i]);
		if (!hit)
			continue;
		hit->reset.done |= !rc;
		after(hit);
	}
	if (rc)
		vm_fail(vm, rc, "%s: its slot could not be reset: %s", dev->name, strerror(-rc));
out:
	free(h.at);
	return rc;
}

/* Reset @dev alone. 0 or -errno with a sentence. vm.devices_lock is held. */
static int reset_alone(struct uvfio_vm_device *dev)
{
	int rc;

	before(dev);
	rc = reset_well(dev);
	if (rc)
		rc = reset_somehow(dev, rc);
	after(dev);
	return rc;
}

int uvfio_vm_reset(struct uvfio_vm *vm)
{
	VM_CALL();
	struct uvfio_vm_device *dev;
	int failed = 0, rc;

	pthread_mutex_lock(&vm->devices_lock);
	cds_list_for_each_entry(dev, &vm->devices, node)
		dev->reset.done = false;
	/* first those that are reset well only with others */
	cds_list_for_each_entry(dev, &vm->devices, node)
		if (!dev->reset.done && !vm_quirks_can_reset(dev) && !is_plain_good(dev))
			reset_slot(dev);
	cds_list_for_each_entry(dev, &vm->devices, node) {
		rc = dev->reset.done ? 0 : reset_alone(dev);
		if (rc)
			vm_warn("vm-reset-failed", dev, 0, "%s", uvfio_vm_strerror(vm));
		failed += !!rc;
	}
	pthread_mutex_unlock(&vm->devices_lock);
	return failed;
}
