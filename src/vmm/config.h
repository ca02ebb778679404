/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/config.h: config space as the guest sees it: a copy, with a mask of the bits that are
 * answered from it and one of those that the guest may change; the rest is the device's. All with
 * the device's lock held, where nothing else is said.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/face.h" /* PCI_CFG_EXP_SIZE */

struct uvfio_vm;
struct uvfio_vm_device;

/* Offsets of capabilities; 0: there is none, or the guest does not see it. */
struct vm_caps {
	unsigned pm, msi, msix, pcie, af;
	unsigned msi_size;    /* bytes, from @msi */
	bool has_pcie;	      /* the device has it, whether the guest sees it or not */
	bool exp_flr, af_flr; /* the guest can reset the function by DEVCTL, by AF */
	bool flr;	      /* the device has a function-level reset, by the one or the other */
	bool pm_reset;	      /* D3hot to D0 resets it: PMCSR.NoSoftReset is 0 */
};

/* The ROM; rom.c. */
struct vm_rom {
	uint64_t size;	/* as the guest has it, a power of two; 0: there is none */
	uint8_t *image; /* @size bytes; NULL: not read so far, or that failed */
	bool tried;	/* the device was asked */
};

struct vm_config {
	unsigned size; /* 256 or 4096 */
	uint8_t copy[PCI_CFG_EXP_SIZE], emulated[PCI_CFG_EXP_SIZE], writable[PCI_CFG_EXP_SIZE];
	uint8_t at_reset[PCI_CFG_EXP_SIZE]; /* the copy as after power-on */
	uint8_t hidden[PCI_CFG_EXP_SIZE];   /* 1: of a capability that the guest does not see */
	bool said;			    /* a line told that the device does not answer */
	struct vm_caps caps;
	struct vm_rom rom;
	uint16_t vendor, device; /* the device's own, whatever the guest sees */
	uint32_t class_code;	 /* 24 bits */
	/* those of the device; quirks.c */
	const struct uvfio_vm_quirk **quirks;
	unsigned num_quirks;
};

/* ---- config.c ---- */
/* Read what the device has and make the guest's view of it. 0 or -errno with a sentence. */
int vm_config_init(struct uvfio_vm_device *dev);
void vm_config_fini(struct uvfio_vm_device *dev);
/* Return what the guest reads; aligned, inside. */
uint32_t vm_config_get(struct uvfio_vm_device *dev, unsigned offset, unsigned size);
/* Do what the guest's write does, with all that follows; aligned, inside. */
void vm_config_put(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value);
/*
 * Set bits of the copy, and add to the masks: of @emulated bits, which have @value now and after a
 * reset, and @writable ones; bits that are emulated here and are not in @writable become fixed. For
 * the time until the device is assigned.
 */
void vm_config_set(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value,
		   uint32_t emulated, uint32_t writable);
/* Have the device answer there; the copy, 0 at first, keeps the @kept bits of what is written. */
void vm_config_pass(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t kept);
/* Have the guest read zeroes there, and lose its writes. */
void vm_config_hide(struct uvfio_vm_device *dev, unsigned offset, unsigned size);
/*
 * Return bits of the copy alone. It has all that is emulated, COMMAND, and MSI's mask bits as the
 * guest wrote them.
 */
uint32_t vm_config_copy(const struct uvfio_vm_device *dev, unsigned offset, unsigned size);
/* Set the copy alone. */
void vm_config_set_copy(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			uint32_t value);
/*
 * The device was reset: have the copy as after power-on, and of the device COMMAND's switches off
 * and the BARs' registers 0.
 */
void vm_config_after_reset(struct uvfio_vm_device *dev);
/* ---- caps.c ---- */
/* Walk the capabilities of the device, and hide those that the guest shall not see. */
int vm_caps_init(struct uvfio_vm_device *dev);
/* ---- rom.c ---- */
/* Find its size; read the file that stands for it. 0 or -errno with a sentence. */
int vm_rom_init(struct uvfio_vm_device *dev);
void vm_rom_fini(struct uvfio_vm_device *dev);
/* Read the ROM as the guest does: all ones behind its end. */
uint64_t vm_rom_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
/* ---- quirks.c ---- */
/* True if its ROM is known to hang guests. */
bool vm_quirks_rom_hangs(const struct uvfio_vm_device *dev);
/* Mend the copy of config space where devices are known to be wrong. */
void vm_quirks_config(struct uvfio_vm_device *dev);
/* Find the quirks of the device and have them set up. 0 or -errno with a sentence. */
int vm_quirks_init(struct uvfio_vm_device *dev);
void vm_quirks_fini(struct uvfio_vm_device *dev);
/* Reset the device by a quirk's own means. 0; -ENOTSUP: none has any; or -errno. */
int vm_quirks_reset(struct uvfio_vm_device *dev);
/* True if a quirk could reset it. */
bool vm_quirks_can_reset(const struct uvfio_vm_device *dev);
#endif
