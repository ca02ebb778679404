/* SPDX-License-Identifier: BSD-3-Clause */
/* models/nvme/faults_test.c: commands that go wrong as a user wants it. */
#include "fault/test_fault_table.h"
#include "models/nvme/test_driver.h"

static struct drv *start(void)
{
	struct drv *d = drv_new(4u << 20, "/var/tmp", NULL, 0);

	enable(d);
	faults_begin(1);
	return d;
}

static void stop(struct drv *d)
{
	faults_end();
	unplug(d);
}

static struct nvme_cmd read_cmd(struct drv *d)
{
	return (struct nvme_cmd){ .opc = NVME_IO_READ,
				  .nsid = 1,
				  .prp1 = iova(alloc_at(d, 4096, 4096)) };
}

static void test_status(void **state)
{
	struct drv *d = start();
	struct queue *q = make_pair(d, 0, 16, 16);
	struct nvme_cmd cmd = read_cmd(d), flush = { .opc = NVME_IO_FLUSH, .nsid = 1 };

	faults_add("nvme.status,opc=2,qid=1,times=1");
	faults_add("nvme.status=0x4006,opc=0,nsid=1,cid=0-0xffff,times=1");
	assert_int_equal(SC(exec(d, q, &flush, NULL)), 6);
	assert_int_equal(exec(d, q, &flush, NULL), 0);
	assert_int_equal(SC(exec(d, q, &cmd, NULL)), 0x281);
	assert_int_equal(exec(d, q, &cmd, NULL), 0);
	stop(d);
}

static void test_lost(void **state)
{
	struct drv *d = start();
	struct queue *q = make_pair(d, 0, 16, 16);
	struct nvme_cmd cmd = read_cmd(d);
	struct nvme_cqe e;
	uint16_t cid;

	faults_add("nvme.lose-completion,qid=1,times=1");
	post(d, q, &cmd);
	cid = post(d, q, &cmd);
	reap(d, q, &e);
	assert_int_equal(e.cid, cid);
	assert_false(take(d, q, &e));
	/* its place in the completion queue is free: a queue's worth goes through */
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(exec(d, q, &cmd, NULL), 0);
	stop(d);
}

static void test_fatal(void **state)
{
	struct drv *d = start();
	struct queue *q = make_pair(d, 0, 16, 16);
	struct nvme_cmd cmd = read_cmd(d);
	struct nvme_cqe e;

	faults_add("nvme.csts-cfs,qid=1,after=1,times=1");
	assert_int_equal(exec(d, q, &cmd, NULL), 0);
	post(d, q, &cmd);
	wait_csts(d, NVME_CSTS_CFS, NVME_CSTS_CFS);
	assert_false(take(d, q, &e));
	disable(d);
	d->used = 0;
	enable(d);
	q = make_pair(d, 0, 16, 16);
	cmd = read_cmd(d);
	assert_int_equal(exec(d, q, &cmd, NULL), 0);
	stop(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
