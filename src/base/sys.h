/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/sys.h: system calls that are ours. The core runs inside programs whose libc calls the shim
 * interposes; what the core does for itself must not come back to it, so it goes straight to the
 * kernel. All return -errno.
 * Private descriptors: the core's own (eventfd duplicates, images, epoll) live above the numbers
 * that programs use and are known, so that a program that closes "everything from 3 up" does not
 * take them away (shim: close() of one is EBADF). Where there is no room for them they are beyond
 * the program's limit.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Make the system call; return the kernel's value, which sys_failed() tells from an error. */
long sys_call(long nr, long a, long b, long c, long d, long e, long f);
/* True if @v, which a system call returned, is -errno. */
static inline bool sys_failed(long v)
{
	return v < 0 && v >= -4095; /* linux/err.h, MAX_ERRNO */
}

/*
 * @fd as an argument of a call that the shim's filter (shim/seccomp.c) would hand to us, were it
 * the program's: the mark in the upper half, which the kernel does not look at, lets it through.
 * Those below that the filter looks at have it: the descriptor may be of the kernel's own VFIO.
 */
#define SYS_PASS_MARK 0x75766669u /* "uvfi" */
#define SYS_PASS(fd)  ((long)((uint64_t)SYS_PASS_MARK << 32 | (uint32_t)(fd)))

int sys_open(const char *path, int flags, int mode); /* a descriptor of ours: fd_of_ours() */
int sys_close(int fd);
ssize_t sys_pread(int fd, void *buf, size_t n, off_t off);
ssize_t sys_pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t sys_read(int fd, void *buf, size_t n);
ssize_t sys_write(int fd, const void *buf, size_t n);
int sys_ioctl(int fd, unsigned long cmd, void *arg);
/* Write "/proc/self/fd/@fd" to @name, and return it. */
#define SYS_FD_NAME 40
char *sys_fd_name(char name[SYS_FD_NAME], int fd);
/* The same in @dir, "/proc/thread-self/fd/" or shorter. */
char *sys_fd_name_in(char name[SYS_FD_NAME], const char *dir, int fd);
/* Write what that link reads to @text, cut to @size - 1 bytes and ended: its length or -errno. */
long sys_readlink_fd(int fd, char *text, size_t size);

/*
 * Move @fd (owned, closed on success) to a private number with O_CLOEXEC. Returns the new number or
 * -errno (@fd is then still open).
 */
int fd_make_private(int fd);
/* The same for what open() and its like returned: closed if it fails; -errno is passed on. */
int fd_own(long fd);
/*
 * The same for one that no program can know, since it has just come to a server: it keeps its
 * number, unless that is one of the first three.
 */
int fd_adopt(int fd);
/* Duplicate the program's @fd to a private number. -EBADF, -EMFILE. */
int fd_dup_private(int fd);
void fd_close_private(int fd);
bool fd_is_private(int fd);
/* In a forked child: the numbers that are open and ours, to be closed. Calls @fn for each. */
void fd_for_each_private(void (*fn)(int fd, void *arg), void *arg);

/*
 * A system call that makes a descriptor of ours, to be made private: when the program's limit of
 * open files is reached its number is beyond that (fd_room.c). -EMFILE where the hard limit is
 * reached, too, and the process may not raise it. fd_beyond_limit() asks for such a number from the
 * start.
 */
long fd_of_ours(long nr, long a, long b, long c, long d);
long fd_beyond_limit(long nr, long a, long b, long c, long d);
/* Around what must not see the limit raised: a fork, a call that reads or sets it. */
void fd_room_lock(void);
void fd_room_unlock(void);
void fd_room_abandon(void); /* in a forked child */

uint64_t now_ns(void); /* CLOCK_MONOTONIC */
#endif
