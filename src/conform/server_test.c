/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The suite itself: a good server passes all of it, without a warning, and a server that does one
 * thing wrong fails the test which is there for that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conform/conform.h"
#include "conform/test_server.h"

static char dir[] = "/tmp/conformXXXXXX", path[64];

/* Run the suite on a server with @fault; the status, and what it says in *@text (malloc'ed). */
static int run_suite(enum fault fault, const struct conform_options *o, char **text)
{
	struct conform_options now = *o;
	size_t size;
	pid_t pid = test_server_start(path, fault);
	int rc;

	assert_true(pid > 0);
	now.socket = path;
	now.out = open_memstream(text, &size);
	assert_non_null(now.out);
	rc = conform_run(&now);
	fclose(now.out);
	test_server_stop(pid);
	return rc;
}

static void good_passes(void **state)
{
	struct conform_options o = { .timeout_ms = 10000, .strict = true };
	char *text;
	int rc = run_suite(GOOD, &o, &text);

	if (rc)
		printf("%s", text);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "ok    read-outside"));
	assert_non_null(strstr(text, " 0 failed, 0 warned, "));
	free(text);
}

static const struct {
	enum fault fault;
	const char *test;
} bad[] = {
	{ V_NEEDS_JSON, "version-no-json" },
	{ V_STRICT, "version-unknown-capability" },
	{ V_MINOR, "version-minor-zero" },
	{ V_MINOR, "version-minor-higher" },
	{ V_MAJOR, "version-major-higher" },
	{ V_ANY, "version-json-bad" },
	{ V_ANY, "version-json-no-object" },
	{ V_ANY, "version-json-types" },
	{ V_ANY, "version-json-no-nul" },
	{ V_NOT_JSON, "version-reply-json" },
	{ V_NO_NUL, "version-reply-json" },
	{ V_LONG, "version-reply-size" },
	{ V_LIMITS, "version-reply-limits" },
	{ V_MULTI, "version-no-modes" },
	{ V_SKIPPED, "version-first" },
	{ V_SKIPPED, "version-twice" },
	{ V_DIES, "version-json-odd" },
	{ V_SHORT, "version-short" },
	{ H_SMALL, "header-size-small" },
	{ H_HUGE, "header-size-huge" },
	{ H_LEAVING, "header-cut-short" },
	{ H_TYPES, "header-type-reply" },
	{ H_TYPES, "header-type-unknown" },
	{ H_WRONG_ID, "message-id" },
	{ H_WRONG_CMD, "message-id-repeated" },
	{ H_REPLY_FLAGS, "info" },
	{ H_ERROR_BODY, "region-info-index" },
	{ H_ERROR_CLOSES, "info-short" },
	{ H_ANSWERS, "no-reply" },
	{ H_ANSWERS, "version-no-reply" },
	{ H_ANSWERS_ERROR, "no-reply-error" },
	{ H_UNKNOWN, "command-unknown" },
	{ H_UNKNOWN_BODY, "command-unknown-in-step" },
	{ H_SILENT, "irq-info" },
	{ H_FDS, "fds-too-many" },
	{ S_ONE_READ, "split-each-place" },
	{ S_ONE_READ, "split-bytes" },
	{ S_ONE_READ, "split-late-header" },
	{ S_ONE_READ, "joined-and-part" },
	{ S_ONE_READ, "size-largest" },
	{ S_ONE_READ, "fds-with-first-byte" },
	{ S_SMALL, "size-large" },
	{ S_SMALL, "size-largest-in-pieces" },
	{ I_ARGSZ, "info-argsz-larger" },
	{ I_ANY_ARGSZ, "info-argsz-smaller" },
	{ I_ANY_ARGSZ, "region-info-argsz-smaller" },
	{ I_SHORT, "info-short" },
	{ I_SHORT, "region-info-short" },
	{ I_SHORT, "read-short" },
	{ I_SHORT, "write-short" },
	{ I_NOT_PCI, "info" },
	{ I_OVER, "region-info" },
	{ I_INDEX, "region-info" },
	{ I_ANY_INDEX, "region-info-index" },
	{ I_LOOP, "region-info-capabilities" },
	{ I_AREA, "region-info-capabilities" },
	{ I_NO_FD, "region-info-fds" },
	{ I_BAD_FD, "region-info-fds" },
	{ Q_AUTOMASKED, "irq-info" },
	{ Q_ANY_INDEX, "irq-info-index" },
	{ R_OUTSIDE, "read-outside" },
	{ R_OUTSIDE_WRITE, "write-outside" },
	{ R_ECHO, "write-read-back" },
	{ R_ZERO, "access-count-zero" },
	{ R_COUNT, "write-count" },
	{ R_LOST, "posted-write" },
	{ R_LATE, "posted-write" },
	{ R_LATE, "posted-write-order" },
	{ R_READ_ONLY, "write-read-only" },
	{ R_CHANGES, "read-sizes" },
	{ R_BAR_SIZE, "bar-sizes" },
};

static void bad_fail(void **state)
{
	bool seen[NFAULTS] = { [GOOD] = true };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct conform_options o = { .timeout_ms = 100,
					     .strict = true,
					     .only = bad[i].test };
		char *text, fails[64], warns[64];
		int rc = run_suite(bad[i].fault, &o, &text);

		seen[bad[i].fault] = true;
		snprintf(fails, sizeof(fails), "FAIL  %s ", bad[i].test);
		snprintf(warns, sizeof(warns), "warn  %s ", bad[i].test);
		if (rc != 1 || (!strstr(text, fails) && !strstr(text, warns)))
			fail_msg("fault %u, %s: status %d, %s", bad[i].fault, bad[i].test, rc,
				 text);
		free(text);
	}
	for (unsigned i = 0; i < NFAULTS; i++)
		assert_true(seen[i]);
}

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_passes),
		cmocka_unit_test(bad_fail),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
