/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/vm.c: a guest: its life, its errors, how interrupts reach it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fork.h"
#include "base/guard.h"
#include "vmm/internal.h"
#include "vmm/kvm.h"

static __thread struct {
	const struct uvfio_vm *vm;
	char text[512];
} last_error;

int vm_fail(const struct uvfio_vm *vm, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error.text, sizeof(last_error.text), fmt, ap);
	va_end(ap);
	last_error.vm = vm;
	return rc;
}

const char *uvfio_vm_strerror(const struct uvfio_vm *vm)
{
	return last_error.vm == vm && last_error.text[0] ? last_error.text : "no error";
}

struct uvfio_vm *uvfio_vm_new(const struct uvfio_vm_ops *ops, void *ctx)
{
	VM_CALL();
	struct uvfio_vm *vm;

	/* what the guest has could not be taken from it again */
	if (ops && ops->bar_map && !ops->bar_unmap) {
		vm_fail(NULL, 0, "bar_map() wants bar_unmap()");
		return NULL;
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		goto fail;
	fork_hooks_once();
	/* devices meet memory that the monitor took away */
	if (guard_install())
		goto fail;
	if (ops)
		vm->ops = *ops;
	vm->ctx = ctx;
	vm->machine = machine_new();
	if (!vm->machine)
		goto fail;
	/* software devices pin nothing: a limit that stands for pinning is the kernel's affair */
	machine_set_memlock(vm->machine, "unlimited");
	CDS_INIT_LIST_HEAD(&vm->devices);
	CDS_INIT_LIST_HEAD(&vm->plugged);
	if (vm_events_init(vm))
		goto fail_machine;
	if (vm_map_init(&vm->map))
		goto fail_events;
	machine_set_device_memory(vm->machine, vm_device_memory, vm);
	if (vm_memory_init(vm))
		goto fail_map;
	pthread_mutex_init(&vm->devices_lock, NULL);
	/* an error of a guest that lived at this address is not ours */
	vm_fail(vm, 0, "%s", "");
	return vm;
fail_map:
	vm_map_fini(&vm->map);
fail_events:
	vm_events_fini(vm);
fail_machine:
	machine_free(vm->machine, false);
fail:
	free(vm);
	vm_fail(NULL, 0, "out of memory, or of descriptors");
	return NULL;
}

void uvfio_vm_free(struct uvfio_vm *vm)
{
	VM_CALL();
	struct uvfio_vm_device *dev, *next;

	if (!vm)
		return;
	/* first, so that no request or error of a device comes any more */
	vm_events_stop(vm);
	cds_list_for_each_entry_safe(dev, next, &vm->devices, node)
		uvfio_vm_unassign(dev);
	vm_memory_fini(vm);
	vm_kvm_free(vm->kvm);
	vm_map_fini(&vm->map);
	vm_events_fini(vm);
	machine_free(vm->machine, false);
	pthread_mutex_destroy(&vm->devices_lock);
	free(vm);
}

/* 0; -EBUSY with a sentence: interrupts have a way, and maybe devices. devices_lock is held. */
static int check_no_irq(struct uvfio_vm *vm)
{
	return vm->has_irq ? vm_fail(vm, -EBUSY, "interrupts of this guest have a way already") : 0;
}

/* Have interrupts go by @ops. There is no device; devices_lock is held. */
static void set_irq_ops(struct uvfio_vm *vm, const struct uvfio_vm_irq_ops *ops, void *ctx)
{
	vm->irq_ops = *ops;
	vm->irq_ctx = ctx;
	vm->bypass = ops->irqfd;
	vm->has_irq = true;
}

int uvfio_vm_use_irq_ops(struct uvfio_vm *vm, const struct uvfio_vm_irq_ops *ops, void *ctx)
{
	VM_CALL();
	unsigned have;
	int rc;

	if (!ops || !ops->intx || !ops->msi)
		return vm_fail(vm, -EINVAL, "intx() and msi() must be there");
	have = !!ops->route_add + !!ops->route_update + !!ops->route_del + !!ops->route_commit +
	       !!ops->irqfd;
	if (have && (have != 5 || !ops->intx_gsi))
		return vm_fail(vm, -EINVAL,
			       "of intx_gsi(), the four route functions and irqfd() all must be "
			       "there, or none but intx_gsi()");
	if (ops->exact_eoi && !ops->intx_gsi)
		return vm_fail(vm, -EINVAL, "exact_eoi needs intx_gsi()");
	pthread_mutex_lock(&vm->devices_lock);
	rc = check_no_irq(vm);
	if (!rc)
		set_irq_ops(vm, ops, ctx);
	pthread_mutex_unlock(&vm->devices_lock);
	return rc;
}

int uvfio_vm_use_kvm(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, void *ctx)
{
	VM_CALL();
	struct uvfio_vm_irq_ops ops;
	struct vm_kvm *k;
	int rc;

	if (!kvm || !kvm->intx_gsi)
		return vm_fail(vm, -EINVAL, "intx_gsi() must be there");
	pthread_mutex_lock(&vm->devices_lock);
	/* before KVM is told of anything: it has the routes of the first one */
	rc = check_no_irq(vm);
	if (!rc)
		rc = vm_kvm_new(vm, kvm, ctx, &k, &ops);
	if (!rc) {
		vm->kvm = k;
		set_irq_ops(vm, &ops, k);
	}
	pthread_mutex_unlock(&vm->devices_lock);
	return rc;
}

void uvfio_vm_intx_route_changed(struct uvfio_vm *vm)
{
	VM_CALL();
	struct uvfio_vm_device *dev;

	pthread_mutex_lock(&vm->devices_lock);
	cds_list_for_each_entry(dev, &vm->devices, node) {
		pthread_mutex_lock(&dev->lock);
		vm_intx_route_changed(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	pthread_mutex_unlock(&vm->devices_lock);
}

void uvfio_vm_intx_eoi(struct uvfio_vm *vm, int gsi)
{
	VM_CALL();
	struct uvfio_vm_device *dev;

	if (gsi < 0)
		return;
	pthread_mutex_lock(&vm->devices_lock);
	cds_list_for_each_entry(dev, &vm->devices, node) {
		pthread_mutex_lock(&dev->lock);
		if (dev->irq.intx.gsi == gsi)
			vm_intx_eoi(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	pthread_mutex_unlock(&vm->devices_lock);
}

void uvfio_vm_pause(struct uvfio_vm *vm, bool paused)
{
	VM_CALL();
	struct uvfio_vm_device *dev;

	pthread_mutex_lock(&vm->devices_lock);
	if (atomic_exchange(&vm->paused, paused) != paused) {
		cds_list_for_each_entry(dev, &vm->devices, node) {
			pthread_mutex_lock(&dev->lock);
			vm_intx_pause(dev, paused);
			pthread_mutex_unlock(&dev->lock);
		}
	}
	pthread_mutex_unlock(&vm->devices_lock);
}
