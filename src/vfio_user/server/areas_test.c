/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/areas_test.c: regions that clients can map: which areas are offered, in what
 * form, and with which descriptors. The device is testdev, whose BAR0 has the areas of this test.
 */
#include <stddef.h>

#include "vfio_user/server/test_server.h"

#define BAR   0u
#define SIZE  (1u << 20)
#define MMAP  VFIO_REGION_INFO_FLAG_MMAP
#define CAPS  VFIO_REGION_INFO_FLAG_CAPS
#define PLAIN (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

static struct test_server t;
static struct reply r;
static int fd, file[2], never;
static uint8_t *mem[2];
static const struct vfio_device_ops *real_ops;
static struct vfio_device_ops ops;
/* as the server's threads read it, and not on the stack of a test */
static struct vfio_region region;
static struct vfio_region_area areas_now[8];

static int fake_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	if (index != BAR)
		return real_ops->region(dev, index, out);
	*out = region;
	return 0;
}

static bool area_open(struct vfio_device *dev, enum vfio_area_kind kind)
{
	return true;
}

static int setup(void **state)
{
	test_server_begin(&t, "testdev");
	/* what its threads read changes while there are none */
	vu_server_free(t.server);
	t.server = NULL;
	real_ops = t.cfg.dev->ops;
	ops = *real_ops;
	ops.region = fake_region;
	ops.area_open = NULL; /* memory is there at all times */
	t.cfg.dev->ops = &ops;
	for (unsigned i = 0; i < 2; i++) {
		file[i] = make_memory(SIZE, &mem[i]);
		mem[i][5 * K4] = (uint8_t)(0x50 + i);
	}
	never = eventfd(0, EFD_CLOEXEC);
	fd = -1;
	return 0;
}

static int teardown(void **state)
{
	close(fd);
	vu_server_free(t.server);
	t.server = NULL;
	t.cfg.dev->ops = real_ops;
	test_server_end(&t);
	for (unsigned i = 0; i < 2; i++) {
		close(file[i]);
		munmap(mem[i], SIZE);
	}
	close(never);
	return 0;
}

/* Let BAR0 be @bar, and a client with @caps come. */
static void begin_region(const struct vfio_region *bar, const char *caps)
{
	vu_server_free(t.server);
	region = *bar;
	assert_true(bar->num_areas <= ARRAY_SIZE(areas_now));
	for (unsigned i = 0; i < bar->num_areas; i++)
		areas_now[i] = bar->areas[i];
	region.areas = areas_now;
	assert_int_equal(test_start(&t), 0);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, caps, &r), 0);
}

/* Let BAR0 have these areas, and a client with @caps come. */
static void begin(const struct vfio_region_area *areas, unsigned n, const char *caps)
{
	const struct vfio_region bar = {
		.flags = PLAIN | MMAP, .size = SIZE, .areas = areas, .num_areas = n
	};

	begin_region(&bar, caps);
}

/* Ask for BAR0, with room for what there is. Return how much that is. */
static uint32_t ask(struct vfio_region_info *info)
{
	struct vfio_region_info m = { .argsz = sizeof(m), .index = BAR };
	uint32_t first;

	assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m), &r), 0);
	assert_int_equal(r.len, sizeof(m));
	memcpy(info, r.data, sizeof(*info));
	first = info->argsz;
	if (first == sizeof(m))
		return first;
	/* not all of it: no descriptors either */
	assert_int_equal(r.num_fds, 0);
	m.argsz = first;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m), &r), 0);
	assert_int_equal(r.len, first);
	memcpy(info, r.data, sizeof(*info));
	assert_int_equal(info->argsz, first);
	return first;
}

static void test_whole(void **state)
{
	const struct vfio_region_area areas[] = {
		{ .size = SIZE, .kind = VFIO_AREA_DIRECT, .fd = file[0] },
	};
	struct vfio_region_info info;
	uint8_t *p;

	begin(areas, 1, "{}");
	assert_int_equal(ask(&info), sizeof(info));
	assert_int_equal(info.flags, PLAIN | MMAP);
	assert_int_equal(r.num_fds, 1);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, r.fds[0], (off_t)info.offset);
	assert_true(p != MAP_FAILED);
	assert_int_equal(p[5 * K4], 0x50);
	munmap(p, SIZE);
	reply_close_fds(&r);
}

static void test_sparse(void **state)
{
	const struct vfio_region_area areas[] = {
		{ .size = 2 * K4, .kind = VFIO_AREA_TRAPPED },
		{ 2 * K4, K4, VFIO_AREA_DIRECT, file[0], 5 * K4, false },
		/* another file, another place in it: a region has one of each */
		{ 3 * K4, K4, VFIO_AREA_DIRECT, file[1], 6 * K4, false },
		{ 4 * K4, K4, VFIO_AREA_DIRECT, file[0], 9 * K4, false },
		{ 6 * K4, K4, VFIO_AREA_DIRECT, file[0], 9 * K4, false },
	};
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap cap;
		struct vfio_region_sparse_mmap_area areas[2];
	} got;
	uint8_t *p;

	begin(areas, 5, "{}");
	assert_int_equal(ask(&got.info), sizeof(got));
	memcpy(&got, r.data, sizeof(got));
	assert_int_equal(got.info.flags, PLAIN | MMAP | CAPS);
	assert_int_equal(got.info.cap_offset, sizeof(got.info));
	assert_int_equal(got.cap.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(got.cap.nr_areas, 2);
	assert_int_equal(got.areas[0].offset, 2 * K4);
	assert_int_equal(got.areas[1].offset, 6 * K4);
	assert_int_equal(r.num_fds, 1);
	p = mmap(NULL, K4, PROT_READ, MAP_SHARED, r.fds[0],
		 (off_t)(got.info.offset + got.areas[0].offset));
	assert_true(p != MAP_FAILED);
	assert_int_equal(*p, 0x50);
	munmap(p, K4);
	reply_close_fds(&r);
}

static void test_several_files(void **state)
{
	const struct vfio_region_area areas[] = {
		{ 2 * K4, K4, VFIO_AREA_DIRECT, file[0], 5 * K4, false },
		{ 3 * K4, K4, VFIO_AREA_DIRECT, file[1], 5 * K4, false },
		{ 4 * K4, K4, VFIO_AREA_DIRECT, file[0], 0, false },
	};
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap cap;
		struct vu_sparse_fd_area areas[3];
	} got;
	uint8_t *p;

	begin(areas, 3, "{\"sparse_mmap_fds\":true,\"max_msg_fds\":2}");
	assert_non_null(strstr((char *)r.data + 4, "\"sparse_mmap_fds\":true"));
	assert_int_equal(ask(&got.info), sizeof(got));
	memcpy(&got, r.data, sizeof(got));
	assert_int_equal(got.cap.header.id, VU_REGION_INFO_CAP_SPARSE_MMAP_FDS);
	assert_int_equal(got.cap.nr_areas, 3);
	assert_int_equal(r.num_fds, 2);
	assert_int_equal(got.areas[2].fd_index, got.areas[0].fd_index);
	assert_int_equal(got.areas[2].offset, 4 * K4);
	p = mmap(NULL, K4, PROT_READ, MAP_SHARED, r.fds[got.areas[1].fd_index],
		 (off_t)got.areas[1].fd_offset);
	assert_true(p != MAP_FAILED);
	assert_int_equal(*p, 0x51);
	munmap(p, K4);
	reply_close_fds(&r);
	close(fd);
	/* who takes one descriptor gets what is of one file */
	begin(areas, 3, "{\"sparse_mmap_fds\":true}");
	assert_int_equal(ask(&got.info), sizeof(got) - sizeof(got.areas[0]));
	assert_int_equal(r.num_fds, 1);
	reply_close_fds(&r);
}

/* What comes and goes is not offered, nor what is no memory. */
static void test_not_offered(void **state)
{
	const struct vfio_region_area areas[] = {
		{ .size = K4, .kind = VFIO_AREA_POLLED, .fd = file[0] },
		{ K4, K4, VFIO_AREA_DIRECT, never, K4, false },
		/* it would begin before the file does */
		{ 2 * K4, K4, VFIO_AREA_DIRECT, file[0], 0, false },
	};
	const struct vfio_region_area direct[] = {
		{ .size = SIZE, .kind = VFIO_AREA_DIRECT, .fd = file[0] },
	};
	struct vfio_region_info info;

	begin(areas, 3, "{}");
	assert_int_equal(ask(&info), sizeof(info));
	assert_int_equal(info.flags, PLAIN);
	assert_int_equal(r.num_fds, 0);
	close(fd);
	begin(NULL, 0, "{}");
	assert_int_equal(ask(&info), sizeof(info));
	assert_int_equal(info.flags, PLAIN);
	close(fd);
	vu_server_free(t.server);
	t.server = NULL;
	ops.area_open = area_open;
	begin(direct, 1, "{}");
	assert_int_equal(ask(&info), sizeof(info));
	assert_int_equal(info.flags, PLAIN);
}

/* With mmap=shared memory that comes and goes is, and what a device polls. */
static void test_shared(void **state)
{
	const struct vfio_region_area areas[] = {
		{ K4, K4, VFIO_AREA_POLLED, file[0], 5 * K4, true },
		{ 2 * K4, K4, VFIO_AREA_DIRECT, file[0], 6 * K4, true },
		{ .offset = 3 * K4, .size = K4, .kind = VFIO_AREA_TRAPPED, .fd = -1 },
	};
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap cap;
		struct vfio_region_sparse_mmap_area areas[2];
	} got;
	uint8_t *p;

	ops.area_open = area_open;
	begin(areas, 3, "{}");
	assert_int_equal(ask(&got.info), sizeof(got));
	memcpy(&got, r.data, sizeof(got));
	assert_int_equal(got.info.flags, PLAIN | MMAP | CAPS);
	assert_int_equal(got.cap.nr_areas, 2);
	assert_int_equal(r.num_fds, 1);
	p = mmap(NULL, K4, PROT_READ | PROT_WRITE, MAP_SHARED, r.fds[0],
		 (off_t)(got.info.offset + got.areas[0].offset));
	assert_true(p != MAP_FAILED);
	assert_int_equal(*p, 0x50);
	munmap(p, K4);
	reply_close_fds(&r);
}

/* Other capabilities follow in the chain. */
static void test_chain(void **state)
{
	const struct vfio_region_area areas[] = {
		{ .size = K4, .kind = VFIO_AREA_DIRECT, .fd = file[0] },
	};
	const struct vfio_region bar = { .flags = PLAIN | MMAP,
					 .size = SIZE,
					 .areas = areas,
					 .num_areas = 1,
					 .msix_mappable = true,
					 .type = 0x80001234,
					 .subtype = 5 };
	struct vfio_info_cap_header h = { 0 };
	struct vfio_region_info info;
	static const unsigned ids[] = { VFIO_REGION_INFO_CAP_SPARSE_MMAP,
					VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					VFIO_REGION_INFO_CAP_TYPE };

	begin_region(&bar, "{}");
	ask(&info);
	h.next = info.cap_offset;
	for (unsigned i = 0; i < 3; i++) {
		assert_in_range(h.next, sizeof(info), r.len - sizeof(h));
		memcpy(&h, r.data + h.next, sizeof(h));
		assert_int_equal(h.id, ids[i]);
	}
	assert_int_equal(h.next, 0);
	reply_close_fds(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
	};

	return cmocka_run_group_tests_name("vfio_user server: mappable areas", tests, NULL, NULL);
}
