/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/files.c: handles as files among others, and the ways to reach one past open(2): places
 * (O_PATH), links in /proc, openat2, system calls by number. What the kernel answers to each call
 * on each kind of handle, tests/oracle asks it.
 */
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "shim.h"

#define CONTAINER "/dev/vfio/vfio"

static int again(int fd, const char *how, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), how, fd);
	return open(path, flags);
}

static void a_place_is_no_handle(void)
{
	struct vfio v = vfio_open();
	int fds[3] = { v.container, v.group, v.device }, q[3];
	struct stat st;
	char c;

	for (int i = 0; i < 3; i++) {
		q[i] = again(fds[i], "/proc/self/fd/%d", O_PATH);
		CHECK(q[i] >= 0);
		FAILS(ioctl(q[i], VFIO_GET_API_VERSION), EBADF);
		FAILS(ioctl(q[i], VFIO_DEVICE_RESET), EBADF);
		FAILS(pread(q[i], &c, 1, (off_t)CONFIG), EBADF);
		FAILS(pwrite(q[i], &c, 1, (off_t)CONFIG), EBADF);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, q[i], RAM) == MAP_FAILED &&
		      errno == EBADF);
		FAILS(flock(q[i], LOCK_SH), EBADF);
		CHECK(fcntl(q[i], F_GETFL) & O_PATH);
		CHECK(!fstat(q[i], &st) && (i == 2 ? !(st.st_mode & S_IFMT) : S_ISCHR(st.st_mode)));
		FAILS(again(fds[i], "/proc/self/fd/%d", O_RDWR | O_NOFOLLOW), ELOOP);
	}
	/*
	 * a group has one file, a device none; a container is a new one, also when the first is
	 * gone
	 */
	FAILS(again(q[1], "/proc/self/fd/%d", O_RDWR), EBUSY);
	FAILS(again(q[2], "/proc/self/fd/%d", O_RDWR), ENXIO);
	vfio_close(&v);
	fds[0] = again(q[0], "/proc/self/fd/%d", O_RDWR);
	CHECK(ioctl(fds[0], VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	fds[1] = again(q[1], "/proc/self/fd/%d", O_RDWR);
	CHECK(fds[1] >= 0);
	/* a place holds nothing open */
	close(fds[1]);
	fds[1] = open_group();
	CHECK(fds[1] >= 0);
	for (int i = 0; i < 3; i++)
		close(q[i]);
	close(fds[0]);
	close(fds[1]);
	/* of the node itself */
	q[0] = open(CONTAINER, O_PATH);
	CHECK(!fstat(q[0], &st) && S_ISCHR(st.st_mode));
	FAILS(ioctl(q[0], VFIO_GET_API_VERSION), EBADF);
	fds[0] = again(q[0], "/proc/self/fd/%d", O_RDWR);
	CHECK(ioctl(fds[0], VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	close(fds[0]);
	close(q[0]);
}

static void every_link_in_proc(void)
{
	static const char *const ways[] = { "/proc/self/fd/%d", "/proc/thread-self/fd/%d",
					    "/dev/fd/%d" };
	struct vfio v = vfio_open();
	struct statfs sf;
	char path[64];
	int fd;

	for (size_t i = 0; i < 4; i++) {
		if (i < 3)
			snprintf(path, sizeof(path), ways[i], v.device);
		else
			snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", getpid(), getpid(),
				 v.device);
		FAILS(open(path, O_RDWR), ENXIO);
		FAILS(truncate(path, 4096), EINVAL);
		FAILS(chmod(path, 0600), EOPNOTSUPP);
		FAILS(setxattr(path, "user.a", "b", 1, 0), EPERM);
		FAILS(getxattr(path, "user.a", NULL, 0), ENODATA);
		if (i < 3)
			snprintf(path, sizeof(path), ways[i], v.container);
		else
			snprintf(path, sizeof(path), "/proc/self/task/%d/fd/%d", getpid(),
				 v.container);
		fd = open(path, O_RDWR);
		CHECK(ioctl(fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
		close(fd);
		FAILS(truncate(path, 4096), EINVAL);
		FAILS(setxattr(path, "user.a", "b", 1, 0), EPERM);
		CHECK(!statfs(path, &sf));
	}
	CHECK(works(&v));
	vfio_close(&v);
}

/* readlink writes what it returns, and nothing behind. */
static void links_text(void)
{
	struct vfio v = vfio_open();
	static const size_t sizes[] = { 4, 12, 40, 200 };
	const char *want[3] = { CONTAINER, GROUP, "anon_inode:[vfio-device]" };
	int fds[3] = { v.container, v.group, v.device };
	char path[64], text[256];

	for (int i = 0; i < 3; i++)
		for (size_t j = 0; j < 4; j++) {
			size_t n = strlen(want[i]) < sizes[j] ? strlen(want[i]) : sizes[j], k;

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
			memset(text, '#', sizeof(text));
			CHECK(readlink(path, text, sizes[j]) == (ssize_t)n &&
			      !memcmp(text, want[i], n));
			for (k = n; k < sizeof(text) && text[k] == '#'; k++)
				;
			CHECK(k == sizeof(text));
		}
	FAILS(syscall(SYS_readlink, path, 8, 10), EFAULT);
	FAILS(readlink(path, text, 0), EINVAL);
	vfio_close(&v);
}

/* The node's mode is the file's, and the other way round. */
static void a_file_is_its_node(void)
{
	struct stat st, of;
	int c = open(CONTAINER, O_RDWR);

	CHECK(!stat(CONTAINER, &of) && !fstat(c, &st));
	CHECK(st.st_ino == of.st_ino && st.st_dev == of.st_dev && st.st_mode == of.st_mode &&
	      st.st_rdev == of.st_rdev);
	CHECK(!fchmod(c, 0640));
	CHECK(!stat(CONTAINER, &of) && (of.st_mode & 0777) == 0640);
	CHECK(!fstat(c, &st) && (st.st_mode & 0777) == 0640);
	CHECK(!syscall(SYS_fchmod, c, 0666));
	CHECK(!stat(CONTAINER, &of) && (of.st_mode & 0777) == 0666);
	close(c);
}

static long open2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static bool is_container(long fd)
{
	bool ok = fd >= 0 && ioctl((int)fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION;

	if (fd >= 0)
		close((int)fd);
	return ok;
}

static void openat2_finds_the_view(void)
{
	static const char device[] = "/sys/bus/pci/devices/" ADDRESS;
	int root = open("/", O_PATH | O_DIRECTORY), dev = open("/dev", O_RDONLY | O_DIRECTORY),
	    sys = open("/sys", O_PATH | O_DIRECTORY), fd;
	char text[16];

	CHECK(is_container(open2(AT_FDCWD, CONTAINER, O_RDWR, 0)));
	CHECK(is_container(
		open2(AT_FDCWD, CONTAINER, O_RDWR, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)));
	/* under a root or a limit that is above the view */
	CHECK(is_container(open2(root, CONTAINER, O_RDWR, RESOLVE_IN_ROOT)));
	CHECK(is_container(open2(root, "dev/vfio/vfio", O_RDWR, RESOLVE_BENEATH)));
	CHECK(is_container(open2(dev, "vfio/vfio", O_RDWR, RESOLVE_BENEATH)));
	CHECK(is_container(open2(dev, "/vfio/../../vfio/vfio", O_RDWR, RESOLVE_IN_ROOT)));
	CHECK(is_container(open2(dev, "vfio/vfio", O_RDWR, RESOLVE_NO_XDEV)));
	FAILS(open2(dev, "vfio/../../etc/passwd", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	FAILS(open2(root, CONTAINER, O_RDWR, RESOLVE_BENEATH), EXDEV);
	FAILS(open2(root, CONTAINER, O_RDWR | O_DIRECTORY, RESOLVE_IN_ROOT), ENOTDIR);
	FAILS(open2(root, GROUP "7", O_RDWR, RESOLVE_IN_ROOT), ENOENT);
	FAILS(open2(root, CONTAINER, O_RDWR, RESOLVE_IN_ROOT | RESOLVE_BENEATH), EINVAL);
	/* by links of the view */
	FAILS(open2(AT_FDCWD, "/sys/bus/pci/devices/" ADDRESS "/vendor", O_RDONLY,
		    RESOLVE_NO_SYMLINKS),
	      ELOOP);
	fd = (int)open2(sys, device + 5, O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
	CHECK(fd >= 0);
	CHECK(openat(fd, "vendor", O_RDONLY) >= 0);
	CHECK(read(openat(fd, "vendor", O_RDONLY), text, 3) == 3 && !memcmp(text, "0x", 2));
	close(fd);
	fd = (int)open2(root, "/sys/bus/pci/devices/" ADDRESS "/vendor", O_RDONLY | O_CLOEXEC,
			RESOLVE_IN_ROOT);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && read(fd, text, 3) == 3);
	close(fd);
	close(root);
	close(dev);
	close(sys);
}

static void by_number(void)
{
	struct vfio v = vfio_open();
	struct statfs sf;
	char text[16];
	int here = open(".", O_PATH | O_DIRECTORY), dir;

	FAILS(syscall(SYS_fsync, v.device), EINVAL);
	FAILS(syscall(SYS_fallocate, v.device, 0, 0, 4096), ENODEV);
	FAILS(syscall(SYS_sync_file_range, v.group, 0, 0, 0), ESPIPE);
	FAILS(syscall(SYS_sendfile, 1, v.container, NULL, 1), EINVAL);
	FAILS(syscall(SYS_fsetxattr, v.container, "user.a", "b", 1, 0), EPERM);
	FAILS(syscall(SYS_fcntl, v.device, F_SETLEASE, F_RDLCK), EINVAL);
	FAILS(syscall(SYS_lseek, v.device, 0, 99), EINVAL);
	CHECK(!syscall(SYS_flock, v.device, LOCK_EX | LOCK_NB));
	CHECK(!syscall(SYS_fstatfs, v.device, &sf) && sf.f_type == 0x09041934);
	FAILS(syscall(SYS_creat, GROUP, 0600), EBUSY);
	CHECK(!syscall(SYS_statfs, "/sys/bus/pci", &sf) && sf.f_type == 0x62656572);
	dir = open("/sys/bus/pci/devices/" ADDRESS, O_PATH | O_DIRECTORY);
	CHECK(!syscall(SYS_fchdir, dir));
	CHECK(read(open("vendor", O_RDONLY), text, 2) == 2);
	CHECK(!syscall(SYS_fchdir, here));
	close(here);
	close(dir);
	vfio_close(&v);
}

/* Calls that would take the kernel's own tree are refused. */
static void the_view_is_no_mount(void)
{
	FAILS(mount("/dev/vfio", "/tmp", NULL, MS_BIND, NULL), EPERM);
	FAILS(syscall(SYS_open_tree, AT_FDCWD, "/sys/bus/pci", 0), EPERM);
	FAILS(chroot("/sys/bus/pci"), EPERM);
}

static int receive(int sock)
{
	char b, ctl[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &b, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	int fd;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void received(void)
{
	struct vfio v = vfio_open();
	char b = 0, ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &b, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int sv[2], fd;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(h), &v.device, sizeof(int));
	CHECK(sendmsg(sv[0], &m, 0) == 1);
	fd = receive(sv[1]);
	CHECK(fd >= 0);
	FAILS(fcntl(fd, F_SETLEASE, F_RDLCK), EINVAL);
	FAILS(fallocate(fd, 0, 0, 4096), ENODEV);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	close(fd);
	close(sv[0]);
	close(sv[1]);
	vfio_close(&v);
}

static int lock_it(int fd, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &fl);
}

static int try_locks(void)
{
	int c = open(CONTAINER, O_RDWR),
	    r = (lock_it(c, F_WRLCK) ? 1 : 0) | (flock(c, LOCK_EX | LOCK_NB) ? 2 : 0);

	close(c);
	return r;
}

/* Of what another process sees: 1 that the process has a lock, 2 that a file has. */
static int locks_seen(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(try_locks());
	return wait_for(pid);
}

static void locks(void)
{
	int a = open(CONTAINER, O_RDWR), b = open(CONTAINER, O_RDWR), d;

	CHECK(locks_seen() == 0);
	CHECK(!lock_it(a, F_WRLCK));
	CHECK(locks_seen() == 1);
	CHECK(!flock(b, LOCK_EX | LOCK_NB));
	CHECK(locks_seen() == 3);
	FAILS(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	/*
	 * any descriptor of the file that is closed takes the process's locks along, the last one
	 * the file's
	 */
	d = dup(a);
	close(d);
	CHECK(locks_seen() == 2);
	d = dup(b);
	close(b);
	CHECK(locks_seen() == 2);
	close(d);
	CHECK(locks_seen() == 0);
	CHECK(!lockf(a, F_TLOCK, 0));
	CHECK(locks_seen() == 1);
	close(a);
	CHECK(locks_seen() == 0);
}

int main(void)
{
	RUN(a_place_is_no_handle);
	RUN(every_link_in_proc);
	RUN(links_text);
	RUN(a_file_is_its_node);
	RUN(openat2_finds_the_view);
	RUN(by_number);
	RUN(the_view_is_no_mount);
	RUN(received);
	RUN(locks);
	return any_failed;
}
