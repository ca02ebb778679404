/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/msi_test.c: MSI of a guest: vectors, messages, masks, and what cannot be had. */
#include "vmm/test_msi.h"

/* 1, 2, 8, 32 vectors: the low bits of the data (test 53). */
static void run_vectors(bool with_bypass)
{
	static const unsigned logs[] = { 0, 1, 3, 5 };

	for (unsigned k = 0; k < 4; k++) {
		unsigned n = 1u << logs[k], base = 0x40 | (n < 8 ? n : 0);

		begin(with_bypass, NULL);
		msi_message(0x1fee01000ull, (uint16_t)base);
		msi_control(msi_on(logs[k]));
		assert_int_equal(t.dev->irq.kind, VM_IRQ_MSI);
		assert_int_equal(f->type, VFIO_PCI_MSI_IRQ_INDEX);
		assert_int_equal(f->on, n);
		for (unsigned i = 0; i < n; i++) {
			assert_true(SEND_MSI(i));
			assert_int_equal(collect(), 1);
			assert_int_equal(m->data, (base & ~(n - 1)) | i);
			assert_true(m->address == 0x1fee01000ull);
		}
		assert_int_equal(m->by_msi, with_bypass ? 0 : n);
		if (with_bypass)
			assert_int_equal(m->commits, 1);
		msi_control(0);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
		assert_int_equal(f->type, VFIO_PCI_INTX_IRQ_INDEX);
		finish();
	}
}

static void test_vectors(void **state)
{
	run_vectors(false);
	run_vectors(true);
}

/* There are fewer: again with that number; none: INTx, and the guest's bit stays (test 54). */
static void test_fewer(void **state)
{
	for (int b = 0; b < 2; b++) {
		begin(b, NULL);
		f->available = 4;
		msi_message(ADDRESS, 0x30);
		msi_control(msi_on(3));
		assert_int_equal(t.dev->irq.kind, VM_IRQ_MSI);
		assert_int_equal(t.dev->irq.num_vectors, 4);
		assert_true(SEND_MSI(3));
		assert_false(SEND_MSI(4));
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 0x33);
		/* a new batch for the second try: no commit in between is lost */
		if (b)
			assert_int_equal(m->routes, 4);
		msi_control(0);
		f->available = 0;
		msi_control(msi_on(3));
		assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
		assert_int_equal(f->type, VFIO_PCI_INTX_IRQ_INDEX);
		assert_true(config_read(FAKE_MSI + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
		assert_int_equal(m->routes, 0);
		/* not again for each write, but when the guest asks anew */
		msi_message(ADDRESS, 0x50);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
		f->available = 8;
		msi_control(0);
		msi_control(msi_on(3));
		assert_int_equal(t.dev->irq.kind, VM_IRQ_MSI);
		assert_int_equal(t.dev->irq.num_vectors, 8);
		finish();
	}
}

/* The address changes while it is on: the next message goes there, none is lost (test 55). */
static void test_moved(void **state)
{
	for (int b = 0; b < 2; b++) {
		unsigned calls;

		begin(b, NULL);
		msi_message(ADDRESS, 0x30);
		msi_control(msi_on(1));
		calls = f->calls;
		SEND_MSI(1);
		msi_message(ADDRESS + 0x1000, 0x70);
		assert_int_equal(collect(), 1);
		assert_true(m->address == ADDRESS + 0x1000);
		assert_int_equal(m->data, 0x71);
		assert_int_equal(f->calls, calls);
		if (b)
			assert_int_equal(m->irqfds, 2);
		finish();
	}
}

/* The number of vectors changes while it is on: off, and on again; INTx does not come between. */
static void test_more(void **state)
{
	begin(true, NULL);
	msi_message(ADDRESS, 0x40);
	msi_control(msi_on(0));
	msi_control(msi_on(2));
	assert_int_equal(t.dev->irq.num_vectors, 4);
	SEND_MSI(3);
	assert_int_equal(collect(), 1);
	assert_int_equal(m->data, 0x43);
	/* numbers that mean nothing are 32 */
	msi_control(msi_on(7));
	assert_int_equal(t.dev->irq.num_vectors, 32);
	assert_int_equal(f->fd[0][0], -1);
	finish();
}

/* A masked vector: its message waits, one for several, and shows as pending. */
static void test_mask(void **state)
{
	for (int b = 0; b < 2; b++) {
		begin(b, NULL);
		msi_message(ADDRESS, 0x40);
		config_write(FAKE_MSI + PCI_MSI_MASK_64, 4, 2);
		msi_control(msi_on(1));
		for (int i = 0; i < 3; i++)
			SEND_MSI(1);
		SEND_MSI(0);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 0x40);
		assert_int_equal(config_read(FAKE_MSI + PCI_MSI_MASK_64 + 4, 4), 2);
		config_write(FAKE_MSI + PCI_MSI_MASK_64, 4, 0);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 0x41);
		assert_int_equal(config_read(FAKE_MSI + PCI_MSI_MASK_64 + 4, 4), 0);
		finish();
	}
}

/* INTx that is pending when MSI comes: its line goes down. */
static void test_from_intx(void **state)
{
	begin(false, NULL);
	fake_line(f, true);
	assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 1);
	assert_int_equal(m->level, 1);
	msi_control(msi_on(0));
	assert_int_equal(m->level, 0);
	assert_false(t.dev->irq.intx.held);
	assert_int_equal(t.dev->irq.intx.eventfd, -1);
	/* and it comes when INTx is back */
	msi_control(0);
	assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 1);
	assert_int_equal(m->level, 1);
	/* straight to none */
	tvm_irq_off(&t);
	assert_int_equal(m->level, 0);
	finish();
}

/* The bypass of interrupts fails: they go through the monitor. */
static void test_no_bypass(void **state)
{
	for (int k = 0; k < 4; k++) {
		begin(true, NULL);
		m->gsis = k == 0 ? 0 : k == 1 ? 2 : MON_GSIS;
		m->no_irqfd = k == 2;
		m->no_commit = k == 3;
		msi_message(ADDRESS, 0x40);
		msi_control(msi_on(2));
		for (unsigned i = 0; i < 4; i++)
			SEND_MSI(i);
		assert_int_equal(collect(), 4);
		assert_int_equal(m->by_msi, k == 1 ? 2 : 4);
		/* as soon as there are some, they are used */
		m->gsis = MON_GSIS;
		m->no_irqfd = m->no_commit = false;
		msi_message(ADDRESS + 0x1000, 0x40);
		for (unsigned i = 0; i < 4; i++)
			SEND_MSI(i);
		assert_int_equal(collect(), 4);
		assert_int_equal(m->by_msi, k == 1 ? 2 : 4);
		finish();
	}
}

static void no_msi(void)
{
	f->irq[VFIO_PCI_MSI_IRQ_INDEX].count = 0;
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = 0;
}

/* VFIO has none: the guest does not see it. */
static void test_none(void **state)
{
	begin(false, no_msi);
	assert_int_equal(t.dev->config.caps.msi, 0);
	assert_int_equal(t.dev->irq.msi_max, 0);
	assert_int_equal(t.dev->irq.msix_count, 0);
	assert_int_equal(table_read(0, 4), 0xffffffff);
	table_write(0, 4, 1);
	assert_int_equal(pba_read(0, 8), UINT64_MAX);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	  cmocka_unit_test(test_fewer),
		cmocka_unit_test(test_moved),	  cmocka_unit_test(test_more),
		cmocka_unit_test(test_mask),	  cmocka_unit_test(test_from_intx),
		cmocka_unit_test(test_no_bypass), cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
