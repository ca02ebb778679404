/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/abi.h: which of VFIO's interfaces this process sees: today's, or the first one, of July 2010
 * ("V3", src/v3/). The choice is the process's, as its /dev is: it is made once, before anything is
 * opened and before there are threads.
 */
#ifndef VFIO_ABI_H
#define VFIO_ABI_H
#include <stdbool.h>
#include <stddef.h>

struct vfio_abi {
	bool v3;
	/* of V3 alone: its module's parameter allow_unsafe_intrs */
	bool allow_unsafe_intrs;
	bool intr_remap;   /* the IOMMU remaps interrupts */
	bool mmu_notifier; /* the kernel is built with CONFIG_MMU_NOTIFIER */
};

/* The names that can be chosen, NULL behind them; the first is the default. */
extern const char *const vfio_abi_names[];
/**
 * vfio_abi_choose - choose by the text of `uvfio run --abi`: "v3,allow_unsafe_intrs=1"
 * @why: gets a sentence if it is wrong, @size bytes
 *
 * Return: 0 or -EINVAL: nothing changes.
 */
int vfio_abi_choose(const char *text, char *why, size_t size);
/** vfio_abi_driver - return the name of its driver: "vfio-pci", or V3's "vfio" */
const char *vfio_abi_driver(void);
/** vfio_abi - return the choice. Any thread, takes no lock. */
const struct vfio_abi *vfio_abi(void);
#endif
