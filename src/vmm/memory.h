/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory.h: the guest's memory, and the address spaces in which devices reach it: one in which
 * DMA addresses are the guest's physical ones, and one for each group of devices that the monitor
 * has behind an IOMMU of its own (iommu=vmm).
 *
 * Lock order: vm_memory.lock comes behind the locks of devices, so that memory can be added and
 * removed from inside of a monitor's callback, and before vfio's.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "base/itree.h"

struct uvfio_vm;
struct uvfio_vm_device;
struct vfio_group;
struct vfio_ioas;

struct vm_memory {
	/* recursive; from begin to commit its thread holds it. Guards what follows. */
	pthread_mutex_t lock;
	struct vfio_ioas *ioas; /* guest physical addresses; of the guest's life */
	atomic_uint users;	/* devices in it: nothing is mapped while there is none */
	atomic_uint pinning;	/* devices whose IOMMU pins, in any space */
	struct itree sections;	/* memory.c's, by guest address; none over another */
	unsigned depth;		/* of begin */
	struct cds_list_head removals, additions; /* that commit makes */
	struct cds_list_head spaces;		  /* dma.c's: of iommu=vmm */
};

/* The address space of a device. */
struct vm_dma {
	struct vfio_ioas *ioas; /* the guest's memory, or with iommu=vmm that of @own */
	struct vm_space *own;	/* NULL: it is the guest's memory */
};

/* A stretch of the guest's memory that devices may reach. */
struct vm_stretch {
	uint64_t host, size;
	unsigned prot; /* IOMMU_READ, IOMMU_WRITE */
	int fd;	       /* or -1 */
	uint64_t fd_offset;
};

/* ---- memory.c ---- */
int vm_memory_init(struct uvfio_vm *vm);
/* No device is left. */
void vm_memory_fini(struct uvfio_vm *vm);
/*
 * One device more, or less, reaches the guest's memory: with the first one it is mapped. 0, or
 * -errno with a sentence.
 */
int vm_memory_use(struct uvfio_vm *vm);
void vm_memory_unuse(struct uvfio_vm *vm);
/*
 * Take BARs of devices out of the guest's space (true: there were some), or have them there again
 * as far as that can be: devices come even if they cannot reach these.
 */
bool vm_memory_drop_peers(struct uvfio_vm *vm);
void vm_memory_map_peers(struct uvfio_vm *vm);
/*
 * Find what is at [@gpa, @gpa + @size), or how far it is in one piece. Lock held. False: no memory
 * is there.
 */
bool vm_memory_at(struct uvfio_vm *vm, uint64_t gpa, uint64_t size, struct vm_stretch *out);
/*
 * A piece of a BAR goes, which the program saw at @host: nobody reaches it by DMA any more. A
 * device's lock may be held.
 */
void vm_memory_forget(struct uvfio_vm *vm, void *host, uint64_t size);
/* Say so if there may be more granules one day than the IOMMU has mappings for. */
void vm_memory_check_limit(struct uvfio_vm *vm);
/* Keep the sentence for an @rc of mapping [@gpa, @gpa + @size) in @io, at @iova. Return @rc. */
int vm_memory_explain(struct uvfio_vm *vm, struct vfio_ioas *io, int rc, uint64_t gpa,
		      uint64_t iova, uint64_t size);
/* The same for all of the guest's memory, when @dev, which is open, could not have it. */
int vm_memory_explain_all(struct uvfio_vm_device *dev, int rc);
/* ---- dma.c ---- */
/* Choose the address space of @dev, which is not open yet. 0 or -errno with a sentence. */
int vm_dma_init(struct uvfio_vm_device *dev);
/* @dev is closed. */
void vm_dma_fini(struct uvfio_vm_device *dev);
/* Have @dev, which is open, in its address space. 0 or -errno with a sentence. */
int vm_dma_attach(struct uvfio_vm_device *dev);
/* The guest's memory [@gpa, @last] goes: out of the spaces of iommu=vmm. memory.lock is held. */
void vm_dma_drop(struct uvfio_vm *vm, uint64_t gpa, uint64_t last);
#endif
