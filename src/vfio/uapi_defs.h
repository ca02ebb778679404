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

/* ---- hot reset; vfio_pci_dependent_device.group_id is a number in the iommufd with DEV_ID ---- */

#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID	     (1u << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1u << 1) /* all are the iommufd's */
#define VFIO_PCI_DEVID_OWNED		     0u
#define VFIO_PCI_DEVID_NOT_OWNED	     (~0u)

/* ---- dma-bufs (Linux 7.x) ---- */

#define VFIO_DEVICE_FEATURE_DMA_BUF 11
struct vfio_device_feature_dma_buf {
	uint32_t region_index, open_flags, flags, nr_ranges;
	/* and then nr_ranges of offset and length, uint64_t each */
};

/* ---- a capability of VFIO_DEVICE_GET_INFO ---- */

/* struct vfio_device_info as it is since Linux 6.7: capabilities come behind the padding */
struct vfio_device_info_padded {
	struct vfio_device_info info;
	uint32_t pad;
};
#ifndef VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	uint32_t flags, reserved;
};
#define VFIO_PCI_ATOMIC_COMP32	(1u << 0)
#define VFIO_PCI_ATOMIC_COMP64	(1u << 1)
#define VFIO_PCI_ATOMIC_COMP128 (1u << 2)
#endif

/* ---- of device files that were opened by /dev/vfio/devices/vfioN ---- */

#define VFIO_DEVICE_BIND_IOMMUFD      _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

struct vfio_device_bind_iommufd {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr; /* 16 bytes, with BIND_FLAG_TOKEN */
};
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1u << 0)

struct vfio_device_attach_iommufd_pt {
	uint32_t argsz, flags;
	uint32_t pt_id; /* an IOAS or a HWPT; out: the HWPT */
	uint32_t pasid; /* with ATTACH_PASID */
};
#define VFIO_DEVICE_ATTACH_PASID (1u << 0)

struct vfio_device_detach_iommufd_pt {
	uint32_t argsz, flags;
	uint32_t pasid; /* with DETACH_PASID */
};
#define VFIO_DEVICE_DETACH_PASID (1u << 0)

/* ---- migration: Linux 6.2 and later ---- */

#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
/* enum vfio_device_mig_state */
#define VFIO_DEVICE_STATE_PRE_COPY     6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
/* of the stream, in the PRE_COPY states */
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
struct vfio_precopy_info {
	uint32_t argsz, flags;
	uint64_t initial_bytes, dirty_bytes;
};
#endif
#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
struct vfio_device_feature_mig_data_size {
	uint64_t stop_copy_length;
};
#endif
#ifndef VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 /* 7.1 */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12
#define VFIO_PRECOPY_INFO_REINIT	       (1 << 0) /* of vfio_precopy_info.flags */
#endif
#endif
