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

#include "lib/cases.h"
#include "lib/vfio.h"
#include "models/testdev/regs.h"

#define GROUP	"/dev/vfio/1"
#define ADDRESS "0000:01:00.0"
#define CONFIG	VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define REGS	VFIO_REGION(2) /* BAR2 */
#define RAM	VFIO_REGION(0) /* BAR0 */

static inline int open_group(void)
{
	return open(GROUP, O_RDWR);
}

/* all three, or .device -1 with errno */
static inline struct vfio vfio_open(void)
{
	struct vfio v;

	vfio_open_device(&v, GROUP, ADDRESS);
	return v;
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
	return vfio_dma_map(v->container, p, iova, size,
			    VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
}

static inline long dma_unmap(const struct vfio *v, uint64_t iova, uint64_t size)
{
	return vfio_dma_unmap(v->container, iova, size, 0);
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
