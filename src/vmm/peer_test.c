/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/peer_test.c: from device to device: a monitor tells where a BAR is mapped as memory of the
 * guest, from inside of the callback that maps it, and another device reaches it there (test 21);
 * until it moves, stops to decode, or its device goes.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "vmm/test_guest.h"

#define BAR 0xe0000000u /* the device's memory, 64 KiB at BAR0 */

static struct uvfio_vm_device *owner, *other;
static atomic_uint maps;

/* A monitor's way: what is mapped for the guest is mapped for devices. */
static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	const struct uvfio_vm_memory m = {
		.gpa = gpa,
		.size = size,
		.host = host,
		.fd = -1,
		.flags = UVFIO_VM_MEM_PEER,
	};

	atomic_fetch_add(&maps, 1);
	return uvfio_vm_memory_add(vm, &m);
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	assert_int_equal(uvfio_vm_memory_remove(vm, gpa, size), 0);
}

static int setup(void **state)
{
	static const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	int rc = guest_begin(guest_new_with(&ops), 16 * K);

	atomic_store(&maps, 0);
	owner = guest_assign(vm, "testdev,ram_memory=on", NULL);
	other = guest_assign(vm, "testdev", NULL);
	return rc;
}

/* Have the guest place the memory of @dev at @gpa (0: nowhere). */
static void place(struct uvfio_vm_device *dev, uint32_t gpa)
{
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, gpa);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_1, 4, 0);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
}

static void reaches(void **state)
{
	strcpy(mem, "peer");
	assert_false(td_writes(other, BAR));
	place(owner, BAR);
	assert_int_equal(atomic_load(&maps), 1);
	assert_int_equal(td_run(other, TD_OP_COPY, 0, BAR + 0x8000, 5), TD_DMA_OK);
	assert_int_equal(uvfio_vm_bar_read(owner, 0, 0x8000, 4), *(const uint32_t *)"peer");
	/* and back, by itself as well */
	assert_int_equal(td_run(other, TD_OP_COPY, BAR + 0x8000, 16, 5), TD_DMA_OK);
	assert_string_equal(mem + 16, "peer");
	assert_int_equal(td_run(owner, TD_OP_COPY, BAR + 0x8001, 32, 4), TD_DMA_OK);
	assert_string_equal(mem + 32, "eer");
	/* it moves */
	place(owner, BAR + 0x100000);
	assert_false(td_reads(other, BAR));
	assert_true(td_reads(other, BAR + 0x100000));
	/* it stops to decode */
	uvfio_vm_config_write(owner, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(td_reads(other, BAR + 0x100000));
	place(owner, BAR);
	assert_true(td_writes(other, BAR));
	/* a reset, and its end */
	assert_int_equal(uvfio_vm_reset_device(owner), 0);
	assert_false(td_writes(other, BAR));
	place(owner, BAR);
	assert_true(td_writes(other, BAR));
	uvfio_vm_unassign(owner);
	assert_false(td_writes(other, BAR));
	assert_true(td_writes(other, 0));
}

static atomic_bool stop;

/* Change memory in batches, as the guest's processors do theirs. */
static void *batches(void *arg)
{
	while (!atomic_load(&stop)) {
		uvfio_vm_memory_begin(vm);
		assert_int_equal(guest_add(vm, 0x100000, 4 * K, mem, 0), 0);
		assert_int_equal(uvfio_vm_memory_commit(vm), 0);
		uvfio_vm_memory_begin(vm);
		assert_int_equal(uvfio_vm_memory_remove(vm, 0x100000, 4 * K), 0);
		assert_int_equal(uvfio_vm_memory_commit(vm), 0);
	}
	return NULL;
}

/* Have the other device access the BAR all the time. */
static void *accesses(void *arg)
{
	while (!atomic_load(&stop))
		td_writes(other, BAR);
	return NULL;
}

/* Callbacks that change memory, and batches of others, do not wait for each other. */
static void at_the_same_time(void **state)
{
	pthread_t threads[2];

	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&threads[0], NULL, batches, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, accesses, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		place(owner, i % 2 ? BAR : BAR + 0x100000);
		if (i % 200 == 199) {
			uvfio_vm_unassign(owner);
			owner = guest_assign(vm, "testdev,ram_memory=on", NULL);
		}
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reaches, setup, teardown),
		cmocka_unit_test_setup_teardown(at_the_same_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
