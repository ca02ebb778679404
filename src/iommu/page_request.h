/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/page_request.h: page requests (PCIe 6.0, 10.4: the Page Request Interface, PRI): a device
 * asks for a page that is not mapped, waits for the answer, and tries again. What is asked in an
 * address space that has a fault queue waits there for its client to read and answer it; without
 * one the answer is "invalid" at once.
 *
 * Requests come in groups, which are asked and answered as a whole: the device says which request
 * is the last of its group. A device may have so many requests unanswered at a time, and memory for
 * these is there from the beginning: so none is ever lost. After a reset it may have as many again,
 * while its client still has the old ones to answer.
 *
 * A group leaves the queue before its device leaves the address space, answered "invalid", whoever
 * takes it out (iommu_device_attach()): so a queue never knows of a device that is gone.
 *
 * Threads: any. Lock order: iommu_fault_queue's > iommu_pri's > what a platform's `answered` takes;
 * @ready and @put are called with the queue's lock held. Nobody waits for devices (RCU) with one of
 * these: a device asks within rcu_read_begin and rcu_read_end.
 */
#ifndef IOMMU_PAGE_REQUEST_H
#define IOMMU_PAGE_REQUEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommu/pasid.h"

struct iommu_device;
struct iommu_domain;
struct iommu_fault_queue;

#define IOMMU_PAGE_READ	 1u
#define IOMMU_PAGE_WRITE 2u
#define IOMMU_PAGE_EXEC	 4u

/* PCIe 6.0, 10.4.2.1: response codes */
#define IOMMU_PAGE_SUCCESS 0u
#define IOMMU_PAGE_INVALID 1u

struct iommu_page_request {
	uint64_t addr;	/* of a page of 4 KiB */
	uint32_t pasid; /* or IOMMU_NO_PASID */
	uint32_t group;
	unsigned perm; /* IOMMU_PAGE_* */
	bool last;     /* of its group */
};

/* ---- a device's side ---- */

/**
 * iommu_pri_add - have @dev be one that raises page requests, @max of them at a time
 * @answered: called when there is an answer for iommu_page_answer(), by the thread that gave it;
 * must not wait for anybody
 *
 * Before @dev is used.
 *
 * Return: 0 or -ENOMEM.
 */
int iommu_pri_add(struct iommu_device *dev, unsigned max, void (*answered)(void *arg), void *arg);
/** iommu_pri_client - say by which number the client that has @dev knows it; 0: nobody has it */
void iommu_pri_client(struct iommu_device *dev, uint32_t number);
/**
 * iommu_page_request - have @dev raise @r
 *
 * Return: 0: it is on its way; -EFAULT: bus mastering is off; -EBUSY: as many are unanswered as
 * there may be.
 */
int iommu_page_request(struct iommu_device *dev, const struct iommu_page_request *r);
/**
 * iommu_page_answer - take the next answer to @dev
 * @last: gets the last request of the group
 *
 * Return: IOMMU_PAGE_*; -ENOENT: there is none.
 */
int iommu_page_answer(struct iommu_device *dev, struct iommu_page_request *last);
/** iommu_pri_reset - have @dev forget what it has asked; answers to that are lost */
void iommu_pri_reset(struct iommu_device *dev);
/**
 * iommu_page_present - true if @dev could access the page at @addr now with the rights @perm, as an
 * ATS translation request would say; takes no lock, counts no fault
 */
bool iommu_page_present(struct iommu_device *dev, uint64_t addr, unsigned perm, uint32_t pasid);

/* ---- a client's side ---- */

/** iommu_fault_queue_new - return a queue with one reference, or NULL: no memory */
struct iommu_fault_queue *iommu_fault_queue_new(void);
/** iommu_fault_queue_get - take one more reference */
void iommu_fault_queue_get(struct iommu_fault_queue *q);
/** iommu_fault_queue_put - give a reference back (@q may be NULL) */
void iommu_fault_queue_put(struct iommu_fault_queue *q);
/**
 * iommu_fault_queue_on_ready - have @fn called when there is something to read, and when there is
 * nothing any more; at once if there is something. NULL: nobody
 */
void iommu_fault_queue_on_ready(struct iommu_fault_queue *q, void (*fn)(void *arg, bool ready),
				void *arg);
/**
 * iommu_domain_set_faults - have the page requests of @d come to @q, of which it takes a reference
 *
 * Once, before a device uses @d.
 */
void iommu_domain_set_faults(struct iommu_domain *d, struct iommu_fault_queue *q);

/* A request as the client sees it. */
struct iommu_page_record {
	struct iommu_page_request r;
	uint32_t device; /* iommu_pri_client() */
	uint32_t cookie; /* of its group */
};
/**
 * iommu_fault_queue_read - give whole groups to the client, until there is none or no room for it
 * @room: how many requests there is room for
 * @put: gets the @i-th one. 0 or -errno: its group stays
 *
 * Return: how many requests; an error only if there is none: -EINVAL: there is no room for the
 * first group; -ENOMEM; @put's.
 */
long iommu_fault_queue_read(struct iommu_fault_queue *q, size_t room,
			    int (*put)(void *arg, size_t i, const struct iommu_page_record *rec),
			    void *arg);
/** iommu_fault_queue_answer - answer a group that was read: 0; -EINVAL: there is no such cookie */
int iommu_fault_queue_answer(struct iommu_fault_queue *q, uint32_t cookie, unsigned answer);

/* ---- for iommu/device.c ---- */

/**
 * iommu_page_requests_end - @dev does not use @old any more, and nothing of it is under way
 * @stays: what it uses has a fault queue, too
 */
void iommu_page_requests_end(struct iommu_device *dev, struct iommu_domain *old, uint32_t pasid,
			     bool stays);
/** iommu_pri_free - undo iommu_pri_add(), if that was done; @dev uses no address space */
void iommu_pri_free(struct iommu_device *dev);
#endif
