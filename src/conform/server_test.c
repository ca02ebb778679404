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
	{ Q_NO_TRIGGER, "irq-trigger" },
	{ Q_FIRST, "irq-range" },
	{ Q_BOOL_ALL, "irq-bool" },
	{ Q_BOOL_SHORT, "irq-bool-short" },
	{ Q_DEASSIGN, "irq-deassign-one" },
	{ Q_DISABLE, "irq-disable" },
	{ Q_TWICE, "irq-disable-twice" },
	{ Q_REPLACE, "irq-replace" },
	{ Q_FLAGS, "irq-flags" },
	{ Q_FLAGS, "irq-flags-unknown" },
	{ Q_OUTSIDE, "irq-outside" },
	{ Q_FDS, "irq-fds-count" },
	{ Q_SIGPIPE, "irq-no-eventfd" },
	{ Q_BLOCKS, "irq-full-eventfd" },
	{ Q_ARGSZ, "irq-argsz" },
	{ Q_MASK, "irq-mask" },
	{ Q_KEPT, "client-irqs" },
	{ D_NO_BODY, "dma-map-no-fd" },
	{ D_NO_BODY, "dma-map-fd" },
	{ D_KEEPS, "dma-unmap-releases" },
	{ D_KEPT, "dma-reconnect" },
	{ D_OVERLAP, "dma-map-overlap" },
	{ D_ERRNO, "dma-map-overlap" },
	{ D_ERRNO, "dma-map-identical" },
	{ D_IDENTICAL, "dma-map-identical" },
	{ D_TOUCHING, "dma-map-neighbours" },
	{ D_FEW, "dma-map-many" },
	{ D_WRONG, "dma-map-wrong" },
	{ D_FLAGS, "dma-map-flags" },
	{ D_MODES, "dma-map-modes" },
	{ D_ODD_FDS, "dma-map-odd-fds" },
	{ D_TWO_FDS, "dma-map-two-fds" },
	{ D_ARGSZ, "dma-argsz" },
	{ D_UNMAP_ANY, "dma-unmap-wrong" },
	{ D_UNMAP_MORE, "dma-unmap-more" },
	{ D_ALL, "dma-unmap-all" },
	{ D_BITMAP, "dma-unmap-bitmap" },
	{ D_UNMAP_FD, "dma-unmap-fd" },
	{ I_SHORT, "dma-map-short" },
	{ I_SHORT, "dma-unmap-short" },
	{ I_SHORT, "irq-short" },
	{ E_OFFSET, "engine-offset" },
	{ E_BYTES, "engine-mmap" },
	{ E_BYTES, "engine-file" },
	{ E_BYTES, "engine-mixed" },
	{ E_BIG, "engine-messages-max" },
	{ E_MAIN, "engine-twin-socket" },
	{ E_STALLS, "engine-not-stalled" },
	{ E_BREAKS, "engine-interleaved" },
	{ E_TRUSTS, "engine-error" },
	{ E_TRUSTS, "engine-bad-answers" },
	{ E_UNMAPPED, "engine-not-mapped" },
	{ E_RIGHTS, "engine-rights" },
	{ E_RIGHTS, "engine-rights-messages" },
	{ E_SIGBUS, "engine-file-shrinks" },
	{ E_MASTER, "engine-master-off" },
	{ E_NO_AUTOMASK, "engine-intx" },
	{ E_NO_UNMASK, "engine-intx" },
	{ M_ORDER, "multi-write" },
	{ M_COUNT, "multi-write-wrong" },
	{ M_OUTSIDE, "multi-write-outside" },
	{ M_NOT_AGREED, "multi-write-not-agreed" },
	{ I_SHORT, "multi-write-short" },
	{ Z_ID, "reset" },
	{ Z_DROPS, "reset-keeps-dma" },
	{ C_STATE, "client-state" },
	{ C_LOSES, "many-in-flight" },
	{ C_DIES, "client-leaves" },
	{ I_SHORT, "feature-short" },
	{ F_METHOD, "feature-methods" },
	{ F_UNKNOWN, "feature-unknown" },
	{ F_PROBE, "migration" },
	{ F_ARGSZ, "feature-argsz" },
	{ F_ANY_STATE, "migration-states-wrong" },
	{ F_ANY_ARC, "migration-pre-copy" },
	{ F_NO_STOP_COPY, "migration-states" },
	{ F_STATE_SHORT, "migration-state-short" },
	{ F_NO_RESET, "migration-reset" },
	{ F_DATA_STATE, "migration-data-state" },
	{ F_DATA_SIZE, "migration-data-sizes" },
	{ F_DATA_LIES, "migration-data" },
	{ F_RUBBISH, "migration-data-rubbish" },
	{ L_BITMAP, "log" },
	{ L_PAGES, "log-pages" },
	{ L_PART, "log-part" },
	{ L_WRONG, "log-wrong" },
	{ L_SHORT, "log-short" },
	{ L_NO_MAP, "log-no-map" },
};

/* True if the test fails, or warns, on the server that it is there for. */
static bool is_found(unsigned i, unsigned timeout_ms, char **text)
{
	struct conform_options o = { .timeout_ms = timeout_ms,
				     .strict = true,
				     .only = bad[i].test };
	char fails[64], warns[64];
	int rc = run_suite(bad[i].fault, &o, text);

	snprintf(fails, sizeof(fails), "FAIL  %s ", bad[i].test);
	snprintf(warns, sizeof(warns), "warn  %s ", bad[i].test);
	return rc == 1 && (strstr(*text, fails) || strstr(*text, warns));
}

static void bad_fail(void **state)
{
	bool seen[NFAULTS] = { [GOOD] = true };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text;

		seen[bad[i].fault] = true;
		/* some wait for nothing: not for long, if the computer is fast enough */
		if (!is_found(i, 200, &text)) {
			free(text);
			if (!is_found(i, 10000, &text))
				fail_msg("fault %u, %s: %s", bad[i].fault, bad[i].test, text);
		}
		free(text);
	}
	for (unsigned i = 0; i < NFAULTS; i++)
		assert_true(seen[i]);
}

static void says_what(void **state)
{
	struct conform_options o = { .timeout_ms = 10000,
				     .only = "region-info-index",
				     .format = CONFORM_TAP };
	char *text, file[80], xml[2048] = { 0 };
	FILE *f;

	snprintf(file, sizeof(file), "%s.xml", path);
	o.junit = file;
	assert_int_equal(run_suite(H_ERROR_BODY, &o, &text), 1);
	assert_non_null(strstr(text, "TAP version 13\n1..2\nok 1 - start-up: "));
	assert_non_null(strstr(text, "\nnot ok 2 - region-info-index: "));
	assert_non_null(
		strstr(text, "  level: MUST\n  section: 'VFIO_USER_DEVICE_GET_REGION_INFO'\n"));
	assert_non_null(strstr(text, "sent #1 DEVICE_GET_REGION_INFO id 0x2 size 48: argsz 0x20, "
				     "flags 0, index 9, cap_offset 0, size 0, offset 0\n"));
	assert_non_null(
		strstr(text, "      0000  02 00 05 00 20 00 00 00 21 00 00 00 16 00 00 00"));
	free(text);
	f = fopen(file, "r");
	assert_non_null(f);
	assert_true(fread(xml, 1, sizeof(xml) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(xml, "tests=\"2\" failures=\"1\" skipped=\"0\""));
	assert_non_null(strstr(xml, "<testcase classname=\"server\" name=\"region-info-index\""));
	assert_non_null(strstr(xml, "<failure message=\"the error reply to "));
	unlink(file);
}

/* A server that the suite starts, and starts again: the test that kills it fails, and no other. */
static void started(void **state)
{
	char self[256], number[16], *command[] = { self, path, number, NULL };
	struct conform_options o = {
		.timeout_ms = 10000, .only = "version-json-odd", .command = command, .socket = path
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *text;
	size_t size;

	assert_true(n > 0);
	self[n] = 0;
	for (unsigned once = 0; once < 2; once++) {
		o.once = once;
		snprintf(number, sizeof(number), "%u", V_DIES);
		o.out = open_memstream(&text, &size);
		assert_int_equal(conform_run(&o), 1);
		fclose(o.out);
		assert_non_null(strstr(text, "FAIL  version-json-odd "));
		assert_non_null(strstr(text, "the server died by signal 6"));
		free(text);
		o.only = "version-no-*";
		o.out = open_memstream(&text, &size);
		assert_int_equal(conform_run(&o), 0);
		fclose(o.out);
		assert_non_null(strstr(text, "5 passed, 0 failed, 0 warned, 0 skipped"));
		free(text);
		o.only = "version-json-odd";
	}
}

/* Nobody serves: the first test fails, and the others are not waited for. */
static void nobody(void **state)
{
	struct conform_options o = { .timeout_ms = 50, .only = "read-*", .socket = path };
	char *text;
	size_t size;

	unlink(path);
	o.out = open_memstream(&text, &size);
	assert_int_equal(conform_run(&o), 1);
	fclose(o.out);
	assert_non_null(strstr(text, "FAIL  start-up "));
	assert_non_null(strstr(text, "No such file or directory"));
	assert_non_null(strstr(text, "0 passed, 1 failed, 0 warned, "));
	free(text);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_passes), cmocka_unit_test(bad_fail),
		cmocka_unit_test(says_what),   cmocka_unit_test(started),
		cmocka_unit_test(nobody),
	};

	if (argc == 3)
		ts_serve(ts_listen(argv[1]), (enum fault)atoi(argv[2]));
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
