/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/serve_test.c: uvfio/server.h as a program uses it: models of its own, devices that come and
 * go, sockets, start and stop, events. What clients do is in vfio_user/server/.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/model.h"
#include "uvfio/server.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "serve/serve.h"
#include "vfio_user/wire.h"

static char dir[] = "/tmp/uvfio-serve-XXXXXX", path[64], other[64];
static struct uvfio_server *s;
static atomic_uint seen[UVFIO_SERVER_DISCONNECTED + 1];

static void on_event(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event event,
		     unsigned client, int error)
{
	assert_ptr_equal(ctx, seen);
	atomic_fetch_add(&seen[event], 1);
}

static int setup(void **state)
{
	const struct uvfio_server_ops ops = { .event = on_event };

	log_set(STDERR_FILENO, LOG_NONE);
	for (unsigned i = 0; i <= UVFIO_SERVER_DISCONNECTED; i++)
		atomic_store(&seen[i], 0);
	s = uvfio_server_new(&ops, seen);
	return !s;
}

static int teardown(void **state)
{
	uvfio_server_free(s);
	return access(path, F_OK) == 0 || access(other, F_OK) == 0;
}

/* Connect to @at and say VERSION. Return the socket; the reply's error is in *@error. */
static int client(const char *at, uint32_t *error)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct {
		struct vu_header h;
		struct vu_version v;
	} m = { { .command = VU_VERSION, .size = sizeof(m) }, { VU_MAJOR, VU_MINOR } };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, at);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
	if (!error)
		return fd;
	assert_int_equal(recv(fd, &m.h, sizeof(m.h), MSG_WAITALL), sizeof(m.h));
	*error = m.h.flags & VU_FLAG_ERROR ? m.h.error : 0;
	if (!*error)
		assert_int_equal(recv(fd, &m.v, sizeof(m.v), MSG_WAITALL), sizeof(m.v));
	return fd;
}

static void wait_for(enum uvfio_server_event event, unsigned n)
{
	while (atomic_load(&seen[event]) < n)
		usleep(100);
}

static bool says(const char *text)
{
	return strstr(uvfio_server_strerror(s), text);
}

static void test_devices(void **state)
{
	struct uvfio_server_device *edu, *td;
	struct stat st;
	uint32_t error;
	int fd, early;

	assert_int_equal(uvfio_server_add(s, "edu", path, 0, &edu), 0);
	assert_string_equal(uvfio_server_path(edu), path);
	assert_string_equal(uvfio_server_address(edu), "0000:01:00.0");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* it can connect, and is served from the start on */
	early = client(path, NULL);
	assert_int_equal(uvfio_server_start(s), 0);
	wait_for(UVFIO_SERVER_OPENED, 1);
	/* one that is added later is served at once */
	assert_int_equal(uvfio_server_add(s, "testdev", other, 0660, &td), 0);
	fd = client(other, &error);
	assert_int_equal(error, 0);
	wait_for(UVFIO_SERVER_OPENED, 2);
	close(client(other, &error));
	assert_int_equal(error, EBUSY);
	wait_for(UVFIO_SERVER_REFUSED, 1);
	/* and hung up on when it goes */
	uvfio_server_remove(td);
	assert_int_equal(access(other, F_OK), -1);
	assert_true(recv(fd, &error, 1, 0) <= 0);
	wait_for(UVFIO_SERVER_DISCONNECTED, 1);
	close(fd);
	close(early);
}

static void test_stop_and_start(void **state)
{
	uint32_t error;
	int fd;

	assert_int_equal(uvfio_server_add(s, "edu", path, 0, NULL), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	fd = client(path, &error);
	assert_int_equal(error, 0);
	uvfio_server_stop(s);
	assert_true(recv(fd, &error, 4, MSG_WAITALL) < 4);
	close(fd);
	/* the socket stays */
	fd = client(path, NULL);
	assert_int_equal(uvfio_server_start(s), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	wait_for(UVFIO_SERVER_OPENED, 2);
	close(fd);
}

static void test_what_fails(void **state)
{
	struct uvfio_server_device *d;
	int pair[2];
	FILE *f;

	assert_int_equal(uvfio_server_add(s, "nope", path, 0, &d), -ENOENT);
	assert_true(says("there is no model 'nope'"));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(uvfio_server_add(s, "edu", "", 0, &d), -ENOENT);
	f = fopen(other, "w");
	fclose(f);
	assert_int_equal(uvfio_server_add(s, "edu", other, 0, &d), -EEXIST);
	unlink(other);
	assert_int_equal(uvfio_server_add(s, "edu", path, 0, &d), 0);
	assert_int_equal(uvfio_server_add(s, "edu", path, 0, &d), -EADDRINUSE);
	assert_true(says("another server listens there"));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(uvfio_server_add_fd(s, "edu", pair[0], &d), -EINVAL);
	assert_true(says("that listens"));
	close(pair[1]);
	assert_int_equal(uvfio_server_add(s, "igb,driver=igb", other, 0, &d), -ENODEV);
	assert_true(says("has the driver igb"));
}

/* ---- virtual functions ---- */

static const char *vf_path(unsigned i)
{
	static char at[2][108];

	snprintf(at[i], sizeof(at[i]), "%s.vf%u", path, i);
	return at[i];
}

static void count_them(void *ctx, const struct serve_info *i)
{
	++*(unsigned *)ctx;
}

static unsigned served(void)
{
	unsigned n = 0;

	serve_each(s, count_them, &n);
	return n;
}

/* Each has a socket beside that of its device, and they go together. */
static void test_virtual_functions(void **state)
{
	struct uvfio_server_device *pf;
	uint32_t error;
	struct stat st;
	int fd, vf, i;
	FILE *f;

	/* no room for the second one: none is left */
	f = fopen(vf_path(1), "w");
	fclose(f);
	assert_int_equal(uvfio_server_add(s, "igb,sriov_numvfs=2", path, 0, &pf), -EEXIST);
	assert_true(says(vf_path(1)));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(vf_path(0), F_OK), -1);
	unlink(vf_path(1));

	assert_int_equal(uvfio_server_add(s, "igb,sriov_numvfs=2", path, 0640, &pf), 0);
	assert_int_equal(stat(vf_path(0), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(uvfio_server_start(s), 0);
	assert_int_equal(served(), 3);
	fd = client(path, &error);
	assert_int_equal(error, 0);
	vf = client(vf_path(1), &error);
	assert_int_equal(error, 0);
	close(client(vf_path(1), &error));
	assert_int_equal(error, EBUSY);
	assert_int_equal(serve_unplug(s, "0000:01:10.2", true), -EOPNOTSUPP);
	/* asked for by all of its clients */
	close(fd);
	wait_for(UVFIO_SERVER_DISCONNECTED, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(serve_unplug(s, uvfio_server_address(pf), false), -EBUSY);
	close(client(vf_path(0), &error));
	assert_int_equal(error, ENODEV);
	serve_keep(s, uvfio_server_address(pf));
	close(client(vf_path(0), &error));
	assert_int_equal(error, 0);
	uvfio_server_remove(pf);
	assert_true(recv(vf, &error, 1, 0) <= 0);
	close(vf);
	assert_int_equal(served(), 0);
	assert_int_equal(access(vf_path(0), F_OK), -1);
}

/* The server is their device's driver; and without a path there is no place for theirs. */
static void test_virtual_functions_alone(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct uvfio_server_device *pf;
	uint32_t error;

	assert_int_equal(uvfio_server_start(s), 0);
	assert_int_equal(uvfio_server_add(s, "igb,driver=igb,sriov_numvfs=2", path, 0, &pf), 0);
	assert_null(uvfio_server_path(pf));
	assert_int_equal(access(path, F_OK), -1);
	close(client(vf_path(0), &error));
	assert_int_equal(error, 0);
	assert_int_equal(serve_unplug(s, uvfio_server_address(pf), true), 0);
	assert_int_equal(served(), 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(uvfio_server_add_fd(s, "igb,sriov_numvfs=1", fd, &pf), -ENOTSUP);
	assert_true(says("has to have a path"));
	assert_int_equal(served(), 0);
}

static void test_virtual_functions_do_not_last(void **state)
{
	struct uvfio_server_device *pf;
	char states[120], run[128];

	snprintf(states, sizeof(states), "%s/states", dir);
	snprintf(run, sizeof(run), "%s/run", states);
	assert_int_equal(mkdir(states, 0700), 0);
	assert_int_equal(uvfio_server_set_state(s, states), 0);
	assert_int_equal(uvfio_server_add(s, "igb,sriov_numvfs=1", path, 0, &pf), -ENOTSUP);
	assert_true(says("do not outlive a server"));
	assert_int_equal(access(path, F_OK), -1);
	unlink(run);
	assert_int_equal(rmdir(states), 0);
}

static void test_ioeventfds(void **state)
{
	struct uvfio_server_device *d;

	assert_int_equal(uvfio_server_add(s, "testdev", path, 0, &d), 0);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x24, 4, 1), 0);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x24, 3, 1), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x22, 4, 1), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 99, 0x24, 4, 1), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 1ull << 39, 4, 1), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 7, 0x10, 4, 1), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x24, 2, 0x10000), -EINVAL);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x24, 0, 0), -EINVAL);
	assert_int_equal(uvfio_server_start(s), 0);
	assert_int_equal(uvfio_server_ioeventfd(d, 2, 0x24, 4, 2), -EBUSY);
}

/* ---- a model of the program's own ---- */

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x4321 };

	return uvfio_set_ids(dev, &ids);
}

static void test_own_model(void **state)
{
	static struct uvfio_model mine = { UVFIO_MODEL_INIT, .name = "mine", .create = create };
	static struct uvfio_model bad = { UVFIO_MODEL_INIT, .name = "a,b", .create = create };
	uint32_t error;

	assert_int_equal(uvfio_server_add(s, "mine", path, 0, NULL), -ENOENT);
	assert_int_equal(uvfio_server_register(&mine), 0);
	assert_int_equal(uvfio_server_register(&mine), -EEXIST);
	assert_non_null(strstr(uvfio_server_strerror(NULL), "there is a model 'mine'"));
	mine.name = "edu";
	assert_int_equal(uvfio_server_register(&mine), -EEXIST);
	assert_int_equal(uvfio_server_register(&bad), -EINVAL);
	bad.name = "./x.so";
	assert_int_equal(uvfio_server_register(&bad), -EINVAL);
	assert_int_equal(uvfio_server_add(s, "mine", path, 0, NULL), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	close(client(path, &error));
	assert_int_equal(error, 0);
}

/* ---- for uvfio ctl ---- */

static void look(void *ctx, const struct serve_info *i)
{
	*(struct serve_info *)ctx = *i;
}

static void test_unplug(void **state)
{
	struct serve_info i = { 0 };
	uint32_t error;
	int fd;

	assert_int_equal(uvfio_server_add(s, "edu", path, 0, NULL), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	fd = client(path, &error);
	wait_for(UVFIO_SERVER_OPENED, 1);
	assert_int_equal(serve_unplug(s, "0000:09:00.0", false), -ENODEV);
	assert_int_equal(serve_unplug(s, "0000:01:00.0", false), -EBUSY);
	serve_each(s, look, &i);
	assert_true(i.leaving && i.open);
	assert_string_equal(i.model, "edu");
	/* nobody else gets it meanwhile */
	close(fd);
	wait_for(UVFIO_SERVER_DISCONNECTED, 1);
	close(client(path, &error));
	assert_int_equal(error, ENODEV);
	serve_keep(s, "0000:01:00.0");
	fd = client(path, &error);
	assert_int_equal(error, 0);
	assert_int_equal(serve_unplug(s, "0000:01:00.0", true), 0);
	assert_true(recv(fd, &error, 4, MSG_WAITALL) < 4);
	close(fd);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_and_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_virtual_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_virtual_functions_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_virtual_functions_do_not_last, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_ioeventfds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unplug, setup, teardown),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/a.sock", dir);
	snprintf(other, sizeof(other), "%s/b.sock", dir);
	rc = cmocka_run_group_tests_name("serve", tests, NULL, NULL);
	return rc + (rmdir(dir) ? 1 : 0);
}
