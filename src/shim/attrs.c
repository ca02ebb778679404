/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/attrs.c: files of the view that are more than files. `config` of a function that is made in
 * this process shows the hardware's bytes at the moment when it is opened.
 *
 * And there are those that act when they are written (machine/run/store.c). Writes must come to us
 * wherever they are made, with the errno of the kernel's: in the process that opened the file, in
 * one that got the descriptor or was exec'd with it (`/bin/echo 2 > sriov_numvfs`), and inside of
 * libc's own streams (the echo of a shell is printf), which no wrapper sees.
 *
 * So the descriptor is the plain file of the view opened with access mode 3, as handles are: the
 * kernel answers EBADF, and what the descriptor is, the link in /proc says, to any process. For
 * libc's inner calls a filter traps write on that number, if the instruction is one of libc's as
 * this process has it: an exec'd program has its libc at other addresses, so that the filter, which
 * cannot be taken back, stops nothing there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/report.h"
#include "ctl/ctl.h"
#include "machine/run/run.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define TEXT_MAX 4096u /* a page, as sysfs takes it */

static atomic_bool seen; /* this process, or one that it was forked from, has such a descriptor */

bool shim_config_name(const char *virt)
{
	const char *slash = strrchr(virt, '/');

	return slash && !strcmp(slash, "/config");
}

bool shim_attr_shows(const char *virt)
{
	return shim_config_name(virt) || shim_v3_shows(virt);
}

/* The directory in "/sys/.../0000:01:00.0/config" as an address, or false. */
static bool config_address(const char *virt, char *addr, size_t size)
{
	const char *slash = strrchr(virt, '/'), *p;
	size_t n;

	if (!shim_config_name(virt))
		return false;
	for (p = slash; p > virt && p[-1] != '/'; p--)
		;
	n = (size_t)(slash - p);
	if (n >= size)
		return false;
	memcpy(addr, p, n);
	addr[n] = '\0';
	return true;
}

long shim_config_open(const char *virt, int flags)
{
	uint8_t buf[PCI_CFG_EXP_SIZE];
	struct machine *m = shim_machine_if_built();
	char addr[32], name[SYS_FD_NAME];
	long fd, out;
	int size;

	if (m && shim_v3_shows(virt))
		size = shim_v3_show(virt, (char *)buf, sizeof(buf));
	else if (m && config_address(virt, addr, sizeof(addr)))
		size = machine_config(m, addr, buf);
	else
		return -ENOENT;
	if (size <= 0)
		return -ENOENT;
	fd = shim_memfd("pci-config");
	if (fd < 0)
		return fd;
	out = sys_pwrite((int)fd, buf, (size_t)size, 0);
	if (out == size)
		out = sys_call(SYS_openat, AT_FDCWD, (long)sys_fd_name(name, (int)fd),
			       O_RDONLY | (flags & (O_CLOEXEC | O_NONBLOCK)), 0, 0, 0);
	else if (out >= 0)
		out = -EIO;
	sys_close((int)fd);
	return out;
}

/*
 * False for all descriptors but those of attributes, handles, and what a program opened with access
 * mode 3 itself.
 */
static bool may_be_attr(int fd)
{
	long flags = sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);

	return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_ACCMODE;
}

/*
 * True if @fd is a file of such an attribute: its @path, in which that of the view begins at
 * *@virt.
 */
static bool attr_of(int fd, char path[PATH_MAX], const char **virt)
{
	long n;

	if (!may_be_attr(fd))
		return false;
	n = sys_readlink_fd(fd, path, PATH_MAX);
	if (n <= 0 || (size_t)n <= shim.run_len)
		return false;
	*virt = path + shim.run_len;
	return !memcmp(path, shim.run_dir, shim.run_len) && run_acts(*virt);
}

bool shim_node_is_there(const char *virt)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", shim.run_dir, virt);
	return sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0) != -ENOENT;
}

bool shim_attr_acts(const char *real)
{
	char path[PATH_MAX];
	int fd = sys_open(real, O_PATH | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return false;
	n = sys_readlink_fd(fd, path, PATH_MAX);
	sys_close(fd);
	if (n <= 0 || (size_t)n <= shim.run_len || memcmp(path, shim.run_dir, shim.run_len))
		return false;
	return run_acts(path + shim.run_len);
}

long shim_attr_open(const char *real, int flags)
{
	long fd;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	fd = sys_call(SYS_openat, AT_FDCWD, (long)real,
		      O_ACCMODE | (flags & (O_CLOEXEC | O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW)), 0,
		      0, 0);
	if (fd >= 0) {
		atomic_store(&seen, true);
		shim_seccomp_trap_writes((int)fd);
	}
	return fd;
}

static long run_dup(void *arg)
{
	char path[PATH_MAX];
	const char *virt;
	int fd = *(const int *)arg;

	if (attr_of(fd, path, &virt))
		shim_seccomp_trap_writes(fd);
	return 0;
}

void shim_attr_dup(int fd)
{
	if (atomic_load_explicit(&seen, memory_order_relaxed) && may_be_attr(fd))
		shim_run(run_dup, &fd);
}

void shim_attrs_init(void)
{
	char path[PATH_MAX];
	const char *virt;

	/* what a shell redirects; other numbers are not written by libc on its own */
	for (int fd = 0; fd <= 2; fd++)
		if (attr_of(fd, path, &virt)) {
			atomic_store(&seen, true);
			shim_seccomp_trap_writes(fd);
		}
}

/* Have the device that @w names reset by the process that has it: @n, or the kernel's errno. */
static long reset(const struct run_wait *w, size_t n)
{
	unsigned silent;
	int rc = ctl_ask_reset(shim.run_dir, w->addr, &silent);

	if (!rc || rc == -ENOTTY)
		return rc ? rc : (long)n;
	/* one that nobody has is as after a reset */
	if (rc == -ENODEV && !silent && !run_is_open(shim.run_dir, w->addr, w->group))
		return (long)n;
	return report_warn("reset-not-asked", w->addr, -EIO,
			   "reset: the process that has it cannot be asked: %s",
			   rc == -ENODEV ? "it does not answer" : strerror(-rc));
}

/* The wish of a write that waits. */
struct asking {
	char addr[PCI_ADDRESS_TEXT];
	unsigned count;
	time_t next; /* CLOCK_MONOTONIC, seconds */
};

/* Ask for the device that @w names, at once and every ten seconds: vfio_unregister_group_dev(). */
static void ask_back(struct asking *a, const struct run_wait *w)
{
	struct timespec now = { 0 };
	int rc;

	sys_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
	if (strcmp(a->addr, w->addr)) {
		strcpy(a->addr, w->addr);
		a->count = 0;
		a->next = now.tv_sec;
	}
	if (now.tv_sec < a->next)
		return;
	a->next = now.tv_sec + 10;
	rc = ctl_ask_back(shim.run_dir, a->addr, a->count++);
	report_warn("close-waits", a->addr, 0,
		    rc > 0 ? "it is open; the writer waits until it is closed"
			   : "it, or its group, is open where nobody can be asked for it; the "
			     "writer waits until it is closed");
}

static long store(const char *virt, const char *text, size_t n)
{
	static const struct timespec pause = { .tv_nsec = 50000000 };
	struct asking asking = { 0 };
	struct run_wait w = { 0 };
	struct machine *m;
	bool was;
	long ret;

	shim_handles_drain();
	ret = run_store(shim.run_dir, virt, text, n, &w);
	/* a close that came another way than through our wrapper may not have been taken in yet */
	if ((ret == -EBUSY || ret == -EINPROGRESS) && shim_handles_drain())
		ret = run_store(shim.run_dir, virt, text, n, &w);
	/* as the kernel's writer, which no signal ends before */
	while (ret == -EINPROGRESS && w.what == RUN_WAIT_CLOSE) {
		shim_begin_wait();
		ask_back(&asking, &w);
		sys_call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&pause, 0, 0, 0);
		shim_handles_drain();
		ret = run_store(shim.run_dir, virt, text, n, &w);
	}
	if (ret == -EINPROGRESS)
		ret = reset(&w, n);
	/*
	 * other processes look when they next open something; a PF that is open here has its VFs
	 * now
	 */
	m = ret < 0 ? NULL : shim_machine_if_built();
	if (m) {
		was = shim_drain_off(true);
		machine_sync(m);
		shim_drain_off(was);
	}
	return ret;
}

/*
 * Copy what one call writes to @text, its pieces one after the other, as the kernel takes them: the
 * length or -errno.
 */
static long gather(bool vector, const void *buf, size_t n, char *text)
{
	struct iovec one = { (void *)buf, n }, v;
	size_t len = 0, count = vector ? n : 1;

	for (size_t i = 0; i < count; i++) {
		v = one;
		if (vector && guard_copy(&v, (const struct iovec *)buf + i, sizeof(v)))
			return -EFAULT;
		if (v.iov_len > TEXT_MAX - len)
			return -EINVAL;
		if (guard_copy(text + len, v.iov_base, v.iov_len))
			return -EFAULT;
		len += v.iov_len;
	}
	return (long)len;
}

static long read_back(int fd, const char *path, void *buf, size_t n)
{
	long at = sys_call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0), done;
	char text[TEXT_MAX];
	int own;

	if (at < 0)
		return at;
	own = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (own < 0)
		return own;
	done = sys_pread(own, text, n < sizeof(text) ? n : sizeof(text), at);
	sys_close(own);
	if (done > 0 && guard_copy(buf, text, (size_t)done))
		done = -EFAULT;
	if (done > 0)
		sys_call(SYS_lseek, fd, at + done, SEEK_SET, 0, 0, 0);
	return done;
}

bool shim_attr_io(enum shim_io what, int fd, const void *buf, size_t n, long *ret)
{
	char path[PATH_MAX], text[TEXT_MAX];
	const char *virt;

	if (!attr_of(fd, path, &virt))
		return false;
	if (what == SHIM_READ) {
		*ret = read_back(fd, path, (void *)buf, n);
		return true;
	}
	if (!(what & 1))
		return false; /* vectored reads are not served */
	*ret = gather(what == SHIM_WRITEV || what == SHIM_PWRITEV, buf, n, text);
	if (*ret > 0)
		*ret = store(virt, text, (size_t)*ret);
	return true;
}
