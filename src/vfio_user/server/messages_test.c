/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/messages_test.c: memory of the client's that is no file which can be mapped: by
 * messages, on one socket and on two, and by pread and pwrite.
 */
#include <sched.h>
#include <sys/resource.h>

#include "base/sys.h"
#include "vfio_user/server/test_server.h"

#define RW   (VU_DMA_READABLE | VU_DMA_WRITEABLE)
#define SIZE (64 * K4)
#define DONE 2u /* testdev's DMA_STATUS */
#define LOST 3u

static struct test_server t;
static struct reply r;
static int fd, twin;
static uint8_t memory[SIZE]; /* at RAM */
static unsigned served;
static size_t longest;
static int refuse; /* with this error */

static int setup(void **state)
{
	test_server_begin(&t, "testdev");
	fd = client_new(&t);
	client_enable(fd);
	twin = -1;
	served = 0;
	longest = 0;
	refuse = 0;
	return 0;
}

static int teardown(void **state)
{
	close(fd);
	if (twin >= 0)
		close(twin);
	test_server_end(&t);
	return 0;
}

/* Answer the DMA command in @m, which came on @from. */
static void serve(int from, struct reply *m)
{
	struct vu_header h = m->h;
	struct vu_dma_access a;
	uint8_t buf[sizeof(h) + sizeof(a) + MAX_DATA];
	size_t len = sizeof(h) + sizeof(a);

	assert_int_equal(m->h.flags & VU_FLAG_TYPE, VU_TYPE_COMMAND);
	memcpy(&a, m->data, sizeof(a));
	assert_true(a.count <= MAX_DATA && a.addr >= RAM && a.addr - RAM <= SIZE - a.count);
	if (a.count > longest)
		longest = a.count;
	served++;
	if (h.command == VU_DMA_WRITE) {
		assert_int_equal(m->len, sizeof(a) + a.count);
		if (!refuse)
			memcpy(memory + (a.addr - RAM), m->data + sizeof(a), a.count);
	} else {
		assert_int_equal(h.command, VU_DMA_READ);
		assert_int_equal(m->len, sizeof(a));
		memcpy(buf + len, memory + (a.addr - RAM), a.count);
		len += a.count;
	}
	memcpy(buf + sizeof(h), &a, sizeof(a));
	h.flags = VU_TYPE_REPLY;
	if (refuse) {
		h.flags |= VU_FLAG_ERROR;
		h.error = (uint32_t)refuse;
		len = sizeof(h);
	}
	h.size = (uint32_t)len;
	memcpy(buf, &h, sizeof(h));
	send_raw(from, buf, len, NULL, 0);
}

/* Have testdev's engine begin to copy, by a write with number 77 that is not answered yet. */
static void begin_dma(uint64_t src, uint64_t dst, uint64_t len)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} m = { { .offset = TD_DMA_CMD, .region = REGS, .count = 4 }, TD_OP_COPY };

	client_put(fd, REGS, TD_DMA_SRC, src, 8);
	client_put(fd, REGS, TD_DMA_DST, dst, 8);
	client_put(fd, REGS, TD_DMA_LEN, len, 8);
	client_send(fd, 77, VU_REGION_WRITE, 0, &m, sizeof(m.a) + 4, NULL, 0);
}

/* Start testdev's engine, and serve it until the write of its command is answered. */
static uint32_t dma(uint64_t src, uint64_t dst, uint64_t len)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = twin, .events = POLLIN } };

	begin_dma(src, dst, len);
	for (;;) {
		int from;

		assert_true(poll(p, 2, -1) > 0);
		from = p[1].revents ? twin : fd;
		assert_true(client_receive(from, &r));
		if (from == fd && r.h.command == VU_REGION_WRITE)
			break;
		/* with a second socket all come by that one */
		assert_int_equal(from, twin >= 0 ? twin : fd);
		serve(from, &r);
	}
	assert_int_equal(r.h.id, 77);
	return client_get(fd, REGS, TD_DMA_STATUS);
}

static void test_messages(void **state)
{
	assert_int_equal(client_map(fd, RAM, SIZE / 2, 0, RW, -1, &r), 0);
	assert_int_equal(client_map(fd, RAM + SIZE / 2, SIZE / 2, 0, VU_DMA_READABLE, -1, &r), 0);
	for (unsigned i = 0; i < K4; i++)
		memory[i] = (uint8_t)(i * 7);
	assert_int_equal(dma(RAM, RAM + 8 * K4 + 3, K4), DONE);
	assert_memory_equal(memory, memory + 8 * K4 + 3, K4);
	assert_true(served >= 2);
	/* no right: nobody is asked */
	served = 0;
	assert_int_equal(dma(RAM, RAM + SIZE / 2, 4), LOST);
	assert_int_equal(served, 1);
	assert_int_equal(client_unmap(fd, RAM, SIZE / 2, 0, &r), 0);
	served = 0;
	assert_int_equal(dma(RAM, RAM, 4), LOST);
	assert_int_equal(served, 0);
}

/* As many bytes at a time as the client takes. */
static void test_pieces(void **state)
{
	close(fd);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, "{\"max_data_xfer_size\":1000}", &r), 0);
	client_enable(fd);
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	for (unsigned i = 0; i < 3 * K4; i++)
		memory[i] = (uint8_t)(i * 3);
	assert_int_equal(dma(RAM, RAM + 8 * K4, 3 * K4), DONE);
	assert_memory_equal(memory, memory + 8 * K4, 3 * K4);
	assert_int_equal(longest, 1000);
}

static void test_refused(void **state)
{
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	/* QEMU says so while the guest has bus mastering off */
	refuse = ENODEV;
	assert_int_equal(dma(RAM, RAM + K4, 8), LOST);
	refuse = 0;
	assert_int_equal(dma(RAM, RAM + K4, 8), DONE);
}

/*
 * Commands that the client sends before its answer are carried out behind it, or beside it: which
 * of the two is a matter of time, as a write that waits for the client is overtaken after a while.
 */
static void test_commands_come_first(void **state)
{
	struct vu_dma_unmap d = { .argsz = sizeof(d), .addr = RAM + SIZE, .size = K4 };
	unsigned left = 4;
	bool mine = false, unmapped = false;

	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	assert_int_equal(client_map(fd, RAM + SIZE, K4, 0, RW, -1, &r), 0);
	begin_dma(RAM, RAM + K4, 8);
	client_send(fd, 78, VU_DMA_UNMAP, 0, &d, sizeof(d), NULL, 0);
	while (left--) {
		assert_true(client_receive(fd, &r));
		if ((r.h.flags & VU_FLAG_TYPE) == VU_TYPE_COMMAND) {
			serve(fd, &r);
			continue;
		}
		assert_int_equal(r.h.flags & VU_FLAG_ERROR, 0);
		mine |= r.h.id == 77;
		unmapped |= r.h.id == 78;
	}
	assert_true(mine && unmapped);
	assert_int_equal(client_get(fd, REGS, TD_DMA_STATUS), DONE);
}

/* ---- a client that answers nothing while it waits for a reply, as QEMU ---- */

static void post_write(uint64_t offset, uint64_t v, uint32_t count)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} m = { { .offset = offset, .region = REGS, .count = count }, v };

	client_send(fd, 0, VU_REGION_WRITE, VU_FLAG_NO_REPLY, &m, sizeof(m.a) + count, NULL, 0);
}

/* Set up a DMA that is begun by TD_OP_COPY in DMA_CMD. */
static void prepare_dma(void)
{
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	client_map(fd, RAM + SIZE, K4, 0, RW, -1, &r); /* or it is there already */
	client_put(fd, REGS, TD_DMA_SRC, RAM, 8);
	client_put(fd, REGS, TD_DMA_DST, RAM + K4, 8);
	client_put(fd, REGS, TD_DMA_LEN, 64, 8);
}

/*
 * The command 99 was sent behind the DMA's begin: its reply comes, though what the device asks for
 * is not answered before. Then that is served.
 */
static void await_reply(void)
{
	static struct reply asked;

	assert_true(client_receive(fd, &asked));
	assert_int_equal(asked.h.command, VU_DMA_READ);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 99);
	assert_int_equal(r.h.flags, VU_TYPE_REPLY);
	serve(fd, &asked);
	assert_true(client_receive(fd, &asked));
	assert_int_equal(asked.h.command, VU_DMA_WRITE);
	serve(fd, &asked);
}

/* Wait until a DMA is done, whose last access was served or given up. */
static void await_status(uint32_t wanted)
{
	uint32_t status;

	while ((status = client_get(fd, REGS, TD_DMA_STATUS)) == TD_DMA_BUSY)
		sched_yield();
	assert_int_equal(status, wanted);
}

/* Read SCRATCH32, as command 99. */
static uint32_t read_behind(void)
{
	struct vu_region_access a = { .offset = TD_SCRATCH32, .region = REGS, .count = 4 };
	uint32_t v;

	client_send(fd, 99, VU_REGION_READ, 0, &a, sizeof(a), NULL, 0);
	await_reply();
	memcpy(&v, r.data + sizeof(a), sizeof(v));
	return v;
}

static void test_read_behind(void **state)
{
	prepare_dma();
	/* what was posted behind the write that waits is in the device before the read */
	for (uint32_t i = 1; i < 10; i++) {
		post_write(TD_DMA_CMD, TD_OP_COPY, 4);
		post_write(TD_SCRATCH32, i, 4);
		assert_int_equal(read_behind(), i);
		await_status(DONE);
	}
}

static void test_commands_behind(void **state)
{
	struct vu_dma_unmap d = { .argsz = sizeof(d), .addr = RAM + SIZE, .size = K4 };
	struct vu_set_irqs irqs = { .argsz = sizeof(irqs),
				    .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
				    .index = VFIO_PCI_MSIX_IRQ_INDEX };

	prepare_dma();
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	client_send(fd, 99, VU_DMA_UNMAP, 0, &d, sizeof(d), NULL, 0);
	await_reply();
	await_status(DONE);
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	client_send(fd, 99, VU_DEVICE_SET_IRQS, 0, &irqs, sizeof(irqs), NULL, 0);
	await_reply();
	await_status(DONE);
}

/* All of a WRITE_MULTI is begun before what comes behind it; it is answered when all is done. */
static void test_write_multi(void **state)
{
	struct {
		uint64_t n;
		struct vu_write w[4];
	} m = { 4,
		{ { .offset = TD_SCRATCH32, .region = REGS, .count = 4, .data = { 1 } },
		  { .offset = TD_DMA_CMD, .region = REGS, .count = 4, .data = { TD_OP_COPY } },
		  { .offset = TD_SCRATCH8, .region = REGS, .count = 1, .data = { 3 } },
		  { .offset = TD_SCRATCH32, .region = REGS, .count = 4, .data = { 7 } } } };
	uint8_t byte = 0;

	close(fd);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, "{\"write_multiple\":true}", &r), 0);
	client_enable(fd);
	prepare_dma();
	client_send(fd, 0, VU_REGION_WRITE_MULTI, VU_FLAG_NO_REPLY, &m, sizeof(m), NULL, 0);
	assert_int_equal(read_behind(), 7);
	await_status(DONE);
	client_put(fd, REGS, TD_SCRATCH32, 0, 4);
	client_send(fd, 98, VU_REGION_WRITE_MULTI, 0, &m, sizeof(m), NULL, 0);
	assert_int_equal(read_behind(), 7);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 98);
	assert_int_equal(r.h.flags, VU_TYPE_REPLY);
	assert_int_equal(*(uint64_t *)r.data, 4);
	client_read(fd, REGS, TD_SCRATCH8, &byte, 1, &r);
	assert_int_equal(byte, 3);
}

/* Memory that is unmapped while it is reached for: the access is given up. */
static void test_unmap_under_access(void **state)
{
	struct vu_dma_unmap d = { .argsz = sizeof(d), .addr = RAM, .size = SIZE };
	static struct reply asked;

	prepare_dma();
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	assert_true(client_receive(fd, &asked));
	client_send(fd, 99, VU_DMA_UNMAP, 0, &d, sizeof(d), NULL, 0);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 99);
	assert_int_equal(r.h.flags, VU_TYPE_REPLY);
	await_status(LOST);
	serve(fd, &asked); /* too late: it is dropped */
	/* not so that of other memory */
	prepare_dma();
	d.addr = RAM + SIZE;
	d.size = K4;
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	client_send(fd, 99, VU_DMA_UNMAP, 0, &d, sizeof(d), NULL, 0);
	await_reply();
	await_status(DONE);
}

/* What turns the device off does not wait for the client for long. */
static void test_off_under_access(void **state)
{
	struct {
		struct vu_region_access a;
		uint16_t v;
	} off = { { .offset = PCI_COMMAND, .region = CONFIG, .count = 2 }, PCI_COMMAND_MASTER };
	static struct reply asked;

	prepare_dma();
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	assert_true(client_receive(fd, &asked));
	client_send(fd, 99, VU_REGION_WRITE, 0, &off, sizeof(off.a) + 2, NULL, 0);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 99);
	client_enable(fd);
	await_status(LOST);
	/* and then it works again, also a reset */
	serve(fd, &asked);
	assert_int_equal(dma(RAM, RAM + K4, 8), DONE);
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	assert_true(client_receive(fd, &asked));
	client_send(fd, 99, VU_DEVICE_RESET, 0, NULL, 0, NULL, 0);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 99);
	assert_int_equal(r.h.flags, VU_TYPE_REPLY);
	client_enable(fd);
	assert_int_equal(dma(RAM, RAM + K4, 8), DONE);
}

/* A client that dies meanwhile leaves the device. */
static void test_dies_behind(void **state)
{
	prepare_dma();
	post_write(TD_DMA_CMD, TD_OP_COPY, 4);
	assert_true(client_receive(fd, &r));
	post_write(TD_SCRATCH32, 1, 4);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 1);
	close(fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	fd = client_new(&t);
	client_enable(fd);
	assert_int_equal(client_get(fd, REGS, TD_SCRATCH32), 0);
}

/* A client that does not answer is a fault, and the connection lives on. */
static void test_no_answer(void **state)
{
	struct reply late;

	vu_server_free(t.server);
	close(fd);
	t.cfg.limits.dma_timeout = 20;
	assert_int_equal(test_start(&t), 0);
	fd = client_new(&t);
	client_enable(fd);
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	begin_dma(RAM, RAM + K4, 8);
	assert_true(client_receive(fd, &late));
	assert_int_equal(late.h.command, VU_DMA_READ);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 77);
	serve(fd, &late); /* too late: it is dropped */
	assert_int_equal(client_get(fd, REGS, TD_DMA_STATUS), LOST);
	assert_int_equal(dma(RAM, RAM + K4, 8), DONE);
}

/* A client that dies in the middle of a DMA leaves the device to the next one. */
static void test_client_dies(void **state)
{
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	begin_dma(RAM, RAM + K4, 8);
	assert_true(client_receive(fd, &r));
	close(fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	fd = client_new(&t);
	client_enable(fd);
	assert_int_equal(client_get(fd, REGS, TD_DMA_STATUS), 0);
}

static void test_twin_socket(void **state)
{
	close(fd);
	fd = client_connect(&t);
	assert_int_equal(client_version(fd, "{\"twin_socket\":{\"supported\":true}}", &r), 0);
	assert_non_null(
		strstr((char *)r.data + 4, "\"twin_socket\":{\"supported\":true,\"fd_index\":0}"));
	assert_int_equal(r.num_fds, 1);
	twin = r.fds[0];
	client_enable(fd);
	assert_int_equal(client_map(fd, RAM, SIZE, 0, RW, -1, &r), 0);
	memset(memory, 0x3c, K4);
	assert_int_equal(dma(RAM, RAM + K4, K4), DONE);
	assert_memory_equal(memory, memory + K4, K4);
	/* without it there are no answers: the device goes on */
	close(twin);
	twin = -1;
	assert_int_equal(dma(RAM, RAM + K4, K4), LOST);
}

/* ---- pread and pwrite ---- */

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int i = 0; i < 5000; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static void test_by_file(void **state)
{
	int self = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint8_t *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned before;

	assert_true(mem != MAP_FAILED);
	assert_true(self >= 0);
	memset(mem, 0x77, K4);
	assert_int_equal(client_map(fd, RAM, 2 * K4, (uintptr_t)mem, RW | VU_DMA_BY_FILE, self, &r),
			 0);
	before = count_fds();
	for (unsigned i = 2; i < 20; i++)
		assert_int_equal(client_map(fd, RAM + i * K4, K4, (uintptr_t)mem + i * K4,
					    RW | VU_DMA_BY_FILE, self, &r),
				 0);
	assert_int_equal(count_fds(), before);
	close(self);
	assert_int_equal(client_dma(fd, RAM, RAM + 3 * K4 - 100, K4), DONE);
	assert_memory_equal(mem, mem + 3 * K4 - 100, K4);
	/* memory that is gone is a fault */
	munmap(mem, K4);
	assert_int_equal(client_dma(fd, RAM, RAM + K4, 8), LOST);
	assert_int_equal(client_unmap(fd, 0, 0, VU_UNMAP_ALL, &r), 0);
	assert_int_equal(count_fds(), before - 2);
	munmap(mem + K4, SIZE - K4);
}

static void test_rights_by_file(void **state)
{
	int only = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), e = eventfd(0, EFD_CLOEXEC);
	const unsigned by_file = VU_DMA_READABLE | VU_DMA_BY_FILE;

	assert_int_equal(client_map(fd, RAM, K4, 0, by_file | RW, only, &r), EACCES);
	assert_int_equal(client_map(fd, RAM, K4, 0, by_file, e, &r), EINVAL);
	assert_int_equal(client_map(fd, RAM, K4, 0, by_file, only, &r), 0);
	assert_int_equal(client_map(fd, RAM, K4, 0, by_file, only, &r), EEXIST);
	/* a file has both uses at the same time */
	close(only);
	close(e);
	only = memfd_create("both", MFD_CLOEXEC);
	assert_int_equal(ftruncate(only, K4), 0);
	assert_int_equal(client_map(fd, RAM + K4, K4, 0, RW, only, &r), 0);
	assert_int_equal(client_map(fd, RAM + 2 * K4, K4, 0, RW | VU_DMA_BY_FILE, only, &r), 0);
	assert_int_equal(client_dma(fd, RAM + K4, RAM + 2 * K4, 8), DONE);
	close(only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands_come_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_multi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmap_under_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off_under_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dies_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twin_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_by_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights_by_file, setup, teardown),
	};

	return cmocka_run_group_tests_name("vfio_user server: other memory", tests, NULL, NULL);
}
