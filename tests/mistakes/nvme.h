/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mistakes/nvme.h: as much of an NVMe driver as the small ones need: the admin queue, one
 * queue pair for I/O, commands one at a time. Section numbers are of NVM Express 1.4.
 */
#ifndef TESTS_MISTAKES_NVME_H
#define TESTS_MISTAKES_NVME_H
#include "mistakes.h"

/* 3.1 */
#define VS	   0x08
#define CC	   0x14
#define CSTS	   0x1c
#define AQA	   0x24
#define ASQ	   0x28
#define ACQ	   0x30
#define SQTDBL(q)  (0x1000 + 8 * (q))
#define CQHDBL(q)  (0x1004 + 8 * (q))
#define CC_ENABLE  (4u << 20 | 6u << 16 | 1u)
#define CSTS_READY 1u

#define ENTRIES 16u
#define PAGES	16u
/* pages of `memory` */
enum { ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, DATA, LIST = DATA + 8 };
#define AT(page) (IOVA + (page) * (uint64_t)PAGE)

struct command { /* 4.2 */
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid, cdw2, cdw3;
	uint64_t mptr, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

static unsigned tail[2] UNUSED, head[2] UNUSED;

/* Open the device, with memory; the controller stays disabled. */
static inline void open_nvme(void)
{
	open_device(1);
	bar = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   (off_t)region(VFIO_PCI_BAR0_REGION_INDEX));
	MUST(bar != MAP_FAILED);
	new_memory(PAGES * PAGE);
	memset(memory, 0, PAGES * PAGE);
	map_memory(PAGES * PAGE, BOTH_WAYS);
}

static inline void set_admin_queue(void)
{
	write32(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	write64(ASQ, AT(ADMIN_SQ));
	write64(ACQ, AT(ADMIN_CQ));
}

static inline void wait_ready(uint32_t ready)
{
	while ((read32(CSTS) & CSTS_READY) != ready)
		;
}

static inline void start_nvme(void)
{
	open_nvme();
	set_admin_queue();
	write32(CC, CC_ENABLE);
	wait_ready(CSTS_READY);
}

/* Put a command into queue @q (0: admin, 1: I/O), without ringing. */
static inline void put(unsigned q, const struct command *c)
{
	struct command *sq = (struct command *)(memory + (q ? IO_SQ : ADMIN_SQ) * PAGE);

	sq[tail[q]] = *c;
	tail[q] = (tail[q] + 1) % ENTRIES;
}

/* Wait for the next completion of queue @q, and take it. Its status. */
static inline unsigned reap(unsigned q)
{
	volatile uint16_t *cqe = (volatile uint16_t *)(memory + (q ? IO_CQ : ADMIN_CQ) * PAGE) +
				 8 * (head[q] % ENTRIES);
	unsigned phase = !(head[q] / ENTRIES & 1);

	while ((cqe[7] & 1u) != phase)
		;
	head[q]++;
	return cqe[7] >> 1;
}

static inline void took(unsigned q)
{
	write32(CQHDBL(q), head[q] % ENTRIES);
}

/* Carry out a command: its status. */
static inline unsigned command(unsigned q, struct command c)
{
	unsigned status;

	put(q, &c);
	write32(SQTDBL(q), tail[q]);
	status = reap(q);
	took(q);
	return status;
}

static inline unsigned create_cq(unsigned id, uint64_t at, unsigned entries)
{
	return command(0, (struct command){ .opcode = 5,
					    .prp1 = at,
					    .cdw10 = (entries - 1) << 16 | id,
					    .cdw11 = 1 });
}

static inline unsigned create_sq(unsigned id, uint64_t at, unsigned cq)
{
	return command(0, (struct command){ .opcode = 1,
					    .prp1 = at,
					    .cdw10 = (ENTRIES - 1) << 16 | id,
					    .cdw11 = cq << 16 | 1 });
}

/* The I/O queues, 1 and 1. */
static inline void start_io(void)
{
	start_nvme();
	MUST(!create_cq(1, AT(IO_CQ), ENTRIES));
	MUST(!create_sq(1, AT(IO_SQ), 1));
}

/* A read of @blocks of 512 bytes. */
static inline struct command read_of(unsigned blocks, uint64_t prp1, uint64_t prp2)
{
	return (struct command){
		.opcode = 2, .nsid = 1, .prp1 = prp1, .prp2 = prp2, .cdw12 = blocks - 1
	};
}
#endif
