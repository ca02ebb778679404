/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/wire.h: the numbers of the vfio-user protocol, as its specification has them
 * ("vfio-user Protocol Specification", docs/interop/vfio-user.rst of QEMU; before that
 * docs/vfio-user.rst of libvfio-user, version 0.9.2) and linux/vfio.h, to which it refers. They are
 * written here once more, since a wrong number in the server's own header has to be found here.
 */
#ifndef CONFORM_WIRE_H
#define CONFORM_WIRE_H

#define HEADER 16u /* bytes */

/* offsets in the header */
#define H_ID	0
#define H_CMD	2
#define H_SIZE	4
#define H_FLAGS 8
#define H_ERROR 12

/* flags of the header */
#define F_TYPE	   0xfu
#define F_COMMAND  0x0u
#define F_REPLY	   0x1u
#define F_NO_REPLY 0x10u
#define F_ERROR	   0x20u

enum {
	C_VERSION = 1,
	C_DMA_MAP = 2,
	C_DMA_UNMAP = 3,
	C_GET_INFO = 4,
	C_REGION_INFO = 5,
	C_REGION_IO_FDS = 6,
	C_IRQ_INFO = 7,
	C_SET_IRQS = 8,
	C_REGION_READ = 9,
	C_REGION_WRITE = 10,
	C_DMA_READ = 11,
	C_DMA_WRITE = 12,
	C_RESET = 13,
	C_WRITE_MULTI = 15,
	C_FEATURE = 16,
	C_MIG_READ = 17,
	C_MIG_WRITE = 18,
	C_LAST = C_MIG_WRITE
};

/* DMA_MAP and DMA_UNMAP */
#define MAP_READ       0x1u
#define MAP_WRITE      0x2u
#define MAP_BY_MMAP    0x4u
#define MAP_BY_FILE    0x8u
#define UNMAP_BITMAP   0x1u
#define UNMAP_ALL      0x2u
#define DMA_MAP_SIZE   32u
#define DMA_UNMAP_SIZE 24u

/* GET_INFO */
#define INFO_SIZE  16u
#define INFO_RESET 0x1u
#define INFO_PCI   0x2u

/* GET_REGION_INFO */
#define REGION_INFO_SIZE 32u
#define R_READ		 0x1u
#define R_WRITE		 0x2u
#define R_MMAP		 0x4u
#define R_CAPS		 0x8u
#define CAP_SPARSE_MMAP	 1u
#define CAP_TYPE	 2u
#define CONFIG_REGION	 7u
#define ROM_REGION	 6u
#define PCI_REGIONS	 9u

/* GET_IRQ_INFO and SET_IRQS */
#define IRQ_INFO_SIZE 16u
#define I_EVENTFD     0x1u
#define I_MASKABLE    0x2u
#define I_AUTOMASKED  0x4u
#define I_NORESIZE    0x8u
#define IRQ_INTX      0u
#define IRQ_MSI	      1u
#define IRQ_MSIX      2u
#define IRQ_ERR	      3u
#define IRQ_REQ	      4u
#define PCI_IRQS      5u
#define SET_IRQS_SIZE 20u
#define S_NONE	      0x1u
#define S_BOOL	      0x2u
#define S_EVENTFD     0x4u
#define S_MASK	      0x8u
#define S_UNMASK      0x10u
#define S_TRIGGER     0x20u

#define REGION_RW_SIZE 16u
#define DMA_RW_SIZE    16u
#define MULTI_ENTRY    24u

/* DEVICE_FEATURE */
#define FEATURE_SIZE  8u
#define FE_GET	      0x10000u
#define FE_SET	      0x20000u
#define FE_PROBE      0x40000u
#define FE_MIGRATION  1u
#define FE_STATE      2u
#define FE_LOG_START  6u
#define FE_LOG_STOP   7u
#define FE_LOG_REPORT 8u
#define MIG_STOP_COPY 0x1u
#define MIG_P2P	      0x2u
#define MIG_PRE_COPY  0x4u
enum { ST_ERROR, ST_STOP, ST_RUNNING, ST_STOP_COPY, ST_RESUMING, ST_RUNNING_P2P, ST_PRE_COPY };

/* What the specification gives to a side that does not say. */
#define DEFAULT_XFER	 1048576u
#define DEFAULT_MSG_FDS	 1u
#define DEFAULT_DMA_MAPS 65535u

/* The largest reply to VERSION that QEMU 11.1's client takes: as long as its own request. */
#define QEMU_VERSION_REPLY 214u
#endif
