/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/kvm_assign.h: assign devices the way KVM itself did before VFIO.
 *
 * At that time a virtual machine monitor gave KVM a PCI device by its address and then told it, by
 * ioctls, which interrupt of the host's becomes which one of the guest's (ASSIGN_PCI_DEVICE,
 * ASSIGN_DEV_IRQ, SET_MSIX_NR and their kin). Here are these requests as functions, over
 * uvfio/vmm.h, with the rules and errors that they had: for monitors that still think in them, and
 * for the record. A new monitor uses uvfio/vmm.h.
 *
 * What is otherwise than it was:
 *
 * - There is always an IOMMU, as KVM asked for later on; the guest's memory is what
 *   uvfio_vm_memory_add() was told of, by uvfio_kvm_assign_vm().
 * - Host and guest have the same kind of interrupt: VFIO knows no other way. MSI of the host that
 *   is a pin of the guest, or the other way, is refused with -EINVAL.
 * - A number of MSI-X entries that was refused is not set; a message of an entry that has no GSI is
 *   dropped, and not taken for another entry's.
 * - The oldest form, ASSIGN_IRQ, which KVM refused already (EOPNOTSUPP), is not there.
 *
 * BARs and config space are the monitor's affair, by the functions of uvfio/vmm.h on
 * uvfio_kvm_assign_device(). It keeps to itself what the guest writes to the MSI and MSI-X
 * capabilities and to the MSI-X table: which messages there are is told by the functions here, and
 * they write both.
 *
 * Threads: all functions may be called by any thread, at the same time, except that
 * uvfio_kvm_assign_free() is the last one.
 *
 * Errors: -errno, with a sentence of uvfio_vm_strerror() for uvfio_kvm_assign_vm().
 */
#ifndef UVFIO_KVM_ASSIGN_H
#define UVFIO_KVM_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm.h"

#ifdef __cplusplus
extern "C" {
#endif

/** struct uvfio_kvm_assign - A guest and the devices that are assigned to it. Opaque. */
struct uvfio_kvm_assign;

/* The numbers are those of <linux/kvm.h> at that time. */

/** define UVFIO_KVM_ASSIGN_ENABLE_IOMMU - A flag: the device reaches the guest's memory alone. */
#define UVFIO_KVM_ASSIGN_ENABLE_IOMMU 1u
/** define UVFIO_KVM_IRQ_HOST_INTX - The device's pin. */
#define UVFIO_KVM_IRQ_HOST_INTX 0x0001u
/** define UVFIO_KVM_IRQ_HOST_MSI - The device's first message of MSI. */
#define UVFIO_KVM_IRQ_HOST_MSI 0x0002u
/** define UVFIO_KVM_IRQ_HOST_MSIX - The device's messages of MSI-X, those that have entries. */
#define UVFIO_KVM_IRQ_HOST_MSIX 0x0004u
/** define UVFIO_KVM_IRQ_GUEST_INTX - A line of the guest's interrupt controller. */
#define UVFIO_KVM_IRQ_GUEST_INTX 0x0100u
/** define UVFIO_KVM_IRQ_GUEST_MSI - A GSI that delivers a message. */
#define UVFIO_KVM_IRQ_GUEST_MSI 0x0200u
/** define UVFIO_KVM_IRQ_GUEST_MSIX - The GSIs of the entries, which deliver messages. */
#define UVFIO_KVM_IRQ_GUEST_MSIX 0x0400u
/** define UVFIO_KVM_IRQ_HOST_MASK - All kinds of the host's side. */
#define UVFIO_KVM_IRQ_HOST_MASK 0x00ffu
/** define UVFIO_KVM_IRQ_GUEST_MASK - All kinds of the guest's side. */
#define UVFIO_KVM_IRQ_GUEST_MASK 0xff00u
/** define UVFIO_KVM_MAX_MSIX - There are fewer entries of a device than this. */
#define UVFIO_KVM_MAX_MSIX 256u

/**
 * struct uvfio_kvm_irqchip - Where the guest's interrupts go.
 * @vm_fd: A virtual machine of KVM's, with an irqchip in the kernel. The monitor sets the routes of
 *	GSIs (KVM_SET_GSI_ROUTING), as it did then. Interrupts go by irqfds. The descriptor stays
 *	the monitor's. -1: no KVM.
 * @set_irq: Without KVM: set GSI @gsi to @level. Of a line it is the OR of the devices that have
 *	it, and comes when that changes. Of a message it is one call with true for each message.
 *	Called from inside of the library, with locks held: it must not call its functions.
 */
struct uvfio_kvm_irqchip {
	int vm_fd;
	void (*set_irq)(void *ctx, int gsi, bool level);
};

/**
 * uvfio_kvm_assign_new() - Make a guest without memory and devices.
 * @ops: of uvfio_vm_new(): what the monitor does for BARs, errors and requests. NULL: nothing.
 * @chip: where interrupts go; it is copied. NULL: the guest has no irqchip, devices no interrupts.
 * @ctx: the first argument of all functions.
 *
 * Context: any thread.
 * Return: the guest, to be freed with uvfio_kvm_assign_free(); NULL: no memory, or no descriptor,
 * or @chip has neither KVM nor a function.
 */
UVFIO_PUBLIC struct uvfio_kvm_assign *uvfio_kvm_assign_new(const struct uvfio_vm_ops *ops,
							   const struct uvfio_kvm_irqchip *chip,
							   void *ctx);

/**
 * uvfio_kvm_assign_free() - The guest ends: deassign all devices, free it.
 * @a: the guest; NULL: nothing happens.
 *
 * Context: any thread but one in a callback; the last use of @a, its devices and
 * uvfio_kvm_assign_vm().
 */
UVFIO_PUBLIC void uvfio_kvm_assign_free(struct uvfio_kvm_assign *a);

/**
 * uvfio_kvm_assign_vm() - The guest as uvfio/vmm.h has it: for memory, the service thread,
 * sentences of errors.
 * @a: the guest.
 *
 * Devices are assigned by the functions here alone. A thread must serve it:
 * uvfio_vm_start_thread().
 *
 * Context: any thread.
 * Return: the guest; good until uvfio_kvm_assign_free().
 */
UVFIO_PUBLIC struct uvfio_vm *uvfio_kvm_assign_vm(const struct uvfio_kvm_assign *a);

/**
 * uvfio_kvm_assign_pci_device() - ASSIGN_PCI_DEVICE: give the guest a device.
 * @a: the guest.
 * @id: a number for the device, of the monitor's choice.
 * @segment: where the device is in the host: its PCI domain.
 * @bus: its bus.
 * @devfn: its device (five bits) and function (three).
 * @flags: UVFIO_KVM_ASSIGN_ENABLE_IOMMU, which must be there.
 * @model: a model of uvfio's, which is plugged in at that address: "nvme,image=disk.img". NULL: a
 *	real device, bound to vfio-pci.
 *
 * It is reset, and has no interrupt. With the first device the guest's memory is mapped for DMA.
 *
 * Context: any thread.
 * Return: 0; -EEXIST: @id is in use; -EINVAL: there is no such device, or the flags; -EBUSY: it
 * is in use, or cannot be enabled; -ENOMEM; or an error of mapping the memory. All is undone then.
 */
UVFIO_PUBLIC int uvfio_kvm_assign_pci_device(struct uvfio_kvm_assign *a, uint32_t id,
					     uint32_t segment, uint32_t bus, uint32_t devfn,
					     uint32_t flags, const char *model);

/**
 * uvfio_kvm_deassign_pci_device() - DEASSIGN_PCI_DEVICE: take a device away.
 * @a: the guest.
 * @id: the device.
 *
 * Interrupts and DMA end before it returns; the device is reset.
 *
 * Context: any thread, also unplug_requested() of the device.
 * Return: 0; -EINVAL: there is no such device.
 */
UVFIO_PUBLIC int uvfio_kvm_deassign_pci_device(struct uvfio_kvm_assign *a, uint32_t id);

/**
 * uvfio_kvm_assign_device() - A device as uvfio/vmm.h has it.
 * @a: the guest.
 * @id: the device.
 *
 * Context: any thread.
 * Return: the device, good until it is deassigned; NULL: there is none.
 */
UVFIO_PUBLIC struct uvfio_vm_device *uvfio_kvm_assign_device(struct uvfio_kvm_assign *a,
							     uint32_t id);

/**
 * uvfio_kvm_assign_dev_irq() - ASSIGN_DEV_IRQ: give the guest an interrupt of a device.
 * @a: the guest.
 * @id: the device.
 * @kinds: one of UVFIO_KVM_IRQ_HOST_*, one of UVFIO_KVM_IRQ_GUEST_*, or both, of the same kind.
 * @guest_irq: of UVFIO_KVM_IRQ_GUEST_INTX the line, of UVFIO_KVM_IRQ_GUEST_MSI the GSI, up to
 *	65535. Of MSI-X each entry has its own.
 *
 * The host's side comes first: when the guest's fails, it stays. While one side alone is there,
 * interrupts go nowhere; one of a pin comes when the guest's side does.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: no irqchip; no kind, several of one side or different ones; MSI-X without
 * entries; or the device has not that kind of message; -ENODEV: there is no such device; -EEXIST:
 * that side has an interrupt; -EIO: the device has no pin, or its interrupt is not to be had.
 */
UVFIO_PUBLIC int uvfio_kvm_assign_dev_irq(struct uvfio_kvm_assign *a, uint32_t id, uint32_t kinds,
					  uint32_t guest_irq);

/**
 * uvfio_kvm_deassign_dev_irq() - DEASSIGN_DEV_IRQ: take an interrupt away.
 * @a: the guest.
 * @id: the device.
 * @kinds: the sides, as they were assigned; what is not assigned is ignored.
 *
 * With the host's side the entries of MSI-X go. A line is low when it returned, and no interrupt
 * comes any more.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: no irqchip; -ENODEV: there is no such device; -ENXIO: it has no interrupt.
 */
UVFIO_PUBLIC int uvfio_kvm_deassign_dev_irq(struct uvfio_kvm_assign *a, uint32_t id,
					    uint32_t kinds);

/**
 * uvfio_kvm_assign_set_msix_nr() - SET_MSIX_NR: say how many entries of MSI-X will be set.
 * @a: the guest.
 * @id: the device.
 * @n: how many, from 1 to 255.
 *
 * Once, until the host's side is deassigned.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: there is no such device, no such number, or it was said already; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_kvm_assign_set_msix_nr(struct uvfio_kvm_assign *a, uint32_t id, uint32_t n);

/**
 * uvfio_kvm_assign_set_msix_entry() - SET_MSIX_ENTRY: say which GSI a message of MSI-X becomes.
 * @a: the guest.
 * @id: the device.
 * @entry: the message's number.
 * @gsi: the GSI; 0: the entry is given up, and its place is free.
 *
 * An entry that was set gets another GSI. While MSI-X is on it is effective when this returns; what
 * the device sends meanwhile may be lost.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: there is no such device; -ENOSPC: all entries have other numbers, or
 * SET_MSIX_NR was not there; or as uvfio_kvm_assign_dev_irq(), and MSI-X is off.
 */
UVFIO_PUBLIC int uvfio_kvm_assign_set_msix_entry(struct uvfio_kvm_assign *a, uint32_t id,
						 uint32_t entry, uint32_t gsi);

/**
 * uvfio_kvm_assign_ack() - The guest acknowledged a line (without KVM, which sees it itself).
 * @a: the guest.
 * @gsi: the line.
 *
 * Devices that hold it let it go, and may interrupt again: those of others on the line, too, at
 * once if they still have a reason.
 *
 * Context: any thread, not inside of set_irq().
 */
UVFIO_PUBLIC void uvfio_kvm_assign_ack(struct uvfio_kvm_assign *a, int gsi);

#ifdef __cplusplus
}
#endif
#endif
