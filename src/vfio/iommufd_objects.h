/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_objects.h: an iommufd from the inside, for the files iommufd*.c.
 *
 * All of it is guarded by vfio_iommufd.lock; who has which page table also by the group's lock.
 * What an object counts in `users` are those that would be left without it: a HWPT its IOAS and its
 * fault queue, an attached group its HWPT, a binding its device, an open file its fault queue. An
 * object can be destroyed when it has none; then it is nobody's.
 */
#ifndef VFIO_IOMMUFD_OBJECTS_H
#define VFIO_IOMMUFD_OBJECTS_H
#include "vfio/internal.h"
#include "vfio/iommufd.h"

enum iommufd_kind { IOMMUFD_ANY, IOMMUFD_IOAS, IOMMUFD_HWPT, IOMMUFD_DEVICE };

struct iommufd_object {
	enum iommufd_kind kind;
	uint32_t id;
	unsigned users;
	bool ready; /* it was published */
};

struct iommufd_ioas {
	struct iommufd_object obj;
	struct cds_list_head hwpts; /* iommufd_hwpt.in_ioas */
};

struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommufd_ioas *ioas;
	struct cds_list_head in_ioas;
	struct vfio_ioas *space; /* what devices see */
	bool automatic;		 /* made by an attach to the IOAS, and goes with the last device */
};

struct vfio_iommufd_device {
	struct iommufd_object obj;
	struct vfio_iommufd *ictx;
	struct vfio_device *dev;
	struct iommufd_hwpt *hwpt; /* that it is attached to, or NULL */
};

struct vfio_iommufd {
	struct ref ref;
	struct vfio_system *sys;
	pthread_mutex_t lock;
	struct iommufd_object **objects; /* by number; 0 is never used */
	uint32_t room;
	uint32_t free_from; /* no number below is free */
	unsigned count;
};

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

/* ---- iommufd_ioas.c ---- */

/* Free one that nobody uses, with its number. */
void iommufd_ioas_free(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas);

/* ---- iommufd_hwpt.c ---- */

/*
 * Make a HWPT of @ioas, with all its areas mapped, not published; free one that nobody uses, with
 * its number.
 */
int iommufd_hwpt_new(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas,
		     struct iommufd_hwpt **out);
void iommufd_hwpt_free(struct vfio_iommufd *ictx, struct iommufd_hwpt *h);
#endif
