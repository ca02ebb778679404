/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/log.c: the tree of iommu/dirty.h, with memory for the ranges from the start: a client names
 * those that it has memory in. A page of the log is a power of two of bytes, so that any ranges
 * have their bits in the memory that they may take: to the tree, which knows pages of 4 KiB,
 * addresses are shifted.
 */
#include <errno.h>
#include <string.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "base/util.h"
#include "iommu/device.h"
#include "iommu/dirty.h"
#include "iommu/log.h"

#define PAGE_SHIFT 12u
#define BYTES_MAX  (32ull << 20) /* of bits, if nobody says another number */
#define IOVA_LAST  ((1ull << IOMMU_IOVA_BITS) - 1)
#define WINDOW	   4096u /* bytes of a bitmap that are looked at in one go */

struct iommu_log {
	struct iommu_dirty *pages;
	unsigned shift;
	unsigned n;
	struct iommu_log_range r[];
};

/* An address, as the tree is told it. */
static inline uint64_t scaled(const struct iommu_log *log, uint64_t iova)
{
	return iova >> (log->shift - PAGE_SHIFT);
}

void iommu_log_mark(struct iommu_log *log, uint64_t iova, uint64_t len)
{
	uint64_t first = scaled(log, iova);

	iommu_dirty_mark(log->pages, first, scaled(log, iova + len - 1) - first + 1);
}

static unsigned choose_shift(const struct iommu_log_range *r, unsigned n, unsigned shift,
			     uint64_t most)
{
	uint64_t bits;

	if (shift < PAGE_SHIFT)
		shift = PAGE_SHIFT;
	for (;; shift++) {
		bits = 0;
		for (unsigned i = 0; i < n; i++)
			if (r[i].first <= IOVA_LAST)
				bits += ((r[i].last < IOVA_LAST ? r[i].last : IOVA_LAST) >> shift) -
					(r[i].first >> shift) + 1;
		/* each range has one bit at least, and there are not so many of them */
		if (bits <= most * 8)
			return shift;
	}
}

static void log_free(struct iommu_log *log)
{
	if (!log)
		return;
	iommu_dirty_free(log->pages);
	heap_free(log);
}

static struct iommu_log *log_new(const struct iommu_log_range *r, unsigned n, unsigned shift,
				 uint64_t most)
{
	struct iommu_log *log = heap_alloc(sizeof(*log) + n * sizeof(log->r[0]));
	int ret = 0;

	if (!log)
		return NULL;
	log->shift = choose_shift(r, n, shift, most);
	log->pages = iommu_dirty_new();
	for (unsigned i = 0; i < n && log->pages && !ret; i++) {
		if (r[i].first > IOVA_LAST)
			continue; /* no device gets there */
		log->r[log->n] = r[i];
		if (log->r[log->n].last > IOVA_LAST)
			log->r[log->n].last = IOVA_LAST;
		ret = iommu_dirty_cover(log->pages, scaled(log, log->r[log->n].first),
					scaled(log, log->r[log->n].last));
		log->n++;
	}
	if (!log->pages || ret) {
		log_free(log);
		return NULL;
	}
	return log;
}

void iommu_log_bound(struct iommu_device *dev, uint64_t bytes)
{
	pthread_mutex_lock(&dev->log_lock);
	dev->log_bytes = bytes;
	pthread_mutex_unlock(&dev->log_lock);
}

int iommu_log_start(struct iommu_device *dev, const struct iommu_log_range *r, unsigned n,
		    unsigned *shift)
{
	struct iommu_log *log;
	int ret = 0;

	pthread_mutex_lock(&dev->log_lock);
	if (dev->log) {
		ret = -EINVAL;
	} else {
		log = log_new(r, n, *shift, dev->log_bytes ? dev->log_bytes : BYTES_MAX);
		if (log) {
			*shift = log->shift;
			rcu_set(dev->log, log);
		} else {
			ret = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&dev->log_lock);
	/* accesses that began before may not know of it yet */
	if (!ret)
		rcu_sync();
	return ret;
}

void iommu_log_stop(struct iommu_device *dev)
{
	struct iommu_log *log;

	pthread_mutex_lock(&dev->log_lock);
	log = rcu_swap(dev->log, NULL);
	pthread_mutex_unlock(&dev->log_lock);
	if (!log)
		return;
	rcu_sync();
	log_free(log);
}

/* Set the bits of @bitmap, of bytes from @first on, that stand for [@from, @to]. */
static void set_bits(uint64_t *bitmap, uint64_t first, unsigned shift, uint64_t from, uint64_t to)
{
	for (uint64_t bit = (from - first) >> shift; bit <= (to - first) >> shift; bit++)
		bitmap[bit / 64] |= 1ull << bit % 64;
}

/* True if [@from, @to], cut to @r, lies in [@first, @last]. */
static bool all_asked(const struct iommu_log_range *r, uint64_t from, uint64_t to, uint64_t first,
		      uint64_t last)
{
	return (from < r->first ? r->first : from) >= first &&
	       (to > r->last ? r->last : to) <= last;
}

/*
 * Take what is noted of [@first, @last], which lies in @r, into @bitmap, whose bit 0 is at @base. A
 * page of which only a part was asked about stays noted.
 */
static bool take(struct iommu_log *log, const struct iommu_log_range *r, uint64_t first,
		 uint64_t last, uint64_t base, unsigned shift, uint64_t *bitmap)
{
	uint64_t window[WINDOW / 8], size = 1ull << log->shift, span = UINT64_MAX;
	uint64_t end, at = align_down(first, size), from, to;
	bool any = false;

	if (size < UINT64_MAX / (WINDOW * 8))
		span = WINDOW * 8 * size;
	for (;; at = end + 1) {
		end = last - at < span ? last : at + span - 1;
		memset(window, 0, sizeof(window));
		if (iommu_dirty_read(log->pages, scaled(log, at), scaled(log, end), PAGE_SHIFT,
				     window, true)) {
			any = true;
			for (unsigned i = 0; i < WINDOW * 8; i++) {
				if (!(window[i / 64] >> i % 64 & 1))
					continue;
				from = at + i * size;
				to = from + size - 1;
				if (!all_asked(r, from, to, first, last))
					iommu_log_mark(log, from, size);
				set_bits(bitmap, base, shift, from < first ? first : from,
					 to > last ? last : to);
			}
		}
		if (end == last)
			return any;
	}
}

uint64_t iommu_log_next(struct iommu_device *dev, uint64_t at)
{
	uint64_t next = UINT64_MAX;

	pthread_mutex_lock(&dev->log_lock);
	for (unsigned i = 0; dev->log && i < dev->log->n; i++) {
		const struct iommu_log_range *r = &dev->log->r[i];

		if (r->last >= at && (r->first > at ? r->first : at) < next)
			next = r->first > at ? r->first : at;
	}
	pthread_mutex_unlock(&dev->log_lock);
	return next;
}

int iommu_log_read(struct iommu_device *dev, uint64_t first, uint64_t last, unsigned shift,
		   uint64_t *bitmap, bool *any)
{
	struct iommu_log *log;
	uint64_t from, to;

	pthread_mutex_lock(&dev->log_lock);
	log = dev->log;
	for (unsigned i = 0; log && i < log->n; i++) {
		const struct iommu_log_range *r = &log->r[i];

		from = r->first > first ? r->first : first;
		to = r->last < last ? r->last : last;
		if (from <= to && take(log, r, from, to, first, shift, bitmap))
			*any = true;
	}
	pthread_mutex_unlock(&dev->log_lock);
	return log ? 0 : -EINVAL;
}

void iommu_log_again(struct iommu_device *dev, uint64_t first, uint64_t last)
{
	uint64_t from, to;

	pthread_mutex_lock(&dev->log_lock);
	for (unsigned i = 0; dev->log && i < dev->log->n; i++) {
		const struct iommu_log_range *r = &dev->log->r[i];

		from = r->first > first ? r->first : first;
		to = r->last < last ? r->last : last;
		if (from <= to)
			iommu_log_mark(dev->log, from, to - from + 1);
	}
	pthread_mutex_unlock(&dev->log_lock);
}
