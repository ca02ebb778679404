/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/kvm.c: how interrupts reach a guest of KVM's. */
#include <errno.h>

#include "vmm/internal.h"
#include "vmm/kvm.h"

int vm_kvm_new(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, void *ctx, struct vm_kvm **out,
	       struct uvfio_vm_irq_ops *ops)
{
	(void)kvm;
	(void)ctx;
	(void)out;
	(void)ops;
	return vm_fail(vm, -ENOSYS, "KVM is not done yet");
}
void vm_kvm_free(struct vm_kvm *k)
{
	(void)k;
}
int vm_kvm_file(void *k, int fd, bool add)
{
	(void)k;
	(void)fd;
	(void)add;
	return -ENOSYS;
}
