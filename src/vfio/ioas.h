/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas.h: an I/O address space: IOVA -> memory of this process, for the devices of the IOMMU
 * groups that are attached to it. One object for all who make one: type1, an IOAS of iommufd, the
 * native API. It keeps the mappings as they were made (no rule of an interface: whether a range may
 * cut one, which error a hole is, is said above), has their memory pinned and counted, keeps that
 * memory with the devices when the program loses sight of it (vfio/aside.h), and tells listeners
 * what comes and goes.
 *
 * Threads: all functions, from any thread, at any time between new and the last put.
 *
 * Lock order: vfio_group.lock > vfio_container's > vfio_ioas_set.lock > vfio_ioas's lock >
 * { vfio_ioas_set.maps_lock, iommu_group.lock > iommu_domain's }. Listeners are called with the
 * address space's lock held and no other of these.
 */
#ifndef VFIO_IOAS_H
#define VFIO_IOAS_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "base/itree.h"
#include "base/pool.h"
#include "iommu/group.h"
#include "vfio/uapi_defs.h" /* struct vfio_iova_range */

struct vfio_ioas;
struct vfio_system;

/*
 * All address spaces of a system, and what they have in common: the program's memory, which may be
 * in any number of them.
 */
struct vfio_ioas_set {
	/*
	 * Above every space's lock: one thread at a time walks all of them, and none comes or goes
	 * meanwhile.
	 */
	pthread_mutex_t lock;
	/*
	 * A leaf: nothing is allocated or freed under it, since it is taken in the middle of
	 * malloc. Guards the list of spaces, asides, returned, and with a space's own lock its
	 * index by memory.
	 */
	pthread_mutex_t maps_lock;
	struct cds_list_head spaces;
	atomic_ulong mappings; /* in all of them */
	/* no mapping has memory below or above; only to save the lock */
	atomic_ullong lowest, highest;
	atomic_ullong pages_locked; /* what counts against RLIMIT_MEMLOCK, in pages */
	struct itree asides;	    /* memory that was moved aside, by address (aside.c) */
	struct itree returned; /* memory that libc gave back while it was mapped (returned.c) */
	atomic_ulong num_returned;
	struct pool asides_pool, returned_pool;
};

/**
 * vfio_ioas_new - make an empty address space
 * @s: the system whose memory limit it counts against; outlives it
 * @limited: it has as many mappings as a type1 may have (vfio_env.dma_entry_limit), and no more
 *
 * Return: the space with one reference, or NULL: no memory.
 */
struct vfio_ioas *vfio_ioas_new(struct vfio_system *s, bool limited);
/** vfio_ioas_get - take one more reference. */
void vfio_ioas_get(struct vfio_ioas *io);
/**
 * vfio_ioas_put - give a reference back (@io may be NULL)
 *
 * The last one unmaps everything. Then no group is attached and nobody listens.
 */
void vfio_ioas_put(struct vfio_ioas *io);

/**
 * vfio_ioas_look_back - report the mappings that nobody has taken away, for the checker: the user
 * of @io has closed it, or the process ends. Does not wait for a thread that is in @io.
 */
void vfio_ioas_look_back(struct vfio_ioas *io);

/** vfio_ioas_domain - return the I/O page table of the space, which lives as long. */
struct iommu_domain *vfio_ioas_domain(struct vfio_ioas *io);

/**
 * vfio_ioas_attach - give the devices of a group this address space
 * @g: attached to no other
 *
 * Devices that come to the group later have it, too.
 */
void vfio_ioas_attach(struct vfio_ioas *io, struct iommu_group *g);
/**
 * vfio_ioas_detach - take it from them again
 * @g: attached to @io
 *
 * When it returns no device of @g uses memory of @io; accesses that come later abort.
 */
void vfio_ioas_detach(struct vfio_ioas *io, struct iommu_group *g);

/**
 * vfio_ioas_replace - have the devices of a group use another address space
 * @g: attached to @from
 *
 * Accesses find the one or the other. When it returns no device of @g uses memory of @from.
 */
void vfio_ioas_replace(struct vfio_ioas *from, struct vfio_ioas *to, struct iommu_group *g);

/**
 * vfio_ioas_map - let devices reach [@vaddr, @vaddr + @size) at @iova
 * @iova: a multiple of 4 KiB
 * @vaddr: the program's memory, a multiple of 4 KiB
 * @size: bytes, a multiple of 4 KiB
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * The pages are faulted in with these rights, as pinning does, and counted against RLIMIT_MEMLOCK.
 *
 * Return: 0, or in this order: -EINVAL: @size is 0; -EOVERFLOW: a range wraps; -EINVAL: no right,
 * or not aligned; -EEXIST: something is mapped there; -ENOSPC: there are as many mappings as there
 * may be; -EINVAL: outside of vfio_ioas_limits(); -EFAULT: a page is not there, or not with these
 * rights; -ENOMEM: over the limit, or no memory; or a listener's.
 */
int vfio_ioas_map(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size,
		  unsigned prot);
/**
 * vfio_ioas_map_kept - the same for memory that its owner keeps until the unmap
 * @fd: the file that the memory is of, which is open until the unmap; -1: none
 * @fd_offset: where it is in there
 *
 * Of a guest, which has far more than devices use: nothing is faulted in, and nothing counted.
 * Devices of this process meet the pages as the program itself would; a listener who pins does it
 * by itself, and counts. What is not there any more when a device comes is a fault. Who has not
 * made the memory for this call asks before if there is a hole in it (iommu_check_mapped()).
 *
 * Return: as vfio_ioas_map(), but neither rights nor holes are looked at.
 */
int vfio_ioas_map_kept(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size,
		       unsigned prot, int fd, uint64_t fd_offset);
struct iommu_target;
/**
 * vfio_ioas_map_target - the same for memory that is none of this process
 * @t: who has it: iommu_target_new_memory() or iommu_target_new_file() (iommu/peer.h). The mapping
 * takes a reference; what @t itself needs lives until the unmap
 * @offset: bytes: where the memory is in @t; any
 *
 * Each access of a device is a call of @t. It is real memory: rights are looked at, writes are
 * dirty (iommu/domain.h), a fault names the IOVA. Nothing is pinned or counted. Of a device's
 * models, uvfio_dma_sg() does not find it (-E2BIG), and they copy.
 *
 * The unmap waits for accesses of this mapping that are under way, and for no others. So who
 * unmaps must first have those accesses end that wait for something of the unmapping thread, or of
 * the client that asked for the unmap and may answer nothing until it has an answer: with an error,
 * from then on until the unmap returns. The same before vfio_ioas_detach(), vfio_ioas_replace() and
 * the close of a device, for all accesses of its devices. Both hold the address space's lock
 * meanwhile, so @t must not call it.
 *
 * Return: as vfio_ioas_map(); -EOVERFLOW: also if @offset wraps.
 */
int vfio_ioas_map_target(struct vfio_ioas *io, uint64_t iova, uint64_t size, unsigned prot,
			 struct iommu_target *t, uint64_t offset);
/** vfio_ioas_fits - true if @pages more may be pinned now, by RLIMIT_MEMLOCK */
bool vfio_ioas_fits(struct vfio_system *s, uint64_t pages);
/**
 * vfio_ioas_unmap - unmap all mappings that lie in [@iova, @iova + @size)
 * @unmapped: gets how many bytes it was; 0 with an error
 *
 * When it returns no device and no listener uses their memory.
 *
 * Return: 0, also if there was none; -EINVAL: not aligned, @size is 0, or the range would cut a
 * mapping; -EOVERFLOW: it wraps. With an error nothing is unmapped.
 */
int vfio_ioas_unmap(struct vfio_ioas *io, uint64_t iova, uint64_t size, uint64_t *unmapped);

/* Limits of an address space, with those of its listeners. */
#define VFIO_IOAS_RANGES 16u
struct vfio_ioas_limits {
	unsigned num_ranges;
	struct vfio_iova_range ranges[VFIO_IOAS_RANGES]; /* by address; their ends are inclusive */
	uint64_t pgsizes; /* sizes of the IOMMU's pages, a bit each */
	uint32_t avail;	  /* so many mappings more can be made */
};
/**
 * vfio_ioas_limits - tell what can be mapped in @io now
 *
 * That is all but the window of interrupt messages, if no listener has limits of its own; else what
 * is within the limits of all.
 */
void vfio_ioas_limits(struct vfio_ioas *io, struct vfio_ioas_limits *out);
/**
 * vfio_ioas_limits_cut - cut @limits down to what is also within @by
 *
 * Of more ranges than there is room for, the first ones stay.
 */
void vfio_ioas_limits_cut(struct vfio_ioas_limits *limits, const struct vfio_ioas_limits *by);
/** vfio_ioas_limits_have - true if one range has [@iova, @iova + @size), which does not wrap */
bool vfio_ioas_limits_have(const struct vfio_ioas_limits *limits, uint64_t iova, uint64_t size);
/** vfio_ioas_limits_print - write the ranges, for a message: "0x0-0xfedfffff, 0xfef00000-0xffff" */
void vfio_ioas_limits_print(const struct vfio_ioas_limits *limits, char *text, size_t size);

/* A mapping, as a listener is told of it. */
struct vfio_ioas_range {
	uint64_t iova, size;
	unsigned prot;	/* IOMMU_READ, IOMMU_WRITE */
	uint64_t vaddr; /* where the program saw it when it mapped it; 0: only if @device */
	int fd;		/* the file that the memory is of, or -1: not known. Not the listener's. */
	uint64_t fd_offset;
	/*
	 * the program's mapping of a device's registers, which has no pages. @vaddr: it is the
	 * kernel's mapping of a real device's, and there now; else 0
	 */
	bool device;
	/* with @device: no registers, but memory that only calls reach (vfio_ioas_map_target()) */
	bool foreign;
	/* the program took some of it away since, and it is elsewhere now, where only we know */
	bool moved;
};

/*
 * One that is told of mappings: a device in another process, which has the memory from us; an IOMMU
 * of the kernel's, in which each is made once more. These calls come with the address space's lock
 * held: they may wait, but for nobody who waits for the address space, and do not call it.
 */
struct vfio_ioas_listener {
	/*
	 * @r is there; its memory is pinned. 0, or -errno: then it is not mapped, and the listeners
	 * that were told before are told the unmap.
	 */
	int (*map)(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r);
	/* @r goes, as it came. When this returns nobody uses it who has it by this listener. */
	void (*unmap)(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r);
	/*
	 * [@iova, @iova + @size) of @r is elsewhere in this process from now on, as @r says: the
	 * program's call waits. For one that reaches it by its address. NULL: for nobody such.
	 */
	void (*moved)(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r, uint64_t iova,
		      uint64_t size);
	/*
	 * Fill in what it can map, and take no lock that is held around vfio_ioas_listen(). A
	 * mapping outside is refused before @map is asked. Asked when the listener comes, when it
	 * says that its limits have changed, and for @avail each time. NULL: it has none.
	 */
	void (*limits)(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out);
	struct cds_list_head node; /* the address space's */
};

/**
 * vfio_ioas_listen - have @l told of the mappings that there are, and of each from now on
 * @l: lives until vfio_ioas_unlisten()
 *
 * Return: 0, or what @l answered for a mapping that there is: then it has been told the unmap of
 * those before, and is not called again.
 */
int vfio_ioas_listen(struct vfio_ioas *io, struct vfio_ioas_listener *l);
/** vfio_ioas_relisten - the limits of one who listens to @io have changed. */
void vfio_ioas_relisten(struct vfio_ioas *io);
/** vfio_ioas_unlisten - tell @l the unmap of all mappings, and nothing from then on. */
void vfio_ioas_unlisten(struct vfio_ioas *io, struct vfio_ioas_listener *l);
#endif
