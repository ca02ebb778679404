/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/uapi_defs.h: <linux/vfio.h>, and what the header of Debian 12 (6.1) lacks, in our own words.
 * The one place for it.
 */
#ifndef VFIO_UAPI_DEFS_H
#define VFIO_UAPI_DEFS_H
#include <linux/vfio.h>
#include <stdint.h>

/* a region's place in a device file: vfio_pci_core.h of the kernel; clients hard-code it */
#define VFIO_REGION_SHIFT	  40
#define VFIO_REGION_OFFSET(index) ((uint64_t)(index) << VFIO_REGION_SHIFT)
#define VFIO_REGION_INDEX(pos)	  ((uint32_t)((uint64_t)(pos) >> VFIO_REGION_SHIFT))
#define VFIO_REGION_POS(pos)	  ((uint64_t)(pos) & (VFIO_REGION_OFFSET(1) - 1))
#endif
