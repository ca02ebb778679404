/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/paths_test.c: which paths are in the view or above it, and what texts of links and paths
 * mean. All of it is text alone; what needs the file system is in tests/shim/paths.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/shim.h"

static void test_in_view(void **state)
{
	static const char *const in[] = {
		"/sys/bus/pci",
		"/sys/bus/pci/devices",
		"/sys/devices/pci0000:00/x",
		"/sys/class/vfio",
		"/sys/class/vfio-dev",
		"/sys/module/vfio_pci/x",
		"/sys/kernel/iommu_groups/1",
		"/sys/dev/char/10:196",
		"/sys/dev/char/243:7",
		"/dev/vfio",
		"/dev/vfio/vfio",
		"/dev/vfio/7",
		"/dev/iommu",
	};
	static const char *const out[] = {
		"",
		"/",
		"/sys",
		"/sys/bus",
		"/sys/bus/pcix",
		"/sys/dev/char/10:1960",
		"/dev",
		"/dev/vfiox",
		"/dev/iommux",
		"/devs",
		"/home/dev/vfio",
		"dev/vfio",
		"/sys/dev/char/24",
	};

	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		assert_true(shim_in_view(in[i]));
		assert_true(shim_near_view(in[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		assert_false(shim_in_view(out[i]));
}

static void test_above_view(void **state)
{
	static const char *const above[] = { "/",	 "/sys",	  "/sys/",
					     "/sys/bus", "/sys/dev/char", "/sys/class",
					     "/dev",	 "/dev/" };
	static const char *const not [] = { "/home",	    "/sys/bus/usb", "/de",	 "/dev/shm",
					    "/sys/bus/pci", "/dev/vfio",    "/dev/iommu" };

	for (size_t i = 0; i < ARRAY_SIZE(above); i++)
		assert_true(shim_above_view(above[i]));
	for (size_t i = 0; i < ARRAY_SIZE(not ); i++)
		assert_false(shim_above_view(not [i]));
	assert_true(shim_near_view("/dev/null"));
	assert_false(shim_near_view("/home/x"));
}

static void test_stat(void **state)
{
	struct stat st = { .st_mode = S_IFSOCK | 0666, .st_size = 5 };

	shim_path_stat("/dev/vfio/vfio", &st);
	assert_int_equal(st.st_mode, S_IFCHR | 0666);
	assert_int_equal(st.st_rdev, makedev(10, 196));
	assert_int_equal(st.st_size, 0);
	st = (struct stat){ .st_mode = S_IFREG | 0600 };
	shim_path_stat("/dev/vfio/12", &st);
	assert_int_equal(st.st_mode, S_IFCHR | 0600);
	assert_int_equal(st.st_rdev, makedev(VFIO_GROUP_MAJOR, 12));
	/* neither names of nodes nor files that stand for one */
	st = (struct stat){ .st_mode = S_IFSOCK | 0600 };
	shim_path_stat("/dev/vfio/012", &st);
	shim_path_stat("/dev/log", &st);
	shim_path_stat(NULL, &st);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	st = (struct stat){ .st_mode = S_IFDIR | 0755 };
	shim_path_stat("/dev/vfio/12", &st);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
}

static void test_self_fd(void **state)
{
	char own[64];

	snprintf(own, sizeof(own), "/proc/%d/fd/9", getpid());
	assert_int_equal(shim_path_self_fd("/proc/self/fd/7"), 7);
	assert_int_equal(shim_path_self_fd("/dev/fd/0"), 0);
	assert_int_equal(shim_path_self_fd("/proc/thread-self/fd/12"), 12);
	assert_int_equal(shim_path_self_fd(own), 9);
	assert_int_equal(shim_path_self_fd("/proc/1/fd/9"), -1);
	assert_int_equal(shim_path_self_fd("/proc/self/fd/"), -1);
	assert_int_equal(shim_path_self_fd("/proc/self/fd/7/x"), -1);
	assert_int_equal(shim_path_self_fd("/proc/self/maps"), -1);
	assert_int_equal(shim_path_self_fd("/proc/self/fdinfo/7"), -1);
	assert_int_equal(shim_path_self_info("/proc/self/fdinfo/7"), 7);
	assert_int_equal(shim_path_self_info("/proc/self/task/12/fdinfo/7"), 7);
	assert_int_equal(shim_path_self_info("/proc/1/fdinfo/9"), -1);
	assert_int_equal(shim_path_self_info("/dev/fd/9"), -1);
}

/* The text of a link to a handle's memfd becomes that of the kernel's file. */
static void test_link_text(void **state)
{
	static const struct {
		const char *is, *becomes;
	} texts[] = {
		{ "/memfd:uvfio::/dev/vfio/vfio (deleted)", "/dev/vfio/vfio" },
		{ "/memfd:uvfio:g7:/dev/vfio/7 (deleted)", "/dev/vfio/7" },
		{ "/memfd:uvfio:g7:anon_inode:[vfio-device] (deleted)",
		  "anon_inode:[vfio-device]" },
		/* cut */
		{ "/memfd:uvfio::/dev/vfio/vfio (del", "/dev/vfio/vfio (del" },
		{ "/memfd:uvfio:g7", "/memfd:uvfio:g7" },
		{ "/memfd:other (deleted)", "/memfd:other (deleted)" },
		{ "/dev/vfio/vfio", "/dev/vfio/vfio" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[64];
		size_t n;

		strcpy(text, texts[i].is);
		n = shim_link_text(text, strlen(text));
		assert_int_equal(n, strlen(texts[i].becomes));
		assert_memory_equal(text, texts[i].becomes, n);
	}
	assert_true(shim_link_is_ours("/memfd:uvfio:g7:", 16));
	assert_true(shim_link_is_ours("/mem", 4));
	assert_false(shim_link_is_ours("/memfd:other", 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_view),	  cmocka_unit_test(test_above_view),
		cmocka_unit_test(test_stat),	  cmocka_unit_test(test_self_fd),
		cmocka_unit_test(test_link_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
