/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/lib/vfio.h: a device opened by hand, as a user of the kernel's VFIO does it: container,
 * group, device. For the clients in tests/ and bench/, some of which run on the kernel's vfio-pci
 * as well: of libc and <linux/vfio.h> alone. Nothing here judges: a call that fails returns -1 with
 * errno, and each client says in its own way what that means to it.
 */
#ifndef TESTS_LIB_VFIO_H
#define TESTS_LIB_VFIO_H
#include <linux/vfio.h>
#include <stddef.h>
#include <stdint.h>

/* The offset of a region in a device's file is fixed by vfio-pci. */
#define VFIO_REGION(index) ((uint64_t)(index) << 40)

struct vfio {
	int container, group, device; /* -1: not open */
	const char *failed;	      /* the step that failed, for a message */
};

/* Find the node of a device's group: @path becomes "/dev/vfio/7". 0, or -1 with errno. */
int vfio_group_path(const char *address, char *path, size_t size);
/* Open the group of the device at @address. */
int vfio_open_group(const char *address);

/*
 * Open a container and the group at the path @group, join them and set the IOMMU @type. What is
 * open when a step fails stays so until vfio_close().
 */
int vfio_set_up(struct vfio *v, const char *group, unsigned int type);
/* Open a device of the group; @name is its address, behind which options may stand. */
int vfio_get_device(struct vfio *v, const char *name);
/* Do both, with VFIO_TYPE1v2_IOMMU. */
int vfio_open_device(struct vfio *v, const char *group, const char *name);
/* Close what is open, in the reverse order; errno stays. */
void vfio_close(struct vfio *v);

int vfio_dma_map(int container, void *p, uint64_t iova, uint64_t size, uint32_t flags);
/* Return how many bytes were unmapped, or -1. */
long vfio_dma_unmap(int container, uint64_t iova, uint64_t size, uint32_t flags);

/* VFIO_DEVICE_SET_IRQS with @count elements of @data, of the size that @flags says; at most 64. */
int vfio_set_irqs(int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		  const void *data);
/* Wait up to @ms for an eventfd; return how often it was signalled. */
uint64_t eventfd_wait(int fd, int ms);
#endif
