/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/backend.c: a namespace is an image file. Opening and locking it, moving data without
 * sleeping where the file system can (RWF_NOWAIT), and the same operations for those who may sleep:
 * io_uring entries and plain system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "models/nvme/internal.h"

#define LOCK_WAIT 500 /* ms */

/* Set or give up the lock of @fd: 0 or -errno. */
static int set_lock(int fd, short type)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &fl) ? -errno : 0;
}

/*
 * Lock @fd. A process that was killed is gone, and what its io_uring had in the kernel is not yet:
 * its lock stays for some milliseconds.
 */
static int wait_lock(int fd, short type)
{
	int err = set_lock(fd, type);

	for (int ms = 0; (err == -EAGAIN || err == -EACCES) && ms < LOCK_WAIT; ms++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		err = set_lock(fd, type);
	}
	return err;
}

/*
 * One controller at a time writes an image. The lock belongs to the open file description: it goes
 * when the process is killed, and two devices of one process exclude each other too.
 */
static int lock_image(struct uvfio_dev *dev, int fd, const char *path, bool readonly)
{
	int err = wait_lock(fd, readonly ? F_RDLCK : F_WRLCK);

	switch (err) {
	case 0:
		return 0;
	case -EAGAIN:
	case -EACCES:
		uvfio_error(dev,
			    "image %s: already in use by another process or another device%s; "
			    "close that, or open it with readonly=on on both sides",
			    path, readonly ? " that writes it" : "");
		return -EBUSY;
	case -ENOLCK:
	case -EOPNOTSUPP:
	case -ENOSYS:
	case -EINVAL:
		uvfio_log(dev, UVFIO_LOG_WARN,
			  "image %s: its file system has no locks (%s); nothing keeps others from "
			  "writing it",
			  path, strerror(-err));
		return 0;
	default:
		uvfio_error(dev, "image %s: cannot be locked: %s", path, strerror(-err));
		return -EIO;
	}
}

int nvme_ns_take(struct nvme *n, struct nvme_ns *ns, bool other)
{
	int err;

	if (ns->taken)
		return 0;
	err = lock_image(n->dev, ns->fd, uvfio_opt_string(n->dev, "image", ns->nsid - 1),
			 ns->readonly);
	if (err)
		return err;
	ns->taken = true;
	if (other) /* what this machine has of it in memory is old */
		posix_fadvise(ns->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

void nvme_ns_release(struct nvme_ns *ns)
{
	if (ns->taken)
		set_lock(ns->fd, F_UNLCK);
	ns->taken = false;
}

static int image_size(struct uvfio_dev *dev, int fd, const char *path, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st)) {
		uvfio_error(dev, "image %s: %s", path, strerror(errno));
		return -EIO;
	}
	if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode) && !ioctl(fd, BLKGETSIZE64, size))
		return 0;
	return uvfio_error(dev, "image %s: neither a file nor a block device", path);
}

static void find_abilities(struct nvme_ns *ns)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct statfs fs;
	struct stat st;

	ns->regular = !fstat(ns->fd, &st) && S_ISREG(st.st_mode);
	atomic_store(&ns->linked, ns->regular && st.st_nlink);
	ns->memory =
		!fstatfs(ns->fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	/*
	 * Asked of the file itself: the answer differs between file systems and kernels. Writes are
	 * found out by the first one.
	 */
	atomic_store(&ns->nowait_read,
		     preadv2(ns->fd, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN);
	atomic_store(&ns->nowait_write, true);
	atomic_store(&ns->punch, true);
	atomic_store(&ns->zero_range, true);
}

int nvme_ns_open(struct uvfio_dev *dev, struct nvme_ns *ns, uint32_t nsid, const char *path,
		 unsigned blocksize, bool readonly, bool incoming)
{
	uint64_t size;
	int fd, err;

	fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		if (err == -ENOENT)
			uvfio_error(dev,
				    "image %s: no such file; make one with `truncate -s 1G %s`",
				    path, path);
		else if ((err == -EACCES || err == -EROFS || err == -EPERM) && !readonly)
			uvfio_error(dev,
				    "image %s: no permission to write it (%s); readonly=on needs "
				    "to read it only",
				    path, strerror(-err));
		else
			uvfio_error(dev, "image %s: %s", path, strerror(-err));
		return err;
	}
	err = image_size(dev, fd, path, &size);
	if (err)
		goto fail;
	if (!size) {
		err = uvfio_error(dev, "image %s: empty; give it a size with `truncate -s 1G %s`",
				  path, path);
		goto fail;
	}
	if (size % blocksize) {
		err = uvfio_error(dev, "image %s: %llu bytes are no multiple of the block size, %u",
				  path, (unsigned long long)size, blocksize);
		goto fail;
	}
	err = incoming ? 0 : lock_image(dev, fd, path, readonly);
	if (err)
		goto fail;
	err = uvfio_fd_keep(dev, fd);
	if (err < 0) {
		uvfio_error(dev, "image %s: no descriptor: %s", path, strerror(-err));
		goto fail;
	}
	ns->nsid = nsid;
	ns->fd = err;
	ns->shift = blocksize == 4096 ? 12 : 9;
	ns->blocks = size >> ns->shift;
	ns->readonly = readonly;
	ns->taken = !incoming;
	find_abilities(ns);
	return 0;
fail:
	close(fd);
	return err;
}

void nvme_ns_close(struct uvfio_dev *dev, struct nvme_ns *ns)
{
	nvme_cache_free(ns);
	uvfio_fd_close(dev, ns->fd);
	ns->fd = -1;
}

static void advance(struct iovec **iov, int *n, size_t done)
{
	while (*n && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		++*iov;
		--*n;
	}
	if (done) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

int nvme_ns_try(struct nvme_ns *ns, bool write, struct iovec *iov, int n, uint64_t off,
		uint64_t len)
{
	atomic_bool *nowait = write ? &ns->nowait_write : &ns->nowait_read;
	int flags = ns->memory ? 0 : RWF_NOWAIT;
	ssize_t r;

	if (!flags && n == 1) { /* the plain call has the shortest way through the kernel */
		r = write ? pwrite(ns->fd, iov->iov_base, len, (off_t)off)
			  : pread(ns->fd, iov->iov_base, len, (off_t)off);
		return r == (ssize_t)len ? 0 : -EAGAIN;
	}
	if (flags && !atomic_load_explicit(nowait, memory_order_relaxed))
		return -EAGAIN;
	while (len) {
		if (write)
			r = pwritev2(ns->fd, iov, n, (off_t)off, flags);
		else
			r = preadv2(ns->fd, iov, n, (off_t)off, flags);
		if (r <= 0) {
			if (r < 0 && errno == EOPNOTSUPP && flags) {
				atomic_store(nowait, false);
				return -EAGAIN;
			}
			if (r < 0 && errno == EINTR)
				continue;
			/* the long way finds out why, and reports it */
			return -EAGAIN;
		}
		len -= (uint64_t)r;
		off += (uint64_t)r;
		if (len)
			advance(&iov, &n, (size_t)r);
	}
	return 0;
}

uint16_t nvme_write_status(long err)
{
	return err == -ENOSPC || err == -EDQUOT ? NVME_CAPACITY_EXCEEDED : NVME_WRITE_FAULT;
}

long nvme_aio_run(const struct nvme_aio *aio)
{
	long r;

	switch (aio->op) {
	case NVME_AIO_READ:
		r = preadv2(aio->fd, &aio->iov, 1, (off_t)aio->off, 0);
		break;
	case NVME_AIO_WRITE:
		r = pwritev2(aio->fd, &aio->iov, 1, (off_t)aio->off, 0);
		break;
	case NVME_AIO_SYNC:
		r = fdatasync(aio->fd);
		break;
	case NVME_AIO_FALLOCATE:
		r = fallocate(aio->fd, aio->mode, (off_t)aio->off, (off_t)aio->len);
		break;
	default:
		return -EINVAL;
	}
	return r < 0 ? -errno : r;
}

void nvme_aio_prep(struct io_uring_sqe *sqe, struct nvme_aio *aio)
{
	switch (aio->op) {
	case NVME_AIO_READ:
		io_uring_prep_readv(sqe, aio->fd, &aio->iov, 1, aio->off);
		break;
	case NVME_AIO_WRITE:
		io_uring_prep_writev(sqe, aio->fd, &aio->iov, 1, aio->off);
		break;
	case NVME_AIO_SYNC:
		io_uring_prep_fsync(sqe, aio->fd, IORING_FSYNC_DATASYNC);
		break;
	case NVME_AIO_FALLOCATE:
		io_uring_prep_fallocate(sqe, aio->fd, aio->mode, (off_t)aio->off, (off_t)aio->len);
		break;
	}
}

static unsigned bounce_class(size_t len)
{
	unsigned c = 0;

	while ((size_t)NVME_PAGE_MIN << c < len)
		c++;
	return c;
}

void *nvme_bounce_get(struct nvme *n, size_t len, size_t *size)
{
	unsigned c = bounce_class(len);
	void *p = NULL;

	pthread_mutex_lock(&n->bounce.lock);
	if (n->bounce.count[c])
		p = n->bounce.free[c][--n->bounce.count[c]];
	pthread_mutex_unlock(&n->bounce.lock);
	*size = (size_t)NVME_PAGE_MIN << c;
	return p ? p : aligned_alloc(NVME_PAGE_MIN, *size);
}

void nvme_bounce_put(struct nvme *n, void *p, size_t size)
{
	unsigned c;

	if (!p)
		return;
	c = bounce_class(size);
	pthread_mutex_lock(&n->bounce.lock);
	if (n->bounce.count[c] < NVME_BOUNCE_KEEP) {
		n->bounce.free[c][n->bounce.count[c]++] = p;
		p = NULL;
	}
	pthread_mutex_unlock(&n->bounce.lock);
	free(p);
}
