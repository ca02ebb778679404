/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/vfio_v3.h: the VFIO interface of July 2010 ("V3"), as `uvfio run --abi v3` offers it.
 *
 * A device is /dev/vfio0, /dev/vfio1, ...: any number of openers, and nothing is reset between
 * them. Each open of /dev/uiommu is an I/O address space of its own, a domain, which
 * VFIO_DOMAIN_SET gives to devices. Without one a device's memory, and writes to its config space,
 * are refused.
 *
 * A read or write at VFIO_V3_OFFSET(space, position) reaches BAR 0-5, the ROM, or config space; a
 * BAR of whole pages can be mapped there, shared. The file has a position, as any file.
 *
 * INTx adds 1 to its eventfd, and is disabled until COMMAND.DisINTx (bit 10) is written 0. Memory
 * that is mapped for DMA goes away together with the program's: when a page of it is unmapped or
 * changes, or by fork() where it is private, the whole mapping ends.
 *
 * Errors are -1 and errno, as of any system call. An unknown ioctl is EINVAL. What is not of 2010
 * has VFIO_V3_ in its name: an old client notices nothing of it.
 */
#ifndef UVFIO_VFIO_V3_H
#define UVFIO_VFIO_V3_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** define VFIO_V3_SPACE_ROM - The space of the ROM; those before it are BARs, by register. */
#define VFIO_V3_SPACE_ROM 6
/** define VFIO_V3_SPACE_CONFIG - The space of config space. */
#define VFIO_V3_SPACE_CONFIG 15
/** define VFIO_V3_OFFSET - Return the file offset of @position, below 4 GiB, in @space. */
#define VFIO_V3_OFFSET(space, position) (((__u64)(space) << 32) | (__u32)(position))

/** define VFIO_FLAG_WRITE - The device may write the memory. */
#define VFIO_FLAG_WRITE 0x1

/**
 * struct vfio_dma_map - Memory for DMA.
 * @vaddr: the program's address, of a whole page.
 * @dmaaddr: the device's, of a whole page.
 * @size: bytes, whole pages.
 * @flags: VFIO_FLAG_WRITE; other bits are ignored.
 */
struct vfio_dma_map {
	__u64 vaddr;
	__u64 dmaaddr;
	__u64 size;
	__u64 flags;
};

/**
 * define VFIO_DMA_MAP_IOVA - Let the devices of the domain reach memory.
 *
 * Errors, in this order: EFAULT; EINVAL: alignment, size; ENOMEM: over RLIMIT_MEMLOCK; EFAULT: a
 * page is not there, or must not be written; EINVAL: no domain; EBUSY: something is mapped there;
 * EFAULT: beyond the IOMMU's width.
 */
#define VFIO_DMA_MAP_IOVA _IOWR(';', 101, struct vfio_dma_map)
/**
 * define VFIO_DMA_UNMAP - Undo the newest VFIO_DMA_MAP_IOVA of this vaddr and size.
 *
 * Errors: ENXIO: this opener has none, or the memory went away.
 */
#define VFIO_DMA_UNMAP _IOW(';', 102, struct vfio_dma_map)
/** define VFIO_EVENTFD_IRQ - Signal INTx by an eventfd; negative: not any more. */
#define VFIO_EVENTFD_IRQ _IOW(';', 103, int)
/**
 * define VFIO_EVENTFD_MSI - Enable MSI with one message, by an eventfd; negative: disable it.
 *
 * Errors: EINVAL: messages are on already, or off; there is no MSI; not an eventfd. EBADF.
 */
#define VFIO_EVENTFD_MSI _IOW(';', 104, int)
/**
 * define VFIO_EVENTFDS_MSIX - Enable MSI-X: a count, and so many eventfds; 0: disable it.
 *
 * Return: 0; positive: there are so many vectors only, and none is enabled.
 * Errors: as VFIO_EVENTFD_MSI; EINVAL: over 1024.
 */
#define VFIO_EVENTFDS_MSIX _IOW(';', 105, int)
/**
 * define VFIO_BAR_LEN - Replace a BAR's register number, 6: the ROM, by its length.
 *
 * The upper half of a 64-bit BAR has length 0, as an absent BAR has; see VFIO_V3_BAR_INFO.
 */
#define VFIO_BAR_LEN _IOWR(';', 167, __u32)
/**
 * define VFIO_DOMAIN_SET - Attach the device to the domain of a descriptor of /dev/uiommu.
 *
 * Errors, in this order: EFAULT; EBUSY: it has one; EBADF; EINVAL: another file; EINVAL: interrupts
 * are not remapped.
 */
#define VFIO_DOMAIN_SET _IOW(';', 107, int)
/** define VFIO_DOMAIN_UNSET - Detach it. Errors: EBUSY: it has mappings. */
#define VFIO_DOMAIN_UNSET _IO(';', 108)

/* ---- what reviewers asked for, and the author promised ---- */

/** define VFIO_V3_RESET - Reset the device; config space and interrupts are put back. */
#define VFIO_V3_RESET _IO(';', 111)
/**
 * define VFIO_V3_EVENTFDS_MSI - Enable MSI with several messages: as VFIO_EVENTFDS_MSIX.
 *
 * The device may send fewer: it is given the next power of two, and the messages that have no
 * eventfd are lost.
 */
#define VFIO_V3_EVENTFDS_MSI _IOW(';', 176, int)

/** define VFIO_V3_BAR_IO - It is I/O space. */
#define VFIO_V3_BAR_IO 0x1
/** define VFIO_V3_BAR_64 - It has a 64-bit address: the next register is its upper half. */
#define VFIO_V3_BAR_64 0x2
/** define VFIO_V3_BAR_PREFETCH - It may be prefetched. */
#define VFIO_V3_BAR_PREFETCH 0x4
/** define VFIO_V3_BAR_UPPER - It is no BAR, but the upper half of the one before. */
#define VFIO_V3_BAR_UPPER 0x8
/** define VFIO_V3_BAR_MAP - It can be mapped: it is memory, of whole pages. */
#define VFIO_V3_BAR_MAP 0x10

/**
 * struct vfio_v3_bar_info - A BAR, by its register in config space, which is no resource's number.
 * @bar: in: 0 to 5; 6: the ROM.
 * @flags: VFIO_V3_BAR_*.
 * @size: bytes; 0: there is none.
 */
struct vfio_v3_bar_info {
	__u32 bar;
	__u32 flags;
	__u64 size;
};
/** define VFIO_V3_BAR_INFO - Describe a BAR. Errors: EINVAL: no such register. */
#define VFIO_V3_BAR_INFO _IOWR(';', 177, struct vfio_v3_bar_info)

/**
 * define VFIO_V3_EVENTS - Return a descriptor by which the host tells of the device.
 *
 * It polls; a read that has room gives whole messages of generic netlink: struct nlmsghdr (type
 * VFIO_V3_FAMILY), struct genlmsghdr (cmd: VFIO_V3_EVENT_*, version 1), and the attributes
 * VFIO_V3_ATTR_DOMAIN, BUS, SLOT and FUNCTION, which are the device's place. Errors of read():
 * EAGAIN: there is none; EINVAL: no room for the next one.
 */
#define VFIO_V3_EVENTS _IO(';', 178)
/** define VFIO_V3_FAMILY - The type of these messages. */
#define VFIO_V3_FAMILY 0x20
/** define VFIO_V3_EVENT_REMOVE - The host wants the device back: let it go. */
#define VFIO_V3_EVENT_REMOVE 1
/** define VFIO_V3_EVENT_SUSPEND - The device went to sleep (D3hot). */
#define VFIO_V3_EVENT_SUSPEND 7
/** define VFIO_V3_EVENT_RESUME - It is awake again. */
#define VFIO_V3_EVENT_RESUME 8
/** define VFIO_V3_ATTR_DOMAIN - u32: the PCI domain. */
#define VFIO_V3_ATTR_DOMAIN 2
/** define VFIO_V3_ATTR_BUS - u16: the bus. */
#define VFIO_V3_ATTR_BUS 3
/** define VFIO_V3_ATTR_SLOT - u8: the device number. */
#define VFIO_V3_ATTR_SLOT 4
/** define VFIO_V3_ATTR_FUNCTION - u8: the function number. */
#define VFIO_V3_ATTR_FUNCTION 5

#ifdef __cplusplus
}
#endif
#endif
