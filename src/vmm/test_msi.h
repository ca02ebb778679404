/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_msi.h: for the unit tests of MSI and MSI-X: a guest that writes the registers, over
 * test_vm.h's device and monitor. Messages go through the loop, or by irqfds with @bypass.
 */
#ifndef VMM_TEST_MSI_H
#define VMM_TEST_MSI_H
#include "vmm/test_vm.h"

#define ADDRESS 0xfee01000u

static struct tvm t;
static struct fake *const f = &t.fake;
static struct monitor *const m = &t.mon;
static bool bypass;

/* Make the guest; @change is made to the device before it is set up. */
static inline void begin(bool with_bypass, void (*change)(void))
{
	struct uvfio_vm_irq_ops ops;

	bypass = with_bypass;
	fake_init(f);
	if (change)
		change();
	mon_init(m);
	mon_ops(&ops, bypass);
	tvm_begin(&t, NULL, NULL, &ops);
	tvm_set_up(&t);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
}

static inline void finish(void)
{
	tvm_tear_down(&t);
	assert_int_equal(f->type, -1);
	assert_int_equal(m->irqfds, 0);
	assert_int_equal(m->routes, 0);
	tvm_end(&t);
	fake_fini(f);
}

static inline void config_write(unsigned at, unsigned size, uint32_t value)
{
	pthread_mutex_lock(&t.dev->lock);
	vm_config_put(t.dev, at, size, value);
	pthread_mutex_unlock(&t.dev->lock);
}

static inline uint32_t config_read(unsigned at, unsigned size)
{
	uint32_t v;

	pthread_mutex_lock(&t.dev->lock);
	v = vm_config_get(t.dev, at, size);
	pthread_mutex_unlock(&t.dev->lock);
	return v;
}

/* Bring all messages that wait to the guest: how many. */
static inline unsigned collect(void)
{
	uint64_t before = mon_messages(m);

	if (bypass)
		mon_run(m);
	while (uvfio_vm_dispatch(t.vm, 0) > 0)
		;
	return (unsigned)(mon_messages(m) - before);
}

static inline void msi_control(uint16_t flags)
{
	config_write(FAKE_MSI + PCI_MSI_FLAGS, 2, flags);
}

/* MSI's enable bit with 2^@log2 vectors. */
static inline uint16_t msi_on(unsigned log2)
{
	return (uint16_t)(PCI_MSI_FLAGS_ENABLE | log2 << 4);
}

static inline void msi_message(uint64_t address, uint16_t data)
{
	config_write(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4, (uint32_t)address);
	config_write(FAKE_MSI + PCI_MSI_ADDRESS_HI, 4, (uint32_t)(address >> 32));
	config_write(FAKE_MSI + PCI_MSI_DATA_64, 2, data);
}

static inline void msix_control(uint16_t flags)
{
	config_write(FAKE_MSIX + PCI_MSIX_FLAGS, 2, flags);
}

static inline void table_write(uint64_t at, unsigned size, uint64_t value)
{
	pthread_mutex_lock(&t.dev->lock);
	vm_msix_table_write(t.dev, at, size, value);
	pthread_mutex_unlock(&t.dev->lock);
}

static inline uint64_t table_read(uint64_t at, unsigned size)
{
	uint64_t v;

	pthread_mutex_lock(&t.dev->lock);
	v = vm_msix_table_read(t.dev, at, size);
	pthread_mutex_unlock(&t.dev->lock);
	return v;
}

static inline uint64_t pba_read(uint64_t at, unsigned size)
{
	uint64_t v;

	pthread_mutex_lock(&t.dev->lock);
	v = vm_msix_pba_read(t.dev, at, size);
	pthread_mutex_unlock(&t.dev->lock);
	return v;
}

/* The message of entry @i has data @i, and an address of its own. */
static inline void entry_fill(unsigned i)
{
	table_write(i * 16, 8, ADDRESS + 4ull * (i % 256));
	table_write(i * 16 + 8, 4, i);
}

static inline void entry_mask(unsigned i, bool mask)
{
	table_write(i * 16 + 12, 4, mask);
}

#define SEND_MSI(i)  fake_send(f, VFIO_PCI_MSI_IRQ_INDEX, i)
#define SEND_MSIX(i) fake_send(f, VFIO_PCI_MSIX_IRQ_INDEX, i)
#endif
