/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/keeper.h: eventfds for which the process has no number left, below its hard limit of open
 * files, which it may not raise. A thread with a table of descriptors of its own keeps them and
 * writes them: that costs some microseconds for each signal instead of a system call.
 *
 * Threads: any. One lock, a leaf, which taking and dropping hold while a keeper's thread works.
 */
#ifndef VFIO_KEEPER_H
#define VFIO_KEEPER_H

/**
 * vfio_keeper_take - have the eventfd @fd kept
 * @fd: a descriptor of the calling thread
 *
 * Return: a key; -EMFILE: there is no thread, no close_range(2), no /proc, or too many are kept;
 * -EINVAL: it is no eventfd.
 */
int vfio_keeper_take(int fd);
/**
 * vfio_keeper_signal - add 1 to its counter, unless that is full
 *
 * Between rcu_read_begin and rcu_read_end. It is done when this returns.
 */
void vfio_keeper_signal(int key);
/** vfio_keeper_drop - give it back, a grace period after the last signal could have begun */
void vfio_keeper_drop(int key);
/** vfio_keeper_abandon - forget all, in a forked child, which has none of the threads */
void vfio_keeper_abandon(void);
#endif
