/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/lasting_test.c: a model's memory is moved into a file, and found there by another process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "pci/function.h"

#define SIZE 10000u /* two pages and a half */

static uint32_t *mem;
static int carried, answer;

static int create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1af4, .device = 0x7777 };

	mem = uvfio_lasting(dev, SIZE);
	return mem && !uvfio_lasting(dev, SIZE) ? uvfio_set_ids(dev, &ids) : -ENOMEM;
}

static int carry_on(struct uvfio_dev *dev)
{
	carried++;
	return answer;
}

static struct uvfio_model model = {
	UVFIO_MODEL_INIT,
	.name = "lasting",
	.create = create,
	.carry_on = carry_on,
};

static pci_function *make(struct loop *loop)
{
	pci_function *fn;
	char why[256];

	assert_int_equal(
		pci_function_new(&model, "0000:01:00.0", 0, loop, NULL, 0, why, sizeof(why), &fn),
		0);
	return fn;
}

static int make_file(pci_function *fn)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 4096 + (off_t)pci_lasting_size(fn)), 0);
	return fd;
}

static void test_memory(void **state)
{
	struct loop *loop = loop_new();
	pci_function *fn = make(loop);
	char *end = (char *)mem + pci_lasting_size(fn);

	assert_int_equal(pci_lasting_size(fn), 3 * 4096);
	assert_int_equal((uintptr_t)mem % 4096, 0);
	for (char *p = (char *)mem; p < end; p++)
		assert_int_equal(*p, 0);
	assert_true(pci_can_carry_on(fn));
	/* not after create */
	assert_null(uvfio_lasting(fn, SIZE));
	pci_function_free(fn);
	loop_free(loop);
}

/* What was there before goes into the file, and what the killed process stored is found. */
static void test_killed(void **state)
{
	struct loop *loop = loop_new();
	pci_function *fn = make(loop);
	int fd = make_file(fn), status;
	uint32_t number;
	pid_t pid;

	mem[1] = 11;
	mem[2048] = 12;
	pci_lasting_access(fn, 5);
	assert_int_equal(uvfio_lasting_access(fn), 0);
	assert_int_equal(pci_lasting_map(fn, fd, 4096, false), 0);
	assert_int_not_equal(uvfio_lasting_access(fn), 0);
	pci_lasting_access(fn, 5);
	number = uvfio_lasting_access(fn);
	pci_lasting_access(fn, 0);
	assert_true(uvfio_lasting_access(fn) && uvfio_lasting_access(fn) != number);
	assert_int_equal(mem[1], 11);
	assert_int_equal(mem[2048], 12);
	pid = fork();
	if (!pid) {
		mem[2] = 13;
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	pci_function_free(fn);

	fn = make(loop);
	mem[3] = 99;
	assert_int_equal(pci_lasting_map(fn, fd, 4096, true), 0);
	assert_int_equal(mem[1], 11);
	assert_int_equal(mem[2048], 12);
	assert_int_equal(mem[2], 13);
	assert_int_equal(mem[3], 0);
	pci_lasting_access(fn, 5);
	assert_int_equal(uvfio_lasting_access(fn), number);
	carried = 0;
	answer = 0;
	assert_int_equal(pci_function_carry_on(fn), 0);
	answer = -EINVAL;
	assert_int_equal(pci_function_carry_on(fn), -EINVAL);
	answer = 1;
	assert_int_equal(pci_function_carry_on(fn), -EIO);
	assert_int_equal(carried, 3);
	assert_int_equal(pci_lasting_unmap(fn, true), 0);
	assert_int_equal(uvfio_lasting_access(fn), 0);
	pci_function_free(fn);
	close(fd);
	loop_free(loop);
}

/* A file that cannot be mapped, or written: the memory is what it was. */
static void test_errors(void **state)
{
	struct loop *loop = loop_new();
	pci_function *fn = make(loop);
	int fd = make_file(fn);

	mem[0] = 7;
	assert_int_equal(pci_lasting_map(fn, fd, 1, true), -EINVAL);
	assert_int_equal(pci_lasting_map(fn, -1, 0, false), -EBADF);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(pci_lasting_map(fn, fd, 0, false), -EPERM);
	assert_int_equal(mem[0], 7);
	pci_function_free(fn);
	close(fd);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
