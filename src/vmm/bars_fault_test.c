/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars_fault_test.c: BARs of a device when memory runs out or a mapping fails: it is not
 * assigned, and nothing is left; or what could not be mapped is trapped (tests 6, 31).
 */
#include "base/test_fault.h"
#include "test_vm.h"

#define K4 4096u

static unsigned maps;

static int map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa, uint64_t size,
	       void *host, bool readonly)
{
	maps++;
	return 0;
}

static void unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa, uint64_t size)
{
	maps--;
}

static uint64_t read_window(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	return 7;
}

/* All that is done about BARs when a device is assigned, and is first used. */
static int set_up(struct uvfio_vm_device *dev)
{
	int rc = vm_bars_init(dev);

	if (rc)
		return rc;
	rc = uvfio_vm_bar_window(dev, 4, 0x9800, 4, read_window, NULL);
	if (rc) {
		vm_bars_fini(dev);
		return rc;
	}
	pthread_mutex_lock(&dev->lock);
	vm_config_set_copy(dev, PCI_BASE_ADDRESS_4, 4, 0x10000000);
	vm_config_set_copy(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	vm_bars_update(dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static void check(struct tvm *t, uint64_t gpa, uint64_t want)
{
	uint64_t value = 0;

	assert_int_equal(uvfio_vm_mmio(t->vm, gpa, 4, &value, false), 0);
	assert_int_equal(value, want);
}

static void test_bars(void **state)
{
	const struct uvfio_vm_ops vm_ops = { .bar_map = map, .bar_unmap = unmap };
	struct vfio_region_area area = { .size = FAKE_BAR4, .kind = VFIO_AREA_DIRECT };
	struct uvfio_vm_irq_ops ops;
	static struct tvm t;
	unsigned trapped = 0, failed = 0;

	area.fd = memfd_create("bar", MFD_CLOEXEC);
	assert_int_equal(ftruncate(area.fd, FAKE_BAR4), 0);
	fault_about = "setting up BARs";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		long live;
		int rc;

		fake_init(&t.fake);
		t.fake.region[4].flags |= VFIO_REGION_INFO_FLAG_MMAP;
		t.fake.region[4].areas = &area;
		t.fake.region[4].num_areas = 1;
		/* a table of one page, and pending bits of another */
		fake_put(&t.fake, FAKE_MSIX + PCI_MSIX_FLAGS, 2, 63);
		t.fake.irq[VFIO_PCI_MSIX_IRQ_INDEX].count = 64;
		mon_init(&t.mon);
		mon_ops(&ops, false);
		tvm_begin(&t, &vm_ops, NULL, &ops);
		assert_int_equal(vm_config_init(t.dev), 0);
		assert_int_equal(vm_irq_init(t.dev), 0);
		live = fault_live;
		fault_begin(&l);
		rc = set_up(t.dev);
		fault_end(&l, rc);
		if (!rc) {
			/* behind the table, and behind the pending bits and the window */
			assert_true(maps <= 2);
			trapped += maps < 2;
			memset(t.fake.bar[4] + 0xf000, 9, 4);
			check(&t, 0x1000f000, 0x09090909);
			check(&t, 0x10009800, 7);
			pthread_mutex_lock(&t.dev->lock);
			vm_bars_down(t.dev);
			pthread_mutex_unlock(&t.dev->lock);
			vm_bars_fini(t.dev);
		}
		assert_int_equal(maps, 0);
		assert_int_equal(fault_live, live);
		vm_irq_fini(t.dev);
		vm_config_fini(t.dev);
		tvm_end(&t);
		fake_fini(&t.fake);
		failed = l.failed;
	}
	/* areas, three cuts, the window; and each of the two mappings, in its three steps */
	if (FAULT_LIBRARIES)
		assert_int_equal(failed, 5);
	assert_int_equal(trapped, 6);
	close(area.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
