/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/aio_signal.h: signalling an eventfd whose other owners want this process to wait in it. */
#ifndef VFIO_AIO_SIGNAL_H
#define VFIO_AIO_SIGNAL_H
#include <stdbool.h>

/**
 * aio_signal_ready - true if aio_signal() can be had in this process, which is prepared here
 *
 * May allocate and wait; a kernel without AIO has none.
 */
bool aio_signal_ready(void);
/**
 * aio_signal - add 1 to the counter of the eventfd @fd, which saturates. Does not block
 *
 * Return: true, or false if nothing was done.
 */
bool aio_signal(int fd);
#endif
