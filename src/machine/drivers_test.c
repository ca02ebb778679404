/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/drivers_test.c: processes of a run whose devices get other drivers meanwhile: what their
 * groups answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/test_dir.h"
#include "vfio/open.h"

#define MAX 4
#define D1  "0000:01:00.0"
#define D2  "0000:02:00.0"

static const char *specs[MAX + 1];
static char *places[MAX];

static int make_dir(void **state)
{
	log_set(2, LOG_NONE);
	return test_make_dir(state);
}

static int drop_dir(void **state)
{
	for (unsigned i = 0; i < MAX; i++) {
		free(places[i]);
		places[i] = NULL;
	}
	return test_drop_dir(state);
}

/* The steps of `uvfio run`. */
static void begin(const char *const *list)
{
	struct machine *m = machine_new();
	char *err;

	for (unsigned i = 0; list[i]; i++) {
		specs[i] = list[i];
		specs[i + 1] = NULL;
		if (machine_add(m, list[i], &err))
			fail_msg("%s: %s", list[i], err);
		assert_int_equal(machine_settle(m, &places[i]), 0);
	}
	assert_int_equal(machine_write_view(m, dir), 0);
	machine_free(m, false);
}
#define BEGIN(...) begin((const char *const[]){ __VA_ARGS__, NULL })

static struct machine *process(void)
{
	struct machine *m = machine_new();
	char *err;

	assert_int_equal(machine_claim_dir(m, dir), 0);
	for (unsigned i = 0; specs[i]; i++)
		if (machine_add_settled(m, specs[i], places[i], &err))
			fail_msg("%s: %s", specs[i], err);
	return m;
}

static struct vfio_group *take(struct machine *m, unsigned id)
{
	struct vfio_group *g;

	assert_int_equal(machine_sync(m), 0);
	g = vfio_system_group(machine_system(m), id);
	assert_non_null(g);
	assert_int_equal(vfio_group_open(machine_system(m), g), 0);
	return g;
}

static void give(struct machine *m, struct vfio_group *g)
{
	vfio_group_release(machine_system(m), g);
}

static int put(const char *path, const char *text)
{
	long rc = run_store(dir, path, text, strlen(text), NULL);

	return rc < 0 ? (int)rc : 0;
}

static int bind(const char *addr, const char *driver)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "/sys/devices/pci%.7s/%s/driver_override", addr, addr);
	rc = put(path, driver);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	return rc ? rc : put(path, addr);
}

static int unbind(const char *addr, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver);
	return put(path, addr);
}

static uint32_t status(struct vfio_group *g)
{
	uint32_t flags;

	vfio_group_refresh(g);
	assert_int_equal(vfio_group_status(g, &flags), 0);
	return flags;
}
#define VIABLE VFIO_GROUP_FLAGS_VIABLE
#define BOTH   (VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET)

static void viable(void **state)
{
	struct vfio_container *c;
	struct machine *m;
	struct vfio_group *g;

	/* a sibling without a driver, or with one that does no DMA, is no harm */
	BEGIN("igb,group=7,driver=none", "igb,group=7", "igb,driver=igb");
	m = process();
	g = take(m, 7);
	c = vfio_container_new(machine_system(m));
	assert_int_equal(status(g), VIABLE);
	assert_int_equal(bind(D1, "pci-stub"), 0);
	assert_int_equal(status(g), VIABLE);
	assert_int_equal(unbind(D1, "pci-stub"), 0);
	/* one that does DMA is, while nobody owns the group */
	assert_int_equal(bind(D1, "igb"), 0);
	assert_int_equal(status(g), 0);
	assert_int_equal(vfio_group_set_container(g, c), -EPERM);
	assert_int_equal(status(g), 0);
	assert_int_equal(unbind(D1, "igb"), 0);
	assert_int_equal(status(g), VIABLE);
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(status(g), BOTH);
	/* and then cannot have it */
	assert_int_equal(bind(D1, "igb"), -EBUSY);
	assert_int_equal(vfio_group_set_container(g, c), -EINVAL);
	assert_int_equal(bind(D1, "igb"), -EBUSY);
	assert_int_equal(bind(D1, "pci-stub"), 0);
	assert_int_equal(unbind(D1, "pci-stub"), 0);
	assert_int_equal(vfio_group_unset_container(g), 0);
	assert_int_equal(status(g), VIABLE);
	assert_int_equal(bind(D1, "igb"), 0);
	assert_int_equal(status(g), 0);
	/* the owner's end is the group's close, too */
	assert_int_equal(unbind(D1, "igb"), 0);
	assert_int_equal(vfio_group_set_container(g, c), 0);
	give(m, g);
	assert_int_equal(bind(D1, "igb"), 0);
	/* an opener that comes by itself */
	machine_sync(m);
	assert_int_equal(vfio_group_take(g), -EPERM);
	assert_int_equal(unbind(D1, "igb"), 0);
	assert_int_equal(vfio_group_take(g), 0);
	assert_int_equal(vfio_group_take(g), 0);
	assert_int_equal(bind(D1, "igb"), -EBUSY);
	vfio_group_give_back(g);
	assert_int_equal(bind(D1, "igb"), -EBUSY);
	vfio_group_give_back(g);
	assert_int_equal(bind(D1, "igb"), 0);
	vfio_container_put(c);
	machine_free(m, false);
}

static void come_and_go(void **state)
{
	struct vfio_open o = { 0 }, own = { 0 };
	struct vfio_container *c;
	struct vfio_group *g;
	struct machine *m;
	uint32_t flags;

	BEGIN("edu,group=7", "edu,group=7,driver=none");
	m = process();
	g = take(m, 7);
	c = vfio_container_new(machine_system(m));
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	/* a device that gets vfio-pci is in the group that is open, and one that loses it is not */
	assert_int_equal(vfio_open_by_group(&o, g, D2, NULL), -ENODEV);
	assert_int_equal(bind(D2, "vfio-pci"), 0);
	vfio_group_refresh(g);
	assert_int_equal(vfio_open_by_group(&o, g, D2, NULL), 0);
	assert_int_equal(unbind(D2, "vfio-pci"), -EINPROGRESS);
	assert_int_equal(unbind(D1, "vfio-pci"), 0);
	assert_int_equal(vfio_open_by_group(&own, g, D1, NULL), -ENODEV);
	assert_false(vfio_group_has_device(g, D1));
	/* twice open is open until the second close */
	assert_int_equal(vfio_open_by_group(&own, g, D2, NULL), 0);
	vfio_open_close(&o);
	assert_int_equal(unbind(D2, "vfio-pci"), -EINPROGRESS);
	vfio_open_close(&own);
	assert_int_equal(unbind(D2, "vfio-pci"), 0);
	/* nothing is left: the group is out of its container */
	vfio_group_refresh(g);
	assert_int_equal(vfio_group_status(g, &flags), -ENODEV);
	assert_int_equal(vfio_group_set_container(g, c), -ENODEV);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), -EINVAL);
	assert_null(vfio_system_group(machine_system(m), 7));
	give(m, g);
	/* again, from the start */
	assert_int_equal(bind(D2, "vfio-pci"), 0);
	g = take(m, 7);
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&o, g, D2, NULL), 0);
	vfio_open_close(&o);
	give(m, g);
	vfio_container_put(c);
	machine_free(m, false);
}

/* A PF goes from the model's driver to vfio-pci and back: its VFs learn of it. */
static void pf_changes(void **state)
{
	const char *numvfs = "/sys/devices/pci0000:01/" D1 "/sriov_numvfs";
	struct vfio_open o = { 0 };
	struct vfio_container *c;
	uint8_t uuid[16] = { 1 };
	struct vfio_group *g;
	struct machine *m;

	BEGIN("igb,driver=igb,sriov_numvfs=1");
	m = process();
	c = vfio_container_new(machine_system(m));
	/* the device is kept meanwhile, by the other end of its cable's group or by this */
	g = take(m, 2);
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:10.0", NULL), 0);
	assert_int_equal(unbind(D1, "igb"), -EINPROGRESS);
	vfio_open_close(&o);
	give(m, g);
	assert_int_equal(unbind(D1, "igb"), 0);
	assert_int_equal(bind(D1, "vfio-pci"), 0);
	assert_int_equal(put(numvfs, "1"), 0);
	g = take(m, 2);
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:10.0", NULL), -EACCES);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:10.0", uuid), -EACCES);
	give(m, g);
	vfio_container_put(c);
	machine_free(m, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(viable, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(come_and_go, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(pf_changes, make_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
