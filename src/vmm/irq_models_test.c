/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq_models_test.c: interrupts of uvfio's own devices, end to end: a guest's driver that uses
 * the public functions alone, as a monitor's processor would, over testdev, edu and nvme.
 */
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "models/testdev/regs.h"
#include "vfio/kernel.h"
#include "vmm/internal.h"

#define RAM	(1ull << 20)
#define MMIO	0x80000000ull /* where BARs are put, each in 16 MiB */
#define STEP	(16ull << 20)
#define ADDRESS 0xfee00000u
#define TABLE	0x8000u /* of testdev, in BAR2 */
#define PBA	0x4000u

/* ---- a monitor ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static uint8_t *ram;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below; a leaf */
static int level;
static unsigned raised, messages, errors, requests;
static unsigned of[2048]; /* messages by their data */
static bool leave;	  /* a request is followed at once */

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool up)
{
	pthread_mutex_lock(&lock);
	level += up ? 1 : -1;
	raised += up;
	pthread_mutex_unlock(&lock);
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
	pthread_mutex_lock(&lock);
	messages++;
	if (address == ADDRESS && data < 2048)
		of[data]++;
	pthread_mutex_unlock(&lock);
}

static void on_error(void *ctx, struct uvfio_vm_device *d)
{
	pthread_mutex_lock(&lock);
	errors++;
	pthread_mutex_unlock(&lock);
}

static void on_request(void *ctx, struct uvfio_vm_device *d)
{
	if (leave)
		uvfio_vm_unassign(d);
	pthread_mutex_lock(&lock);
	requests++;
	pthread_mutex_unlock(&lock);
}

static unsigned get(const unsigned *what)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = *what;
	pthread_mutex_unlock(&lock);
	return n;
}

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static void cfg_write(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(dev, at, size, value);
}

static uint64_t bar_at(unsigned bar)
{
	return MMIO + bar * STEP;
}

static uint64_t load(unsigned bar, uint64_t at, unsigned size)
{
	uint64_t v = 0;

	assert_int_equal(uvfio_vm_mmio(vm, bar_at(bar) + at, size, &v, false), 0);
	return v;
}

static void store(unsigned bar, uint64_t at, unsigned size, uint64_t v)
{
	assert_int_equal(uvfio_vm_mmio(vm, bar_at(bar) + at, size, &v, true), 0);
}

static unsigned cap(unsigned id)
{
	unsigned at = cfg(PCI_CAPABILITY_LIST, 1);

	while (at && cfg(at, 1) != id)
		at = cfg(at + 1, 1);
	assert_true(at);
	return at;
}

/* Assign a device, and have its BARs live. */
static void begin(const char *spec)
{
	const struct uvfio_vm_ops vm_ops = { .error = on_error, .unplug_requested = on_request };
	const struct uvfio_vm_irq_ops ops = { .intx = intx, .msi = msi };
	const struct uvfio_vm_memory m = { .size = RAM, .host = ram, .fd = -1 };

	level = 0;
	raised = messages = errors = requests = 0;
	memset(of, 0, sizeof(of));
	vm = uvfio_vm_new(&vm_ops, NULL);
	assert_non_null(vm);
	assert_int_equal(uvfio_vm_use_irq_ops(vm, &ops, NULL), 0);
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	/* a timer that runs out in a test would be an event more */
	if (uvfio_vm_assign(vm, spec, "intx_timeout=1000000", &dev))
		fail_msg("%s", uvfio_vm_strerror(vm));
	for (unsigned i = 0; i < 6; i++) {
		struct uvfio_vm_bar b;

		assert_int_equal(uvfio_vm_bar_info(dev, i, &b), 0);
		if (b.size && !b.io)
			cfg_write(PCI_BASE_ADDRESS_0 + 4 * i, 4, (uint32_t)bar_at(i));
	}
	cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void finish(void)
{
	uvfio_vm_free(vm);
	assert_int_equal(level, 0);
}

/* Do what the loop has to do: how much was there. */
static int loop(void)
{
	int n, all = 0;

	while ((n = uvfio_vm_dispatch(vm, 0)) > 0)
		all += n;
	assert_int_equal(n, 0);
	return all;
}

static void reg(unsigned at, uint32_t value)
{
	store(2, at, 4, value);
}

/* ---- testdev ---- */

/* An event, its end by an access, again while it is asserted, DisINTx (tests 44, 51). */
static void test_intx(void **state)
{
	begin("testdev");
	reg(TD_INTX, 1);
	assert_int_equal(loop(), 1);
	assert_int_equal(level, 1);
	/* the guest looks: the line goes down, and comes up again, since it is asserted */
	assert_int_equal(load(2, TD_ID, 4), TD_ID_VALUE);
	assert_int_equal(level, 0);
	assert_int_equal(loop(), 1);
	assert_int_equal(raised, 2);
	reg(TD_INTX, 0);
	assert_int_equal(level, 0);
	assert_int_equal(loop(), 0);
	cfg_write(PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	reg(TD_INTX, 1);
	assert_int_equal(loop(), 0);
	cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(loop(), 1);
	assert_int_equal(level, 1);
	/* a reset of the function ends it */
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(level, 0);
	assert_int_equal(loop(), 0);
	finish();
}

/* 1, 2, 8, 32 vectors; another address while it is on; masks (tests 53, 55). */
static void test_msi(void **state)
{
	for (unsigned log2 = 0; log2 <= 5; log2++) {
		unsigned n = 1u << log2, c;

		begin("testdev");
		c = cap(PCI_CAP_ID_MSI);
		cfg_write(c + PCI_MSI_ADDRESS_LO, 4, ADDRESS);
		cfg_write(c + PCI_MSI_DATA_64, 2, 0x40);
		cfg_write(c + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | log2 << 4);
		assert_int_equal(cfg(c + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE, 1);
		assert_int_equal(load(2, TD_IRQ_MODE, 4), 1);
		reg(TD_MSI_BURST, n << 16);
		assert_int_equal(loop(), n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(of[0x40 + i], 1);
		reg(TD_MSI, n - 1);
		cfg_write(c + PCI_MSI_DATA_64, 2, 0x80);
		assert_int_equal(loop(), 1);
		assert_int_equal(of[0x80 + n - 1], 1);
		cfg_write(c + PCI_MSI_MASK_64, 4, 1);
		reg(TD_MSI, 0);
		reg(TD_MSI, 0);
		assert_int_equal(loop(), 0);
		assert_int_equal(cfg(c + PCI_MSI_PENDING_64, 4), 1);
		cfg_write(c + PCI_MSI_MASK_64, 4, 0);
		assert_int_equal(loop(), 1);
		assert_int_equal(cfg(c + PCI_MSI_PENDING_64, 4), 0);
		cfg_write(c + PCI_MSI_FLAGS, 2, 0);
		assert_int_equal(load(2, TD_IRQ_MODE, 4), 0);
		reg(TD_INTX, 1);
		assert_int_equal(loop(), 1);
		assert_int_equal(level, 1);
		finish();
	}
}

static void entry(unsigned i, bool masked)
{
	store(2, TABLE + i * 16, 8, ADDRESS);
	store(2, TABLE + i * 16 + 8, 8, i | (uint64_t)masked << 32);
}

static void msix_control(uint16_t flags)
{
	cfg_write(cap(PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2, flags);
}

/* Switched on with all masked, then vectors in any order, masks (tests 56, 57, 58, 63). */
static void test_msix(void **state)
{
	static const unsigned order[] = { 5, 0, 63 };

	begin("testdev");
	assert_int_equal(load(2, TABLE + 12, 4), 1);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(load(2, TD_IRQ_MODE, 4), 2);
	reg(TD_MSI_BURST, 64 << 16);
	assert_int_equal(loop(), 0);
	/* what was sent before it had a vector waits in the device, and shows */
	assert_true(load(2, PBA, 8) == UINT64_MAX);
	for (unsigned k = 0; k < 3; k++) {
		entry(order[k], false);
		assert_int_equal(loop(), 1);
		for (unsigned i = 0; i <= k; i++) {
			reg(TD_MSI, order[i]);
			assert_int_equal(loop(), 1);
		}
		assert_int_equal(of[order[k]], 2);
	}
	assert_true(load(2, PBA, 8) == (UINT64_MAX & ~(1ull << 63 | 1ull << 5 | 1)));
	entry(63, true);
	for (int i = 0; i < 3; i++)
		reg(TD_MSI, 63);
	assert_int_equal(loop(), 0);
	assert_true(load(2, PBA, 8) >> 63);
	entry(63, false);
	assert_int_equal(loop(), 1);
	assert_false(load(2, PBA, 8) >> 63);
	/* bytes and words of the table are nobody's */
	store(2, TABLE, 1, 0x55);
	store(2, TABLE + 2, 2, 0x55);
	assert_int_equal(load(2, TABLE, 4), ADDRESS);
	/* a reset masks all, and INTx is back */
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	cfg_write(PCI_BASE_ADDRESS_2, 4, (uint32_t)bar_at(2));
	cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(load(2, TD_IRQ_MODE, 4), 0);
	assert_int_equal(load(2, TABLE + 63 * 16 + 12, 4), 1);
	finish();
}

/* The function mask: all vectors at once (test 59). */
static void test_function_mask(void **state)
{
	begin("testdev");
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < 64; i++)
		entry(i, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	reg(TD_MSI_BURST, 64 << 16);
	assert_int_equal(loop(), 64);
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	reg(TD_MSI_BURST, 64 << 16);
	assert_int_equal(loop(), 0);
	assert_true(load(2, PBA, 8) == UINT64_MAX);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(loop(), 64);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(of[i], 2);
	finish();
}

/* 2048 vectors, which need more files than may be open (test 64). */
static void test_open_files(void **state)
{
	struct rlimit was, low = { 1024, 1024 };

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low.rlim_max = was.rlim_max;
	if (was.rlim_max < 16384) /* the eventfds, and the device's */
		return;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	begin("testdev,vectors=2048");
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < 2048; i++)
		entry(i, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	reg(TD_MSI_BURST, 2048u << 16);
	assert_int_equal(loop(), 2048);
	for (unsigned i = 0; i < 2048; i++)
		assert_int_equal(of[i], 1);
	finish();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

/* Errors, and a request, which is told once; the handler takes the device away (tests 65, 73). */
static void test_events(void **state)
{
	struct vfio_device *v;

	begin("testdev");
	reg(TD_ERROR, TD_ERROR_FATAL | 4);
	assert_int_equal(loop(), 1);
	assert_int_equal(errors, 1);
	v = dev->plugged->vdev;
	for (unsigned i = 0; i < 3; i++) {
		v->ops->request(v, i);
		assert_int_equal(loop(), 1);
	}
	assert_int_equal(requests, 1);
	finish();

	leave = true;
	begin("testdev");
	assert_int_equal(uvfio_vm_start_thread(vm), 0);
	v = dev->plugged->vdev;
	v->ops->request(v, 0);
	while (!get(&requests))
		usleep(100);
	leave = false;
	finish();
}

static atomic_bool stop;

static void *request(void *arg)
{
	struct vfio_device *v = arg;

	for (unsigned n = 0; !stop; n++) {
		v->ops->request(v, n);
		sched_yield();
	}
	return NULL;
}

/*
 * Requests come all the time, also while the device is being assigned: its handler takes it away,
 * whoever has heard of it by then (test 65: both may come meanwhile).
 */
static void test_early(void **state)
{
	static const struct uvfio_vm_ops vm_ops = { .unplug_requested = on_request };
	static const struct uvfio_vm_irq_ops ops = { .intx = intx, .msi = msi };
	struct machine_device *plugged;
	pthread_t thread;

	vm = uvfio_vm_new(&vm_ops, NULL);
	assert_int_equal(uvfio_vm_use_irq_ops(vm, &ops, NULL), 0);
	assert_int_equal(machine_add(vm->machine, "testdev", NULL), 0);
	plugged = machine_device(vm->machine, 0);
	leave = true;
	stop = false;
	requests = 0;
	assert_int_equal(uvfio_vm_start_thread(vm), 0);
	assert_int_equal(pthread_create(&thread, NULL, request, plugged->vdev), 0);
	for (unsigned i = 0; i < 100; i++) {
		int rc;

		/* the one before may be on its way out */
		while ((rc = uvfio_vm_assign(vm, plugged->addr, NULL, &dev)) == -EBUSY)
			sched_yield();
		assert_int_equal(rc, 0);
		while (get(&requests) == i)
			usleep(50);
	}
	stop = true;
	pthread_join(thread, NULL);
	leave = false;
	finish();
}

static void *storm(void *arg)
{
	while (!stop) {
		uvfio_vm_bar_write(dev, 2, TD_MSI_BURST, 4, 8 << 16);
		sched_yield();
	}
	return NULL;
}

/* 1000 times on and off, and nothing comes when it is off (test 62). */
static void test_storm(void **state)
{
	pthread_t thread;
	unsigned before;

	begin("testdev");
	for (unsigned i = 0; i < 8; i++)
		entry(i, false);
	stop = false;
	assert_int_equal(uvfio_vm_start_thread(vm), 0);
	assert_int_equal(pthread_create(&thread, NULL, storm, NULL), 0);
	for (unsigned round = 0; round < 1000; round++) {
		before = get(&messages);
		msix_control(PCI_MSIX_FLAGS_ENABLE);
		while (round % 50 == 0 && get(&messages) == before)
			usleep(50);
		msix_control(0);
		before = get(&messages);
		sched_yield();
		assert_int_equal(get(&messages), before);
	}
	stop = true;
	pthread_join(thread, NULL);
	finish();
}

/* ---- edu ---- */

static void test_edu(void **state)
{
	unsigned c;

	begin("edu");
	store(0, 0x60, 4, 5); /* raise */
	assert_int_equal(loop(), 1);
	assert_int_equal(level, 1);
	assert_int_equal(load(0, 0x24, 4), 5);
	store(0, 0x64, 4, 5); /* acknowledge */
	loop();
	store(0, 0x64, 4, 5);
	assert_int_equal(level, 0);
	c = cap(PCI_CAP_ID_MSI);
	cfg_write(c + PCI_MSI_ADDRESS_LO, 4, ADDRESS);
	cfg_write(c + PCI_MSI_DATA_64, 2, 0x31);
	cfg_write(c + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	for (unsigned i = 1; i <= 50; i++) {
		store(0, 0x60, 4, 1);
		assert_int_equal(loop(), 1);
		store(0, 0x64, 4, 1);
		assert_int_equal(of[0x31], i);
	}
	finish();
}

/* ---- nvme: an admin command, whose completion interrupts ---- */

/* NVMe 2.0, 3.1.3 */
#define CC   0x14
#define CSTS 0x1c
#define AQA  0x24
#define ASQ  0x28
#define ACQ  0x30
#define SQ0  0x1000
#define CQ0  0x1004

static void nvme_start(void)
{
	store(0, CC, 4, 0);
	while (load(0, CSTS, 4) & 1)
		sched_yield();
	memset(ram, 0, RAM);
	store(0, AQA, 4, 7 << 16 | 7);
	store(0, ASQ, 8, 0x1000);
	store(0, ACQ, 8, 0x2000);
	store(0, CC, 4, 6 << 16 | 4 << 20 | 1);
	while (!(load(0, CSTS, 4) & 1))
		sched_yield();
}

/* Identify the controller, as command @n. */
static void nvme_identify(unsigned n)
{
	uint32_t *cmd = (uint32_t *)(ram + 0x1000 + n * 64);

	cmd[0] = 6 | n << 16;
	cmd[6] = 0x3000;
	cmd[10] = 1;
	store(0, SQ0, 4, n + 1);
}

/* The guest has seen the completion of command @n. */
static void nvme_seen(unsigned n)
{
	assert_int_equal(ram[0x2000 + n * 16 + 12], n);
	assert_int_equal(ram[0x2000 + n * 16 + 14], 1);
	store(0, CQ0, 4, n + 1);
}

static void test_nvme(void **state)
{
	int image = memfd_create("image", MFD_CLOEXEC);
	char spec[64];

	assert_int_equal(ftruncate(image, 1 << 20), 0);
	snprintf(spec, sizeof(spec), "nvme,image=/proc/self/fd/%d", image);
	begin(spec);
	/* INTx: the line is up until the guest has seen what is in the queue */
	nvme_start();
	nvme_identify(0);
	while (!raised)
		assert_true(uvfio_vm_dispatch(vm, -1) >= 0);
	nvme_seen(0);
	loop();
	load(0, CSTS, 4);
	assert_int_equal(loop(), 0);
	assert_int_equal(level, 0);
	/* MSI-X; the table is in BAR0 or another one */
	nvme_start();
	{
		unsigned c = cap(PCI_CAP_ID_MSIX), where = cfg(c + PCI_MSIX_TABLE, 4);

		msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
		store(where & 7, where & ~7u, 8, ADDRESS);
		store(where & 7, (where & ~7u) + 8, 8, 77);
		msix_control(PCI_MSIX_FLAGS_ENABLE);
	}
	for (unsigned n = 0; n < 4; n++) {
		nvme_identify(n);
		while (get(&of[77]) == n)
			assert_true(uvfio_vm_dispatch(vm, -1) >= 0);
		nvme_seen(n);
	}
	assert_true(ram[0x3000 + 4]); /* its serial number */
	finish();
	close(image);
}

/* ---- an older kernel's VFIO ---- */

/* The number of vectors is fixed when they are switched on (test 57, NORESIZE). */
static void test_noresize(void **state)
{
	static const unsigned order[] = { 5, 0, 63, 7 };

	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	begin("testdev");
	assert_true(dev->irq.msix_noresize);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(load(2, TD_IRQ_MODE, 4), 2);
	for (unsigned k = 0; k < 4; k++) {
		entry(order[k], false);
		for (unsigned i = 0; i <= k; i++) {
			reg(TD_MSI, order[i]);
			assert_int_equal(loop(), 1);
		}
	}
	assert_int_equal(of[5], 4);
	assert_int_equal(of[7], 1);
	finish();
}

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ram == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intx),	   cmocka_unit_test(test_msi),
		cmocka_unit_test(test_msix),	   cmocka_unit_test(test_function_mask),
		cmocka_unit_test(test_open_files), cmocka_unit_test(test_events),
		cmocka_unit_test(test_early),	   cmocka_unit_test(test_storm),
		cmocka_unit_test(test_edu),	   cmocka_unit_test(test_nvme),
		cmocka_unit_test(test_noresize),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
