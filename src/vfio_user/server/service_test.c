/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/service_test.c: a read that takes long stops nothing; all else keeps its order.
 * The device is a model of this test's, whose registers wait for a gate.
 */
#include "uvfio/model.h"
#include "vfio_user/server/test_server.h"

#define READ_WAITS  0x00u
#define WRITE_WAITS 0x04u
#define OPENS	    0x08u /* a write of n lets n through */
#define PLAIN	    0x10u
#define SLOW_READS  7u /* so many threads can be in reads, and one more serves */

static struct test_server t;
static struct reply r;
static sem_t gate, inside;
static atomic_uint plain;

static void wait_at_gate(void)
{
	sem_post(&inside);
	while (sem_wait(&gate))
		;
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };
	int rc = uvfio_set_ids(dev, &ids);

	return rc ? rc : uvfio_add_bar(dev, 0, 4096, 0);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	if (offset == READ_WAITS)
		wait_at_gate();
	*value = offset == PLAIN ? atomic_load(&plain) : 0x77;
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	if (offset == WRITE_WAITS)
		wait_at_gate();
	if (offset == OPENS)
		while (value--)
			sem_post(&gate);
	if (offset == PLAIN)
		atomic_store(&plain, (unsigned)value);
	return 0;
}

static const struct uvfio_model model = {
	UVFIO_MODEL_INIT,	.name = "slow",	  .summary = "registers that wait",
	.concurrent = true,	.create = create, .bar_read = bar_read,
	.bar_write = bar_write,
};

static int setup(void **state)
{
	sem_init(&gate, 0, 0);
	sem_init(&inside, 0, 0);
	test_server_begin(&t, "slow");
	return 0;
}

static int teardown(void **state)
{
	test_server_end(&t);
	sem_destroy(&gate);
	sem_destroy(&inside);
	return 0;
}

static void send_read(int fd, uint16_t id, uint64_t offset)
{
	struct vu_region_access a = { .offset = offset, .count = 4 };

	client_send(fd, id, VU_REGION_READ, 0, &a, sizeof(a), NULL, 0);
}

static void post_write(int fd, uint64_t offset, uint32_t v)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} m = { { .offset = offset, .count = 4 }, v };

	client_send(fd, 0, VU_REGION_WRITE, VU_FLAG_NO_REPLY, &m, sizeof(m.a) + 4, NULL, 0);
}

static void test_reads_are_overtaken(void **state)
{
	int fd = client_new(&t);

	client_enable(fd);
	send_read(fd, 1000, READ_WAITS);
	/* any command is carried out meanwhile */
	client_put(fd, 0, PLAIN, 5, 4);
	assert_int_equal(client_get(fd, 0, PLAIN), 5);
	assert_int_equal(client_get(fd, CONFIG, 0), 0x56781234);
	/* this one lets the read go on */
	post_write(fd, OPENS, 1);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 1000);
	assert_int_equal(r.len, sizeof(struct vu_region_access) + 4);
	assert_int_equal(r.data[sizeof(struct vu_region_access)], 0x77);
	close(fd);
}

static void test_many_reads_wait(void **state)
{
	int fd = client_new(&t);
	unsigned seen = 0;

	client_enable(fd);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SLOW_READS; i++)
			send_read(fd, (uint16_t)(2000 + i), READ_WAITS);
		for (unsigned i = 0; i < SLOW_READS; i++)
			sem_wait(&inside);
		assert_int_equal(client_get(fd, 0, PLAIN), atomic_load(&plain));
		/* one more than there are threads: it waits for one of them */
		send_read(fd, 2000 + SLOW_READS, READ_WAITS);
		sem_wait(&inside);
		post_write(fd, PLAIN, round);
		sem_post(&gate);
		for (unsigned i = 0; i < SLOW_READS; i++)
			sem_post(&gate);
		for (unsigned i = 0; i <= SLOW_READS; i++) {
			assert_true(client_receive(fd, &r));
			assert_in_range(r.h.id, 2000, 2000 + SLOW_READS);
			seen |= 1u << (r.h.id - 2000);
		}
		assert_int_equal(seen, (2u << SLOW_READS) - 1);
		assert_int_equal(client_get(fd, 0, PLAIN), round);
	}
	close(fd);
}

/* What comes behind a write is not begun before it is done. */
static void test_writes_are_not_overtaken(void **state)
{
	int fd = client_new(&t);

	client_enable(fd);
	client_put(fd, 0, PLAIN, 0, 4);
	post_write(fd, WRITE_WAITS, 0);
	post_write(fd, PLAIN, 1);
	send_read(fd, 3000, PLAIN);
	sem_wait(&inside);
	/* long enough for a watch to see it */
	usleep(10000);
	assert_int_equal(atomic_load(&plain), 0);
	sem_post(&gate);
	assert_true(client_receive(fd, &r));
	assert_int_equal(r.h.id, 3000);
	assert_int_equal(r.data[sizeof(struct vu_region_access)], 1);
	close(fd);
}

/* A client that goes in the middle of reads leaves the device when these are done. */
static void test_client_dies_in_reads(void **state)
{
	int fd = client_new(&t);

	client_enable(fd);
	send_read(fd, 1, READ_WAITS);
	send_read(fd, 2, READ_WAITS);
	sem_wait(&inside);
	sem_wait(&inside);
	close(fd);
	sem_post(&gate);
	sem_post(&gate);
	assert_int_equal(test_await(&t, VU_SERVER_DISCONNECTED), 0);
	fd = client_new(&t);
	assert_int_equal(client_get(fd, CONFIG, 0), 0x56781234);
	close(fd);
}

/* The next one waits for a client that hung up, as long as that takes. */
static void test_next_client_waits(void **state)
{
	int fd = client_new(&t), next;
	struct vu_version v = { VU_MAJOR, VU_MINOR };

	client_enable(fd);
	send_read(fd, 1, READ_WAITS);
	sem_wait(&inside);
	close(fd);
	next = client_connect(&t);
	client_send(next, 9, VU_VERSION, 0, &v, sizeof(v), NULL, 0);
	test_await(&t, VU_SERVER_CONNECTED);
	test_await(&t, VU_SERVER_CONNECTED);
	sem_post(&gate);
	assert_true(client_receive(next, &r));
	assert_int_equal(r.h.flags & VU_FLAG_ERROR, 0);
	close(next);
}

static void test_server_ends_amid_reads(void **state)
{
	int fd = client_new(&t);

	client_enable(fd);
	send_read(fd, 1, READ_WAITS);
	sem_wait(&inside);
	sem_post(&gate);
	vu_server_free(t.server);
	t.server = NULL;
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads_are_overtaken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_reads_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writes_are_not_overtaken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_dies_in_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_client_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_ends_amid_reads, setup, teardown),
	};

	if (machine_register_model(&model, NULL))
		return 1;
	return cmocka_run_group_tests_name("vfio_user server: threads", tests, NULL, NULL);
}
