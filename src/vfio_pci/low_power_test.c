/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/low_power_test.c: low power by the user's wish: asleep while nobody uses the function,
 * awake for each call, INTx and mapped pages meanwhile, and how it ends.
 */
#include "vfio_pci/test_device.h"

/* A call of the device's file that does nothing else. */
static void use(struct tdev *t)
{
	vfio_device_use(t->dev);
	assert_int_equal(pci_power_state(t->fn), 0);
	vfio_device_unuse(t->dev);
}

/* The ioctl itself is such a call. */
static int enter(struct tdev *t, int wake)
{
	int ret;

	vfio_device_use(t->dev);
	ret = vfio_device_low_power(&t->open, true, wake);
	vfio_device_unuse(t->dev);
	return ret;
}

static int leave(struct tdev *t)
{
	int ret;

	vfio_device_use(t->dev);
	ret = vfio_device_low_power(&t->open, false, -1);
	vfio_device_unuse(t->dev);
	return ret;
}

static int load(struct tdev *t, uint64_t *v)
{
	return vfio_device_mmio(&t->open, 0, 0, 4, v, false);
}

static void asleep_while_nobody_uses_it(void **state)
{
	const uint32_t mark = 0x12345678;
	uint32_t back = 0;
	struct tdev t;
	uint64_t v;

	t_open(&t, &t_model_full);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(leave(&t), 0); /* it is not in low power */
	assert_int_equal(vfio_device_rw(&t.open, 0, 0, (void *)&mark, 4, true), 4);
	assert_int_equal(load(&t, &v), 0);

	assert_int_equal(enter(&t, -1), 0);
	assert_int_equal(pci_power_state(t.fn), 3);
	assert_int_equal(load(&t, &v), -EIO);
	assert_int_equal(enter(&t, -1), -EINVAL);
	assert_int_equal(pci_power_state(t.fn), 3);
	use(&t);
	assert_int_equal(pci_power_state(t.fn), 3);

	/* two at a time: the last one lets it sleep; a mapping does not answer all the same */
	vfio_device_use(t.dev);
	vfio_device_use(t.dev);
	assert_int_equal(vfio_device_rw(&t.open, 0, 0, &back, 4, false), 4);
	assert_int_equal(back, 0); /* it came from D3hot, without NoSoftRst */
	assert_int_equal(load(&t, &v), -EIO);
	assert_int_equal(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	vfio_device_unuse(t.dev);
	assert_int_equal(pci_power_state(t.fn), 0);
	vfio_device_unuse(t.dev);
	assert_int_equal(pci_power_state(t.fn), 3);

	assert_int_equal(leave(&t), 0);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(load(&t, &v), 0);
	assert_int_equal(leave(&t), 0);
	t_close(&t);
}

/* The user's D3hot is not lost from sight: what the function had before comes back. */
static void entered_from_d3(void **state)
{
	struct tdev t;
	unsigned pm;

	t_open(&t, &t_model_full);
	pm = user_cap(&t, PCI_CAP_ID_PM);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cw(&t, pm + PCI_PM_CTRL, 2, 3);
	assert_int_equal(enter(&t, -1), 0);
	assert_int_equal(leave(&t), 0);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, PCI_COMMAND_MASTER);
	t_close(&t);
}

static void eventfd_of_the_wakeup(void **state)
{
	int fd = t_eventfd(), other = open("/dev/null", O_RDONLY);
	struct tdev t;
	uint64_t v;

	t_open(&t, &t_model_full);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(enter(&t, 1000), -EBADF);
	assert_int_equal(enter(&t, other), -EINVAL);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(enter(&t, fd), 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(pci_power_state(t.fn), 3);
	use(&t);
	assert_int_equal(taken(fd), 1);
	/* with that it has ended */
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(load(&t, &v), 0);
	use(&t);
	assert_int_equal(taken(fd), 0);
	/* the entry is a use that ends one, and begins one */
	assert_int_equal(enter(&t, fd), 0);
	assert_int_equal(enter(&t, -1), 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(leave(&t), 0);
	/* who closes the device in low power hears nothing */
	assert_int_equal(enter(&t, fd), 0);
	vfio_device_close(t.dev);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(vfio_device_open(t.dev), 0);
	assert_int_equal(load(&t, &v), 0);
	use(&t);
	assert_int_equal(pci_power_state(t.fn), 0);
	t_close(&t);
	close(other);
	close(fd);
}

/* A function that has no D3hot: only INTx and mapped pages tell that it is in low power. */
static void intx_is_masked(void **state)
{
	int fd = t_eventfd();
	int32_t fds = fd;
	struct tdev t;

	t_open(&t, &t_model_old);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fds), 0);
	assert_int_equal(enter(&t, -1), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0);
	vfio_device_use(t.dev);
	assert_int_equal(taken(fd), 1);
	vfio_device_unuse(t.dev);
	/* it is masked now as after each interrupt, and not unmasked by the sleep */
	use(&t);
	assert_int_equal(taken(fd), 0);
	uvfio_intx(t.fn, false);
	assert_int_equal(leave(&t), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	t_close(&t);
	close(fd);
}

static int create_with_pme(struct uvfio_dev *dev)
{
	int ret = t_model_full.create(dev);

	return ret ? ret : uvfio_add_pme(dev, 8); /* D3hot */
}

static atomic_uint powers;

static void on_power(struct uvfio_dev *dev, unsigned d)
{
	atomic_fetch_add(&powers, 1);
}

/* The function's own wish to be awake ends low power with an eventfd, else it is for a moment. */
static void pme(void **state)
{
	struct uvfio_model model = t_model_full;
	int fd = t_eventfd();
	unsigned pm, wakes;
	struct tdev t;

	model.create = create_with_pme;
	model.power = on_power;
	t_open(&t, &model);
	pm = pci_find_cap(t.fn, PCI_CAP_ID_PM);
	assert_int_equal(hr(&t, pm + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, PCI_PM_CAP_PME_D3hot);
	/* a user sees nothing of it, and cannot enable it */
	assert_int_equal(cr(&t, pm + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, 0);
	cw(&t, pm + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE);
	assert_int_equal(hr(&t, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_ENABLE, 0);
	/* not from D0, and not enabled in the user's own D3hot */
	uvfio_pme(t.fn);
	assert_int_equal(hr(&t, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS, 0);
	cw(&t, pm + PCI_PM_CTRL, 2, 3);
	uvfio_pme(t.fn);
	assert_int_equal(hr(&t, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS,
			 PCI_PM_CTRL_PME_STATUS);
	assert_int_equal(pci_power_state(t.fn), 3);
	cw(&t, pm + PCI_PM_CTRL, 2, 0);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(enter(&t, fd), 0);
		assert_int_equal(pci_power_state(t.fn), 3);
		assert_int_equal(hr(&t, pm + PCI_PM_CTRL, 2) &
					 (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
				 PCI_PM_CTRL_PME_ENABLE);
		uvfio_pme(t.fn);
		assert_int_equal(taken_soon(fd), 1);
		use(&t);
		assert_int_equal(pci_power_state(t.fn), 0);
		assert_int_equal(hr(&t, pm + PCI_PM_CTRL, 2) &
					 (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
				 0);
		assert_int_equal(taken(fd), 0);
	}
	/* without an eventfd it sleeps again, and so does a function that nobody listens to */
	assert_int_equal(enter(&t, -1), 0);
	wakes = atomic_load(&powers);
	uvfio_pme(t.fn);
	for (int i = 0; i < 10000 && atomic_load(&powers) < wakes + 2; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&powers), wakes + 2);
	assert_int_equal(pci_power_state(t.fn), 3);
	assert_int_equal(leave(&t), 0);
	uvfio_pme(t.fn);
	assert_int_equal(pci_power_state(t.fn), 0);
	t_close(&t);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asleep_while_nobody_uses_it),
		cmocka_unit_test(entered_from_d3),
		cmocka_unit_test(eventfd_of_the_wakeup),
		cmocka_unit_test(intx_is_masked),
		cmocka_unit_test(pme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
