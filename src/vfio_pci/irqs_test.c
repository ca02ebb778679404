/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/irqs_test.c: SET_IRQS: what each index answers, with the kernel's errno, and what is
 * signalled when.
 */
#include "vfio_pci/test_device.h"

static struct tdev t;

static int setup(void **state)
{
	t_open(&t, &t_model_full);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}
static int setup_old(void **state)
{
	t_open(&t, &t_model_old);
	return 0;
}
static int teardown(void **state)
{
	t_close(&t);
	return 0;
}

static void test_info(void **state)
{
	static const struct vfio_irq expect[] = {
		{ 7, 1 }, { 9, 8 }, { 1, T_MSIX_VEC }, { 9, 1 }, { 9, 1 }
	};
	struct vfio_irq i;

	for (unsigned x = 0; x < ARRAY_SIZE(expect); x++) {
		assert_int_equal(t.dev->ops->irq(t.dev, x, &i), 0);
		assert_int_equal(i.flags, expect[x].flags);
		assert_int_equal(i.count, expect[x].count);
	}
	assert_int_equal(t.dev->ops->irq(t.dev, 5, &i), -EINVAL);
}

/* which index takes which action at all */
static void test_actions(void **state)
{
	int fd = t_eventfd();

	for (unsigned i = MSI; i <= REQ; i++) {
		assert_int_equal(set_irqs(&t, i, 0, 1, NONE | MASK, NULL), -ENOTTY);
		assert_int_equal(set_irqs(&t, i, 0, 1, NONE | UNMASK, NULL), -ENOTTY);
		assert_int_equal(set_irqs(&t, i, 0, 1, NONE, NULL), -ENOTTY);
		assert_int_equal(set_irqs(&t, i, 0, 1, NONE | TRIGGER | MASK, NULL), -ENOTTY);
	}
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE, NULL), -ENOTTY);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | MASK | UNMASK, NULL), -ENOTTY);
	/* with INTx in use MASK by eventfd is still nothing */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | MASK, &fd), -ENOTTY);
	close(fd);
}

static void test_intx_errors(void **state)
{
	int fd = t_eventfd(), zero = open("/dev/zero", O_RDONLY), bad = 9999, none = -1;
	uint8_t yes = 1;

	/* not in use */
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | TRIGGER, &yes), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | MASK, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | UNMASK, &yes), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &fd), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 0, EVENTFD | TRIGGER, NULL), -EINVAL);
	/* range, by the waist */
	assert_int_equal(set_irqs(&t, INTX, 1, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 2, NONE | TRIGGER, NULL), -EINVAL);
	/* descriptors */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &bad), -EBADF);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &zero), -EINVAL);
	assert_int_equal(t.vd->irq_type, VFIO_PCI_IRQ_NONE);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	/* a bad one leaves the good one */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &bad), -EBADF);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	/* other types are shut out */
	assert_int_equal(set_irqs(&t, MSI, 0, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	/* unmask eventfd */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &bad), -EBADF);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &zero), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &fd), -EBUSY);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &bad), -EBADF);
	/*
	 * one that is closed makes room for another, and is not closed while there is a duplicate
	 */
	{
		int again = dup(fd), other = eventfd(0, EFD_NONBLOCK);

		close(fd);
		assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &other), -EBUSY);
		close(again);
		assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &other), 0);
		assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &other), -EBUSY);
		fd = other;
	}
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &none), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &none), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	close(zero);
	close(fd);
}

/* no pin: no vector, and nothing to say but EINVAL */
static int create_nopin(struct uvfio_dev *dev)
{
	return uvfio_add_bar(dev, 0, 4096, 0);
}
static void test_no_pin(void **state)
{
	static const struct uvfio_model m = { UVFIO_MODEL_INIT, .name = "nopin",
					      .create = create_nopin };
	struct tdev n;
	struct vfio_irq i;
	int fd = t_eventfd();

	t_open(&n, &m);
	for (unsigned x = INTX; x <= MSIX; x++) {
		assert_int_equal(n.dev->ops->irq(n.dev, x, &i), 0);
		assert_int_equal(i.count, 0);
		assert_int_equal(i.flags, x == INTX ? 7 : 9);
		assert_int_equal(set_irqs(&n, x, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
		assert_int_equal(set_irqs(&n, x, 0, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	}
	t_close(&n);
	close(fd);
}

/* signal, automask, unmask with the line up and down; the same for both sorts of functions */
static void test_intx_flow(void **state)
{
	int fd = t_eventfd(), other = t_eventfd(), none = -1;
	uint8_t yes = 1, no = 0;

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	uvfio_intx(t.fn, false);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0); /* masked */
	/* still up: again, and still masked */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | UNMASK, &no), 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | UNMASK, &yes), 0);
	assert_int_equal(taken(fd), 1);
	uvfio_intx(t.fn, false);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0); /* twice is nothing */
	assert_int_equal(taken(fd), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	uvfio_intx(t.fn, false);

	/* masked by hand */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | MASK, &no), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	uvfio_intx(t.fn, false);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | MASK, &yes), 0);
	if (t.vd->pci_2_3)
		assert_true(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_false(cr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_false(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(taken(fd), 1);

	/* by software: masked or not */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | TRIGGER, &yes), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, BOOL | TRIGGER, &no), 0);
	assert_int_equal(taken(fd), 2);

	/* another eventfd, none, another: the type stays, the mask too */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &other), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(other), 1);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &none), 0);
	assert_int_equal(t.vd->irq_type, INTX);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(taken(fd) + taken(other), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 1);

	/* disabled with the line up, enabled again: it is still up */
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
	uvfio_intx(t.fn, false);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
	close(other);
}

/* any negative descriptor enables INTx with no eventfd */
static void test_intx_enable_without(void **state)
{
	int minus = -7, fd = t_eventfd();

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &minus), 0);
	assert_int_equal(t.vd->irq_type, INTX);
	uvfio_intx(t.fn, true);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void test_disintx(void **state)
{
	int fd = t_eventfd();
	unsigned cmd = cr(&t, PCI_COMMAND, 2);

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	cw(&t, PCI_COMMAND, 2, cmd | PCI_COMMAND_INTX_DISABLE);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0);
	/* the ioctl cannot take that mask off, and software signals do not pass it */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | TRIGGER, NULL), 0);
	assert_int_equal(taken(fd), 0);
	/* swapped under it */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(taken(fd), 0);
	cw(&t, PCI_COMMAND, 2, cmd);
	assert_int_equal(taken(fd), 1);
	assert_false(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	/* a mask by the ioctl goes with it: there is one */
	uvfio_intx(t.fn, false);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | MASK, NULL), 0);
	cw(&t, PCI_COMMAND, 2, cmd | PCI_COMMAND_INTX_DISABLE);
	cw(&t, PCI_COMMAND, 2, cmd);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	/* set before INTx is enabled */
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
	cw(&t, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(taken(fd), 0);
	cw(&t, PCI_COMMAND + 1, 1, 0);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void test_unmask_eventfd(void **state)
{
	int fd = t_eventfd(), unmask = t_eventfd(), none = -1;

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &unmask), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	eventfd_write(unmask, 1);
	assert_int_equal(taken_soon(fd), 1);
	/* with the mask asked for by ioctl, DisINTx of the hardware goes too */
	uvfio_intx(t.fn, false);
	eventfd_write(unmask, 1);
	/* served by the loop's thread: were it late, it would unmask the next one */
	while (atomic_load(&t.vd->intx.state) & INTX_MASKED)
		usleep(100);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | MASK, NULL), 0);
	uvfio_intx(t.fn, true);
	eventfd_write(unmask, 1);
	assert_int_equal(taken_soon(fd), 1);
	assert_false(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	/* removed */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &none), 0);
	eventfd_write(unmask, 1);
	usleep(20000);
	assert_int_equal(taken(fd), 0);
	/* signalled already when it is set: at once */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | UNMASK, &unmask), 0);
	assert_int_equal(taken_soon(fd), 1);
	/* disabling INTx drops it */
	assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_null(t.vd->intx.unmask);
	close(fd);
	close(unmask);
}

static void test_msi_errors(unsigned index, unsigned max)
{
	int fd = t_eventfd(), zero = open("/dev/zero", O_RDONLY), fds[4];
	uint8_t yes[4] = { 1, 1, 1, 1 };

	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, BOOL | TRIGGER, yes), -EINVAL);
	assert_int_equal(set_irqs(&t, index, max, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 1, max, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 0, EVENTFD | TRIGGER, NULL), -ERANGE);
	/* a bad descriptor: all is undone */
	fds[0] = fd;
	fds[1] = 9999;
	assert_int_equal(set_irqs(&t, index, 0, 2, EVENTFD | TRIGGER, fds), -EBADF);
	assert_int_equal(t.vd->irq_type, VFIO_PCI_IRQ_NONE);
	fds[1] = zero;
	assert_int_equal(set_irqs(&t, index, 0, 2, EVENTFD | TRIGGER, fds), -EINVAL);
	assert_int_equal(t.vd->irq_type, VFIO_PCI_IRQ_NONE);
	assert_int_equal(taken(fd), 0);
	/* active: a bad one takes the block with it, and the rest stays */
	fds[0] = fds[1] = fds[2] = fds[3] = fd;
	assert_int_equal(set_irqs(&t, index, 0, 4, EVENTFD | TRIGGER, fds), 0);
	fds[2] = 9999;
	assert_int_equal(set_irqs(&t, index, 1, 2, EVENTFD | TRIGGER, fds + 1), -EBADF);
	assert_int_equal(t.vd->irq_type, index);
	assert_int_equal(set_irqs(&t, index, 0, 4, NONE | TRIGGER, NULL), 0);
	assert_int_equal(taken(fd), 2);
	assert_int_equal(set_irqs(&t, index, 1, 2, BOOL | TRIGGER, yes), 0);
	assert_int_equal(taken(fd), 0);
	yes[0] = 0;
	assert_int_equal(set_irqs(&t, index, 0, 4, BOOL | TRIGGER, yes), 0);
	assert_int_equal(taken(fd), 1);
	/* others are shut out */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index == MSI ? MSIX : MSI, 0, 1, EVENTFD | TRIGGER, &fd),
			 -EINVAL);
	assert_int_equal(set_irqs(&t, index == MSI ? MSIX : MSI, 0, 0, NONE | TRIGGER, NULL),
			 -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	close(zero);
	close(fd);
}

static void test_msi_set(void **state)
{
	test_msi_errors(MSI, 8);
}
static void test_msix_set(void **state)
{
	test_msi_errors(MSIX, T_MSIX_VEC);
}

static void test_msi_flow(void **state)
{
	int fd[8], none = -1;

	for (unsigned i = 0; i < 8; i++)
		fd[i] = t_eventfd();
	/* a block of 3: the hardware gets 4, vector 3 is not ours */
	assert_int_equal(set_irqs(&t, MSI, 0, 3, EVENTFD | TRIGGER, fd), 0);
	for (unsigned i = 0; i < 3; i++) {
		uvfio_msi(t.fn, i);
		assert_int_equal(taken(fd[i]), 1);
	}
	assert_int_equal(set_irqs(&t, MSI, 3, 1, EVENTFD | TRIGGER, &fd[3]), -EINVAL);
	assert_int_equal(set_irqs(&t, MSI, 3, 1, EVENTFD | TRIGGER, &none), 0);
	/* one taken away: its message waits, and comes with the next eventfd */
	assert_int_equal(set_irqs(&t, MSI, 1, 1, EVENTFD | TRIGGER, &none), 0);
	uvfio_msi(t.fn, 1);
	assert_int_equal(taken(fd[1]), 0);
	assert_int_equal(set_irqs(&t, MSI, 1, 1, EVENTFD | TRIGGER, &fd[5]), 0);
	assert_int_equal(taken(fd[5]), 1);
	/* no message without bus mastering */
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	uvfio_msi(t.fn, 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(taken(fd[0]), 0);
	/* a reset leaves it all */
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	uvfio_msi(t.fn, 2);
	assert_int_equal(taken(fd[2]), 1);
	assert_int_equal(set_irqs(&t, MSI, 0, 0, NONE | TRIGGER, NULL), 0);
	uvfio_msi(t.fn, 2);
	assert_int_equal(taken(fd[2]), 0);
	for (unsigned i = 0; i < 8; i++)
		close(fd[i]);
}

static void test_msix_flow(void **state)
{
	int fd = t_eventfd(), other = t_eventfd(), none = -1;

	/* enabled with one, others come later */
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_msi(t.fn, 9);
	assert_int_equal(set_irqs(&t, MSIX, 9, 1, EVENTFD | TRIGGER, &other), 0);
	assert_int_equal(taken(other), 1); /* was pending */
	uvfio_msi(t.fn, 9);
	uvfio_msi(t.fn, 9);
	assert_int_equal(taken(other), 2);
	/* the same eventfd for several */
	assert_int_equal(set_irqs(&t, MSIX, 9, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_msi(t.fn, 9);
	uvfio_msi(t.fn, 0);
	assert_int_equal(taken(fd), 2);
	assert_int_equal(taken(other), 0);
	assert_int_equal(set_irqs(&t, MSIX, 9, 1, EVENTFD | TRIGGER, &none), 0);
	uvfio_msi(t.fn, 9);
	assert_int_equal(taken(fd), 0);
	/* pending is visible, and a reset drops it */
	uint32_t pba = 0;
	assert_int_equal(t.dev->ops->rw(t.dev, 1, 0x3000, &pba, 4, false), 4);
	assert_int_equal(pba, 1 << 9);
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	assert_int_equal(t.dev->ops->rw(t.dev, 1, 0x3000, &pba, 4, false), 4);
	assert_int_equal(pba, 0);
	uvfio_msi(t.fn, 0);
	assert_int_equal(taken(fd), 1);
	/* the client's number may be closed and used again: what was set is meant */
	close(fd);
	uvfio_msi(t.fn, 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	uvfio_msi(t.fn, 0);
	/* INTx is back */
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &other), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(other), 1);
	close(other);
}

/* enabled from the middle: vectors below have none */
static void test_msix_start(void **state)
{
	int fd = t_eventfd();

	assert_int_equal(set_irqs(&t, MSIX, 5, 0, EVENTFD | TRIGGER, NULL), 0);
	assert_int_equal(t.vd->irq_type, MSIX);
	assert_int_equal(set_irqs(&t, MSIX, 0, T_MSIX_VEC, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, EVENTFD | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, MSIX, T_MSIX_VEC - 1, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_msi(t.fn, T_MSIX_VEC - 1);
	assert_int_equal(taken(fd), 1);
	close(fd);
}

static void test_single(unsigned index)
{
	int fd = t_eventfd(), none = -1, two = -2, bad = 9999;
	uint8_t yes = 1, no = 0;

	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, BOOL | TRIGGER, &yes), 0);
	assert_int_equal(set_irqs(&t, index, 0, 0, BOOL | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 0, EVENTFD | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &none), 0);
	assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &two), -EINVAL);
	assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &bad), -EBADF);
	assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &bad), -EBADF);
	assert_int_equal(set_irqs(&t, index, 0, 1, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, index, 0, 1, BOOL | TRIGGER, &yes), 0);
	assert_int_equal(set_irqs(&t, index, 0, 1, BOOL | TRIGGER, &no), 0);
	assert_int_equal(taken(fd), 2);
	/* whatever else is in use */
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), -EINVAL);
	close(fd);
}
static void test_err(void **state)
{
	test_single(ERR);
}
/* the function reports: an uncorrectable error signals, a correctable or a masked one does not */
static void test_err_report(void **state)
{
	unsigned aer = user_ext_cap(&t, PCI_EXT_CAP_ID_ERR);
	int fd = t_eventfd();

	assert_int_equal(set_irqs(&t, ERR, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_report_error(t.fn, __builtin_ctz(PCI_ERR_COR_RCVR), false);
	assert_int_equal(taken(fd), 0);
	uvfio_report_error(t.fn, __builtin_ctz(PCI_ERR_UNC_POISON_TLP), true);
	assert_int_equal(taken(fd), 1);
	assert_true(cr(&t, aer + PCI_ERR_UNCOR_STATUS, 4) & PCI_ERR_UNC_POISON_TLP);
	cw(&t, aer + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_POISON_TLP);
	uvfio_report_error(t.fn, __builtin_ctz(PCI_ERR_UNC_POISON_TLP), true);
	assert_int_equal(taken(fd), 0);
	close(fd);
}
static void test_req(void **state)
{
	test_single(REQ);
}

/* INTx across resets: set-up and mask stay */
static void test_intx_reset(void **state)
{
	int fd = t_eventfd();

	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	uvfio_intx(t.fn, true);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | MASK, NULL), 0);
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	assert_true(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_false(cr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define OLD(f)                                                   \
	{                                                        \
#f " (no DisINTx)", f, setup_old, teardown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_info),
		T(test_actions),
		T(test_intx_errors),
		cmocka_unit_test(test_no_pin),
		T(test_intx_flow),
		OLD(test_intx_flow),
		T(test_intx_enable_without),
		OLD(test_intx_enable_without),
		T(test_disintx),
		OLD(test_disintx),
		T(test_unmask_eventfd),
		OLD(test_unmask_eventfd),
		T(test_msi_set),
		T(test_msix_set),
		T(test_msi_flow),
		T(test_msix_flow),
		T(test_msix_start),
		T(test_err),
		T(test_err_report),
		T(test_req),
		T(test_intx_reset),
	};

	return cmocka_run_group_tests_name("vfio_pci/irqs", tests, NULL, NULL);
}
