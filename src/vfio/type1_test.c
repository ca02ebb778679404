/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/type1_test.c: the type1 address space: every error of MAP, UNMAP and DIRTY_PAGES, memory
 * that is not there, limits; and random calls against a model that is an array.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/rcu.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/test_signals.h"
#include "iommu/device.h"
#include "vfio/aside.h"
#include "vfio/group.h"
#include "vfio/test_mappings.h"
#include "vfio/test_system.h"
#include "vfio/type1.h"

#define R	VFIO_DMA_MAP_FLAG_READ
#define W	VFIO_DMA_MAP_FLAG_WRITE
#define RW	(R | W)
#define VADDR	VFIO_DMA_MAP_FLAG_VADDR
#define U_ALL	VFIO_DMA_UNMAP_FLAG_ALL
#define U_VADDR VFIO_DMA_UNMAP_FLAG_VADDR
#define U_DIRTY VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
#define K	4096ull
#define TOP	(1ull << 48)

static uint64_t memlock_limit;
static uint64_t memlock(void *arg, uint64_t want)
{
	return memlock_limit;
}

static struct vfio_env env = { .memlock = memlock };
static struct vfio_system *sys;
static char *mem; /* 64 pages */
#define MEM ((uintptr_t)mem)
static char last_log[512];

static void *anon(size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void tap(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	snprintf(last_log, sizeof(last_log), "%s", r->line);
}

static struct report_subscriber subscriber = { .fn = tap, .level = LOG_INFO };

static int setup(void **state)
{
	guard_install();
	log_set(2, LOG_NONE);
	report_subscribe(&subscriber);
	memlock_limit = UINT64_MAX;
	env.dma_entry_limit = VFIO_DMA_ENTRY_LIMIT;
	sys = vfio_system_new(&env, NULL);
	mem = anon(64 * K, PROT_READ | PROT_WRITE);
	return 0;
}

static int teardown(void **state)
{
	report_unsubscribe(&subscriber);
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	vfio_system_free(sys);
	munmap(mem, 64 * K);
	return 0;
}

static int unmap(struct vfio_type1 *t, uint32_t flags, uint64_t iova, uint64_t size,
		 uint64_t expect)
{
	uint64_t done = 12345;
	int ret = vfio_type1_unmap(t, flags, iova, size, &done, 0, 0, NULL);

	if (done != expect)
		fail_msg("unmapped 0x%lx, not 0x%lx (returned %d)", done, expect, ret);
	return ret;
}

static void *translate(struct vfio_type1 *t, uint64_t iova, unsigned prot)
{
	enum iommu_fault_reason why;
	uint64_t contig;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(vfio_ioas_domain(vfio_type1_ioas(t)), iova, prot, &contig, &why);
	rcu_read_end();
	return p;
}

static void map_errors(void **state)
{
	for (int v2 = 0; v2 < 2; v2++) {
		struct vfio_type1 *t = vfio_type1_new(sys, v2);

		assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 0), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, UINT64_MAX - K + 1, 2 * K), -EOVERFLOW);
		assert_int_equal(vfio_type1_map(t, RW, -K, 0, 2 * K), -EOVERFLOW);
		/* before the flags */
		assert_int_equal(vfio_type1_map(t, 0, -K, 0, 2 * K), -EOVERFLOW);
		assert_int_equal(vfio_type1_map(t, RW, MEM + 1, 1, UINT64_MAX), -EOVERFLOW);
		assert_int_equal(vfio_type1_map(t, 0, MEM, 0, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, R | VADDR, MEM, 0, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, W | VADDR, MEM, 0, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM + 1, 0, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 1, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0, K + 1), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 100), -EINVAL);
		/* beyond the width, the message range, over an end of either */
		assert_int_equal(vfio_type1_map(t, RW, MEM, TOP, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, TOP - K, 2 * K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, -K, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfee00000, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfeeff000, K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfedff000, 2 * K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfeeff000, 2 * K), -EINVAL);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfedff000, K), 0);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0xfef00000, K), 0);
		assert_int_equal(vfio_type1_map(t, RW, MEM, TOP - K, K), 0);
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 2 * K), 0);
		/* any overlap; before "outside of the ranges" and before the memory is looked at */
		assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 2 * K), -EEXIST);
		assert_int_equal(vfio_type1_map(t, RW, MEM, K, 2 * K), -EEXIST);
		assert_int_equal(vfio_type1_map(t, RW, MEM, TOP - K, 2 * K), -EEXIST);
		assert_int_equal(vfio_type1_map(t, RW, K, K, K), -EEXIST);
		assert_int_equal(vfio_type1_map(t, RW, MEM + K, 2 * K, K), 0);
		assert_int_equal(test_avail(vfio_type1_ioas(t)), 65535 - 5);
		assert_int_equal(unmap(t, U_ALL, 0, 0, 6 * K), 0);
		assert_int_equal(test_avail(vfio_type1_ioas(t)), 65535);
		vfio_type1_free(t);
	}
}

static void memory_that_is_not_there(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true);
	char path[] = "/tmp/uvfio-type1-XXXXXX", *p = anon(4 * K, PROT_READ | PROT_WRITE), *f;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	munmap(p + 2 * K, K);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 4 * K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, R, (uintptr_t)p, 0, 3 * K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p + 2 * K, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, 0, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, 0xffff800000000000, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, 0x0000800000000000, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, 0x1234500000000000, 0, K), -EFAULT);
	/* rights: the device's write needs the program's */
	mprotect(p, K, PROT_READ);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 2 * K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, W, (uintptr_t)p, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, R, (uintptr_t)p, 0, 2 * K), 0);
	assert_int_equal(unmap(t, 0, 0, 2 * K, 2 * K), 0);
	mprotect(p, K, PROT_NONE);
	assert_int_equal(vfio_type1_map(t, R, (uintptr_t)p, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 2 * K), -EFAULT);
	/* a file: its last page, and behind it */
	assert_int_equal(ftruncate(fd, K + 1), 0);
	f = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)f, 0, 2 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)f + 2 * K, 2 * K, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, R, (uintptr_t)f, 2 * K, 4 * K), -EFAULT);
	assert_int_equal(unmap(t, 0, 0, 2 * K, 2 * K), 0);
	munmap(f, 4 * K);
	/* read only, and private to write */
	f = mmap(NULL, K, PROT_READ, MAP_SHARED, fd, 0);
	assert_int_equal(vfio_type1_map(t, W, (uintptr_t)f, 0, K), -EFAULT);
	assert_int_equal(vfio_type1_map(t, R, (uintptr_t)f, 0, K), 0);
	munmap(f, K);
	f = mmap(NULL, K, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)f, K, K), 0);
	vfio_type1_free(t);
	munmap(f, K);
	close(fd);
	munmap(p, 4 * K);
}

static void rights_reach_the_domain(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, false);

	assert_int_equal(vfio_type1_map(t, R, MEM, 0, K), 0);
	assert_int_equal(vfio_type1_map(t, W, MEM + K, K, K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM + 2 * K, 2 * K, K), 0);
	assert_ptr_equal(translate(t, 5, IOMMU_READ), mem + 5);
	assert_null(translate(t, 5, IOMMU_WRITE));
	assert_null(translate(t, K, IOMMU_READ));
	assert_ptr_equal(translate(t, K, IOMMU_WRITE), mem + K);
	assert_ptr_equal(translate(t, 3 * K - 1, IOMMU_READ | IOMMU_WRITE), mem + 3 * K - 1);
	assert_null(translate(t, 3 * K, IOMMU_READ));
	vfio_type1_free(t);
}

static void unmap_v2(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true);

	assert_int_equal(unmap(t, 0, 1, K, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, 0, 1, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, -K, 2 * K, 0), -EOVERFLOW);
	assert_int_equal(unmap(t, 0, -K, K, 0), 0);
	assert_int_equal(unmap(t, 0, 0, K, 0), 0);
	assert_int_equal(unmap(t, U_ALL, 0, 0, 0), 0);
	assert_int_equal(unmap(t, U_ALL, K, 0, 0), -EINVAL);
	assert_int_equal(unmap(t, U_ALL, 0, K, 0), -EINVAL);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 4 * K, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 8 * K, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 16 * K, 4 * K), 0);
	/* cut in front, behind, inside */
	assert_int_equal(unmap(t, 0, 6 * K, 6 * K, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, 4 * K, 6 * K, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, 5 * K, K, 0), -EINVAL);
	assert_int_equal(unmap(t, 0, 0, 17 * K, 0), -EINVAL);
	assert_ptr_equal(translate(t, 5 * K, IOMMU_READ), mem + K);
	/* several with holes around and between */
	assert_int_equal(unmap(t, 0, 0, 14 * K, 8 * K), 0);
	assert_null(translate(t, 5 * K, IOMMU_READ));
	assert_null(translate(t, 8 * K, IOMMU_READ));
	assert_ptr_equal(translate(t, 16 * K, IOMMU_READ), mem);
	assert_int_equal(unmap(t, 0, 0, 14 * K, 0), 0);
	assert_int_equal(unmap(t, U_ALL, 0, 0, 4 * K), 0);
	vfio_type1_free(t);
}

static void unmap_v1(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, false);

	assert_int_equal(vfio_type1_map(t, RW, MEM, 4 * K, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 8 * K, 4 * K), 0);
	/* from inside of one: nothing, and no error */
	assert_int_equal(unmap(t, 0, 5 * K, K, 0), 0);
	assert_int_equal(unmap(t, 0, 5 * K, 7 * K, 0), 0);
	assert_ptr_equal(translate(t, 8 * K, IOMMU_READ), mem);
	/* the first page of one: all of it */
	assert_int_equal(unmap(t, 0, 4 * K, K, 4 * K), 0);
	assert_null(translate(t, 7 * K, IOMMU_READ));
	assert_ptr_equal(translate(t, 8 * K, IOMMU_READ), mem);
	assert_int_equal(unmap(t, 0, 0, 9 * K, 4 * K), 0);
	assert_null(translate(t, 11 * K, IOMMU_READ));
	assert_int_equal(unmap(t, 0, -K, 2 * K, 0), -EOVERFLOW);
	vfio_type1_free(t);
}

static void vaddr_update(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true);

	assert_int_equal(vfio_type1_map(t, VADDR, MEM, 0, K), -ENOENT);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 2 * K), 0);
	assert_int_equal(vfio_type1_map(t, R, MEM + 2 * K, 2 * K, K), 0);
	assert_int_equal(vfio_type1_map(t, VADDR, MEM, 0, 2 * K), -EINVAL); /* not invalidated */
	assert_int_equal(unmap(t, U_VADDR, 0, K, 0), -EINVAL);		    /* cuts */
	assert_int_equal(unmap(t, U_VADDR, 0, 2 * K, 2 * K), 0);
	assert_int_equal(unmap(t, U_VADDR, 0, 2 * K, 0), -EINVAL); /* twice */
	assert_int_equal(unmap(t, U_VADDR | U_ALL, 0, 0, 0), -EINVAL);
	/*
	 * the failing call left the other one as it was: it can still be invalidated, not updated
	 */
	assert_int_equal(vfio_type1_map(t, VADDR, MEM, 2 * K, K), -EINVAL);
	/* still mapped */
	assert_ptr_equal(translate(t, K, IOMMU_WRITE), mem + K);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, K), -EEXIST);
	assert_int_equal(vfio_type1_map(t, VADDR, MEM, 0, K), -EINVAL);
	assert_int_equal(vfio_type1_map(t, VADDR, MEM, K, K), -EINVAL);
	assert_int_equal(vfio_type1_map(t, VADDR, MEM + 8 * K, 0, 2 * K), 0);
	assert_ptr_equal(translate(t, K, IOMMU_WRITE), mem + 9 * K);
	assert_true(vfio_pages_in_use(sys, mem + 8 * K, K));
	assert_false(vfio_pages_in_use(sys, mem, 2 * K));
	assert_int_equal(vfio_type1_map(t, VADDR, MEM, 0, 2 * K), -EINVAL);
	/* no memory at the new address: what the devices have stays, as pinned pages would */
	assert_int_equal(unmap(t, U_VADDR | U_ALL, 0, 0, 3 * K), 0);
	assert_int_equal(vfio_type1_map(t, VADDR, 0, 0, 2 * K), 0);
	assert_ptr_equal(translate(t, K, IOMMU_WRITE), mem + 9 * K);
	/* an invalid one can be unmapped */
	assert_int_equal(unmap(t, U_ALL, 0, 0, 3 * K), 0);
	assert_int_equal(unmap(t, U_VADDR | U_ALL, 0, 0, 0), 0);
	vfio_type1_free(t);
}

static void limits(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true), *t2 = vfio_type1_new(sys, true);
	char *bad = anon(4 * K, PROT_READ | PROT_WRITE);

	env.dma_entry_limit = 2;
	assert_int_equal(test_avail(vfio_type1_ioas(t)), 2);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, K, K), 0);
	assert_int_equal(test_avail(vfio_type1_ioas(t)), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 2 * K, K), -ENOSPC);
	assert_int_equal(vfio_type1_map(t, RW, MEM, TOP, K), -ENOSPC); /* before the range check */
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, K), -EEXIST);
	assert_int_equal(vfio_type1_map(t2, RW, MEM, 2 * K, K), 0); /* by container */
	assert_int_equal(unmap(t, U_ALL, 0, 0, 2 * K), 0);
	assert_int_equal(unmap(t2, U_ALL, 0, 0, K), 0);

	/* by process, counted for each mapping; the last byte of the limit does not make a page */
	memlock_limit = 5 * K - 1;
	env.dma_entry_limit = 65535;
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 5 * K), -ENOMEM);
	assert_non_null(strstr(last_log, "ulimit -l"));
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, 3 * K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, MEM, 0, 2 * K), -ENOMEM);
	assert_int_equal(vfio_type1_map(t2, RW, MEM, 0, K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, MEM, K, K), -ENOMEM);
	assert_int_equal(unmap(t, 0, 0, 3 * K, 3 * K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, MEM, K, 3 * K), 0);
	assert_int_equal(unmap(t2, U_ALL, 0, 0, 4 * K), 0);
	/* pages are looked at in order: a hole counts if it comes before the limit */
	munmap(bad + 3 * K, K);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)bad, 0, 4 * K), -EFAULT);
	memlock_limit = 2 * K;
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)bad, 0, 4 * K), -ENOMEM);
	memlock_limit = 3 * K;
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)bad, 0, 4 * K), -EFAULT);
	memlock_limit = 0;
	assert_int_equal(vfio_type1_map(t, RW, MEM, 0, K), -ENOMEM);
	vfio_type1_free(t);
	vfio_type1_free(t2);
	munmap(bad, 3 * K);
}

static void dirty_pages(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true), *v1 = vfio_type1_new(sys, false);
	uint64_t bits[4] = { 0 }, done = 1;

	assert_int_equal(vfio_type1_dirty_start(v1), -EACCES);
	assert_int_equal(vfio_type1_dirty_stop(v1), -EACCES);
	assert_int_equal(vfio_type1_dirty_get(v1, 0, K, K, 8, bits), -EACCES);
	vfio_type1_free(v1);

	/* pages 2..4, 62..65, 70 */
	assert_int_equal(vfio_type1_map(t, RW, MEM, 2 * K, 3 * K), 0);
	assert_int_equal(vfio_type1_map(t, R, MEM, 62 * K, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, MEM, 70 * K, K), 0);
	/* tracking is off */
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_unmap(t, U_DIRTY, 2 * K, 3 * K, &done, K, 8, bits), -EINVAL);
	assert_int_equal(done, 0);
	assert_int_equal(vfio_type1_dirty_start(t), 0);
	assert_int_equal(vfio_type1_dirty_start(t), 0);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, 2 * K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, 0, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, 15, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, 0, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 129 * K, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, (1ull << 28) + 1, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 1, 128 * K, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 100 * K + 1, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 0, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, -K, 2 * K, K, 16, bits), -EOVERFLOW);
	assert_int_equal(vfio_type1_dirty_get(t, -K, 2 * K, 0, 0, bits), -EOVERFLOW);
	assert_int_equal(vfio_type1_dirty_get(t, -K, K, K, 16, bits), 0);
	assert_int_equal(vfio_type1_dirty_get(t, 0, UINT64_MAX - K + 1, K, 16, bits), -EINVAL);
	/* cut in front, behind */
	assert_int_equal(vfio_type1_dirty_get(t, 3 * K, 125 * K, K, 16, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 64 * K, K, 16, bits), -EINVAL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bits[i], 0);

	memset(bits, 0x55, sizeof(bits));
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, 16, bits), 0);
	/*
	 * as the kernel writes: from a mapping's first bit to the end of its last word; what is
	 * before stays
	 */
	assert_int_equal(bits[0], (0x5ull & 3) | 7ull << 2 | 3ull << 62);
	assert_int_equal(bits[1], 3 | 1 << 6);
	assert_int_equal(bits[2], 0x5555555555555555);
	memset(bits, 0, sizeof(bits));
	assert_int_equal(vfio_type1_dirty_get(t, K, 64 * K, K, 8, bits), -EINVAL);
	assert_int_equal(vfio_type1_dirty_get(t, 62 * K, 4 * K, K, 8, bits), 0);
	assert_int_equal(bits[0], 15);

	assert_int_equal(vfio_type1_unmap(t, U_DIRTY | U_ALL, 0, 0, &done, K, 8, bits), -EINVAL);
	assert_int_equal(vfio_type1_unmap(t, U_DIRTY | U_VADDR, 0, 10 * K, &done, K, 8, bits),
			 -EINVAL);
	assert_int_equal(vfio_type1_unmap(t, U_DIRTY, 0, 65 * K, &done, K, 8, bits), -EINVAL);
	memset(bits, 0, sizeof(bits));
	assert_int_equal(vfio_type1_unmap(t, U_DIRTY, K, 65 * K, &done, K, 16, bits), 0);
	assert_int_equal(done, 7 * K);
	assert_int_equal(bits[0], 7ull << 1 | 7ull << 61);
	assert_int_equal(bits[1], 1);
	assert_int_equal(vfio_type1_dirty_stop(t), 0);
	assert_int_equal(vfio_type1_dirty_stop(t), 0);
	assert_int_equal(vfio_type1_dirty_get(t, 0, 128 * K, K, 16, bits), -EINVAL);
	vfio_type1_free(t);
}

static void info(void **state)
{
	struct vfio_type1 *t = vfio_type1_new(sys, true);
	struct vfio_ioas_limits l;

	vfio_ioas_limits(vfio_type1_ioas(t), &l);
	assert_int_equal(l.pgsizes, 0x40201000);
	assert_int_equal(l.num_ranges, 2);
	assert_int_equal(l.ranges[0].start, 0);
	assert_int_equal(l.ranges[0].end, 0xfedfffff);
	assert_int_equal(l.ranges[1].start, 0xfef00000);
	assert_int_equal(l.ranges[1].end, TOP - 1);
	vfio_type1_free(t);
}

/* ---- random calls against a model: an array of mappings, all of it looked at each time ---- */
#define IOVAS 40u /* pages */

static struct {
	bool live;
	uint64_t iova, size, vaddr;
	unsigned prot;
} model[IOVAS];

static int model_map(unsigned flags, uint64_t vaddr, uint64_t iova, uint64_t size)
{
	for (unsigned i = 0; i < IOVAS; i++) {
		if (model[i].live && iova < model[i].iova + model[i].size &&
		    model[i].iova < iova + size)
			return -EEXIST;
	}
	for (unsigned i = 0; i < IOVAS; i++) {
		if (model[i].live)
			continue;
		model[i].live = true;
		model[i].iova = iova;
		model[i].size = size;
		model[i].vaddr = vaddr;
		model[i].prot = (flags & R ? IOMMU_READ : 0) | (flags & W ? IOMMU_WRITE : 0);
		return 0;
	}
	return -ENOSPC;
}

static int model_unmap(bool v2, uint64_t iova, uint64_t size, uint64_t *done)
{
	*done = 0;
	for (unsigned i = 0; i < IOVAS; i++) {
		uint64_t a = model[i].iova, e = a + model[i].size;
		bool starts_before = a < iova && iova < e,
		     ends_after = a < iova + size && iova + size < e;

		if (!model[i].live)
			continue;
		if (v2 && (starts_before || ends_after))
			return -EINVAL;
		if (!v2 && starts_before)
			return 0;
	}
	for (unsigned i = 0; i < IOVAS; i++) {
		if (model[i].live && model[i].iova >= iova && model[i].iova < iova + size) {
			*done += model[i].size;
			model[i].live = false;
		}
	}
	return 0;
}

static void compare(struct vfio_type1 *t)
{
	for (uint64_t iova = 0; iova < IOVAS * K; iova += K) {
		void *expect[4] = { 0 };

		for (unsigned i = 0; i < IOVAS; i++) {
			if (!model[i].live || iova < model[i].iova ||
			    iova >= model[i].iova + model[i].size)
				continue;
			for (unsigned prot = 1; prot < 4; prot++) {
				if ((model[i].prot & prot) == prot)
					expect[prot] =
						(void *)(model[i].vaddr + (iova - model[i].iova));
			}
		}
		for (unsigned prot = 1; prot < 4; prot++)
			assert_ptr_equal(translate(t, iova, prot), expect[prot]);
	}
}

static void random_against_model(bool v2)
{
	struct vfio_type1 *t = vfio_type1_new(sys, v2);
	uint64_t done, expect;

	srandom(7 + v2);
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t iova = (uint64_t)(random() % IOVAS) * K,
			 size = (uint64_t)(1 + random() % (random() % 3 ? 4 : 20)) * K;
		uint64_t vaddr = MEM + (uint64_t)(random() % 32) * K;
		unsigned flags = 1 + random() % 3;
		int want, got;

		if (random() % 2) {
			if (iova + size > IOVAS * K)
				size = IOVAS * K - iova;
			want = model_map(flags, vaddr, iova, size);
			got = vfio_type1_map(t, flags, vaddr, iova, size);
		} else {
			want = model_unmap(v2, iova, size, &expect);
			got = vfio_type1_unmap(t, 0, iova, size, &done, 0, 0, NULL);
			if (done != expect)
				fail_msg("call %u: unmapped 0x%lx, not 0x%lx", i, done, expect);
		}
		if (want != got)
			fail_msg("call %u: %d, not %d", i, got, want);
		if (i % 10 == 0)
			compare(t);
	}
	compare(t);
	vfio_type1_free(t);
}

static void random_v1(void **state)
{
	random_against_model(false);
}

static void random_v2(void **state)
{
	random_against_model(true);
}

/* ---- many threads: each has IOVAs of its own, and all of them one to fight about ---- */
static void *map_and_unmap(void *arg)
{
	struct vfio_type1 *t = *(struct vfio_type1 **)arg;
	uint64_t own = (1 + (uint64_t)((struct vfio_type1 **)arg)) & 0xffff000, done;

	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(vfio_type1_map(t, RW, MEM, own + (1ull << 32) * 2, K), 0);
		vfio_type1_map(t, RW, MEM + K, 0, K);
		test_avail(vfio_type1_ioas(t));
		vfio_pages_in_use(sys, mem, 3 * K);
		vfio_type1_unmap(t, 0, 0, K, &done, 0, 0, NULL);
		assert_int_equal(
			vfio_type1_unmap(t, 0, own + (1ull << 32) * 2, K, &done, 0, 0, NULL), 0);
		assert_int_equal(done, K);
	}
	return NULL;
}

static void threads(void **state)
{
	struct vfio_type1 *t[3 * 512] = { 0 };
	pthread_t th[3];

	t[0] = t[512] = t[1024] = vfio_type1_new(sys, true);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&th[i], NULL, map_and_unmap, &t[i * 512]), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	vfio_type1_free(t[0]);
}

static void large_and_quick(void **state)
{
	/*
	 * what is already there costs little: 2 GiB of IOVA space on one stretch of 64 MiB, and
	 * single pages by the thousand
	 */
	const uint64_t chunk = 64ull << 20;
	struct vfio_type1 *t = vfio_type1_new(sys, true);
	char *p = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t start, a, b, c;

	start = now_ns();
	for (uint64_t iova = 0; iova < chunk * 32; iova += chunk)
		assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, iova, chunk), 0);
	a = now_ns();
	assert_int_equal(unmap(t, U_ALL, 0, 0, chunk * 32), 0);
	b = now_ns();
	for (uint64_t iova = 0; iova < chunk; iova += K)
		assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p + iova, iova, K), 0);
	c = now_ns();
	vfio_type1_free(t);
	print_message("2 GiB in pieces of 64 MiB: map %.0f ms, unmap %.1f ms; 16384 of one page: "
		      "map %.0f ns each, unmap all %.1f ms\n",
		      (a - start) / 1e6, (b - a) / 1e6, (c - b) / 16384.0, (now_ns() - c) / 1e6);
	munmap(p, chunk);
}

/* As many as a larger dma_entry_limit lets in; each can be reached, and is unmapped by itself. */
static void many(void **state)
{
	const uint64_t base = 1ull << 32;		       /* behind what is reserved */
	uint64_t count = test_mappings(), stride = 0x9e3779b1; /* prime to any count below it */
	struct vfio_type1 *t = vfio_type1_new(sys, true);
	double start, mapped;

	env.dma_entry_limit = (unsigned)count;
	start = test_processor_time();
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(vfio_type1_map(t, RW, MEM + i % 64 * K, base + 2 * i * K, K), 0);
	mapped = test_processor_time();
	assert_int_equal(vfio_type1_map(t, RW, MEM, base + 2 * count * K, K), -ENOSPC);
	for (uint64_t i = 0; i < count; i++)
		assert_ptr_equal(translate(t, base + 2 * i * K, IOMMU_WRITE), mem + i % 64 * K);
	assert_null(translate(t, base + K, IOMMU_READ));
	print_message("type1, %lu mappings: map %.2f s", count, mapped - start);
	start = test_processor_time();
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(unmap(t, 0, base + i * stride % count * 2 * K, K, K), 0);
	print_message(", unmap one by one, at random, %.2f s\n", test_processor_time() - start);
	vfio_type1_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(map_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_that_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(rights_reach_the_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(unmap_v2, setup, teardown),
		cmocka_unit_test_setup_teardown(unmap_v1, setup, teardown),
		cmocka_unit_test_setup_teardown(vaddr_update, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(dirty_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(info, setup, teardown),
		cmocka_unit_test_setup_teardown(random_v1, setup, teardown),
		cmocka_unit_test_setup_teardown(random_v2, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
		cmocka_unit_test_setup_teardown(large_and_quick, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
