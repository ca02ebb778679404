/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lasting/fault_test.c: a device's file when memory, descriptors and the disk run out: no file, or
 * all of it; and of one that was there nothing is lost.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/test_fault.h"
#include "base/test_signals.h"
#include "lasting/file.h"

static char path[64];
static const uint8_t id[LASTING_ID] = { 1 };

static int open_it(struct lasting_file **f)
{
	const struct lasting_layout l = {
		.path = path, .spec = "edu", .describe_room = 10, .room = 100
	};
	char why[512] = "";
	int rc = lasting_file_open(&l, why, sizeof(why), f);

	if (rc)
		assert_true(*why);
	return rc;
}

static void each(bool there)
{
	struct lasting_file *f;
	struct lasting_state s;
	struct lasting_part p;

	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned fds = fault_fds();
		long live = fault_live;
		int rc;

		fault_begin(&l);
		rc = open_it(&f);
		fault_end(&l, rc);
		if (rc) {
			assert_int_equal(access(path, F_OK), there ? 0 : -1);
			assert_int_equal(fault_fds(), fds);
			if (FAULT_LIBRARIES)
				assert_int_equal(fault_live, live);
			continue;
		}
		assert_int_equal(lasting_mark(f), there ? LASTING_CLEAN : LASTING_NOBODY);
		if (there) {
			FAULT_LOOP(m, FAULT_MEMORY | FAULT_CALLS) {
				fault_begin(&m);
				rc = lasting_take(f, &s);
				fault_end(&m, rc);
				if (!rc) {
					assert_true(lasting_next(&s, &p));
					assert_int_equal(p.part, 1);
					assert_int_equal(p.len, 1);
					assert_memory_equal(p.data, "x", 1);
				}
				lasting_state_free(&s);
			}
		}
		lasting_file_close(f);
	}
}

static void test_open(void **state)
{
	struct lasting_file *f;

	fault_about = "making a state file";
	each(false);
	assert_int_equal(open_it(&f), 0);
	assert_int_equal(lasting_begin(f, id, "", 0), 0);
	assert_int_equal(lasting_put(f, true, 1, "x", 1), 0);
	lasting_commit(f, false);
	lasting_file_close(f);
	fault_about = "opening a state file";
	each(true);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_open) };
	char dir[] = "/tmp/uvfio-lasting-XXXXXX";
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/x.state", dir);
	rc = cmocka_run_group_tests_name("lasting: faults", tests, NULL, NULL);
	return rc + (rmdir(dir) ? 1 : 0);
}
