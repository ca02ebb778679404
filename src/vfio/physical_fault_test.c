/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/physical_fault_test.c: each allocation of physical memory fails in turn: there is no
 * address, and nothing is left.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/test_fault.h"
#include "vfio/aside.h"
#include "vfio/physical.h"
#include "vfio/test_iommufd.h"

static void no_move_is_due(struct vfio_system *s, char *p)
{
	vfio_preserve_pages(s, p, 4096, NULL, NULL);
	munmap(p, 4096);
	assert_int_equal(atomic_load(&s->ioases.mappings), 0);
}

static void every_allocation(void **state)
{
	struct test_machine *t = *state;
	uint64_t pa;
	char *p;

	log_set(2, LOG_NONE);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		fault_end(&l, vfio_physical_init(t->sys));
		assert_int_equal(!t->sys->physical, !l.done);
	}
	vfio_physical_join(t->group);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*p = 1;

	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		pa = vfio_physical_of(t->sys, (uintptr_t)p);
		fault_end(&l, pa ? 0 : -ENOMEM);
		assert_int_equal(atomic_load(&t->sys->ioases.mappings), pa != 0);
	}
	no_move_is_due(t->sys, p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_allocation, test_machine_new,
						test_machine_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
