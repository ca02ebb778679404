/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/loop.c: epoll and one timerfd, served by one thread. A watch is found by a number that is
 * never used again, not by its address, so that an event which was under way when its watch went is
 * seen to be nobody's.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <urcu/list.h>

#include "base/heap.h"
#include "base/loop.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/thread.h"

#define ID_TIMER 0u /* the timerfd's place among the watches' numbers */
#define EVENTS	 16
#define OFF	 UINT64_MAX
#define LATE_NS	 5000000000ull

struct loop {
	pthread_mutex_t lock; /* guards everything below; a leaf: callbacks run without it */
	pthread_cond_t done;  /* a callback returned that somebody waits for */
	struct cds_list_head watches, timers;
	uint64_t next_id;
	/*
	 * the watch or timer whose callback runs; NULL when it was taken away by its own callback
	 */
	const void *running;
	struct loop_timer *since_timer; /* that runs, and since when */
	uint64_t since;
	bool told; /* that it does not return */
	unsigned waiters;
	pthread_t thread;
	int epfd, tfd;
	uint64_t armed; /* what the timerfd is set to, absolute; OFF */
	bool started, stop, abandoned;
};

struct loop_watch {
	struct cds_list_head node;
	struct loop *loop;
	uint64_t id;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_timer {
	struct cds_list_head node;
	struct loop *loop;
	uint64_t due; /* absolute; OFF */
	void (*fn)(void *arg);
	void (*late)(void *arg); /* or NULL */
	void *arg;
};

struct loop *loop_new(void)
{
	struct loop *l = heap_alloc(sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->done, NULL);
	CDS_INIT_LIST_HEAD(&l->watches);
	CDS_INIT_LIST_HEAD(&l->timers);
	l->next_id = ID_TIMER + 1;
	l->epfd = l->tfd = -1;
	l->armed = OFF;
	return l;
}

/* Set the timerfd to the earliest timer, or to `at once` for a stop. Lock held. */
static void arm(struct loop *l)
{
	struct itimerspec its = { 0 };
	struct loop_timer *t;
	uint64_t due = OFF;

	if (l->tfd < 0)
		return;
	cds_list_for_each_entry(t, &l->timers, node) {
		if (t->due < due)
			due = t->due;
	}
	if (l->stop)
		due = 1;
	if (due == l->armed)
		return;
	l->armed = due;
	if (due != OFF) {
		its.it_value.tv_sec = (time_t)(due / 1000000000u);
		/* 0 of both would disarm; due is never 0 */
		its.it_value.tv_nsec = (long)(due % 1000000000u);
	}
	sys_call(SYS_timerfd_settime, l->tfd, TFD_TIMER_ABSTIME, (long)&its, 0, 0, 0);
}

/* Call @fn without the lock, and wake those that wait for its end. Lock held. */
static void run(struct loop *l, const void *who, void (*fn)(void *arg), void *arg)
{
	l->running = who;
	pthread_mutex_unlock(&l->lock);
	fn(arg);
	pthread_mutex_lock(&l->lock);
	l->running = NULL;
	if (l->waiters)
		pthread_cond_broadcast(&l->done);
}

static void run_timers(struct loop *l)
{
	uint64_t now = now_ns(), ticks;
	struct loop_timer *t, *first;

	sys_read(l->tfd, &ticks, sizeof(ticks));
	do {
		/*
		 * in the order of their times; looked for afresh, as a callback may change all of
		 * them
		 */
		first = NULL;
		cds_list_for_each_entry(t, &l->timers, node) {
			if (t->due <= now && (!first || t->due < first->due))
				first = t;
		}
		if (!first)
			break;
		first->due = OFF;
		l->since_timer = first;
		l->since = now_ns();
		l->told = false;
		run(l, first, first->fn, first->arg);
		l->since_timer = NULL;
	} while (!l->stop);
	l->armed = OFF; /* it fired or was set anew: arm() decides afresh */
	arm(l);
}

static void *serve(void *arg)
{
	struct epoll_event ev[EVENTS];
	struct loop *l = arg;
	struct loop_watch *w;
	long n;

	for (;;) {
		n = sys_call(SYS_epoll_pwait, l->epfd, (long)ev, EVENTS, -1, 0, 8);
		if (n < 0 && n != -EINTR) {
			report_err(
				"loop-broken", "loop", (int)n,
				"epoll_wait: %m: timers and unmask eventfds are no longer served");
			return NULL;
		}
		pthread_mutex_lock(&l->lock);
		for (long i = 0; i < n && !l->stop; i++) {
			if (ev[i].data.u64 == ID_TIMER) {
				run_timers(l);
				continue;
			}
			cds_list_for_each_entry(w, &l->watches, node) {
				if (w->id != ev[i].data.u64)
					continue;
				run(l, w, w->fn, w->arg);
				break;
			}
		}
		if (l->stop) {
			pthread_mutex_unlock(&l->lock);
			return NULL;
		}
		pthread_mutex_unlock(&l->lock);
	}
}

static void close_fds(struct loop *l)
{
	if (l->epfd >= 0)
		fd_close_private(l->epfd);
	if (l->tfd >= 0)
		fd_close_private(l->tfd);
	l->epfd = l->tfd = -1;
	l->armed = OFF;
}

static int private_fd(long fd)
{
	int rc;

	if (fd < 0)
		return (int)fd;
	rc = fd_make_private((int)fd);
	if (rc < 0)
		sys_close((int)fd);
	return rc;
}

/* Make descriptors and thread, at the first use. Lock held. */
static int start(struct loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = ID_TIMER };
	int rc;

	if (l->abandoned)
		return -ESHUTDOWN;
	if (l->started)
		return 0;
	rc = l->epfd = private_fd(fd_of_ours(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0));
	if (rc < 0)
		goto fail;
	rc = l->tfd = private_fd(
		fd_of_ours(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC, 0, 0));
	if (rc < 0)
		goto fail;
	rc = (int)sys_call(SYS_epoll_ctl, l->epfd, EPOLL_CTL_ADD, l->tfd, (long)&ev, 0, 0);
	if (rc < 0)
		goto fail;
	rc = thread_start(&l->thread, serve, l, "uvfio-loop");
	if (rc)
		goto fail;
	l->started = true;
	return 0;
fail:
	report_err("loop-thread", "loop", rc, "cannot start the service thread: %m");
	close_fds(l);
	return rc;
}

static void destroy(struct loop *l)
{
	pthread_cond_destroy(&l->done);
	pthread_mutex_destroy(&l->lock);
	heap_free(l);
}

static bool empty(struct loop *l)
{
	return cds_list_empty(&l->watches) && cds_list_empty(&l->timers);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->abandoned) {
		loop_abandon(l);
		return;
	}
	if (l->started) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		arm(l);
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	close_fds(l);
	destroy(l);
}

/*
 * The parent's thread may have held the lock, or waited: the lock is made anew, never taken. What
 * is still registered is freed by its owners (loop_unwatch, loop_timer_free), the loop itself with
 * the last of it.
 */
void loop_abandon(struct loop *l)
{
	if (!l)
		return;
	if (!l->abandoned) {
		pthread_mutex_init(&l->lock, NULL);
		pthread_cond_init(&l->done, NULL);
		l->abandoned = true;
		l->started = false;
		l->running = NULL;
		l->waiters = 0;
		/*
		 * the epoll object is shared with the parent: closing our descriptors takes nothing
		 * out of it
		 */
		close_fds(l);
	}
	if (empty(l))
		heap_free(l);
}

/* Wait until the callback of @who does not run, unless it is the caller. Lock held. */
static void settle(struct loop *l, const void *who)
{
	if (l->running != who)
		return;
	if (pthread_equal(pthread_self(), l->thread)) {
		l->running = NULL;
		return;
	}
	l->waiters++;
	while (l->running == who)
		pthread_cond_wait(&l->done, &l->lock);
	l->waiters--;
}

/* Take @node out, and wait for its callback. Lock held, and given up. */
static void drop(struct loop *l, struct cds_list_head *node, const void *who)
{
	bool last;

	cds_list_del(node);
	settle(l, who);
	last = l->abandoned && empty(l);
	pthread_mutex_unlock(&l->lock);
	if (last)
		heap_free(l);
}

struct loop_watch *loop_watch(struct loop *l, int fd, void (*fn)(void *arg), void *arg, int *err)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct loop_watch *w = heap_alloc(sizeof(*w));
	int rc = -ENOMEM;

	if (!w)
		goto out;
	w->loop = l;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	pthread_mutex_lock(&l->lock);
	rc = start(l);
	if (!rc) {
		ev.data.u64 = w->id = l->next_id++;
		rc = (int)sys_call(SYS_epoll_ctl, l->epfd, EPOLL_CTL_ADD, fd, (long)&ev, 0, 0);
	}
	if (!rc)
		cds_list_add(&w->node, &l->watches);
	pthread_mutex_unlock(&l->lock);
out:
	if (rc) {
		heap_free(w);
		w = NULL;
	}
	if (err)
		*err = rc;
	return w;
}

void loop_unwatch(struct loop_watch *w)
{
	struct loop *l;

	if (!w)
		return;
	l = w->loop;
	pthread_mutex_lock(&l->lock);
	if (l->epfd >= 0)
		sys_call(SYS_epoll_ctl, l->epfd, EPOLL_CTL_DEL, w->fd, 0, 0, 0);
	drop(l, &w->node, w);
	heap_free(w);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = heap_alloc(sizeof(*t));
	int rc;

	if (!t)
		return NULL;
	t->loop = l;
	t->due = OFF;
	t->fn = fn;
	t->arg = arg;
	pthread_mutex_lock(&l->lock);
	/* now, where a failure can be told, and not in loop_timer_set */
	rc = start(l);
	if (!rc)
		cds_list_add(&t->node, &l->timers);
	pthread_mutex_unlock(&l->lock);
	if (rc) {
		heap_free(t);
		t = NULL;
	}
	return t;
}

void loop_timer_set_late(struct loop_timer *t, void (*late)(void *arg))
{
	pthread_mutex_lock(&t->loop->lock);
	t->late = late;
	pthread_mutex_unlock(&t->loop->lock);
}

/* Tell of a timer's callback that holds up all others. Lock held. */
static void look_for_late(struct loop *l, uint64_t now)
{
	struct loop_timer *t = l->since_timer;

	if (!t || l->running != t || l->told || now - l->since < LATE_NS || !t->late)
		return;
	l->told = true;
	t->late(t->arg);
}

void loop_timer_set(struct loop_timer *t, uint64_t ns_from_now)
{
	struct loop *l = t->loop;
	uint64_t now;

	pthread_mutex_lock(&l->lock);
	if (ns_from_now == OFF) {
		/*
		 * the timerfd stays as it is: waking up once for nothing is cheaper than a system
		 * call for each timer that is put off
		 */
		t->due = OFF;
	} else {
		now = now_ns();
		look_for_late(l, now);
		/* INT64_MAX: what fits the kernel's ktime_t */
		t->due = ns_from_now > (uint64_t)INT64_MAX - now ? (uint64_t)INT64_MAX
								 : now + ns_from_now;
		if (t->due < l->armed)
			arm(l);
	}
	pthread_mutex_unlock(&l->lock);
}

void loop_timer_free(struct loop_timer *t)
{
	struct loop *l;

	if (!t)
		return;
	l = t->loop;
	pthread_mutex_lock(&l->lock);
	t->due = OFF;
	drop(l, &t->node, t);
	heap_free(t);
}
