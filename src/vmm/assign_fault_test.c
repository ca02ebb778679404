/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/assign_fault_test.c: each allocation and each call that makes a descriptor fails in turn
 * while a guest is made and a device is assigned: an error with a sentence, and nothing is left
 * open, mapped or set up (test 6).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "vfio/keeper.h"
#include "vfio/test_system.h"
#include "vmm/internal.h"

#define K4  4096ull
#define RAM (64 * K4)

static const unsigned kinds[] = { FAULT_MEMORY, FAULT_CALLS };
static const struct uvfio_vm_ops vm_ops;
static struct uvfio_vm_memory ram = { .size = RAM, .fd = -1 };
static struct uvfio_vm *vm;

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool up)
{
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
}

static const struct uvfio_vm_irq_ops irq_ops = { .intx = intx, .msi = msi };

/* Counts of what is there: pieces of memory, descriptors, mappings of devices. */
struct there {
	long live;
	unsigned fds;
	uint64_t mappings;
};

static struct there look(void)
{
	struct there t = { .live = (long)fault_live, .fds = fault_fds() };

	for (int fd = 0; fd < 1024; fd++)
		t.fds += !fd_is_private(fd) && sys_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) >= 0;
	if (vm)
		t.mappings = atomic_load(&machine_system(vm->machine)->ioases.mappings);
	return t;
}

static void check_same(const struct there *was)
{
	struct there now = look();

	assert_int_equal(now.fds, was->fds);
	assert_true(now.mappings == was->mappings);
	if (FAULT_LIBRARIES && now.live != was->live)
		fail_msg("%s: %ld pieces of memory more, %s", fault_about, now.live - was->live,
			 fault.name);
}

static int make(void)
{
	int rc;

	vm = uvfio_vm_new(&vm_ops, NULL);
	if (!vm)
		return -ENOMEM;
	rc = uvfio_vm_use_irq_ops(vm, &irq_ops, NULL);
	return rc ? rc : uvfio_vm_memory_add(vm, &ram);
}

static void test_new(void **state)
{
	struct there was;

	fault_about = "a guest";
	assert_int_equal(make(), 0);
	uvfio_vm_free(vm);
	vm = NULL;
	was = look();
	for (unsigned k = 0; k < 2; k++) {
		FAULT_LOOP(l, kinds[k]) {
			int rc;

			fault_begin(&l);
			rc = make();
			fault_end(&l, rc);
			if (rc)
				assert_string_not_equal(uvfio_vm_strerror(vm), "no error");
			uvfio_vm_free(vm);
			vm = NULL;
			check_same(&was);
		}
	}
}

/*
 * Do all once, since tables grow at the first use, and stay. With a device there, an eventfd goes
 * to a thread, as one does that has no number: libc keeps the memory of as many threads as there
 * ever were.
 */
static void warm_up(const char *spec, const char *options)
{
	struct uvfio_vm_device *dev;
	int fd = eventfd(0, EFD_CLOEXEC), key;

	assert_int_equal(uvfio_vm_assign(vm, spec, options, &dev), 0);
	key = vfio_keeper_take(fd);
	assert_true(key >= 0);
	vfio_keeper_drop(key);
	close(fd);
	uvfio_vm_unassign(dev);
}

static void run_assign(const char *spec, const char *options, bool there_already)
{
	struct uvfio_vm_device *dev;
	struct there was;

	fault_about = spec;
	assert_int_equal(make(), 0);
	if (there_already)
		assert_int_equal(machine_add(vm->machine, spec, NULL), 0);
	if (there_already)
		spec = "0000:01:00.0";
	warm_up(spec, options);
	was = look();
	for (unsigned k = 0; k < 2; k++) {
		unsigned failed = 0;

		FAULT_LOOP(l, kinds[k]) {
			int rc;

			fault_begin(&l);
			rc = uvfio_vm_assign(vm, spec, options, &dev);
			fault_end(&l, rc);
			if (rc)
				assert_string_not_equal(uvfio_vm_strerror(vm), "no error");
			else
				uvfio_vm_unassign(dev);
			check_same(&was);
			failed = l.failed;
		}
		assert_true(failed > 5);
	}
	uvfio_vm_free(vm);
	vm = NULL;
}

static void test_assign(void **state)
{
	run_assign("testdev", NULL, false);
	run_assign("testdev,vectors=8", "hide=0x10+0xe,vendor=0x1234", true);
	run_assign("edu", "iommu=vmm,rom=off", false);
	run_assign("igb,sriov_numvfs=2", NULL, false);
	run_assign("testdev,bus=shelf,group=4,id=x", NULL, false);
}

/* Do with the device as a guest does: nothing fails in it, and less may work. */
static void test_guest(void **state)
{
	struct uvfio_vm_device *dev;
	struct there was;

	fault_about = "a guest's accesses";
	assert_int_equal(make(), 0);
	warm_up("testdev", NULL);
	was = look();
	for (unsigned k = 0; k < 2; k++) {
		FAULT_LOOP(l, kinds[k]) {
			uint64_t v = 1ull << 32 | 0x30;

			assert_int_equal(uvfio_vm_assign(vm, "testdev", NULL, &dev), 0);
			fault_begin(&l);
			uvfio_vm_config_write(dev, 0x18, 4, 0x80000000);
			uvfio_vm_config_write(dev, 0x30, 4, 0x90000001);
			uvfio_vm_config_write(dev, 4, 2, 6);
			uvfio_vm_mmio(vm, 0x90000000, 4, &v, false);
			uvfio_vm_mmio(vm, 0x80000000, 4, &v, false);
			uvfio_vm_mmio(vm, 0x80008000, 8, &v, true);
			uvfio_vm_reset_device(dev);
			uvfio_vm_reset(vm);
			fault_end(&l, 0);
			assert_int_equal(uvfio_vm_config_read(dev, 0, 4), 0x7e571234);
			uvfio_vm_config_write(dev, 0x18, 4, 0x80000000);
			uvfio_vm_config_write(dev, 4, 2, 6);
			assert_int_equal(uvfio_vm_mmio(vm, 0x80000000, 4, &v, false), 0);
			assert_int_equal(v, 0x54465655);
			uvfio_vm_unassign(dev);
			check_same(&was);
		}
	}
	uvfio_vm_free(vm);
	vm = NULL;
}

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	ram.host = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ram.host == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_assign),
		cmocka_unit_test(test_guest),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
