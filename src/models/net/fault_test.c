/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/fault_test.c: a port for which there is no memory: each allocation of an opening, an
 * answer, fails in turn.
 */
#include "base/test_fault.h"
#include "models/net/test_net.h"

static struct device a, b;

static void opens_or_not(const char *const *opts)
{
	unsigned fds, failed = 0;
	int err;

	/* what a first one leaves for ever: the registry, libpcap */
	assert_int_equal(device_try(&a, "a", opts), 0);
	device_close(&a);
	fds = count_private();
	log_set(-1, LOG_NONE);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		err = device_try(&a, "a", opts);
		fault_end(&l, err);
		failed = l.failed;
		if (!err) {
			assert_true(net_link_up(a.port) || !strncmp(opts[0], "id=", 3));
			device_close(&a);
		}
		assert_int_equal(count_private(), fds);
	}
	log_set(2, LOG_WARN);
	assert_true(failed > 2);
}

static void test_open(void **state)
{
	OPEN(&b, "b", "id=b");
	opens_or_not(OPTS("net=peer:b", "id=a"));
	opens_or_not(OPTS("id=a"));
	opens_or_not(OPTS("net=unix:fault.sock"));
	opens_or_not(OPTS("net=peer:b", "net=pcap:fault.pcap"));
	assert_int_equal(access("fault.sock", F_OK), -1);
	unlink("fault.pcap");
	assert_false(b.up);
	device_close(&b);
}

/* An answer that cannot be put off is dropped, and counted. */
static void test_answer(void **state)
{
	OPEN(&a, "a", "net=peer:b");
	OPEN(&b, "b", "id=b");
	b.replies = 3;
	fault_set(FAULT_MEMORY, 2);
	assert_true(frame_send(&a, 0, 0, 60));
	assert_true(fault_clear());
	assert_int_equal(a.received, 2);
	assert_int_equal(a.misordered, 0);
	assert_int_equal(stats(&b).full, 1);
	device_close(&a);
	device_close(&b);
}

static char dir[] = "/tmp/uvfio-net-fault.XXXXXX";

static int setup(void **state)
{
	return mkdtemp(dir) ? chdir(dir) : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_answer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
