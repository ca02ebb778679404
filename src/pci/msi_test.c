/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSI, MSI-X and INTx: what is sent, what waits, what is dropped; and delivery against everything
 * that changes under it.
 */
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
		n += t.msi[i];
	return n;
}

static void test_off(void **state)
{
	pci_function *fn = start();

	uvfio_msi(fn, 0);
	assert_int_equal(total(), 0);
	assert_int_equal(pci_irq_mode(fn), UVFIO_IRQ_INTX);
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
	assert_int_equal(pci_irq_mode(fn), UVFIO_IRQ_MSI);
	assert_int_equal(rd16(msi + PCI_MSI_FLAGS), PCI_MSI_FLAGS_ENABLE | 2 << 4 | 3 << 1 | 0x180);
	for (unsigned v = 0; v < 9; v++)
		uvfio_msi(fn, v);
	assert_int_equal(t.msi[0], 3); /* 0, 4, 8: the function has four messages to send */
	assert_int_equal(t.msi[3], 2);
	assert_int_equal(t.msi[4], 0);
	/* more than it can: what it can */
	wr16(msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 7 << 4);
	uvfio_msi(fn, 7);
	assert_int_equal(t.msi[7], 1);
	uvfio_msi(fn, 8);
	assert_int_equal(t.msi[0], 4);
	pci_msi_disable(fn);
	uvfio_msi(fn, 0);
	assert_int_equal(t.msi[0], 4);
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
	assert_int_equal(t.msi[0], 0);
	assert_int_equal(t.msi[1], 1);
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 5);
	assert_int_equal(rd8(msi + PCI_MSI_PENDING_64 + 1), 0);
	wr32(msi + PCI_MSI_PENDING_64, 0); /* read-only */
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 5);
	wr8(msi + PCI_MSI_MASK_64, 0x04);
	assert_int_equal(t.msi[0], 1); /* once, however often it was raised */
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 4);
	/* what waits when MSI is switched off is forgotten */
	pci_msi_disable(fn);
	assert_int_equal(rd32(msi + PCI_MSI_PENDING_64), 0);
	pci_msi_enable(fn, 3);
	assert_int_equal(rd32(msi + PCI_MSI_MASK_64), 0);
	assert_int_equal(t.msi[2], 0);
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
	assert_int_equal(t.msi[0], 1);
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
	assert_int_equal(t.msi[5], 1);
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
	assert_int_equal(pci_irq_mode(fn), UVFIO_IRQ_MSIX);
	pci_msix_entry(fn, 3, true);
	uvfio_msi(fn, 3);
	assert_int_equal(t.msi[3], 1);
	uvfio_msi(fn, 70);
	uvfio_msi(fn, 70);
	assert_int_equal(t.msi[70], 0);
	assert_int_equal(bar_rd(fn, PBA + 8, 8), 1 << 6);
	assert_int_equal(bar_rd(fn, PBA + 8, 1), 1 << 6);
	assert_int_equal(bar_rd(fn, PBA, 8), 0);
	assert_int_equal(pci_bar_write(fn, 0, PBA + 8, 8, 0), 0); /* read-only */
	assert_int_equal(bar_rd(fn, PBA + 8, 4), 1 << 6);
	assert_int_equal(pci_bar_write(fn, 0, TABLE + 70 * 16 + 12, 4, 0), 0);
	assert_int_equal(t.msi[70], 1);
	assert_int_equal(bar_rd(fn, PBA + 8, 4), 0);
	/* function mask holds all, entry masks or not */
	wr16(msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	uvfio_msi(fn, 3);
	uvfio_msi(fn, 4);
	assert_int_equal(t.msi[3], 1);
	assert_int_equal(bar_rd(fn, PBA, 4), 0x18);
	pci_msix_entry(fn, 3, true);
	assert_int_equal(t.msi[3], 1);
	wr16(msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(t.msi[3], 2);
	assert_int_equal(t.msi[4], 0);
	assert_int_equal(bar_rd(fn, PBA, 4), 0x10);
	/* off and on again: forgotten, and masked by what enables it */
	pci_msix_disable(fn);
	assert_int_equal(bar_rd(fn, PBA, 4), 0);
	pci_msix_enable(fn);
	assert_int_equal(bar_rd(fn, TABLE + 3 * 16 + 12, 4), 1);
	pci_msix_entry(fn, 4, true);
	assert_int_equal(t.msi[4], 0);
	/* a reset too */
	uvfio_msi(fn, 9);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(pci_irq_mode(fn), UVFIO_IRQ_INTX);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(bar_rd(fn, PBA, 4), 0);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 9, true);
	assert_int_equal(t.msi[9], 0);
	t_free(fn);
}

static void count_lines(int level, const char *line, void *arg)
{
	++*(int *)arg;
}

static void test_msix_beyond(void **state)
{
	pci_function *fn = start();
	int lines = 0;

	pci_msix_enable(fn);
	log_set(-1, LOG_WARN);
	log_tap(count_lines, &lines);
	uvfio_msi(fn, 100);
	uvfio_msi(fn, ~0u);
	log_tap(NULL, NULL);
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
	static const struct { unsigned vectors, bar, table; const char *says; } bad[] = {
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
	assert_int_equal(t.intx_calls, 1);
	assert_int_equal(t.intx_level, 1);
	uvfio_intx(fn, true);
	assert_int_equal(t.intx_calls, 1);
	assert_true(pci_intx_level(fn));
	/* DisINTx takes the pin, not the level */
	wr16(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(t.intx_calls, 2);
	assert_int_equal(t.intx_level, 0);
	assert_true(pci_intx_level(fn));
	wr16(PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_int_equal(t.intx_level, 1);
	/* MSI, MSI-X, D3 as well; no bus mastering is no matter */
	pci_msi_enable(fn, 0);
	assert_int_equal(t.intx_level, 0);
	pci_msi_disable(fn);
	assert_int_equal(t.intx_level, 1);
	pci_msix_enable(fn);
	assert_int_equal(t.intx_level, 0);
	pci_msix_disable(fn);
	assert_int_equal(t.intx_level, 1);
	wr16(PCI_COMMAND, 0);
	assert_int_equal(t.intx_level, 1);
	wr16(pm + PCI_PM_CTRL, 3);
	assert_int_equal(t.intx_level, 0);
	wr16(pm + PCI_PM_CTRL, 0); /* which is a reset */
	assert_int_equal(t.intx_level, 0);
	assert_false(pci_intx_level(fn));
	uvfio_intx(fn, true);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(t.intx_level, 0);
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
	assert_int_equal(t.intx_calls, 0);
	assert_false(pci_intx_level(fn));
	assert_int_equal(pci_intx_pin(fn), 0);
	uvfio_msi(fn, 0);
	pci_msi_enable(fn, 0);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 0, true);
	assert_int_equal(pci_irq_mode(fn), UVFIO_IRQ_INTX);
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
 * A message that meets a mask is sent at unmask: with one raise between two unmasks, exactly one
 * arrives for each.
 */
static void *raise_once(void *arg)
{
	uvfio_msi(arg, 1);
	return NULL;
}

static void test_mask_race(void **state)
{
	pci_function *fn = start();
	pthread_t thread;

	pci_msix_enable(fn);
	for (int i = 1; i <= 300; i++) {
		pci_msix_entry(fn, 1, false);
		assert_int_equal(pthread_create(&thread, NULL, raise_once, fn), 0);
		for (volatile int spin = i * 37 % 4000; spin > 0; spin--)
			;
		pci_msix_entry(fn, 1, true);
		pthread_join(thread, NULL);
		assert_int_equal(t.msi[1], i);
	}
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
	assert_true(t.msi[1] > 0);
	assert_true(t.msi[1] <= sent);
	assert_int_equal(bar_rd(fn, PBA, 8), 0);
	t_free(fn);
}

/*
 * After pci_set_irq_sink the old sink is not called: its argument may be gone. And after a disable
 * nothing comes.
 */
struct guarded_sink { atomic_int calls; atomic_bool gone; };

static void guarded_msi(void *arg, unsigned vector)
{
	struct guarded_sink *s = arg;

	assert_false(atomic_load(&s->gone));
	atomic_fetch_add(&s->calls, 1);
}

static void test_sink_change(void **state)
{
	pci_function *fn = start();
	struct guarded_sink *sinks = calloc(200, sizeof(*sinks));
	struct pci_irq_sink sink = { .msi = guarded_msi };
	pthread_t threads[2];
	int before;

	assert_non_null(sinks);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 1, true);
	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sender, fn), 0);
	for (int i = 0; i < 200; i++) {
		sink.arg = &sinks[i];
		pci_set_irq_sink(fn, i % 3 ? &sink : NULL);
		if (i)
			atomic_store(&sinks[i - 1].gone, true);
	}
	pci_set_irq_sink(fn, NULL);
	atomic_store(&sinks[199].gone, true);

	pci_set_irq_sink(fn, &t_sink);
	for (int i = 0; i < 50; i++) {
		pci_msix_disable(fn);
		before = t.msi[1];
		for (volatile int spin = 2000; spin > 0; spin--)
			;
		assert_int_equal(t.msi[1], before);
		pci_msix_enable(fn);
		pci_msix_entry(fn, 1, true);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	free(sinks);
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
		assert_int_equal(pci_intx_level(fn), t.intx_level);
		uvfio_intx(fn, true);
		assert_int_equal(t.intx_level, 1);
		uvfio_intx(fn, false);
		assert_int_equal(t.intx_level, 0);
	}
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),	    cmocka_unit_test(test_msi_vectors),
		cmocka_unit_test(test_msi_mask),    cmocka_unit_test(test_msi_32),
		cmocka_unit_test(test_msi_gates),   cmocka_unit_test(test_pending_waits_for_master),
		cmocka_unit_test(test_msix_table),  cmocka_unit_test(test_msix_pending),
		cmocka_unit_test(test_msix_beyond), cmocka_unit_test(test_msix_layout),
		cmocka_unit_test(test_intx),	    cmocka_unit_test(test_no_pin),
		cmocka_unit_test(test_mask_race),   cmocka_unit_test(test_mask_stream),
		cmocka_unit_test(test_sink_change), cmocka_unit_test(test_intx_race),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
