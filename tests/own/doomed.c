/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/own/doomed.c: a driver of nvme that is killed at work, or ends as its argument says:
 * "status N" or "signal N". The device in group 1 has been enabled by then, with an admin queue of
 * 32 entries of which two were submitted, and an interrupt vector.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vfio.h"

#define IOVA	0x10000000ull
#define ENTRIES 32u

/* NVM Express Base Specification 2.0, 3.1 */
enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, SQ0TDBL = 0x1000 };

static struct vfio v;

static void put(unsigned at, uint64_t value, unsigned size)
{
	if (pwrite(v.device, &value, size, (off_t)(VFIO_REGION(0) + at)) != (ssize_t)size)
		abort();
}

static uint32_t get(unsigned at)
{
	uint32_t value;

	if (pread(v.device, &value, 4, (off_t)(VFIO_REGION(0) + at)) != 4)
		abort();
	return value;
}

int main(int argc, char **argv)
{
	uint16_t command = 6; /* memory, bus master */
	int event = eventfd(0, 0);
	uint8_t *queues;

	queues = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (queues == MAP_FAILED || vfio_open_device(&v, "/dev/vfio/1", "0000:01:00.0") ||
	    vfio_dma_map(v.container, queues, IOVA, 8192,
			 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE) ||
	    vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &event) ||
	    pwrite(v.device, &command, 2, (off_t)VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + 4) !=
		    2) {
		perror(v.failed ? v.failed : "doomed");
		return 3;
	}
	put(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1), 4);
	put(ASQ, IOVA, 8);
	put(ACQ, IOVA + 4096, 8);
	put(CC, 6u << 16 | 4u << 20 | 1, 4);
	while (!(get(CSTS) & 1))
		usleep(1000);
	/* two keep-alives, which there are not, or are: an answer comes to each */
	queues[0] = queues[64] = 0x18;
	put(SQ0TDBL, 2, 4);
	while (!queues[4096 + 14] || !queues[4096 + 16 + 14])
		usleep(1000);
	if (argc == 3 && !strcmp(argv[1], "signal"))
		raise(atoi(argv[2]));
	return argc == 3 ? atoi(argv[2]) : 0;
}
