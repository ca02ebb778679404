/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * p2p/client.c: two testdevs (0000:01:00.0 and 0000:02:00.0) and an nvme in one address space, with
 * the BARs of each mapped for the others. By argument: `type1`, one container, and mappings of the
 * BARs' mappings; `iommufd`, an IOAS, and dma-bufs. Libc and the ABI alone.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "shim/shim.h"
#include "vfio/iommufd_defs.h"

#define PAGE	 4096ull
#define MEMORY	 0x100000ull /* the program's */
#define RAM_B	 0x200000ull /* BAR0 of b, and so on */
#define REGS_B	 0x300000ull
#define RAM_A	 0x400000ull
#define REGS_A	 0x500000ull
#define NVME	 0x600000ull
#define REGS_LEN 0x1000ull

static struct vfio a, b, nvme;
static int container = -1, iommu = -1;
static uint32_t ioas;
static uint64_t *memory;

static uint64_t get64(int device, uint64_t pos)
{
	uint64_t v = 0;

	return pread(device, &v, 8, (off_t)pos) == 8 ? v : 0xbad;
}

static bool put_ram(int device, uint64_t off, uint64_t v)
{
	return pwrite(device, &v, 8, (off_t)(RAM + off)) == 8;
}

/* Have @device do @op; returns DMA_STATUS. */
static uint32_t dma(int device, uint32_t op, uint64_t src, uint64_t dst, uint64_t len)
{
	put64(device, TD_DMA_SRC, src);
	put64(device, TD_DMA_DST, dst);
	put64(device, TD_DMA_LEN, len);
	put32(device, TD_DMA_CMD, op);
	return get32(device, TD_DMA_STATUS);
}

static bool decode(int device, bool on)
{
	uint16_t cmd = PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0);

	return pwrite(device, &cmd, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2;
}

static unsigned pm_cap(int device)
{
	uint8_t at = 0, cap[2];

	pread(device, &at, 1, (off_t)(CONFIG + PCI_CAPABILITY_LIST));
	for (; at; at = cap[1]) {
		pread(device, cap, 2, (off_t)(CONFIG + at));
		if (cap[0] == PCI_CAP_ID_PM)
			return at;
	}
	return 0;
}

static bool power(int device, uint16_t state)
{
	return pwrite(device, &state, 2, (off_t)(CONFIG + pm_cap(device) + PCI_PM_CTRL)) == 2;
}

/* ---- mapping ---- */

static int dmabuf_of(int device, uint32_t bar, uint64_t offset, uint64_t len)
{
	struct {
		uint32_t argsz, flags, region, open_flags, dmabuf_flags, n;
		uint64_t offset, len;
	} r = { .argsz = sizeof(r),
		.flags = VFIO_DEVICE_FEATURE_GET | 11,
		.region = bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.n = 1,
		.offset = offset,
		.len = len };

	return ioctl(device, VFIO_DEVICE_FEATURE, &r);
}

static int map_dmabuf(int fd, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map_file m = { .size = sizeof(m),
					 .flags = 7,
					 .ioas_id = ioas,
					 .fd = fd,
					 .length = len,
					 .iova = iova };

	return ioctl(iommu, IOMMU_IOAS_MAP_FILE, &m);
}

static int unmap(uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = ioas, .iova = iova, .length = len
	};

	if (iommu < 0)
		return vfio_dma_unmap(container, iova, len, 0) == (long)len ? 0 : -1;
	return ioctl(iommu, IOMMU_IOAS_UNMAP, &u);
}

static void *map_bar(int device, uint32_t bar, uint64_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_SHARED, device, (off_t)VFIO_REGION(bar));

	return p == MAP_FAILED ? NULL : p;
}

/* Have [0, @len) of a BAR at @iova. */
static int map(int device, uint32_t bar, uint64_t iova, uint64_t len)
{
	int fd, ret;
	void *p;

	if (iommu >= 0) {
		fd = dmabuf_of(device, bar, 0, len);
		ret = fd < 0 ? -1 : map_dmabuf(fd, iova, len);
		close(fd);
		return ret;
	}
	p = map_bar(device, bar, len, PROT_READ | PROT_WRITE);
	if (!p)
		return -1;
	ret = vfio_dma_map(container, p, iova, len, 3);
	munmap(p, len); /* the mapping for DMA stays */
	return ret;
}

/* ---- cases ---- */

static void to_memory_of_another(void)
{
	for (unsigned i = 0; i < 512; i++)
		memory[i] = 0x1111111111111111ull * (i % 16);
	CHECK(dma(a.device, TD_OP_COPY, MEMORY, RAM_B + 0x10, 512) == TD_DMA_OK);
	CHECK(get64(b.device, RAM + 0x18) == memory[1] &&
	      get64(b.device, RAM + 0x208) == memory[63]);
	CHECK(dma(a.device, TD_OP_COMPARE, MEMORY, RAM_B + 0x10, 512) == TD_DMA_OK);
	memory[600] = 0;
	CHECK(dma(a.device, TD_OP_COPY, RAM_B + 0x18, MEMORY + 4800, 8) == TD_DMA_OK);
	CHECK(memory[600] == memory[1]);
	/* unaligned, and over the end of a page */
	CHECK(dma(a.device, TD_OP_COPY, MEMORY + 3, RAM_B + 0xff5, 33) == TD_DMA_OK);
	CHECK(dma(a.device, TD_OP_COMPARE, MEMORY + 3, RAM_B + 0xff5, 33) == TD_DMA_OK);
	/* its own memory, by its own way out and in */
	CHECK(dma(a.device, TD_OP_COPY, MEMORY + 8, RAM_A, 8) == TD_DMA_OK);
	CHECK(get64(a.device, RAM) == memory[1]);
}

static void to_registers(void)
{
	memory[0] = 0xcafe0001;
	CHECK(dma(a.device, TD_OP_COPY, MEMORY, REGS_B + TD_SCRATCH32, 4) == TD_DMA_OK);
	CHECK(get32(b.device, TD_SCRATCH32) == 0xcafe0001);
	CHECK(dma(a.device, TD_OP_COPY, REGS_B + TD_ID, MEMORY + 8, 4) == TD_DMA_OK);
	CHECK((uint32_t)memory[1] == TD_ID_VALUE);
	/* its own, in the middle of the write to another of them */
	CHECK(dma(a.device, TD_OP_COPY, MEMORY, REGS_A + TD_SCRATCH32, 4) == TD_DMA_OK);
	CHECK(get32(a.device, TD_SCRATCH32) == 0xcafe0001);
	/* a register that refuses: a fault, as for a processor it is ones */
	CHECK(dma(a.device, TD_OP_COPY, REGS_B + TD_FAIL, MEMORY, 4) == TD_DMA_FAULT);
	/* a writes what starts b's engine, which writes to a */
	put_ram(a.device, 0x100, 0);
	put64(b.device, TD_DMA_DST, RAM_A + 0x100);
	put64(b.device, TD_DMA_LEN, 4);
	put32(b.device, TD_DMA_PATTERN, 0x600d);
	memory[0] = TD_OP_FILL;
	CHECK(dma(a.device, TD_OP_COPY, MEMORY, REGS_B + TD_DMA_CMD, 4) == TD_DMA_OK);
	CHECK(get32(b.device, TD_DMA_STATUS) == TD_DMA_OK &&
	      get64(a.device, RAM + 0x100) == 0x600d);
	/* a model that has locks of its own */
	CHECK(dma(a.device, TD_OP_COPY, NVME, MEMORY, 8) == TD_DMA_OK);
	CHECK(memory[0] == get64(nvme.device, 0) && memory[0] != 0);
}

/* Nobody there: the other does not decode, or sleeps. */
static void nobody_answers(void)
{
	put_ram(b.device, 0, 5);
	CHECK(decode(b.device, false));
	CHECK(dma(a.device, TD_OP_COPY, RAM_B, MEMORY, 8) == TD_DMA_FAULT);
	CHECK(get64(a.device, REGS + TD_DMA_ADDR) == RAM_B);
	CHECK(decode(b.device, true));
	CHECK(dma(a.device, TD_OP_COPY, RAM_B, MEMORY, 8) == TD_DMA_OK && memory[0] == 5);
	CHECK(power(b.device, 3));
	CHECK(dma(a.device, TD_OP_COPY, RAM_B, MEMORY, 8) == TD_DMA_FAULT);
	CHECK(power(b.device, 0));
	CHECK(dma(a.device, TD_OP_COPY, RAM_B, MEMORY, 8) == TD_DMA_OK);
	CHECK(!ioctl(b.device, VFIO_DEVICE_RESET));
	CHECK(dma(a.device, TD_OP_COPY, RAM_B, MEMORY, 8) == TD_DMA_OK && memory[0] == 0);
}

#define ROUNDS 2000

static atomic_int bad;

/* From @arg, the device's own descriptor, into the other. */
static void *there(void *arg)
{
	int device = *(int *)arg;
	uint64_t to = device == a.device ? RAM_B : RAM_A;

	for (unsigned i = 0; i < ROUNDS; i++) {
		put32(device, TD_DMA_PATTERN, i);
		if (dma(device, TD_OP_FILL, 0, to + 0x800, 64) != TD_DMA_OK ||
		    dma(device, TD_OP_CHECK, to + 0x800, 0, 64) != TD_DMA_OK)
			atomic_fetch_add(&bad, 1);
	}
	return NULL;
}

static void to_each_other_at_once(void)
{
	pthread_t t1, t2;

	CHECK(!pthread_create(&t1, NULL, there, &a.device));
	CHECK(!pthread_create(&t2, NULL, there, &b.device));
	pthread_join(t1, NULL);
	pthread_join(t2, NULL);
	CHECK(!atomic_load(&bad));
}

/* The kernel's checks when a BAR's mapping is mapped by type1. */
static void what_type1_takes(void)
{
	char *two = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *ro = map_bar(b.device, 0, PAGE, PROT_READ);
	char *p = map_bar(b.device, 0, PAGE, PROT_READ | PROT_WRITE);

	FAILS(vfio_dma_map(container, ro, 0x900000, PAGE, 3), EFAULT);
	CHECK(!vfio_dma_map(container, ro, 0x900000, PAGE, VFIO_DMA_MAP_FLAG_READ));
	CHECK(dma(a.device, TD_OP_COPY, 0x900000, MEMORY, 8) == TD_DMA_OK);
	CHECK(dma(a.device, TD_OP_COPY, MEMORY, 0x900000, 8) == TD_DMA_FAULT);
	CHECK(decode(b.device, false));
	FAILS(vfio_dma_map(container, p, 0xa00000, PAGE, 3), EFAULT);
	CHECK(decode(b.device, true));
	/* one mapping of two devices' BARs */
	CHECK(mmap(two, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, a.device,
		   (off_t)(RAM + PAGE)) == two);
	CHECK(mmap(two + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b.device,
		   (off_t)(RAM + 2 * PAGE)) == two + PAGE);
	CHECK(!vfio_dma_map(container, two, 0xa00000, 2 * PAGE, 3));
	put32(a.device, TD_DMA_PATTERN, 0x01010101);
	CHECK(dma(a.device, TD_OP_FILL, 0, 0xa00000, 2 * PAGE) == TD_DMA_OK);
	CHECK(get64(a.device, RAM + PAGE) == 0x0101010101010101 &&
	      get64(b.device, RAM + 3 * PAGE - 8) == 0x0101010101010101 &&
	      get64(b.device, RAM + 3 * PAGE) == 0);
	FAILS(unmap(0xa00000, PAGE), EINVAL);
	CHECK(!unmap(0xa00000, 2 * PAGE) && !unmap(0x900000, PAGE));
	CHECK(dma(a.device, TD_OP_FILL, 0, 0xa00000, 8) == TD_DMA_FAULT);
}

/* It is cut off for good by what takes the BAR away, if only for a moment; a new mapping works. */
static void a_dmabuf_is_revoked(void)
{
	int fd = dmabuf_of(b.device, 0, 0, PAGE), way;
	void *p;

	CHECK(fd >= 0);
	CHECK(!unmap(RAM_B, 2 * PAGE));
	for (way = 0; way < 3; way++) {
		CHECK(!map_dmabuf(fd, RAM_B, PAGE));
		CHECK(dma(a.device, TD_OP_FILL, 0, RAM_B, 4) == TD_DMA_OK);
		if (!way)
			CHECK(!ioctl(b.device, VFIO_DEVICE_RESET));
		else if (way == 1)
			CHECK(decode(b.device, false));
		else
			CHECK(power(b.device, 3));
		CHECK(dma(a.device, TD_OP_FILL, 0, RAM_B, 4) == TD_DMA_FAULT);
		if (way)
			FAILS(map_dmabuf(fd, 0x900000, PAGE), ENODEV);
		CHECK(power(b.device, 0) && decode(b.device, true));
		CHECK(dma(a.device, TD_OP_FILL, 0, RAM_B, 4) == TD_DMA_FAULT);
		CHECK(!unmap(RAM_B, PAGE));
	}
	/* a mapping of the BAR is no memory to an IOAS */
	p = map_bar(b.device, 0, PAGE, PROT_READ | PROT_WRITE);
	struct iommu_ioas_map m = { .size = sizeof(m),
				    .flags = 7,
				    .ioas_id = ioas,
				    .user_va = (uintptr_t)p,
				    .length = PAGE,
				    .iova = 0x900000 };
	FAILS(ioctl(iommu, IOMMU_IOAS_MAP, &m), EFAULT);
	/* of a part of it, from the middle; and the device is closed */
	CHECK(!map_dmabuf(fd, RAM_B, PAGE));
	close(fd);
	CHECK(dma(a.device, TD_OP_FILL, 0, RAM_B, 4) == TD_DMA_OK);
	munmap(p, PAGE);
	close(b.device);
	CHECK(dma(a.device, TD_OP_FILL, 0, RAM_B, 4) == TD_DMA_FAULT);
}

/* ---- setting up ---- */

static bool open_type1(void)
{
	if (vfio_open_device(&a, "/dev/vfio/1", "0000:01:00.0"))
		return false;
	container = a.container;
	b.group = open("/dev/vfio/2", O_RDWR);
	nvme.group = open("/dev/vfio/3", O_RDWR);
	if (ioctl(b.group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(nvme.group, VFIO_GROUP_SET_CONTAINER, &container))
		return false;
	b.device = ioctl(b.group, VFIO_GROUP_GET_DEVICE_FD, "0000:02:00.0");
	nvme.device = ioctl(nvme.group, VFIO_GROUP_GET_DEVICE_FD, "0000:03:00.0");
	return b.device >= 0 && nvme.device >= 0 &&
	       !vfio_dma_map(container, memory, MEMORY, 16 * PAGE, 3);
}

static bool bind_one(struct vfio *v, const char *path)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct {
		uint32_t argsz, flags, pt;
	} attach = { .argsz = sizeof(attach), .pt = ioas };

	v->device = open(path, O_RDWR);
	return !ioctl(v->device, _IO(';', 118), &bind) && !ioctl(v->device, _IO(';', 119), &attach);
}

static bool open_iommufd(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map m = { .size = sizeof(m),
				    .flags = 7,
				    .user_va = (uintptr_t)memory,
				    .length = 16 * PAGE,
				    .iova = MEMORY };

	iommu = open("/dev/iommu", O_RDWR);
	if (ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc))
		return false;
	ioas = m.ioas_id = alloc.out_ioas_id;
	return bind_one(&a, "/dev/vfio/devices/vfio0") && bind_one(&b, "/dev/vfio/devices/vfio1") &&
	       bind_one(&nvme, "/dev/vfio/devices/vfio2") && !ioctl(iommu, IOMMU_IOAS_MAP, &m);
}

int main(int argc, char **argv)
{
	bool type1 = argc > 1 && !strcmp(argv[1], "type1");

	memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (type1 ? !open_type1() : !open_iommufd()) {
		printf("FAIL set-up: %s\n", strerror(errno));
		return 1;
	}
	if (!decode(a.device, true) || !decode(b.device, true) || !decode(nvme.device, true) ||
	    map(b.device, 0, RAM_B, 2 * PAGE) || map(b.device, 2, REGS_B, REGS_LEN) ||
	    map(a.device, 0, RAM_A, 2 * PAGE) || map(a.device, 2, REGS_A, REGS_LEN) ||
	    map(nvme.device, 0, NVME, PAGE)) {
		printf("FAIL mapping: %s\n", strerror(errno));
		return 1;
	}
	RUN(to_memory_of_another);
	RUN(to_registers);
	RUN(to_each_other_at_once);
	if (type1) {
		RUN(nobody_answers);
		RUN(what_type1_takes);
	} else {
		RUN(a_dmabuf_is_revoked);
	}
	return any_failed;
}
