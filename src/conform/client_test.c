/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The suite for clients itself: a good client passes all of it, and one that does one thing wrong
 * fails the test which is there for that. The clients are this program once more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conform/conform.h"
#include "conform/test_client.h"

static int run_suite(enum client_fault fault, struct conform_options o, char **text)
{
	char number[16],
		*command[] = { (char *)"/proc/self/exe", (char *)"{socket}", number, NULL };
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t size;
	int rc;

	assert_true(n > 0);
	self[n] = 0;
	command[0] = self;
	snprintf(number, sizeof(number), "%u", fault);
	o.client = true;
	o.command = command;
	o.silent_ms = 300;
	o.out = open_memstream(text, &size);
	assert_non_null(o.out);
	rc = conform_run(&o);
	fclose(o.out);
	return rc;
}

static void good_passes(void **state)
{
	struct conform_options o = { .timeout_ms = 10000, .strict = true };
	char *text;
	int rc = run_suite(K_GOOD, o, &text);

	if (rc)
		printf("%s", text);
	assert_int_equal(rc, 0);
	assert_non_null(strstr(text, "ok    client-interleaved "));
	assert_non_null(strstr(text, " 0 failed, 0 warned, 0 skipped"));
	free(text);
}

static const struct {
	enum client_fault fault;
	const char *test;
} bad[] = {
	{ K_NO_VERSION, "client-rules" },
	{ K_FLAGS, "client-rules" },
	{ K_ERROR_FLAG, "client-rules" },
	{ K_UNKNOWN, "client-rules" },
	{ K_ARGSZ, "client-rules" },
	{ K_SHORT, "client-rules" },
	{ K_FDS, "client-rules" },
	{ K_OVERLAP, "client-rules" },
	{ K_UNMAP, "client-rules" },
	{ K_OUTSIDE, "client-rules" },
	{ K_COUNT, "client-rules" },
	{ K_IRQ_FLAGS, "client-rules" },
	{ K_IRQ_RANGE, "client-rules" },
	{ K_MULTI, "client-rules" },
	{ K_REPLIES, "client-rules" },
	{ K_BIG, "client-small-transfers" },
	{ K_NEEDS_JSON, "client-no-json" },
	{ K_STRICT, "client-unknown-capability" },
	{ K_NO_MMAP, "client-mmap" },
	{ K_ONE_READ, "client-bytes" },
	{ K_ONE_READ, "client-halves" },
	{ K_IMPATIENT, "client-late" },
	{ K_DMA_SILENT, "client-dma-read" },
	{ K_DMA_SHORT, "client-dma-read" },
	{ K_DMA_LOST, "client-dma-write" },
	{ K_DMA_OUTSIDE, "client-dma-outside" },
	{ K_DMA_RIGHTS, "client-dma-rights" },
	{ K_DMA_SIZES, "client-dma-sizes" },
	{ K_WAITS, "client-interleaved" },
	{ K_WAITS, "client-joined" },
	{ K_OBEYS, "client-unknown-command" },
	{ K_DIES_ERROR, "client-errors" },
	{ K_ZERO, "client-errors-zero" },
	{ K_MAJOR, "client-major" },
	{ K_MINOR, "client-minor" },
	{ K_JSON, "client-bad-json" },
	{ K_LIMITS, "client-bad-limits" },
	{ K_TRUSTS_SHORT, "client-short-info" },
	{ K_TRUSTS_SHORT, "client-short-region" },
	{ K_TRUSTS_SHORT, "client-short-read" },
	{ K_TRUSTS_LONG, "client-sizes-long" },
	{ K_TRUSTS_HEADER, "client-header-sizes" },
	{ K_TRUSTS_ID, "client-ids" },
	{ K_TRUSTS_FDS, "client-fds" },
	{ K_TRUSTS_LIES, "client-lies" },
	{ K_DIES_EOF, "client-server-leaves" },
};

static void bad_fail(void **state)
{
	bool seen[NCLIENT_FAULTS] = { [K_GOOD] = true };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct conform_options o = { .timeout_ms = 300,
					     .strict = true,
					     .only = bad[i].test };
		char *text;
		int rc = run_suite(bad[i].fault, o, &text);

		seen[bad[i].fault] = true;
		if (rc != 1)
			fail_msg("fault %u, %s: %s", bad[i].fault, bad[i].test, text);
		free(text);
	}
	for (unsigned i = 0; i < NCLIENT_FAULTS; i++)
		assert_true(seen[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_passes),
		cmocka_unit_test(bad_fail),
	};

	if (argc == 3)
		test_client(argv[1], (enum client_fault)atoi(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
