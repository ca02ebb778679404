/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/v3_race_test.c: threads that make any call of 2010's interface with any argument on any of
 * the open files at the same time, while memory goes away and files are closed: V3 had no lock
 * around its domains, and one that its own notifier waited for. For a run under the sanitizers
 * above all; in the end nothing may be left open, mapped or pinned, and nobody may wait for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../fuzz/files.h"
#include "../../fuzz/v3_args.h"
#include "base/guard.h"
#include "base/log.h"
#include "machine/machine.h"
#include "vfio/abi.h"

#define THREADS 4

static struct vfio_system *sys;
static unsigned rounds;

static void open_one(unsigned which)
{
	static const char *const paths[] = { "/dev/uiommu", "/dev/vfio0", "/dev/vfio0",
					     "/dev/vfio1" };
	struct uapi_file *f;

	if (!uapi_open(sys, &table, paths[which % 4], O_RDWR, &f) && install(NULL, f, O_RDWR) < 0)
		uapi_file_put(f);
}

static void *racer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	hostile_setup();
	for (unsigned n = 0; n < rounds; n++) {
		uint8_t bytes[256];
		struct in in = { bytes, sizeof(bytes) };
		struct uapi_file *f;
		unsigned what;

		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(rand_r(&seed) >> 7);
		what = in8(&in);
		if (what < 24) {
			open_one(in8(&in));
			continue;
		}
		if (what < 36) {
			close_fd(in8(&in) % NUM_FDS);
			continue;
		}
		if (what < 48) {
			v3_memory_goes(sys, (uintptr_t)pool + in8(&in) % POOL_PAGES * PAGE, PAGE,
				       "the test");
			continue;
		}
		f = get(in8(&in) % NUM_FDS);
		if (!f)
			continue;
		v3_call(&in, f);
		uapi_file_put(f);
	}
	return NULL;
}

static void test_races(void **state)
{
	struct machine *machine;
	pthread_t t[THREADS];
	char why[64], *err;

	log_set(2, LOG_NONE);
	guard_install();
	assert_int_equal(vfio_abi_choose("v3", why, sizeof(why)), 0);
	machine = machine_new();
	assert_non_null(machine);
	assert_int_equal(machine_add(machine, "testdev", &err), 0);
	assert_int_equal(machine_add(machine, "testdev,flr=off", &err), 0);
	sys = machine_system(machine);
	alarm(600); /* that all wait for one another is a failure, too */
	rounds = getenv("UVFIO_LONG") ? 10000000 : 30000;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, racer, (void *)(uintptr_t)(i * 977 + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = NUM_FDS; i--;)
		close_fd(i);
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	for (unsigned i = 0; i < machine_num_devices(machine); i++)
		assert_int_equal(machine_device(machine, i)->vdev->open_count, 0);
	machine_free(machine, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_races) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
