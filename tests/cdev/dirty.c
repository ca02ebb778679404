/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cdev/dirty.c: which pages a device wrote, asked as a monitor does that migrates a guest: under
 * `uvfio run --iommu dirty-tracking=on --device testdev`. Libc and the ABI alone. Each line of the
 * output is an answer that tests/cdev.sh knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/testdev/regs.h"
#include "vfio/iommufd_defs.h"

#define PAGE 4096ull
#define IOVA 0x100000ull

static int iommu, device;

/* The result of an ioctl as text: 0, or the name of the error. */
static const char *ask(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) >= 0 ? "0" : strerrorname_np(errno);
}

static void put(uint64_t pos, uint64_t value, size_t n)
{
	if (pwrite(device, &value, n, (off_t)pos) != (ssize_t)n)
		perror("pwrite");
}

/* Have the device write @n bytes at @iova. */
static void device_writes(uint64_t iova, uint64_t n)
{
	const uint64_t regs = 2ull << 40;

	put(regs + TD_DMA_DST, iova, 8);
	put(regs + TD_DMA_LEN, n, 8);
	put(regs + TD_DMA_CMD, TD_OP_FILL, 4);
}

int main(void)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} bind = { .argsz = sizeof(bind) };
	struct {
		uint32_t argsz, flags, pt;
	} attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt),
					 .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING };
	struct iommu_ioas_map map = { .size = sizeof(map), .flags = 7, .iova = IOVA };
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .flags = 1 };
	uint64_t bits[2] = { 0, 0x5555 };
	struct iommu_hwpt_get_dirty_bitmap get = { .size = sizeof(get),
						   .iova = IOVA,
						   .length = 64 * PAGE,
						   .page_size = PAGE,
						   .data = (uintptr_t)bits };

	iommu = open("/dev/iommu", O_RDWR);
	device = open("/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = iommu;
	printf("bind %s\n", ask(device, _IO(';', 118), &bind));
	printf("ioas %s\n", ask(iommu, IOMMU_IOAS_ALLOC, &ioas));
	hwpt.dev_id = bind.id;
	hwpt.pt_id = ioas.out_ioas_id;
	printf("hwpt %s\n", ask(iommu, IOMMU_HWPT_ALLOC, &hwpt));
	attach.pt = hwpt.out_hwpt_id;
	printf("attach %s\n", ask(device, _IO(';', 119), &attach));
	map.ioas_id = ioas.out_ioas_id;
	map.length = 64 * PAGE;
	map.user_va = (uintptr_t)mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("map %s\n", ask(iommu, IOMMU_IOAS_MAP, &map));
	put((7ull << 40) + 4, 6, 2); /* COMMAND: memory, bus master */
	set.hwpt_id = get.hwpt_id = hwpt.out_hwpt_id;
	device_writes(IOVA, 1); /* nobody looks yet */
	printf("track %s\n", ask(iommu, IOMMU_HWPT_SET_DIRTY_TRACKING, &set));
	device_writes(IOVA + 3 * PAGE + 4000, 200);
	device_writes(IOVA + 63 * PAGE, 1);
	get.data = 8;
	printf("nowhere %s\n", ask(iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	get.data = (uintptr_t)bits;
	get.flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	printf("look %s", ask(iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	printf(" %llx\n", (unsigned long long)bits[0]);
	bits[0] = get.flags = 0;
	printf("take %s", ask(iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	printf(" %llx\n", (unsigned long long)bits[0]);
	bits[0] = 0;
	printf("again %s", ask(iommu, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	printf(" %llx %llx\n", (unsigned long long)bits[0], (unsigned long long)bits[1]);
	return 0;
}
