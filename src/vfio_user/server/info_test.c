/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/info_test.c: what a client is told of the device, registers, interrupts and the
 * reset.
 */
#include <linux/pci_regs.h>

#include "vfio_user/server/test_server.h"

static struct test_server t;
static struct reply r;
static int fd;

static int setup(void **state)
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

static void test_get_info(void **state)
{
	struct vu_device_info info = { .argsz = sizeof(info) };

	assert_int_equal(client_call(fd, VU_DEVICE_GET_INFO, &info, sizeof(info), &r), 0);
	assert_int_equal(r.len, sizeof(info));
	memcpy(&info, r.data, sizeof(info));
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, VFIO_PCI_NUM_REGIONS);
	assert_int_equal(info.num_irqs, VFIO_PCI_NUM_IRQS);
	/* cloud-hypervisor counts the header, too */
	info.argsz = 32;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_INFO, &info, sizeof(info), &r), 0);
	info.argsz = sizeof(info) - 1;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_INFO, &info, sizeof(info), &r), EINVAL);
	assert_int_equal(client_call(fd, VU_DEVICE_GET_INFO, &info, sizeof(info) - 1, &r), EINVAL);
}

static void test_get_region_info(void **state)
{
	struct {
		struct vfio_region_info info;
		uint8_t more[4032]; /* SPDK's requests are as long as its buffer */
	} m = { .info = { .argsz = sizeof(m), .index = REGS } };
	struct vfio_region_info info;

	assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m), &r), 0);
	assert_int_equal(r.len, sizeof(info));
	memcpy(&info, r.data, sizeof(info));
	assert_int_equal(info.argsz, sizeof(info));
	assert_int_equal(info.index, REGS);
	/* nothing of it is memory, so there is nothing to map */
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_true(info.size >= TD_MIRROR);
	assert_int_equal(r.num_fds, 0);
	for (m.info.index = 0; m.info.index < VFIO_PCI_NUM_REGIONS; m.info.index++) {
		m.info.argsz = sizeof(m.info);
		assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m.info), &r),
				 0);
		memcpy(&info, r.data, sizeof(info));
		assert_int_equal(info.index, m.info.index);
		if (m.info.index == VFIO_PCI_VGA_REGION_INDEX)
			assert_int_equal(info.size + info.flags, 0);
	}
	m.info.index = VFIO_PCI_NUM_REGIONS;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m.info), &r),
			 EINVAL);
	m.info.index = 0;
	m.info.argsz = sizeof(m.info) - 1;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_REGION_INFO, &m, sizeof(m.info), &r),
			 EINVAL);
}

/* ---- registers ---- */

static void test_accesses(void **state)
{
	uint64_t v = 0x1122334455667788;
	uint8_t config[256];

	client_enable(fd);
	assert_int_equal(client_get(fd, REGS, TD_ID), TD_ID_VALUE);
	assert_int_equal(client_write(fd, REGS, TD_SCRATCH64, &v, 8, &r), 0);
	v = 0;
	assert_int_equal(client_read(fd, REGS, TD_SCRATCH64, &v, 8, &r), 0);
	assert_int_equal(v, 0x1122334455667788);
	assert_int_equal(client_read(fd, REGS, TD_SCRATCH8, &v, 1, &r), 0);
	/* more than a register, and nothing */
	assert_int_equal(client_read(fd, CONFIG, 0, config, sizeof(config), &r), 0);
	assert_int_equal(config[0], 0x34);
	assert_int_equal(client_read(fd, CONFIG, 0, config, 0, &r), 0);
	assert_int_equal(client_write(fd, REGS, 0, config, 0, &r), 0);
}

static void test_bad_accesses(void **state)
{
	struct vu_region_access a = { .region = REGS, .count = 4 };
	uint32_t v = 0, big = MAX_DATA + 1;

	client_enable(fd);
	assert_int_equal(client_read(fd, 99, 0, &v, 4, &r), EINVAL);
	assert_int_equal(client_read(fd, REGS, UINT64_MAX, &v, 4, &r), EINVAL);
	assert_int_equal(client_read(fd, REGS, UINT64_MAX - 3, &v, 4, &r), EINVAL);
	/* over the end: all or nothing */
	assert_int_equal(client_read(fd, CONFIG, K4 - 2, &v, 4, &r), EINVAL);
	assert_int_equal(client_write(fd, CONFIG, K4 - 2, &v, 4, &r), EINVAL);
	assert_int_equal(client_write(fd, 5, 0, &v, 4, &r), EINVAL);
	a.count = big;
	assert_int_equal(client_call(fd, VU_REGION_READ, &a, sizeof(a), &r), EINVAL);
	assert_int_equal(client_call(fd, VU_REGION_READ, &a, sizeof(a) - 1, &r), EINVAL);
	assert_int_equal(client_call(fd, VU_REGION_WRITE, &a, sizeof(a) - 1, &r), EINVAL);
	/* as many bytes as it says */
	a.count = 4;
	assert_int_equal(client_call(fd, VU_REGION_WRITE, &a, sizeof(a), &r), EINVAL);
	assert_int_equal(client_get(fd, REGS, TD_ID), TD_ID_VALUE);
	/* nobody answers */
	client_put(fd, CONFIG, PCI_COMMAND, 0, 2);
	assert_int_equal(client_read(fd, REGS, TD_ID, &v, 4, &r), EIO);
}

/* Posted writes are done before what comes next, and are not answered, also if they fail. */
static void test_posted_writes(void **state)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} m = { .a = { .offset = TD_SCRATCH32, .region = REGS, .count = 4 } };

	client_enable(fd);
	for (m.v = 1; m.v < 100; m.v++) {
		client_send(fd, 7, VU_REGION_WRITE, VU_FLAG_NO_REPLY, &m, sizeof(m.a) + 4, NULL, 0);
		assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), m.v);
	}
	m.a.region = 99;
	client_send(fd, 7, VU_REGION_WRITE, VU_FLAG_NO_REPLY, &m, sizeof(m.a) + 4, NULL, 0);
	client_send(fd, 7, 99, VU_FLAG_NO_REPLY, NULL, 0, NULL, 0);
	assert_int_equal(client_get(fd, REGS, TD_ID), TD_ID_VALUE);
}

static void test_write_multi(void **state)
{
	struct {
		uint64_t n;
		struct vu_write w[3];
	} m = { 3,
		{ { TD_SCRATCH32, REGS, 4, { 1, 2, 3, 4 } },
		  { TD_SCRATCH64, REGS, 8, { 1, 0, 0, 0, 0, 0, 0, 8 } },
		  { TD_SCRATCH8, REGS, 1, { 0x55 } } } };
	uint64_t v;

	/* who has not said that it would */
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), ENOSYS);
	close(fd);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, "{\"write_multiple\":true}", &r), 0);
	assert_non_null(strstr((char *)r.data + 4, "\"write_multiple\":true"));
	client_enable(fd);
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), 0);
	assert_int_equal(r.len, sizeof(m.n));
	memcpy(&v, r.data, sizeof(v));
	assert_int_equal(v, 3);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0x04030201);
	assert_int_equal(client_read(fd, REGS, TD_SCRATCH64, &v, 8, &r), 0);
	assert_int_equal(v, 0x0800000000000001);
	/* posted, as QEMU sends it */
	m.w[0].data[0] = 9;
	client_send(fd, 1, VU_REGION_WRITE_MULTI, VU_FLAG_NO_REPLY, &m, sizeof(m), NULL, 0);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0x04030209);
	/* all of it is right, or nothing is done */
	m.w[0].data[0] = 7;
	m.w[2].count = 9;
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), EINVAL);
	m.w[2].count = 1;
	m.w[2].region = 99;
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), EINVAL);
	m.n = UINT64_MAX;
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), EINVAL);
	m.n = 2;
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, sizeof(m), &r), EINVAL);
	assert_int_equal(client_call(fd, VU_REGION_WRITE_MULTI, &m, 7, &r), EINVAL);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0x04030209);
}

static void test_reset(void **state)
{
	client_enable(fd);
	client_put(fd, REGS, TD_SCRATCH32, 5, 4);
	assert_int_equal(client_call(fd, VU_DEVICE_RESET, NULL, 0, &r), 0);
	assert_int_equal(r.len, 0);
	client_enable(fd);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0);
}

/* ---- interrupts ---- */

static int set_irqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		    const uint8_t *bytes, size_t len, const int *fds, unsigned n)
{
	struct {
		struct vu_set_irqs s;
		uint8_t bytes[16];
	} m = { .s = { .argsz = (uint32_t)(sizeof(m.s) + len),
		       .flags = flags,
		       .index = index,
		       .start = start,
		       .count = count } };

	if (len)
		memcpy(m.bytes, bytes, len);
	return client_call_fds(fd, VU_DEVICE_SET_IRQS, &m, sizeof(m.s) + len, fds, n, &r);
}

#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)

static void test_get_irq_info(void **state)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_INTX_IRQ_INDEX };

	assert_int_equal(client_call(fd, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &r), 0);
	assert_int_equal(r.len, sizeof(info));
	memcpy(&info, r.data, sizeof(info));
	assert_int_equal(info.count, 1);
	assert_int_equal(info.flags,
			 VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED);
	info.index = VFIO_PCI_NUM_IRQS;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &r), EINVAL);
	info.index = 0;
	info.argsz--;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &r), EINVAL);
}

static void test_msix(void **state)
{
	int e[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	const unsigned index = VFIO_PCI_MSIX_IRQ_INDEX;
	const uint8_t second[2] = { 0, 1 };

	client_enable(fd);
	/* as QEMU switches it on: one vector without a descriptor, then one by one */
	assert_int_equal(set_irqs(EVENTFD, index, 0, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(set_irqs(EVENTFD, index, 0, 1, NULL, 0, &e[0], 1), 0);
	assert_int_equal(set_irqs(EVENTFD, index, 1, 1, NULL, 0, &e[1], 1), 0);
	client_put(fd, REGS, TD_MSI, 1, 4);
	assert_int_equal(eventfd_count(e[1], true), 1);
	assert_int_equal(eventfd_count(e[0], false), 0);
	/* the client's own trigger, of some */
	assert_int_equal(set_irqs(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 2,
				  second, 2, NULL, 0),
			 0);
	assert_int_equal(eventfd_count(e[1], true), 1);
	assert_int_equal(eventfd_count(e[0], false), 0);
	/* one is taken away, and all */
	assert_int_equal(set_irqs(EVENTFD, index, 1, 1, NULL, 0, NULL, 0), 0);
	client_put(fd, REGS, TD_MSI, 1, 4);
	assert_int_equal(eventfd_count(e[1], false), 0);
	assert_int_equal(set_irqs(NONE, index, 0, 0, NULL, 0, NULL, 0), 0);
	client_put(fd, REGS, TD_MSI, 0, 4);
	assert_int_equal(eventfd_count(e[0], false), 0);
	/* once more, which changes nothing; of each kind */
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		assert_int_equal(set_irqs(NONE, i, 0, 0, NULL, 0, NULL, 0), 0);
	close(e[0]);
	close(e[1]);
}

/* Masks by SET_IRQS, in the table and by Function Mask; what waits is in the PBA. */
static void test_msix_masks(void **state)
{
	const uint32_t mask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
		       unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		       msix = VFIO_PCI_MSIX_IRQ_INDEX;
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = msix };
	unsigned cap = PCI_CAPABILITY_LIST, table, pba;
	int e[3];

	client_enable(fd);
	do
		cap = client_get(fd, CONFIG, cap + (cap != PCI_CAPABILITY_LIST)) & 0xff;
	while ((client_get(fd, CONFIG, cap) & 0xff) != PCI_CAP_ID_MSIX);
	table = client_get(fd, CONFIG, cap + PCI_MSIX_TABLE) & PCI_MSIX_TABLE_OFFSET;
	pba = client_get(fd, CONFIG, cap + PCI_MSIX_PBA) & PCI_MSIX_PBA_OFFSET;
	assert_int_equal(client_call(fd, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &r), 0);
	memcpy(&info, r.data, sizeof(info));
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE);
	for (unsigned i = 0; i < 3; i++)
		e[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(set_irqs(EVENTFD, msix, 0, 3, NULL, 0, e, 3), 0);
	assert_int_equal(set_irqs(mask, msix, 0, 1, NULL, 0, NULL, 0), 0);
	client_put(fd, REGS, table + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 1, 4);
	for (unsigned i = 0; i < 3; i++)
		client_put(fd, REGS, TD_MSI, i, 4);
	assert_int_equal(client_get(fd, REGS, pba), 3);
	assert_int_equal(eventfd_count(e[2], true), 1);
	client_put(fd, CONFIG, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL, 2);
	client_put(fd, REGS, TD_MSI, 2, 4);
	client_put(fd, REGS, table + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	assert_int_equal(set_irqs(unmask, msix, 0, 3, NULL, 0, NULL, 0), 0);
	assert_int_equal(client_get(fd, REGS, pba), 7);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(eventfd_count(e[i], false), 0);
	client_put(fd, CONFIG, cap + PCI_MSIX_FLAGS, 0, 2);
	assert_int_equal(client_get(fd, REGS, pba), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(eventfd_count(e[i], true), 1);
		close(e[i]);
	}
}

static void test_intx_masks_itself(void **state)
{
	int e = eventfd(0, EFD_CLOEXEC);

	client_enable(fd);
	assert_int_equal(set_irqs(EVENTFD, 0, 0, 1, NULL, 0, &e, 1), 0);
	client_put(fd, REGS, TD_INTX, 1, 4);
	assert_int_equal(eventfd_count(e, true), 1);
	/* the line is up still: the unmask brings the next one */
	assert_int_equal(set_irqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1,
				  NULL, 0, NULL, 0),
			 0);
	assert_int_equal(eventfd_count(e, true), 1);
	client_put(fd, REGS, TD_INTX, 0, 4);
	assert_int_equal(set_irqs(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1,
				  NULL, 0, NULL, 0),
			 0);
	assert_int_equal(eventfd_count(e, false), 0);
	close(e);
}

static void test_err_and_req(void **state)
{
	int e = eventfd(0, EFD_CLOEXEC), q = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(set_irqs(EVENTFD, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, NULL, 0, &e, 1), 0);
	assert_int_equal(set_irqs(EVENTFD, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, NULL, 0, &q, 1), 0);
	t.cfg.dev->ops->request(t.cfg.dev, 0);
	assert_int_equal(eventfd_count(q, true), 1);
	assert_int_equal(eventfd_count(e, false), 0);
	assert_int_equal(machine_error(t.m, machine_device(t.m, 0)->addr, MACHINE_FATAL), 0);
	assert_int_equal(eventfd_count(e, true), 1);
	close(e);
	close(q);
}

static void test_bad_set_irqs(void **state)
{
	int e[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	int file = memfd_create("none", MFD_CLOEXEC);
	struct vu_set_irqs s = { .argsz = sizeof(s) - 1, .flags = NONE };

	/* as many descriptors as vectors, or none; eventfds */
	assert_int_equal(set_irqs(EVENTFD, 2, 0, 1, NULL, 0, e, 2), EINVAL);
	assert_int_equal(set_irqs(EVENTFD, 2, 0, 3, NULL, 0, e, 2), EINVAL);
	assert_int_equal(set_irqs(EVENTFD, 2, 0, 1, NULL, 0, &file, 1), EINVAL);
	assert_int_equal(set_irqs(EVENTFD, 9, 0, 1, NULL, 0, e, 1), EINVAL);
	assert_int_equal(set_irqs(EVENTFD, 2, 5000, 1, NULL, 0, e, 1), EINVAL);
	assert_int_equal(set_irqs(EVENTFD, 2, UINT32_MAX, 2, NULL, 0, e, 2), EINVAL);
	assert_int_equal(set_irqs(0xffff, 2, 0, 1, NULL, 0, e, 1), EINVAL);
	/* no byte behind it */
	assert_int_equal(set_irqs(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 1,
				  NULL, 0, NULL, 0),
			 EINVAL);
	assert_int_equal(client_call(fd, VU_DEVICE_SET_IRQS, &s, sizeof(s), &r), EINVAL);
	assert_int_equal(client_call(fd, VU_DEVICE_SET_IRQS, &s, sizeof(s) - 1, &r), EINVAL);
	close(e[0]);
	close(e[1]);
	close(file);
}

/* ---- registers by eventfds ---- */

static int get_io_fds(uint32_t region, uint32_t argsz, struct vu_io_fds *head,
		      struct vu_io_fd entries[2])
{
	struct vu_io_fds ask = { .argsz = argsz, .index = region };
	int ret = client_call(fd, VU_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), &r);

	if (ret)
		return ret;
	memcpy(head, r.data, sizeof(*head));
	memcpy(entries, r.data + sizeof(*head), r.len - sizeof(*head));
	return 0;
}

static void test_io_fds(void **state)
{
	static const struct vu_ioeventfd doorbells[] = { { REGS, 4, TD_SCRATCH32, 0x1234 },
							 { REGS, 1, TD_SCRATCH8, 0x55 } };
	struct vu_io_fds head;
	struct vu_io_fd e[2];
	uint64_t one = 1;

	/* none that anybody has named */
	assert_int_equal(get_io_fds(REGS, 16, &head, e), 0);
	assert_int_equal(head.count, 0);
	assert_int_equal(head.argsz, sizeof(head));
	close(fd);
	vu_server_free(t.server);
	t.cfg.ioeventfds = doorbells;
	t.cfg.num_ioeventfds = 2;
	assert_int_equal(test_start(&t), 0);
	fd = client_new(&t);
	client_enable(fd);
	/* without room: how much it takes */
	assert_int_equal(get_io_fds(REGS, 16, &head, e), 0);
	assert_int_equal(r.len, sizeof(head));
	assert_int_equal(head.argsz, sizeof(head) + 80);
	assert_int_equal(r.num_fds, 0);
	assert_int_equal(get_io_fds(REGS, head.argsz, &head, e), 0);
	assert_int_equal(r.len, sizeof(head) + 80);
	assert_int_equal(head.count, 2);
	assert_int_equal(r.num_fds, 2);
	assert_int_equal(e[0].offset, TD_SCRATCH32);
	assert_int_equal(e[0].size, 4);
	assert_int_equal(e[0].datamatch, 0x1234);
	assert_int_equal(e[1].type, VU_IO_FD_IOEVENTFD);
	assert_int_equal(e[1].fd_index, 1);
	assert_int_equal(write(r.fds[e[0].fd_index], &one, sizeof(one)), sizeof(one));
	reply_close_fds(&r);
	while (client_get(fd, REGS, TD_SCRATCH32) != 0x1234)
		usleep(100);
	/* the same ones again, and none of other regions */
	assert_int_equal(get_io_fds(REGS, 100, &head, e), 0);
	assert_int_equal(r.num_fds, 2);
	client_put(fd, REGS, TD_SCRATCH32, 0, 4);
	assert_int_equal(write(r.fds[0], &one, sizeof(one)), sizeof(one));
	reply_close_fds(&r);
	while (client_get(fd, REGS, TD_SCRATCH32) != 0x1234)
		usleep(100);
	assert_int_equal(get_io_fds(0, 100, &head, e), 0);
	assert_int_equal(head.count, 0);
	assert_int_equal(get_io_fds(99, 100, &head, e), EINVAL);
	assert_int_equal(get_io_fds(REGS, 15, &head, e), EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_get_region_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_posted_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_multi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_get_irq_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx_masks_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_err_and_req, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_set_irqs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_fds, setup, teardown),
	};

	return cmocka_run_group_tests_name("vfio_user server: the device", tests, NULL, NULL);
}
