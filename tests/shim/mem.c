/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/mem.c: memory that the device has and the program takes away. The kernel pins pages:
 * the device keeps the old ones.
 */
#include "shim.h"

#define N    (16 * 4096ul)
#define IOVA 0x100000ul
#define BACK 0x800000ul /* where the buffer is that one looks at */

static struct vfio v;
static uint32_t *back;

static bool set_up(void *mem, size_t len)
{
	v = vfio_open();
	back = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(back, 0xee, len);
	return v.device >= 0 && bus_master(&v) && !dma_map(&v, mem, IOVA, len) &&
	       !dma_map(&v, back, BACK, len);
}

static void tear_down(size_t len)
{
	vfio_close(&v);
	munmap(back, len);
}

static void fill(uint32_t *p, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len / 4; i++)
		p[i] = seed + (uint32_t)i;
}

/* The device still reads what fill() wrote, and may write there. */
static bool device_has(size_t at, size_t len, uint32_t seed)
{
	if (engine(&v, TD_OP_COPY, IOVA + at, BACK, len, 0) != TD_DMA_OK)
		return false;
	for (size_t i = 0; i < len / 4; i++)
		if (back[i] != seed + (uint32_t)(at / 4 + i))
			return false;
	return engine(&v, TD_OP_COPY, BACK, IOVA + at, len, 0) == TD_DMA_OK;
}

static void *anonymous(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void dma_works(void)
{
	uint32_t *p = anonymous(N);

	fill(p, N, 1);
	CHECK(set_up(p, N));
	CHECK(device_has(0, N, 1));
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, 4096, 0x77777777) == TD_DMA_OK &&
	      p[0] == 0x77777777 && p[1023] == 0x77777777 && p[1024] == 1025);
	/* and does not where nothing is mapped */
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA + N, 4, 1) == TD_DMA_FAULT);
	munmap(p, N);
	tear_down(N);
}

static void after_munmap(void)
{
	uint32_t *p = anonymous(N), *q;

	fill(p, N, 100);
	CHECK(set_up(p, N));
	CHECK(!munmap(p, N));
	CHECK(device_has(0, N, 100));
	/* other memory at the same address is not the device's */
	q = mmap(p, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p);
	CHECK(device_has(0, N, 100));
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, N, 5) == TD_DMA_OK);
	CHECK(q[0] == 0 && q[N / 4 - 1] == 0);
	/* the mapping goes as one */
	CHECK(dma_unmap(&v, IOVA, N) == (long)N);
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, 4, 1) == TD_DMA_FAULT);
	CHECK(!dma_map(&v, q, IOVA, N));
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, N, 6) == TD_DMA_OK && q[0] == 6);
	munmap(q, N);
	tear_down(N);
}

static void after_partial_munmap(void)
{
	uint32_t *p = anonymous(N);

	fill(p, N, 200);
	CHECK(set_up(p, N));
	CHECK(!munmap((char *)p + 4 * 4096, 4 * 4096));
	CHECK(device_has(0, N, 200));
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, 4, 9) == TD_DMA_OK && p[0] == 9);
	/* by the raw call through libc */
	CHECK(!syscall(SYS_munmap, p, 4096));
	CHECK(device_has(4096, N - 4096, 200));
	munmap(p, N);
	tear_down(N);
}

static void after_map_fixed(void)
{
	uint32_t *p = anonymous(N), *q;

	fill(p, N, 300);
	CHECK(set_up(p, N));
	q = mmap(p, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(q == p && q[0] == 0);
	CHECK(device_has(0, N, 300));
	CHECK(q[0] == 0);
	munmap(p, N);
	tear_down(N);
}

static void after_dontneed(void)
{
	uint32_t *p = anonymous(N);

	fill(p, N, 400);
	CHECK(set_up(p, N));
	CHECK(!madvise(p, N, MADV_DONTNEED));
	CHECK(p[0] == 0 && p[N / 4 - 1] == 0);
	p[0] = 1;
	CHECK(device_has(0, N, 400));
	munmap(p, N);
	tear_down(N);
}

/* two mappings next to each other, of two kinds, mapped for DMA as one */
static void after_munmap_of_two(void)
{
	int m = memfd_create("half", 0);
	uint32_t *p = anonymous(N), *q;

	CHECK(!ftruncate(m, N / 2));
	q = mmap((char *)p + N / 2, N / 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m, 0);
	CHECK((char *)q == (char *)p + N / 2);
	fill(p, N, 500);
	CHECK(set_up(p, N));
	CHECK(!munmap(p, N));
	CHECK(device_has(0, N, 500));
	/* the shared half is the file's still */
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA + N / 2, 4, 0xabcd) == TD_DMA_OK);
	uint32_t w = 0;
	CHECK(pread(m, &w, 4, 0) == 4 && w == 0xabcd);
	close(m);
	tear_down(N);
}

static void mremap_of_shared(void)
{
	int m = memfd_create("all", 0);
	uint32_t *p, *q;

	CHECK(!ftruncate(m, 2 * N));
	p = mmap(NULL, N, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0);
	fill(p, N, 600);
	CHECK(set_up(p, N));
	q = mmap(NULL, 2 * N, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mremap(p, N, 2 * N, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	CHECK(device_has(0, N, 600));
	/* program and device still see the same pages */
	CHECK(engine(&v, TD_OP_FILL, 0, IOVA, 4, 0x4242) == TD_DMA_OK && q[0] == 0x4242);
	munmap(q, 2 * N);
	close(m);
	tear_down(N);
}

static void mremap_of_private(void)
{
	uint32_t *p = anonymous(N), *q;

	fill(p, N, 700);
	CHECK(set_up(p, N));
	q = mmap(NULL, N, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* a shorter one stays in its place */
	CHECK(mremap(p, N, N / 2, 0) == p);
	CHECK(device_has(0, N, 700));
	CHECK(mremap(p, N / 2, N / 2, MREMAP_MAYMOVE | MREMAP_FIXED, q) == MAP_FAILED &&
	      errno == ENOMEM);
	CHECK(p[0] == 700 && device_has(0, N, 700));
	munmap(p, N);
	munmap(q, N);
	tear_down(N);
}

/*
 * Memory that the program maps where the device's was before is no device's, and can be moved.
 */
static void mremap_of_what_came_after(void)
{
	uint32_t *p = anonymous(N), *q,
		 *r = mmap(NULL, 2 * N, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fill(p, N, 750);
	CHECK(set_up(p, N));
	q = mmap(p, N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	fill(q, N, 9000);
	CHECK(mremap(q, N, 2 * N, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	CHECK(r[5] == 9005 && device_has(0, N, 750) && r[5] == 9005);
	munmap(r, 2 * N);
	tear_down(N);
}

/* Memory that never had to do with a device moves as always. */
static void others_are_left_alone(void)
{
	uint32_t *p = anonymous(N), *o = anonymous(N), *q;

	CHECK(set_up(p, N));
	fill(o, N, 1);
	q = mremap(o, N, 4 * N, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q[5] == 6);
	CHECK(!munmap(q, 4 * N));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	FAILS(munmap((void *)1, 4096), EINVAL);
	munmap(p, N);
	tear_down(N);
}

static void large(void)
{
	size_t len = 64ul << 20;
	uint32_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	p[0] = 800;
	p[len / 4 - 1] = 801;
	v = vfio_open();
	CHECK(bus_master(&v) && !dma_map(&v, p, IOVA, len));
	CHECK(!munmap(p, len));
	CHECK(engine(&v, TD_OP_COPY, IOVA, IOVA + 8192, 4, 0) == TD_DMA_OK);
	vfio_close(&v);
}

int main(void)
{
	RUN(dma_works);
	RUN(after_munmap);
	RUN(after_partial_munmap);
	RUN(after_map_fixed);
	RUN(after_dontneed);
	RUN(after_munmap_of_two);
	RUN(mremap_of_shared);
	RUN(mremap_of_private);
	RUN(mremap_of_what_came_after);
	RUN(others_are_left_alone);
	RUN(large);
	return any_failed;
}
