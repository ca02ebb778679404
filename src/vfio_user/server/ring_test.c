/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/ring_test.c: a client with a ring: that it has one only if it asked, what it can
 * do there, and that it harms nobody but itself.
 */
#include <linux/vfio.h>

#include "vfio_user/ring_memory.h"
#include "vfio_user/server/test_server.h"

static struct test_server t;
static struct reply r;

/* A client with a ring. */
struct client {
	int fd;
	struct vu_conn *conn; /* a duplicate of it */
	struct vu_ring_info info;
	int memory;
	struct vu_ring *ring;
};

static void client_begin(struct client *k)
{
	const struct vu_ring_info none = { 0 };

	k->fd = client_connect(&t);
	assert_int_equal(
		client_version(k->fd, "{\"max_msg_fds\":16,\"uvfio\":{\"ring\":true}}", &r), 0);
	assert_non_null(
		strstr((char *)r.data + sizeof(struct vu_version), "\"uvfio\":{\"ring\":true}"));
	assert_int_equal(client_call(k->fd, VU_UVFIO_RING, &none, sizeof(none), &r), 0);
	assert_int_equal(r.len, sizeof(k->info));
	assert_int_equal(r.num_fds, 1);
	memcpy(&k->info, r.data, sizeof(k->info));
	k->memory = r.fds[0];
	k->conn = make_conn(dup(k->fd));
	assert_int_equal(vu_ring_new(k->conn, &k->info, k->memory, 60 * SECOND, &k->ring), 0);
}

static void client_end(struct client *k)
{
	vu_ring_free(k->ring);
	vu_conn_free(k->conn);
	close(k->memory);
	close(k->fd);
}

/* An access by the ring, also where the machine is so busy that the socket would be faster. */
static int ring_access(struct client *k, uint32_t region, uint64_t offset, void *buf,
		       uint32_t count, bool write, bool post)
{
	int rc;

	do
		rc = vu_ring_access(k->ring, region, offset, buf, count, write, post);
	while (rc == VU_RING_BUSY);
	return rc;
}

static int ring_irqs(struct client *k, const struct vu_set_irqs *set, const uint8_t *data)
{
	int rc;

	do
		rc = vu_ring_set_irqs(k->ring, set, data);
	while (rc == VU_RING_BUSY);
	return rc;
}

static int setup(void **state)
{
	test_server_begin(&t, "testdev");
	return 0;
}

static int teardown(void **state)
{
	test_server_end(&t);
	return 0;
}

static void test_who_asked(void **state)
{
	const struct vu_ring_info none = { 0 };
	struct client k;
	int fd = client_new(&t);

	assert_null(strstr((char *)r.data, "uvfio"));
	assert_int_equal(client_call(fd, VU_UVFIO_RING, &none, sizeof(none), &r), ENOSYS);
	close(fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	client_begin(&k);
	assert_int_equal(client_call(k.fd, VU_UVFIO_RING, &none, sizeof(none), &r), EBUSY);
	assert_int_equal(client_call(k.fd, VU_UVFIO_RING, &none, 8, &r), EINVAL);
	client_end(&k);
}

static void test_registers(void **state)
{
	struct client k;
	uint64_t v = 0;

	client_begin(&k);
	/* it does not decode: as by the socket */
	assert_int_equal(ring_access(&k, CONFIG, PCI_COMMAND, &v, 2, true, true), 0);
	assert_int_equal(vu_ring_flush(k.ring), 0);
	assert_int_equal(client_read(k.fd, REGS, TD_SCRATCH32, &v, 4, &r), EIO);
	assert_int_equal(ring_access(&k, REGS, TD_SCRATCH32, &v, 4, false, false), -EIO);
	v = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	assert_int_equal(ring_access(&k, CONFIG, PCI_COMMAND, &v, 2, true, true), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(ring_access(&k, REGS, TD_SCRATCH32, &i, 4, true, i % 2), 0);
		v = 0;
		assert_int_equal(ring_access(&k, REGS, TD_SCRATCH32, &v, 4, false, false), 0);
		assert_int_equal(v, i);
	}
	assert_int_equal(client_get(k.fd, REGS, TD_SCRATCH32), 999);
	client_put(k.fd, REGS, TD_SCRATCH32, 5, 4);
	assert_int_equal(ring_access(&k, REGS, TD_SCRATCH32, &v, 4, false, false), 0);
	assert_int_equal(v, 5);
	/* outside */
	assert_int_equal(ring_access(&k, 99, 0, &v, 4, false, false), -EINVAL);
	assert_int_equal(ring_access(&k, CONFIG, 4094, &v, 4, false, false), -EINVAL);
	assert_int_equal(ring_access(&k, CONFIG, UINT64_MAX, &v, 4, false, false), -EINVAL);
	client_end(&k);
}

static void test_interrupts(void **state)
{
	struct {
		struct vu_set_irqs set;
	} m = { { .argsz = sizeof(m),
		  .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		  .index = VFIO_PCI_MSIX_IRQ_INDEX,
		  .count = 2 } };
	int e[2] = { eventfd(0, 0), eventfd(0, 0) };
	uint8_t bools[2] = { 0, 1 };
	struct client k;

	client_begin(&k);
	assert_int_equal(ring_irqs(&k, &m.set, NULL), -EINVAL);
	assert_int_equal(client_call_fds(k.fd, VU_DEVICE_SET_IRQS, &m, sizeof(m), e, 2, &r), 0);
	m.set.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	assert_int_equal(ring_irqs(&k, &m.set, NULL), 0);
	m.set.flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER;
	assert_int_equal(ring_irqs(&k, &m.set, bools), 0);
	assert_int_equal(eventfd_count(e[0], true), 1);
	assert_int_equal(eventfd_count(e[1], true), 2);
	m.set.start = UINT32_MAX;
	assert_int_equal(ring_irqs(&k, &m.set, bools), -EINVAL);
	client_end(&k);
	close(e[0]);
	close(e[1]);
}

/* One that scribbles, and one that wakes the server for nothing; the next client finds it well. */
static void test_hostile(void **state)
{
	struct vu_ring_memory *m;
	unsigned seed = 7, n = sizeof(*m) / sizeof(uint32_t);
	_Atomic uint32_t *words;
	struct client k;
	uint64_t v;

	client_begin(&k);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, k.memory, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	words = (_Atomic uint32_t *)m;
	for (unsigned i = 0; i < 100000; i++)
		atomic_store_explicit(&words[(unsigned)rand_r(&seed) % n],
				      (unsigned)rand_r(&seed) % 16, memory_order_relaxed);
	munmap(m, sizeof(*m));
	client_end(&k);
	assert_int_equal(test_await(&t, VU_SERVER_DISCONNECTED), 0);
	client_begin(&k);
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, k.memory, 0);
	assert_ptr_not_equal(m, MAP_FAILED);
	while (!vu_conn_error(k.conn)) {
		struct vu_message none;

		if (atomic_exchange(&m->asleep, 0))
			vu_ring_wake(&m->asleep);
		vu_conn_next(k.conn, 0, &none);
	}
	assert_int_equal(test_await(&t, VU_SERVER_DISCONNECTED), -EPROTO);
	munmap(m, sizeof(*m));
	client_end(&k);
	client_begin(&k);
	assert_int_equal(ring_access(&k, CONFIG, 0, &v, 4, false, false), 0);
	client_end(&k);
}

/* The server ends while its clients have rings. */
static void test_server_ends(void **state)
{
	struct client k;
	uint64_t v;

	client_begin(&k);
	assert_int_equal(ring_access(&k, CONFIG, 0, &v, 4, false, false), 0);
	vu_server_free(t.server);
	t.server = NULL;
	assert_int_equal(ring_access(&k, CONFIG, 0, &v, 4, false, false), -ECONNRESET);
	client_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
