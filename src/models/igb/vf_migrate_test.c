/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/vf_migrate_test.c: a virtual function goes from VF 0 of a port to VF 1, with its
 * driver's memory, while the port and the other end of the cable are at work.
 */
#include "models/igb/test_ports.h"
#include "pci/state.h"

static void stop_vf(unsigned vf)
{
	assert_int_equal(pci_function_stop(port[vf].f, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(port[vf].f, UVFIO_STOP_ALL), 0);
}

static void resume_vf(unsigned vf)
{
	pci_function_resume(port[vf].f, UVFIO_STOP_ALL);
	pci_function_resume(port[vf].f, UVFIO_STOP_DMA);
}

static void save_vf(unsigned vf, struct uvfio_state *s)
{
	pci_state_save(s, "saved");
	pci_function_describe(port[vf].f, s);
	assert_int_equal(pci_function_save(port[vf].f, s), 0);
	assert_int_equal(pci_state_end(s), 0);
}

static int load_vf(unsigned vf, const void *buf, size_t len)
{
	struct uvfio_state l;
	int err, end;

	pci_state_load(&l, "loaded", buf, len);
	pci_function_describe(port[vf].f, &l);
	err = l.err ? l.err : pci_function_load(port[vf].f, &l);
	end = pci_state_end(&l);
	return err ? err : end;
}

/* Have VF 0, which is stopped, and its driver go on as VF 1, without interrupts so far. */
static void carry(void)
{
	struct port *from = &port[0], *to = &port[1];
	struct uvfio_state s;

	save_vf(0, &s);
	stop_vf(1);
	assert_int_equal(load_vf(1, s.buf, s.len), 0);
	pci_state_free(&s);
	memcpy(to->mem, from->mem, MEM_SIZE);
	to->tail = from->tail;
	to->at = from->at;
	pci_function_reset(from->f, UVFIO_RESET_FLR);
	resume_vf(0);
	pci_config_write(from->f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
}

/* Send a message of @n words by the mailbox; return the first one of the answer. */
static uint32_t ask(unsigned vf, const uint32_t *msg, unsigned n)
{
	struct port *p = &port[vf];

	pw(p, IGB_V2PMAILBOX(0), MAILBOX_VFU);
	for (unsigned i = 0; i < n; i++)
		pw(p, IGB_VMBMEM(0) + 4 * i, msg[i]);
	pw(p, IGB_V2PMAILBOX(0), MAILBOX_REQ);
	assert_int_equal(pr(p, IGB_V2PMAILBOX(0)) & (V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK),
			 V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK);
	return pr(p, IGB_VMBMEM(0));
}
static uint32_t ask2(unsigned vf, uint32_t a, uint32_t b)
{
	return ask(vf, (uint32_t[]){ a, b }, 2);
}

#define DONE 0xa0000000u

/* A frame of @len bytes from the far end, to address 7, with VLAN @vid unless that is 0. */
static void from_far(size_t len, unsigned vid)
{
	frame(out(FAR), 7, FAR);
	if (vid) {
		igb_put_be16(out(FAR) + 12, 0x8100);
		igb_put_be16(out(FAR) + 14, vid);
	}
	go(&port[FAR], len);
}

/* The host's driver has the PF; VF 0 has address 7, VLAN 100, one multicast address, long frames */
static void start_hosted(void)
{
	start();
	pci_sriov_host_drives(fn);
	pw(&port[FAR], IGB_CTRL, CTRL_SLU);
	pw(&port[FAR], IGB_RCTL, PROMISC);
	pw(&port[FAR], IGB_TCTL, TCTL_EN);
	rings(&port[FAR]);
	for (unsigned i = 0; i < VFS; i++) {
		pw(&port[i], IGB_CTRL, CTRL_RST);
		assert_int_equal(ask2(i, 1, 0), 0x80000001);
	}
	rings(&port[0]);
	assert_int_equal(ask(0, (uint32_t[]){ 2, 2, 0x700 }, 3), DONE | 2);
	assert_int_equal(ask2(0, 0x10004, 100), DONE | 0x10004);
	assert_int_equal(ask2(0, 0x10003, 0xfb0), DONE | 0x10003);
	assert_int_equal(ask2(0, 5, 2004), DONE | 5);
}

/* ---- with the host's driver ---- */

static void test_moves(void **state)
{
	uint32_t lost, sent, received;
	uint64_t status;

	start_hosted();
	from_far(60, 0);
	assert_int_equal(who(), 1 << 0);
	send_to(0, FAR);
	assert_int_equal(who(), 1 << FAR);
	/*
	 * stopped: what comes is lost, and the VF has not seen it; what it gives lies in its ring
	 */
	stop_vf(0);
	lost = pr(&port[0], 0x2830);
	received = pr(&port[0], 0xf10);
	sent = pr(&port[0], 0xf14);
	from_far(60, 0);
	send_to(0, FAR);
	assert_int_equal(who(), 0);
	assert_int_equal(pr(&port[0], 0xf10), received);
	assert_int_equal(r(IGB_RXQ(0, RQDPC)), lost);
	/* the others go on */
	frame(out(FAR), 7, FAR);
	memcpy(out(FAR), broadcast, 6);
	rings(&port[1]);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	carry();
	assert_int_equal(who(), 0);
	assert_int_equal(pr(&port[1], 0xf14), sent);
	assert_int_equal(pr(&port[1], 0xf10), received);
	resume_vf(1);
	assert_int_equal(who(), 1 << FAR);
	assert_int_equal(pr(&port[1], 0xf14), sent + 1);
	/* news of the link; then the mailbox is as it was */
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), V2PMAILBOX_PFSTS);
	assert_int_equal(pr(&port[1], IGB_VMBMEM(0)), 0x20000100);
	/* what it had asked for holds here, and no longer there */
	from_far(60, 0);
	assert_int_equal(who(), 1 << 1);
	from_far(60, 100);
	assert_int_equal(got(1, &status), 56);
	assert_int_equal(status >> 48, 100);
	from_far(60, 101);
	assert_int_equal(who(), 0);
	from_far(2000, 0);
	assert_int_equal(got(1, &status), 2000);
	memcpy(out(FAR), "\x01\x00\x5e\x00\x00\xfb", 6);
	go(&port[FAR], 60);
	assert_int_equal(who(), 1 << 1);
	assert_int_equal(ask2(1, 4, 100), DONE | 4);
	from_far(60, 100);
	assert_int_equal(who(), 0);
	/* and that goes the same way, over the ring's end again and again */
	for (unsigned i = 0; i < 3 * RING; i++) {
		send_to(1, FAR);
		from_far(60, 0);
		assert_int_equal(who(), 1 << 1 | 1 << FAR);
	}
	stop();
}

/* A packet that was fetched in part, and a vector that has to wait. */
static void test_in_flight(void **state)
{
	struct igb_desc *txd;
	struct port *vf;

	start_hosted();
	vf = &port[0];
	pci_msix_enable(vf->f);
	pci_msix_entry(vf->f, 1, true);
	pw(vf, IGB_IVAR(0), 0x8181);
	pw(vf, IGB_EITR(1), 8000 << 2);
	pw(vf, IGB_EIMS, 2);
	pw(vf, IGB_EIAC, 2);
	from_far(60, 0);
	assert_int_equal(atomic_load(&vf->irqs.msi[1]), 1);
	from_far(60, 0);
	frame(out(0), FAR, 0);
	txd = (void *)vf->mem;
	txd[vf->tail] = (struct igb_desc){ TX_BUF, 30 | ADV, 60 << 14 };
	pw(vf, 0x3818, ++vf->tail);
	stop_vf(0);
	assert_int_equal(pr(vf, 0x3810), 1);
	memset(out(0), 0xee, 30); /* it was read */
	txd[vf->tail] = (struct igb_desc){ TX_BUF + 30, 30 | ADV | TXD_EOP | TXD_RS, 60 << 14 };
	pw(vf, 0x3818, ++vf->tail);
	usleep(12000);
	assert_int_equal(atomic_load(&vf->irqs.msi[1]), 1); /* its time stands still */
	assert_int_equal(pr(vf, IGB_EICR), 2);
	pw(vf, IGB_EICS, 2);
	carry();
	vf = &port[1];
	pci_msix_enable(vf->f);
	pci_msix_entry(vf->f, 1, true);
	assert_int_equal(atomic_load(&vf->irqs.msi[1]), 0);
	resume_vf(1);
	/* one that may have been lost, and the one that waited */
	WAIT(atomic_load(&vf->irqs.msi[1]) == 2);
	assert_int_equal(got(FAR, &(uint64_t){ 0 }), 60);
	frame(out(0), FAR, 0);
	assert_memory_equal(last(FAR), out(0), 60);
	pw(vf, IGB_EICS, 2);
	WAIT(atomic_load(&vf->irqs.msi[1]) == 3);
	assert_int_equal(pr(vf, IGB_EITR(1)), 8000 << 2);
	assert_int_equal(atomic_load(&port[0].irqs.msi[1]), 1);
	/* given up: all of it goes on where it was */
	stop_vf(1);
	pw(vf, IGB_EICS, 2);
	resume_vf(1);
	WAIT(atomic_load(&vf->irqs.msi[1]) == 4);
	stop();
}

/* A message to the PF that is given to a stopped VF is answered at the new place. */
static void test_message(void **state)
{
	start_hosted();
	stop_vf(0);
	pw(&port[0], IGB_V2PMAILBOX(0), MAILBOX_VFU);
	pw(&port[0], IGB_VMBMEM(0), 5);
	pw(&port[0], IGB_VMBMEM(0) + 4, 60);
	pw(&port[0], IGB_V2PMAILBOX(0), MAILBOX_REQ);
	assert_int_equal(pr(&port[0], IGB_V2PMAILBOX(0)), 0);
	carry();
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), 0);
	resume_vf(1);
	assert_int_equal(pr(&port[1], IGB_V2PMAILBOX(0)), V2PMAILBOX_PFSTS | V2PMAILBOX_PFACK);
	assert_int_equal(pr(&port[1], IGB_VMBMEM(0)), 0x60000005);
	/* and goes on */
	pw(&port[1], IGB_V2PMAILBOX(0), MAILBOX_VFU);
	assert_int_equal(r(IGB_P2VMAILBOX(1)), MAILBOX_VFU);
	stop();
}

/* A port that has no room for what it had. */
static void test_no_room(void **state)
{
	struct uvfio_state s;

	start_hosted();
	for (unsigned i = 1; i < IGB_VLVFS; i++)
		assert_int_equal(ask2(0, 0x10004, i), DONE | 0x10004);
	stop_vf(0);
	save_vf(0, &s);
	resume_vf(0);
	pci_function_reset(port[0].f, UVFIO_RESET_FLR);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ask2(1, 0x10004, 200 + i), DONE | 0x10004);
	log_set(-1, LOG_NONE);
	stop_vf(0);
	assert_int_equal(load_vf(0, s.buf, s.len), -EINVAL);
	log_set(2, LOG_WARN);
	pci_function_reset(port[0].f, UVFIO_RESET_FLR);
	resume_vf(0);
	/* the other has what it asked for, and nothing is left behind */
	assert_int_equal(ask2(1, 0x10004, 300), DONE | 0x10004);
	pci_state_free(&s);
	stop();
}

/* ---- with a program that drives the PF ---- */

/* Its pool is as the PF's driver has set it, at both places. */
static void test_program(void **state)
{
	start();
	run();
	w(IGB_CTRL_EXT, CTRL_EXT_PFRSTD);
	pr(&port[0], IGB_V2PMAILBOX(0));
	w(IGB_IMS, ICR_VMMB);
	stop_vf(0);
	pw(&port[0], IGB_V2PMAILBOX(0), MAILBOX_VFU);
	pw(&port[0], IGB_VMBMEM(0), 0x77);
	pw(&port[0], IGB_V2PMAILBOX(0), MAILBOX_REQ);
	carry();
	r(IGB_ICR);
	w(IGB_VFLRE, 1);
	w(IGB_VFRE, 0xff);
	w(IGB_VFTE, 0xff);
	resume_vf(1);
	/* the message is there to be answered */
	assert_true(r(IGB_ICR) & ICR_VMMB);
	assert_int_equal(r(IGB_MBVFICR) & MBVFICR_REQ(1), MBVFICR_REQ(1));
	assert_int_equal(r(IGB_VMBMEM(1)), 0x77);
	assert_int_equal(r(IGB_RAL(1)), 2);
	send_to(PF, 1);
	assert_int_equal(who(), 1 << 1);
	send_to(PF, 0);
	assert_int_equal(who(), 0);
	stop();
}

/* A state that was saved with the host's driver is not for a PF that a program drives. */
static void test_who_drives(void **state)
{
	struct uvfio_state s;

	start();
	run();
	stop_vf(0);
	save_vf(0, &s);
	resume_vf(0);
	pci_sriov_host_drives(fn);
	stop_vf(1);
	log_set(-1, LOG_NONE);
	assert_int_equal(load_vf(1, s.buf, s.len), -EINVAL);
	log_set(2, LOG_WARN);
	pci_state_free(&s);
	resume_vf(1);
	stop();
}

/* ---- states that nobody saved ---- */

static void test_damaged(void **state)
{
	unsigned loaded = 0, refused = 0;
	struct uvfio_state s;

	start_hosted();
	stop_vf(0);
	save_vf(0, &s);
	log_set(-1, LOG_NONE);
	for (size_t i = 0; i < s.len; i += i % 3 + 1) {
		uint8_t was = s.buf[i];

		s.buf[i] = i & 8 ? (uint8_t)~was : was ^ 1;
		stop_vf(1);
		if (load_vf(1, s.buf, s.len))
			refused++;
		else
			loaded++;
		if (i % 16 == 0) {
			resume_vf(1);
			pci_bar_write(port[1].f, 0, 0x3818, 4, i % RING);
			from_far(60, 100);
		}
		pci_function_reset(port[1].f, UVFIO_RESET_FLR);
		resume_vf(1);
		s.buf[i] = was;
	}
	log_set(2, LOG_WARN);
	assert_true(loaded > 50 && refused > 500);
	pci_state_free(&s);
	resume_vf(0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),	cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_message), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_program), cmocka_unit_test(test_who_drives),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
