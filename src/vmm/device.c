/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/device.c: a device comes to the guest and leaves it. What assign does is undone in reverse,
 * by unassign or when a step fails.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/internal.h"
#include "vmm/kvm.h"

/* ---- who is inside ---- */

bool vm_enter(struct uvfio_vm_device *dev)
{
	if (!(atomic_fetch_add(&dev->inside, 1) & VM_LEAVING))
		return true;
	vm_leave(dev);
	return false;
}

void vm_leave(struct uvfio_vm_device *dev)
{
	if (atomic_fetch_sub(&dev->inside, 1) == (VM_LEAVING | 1))
		syscall(SYS_futex, &dev->inside, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Let nobody in any more, and wait for those that are inside. */
static void close_door(struct uvfio_vm_device *dev)
{
	uint32_t n = atomic_fetch_or(&dev->inside, VM_LEAVING) | VM_LEAVING;

	while (n != VM_LEAVING) {
		syscall(SYS_futex, &dev->inside, FUTEX_WAIT_PRIVATE, n, NULL, NULL, 0);
		n = atomic_load(&dev->inside);
	}
}

/* ---- small things ---- */

bool vm_device_rw(struct uvfio_vm_device *dev, unsigned region, uint64_t pos, void *buf,
		  size_t size, bool write)
{
	return vfio_device_rw(&dev->open, region, pos, buf, size, write) == (ssize_t)size;
}

const char *uvfio_vm_device_name(const struct uvfio_vm_device *dev)
{
	return dev->name;
}

void uvfio_vm_device_set_priv(struct uvfio_vm_device *dev, void *priv)
{
	atomic_store(&dev->priv, priv);
}

void *uvfio_vm_device_priv(const struct uvfio_vm_device *dev)
{
	return atomic_load(&dev->priv);
}

int uvfio_vm_can_migrate(struct uvfio_vm_device *dev)
{
	return vm_fail(dev->vm, -ENOTSUP,
		       "%s: the state that the guest has of an assigned device cannot be moved yet",
		       dev->name);
}

/* ---- the machine's part ---- */

/* A device that was plugged in for an assignment. */
struct plugged {
	struct cds_list_head node; /* uvfio_vm.plugged */
	struct machine_device *d;
};

/* True if @d is assigned, or a VF of it. */
static bool is_in_use(struct uvfio_vm *vm, const struct machine_device *d)
{
	struct uvfio_vm_device *dev;
	struct machine_device *vf;

	cds_list_for_each_entry(dev, &vm->devices, node) {
		if (dev->plugged == d)
			return true;
		for (unsigned i = 0; (vf = machine_vf(vm->machine, d, i)); i++)
			if (dev->plugged == vf)
				return true;
	}
	return false;
}

/* Take out of the machine what was plugged in for a device, and is for none any more. */
static void unplug(struct uvfio_vm *vm)
{
	struct plugged *p, *next;

	cds_list_for_each_entry_safe(p, next, &vm->plugged, node) {
		if (is_in_use(vm, p->d))
			continue;
		machine_remove(vm->machine, p->d);
		cds_list_del(&p->node);
		free(p);
	}
}

/* Plug the device of @spec in. 0 or -errno with a sentence; unplug() takes it out again. */
static int plug_new(struct uvfio_vm *vm, const char *spec, struct machine_device **out)
{
	struct plugged *p = malloc(sizeof(*p));
	struct machine *m = vm->machine;
	char *err = NULL;
	int rc;

	if (!p)
		return vm_fail(vm, -ENOMEM, "out of memory");
	rc = machine_add(m, spec, &err);
	if (!rc) {
		*out = p->d = machine_device(m, machine_num_devices(m) - 1);
		cds_list_add_tail(&p->node, &vm->plugged);
		rc = machine_start(m, &err);
	} else {
		free(p);
	}
	if (rc)
		vm_fail(vm, rc, "%s", err ? err : strerror(-rc));
	free(err);
	return rc;
}

/*
 * Have the spec of the machine, malloc'ed, for one that names a real device; NULL: it names a
 * model. In a value of the machine's a comma is written twice. 0 or -ENOMEM.
 */
static int host_spec(const char *spec, char **out)
{
	struct pci_address a;
	int n = 0;

	*out = NULL;
	if (!strncmp(spec, "fd:", 3) && strchr(spec, ',')) {
		int group = (int)strcspn(spec, ",");

		n = asprintf(out, "host=%.*s,,%s", group, spec, spec + group + 1);
	} else if (!pci_address_parse(spec, &a) || !strncmp(spec, "fd:", 3) ||
		   !strncmp(spec, "cdev:", 5)) {
		n = asprintf(out, "host=%s", spec);
	}
	if (n >= 0)
		return 0;
	*out = NULL;
	return -ENOMEM;
}

#define SOCKET "vfio-user:"

/* True if @spec is of a device behind a socket. */
static bool is_socket(const char *spec)
{
	return !strncmp(spec, SOCKET, strlen(SOCKET));
}

/* Find the device of @spec in the machine, or plug it in. 0 or -errno with a sentence. */
static int plug(struct uvfio_vm *vm, const char *spec, struct uvfio_vm_device *dev)
{
	struct uvfio_vm_device *other;
	char *host;
	int rc;

	dev->plugged = is_socket(spec) ? machine_find_socket(vm->machine, spec + strlen(SOCKET))
				       : machine_find(vm->machine, spec);
	if (!dev->plugged) {
		rc = is_socket(spec) ? machine_spec_of_socket(spec + strlen(SOCKET), &host)
				     : host_spec(spec, &host);
		if (rc)
			return vm_fail(vm, rc, "out of memory");
		rc = plug_new(vm, host ? host : spec, &dev->plugged);
		free(host);
		if (rc)
			return rc;
	}
	cds_list_for_each_entry(other, &vm->devices, node)
		if (other->plugged == dev->plugged)
			return vm_fail(vm, -EBUSY, "%s is assigned to this guest already%s",
				       dev->plugged->addr,
				       machine_device_is_real(dev->plugged)
					       ? ""
					       : ": a model, whose place addr= says");
	if (!dev->plugged->vdev)
		return vm_fail(vm, -ENODEV, "%s has the driver %s: it cannot be assigned",
			       dev->plugged->addr, dev->plugged->driver);
	strcpy(dev->name, dev->plugged->addr);
	/* its server may mask the guest's messages; devices of this process are as the kernel's */
	dev->plugged->vdev->maskable = is_socket(spec);
	return 0;
}

/* Check that it is what a guest can have: a PCI function with config space and vectors' index. */
static int check(struct uvfio_vm_device *dev)
{
	const struct vfio_device *v = dev->plugged->vdev;

	if (!(v->flags & VFIO_DEVICE_FLAGS_PCI) || v->num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
	    v->num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
		return vm_fail(dev->vm, -ENOTSUP, "%s is no PCI device", dev->name);
	return 0;
}

/* Open it, in its address space. 0 or -errno with a sentence. */
static int open_device(struct uvfio_vm_device *dev)
{
	struct vfio_device *v = dev->plugged->vdev;
	int rc;

	rc = vfio_device_check_token(v, dev->options.has_token ? dev->options.token : NULL);
	if (rc)
		return vm_fail(dev->vm, rc,
			       rc == -EACCES ? "%s wants the VF token of its PF: vf_token="
					     : "%s wants no VF token",
			       dev->name);
	v->file_changed = dev->vm->kvm ? vm_kvm_file : NULL;
	v->file_changed_arg = dev->vm->kvm;
	vfio_open_init(&dev->open, v);
	vfio_open_expect(&dev->open, dev->dma.ioas);
	rc = vfio_open_bind(&dev->open);
	if (rc) {
		vfio_open_close(&dev->open);
		return vm_fail(dev->vm, rc, "%s cannot be opened: %s", dev->name, strerror(-rc));
	}
	rc = check(dev);
	if (!rc)
		rc = vm_dma_attach(dev);
	if (rc)
		vfio_open_close(&dev->open);
	return rc;
}

/* ---- assign ---- */

/* All that comes once it is open: undone here where a step fails. */
static int set_up(struct uvfio_vm_device *dev)
{
	int rc = vm_config_init(dev);

	if (rc)
		return rc;
	rc = vm_irq_init(dev);
	if (rc)
		goto fail_config;
	rc = vm_bars_init(dev);
	if (rc)
		goto fail_irq;
	rc = vm_quirks_init(dev);
	if (rc)
		goto fail_bars;
	vm_reset_init(dev);
	pthread_mutex_lock(&dev->lock);
	rc = vm_irq_to_intx(dev);
	pthread_mutex_unlock(&dev->lock);
	if (rc)
		goto fail_quirks;
	/* last: from here on the monitor may be called, and take the device away */
	rc = vm_irq_listen(dev);
	if (!rc)
		return 0;
	pthread_mutex_lock(&dev->lock);
	vm_irq_off(dev);
	pthread_mutex_unlock(&dev->lock);
fail_quirks:
	vm_quirks_fini(dev);
fail_bars:
	vm_bars_fini(dev);
fail_irq:
	vm_irq_fini(dev);
fail_config:
	vm_config_fini(dev);
	return rc;
}

static int assign(struct uvfio_vm *vm, const char *spec, const char *options,
		  struct uvfio_vm_device **out)
{
	struct uvfio_vm_device *dev;
	int rc;

	if (!vm->has_irq)
		return vm_fail(vm, -EINVAL,
			       "the guest has no way for interrupts: uvfio_vm_use_kvm() or "
			       "uvfio_vm_use_irq_ops() comes first");
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return vm_fail(vm, -ENOMEM, "out of memory");
	dev->vm = vm;
	pthread_mutex_init(&dev->lock, NULL);
	rc = vm_options_parse(vm, options, &dev->options);
	if (rc)
		goto fail;
	rc = plug(vm, spec, dev);
	if (rc)
		goto fail_plug;
	rc = vm_dma_init(dev);
	if (rc)
		goto fail_plug;
	rc = open_device(dev);
	if (rc)
		goto fail_dma;
	rc = set_up(dev);
	if (rc)
		goto fail_open;
	cds_list_add_tail(&dev->node, &vm->devices);
	*out = dev;
	return 0;
fail_open:
	/* who dispatches may be on the way out of an interrupt that came when it was on */
	close_door(dev);
	vfio_open_close(&dev->open);
fail_dma:
	vm_dma_fini(dev);
fail_plug:
	unplug(vm);
	vm_options_fini(&dev->options);
fail:
	pthread_mutex_destroy(&dev->lock);
	free(dev);
	return rc;
}

int uvfio_vm_assign(struct uvfio_vm *vm, const char *spec, const char *options,
		    struct uvfio_vm_device **out)
{
	VM_CALL();
	int rc;

	pthread_mutex_lock(&vm->devices_lock);
	rc = assign(vm, spec, options, out);
	pthread_mutex_unlock(&vm->devices_lock);
	return rc;
}

/*
 * The order: nobody comes in, nothing of the owner's is heard, interrupts end, DMA ends, BARs go,
 * and then the device. Each step is made whatever became of the one before.
 */
void uvfio_vm_unassign(struct uvfio_vm_device *dev)
{
	VM_CALL();
	struct uvfio_vm *vm;

	if (!dev)
		return;
	vm = dev->vm;
	close_door(dev);
	vm_irq_unlisten(dev);
	pthread_mutex_lock(&vm->devices_lock);
	cds_list_del(&dev->node);
	pthread_mutex_lock(&dev->lock);
	/* interrupts, bus mastering, decoding; and BARs once more, should the device not answer */
	vm_reset_before(dev);
	vm_bars_down(dev);
	pthread_mutex_unlock(&dev->lock);
	vm_quirks_fini(dev);
	vm_bars_fini(dev);
	vm_irq_fini(dev);
	vm_config_fini(dev);
	vfio_open_close(&dev->open);
	vm_dma_fini(dev);
	unplug(vm);
	pthread_mutex_unlock(&vm->devices_lock);
	vm_options_fini(&dev->options);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

int uvfio_vm_device_state(struct uvfio_vm_device *dev, char *buf, size_t size)
{
	VM_CALL();
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	if (!vm_enter(dev))
		return snprintf(buf, size, "leaving");
	f = open_memstream(&text, &len);
	if (!f) {
		vm_leave(dev);
		return vm_fail(dev->vm, -ENOMEM, "out of memory");
	}
	pthread_mutex_lock(&dev->lock);
	vm_irq_describe(dev, f);
	vm_bars_describe(dev, f);
	pthread_mutex_unlock(&dev->lock);
	vm_leave(dev);
	if (fclose(f)) {
		free(text);
		return vm_fail(dev->vm, -ENOMEM, "out of memory");
	}
	snprintf(buf, size, "%s", text);
	free(text);
	return (int)len;
}
