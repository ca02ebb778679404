/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/commands_test.c: what a model tells of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/event.h"
#include "pci/function.h"
#include "pci/internal.h"

static int create(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0);
}

static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "test", .create = create };

static struct event told[2];
static unsigned num_told;

static void on_event(const struct event *e)
{
	assert_true(num_told < 2);
	told[num_told++] = *e;
}

static void test_told(void **state)
{
	const struct uvfio_command c = {
		.queue = 1, .place = 2, .id = 3, .address = 4, .length = 5, .name = "x"
	};
	struct loop *loop = loop_new();
	pci_function *fn;

	assert_int_equal(pci_function_new(&model, "a", 0, loop, NULL, 0, NULL, 0, &fn), 0);
	assert_false(uvfio_traced(fn));
	uvfio_command_begin(fn, &c);
	assert_true(event_listen(on_event, 1u << EVENT_BEGIN | 1u << EVENT_END));
	assert_true(uvfio_traced(fn));
	uvfio_command_begin(fn, &c);
	uvfio_command_end(fn, 1, 3, 6);
	event_unlisten(on_event);
	assert_int_equal(num_told, 2);
	assert_int_equal(told[0].kind, EVENT_BEGIN);
	assert_string_equal(told[0].who, "a");
	assert_int_equal(told[0].bar, 1);
	assert_int_equal(told[0].what, 2);
	assert_int_equal(told[0].at, 3);
	assert_int_equal(told[0].value, 4);
	assert_int_equal(told[0].size, 5);
	assert_string_equal(told[0].text, "x");
	assert_int_equal(told[1].kind, EVENT_END);
	assert_int_equal(told[1].at, 3);
	assert_int_equal(told[1].value, 6);
	pci_function_free(fn);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_told) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
