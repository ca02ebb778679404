/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/calls.h: calls on a descriptor, and the ways by which calls come that do not
 * go through libc's functions.
 */
#ifndef SHIM_CALLS_H
#define SHIM_CALLS_H
#include <sys/socket.h>

#include "shim/shim.h"

/* ---- io.c ---- */
/*
 * True if it is an ioctl that we look at: of type ';' (linux/vfio.h, VFIO_TYPE), or KVM's for its
 * VFIO device.
 */
#define SHIM_VFIO_TYPE 0x3bu
#define SHIM_KVM_TYPE  0xaeu
static inline bool shim_ioctl_is_ours(unsigned cmd)
{
	unsigned type = cmd >> 8 & 0xff;

	return type == SHIM_VFIO_TYPE ||
	       (type == SHIM_KVM_TYPE &&
		((cmd & 0xff) == 0x01 || ((cmd & 0xff) >= 0xe0 && (cmd & 0xff) <= 0xe3)));
}
long shim_ioctl(int fd, unsigned long cmd, unsigned long arg);
/* The calls that read and write; an odd one writes. */
enum shim_io {
	SHIM_READ,
	SHIM_WRITE,
	SHIM_PREAD,
	SHIM_PWRITE,
	SHIM_READV,
	SHIM_WRITEV,
	SHIM_PREADV,
	SHIM_PWRITEV
};
/* System call @nr, one of these: its result. */
long shim_io_call(long nr, const long a[6]);
/* @call got EFAULT with these: a line in the log if one of them is in a mapped BAR. Keeps errno. */
void shim_efault_iov(const char *call, const struct iovec *iov, size_t n);

/* ---- uevents.c: sockets for events of devices ---- */
/*
 * Before a call that receives: return the room that an address has (@len may be NULL: 0), if @fd is
 * such a socket; -1: it is another.
 */
long shim_uevents_room(int fd, const socklen_t *len);
/* Something was received by one: the sender is the kernel. */
void shim_uevents_from(void *from, socklen_t room, socklen_t *len);
void shim_uevents_msg(struct msghdr *msg, socklen_t room);

/* ---- vfs.c: calls on any file that are answered for a handle ---- */
/* System call @nr if it is one of them, on a handle: true and *@ret. */
bool shim_vfs(long nr, const long a[6], long *ret);
/* @call: libc's, for a lock that waits, or NULL */
bool shim_vfs_fcntl(int fd, int cmd, unsigned long arg, int (*call)(int fd, int cmd, ...),
		    long *ret);
bool shim_vfs_ioctl(int fd, unsigned cmd, unsigned long arg, long *ret);
void shim_vfs_closing(int fd); /* a handle */
/*
 * System call @nr, about extended attribute @attr, on a file of /dev/vfio or, if not @node, on a
 * device: -errno, or 1: as the file system has it.
 */
long shim_vfs_xattr(long nr, const char *attr, bool node);
/*
 * System call @nr, which takes a path, on a link in /proc to a device: 0 or -errno, or 1: it is the
 * kernel's.
 */
long shim_vfs_device_path(long nr, const long a[6]);

/* ---- syscall.c: system calls by number ---- */
/* System call @nr if it is one that the wrappers would have seen: true and *@ret. */
bool shim_syscall(long nr, const long a[6], long *ret);

/* ---- seccomp.c ---- */
#define SHIM_TRAP_DATA 0x7576 /* SECCOMP_RET_DATA: the trap is ours */
void shim_seccomp_init(void);
/*
 * From now on in this process (and what it forks), what is at the offsets of region 0 on number
 * @fd, a device file's, comes to the SIGSYS handler.
 */
void shim_seccomp_trap_device(int fd);
/*
 * From now on in this process (and what it forks), write on number @fd by libc's own code comes to
 * the SIGSYS handler.
 */
void shim_seccomp_trap_writes(int fd);
/*
 * Descriptors of device files get numbers here when they are free: the filter traps small pread and
 * pwrite on them.
 */
extern unsigned shim_fd_base, shim_fd_end;
/* set by the handler when a trap arrives during the probe */
extern volatile sig_atomic_t shim_trap_probe;
#define SHIM_PROBE_CMD 0x3bffu
bool shim_traps(void); /* the filter is in place */

/* ---- go.c ---- */
bool shim_go_without_libc(void); /* the program is one in Go that has no libc */
void shim_go_init(void);
#define SHIM_GO_CMD 0x3bfe
/*
 * ioctl(-1, SHIM_GO_CMD) was trapped: true, and the result is in place, if it stands for a call of
 * a Go program.
 */
bool shim_go_call(ucontext_t *uc);

/* ---- kvm.c ---- */
long shim_kvm_ioctl(int fd, unsigned cmd, unsigned long arg);
#endif
