/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_model.h: a built-in model on a platform that counts, driven as the vfio-pci driver
 * would: for the unit tests of the models.
 */
#ifndef PCI_TEST_MODEL_H
#define PCI_TEST_MODEL_H
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "pci/function.h"

#define IOVA	 0x100000ull
#define MEM_SIZE 0x10000ull

static pci_function *fn;
static struct loop *loop;
/* at IOVA, MEM_SIZE bytes, read/write; behind it a page that the device may only read */
static uint8_t *mem;
static atomic_int msis[2048], intx_level, errors;

static void on_msi(void *arg, unsigned vector)
{
	atomic_fetch_add(&msis[vector], 1);
}
static void on_intx(void *arg, bool level)
{
	atomic_store(&intx_level, level);
}
static void on_err(void *arg, bool fatal)
{
	atomic_fetch_add(&errors, 1);
}

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
	static const struct pci_irq_sink sink = { .msi = on_msi, .intx = on_intx, .err = on_err };
	struct iommu_domain *d = iommu_domain_new();
	char err[256];

	if (plug_try(model, name, value, err, sizeof(err)))
		fail_msg("%s", err);
	memset(msis, 0, sizeof(msis));
	intx_level = errors = 0;
	pci_set_irq_sink(fn, &sink);
	mem = mmap(NULL, MEM_SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	assert_true(mem != MAP_FAILED);
	assert_int_equal(iommu_domain_map(d, IOVA, mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	assert_int_equal(iommu_domain_map(d, IOVA + MEM_SIZE, mem + MEM_SIZE, 4096, IOMMU_READ), 0);
	iommu_device_attach(pci_function_iommu(fn), d);
	iommu_domain_put(d);
	pci_config_write(fn, PCI_COMMAND, 2,
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static inline void unplug(void)
{
	pci_set_irq_sink(fn, NULL);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	pci_function_free(fn);
	loop_free(loop);
	munmap(mem, MEM_SIZE + 4096);
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

/* Wait up to five seconds for what another thread does. */
#define WAIT(condition)                                           \
	do {                                                      \
		for (int i_ = 0; i_ < 5000 && !(condition); i_++) \
			usleep(1000);                             \
		assert_true(condition);                           \
	} while (0)

#endif
