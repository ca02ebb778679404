/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/internal.h: an address space from the inside: for the interfaces on top of it, which have
 * rules of their own about ranges (type1.c), and for what keeps its memory (aside.c, returned.c).
 */
#ifndef VFIO_INTERNAL_H
#define VFIO_INTERNAL_H
#include "base/itree.h"
#include "base/report.h"
#include "base/util.h"
#include "vfio/aside.h"
#include "vfio/group.h"
#include "vfio/ioas.h"

/*
 * The memory behind mappings: pinned and counted once, however many mappings of however many
 * address spaces share it. Not changed after it was made.
 */
struct vfio_memory {
	struct ref ref; /* of mappings */
	int fd;		/* the file that it is of, or -1: not known */
	uint64_t fd_offset;
	uint64_t pages; /* counted in vfio_ioas_set.pages_locked */
	/*
	 * BARs, or memory of another process: no pages, not counted. Where in it a mapping is says
	 * its by_mem, an address of iommu/peer.h: of the first window, if it is of several.
	 */
	bool device;
	bool foreign;		    /* the latter: vfio_ioas_map_target() */
	struct bar_window *windows; /* of a program's mapping of BARs, or foreign; else NULL */
	uint64_t seen; /* where that is, if all of it is memory as it is (vfio_bar.direct); 0 */
	bool writable; /* its pages must allow writes, also where a mapping only reads */
	bool there;    /* nobody asks for its pages: they are there, or come when they are used */
};

/* A BAR that is mapped for DMA, or a part of foreign memory, in the order of the mapping. */
struct bar_window {
	struct iommu_window *window; /* NULL: the memory is being freed */
	unsigned bar;
	uint64_t offset, length;
	struct bar_window *next;
};

/* One mapping as it was made. */
struct mapping {
	struct itree_node by_iova;
	/* where the program sees the memory; the domain knows where it is */
	struct itree_node by_mem;
	struct vfio_memory *mem;
	uint64_t mem_offset;	 /* of the mapping's first byte in @mem */
	unsigned prot;		 /* IOMMU_READ, IOMMU_WRITE */
	bool vaddr_invalid;	 /* type1's: VFIO_DMA_UNMAP_FLAG_VADDR */
	bool moved;		 /* some of it is in the set's asides */
	struct mapping *next;	 /* of those that one unmap takes out, or that move together */
	struct vfio_ioas *owner; /* of the latter */
};

struct vfio_ioas {
	struct ref ref;
	struct vfio_system *sys;
	struct vfio_ioas_set *set;
	bool limited; /* dma_entry_limit is for it, too */
	bool noiommu; /* of a HWPT that no device goes through; set when it is made */
	struct iommu_domain *domain;
	pthread_mutex_t lock; /* guards what follows; its place is said in ioas.h */
	struct itree by_iova;
	struct itree by_mem; /* changed with maps_lock held as well: either is enough to read */
	unsigned entries;
	struct cds_list_head groups; /* iommu_group.attached */
	struct cds_list_head listeners;
	struct vfio_ioas_limits limits; /* of all of them; avail is nothing here */
	bool closing;			/* nobody asks for the unmap */
	struct cds_list_head in_set;	/* the set's locks */
};

/* Memory that libc gave back while it was mapped. */
struct returned {
	struct itree_node node; /* whole pages, of which a mapping has some */
};

/* Memory that was moved aside, and how many mapped bytes of all address spaces lie there. */
struct aside {
	struct itree_node node;
	uint64_t users;
	struct aside *next;
};

static inline uint64_t mapping_iova(const struct mapping *m)
{
	return m->by_iova.start;
}

static inline uint64_t mapping_size(const struct mapping *m)
{
	return m->by_iova.last - m->by_iova.start + 1;
}

/* ---- ioas.c ---- */

/* Make a set of no address spaces; and give back what it has, when there are none any more. */
void vfio_ioas_set_init(struct vfio_ioas_set *set);
void vfio_ioas_set_destroy(struct vfio_ioas_set *set);

/* Say that no device goes through @io, which is new: there is no IOMMU. */
void ioas_set_noiommu(struct vfio_ioas *io);

/* Below, the space's lock is held: by the caller, who looks first and then acts. */

/* Return the first mapping that has some of [@iova, @last], or the one after @m; NULL: none. */
struct mapping *ioas_first(const struct vfio_ioas *io, uint64_t iova, uint64_t last);
struct mapping *ioas_next(const struct mapping *m, uint64_t iova, uint64_t last);
/* True if a mapping reaches over an end of [@iova, @last]. */
bool ioas_bisects(const struct vfio_ioas *io, uint64_t iova, uint64_t last);
/* Return the error of a range that nobody could map, before any other is looked at, or 0. */
int ioas_check_map(uint64_t iova, uint64_t vaddr, uint64_t size, unsigned prot);
/*
 * Return 0, or the error that a user wants the mapping of @size bytes at @iova (0: anywhere) to end
 * with: for each that a program asks for, once.
 */
int ioas_map_fault(uint64_t iova, uint64_t size);
/*
 * Map what ioas_check_map() let pass: the errors from -EEXIST on that vfio_ioas_map() has.
 * @mem: memory that is counted by somebody else and is pinned now, @mem_offset in it is at @vaddr;
 * a reference is taken. NULL: the program's, which is pinned and counted now.
 */
int ioas_map(struct vfio_ioas *io, uint64_t iova, uint64_t vaddr, uint64_t size, unsigned prot,
	     struct vfio_memory *mem, uint64_t mem_offset);
/*
 * Unmap all mappings that have some of [@iova, @last], as a whole. Returns their bytes. Neither
 * devices nor listeners use their memory any more.
 */
uint64_t ioas_unmap(struct vfio_ioas *io, uint64_t iova, uint64_t last);
/*
 * The program sees the memory of @m at @vaddr from now on, and the devices reach it there. -EFAULT:
 * there is none, all is as it was; else what is not there any more is unmapped in the domain.
 */
int ioas_set_vaddr(struct vfio_ioas *io, struct mapping *m, uint64_t vaddr);

/*
 * Return how many of @pages RLIMIT_MEMLOCK (*@limit, in bytes) lets in; they are counted if it is
 * all of them. Takes no lock.
 */
uint64_t ioas_account(struct vfio_system *s, uint64_t pages, uint64_t *limit);
/* Return memory of no pages with one reference, or NULL; and give a reference back. */
struct vfio_memory *ioas_memory_new(void);
void ioas_memory_put(struct vfio_ioas_set *set, struct vfio_memory *mem);

/*
 * Put @m, which has the program's memory at @vaddr, into the index by memory; and take it out, when
 * the domain has nothing of it any more. Returns how much of its memory libc had given back, and is
 * gone now.
 */
void ioas_index_mem(struct vfio_ioas *io, struct mapping *m, uint64_t vaddr, uint64_t size);
uint64_t ioas_unindex_mem(struct vfio_ioas *io, struct mapping *m);
/*
 * Put @m, which is in that index and in the domain, into the books and the listeners': 0, or
 * theirs.
 */
int ioas_insert(struct vfio_ioas *io, struct mapping *m);

/*
 * True if the program has BARs at [@vaddr, @vaddr + @size), and nothing else; *@first gets the
 * first, with a reference of its target.
 */
bool ioas_bar_at(struct vfio_system *s, uint64_t vaddr, uint64_t size, struct vfio_bar *first);

/* ---- ioas_listen.c, with the space's lock held ---- */

/* Cut @limits to those of @io, as they are known. Takes the space's lock, which is not held. */
void ioas_cut_limits(struct vfio_ioas *io, struct vfio_ioas_limits *limits);
/* Find the limits of all who listen to @io. */
void ioas_update_limits(struct vfio_ioas *io);
/* True if [@iova, @iova + @size), which does not wrap, can be mapped; else with a line. */
bool ioas_in_ranges(const struct vfio_ioas *io, uint64_t iova, uint64_t size);
/* Tell the listeners that @m is there. 0, or what one answered: then nobody has it. */
int ioas_tell_map(struct vfio_ioas *io, const struct mapping *m);
/* Tell them that it goes, the latest first. */
void ioas_tell_unmap(struct vfio_ioas *io, const struct mapping *m);
/* Tell them that some of it is elsewhere now, where @m says, or our tables (m->moved). */
void ioas_tell_moved(struct vfio_ioas *io, const struct mapping *m, uint64_t iova, uint64_t size);

/* ---- ioas_share.c; no space's lock is held ---- */

/*
 * Map in @dst at @iova what @src has at [@src_iova, @src_iova + @size), which is mapped as a whole:
 * the same memory, wherever it is by now. 0, -ENOMEM or a listener's answer; then some of it may be
 * mapped.
 */
int ioas_share(struct vfio_ioas *dst, uint64_t iova, unsigned prot, struct vfio_ioas *src,
	       uint64_t src_iova, uint64_t size);
/*
 * Have a mapping end at @last, and another begin behind it, so that one of them can be unmapped. 0,
 * also if there is none; -ENOMEM; -EOPNOTSUPP: somebody listens.
 */
int ioas_split(struct vfio_ioas *io, uint64_t last);

/* The program's memory of @m is at @vaddr; while @m is in no tree, with maps_lock held. */
void ioas_set_mem(struct vfio_ioas_set *set, struct mapping *m, uint64_t vaddr, uint64_t size);

/* ---- physical.c ---- */

/* Free what a system without an IOMMU has; no device is left. */
void physical_free(struct vfio_system *s);
/*
 * Return the physical address of the byte that @io, of a HWPT, has at @iova; 0: there is none, or
 * no memory for it. No space's lock is held.
 */
uint64_t physical_of_iova(struct vfio_ioas *io, uint64_t iova);
/*
 * The program takes its memory in [@from, @last] away: what nobody has pinned has no address any
 * more. All spaces' locks are held.
 */
void physical_lose(struct vfio_system *s, uint64_t from, uint64_t last);
/*
 * A HWPT let go of memory that the program gave in [@from, @last]: the same for what the program
 * does not see any more. No space's lock is held.
 */
void physical_unpinned(struct vfio_system *s, uint64_t from, uint64_t last);
/* The same for our own view of a file, which goes. */
void physical_gone(struct vfio_system *s, uint64_t from, uint64_t last);

/* ---- aside.c ---- */

/*
 * Take all spaces' locks: until the other no mapping of any comes or goes, nor does its memory
 * move.
 */
void ioas_lock_all(struct vfio_ioas_set *s);
void ioas_unlock_all(struct vfio_ioas_set *s);

/*
 * Return where the domain has the byte that the program gave at @addr, or 0: nowhere. @len gets how
 * much of @m lies there in one piece.
 */
uint64_t aside_where(const struct vfio_ioas *io, const struct mapping *m, uint64_t addr,
		     uint64_t *len);
/*
 * One mapping more has @len bytes at @at, where a move has put them. Returns how many of them are
 * of one aside, whose users they are now. The space's lock is held.
 */
uint64_t aside_share(struct vfio_ioas_set *set, uint64_t at, uint64_t len);

/*
 * The mapping @m lets go of the memory aside that it uses. What nobody else uses is put on @free,
 * to be released with asides_free() when no device can reach it any more (after iommu_domain_unmap
 * or _remap). The space's lock is held.
 */
void asides_put(struct vfio_ioas *io, struct mapping *m, struct aside **free);
void asides_free(struct vfio_ioas_set *set, struct aside *list);

/* ---- returned.c; maps_lock is held ---- */

/* True if libc gave memory in [@start, @last] back. */
bool returned_touches(const struct vfio_ioas_set *set, uint64_t start, uint64_t last);
/*
 * A mapping that had [@start, @last] is gone, from the domain, too: unmap what libc gave back there
 * and no other mapping has. Returns how many bytes it was.
 */
uint64_t returned_release(struct vfio_ioas_set *set, uint64_t start, uint64_t last);

/* ---- group.c ---- */

/*
 * Open the device @name for a user who shows the VF token @uuid (NULL: none), in the address space
 * *@io of the group's container (NULL: it has no IOMMU), and count its file. -ENODEV; -EINVAL,
 * -EACCES: as vfio_device_check_token(); -EINVAL: no container, or no IOMMU; or the device's
 * answer.
 */
int vfio_group_open_device(struct vfio_group *g, const char *name, const uint8_t *uuid,
			   struct vfio_device **out, struct vfio_ioas **io, bool *by_iommufd);
void vfio_group_close_device(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io,
			     bool by_iommufd);
/* Give up what the last device of an iommufd held, after its close; @g's devices may go with it. */
void vfio_group_closed_device(struct vfio_group *g);
/*
 * One opener more, or less, has @dev in @io, by itself: with the first of the group all functions
 * of it are. -EINVAL: the group is in another one; or the device's answer.
 */
int vfio_group_attach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io);
void vfio_group_detach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io);

/* The same, with the group's lock held. */
int group_attach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io);
void group_detach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io);
/*
 * All devices of @g that are in @from are in @to from now on, without a time in which they are in
 * neither. 0, or a device's answer: then nothing changed. The group's lock is held.
 */
int group_replace(struct vfio_group *g, struct vfio_ioas *from, struct vfio_ioas *to);

/* ---- dmabuf.c ---- */

/* Revoke all dma-bufs of @dev for good: it is closed. Its lock is held. */
void vfio_dmabufs_revoke(struct vfio_device *dev);

/* True if the program may have devices without an IOMMU; else with a line. */
bool vfio_may_rawio(struct vfio_system *s);

/* ---- iommufd_device.c: vfio_iommufd_bind() and so on, with the group's lock held ---- */

int iommufd_bind(struct vfio_iommufd *ictx, struct vfio_device *dev, uint32_t *id);
int iommufd_attach(struct vfio_device *dev, uint32_t *pt_id, const uint32_t *pasid);
void iommufd_unbind(struct vfio_device *dev);

/* ---- container.c, with the lock held of the group that is in it ---- */

/*
 * Put @g into @c, and into its address space; and out again. 0, or -EPERM: one has an IOMMU, and
 * one has none.
 */
int vfio_container_attach(struct vfio_container *c, struct vfio_group *g);
void vfio_container_detach(struct vfio_container *c, struct vfio_group *g);
/* Return its address space, or NULL before SET_IOMMU. It stays while a group's device is open. */
struct vfio_ioas *vfio_container_ioas(struct vfio_container *c);
#endif
