/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/dma_test.c: the client's memory. */
#include "base/sys.h"
#include "vfio_user/server/test_server.h"

#define RW   (VU_DMA_READABLE | VU_DMA_WRITEABLE)
#define SIZE (256 * K4)
#define DONE 2u /* testdev's DMA_STATUS */
#define LOST 3u

static struct test_server t;
static struct reply r;
static int fd, file;
static uint8_t *mem;

static int setup(void **state)
{
	test_server_begin(&t, "testdev");
	fd = client_new(&t);
	client_enable(fd);
	file = make_memory(SIZE, &mem);
	return 0;
}

static int teardown(void **state)
{
	close(fd);
	test_server_end(&t);
	close(file);
	munmap(mem, SIZE);
	return 0;
}

static void test_dma(void **state)
{
	memset(mem, 0x5a, K4);
	/* two parts of a file, the wrong way round */
	assert_int_equal(client_map(fd, RAM, K4, 8 * K4, RW, file, &r), 0);
	assert_int_equal(client_map(fd, RAM + K4, K4, 0, VU_DMA_READABLE, file, &r), 0);
	assert_int_equal(client_dma(fd, RAM + K4, RAM, K4), DONE);
	assert_memory_equal(mem + 8 * K4, mem, K4);
	/* no right */
	assert_int_equal(client_dma(fd, RAM, RAM + K4, 4), LOST);
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), 0);
	assert_int_equal(client_dma(fd, RAM + K4, RAM, 4), LOST);
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), ENOENT);
}

static void test_bad_maps(void **state)
{
	struct vu_dma_map d = { .argsz = sizeof(d), .flags = RW, .addr = RAM, .size = K4 };
	int two[2] = { file, file };

	assert_int_equal(client_map(fd, RAM, 0, 0, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM + 1, K4, 0, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4 + 1, 0, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 1, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, -K4, 2 * K4, 0, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, 2 * K4, -K4, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, 1ull << 62, K4, 0, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, 0, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW | 16, file, &r), EINVAL);
	/* modes: with a descriptor, and one of them */
	assert_int_equal(client_map(fd, RAM, K4, 0, RW | VU_DMA_BY_MMAP, -1, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW | VU_DMA_BY_FILE, -1, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW | VU_DMA_BY_FILE | VU_DMA_BY_MMAP, file, &r),
			 EINVAL);
	assert_int_equal(client_call_fds(fd, VU_DMA_MAP, &d, sizeof(d), two, 2, &r), EINVAL);
	assert_int_equal(client_call_fds(fd, VU_DMA_MAP, &d, sizeof(d) - 1, two, 1, &r), EINVAL);
	d.argsz--;
	assert_int_equal(client_call_fds(fd, VU_DMA_MAP, &d, sizeof(d), two, 1, &r), EINVAL);
	/* the file is no longer than that */
	assert_int_equal(client_map(fd, RAM, 2 * K4, SIZE - K4, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 1ull << 62, RW, file, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW | VU_DMA_BY_MMAP, file, &r), 0);
}

static void test_overlaps(void **state)
{
	assert_int_equal(client_map(fd, RAM, 4 * K4, 0, RW, file, &r), 0);
	assert_int_equal(client_map(fd, RAM, 4 * K4, 0, RW, file, &r), EEXIST);
	assert_int_equal(client_map(fd, RAM + 3 * K4, 4 * K4, 0, RW, file, &r), EEXIST);
	assert_int_equal(client_map(fd, RAM - K4, 8 * K4, 0, RW, file, &r), EEXIST);
	assert_int_equal(client_map(fd, RAM + 4 * K4, K4, 0, RW, file, &r), 0);
}

static void test_unmaps(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(client_map(fd, RAM + 2 * i * K4, 2 * K4, 0, RW, file, &r), 0);
	/* none may be cut; whole ones may be several */
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM + K4, 3 * K4, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM - K4, 4 * K4, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM - K4, 5 * K4, 0, &r), 0);
	assert_int_equal(client_unmap(fd, RAM, 4 * K4, 0, &r), ENOENT);
	assert_int_equal(client_unmap(fd, RAM + 4 * K4, 0, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM + 4 * K4, 2 * K4 + 1, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM + 4 * K4, -K4, 0, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM + 4 * K4, 2 * K4, 8, &r), EINVAL);
	assert_int_equal(client_unmap(fd, RAM, K4, VU_UNMAP_ALL, &r), EINVAL);
	assert_int_equal(client_dma(fd, RAM + 4 * K4, RAM + 6 * K4, 8), DONE);
	assert_int_equal(client_unmap(fd, 0, 0, VU_UNMAP_ALL, &r), 0);
	assert_int_equal(client_dma(fd, RAM + 4 * K4, RAM + 6 * K4, 8), LOST);
	assert_int_equal(client_unmap(fd, 0, 0, VU_UNMAP_ALL, &r), 0);
}

static void test_too_many(void **state)
{
	static const char fewer[] = "{\"max_dma_maps\":3}";

	close(fd);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, fewer, &r), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(client_map(fd, RAM + i * K4, K4, 0, RW, file, &r), 0);
	assert_int_equal(client_map(fd, RAM + 3 * K4, K4, 0, RW, file, &r), ENOSPC);
	assert_int_equal(client_unmap(fd, RAM, K4, 0, &r), 0);
	assert_int_equal(client_map(fd, RAM + 3 * K4, K4, 0, RW, file, &r), 0);
}

/* ---- files ---- */

static void count(int ours, void *arg)
{
	++*(unsigned *)arg;
}

/* Many parts of a file are one mapping of this process and one descriptor. */
static void test_parts_share_a_file(void **state)
{
	unsigned before = 0, after = 0;

	assert_int_equal(client_map(fd, RAM, K4, 0, RW, file, &r), 0);
	fd_for_each_private(count, &before)
		;
	for (unsigned i = 1; i < 200; i++)
		assert_int_equal(client_map(fd, RAM + i * K4, K4, i * K4, RW, file, &r), 0);
	fd_for_each_private(count, &after)
		;
	assert_int_equal(before, after);
	assert_int_equal(client_unmap(fd, 0, 0, VU_UNMAP_ALL, &r), 0);
	after = 0;
	fd_for_each_private(count, &after)
		;
	assert_int_equal(before - 1, after);
}

static void test_file_that_grows(void **state)
{
	uint8_t *more;

	memset(mem, 0x11, SIZE);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW, file, &r), 0);
	assert_int_equal(ftruncate(file, 64 * HUGE_2M), 0);
	assert_int_equal(client_map(fd, RAM + K4, K4, 64 * HUGE_2M - K4, RW, file, &r), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, K4), DONE);
	more = mmap(NULL, K4, PROT_READ, MAP_SHARED, file, 64 * HUGE_2M - K4);
	assert_true(more != MAP_FAILED);
	assert_memory_equal(more, mem, K4);
	munmap(more, K4);
}

/* Memory that is cut off is a fault, and nothing worse. */
static void test_file_that_is_cut_off(void **state)
{
	assert_int_equal(client_map(fd, RAM, 4 * K4, 0, RW, file, &r), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, K4), DONE);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, K4), LOST);
	assert_int_equal(ftruncate(file, SIZE), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, K4), DONE);
}

static void test_rights_of_files(void **state)
{
	char name[64];
	int only;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	only = open(name, O_RDONLY | O_CLOEXEC);
	assert_true(only >= 0);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW, only, &r), EACCES);
	assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_READABLE, only, &r), 0);
	assert_int_equal(client_map(fd, RAM + K4, K4, K4, RW, file, &r), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, 8), DONE);
	close(only);
	only = open(name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(client_unmap(fd, 0, 0, VU_UNMAP_ALL, &r), 0);
	assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_WRITEABLE, only, &r), EACCES);
	close(only);
	/* sealed: it can be read by all, and written by those who had it mapped */
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	assert_int_equal(client_map(fd, RAM, K4, 0, RW, file, &r), EACCES);
	assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_READABLE, file, &r), 0);
	assert_int_equal(client_map(fd, RAM + K4, K4, 0, RW, file, &r), EACCES);
}

static void test_no_files_of_memory(void **state)
{
	int bad[] = { eventfd(0, EFD_CLOEXEC), open("/dev/zero", O_RDWR | O_CLOEXEC),
		      open("/proc/self/mem", O_RDWR | O_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC),
		      socket(AF_UNIX, SOCK_STREAM, 0) };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(bad[i] >= 0);
		assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_READABLE, bad[i], &r), EINVAL);
		close(bad[i]);
	}
}

/* An unmap tells what was written until then. */
static void test_unmap_dirty(void **state)
{
	struct {
		struct vu_dma_unmap d;
		struct vu_bitmap b;
		uint64_t bitmap;
	} m = { .d = { .argsz = sizeof(m),
		       .flags = VU_UNMAP_GET_DIRTY,
		       .addr = RAM,
		       .size = 32 * K4 },
		.b = { .pgsize = K4, .size = 8 } };
	const size_t len = sizeof(m.d) + sizeof(m.b);
	struct {
		struct vu_feature f;
		struct vu_log_start s;
		uint64_t range[2];
	} log = { { sizeof(log), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START },
		  { .page_size = K4, .num_ranges = 1 },
		  { RAM, 32 * K4 } };

	close(fd);
	test_server_end(&t);
	test_server_begin(&t, "testdev,migration=on");
	fd = client_new(&t);
	client_enable(fd);

	assert_int_equal(client_map(fd, RAM, 32 * K4, 0, RW, file, &r), 0);
	assert_int_equal(client_map(fd, RAM + 32 * K4, K4, 0, RW, file, &r), 0);
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, len, &r), EINVAL); /* it is off */
	assert_int_equal(client_call(fd, VU_DEVICE_FEATURE, &log, sizeof(log), &r), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + 3 * K4, 8), 2);
	/* no bitmap, no room for it, no such pages */
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, sizeof(m.d), &r), EINVAL);
	m.b.size = 7;
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, len, &r), EINVAL);
	m.b.size = 8;
	m.d.argsz--;
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, len, &r), EINVAL);
	m.d.argsz++;
	m.b.pgsize = 0;
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, len, &r), EINVAL);
	m.b.pgsize = K4;
	assert_int_equal(client_call(fd, VU_DMA_UNMAP, &m, len, &r), 0);
	assert_int_equal(r.len, sizeof(m));
	memcpy(&m, r.data, sizeof(m));
	assert_int_equal(m.d.size, 32 * K4);
	assert_int_equal(m.b.size, 8);
	assert_int_equal(m.bitmap, 1u << 3);
	assert_int_equal(client_unmap(fd, RAM, 32 * K4, 0, &r), ENOENT);
	assert_int_equal(client_unmap(fd, RAM + 32 * K4, K4, 0, &r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_maps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts_share_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights_of_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_files_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmap_dirty, setup, teardown),
	};

	return cmocka_run_group_tests_name("vfio_user server: memory", tests, NULL, NULL);
}
