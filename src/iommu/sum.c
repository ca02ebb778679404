/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/sum.c: a sum of what memory holds, by which it is seen later whether it changed. It is
 * nobody's DMA: nothing is logged or counted, and what is no memory of this process has no sum.
 */
#include "base/guard.h"
#include "base/rcu.h"
#include "base/util.h"
#include "iommu/device.h"
#include "iommu/internal.h"
#include "iommu/peer.h"

#define PIECE 512u

/* Mix the next word in; one that differs somewhere gives another sum, but for one in 2^64. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 29;
}

/* Add memory of the program's. False: it is not there. */
static bool add(uint64_t *sum, const char *mem, size_t n)
{
	uint64_t words[PIECE / sizeof(uint64_t)];

	for (size_t done = 0, k; done < n; done += k) {
		k = n - done < PIECE ? n - done : PIECE;
		words[(k - 1) / sizeof(words[0])] = 0; /* the last one may be there in part */
		if (guard_copy(words, mem + done, k))
			return false;
		for (size_t i = 0; i < (k + 7) / 8; i++)
			*sum = mix(*sum, words[i]);
	}
	return true;
}

bool iommu_dma_sum(struct iommu_device *dev, uint64_t iova, size_t len, uint64_t *sum)
{
	const struct iommu_domain *d;
	enum iommu_fault_reason why;
	bool there = true;
	uint64_t contig;
	size_t done, n;
	char *mem;

	*sum = len;
	rcu_read_begin();
	d = rcu_get(dev->domain);
	for (done = 0; there && done < len; done += n) {
		n = 0;
		mem = d && !add_overflows(iova, done)
			      ? iommu_domain_translate(d, iova + done, IOMMU_READ, &contig, &why)
			      : NULL;
		there = mem && !iommu_is_peer(mem);
		if (!there)
			break;
		n = len - done < contig ? len - done : (size_t)contig;
		there = add(sum, mem, n);
	}
	rcu_read_end();
	return there;
}
