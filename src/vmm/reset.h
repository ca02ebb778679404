/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/reset.h: resets of devices. With the device's lock held, where nothing else is said. */
#ifndef VMM_RESET_H
#define VMM_RESET_H
#include <stdbool.h>

struct uvfio_vm_device;

enum vm_reset_kind { VM_RESET_NONE, VM_RESET_QUIRK, VM_RESET_FLR, VM_RESET_BUS, VM_RESET_PM };

struct vm_reset {
	enum vm_reset_kind kind; /* how the device alone is reset */
	bool done;		 /* in a reset of the guest: it was reset with another one */
};

/* Find out how @dev can be reset; say it once if it cannot. */
void vm_reset_init(struct uvfio_vm_device *dev);
/* Before a reset: interrupts off, D0, DMA and decoding off. */
void vm_reset_before(struct uvfio_vm_device *dev);
/* The device was reset: its copies are as after power-on, INTx is on. */
void vm_reset_after(struct uvfio_vm_device *dev);
#endif
