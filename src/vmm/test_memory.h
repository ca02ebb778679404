/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/test_memory.h: for the unit tests of memory: a guest that has none yet, and its testdev. */
#ifndef VMM_TEST_MEMORY_H
#define VMM_TEST_MEMORY_H
#include "vmm/test_guest.h"

static struct uvfio_vm_device *dev; /* of setup_device() */

static inline int setup(void **state)
{
	return guest_begin(guest_new(), 0);
}

/* The same with a device. */
static inline int setup_device(void **state)
{
	int rc = setup(state);

	dev = guest_assign(vm, "testdev", NULL);
	return rc;
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
#endif
