/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_guest.h: for unit tests with one guest at a time: it, and the program's memory of which
 * a test gives it some.
 */
#ifndef VMM_TEST_GUEST_H
#define VMM_TEST_GUEST_H
#include "base/guard.h"
#include "base/test_signals.h"
#include "vmm/test_dma.h"

#define PAGES 64u

static struct uvfio_vm *vm;
static char *mem; /* PAGES of it */

/* Have @new be the guest, with the first @size bytes of the memory. Returns what a setup does. */
static inline int guest_begin(struct uvfio_vm *new, uint64_t size)
{
	log_set(2, LOG_NONE);
	vm = new;
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (size)
		assert_int_equal(guest_add(vm, 0, size, mem, 0), 0);
	return guard_install() || mem == MAP_FAILED;
}

static inline int teardown(void **state)
{
	uvfio_vm_free(vm);
	munmap(mem, PAGES * K);
	return 0;
}

static inline bool says(const char *text)
{
	return guest_says(vm, text);
}
#endif
