/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of machine_add() failing in turn: it says so, leaves the machine as it was, and
 * the next try gets what the first would have got. The allocator is replaced by one that counts
 * (malloc(3): it may be), not only ours as in base/test_fault.h: machine/ lets the C library
 * allocate for it, by asprintf, strdup and open_memstream.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "machine/internal.h"
#include "pci/function.h"

#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
#define REPLACED 0
#else
#define REPLACED 1
#endif

static __thread int until_failure = -1; /* -1: none fails; the test's thread alone */

#if REPLACED
/* the library's calls are found by name, too */
#define EXPORTED __attribute__((visibility("default")))
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);
static atomic_long live; /* pieces that were not freed */

static void *counted(void *p)
{
	if (p)
		live++;
	return p;
}

static bool fails(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

EXPORTED void *malloc(size_t n)
{
	if (fails()) {
		errno = ENOMEM;
		return NULL;
	}
	return counted(__libc_malloc(n));
}

EXPORTED void *calloc(size_t n, size_t size)
{
	if (fails()) {
		errno = ENOMEM;
		return NULL;
	}
	return counted(__libc_calloc(n, size));
}

EXPORTED void *realloc(void *p, size_t n)
{
	if (fails()) {
		errno = ENOMEM;
		return NULL;
	}
	return p ? __libc_realloc(p, n) : counted(__libc_realloc(p, n));
}

EXPORTED void free(void *p)
{
	if (p)
		live--;
	__libc_free(p);
}
#else
static long live;
#endif

/* Fail each allocation of adding @spec, each time on a new machine. Returns how many there are. */
static int fail_each(const char *spec)
{
	struct machine *m;
	bool past_the_last;
	char *err;
	int rc;

	for (int n = 0;; n++) {
		long before = live;

		m = machine_new();
		assert_non_null(m);
		err = NULL;
		until_failure = n;
		rc = machine_add(m, spec, &err);
		past_the_last = until_failure >= 0;
		until_failure = -1;
		free(err);
		if (past_the_last)
			assert_int_equal(rc, 0);
		if (rc) {
			assert_int_equal(machine_num_devices(m), 0);
			assert_int_equal(machine_add(m, spec, NULL), 0);
		}
		/*
		 * at once, without an allocation that it can do without, or at the second try: what
		 * it gets is the same
		 */
		assert_int_equal(machine_num_devices(m), 1);
		assert_string_equal(machine_device(m, 0)->addr, "0000:01:00.0");
		assert_int_equal(machine_device(m, 0)->group, 1);
		assert_int_equal(vfio_system_group(machine_system(m), 1)->n, 1);
		assert_int_equal(vfio_system_group(machine_system(m), 1)->iommu->n, 1);
		assert_true(pci_face_bar_address(machine_device(m, 0)->face, 0) ==
			    (strncmp(spec, "edu", 3) ? 0x380000000000 : 0xe0000000));
		machine_free(m, false);
		/* but for what libraries keep from their first use on */
		if (n)
			assert_int_equal(live, before);
		if (past_the_last)
			return n;
	}
}

/* The same for the VFs of a device that is there. */
static void every_allocation_of_vfs(void **state)
{
	struct machine *m;
	bool past_the_last = false;
	char *err;
	int rc;

	if (!REPLACED)
		skip();
	log_set(2, LOG_NONE);
	for (int n = 0; !past_the_last; n++) {
		long before = live;

		m = machine_new();
		assert_non_null(m);
		assert_int_equal(machine_add(m, "igb,sriov_numvfs=2", NULL), 0);
		err = NULL;
		until_failure = n;
		rc = machine_start(m, &err);
		past_the_last = until_failure >= 0;
		until_failure = -1;
		free(err);
		if (past_the_last)
			assert_int_equal(rc, 0);
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
		if (n)
			assert_int_equal(live, before);
		else
			assert_int_not_equal(rc, 0);
	}
	log_set(2, LOG_WARN);
}

static void every_allocation(void **state)
{
	if (!REPLACED)
		skip();
	log_set(2, LOG_NONE);
	assert_true(fail_each("edu,id=a") > 10);
	assert_true(fail_each("testdev,group=1") > 10);
	log_set(2, LOG_WARN);
}

static void no_memory_for_a_machine(void **state)
{
	struct machine *m;

	if (!REPLACED)
		skip();
	for (int n = 0;; n++) {
		until_failure = n;
		m = machine_new();
		if (until_failure >= 0)
			break;
		assert_null(m);
	}
	until_failure = -1;
	assert_non_null(m);
	machine_free(m, false);
}

static void no_memory_for_texts(void **state)
{
	char *out, *err;
	int rc;

	if (!REPLACED)
		skip();
	for (int n = 0;; n++) {
		out = err = NULL;
		until_failure = n;
		rc = machine_spec_absolute("edu,addr=1:0.0,id=x", &out, &err);
		if (until_failure >= 0)
			break;
		if (rc) {
			assert_null(out);
			free(err);
		} else {
			assert_string_equal(out, "edu,addr=0000:01:00.0,id=x");
			free(out);
		}
	}
	until_failure = -1;
	assert_int_equal(rc, 0);
	assert_string_equal(out, "edu,addr=0000:01:00.0,id=x");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation),
		cmocka_unit_test(every_allocation_of_vfs),
		cmocka_unit_test(no_memory_for_a_machine),
		cmocka_unit_test(no_memory_for_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
