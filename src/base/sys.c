/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/sys.c: system calls of our own, and the numbers of our own descriptors.
 *
 * The table of private numbers is one bitmap for the process, as the kernel's descriptor table is:
 * it has no lock, because it is asked on paths that a program may take in a signal handler (close),
 * and because after a fork the child finds it as consistent as the parent's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "base/sys.h"

/*
 * Numbers of descriptors that can be private. 2^20 is the kernel's default fs.nr_open, above which
 * a process needs privileges to go (sysctl fs.nr_open); the bitmap is 128 KiB of zero pages.
 */
#define FD_LIMIT (1u << 20)
/*
 * Where private numbers start below: the kernel's table of descriptors is as long as the highest
 * number, and is copied at each fork.
 */
#define FD_TOP	  4096u
#define FD_ROOM	  128u
#define WORD_BITS 64u

static atomic_ulong private_fds[FD_LIMIT / WORD_BITS];

#ifndef __x86_64__
#error "sys_call: the calling sequence of this processor is not known here"
#endif

/*
 * x86-64: the number in rax; arguments in rdi, rsi, rdx, r10, r8, r9 (System V ABI, AMD64
 * supplement, A.2.1).
 */
__asm__(".text\n"
	".globl sys_call\n"
	".hidden sys_call\n"
	".type sys_call, @function\n"
	"sys_call:\n"
	"	.cfi_startproc\n"
	"	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	movq %rdx, %rsi\n"
	"	movq %rcx, %rdx\n"
	"	movq %r8, %r10\n"
	"	movq %r9, %r8\n"
	"	movq 8(%rsp), %r9\n"
	"	syscall\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size sys_call, . - sys_call\n");

int sys_open(const char *path, int flags, int mode)
{
	return (int)fd_of_ours(SYS_openat, AT_FDCWD, (long)path, flags, mode);
}

int sys_close(int fd)
{
#ifdef SANITIZED_THREAD
	/*
	 * its run time follows numbers through libc, and takes what uses one again for a race with
	 * who had it before
	 */
	int saved = errno, rc = close(fd) ? -errno : 0;

	errno = saved;
	return rc;
#else
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
#endif
}

/*
 * A program's MemorySanitizer has libc's functions look whether what they are given was written,
 * and does not see a system call of ours write.
 */
extern void __msan_unpoison(const volatile void *p, size_t n)
	__attribute__((weak, visibility("default")));

static ssize_t written(void *buf, ssize_t n)
{
	if (__msan_unpoison && n > 0)
		__msan_unpoison(buf, (size_t)n);
	return n;
}

ssize_t sys_pread(int fd, void *buf, size_t n, off_t off)
{
	return written(buf, sys_call(SYS_pread64, SYS_PASS(fd), (long)buf, (long)n, off, 0, 0));
}

ssize_t sys_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return sys_call(SYS_pwrite64, SYS_PASS(fd), (long)buf, (long)n, off, 0, 0);
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
	return written(buf, sys_call(SYS_read, fd, (long)buf, (long)n, 0, 0, 0));
}

ssize_t sys_write(int fd, const void *buf, size_t n)
{
	return sys_call(SYS_write, fd, (long)buf, (long)n, 0, 0, 0);
}

int sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	return (int)sys_call(SYS_ioctl, SYS_PASS(fd), (long)cmd, (long)arg, 0, 0, 0);
}

char *sys_fd_name_in(char name[SYS_FD_NAME], const char *dir, int fd)
{
	char digits[12], *d = digits + sizeof(digits);
	unsigned v = (unsigned)fd;

	*--d = '\0';
	do
		*--d = (char)('0' + v % 10);
	while (v /= 10);
	return strcat(strcpy(name, dir), d);
}

char *sys_fd_name(char name[SYS_FD_NAME], int fd)
{
	return sys_fd_name_in(name, "/proc/self/fd/", fd);
}

long sys_readlink_fd(int fd, char *text, size_t size)
{
	char name[SYS_FD_NAME];
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)sys_fd_name(name, fd), (long)text,
			  (long)size - 1, 0, 0);

	if (n >= 0)
		text[n] = '\0';
	return written(text, n);
}

static void mark(int fd)
{
	atomic_fetch_or(&private_fds[(unsigned)fd / WORD_BITS], 1ul << ((unsigned)fd % WORD_BITS));
}

static void unmark(int fd)
{
	atomic_fetch_and(&private_fds[(unsigned)fd / WORD_BITS],
			 ~(1ul << ((unsigned)fd % WORD_BITS)));
}

static unsigned soft_limit(void)
{
	struct rlimit rl;

	if (sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&rl, 0, 0) < 0)
		return 1024;
	return rl.rlim_cur > FD_LIMIT ? FD_LIMIT : (unsigned)rl.rlim_cur;
}

/* Duplicate @fd by @call: the lowest free number from @base up, which is private then. */
static long dup_above(int fd, unsigned base, long (*call)(long nr, long a, long b, long c, long d))
{
	long rc = call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base, 0);

	if (rc >= (long)FD_LIMIT) {
		sys_close((int)rc);
		rc = -EMFILE;
	}
	if (rc >= 0)
		mark((int)rc);
	/* EINVAL: a limit below @base (it changed, or is tiny) */
	return rc == -EINVAL ? -EMFILE : rc;
}

static long plainly(long nr, long a, long b, long c, long d)
{
	return sys_call(nr, a, b, c, d, 0, 0);
}

int fd_dup_private(int fd)
{
	unsigned limit = soft_limit(), top = limit > FD_TOP ? FD_TOP : limit, base = top / 2;
	long rc = -EMFILE;

	/* a program that has few needs them itself */
	if (top >= 4 * FD_ROOM) {
		base = top - FD_ROOM;
		rc = dup_above(fd, base, plainly);
	}
	if (rc == -EMFILE)
		rc = dup_above(fd, limit, fd_beyond_limit);
	/* if there is no other way: lower, never into the first three, which mean something */
	for (; rc == -EMFILE && base >= 3; base = base > 3 && base < 6 ? 3 : base / 2)
		rc = dup_above(fd, base, plainly);
	return (int)rc;
}

int fd_make_private(int fd)
{
	int rc = fd_dup_private(fd);

	if (rc >= 0)
		sys_close(fd);
	return rc;
}

int fd_own(long fd)
{
	int own;

	if (fd < 0)
		return (int)fd;
	own = fd_make_private((int)fd);
	if (own < 0)
		sys_close((int)fd);
	return own;
}

int fd_adopt(int fd)
{
	if (fd < 3 || (unsigned)fd >= FD_LIMIT)
		return fd_make_private(fd);
	mark(fd);
	return fd;
}

void fd_close_private(int fd)
{
	if (!fd_is_private(fd))
		return;
	/*
	 * First the mark: another thread may get this number for a private descriptor as soon as it
	 * is free, and its mark must stay.
	 */
	unmark(fd);
	sys_close(fd);
}

bool fd_is_private(int fd)
{
	if (fd < 0 || (unsigned)fd >= FD_LIMIT)
		return false;
	return atomic_load_explicit(&private_fds[(unsigned)fd / WORD_BITS], memory_order_relaxed) >>
		       ((unsigned)fd % WORD_BITS) &
	       1;
}

void fd_for_each_private(void (*fn)(int fd, void *arg), void *arg)
{
	for (unsigned i = 0; i < FD_LIMIT / WORD_BITS; i++) {
		unsigned long w = atomic_load_explicit(&private_fds[i], memory_order_relaxed);

		while (w) {
			fn((int)(i * WORD_BITS + (unsigned)__builtin_ctzl(w)), arg);
			w &= w - 1;
		}
	}
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
