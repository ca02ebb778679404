/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_state: a driver that works without a pause, and knows what must come of all that it does,
 * while the server of its device is killed and started again (tests/serve_state.sh).
 *
 *	serve_state testdev|edu|nvme|igb ADDRESS
 *
 * It ends with its standard input, and says how much it did: "N done, N lost". Lost: ERR told that
 * the device is as after a reset; then it begins anew. Anything that is not as it must be without
 * ERR ends it with a line.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/igb.h"
#include "drivers/nvme.h"
#include "drivers/pci.h"
#include "models/testdev/regs.h"

#define WAIT_MS 60000

static struct nvme nvme; /* of others but igb its pci alone is used */
static struct igb igb;
static struct pci_device *v = &nvme.pci;
static int err_fd, irq_fd;
static unsigned long done, lost;
static unsigned seed = 1;

static unsigned draw(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

static bool over(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* True if ERR was signalled since it was asked last; each time counts. */
static bool was_lost(void)
{
	struct pollfd p = { .fd = err_fd, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, 0) <= 0 || read(err_fd, &n, sizeof(n)) != sizeof(n))
		return false;
	lost += n;
	return true;
}

/* What must be so, or the device was lost: then the function returns false. */
#define MUST(condition, ...)          \
	do {                          \
		if (condition)        \
			break;        \
		if (was_lost())       \
			return false; \
		die(__VA_ARGS__);     \
	} while (0)

/* Wait for an interrupt. False: the device was lost. */
static bool interrupt(const char *what)
{
	struct pollfd p[2] = { { .fd = irq_fd, .events = POLLIN },
			       { .fd = err_fd, .events = POLLIN } };
	uint64_t n;

	if (poll(p, 2, WAIT_MS) <= 0)
		die("%s: no interrupt comes", what);
	if (p[1].revents)
		return true; /* whoever looks what came of it sees it */
	return read(irq_fd, &n, sizeof(n)) == sizeof(n);
}

static void set_up(const char *address, unsigned irq)
{
	pci_open(v, address);
	pci_config_write(v, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	irq_fd = new_eventfd();
	if (pci_set_eventfds(v, irq, 0, 1, &irq_fd))
		die("no eventfd");
}

/* ---- testdev: counts accesses, has memory, and an engine with a timer */

#define RAM_WORDS 1024u
#define DMA_SIZE  4096u

static volatile char *regs, *ram;
static struct {
	uint32_t ram[RAM_WORDS], reads, writes, scratch;
} is;
static char *mem; /* two pages of DMA */
static uint64_t iova;

static uint32_t reg(unsigned offset)
{
	is.reads += offset >= TD_SCRATCH8;
	return mmio_read32(regs + offset);
}

static void set_reg(unsigned offset, uint32_t value)
{
	is.writes++;
	mmio_write32(regs + offset, value);
}

static void set_reg64(unsigned offset, uint64_t value)
{
	is.writes++;
	mmio_write64(regs + offset, value);
}

static bool testdev_counts(void)
{
	uint32_t n = reg(TD_WRITES);

	MUST(n == is.writes, "%u writes came, of %u", n, is.writes);
	n = reg(TD_READS);
	MUST(n == is.reads, "%u reads came, of %u", n, is.reads);
	return true;
}

static bool testdev_ram(void)
{
	unsigned i = draw(RAM_WORDS);
	uint32_t now;

	if (draw(2)) {
		is.ram[i] = draw(1u << 30);
		is.writes++;
		mmio_write32(ram + 4 * i, is.ram[i]);
		return true;
	}
	is.reads++;
	now = mmio_read32(ram + 4 * i);
	MUST(now == is.ram[i], "word %u of BAR0 is 0x%x, not 0x%x", i, now, is.ram[i]);
	return true;
}

static bool testdev_dma(void)
{
	unsigned len = 8 * (1 + draw(DMA_SIZE / 8)), status;

	for (unsigned i = 0; i < len; i++)
		mem[i] = (char)draw(256);
	memset(mem + DMA_SIZE, 0, DMA_SIZE);
	set_reg64(TD_DMA_SRC, iova);
	set_reg64(TD_DMA_DST, iova + DMA_SIZE);
	set_reg64(TD_DMA_LEN, len);
	set_reg(TD_DMA_DELAY, 100);
	set_reg(TD_DMA_CMD, TD_OP_COPY | TD_DMA_IRQ | TD_DMA_ASYNC);
	/* one of before may have come twice */
	do {
		if (!interrupt("DMA"))
			die("read");
		status = reg(TD_DMA_STATUS);
	} while (status == TD_DMA_BUSY);
	MUST(status == TD_DMA_OK, "DMA of %u bytes: status %u", len, status);
	MUST(!memcmp(mem, mem + DMA_SIZE, len), "DMA of %u bytes: other bytes", len);
	return true;
}

static bool testdev_scratch(void)
{
	uint32_t now = reg(TD_SCRATCH32);

	MUST(now == is.scratch, "the register is 0x%x, not 0x%x", now, is.scratch);
	is.scratch = draw(1u << 30);
	set_reg(TD_SCRATCH32, is.scratch);
	return true;
}

static void testdev(const char *address)
{
	set_up(address, VFIO_PCI_MSIX_IRQ_INDEX);
	regs = pci_map_bar(v, 2, 4096, 0, PROT_READ | PROT_WRITE);
	ram = pci_map_bar(v, 0, 4 * RAM_WORDS, 0, PROT_READ | PROT_WRITE);
	mem = pci_dma_alloc(v, 2 * DMA_SIZE, &iova);
}

static bool testdev_step(void)
{
	static bool (*const what[])(void) = { testdev_counts, testdev_ram, testdev_dma,
					      testdev_scratch };

	return what[draw(4)]();
}

static void testdev_reset(void)
{
	memset(&is, 0, sizeof(is));
}

/* ---- edu: a factorial and DMA, each on a timer */

enum {
	EDU_LIVE = 0x04,
	EDU_FACTORIAL = 0x08,
	EDU_STATUS = 0x20,
	EDU_IRQ_STATUS = 0x24,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
	EDU_BUFFER = 0x40000,
};

static void edu(const char *address)
{
	set_up(address, VFIO_PCI_MSI_IRQ_INDEX);
	regs = pci_map_bar(v, 0, 4096, 0, PROT_READ | PROT_WRITE);
	mem = pci_dma_alloc(v, 2 * DMA_SIZE, &iova);
}

static bool edu_move(uint64_t from, uint64_t to, unsigned len, uint64_t command)
{
	uint32_t status;

	mmio_write64(regs + EDU_DMA_SRC, from);
	mmio_write64(regs + EDU_DMA_DST, to);
	mmio_write64(regs + EDU_DMA_COUNT, len);
	mmio_write64(regs + EDU_DMA_CMD, command);
	do {
		if (!interrupt("DMA"))
			die("read");
		status = mmio_read32(regs + EDU_IRQ_STATUS);
		MUST(status != UINT32_MAX, "the device is gone");
		if (!status && was_lost())
			return false;
	} while (!status);
	MUST(status == 0x100, "interrupts 0x%x", status);
	mmio_write32(regs + EDU_IRQ_ACK, status);
	return true;
}

static bool edu_step(void)
{
	unsigned len = 1 + draw(DMA_SIZE), n = draw(13), want = 1;
	uint32_t now, x = draw(1u << 30);

	mmio_write32(regs + EDU_LIVE, x);
	now = mmio_read32(regs + EDU_LIVE);
	MUST(now == ~x, "the register is 0x%x, not 0x%x", now, ~x);
	mmio_write32(regs + EDU_FACTORIAL, n);
	while ((now = mmio_read32(regs + EDU_STATUS)) & 1 && now != UINT32_MAX)
		;
	while (n > 1)
		want *= n--;
	now = mmio_read32(regs + EDU_FACTORIAL);
	MUST(now == want, "the factorial is %u, not %u", now, want);
	for (unsigned i = 0; i < len; i++)
		mem[i] = (char)draw(256);
	memset(mem + DMA_SIZE, 0, DMA_SIZE);
	if (!edu_move(iova, EDU_BUFFER, len, 1 | 4) ||
	    !edu_move(EDU_BUFFER, iova + DMA_SIZE, len, 1 | 2 | 4))
		return false;
	MUST(!memcmp(mem, mem + DMA_SIZE, len), "DMA of %u bytes: other bytes", len);
	return true;
}

static void edu_reset(void)
{
}

/* ---- nvme: commands under way at any time, each with blocks of its own */

#define DEPTH	24u
#define ENTRIES 32u
#define SLOT	8192u /* bytes of each */

static struct slot {
	char *data;
	uint64_t iova, list_iova;
	uint64_t *list;
	uint32_t version; /* what the blocks have, 0: nobody knows */
	bool busy, reading, flushing;
	uint16_t cid;
} slots[DEPTH];

static void pattern(char *data, unsigned slot, uint32_t version)
{
	for (unsigned i = 0; i < SLOT / 8; i++)
		((uint64_t *)data)[i] = (uint64_t)version << 32 | slot << 16 | i;
}

static void nvme_put(unsigned i)
{
	struct slot *s = &slots[i];
	struct nvme_command c;

	s->flushing = !draw(16);
	s->reading = s->flushing || (s->version && draw(2));
	if (s->reading)
		memset(s->data, 0, SLOT);
	else
		pattern(s->data, i, ++s->version);
	c = nvme_rw(&nvme, s->reading ? NVME_READ : NVME_WRITE, (uint64_t)i * SLOT, SLOT, s->iova,
		    s->list, s->list_iova);
	if (s->flushing)
		c = (struct nvme_command){ .opcode = NVME_FLUSH, .nsid = 1 };
	c.cid = s->cid = (uint16_t)((s->cid + DEPTH) % (DEPTH * 1000));
	s->busy = true;
	nvme_submit(&nvme.queue[1], &c);
}

static void nvme_done(const struct nvme_completion *c)
{
	static char want[SLOT];
	unsigned i = c->cid % DEPTH;
	struct slot *s = &slots[i];

	if (!s->busy || s->cid != c->cid)
		die("a completion of command %u comes, which is not under way", c->cid);
	if (c->status >> 1)
		die("command %u: status 0x%x", c->cid, c->status >> 1);
	s->busy = false;
	done++;
	if (!s->reading || s->flushing)
		return;
	pattern(want, i, s->version);
	if (memcmp(want, s->data, SLOT))
		die("blocks of slot %u: version %u, not %u", i,
		    (unsigned)(*(uint64_t *)s->data >> 32), s->version);
}

static void nvme_begin(const char *address)
{
	nvme_open(&nvme, address, 1, false);
	irq_fd = new_eventfd();
	if (pci_set_eventfds(v, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &irq_fd) ||
	    nvme_create_queue(&nvme, 1, ENTRIES, 0))
		die("no queue");
	for (unsigned i = 0; i < DEPTH; i++) {
		slots[i].cid = (uint16_t)i;
		slots[i].data = pci_dma_alloc(v, SLOT, &slots[i].iova);
		slots[i].list = pci_dma_alloc(v, 4096, &slots[i].list_iova);
	}
}

static bool nvme_step(void)
{
	struct nvme_queue *q = &nvme.queue[1];
	struct nvme_completion c;
	bool some = false, busy = false;

	for (unsigned i = 0; i < DEPTH; i++) {
		if (!slots[i].busy && draw(3)) {
			nvme_put(i);
			some = true;
		}
		busy |= slots[i].busy;
	}
	if (some)
		nvme_ring(q);
	if (!busy)
		return true;
	if (!interrupt("nvme"))
		die("read");
	some = false;
	while (nvme_reap(q, &c)) {
		nvme_done(&c);
		some = true;
	}
	if (some)
		nvme_queue_reaped(q);
	return true;
}

static void nvme_end(void)
{
	struct nvme_completion c;

	for (unsigned i = 0; i < DEPTH; i++)
		while (slots[i].busy) {
			if (!interrupt("nvme"))
				die("read");
			while (nvme_reap(&nvme.queue[1], &c))
				nvme_done(&c);
			nvme_queue_reaped(&nvme.queue[1]);
		}
}

/* ---- igb: frames that come back, with their numbers and an interrupt for some of them */

static struct {
	uint32_t sent, got;	 /* numbers of frames */
	unsigned long twice;	 /* frames that came once more */
	unsigned long all, said; /* frames that came, and that the statistics tell of */
} net;

static void igb_begin(const char *address)
{
	v = &igb.pci;
	igb_open(&igb, address);
	igb_start(&igb, 1, RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC, SRRCTL_ADVANCED | 2);
	irq_fd = new_eventfd();
	if (pci_set_eventfds(v, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, &irq_fd))
		die("no eventfd");
	reg_write(&igb, GPIE, GPIE_MSIX | GPIE_EIAME);
	reg_write(&igb, IVAR0, 0x80);
	reg_write(&igb, EIAC, 1);
	reg_write(&igb, EIAM, 1);
	reg_write(&igb, EIMS, 1);
}

static unsigned frame(uint8_t *f, uint32_t number)
{
	unsigned len = 60 + number * 37 % 1400;

	memset(f, 0xff, 12);
	f[12] = 0x88;
	f[13] = 0xb5;
	memcpy(f + 14, &number, 4);
	for (unsigned i = 18; i < len; i++)
		f[i] = (uint8_t)(number * 7 + i);
	return len;
}

static void igb_take(const struct igb_frame *f)
{
	static uint8_t want[2048];
	uint32_t number;
	unsigned len;

	memcpy(&number, f->data + 14, 4);
	len = frame(want, number);
	if (f->descriptors != 1 || f->length != len || memcmp(f->data, want, len))
		die("frame %u, of %u bytes: other bytes", number, f->length);
	net.all++;
	/* one that was on its way may be sent once more, before the one behind it */
	if (number == net.got) {
		net.twice++;
		return;
	}
	if (number != net.got + 1)
		die("frame %u comes after frame %u", number, net.got);
	net.got = number;
	done++;
}

static bool igb_step(void)
{
	unsigned first = igb.queue[0].tx_tail, count = 1 + draw(20);
	static struct igb_frame in;
	uint8_t f[2048];

	for (unsigned i = 0; i < count; i++) {
		unsigned len = frame(f, ++net.sent);

		igb_put_frame(&igb, 0, f, len, 0, 0);
	}
	reg_write(&igb, TDT, igb.queue[0].tx_tail);
	while (net.got != net.sent) {
		if (!interrupt("igb"))
			die("read");
		while (igb_receive(&igb, 0, &in, 0))
			igb_take(&in);
		reg_write(&igb, EIMS, 1);
	}
	/* all were told to be sent before the write of the tail was over */
	for (unsigned i = 0; i < count; i++)
		if (!(igb.queue[0].tx[(first + i) % IGB_RING].options & 1))
			die("descriptor %u is not done", first + i);
	if (!draw(4))
		net.said += reg_read(&igb, GPRC);
	return true;
}

static void igb_end(void)
{
	static struct igb_frame in;

	while (igb_receive(&igb, 0, &in, 0))
		igb_take(&in);
	net.said += reg_read(&igb, GPRC);
	printf("%lu twice, %lu counted that did not come\n", net.twice, net.said - net.all);
}

static void none(void)
{
}

/* ---- */

static const struct device {
	const char *name;
	void (*begin)(const char *address);
	bool (*step)(void);
	void (*reset)(void);
	void (*end)(void);
} devices[] = {
	{ "testdev", testdev, testdev_step, testdev_reset, none },
	{ "edu", edu, edu_step, edu_reset, none },
	{ "nvme", nvme_begin, nvme_step, NULL, nvme_end },
	{ "igb", igb_begin, igb_step, NULL, igb_end },
};

int main(int argc, char **argv)
{
	const struct device *d = NULL;

	for (unsigned i = 0; argc == 3 && i < 4; i++)
		if (!strcmp(devices[i].name, argv[1]))
			d = &devices[i];
	if (!d)
		die("serve_state testdev|edu|nvme|igb ADDRESS");
	d->begin(argv[2]);
	err_fd = new_eventfd();
	if (pci_set_eventfds(v, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &err_fd))
		die("no ERR");
	puts("works");
	fflush(stdout);
	while (!over()) {
		if (d->step()) {
			done += d->step != igb_step;
			if (!was_lost())
				continue;
		}
		if (!d->reset)
			die("it is lost");
		/* as after an error of a real device: begin anew */
		do {
			if (pci_reset(v))
				die("reset");
		} while (was_lost());
		pci_config_write(v, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		d->reset();
	}
	d->end();
	was_lost();
	printf("%lu done, %lu lost\n", done, lost);
	return 0;
}
