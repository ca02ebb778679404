/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/migrate_test.c: a controller stops, is saved and loaded into another one, which goes
 * on: no command is lost or done twice, and what a driver set and saw is as before. States that
 * nobody saved are refused.
 */
#include "models/nvme/test_migrate.h"

#define IMAGE (4u << 20)

static uint32_t feature(struct drv *d, unsigned fid)
{
	uint32_t v;

	assert_int_equal(
		admin(d, (struct nvme_cmd){ .opc = NVME_ADM_GET_FEATURES, .cdw10 = fid }, &v), 0);
	return v;
}

static void set_feature(struct drv *d, unsigned fid, uint32_t value)
{
	assert_int_equal(admin(d,
			       (struct nvme_cmd){
				       .opc = NVME_ADM_SET_FEATURES, .cdw10 = fid, .cdw11 = value },
			       NULL),
			 0);
}

/* Fill blocks of the image with their numbers, so that a read of another block shows. */
static void number_blocks(struct drv *d)
{
	int fd = open(d->image, O_WRONLY);
	uint32_t block[128];

	for (uint32_t i = 0; i < IMAGE / 512; i++) {
		for (unsigned k = 0; k < 128; k++)
			block[k] = i;
		assert_int_equal(pwrite(fd, block, 512, i * 512), 512);
	}
	close(fd);
}

/* ---- what the driver set and saw ---- */

static void test_registers(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_smart *smart = (void *)(d->mem + buf);
	struct nvme_cmd get_smart = { .opc = NVME_ADM_GET_LOG,
				      .nsid = NVME_NSID_ALL,
				      .prp1 = iova(buf),
				      .cdw10 = NVME_LOG_SMART | 127 << 16 };
	struct nvme_cqe e;
	uint16_t aer;

	enable(d);
	make_pair(d, 0, 16, 16);
	set_feature(d, NVME_FEAT_IRQ_COALESCE, 0x1234);
	set_feature(d, NVME_FEAT_TEMPERATURE, 400);
	set_feature(d, NVME_FEAT_KEEP_ALIVE, 60000);
	set_feature(d, NVME_FEAT_ASYNC_EVENT, 0xff);
	wr(d, NVME_REG_INTMS, 4, 0x8000);
	/* one error in the log, one command counted, and a request that waits */
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, IMAGE, 1, iova(buf), 0))), NVME_LBA_RANGE);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(buf), 0)), 0);
	aer = post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
	migrate(d, NULL, 0);
	assert_int_equal(rd(d, NVME_REG_CC, 4), NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
	assert_int_equal(rd(d, NVME_REG_AQA, 4), 31 << 16 | 31);
	assert_int_equal(rd(d, NVME_REG_ASQ, 8), iova(d->admin.sq));
	assert_int_equal(rd(d, NVME_REG_ACQ, 8), iova(d->admin.cq));
	assert_int_equal(rd(d, NVME_REG_INTMS, 4), 0x8000);
	assert_int_equal(feature(d, NVME_FEAT_IRQ_COALESCE), 0x1234);
	assert_int_equal(feature(d, NVME_FEAT_TEMPERATURE), 400);
	assert_int_equal(feature(d, NVME_FEAT_KEEP_ALIVE), 60000);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(buf), 0)), 0);
	assert_int_equal(admin(d, get_smart, NULL), 0);
	assert_int_equal(smart->host_reads[0], 2);
	assert_int_equal(smart->error_entries[0], 1);
	/* the request that waited is answered here */
	wr(d, NVME_DOORBELLS + 8 * 40, 4, 1);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, aer);
	assert_int_equal(e.result & 7, 0);
	unplug(d);
}

/* A time that has a host's and does not count on the way says so. 5.21.1.14 */
static void test_timestamp(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	uint64_t buf = alloc_at(d, 4096, 4096), *time = (void *)(d->mem + buf);
	struct nvme_cmd set = { .opc = NVME_ADM_SET_FEATURES,
				.prp1 = iova(buf),
				.cdw10 = NVME_FEAT_TIMESTAMP };
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES,
				.prp1 = iova(buf),
				.cdw10 = NVME_FEAT_TIMESTAMP };

	enable(d);
	*time = 1000000;
	assert_int_equal(admin(d, set, NULL), 0);
	migrate(d, NULL, 0);
	assert_int_equal(admin(d, get, NULL), 0);
	assert_int_equal(*time >> 48, 3);
	assert_in_range(*time & 0xffffffffffff, 1000000, 1000000 + 60000);
	assert_int_equal(admin(d, set, NULL), 0);
	assert_int_equal(admin(d, get, NULL), 0);
	assert_int_equal(*time >> 48, 2);
	unplug(d);
}

/* ---- commands ---- */

/* Take what is there: each command once, and its block. Returns how many. */
static unsigned take_all(struct drv *d, struct queue *q, uint64_t bufs, uint64_t *seen)
{
	struct nvme_cqe e;
	unsigned n = 0;

	while (take(d, q, &e)) {
		unsigned i = e.cid & 63;

		assert_int_equal(e.status >> 1, 0);
		assert_false(*seen >> i & 1);
		*seen |= 1ull << i;
		assert_int_equal(*(uint32_t *)(d->mem + bufs + i * 512), i * 100);
		n++;
	}
	return n;
}

/*
 * Some commands are done, some wait for their time, some for a place in the completion queue: all
 * complete, once, half of them at the new place.
 */
static void queue_moves(bool buffers)
{
	static const struct pci_option slow = { "latency", "20ms" };
	struct drv *d = drv_new(IMAGE, "/dev/shm", &slow, 1);
	volatile uint32_t *db = NULL, *ei = NULL;
	uint64_t bufs, seen = 0, end;
	unsigned n = 0, first;
	struct queue *q;

	number_blocks(d);
	enable(d);
	if (buffers)
		doorbell_buffers(d, &db, &ei);
	q = make_pair(d, 0, 64, 8);
	bufs = alloc_at(d, 64 * 512, 4096);
	d->cid = 0;
	for (unsigned i = 0; i < 32; i++) {
		struct nvme_cmd c = rw(NVME_IO_READ, i * 100, 1, iova(bufs + i * 512), 0);

		put(d, q, &c);
	}
	if (buffers)
		db[2] = q->tail;
	ring_sq(d, q);
	stop_function(d->fn);
	first = n = take_all(d, q, bufs, &seen);
	assert_int_equal(n, 7); /* the completion queue is full */
	carry(d, NULL, 0);
	end = test_now() + 10000000000ull;
	while (n < 32) {
		unsigned more = take_all(d, q, bufs, &seen);

		assert_true(test_now() < end);
		n += more;
		if (!more && n != first)
			nap();
		if (buffers)
			db[3] = q->head;
		ring_cq(d, q);
	}
	assert_int_equal(seen, 0xffffffff);
	usleep(1000);
	assert_int_equal(take_all(d, q, bufs, &seen), 0);
	unplug(d);
}

static void test_queue(void **state)
{
	queue_moves(false);
}

static void test_buffers(void **state)
{
	queue_moves(true);
}

/* Stores of a driver to a stopped controller wait until that goes on, here or there. */
static void test_stopped(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 7, 1, iova(buf), 0);
	struct nvme_cqe e;
	struct queue *q;

	number_blocks(d);
	enable(d);
	q = make_pair(d, 0, 16, 16);
	for (int there = 0; there < 2; there++) {
		stop_function(d->fn);
		*(uint32_t *)(d->mem + buf) = 1;
		post(d, q, &c);
		/* not even a bad doorbell's event */
		wr(d, NVME_DOORBELLS + 8 * 40, 4, 1);
		usleep(2000);
		assert_false(take(d, q, &e));
		assert_int_equal(*(uint32_t *)(d->mem + buf), 1);
		if (there)
			carry(d, NULL, 0);
		else
			resume_function(d->fn);
		reap(d, q, &e);
		assert_int_equal(*(uint32_t *)(d->mem + buf), 7);
	}
	/* shutdown */
	stop_function(d->fn);
	wr(d, NVME_REG_CC, 4, rd(d, NVME_REG_CC, 4) | 1 << 14);
	usleep(2000);
	assert_int_equal(csts(d) & NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_BUSY);
	carry(d, NULL, 0);
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	/* enable */
	disable(d);
	stop_function(d->fn);
	enable(d);
	carry(d, NULL, 0);
	make_pair(d, 0, 16, 16);
	assert_int_equal(io(d, c), 0);
	/* reset */
	stop_function(d->fn);
	pci_function_reset(d->fn, UVFIO_RESET_FLR);
	resume_function(d->fn);
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	enable(d);
	make_pair(d, 0, 16, 16);
	assert_int_equal(io(d, c), 0);
	unplug(d);
}

/* A completion whose interrupt the driver did not get is told of again, by any kind of it. */
static void test_interrupts(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 7, 1, iova(buf), 0);
	struct nvme_cqe e;
	struct queue *q = &d->io[0];

	enable(d);
	queue_make(d, q, 1, 16, 16);
	assert_int_equal(create_cq(d, q, 3, true), 0);
	assert_int_equal(create_sq(d, q, 1), 0);
	assert_false(atomic_load(&d->irqs.intx_level));
	post(d, q, &c);
	WAIT(atomic_load(&d->irqs.intx_level));
	migrate(d, NULL, 0);
	assert_true(atomic_load(&d->irqs.intx_level));
	reap(d, q, &e);
	assert_false(atomic_load(&d->irqs.intx_level));
	pci_msix_enable(d->fn);
	for (unsigned i = 0; i < 4; i++)
		pci_msix_entry(d->fn, i, true);
	post(d, q, &c);
	WAIT(atomic_load(&d->irqs.msi[3]) == 1);
	stop_function(d->fn);
	{
		pci_function *to = other_function(d, NULL, 0);
		struct uvfio_state s;

		save_function(d->fn, &s);
		stop_function(to);
		assert_int_equal(load_bytes(to, s.buf, s.len), 0);
		pci_state_free(&s);
		free_function(d->fn);
		d->fn = to;
		test_irqs_watch(&d->irqs, to);
		pci_msix_enable(to);
		for (unsigned i = 0; i < 4; i++)
			pci_msix_entry(to, i, true);
		resume_function(to);
	}
	WAIT(atomic_load(&d->irqs.msi[3]) >= 1);
	unplug(d);
}

/* ---- images ---- */

static int try_load(struct drv *d, struct uvfio_state *s, const struct pci_option *more,
		    unsigned count)
{
	pci_function *to = other_function(d, more, count);
	int err;

	stop_function(to);
	err = load_bytes(to, s->buf, s->len);
	free_function(to);
	return err;
}

/* One of two has the images; who loads has them from then on. */
static void test_images(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	struct pci_option image = { "image", d->image };
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct uvfio_state s;
	pci_function *to;

	enable(d);
	make_pair(d, 0, 16, 16);
	to = other_function(d, NULL, 0);
	stop_function(d->fn);
	save_function(d->fn, &s);
	/* it went on, and has its image */
	resume_function(d->fn);
	stop_function(to);
	assert_int_equal(load_bytes(to, s.buf, s.len), -EBUSY);
	stop_function(d->fn);
	assert_int_equal(load_bytes(to, s.buf, s.len), 0);
	/* without `incoming` nobody even waits for it */
	assert_int_equal(pci_function_new(&model_nvme, "0000:02:00.0", 0, d->loop, &image, 1,
					  d->err, sizeof(d->err), &(pci_function *){ NULL }),
			 -EBUSY);
	/* and it cannot go on while the other one has it */
	resume_function(d->fn);
	assert_true(csts(d) & NVME_CSTS_CFS);
	/* a reset gives it back */
	pci_function_reset(to, UVFIO_RESET_FLR);
	resume_function(to);
	disable(d);
	enable(d);
	make_pair(d, 0, 16, 16);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 7, 1, iova(buf), 0)), 0);
	free_function(to);
	pci_state_free(&s);
	unplug(d);
}

static void test_other_images(void **state)
{
	static const struct pci_option no[][1] = {
		{ { "serial", "other" } }, { { "mdts", "3" } },		{ { "max_queues", "3" } },
		{ { "vectors", "3" } },	   { { "blocksize", "4096" } }, { { "readonly", "on" } },
	};
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	struct uvfio_state s;
	int fd;

	enable(d);
	stop_function(d->fn);
	save_function(d->fn, &s);
	assert_int_equal(try_load(d, &s, NULL, 0), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
		assert_int_equal(try_load(d, &s, no[i], 1), -EINVAL);
	make_image(d->image2, sizeof(d->image2), IMAGE, "/dev/shm");
	assert_int_equal(try_load(d, &s, (struct pci_option[]){ { "image", d->image2 } }, 1),
			 -EINVAL);
	/* another one that has the first's name */
	fd = open(d->image, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, IMAGE - 1), 1);
	assert_int_equal(try_load(d, &s, NULL, 0), -EINVAL);
	assert_int_equal(ftruncate(fd, IMAGE / 2), 0);
	assert_int_equal(try_load(d, &s, NULL, 0), -EINVAL);
	close(fd);
	pci_state_free(&s);
	unplug(d);
}

/* Blocks that are lost are so at the new place, too. */
static void test_lost(void **state)
{
	struct drv *d = drv_new(IMAGE, "/dev/shm", NULL, 0);
	struct nvme_cmd flush = { .opc = NVME_IO_FLUSH, .nsid = 1 };
	uint64_t buf = alloc_at(d, 4096, 4096);

	enable(d);
	make_pair(d, 0, 16, 16);
	assert_int_equal(truncate(d->image, IMAGE / 2), 0);
	assert_int_equal(SC(io(d, flush)), NVME_WRITE_FAULT);
	assert_int_equal(truncate(d->image, IMAGE), 0);
	assert_int_equal(SC(io(d, flush)), NVME_WRITE_FAULT);
	migrate(d, NULL, 0);
	assert_int_equal(SC(io(d, flush)), NVME_WRITE_FAULT);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, IMAGE / 1024, 1, iova(buf), 0))),
			 NVME_READ_ERROR);
	assert_int_equal(io(d, rw(NVME_IO_READ, IMAGE / 1024 - 1, 1, iova(buf), 0)), 0);
	unplug(d);
}

/* ---- states that nobody saved ---- */

/*
 * Each byte of the state is another one, twice: it is refused, or the controller does something
 * that it may do, and is as good as ever after a reset.
 */
static void test_damaged(void **state)
{
	static const struct pci_option few[] = { { "max_queues", "2" }, { "vectors", "3" } };
	struct drv *d = drv_new(IMAGE, "/dev/shm", few, 2);
	struct nvme_cmd c = { .opc = NVME_ADM_ASYNC_EVENT };
	volatile uint32_t *db, *ei;
	unsigned loaded = 0, refused = 0;
	struct uvfio_state s;
	pci_function *to;

	enable(d);
	doorbell_buffers(d, &db, &ei);
	make_pair(d, 0, 16, 16);
	post(d, &d->admin, &c);
	stop_function(d->fn);
	save_function(d->fn, &s);
	to = other_function(d, few, 2);
	for (size_t i = 0; i < s.len; i++)
		for (int how = 0; how < 2; how++) {
			uint8_t was = s.buf[i];

			/* config space and the doorbell page are others' business: a sample */
			if (s.len - i > 600 && i % 61)
				continue;
			s.buf[i] = how ? (uint8_t)~was : was ^ 1;
			stop_function(to);
			if (load_bytes(to, s.buf, s.len))
				refused++;
			else
				loaded++;
			if (i % 16 == 0 && !how)
				resume_function(to);
			pci_function_reset(to, UVFIO_RESET_FLR);
			resume_function(to);
			s.buf[i] = was;
		}
	for (size_t len = s.len - 600; len < s.len; len += 7) {
		stop_function(to);
		assert_int_equal(load_bytes(to, s.buf, len), -EINVAL);
		pci_function_reset(to, UVFIO_RESET_FLR);
		resume_function(to);
	}
	assert_true(loaded > 100 && refused > 500);
	free_function(d->fn);
	d->fn = to;
	pci_config_write(to, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	enable(d);
	make_pair(d, 0, 16, 16);
	assert_int_equal(io(d, rw(NVME_IO_READ, 7, 1, iova(d->io[0].sq), 0)), 0);
	pci_state_free(&s);
	unplug(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers), cmocka_unit_test(test_timestamp),
		cmocka_unit_test(test_queue),	  cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_stopped),	  cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_images),	  cmocka_unit_test(test_other_images),
		cmocka_unit_test(test_lost),	  cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
