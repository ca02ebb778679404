/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/uvfio.h: drive a PCI device from C, without a kernel driver and without the shim.
 *
 * The same device, driver and IOMMU as a VFIO program under `uvfio run` sees, by function calls. A
 * context (struct uvfio) is a machine with its devices and one IOMMU address space; a device is
 * opened by address or by what --device takes. It may be a real one, which the kernel's vfio-pci
 * has (uvfio_open_host()): the same calls drive it, and its DMA goes by the IOMMU of the computer.
 *
 * Threads: every function may be called by any thread, except that uvfio_close()/uvfio_free() must
 * be the last use of their argument.
 *
 * Errors: 0 or a count, or -errno; uvfio_strerror() has the sentence.
 *
 * Faults: the first uvfio_new() installs handlers for SIGSEGV and SIGBUS, which pass on what is not
 * theirs. A program that installs its own later passes on what is not its own, or a device that
 * meets memory which is gone takes the program down instead of being told so.
 *
 * Fork: a child may do nothing with its parent's contexts but uvfio_free(), which then leaves the
 * parent's alone; it can make its own.
 */
#ifndef UVFIO_UVFIO_H
#define UVFIO_UVFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UVFIO_PUBLIC
/** define UVFIO_PUBLIC - A name that a library shows, whatever -fvisibility says. */
#define UVFIO_PUBLIC __attribute__((visibility("default")))
#endif

/** struct uvfio - A machine: devices, and one address space for their DMA. Opaque. */
struct uvfio;

/** struct uvfio_device - An open device. Opaque. */
struct uvfio_device;

/* ---- a machine ---- */

/**
 * uvfio_new() - Make a machine without devices.
 *
 * The first call of the process installs the handlers for SIGSEGV and SIGBUS (see "Faults").
 *
 * Context: any thread.
 * Return: the machine, to be freed with uvfio_free(); NULL: no memory, or no thread or descriptor
 * could be had.
 */
UVFIO_PUBLIC struct uvfio *uvfio_new(void);

/**
 * uvfio_free() - Close what is open, unplug every device, free the machine.
 * @u: the machine; NULL: nothing happens.
 *
 * Memory that uvfio_dma_alloc() gave is freed, too; memory that was mapped with uvfio_dma_map() is
 * the program's and stays. In a forked child the parent's machine is only let go of.
 *
 * Context: any thread; the last use of @u, of its devices and of their addresses' text.
 */
UVFIO_PUBLIC void uvfio_free(struct uvfio *u);

/**
 * uvfio_strerror() - The sentence that explains why the last call failed.
 * @u: the machine of the call, or of the device that the call was about; NULL: uvfio_new() failed.
 *
 * Context: any thread: each has the errors of its own calls.
 * Return: the sentence, never NULL ("no error", if there was none). It is good until the thread's
 * next call that fails.
 */
UVFIO_PUBLIC const char *uvfio_strerror(const struct uvfio *u);

/**
 * uvfio_add() - Plug in a device.
 * @u: the machine.
 * @spec: the model and its options, as --device takes them (uvfio(1)): "nvme,image=disk.img",
 *	"./counter.so,step=2".
 * @addr: gets the device's address, "0000:01:00.0", with its end: 13 bytes; may be NULL.
 *
 * The virtual functions of "igb,sriov_numvfs=2" are plugged in with the device and opened by their
 * addresses ("0000:01:10.0"); no VF token is asked for.
 *
 * Context: any thread. It waits for other calls that plug, open or close devices of @u.
 * Return: 0; -EINVAL: an option that there is not, or not of that kind; -ENOENT: no such model or
 * file; -EEXIST, -EBUSY: the address or the id= is taken; -ENOSPC: no room for another device;
 * -ERANGE: more virtual functions than there are; -ENOMEM; what the model's create returned.
 */
UVFIO_PUBLIC int uvfio_add(struct uvfio *u, const char *spec, char *addr);

/**
 * uvfio_open() - Open a device for driving it.
 * @u: the machine.
 * @addr: the device's address; "0000:" may be left out. Or "vfio-user:" and the path of the socket
 *	of a server of vfio-user: its device.
 * @out: gets the device, to be closed with uvfio_close().
 *
 * The device is reset, as by opening it through VFIO, and it sees the address space of @u. All
 * devices of its IOMMU group do.
 *
 * A device behind a socket is plugged in at the first time, as by uvfio_add() of "socket=" and the
 * path, where it stays; options go that other way. Its server reaches what uvfio_dma_map() and
 * uvfio_dma_alloc() gave. Where that is private memory the server gets this process's whole address
 * space as a file, and has to be trusted; "socket=PATH,memory=messages" does without. When the
 * server dies the device reads as all ones; the next open connects anew. Of a server that keeps its
 * device for the one that is started after it (uvfio serve --state) the calls wait for that one, up
 * to 30 seconds ("socket=PATH,reconnect=SECONDS"), and go on.
 *
 * Context: any thread. It waits for other calls that plug, open or close devices of @u.
 * Return: 0; -ENODEV: there is none at @addr, or a driver of the host has it (driver=igb), or
 * another one is behind the socket than before; -EBUSY: it is open; -ENOMEM; for a socket:
 * -ENOENT, -ECONNREFUSED, -EACCES: nobody listens there, or not to us; -ETIMEDOUT: the server does
 * not answer, or has another client; -EPROTO: it does not speak vfio-user; -EOPNOTSUPP: its device
 * is no PCI function; or what it answered.
 */
UVFIO_PUBLIC int uvfio_open(struct uvfio *u, const char *addr, struct uvfio_device **out);

/**
 * uvfio_open_model() - Plug in a device and open it.
 * @u: the machine.
 * @spec: as in uvfio_add().
 * @out: gets the device, to be closed with uvfio_close().
 *
 * A device that cannot be opened stays plugged in.
 *
 * Context: any thread. It waits for other calls that plug, open or close devices of @u.
 * Return: 0; the errors of uvfio_add(); those of uvfio_open().
 */
UVFIO_PUBLIC int uvfio_open_model(struct uvfio *u, const char *spec, struct uvfio_device **out);

/**
 * uvfio_open_host() - Open a real device, which the kernel's vfio-pci has.
 * @u: the machine.
 * @addr: its address in the computer, "0000:01:00.0"; "0000:" may be left out.
 * @out: gets the device, to be closed with uvfio_close().
 *
 * The device is plugged into @u as by uvfio_add() of "host=" and its address, where it stays, and
 * opened; options go that other way ("host=0000:01:00.0,via=group"). The program needs the right to
 * open the files of /dev/vfio that are the device's group's, or its own and /dev/iommu. What
 * uvfio_dma_map() and uvfio_dma_alloc() gave before, and will give, is mapped in the computer's
 * IOMMU, too, pinned, and counted against RLIMIT_MEMLOCK by the kernel.
 *
 * Context: any thread. It waits for other calls that plug, open or close devices of @u.
 * Return: 0; -EINVAL: no address, or some memory that is mapped is where the computer's IOMMU maps
 * nothing; -ENODEV: there is no such device, or vfio-pci does not have it (uvfio_strerror() has the
 * commands that change that); -EBUSY: it or its group is open, here or elsewhere, or another device
 * of @u is at @addr; -EPERM: a driver of the kernel has another device of its group; -EACCES: a
 * file of /dev/vfio cannot be opened; -ENOMEM: no memory, or more would be pinned than may be; or
 * what else the kernel answered.
 */
UVFIO_PUBLIC int uvfio_open_host(struct uvfio *u, const char *addr, struct uvfio_device **out);

/**
 * uvfio_close() - Close a device.
 * @dev: the device; NULL: nothing happens.
 *
 * It is reset and does no more DMA. It stays plugged in and can be opened again. What
 * uvfio_bar_map() gave of it is unmapped.
 *
 * Context: any thread; the last use of @dev. It waits for other calls that plug, open or close
 * devices of the machine.
 */
UVFIO_PUBLIC void uvfio_close(struct uvfio_device *dev);

/**
 * uvfio_device_address() - The address of an open device.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: "0000:01:00.0"; good until uvfio_free().
 */
UVFIO_PUBLIC const char *uvfio_device_address(const struct uvfio_device *dev);

/* ---- memory that devices reach ---- */

/** define UVFIO_DMA_READ - A right of a mapping: the device may read. */
#define UVFIO_DMA_READ 1u
/** define UVFIO_DMA_WRITE - A right of a mapping: the device may write. */
#define UVFIO_DMA_WRITE 2u

/**
 * uvfio_dma_map() - Let the devices of a machine reach memory of the program.
 * @u: the machine.
 * @iova: the first I/O virtual address; a multiple of 4096.
 * @vaddr: the memory; a multiple of 4096.
 * @size: bytes; a multiple of 4096.
 * @prot: UVFIO_DMA_READ, UVFIO_DMA_WRITE, or both.
 *
 * Every open device of @u finds [@vaddr, @vaddr + @size) at @iova; those that are opened later do,
 * too. The memory must stay where it is until uvfio_dma_unmap(). No limit of locked memory applies,
 * unless a real device is open (uvfio_open_host()).
 *
 * Context: any thread.
 * Return: 0; -EINVAL: not whole pages, no right or another one, or an IOVA that no device can have
 * (the messages' range, 0xfee00000 to 0xfeefffff, and what is beyond the IOMMU's width, or
 * what the IOMMU before a real device does not map); -EEXIST:
 * something is mapped in the range; -ENOSPC: 65535 mappings are in use; -EFAULT: no memory of the
 * program's with these rights; -ENOMEM: no memory, or with a real device more than RLIMIT_MEMLOCK.
 */
UVFIO_PUBLIC int uvfio_dma_map(struct uvfio *u, uint64_t iova, void *vaddr, uint64_t size,
			       unsigned prot);

/**
 * uvfio_dma_unmap() - Take memory away from the devices of a machine.
 * @u: the machine.
 * @iova: the first I/O virtual address; a multiple of 4096.
 * @size: bytes; a multiple of 4096.
 *
 * Every mapping that lies in [@iova, @iova + @size) goes. When the call returns no device accesses
 * the memory, nor will one.
 *
 * Context: any thread.
 * Return: how many bytes were mapped there, 0 if none; -EINVAL: not whole pages, or an end of the
 * range lies within a mapping, and nothing is unmapped then.
 */
UVFIO_PUBLIC int64_t uvfio_dma_unmap(struct uvfio *u, uint64_t iova, uint64_t size);

/**
 * uvfio_dma_alloc() - Get memory that the devices of a machine may read and write.
 * @u: the machine.
 * @size: bytes; the memory has whole pages.
 * @iova: gets the I/O virtual address: the lowest that is free, but never below 1 MiB, since there
 *	are devices that do not reach far.
 *
 * Context: any thread.
 * Return: the memory, filled with zeroes; NULL: no memory, no room, or a @size of 0.
 */
UVFIO_PUBLIC void *uvfio_dma_alloc(struct uvfio *u, size_t size, uint64_t *iova);

/**
 * uvfio_dma_free() - Give back memory of uvfio_dma_alloc().
 * @u: the machine.
 * @vaddr: the memory; NULL: nothing happens.
 * @size: as it was asked for, in bytes.
 * @iova: as it was given.
 *
 * When it returns no device accesses the memory. What uvfio_dma_alloc() did not give in this way
 * stays as it is, and the log says so.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_dma_free(struct uvfio *u, void *vaddr, size_t size, uint64_t iova);

/* ---- registers ---- */

/** define UVFIO_REGION_ROM - The region of the expansion ROM (VFIO_PCI_ROM_REGION_INDEX). */
#define UVFIO_REGION_ROM 6u
/** define UVFIO_REGION_CONFIG - The region of config space (VFIO_PCI_CONFIG_REGION_INDEX). */
#define UVFIO_REGION_CONFIG 7u

/**
 * uvfio_region_size() - The size of a region.
 * @dev: the device.
 * @region: 0 to 5: a BAR; UVFIO_REGION_ROM; UVFIO_REGION_CONFIG. The indices are VFIO's
 *	(linux/vfio.h).
 *
 * Context: any thread.
 * Return: bytes, 0 for what the device has not; -EINVAL: no such region.
 */
UVFIO_PUBLIC int64_t uvfio_region_size(struct uvfio_device *dev, unsigned region);

/**
 * uvfio_read() - Read from a region.
 * @dev: the device.
 * @region: as in uvfio_region_size().
 * @offset: bytes from the region's start.
 * @buf: gets the bytes.
 * @count: how many.
 *
 * The bytes are read in naturally aligned accesses, each as wide as it can be: up to 8 bytes in
 * memory, 4 in I/O space, config space and the ROM. An access that the device does not complete
 * reads ones, and a line in the log says so.
 *
 * Context: any thread. Accesses of one device wait for each other, unless its model is concurrent.
 * Return: the bytes read, fewer where a BAR ends; -EINVAL: no such region, or @offset is behind its
 * end; -EFAULT: behind the end of config space; -EIO: memory decoding is off, or the device is in
 * D3hot; -ENOMEM: the ROM does not answer.
 */
UVFIO_PUBLIC ssize_t uvfio_read(struct uvfio_device *dev, unsigned region, uint64_t offset,
				void *buf, size_t count);

/**
 * uvfio_write() - Write to a region.
 * @dev: the device.
 * @region: as in uvfio_region_size().
 * @offset: bytes from the region's start.
 * @buf: the bytes.
 * @count: how many.
 *
 * As uvfio_read(). A write that the device does not complete is dropped, and a line in the log says
 * so. In config space the driver writes what VFIO lets a user write.
 *
 * Context: any thread. Accesses of one device wait for each other, unless its model is concurrent.
 * Return: the bytes written, fewer where a BAR ends; -EINVAL: no such region, the ROM, or @offset
 * is behind the region's end; -EFAULT: behind the end of config space; -EIO: memory decoding is
 * off, or the device is in D3hot.
 */
UVFIO_PUBLIC ssize_t uvfio_write(struct uvfio_device *dev, unsigned region, uint64_t offset,
				 const void *buf, size_t count);

/**
 * uvfio_read32() - Read a register of 32 bits.
 * @dev: the device.
 * @bar: 0 to 5, or another region.
 * @offset: bytes from the region's start; a multiple of 4.
 *
 * Context: any thread; as uvfio_read().
 * Return: the value; all ones, as from a bus, if the read fails.
 */
UVFIO_PUBLIC uint32_t uvfio_read32(struct uvfio_device *dev, unsigned bar, uint64_t offset);

/**
 * uvfio_read64() - Read a register of 64 bits.
 * @dev: the device.
 * @bar: 0 to 5, or another region.
 * @offset: bytes from the region's start; a multiple of 8.
 *
 * Context: any thread; as uvfio_read().
 * Return: the value; all ones, as from a bus, if the read fails.
 */
UVFIO_PUBLIC uint64_t uvfio_read64(struct uvfio_device *dev, unsigned bar, uint64_t offset);

/**
 * uvfio_write32() - Write a register of 32 bits.
 * @dev: the device.
 * @bar: 0 to 5, or another region.
 * @offset: bytes from the region's start; a multiple of 4.
 * @value: the value.
 *
 * Context: any thread; as uvfio_write().
 * Return: 0; -EINVAL: it does not lie in the region; otherwise as uvfio_write().
 */
UVFIO_PUBLIC int uvfio_write32(struct uvfio_device *dev, unsigned bar, uint64_t offset,
			       uint32_t value);

/**
 * uvfio_write64() - Write a register of 64 bits.
 * @dev: the device.
 * @bar: 0 to 5, or another region.
 * @offset: bytes from the region's start; a multiple of 8.
 * @value: the value.
 *
 * Context: any thread; as uvfio_write().
 * Return: 0; -EINVAL: it does not lie in the region; otherwise as uvfio_write().
 */
UVFIO_PUBLIC int uvfio_write64(struct uvfio_device *dev, unsigned bar, uint64_t offset,
			       uint64_t value);

/**
 * uvfio_bar_map() - Map a part of a BAR into the program.
 * @dev: the device.
 * @bar: 0 to 5.
 * @offset: bytes from the BAR's start; a multiple of 4096.
 * @size: bytes, of which the last page may have a part only.
 * @out: gets the registers.
 *
 * A load or store there is one of the device, with nothing in between: of a BAR that is plain
 * memory, as those of real devices are (uvfio_open_host()) and those that a model has as such
 * (UVFIO_PAGE_MEMORY). It may be a bus error while memory decoding is off, in D3hot, and during a
 * reset: SIGBUS of a real device, SIGSEGV of a model. Other BARs are for uvfio_read() and
 * uvfio_write().
 *
 * Context: any thread.
 * Return: 0, and *@out is good until uvfio_bar_unmap() or uvfio_close(); -EINVAL: no such BAR, or
 * not within it; -ENOTSUP: it is no plain memory, or not all of this part; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_bar_map(struct uvfio_device *dev, unsigned bar, uint64_t offset, size_t size,
			       volatile void **out);

/**
 * uvfio_bar_unmap() - Undo uvfio_bar_map().
 * @dev: the device.
 * @mapped: what that gave; NULL: nothing happens.
 *
 * Memory that it did not give stays as it is, and the log says so.
 *
 * Context: any thread; nobody uses the registers there any more.
 */
UVFIO_PUBLIC void uvfio_bar_unmap(struct uvfio_device *dev, volatile void *mapped);

/* ---- interrupts ---- */

/**
 * enum uvfio_irq_index - The kinds of interrupts, with VFIO's numbers (linux/vfio.h).
 * @UVFIO_INDEX_INTX: the pin (VFIO_PCI_INTX_IRQ_INDEX).
 * @UVFIO_INDEX_MSI: messages of the MSI capability.
 * @UVFIO_INDEX_MSIX: messages of the MSI-X capability.
 * @UVFIO_INDEX_ERR: the device reports an uncorrectable error.
 * @UVFIO_INDEX_REQ: the device is asked back.
 */
enum uvfio_irq_index {
	UVFIO_INDEX_INTX,
	UVFIO_INDEX_MSI,
	UVFIO_INDEX_MSIX,
	UVFIO_INDEX_ERR,
	UVFIO_INDEX_REQ
};

/**
 * uvfio_irq_count() - How many vectors a device has.
 * @dev: the device.
 * @index: the kind of interrupt.
 *
 * Context: any thread.
 * Return: the number, 0 for what the device has not; -EINVAL: no such @index.
 */
UVFIO_PUBLIC int uvfio_irq_count(struct uvfio_device *dev, enum uvfio_irq_index index);

/**
 * uvfio_irq_enable() - Signal eventfds for vectors of a kind.
 * @dev: the device.
 * @index: the kind of interrupt.
 * @start: the first vector.
 * @count: how many, at least 1.
 * @fds: an eventfd for each vector; -1: none. They are duplicated and may be closed afterwards.
 *
 * The first call enables the kind, and allocates the vectors up to @start + @count; another may
 * change or add some (VFIO_DEVICE_SET_IRQS). INTx, MSI and MSI-X exclude each other. Messages need
 * uvfio_bus_master().
 *
 * Context: any thread.
 * Return: 0; a positive number: so many vectors could be had, and nothing is enabled; -EINVAL: no
 * such vectors, no vectors, another kind is enabled, or the device is not in D0; -EBADF: no open
 * descriptor; -EMFILE; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_irq_enable(struct uvfio_device *dev, enum uvfio_irq_index index,
				  unsigned start, unsigned count, const int *fds);

/**
 * uvfio_irq_disable() - Signal nothing for a kind of interrupts any more.
 * @dev: the device.
 * @index: the kind of interrupt.
 *
 * When it returns no eventfd of the kind is signalled, nor will one be.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: no such @index, or it is INTx, MSI or MSI-X and not enabled.
 */
UVFIO_PUBLIC int uvfio_irq_disable(struct uvfio_device *dev, enum uvfio_irq_index index);

/**
 * uvfio_intx_mask() - Mask INTx.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: INTx is not enabled.
 */
UVFIO_PUBLIC int uvfio_intx_mask(struct uvfio_device *dev);

/**
 * uvfio_intx_unmask() - Unmask INTx.
 * @dev: the device.
 *
 * INTx is masked at each interrupt, as by VFIO: a driver serves the device, and then unmasks it. If
 * the line is still up the eventfd is signalled again.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: INTx is not enabled.
 */
UVFIO_PUBLIC int uvfio_intx_unmask(struct uvfio_device *dev);

/* ---- the function ---- */

/**
 * uvfio_bus_master() - Let a device be a bus master, or not.
 * @dev: the device.
 * @on: true: it makes DMA and sends messages; false, as after a reset: it does not.
 *
 * Sets or clears COMMAND.Bus Master Enable (PCIe 6.0, 7.5.1.1.3).
 *
 * Context: any thread.
 * Return: 0; -EIO: config space cannot be written.
 */
UVFIO_PUBLIC int uvfio_bus_master(struct uvfio_device *dev, bool on);

/**
 * uvfio_reset() - Reset a device (VFIO_DEVICE_RESET).
 * @dev: the device.
 *
 * A function level reset (PCIe 6.0, 6.6.2), or what the device has in its place.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: the device has no way to be reset.
 */
UVFIO_PUBLIC int uvfio_reset(struct uvfio_device *dev);

/**
 * uvfio_dma_faults() - How many accesses of memory by a device the IOMMU stopped.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: the number since uvfio_open(). The log has a line for each, up to a rate. 0 for a real
 * device, whose faults are in the kernel's log.
 */
UVFIO_PUBLIC uint64_t uvfio_dma_faults(const struct uvfio_device *dev);

/* ---- the log ---- */

/**
 * uvfio_log_to() - Choose where the log of the process goes, and how much of it.
 * @fd: a descriptor; the program keeps it open. It is 2 at first.
 * @level: -1: nothing, 0: errors, 1: and warnings, 2: and information, 3: and what helps to debug.
 *
 * Context: any thread; for all machines of the process.
 */
UVFIO_PUBLIC void uvfio_log_to(int fd, int level);

#ifdef __cplusplus
}
#endif
#endif
