/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/wire.h: the messages of vfio-user as they are on the socket, all of both directions.
 * Integers have the order of the host. Sections are those of the specification, "vfio-user Protocol
 * Specification" 0.9.1 (of libvfio-user and QEMU), as far as it says it; where practice differs,
 * docs/vfio-user.md says what is done here.
 */
#ifndef VFIO_USER_WIRE_H
#define VFIO_USER_WIRE_H
#include <stdbool.h>
#include <stdint.h>

/*
 * A version is answered by the lesser of both: QEMU refuses a minor number above its own. 0.2 is
 * libvfio-user's, which has twin sockets.
 */
#define VU_MAJOR 0u
#define VU_MINOR 2u

/* "Commands" */
enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_DEVICE_GET_INFO = 4,
	VU_DEVICE_GET_REGION_INFO = 5,
	VU_DEVICE_GET_REGION_IO_FDS = 6,
	VU_DEVICE_GET_IRQ_INFO = 7,
	VU_DEVICE_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* by the server */
	VU_DMA_WRITE = 12, /* by the server */
	VU_DEVICE_RESET = 13,
	VU_DIRTY_PAGES = 14, /* gone: migration of version 1 had it */
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
	VU_MIG_DATA_READ = 17,
	VU_MIG_DATA_WRITE = 18,
	/* ours, after both have said so ("uvfio"): */
	VU_UVFIO_RING = 0x8001,
};
/* Return the name of a command; NULL: there is none of that number. names.c */
const char *vu_command_name(uint32_t command);

/* "Header" */
struct vu_header {
	uint16_t id; /* the sender's choice; may repeat */
	uint16_t command;
	uint32_t size; /* of the message, this header included */
	uint32_t flags;
	uint32_t error; /* an errno, with VU_FLAG_ERROR */
};
#define VU_FLAG_TYPE	 0xfu /* VU_TYPE_* */
#define VU_TYPE_COMMAND	 0u
#define VU_TYPE_REPLY	 1u
#define VU_FLAG_NO_REPLY (1u << 4)
#define VU_FLAG_ERROR	 (1u << 5) /* of a reply, which has nothing behind the header then */

/* "VFIO_USER_VERSION"; the capabilities follow as JSON with a null character, or nothing does. */
struct vu_version {
	uint16_t major, minor;
};
/* What a message can carry of them: more than anybody sends. */
#define VU_CAPS_MAX 4096u

/*
 * What a side takes if it has said nothing ("Version Data Format"). max_data_xfer_size is of what
 * comes behind the fixed part of a message.
 */
#define VU_DEFAULT_FDS	    1u
#define VU_DEFAULT_DATA	    (1u << 20)
#define VU_DEFAULT_DMA_MAPS 65535u
#define VU_DEFAULT_PGSIZE   4096u

/* "VFIO_USER_DMA_MAP", which has 0 or 1 descriptors */
struct vu_dma_map {
	uint32_t argsz, flags;
	uint64_t offset; /* in the descriptor's file */
	uint64_t addr, size;
};
#define VU_DMA_READABLE	 (1u << 0)
#define VU_DMA_WRITEABLE (1u << 1)
/*
 * How the memory is to be had, of 2026; none: by mmap, if there is a descriptor, else by messages.
 * With either there must be one.
 */
#define VU_DMA_BY_MMAP (1u << 2)
#define VU_DMA_BY_FILE (1u << 3) /* by pread and pwrite */

/* "VFIO_USER_DMA_UNMAP"; with GET_DIRTY, struct vu_bitmap follows, and in the reply the bitmap */
struct vu_dma_unmap {
	uint32_t argsz, flags;
	uint64_t addr, size;
};
#define VU_UNMAP_GET_DIRTY (1u << 0)
#define VU_UNMAP_ALL	   (1u << 1)
struct vu_bitmap {
	uint64_t pgsize, size; /* of a page, and in bytes that of the bitmap that follows */
};

/* "VFIO_USER_DEVICE_GET_INFO": struct vfio_device_info without cap_offset */
struct vu_device_info {
	uint32_t argsz, flags, num_regions, num_irqs;
};

/*
 * VFIO_USER_DEVICE_GET_REGION_INFO and GET_IRQ_INFO: struct vfio_region_info, which capabilities
 * follow, and struct vfio_irq_info, of linux/vfio.h.
 *
 * Several descriptors of one region (sparse_mmap_fds): instead of SPARSE_MMAP, a capability with
 * this number, in which each area has a file and a place in it.
 */
#define VU_REGION_INFO_CAP_SPARSE_MMAP_FDS 0x8001u
struct vu_sparse_fd_area {
	uint64_t offset, size; /* in the region */
	uint64_t fd_offset;    /* in the file */
	uint32_t fd_index;     /* of the descriptors of the message */
	uint32_t pad;
};

/* "VFIO_USER_DEVICE_GET_REGION_IO_FDS": request and reply, which the entries follow */
struct vu_io_fds {
	uint32_t argsz, flags, index, count;
};
#define VU_IO_FD_IOEVENTFD     0u
#define VU_IOEVENTFD_DATAMATCH (1u << 0) /* KVM_IOEVENTFD_FLAG_DATAMATCH */
struct vu_io_fd {
	uint64_t offset, size; /* in the region */
	uint32_t fd_index, type;
	uint32_t flags, pad; /* flags of KVM_IOEVENTFD, or of an ioregionfd */
	uint64_t datamatch;  /* or user data */
};

/* "VFIO_USER_DEVICE_SET_IRQS": bytes of DATA_BOOL follow; DATA_EVENTFD has descriptors */
struct vu_set_irqs {
	uint32_t argsz, flags, index, start, count;
};

/* "VFIO_USER_REGION_READ" and REGION_WRITE: data follow the reply of the one, and the other */
struct vu_region_access {
	uint64_t offset;
	uint32_t region, count;
};

/* "VFIO_USER_DMA_READ" and DMA_WRITE: the same */
struct vu_dma_access {
	uint64_t addr, count;
};

/* "VFIO_USER_REGION_WRITE_MULTI": 64 bits with a number, and so many of these; its reply has it */
struct vu_write {
	uint64_t offset;
	uint32_t region, count; /* at most 8 */
	uint8_t data[8];
};

/*
 * "VFIO_USER_DEVICE_FEATURE": struct vfio_device_feature of linux/vfio.h, which data follow: those
 * of linux/vfio.h, but of the log of DMA writes, whose pointers cannot be sent.
 */
struct vu_feature {
	uint32_t argsz, flags;
};
/* DMA_LOGGING_START: struct vfio_device_feature_dma_logging_range follow; the reply has it, too */
struct vu_log_start {
	uint64_t page_size;
	uint32_t num_ranges, reserved;
};
/* DMA_LOGGING_REPORT: in the reply the bitmap follows, of whole words of 64 bits */
struct vu_log_report {
	uint64_t iova, length, page_size;
};
/*
 * A feature of our own, which the protocol has no message for: GET: what VFIO_MIG_GET_PRECOPY_INFO
 * says. Flags are only set after SET of VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2.
 */
#define VU_FEATURE_PRECOPY_INFO 0xff00u
struct vu_precopy_info {
	uint32_t flags, reserved;
	uint64_t initial_bytes, dirty_bytes;
};

/*
 * True if @command may change a device in such a way that it must not be carried out twice: where
 * the device outlives its server ("lasting" in caps.h) a client numbers it, and a server answers it
 * from a record when it comes again. The client repeats others.
 */
static inline bool vu_is_sequenced(uint16_t command)
{
	return command == VU_REGION_READ || command == VU_REGION_WRITE ||
	       command == VU_DEVICE_RESET || command == VU_DEVICE_FEATURE;
}

/* "VFIO_USER_MIG_DATA_READ" and MIG_DATA_WRITE: the same as region accesses. Less read: the end. */
struct vu_mig_data {
	uint32_t argsz, size;
};
#endif
