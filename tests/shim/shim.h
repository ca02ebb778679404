/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/shim.h: what the programs of tests/shim share. Each is a VFIO client of its own that
 * runs under `uvfio run --device testdev --`, and knows nothing of uvfio but the map of testdev's
 * registers (docs/testdev.md). Each case prints "ok NAME" or "FAIL NAME: what".
 */
#ifndef TESTS_SHIM_H
#define TESTS_SHIM_H
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP	"/dev/vfio/1"
#define ADDRESS "0000:01:00.0"
#define CONFIG	(7ull << 40)
#define REGS	(2ull << 40) /* BAR2 */
#define RAM	0ull	     /* BAR0 */

/* testdev's registers that are used here */
#define TD_ID	       0x000
#define TD_SCRATCH32   0x024
#define TD_SCRATCH64   0x028
#define TD_DMA_SRC     0x080
#define TD_DMA_DST     0x088
#define TD_DMA_LEN     0x090
#define TD_DMA_CMD     0x098
#define TD_DMA_STATUS  0x09c
#define TD_DMA_PATTERN 0x0a0
#define TD_ID_VALUE    0x54465655u
#define TD_OP_COPY     1u
#define TD_OP_FILL     2u
#define TD_DMA_OK      2u
#define TD_DMA_FAULT   3u

static int case_failed;
static int any_failed;

#define CHECK(x)                                                                                 \
	do {                                                                                     \
		errno = 0;                                                                       \
		if (!(x)) {                                                                      \
			case_failed = 1;                                                         \
			printf("     %s:%d: not so: %s (errno %d %s)\n", __FILE__, __LINE__, #x, \
			       errno, strerror(errno));                                          \
		}                                                                                \
	} while (0)
/* a call that must fail with just this error */
#define FAILS(x, e) CHECK((x) == -1 && errno == (e))

static inline void run_case(const char *name, void (*fn)(void))
{
	case_failed = 0;
	fn();
	printf("%s %s\n", case_failed ? "FAIL" : "ok  ", name);
	fflush(stdout);
	any_failed |= case_failed;
}
#define RUN(fn) run_case(#fn, fn)

struct vfio {
	int container, group, device;
};

static inline int open_group(void)
{
	return open(GROUP, O_RDWR);
}

/* all three, or .device -1 with errno */
static inline struct vfio vfio_open(void)
{
	struct vfio v = { -1, -1, -1 };

	v.container = open("/dev/vfio/vfio", O_RDWR);
	v.group = open_group();
	if (v.container < 0 || v.group < 0)
		return v;
	if (ioctl(v.group, VFIO_GROUP_SET_CONTAINER, &v.container) ||
	    ioctl(v.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return v;
	v.device = ioctl(v.group, VFIO_GROUP_GET_DEVICE_FD, ADDRESS);
	return v;
}

static inline void vfio_close(struct vfio *v)
{
	int e = errno;

	if (v->device >= 0)
		close(v->device);
	if (v->group >= 0)
		close(v->group);
	if (v->container >= 0)
		close(v->container);
	errno = e;
}

static inline uint32_t get32(int device, uint64_t reg)
{
	uint32_t v = 0xdeadbeef;

	return pread(device, &v, 4, (off_t)(REGS + reg)) == 4 ? v : 0xdeadbeef;
}

static inline bool put32(int device, uint64_t reg, uint32_t v)
{
	return pwrite(device, &v, 4, (off_t)(REGS + reg)) == 4;
}

static inline bool put64(int device, uint64_t reg, uint64_t v)
{
	return put32(device, reg, (uint32_t)v) && put32(device, reg + 4, (uint32_t)(v >> 32));
}

static inline bool works(const struct vfio *v)
{
	return get32(v->device, TD_ID) == TD_ID_VALUE;
}

static inline long dma_map(const struct vfio *v, void *p, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m),
					      .flags = VFIO_DMA_MAP_FLAG_READ |
						       VFIO_DMA_MAP_FLAG_WRITE,
					      .vaddr = (uintptr_t)p,
					      .iova = iova,
					      .size = size };

	return ioctl(v->container, VFIO_IOMMU_MAP_DMA, &m);
}

static inline long dma_unmap(const struct vfio *v, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap m = { .argsz = sizeof(m), .iova = iova, .size = size };

	return ioctl(v->container, VFIO_IOMMU_UNMAP_DMA, &m) ? -1 : (long)m.size;
}

static inline bool bus_master(const struct vfio *v)
{
	uint16_t cmd;

	if (pread(v->device, &cmd, 2, (off_t)(CONFIG + PCI_COMMAND)) != 2)
		return false;
	cmd |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	return pwrite(v->device, &cmd, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2;
}

/* One command of the DMA engine; returns its status. */
static inline uint32_t engine(const struct vfio *v, uint32_t op, uint64_t src, uint64_t dst,
			      uint64_t len, uint32_t pattern)
{
	put64(v->device, TD_DMA_SRC, src);
	put64(v->device, TD_DMA_DST, dst);
	put64(v->device, TD_DMA_LEN, len);
	put32(v->device, TD_DMA_PATTERN, pattern);
	put32(v->device, TD_DMA_CMD, op);
	return get32(v->device, TD_DMA_STATUS);
}

/* exit status of a child, or 1000 + its signal */
static inline int wait_for(pid_t pid)
{
	int st;

	if (waitpid(pid, &st, 0) != pid)
		return -1;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

/* a system call that nobody's wrapper sees */
static inline long raw_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#endif
