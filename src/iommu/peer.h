/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/peer.h: what is no memory of this process behind an IOVA: a BAR of a device, for DMA from
 * device to device; or memory that somebody else has, and that only calls reach. A page table holds
 * addresses of memory; that of a peer is one that no memory of a program can have: the top bit, a
 * window's number, and an offset in the window. So the table, its splits and its walk know nothing
 * of peers, and only who is about to copy looks at the address.
 *
 * A target is who answers; it lives until the last window of it is gone. A window is a part of it
 * as one mapping has it. There are two kinds:
 *  - A device, whose BARs are reached. It answers nobody any more once it is lost, and its window
 *    can be revoked for good. It is called in a long section (base/rcu.h): who takes decoding, a
 *    device or a mapping away waits until all such accesses of all devices are over.
 *  - Memory of somebody else: a client's that messages reach, a file. An access takes as long as
 *    its owner takes to answer, so nobody waits for it but who frees its window (the unmap of its
 *    mapping), and who has its requester leave the page table (iommu_device_attach()). Not who
 *    turns bus mastering off, or resets a device: what is under way then may still arrive.
 *
 * Threads: any, without a lock.
 */
#ifndef IOMMU_PEER_H
#define IOMMU_PEER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOMMU_PEER_BAR_BITS 40u /* a BAR is no larger (pci/bars.c), nor a window */

struct iommu_device;
struct iommu_target;
struct iommu_window;

/*
 * Carry out the access of @len bytes at @off of BAR @bar that @from makes. Of a read, @buf has ones
 * and keeps them where it is not answered. Returns 0 or -errno. Of a device: -EIO: nobody answers
 * there; -EBUSY: the two may not meet (pci/peer.c); -ELOOP: one led to the other too often;
 * -EHOSTDOWN: it is stopped. Of memory, any.
 *
 * Of memory: @bar is 0, @off is what the mapping's offset makes it, @len is any number. It comes
 * from several threads at once, without a lock of ours but those that the model which makes the
 * access holds; so it must not wait for another access of that device, nor for who frees the
 * window. It may wait for its owner, if its owner's death, and whoever is about to free a window of
 * it, end the wait with an error.
 */
typedef int iommu_target_fn(void *arg, struct iommu_device *from, unsigned bar, uint64_t off,
			    void *buf, size_t len, bool write);

/** iommu_target_new - return a target with one reference, or NULL. @name is copied */
struct iommu_target *iommu_target_new(const char *name, iommu_target_fn *fn, void *arg);
/** iommu_target_new_memory - the same of memory; @arg is not NULL, and lives as long as windows */
struct iommu_target *iommu_target_new_memory(const char *name, iommu_target_fn *fn, void *arg);
/**
 * iommu_target_new_file - the same of a file that is read and written where the access is, by pread
 * and pwrite; -EIO: it ends there
 * @fd: open as long as there are windows; as long as the target if there are none yet
 * @closes: it is private, and closed with the target's last reference
 */
struct iommu_target *iommu_target_new_file(const char *name, int fd, bool closes);
void iommu_target_get(struct iommu_target *t);
void iommu_target_put(struct iommu_target *t); /* @t may be NULL */
/** iommu_target_lose - the device (no memory) goes: nobody is in it any more when this returns */
void iommu_target_lose(struct iommu_target *t);

/**
 * iommu_window_new - make a window on BAR @bar of @t, with a reference of its own
 * @t: NULL: nobody will answer
 *
 * Return: it, or NULL: no memory.
 */
struct iommu_window *iommu_window_new(struct iommu_target *t, unsigned bar);
/** iommu_window_new_memory - the same on memory, whose byte @base is the window's first */
struct iommu_window *iommu_window_new_memory(struct iommu_target *t, uint64_t base);
/**
 * iommu_window_free - take it away; no page table has an address of it any more
 *
 * Waits for accesses that are under way: of a device's window, for all of devices; of memory's, for
 * those through it. @w may be NULL.
 */
void iommu_window_free(struct iommu_window *w);
/** iommu_windows_take - take @w away, and put it on @list for iommu_windows_free() */
void iommu_windows_take(struct iommu_window *w, struct iommu_window **list);
/** iommu_windows_free - wait once for all on @list (NULL: none), and free them */
void iommu_windows_free(struct iommu_window *list);
/**
 * iommu_window_revoke - let nobody through any more; who was let through is waited for by the
 * caller, once for all that it revokes (rcu_sync_all())
 */
void iommu_window_revoke(struct iommu_window *w);
/** iommu_window_address - return the address of @off in the BAR, for iommu_domain_map() */
uint64_t iommu_window_address(const struct iommu_window *w, uint64_t off);

/* True if @mem, from a page table, is an address in a window. */
static inline bool iommu_is_peer(const void *mem)
{
	return (intptr_t)mem < 0;
}

/* ---- for iommu/device.c ---- */

/* A peer's address, taken apart. */
struct iommu_peer_at {
	struct iommu_target *target; /* may be NULL */
	unsigned bar;
	uint64_t off;
	bool revoked;
	struct iommu_window *memory; /* the window, if it is memory's; else NULL */
	struct iommu_device *from;
	unsigned side, from_side; /* of the sections that iommu_peer_enter() began */
};
/*
 * Look up @mem for @from, and begin the section in which target, window and @from stay: a long one,
 * or for memory one of the window's and one of @from's. Within rcu_read_begin/end.
 */
void iommu_peer_enter(const void *mem, struct iommu_device *from, struct iommu_peer_at *at);
void iommu_peer_leave(struct iommu_peer_at *at);
/* Make the access, between the two, in no other section. As iommu_target_fn. */
int iommu_peer_access(const struct iommu_peer_at *at, void *buf, size_t len, bool write);
/* Return the target's name. In its section. */
const char *iommu_target_name(const struct iommu_target *t);
#endif
