/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/irqfd.h: eventfds as VFIO uses them.
 * vfio_trigger: an eventfd to signal, duplicated when set (clients close theirs); signalling takes
 * no lock (RCU), replaced and dropped without a signal after.
 * vfio_virqfd: an eventfd to wait for (INTx unmask), served by the loop's thread.
 */
#ifndef VFIO_IRQFD_H
#define VFIO_IRQFD_H
#include <stdatomic.h>
#include <stdbool.h>

#include "base/loop.h"

/* 0 if @fd is an eventfd; -EBADF, -EINVAL. */
int vfio_check_eventfd(int fd);

struct vfio_trigger {
	atomic_int fd; /* private duplicate and how it is written (irqfd.c), or -1 */
};
void vfio_trigger_init(struct vfio_trigger *t);
/*
 * Duplicate the caller's @fd (>= 0), or drop (-1). On failure (-EBADF, -EINVAL, -EMFILE) the old
 * one stays. After return the old one is not signalled. Caller serialises sets. Not from within
 * rcu_read_begin/end: it waits for those who signal.
 */
int vfio_trigger_set(struct vfio_trigger *t, int fd);
/*
 * The same for many, with one wait: swap each (*@old gets what was there, to be released), then
 * release the lot. Until then the old ones may still be signalled.
 */
int vfio_trigger_swap(struct vfio_trigger *t, int fd, int *old);
void vfio_trigger_release(const int *old, unsigned n);
bool vfio_trigger_is_set(const struct vfio_trigger *t);
/*
 * Add 1 to the eventfd's counter. Any thread; a saturated counter is left as it is (never blocks).
 */
void vfio_trigger_signal(struct vfio_trigger *t);

struct vfio_virqfd;
/*
 * -EBADF, -EINVAL, -ENOMEM. @fn(arg) on the loop's thread for each signal; an eventfd that is
 * signalled already fires at once.
 */
int vfio_virqfd_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg,
		    struct vfio_virqfd **out);
/*
 * Has the program closed the eventfd under all its numbers? In the kernel such a virqfd goes by
 * itself; here the duplicate keeps the eventfd, so the one who would refuse a second virqfd asks
 * first. Reads /proc: slow. A descriptor that another process holds is not seen.
 */
bool vfio_virqfd_orphaned(const struct vfio_virqfd *v);
void vfio_virqfd_free(struct vfio_virqfd *v); /* when it returns @fn does not run and will not */
#endif
