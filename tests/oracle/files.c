/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/files.c: what a container, a group and a device are as files: every system call that
 * takes a descriptor, the ways to open one again, and what their paths say. Here VFIO is a file
 * among others: most calls are ones that it has no operation for.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "oracle.h"

#ifndef F_GET_RW_HINT
#define F_GET_RW_HINT 1035
#endif

#define ASK(x, ...)                   \
	do {                          \
		errno = 0;            \
		long r_ = (x);        \
		saw(r_, __VA_ARGS__); \
	} while (0)

/* a descriptor: 0, and it is closed again */
static long opened(long fd)
{
	if (fd < 0)
		return -1;
	close((int)fd);
	return 0;
}

/* of the functions that return the error */
static long coded(int e)
{
	errno = e;
	return e ? -1 : 0;
}

static void ask_read_write(int fd, const char *k)
{
	char b[64] = { 0 };
	struct iovec iov = { b, 4 }, none = { b, 0 }, two[2] = { { b, 4 }, { NOWHERE, 4 } };
	/* unknown to the compiler, who would object */
	void *volatile nowhere = NOWHERE;
	volatile long minus = -1;

	ASK(read(fd, b, 0), "files.%s.read 0", k);
	ASK(read(fd, b, 4), "files.%s.read", k);
	ASK(write(fd, b, 0), "files.%s.write 0", k);
	ASK(pread(fd, b, 0, 0), "files.%s.pread 0", k);
	ASK(pread(fd, b, 0, -1), "files.%s.pread -1", k);
	ASK(pwrite(fd, b, 0, -1), "files.%s.pwrite -1", k);
	ASK(readv(fd, &iov, 0), "files.%s.readv none", k);
	ASK(readv(fd, &none, 1), "files.%s.readv empty", k);
	ASK(writev(fd, &iov, 0), "files.%s.writev none", k);
	ASK(writev(fd, &none, 1), "files.%s.writev empty", k);
	ASK(preadv(fd, &iov, 0, 0), "files.%s.preadv none", k);
	ASK(preadv(fd, &none, 1, 0), "files.%s.preadv empty", k);
	ASK(pwritev(fd, &none, 1, 0), "files.%s.pwritev empty", k);
	ASK(preadv2(fd, &iov, 1, 0, RWF_NOWAIT), "files.%s.preadv2 NOWAIT", k);
	ASK(preadv2(fd, &iov, 0, 0, RWF_NOWAIT), "files.%s.preadv2 NOWAIT none", k);
	ASK(preadv2(fd, &iov, 0, 0, RWF_HIPRI), "files.%s.preadv2 HIPRI none", k);
	ASK(preadv2(fd, &iov, 0, -2, 0), "files.%s.preadv2 -2", k);
	ASK(pwritev2(fd, &iov, 0, 0, RWF_APPEND), "files.%s.pwritev2 APPEND none", k);
	ASK(readv(fd, &iov, (int)minus), "files.%s.readv -1", k);
	ASK(readv(fd, nowhere, 1), "files.%s.readv nowhere", k);
	ASK(read(fd, b, (size_t)minus), "files.%s.read -1 bytes", k);
	ASK(readv(fd, two, 2), "files.%s.readv, the second nowhere", k);
	two[1] = (struct iovec){ b + 8, (size_t)minus };
	ASK(readv(fd, two, 2), "files.%s.readv, the second too long", k);
	two[1] = (struct iovec){ (void *)(minus & ~4095l), 4 };
	ASK(readv(fd, two, 2), "files.%s.readv, the second kernel's memory", k);
	saw(b[4] == 0 && b[5] == 0, "files.%s.nothing behind", k);
	ASK(read(fd, NOWHERE, 0), "files.%s.read 0 nowhere", k);
	ASK(read(fd, (void *)-4096l, 4), "files.%s.read kernel's memory", k);
}

static void ask_seek(int fd, const char *k)
{
	static const int whence[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 9 };

	for (size_t i = 0; i < sizeof(whence) / sizeof(*whence); i++)
		ASK(lseek(fd, 0, whence[i]), "files.%s.lseek %d", k, whence[i]);
}

static void ask_size(int fd, const char *k)
{
	loff_t zero = 0;
	char b[8] = { 0 };
	int p[2], tmp;

	ASK(ftruncate(fd, 0), "files.%s.ftruncate", k);
	ASK(ftruncate(fd, -1), "files.%s.ftruncate -1", k);
	ASK(fallocate(fd, 0, 0, 4096), "files.%s.fallocate", k);
	ASK(fallocate(fd, 0, -1, 4096), "files.%s.fallocate -1", k);
	ASK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096),
	    "files.%s.fallocate punch", k);
	ASK(fallocate(fd, 0x10000, 0, 4096), "files.%s.fallocate unknown", k);
	ASK(coded(posix_fallocate(fd, 0, 4096)), "files.%s.posix_fallocate", k);
	ASK(coded(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)), "files.%s.fadvise", k);
	ASK(coded(posix_fadvise(fd, 0, 0, 99)), "files.%s.fadvise 99", k);
	ASK(coded(posix_fadvise(fd, 0, -1, 0)), "files.%s.fadvise len -1", k);
	ASK(readahead(fd, 0, 4096), "files.%s.readahead", k);
	ASK(fsync(fd), "files.%s.fsync", k);
	ASK(fdatasync(fd), "files.%s.fdatasync", k);
	ASK(syncfs(fd), "files.%s.syncfs", k);
	ASK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), "files.%s.sync_file_range", k);
	ASK(sync_file_range(fd, -1, 0, 0), "files.%s.sync_file_range -1", k);

	/* from one file to another */
	MUST(pipe(p) == 0 && (tmp = memfd_create("files", 0)) >= 0);
	MUST(write(tmp, "12345678", 8) == 8 && lseek(tmp, 0, SEEK_SET) == 0 &&
	     write(p[1], b, 8) == 8);
	ASK(sendfile(tmp, fd, NULL, 4), "files.%s.sendfile from", k);
	ASK(sendfile(tmp, fd, &zero, 4), "files.%s.sendfile from 0", k);
	ASK(sendfile(fd, tmp, NULL, 4), "files.%s.sendfile to", k);
	ASK(copy_file_range(fd, NULL, tmp, NULL, 4, 0), "files.%s.copy_file_range from", k);
	ASK(copy_file_range(tmp, NULL, fd, NULL, 4, 0), "files.%s.copy_file_range to", k);
	ASK(splice(fd, NULL, p[1], NULL, 4, SPLICE_F_NONBLOCK), "files.%s.splice from", k);
	ASK(splice(p[0], NULL, fd, NULL, 4, SPLICE_F_NONBLOCK), "files.%s.splice to", k);
	ASK(splice(fd, &zero, p[1], NULL, 4, SPLICE_F_NONBLOCK), "files.%s.splice from 0", k);
	ASK(splice(p[0], NULL, fd, &zero, 4, SPLICE_F_NONBLOCK), "files.%s.splice to 0", k);
	ASK(tee(fd, p[1], 4, SPLICE_F_NONBLOCK), "files.%s.tee from", k);
	ASK(tee(p[0], fd, 4, SPLICE_F_NONBLOCK), "files.%s.tee to", k);
	ASK(vmsplice(fd, &(struct iovec){ b, 4 }, 1, SPLICE_F_NONBLOCK), "files.%s.vmsplice", k);
	close(p[0]);
	close(p[1]);
	close(tmp);
}

static void ask_fcntl(int fd, const char *k)
{
	struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET },
		     rd = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct f_owner_ex ex = { F_OWNER_PID, 0 };
	uint64_t hint = 0;
	int fl, own;

	ASK((fl = fcntl(fd, F_GETFL)) & O_ACCMODE, "files.%s.GETFL accmode", k);
	ASK(fl & ~O_ACCMODE, "files.%s.GETFL", k);
	ASK(fcntl(fd, F_SETFL, fl | O_NONBLOCK), "files.%s.SETFL NONBLOCK", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL with NONBLOCK", k);
	ASK(fcntl(fd, F_SETFL, fl | O_APPEND), "files.%s.SETFL APPEND", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL with APPEND", k);
	ASK(fcntl(fd, F_SETFL, O_WRONLY), "files.%s.SETFL access mode", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL after access mode", k);
	ASK(fcntl(fd, F_SETFL, fl | O_ASYNC), "files.%s.SETFL ASYNC", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL with ASYNC", k);
	ASK(fcntl(fd, F_SETFL, fl | O_DIRECT), "files.%s.SETFL DIRECT", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL with DIRECT", k);
	ASK(fcntl(fd, F_SETFL, fl | O_NOATIME), "files.%s.SETFL NOATIME", k);
	ASK(fcntl(fd, F_GETFL) & ~0100000, "files.%s.GETFL with NOATIME", k);
	ASK(fcntl(fd, F_SETFL, fl), "files.%s.SETFL back", k);
	ASK(fcntl(fd, F_GETFL) == fl, "files.%s.GETFL as it was", k);
	ASK(fcntl(fd, F_SETOWN, getpid()), "files.%s.SETOWN", k);
	ASK((own = fcntl(fd, F_GETOWN)) < 0 ? -1 : own == getpid(), "files.%s.GETOWN", k);
	ASK(fcntl(fd, F_SETOWN, 0), "files.%s.SETOWN 0", k);
	ASK(fcntl(fd, F_GETOWN_EX, &ex), "files.%s.GETOWN_EX", k);
	ASK(fcntl(fd, F_SETSIG, SIGUSR1), "files.%s.SETSIG", k);
	ASK(fcntl(fd, F_GETSIG), "files.%s.GETSIG", k);
	ASK(fcntl(fd, F_SETSIG, 0), "files.%s.SETSIG 0", k);
	ASK(fcntl(fd, F_GETLEASE), "files.%s.GETLEASE", k);
	ASK(fcntl(fd, F_SETLEASE, F_RDLCK), "files.%s.SETLEASE RDLCK", k);
	ASK(fcntl(fd, F_SETLEASE, F_WRLCK), "files.%s.SETLEASE WRLCK", k);
	ASK(fcntl(fd, F_SETLEASE, F_UNLCK), "files.%s.SETLEASE UNLCK", k);
	ASK(fcntl(fd, F_NOTIFY, DN_CREATE), "files.%s.NOTIFY", k);
	ASK(fcntl(fd, F_NOTIFY, 0), "files.%s.NOTIFY 0", k);
	ASK(fcntl(fd, F_GETPIPE_SZ), "files.%s.GETPIPE_SZ", k);
	ASK(fcntl(fd, F_SETPIPE_SZ, 4096), "files.%s.SETPIPE_SZ", k);
	ASK(fcntl(fd, F_GET_SEALS), "files.%s.GET_SEALS", k);
	ASK(fcntl(fd, F_ADD_SEALS, 0), "files.%s.ADD_SEALS 0", k);
	ASK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), "files.%s.ADD_SEALS", k);
	ASK(fcntl(fd, F_GET_RW_HINT, &hint), "files.%s.GET_RW_HINT", k);
	ASK(fcntl(fd, F_GET_RW_HINT + 1, &hint), "files.%s.SET_RW_HINT", k);
	ASK(fcntl(fd, 4711, 0), "files.%s.fcntl 4711", k);
	ASK(fcntl(fd, F_SETLK, &lk), "files.%s.SETLK WRLCK", k);
	ASK(fcntl(fd, F_SETLK, &rd), "files.%s.SETLK RDLCK", k);
	lk.l_type = F_WRLCK;
	ASK(fcntl(fd, F_GETLK, &lk), "files.%s.GETLK", k);
	ASK(lk.l_type, "files.%s.GETLK type", k);
	lk.l_type = F_UNLCK;
	ASK(fcntl(fd, F_SETLK, &lk), "files.%s.SETLK UNLCK", k);
	lk.l_type = 9;
	ASK(fcntl(fd, F_SETLK, &lk), "files.%s.SETLK 9", k);
	lk = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
	ASK(fcntl(fd, F_OFD_SETLK, &lk), "files.%s.OFD_SETLK WRLCK", k);
	lk.l_type = F_RDLCK;
	ASK(fcntl(fd, F_OFD_SETLKW, &lk), "files.%s.OFD_SETLKW RDLCK", k);
	ASK(fcntl(fd, F_OFD_GETLK, &lk), "files.%s.OFD_GETLK", k);
	lk.l_type = F_UNLCK;
	ASK(fcntl(fd, F_OFD_SETLK, &lk), "files.%s.OFD_SETLK UNLCK", k);
	ASK(lockf(fd, F_TLOCK, 0), "files.%s.lockf", k);
	ASK(lockf(fd, F_ULOCK, 0), "files.%s.lockf ULOCK", k);
	ASK(flock(fd, LOCK_EX | LOCK_NB), "files.%s.flock EX", k);
	ASK(flock(fd, LOCK_SH | LOCK_NB), "files.%s.flock SH", k);
	ASK(flock(fd, LOCK_UN), "files.%s.flock UN", k);
	ASK(flock(fd, 77), "files.%s.flock 77", k);
}

static void ask_ioctl(int fd, const char *k)
{
	char b[256] = { 0 };
	int n = 1;

	ASK(ioctl(fd, FIOCLEX, 0), "files.%s.FIOCLEX", k);
	ASK(fcntl(fd, F_GETFD), "files.%s.GETFD", k);
	ASK(ioctl(fd, FIONCLEX, 0), "files.%s.FIONCLEX", k);
	ASK(fcntl(fd, F_GETFD), "files.%s.GETFD after", k);
	ASK(ioctl(fd, FIONBIO, &n), "files.%s.FIONBIO", k);
	ASK(fcntl(fd, F_GETFL) & O_NONBLOCK, "files.%s.FIONBIO set", k);
	n = 0;
	ASK(ioctl(fd, FIONBIO, &n), "files.%s.FIONBIO 0", k);
	ASK(ioctl(fd, FIONBIO, NOWHERE), "files.%s.FIONBIO nowhere", k);
	n = 1;
	ASK(ioctl(fd, FIOASYNC, &n), "files.%s.FIOASYNC", k);
	ASK(fcntl(fd, F_GETFL) & O_ASYNC, "files.%s.FIOASYNC set", k);
	n = 0;
	ASK(ioctl(fd, FIOASYNC, &n), "files.%s.FIOASYNC 0", k);
	ASK(ioctl(fd, FIONREAD, &n), "files.%s.FIONREAD", k);
	ASK(ioctl(fd, FIBMAP, &n), "files.%s.FIBMAP", k);
	ASK(ioctl(fd, FIGETBSZ, b), "files.%s.FIGETBSZ", k);
	ASK(ioctl(fd, FIFREEZE, 0), "files.%s.FIFREEZE", k);
	ASK(ioctl(fd, FITHAW, 0), "files.%s.FITHAW", k);
	ASK(ioctl(fd, FICLONE, fd), "files.%s.FICLONE", k);
	ASK(ioctl(fd, FS_IOC_GETFLAGS, b), "files.%s.FS_IOC_GETFLAGS", k);
	ASK(ioctl(fd, FS_IOC_SETFLAGS, b), "files.%s.FS_IOC_SETFLAGS", k);
	ASK(ioctl(fd, FS_IOC_FSGETXATTR, b), "files.%s.FS_IOC_FSGETXATTR", k);
	ASK(ioctl(fd, FS_IOC_FIEMAP, b), "files.%s.FS_IOC_FIEMAP", k);
	ASK(ioctl(fd, FS_IOC_GETVERSION, b), "files.%s.FS_IOC_GETVERSION", k);
	ASK(ioctl(fd, FIOQSIZE, b), "files.%s.FIOQSIZE", k);
	ASK(ioctl(fd, FICLONERANGE, &(struct file_clone_range){ .src_fd = fd }),
	    "files.%s.FICLONERANGE", k);
	ASK(ioctl(fd, FICLONERANGE, NOWHERE), "files.%s.FICLONERANGE nowhere", k);
	ASK(ioctl(fd, FICLONE, -1), "files.%s.FICLONE of nothing", k);
	ASK(ioctl(fd, FIDEDUPERANGE, b), "files.%s.FIDEDUPERANGE", k);
	ASK(ioctl(fd, 0x5401, b), "files.%s.TCGETS", k);
	ASK(ioctl(fd, 0, 0), "files.%s.ioctl 0", k);
}

static void ask_ready(int fd, const char *k)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.fd = fd };
	struct timeval none = { 0 };
	struct timespec now = { 0 };
	int e = epoll_create1(0), in;
	fd_set r, w;

	ASK(poll(&p, 1, 0), "files.%s.poll", k);
	saw_hex((unsigned long)p.revents, "files.%s.poll revents", k);
	p.events = POLLRDNORM | POLLWRNORM;
	ASK(ppoll(&p, 1, &now, NULL), "files.%s.ppoll", k);
	saw_hex((unsigned long)p.revents, "files.%s.ppoll revents", k);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	ASK(select(fd + 1, &r, &w, NULL, &none), "files.%s.select", k);
	ASK(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), "files.%s.epoll ADD", k);
	ASK(epoll_ctl(e, EPOLL_CTL_MOD, fd, &ev), "files.%s.epoll MOD", k);
	ASK(epoll_ctl(e, EPOLL_CTL_DEL, fd, &ev), "files.%s.epoll DEL", k);
	ASK(epoll_ctl(fd, EPOLL_CTL_ADD, e, &ev), "files.%s.epoll of it", k);
	ASK(epoll_wait(fd, &ev, 1, 0), "files.%s.epoll_wait of it", k);
	close(e);
	MUST((in = inotify_init1(IN_NONBLOCK)) >= 0);
	ASK(inotify_add_watch(fd, "/", IN_OPEN), "files.%s.inotify_add_watch of it", k);
	ASK(inotify_rm_watch(fd, 1), "files.%s.inotify_rm_watch of it", k);
	close(in);
}

static void ask_inode(int fd, const char *k, const char *node)
{
	struct statfs sf = { 0 };
	struct statvfs sv;
	struct stat st = { 0 }, of;
	struct statx sx = { 0 };
	struct timespec ts[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} fh = { .h.handle_bytes = MAX_HANDLE_SZ };
	char b[64];
	int mount;

	MUST(fstat(fd, &st) == 0);
	if (node) {
		MUST(stat(node, &of) == 0);
		saw(st.st_ino == of.st_ino && st.st_dev == of.st_dev, "files.%s.fstat is the node",
		    k);
		saw(st.st_mode == of.st_mode && st.st_uid == of.st_uid && st.st_rdev == of.st_rdev,
		    "files.%s.fstat mode of the node", k);
	}
	saw_hex(st.st_mode & S_IFMT, "files.%s.fstat type", k);
	ASK((long)st.st_nlink, "files.%s.fstat nlink", k);
	ASK(st.st_size, "files.%s.fstat size", k);
	ASK(st.st_blocks, "files.%s.fstat blocks", k);
	ASK(st.st_blksize, "files.%s.fstat blksize", k);
	ASK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx), "files.%s.statx", k);
	saw_hex(sx.stx_mode & S_IFMT, "files.%s.statx type", k);
	ASK(fstatfs(fd, &sf), "files.%s.fstatfs", k);
	if (!strcmp(k, "device"))
		saw_hex((unsigned long)sf.f_type, "files.%s.fstatfs type", k);
	ASK(fstatvfs(fd, &sv), "files.%s.fstatvfs", k);
	ASK(fchmod(fd, st.st_mode & 0777), "files.%s.fchmod", k);
	ASK(fchown(fd, (uid_t)-1, (gid_t)-1), "files.%s.fchown -1", k);
	ASK(fchown(fd, st.st_uid, st.st_gid), "files.%s.fchown", k);
	ASK(fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH), "files.%s.fchownat", k);
	ASK(futimens(fd, ts), "files.%s.futimens", k);
	if (node) {
		mode_t was = of.st_mode & 0777;

		ASK(fchmod(fd, 0640), "files.%s.fchmod of the node", k);
		MUST(stat(node, &of) == 0 && fstat(fd, &st) == 0);
		saw(of.st_mode & 0777, "files.%s.mode of the node then", k);
		saw(st.st_mode & 0777, "files.%s.mode of the file then", k);
		fchmod(fd, was);
	}
	ASK(faccessat(fd, "", R_OK, 0), "files.%s.faccessat", k);
	ASK(fgetxattr(fd, "user.a", b, sizeof(b)), "files.%s.fgetxattr", k);
	ASK(fsetxattr(fd, "user.a", "b", 1, 0), "files.%s.fsetxattr", k);
	ASK(fremovexattr(fd, "user.a"), "files.%s.fremovexattr", k);
	ASK(fgetxattr(fd, "trusted.a", b, sizeof(b)), "files.%s.fgetxattr trusted", k);
	ASK(fgetxattr(fd, "nothing", b, sizeof(b)), "files.%s.fgetxattr of no kind", k);
	ASK(flistxattr(fd, b, sizeof(b)), "files.%s.flistxattr", k);
	ASK(name_to_handle_at(fd, "", &fh.h, &mount, AT_EMPTY_PATH) ? -1 : 0,
	    "files.%s.name_to_handle_at", k);
	ASK(linkat(fd, "", AT_FDCWD, "/tmp/oracle-link", AT_EMPTY_PATH), "files.%s.linkat", k);
	ASK(fchdir(fd), "files.%s.fchdir", k);
	ASK(opened(openat(fd, "x", O_RDONLY)), "files.%s.openat in it", k);
	ASK(opened(openat(fd, "", O_RDONLY)), "files.%s.openat nothing", k);
	ASK(faccessat(fd, "x", F_OK, 0), "files.%s.faccessat in it", k);
	ASK(syscall(SYS_getdents64, fd, b, sizeof(b)), "files.%s.getdents64", k);
	ASK(syscall(SYS_execveat, fd, "", NULL, NULL, AT_EMPTY_PATH), "files.%s.execveat", k);
	ASK(isatty(fd) ? 1 : -1, "files.%s.isatty", k);
}

static void ask_others(int fd, const char *k)
{
	void *p;
	char b[8];

	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	saw(p == MAP_FAILED ? -1 : (munmap(p, 4096), 0), "files.%s.mmap exec", k);
	p = mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0);
	saw(p == MAP_FAILED ? -1 : 0, "files.%s.mmap nothing", k);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	saw(p == MAP_FAILED ? -1 : (munmap(p, 4096), 0), "files.%s.mmap private", k);
	ASK(recv(fd, b, 1, MSG_DONTWAIT), "files.%s.recv", k);
	ASK(listen(fd, 1), "files.%s.listen", k);
	ASK(syscall(SYS_timerfd_gettime, fd, b), "files.%s.timerfd_gettime", k);
	ASK(syscall(SYS_signalfd4, fd, b, 8, 0), "files.%s.signalfd", k);
	ASK(syscall(SYS_setns, fd, 0), "files.%s.setns", k);
	ASK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), "files.%s.pidfd_send_signal", k);
}

/*
 * Opened once more by its link in /proc. A container is another one then; of a group there can be
 * one.
 */
static void ask_link(int fd, const char *k)
{
	char path[64], b[4];
	struct statfs sf;
	struct stat st;
	int q;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASK(opened(open(path, O_RDWR)), "files.%s.link open", k);
	ASK(opened(open(path, O_RDWR | O_NOFOLLOW)), "files.%s.link O_NOFOLLOW", k);
	ASK(opened(open(path, O_PATH | O_NOFOLLOW)), "files.%s.link O_PATH O_NOFOLLOW", k);
	ASK(opened(open(path, O_RDWR | O_DIRECTORY)), "files.%s.link O_DIRECTORY", k);
	ASK(opened(open(path, O_RDWR | O_CREAT, 0600)), "files.%s.link O_CREAT", k);
	ASK(opened(open(path, O_RDWR | O_CREAT | O_EXCL, 0600)), "files.%s.link O_EXCL", k);
	ASK(opened(open(path, O_RDWR | O_TRUNC)), "files.%s.link O_TRUNC", k);
	ASK(opened(open(path, O_RDWR | O_DIRECT)), "files.%s.link O_DIRECT", k);
	ASK(truncate(path, 4096), "files.%s.link truncate", k);
	ASK(access(path, R_OK | W_OK), "files.%s.link access", k);
	ASK(stat(path, &st), "files.%s.link stat", k);
	saw_hex(st.st_mode & S_IFMT, "files.%s.link stat type", k);
	ASK(lstat(path, &st), "files.%s.link lstat", k);
	saw_hex(st.st_mode & S_IFMT, "files.%s.link lstat type", k);
	ASK(chmod(path, 0600), "files.%s.link chmod", k);
	ASK(getxattr(path, "user.a", b, sizeof(b)), "files.%s.link getxattr", k);
	ASK(setxattr(path, "user.a", b, 1, 0), "files.%s.link setxattr", k);
	ASK(statfs(path, &sf), "files.%s.link statfs", k);
	ASK(unlink(path), "files.%s.link unlink", k);

	errno = 0;
	q = open(path, O_PATH | O_CLOEXEC);
	saw(q < 0 ? -1 : 0, "files.%s.O_PATH", k);
	if (q < 0)
		return;
	ASK(fcntl(q, F_GETFL) & ~0100000, "files.%s.O_PATH GETFL", k);
	ASK(fcntl(q, F_GETFD), "files.%s.O_PATH GETFD", k);
	ASK(fcntl(q, F_SETFL, O_NONBLOCK), "files.%s.O_PATH SETFL", k);
	ASK(fcntl(q, F_GETLK, &(struct flock){ .l_type = F_WRLCK }), "files.%s.O_PATH GETLK", k);
	ASK(ioctl(q, VFIO_GET_API_VERSION), "files.%s.O_PATH ioctl", k);
	ASK(ioctl(q, VFIO_CHECK_EXTENSION, 1), "files.%s.O_PATH CHECK_EXTENSION", k);
	ASK(ioctl(q, VFIO_DEVICE_RESET), "files.%s.O_PATH DEVICE_RESET", k);
	ASK(ioctl(q, FIOCLEX), "files.%s.O_PATH FIOCLEX", k);
	ASK(ioctl(q, FIONBIO, b), "files.%s.O_PATH FIONBIO", k);
	ASK(read(q, b, 1), "files.%s.O_PATH read", k);
	ASK(pread(q, b, 1, 0), "files.%s.O_PATH pread", k);
	ASK(pread(q, b, 1, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)),
	    "files.%s.O_PATH pread config", k);
	ASK(write(q, b, 1), "files.%s.O_PATH write", k);
	ASK(readv(q, &(struct iovec){ b, 1 }, 1), "files.%s.O_PATH readv", k);
	ASK(lseek(q, 0, SEEK_SET), "files.%s.O_PATH lseek", k);
	ASK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, q, 0) == MAP_FAILED ? -1 : 0,
	    "files.%s.O_PATH mmap", k);
	ASK(fsync(q), "files.%s.O_PATH fsync", k);
	ASK(ftruncate(q, 0), "files.%s.O_PATH ftruncate", k);
	ASK(fchmod(q, 0600), "files.%s.O_PATH fchmod", k);
	ASK(fgetxattr(q, "user.a", b, 4), "files.%s.O_PATH fgetxattr", k);
	ASK(flock(q, LOCK_SH | LOCK_NB), "files.%s.O_PATH flock", k);
	ASK(fallocate(q, 0, 0, 1), "files.%s.O_PATH fallocate", k);
	ASK(fstatfs(q, &sf), "files.%s.O_PATH fstatfs", k);
	MUST(fstat(q, &st) == 0);
	saw_hex(st.st_mode & S_IFMT, "files.%s.O_PATH fstat type", k);
	ASK(opened(dup(q)), "files.%s.O_PATH dup", k);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", q);
	ASK(opened(open(path, O_RDWR)), "files.%s.O_PATH opened", k);
	ASK(poll(&(struct pollfd){ .fd = q, .events = POLLIN }, 1, 0), "files.%s.O_PATH poll", k);
	close(q);
}

/* openat2: as openat, and with more to say of the way. */
static long open2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return opened(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}

static void ask_openat2(const char *node, const char *k)
{
	struct open_how how = { .flags = O_RDWR };
	struct {
		struct open_how how;
		uint64_t more;
	} large = { .how.flags = O_RDWR };
	const char *name = strrchr(node, '/') + 1;
	int dir = open("/dev/vfio", O_PATH | O_DIRECTORY);

	ASK(open2(AT_FDCWD, node, O_RDWR, 0), "files.%s.openat2", k);
	ASK(open2(AT_FDCWD, node, O_RDWR | O_CLOEXEC, 0), "files.%s.openat2 CLOEXEC", k);
	ASK(open2(AT_FDCWD, node, O_PATH, 0), "files.%s.openat2 O_PATH", k);
	ASK(open2(AT_FDCWD, node, O_RDWR | O_DIRECTORY, 0), "files.%s.openat2 O_DIRECTORY", k);
	ASK(open2(AT_FDCWD, node, O_RDWR, RESOLVE_NO_SYMLINKS), "files.%s.openat2 NO_SYMLINKS", k);
	ASK(open2(AT_FDCWD, node, O_RDWR, RESOLVE_NO_MAGICLINKS), "files.%s.openat2 NO_MAGICLINKS",
	    k);
	ASK(open2(AT_FDCWD, node, O_RDWR, RESOLVE_BENEATH),
	    "files.%s.openat2 BENEATH from the root", k);
	ASK(open2(dir, name, O_RDWR, RESOLVE_BENEATH), "files.%s.openat2 BENEATH", k);
	ASK(open2(dir, name, O_RDWR, RESOLVE_IN_ROOT), "files.%s.openat2 IN_ROOT", k);
	ASK(open2(dir, name, O_RDWR, RESOLVE_NO_XDEV), "files.%s.openat2 NO_XDEV", k);
	ASK(open2(dir, name, O_RDWR, RESOLVE_BENEATH | RESOLVE_IN_ROOT),
	    "files.%s.openat2 BENEATH and IN_ROOT", k);
	ASK(open2(dir, "../vfio/vfio", O_PATH, RESOLVE_BENEATH), "files.%s.openat2 BENEATH up", k);
	ASK(open2(AT_FDCWD, node, O_RDWR, 1u << 20), "files.%s.openat2 unknown resolve", k);
	ASK(open2(AT_FDCWD, node, O_RDWR | 1ull << 40, 0), "files.%s.openat2 unknown flag", k);
	ASK(open2(AT_FDCWD, node, O_PATH | O_APPEND, 0), "files.%s.openat2 O_PATH and another", k);
	how.mode = 0600;
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, &how, sizeof(how))),
	    "files.%s.openat2 mode without O_CREAT", k);
	how.mode = 0;
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, &how, 8)), "files.%s.openat2 too small", k);
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, NOWHERE, sizeof(how))),
	    "files.%s.openat2 nowhere", k);
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, &large, sizeof(large))),
	    "files.%s.openat2 larger", k);
	large.more = 1;
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, &large, sizeof(large))),
	    "files.%s.openat2 more", k);
	ASK(opened(syscall(SYS_openat2, AT_FDCWD, node, &large, 8192)), "files.%s.openat2 endless",
	    k);
	close(dir);
}

static void ask_node(const char *node, const char *k)
{
	static const struct {
		const char *name;
		int flags;
	} ways[] = {
		{ "O_DIRECT", O_RDWR | O_DIRECT },
		{ "O_APPEND", O_RDWR | O_APPEND },
		{ "O_TRUNC", O_RDWR | O_TRUNC },
		{ "O_CREAT", O_RDWR | O_CREAT },
		{ "O_EXCL", O_RDWR | O_CREAT | O_EXCL },
		{ "O_NOFOLLOW", O_RDWR | O_NOFOLLOW },
		{ "O_TMPFILE", O_RDWR | O_TMPFILE },
		{ "O_NOATIME", O_RDWR | O_NOATIME },
		{ "O_ASYNC", O_RDWR | O_ASYNC },
		{ "O_DIRECTORY", O_RDWR | O_DIRECTORY },
		{ "O_PATH", O_PATH },
		{ "O_SYNC", O_RDWR | O_SYNC },
		{ "access mode 3", O_ACCMODE },
	};
	struct stat st;

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		int fd = open(node, ways[i].flags, 0600), fl;

		saw(fd < 0 ? -1 : 0, "files.%s.node %s", k, ways[i].name);
		if (fd < 0)
			continue;
		fl = fcntl(fd, F_GETFL);
		saw_hex((unsigned long)fl & ~0100000ul, "files.%s.node %s GETFL", k, ways[i].name);
		ASK(ioctl(fd, VFIO_GET_API_VERSION), "files.%s.node %s ioctl", k, ways[i].name);
		MUST(fstat(fd, &st) == 0);
		saw_hex(st.st_mode & S_IFMT, "files.%s.node %s type", k, ways[i].name);
		close(fd);
	}
	ASK(truncate(node, 0), "files.%s.node truncate", k);
	for (int mode = O_RDONLY; mode <= O_ACCMODE; mode++) {
		struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		char b[4] = { 0 };
		int fd = open(node, mode), p[2];

		MUST(fd >= 0 && pipe(p) == 0 && write(p[1], b, 4) == 4);
		ASK(read(fd, b, 4), "files.%s.mode %d read", k, mode);
		ASK(write(fd, b, 4), "files.%s.mode %d write", k, mode);
		ASK(pread(fd, b, 4, 0), "files.%s.mode %d pread", k, mode);
		ASK(writev(fd, NULL, 0), "files.%s.mode %d writev", k, mode);
		ASK(fallocate(fd, 0, 0, 1), "files.%s.mode %d fallocate", k, mode);
		ASK(readahead(fd, 0, 1), "files.%s.mode %d readahead", k, mode);
		ASK(sendfile(p[1], fd, NULL, 1), "files.%s.mode %d sendfile", k, mode);
		ASK(splice(p[0], NULL, fd, NULL, 1, 0), "files.%s.mode %d splice", k, mode);
		ASK(copy_file_range(fd, NULL, fd, NULL, 1, 0), "files.%s.mode %d copy_file_range",
		    k, mode);
		ASK(flock(fd, LOCK_SH | LOCK_NB), "files.%s.mode %d flock", k, mode);
		ASK(fcntl(fd, F_SETLK, &lk), "files.%s.mode %d WRLCK", k, mode);
		lk.l_type = F_RDLCK;
		ASK(fcntl(fd, F_SETLK, &lk), "files.%s.mode %d RDLCK", k, mode);
		ASK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0,
		    "files.%s.mode %d mmap", k, mode);
		ASK(ftruncate(fd, 0), "files.%s.mode %d ftruncate", k, mode);
		close(fd);
		close(p[0]);
		close(p[1]);
	}
	ask_openat2(node, k);
}

/* SIGIO of nothing must not end us, nor an alarm of SETOWN */
/* Locks are the inode's: of two files of the node, in one process and between two. */
static void ask_locks(void)
{
	struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int a = open("/dev/vfio/vfio", O_RDWR), b = open("/dev/vfio/vfio", O_RDWR), st;
	pid_t pid;

	MUST(a >= 0 && b >= 0);
	ASK(flock(a, LOCK_EX | LOCK_NB), "files.locks.flock a");
	ASK(flock(b, LOCK_EX | LOCK_NB), "files.locks.flock b");
	ASK(flock(dup(a), LOCK_UN), "files.locks.flock dup of a");
	ASK(flock(b, LOCK_EX | LOCK_NB), "files.locks.flock b again");
	close(b);
	ASK(flock(a, LOCK_EX | LOCK_NB), "files.locks.flock a after b was closed");
	ASK(fcntl(a, F_SETLK, &lk), "files.locks.SETLK a");
	MUST((pid = fork()) >= 0);
	if (!pid) {
		int c = open("/dev/vfio/vfio", O_RDWR);

		ASK(fcntl(c, F_SETLK, &lk), "files.locks.SETLK in another process");
		ASK(flock(c, LOCK_EX | LOCK_NB), "files.locks.flock in another process");
		ASK(fcntl(c, F_GETLK, &lk) ? -1 : lk.l_pid == getppid(),
		    "files.locks.GETLK in another process");
		_exit(0);
	}
	waitpid(pid, &st, 0);
	close(a);
}

void test_files(void)
{
	struct setup s;
	int c, d;

	signal(SIGIO, SIG_IGN);
	ask_node("/dev/vfio/vfio", "container");
	ask_node(edu.group, "group");
	MUST((c = open("/dev/vfio/vfio", O_RDWR)) >= 0);
	ask_ioctl(c, "fresh container");
	close(c);
	ask_locks();
	s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	d = open_device(&s, &edu);
	for (int i = 0; i < 3; i++) {
		static const char *const kinds[] = { "container", "group", "device" };
		int fd = i == 0 ? s.container : i == 1 ? s.group : d;

		ask_read_write(fd, kinds[i]);
		ask_seek(fd, kinds[i]);
		ask_size(fd, kinds[i]);
		ask_fcntl(fd, kinds[i]);
		ask_ioctl(fd, kinds[i]);
		ask_ready(fd, kinds[i]);
		ask_inode(fd, kinds[i], i == 0 ? "/dev/vfio/vfio" : i == 1 ? edu.group : NULL);
		ask_others(fd, kinds[i]);
		ask_link(fd, kinds[i]);
	}
}
