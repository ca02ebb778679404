/* SPDX-License-Identifier: BSD-3-Clause */
/* base/loop_test.c: watches and timers; that taking one away waits for its callback; forks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/loop.h"
#include "base/sanitize.h"
#include "base/sys.h"

#define MS 1000000ull

struct count {
	atomic_int calls, busy;
	int fd;
	unsigned hold_us;
	struct loop_watch *w;
	struct loop_timer *t;
	bool free_self;
};

static void drain(void *arg)
{
	struct count *c = arg;
	uint64_t v;

	atomic_store(&c->busy, 1);
	if (c->hold_us)
		usleep(c->hold_us);
	assert_int_equal(read(c->fd, &v, 8), 8);
	if (c->free_self)
		loop_unwatch(c->w);
	atomic_fetch_add(&c->calls, 1);
	atomic_store(&c->busy, 0);
}

static void tick(void *arg)
{
	struct count *c = arg;

	atomic_store(&c->busy, 1);
	if (c->hold_us)
		usleep(c->hold_us);
	if (c->free_self)
		loop_timer_free(c->t);
	atomic_fetch_add(&c->calls, 1);
	atomic_store(&c->busy, 0);
}

static bool reaches(atomic_int *n, int v)
{
	for (int i = 0; i < 5000 && atomic_load(n) < v; i++)
		usleep(1000);
	return atomic_load(n) >= v;
}

static void test_watch(void **state)
{
	struct count c = { .fd = eventfd(0, EFD_NONBLOCK) };
	struct loop *l = loop_new();
	uint64_t one = 1;
	int err = 1, before[2] = { 0 };

	assert_non_null(l);
	/* an eventfd that is signalled already fires */
	write(c.fd, &one, 8);
	c.w = loop_watch(l, c.fd, drain, &c, &err);
	assert_non_null(c.w);
	assert_int_equal(err, 0);
	assert_true(reaches(&c.calls, 1));
	write(c.fd, &one, 8);
	assert_true(reaches(&c.calls, 2));
	/* twice the same descriptor, none, one that cannot be polled */
	assert_null(loop_watch(l, c.fd, drain, &c, &err));
	assert_int_equal(err, -EEXIST);
	assert_null(loop_watch(l, -1, drain, &c, &err));
	assert_int_equal(err, -EBADF);
	before[0] = open("/proc/self/exe", O_RDONLY);
	assert_null(loop_watch(l, before[0], drain, &c, &err));
	assert_int_equal(err, -EPERM);
	close(before[0]);
	loop_unwatch(c.w);
	write(c.fd, &one, 8);
	usleep(20000);
	assert_int_equal(atomic_load(&c.calls), 2);
	loop_free(l);
	close(c.fd);
}

/* When loop_unwatch returns, the callback that was running is over. */
static void test_unwatch_waits(void **state)
{
	struct count c = { .fd = eventfd(0, EFD_NONBLOCK), .hold_us = 30000 };
	struct loop *l = loop_new();
	uint64_t one = 1;

	c.w = loop_watch(l, c.fd, drain, &c, NULL);
	assert_non_null(c.w);
	write(c.fd, &one, 8);
	assert_true(reaches(&c.busy, 1));
	loop_unwatch(c.w);
	assert_int_equal(atomic_load(&c.busy), 0);
	assert_int_equal(atomic_load(&c.calls), 1);
	loop_free(l);
	close(c.fd);
}

static void test_from_callback(void **state)
{
	struct count c = { .fd = eventfd(0, EFD_NONBLOCK), .free_self = true },
		     t = { .free_self = true };
	struct loop *l = loop_new();
	uint64_t one = 1;

	c.w = loop_watch(l, c.fd, drain, &c, NULL);
	write(c.fd, &one, 8);
	assert_true(reaches(&c.calls, 1));
	write(c.fd, &one, 8);
	t.t = loop_timer_new(l, tick, &t);
	assert_non_null(t.t);
	loop_timer_set(t.t, 0);
	assert_true(reaches(&t.calls, 1));
	assert_int_equal(atomic_load(&c.calls), 1);
	loop_free(l);
	close(c.fd);
}

static atomic_int order[3], fired;

static void note(void *arg)
{
	atomic_store(&order[atomic_fetch_add(&fired, 1)], (int)(intptr_t)arg);
}

/* Due together, since the thread was busy: first the one that was due first. */
static void test_order(void **state)
{
	struct count busy = { .hold_us = 30000 };
	struct loop *l = loop_new();
	struct loop_timer *t[3];

	busy.t = loop_timer_new(l, tick, &busy);
	for (int i = 0; i < 3; i++)
		t[i] = loop_timer_new(l, note, (void *)(intptr_t)(i + 1));
	assert_true(busy.t && t[0] && t[1] && t[2]);
	loop_timer_set(busy.t, 0);
	assert_true(reaches(&busy.busy, 1));
	loop_timer_set(t[0], 3 * MS);
	loop_timer_set(t[1], 1 * MS);
	loop_timer_set(t[2], 2 * MS);
	assert_true(reaches(&fired, 3));
	assert_int_equal(atomic_load(&order[0]), 2);
	assert_int_equal(atomic_load(&order[1]), 3);
	assert_int_equal(atomic_load(&order[2]), 1);
	for (int i = 0; i < 3; i++)
		loop_timer_free(t[i]);
	loop_timer_free(busy.t);
	loop_free(l);
}

static void test_timers(void **state)
{
	struct count a = { 0 }, b = { 0 }, c = { 0 };
	struct loop *l = loop_new();
	uint64_t start;

	a.t = loop_timer_new(l, tick, &a);
	b.t = loop_timer_new(l, tick, &b);
	c.t = loop_timer_new(l, tick, &c);
	assert_true(a.t && b.t && c.t);
	start = now_ns();
	loop_timer_set(a.t, 60 * MS);
	loop_timer_set(b.t, 20 * MS); /* earlier than the one that is set */
	loop_timer_set(c.t, 10 * MS);
	loop_timer_set(c.t, UINT64_MAX); /* off */
	assert_true(reaches(&b.calls, 1));
	assert_true(now_ns() - start >= 20 * MS);
	assert_int_equal(atomic_load(&a.calls), 0);
	assert_true(reaches(&a.calls, 1));
	assert_true(now_ns() - start >= 60 * MS);
	assert_int_equal(atomic_load(&c.calls), 0);
	/* one-shot; far away; replaced */
	loop_timer_set(a.t, UINT64_MAX - 1);
	usleep(5000);
	assert_int_equal(atomic_load(&a.calls), 1);
	loop_timer_set(a.t, 1);
	assert_true(reaches(&a.calls, 2));
	assert_int_equal(atomic_load(&b.calls), 1);
	loop_timer_free(a.t);
	/* freeing one that runs waits */
	b.hold_us = 30000;
	loop_timer_set(b.t, 0);
	assert_true(reaches(&b.busy, 1));
	loop_timer_free(b.t);
	assert_int_equal(atomic_load(&b.calls), 2);
	loop_timer_free(c.t);
	loop_free(l);
}

/* Many watches that come and go while they are signalled: nothing is called that is gone. */
static void test_churn(void **state)
{
	struct loop *l = loop_new();
	uint64_t one = 1;

	for (int i = 0; i < 300; i++) {
		struct count *c = calloc(1, sizeof(*c));

		c->fd = eventfd(0, EFD_NONBLOCK);
		c->w = loop_watch(l, c->fd, drain, c, NULL);
		assert_non_null(c->w);
		write(c->fd, &one, 8);
		if (i % 3 == 0)
			reaches(&c->calls, 1);
		loop_unwatch(c->w);
		assert_int_equal(atomic_load(&c->busy), 0);
		close(c->fd);
		free(c);
	}
	loop_free(l);
}

static unsigned long long blocked_of_loop(void)
{
	unsigned long long blocked = 0;
	char path[64], line[256], name[64];
	FILE *f;

	/* the one other thread of this process */
	for (int id = getpid() + 1; id < getpid() + 4000; id++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/status", id);
		f = fopen(path, "r");
		if (!f)
			continue;
		name[0] = 0;
		while (fgets(line, sizeof(line), f)) {
			sscanf(line, "Name: %63s", name);
			if (!strcmp(name, "uvfio-loop"))
				sscanf(line, "SigBlk: %llx", &blocked);
		}
		fclose(f);
		if (blocked)
			break;
	}
	return blocked;
}

static void test_signals(void **state)
{
	unsigned long long want = ~0ull, got;
	struct count t = { 0 };
	struct loop *l = loop_new();
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	t.t = loop_timer_new(l, tick, &t);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_memory_equal(&before, &after, 8);
	loop_timer_set(t.t, 0);
	assert_true(reaches(&t.calls, 1));
	got = blocked_of_loop();
	for (int s = 1; s <= 64; s++)
		if (s == SIGSEGV || s == SIGBUS || s == SIGSYS || s == SIGKILL || s == SIGSTOP ||
		    s == 32 || s == 33)
			want &= ~(1ull << (s - 1));
	assert_int_equal(got, want);
	loop_timer_free(t.t);
	loop_free(l);
}

/* The child drops the parent's loop, makes its own; the parent's goes on. */
static void test_fork(void **state)
{
	struct count c = { .fd = eventfd(0, EFD_NONBLOCK) }, t = { 0 };
	struct loop *l = loop_new(), *own;
	uint64_t one = 1;
	int st, open_fds = 0;
	pid_t pid;

	c.w = loop_watch(l, c.fd, drain, &c, NULL);
	t.t = loop_timer_new(l, tick, &t);
	assert_true(c.w && t.t);
	pid = fork();
	if (!pid) {
		struct count mine = { 0 };

		loop_abandon(l);
		if (fd_is_private(c.fd))
			_exit(1);
		for (int i = 3; i < 20000; i++)
			open_fds += fd_is_private(i);
		if (open_fds)
			_exit(2);
#ifndef SANITIZED_THREAD /* which cannot start threads in such a child */
		own = loop_new();
		mine.t = loop_timer_new(own, tick, &mine);
		if (!mine.t)
			_exit(3);
		loop_timer_set(mine.t, 0);
		if (!reaches(&mine.calls, 1))
			_exit(4);
		loop_timer_free(mine.t);
		loop_free(own);
#else
		(void)own, (void)mine;
#endif
		/* owners of what hung on the parent's loop let go, in any order */
		if (loop_timer_new(l, tick, &t))
			_exit(5);
		loop_timer_set(t.t, 0);
		loop_unwatch(c.w);
		loop_timer_free(t.t);
		_exit(atomic_load(&c.calls) || atomic_load(&t.calls) ? 6 : 0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	write(c.fd, &one, 8);
	assert_true(reaches(&c.calls, 1));
	loop_timer_set(t.t, 0);
	assert_true(reaches(&t.calls, 1));
	loop_unwatch(c.w);
	loop_timer_free(t.t);
	loop_free(l);
	close(c.fd);
}

static atomic_bool gate;

static void stand(void *arg)
{
	struct count *c = arg;

	atomic_store(&c->busy, 1);
	while (!atomic_load(&gate))
		usleep(1000);
}

static void is_late(void *arg)
{
	struct count *c = arg;

	atomic_fetch_add(&c->calls, 1);
}

/* A callback that does not return for five seconds is told of once, where others are set. */
static void test_late(void **state)
{
	struct count c = { 0 }, other = { 0 };
	struct loop *l = loop_new();

	c.t = loop_timer_new(l, stand, &c);
	other.t = loop_timer_new(l, tick, &other);
	assert_non_null(c.t);
	assert_non_null(other.t);
	loop_timer_set_late(c.t, is_late);
	loop_timer_set(c.t, 0);
	assert_true(reaches(&c.busy, 1));
	loop_timer_set(other.t, 0);
	assert_int_equal(atomic_load(&c.calls), 0);
	usleep(5100000);
	loop_timer_set(other.t, 0);
	loop_timer_set(other.t, 0);
	assert_int_equal(atomic_load(&c.calls), 1);
	assert_int_equal(atomic_load(&other.calls), 0);
	atomic_store(&gate, true);
	assert_true(reaches(&other.calls, 1));
	loop_timer_set(other.t, UINT64_MAX);
	assert_int_equal(atomic_load(&c.calls), 1);
	loop_timer_free(c.t);
	loop_timer_free(other.t);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch),	      cmocka_unit_test(test_unwatch_waits),
		cmocka_unit_test(test_from_callback), cmocka_unit_test(test_timers),
		cmocka_unit_test(test_churn),	      cmocka_unit_test(test_signals),
		cmocka_unit_test(test_fork),	      cmocka_unit_test(test_order),
		cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
