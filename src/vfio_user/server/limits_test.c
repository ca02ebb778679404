/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/limits_test.c: what a client can have of the server at most, and who says so. */
#include "base/report.h"
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

/* Eventfds of vectors: counted as they come, are replaced and go, of all kinds of interrupt. */
static int set_vectors(int fd, uint32_t index, uint32_t start, uint32_t count, unsigned num_fds)
{
	const struct vu_set_irqs set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = index,
		.start = start,
		.count = count,
	};
	int fds[16], rc;

	for (unsigned i = 0; i < num_fds; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	rc = client_call_fds(fd, VU_DEVICE_SET_IRQS, &set, sizeof(set), fds, num_fds, &r);
	for (unsigned i = 0; i < num_fds; i++)
		close(fds[i]);
	return rc;
}

static void test_eventfds(void **state)
{
	const uint32_t msix = VFIO_PCI_MSIX_IRQ_INDEX;
	int fd = client_with("eventfds", 4);

	assert_int_equal(set_vectors(fd, msix, 0, 5, 5), ENOSPC);
	assert_int_equal(set_vectors(fd, msix, 0, 3, 3), 0);
	assert_int_equal(set_vectors(fd, msix, 0, 3, 3), 0); /* in their place */
	assert_int_equal(set_vectors(fd, msix, 2, 3, 3), ENOSPC);
	assert_int_equal(set_vectors(fd, msix, 2, 2, 2), 0);
	assert_int_equal(set_vectors(fd, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, 1), ENOSPC);
	/* none takes one away */
	assert_int_equal(set_vectors(fd, msix, 1, 1, 0), 0);
	assert_int_equal(set_vectors(fd, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, 1), 0);
	assert_int_equal(set_vectors(fd, msix, 1, 1, 1), ENOSPC);
	assert_int_equal(set_vectors(fd, msix, 0, 0, 0), 0);
	assert_int_equal(set_vectors(fd, msix, 0, 3, 3), 0);
	assert_int_equal(set_vectors(fd, msix, 3, 1, 1), ENOSPC);
	/* a client that comes next has none */
	close(fd);
	fd = client_new(&t);
	assert_int_equal(set_vectors(fd, msix, 0, 4, 4), 0);
	end(fd);
}

/* Ask for a feature, with what is wanted of the reply behind it. */
static int feature(int fd, uint32_t flags, const void *data, size_t len)
{
	uint8_t m[256];
	const struct vu_feature head = { 4096, flags };

	memcpy(m, &head, sizeof(head));
	memcpy(m + sizeof(head), data, len);
	return client_call(fd, VU_DEVICE_FEATURE, m, sizeof(head) + len, &r);
}

static int go(int fd, uint32_t state)
{
	const uint32_t m[2] = { state };

	return feature(fd, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, m,
		       sizeof(m));
}

static int write_state(int fd, const void *p, uint32_t size)
{
	static uint8_t m[8 + MAX_DATA];
	const struct vu_mig_data head = { (uint32_t)sizeof(head) + size, size };

	memcpy(m, &head, sizeof(head));
	memcpy(m + sizeof(head), p, size);
	return client_call(fd, VU_MIG_DATA_WRITE, m, sizeof(head) + size, &r);
}

/* Read all of a state. Return its length, or the error as a negative number. */
static int read_state(int fd, uint8_t *all)
{
	struct vu_mig_data head = { sizeof(head) + 60000, 60000 };
	int len = 0, rc;

	do {
		head = (struct vu_mig_data){ sizeof(head) + 60000, 60000 };
		rc = client_call(fd, VU_MIG_DATA_READ, &head, sizeof(head), &r);
		if (rc)
			return -rc;
		memcpy(&head, r.data, sizeof(head));
		memcpy(all + len, r.data + sizeof(head), head.size);
		len += (int)head.size;
	} while (head.size == 60000);
	return len;
}

/* A state that is more than the server keeps: it cannot be saved, nor can it come. */
static void test_migration(void **state)
{
	static uint8_t all[1 << 19];
	int fd, len;

	test_server_begin(&t, "testdev,migration=on");
	fd = client_new(&t);
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_STOP_COPY), 0);
	len = read_state(fd, all);
	assert_true(len > 65536);
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_RUNNING), 0);
	close(fd);
	vu_server_free(t.server);
	assert_int_equal(vu_server_limit(&t.cfg.limits, "migration", 8192), 0);
	assert_int_equal(test_start(&t), 0);
	fd = client_new(&t);
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_STOP_COPY), ENOSPC);
	/* and the device goes on */
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_RUNNING), 0);
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_RESUMING), 0);
	for (int done = 0, n; done < len; done += n) {
		n = len - done < 60000 ? len - done : 60000;
		assert_int_equal(write_state(fd, all + done, (uint32_t)n), done ? ENODEV : ENOSPC);
	}
	assert_int_equal(go(fd, VFIO_DEVICE_STATE_STOP), EINVAL);
	end(fd);
}

/* With less memory for its bits, the log notes larger pages. */
static void test_dirty_log(void **state)
{
	struct {
		struct vu_log_start start;
		struct vfio_device_feature_dma_logging_range range;
	} s = { { 4096, 1, 0 }, { 0, 1ull << 48 } };
	struct vu_log_report q = { RAM, 16 * K4, 4096 };
	uint64_t page, bits;
	uint8_t *mem;
	int fd, file = make_memory(16 * K4, &mem);

	test_server_begin(&t, "testdev,migration=on");
	vu_server_free(t.server);
	assert_int_equal(vu_server_limit(&t.cfg.limits, "dirty-log", 4096), 0);
	assert_int_equal(test_start(&t), 0);
	fd = client_new(&t);
	client_enable(fd);
	assert_int_equal(client_map(fd, RAM, 16 * K4, 0, RIGHTS, file, &r), 0);
	assert_int_equal(feature(fd,
				 VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
				 &s, sizeof(s)),
			 0);
	memcpy(&page, r.data + sizeof(struct vu_feature), sizeof(page));
	assert_true(page == 1ull << (48 - 15));
	assert_int_equal(client_dma(fd, RAM, RAM + 5 * K4, 1), TD_DMA_OK);
	assert_int_equal(feature(fd,
				 VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
				 &q, sizeof(q)),
			 0);
	memcpy(&bits, r.data + sizeof(struct vu_feature) + sizeof(q), sizeof(bits));
	assert_int_equal(bits, 0xffff);
	munmap(mem, 16 * K4);
	close(file);
	end(fd);
}

/* ---- lines in the log ---- */

static atomic_uint lines, dropped;

static void on_report(const struct report *rep, void *arg)
{
	if (!strcmp(rep->code->name, "serve-connected"))
		atomic_fetch_add(rep->limited ? &dropped : &lines, 1);
}

/* Clients that come and go, or send what is no message, write so many lines a second, not more. */
static void test_lines(void **state)
{
	static struct report_subscriber s = { .fn = on_report, .level = LOG_INFO };
	const unsigned n = 10 * REPORT_LIMIT;
	uint64_t from = now_ns();
	int fd;

	test_server_begin(&t, "testdev");
	report_subscribe(&s);
	for (unsigned i = 0; i < n; i++) {
		fd = client_connect(&t);
		if (i % 2)
			assert_int_equal(send(fd, "no message of the protocol", 26, MSG_NOSIGNAL),
					 26);
		close(fd);
		test_await(&t, VU_SERVER_REFUSED);
	}
	test_server_end(&t);
	report_unsubscribe(&s);
	assert_int_equal(atomic_load(&lines) + atomic_load(&dropped), n);
	assert_true(atomic_load(&lines) <= REPORT_LIMIT * (2 + (now_ns() - from) / 1000000000));
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
	assert_int_equal(vu_server_limit(&l, "memory", UINT64_MAX / 8 + 1), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "memory", UINT64_MAX / 8), 0);
	assert_int_equal(vu_server_limit(&l, "migration", 4095), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "dirty-log", 4095), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "eventfds", 0), -ERANGE);
	assert_int_equal(vu_server_limit(&l, "queue", 7), 0);
	assert_int_equal(l.max_queued, 7);
	assert_true(l.max_mapped == UINT64_MAX / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_memory),
		cmocka_unit_test(test_maps),	  cmocka_unit_test(test_eventfds),
		cmocka_unit_test(test_migration), cmocka_unit_test(test_dirty_log),
		cmocka_unit_test(test_lines),	  cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
