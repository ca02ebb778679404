/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/fault_test.c: uvfio/server.h when memory and descriptors run out: the first one of a
 * server's life fails, the second, ... Whatever call it hits says so, and nothing stays behind, no
 * socket's file either.
 */
#include <fcntl.h>
#include <unistd.h>

#include "uvfio/server.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "base/test_signals.h"

/* Do what a program does, from new to free. 0, or the first error. */
static int life(const char *path)
{
	struct uvfio_server *s = uvfio_server_new(NULL, NULL);
	struct uvfio_server_device *d;
	int rc;

	if (!s)
		return -ENOMEM;
	rc = uvfio_server_add(s, "edu", path, 0, &d);
	if (!rc)
		rc = uvfio_server_start(s);
	if (rc)
		assert_string_not_equal(uvfio_server_strerror(s), "no error");
	uvfio_server_free(s);
	return rc;
}

static void test_life(void **state)
{
	char dir[] = "/tmp/uvfio-serve-XXXXXX", path[64];

	log_set(STDERR_FILENO, LOG_NONE);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/edu.sock", dir);
	assert_int_equal(life(path), 0);
	fault_about = "a server's life";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned fds = fault_fds();
		long live = fault_live;
		int rc, next, first = dup(0);

		fault_begin(&l);
		rc = life(path);
		fault_end(&l, rc);
		assert_int_equal(fault_fds(), fds);
		assert_int_equal(access(path, F_OK), -1);
		if (FAULT_LIBRARIES)
			assert_true(fault_live <= live);
		/* no plain one is left open either */
		close(first);
		next = dup(0);
		assert_int_equal(next, first);
		close(next);
	}
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life) };

	return cmocka_run_group_tests_name("serve: faults", tests, NULL, NULL);
}
