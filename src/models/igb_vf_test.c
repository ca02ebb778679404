/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * igb's virtual functions, with the test as the driver of the PF and of two VFs at once, and of
 * another igb at the other end of the cable: mailbox, reset, interrupts, and the switch between
 * pools with its filters. Each function has memory of its own at the same I/O addresses, so a frame
 * that took another's way shows.
 */
#include "models/test_model.h"
#include "models/igb.h"

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
	atomic_int msis[3];
} port[PORTS];

static void vf_msi(void *arg, unsigned vector)
{
	struct port *p = arg;

	atomic_fetch_add(&p->msis[vector], 1);
}

static uint32_t pr(struct port *p, uint32_t off)
{
	uint64_t v;

	assert_int_equal(pci_bar_read(p->f, 0, off, 4, &v), 0);
	return (uint32_t)v;
}
static void pw(struct port *p, uint32_t off, uint32_t v)
{
	assert_int_equal(pci_bar_write(p->f, 0, off, 4, v), 0);
}
static uint32_t r(uint32_t off)
{
	return pr(&port[PF], off);
}
static void w(uint32_t off, uint32_t v)
{
	pw(&port[PF], off, v);
}

static void attach(struct port *p)
{
	struct iommu_domain *d = iommu_domain_new();

	p->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p->mem != MAP_FAILED);
	assert_int_equal(iommu_domain_map(d, IOVA, p->mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	iommu_device_attach(pci_function_iommu(p->f), d);
	iommu_domain_put(d);
	pci_config_write(p->f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void start(void)
{
	struct pci_irq_sink sink = {.msi = vf_msi};
	struct pci_option id = {"id", "far"};
	char err[256];

	plug(&model_igb, "net", "peer:far");
	memset(port, 0, sizeof(port));
	for (unsigned i = 0; i < VFS; i++) {
		if (pci_vf_new(fn, i, "0000:01:10.0", err, sizeof(err), &port[i].f))
			fail_msg("%s", err);
		sink.arg = &port[i];
		pci_set_irq_sink(port[i].f, &sink);
		attach(&port[i]);
		port[i].rxq = 0x2800;
		port[i].txq = 0x3800;
	}
	assert_int_equal(pci_sriov_set(fn, VFS), 0);
	for (unsigned i = 0; i < VFS; i++)
		pci_config_write(port[i].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	port[PF] = (struct port){.f = fn, .mem = mem, .rxq = IGB_RXQ(PF, 0), .txq = IGB_TXQ(PF, 0)};
	port[FAR] = (struct port){.rxq = 0x2800, .txq = 0x3800};
	if (pci_function_new(&model_igb, "0000:02:00.0", loop, &id, 1, err, sizeof(err),
			     &port[FAR].f))
		fail_msg("%s", err);
	attach(&port[FAR]);
}

static void stop(void)
{
	for (unsigned i = 0; i < PORTS; i++) {
		if (i == PF || !port[i].f)
			continue;
		pci_set_irq_sink(port[i].f, NULL);
		iommu_device_attach(pci_function_iommu(port[i].f), NULL);
		pci_function_free(port[i].f, false);
		munmap(port[i].mem, MEM_SIZE);
	}
	unplug();
}

/* ---- queues ---- */

static void rings(struct port *p)
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
static void run(void)
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

static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

static void frame(uint8_t *f, unsigned to, unsigned from)
{
	static const uint8_t own[6] = {2};

	memset(f, 0x5a, 60);
	memcpy(f, own, 6);
	memcpy(f + 6, own, 6);
	f[5] = (uint8_t)to;
	f[11] = (uint8_t)from;
	igb_put_be16(f + 12, 0x88b5);
}

/* Sends what is at TX_BUF of the port. */
static void go(struct port *p, size_t len)
{
	struct igb_desc *txd = (void *)p->mem;

	txd[p->tail] = (struct igb_desc){TX_BUF, (uint32_t)len | ADV | TXD_EOP | TXD_RS,
					 (uint32_t)len << 14};
	p->tail = (p->tail + 1) % RING;
	pw(p, p->txq + TDT, p->tail);
}
static uint8_t *out(unsigned i)
{
	return port[i].mem + 0x2000;
}
static void send_to(unsigned from, unsigned to)
{
	frame(out(from), to, from);
	go(&port[from], 60);
}

/* The next frame of a port: its length, or -1. */
static int got(unsigned i, uint64_t *status)
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
static uint8_t *last(unsigned i)
{
	return port[i].mem + 0x8000 + (port[i].at + RING - 1) % RING * RX_SIZE;
}

/* Which ports got a frame: bit n for port n. */
static unsigned who(void)
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

/* ---- the tests ---- */

static void test_identity(void **state)
{
	start();
	assert_int_equal(pci_config_read(port[1].f, PCI_CLASS_REVISION, 4), 0x02000001);
	assert_int_equal(pci_sriov_total(fn), 8);
	assert_int_equal(pci_vf_rid(fn, 0x100, 7), 0x18e); /* 01:11.6 */
	/* What a VF does not have reads zero, and takes nothing. */
	pw(&port[0], IGB_RCTL, RUN);
	assert_int_equal(r(IGB_RCTL), 0);
	assert_int_equal(pr(&port[0], IGB_RCTL), 0);
	assert_int_equal(pr(&port[0], 0x40), 0);
	pw(&port[0], IGB_STATUS, 0xffffffff);
	assert_int_equal(pr(&port[0], IGB_STATUS), r(IGB_STATUS));
	/* Its queues are n and n + 8; those of another are out of sight. */
	pw(&port[1], 0x2808, 0x100);
	pw(&port[1], 0x2908, 0x200);
	pw(&port[1], 0x3908, 0x400);
	pw(&port[1], 0x2a08, 0x800);
	assert_int_equal(r(IGB_RXQ(1, RDLEN)), 0x100);
	assert_int_equal(r(IGB_RXQ(9, RDLEN)), 0x200);
	assert_int_equal(r(IGB_TXQ(9, TDLEN)), 0x400);
	assert_int_equal(r(IGB_RXQ(2, RDLEN)), 0);
	assert_int_equal(r(IGB_RXQ(10, RDLEN)), 0);
	log_set(-1, LOG_NONE);
	assert_int_equal(pci_bar_write(port[0].f, 0, 0x2808, 2, 0), -EIO);
	log_set(2, LOG_WARN);
	stop();
}

static void test_mailbox(void **state)
{
	struct port *vf = &port[1];

	start();
	/* The PF is not ready until its driver says so. */
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), V2PMAILBOX_RSTI);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), V2PMAILBOX_RSTI);
	w(IGB_CTRL_EXT, CTRL_EXT_PFRSTD);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), V2PMAILBOX_RSTD);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), 0);
	/* From the VF: the buffer is taken, filled, the PF told. */
	w(IGB_IMS, ICR_VMMB);
	assert_int_equal(intx_level, 0);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), MAILBOX_VFU);
	w(IGB_P2VMAILBOX(1), MAILBOX_PFU);
	assert_int_equal(r(IGB_P2VMAILBOX(1)), MAILBOX_VFU); /* it has another */
	assert_int_equal(r(IGB_P2VMAILBOX(0)), 0);
	for (unsigned i = 0; i < 16; i++)
		pw(vf, IGB_VMBMEM(0) + 4 * i, 0x1000 + i);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	assert_int_equal(intx_level, 1);
	assert_int_equal(r(IGB_ICR) & ICR_VMMB, ICR_VMMB);
	assert_int_equal(r(IGB_MBVFICR), MBVFICR_REQ(1));
	assert_int_equal(r(IGB_VMBMEM(1) + 60), 0x100f);
	assert_int_equal(r(IGB_VMBMEM(0) + 60), 0);
	w(IGB_MBVFICR, MBVFICR_REQ(1));
	assert_int_equal(r(IGB_MBVFICR), 0);
	/* The answer, with the VF's interrupt. */
	pci_msix_enable(vf->f);
	pci_msix_entry(vf->f, 2, true);
	pw(vf, IGB_IVAR_MISC, IVAR_VALID | 2);
	pw(vf, IGB_EIMS, 1 << 2);
	w(IGB_P2VMAILBOX(1), MAILBOX_PFU);
	assert_int_equal(r(IGB_P2VMAILBOX(1)), MAILBOX_PFU);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), MAILBOX_PFU);
	w(IGB_VMBMEM(1), 0x2000);
	w(IGB_P2VMAILBOX(1), MAILBOX_STS | MAILBOX_ACK);
	assert_int_equal(vf->msis[2], 1);
	assert_int_equal(port[0].msis[2], 0);
	assert_int_equal(pr(vf, IGB_EICR), 1 << 2);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), 0);
	assert_int_equal(pr(vf, IGB_VMBMEM(0)), 0x2000);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_ACK);
	assert_int_equal(r(IGB_MBVFICR), MBVFICR_ACK(1));
	/* One that died with the buffer in its hands. */
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU | MAILBOX_REQ);
	w(IGB_P2VMAILBOX(1), P2VMAILBOX_RVFU);
	assert_int_equal(r(IGB_P2VMAILBOX(1)), 0);
	assert_int_equal(r(IGB_MBVFICR), 0);
	/* Not wanted: noted without an interrupt. */
	r(IGB_ICR);
	w(IGB_MBVFIMR, 0xfd);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	assert_int_equal(r(IGB_MBVFICR), MBVFICR_REQ(1));
	assert_int_equal(r(IGB_ICR), 0);
	stop();
}

static void test_interrupts(void **state)
{
	struct port *vf = &port[0];

	start();
	pci_msix_enable(vf->f);
	for (unsigned i = 0; i < 3; i++)
		pci_msix_entry(vf->f, i, true);
	run();
	pw(vf, IGB_IVAR(0), 0x8180); /* receive 0, transmit 1 */
	assert_int_equal(r(IGB_VTIVAR(0)), 0x8180);
	pw(vf, IGB_EIAC, 3);
	pw(vf, IGB_EIMS, 3);
	send_to(1, 0);
	assert_int_equal(vf->msis[0], 1);
	assert_int_equal(vf->msis[1], 0);
	send_to(0, 1);
	assert_int_equal(vf->msis[1], 1);
	assert_int_equal(pr(vf, IGB_EICR), 0); /* EIAC */
	assert_int_equal(port[1].msis[0], 0);
	assert_int_equal(r(IGB_EICR), 0);
	/* The PF's GPIE has the VF's masking too; set by software; above the three there is
	 * nothing. */
	w(IGB_GPIE, GPIE_MSIX | GPIE_EIAME);
	pw(vf, IGB_EIAM, 0xffffffff);
	assert_int_equal(pr(vf, IGB_EIAM), 7);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->msis[0], 2);
	assert_int_equal(pr(vf, IGB_EIMS), 2);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->msis[0], 2);
	pw(vf, IGB_EIMS, 1);
	assert_int_equal(vf->msis[0], 3);
	/* The vectors of an enabled VF are not the PF's. */
	pci_msix_enable(fn);
	pci_msix_entry(fn, 22, true);
	pci_msix_entry(fn, 18, true);
	w(IGB_EIMS, EICR_BITS);
	w(IGB_EICS, 1 << 22 | 1 << 18);
	assert_int_equal(msis[22], 0);
	assert_int_equal(msis[18], 1);
	/* Throttling. */
	pw(vf, IGB_EIAM, 0);
	pw(vf, IGB_EIMS, 7);
	pw(vf, IGB_EITR(0), 8000 << 2);
	assert_int_equal(r(IGB_EITR(22)), 8000 << 2);
	pw(vf, IGB_EICS, 1);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->msis[0], 4);
	WAIT(vf->msis[0] == 5);
	stop();
}

static void test_vf_reset(void **state)
{
	start();
	run();
	w(IGB_IMS, ICR_VMMB);
	pw(&port[0], IGB_IVAR(0), 0x8180);
	pw(&port[0], IGB_EIMS, 7);
	for (unsigned how = 0; how < 2; how++) {
		if (how) {
			pci_function_reset(port[0].f, UVFIO_RESET_FLR);
			pci_config_write(port[0].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		} else {
			pw(&port[0], IGB_CTRL, CTRL_RST);
		}
		assert_int_equal(r(IGB_VFLRE), 1);
		assert_true(r(IGB_ICR) & ICR_VMMB);
		assert_int_equal(r(IGB_VFRE), 0xfe);
		assert_int_equal(r(IGB_VFTE), 0xfe);
		w(IGB_VFLRE, 1);
		assert_int_equal(r(IGB_VFLRE), 0);
		assert_int_equal(pr(&port[0], 0x3828) & QUEUE_ENABLE, 0);
		assert_int_equal(pr(&port[0], 0x2828) & QUEUE_ENABLE, 0);
		assert_int_equal(pr(&port[0], IGB_EIMS), 0);
		assert_int_equal(pr(&port[0], IGB_IVAR(0)), 0);
		rings(&port[0]);
		send_to(0, 1); /* it waits for the PF's leave */
		send_to(1, 0);
		assert_int_equal(who(), 0);
		w(IGB_VFTE, 0xff);
		assert_int_equal(who(), 1 << 1);
		w(IGB_VFRE, 0xff);
		send_to(1, 0);
		assert_int_equal(who(), 1 << 0);
	}
	/* Of the PF: all stops, and the VFs see it. */
	w(IGB_CTRL_EXT, CTRL_EXT_PFRSTD);
	pr(&port[1], IGB_V2PMAILBOX(0));
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), V2PMAILBOX_RSTI);
	assert_int_equal(pr(&port[1], 0x3828) & QUEUE_ENABLE, 0);
	assert_false(pr(&port[1], IGB_STATUS) & STATUS_LU);
	run();
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	stop();
}

/* VFs go and come back: the queues are the PF's meanwhile. */
static void test_disable(void **state)
{
	uint64_t v;

	start();
	run();
	assert_int_equal(pci_sriov_set(fn, 0), 0);
	log_set(-1, LOG_NONE);
	assert_int_equal(pci_bar_read(port[0].f, 0, IGB_STATUS, 4, &v), -EIO);
	log_set(2, LOG_WARN);
	assert_int_equal(r(IGB_TXQ(0, TXDCTL)) & QUEUE_ENABLE, 0);
	port[PF].txq = IGB_TXQ(0, 0);
	port[PF].rxq = IGB_RXQ(0, 0);
	rings(&port[PF]);
	w(IGB_MRQC, 0);
	w(IGB_RCTL, PROMISC | RCTL_LBM_MAC);
	frame(out(PF), 1, 9);
	go(&port[PF], 60);
	assert_int_equal(got(PF, &v), 60);
	port[PF].txq = IGB_TXQ(PF, 0);
	port[PF].rxq = IGB_RXQ(PF, 0);
	assert_int_equal(pci_sriov_set(fn, VFS), 0);
	for (unsigned i = 0; i < VFS; i++)
		pci_config_write(port[i].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	run();
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	stop();
}

static void test_switch(void **state)
{
	uint64_t status;

	start();
	run();
	assert_int_equal(r(IGB_GPTC), 0);
	/* Unicast to a pool: there and nowhere else, not on the wire; each way. */
	send_to(0, 1);
	assert_int_equal(got(1, &status), 60);
	assert_true(status & RXD_LB);
	assert_memory_equal(last(1), out(0), 60);
	send_to(1, 0);
	assert_int_equal(who(), 1 << 0);
	send_to(1, PF);
	assert_int_equal(who(), 1 << PF);
	send_to(PF, 0);
	assert_int_equal(who(), 1 << 0);
	assert_int_equal(r(IGB_GPTC), 0);
	/* To nobody here: out, and not to the default pool. */
	send_to(0, 9);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	/* To itself: nowhere, unless it may. */
	send_to(0, 0);
	assert_int_equal(who(), 0);
	assert_int_equal(r(IGB_GPTC), 0);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK | DTXSWC_LLE(0));
	send_to(0, 0);
	assert_int_equal(who(), 1 << 0);
	w(IGB_DTXSWC, DTXSWC_LOOPBACK);
	/* Broadcast: to all but itself, and out. */
	frame(out(1), 0, 1);
	memcpy(out(1), broadcast, 6);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << PF | 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	w(IGB_VMOLR(0), VMOLR_STRCRC | VMOLR_AUPE);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << PF | 1 << FAR);
	/* Multicast, by hash and by promiscuity. */
	memcpy(out(1), "\x01\x00\x5e\x00\x00\xfb", 6);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << FAR);
	w(IGB_MTA + 4 * (0xfb0 >> 5), 1u << (0xfb0 & 31));
	w(IGB_VMOLR(0), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_ROMPE);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << FAR);
	w(IGB_VMOLR(PF), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_MPME);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0 | 1 << PF | 1 << FAR);
	/* Unicast by hash: out too, for the address may be of more than one. */
	send_to(1, 0x40);
	assert_int_equal(who(), 1 << FAR);
	w(IGB_UTA + 4 * (0x400 >> 5), 1u << (0x400 & 31));
	w(IGB_VMOLR(PF), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_ROPE);
	send_to(1, 0x40);
	assert_int_equal(who(), 1 << PF | 1 << FAR);
	/* A pool that does not receive; no switching at all. */
	w(IGB_VFRE, 0xfe);
	send_to(1, 0);
	assert_int_equal(who(), 0);
	w(IGB_VFRE, 0xff);
	r(IGB_GPTC);
	w(IGB_DTXSWC, 0);
	send_to(1, 0);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(r(IGB_GPTC), 1);
	stop();
}

static void test_from_outside(void **state)
{
	start();
	run();
	send_to(FAR, 1);
	assert_int_equal(who(), 1 << 1);
	send_to(FAR, 0);
	assert_int_equal(who(), 1 << 0);
	send_to(FAR, 9); /* passes no filter */
	assert_int_equal(who(), 0);
	w(IGB_RCTL, PROMISC);
	send_to(FAR, 9); /* the default pool's */
	assert_int_equal(who(), 1 << PF);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | VT_CTL_NO_DEFAULT | PF << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 0);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | VT_CTL_IGMAC | PF << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 7);
	w(IGB_VT_CTL, VT_CTL_REPLICATE | 1 << 7);
	send_to(FAR, 9);
	assert_int_equal(who(), 1 << 1);
	frame(out(FAR), 0, 0);
	memcpy(out(FAR), broadcast, 6);
	go(&port[FAR], 60);
	assert_int_equal(who(), 7);
	w(IGB_VT_CTL, PF << 7); /* no replication: one for all */
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << PF);
	/* Two queues for a pool, and RSS between them. */
	w(IGB_VT_CTL, VT_CTL_REPLICATE | PF << 7);
	w(IGB_MRQC, MRQC_VMDQ_RSS | 1u << 17);
	w(IGB_RETA, 0x01010101);
	frame(out(FAR), 1, FAR);
	memset(out(FAR) + 14, 0, 46);
	memcpy(out(FAR) + 12, "\x08\x00\x45\x00\x00\x14", 6);
	go(&port[FAR], 60); /* the key is zero, so the hash is */
	assert_int_equal(who(), 1 << 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_RSSE);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(pr(&port[1], 0x2930), 1); /* its second queue, which is off */
	stop();
}

static void test_vlan(void **state)
{
	struct igb_desc *txd;
	uint64_t status;

	start();
	txd = (void *)port[0].mem;
	run();
	w(IGB_RCTL, RUN | RCTL_VFE);
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_BAM); /* no untagged ones */
	send_to(0, 1);
	assert_int_equal(who(), 0);
	/* Tagged: only into the VLAN's pools. */
	frame(out(0), 1, 0);
	igb_put_be16(out(0) + 12, 0x8100);
	igb_put_be16(out(0) + 14, 0x2064);
	go(&port[0], 60);
	assert_int_equal(who(), 0);
	w(IGB_VLVF(31), VLVF_ENABLE | 1 << 13 | 100);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60);
	assert_false(status & RXD_VP);
	assert_memory_equal(last(1), out(0), 60);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_BAM | VMOLR_STRVLAN);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 56);
	assert_true(status & RXD_VP);
	assert_int_equal(status >> 48, 0x2064);
	/* What is replicated has its own setting; so has the CRC. */
	memcpy(out(0), broadcast, 6);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60);
	assert_false(status & RXD_VP);
	w(IGB_RPLOLR, VMOLR_STRVLAN);
	go(&port[0], 60);
	assert_int_equal(got(1, &status), 60); /* 56 and the CRC */
	assert_true(status & RXD_VP);
	/* The pool's tag: added to all that has none, whatever the descriptor says, or never. */
	w(IGB_RPLOLR, VMOLR_STRCRC);
	w(IGB_VMVIR(0), VMVIR_ALWAYS | 0x4064);
	send_to(0, 1);
	assert_int_equal(got(1, &status), 60);
	assert_int_equal(status >> 48, 0x4064);
	w(IGB_VMVIR(0), VMVIR_NEVER);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_STRVLAN);
	for (unsigned i = 0; i < 2; i++) {
		txd[port[0].tail] =
			(struct igb_desc){14 << 9 | 0x64 << 16, TXD_DEXT | DTYP_CONTEXT << 20, 0};
		txd[port[0].tail + 1] =
			(struct igb_desc){TX_BUF, 60 | ADV | TXD_EOP | TXD_VLE, 60 << 14};
		port[0].tail += 2;
		pw(&port[0], 0x3818, port[0].tail);
		assert_int_equal(got(1, &status), 60);
		assert_int_equal(!!(status & RXD_VP), i);
		w(IGB_VMVIR(0), 0);
	}
	stop();
}

static void test_spoofing(void **state)
{
	start();
	run();
	w(IGB_DTXSWC, DTXSWC_LOOPBACK | DTXSWC_MACAS(0) | DTXSWC_VLANAS(1));
	w(IGB_IMS, ICR_DOUTSYNC);
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(r(IGB_WVBR), 0);
	frame(out(0), 1, PF); /* the PF's address */
	go(&port[0], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(r(IGB_GPTC), 0);
	assert_int_equal(intx_level, 0);
	assert_int_equal(r(IGB_WVBR), 1);
	assert_int_equal(r(IGB_WVBR), 0);
	assert_int_equal(r(IGB_SSVPC), 1);
	w(IGB_DTXCTL, DTXCTL_SPOOF_INT);
	go(&port[0], 60);
	assert_int_equal(intx_level, 1);
	assert_true(r(IGB_ICR) & ICR_DOUTSYNC);
	/* Port 1 may use any address, but of VLANs only its own. */
	frame(out(1), 0, PF);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0);
	igb_put_be16(out(1) + 12, 0x8100);
	igb_put_be16(out(1) + 14, 100);
	go(&port[1], 60);
	assert_int_equal(who(), 0);
	w(IGB_VLVF(0), VLVF_ENABLE | 1 << 13 | 100);
	go(&port[1], 60);
	assert_int_equal(who(), 1 << 0);
	stop();
}

static void test_counters(void **state)
{
	start();
	run();
	send_to(0, 1);
	send_to(0, 9);
	frame(out(0), 0, 0);
	memcpy(out(0), "\x01\x00\x5e\x00\x00\xfb", 6);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_MPME);
	go(&port[0], 60);
	for (unsigned i = 0; i < 2; i++) { /* reading does not clear */
		assert_int_equal(pr(&port[0], 0xf14), 3);
		assert_int_equal(pr(&port[0], 0xf34), 3 * 64);
		assert_int_equal(pr(&port[0], 0xf44), 2);
		assert_int_equal(pr(&port[0], 0xf50), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf10), 2);
		assert_int_equal(pr(&port[1], 0xf18), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf3c), 1);
		assert_int_equal(pr(&port[1], 0xf40), 2);
		assert_int_equal(pr(&port[1], 0xf48), 2 * 64);
		assert_int_equal(pr(&port[1], 0xf14), 0);
	}
	pw(&port[0], 0xf14, 0);
	assert_int_equal(pr(&port[0], 0xf14), 3);
	stop();
}

/* A VF without buffers, without bus mastering, with a bad address: its own trouble. */
static void test_apart(void **state)
{
	struct igb_desc *txd;

	start();
	run();
	pw(&port[1], 0x2818, 0);
	send_to(0, 1);
	assert_int_equal(pr(&port[1], 0x2830), 1);
	assert_int_equal(r(IGB_MPC), 0);
	assert_int_equal(r(IGB_RNBC), 0);
	assert_false(r(IGB_ICR) & ICR_RXO);
	pw(&port[1], 0x2818, RING - 1);
	log_set(-1, LOG_NONE);
	pci_config_write(port[0].f, PCI_COMMAND, 2, 0);
	send_to(0, 1);
	assert_int_equal(pr(&port[0], 0x3810), 1);
	assert_int_equal(who(), 0);
	pci_config_write(port[0].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(pr(&port[0], 0x3810), 2);
	assert_int_equal(who(), 1 << 1);
	txd = (void *)port[0].mem;
	txd[port[0].tail] = (struct igb_desc){0x40000000, 60 | ADV | TXD_EOP, 60 << 14};
	pw(&port[0], 0x3818, ++port[0].tail);
	send_to(0, 1);
	assert_int_equal(who(), 0); /* it stands */
	send_to(1, PF);
	assert_int_equal(who(), 1 << PF);
	pci_function_quiesce(port[1].f);
	send_to(PF, 1);
	assert_int_equal(who(), 0);
	log_set(2, LOG_WARN);
	stop();
}

/* Long frames: each pool has its own limit. */
static void test_lengths(void **state)
{
	uint64_t status;

	start();
	run();
	frame(out(0), 1, 0);
	go(&port[0], 1519);
	assert_int_equal(got(1, &status), -1);
	assert_int_equal(r(IGB_ROC), 1);
	w(IGB_VMOLR(1), VMOLR_STRCRC | VMOLR_AUPE | VMOLR_LPE | 1600);
	go(&port[0], 1596);
	assert_int_equal(got(1, &status), 1596);
	go(&port[0], 1597);
	assert_int_equal(got(1, &status), -1);
	stop();
}

/* ---- a host's driver on the PF ---- */

/* A message of @n words, and what comes back: its first word. */
static uint32_t ask(unsigned vf, const uint32_t *msg, unsigned n)
{
	struct port *p = &port[vf];
	uint32_t v;

	pw(p, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	assert_true(pr(p, IGB_V2PMAILBOX(0)) & MAILBOX_VFU);
	for (unsigned i = 0; i < n; i++)
		pw(p, IGB_VMBMEM(0) + 4 * i, msg[i]);
	pw(p, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	v = pr(p, IGB_V2PMAILBOX(0));
	assert_int_equal(v, V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK);
	return pr(p, IGB_VMBMEM(0));
}
static uint32_t ask2(unsigned vf, uint32_t a, uint32_t b)
{
	return ask(vf, (uint32_t[]){a, b}, 2);
}

#define NACK 0x40000000u
#define DONE 0xa0000000u /* ACK, and may go on */
#define NOT  0x60000000u

static void test_host(void **state)
{
	uint8_t mac[2][6];
	uint64_t status;
	uint32_t word;

	start();
	pci_sriov_host_drives(fn);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	pw(&port[FAR], IGB_CTRL, CTRL_SLU);
	pw(&port[FAR], IGB_RCTL, PROMISC);
	pw(&port[FAR], IGB_TCTL, TCTL_EN);
	rings(&port[FAR]);
	for (unsigned i = 0; i < VFS; i++) {
		assert_int_equal(pr(&port[i], IGB_V2PMAILBOX(0)) & V2PMAILBOX_RSTI, 0);
		pw(&port[i], IGB_CTRL, CTRL_RST);
		assert_int_equal(ask2(i, 5, 1522), NACK); /* not before it asked for a reset */
		assert_int_equal(ask2(i, 1, 0), 0x80000001);
		for (unsigned k = 0; k < 6; k++) {
			word = pr(&port[i], IGB_VMBMEM(0) + 4 + (k & 4));
			mac[i][k] = (uint8_t)(word >> 8 * (k & 3));
		}
		rings(&port[i]);
	}
	assert_int_not_equal(mac[0][5], mac[1][5]);
	assert_int_equal(mac[0][0] & 3, 2);
	frame(out(0), 0, 0);
	memcpy(out(0), mac[1], 6);
	go(&port[0], 60);
	assert_int_equal(who(), 1 << 1);
	/* To the wire and from there; another address. */
	frame(out(FAR), 1, FAR);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask(1, (uint32_t[]){2, 2, 0x100}, 3), DONE | 2);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	send_to(1, FAR);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(ask(1, (uint32_t[]){2, 0xff000001, 0}, 3), NOT | 2);
	assert_int_equal(ask(1, (uint32_t[]){2, 0, 0}, 3), NOT | 2);
	/* VLANs, stripped. */
	igb_put_be16(out(FAR) + 12, 0x8100);
	igb_put_be16(out(FAR) + 14, 100);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(1, 0x10004, 100), DONE | 0x10004);
	go(&port[FAR], 60);
	assert_int_equal(got(1, &status), 56);
	assert_int_equal(status >> 48, 100);
	assert_int_equal(ask2(0, 0x10004, 100), DONE | 0x10004);
	assert_int_equal(ask2(1, 4, 100), DONE | 4);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(0, 4, 100), DONE | 4);
	assert_int_equal(r(IGB_VFTA + 4 * 3), 0);
	for (unsigned i = 1; i <= IGB_VLVFS; i++)
		assert_int_equal(ask2(0, 0x10004, i), DONE | 0x10004);
	assert_int_equal(ask2(0, 0x10004, 999), NOT | 0x10004); /* no more */
	/* Multicast: by hash, and all. */
	frame(out(FAR), 0, FAR);
	memcpy(out(FAR), "\x01\x00\x5e\x00\x00\xfb", 6);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(0, 0x10003, 0xfb0), DONE | 0x10003);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 0);
	assert_int_equal(ask2(0, 3, 0), DONE | 3);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(1, 0x20006, 0), DONE | 0x20006);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(ask2(1, 0x10006, 0), NOT | 0x10006);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(1, 0x30006, 0), NOT | 0x30006); /* the half that it can */
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(ask2(1, 0x99, 0), NOT | 0x99);
	/* Long frames. */
	pw(&port[FAR], IGB_RCTL, PROMISC);
	frame(out(FAR), 1, FAR);
	go(&port[FAR], 2000);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(1, 5, 2004), DONE | 5);
	go(&port[FAR], 2000);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(ask2(1, 5, 60), NOT | 5);
	/* The buffer is the VF's and stays it: no answer. One that begins anew has nothing of
	 * before. */
	pw(&port[1], IGB_V2PMAILBOX(0), MAILBOX_VFU | MAILBOX_REQ);
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), MAILBOX_VFU);
	pci_function_reset(port[1].f, UVFIO_RESET_FLR);
	pci_config_write(port[1].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	rings(&port[1]);
	frame(out(FAR), 1, FAR);
	go(&port[FAR], 60);
	assert_int_equal(who(), 0);
	assert_int_equal(ask2(1, 1, 0), 0x80000001);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	/* The link goes: they are told. */
	pw(&port[FAR], IGB_STATUS, 0);
	pci_function_free(port[FAR].f, false);
	port[FAR].f = NULL;
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), V2PMAILBOX_PFSTS);
	assert_int_equal(pr(&port[1], IGB_VMBMEM(0)), 0x20000100);
	assert_false(pr(&port[1], IGB_STATUS) & STATUS_LU);
	/* The PF's reset: ready again at once. */
	pci_function_reset(fn, UVFIO_RESET_BUS);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_sriov_set(fn, VFS), 0);
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), V2PMAILBOX_RSTD);
	assert_int_equal(ask2(1, 5, 1522), NACK);
	stop();
}

/* Random stores and loads through both VFs and the PF, with VFs resetting and going away. */
static void *hostile(void *arg)
{
	static const uint32_t often[] = {
		0x2800,	       0x2808,
		0x280c,	       0x2810,
		0x2818,	       0x2828,
		0x3800,	       0x3808,
		0x3810,	       0x3818,
		0x3828,	       IGB_EIMS,
		IGB_EICS,      IGB_V2PMAILBOX(0),
		IGB_IVAR(0),   IGB_EITR(0),
		IGB_IVAR_MISC, IGB_CTRL,
		IGB_VMBMEM(0), 0x3838,
	};
	static const uint32_t often_pf[] = {
		IGB_VFRE,    IGB_VFTE,	   IGB_MRQC,	      IGB_VT_CTL,
		IGB_DTXSWC,  IGB_VMOLR(0), IGB_P2VMAILBOX(0), IGB_MBVFICR,
		IGB_VLVF(0), IGB_RCTL,	   IGB_GPIE,	      IGB_VMVIR(0),
		IGB_RAH(0),  IGB_CTRL_EXT, IGB_RXQ(2, 0),     IGB_VTCTRL(1),
	};
	struct port *p = arg;
	bool pf = p == &port[PF];
	uint64_t x = 88172645463325252ull * (uint64_t)(p - port + 1), v;

	for (unsigned i = 0; i < 20000; i++) {
		uint32_t off, val;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		val = (uint32_t)(x >> 32);
		if (pf)
			off = often_pf[(x >> 8) % (sizeof(often_pf) / sizeof(often_pf[0]))];
		else if (x & 3)
			off = often[(x >> 8) % (sizeof(often) / sizeof(often[0]))];
		else
			off = (uint32_t)(x >> 8) & 0x3ffc;
		if (off == 0x2800 || off == 0x3800)
			val = (uint32_t)IOVA + (val & 0xff80);
		else if (off == 0x2808 || off == 0x3808)
			val &= 0xff;
		else if ((off & 0xff0f) == 0x2800 || (off & 0xff0f) == 0x3800)
			val &= 0x1f;
		else if (off == IGB_MRQC)
			val = val & 4 ? MRQC_VMDQ_POOL : val & 7;
		else if (off == IGB_DTXSWC)
			val |= DTXSWC_LOOPBACK;
		else if (off == 0x2828 || off == 0x3828 || off == IGB_RCTL)
			val |= QUEUE_ENABLE | RCTL_EN;
		if (pf && i % 997 == 0)
			pci_sriov_set(fn, i % 3 ? VFS : i % 2);
		else if (!pf && i % 1499 == 0)
			pci_function_reset(p->f, UVFIO_RESET_FLR);
		else if (!pf && i % 499 == 0)
			pci_config_write(p->f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
		else if (x & 64)
			pci_bar_write(p->f, 0, off, 4, val);
		else
			pci_bar_read(p->f, 0, off, 4, &v);
	}
	return NULL;
}

static void be_hostile(bool hosted)
{
	uint64_t x = 362436069, v;
	pthread_t t[PF + 1];

	start();
	if (hosted)
		pci_sriov_host_drives(fn);
	run();
	log_set(-1, LOG_NONE);
	for (unsigned i = 0; i < VFS; i++) {
		for (size_t at = 0; at < MEM_SIZE; at += 8) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			v = x & 1 ? IOVA + (x >> 8 & 0xffff) : x;
			memcpy(port[i].mem + at, &v, 8);
		}
	}
	for (unsigned i = 0; i <= PF; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hostile, &port[i]), 0);
	for (unsigned i = 0; i <= PF; i++)
		pthread_join(t[i], NULL);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_sriov_set(fn, VFS), 0);
	for (unsigned i = 0; i < VFS; i++) {
		memset(port[i].mem, 0, 0x2000);
		pci_config_write(port[i].f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	}
	log_set(2, LOG_WARN);
	run();
	send_to(0, 1);
	assert_int_equal(who(), 1 << 1);
	stop();
}

static void test_hostile(void **state)
{
	be_hostile(false);
}
static void test_hostile_hosted(void **state)
{
	be_hostile(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),       cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_interrupts),     cmocka_unit_test(test_vf_reset),
		cmocka_unit_test(test_disable),	       cmocka_unit_test(test_switch),
		cmocka_unit_test(test_from_outside),   cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_spoofing),       cmocka_unit_test(test_counters),
		cmocka_unit_test(test_apart),	       cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_host),	       cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_hosted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
