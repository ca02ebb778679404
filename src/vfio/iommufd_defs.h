/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_defs.h: the ABI of /dev/iommu as Linux 7.3 has it (linux/iommufd.h, of which Debian
 * 12's headers have nothing), in our own words. Every struct begins with its size, may be longer or
 * shorter than here, and grows at its end (uapi/iommufd.c).
 */
#ifndef VFIO_IOMMUFD_DEFS_H
#define VFIO_IOMMUFD_DEFS_H
#include <linux/ioctl.h>
#include <stdint.h>

#define IOMMUFD_TYPE	  ';'
#define IOMMUFD_CMD_FIRST 0x80u
#define IOMMUFD_CMD_LAST  0x95u
#define IOMMUFD_CMD(nr)	  _IO(IOMMUFD_TYPE, nr)

#define IOMMU_DESTROY		      IOMMUFD_CMD(0x80)
#define IOMMU_IOAS_ALLOC	      IOMMUFD_CMD(0x81)
#define IOMMU_IOAS_ALLOW_IOVAS	      IOMMUFD_CMD(0x82)
#define IOMMU_IOAS_COPY		      IOMMUFD_CMD(0x83)
#define IOMMU_IOAS_IOVA_RANGES	      IOMMUFD_CMD(0x84)
#define IOMMU_IOAS_MAP		      IOMMUFD_CMD(0x85)
#define IOMMU_IOAS_UNMAP	      IOMMUFD_CMD(0x86)
#define IOMMU_OPTION		      IOMMUFD_CMD(0x87)
#define IOMMU_VFIO_IOAS		      IOMMUFD_CMD(0x88)
#define IOMMU_HWPT_ALLOC	      IOMMUFD_CMD(0x89)
#define IOMMU_GET_HW_INFO	      IOMMUFD_CMD(0x8a)
#define IOMMU_HWPT_SET_DIRTY_TRACKING IOMMUFD_CMD(0x8b)
#define IOMMU_HWPT_GET_DIRTY_BITMAP   IOMMUFD_CMD(0x8c)
#define IOMMU_HWPT_INVALIDATE	      IOMMUFD_CMD(0x8d)
#define IOMMU_FAULT_QUEUE_ALLOC	      IOMMUFD_CMD(0x8e)
#define IOMMU_IOAS_MAP_FILE	      IOMMUFD_CMD(0x8f)
#define IOMMU_VIOMMU_ALLOC	      IOMMUFD_CMD(0x90)
#define IOMMU_VDEVICE_ALLOC	      IOMMUFD_CMD(0x91)
#define IOMMU_IOAS_CHANGE_PROCESS     IOMMUFD_CMD(0x92)
#define IOMMU_VEVENTQ_ALLOC	      IOMMUFD_CMD(0x93)
#define IOMMU_HW_QUEUE_ALLOC	      IOMMUFD_CMD(0x94)
#define IOMMU_IOAS_NOIOMMU_GET_PA     IOMMUFD_CMD(0x95)

struct iommu_destroy {
	uint32_t size, id;
};

struct iommu_ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};

struct iommu_iova_range {
	uint64_t start, last;
};

struct iommu_ioas_iova_ranges {
	uint32_t size, ioas_id, num_iovas, __reserved;
	uint64_t allowed_iovas, out_iova_alignment;
};

struct iommu_ioas_allow_iovas {
	uint32_t size, ioas_id, num_iovas, __reserved;
	uint64_t allowed_iovas;
};

/* flags of MAP, MAP_FILE and COPY */
#define IOMMU_IOAS_MAP_FIXED_IOVA 1u
#define IOMMU_IOAS_MAP_WRITEABLE  2u
#define IOMMU_IOAS_MAP_READABLE	  4u

struct iommu_ioas_map {
	uint32_t size, flags, ioas_id, __reserved;
	uint64_t user_va, length, iova;
};

struct iommu_ioas_map_file {
	uint32_t size, flags, ioas_id;
	int32_t fd;
	uint64_t start, length, iova;
};

struct iommu_ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};

struct iommu_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

#define IOMMU_OPTION_RLIMIT_MODE 0u
#define IOMMU_OPTION_HUGE_PAGES	 1u
#define IOMMU_OPTION_OP_SET	 0u
#define IOMMU_OPTION_OP_GET	 1u

struct iommu_option {
	uint32_t size, option_id;
	uint16_t op, __reserved;
	uint32_t object_id;
	uint64_t val64;
};

#define IOMMU_VFIO_IOAS_GET   0u
#define IOMMU_VFIO_IOAS_SET   1u
#define IOMMU_VFIO_IOAS_CLEAR 2u

struct iommu_vfio_ioas {
	uint32_t size, ioas_id;
	uint16_t op, __reserved;
};

#define IOMMU_HWPT_ALLOC_NEST_PARENT	1u
#define IOMMU_HWPT_ALLOC_DIRTY_TRACKING 2u
#define IOMMU_HWPT_FAULT_ID_VALID	4u
#define IOMMU_HWPT_ALLOC_PASID		8u

#define IOMMU_HWPT_DATA_NONE 0u

struct iommu_hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, __reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, __reserved2;
};

#define IOMMU_HW_INFO_FLAG_INPUT_TYPE	   1u
#define IOMMU_HW_INFO_TYPE_DEFAULT	   0u
#define IOMMU_HW_INFO_TYPE_INTEL_VTD	   1u
#define IOMMU_HW_CAP_DIRTY_TRACKING	   1ull
#define IOMMU_HW_CAP_PCI_PASID_EXEC	   2ull
#define IOMMU_HW_CAP_PCI_PASID_PRIV	   4ull
#define IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED 8ull

/* what GET_HW_INFO says of a VT-d: registers of the Intel VT-d specification, 11.4.2 and 11.4.3 */
struct iommu_hw_info_vtd {
	uint32_t flags, __reserved;
	uint64_t cap_reg, ecap_reg;
};

struct iommu_hw_info {
	uint32_t size, flags, dev_id, data_len;
	uint64_t data_uptr;
	uint32_t data_type; /* in, with FLAG_INPUT_TYPE, and out */
	uint8_t out_max_pasid_log2, __reserved[3];
	uint64_t out_capabilities;
};

#define IOMMU_HWPT_DIRTY_TRACKING_ENABLE 1u

struct iommu_hwpt_set_dirty_tracking {
	uint32_t size, flags, hwpt_id, __reserved;
};

#define IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR 1u

struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size, hwpt_id, flags, __reserved;
	uint64_t iova, length, page_size, data;
};

struct iommu_hwpt_invalidate {
	uint32_t size, hwpt_id;
	uint64_t data_uptr;
	uint32_t data_type, entry_len, entry_num, __reserved;
};

#define IOMMU_PGFAULT_FLAGS_PASID_VALID 1u
#define IOMMU_PGFAULT_FLAGS_LAST_PAGE	2u
#define IOMMU_PGFAULT_PERM_READ		1u
#define IOMMU_PGFAULT_PERM_WRITE	2u
#define IOMMU_PGFAULT_PERM_EXEC		4u
#define IOMMU_PGFAULT_PERM_PRIV		8u

/* read from a fault queue */
struct iommu_hwpt_pgfault {
	uint32_t flags, dev_id, pasid, grpid, perm, __reserved;
	uint64_t addr;
	uint32_t length, cookie;
};

#define IOMMUFD_PAGE_RESP_SUCCESS 0u
#define IOMMUFD_PAGE_RESP_INVALID 1u

/* written to it */
struct iommu_hwpt_page_response {
	uint32_t cookie, code;
};

struct iommu_fault_alloc {
	uint32_t size, flags, out_fault_id, out_fault_fd;
};

#define IOMMU_VIOMMU_TYPE_DEFAULT 0u

struct iommu_viommu_alloc {
	uint32_t size, flags, type, dev_id, hwpt_id, out_viommu_id, data_len, __reserved;
	uint64_t data_uptr;
};

struct iommu_vdevice_alloc {
	uint32_t size, viommu_id, dev_id, out_vdevice_id;
	uint64_t virt_id;
};

struct iommu_ioas_change_process {
	uint32_t size, __reserved;
};

#define IOMMU_VEVENTQ_TYPE_DEFAULT 0u

struct iommu_veventq_alloc {
	uint32_t size, flags, viommu_id, type, veventq_depth, out_veventq_id, out_veventq_fd,
		__reserved;
};

#define IOMMU_HW_QUEUE_TYPE_DEFAULT 0u

struct iommu_hw_queue_alloc {
	uint32_t size, flags, viommu_id, type, index, out_hw_queue_id;
	uint64_t nesting_parent_iova, length;
};

struct iommu_ioas_noiommu_get_pa {
	uint32_t size, flags, ioas_id, __reserved;
	uint64_t iova, length, out_phys;
};
#endif
