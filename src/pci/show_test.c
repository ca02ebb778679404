/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/show_test.c: what is shown of a function, and what a look at it must not do. */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "pci/internal.h"

static uint64_t value_of[4];
static unsigned reads[4];

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x4321 };
	int rc = uvfio_set_ids(dev, &ids);

	return rc ? rc : uvfio_add_bar(dev, 0, 4096, 0);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	reads[offset / 8]++;
	*value = value_of[offset / 8];
	return 0;
}

static void show(struct uvfio_dev *dev, struct uvfio_text *t)
{
	uvfio_say(t, "queue of %d", 3);
}

static const struct uvfio_reg regs[] = {
	{ .name = "SAME", .offset = 0, .width = 4, .reset = 5 },
	{ .name = "OTHER", .offset = 8, .width = 4, .count = 2, .stride = 8 },
	{ .name = "CAUSE", .offset = 24, .width = 4, .access = UVFIO_REG_RC },
	{ 0 },
};
static const struct uvfio_model model = {
	UVFIO_MODEL_INIT,     .name = "shown", .create = create,
	.bar_read = bar_read, .regs = regs,    .show = show,
};

static char *shown(pci_function *fn, char *memory, size_t size)
{
	struct text t;

	text_init(&t, memory, size);
	pci_function_show(fn, &t);
	return memory;
}

static void test_show(void **state)
{
	struct loop *loop = loop_new();
	char memory[1024], err[128];
	pci_function *fn;

	assert_int_equal(
		pci_function_new(&model, "0000:01:00.0", 0, loop, NULL, 0, err, sizeof(err), &fn),
		0);
	assert_string_equal(shown(fn, memory, sizeof(memory)),
			    "  D0; COMMAND 0x0000: memory off, bus master off, INTx down\n"
			    "  its registers are not read: it does not decode memory\n"
			    "  queue of 3\n");
	assert_int_equal(reads[0], 0);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	value_of[0] = 5;
	value_of[2] = 0x1234567800000abcull;
	assert_string_equal(shown(fn, memory, sizeof(memory)),
			    "  D0; COMMAND 0x0002: memory on, bus master off, INTx down\n"
			    "  BAR0 OTHER[1] (0x0010): 0x00000abc\n"
			    "  2 registers are as after a reset; 1 are not read, since that says "
			    "nothing, or changes them\n"
			    "  queue of 3\n");
	assert_int_equal(reads[0], 1);
	assert_int_equal(reads[3], 0);
	/* a model that does not return from a callback is not waited for */
	pci_model_enter(fn);
	assert_string_equal(shown(fn, memory, sizeof(memory)),
			    "  D0; COMMAND 0x0002: memory on, bus master off, INTx down\n"
			    "  it does not answer: the model is inside of a callback, and does not "
			    "return from it\n");
	pci_model_leave(fn);
	/* whole lines, as many as there is room for */
	assert_string_equal(shown(fn, memory, 120),
			    "  D0; COMMAND 0x0002: memory on, bus master off, INTx down\n"
			    "  BAR0 OTHER[1] (0x0010): 0x00000abc\n");
	pci_function_free(fn);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_show) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
