/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/memory.c: the guest's memory. */
#include <errno.h>

#include "vmm/internal.h"

int vm_memory_init(struct uvfio_vm *vm)
{
	struct vm_memory *mem = &vm->memory;
	pthread_mutexattr_t attr;

	mem->ioas = vfio_ioas_new(machine_system(vm->machine), false);
	if (!mem->ioas)
		return -ENOMEM;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mem->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	CDS_INIT_LIST_HEAD(&mem->sections);
	CDS_INIT_LIST_HEAD(&mem->removals);
	CDS_INIT_LIST_HEAD(&mem->additions);
	return 0;
}

void vm_memory_fini(struct uvfio_vm *vm)
{
	vfio_ioas_put(vm->memory.ioas);
	pthread_mutex_destroy(&vm->memory.lock);
}
