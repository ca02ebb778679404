/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/caps_test.c: what clients and servers say, what is no such text, and what is agreed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "vfio_user/caps.h"
#include "vfio_user/wire.h"

static char text[4096];
static const char *why;

static int parse(const char *t, struct vu_caps *c)
{
	strcpy(text, t);
	return vu_caps_parse(text, strlen(t) + 1, c, &why);
}

/* What a server has, or a client of ours asks for. */
static struct vu_caps ours(void)
{
	return (struct vu_caps){ .max_msg_fds = 64,
				 .max_data_xfer_size = 1u << 20,
				 .max_dma_maps = 1000000,
				 .pgsizes = 4096,
				 .write_multiple = true,
				 .twin_socket = true,
				 .twin_fd_index = -1,
				 .migration = true,
				 .mig_pgsize = 4096,
				 .mig_max_bitmap = 256u << 20,
				 .sparse_mmap_fds = true,
				 .ring = true,
				 .named = ~0u };
}

static void defaults(const struct vu_caps *c)
{
	assert_int_equal(c->max_msg_fds, 1);
	assert_int_equal(c->max_data_xfer_size, 1u << 20);
	assert_int_equal(c->max_dma_maps, 65535);
	assert_int_equal(c->pgsizes, 4096);
	assert_false(c->write_multiple || c->twin_socket || c->migration || c->sparse_mmap_fds);
	assert_false(c->ring);
	assert_int_equal(c->twin_fd_index, -1);
	assert_int_equal(c->named, 0);
}

static void test_nothing(void **state)
{
	struct vu_caps c, out, o = ours();

	assert_int_equal(vu_caps_parse(text, 0, &c, &why), 0); /* SPDK's client */
	defaults(&c);
	assert_int_equal(parse("{}", &c), 0);
	defaults(&c);
	assert_int_equal(parse("{\"capabilities\":{}}", &c), 0);
	defaults(&c);
	assert_int_equal(parse("{\"capabilities\":{\"later\":[1,{\"a\":null}]},\"more\":1}", &c),
			 0);
	defaults(&c);
	/* nothing is answered */
	vu_caps_agree(&o, &c, &out);
	assert_int_equal(vu_caps_write(&out, text, sizeof(text)), 20);
	assert_string_equal(text, "{\"capabilities\":{}}");
	/* but where less than that is had */
	o.max_data_xfer_size = 4096;
	o.max_dma_maps = 10;
	o.max_msg_fds = 0;
	o.pgsizes = 1u << 16;
	vu_caps_agree(&o, &c, &out);
	vu_caps_write(&out, text, sizeof(text));
	assert_string_equal(text,
			    "{\"capabilities\":{\"max_msg_fds\":0,\"max_data_xfer_size\":4096,"
			    "\"max_dma_maps\":10,\"pgsizes\":65536}}");
}

/* QEMU 11.1.3, and its limit for the whole reply */
static void test_qemu(void **state)
{
	struct vu_caps c, out, o = ours();
	int n;

	assert_int_equal(
		parse("{\"capabilities\": {\"migration\": {\"max_bitmap_size\": 268435456, "
		      "\"pgsize\": 4096}, \"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, "
		      "\"max_dma_maps\": 65535, \"pgsizes\": 4096, \"write_multiple\": true}}",
		      &c),
		0);
	assert_int_equal(c.max_msg_fds, 16);
	assert_int_equal(c.mig_max_bitmap, 268435456);
	assert_true(c.write_multiple && c.migration);
	vu_caps_agree(&o, &c, &out);
	n = vu_caps_write(&out, text, sizeof(text));
	assert_true(n > 0 && n + sizeof(struct vu_header) + sizeof(struct vu_version) <= 214);
	assert_string_equal(text,
			    "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
			    "\"max_dma_maps\":65535,\"pgsizes\":4096,\"write_multiple\":true,"
			    "\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456}}}");
	assert_int_equal(vu_caps_write(&out, text, (size_t)n), n);
	for (int size = 0; size < n; size++)
		assert_int_equal(vu_caps_write(&out, text, (size_t)size), -E2BIG);
}

/* libvfio-user's Python tests and rust-vmm's client */
static void test_others(void **state)
{
	struct vu_caps c, out, o = ours();

	assert_int_equal(
		parse("{\"capabilities\":{\"max_data_xfer_size\":1048576,\"max_msg_fds\":8,"
		      "\"twin_socket\":{\"supported\":true},\"migration\":{}}}",
		      &c),
		0);
	vu_caps_agree(&o, &c, &out);
	assert_true(out.twin_socket);
	assert_int_equal(out.mig_pgsize, 4096);
	out.twin_fd_index = 0;
	vu_caps_write(&out, text, sizeof(text));
	assert_string_equal(text,
			    "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,"
			    "\"twin_socket\":{\"supported\":true,\"fd_index\":0},"
			    "\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":268435456}}}");
	assert_int_equal(vu_caps_parse(text, strlen(text) + 1, &c, &why), 0);
	assert_int_equal(c.twin_fd_index, 0);
	/* a server without any of it */
	o = (struct vu_caps){ .max_msg_fds = 1,
			      .max_data_xfer_size = 1u << 21,
			      .pgsizes = 4096,
			      .max_dma_maps = 1u << 20 };
	vu_caps_agree(&o, &c, &out);
	assert_false(out.twin_socket || out.migration);
	vu_caps_write(&out, text, sizeof(text));
	assert_string_equal(
		text, "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576}}");
}

/* What our client says comes to our server as it is. */
static void test_own(void **state)
{
	struct vu_caps c, out, o = ours();

	assert_true(vu_caps_write(&o, text, sizeof(text)) > 0);
	assert_int_equal(vu_caps_parse(text, strlen(text) + 1, &c, &why), 0);
	assert_int_equal(c.named, VU_CAP_FDS | VU_CAP_DATA | VU_CAP_DMA_MAPS | VU_CAP_PGSIZES |
					  VU_CAP_MULTI | VU_CAP_TWIN | VU_CAP_MIGRATION |
					  VU_CAP_SPARSE_FDS | VU_CAP_UVFIO);
	vu_caps_agree(&o, &c, &out);
	assert_true(out.ring && out.sparse_mmap_fds && out.write_multiple);
	assert_int_equal(out.max_dma_maps, 1000000);
	/* ours alone */
	out.named = VU_CAP_UVFIO;
	vu_caps_write(&out, text, sizeof(text));
	assert_string_equal(text, "{\"capabilities\":{\"uvfio\":{\"ring\":true}}}");
}

static void test_limits(void **state)
{
	struct vu_caps c;

	assert_int_equal(parse("{\"capabilities\":{\"max_msg_fds\":0,"
			       "\"max_data_xfer_size\":9223372036854775807,"
			       "\"max_dma_maps\":4294967296,\"pgsizes\":1}}",
			       &c),
			 0);
	assert_int_equal(c.max_msg_fds, 0);
	assert_int_equal(c.max_data_xfer_size, UINT32_MAX);
	assert_int_equal(c.max_dma_maps, UINT32_MAX);
	assert_int_equal(c.pgsizes, 1);
}

#define UVFIO(lasting) "{\"capabilities\":{\"uvfio\":{\"lasting\":" lasting "}}}"
#define ID	       "00112233445566778899aabbccddeeff"

/* Each that is said of a device that lasts, as text and back. */
static void test_lasting(void **state)
{
	static const struct {
		const char *text;
		struct vu_lasting is;
	} all[] = {
		{ UVFIO("true"), { .kind = VU_LASTING_OFFER } },
		{ UVFIO("{\"resume\":\"" ID "\",\"seq\":65535}"),
		  { .kind = VU_LASTING_RESUME, .seq = 65535 } },
		{ UVFIO("{\"id\":\"" ID "\",\"seq\":0}"), { .kind = VU_LASTING_NEW } },
		{ UVFIO("{\"id\":\"" ID "\",\"resumed\":true}"), { .kind = VU_LASTING_RESUMED } },
		{ UVFIO("{\"id\":\"" ID "\",\"resumed\":false,\"why\":\"it is so\"}"),
		  { .kind = VU_LASTING_LOST, .why = "it is so" } },
	};
	struct vu_caps c = { .lasting = { .kind = VU_LASTING_LOST, .why = "a \"b\\\n" } };

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(parse(all[i].text, &c), 0);
		assert_int_equal(c.lasting.kind, all[i].is.kind);
		assert_int_equal(c.lasting.seq, all[i].is.seq);
		assert_string_equal(c.lasting.why, all[i].is.why);
		assert_int_equal(c.lasting.id[1], i ? 0x11 : 0);
		assert_int_equal(c.lasting.id[15], i ? 0xff : 0);
		assert_true(vu_caps_write(&c, text, sizeof(text)) > 0);
		assert_string_equal(text, all[i].text);
	}
	assert_int_equal(parse(UVFIO("false"), &c), 0);
	assert_int_equal(c.lasting.kind, VU_LASTING_NONE);
	/* a sentence that is no such string is written so that it is one */
	c.lasting = (struct vu_lasting){ .kind = VU_LASTING_LOST, .why = "a \"b\\\n" };
	assert_true(vu_caps_write(&c, text, sizeof(text)) > 0);
	assert_int_equal(vu_caps_parse(text, strlen(text) + 1, &c, &why), 0);
	assert_string_equal(c.lasting.why, "a ?b??");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"1",
		"null",
		"{",
		"{}x",
		"{\"capabilities\":[]}",
		"{\"capabilities\":null}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_msg_fds\":\"8\"}}",
		"{\"capabilities\":{\"max_msg_fds\":true}}",
		"{\"capabilities\":{\"max_msg_fds\":1,\"max_msg_fds\":1}}",
		"{\"capabilities\":{\"max_data_xfer_size\":0}}",
		"{\"capabilities\":{\"max_data_xfer_size\":{}}}",
		"{\"capabilities\":{\"max_dma_maps\":1.5}}",
		"{\"capabilities\":{\"pgsizes\":0}}",
		"{\"capabilities\":{\"write_multiple\":1}}",
		"{\"capabilities\":{\"twin_socket\":true}}",
		"{\"capabilities\":{\"twin_socket\":{\"supported\":1}}}",
		"{\"capabilities\":{\"twin_socket\":{\"fd_index\":-1}}}",
		"{\"capabilities\":{\"twin_socket\":{\"fd_index\":2147483647}}}",
		"{\"capabilities\":{\"migration\":true}}",
		"{\"capabilities\":{\"migration\":{\"pgsize\":0}}}",
		"{\"capabilities\":{\"migration\":{\"max_bitmap_size\":\"\"}}}",
		"{\"capabilities\":{\"sparse_mmap_fds\":{}}}",
		"{\"capabilities\":{\"uvfio\":true}}",
		"{\"capabilities\":{\"uvfio\":{\"ring\":1}}}",
		UVFIO("1"),
		UVFIO("\"0123456789abcdef0123456789abcdef\""),
		UVFIO("{}"),
		UVFIO("{\"seq\":1}"),
		UVFIO("{\"id\":\"0123456789abcdef\"}"),
		UVFIO("{\"id\":\"0123456789abcdef0123456789abcdeX\"}"),
		UVFIO("{\"id\":\"0123456789abcdef0123456789abcdef\",\"seq\":65536}"),
		UVFIO("{\"id\":\"0123456789abcdef0123456789abcdef\",\"resumed\":1}"),
		UVFIO("{\"id\":\"0123456789abcdef0123456789abcdef\",\"why\":1}"),
		UVFIO("{\"id\":\"0123456789abcdef0123456789abcdef\","
		      "\"resume\":\"0123456789abcdef0123456789abcdef\"}"),
		UVFIO("{\"resumed\":true,\"resume\":\"0123456789abcdef0123456789abcdef\"}"),
	};
	struct vu_caps c;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		if (parse(bad[i], &c) != -EINVAL || !why)
			fail_msg("%s", bad[i]);
	}
	/* no null character at the end, or one before */
	memcpy(text, "{}", 2);
	assert_int_equal(vu_caps_parse(text, 2, &c, &why), -EINVAL);
	memcpy(text, "{}\0\0", 4);
	assert_int_equal(vu_caps_parse(text, 4, &c, &why), -EINVAL);
	/* more values than anybody sends */
	memset(text, '[', 3000);
	text[3000] = '\0';
	assert_int_equal(vu_caps_parse(text, 3001, &c, &why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_others),	cmocka_unit_test(test_own),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_lasting),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
