/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/events.c: the descriptors that uvfio_vm_dispatch() waits for. An entry of the table has a
 * generation, which is in the epoll's event too: an event of an entry that was given up, and maybe
 * used again since, is dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/thread.h"
#include "vmm/internal.h"

#define NO_WATCH UINT32_MAX
#define BATCH	 16

struct vm_watch {
	struct uvfio_vm_device *dev; /* NULL: free; arg is the next free one then */
	vm_event_fn *fn;
	uint64_t arg;
	int fd;
	uint32_t generation;
	bool is_free; /* called without lock */
	bool asleep;  /* vm_watch_set() */
};

static uint64_t event_of(unsigned index, uint32_t generation)
{
	return (uint64_t)generation << 32 | index;
}

/* epoll_ctl(2): 0 or -errno. */
static int epoll_change(struct vm_events *e, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return (int)sys_call(SYS_epoll_ctl, e->epoll, op, fd, (long)&ev, 0, 0);
}

int vm_events_init(struct uvfio_vm *vm)
{
	struct vm_events *e = &vm->events;
	int rc;

	e->epoll = (int)fd_of_ours(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0);
	if (e->epoll < 0)
		return e->epoll;
	rc = e->wake = vm_eventfd();
	if (rc < 0)
		goto fail_epoll;
	rc = epoll_change(e, EPOLL_CTL_ADD, e->wake, EPOLLIN, NO_WATCH);
	if (rc)
		goto fail;
	e->first_free = NO_WATCH;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->idle, NULL);
	return 0;
fail:
	sys_close(e->wake);
fail_epoll:
	sys_close(e->epoll);
	return rc;
}

void vm_events_stop(struct uvfio_vm *vm)
{
	struct vm_events *e = &vm->events;

	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	eventfd_write(e->wake, 1);
	/* a call of the monitor's that began before comes back first */
	while (e->dispatching && !e->has_thread)
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
	if (e->has_thread) {
		pthread_join(e->thread, NULL);
		e->has_thread = false;
		e->dispatching = false;
	}
}

void vm_events_fini(struct uvfio_vm *vm)
{
	struct vm_events *e = &vm->events;

	free(e->watches);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	sys_close(e->wake);
	sys_close(e->epoll);
}

/* Take a free entry, making the table larger if there is none. The lock is held. */
static int take_entry(struct vm_events *e, unsigned *index)
{
	if (e->first_free == NO_WATCH) {
		unsigned more = e->num_watches ? e->num_watches * 2 : 16;
		struct vm_watch *w = realloc(e->watches, more * sizeof(*w));

		if (!w)
			return -ENOMEM;
		for (unsigned i = more; i-- > e->num_watches;) {
			w[i] = (struct vm_watch){ .arg = e->first_free };
			e->first_free = i;
		}
		e->watches = w;
		e->num_watches = more;
	}
	*index = e->first_free;
	e->first_free = (unsigned)e->watches[*index].arg;
	return 0;
}

/* The lock is held. */
static void give_entry(struct vm_events *e, unsigned index)
{
	struct vm_watch *w = &e->watches[index];

	*w = (struct vm_watch){ .generation = w->generation + 1, .arg = e->first_free };
	e->first_free = index;
}

static int add(struct uvfio_vm_device *dev, int fd, vm_event_fn *fn, uint64_t arg, bool is_free)
{
	struct vm_events *e = &dev->vm->events;
	unsigned index;
	int rc;

	pthread_mutex_lock(&e->lock);
	rc = take_entry(e, &index);
	if (rc)
		goto out;
	e->watches[index].dev = dev;
	e->watches[index].fn = fn;
	e->watches[index].arg = arg;
	e->watches[index].fd = fd;
	e->watches[index].is_free = is_free;
	rc = epoll_change(e, EPOLL_CTL_ADD, fd, EPOLLIN,
			  event_of(index, e->watches[index].generation));
	if (rc)
		give_entry(e, index);
out:
	pthread_mutex_unlock(&e->lock);
	return rc ? rc : (int)index;
}

int vm_watch_add(struct uvfio_vm_device *dev, int fd, vm_event_fn *fn, uint64_t arg)
{
	return add(dev, fd, fn, arg, false);
}

int vm_watch_add_free(struct uvfio_vm_device *dev, int fd, vm_event_fn *fn, uint64_t arg)
{
	return add(dev, fd, fn, arg, true);
}

void vm_watch_set(struct uvfio_vm_device *dev, int watch, bool on)
{
	struct vm_events *e = &dev->vm->events;
	struct vm_watch *w;

	pthread_mutex_lock(&e->lock);
	w = &e->watches[watch];
	if (w->asleep == on) {
		w->asleep = !on;
		/* it is there, so this takes no memory and does not fail */
		epoll_change(e, EPOLL_CTL_MOD, w->fd, on ? EPOLLIN : 0,
			     event_of((unsigned)watch, w->generation));
	}
	pthread_mutex_unlock(&e->lock);
}

void vm_watch_del(struct uvfio_vm_device *dev, int watch)
{
	struct vm_events *e = &dev->vm->events;

	if (watch < 0)
		return;
	pthread_mutex_lock(&e->lock);
	epoll_change(e, EPOLL_CTL_DEL, e->watches[watch].fd, 0, 0);
	give_entry(e, (unsigned)watch);
	pthread_mutex_unlock(&e->lock);
}

void vm_watch_del_free(struct uvfio_vm_device *dev, int watch)
{
	struct vm_events *e = &dev->vm->events;

	vm_watch_del(dev, watch);
	pthread_mutex_lock(&e->lock);
	while (e->running == dev && !pthread_equal(e->runner, pthread_self()))
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

/* Return the watch of an event, if it is still that one: the lock is held. */
static struct vm_watch *watch_of(struct vm_events *e, uint64_t event)
{
	uint32_t index = (uint32_t)event;

	if (index >= e->num_watches || !e->watches[index].dev ||
	    e->watches[index].generation != (uint32_t)(event >> 32))
		return NULL;
	return &e->watches[index];
}

/* Call a handler without locks. The events' lock is held, and given up meanwhile. */
static void call_free(struct vm_events *e, const struct vm_watch *w)
{
	struct uvfio_vm_device *dev = w->dev;
	vm_event_fn *fn = w->fn;
	uint64_t arg = w->arg;

	e->running = dev;
	e->runner = pthread_self();
	pthread_mutex_unlock(&e->lock);
	fn(dev, arg);
	pthread_mutex_lock(&e->lock);
	e->running = NULL;
	pthread_cond_broadcast(&e->idle);
}

/*
 * Do what one event asks for: true if there was something. A device with a watch is there; to be
 * there still when its lock is taken it is entered, which fails only where it is on its way out,
 * and all its interrupts are: then the watch stays silent until it is ended.
 */
static bool handle(struct vm_events *e, uint64_t event)
{
	struct uvfio_vm_device *dev;
	struct vm_watch *w, now;
	uint64_t count;
	bool did = false;

	pthread_mutex_lock(&e->lock);
	w = watch_of(e, event);
	if (w && !w->is_free && !vm_enter(w->dev)) {
		epoll_change(e, EPOLL_CTL_MOD, w->fd, 0, event);
		w = NULL;
	}
	if (!w) {
		pthread_mutex_unlock(&e->lock);
		return false;
	}
	if (w->is_free) {
		did = sys_read(w->fd, &count, sizeof(count)) == sizeof(count);
		if (did)
			call_free(e, w);
		pthread_mutex_unlock(&e->lock);
		return did;
	}
	dev = w->dev;
	pthread_mutex_unlock(&e->lock);
	pthread_mutex_lock(&dev->lock);
	pthread_mutex_lock(&e->lock);
	w = watch_of(e, event);
	if (w && w->asleep)
		w = NULL;
	if (w)
		now = *w;
	pthread_mutex_unlock(&e->lock);
	/* while the device's lock is held nobody ends the watch, nor closes the descriptor */
	if (w && sys_read(now.fd, &count, sizeof(count)) == sizeof(count)) {
		now.fn(dev, now.arg);
		did = true;
	}
	pthread_mutex_unlock(&dev->lock);
	vm_leave(dev);
	return did;
}

int uvfio_vm_fd(struct uvfio_vm *vm)
{
	return vm->events.epoll;
}

static int dispatch(struct uvfio_vm *vm, int timeout_ms)
{
	struct vm_events *e = &vm->events;
	struct epoll_event ev[BATCH];
	int n = epoll_wait(e->epoll, ev, BATCH, timeout_ms), did = 0;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		if (ev[i].data.u64 != NO_WATCH)
			did += handle(e, ev[i].data.u64);
	return did;
}

/* Become the one thread that dispatches: false: there is one, or it ends. */
static bool begin(struct vm_events *e)
{
	bool free;

	pthread_mutex_lock(&e->lock);
	free = !e->dispatching && !e->stopping;
	if (free)
		e->dispatching = true;
	pthread_mutex_unlock(&e->lock);
	return free;
}

static void end(struct vm_events *e)
{
	pthread_mutex_lock(&e->lock);
	e->dispatching = false;
	/* under the lock: after it the guest may be gone */
	pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
}

int uvfio_vm_dispatch(struct uvfio_vm *vm, int timeout_ms)
{
	VM_CALL();
	int rc;

	if (!begin(&vm->events))
		return vm_fail(vm, -EBUSY, "another thread dispatches");
	rc = dispatch(vm, timeout_ms);
	end(&vm->events);
	return rc;
}

static bool is_stopping(struct vm_events *e)
{
	bool stopping;

	pthread_mutex_lock(&e->lock);
	stopping = e->stopping;
	pthread_mutex_unlock(&e->lock);
	return stopping;
}

static void *run(void *arg)
{
	struct uvfio_vm *vm = arg;

	while (!is_stopping(&vm->events))
		if (dispatch(vm, -1) < 0)
			break;
	return NULL;
}

int uvfio_vm_start_thread(struct uvfio_vm *vm)
{
	VM_CALL();
	int rc;

	if (!begin(&vm->events))
		return vm_fail(vm, -EBUSY, "another thread dispatches");
	rc = thread_start(&vm->events.thread, run, vm, "uvfio-vm");
	if (rc) {
		end(&vm->events);
		return vm_fail(vm, rc, "no thread: %s", strerror(-rc));
	}
	vm->events.has_thread = true;
	return 0;
}
