/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/threads_test.c: uvfio/server.h by eight threads at the same time: devices that are added
 * and removed, the server that is started and stopped, limits, errors that each thread has for
 * itself, events; with clients that come and go meanwhile. Under ThreadSanitizer it says whether
 * "any thread" is true.
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

#define THREADS 8u
#define CLIENTS 3u
#define ROUNDS	10u

static struct uvfio_server *s;
static char dir[] = "/tmp/uvfio-threads-XXXXXX";
static atomic_uint opened, gone;
static atomic_bool over;

/* Each client is opened once, and gone once. */
static void on_event(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event event,
		     unsigned client, int error)
{
	if (event == UVFIO_SERVER_OPENED)
		atomic_fetch_add(&opened, 1);
	if (event == UVFIO_SERVER_DISCONNECTED)
		atomic_fetch_add(&gone, 1);
	if (strncmp(uvfio_server_address(dev), "0000:", 5) || !uvfio_server_path(dev))
		abort();
}

static void path_of(char *path, size_t size, unsigned i)
{
	snprintf(path, size, "%s/%u", dir, i);
}

/* ---- clients ---- */

static bool hello(int fd)
{
	struct {
		struct vu_header h;
		struct vu_version v;
	} m = { { .command = VU_VERSION, .size = sizeof(m) }, { VU_MAJOR, VU_MINOR } };

	return send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) &&
	       recv(fd, &m.h, sizeof(m.h), MSG_WAITALL) == sizeof(m.h) &&
	       !(m.h.flags & VU_FLAG_ERROR) &&
	       recv(fd, &m.v, sizeof(m.v), MSG_WAITALL) == sizeof(m.v);
}

/* Read the id, as often as the server lets us. */
static void read_id(int fd)
{
	struct {
		struct vu_header h;
		struct vu_region_access a;
		uint32_t v;
	} m;

	for (unsigned i = 0; i < 20; i++) {
		m.h = (struct vu_header){ .command = VU_REGION_READ, .size = sizeof(m) - 4 };
		m.a = (struct vu_region_access){ .region = 7, .count = 4 };
		if (send(fd, &m, sizeof(m) - 4, MSG_NOSIGNAL) <= 0 ||
		    recv(fd, &m, sizeof(m), MSG_WAITALL) < (ssize_t)sizeof(m))
			return;
	}
}

static void *client(void *arg)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_usec = 20000 };
	unsigned n = (unsigned)(uintptr_t)arg;

	for (; !atomic_load(&over); n++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		path_of(a.sun_path, sizeof(a.sun_path), n % THREADS);
		/* a server that is stopped answers nobody */
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		if (!connect(fd, (struct sockaddr *)&a, sizeof(a)) && hello(fd))
			read_id(fd);
		close(fd);
		usleep(1000); /* the others have work to do */
	}
	return NULL;
}

/* ---- the program's threads ---- */

static void count(void *ctx, const struct serve_info *i)
{
	++*(unsigned *)ctx;
}

static void *user(void *arg)
{
	static const char *const specs[] = { "edu", "testdev" };
	unsigned me = (unsigned)(uintptr_t)arg, n;
	struct uvfio_server_device *d;
	char path[108], word[32];
	int rc;

	path_of(path, sizeof(path), me);
	snprintf(word, sizeof(word), "nope%u", me);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (uvfio_server_add(s, specs[(me + i) % 2], path, 0, &d))
			abort();
		if (strcmp(uvfio_server_path(d), path))
			abort();
		/* what is served already says so */
		rc = uvfio_server_ioeventfd(d, 0, 0x10, 4, 1);
		if (rc && rc != -EBUSY && rc != -EINVAL)
			abort();
		if (me % 4 == 0)
			rc = uvfio_server_start(s);
		else if (me % 4 == 1 && i % 4 == 3)
			uvfio_server_stop(s), rc = 0;
		else
			rc = uvfio_server_set_limit(s, "maps", 1000 + i);
		if (rc)
			abort();
		n = 0;
		serve_each(s, count, &n);
		if (!n || n > THREADS)
			abort();
		/* an error is that of the thread which made it */
		if (uvfio_server_set_limit(s, word, 1) != -ENOENT)
			abort();
		sched_yield();
		if (!strstr(uvfio_server_strerror(s), word))
			abort();
		rc = serve_error(s, uvfio_server_address(d), MACHINE_FATAL);
		if (rc && rc != -ENODEV)
			abort();
		usleep(1000);
		uvfio_server_remove(d);
	}
	return NULL;
}

static void test_threads(void **state)
{
	const struct uvfio_server_ops ops = { .event = on_event };
	pthread_t users[THREADS], clients[CLIENTS];

	log_set(STDERR_FILENO, LOG_NONE);
	s = uvfio_server_new(&ops, NULL);
	assert_non_null(s);
	assert_int_equal(uvfio_server_start(s), 0);
	for (uintptr_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&clients[i], NULL, client, (void *)i), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&users[i], NULL, user, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(users[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	uvfio_server_free(s);
	assert_int_equal(atomic_load(&opened), atomic_load(&gone));
	print_message("%u clients had a device\n", atomic_load(&opened));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	return rc + (rmdir(dir) ? 1 : 0);
}
