/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/domain.h: a domain is an I/O page table: IOVA -> memory with rights. A radix tree with
 * leaves of 4 KiB, 2 MiB and 1 GiB (by the alignment of IOVA and size; memory needs page alignment
 * only). IOVA width 48 bits (57 is not offered). Beside 3 MiB, a mapping costs at most about 500
 * bytes, wherever it is; those that lie close together cost 8 a page, or less.
 *
 * Threads: any. Readers take no lock (RCU); writers serialise on the domain's mutex. Lock order:
 * vfio's locks > domain.lock. Nothing is called with domain.lock held. A function that waits for
 * devices (RCU) is not for a thread that is between rcu_read_begin and rcu_read_end.
 *
 * Dirty tracking: which pages devices have written. Domain by domain; while it is off, a write
 * costs one more load and a branch. What a reader can rely on, with devices at work:
 *  - A write that iommu_dma_write() began after iommu_domain_dirty_start() returned is noted. One
 *    that was under way is over when that returns.
 *  - A write is noted before iommu_dma_write() returns, so the read that comes next reports it. One
 *    that goes on during a read is reported by that read or by the next; none is lost.
 *  - Memory that iommu_dma_sg() hands out for writing counts as written at once, since nobody says
 *    when it is. A read that clears waits until the sections are over in which the pages that it
 *    reports were handed out: all that was written by then is in memory when it returns, and who
 *    gets at them later notes them again. A read that keeps does not wait: it reports the pages
 *    once more next time.
 *  - What was noted stays when a page is unmapped, so that it can be read afterwards, and is
 *    forgotten when something is mapped there again.
 *  - A write that was aborted half way has noted what it wrote.
 */
#ifndef IOMMU_DOMAIN_H
#define IOMMU_DOMAIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOMMU_READ	1u
#define IOMMU_WRITE	2u
#define IOMMU_IOVA_BITS 48u
/* x86: a write there is an interrupt message, not memory (Intel SDM 3A, 10.11.1); never mappable */
#define IOMMU_MSI_START 0xfee00000ull
#define IOMMU_MSI_END	0xfeefffffull

struct iommu_domain;
/** iommu_domain_new - return a table of nothing with one reference, or NULL: no memory */
struct iommu_domain *iommu_domain_new(void);
/** iommu_domain_set_whole - let the MSI range be mapped: no device goes through @d, which is new */
void iommu_domain_set_whole(struct iommu_domain *d);
/** iommu_domain_get - take one more reference */
void iommu_domain_get(struct iommu_domain *d);
/** iommu_domain_put - give a reference back (@d may be NULL); with the last one the table goes */
void iommu_domain_put(struct iommu_domain *d);

/**
 * iommu_domain_map - map [@mem, @mem + @size) at @iova, all of it or nothing
 * @iova: a multiple of 4 KiB
 * @mem: memory of this process, or an address of iommu/peer.h, a multiple of 4 KiB; not looked at
 * @size: bytes, a multiple of 4 KiB
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Return: 0; -EINVAL: alignment, @size is 0, a range wraps, beyond the width, in the MSI range, no
 * right, @mem is NULL; -EEXIST: some of it is mapped; -ENOMEM.
 */
int iommu_domain_map(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size,
		     unsigned prot);
/**
 * iommu_domain_unmap - unmap everything that is mapped in [@iova, @iova + @size)
 *
 * Leaves at the ends are split. That needs no memory when the range covers whole mappings; if there
 * is none, nothing is unmapped, with a line in the log. Waits for devices: when it returns none
 * uses the memory.
 *
 * Return: the bytes that were unmapped.
 */
uint64_t iommu_domain_unmap(struct iommu_domain *d, uint64_t iova, uint64_t size);
/**
 * iommu_domain_split - have no leaf reach over @iova, so that an unmap that ends there needs no
 * memory
 *
 * Return: 0 or -ENOMEM.
 */
int iommu_domain_split(struct iommu_domain *d, uint64_t iova);
/**
 * iommu_domain_remap - have the pages at [@iova, @iova + @size) be found at @mem from now on
 * @mem: where they are, since the program took its own view of them away
 *
 * Rights stay. Waits for devices: when it returns none uses the old memory.
 *
 * Return: 0; -EINVAL: as iommu_domain_map(); -ENOENT: not all of it is mapped; -ENOMEM. With an
 * error all is as it was.
 */
int iommu_domain_remap(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size);

/* Reasons why an access was aborted. */
enum iommu_fault_reason {
	IOMMU_OK,
	IOMMU_NOT_MAPPED,
	IOMMU_NO_RIGHT,
	IOMMU_NO_DOMAIN,
	IOMMU_BAD_MEMORY, /* the program unmapped it by a way that uvfio cannot see */
	IOMMU_NO_MEMORY,  /* no IOMMU, and no memory there */
	IOMMU_BLOCKED,	  /* bus mastering off, D3 */
	/* it is a BAR of another device (iommu/peer.h) ... */
	IOMMU_PEER_SILENT,  /* that does not answer */
	IOMMU_PEER_REVOKED, /* whose dma-buf was revoked */
	IOMMU_PEER_BUSY,    /* and the two could wait for each other */
	IOMMU_PEER_LOOP,    /* and it is not the first on this way */
	IOMMU_PEER_STOPPED, /* that is stopped for a migration */
	IOMMU_PEER_SECTION, /* and the requester is in an RCU section */
	/* it is memory of somebody else (iommu/peer.h) ... */
	IOMMU_FOREIGN_SECTION, /* and the requester is in an RCU section */
	IOMMU_FOREIGN_FAILED   /* whose owner answers with an error, or not at all */
};
/**
 * iommu_domain_translate - find the memory at @iova
 * @prot: rights that it must have
 * @contig: gets how many bytes from there lie in the same leaf
 * @why: gets IOMMU_OK, or the reason
 *
 * Between rcu_read_begin and rcu_read_end, until which the memory stays.
 *
 * Return: the memory, or NULL.
 */
void *iommu_domain_translate(const struct iommu_domain *d, uint64_t iova, unsigned prot,
			     uint64_t *contig, enum iommu_fault_reason *why);

/**
 * iommu_domain_nearest - find what is mapped next to @iova, for a message
 * @below: gets a range that ends at @iova or below
 * @above: gets one that begins above @iova; both: size 0: there is none
 *
 * Neighbours whose memory is contiguous, too, are one range, up to some size. Between
 * rcu_read_begin and rcu_read_end.
 */
struct report_range;
void iommu_domain_nearest(const struct iommu_domain *d, uint64_t iova, struct report_range *below,
			  struct report_range *above);

/**
 * iommu_domain_dirty_start - note from now on which pages devices write
 *
 * If that is on already, what was noted is forgotten. While it is on, iommu_domain_map() needs
 * memory for a bit a page. Waits for devices.
 *
 * Return: 0, or -ENOMEM: then it is off.
 */
int iommu_domain_dirty_start(struct iommu_domain *d);
/** iommu_domain_dirty_stop - note nothing any more, and forget. Waits for devices. */
void iommu_domain_dirty_stop(struct iommu_domain *d);
/**
 * iommu_domain_dirty_read - tell which pages were written
 * @iova: a multiple of @pgsize
 * @size: bytes, a multiple of @pgsize
 * @pgsize: bytes that a bit stands for, a power of two from 4 KiB on; it is set if any page in it
 * was written
 * @clear: forget what is told; waits for devices. Else nothing changes.
 * @bitmap: bit 0 is the page at @iova; bits are set, and none is cleared
 *
 * Return: 0; -EINVAL: arguments, or tracking is off.
 */
int iommu_domain_dirty_read(struct iommu_domain *d, uint64_t iova, uint64_t size, uint64_t pgsize,
			    bool clear, uint64_t *bitmap);
#endif
