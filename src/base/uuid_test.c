/* SPDX-License-Identifier: BSD-3-Clause */
/* base/uuid_test.c: texts that are a UUID, and texts that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/uuid.h"

static void test_parse(void **state)
{
	static const uint8_t want[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
					  0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10 };
	static const char *const bad[] = {
		"",
		"0",
		"01234567",
		"0123456789ab-cdef-fedc-ba9876543210",
		"01234567-89ab-cdef-fedc-ba987654321",
		"01234567-89ab-cdef-fedc-ba987654321g",
		"01234567-89ab-cdef-fedcba98-76543210",
		"0123456--89ab-cdef-fedc-ba9876543210",
	};
	uint8_t uuid[16] = { 0 };
	char text[UUID_TEXT + 1];

	(void)state;
	assert_true(uuid_parse("01234567-89ab-cdef-fedc-ba9876543210", uuid));
	assert_memory_equal(uuid, want, 16);
	assert_true(uuid_parse("01234567-89AB-CDEF-FEDC-BA9876543210 behind", uuid));
	assert_memory_equal(uuid, want, 16);
	uuid_print(uuid, text);
	assert_string_equal(text, "01234567-89ab-cdef-fedc-ba9876543210");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uuid_parse(bad[i], uuid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
