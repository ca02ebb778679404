/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/vfio_pci.h: the vfio-pci driver on a software PCI function, as Linux's vfio-pci is on a
 * chip. Config-space virtualization by bit tables (config.c, config_tables.c, config_caps.c),
 * interrupts (irqs.c, intx.c, msi.c), region access (rdwr.c, ioeventfd.c, mmap.c), VFs and their
 * token (sriov.c), migration (migrate.c), reset, power and saved state (vfio_pci.c).
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
 * How BARs may be mapped. AUTO, the default: each page as the model has it. TRAP: every access is
 * the device's, polled pages are trapped. OFF: not at all, for a virtual machine monitor under KVM,
 * whose guests cannot take a fault. Mappings stay as they are, so once there may be some, only OFF
 * may follow, on AUTO.
 */
enum vfio_pci_mmap {
	VFIO_PCI_MMAP_AUTO,
	VFIO_PCI_MMAP_TRAP,
	VFIO_PCI_MMAP_OFF,
	VFIO_PCI_MMAP_SHARED, /* as AUTO, and areas with memory are shared */
};
void vfio_pci_set_mmap(struct vfio_device *dev, enum vfio_pci_mmap how);
/*
 * Offer migration of @dev, before it is opened. Return 0; -EOPNOTSUPP: its model cannot save its
 * state; -ENOMEM.
 */
int vfio_pci_set_migration(struct vfio_device *dev);
void vfio_pci_unbind(struct vfio_device *dev);
/*
 * Tell @vf, a VF, its PF, which is bound, too, and outlives it; NULL: the PF has another driver.
 * Before @vf is opened. With a PF, users must show the PF's VF token.
 */
void vfio_pci_set_pf(struct vfio_device *vf, struct vfio_device *pf);
/*
 * Enable @num VFs of @pf, as the kernel's sriov_configure; 0: disable them. The functions are there
 * (pci_vf_new), and none that goes is open. 0 or -EINVAL.
 */
int vfio_pci_sriov_configure(struct vfio_device *pf, unsigned num);
/*
 * Have @fn called after each VF token that a user sets, with no lock of the device held but the
 * opener's: for who keeps the token of a PF between processes. vfio_pci_token() tells it;
 * vfio_pci_load_token() puts in one that was set before. Only for devices with SR-IOV.
 */
void vfio_pci_on_token(struct vfio_device *pf, void (*fn)(void *arg), void *arg);
void vfio_pci_token(struct vfio_device *pf, uint8_t uuid[16]);
void vfio_pci_load_token(struct vfio_device *pf, const uint8_t uuid[16]);
#endif
