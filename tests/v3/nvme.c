/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/nvme.c: an NVMe controller brought up by the interface of 2010: registers mapped, queues
 * in one buffer, a block written and read (NVMe 1.4, 7.6.1; registers 3.1).
 */
#include <time.h>

#include "checks.h"

#define IOVA	  0x100000u
#define BUFFER	  (16 * PAGE)
#define ADMIN_SQ  0
#define ADMIN_CQ  1
#define IO_CQ	  2
#define IO_SQ	  3
#define DATA	  4
#define ENTRIES	  16u
#define AT(page)  (IOVA + (page)*PAGE)
#define CC_ENABLE (6u << 16 | 4u << 20 | 1) /* entries of 64 and 16 bytes */

enum { CC = 0x14 / 4, CSTS = 0x1c / 4, AQA = 0x24 / 4, ASQ = 0x28 / 4, ACQ = 0x30 / 4 };

static volatile uint32_t *regs;
static char *mem;

static bool wait_until(volatile uint32_t *word, uint32_t bit, bool set)
{
	time_t end = time(NULL) + 30;

	while (!(*word & bit) == set)
		if (time(NULL) > end)
			return false;
	return true;
}

/* Send the @n-th command of queue @q; return its status, or -1: none comes. */
static long command(unsigned q, unsigned n, const uint32_t dwords[16])
{
	volatile uint32_t *entry = (void *)(mem + (q ? IO_CQ : ADMIN_CQ) * PAGE + n * 16);

	memcpy(mem + (q ? IO_SQ : ADMIN_SQ) * PAGE + n * 64, dwords, 64);
	regs[(0x1000 + 8 * q) / 4] = n + 1;
	if (!wait_until(&entry[3], 1u << 16, true))
		return -1;
	regs[(0x1004 + 8 * q) / 4] = n + 1;
	return entry[3] >> 17;
}

void o_nvme(void)
{
	const uint32_t identify
		[16] = { 6, [6] = AT(DATA), [10] = 1 },
	create_cq[16] = { 5, [6] = AT(IO_CQ), [10] = (ENTRIES - 1) << 16 | 1, [11] = 1 },
	create_sq[16] = { 1, [6] = AT(IO_SQ), [10] = (ENTRIES - 1) << 16 | 1, [11] = 1 << 16 | 1 },
	wr[16] = { 1, 1, [6] = AT(DATA), [10] = 5 },
	rd[16] = { 2 | 1 << 16, 1, [6] = AT(DATA + 1), [10] = 5 };
	int fd = ready_dev();
	void *p;

	mem = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	is("P1", map(fd, BAR(0, 0), 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, &p), 0,
	   "registers");
	is("P1", dma(fd, true, mem, IOVA, BUFFER, 1), 0, "memory");
	if (p == MAP_FAILED)
		return;
	regs = p;
	regs[CC] = 0;
	is("P1", wait_until(&regs[CSTS], 1, false), true, "disabled");
	regs[AQA] = (ENTRIES - 1) << 16 | (ENTRIES - 1);
	regs[ASQ] = AT(ADMIN_SQ);
	regs[ASQ + 1] = 0;
	regs[ACQ] = AT(ADMIN_CQ);
	regs[ACQ + 1] = 0;
	regs[CC] = CC_ENABLE;
	is("P1", wait_until(&regs[CSTS], 1, true), true, "ready");
	is("P2", command(0, 0, identify), 0, "Identify");
	is("P2", !memcmp(mem + DATA * PAGE + 24, "uvfio", 5), true, "the model's name");
	is("P2", command(0, 1, create_cq), 0, "Create I/O Completion Queue");
	is("P2", command(0, 2, create_sq), 0, "Create I/O Submission Queue");
	memset(mem + DATA * PAGE, 0x5a, PAGE);
	is("P3", command(1, 0, wr), 0, "Write");
	is("P3", command(1, 1, rd), 0, "Read");
	is("P3", memcmp(mem + DATA * PAGE, mem + (DATA + 1) * PAGE, 512), 0, "the block");
	is("P3", mem[(DATA + 1) * PAGE + 512], 0, "and no more");
	munmap(p, 2 * PAGE);
	close(fd);
}
