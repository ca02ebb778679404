/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/feature_test.c: migration of a served device, by bytes on the socket: features
 * in the kernel's order of errors, a state that leaves and comes, and the log of DMA writes.
 */
#include "vfio_user/server/test_server.h"

#define FEATURE(op, nr) (VFIO_DEVICE_FEATURE_##op | (nr))
#define STATE		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
#define RW		(VU_DMA_READABLE | VU_DMA_WRITEABLE)

static struct test_server t;
static struct reply r;
static int fd;

static int setup(void **state)
{
	test_server_begin(&t, "testdev,migration=on");
	fd = client_new(&t);
	client_enable(fd);
	return 0;
}

static int setup_without(void **state)
{
	test_server_begin(&t, "testdev");
	fd = client_new(&t);
	return 0;
}

static int teardown(void **state)
{
	close(fd);
	test_server_end(&t);
	return 0;
}

/* Ask for a feature with @len bytes and room for @room. Return the error; r.data is the reply. */
static int feature(uint32_t flags, const void *data, size_t len, size_t room)
{
	static uint8_t m[8192];
	const struct vu_feature head = { (uint32_t)(sizeof(head) + (room > len ? room : len)),
					 flags };

	memcpy(m, &head, sizeof(head));
	if (len)
		memcpy(m + sizeof(head), data, len);
	return client_call(fd, VU_DEVICE_FEATURE, m, sizeof(head) + len, &r);
}

/* Return the number at @at of the reply's data. */
static uint64_t number(size_t at, size_t size)
{
	uint64_t v = 0;

	assert_true(r.len >= sizeof(struct vu_feature) + at + size);
	memcpy(&v, r.data + sizeof(struct vu_feature) + at, size);
	return v;
}

static int go(uint32_t state)
{
	const uint32_t m[2] = { state };

	return feature(FEATURE(SET, STATE), m, sizeof(m), 0);
}

static uint32_t now(void)
{
	assert_int_equal(feature(FEATURE(GET, STATE), NULL, 0, 8), 0);
	return (uint32_t)number(0, 4);
}

/* Read up to @size bytes. Return the error; *@n: how many they were, in r.data + 8. */
static int read_data(uint32_t size, uint32_t *n)
{
	struct vu_mig_data head = { (uint32_t)sizeof(head) + size, size };
	int ret = client_call(fd, VU_MIG_DATA_READ, &head, sizeof(head), &r);

	if (!ret) {
		memcpy(&head, r.data, sizeof(head));
		assert_int_equal(r.len, sizeof(head) + head.size);
		assert_int_equal(head.argsz, r.len);
		*n = head.size;
	}
	return ret;
}

static int write_data(const void *p, uint32_t size)
{
	static uint8_t m[8 + MAX_DATA];
	struct vu_mig_data head = { (uint32_t)sizeof(head) + size, size };

	memcpy(m, &head, sizeof(head));
	memcpy(m + sizeof(head), p, size);
	return client_call(fd, VU_MIG_DATA_WRITE, m, sizeof(head) + size, &r);
}

static void test_features(void **state)
{
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE;

	assert_int_equal(feature(FEATURE(GET, VFIO_DEVICE_FEATURE_MIGRATION), NULL, 0, 8), 0);
	assert_int_equal(number(0, 8), 7);
	assert_int_equal(feature(probe | FEATURE(GET, STATE), NULL, 0, 0), 0);
	assert_int_equal(feature(probe | FEATURE(SET, STATE) | VFIO_DEVICE_FEATURE_GET, NULL, 0, 0),
			 0);
	assert_int_equal(feature(probe | FEATURE(SET, VFIO_DEVICE_FEATURE_MIGRATION), NULL, 0, 0),
			 EINVAL);
	assert_int_equal(feature(FEATURE(SET, STATE) | VFIO_DEVICE_FEATURE_GET, NULL, 0, 0),
			 EINVAL);
	assert_int_equal(feature(STATE, NULL, 0, 0), EINVAL);
	assert_int_equal(feature(FEATURE(SET, STATE), "1234", 4, 0), EINVAL);
	assert_int_equal(feature(FEATURE(GET, STATE) | 1u << 20, NULL, 0, 0), EINVAL);
	assert_int_equal(feature(FEATURE(GET, 4711), NULL, 0, 0), ENOTTY);
	assert_int_equal(client_call(fd, VU_DEVICE_FEATURE, "1234", 4, &r), EINVAL);
	assert_int_equal(feature(FEATURE(GET, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE), NULL, 0, 8), 0);
	assert_true(number(0, 8) > 65536); /* testdev's memory */
	assert_int_equal(go(4711), EINVAL);
	assert_int_equal(now(), VFIO_DEVICE_STATE_RUNNING);
}

static void test_without(void **state)
{
	uint32_t n;

	assert_int_equal(feature(FEATURE(GET, VFIO_DEVICE_FEATURE_MIGRATION), NULL, 0, 8), ENOTTY);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP), ENOTTY);
	assert_int_equal(feature(FEATURE(SET, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP), NULL, 0, 0),
			 ENOTTY);
	assert_int_equal(read_data(10, &n), EINVAL);
	assert_int_equal(write_data("x", 1), EINVAL);
}

/* A device goes away and comes back, by a client that is gone meanwhile. */
static void test_moves(void **state)
{
	static uint8_t all[1 << 18];
	uint32_t n = 1, len = 0;

	client_put(fd, REGS, TD_SCRATCH32, 0x12345678, 4);
	client_put(fd, 0, 0x8000, 0xabcd, 4);
	assert_int_equal(read_data(1, &n), EINVAL);
	assert_int_equal(go(VFIO_DEVICE_STATE_PRE_COPY), 0);
	assert_int_equal(now(), VFIO_DEVICE_STATE_PRE_COPY);
	assert_int_equal(feature(FEATURE(GET, VU_FEATURE_PRECOPY_INFO), NULL, 0, 24), 0);
	assert_true(number(8, 8) > 65536);
	assert_int_equal(feature(FEATURE(SET, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2), NULL, 0, 0),
			 0);
	assert_int_equal(write_data("x", 1), EINVAL);
	/* less than was asked for is all there is, for now */
	for (n = 60000; n == 60000; len += n) {
		assert_int_equal(read_data(60000, &n), 0);
		memcpy(all + len, r.data + 8, n);
	}
	client_put(fd, 0, 0x9000, 0xef, 4);
	assert_int_equal(read_data(MAX_DATA + 1, &n), EINVAL);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP_COPY), 0);
	do {
		assert_int_equal(read_data(1000, &n), 0);
		memcpy(all + len, r.data + 8, n);
		len += n;
	} while (n == 1000);
	assert_int_equal(read_data(1000, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP), 0);
	assert_int_equal(read_data(1000, &n), ENODEV);
	close(fd);

	/* there it is a device as new, until its state comes */
	fd = client_new(&t);
	client_enable(fd);
	assert_int_equal(now(), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0);
	assert_int_equal(go(VFIO_DEVICE_STATE_RESUMING), 0);
	assert_int_equal(read_data(1, &n), EINVAL);
	assert_int_equal(go(VFIO_DEVICE_STATE_RUNNING), EINVAL);
	assert_int_equal(now(), VFIO_DEVICE_STATE_RESUMING);
	for (uint32_t done = 0; done < len; done += n) {
		n = len - done < 50000 ? len - done : 50000;
		assert_int_equal(write_data(all + done, n), 0);
	}
	assert_int_equal(go(VFIO_DEVICE_STATE_RUNNING), 0);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0x12345678);
	assert_int_equal(client_get(fd, 0, 0x8000), 0xabcd);
	assert_int_equal(client_get(fd, 0, 0x9000), 0xef);
	/* what is none is refused */
	assert_int_equal(go(VFIO_DEVICE_STATE_RESUMING), 0);
	assert_int_equal(write_data("no stream of such a device", 26), EINVAL);
	assert_int_equal(write_data(all, 100), ENODEV);
	/* and a client that goes in the middle of it leaves nothing behind */
	close(fd);
	fd = client_new(&t);
	assert_int_equal(now(), VFIO_DEVICE_STATE_RUNNING);
}

static void test_log(void **state)
{
	struct {
		struct vu_log_start start;
		struct vfio_device_feature_dma_logging_range range;
	} s = { { 4096, 1, 0 }, { RAM, 128 * K4 } };
	struct vu_log_report q = { RAM, 128 * K4, 4096 };
	const uint32_t report = FEATURE(GET, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT),
		       start = FEATURE(SET, VFIO_DEVICE_FEATURE_DMA_LOGGING_START);
	uint8_t *mem;
	int file = make_memory(256 * K4, &mem);

	assert_int_equal(client_map(fd, RAM, 256 * K4, 0, RW, file, &r), 0);
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 16), EINVAL);
	assert_int_equal(feature(start, &s.start, sizeof(s.start) - 1, 0), EINVAL);
	assert_int_equal(feature(start, &s.start, sizeof(s.start), 0), EINVAL);
	s.start.num_ranges = 257;
	assert_int_equal(feature(start, &s, sizeof(s), 0), E2BIG);
	/* none: all writes, in larger pages */
	s.start.num_ranges = 0;
	assert_int_equal(feature(start, &s, sizeof(s.start), 0), 0);
	assert_true(number(0, 8) > 4096);
	assert_int_equal(feature(FEATURE(SET, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP), NULL, 0, 0),
			 0);
	s.start.num_ranges = 1;
	assert_int_equal(feature(start, &s, sizeof(s), 0), 0);
	assert_int_equal(number(0, 8), 4096);
	assert_int_equal(feature(start, &s, sizeof(s), 0), EINVAL);
	assert_int_equal(client_dma(fd, RAM, RAM + 5 * K4, 2 * K4), TD_DMA_OK);
	assert_int_equal(client_dma(fd, RAM, RAM + 70 * K4, 1), TD_DMA_OK);
	assert_int_equal(client_dma(fd, RAM, RAM + 200 * K4, 1), TD_DMA_OK);
	/* no room for the bitmap; no page size */
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 8), EINVAL);
	q.page_size = 100;
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 16), EINVAL);
	q.page_size = 4096;
	q.length = 1ull << 50;
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 16), E2BIG);
	q.length = 128 * K4;
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 16), 0);
	assert_int_equal(number(0, 8), RAM);
	assert_int_equal(number(24, 8), 0x60);
	assert_int_equal(number(32, 8), 0x40);
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 16), 0);
	assert_int_equal(number(24, 8) | number(32, 8), 0);
	/* of any part of the ranges */
	assert_int_equal(client_dma(fd, RAM, RAM + 70 * K4, 1), TD_DMA_OK);
	q = (struct vu_log_report){ RAM + 69 * K4, 2 * K4, 4096 };
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 8), 0);
	assert_int_equal(number(24, 8), 2);
	assert_int_equal(feature(FEATURE(SET, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP), NULL, 0, 0),
			 0);
	assert_int_equal(feature(report, &q, sizeof(q), sizeof(q) + 8), EINVAL);
	close(file);
	munmap(mem, 256 * K4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without, setup_without, teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
