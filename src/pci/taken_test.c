/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/taken_test.c: memory that a device has, and what becomes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/event.h"
#include "iommu/domain.h"
#include "pci/test_function.h"

#define IOVA 0x10000u
#define SIZE 0x4000u

static pci_function *fn;
static struct iommu_domain *d;
static uint8_t *mem;
static unsigned reports, told;
static char code[64], text[256];
static struct report_about about;

static void on_report(const struct report *r, void *arg)
{
	reports++;
	snprintf(code, sizeof(code), "%s", r->code->name);
	snprintf(text, sizeof(text), "%s", r->text);
	about = r->about ? *r->about : (struct report_about){ 0 };
}

static struct report_subscriber subscriber = { .fn = on_report, .level = LOG_WARN };

static void on_event(const struct event *e)
{
	told++;
	*e->moment = 40 + told;
}

static void start(unsigned events)
{
	reports = told = 0;
	if (events)
		assert_true(event_listen(on_event, events));
	log_set(-1, LOG_NONE);
	report_subscribe(&subscriber);
	t.loop = loop_new();
	assert_int_equal(pci_function_new(&t_model, "a", 0, t.loop, NULL, 0, NULL, 0, &fn), 0);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	d = iommu_domain_new();
	iommu_device_attach(&fn->iommu, d);
	assert_int_equal(iommu_domain_map(d, IOVA, mem, SIZE, IOMMU_READ | IOMMU_WRITE), 0);
}

static void end(void)
{
	pci_function_free(fn);
	iommu_domain_put(d);
	munmap(mem, SIZE);
	loop_free(t.loop);
	report_unsubscribe(&subscriber);
	event_unlisten(on_event);
}

#define ORDERS (1u << EVENT_TAKEN)
#define BOTH   (ORDERS | 1u << EVENT_TAKEN_DATA)

static void test_nobody(void **state)
{
	start(0);
	assert_int_equal(uvfio_takes(fn), 0);
	uvfio_take(fn, 1, UVFIO_TAKEN_ORDERS, "it", IOVA, 16);
	mem[0]++;
	uvfio_give_back(fn, 1);
	uvfio_forget(fn);
	assert_int_equal(reports, 0);
	end();
}

static void test_changed(void **state)
{
	start(ORDERS);
	assert_int_equal(uvfio_takes(fn), UVFIO_TAKEN_ORDERS);
	uvfio_take(fn, 1, UVFIO_TAKEN_ORDERS, "it", IOVA, 100);
	uvfio_take(fn, 2, UVFIO_TAKEN_DATA, "data", IOVA + 100, 100);
	assert_int_equal(told, 1);
	mem[100]++;
	uvfio_give_back(fn, 2);
	uvfio_give_back(fn, 1);
	assert_int_equal(reports, 0);
	for (unsigned i = 0; i < 100; i++) { /* each byte of it */
		uvfio_take(fn, 1, UVFIO_TAKEN_ORDERS, "it", IOVA, 100);
		mem[i] ^= 0x80;
		uvfio_give_back(fn, 1);
		assert_int_equal(reports, i + 1);
		uvfio_give_back(fn, 1); /* it has been */
		assert_int_equal(reports, i + 1);
	}
	assert_string_equal(code, "dma-race");
	assert_string_equal(text, "it, 100 bytes at IOVA 0x10000: changed while the device had it");
	assert_int_equal(about.at, IOVA);
	assert_int_equal(about.size, 100);
	assert_int_equal(about.moment, 40 + told);
	end();
}

static void test_several(void **state)
{
	start(BOTH);
	assert_int_equal(uvfio_takes(fn), UVFIO_TAKEN_ORDERS | UVFIO_TAKEN_DATA);
	/* across a page, and one byte of the last word */
	uvfio_take(fn, 7, UVFIO_TAKEN_DATA, "data", IOVA + 0xffd, 12);
	uvfio_take(fn, 7, UVFIO_TAKEN_ORDERS, "a list", IOVA + 0x2000, 0x2000);
	uvfio_take(fn, 8, UVFIO_TAKEN_ORDERS, "another", IOVA, 8);
	mem[0xffd + 11]++;
	mem[0xffd + 12]++;
	mem[SIZE - 1]++;
	uvfio_give_back(fn, 8);
	assert_int_equal(reports, 0);
	uvfio_give_back(fn, 7);
	assert_int_equal(reports, 2);
	/* what is taken again there is taken anew */
	uvfio_take(fn, 7, UVFIO_TAKEN_DATA, "data", IOVA, 8);
	mem[0]++;
	uvfio_take(fn, 7, UVFIO_TAKEN_DATA, "data", IOVA, 8);
	uvfio_give_back(fn, 7);
	assert_int_equal(reports, 2);
	end();
}

/* Nothing is said of what is not known. */
static void test_unknown(void **state)
{
	start(BOTH);
	uvfio_take(fn, 1, UVFIO_TAKEN_DATA, "data", IOVA + SIZE - 8, 16); /* not mapped */
	uvfio_take(fn, 1, UVFIO_TAKEN_DATA, "data", UINT64_MAX - 4, 16);
	uvfio_take(fn, 2, UVFIO_TAKEN_DATA, "data", IOVA, 8);
	uvfio_take(fn, 3, UVFIO_TAKEN_DATA, "data", IOVA, 8);
	assert_int_equal(told, 2);
	mem[0]++;
	pci_function_reset(fn, UVFIO_RESET_FLR);
	uvfio_give_back(fn, 2);
	uvfio_take(fn, 3, UVFIO_TAKEN_DATA, "data", IOVA, 8);
	mem[0]++;
	iommu_domain_unmap(d, IOVA, SIZE);
	uvfio_give_back(fn, 3);
	uvfio_give_back(fn, 1);
	assert_int_equal(reports, 0);
	end();
}

/* More than there is room for: some are found, and none is reported that did not change. */
static void test_many(void **state)
{
	start(BOTH);
	for (unsigned i = 0; i < SIZE / 8; i++)
		for (unsigned k = 0; k < 50; k++)
			uvfio_take(fn, i * 50 + k, UVFIO_TAKEN_DATA, "data", IOVA + i * 8, 8);
	mem[0]++;
	for (unsigned i = 0; i < SIZE / 8 * 50; i++)
		uvfio_give_back(fn, i);
	assert_true(reports <= 50);
	for (unsigned k = 0; k < 50; k++)
		uvfio_take(fn, 1, UVFIO_TAKEN_DATA, "data", IOVA + k * 8, 8);
	memset(mem, 0xff, 50 * 8);
	reports = 0;
	uvfio_give_back(fn, 1);
	assert_int_equal(reports, 32);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),	cmocka_unit_test(test_changed),
		cmocka_unit_test(test_several), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_many),
	};

	guard_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
