/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/bind/noiommu.c: a VFIO program on an edu device without an IOMMU: what the ioctls answer,
 * and a DMA by physical addresses, which here are the program's own. libc alone. Its argument is
 * the group's node; one line for each answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

static void transfers(void)
{
	/* the device has 28 bits of address */
	char *mem = mmap((void *)0x1000000, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint16_t command = 6;

	if (mem == MAP_FAILED) {
		puts("mmap: failed");
		return;
	}
	pwrite(device, &command, 2, (off_t)(config + 4));
	memset(mem, 'a', 64);
	dma((uintptr_t)mem, EDU_BUFFER, 0);
	dma(EDU_BUFFER, (uintptr_t)mem + 4096, EDU_TO_RAM);
	printf("there and back: %s\n", memcmp(mem, mem + 4096, 64) ? "no" : "yes");
	/* what is gone is an abort */
	munmap(mem + 4096, 4096);
	dma(EDU_BUFFER, (uintptr_t)mem + 4096, EDU_TO_RAM);
	puts("gone: survived");
}

int main(int argc, char **argv)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .size = 4096, .flags = 3 };
	struct vfio_region_info r = { .argsz = sizeof(r) };
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int c = open("/dev/vfio/vfio", O_RDWR), g;

	if (argc < 3)
		return 2;
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
	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &r);
	bar = r.offset;
	r.index = VFIO_PCI_CONFIG_REGION_INDEX;
	ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &r);
	config = r.offset;
	transfers();
	say("UNSET_CONTAINER", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	return 0;
}
