/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/nodes_test.c: names of nodes of /dev, and what is no such name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vfio/abi.h"
#include "vfio/nodes.h"

static void test_find(void **state)
{
	static const char *const none[] = {
		"",
		"/",
		"/dev/vfio",
		"/dev/vfio/",
		"/dev/vfio/vfi",
		"/dev/vfio/vfiox",
		"/dev/vfio/7x",
		"/dev/vfio/07",
		"/dev/vfio/-1",
		"/dev/vfio/+1",
		"/dev/vfio/ 1",
		"/dev/vfio/4294967296",
		"dev/vfio/vfio",
		"/dev/vfio//7",
		"/dev/vfio/vfio/",
		"/dev/vfio/7/",
		"/dev/vfio/99999999999999999999999",
		"/dev/vfio/devices",
		"/dev/vfio/devices/",
		"/dev/vfio/devices/vfio",
		"/dev/vfio/devices/vfio01",
		"/dev/vfio/devices/7",
	};
	const struct vfio_node *n;
	unsigned id = 77;

	n = vfio_node_find("/dev/vfio/vfio", &id, NULL);
	assert_non_null(n);
	assert_int_equal(n->kind, VFIO_FILE_CONTAINER);
	assert_int_equal(id, 0);
	n = vfio_node_find("/dev/vfio/7", &id, NULL);
	assert_non_null(n);
	assert_int_equal(n->kind, VFIO_FILE_GROUP);
	assert_int_equal(id, 7);
	assert_ptr_equal(vfio_node_find("/dev/vfio/0", &id, NULL), n);
	assert_int_equal(id, 0);
	assert_ptr_equal(vfio_node_find("/dev/vfio/4294967295", &id, NULL), n);
	assert_int_equal(id, UINT32_MAX);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_null(vfio_node_find(none[i], &id, NULL));
}

static void test_rest(void **state)
{
	const char *rest;
	unsigned id;

	assert_non_null(vfio_node_find("/dev/vfio/7", &id, &rest));
	assert_string_equal(rest, "");
	assert_non_null(vfio_node_find("/dev/vfio/7/", &id, &rest));
	assert_string_equal(rest, "/");
	assert_non_null(vfio_node_find("/dev/vfio/vfio/a/b", &id, &rest));
	assert_string_equal(rest, "/a/b");
	assert_null(vfio_node_find("/dev/vfio/vfiox/a", &id, &rest));
}

static void test_name(void **state)
{
	char name[VFIO_NODE_NAME];

	assert_string_equal(vfio_node_name(vfio_node_of(VFIO_FILE_CONTAINER), 0, name),
			    "/dev/vfio/vfio");
	assert_string_equal(vfio_node_name(vfio_node_of(VFIO_FILE_GROUP), UINT32_MAX, name),
			    "/dev/vfio/4294967295");
	assert_string_equal(vfio_node_name(vfio_node_of(VFIO_FILE_DEVICE), 12, name),
			    "/dev/vfio/devices/vfio12");
	assert_null(vfio_node_of(VFIO_FILE_STREAM));
}

static void choose(const char *abi)
{
	char why[64];

	assert_int_equal(vfio_abi_choose(abi, why, sizeof(why)), 0);
}

/* Each line of the table by itself: what a new one has to be. */
static void test_table(void **state)
{
	char name[VFIO_NODE_NAME];
	unsigned id;

	for (size_t i = 0; i < vfio_num_nodes; i++) {
		const struct vfio_node *n = &vfio_nodes[i];

		choose(n->v3 ? "v3" : "vfio");
		assert_int_equal(strncmp(n->path, "/dev/", 5), 0);
		assert_true(strlen(n->path) + (n->numbered ? 10 : 0) < VFIO_NODE_NAME);
		assert_ptr_equal(vfio_node_find(vfio_node_name(n, 4294967295u, name), &id, NULL),
				 n);
		assert_int_equal(id, n->numbered ? 4294967295u : 0);
		assert_true(vfio_nodes_have(name));
		assert_true(n->major && n->mode);
		choose(n->v3 ? "vfio" : "v3");
		assert_false(vfio_node_is_there(n));
		assert_ptr_not_equal(vfio_node_find(name, &id, NULL), n);
	}
	choose("vfio");
}

static void test_have(void **state)
{
	assert_true(vfio_nodes_have("/dev/vfio"));
	assert_true(vfio_nodes_have("/dev/vfio/"));
	assert_true(vfio_nodes_have("/dev/vfio/x/y"));
	assert_true(vfio_nodes_have("/sys/dev/char/10:196"));
	assert_true(vfio_nodes_have("/sys/dev/char/10:196/uevent"));
	assert_true(vfio_nodes_have("/sys/dev/char/243:5"));
	assert_true(vfio_nodes_have("/dev/iommu"));
	assert_false(vfio_nodes_have("/dev/iommu1"));
	assert_false(vfio_nodes_have("/dev"));
	assert_false(vfio_nodes_have("/dev/"));
	assert_false(vfio_nodes_have("/dev/vfiox"));
	assert_false(vfio_nodes_have("/sys/dev/char/10:1960"));
	assert_false(vfio_nodes_have("/sys/dev/char/10:19"));
	assert_false(vfio_nodes_have("/sys/dev/char/24"));
	assert_true(vfio_nodes_below("/", 0));
	assert_true(vfio_nodes_below("/dev", 4));
	assert_true(vfio_nodes_below("/dev/", 4));
	assert_true(vfio_nodes_below("/sys/dev", 8));
	assert_true(vfio_nodes_below("/sys/dev/char", 13));
	assert_false(vfio_nodes_below("/de", 3));
	assert_false(vfio_nodes_below("/dev/vfio", 9));
	assert_false(vfio_nodes_below("/sys/dev/char/10:196", 20));
}

/* In 2010's world what is today's is there no more, and is still not the host's. */
static void test_v3(void **state)
{
	unsigned id;

	assert_false(vfio_nodes_have("/dev/vfio0"));
	assert_false(vfio_nodes_have("/dev/uiommu"));
	choose("v3");
	assert_int_equal(vfio_node_find("/dev/vfio7", &id, NULL)->kind, VFIO_FILE_V3_DEVICE);
	assert_int_equal(id, 7);
	assert_null(vfio_node_find("/dev/vfio/vfio", &id, NULL));
	assert_null(vfio_node_find("/dev/vfio", &id, NULL));
	assert_null(vfio_node_find("/dev/vfio07", &id, NULL));
	assert_null(vfio_node_find("/dev/iommu", &id, NULL));
	assert_true(vfio_nodes_have("/dev/vfio7"));
	assert_true(vfio_nodes_have("/dev/vfio7/x"));
	assert_false(vfio_nodes_have("/dev/vfiox"));
	assert_false(vfio_nodes_have("/dev/vfio7x"));
	assert_true(vfio_nodes_have("/dev/vfio"));
	assert_true(vfio_nodes_have("/dev/vfio/vfio"));
	assert_true(vfio_nodes_have("/dev/iommu"));
	assert_true(vfio_nodes_have("/dev/uiommu"));
	assert_true(vfio_nodes_have("/sys/dev/char/251:7"));
	assert_true(vfio_nodes_below("/dev", 4));
	choose("vfio");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find), cmocka_unit_test(test_rest),
		cmocka_unit_test(test_name), cmocka_unit_test(test_table),
		cmocka_unit_test(test_have), cmocka_unit_test(test_v3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
