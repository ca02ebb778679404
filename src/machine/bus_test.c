/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/bus_test.c: buses that devices share: where their devices are, groups, what is reset
 * together, and the bridges in the view. Groups and directories are those that Linux 7.3 made of
 * the same topology in QEMU.
 */
#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/test_dir.h"
#include "vfio/test_system.h"

static void refused(struct machine *m, const char *spec, int want, const char *word)
{
	char *err = NULL;

	assert_int_equal(machine_add(m, spec, &err), want);
	assert_non_null(err);
	if (!strstr(err, word))
		fail_msg("'%s': \"%s\" does not have \"%s\"", spec, err, word);
	free(err);
}

static void places_and_groups(void **state)
{
	struct machine *m =
		MACHINE("edu,bus=pci:a", "edu", "edu,bus=pci:a", "edu,bus=b", "edu,bus=port:b",
			"edu,bus=switch:s", "edu,bus=switch:s", "edu,bus=root", "edu",
			"edu,bus=b,group=40", "igb,bus=b", "igb,bus=b", "edu,bus=b");
	static const struct {
		const char *addr;
		unsigned group, together; /* places that are reset together; 0: no such reset */
	} want[] = {
		{ "0000:02:00.0", 1, 2 },
		{ "0000:03:00.0", 2, 1 },
		{ "0000:02:01.0", 1, 2 },
		{ "0000:04:00.0", 3, 6 },
		{ "0000:04:00.1", 3, 6 },
		{ "0000:07:00.0", 4, 1 },
		{ "0000:08:00.0", 5, 1 },
		{ "0000:00:10.0", 6, 0 },
		{ "0000:0f:00.0", 7, 1 },
		{ "0000:04:00.2", 40, 6 },
		/* Linux knows of the 82576 that its functions are apart */
		{ "0000:04:00.3", 8, 6 },
		{ "0000:04:00.4", 9, 6 },
		{ "0000:04:00.5", 3, 6 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		struct machine_device *d = machine_device(m, i);

		assert_string_equal(d->addr, want[i].addr);
		assert_int_equal(d->group, want[i].group);
		if (want[i].together)
			assert_int_equal(vfio_slot_places(d->vdev, NULL, 0), want[i].together);
		else
			assert_int_equal(d->vdev->reset_scope, VFIO_RESET_NONE);
		/* 1, 7 and 8 have no bridge that is shown */
		assert_int_equal(d->vdev->below_port, i != 1 && i != 7 && i != 8);
	}
	machine_free(m, false);
}

static void what_cannot_be(void **state)
{
	struct machine *m = MACHINE("edu,bus=a", "edu,addr=05:00.0", "edu,bus=switch:s",
				    "edu,bus=a,addr=01:00.7");

	refused(m, "edu,bus=", -EINVAL, "or a name");
	refused(m, "edu,bus=pci:", -EINVAL, "or a name");
	refused(m, "edu,bus=isa:x", -EINVAL, "switch:");
	refused(m, "edu,bus=pci:a", -EINVAL, "kind port");
	refused(m, "edu,bus=a,addr=01:01.0", -EINVAL, "first one is 0000:01:00.0");
	refused(m, "edu,bus=a,addr=01:00.7", -EBUSY, "taken");
	refused(m, "edu,addr=01:00.1", -EBUSY, "behind one");
	refused(m, "edu,addr=00:01.0", -EBUSY, "is a bridge's");
	refused(m, "edu,addr=07:05.0", -EBUSY, "behind one");
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(machine_add(m, "edu,bus=a", NULL), 0);
	refused(m, "edu,bus=a", -ENOSPC, "no more than 8");
	/* 05 is taken, so the switch begins behind it */
	assert_string_equal(machine_device(m, 2)->addr, "0000:08:00.0");
	for (unsigned i = 0; i < 13; i++) {
		char spec[32];

		snprintf(spec, sizeof(spec), "edu,bus=x%u", i);
		assert_int_equal(machine_add(m, spec, NULL), 0);
	}
	refused(m, "edu,bus=y", -ENOSPC, "no root port");
	machine_free(m, false);
}

/* A function with another driver counts, and nothing can be reset together with it. */
static void other_drivers(void **state)
{
	struct machine *m = MACHINE("igb,bus=a", "igb,bus=a,driver=igb", "igb,bus=b");
	struct vfio_device *dev = machine_device(m, 0)->vdev;
	struct vfio_place at[3];

	assert_int_equal(vfio_slot_places(dev, at, 3), 2);
	assert_null(at[1].dev);
	assert_int_equal(at[1].group->iommu->id, 2);
	assert_int_equal(pci_address_devfn(&at[1].address), 1);
	assert_int_equal(vfio_slot_reset(dev), -EINVAL);
	assert_int_equal(vfio_slot_reset(machine_device(m, 2)->vdev), 0);
	machine_free(m, false);
}

/* The process that runs gets the text of the option, and knows what is reset together. */
static void settled(void **state)
{
	struct machine *m = MACHINE("edu,bus=pci:a"), *other = machine_new();
	char *spec, *err, *text;

	assert_int_equal(machine_spec_absolute("edu,bus=pci:a", &spec, &err), 0);
	assert_string_equal(spec, "edu,bus=pci:a");
	assert_int_equal(machine_settle(m, &text), 0);
	assert_int_equal(machine_add_settled(other, spec, text, &err), 0);
	assert_string_equal(machine_device(other, 0)->addr, "0000:02:00.0");
	assert_int_equal(other->plugged[0]->place.scope, VFIO_RESET_BUS);
	assert_int_equal(other->num_buses, 0);
	free(text);
	free(spec);
	machine_free(other, false);
	machine_free(m, false);
}

static const char *text_of(const char *name)
{
	static char path[PATH_MAX], text[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("no %s", name);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static const char *resolved(const char *name)
{
	static char path[PATH_MAX], real[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!realpath(path, real))
		fail_msg("%s leads nowhere", name);
	return real + strlen(dir);
}

#define BUS(addr) "sys/bus/pci/devices/" addr
static void view_has_bridges(void **state)
{
	struct machine *m = MACHINE("edu,bus=pci:a", "edu,bus=pci:a", "igb,bus=s", "edu,bus=root");
	static const uint8_t numbers[] = { 0, 1, 2 };

	assert_int_equal(machine_write_view(m, dir), 0);
	assert_string_equal(resolved(BUS("0000:02:01.0")),
			    "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:01.0");
	assert_string_equal(resolved(BUS("0000:02:01.0/subsystem")), "/sys/bus/pci");
	assert_string_equal(resolved(BUS("0000:02:01.0/driver")), "/sys/bus/pci/drivers/vfio-pci");
	assert_string_equal(resolved(BUS("0000:02:01.0/iommu")),
			    "/sys/devices/virtual/iommu/uvfio-iommu");
	assert_string_equal(resolved(BUS("0000:02:01.0/iommu_group")),
			    "/sys/kernel/iommu_groups/1");
	/* the bridge to PCI is in the group of what is behind it, a root port in one of its own */
	assert_string_equal(resolved("sys/kernel/iommu_groups/1/devices/0000:01:00.0"),
			    "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	assert_string_equal(resolved(BUS("0000:00:01.0/iommu_group")),
			    "/sys/kernel/iommu_groups/4");
	assert_string_equal(resolved(BUS("0000:00:01.0/driver")), "/sys/bus/pci/drivers/pcieport");
	assert_string_equal(text_of(BUS("0000:00:01.0/class")), "0x060400\n");
	assert_string_equal(text_of(BUS("0000:00:01.0/secondary_bus_number")), "1\n");
	assert_string_equal(text_of(BUS("0000:00:01.0/subordinate_bus_number")), "2\n");
	assert_memory_equal(text_of(BUS("0000:00:01.0/config")) + PCI_PRIMARY_BUS, numbers, 3);
	assert_null(strstr(text_of(BUS("0000:01:00.0/uevent")), "DRIVER="));
	assert_string_equal(text_of(BUS("0000:02:00.0/reset_method")), "bus\n");
	/* of functions of one device the header says so, and after a reset as well */
	assert_int_equal(pci_face_read(machine_find(m, "02:00.0")->face, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(vfio_slot_reset(machine_find(m, "03:00.0")->vdev), 0);
	assert_int_equal(pci_face_read(machine_find(m, "03:00.0")->face, PCI_HEADER_TYPE, 1), 0x80);
	assert_string_equal(text_of(BUS("0000:03:00.0/reset_method")), "flr pm bus\n");
	assert_string_equal(resolved(BUS("0000:00:10.0")), "/sys/devices/pci0000:00/0000:00:10.0");
	text_of("sys/devices/pci0000:00/0000:00:02.0/pci_bus/0000:03/cpuaffinity");
	text_of("sys/devices/pci0000:00/pci_bus/0000:00/cpulistaffinity");
	machine_free(m, false);
}

/* VFs stand where their PF does. */
static void view_of_vfs(void **state)
{
	struct machine *m = MACHINE("igb,bus=s,sriov_numvfs=1");

	assert_int_equal(machine_write_view(m, dir), 0);
	assert_string_equal(resolved(BUS("0000:01:10.0")),
			    "/sys/devices/pci0000:00/0000:00:01.0/0000:01:10.0");
	assert_string_equal(resolved(BUS("0000:01:10.0/physfn/virtfn0/driver")),
			    "/sys/bus/pci/drivers/vfio-pci");
	assert_string_equal(text_of(BUS("0000:01:00.0/sriov_numvfs")), "1\n");
	machine_free(m, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_and_groups),
		cmocka_unit_test(what_cannot_be),
		cmocka_unit_test(other_drivers),
		cmocka_unit_test(settled),
		cmocka_unit_test_setup_teardown(view_has_bridges, test_make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(view_of_vfs, test_make_dir, test_drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
