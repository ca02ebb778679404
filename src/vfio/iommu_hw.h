/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommu_hw.h: which hardware the IOMMU is. By default what answers as a VT-d without the rest;
 * what can be chosen (`uvfio run --iommu`) is really there then.
 *
 * The choice is the process's: it is made once, before anything is opened and before there are
 * threads.
 */
#ifndef VFIO_IOMMU_HW_H
#define VFIO_IOMMU_HW_H
#include <stdbool.h>

/*
 * Choose by the text of --iommu, "dirty-tracking=on" or "=off". 0 or -EINVAL: it says other things.
 */
int vfio_iommu_choose(const char *text);
/*
 * True if page tables can tell which pages devices wrote (VT-d's SSADS). Any thread, takes no lock.
 */
bool vfio_iommu_dirty_tracking(void);
#endif
