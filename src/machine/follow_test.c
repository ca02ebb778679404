/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/follow_test.c: devices of a run come and go, and each machine has what the run has. */
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
#include "machine/run/run.h"

static char dir[] = "/tmp/uvfio-follow-XXXXXX";
static struct run_devices list;

static struct machine *new_machine(void)
{
	struct machine *m = machine_new();

	assert_non_null(m);
	assert_int_equal(machine_claim_dir(m, dir), 0);
	return m;
}

/* Plug @spec into the run, as the first process of it does: the place is found out. */
static void plug(const char *spec)
{
	struct machine *m = machine_new();
	char *place, *err;

	assert_int_equal(machine_claim_dir(m, dir), 0);
	assert_int_equal(machine_sync(m), 0);
	assert_int_equal(machine_add(m, spec, &err), 0);
	assert_int_equal(machine_settle(m, &place), 0);
	assert_int_equal(run_devices_append(&list, place, spec), 0);
	assert_int_equal(run_devices_write(dir, &list), 0);
	free(place);
	machine_free(m, false);
}

static void unplug(const char *addr)
{
	struct run_device *d = run_devices_find(&list, addr);

	assert_non_null(d);
	d->died = list.serial + 1;
	assert_int_equal(run_devices_write(dir, &list), 0);
	assert_null(run_devices_find(&list, addr));
}

static void test_comes_and_goes(void **state)
{
	struct machine *a = new_machine(), *b;
	struct machine_device *d;
	struct vfio_group *g;

	assert_int_equal(machine_sync(a), 0);
	assert_int_equal(machine_num_devices(a), 0);
	plug("edu,id=one");
	assert_int_equal(machine_is_behind(a), 1);
	assert_int_equal(machine_sync(a), 0);
	assert_int_equal(machine_is_behind(a), 0);
	d = machine_find(a, "0000:01:00.0");
	assert_non_null(d);
	assert_int_equal(d->group, 1);
	assert_null(d->face);

	/* its hardware is there while its group is open; another one of the unit comes meanwhile */
	g = vfio_system_group(machine_system(a), 1);
	assert_int_equal(vfio_group_open(machine_system(a), g), 0);
	assert_non_null(d->vdev);
	plug("edu,group=1,id=two");
	assert_int_equal(machine_sync(a), 0);
	assert_non_null(machine_find(a, "0000:02:00.0")->vdev);
	vfio_group_release(machine_system(a), g);
	assert_null(machine_find(a, "0000:02:00.0")->vdev);

	unplug("01:00.0");
	assert_int_equal(vfio_group_open(machine_system(a), g), -EAGAIN);
	assert_int_equal(machine_sync(a), 0);
	assert_null(machine_find(a, "0000:01:00.0"));
	assert_int_equal(vfio_group_open(machine_system(a), g), 0);
	vfio_group_release(machine_system(a), g);
	unplug("02:00.0");
	assert_int_equal(machine_sync(a), 0);
	assert_null(vfio_system_group(machine_system(a), 1));

	/* address, group and id are free; a process that begins now sees the same */
	plug("edu,id=one");
	b = new_machine();
	assert_int_equal(machine_sync(a), 0);
	assert_int_equal(machine_sync(b), 0);
	d = machine_find(b, "0000:01:00.0");
	assert_int_equal(d->group, 1);
	assert_int_equal(a->num_plugged, 3);
	assert_int_equal(b->num_plugged, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(a->plugged[i]->lead->index, b->plugged[i]->lead->index);
	assert_int_equal(b->plugged[1]->lead->index, 0); /* though it had gone when @b began */
	assert_int_equal(b->plugged[2]->lead->index, 2);
	machine_free(b, false);
	machine_free(a, false);
}

static void test_not_ours(void **state)
{
	struct machine *m = new_machine();
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/devices", dir);
	f = fopen(path, "w");
	fputs("words\n", f);
	fclose(f);
	log_set(2, LOG_NONE);
	assert_int_equal(machine_sync(m), -EIO);
	assert_int_equal(machine_is_behind(m), -EIO);
	log_set(2, LOG_WARN);
	unlink(path);
	machine_free(m, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_not_ours),
	};
	char cmd[64];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	list.next[0] = 0x1000;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	run_devices_free(&list);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) || rc;
}
