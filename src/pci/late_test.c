/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/late_test.c: what a user wants to go wrong with a function (fault/fault.h): interrupts that
 * are lost, late, doubled, in another order; registers that read as ones.
 */
#include <sched.h>

#include "fault/test_fault_table.h"
#include "pci/test_function.h"

static const struct uvfio_reg regs[] = {
	{ .name = "ID", .offset = 0, .bar = 0, .width = 4 },
	{ .name = "STATUS", .offset = 4, .bar = 0, .width = 4 },
	{ 0 },
};

static int create(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, 65536, 0), 0);
	assert_int_equal(uvfio_add_intx(dev, 1, true), 0);
	uvfio_add_msix(dev, 8, 0, 0x1000, 0, 0x8000);
	return 0;
}

static pci_function *fn;

static int setup(void **state)
{
	t_model.regs = regs;
	fn = t_new(create);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	faults_begin(1);
	return 0;
}

static int teardown(void **state)
{
	faults_end();
	t_free(fn);
	return 0;
}

static void enable(void)
{
	pci_msix_enable(fn);
	for (unsigned i = 0; i < 8; i++)
		pci_msix_entry(fn, i, true);
}

/* Wait until @count is @n, for so long that it is not load. */
static bool becomes(atomic_int *count, int n)
{
	uint64_t end = now_ns() + 20000000000ull;

	while (atomic_load(count) != n && now_ns() < end)
		sched_yield();
	return atomic_load(count) == n;
}

static void test_dropped(void **state)
{
	enable();
	faults_add("msi=drop,vector=2-3,times=2");
	for (unsigned i = 0; i < 8; i++)
		uvfio_msi(fn, i);
	uvfio_msi(fn, 2);
	assert_int_equal(t.irqs.msi[1], 1);
	assert_int_equal(t.irqs.msi[2], 1);
	assert_int_equal(t.irqs.msi[3], 0);
	assert_int_equal(t.irqs.msi[4], 1);
}

/* What nobody would have got is no access. */
static void test_not_sent(void **state)
{
	faults_add("msi=drop");
	uvfio_msi(fn, 0);
	assert_int_equal(atomic_load(&test_faults->slot[0].of[1].seen), 0);
}

static void test_delayed(void **state)
{
	uint64_t start = now_ns();

	enable();
	faults_add("msi=delay:20ms,times=1");
	uvfio_msi(fn, 5);
	uvfio_msi(fn, 6);
	assert_int_equal(t.irqs.msi[6], 1);
	assert_true(becomes(&t.irqs.msi[5], 1));
	assert_true(now_ns() - start >= 20000000);
}

/* A message that is late meets the masks of then. */
static void test_delayed_and_masked(void **state)
{
	uint64_t pending;

	enable();
	faults_add("msi=delay:1ms,times=1");
	pci_msix_entry(fn, 5, false);
	uvfio_msi(fn, 5);
	do
		assert_int_equal(pci_bar_read(fn, 0, 0x8000, 8, &pending), 0);
	while (!(pending & 1u << 5));
	assert_int_equal(t.irqs.msi[5], 0);
	pci_msix_entry(fn, 5, true);
	assert_int_equal(t.irqs.msi[5], 1);
}

static void test_doubled(void **state)
{
	enable();
	faults_add("msi=duplicate,times=1");
	uvfio_msi(fn, 1);
	assert_true(atomic_load(&t.irqs.msi[1]) >= 1);
	assert_true(becomes(&t.irqs.msi[1], 2));
}

static int order[4];
static atomic_uint ordered;

static void on_msi(void *arg, unsigned vector)
{
	order[atomic_fetch_add(&ordered, 1) & 3] = (int)vector;
}

static void test_reordered(void **state)
{
	const struct pci_irq_sink sink = { .msi = on_msi };

	enable();
	pci_set_irq_sink(fn, &sink);
	atomic_store(&ordered, 0);
	faults_add("msi=reorder,times=1");
	uvfio_msi(fn, 1);
	uvfio_msi(fn, 2);
	/* 10 ms later it came anyway, if this thread slept so long */
	while (atomic_load(&ordered) < 2)
		sched_yield();
	uvfio_msi(fn, 3);
	pci_set_irq_sink(fn, NULL);
	assert_int_equal(atomic_load(&ordered), 3);
	assert_int_equal(order[0] + order[1], 3);
	assert_int_equal(order[2], 3);
}

/* Without another one it comes by itself. */
static void test_reordered_alone(void **state)
{
	enable();
	faults_add("msi=reorder");
	uvfio_msi(fn, 1);
	assert_true(becomes(&t.irqs.msi[1], 1));
}

static void test_too_many(void **state)
{
	enable();
	faults_add("msi=delay:60s");
	for (unsigned i = 0; i < 100; i++)
		uvfio_msi(fn, 0);
	/* those for which there is no room come at once; the others go with the function */
	assert_int_equal(t.irqs.msi[0], 36);
}

static void test_line(void **state)
{
	faults_add("intx=drop,times=1");
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_rises, 0);
	uvfio_intx(fn, false);
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_rises, 1);
	uvfio_intx(fn, false);
	faults_add("intx=delay:1ms,times=1");
	uvfio_intx(fn, true);
	assert_true(becomes(&t.irqs.intx_rises, 2));
	uvfio_intx(fn, false);
	/* once more, though nobody asks any more */
	faults_add("intx=duplicate,times=1");
	uvfio_intx(fn, true);
	uvfio_intx(fn, false);
	assert_true(becomes(&t.irqs.intx_rises, 4));
}

static void test_registers(void **state)
{
	uint64_t v;

	faults_add("read=ones,reg=STATUS");
	faults_add("read=ones,addr=0x100-0x1ff,bar=0,times=1");
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), 0);
	assert_int_equal(v, 0x55667788);
	assert_int_equal(pci_bar_read(fn, 0, 4, 4, &v), 0);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(pci_bar_read(fn, 0, 0x120, 2, &v), 0);
	assert_int_equal(v, 0xffff);
	assert_int_equal(pci_bar_read(fn, 0, 0x120, 2, &v), 0);
	assert_int_equal(v, 0x7788);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dropped),
		TEST(test_not_sent),
		TEST(test_delayed),
		TEST(test_delayed_and_masked),
		TEST(test_doubled),
		TEST(test_reordered),
		TEST(test_reordered_alone),
		TEST(test_too_many),
		TEST(test_line),
		TEST(test_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
