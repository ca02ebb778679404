/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/fault_test.c: each allocation and each system call of plugging a device in failing in
 * turn, for each built-in model and for VFs: it says so, leaves the machine as it was, and the next
 * try gets what the first would have got.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/report.h"
#include "base/test_fault.h"
#include "machine/internal.h"
#include "pci/function.h"

/*
 * Add @spec to a new machine with each one of @kinds failing in turn. Return how often that failed.
 * @exact: nothing that was allocated stays behind, but for what libraries keep from their first use
 * on.
 */
static unsigned add_each(unsigned kinds, const char *spec, bool exact)
{
	unsigned failed = 0;
	struct machine *m = machine_new();
	uint64_t bar;
	char *err;
	int rc;

	fault_about = spec;
	assert_non_null(m);
	assert_int_equal(machine_add(m, spec, NULL), 0);
	bar = pci_face_bar_address(machine_device(m, 0)->face, 0);
	machine_free(m, false);
	FAULT_LOOP(l, kinds) {
		unsigned fds = fault_fds();
		long before = fault_live;

		m = machine_new();
		assert_non_null(m);
		err = NULL;
		fault_begin(&l);
		rc = machine_add(m, spec, &err);
		fault_end(&l, rc);
		free(err);
		failed = l.failed;
		if (rc) {
			assert_int_equal(machine_num_devices(m), 0);
			assert_int_equal(machine_add(m, spec, NULL), 0);
		}
		/*
		 * at once, without what it can do without, or at the second try: what it gets is
		 * the same
		 */
		assert_int_equal(machine_num_devices(m), 1);
		assert_string_equal(machine_device(m, 0)->addr, "0000:01:00.0");
		assert_int_equal(machine_device(m, 0)->group, 1);
		assert_int_equal(vfio_system_group(machine_system(m), 1)->n, 1);
		assert_int_equal(vfio_system_group(machine_system(m), 1)->iommu->n, 1);
		assert_true(pci_face_bar_address(machine_device(m, 0)->face, 0) == bar);
		machine_free(m, false);
		assert_int_equal(fault_fds(), fds);
		if (exact && l.n > 1)
			assert_int_equal(fault_live, before);
	}
	return failed;
}

/* The same for the VFs of a device that is there. */
static void start_each(unsigned kinds, bool exact)
{
	struct machine *m;
	char *err;
	int rc;

	FAULT_LOOP(l, kinds) {
		unsigned fds = fault_fds();
		long before = fault_live;

		m = machine_new();
		assert_non_null(m);
		assert_int_equal(machine_add(m, "igb,sriov_numvfs=2", NULL), 0);
		err = NULL;
		fault_begin(&l);
		rc = machine_start(m, &err);
		fault_end(&l, rc);
		free(err);
		if (rc) {
			assert_null(machine_vf(m, machine_device(m, 0), 0));
			assert_int_equal(machine_start(m, NULL), 0);
		}
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(machine_vf(m, machine_device(m, 0), i)->group, 2 + i);
			assert_int_equal(vfio_system_group(machine_system(m), 2 + i)->n, 1);
		}
		assert_null(machine_vf(m, machine_device(m, 0), 2));
		machine_free(m, false);
		assert_int_equal(fault_fds(), fds);
		if (exact && l.n > 1)
			assert_int_equal(fault_live, before);
		else if (exact)
			assert_int_not_equal(rc, 0);
	}
}

#define IMAGE "disk" /* in a directory of this test */

static const char *const specs[] = { "edu,id=a",
				     "testdev,group=1",
				     "testdev,vectors=9",
				     "igb",
				     "igb,id=a,sriov_numvfs=0,net=unix:socket",
				     "nvme,image=" IMAGE,
				     "nvme,image=" IMAGE ",serial=x,id=d" };

static void memory_of_devices(void **state)
{
	log_set(2, LOG_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		assert_true(add_each(FAULT_MEMORY, specs[i], FAULT_LIBRARIES) > 5);
	log_set(2, LOG_WARN);
}

static void calls_of_devices(void **state)
{
	log_set(2, LOG_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		add_each(FAULT_CALLS, specs[i], FAULT_LIBRARIES);
	log_set(2, LOG_WARN);
}

static void memory_of_vfs(void **state)
{
	log_set(2, LOG_NONE);
	start_each(FAULT_MEMORY, FAULT_LIBRARIES);
	log_set(2, LOG_WARN);
}

static void calls_of_vfs(void **state)
{
	log_set(2, LOG_NONE);
	start_each(FAULT_CALLS, false);
	log_set(2, LOG_WARN);
}

static void a_machine(void **state)
{
	struct machine *m;

	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		m = machine_new();
		fault_end(&l, m ? 0 : -fault.error);
		if (m)
			machine_free(m, false);
	}
}

static void texts(void **state)
{
	char *out, *err;
	int rc;

	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		out = err = NULL;
		fault_begin(&l);
		rc = machine_spec_absolute("edu,addr=1:0.0,id=x", &out, &err);
		fault_end(&l, rc);
		if (rc) {
			assert_null(out);
			free(err);
		} else {
			assert_string_equal(out, "edu,addr=0000:01:00.0,id=x");
			free(out);
		}
	}
}

/* Write the view of @m into a directory of its own, which is removed then. */
static int write_view(struct machine *m, struct fault_loop *l)
{
	char view[] = "view.XXXXXX", command[64];
	int rc;

	assert_non_null(mkdtemp(view));
	if (l)
		fault_begin(l);
	rc = machine_write_view(m, view);
	if (l)
		fault_end(l, rc);
	snprintf(command, sizeof(command), "rm -rf %s", view);
	assert_int_equal(system(command), 0);
	return rc;
}

static void view_each(unsigned kinds)
{
	struct machine *m = machine_new();

	log_set(2, LOG_NONE);
	fault_about = "the view";
	assert_non_null(m);
	assert_int_equal(machine_add(m, "igb,sriov_numvfs=1", NULL), 0);
	assert_int_equal(machine_start(m, NULL), 0);
	assert_int_equal(write_view(m, NULL), 0);
	FAULT_LOOP(l, kinds) {
		unsigned fds = fault_fds();
		long before = fault_live;

		write_view(m, &l);
		assert_int_equal(fault_fds(), fds);
		assert_int_equal(fault_live, before);
		l.n += 12; /* it is many files, all written by the same few functions */
	}
	assert_int_equal(write_view(m, NULL), 0);
	machine_free(m, false);
	log_set(2, LOG_WARN);
}

static void memory_of_the_view(void **state)
{
	view_each(FAULT_MEMORY);
}

static void calls_of_the_view(void **state)
{
	view_each(FAULT_CALLS);
}

static long store(const char *path, const char *text)
{
	return run_store("run", path, text, strlen(text), NULL);
}

/* Whatever failed while a device lost its driver and got it again: it can be had whole. */
static void stores_each(unsigned kind)
{
	const char *unbind = "/sys/bus/pci/drivers/vfio-pci/unbind", *addr = "0000:01:00.0";
	const char *bind = "/sys/bus/pci/drivers/vfio-pci/bind";
	struct machine *m = machine_new();
	char name[RUN_DRIVER_NAME];
	bool failed = true;

	assert_int_equal(mkdir("run", 0700), 0);
	assert_int_equal(machine_add(m, "edu", NULL), 0);
	assert_int_equal(machine_write_view(m, "run"), 0);
	machine_free(m, false);
	for (unsigned n = 1; failed; n++) {
		fault_set(kind, n);
		store(unbind, addr);
		store(bind, addr);
		failed = fault_clear();
		/* a bind that failed leaves nothing behind */
		if (!run_driver("run", addr, name) && !*name &&
		    access("run/leaving/0000:01:00.0", F_OK))
			assert_int_equal(system("[ $(ls run/cdevs | wc -l) = 0 ]"), 0);
		store(unbind, addr);
		if (store(bind, addr) != (long)strlen(addr))
			fail_msg("%s, the %u., failed: it cannot be bound", fault.name, n);
		assert_int_equal(run_driver("run", addr, name), 0);
		assert_string_equal(name, "vfio-pci");
		assert_int_equal(access("run/dev/vfio/1", F_OK), 0);
		/* and its number was not lost */
		assert_int_equal(access("run/dev/vfio/devices/vfio0", F_OK), 0);
		assert_int_equal(system("[ $(ls run/dev/vfio/devices | wc -l) = 1 ]"), 0);
		assert_int_equal(
			access("run/sys/bus/pci/drivers/vfio-pci/0000:01:00.0/vendor", F_OK), 0);
	}
	assert_int_equal(system("rm -r run"), 0);
}

static void memory_of_stores(void **state)
{
	stores_each(FAULT_MEMORY);
}

static void calls_of_stores(void **state)
{
	stores_each(FAULT_CALLS);
}

static char dir[] = "/tmp/uvfio-machine-fault.XXXXXX";

static int setup(void **state)
{
	int fd;

	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	fd = open(IMAGE, O_RDWR | O_CREAT | O_EXCL, 0600);
	return fd < 0 || ftruncate(fd, 1 << 20) || close(fd) ? -1 : 0;
}

static int teardown(void **state)
{
	return unlink(IMAGE) || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_devices),  cmocka_unit_test(memory_of_vfs),
		cmocka_unit_test(calls_of_devices),   cmocka_unit_test(calls_of_vfs),
		cmocka_unit_test(a_machine),	      cmocka_unit_test(texts),
		cmocka_unit_test(memory_of_the_view), cmocka_unit_test(calls_of_the_view),
		cmocka_unit_test(memory_of_stores),   cmocka_unit_test(calls_of_stores),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
