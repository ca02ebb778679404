/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/hostile_test.c: what goes wrong beside and below the controller: a driver that unmaps
 * or sends nonsense, a file system that fails.
 */
#include <sched.h>

#include "models/nvme/test_child.h"

#define SIZE	  (4u << 20)
#define HOLE_IOVA 0x700000000ull
#define RW	  (IOMMU_READ | IOMMU_WRITE)

static int setup(void **state)
{
	struct drv *d = drv_new(SIZE, "/var/tmp", NULL, 0);

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

/*
 * The driver unmaps memory under commands that it has given. Each completes, with success or with a
 * transfer error; nothing is written to memory once it is unmapped.
 */
static void test_unmap_in_flight(void **state)
{
	struct drv *d = *state;
	char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned ok = 0, aborted = 0;

	for (int round = 0; round < 40; round++) {
		struct nvme_cqe e;

		memset(m, 0x11, 1 << 20);
		assert_int_equal(iommu_domain_map(d->dom, HOLE_IOVA, m, 1 << 20, RW), 0);
		for (unsigned i = 0; i < 32; i++) {
			struct nvme_cmd c =
				rw(i % 4 ? NVME_IO_READ : NVME_IO_WRITE, 64 + i * 16, 16,
				   HOLE_IOVA + i * 8192, HOLE_IOVA + i * 8192 + 4096);

			if (i % 2)
				c.cdw12 |= NVME_RW_FUA; /* the long way */
			put(d, &d->io[0], &c);
		}
		ring_sq(d, &d->io[0]);
		for (int i = 0; i < round % 4; i++)
			sched_yield();
		iommu_domain_unmap(d->dom, HOLE_IOVA, 1 << 20);
		memset(m, 0x22, 1 << 20);
		for (unsigned i = 0; i < 32; i++) {
			reap(d, &d->io[0], &e);
			if (!(e.status >> 1))
				ok++;
			else
				aborted++, assert_int_equal(SC(e.status >> 1),
							    NVME_DATA_TRANSFER_ERROR);
		}
		for (unsigned i = 0; i < 1 << 20; i++)
			assert_int_equal(m[i], 0x22);
	}
	assert_true(aborted > 0);
	assert_int_equal(ok + aborted, 40 * 32);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
	munmap(m, 1 << 20);
}

/* Random commands in every queue: the controller answers or stops, and comes back by a reset. */
static void test_nonsense(void **state)
{
	struct drv *d = *state;

	srand(3);
	for (int round = 0; round < 60; round++) {
		uint64_t a;

		d->used = 0;
		disable(d);
		enable(d);
		make_pair(d, 0, 64, 64);
		make_pair(d, 1, 16, 2);
		a = alloc_at(d, 16 * 4096, 4096);
		fill(d->mem + a, 16 * 4096, (uint32_t)rand());
		for (int k = 0; k < 100; k++) {
			struct queue *q = rand() % 3 ? &d->io[rand() % 2] : &d->admin;
			struct nvme_cmd c;
			struct nvme_cqe e;

			fill(&c, sizeof(c), (uint32_t)rand());
			/* near enough to sense that it gets past the first check */
			c.opc &= 0x0f;
			if (q == &d->admin && rand() % 4 == 0)
				c.opc = NVME_ADM_DOORBELL_BUFFER;
			if (rand() % 8)
				c.flags = 0;
			if (rand() % 8)
				c.nsid = 1;
			if (rand() % 2)
				c.cdw10 &= 0xfff00ff, c.cdw11 &= 0x20007, c.cdw12 &= 0x400001ff;
			if (rand() % 2)
				c.cdw10 &= 0x00030003, c.cdw13 = 0;
			if (rand() % 4)
				c.prp1 = iova(a) + (unsigned)rand() % (16 * 4096);
			if (rand() % 2)
				c.prp1 &= ~4095ull;
			if (rand() % 4)
				c.prp2 = iova(a) + (unsigned)rand() % (16 * 4096);
			if (rand() % 2)
				c.prp2 &= ~7ull;
			if (rand() % 64 == 0)
				wr(d, NVME_DOORBELLS + (unsigned)rand() % 40 * 4, 4,
				   (uint32_t)rand() % 70);
			put(d, q, &c);
			ring_sq(d, q);
			while (take(d, q, &e))
				ring_cq(d, q);
		}
	}
	disable(d);
	assert_int_equal(csts(d), 0);
	d->used = 0;
	enable(d);
	make_pair(d, 0, 64, 64);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 8, iova(alloc_at(d, 4096, 4096)), 0)), 0);
}

static void test_two_namespaces(void **state)
{
	struct drv *d;
	struct pci_option o[2] = { { "image", NULL }, { "blocksize", "4096" } };
	char second[64], want[4096], got[4096];
	struct nvme_cmd c;
	uint64_t a;
	int fd;

	make_image(second, sizeof(second), 64 << 10, "/dev/shm");
	o[0].value = second;
	d = drv_new(SIZE, "/var/tmp", o, 2);
	strcpy(d->image2, second);
	enable(d);
	make_pair(d, 0, 16, 16);
	a = alloc_at(d, 4096, 4096);
	fill(d->mem + a, 4096, 8);
	memcpy(want, d->mem + a, 4096);
	c = rw(NVME_IO_WRITE, 15, 1, iova(a), 0);
	c.nsid = 2;
	assert_int_equal(io(d, c), 0);
	c.cdw10 = 16; /* beyond this one, not beyond the first */
	assert_int_equal(SC(io(d, c)), NVME_LBA_RANGE);
	c.nsid = 1;
	memset(d->mem + a, 0x44, 4096);
	assert_int_equal(io(d, c), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = NVME_NSID_ALL }),
			 0);
	fd = open(second, O_RDONLY);
	assert_int_equal(pread(fd, got, 4096, 15 * 4096), 4096);
	close(fd);
	assert_memory_equal(got, want, 4096);
	unplug(d);
}

/* ---- a file system that fails: system calls that give an errno, in a child ---- */

/*
 * A filter is of the thread that sets it and of those that it starts: it comes before the
 * controller is enabled.
 */

static void child_reads(const void *arg)
{
	struct drv *d;
	void *state;
	uint64_t a, b;
	struct nvme_smart *s;

	deny(__NR_io_uring_setup, EPERM);
	d = drv_new(SIZE, "/var/tmp", NULL, 0);
	state = d;
	deny(__NR_preadv2, EIO);
	enable(d);
	make_pair(d, 0, 64, 64);
	a = alloc_at(d, 4096, 4096);
	b = alloc_at(d, 4096, 4096);
	s = (void *)(d->mem + b);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 8, iova(a), 0))), NVME_READ_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_COMPARE, 0, 8, iova(a), 0))), NVME_READ_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_VERIFY, 0, 8, 0, 0))), NVME_READ_ERROR);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 8, iova(a), 0)), 0);
	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .prp1 = iova(b),
						  .cdw10 = 127 << 16 | 2 },
			       NULL),
			 0);
	assert_int_equal(s->media_errors[0], 3);
	teardown(&state);
}

static void writes_fail(int err, uint16_t want)
{
	struct drv *d;
	void *state;
	uint64_t a;
	struct nvme_cmd c;

	deny(__NR_io_uring_setup, ENOSYS);
	d = drv_new(SIZE, "/var/tmp", NULL, 0);
	state = d;
	deny(__NR_pwritev2, err);
	deny(__NR_pwrite64, err);
	deny(__NR_fallocate, err);
	deny(__NR_fdatasync, err);
	enable(d);
	make_pair(d, 0, 64, 64);
	a = alloc_at(d, 4096, 4096);
	c = rw(NVME_IO_WRITE, 0, 8, iova(a), 0);
	assert_int_equal(SC(io(d, c)), want);
	c.cdw12 |= NVME_RW_FUA;
	assert_int_equal(SC(io(d, c)), want);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE_ZEROES, 0, 8, 0, 0))), want);
	assert_int_equal(SC(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 })), want);
	*(struct nvme_dsm_range *)(d->mem + a) = (struct nvme_dsm_range){ 0, 8, 0 };
	assert_int_equal(
		SC(io(d,
		      (struct nvme_cmd){
			      .opc = NVME_IO_DATASET, .nsid = 1, .prp1 = iova(a), .cdw11 = 4 })),
		want);
	/* switching the cache off is a flush, and says so when that fails */
	assert_int_equal(SC(admin(d,
				  (struct nvme_cmd){ .opc = NVME_ADM_SET_FEATURES,
						     .cdw10 = NVME_FEAT_WRITE_CACHE },
				  NULL)),
			 want);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 8, iova(a), 0)), 0);
	/* a shutdown ends all the same */
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN | 1 << 14);
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	teardown(&state);
}

static void child_write_eio(const void *arg)
{
	writes_fail(EIO, NVME_WRITE_FAULT);
}

static void child_write_enospc(const void *arg)
{
	writes_fail(ENOSPC, NVME_CAPACITY_EXCEEDED);
}

static void test_media_errors(void **state)
{
	run_child(child_reads, NULL);
	run_child(child_write_eio, NULL);
	run_child(child_write_enospc, NULL);
}

/* No thread to be had at all: enabling says so. */
static void child_no_threads(const void *arg)
{
	struct drv *d = drv_new(SIZE, "/var/tmp", NULL, 0);
	void *state = d;

	deny(__NR_clone3, EAGAIN);
	deny(__NR_clone, EAGAIN);
	wr(d, NVME_REG_AQA, 4, 15 << 16 | 15);
	wr(d, NVME_REG_ASQ, 8, MEM_IOVA);
	wr(d, NVME_REG_ACQ, 8, MEM_IOVA + 4096);
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN);
	assert_true(csts(d) & NVME_CSTS_CFS);
	wr(d, NVME_REG_CC, 4, 0);
	assert_int_equal(csts(d), 0);
	teardown(&state);
}

static void test_no_threads(void **state)
{
	run_child(child_no_threads, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_errors),
		cmocka_unit_test(test_no_threads),
		cmocka_unit_test(test_two_namespaces),
		cmocka_unit_test_setup_teardown(test_unmap_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
