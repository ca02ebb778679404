/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim_dma_memory: kinds of memory, mapped for DMA, and what the program does to it afterwards. The kernel has pinned the pages, and the rights of the
 * device are those of MAP_DMA: whatever comes later, the device reads and writes the same pages. A program that still sees them sees what the device writes.
 */
#include "shim.h"
#include <pthread.h>

#define SIZE (4 * 4096ul)
#define IOVA 0x100000ul
#define BACK 0x800000ul /* where the buffer is that one looks at */

static struct vfio v;
static unsigned char *back;

static void start(void)
{
	v = vfio_open();
	back = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (v.device < 0 || back == MAP_FAILED || !bus_master(&v) || dma_map(&v, back, BACK, SIZE)) {
		printf("FAIL start: errno %d\n", errno);
		exit(1);
	}
}

static bool device_writes(size_t at, size_t len, unsigned char value)
{
	return engine(&v, TD_OP_FILL, 0, IOVA + at, len, value * 0x01010101u) == TD_DMA_OK;
}

/* Are all of the bytes @value? */
static bool device_reads(size_t at, size_t len, unsigned char value)
{
	memset(back, ~value, len);
	if (engine(&v, TD_OP_COPY, IOVA + at, BACK, len, 0) != TD_DMA_OK)
		return false;
	for (size_t i = 0; i < len; i++)
		if (back[i] != value)
			return false;
	return true;
}

static bool all(const unsigned char *p, size_t len, unsigned char value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* ---- kinds of memory: SIZE bytes that start a page ---- */

static unsigned char *anonymous(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static unsigned char *shared(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static unsigned char *of_file(int flags)
{
	int fd = memfd_create("memory", 0);
	unsigned char *p = MAP_FAILED;

	if (!ftruncate(fd, SIZE))
		p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	return p;
}

static unsigned char *shared_file(void)
{
	return of_file(MAP_SHARED);
}

static unsigned char *private_file(void)
{
	return of_file(MAP_PRIVATE);
}

static struct kind {
	const char *name;
	unsigned char *(*get)(void);
} kinds[] = {
	{ "private memory", anonymous },
	{ "shared memory", shared },
	{ "a shared file", shared_file },
	{ "a file, private", private_file },
};
#define EACH_KIND(k) for (struct kind *k = kinds; k < kinds + sizeof(kinds) / sizeof(kinds[0]); k++)

static void report(const char *what, const char *kind)
{
	printf("%s %s: %s\n", case_failed ? "FAIL" : "ok  ", what, kind);
	fflush(stdout);
	any_failed |= case_failed;
	case_failed = 0;
}

/* ---- the program changes protection ---- */

static void protection(unsigned char *p)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE };

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	for (unsigned i = 0; i < sizeof(prots) / sizeof(prots[0]); i++) {
		unsigned char value = (unsigned char)(0x20 + 2 * i);

		CHECK(!mprotect(p, SIZE, PROT_READ | PROT_WRITE));
		memset(p, value, SIZE);
		CHECK(!mprotect(p, SIZE, prots[i]));
		/* over the ends of pages, and all of it */
		CHECK(device_reads(4000, 200, value));
		CHECK(device_reads(0, SIZE, value));
		CHECK(device_writes(4000, 200, (unsigned char)(value + 1)));
		CHECK(device_reads(4000, 200, (unsigned char)(value + 1)));
		CHECK(!mprotect(p, SIZE, PROT_READ));
		CHECK(all(p, 4000, value) && all(p + 4000, 200, (unsigned char)(value + 1)) && all(p + 4200, SIZE - 4200, value));
		CHECK(device_writes(0, SIZE, (unsigned char)(value + 1)));
		CHECK(all(p, SIZE, (unsigned char)(value + 1)));
	}
	/* one page in the middle */
	CHECK(!mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(p + 4096, 4096, PROT_NONE));
	CHECK(device_writes(0, SIZE, 0x51) && device_reads(0, SIZE, 0x51));
	CHECK(!mprotect(p + 4096, 4096, PROT_READ));
	CHECK(all(p, SIZE, 0x51));
	/* by a call of its own, and then the memory goes */
	CHECK(!raw_call(SYS_mprotect, (long)p, SIZE, PROT_NONE, 0, 0, 0));
	CHECK(device_reads(0, SIZE, 0x51));
	CHECK(!munmap(p, SIZE));
	CHECK(device_reads(0, SIZE, 0x51) && device_writes(0, SIZE, 0x52) && device_reads(0, SIZE, 0x52));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
}

/* What the device may do is what MAP_DMA said: not more than that when the program's protection is gone round. */
static void rights_of_map(void)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_READ, .iova = IOVA, .size = SIZE };
	unsigned char *p = anonymous();

	memset(p, 0x11, SIZE);
	CHECK(!mprotect(p, SIZE, PROT_READ));
	m.vaddr = (uintptr_t)p;
	CHECK(!ioctl(v.container, VFIO_IOMMU_MAP_DMA, &m));
	CHECK(!device_writes(0, 4096, 0x22));
	CHECK(device_reads(0, SIZE, 0x11) && all(p, SIZE, 0x11));
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	/* and the program must have the rights then that the device asks for */
	FAILS(dma_map(&v, p, IOVA, SIZE), EFAULT);
	CHECK(!mprotect(p, SIZE, PROT_NONE));
	FAILS(ioctl(v.container, VFIO_IOMMU_MAP_DMA, &m), EFAULT);
	munmap(p, SIZE);
}

/* A fork in between: the child has pages of its own. */
static void protection_and_fork(void)
{
	unsigned char *p = anonymous();
	int go[2];
	pid_t pid;

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE) && !pipe(go));
	pid = fork();
	if (!pid) {
		char c;

		close(go[1]);
		memset(p + 4096, 0x33, 4096);
		_exit(read(go[0], &c, 1) != 1 || !all(p, 4096, 0x11) || !all(p + 4096, 4096, 0x33));
	}
	CHECK(!mprotect(p, SIZE, PROT_READ));
	CHECK(device_writes(0, SIZE, 0x22));
	CHECK(all(p, SIZE, 0x22));
	CHECK(write(go[1], "x", 1) == 1 && wait_for(pid) == 0);
	CHECK(device_reads(0, SIZE, 0x22));
	close(go[0]);
	close(go[1]);
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

/* A protection key of the thread's does not bind a device. Processors without them say so. */
static void protection_key(void)
{
	unsigned char *p = anonymous();
	int key = pkey_alloc(0, 0), why = errno;

	memset(p, 0x11, SIZE);
	CHECK(!dma_map(&v, p, IOVA, SIZE));
	if (key >= 0) {
		CHECK(!pkey_mprotect(p, SIZE, PROT_READ | PROT_WRITE, key));
		CHECK(!pkey_set(key, PKEY_DISABLE_ACCESS));
		CHECK(device_reads(0, SIZE, 0x11) && device_writes(0, SIZE, 0x22));
		CHECK(!pkey_set(key, 0) && all(p, SIZE, 0x22));
		CHECK(!pkey_mprotect(p, SIZE, PROT_READ | PROT_WRITE, 0));
		pkey_free(key);
	} else {
		CHECK(why == ENOSPC || why == EINVAL || why == ENOSYS);
	}
	CHECK(dma_unmap(&v, IOVA, SIZE) == SIZE);
	munmap(p, SIZE);
}

int main(void)
{
	start();
	EACH_KIND(k) {
		protection(k->get());
		report("protection", k->name);
	}
	RUN(rights_of_map);
	RUN(protection_and_fork);
	RUN(protection_key);
	vfio_close(&v);
	return any_failed;
}
