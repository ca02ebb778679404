/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/dma.c: what the server reaches of the program's memory: each mapping of the
 * address space, as one message or several. There are three ways, the best first:
 *
 *  - memory that is a file's, by a descriptor of it, which the server maps;
 *  - private memory, by a descriptor of the program's address space (/proc/self/mem), which the
 *    server reads and writes as a file, if it can;
 *  - messages: the server asks us for each access (commands.c). So it is for registers of another
 *    device, and for memory that the program took away since, of which only our own tables know
 *    where it is.
 *
 * A piece is what one message mapped, and one unmaps. The server's answer to an unmap is its word
 * that it does not use the memory any more.
 */
#include <fcntl.h>
#include <inttypes.h>

#include "iommu/domain.h"
#include "vfio_user/client/internal.h"

enum how { BY_MMAP, BY_FILE, BY_MESSAGES };

struct piece {
	struct itree_node node; /* IOVAs; in vu_dma.pieces while the server has it */
	unsigned prot;
	enum how how;
	uint64_t offset; /* in what it is of: the file, or our address space */
	/* of a device that outlives its server, BY_MMAP: to be sent again; else NULL */
	struct vu_kept_file *file;
};

static struct vu_client *of(struct vfio_ioas_listener *l)
{
	return container_of_type(l, struct vu_client, dma.listener);
}

static struct piece *of_node(struct itree_node *n)
{
	return n ? container_of_type(n, struct piece, node) : NULL;
}

/* ---- messages ---- */

/* What of the pieces a message changes, when it was carried out. */
struct change {
	struct vu_dma *d;
	struct piece *p;
};

static void insert(void *arg, int rc)
{
	struct change *ch = arg;

	if (rc)
		return;
	itree_insert(&ch->d->pieces, &ch->p->node);
	atomic_fetch_add(&ch->d->num_pieces, 1);
}

static void remove_any(void *arg, int rc)
{
	struct change *ch = arg;

	itree_remove(&ch->d->pieces, &ch->p->node);
	atomic_fetch_sub(&ch->d->num_pieces, 1);
}

static void remove_done(void *arg, int rc)
{
	if (!rc)
		remove_any(arg, rc);
}

/* @ch: of whom it is noted; NULL: it is said again. */
static int send_map(struct vu_session *s, const struct piece *p, int fd, struct change *ch)
{
	struct vu_dma_map map = {
		.argsz = sizeof(map),
		.flags = p->how == BY_FILE ? VU_DMA_BY_FILE : 0,
		.offset = p->how == BY_MESSAGES ? 0 : p->offset,
		.addr = p->node.start,
		.size = p->node.last - p->node.start + 1,
	};
	struct vu_request r = {
		.command = VU_DMA_MAP,
		.iov = { { &map, sizeof(map) } },
		.iovcnt = 1,
		.fds = &fd,
		.num_fds = p->how != BY_MESSAGES,
		.done = ch ? insert : NULL,
		.arg = ch,
	};

	if (p->prot & IOMMU_READ)
		map.flags |= VU_DMA_READABLE;
	if (p->prot & IOMMU_WRITE)
		map.flags |= VU_DMA_WRITEABLE;
	return vu_session_do(s, &r);
}

static int send_unmap(struct vu_session *s, struct change *ch, void (*done)(void *arg, int rc))
{
	const struct itree_node *n = &ch->p->node;
	struct vu_dma_unmap unmap = { .argsz = sizeof(unmap),
				      .addr = n->start,
				      .size = n->last - n->start + 1 };
	struct vu_request r = {
		.command = VU_DMA_UNMAP,
		.iov = { { &unmap, sizeof(unmap) } },
		.iovcnt = 1,
		.done = done,
		.arg = ch,
	};

	return vu_session_do(s, &r);
}

/* ---- pieces ---- */

/* Map by the file @fd, which is kept if it may have to be said again. */
static int map_file(struct vu_dma *d, struct change *ch, int fd)
{
	struct piece *p = ch->p;
	int rc = d->s->resume ? vu_kept_file_get(d, fd, &p->file) : 0;

	if (!rc)
		rc = send_map(d->s, p, p->file ? vu_kept_file_fd(p->file) : fd, ch);
	if (rc) {
		vu_kept_file_put(d, p->file);
		p->file = NULL;
	}
	return rc;
}

/* Give the server one piece, by @p->how or what comes after it. 0 or -errno. */
static int map_piece(struct vu_client *c, struct piece *p, int fd, uint64_t offset, uint64_t vaddr)
{
	struct vu_dma *d = &c->dma;
	struct change ch = { d, p };
	int rc;

	if (p->how == BY_MMAP) {
		p->offset = offset;
		rc = map_file(d, &ch, fd);
		if (!rc || vu_session_is_lost(d->s))
			return rc;
		p->how = BY_FILE;
	}
	p->offset = vaddr;
	if (p->how == BY_FILE && d->self >= 0 && !d->no_file) {
		rc = send_map(d->s, p, d->self, &ch);
		if (!rc || vu_session_is_lost(d->s))
			return rc;
		p->how = BY_MESSAGES;
		if (send_map(d->s, p, -1, &ch) == 0) {
			d->no_file = true;
			report_warn(
				"vfio-user-dma-messages", c->vdev.name, 0,
				"its server does not read and write memory as files: private "
				"memory of the program is there for it by messages alone, which "
				"not every server makes. Shared memory (a memfd, huge pages) it "
				"can map");
			return 0;
		}
		return rc;
	}
	p->how = BY_MESSAGES;
	return send_map(d->s, p, -1, &ch);
}

static void free_piece(struct vu_dma *d, struct piece *p)
{
	vu_kept_file_put(d, p->file);
	heap_free(p);
}

/* Take a piece away from the server, and forget it. */
static void unmap_piece(struct vu_client *c, struct piece *p)
{
	struct vu_dma *d = &c->dma;
	struct change ch = { d, p };
	int rc = send_unmap(d->s, &ch, remove_any);

	if (rc && !vu_session_is_lost(d->s))
		report_err("vfio-user-dma-unmap", c->vdev.name, rc,
			   "UNMAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			   ": its server refuses, and may still reach this memory",
			   p->node.last - p->node.start + 1, p->node.start);
	free_piece(d, p);
}

static void unmap_range(struct vu_client *c, uint64_t iova, uint64_t last)
{
	struct itree_node *n;

	while ((n = itree_first(&c->dma.pieces, iova, last)))
		unmap_piece(c, of_node(n));
}

/* Map [@iova, @iova + @m->size) as one piece. */
static int add_piece(struct vu_client *c, const struct vfio_ioas_range *r, uint64_t done,
		     const struct vu_memory *m, enum how how)
{
	struct piece *p = heap_alloc(sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->node.start = r->iova + done;
	p->node.last = p->node.start + m->size - 1;
	p->prot = r->prot;
	p->how = how;
	rc = map_piece(c, p, m->fd, m->offset, r->vaddr + done);
	if (rc)
		free_piece(&c->dma, p);
	return rc;
}

/* Find the next piece of @r, from @done on, and map it. Its size, or -errno. */
static int64_t next_piece(struct vu_client *c, const struct vfio_ioas_range *r, uint64_t done)
{
	struct vu_memory m = { .size = r->size - done, .fd = -1 };
	int rc;

	if (r->device || r->moved) {
		rc = add_piece(c, r, done, &m, BY_MESSAGES);
	} else if (r->fd >= 0) {
		m.fd = r->fd;
		m.offset = r->fd_offset + done;
		rc = add_piece(c, r, done, &m, BY_MMAP);
	} else {
		/* what cannot be told is as private memory */
		if (vu_memory_at(r->vaddr + done, r->size - done, r->prot & IOMMU_WRITE, &m) < 0)
			m = (struct vu_memory){ .size = r->size - done, .fd = -1 };
		rc = add_piece(c, r, done, &m, m.fd >= 0 ? BY_MMAP : BY_FILE);
		fd_close_private(m.fd);
	}
	return rc ? rc : (int64_t)m.size;
}

/* ---- the listener ---- */

static int map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct vu_client *c = of(l);
	uint64_t done = 0;
	int64_t n = 0;

	for (; done < r->size && !vu_session_is_lost(c->dma.s); done += (uint64_t)n) {
		n = next_piece(c, r, done);
		if (n < 0)
			break;
	}
	/* one that is gone reaches nothing, and so it is with a device that was pulled out */
	if (n >= 0 || vu_session_is_lost(c->dma.s))
		return 0;
	if (done)
		unmap_range(c, r->iova, r->iova + done - 1);
	return report_err("vfio-user-dma-map", c->vdev.name, (int)n,
			  "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			  ": its server refuses",
			  r->size, r->iova);
}

static void unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	unmap_range(of(l), r->iova, r->iova + r->size - 1);
}

/*
 * Memory that the server reaches by its address is not there any more. For a moment it reaches
 * nothing: what it does then is aborted.
 */
static void moved(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r, uint64_t iova,
		  uint64_t size)
{
	struct vu_client *c = of(l);
	struct itree_node *n, *next;
	uint64_t start;
	int rc;

	for (n = itree_first(&c->dma.pieces, iova, iova + size - 1); n; n = next) {
		struct piece *p = of_node(n);

		next = itree_next(n, iova, iova + size - 1);
		if (p->how != BY_FILE || vu_session_is_lost(c->dma.s))
			continue;
		start = n->start;
		rc = send_unmap(c->dma.s, &(struct change){ &c->dma, p }, remove_done);
		if (!rc) {
			p->how = r->moved ? BY_MESSAGES : BY_FILE;
			rc = map_piece(c, p, -1, 0, r->vaddr + (start - r->iova));
			if (rc)
				free_piece(&c->dma, p);
		}
		if (rc && !vu_session_is_lost(c->dma.s))
			report_err(
				"vfio-user-dma-moved", c->vdev.name, rc,
				"the mapping at IOVA 0x%" PRIx64
				" has memory that moved in the program: its server cannot follow",
				start);
	}
}

static void limits(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	struct vu_client *c = of(l);
	uint64_t smallest = c->dma.s->caps.pgsizes & -c->dma.s->caps.pgsizes;
	uint32_t most = c->dma.s->caps.max_dma_maps, used = atomic_load(&c->dma.num_pieces);

	*out = (struct vfio_ioas_limits){
		.num_ranges = 1,
		.ranges = { { 0, UINT64_MAX } },
		.pgsizes = -(smallest ? smallest : PAGE_SIZE_4K),
		.avail = most > used ? most - used : 0,
	};
}

/* ---- for a server that was started again ---- */

int vu_dma_again(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	struct vu_dma *d = &c->dma;
	struct itree_node *n;
	int rc;

	for (n = itree_first(&d->pieces, 0, UINT64_MAX); n; n = itree_next(n, 0, UINT64_MAX)) {
		const struct piece *p = of_node(n);

		rc = send_map(s, p, p->file ? vu_kept_file_fd(p->file) : d->self, NULL);
		if (vu_is_passing(rc))
			return rc;
		if (rc)
			return vu_fail(why, -ENODEV,
				       "it refuses what it had mapped, at IOVA 0x%" PRIx64 ": %s",
				       n->start, strerror(-rc));
	}
	return 0;
}

/* ---- attach ---- */

/* Open our own address space for the server, if it may have that. */
static void open_self(struct vu_client *c)
{
	int fd;

	c->dma.self = -1;
	c->dma.no_file = c->o.memory == VU_CLIENT_MEMORY_MESSAGES;
	if (c->dma.no_file)
		return;
	fd = sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	c->dma.self = fd_make_private(fd);
	if (c->dma.self < 0)
		sys_close(fd);
}

static void let_go(struct vu_client *c)
{
	fd_close_private(c->dma.self);
	c->dma.self = -1;
	vu_session_put(c->dma.s);
	c->dma.s = NULL;
	c->dma.io = NULL;
}

int vu_client_attach(struct vfio_device *dev, struct vfio_ioas *io)
{
	struct vu_client *c = to_client(dev);
	int rc;

	c->dma.listener = (struct vfio_ioas_listener){
		.map = map, .unmap = unmap, .moved = moved, .limits = limits
	};
	c->dma.s = c->session;
	vu_session_get(c->dma.s);
	c->dma.io = io;
	open_self(c);
	rc = vfio_ioas_listen(io, &c->dma.listener);
	if (rc)
		let_go(c);
	return rc;
}

void vu_client_detach(struct vfio_device *dev, struct vfio_ioas *io)
{
	struct vu_client *c = to_client(dev);

	vfio_ioas_unlisten(io, &c->dma.listener);
	let_go(c);
}
