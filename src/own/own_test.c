/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/own_test.c: the process that has the devices, called past the shim, also by who does not keep
 * to the protocol: that one is cut off, and everybody else goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/sys.h"
#include "far/link.h"
#include "far/wire.h"
#include "own/internal.h"

static char dir[64];
static int until[2], listener;
static pthread_t server;
static struct machine *machine;
static struct own *own;

static bool not_needed(void *arg)
{
	return false;
}

static void *serve(void *arg)
{
	own_serve(own, listener, until[0], not_needed, NULL);
	return NULL;
}

static int setup(void **state)
{
	char path[96];

	log_set(2, LOG_NONE);
	snprintf(dir, sizeof(dir), "/tmp/own_test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/claims", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	machine = machine_new();
	assert_non_null(machine);
	own = own_new(machine, *state);
	assert_non_null(own);
	listener = own_listen(dir);
	assert_true(listener >= 0);
	assert_int_equal(pipe(until), 0);
	assert_int_equal(pthread_create(&server, NULL, serve, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	void *result;

	close(until[1]);
	assert_int_equal(pthread_join(server, &result), 0);
	assert_null(result);
	close(until[0]);
	close(listener);
	own_free(own);
	machine_free(machine, false);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static int raw(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" FAR_SOCKET, dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void send_raw(int fd, const struct far_request *r, size_t size, int with)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	uint8_t packet[sizeof(*r) + sizeof(int32_t)] = { 0 };
	struct iovec iov = { packet, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	assert_true(size <= sizeof(packet));
	memcpy(packet, r, sizeof(*r));

	if (with >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &with, sizeof(with));
	}
	assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), size);
}

/* True if the link was cut. */
static bool is_cut(int fd)
{
	struct far_reply reply;

	return recv(fd, &reply, sizeof(reply), 0) <= 0;
}

static const size_t head = sizeof(struct far_request);

static int hello(void)
{
	struct far_request r = { .op = FAR_HELLO, .a = 77, .num_fds = 1 };
	int fd = raw(), mem = open("/proc/self/mem", O_RDWR);
	struct far_reply reply;

	send_raw(fd, &r, head + sizeof(int32_t), mem);
	close(mem);
	assert_int_equal(recv(fd, &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply.value, 0);
	return fd;
}

static void who_sends_what_is_no_call_is_cut_off(void **state)
{
	struct far_request r = { .op = FAR_OPEN };
	int fd;

	/* before hello */
	fd = raw();
	send_raw(fd, &r, head, -1);
	assert_true(is_cut(fd));
	close(fd);
	/* a hello without memory */
	r.op = FAR_HELLO;
	fd = raw();
	send_raw(fd, &r, head, -1);
	assert_true(is_cut(fd));
	close(fd);
	/* each size that is too small */
	for (size_t n = 1; n < head; n += 7) {
		fd = raw();
		send_raw(fd, &r, n, -1);
		assert_true(is_cut(fd));
		close(fd);
	}
	/* descriptors that are said and not there, and the other way round */
	for (int said = 0; said < 2; said++) {
		fd = hello();
		r = (struct far_request){ .op = FAR_MORE, .num_fds = (uint32_t)said };
		send_raw(fd, &r, head + sizeof(int32_t), said ? -1 : 0);
		assert_true(is_cut(fd));
		close(fd);
	}
	/* a second hello */
	fd = hello();
	r = (struct far_request){ .op = FAR_HELLO };
	send_raw(fd, &r, head, -1);
	assert_true(is_cut(fd));
	close(fd);
}

static void descriptors_without_end_are_refused(void **state)
{
	struct far_request r = { .op = FAR_MORE, .num_fds = 1 };
	int fd = hello(), n = 0;

	for (; n < 5000; n++) {
		char control[CMSG_SPACE(sizeof(int))] = { 0 };
		struct iovec iov[] = { { &r, head }, { &n, sizeof(n) } };
		struct msghdr m = { .msg_iov = iov,
				    .msg_iovlen = 2,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };

		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
		if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
			break;
	}
	assert_true(n < 5000);
	close(fd);
}

static int no_file(void *arg, const struct far_info *info, int flags)
{
	int *asked = arg;

	++*asked;
	assert_int_equal(info->kind, VFIO_FILE_CONTAINER);
	assert_int_equal(info->group, -1);
	return -EMFILE;
}

/* As the shim makes it: opened by its path, since Linux tells nobody of closes of other memfds. */
static int a_file(void *arg, const struct far_info *info, int flags)
{
	int *fd = arg, memfd = memfd_create("file", 0);
	char path[SYS_FD_NAME];

	*fd = open(sys_fd_name(path, memfd), O_RDWR);
	close(memfd);
	return *fd;
}

static long open_container(struct far_links *l, int *fd)
{
	struct far_request r = { .op = FAR_OPEN, .a = O_RDWR, .path = "/dev/vfio/vfio" };

	return far_call(l, &r, NULL, 0, a_file, fd, NULL);
}

static struct far_request on(int fd, enum far_op op)
{
	struct far_request r = { .op = op };
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	r.dev = st.st_dev;
	r.ino = st.st_ino;
	return r;
}

static void a_file_lives_as_long_as_its_descriptor(void **state)
{
	struct far_links *l = far_links_new(dir);
	struct far_reply reply;
	struct far_request r = { .op = FAR_OPEN, .a = O_RDWR, .path = "/dev/vfio/vfio" };
	int fd, copy, asked = 0;

	assert_non_null(l);
	/* the process has no number for it */
	assert_int_equal(far_call(l, &r, NULL, 0, no_file, &asked, NULL), -EMFILE);
	assert_int_equal(asked, 1);
	r = (struct far_request){ .op = FAR_OPEN, .path = "/dev/vfio/9" };
	assert_int_equal(far_call(l, &r, NULL, 0, a_file, &fd, NULL), -ENOENT);
	r = (struct far_request){ .op = FAR_OPEN, .path = "/dev/iommu" };
	assert_int_equal(far_call(l, &r, NULL, 0, a_file, &fd, NULL), -ENODEV);

	assert_true(open_container(l, &fd) >= 0);
	r = on(fd, FAR_ASK);
	assert_int_equal(far_call(l, &r, NULL, 0, NULL, NULL, &reply), 0);
	assert_int_equal(reply.info.kind, VFIO_FILE_CONTAINER);
	assert_string_equal(reply.info.link, "/dev/vfio/vfio");
	r = on(fd, FAR_IOCTL);
	r.a = VFIO_CHECK_EXTENSION;
	r.b = VFIO_TYPE1v2_IOMMU;
	assert_int_equal(far_call(l, &r, NULL, 0, NULL, NULL, NULL), 1);
	/* registers are a device's */
	r = on(fd, FAR_MMAP);
	assert_int_equal(far_call(l, &r, NULL, 0, NULL, NULL, NULL), -ENODEV);

	copy = dup(fd);
	close(fd);
	r = on(copy, FAR_ASK);
	assert_int_equal(far_call(l, &r, NULL, 0, NULL, NULL, NULL), 0);
	close(copy);
	assert_int_equal(far_call(l, &r, NULL, 0, NULL, NULL, NULL), -ENODEV);
}

static void a_file_is_held_by_a_process_that_says_so(void **state)
{
	struct far_links *l = far_links_new(dir);
	struct far_request ask, hold, drop;
	int fd;

	assert_non_null(l);
	assert_true(open_container(l, &fd) >= 0);
	ask = on(fd, FAR_ASK);
	hold = on(fd, FAR_HOLD);
	drop = on(fd, FAR_DROP);
	/* once or twice is the same */
	assert_int_equal(far_call(l, &hold, NULL, 0, NULL, NULL, NULL), 0);
	assert_int_equal(far_call(l, &hold, NULL, 0, NULL, NULL, NULL), 0);
	close(fd);
	assert_int_equal(far_call(l, &ask, NULL, 0, NULL, NULL, NULL), 0);
	assert_int_equal(far_call(l, &drop, NULL, 0, NULL, NULL, NULL), 0);
	assert_int_equal(far_call(l, &ask, NULL, 0, NULL, NULL, NULL), -ENODEV);
	assert_int_equal(far_call(l, &hold, NULL, 0, NULL, NULL, NULL), -ENODEV);
	assert_int_equal(far_call(l, &drop, NULL, 0, NULL, NULL, NULL), 0);
}

static void what_is_kept_outlives_all_who_had_it(void **state)
{
	struct far_links *l = far_links_new(dir);
	struct far_request ask, hold, drop;
	int fd, later;

	assert_non_null(l);
	assert_true(open_container(l, &fd) >= 0);
	ask = on(fd, FAR_ASK);
	hold = on(fd, FAR_HOLD);
	drop = on(fd, FAR_DROP);
	assert_int_equal(far_call(l, &hold, NULL, 0, NULL, NULL, NULL), 0);
	own_files_keep(&own->files);
	close(fd);
	assert_int_equal(far_call(l, &drop, NULL, 0, NULL, NULL, NULL), 0);
	assert_int_equal(far_call(l, &ask, NULL, 0, NULL, NULL, NULL), 0);
	/* and nothing else does */
	assert_true(open_container(l, &later) >= 0);
	ask = on(later, FAR_ASK);
	close(later);
	assert_int_equal(far_call(l, &ask, NULL, 0, NULL, NULL, NULL), -ENODEV);
}

#define THREADS 4

static void *call_often(void *arg)
{
	struct far_links *l = arg;

	for (int i = 0; i < 50; i++) {
		struct far_request r;
		int fd;

		if (open_container(l, &fd) < 0)
			return arg;
		r = on(fd, FAR_IOCTL);
		r.a = VFIO_GET_API_VERSION;
		if (far_call(l, &r, NULL, 0, NULL, NULL, NULL) != VFIO_API_VERSION)
			return arg;
		close(fd);
	}
	return NULL;
}

static void threads_call_at_once(void **state)
{
	struct far_links *l = far_links_new(dir);
	pthread_t t[THREADS];
	void *bad;

	assert_non_null(l);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, call_often, l), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(who_sends_what_is_no_call_is_cut_off),
		TEST(descriptors_without_end_are_refused),
		TEST(a_file_lives_as_long_as_its_descriptor),
		TEST(a_file_is_held_by_a_process_that_says_so),
		TEST(what_is_kept_outlives_all_who_had_it),
		TEST(threads_call_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
