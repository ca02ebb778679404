/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/intx_test.c: INTx of a guest, over a device and a monitor that are tests' own: the way
 * through the loop with its guess and its timer, the way past it, and between the two.
 */
#include <sys/timerfd.h>

#include "vmm/test_vm.h"

static struct tvm t;
static struct fake *const f = &t.fake;
static struct monitor *const m = &t.mon;

static bool exact_eoi, has_gsi, bypass;

static void begin(void)
{
	struct uvfio_vm_irq_ops ops;

	fake_init(f);
	mon_init(m);
	mon_ops(&ops, bypass);
	ops.exact_eoi = exact_eoi;
	if (has_gsi)
		ops.intx_gsi = mon_intx_gsi;
	tvm_begin(&t, NULL, NULL, &ops);
	memcpy(t.dev->config.copy, f->config, sizeof(f->config));
	memset(t.dev->config.emulated, 0xff, sizeof(t.dev->config.emulated));
	t.dev->options.intx_timeout = 1000000; /* longer than a test may take */
	assert_int_equal(vm_irq_init(t.dev), 0);
}

static void start(void)
{
	assert_int_equal(tvm_to_intx(&t), 0);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
}

static void finish(void)
{
	tvm_irq_off(&t);
	assert_int_equal(m->level, 0);
	assert_false(t.dev->irq.intx.held);
	vm_irq_fini(t.dev);
	tvm_end(&t);
	fake_fini(f);
	exact_eoi = has_gsi = bypass = false;
}

/* Do what the loop has to do, without waiting. */
static int loop(void)
{
	return uvfio_vm_dispatch(t.vm, 0);
}

static void command(uint16_t value)
{
	pthread_mutex_lock(&t.dev->lock);
	memcpy(t.dev->config.copy + PCI_COMMAND, &value, 2);
	fake_rw(&f->vdev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &value, 2, true);
	/* what vfio-pci does when DisINTx goes */
	if (!(value & PCI_COMMAND_INTX_DISABLE)) {
		f->masked = false;
		fake_line(f, f->line);
	}
	vm_intx_command(t.dev);
	pthread_mutex_unlock(&t.dev->lock);
}

/* An event raises the line once, and an access of a BAR ends it (test 44). */
static void test_guess(void **state)
{
	begin();
	start();
	assert_int_equal(loop(), 0);
	vm_intx_access(t.dev);
	assert_false(f->masked);
	fake_line(f, true);
	assert_int_equal(loop(), 1);
	assert_int_equal(loop(), 0);
	assert_int_equal(m->level, 1);
	assert_int_equal(m->raised, 1);
	assert_true(t.dev->irq.intx.held);
	assert_true(f->masked);
	/* it is still asserted when the guest looks at it: up again */
	vm_intx_access(t.dev);
	assert_int_equal(m->level, 0);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	assert_int_equal(m->raised, 2);
	fake_line(f, false);
	vm_intx_access(t.dev);
	assert_int_equal(m->level, 0);
	assert_false(f->masked);
	assert_int_equal(loop(), 0);
	/* pieces stay trapped until the timer has run out */
	assert_true(t.dev->irq.intx.held);
	finish();
}

/* ---- direct pieces ---- */

#define GPA 0x80000000ull

static unsigned mapped;

static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	mapped++;
	/* never while the line is up */
	assert_int_equal(m->level, 0);
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	assert_true(mapped--);
	assert_int_equal(m->level, 0);
}

static uint32_t load(uint64_t at)
{
	uint64_t v = 0;

	assert_int_equal(uvfio_vm_mmio(t.vm, at, 4, &v, false), 0);
	return (uint32_t)v;
}

/*
 * A BAR that the guest reaches without a trap: it is trapped before the line goes up, and until no
 * interrupt has come for a while; with exact ends of interrupts never (tests 44, 45, 46).
 */
static void run_pieces(bool exact)
{
	const struct uvfio_vm_ops vm_ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	struct vfio_region_area area = { .size = 0x4000, .kind = VFIO_AREA_DIRECT };
	struct uvfio_vm_irq_ops ops;

	fake_init(f);
	mon_init(m);
	mon_ops(&ops, false);
	ops.exact_eoi = exact;
	ops.intx_gsi = mon_intx_gsi;
	area.fd = memfd_create("bar", MFD_CLOEXEC);
	assert_int_equal(ftruncate(area.fd, 0x4000), 0);
	f->region[0] = (struct vfio_region){ .size = 0x4000,
					     .flags = VFIO_REGION_INFO_FLAG_READ |
						      VFIO_REGION_INFO_FLAG_WRITE |
						      VFIO_REGION_INFO_FLAG_MMAP,
					     .areas = &area,
					     .num_areas = 1 };
	f->bar[0] = calloc(1, 0x4000);
	memcpy(f->bar[0] + 4, "abcd", 4);
	tvm_begin(&t, &vm_ops, NULL, &ops);
	t.dev->options.intx_timeout = 5;
	tvm_set_up(&t);
	pthread_mutex_lock(&t.dev->lock);
	vm_config_put(t.dev, PCI_BASE_ADDRESS_0, 4, GPA);
	vm_config_put(t.dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pthread_mutex_unlock(&t.dev->lock);
	assert_int_equal(mapped, 1);
	for (int i = 0; i < 3; i++) {
		fake_line(f, true);
		assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
		assert_int_equal(m->level, 1);
		assert_int_equal(mapped, exact);
		fake_line(f, false);
		assert_int_equal(load(GPA + 4), 0x64636261);
		assert_int_equal(m->level, exact);
		if (exact)
			uvfio_vm_intx_eoi(t.vm, 10);
		else
			assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
		assert_int_equal(m->level, 0);
		assert_int_equal(mapped, 1);
	}
	tvm_tear_down(&t);
	assert_int_equal(mapped, 0);
	tvm_end(&t);
	free(f->bar[0]);
	close(area.fd);
	fake_fini(f);
}

static void test_pieces(void **state)
{
	run_pieces(false);
	run_pieces(true);
}

/* ---- the timer ---- */

static uint64_t timer_left(void)
{
	struct itimerspec now;

	assert_int_equal(timerfd_gettime(t.dev->irq.intx.timer, &now), 0);
	return (uint64_t)now.it_value.tv_sec * 1000000000 + (uint64_t)now.it_value.tv_nsec;
}

/* The timer: put off while an interrupt is pending, stands with the guest (test 45). */
static void test_timer(void **state)
{
	begin();
	t.dev->options.intx_timeout = 10;
	start();
	fake_line(f, true);
	assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
	assert_true(t.dev->irq.intx.armed);
	/* it runs out, and goes on, as long as the guest has not ended the interrupt */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
		assert_true(t.dev->irq.intx.held);
	}
	/* it stands while the guest does, and goes on behind */
	uvfio_vm_pause(t.vm, true);
	assert_int_equal(timer_left(), 0);
	assert_int_equal(uvfio_vm_dispatch(t.vm, 30), 0);
	fake_line(f, false);
	vm_intx_access(t.dev);
	assert_true(t.dev->irq.intx.held);
	/* an interrupt in a pause starts it behind the pause */
	fake_line(f, true);
	assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
	assert_int_equal(timer_left(), 0);
	fake_line(f, false);
	vm_intx_access(t.dev);
	uvfio_vm_pause(t.vm, true);
	uvfio_vm_pause(t.vm, false);
	assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
	assert_false(t.dev->irq.intx.held);
	assert_false(t.dev->irq.intx.armed);
	/* a pause when it does not run changes nothing */
	uvfio_vm_pause(t.vm, true);
	uvfio_vm_pause(t.vm, false);
	assert_int_equal(timer_left(), 0);
	finish();
}

/* A timer that ran out unread when the guest stopped runs out behind the pause (test 45). */
static void test_timer_over(void **state)
{
	struct pollfd p;

	begin();
	t.dev->options.intx_timeout = 1;
	start();
	fake_line(f, true);
	assert_int_equal(loop(), 1);
	fake_line(f, false);
	vm_intx_access(t.dev);
	p = (struct pollfd){ .fd = t.dev->irq.intx.timer, .events = POLLIN };
	assert_int_equal(poll(&p, 1, -1), 1);
	uvfio_vm_pause(t.vm, true);
	assert_int_equal(loop(), 0);
	uvfio_vm_pause(t.vm, false);
	assert_int_equal(uvfio_vm_dispatch(t.vm, -1), 1);
	assert_false(t.dev->irq.intx.held);
	finish();
}

/* intx_timeout=0: once trapped, trapped until INTx goes off (test 45). */
static void test_no_timer(void **state)
{
	begin();
	t.dev->options.intx_timeout = 0;
	start();
	assert_int_equal(t.dev->irq.intx.timer, -1);
	fake_line(f, true);
	loop();
	fake_line(f, false);
	vm_intx_access(t.dev);
	assert_true(t.dev->irq.intx.held);
	finish();
}

/* A monitor that tells the end of interrupts: nothing is trapped, nothing guessed (test 46). */
static void test_exact(void **state)
{
	exact_eoi = has_gsi = true;
	begin();
	start();
	assert_int_equal(t.dev->irq.intx.timer, -1);
	fake_line(f, true);
	loop();
	assert_int_equal(m->level, 1);
	assert_false(t.dev->irq.intx.held);
	vm_intx_access(t.dev);
	assert_int_equal(m->level, 1);
	/* another line's end, and what is no line */
	uvfio_vm_intx_eoi(t.vm, 11);
	uvfio_vm_intx_eoi(t.vm, -1);
	assert_int_equal(m->level, 1);
	fake_line(f, false);
	uvfio_vm_intx_eoi(t.vm, 10);
	assert_int_equal(m->level, 0);
	assert_false(f->masked);
	finish();
}

/* The guest's DisINTx: no event; when it goes, the one that is pending (test 51). */
static void test_disable(void **state)
{
	begin();
	start();
	command(PCI_COMMAND_INTX_DISABLE);
	fake_line(f, true);
	assert_int_equal(loop(), 0);
	command(0);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	/* an interrupt that is up goes down, and comes again */
	command(PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(m->level, 0);
	command(PCI_COMMAND_MEMORY);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	assert_int_equal(m->raised, 2);
	/* another bit does not end it */
	command(0);
	assert_int_equal(m->level, 1);
	finish();
}

/* Past the monitor: each event is an interrupt, none comes to the loop (test 47). */
static void test_bypass(void **state)
{
	bypass = true;
	begin();
	start();
	assert_true(t.dev->irq.intx.bypass);
	for (int i = 1; i <= 3; i++) {
		fake_line(f, true);
		assert_true(f->masked);
		mon_run(m);
		assert_int_equal(m->raised, i);
		assert_int_equal(loop(), 0);
		fake_line(f, false);
		assert_true(mon_eoi(m, 10));
		fake_resample(f);
		assert_false(f->masked);
	}
	/* still asserted at its end: again */
	fake_line(f, true);
	mon_run(m);
	assert_true(mon_eoi(m, 10));
	fake_resample(f);
	mon_run(m);
	assert_int_equal(m->raised, 5);
	/* an access of a BAR is nothing to it */
	vm_intx_access(t.dev);
	assert_true(f->masked);
	assert_false(t.dev->irq.intx.held);
	finish();
}

/* No resample: through the monitor, with its end of interrupt; nothing is lost (test 48). */
static void test_no_resample(void **state)
{
	bypass = exact_eoi = true;
	begin();
	m->no_resample = true;
	f->line = true;
	start();
	assert_false(t.dev->irq.intx.bypass);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	fake_line(f, false);
	uvfio_vm_intx_eoi(t.vm, 10);
	assert_int_equal(m->level, 0);
	assert_int_equal(t.dev->irq.intx.resamplefd, -1);
	finish();
}

/* Each step of the way past the monitor fails: it goes through it, and nothing is lost. */
static void test_bypass_fails(void **state)
{
	for (unsigned n = 1;; n++) {
		bool done;

		bypass = true;
		begin();
		f->line = true;
		/* the first call switches INTx on: that one is another test's */
		f->fail_in = n + 1;
		start();
		done = f->fail_in;
		f->fail_in = 0;
		assert_int_equal(t.dev->irq.intx.bypass, done);
		if (done) {
			mon_run(m);
			assert_int_equal(m->raised, 1);
			finish();
			assert_int_equal(n, 4);
			break;
		}
		assert_int_equal(m->irqfds, 0);
		assert_int_equal(f->unmask_fd, -1);
		assert_int_equal(loop(), 1);
		assert_int_equal(m->level, 1);
		finish();
	}
}

static void move(int gsi)
{
	m->gsi = gsi;
	uvfio_vm_intx_route_changed(t.vm);
}

/* The route moves while an interrupt is pending: exactly one more arrives (test 49). */
static void test_route(void **state)
{
	bypass = true;
	begin();
	start();
	fake_line(f, true);
	mon_run(m);
	assert_int_equal(m->raised, 1);
	move(10); /* the same: nothing */
	mon_run(m);
	assert_int_equal(m->raised, 1);
	move(21);
	assert_int_equal(m->irqfd[10].eventfd, -1);
	assert_true(m->irqfd[21].eventfd >= 0);
	mon_run(m);
	mon_run(m);
	assert_int_equal(m->raised, 2);
	/* nowhere: none; and back: it arrives */
	move(-1);
	assert_int_equal(m->irqfds, 0);
	assert_int_equal(loop(), 1);
	assert_int_equal(loop(), 0);
	assert_int_equal(m->raised, 2);
	assert_int_equal(m->level, 0);
	vm_intx_access(t.dev);
	assert_int_equal(loop(), 0);
	move(10);
	mon_run(m);
	mon_run(m);
	assert_int_equal(m->raised, 3);
	fake_line(f, false);
	assert_true(mon_eoi(m, 10));
	fake_resample(f);
	assert_false(f->masked);
	finish();
}

/* The same through the monitor, whose line is moved (test 49). */
static void test_route_user(void **state)
{
	exact_eoi = has_gsi = true;
	begin();
	start();
	fake_line(f, true);
	loop();
	assert_int_equal(m->level, 1);
	move(21);
	assert_int_equal(m->level, 0);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	assert_int_equal(m->raised, 2);
	move(-1);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 0);
	move(21);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	fake_line(f, false);
	uvfio_vm_intx_eoi(t.vm, 21);
	assert_int_equal(m->level, 0);
	finish();
}

/* INTx goes off and on, many times: the eventfd that unmasks is taken away each time (test 52). */
static void test_again(void **state)
{
	bypass = true;
	begin();
	for (int i = 0; i < 50; i++) {
		start();
		assert_true(t.dev->irq.intx.bypass);
		fake_line(f, true);
		mon_run(m);
		assert_int_equal(m->raised, i + 1);
		tvm_irq_off(&t);
		fake_line(f, false);
	}
	finish();
}

/* No pin, no index, or one that does not mask by itself: nothing is on. */
static void test_none(void **state)
{
	for (int i = 0; i < 3; i++) {
		begin();
		vm_irq_fini(t.dev);
		if (i == 0)
			t.dev->config.copy[PCI_INTERRUPT_PIN] = 0;
		else if (i == 1)
			f->irq[0].count = 0;
		else
			f->irq[0].flags &= ~VFIO_IRQ_INFO_AUTOMASKED;
		assert_int_equal(vm_irq_init(t.dev), 0);
		assert_int_equal(tvm_to_intx(&t), 0);
		assert_int_equal(t.dev->irq.kind, VM_IRQ_NONE);
		assert_int_equal(f->calls, 0);
		finish();
	}
}

/* Two devices on one line: it is down only when both are served (test 50). */
static void test_shared(void **state)
{
	static struct fake f2;
	struct uvfio_vm_device *second = calloc(1, sizeof(*second));

	exact_eoi = has_gsi = true;
	begin();
	start();
	fake_init(&f2);
	second->vm = t.vm;
	second->options = t.dev->options;
	second->config = t.dev->config;
	pthread_mutex_init(&second->lock, NULL);
	vfio_open_init(&second->open, &f2.vdev);
	atomic_store(&second->open.bound, true);
	cds_list_add_tail(&second->node, &t.vm->devices);
	assert_int_equal(vm_irq_init(second), 0);
	pthread_mutex_lock(&second->lock);
	assert_int_equal(vm_irq_to_intx(second), 0);
	pthread_mutex_unlock(&second->lock);

	fake_line(f, true);
	fake_line(&f2, true);
	assert_int_equal(loop(), 2);
	assert_int_equal(m->level, 2);
	/* the guest serves the first alone: its end of interrupt is for both, the second is back */
	fake_line(f, false);
	uvfio_vm_intx_eoi(t.vm, 10);
	assert_int_equal(loop(), 1);
	assert_int_equal(m->level, 1);
	fake_line(&f2, false);
	uvfio_vm_intx_eoi(t.vm, 10);
	assert_int_equal(m->level, 0);

	pthread_mutex_lock(&second->lock);
	vm_irq_off(second);
	pthread_mutex_unlock(&second->lock);
	vm_irq_fini(second);
	cds_list_del(&second->node);
	pthread_mutex_destroy(&second->lock);
	free(second);
	fake_fini(&f2);
	finish();
}

static void test_describe(void **state)
{
	char text[64] = "";
	FILE *out;

	bypass = true;
	begin();
	start();
	out = fmemopen(text, sizeof(text), "w");
	vm_irq_describe(t.dev, out);
	fclose(out);
	assert_string_equal(text, "INTX irqfd gsi 10");
	move(-1);
	fake_line(f, true);
	loop();
	out = fmemopen(text, sizeof(text), "w");
	vm_irq_describe(t.dev, out);
	fclose(out);
	assert_string_equal(text, "INTX nowhere, pending");
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),	    cmocka_unit_test(test_guess),
		cmocka_unit_test(test_timer),	    cmocka_unit_test(test_timer_over),
		cmocka_unit_test(test_no_timer),    cmocka_unit_test(test_exact),
		cmocka_unit_test(test_disable),	    cmocka_unit_test(test_bypass),
		cmocka_unit_test(test_no_resample), cmocka_unit_test(test_bypass_fails),
		cmocka_unit_test(test_route),	    cmocka_unit_test(test_route_user),
		cmocka_unit_test(test_again),	    cmocka_unit_test(test_none),
		cmocka_unit_test(test_shared),	    cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
