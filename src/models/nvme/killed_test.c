/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/killed_test.c: the controller's process is killed, before each store that it makes
 * while a few commands are executed, and another one goes on: each command completes once, with
 * the status and the result that it has otherwise, and what can be read of it, counters, logs,
 * queues, is as if nothing had happened.
 *
 * Each test takes some of the stores, others every time; with UVFIO_LONG it takes all.
 */
#include <time.h>

#include "models/nvme/test_killed.h"

#define IMAGE (1u << 20)

static unsigned stride = 53;

static uint32_t random32(void)
{
	static uint64_t x;

	if (!x)
		x = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

/* Have stores to a completion queue count, too. */
static void watch_cq(struct far *f, unsigned i, const struct queue *q)
{
	f->k.shared->at[i] = q->cq;
	f->k.shared->size[i] = (q->cq_entries * 16 + 4095) & ~4095u;
}

static void start(struct far *f)
{
	enable(&f->drv);
	watch_cq(f, 0, &f->drv.admin);
	make_pair(&f->drv, 0, 16, 16);
	watch_cq(f, 1, &f->drv.io[0]);
}

/*
 * @prepare, then @act while the process is killed before one store or another; @check at the end.
 * Where @act was killed the next process may be so, too, while it carries on.
 */
static void sweep(void (*prepare)(struct far *f), void (*act)(struct far *f),
		  void (*check)(struct far *f), const struct pci_option *opts, unsigned num)
{
	bool killed = true;
	unsigned n;

	if (!CAN_COUNT_STORES)
		skip();
	for (n = 1 + random32() % stride; killed; n += stride) {
		struct far *f = far_new(IMAGE, "/dev/shm", opts, num);

		if (prepare)
			prepare(f);
		killed_arm(&f->k, (int)n);
		if (random32() % 2)
			f->k.arm_next = 1 + (int)(random32() % 60);
		act(f);
		killed = f->k.kills;
		f->k.arm_next = 0;
		killed_arm(&f->k, 0);
		if (check)
			check(f);
		far_free(f);
	}
	assert_true(n > 2 * stride); /* it was killed at all */
}

/* Take the next completion, which is to be that of @cid, and return its status. */
static uint16_t next(struct drv *d, struct queue *q, uint16_t cid, uint32_t *result)
{
	struct nvme_cqe e;

	reap(d, q, &e);
	assert_int_equal(e.cid, cid);
	if (result)
		*result = e.result;
	return SC(e.status >> 1);
}

/* Nothing completes that was not asked for. */
static void check_quiet(struct drv *d, struct queue *q)
{
	struct nvme_cqe e;

	csts(d);
	nap();
	assert_false(take(d, q, &e));
}

static void get_smart(struct drv *d, struct nvme_smart *smart)
{
	uint64_t buf = alloc_at(d, 4096, 4096);

	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .nsid = NVME_NSID_ALL,
						  .prp1 = iova(buf),
						  .cdw10 = NVME_LOG_SMART | 1 << 15 | 127 << 16 },
			       NULL),
			 0);
	memcpy(smart, d->mem + buf, sizeof(*smart));
}

/* ---- reads and writes ---- */

static uint64_t buf_out, buf_in;

static void act_data(struct far *f)
{
	struct drv *d = &f->drv;
	char zero[8192] = { 0 };

	buf_out = alloc_at(d, 8192, 4096);
	buf_in = alloc_at(d, 8192, 4096);
	for (uint32_t i = 0; i < 3; i++) {
		fill(d->mem + buf_out, 8192, i);
		assert_int_equal(
			io(d, rw(NVME_IO_WRITE, 16 * i, 16, iova(buf_out), iova(buf_out + 4096))),
			0);
		memset(d->mem + buf_in, 0, 8192);
		assert_int_equal(
			io(d, rw(NVME_IO_READ, 16 * i, 16, iova(buf_in), iova(buf_in + 4096))), 0);
		assert_memory_equal(d->mem + buf_in, d->mem + buf_out, 8192);
		/* the driver's again: nothing may come any more */
		memset(d->mem + buf_in, 0, 8192);
		csts(d);
		assert_memory_equal(d->mem + buf_in, zero, 8192);
	}
}

static void check_data(struct far *f)
{
	struct nvme_smart smart;

	check_quiet(&f->drv, &f->drv.io[0]);
	get_smart(&f->drv, &smart);
	assert_int_equal(smart.host_reads[0], 3);
	assert_int_equal(smart.host_writes[0], 3);
	assert_int_equal(smart.units_read[0], 1);
	assert_int_equal(smart.error_entries[0], 0);
}

static void test_data(void **state)
{
	sweep(start, act_data, check_data, NULL, 0);
}

/* Many at once, a full queue, which comes round, and entries that are used again at once. */
static void act_many(struct far *f)
{
	struct drv *d = &f->drv;
	struct queue *q = &d->io[0];
	uint64_t buf = alloc_at(d, 16 * 512, 4096);

	for (unsigned round = 0; round < 3; round++) {
		uint32_t seen = 0, all = 0;
		struct nvme_cqe e;

		memset(d->mem + buf, 0, 16 * 512);
		for (unsigned i = 0; i < 15; i++) {
			struct nvme_cmd cmd = rw(NVME_IO_READ, 2000 + i, 1, iova(buf) + i * 512, 0);

			d->cid = (uint16_t)(round << 8 | i);
			put(d, q, &cmd);
			all |= 1u << i;
		}
		ring_sq(d, q);
		while (seen != all) {
			reap(d, q, &e);
			assert_int_equal(e.cid >> 8, round);
			assert_int_equal(e.status >> 1, 0);
			assert_false(seen >> (e.cid & 15) & 1);
			seen |= 1u << (e.cid & 15);
			assert_int_equal(*(uint32_t *)(d->mem + buf + (e.cid & 15) * 512),
					 2000 + (e.cid & 15));
		}
		/* they were all fetched, so the driver may write there */
		memset(d->mem + q->sq, 0xff, 16 * 64);
	}
}

static void number_blocks(struct far *f)
{
	int fd = open(f->drv.image, O_WRONLY);
	uint32_t block[128] = { 0 };

	start(f);
	for (block[0] = 0; block[0] < IMAGE / 512; block[0]++)
		assert_int_equal(pwrite(fd, block, 512, block[0] * 512), 512);
	close(fd);
}

static void check_many(struct far *f)
{
	struct nvme_smart smart;

	check_quiet(&f->drv, &f->drv.io[0]);
	get_smart(&f->drv, &smart);
	assert_int_equal(smart.host_reads[0], 45);
}

static void test_many(void **state)
{
	sweep(number_blocks, act_many, check_many, NULL, 0);
}

/* Errors: each is once in the log, and once in its counter. */
static void act_errors(struct far *f)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);

	assert_int_equal(SC(io(d, rw(NVME_IO_READ, IMAGE, 1, iova(buf), 0))), NVME_LBA_RANGE);
	assert_int_equal(SC(io(d, (struct nvme_cmd){ .opc = 0x7f, .nsid = 1 })),
			 NVME_INVALID_OPCODE);
	assert_int_equal(SC(admin(d, (struct nvme_cmd){ .opc = 0x7f }, NULL)), NVME_INVALID_OPCODE);
}

static void check_errors(struct far *f)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_error_entry *e = (void *)(d->mem + buf);
	struct nvme_smart smart;

	get_smart(d, &smart);
	assert_int_equal(smart.error_entries[0], 3);
	assert_int_equal(smart.host_reads[0], 0);
	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .nsid = NVME_NSID_ALL,
						  .prp1 = iova(buf),
						  .cdw10 = NVME_LOG_ERROR | 1023 << 16 },
			       NULL),
			 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(e[i].error_count, 3 - i);
	assert_int_equal(e[0].sqid, 0);
	assert_int_equal(e[2].lba, IMAGE);
	assert_int_equal(e[3].error_count, 0);
}

static void test_errors(void **state)
{
	sweep(start, act_errors, check_errors, NULL, 0);
}

/* What needs a worker, and more than one file operation. */
static void act_workers(struct far *f)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 8192, 4096), zero = alloc_at(d, 4096, 4096),
		 range = alloc_at(d, 4096, 4096);
	struct nvme_cmd fua = rw(NVME_IO_WRITE, 8, 16, iova(buf), iova(buf + 4096));
	struct nvme_dsm_range *r = (void *)(d->mem + range);

	fill(d->mem + buf, 8192, 7);
	fua.cdw12 |= NVME_RW_FUA;
	assert_int_equal(io(d, fua), 0);
	fua.opc = NVME_IO_COMPARE;
	assert_int_equal(io(d, fua), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = NVME_NSID_ALL }),
			 0);
	assert_int_equal(io(d, rw(NVME_IO_WRITE_ZEROES, 8, 8, 0, 0)), 0);
	assert_int_equal(SC(io(d, rw(NVME_IO_COMPARE, 8, 8, iova(buf), 0))), NVME_COMPARE_FAILURE);
	r[0] = (struct nvme_dsm_range){ .lba = 16, .blocks = 8 };
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_DATASET,
						  .nsid = 1,
						  .prp1 = iova(range),
						  .cdw11 = NVME_DSM_AD }),
			 0);
	assert_int_equal(io(d, rw(NVME_IO_COMPARE, 16, 8, iova(zero), 0)), 0);
}

static void check_workers(struct far *f)
{
	struct nvme_smart smart;

	check_quiet(&f->drv, &f->drv.io[0]);
	get_smart(&f->drv, &smart);
	assert_int_equal(smart.host_writes[0], 1);
	assert_int_equal(smart.host_reads[0], 2);
	assert_int_equal(smart.error_entries[0], 1);
	assert_int_equal(smart.media_errors[0], 0);
}

static void test_workers(void **state)
{
	sweep(start, act_workers, check_workers, NULL, 0);
}

/* ---- admin commands ---- */

static void act_queues(struct far *f)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd read = rw(NVME_IO_READ, 0, 1, iova(buf), 0);

	for (unsigned round = 0; round < 2; round++) {
		queue_make(d, &d->io[1], 2, 8, 8);
		assert_int_equal(create_cq(d, &d->io[1], 0, true), 0);
		assert_int_equal(SC(create_cq(d, &d->io[1], 0, true)), NVME_INVALID_QID);
		assert_int_equal(create_sq(d, &d->io[1], 2), 0);
		assert_int_equal(SC(create_sq(d, &d->io[1], 2)), NVME_INVALID_QID);
		assert_int_equal(exec(d, &d->io[1], &read, NULL), 0);
		assert_int_equal(SC(delete_cq(d, 2)), NVME_INVALID_QDELETE);
		assert_int_equal(delete_sq(d, 2), 0);
		assert_int_equal(SC(delete_sq(d, 2)), NVME_INVALID_QID);
		assert_int_equal(delete_cq(d, 2), 0);
		assert_int_equal(SC(delete_cq(d, 2)), NVME_INVALID_QID);
	}
}

static void test_queues(void **state)
{
	sweep(start, act_queues, NULL, NULL, 0);
}

/* A queue is deleted whose commands wait. */
static void act_delete(struct far *f)
{
	struct drv *d = &f->drv;
	struct queue *q = &d->io[0];
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd read = rw(NVME_IO_READ, 0, 1, iova(buf), 0);
	uint16_t cid[2], del;
	struct nvme_cqe e;

	cid[0] = put(d, q, &read);
	cid[1] = post(d, q, &read);
	del = post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_DELETE_SQ, .cdw10 = 1 });
	assert_int_equal(next(d, &d->admin, del, NULL), 0);
	/* what was fetched has completed before; what was not is gone */
	for (unsigned i = 0; i < 2 && take(d, q, &e); i++) {
		assert_int_equal(e.cid, cid[i]);
		assert_int_equal(e.status >> 1, 0);
	}
	check_quiet(d, q);
	assert_int_equal(delete_cq(d, 1), 0);
}

static void test_delete(void **state)
{
	sweep(start, act_delete, NULL, (struct pci_option[]){ { "latency", "2ms" } }, 1);
}

/* Requests that wait, events of which each comes once, and one request too many. */
static void act_events(struct far *f)
{
	struct drv *d = &f->drv;
	struct queue *a = &d->admin;
	struct nvme_cmd hot = { .opc = NVME_ADM_SET_FEATURES,
				.cdw10 = NVME_FEAT_TEMPERATURE,
				.cdw11 = 300 };
	struct nvme_cmd aer = { .opc = NVME_ADM_ASYNC_EVENT };
	struct nvme_cmd log = { .opc = NVME_ADM_GET_LOG,
				.nsid = NVME_NSID_ALL,
				.prp1 = iova(alloc_at(d, 4096, 4096)),
				.cdw10 = NVME_LOG_SMART | 127 << 16 };
	uint16_t cid[5], set;
	struct nvme_cqe e;
	uint32_t result;

	for (unsigned i = 0; i < 5; i++)
		cid[i] = post(d, a, &aer);
	assert_int_equal(next(d, a, cid[4], NULL), NVME_AER_LIMIT);
	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES,
						  .cdw10 = NVME_FEAT_ASYNC_EVENT,
						  .cdw11 = 0xff },
			       NULL),
			 0);
	set = post(d, a, &hot);
	for (unsigned i = 0; i < 2; i++) {
		reap(d, a, &e);
		assert_int_equal(e.status >> 1, 0);
		assert_true(e.cid == set || e.cid == cid[0]);
		set = e.cid == set ? 0xffff : set;
		cid[0] = e.cid == cid[0] ? 0xffff : cid[0];
		if (e.cid != set && e.result)
			assert_int_equal(e.result, NVME_LOG_SMART << 16 | 1 << 8 | 1);
	}
	/* the same again waits until the page was read */
	hot.cdw11 = 400;
	assert_int_equal(admin(d, hot, NULL), 0);
	hot.cdw11 = 300;
	assert_int_equal(admin(d, hot, NULL), 0);
	check_quiet(d, a);
	assert_int_equal(admin(d, log, NULL), 0);
	assert_int_equal(next(d, a, cid[1], &result), 0);
	assert_int_equal(result, NVME_LOG_SMART << 16 | 1 << 8 | 1);
	check_quiet(d, a);
	/* one is called back */
	set = post(d, a,
		   &(struct nvme_cmd){ .opc = NVME_ADM_ABORT, .cdw10 = (uint32_t)cid[3] << 16 });
	assert_int_equal(next(d, a, cid[3], NULL), NVME_ABORT_REQUESTED);
	assert_int_equal(next(d, a, set, &result), 0);
	assert_int_equal(result, 0);
	/* and is not there any more */
	assert_int_equal(
		admin(d,
		      (struct nvme_cmd){ .opc = NVME_ADM_ABORT, .cdw10 = (uint32_t)cid[3] << 16 },
		      &result),
		0);
	assert_int_equal(result, 1);
	/* the last one: a doorbell of no queue */
	wr(d, NVME_DOORBELLS + 8 * 40, 4, 1);
	assert_int_equal(next(d, a, cid[2], &result), 0);
	assert_int_equal(result & 0xffff, 0);
	check_quiet(d, a);
}

static void test_events(void **state)
{
	sweep(start, act_events, NULL, NULL, 0);
}

static void act_features(struct far *f)
{
	struct drv *d = &f->drv;
	uint32_t v;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(admin(d,
				       (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES,
							  .cdw10 = NVME_FEAT_IRQ_COALESCE,
							  .cdw11 = 0x1230 + i },
				       NULL),
				 0);
		assert_int_equal(admin(d,
				       (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES,
							  .cdw10 = NVME_FEAT_WRITE_CACHE,
							  .cdw11 = i },
				       NULL),
				 0);
		assert_int_equal(admin(d,
				       (struct nvme_cmd){ .opc = NVME_ADM_GET_FEATURES,
							  .cdw10 = NVME_FEAT_IRQ_COALESCE },
				       &v),
				 0);
		assert_int_equal(v, 0x1230 + i);
		assert_int_equal(admin(d,
				       (struct nvme_cmd){ .opc = NVME_ADM_GET_FEATURES,
							  .cdw10 = NVME_FEAT_WRITE_CACHE },
				       &v),
				 0);
		assert_int_equal(v, i);
	}
}

static void test_features(void **state)
{
	sweep(start, act_features, NULL, NULL, 0);
}

static void act_buffers(struct far *f)
{
	struct drv *d = &f->drv;
	struct queue *q = &d->io[0];
	volatile uint32_t *db, *ei;
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd read = rw(NVME_IO_READ, 5, 1, iova(buf), 0);

	doorbell_buffers(d, &db, &ei);
	for (unsigned i = 0; i < 4; i++) {
		uint16_t cid = put(d, q, &read);

		db[2] = q->tail;
		wr(d, NVME_DOORBELLS + 8, 4, q->tail);
		assert_int_equal(next(d, q, cid, NULL), 0);
		db[3] = q->head;
	}
}

static void test_buffers(void **state)
{
	sweep(start, act_buffers, NULL, NULL, 0);
}

/* ---- registers ---- */

static void act_enable(struct far *f)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd id = { .opc = NVME_ADM_IDENTIFY, .prp1 = iova(buf), .cdw10 = 1 };

	for (unsigned i = 0; i < 3; i++) {
		enable(d);
		assert_int_equal(admin(d, id, NULL), 0);
		assert_int_equal(create_cq(d, &d->admin, 0, false) == 0, false);
		post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
		if (i == 1) {
			killed_reset(&f->k);
			assert_int_equal(rd(d, NVME_REG_CC, 4), 0);
			assert_int_equal(rd(d, NVME_REG_AQA, 4), 0);
			assert_int_equal(csts(d), 0);
			continue;
		}
		wr(d, NVME_REG_CC, 4, (uint32_t)rd(d, NVME_REG_CC, 4) | 1 << 14);
		wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
		disable(d);
		assert_int_equal(csts(d), 0);
	}
	/* what cannot be enabled */
	wr(d, NVME_REG_ASQ, 8, 0x1000);
	wr(d, NVME_REG_AQA, 4, 0);
	wr(d, NVME_REG_CC, 4, NVME_CC_EN);
	assert_int_equal(csts(d), NVME_CSTS_CFS);
	disable(d);
	wr(d, NVME_REG_INTMS, 4, 5);
	wr(d, NVME_REG_INTMC, 4, 4);
	assert_int_equal(rd(d, NVME_REG_INTMS, 4), 1);
}

static void test_enable(void **state)
{
	sweep(NULL, act_enable, NULL, NULL, 0);
}

/* ---- at rest ---- */

/* The entry was posted, and the message may not have arrived: it is sent again. */
static void test_interrupt(void **state)
{
	struct far *f = far_new(IMAGE, "/dev/shm", NULL, 0);
	struct drv *d = &f->drv;
	struct queue *q = &d->io[0];
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd read = rw(NVME_IO_READ, 0, 1, iova(buf), 0);
	uint16_t cid;
	int before;

	enable(d);
	queue_make(d, q, 1, 8, 8);
	assert_int_equal(create_cq(d, q, 1, true), 0);
	assert_int_equal(create_sq(d, q, 1), 0);
	cid = post(d, q, &read);
	WAIT(*(volatile uint16_t *)(d->mem + q->cq + 14) & 1);
	csts(d);
	before = atomic_load(&f->k.shared->irqs);
	killed_kill(&f->k);
	WAIT(atomic_load(&f->k.shared->irqs) > before);
	assert_int_equal(next(d, q, cid, NULL), 0);
	/* an empty queue needs none */
	csts(d);
	before = atomic_load(&f->k.shared->irqs);
	killed_kill(&f->k);
	csts(d);
	assert_int_equal(atomic_load(&f->k.shared->irqs), before);
	far_free(f);
}

/* ---- what cannot be gone on from ---- */

static pci_function *another(struct far *f)
{
	pci_function *fn;
	char err[256];

	if (pci_function_new(&model_nvme, "0000:01:00.0", 0, f->drv.loop, f->k.opts, f->k.num_opts,
			     err, sizeof(err), &fn))
		fail_msg("%s", err);
	stop_function(fn);
	assert_int_equal(pci_lasting_map(fn, f->k.kept, 0, true), 0);
	return fn;
}

/* Change what was kept, and see it refused; then the controller is as new. */
static void refused(struct far *f, size_t offset, uint64_t value, size_t size)
{
	static uint8_t all[sizeof(struct nvme_kept)];
	pci_function *fn;
	uint64_t v;

	assert_int_equal(pread(f->k.kept, all, sizeof(all), 0), sizeof(all));
	assert_int_equal(pwrite(f->k.kept, &value, size, (off_t)offset), size);
	fn = another(f);
	assert_int_equal(pci_function_carry_on(fn), -EINVAL);
	assert_int_equal(pci_lasting_unmap(fn, false), 0);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	resume_function(fn);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_bar_read(fn, 0, NVME_REG_CC, 4, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(pci_bar_read(fn, 0, NVME_REG_CSTS, 4, &v), 0);
	assert_int_equal(v, 0);
	pci_function_free(fn);
	assert_int_equal(pwrite(f->k.kept, all, sizeof(all), 0), sizeof(all));
}

static void test_refused(void **state)
{
	struct far *f = far_new(IMAGE, "/dev/shm", NULL, 0);
	off_t slot = align_up(sizeof(struct nvme_kept), 4096) +
		     NVME_SLOTS * sizeof(union nvme_slot) + offsetof(union nvme_slot, state);

	enable(&f->drv);
	make_pair(&f->drv, 0, 8, 8);
	assert_int_equal(io(&f->drv, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	kill(f->k.pid, SIGKILL);
	assert_int_equal(waitpid(f->k.pid, NULL, 0), f->k.pid);
	f->drv.loop = loop_new();
	refused(f, offsetof(struct nvme_kept, layout), 1, 8);
	refused(f, offsetof(struct nvme_kept, blocks), 77, 8);
	refused(f, offsetof(struct nvme_kept, max_queues), 3, 4);
	refused(f, offsetof(struct nvme_kept, cc), 0, 4);
	refused(f, offsetof(struct nvme_kept, sq[0].size), 1, 4);
	refused(f, offsetof(struct nvme_kept, sq[0].head), 5000, 4);
	refused(f, offsetof(struct nvme_kept, sq[3].cqid), 70, 2);
	refused(f, offsetof(struct nvme_kept, cq[0].top), 100000, 4);
	refused(f, offsetof(struct nvme_kept, cache[0].turn), 2, 4);
	/* the first slot of queue 1 has a command of queue 2, which completes elsewhere */
	refused(f, (size_t)slot, NVME_SLOT_FETCHED | 2u << 8, 2);
	assert_int_equal(pwrite(f->k.kept, "", 1, slot), 1);
	loop_free(f->drv.loop);
	/* and as it was it is taken */
	killed_start(&f->k, true);
	assert_int_equal(csts(&f->drv), NVME_CSTS_RDY);
	far_free(f);
}

/* ---- a sync that was under way ---- */

/* A block that was acknowledged, and a kill in the middle of a sync. */
static void kill_in_sync(struct far *f, int denied)
{
	struct drv *d = &f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);
	uint32_t on = 1;

	enable(d);
	make_pair(d, 0, 8, 8);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 9, 1, iova(buf), 0)), 0);
	assert_int_equal(pwrite(f->k.kept, &on, 4, offsetof(struct nvme_kept, cache[0].syncing)),
			 4);
	f->denied = denied;
	killed_kill(&f->k);
	f->denied = 0;
}

/* The file system knows of no error: nothing is lost. */
static void test_sync(void **state)
{
	struct far *f = far_new(IMAGE, ".", NULL, 0);
	struct drv *d = &f->drv;
	uint64_t buf;

	kill_in_sync(f, 0);
	buf = alloc_at(d, 4096, 4096);
	assert_int_equal(io(d, rw(NVME_IO_READ, 9, 1, iova(buf), 0)), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	far_free(f);
}

static void test_sync_failed(void **state)
{
	struct far *f = far_new(IMAGE, ".", NULL, 0);
	struct drv *d = &f->drv;
	uint64_t buf;

	kill_in_sync(f, SYS_syncfs);
	buf = alloc_at(d, 4096, 4096);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 9, 1, iova(buf), 0))), NVME_READ_ERROR);
	assert_int_equal(io(d, rw(NVME_IO_READ, 8, 1, iova(buf), 0)), 0);
	/* and it is so in the next process */
	killed_kill(&f->k);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 9, 1, iova(buf), 0))), NVME_READ_ERROR);
	assert_int_equal(SC(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 })),
			 NVME_WRITE_FAULT);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 9, 1, iova(buf), 0)), 0);
	killed_kill(&f->k);
	assert_int_equal(io(d, rw(NVME_IO_READ, 9, 1, iova(buf), 0)), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	far_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),	  cmocka_unit_test(test_many),
		cmocka_unit_test(test_errors),	  cmocka_unit_test(test_workers),
		cmocka_unit_test(test_queues),	  cmocka_unit_test(test_delete),
		cmocka_unit_test(test_events),	  cmocka_unit_test(test_features),
		cmocka_unit_test(test_buffers),	  cmocka_unit_test(test_enable),
		cmocka_unit_test(test_interrupt), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sync),	  cmocka_unit_test(test_sync_failed),
	};

	if (getenv("UVFIO_LONG"))
		stride = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
