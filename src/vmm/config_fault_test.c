/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/config_fault_test.c: each allocation and each system call of what makes config space, the ROM
 * and quirks fails in turn (test 6): an error, and nothing is left; or all ones.
 */
#include "base/test_fault.h"
#include "vmm/test_config.h"

static unsigned set_up, torn_down;
static int windows_rc;

static int setup(struct uvfio_vm_device *dev)
{
	set_up++;
	windows_rc = uvfio_vm_config_mirror(dev, 2, 0x1000, 0x1000);
	if (!windows_rc)
		windows_rc = uvfio_vm_config_window(dev, 2, 0x100, 0x104, 0, 0);
	return windows_rc;
}

static void teardown(struct uvfio_vm_device *dev)
{
	torn_down++;
}

static const struct uvfio_vm_quirk quirk = { .vendor = 0x8086,
					     .device = 0x1572,
					     .name = "for faults",
					     .setup = setup,
					     .teardown = teardown };

static void registering(void **state)
{
	FAULT_LOOP(l, FAULT_MEMORY) {
		int rc;

		fault_begin(&l);
		rc = uvfio_vm_quirk_register(&quirk);
		fault_end(&l, rc);
	}
}

/* Make all of it: 0 or -errno, and nothing of it is there then. */
static int make(void)
{
	int rc = vm_config_init(t.dev);

	if (rc)
		return rc;
	rc = vm_irq_init(t.dev);
	if (rc)
		goto fail;
	rc = vm_bars_init(t.dev);
	if (rc)
		goto fail_irq;
	rc = vm_quirks_init(t.dev);
	if (!rc)
		return 0;
	vm_bars_fini(t.dev);
fail_irq:
	vm_irq_fini(t.dev);
fail:
	vm_config_fini(t.dev);
	return rc;
}

static void making(void **state)
{
	static const unsigned kinds[] = { FAULT_MEMORY, FAULT_CALLS };
	char path[] = "/tmp/uvfio-rom-XXXXXX", option[64];
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, "rom", 3) == 3);
	close(fd);
	snprintf(option, sizeof(option), "rom=%s", path);
	for (unsigned i = 0; i < 2; i++) {
		unsigned failed = 0;

		FAULT_LOOP(l, kinds[i]) {
			unsigned fds;
			int rc;

			begin_with(option, NULL);
			set_up = torn_down = 0;
			fds = fault_fds();
			fault_begin(&l);
			rc = make();
			fault_end(&l, rc);
			assert_int_equal(fault_fds(), fds);
			failed = l.failed;
			if (rc) {
				assert_int_equal(set_up - torn_down, !!set_up);
				assert_true(!set_up || windows_rc);
				finish_half();
				continue;
			}
			assert_int_equal(vm_rom_read(t.dev, 0, 4),
					 0xff000000 | 'r' | 'o' << 8 | 'm' << 16);
			finish();
			assert_int_equal(set_up, torn_down);
		}
		/* the image, quirks, windows; or the file */
		assert_true(failed >= (i ? 2 : 5));
	}
	unlink(path);
}

/* No memory for the image when the guest looks: it reads ones, now and later. */
static void reading(void **state)
{
	begin(NULL, NULL);
	rom_answers[0] = 0x10000;
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(vm_rom_read(t.dev, 0, 4), UINT32_MAX);
	assert_true(fault_clear());
	assert_int_equal(vm_rom_read(t.dev, 0, 4), UINT32_MAX);
	assert_int_equal(rom_reads, 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registering),
		cmocka_unit_test(making),
		cmocka_unit_test(reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
