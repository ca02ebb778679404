/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/test_ports.h: an igb with two virtual functions and another igb at the other end of
 * the cable, all driven by the test: each port has a ring each way, and memory of its own at the
 * same I/O addresses, so that a frame that took another's way shows.
 */
#ifndef MODELS_IGB_TEST_PORTS_H
#define MODELS_IGB_TEST_PORTS_H
#include "models/igb/igb.h"
#include "models/igb/internal.h"
#include "pci/test_model.h"

#define VFS	2u
#define PF	VFS	  /* its pool, and its queue */
#define FAR	(VFS + 1) /* the other end of the cable */
#define PORTS	(VFS + 2)
#define TX_RING IOVA
#define RX_RING (IOVA + 0x1000)
#define TX_BUF	(IOVA + 0x2000)
#define RX_BUF	(IOVA + 0x8000)
#define RING	16u
#define RX_SIZE 2048u
#define ADV	(TXD_DEXT | DTYP_DATA << 20)
#define RUN	(RCTL_EN | RCTL_BAM | RCTL_SECRC | RCTL_LPE)
#define PROMISC (RUN | RCTL_UPE | RCTL_MPE)

static struct port {
	pci_function *f;
	uint8_t *mem;
	uint32_t rxq, txq; /* where its registers are */
	unsigned tail, at;
	struct test_irqs irqs;
} port[PORTS];

static inline uint32_t pr(struct port *p, uint32_t off)
{
	uint64_t v;

	assert_int_equal(pci_bar_read(p->f, 0, off, 4, &v), 0);
	return (uint32_t)v;
}
static inline void pw(struct port *p, uint32_t off, uint32_t v)
{
	assert_int_equal(pci_bar_write(p->f, 0, off, 4, v), 0);
}
static inline uint32_t r(uint32_t off)
{
	return pr(&port[PF], off);
}
static inline void w(uint32_t off, uint32_t v)
{
	pw(&port[PF], off, v);
}

static inline void attach(struct port *p)
{
	p->mem = test_memory_give(p->f, IOVA, MEM_SIZE, 0, NULL);
	pci_config_write(p->f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void start(void)
{
	struct pci_option id = { "id", "far" };
	char err[256];

	plug(&model_igb, "net", "peer:far");
	memset(port, 0, sizeof(port));
	for (unsigned i = 0; i < VFS; i++) {
		if (pci_vf_new(fn, i, "0000:01:10.0", err, sizeof(err), &port[i].f))
			fail_msg("%s", err);
		test_irqs_watch(&port[i].irqs, port[i].f);
		attach(&port[i]);
		port[i].rxq = 0x2800;
		port[i].txq = 0x3800;
	}
	assert_int_equal(pci_sriov_set(fn, VFS), 0);
	for (unsigned i = 0; i < VFS; i++)
		pci_config_write(port[i].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	port[PF] =
		(struct port){ .f = fn, .mem = mem, .rxq = IGB_RXQ(PF, 0), .txq = IGB_TXQ(PF, 0) };
	port[FAR] = (struct port){ .rxq = 0x2800, .txq = 0x3800 };
	if (pci_function_new(&model_igb, "0000:02:00.0", 0, loop, &id, 1, err, sizeof(err),
			     &port[FAR].f))
		fail_msg("%s", err);
	attach(&port[FAR]);
}

static inline void stop(void)
{
	for (unsigned i = 0; i < PORTS; i++) {
		if (i == PF || !port[i].f)
			continue;
		test_function_free(port[i].f, port[i].mem, MEM_SIZE);
	}
	unplug();
}

/* ---- queues ---- */

static inline void rings(struct port *p)
{
	uint64_t(*rxd)[2] = (void *)(p->mem + 0x1000);

	p->tail = p->at = 0;
	pw(p, p->txq + TDBAL, (uint32_t)TX_RING);
	pw(p, p->txq + TDLEN, RING * 16);
	pw(p, p->txq + TDH, 0);
	pw(p, p->txq + TDT, 0);
	pw(p, p->txq + TXDCTL, QUEUE_ENABLE);
	pw(p, p->rxq + RDBAL, (uint32_t)RX_RING);
	pw(p, p->rxq + RDLEN, RING * 16);
	pw(p, p->rxq + SRRCTL, 2 | 1u << 25);
	pw(p, p->rxq + RXDCTL, QUEUE_ENABLE);
	for (unsigned i = 0; i < RING; i++) {
		rxd[i][0] = RX_BUF + i * RX_SIZE;
		rxd[i][1] = 0;
	}
	pw(p, p->rxq + RDT, RING - 1);
}

/* All ports run; 02:00:00:00:00:0N is the address of VF N and of the PF's pool. */
static inline void run(void)
{
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU);
	pw(&port[FAR], IGB_CTRL, CTRL_SLU);
	pw(&port[FAR], IGB_RCTL, PROMISC);
	pw(&port[FAR], IGB_TCTL, TCTL_EN);
	w(IGB_MRQC, MRQC_VMDQ_POOL);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | PF << 7);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK);
	for (unsigned i = 0; i <= VFS; i++) {
		w(IGB_RAL(i), 2);
		w(IGB_RAH(i), RAH_AV | 1u << (18 + i) | i << 8);
		w(IGB_VMOLR(i), VMOLR_STRCRC | VMOLR_BAM | VMOLR_AUPE);
	}
	w(IGB_VFRE, 0xff);
	w(IGB_VFTE, 0xff);
	w(IGB_RCTL, RUN);
	w(IGB_TCTL, TCTL_EN);
	for (unsigned i = 0; i < PORTS; i++)
		rings(&port[i]);
	assert_true(r(IGB_STATUS) & STATUS_LU);
}

static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };

static inline void frame(uint8_t *f, unsigned to, unsigned from)
{
	static const uint8_t own[6] = { 2 };

	memset(f, 0x5a, 60);
	memcpy(f, own, 6);
	memcpy(f + 6, own, 6);
	f[5] = (uint8_t)to;
	f[11] = (uint8_t)from;
	igb_put_be16(f + 12, 0x88b5);
}

/* Sends what is at TX_BUF of the port. */
static inline void go(struct port *p, size_t len)
{
	struct igb_desc *txd = (void *)p->mem;

	txd[p->tail] = (struct igb_desc){ TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_RS,
					  (uint32_t)len << 14 };
	p->tail = (p->tail + 1) % RING;
	pw(p, p->txq + TDT, p->tail);
}
static inline uint8_t *out(unsigned i)
{
	return port[i].mem + 0x2000;
}
static inline void send_to(unsigned from, unsigned to)
{
	frame(out(from), to, from);
	go(&port[from], 60);
}

/* The next frame of a port: its length, or -1. */
static inline int got(unsigned i, uint64_t *status)
{
	struct port *p = &port[i];
	uint64_t(*rxd)[2] = (void *)(p->mem + 0x1000);

	*status = rxd[p->at][1];
	if (!(*status & RXD_DD))
		return -1;
	rxd[p->at][0] = RX_BUF + p->at * RX_SIZE;
	rxd[p->at][1] = 0;
	p->at = (p->at + 1) % RING;
	pw(p, p->rxq + RDT, (p->at + RING - 1) % RING);
	return (uint16_t)(*status >> 32);
}
static inline uint8_t *last(unsigned i)
{
	return port[i].mem + 0x8000 + (port[i].at + RING - 1) % RING * RX_SIZE;
}

/* Return which ports got a frame: bit n for port n. */
static inline unsigned who(void)
{
	unsigned bits = 0;
	uint64_t status;

	for (unsigned i = 0; i < PORTS; i++) {
		if (got(i, &status) >= 0)
			bits |= 1u << i;
		assert_int_equal(got(i, &status), -1);
	}
	return bits;
}

#endif
