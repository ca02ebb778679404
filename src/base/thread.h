/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/thread.h: threads of ours inside of a program that does not know about them. They take none
 * of its signals, and they run on any processor that the program was started on: a driver pins the
 * thread that opens a device, and a thread that inherited that would get its processor when the
 * driver is tired of polling.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H
#include <pthread.h>

/* Start a thread as pthread_create(3) does, @name of at most 15 characters. 0 or -errno. */
int thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg, const char *name);
/* Return on how many processors such threads run. */
unsigned thread_cpus(void);
#endif
