/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/reset.h: resets of devices. A reset is three steps: before it, with the device's lock held;
 * the reset itself, without, since it may take long and the device be another's, too; and after it,
 * with the lock again, whatever became of it.
 */
#ifndef VMM_RESET_H
#define VMM_RESET_H
#include <stdbool.h>

struct uvfio_vm_device;

struct vm_reset {
	bool done; /* in a reset of the guest: it was reset with another one; devices_lock */
};

/* Say once how @dev can be reset alone, or that it cannot. vm.devices_lock is held. */
void vm_reset_init(struct uvfio_vm_device *dev);
/* Before a reset: interrupts off, D0, BARs down, DMA and decoding off. Lock held. */
void vm_reset_before(struct uvfio_vm_device *dev);
/* The device was reset: its copies are as after power-on, INTx is on. Lock held. */
void vm_reset_after(struct uvfio_vm_device *dev);
#endif
