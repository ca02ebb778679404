/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/events.h: descriptors that uvfio_vm_dispatch() waits for: eventfds of interrupts, timers,
 * errors and requests of devices. A handler of a device's interrupts runs with the device's lock
 * held, under which it is also added and removed: so when vm_watch_del() returns it does not run
 * and will not. Others (VM_WATCH_FREE) run with no lock, and may do anything about the device.
 */
#ifndef VMM_EVENTS_H
#define VMM_EVENTS_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct uvfio_vm;
struct uvfio_vm_device;

typedef void vm_event_fn(struct uvfio_vm_device *dev, uint64_t arg);

struct vm_watch; /* one entry of the table; events.c */

struct vm_events {
	int epoll, wake;
	pthread_mutex_t lock; /* guards what follows; a leaf */
	pthread_cond_t idle;  /* a free handler returned, or who dispatched */
	struct vm_watch *watches;
	unsigned num_watches, first_free;
	struct uvfio_vm_device *running; /* whose free handler runs, and in which thread */
	pthread_t runner;
	bool dispatching, stopping;
	bool has_thread; /* of the library's, until vm_events_stop() */
	pthread_t thread;
};

/* Make the table of @vm. 0 or -errno. */
int vm_events_init(struct uvfio_vm *vm);
/* End the thread, if there is one, wait for a call that dispatches, and dispatch nothing more. */
void vm_events_stop(struct uvfio_vm *vm);
/* It was stopped, and nothing is watched. */
void vm_events_fini(struct uvfio_vm *vm);

/*
 * Watch @fd, an eventfd or timerfd of the caller's, from now on: read it, and call @fn(@dev, @arg)
 * with the lock of @dev held, which the caller holds. Return the number of the watch (0 and up), or
 * -errno.
 */
int vm_watch_add(struct uvfio_vm_device *dev, int fd, vm_event_fn *fn, uint64_t arg);
/* The same, but @fn is called with no lock, and the caller holds none. */
int vm_watch_add_free(struct uvfio_vm_device *dev, int fd, vm_event_fn *fn, uint64_t arg);
/* Have a watch of the first kind sleep, or wake it (@on), with the lock. Events wait meanwhile. */
void vm_watch_set(struct uvfio_vm_device *dev, int watch, bool on);
/*
 * End a watch (-1: nothing happens), with the lock of its device held. An event that nobody has
 * read stays in the descriptor.
 */
void vm_watch_del(struct uvfio_vm_device *dev, int watch);
/* End a watch of the second kind, without the lock: waits for its handler, if another thread's. */
void vm_watch_del_free(struct uvfio_vm_device *dev, int watch);
#endif
