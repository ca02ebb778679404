/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory.h: the guest's memory, and address spaces in which devices reach it.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

struct uvfio_vm;
struct uvfio_vm_device;
struct vfio_ioas;

struct vm_memory {
	pthread_mutex_t lock;	       /* uvfio_vm.memory_lock; recursive, since begin holds it */
	struct vfio_ioas *ioas;	       /* guest physical addresses */
	struct cds_list_head sections; /* memory.c's */
	unsigned depth;		       /* of begin */
	struct cds_list_head removals, additions; /* that commit makes */
	int error;				  /* the first one since begin */
};

/* The address space of a device. */
struct vm_dma {
	struct vfio_ioas *ioas;	       /* the guest's memory, or with iommu=vmm its own */
	struct cds_list_head mappings; /* of uvfio_vm_dma_map(): dma.c's */
};

/* ---- memory.c ---- */
int vm_memory_init(struct uvfio_vm *vm);
void vm_memory_fini(struct uvfio_vm *vm);
/* ---- dma.c ---- */
/* Choose the address space of @dev, which is not open yet. 0 or -errno with a sentence. */
int vm_dma_init(struct uvfio_vm_device *dev);
/* @dev is closed. */
void vm_dma_fini(struct uvfio_vm_device *dev);
/* A piece of a BAR of @dev goes: nobody reaches it by DMA any more. Without the device's lock. */
void vm_dma_forget(struct uvfio_vm *vm, void *host, uint64_t size);
#endif
