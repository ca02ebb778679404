/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cdev/pasids.c: a device with an address space for each of its PASIDs: under `uvfio run --device
 * testdev,pri=on,pasid_bits=8`. Libc and the ABI alone. Each line of the output is an answer that
 * tests/cdev.sh knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "models/testdev/regs.h"
#include "vfio/iommufd_defs.h"

#define PAGE 4096ull
#define IOVA 0x100000ull
#define REGS (2ull << 40)

static int iommu, device;
static uint32_t dev_id;
static char *mem; /* a page for each address space, by its number */

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

static uint32_t status(void)
{
	uint32_t s = TD_DMA_BUSY;

	for (unsigned i = 0; i < 20000 && s == TD_DMA_BUSY; i++) {
		if (pread(device, &s, 4, REGS + TD_DMA_STATUS) != 4)
			perror("pread");
		if (s == TD_DMA_BUSY)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return s;
}

/* Have the device write 4 bytes of @c at IOVA, by @pasid. @how: TD_DMA_PAGING, or 0. */
static void start(uint32_t pasid, char c, uint32_t how)
{
	put(REGS + TD_DMA_PASID, pasid, 4);
	put(REGS + TD_DMA_DST, IOVA, 8);
	put(REGS + TD_DMA_LEN, 4, 8);
	put(REGS + TD_DMA_PATTERN, (uint8_t)c * 0x01010101u, 4);
	put(REGS + TD_DMA_CMD, TD_OP_FILL | how, 4);
}

static uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	ask(iommu, IOMMU_IOAS_ALLOC, &a);
	return a.out_ioas_id;
}

static uint32_t new_hwpt(uint32_t ioas, uint32_t flags, uint32_t queue)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a),
				      .flags = flags,
				      .dev_id = dev_id,
				      .pt_id = ioas,
				      .fault_id = queue };

	printf("hwpt %s\n", ask(iommu, IOMMU_HWPT_ALLOC, &a));
	return a.out_hwpt_id;
}

static void map(uint32_t ioas, unsigned page)
{
	struct iommu_ioas_map m = { .size = sizeof(m),
				    .flags = 7,
				    .ioas_id = ioas,
				    .user_va = (uintptr_t)mem + page * PAGE,
				    .length = PAGE,
				    .iova = IOVA };

	printf("map %s\n", ask(iommu, IOMMU_IOAS_MAP, &m));
}

static const char *attach(uint32_t pt, uint32_t pasid)
{
	struct {
		uint32_t argsz, flags, pt, pasid;
	} a = { .argsz = sizeof(a), .flags = 1, .pt = pt, .pasid = pasid };

	return ask(device, _IO(';', 119), &a);
}

static const char *detach(uint32_t pasid)
{
	struct {
		uint32_t argsz, flags, pasid;
	} d = { .argsz = sizeof(d), .flags = 1, .pasid = pasid };

	return ask(device, _IO(';', 120), &d);
}

static const char *attach_plain(uint32_t pt)
{
	struct {
		uint32_t argsz, flags, pt;
	} a = { .argsz = sizeof(a), .pt = pt };

	return ask(device, _IO(';', 119), &a);
}

/* The bit of each extended capability that a user sees. */
static uint64_t capabilities(void)
{
	uint64_t seen = 0;
	uint32_t header;

	for (uint64_t at = 0x100; at; at = header >> 20) {
		if (pread(device, &header, 4, (off_t)((7ull << 40) + at)) != 4)
			break;
		seen |= 1ull << (header & 63);
	}
	return seen;
}

int main(void)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} bind = { .argsz = sizeof(bind) };
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hw_info info = { .size = sizeof(info) };
	struct iommu_hwpt_page_response r = { 0 };
	struct iommu_hwpt_pgfault f;
	struct pollfd p = { .events = POLLIN };
	uint32_t ioas[3], hwpt[3];
	uint64_t seen;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	iommu = open("/dev/iommu", O_RDWR);
	device = open("/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = iommu;
	printf("bind %s\n", ask(device, _IO(';', 118), &bind));
	dev_id = info.dev_id = bind.id;
	printf("hw info %s", ask(iommu, IOMMU_GET_HW_INFO, &info));
	printf(" caps %llx, PASIDs of %u bits\n", (unsigned long long)info.out_capabilities,
	       info.out_max_pasid_log2);
	put((7ull << 40) + 4, 6, 2); /* COMMAND: memory, bus master */
	seen = capabilities();
	printf("ATS %d, PRI %d, PASID %d\n", !!(seen & 1ull << 0xf), !!(seen & 1ull << 0x13),
	       !!(seen & 1ull << 0x1b));
	for (unsigned i = 0; i < 3; i++)
		ioas[i] = new_ioas();
	printf("queue %s\n", ask(iommu, IOMMU_FAULT_QUEUE_ALLOC, &queue));
	hwpt[0] = new_hwpt(ioas[0], 0, 0);
	hwpt[1] = new_hwpt(ioas[1], IOMMU_HWPT_ALLOC_PASID, 0);
	hwpt[2] = new_hwpt(ioas[2], IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
			   queue.out_fault_id);
	map(ioas[1], 1);
	printf("attach: too large %s, ", attach(hwpt[1], ~0u));
	printf("no such %s, ", attach(99, 5));
	printf("an IOAS %s, ", attach(ioas[1], 5));
	printf("not made for it %s, ", attach(hwpt[0], 5));
	printf("9 bits %s, ", attach(hwpt[1], 256));
	printf("right %s\n", attach(hwpt[1], 5));
	printf("beside it: an IOAS %s, ", attach_plain(ioas[0]));
	printf("not made for it %s, ", attach_plain(hwpt[0]));
	printf("another PASID %s\n", attach(hwpt[2], 6));
	/* the same address: three memories */
	start(5, 'a', 0);
	printf("PASID 5: status %u, %.4s\n", status(), mem + PAGE);
	start(6, 'b', TD_DMA_PAGING);
	p.fd = (int)queue.out_fault_fd;
	if (poll(&p, 1, 20000) != 1 || read(p.fd, &f, sizeof(f)) != sizeof(f))
		return 1;
	printf("request flags %u pasid %u perm %u addr %llx\n", f.flags, f.pasid, f.perm,
	       (unsigned long long)f.addr);
	map(ioas[2], 2);
	r.cookie = f.cookie;
	if (write(p.fd, &r, sizeof(r)) != sizeof(r))
		return 1;
	printf("PASID 6: status %u, %.4s\n", status(), mem + 2 * PAGE);
	start(7, 'c', 0);
	printf("PASID 7: status %u\n", status());
	start(0, 'd', 0);
	printf("without: status %u\n", status());
	/* the one replaced, the other detached */
	printf("replace %s, ", attach(hwpt[1], 6));
	printf("detach %s, ", detach(5));
	printf("again %s\n", detach(5));
	start(6, 'e', 0);
	printf("PASID 6: status %u, %.4s %.4s\n", status(), mem + PAGE, mem + 2 * PAGE);
	start(5, 'f', 0);
	printf("PASID 5: status %u, %.4s\n", status(), mem + PAGE);
	printf("without, not made for it: %s, ", attach_plain(hwpt[0]));
	printf("detach %s, ", detach(6));
	printf("then %s, ", attach_plain(hwpt[0]));
	printf("and a PASID %s\n", attach(hwpt[1], 5));
	return 0;
}
