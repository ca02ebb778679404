/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/pieces.h: pieces of a BAR that the guest can reach without a trap: which there are, their
 * mappings in this process, and when the guest has them. For bars.c. All with vm_map.place held,
 * where nothing else is said.
 */
#ifndef VMM_PIECES_H
#define VMM_PIECES_H
#include <stdint.h>

#include "vfio/device.h"
#include "vmm/bars.h"

/*
 * Find the pieces of a BAR whose region is @r: what the provider has as memory, in whole pages.
 * Nothing is mapped yet. 0 or -ENOMEM. Before anybody else knows of the BAR.
 */
int vm_pieces_init(struct vm_bar *b, const struct vfio_region *r);
/*
 * Have the pages of [@offset, @offset + @size) trapped, while the device is assigned: it was never
 * placed. 0 or -ENOMEM.
 */
int vm_pieces_cut(struct vm_bar *b, uint64_t offset, uint64_t size);
/* Unmap and forget them: none is up. Without any lock: memory of others' DMA goes first. */
void vm_pieces_fini(struct vm_bar *b);
/* Take those of @b from the guest. vm_pieces_settle() follows, when @b is not live any more. */
void vm_pieces_down(struct vm_bar *b);
/* Take from the guest what it must not have now, of all devices, and give it what it may. */
void vm_pieces_settle(struct uvfio_vm *vm);
/* ---- msix_place.c ---- */
/*
 * Find where the guest has the MSI-X table and the pending bits, the BARs being known, and trap
 * their pages. 0 or -errno with a sentence.
 */
int vm_msix_place(struct uvfio_vm_device *dev);
#endif
