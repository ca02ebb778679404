/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/dma_log.c: the log of a device's DMA writes for a client: its ranges are checked, and its
 * bitmap is filled a piece at a time.
 */
#include <errno.h>
#include <string.h>

#include "base/client.h"
#include "base/heap.h"
#include "base/rcu.h"
#include "base/util.h"
#include "vfio/dma_log.h"
#include "vfio/stream.h"

#define PIECE	   4096u /* bytes of the bitmap */
#define PIECE_BITS (PIECE * 8ull)

/* Return who logs instead of our IOMMU, which sees nothing of that device; or NULL. */
static const struct vfio_migrate_relay *relay_of(struct vfio_open *o)
{
	return o->dev->migrate ? vfio_migrate_relay_of(o->dev->migrate) : NULL;
}

/* Forget what a relay logs. With the lock. */
static void drop_ranges(struct vfio_migrate *m)
{
	heap_free(m->log);
	m->log = NULL;
	m->num_log = 0;
}

/* Have a relay log, and note what: a report asks for nothing else. */
static int start_relay(struct vfio_open *o, const struct vfio_device_feature_dma_logging_range *r,
		       unsigned n, uint64_t *page_size)
{
	struct vfio_device_feature_dma_logging_range *log = heap_array(n, sizeof(*log));
	struct vfio_migrate *m = o->dev->migrate;
	int ret;

	if (!log)
		return -ENOMEM;
	memcpy(log, r, n * sizeof(*log));
	pthread_mutex_lock(&m->lock);
	ret = m->relay->log_start(o->dev, r, n, page_size);
	if (ret) {
		heap_free(log);
	} else {
		drop_ranges(m);
		m->log = log;
		m->num_log = n;
	}
	vfio_migrate_unlock(m);
	return ret;
}

static void stop_relay(struct vfio_open *o)
{
	struct vfio_migrate *m = o->dev->migrate;

	pthread_mutex_lock(&m->lock);
	m->relay->log_stop(o->dev);
	drop_ranges(m);
	vfio_migrate_unlock(m);
}

static int check_range(const struct vfio_device_feature_dma_logging_range *r, uint64_t page_size)
{
	if ((r->iova | r->length) & (page_size - 1))
		return -EINVAL;
	if (r->length && add_overflows(r->iova, r->length))
		return -EOVERFLOW;
	return r->length ? 0 : -EINVAL;
}

int vfio_dma_log_start(struct vfio_open *o, const struct vfio_device_feature_dma_logging_range *r,
		       unsigned n, uint64_t *page_size)
{
	struct iommu_log_range *ranges;
	unsigned shift;
	int ret = 0;

	if (!is_pow2(*page_size))
		return -EINVAL;
	ranges = heap_array(n, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	for (unsigned i = 0; i < n && !ret; i++) {
		ret = check_range(&r[i], *page_size);
		if (ret)
			break;
		ranges[i] = (struct iommu_log_range){ r[i].iova, r[i].iova + r[i].length - 1 };
		for (unsigned k = 0; k < i; k++)
			if (ranges[i].first <= ranges[k].last && ranges[k].first <= ranges[i].last)
				ret = -EINVAL;
	}
	shift = (unsigned)__builtin_ctzll(*page_size);
	if (!ret && relay_of(o))
		ret = start_relay(o, r, n, page_size);
	else if (!ret)
		ret = iommu_log_start(o->dev->iommu, ranges, n, &shift);
	if (!ret && !relay_of(o))
		*page_size = 1ull << shift;
	heap_free(ranges);
	return ret;
}

void vfio_dma_log_stop(struct vfio_open *o)
{
	if (relay_of(o))
		stop_relay(o);
	else
		iommu_log_stop(o->dev->iommu);
}

/* Set the bits of @bits in the @n bytes of the client's at @addr. 0 or -EFAULT. */
static int set_bits(uintptr_t addr, const uint8_t *bits, size_t n)
{
	uint8_t now[PIECE];

	if (client_get(now, addr, n))
		return -EFAULT;
	for (size_t i = 0; i < n; i++)
		now[i] |= bits[i];
	return client_put(addr, now, n) ? -EFAULT : 0;
}

/* Note again what @bits say was written from @first on. */
static void take_back(struct iommu_device *dev, uint64_t first, unsigned shift,
		      const uint64_t *bits)
{
	for (unsigned i = 0; i < PIECE_BITS; i++)
		if (bits[i / 64] >> i % 64 & 1)
			iommu_log_again(dev, first + ((uint64_t)i << shift),
					first + ((uint64_t)i << shift) + ((1ull << shift) - 1));
}

/* Report [@first, @last], whose bits fit in a piece that begins with the byte at @addr. */
static int report_piece(struct iommu_device *dev, uint64_t first, uint64_t last, unsigned shift,
			uintptr_t addr, uint64_t *bits, bool *written)
{
	bool any = false;
	int ret;

	memset(bits, 0, PIECE);
	ret = iommu_log_read(dev, first, last, shift, bits, &any);
	if (ret || !any)
		return ret;
	ret = set_bits(addr, (const uint8_t *)bits, (size_t)((last - first) >> shift) / 8 + 1);
	if (ret)
		take_back(dev, first, shift, bits);
	*written = true;
	return ret;
}

/* Ask a relay for [@first, @last], whose bits fit in a piece that begins with the byte at @addr. */
static int relay_piece(struct vfio_open *o, uint64_t first, uint64_t last, unsigned shift,
		       uintptr_t addr, uint8_t *bits)
{
	size_t bytes = (size_t)((last - first) >> shift) / 8 + 1;
	int ret;

	memset(bits, 0, PIECE);
	/* what is not there is found before that one forgets what it tells */
	ret = set_bits(addr, bits, bytes);
	if (!ret)
		ret = relay_of(o)->log_report(o->dev, first, last - first + 1, 1ull << shift, bits,
					      bytes);
	return ret ? ret : set_bits(addr, bits, bytes);
}

/* The same of a log that somebody else keeps: of each range that it logs a piece at a time. */
static int report_relay(struct vfio_open *o, uint64_t iova, uint64_t length, unsigned shift,
			uintptr_t addr)
{
	const uint64_t unit = shift > 60 ? 1ull << 63 : 8ull << shift;
	const uint64_t span = shift > 63 - 15 ? UINT64_MAX : PIECE_BITS << shift;
	uint64_t last = iova + length - 1, at, end, left;
	struct vfio_migrate *m = o->dev->migrate;
	uint8_t *bits = heap_alloc(PIECE);
	int ret = bits ? 0 : -ENOMEM;

	pthread_mutex_lock(&m->lock);
	if (!ret && !m->num_log)
		ret = -EINVAL;
	for (unsigned i = 0; i < m->num_log && length && !ret; i++) {
		at = m->log[i].iova > iova ? m->log[i].iova : iova;
		left = m->log[i].iova + (m->log[i].length - 1);
		left = left < last ? left : last;
		at -= (at - iova) % unit; /* where a byte of the bitmap begins */
		for (; at <= left && !ret; at = end + 1) {
			end = left - at < span ? left : at + span - 1;
			ret = relay_piece(o, at, end, shift,
					  addr + (uintptr_t)((at - iova) >> shift) / 8, bits);
			if (end == left)
				break;
		}
	}
	vfio_migrate_unlock(m);
	heap_free(bits);
	return ret;
}

int vfio_dma_log_report(struct vfio_open *o, uint64_t iova, uint64_t length, uint64_t page_size,
			uintptr_t addr)
{
	struct iommu_device *dev = o->dev->iommu;
	uint64_t at = iova, last = iova + length - 1, span, end, *bits;
	bool any = false, written = false;
	unsigned shift;
	int ret;

	if (page_size < PAGE_SIZE_4K || !is_pow2(page_size))
		return -EINVAL;
	if (length && add_overflows(iova, length))
		return -EOVERFLOW;
	shift = (unsigned)__builtin_ctzll(page_size);
	if (relay_of(o))
		return report_relay(o, iova, length, shift, addr);
	span = shift > 63 - 15 ? UINT64_MAX : PIECE_BITS << shift;
	bits = heap_alloc(PIECE);
	if (!bits)
		return -ENOMEM;
	/* an empty question, to hear whether the log is on */
	ret = length ? 0 : iommu_log_read(dev, 1, 0, shift, bits, &any);
	while (length && !ret) {
		at = iommu_log_next(dev, at);
		if (at > last) {
			if (at == UINT64_MAX)
				ret = iommu_log_read(dev, 1, 0, shift, bits, &any);
			break;
		}
		at -= (at - iova) % span;
		end = last - at < span ? last : at + span - 1;
		ret = report_piece(dev, at, end, shift,
				   addr + (uintptr_t)((at - iova) >> shift) / 8, bits, &written);
		if (end == last)
			break;
		at = end + 1;
	}
	heap_free(bits);
	/* what was told is in memory when this returns */
	if (written)
		rcu_sync();
	return ret;
}
