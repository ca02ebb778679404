/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/kinds_test.c: what a model says of its driver's mistakes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "pci/function.h"
#include "pci/internal.h"

static int create(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0);
}

static const struct uvfio_reg regs[] = {
	{ .name = "CTRL", .offset = 8, .width = 4 },
	{ 0 },
};

static const struct uvfio_kind kinds[] = {
	{ .name = "one", .line = "One is none", .section = "X 1.0, 2.3", .fix = "Take two." },
	{ .name = "two", .line = "Two are too many", .fix = "Take one." },
	{ 0 },
};

static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "test", .create = create,
					  .regs = regs, .kinds = kinds };

static char text[512], code[64], reg[32];
static struct report_about about;
static const char *fix;

static void on_report(const struct report *r, void *arg)
{
	snprintf(code, sizeof(code), "%s", r->code->name);
	snprintf(text, sizeof(text), "%s", r->text);
	about = r->about ? *r->about : (struct report_about){ 0 };
	snprintf(reg, sizeof(reg), "%s", about.reg ? about.reg : "");
	fix = r->code->fix;
}

static struct report_subscriber subscriber = { .fn = on_report, .level = LOG_WARN };
static struct loop *loop;
static pci_function *fn;

static int setup(void **state)
{
	loop = loop_new();
	log_set(-1, LOG_NONE);
	report_subscribe(&subscriber);
	return pci_function_new(&model, "a", 0, loop, NULL, 0, NULL, 0, &fn);
}

static int teardown(void **state)
{
	report_unsubscribe(&subscriber);
	pci_function_free(fn);
	loop_free(loop);
	return 0;
}

static void test_report(void **state)
{
	uint64_t value = 7;

	uvfio_report(fn, 0, "there were %d", 1);
	assert_string_equal(code, "proto-test-one");
	assert_string_equal(text, "there were 1 (X 1.0, 2.3)");
	assert_string_equal(fix, "Take two.");
	assert_int_equal(about.access, REPORT_NO_ACCESS);
	uvfio_report_reg(fn, 1, 0, 8, &value, "not %d", 2);
	assert_string_equal(code, "proto-test-two");
	assert_string_equal(text, "BAR0 CTRL (0x0008): not 2");
	assert_int_equal(about.access, REPORT_BAR);
	assert_true(about.write);
	assert_int_equal(about.value, 7);
	assert_int_equal(about.size, 4);
	assert_string_equal(reg, "CTRL");
	uvfio_report_reg(fn, 1, 0, 16, NULL, "no");
	assert_string_equal(text, "BAR0 at 0x10: no");
	assert_false(about.write);
	uvfio_report_dma(fn, 0, 0x1000, "a descriptor");
	assert_string_equal(text, "at IOVA 0x1000: a descriptor (X 1.0, 2.3)");
	assert_int_equal(about.access, REPORT_DMA);
	assert_int_equal(about.at, 0x1000);
}

/* A model's own mistake, which is no driver's. */
static void test_no_kind(void **state)
{
	uvfio_report(fn, 2, "three");
	assert_string_equal(code, "model-kind");
	assert_null(fix);
}

static void test_table(void **state)
{
	struct uvfio_kind bad[] = { { "One", "a", NULL, "b" }, { 0 } };
	struct uvfio_model m = model, full;
	char why[128];

	m.kinds = bad;
	assert_int_equal(pci_model_take(&m, &full, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "no name of a kind"));
	bad[0].name = "one";
	assert_int_equal(pci_model_take(&m, &full, why, sizeof(why)), 0);
	bad[0].fix = NULL;
	assert_int_equal(pci_model_take(&m, &full, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "needs a line and a fix"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_no_kind),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
