/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/stress_test.c: stress of interrupt delivery against everything that sets it up, for a
 * run under ThreadSanitizer above all. A device that raises its line by level and a driver that
 * serves it must neither hang (an interrupt lost) nor find two signals for one unmask (one
 * doubled), whatever other threads do that does not touch the mask; and no signal comes after a
 * disable.
 */
#include <pthread.h>

#include "base/sys.h"
#include "vfio_pci/test_device.h"

#define RUN_NS 400000000ull

static struct tdev t;
static atomic_bool stop;

static int setup(void **state)
{
	t_open(&t, &t_model_full);
	log_set(-1, LOG_NONE);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	atomic_store(&stop, false);
	return 0;
}
static int setup_old(void **state)
{
	t_open(&t, &t_model_old);
	atomic_store(&stop, false);
	return 0;
}
static int teardown(void **state)
{
	t_close(&t);
	return 0;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t th;

	assert_int_equal(pthread_create(&th, NULL, fn, arg), 0);
	return th;
}

/* ---- a level, served ---- */

static atomic_uint work; /* units that the device has and the driver has not taken */
static pthread_mutex_t chip = PTHREAD_MUTEX_INITIALIZER; /* the device's own: line == (work != 0) */

/* two of these: rises and falls of the line cross */
static void *device_thread(void *arg)
{
	unsigned *made = arg;

	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&chip);
		atomic_fetch_add(&work, 1);
		uvfio_intx(t.fn, true);
		pthread_mutex_unlock(&chip);
		(*made)++;
		if (*made % 16 == 0)
			usleep(50);
	}
	return NULL;
}

static unsigned serve(void)
{
	unsigned n;

	pthread_mutex_lock(&chip);
	n = atomic_exchange(&work, 0);
	uvfio_intx(t.fn, false);
	pthread_mutex_unlock(&chip);
	return n;
}

/*
 * what may go on beside without anybody noticing: another eventfd (the same one), config space,
 * resets of nothing
 */
static void *bystander(void *arg)
{
	int fd = *(int *)arg;

	while (!atomic_load(&stop)) {
		set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd);
		cr(&t, PCI_STATUS, 2);
		cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		usleep(20);
	}
	return NULL;
}

static void test_level(void **state)
{
	int fd = t_eventfd(), unmask = t_eventfd();
	unsigned made[2] = { 0, 0 }, taken_units = 0, rounds = 0;
	uint64_t end, n;
	pthread_t d[2], b;

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &unmask), 0);
	d[0] = start(device_thread, &made[0]);
	d[1] = start(device_thread, &made[1]);
	b = start(bystander, &fd);
	for (end = now_ns() + RUN_NS; now_ns() < end; rounds++) {
		n = taken_soon(fd);
		if (n != 1)
			break;
		taken_units += serve();
		if (rounds & 1)
			set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL);
		else
			eventfd_write(unmask, 1);
	}
	atomic_store(&stop, true);
	pthread_join(d[0], NULL);
	pthread_join(d[1], NULL);
	pthread_join(b, NULL);
	assert_true(now_ns() >= end); /* else: n is 0, lost, or more than 1, doubled */
	/* what is left comes with one more */
	if (atomic_load(&work))
		assert_int_equal(taken_soon(fd), 1);
	taken_units += serve();
	assert_int_equal(taken_units, made[0] + made[1]);
	assert_true(rounds > 10);
	close(fd);
	close(unmask);
}

/* ---- everything at once, for the sanitizer; and silence after disable ---- */

static void *line_thread(void *arg)
{
	while (!atomic_load(&stop)) {
		uvfio_intx(t.fn, true);
		uvfio_intx(t.fn, false);
	}
	return NULL;
}

static void *config_thread(void *arg)
{
	while (!atomic_load(&stop)) {
		cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
		cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	}
	return NULL;
}

static void *mask_thread(void *arg)
{
	while (!atomic_load(&stop)) {
		set_irqs(&t, INTX, 0, 1, NONE | MASK, NULL);
		set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL);
	}
	return NULL;
}

static void test_intx_chaos(void **state)
{
	int fd = t_eventfd(), unmask = t_eventfd();
	pthread_t th[4];
	unsigned late = 0, signals = 0;
	/* for a busy machine, where the threads may not all have run yet */
	uint64_t end = now_ns() + RUN_NS, patience = end + 20 * RUN_NS;

	th[0] = start(line_thread, NULL);
	th[1] = start(line_thread, NULL);
	th[2] = start(config_thread, NULL);
	th[3] = start(mask_thread, NULL);
	while (now_ns() < end || (!signals && now_ns() < patience)) {
		assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
		assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &unmask), 0);
		eventfd_write(unmask, 1);
		usleep(100);
		assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
		signals += taken(fd);
		sched_yield();
		late += taken(fd);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(th); i++)
		pthread_join(th[i], NULL);
	assert_int_equal(late, 0);
	assert_true(signals > 0);
	/* it works as ever */
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	uvfio_intx(t.fn, false);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL);
	taken(fd);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	close(fd);
	close(unmask);
}

/* ---- messages ---- */

static void *message_thread(void *arg)
{
	unsigned v = 0;

	while (!atomic_load(&stop))
		uvfio_msi(t.fn, v++ % 8);
	return NULL;
}

static void *reset_thread(void *arg)
{
	uint32_t v;

	while (!atomic_load(&stop)) {
		t.dev->ops->reset(t.dev);
		t.dev->ops->rw(t.dev, 0, 0x20, &v, 4, false);
		usleep(200);
	}
	return NULL;
}

static void messages(unsigned index)
{
	int fds[8], none = -1;
	pthread_t th[3];
	unsigned late = 0, signals = 0;

	for (unsigned i = 0; i < 8; i++)
		fds[i] = t_eventfd();
	th[0] = start(message_thread, NULL);
	th[1] = start(message_thread, NULL);
	th[2] = start(reset_thread, NULL);
	for (uint64_t end = now_ns() + RUN_NS; now_ns() < end;) {
		assert_int_equal(set_irqs(&t, index, 0, 8, EVENTFD | TRIGGER, fds), 0);
		assert_int_equal(set_irqs(&t, index, 3, 1, EVENTFD | TRIGGER, &none), 0);
		taken(fds[3]);
		sched_yield();
		late += taken(fds[3]);
		assert_int_equal(set_irqs(&t, index, 2, 3, EVENTFD | TRIGGER, fds), 0);
		usleep(100);
		assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), 0);
		for (unsigned i = 0; i < 8; i++)
			signals += taken(fds[i]);
		sched_yield();
		for (unsigned i = 0; i < 8; i++)
			late += taken(fds[i]);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(th); i++)
		pthread_join(th[i], NULL);
	assert_int_equal(late, 0);
	assert_true(signals > 0);
	assert_int_equal(set_irqs(&t, index, 0, 8, EVENTFD | TRIGGER, fds), 0);
	for (unsigned i = 0; i < 8; i++)
		taken(fds[i]);
	for (unsigned i = 0; i < 8; i++) {
		uvfio_msi(t.fn, i);
		assert_int_equal(taken(fds[i]), 1);
		close(fds[i]);
	}
}

static void test_msi(void **state)
{
	messages(MSI);
}
static void test_msix(void **state)
{
	messages(MSIX);
}

/* ---- BARs against reset, decoding and power ---- */

static void *bar_thread(void *arg)
{
	uint64_t v = 0;

	while (!atomic_load(&stop)) {
		ssize_t n = t.dev->ops->rw(t.dev, 0, 0x40, &v, 8, false);

		if (n != 8 && n != -EIO)
			return "a read fails with something else";
		n = t.dev->ops->rw(t.dev, 0, 0x48, &v, 8, true);
		if (n != 8 && n != -EIO)
			return "a write fails with something else";
	}
	return NULL;
}

static void test_bars(void **state)
{
	unsigned pm = user_cap(&t, PCI_CAP_ID_PM);
	pthread_t th[2];
	void *why;

	th[0] = start(bar_thread, NULL);
	th[1] = start(bar_thread, NULL);
	for (uint64_t end = now_ns() + RUN_NS; now_ns() < end;) {
		assert_int_equal(t.dev->ops->reset(t.dev), 0);
		cw(&t, PCI_COMMAND, 2, 0);
		cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		cw(&t, pm + PCI_PM_CTRL, 2, 3);
		cw(&t, pm + PCI_PM_CTRL, 2, 0);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(th[i], &why);
		if (why)
			fail_msg("%s", (char *)why);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define OLD(f)                                                   \
	{                                                        \
#f " (no DisINTx)", f, setup_old, teardown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_level), OLD(test_level), T(test_intx_chaos), OLD(test_intx_chaos),
		T(test_msi),   T(test_msix),	T(test_bars),
	};

	return cmocka_run_group_tests_name("vfio_pci/stress", tests, NULL, NULL);
}
