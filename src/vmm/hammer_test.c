/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/hammer_test.c: a device comes and goes a hundred times while processors of the guest access
 * its BARs and config space, interrupts are on their way and the timer of INTx runs out (test 72).
 * ThreadSanitizer and AddressSanitizer look on.
 */
#include <linux/pci_regs.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/sys.h"
#include "vmm/internal.h"

#define ROUNDS 100u
#define VCPUS  3u

/* testdev (docs/testdev.md) */
#define BAR0	0x10000000u
#define BAR2	0x20000000u
#define PORTS	0x1000u
#define TD_ID	0x54465655u
#define TD_INTX 0x44u
#define TD_MSI	0x40u

static struct {
	struct uvfio_vm *vm;
	/* a monitor's bus: it takes a device out before it unassigns it */
	pthread_rwlock_t bus;
	struct uvfio_vm_device *dev;
	atomic_bool stop;
	atomic_ulong answered, refused, config, raised, maps;
} g;

static void intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	atomic_fetch_add(&g.raised, level);
}

static void msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	atomic_fetch_add(&g.raised, 1);
}

static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	atomic_fetch_add(&g.maps, 1);
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	atomic_fetch_sub(&g.maps, 1);
}

/* An access of memory: an answer of the device, or all ones, or there is nothing. */
static void access_memory(uint32_t random)
{
	uint64_t value = 0;

	if (!uvfio_vm_mmio(g.vm, BAR2, 4, &value, false)) {
		assert_true(value == TD_ID || value == UINT32_MAX);
		atomic_fetch_add(&g.answered, 1);
	} else {
		atomic_fetch_add(&g.refused, 1);
	}
	value = 1;
	uvfio_vm_mmio(g.vm, BAR2 + (random & 1 ? TD_INTX : TD_MSI), 4, &value, true);
	value = random;
	/* the table of MSI-X, and plain memory */
	uvfio_vm_mmio(g.vm, BAR2 + 0x8000 + random % 0x400, 4, &value, random & 64);
	uvfio_vm_mmio(g.vm, BAR0 + random % 0x10000, 1 << random % 4, &value, random & 64);
}

static void access_config(uint32_t random)
{
	static const uint32_t where[] = { BAR2, BAR2 + 0x100000 };

	pthread_rwlock_rdlock(&g.bus);
	if (g.dev) {
		switch (random % 8) {
		case 0:
			uvfio_vm_config_write(g.dev, PCI_COMMAND, 2, random >> 8 & 7);
			break;
		case 1:
			uvfio_vm_config_write(g.dev, PCI_BASE_ADDRESS_2, 4, where[random >> 8 & 1]);
			break;
		case 2:
			uvfio_vm_config_write(g.dev, PCI_BASE_ADDRESS_0, 4, BAR0);
			break;
		case 3:
			/* capabilities, any of them */
			uvfio_vm_config_write(g.dev, (0x40 + random % 0xc0) & ~3u, 4, random);
			break;
		default:
			uvfio_vm_config_write(g.dev, PCI_BASE_ADDRESS_2, 4, BAR2);
			uvfio_vm_config_write(g.dev, PCI_COMMAND, 2, 7);
			uvfio_vm_config_read(g.dev, random % 0x100 & ~3u, 4);
		}
		atomic_fetch_add(&g.config, 1);
	}
	pthread_rwlock_unlock(&g.bus);
}

static void *vcpu(void *arg)
{
	uint32_t random = (uint32_t)(uintptr_t)arg, port;

	while (!atomic_load(&g.stop)) {
		random = random * 1664525u + 1013904223u;
		access_memory(random >> 4);
		if (random & 0x10000)
			access_config(random >> 8);
		port = 0;
		uvfio_vm_pio(g.vm, PORTS + (random >> 8) % 64, 1, &port, false);
		if (!(random & 0xf0000))
			sched_yield();
	}
	return NULL;
}

static unsigned long sum(void)
{
	return atomic_load(&g.answered) + atomic_load(&g.refused);
}

static void one_round(const char *spec, unsigned round)
{
	struct uvfio_vm_device *dev;
	unsigned long before;

	assert_int_equal(uvfio_vm_assign(g.vm, spec, "intx_timeout=1", &dev), 0);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, BAR0);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_1, 4, 0);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, BAR2);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_3, 4, PORTS);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, 7);
	pthread_rwlock_wrlock(&g.bus);
	g.dev = dev;
	pthread_rwlock_unlock(&g.bus);
	/* until they have met it */
	before = sum();
	while (sum() < before + 10 + round % 7)
		sched_yield();
	pthread_rwlock_wrlock(&g.bus);
	g.dev = NULL;
	pthread_rwlock_unlock(&g.bus);
	uvfio_vm_unassign(dev);
	assert_int_equal(atomic_load(&g.maps), 0);
}

static void hammer(const char *spec)
{
	const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = msi };
	pthread_t threads[VCPUS];

	memset(&g, 0, sizeof(g));
	pthread_rwlock_init(&g.bus, NULL);
	g.vm = uvfio_vm_new(&ops, NULL);
	assert_non_null(g.vm);
	assert_int_equal(uvfio_vm_use_irq_ops(g.vm, &irq, NULL), 0);
	assert_int_equal(uvfio_vm_start_thread(g.vm), 0);
	for (uintptr_t i = 0; i < VCPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, vcpu, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		one_round(spec, i);
	atomic_store(&g.stop, true);
	for (unsigned i = 0; i < VCPUS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&g.answered) > ROUNDS && atomic_load(&g.refused) > ROUNDS);
	assert_true(atomic_load(&g.config) > 0);
	uvfio_vm_free(g.vm);
	pthread_rwlock_destroy(&g.bus);
}

static void test_trapped(void **state)
{
	hammer("testdev");
}

/* A BAR of it is the guest's memory, which goes and comes with all that happens. */
static void test_direct(void **state)
{
	hammer("testdev,ram_memory=on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trapped),
		cmocka_unit_test(test_direct),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
