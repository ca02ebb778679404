/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/irqfd.h: eventfds as VFIO uses them.
 * struct vfio_trigger: one to signal. It is duplicated when it is set, as clients close theirs, or
 * taken over (client_keep_fd()).
 * struct vfio_virqfd: one to wait for (INTx unmask), served by the loop's thread.
 *
 * Threads: a trigger is signalled by any number, without a lock (RCU); the caller has one at a time
 * change it. Functions that say that they wait are not for a thread that is between rcu_read_begin
 * and rcu_read_end.
 */
#ifndef VFIO_IRQFD_H
#define VFIO_IRQFD_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

/** vfio_check_eventfd - return 0: @fd is an eventfd; -EBADF; -EINVAL: it is something else */
int vfio_check_eventfd(int fd);

struct vfio_trigger {
	atomic_int fd; /* private duplicate and how it is written (irqfd.c), or -1 */
	/* since it was set last: how often it was written, and when at first (now_ns()) */
	atomic_ullong signals, first;
};
/** vfio_trigger_init - make a trigger that signals nothing */
void vfio_trigger_init(struct vfio_trigger *t);
/**
 * vfio_trigger_set - have @t signal another eventfd
 * @fd: the caller's descriptor, for client_keep_fd(); -1: none
 *
 * Waits for the threads that signal: when it returns nobody signals the old one.
 *
 * Return: 0; -EBADF, -EINVAL, -EMFILE: then the old one stays.
 */
int vfio_trigger_set(struct vfio_trigger *t, int fd);
/**
 * vfio_trigger_swap - the same for one of several, that shall wait once
 * @old: gets what was there, for vfio_trigger_release(), until which it may still be signalled
 */
int vfio_trigger_swap(struct vfio_trigger *t, int fd, int *old);
/** vfio_trigger_release - wait, and close the @n eventfds of @old */
void vfio_trigger_release(const int *old, unsigned n);
/** vfio_trigger_is_set - true if it signals an eventfd */
bool vfio_trigger_is_set(const struct vfio_trigger *t);
/**
 * vfio_trigger_signal - add 1 to the eventfd's counter; a full one stays. Does not block.
 *
 * Return: how often that was done since the eventfd was set; 0: there is none.
 */
uint64_t vfio_trigger_signal(struct vfio_trigger *t);
/**
 * vfio_trigger_unread - true if nobody has read the eventfd since it was set
 *
 * It is certain then: the counter has all signals, and nobody in this process hears of them without
 * reading (KVM, io_uring, an edge-triggered epoll). Reads /proc, which is slow. Of a client that is
 * another process (base/client.h) it is never true.
 */
bool vfio_trigger_unread(const struct vfio_trigger *t);

/**
 * vfio_trigger_request - signal REQ by @t: the host wants the device @name back, for the @count-th
 * time from 0 on; or say that nobody hears it, as the kernel's vfio_pci_core_request()
 */
void vfio_trigger_request(struct vfio_trigger *t, const char *name, unsigned count);

struct vfio_virqfd;
/**
 * vfio_virqfd_new - wait for an eventfd
 * @l: whose thread calls @fn for each signal, at once if it is signalled already
 * @fd: the caller's descriptor, for client_keep_fd()
 * @out: gets the virqfd, before @fn can be called
 *
 * Return: 0, -EBADF, -EINVAL, -EMFILE, -ENOMEM.
 */
int vfio_virqfd_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg,
		    struct vfio_virqfd **out);
/**
 * vfio_virqfd_orphaned - true if the program closed the eventfd under all its numbers
 *
 * In the kernel such a virqfd goes by itself; here the duplicate keeps the eventfd, so a caller
 * that would refuse a second virqfd asks first. Reads /proc, which is slow. A descriptor that
 * another process holds is not seen; of a client that is one (base/client.h), it is never true.
 */
bool vfio_virqfd_orphaned(const struct vfio_virqfd *v);
/** vfio_virqfd_free - end it (@v may be NULL): when it returns @fn does not run, and will not */
void vfio_virqfd_free(struct vfio_virqfd *v);
#endif
