/* SPDX-License-Identifier: BSD-3-Clause */
/* base/json_test.c: what is a line of JSON, what is not, and that a text comes back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/util.h"

static struct json nodes[64];
static char line[512];

static int parse(const char *text)
{
	strcpy(line, text);
	return json_parse(line, strlen(line), nodes, ARRAY_SIZE(nodes));
}

static void test_values(void **state)
{
	const struct json *j;

	assert_int_equal(parse(" {\"request\" : \"list\",\"n\":-12,\"b\":true,\"no\":false,"
			       "\"z\":null,\"a\":[1,[],{\"x\":\"y\"}]} \n"),
			 0);
	assert_string_equal(json_text(nodes, "request"), "list");
	assert_int_equal(json_member(nodes, "n", JSON_NUMBER)->number, -12);
	assert_int_equal(json_member(nodes, "b", JSON_BOOL)->number, 1);
	assert_int_equal(json_member(nodes, "no", JSON_BOOL)->number, 0);
	assert_non_null(json_member(nodes, "z", JSON_NULL));
	assert_null(json_member(nodes, "n", JSON_STRING));
	assert_null(json_text(nodes, "absent"));
	j = json_member(nodes, "a", JSON_ARRAY)->first;
	assert_int_equal(j->number, 1);
	assert_int_equal(j->next->type, JSON_ARRAY);
	assert_null(j->next->first);
	assert_string_equal(json_text(j->next->next, "x"), "y");
	assert_null(j->next->next->next);
	assert_null(json_text(j, "x")); /* of a number */
	assert_int_equal(parse("\"\""), 0);
	assert_string_equal(nodes[0].text, "");
	assert_int_equal(parse("9223372036854775807"), 0);
	assert_true(nodes[0].number == INT64_MAX);
}

static void test_strings(void **state)
{
	assert_int_equal(
		parse("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20ac\\ud83d\\ude00\xc3\xa4\""), 0);
	assert_string_equal(nodes[0].text, "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
					   "\xc3\xa4");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"{\"a\":1,}",
		"{\"a\":1 \"b\":2}",
		"{a:1}",
		"{\"a\":1,\"a\":2}",
		"[1,]",
		"[",
		"[1",
		"]",
		"1 2",
		"01",
		"-",
		"+1",
		"1.5",
		"1e3",
		"9223372036854775808",
		"nul",
		"True",
		"\"",
		"\"a",
		"\"\\",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u0000\"",
		"\"\\ud83d\"",
		"\"\\ud83dx\"",
		"\"\\ud83d\\u0041\"",
		"\"\\ude00\"",
		"\"a\nb\"",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"\"\xe2\x82\"",
		"\"\xf4\x90\x80\x80\"",
		"[[[[[[[[[1]]]]]]]]]",
	};
	char with_null[] = "\"a\0b\"";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i]) != -EINVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(json_parse(with_null, sizeof(with_null) - 1, nodes, 2), -EINVAL);
	strcpy(line, "[1,2]");
	assert_int_equal(json_parse(line, 5, nodes, 2), -E2BIG);
	assert_int_equal(parse("[[[[[[[[1]]]]]]]]"), 0);
}

static void test_write(void **state)
{
	static const char text[] = "a\"\\\n\x7f\xc3\xa4\xff.";
	char *out;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	json_write_member(f, "k", text);
	putc(',', f);
	json_write_member(f, "z", NULL);
	fclose(f);
	assert_string_equal(out, "\"k\":\"a\\\"\\\\\\u000a\\u007f\xc3\xa4\\ufffd.\",\"z\":null");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
