/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/stuck_test.c: a client that keeps its device's model in a callback for as long as it likes,
 * as one does that withholds its memory: everything else of the server goes on meanwhile, other
 * devices are taken away before it is waited for, and serve_end() gives it up.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/model.h"
#include "uvfio/server.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "serve/serve.h"
#include "vfio_user/wire.h"

#define MS 1000000ull

static struct uvfio_server *s;
static struct uvfio_server_device *stuck;
static char dir[] = "/tmp/uvfio-stuck-XXXXXX", path[3][64];
static int client_of[2];

/* ---- a model whose reads of BAR0 do not return while the gate is shut ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool shut;
static unsigned inside, destroyed;

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x4321 };
	int rc = uvfio_set_ids(dev, &ids);

	return rc ? rc : uvfio_add_bar(dev, 0, 4096, 0);
}

static void destroy(struct uvfio_dev *dev)
{
	pthread_mutex_lock(&lock);
	destroyed++;
	pthread_mutex_unlock(&lock);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	pthread_mutex_lock(&lock);
	inside++;
	pthread_cond_broadcast(&moved);
	while (shut)
		pthread_cond_wait(&moved, &lock);
	inside--;
	pthread_mutex_unlock(&lock);
	*value = 0;
	return 0;
}

static void set_gate(bool is_shut)
{
	pthread_mutex_lock(&lock);
	shut = is_shut;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

static unsigned have_destroyed(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = destroyed;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- clients ---- */

struct access {
	struct vu_header h;
	struct vu_region_access a;
	uint32_t v;
} __attribute__((packed));

/* Connect to @at. Return the socket. */
static int hello(const char *at)
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
	assert_int_equal(recv(fd, &m, sizeof(m), MSG_WAITALL), sizeof(m));
	assert_int_equal(m.h.flags & VU_FLAG_ERROR, 0);
	return fd;
}

static void ask(int fd, uint16_t command, uint32_t region, uint64_t offset, uint32_t v)
{
	struct access m = { .h = { .command = command, .size = sizeof(m) },
			    .a = { .region = region, .offset = offset, .count = 4 },
			    .v = v };

	if (command == VU_REGION_READ)
		m.h.size -= 4;
	assert_int_equal(send(fd, &m, m.h.size, MSG_NOSIGNAL), m.h.size);
}

/* True if the other device has a client, and answers it. */
static bool answers(int fd)
{
	struct access m;

	ask(fd, VU_REGION_READ, 7, 0, 0);
	return recv(fd, &m, sizeof(m), MSG_WAITALL) == sizeof(m) && m.v == 0x43211234;
}

static bool hung_up(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

/* ---- two devices, of which the client of the first is stuck ---- */

static int setup(void **state)
{
	struct access m;

	log_set(STDERR_FILENO, LOG_NONE);
	pthread_mutex_lock(&lock);
	destroyed = 0;
	pthread_mutex_unlock(&lock);
	s = uvfio_server_new(NULL, NULL);
	assert_non_null(s);
	assert_int_equal(uvfio_server_add(s, "gate", path[0], 0, &stuck), 0);
	assert_int_equal(uvfio_server_add(s, "gate", path[1], 0, NULL), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	for (unsigned i = 0; i < 2; i++)
		client_of[i] = hello(path[i]);
	/* memory is decoded */
	ask(client_of[0], VU_REGION_WRITE, 7, 4, 2);
	assert_int_equal(recv(client_of[0], &m, sizeof(m) - 4, MSG_WAITALL), sizeof(m) - 4);
	set_gate(true);
	ask(client_of[0], VU_REGION_READ, 0, 0, 0);
	pthread_mutex_lock(&lock);
	while (!inside)
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

static int teardown(void **state)
{
	set_gate(false);
	uvfio_server_free(s);
	for (unsigned i = 0; i < 2; i++)
		close(client_of[i]);
	for (unsigned i = 0; i < 3; i++)
		if (!access(path[i], F_OK))
			return 1;
	return 0;
}

static void count(void *ctx, const struct serve_info *i)
{
	++*(unsigned *)ctx;
}

static unsigned listed(void)
{
	unsigned n = 0;

	serve_each(s, count, &n);
	return n;
}

/* What nobody is kept from, while @n devices are listed. */
static void others_go_on(unsigned n)
{
	struct uvfio_server_device *d;

	assert_int_equal(listed(), n);
	assert_int_equal(uvfio_server_add(s, "gate", path[2], 0, &d), 0);
	close(hello(path[2]));
	assert_int_equal(listed(), n + 1);
	assert_int_equal(serve_unplug(s, uvfio_server_address(d), true), 0);
	assert_int_equal(listed(), n);
	assert_true(answers(client_of[1]));
}

static void test_unplug(void **state)
{
	const char *addr = uvfio_server_address(stuck);
	unsigned n = 2; /* devices that others_go_on() had */

	others_go_on(2);
	assert_int_equal(serve_unplug(s, addr, false), -EBUSY);
	assert_int_equal(serve_unplug(s, addr, true), 0);
	assert_int_equal(serve_unplug(s, "0000:01:00.0", true), -ENODEV);
	assert_int_equal(access(path[0], F_OK), -1);
	others_go_on(1);
	/* when its client is out of it the next plug frees it, beside what that plugs itself */
	assert_int_equal(have_destroyed(), n);
	set_gate(false);
	for (unsigned tries = 0; have_destroyed() == n && tries < 1000; tries++, n++) {
		usleep(1000);
		others_go_on(1);
	}
	assert_int_equal(have_destroyed(), n + 1);
}

static void *remove_it(void *arg)
{
	uvfio_server_remove(stuck);
	return NULL;
}

static void test_remove(void **state)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, remove_it, NULL), 0);
	while (listed() == 2)
		usleep(100);
	others_go_on(1);
	set_gate(false);
	pthread_join(t, NULL);
	assert_int_equal(access(path[0], F_OK), -1);
	assert_int_equal(have_destroyed(), 2);
}

static void *stop_it(void *arg)
{
	uvfio_server_stop(s);
	return NULL;
}

static void test_stop(void **state)
{
	pthread_t t[2];
	int fd;

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, stop_it, NULL), 0);
	/* behind the other one in the list, and not held up */
	assert_true(hung_up(client_of[1]));
	assert_int_equal(listed(), 2);
	set_gate(false);
	assert_int_equal(uvfio_server_start(s), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	/* a stop that came late was after the start */
	assert_int_equal(uvfio_server_start(s), 0);
	fd = hello(path[0]);
	assert_true(answers(fd));
	close(fd);
}

static void *free_it(void *arg)
{
	uvfio_server_free(s);
	return NULL;
}

static void test_end_for_good(void **state)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, free_it, NULL), 0);
	while (have_destroyed() < 1)
		usleep(1000);
	assert_int_equal(access(path[1], F_OK), -1);
	assert_int_equal(access(path[0], F_OK), 0);
	set_gate(false);
	pthread_join(t, NULL);
	assert_int_equal(have_destroyed(), 2);
	s = NULL;
}

static void test_end(void **state)
{
	/* one that was unplugged is waited for, too */
	assert_int_equal(serve_unplug(s, uvfio_server_address(stuck), true), 0);
	assert_int_equal(serve_end(s, 1200 * MS), 1);
	assert_int_equal(have_destroyed(), 1);
	assert_true(hung_up(client_of[1]));
	assert_int_equal(access(path[1], F_OK), -1);
	set_gate(false);
	assert_int_equal(serve_end(s, 60000 * MS), 0);
	assert_int_equal(have_destroyed(), 2);
}

int main(void)
{
	static const struct uvfio_model gate = { UVFIO_MODEL_INIT, .name = "gate", .create = create,
						 .destroy = destroy, .bar_read = bar_read };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unplug, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_for_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};
	int rc;

	if (!mkdtemp(dir) || uvfio_server_register(&gate))
		return 1;
	for (unsigned i = 0; i < 3; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%u", dir, i);
	rc = cmocka_run_group_tests_name("serve: stuck", tests, NULL, NULL);
	return rc + (rmdir(dir) ? 1 : 0);
}
