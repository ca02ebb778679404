/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/calls_test.c: system calls that commands do without. A message is received and
 * answered by one each, and what else a command costs is what the client waits for. A write to a
 * register has the kernel end the process (SIGSYS) if the connection's thread makes one of these.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "uvfio/model.h"
#include "vfio_user/server/test_server.h"

static struct test_server t;
static struct reply r;

static void forbid(void)
{
#define LOAD(what)	 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define IF(value, n)	 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, n, 0)
#define RETURN(decision) BPF_STMT(BPF_RET | BPF_K, decision)
	struct sock_filter code[] = {
		LOAD(nr),
		IF(SYS_prlimit64, 7),
		IF(SYS_fstatfs, 6),
		IF(SYS_msync, 5),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 3),
		LOAD(args[1]),
		IF(F_DUPFD, 2),
		IF(F_DUPFD_CLOEXEC, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_TRAP),
	};
	struct sock_fprog p = { ARRAY_SIZE(code), code };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p), 0);
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };
	int rc = uvfio_set_ids(dev, &ids);

	if (!rc)
		rc = uvfio_add_bar(dev, 0, 4096, 0);
	if (!rc)
		rc = uvfio_add_msi(dev, 4, true, true);
	return rc < 0 ? rc : 0;
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	*value = 7;
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	forbid();
	return 0;
}

static const struct uvfio_model model = {
	UVFIO_MODEL_INIT,	.name = "forbids",  .summary = "a register that forbids calls",
	.create = create,	.concurrent = true, .bar_read = bar_read,
	.bar_write = bar_write,
};

static void set_vector(int fd, int event)
{
	struct vu_set_irqs q = { .argsz = sizeof(q),
				 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				 .index = VFIO_PCI_MSI_IRQ_INDEX,
				 .count = 1 };

	assert_int_equal(client_call_fds(fd, VU_DEVICE_SET_IRQS, &q, sizeof(q), &event, 1, &r), 0);
	/* the device's now: signalled */
	q.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	assert_int_equal(client_call(fd, VU_DEVICE_SET_IRQS, &q, sizeof(q), &r), 0);
	assert_int_equal(eventfd_count(event, true), 1);
	q.count = 0;
	assert_int_equal(client_call(fd, VU_DEVICE_SET_IRQS, &q, sizeof(q), &r), 0);
}

static void test_calls(void **state)
{
	const uint32_t rw = VU_DMA_READABLE | VU_DMA_WRITEABLE;
	int fd, file, event = eventfd(0, EFD_NONBLOCK);
	uint8_t *mem;

	test_server_begin(&t, "forbids");
	fd = client_new(&t);
	client_enable(fd);
	file = make_memory(16 * K4, &mem);
	/* a file that is not known yet takes more */
	assert_int_equal(client_map(fd, 0, K4, 0, rw, file, &r), 0);
	client_put(fd, 0, 0, 1, 4);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(client_map(fd, i * K4, K4, i * K4, rw, file, &r), 0);
		assert_int_equal(client_get(fd, 0, 0), 7);
		set_vector(fd, event);
		assert_int_equal(client_unmap(fd, i * K4, K4, 0, &r), 0);
	}
	close(fd);
	assert_int_equal(test_await(&t, VU_SERVER_DISCONNECTED), 0);
	test_server_end(&t);
	close(event);
	close(file);
	munmap(mem, 16 * K4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_calls) };

	if (machine_register_model(&model, NULL))
		return 1;
	return cmocka_run_group_tests_name("vfio_user server: system calls", tests, NULL, NULL);
}
