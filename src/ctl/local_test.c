/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl/local_test.c: an unplug that waits for a process that has all devices of its run. */
#include <stdatomic.h>

#include "ctl/test_run.h"

#define UNPLUG "{\"request\":\"unplug\",\"device\":\"01:00.0\""

#define AER "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"fatal\"}"

static struct test_run run;
/* The one device: calls come by the server's thread. */
static struct {
	atomic_bool open, leaving, gone;
	atomic_bool busy;
	atomic_uint kept, asked;
} device;

static void each(void *arg, void (*fn)(void *ctx, const struct ctl_device *d), void *ctx)
{
	const struct ctl_device d = { .addr = "0000:01:00.0",
				      .model = "edu",
				      .group = 1,
				      .open = device.open,
				      .leaving = device.leaving };

	if (!device.gone)
		fn(ctx, &d);
}

static int unplug(void *arg, const char *addr, bool surprise, char **why)
{
	if (device.gone || strcmp(addr, "0000:01:00.0"))
		return -ENODEV;
	device.leaving = device.open && !surprise;
	device.gone = !device.leaving;
	if (device.gone)
		return 0;
	*why = strdup("it is kept");
	return -EBUSY;
}

static void keep(void *arg, const char *addr)
{
	device.leaving = false;
	device.kept++;
}

static int error(void *arg, const char *addr, enum machine_severity severity, char **why)
{
	device.asked++;
	if (!device.busy)
		return 0;
	*why = strdup("it is busy");
	return -EBUSY;
}

static const struct ctl_local local = {
	.each = each, .unplug = unplug, .keep = keep, .error = error
};

static int start(void **state)
{
	char path[96];

	log_set(2, LOG_ERR);
	alarm(60); /* what hangs fails */
	strcpy(run.dir, "/tmp/uvfio-ctl-XXXXXX");
	assert_non_null(mkdtemp(run.dir));
	snprintf(path, sizeof(path), "%s/claims", run.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(ctl_server_new(run.dir, "test", &run.server), 0);
	ctl_server_set_local(run.server, &local, NULL);
	assert_int_equal(ctl_server_start(run.server), 0);
	device.open = true;
	device.leaving = device.gone = false;
	device.kept = 0;
	return 0;
}

static int stop(void **state)
{
	char cmd[96];

	ctl_server_free(run.server);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", run.dir);
	return system(cmd);
}

static bool listed(const char *state)
{
	return strstr(asked(&run, "{\"request\":\"list\"}"), state);
}

/* Begin an unplug that has to wait. */
static int wait_for_device(void)
{
	int fd = run_connect(&run, CTL_SOCKET, SOCK_STREAM);

	assert_int_equal(ctl_send(fd, UNPLUG "}"), 0);
	while (!listed("leaving"))
		usleep(1000);
	return fd;
}

static void test_waits(void **state)
{
	int fd = wait_for_device();

	/* another that does not wait so long changes nothing for it */
	assert_true(says(&run, UNPLUG ",\"timeout\":0}", "EBUSY\",\"message\":\"it is kept\""));
	assert_true(listed("leaving"));
	assert_int_equal(device.kept, 0);
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"02:00.0\"}", "ENODEV"));
	assert_true(says(&run, UNPLUG ",\"timeout\":-1}", "a timeout is a number"));
	device.open = false;
	assert_string_equal(next_answer(fd), "{\"ok\":true,\"device\":\"0000:01:00.0\"}");
	assert_true(listed("\"devices\":[]"));
	assert_int_equal(device.kept, 0);
	close(fd);
}

static void test_pulled_out(void **state)
{
	int fd = wait_for_device();

	assert_true(says(&run, UNPLUG ",\"surprise\":true}", "\"ok\":true"));
	assert_non_null(strstr(next_answer(fd), "\"ok\":true"));
	close(fd);
}

static void test_given_up(void **state)
{
	int first, second;

	assert_true(says(&run, UNPLUG ",\"timeout\":0}", "EBUSY"));
	assert_int_equal(device.kept, 1);
	assert_false(listed("leaving"));
	/* of two that wait the second one goes last */
	first = wait_for_device();
	second = wait_for_device();
	assert_int_equal(ctl_send(second, "{\"request\":\"list\"}"), 0); /* is not answered */
	close(first);
	assert_true(listed("leaving"));
	assert_int_equal(device.kept, 1);
	close(second);
	while (device.kept < 2)
		usleep(1000);
	/* it stays, also when it could go */
	device.open = false;
	usleep(300000);
	assert_true(listed("\"state\":\"closed\""));
	assert_false(device.gone);
	/* and can be asked for again */
	assert_true(says(&run, UNPLUG "}", "\"ok\":true"));
}

/* A device that is busy for long gives an error, and others are served meanwhile. */
static void test_busy(void **state)
{
	int fd = run_connect(&run, CTL_SOCKET, SOCK_STREAM), gone, last;
	unsigned asked;

	device.busy = true;
	device.asked = 0;
	assert_int_equal(ctl_send(fd, AER), 0);
	gone = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	assert_int_equal(ctl_send(gone, AER), 0);
	while (device.asked < 4)
		usleep(1000);
	assert_true(listed("\"state\":\"D0\""));
	close(gone);
	device.busy = false;
	assert_string_equal(next_answer(fd), "{\"ok\":true,\"device\":\"0000:01:00.0\"}");
	device.busy = true;
	assert_true(says(&run, AER, "EBUSY\",\"message\":\"it is busy\""));
	asked = device.asked;
	assert_true(asked > 8);
	/* one that still waits at the end is freed */
	last = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	assert_int_equal(ctl_send(last, AER), 0);
	while (device.asked == asked)
		usleep(1000);
	ctl_server_stop(run.server);
	close(last);
	close(fd);
}

/* The server ends while somebody waits. */
static void test_end(void **state)
{
	int fd = wait_for_device();

	ctl_server_stop(run.server);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits, start, stop),
		cmocka_unit_test_setup_teardown(test_pulled_out, start, stop),
		cmocka_unit_test_setup_teardown(test_given_up, start, stop),
		cmocka_unit_test_setup_teardown(test_busy, start, stop),
		cmocka_unit_test_setup_teardown(test_end, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
