/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/fault_test.c: a server and a client's files when memory and descriptors run out:
 * the first one fails, the second, ... What is refused leaves nothing behind, and works afterwards.
 * The threads of a server are not refused anything; what they do for a client is called here.
 */
#include "base/test_fault.h"
#include "vfio_user/server/internal.h"
#include "vfio_user/server/test_server.h"

static void test_server(void **state)
{
	struct test_server t;

	test_server_begin(&t, "testdev");
	vu_server_free(t.server);
	fault_about = "vu_server_new";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned fds = fault_fds();
		struct vu_server *s = NULL;
		int fd = dup(t.fd), rc;

		assert_true(fd >= 0);
		fault_begin(&l);
		rc = vu_server_new(&t.cfg, fd, &s);
		fault_end(&l, rc);
		if (!rc)
			vu_server_free(s);
		assert_int_equal(fcntl(fd, F_GETFD), -1);
		assert_int_equal(fault_fds(), fds);
	}
	assert_int_equal(test_start(&t), 0);
	close(client_new(&t));
	test_server_end(&t);
}

static void test_files(void **state)
{
	struct vu_server s = { .cfg.limits = { .max_files = 10, .max_mapped = 1u << 20 } };
	struct vu_server_client c = { .name = "client", .s = &s };
	struct iommu_target *target;
	struct dma_place place;
	struct dma_file *f;
	uint8_t *mem;
	int file = make_memory(K4, &mem);

	fault_about = "files";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned fds = fault_fds();
		int a = dup(file), b = dup(file), rc;

		fault_begin(&l);
		rc = vu_file_map(&c, a, 0, K4, true, &place);
		if (rc) {
			close(b);
			fault_end(&l, rc);
		} else {
			rc = vu_file_direct(&c, b, IOMMU_READ, &f, &target);
			fault_end(&l, rc);
			vu_file_put(&c, place.view);
		}
		if (!rc)
			vu_file_direct_put(&c, f);
		assert_int_equal(fault_fds(), fds);
		assert_int_equal(c.num_files + c.num_views, 0);
		assert_null(c.files.root);
	}
	close(file);
	munmap(mem, K4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests_name("vfio_user server: faults", tests, NULL, NULL);
}
