/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/cache_test.c: data that the medium did not take. fdatasync() is this file's, and
 * fails when a test says so, once, as Linux's does: the next one succeeds whatever became of the
 * data. And images that are cut short or removed while they are in use.
 */
#include <semaphore.h>
#include <sys/stat.h>

#include "models/nvme/test_child.h"

#define SIZE   (4u << 20)
#define BLOCKS (SIZE / 512)
#define FAULT  NVME_WRITE_FAULT
#define LOST   NVME_READ_ERROR

static atomic_int fail_with; /* errno of the next sync; it is the only one */
static atomic_uint syncs;
static atomic_bool hold; /* syncs wait for `held` */
static sem_t arrived, held;

int fdatasync(int fd)
{
	int err;

	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&hold)) {
		sem_post(&arrived);
		while (sem_wait(&held))
			;
	}
	err = atomic_exchange(&fail_with, 0);
	if (!err)
		return (int)syscall(SYS_fdatasync, fd);
	errno = err;
	return -1;
}

/* Without io_uring the pool makes plain calls, which this file can answer. */
static int no_io_uring(void **state)
{
	(void)state;
	sem_init(&arrived, 0, 0);
	sem_init(&held, 0, 0);
	deny(__NR_io_uring_setup, EPERM);
	return 0;
}

static int setup(void **state)
{
	struct pci_option o = { "image", NULL };
	char second[64];
	struct drv *d;

	atomic_store(&fail_with, 0);
	make_image(second, sizeof(second), SIZE, "/var/tmp");
	o.value = second;
	d = drv_new(SIZE, "/var/tmp", &o, 1);
	strcpy(d->image2, second);
	enable(d);
	make_pair(d, 0, 64, 64);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

static uint16_t flush(struct drv *d, uint32_t nsid)
{
	return SC(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = nsid }));
}

/*
 * One command on @blocks blocks from @lba. What is written and compared is always the same page;
 * what is read goes to another.
 */
static uint16_t on(struct drv *d, uint8_t opc, uint32_t nsid, uint64_t lba, unsigned blocks,
		   uint32_t flags)
{
	static uint64_t page;
	struct nvme_cmd c;

	if (d->used < (1u << 20)) {
		page = alloc_at(d, 8192, 4096);
		fill(d->mem + page, 4096, 3);
		d->used = 1u << 20;
	}
	c = rw(opc, lba, blocks, iova(page) + (opc == NVME_IO_READ ? 4096 : 0), 0);
	c.nsid = nsid;
	c.cdw12 |= flags;
	return SC(io(d, c));
}

static uint16_t wr_blocks(struct drv *d, uint64_t lba, unsigned blocks)
{
	return on(d, NVME_IO_WRITE, 1, lba, blocks, 0);
}

static uint16_t deallocate(struct drv *d, uint64_t lba, uint32_t blocks)
{
	uint64_t a = 2u << 20; /* behind what on() has */
	struct nvme_cmd c = { .opc = NVME_IO_DATASET, .nsid = 1, .prp1 = iova(a) };

	*(struct nvme_dsm_range *)(d->mem + a) = (struct nvme_dsm_range){ 0, blocks, lba };
	c.cdw11 = NVME_DSM_AD;
	return SC(io(d, c));
}

static uint8_t critical_warning(struct drv *d, uint32_t nsid)
{
	uint64_t a = 3u << 20;

	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .nsid = nsid,
						  .prp1 = iova(a),
						  .cdw10 = 127 << 16 | NVME_LOG_SMART },
			       NULL),
			 0);
	return (uint8_t)d->mem[a];
}

static void count_lines(const char *path, const char *text, unsigned expected)
{
	char line[1024];
	unsigned n = 0;
	FILE *f;

	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	assert_int_equal(n, expected);
}

static void restart(struct drv *d)
{
	disable(d);
	d->used = 8u << 20;
	enable(d);
	make_pair(d, 0, 64, 64);
}

/*
 * The first to hear of it may be a command of another block; all that promise something fail until
 * the data was written again.
 */
static void test_stays(void **state)
{
	struct drv *d = *state;
	unsigned n;

	assert_int_equal(wr_blocks(d, 0, 8), 0);
	assert_int_equal(flush(d, 1), 0);
	for (n = 0; n < 16; n++)
		assert_int_equal(wr_blocks(d, 100 + n * 8, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(on(d, NVME_IO_WRITE, 1, 4000, 8, NVME_RW_FUA), FAULT);
	for (n = 0; n < 3; n++) {
		assert_int_equal(flush(d, 1), FAULT);
		assert_int_equal(flush(d, NVME_NSID_ALL), FAULT);
		assert_int_equal(on(d, NVME_IO_WRITE, 1, 4000, 8, NVME_RW_FUA), FAULT);
		assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 4100, 8, NVME_RW_FUA), FAULT);
	}
	assert_int_equal(critical_warning(d, NVME_NSID_ALL), NVME_SMART_RELIABILITY);
	/* a block whose newest data may be gone is not read as something older; others are read */
	assert_int_equal(on(d, NVME_IO_READ, 1, 100, 1, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, 227, 1, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, 99, 2, NVME_RW_FUA), LOST);
	assert_int_equal(on(d, NVME_IO_COMPARE, 1, 104, 8, 0), LOST);
	assert_int_equal(on(d, NVME_IO_VERIFY, 1, 0, BLOCKS, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, 92, 8, 0), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, 228, 8, NVME_RW_FUA), 0);
	assert_int_equal(on(d, NVME_IO_COMPARE, 1, 0, 8, 0), 0);
	/* the other namespace has lost nothing */
	assert_int_equal(flush(d, 2), 0);
	assert_int_equal(on(d, NVME_IO_WRITE, 2, 100, 8, NVME_RW_FUA), 0);
	assert_int_equal(on(d, NVME_IO_READ, 2, 100, 8, 0), 0);

	/* written again: by a write, zeroes, deallocation, a write with FUA */
	for (n = 0; n < 13; n++)
		assert_int_equal(wr_blocks(d, 100 + n * 8, 8), 0);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 204, 8, 0), 0);
	assert_int_equal(deallocate(d, 212, 8), 0);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(wr_blocks(d, 220, 7), 0);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_READ, 1, 226, 1, 0), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, 227, 1, 0), LOST);
	assert_int_equal(on(d, NVME_IO_WRITE, 1, 227, 1, NVME_RW_FUA), 0);
	assert_int_equal(flush(d, 1), 0);
	assert_int_equal(flush(d, NVME_NSID_ALL), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, 227, 1, 0), 0);
	assert_int_equal(critical_warning(d, NVME_NSID_ALL), 0);
}

/*
 * Blocks that were on the medium are not lost by a later failure, nor those that a failed command
 * was about: that command said so.
 */
static void test_what_is_lost(void **state)
{
	struct drv *d = *state;

	assert_int_equal(wr_blocks(d, 8, 8), 0);
	assert_int_equal(flush(d, 1), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 1), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(on(d, NVME_IO_WRITE, 1, 16, 8, NVME_RW_FUA), FAULT);
	assert_int_equal(on(d, NVME_IO_WRITE, 1, 24, 8, NVME_RW_FUA), 0);
	assert_int_equal(flush(d, 1), 0);
	/* written again, and the second time fails as the first did */
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	assert_int_equal(flush(d, 1), 0);
	/* no room below, found out late: that is what it goes on saying */
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, ENOSPC);
	assert_int_equal(flush(d, 1), NVME_CAPACITY_EXCEEDED);
	assert_int_equal(flush(d, 1), NVME_CAPACITY_EXCEEDED);
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	assert_int_equal(flush(d, 1), 0);
}

static void test_reset(void **state)
{
	struct drv *d = *state;

	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 1), FAULT);
	restart(d);
	assert_int_equal(flush(d, 1), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, 8, 8, 0), 0);
	/* what was not flushed before the reset is in the cache still */
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	restart(d);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 1), FAULT);
}

/* The cache goes off only when it is empty; without one a write says itself what became of it. */
static void test_no_cache(void **state)
{
	struct nvme_cmd off = { .opc = NVME_ADM_SET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE };
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_WRITE_CACHE };
	struct drv *d = *state;
	unsigned before;
	uint32_t v;

	assert_int_equal(on(d, NVME_IO_WRITE, 2, 8, 8, 0), 0);
	atomic_store(&fail_with, EIO); /* of the first namespace, which has lost nothing */
	assert_int_equal(SC(admin(d, off, NULL)), FAULT);
	assert_int_equal(admin(d, get, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(admin(d, off, NULL), 0);
	assert_int_equal(admin(d, get, &v), 0);
	assert_int_equal(v, 0);
	before = atomic_load(&syncs);
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 8, 8, 0), 0);
	assert_int_equal(deallocate(d, 8, 8), 0);
	assert_int_equal(atomic_load(&syncs), before + 3);
	atomic_store(&fail_with, EIO);
	assert_int_equal(wr_blocks(d, 8, 8), FAULT);
	assert_int_equal(wr_blocks(d, 16, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 8, 8, 0), FAULT);
	assert_int_equal(flush(d, 1), 0);
}

/*
 * 7.6.2: a shutdown ends whatever happens, and the log tells. A namespace that fails keeps none of
 * the others from the medium.
 */
static void test_shutdown(void **state)
{
	const uint32_t cc = NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN;
	char path[] = "/var/tmp/uvfio-nvme-log-XXXXXX";
	struct drv *d = *state;
	int fd = mkstemp(path);
	unsigned before;

	assert_true(fd >= 0);
	log_set(fd, LOG_ERR);
	/* all is well; found by the shutdown; found by a Flush before */
	for (int round = 0; round < 3; round++) {
		assert_int_equal(wr_blocks(d, 8, 8), 0);
		atomic_store(&fail_with, round ? EIO : 0);
		if (round == 2)
			assert_int_equal(flush(d, 1), FAULT);
		before = atomic_load(&syncs);
		wr(d, NVME_REG_CC, 4, cc | 1 << 14);
		wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
		assert_int_equal(atomic_load(&syncs), before + 2);
		count_lines(path, "shutdown: not all data could be written", (unsigned)round);
		restart(d);
		assert_int_equal(flush(d, 1), 0);
	}
	log_set(2, LOG_NONE);
	close(fd);
	unlink(path);
	/* the same for Flush of all: the second is tried when the first fails */
	before = atomic_load(&syncs);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, NVME_NSID_ALL), FAULT);
	assert_int_equal(atomic_load(&syncs), before + 2);
}

/* An image of 2^31 blocks: a bit for two of them, which count as written again only together. */
static void test_large(void **state)
{
	struct drv *d = drv_new(1ull << 40, "/dev/shm", NULL, 0);
	const uint64_t at = (1ull << 31) - 1024;

	*state = d;
	enable(d);
	make_pair(d, 0, 64, 64);
	assert_int_equal(wr_blocks(d, at, 3), 0);
	assert_int_equal(wr_blocks(d, 0, 8), 0);
	assert_int_equal(flush(d, 1), 0);
	assert_int_equal(wr_blocks(d, at, 3), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_READ, 1, at + 2, 1, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, 0, 8, 0), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, at + 4, 1, 0), 0);
	assert_int_equal(wr_blocks(d, at, 3), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, at, 2, 0), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, at + 2, 1, 0), LOST);
	assert_int_equal(wr_blocks(d, at + 3, 1), 0);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(wr_blocks(d, at + 2, 2), 0);
	assert_int_equal(flush(d, 1), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, at, 8, 0), 0);
}

static void test_event(void **state)
{
	struct drv *d = *state;
	struct nvme_cqe e;
	uint16_t cid;

	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES,
						  .cdw10 = NVME_FEAT_ASYNC_EVENT,
						  .cdw11 = NVME_SMART_RELIABILITY },
			       NULL),
			 0);
	cid = post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	reap(d, &d->admin, &e);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.result, 0x020001); /* log page 2, information 0, type 1: figure 146 */
}

/*
 * Of several that want the medium at once one makes the sync; what comes while it runs shares the
 * next, and the failure of that one is the failure of all of them, for Linux would tell one alone.
 */
static void test_one_at_a_time(void **state)
{
	struct drv *d = *state;
	struct queue *q = &d->io[0];
	struct nvme_cmd f = { .opc = NVME_IO_FLUSH, .nsid = 1 };
	struct nvme_cmd w = rw(NVME_IO_WRITE, 64, 8, iova(4u << 20), 0);
	unsigned before = atomic_load(&syncs), good = 0, bad = 0;
	struct nvme_cqe e;

	w.cdw12 |= NVME_RW_FUA;
	atomic_store(&hold, true);
	post(d, q, &f);
	while (sem_wait(&arrived))
		;
	for (int i = 0; i < 4; i++) {
		put(d, q, &f);
		put(d, q, &w);
	}
	ring_sq(d, q);
	/*
	 * all eight wait when none of them is left to be fetched, or a little later: either way
	 * none goes ahead of the first
	 */
	for (int i = 0; i < 40; i++)
		nap();
	assert_int_equal(atomic_load(&syncs), before + 1);
	assert_false(take(d, q, &e));
	atomic_store(&hold, false);
	sem_post(&held);
	reap(d, q, &e);
	assert_int_equal(e.status >> 1, 0);
	for (int i = 0; i < 8; i++) {
		reap(d, q, &e);
		assert_int_equal(e.status >> 1, 0);
	}
	assert_in_range(atomic_load(&syncs), before + 2, before + 9);

	/*
	 * acknowledged while a sync runs that succeeds: it was none of that one's, so it is lost
	 * with the next
	 */
	atomic_store(&hold, true);
	post(d, q, &f);
	while (sem_wait(&arrived))
		;
	w.cdw12 &= ~NVME_RW_FUA;
	w.cdw10 = 128;
	put(d, q, &w);
	ring_sq(d, q);
	reap(d, q, &e); /* overtakes the Flush */
	assert_int_equal(e.status >> 1, 0);
	atomic_store(&hold, false);
	sem_post(&held);
	reap(d, q, &e);
	assert_int_equal(e.status >> 1, 0);
	atomic_store(&fail_with, EIO);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_READ, 1, 128, 8, 0), LOST);
	assert_int_equal(wr_blocks(d, 128, 8), 0);
	assert_int_equal(flush(d, 1), 0);

	/* those that share the one that fails */
	atomic_store(&hold, true);
	post(d, q, &f);
	while (sem_wait(&arrived))
		;
	for (int i = 0; i < 4; i++)
		put(d, q, &f);
	ring_sq(d, q);
	for (int i = 0; i < 40; i++)
		nap();
	wr_blocks(d, 8, 8);
	atomic_store(&fail_with, EIO);
	atomic_store(&hold, false);
	sem_post(&held);
	for (int i = 0; i < 5; i++) {
		reap(d, q, &e);
		if (SC(e.status >> 1) == FAULT)
			bad++;
		else
			good++;
	}
	assert_int_equal(bad, 5); /* the block is lost for those that came later, too */
	assert_int_equal(good, 0);
}

/*
 * Behind the end of an image that was cut short there is nothing to be had, and writing there would
 * put zeroes between.
 */
static void test_cut_short(void **state)
{
	struct drv *d = *state;
	struct stat st;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(wr_blocks(d, i * 2000, 8), 0);
	assert_int_equal(flush(d, 1), 0);
	assert_int_equal(truncate(d->image, 2048 * 512 + 100), 0);
	/* in the order in which it would be found out last */
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 4000, 8, 0), FAULT);
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 4000, 8, NVME_WZ_DEAC), FAULT);
	assert_int_equal(deallocate(d, 4000, 8), FAULT);
	assert_int_equal(wr_blocks(d, 4000, 8), FAULT);
	assert_int_equal(wr_blocks(d, BLOCKS - 8, 8), FAULT);
	assert_int_equal(wr_blocks(d, 2048, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_WRITE, 1, 2044, 8, NVME_RW_FUA), FAULT);
	assert_int_equal(on(d, NVME_IO_READ, 1, 4000, 8, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, 2048, 1, 0), LOST);
	assert_int_equal(on(d, NVME_IO_COMPARE, 1, 6000, 8, 0), LOST);
	assert_int_equal(on(d, NVME_IO_VERIFY, 1, 0, BLOCKS, 0), LOST);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(flush(d, 2), 0);
	assert_int_equal(critical_warning(d, NVME_NSID_ALL), NVME_SMART_RELIABILITY);
	/* what is left works */
	assert_int_equal(on(d, NVME_IO_COMPARE, 1, 2000, 8, 0), 0);
	assert_int_equal(wr_blocks(d, 2040, 8), 0);
	assert_int_equal(deallocate(d, 2040, 8), 0);
	assert_int_equal(stat(d->image, &st), 0);
	assert_int_equal(st.st_size, 2048 * 512 + 100);
	/* grown again it holds zeroes where data was: that is no read */
	assert_int_equal(truncate(d->image, SIZE), 0);
	assert_int_equal(on(d, NVME_IO_READ, 1, 4000, 8, 0), LOST);
	assert_int_equal(wr_blocks(d, 4000, 8), 0);
	assert_int_equal(on(d, NVME_IO_COMPARE, 1, 4000, 8, 0), 0);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_WRITE_ZEROES, 1, 2048, BLOCKS - 2048, 0), 0);
	assert_int_equal(flush(d, 1), 0);
	/* after a reset an image that is short is found out again */
	assert_int_equal(truncate(d->image, SIZE / 2), 0);
	assert_int_equal(flush(d, 1), FAULT);
	restart(d);
	assert_int_equal(flush(d, 1), FAULT);
	assert_int_equal(on(d, NVME_IO_READ, 1, BLOCKS / 2, 8, 0), LOST);
	assert_int_equal(on(d, NVME_IO_READ, 1, BLOCKS / 2 - 8, 8, 0), 0);
}

/* Each command finds it out alone, too. */
static void test_cut_short_each(void **state)
{
	static const uint8_t opcodes[] = { NVME_IO_WRITE_ZEROES, NVME_IO_WRITE,	 NVME_IO_READ,
					   NVME_IO_COMPARE,	 NVME_IO_VERIFY, NVME_IO_DATASET,
					   NVME_IO_FLUSH };
	struct drv *d = *state;

	for (size_t i = 0; i < sizeof(opcodes); i++) {
		uint8_t opc = opcodes[i];
		bool reads = opc == NVME_IO_READ || opc == NVME_IO_COMPARE || opc == NVME_IO_VERIFY;

		assert_int_equal(truncate(d->image, SIZE / 2), 0);
		assert_int_equal(opc == NVME_IO_FLUSH	  ? flush(d, 1)
				 : opc == NVME_IO_DATASET ? deallocate(d, 6000, 8)
							  : on(d, opc, 1, 6000, 8, 0),
				 reads ? LOST : FAULT);
		assert_int_equal(truncate(d->image, SIZE), 0);
		restart(d);
		assert_int_equal(flush(d, 1), 0);
	}
}

/* A line for each thing that happened, not for each command that meets it. */
static void test_lines(void **state)
{
	struct drv *d = *state;
	char path[] = "/var/tmp/uvfio-nvme-log-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	log_set(fd, LOG_WARN);
	assert_int_equal(wr_blocks(d, 8, 8), 0);
	atomic_store(&fail_with, EIO);
	for (int i = 0; i < 3; i++)
		assert_int_equal(flush(d, 1), FAULT);
	count_lines(path, "8 blocks are lost; Flush fails until", 1);
	atomic_store(&fail_with, EIO);
	assert_int_equal(on(d, NVME_IO_WRITE, 2, 8, 8, NVME_RW_FUA), FAULT);
	count_lines(path, "nothing that was acknowledged is lost", 1);
	assert_int_equal(truncate(d->image, SIZE / 2), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(on(d, NVME_IO_READ, 1, 6000, 8, 0), LOST);
		assert_int_equal(wr_blocks(d, 6000, 8), FAULT);
	}
	count_lines(path, "the image was cut to", 1);
	assert_int_equal(unlink(d->image2), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(flush(d, 2), 0); /* a scratch disk: it was removed on purpose */
	count_lines(path, "the image was removed", 1);
	restart(d);
	count_lines(path, "that were lost", 1);
	log_set(2, LOG_NONE);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
		cmocka_unit_test_teardown(test_large, teardown),
		cmocka_unit_test_setup_teardown(test_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_short_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
	};

	return cmocka_run_group_tests(tests, no_io_uring, NULL);
}
