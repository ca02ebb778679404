/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/client_test.c: the life of clients: the first message, one at a time, what they
 * leave behind, and the end of the server in the middle of it.
 */
#include "vfio_user/server/test_server.h"

static struct test_server t;
static struct reply r;

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

static void assert_hung_up(int fd)
{
	assert_false(client_receive(fd, &r));
	close(fd);
}

/* ---- VERSION ---- */

static void test_version_is_the_lesser(void **state)
{
	struct vu_version v = { 0, 99 };
	int fd = client_connect(&t);

	assert_int_equal(client_call(fd, VU_VERSION, &v, sizeof(v), &r), 0);
	/* who sends no text gets none */
	assert_int_equal(r.len, sizeof(v));
	memcpy(&v, r.data, sizeof(v));
	assert_int_equal(v.major, VU_MAJOR);
	assert_int_equal(v.minor, VU_MINOR);
	close(fd);
	test_await(&t, VU_SERVER_DISCONNECTED);

	v = (struct vu_version){ 0, 0 };
	fd = client_connect(&t);
	assert_int_equal(client_call(fd, VU_VERSION, &v, sizeof(v), &r), 0);
	memcpy(&v, r.data, sizeof(v));
	assert_int_equal(v.minor, 0);
	close(fd);
}

/* QEMU reads the reply into the memory of its request. */
static void test_version_fits_qemu(void **state)
{
	int fd = client_connect(&t);

	assert_int_equal(
		client_version(fd,
			       "{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
			       "\"max_dma_maps\":65535,\"pgsizes\":4096,\"write_multiple\":true,"
			       "\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456},"
			       "\"unheard_of\":{\"x\":1}}",
			       &r),
		0);
	assert_true(sizeof(struct vu_header) + r.len <= 214);
	assert_non_null(strstr((char *)r.data + 4, "\"max_data_xfer_size\":65536"));
	assert_non_null(strstr((char *)r.data + 4, "\"max_dma_maps\":2000"));
	assert_null(strstr((char *)r.data + 4, "unheard_of"));
	close(fd);
}

static void refused_version(const void *data, size_t len, uint16_t command)
{
	int fd = client_connect(&t);

	assert_int_equal(client_call(fd, command, data, len, &r), EINVAL);
	assert_hung_up(fd);
	assert_int_equal(test_await(&t, VU_SERVER_REFUSED), -EINVAL);
}

static void test_bad_versions(void **state)
{
	static const struct vu_version major = { 1, 0 };
	struct {
		struct vu_version v;
		char text[32];
	} m = { 0 };
	int fd;

	refused_version(&m, 0, VU_VERSION);
	refused_version(&m, 3, VU_VERSION);
	refused_version(&major, sizeof(major), VU_VERSION);
	refused_version(&m, sizeof(m.v), VU_DEVICE_RESET);
	strcpy(m.text, "{\"capabilities\":1}");
	refused_version(&m, sizeof(m.v) + strlen(m.text) + 1, VU_VERSION);
	/* no end of the text */
	refused_version(&m, sizeof(m.v) + 5, VU_VERSION);
	/* once is enough */
	fd = client_new(&t);
	assert_int_equal(client_version(fd, "{}", &r), EINVAL);
	assert_int_equal(client_get(fd, CONFIG, 0) & 0xffff, 0x1234);
	close(fd);
}

static void test_unknown_commands(void **state)
{
	static const uint16_t unknown[] = {
		0, VU_DMA_READ, VU_DMA_WRITE, VU_DIRTY_PAGES, 19, 0xffff
	};
	int fd = client_new(&t);

	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(client_call(fd, unknown[i], &t, 64, &r), ENOSYS);
	assert_int_equal(client_get(fd, CONFIG, 0) & 0xffff, 0x1234);
	close(fd);
}

/* ---- one at a time ---- */

static void test_second_client(void **state)
{
	int fd = client_new(&t), other = client_connect(&t);

	assert_int_equal(client_version(other, "{}", &r), EBUSY);
	assert_hung_up(other);
	assert_int_equal(test_await(&t, VU_SERVER_REFUSED), -EBUSY);
	/* the first one does not feel it */
	assert_int_equal(client_get(fd, CONFIG, 0) & 0xffff, 0x1234);
	/* and when it has hung up, the next one has the device */
	close(fd);
	fd = client_new(&t);
	assert_int_equal(client_get(fd, CONFIG, 0) & 0xffff, 0x1234);
	close(fd);
}

static void test_next_client_finds_it_as_at_first(void **state)
{
	struct vu_set_irqs irqs = { .argsz = sizeof(irqs),
				    .flags =
					    VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = VFIO_PCI_MSIX_IRQ_INDEX,
				    .count = 1 };
	int fd = client_new(&t), event = eventfd(0, EFD_CLOEXEC), memory;
	uint8_t *mem;

	memory = make_memory(K4, &mem);
	client_enable(fd);
	client_put(fd, REGS, TD_SCRATCH32, 0x12345678, 4);
	assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_READABLE, memory, &r), 0);
	assert_int_equal(
		client_call_fds(fd, VU_DEVICE_SET_IRQS, &irqs, sizeof(irqs), &event, 1, &r), 0);
	client_put(fd, REGS, TD_MSI, 0, 4);
	assert_int_equal(eventfd_count(event, true), 1);
	close(fd);

	fd = client_new(&t);
	assert_int_equal(client_get(fd, CONFIG, PCI_COMMAND) & PCI_COMMAND_MASTER, 0);
	client_enable(fd);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0);
	client_put(fd, REGS, TD_MSI, 0, 4);
	assert_int_equal(eventfd_count(event, false), 0);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, 8), 3);
	assert_int_equal(client_map(fd, RAM, K4, 0, VU_DMA_READABLE, memory, &r), 0);
	close(fd);
	close(event);
	close(memory);
	munmap(mem, K4);
}

/* ---- the end ---- */

static void test_server_ends_amid(void **state)
{
	int fd = client_new(&t), silent = client_connect(&t);

	test_await(&t, VU_SERVER_CONNECTED);
	test_await(&t, VU_SERVER_CONNECTED);
	vu_server_free(t.server);
	t.server = NULL;
	assert_hung_up(fd);
	assert_hung_up(silent);
	/* the socket is there still; who connects is served when there is a server again */
	fd = client_connect(&t);
	assert_int_equal(test_start(&t), 0);
	assert_int_equal(client_version(fd, "{}", &r), 0);
	close(fd);
}

static void test_no_such_socket(void **state)
{
	struct vu_server *s;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(vu_server_new(&t.cfg, fd, &s), -EINVAL);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was taken over */
	assert_int_equal(vu_server_new(&t.cfg, -1, &s), -EBADF);
}

/* A malformed message ends a connection, and nothing else. */
static void test_malformed(void **state)
{
	struct vu_header h = { .command = VU_REGION_READ, .size = 3 };
	int fd = client_new(&t);

	send_raw(fd, &h, sizeof(h), NULL, 0);
	assert_hung_up(fd);
	assert_int_equal(test_await(&t, VU_SERVER_DISCONNECTED), -EPROTO);
	fd = client_new(&t);
	assert_int_equal(client_get(fd, CONFIG, 0) & 0xffff, 0x1234);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_is_the_lesser, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_fits_qemu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_client_finds_it_as_at_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_server_ends_amid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_such_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
	};

	return cmocka_run_group_tests_name("vfio_user server: clients", tests, NULL, NULL);
}
