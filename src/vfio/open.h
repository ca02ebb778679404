/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/open.h: one opener's hold on a device, and all that can be asked of a device. A front
 * (uapi/, api/) has a struct vfio_open for each time that it opened a device, in whichever way; a
 * device can have several. What every front would have to check is checked here, once: is there
 * such a region, does an access to config space end inside it, can this be mapped, are there such
 * vectors, does the device do this at all. A provider's ops (vfio/device.h) are called for an
 * opener from here alone, so that each kind of access passes one place.
 *
 * Memory arguments are the library's own, but where it says "the client's". Errors are -errno.
 *
 * Threads: any, at the same time, from the open until vfio_open_close().
 * Lock order: vfio_group.take_lock > vfio_group.lock > vfio_device.lock > the provider's locks >
 * vfio_device.mappers_lock.
 */
#ifndef VFIO_OPEN_H
#define VFIO_OPEN_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/event.h"
#include "fault/fault.h"
#include "vfio/group.h"

/* The ways in which an opener can come to its device. */
enum vfio_via {
	VFIO_VIA_GROUP, /* through its group's file: the group's container has the address space */
	VFIO_VIA_OWN,	/* by itself: the address space is the opener's own */
	VFIO_VIA_CDEV,	/* by its character device: an iommufd's, which it is bound to */
};

struct vfio_open;
/*
 * Give @o's mappings of areas of this kind (polled, direct) their rights (@open), or take them
 * away, which is done when it returns. Returns how many there are. Called by any thread, with
 * any lock of a provider's; takes locks that nobody holds who calls the device.
 */
typedef unsigned vfio_mapper_fn(struct vfio_open *o, void *arg, enum vfio_area_kind kind,
				bool open);

struct vfio_open {
	/* of a VFIO_VIA_CDEV, once it was held or bound: the device may come and go before */
	struct vfio_device *dev;
	struct vfio_place place; /* of a VFIO_VIA_CDEV: group and address */
	enum vfio_via via;
	/* the device is open for it; before that, every call is -EINVAL, but to bind it */
	atomic_bool bound;
	struct vfio_ioas *opens_for; /* vfio_open_expect() */
	bool iommufd;		     /* it bound the device to an iommufd, where that is attached */
	struct vfio_ioas *ioas;	     /* else: that it has the device in, or NULL */
	struct cds_list_head in_mappers; /* vfio_device.mappers, whose lock guards it and these: */
	vfio_mapper_fn *mapper;		 /* NULL: it mapped nothing yet */
	void *mapper_arg;
};

/**
 * vfio_open_by_group - open a device of a group that is open itself (GROUP_GET_DEVICE_FD)
 * @o: filled in
 * @name: "0000:01:00.0"
 * @uuid: the VF token that the client shows, 16 bytes in the order of its text, or NULL
 *
 * The group's file must stay open until vfio_open_close().
 *
 * Return: 0; -ENODEV: @g has no such device; -EINVAL, -EACCES: as vfio_device_check_token();
 * -EINVAL: the group has no container, or that has no IOMMU yet; or what the device answered.
 */
int vfio_open_by_group(struct vfio_open *o, struct vfio_group *g, const char *name,
		       const uint8_t *uuid);
/**
 * vfio_open_init_cdev - make @o an opener of the device at @place, which has to be bound
 *
 * Any number of them can be there; the device is not asked for, and need not be.
 */
void vfio_open_init_cdev(struct vfio_open *o, const struct vfio_place *place);
/**
 * vfio_open_hold - have the device of a VFIO_VIA_CDEV in this process, until vfio_open_let_go()
 *
 * Before it is bound: so that it can be asked whether it may be (vfio_device_check_token()).
 *
 * Return: 0; -EINVAL: it is bound, also by another process; -EPERM: another process has devices of
 * the group; -EBUSY: the group is open by its file, also there; -ENODEV: the device has gone; or
 * what could not be made of it.
 */
int vfio_open_hold(struct vfio_open *o);
/** vfio_open_let_go - end what vfio_open_hold() began */
void vfio_open_let_go(struct vfio_open *o);
/**
 * vfio_open_place - open the device of a VFIO_VIA_CDEV by itself, as the interface of 2010 has it
 *
 * Any number of openers of this process may. Its address space is the caller's affair.
 *
 * Return: 0; -EBUSY: another process has it, or its group; -ENODEV: the device has gone; or what
 * could not be made of it.
 */
int vfio_open_place(struct vfio_open *o);
/** vfio_open_init - make @o an opener of @dev, by itself, which has to be bound. */
void vfio_open_init(struct vfio_open *o, struct vfio_device *dev);
/**
 * vfio_open_expect - say that @o, which is not bound yet, will have the device in @io
 *
 * Only for the better: devices of the host that are opened for one address space share a container
 * of the kernel's, in which its memory is pinned once.
 */
void vfio_open_expect(struct vfio_open *o, struct vfio_ioas *io);
/**
 * vfio_open_bind - open the device, and take its group, as other openers of this kind may have
 *
 * Return: 0; -EBUSY: the group is open by its file, or another process has it; -ENODEV: it has no
 * device; or what the device answered.
 */
int vfio_open_bind(struct vfio_open *o);
struct vfio_iommufd;
/**
 * vfio_open_bind_iommufd - the same, as a device of an iommufd (VFIO_DEVICE_BIND_IOMMUFD)
 * @tell: tells the client its number there, @id: 0 or -errno. Nobody can use the device through @o
 *        before it has returned 0; after an error nothing is bound.
 *
 * It is attached by vfio_iommufd_attach(); the close detaches and unbinds it.
 *
 * Return: as vfio_open_bind(); -EINVAL: the device is open already; -EPERM: another iommufd has a
 * device of the group; -ENOMEM; or what @tell returned.
 */
int vfio_open_bind_iommufd(struct vfio_open *o, struct vfio_iommufd *ictx,
			   int (*tell)(void *arg, uint32_t id), void *arg);
/**
 * vfio_device_attach - have the device, and with it its group, in an address space
 * @o: came by itself, and is in none. Attach, detach and close are not called at the same time.
 * @io: outlives the detach
 *
 * Return: 0; -EINVAL: not such an opener, or another one has the group in another space; or what
 * the device answered.
 */
int vfio_device_attach(struct vfio_open *o, struct vfio_ioas *io);
/**
 * vfio_device_detach - take it out again, if it is in one
 *
 * When the last opener's returns, no device of the group reaches memory of the space.
 */
void vfio_device_detach(struct vfio_open *o);
/** vfio_open_close - give up the hold, and what came with it; @o need not have been bound. */
void vfio_open_close(struct vfio_open *o);

/* ---- what there is ---- */

/** vfio_device_region - describe region @index in *@out. Return 0; -EINVAL: there is none. */
int vfio_device_region(struct vfio_open *o, uint32_t index, struct vfio_region *out);
/** vfio_device_irq - describe interrupt index @index in *@out. Return 0; -EINVAL: there is none. */
int vfio_device_irq(struct vfio_open *o, uint32_t index, struct vfio_irq *out);

/* ---- access ---- */

/**
 * vfio_device_rw - read or write a region
 *
 * Return: bytes done, which may be fewer at the end of a region; -EINVAL: no such region, or @pos
 * is behind its end; -EFAULT: it would run over the end of config space, and nothing was done;
 * -EIO: the device does not answer.
 */
ssize_t vfio_device_rw(struct vfio_open *o, uint32_t index, uint64_t pos, void *buf, size_t count,
		       bool write);
/**
 * vfio_device_rw_client - the same with the client's memory, which is copied guarded
 * @addr: its address, whatever it is
 *
 * Return: as vfio_device_rw(); -EFAULT also where the client's memory is not there.
 */
ssize_t vfio_device_rw_client(struct vfio_open *o, uint32_t index, uint64_t pos, uintptr_t addr,
			      size_t count, bool write);
/**
 * vfio_device_check_map - may [@pos, @pos + @len) of a region be mapped?
 * @pos: a multiple of the page size
 *
 * Return: 0; -EINVAL: no such region, or not all of it can be mapped (which is logged).
 */
int vfio_device_check_map(struct vfio_open *o, uint32_t index, uint64_t pos, uint64_t len);
/*
 * Tell who listens of an access (base/event.h): of a write before it is made, since other events
 * follow from it; of a read when it is done; and of what failed, with @err.
 */
static inline void vfio_device_tell(const struct vfio_open *o, uint32_t index, uint64_t pos,
				    const void *data, size_t size, bool write, bool mapped, int err)
{
	EVENT(EVENT_ACCESS, .who = o->dev->name, .bar = index, .at = pos, .data = data,
	      .size = size, .write = write, .what = mapped, .err = err);
}
/* Something may happen to the device behind an access of a BAR (fault/fault.h). */
void vfio_device_event(const struct vfio_open *o, uint32_t index, uint64_t pos, size_t size);
static inline void vfio_device_accessed(const struct vfio_open *o, uint32_t index, uint64_t pos,
					size_t size)
{
	if (fault_wanted(FAULT_EVENT))
		vfio_device_event(o, index, pos, size);
}
/**
 * vfio_device_mmio - make the load or store that the program made in a mapping
 * @size: 1..8; [@pos, @pos + @size) was allowed by vfio_device_check_map()
 *
 * Return: 0; -EIO: nobody answers, it is an error on the bus.
 */
static inline int vfio_device_mmio(struct vfio_open *o, uint32_t index, uint64_t pos, unsigned size,
				   uint64_t *value, bool write)
{
	int ret;

	if (write)
		vfio_device_tell(o, index, pos, value, size, true, true, 0);
	ret = o->dev->ops->mmio(o->dev, index, pos, size, value, write);
	if (!write || ret)
		vfio_device_tell(o, index, pos, value, size, write, true, ret);
	vfio_device_accessed(o, index, pos, size);
	return ret;
}

/**
 * vfio_region_part - find the next part of a region that can be mapped
 * @i: 0 at first; gets where to go on
 *
 * Areas of whatever kind that lie side by side are one part.
 *
 * Return: true, with the part; false: no more.
 */
bool vfio_region_part(const struct vfio_region *r, unsigned *i, uint64_t *offset, uint64_t *size);
/**
 * vfio_open_set_mapper - have @mapper called when areas open or close, until the close
 *
 * Before the opener's first mapping. Once is enough; later calls change nothing.
 */
void vfio_open_set_mapper(struct vfio_open *o, vfio_mapper_fn *mapper, void *arg);
/**
 * vfio_device_bar - say what other devices reach at @pos of region @index, which is mapped
 * @out: gets all but length and rights, with a reference of the target
 */
void vfio_device_bar(struct vfio_open *o, uint32_t index, uint64_t pos, struct vfio_bar *out);
/** vfio_device_area_open - true if areas of this kind are open now. Takes no lock. */
bool vfio_device_area_open(const struct vfio_open *o, enum vfio_area_kind kind);

/* ---- interrupts ---- */

/**
 * vfio_device_check_irqs - make the checks of VFIO_DEVICE_SET_IRQS that come before the driver's
 * @data_size: gets the bytes that follow the arguments
 *
 * Return: 0 or -EINVAL, in the kernel's order.
 */
int vfio_device_check_irqs(struct vfio_open *o, uint32_t argsz, uint32_t flags, uint32_t index,
			   uint32_t start, uint32_t count, size_t *data_size);
/**
 * vfio_device_set_irqs - set up, mask, unmask or trigger interrupts
 * @a: checked here; a->data is as long as the rest of it says
 *
 * Return: 0; positive: so many vectors can be had; -EINVAL; or what the device answered.
 */
int vfio_device_set_irqs(struct vfio_open *o, const struct vfio_irq_set_args *a);
/**
 * vfio_device_ioeventfd - have @data written at @offset (region << 40 | offset) for each event
 * @flags: 1, 2, 4 or 8: the size of the write
 * @fd: the caller's eventfd; -1: no more
 *
 * Return: 0; -EINVAL; -ENOTTY: the device has none; or what the device answered.
 */
int vfio_device_ioeventfd(struct vfio_open *o, uint32_t flags, uint64_t offset, uint64_t data,
			  int fd);

/* ---- features (VFIO_DEVICE_FEATURE) ---- */

/** vfio_device_has_vf_token - true if the device is a PF, whose VFs' users must show a token. */
bool vfio_device_has_vf_token(const struct vfio_open *o);
/** vfio_device_set_vf_token - set that token, 16 bytes. Return 0; -ENOTTY: it has none. */
int vfio_device_set_vf_token(struct vfio_open *o, const uint8_t uuid[16]);

/**
 * vfio_device_has_low_power - true if the device can be put into low power
 */
static inline bool vfio_device_has_low_power(const struct vfio_open *o)
{
	return atomic_load(&o->bound) && o->dev->ops->low_power;
}
/**
 * vfio_device_low_power - put the device into low power, or take it out
 * @wake: the caller's eventfd, signalled when a use of the device ends low power; -1: none
 *
 * Return: 0; -EINVAL: it is in low power already; -EBADF, -EINVAL: @wake is no eventfd; -ENOTTY.
 */
int vfio_device_low_power(struct vfio_open *o, bool enter, int wake);
/**
 * vfio_device_use - the device is needed: a call begins that uses it
 *
 * Around each call of a device's file, as the kernel has it; a device in low power is awake until
 * the last vfio_device_unuse(). Accesses of mapped regions are no such calls.
 */
static inline void vfio_device_use(struct vfio_device *dev)
{
	atomic_fetch_add(&dev->users, 1);
	if (atomic_load(&dev->low_power))
		dev->ops->use(dev, true);
}
/** vfio_device_unuse - the call ended */
static inline void vfio_device_unuse(struct vfio_device *dev)
{
	if (atomic_fetch_sub(&dev->users, 1) == 1 && atomic_load(&dev->low_power))
		dev->ops->use(dev, false);
}
/**
 * vfio_device_migrate - return what the device migrates by (vfio/migrate.h), until the close; NULL:
 * it does not.
 */
struct vfio_migrate *vfio_device_migrate(const struct vfio_open *o);

/* ---- resets ---- */

/** vfio_device_reset - reset the device alone. Return 0; -EINVAL: there is no such reset. */
int vfio_device_reset(struct vfio_open *o);
/**
 * vfio_device_slot - tell what a reset of the device's slot resets
 * @out: gets the first @max places, in the order of the bus; one of a real device's slot that is
 *       not in this system has no group
 *
 * Return: how many there are; -ENODEV: there is no such reset; or what the kernel said of a real
 * device.
 */
int vfio_device_slot(struct vfio_open *o, struct vfio_place *out, unsigned max);
/**
 * vfio_device_slot_reset - reset all of the slot, open or not
 *
 * The caller has checked that the client has all its groups, which are open.
 *
 * Return: 0; -ENODEV: there is no such reset; -EINVAL: one of them is a VF, has no driver that can
 * take part, or is not the client's; -ENOMEM; or what the kernel said of a real device.
 */
int vfio_device_slot_reset(struct vfio_open *o);
#endif
