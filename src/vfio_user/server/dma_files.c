/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/dma_files.c: files of the client's with its memory, mapped in this process. A
 * client may have a million parts of few files mapped; a process can have 65530 mappings. So a file
 * is known by its inode, mapped as a whole, and its parts share that. If it grows there is one more
 * mapping, which begins with twice its size, so there are few of them, too.
 *
 * Files that are read and written instead (a process's memory) have a descriptor each.
 *
 * A mapping may reach behind the end of its file, and a client may cut its file off: memory that is
 * not there is a fault of the device that meets it (base/guard.h).
 */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "vfio_user/server/internal.h"

/* So many mappings and files a client can have: far fewer than a process (vm.max_map_count). */
#define MAX_VIEWS 16384u
/* A file is mapped as a whole up to this size; of a larger one, so much around each part is. */
#define MAX_WHOLE (1ull << 40)

struct dma_file {
	struct itree_node node; /* of the client's, by inode */
	dev_t dev;
	int fd;
	bool writable;
	uint64_t unit; /* of a mapping: the size of its pages */
	struct cds_list_head views;
	/* of one that is read and written instead: */
	struct iommu_target *target;
	uint64_t users;
};
/* [@start, @end) of a file, mapped. */
struct dma_view {
	struct dma_file *file;
	struct cds_list_head node;
	uint64_t start, end, users;
	uint8_t *mem;
};

static struct dma_file *of_node(struct itree_node *n)
{
	return n ? container_of_type(n, struct dma_file, node) : NULL;
}

/* Return the file @st that can be written (@write), or at least read; NULL: it is not there. */
static struct dma_file *find(struct vu_server_client *c, const struct stat *st, bool write)
{
	struct dma_file *f = of_node(itree_first(&c->files, st->st_ino, st->st_ino));

	for (; f; f = of_node(itree_next(&f->node, st->st_ino, st->st_ino)))
		if (!f->target && f->dev == st->st_dev && (f->writable || !write))
			return f;
	return NULL;
}

/*
 * Return the file of the same open() as @fd: another one of a process's memory may be that of
 * another program. NULL: it is not there, or that cannot be said.
 */
static struct dma_file *find_direct(struct vu_server_client *c, const struct stat *st, int fd)
{
	struct dma_file *f = of_node(itree_first(&c->files, st->st_ino, st->st_ino));
	long self = getpid();

	for (; f; f = of_node(itree_next(&f->node, st->st_ino, st->st_ino)))
		if (f->target && f->dev == st->st_dev &&
		    !sys_call(SYS_kcmp, self, self, KCMP_FILE, f->fd, fd, 0))
			return f;
	return NULL;
}

/* True if @fd is of FUSE: its owner may keep whoever touches it waiting for ever. */
static bool is_fuse(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type == FUSE_SUPER_MAGIC;
}

/*
 * Make the file that @fd, which is taken over, is of. 0; -EINVAL: a file of FUSE is none; -ENOSPC,
 * -ENOMEM, -EMFILE.
 */
static int add(struct vu_server_client *c, int fd, const struct stat *st, struct dma_file **out)
{
	uint32_t most = c->s->cfg.limits.max_files;
	struct dma_file *f = NULL;
	int own = -EINVAL;

	if (is_fuse(fd))
		goto close;
	own = -ENOSPC;
	if (c->num_files >= most) {
		vu_limit_reached(c, "files", most);
		goto close;
	}
	own = -ENOMEM;
	f = calloc(1, sizeof(*f));
	if (!f)
		goto close;
	own = fd_make_private(fd);
	if (own < 0)
		goto close;
	f->node.start = f->node.last = st->st_ino;
	f->dev = st->st_dev;
	f->fd = own;
	f->unit = PAGE_SIZE_4K;
	/* of hugetlbfs: its pages */
	if ((uint64_t)st->st_blksize > PAGE_SIZE_4K && is_pow2((uint64_t)st->st_blksize))
		f->unit = (uint64_t)st->st_blksize;
	CDS_INIT_LIST_HEAD(&f->views);
	itree_insert(&c->files, &f->node);
	c->num_files++;
	*out = f;
	return 0;
close:
	sys_close(fd);
	free(f);
	return own;
}

static void put_unused(struct vu_server_client *c, struct dma_file *f)
{
	if (!cds_list_empty(&f->views) || f->users)
		return;
	itree_remove(&c->files, &f->node);
	c->num_files--;
	iommu_target_put(f->target);
	fd_close_private(f->fd);
	free(f);
}

static int map_view(struct dma_view *v)
{
	struct dma_file *f = v->file;
	void *p;

	/* NORESERVE: huge pages that nobody touches are not set aside */
	p = mmap(NULL, v->end - v->start, PROT_READ | (f->writable ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_NORESERVE, f->fd, (off_t)v->start);
	if (p == MAP_FAILED)
		return -errno;
	/* a child that the program forks has no business with it */
	madvise(p, v->end - v->start, MADV_DONTFORK);
	v->mem = p;
	return 0;
}

/* Choose how much of a file of @size bytes to map for [@offset, @offset + @len). */
static void choose(struct dma_view *v, uint64_t size, uint64_t offset, uint64_t len)
{
	uint64_t unit = v->file->unit;

	if (size <= MAX_WHOLE) {
		/* files of huge pages would grow by being mapped */
		if (unit == PAGE_SIZE_4K)
			size = align_up(2 * size, HUGE_2M);
		v->start = 0;
		v->end = align_up(size, unit);
	} else {
		v->start = align_down(offset, HUGE_1G);
		v->end = align_up(offset + len, HUGE_1G);
	}
}

/* Map @v, or if there is no room for it, no more of it than is asked for. */
static int map_some(struct vu_server_client *c, struct dma_view *v, uint64_t offset, uint64_t len)
{
	uint64_t most = c->s->cfg.limits.max_mapped;
	struct dma_file *f = v->file;
	int ret = v->end - v->start <= most - c->mapped ? map_view(v) : -ENOMEM;

	if (ret == -EPERM && f->writable && cds_list_empty(&f->views)) {
		/* sealed against writing */
		f->writable = false;
		ret = map_view(v);
	}
	if (ret != -ENOMEM)
		return ret;
	v->start = align_down(offset, f->unit);
	v->end = align_up(offset + len, f->unit);
	if (v->end - v->start > most - c->mapped)
		return vu_limit_reached(c, "memory", most);
	return map_view(v);
}

static int add_view(struct vu_server_client *c, struct dma_file *f, uint64_t size, uint64_t offset,
		    uint64_t len, struct dma_view **out)
{
	struct dma_view *v;
	int ret;

	if (c->num_views >= MAX_VIEWS)
		return -ENOSPC;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->file = f;
	choose(v, size, offset, len);
	ret = map_some(c, v, offset, len);
	if (ret) {
		free(v);
		/* sealed since it was mapped; or no file of memory at all */
		return ret == -EPERM ? -EACCES : ret == -ENODEV ? -EINVAL : ret;
	}
	cds_list_add(&v->node, &f->views);
	c->num_views++;
	c->mapped += v->end - v->start;
	*out = v;
	return 0;
}

static struct dma_view *find_view(struct dma_file *f, uint64_t offset, uint64_t len)
{
	struct dma_view *v;

	cds_list_for_each_entry(v, &f->views, node)
		if (offset >= v->start && offset + len <= v->end)
			return v;
	return NULL;
}

/* Check that @fd is a file, and open for @prot. 0; -EINVAL; -EACCES. */
static int check(int fd, unsigned prot, struct stat *st, bool *writable)
{
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, st) || !S_ISREG(st->st_mode))
		return -EINVAL;
	if (flags < 0 || flags & O_PATH)
		return -EACCES;
	*writable = (flags & O_ACCMODE) != O_RDONLY;
	if ((prot & IOMMU_WRITE && !*writable) ||
	    (prot & IOMMU_READ && (flags & O_ACCMODE) == O_WRONLY))
		return -EACCES;
	return 0;
}

void vu_file_put(struct vu_server_client *c, struct dma_view *v)
{
	struct dma_file *f = v->file;

	if (--v->users)
		return;
	munmap(v->mem, v->end - v->start);
	c->mapped -= v->end - v->start;
	cds_list_del(&v->node);
	c->num_views--;
	free(v);
	put_unused(c, f);
}

/* Find the file of @fd, which is taken over, or make it known. */
static int take(struct vu_server_client *c, int fd, uint64_t offset, uint64_t len, bool write,
		struct stat *st, struct dma_file **out)
{
	bool writable;
	/* to be mapped it must be read */
	int ret = check(fd, IOMMU_READ | (write ? IOMMU_WRITE : 0), st, &writable);

	/* the last page may be a part of one */
	if (!ret && !range_within(offset, len, align_up((uint64_t)st->st_size, PAGE_SIZE_4K)))
		ret = -EINVAL;
	*out = ret ? NULL : find(c, st, write);
	if (ret || *out) {
		sys_close(fd);
		return ret;
	}
	ret = add(c, fd, st, out);
	if (!ret)
		(*out)->writable = writable;
	return ret;
}

int vu_file_map(struct vu_server_client *c, int fd, uint64_t offset, uint64_t len, bool write,
		struct dma_place *out)
{
	struct dma_file *f;
	struct dma_view *v;
	struct stat st;
	int ret = take(c, fd, offset, len, write, &st, &f);

	if (ret)
		return ret;
	v = find_view(f, offset, len);
	if (!v)
		ret = add_view(c, f, (uint64_t)st.st_size, offset, len, &v);
	if (ret) {
		put_unused(c, f);
		return ret;
	}
	v->users++;
	if (write && !f->writable) {
		vu_file_put(c, v);
		return -EACCES;
	}
	*out = (struct dma_place){ .mem = v->mem + (offset - v->start), .fd = f->fd, .view = v };
	return 0;
}

/* ---- files that are read and written ---- */

void vu_file_direct_put(struct vu_server_client *c, struct dma_file *f)
{
	f->users--;
	put_unused(c, f);
}

int vu_file_direct(struct vu_server_client *c, int fd, unsigned prot, struct dma_file **out,
		   struct iommu_target **target)
{
	struct dma_file *f = NULL;
	struct stat st;
	bool writable;
	int ret = check(fd, prot, &st, &writable);

	if (!ret)
		f = find_direct(c, &st, fd);
	if (ret || f) {
		sys_close(fd);
	} else {
		ret = add(c, fd, &st, &f);
		if (!ret)
			f->target = iommu_target_new_file(c->name, f->fd, false);
	}
	if (ret)
		return ret;
	if (!f->target) {
		put_unused(c, f);
		return -ENOMEM;
	}
	f->users++;
	*out = f;
	*target = f->target;
	return 0;
}
