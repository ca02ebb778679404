/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/killed_load_test.c: a driver keeps two queues full, of reads, writes and what else
 * there is, while the controller's process is killed at random, again and again. No completion is
 * lost and none comes twice; each has the status, and each block the contents, that it would have;
 * nothing is written to a buffer that is the driver's again; counters and the image are right in
 * the end.
 *
 * UVFIO_LONG: for a minute each.
 */
#include <time.h>

#include "models/nvme/test_killed.h"

#define CHUNKS	   64u
#define CHUNK	   8u /* blocks */
#define BYTES	   (CHUNK * 512u)
#define SLOTS	   24u
#define QUEUES	   2u
#define POISON	   0xdb
#define CHUNK_ZERO 0u

/* A command under way, with a buffer of its own. */
struct op {
	bool busy;
	uint8_t opc;
	uint16_t cid, status; /* that it is to have */
	unsigned chunk;
	uint32_t seed; /* of what is written, or was there when it was read */
	uint64_t buf;
};

struct load {
	struct far *f;
	uint64_t random;
	struct {
		uint32_t seed;
		unsigned readers;
		bool writer;
	} chunk[CHUNKS];
	struct op op[QUEUES][SLOTS];
	uint16_t round;
	unsigned busy;
	uint64_t reads, writes, errors, done;
};

static uint32_t random32(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (uint32_t)(l->random >> 16);
}

static void contents(void *at, uint32_t seed)
{
	if (seed == CHUNK_ZERO)
		memset(at, 0, BYTES);
	else
		fill(at, BYTES, seed);
}

static void check_poison(struct load *l, const struct op *op)
{
	const char *at = l->f->drv.mem + op->buf;

	for (unsigned i = 0; i < BYTES; i++)
		if ((uint8_t)at[i] != POISON)
			fail_msg("a buffer was written after its command had completed");
}

/* Prepare the command for a chunk that nobody has; false: somebody has it. */
static bool prepare(struct load *l, struct op *op, struct nvme_cmd *cmd)
{
	static const uint8_t opcs[] = { NVME_IO_READ,	 NVME_IO_READ,	       NVME_IO_READ,
					NVME_IO_WRITE,	 NVME_IO_WRITE,	       NVME_IO_WRITE,
					NVME_IO_COMPARE, NVME_IO_WRITE_ZEROES, NVME_IO_DATASET,
					NVME_IO_VERIFY,	 NVME_IO_FLUSH };
	uint8_t opc = opcs[random32(l) % sizeof(opcs)];
	bool writes = opc == NVME_IO_WRITE || opc == NVME_IO_WRITE_ZEROES || opc == NVME_IO_DATASET;
	char *mem = l->f->drv.mem + op->buf;

	op->chunk = random32(l) % CHUNKS;
	op->opc = opc;
	op->status = 0;
	if (opc != NVME_IO_FLUSH &&
	    (l->chunk[op->chunk].writer || (writes && l->chunk[op->chunk].readers)))
		return false;
	*cmd = rw(opc, op->chunk * CHUNK, CHUNK, iova(op->buf), 0);
	op->seed = l->chunk[op->chunk].seed;
	switch (opc) {
	case NVME_IO_WRITE:
		op->seed = random32(l) | 1;
		contents(mem, op->seed);
		if (!(random32(l) % 4))
			cmd->cdw12 |= NVME_RW_FUA;
		break;
	case NVME_IO_COMPARE:
		contents(mem, op->seed);
		if (random32(l) % 2) {
			mem[random32(l) % BYTES] ^= 1;
			op->status = NVME_COMPARE_FAILURE;
		}
		break;
	case NVME_IO_READ:
		if (!(random32(l) % 8)) {
			cmd->cdw11 = 1;
			op->status = NVME_LBA_RANGE;
		}
		break;
	case NVME_IO_DATASET:
		*(struct nvme_dsm_range *)mem =
			(struct nvme_dsm_range){ .lba = op->chunk * CHUNK, .blocks = CHUNK };
		*cmd = (struct nvme_cmd){
			.opc = opc, .nsid = 1, .prp1 = iova(op->buf), .cdw11 = NVME_DSM_AD
		};
		/* fall through */
	case NVME_IO_WRITE_ZEROES:
		op->seed = CHUNK_ZERO;
		break;
	case NVME_IO_FLUSH:
		*cmd = (struct nvme_cmd){ .opc = opc, .nsid = 1 };
		return true;
	}
	if (writes)
		l->chunk[op->chunk].writer = true;
	else
		l->chunk[op->chunk].readers++;
	return true;
}

/* Put a few commands into queue @i, and ring. */
static void submit(struct load *l, unsigned i, unsigned most)
{
	struct drv *d = &l->f->drv;
	bool any = false;

	for (unsigned k = 0; k < SLOTS && most; k++) {
		struct op *op = &l->op[i][k];
		struct nvme_cmd cmd;

		if (op->busy || random32(l) % 2)
			continue;
		check_poison(l, op);
		if (!prepare(l, op, &cmd))
			continue;
		op->cid = d->cid = (uint16_t)(l->round++ << 6 | k);
		put(d, &d->io[i], &cmd);
		op->busy = any = true;
		l->busy++;
		most--;
	}
	if (any)
		ring_sq(d, &d->io[i]);
}

static void completed(struct load *l, struct op *op, uint16_t status)
{
	char want[BYTES], *mem = l->f->drv.mem + op->buf;
	bool writes = op->opc == NVME_IO_WRITE || op->opc == NVME_IO_WRITE_ZEROES ||
		      op->opc == NVME_IO_DATASET;

	assert_int_equal(SC(status), op->status);
	if (op->opc == NVME_IO_READ && !status) {
		contents(want, op->seed);
		assert_memory_equal(mem, want, BYTES);
	}
	if (writes) {
		l->chunk[op->chunk].writer = false;
		l->chunk[op->chunk].seed = op->seed;
	} else if (op->opc != NVME_IO_FLUSH) {
		l->chunk[op->chunk].readers--;
	}
	memset(mem, POISON, BYTES);
	l->reads += !status && (op->opc == NVME_IO_READ || op->opc == NVME_IO_COMPARE);
	l->writes += !status && op->opc == NVME_IO_WRITE;
	l->errors += status != 0;
	op->busy = false;
	l->busy--;
	l->done++;
}

/* Take what is there of queue @i. */
static void complete(struct load *l, unsigned i)
{
	struct drv *d = &l->f->drv;
	struct queue *q = &d->io[i];
	struct nvme_cqe e;
	bool any = false;

	while (take(d, q, &e)) {
		struct op *op = &l->op[i][(e.cid & 63) % SLOTS];

		if (!op->busy || op->cid != e.cid)
			fail_msg("command %x completed, and none is under way", e.cid);
		completed(l, op, e.status >> 1);
		any = true;
	}
	if (any)
		ring_cq(d, q);
	else
		d->idle(d);
}

/* What was fetched is the driver's, to use as it likes. */
static void scribble(struct load *l, unsigned i)
{
	struct drv *d = &l->f->drv;
	struct queue *q = &d->io[i];

	for (unsigned k = q->tail; k != q->sq_head; k = (k + 1) % q->entries)
		if ((k + 1) % q->entries != q->sq_head)
			memset(d->mem + q->sq + k * 64, 0xff, 64);
}

static void admin_now_and_then(struct load *l)
{
	struct drv *d = &l->f->drv;
	static const uint16_t wants[] = { 0, 0, 0, 0 };

	queue_make(d, &d->io[2], 3, 4, 4);
	d->used -= 8192; /* the same memory, the next time */
	assert_int_equal(create_cq(d, &d->io[2], 0, false), wants[0]);
	assert_int_equal(create_sq(d, &d->io[2], 3), wants[1]);
	assert_int_equal(delete_sq(d, 3), wants[2]);
	assert_int_equal(delete_cq(d, 3), wants[3]);
}

static void check_end(struct load *l)
{
	struct drv *d = &l->f->drv;
	uint64_t buf = alloc_at(d, 4096, 4096);
	struct nvme_smart *smart = (void *)(d->mem + buf);
	char want[BYTES], have[BYTES];

	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .nsid = NVME_NSID_ALL,
						  .prp1 = iova(buf),
						  .cdw10 = NVME_LOG_SMART | 127 << 16 },
			       NULL),
			 0);
	assert_int_equal(smart->host_reads[0], l->reads);
	assert_int_equal(smart->host_writes[0], l->writes);
	assert_int_equal(smart->error_entries[0], l->errors);
	for (unsigned i = 0; i < CHUNKS; i++) {
		contents(want, l->chunk[i].seed);
		image_read(d, i * BYTES, have, BYTES);
		assert_memory_equal(have, want, BYTES);
	}
}

static void run(const char *dir, const struct pci_option *opts, unsigned num)
{
	bool is_long = getenv("UVFIO_LONG");
	uint64_t end = test_now() + (is_long ? 60 : 1) * 1000000000ull;
	struct load l = { .random = test_now() | 1 };
	struct drv *d;

	l.f = far_new(CHUNKS * BYTES, dir, opts, num);
	d = &l.f->drv;
	enable(d);
	for (unsigned i = 0; i < QUEUES; i++) {
		make_pair(d, i, 32, 32);
		for (unsigned k = 0; k < SLOTS; k++) {
			l.op[i][k].buf = alloc_at(d, BYTES, 4096);
			memset(d->mem + l.op[i][k].buf, POISON, BYTES);
		}
	}
	/* on a busy machine it takes longer, and is killed often all the same */
	while (test_now() < end || l.f->k.kills < 20) {
		uint32_t dice = random32(&l) % 64;

		if (dice == 0)
			killed_kill(&l.f->k);
		else if (dice < 3)
			l.f->k.kill_in = 1 + random32(&l) % 60000;
		else if (dice == 3 && CAN_COUNT_STORES)
			killed_arm(&l.f->k, 1 + (int)(random32(&l) % 300));
		else if (dice == 4)
			admin_now_and_then(&l);
		for (unsigned i = 0; i < QUEUES; i++) {
			submit(&l, i, random32(&l) % 8);
			complete(&l, i);
			scribble(&l, i);
		}
	}
	killed_arm(&l.f->k, 0);
	for (end = test_now() + 20000000000ull; l.busy;) {
		assert_true(test_now() < end);
		for (unsigned i = 0; i < QUEUES; i++)
			complete(&l, i);
		nap();
	}
	check_end(&l);
	print_message("%u times killed, %llu commands\n", l.f->k.kills, (unsigned long long)l.done);
	far_free(l.f);
}

static void test_in_memory(void **state)
{
	run("/dev/shm", NULL, 0);
}

static void test_on_disk(void **state)
{
	run(".", NULL, 0);
}

static void test_latency(void **state)
{
	run("/dev/shm", (struct pci_option[]){ { "latency", "1us-500us" } }, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_on_disk),
		cmocka_unit_test(test_latency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
