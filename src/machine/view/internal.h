/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view/internal.h: what the files of the view share. */
#ifndef MACHINE_VIEW_INTERNAL_H
#define MACHINE_VIEW_INTERNAL_H
#include "machine/view/view.h"

/* modes of files */
#define RO 0444u
#define RW 0644u
/* write-only in Linux, and nobody acts on it */
#define WO 0000u
/*
 * the same, and the shim acts; its descriptor is one that can read and write, as far as the mode
 * goes
 */
#define ACTS 0600u

/* Write the bus @name ("0000:01") into @dir of what leads to it. */
void view_bus_dir(struct tree *t, const struct cpus *c, const char *dir, const char *name);

#define IOMMU_NAME	"uvfio-iommu"
#define VIEW_VFS_ASIDE	"vfs"	/* where the directories of VFs that are not enabled wait */
#define VIEW_CDEVS	"cdevs" /* the numbers of /dev/vfio/devices/vfioN, each with its address */
#define VIEW_CDEV_CLASS (vfio_abi()->v3 ? "vfio" : "vfio-dev")
#endif
