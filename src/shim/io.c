/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/io.c: ioctl, read and write. The same functions serve the wrappers, syscall(2) and the trap
 * (syscall.c).
 *
 * An ioctl of VFIO's type is always looked at; what is not ours goes on to the kernel, which knows
 * what to say. Reads and writes are the other way round: they go to the kernel unless the number is
 * known to be a handle's, and come back with EBADF if it was one whose number is not marked (a
 * descriptor that arrived by SCM_RIGHTS, or was made by a raw dup), since a handle can be neither
 * read nor written there.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/bars.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/pagemap.h"
#include "shim/paths.h"
#include "shim/scope.h"

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif
/* as the kernel cuts a transfer: MAX_RW_COUNT, linux/fs.h */
#define RW_MAX (INT_MAX & ~4095ul)

/*
 * A file of the machine's own VFIO, which a program opened past us: it must not take real hardware
 * for ours.
 */
static bool is_hosts(int fd)
{
	char text[64];

	if (sys_readlink_fd(fd, text, sizeof(text)) < 10 || strncmp(text, "/dev/vfio/", 10))
		return false;
	report_err(REPORT_HINT("handle-of-host", "; open it through libc"), SHIM_WHO, -ENODEV,
		   "descriptor %d is this machine's own %s, opened by a system call that uvfio "
		   "does not see",
		   fd, text);
	return true;
}

static long vfio_ioctl(int fd, unsigned cmd, unsigned long arg)
{
	struct shim_handle *h;
	struct uapi_file *f;
	long rc;
	int err;

	h = shim_handle_get_own(fd, &err);
	if (!h) {
		if (err)
			return err;
		shim_fd_no_handle(fd);
		if ((cmd >> 8 & 0xff) == SHIM_VFIO_TYPE) {
			if (shim_is_foreign(fd) || is_hosts(fd))
				return -ENODEV;
		} else if (shim_ioctl_is_ours(cmd)) {
			return shim_kvm_ioctl(fd, cmd, arg);
		}
		return sys_call(SYS_ioctl, SYS_PASS(fd), cmd, (long)arg, 0, 0, 0);
	}
	/* a device is nobody's before it is bound */
	f = shim_handle_use(h, fd, !shim_handle_is_device(h));
	if (f) {
		/*
		 * a close that came another way than through our wrapper, or in another process,
		 * may not have been taken in yet
		 */
		if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
			shim_handles_drain();
		rc = uapi_ioctl(f, cmd, arg);
		if (rc == -EBUSY && shim_handles_drain())
			rc = uapi_ioctl(f, cmd, arg);
		if (!rc && cmd == VFIO_DEVICE_BIND_IOMMUFD)
			shim_handle_use(h, fd, true);
	} else {
		rc = -ENODEV;
	}
	shim_handle_put(h);
	return rc;
}

struct ioctl_args {
	int fd;
	unsigned long cmd, arg;
};

static long run_ioctl(void *arg)
{
	struct ioctl_args *a = arg;
	long rc;
	SHIM_CALL("ioctl");

	if (shim_vfs_ioctl(a->fd, (unsigned)a->cmd, a->arg, &rc))
		return rc;
	return vfio_ioctl(a->fd, (unsigned)a->cmd, a->arg);
}

static long run_kvm_ioctl(void *arg)
{
	struct ioctl_args *a = arg;
	SHIM_CALL("ioctl");

	return shim_kvm_ioctl(a->fd, (unsigned)a->cmd, a->arg);
}

static long run_ioctl_efault(void *arg)
{
	struct ioctl_args *a = arg;

	return shim_bar_efault("ioctl", (void *)a->arg, 1);
}

static long any_ioctl(struct ioctl_args *a)
{
	/* the kernel's cmd is an unsigned int */
	unsigned c = (unsigned)a->cmd;

	/*
	 * other types, too, have an answer from the file (a container without an IOMMU says
	 * EINVAL), and a memfd would answer some
	 */
	if (shim.on && (c >> 8 & 0xff) == SHIM_VFIO_TYPE)
		return shim_run(run_ioctl, a);
	if (shim.on && shim_fd_maybe_handle(a->fd))
		return shim_run(run_ioctl, a);
	if (shim.on && shim_ioctl_is_ours(c))
		return shim_run(run_kvm_ioctl, a);
	return sys_call(SYS_ioctl, SYS_PASS(a->fd), (long)a->cmd, (long)a->arg, 0, 0, 0);
}

long shim_ioctl(int fd, unsigned long cmd, unsigned long arg)
{
	struct ioctl_args a = { fd, cmd, arg };
	long rc;

	if ((unsigned)cmd == UFFDIO_REGISTER && shim_bar_any() &&
	    shim_uffd_refuses(fd, (const void *)arg))
		return -EINVAL;
	rc = any_ioctl(&a);
	if (rc == -EFAULT && shim_bar_any())
		shim_run(run_ioctl_efault, &a);
	return rc;
}

EXPORT int ioctl(int fd, unsigned long cmd, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, cmd);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	SHIM_NOTE_FROM();
	return (int)shim_ret(shim_ioctl(fd, cmd, arg));
}

/* ---- read and write ---- */

static ssize_t transfer_one(struct uapi_file *f, bool write, bool at_pos, void *buf, size_t n,
			    off_t pos)
{
	/* locked instructions are made on mapped BARs alone */
	bool bus = shim_bar_any() && uapi_file_device(f) &&
		   (!at_pos || VFIO_REGION_INDEX((uint64_t)pos) < VFIO_PCI_ROM_REGION_INDEX);
	ssize_t ret;

	if (n > RW_MAX)
		n = RW_MAX;
	if (bus)
		shim_access_begin(uapi_file_device(f));
	if (at_pos)
		ret = write ? uapi_pwrite(f, buf, n, (uint64_t)pos)
			    : uapi_pread(f, buf, n, (uint64_t)pos);
	else
		ret = write ? uapi_write(f, buf, n) : uapi_read(f, buf, n);
	if (bus)
		shim_access_end(uapi_file_device(f));
	return ret;
}

/*
 * access_ok(), x86: what does not lie in the lower half, which has 47 bits or, with five levels of
 * page tables, 56.
 */
static bool in_user_half(const void *buf, size_t n)
{
	uintptr_t p = (uintptr_t)buf, end = (1ul << (p >> 47 ? 56 : 47)) - 4096;

	return p <= end && n <= end - p;
}

/*
 * Look at all of the vector before anything is transferred, as import_iovec() does
 * (lib/iov_iter.c): how many bytes it is, at most, or -errno.
 */
static ssize_t check_vector(const struct iovec *iov, size_t n)
{
	struct iovec v;
	size_t sum = 0;

	if (n > IOV_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (guard_copy(&v, &iov[i], sizeof(v)))
			return -EFAULT;
		if ((ssize_t)v.iov_len < 0)
			return -EINVAL;
		if (!in_user_half(v.iov_base, v.iov_len))
			return -EFAULT;
		sum += v.iov_len > RW_MAX - sum ? RW_MAX - sum : v.iov_len;
	}
	return (ssize_t)sum;
}

/* Make one call for each piece, as the kernel does for files that have no vectored operations. */
static ssize_t vector(struct uapi_file *f, bool write, bool at_pos, const struct iovec *iov,
		      size_t n, off_t pos, int flags)
{
	struct iovec v;
	ssize_t done = 0, r, left = check_vector(iov, n);

	if (left <= 0)
		return left;
	/* do_loop_readv_writev(), fs/read_write.c */
	if (flags & ~RWF_HIPRI)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < n && left; i++) {
		if (guard_copy(&v, &iov[i], sizeof(v)))
			return done ? done : -EFAULT;
		if (v.iov_len > (size_t)left)
			v.iov_len = (size_t)left;
		if (!v.iov_len)
			continue;
		r = transfer_one(f, write, at_pos, v.iov_base, v.iov_len, pos + done);
		if (r < 0)
			return done ? done : r;
		done += r;
		left -= r;
		if ((size_t)r < v.iov_len)
			break;
	}
	return done;
}

/*
 * Make the checks that Linux makes before it asks the file: 0 or -errno. vfs_read() and its kin,
 * fs/read_write.c.
 */
static long may_transfer(struct shim_handle *h, struct uapi_file *f, bool write, bool at_pos,
			 off_t pos)
{
	int mode = shim_handle_flags(h) & O_ACCMODE;

	if (at_pos && pos < 0)
		return -EINVAL;
	if (at_pos && uapi_file_can(f) & UAPI_IS_STREAM)
		return -ESPIPE;
	if (mode != O_RDWR && mode != (write ? O_WRONLY : O_RDONLY))
		return -EBADF;
	/* no such operation */
	return uapi_file_can(f) & (write ? UAPI_CAN_WRITE : UAPI_CAN_READ) ? 0 : -EINVAL;
}

/* ---- EFAULT, explained: the kernel's own BARs would let the kernel in ---- */

struct efault_args {
	const char *call;
	const struct iovec *iov;
	size_t n;
};

static long run_efault_iov(void *arg)
{
	struct efault_args *a = arg;
	struct iovec v;

	for (size_t i = 0; i < a->n && i < IOV_MAX; i++)
		if (guard_copy(&v, &a->iov[i], sizeof(v)) ||
		    shim_bar_efault(a->call, v.iov_base, v.iov_len))
			break;
	return 0;
}

void shim_efault_iov(const char *call, const struct iovec *iov, size_t n)
{
	struct efault_args a = { call, iov, n };
	int saved = errno;

	if (shim_bar_any())
		shim_run(run_efault_iov, &a);
	errno = saved;
}

struct io_args {
	enum shim_io what;
	int fd;
	const void *buf;
	size_t n;
	off_t pos;
	int flags; /* of preadv2 */
	long ret;
};

static const char *const io_names[] = { "read",	 "write",  "pread",  "pwrite",
					"readv", "writev", "preadv", "pwritev" };

static long run_efault(void *arg)
{
	struct io_args *a = arg;
	const struct iovec one = { (void *)(uintptr_t)a->buf, a->n };

	/* the vector itself may be there */
	if (a->what < SHIM_READV)
		shim_efault_iov(io_names[a->what], &one, 1);
	else if (!shim_bar_efault(io_names[a->what], a->buf, a->n * sizeof(one)))
		shim_efault_iov(io_names[a->what], a->buf, a->n);
	return 0;
}

static void efault(enum shim_io what, const void *buf, size_t n)
{
	struct io_args a = { .what = what, .buf = buf, .n = n };
	int saved = errno;

	if (shim_bar_any())
		shim_run(run_efault, &a);
	errno = saved;
}

static long run_io(void *arg)
{
	struct io_args *a = arg;
	enum shim_io what = a->what;
	bool write = what & 1, at_pos = what == SHIM_PREAD || what == SHIM_PWRITE ||
					what == SHIM_PREADV || what == SHIM_PWRITEV;
	struct shim_handle *h;
	struct uapi_file *f;
	int err;
	SHIM_CALL(io_names[what]);

	h = shim_handle_get_own(a->fd, &err);
	if (!h) {
		if (err)
			return false;
		shim_fd_no_handle(a->fd);
		if (shim_attr_io(what, a->fd, a->buf, a->n, &a->ret))
			return true;
		if (!shim_is_foreign(a->fd))
			return false;
		a->ret = -ENODEV;
		return true;
	}
	shim_fd_mark(a->fd, true);
	f = shim_handle_use(h, a->fd, false);
	a->ret = 0;
	if (what >= SHIM_READV && !vfio_kernel_has(VFIO_KERNEL_READABLE_FIRST))
		a->ret = check_vector(a->buf, a->n);
	if (a->ret >= 0)
		a->ret = f ? may_transfer(h, f, write, at_pos, a->pos) : -ENODEV;
	if (a->ret)
		;
	else if (what >= SHIM_READV)
		a->ret = vector(f, write, at_pos, a->buf, a->n, a->pos, a->flags);
	else if (!in_user_half(a->buf, a->n))
		a->ret = -EFAULT;
	else
		a->ret = transfer_one(f, write, at_pos, (void *)(uintptr_t)a->buf, a->n, a->pos);
	if (a->ret == -EFAULT)
		efault(what, a->buf, a->n);
	shim_handle_put(h);
	return true;
}

/* True, and a->ret: the descriptor is a handle, or an attribute of the view. */
static bool io_try(struct io_args *a)
{
	return shim.on && shim_run(run_io, a);
}

/*
 * A read or write is ours if the number is marked. Otherwise the kernel gets it, and it is ours
 * after all if the kernel says EBADF. The kernel's part is libc's function, because these are
 * cancellation points; before our constructor has run it is the plain system call.
 */
static inline bool is_marked(struct io_args *a)
{
	return shim_fd_maybe_handle(a->fd) && io_try(a);
}

/*
 * True if the kernel says so of a handle: EINVAL of a write to a stream (pollable.c), else EBADF.
 */
static bool is_refusal(int err, enum shim_io what)
{
	return err == EBADF || (err == EINVAL && what & 1);
}

/* The kernel has read @len bytes. */
static void was_read(const struct io_args *a, size_t len)
{
	const struct iovec one = { (void *)(uintptr_t)a->buf, a->n };
	bool at_pos = a->what == SHIM_PREAD || a->what == SHIM_PREADV;

	if (a->what < SHIM_READV)
		shim_pagemap_read(a->fd, &one, 1, len, at_pos ? a->pos : -1);
	else
		shim_pagemap_read(a->fd, a->buf, a->n, len, at_pos ? a->pos : -1);
}

/* Return the result for the program; @result is that of libc's function. */
static ssize_t finish(struct io_args *a, ssize_t result)
{
	if (result == -1 && is_refusal(errno, a->what) && io_try(a))
		return shim_ret(a->ret);
	if (result == -1 && errno == EFAULT)
		efault(a->what, a->buf, a->n);
	if (a->what == SHIM_READ)
		shim_signal_was_read(result);
	if (shim.noiommu && result > 0 && !(a->what & 1))
		was_read(a, (size_t)result);
	return result;
}

static ssize_t by_kernel(const struct io_args *a, long nr)
{
	return shim_ret(sys_call(nr, a->fd, (long)a->buf, (long)a->n, (long)a->pos, 0, a->flags));
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	struct io_args a = { .what = SHIM_READ, .fd = fd, .buf = buf, .n = n };

	NEXT_IF_LOADED(read);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, buf, n) : by_kernel(&a, SYS_read));
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	struct io_args a = { .what = SHIM_WRITE, .fd = fd, .buf = buf, .n = n };

	NEXT_IF_LOADED(write);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, buf, n) : by_kernel(&a, SYS_write));
}

EXPORT ssize_t pread64(int fd, void *buf, size_t n, off64_t pos)
{
	struct io_args a = { .what = SHIM_PREAD, .fd = fd, .buf = buf, .n = n, .pos = pos };

	NEXT_IF_LOADED(pread64);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, buf, n, pos) : by_kernel(&a, SYS_pread64));
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t pos)
{
	struct io_args a = { .what = SHIM_PWRITE, .fd = fd, .buf = buf, .n = n, .pos = pos };

	NEXT_IF_LOADED(pwrite64);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, buf, n, pos) : by_kernel(&a, SYS_pwrite64));
}

EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	struct io_args a = { .what = SHIM_READV, .fd = fd, .buf = iov, .n = (size_t)n };

	NEXT_IF_LOADED(readv);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n) : by_kernel(&a, SYS_readv));
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct io_args a = { .what = SHIM_WRITEV, .fd = fd, .buf = iov, .n = (size_t)n };

	NEXT_IF_LOADED(writev);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n) : by_kernel(&a, SYS_writev));
}

EXPORT ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t pos)
{
	struct io_args a = {
		.what = SHIM_PREADV, .fd = fd, .buf = iov, .n = (size_t)n, .pos = pos
	};

	NEXT_IF_LOADED(preadv64);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n, pos) : by_kernel(&a, SYS_preadv));
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t pos)
{
	struct io_args a = {
		.what = SHIM_PWRITEV, .fd = fd, .buf = iov, .n = (size_t)n, .pos = pos
	};

	NEXT_IF_LOADED(pwritev64);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n, pos) : by_kernel(&a, SYS_pwritev));
}

/* Return the call that preadv2 or pwritev2 stands for: position -1 is the file's own. */
static enum shim_io vec2(bool write, off_t pos)
{
	return pos == -1 ? (write ? SHIM_WRITEV : SHIM_READV)
			 : (write ? SHIM_PWRITEV : SHIM_PREADV);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t pos, int flags)
{
	struct io_args a = { .what = vec2(false, pos),
			     .fd = fd,
			     .buf = iov,
			     .n = (size_t)n,
			     .pos = pos,
			     .flags = flags };

	NEXT_IF_LOADED(preadv64v2);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n, pos, flags) : by_kernel(&a, SYS_preadv2));
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, off64_t pos, int flags)
{
	struct io_args a = { .what = vec2(true, pos),
			     .fd = fd,
			     .buf = iov,
			     .n = (size_t)n,
			     .pos = pos,
			     .flags = flags };

	NEXT_IF_LOADED(pwritev64v2);
	SHIM_NOTE_FROM();
	if (is_marked(&a))
		return shim_ret(a.ret);
	return finish(&a, real ? real(fd, iov, n, pos, flags) : by_kernel(&a, SYS_pwritev2));
}

/* The same functions by their other names: off_t has 64 bits. */
EXPORT ssize_t pread(int fd, void *buf, size_t n, off_t pos) __attribute__((alias("pread64")));
EXPORT ssize_t pwrite(int fd, const void *buf, size_t n, off_t pos)
	__attribute__((alias("pwrite64")));
EXPORT ssize_t preadv(int fd, const struct iovec *iov, int n, off_t pos)
	__attribute__((alias("preadv64")));
EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t pos)
	__attribute__((alias("pwritev64")));
EXPORT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t pos, int flags)
	__attribute__((alias("preadv64v2")));
EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t pos, int flags)
	__attribute__((alias("pwritev64v2")));

/* Programs that were compiled with _FORTIFY_SOURCE call these. */
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t pos, size_t room);
EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t pos, size_t room);

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (n > room)
		__chk_fail();
	return read(fd, buf, n);
}

EXPORT ssize_t __pread64_chk(int fd, void *buf, size_t n, off64_t pos, size_t room)
{
	if (n > room)
		__chk_fail();
	return pread64(fd, buf, n, pos);
}

EXPORT ssize_t __pread_chk(int fd, void *buf, size_t n, off_t pos, size_t room)
{
	return __pread64_chk(fd, buf, n, pos, room);
}

/* ---- by number ---- */

static enum shim_io io_of(long nr, off_t pos)
{
	switch (nr) {
	case SYS_read:
		return SHIM_READ;
	case SYS_write:
		return SHIM_WRITE;
	case SYS_pread64:
		return SHIM_PREAD;
	case SYS_pwrite64:
		return SHIM_PWRITE;
	case SYS_readv:
		return SHIM_READV;
	case SYS_writev:
		return SHIM_WRITEV;
	case SYS_preadv:
		return SHIM_PREADV;
	case SYS_pwritev:
		return SHIM_PWRITEV;
	default:
		return vec2(nr == SYS_pwritev2, pos);
	}
}

long shim_io_call(long nr, const long v[6])
{
	struct io_args a = { .what = io_of(nr, v[3]),
			     .fd = (int)v[0],
			     .buf = (const void *)v[1],
			     .n = (size_t)v[2],
			     .pos = v[3],
			     .flags = nr == SYS_preadv2 || nr == SYS_pwritev2 ? (int)v[5] : 0 };
	long rc;

	if (is_marked(&a))
		return a.ret;
	rc = sys_call(nr, SYS_PASS(v[0]), v[1], v[2], v[3], v[4], v[5]);
	if (rc < 0 && is_refusal((int)-rc, a.what) && io_try(&a))
		return a.ret;
	if (rc == -EFAULT)
		efault(a.what, a.buf, a.n);
	if (shim.noiommu && rc > 0 && !(a.what & 1))
		was_read(&a, (size_t)rc);
	return rc;
}
