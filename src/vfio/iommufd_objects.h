/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_objects.h: an iommufd from the inside, for the files iommufd*.c.
 *
 * All of it is guarded by vfio_iommufd.lock; who has which page table also by the group's lock.
 * What an object counts in `users` are those that would be left without it: a HWPT its IOAS and its
 * fault queue, an attached device its HWPT, a binding its device, an open file its fault queue. An
 * object can be destroyed when it has none; then it is nobody's.
 */
#ifndef VFIO_IOMMUFD_OBJECTS_H
#define VFIO_IOMMUFD_OBJECTS_H
#include "vfio/internal.h"
#include "vfio/iommufd.h"

enum iommufd_kind { IOMMUFD_ANY, IOMMUFD_IOAS, IOMMUFD_HWPT, IOMMUFD_DEVICE, IOMMUFD_FAULT };

struct iommufd_object {
	enum iommufd_kind kind;
	uint32_t id;
	unsigned users;
	bool ready; /* it was published */
};

struct iommufd_ioas {
	struct iommufd_object obj;
	struct itree areas;   /* iommufd_area.by_iova */
	struct itree allowed; /* struct iommufd_allowed: where MAP without FIXED finds a place */
	uint64_t alignment;   /* of IOVAs, lengths and addresses: 1 or 4096 */
	/* all from the first page to here is in use, so that nobody looks for a place there */
	uint64_t full_to;
	bool small_pages;	    /* HUGE_PAGES 0: a mapping can be cut by type1 v1's unmap */
	unsigned devices;	    /* attached: the window of interrupt messages is reserved */
	struct cds_list_head hwpts; /* iommufd_hwpt.in_ioas */
	struct vfio_ioas *space;    /* of one of them, which has all that is pinned; NULL: none */
};

/*
 * Memory that a MAP named: whole pages of the program, or of a file. Pinned are those that an area
 * has in a HWPT, and each is counted once.
 */
struct iommufd_pages {
	unsigned refs;	/* of areas */
	uint64_t vaddr; /* of the program; or of a file, where we see it; 0: not yet */
	uint64_t npages;
	bool writable;
	bool is_file;
	struct vfio_dmabuf_import *import; /* of a dma-buf; then there are no pages, nor vaddr */
	bool device;	 /* the file is a device's or one of ours: it has no memory to map */
	int fd;		 /* private, or -1 */
	uint64_t offset; /* in the file, of whole pages */
	long view;	 /* our mapping of it, with @vaddr in it */
	uint64_t view_size;
	struct itree pinned;	 /* iommufd_area.by_page of areas that are filled */
	struct vfio_memory *mem; /* that the HWPTs' mappings have; not before it is needed */
};

/* A mapping of an IOAS. */
struct iommufd_area {
	struct itree_node by_iova;
	struct itree_node by_page; /* pages of @pages, from 0; in iommufd_pages.pinned if filled */
	struct iommufd_ioas *ioas;
	struct iommufd_pages *pages;
	uint64_t start; /* the byte of @pages that it begins with */
	unsigned prot;
	bool filled;		   /* its pages are pinned, and mapped in the IOAS's HWPTs */
	struct iommufd_area *next; /* of those that one call makes */
};

struct vfio_iommufd_fault {
	struct iommufd_object obj;
	struct vfio_iommufd *ictx;	 /* a reference is its open file's */
	struct iommu_fault_queue *queue; /* a reference */
};

struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommufd_ioas *ioas;
	struct cds_list_head in_ioas;
	struct vfio_ioas *space;	  /* what devices see */
	struct vfio_iommufd_fault *fault; /* FAULT_ID_VALID: where page requests go, or NULL */
	bool dirty;			  /* ALLOC_DIRTY_TRACKING */
	bool pasids;			  /* ALLOC_PASID: it can be used together with PASIDs */
	bool automatic; /* made by an attach to the IOAS, and goes with the last device */
};

struct iommufd_pasid {
	uint32_t pasid;
	struct iommufd_hwpt *hwpt;
};

struct vfio_iommufd_device {
	struct iommufd_object obj;
	struct vfio_iommufd *ictx;
	struct vfio_device *dev;
	struct iommufd_hwpt *hwpt; /* that it is attached to, or NULL */
	bool by_pasid_0;	   /* the client said "PASID 0", which is the same to the kernel */
	struct iommufd_pasid *pasids; /* those that are attached, by number */
	unsigned num_pasids;
};

struct vfio_iommufd {
	struct ref ref;
	struct vfio_system *sys;
	pthread_mutex_t lock;
	struct iommufd_object **objects; /* by number; 0 is never used */
	uint32_t room;
	uint32_t free_from; /* no number below is free */
	unsigned count;
	struct iommufd_ioas *compat; /* that type1's ioctls are for, or NULL */
	bool noiommu;		     /* a group without an IOMMU is, or was, in it */
	bool process_limit;	     /* OPTION RLIMIT_MODE 1 */
};

/* True if there is no IOMMU before the device @o. */
static inline bool iommufd_is_noiommu(const struct iommufd_object *o)
{
	return container_of_type(o, struct vfio_iommufd_device, obj)->dev->group->noiommu;
}

/* True if DMA of the device @o does not pass our IOMMU, but another one, which has the same. */
static inline bool iommufd_is_outside(const struct iommufd_object *o)
{
	return container_of_type(o, struct vfio_iommufd_device, obj)->dev->ops->attach;
}

static inline uint64_t area_iova(const struct iommufd_area *a)
{
	return a->by_iova.start;
}

static inline uint64_t area_size(const struct iommufd_area *a)
{
	return a->by_iova.last - a->by_iova.start + 1;
}

/* ---- iommufd.c ---- */

/*
 * Give @o, which is of @kind, the lowest free number. 0 or -ENOMEM. It is not published. And take
 * the number away.
 */
int iommufd_object_add(struct vfio_iommufd *ictx, struct iommufd_object *o, enum iommufd_kind kind);
void iommufd_object_remove(struct vfio_iommufd *ictx, struct iommufd_object *o);
/* Return the published object @id of @kind, or NULL. */
struct iommufd_object *iommufd_object_get(struct vfio_iommufd *ictx, uint32_t id,
					  enum iommufd_kind kind);
/* True if the caller has the capability @cap. */
bool iommufd_capable(struct vfio_iommufd *ictx, unsigned cap);

/* ---- iommufd_ioas.c ---- */

/* Return the IOAS @id, or NULL. */
struct iommufd_ioas *iommufd_ioas_get(struct vfio_iommufd *ictx, uint32_t id);
/* Make an IOAS with a number, not published; free one that nobody uses, with its number. */
struct iommufd_ioas *iommufd_ioas_new(struct vfio_iommufd *ictx);
void iommufd_ioas_free(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas);
/*
 * May the IOAS have a HWPT, which has an alignment and an aperture; a device, which has a window
 * that is reserved? 0; -EADDRINUSE: an area or an allowed range is against it.
 */
int iommufd_ioas_check_hwpt(struct iommufd_ioas *ioas);
int iommufd_ioas_check_device(struct iommufd_ioas *ioas);
/* Find the alignment anew: a HWPT came or went, or HUGE_PAGES changed. */
void iommufd_ioas_align(struct iommufd_ioas *ioas);
/* HUGE_PAGES 0: 0; -EINVAL: there are mapped pages; -EADDRINUSE: something is not aligned. */
int iommufd_ioas_small_pages(struct iommufd_ioas *ioas);
/*
 * Unmap [@iova, @last] by the rules of IOAS_UNMAP: mappings as a whole, from the first on until one
 * is cut. @unmapped gets their bytes. 0, also if there is none; -ENOENT: one is cut.
 */
int iommufd_ioas_unmap(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, uint64_t iova,
		       uint64_t last, uint64_t *unmapped);
/* Map memory of the program. Flags and errors are those of IOAS_MAP from the IOAS on. */
int iommufd_ioas_map(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, uint64_t vaddr,
		     uint64_t length, unsigned prot, bool fixed, uint64_t *iova);

/* ---- iommufd_area.c ---- */

/* Return the first area that has some of [@iova, @last], or the one after @a; NULL: none. */
struct iommufd_area *iommufd_area_first(const struct iommufd_ioas *ioas, uint64_t iova,
					uint64_t last);
struct iommufd_area *iommufd_area_next(const struct iommufd_area *a, uint64_t iova, uint64_t last);
/*
 * Pin what @a has that no other area has, and map it in all HWPTs of its IOAS. 0; -EFAULT, -EINVAL:
 * its memory; -ENOMEM: over the limit, or no memory. Nothing is done if there is no HWPT.
 */
int iommufd_area_fill(struct vfio_iommufd *ictx, struct iommufd_area *a);
/* Map all areas of @ioas in @space, of a HWPT that is not in its list yet. Errors as above. */
int iommufd_areas_fill(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas,
		       struct vfio_ioas *space);
/* The last HWPT of @ioas has gone: nothing is pinned any more. */
void iommufd_areas_unpin(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas);
/* Unmap all mappings of @space that have some of [@iova, @last]. */
void iommufd_space_unmap(struct vfio_ioas *space, uint64_t iova, uint64_t last);
/* @a, which a HWPT had, is not in it any more: what the program does not see may have gone. */
void iommufd_area_left(struct vfio_iommufd *ictx, const struct iommufd_area *a);
/* Free an area that is in no HWPT any more. */
void iommufd_area_free(struct vfio_iommufd *ictx, struct iommufd_area *a);
/* Give a reference back. */
void iommufd_pages_put(struct vfio_iommufd *ictx, struct iommufd_pages *p);

/* ---- iommufd_fault.c ---- */

/* Free a queue that nobody uses, with its number. */
void iommufd_fault_free(struct vfio_iommufd *ictx, struct vfio_iommufd_fault *f);

/* ---- iommufd_device.c ---- */

/* May the group of @idev be attached to @h, which may have a fault queue? 0 or -ENODEV. */
int iommufd_check_fault(const struct vfio_iommufd_device *idev, const struct iommufd_hwpt *h);

/* ---- iommufd_pasid.c ---- */

/* True if @g may use @h (NULL: one that an attach makes) without a PASID beside those it has. */
bool iommufd_group_allows(const struct vfio_group *g, const struct iommufd_hwpt *h);
/* Attach @pasid of @idev, not 0, to the object @pt_id, or have that replace what it has. */
int iommufd_pasid_attach(struct vfio_iommufd_device *idev, uint32_t pt_id, uint32_t pasid);
void iommufd_pasid_detach(struct vfio_iommufd_device *idev, uint32_t pasid);
void iommufd_pasid_detach_all(struct vfio_iommufd_device *idev);

/* ---- iommufd_hwpt.c ---- */

/*
 * Make a HWPT of @ioas, with all its areas mapped, not published; @noiommu: for devices that do not
 * go through it. Free one that nobody uses, with its number.
 */
int iommufd_hwpt_new(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, bool noiommu,
		     struct iommufd_hwpt **out);
void iommufd_hwpt_free(struct vfio_iommufd *ictx, struct iommufd_hwpt *h);
#endif
