/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_platform.h: the platform of a function in unit tests: it counts interrupts, and gives
 * the function memory behind an IOMMU. test_function.h (pci/), test_model.h (models) and the
 * headers of the models' folders stand on it.
 */
#ifndef PCI_TEST_PLATFORM_H
#define PCI_TEST_PLATFORM_H
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "iommu/peer.h"
#include "pci/function.h"

#define TEST_VECTORS 2048u

/* Interrupts of a function, counted. */
struct test_irqs {
	atomic_int msi[TEST_VECTORS];
	atomic_int intx_calls, intx_rises, intx_level; /* level: as told last */
	atomic_int errors, fatal;
};

static inline void test_on_msi(void *arg, unsigned vector)
{
	struct test_irqs *irqs = arg;

	assert_true(vector < TEST_VECTORS);
	atomic_fetch_add(&irqs->msi[vector], 1);
}
static inline void test_on_intx(void *arg, bool level)
{
	struct test_irqs *irqs = arg;

	atomic_fetch_add(&irqs->intx_calls, 1);
	atomic_fetch_add(&irqs->intx_rises, level);
	atomic_store(&irqs->intx_level, level);
}
static inline void test_on_error(void *arg, bool fatal)
{
	struct test_irqs *irqs = arg;

	atomic_fetch_add(&irqs->errors, 1);
	atomic_fetch_add(&irqs->fatal, fatal);
}

/* Count the interrupts of @fn in @irqs from now on, from zero. */
static inline void test_irqs_watch(struct test_irqs *irqs, pci_function *fn)
{
	struct pci_irq_sink sink = {
		.msi = test_on_msi, .intx = test_on_intx, .err = test_on_error, .arg = irqs
	};

	memset(irqs, 0, sizeof(*irqs));
	pci_set_irq_sink(fn, &sink);
}

/*
 * With UVFIO_TEST_FOREIGN in the environment all memory that tests give is somebody else's, which
 * calls reach (iommu/peer.h): what models do with it must be the same (tests/foreign.sh).
 */
struct test_foreign {
	uint8_t *mem;
	struct iommu_target *target;
	struct iommu_window *window;
	struct test_foreign *next;
};
static struct test_foreign *test_foreigns;

static inline int test_foreign_access(void *arg, struct iommu_device *from, unsigned bar,
				      uint64_t off, void *buf, size_t len, bool write)
{
	struct iovec here = { buf, len }, there = { (uint8_t *)arg + off, len };

	/* by a system call, as tests may have taken it away */
	return (write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
		      : process_vm_readv(getpid(), &here, 1, &there, 1, 0)) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

/* Return what a page table has for @mem. */
static inline void *test_foreign_of(uint8_t *mem)
{
	struct test_foreign *f;

	if (!getenv("UVFIO_TEST_FOREIGN"))
		return mem;
	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->mem = mem;
	f->target = iommu_target_new_memory("client", test_foreign_access, mem);
	assert_non_null(f->target);
	f->window = iommu_window_new_memory(f->target, 0);
	assert_non_null(f->window);
	f->next = test_foreigns;
	test_foreigns = f;
	return (void *)iommu_window_address(f->window, 0);
}

static inline void test_foreign_free(const uint8_t *mem)
{
	for (struct test_foreign **at = &test_foreigns, *f; (f = *at); at = &f->next) {
		if (f->mem != mem)
			continue;
		*at = f->next;
		iommu_window_free(f->window);
		iommu_target_put(f->target);
		free(f);
		return;
	}
}

/*
 * Return @size bytes of memory that @fn reads and writes at @iova, and behind them @readonly bytes
 * that it may only read. *@dom (unless NULL) is their domain, good until @fn leaves it.
 */
static inline uint8_t *test_memory_give(pci_function *fn, uint64_t iova, uint64_t size,
					uint64_t readonly, struct iommu_domain **dom)
{
	struct iommu_domain *d = iommu_domain_new();
	uint8_t *mem = mmap(NULL, size + readonly, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at;

	assert_true(mem != MAP_FAILED);
	at = test_foreign_of(mem);
	assert_int_equal(iommu_domain_map(d, iova, at, size, IOMMU_READ | IOMMU_WRITE), 0);
	if (readonly)
		assert_int_equal(iommu_domain_map(d, iova + size, at + size, readonly, IOMMU_READ),
				 0);
	iommu_device_attach(pci_function_iommu(fn), d);
	if (dom)
		*dom = d;
	iommu_domain_put(d);
	return mem;
}

/* Take the interrupts and the memory (@size: all of it) away from @fn, and free it. */
static inline void test_function_free(pci_function *fn, uint8_t *mem, uint64_t size)
{
	pci_set_irq_sink(fn, NULL);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	pci_function_free(fn);
	test_foreign_free(mem);
	munmap(mem, size);
}

/* Wait up to five seconds for what another thread does. */
#define WAIT(condition)                                           \
	do {                                                      \
		for (int i_ = 0; i_ < 5000 && !(condition); i_++) \
			usleep(1000);                             \
		assert_true(condition);                           \
	} while (0)

#endif
