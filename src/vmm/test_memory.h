/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_memory.h: for the unit tests of memory: a guest, the program's memory that it may have,
 * and a testdev of it.
 */
#ifndef VMM_TEST_MEMORY_H
#define VMM_TEST_MEMORY_H
#include "base/guard.h"
#include "base/test_signals.h"
#include "vmm/test_dma.h"

#define PAGES 64u

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev; /* of setup_device() */
static char *mem;		    /* PAGES of it */

static inline int setup(void **state)
{
	log_set(2, LOG_NONE);
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	vm = guest_new();
	return guard_install() || mem == MAP_FAILED;
}

/* The same with a device. */
static inline int setup_device(void **state)
{
	int rc = setup(state);

	dev = guest_assign(vm, "testdev", NULL);
	return rc;
}

static inline int teardown(void **state)
{
	uvfio_vm_free(vm);
	munmap(mem, PAGES * K);
	return 0;
}

/* Return a section whose granules come and go. */
static inline struct uvfio_vm_memory granules(uint64_t gpa, uint64_t size, char *host,
					      uint64_t granularity)
{
	return (struct uvfio_vm_memory){
		.gpa = gpa,
		.size = size,
		.host = host,
		.fd = -1,
		.granularity = granularity,
		.flags = UVFIO_VM_MEM_DISCARDABLE,
	};
}

static inline bool says(const char *text)
{
	return guest_says(vm, text);
}
#endif
