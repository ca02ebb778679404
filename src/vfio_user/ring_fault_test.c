/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/ring_fault_test.c: what fails while a ring is made leaves nothing behind. */
#include "base/test_fault.h"
/* behind it */
#include "base/test_count.h"
#include "vfio_user/ring.h"
#include "vfio_user/test_conn.h"

static int access_nothing(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
			  bool write)
{
	return 0;
}

static int set_nothing(void *arg, const struct vu_set_irqs *set, const uint8_t *data)
{
	return 0;
}

static void broken(void *arg, int error)
{
}

static const struct vu_ring_ops ops = { access_nothing, set_nothing, broken };

static void test_server(void **state)
{
	unsigned maps = test_count_file_mappings();

	fault_about = "a server's ring";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		unsigned before = fault_fds();
		struct vu_ring_server *r = NULL;
		struct vu_ring_info info;
		int fd = -1, rc;

		fault_begin(&l);
		rc = vu_ring_server_new(&ops, NULL, "test", &info, &fd, &r);
		fault_end(&l, rc);
		vu_ring_server_free(r);
		fd_close_private(fd);
		assert_int_equal(fault_fds(), before);
		assert_int_equal(test_count_file_mappings(), maps);
	}
}

static void test_client(void **state)
{
	struct vu_ring_server *s;
	struct vu_ring_info info;
	struct vu_conn *c;
	int fd, peer;
	unsigned maps;
	uint64_t v;

	assert_int_equal(vu_ring_server_new(&ops, NULL, "test", &info, &fd, &s), 0);
	maps = test_count_file_mappings();
	c = make_raw(&peer);
	fault_about = "a client's ring";
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		struct vu_ring *r = NULL;
		int rc;

		fault_begin(&l);
		rc = vu_ring_new(c, &info, fd, SECOND, &r);
		fault_end(&l, rc);
		vu_ring_free(r);
		assert_int_equal(test_count_file_mappings(), maps);
	}
	/* once it is there an access needs nothing that could fail */
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		struct vu_ring *r;
		int rc;

		assert_int_equal(vu_ring_new(c, &info, fd, 60 * SECOND, &r), 0);
		fault_begin(&l);
		rc = vu_ring_access(r, 0, 0, &v, 8, false, false);
		fault_end(&l, rc == VU_RING_BUSY ? 0 : rc);
		assert_true(l.done);
		vu_ring_free(r);
	}
	vu_ring_server_free(s);
	fd_close_private(fd);
	vu_conn_free(c);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_server),
					    cmocka_unit_test(test_client) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
