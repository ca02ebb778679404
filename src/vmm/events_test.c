/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/events_test.c: descriptors that the loop watches: handlers that end watches, of others and
 * their own, from this thread and another one; entries of the table that are used again.
 */
#include <sys/syscall.h>

#include "vmm/test_vm.h"

#define MANY 2000

static struct tvm t;

static void begin(void)
{
	struct uvfio_vm_irq_ops ops;

	fake_init(&t.fake);
	mon_init(&t.mon);
	mon_ops(&ops, false);
	tvm_begin(&t, NULL, NULL, &ops);
}

static void finish(void)
{
	tvm_end(&t);
	fake_fini(&t.fake);
}

static int new_eventfd(unsigned count)
{
	int fd = eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t count_of(int fd)
{
	uint64_t n = 0;

	return sys_read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int watch(int fd, vm_event_fn *fn, uint64_t arg)
{
	int rc;

	pthread_mutex_lock(&t.dev->lock);
	rc = vm_watch_add(t.dev, fd, fn, arg);
	pthread_mutex_unlock(&t.dev->lock);
	assert_true(rc >= 0);
	return rc;
}

static void unwatch(int w)
{
	pthread_mutex_lock(&t.dev->lock);
	vm_watch_del(t.dev, w);
	pthread_mutex_unlock(&t.dev->lock);
}

static void set_watch(int w, bool on)
{
	pthread_mutex_lock(&t.dev->lock);
	vm_watch_set(t.dev, w, on);
	pthread_mutex_unlock(&t.dev->lock);
}

static int dispatch(void)
{
	return uvfio_vm_dispatch(t.vm, 0);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static atomic_uint calls;
static uint64_t last_arg;

static void note(struct uvfio_vm_device *dev, uint64_t arg)
{
	assert_ptr_equal(dev, t.dev);
	last_arg = arg;
	calls++;
}

static void test_simple(void **state)
{
	int fd = new_eventfd(0), w;

	begin();
	calls = 0;
	w = watch(fd, note, 7);
	assert_false(is_readable(uvfio_vm_fd(t.vm)));
	assert_int_equal(uvfio_vm_dispatch(t.vm, 1), 0);
	eventfd_write(fd, 3);
	assert_true(is_readable(uvfio_vm_fd(t.vm)));
	assert_int_equal(dispatch(), 1);
	assert_int_equal(calls, 1);
	assert_int_equal(last_arg, 7);
	assert_int_equal(dispatch(), 0);
	/* asleep: the event waits */
	set_watch(w, false);
	set_watch(w, false);
	eventfd_write(fd, 1);
	assert_int_equal(dispatch(), 0);
	assert_false(is_readable(uvfio_vm_fd(t.vm)));
	set_watch(w, true);
	assert_int_equal(dispatch(), 1);
	/* ended: the event stays in the descriptor */
	eventfd_write(fd, 5);
	unwatch(w);
	assert_int_equal(dispatch(), 0);
	assert_int_equal(count_of(fd), 5);
	unwatch(-1);
	/* what epoll does not take */
	pthread_mutex_lock(&t.dev->lock);
	assert_int_equal(vm_watch_add(t.dev, -1, note, 0), -EBADF);
	pthread_mutex_unlock(&t.dev->lock);
	finish();
	close(fd);
}

/* ---- a handler ends watches ---- */

static int own;

static void end_own(struct uvfio_vm_device *dev, uint64_t arg)
{
	calls++;
	vm_watch_del(dev, own);
}

static void end_own_free(struct uvfio_vm_device *dev, uint64_t arg)
{
	calls++;
	vm_watch_del_free(dev, own);
}

static void test_own(void **state)
{
	int fd = new_eventfd(0);

	begin();
	calls = 0;
	own = watch(fd, end_own, 0);
	eventfd_write(fd, 1);
	assert_int_equal(dispatch(), 1);
	eventfd_write(fd, 1);
	assert_int_equal(dispatch(), 0);
	assert_int_equal(count_of(fd), 1);
	own = vm_watch_add_free(t.dev, fd, end_own_free, 0);
	assert_true(own >= 0);
	eventfd_write(fd, 1);
	assert_int_equal(dispatch(), 1);
	eventfd_write(fd, 1);
	assert_int_equal(dispatch(), 0);
	assert_int_equal(calls, 2);
	finish();
	close(fd);
}

/*
 * Both are readable, and the handler that runs first ends the other one and has a third use its
 * entry: the event that the loop has already is dropped, and the third has none.
 */
static struct {
	int fd[3], watch[2], third;
	unsigned ran[2];
} stale;

static void no_call(struct uvfio_vm_device *dev, uint64_t arg)
{
	fail();
}

static void end_other(struct uvfio_vm_device *dev, uint64_t arg)
{
	stale.ran[arg]++;
	vm_watch_del(dev, stale.watch[!arg]);
	stale.third = vm_watch_add(dev, stale.fd[2], no_call, 0);
	assert_int_equal(stale.third, stale.watch[!arg]);
}

static void test_stale(void **state)
{
	begin();
	memset(&stale, 0, sizeof(stale));
	for (int i = 0; i < 3; i++)
		stale.fd[i] = new_eventfd(i < 2);
	for (unsigned i = 0; i < 2; i++)
		stale.watch[i] = watch(stale.fd[i], end_other, i);
	assert_int_equal(dispatch(), 1);
	assert_int_equal(stale.ran[0] + stale.ran[1], 1);
	assert_int_equal(dispatch(), 0);
	/* the one that did not run has its event still */
	assert_int_equal(count_of(stale.fd[stale.ran[0] ? 1 : 0]), 1);
	finish();
	for (int i = 0; i < 3; i++)
		close(stale.fd[i]);
}

/* One that was put to sleep by a handler of the same batch does not run. */
static void other_sleeps(struct uvfio_vm_device *dev, uint64_t arg)
{
	stale.ran[arg]++;
	vm_watch_set(dev, stale.watch[!arg], false);
}

static void test_sleeps(void **state)
{
	unsigned slept;

	begin();
	memset(&stale, 0, sizeof(stale));
	for (unsigned i = 0; i < 2; i++) {
		stale.fd[i] = new_eventfd(1);
		stale.watch[i] = watch(stale.fd[i], other_sleeps, i);
	}
	assert_int_equal(dispatch(), 1);
	slept = stale.ran[0] ? 1 : 0;
	assert_int_equal(stale.ran[slept], 0);
	set_watch(stale.watch[slept], true);
	assert_int_equal(dispatch(), 1);
	assert_int_equal(stale.ran[slept], 1);
	finish();
	close(stale.fd[0]);
	close(stale.fd[1]);
}

/* ---- many ---- */

static unsigned ran[MANY];

static void note_many(struct uvfio_vm_device *dev, uint64_t arg)
{
	ran[arg]++;
}

static void test_many(void **state)
{
	static int fd[MANY], w[MANY];

	begin();
	memset(ran, 0, sizeof(ran));
	for (unsigned i = 0; i < MANY; i++) {
		fd[i] = (int)fd_of_ours(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);
		assert_true(fd[i] >= 0);
		w[i] = watch(fd[i], note_many, i);
	}
	for (int round = 1; round <= 3; round++) {
		int did = 0, n;

		for (unsigned i = 0; i < MANY; i++)
			eventfd_write(fd[i], 1);
		while ((n = dispatch()) > 0)
			did += n;
		assert_int_equal(did, MANY);
		for (unsigned i = 0; i < MANY; i++)
			assert_int_equal(ran[i], round);
		/* every entry is another one's in the next round */
		for (unsigned i = 0; i < MANY; i++)
			unwatch(w[i]);
		for (unsigned i = MANY; i--;)
			w[i] = watch(fd[i], note_many, i);
	}
	assert_true(t.vm->events.num_watches < 2 * MANY + 100);
	finish();
	for (unsigned i = 0; i < MANY; i++)
		sys_close(fd[i]);
}

/* ---- threads ---- */

/* While watches come and go none runs that was ended. */
static void guarded(struct uvfio_vm_device *dev, uint64_t arg)
{
	/* the device's lock is what guards it */
	assert_int_equal(*(int *)(uintptr_t)arg, 1);
	calls++;
}

static void test_threads(void **state)
{
	enum { N = 8 };
	int fd[N], alive[N], w[N];

	begin();
	calls = 0;
	for (unsigned i = 0; i < N; i++)
		fd[i] = new_eventfd(0);
	assert_int_equal(uvfio_vm_start_thread(t.vm), 0);
	assert_int_equal(uvfio_vm_start_thread(t.vm), -EBUSY);
	assert_int_equal(uvfio_vm_dispatch(t.vm, 0), -EBUSY);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned before = calls;

		pthread_mutex_lock(&t.dev->lock);
		for (unsigned i = 0; i < N; i++) {
			alive[i] = 1;
			w[i] = vm_watch_add(t.dev, fd[i], guarded, (uintptr_t)&alive[i]);
			assert_true(w[i] >= 0);
		}
		pthread_mutex_unlock(&t.dev->lock);
		for (unsigned i = 0; i < N; i++)
			eventfd_write(fd[i], 1);
		/* at times one runs for sure */
		while (round % 16 == 0 && calls == before)
			usleep(50);
		pthread_mutex_lock(&t.dev->lock);
		for (unsigned i = 0; i < N; i++) {
			vm_watch_del(t.dev, w[i]);
			alive[i] = 0;
		}
		pthread_mutex_unlock(&t.dev->lock);
	}
	finish();
	for (unsigned i = 0; i < N; i++)
		close(fd[i]);
}

/* Ending a watch that runs without a lock waits for it, but not when it ends itself. */
static atomic_bool inside, ended;

static void slow(struct uvfio_vm_device *dev, uint64_t arg)
{
	inside = true;
	usleep(20000);
	assert_false(ended);
}

static void test_waits(void **state)
{
	int fd = new_eventfd(0), w;

	begin();
	inside = ended = false;
	w = vm_watch_add_free(t.dev, fd, slow, 0);
	assert_true(w >= 0);
	assert_int_equal(uvfio_vm_start_thread(t.vm), 0);
	eventfd_write(fd, 1);
	while (!inside)
		usleep(100);
	vm_watch_del_free(t.dev, w);
	ended = true;
	finish();
	close(fd);
}

/* A device on its way out takes no events, and does not keep the loop busy with them. */
static void test_leaving(void **state)
{
	int fd = new_eventfd(1), w;

	begin();
	w = watch(fd, no_call, 0);
	atomic_fetch_or(&t.dev->inside, VM_LEAVING);
	assert_int_equal(dispatch(), 0);
	assert_false(is_readable(uvfio_vm_fd(t.vm)));
	assert_int_equal(atomic_load(&t.dev->inside), VM_LEAVING);
	unwatch(w);
	assert_int_equal(count_of(fd), 1);
	finish();
	close(fd);
}

/* A guest that goes waits for a call of the monitor's that dispatches. */
static void *dispatch_for_ever(void *arg)
{
	struct uvfio_vm *vm = arg;

	inside = true;
	while (uvfio_vm_dispatch(vm, -1) > 0)
		;
	ended = true;
	return NULL;
}

static void test_freed(void **state)
{
	struct uvfio_vm *vm = uvfio_vm_new(NULL, NULL);
	bool dispatching = false;
	pthread_t thread;

	assert_non_null(vm);
	inside = ended = false;
	assert_int_equal(pthread_create(&thread, NULL, dispatch_for_ever, vm), 0);
	while (!dispatching) {
		usleep(100);
		pthread_mutex_lock(&vm->events.lock);
		dispatching = vm->events.dispatching;
		pthread_mutex_unlock(&vm->events.lock);
	}
	uvfio_vm_free(vm);
	for (unsigned i = 0; i < 10000 && !ended; i++)
		usleep(1000);
	assert_true(ended);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple), cmocka_unit_test(test_own),
		cmocka_unit_test(test_stale),  cmocka_unit_test(test_sleeps),
		cmocka_unit_test(test_many),   cmocka_unit_test(test_threads),
		cmocka_unit_test(test_waits),  cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
