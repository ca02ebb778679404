/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/vmm.h: assign VFIO devices to a virtual machine.
 *
 * A virtual machine monitor has a guest: its memory, processors that trap, an interrupt controller
 * (KVM's or its own). This library gives the guest PCI functions: software devices of uvfio's, or
 * real ones behind the kernel's VFIO, by the same calls. The monitor places them on its PCI bus and
 * forwards accesses of config space, memory and ports; the library keeps the guest's view of the
 * function, places BARs, maps them, lets DMA reach the guest's memory, and brings interrupts in.
 *
 * The least that a monitor needs: uvfio_vm_new(), uvfio_vm_use_kvm() or uvfio_vm_use_irq_ops(),
 * uvfio_vm_memory_add(), uvfio_vm_assign(), uvfio_vm_config_read() and its write, uvfio_vm_mmio(),
 * uvfio_vm_pio(), uvfio_vm_start_thread(), uvfio_vm_reset(), uvfio_vm_free().
 *
 * The guest is not trusted: whatever it writes, in whatever order, the monitor and other devices
 * are as they were.
 *
 * Threads: all functions may be called by any thread, at the same time, except that
 * uvfio_vm_unassign() and uvfio_vm_free() are the last use of their argument that begins.
 * Callbacks come from the thread that runs uvfio_vm_dispatch(), or from inside of a call about the
 * same device. A callback must not call functions about the device that it is for, unless it says
 * that it may.
 *
 * Errors: 0 or a count, or -errno; uvfio_vm_strerror() has the sentence.
 *
 * Faults: the first uvfio_vm_new() installs handlers for SIGSEGV and SIGBUS, by which a model that
 * meets memory of the guest which is gone is told so. A monitor that installs its own later passes
 * on what is not its own, and its threads, also those of processors, do not block these signals:
 * else such a fault takes the monitor down.
 *
 * Fork: a child does nothing with its parent's guests; it can make its own.
 */
#ifndef UVFIO_VMM_H
#define UVFIO_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UVFIO_PUBLIC
/** define UVFIO_PUBLIC - A name that a library shows, whatever -fvisibility says. */
#define UVFIO_PUBLIC __attribute__((visibility("default")))
#endif

/** struct uvfio_vm - A guest: its memory, its devices, how interrupts reach it. Opaque. */
struct uvfio_vm;

/** struct uvfio_vm_device - A function that is assigned to a guest. Opaque. */
struct uvfio_vm_device;

/** struct kvm_irq_routing_entry - A route of KVM's, of <linux/kvm.h>. */
struct kvm_irq_routing_entry;

/** define UVFIO_VM_UNMAPPED - No guest address: the BAR is not there. */
#define UVFIO_VM_UNMAPPED UINT64_MAX

/** define UVFIO_VM_ROM - The number of the expansion ROM among the BARs. */
#define UVFIO_VM_ROM 6u

/* ---- what a monitor gives ---- */

/**
 * struct uvfio_vm_ops - What the library asks of a monitor. Each may be NULL.
 * @bar_map: The guest's accesses to [@gpa, @gpa + @size), of BAR @bar, shall reach @host without a
 *	trap (a memory slot of KVM). Return 0; -errno: the range stays trapped. NULL: with
 *	uvfio_vm_use_kvm() the library makes slots itself, else all BARs are trapped.
 * @bar_unmap: Undo bar_map. When it returns no processor of the guest reaches the memory. It is
 *	there if bar_map is.
 * @bar_moved: BAR @bar, of @size bytes, is at @gpa (@io: a port) from now on; UVFIO_VM_UNMAPPED:
 *	it is off. For a monitor that dispatches by tables of its own and calls uvfio_vm_bar_read();
 *	others call uvfio_vm_mmio() and uvfio_vm_pio().
 * @error: The device reported an error that cannot be corrected (VFIO's ERR). May call any function
 *	about @dev.
 * @unplug_requested: The owner of the device wants it back: have the guest give it up, then call
 *	uvfio_vm_unassign(). Once for each device. May call any function about @dev, also that.
 *
 * The first three may come from inside of a call about another device, since a BAR has to give way
 * to others. They may call functions about memory, and none about any device.
 *
 * The last two come from the thread that runs uvfio_vm_dispatch(), maybe before the
 * uvfio_vm_assign() of the device has returned.
 */
struct uvfio_vm_ops {
	int (*bar_map)(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		       uint64_t size, void *host, bool readonly);
	void (*bar_unmap)(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
			  uint64_t size);
	void (*bar_moved)(void *ctx, struct uvfio_vm_device *dev, unsigned bar, bool io,
			  uint64_t gpa, uint64_t size);
	void (*error)(void *ctx, struct uvfio_vm_device *dev);
	void (*unplug_requested)(void *ctx, struct uvfio_vm_device *dev);
};

/**
 * struct uvfio_vm_irq_ops - How interrupts reach the guest, by a monitor's own means.
 * @intx: Pull the line of @pin (0: INTA) of @dev to @level. Lines are shared: the level of a line
 *	is the OR of all devices that have it. Required.
 * @msi: Deliver a message: @data written to @address. Required.
 * @exact_eoi: uvfio_vm_intx_eoi() will be called at each end of interrupt of a line that has a GSI
 *	(@intx_gsi). BARs need not be trapped then while an interrupt is pending.
 * @intx_gsi: Return the GSI where the pin ends now; -1: nowhere. With exact_eoi, or for a bypass.
 * @route_add: Return a new GSI that delivers this message, effective with the next commit, or
 *	-errno: this vector's messages go through @msi.
 * @route_update: Have @gsi deliver this message from the next commit on. Return 0 or -errno.
 * @route_del: Give @gsi back. No irqfd has it any more.
 * @route_commit: Make all changes since the last commit effective. Return 0 or -errno.
 * @irqfd: Have each event of @eventfd raise @gsi (@assign), or no more: when that returns no
 *	interrupt of it comes. @resamplefd: of a level interrupt: signalled when the guest ended it;
 *	-1: of an edge. Return 0; -EINVAL: it cannot resample: INTx goes through @intx; or -errno.
 *
 * The last five let interrupts pass without the monitor: all of them, and @intx_gsi, or none.
 */
struct uvfio_vm_irq_ops {
	void (*intx)(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level);
	void (*msi)(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data);
	bool exact_eoi;
	int (*intx_gsi)(void *ctx, struct uvfio_vm_device *dev, unsigned pin);
	int (*route_add)(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data);
	int (*route_update)(void *ctx, int gsi, uint64_t address, uint32_t data);
	void (*route_del)(void *ctx, int gsi);
	int (*route_commit)(void *ctx);
	int (*irqfd)(void *ctx, int eventfd, int gsi, int resamplefd, bool assign);
};

/* ---- a guest ---- */

/**
 * uvfio_vm_new() - Make a guest without memory and devices.
 * @ops: what the monitor does; it is copied. NULL: nothing.
 * @ctx: the first argument of all of them.
 *
 * Context: any thread.
 * Return: the guest, to be freed with uvfio_vm_free(); NULL: bar_map without bar_unmap, no memory,
 * or no descriptor.
 */
UVFIO_PUBLIC struct uvfio_vm *uvfio_vm_new(const struct uvfio_vm_ops *ops, void *ctx);

/**
 * uvfio_vm_free() - Unassign every device, forget the memory, free the guest.
 * @vm: the guest; NULL: nothing happens.
 *
 * No callback comes after it. A uvfio_vm_dispatch() of another thread comes back first.
 *
 * Context: any thread but one in a callback; the last use of @vm and its devices.
 */
UVFIO_PUBLIC void uvfio_vm_free(struct uvfio_vm *vm);

/**
 * uvfio_vm_strerror() - The sentence that explains why the last call failed.
 * @vm: the guest of the call; NULL: uvfio_vm_new() failed.
 *
 * Context: any thread: each has the errors of its own calls.
 * Return: the sentence, never NULL. It is good until the thread's next call that fails.
 */
UVFIO_PUBLIC const char *uvfio_vm_strerror(const struct uvfio_vm *vm);

/* ---- interrupts ---- */

/**
 * uvfio_vm_use_irq_ops() - Have interrupts go through functions of the monitor.
 * @vm: the guest, before its first device.
 * @ops: the functions; they are copied.
 * @ctx: the first argument of all of them.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: a function is missing; -EBUSY: it has a device, or a way for interrupts.
 */
UVFIO_PUBLIC int uvfio_vm_use_irq_ops(struct uvfio_vm *vm, const struct uvfio_vm_irq_ops *ops,
				      void *ctx);

/**
 * struct uvfio_vm_kvm - A guest of KVM's, which has an interrupt controller in the kernel.
 * @vm_fd: The descriptor of KVM_CREATE_VM. Stays the monitor's, and open until uvfio_vm_free().
 * @gsi_base: The first GSI for messages; 0: 24, behind the pins of an IO-APIC.
 * @kvm_slot: The first memory slot that the library may use for BARs.
 * @kvm_slots: How many it may; 0: none, BARs are trapped or mapped by bar_map.
 * @table: For a monitor that sets the routing table itself: called with all routes of the library
 *	when they changed. Return 0 or -errno. NULL: the library sets the table; it begins with the
 *	routes of a new irqchip of the kernel's, and the monitor tells others by
 *	uvfio_vm_kvm_route().
 * @intx_gsi: Return the GSI where pin @pin (0: INTA) of @dev ends now; -1: nowhere. Required.
 */
struct uvfio_vm_kvm {
	int vm_fd;
	unsigned gsi_base;
	unsigned kvm_slot, kvm_slots;
	int (*table)(void *ctx, const struct kvm_irq_routing_entry *e, unsigned n);
	int (*intx_gsi)(void *ctx, struct uvfio_vm_device *dev, unsigned pin);
};

/**
 * uvfio_vm_use_kvm() - Have interrupts reach a guest of KVM's without the monitor.
 * @vm: the guest, before its first device.
 * @kvm: the guest as KVM has it; it is copied.
 * @ctx: the first argument of its functions.
 *
 * Messages and, where the irqchip is whole in the kernel, INTx go from the device to the guest by
 * irqfds. BARs that the host maps become memory slots.
 *
 * Context: any thread.
 * Return: 0; -ENOSYS: this KVM has no irqfds or routes: use uvfio_vm_use_irq_ops(); -EINVAL;
 * -EBUSY: as uvfio_vm_use_irq_ops(); -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_vm_use_kvm(struct uvfio_vm *vm, const struct uvfio_vm_kvm *kvm, void *ctx);

/**
 * uvfio_vm_kvm_route() - Tell one of the monitor's own routes, where the library sets the table.
 * @vm: the guest.
 * @e: the route (of <linux/kvm.h>). It takes the place of those that its GSI had at first, and is
 *	beside those that were told before for the same GSI and another irqchip.
 *
 * It is effective at once.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: the monitor sets the table, or the GSI is the library's; -ENOMEM; or what
 * KVM answered.
 */
UVFIO_PUBLIC int uvfio_vm_kvm_route(struct uvfio_vm *vm, const struct kvm_irq_routing_entry *e);

/**
 * uvfio_vm_intx_route_changed() - Say that intx_gsi() may answer otherwise than it did.
 * @vm: the guest.
 *
 * An interrupt that is pending arrives where the line leads now.
 *
 * Context: any thread, with no lock that intx_gsi() takes.
 */
UVFIO_PUBLIC void uvfio_vm_intx_route_changed(struct uvfio_vm *vm);

/**
 * uvfio_vm_intx_eoi() - The guest ended the interrupt of a line.
 * @vm: the guest.
 * @gsi: the line (KVM_EXIT_IOAPIC_EOI's vector, looked up by the monitor; or its own controller's).
 *
 * Every device whose interrupt is pending there lowers its line and may interrupt again.
 *
 * Context: any thread, with no lock that intx() takes.
 */
UVFIO_PUBLIC void uvfio_vm_intx_eoi(struct uvfio_vm *vm, int gsi);

/**
 * uvfio_vm_fd() - Return a descriptor that is readable when uvfio_vm_dispatch() has work.
 * @vm: the guest.
 *
 * Context: any thread.
 * Return: the descriptor, which is the library's.
 */
UVFIO_PUBLIC int uvfio_vm_fd(struct uvfio_vm *vm);

/**
 * uvfio_vm_dispatch() - Do what there is to do: interrupts that do not bypass the monitor, timers,
 * errors and requests of devices.
 * @vm: the guest.
 * @timeout_ms: how long to wait for the first event; -1: for ever.
 *
 * Context: one thread at a time.
 * Return: how many events there were; -EBUSY: another thread does it; or -errno.
 */
UVFIO_PUBLIC int uvfio_vm_dispatch(struct uvfio_vm *vm, int timeout_ms);

/**
 * uvfio_vm_start_thread() - Have a thread of the library call uvfio_vm_dispatch() all the time.
 * @vm: the guest.
 *
 * The thread ends with uvfio_vm_free().
 *
 * Context: any thread.
 * Return: 0; -EBUSY: there is one; -EAGAIN, -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_vm_start_thread(struct uvfio_vm *vm);

/**
 * uvfio_vm_pause() - Say that the guest does not run, or runs again.
 * @vm: the guest.
 * @paused: it does not run: timers that count the guest's time stand still.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_vm_pause(struct uvfio_vm *vm, bool paused);

/* ---- memory ---- */

/** define UVFIO_VM_MEM_READONLY - The guest's ROM: devices may read it. */
#define UVFIO_VM_MEM_READONLY 1u
/** define UVFIO_VM_MEM_DISCARDABLE - Nothing is there until uvfio_vm_memory_populate(). */
#define UVFIO_VM_MEM_DISCARDABLE 2u
/** define UVFIO_VM_MEM_PEER - A BAR of another device: that it cannot be mapped is a warning. */
#define UVFIO_VM_MEM_PEER 4u

/**
 * struct uvfio_vm_memory - A piece of the guest's memory.
 * @gpa: The guest's physical address, which is the address for DMA, too.
 * @size: Bytes. What is not a whole page at either end is left out.
 * @host: The memory in this process. NULL: it has none, or must not be touched: it is not mapped.
 * @fd: The same memory as a file; -1: none. Devices in other processes need it. The library makes a
 *	descriptor of its own of it.
 * @fd_offset: Where @host is in the file.
 * @granularity: Of UVFIO_VM_MEM_DISCARDABLE: bytes that come and go together, a power of two.
 * @flags: UVFIO_VM_MEM_*.
 */
struct uvfio_vm_memory {
	uint64_t gpa, size;
	void *host;
	int fd;
	uint64_t fd_offset;
	uint64_t granularity;
	unsigned flags;
};

/**
 * uvfio_vm_memory_begin() - Begin changes of the memory that take effect together.
 * @vm: the guest.
 *
 * Until uvfio_vm_memory_commit(), which must follow in the same thread, changes are collected.
 * Calls may be nested. In between the thread calls no function about devices.
 *
 * Context: any thread, also a callback, as for all functions about memory; others' changes wait.
 */
UVFIO_PUBLIC void uvfio_vm_memory_begin(struct uvfio_vm *vm);

/**
 * uvfio_vm_memory_commit() - Make the changes since uvfio_vm_memory_begin(): all removals, then all
 * additions.
 * @vm: the guest.
 *
 * Context: the thread that began.
 * Return: 0, or the first error, as of uvfio_vm_memory_add(): what failed is not there, all else
 * is; -EINVAL: nothing was begun.
 */
UVFIO_PUBLIC int uvfio_vm_memory_commit(struct uvfio_vm *vm);

/**
 * uvfio_vm_memory_add() - Say that the guest has memory, which devices may reach from now on.
 * @vm: the guest.
 * @m: the memory; the struct is copied. The memory stays until it was removed.
 *
 * The order that is safe: memory is there, this call, the guest can reach it.
 *
 * Context: any thread.
 * Return: 0; -EEXIST: it overlaps other memory; -EINVAL: @gpa and @host lie differently in a page,
 * or it is outside of uvfio_vm_iova_ranges(); -ENOMEM: over the limit of locked memory (the
 * sentence says how much is wanted); -ENOSPC: a device has no mapping left; -EFAULT: the memory is
 * not there, or not with the rights; -EBADF: @fd. Between begin and commit, commit answers for the
 * devices and for what overlaps.
 */
UVFIO_PUBLIC int uvfio_vm_memory_add(struct uvfio_vm *vm, const struct uvfio_vm_memory *m);

/**
 * uvfio_vm_memory_remove() - Take memory away that was added.
 * @vm: the guest.
 * @gpa: where it begins, as it was added.
 * @size: its size, as it was added.
 *
 * The order that is safe: the guest cannot reach it, this call, the memory is freed. When this
 * returns, or commit does, no device reaches it.
 *
 * Context: any thread.
 * Return: 0; -ENOENT: there is none like that.
 */
UVFIO_PUBLIC int uvfio_vm_memory_remove(struct uvfio_vm *vm, uint64_t gpa, uint64_t size);

/**
 * uvfio_vm_memory_populate() - Say that a part of discardable memory is there from now on.
 * @vm: the guest.
 * @gpa: where it begins; a multiple of the granularity behind the memory's begin.
 * @size: bytes, a multiple of the granularity.
 *
 * Each granule becomes a mapping of its own. What is populated already stays.
 *
 * Context: any thread, not between begin and commit.
 * Return: 0, or as uvfio_vm_memory_add(), and nothing of it is mapped that was not; -ENOENT: no
 * such memory.
 */
UVFIO_PUBLIC int uvfio_vm_memory_populate(struct uvfio_vm *vm, uint64_t gpa, uint64_t size);

/**
 * uvfio_vm_memory_discard() - Say that a part of discardable memory goes.
 * @vm: the guest.
 * @gpa: as of uvfio_vm_memory_populate().
 * @size: the same.
 *
 * When it returns no device reaches the part.
 *
 * Context: any thread, not between begin and commit.
 * Return: 0, also if it was not there; -EINVAL: it is no multiple; -ENOENT: no such memory.
 */
UVFIO_PUBLIC int uvfio_vm_memory_discard(struct uvfio_vm *vm, uint64_t gpa, uint64_t size);

/**
 * uvfio_vm_may_discard() - May memory be dropped without a word, as a balloon does?
 * @vm: the guest.
 *
 * A device whose IOMMU pins pages would keep the old ones.
 *
 * Context: any thread.
 * Return: true: it may; false: the guest has such a device.
 */
UVFIO_PUBLIC bool uvfio_vm_may_discard(const struct uvfio_vm *vm);

/**
 * struct uvfio_vm_range - Addresses.
 * @first: The first one.
 * @last: The last one, inclusive.
 */
struct uvfio_vm_range {
	uint64_t first, last;
};

/**
 * uvfio_vm_iova_ranges() - Tell where memory may lie for all devices that the guest has so far.
 * @vm: the guest.
 * @r: gets the first @n ranges, by address.
 * @n: how many it has room for.
 *
 * Context: any thread.
 * Return: how many there are.
 */
UVFIO_PUBLIC unsigned uvfio_vm_iova_ranges(const struct uvfio_vm *vm, struct uvfio_vm_range *r,
					   unsigned n);

/** define UVFIO_VM_READ - A right of uvfio_vm_dma_map(): the device may read. */
#define UVFIO_VM_READ 1u
/** define UVFIO_VM_WRITE - A right of uvfio_vm_dma_map(): the device may write. */
#define UVFIO_VM_WRITE 2u

/**
 * uvfio_vm_dma_map() - For a monitor with an IOMMU of its own: let a device reach memory.
 * @dev: a device that was assigned with iommu=vmm: it has an address space of its own, in which
 *	nothing is until it is mapped here.
 * @iova: the device's address; a multiple of a page.
 * @gpa: the guest's memory, which was added; a multiple of a page.
 * @size: bytes, a multiple of a page.
 * @prot: UVFIO_VM_READ, UVFIO_VM_WRITE.
 *
 * Memory that is removed or discarded goes here, too. Read-only memory stays so. Devices of one
 * group share the space.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: not such a device, a wrong number, or nothing but writes of read-only memory;
 * -ENOENT: no such memory; -EEXIST: something is mapped there; -ENODEV: the device is being
 * unassigned; -ENOMEM, -ENOSPC, -EFAULT as uvfio_vm_memory_add().
 */
UVFIO_PUBLIC int uvfio_vm_dma_map(struct uvfio_vm_device *dev, uint64_t iova, uint64_t gpa,
				  uint64_t size, unsigned prot);

/**
 * uvfio_vm_dma_unmap() - Undo mappings of uvfio_vm_dma_map().
 * @dev: the device.
 * @iova: where it begins.
 * @size: bytes; all mappings that lie in it go.
 *
 * Context: any thread.
 * Return: how many bytes were unmapped; -EINVAL: it would cut a mapping, or as
 * uvfio_vm_dma_map().
 */
UVFIO_PUBLIC int64_t uvfio_vm_dma_unmap(struct uvfio_vm_device *dev, uint64_t iova, uint64_t size);

/* ---- devices ---- */

/**
 * uvfio_vm_assign() - Give the guest a device.
 * @vm: the guest; it has a way for interrupts.
 * @spec: "0000:01:00.0": a real device, bound to vfio-pci. "nvme,image=disk.img": a model of
 *	uvfio's, as for `uvfio run --device`; its address is 0000:01:00.0, 0000:02:00.0, ..., or by
 *	addr= another one that no real device of the guest has. "fd:5,0000:01:00.0": the same as
 *	the first, whose group descriptor 5 is; "cdev:5": whose character device. The descriptors
 *	stay the caller's. "vfio-user:/run/x.sock": the device of a server of vfio-user, which
 *	reaches the guest's memory by the descriptors of struct uvfio_vm_memory; what has none it
 *	reaches by a file of this process's whole address space, or by messages. Accesses of the
 *	guest wait for a server that is started again (uvfio serve --state), up to 30 seconds.
 * @options: words with commas between; NULL: none:
 *	rom=on|off|FILE (on); mmap=on|off (on): are BARs mapped; bars=-2-4: never these;
 *	pba=on|off (on): trap the page of the MSI-X pending bits; intx_timeout=MS (1100; 0: none):
 *	so long after the last INTx BARs are mapped again; io=on|off (on): does the guest see I/O
 *	BARs; msix=keep|barN (keep): where the MSI-X table is shown;
 *	bus=port|root|pci|conventional (port): what it hangs on in the guest: a port of PCI Express,
 *	the root bus, a conventional bus, or one of a machine that has no PCI Express at all;
 *	vendor=, device=, subvendor=, subdevice=: ids to show; multifunction=on|off (off);
 *	hide=0x10+0xe: extended capabilities not to show;
 *	iommu=guest|vmm (guest): DMA addresses are the guest's physical ones, or of
 *	uvfio_vm_dma_map(); vf_token=UUID.
 * @out: gets the device.
 *
 * INTx is on; BARs have no addresses; memory, I/O and bus mastering are off.
 *
 * Context: any thread.
 * Return: 0; -ENODEV: there is no such device, or it is not bound to vfio-pci; -EBUSY: it is
 * assigned already, or in use; -EPERM: another device of its group is in other hands; -EACCES: the
 * token; -ENOTSUP: it is no PCI endpoint; -EIO: it does not answer; of a socket also -ENOENT,
 * -ECONNREFUSED, -EACCES: nobody listens there; -ETIMEDOUT, -EPROTO: not as a server of vfio-user
 * does; -EINVAL: no way for interrupts,
 * options, or the guest has memory where the device cannot reach it; or another error of
 * uvfio_vm_memory_add(). Nothing is left of a device that failed.
 */
UVFIO_PUBLIC int uvfio_vm_assign(struct uvfio_vm *vm, const char *spec, const char *options,
				 struct uvfio_vm_device **out);

/**
 * uvfio_vm_unassign() - Take a device away from the guest.
 * @dev: the device; NULL: nothing happens.
 *
 * Interrupts, mappings and DMA end before it returns; accesses that come meanwhile read all ones.
 *
 * Context: any thread, also unplug_requested() and error() of the device; no other call about @dev
 * may begin any more.
 */
UVFIO_PUBLIC void uvfio_vm_unassign(struct uvfio_vm_device *dev);

/**
 * uvfio_vm_device_name() - The address of a device.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: "0000:01:00.0"; good until the device is unassigned.
 */
UVFIO_PUBLIC const char *uvfio_vm_device_name(const struct uvfio_vm_device *dev);

/**
 * uvfio_vm_device_set_priv() - Keep a pointer of the monitor's with a device.
 * @dev: the device.
 * @priv: the pointer.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_vm_device_set_priv(struct uvfio_vm_device *dev, void *priv);

/**
 * uvfio_vm_device_priv() - The pointer of the monitor's that is with a device.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: the one that was set last; NULL at first.
 */
UVFIO_PUBLIC void *uvfio_vm_device_priv(const struct uvfio_vm_device *dev);

/**
 * uvfio_vm_config_read() - The guest reads config space.
 * @dev: the device.
 * @offset: up to 255 or 4095, as the device has it.
 * @size: 1, 2 or 4, and @offset is a multiple of it.
 *
 * Context: any thread.
 * Return: the value; all ones where nothing is, and for other sizes.
 */
UVFIO_PUBLIC uint32_t uvfio_vm_config_read(struct uvfio_vm_device *dev, unsigned offset,
					   unsigned size);

/**
 * uvfio_vm_config_write() - The guest writes config space; what follows is done when it returns:
 * BARs are where they shall be, interrupts are set up.
 * @dev: the device.
 * @offset: as of uvfio_vm_config_read().
 * @size: the same.
 * @value: the value.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_vm_config_write(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
					uint32_t value);

/**
 * struct uvfio_vm_bar - A BAR, as the guest has it.
 * @index: 0 to 5; UVFIO_VM_ROM.
 * @size: Bytes; 0: absent, or the upper half of a 64-bit BAR.
 * @io: It is of ports.
 * @is64: Its address has 64 bits.
 * @prefetch: It is prefetchable.
 * @gpa: Where it is now; UVFIO_VM_UNMAPPED: nowhere.
 */
struct uvfio_vm_bar {
	unsigned index;
	uint64_t size;
	bool io, is64, prefetch;
	uint64_t gpa;
};

/**
 * uvfio_vm_bar_info() - Describe a BAR.
 * @dev: the device.
 * @bar: 0 to UVFIO_VM_ROM.
 * @out: gets the description.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: there is no such number.
 */
UVFIO_PUBLIC int uvfio_vm_bar_info(struct uvfio_vm_device *dev, unsigned bar,
				   struct uvfio_vm_bar *out);

/**
 * uvfio_vm_bar_read() - The guest reads a BAR, by a trap.
 * @dev: the device.
 * @bar: 0 to UVFIO_VM_ROM.
 * @offset: bytes from its begin.
 * @size: 1, 2, 4 or 8.
 *
 * Context: any thread; another one's access of a slow register does not hold it up.
 * Return: the value; all ones where nothing answers.
 */
UVFIO_PUBLIC uint64_t uvfio_vm_bar_read(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset,
					unsigned size);

/**
 * uvfio_vm_bar_write() - The guest writes a BAR, by a trap.
 * @dev: the device.
 * @bar: as of uvfio_vm_bar_read().
 * @offset: the same.
 * @size: the same.
 * @value: the value; dropped where nothing answers.
 *
 * Context: as uvfio_vm_bar_read().
 */
UVFIO_PUBLIC void uvfio_vm_bar_write(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset,
				     unsigned size, uint64_t value);

/**
 * uvfio_vm_mmio() - The guest accesses memory, by a trap (KVM_EXIT_MMIO).
 * @vm: the guest.
 * @gpa: the address.
 * @size: 1, 2, 4 or 8.
 * @value: what it writes, or gets what it reads.
 * @write: it writes.
 *
 * Context: as uvfio_vm_bar_read().
 * Return: 0; -ENOENT: no BAR of any device is there.
 */
UVFIO_PUBLIC int uvfio_vm_mmio(struct uvfio_vm *vm, uint64_t gpa, unsigned size, uint64_t *value,
			       bool write);

/**
 * uvfio_vm_pio() - The guest accesses a port, by a trap (KVM_EXIT_IO).
 * @vm: the guest.
 * @port: the port.
 * @size: 1, 2 or 4.
 * @value: as of uvfio_vm_mmio().
 * @write: the same.
 *
 * Context: as uvfio_vm_bar_read().
 * Return: 0; -ENOENT: no BAR of any device is there.
 */
UVFIO_PUBLIC int uvfio_vm_pio(struct uvfio_vm *vm, uint16_t port, unsigned size, uint32_t *value,
			      bool write);

/**
 * uvfio_vm_fault() - A processor of the guest met memory that is not there (KVM_RUN: EFAULT).
 * @vm: the guest.
 *
 * A BAR that is mapped goes away when somebody resets the device without a word. What is dead is
 * trapped then.
 *
 * Context: any thread.
 * Return: 1: it was that, let the guest go on; 0: it was not.
 */
UVFIO_PUBLIC int uvfio_vm_fault(struct uvfio_vm *vm);

/* ---- reset ---- */

/**
 * uvfio_vm_reset_device() - Reset one device, as a reset of the bus above it does.
 * @dev: the device.
 *
 * Afterwards DMA is off, and the guest sees config space, BARs and interrupts as after power-on,
 * also where the device could not be reset and has other registers as they were.
 *
 * Context: any thread.
 * Return: 0; -ENOTSUP: it cannot be reset alone; -EINVAL: only together with other devices of the
 * guest (uvfio_vm_reset()); -EPERM: only together with a device that is not the guest's; -ENODEV:
 * it is being unassigned; or what the device answered.
 */
UVFIO_PUBLIC int uvfio_vm_reset_device(struct uvfio_vm_device *dev);

/**
 * uvfio_vm_reset() - The guest's machine is reset: reset all devices, together where it must be.
 * @vm: the guest, which does not run.
 *
 * Context: any thread.
 * Return: how many devices could not be reset.
 */
UVFIO_PUBLIC int uvfio_vm_reset(struct uvfio_vm *vm);

/**
 * uvfio_vm_reset_kind() - Tell what uvfio_vm_reset_device() does.
 * @dev: the device.
 *
 * Context: any thread.
 * Return: "flr", "bus", "pm", "quirk" or "none".
 */
UVFIO_PUBLIC const char *uvfio_vm_reset_kind(const struct uvfio_vm_device *dev);

/**
 * uvfio_vm_can_migrate() - Can the guest move to another machine with this device?
 * @dev: the device.
 *
 * Context: any thread.
 * Return: -ENOTSUP: it cannot; uvfio_vm_strerror() says why.
 */
UVFIO_PUBLIC int uvfio_vm_can_migrate(struct uvfio_vm_device *dev);

/**
 * uvfio_vm_device_state() - Describe a device in one line, for a monitor's console.
 * @dev: the device.
 * @buf: gets the line, cut if it is longer: "INTX kvm gsi 21, pending; bar0 0xfe000000 direct
 *	0-0x1fff trapped 0x2000-0x3fff".
 * @size: of the buffer.
 *
 * Context: any thread.
 * Return: the length of the whole line, which is "leaving" while it is being unassigned; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_vm_device_state(struct uvfio_vm_device *dev, char *buf, size_t size);

/* ---- quirks ---- */

/** define UVFIO_VM_ANY_ID - Of a quirk: any vendor, any device. */
#define UVFIO_VM_ANY_ID 0xffffu

/**
 * struct uvfio_vm_quirk - What one kind of device needs besides.
 * @vendor: Its vendor id, or UVFIO_VM_ANY_ID.
 * @device: Its device id, or UVFIO_VM_ANY_ID.
 * @class_mask: Bits of the class code (24 bits) that must be as in @class_value; 0: any class.
 * @class_value: See @class_mask.
 * @name: For messages.
 * @setup: Called when such a device is assigned, after its config space was read. May call the
 *	functions below. Return 0; -errno: the device is not assigned. NULL: nothing.
 * @teardown: Called when it is unassigned. NULL: nothing.
 * @reset: Resets it. Return 0; -errno: another way is tried. NULL: it has no way of its own.
 */
struct uvfio_vm_quirk {
	uint16_t vendor, device;
	uint32_t class_mask, class_value;
	const char *name;
	int (*setup)(struct uvfio_vm_device *dev);
	void (*teardown)(struct uvfio_vm_device *dev);
	int (*reset)(struct uvfio_vm_device *dev);
};

/**
 * uvfio_vm_quirk_register() - Add a quirk, for devices that are assigned from now on.
 * @q: the quirk; it stays for as long as the process.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: without a name; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_vm_quirk_register(const struct uvfio_vm_quirk *q);

/**
 * uvfio_vm_config_emulate() - Of a quirk's setup: answer bits of config space from a copy.
 * @dev: the device.
 * @offset: where, a multiple of @size.
 * @size: 1, 2 or 4.
 * @value: the bits in the copy.
 * @emulated: these are answered from the copy.
 * @writable: of these, the guest may change those.
 *
 * Context: setup() of a quirk.
 * Return: 0; -EINVAL: outside of config space.
 */
UVFIO_PUBLIC int uvfio_vm_config_emulate(struct uvfio_vm_device *dev, unsigned offset,
					 unsigned size, uint32_t value, uint32_t emulated,
					 uint32_t writable);

/**
 * uvfio_vm_quirk_access() - Of a quirk: access the device itself, past what the guest sees of it.
 * @dev: the device.
 * @region: 0 to 5: a BAR; 6: the ROM; 7: config space.
 * @offset: bytes from its begin.
 * @buf: what is written, or gets what is read, as it lies in the device (little-endian).
 * @size: bytes.
 * @write: it is a write.
 *
 * BARs answer while the guest has decoding on.
 *
 * Context: functions of a quirk, also those of its windows.
 * Return: 0; -EINVAL: there is no such region; -EIO: the device does not answer there.
 */
UVFIO_PUBLIC int uvfio_vm_quirk_access(struct uvfio_vm_device *dev, unsigned region,
				       uint64_t offset, void *buf, size_t size, bool write);

/**
 * uvfio_vm_bar_window() - Of a quirk's setup: have functions answer for a part of a BAR.
 * @dev: the device.
 * @bar: 0 to 5.
 * @offset: where the part begins in the BAR.
 * @size: bytes. The pages around it are trapped.
 * @read: gets the offset in the part, and a size of 1, 2, 4 or 8. NULL: the device answers.
 * @write: the same. NULL: the device gets it.
 *
 * Context: setup() of a quirk. The functions are called by any thread, at the same time.
 * Return: 0; -EINVAL: outside of the BAR, or over another window; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_vm_bar_window(
	struct uvfio_vm_device *dev, unsigned bar, uint64_t offset, uint64_t size,
	uint64_t (*read)(struct uvfio_vm_device *dev, uint64_t offset, unsigned size),
	void (*write)(struct uvfio_vm_device *dev, uint64_t offset, unsigned size, uint64_t value));

/**
 * uvfio_vm_config_mirror() - Of a quirk's setup: a part of a BAR shows config space, which must be
 * the guest's.
 * @dev: the device.
 * @bar: 0 to 5.
 * @offset: where config space begins in the BAR; a multiple of 4.
 * @size: bytes, a multiple of 4.
 *
 * Context: setup() of a quirk.
 * Return: as uvfio_vm_bar_window(); -EINVAL also for a number that is no such multiple.
 */
UVFIO_PUBLIC int uvfio_vm_config_mirror(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset,
					uint64_t size);

/**
 * uvfio_vm_config_window() - Of a quirk's setup: two registers of a BAR reach config space: while
 * (address register & @mask) == @match, data is of config space at address & ~@mask.
 * @dev: the device.
 * @bar: 0 to 5.
 * @address_reg: the offset of the address register, of 4 bytes; a multiple of 4.
 * @data_reg: the offset of the data register, the same.
 * @match: see above; no bits but those of @mask.
 * @mask: see above; of 32 bits.
 *
 * Context: setup() of a quirk.
 * Return: as uvfio_vm_bar_window(); -EINVAL also for numbers other than these.
 */
UVFIO_PUBLIC int uvfio_vm_config_window(struct uvfio_vm_device *dev, unsigned bar,
					uint64_t address_reg, uint64_t data_reg, uint64_t match,
					uint64_t mask);

#ifdef __cplusplus
}
#endif
#endif
