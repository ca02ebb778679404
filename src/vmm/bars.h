/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars.h: BARs of a device in the guest: where they are, and of which pieces each consists:
 * direct ones, which the guest reaches without a trap, and trapped ones. With the device's lock
 * held, where nothing else is said.
 *
 * The registers: vm_bars_init() has them in the copy of config space, with the bits that the guest
 * can write (vm_config_set()), so that what reads back is a BAR's. What a write of them, of COMMAND
 * or of the power state changes is done by vm_bars_update().
 */
#ifndef VMM_BARS_H
#define VMM_BARS_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <urcu/list.h>

#include "vfio/bar_map.h"

struct uvfio_vm;
struct uvfio_vm_device;

#define VM_BARS 7u /* with the ROM */

/* A part of a BAR that can be direct. Guarded by vm_map.place, but for map.node. */
struct vm_piece {
	uint64_t offset, size; /* in the BAR as the guest has it, and in the device's region */
	int fd;		       /* of the region's area; the byte at @offset is at @fd_offset */
	uint64_t fd_offset;
	struct vfio_bar_map map; /* of vm_map.hosts; not mapped: not yet, or that failed */
	bool failed;		 /* it cannot be mapped: it is trapped */
	bool refused; /* the guest cannot have it where the BAR is now: it is trapped there */
	bool up;      /* the guest reaches it now, at @gpa */
	uint64_t gpa;
	int kvm_slot; /* that it has there; -1: it came by bar_map() */
};

/* A part of a BAR for which a quirk answers. */
struct vm_window {
	struct cds_list_head node;
	uint64_t offset, size;
	/* offsets in the window; NULL: the device answers */
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
	struct uvfio_vm_device *dev;
	unsigned index;
	/* from here on fixed once the device is assigned */
	uint64_t size;	      /* as the guest has it; 0: absent */
	uint64_t region_size; /* of the device's region */
	bool io, is64, prefetch;
	bool mappable;		 /* pieces may be direct: false with mmap=off, bars= */
	bool readonly;		 /* the region takes no writes */
	struct vm_piece *pieces; /* by offset; between them it is trapped */
	unsigned num_pieces;
	struct cds_list_head windows;
	atomic_bool answers; /* it decodes: else reads are all ones */
	atomic_bool said;    /* a line told that the device does not answer there */
	/* where it is live; UVFIO_VM_UNMAPPED: it is not. Changed with vm_map's locks held */
	uint64_t gpa;
	struct cds_list_head in_map; /* vm_map's list, while it is live; the same */
	bool dead; /* its memory was away when the guest touched it: no piece is up; vm_map.place */
};

/* Places of the MSI-X table and the pending bits in the BARs, as the guest has them. */
struct vm_msix_place {
	unsigned table_bar, pba_bar;
	uint64_t table_offset, pba_offset, table_size, pba_size; /* bytes; 0: no MSI-X */
};

struct vm_bars {
	struct vm_bar bar[VM_BARS];
	struct vm_msix_place msix;
	/* INTx waits for an access: no piece is direct. Changed with vm_map.place held, too */
	bool held_trapped;
	bool moved_msix; /* the table is not where the device has it (msix=barN) */
	bool asleep;	 /* in D3 nothing is live; whoever sets it calls vm_bars_update() */
	/* vm_bars_update() is done with; vm_bars_fini() has something to do */
	bool there;
};

/* Memory of the guest, over which no piece of a BAR is put. */
struct vm_ram {
	struct vm_map *map; /* that it is in, or NULL */
	struct cds_list_head node;
	uint64_t gpa, size;
};

/*
 * Which BAR is at a guest address, of all devices; and which pieces are up. Lock order:
 * uvfio_vm_device.lock > place > vm_memory.lock, KVM's slots, vfio's > lock, a leaf. Callbacks
 * bar_map, bar_unmap and bar_moved come with place held; it is recursive for those that change
 * memory.
 */
struct vm_map {
	pthread_mutex_t place; /* orders changes, and guards these and pieces: */
	bool settling, again;
	unsigned patience; /* faults of the guest that are still put down to a BAR that went */
	struct vfio_bar_maps hosts; /* pieces that are mapped, of all devices; its lock is a leaf */
	pthread_rwlock_t lock;	    /* guards what follows; BARs change with place, too */
	struct cds_list_head memory, ports; /* struct vm_bar.in_map: who came first comes first */
	struct cds_list_head ram;	    /* struct vm_ram.node */
};

/* ---- bars.c ---- */
/* Find sizes, types and pieces; config space and MSI-X are known. 0 or -errno with a sentence. */
int vm_bars_init(struct uvfio_vm_device *dev);
/* Nothing of it is live. Without the device's lock, or nobody else is there. */
void vm_bars_fini(struct uvfio_vm_device *dev);
/*
 * Have each BAR where the guest's registers, COMMAND and the power state say: those that go go down
 * first. Config space's copy has changed.
 */
void vm_bars_update(struct uvfio_vm_device *dev);
/*
 * The guest writes @command, which the device has not seen yet: what goes off goes now. What comes
 * comes with vm_bars_update(), when the device has it.
 */
void vm_bars_update_command(struct uvfio_vm_device *dev, uint16_t command);
/* Take all of it away, as if decoding were off. */
void vm_bars_down(struct uvfio_vm_device *dev);
/* Have no piece direct while @trapped: INTx waits for an access as a sign of its end. */
void vm_bars_hold_trapped(struct uvfio_vm_device *dev, bool trapped);
/* Memory has changed: have those pieces direct that can be. No lock behind vm_map.place is held. */
void vm_bars_settle(struct uvfio_vm *vm);
/* Write where BARs are: "; bar0 0xfe000000 direct 0-0x1fff trapped 0x2000-0x3fff". */
void vm_bars_describe(struct uvfio_vm_device *dev, FILE *f);
/*
 * Add a window of a quirk, while the device is assigned. 0, -EINVAL, -ENOMEM. @w is copied, and its
 * arg is the window's then.
 */
int vm_bars_window(struct uvfio_vm_device *dev, unsigned bar, const struct vm_window *w);
/* ---- pieces.c ---- */
/* struct vfio_env's device_memory, of the guest @vm: a model's BAR is none to DMA of others. */
bool vm_device_memory(void *vm, uint64_t vaddr, uint64_t size, struct vfio_bar *first);
/* ---- mmio.c ---- */
int vm_map_init(struct vm_map *map);
void vm_map_fini(struct vm_map *map);
/* The guest has memory there, or no more (it need not be in a map). Then vm_bars_settle(). */
void vm_ram_add(struct vm_map *map, struct vm_ram *ram, uint64_t gpa, uint64_t size);
void vm_ram_del(struct vm_ram *ram);
/* Put a BAR at @gpa, or take it away. With vm_map.place held. */
void vm_map_add(struct vm_bar *bar, uint64_t gpa);
void vm_map_del(struct vm_bar *bar);
#endif
