/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory_fault_test.c: each allocation and each system call fails in turn while a guest's
 * memory changes: an error with a sentence, and what failed is not there; then the same works.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/test_count.h"
#include "base/test_fault.h"
#include "base/test_signals.h"
#include "vmm/test_dma.h"

static struct uvfio_vm *vm;
static char *mem;

static struct uvfio_vm_device *dev, *own;
static int ram;

/* One round of a test, and what holds after it. */
static int add_section(void)
{
	struct uvfio_vm_memory m = { .gpa = 0x100000, .size = 4 * K, .host = mem, .fd = ram };

	return uvfio_vm_memory_add(vm, &m);
}

static void check_section(int rc)
{
	assert_int_equal(td_reads(dev, 0x100000), !rc);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x100000, 4 * K), rc ? -ENOENT : 0);
	assert_false(td_reads(dev, 0x100000));
}

static int populate(void)
{
	return uvfio_vm_memory_populate(vm, 0x200000, 8 * K);
}

static void check_populated(int rc)
{
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(td_reads(dev, 0x200000 + i * K), !rc);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x200000, 8 * K), 0);
	assert_false(td_reads(dev, 0x200000));
}

static int map_own(void)
{
	return uvfio_vm_dma_map(own, 0x40000, 0, 8 * K, UVFIO_VM_READ);
}

static void check_own(int rc)
{
	assert_int_equal(td_reads(own, 0x40000), !rc);
	assert_int_equal(td_reads(own, 0x47000), !rc);
	assert_int_equal(uvfio_vm_dma_unmap(own, 0x40000, 8 * K), rc ? 0 : 8 * K);
}

/* One goes and two come; what fails is not there, the others are. */
static int batch(void)
{
	uvfio_vm_memory_begin(vm);
	uvfio_vm_memory_remove(vm, 0x4000, 4 * K);
	guest_add(vm, 0x300000, 2 * K, mem, 0);
	guest_add(vm, 0x302000, 2 * K, mem + 4 * K, 0);
	return uvfio_vm_memory_commit(vm);
}

static void check_batch(int rc)
{
	bool first = td_reads(dev, 0x300000), second = td_reads(dev, 0x302000);

	assert_false(td_reads(dev, 0x4000));
	if (rc)
		assert_false(first && second);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x300000, 2 * K), first ? 0 : -ENOENT);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x302000, 2 * K), second ? 0 : -ENOENT);
	assert_int_equal(guest_add(vm, 0x4000, 4 * K, mem + 4 * K, 0), 0);
}

static void test_memory(void **state)
{
	static const struct {
		const char *what;
		int (*call)(void);
		void (*check)(int rc);
		unsigned least;
	} all[] = {
		{ "add", add_section, check_section, 3 },
		{ "populate", populate, check_populated, 8 },
		{ "dma_map", map_own, check_own, 4 },
		{ "batch", batch, check_batch, 1 },
	};
	static const unsigned kinds[] = { FAULT_MEMORY, FAULT_CALLS };
	struct uvfio_vm_memory m = {
		.gpa = 0x200000,
		.size = 16 * K,
		.host = NULL,
		.fd = -1,
		.granularity = K,
		.flags = UVFIO_VM_MEM_DISCARDABLE,
	};
	unsigned mappings, failed, fds;

	mem = mmap(NULL, 16 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ram = memfd_create("ram", MFD_CLOEXEC);
	vm = guest_new();
	dev = guest_assign(vm, "testdev", NULL);
	own = guest_assign(vm, "testdev", "iommu=vmm");
	assert_int_equal(guest_add(vm, 0, 4 * K, mem, 0), 0);
	assert_int_equal(guest_add(vm, 0x4000, 4 * K, mem + 4 * K, 0), 0);
	m.host = mem;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fault_about = all[i].what;
		all[i].check(all[i].call());
		mappings = (unsigned)atomic_load(&machine_system(vm->machine)->ioases.mappings);
		fds = test_count_fds();
		for (unsigned k = 0; k < 2; k++) {
			failed = 0;
			FAULT_LOOP(l, kinds[k]) {
				int rc;

				fault_begin(&l);
				rc = all[i].call();
				fault_end(&l, rc);
				if (rc)
					assert_string_not_equal(uvfio_vm_strerror(vm), "no error");
				all[i].check(rc);
				assert_int_equal(
					atomic_load(&machine_system(vm->machine)->ioases.mappings),
					mappings);
				assert_int_equal(test_count_fds(), fds);
				failed = l.failed;
			}
			if (kinds[k] == FAULT_MEMORY)
				assert_true(failed >= all[i].least);
		}
	}
	uvfio_vm_free(vm);
	munmap(mem, 16 * K);
	close(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
	};

	log_set(2, LOG_NONE);
	if (guard_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
