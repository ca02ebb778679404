/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/kernel.c: the differences between the kernels that can be chosen, one a line. Each was seen:
 * tests/oracle and tests/iommufd ask all of these kernels.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "vfio/kernel.h"

/* 6.1 and 6.12 are Debian's: bookworm's and trixie's. */
enum { K6_1, K6_12, K7_3, NUM_KERNELS };

const char *const vfio_kernel_names[] = {
	[K6_1] = "6.1", [K6_12] = "6.12", [K7_3] = "7.3", [NUM_KERNELS] = NULL
};

/* the first of these kernels that is so */
static const unsigned char since[] = {
	[VFIO_KERNEL_ALWAYS] = K6_1,

	/*
	 * /dev/iommu, /dev/vfio/devices, and BIND, which is ENOTTY without them. Since 6.6, but not
	 * configured in Debian's; vfio-dev/vfioN in sysfs is there all the same, without `dev`.
	 */
	[VFIO_KERNEL_IOMMUFD] = K7_3,
	/* VFIO_TYPE1_NESTING_IOMMU is gone; before, it was type1v2 to who nests nothing */
	[VFIO_KERNEL_NO_NESTING] = K7_3,
	/* a range that wraps around is EOVERFLOW; before, EINVAL */
	[VFIO_KERNEL_WRAP_EOVERFLOW] = K7_3,
	/* the ERR interrupt of a conventional PCI function is there; before, EINVAL */
	[VFIO_KERNEL_ERR_OF_PCI] = K7_3,
	/* VFIO_DEVICE_FEATURE_DMA_BUF; before, ENOTTY */
	[VFIO_KERNEL_DMA_BUF] = K7_3,
	/* VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2; before, ENOTTY */
	[VFIO_KERNEL_PRECOPY_INFO_V2] = K7_3,

	/* migration with PRE_COPY, MIG_GET_PRECOPY_INFO, and VFIO_DEVICE_FEATURE_MIG_DATA_SIZE */
	[VFIO_KERNEL_PRE_COPY] = K6_12,
	/* VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP: by their headers, QEMU's devices have none */
	[VFIO_KERNEL_ATOMIC_COMP] = K6_12,
	/* SET_CONTAINER of a file that is no container is EBADFD; before, EINVAL */
	[VFIO_KERNEL_NO_CONTAINER_EBADFD] = K6_12,
	/* MSI-X vectors can be added while it is on; before, NORESIZE */
	[VFIO_KERNEL_MSIX_GROWS] = K6_12,
	/* an eventfd of less than -1 for ERR and REQ is EINVAL; before, nothing happened */
	[VFIO_KERNEL_FD_BELOW_NONE] = K6_12,
	/* readv() asks whether a file can be read (EINVAL) before its vector (EFAULT) */
	[VFIO_KERNEL_READABLE_FIRST] = K6_12,
	/* PCI_HOT_RESET without groups is EINVAL, before ENODEV: there is no such reset */
	[VFIO_KERNEL_RESET_COUNT_FIRST] = K6_12,
};

static unsigned chosen = K7_3;

int vfio_kernel_choose(const char *name)
{
	for (unsigned i = 0; i < NUM_KERNELS; i++) {
		if (!strcmp(name, vfio_kernel_names[i])) {
			chosen = i;
			return 0;
		}
	}
	return -EINVAL;
}

bool vfio_kernel_has(enum vfio_kernel_change change)
{
	return chosen >= since[change];
}
