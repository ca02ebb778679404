/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/pages_test.c: testdev's page requests against docs/testdev.md: raised by a
 * register, and by the engine, whose transfer goes on when the page is there; resets, and a state
 * that is moved while an answer is missing.
 */
#include "iommu/page_request.h"
#include "models/testdev/testdev.h"
#include "pci/state.h"
#include "pci/test_model.h"

#define REGS  2
#define PAGED 0x900000ull /* where nothing is mapped */

static struct iommu_fault_queue *q;
static struct iommu_domain *d;
static char page[4096] __attribute__((aligned(4096)));

/* A testdev with PASIDs, and a queue for its address space. */
static void plug_paged(void)
{
	static const struct pci_option opts[] = { { "pri", "on" }, { "pasid_bits", "4" } };
	char err[256];

	loop = loop_new();
	if (pci_function_new(&model_testdev, "0000:01:00.0", 0, loop, opts, 2, err, sizeof(err),
			     &fn))
		fail_msg("%s", err);
	test_irqs_watch(&irqs, fn);
	mem = test_memory_give(fn, IOVA, MEM_SIZE, 4096, NULL);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	q = iommu_fault_queue_new();
	d = iommu_domain_new();
	iommu_domain_set_faults(d, q);
	iommu_device_attach(pci_function_iommu(fn), d);
	iommu_pri_client(pci_function_iommu(fn), 1);
	assert_int_equal(iommu_domain_map(d, IOVA, mem, MEM_SIZE, 3), 0);
	memset(page, 0, sizeof(page));
}

static void unplug_paged(void)
{
	unplug();
	iommu_domain_put(d);
	iommu_fault_queue_put(q);
}

static struct iommu_page_record rec[8];

static int put(void *arg, size_t i, const struct iommu_page_record *r)
{
	rec[i] = *r;
	return 0;
}

static long take(void)
{
	return iommu_fault_queue_read(q, ARRAY_SIZE(rec), put, NULL);
}

/* Wait for one that the engine asks for on another thread. */
static void take_one(void)
{
	long n = 0;

	WAIT(n || (n = take()));
	assert_int_equal(n, 1);
}

static uint64_t status(void)
{
	return rd(REGS, TD_PAGE_STATUS, 4);
}

static void start(uint32_t op, uint64_t src, uint64_t dst, uint64_t len)
{
	wr(REGS, TD_DMA_SRC, 8, src);
	wr(REGS, TD_DMA_DST, 8, dst);
	wr(REGS, TD_DMA_LEN, 8, len);
	wr(REGS, TD_DMA_CMD, 4, op | TD_DMA_PAGING);
}

static void capabilities(void **state)
{
	unsigned ats, pri;

	plug(&model_testdev, NULL, NULL);
	assert_int_equal(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_PRI), 0);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 1);
	assert_int_equal(status(), TD_PAGE_REFUSED);
	unplug();
	plug_paged();
	ats = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ATS);
	pri = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_PRI);
	assert_true(ats && pri);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(pci_config_read(fn, ats + PCI_ATS_CTRL, 2), PCI_ATS_CTRL_ENABLE);
	assert_int_equal(pci_config_read(fn, pri + PCI_PRI_CTRL, 2), PCI_PRI_CTRL_ENABLE);
	assert_int_equal(pci_config_read(fn, pri + PCI_PRI_ALLOC_REQ, 4), 32);
	unplug_paged();
}

static void by_register(void **state)
{
	plug_paged();
	wr(REGS, TD_PAGE_ADDR, 8, PAGED + 5);
	/* what is no request */
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST);
	assert_int_equal(status(), TD_PAGE_REFUSED);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 5); /* execute, without a PASID */
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 1 | TD_PAGE_ENGINE << TD_PAGE_GROUP_SHIFT);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 1 | 1u << 31);
	assert_int_equal(take(), 0);
	wr(REGS, TD_PAGE_CMD, 4, 9u << TD_PAGE_GROUP_SHIFT | 2);
	assert_int_equal(status() & TD_PAGE_STATE, TD_PAGE_REFUSED);
	wr(REGS, TD_PAGE_CMD, 4, 9u << TD_PAGE_GROUP_SHIFT | TD_PAGE_LAST | 3);
	assert_int_equal(status(), 9u << TD_PAGE_GROUP_SHIFT | TD_PAGE_WAITING);
	assert_int_equal(take(), 2);
	assert_int_equal(rec[0].r.addr, PAGED);
	assert_int_equal(rec[0].r.perm, 2);
	assert_int_equal(rec[1].r.group, 9);
	assert_int_equal(iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS), 0);
	WAIT(rd(REGS, TD_PAGE_ANSWERS, 4) == 1);
	assert_int_equal(status(), 9u << TD_PAGE_GROUP_SHIFT | TD_PAGE_SUCCESS);
	/* with an interrupt */
	pci_msi_enable(fn, 5);
	wr(REGS, TD_DMA_VECTOR, 4, 3);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | TD_PAGE_IRQ | 1);
	assert_int_equal(take(), 1);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_INVALID);
	WAIT(atomic_load(&irqs.msi[3]) == 1);
	assert_int_equal(status(), TD_PAGE_INVALID);
	/* what was asked before a reset has no answer after it */
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 1);
	assert_int_equal(take(), 1);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(REGS, TD_PAGE_CMD, 4, 1u << TD_PAGE_GROUP_SHIFT | TD_PAGE_LAST | 1);
	assert_int_equal(take(), 1);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS);
	WAIT(rd(REGS, TD_PAGE_ANSWERS, 4));
	assert_int_equal(rd(REGS, TD_PAGE_ANSWERS, 4), 1);
	assert_int_equal(status(), 1u << TD_PAGE_GROUP_SHIFT | TD_PAGE_SUCCESS);
	unplug_paged();
}

/* Both sides of a copy are asked for, each with the right that it takes. */
static void copy(void **state)
{
	plug_paged();
	strcpy(page + 16, "to be copied");
	start(TD_OP_COPY, PAGED + 16, PAGED + 0x2000, 13);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_BUSY);
	assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), PAGED + 16);
	assert_int_equal(take(), 1);
	assert_int_equal(rec[0].r.addr, PAGED);
	assert_int_equal(rec[0].r.perm, IOMMU_PAGE_READ);
	assert_int_equal(iommu_domain_map(d, PAGED, page, 4096, IOMMU_READ), 0);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS);
	take_one();
	assert_int_equal(rec[0].r.addr, PAGED + 0x2000);
	assert_int_equal(rec[0].r.perm, IOMMU_PAGE_WRITE);
	assert_int_equal(iommu_domain_map(d, PAGED + 0x2000, mem, 4096, 3), 0);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS);
	WAIT(rd(REGS, TD_DMA_STATUS, 4) == TD_DMA_OK);
	assert_string_equal((char *)mem, "to be copied");
	assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), 0);
	/* what is there needs nobody */
	start(TD_OP_COMPARE, PAGED + 16, PAGED + 0x2000, 13);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_OK);
	/* a page that is not there after a good answer: a fault; and with a bad one */
	start(TD_OP_LOAD, PAGED + 0x4000, 0, 8);
	for (unsigned code = 0; code < 2; code++) {
		assert_int_equal(take(), 1);
		iommu_fault_queue_answer(q, rec[0].cookie, code);
		WAIT(rd(REGS, TD_DMA_STATUS, 4) == TD_DMA_FAULT);
		assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), PAGED + 0x4000);
		assert_int_equal(atomic_load(&pci_function_iommu(fn)->faults), 1);
		if (!code)
			start(TD_OP_LOAD, PAGED + 0x4000, 0, 8);
	}
	unplug_paged();
}

/* The engine waits while the state moves: the other side asks again. */
static void moved(void **state)
{
	struct uvfio_state s, l;

	plug_paged();
	start(TD_OP_FILL, 0, PAGED, 8);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 1);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_ALL), 0);
	pci_state_save(&s, "saved");
	pci_function_describe(fn, &s);
	assert_int_equal(pci_function_save(fn, &s), 0);
	assert_int_equal(pci_state_end(&s), 0);
	unplug_paged();

	plug_paged();
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_ALL), 0);
	pci_state_load(&l, "loaded", s.buf, s.len);
	pci_function_describe(fn, &l);
	assert_int_equal(pci_function_load(fn, &l), 0);
	assert_int_equal(pci_state_end(&l), 0);
	assert_int_equal(status(), TD_PAGE_INVALID);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_BUSY);
	pci_function_resume(fn, UVFIO_STOP_ALL);
	pci_function_resume(fn, UVFIO_STOP_DMA);
	take_one();
	assert_int_equal(iommu_domain_map(d, PAGED, page, 4096, 3), 0);
	iommu_fault_queue_answer(q, rec[0].cookie, IOMMU_PAGE_SUCCESS);
	WAIT(rd(REGS, TD_DMA_STATUS, 4) == TD_DMA_OK);
	unplug_paged();
	pci_state_free(&s);
}

/* Each PASID sees memory of its own at the same address, and asks for its own pages. */
static void pasids(void **state)
{
	plug_paged();
	assert_int_equal(iommu_pasid_attach(pci_function_iommu(fn), 3, d), 0);
	assert_int_equal(iommu_domain_map(d, PAGED, page, 4096, 3), 0);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	wr(REGS, TD_DMA_PATTERN, 4, 0x41414141);
	wr(REGS, TD_DMA_PASID, 4, 3);
	start(TD_OP_FILL, 0, PAGED, 4);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_OK);
	assert_memory_equal(page, "AAAA", 5);
	start(TD_OP_CHECK, PAGED, 0, 4);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_OK);
	/* of no PASID, and of one that has nothing */
	for (unsigned pasid = 0; pasid <= 4; pasid += 4) {
		wr(REGS, TD_DMA_PASID, 4, pasid);
		wr(REGS, TD_DMA_CMD, 4, TD_OP_CHECK);
		assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_FAULT);
	}
	/* one that there is not; pointers are without */
	wr(REGS, TD_DMA_PASID, 4, 16);
	wr(REGS, TD_DMA_CMD, 4, TD_OP_CHECK);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_BAD);
	wr(REGS, TD_DMA_PASID, 4, 3);
	wr(REGS, TD_DMA_CMD, 4, TD_OP_CHECK | TD_DMA_DIRECT);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_BAD);
	/* requests, to execute as well */
	wr(REGS, TD_PAGE_PASID, 4, 3);
	wr(REGS, TD_PAGE_CMD, 4, TD_PAGE_LAST | 5);
	start(TD_OP_FILL, 0, PAGED + 0x1000, 4);
	assert_int_equal(take(), 2);
	assert_int_equal(rec[0].r.perm, IOMMU_PAGE_READ | IOMMU_PAGE_EXEC);
	assert_int_equal(rec[0].r.pasid, 3);
	assert_int_equal(rec[1].r.pasid, 3);
	assert_int_equal(iommu_domain_map(d, PAGED + 0x1000, mem, 4096, 3), 0);
	iommu_fault_queue_answer(q, rec[1].cookie, IOMMU_PAGE_SUCCESS);
	WAIT(rd(REGS, TD_DMA_STATUS, 4) == TD_DMA_OK);
	assert_memory_equal(mem, "AAAA", 4);
	/* the PASID leaves: its request is answered */
	assert_int_equal(iommu_pasid_attach(pci_function_iommu(fn), 3, NULL), 0);
	WAIT(rd(REGS, TD_PAGE_ANSWERS, 4) == 1);
	assert_int_equal(status(), TD_PAGE_INVALID);
	unplug_paged();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities), cmocka_unit_test(by_register),
		cmocka_unit_test(copy),		cmocka_unit_test(moved),
		cmocka_unit_test(pasids),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
