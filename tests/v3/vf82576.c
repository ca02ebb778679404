/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/vf82576.c: a user-level driver of the Intel 82576's virtual function by the interface of
 * July 2010, as it was written then: it finds its device below the driver in sysfs, has one large
 * buffer for DMA, the registers mapped, and sleeps in read(2) on eventfds of MSI-X. Section numbers
 * are of the 82576 datasheet, revision 2.61; the mailbox's messages are those of Linux's igb.
 *
 *	vf82576 echo N		answer N frames
 *	vf82576 send N MAC	send N frames to MAC, and compare what comes back
 *	vf82576 switch N	both, by the first two devices, through the switch between them
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "uvfio/vfio_v3.h"

/* 8.26: a VF's registers */
enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	MAILBOX_MEM = 0x0800,
	V2PMAILBOX = 0x0c40,
	EIMS = 0x1524,
	EIAC = 0x152c,
	EIAM = 0x1530,
	IVAR0 = 0x1700,
	IVAR_MISC = 0x1740,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	SRRCTL = 0x280c,
	RDT = 0x2818,
	RXDCTL = 0x2828,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDT = 0x3818,
	TXDCTL = 0x3828,
};
#define CTRL_RST     (1u << 26)
#define STATUS_LU    (1u << 1)
#define QUEUE_ENABLE (1u << 25)
#define SRRCTL_ONE   (1u << 25 | 2) /* advanced, one buffer of 2 KiB: 8.10.2 */
/* 8.14.3: V2PMAILBOX */
#define MBX_REQ	  (1u << 0)
#define MBX_ACK	  (1u << 1)
#define MBX_VFU	  (1u << 2)
#define MBX_PFSTS (1u << 4)
#define MBX_PFACK (1u << 5)
#define MBX_RSTI  (1u << 6)
#define MBX_RSTD  (1u << 7)
#define MSG_RESET 1u
#define MSG_ACK	  0x80000000u
/* 7.2.2.3, 7.1.5 */
#define TX_FRAME (1u << 24 | 1u << 25 | 1u << 27 | 1u << 29 | 3u << 20) /* EOP IFCS RS DEXT data */
#define DD	 1u

#define RING	    32u
#define BUF	    2048u
#define IOVA	    0x10000000u
#define RX_RING	    0u
#define TX_RING	    4096u
#define RX_BUFS	    8192u
#define TX_BUFS	    (RX_BUFS + RING * BUF)
#define MEMORY_SIZE (TX_BUFS + RING * BUF)
#define WAIT	    10 /* seconds */

/* A descriptor, as it is written and as the device writes it back. */
struct desc {
	uint64_t addr;
	uint32_t low, high;
};

struct vf {
	int fd, domain, rx_event, tx_event, mbx_event;
	volatile uint32_t *regs;
	uint8_t *mem;
	volatile struct desc *rx, *tx;
	unsigned rx_next, tx_next;
	uint8_t mac[6];
};

static void die(const char *what, ...)
{
	va_list ap;

	va_start(ap, what);
	fprintf(stderr, "vf82576: ");
	vfprintf(stderr, what, ap);
	fprintf(stderr, "\n");
	exit(1);
}

static void need(bool ok, const char *what)
{
	if (!ok)
		die("%s: %s", what, strerror(errno));
}

static uint32_t rd(struct vf *v, unsigned reg)
{
	return v->regs[reg / 4];
}

static void wr(struct vf *v, unsigned reg, uint32_t value)
{
	v->regs[reg / 4] = value;
}

/* ---- the device ---- */

/* Find the @skip-th device of the driver that is an 82576 VF: the number of its node. */
static int find_device(unsigned skip)
{
	static const char drivers[] = "/sys/bus/pci/drivers/vfio";
	char path[512];
	struct dirent *e, *n;
	int found = -1;
	DIR *d = opendir(drivers), *nodes;

	need(d, drivers);
	for (unsigned i = 0; found < 0 && (e = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s/vfio", drivers, e->d_name);
		nodes = strchr(e->d_name, ':') ? opendir(path) : NULL;
		while (nodes && (n = readdir(nodes)))
			if (!strncmp(n->d_name, "vfio", 4) && i++ == skip)
				found = atoi(n->d_name + 4);
		if (nodes)
			closedir(nodes);
	}
	closedir(d);
	return found;
}

static void open_device(struct vf *v, unsigned skip)
{
	int vectors[4] = { 3 }, number = find_device(skip);
	struct vfio_dma_map map = { .dmaaddr = IOVA,
				    .size = MEMORY_SIZE,
				    .flags = VFIO_FLAG_WRITE };
	char node[32];
	uint32_t ids, len = 0;
	uint16_t command;

	if (number < 0)
		die("no device %u", skip);
	snprintf(node, sizeof(node), "/dev/vfio%d", number);
	v->fd = open(node, O_RDWR);
	need(v->fd >= 0, node);
	v->domain = open("/dev/uiommu", O_RDWR);
	need(v->domain >= 0, "/dev/uiommu");
	need(!ioctl(v->fd, VFIO_DOMAIN_SET, &v->domain), "VFIO_DOMAIN_SET");
	need(pread(v->fd, &ids, 4, (off_t)VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, 0)) == 4, "config");
	if (ids != 0x10ca8086)
		die("%s is %04x:%04x", node, ids & 0xffff, ids >> 16);
	need(pread(v->fd, &command, 2, (off_t)VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, 4)) == 2,
	     "COMMAND");
	command |= 4;
	need(pwrite(v->fd, &command, 2, (off_t)VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, 4)) == 2,
	     "bus mastering");
	need(!ioctl(v->fd, VFIO_BAR_LEN, &len) && len, "VFIO_BAR_LEN");
	v->regs = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	need(v->regs != MAP_FAILED, "mmap of BAR0");
	v->mem = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(v->mem != MAP_FAILED, "memory");
	map.vaddr = (uintptr_t)v->mem;
	need(!ioctl(v->fd, VFIO_DMA_MAP_IOVA, &map), "VFIO_DMA_MAP_IOVA");
	vectors[1] = v->rx_event = eventfd(0, 0);
	vectors[2] = v->tx_event = eventfd(0, 0);
	vectors[3] = v->mbx_event = eventfd(0, 0);
	need(!ioctl(v->fd, VFIO_EVENTFDS_MSIX, vectors), "VFIO_EVENTFDS_MSIX");
}

static void sleep_on(struct vf *v, int event, const char *for_what)
{
	struct pollfd p = { event, POLLIN, 0 };
	uint64_t n;

	if (poll(&p, 1, WAIT * 1000) != 1 || read(event, &n, sizeof(n)) != sizeof(n))
		die("no interrupt in %d s: %s", WAIT, for_what);
	wr(v, EIMS, 7);
}

/* ---- bringing it up: 4.6.11 ---- */

/* Ask the PF's driver for a reset; its answer has our address. */
static void reset(struct vf *v)
{
	time_t end = time(NULL) + WAIT;
	uint32_t state = 0;

	wr(v, CTRL, CTRL_RST);
	while (!((state |= rd(v, V2PMAILBOX)) & MBX_RSTD) && rd(v, V2PMAILBOX) & MBX_RSTI)
		if (time(NULL) > end)
			die("the PF's driver does not come out of its reset");
	wr(v, IVAR0, 0x80 | 0x81 << 8);
	wr(v, IVAR_MISC, 0x82);
	wr(v, EIAC, 7);
	wr(v, EIAM, 7);
	wr(v, EIMS, 7);
	wr(v, V2PMAILBOX, MBX_VFU);
	if (!(rd(v, V2PMAILBOX) & MBX_VFU))
		die("the mailbox is not ours");
	wr(v, MAILBOX_MEM, MSG_RESET);
	wr(v, V2PMAILBOX, MBX_REQ);
	for (state = 0; !(state & MBX_PFSTS); state |= rd(v, V2PMAILBOX))
		sleep_on(v, v->mbx_event, "an answer by the mailbox");
	if (rd(v, MAILBOX_MEM) != (MSG_RESET | MSG_ACK))
		die("the PF's driver answers 0x%x", rd(v, MAILBOX_MEM));
	for (unsigned i = 0; i < 6; i++)
		v->mac[i] = (uint8_t)(rd(v, MAILBOX_MEM + 4 + (i & 4u)) >> 8 * (i & 3));
	wr(v, V2PMAILBOX, MBX_ACK);
}

static void give_buffer(struct vf *v, unsigned i)
{
	v->rx[i].addr = IOVA + RX_BUFS + i * BUF;
	v->rx[i].low = v->rx[i].high = 0;
}

static void start(struct vf *v)
{
	time_t end = time(NULL) + WAIT;

	v->rx = (void *)(v->mem + RX_RING);
	v->tx = (void *)(v->mem + TX_RING);
	for (unsigned i = 0; i < RING; i++)
		give_buffer(v, i);
	wr(v, RDBAL, IOVA + RX_RING);
	wr(v, RDBAH, 0);
	wr(v, RDLEN, RING * sizeof(struct desc));
	wr(v, SRRCTL, SRRCTL_ONE);
	wr(v, RXDCTL, QUEUE_ENABLE);
	wr(v, RDT, RING - 1);
	wr(v, TDBAL, IOVA + TX_RING);
	wr(v, TDBAH, 0);
	wr(v, TDLEN, RING * sizeof(struct desc));
	wr(v, TXDCTL, QUEUE_ENABLE);
	while (!(rd(v, STATUS) & STATUS_LU))
		if (time(NULL) > end)
			die("no link in %d s", WAIT);
}

static void bring_up(struct vf *v, unsigned skip)
{
	open_device(v, skip);
	reset(v);
	start(v);
}

/* ---- frames ---- */

static void transmit(struct vf *v, const void *frame, unsigned n)
{
	volatile struct desc *d = &v->tx[v->tx_next];

	memcpy(v->mem + TX_BUFS + v->tx_next * BUF, frame, n);
	d->addr = IOVA + TX_BUFS + v->tx_next * BUF;
	d->low = n | TX_FRAME;
	d->high = n << 14;
	v->tx_next = (v->tx_next + 1) % RING;
	wr(v, TDT, v->tx_next);
	while (!(d->high & DD))
		sleep_on(v, v->tx_event, "a frame to be sent");
}

/* Return the length of the frame that comes next, which is in @frame. */
static unsigned receive(struct vf *v, uint8_t *frame)
{
	unsigned i = v->rx_next, n;

	while (!(v->rx[i].low & DD))
		sleep_on(v, v->rx_event, "a frame");
	n = v->rx[i].high & 0xffff;
	memcpy(frame, v->mem + RX_BUFS + i * BUF, n);
	give_buffer(v, i);
	v->rx_next = (i + 1) % RING;
	wr(v, RDT, i);
	return n;
}

/* Answer one frame, which goes back as it came. */
static void echo(struct vf *v)
{
	uint8_t frame[BUF], mac[6];
	unsigned n = receive(v, frame);

	memcpy(mac, frame + 6, 6);
	memcpy(frame + 6, frame, 6);
	memcpy(frame, mac, 6);
	transmit(v, frame, n);
}

/* Make frame @seq to @to. Return its length. */
static unsigned make(struct vf *v, const uint8_t *to, unsigned seq, uint8_t *frame)
{
	unsigned n = 60 + seq * 37 % 1400;

	memcpy(frame, to, 6);
	memcpy(frame + 6, v->mac, 6);
	frame[12] = 0x88; /* for local experiments: IEEE 802, 9.2.3 */
	frame[13] = 0xb5;
	for (unsigned i = 14; i < n; i++)
		frame[i] = (uint8_t)(seq + i * 7);
	return n;
}

static void compare(struct vf *v, const uint8_t *to, unsigned seq)
{
	uint8_t sent[BUF], came[BUF];
	unsigned n = make(v, to, seq, sent), got = receive(v, came);

	if (got != n || memcmp(came + 12, sent + 12, n - 12) || memcmp(came, v->mac, 6) ||
	    memcmp(came + 6, to, 6))
		die("frame %u of %u bytes came back as another, of %u bytes", seq, n, got);
}

static void send_one(struct vf *v, const uint8_t *to, unsigned seq)
{
	uint8_t frame[BUF];

	transmit(v, frame, make(v, to, seq, frame));
}

static void show_mac(const struct vf *v)
{
	printf("%02x:%02x:%02x:%02x:%02x:%02x\n", v->mac[0], v->mac[1], v->mac[2], v->mac[3],
	       v->mac[4], v->mac[5]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	struct vf a = { 0 }, b = { 0 };
	uint8_t to[6];

	if (argc == 3 && !strcmp(argv[1], "echo")) {
		bring_up(&a, 0);
		show_mac(&a);
		for (unsigned i = 0; i < count; i++)
			echo(&a);
	} else if (argc == 4 && !strcmp(argv[1], "send") &&
		   sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to[0], &to[1], &to[2], &to[3],
			  &to[4], &to[5]) == 6) {
		bring_up(&a, 0);
		for (unsigned i = 0; i < count; i++) {
			send_one(&a, to, i);
			compare(&a, to, i);
		}
	} else if (argc == 3 && !strcmp(argv[1], "switch")) {
		bring_up(&a, 0);
		bring_up(&b, 1);
		for (unsigned i = 0; i < count; i++) {
			send_one(&a, b.mac, i);
			echo(&b);
			compare(&a, b.mac, i);
		}
	} else {
		die("echo N, send N MAC, or switch N");
	}
	printf("%u frames\n", count);
	return 0;
}
