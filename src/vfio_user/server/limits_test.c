/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/limits_test.c: what a client can have of the server at most, and who says so. */
#include "vfio_user/server/test_server.h"

#define RIGHTS (VU_DMA_READABLE | VU_DMA_WRITEABLE)

static struct test_server t;
static struct reply r;

/* A client of a server with the limit @name at @value. */
static int client_with(const char *name, uint64_t value)
{
	test_server_begin(&t, "testdev");
	vu_server_free(t.server);
	assert_int_equal(vu_server_limit(&t.cfg.limits, name, value), 0);
	assert_int_equal(test_start(&t), 0);
	return client_new(&t);
}

static void end(int fd)
{
	close(fd);
	test_server_end(&t);
}

static int memory(off_t size)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

/* Map @size bytes of a file of their own at @at. */
static int map_new(int fd, uint64_t at, off_t size)
{
	int file = memory(size), rc;

	rc = client_map(fd, at, K4, 0, RIGHTS, file, &r);
	close(file);
	return rc;
}

static void test_files(void **state)
{
	int fd = client_with("files", 2);

	assert_int_equal(map_new(fd, RAM, K4), 0);
	assert_int_equal(map_new(fd, RAM + K4, K4), 0);
	assert_int_equal(map_new(fd, RAM + 2 * K4, K4), ENOSPC);
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), 0);
	assert_int_equal(map_new(fd, RAM + 2 * K4, K4), 0);
	end(fd);
}

/* No more of a file than is asked for, where there is no room for all of it; and then nothing. */
static void test_memory(void **state)
{
	int fd = client_with("memory", 8 << 20);

	assert_int_equal(map_new(fd, RAM, 4 << 20), 0); /* with room to grow: all there is */
	assert_int_equal(map_new(fd, RAM + K4, K4), ENOSPC);
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), 0);
	assert_int_equal(map_new(fd, RAM, 64 << 20), 0);
	assert_int_equal(map_new(fd, RAM + K4, K4), 0);
	end(fd);
}

static void test_maps(void **state)
{
	int fd = client_with("maps", 2);

	assert_int_equal(map_new(fd, RAM, K4), 0);
	assert_int_equal(map_new(fd, RAM + K4, K4), 0);
	assert_int_equal(map_new(fd, RAM + 2 * K4, K4), ENOSPC);
	end(fd);
}

static void test_names(void **state)
{
	struct vu_server_limits l = { 0 };

	assert_int_equal(vu_server_limit(&l, "nope", 1), -ENOENT);
	assert_int_equal(vu_server_limit(&l, "maps", 0), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "fds", VU_MAX_FDS + 1), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "data", 4095), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "data", 1ull << 32), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "memory", 0), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "memory", UINT64_MAX), 0);
	assert_int_equal(vu_server_limit(&l, "queue", 7), 0);
	assert_int_equal(l.max_queued, 7);
	assert_true(l.max_mapped == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
