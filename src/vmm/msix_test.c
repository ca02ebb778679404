/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/msix_test.c: MSI-X of a guest: table, masks, pending bits, batches, what cannot be had. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/report.h"
#include "vmm/test_msi.h"

#define ON     PCI_MSIX_FLAGS_ENABLE
#define MASKED PCI_MSIX_FLAGS_MASKALL

static void noresize(void)
{
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].flags |= VFIO_IRQ_INFO_NORESIZE;
}

/* Switched on with all masked: the device is in MSI-X mode, and has no vector (test 56). */
static void test_all_masked(void **state)
{
	for (int b = 0; b < 4; b++) {
		begin(b & 1, b & 2 ? noresize : NULL);
		msix_control(ON);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_MSIX);
		assert_int_equal(f->type, VFIO_PCI_MSIX_IRQ_INDEX);
		assert_int_equal(f->on, 1);
		for (unsigned i = 0; i < FAKE_VECTORS; i++)
			assert_int_equal(f->fd[VFIO_PCI_MSIX_IRQ_INDEX][i], -1);
		msix_control(0);
		assert_int_equal(f->type, VFIO_PCI_INTX_IRQ_INDEX);
		finish();
	}
}

/* A VFIO that wants an eventfd to switch it on gets one, in which messages wait. */
static void test_needs_eventfd(void **state)
{
	begin(true, NULL);
	f->needs_eventfd = true;
	msix_control(ON);
	assert_int_equal(f->type, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_true(SEND_MSIX(0));
	assert_int_equal(collect(), 0);
	assert_int_equal(pba_read(0, 8), 1);
	entry_fill(0);
	entry_mask(0, false);
	assert_int_equal(collect(), 1);
	assert_int_equal(m->by_msi, 0);
	finish();
}

/* Vectors come in any order, each arrives; where their number is fixed, too (test 57). */
static void test_order(void **state)
{
	static const unsigned order[] = { 5, 0, 63 };

	for (int b = 0; b < 4; b++) {
		begin(b & 1, b & 2 ? noresize : NULL);
		msix_control(ON);
		for (unsigned k = 0; k < 3; k++) {
			entry_fill(order[k]);
			entry_mask(order[k], false);
			for (unsigned i = 0; i <= k; i++) {
				assert_true(SEND_MSIX(order[i]));
				assert_int_equal(collect(), 1);
				assert_int_equal(m->data, order[i]);
			}
		}
		assert_int_equal(m->by_msi, b & 1 ? 0 : 6);
		assert_int_equal(f->on, 64);
		finish();
	}
}

/* A masked vector's messages wait, as one, and show as pending (test 58). */
static void test_pending(void **state)
{
	for (int b = 0; b < 2; b++) {
		begin(b, NULL);
		msix_control(ON);
		entry_fill(70);
		entry_mask(70, false);
		entry_mask(70, true);
		for (int i = 0; i < 3; i++)
			assert_true(SEND_MSIX(70));
		assert_int_equal(collect(), 0);
		assert_true(pba_read(8, 8) == 1 << 6);
		assert_int_equal(pba_read(8, 4), 1 << 6);
		assert_int_equal(pba_read(12, 4), 0);
		assert_int_equal(pba_read(0, 8), 0);
		entry_mask(70, false);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 70);
		assert_int_equal(pba_read(8, 8), 0);
		/* one that VFIO never had waits in the device */
		f->bar[4][FAKE_PBA + 8 + 4] = 1;
		f->bar[4][FAKE_PBA + 8] = 1 << 6;
		assert_true(pba_read(8, 8) == 1ull << 32);
		/* an event that the function mask holds up */
		msix_control(ON | MASKED);
		SEND_MSIX(70);
		assert_int_equal(collect(), 0);
		assert_int_equal(pba_read(8, 4), 1 << 6);
		msix_control(ON);
		assert_int_equal(collect(), 1);
		/* off: nothing is pending */
		entry_mask(70, true);
		SEND_MSIX(70);
		msix_control(0);
		assert_int_equal(pba_read(8, 8), 0);
		finish();
	}
}

static void maskable(void)
{
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].flags |= VFIO_IRQ_INFO_MASKABLE;
}

static void maskable_noresize(void)
{
	maskable();
	noresize();
}

/* Where the device masks vectors, what waits is its own pending bit, and comes once. */
static void test_masked_by_device(void **state)
{
	for (int b = 0; b < 4; b++) {
		unsigned calls;

		begin(b & 1, b & 2 ? maskable_noresize : maskable);
		msix_control(ON);
		for (unsigned i = 3; i < 6; i++) {
			entry_fill(i);
			entry_mask(i, false);
		}
		entry_mask(4, true);
		assert_true(f->vector_masked[4]);
		for (unsigned i = 3; i < 6; i++) {
			SEND_MSIX(i);
			SEND_MSIX(i);
		}
		assert_int_equal(collect(), 2);
		assert_int_equal(f->bar[4][FAKE_PBA], 1 << 4);
		assert_int_equal(pba_read(0, 8), 1 << 4);
		/* all, and back: one call each, and none for what does not change */
		calls = f->calls;
		msix_control(ON | MASKED);
		assert_int_equal(f->calls, calls + 1);
		entry_mask(5, true);
		assert_int_equal(f->calls, calls + 1);
		SEND_MSIX(3);
		SEND_MSIX(5);
		assert_int_equal(collect(), 0);
		assert_int_equal(f->bar[4][FAKE_PBA], 7 << 3);
		msix_control(ON);
		assert_int_equal(f->calls, calls + 2);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 3);
		assert_int_equal(pba_read(0, 8), 6 << 3);
		/* more vectors come: where all are set anew for that, masks are, too */
		entry_fill(9);
		entry_mask(9, false);
		assert_true(f->vector_masked[4] && f->vector_masked[5] && !f->vector_masked[9]);
		entry_mask(4, false);
		entry_mask(5, false);
		assert_int_equal(collect(), 2);
		assert_int_equal(pba_read(0, 8), 0);
		/* the device does not do it: the eventfd keeps the message, as the kernel's */
		log_set(-1, LOG_NONE);
		f->fail_in = 1;
		entry_mask(3, true);
		SEND_MSIX(3);
		assert_int_equal(collect(), 0);
		assert_int_equal(pba_read(0, 8), 1 << 3);
		entry_mask(3, false);
		assert_int_equal(collect(), 1);
		/* nor unmask: at the next time */
		entry_mask(3, true);
		SEND_MSIX(3);
		f->fail_in = 1;
		entry_mask(3, false);
		log_set(2, LOG_ERR);
		assert_int_equal(collect(), 0);
		assert_int_equal(pba_read(0, 8), 1 << 3);
		entry_mask(3, false);
		assert_int_equal(collect(), 1);
		/* off and on: the masks are the guest's again */
		entry_mask(4, true);
		msix_control(0);
		msix_control(ON);
		SEND_MSIX(5);
		assert_int_equal(collect(), 1);
		finish();
	}
}

/* 64 vectors under the function mask, as a guest begins, are one commit, one call (test 59) */
static void test_batch(void **state)
{
	for (int b = 0; b < 2; b++) {
		unsigned calls;

		begin(true, b ? noresize : NULL);
		msix_control(ON | MASKED);
		for (unsigned i = 0; i < 64; i++) {
			entry_fill(i);
			entry_mask(i, false);
		}
		assert_int_equal(m->commits, 0);
		calls = f->calls;
		msix_control(ON);
		assert_int_equal(m->commits, 1);
		/* where their number is fixed: off, and on with all */
		assert_int_equal(f->calls, calls + 1 + b);
		assert_int_equal(m->irqfds, 64);
		for (unsigned i = 0; i < 64; i++)
			SEND_MSIX(i);
		assert_int_equal(collect(), 64);
		/* masked and unmasked again: neither */
		msix_control(ON | MASKED);
		assert_int_equal(m->irqfds, 0);
		msix_control(ON);
		assert_int_equal(m->irqfds, 64);
		assert_int_equal(m->commits, 1);
		assert_int_equal(f->calls, calls + 1 + b);
		/* with other addresses: one commit */
		msix_control(ON | MASKED);
		for (unsigned i = 0; i < 64; i++)
			table_write(i * 16, 4, 0xfee05000);
		msix_control(ON);
		assert_int_equal(m->commits, 2);
		assert_int_equal(f->calls, calls + 1 + b);
		SEND_MSIX(63);
		assert_int_equal(collect(), 1);
		assert_true(m->address == 0xfee05000);
		finish();
	}
}

/* If their number is fixed, those that are unmasked by then are switched on at once. */
static void test_noresize_first(void **state)
{
	unsigned calls;

	begin(true, noresize);
	for (unsigned i = 0; i < 8; i++) {
		entry_fill(i);
		entry_mask(i, false);
	}
	calls = f->calls;
	msix_control(ON);
	/* INTx: mask, no UNMASK eventfd, off; MSI-X: on */
	assert_int_equal(f->calls, calls + 4);
	assert_int_equal(f->on, 8);
	SEND_MSIX(7);
	assert_int_equal(collect(), 1);
	finish();
}

/* Fewer vectors than the guest wants: as many as there are, and the others have none. */
static void test_fewer(void **state)
{
	for (int b = 0; b < 2; b++) {
		begin(true, b ? noresize : NULL);
		f->available = 5;
		msix_control(ON | MASKED);
		for (unsigned i = 0; i < 8; i++) {
			entry_fill(i);
			entry_mask(i, false);
		}
		msix_control(ON);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_MSIX);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(SEND_MSIX(i), i < 5);
		assert_int_equal(collect(), 5);
		assert_int_equal(m->irqfds, 5);
		/* more of them, and it is tried again */
		f->available = 8;
		entry_mask(7, true);
		entry_mask(7, false);
		assert_true(SEND_MSIX(7));
		assert_int_equal(collect(), 1);
		f->available = 0;
		msix_control(0);
		msix_control(ON);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
		assert_true(config_read(FAKE_MSIX + PCI_MSIX_FLAGS, 2) & ON);
		/* a table that nobody uses is a table */
		entry_mask(7, true);
		entry_mask(7, false);
		assert_int_equal(f->type, VFIO_PCI_INTX_IRQ_INDEX);
		finish();
	}
}

/* Routes run out: the others go through msi(), and those that are free are used (test 60). */
static void test_gsis(void **state)
{
	begin(true, NULL);
	m->gsis = 3;
	msix_control(ON | MASKED);
	for (unsigned i = 0; i < 5; i++) {
		entry_fill(i);
		entry_mask(i, false);
	}
	msix_control(ON);
	for (unsigned i = 0; i < 5; i++)
		SEND_MSIX(i);
	assert_int_equal(collect(), 5);
	assert_int_equal(m->by_msi, 2);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(m->of[i], 1);
	m->gsis = 4;
	entry_mask(4, true);
	entry_mask(4, false);
	SEND_MSIX(4);
	assert_int_equal(collect(), 1);
	assert_int_equal(m->by_msi, 2);
	finish();
}

/* Routes of the monitor are there after 1000 times on and off, and ours are not (test 61). */
static void test_routes_stay(void **state)
{
	int own;

	begin(true, NULL);
	own = mon_route_add(m, NULL, 0x1234, 5);
	entry_fill(0);
	entry_fill(1);
	entry_mask(0, false);
	entry_mask(1, false);
	for (int i = 0; i < 1000; i++) {
		msix_control(ON);
		assert_int_equal(m->routes, 3);
		msix_control(0);
		assert_int_equal(m->routes, 1);
	}
	assert_true(m->route[own].live && m->route[own].live_address == 0x1234);
	for (int i = MON_FIRST; i < MON_GSIS; i++)
		assert_int_equal(m->route[i].live, i == own);
	mon_route_del(m, own);
	finish();
}

/* Accesses that the table does not take are ignored, and said (test 63). */
static unsigned warned;

static void on_report(const struct report *r, void *arg)
{
	if (!strcmp(r->code->name, "vmm-msix-access"))
		warned++;
}

static void test_access(void **state)
{
	static const struct {
		unsigned at, size;
	} bad[] = { { 0, 1 },
		    { 0, 2 },
		    { 2, 4 },
		    { 4, 8 },
		    { 0, 3 },
		    { 0, 16 },
		    { FAKE_VECTORS * 16, 4 },
		    { FAKE_VECTORS * 16 - 4, 8 } };
	struct report_subscriber s = { .fn = on_report, .level = LOG_WARN };

	begin(false, NULL);
	report_subscribe(&s);
	for (unsigned i = 0; i < 8; i++) {
		table_write(bad[i].at, bad[i].size, 0x55);
		assert_int_equal(warned, 2 * i + 1);
		assert_true(table_read(bad[i].at, bad[i].size) ==
			    (bad[i].size >= 8 ? UINT64_MAX : (1ull << 8 * bad[i].size) - 1));
		assert_int_equal(warned, 2 * i + 2);
	}
	assert_true(table_read(0, 8) == 0 && table_read(8, 8) == 1ull << 32);
	table_write(16, 8, 0x1122334455667788);
	assert_int_equal(table_read(16, 4), 0x55667788);
	assert_int_equal(table_read(20, 4), 0x11223344);
	assert_int_equal(warned, 16);
	pba_read(1, 1);
	pba_read(256, 4);
	assert_int_equal(warned, 18);
	report_unsubscribe(&s);
	/* as after power-on */
	assert_int_equal(tvm_to_intx(&t), 0);
	assert_true(table_read(16, 8) == 0 && table_read(24, 8) == 1ull << 32);
	finish();
}

/* A qword that has the mask bit and the data; an unmasked entry whose message changes. */
static void test_qword(void **state)
{
	for (int b = 0; b < 2; b++) {
		begin(b, NULL);
		msix_control(ON);
		table_write(0, 8, 0x1fee01003ull);
		table_write(8, 8, 9);
		SEND_MSIX(0);
		table_write(8, 4, 11);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->data, 11);
		/* the two low bits are none of the address */
		assert_true(m->address == 0x1fee01000ull);
		finish();
	}
}

/* MSI, MSI-X and back, in whatever order the guest has it. */
static void test_both(void **state)
{
	begin(true, NULL);
	msi_message(ADDRESS, 0x40);
	msi_control(msi_on(1));
	msix_control(ON);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_MSIX);
	msi_control(0);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_MSIX);
	msix_control(0);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
	finish();
}

/* The bypass of interrupts fails: they go through the monitor. */
static void test_no_bypass(void **state)
{
	for (int k = 0; k < 2; k++) {
		begin(true, NULL);
		m->no_irqfd = !k;
		m->no_commit = k;
		entry_fill(3);
		entry_mask(3, false);
		msix_control(ON);
		SEND_MSIX(3);
		assert_int_equal(collect(), 1);
		assert_int_equal(m->by_msi, 1);
		finish();
	}
}

static void test_describe(void **state)
{
	char text[64] = "";
	FILE *out;

	for (int b = 0; b < 2; b++) {
		begin(b, NULL);
		msix_control(ON);
		entry_fill(7);
		entry_mask(7, false);
		out = fmemopen(text, sizeof(text), "w");
		vm_irq_describe(t.dev, out);
		fclose(out);
		assert_string_equal(text, b ? "MSIX 1 of 2048 vectors, 1 by irqfd"
					    : "MSIX 1 of 2048 vectors");
		finish();
	}
}

/* ---- many ---- */

/* Switch on 2048 vectors: how many have an interrupt. */
static unsigned all_vectors(bool fixed)
{
	unsigned got;

	begin(true, fixed ? noresize : NULL);
	msix_control(ON | MASKED);
	for (unsigned i = 0; i < FAKE_VECTORS; i++) {
		entry_fill(i);
		entry_mask(i, false);
	}
	msix_control(ON);
	for (unsigned i = 0; i < FAKE_VECTORS; i++)
		SEND_MSIX(i);
	got = collect();
	for (unsigned i = 0; i < got; i++)
		assert_int_equal(m->of[i], 1);
	finish();
	return got;
}

static unsigned refused;

static void on_refused(const struct report *r, void *arg)
{
	if (!strcmp(r->code->name, "vmm-vector") && strstr(r->text, "RLIMIT_NOFILE"))
		refused++;
}

/*
 * 2048 vectors under a limit of 1024 open files: all, where the limit may be passed, and a clear
 * message where it may not (test 64).
 */
static void test_open_files(void **state)
{
	struct rlimit was, low = { 1024, 1024 };
	int status;
	pid_t pid;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low.rlim_max = was.rlim_max;
	if (was.rlim_max >= 8192) {
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		assert_int_equal(all_vectors(false), FAKE_VECTORS);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct report_subscriber s = { .fn = on_refused, .level = LOG_WARN };
		unsigned got;

		low.rlim_max = 1024;
		/* without CAP_SYS_RESOURCE */
		if (setrlimit(RLIMIT_NOFILE, &low) || (!getuid() && setuid(65534)))
			_exit(1);
		report_subscribe(&s);
		for (int fixed = 0; fixed < 2; fixed++) {
			refused = 0;
			got = all_vectors(fixed);
			if (got < 200 || got >= 1024 || !refused)
				_exit(2);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_masked),  cmocka_unit_test(test_needs_eventfd),
		cmocka_unit_test(test_order),	    cmocka_unit_test(test_pending),
		cmocka_unit_test(test_batch),	    cmocka_unit_test(test_noresize_first),
		cmocka_unit_test(test_fewer),	    cmocka_unit_test(test_gsis),
		cmocka_unit_test(test_routes_stay), cmocka_unit_test(test_access),
		cmocka_unit_test(test_qword),	    cmocka_unit_test(test_both),
		cmocka_unit_test(test_no_bypass),   cmocka_unit_test(test_describe),
		cmocka_unit_test(test_open_files),  cmocka_unit_test(test_masked_by_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
