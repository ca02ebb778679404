/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/irqfd_test.c: triggers and virqfds: what is refused, duplicates that outlive the client's
 * descriptor, full counters, replacement under fire.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/client.h"
#include "base/sys.h"
#include "vfio/irqfd.h"

static uint64_t count_of(int fd)
{
	uint64_t n = 0;
	int fl = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, fl | O_NONBLOCK);
	if (read(fd, &n, sizeof(n)) != sizeof(n))
		n = 0;
	fcntl(fd, F_SETFL, fl);
	return n;
}

static void what_is_an_eventfd(void **state)
{
	int ev = eventfd(0, 0), null = open("/dev/null", O_RDWR), p[2], own;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(vfio_check_eventfd(ev), 0);
	assert_int_equal(vfio_check_eventfd(null), -EINVAL);
	assert_int_equal(vfio_check_eventfd(p[1]), -EINVAL);
	assert_int_equal(vfio_check_eventfd(-1), -EBADF);
	assert_int_equal(vfio_check_eventfd(-2), -EBADF);
	assert_int_equal(vfio_check_eventfd(9999999), -EBADF);
	own = fd_dup_private(ev);
	assert_true(own >= 0);
	/* ours is not the program's to give */
	assert_int_equal(vfio_check_eventfd(own), -EBADF);
	fd_close_private(own);
	close(null);
	close(p[0]);
	close(p[1]);
	close(ev);
	assert_int_equal(vfio_check_eventfd(ev), -EBADF);
}

static void trigger_outlives_the_descriptor(void **state)
{
	int ev = eventfd(0, 0), ev2 = dup(ev);
	struct vfio_trigger t;

	vfio_trigger_init(&t);
	assert_false(vfio_trigger_is_set(&t));
	vfio_trigger_signal(&t);
	assert_int_equal(vfio_trigger_set(&t, ev), 0);
	assert_true(vfio_trigger_is_set(&t));
	close(ev);
	vfio_trigger_signal(&t);
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(ev2), 2);
	/* a failure leaves it */
	assert_int_equal(vfio_trigger_set(&t, 9999999), -EBADF);
	assert_int_equal(vfio_trigger_set(&t, 0 + open("/dev/null", O_RDONLY)), -EINVAL);
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(ev2), 1);
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	assert_false(vfio_trigger_is_set(&t));
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(ev2), 0);
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	close(ev2);
}

/* One that its sender gave is not duplicated; what is none is closed. */
static void given_is_taken_over(void **state)
{
	int ev = eventfd(0, EFD_NONBLOCK), dup_ = dup(ev), p[2], fds[2];
	struct vfio_trigger t;

	vfio_trigger_init(&t);
	assert_int_equal(pipe(p), 0);
	fds[0] = p[1];
	fds[1] = ev;
	client_given = (struct client_given){ .fds = fds, .num_fds = 2 };
	assert_int_equal(vfio_trigger_set(&t, dup_), 0); /* not given: duplicated */
	assert_int_equal(fds[0] + fds[1], p[1] + ev);
	assert_int_equal(vfio_trigger_set(&t, ev), 0);
	assert_int_equal(fds[1], -1);
	assert_true(fd_is_private(ev));
	assert_int_equal(vfio_trigger_set(&t, p[1]), -EINVAL);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(dup_), 1);
	client_given = (struct client_given){ 0 };
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	assert_int_equal(fcntl(ev, F_GETFD), -1);
	close(p[0]);
	close(dup_);
}

/* A table in /proc that was opened says the same as the path; one of nothing is not believed. */
static void table_tells(void **state)
{
	int ev = eventfd(0, EFD_NONBLOCK), p[2];
	struct vfio_trigger t;

	vfio_trigger_init(&t);
	assert_int_equal(pipe(p), 0);
	client_given.table = open("/proc/thread-self/fd", O_PATH | O_DIRECTORY);
	assert_true(client_given.table > 0);
	assert_int_equal(vfio_trigger_set(&t, ev), 0);
	assert_int_equal(vfio_trigger_set(&t, p[1]), -EINVAL);
	assert_int_equal(vfio_trigger_set(&t, client_given.table), -EINVAL);
	close(client_given.table);
	client_given.table = open("/proc/sys", O_PATH | O_DIRECTORY);
	assert_int_equal(vfio_trigger_set(&t, ev), 0);
	assert_int_equal(vfio_trigger_set(&t, p[1]), -EINVAL);
	close(client_given.table);
	client_given = (struct client_given){ 0 };
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	close(p[0]);
	close(p[1]);
	close(ev);
}

/* ---- no number is left, and the limit cannot be raised ---- */

#define FEW 32

static void no_numbers(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit rl = { FEW, FEW };

	if (syscall(SYS_capget, &head, data))
		_exit(101);
	data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &head, data) || setrlimit(RLIMIT_NOFILE, &rl))
		_exit(102);
	while (dup(0) >= 0)
		;
}

/* CHECK of a child */
#define OR_EXIT(x)                                 \
	do {                                       \
		if (!(x))                          \
			_exit(__LINE__ % 100 + 1); \
	} while (0)

static void signalled_without_numbers(void)
{
	enum { N = 100, EVENTS = 4 };
	struct vfio_trigger t[N];
	int ev[EVENTS], null = open("/dev/null", O_RDWR);
	uint64_t full = UINT64_MAX - 1;

	for (int i = 0; i < EVENTS; i++)
		OR_EXIT((ev[i] = eventfd(0, i % 2 ? EFD_NONBLOCK : 0)) >= 0);
	no_numbers();
	for (int i = 0; i < N; i++) {
		vfio_trigger_init(&t[i]);
		OR_EXIT(!vfio_trigger_set(&t[i], ev[i % EVENTS]) && vfio_trigger_is_set(&t[i]));
	}
	OR_EXIT(vfio_trigger_set(&t[0], null) == -EINVAL);
	OR_EXIT(vfio_trigger_set(&t[0], -7) == 0); /* gone */
	OR_EXIT(!vfio_trigger_set(&t[0], ev[0]));
	for (int i = 0; i < N; i++)
		vfio_trigger_signal(&t[i]);
	for (int i = 0; i < EVENTS; i++)
		OR_EXIT(count_of(ev[i]) == N / EVENTS);
	/* a full counter is left alone, blocking or not */
	for (int i = 0; i < 2; i++) {
		OR_EXIT(write(ev[i], &full, 8) == 8);
		vfio_trigger_signal(&t[i]);
		OR_EXIT(count_of(ev[i]) == full);
	}
	/* replaced: the old one hears nothing; and the program may close its own */
	OR_EXIT(!vfio_trigger_set(&t[0], ev[1]));
	vfio_trigger_signal(&t[0]);
	OR_EXIT(!count_of(ev[0]) && count_of(ev[1]) == 1);
	close(ev[2]);
	OR_EXIT(dup(0) == ev[2]);
	vfio_trigger_signal(&t[2]);
	for (int i = 0; i < N; i++)
		OR_EXIT(!vfio_trigger_set(&t[i], -1));
	/* and again, with a number free: it takes that, like any other */
	close(ev[2]);
	OR_EXIT(!vfio_trigger_set(&t[0], ev[1]));
	vfio_trigger_signal(&t[0]);
	OR_EXIT(count_of(ev[1]) == 1);
	_exit(0);
}

static void trigger_without_numbers(void **state)
{
	pid_t pid = fork();
	int st;

	if (!pid)
		signalled_without_numbers();
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void replaced_is_not_signalled(void **state)
{
	int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK), old[3];
	struct vfio_trigger t, u;

	vfio_trigger_init(&t);
	vfio_trigger_init(&u);
	assert_int_equal(vfio_trigger_set(&t, a), 0);
	assert_int_equal(vfio_trigger_set(&t, b), 0);
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(a), 0);
	assert_int_equal(count_of(b), 1);
	/* the same eventfd for several vectors is legal */
	assert_int_equal(vfio_trigger_set(&u, b), 0);
	vfio_trigger_signal(&t);
	vfio_trigger_signal(&u);
	assert_int_equal(count_of(b), 2);
	assert_int_equal(vfio_trigger_swap(&t, -1, &old[0]), 0);
	assert_int_equal(vfio_trigger_swap(&t, -1, &old[1]), 0);
	assert_int_equal(vfio_trigger_swap(&u, -1, &old[2]), 0);
	vfio_trigger_release(old, 3);
	close(a);
	close(b);
}

/*
 * The client alone can fill a counter. Whether its description blocks or not, a signal returns and
 * the counter is as it was.
 */
static void full_counter_never_blocks(void **state)
{
	const int flags[] = { 0, EFD_NONBLOCK, EFD_SEMAPHORE };
	const uint64_t full = UINT64_MAX - 1;

	for (unsigned i = 0; i < 3; i++) {
		int ev = eventfd(0, flags[i]);
		struct vfio_trigger t;

		vfio_trigger_init(&t);
		assert_int_equal(vfio_trigger_set(&t, ev), 0);
		assert_int_equal(write(ev, &full, sizeof(full)), sizeof(full));
		alarm(5);
		vfio_trigger_signal(&t);
		alarm(0);
		assert_true(count_of(ev) == (flags[i] == EFD_SEMAPHORE ? 1 : full));
		assert_int_equal(vfio_trigger_set(&t, -1), 0);
		close(ev);
	}
}

/* One that was sent has another owner, who may make it a blocking one, and full, at any time. */
static void given_never_blocks(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	int theirs = eventfd(0, EFD_NONBLOCK), ours = dup(theirs);
	struct vfio_trigger t;

	vfio_trigger_init(&t);
	client_given = (struct client_given){ .fds = &ours, .num_fds = 1 };
	assert_int_equal(vfio_trigger_set(&t, ours), 0);
	client_given = (struct client_given){ 0 };
	/* more than the kernel has room to note */
	for (unsigned i = 0; i < 10000; i++)
		vfio_trigger_signal(&t);
	assert_int_equal(count_of(theirs), 10000);
	assert_int_equal(fcntl(theirs, F_SETFL, 0), 0);
	assert_int_equal(write(theirs, &full, sizeof(full)), sizeof(full));
	alarm(5);
	for (unsigned i = 0; i < 10; i++)
		vfio_trigger_signal(&t);
	alarm(0);
	assert_true(count_of(theirs) >= full);
	vfio_trigger_signal(&t);
	assert_int_equal(count_of(theirs), 1);
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	close(theirs);
}

struct fire {
	struct vfio_trigger t;
	atomic_bool stop;
};

static void *fire(void *arg)
{
	struct fire *f = arg;

	while (!atomic_load(&f->stop))
		vfio_trigger_signal(&f->t);
	return NULL;
}

static void replaced_under_fire(void **state)
{
	int ev[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, 0) };
	struct fire f = { 0 };
	pthread_t th[2];

	vfio_trigger_init(&f.t);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&th[i], NULL, fire, &f), 0);
	for (unsigned i = 0; i < 300; i++) {
		int fd = i % 3 == 2 ? -1 : ev[i & 1];

		assert_int_equal(vfio_trigger_set(&f.t, fd), 0);
		for (unsigned k = 0; k < 2; k++) {
			count_of(ev[k]);
			if (ev[k] == fd)
				continue;
			usleep(20);
			assert_int_equal(count_of(ev[k]), 0);
		}
	}
	atomic_store(&f.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(vfio_trigger_set(&f.t, -1), 0);
	close(ev[0]);
	close(ev[1]);
}

static atomic_uint calls;

static void called(void *arg)
{
	assert_ptr_equal(arg, &calls);
	atomic_fetch_add(&calls, 1);
}

static void wait_calls(unsigned n)
{
	for (unsigned i = 0; i < 4000 && atomic_load(&calls) < n; i++)
		usleep(500);
	assert_int_equal(atomic_load(&calls), n);
}

static void virqfd_is_served(void **state)
{
	const uint64_t one = 1, three = 3;
	struct loop *l = loop_new();
	struct vfio_virqfd *v = NULL;
	int ev = eventfd(1, 0), ev2 = dup(ev), null = open("/dev/null", O_RDONLY);

	assert_int_equal(vfio_virqfd_new(l, null, called, &calls, &v), -EINVAL);
	assert_int_equal(vfio_virqfd_new(l, 9999999, called, &calls, &v), -EBADF);
	assert_int_equal(vfio_virqfd_new(l, -1, called, &calls, &v), -EBADF);
	assert_null(v);
	/* signalled already: fires at once, and takes the counter */
	assert_int_equal(vfio_virqfd_new(l, ev, called, &calls, &v), 0);
	close(ev);
	wait_calls(1);
	assert_int_equal(count_of(ev2), 0);
	/* one call takes all */
	assert_int_equal(write(ev2, &three, sizeof(three)), sizeof(three));
	wait_calls(2);
	usleep(2000);
	assert_int_equal(atomic_load(&calls), 2);
	vfio_virqfd_free(v);
	assert_int_equal(write(ev2, &one, sizeof(one)), sizeof(one));
	usleep(2000);
	assert_int_equal(atomic_load(&calls), 2);
	assert_int_equal(count_of(ev2), 1);
	vfio_virqfd_free(NULL);
	close(ev2);
	close(null);
	loop_free(l);
}

static void nothing(void *arg)
{
}

static void virqfd_orphaned(void **state)
{
	struct loop *l = loop_new();
	int ev = eventfd(0, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK), dup_ = dup(ev);
	struct vfio_virqfd *v;

	assert_int_equal(vfio_virqfd_new(l, ev, nothing, NULL, &v), 0);
	assert_false(vfio_virqfd_orphaned(v));
	close(ev);
	assert_false(vfio_virqfd_orphaned(v));
	close(dup_);
	assert_true(vfio_virqfd_orphaned(v));
	vfio_virqfd_free(v);
	close(other);
	loop_free(l);
}

/* An eventfd that nobody has read; and who may hear of one without reading it. */
static void unread_is_told(void **state)
{
	struct client_given given = client_given;
	int fd = eventfd(0, EFD_NONBLOCK), poll = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	struct vfio_trigger t;
	uint64_t n;

	vfio_trigger_init(&t);
	assert_int_equal(vfio_trigger_signal(&t), 0);
	assert_int_equal(vfio_trigger_set(&t, fd), 0);
	assert_false(vfio_trigger_unread(&t));
	assert_int_equal(vfio_trigger_signal(&t), 1);
	assert_int_equal(vfio_trigger_signal(&t), 2);
	assert_true(vfio_trigger_unread(&t));
	assert_int_equal(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e), 0);
	assert_true(vfio_trigger_unread(&t));
	e.events |= EPOLLET;
	assert_int_equal(epoll_ctl(poll, EPOLL_CTL_MOD, fd, &e), 0);
	assert_false(vfio_trigger_unread(&t));
	close(poll);
	assert_true(vfio_trigger_unread(&t));
	assert_int_equal(read(fd, &n, 8), 8);
	assert_false(vfio_trigger_unread(&t));
	/* it was read once, whatever is in there now */
	vfio_trigger_signal(&t);
	assert_false(vfio_trigger_unread(&t));
	/* a new one counts anew, if nothing is in it */
	assert_int_equal(vfio_trigger_set(&t, fd), 0);
	assert_int_equal(vfio_trigger_signal(&t), 1);
	assert_false(vfio_trigger_unread(&t));
	/* of another process's readers nothing is known */
	assert_int_equal(read(fd, &n, 8), 8);
	client_given = (struct client_given){ .fds = (int[]){ -1 }, .num_fds = 1 };
	assert_int_equal(vfio_trigger_set(&t, fd), 0);
	client_given = given;
	assert_int_equal(vfio_trigger_signal(&t), 1);
	assert_false(vfio_trigger_unread(&t));
	assert_int_equal(vfio_trigger_set(&t, -1), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_an_eventfd),
		cmocka_unit_test(trigger_outlives_the_descriptor),
		cmocka_unit_test(given_is_taken_over),
		cmocka_unit_test(table_tells),
		cmocka_unit_test(trigger_without_numbers),
		cmocka_unit_test(replaced_is_not_signalled),
		cmocka_unit_test(full_counter_never_blocks),
		cmocka_unit_test(given_never_blocks),
		cmocka_unit_test(replaced_under_fire),
		cmocka_unit_test(virqfd_is_served),
		cmocka_unit_test(unread_is_told),
		cmocka_unit_test(virqfd_orphaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
