/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/regs_test.c: registers by name; accesses that a model refuses, and that are mistakes. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/report.h"
#include "pci/internal.h"

static const struct uvfio_reg regs[] = {
	{ .name = "CTRL", .width = 4 },
	{ .name = "WIDE", .offset = 8, .width = 8 },
	/* interleaved, as queues' registers are */
	{ .name = "HEAD", .offset = 0x100, .width = 4, .count = 3, .stride = 0x40 },
	{ .name = "TAIL", .offset = 0x108, .width = 4, .count = 3, .stride = 0x40 },
	{ .name = "OTHER", .bar = 2, .offset = 0, .width = 1 },
	{ 0 },
};

static const char *name_of(unsigned bar, uint64_t off)
{
	static char name[PCI_REG_NAME];

	return pci_reg_name(regs, bar, off, name) ? name : "";
}

static void test_names(void **state)
{
	char name[PCI_REG_NAME];

	assert_string_equal(name_of(0, 0), "CTRL");
	assert_string_equal(name_of(0, 3), "CTRL+3");
	assert_string_equal(name_of(0, 4), "");
	assert_string_equal(name_of(0, 0xc), "WIDE+4");
	assert_string_equal(name_of(0, 0x100), "HEAD[0]");
	assert_string_equal(name_of(0, 0x104), "");
	assert_string_equal(name_of(0, 0x108), "TAIL[0]");
	assert_string_equal(name_of(0, 0x182), "HEAD[2]+2");
	assert_string_equal(name_of(0, 0x188), "TAIL[2]");
	assert_string_equal(name_of(0, 0x1c0), "");
	assert_string_equal(name_of(0, UINT64_MAX), "");
	assert_string_equal(name_of(2, 0), "OTHER");
	assert_string_equal(name_of(1, 0), "");
	assert_int_equal(pci_reg_width(regs, 0, 0xc), 8);
	assert_int_equal(pci_reg_width(regs, 0, 4), 0);
	assert_false(pci_reg_name(NULL, 0, 0, name));
}

static int create(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0);
}

static int refuse_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		       uint64_t *value)
{
	return -EINVAL;
}

static int refuse_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	return -ENODEV;
}

static char line[256], code[32];

static void on_report(const struct report *r, void *arg)
{
	strncpy(code, r->code->name, sizeof(code) - 1);
	strncpy(line, r->text, sizeof(line) - 1);
}

static void test_line(void **state)
{
	static const struct uvfio_model model = {
		UVFIO_MODEL_INIT,	   .name = "test",
		.create = create,	   .bar_read = refuse_read,
		.bar_write = refuse_write, .regs = regs
	};
	struct report_subscriber s = { .fn = on_report, .level = LOG_WARN };
	struct loop *loop = loop_new();
	pci_function *fn;
	uint64_t v;

	assert_int_equal(pci_function_new(&model, "a", 0, loop, NULL, 0, NULL, 0, &fn), 0);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	log_set(-1, LOG_NONE);
	report_subscribe(&s);
	assert_int_equal(pci_bar_read(fn, 0, 0x140, 4, &v), -EIO);
	assert_string_equal(line, "BAR0 HEAD[1] (0x0140): read of 4 bytes: the device does not "
				  "complete it: Invalid argument");
	assert_string_equal(code, "register-refused");
	/* of another width than the register's */
	assert_int_equal(pci_bar_read(fn, 0, 0x140, 2, &v), -EIO);
	assert_string_equal(code, "mmio-width");
	/* which is not what this model minds */
	assert_int_equal(pci_bar_write(fn, 0, 0, 2, 1), -EIO);
	assert_string_equal(code, "register-refused");
	assert_string_equal(line, "BAR0 CTRL (0x0000): write of 2 bytes: the device does not "
				  "complete it: No such device");
	/* where no register has a name */
	assert_int_equal(pci_bar_write(fn, 0, 0x200, 2, 1), -EIO);
	assert_string_equal(line, "BAR0 write at 0x200 of 2 bytes: the device does not complete "
				  "it: No such device");
	report_unsubscribe(&s);
	log_set(2, LOG_WARN);
	pci_function_free(fn);
	loop_free(loop);
}

/* ---- accesses that are mistakes by the table ---- */

static int take_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t *value)
{
	*value = 0;
	return 0;
}

static int take_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t value)
{
	return 0;
}

static pci_function *judged;
static struct report_about about;
static unsigned reports;

static void on_judged(const struct report *r, void *arg)
{
	reports++;
	about = *r->about;
	about.reg = NULL;
	strncpy(code, r->code->name, sizeof(code) - 1);
	strncpy(line, r->text, sizeof(line) - 1);
}

/* Return the kind of what the driver's access makes, or "". */
static const char *kind_of(bool write, unsigned bar, uint64_t off, unsigned size)
{
	uint64_t v;

	memset(code, 0, sizeof(code));
	reports = 0;
	if (write)
		assert_int_equal(pci_bar_write(judged, bar, off, size, 0x77), 0);
	else
		assert_int_equal(pci_bar_read(judged, bar, off, size, &v), 0);
	assert_true(reports <= 1);
	return code;
}

static int create_two(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0) ?: uvfio_add_bar(dev, 2, 4096, 0);
}

static void test_judged(void **state)
{
	static const struct uvfio_reg table[] = {
		{ .name = "ID", .width = 4, .access = UVFIO_REG_RO },
		{ .name = "CTRL", .offset = 4, .width = 4 },
		{ .name = "BYTE", .offset = 8, .width = 1 },
		{ .name = "HEAD", .offset = 0x100, .width = 4, .count = 2, .stride = 0x40 },
		{ .name = "STATE", .bar = 2, .width = 4, .access = UVFIO_REG_RO },
		{ 0 },
	};
	static const struct uvfio_reg_range whole[] = { { .size = 0x10 },
							{ .offset = 0x100, .size = 0x200 },
							{ 0 } };
	static const struct uvfio_model model = {
		UVFIO_MODEL_INIT,      .name = "test",		.create = create_two,
		.bar_read = take_read, .bar_write = take_write, .regs = table,
		.reg_ranges = whole,
	};
	struct report_subscriber s = { .fn = on_judged, .level = LOG_WARN };
	struct loop *loop = loop_new();

	assert_int_equal(pci_function_new(&model, "a", 0, loop, NULL, 0, NULL, 0, &judged), 0);
	pci_config_write(judged, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	log_set(-1, LOG_NONE);
	report_subscribe(&s);
	assert_string_equal(kind_of(false, 0, 0, 4), "");
	assert_string_equal(kind_of(true, 0, 4, 4), "");
	assert_string_equal(kind_of(true, 0, 0, 4), "mmio-readonly");
	assert_string_equal(line, "BAR0 ID (0x0000): write of 4 bytes, 0x77: the register can only "
				  "be read");
	assert_true(about.write);
	assert_int_equal(about.value, 0x77);
	assert_string_equal(kind_of(true, 0, 0, 8), "mmio-readonly");
	assert_string_equal(kind_of(false, 0, 0, 8), "");
	assert_string_equal(kind_of(false, 0, 8, 1), "");
	assert_string_equal(kind_of(false, 0, 9, 1), "mmio-undefined");
	assert_string_equal(line, "BAR0: read of 1 bytes at 0x9, where the device has no register");
	assert_string_equal(kind_of(false, 0, 8, 4), "mmio-undefined");
	assert_string_equal(kind_of(true, 0, 0xc, 4), "mmio-undefined");
	/* where the table may not have all */
	assert_string_equal(kind_of(true, 0, 0x10, 4), "");
	assert_string_equal(kind_of(true, 0, 0x300, 4), "");
	assert_string_equal(kind_of(true, 0, 0x140, 4), "");
	/* between the elements of an array, and behind all registers */
	assert_string_equal(kind_of(true, 0, 0x104, 4), "mmio-undefined");
	assert_string_equal(kind_of(true, 0, 0x2fc, 4), "mmio-undefined");
	assert_string_equal(kind_of(false, 2, 8, 4), "");
	assert_string_equal(kind_of(true, 2, 0, 4), "mmio-readonly");
	/* nobody's mistake while it does not decode, nor another device's */
	pci_config_write(judged, PCI_COMMAND, 2, 0);
	code[0] = '\0';
	assert_int_equal(pci_bar_write(judged, 0, 0, 4, 1), -EIO);
	assert_string_equal(code, "");
	report_unsubscribe(&s);
	log_set(2, LOG_WARN);
	pci_function_free(judged);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
