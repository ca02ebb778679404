/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/io_test.c: the NVM command set: every command and status, all shapes of PRPs, random
 * I/O at depth against a buffer, over the ways that data take (memory file, page cache, io_uring,
 * thread pool).
 */
#include <sys/stat.h>

#include "models/nvme/test_child.h"

#define SIZE	  (16u << 20)
#define RW	  (IOMMU_READ | IOMMU_WRITE)
#define HOLE_IOVA 0x700000000ull /* nothing is mapped there, unless a test does */

static int setup_with(void **state, const char *dir, const struct pci_option *opts, unsigned count)
{
	struct drv *d = drv_new(SIZE, dir, opts, count);

	enable(d);
	make_pair(d, 0, 64, 64);
	*state = d;
	return 0;
}

static int setup_memory(void **state)
{
	return setup_with(state, "/dev/shm", NULL, 0);
}

static int setup_disk(void **state)
{
	return setup_with(state, "/var/tmp", NULL, 0);
}

static int setup_4k(void **state)
{
	static const struct pci_option o = { "blocksize", "4096" };

	return setup_with(state, "/dev/shm", &o, 1);
}

static int setup_readonly(void **state)
{
	static const struct pci_option o = { "readonly", "on" };

	return setup_with(state, "/dev/shm", &o, 1);
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

static void test_write_read(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096), b = alloc_at(d, 4096, 4096);
	char check[4096];
	struct nvme_cmd c;

	fill(d->mem + a, 4096, 1);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 8, 8, iova(a), 0)), 0);
	image_read(d, 4096, check, 4096);
	assert_memory_equal(check, d->mem + a, 4096);
	assert_int_equal(io(d, rw(NVME_IO_READ, 8, 8, iova(b), 0)), 0);
	assert_memory_equal(d->mem + b, d->mem + a, 4096);
	/* one block within the page */
	assert_int_equal(io(d, rw(NVME_IO_READ, 9, 1, iova(b) + 2048, 0)), 0);
	assert_memory_equal(d->mem + b + 2048, d->mem + a + 512, 512);
	/* FUA both ways */
	c = rw(NVME_IO_WRITE, 100, 8, iova(a), 0);
	c.cdw12 |= NVME_RW_FUA;
	assert_int_equal(io(d, c), 0);
	c.opc = NVME_IO_READ;
	c.prp1 = iova(b);
	memset(d->mem + b, 0, 4096);
	assert_int_equal(io(d, c), 0);
	assert_memory_equal(d->mem + b, d->mem + a, 4096);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = NVME_NSID_ALL }),
			 0);
}

static void test_blocks_of_4k(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	char check[4096];

	fill(d->mem + a, 4096, 5);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, SIZE / 4096 - 1, 1, iova(a), 0)), 0);
	image_read(d, SIZE - 4096, check, 4096);
	assert_memory_equal(check, d->mem + a, 4096);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE, SIZE / 4096, 1, iova(a), 0))), NVME_LBA_RANGE);
}

/* ---- PRPs: 4.3 ---- */

/*
 * Describe @len bytes at @at by PRPs, lists at @lists with the first entry at offset @skip of its
 * page.
 */
static void prps(struct drv *d, struct nvme_cmd *c, uint64_t at, uint64_t len, uint64_t lists,
		 uint64_t skip)
{
	uint64_t first = 4096 - (at & 4095), page = at + first, left = len - first;
	uint64_t *list = (void *)(d->mem + lists + skip);

	c->prp1 = iova(at);
	if (len <= first)
		return;
	if (left <= 4096) {
		c->prp2 = iova(page);
		return;
	}
	c->prp2 = iova(lists + skip);
	for (; left; page += 4096, left -= left < 4096 ? left : 4096) {
		if (!(((uintptr_t)(list + 1)) & 4095) && left > 4096) { /* the last entry chains */
			lists += 4096;
			*list = iova(lists);
			list = (void *)(d->mem + lists);
		}
		*list++ = iova(page);
	}
}

static void test_prp_shapes(void **state)
{
	static const struct {
		unsigned offset, blocks, skip;
	} shapes[] = {
		{ 0, 1, 0 },	     { 4, 1, 0 },	{ 3584, 1, 0 },	   { 3588, 1, 0 },
		{ 0, 8, 0 },	     { 512, 8, 0 },	{ 0, 9, 0 },	   { 0, 16, 0 },
		{ 512, 16, 0 },	     { 2048, 17, 8 },	{ 0, 100, 0 },	   { 0, 1024, 0 },
		{ 512, 1024, 0 },    { 4092, 1024, 0 }, { 0, 1024, 4088 }, { 0, 1024, 4080 },
		{ 1536, 777, 4072 }, { 0, 24, 4088 },	{ 0, 16, 4088 },   { 0, 17, 4080 },
		{ 512, 16, 4088 },
	};
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 1 << 20, 4096), b = alloc_at(d, 1 << 20, 4096);
	uint64_t lists = alloc_at(d, 4 * 4096, 4096);
	char *check = malloc(1 << 20);

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint64_t len = shapes[i].blocks * 512, at = a + shapes[i].offset,
			 back = b + shapes[i].offset;
		struct nvme_cmd c = rw(NVME_IO_WRITE, 3 + i, shapes[i].blocks, 0, 0);

		fill(d->mem + at, len, (uint32_t)i);
		prps(d, &c, at, len, lists, shapes[i].skip);
		assert_int_equal(io(d, c), 0);
		image_read(d, (3 + i) * 512, check, len);
		assert_memory_equal(check, d->mem + at, len);
		c.opc = NVME_IO_READ;
		memset(d->mem + b, 0x5a, 1 << 20);
		prps(d, &c, back, len, lists, shapes[i].skip);
		assert_int_equal(io(d, c), 0);
		assert_memory_equal(d->mem + back, d->mem + at, len);
		/* and not a byte beside it */
		for (uint64_t k = 0; k < 64 && k < shapes[i].offset; k++)
			assert_int_equal(d->mem[back - 1 - k], 0x5a);
		for (uint64_t k = 0; k < 64; k++)
			assert_int_equal(d->mem[back + len + k], 0x5a);
	}
	free(check);
}

/* Pages in any order, not only neighbours. */
static void test_prp_scattered(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 128 * 4096, 4096), lists = alloc_at(d, 4096, 4096);
	uint64_t *list = (void *)(d->mem + lists);
	char *check = malloc(128 * 4096);

	fill(d->mem + a, 128 * 4096, 9);
	for (int i = 0; i < 127; i++)
		list[i] = iova(a + (uint64_t)((i * 37 + 5) % 127) * 4096);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 1024, iova(a + 127 * 4096), iova(lists))), 0);
	image_read(d, 0, check, 128 * 4096);
	assert_memory_equal(check, d->mem + a + 127 * 4096, 4096);
	for (int i = 0; i < 127; i++)
		assert_memory_equal(check + (i + 1) * 4096, d->mem + a + (i * 37 + 5) % 127 * 4096,
				    4096);
	free(check);
}

static void test_prp_errors(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 1 << 20, 4096), lists = alloc_at(d, 2 * 4096, 4096);
	uint64_t *list = (void *)(d->mem + lists);
	const uint16_t offset = NVME_INVALID_PRP_OFFSET | NVME_DNR | NVME_MORE;

	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(a) + 2, 0)), offset);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 16, iova(a), iova(a) + 4096 + 512)), offset);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 24, iova(a), iova(lists) + 4)), offset);
	list[0] = iova(a);
	list[1] = iova(a) + 8;
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 24, iova(a), iova(lists))), offset);
	list[511] = iova(lists) + 4096 + 8; /* the link to the next list */
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 24, iova(a), iova(lists) + 4088)), offset);
	/* aborted: the list, the next list, the first page, a later page */
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 24, iova(a), HOLE_IOVA))),
			 NVME_DATA_TRANSFER_ERROR);
	list[511] = HOLE_IOVA;
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 24, iova(a), iova(lists) + 4088))),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 1, HOLE_IOVA, 0))), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE, 0, 1, HOLE_IOVA, 0))),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE, 0, 16, iova(a), HOLE_IOVA))),
			 NVME_DATA_TRANSFER_ERROR);
	list[0] = iova(a);
	list[1] = HOLE_IOVA;
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 24, iova(a), iova(lists)))),
			 NVME_DATA_TRANSFER_ERROR);
	/* the controller lives */
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(a), 0)), 0);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

/*
 * Memory that the driver gave for reading only cannot take data; memory that is gone behind the
 * IOMMU's back is an abort, too.
 */
static void test_dma_rights(void **state)
{
	struct drv *d = *state;
	struct nvme_cmd fua = rw(NVME_IO_WRITE, 4, 1, HOLE_IOVA + 4096, 0);
	int fd = memfd_create("half", 0), enlarged = ftruncate(fd, 8192);
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned long long faults;
	char check[512];

	assert_int_equal(enlarged, 0);
	fill(m, 4096, 77);
	assert_int_equal(iommu_domain_map(d->dom, HOLE_IOVA, m, 4096, IOMMU_READ), 0);
	assert_int_equal(iommu_domain_map(d->dom, HOLE_IOVA + 4096, m + 4096, 4096, RW), 0);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 4, 1, HOLE_IOVA, 0)), 0);
	faults = pci_function_iommu(d->fn)->faults;
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 4, 1, HOLE_IOVA, 0))), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(pci_function_iommu(d->fn)->faults, faults + 1);
	image_read(d, 2048, check, 512);
	assert_memory_equal(check, m, 512);
	/* protection that the driver changes later is not the device's */
	assert_int_equal(mprotect(m + 4096, 4096, PROT_NONE), 0);
	assert_int_equal(io(d, rw(NVME_IO_READ, 4, 1, HOLE_IOVA + 4096, 0)), 0);
	assert_int_equal(mprotect(m + 4096, 4096, PROT_READ), 0);
	assert_memory_equal(m + 4096, check, 512);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 4, 1, HOLE_IOVA + 4096, 0)), 0);
	assert_int_equal(io(d, rw(NVME_IO_READ, 4, 1, HOLE_IOVA + 4096, 0)), 0);
	assert_int_equal(ftruncate(fd, 4096), 0); /* gone, and nobody else gets the place */
	faults = pci_function_iommu(d->fn)->faults;
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 4, 1, HOLE_IOVA + 4096, 0))),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE, 4, 1, HOLE_IOVA + 4096, 0))),
			 NVME_DATA_TRANSFER_ERROR);
	fua.cdw12 |= NVME_RW_FUA;
	assert_int_equal(SC(io(d, fua)), NVME_DATA_TRANSFER_ERROR);
	assert_true(pci_function_iommu(d->fn)->faults >= faults + 3);
	image_read(d, 2048, check, 512);
	assert_memory_equal(check, m, 512);
	iommu_domain_unmap(d->dom, HOLE_IOVA, 8192);
	munmap(m, 8192);
	close(fd);
}

/* ---- statuses ---- */

static void test_statuses(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	const uint64_t last = SIZE / 512;
	struct nvme_cmd c;
	static const uint8_t opcodes[] = { 0x03, 0x04, 0x06, 0x0a, 0x0d, 0x0e,
					   0x11, 0x15, 0x19, 0x7d, 0x80, 0xff };
	static const uint8_t with_lba[] = { NVME_IO_READ, NVME_IO_WRITE, NVME_IO_COMPARE,
					    NVME_IO_WRITE_ZEROES, NVME_IO_VERIFY };

	for (size_t i = 0; i < sizeof(opcodes); i++)
		assert_int_equal(io(d, rw(opcodes[i], 0, 1, iova(a), 0)),
				 NVME_INVALID_OPCODE | NVME_DNR | NVME_MORE);
	for (size_t i = 0; i < sizeof(with_lba); i++) {
		uint8_t opc = with_lba[i];

		assert_int_equal(io(d, rw(opc, last - 1, 1, iova(a), 0)), 0);
		assert_int_equal(io(d, rw(opc, last, 1, iova(a), 0)),
				 NVME_LBA_RANGE | NVME_DNR | NVME_MORE);
		assert_int_equal(SC(io(d, rw(opc, last - 1, 2, iova(a), 0))), NVME_LBA_RANGE);
		assert_int_equal(SC(io(d, rw(opc, UINT64_MAX, 1, iova(a), 0))), NVME_LBA_RANGE);
		assert_int_equal(SC(io(d, rw(opc, UINT64_MAX - 3, 8, iova(a), 0))), NVME_LBA_RANGE);
		assert_int_equal(SC(io(d, rw(opc, 1ull << 55, 1, iova(a), 0))), NVME_LBA_RANGE);
		for (int k = 0; k < 3; k++) {
			static const uint32_t nsids[] = { 0, 2, NVME_NSID_ALL };

			c = rw(opc, 0, 1, iova(a), 0);
			c.nsid = nsids[k];
			assert_int_equal(io(d, c), NVME_INVALID_NAMESPACE | NVME_DNR | NVME_MORE);
		}
		for (int k = 0; k < 5; k++) { /* fused, SGLs */
			static const uint8_t flags[] = { 1, 2, 0x40, 0x80, 0xc0 };

			c = rw(opc, 0, 1, iova(a), 0);
			c.flags = flags[k];
			assert_int_equal(io(d, c), NVME_INVALID_FIELD | NVME_DNR | NVME_MORE);
		}
	}
	/* MDTS 7: 512 KiB */
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 0, 1025, iova(a), 0))), NVME_INVALID_FIELD);
	assert_int_equal(SC(io(d, rw(NVME_IO_WRITE, 0, 65536, iova(a), 0))), NVME_INVALID_FIELD);
	c = rw(NVME_IO_WRITE, 0, 1, iova(a), 0);
	c.cdw12 |= 1 << 20; /* a directive */
	assert_int_equal(SC(io(d, c)), NVME_INVALID_FIELD);
	assert_int_equal(SC(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 0 })),
			 NVME_INVALID_NAMESPACE);
	assert_int_equal(SC(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 3 })),
			 NVME_INVALID_NAMESPACE);
}

static void test_readonly(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	const uint16_t denied = NVME_WRITE_PROTECTED | NVME_DNR | NVME_MORE;

	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 8, iova(a), 0)), 0);
	assert_int_equal(io(d, rw(NVME_IO_COMPARE, 0, 8, iova(a), 0)), 0);
	assert_int_equal(io(d, rw(NVME_IO_VERIFY, 0, 8, 0, 0)), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 8, iova(a), 0)), denied);
	assert_int_equal(io(d, rw(NVME_IO_WRITE_ZEROES, 0, 8, 0, 0)), denied);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_DATASET,
						  .nsid = 1,
						  .prp1 = iova(a),
						  .cdw11 = 4 }),
			 denied);
}

/* ---- the other commands ---- */

static void test_compare_verify(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 8192, 4096);
	struct nvme_cmd c = rw(NVME_IO_COMPARE, 16, 16, iova(a), iova(a + 4096));

	fill(d->mem + a, 8192, 3);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 16, 16, iova(a), iova(a + 4096))), 0);
	assert_int_equal(io(d, c), 0);
	d->mem[a + 8191] ^= 1;
	assert_int_equal(io(d, c), NVME_COMPARE_FAILURE | NVME_DNR | NVME_MORE);
	c.prp2 = HOLE_IOVA;
	assert_int_equal(SC(io(d, c)), NVME_DATA_TRANSFER_ERROR);
	/* 16 MiB, beyond MDTS */
	assert_int_equal(io(d, rw(NVME_IO_VERIFY, 0, SIZE / 512, 0, 0)), 0);
	/* an image that is cut short is a medium that cannot be read, not zeroes */
	assert_int_equal(truncate(d->image, 8192), 0);
	assert_int_equal(SC(io(d, rw(NVME_IO_VERIFY, 16, 1, 0, 0))), NVME_READ_ERROR);
	assert_int_equal(SC(io(d, rw(NVME_IO_READ, 15, 2, iova(a), 0))), NVME_READ_ERROR);
	assert_int_equal(io(d, rw(NVME_IO_READ, 15, 1, iova(a), 0)), 0);
}

static uint64_t allocated(struct drv *d)
{
	struct stat st;

	assert_int_equal(stat(d->image, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void fill_image(struct drv *d, uint64_t len)
{
	uint64_t a = alloc_at(d, 512 << 10, 4096), lists = alloc_at(d, 4096, 4096);

	memset(d->mem + a, 0xee, 512 << 10);
	for (uint64_t off = 0; off < len; off += 512 << 10) {
		struct nvme_cmd c = rw(NVME_IO_WRITE, off / 512, 1024, 0, 0);

		prps(d, &c, a, 512 << 10, lists, 0);
		assert_int_equal(io(d, c), 0);
	}
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
}

static void expect_bytes(struct drv *d, uint64_t off, uint64_t len, int byte)
{
	char *m = malloc(len);

	image_read(d, off, m, len);
	for (uint64_t i = 0; i < len; i++)
		if ((unsigned char)m[i] != byte)
			fail_msg("byte %llu is %02x", (unsigned long long)(off + i), m[i] & 0xff);
	free(m);
}

static void check_zeroes(struct drv *d, bool holes)
{
	struct nvme_cmd c;
	uint64_t before;

	fill_image(d, 4 << 20);
	before = allocated(d);
	assert_true(before >= 4 << 20);
	c = rw(NVME_IO_WRITE_ZEROES, 1, 4095, 0, 0); /* 512 up to 2 MiB */
	assert_int_equal(io(d, c), 0);
	expect_bytes(d, 0, 512, 0xee);
	expect_bytes(d, 512, 4095 * 512, 0);
	expect_bytes(d, 2 << 20, 512, 0xee);
	c = rw(NVME_IO_WRITE_ZEROES, 4096, 4095, 0, 0);
	c.cdw12 |= NVME_WZ_DEAC | NVME_RW_FUA;
	assert_int_equal(io(d, c), 0);
	expect_bytes(d, 2 << 20, 4095 * 512, 0);
	expect_bytes(d, (4 << 20) - 512, 512, 0xee);
	if (holes)
		assert_true(allocated(d) <= before - (1 << 20));
	else
		assert_true(allocated(d) >= before);
}

static void test_write_zeroes(void **state)
{
	check_zeroes(*state, true);
}

static void test_dataset(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096), before;
	struct nvme_dsm_range *r = (void *)(d->mem + a);
	struct nvme_cmd c = {
		.opc = NVME_IO_DATASET, .nsid = 1, .prp1 = iova(a), .cdw10 = 2, .cdw11 = NVME_DSM_AD
	};

	fill_image(d, 4 << 20);
	before = allocated(d);
	r[0] = (struct nvme_dsm_range){ 0, 2048, 2048 };
	r[1] = (struct nvme_dsm_range){ 0, 0, 5 };
	r[2] = (struct nvme_dsm_range){ 0, 1, 1 };
	c.cdw11 = 3; /* hints of access only */
	assert_int_equal(io(d, c), 0);
	assert_true(allocated(d) >= before);
	c.cdw11 = NVME_DSM_AD;
	assert_int_equal(io(d, c), 0);
	assert_true(allocated(d) <= before - (1 << 20));
	expect_bytes(d, 1 << 20, 1 << 20, 0);
	expect_bytes(d, 0, 512, 0xee);
	expect_bytes(d, 512, 512, 0);
	expect_bytes(d, 1024, 512, 0xee);
	/* a range beyond the end: nothing is done */
	r[0] = (struct nvme_dsm_range){ 0, 8, 0 };
	r[1] = (struct nvme_dsm_range){ 0, 2, SIZE / 512 - 1 };
	assert_int_equal(io(d, c), NVME_LBA_RANGE | NVME_DNR | NVME_MORE);
	expect_bytes(d, 0, 512, 0xee);
	r[1] = (struct nvme_dsm_range){ 0, UINT32_MAX, UINT64_MAX - 5 };
	assert_int_equal(SC(io(d, c)), NVME_LBA_RANGE);
	/* 256 ranges fill the page */
	for (unsigned i = 0; i < 256; i++)
		r[i] = (struct nvme_dsm_range){ 0, 1, i * 2 };
	c.cdw10 = 255;
	assert_int_equal(io(d, c), 0);
	expect_bytes(d, 0, 512, 0);
	expect_bytes(d, 512 * 511, 512, 0xee);
	c.prp1 = HOLE_IOVA;
	assert_int_equal(SC(io(d, c)), NVME_DATA_TRANSFER_ERROR);
}

/* ---- many at once ---- */

struct slot {
	uint16_t cid;
	bool busy, write;
	uint64_t at, lba;
	unsigned blocks;
};

/*
 * @pairs queues with 24 commands each in flight, each on its own stretch of the disk and no two on
 * the same block; what is read must be what the model of the disk holds.
 */
static void random_io(struct drv *d, unsigned pairs, unsigned rounds)
{
	enum { SLOTS = 24, BLOCKS = 64 };
	static struct slot slots[4][SLOTS];
	char *ref = calloc(1, SIZE);
	uint64_t base = alloc_at(d, pairs * SLOTS * (BLOCKS + 8) * 512ull, 4096);
	uint64_t lists = alloc_at(d, pairs * SLOTS * 4096, 4096);
	uint64_t end = test_now() + 60000000000ull;
	unsigned started = 0, done = 0;

	srand(7);
	memset(slots, 0, sizeof(slots));
	while (done < rounds) {
		for (unsigned q = 0; q < pairs; q++) {
			struct nvme_cqe e;
			bool any = false;

			for (unsigned s = 0; s < SLOTS && started < rounds; s++) {
				struct slot *x = &slots[q][s];
				unsigned kind = (unsigned)rand() % 16;
				struct nvme_cmd c;

				if (x->busy || rand() % 3 == 0)
					continue;
				x->busy = true;
				x->blocks = 1 + (unsigned)rand() % BLOCKS;
				x->lba = (q * SLOTS + s) * 128 + (unsigned)rand() % (128 - BLOCKS);
				x->at = base + (q * SLOTS + s) * (BLOCKS + 8) * 512 +
					(unsigned)rand() % 8 * 512;
				x->write = kind < 7;
				c = rw(x->write ? NVME_IO_WRITE : NVME_IO_READ, x->lba, x->blocks,
				       0, 0);
				if (kind == 0 || kind == 15)
					c.cdw12 |= NVME_RW_FUA;
				prps(d, &c, x->at, x->blocks * 512, lists + (q * SLOTS + s) * 4096,
				     0);
				if (x->write) {
					fill(d->mem + x->at, x->blocks * 512, (uint32_t)rand());
					memcpy(ref + x->lba * 512, d->mem + x->at, x->blocks * 512);
				} else {
					memset(d->mem + x->at, 0x77, x->blocks * 512);
				}
				x->cid = put(d, &d->io[q], &c);
				started++;
				any = true;
			}
			if (any)
				ring_sq(d, &d->io[q]);
			any = false;
			while (take(d, &d->io[q], &e)) {
				struct slot *x = slots[q];

				any = true;
				while (!x->busy || x->cid != e.cid)
					assert_true(++x < slots[q] + SLOTS);
				assert_int_equal(e.status >> 1, 0);
				if (!x->write)
					assert_memory_equal(d->mem + x->at, ref + x->lba * 512,
							    x->blocks * 512);
				x->busy = false;
				done++;
			}
			if (any)
				ring_cq(d, &d->io[q]);
		}
		assert_true(test_now() < end);
	}
	char *img = malloc(SIZE);

	image_read(d, 0, img, SIZE);
	assert_memory_equal(img, ref, SIZE);
	free(img);
	free(ref);
}

static void test_random(void **state)
{
	struct drv *d = *state;

	make_pair(d, 1, 25, 25);
	make_pair(d, 2, 100, 3); /* a completion queue that is always full */
	random_io(d, 3, 3000);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

/* 4.1.2: with the completion queue full nothing is overwritten, and everything comes in the end. */
static void test_cq_full(void **state)
{
	struct drv *d = *state;
	struct queue *q = make_pair(d, 1, 64, 4);
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 1, iova(a), 0);
	struct nvme_cqe e;
	unsigned n = 0;

	for (int i = 0; i < 20; i++)
		put(d, q, &c);
	ring_sq(d, q);
	for (int i = 0; i < 40; i++)
		nap();
	while (take(d, q, &e))
		n++;
	assert_int_equal(n, 3); /* one entry stays empty */
	for (; n < 20; n++) {
		if (n % 2)
			ring_cq(d, q);
		uint64_t end = test_now() + 5000000000ull;

		while (!take(d, q, &e)) {
			ring_cq(d, q);
			assert_true(test_now() < end);
			nap();
		}
	}
	ring_cq(d, q);
	assert_false(take(d, q, &e));
}

/* Two queues share a completion queue; entries name their submission queue. */
static void test_shared_cq(void **state)
{
	struct drv *d = *state;
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 1, iova(a), 0);
	unsigned seen[4] = { 0 }, n = 0;
	uint64_t end = test_now() + 5000000000ull;

	queue_make(d, &d->io[1], 2, 16, 2);
	assert_int_equal(create_sq(d, &d->io[1], 1), 0);
	for (int i = 0; i < 15; i++) {
		put(d, &d->io[0], &c);
		put(d, &d->io[1], &c);
	}
	ring_sq(d, &d->io[0]);
	ring_sq(d, &d->io[1]);
	while (n < 30) {
		struct queue *q = &d->io[0];
		struct nvme_cqe *e = (void *)(d->mem + q->cq + q->head * 16);

		if ((e->status & 1) == q->phase) {
			assert_in_range(e->sq_id, 1, 2);
			seen[e->sq_id]++;
			n++;
			q->head = (q->head + 1) % q->cq_entries;
			if (!q->head)
				q->phase ^= 1;
			ring_cq(d, q);
		}
		assert_true(test_now() < end);
	}
	assert_int_equal(seen[1], 15);
	assert_int_equal(seen[2], 15);
}

/* ---- systems that lack something: a child in which a system call fails ---- */

/* A controller on an image in @dir, on a system that lacks some calls. */
struct lacking {
	int calls[2]; /* that fail; 0: none */
	int err;
	const char *dir;
	void (*body)(struct drv *d);
};

static void run_lacking(const void *arg)
{
	const struct lacking *l = arg;
	void *state;

	for (unsigned i = 0; i < 2; i++) {
		if (l->calls[i])
			deny(l->calls[i], l->err);
	}
	setup_with(&state, l->dir, NULL, 0);
	l->body(state);
	teardown(&state);
}

static void body_random(struct drv *d)
{
	make_pair(d, 1, 25, 25);
	make_pair(d, 2, 100, 3);
	random_io(d, 3, 1500);
}

static void body_all(struct drv *d)
{
	void *state = d;

	test_write_read(&state);
	test_compare_verify(&state);
}

static void body_no_holes(struct drv *d)
{
	uint64_t a = alloc_at(d, 4096, 4096), before;
	struct nvme_dsm_range *r = (void *)(d->mem + a);
	struct nvme_cmd c = {
		.opc = NVME_IO_DATASET, .nsid = 1, .prp1 = iova(a), .cdw11 = NVME_DSM_AD
	};

	check_zeroes(d, false);
	before = allocated(d);
	r[0] = (struct nvme_dsm_range){ 0, 2048, 0 };
	assert_int_equal(io(d, c), 0); /* a hint that cannot be followed */
	assert_true(allocated(d) >= before);
}

static void test_no_io_uring(void **state)
{
	static const struct lacking systems[] = {
		{ { __NR_io_uring_setup }, EPERM, "/var/tmp", body_random },
		{ { __NR_io_uring_setup }, ENOSYS, "/dev/shm", body_random },
		{ { __NR_io_uring_setup }, ENOMEM, "/var/tmp", body_all },
	};

	for (unsigned i = 0; i < 3; i++)
		run_child(run_lacking, &systems[i]);
}

static void test_no_fallocate(void **state)
{
	static const struct lacking system = {
		{ __NR_fallocate, __NR_io_uring_setup }, EOPNOTSUPP, "/var/tmp", body_no_holes
	};

	run_child(run_lacking, &system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_io_uring),
		cmocka_unit_test(test_no_fallocate),
		cmocka_unit_test_setup_teardown(test_write_read, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_write_read, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_blocks_of_4k, setup_4k, teardown),
		cmocka_unit_test_setup_teardown(test_prp_shapes, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_prp_shapes, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_prp_scattered, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_prp_errors, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_prp_errors, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_dma_rights, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_dma_rights, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_statuses, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_readonly, setup_readonly, teardown),
		cmocka_unit_test_setup_teardown(test_compare_verify, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_compare_verify, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_write_zeroes, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_write_zeroes, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_dataset, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_dataset, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup_memory, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_cq_full, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(test_shared_cq, setup_disk, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
