/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/provider.h: the seam between the machine and those who make devices for it. The machine
 * knows places, groups, claims and the view; a provider knows what a device is: a function in this
 * process (software.c), a real device (host.c), a server at the other end of a socket (remote.c).
 *
 * The machine calls a provider with plug_lock held, so never twice at a time for one device.
 */
#ifndef MACHINE_PROVIDER_H
#define MACHINE_PROVIDER_H
#include "base/loop.h"
#include "base/pci_address.h"
#include "base/text.h"
#include "machine/machine.h"
#include "pci/face.h"
#include "pci/options.h"
#include "vfio/device.h"

/*
 * mmap=: may BARs be mapped? AUTO: as the provider thinks best. SHARED: so, and clients of a server
 * have the memory of models, too.
 */
enum machine_mmap { MACHINE_MMAP_AUTO, MACHINE_MMAP_TRAP, MACHINE_MMAP_OFF, MACHINE_MMAP_SHARED };

struct machine_provider;

/*
 * A device that was made. A provider has it inside a struct of its own. It answers for the face:
 * sizes of BARs are powers of two, those of VFs at least a page, and offset and stride are not 0.
 */
struct machine_hardware {
	const struct machine_provider *provider;
	struct pci_face face;
	struct iommu_device *iommu;
	struct vfio_device *vdev; /* once it is bound; NULL: a driver of the host has it */
};

/* An order for a device. Texts live as long as the device. */
struct machine_request {
	const char *model;
	const struct pci_option *opts;
	unsigned num_opts;
	struct pci_address address;
	const char *name; /* the address as a text */
	bool multi;	  /* it is a function of a device that may have several */
	uint64_t run;	  /* uvfio_unique() */
	/*
	 * Threads to be called on: @devices for what may wait (timers, sockets), @irqs for
	 * vfio_virqfd alone.
	 */
	struct loop *devices, *irqs;
	/*
	 * For a PF: called after each time that a user set another VF token (token()), by the
	 * user's thread, with no lock held that the provider's ops take.
	 */
	void (*token_changed)(void *arg);
	void *arg;
};

struct machine_provider {
	const char *name;
	/*
	 * The first word of the specs whose devices it makes begins with this: "host=". NULL: it
	 * makes those that no other one does. What follows in such a word, for a user: "ADDRESS";
	 * and what such a device is.
	 */
	const char *prefix, *argument, *summary;
	/* True if what follows @prefix is the path of a file. NULL: it never is. */
	bool (*is_path)(const char *argument);
	/*
	 * Its devices are real: they have addresses when they are made, the kernel's IOMMU is
	 * before them, and their mapped BARs are memory that a guest of KVM can have, too.
	 */
	bool is_real;
	/* Its devices do DMA by what is mapped for them: they cannot be where there is no IOMMU. */
	bool needs_iommu;
	/* With @prefix: the options that such a device has of its own; ends with no name. */
	const struct uvfio_option *options;
	/*
	 * Tell where the device of @model is by itself, which is its place in a machine unless the
	 * user chose another one: its address, and its IOMMU group, which others may share. 0 or
	 * -errno with a sentence. NULL: it has no place of its own.
	 */
	int (*place)(const char *model, struct pci_address *address, unsigned *group, char **err);
	/*
	 * Make a device that has a face and an iommu: powered on, BARs without addresses. 0 or
	 * -errno with a sentence in *@err (malloc'ed, or NULL).
	 */
	int (*make)(const struct machine_request *r, struct machine_hardware **out, char **err);
	/*
	 * Return the id of the device that an option ties a device to, as the two ends of a cable
	 * are tied: they are one process's at a time. Before anything is made. NULL: it does not.
	 */
	const char *(*tied_to)(const struct pci_option *opt);
	/* Make VF @index of @pf, not enabled yet. The same. NULL: it has no PFs. */
	int (*make_vf)(struct machine_hardware *pf, unsigned index, const struct machine_request *r,
		       struct machine_hardware **out, char **err);
	/*
	 * See whether it could be opened now, which only that would show otherwise. 0 or -errno,
	 * with a line in the log. NULL: who made it can open it.
	 */
	int (*check)(struct machine_hardware *hw);
	/*
	 * The device has its addresses: now it gets its driver. NULL: vfio-pci, and hw->vdev is
	 * set; else face.sriov.host_driver. 0 or -errno.
	 */
	int (*bind)(struct machine_hardware *hw, const char *driver);
	/* Enable VFs [0, @num), which are made; 0: disable them, none is open. NULL: as make_vf. */
	int (*set_vfs)(struct machine_hardware *pf, unsigned num);
	/*
	 * Take its driver away, if it has one; it is not open, and in no group. It may get another.
	 */
	void (*unbind)(struct machine_hardware *hw);
	/*
	 * Bound to vfio-pci: may BARs be mapped from now on? What is mapped stays. May be NULL:
	 * nothing can be.
	 */
	void (*set_mmap)(struct machine_hardware *hw, enum machine_mmap how);
	bool shares_memory; /* it knows MACHINE_MMAP_SHARED */
	/*
	 * Bound to vfio-pci, and not open: offer migration. 0; -EOPNOTSUPP: the device cannot be
	 * saved; -ENOMEM. NULL: none can.
	 */
	int (*set_migration)(struct machine_hardware *hw);
	/*
	 * Bound, and never to be opened any more: have what it holds in *@out, of heap_alloc(), for
	 * load_state() of another one, which is just bound. 0; -EOPNOTSUPP: it holds nothing, or
	 * none does; or -errno. NULL: a device is as at power-on for each process.
	 */
	int (*save_state)(struct machine_hardware *hw, void **out, size_t *len);
	int (*load_state)(struct machine_hardware *hw, const void *buf, size_t len);
	/* Get, or set, the VF token of a bound PF. NULL: as make_vf. */
	void (*token)(struct machine_hardware *pf, uint8_t uuid[16]);
	void (*set_token)(struct machine_hardware *pf, const uint8_t uuid[16]);
	/*
	 * The device, a PF with its VFs, was pulled out: it reads as ones, and reaches nothing any
	 * more. NULL: that cannot be.
	 */
	void (*lose)(struct machine_hardware *hw);
	/*
	 * It reports an error. 0; -EINVAL: all errors of this severity are masked; -ENODEV: it is
	 * lost. NULL: it cannot.
	 */
	int (*error)(struct machine_hardware *hw, enum machine_severity severity);
	/* Its cable is put in, or pulled out. 0; -EOPNOTSUPP, or NULL: it has none. */
	int (*link)(struct machine_hardware *hw, bool up);
	/* Return 1: its link is up; 0: down; -EOPNOTSUPP, or NULL: not known. */
	int (*link_up)(struct machine_hardware *hw);
	/* Write what it is now, for a person. NULL: only its config space is known. */
	void (*show)(struct machine_hardware *hw, struct text *t);
	/*
	 * Reset it by @how, as the host does; vfio-pci does not have it. 0; -ENOTTY: it cannot be
	 * reset so, or does not answer. NULL: the same.
	 */
	int (*reset)(struct machine_hardware *hw, enum vfio_reset_method how);
	/* Unbind it if it is bound, and free it. It is not open and in no group. */
	void (*free)(struct machine_hardware *hw);
	/*
	 * In a forked child: the device is the parent's, whose threads are gone and may have held
	 * any lock. Close what both have open, wait for nobody, keep the memory. NULL: there is
	 * nothing to close.
	 */
	void (*abandon)(struct machine_hardware *hw);
};

/* Devices that are functions of models in this process. */
extern const struct machine_provider machine_software;
/* Real devices, which the kernel's VFIO has. */
extern const struct machine_provider machine_host;
/* Devices behind a socket, which servers of vfio-user have. */
extern const struct machine_provider machine_remote;
#endif
