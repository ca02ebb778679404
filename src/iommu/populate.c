/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/populate.c: what stands for pinning. The kernel's type1 faults every page in, with the
 * right to write if the device may write, and fails with EFAULT where it cannot. The same is asked
 * of the kernel here, with MADV_POPULATE_* (Linux 5.14), page by page where that is not to be had.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/event.h"
#include "base/guard.h"
#include "base/maps.h"
#include "base/sys.h"
#include "base/untouched.h"
#include "base/util.h"
#include "iommu/domain.h"
#include "iommu/populate.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* asm-generic/mman-common.h, Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/*
 * A write fault that changes nothing, also not under another thread's hands: the kernel ORs 0 into
 * the word, atomically.
 */
static int touch_write(uint64_t addr)
{
	uint32_t here = 0;
	long ret = sys_call(SYS_futex, (long)&here, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0,
			    (long)addr, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0));

	return ret < 0 ? -EFAULT : 0;
}

static int touch_each(uint64_t vaddr, uint64_t size, unsigned prot)
{
	char c;

	for (uint64_t off = 0; off < size; off += PAGE_SIZE_4K) {
		if (guard_copy(&c, (const void *)(vaddr + off), 1))
			return -EFAULT;
		if ((prot & IOMMU_WRITE) && touch_write(vaddr + off))
			return -EFAULT;
	}
	return 0;
}

/* A range of addresses, and how far it is known to be mappings of real devices' BARs. */
struct search {
	uint64_t at, end;
	unsigned prot;
	bool any, wrong; /* some of it is; but not all, or not with these rights */
};

static bool look(const char *line, void *arg)
{
	struct search *s = arg;
	uint64_t start, end;
	const char *rights = maps_bounds(line, &start, &end);
	bool bar =
		strstr(rights, "anon_inode:[vfio-device]") || strstr(rights, "/vfio/devices/vfio");

	if (end <= s->at)
		return true;
	if (start >= s->end)
		return false;
	s->any |= bar;
	if (!bar || start > s->at || (s->prot & IOMMU_READ && rights[0] != 'r') ||
	    (s->prot & IOMMU_WRITE && rights[1] != 'w'))
		s->wrong = true;
	s->at = end;
	return s->at < s->end;
}

/*
 * True if the program has mapped registers of real devices there, by the kernel's VFIO. They are
 * not touched, which could do something: *@ret gets 0, or -EFAULT if these are not all of it, or
 * not with these rights.
 */
static bool is_registers(uint64_t vaddr, uint64_t size, unsigned prot, int *ret)
{
	struct search s = { .at = vaddr, .end = vaddr + size, .prot = prot };

	if (maps_each(look, &s) || !s.any)
		return false;
	*ret = s.wrong || s.at < s.end ? -EFAULT : 0;
	return true;
}

int iommu_check_mapped(uint64_t vaddr, uint64_t size)
{
	/* it walks the areas and does nothing else */
	return sys_call(SYS_msync, (long)vaddr, (long)size, MS_ASYNC, 0, 0, 0) ? -EFAULT : 0;
}

int iommu_populate(uint64_t vaddr, uint64_t size, unsigned prot)
{
	int advice = prot & IOMMU_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
	long ret;
	int bars;

	/* somebody wants to know of pages that the program never touched: they stay so */
	if (event_wanted(EVENT_READING) && untouched_is_plain(vaddr, size, prot & IOMMU_WRITE))
		return 0;
	do {
		ret = sys_call(SYS_madvise, (long)vaddr, (long)size, advice, 0, 0, 0);
	} while (ret == -EINTR || ret == -EAGAIN);
	switch (ret) {
	case 0:
		return 0;
	case -ENOMEM:
		/* a hole, or no memory? */
		return iommu_check_mapped(vaddr, size) ? -EFAULT : -ENOMEM;
	case -EINVAL:
		/* rights that are missing, memory that is a device's, or an old kernel */
		if (is_registers(vaddr, size, prot, &bars))
			return bars;
		return touch_each(vaddr, size, prot);
	default:
		return -EFAULT;
	}
}
