/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/migrate_models/igb.c: a driver of an igb whose cable leads to a socket, or of a virtual
 * function of one, and its partner, a process that answers each frame. Frames are numbered: none
 * may come twice, or damaged, or in another order; what is lost on the wire while the port migrates
 * is counted. A virtual function gets the answers by the address that it asked the PF's driver for
 * when it began.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/igb.h"
#include "move.h"

#define RING   64u
#define BUFFER 2048u
#define LENGTH 600u /* bytes of a frame */
#define BURST  4u

/* Of a virtual function: 8.26; what its driver and Linux's igb say to each other by the mailbox */
#define VF_BAR	    0x4000u
#define VFGPRC	    0xf10u
#define VFGPTC	    0xf14u
#define V2PMAILBOX  0xc40u
#define VMBMEM	    0x800u
#define MAILBOX_REQ 1u
#define MAILBOX_VFU 4u
#define SAY_RESET   1u
#define SAY_MAC	    2u

static const char address[6] = "\x02\x00\x00\x00\x00\x07";
/* where the registers of queue 0 are; they have the same places among themselves */
static uint32_t rx_base = RDBAL, tx_base = TDBAL;
static bool is_vf;

static struct partner {
	uint64_t received, answered, bad;
	uint32_t last;
} * partner; /* shared */
static pid_t partner_pid;

struct state {
	uint32_t tail, next, sent, last; /* of TX, of RX; numbers of frames */
	uint64_t received, counted_in, counted_out;
	uint32_t base_in, base_out; /* of a VF's counters, which nothing clears */
};

static struct state *st(void)
{
	return (struct state *)ram;
}
static struct igb_descriptor *tx(void)
{
	return (void *)(ram + 4096);
}
static volatile struct igb_descriptor *rx(void)
{
	return (void *)(ram + 2 * 4096);
}
static char *tx_buffer(unsigned i)
{
	return ram + (1 << 20) + i * BUFFER;
}
static char *rx_buffer(unsigned i)
{
	return ram + (2 << 20) + i * BUFFER;
}

/* ---- frames: a header, the number, and what follows from it ---- */

static void make_frame(char *f, uint32_t number)
{
	memset(f, 0xff, 6);
	memcpy(f + 6, "\x02\x00\x00\x00\x00\x01\x88\xb5", 8);
	memcpy(f + 16, &number, 4);
	fill(f + 20, LENGTH - 20, number, 1);
}

/* Return its number; 0: it is damaged. */
static uint32_t read_frame(const char *f, size_t len)
{
	uint32_t number;

	memcpy(&number, f + 16, 4);
	return len == LENGTH && is_filled(f + 20, LENGTH - 20, number, 1) ? number : 0;
}

static void answer(int fd)
{
	struct sockaddr_un from;
	socklen_t size = sizeof(from);
	char f[BUFFER];
	ssize_t len = recvfrom(fd, f, sizeof(f), 0, (struct sockaddr *)&from, &size);
	uint32_t number;

	if (len < 20)
		return;
	number = read_frame(f, (size_t)len);
	if (!number || number <= partner->last)
		partner->bad++;
	partner->last = number;
	partner->received++;
	make_frame(f, (uint32_t)++partner->answered);
	memcpy(f, address, 6);
	/* lost if nobody is there, as on a cable */
	sendto(fd, f, LENGTH, MSG_DONTWAIT, (struct sockaddr *)&from, size);
}

void igb_partner_start(const char *path, bool vf)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	is_vf = vf;
	if (vf) {
		rx_base = 0x2800;
		tx_base = 0x3800;
	}
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	partner = mmap(NULL, sizeof(*partner), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (fd < 0 || partner == MAP_FAILED || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die("the partner's socket %s", path);
	partner_pid = fork();
	if (partner_pid < 0)
		die("fork");
	while (!partner_pid)
		answer(fd);
	close(fd);
}

void igb_partner_end(void)
{
	kill(partner_pid, SIGKILL);
	waitpid(partner_pid, NULL, 0);
	printf("partner: %llu frames, %llu bad\n", (unsigned long long)partner->received,
	       (unsigned long long)partner->bad);
	if (partner->bad || !partner->received)
		die("frames came to the partner twice, damaged or in another order");
}

/* ---- the driver ---- */

static uint32_t get(struct side *s, uint32_t off)
{
	return *(volatile uint32_t *)(s->bar + off);
}
static void put(struct side *s, uint32_t off, uint32_t v)
{
	*(volatile uint32_t *)(s->bar + off) = v;
}
static void put_rx(struct side *s, uint32_t off, uint32_t v)
{
	put(s, off - RDBAL + rx_base, v);
}
static void put_tx(struct side *s, uint32_t off, uint32_t v)
{
	put(s, off - TDBAL + tx_base, v);
}

static void give(unsigned i)
{
	rx()[i].address = ram_iova(rx_buffer(i));
	rx()[i].command = rx()[i].options = 0;
}

/* Say something to the PF's driver, which answers at once. */
static void say(struct side *s, uint32_t what, uint32_t a, uint32_t b)
{
	put(s, V2PMAILBOX, MAILBOX_VFU);
	put(s, VMBMEM, what);
	put(s, VMBMEM + 4, a);
	put(s, VMBMEM + 8, b);
	put(s, V2PMAILBOX, MAILBOX_REQ);
	if (!(get(s, V2PMAILBOX) & 1u << 4) || get(s, VMBMEM) >> 30 != 2)
		die("the PF's driver answers %#x to %#x", get(s, VMBMEM), what);
}

static void begin_queues(struct side *s)
{
	for (unsigned i = 0; i < RING; i++)
		give(i);
	put_rx(s, RDBAL, (uint32_t)ram_iova(rx()));
	put_rx(s, RDBAH, 0);
	put_rx(s, RDLEN, RING * 16);
	put_rx(s, SRRCTL, SRRCTL_ADVANCED | 2);
	put_rx(s, RXDCTL, QUEUE_ENABLE);
	put_tx(s, TDBAL, (uint32_t)ram_iova(tx()));
	put_tx(s, TDBAH, 0);
	put_tx(s, TDLEN, RING * 16);
	put_tx(s, TXDCTL, QUEUE_ENABLE);
}

static void igb_begin(struct side *s)
{
	uint32_t words[2] = { 0, 0 };

	put(s, CTRL, CTRL_RST);
	while (get(s, CTRL) & CTRL_RST) /* 82576 datasheet, 4.5.3 */
		;
	if (is_vf) {
		memcpy(words, address, sizeof(address));
		say(s, SAY_RESET, 0, 0);
		say(s, SAY_MAC, words[0], words[1]);
		st()->base_in = get(s, VFGPRC);
		st()->base_out = get(s, VFGPTC);
	} else {
		put(s, CTRL, 1u << 6); /* SLU */
	}
	begin_queues(s);
	if (!is_vf) {
		put(s, RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
		put(s, TCTL, TCTL_EN | TCTL_PSP);
	}
	put_rx(s, RDT, RING - 1);
	if (!(get(s, STATUS) & 2))
		die("no link");
}

static void igb_arrive(struct side *s)
{
}

static void take_frames(struct side *s)
{
	uint32_t number;

	while (rx()[st()->next].command & RX_DD) {
		unsigned i = st()->next;

		number = read_frame(rx_buffer(i), rx()[i].options & 0xffff);
		if (!number || number <= st()->last)
			die("frame %u came after frame %u", number, st()->last);
		st()->last = number;
		st()->received++;
		give(i);
		put_rx(s, RDT, i);
		st()->next = (i + 1) % RING;
	}
}

static void send_frames(struct side *s)
{
	for (unsigned i = 0; i < BURST; i++) {
		unsigned at = st()->tail;

		make_frame(tx_buffer(at), ++st()->sent);
		tx()[at] =
			(struct igb_descriptor){ ram_iova(tx_buffer(at)),
						 TX_DATA | TX_EOP | TX_RS | LENGTH, LENGTH << 14 };
		st()->tail = (at + 1) % RING;
	}
	put_tx(s, TDT, st()->tail);
}

/* The counters of a port clear when they are read, and what is not read migrates. */
static void count(struct side *s)
{
	if (is_vf) {
		st()->counted_in = get(s, VFGPRC) - st()->base_in;
		st()->counted_out = get(s, VFGPTC) - st()->base_out;
		return;
	}
	st()->counted_in += get(s, GPRC);
	st()->counted_out += get(s, GPTC);
}

static void igb_work(struct side *s, uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	do {
		send_frames(s);
		usleep(100);
		take_frames(s);
	} while (now_ns() < end);
	if (st()->sent % 3 == 0)
		count(s);
	send_frames(s);
}

static void igb_finish(struct side *s)
{
	uint64_t limit = now_ns() + 20000000000ull;

	while (get(s, TDH - TDBAL + tx_base) != st()->tail)
		if (now_ns() > limit)
			die("frames stay in the ring");
	/* until nothing comes any more */
	for (uint64_t n = UINT64_MAX; n != st()->received; usleep(20000)) {
		n = st()->received;
		take_frames(s);
	}
	/* what the partner still sends is counted before it is taken, or after */
	for (count(s); st()->counted_in != st()->received && now_ns() < limit; count(s)) {
		usleep(1000);
		take_frames(s);
	}
	printf("driver: %u frames sent, %llu received, counted %llu and %llu\n", st()->sent,
	       (unsigned long long)st()->received, (unsigned long long)st()->counted_out,
	       (unsigned long long)st()->counted_in);
	if (st()->counted_out != st()->sent || st()->counted_in != st()->received)
		die("the counters say something else");
	if (st()->received < st()->sent / 4)
		die("too little came back");
}

const struct driver igb_driver = { 0x20000, igb_begin, igb_arrive, igb_work, igb_finish };
const struct driver igbvf_driver = { VF_BAR, igb_begin, igb_arrive, igb_work, igb_finish };
