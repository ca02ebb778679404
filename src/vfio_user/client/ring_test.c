/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/ring_test.c: a device whose server hands out a ring: what goes by it and what by
 * the socket, their order, a server that has none after all, and one that dies.
 */
#include "base/guard.h"
#include "base/log.h"
#include "vfio/open.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define CAPS                                                                                    \
	"{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096,\"uvfio\":{\"ring\":" \
	"true}}}"

#define REFUSED 0x1800u /* in BAR0, from here on */

enum answer { A_RING, A_REFUSED, A_NO_FD, A_WRONG };

static struct world {
	struct test_server t;
	_Atomic enum answer answer;
	struct vu_ring_server *ring;
	atomic_uint by_ring, irqs_by_ring;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *devices, *irqs;
	struct vu_client *c;
	struct vfio_open o;
	struct vfio_ioas *io;
} world;

/* ---- the server's ring */

static int ring_access(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		       bool write)
{
	struct world *w = arg;
	uint8_t *at = w->t.bar[0] + offset;

	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		at = w->t.config + offset;
	else if (region || offset >= REFUSED)
		return -EINVAL;
	atomic_fetch_add(&w->by_ring, 1);
	pthread_mutex_lock(&w->t.lock);
	if (write)
		memcpy(at, buf, count);
	else
		memcpy(buf, at, count);
	pthread_mutex_unlock(&w->t.lock);
	return 0;
}

static int ring_irqs(void *arg, const struct vu_set_irqs *set, const uint8_t *data)
{
	struct world *w = arg;

	atomic_fetch_add(&w->irqs_by_ring, 1);
	return 0;
}

static void ring_broken(void *arg, int error)
{
}

static const struct vu_ring_ops ops = { ring_access, ring_irqs, ring_broken };

/* Answers the ring's command, as the test wants it. */
static bool hook(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct world *w = &world;
	struct vu_ring_info info;
	struct iovec iov = { &info, sizeof(info) };
	struct vu_region_access a;
	int fd;

	if (m->header.command == VU_REGION_READ) {
		memcpy(&a, m->data, sizeof(a));
		if (!a.region && a.offset >= REFUSED) {
			test_error(c, m, -EINVAL);
			return true;
		}
	}
	if (m->header.command != VU_UVFIO_RING || w->answer == A_REFUSED)
		return false;
	/* that of a client before */
	vu_ring_server_free(w->ring);
	assert_int_equal(vu_ring_server_new(&ops, w, "test", &info, &fd, &w->ring), 0);
	info.lanes += w->answer == A_WRONG;
	vu_conn_reply(c, &m->header, 0, &iov, 1, &fd, w->answer != A_NO_FD);
	fd_close_private(fd);
	return true;
}

/* ---- */

static int setup(void **state)
{
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	log_set(2, LOG_NONE);
	guard_install();
	test_server_start(&w->t);
	pthread_mutex_lock(&w->t.lock);
	w->t.caps = CAPS;
	pthread_mutex_unlock(&w->t.lock);
	test_set_hook(&w->t, hook);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->devices = loop_new();
	w->irqs = loop_new();
	w->io = vfio_ioas_new(w->s, true);
	return 0;
}

static int find(struct world *w)
{
	const struct vu_client_options o = { .name = "0000:01:00.0",
					     .devices = w->devices,
					     .irqs = w->irqs };
	char *err = NULL;
	int rc = vu_client_new(w->t.path, &o, &w->c, &err);

	free(err);
	return rc;
}

static void open_it(struct world *w)
{
	assert_int_equal(find(w), 0);
	assert_int_equal(iommu_group_add(w->ig, vu_client_iommu(w->c)), 0);
	assert_int_equal(vfio_group_add_device(w->g, vu_client_vdev(w->c)), 0);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(vfio_device_attach(&w->o, w->io), 0);
}

static int teardown(void **state)
{
	struct world *w = &world;

	if (w->c) {
		vfio_open_close(&w->o);
		vfio_group_remove_device(w->g, vu_client_vdev(w->c));
		iommu_group_remove(w->ig, vu_client_iommu(w->c));
		vu_client_free(w->c);
	}
	vfio_ioas_put(w->io);
	loop_free(w->devices);
	loop_free(w->irqs);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	vu_ring_server_free(w->ring);
	return 0;
}

static uint64_t read_bar(struct world *w, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	assert_int_equal(vfio_device_rw(&w->o, 0, offset, &v, size, false), size);
	return v;
}

static void write_bar(struct world *w, uint64_t offset, uint64_t v, unsigned size)
{
	assert_int_equal(vfio_device_rw(&w->o, 0, offset, &v, size, true), size);
}

/*
 * Up to eight bytes go by the ring, unless the machine is so busy that the socket is faster, which
 * is not found out by the first few; and more by the socket, in order.
 */
static void test_registers(void **state)
{
	uint8_t long_one[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct world *w = &world;
	uint64_t v;
	unsigned n;

	open_it(w);
	for (unsigned size = 1; size <= 8; size *= 2) {
		write_bar(w, 8 * size, 0x1122334455667788ull >> (64 - 8 * size), size);
		assert_true(read_bar(w, 8 * size, size) ==
			    0x1122334455667788ull >> (64 - 8 * size));
	}
	for (unsigned i = 0; i < 100; i++) {
		v = i;
		assert_int_equal(vfio_device_mmio(&w->o, 0, 16, 4, &v, true), 0);
	}
	assert_true(w->by_ring >= 7);
	n = test_count(&w->t, VU_REGION_READ);
	/* the socket's comes after what was posted */
	v = 7;
	assert_int_equal(vfio_device_mmio(&w->o, 0, 16, 4, &v, true), 0);
	assert_int_equal(vfio_device_rw(&w->o, 0, 16, long_one, 16, false), 16);
	assert_int_equal(long_one[0], 7);
	assert_int_equal(test_count(&w->t, VU_REGION_READ), n + 1);
	/* the server's errors are those of the call */
	assert_int_equal(vfio_device_rw(&w->o, 0, REFUSED, &v, 4, false), -EINVAL);
	assert_int_equal(vu_conn_error(w->c->session->conn), 0);
}

static void test_interrupts(void **state)
{
	struct world *w = &world;
	struct vfio_irq_set_args a = { .flags = VFIO_IRQ_SET_DATA_EVENTFD |
						VFIO_IRQ_SET_ACTION_TRIGGER,
				       .index = VFIO_PCI_MSIX_IRQ_INDEX,
				       .count = 2 };
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	uint8_t bools[2] = { 1, 1 };

	open_it(w);
	a.data = fds;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	assert_int_equal(w->irqs_by_ring, 0);
	a.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	a.data = NULL;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	a.flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER;
	a.data = bools;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	assert_true(w->irqs_by_ring);
	assert_int_equal(w->irqs_by_ring + test_count(&w->t, VU_DEVICE_SET_IRQS), 18);
	close(fds[0]);
	close(fds[1]);
}

static void test_refused(void **state)
{
	struct world *w = &world;

	w->answer = A_REFUSED;
	open_it(w);
	write_bar(w, 8, 5, 4);
	assert_int_equal(read_bar(w, 8, 4), 5);
	assert_int_equal(w->by_ring, 0);
}

static void test_no_ring(void **state)
{
	struct world *w = &world;

	w->answer = A_NO_FD;
	assert_int_equal(find(w), -EPROTO);
	w->answer = A_WRONG;
	assert_int_equal(find(w), -EPROTO);
	assert_null(w->c);
}

static void test_server_dies(void **state)
{
	struct world *w = &world;
	struct vu_ring_server *ring;

	open_it(w);
	write_bar(w, 8, 5, 4);
	test_server_kill(&w->t);
	pthread_mutex_lock(&w->t.lock);
	ring = w->ring;
	w->ring = NULL;
	pthread_mutex_unlock(&w->t.lock);
	/* without the lock, which its threads take */
	vu_ring_server_free(ring);
	assert_int_equal(read_bar(w, 8, 4), 0xffffffff);
	write_bar(w, 8, 6, 4);
	assert_int_equal(read_bar(w, 8, 4), 0xffffffff);
	assert_true(vu_session_is_lost(w->c->session));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_dies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
