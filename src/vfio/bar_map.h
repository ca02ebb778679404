/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/bar_map.h: BARs in this process's address space, for a front: memory of a provider's file
 * (VFIO_AREA_DIRECT), each mapping with its rights while the device answers, as the kernel has it
 * with real devices, and without any at other times. DMA of other devices does not reach a model's
 * past the model, but as accesses of its BAR.
 *
 * Lock order: the provider's locks > vfio_device.mappers_lock > vfio_bar_maps.lock, a leaf.
 */
#ifndef VFIO_BAR_MAP_H
#define VFIO_BAR_MAP_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

struct vfio_bar;
struct vfio_open;

/* All mappings of one front, of whichever devices. */
struct vfio_bar_maps {
	pthread_mutex_t lock; /* guards the list */
	struct cds_list_head list;
	/*
	 * Keep a device for a look-up, until leave(); false: it is being closed. Comes with the
	 * lock held, and takes none. NULL, both: devices stay while their memory is looked up.
	 */
	bool (*enter)(struct vfio_open *o);
	void (*leave)(struct vfio_open *o);
};

/* One of them. Its owner fills it in, and changes nothing while it is mapped. */
struct vfio_bar_map {
	struct cds_list_head node; /* in vfio_bar_maps.list, while it is mapped */
	struct vfio_open *open;
	unsigned index; /* the region */
	uint64_t offset;
	size_t size; /* whole pages */
	int prot;    /* PROT_READ, PROT_WRITE: while the device answers */
	/* before: where it shall be, reserved by the owner, or NULL. Mapped, or NULL: it is not */
	void *at;
};

void vfio_bar_maps_init(struct vfio_bar_maps *maps, bool (*enter)(struct vfio_open *),
			void (*leave)(struct vfio_open *));
/* Nothing is mapped. */
void vfio_bar_maps_fini(struct vfio_bar_maps *maps);
/*
 * Map @m, whose first byte is at @fd_offset of the area's file @fd, until vfio_bar_maps_unmap(). It
 * is the opener's mapper that gives the rights: the opener has no other. A child of fork() does not
 * have it, which would keep a real device open. 0 or -errno: then nothing is there, and what the
 * owner had reserved is not, either.
 */
int vfio_bar_maps_map(struct vfio_bar_maps *maps, struct vfio_bar_map *m, int fd,
		      uint64_t fd_offset);
/* Unmap what @o has at @at, or NULL: any. Return it, or NULL: there is none. */
struct vfio_bar_map *vfio_bar_maps_unmap(struct vfio_bar_maps *maps, const struct vfio_open *o,
					 const volatile void *at);
/*
 * Answer vfio_env.device_memory: the BARs of models are none to DMA of others. What is mapped of a
 * real device is memory: the IOMMU maps it as the kernel does.
 */
bool vfio_bar_maps_find(struct vfio_bar_maps *maps, uint64_t vaddr, uint64_t size,
			struct vfio_bar *first);
#endif
