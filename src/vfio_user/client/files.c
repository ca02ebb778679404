/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/files.c: the files of the program's memory, for a server that is told of them
 * again: one descriptor for each, however many pieces are of it. A program that closed its own, or
 * that has no number left, has the memory still (base/fd_room.c).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "vfio_user/client/internal.h"

struct vu_kept_file {
	struct vu_kept_file *next; /* vu_dma.files */
	unsigned users;
	int fd;
	dev_t dev;
	ino_t ino;
	int mode; /* O_ACCMODE */
};

int vu_kept_file_get(struct vu_dma *d, int fd, struct vu_kept_file **out)
{
	long mode = sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0), rc;
	struct vu_kept_file *f;
	struct stat st;

	rc = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (sys_failed(mode) || sys_failed(rc))
		return (int)(sys_failed(mode) ? mode : rc);
	mode &= O_ACCMODE;
	for (f = d->files; f; f = f->next)
		if (f->dev == st.st_dev && f->ino == st.st_ino && f->mode == mode)
			break;
	if (!f) {
		f = heap_alloc(sizeof(*f));
		if (!f)
			return -ENOMEM;
		*f = (struct vu_kept_file){ .fd = fd_dup_private(fd),
					    .dev = st.st_dev,
					    .ino = st.st_ino,
					    .mode = (int)mode,
					    .next = d->files };
		rc = f->fd;
		if (rc < 0) {
			heap_free(f);
			return (int)rc;
		}
		d->files = f;
	}
	f->users++;
	*out = f;
	return 0;
}

void vu_kept_file_put(struct vu_dma *d, struct vu_kept_file *f)
{
	struct vu_kept_file **at = &d->files;

	if (!f || --f->users)
		return;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	fd_close_private(f->fd);
	heap_free(f);
}

int vu_kept_file_fd(const struct vu_kept_file *f)
{
	return f->fd;
}
