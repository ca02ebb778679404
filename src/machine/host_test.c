/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/host_test.c: real devices in a machine, on a kernel of the test's own (test_kernel.h):
 * their places and options, what the view shows of them, and that nothing is open before a user
 * opens it.
 */
#include <linux/pci_regs.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "host/test_kernel.h"
#include "machine/internal.h"
#include "vfio/open.h"

#define FIRST  "0000:01:00.0"
#define SECOND "0000:01:00.1"
#define VF     "0000:04:00.0"

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	fake_start();
	host_env = &fake_env;
	*state = machine_new();
	return !*state || guard_install();
}

static int teardown(void **state)
{
	machine_free(*state, false);
	host_env = &host_kernel;
	fake_stop();
	return 0;
}

static struct machine_device *add(struct machine *m, const char *spec)
{
	char *err = NULL;

	if (machine_add(m, spec, &err))
		fail_msg("%s: %s", spec, err);
	return machine_device(m, machine_num_devices(m) - 1);
}

static void refused(struct machine *m, const char *spec, int rc, const char *word)
{
	unsigned n = machine_num_devices(m);
	char *err = NULL;

	assert_int_equal(machine_add(m, spec, &err), rc);
	assert_non_null(err);
	if (!strstr(err, word))
		fail_msg("'%s': \"%s\" does not have \"%s\"", spec, err, word);
	free(err);
	assert_int_equal(machine_num_devices(m), n);
}

static void its_own_place(void **state)
{
	struct machine *m = *state;
	struct machine_device *d;

	d = add(m, "host=01:00.0");
	assert_string_equal(d->addr, FIRST);
	assert_int_equal(d->group, 1);
	assert_string_equal(d->driver, "vfio-pci");
	assert_non_null(d->vdev);
	assert_true(machine_device_is_real(d));
	/* a model goes where it is not; a sibling to its group */
	d = add(m, "edu");
	assert_string_equal(d->addr, "0000:02:00.0");
	assert_int_equal(d->group, 2);
	assert_false(machine_device_is_real(d));
	d = add(m, "host=" SECOND);
	assert_int_equal(d->group, 1);
	/* its address is taken; so is the number of its group */
	refused(m, "host=" FAKE_ALONE, -EBUSY, "taken by another device (edu)");
	d = add(m, "host=" FAKE_ALONE ",addr=05:00.0,id=x");
	assert_string_equal(d->addr, "0000:05:00.0");
	assert_int_equal(d->group, 3);
	assert_false(machine_device_is_real(d)); /* not there */
	d = add(m, "host=0000:03:00.0,group=9");
	assert_int_equal(d->group, 9);
	refused(m, "host=" FIRST, -EBUSY, "taken by another device");
	fake_at_rest();
}

static void what_cannot_be(void **state)
{
	struct machine *m = *state;

	refused(m, "host=", -EINVAL, "is no PCI address");
	refused(m, "host=0000:09:00.0", -ENODEV, "the host has no PCI device 0000:09:00.0");
	fake_driver(FIRST, "nvme");
	refused(m, "host=" FIRST, -ENODEV, "is bound to nvme in the host");
	refused(m, "host=" FIRST, -ENODEV, "/sys/bus/pci/devices/" FIRST "/driver/unbind");
	refused(m, "host=" SECOND ",driver=pci-stub", -EINVAL, "no driver=");
	refused(m, "host=" SECOND ",sriov_numvfs=1", -EINVAL, "devices of their own");
	refused(m, "host=" SECOND ",migration=on", -EINVAL, "no migration=");
	refused(m, "host=" SECOND ",bus=a", -EINVAL, "it has a place");
	refused(m, "host=" SECOND ",net=tap", -EINVAL, "no net=");
	refused(m, "host=" SECOND ",via=both", -EINVAL, "write group or cdev");
	refused(m, "host=" SECOND ",via=cdev", -EOPNOTSUPP, "has no character device");
	refused(m, "host=" SECOND ",vf_token=1", -EINVAL, "is not a UUID");
	assert_int_equal(machine_set_noiommu(m, "all"), 0);
	refused(m, "host=" SECOND, -EINVAL, "--noiommu");
}

static void its_face(void **state)
{
	struct machine *m = *state;
	const struct pci_face *f = add(m, "host=" FIRST)->face;

	assert_int_equal(f->config_size, 256);
	assert_int_equal(f->sriov.total, 0);
	assert_int_equal(f->bars[0].size, 0x2000);
	assert_int_equal(f->bars[1].size, 0);
	assert_int_equal(f->bars[2].size, 0x10000);
	assert_int_equal(f->bars[2].flags, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH);
	assert_int_equal(f->bars[4].flags, UVFIO_BAR_IO);
	assert_int_equal(f->bars[PCI_ROM_BAR].size, 0x20000);
	/* what is in its registers is the host's affair, and stays */
	assert_int_equal(pci_face_read(f, PCI_COMMAND, 2), 0x6363);
	pci_face_write(f, PCI_COMMAND, 2, 0);
	assert_int_equal(pci_face_read(f, PCI_COMMAND, 2), 0x6363);
	assert_int_equal(pci_face_read(f, 256, 4), UINT32_MAX);
	/* an ordinary user may read no more */
	fake_write("0123456789012345678901234567890123456789012345678901234567890123",
		   "%s/bus/pci/devices/" SECOND "/config", fake.sysfs);
	assert_int_equal(add(m, "host=" SECOND)->face->config_size, 64);
	/* a VF has its ids and BARs from Linux */
	fake_link("../0000:01:00.0", "%s/bus/pci/devices/" VF "/physfn", fake.sysfs);
	fake_write("0x10ca\n", "%s/bus/pci/devices/" VF "/device", fake.sysfs);
	f = add(m, "host=" VF)->face;
	assert_int_equal(pci_face_read(f, PCI_VENDOR_ID, 4), 0x10ca1234);
	assert_int_equal(pci_face_read(f, PCI_DEVICE_ID, 2), 0x10ca);
	assert_int_equal(pci_face_bar_address(f, 0), 0xfe000000);
	assert_true(pci_face_bar_address(f, 2) == 0x4000000000);
}

/* Product data is read by sysfs, as if by the registers. */
static void product_data(void **state)
{
	static char config[257];
	const struct pci_face *f;

	memset(config, 'c', 256);
	config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	config[PCI_CAPABILITY_LIST] = 'd';
	config['d'] = PCI_CAP_ID_VPD;
	fake_write(config, "%s/bus/pci/devices/" FIRST "/config", fake.sysfs);
	fake_write("abcdefgh", "%s/bus/pci/devices/" FIRST "/vpd", fake.sysfs);
	f = add(*state, "host=" FIRST)->face;
	pci_face_write(f, 'd' + PCI_VPD_ADDR, 2, 4);
	assert_int_equal(pci_face_read(f, 'd' + PCI_VPD_ADDR, 2), 4 | PCI_VPD_ADDR_F);
	assert_int_equal(pci_face_read(f, 'd' + PCI_VPD_DATA, 4), 0x68676665);
	/* behind its end no answer comes */
	pci_face_write(f, 'd' + PCI_VPD_ADDR, 2, 8);
	assert_int_equal(pci_face_read(f, 'd' + PCI_VPD_ADDR, 2), 8);
}

static void the_view(void **state)
{
	struct machine *m = *state;
	char path[192], dir[80], text[1024], want[1024];
	struct machine_device *d = add(m, "host=" FIRST);
	ssize_t n;
	int fd;

	snprintf(dir, sizeof(dir), "%s/view", fake.root);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(machine_write_view(m, dir), 0);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" FIRST "/resource", dir);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* addresses and sizes are the host's; flags are of registers, which are all 'c' here */
	snprintf(want, sizeof(want), "0x%016llx 0x%016llx ", 0x63636360ull, 0x6363835full);
	assert_memory_equal(text, want, strlen(want));
	snprintf(path, sizeof(path), "%s/dev/vfio/1", dir);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" FIRST "/sriov_numvfs", dir);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_non_null(d->face);
	fake_at_rest();
}

/* A device whose BARs are not to be seen is none that has no BARs. */
static void no_bars_to_see(void **state)
{
	struct machine *m = *state;
	char *err = NULL, path[192];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/" FIRST "/resource", fake.sysfs);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(machine_add(m, "host=" FIRST, &err), -ENOENT);
	assert_non_null(strstr(err, "sysfs does not show its BARs"));
	free(err);
	assert_int_equal(machine_num_devices(m), 0);
	fake_at_rest();
}

/* Nobody may have it; what is found out so is not kept. */
static void somebody_has_it(void **state)
{
	struct machine *m = *state;
	char *err = NULL;
	int fd;

	add(m, "edu,addr=08:00.0");
	assert_int_equal(machine_check(m, &err), 0);
	add(m, "host=" FIRST);
	assert_int_equal(machine_check(m, &err), 0);
	fake_at_rest();
	fd = fake_file("group-", "1");
	assert_int_equal(machine_check(m, &err), -EBUSY);
	assert_non_null(strstr(err, "could not be opened now"));
	free(err);
	close(fd);
	fake_driver(SECOND, "e1000e");
	assert_int_equal(machine_check(m, &err), -EPERM);
	free(err);
}

static void open_it(void **state)
{
	static const struct {
		const char *spec;
		uint32_t flags;
		enum vfio_area_kind kind;
	} all[] = {
		{ "host=" FIRST, 7, VFIO_AREA_DIRECT },
		{ "host=" FIRST ",mmap=trap,addr=11:00.0", 7, VFIO_AREA_TRAPPED },
		{ "host=" FIRST ",mmap=off,addr=12:00.0", 3, 0 },
	};
	struct machine *m = *state;
	struct vfio_region r;
	struct vfio_open o;
	uint64_t v = 0x1234;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct machine_device *d = add(m, all[i].spec);

		/* a monitor on KVM can have its memory */
		machine_auto_mmap_off(m);
		vfio_open_init(&o, d->vdev);
		assert_int_equal(vfio_open_bind(&o), 0);
		assert_string_equal(d->vdev->name, d->addr);
		assert_int_equal(vfio_device_region(&o, 0, &r), 0);
		assert_int_equal(r.flags, all[i].flags);
		if (r.flags & VFIO_REGION_INFO_FLAG_MMAP) {
			assert_int_equal(r.areas[0].kind, all[i].kind);
			assert_int_equal(vfio_device_check_map(&o, 0, 0, 4096), 0);
			assert_int_equal(vfio_device_mmio(&o, 0, 8, 4, &v, true), 0);
			assert_int_equal(vfio_device_mmio(&o, 0, 8, 4, &v, false), 0);
			assert_int_equal(v, 0x1234);
		} else {
			assert_int_equal(vfio_device_check_map(&o, 0, 0, 4096), -EINVAL);
		}
		vfio_open_close(&o);
		fake_at_rest();
	}
}

/* A settled one is made from the line that said where it is. */
static void settled(void **state)
{
	char *place, *err = NULL;
	struct machine_device *d;
	struct machine *m;

	add(*state, "edu,group=1,addr=08:00.0");
	add(*state, "host=" FIRST);
	assert_int_equal(machine_settle(*state, &place), 0);
	m = machine_new();
	assert_int_equal(machine_add_settled(m, "host=" FIRST ",id=x", place, &err), 0);
	d = machine_device(m, 0);
	assert_string_equal(d->addr, FIRST);
	assert_int_equal(d->group, 2); /* 1 was taken */
	assert_null(d->vdev);
	machine_free(m, false);
	free(place);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(its_own_place), TEST(what_cannot_be), TEST(its_face),
		TEST(product_data),  TEST(the_view),	   TEST(somebody_has_it),
		TEST(open_it),	     TEST(settled),	   TEST(no_bars_to_see),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
