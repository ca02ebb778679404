/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/delay_test.c: latency=. No completion comes before its time nor in the driver's
 * thread; what waits when its queue is deleted, the controller is reset, shut down or quiesced.
 */
#include "models/nvme/test_driver.h"

#define SIZE (4u << 20)
#define DNR  (NVME_DNR | NVME_MORE)

/*
 * Interrupts that came in this thread. Each thread counts its own, so that one which is late in a
 * thread of the device races with nothing here.
 */
static __thread unsigned mine;

static void sink(void *arg, unsigned vector)
{
	mine++;
	test_on_msi(arg, vector);
}

static struct drv *delayed(const char *latency)
{
	struct pci_option o = { "latency", latency };
	struct drv *d = drv_new(SIZE, "/var/tmp", &o, 1);

	enable(d);
	return d;
}

/* With a latency that nobody wants to wait for: quiesce lets go what waits. */
static uint16_t at_once(struct drv *d, struct queue *q, struct nvme_cmd cmd)
{
	struct nvme_cqe e;

	post(d, q, &cmd);
	pci_function_quiesce(d->fn);
	assert_true(take(d, q, &e)); /* it is there when that returns */
	ring_cq(d, q);
	return e.status >> 1;
}

static struct queue *pair_at_once(struct drv *d, unsigned i, unsigned entries)
{
	struct queue *q = &d->io[i];

	queue_make(d, q, i + 1, entries, entries);
	assert_int_equal(at_once(d, &d->admin,
				 (struct nvme_cmd){ .opc = NVME_ADM_CREATE_CQ,
						    .prp1 = iova(q->cq),
						    .cdw10 = (entries - 1) << 16 | q->id,
						    .cdw11 = 1 }),
			 0);
	assert_int_equal(at_once(d, &d->admin,
				 (struct nvme_cmd){ .opc = NVME_ADM_CREATE_SQ,
						    .prp1 = iova(q->sq),
						    .cdw10 = (entries - 1) << 16 | q->id,
						    .cdw11 = q->id << 16 | 1 }),
			 0);
	return q;
}

static void test_option(void **state)
{
	static const char *const bad[] = {
		"",
		"10",
		"us",
		"-5us",
		"5us-",
		"5us-2us",
		"2ms-1500us",
		"61s",
		"1x",
		"5 us",
		"5us-2ms-3ms",
		"0x10us",
		"1e3us",
		"+1us",
		"10usec",
		"99999999999999999999ns",
		"18446744073709551615s",
		"60000000001ns",
	};
	static const char *const good[] = { "0",  "0us",   "10us",    "5us-2ms",
					    "1s", "0-1ns", "1ns-60s", "7ms-7ms" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct drv *d = calloc(1, sizeof(*d));
		struct pci_option o[2] = { { "image", d->image }, { "latency", bad[i] } };

		log_set(2, LOG_NONE);
		make_image(d->image, sizeof(d->image), SIZE, "/var/tmp");
		assert_true(plug_in(d, o, 2) < 0);
		if (!strstr(d->err, "latency="))
			fail_msg("latency=%s: %s", bad[i], d->err);
		unplug(d);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pci_option o = { "latency", good[i] };

		unplug(drv_new(SIZE, "/var/tmp", &o, 1));
	}
}

#define LATENCY 20000000ull /* ns */

/*
 * Stores to a doorbell that lasted until a completion was due: then this thread may be the one that
 * tells of it, while the timer's has posted it.
 */
static unsigned late;

/*
 * Wait for the interrupt that is not one of @before: the entry of a completion is there earlier,
 * and the next doorbell would send what is still due.
 */
static void told_of(struct drv *d, int before)
{
	uint64_t end = test_now() + 10000000000ull;

	while (atomic_load(&d->irqs.msi[0]) == before) {
		assert_true(test_now() < end);
		nap();
	}
}

/* From before it is rung until it is there. */
static uint64_t took(struct drv *d, struct queue *q, struct nvme_cmd cmd, uint16_t status)
{
	int before = atomic_load(&d->irqs.msi[0]);
	uint64_t from = test_now(), time;
	uint16_t cid = post(d, q, &cmd);
	struct nvme_cqe e;

	late += test_now() - from >= LATENCY;
	reap(d, q, &e);
	time = test_now() - from;
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.status >> 1, status);
	if (!q->id) /* the other has no interrupt */
		told_of(d, before);
	return time;
}

static void test_not_before(void **state)
{
	struct drv *d = *state = delayed("20ms");
	const struct pci_irq_sink own = { .msi = sink, .arg = &d->irqs };
	uint64_t a = alloc_at(d, 4096, 4096), from;
	struct nvme_cmd c = rw(NVME_IO_WRITE, 0, 8, iova(a), 0), unknown = { .opc = 0x7f };
	struct nvme_cqe e;
	struct queue *q;
	int before;
	uint16_t event;

	pci_set_irq_sink(d->fn, &own);
	pci_msix_enable(d->fn);
	pci_msix_entry(d->fn, 0, true);
	q = make_pair(d, 0, 64, 64);
	told_of(d, 0);
	told_of(d, 1); /* of the two commands; the second of them may have told of the first */
	mine = late = 0;
	assert_true(took(d, q, c, 0) >= LATENCY); /* on the spot, by way of a thread, refused */
	c.cdw12 |= NVME_RW_FUA;
	assert_true(took(d, q, c, 0) >= LATENCY);
	assert_true(took(d, q, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }, 0) >= LATENCY);
	c = rw(NVME_IO_READ, SIZE, 8, iova(a), 0);
	assert_true(took(d, q, c, NVME_LBA_RANGE | DNR) >= LATENCY);
	c = (struct nvme_cmd){ .opc = NVME_ADM_IDENTIFY, .cdw10 = 1, .prp1 = iova(a) };
	assert_true(took(d, &d->admin, c, 0) >= LATENCY);
	assert_true(took(d, &d->admin, unknown, NVME_INVALID_OPCODE | DNR) >= LATENCY);
	c = (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE };
	assert_true(took(d, &d->admin, c, 0) >= LATENCY);
	/* an event, from what made it */
	event = post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
	assert_true(took(d, &d->admin, unknown, NVME_INVALID_OPCODE | DNR) >= LATENCY);
	before = atomic_load(&d->irqs.msi[0]);
	from = test_now();
	wr(d, NVME_DOORBELLS + 8 * 5, 4, 1);
	late += test_now() - from >= LATENCY;
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, event);
	assert_true(test_now() - from >= LATENCY);
	told_of(d, before);
	assert_true(mine <= late);
	/* a fixed time keeps the order */
	for (unsigned round = 0; round < 4; round++) {
		uint16_t first = d->cid;

		c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
		for (unsigned i = 0; i < 20; i++)
			put(d, q, &c);
		ring_sq(d, q);
		for (unsigned i = 0; i < 20; i++) {
			reap(d, q, &e);
			assert_int_equal(e.cid, (uint16_t)(first + i));
			assert_int_equal(e.status >> 1, 0);
		}
	}
	c = (struct nvme_cmd){ .opc = NVME_ADM_DELETE_SQ, .cdw10 = 1 };
	assert_true(took(d, &d->admin, c, 0) >= LATENCY);
}

/*
 * Of a range each command draws its own: they come in another order, each once, also where the
 * completion queue is small.
 */
static void test_range(void **state)
{
	struct drv *d = *state = delayed("0-2ms");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);

	for (unsigned pair = 0; pair < 2; pair++) {
		struct queue *q = make_pair(d, pair, 64, pair ? 4 : 64);
		unsigned disorder = 0, seen = 0;

		for (unsigned round = 0; round < 8; round++) {
			uint16_t first = d->cid;
			uint64_t got = 0;
			struct nvme_cqe e;

			for (unsigned i = 0; i < 60; i++) {
				c.cdw12 = 7 | (i % 8 ? 0 : NVME_RW_FUA);
				put(d, q, &c);
			}
			ring_sq(d, q);
			for (unsigned i = 0; i < 60; i++) {
				uint16_t k;

				reap(d, q, &e);
				k = (uint16_t)(e.cid - first);
				assert_true(k < 60 && !(got >> k & 1));
				assert_int_equal(e.status >> 1, 0);
				got |= 1ull << k;
				disorder += k != i;
				seen++;
			}
		}
		assert_int_equal(seen, 8 * 60);
		assert_true(disorder > 0);
	}
}

/* Fetched commands complete, in their time; then the deletion does; then nothing comes. */
static void test_delete(void **state)
{
	struct drv *d = *state = delayed("1ms-20ms");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd del = { .opc = NVME_ADM_DELETE_SQ, .cdw10 = 1 };
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);

	for (int round = 0; round < 5; round++) {
		struct queue *q = &d->io[0];
		struct nvme_cqe e;
		unsigned n = 0;

		d->used = a + 4096;
		make_pair(d, 0, 64, 64);
		for (int i = 0; i < 30; i++)
			put(d, q, &c);
		ring_sq(d, q);
		assert_int_equal(exec(d, &d->admin, &del, NULL), 0);
		while (take(d, q, &e))
			n++;
		assert_int_equal(n, 30); /* that many are fetched by the doorbell itself */
		assert_int_equal(delete_cq(d, 1), 0);
	}
}

/* A driver that asks for one of them back is told no, and it comes. */
static void test_abort(void **state)
{
	struct drv *d = *state = delayed("60s");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0), abort = { .opc = NVME_ADM_ABORT };
	struct queue *q = pair_at_once(d, 0, 16);
	uint16_t cid = post(d, q, &c), acid;
	struct nvme_cqe e;

	abort.cdw10 = (uint32_t)cid << 16 | 1;
	acid = post(d, &d->admin, &abort);
	assert_false(take(d, q, &e));
	assert_false(take(d, &d->admin, &e));
	pci_function_quiesce(d->fn);
	assert_true(take(d, q, &e));
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.status >> 1, 0);
	assert_true(take(d, &d->admin, &e));
	assert_int_equal(e.cid, acid);
	assert_int_equal(e.result, 1);
}

static void test_quiesce(void **state)
{
	struct drv *d = *state = delayed("60s");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
	struct queue *q = pair_at_once(d, 0, 64);
	struct nvme_cqe e;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++) {
			c.cdw12 = 7 | (i % 4 ? 0 : NVME_RW_FUA);
			put(d, q, &c);
		}
		ring_sq(d, q);
		assert_false(take(d, q, &e));
		pci_function_quiesce(d->fn);
		for (int i = 0; i < 20; i++) {
			assert_true(take(d, q, &e));
			assert_int_equal(e.status >> 1, 0);
		}
		assert_false(take(d, q, &e));
		ring_cq(d, q);
	}
}

/* A reset of either kind: at once, and nothing is posted, then or later. */
static void test_reset(void **state)
{
	struct drv *d = *state = delayed("100ms");
	uint64_t a = alloc_at(d, 4096, 4096), from;
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
	struct queue *q = &d->io[0];

	for (int round = 0; round < 4; round++) {
		unsigned posted = 0;

		d->used = a + 4096;
		pair_at_once(d, 0, 64);
		for (int i = 0; i < 30; i++)
			put(d, q, &c);
		put(d, &d->admin, &(struct nvme_cmd){ .opc = 0x7f });
		from = test_now();
		ring_sq(d, q);
		ring_sq(d, &d->admin);
		if (round % 2)
			pci_function_reset(d->fn, UVFIO_RESET_FLR);
		else
			disable(d);
		/* on a machine that stood still they were there before */
		for (unsigned i = 0; i < 64; i++)
			posted += ((struct nvme_cqe *)(d->mem + q->cq))[i].status != 0;
		assert_true(!posted || test_now() - from >= 100000000);
		while (test_now() < from + 150000000)
			nap();
		for (unsigned i = 0; i < 64; i++)
			posted -= ((struct nvme_cqe *)(d->mem + q->cq))[i].status != 0;
		assert_int_equal(posted, 0);
		pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		enable(d);
	}
}

/* In D3hot there is no DMA: what waits is dropped without a word, and the way back is a reset. */
static void test_sleep(void **state)
{
	struct drv *d = *state = delayed("60s");
	char path[] = "/var/tmp/uvfio-nvme-log-XXXXXX";
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
	struct queue *q = pair_at_once(d, 0, 64);
	int fd = mkstemp(path);
	struct nvme_cqe e;
	unsigned pm;

	assert_true(fd >= 0);
	log_set(fd, LOG_WARN);
	for (int i = 0; i < 20; i++)
		put(d, q, &c);
	ring_sq(d, q);
	for (pm = pci_config_read(d->fn, PCI_CAPABILITY_LIST, 1);
	     pci_config_read(d->fn, pm, 1) != PCI_CAP_ID_PM;)
		pm = pci_config_read(d->fn, pm + 1, 1);
	pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 3);
	assert_false(take(d, q, &e));
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 0);
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(csts(d), 0);
	log_set(2, LOG_NONE);
	close(fd);
	unlink(path);
}

/* 7.6.2: a shutdown does not wait for them; they come all the same. */
static void test_shutdown(void **state)
{
	struct drv *d = *state = delayed("60s");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
	struct queue *q = pair_at_once(d, 0, 64);
	struct nvme_cqe e;

	for (int i = 0; i < 20; i++)
		put(d, q, &c);
	ring_sq(d, q);
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN | 1 << 14);
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	assert_false(take(d, q, &e));
	pci_function_quiesce(d->fn);
	for (int i = 0; i < 20; i++)
		assert_true(take(d, q, &e));
}

/*
 * Gone with commands that wait: the teardown of each test, and here with many of them in a range.
 */
static void test_gone(void **state)
{
	struct drv *d = *state = delayed("1s-60s");
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 8, iova(a), 0);
	struct queue *q = pair_at_once(d, 0, 1024);

	for (int i = 0; i < 1000; i++) {
		c.cdw12 = 7 | (i % 4 ? 0 : NVME_RW_FUA);
		put(d, q, &c);
	}
	ring_sq(d, q);
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

/*
 * More commands than can be under way, of two queues that complete in one, whose driver tells of no
 * completion that it took before it has them all.
 */
static void test_more(void **state)
{
	struct drv *d = delayed("2ms");
	struct queue *a = make_pair(d, 0, 1024, 4096), *b = &d->io[1];
	uint64_t end = test_now() + 20000000000ull, buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd cmd = rw(NVME_IO_READ, 0, 1, iova(buf), 0);
	unsigned done = 0;

	*state = d;
	queue_make(d, b, 2, 1024, 2);
	assert_int_equal(create_sq(d, b, 1), 0);
	for (unsigned i = 0; i < 1000; i++) {
		put(d, a, &cmd);
		put(d, b, &cmd);
	}
	ring_sq(d, a);
	ring_sq(d, b);
	while (done < 2000) {
		struct nvme_cqe *e = (void *)(d->mem + a->cq + done * 16);

		if (!(__atomic_load_n(&e->status, __ATOMIC_ACQUIRE) & 1)) {
			assert_true(test_now() < end);
			nap();
			continue;
		}
		assert_int_equal(e->status >> 1, 0);
		done++;
	}
}

/* Quiesce waits for all that was rung, but not for the time of any. */
static void test_more_quiesced(void **state)
{
	struct drv *d = delayed("20s");
	struct queue *q = pair_at_once(d, 0, 1024);
	uint64_t begin = test_now(), buf = alloc_at(d, 4096, 4096);
	struct nvme_cmd cmd = rw(NVME_IO_READ, 0, 1, iova(buf), 0);
	struct nvme_cqe e;

	*state = d;
	for (unsigned i = 0; i < 1000; i++)
		put(d, q, &cmd);
	ring_sq(d, q);
	pci_function_quiesce(d->fn);
	assert_true(test_now() - begin < 15000000000ull);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(take(d, q, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option),
		cmocka_unit_test_teardown(test_not_before, teardown),
		cmocka_unit_test_teardown(test_range, teardown),
		cmocka_unit_test_teardown(test_delete, teardown),
		cmocka_unit_test_teardown(test_abort, teardown),
		cmocka_unit_test_teardown(test_quiesce, teardown),
		cmocka_unit_test_teardown(test_reset, teardown),
		cmocka_unit_test_teardown(test_sleep, teardown),
		cmocka_unit_test_teardown(test_shutdown, teardown),
		cmocka_unit_test_teardown(test_gone, teardown),
		cmocka_unit_test_teardown(test_more, teardown),
		cmocka_unit_test_teardown(test_more_quiesced, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
