/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/kernel.h: which kernel's VFIO this process sees. uvfio answers as the newest; where an older
 * one that can be chosen (`uvfio run --kernel`) answers otherwise, the difference is a line of the
 * table in kernel.c, and whoever gives the answer asks for it.
 *
 * The choice is the process's, as its /dev is: it is made once, before anything is opened and
 * before there are threads.
 */
#ifndef VFIO_KERNEL_H
#define VFIO_KERNEL_H
#include <stdbool.h>

/* The differences between these kernels. */
enum vfio_kernel_change {
	VFIO_KERNEL_ALWAYS, /* nothing: all of them are so */
	VFIO_KERNEL_IOMMUFD,
	VFIO_KERNEL_NO_NESTING,
	VFIO_KERNEL_WRAP_EOVERFLOW,
	VFIO_KERNEL_ERR_OF_PCI,
	VFIO_KERNEL_DMA_BUF,
	VFIO_KERNEL_PRECOPY_INFO_V2,
	VFIO_KERNEL_PRE_COPY,
	VFIO_KERNEL_ATOMIC_COMP,
	VFIO_KERNEL_NO_CONTAINER_EBADFD,
	VFIO_KERNEL_MSIX_GROWS,
	VFIO_KERNEL_FD_BELOW_NONE,
	VFIO_KERNEL_READABLE_FIRST,
	VFIO_KERNEL_RESET_COUNT_FIRST,
};

/* The names that can be chosen, oldest first, NULL behind them; the last is the default. */
extern const char *const vfio_kernel_names[];
/* Choose the kernel @name. 0 or -EINVAL: it is not one of vfio_kernel_names. */
int vfio_kernel_choose(const char *name);
/* True if the chosen kernel has @change. Any thread, takes no lock. */
bool vfio_kernel_has(enum vfio_kernel_change change);
#endif
