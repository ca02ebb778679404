/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/noiommu/client.c: a VFIO program on an edu device without an IOMMU, libc alone: what the
 * ioctls of its group answer (`noiommu_client NODE ADDRESS`), or of its character device
 * (`noiommu_client NODE`), and DMA by the physical addresses that the kernel tells. One line for
 * each answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define EDU_SRC	   0x80u
#define EDU_DST	   0x88u
#define EDU_COUNT  0x90u
#define EDU_CMD	   0x98u
#define EDU_BUFFER 0x40000u
#define EDU_RUN	   1u
#define EDU_TO_RAM 2u

static int device;
static uint64_t bar, config;

static void say(const char *what, int rc)
{
	printf("%s: %s\n", what, rc < 0 ? strerrorname_np(errno) : rc ? "yes" : "0");
}

static void put(unsigned reg, uint64_t v)
{
	if (pwrite(device, &v, 8, (off_t)(bar + reg)) != 8)
		puts("register: not written");
}

static void dma(uint64_t src, uint64_t dst, unsigned cmd)
{
	uint64_t busy = 1;

	put(EDU_SRC, src);
	put(EDU_DST, dst);
	put(EDU_COUNT, 64);
	put(EDU_CMD, EDU_RUN | cmd);
	for (int i = 0; i < 2000 && busy & 1; i++) {
		usleep(1000);
		pread(device, &busy, 8, (off_t)(bar + EDU_CMD));
	}
}

/* ---- physical addresses ---- */

#define PAGE 4096ul

static uint64_t frame(uint64_t entry)
{
	return entry >> 63 ? (entry & ((1ull << 55) - 1)) * PAGE : 0;
}

/* Return the physical address of @p, as DPDK reads it; 0: none. */
static uint64_t physical(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t e = 0;

	if (lseek(fd, (off_t)((uintptr_t)p / PAGE * 8), SEEK_SET) < 0 || read(fd, &e, 8) != 8)
		e = 0;
	close(fd);
	return frame(e) ? frame(e) + (uintptr_t)p % PAGE : 0;
}

/* True if all ways to read the file say the same of two pages. */
static bool all_ways(const char *p)
{
	uint64_t want[2] = { physical(p), physical(p + PAGE) }, e[2] = { 0 }, v[2] = { 0 },
		 s[2] = { 0 };
	off_t at = (off_t)((uintptr_t)p / PAGE * 8);
	struct iovec iov[2] = { { &v[0], 8 }, { &v[1], 8 } };
	char name[64];
	FILE *f;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/pagemap", getpid());
	fd = dup(open(name, O_RDONLY));
	pread(fd, e, 16, at);
	preadv(fd, iov, 2, at);
	f = fopen("/proc/self/pagemap", "r");
	if (!f || fseek(f, at, SEEK_SET) || fread(s, 8, 2, f) != 2)
		return false;
	fclose(f);
	close(fd);
	for (int i = 0; i < 2; i++)
		if (!want[i] || frame(e[i]) != want[i] || frame(v[i]) != want[i] ||
		    frame(s[i]) != want[i])
			return false;
	return true;
}

static char *fresh(size_t n, int flags)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	memset(p, 'a', n);
	return p;
}

/* Write 64 bytes, 'b', by DMA to the physical address @pa. */
static void put_b(const char *from, uint64_t pa)
{
	dma(physical(from), EDU_BUFFER, 0);
	dma(EDU_BUFFER, pa, EDU_TO_RAM);
}

static const char *there(const char *p)
{
	return *p == 'b' && p[63] == 'b' ? "yes" : *p == 'a' || !*p ? "no" : "?";
}

/* Turn bus mastering on, and find the registers. */
static void start(void)
{
	struct vfio_region_info r = { .argsz = sizeof(r) };
	uint16_t command = 6;

	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &r);
	bar = r.offset;
	r.index = VFIO_PCI_CONFIG_REGION_INDEX;
	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &r);
	config = r.offset;
	pwrite(device, &command, 2, (off_t)(config + 4));
}

static void transfers(void)
{
	char *from = fresh(PAGE, 0), *p = fresh(4 * PAGE, 0), *q;
	uint64_t old, huge = 0;

	memset(from, 'b', PAGE);
	old = physical(p);
	printf("pagemap: %s\n", old ? "an address" : "none");
	if (!old)
		return;
	printf("read in all ways: %s\n", all_ways(p) ? "the same" : "no");
	put_b(from, old);
	printf("DMA: %s\n", there(p));
	put_b(from, (uintptr_t)p + PAGE);
	printf("DMA to a virtual address: %s\n", there(p + PAGE));
	put_b(from, old + PAGE);
	printf("DMA behind the page: %s\n", there(p + PAGE));
	/* it moves, and its pages with it */
	q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, fresh(PAGE, 0));
	memset(q, 'a', PAGE);
	put_b(from, old);
	printf("DMA after mremap: %s, %s\n", there(q), physical(q) == old ? "the same" : "another");
	/* what the program gives back is nobody's, also when other memory comes to its place */
	madvise(q, PAGE, MADV_DONTNEED);
	memset(q, 'a', PAGE);
	put_b(from, old);
	printf("DMA after MADV_DONTNEED: %s\n", there(q));
	old = physical(q);
	munmap(q, PAGE);
	q = mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(q, 'a', PAGE);
	put_b(from, old);
	printf("DMA after munmap and mmap: %s\n", there(q));
	put_b(from, physical(q));
	printf("DMA to the new one: %s\n", there(q));
	/* a huge page is in one piece */
	p = fresh(2ul << 20, MAP_HUGETLB);
	if (p)
		huge = physical(p);
	if (huge)
		put_b(from, huge + (1ul << 20));
	printf("huge page: %s\n", !p				      ? "none"
				  : physical(p + PAGE) == huge + PAGE ? there(p + (1ul << 20))
								      : "in pieces");
}

/* ---- the character device ---- */

struct bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t id;
};
struct ioas {
	uint32_t size, flags, id;
};
struct map {
	uint32_t size, flags, id, reserved;
	uint64_t va, length, iova;
};
struct attach {
	uint32_t argsz, flags, pt;
};
struct get_pa {
	uint32_t size, flags, id, reserved;
	uint64_t iova, length, pa;
};
#define IOAS_ALLOC _IO(';', 0x81)
#define IOAS_MAP   _IO(';', 0x85)
#define GET_PA	   _IO(';', 0x95)
#define BIND	   _IO(';', 118)
#define ATTACH	   _IO(';', 119)

static int character_device(const char *node)
{
	int iommufd = open("/dev/iommu", O_RDWR);
	struct bind b = { sizeof(b), 0, iommufd, 0 };
	struct ioas as = { .size = sizeof(as) };
	struct map m = { sizeof(m), 7, 0, 0, 0, PAGE, 0x10000 };
	struct attach a = { sizeof(a), 0, 0 };
	struct get_pa g = { sizeof(g), 0, 0, 0, 0x10000, PAGE, 0 };
	char *from = fresh(PAGE, 0), *p = fresh(PAGE, 0), *q;

	memset(from, 'b', PAGE);
	device = open(node, O_RDWR);
	say("open", device < 0 ? device : 1);
	if (device < 0)
		return 0;
	say("BIND", ioctl(device, BIND, &b));
	ioctl(iommufd, IOAS_ALLOC, &as);
	a.pt = m.id = g.id = as.id;
	m.va = (uintptr_t)p;
	say("MAP", ioctl(iommufd, IOAS_MAP, &m));
	say("GET_PA before ATTACH", ioctl(iommufd, GET_PA, &g));
	say("ATTACH", ioctl(device, ATTACH, &a));
	say("GET_PA", ioctl(iommufd, GET_PA, &g));
	printf("that of the pagemap: %s\n", g.pa == physical(p) ? "yes" : "no");
	start();
	put_b(from, g.pa);
	printf("DMA: %s\n", there(p));
	put_b(from, 0x10000);
	/* it is pinned: the device still has it, and nothing else of the program */
	munmap(p, PAGE);
	q = mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(q, 'a', PAGE);
	memset(from, 'c', PAGE);
	put_b(from, g.pa);
	printf("DMA to what it was: %s\n", *q == 'a' ? "not here" : "here");
	memset(from, 0, PAGE);
	dma(g.pa, EDU_BUFFER, 0);
	dma(EDU_BUFFER, physical(from), EDU_TO_RAM);
	printf("and back: %c\n", *from ? *from : '0');
	return 0;
}

/* ---- the group ---- */

int main(int argc, char **argv)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .size = 4096, .flags = 3 };
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int c, g;

	if (argc < 3)
		return argc == 2 ? character_device(argv[1]) : 2;
	c = open("/dev/vfio/vfio", O_RDWR);
	say("extension 8", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	say("extension 1", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	g = open(argv[1], O_RDWR);
	if (g < 0) {
		say("open", g);
		return 0;
	}
	ioctl(g, VFIO_GROUP_GET_STATUS, &st);
	printf("status: %u\n", st.flags);
	say("set_container", ioctl(g, VFIO_GROUP_SET_CONTAINER, &c));
	ioctl(g, VFIO_GROUP_GET_STATUS, &st);
	printf("status: %u\n", st.flags);
	say("extension 8", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	say("extension 1", ioctl(c, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	say("device before SET_IOMMU", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, argv[2]));
	say("SET_IOMMU 1", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	say("MAP_DMA before", ioctl(c, VFIO_IOMMU_MAP_DMA, &map));
	say("SET_IOMMU 8", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	say("SET_IOMMU again", ioctl(c, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	say("MAP_DMA", ioctl(c, VFIO_IOMMU_MAP_DMA, &map));
	device = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	say("device", device < 0 ? device : 1);
	if (device < 0)
		return 0;
	start();
	transfers();
	say("UNSET_CONTAINER", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	return 0;
}
