/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/socket_test.c: a device of another process, behind a socket, is a guest's: its server gets
 * the guest's memory, and may die. The numbers are those of the tests in docs/vmm.md.
 */
#include <sys/stat.h>

#include "vfio_user/client/test_server.h"
#include "vmm/test_guest.h"

static struct test_server server;
static char spec[96];
static atomic_uint errors;

static void error(void *ctx, struct uvfio_vm_device *dev)
{
	atomic_fetch_add(&errors, 1);
}

static void intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
}

static int setup(void **state)
{
	static const struct uvfio_vm_ops ops = { .error = error };
	static const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = guest_msi };
	struct uvfio_vm *v = uvfio_vm_new(&ops, NULL);

	assert_int_equal(uvfio_vm_use_irq_ops(v, &irq, NULL), 0);
	atomic_store(&errors, 0);
	test_server_start(&server);
	snprintf(spec, sizeof(spec), "vfio-user:%s", server.path);
	return guest_begin(v, 0);
}

static int end(void **state)
{
	teardown(state);
	test_server_stop(&server);
	return 0;
}

/* Return the server's mapping at @addr; size 0: it has none. Its descriptor is the server's. */
static struct test_map map_at(uint64_t addr)
{
	struct test_map m = { .fd = -1 };

	pthread_mutex_lock(&server.lock);
	for (unsigned i = 0; i < server.num_maps; i++)
		if (server.maps[i].map.addr == addr)
			m = server.maps[i];
	pthread_mutex_unlock(&server.lock);
	return m;
}

/* (test 23) */
static void memory_with_a_file(void **state)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct uvfio_vm_memory ram = {
		.gpa = 0x100000, .size = 4 * K, .fd = fd, .fd_offset = 8 * K
	};
	struct uvfio_vm_device *dev;
	struct stat st, own;
	struct test_map m;

	assert_int_equal(ftruncate(fd, 16 * K), 0);
	/* private here: the file is what counts */
	ram.host = mem;
	assert_int_equal(uvfio_vm_memory_add(vm, &ram), 0);
	dev = guest_assign(vm, spec, NULL);
	assert_int_equal(uvfio_vm_config_read(dev, 0, 4), 0x56781234);
	m = map_at(0x100000);
	assert_true(m.map.size == 4 * K && m.map.offset == 8 * K && m.map.flags == 3);
	assert_int_equal(fstat(fd, &own), 0);
	pthread_mutex_lock(&server.lock);
	assert_int_equal(fstat(m.fd, &st), 0);
	pthread_mutex_unlock(&server.lock);
	assert_true(st.st_ino == own.st_ino && st.st_dev == own.st_dev);
	/* what comes later, without a file, is reached otherwise */
	assert_int_equal(guest_add(vm, 0, 4 * K, mem + 4 * K, 0), 0);
	m = map_at(0);
	assert_true(m.map.size == 4 * K && m.map.flags == (3 | VU_DMA_BY_FILE));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x100000, 4 * K), 0);
	assert_int_equal(map_at(0x100000).map.size, 0);
	assert_int_equal(map_at(0).map.size, 4 * K);
	uvfio_vm_unassign(dev);
	/* which hangs up: the server sees it when it looks */
	for (unsigned i = 0; i < 20000 && map_at(0).map.size; i++)
		usleep(1000);
	assert_int_equal(map_at(0).map.size, 0);
	close(fd);
}

/* (test 76V) */
static void server_dies(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, spec, NULL);
	uint64_t value = 0;

	assert_int_equal(uvfio_vm_assign(vm, spec, NULL, &dev), -EBUSY);
	assert_true(says("assigned to this guest already"));
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, 0xfe000000);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	value = 0x55;
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000010, 4, &value, true), 0);
	value = 0;
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000010, 4, &value, false), 0);
	assert_int_equal(value, 0x55);
	test_server_kill(&server);
	while (!atomic_load(&errors))
		assert_true(uvfio_vm_dispatch(vm, 10000) >= 0);
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000010, 4, &value, false), 0);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000010, 4, &value, true), 0);
	uvfio_vm_unassign(dev);
	/* it was started again */
	dev = guest_assign(vm, spec, NULL);
	assert_int_equal(uvfio_vm_config_read(dev, 0, 4), 0x56781234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_with_a_file, setup, end),
		cmocka_unit_test_setup_teardown(server_dies, setup, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
