/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/kvm.h: a guest of KVM's: routes, irqfds, memory slots, KVM's VFIO device. */
#ifndef VMM_KVM_H
#define VMM_KVM_H
#include <stdbool.h>
#include <stdint.h>

#include "uvfio/vmm.h"

struct vm_kvm;

/* See what this KVM can, and fill @ops, whose argument is *@out. 0 or -errno with a sentence. */
int vm_kvm_new(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, void *ctx, struct vm_kvm **out,
	       struct uvfio_vm_irq_ops *ops);
void vm_kvm_free(struct vm_kvm *k); /* NULL: nothing happens */
/*
 * Make a memory slot of [@gpa, @gpa + @size) at @host. Return its number; -ENOSPC: none is left;
 * -errno.
 */
int vm_kvm_slot_add(struct vm_kvm *k, uint64_t gpa, uint64_t size, void *host, bool readonly);
void vm_kvm_slot_del(struct vm_kvm *k, unsigned slot);
/* vfio_device.file_changed: tell KVM's VFIO device of a file of the kernel's VFIO. */
int vm_kvm_file(void *k, int fd, bool add);
#endif
