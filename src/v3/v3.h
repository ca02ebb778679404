/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/v3.h: the driver of July 2010 ("V3"): what its files /dev/vfioN and /dev/uiommu do, but for
 * decoding and copying, which is uapi's. include/uvfio/vfio_v3.h defines the interface, and
 * docs/history.md tells where it went.
 *
 * A device is a struct vfio_device, so that groups, claims and removal know it as any other; its
 * users come to it by a struct v3_opener each. All of it that is a user's decision is another than
 * today's: nothing is reset, config space has other rules, memory is the opener's and goes away
 * together with the program's.
 *
 * Memory arguments are the library's own. Errors are -errno, in V3's order. Threads: any.
 */
#ifndef V3_V3_H
#define V3_V3_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <urcu/list.h>

#include "vfio/open.h"

struct v3_device;
struct v3_domain;
struct v3_set;

/* ---- openers ---- */

struct v3_opener {
	struct vfio_open open; /* bound while it is open */
	struct v3_device *dev;
	struct v3_set *set;
	struct cds_list_head node, maps; /* in the set's list; its mappings, the newest first */
};

/**
 * v3_open - open the device at @place, which any number of openers of this process may
 *
 * Return: 0; -EBUSY: another process has it; -ENODEV: it has gone; or what could not be made of it.
 */
int v3_open(struct v3_opener *o, const struct vfio_place *place);
/**
 * v3_close - end it: its mappings go, and with the device's last opener its interrupts and domain
 */
void v3_close(struct v3_opener *o);

/* ---- regions, by their space: 0-5 BARs, 6 ROM, 15 config (bars.c, config.c) ---- */

#define V3_SPACE_ROM	6u
#define V3_SPACE_CONFIG 15u

/**
 * v3_check_rw - make the checks of read and write that come before any byte
 * @count: is cut at the end of the space, so that no byte behind is asked of the user
 *
 * Return: 0; -EINVAL: no domain (but to read config space), or no such space.
 */
int v3_check_rw(struct v3_opener *o, unsigned space, uint32_t pos, size_t *count, bool write);
/**
 * v3_rw - read or write a piece, after v3_check_rw()
 *
 * Return: bytes done, which may be fewer at the end; -EINVAL: @pos is behind it.
 */
ssize_t v3_rw(struct v3_opener *o, unsigned space, uint32_t pos, void *buf, size_t count,
	      bool write);
/** v3_check_map - may [@pos, @pos + @len) of @space be mapped, also to be written? 0 or -EINVAL */
int v3_check_map(struct v3_opener *o, unsigned space, uint32_t pos, uint64_t len, bool write);
/** v3_may_write - true if what is mapped of @space may be written: it is no ROM, and not guarded */
bool v3_may_write(const struct v3_opener *o, unsigned space, uint32_t pos, uint64_t len);
/* A BAR by its register; flags are those of include/uvfio/vfio_v3.h. */
struct v3_bar {
	uint64_t size;
	uint32_t flags;
};
/** v3_bar_info - describe BAR register @bar, 0-5, or the ROM, 6. -EINVAL: another */
int v3_bar_info(struct v3_opener *o, unsigned bar, struct v3_bar *out);
/** v3_bar_len - return the length of BAR register @bar, 0-5, or of the ROM, 6; -EINVAL: another */
int v3_bar_len(struct v3_opener *o, int bar, uint32_t *len);

/* ---- interrupts (irqs.c) ---- */

#define V3_MAX_VECTORS 1024
/** v3_eventfd_irq - signal INTx by @fd (negative: not any more). 0; -EBADF, -EINVAL. */
int v3_eventfd_irq(struct v3_opener *o, int fd);
/**
 * v3_messages - have MSI or MSI-X send vector i to @fds[i]; @n 0: have none
 *
 * Return: 0; positive: MSI-X has so many only, and none was enabled; -EINVAL: messages are on
 * already, or, to end them, these are not; there is no such capability; or of an eventfd: -EBADF,
 * -EINVAL.
 */
int v3_messages(struct v3_opener *o, bool msix, unsigned n, const int *fds);
/** v3_messages_check - may v3_messages() begin to enable? 0; -EINVAL: messages are on */
int v3_messages_check(struct v3_opener *o, bool msix, bool enable);
/** v3_reset - reset the device. 0; -EINVAL: there is no such reset; -ENOTTY: it is gone. */
int v3_reset(struct v3_opener *o);

/* ---- events (events.c) ---- */

struct v3_events;
/**
 * v3_events_new - have events of the device queued, from now on
 * @ready: called when there is one to be read and when there is none any more, with a lock held
 *
 * Return: the queue, or NULL: no memory. It is to be freed before the opener is closed.
 */
struct v3_events *v3_events_new(struct v3_opener *o, void (*ready)(void *arg, bool is), void *arg);
void v3_events_free(struct v3_events *e);
/**
 * v3_events_read - take whole messages
 * @put: copies a message to the reader, at @done: 0 or -EFAULT
 *
 * Return: bytes; -EAGAIN: there is none; -EINVAL: there is no room for one; -EFAULT.
 */
ssize_t v3_events_read(struct v3_events *e, size_t room,
		       int (*put)(void *arg, size_t done, const void *message, size_t n),
		       void *arg);

/* ---- memory (dma.c) ---- */

struct v3_dma {
	uint64_t vaddr, iova, size;
	bool write; /* the device may write it */
};

/** v3_domain_new - return an empty domain with one reference, or NULL: no memory */
struct v3_domain *v3_domain_new(struct vfio_system *s);
void v3_domain_get(struct v3_domain *d);
/** v3_domain_put - give a reference back; the last one frees it */
void v3_domain_put(struct v3_domain *d);
/** v3_has_domain - true if the device has one */
bool v3_has_domain(struct v3_opener *o);
/**
 * v3_domain_set - attach the device to @d
 *
 * Return: 0; -EBUSY: it has a domain; -EINVAL: interrupts are not remapped.
 */
int v3_domain_set(struct v3_opener *o, struct v3_domain *d);
/** v3_domain_unset - detach it. 0, also without a domain; -EBUSY: there are mappings */
int v3_domain_unset(struct v3_opener *o);
/**
 * v3_map - let the domain's devices reach memory
 *
 * Return: 0; or in this order: -EINVAL: alignment, size, too many pages; -ENOMEM: over
 * RLIMIT_MEMLOCK, or no memory; -EFAULT: a page is not there, or not with this right; -EINVAL: no
 * domain, or the window of interrupt messages; -EBUSY: something is mapped there; -EFAULT: beyond
 * the IOMMU's width.
 */
int v3_map(struct v3_opener *o, const struct v3_dma *m);
/** v3_unmap - undo the newest v3_map() of this memory. 0; -ENXIO: there is none. */
int v3_unmap(struct v3_opener *o, const struct v3_dma *m);
/** v3_locked_pages - return how many pages are mapped through the device */
uint64_t v3_locked_pages(struct vfio_device *dev);
/**
 * v3_memory_goes - the program's memory at [@addr, @addr + @len) is about to go away or change: all
 * mappings that have some of it are unmapped
 * @how: "munmap", for the log
 */
void v3_memory_goes(struct vfio_system *s, uint64_t addr, uint64_t len, const char *how);
/**
 * v3_forks - the process is about to fork: all mappings of private memory are unmapped
 * @is_private: tells whether memory is
 */
void v3_forks(struct vfio_system *s, bool (*is_private)(uint64_t addr, uint64_t len));
#endif
