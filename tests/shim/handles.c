/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/handles.c: descriptors: dup, every order and way of closing, what fcntl, fstat and
 * /proc say, SCM_RIGHTS.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "shim.h"

static void open_and_use(void)
{
	struct vfio v = vfio_open();

	CHECK(v.device >= 0);
	CHECK(works(&v));
	FAILS(open_group(), EBUSY);
	vfio_close(&v);
}

/* close(group); open(group) never sees a group that is still busy */
static void close_then_open(void)
{
	for (int i = 0; i < 200; i++) {
		int g = open_group();

		CHECK(g >= 0);
		if (g < 0)
			return;
		close(g);
	}
	for (int i = 0; i < 50; i++) {
		struct vfio v = vfio_open();

		CHECK(v.device >= 0);
		if (v.device < 0)
			return;
		vfio_close(&v);
	}
}

static void close_orders(void)
{
	static const char orders[][4] = { "cgd", "cdg", "gcd", "gdc", "dcg", "dgc" };

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct vfio v = vfio_open();
		uint32_t id;

		CHECK(v.device >= 0);
		for (const char *o = orders[i]; *o; o++) {
			CHECK(!close(*o == 'c' ? v.container : *o == 'g' ? v.group : v.device));
			/* a device file holds its group, the group its container */
			if (!strchr(o, 'd') || *o == 'd')
				break;
			CHECK(pread(v.device, &id, 4, (off_t)REGS) == 4 && id == TD_ID_VALUE);
			FAILS(open_group(), EBUSY);
		}
		for (const char *o = strchr(orders[i], 'd') + 1; *o; o++)
			close(*o == 'c' ? v.container : v.group);
		v.group = open_group();
		CHECK(v.group >= 0);
		close(v.group);
	}
}

static void dup_keeps_open(void)
{
	int g = open_group(), d = dup(g), e = fcntl(g, F_DUPFD_CLOEXEC, 100), f;
	struct vfio_group_status st = { .argsz = sizeof(st) };

	CHECK(g >= 0 && d >= 0 && e >= 100);
	CHECK(fcntl(e, F_GETFD) == FD_CLOEXEC);
	close(g);
	FAILS(open_group(), EBUSY);
	CHECK(!ioctl(d, VFIO_GROUP_GET_STATUS, &st));
	close(d);
	FAILS(open_group(), EBUSY);
	CHECK(!ioctl(e, VFIO_GROUP_GET_STATUS, &st));
	/* something else over the last one */
	f = open("/dev/null", O_RDWR);
	CHECK(dup2(f, e) == e);
	FAILS(ioctl(e, VFIO_GROUP_GET_STATUS, &st), ENOTTY);
	g = open_group();
	CHECK(g >= 0);
	CHECK(dup3(f, g, O_CLOEXEC) == g);
	close(g);
	g = open_group();
	CHECK(g >= 0);
	close(g);
	close(e);
	close(f);
}

static void number_used_again(void)
{
	struct vfio v = vfio_open();
	char c;
	int f;

	close(v.device);
	f = open("/dev/zero", O_RDONLY);
	CHECK(dup2(f, v.device) == v.device);
	CHECK(pread(v.device, &c, 1, 0) == 1 && !c);
	FAILS(ioctl(v.device, VFIO_DEVICE_RESET), ENOTTY);
	close(f);
	vfio_close(&v);
}

static void close_range_and_closefrom(void)
{
	struct vfio v = vfio_open();
	int first = v.container;

	CHECK(works(&v));
	CHECK(!close_range((unsigned)first, ~0u, 0));
	FAILS(fcntl(v.device, F_GETFD), EBADF);
	/* the library's own descriptors are still there: it all works again */
	v = vfio_open();
	CHECK(works(&v));
	closefrom(first);
	FAILS(fcntl(v.device, F_GETFD), EBADF);
	v = vfio_open();
	CHECK(works(&v));
	for (int i = first; i < 20000; i++)
		close(i);
	v = vfio_open();
	CHECK(works(&v));
	CHECK(!close_range((unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC));
	CHECK(works(&v));
	CHECK(fcntl(v.group, F_GETFD) == FD_CLOEXEC);
	vfio_close(&v);
}

/* closes that no wrapper sees */
static void raw_close_and_dup(void)
{
	int g, d;

	for (int i = 0; i < 50; i++) {
		g = open_group();
		CHECK(g >= 0);
		if (g < 0)
			return;
		raw_call(SYS_close, g, 0, 0, 0, 0, 0);
	}
	g = open_group();
	d = (int)raw_call(SYS_dup, g, 0, 0, 0, 0, 0);
	close(g);
	FAILS(open_group(), EBUSY);
	close(d);
	/* nobody knew that @d was a handle: the service thread sees the close */
	g = open_group();
	CHECK(g >= 0);
	close(g);
	/* a device whose number nobody knows still reads */
	struct vfio v = vfio_open();
	uint32_t id = 0;

	d = (int)raw_call(SYS_dup, v.device, 0, 0, 0, 0, 0);
	CHECK(pread(d, &id, 4, (off_t)REGS) == 4 && id == TD_ID_VALUE);
	CHECK(pread(d, &id, 4, RAM) == 4);
	close(d);
	vfio_close(&v);
}

static void what_fcntl_and_stat_say(void)
{
	struct vfio v = vfio_open();
	struct stat st;
	struct statx sx;
	char link[64] = "", path[64];
	int flags = fcntl(v.device, F_GETFL);

	CHECK((flags & O_ACCMODE) == O_RDWR);
	CHECK(fcntl(v.device, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(v.group, F_GETFD) == 0);
	CHECK(!fstat(v.container, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(10, 196));
	CHECK(!fstat(v.group, &st) && S_ISCHR(st.st_mode) && minor(st.st_rdev) == 1);
	CHECK(!statx(v.group, "", AT_EMPTY_PATH, STATX_ALL, &sx) && S_ISCHR(sx.stx_mode) &&
	      sx.stx_rdev_minor == 1);
	CHECK(!stat(GROUP, &st) && S_ISCHR(st.st_mode) && minor(st.st_rdev) == 1);
	CHECK(!fstat(v.device, &st) && !S_ISREG(st.st_mode) && !st.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", v.container);
	CHECK(readlink(path, link, sizeof(link)) == 14 && !memcmp(link, "/dev/vfio/vfio", 14));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", v.group);
	CHECK(readlink(path, link, sizeof(link)) == 11 && !memcmp(link, GROUP, 11));
	FAILS(open(path, O_RDWR), EBUSY);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), v.device);
	CHECK(readlink(path, link, sizeof(link)) == 24 &&
	      !memcmp(link, "anon_inode:[vfio-device]", 24));
	FAILS(open(path, O_RDWR), ENXIO);
	FAILS(lseek(v.device, 0, SEEK_SET), ESPIPE);
	/* nor does a raw one confuse it */
	raw_call(SYS_lseek, v.device, 4096, SEEK_SET, 0, 0, 0);
	CHECK(works(&v));
	vfio_close(&v);
}

static void read_and_write(void)
{
	struct vfio v = vfio_open();
	uint32_t a = 0x11223344, b = 0;
	void *volatile nowhere = (void *)8;

	/* at the file's own position, which is BAR0's start */
	CHECK(pwrite(v.device, &a, 4, RAM) == 4);
	CHECK(read(v.device, &b, 4) == 4 && b == a);
	a = 5;
	CHECK(write(v.device, &a, 4) == 4);
	CHECK(pread(v.device, &b, 4, RAM + 4) == 4 && b == 5);
	FAILS(read(v.container, &b, 4), EINVAL);
	FAILS(write(v.group, &b, 4), EINVAL);
	FAILS(pread(v.device, nowhere, 4, RAM), EFAULT);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, v.group, 0) == MAP_FAILED && errno == ENODEV);
	vfio_close(&v);
}

static int send_fd(int sock, int fd)
{
	char c = 0, buf[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &c, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -1;
}

static int receive_fd(int sock)
{
	char c, buf[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &c, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf, .msg_controllen = sizeof(buf)
	};
	int fd;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void scm_rights_to_oneself(void)
{
	struct vfio v = vfio_open();
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int s[2], d;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK(!send_fd(s[0], v.device));
	vfio_close(&v);
	/* in flight it is open */
	FAILS(open_group(), EBUSY);
	d = receive_fd(s[1]);
	CHECK(d >= 0);
	CHECK(!ioctl(d, VFIO_DEVICE_GET_INFO, &info) && info.num_regions == 9);
	CHECK(get32(d, TD_ID) == TD_ID_VALUE);
	close(d);
	v.group = open_group();
	CHECK(v.group >= 0);
	close(v.group);
	close(s[0]);
	close(s[1]);
}

/* A device lives in one process: another one is told so, at each call. */
static void scm_rights_to_another(void)
{
	struct vfio v;
	int s[2];
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid = fork();
	if (!pid) {
		struct vfio_device_info info = { .argsz = sizeof(info) };
		int d = receive_fd(s[1]);
		char c;

		case_failed = 0;
		CHECK(d >= 0);
		FAILS(ioctl(d, VFIO_DEVICE_GET_INFO, &info), ENODEV);
		FAILS(pread(d, &c, 1, (off_t)CONFIG), ENODEV);
		fflush(stdout);
		_exit(case_failed);
	}
	v = vfio_open();
	CHECK(works(&v));
	CHECK(!send_fd(s[0], v.device));
	CHECK(wait_for(pid) == 0);
	CHECK(works(&v));
	vfio_close(&v);
	v.group = open_group();
	CHECK(v.group >= 0);
	close(v.group);
	close(s[0]);
	close(s[1]);
}

static void *hammer(void *arg)
{
	long bad = 0;

	for (int i = 0; i < 300; i++) {
		struct vfio_group_status st = { .argsz = sizeof(st) };
		int g = open_group();

		if (g < 0) {
			bad += errno != EBUSY;
			continue;
		}
		bad += ioctl(g, VFIO_GROUP_GET_STATUS, &st) != 0;
		bad += close(g) != 0;
	}
	return (void *)bad;
}

static void threads_open_and_close(void)
{
	pthread_t t[4];
	void *bad;

	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, hammer, NULL));
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
	int g = open_group();

	CHECK(g >= 0);
	close(g);
}

static void wrong_descriptors(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int e = eventfd(0, 0), g;

	FAILS(ioctl(-1, VFIO_GROUP_GET_STATUS, &st), EBADF);
	FAILS(ioctl(e, VFIO_GROUP_GET_STATUS, &st), ENOTTY);
	FAILS(ioctl(12345, VFIO_GET_API_VERSION), EBADF);
	FAILS(open("/dev/vfio/99", O_RDWR), ENOENT);
	FAILS(open("/dev/vfio/nothing", O_RDWR), ENOENT);
	g = open_group();
	FAILS(ioctl(g, VFIO_GROUP_SET_CONTAINER, &e), EBADFD);
	FAILS(ioctl(g, _IO(';', 250)), ENOTTY);
	FAILS(ioctl(g, _IO('T', 1)), ENOTTY);
	close(g);
	close(e);
}

int main(void)
{
	RUN(open_and_use);
	RUN(close_then_open);
	RUN(close_orders);
	RUN(dup_keeps_open);
	RUN(number_used_again);
	RUN(close_range_and_closefrom);
	RUN(raw_close_and_dup);
	RUN(what_fcntl_and_stat_say);
	RUN(read_and_write);
	RUN(scm_rights_to_oneself);
	RUN(scm_rights_to_another);
	RUN(threads_open_and_close);
	RUN(wrong_descriptors);
	return any_failed;
}
