/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/migrate_test.c: a port stops, is saved and loaded into another one, which goes on:
 * each frame once, whole, and what a driver set and counted is as before. States that nobody saved
 * are refused.
 */
#include "models/igb/test_loopback.h"
#include "pci/state.h"

static int try_stop(pci_function *f)
{
	int err = pci_function_stop(f, UVFIO_STOP_DMA);

	return err ? err : pci_function_stop(f, UVFIO_STOP_ALL);
}

static void resume_function(pci_function *f)
{
	pci_function_resume(f, UVFIO_STOP_ALL);
	pci_function_resume(f, UVFIO_STOP_DMA);
}

static void save_function(struct uvfio_state *s)
{
	pci_state_save(s, "saved");
	pci_function_describe(fn, s);
	assert_int_equal(pci_function_save(fn, s), 0);
	assert_int_equal(pci_state_end(s), 0);
}

static int load_bytes(pci_function *to, const void *buf, size_t len)
{
	struct uvfio_state l;
	int err, end;

	pci_state_load(&l, "loaded", buf, len);
	pci_function_describe(to, &l);
	err = l.err ? l.err : pci_function_load(to, &l);
	end = pci_state_end(&l);
	return err ? err : end;
}

/* Make another port, with the same memory and another address. */
static pci_function *other_port(void)
{
	struct pci_option opt = { "mac", "52:54:00:65:43:21" };
	struct iommu_domain *d = iommu_domain_new();
	pci_function *to;
	char err[256];

	if (pci_function_new(&model_igb, "0000:01:00.0", 0, loop, &opt, 1, err, sizeof(err), &to))
		fail_msg("%s", err);
	assert_int_equal(iommu_domain_map(d, IOVA, mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	iommu_device_attach(pci_function_iommu(to), d);
	iommu_domain_put(d);
	return to;
}

static void free_port(pci_function *f)
{
	pci_set_irq_sink(f, NULL);
	iommu_device_attach(pci_function_iommu(f), NULL);
	pci_function_free(f);
}

/* Have the port, which is stopped, go on in another function. */
static void carry(void)
{
	pci_function *to = other_port();
	struct uvfio_state s;

	save_function(&s);
	assert_int_equal(try_stop(to), 0);
	assert_int_equal(load_bytes(to, s.buf, s.len), 0);
	pci_state_free(&s);
	free_port(fn);
	fn = to;
	test_irqs_watch(&irqs, fn);
	resume_function(fn);
}

static void migrate(void)
{
	assert_int_equal(try_stop(fn), 0);
	carry();
}

static void send_frame(unsigned seed)
{
	uint8_t *f = tx_buf();

	eth(f, 0x88b5);
	for (unsigned i = 14; i < 200; i++)
		f[i] = (uint8_t)(i * seed);
	queue_tx(TX_BUF, ADV | TXD_EOP | TXD_RS | 200, 0);
	go();
}

static void expect_frame(unsigned seed)
{
	uint64_t info, status;
	uint8_t *f = rx_buf(rx_at);

	assert_int_equal(received(&info, &status), 200);
	for (unsigned i = 14; i < 200; i++)
		assert_int_equal(f[i], (uint8_t)(i * seed));
}

/* ---- frames ---- */

static void test_rings(void **state)
{
	uint64_t info, status;

	start();
	rings(2 << 24);
	send_frame(3);
	expect_frame(3);
	send_frame(5); /* lies in its buffer when the port goes */
	migrate();
	expect_frame(5);
	assert_int_equal(received(&info, &status), -1);
	assert_int_equal(r(0x3810), r(0x3818));
	for (unsigned i = 0; i < 3 * RING; i++) {
		send_frame(7 + i);
		expect_frame(7 + i);
		if (i % 10 == 9)
			migrate();
	}
	unplug();
}

/* A packet of which a part was fetched, its context, and a tail that was stored meanwhile. */
static void test_packet(void **state)
{
	uint64_t info, status;
	uint8_t *f, *in;
	size_t len;

	start();
	f = tx_buf();
	len = ipv4(f, 17, 300, false);
	rings(2 << 24);
	context(L4T_UDP, 0, 0, 0);
	queue_tx(TX_BUF, ADV | 100, POPTS_IXSM | POPTS_TXSM | (uint32_t)len << 14);
	go();
	assert_int_equal(received(&info, &status), -1);
	migrate();
	memset(f, 0xee, 100); /* it was read */
	assert_int_equal(try_stop(fn), 0);
	queue_tx(TX_BUF + 100, ADV | TXD_EOP | TXD_RS | (uint32_t)(len - 100), 0);
	go();
	assert_int_equal(received(&info, &status), -1);
	in = rx_buf(rx_at);
	carry();
	assert_int_equal(received(&info, &status), (int)len);
	/* the sums that the context asked for are right */
	assert_int_equal(status & (RXD_IPCS | RXD_L4CS | RXD_IPE | RXD_L4E), RXD_IPCS | RXD_L4CS);
	assert_int_equal(igb_be16(in + 12), 0x0800);
	assert_int_equal(in[14], 0x45);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(in[42 + i], (uint8_t)(i * 7));
	unplug();
}

/* ---- what the driver set and saw ---- */

static void test_registers(void **state)
{
	start();
	rings(2 << 24);
	w(IGB_MTA + 4 * 5, 0x12345678);
	w(IGB_RETA, 0x01020304);
	mdic(1, MDIC_OP_WRITE, 4, 0x01e1);
	w(IGB_SW_FW_SYNC, 2);
	assert_false(r(IGB_SWSM) & SWSM_SMBI);
	send_frame(3);
	expect_frame(3);
	migrate();
	assert_int_equal(r(IGB_MTA + 4 * 5), 0x12345678);
	assert_int_equal(r(IGB_RETA), 0x01020304);
	assert_int_equal(phy(4), 0x01e1);
	assert_int_equal(r(IGB_SW_FW_SYNC), 2);
	assert_true(r(IGB_SWSM) & SWSM_SMBI);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	assert_int_equal(r(IGB_GPTC), 1);
	assert_int_equal(r(IGB_GPRC), 1);
	assert_int_equal(r(IGB_GPRC), 0);
	/* the address goes along, through a reset too */
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	w(IGB_CTRL, CTRL_RST);
	assert_int_equal(r(IGB_RAL(0)), 0x12005452);
	unplug();
}

/* All bits of all registers, but those that begin a reset. */
static void test_all_registers(void **state)
{
	start();
	for (uint32_t off = 0; off < IGB_BAR0_SIZE; off += 4) {
		uint32_t v = ~0u;

		if (off == IGB_CTRL || off == IGB_CTRL + 4)
			v = ~(CTRL_RST | CTRL_PHY_RST);
		if (off == IGB_CTRL_EXT)
			v = ~CTRL_EXT_EE_RST;
		w(off, v);
		r(off);
	}
	migrate();
	assert_int_equal(r(IGB_MTA), ~0u);
	unplug();
}

static void test_interrupts(void **state)
{
	int sent;

	start();
	rings(2 << 24);
	w(IGB_IMS, ICR_RXDW);
	send_frame(3);
	assert_true(atomic_load(&irqs.intx_level));
	migrate();
	assert_true(atomic_load(&irqs.intx_level));
	assert_true(r(IGB_ICR) & ICR_RXDW);
	assert_false(atomic_load(&irqs.intx_level));
	expect_frame(3);
	/* a message that waits for its time */
	assert_int_equal(try_stop(fn), 0);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	resume_function(fn);
	w(IGB_GPIE, GPIE_MSIX);
	w(IGB_IVAR(0), 0x80);
	w(IGB_EITR(0), 8000 << 2);
	w(IGB_EIMS, 1);
	send_frame(4);
	assert_int_equal(atomic_load(&irqs.msi[0]), 1);
	/* where others have the processor its time may be over before it is held back */
	for (;;) {
		sent = atomic_load(&irqs.msi[0]);
		w(IGB_EICR, 1);
		send_frame(5);
		assert_int_equal(try_stop(fn), 0);
		if (atomic_load(&irqs.msi[0]) == sent)
			break;
		resume_function(fn);
	}
	usleep(12000);
	assert_int_equal(atomic_load(&irqs.msi[0]), sent); /* time stands still */
	assert_true(r(IGB_EICR) & 1);
	w(IGB_EICS, 1);
	{
		pci_function *to = other_port();
		struct uvfio_state s;

		save_function(&s);
		assert_int_equal(try_stop(to), 0);
		assert_int_equal(load_bytes(to, s.buf, s.len), 0);
		pci_state_free(&s);
		free_port(fn);
		fn = to;
		test_irqs_watch(&irqs, fn);
		pci_msix_enable(fn);
		pci_msix_entry(fn, 0, true);
		resume_function(fn);
	}
	/* one that may have been lost, and the one that waited */
	WAIT(atomic_load(&irqs.msi[0]) == 2);
	unplug();
}

/* ---- the wire ---- */

/* While the port is stopped nothing of the wire changes it; the link shows when it goes on. */
static void test_wire(void **state)
{
	struct pci_option opts[] = { { "id", "far" }, { "net", "peer:near" } };
	struct pci_option near = { "id", "near" };
	uint32_t missed;
	pci_function *far;
	char err[256];

	loop = loop_new();
	assert_int_equal(
		pci_function_new(&model_igb, "0000:01:00.0", 0, loop, &near, 1, err, 256, &fn), 0);
	test_irqs_watch(&irqs, fn);
	mem = test_memory_give(fn, IOVA, MEM_SIZE, 4096, NULL);
	txd = (void *)mem;
	rxd = (void *)(mem + 0x1000);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(
		pci_function_new(&model_igb, "0000:02:00.0", 0, loop, opts, 2, err, 256, &far), 0);
	w(IGB_CTRL, r(IGB_CTRL) | CTRL_SLU);
	w(IGB_IMS, ICR_LSC);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	r(IGB_ICR);
	missed = r(IGB_MPC);
	assert_int_equal(missed, 0);
	/* the cable out, and in again */
	for (unsigned in = 0; in < 2; in++) {
		assert_int_equal(try_stop(fn), 0);
		assert_int_equal(pci_function_link(fn, in), 0);
		assert_int_equal(!!(r(IGB_STATUS) & STATUS_LU), !in);
		resume_function(fn);
		assert_int_equal(!!(r(IGB_STATUS) & STATUS_LU), in);
		assert_true(r(IGB_ICR) & ICR_LSC);
	}
	assert_int_equal(try_stop(fn), 0);
	pci_function_free(far);
	assert_true(r(IGB_STATUS) & STATUS_LU);
	assert_false(r(IGB_ICR) & ICR_LSC);
	resume_function(fn);
	assert_false(r(IGB_STATUS) & STATUS_LU);
	assert_true(r(IGB_ICR) & ICR_LSC);
	unplug();
}

static void test_vfs(void **state)
{
	pci_function *vf;
	char err[256];

	start();
	log_set(-1, LOG_NONE);
	assert_int_equal(pci_vf_new(fn, 0, "0000:01:10.0", err, sizeof(err), &vf), 0);
	assert_int_equal(pci_sriov_set(fn, 1), 0);
	assert_int_equal(try_stop(fn), -EBUSY);
	assert_true(pci_can_migrate(vf)); /* by itself */
	/* it went on as it was */
	rings(2 << 24);
	assert_int_equal(pci_sriov_set(fn, 0), 0);
	assert_int_equal(try_stop(fn), 0);
	resume_function(fn);
	log_set(2, LOG_WARN);
	pci_function_free(vf);
	unplug();
}

/* ---- states that nobody saved ---- */

static void test_damaged(void **state)
{
	unsigned loaded = 0, refused = 0;
	struct uvfio_state s;
	pci_function *to;

	start();
	rings(2 << 24);
	queue_tx(TX_BUF, ADV | 64, 0);
	go();
	assert_int_equal(try_stop(fn), 0);
	save_function(&s);
	log_set(-1, LOG_NONE);
	to = other_port();
	for (size_t i = 0; i < s.len; i += i % 3 + 1) {
		uint8_t was = s.buf[i];

		s.buf[i] = i & 8 ? (uint8_t)~was : was ^ 1;
		assert_int_equal(try_stop(to), 0);
		if (load_bytes(to, s.buf, s.len))
			refused++;
		else
			loaded++;
		if (i % 16 == 0) {
			resume_function(to);
			/* -EIO if its decoding is off now */
			pci_bar_write(to, 0, IGB_TXQ(0, TDT), 4, i % RING);
		}
		pci_function_reset(to, UVFIO_RESET_FLR);
		resume_function(to);
		s.buf[i] = was;
	}
	for (size_t len = s.len - 6000; len < s.len; len += 61) {
		assert_int_equal(try_stop(to), 0);
		assert_int_equal(load_bytes(to, s.buf, len), -EINVAL);
		pci_function_reset(to, UVFIO_RESET_FLR);
		resume_function(to);
	}
	log_set(2, LOG_WARN);
	assert_true(loaded > 100 && refused > 1000);
	free_port(to);
	pci_state_free(&s);
	resume_function(fn);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rings),	   cmocka_unit_test(test_packet),
		cmocka_unit_test(test_registers),  cmocka_unit_test(test_all_registers),
		cmocka_unit_test(test_interrupts), cmocka_unit_test(test_wire),
		cmocka_unit_test(test_vfs),	   cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
