/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas_fault_test.c: each allocation of an address space fails in turn: the call says so, and
 * nothing of it is left.
 */
#include "base/log.h"
#include "base/test_fault.h"
#include "iommu/peer.h"
#include "vfio/internal.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static unsigned told;

static int told_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	told++;
	return 0;
}

static void told_unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	told--;
}

static int no_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	return -EIO;
}

/* Memory of somebody else, of more than one window. */
static void every_allocation_of_a_target(void **state)
{
	struct vfio_ioas_listener listener = { .map = told_map, .unmap = told_unmap };
	struct vfio_system *s = vfio_system_new(NULL, NULL);
	struct vfio_ioas *io = vfio_ioas_new(s, false);
	struct iommu_target *t;
	uint64_t bytes;
	int rc;

	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		t = iommu_target_new_memory("client", no_access, s);
		fault_end(&l, t ? 0 : -ENOMEM);
	}
	assert_int_equal(vfio_ioas_listen(io, &listener), 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_ioas_map_target(io, 1ull << 40, 3ull << 40, RW, t, 5);
		fault_end(&l, rc);
		if (l.done)
			assert_true(l.failed > 6);
		assert_int_equal(told, !rc);
		assert_int_equal(io->entries, !rc);
		assert_int_equal(atomic_load(&s->ioases.mappings), !rc);
	}
	/* nor does this unmap, of memory for which windows have to be waited for */
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(vfio_ioas_unmap(io, 0, 1ull << 43, &bytes), 0);
	assert_false(fault_clear());
	assert_true(bytes == 3ull << 40);
	assert_int_equal(told, 0);
	vfio_ioas_unlisten(io, &listener);
	vfio_ioas_put(io);
	iommu_target_put(t);
	vfio_system_free(s);
}

static void every_allocation(void **state)
{
	struct vfio_ioas_listener listener = { .map = told_map, .unmap = told_unmap };
	struct vfio_system *s = vfio_system_new(NULL, NULL);
	struct vfio_ioas *io;
	uint64_t bytes;
	char *mem;
	int rc;

	mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		io = vfio_ioas_new(s, false);
		fault_end(&l, io ? 0 : -ENOMEM);
		assert_int_equal(cds_list_empty(&s->ioases.spaces), !io);
	}
	assert_int_equal(vfio_ioas_listen(io, &listener), 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_ioas_map(io, 0x1ff000, (uintptr_t)mem, 4 * K, RW);
		fault_end(&l, rc);
		assert_int_equal(told, !rc);
		assert_int_equal(io->entries, !rc);
		assert_int_equal(atomic_load(&s->ioases.mappings), !rc);
		assert_int_equal(atomic_load(&s->ioases.pages_locked), rc ? 0 : 4);
	}
	/* an unmap needs none */
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(vfio_ioas_unmap(io, 0, 1ull << 40, &bytes), 0);
	assert_false(fault_clear());
	assert_int_equal(bytes, 4 * K);
	assert_int_equal(told, 0);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_ioas_map_kept(io, 0x1ff000, (uintptr_t)mem, 4 * K, RW, -1, 0);
		fault_end(&l, rc);
		assert_int_equal(told, !rc);
		assert_int_equal(io->entries, !rc);
	}
	assert_int_equal(vfio_ioas_unmap(io, 0, 1ull << 40, &bytes), 0);
	vfio_ioas_unlisten(io, &listener);
	vfio_ioas_put(io);
	vfio_system_free(s);
	munmap(mem, 4 * K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation),
		cmocka_unit_test(every_allocation_of_a_target),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
