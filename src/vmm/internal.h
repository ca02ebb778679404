/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/internal.h: what the files of vmm/ share: the guest, its devices, and how a call gets into
 * one. A subject with a state of its own has a header of its own: config.h, bars.h, irq.h,
 * memory.h, reset.h, events.h.
 *
 * Lock order: uvfio_vm.devices_lock > uvfio_vm_device.lock > vm_map.place > vm_memory.lock > the
 * lock of KVM's routes > vfio's locks; leaves: vm_map.lock, vm_map.hosts.lock, vm_events.lock,
 * vm_kvm.lock, and that of quirks.c. Callbacks of the monitor come with the device's lock or
 * vm_map.place held, but for error() and unplug_requested(), which come with none.
 */
#ifndef VMM_INTERNAL_H
#define VMM_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <urcu/list.h>

#include "uvfio/vmm.h"
#include "base/call.h"
#include "base/report.h"
#include "machine/machine.h"
#include "vfio/open.h"
#include "vmm/bars.h"
#include "vmm/config.h"
#include "vmm/events.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/reset.h"

struct vm_kvm;

struct uvfio_vm {
	struct uvfio_vm_ops ops;
	void *ctx;
	struct machine *machine; /* what the devices are plugged into; devices_lock */
	struct vm_events events;
	struct vm_memory memory;
	struct vm_map map; /* which BAR is where: mmio.c */
	/* how interrupts reach the guest: set once, before the first device */
	struct uvfio_vm_irq_ops irq_ops;
	void *irq_ctx;
	bool has_irq;
	bool bypass;	    /* irq_ops has those by which interrupts pass without us */
	struct vm_kvm *kvm; /* uvfio_vm_use_kvm(), or NULL */
	atomic_bool paused;
	/* devices come and go; held around whole calls of assign and unassign */
	pthread_mutex_t devices_lock;
	/* uvfio_vm_device.node, and device.c's: what was plugged in for a device; devices_lock */
	struct cds_list_head devices, plugged;
};

/* In uvfio_vm_device.inside: it is being unassigned. */
#define VM_LEAVING (1u << 31)

struct uvfio_vm_device {
	struct uvfio_vm *vm;
	struct cds_list_head node;
	struct machine_device *plugged;
	struct vfio_open open;
	struct vm_options options;
	char name[PCI_ADDRESS_TEXT];
	_Atomic(void *) priv;
	/* orders what the guest does with config space, interrupts and places of BARs */
	pthread_mutex_t lock;
	/* how many calls are inside of the device, and VM_LEAVING; a futex of who waits for 0 */
	_Atomic uint32_t inside;
	struct vm_config config;
	struct vm_bars bars;
	struct vm_irq irq;
	struct vm_dma dma; /* memory.h */
	struct vm_reset reset;
};

/* Keep the sentence for uvfio_vm_strerror() of this thread, and return @rc. vm.c */
int vm_fail(const struct uvfio_vm *vm, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Stands first in each public function that can report. */
#define VM_CALL() CALL_FRAME_STACK(__func__, CALL_SITE())

/*
 * Go into @dev, so that it stays until vm_leave(): false: it is being unassigned, and answers all
 * ones. device.c
 */
bool vm_enter(struct uvfio_vm_device *dev);
void vm_leave(struct uvfio_vm_device *dev);

/* Access a region of the device, all of it: false: it does not answer. Any lock may be held. */
bool vm_device_rw(struct uvfio_vm_device *dev, unsigned region, uint64_t pos, void *buf,
		  size_t size, bool write);
/* Return what a read of @size bytes (8 at most) gives where nothing answers. */
static inline uint64_t vm_ones(unsigned size)
{
	return size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;
}

/* Warn about @dev, a few times a second at most: no guest buries the log. */
#define vm_warn(code, dev, err, ...) \
	report_warn(REPORT_LIMITED(code), (dev)->name, err, __VA_ARGS__)
#endif
