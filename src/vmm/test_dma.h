/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_dma.h: a guest with testdevs, for unit tests of memory, resets and unplugging: DMA is
 * made by the device's engine, whose registers are reached past the guest.
 */
#ifndef VMM_TEST_DMA_H
#define VMM_TEST_DMA_H
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/log.h"
#include "models/testdev/regs.h"
#include "vmm/internal.h"

#define K 4096ull

static inline void guest_intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	(void)ctx;
	(void)dev;
	(void)pin;
	(void)level;
}

static inline void guest_msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address,
			     uint32_t data)
{
	(void)ctx;
	(void)dev;
	(void)address;
	(void)data;
}

/* Return a guest without memory whose interrupts go nowhere and whose monitor has @ops. */
static inline struct uvfio_vm *guest_new_with(const struct uvfio_vm_ops *ops)
{
	static const struct uvfio_vm_irq_ops irq = { .intx = guest_intx, .msi = guest_msi };
	struct uvfio_vm *vm = uvfio_vm_new(ops, NULL);

	assert_non_null(vm);
	assert_int_equal(uvfio_vm_use_irq_ops(vm, &irq, NULL), 0);
	return vm;
}

static inline struct uvfio_vm *guest_new(void)
{
	return guest_new_with(NULL);
}

static inline struct uvfio_vm_device *guest_assign(struct uvfio_vm *vm, const char *spec,
						   const char *options)
{
	struct uvfio_vm_device *dev = NULL;
	int rc = uvfio_vm_assign(vm, spec, options, &dev);

	if (rc)
		print_error("%s: %s\n", spec, uvfio_vm_strerror(vm));
	assert_int_equal(rc, 0);
	return dev;
}

static inline int guest_add(struct uvfio_vm *vm, uint64_t gpa, uint64_t size, void *host,
			    unsigned flags)
{
	struct uvfio_vm_memory m = {
		.gpa = gpa, .size = size, .host = host, .fd = -1, .flags = flags
	};

	return uvfio_vm_memory_add(vm, &m);
}

/* True if the last call's sentence has @text in it. */
static inline bool guest_says(const struct uvfio_vm *vm, const char *text)
{
	if (strstr(uvfio_vm_strerror(vm), text))
		return true;
	print_error("'%s' is not in: %s\n", text, uvfio_vm_strerror(vm));
	return false;
}

static inline void td_write(struct uvfio_vm_device *dev, unsigned reg, uint64_t value, size_t size)
{
	assert_true(vm_device_rw(dev, 2, reg, &value, size, true));
}

static inline uint32_t td_read(struct uvfio_vm_device *dev, unsigned reg)
{
	uint32_t v = 0;

	assert_true(vm_device_rw(dev, 2, reg, &v, 4, false));
	return v;
}

/* Have the device decode memory and be a bus master, as a guest's driver does. */
static inline void td_enable(struct uvfio_vm_device *dev)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	assert_true(
		vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true));
}

/* Run a command of the engine; returns what became of it, TD_DMA_OK or another. */
static inline uint32_t td_run(struct uvfio_vm_device *dev, uint32_t cmd, uint64_t src, uint64_t dst,
			      uint64_t len)
{
	td_enable(dev);
	td_write(dev, TD_DMA_SRC, src, 8);
	td_write(dev, TD_DMA_DST, dst, 8);
	td_write(dev, TD_DMA_LEN, len, 8);
	td_write(dev, TD_DMA_CMD, cmd, 4);
	return td_read(dev, TD_DMA_STATUS);
}

/* True if the device can read the byte at @iova; and write it. */
static inline bool td_reads(struct uvfio_vm_device *dev, uint64_t iova)
{
	return td_run(dev, TD_OP_LOAD, iova, 0, 1) == TD_DMA_OK;
}

static inline bool td_writes(struct uvfio_vm_device *dev, uint64_t iova)
{
	return td_run(dev, TD_OP_STORE, 0, iova, 1) == TD_DMA_OK;
}
#endif
