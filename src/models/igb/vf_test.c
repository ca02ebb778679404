/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/vf_test.c: igb's virtual functions, with the test as the driver of the PF and of two
 * VFs at once: mailbox, reset, interrupts, what is apart; the model in place of a host's driver;
 * drivers that make no sense.
 */
#include <fcntl.h>

#include "base/event.h"
#include "models/igb/test_ports.h"

static void test_identity(void **state)
{
	start();
	assert_int_equal(pci_config_read(port[1].f, PCI_CLASS_REVISION, 4), 0x02000001);
	assert_int_equal(pci_sriov_total(fn), 8);
	assert_int_equal(pci_sriov_info(fn)->first_vf_offset + 7 * pci_sriov_info(fn)->vf_stride,
			 0x8e); /* 01:11.6 */
	/* A register that a VF does not have reads zero, and takes nothing. */
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
	assert_int_equal(irqs.intx_level, 0);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), MAILBOX_VFU);
	w(IGB_P2VMAILBOX(1), MAILBOX_PFU);
	assert_int_equal(r(IGB_P2VMAILBOX(1)), MAILBOX_VFU); /* it has another */
	assert_int_equal(r(IGB_P2VMAILBOX(0)), 0);
	for (unsigned i = 0; i < 16; i++)
		pw(vf, IGB_VMBMEM(0) + 4 * i, 0x1000 + i);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	assert_int_equal(irqs.intx_level, 1);
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
	assert_int_equal(vf->irqs.msi[2], 1);
	assert_int_equal(port[0].irqs.msi[2], 0);
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

static size_t log_taken(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	return strlen(text);
}

/*
 * A message that the PF's driver writes over before it read it is lost, and that is said; one that
 * it reads is not.
 */
static void test_lost_message(void **state)
{
	struct port *vf = &port[1];
	char text[1024];
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	start();
	log_set(fds[1], LOG_WARN);
	for (unsigned read_first = 0; read_first < 2; read_first++) {
		pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU);
		pw(vf, IGB_VMBMEM(0), 2);
		pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
		w(IGB_P2VMAILBOX(1), MAILBOX_PFU);
		if (read_first)
			w(IGB_P2VMAILBOX(1), MAILBOX_ACK | MAILBOX_PFU);
		w(IGB_MBVFICR, MBVFICR_REQ(1));
		w(IGB_VMBMEM(1), 0x40000000);
		assert_int_equal(log_taken(fds[0], text, sizeof(text)), 0);
		w(IGB_P2VMAILBOX(1), MAILBOX_STS);
		if (read_first) {
			assert_int_equal(log_taken(fds[0], text, sizeof(text)), 0);
		} else {
			assert_true(log_taken(fds[0], text, sizeof(text)));
			assert_non_null(strstr(text, "virtual function 1: its message"));
			assert_non_null(strstr(text, "wrote over it"));
		}
		/* once, and not of a message of the PF's own */
		w(IGB_P2VMAILBOX(1), MAILBOX_STS);
		w(IGB_P2VMAILBOX(0), MAILBOX_STS);
		assert_int_equal(log_taken(fds[0], text, sizeof(text)), 0);
	}
	/* nor of what one said that was reset since */
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	pw(vf, IGB_CTRL, CTRL_RST);
	w(IGB_P2VMAILBOX(1), MAILBOX_STS);
	assert_int_equal(log_taken(fds[0], text, sizeof(text)), 0);
	log_set(2, LOG_WARN);
	stop();
	close(fds[0]);
	close(fds[1]);
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
	assert_int_equal(vf->irqs.msi[0], 1);
	assert_int_equal(vf->irqs.msi[1], 0);
	send_to(0, 1);
	assert_int_equal(vf->irqs.msi[1], 1);
	assert_int_equal(pr(vf, IGB_EICR), 0); /* EIAC */
	assert_int_equal(port[1].irqs.msi[0], 0);
	assert_int_equal(r(IGB_EICR), 0);
	/*
	 * The PF's GPIE has the VF's masking too; set by software; above the three there is
	 * nothing.
	 */
	w(IGB_GPIE, GPIE_MSIX | GPIE_EIAME);
	pw(vf, IGB_EIAM, 0xffffffff);
	assert_int_equal(pr(vf, IGB_EIAM), 7);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->irqs.msi[0], 2);
	assert_int_equal(pr(vf, IGB_EIMS), 2);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->irqs.msi[0], 2);
	pw(vf, IGB_EIMS, 1);
	assert_int_equal(vf->irqs.msi[0], 3);
	/* The vectors of an enabled VF are not the PF's. */
	pci_msix_enable(fn);
	pci_msix_entry(fn, 22, true);
	pci_msix_entry(fn, 18, true);
	w(IGB_EIMS, EICR_BITS);
	w(IGB_EICS, 1 << 22 | 1 << 18);
	assert_int_equal(irqs.msi[22], 0);
	assert_int_equal(irqs.msi[18], 1);
	/* Throttling. */
	pw(vf, IGB_EIAM, 0);
	pw(vf, IGB_EIMS, 7);
	pw(vf, IGB_EITR(0), 8000 << 2);
	assert_int_equal(r(IGB_EITR(22)), 8000 << 2);
	pw(vf, IGB_EICS, 1);
	pw(vf, IGB_EICS, 1);
	assert_int_equal(vf->irqs.msi[0], 4);
	WAIT(vf->irqs.msi[0] == 5);
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
	txd[port[0].tail] = (struct igb_desc){ 0x40000000, 60 | ADV | TXD_EOP, 60 << 14 };
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
	return ask(vf, (uint32_t[]){ a, b }, 2);
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
	assert_int_equal(ask(1, (uint32_t[]){ 2, 2, 0x100 }, 3), DONE | 2);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	send_to(1, FAR);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(ask(1, (uint32_t[]){ 2, 0xff000001, 0 }, 3), NOT | 2);
	assert_int_equal(ask(1, (uint32_t[]){ 2, 0, 0 }, 3), NOT | 2);
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
	/*
	 * The buffer is the VF's and stays it: no answer. One that begins anew has nothing of
	 * before.
	 */
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
	pci_function_free(port[FAR].f);
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

/* News of the link from the host's driver does not cost a VF its message. */
static void test_link_and_message(void **state)
{
	struct port *vf = &port[1];

	start();
	pci_sriov_host_drives(fn);
	pw(vf, IGB_CTRL, CTRL_RST);
	assert_int_equal(ask2(1, 1, 0), 0x80000001);
	/* one that was not read yet: as if the host's driver were at another VF's */
	w(IGB_MBVFIMR, 0);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	pw(vf, IGB_VMBMEM(0), 5);
	pw(vf, IGB_VMBMEM(0) + 4, 1522);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	pci_function_free(port[FAR].f);
	port[FAR].f = NULL;
	assert_false(pr(vf, IGB_STATUS) & STATUS_LU);
	assert_int_equal(pr(&port[0], IGB_VMBMEM(0)), 0x100); /* the other has none */
	assert_int_equal(pr(vf, IGB_VMBMEM(0)), 5);
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), 0);
	w(IGB_MBVFIMR, 0xff);
	pw(vf, IGB_V2PMAILBOX(0), MAILBOX_ACK); /* which has the host look again */
	assert_int_equal(pr(vf, IGB_V2PMAILBOX(0)), V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK);
	assert_int_equal(pr(vf, IGB_VMBMEM(0)), DONE | 5);
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
	/* at once, unless somebody wants to know what is taken */
	for (unsigned i = 0; pr(&port[0], 0x3800 + TDH) != pr(&port[0], 0x3800 + TDT); i++) {
		assert_true(i < 100000);
		usleep(100);
	}
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

static void on_taken(const struct event *e)
{
}
/* What the drivers give is noted, for queues that go from function to function meanwhile. */
static void test_hostile_watched(void **state)
{
	assert_true(event_listen(on_taken, 1u << EVENT_TAKEN | 1u << EVENT_TAKEN_DATA));
	be_hostile(true);
	event_unlisten(on_taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),       cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_interrupts),     cmocka_unit_test(test_vf_reset),
		cmocka_unit_test(test_disable),	       cmocka_unit_test(test_apart),
		cmocka_unit_test(test_host),	       cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_hosted), cmocka_unit_test(test_hostile_watched),
		cmocka_unit_test(test_lost_message),   cmocka_unit_test(test_link_and_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
