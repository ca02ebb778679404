/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/fault/driver.c: a driver of testdev whose words say what it does, and print how it went:
 *
 *	fills N   have the device fill memory, N times: each is "." as it should be, "a" it was
 *	          aborted, "x" another pattern is there
 *	reads N   read the register ID: each is "." or its value
 *	maps N    map a page for DMA and unmap it: each is "." or the errno
 *	irqs N    set up N vectors of MSI-X and send a message to each: the answer of SET_IRQS, and
 *	          how many messages came within half a second
 *	line      raise INTx: how many signals came within half a second
 *	error     read a register, and wait for ERR: how many signals came
 *	wait      a line from standard input
 *	trusting  read the register ID, and go by it without a look: another one is a crash
 *	patient   send a message and wait for it, however long it takes
 *	careful   fill memory: exit with 3 if it was aborted, with 42 if another pattern is there
 *	blind     the same without a look, and print the memory
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/vfio.h"
#include "models/testdev/regs.h"

#define IOVA 0x100000ull
#define BAR2 VFIO_REGION(VFIO_PCI_BAR2_REGION_INDEX)
#define WAIT 500

static struct vfio v;
static uint32_t *memory;

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t get(unsigned reg)
{
	uint32_t value = 0;

	need(pread(v.device, &value, 4, (off_t)(BAR2 + reg)) == 4, "pread");
	return value;
}

static void put(unsigned reg, uint32_t value)
{
	need(pwrite(v.device, &value, 4, (off_t)(BAR2 + reg)) == 4, "pwrite");
}

static void fill(uint32_t pattern)
{
	const char *how = ".";

	put(TD_DMA_DST, IOVA);
	put(TD_DMA_LEN, 64);
	put(TD_DMA_PATTERN, pattern);
	put(TD_DMA_CMD, TD_OP_FILL);
	if (get(TD_DMA_STATUS) != TD_DMA_OK)
		how = "a";
	for (unsigned i = 0; *how == '.' && i < 16; i++)
		if (memory[i] != pattern)
			how = "x";
	fputs(how, stdout);
}

static void fill_careful(void)
{
	put(TD_DMA_DST, IOVA);
	put(TD_DMA_LEN, 64);
	put(TD_DMA_PATTERN, 0x5a5a5a5a);
	put(TD_DMA_CMD, TD_OP_FILL);
	if (get(TD_DMA_STATUS) != TD_DMA_OK)
		exit(3);
	for (unsigned i = 0; i < 16; i++)
		if (memory[i] != 0x5a5a5a5a)
			exit(42);
}

static void fill_blind(void)
{
	put(TD_DMA_DST, IOVA);
	put(TD_DMA_LEN, 4);
	put(TD_DMA_PATTERN, 0x5a5a5a5a);
	put(TD_DMA_CMD, TD_OP_FILL);
	printf("%x", memory[0]);
}

static void trust(void)
{
	if (get(TD_ID) != TD_ID_VALUE)
		raise(SIGSEGV);
}

static void wait_patiently(void)
{
	const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	int32_t fd = eventfd(0, 0);
	uint64_t n;

	need(!vfio_set_irqs(v.device, flags, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &fd), "SET_IRQS");
	put(TD_MSI, 0);
	need(read(fd, &n, 8) == 8, "read");
}

static void read_id(void)
{
	uint32_t id = get(TD_ID);

	if (id == TD_ID_VALUE)
		fputs(".", stdout);
	else
		printf("%x", id);
}

static void map(void)
{
	int rc = vfio_dma_map(v.container, memory, 2 * IOVA, 4096, VFIO_DMA_MAP_FLAG_READ);

	if (rc) {
		fputs(strerrorname_np(errno), stdout);
		return;
	}
	fputs(".", stdout);
	need(vfio_dma_unmap(v.container, 2 * IOVA, 4096, 0) == 4096, "UNMAP_DMA");
}

static void send_messages(unsigned n)
{
	const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	unsigned long came = 0;
	int32_t fd[64] = { 0 };
	int rc;

	for (unsigned i = 0; i < n; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK);
	rc = vfio_set_irqs(v.device, flags, VFIO_PCI_MSIX_IRQ_INDEX, 0, n, fd);
	printf("%d", rc);
	if (rc)
		return;
	for (unsigned i = 0; i < n; i++)
		put(TD_MSI, i);
	for (unsigned i = 0; i < n; i++)
		came += eventfd_wait(fd[i], WAIT);
	/* those that come a second time are a moment behind */
	usleep(20000);
	for (unsigned i = 0; i < n; i++)
		came += eventfd_wait(fd[i], 0);
	printf(":%lu", came);
}

static void wait_error(void)
{
	const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	int32_t fd = eventfd(0, EFD_NONBLOCK);

	need(!vfio_set_irqs(v.device, flags, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &fd), "SET_IRQS");
	get(TD_ID);
	printf("%lu", eventfd_wait(fd, 20000));
}

static void raise_line(void)
{
	const uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	int32_t fd = eventfd(0, EFD_NONBLOCK);

	need(!vfio_set_irqs(v.device, flags, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, &fd), "SET_IRQS");
	put(TD_INTX, 1);
	printf("%lu", eventfd_wait(fd, WAIT));
	put(TD_INTX, 0);
}

int main(int argc, char **argv)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(memory != MAP_FAILED, "mmap");
	need(!vfio_open_device(&v, "/dev/vfio/1", "0000:01:00.0"), "open");
	need(pwrite(v.device, &command, 2,
		    (off_t)(VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + PCI_COMMAND)) == 2,
	     "command");
	need(!vfio_dma_map(v.container, memory, IOVA, 4096,
			   VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE),
	     "MAP_DMA");
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		int n = i + 1 < argc ? atoi(argv[i + 1]) : 0;

		i += n > 0;
		if (!strcmp(word, "irqs"))
			send_messages((unsigned)n);
		else if (!strcmp(word, "line"))
			raise_line();
		else if (!strcmp(word, "error"))
			wait_error();
		else if (!strcmp(word, "wait"))
			(void)getchar();
		else if (!strcmp(word, "trusting"))
			trust();
		else if (!strcmp(word, "patient"))
			wait_patiently();
		else if (!strcmp(word, "careful"))
			fill_careful();
		else if (!strcmp(word, "blind"))
			fill_blind();
		for (int k = 0; k < n; k++) {
			if (!strcmp(word, "fills"))
				fill(0x01010101u * (unsigned)(k + 1));
			else if (!strcmp(word, "reads"))
				read_id();
			else if (!strcmp(word, "maps"))
				map();
		}
		putchar(i + 1 < argc ? ' ' : '\n');
		fflush(stdout);
	}
	vfio_close(&v);
	return 0;
}
