/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/cdevs.c: /dev/vfio/devices/vfio0 and /dev/iommu in one process and in several: who has
 * the device, what keeps it, and what the one may do with what the other opened. Called again as
 * "shim_cdevs bind CDEV IOMMU" it is a program that got both by exec.
 */
#include <poll.h>
#include <sys/socket.h>

#include "shim.h"

#define CDEV  "/dev/vfio/devices/vfio0"
#define IOMMU "/dev/iommu"

/* linux/vfio.h and linux/iommufd.h of Linux 6.6 */
#define BIND	   _IO(';', 118)
#define ATTACH	   _IO(';', 119)
#define DETACH	   _IO(';', 120)
#define DESTROY	   _IO(';', 0x80)
#define IOAS_ALLOC _IO(';', 0x81)
struct bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
struct attach {
	uint32_t argsz, flags, pt_id;
};
struct ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};

static char *self;

static int open_cdev(void)
{
	return open(CDEV, O_RDWR);
}

static int bind_cdev(int cdev, int iommu)
{
	struct bind b = { .argsz = sizeof(b), .iommufd = iommu };

	return ioctl(cdev, BIND, &b);
}

static int get_info(int cdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return ioctl(cdev, VFIO_DEVICE_GET_INFO, &info);
}

static bool attach_new(int cdev, int iommu)
{
	struct ioas_alloc a = { .size = sizeof(a) };
	struct attach at = { .argsz = sizeof(at) };

	if (ioctl(iommu, IOAS_ALLOC, &a))
		return false;
	at.pt_id = a.out_ioas_id;
	return !ioctl(cdev, ATTACH, &at);
}

/* Bind and attach, and see that it is the device. */
static bool all_works(int cdev, int iommu)
{
	return !bind_cdev(cdev, iommu) && attach_new(cdev, iommu) &&
	       get32(cdev, TD_ID) == TD_ID_VALUE;
}

/* It can be bound: nobody else has it. */
static bool is_free(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR);
	bool ok = cdev >= 0 && iommu >= 0 && !bind_cdev(cdev, iommu);

	close(cdev);
	close(iommu);
	return ok;
}

/* ---- descriptors to and from others ---- */

static bool send_fds(int to, int a, int b)
{
	char c = 0, room[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec v = { &c, 1 };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_len = CMSG_LEN(2 * sizeof(int));
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(h), (int[2]){ a, b }, 2 * sizeof(int));
	return sendmsg(to, &m, 0) == 1;
}

static bool receive_fds(int from, int fds[2])
{
	char c, room[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec v = { &c, 1 };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
	};

	if (recvmsg(from, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return false;
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
	return true;
}

static void say(int fd)
{
	CHECK(write(fd, "", 1) == 1);
}

static void wait_word(int fd)
{
	char c;

	CHECK(read(fd, &c, 1) == 1);
}

/* A child, at the other end of sv[0], which has sv[1] and not what the parent opens later. */
static pid_t start(int sv[2])
{
	pid_t pid;

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		return -1;
	pid = fork();
	close(sv[pid ? 1 : 0]);
	return pid;
}

/* ---- one process ---- */

static void node_and_sysfs(void)
{
	int cdev = open_cdev();
	struct stat st, by_path;
	char text[128] = "", name[64];
	FILE *f;

	CHECK(cdev >= 0);
	CHECK(!fstat(cdev, &st) && S_ISCHR(st.st_mode));
	CHECK(!stat(CDEV, &by_path) && by_path.st_rdev == st.st_rdev &&
	      by_path.st_ino == st.st_ino && by_path.st_dev == st.st_dev);
	f = fopen("/sys/bus/pci/devices/" ADDRESS "/vfio-dev/vfio0/dev", "r");
	CHECK(f && fgets(text, sizeof(text), f));
	if (f)
		fclose(f);
	snprintf(name, sizeof(name), "%u:%u\n", (unsigned)(st.st_rdev >> 8), 0);
	CHECK(!strcmp(text, name));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", cdev);
	CHECK(readlink(name, text, sizeof(text)) == sizeof(CDEV) - 1 &&
	      !memcmp(text, CDEV, sizeof(CDEV) - 1));
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", cdev);
	f = fopen(name, "r");
	CHECK(f);
	text[0] = '\0';
	while (f && fgets(text, sizeof(text), f))
		if (!strncmp(text, "vfio-device-syspath: ", 21))
			break;
	if (f)
		fclose(f);
	CHECK(!strcmp(text, "vfio-device-syspath: /sys/devices/pci0000:01/" ADDRESS "\n"));
	close(cdev);
	FAILS(open("/dev/vfio/devices/vfio1", O_RDWR), ENOENT);
	FAILS(open("/dev/vfio/devices/vfio00", O_RDWR), ENOENT);
}

static void before_it_is_bound(void)
{
	int cdev = open_cdev(), again = open_cdev();
	struct pollfd p = { .fd = cdev, .events = POLLIN | POLLOUT };
	uint32_t v;

	CHECK(cdev >= 0 && again >= 0);
	FAILS(get_info(cdev), EINVAL);
	CHECK(raw_call(SYS_ioctl, cdev, VFIO_DEVICE_RESET, 0, 0, 0, 0) == -EINVAL);
	FAILS(ioctl(cdev, VFIO_GET_API_VERSION), EINVAL);
	FAILS(ioctl(cdev, BIND, NULL), EFAULT);
	FAILS(pread(cdev, &v, 4, (off_t)CONFIG), EINVAL);
	FAILS(pread(cdev, &v, 0, (off_t)CONFIG), EINVAL);
	FAILS(lseek(cdev, 0, SEEK_SET), ESPIPE);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, cdev, (off_t)REGS) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	FAILS(bind_cdev(cdev, cdev), EBADFD);
	FAILS(bind_cdev(cdev, 1), EBADFD);
	FAILS(bind_cdev(cdev, 1000), EBADF);
	close(cdev);
	close(again);
}

static void by_raw_calls(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR);
	struct bind b = { .argsz = sizeof(b), .iommufd = iommu };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint16_t vendor = 0;

	CHECK(!raw_call(SYS_ioctl, cdev, BIND, (long)&b, 0, 0, 0));
	CHECK(!raw_call(SYS_ioctl, cdev, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0));
	CHECK(info.num_regions == VFIO_PCI_NUM_REGIONS);
	CHECK(raw_call(SYS_pread64, cdev, (long)&vendor, 2, (long)CONFIG, 0, 0) == 2 &&
	      vendor == 0x1234);
	close(iommu);
	CHECK(get32(cdev, TD_ID) == TD_ID_VALUE);
	close(cdev);
}

static void what_keeps_it(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR), other = open_cdev(), copy, sv[2];
	pid_t pid;
	void *bar;

	CHECK(all_works(cdev, iommu));
	FAILS(bind_cdev(cdev, iommu), EINVAL);
	FAILS(bind_cdev(other, iommu), EINVAL);
	FAILS(open_group(), EBUSY);
	copy = dup(cdev);
	close(cdev);
	FAILS(bind_cdev(other, iommu), EINVAL);
	bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, copy, (off_t)REGS);
	CHECK(bar != MAP_FAILED);
	close(copy);
	FAILS(bind_cdev(other, iommu), EINVAL);
	CHECK(*(volatile uint32_t *)bar == TD_ID_VALUE);
	munmap(bar, 4096);
	CHECK(!bind_cdev(other, iommu));

	/* a child's copy, too */
	pid = start(sv);
	if (!pid) {
		wait_word(sv[1]);
		_exit(case_failed);
	}
	close(other);
	cdev = open_cdev();
	FAILS(bind_cdev(cdev, iommu), EINVAL);
	FAILS(open_group(), EBUSY);
	say(sv[0]);
	CHECK(wait_for(pid) == 0);
	CHECK(!bind_cdev(cdev, iommu));
	close(cdev);
	close(iommu);
	close(sv[0]);
	CHECK(is_free());
}

static void group_or_cdev(void)
{
	int group = open_group(), cdev = open_cdev(), iommu = open(IOMMU, O_RDWR);

	CHECK(group >= 0);
	FAILS(bind_cdev(cdev, iommu), EBUSY);
	close(group);
	CHECK(!bind_cdev(cdev, iommu));
	FAILS(open_group(), EBUSY);
	close(cdev);
	close(iommu);
	group = open_group();
	CHECK(group >= 0);
	close(group);
}

/* ---- several processes ---- */

static void one_process_has_it(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR), sv[2];
	pid_t pid = start(sv);

	if (!pid) {
		close(cdev);
		close(iommu);
		cdev = open_cdev();
		iommu = open(IOMMU, O_RDWR);
		CHECK(cdev >= 0 && iommu >= 0);
		wait_word(sv[1]); /* bound there */
		FAILS(bind_cdev(cdev, iommu), EINVAL);
		FAILS(open_group(), EBUSY);
		say(sv[1]);
		wait_word(sv[1]); /* closed there, and the group is open */
		FAILS(bind_cdev(cdev, iommu), EBUSY);
		say(sv[1]);
		wait_word(sv[1]);
		CHECK(all_works(cdev, iommu));
		_exit(case_failed);
	}
	CHECK(!bind_cdev(cdev, iommu));
	say(sv[0]);
	wait_word(sv[0]);
	close(cdev);
	close(iommu);
	cdev = open_group();
	CHECK(cdev >= 0);
	say(sv[0]);
	wait_word(sv[0]);
	close(cdev);
	say(sv[0]);
	CHECK(wait_for(pid) == 0);
	close(sv[0]);
	CHECK(is_free());
}

/* The opener has not used them: the process that gets them has the device. */
static void passed_on(void)
{
	int cdev, iommu, sv[2], fds[2];
	pid_t pid = start(sv);

	if (!pid) {
		CHECK(receive_fds(sv[1], fds));
		FAILS(get_info(fds[0]), EINVAL);
		CHECK(all_works(fds[0], fds[1]));
		say(sv[1]);
		wait_word(sv[1]);
		_exit(case_failed);
	}
	cdev = open_cdev();
	iommu = open(IOMMU, O_RDWR);
	CHECK(send_fds(sv[0], cdev, iommu));
	wait_word(sv[0]);
	/* the device lives there now */
	FAILS(get_info(cdev), ENODEV);
	FAILS(bind_cdev(cdev, iommu), ENODEV);
	FAILS(attach_new(cdev, iommu) ? 0 : -1, ENODEV);
	FAILS(open_group(), EBUSY);
	/* it stays bound for as long as the description is open, in any process */
	say(sv[0]);
	CHECK(wait_for(pid) == 0);
	FAILS(open_group(), EBUSY);
	close(cdev);
	close(iommu);
	close(sv[0]);
	CHECK(is_free());
}

static void passed_on_when_bound(void)
{
	int cdev, iommu, sv[2], fds[2];
	pid_t pid = start(sv);
	uint32_t v;

	if (!pid) {
		CHECK(receive_fds(sv[1], fds));
		FAILS(get_info(fds[0]), ENODEV);
		FAILS(bind_cdev(fds[0], fds[1]), ENODEV);
		FAILS(pread(fds[0], &v, 4, (off_t)CONFIG), ENODEV);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[0], (off_t)REGS) == MAP_FAILED);
		_exit(case_failed);
	}
	cdev = open_cdev();
	iommu = open(IOMMU, O_RDWR);
	CHECK(!bind_cdev(cdev, iommu));
	CHECK(send_fds(sv[0], cdev, iommu));
	CHECK(wait_for(pid) == 0);
	CHECK(get32(cdev, TD_ID) == TD_ID_VALUE);
	close(cdev);
	close(iommu);
	close(sv[0]);
	CHECK(is_free());
}

/* A child uses what its parent opened, and has it then. */
static void in_a_child(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR), sv[2];
	pid_t pid = start(sv);

	if (!pid) {
		CHECK(all_works(cdev, iommu));
		_exit(case_failed);
	}
	CHECK(wait_for(pid) == 0);
	FAILS(get_info(cdev), ENODEV);
	close(cdev);
	close(iommu);
	close(sv[0]);
	CHECK(is_free());
}

static void over_exec(void)
{
	int cdev = open_cdev(), iommu = open(IOMMU, O_RDWR);
	char a[16], b[16];
	pid_t pid;

	snprintf(a, sizeof(a), "%d", cdev);
	snprintf(b, sizeof(b), "%d", iommu);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(self, self, "bind", a, b, NULL);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
	close(cdev);
	close(iommu);
	CHECK(is_free());
}

/* Nobody gave it up: it is looked for, and an unbound one does not hold it. */
static void killed(void)
{
	int cdev, iommu, own = open_cdev(), sv[2], fds[2];
	pid_t pid = start(sv);

	if (!pid) {
		close(own);
		CHECK(receive_fds(sv[1], fds) && all_works(fds[0], fds[1]));
		say(sv[1]);
		pause();
	}
	cdev = open_cdev();
	iommu = open(IOMMU, O_RDWR);
	CHECK(send_fds(sv[0], cdev, iommu));
	wait_word(sv[0]);
	kill(pid, SIGKILL);
	CHECK(wait_for(pid) == 1000 + SIGKILL);
	FAILS(open_group(), EBUSY);
	close(cdev);
	close(iommu);
	close(sv[0]);
	CHECK(is_free());
	close(own);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 3 && !strcmp(argv[1], "bind")) {
		int cdev = atoi(argv[2]), iommu = atoi(argv[3]);

		CHECK(!bind_cdev(cdev, iommu) && attach_new(cdev, iommu) && !get_info(cdev));
		return case_failed;
	}
	RUN(node_and_sysfs);
	RUN(before_it_is_bound);
	RUN(by_raw_calls);
	RUN(what_keeps_it);
	RUN(group_or_cdev);
	RUN(one_process_has_it);
	RUN(passed_on);
	RUN(passed_on_when_bound);
	RUN(in_a_child);
	RUN(over_exec);
	RUN(killed);
	return any_failed;
}
