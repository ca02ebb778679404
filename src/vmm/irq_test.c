/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq_test.c: errors and requests of a device; and interrupts that are switched on and off
 * under a storm of messages, through the monitor and past it.
 */
#include <fcntl.h>
#include <sched.h>

#include "vmm/test_msi.h"

/* ---- errors and requests ---- */

static atomic_uint errors, requests;
static bool leave;

static void on_error(void *ctx, struct uvfio_vm_device *dev)
{
	assert_ptr_equal(ctx, &t);
	assert_ptr_equal(dev, t.dev);
	/* no lock is held */
	pthread_mutex_lock(&dev->lock);
	pthread_mutex_unlock(&dev->lock);
	errors++;
}

static void on_request(void *ctx, struct uvfio_vm_device *dev)
{
	if (leave)
		vm_irq_unlisten(dev);
	requests++;
}

static void listen(bool heard)
{
	const struct uvfio_vm_ops vm_ops = { .error = on_error, .unplug_requested = on_request };
	struct uvfio_vm_irq_ops ops;

	errors = requests = 0;
	fake_init(f);
	mon_init(m);
	mon_ops(&ops, false);
	tvm_begin(&t, heard ? &vm_ops : NULL, &t, &ops);
	tvm_set_up(&t);
	assert_int_equal(vm_irq_listen(t.dev), 0);
}

static bool send(unsigned index)
{
	return fake_send(f, index, 0);
}

/* An error is told each time, a request once (test 65). */
static void test_heard(void **state)
{
	listen(true);
	for (int i = 1; i <= 3; i++) {
		assert_true(send(VFIO_PCI_ERR_IRQ_INDEX));
		assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 1);
		assert_int_equal(errors, i);
		assert_true(send(VFIO_PCI_REQ_IRQ_INDEX));
		assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 1);
		assert_int_equal(requests, 1);
	}
	vm_irq_unlisten(t.dev);
	assert_false(send(VFIO_PCI_ERR_IRQ_INDEX));
	assert_false(send(VFIO_PCI_REQ_IRQ_INDEX));
	vm_irq_unlisten(t.dev);
	finish();
	/* a monitor that asks for neither */
	listen(false);
	send(VFIO_PCI_ERR_IRQ_INDEX);
	send(VFIO_PCI_REQ_IRQ_INDEX);
	assert_int_equal(uvfio_vm_dispatch(t.vm, 0), 2);
	vm_irq_unlisten(t.dev);
	finish();
}

/* The handler ends both, by the library's thread (part of test 73). */
static void test_from_inside(void **state)
{
	leave = true;
	listen(true);
	assert_int_equal(uvfio_vm_start_thread(t.vm), 0);
	send(VFIO_PCI_REQ_IRQ_INDEX);
	while (!requests)
		usleep(100);
	vm_irq_unlisten(t.dev);
	assert_int_equal(f->fd[VFIO_PCI_REQ_IRQ_INDEX][0], -1);
	finish();
	leave = false;
}

/* A VFIO that has neither, or refuses them: the device works without. */
static void test_unheard(void **state)
{
	listen(true);
	vm_irq_unlisten(t.dev);
	f->irq[VFIO_PCI_ERR_IRQ_INDEX].count = 0;
	f->irq[VFIO_PCI_REQ_IRQ_INDEX].count = 0;
	assert_int_equal(vm_irq_listen(t.dev), 0);
	assert_int_equal(t.dev->irq.err_fd, -1);
	assert_int_equal(t.dev->irq.req_fd, -1);
	vm_irq_unlisten(t.dev);
	f->irq[VFIO_PCI_REQ_IRQ_INDEX].count = 1;
	f->fail_in = 1;
	assert_int_equal(vm_irq_listen(t.dev), 0);
	assert_false(send(VFIO_PCI_REQ_IRQ_INDEX));
	vm_irq_unlisten(t.dev);
	finish();
}

/* ---- a storm ---- */

#define STORM_VECTORS 8u

static atomic_bool stop;

static void *storm(void *arg)
{
	unsigned index = *(const unsigned *)arg;

	while (!stop) {
		for (unsigned i = 0; i < STORM_VECTORS; i++)
			fake_send(f, index, i);
		sched_yield();
	}
	return NULL;
}

/* Do what a kernel does with irqfds. */
static void *kernel(void *arg)
{
	(void)arg;
	while (!stop) {
		mon_run(m);
		sched_yield();
	}
	return NULL;
}

/* Switch on and off, and see that nothing comes once that has returned. */
static void storm_round(unsigned index, unsigned round)
{
	uint64_t before = mon_messages(m);

	if (index == VFIO_PCI_MSI_IRQ_INDEX)
		msi_control(msi_on(3));
	else
		msix_control(PCI_MSIX_FLAGS_ENABLE);
	/* at times long enough for messages */
	while (round % 50 == 0 && mon_messages(m) == before)
		usleep(50);
	if (index == VFIO_PCI_MSIX_IRQ_INDEX && round % 3 == 0) {
		entry_mask(round % STORM_VECTORS, true);
		entry_mask(round % STORM_VECTORS, false);
	}
	if (index == VFIO_PCI_MSI_IRQ_INDEX)
		msi_control(0);
	else
		msix_control(0);
	before = mon_messages(m);
	sched_yield();
	assert_true(mon_messages(m) == before);
	assert_int_equal(m->routes, 0);
}

static void count_fd(int fd, void *arg)
{
	++*(unsigned *)arg;
}

/* Return how many descriptors the process has, of the library's kind and others. */
static unsigned open_files(void)
{
	unsigned n = 0;

	fd_for_each_private(count_fd, &n)
		;
	for (int fd = 0; fd < 1024; fd++)
		n += !fd_is_private(fd) && fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* 1000 times on and off under a storm (test 62). */
static void test_storm(void **state)
{
	static const unsigned indices[] = { VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX };
	pthread_t sender, kvm;
	unsigned files;

	for (unsigned k = 0; k < 4; k++) {
		unsigned index = indices[k & 1];

		begin(k & 2, NULL);
		msi_message(ADDRESS, 0x40);
		for (unsigned i = 0; i < STORM_VECTORS; i++) {
			entry_fill(i);
			entry_mask(i, false);
		}
		stop = false;
		assert_int_equal(uvfio_vm_start_thread(t.vm), 0);
		assert_int_equal(pthread_create(&sender, NULL, storm, &index), 0);
		assert_int_equal(pthread_create(&kvm, NULL, kernel, NULL), 0);
		files = open_files();
		for (unsigned round = 0; round < 1000; round++)
			storm_round(index, round);
		assert_int_equal(open_files(), files);
		stop = true;
		pthread_join(sender, NULL);
		pthread_join(kvm, NULL);
		finish();
	}
}

/* ---- routes that move ---- */

/* Move INTA about, nowhere too, and let it pass the monitor at times. */
static void *router(void *arg)
{
	static const int gsis[] = { 10, 21, -1, 21, 10, -1 };

	(void)arg;
	for (unsigned n = 0; !stop; n++) {
		pthread_mutex_lock(&m->lock);
		m->gsi = gsis[n % 6];
		m->no_resample = n / 6 % 2;
		pthread_mutex_unlock(&m->lock);
		uvfio_vm_intx_route_changed(t.vm);
		sched_yield();
	}
	return NULL;
}

/* True if a line of the guest's is up, by an irqfd or by the monitor. */
static bool is_up(void)
{
	bool up;

	pthread_mutex_lock(&m->lock);
	up = m->level || m->irqfd[10].raised || m->irqfd[21].raised;
	pthread_mutex_unlock(&m->lock);
	return up;
}

/* Each interrupt arrives, wherever its line leads meanwhile (test 49). */
static void test_moving(void **state)
{
	struct uvfio_vm_irq_ops ops;
	pthread_t thread;

	fake_init(f);
	mon_init(m);
	mon_ops(&ops, true);
	ops.exact_eoi = true;
	tvm_begin(&t, NULL, NULL, &ops);
	tvm_set_up(&t);
	stop = false;
	assert_int_equal(uvfio_vm_start_thread(t.vm), 0);
	assert_int_equal(pthread_create(&thread, NULL, router, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		fake_line(f, true);
		do {
			mon_run(m);
			sched_yield();
		} while (!is_up());
		/* the guest serves the device, and ends the interrupt */
		fake_line(f, false);
		for (int gsi = 10; gsi <= 21; gsi += 11) {
			mon_eoi(m, gsi);
			fake_resample(f);
			uvfio_vm_intx_eoi(t.vm, gsi);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	finish();
	assert_int_equal(m->level, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heard),	cmocka_unit_test(test_from_inside),
		cmocka_unit_test(test_unheard), cmocka_unit_test(test_storm),
		cmocka_unit_test(test_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
