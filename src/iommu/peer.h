/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/peer.h: memory of a device instead of the program's behind an IOVA, for DMA from device to
 * device. A page table holds addresses of memory; that of a peer is one that no memory of a program
 * can have: the top bit, a window's number, and an offset in a BAR. So the table, its splits and
 * its walk know nothing of peers, and only who is about to copy looks at the address.
 *
 * A target is a device that answers; it lives until the last window of it is gone, and answers
 * nobody any more once the device is lost. A window is a target's BAR as one mapping has it, and
 * can be revoked for good.
 *
 * Threads: any, without a lock. A device is called in a long section (base/rcu.h).
 */
#ifndef IOMMU_PEER_H
#define IOMMU_PEER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOMMU_PEER_BAR_BITS 40u /* a BAR is no larger (pci/bars.c) */

struct iommu_device;
struct iommu_target;
struct iommu_window;

/*
 * Carry out the access of @len bytes at @off of BAR @bar that @from makes. Of a read, @buf has ones
 * and keeps them where it is not answered. Returns 0; -EIO: nobody answers there; -EBUSY: the two
 * may not meet (pci/peer.c); -ELOOP: one led to the other too often.
 */
typedef int iommu_target_fn(void *arg, struct iommu_device *from, unsigned bar, uint64_t off,
			    void *buf, size_t len, bool write);

/** iommu_target_new - return a target with one reference, or NULL. @name is copied */
struct iommu_target *iommu_target_new(const char *name, iommu_target_fn *fn, void *arg);
void iommu_target_get(struct iommu_target *t);
void iommu_target_put(struct iommu_target *t); /* @t may be NULL */
/** iommu_target_lose - the device goes: nobody is in it any more when this returns */
void iommu_target_lose(struct iommu_target *t);

/**
 * iommu_window_new - make a window on BAR @bar of @t, with a reference of its own
 * @t: NULL: nobody will answer
 *
 * Return: it, or NULL: no memory.
 */
struct iommu_window *iommu_window_new(struct iommu_target *t, unsigned bar);
/**
 * iommu_window_free - take it away; no page table has an address of it any more
 *
 * Waits for accesses that are under way. @w may be NULL.
 */
void iommu_window_free(struct iommu_window *w);
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
};
/*
 * Look up @mem. Within rcu_read_begin/end; the target stays in a long section that is begun before
 * the end.
 */
void iommu_peer_find(const void *mem, struct iommu_peer_at *at);
/* Make the access, in a long section and no other. As iommu_target_fn; @at may have no target. */
int iommu_peer_access(const struct iommu_peer_at *at, struct iommu_device *from, void *buf,
		      size_t len, bool write);
/* Return the device's name. In a long section. */
const char *iommu_target_name(const struct iommu_target *t);
#endif
