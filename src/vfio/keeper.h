/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/keeper.h: eventfds for which the process has no number left, below its hard limit of open
 * files, which it may not raise. A thread with a table of descriptors of its own keeps them and
 * writes them: that costs some microseconds for each signal instead of a system call.
 */
#ifndef VFIO_KEEPER_H
#define VFIO_KEEPER_H

/*
 * A key for the eventfd that is the calling thread's descriptor @fd, or -EMFILE: no thread, no
 * close_range(2), no /proc, or too many. -EINVAL: no eventfd.
 */
int vfio_keeper_take(int fd);
/* Add 1 to its counter, unless it is full: done when this returns. Under RCU. */
void vfio_keeper_signal(int key);
/* After a grace period since the last who could signal it. */
void vfio_keeper_drop(int key);
/* In a forked child, which has none of the threads. */
void vfio_keeper_abandon(void);
#endif
