/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/event.h"

static unsigned maps, all;

static void on_map(const struct event *e)
{
	maps++;
	assert_int_equal(e->kind, EVENT_MAP);
	assert_int_equal(e->at, 0x1000);
}

static void on_all(const struct event *e)
{
	all++;
}

static void tell_some(void)
{
	EVENT(EVENT_MAP, .at = 0x1000);
	EVENT(EVENT_DMA, .at = 0x2000);
}

static void test_listeners(void **state)
{
	maps = all = 0;
	tell_some();
	assert_true(event_listen(on_map, 1u << EVENT_MAP));
	assert_true(event_wanted(EVENT_MAP));
	assert_false(event_wanted(EVENT_DMA));
	tell_some();
	assert_int_equal(maps, 1);
	assert_true(event_listen(on_all, ~0u));
	assert_false(event_listen(on_all, ~0u));
	tell_some();
	assert_int_equal(maps, 2);
	assert_int_equal(all, 2);
	event_unlisten(on_map);
	tell_some();
	assert_int_equal(maps, 2);
	assert_int_equal(all, 4);
	event_unlisten(on_all);
	assert_false(event_wanted(EVENT_MAP));
	tell_some();
	assert_int_equal(all, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_listeners) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
