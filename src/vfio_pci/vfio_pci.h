/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/vfio_pci.h: the vfio-pci driver on a software PCI function: what Linux's vfio-pci is to
 * a chip. Config-space virtualization by bit tables (config.c, config_tables.c, config_caps.c),
 * interrupts (irqs.c, intx.c, msi.c), region access (rdwr.c, ioeventfd.c), reset, power and saved
 * state (vfio_pci.c).
 */
#ifndef VFIO_PCI_VFIO_PCI_H
#define VFIO_PCI_VFIO_PCI_H
#include "pci/function.h"
#include "vfio/device.h"

/*
 * Bind the driver to @fn, which is at @at: *@out is a device that can be added to a group. -ENOMEM.
 * The function must outlive it. @loop, which also does, carries its virqfds.
 */
int vfio_pci_bind(pci_function *fn, const struct pci_address *at, struct loop *loop,
		  struct vfio_device **out);
/*
 * May BARs be mapped, and how? AUTO, the default: each page as the model has it. TRAP: every access
 * is the device's, polled pages are trapped. OFF: for a virtual machine monitor under KVM, whose
 * guests cannot take a fault. What is mapped already stays as it is, so once there may be mappings
 * only OFF may follow, on AUTO.
 */
enum vfio_pci_mmap { VFIO_PCI_MMAP_AUTO, VFIO_PCI_MMAP_TRAP, VFIO_PCI_MMAP_OFF };
void vfio_pci_set_mmap(struct vfio_device *dev, enum vfio_pci_mmap how);
void vfio_pci_unbind(struct vfio_device *dev);
/*
 * @vf, a VF, has PF @pf, which is bound, too, and outlives it; NULL: the PF has another driver.
 * Before @vf is opened. With a PF, the PF's VF token is asked for.
 */
void vfio_pci_set_pf(struct vfio_device *vf, struct vfio_device *pf);
/*
 * As the kernel's sriov_configure: enable @num VFs of @pf, 0: disable them. The functions are there
 * (pci_vf_new), none that goes is open. -EINVAL.
 */
int vfio_pci_sriov_configure(struct vfio_device *pf, unsigned num);
/*
 * The VF token of a PF, where somebody else keeps it between processes: @fn is called after each
 * that a user sets, with no lock of the device held but the opener's; what it is then says
 * vfio_pci_token(). What was set before is put in by vfio_pci_load_token(). Only for devices with
 * SR-IOV.
 */
void vfio_pci_on_token(struct vfio_device *pf, void (*fn)(void *arg), void *arg);
void vfio_pci_token(struct vfio_device *pf, uint8_t uuid[16]);
void vfio_pci_load_token(struct vfio_device *pf, const uint8_t uuid[16]);
#endif
