/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq_fault_test.c: each allocation and each call that makes a descriptor fails in turn while
 * interrupts are set up, changed and heard: an error, or less than was wanted, and nothing is left
 * behind.
 */
#include <fcntl.h>

#include "base/test_fault.h"
#include "vmm/test_msi.h"

#define VECTORS 8u

static const unsigned kinds[] = { FAULT_MEMORY, FAULT_CALLS };

static long live;
static unsigned fds;

/* Note what is there; the loop's table has room by now. */
static void note(void)
{
	live = (long)fault_live;
	fds = fault_fds();
	for (int fd = 0; fd < 1024; fd++)
		fds += !fd_is_private(fd) && sys_call(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0) >= 0;
}

/* Interrupts go off, and nothing is there that was not at note(). */
static void all_off(void)
{
	long was = live;
	unsigned were = fds;

	tvm_irq_off(&t);
	note();
	assert_int_equal(fds, were);
	assert_true(live == was);
}

/* The ways of interrupts to the guest: a bypass that works, or not, or fails when they move */
enum way { BY_LOOP, BY_IRQFD, NO_IRQFD, NO_COMMIT, NO_COMMIT_LATER, WAYS };

static void start(enum way way)
{
	begin(way != BY_LOOP, NULL);
	m->no_irqfd = way == NO_IRQFD;
	m->no_commit = way == NO_COMMIT;
	tvm_irq_off(&t);
	note();
}

/* INTx is on, and its interrupt arrives, by one way or the other. */
static void check_intx(void)
{
	unsigned raised = m->raised;

	assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
	fake_line(f, true);
	if (t.dev->irq.intx.bypass)
		mon_run(m);
	else
		assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 1);
	assert_int_equal(m->raised, raised + 1);
	fake_line(f, false);
}

static void test_intx(void **state)
{
	fault_about = "INTx";
	for (unsigned k = 0; k < 2 * NO_COMMIT; k++) {
		unsigned failed = 0;

		FAULT_LOOP(l, kinds[k & 1]) {
			int rc;

			start(k / 2);
			fault_begin(&l);
			rc = tvm_to_intx(&t);
			fault_end(&l, rc);
			if (rc) {
				all_off();
				assert_int_equal(tvm_to_intx(&t), 0);
			}
			check_intx();
			all_off();
			finish();
			failed = l.failed;
		}
		/* eventfd, timer, two watches; and the device's */
		if (kinds[k & 1] == FAULT_CALLS)
			assert_true(failed >= 5);
	}
}

/* All vectors that have an interrupt have it once: how many. */
static unsigned check_messages(unsigned index)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < t.dev->irq.num_vectors; i++)
		sent += fake_send(f, index, i) && t.dev->irq.vectors[i].connected;
	assert_int_equal(collect(), sent);
	return sent;
}

static void test_msi(void **state)
{
	const unsigned index = VFIO_PCI_MSI_IRQ_INDEX;

	fault_about = "MSI";
	for (unsigned k = 0; k < 2 * WAYS; k++) {
		FAULT_LOOP(l, kinds[k & 1]) {
			start(k / 2);
			assert_int_equal(tvm_to_intx(&t), 0);
			msi_message(ADDRESS, 0x40);
			fault_begin(&l);
			msi_control(msi_on(3));
			fault_end(&l, 0);
			/* fewer are all that it has */
			if (t.dev->irq.kind == VM_IRQ_MSI)
				assert_int_equal(check_messages(index), t.dev->irq.num_vectors);
			else if (t.dev->irq.kind == VM_IRQ_INTX)
				check_intx();
			fault_begin(&l);
			msi_control(0);
			fault_clear();
			assert_true(t.dev->irq.kind == VM_IRQ_INTX ||
				    t.dev->irq.kind == VM_IRQ_NONE);
			assert_int_equal(tvm_to_intx(&t), 0);
			msi_control(msi_on(3));
			assert_int_equal(check_messages(index), VECTORS);
			/* another address, and then masks */
			m->no_commit |= k / 2 == NO_COMMIT_LATER;
			fault_begin(&l);
			config_write(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4, ADDRESS + 0x1000);
			fault_clear();
			check_messages(index);
			config_write(FAKE_MSI + PCI_MSI_MASK_64, 4, 0xff);
			config_write(FAKE_MSI + PCI_MSI_MASK_64, 4, 0);
			collect();
			assert_int_equal(check_messages(index), VECTORS);
			all_off();
			finish();
		}
	}
}

static void test_msix(void **state)
{
	const unsigned index = VFIO_PCI_MSIX_IRQ_INDEX;

	fault_about = "MSI-X";
	for (unsigned k = 0; k < 2 * WAYS; k++) {
		FAULT_LOOP(l, kinds[k & 1]) {
			start(k / 2);
			assert_int_equal(tvm_to_intx(&t), 0);
			for (unsigned i = 0; i < VECTORS; i++) {
				entry_fill(i);
				entry_mask(i, false);
			}
			fault_begin(&l);
			msix_control(PCI_MSIX_FLAGS_ENABLE);
			fault_end(&l, 0);
			if (t.dev->irq.kind == VM_IRQ_INTX)
				check_intx();
			if (t.dev->irq.kind == VM_IRQ_MSIX) {
				check_messages(index);
				/* another address, under the function mask */
				m->no_commit |= k / 2 == NO_COMMIT_LATER;
				msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
				for (unsigned i = 0; i < VECTORS; i++)
					table_write(i * 16, 4, ADDRESS + 0x1000);
				fault_begin(&l);
				msix_control(PCI_MSIX_FLAGS_ENABLE);
				fault_clear();
				check_messages(index);
				/* those that have none get it now */
				for (unsigned i = 0; i < VECTORS; i++) {
					entry_mask(i, true);
					entry_mask(i, false);
				}
				collect();
				assert_int_equal(check_messages(index), VECTORS);
			}
			all_off();
			finish();
		}
	}
}

static void test_listen(void **state)
{
	fault_about = "errors and requests";
	for (unsigned k = 0; k < 2; k++) {
		unsigned failed = 0;

		FAULT_LOOP(l, kinds[k]) {
			int rc;

			start(BY_LOOP);
			fault_begin(&l);
			rc = vm_irq_listen(t.dev);
			fault_end(&l, rc);
			if (!rc)
				vm_irq_unlisten(t.dev);
			all_off();
			assert_int_equal(vm_irq_listen(t.dev), 0);
			assert_true(fake_send(f, VFIO_PCI_REQ_IRQ_INDEX, 0));
			vm_irq_unlisten(t.dev);
			finish();
			failed = l.failed;
		}
		if (kinds[k] == FAULT_CALLS)
			assert_true(failed >= 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_msi),
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
