/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/remove_test.c: devices are taken out of a machine that is none of a run, in any order:
 * what they had is free, and what the others have stays.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/test_count.h"
#include "machine/internal.h"
#include "machine/test_dir.h"
#include "pci/function.h"
#include "vfio/open.h"
#include "vfio/test_system.h"

static struct machine_device *add(struct machine *m, const char *spec)
{
	char *err = NULL;

	if (machine_add(m, spec, &err) || machine_start(m, &err))
		fail_msg("%s: %s", spec, err);
	return machine_device(m, machine_num_devices(m) - 1);
}

static uint32_t bar(const struct machine_device *d, unsigned i)
{
	return pci_face_read(d->face, PCI_BASE_ADDRESS_0 + 4 * i, 4);
}

/* Each of three, first, middle and last: the others are found as before, and can be used. */
static void each_of_three(void **state)
{
	for (unsigned gone = 0; gone < 3; gone++) {
		struct machine *m = MACHINE("edu", "testdev", "edu,id=x");
		struct machine_device *d[3], *again;
		char addr[PCI_ADDRESS_TEXT];
		unsigned group;

		for (unsigned i = 0; i < 3; i++)
			d[i] = machine_device(m, i);
		strcpy(addr, d[gone]->addr);
		group = d[gone]->group;
		machine_remove(m, d[gone]);
		assert_int_equal(machine_num_devices(m), 2);
		assert_null(machine_find(m, addr));
		assert_null(test_find_device(machine_system(m), addr));
		for (unsigned i = 0, k = 0; i < 3; i++) {
			struct vfio_open o;

			if (i == gone)
				continue;
			assert_ptr_equal(machine_device(m, k), d[i]);
			assert_int_equal(container_of_type(d[i], struct plugged, d)->index, k++);
			assert_ptr_equal(machine_find(m, d[i]->addr), d[i]);
			vfio_open_init(&o, d[i]->vdev);
			assert_int_equal(vfio_open_bind(&o), 0);
			vfio_open_close(&o);
		}
		/* place, group and id are free */
		again = add(m, gone == 2 ? "edu,id=x" : "edu,id=y");
		assert_string_equal(again->addr, addr);
		assert_int_equal(again->group, group);
		machine_free(m, false);
	}
}

/* A group of several: it stays with those that are left, and is free after the last one. */
static void groups(void **state)
{
	struct machine *m = MACHINE("edu,group=5", "edu,group=5", "edu");
	struct machine_device *a = machine_device(m, 0), *b = machine_device(m, 1);
	struct vfio_group *g = b->vdev->group;

	machine_remove(m, a);
	assert_int_equal(g->n, 1);
	assert_ptr_equal(b->vdev->group, g);
	a = add(m, "testdev,group=5");
	assert_ptr_equal(a->vdev->group, g);
	assert_int_equal(g->n, 2);
	machine_remove(m, b);
	machine_remove(m, a);
	assert_int_equal(g->n, 0);
	assert_int_equal(g->iommu->n, 0);
	/* an option that ties them: a unit of those that are left */
	a = add(m, "edu,group=5");
	b = add(m, "edu,group=5");
	machine_remove(m, a);
	assert_ptr_equal(container_of_type(b, struct plugged, d)->lead,
			 container_of_type(b, struct plugged, d));
	assert_int_equal(add(m, "edu")->group, 2);
	machine_free(m, false);
}

#define IGB_CTRL     0x0u
#define IGB_CTRL_SLU (1u << 6)
#define IGB_STATUS   0x8u
#define IGB_LU	     2u

/* True if the port of @d has a link. */
static bool has_link(struct machine_device *d)
{
	uint16_t command = PCI_COMMAND_MEMORY;
	uint32_t v = IGB_CTRL_SLU;
	struct vfio_open o;

	vfio_open_init(&o, d->vdev);
	assert_int_equal(vfio_open_bind(&o), 0);
	vfio_device_rw(&o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true);
	assert_int_equal(vfio_device_rw(&o, 0, IGB_CTRL, &v, 4, true), 4);
	assert_int_equal(vfio_device_rw(&o, 0, IGB_STATUS, &v, 4, false), 4);
	vfio_open_close(&o);
	return v & IGB_LU;
}

/* The end of a cable goes: the other one has no link, and has it again when one comes. */
static void cables(void **state)
{
	for (unsigned gone = 0; gone < 2; gone++) {
		static const char *const specs[] = { "igb,id=a,net=peer:b", "igb,id=b" };
		struct machine *m = MACHINE(specs[0], specs[1]);
		struct machine_device *other = machine_device(m, !gone);

		assert_true(has_link(other));
		machine_remove(m, machine_device(m, gone));
		assert_false(has_link(other));
		add(m, specs[gone]);
		assert_true(has_link(other));
		machine_remove(m, other);
		assert_false(has_link(machine_device(m, 0)));
		machine_free(m, false);
	}
}

/* A PF takes its VFs along: their addresses and groups are free. */
static void vfs(void **state)
{
	struct machine *m = MACHINE("edu");
	struct machine_device *pf = add(m, "igb,sriov_numvfs=3"), *vf;
	unsigned group = machine_vf(m, pf, 0)->group;
	char addr[PCI_ADDRESS_TEXT];

	assert_non_null(machine_vf(m, pf, 2));
	strcpy(addr, machine_vf(m, pf, 1)->addr);
	assert_non_null(test_find_device(machine_system(m), addr));
	machine_remove(m, pf);
	assert_null(machine_find(m, addr));
	assert_null(test_find_device(machine_system(m), addr));
	assert_true(machine_group_is_free(m, group));
	pf = add(m, "igb,sriov_numvfs=2");
	vf = machine_vf(m, pf, 1);
	assert_string_equal(vf->addr, addr);
	assert_int_equal(machine_vf(m, pf, 0)->group, group);
	assert_true(machine_group_is_free(m, group + 2));
	machine_free(m, false);
}

/* A bus that devices share goes with the last of them, with its numbers and its port. */
static void buses(void **state)
{
	struct machine *m = MACHINE("edu,bus=root");
	struct machine_device *a, *b;
	char spec[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(spec, sizeof(spec), "edu,bus=%s%u", i & 1 ? "pci:" : "", i);
		a = add(m, spec);
		b = add(m, spec);
		assert_int_equal(m->num_buses, 2);
		assert_int_equal(a->address.bus, b->address.bus);
		machine_remove(m, i & 2 ? a : b);
		assert_int_equal(m->num_buses, 2);
		machine_remove(m, i & 2 ? b : a);
		assert_int_equal(m->num_buses, 1);
	}
	/* one that a device could not come to */
	assert_int_equal(machine_add(m, "edu,bus=new,group=1,id=", NULL), -EINVAL);
	assert_int_equal(machine_add(m, "testdev,bus=new,ram=3", NULL), -EINVAL);
	assert_int_equal(m->num_buses, 1);
	machine_remove(m, machine_device(m, 0));
	assert_int_equal(m->num_buses, 0);
	machine_free(m, false);
}

/* Bus addresses that one had are used again, also when others came behind it. */
static void addresses(void **state)
{
	struct machine *m = MACHINE("testdev", "testdev");
	struct machine_device *d;
	uint32_t first = bar(machine_device(m, 0), 2), second = bar(machine_device(m, 1), 2), now;

	/* of the last one */
	machine_remove(m, machine_device(m, 1));
	assert_int_equal(bar(add(m, "testdev"), 2), second);
	/* all of them */
	machine_remove(m, machine_device(m, 0));
	machine_remove(m, machine_device(m, 0));
	assert_int_equal(bar(add(m, "testdev"), 2), first);
	add(m, "testdev");
	/* never none, and far more than there is room for: 48 bridges' windows of 1 MiB fill it */
	for (unsigned i = 0; i < 1000; i++) {
		machine_remove(m, machine_device(m, 0));
		d = add(m, i % 3 ? "testdev" : "testdev,bus=x");
		now = bar(d, 2);
		assert_int_not_equal(now & PCI_BASE_ADDRESS_MEM_MASK, 0);
		assert_int_not_equal(now, bar(machine_device(m, 0), 2));
	}
	machine_free(m, false);
}

/* Nothing of it is left but an empty group: a thousand devices of all kinds come and go. */
static void a_thousand(void **state)
{
	static const char *const specs[] = {
		"edu",	       "testdev,id=t", "igb,sriov_numvfs=2",
		"edu,group=9", "edu,bus=b",    "igb,id=c,net=peer:c2",
	};
	struct machine *m = MACHINE("edu");
	unsigned n = sizeof(specs) / sizeof(specs[0]), groups = 0, fds = 0;

	for (unsigned i = 0; i < 1000; i++) {
		struct machine_device *d = add(m, specs[i % n]);

		if (i % 2)
			machine_remove(m, d);
		else
			machine_remove(m, machine_device(m, 0));
		if (i == 2 * n) {
			groups = m->num_groups;
			fds = test_count_fds();
		}
	}
	assert_int_equal(machine_num_devices(m), 1);
	assert_int_equal(m->num_groups, groups);
	assert_int_equal(test_count_fds(), fds);
	machine_free(m, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_three), cmocka_unit_test(groups),
		cmocka_unit_test(cables),	 cmocka_unit_test(vfs),
		cmocka_unit_test(buses),	 cmocka_unit_test(addresses),
		cmocka_unit_test(a_thousand),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
