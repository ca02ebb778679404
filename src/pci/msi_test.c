/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/msi_test.c: MSI, MSI-X and INTx: what is sent, what waits, what is dropped; and delivery
 * against everything that changes under it.
 */
#include <sched.h>
#include <unistd.h>

#include "base/report.h"
#include "pci/test_function.h"

static unsigned msi, msix, pm;

#define TABLE 0u
#define PBA   0x8000u

static int create(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, 65536, 0), 0);
	assert_int_equal(uvfio_add_intx(dev, 1, true), 0);
	pm = (unsigned)uvfio_add_pm(dev, false);
	msi = (unsigned)uvfio_add_msi(dev, 8, true, true);
	msix = (unsigned)uvfio_add_msix(dev, 100, 0, TABLE, 0, PBA);
	return 0;
}

static pci_function *start(void)
{
	pci_function *fn = t_new(create);

	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return fn;
}

static uint64_t bar_rd(pci_function *fn, uint64_t off, unsigned size)
{
	uint64_t v;

	assert_int_equal(pci_bar_read(fn, 0, off, size, &v), 0);
	return v;
}

static int total(void)
{
	int n = 0;

	for (unsigned i = 0; i < PCI_MSIX_MAX; i++)
		n += t.irqs.msi[i];
	return n;
}

static void test_off(void **state)
{
	pci_function *fn = start();

	uvfio_msi(fn, 0);
	assert_int_equal(total(), 0);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_INTX);
	/* nothing was remembered */
	pci_msi_enable(fn, 3);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	assert_int_equal(total(), 0);
	t_free(fn);
}

static void test_msi_vectors(void **state)
{
	pci_function *fn = start();

	assert_int_equal(pci_msi_vectors(fn), 8);
	pci_msi_enable(fn, 2);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_MSI);
	assert_int_equal(rd16(msi + PCI_MSI_FLAGS), PCI_MSI_FLAGS_ENABLE | 2 << 4 | 3 << 1 | 0x180);
	for (unsigned v = 0; v < 9; v++)
		uvfio_msi(fn, v);
	assert_int_equal(t.irqs.msi[0], 3); /* 0, 4, 8: the function has four messages to send */
	assert_int_equal(t.irqs.msi[3], 2);
	assert_int_equal(t.irqs.msi[4], 0);
	/* more than it can: what it can */
	wr16(msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 7 << 4);
	uvfio_msi(fn, 7);
	assert_int_equal(t.irqs.msi[7], 1);
	uvfio_msi(fn, 8);
	assert_int_equal(t.irqs.msi[0], 4);
	pci_msi_disable(fn);
	uvfio_msi(fn, 0);
	assert_int_equal(t.irqs.msi[0], 4);
	t_free(fn);
}

static void test_msi_mask(void **state)
{
	pci_function *fn = start();

	pci_msi_enable(fn, 3);
	wr32(msi + PCI_MSI_MASK_64, 0x05);
	uvfio_msi(fn, 0);
	uvfio_msi(fn, 0);
	uvfio_msi(fn, 1);
	uvfio_msi(fn, 2);
	assert_int_equal(t.irqs.msi[0], 0);
	assert_int_equal(t.irqs.msi[1], 1);
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 5);
	assert_int_equal(rd8(msi + PCI_MSI_PENDING_64 + 1), 0);
	wr32(msi + PCI_MSI_PENDING_64, 0); /* read-only */
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 5);
	wr8(msi + PCI_MSI_MASK_64, 0x04);
	assert_int_equal(t.irqs.msi[0], 1); /* once, however often it was raised */
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 4);
	/* what waits when MSI is switched off is forgotten */
	pci_msi_disable(fn);
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 0);
	pci_msi_enable(fn, 3);
	assert_int_equal(rd32(msi + PCI_MSI_MASK_64), 0);
	assert_int_equal(t.irqs.msi[2], 0);
	t_free(fn);
}

static int create_old_msi(struct uvfio_dev *dev)
{
	msi = (unsigned)uvfio_add_msi(dev, 1, false, false);
	return 0;
}

static void test_msi_32(void **state)
{
	pci_function *fn = t_new(create_old_msi);

	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(rd16(msi + PCI_MSI_FLAGS), 0);
	pci_msi_enable(fn, 0);
	assert_int_equal(rd32(msi + PCI_MSI_ADDRESS_LO), 0xfee00000);
	assert_int_equal(rd16(msi + PCI_MSI_DATA_32), 0x4000);
	assert_int_equal(rd32(msi + 12), 0); /* beyond its ten bytes */
	wr32(msi + 12, 0xffffffff);
	uvfio_msi(fn, 3);
	assert_int_equal(t.irqs.msi[0], 1);
	t_free(fn);
}

static void test_msi_gates(void **state)
{
	pci_function *fn = start();

	pci_msi_enable(fn, 0);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY); /* a message is a write by the function */
	uvfio_msi(fn, 0);
	assert_int_equal(total(), 0);
	wr16(PCI_COMMAND, PCI_COMMAND_MASTER);
	uvfio_msi(fn, 0);
	assert_int_equal(total(), 1);
	wr16(pm + PCI_PM_CTRL, 3);
	uvfio_msi(fn, 0);
	assert_int_equal(total(), 1);
	t_free(fn);
}

static void test_pending_waits_for_master(void **state)
{
	pci_function *fn = start();

	pci_msix_enable(fn);
	uvfio_msi(fn, 5);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	pci_msix_entry(fn, 5, true);
	assert_int_equal(total(), 0);
	assert_int_equal(bar_rd(fn, PBA, 4), 1 << 5);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(t.irqs.msi[5], 1);
	assert_int_equal(bar_rd(fn, PBA, 4), 0);
	t_free(fn);
}

static void test_msix_table(void **state)
{
	pci_function *fn = start();
	struct pci_msix_info info;

	assert_true(pci_msix_info(fn, &info));
	assert_int_equal(info.vectors, 100);
	assert_int_equal(info.pba_offset, PBA);
	assert_int_equal(rd16(msix + PCI_MSIX_FLAGS), 99);
	assert_int_equal(rd32(msix + PCI_MSIX_PBA), PBA);
	/* masked after reset */
	assert_int_equal(bar_rd(fn, TABLE + 12, 4), 1);
	assert_int_equal(bar_rd(fn, TABLE + 99 * 16 + 12, 1), 1);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 16, 4, 0xfee00007), 0);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 20, 4, 0x11), 0);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 24, 8, 0xfffffffe00004041ull), 0);
	assert_int_equal(bar_rd(fn, TABLE + 16, 8), 0x11fee00004ull);
	/* unmasked; the reserved bits read zero */
	assert_int_equal(bar_rd(fn, TABLE + 24, 8), 0x4041);
	assert_int_equal(bar_rd(fn, TABLE + 26, 2), 0);
	assert_int_equal(bar_rd(fn, TABLE + 17, 1), 0);
	assert_int_equal(bar_rd(fn, TABLE + 18, 2), 0xfee0);
	/* undefined: refused, and the entry stays */
	log_set(-1, LOG_ERR);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 24, 2, 0), -EIO);
	log_set(2, LOG_WARN);
	assert_int_equal(bar_rd(fn, TABLE + 24, 4), 0x4041);
	/* right behind the table is the model again; the PBA ends at a multiple of 64 vectors */
	assert_int_equal(t.last_size, 0);
	assert_int_equal(bar_rd(fn, TABLE + 100 * 16, 4), 0x55667788);
	assert_int_equal(bar_rd(fn, PBA + 8, 8), 0);
	assert_int_equal(bar_rd(fn, PBA + 16, 4), 0x55667788);
	assert_int_equal(bar_rd(fn, PBA - 4, 4), 0x55667788);
	/* platform's programming */
	pci_msix_entry(fn, 2, false);
	assert_int_equal(bar_rd(fn, TABLE + 32, 8), 0xfee00000);
	assert_int_equal(bar_rd(fn, TABLE + 40, 8), 0x100004002ull);
	pci_msix_entry(fn, 100, true); /* no such */
	pci_function_reset(fn, UVFIO_RESET_FLR);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(bar_rd(fn, TABLE + 16, 8), 0);
	assert_int_equal(bar_rd(fn, TABLE + 24, 8), 1ull << 32);
	t_free(fn);
}

static void test_msix_pending(void **state)
{
	pci_function *fn = start();

	pci_msix_enable(fn);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_MSIX);
	pci_msix_entry(fn, 3, true);
	uvfio_msi(fn, 3);
	assert_int_equal(t.irqs.msi[3], 1);
	uvfio_msi(fn, 70);
	uvfio_msi(fn, 70);
	assert_int_equal(t.irqs.msi[70], 0);
	assert_int_equal(bar_rd(fn, PBA + 8, 8), 1 << 6);
	assert_int_equal(bar_rd(fn, PBA + 8, 1), 1 << 6);
	assert_int_equal(bar_rd(fn, PBA, 8), 0);
	assert_int_equal(pci_bar_write(fn, 0, PBA + 8, 8, 0), 0); /* read-only */
	assert_int_equal(bar_rd(fn, PBA + 8, 4), 1 << 6);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 70 * 16 + 12, 4, 0), 0);
	assert_int_equal(t.irqs.msi[70], 1);
	assert_int_equal(bar_rd(fn, PBA + 8, 4), 0);
	/* function mask holds all, entry masks or not */
	wr16(msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	uvfio_msi(fn, 3);
	uvfio_msi(fn, 4);
	assert_int_equal(t.irqs.msi[3], 1);
	assert_int_equal(bar_rd(fn, PBA, 4), 0x18);
	pci_msix_entry(fn, 3, true);
	assert_int_equal(t.irqs.msi[3], 1);
	wr16(msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(t.irqs.msi[3], 2);
	assert_int_equal(t.irqs.msi[4], 0);
	assert_int_equal(bar_rd(fn, PBA, 4), 0x10);
	/* off and on again: forgotten, and masked by what enables it */
	pci_msix_disable(fn);
	assert_int_equal(bar_rd(fn, PBA, 4), 0);
	pci_msix_enable(fn);
	assert_int_equal(bar_rd(fn, TABLE + 3 * 16 + 12, 4), 1);
	pci_msix_entry(fn, 4, true);
	assert_int_equal(t.irqs.msi[4], 0);
	/* a reset too */
	uvfio_msi(fn, 9);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_INTX);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(bar_rd(fn, PBA, 4), 0);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 9, true);
	assert_int_equal(t.irqs.msi[9], 0);
	t_free(fn);
}

static void count_lines(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	++*(int *)arg;
}

static struct report_subscriber subscriber = { .fn = count_lines, .level = LOG_INFO };

static void test_msix_beyond(void **state)
{
	pci_function *fn = start();
	int lines = 0;

	pci_msix_enable(fn);
	log_set(-1, LOG_WARN);
	subscriber.arg = &lines;
	report_subscribe(&subscriber);
	uvfio_msi(fn, 100);
	uvfio_msi(fn, ~0u);
	report_unsubscribe(&subscriber);
	log_set(2, LOG_WARN);
	assert_int_equal(lines, 2);
	assert_int_equal(total(), 0);
	t_free(fn);
}

static int create_bad(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, 4096, 0), 0);
	assert_int_equal(uvfio_add_bar(dev, 1, 16, UVFIO_BAR_IO), 0);
	return uvfio_add_msix(dev, msi, msix, pm, msix, 0) < 0 ? -EINVAL : 0;
}

/* Table and PBA are checked against the BARs when the model has said all. */
static void test_msix_layout(void **state)
{
	static const struct {
		unsigned vectors, bar, table;
		const char *says;
	} bad[] = {
		{ 16, 0, 0, "overlap" },
		{ 16, 1, 0, "memory BAR1" },
		{ 16, 2, 0, "not within memory BAR2" },
		{ 16, 0, 4096 - 15 * 16, "table of 16 vectors" },
		{ 257, 0, 8, "table of 257" },
	};
	pci_function *fn = NULL;
	char err[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		msi = bad[i].vectors;
		msix = bad[i].bar;
		pm = bad[i].table;
		assert_int_equal(t_try(create_bad, NULL, 0, err, sizeof(err), &fn), -EINVAL);
		if (!strstr(err, bad[i].says))
			fail_msg("'%s' does not say '%s'", err, bad[i].says);
	}
	msi = 255;
	msix = 0;
	pm = 16;
	log_set(-1, LOG_ERR);
	/* the PBA's 32 bytes at 0 overlap */
	assert_int_equal(t_try(create_bad, NULL, 0, NULL, 0, &fn), -EINVAL);
	log_set(2, LOG_WARN);
	pm = 32;
	msi = 254;
	assert_int_equal(t_try(create_bad, NULL, 0, err, sizeof(err), &fn), 0);
	t_free(fn);
}

static void test_intx(void **state)
{
	pci_function *fn = start();

	assert_int_equal(pci_intx_pin(fn), 1);
	assert_true(pci_intx_can_disable(fn));
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_calls, 1);
	assert_int_equal(t.irqs.intx_level, 1);
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_calls, 1);
	assert_true(pci_intx_level(fn));
	/* DisINTx takes the pin, not the level */
	wr16(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(t.irqs.intx_calls, 2);
	assert_int_equal(t.irqs.intx_level, 0);
	assert_true(pci_intx_level(fn));
	wr16(PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(t.irqs.intx_level, 1);
	/* MSI, MSI-X, D3 as well; no bus mastering is no matter */
	pci_msi_enable(fn, 0);
	assert_int_equal(t.irqs.intx_level, 0);
	pci_msi_disable(fn);
	assert_int_equal(t.irqs.intx_level, 1);
	pci_msix_enable(fn);
	assert_int_equal(t.irqs.intx_level, 0);
	pci_msix_disable(fn);
	assert_int_equal(t.irqs.intx_level, 1);
	wr16(PCI_COMMAND, 0);
	assert_int_equal(t.irqs.intx_level, 1);
	wr16(pm + PCI_PM_CTRL, 3);
	assert_int_equal(t.irqs.intx_level, 0);
	wr16(pm + PCI_PM_CTRL, 0); /* which is a reset */
	assert_int_equal(t.irqs.intx_level, 0);
	assert_false(pci_intx_level(fn));
	uvfio_intx(fn, true);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(t.irqs.intx_level, 0);
	t_free(fn);
}

static int create_no_pin(struct uvfio_dev *dev)
{
	return 0;
}

static void test_no_pin(void **state)
{
	pci_function *fn = t_new(create_no_pin);

	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_calls, 0);
	assert_false(pci_intx_level(fn));
	assert_int_equal(pci_intx_pin(fn), 0);
	uvfio_msi(fn, 0);
	pci_msi_enable(fn, 0);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_INTX);
	t_free(fn);
}

/* ---- together ---- */

#define ROUNDS 20000

static atomic_bool stop;
static atomic_int sent;

static void *sender(void *arg)
{
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&sent, 1);
		uvfio_msi(arg, 1);
	}
	return NULL;
}

/*
 * A message that meets a mask is sent at unmask: with one raise around each unmask, exactly one
 * arrives. Two threads hand the rounds to each other so that raise and unmask fall together.
 */
static atomic_int round_begun, round_done;

static void *raise_each_round(void *arg)
{
	for (int i = 1; !atomic_load(&stop); i++) {
		for (int n = 0; atomic_load(&round_begun) < i && !atomic_load(&stop); n++) {
			if (n > 1000)
				sched_yield();
		}
		if (atomic_load(&round_begun) >= i)
			uvfio_msi(arg, 1);
		atomic_store(&round_done, i);
	}
	return NULL;
}

static void test_mask_race(void **state)
{
	pci_function *fn = start();
	pthread_t thread;

	pci_msix_enable(fn);
	atomic_store(&stop, false);
	atomic_store(&round_begun, 0);
	atomic_store(&round_done, 0);
	assert_int_equal(pthread_create(&thread, NULL, raise_each_round, fn), 0);
	for (int i = 1; i <= 3 * ROUNDS; i++) {
		pci_msix_entry(fn, 1, false);
		atomic_store(&round_begun, i);
		for (volatile int spin = i % 200; spin > 0; spin--)
			;
		pci_msix_entry(fn, 1, true);
		for (int n = 0; atomic_load(&round_done) < i; n++) {
			if (n > 1000)
				sched_yield();
		}
		if (t.irqs.msi[1] != i)
			fail_msg("round %d: %d messages", i, t.irqs.msi[1]);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	t_free(fn);
}

/*
 * Masking back and forth under a stream of messages: every one is sent, or merged into one that is
 * pending. At the end none waits.
 */
static void test_mask_stream(void **state)
{
	pci_function *fn = start();
	pthread_t thread;

	pci_msix_enable(fn);
	pci_msix_entry(fn, 1, true);
	atomic_store(&stop, false);
	atomic_store(&sent, 0);
	assert_int_equal(pthread_create(&thread, NULL, sender, fn), 0);
	while (!atomic_load(&sent))
		sched_yield();
	for (int i = 0; i < ROUNDS; i++) {
		pci_msix_entry(fn, 1, i & 1);
		if (i % 16 == 0)
			wr16(msix + PCI_MSIX_FLAGS,
			     PCI_MSIX_FLAGS_ENABLE | (i & 16 ? PCI_MSIX_FLAGS_MASKALL : 0));
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	wr16(msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	pci_msix_entry(fn, 1, true);
	assert_true(t.irqs.msi[1] > 0);
	assert_true(t.irqs.msi[1] <= sent);
	assert_int_equal(bar_rd(fn, PBA, 8), 0);
	t_free(fn);
}

/* A sink in which one can stand, so that what must wait for it is caught if it does not. */
static atomic_int inside, ups, downs;
static atomic_bool told_after, may_leave;

static void slow_msi(void *arg, unsigned vector)
{
	atomic_fetch_add(&inside, 1);
	usleep(2000);
	if (arg && atomic_load((atomic_bool *)arg))
		atomic_store(&told_after, true);
	atomic_fetch_sub(&inside, 1);
}

static void slow_intx(void *arg, bool level)
{
	atomic_fetch_add(level ? &ups : &downs, 1);
	atomic_fetch_add(&inside, 1);
	while (!atomic_load(&may_leave))
		usleep(1000);
	atomic_store(&t.irqs.intx_level, level);
	atomic_fetch_sub(&inside, 1);
}

static void wait_inside(void)
{
	while (!atomic_load(&inside))
		sched_yield();
}

static int inside_at_reset;

static void see_inside(struct uvfio_dev *dev)
{
	inside_at_reset = atomic_load(&inside);
}

/* After pci_set_irq_sink the old sink is not called: its argument may be gone. */
static void test_sink_change(void **state)
{
	pci_function *fn = start();
	atomic_bool gone[30];
	struct pci_irq_sink sink = { .msi = slow_msi };
	pthread_t thread;

	pci_msix_enable(fn);
	pci_msix_entry(fn, 1, true);
	atomic_store(&stop, false);
	atomic_store(&told_after, false);
	sink.arg = &gone[0];
	atomic_init(&gone[0], false);
	pci_set_irq_sink(fn, &sink);
	assert_int_equal(pthread_create(&thread, NULL, sender, fn), 0);
	for (int i = 1; i < 30; i++) {
		wait_inside();
		atomic_init(&gone[i], false);
		sink.arg = &gone[i];
		pci_set_irq_sink(fn, i % 3 ? &sink : NULL);
		atomic_store(&gone[i - 1], true);
		if (i % 3 == 0)
			pci_set_irq_sink(fn, &sink);
	}
	pci_set_irq_sink(fn, NULL);
	assert_int_equal(inside, 0);
	assert_false(atomic_load(&told_after));
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	t_free(fn);
}

/*
 * When MSI-X, bus mastering or power was taken away, or when the model is reset, no message is
 * under way.
 */
static void test_off_means_off(void **state)
{
	pci_function *fn = start();
	struct pci_irq_sink sink = { .msi = slow_msi };
	pthread_t thread;

	pci_set_irq_sink(fn, &sink);
	t.on_reset = see_inside;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, sender, fn), 0);
	for (int i = 0; i < 20; i++) {
		wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		pci_msix_enable(fn);
		pci_msix_entry(fn, 1, true);
		wait_inside();
		switch (i % 4) {
		case 0:
			pci_msix_disable(fn);
			assert_int_equal(inside, 0);
			break;
		case 1:
			wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
			assert_int_equal(inside, 0);
			break;
		case 2:
			wr16(pm + PCI_PM_CTRL, 3);
			assert_int_equal(inside, 0);
			wr16(pm + PCI_PM_CTRL, 0);
			break;
		default:
			inside_at_reset = -1;
			pci_function_reset(fn, UVFIO_RESET_FLR);
			assert_int_equal(inside_at_reset, 0);
		}
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	t_free(fn);
}

static void *raise_line(void *arg)
{
	uvfio_intx(arg, true);
	return NULL;
}

/*
 * The line moves while another thread is still telling the sink: that thread tells this too, and
 * nobody waits.
 */
static void test_intx_while_told(void **state)
{
	pci_function *fn = start();
	struct pci_irq_sink sink = { .intx = slow_intx };
	pthread_t thread;

	pci_set_irq_sink(fn, &sink);
	for (int again = 0; again < 2; again++) {
		atomic_store(&ups, 0);
		atomic_store(&downs, 0);
		atomic_store(&may_leave, false);
		assert_int_equal(pthread_create(&thread, NULL, raise_line, fn), 0);
		wait_inside();
		uvfio_intx(fn, false);
		if (again)
			uvfio_intx(fn, true);
		assert_int_equal(inside, 1);
		atomic_store(&may_leave, true);
		pthread_join(thread, NULL);
		assert_int_equal(t.irqs.intx_level, again);
		/* a fall may go unseen, a rise may not */
		assert_int_equal(ups, 1 + again);
		assert_int_equal(downs, !again);
		uvfio_intx(fn, false);
		assert_int_equal(t.irqs.intx_level, 0);
	}
	t_free(fn);
}

static void *toggler(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		uvfio_intx(arg, i & 1);
	return NULL;
}

/* However many threads move the line, the sink's last word is the line's level. */
static void test_intx_race(void **state)
{
	pci_function *fn = start();
	pthread_t threads[2];

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, toggler, fn), 0);
		for (int i = 0; i < 1000; i++)
			wr16(PCI_COMMAND, i & 1 ? PCI_COMMAND_INTX_DISABLE : 0);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		wr16(PCI_COMMAND, 0);
		assert_int_equal(pci_intx_level(fn), t.irqs.intx_level);
		uvfio_intx(fn, true);
		assert_int_equal(t.irqs.intx_level, 1);
		uvfio_intx(fn, false);
		assert_int_equal(t.irqs.intx_level, 0);
	}
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_msi_vectors),
		cmocka_unit_test(test_msi_mask),
		cmocka_unit_test(test_msi_32),
		cmocka_unit_test(test_msi_gates),
		cmocka_unit_test(test_pending_waits_for_master),
		cmocka_unit_test(test_msix_table),
		cmocka_unit_test(test_msix_pending),
		cmocka_unit_test(test_msix_beyond),
		cmocka_unit_test(test_msix_layout),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_no_pin),
		cmocka_unit_test(test_mask_race),
		cmocka_unit_test(test_mask_stream),
		cmocka_unit_test(test_sink_change),
		cmocka_unit_test(test_off_means_off),
		cmocka_unit_test(test_intx_while_told),
		cmocka_unit_test(test_intx_race),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
