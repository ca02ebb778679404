/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/device.h: a requester: what a PCI function is to the IOMMU. Its DMA goes through the domain
 * it is attached to; what the IOMMU aborts is counted, logged with the device, IOVA, size and
 * direction, and reported to the caller.
 *
 * Threads: any, without a lock; attaching waits for accesses that are under way (RCU).
 */
#ifndef IOMMU_DEVICE_H
#define IOMMU_DEVICE_H
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/rcu.h"
#include "base/report.h"
#include "iommu/domain.h"

struct iommu_group;
struct iommu_log;
struct iommu_pasids;
struct iommu_pri;

/* An access that was aborted. */
struct iommu_fault {
	uint32_t pasid;
	uint64_t iova; /* the first address that failed */
	size_t len;    /* of the whole transaction */
	bool write;
	enum iommu_fault_reason reason;
};

/* What the driver does with a device while it may not master the bus. */
enum iommu_ending { IOMMU_RUNNING, IOMMU_RESETTING, IOMMU_CLOSING };

struct iommu_device {
	const char *name;	     /* "0000:01:00.0", not owned */
	struct iommu_domain *domain; /* RCU; a reference is held. NULL: every access aborts */
	/* the function may not master the bus (COMMAND.MASTER, D-state): kept by pci/ */
	atomic_bool blocked;
	atomic_uint ending; /* enum iommu_ending: why it is blocked, for the report */
	atomic_ullong faults;
	struct iommu_log *log;	     /* RCU (log.c); NULL: its writes are not logged */
	pthread_mutex_t log_lock;    /* who changes or reads it, and what follows; a leaf */
	uint64_t log_bytes;	     /* of its bits, at most; 0: nobody has said (log.c) */
	struct iommu_pasids *pasids; /* NULL: it has none; set before it is used */
	struct iommu_pri *pri;	     /* NULL: it raises no page requests; set before it is used */
	struct iommu_group *group;
	struct rcu_visits visits; /* its accesses of others' memory (peer.h) */
	/*
	 * there is no IOMMU before it: its domain is the physical memory. Set before the device is
	 * used; for the log.
	 */
	bool no_iommu;
	/*
	 * The function whose requester this is: what @park and @unpark, and the device that it
	 * reaches in another's BAR, are to know of it. @park lets go of what this thread holds of
	 * the requester while another device is called; true: @unpark takes it again, without any
	 * section. NULL: nothing is held.
	 */
	void *owner;
	bool (*park)(struct iommu_device *dev);
	void (*unpark)(struct iommu_device *dev);
};

/* Say that @dev is reset or closed: accesses that are under way end then, by nobody's mistake. */
static inline void iommu_device_set_ending(struct iommu_device *dev, enum iommu_ending why)
{
	atomic_store(&dev->ending, why);
}

/** iommu_device_init - make a requester that is attached to nothing. @name outlives it. */
void iommu_device_init(struct iommu_device *dev, const char *name);
/** iommu_device_fini - detach it */
void iommu_device_fini(struct iommu_device *dev);
/**
 * iommu_device_attach - have @dev use @d, with a reference of its own (NULL: nothing)
 *
 * Waits until nobody uses the old one, nor memory of others that is in it; page requests in it are
 * answered then. Callers that do so at once for one device exclude each other.
 */
void iommu_device_attach(struct iommu_device *dev, struct iommu_domain *d);
/**
 * iommu_dma_read - copy memory at @iova, for @dev
 *
 * The copy is guarded: memory that is gone is an error, not a crash. What is a BAR of a device is
 * read there (iommu/peer.h): ones, and an abort, if it does not answer. So is memory that is
 * somebody else's, for whose answer this waits.
 *
 * Return: 0, or -EFAULT: aborted, counted, logged; bytes before the failing page were copied.
 */
int iommu_dma_read(struct iommu_device *dev, uint64_t iova, void *buf, size_t len);
/** iommu_dma_read_pasid - the same with a PASID (iommu/pasid.h), or IOMMU_NO_PASID */
int iommu_dma_read_pasid(struct iommu_device *dev, uint32_t pasid, uint64_t iova, void *buf,
			 size_t len);
/** iommu_dma_write_pasid - to memory */
int iommu_dma_write_pasid(struct iommu_device *dev, uint32_t pasid, uint64_t iova, const void *buf,
			  size_t len);
/** iommu_dma_write - the same to memory, which is dirty then (iommu/domain.h) */
int iommu_dma_write(struct iommu_device *dev, uint64_t iova, const void *buf, size_t len);
/**
 * iommu_dma_sg - find the memory at [@iova, @iova + @len)
 * @write: the device will write it; it is dirty from now on (iommu/domain.h)
 * @iov: gets pieces, merged where memory is contiguous
 * @max: how many fit
 *
 * Between rcu_read_begin and rcu_read_end, until which the memory is the device's.
 *
 * Return: how many pieces; -EFAULT: aborted, counted, logged; -E2BIG: more than @max,
 * or some of it is no memory of this process: a device's BAR, or somebody else's memory; or a user
 * wants faults in it (fault/fault.h).
 */
int iommu_dma_sg(struct iommu_device *dev, uint64_t iova, size_t len, bool write, struct iovec *iov,
		 int max);
/**
 * iommu_dma_sum - a sum of what [@iova, @iova + @len) holds, by which a change is seen
 *
 * No DMA of the device's: nothing is logged, and it may be blocked. Any thread, takes no lock.
 *
 * Return: true; false: not all of it is mapped to memory of this process that can be read.
 */
bool iommu_dma_sum(struct iommu_device *dev, uint64_t iova, size_t len, uint64_t *sum);
/** iommu_fault_reason_text - return words for the log */
const char *iommu_fault_reason_text(enum iommu_fault_reason r);
#endif
