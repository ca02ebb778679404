/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars.h: BARs of a device in the guest: where they are, and of which pieces each consists:
 * direct ones, which the guest reaches without a trap, and trapped ones. With the device's lock
 * held, where nothing else is said.
 */
#ifndef VMM_BARS_H
#define VMM_BARS_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <urcu/list.h>

struct uvfio_vm;
struct uvfio_vm_device;

#define VM_BARS 7u /* with the ROM */

/* A part of a BAR that the host maps. */
struct vm_piece {
	uint64_t offset, size;	/* in the BAR as the guest has it */
	uint64_t region_offset; /* in the region of the device */
	void *host;		/* mapped, or NULL: that failed, it is trapped */
	bool readonly;
	bool up; /* the guest reaches it now, at @gpa */
	uint64_t gpa;
	unsigned kvm_slot;
};

/* A part of a BAR for which a quirk answers. */
struct vm_window {
	struct cds_list_head node;
	uint64_t offset, size;
	uint64_t (*read)(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
	void (*write)(struct uvfio_vm_device *dev, uint64_t offset, unsigned size, uint64_t value);
	/* or, instead, of a generic handler: */
	uint64_t (*read_arg)(struct uvfio_vm_device *dev, void *arg, uint64_t offset,
			     unsigned size);
	void (*write_arg)(struct uvfio_vm_device *dev, void *arg, uint64_t offset, unsigned size,
			  uint64_t value);
	void *arg; /* malloc'ed; the window's */
};

struct vm_bar {
	uint64_t size;	      /* as the guest has it; 0: absent */
	uint64_t region_size; /* of the device's region */
	bool io, is64, prefetch;
	bool mappable;		 /* pieces may be direct: false with mmap=off, bars=, a quirk */
	uint64_t gpa;		 /* where it is live; UVFIO_VM_UNMAPPED: it is not */
	struct vm_piece *pieces; /* by offset; between them it is trapped */
	unsigned num_pieces;
	struct cds_list_head windows;
	struct cds_list_head in_map; /* uvfio_vm.map, while it is live; map_lock */
};

/* Where the MSI-X table and the pending bits are in the BARs as the guest has them. */
struct vm_msix_place {
	unsigned table_bar, pba_bar;
	uint64_t table_offset, pba_offset, table_size, pba_size; /* bytes; 0: no MSI-X */
};

struct vm_bars {
	struct vm_bar bar[VM_BARS];
	struct vm_msix_place msix;
	bool held_trapped; /* INTx waits for an access: no piece is direct */
	bool moved_msix;   /* the table is not where the device has it (msix=barN) */
	bool asleep;	   /* in D3 nothing is live */
};

/* Which BAR is at a guest address: of all devices. */
struct vm_map {
	pthread_rwlock_t lock;		    /* uvfio_vm.map_lock: a leaf */
	struct cds_list_head memory, ports; /* struct vm_bar.in_map */
};

/* ---- bars.c ---- */
/* Find sizes, types and pieces; config space and MSI-X are known. 0 or -errno with a sentence. */
int vm_bars_init(struct uvfio_vm_device *dev);
void vm_bars_fini(struct uvfio_vm_device *dev);
/*
 * Have each BAR where the guest's registers, COMMAND and the power state say: those that go go down
 * first. Config space's copy has changed.
 */
void vm_bars_update(struct uvfio_vm_device *dev);
/* The same with @command as COMMAND, which the device has not seen yet: what goes off goes now. */
void vm_bars_update_command(struct uvfio_vm_device *dev, uint16_t command);
/* Take all of it away, as if decoding were off. */
void vm_bars_down(struct uvfio_vm_device *dev);
/* Have no piece direct while @trapped: INTx waits for an access as a sign of its end. */
void vm_bars_hold_trapped(struct uvfio_vm_device *dev, bool trapped);
/* Write where BARs are: "; bar0 0xfe000000 direct 0-0x1fff trapped 0x2000-0x3fff". */
void vm_bars_describe(struct uvfio_vm_device *dev, FILE *f);
/* True if the byte at @offset of @bar is of the MSI-X table, or of the pending bits. */
bool vm_bars_in_table(const struct uvfio_vm_device *dev, unsigned bar, uint64_t offset);
bool vm_bars_in_pba(const struct uvfio_vm_device *dev, unsigned bar, uint64_t offset);
/* Add a window of a quirk. 0, -EINVAL, -ENOMEM. @w is copied. */
int vm_bars_window(struct uvfio_vm_device *dev, unsigned bar, const struct vm_window *w);
/* ---- mmio.c ---- */
int vm_map_init(struct vm_map *map);
void vm_map_fini(struct vm_map *map);
/* Put a BAR at its address, or take it away; no lock of the map's is held. */
void vm_map_add(struct uvfio_vm_device *dev, unsigned bar);
void vm_map_del(struct uvfio_vm_device *dev, unsigned bar);
#endif
