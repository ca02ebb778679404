/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/hotplug_fault_test.c: each allocation and each system call fails in turn while a device
 * comes into a run, goes, and is followed by a process. What failed says so, the view is as it was,
 * and the same works after that, with the same address.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/test_fault.h"
#include "base/util.h"
#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/test_dir.h"

#define COMES "edu,group=1"
#define ADDR  "0000:02:00.0"

static uint64_t first[3]; /* bus addresses of the next device */

static int make_run(void **state)
{
	struct machine *m;
	struct run_devices l = { 0 };
	char path[96], *place;

	log_set(2, LOG_NONE);
	if (test_make_dir(state))
		return -1;
	m = MACHINE("edu");
	snprintf(path, sizeof(path), "%s/claims", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(machine_settle(m, &place), 0);
	assert_int_equal(run_devices_append(&l, place, "edu"), 0);
	free(place);
	machine_next(m, l.next, &l.run);
	memcpy(first, l.next, sizeof(first));
	assert_int_equal(run_devices_write(dir, &l), 0);
	run_devices_free(&l);
	assert_int_equal(machine_write_view(m, dir), 0);
	machine_free(m, false);
	return 0;
}

static int plug(void)
{
	char addr[PCI_ADDRESS_TEXT] = "", *err = NULL;
	unsigned group = 0, numvfs;
	int rc = machine_hotplug(dir, COMES, addr, &group, &numvfs, &err);

	free(err);
	if (!rc) {
		assert_string_equal(addr, ADDR);
		assert_int_equal(group, 1);
	}
	return rc;
}

static uint64_t sum, before;

static int add_path(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint64_t h = 0xcbf29ce484222325ull;

	while (*path)
		h = (h ^ (uint8_t)*path++) * 0x100000001b3ull;
	sum += h;
	return 0;
}

/* Return what is in the view as a number: no matter in which order. */
static uint64_t view(void)
{
	static const char *const parts[] = { "sys", "dev" };
	char path[96];

	sum = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, parts[i]);
		assert_int_equal(nftw(path, add_path, 16, FTW_PHYS), 0);
	}
	return sum;
}

static void same_view(const char *when, unsigned n)
{
	if (view() != before)
		fail_msg("%s: the %u., %s, failed: the view is another one", when, n, fault.name);
}

/* A message, or that a file could not be made, may hide what failed: any errno. */
static void ends(struct fault_loop *l, int rc)
{
	l->done = !fault_clear();
	if (l->done && rc)
		fail_msg("%s: %s, and nothing had failed", fault_about, strerror(-rc));
	assert_true(rc <= 0 && rc > -4096);
	l->failed += rc != 0;
}

/*
 * Fail every @step-th only: a device in the view is some hundred files. UVFIO_LONG: each.
 */
static void go_on(struct fault_loop *l, unsigned step)
{
	struct run_devices list;

	if (!getenv("UVFIO_LONG"))
		l->n += step - 1;
	/* the list, and the addresses given, would grow with each round */
	assert_int_equal(run_devices_read(dir, &list), 0);
	memcpy(list.next, first, sizeof(first));
	for (; list.n > 1; list.n--) {
		free(list.d[list.n - 1].place);
		free(list.d[list.n - 1].spec);
	}
	assert_int_equal(run_devices_write(dir, &list), 0);
	run_devices_free(&list);
}

/* Its root bus stays when it has gone. */
static void warm_up(void)
{
	assert_int_equal(plug(), 0);
	assert_int_equal(run_unplug(dir, ADDR), 0);
	before = view();
}

static void plug_each(unsigned kinds)
{
	unsigned fds = 0, failed = 0;
	int rc;

	fault_about = "plug";
	warm_up();
	FAULT_LOOP(l, kinds) {
		fault_begin(&l);
		rc = plug();
		ends(&l, rc);
		if (rc) {
			same_view("plug", l.n);
			assert_int_equal(plug(), 0);
		}
		assert_int_equal(run_unplug(dir, ADDR), 0);
		same_view("plug and unplug", l.n);
		if (fds)
			assert_int_equal(fault_fds(), fds);
		fds = fault_fds();
		failed = l.failed;
		go_on(&l, 7);
	}
	assert_true(failed > 5);
}

static void unplug_each(unsigned kinds)
{
	unsigned failed = 0;
	int rc;

	fault_about = "unplug";
	warm_up();
	FAULT_LOOP(l, kinds) {
		assert_int_equal(plug(), 0);
		fault_begin(&l);
		rc = run_unplug(dir, ADDR);
		ends(&l, rc);
		if (rc)
			assert_int_equal(run_unplug(dir, ADDR), 0);
		same_view("unplug", l.n);
		failed = l.failed;
		go_on(&l, kinds == FAULT_MEMORY ? 1 : 7);
	}
	assert_true(failed > 3);
}

/* A process that has the group open follows a device into it, and out of it. */
static void follow_each(unsigned kinds)
{
	unsigned failed = 0;
	int rc;

	fault_about = "follow";
	FAULT_LOOP(l, kinds) {
		struct machine *m = machine_new();
		struct machine_device *d;
		struct vfio_group *g;

		assert_int_equal(machine_claim_dir(m, dir), 0);
		assert_int_equal(machine_sync(m), 0);
		g = vfio_system_group(machine_system(m), 1);
		assert_int_equal(vfio_group_open(machine_system(m), g), 0);
		assert_int_equal(plug(), 0);
		fault_begin(&l);
		rc = machine_sync(m);
		ends(&l, rc);
		if (rc)
			assert_int_equal(machine_sync(m), 0);
		d = machine_find(m, ADDR);
		if (!d || !d->vdev)
			fail_msg("the %u., %s, failed: there is no device", l.n, fault.name);
		assert_int_equal(run_unplug(dir, ADDR), 0);
		assert_int_equal(machine_sync(m), 0);
		assert_null(machine_find(m, ADDR));
		failed = l.failed;
		vfio_group_release(machine_system(m), g);
		machine_free(m, false);
		go_on(&l, 1);
	}
	assert_true(failed > 5);
}

#define BOTH(name)                          \
	static void name##_memory(void **s) \
	{                                   \
		name(FAULT_MEMORY);         \
	}                                   \
	static void name##_calls(void **s)  \
	{                                   \
		name(FAULT_CALLS);          \
	}
BOTH(plug_each)
BOTH(unplug_each)
BOTH(follow_each)

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_run, test_drop_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plug_each_memory),	 TEST(plug_each_calls),	   TEST(unplug_each_memory),
		TEST(unplug_each_calls), TEST(follow_each_memory), TEST(follow_each_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
