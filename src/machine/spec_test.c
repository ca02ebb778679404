/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/spec_test.c: specs as texts: read, refused, and written again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"

static void a_spec_in_pieces(void **state)
{
	struct machine_spec s;

	assert_int_equal(machine_spec_parse("nvme,image=a,,b=c.img,ro=on,addr=02:00.1,group=7,"
					    "id=disk,,,image=,,x,empty=",
					    &s, NULL),
			 0);
	assert_string_equal(s.model, "nvme");
	assert_int_equal(s.num_opts, 4);
	assert_string_equal(s.opts[0].name, "image");
	assert_string_equal(s.opts[0].value, "a,b=c.img");
	assert_string_equal(s.opts[1].name, "ro");
	assert_string_equal(s.opts[1].value, "on");
	assert_string_equal(s.opts[2].name, "image");
	assert_string_equal(s.opts[2].value, ",x");
	assert_string_equal(s.opts[3].value, "");
	assert_true(s.has_addr);
	assert_int_equal(s.addr.bus, 2);
	assert_int_equal(s.addr.function, 1);
	assert_true(s.has_group);
	assert_int_equal(s.group, 7);
	/* three commas: one in the value, then the one that ends it */
	assert_string_equal(s.id, "disk,");
	machine_spec_free(&s);

	assert_int_equal(machine_spec_parse("edu", &s, NULL), 0);
	assert_int_equal(s.num_opts, 0);
	assert_false(s.has_addr);
	assert_false(s.has_group);
	assert_null(s.id);
	machine_spec_free(&s);
	assert_int_equal(machine_spec_parse("./a,,b.so,x=1", &s, NULL), 0);
	assert_string_equal(s.model, "./a,b.so");
	machine_spec_free(&s);
}

static void bad_specs(void **state)
{
	static const struct {
		const char *spec, *word; /* which the sentence must have */
	} bad[] = {
		{ "", "does not begin with a model" },
		{ ",x=1", "does not begin with a model" },
		{ "edu,", "option is empty" },
		{ "edu,,x=1", "ok" }, /* a model whose name has a comma: see below */
		{ "edu,x", "is not option=value" },
		{ "edu,=x", "is not option=value" },
		{ "edu,addr=1", "addr=1" },
		{ "edu,addr=", "addr=" },
		{ "edu,group=-1", "group=-1" },
		{ "edu,group=1x", "group=1x" },
		{ "edu,group=", "group=" },
		{ "edu,group=65536", "65535" },
		{ "edu,group=99999999999999999999", "65535" },
		{ "edu,id=", "id=" },
		{ "edu,x=a\nb", "line break" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct machine_spec s;
		char *err = NULL;
		int rc = machine_spec_parse(bad[i].spec, &s, &err);

		if (!strcmp(bad[i].word, "ok")) {
			assert_int_equal(rc, 0);
			assert_string_equal(s.model, "edu,x=1");
			machine_spec_free(&s);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_non_null(err);
		if (!strstr(err, bad[i].word))
			fail_msg("'%s': \"%s\" does not have \"%s\"", bad[i].spec, err,
				 bad[i].word);
		free(err);
	}
}

static void paths_become_absolute(void **state)
{
	char *out, *err = NULL, *want, *cwd = getcwd(NULL, 0);

	assert_int_equal(
		machine_spec_absolute("nvme,image=a,,b.img,addr=1:0.0,group=3,id=x,,y", &out, &err),
		0);
	assert_true(asprintf(&want, "nvme,image=%s/a,,b.img,addr=0000:01:00.0,group=3,id=x,,y",
			     cwd) > 0);
	assert_string_equal(out, want);
	free(out);
	free(want);
	assert_int_equal(machine_spec_absolute("nvme,image=/x/y,unknown=./z", &out, &err), 0);
	/* what is not known to be a path stays; the model's table refuses it later */
	assert_string_equal(out, "nvme,image=/x/y,unknown=./z");
	free(out);
	assert_int_equal(machine_spec_absolute("nvm", &out, &err), -ENOENT);
	assert_null(out);
	assert_non_null(strstr(err, "did you mean 'nvme'"));
	free(err);
	/* a real device: nothing is a path */
	assert_int_equal(machine_spec_absolute("host=01:00.0,group=3,via=./z", &out, &err), 0);
	assert_string_equal(out, "host=01:00.0,via=./z,group=3");
	free(out);
	assert_int_equal(machine_spec_absolute("host", &out, &err), -ENOENT);
	assert_non_null(strstr(err, "did you mean 'host='"));
	free(err);
	assert_int_equal(machine_spec_absolute("./no-such.so", &out, &err), -ENOENT);
	assert_non_null(strstr(err, "./no-such.so"));
	free(err);
	free(cwd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_in_pieces),
		cmocka_unit_test(bad_specs),
		cmocka_unit_test(paths_become_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
