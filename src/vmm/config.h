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

/* Where capabilities are; 0: there is none, or the guest does not see it. */
struct vm_caps {
	unsigned pm, msi, msix, pcie, af;
	bool flr;      /* the device has a function-level reset (DEVCAP or AF) */
	bool pm_reset; /* D3hot to D0 resets it: PMCSR.NoSoftReset is 0 */
};

/* The ROM's image, read when the guest first looks; rom.c. */
struct vm_rom {
	uint8_t *image; /* or NULL: not read so far */
	uint64_t size;	/* 0: there is none */
	bool tried;
};

struct vm_config {
	unsigned size; /* 256 or 4096 */
	uint8_t copy[PCI_CFG_EXP_SIZE], emulated[PCI_CFG_EXP_SIZE], writable[PCI_CFG_EXP_SIZE];
	uint8_t at_reset[PCI_CFG_EXP_SIZE]; /* the copy as after power-on */
	uint8_t hidden[PCI_CFG_EXP_SIZE];   /* of a capability that the guest does not see */
	struct vm_caps caps;
	struct vm_rom rom;
	const struct uvfio_vm_quirk *quirks[4]; /* those that the device has; quirks.c */
	unsigned num_quirks;
	void *quirk_state; /* of generic handlers of BAR windows: quirks.c */
};

/* ---- config.c ---- */
/* Read what the device has and make the guest's view of it. 0 or -errno with a sentence. */
int vm_config_init(struct uvfio_vm_device *dev);
void vm_config_fini(struct uvfio_vm_device *dev);
/* Return what the guest reads; aligned, inside. */
uint32_t vm_config_get(struct uvfio_vm_device *dev, unsigned offset, unsigned size);
/* Do what the guest's write does, with all that follows; aligned, inside. */
void vm_config_put(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value);
/* Set bits of the copy, the mask of emulated ones and of writable ones. */
void vm_config_set(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value,
		   uint32_t emulated, uint32_t writable);
/* Return bits of the copy alone. */
uint32_t vm_config_copy(const struct uvfio_vm_device *dev, unsigned offset, unsigned size);
/* Set the copy alone. */
void vm_config_set_copy(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			uint32_t value);
/* Have the copy as after power-on: the device was reset. */
void vm_config_after_reset(struct uvfio_vm_device *dev);
/* ---- caps.c ---- */
/* Walk the capabilities of the device, and hide those that the guest shall not see. */
int vm_caps_init(struct uvfio_vm_device *dev);
/* ---- rom.c ---- */
int vm_rom_init(struct uvfio_vm_device *dev);
void vm_rom_fini(struct uvfio_vm_device *dev);
/* Read the ROM as the guest does: all ones behind its end. */
uint64_t vm_rom_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
/* ---- quirks.c ---- */
/* Find the quirks of the device and have them set up. 0 or -errno with a sentence. */
int vm_quirks_init(struct uvfio_vm_device *dev);
void vm_quirks_fini(struct uvfio_vm_device *dev);
/* Reset the device by a quirk's own means. 0; -ENOTSUP: none has any; or -errno. */
int vm_quirks_reset(struct uvfio_vm_device *dev);
/* True if a quirk could reset it. */
bool vm_quirks_can_reset(const struct uvfio_vm_device *dev);
#endif
