/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_model.h: a built-in model on a platform that counts, driven as the vfio-pci driver
 * would: for the unit tests of the models.
 */
#ifndef PCI_TEST_MODEL_H
#define PCI_TEST_MODEL_H
#include <linux/pci_regs.h>

#include "pci/test_platform.h"

#define IOVA	 0x100000ull
#define MEM_SIZE 0x10000ull

static pci_function *fn;
static struct loop *loop;
/* at IOVA, MEM_SIZE bytes, read/write; behind it a page that the device may only read */
static uint8_t *mem;
static struct test_irqs irqs;

static inline int plug_try(const struct uvfio_model *model, const char *name, const char *value,
			   char *err, size_t size)
{
	struct pci_option opt = { name, value };

	fn = NULL;
	loop = loop_new();
	return pci_function_new(model, "0000:01:00.0", 0, loop, &opt, name ? 1 : 0, err, size, &fn);
}

static inline void plug(const struct uvfio_model *model, const char *name, const char *value)
{
	char err[256];

	if (plug_try(model, name, value, err, sizeof(err)))
		fail_msg("%s", err);
	test_irqs_watch(&irqs, fn);
	mem = test_memory_give(fn, IOVA, MEM_SIZE, 4096, NULL);
	pci_config_write(fn, PCI_COMMAND, 2,
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void unplug(void)
{
	test_function_free(fn, mem, MEM_SIZE + 4096);
	loop_free(loop);
}

static inline uint64_t rd(unsigned bar, uint64_t off, unsigned size)
{
	uint64_t v;

	assert_int_equal(pci_bar_read(fn, bar, off, size, &v), 0);
	return v;
}
static inline void wr(unsigned bar, uint64_t off, unsigned size, uint64_t v)
{
	assert_int_equal(pci_bar_write(fn, bar, off, size, v), 0);
}
static inline bool refused(unsigned bar, uint64_t off, unsigned size)
{
	uint64_t v = 0;
	bool r;

	log_set(-1, LOG_NONE);
	r = pci_bar_read(fn, bar, off, size, &v) == -EIO &&
	    v == (size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1) &&
	    pci_bar_write(fn, bar, off, size, 0) == -EIO;
	log_set(2, LOG_WARN);
	return r;
}

#endif
