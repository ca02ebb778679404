/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/device.c: DMA of one requester. A transfer is one transaction to its caller: it is done, or
 * it is aborted at the first byte that it may not touch (what came before may have been
 * transferred, as on a bus), counted once and logged once.
 *
 * The copying is guarded: the program may have unmapped memory by a way that nobody saw, and then
 * the device is told so, not killed. Memory that is there, but whose protection the program changed
 * since, is the device's as before (base/reach.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/defined.h"
#include "base/event.h"
#include "base/guard.h"
#include "base/rcu.h"
#include "base/reach.h"
#include "base/util.h"
#include "fault/fault.h"
#include "iommu/device.h"
#include "iommu/internal.h"
#include "iommu/log.h"
#include "iommu/page_request.h"
#include "iommu/pasid.h"
#include "iommu/peer.h"

void iommu_device_init(struct iommu_device *dev, const char *name)
{
	memset(dev, 0, sizeof(*dev));
	dev->name = name;
	pthread_mutex_init(&dev->log_lock, NULL);
}

void iommu_device_fini(struct iommu_device *dev)
{
	iommu_device_attach(dev, NULL);
	iommu_pasid_free(dev);
	iommu_log_stop(dev);
	iommu_pri_free(dev);
	pthread_mutex_destroy(&dev->log_lock);
}

void iommu_device_attach(struct iommu_device *dev, struct iommu_domain *d)
{
	struct iommu_domain *old;

	if (d)
		iommu_domain_get(d);
	EVENT(EVENT_ATTACH, .who = dev->name, .space = d);
	old = rcu_swap(dev->domain, d);
	if (old) {
		rcu_sync_all();
		rcu_visits_wait(&dev->visits);
		iommu_page_requests_end(dev, old, IOMMU_NO_PASID, d && d->faults);
		iommu_domain_put(old);
	}
}

const char *iommu_fault_reason_text(enum iommu_fault_reason r)
{
	switch (r) {
	case IOMMU_OK:
		return "no fault";
	case IOMMU_NOT_MAPPED:
		return "not mapped";
	case IOMMU_NO_RIGHT:
		return "mapped without this right";
	case IOMMU_NO_DOMAIN:
		return "the device is attached to no I/O address space";
	case IOMMU_BAD_MEMORY:
		return "mapped, but no memory of the program is there any more";
	case IOMMU_NO_MEMORY:
		return "there is no IOMMU, and this is no physical address of memory that the "
		       "program has (/proc/self/pagemap tells them)";
	case IOMMU_BLOCKED:
		return "bus mastering is off, or the device is stopped for a migration";
	case IOMMU_PEER_SILENT:
		return "unsupported request: it decodes no memory, sleeps, is gone, or refused it";
	case IOMMU_PEER_REVOKED:
		return "the dma-buf was revoked (memory decoding off, D3, reset, or closed)";
	case IOMMU_PEER_BUSY:
		return "the models of both are concurrent, and might wait for each other";
	case IOMMU_PEER_LOOP:
		return "accesses of devices to devices led on for too long";
	case IOMMU_PEER_STOPPED:
		return "it is stopped for a migration";
	case IOMMU_PEER_SECTION:
		return "it is a BAR, which cannot be reached between uvfio_dma_begin and _end";
	case IOMMU_FOREIGN_SECTION:
		return "memory of another process cannot be reached between uvfio_dma_begin and "
		       "_end";
	case IOMMU_FOREIGN_FAILED:
		return "refused by who has the memory";
	}
	return "unknown";
}

/* Return the code for @r: for each another thing is wrong with the driver. */
static const struct report_code *fault_code(enum iommu_fault_reason r, unsigned ending)
{
	REPORT_CODE(not_mapped, LOG_WARN, REPORT_LIMITED("dma-unmapped"));
	REPORT_CODE(no_right, LOG_WARN, REPORT_LIMITED("dma-rights"));
	REPORT_CODE(no_domain, LOG_WARN, REPORT_LIMITED("dma-no-domain"));
	REPORT_CODE(bad_memory, LOG_WARN, REPORT_LIMITED("dma-freed"));
	REPORT_CODE(no_memory, LOG_WARN, REPORT_LIMITED("dma-no-memory"));
	REPORT_CODE(blocked, LOG_WARN, REPORT_LIMITED("dma-blocked"));
	REPORT_CODE(reset, LOG_INFO, REPORT_LIMITED("dma-reset"));
	REPORT_CODE(closed, LOG_INFO, REPORT_LIMITED("leak-dma"));
	REPORT_CODE(peer, LOG_WARN, REPORT_LIMITED("dma-peer"));
	REPORT_CODE(foreign, LOG_WARN, REPORT_LIMITED("dma-foreign"));

	switch (r) {
	case IOMMU_NO_RIGHT:
		return &no_right;
	case IOMMU_NO_DOMAIN:
		return &no_domain;
	case IOMMU_BAD_MEMORY:
		return &bad_memory;
	case IOMMU_NO_MEMORY:
		return &no_memory;
	case IOMMU_BLOCKED:
		return ending == IOMMU_CLOSING	   ? &closed
		       : ending == IOMMU_RESETTING ? &reset
						   : &blocked;
	case IOMMU_PEER_SILENT:
	case IOMMU_PEER_REVOKED:
	case IOMMU_PEER_BUSY:
	case IOMMU_PEER_LOOP:
	case IOMMU_PEER_STOPPED:
	case IOMMU_PEER_SECTION:
		return &peer;
	case IOMMU_FOREIGN_SECTION:
	case IOMMU_FOREIGN_FAILED:
		return &foreign;
	default:
		return &not_mapped;
	}
}

#define PASID_TEXT 24u

/* Return words for the log, in @buf; of no PASID none. */
static const char *pasid_text(char buf[PASID_TEXT], uint32_t pasid)
{
	buf[0] = '\0';
	if (pasid != IOMMU_NO_PASID)
		snprintf(buf, PASID_TEXT, " of PASID %u", pasid);
	return buf;
}

/*
 * Look where @iova is in @d (or NULL), for who wants to know: within rcu_read_begin/end. The line
 * is written later, maybe out of it.
 */
static struct report_about look_around(const struct iommu_domain *d, uint64_t iova)
{
	struct report_about about = { .access = REPORT_DMA, .space = d };

	if (d && event_wanted(EVENT_MAP))
		iommu_domain_nearest(d, iova, &about.below, &about.above);
	return about;
}

static void count_fault(struct iommu_device *dev, const struct iommu_fault *f,
			struct report_about about)
{
	char pasid[PASID_TEXT];

	atomic_fetch_add_explicit(&dev->faults, 1, memory_order_relaxed);
	about.write = f->write;
	about.at = f->iova;
	about.size = f->len;
	report_say_about(fault_code(f->reason, atomic_load(&dev->ending)), dev->name, 0, &about,
			 "DMA fault: %s of %zu bytes at IOVA %#llx%s: %s",
			 f->write ? "write" : "read", f->len, (unsigned long long)f->iova,
			 pasid_text(pasid, f->pasid), iommu_fault_reason_text(f->reason));
}

static int abort_pasid(struct iommu_device *dev, uint32_t pasid, uint64_t iova, size_t len,
		       bool write, enum iommu_fault_reason why, struct report_about about)
{
	struct iommu_fault f = {
		.pasid = pasid, .iova = iova, .len = len, .write = write, .reason = why
	};

	if (dev->no_iommu && why == IOMMU_NOT_MAPPED)
		f.reason = IOMMU_NO_MEMORY;
	count_fault(dev, &f, about);
	return -EFAULT;
}

static int abort_at(struct iommu_device *dev, const struct iommu_domain *d, uint64_t iova,
		    size_t len, bool write, enum iommu_fault_reason why)
{
	return abort_pasid(dev, IOMMU_NO_PASID, iova, len, write, why, look_around(d, iova));
}

/* Return the domain to go through, or NULL and why not. Within rcu_read_begin/end. */
static inline const struct iommu_domain *domain_of(struct iommu_device *dev, uint32_t pasid,
						   enum iommu_fault_reason *why)
{
	const struct iommu_domain *d = __builtin_expect(pasid != IOMMU_NO_PASID, 0)
					       ? iommu_pasid_domain(dev, pasid)
					       : rcu_get(dev->domain);

	if (atomic_load_explicit(&dev->blocked, memory_order_acquire)) {
		*why = IOMMU_BLOCKED;
		return NULL;
	}
	if (!d)
		*why = IOMMU_NO_DOMAIN;
	return d;
}

/*
 * Copy [@mem, @mem + @n), of which the program may have changed the protection. Returns how much
 * could be.
 */
static size_t transfer(char *mem, char *buf, size_t n, bool write)
{
	size_t done = write ? guard_copy_part(mem, buf, n) : guard_copy_part(buf, mem, n);

	if (__builtin_expect(done < n, 0))
		done += write ? reach_write(mem + done, buf + done, n - done)
			      : reach_read(buf + done, mem + done, n - done);
	if (write)
		defined_mark(mem, done);
	return done;
}

/*
 * Mark what a device wrote, or is about to write, within rcu_read_begin/end. The page was reached
 * in the same section: so it has a bit.
 */
static inline void mark_dirty(struct iommu_device *dev, const struct iommu_domain *d, uint64_t iova,
			      size_t len)
{
	struct iommu_dirty *dirty = rcu_get(d->dirty);
	struct iommu_log *log = rcu_get(dev->log);

	if (__builtin_expect(dirty && len, 0))
		iommu_dirty_mark(dirty, iova, len);
	if (__builtin_expect(log && len, 0))
		iommu_log_mark(log, iova, len);
}

/* ---- from device to device ---- */

static enum iommu_fault_reason peer_reason(int err)
{
	switch (err) {
	case 0:
		return IOMMU_OK;
	case -EBUSY:
		return IOMMU_PEER_BUSY;
	case -ELOOP:
		return IOMMU_PEER_LOOP;
	case -EHOSTDOWN:
		return IOMMU_PEER_STOPPED;
	default:
		return IOMMU_PEER_SILENT;
	}
}

/* Count and tell the fault of an access at @at, with both names. @err: the answer of memory. */
static void peer_fault(struct iommu_device *dev, uint32_t pasid, const struct iommu_peer_at *at,
		       uint64_t iova, size_t len, bool write, enum iommu_fault_reason why, int err)
{
	const char *name = at->target ? iommu_target_name(at->target) : "no device";
	const char *kind = write ? "write" : "read";
	char text[PASID_TEXT];

	atomic_fetch_add_explicit(&dev->faults, 1, memory_order_relaxed);
	pasid_text(text, pasid);
	if (at->memory)
		report_say(fault_code(why, atomic_load(&dev->ending)), dev->name, err,
			   "DMA fault: %s of %zu bytes at IOVA %#llx%s, memory of %s at 0x%llx: %s",
			   kind, len, (unsigned long long)iova, text, name,
			   (unsigned long long)at->off, iommu_fault_reason_text(why));
	else
		report_say(fault_code(why, atomic_load(&dev->ending)), dev->name, 0,
			   "DMA fault: %s of %zu bytes at IOVA %#llx%s, BAR%u of %s at 0x%llx: %s",
			   kind, len, (unsigned long long)iova, text, at->bar, name,
			   (unsigned long long)at->off, iommu_fault_reason_text(why));
}

/*
 * Make the access of @len bytes at @mem, which is no memory of this process; what is not read is
 * ones. Called within rcu_read_begin/end, and returns so, but is out of it while the other device,
 * or the memory's owner, is asked: whatever was read before has to be read again.
 */
static enum iommu_fault_reason peer(struct iommu_device *dev, uint32_t pasid, const void *mem,
				    uint64_t iova, void *buf, size_t len, bool write)
{
	enum iommu_fault_reason why = IOMMU_PEER_REVOKED;
	struct iommu_peer_at at;
	bool parked = false;
	int err = 0;

	if (!write) /* unless it is answered */
		memset(buf, 0xff, len);
	iommu_peer_enter(mem, dev, &at);
	rcu_read_end();
	if (!at.revoked && rcu_reading()) {
		why = at.memory ? IOMMU_FOREIGN_SECTION : IOMMU_PEER_SECTION;
	} else if (!at.revoked) {
		parked = dev->park && dev->park(dev);
		err = iommu_peer_access(&at, buf, len, write);
		why = !at.memory ? peer_reason(err) : err ? IOMMU_FOREIGN_FAILED : IOMMU_OK;
	}
	if (why != IOMMU_OK)
		peer_fault(dev, pasid, &at, iova, len, write, why, err);
	iommu_peer_leave(&at);
	if (parked)
		dev->unpark(dev);
	rcu_read_begin();
	return why;
}

static int transact(struct iommu_device *dev, uint32_t pasid, uint64_t iova, void *buf, size_t len,
		    bool write)
{
	unsigned prot = write ? IOMMU_WRITE : IOMMU_READ;
	enum iommu_fault_reason why = IOMMU_OK;
	const struct iommu_domain *d;
	size_t done = 0, n, copied, marked = 0;
	struct report_about about;
	uint64_t contig;
	char *mem;

	if (!len)
		return 0;
	rcu_read_begin();
	d = domain_of(dev, pasid, &why);
	if (!d)
		goto out;
	while (done < len) {
		/*
		 * past the end of the address space is not mapped; iova + done does not come round
		 */
		if (__builtin_expect(add_overflows(iova, done), 0)) {
			why = IOMMU_NOT_MAPPED;
			break;
		}
		mem = iommu_domain_translate(d, iova + done, prot, &contig, &why);
		if (!mem)
			break;
		n = len - done < contig ? len - done : (size_t)contig;
		if (__builtin_expect(iommu_is_peer(mem), 0)) {
			if (write)
				mark_dirty(dev, d, iova + marked, done + n - marked);
			marked = done + n;
			why = peer(dev, pasid, mem, iova + done, (char *)buf + done, n, write);
			if (why != IOMMU_OK) {
				rcu_read_end();
				EVENT(EVENT_DMA, .who = dev->name, .at = iova, .size = len,
				      .write = write, .err = (int)why);
				return -EFAULT;
			}
			done += n;
			/* the address space may be gone, which is no fault of what is done */
			d = done < len ? domain_of(dev, pasid, &why) : NULL;
			if (!d)
				break;
			continue;
		}
		if (!write)
			EVENT(EVENT_READING, .space = d, .at = iova + done, .size = n, .mem = mem,
			      .who = dev->name);
		copied = transfer(mem, (char *)buf + done, n, write);
		done += copied;
		if (copied < n) {
			why = IOMMU_BAD_MEMORY;
			break;
		}
	}
	if (write && d)
		mark_dirty(dev, d, iova + marked, done - marked);
out:
	if (__builtin_expect(why != IOMMU_OK, 0))
		about = look_around(d, iova + done);
	rcu_read_end();
	EVENT(EVENT_DMA, .who = dev->name, .at = iova, .size = len, .write = write, .data = buf,
	      .err = (int)why);
	return why == IOMMU_OK ? 0 : abort_pasid(dev, pasid, iova + done, len, write, why, about);
}

/*
 * Have one byte be another one, of what was read, or of what was written: the caller's buffer is as
 * it was then.
 */
static int corrupt(struct iommu_device *dev, uint32_t pasid, uint64_t iova, uint8_t *buf,
		   size_t len, bool write, uint64_t random)
{
	size_t at = (size_t)(random % len);
	uint8_t other = buf[at] ^ (uint8_t)(1u << (random >> 61));

	if (write)
		return transact(dev, pasid, iova + at, &other, 1, true);
	buf[at] = other;
	return 0;
}

/* A transaction while a user wants faults of this kind. */
static int dma_faulty(struct iommu_device *dev, uint32_t pasid, uint64_t iova, void *buf,
		      size_t len, bool write)
{
	const struct fault_where w = { .device = dev->name, .at = iova, .size = len };
	struct fault f = { .action = FAULT_COUNT };
	int ret;

	if (fault_at(write ? FAULT_DMA_WRITE : FAULT_DMA_READ, &w, &f) && f.action == FAULT_ABORT) {
		atomic_fetch_add_explicit(&dev->faults, 1, memory_order_relaxed);
		return -EFAULT;
	}
	if (f.action == FAULT_DELAY)
		fault_sleep(f.param);
	ret = transact(dev, pasid, iova, buf, len, write);
	if (!ret && f.action == FAULT_CORRUPT)
		ret = corrupt(dev, pasid, iova, buf, len, write, f.param);
	return ret;
}

static inline int dma(struct iommu_device *dev, uint32_t pasid, uint64_t iova, void *buf,
		      size_t len, bool write)
{
	if (fault_wanted(write ? FAULT_DMA_WRITE : FAULT_DMA_READ) && len)
		return dma_faulty(dev, pasid, iova, buf, len, write);
	return transact(dev, pasid, iova, buf, len, write);
}

int iommu_dma_read(struct iommu_device *dev, uint64_t iova, void *buf, size_t len)
{
	return dma(dev, IOMMU_NO_PASID, iova, buf, len, false);
}

int iommu_dma_read_pasid(struct iommu_device *dev, uint32_t pasid, uint64_t iova, void *buf,
			 size_t len)
{
	return dma(dev, pasid, iova, buf, len, false);
}

int iommu_dma_write(struct iommu_device *dev, uint64_t iova, const void *buf, size_t len)
{
	return dma(dev, IOMMU_NO_PASID, iova, (void *)buf, len, true);
}

int iommu_dma_write_pasid(struct iommu_device *dev, uint32_t pasid, uint64_t iova, const void *buf,
			  size_t len)
{
	return dma(dev, pasid, iova, (void *)buf, len, true);
}

int iommu_dma_sg(struct iommu_device *dev, uint64_t iova, size_t len, bool write, struct iovec *iov,
		 int max)
{
	unsigned prot = write ? IOMMU_WRITE : IOMMU_READ;
	enum iommu_fault_reason why = IOMMU_OK;
	const struct iommu_domain *d;
	uint64_t contig;
	size_t done = 0, n;
	int pieces = 0;
	char *mem;

	if (!len)
		return 0;
	/* where faults are wanted all is copied, for one place to see it */
	if (fault_wanted(write ? FAULT_DMA_WRITE : FAULT_DMA_READ))
		return -E2BIG;
	d = domain_of(dev, IOMMU_NO_PASID, &why);
	if (!d)
		return abort_at(dev, d, iova, len, write, why);
	while (done < len) {
		if (__builtin_expect(add_overflows(iova, done), 0))
			return abort_at(dev, d, iova + done, len, write, IOMMU_NOT_MAPPED);
		mem = iommu_domain_translate(d, iova + done, prot, &contig, &why);
		if (!mem)
			return abort_at(dev, d, iova + done, len, write, why);
		if (iommu_is_peer(mem))
			return -E2BIG;
		n = len - done < contig ? len - done : (size_t)contig;
		if (write)
			defined_mark(mem, n);
		else
			EVENT(EVENT_READING, .space = d, .at = iova + done, .size = n, .mem = mem,
			      .who = dev->name);
		if (pieces && (char *)iov[pieces - 1].iov_base + iov[pieces - 1].iov_len == mem) {
			iov[pieces - 1].iov_len += n;
		} else {
			if (pieces >= max)
				return -E2BIG;
			iov[pieces].iov_base = mem;
			iov[pieces++].iov_len = n;
		}
		done += n;
	}
	if (write)
		mark_dirty(dev, d, iova, len);
	EVENT(EVENT_DMA, .who = dev->name, .at = iova, .size = len, .write = write);
	return pieces;
}
