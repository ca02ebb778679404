/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/happen_test.c: what a user wants to happen to a device while it is used. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/sys.h"
#include "fault/test_fault_table.h"
#include "machine/internal.h"
#include "machine/test_dir.h"
#include "models/testdev/regs.h"
#include "pci/function.h"
#include "vfio/open.h"

static struct machine *m;
static struct machine_device *d;
static struct vfio_open o;

static void start(const char *spec)
{
	uint16_t command = PCI_COMMAND_MEMORY;

	assert_int_equal(guard_install(), 0);
	m = MACHINE(spec);
	d = machine_device(m, 0);
	vfio_open_init(&o, d->vdev);
	assert_int_equal(vfio_open_bind(&o), 0);
	assert_int_equal(
		vfio_device_rw(&o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true),
		2);
}

static void stop(void)
{
	vfio_open_close(&o);
	machine_free(m, false);
	faults_end();
}

static uint32_t get(unsigned bar, uint64_t reg)
{
	uint32_t value = 0;

	assert_int_equal(vfio_device_rw(&o, bar, reg, &value, 4, false), 4);
	return value;
}

/* Read a register until it is @want, for so long that it is not load. */
static void wait_for(unsigned bar, uint64_t reg, uint32_t mask, uint32_t want)
{
	uint64_t end = now_ns() + 20000000000ull;

	while ((get(bar, reg) & mask) != want) {
		assert_true(now_ns() < end);
		sched_yield();
	}
}

/* Have @index signal an eventfd. */
static int irq(unsigned index)
{
	int32_t fd = eventfd(0, 0);
	const struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.count = 1,
		.data = &fd,
	};

	assert_int_equal(vfio_device_set_irqs(&o, &a), 0);
	return fd;
}

/* Wait for the signal, however long it takes. */
static void hear(int fd)
{
	uint64_t n;

	assert_int_equal(read(fd, &n, 8), 8);
	close(fd);
}

static void pulled_out(void **state)
{
	int fd;

	faults_begin(1);
	start("testdev");
	fd = irq(VFIO_PCI_REQ_IRQ_INDEX);
	faults_add("unplug,bar=2,addr=0x24,after=1");
	assert_int_equal(get(2, TD_SCRATCH32), 0);
	assert_int_equal(get(2, TD_ID), TD_ID_VALUE);
	get(2, TD_SCRATCH32);
	hear(fd);
	assert_int_equal(get(2, TD_ID), 0xffffffff);
	stop();
}

static void asked_for(void **state)
{
	int fd;

	faults_begin(1);
	start("testdev");
	fd = irq(VFIO_PCI_REQ_IRQ_INDEX);
	faults_add("unplug=request");
	get(2, TD_ID);
	hear(fd);
	assert_int_equal(get(2, TD_ID), TD_ID_VALUE);
	assert_int_equal(vfio_device_open(d->vdev), -ENODEV);
	stop();
}

static void reset(void **state)
{
	uint32_t before;

	faults_begin(1);
	start("testdev");
	before = get(2, TD_RESETS);
	faults_add("reset=flr");
	wait_for(2, TD_RESETS, ~0u, before + 1);
	assert_int_equal(get(2, TD_LAST_RESET), UVFIO_RESET_FLR);
	faults_add("reset=bus");
	wait_for(2, TD_RESETS, ~0u, before + 2);
	assert_int_equal(get(2, TD_LAST_RESET), UVFIO_RESET_BUS);
	stop();
}

static void error(void **state)
{
	int fd;

	faults_begin(1);
	start("testdev");
	fd = irq(VFIO_PCI_ERR_IRQ_INDEX);
	faults_add("aer=fatal");
	get(2, TD_ID);
	hear(fd);
	stop();
}

/* Without any access, at its time. */
static void at_a_time(void **state)
{
	uint64_t end = now_ns() + 20000000000ull;
	pci_function *fn;
	unsigned aer;

	faults_begin(1);
	faults_add("aer=nonfatal,at=50ms");
	start("testdev");
	fn = d->face->hardware;
	aer = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ERR);
	while (!pci_config_read(fn, aer + PCI_ERR_UNCOR_STATUS, 4)) {
		assert_true(now_ns() < end);
		sched_yield();
	}
	stop();
}

static void link_down(void **state)
{
	const uint32_t slu = 0x40;
	uint32_t status;

	faults_begin(1);
	start("igb,net=peer:b,id=a");
	assert_int_equal(machine_add(m, "igb,id=b", NULL), 0);
	assert_int_equal(vfio_device_rw(&o, 0, 0, (void *)(uintptr_t)&slu, 4, true), 4);
	status = get(0, 8);
	assert_true(status & 2); /* STATUS.LU */
	get(0, 0xc0);
	faults_add("link=down:20ms");
	get(0, 0);
	wait_for(0, 0xc0, 4, 4); /* ICR.LSC: it went down */
	wait_for(0, 8, 2, 2);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pulled_out), cmocka_unit_test(asked_for),
		cmocka_unit_test(reset),      cmocka_unit_test(error),
		cmocka_unit_test(at_a_time),  cmocka_unit_test(link_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
