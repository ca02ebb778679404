/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/keep_file.c: files of which devices have pages, mapped for DMA, and which the program makes
 * shorter, or makes holes in. The kernel's devices keep the pages that were pinned, which the file
 * has no more; here they get a copy.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/maps.h"
#include "shim/keep.h"
#include "shim/mem.h"
#include "shim/scope.h"
#include "vfio/aside.h"

/*
 * The machine, if devices have any memory at all: other views of a file may be those that were
 * mapped for DMA.
 */
static struct machine *with_mappings(void)
{
	return keep_near_device(NULL, UINT64_MAX);
}

/*
 * Whole pages that a file loses: in their place it has others, or none, and so has every mapping of
 * it. A device goes on with those that were there, so it gets a copy: no other mapping shows them
 * any more.
 */
struct file_loss {
	struct vfio_system *system;
	dev_t dev;
	ino_t ino;
	uint64_t from, to;
	bool private; /* pages that private mappings have for themselves, too */
};

static bool lose_of_file(const char *line, void *arg)
{
	unsigned long long start, end, off, inode, from, to;
	struct file_loss *f = arg;
	unsigned major, minor;
	char shared;
	void *at;

	if (sscanf(line, "%llx-%llx %*3c%c %llx %x:%x %llu", &start, &end, &shared, &off, &major,
		   &minor, &inode) != 7)
		return true;
	if (inode != f->ino || major != major(f->dev) || minor != minor(f->dev) ||
	    (shared == 'p' && !f->private))
		return true;
	from = off > f->from ? off : f->from;
	to = off + (end - start) < f->to ? off + (end - start) : f->to;
	if (from >= to)
		return true;
	at = (void *)(uintptr_t)(start + (from - off));
	shim_v3_goes(at, to - from, "a file that was cut");
	vfio_preserve_pages(f->system, at, to - from, keep_copy, NULL);
	/* or the view is ours */
	vfio_preserve_asides(f->system, at, to - from, keep_copy, NULL);
	return true;
}

static long lose_file(void *arg)
{
	struct file_loss *f = arg;
	int rc = maps_each(lose_of_file, f);

	if (rc)
		report_warn("proc-missing", SHIM_WHO, rc,
			    "no /proc/self/maps (%m): pages that a file loses are lost to devices "
			    "as well");
	return 0;
}

/*
 * Fill in @f for all of the file @fd, which may be O_PATH. False: no device can have pages of it.
 */
static bool file_loss_of(struct file_loss *f, int fd, struct stat *st)
{
	struct machine *m = with_mappings();

	if (!m || sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0) || !S_ISREG(st->st_mode))
		return false;
	*f = (struct file_loss){ machine_system(m),	    st->st_dev, st->st_ino, 0,
				 UINT64_MAX - PAGE_SIZE_4K, true };
	return true;
}

/* True if @fd is open for writing, and the file is not sealed against it. */
static bool can_write(int fd, int seals)
{
	long mode = sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0),
	     has = sys_call(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);

	return mode >= 0 && (mode & O_ACCMODE) != O_RDONLY && !(mode & O_PATH) &&
	       (has < 0 || !(has & seals));
}

static void keep_end(int fd, off_t len)
{
	struct file_loss f;
	struct stat st;

	if (len < 0 || !file_loss_of(&f, fd, &st) || len >= st.st_size)
		return;
	f.from = align_up((uint64_t)len, PAGE_SIZE_4K);
	shim_run(lose_file, &f);
}

void shim_keep_ftruncate(int fd, off_t len)
{
	if (with_mappings() && can_write(fd, F_SEAL_SHRINK))
		keep_end(fd, len);
}

void shim_keep_truncate(const char *path, off_t len)
{
	int fd;

	if (!with_mappings() ||
	    sys_call(SYS_faccessat2, AT_FDCWD, (long)path, W_OK, AT_EACCESS, 0, 0))
		return;
	fd = sys_open(path, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	keep_end(fd, len);
	sys_close(fd);
}

/* True if the file takes such a hole. That is tried far behind its end, where there is nothing. */
static bool takes_hole(int fd, int mode, off_t end)
{
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return false;
	return !sys_call(SYS_fallocate, fd, mode | FALLOC_FL_KEEP_SIZE,
			 (long)align_up((uint64_t)end, HUGE_2M) + (1l << 40), 4096, 0, 0);
}

void shim_keep_fallocate(int fd, int mode, off_t pos, off_t len)
{
	struct file_loss f;
	struct stat st;

	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) || pos < 0 || len <= 0 ||
	    !file_loss_of(&f, fd, &st))
		return;
	if (!can_write(fd, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) || !takes_hole(fd, mode, st.st_size))
		return;
	f.from = align_up((uint64_t)pos, PAGE_SIZE_4K);
	f.to = align_down((uint64_t)pos + (uint64_t)len, PAGE_SIZE_4K);
	f.private = false;
	shim_run(lose_file, &f);
}

/*
 * Keep what MADV_REMOVE takes from one mapping in [addr, addr + len): it makes holes in the files
 * of one mapping after the other, each of which must be shared, and of a file that takes holes.
 */
static bool remove_part(const char *line, void *arg)
{
	unsigned long long start, end, off, inode, from, to;
	unsigned major, minor;
	struct loss *l = arg;
	struct file_loss f;
	char shared;

	if (sscanf(line, "%llx-%llx %*3c%c %llx %x:%x %llu", &start, &end, &shared, &off, &major,
		   &minor, &inode) != 7 ||
	    end <= (uint64_t)l->addr)
		return true;
	if (start >= (uint64_t)l->addr + l->len || shared != 's' || !inode)
		return false;
	from = start > (uint64_t)l->addr ? start : (uint64_t)l->addr;
	to = end < (uint64_t)l->addr + l->len ? end : (uint64_t)l->addr + l->len;
	f = (struct file_loss){
		l->system, makedev(major, minor), inode, off + (from - start), off + (to - start),
		false
	};
	lose_file(&f);
	return true;
}

static long keep_removed(void *arg)
{
	struct loss *l = arg;

	/* it is refused for what is locked, as this is */
	if (sys_call(SYS_madvise, (long)l->addr, (long)l->len, MADV_COLD, 0, 0, 0) != -EINVAL)
		maps_each(remove_part, l);
	return 0;
}

void shim_keep_removal(void *addr, size_t len)
{
	struct machine *m = with_mappings();
	struct loss l = { m ? machine_system(m) : NULL, addr, align_up(len, PAGE_SIZE_4K), false };

	if (m && len && !((uint64_t)addr % PAGE_SIZE_4K) &&
	    !add_overflows((uint64_t)addr, len + PAGE_SIZE_4K))
		shim_run(keep_removed, &l);
}
