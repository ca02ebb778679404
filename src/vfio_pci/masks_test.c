/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/masks_test.c: messages whose masks are the user's: every way to mask, alone and with the
 * others; what comes meanwhile is pending, is seen as that, and goes out once. And under all of
 * them at once, from threads, no message is lost and none doubled.
 */
#include <pthread.h>
#include <sched.h>

#include "vfio_pci/test_device.h"

#define VEC   T_MSIX_VEC
#define BAR   1
#define TABLE T_MSIX_OFF
#define PENDS 0x3000u
#define ALL   3 /* ways to mask a vector of MSI-X */

static struct tdev t;
static int fd[VEC];
static unsigned msix, msi;

static void open_with(const struct uvfio_model *model)
{
	t_plug(&t, model);
	t.dev->maskable = true;
	assert_int_equal(vfio_device_open(t.dev), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	msix = user_cap(&t, PCI_CAP_ID_MSIX);
	msi = user_cap(&t, PCI_CAP_ID_MSI);
	for (unsigned i = 0; i < VEC; i++)
		fd[i] = t_eventfd();
}

static int setup(void **state)
{
	open_with(&t_model_full);
	return 0;
}

static int teardown(void **state)
{
	t_close(&t);
	for (unsigned i = 0; i < VEC; i++)
		close(fd[i]);
	return 0;
}

static uint32_t bar(uint64_t off, unsigned size)
{
	uint64_t v = 0;

	assert_int_equal(t.dev->ops->rw(t.dev, BAR, off, &v, size, false), size);
	return (uint32_t)v;
}

static void set_bar(uint64_t off, unsigned size, uint64_t v)
{
	assert_int_equal(t.dev->ops->rw(t.dev, BAR, off, &v, size, true), size);
}

static uint32_t pending(void)
{
	return bar(PENDS, 4);
}

static uint64_t entry(unsigned vector)
{
	return TABLE + vector * PCI_MSIX_ENTRY_SIZE;
}

static uint64_t entry_ctrl(unsigned vector)
{
	return entry(vector) + PCI_MSIX_ENTRY_VECTOR_CTRL;
}

/* Mask vector @v of MSI-X by the @way, or take that mask away. */
static void mask(unsigned v, unsigned way, bool on)
{
	switch (way) {
	case 0:
		assert_int_equal(set_irqs(&t, MSIX, v, 1, NONE | (on ? MASK : UNMASK), NULL), 0);
		break;
	case 1:
		set_bar(entry_ctrl(v), 4, on);
		break;
	case 2:
		cw(&t, msix + PCI_MSIX_FLAGS, 2, on ? PCI_MSIX_FLAGS_MASKALL : 0);
		break;
	}
}

static void assign(unsigned start, unsigned count)
{
	assert_int_equal(set_irqs(&t, MSIX, start, count, EVENTFD | TRIGGER, fd + start), 0);
}

static void info(void **state)
{
	static const struct vfio_irq expect[] = {
		{ 7, 1 }, { 11, 8 }, { 3, VEC }, { 9, 1 }, { 9, 1 }
	};
	struct vfio_irq i;

	for (unsigned x = 0; x < ARRAY_SIZE(expect); x++) {
		assert_int_equal(t.dev->ops->irq(t.dev, x, &i), 0);
		assert_int_equal(i.flags, expect[x].flags);
		assert_int_equal(i.count, expect[x].count);
	}
	/* vectors come one by one, whichever kernel the rest is of */
	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	assert_int_equal(t.dev->ops->irq(t.dev, MSIX, &i), 0);
	assert_int_equal(i.flags, 3);
	assign(0, 1);
	assign(9, 1);
	uvfio_msi(t.fn, 9);
	assert_int_equal(taken(fd[9]), 1);
	for (unsigned k = 0; vfio_kernel_names[k]; k++)
		assert_int_equal(vfio_kernel_choose(vfio_kernel_names[k]), 0);
}

static void errors(void **state)
{
	uint8_t yes[VEC] = { 1 };
	struct tdev plain;
	struct vfio_irq i;

	for (unsigned x = MSI; x <= MSIX; x++) {
		assert_int_equal(set_irqs(&t, x, 0, 1, NONE | MASK, NULL), -EINVAL);
		assert_int_equal(set_irqs(&t, x, 0, 1, BOOL | UNMASK, yes), -EINVAL);
		assert_int_equal(set_irqs(&t, x, 0, 1, EVENTFD | MASK, fd), -ENOTTY);
		assert_int_equal(set_irqs(&t, x, 0, 1, NONE | MASK | UNMASK, NULL), -ENOTTY);
		assert_int_equal(set_irqs(&t, x, 0, 1, NONE, NULL), -ENOTTY);
		assert_int_equal(set_irqs(&t, x, 0, 1, EVENTFD | TRIGGER, fd), 0);
		assert_int_equal(set_irqs(&t, x == MSI ? MSIX : MSI, 0, 1, NONE | MASK, NULL),
				 -EINVAL);
		assert_int_equal(set_irqs(&t, x, 0, x == MSI ? 9 : VEC + 1, NONE | MASK, NULL),
				 -EINVAL);
		assert_int_equal(set_irqs(&t, x, 0, x == MSI ? 8 : VEC, NONE | MASK, NULL), 0);
		assert_int_equal(set_irqs(&t, x, 0, 1, EVENTFD | UNMASK, fd), -ENOTTY);
		assert_int_equal(set_irqs(&t, x, 0, x == MSI ? 8 : VEC, BOOL | UNMASK, yes), 0);
		assert_int_equal(set_irqs(&t, x, 0, 0, NONE | MASK, NULL), 0);
		assert_int_equal(set_irqs(&t, x, 0, 0, NONE | TRIGGER, NULL), 0);
	}
	for (unsigned x = ERR; x <= REQ; x++)
		assert_int_equal(set_irqs(&t, x, 0, 1, NONE | MASK, NULL), -ENOTTY);
	/* MSI without mask bits */
	teardown(NULL);
	open_with(&t_model_msi);
	assert_int_equal(t.dev->ops->irq(t.dev, MSI, &i), 0);
	assert_int_equal(i.flags, 9);
	assert_int_equal(t.dev->ops->irq(t.dev, MSIX, &i), 0);
	assert_int_equal(i.flags, 9);
	assert_int_equal(i.count, 0);
	assert_int_equal(set_irqs(&t, MSI, 0, 2, EVENTFD | TRIGGER, fd), 0);
	assert_int_equal(set_irqs(&t, MSI, 0, 1, NONE | MASK, NULL), -ENOTTY);
	uvfio_msi(t.fn, 1);
	assert_int_equal(taken(fd[1]), 1);
	/* a device that no server offers has nothing of it */
	t_open(&plain, &t_model_full);
	cw(&plain, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(set_irqs(&plain, MSIX, 0, 1, EVENTFD | TRIGGER, fd), 0);
	assert_int_equal(set_irqs(&plain, MSIX, 0, 1, NONE | MASK, NULL), -ENOTTY);
	msix = user_cap(&plain, PCI_CAP_ID_MSIX);
	cw(&plain, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(hr(&plain, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | (VEC - 1));
	t_close(&plain);
}

/* ACTION_MASK of several, ACTION_UNMASK of some. */
static void actions(void **state)
{
	uint8_t some[4] = { 0, 1, 0, 1 };

	assign(0, 8);
	assert_int_equal(set_irqs(&t, MSIX, 2, 4, NONE | MASK, NULL), 0);
	for (unsigned i = 0; i < 8; i++) {
		uvfio_msi(t.fn, i);
		uvfio_msi(t.fn, i);
		assert_int_equal(taken(fd[i]), i < 2 || i > 5 ? 2 : 0);
	}
	assert_int_equal(pending(), 0x3c);
	assert_int_equal(bar(PENDS, 8), 0x3c);
	assert_int_equal(set_irqs(&t, MSIX, 2, 4, BOOL | UNMASK, some), 0);
	assert_int_equal(taken(fd[3]), 1);
	assert_int_equal(taken(fd[5]), 1);
	assert_int_equal(taken(fd[2]) + taken(fd[4]), 0);
	assert_int_equal(pending(), 0x14);
	/* masked again, and once more; and what is not masked is unmasked */
	assert_int_equal(set_irqs(&t, MSIX, 0, 8, BOOL | MASK, (uint8_t[8]){ 1 }), 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, NONE | MASK, NULL), 0);
	uvfio_msi(t.fn, 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 8, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd[0]), 1);
	assert_int_equal(taken(fd[2]), 1);
	assert_int_equal(taken(fd[4]), 1);
	assert_int_equal(pending(), 0);
	/* a test of the eventfd is none of the device's */
	assert_int_equal(set_irqs(&t, MSIX, 7, 1, NONE | MASK, NULL), 0);
	assert_int_equal(set_irqs(&t, MSIX, 7, 1, NONE | TRIGGER, NULL), 0);
	assert_int_equal(taken(fd[7]), 1);
	/* with the end of the messages it ends, and what was pending is forgotten */
	uvfio_msi(t.fn, 7);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assign(7, 1);
	assert_int_equal(taken(fd[7]), 0);
	uvfio_msi(t.fn, 7);
	assert_int_equal(taken(fd[7]), 1);
}

/* Each set of masks, and an eventfd or none; taken away in each order. */
static void combinations(void **state)
{
	static const unsigned orders[6][ALL] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						 { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	int none = -1;

	assign(0, VEC);
	for (unsigned i = 0; i < 6 * 2 * (1u << ALL); i++) {
		const unsigned *order = orders[i % 6];
		unsigned ways = i / 12, v = i % VEC;
		bool set = i / 6 % 2;

		for (unsigned w = 0; w < ALL; w++)
			mask(v, w, ways >> w & 1);
		if (!set)
			assert_int_equal(set_irqs(&t, MSIX, v, 1, EVENTFD | TRIGGER, &none), 0);
		uvfio_msi(t.fn, v);
		uvfio_msi(t.fn, v);
		assert_int_equal(taken(fd[v]), ways || !set ? 0 : 2);
		assert_int_equal(pending(), ways || !set ? 1u << v : 0);
		for (unsigned w = 0; w < ALL; w++) {
			mask(v, order[w], false);
			ways &= ~(1u << order[w]);
			if (!set)
				continue;
			if (ways)
				assert_int_equal(taken(fd[v]), 0);
		}
		if (!set) {
			assert_int_equal(pending(), 1u << v);
			assign(v, 1);
		}
		assert_int_equal(taken(fd[v]), (i / 12 || !set) ? 1 : 0);
		assert_int_equal(pending(), 0);
	}
}

/* What the user finds in the table, and what is the function's alone. */
static void table(void **state)
{
	/* as after a reset; and a monitor that never writes it has vectors that are not masked */
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	assign(0, 4);
	assert_int_equal(bar(entry_ctrl(3), 4), 0);
	uvfio_msi(t.fn, 3);
	assert_int_equal(taken(fd[3]), 1);
	/* addresses are the user's */
	set_bar(entry(3), 8, 0x12345678fee01000);
	set_bar(entry(3) + 8, 8, 0x1000004321);
	set_bar(entry(4) + 8, 8, 0x100000abc);
	assert_int_equal(bar(entry(3), 4), 0xfee01000);
	assert_int_equal(bar(entry(3) + 4, 4), 0x12345678);
	assert_int_equal(bar(entry(3) + 8, 4), 0x4321);
	assert_int_equal(bar(entry_ctrl(3), 4), 0); /* bit 0 alone is there */
	assert_int_equal(bar(entry_ctrl(4), 4), 1);
	assert_int_equal(bar(entry_ctrl(4), 1), 1);
	assert_int_equal(bar(entry_ctrl(4) + 1, 1), 0);
	/* what ACTION_MASK masks is not masked here; and the other way round */
	mask(3, 0, true);
	assert_int_equal(bar(entry_ctrl(3), 4), 0);
	mask(3, 1, true);
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	mask(3, 0, false);
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	uvfio_msi(t.fn, 3);
	assert_int_equal(pending(), 8);
	/* a write that is none: the specification has no smaller ones */
	set_bar(entry_ctrl(3), 2, 0);
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	/* it stays when messages are disabled; a vector that is masked has no eventfd, or one */
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	assert_int_equal(bar(entry(3) + 8, 4), 0x4321);
	assign(0, 5);
	assert_int_equal(bar(entry_ctrl(3), 4), 1);
	for (unsigned i = 0; i < 5; i++)
		uvfio_msi(t.fn, i);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(taken(fd[i]), i < 3);
	assert_int_equal(pending(), 0x18);
	mask(3, 1, false);
	assert_int_equal(taken(fd[3]), 1);
	assert_int_equal(bar(entry(3) + 8, 4), 0x4321);
	/* many at once, as a guest's driver does */
	for (unsigned i = 0; i < VEC; i++)
		set_bar(entry(i) + 8, 8, (uint64_t)(i % 2) << 32 | i);
	assign(0, VEC);
	for (unsigned i = 0; i < VEC; i++) {
		uvfio_msi(t.fn, i);
		assert_int_equal(taken(fd[i]), i % 2 ? 0 : 1 + (i == 4));
	}
	assert_int_equal(pending(), 0xaaaa);
	/* by a mapping, it is the same */
	assert_int_equal(t.dev->ops->mmio(t.dev, BAR, entry_ctrl(5), 4, &(uint64_t){ 0 }, true), 0);
	assert_int_equal(taken(fd[5]), 1);
	/* nobody answers */
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(t.dev->ops->rw(t.dev, BAR, entry_ctrl(7), &(uint32_t){ 0 }, 4, true),
			 -EIO);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(bar(entry_ctrl(7), 4), 1);
	assert_int_equal(taken(fd[7]), 0);
}

static void function_mask(void **state)
{
	/* what a guest does: all masked while it sets up */
	cw(&t, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	/* to enable is SET_IRQS's */
	assert_int_equal(cr(&t, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_MASKALL | (VEC - 1));
	assign(0, 4);
	assert_int_equal(cr(&t, msix + PCI_MSIX_FLAGS, 2),
			 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | (VEC - 1));
	for (unsigned i = 0; i < 4; i++)
		uvfio_msi(t.fn, i);
	assert_int_equal(pending(), 15);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(taken(fd[i]), 0);
	/* a byte will do */
	cw(&t, msix + PCI_MSIX_FLAGS + 1, 1, PCI_MSIX_FLAGS_ENABLE >> 8);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(taken(fd[i]), 1);
	assert_int_equal(pending(), 0);
	assert_int_equal(cr(&t, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | (VEC - 1));
	/* it stays over an end of messages, and ends with a reset */
	mask(0, 2, true);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assign(0, 4);
	uvfio_msi(t.fn, 1);
	assert_int_equal(pending(), 2);
	assert_int_equal(vfio_device_reset(&t.open), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(cr(&t, msix + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | (VEC - 1));
	assert_int_equal(taken(fd[1]), 0);
	uvfio_msi(t.fn, 1);
	assert_int_equal(taken(fd[1]), 1);
}

/* A reset is one of the table, and not of what SET_IRQS set up. */
static void reset(void **state)
{
	assign(0, 4);
	mask(0, 0, true);
	mask(1, 1, true);
	set_bar(entry(2), 4, 0xfee02000);
	for (unsigned i = 0; i < 3; i++)
		uvfio_msi(t.fn, i);
	assert_int_equal(taken(fd[2]), 1);
	assert_int_equal(vfio_device_reset(&t.open), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pending(), 0);
	assert_int_equal(bar(entry(2), 4), 0);
	assert_int_equal(bar(entry_ctrl(1), 4), 0);
	for (unsigned i = 0; i < 4; i++)
		uvfio_msi(t.fn, i);
	assert_int_equal(taken(fd[0]), 0);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(taken(fd[i]), 1);
	mask(0, 0, false);
	assert_int_equal(taken(fd[0]), 1);
	/* the same by D3hot, which this function does not survive */
	mask(1, 1, true);
	mask(2, 0, true);
	cw(&t, t.vd->cap.pm + PCI_PM_CTRL, 2, 3);
	cw(&t, t.vd->cap.pm + PCI_PM_CTRL, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		uvfio_msi(t.fn, i);
	assert_int_equal(taken(fd[1]), 1);
	assert_int_equal(taken(fd[2]), 0);
	assert_int_equal(pending(), 4);
	mask(2, 0, false);
	assert_int_equal(taken(fd[2]), 1);
}

/* Eventfds come and go under a mask. */
static void eventfds(void **state)
{
	int none = -1, bad[] = { 9999, -1, -1 };

	assign(0, 4);
	mask(1, 0, true);
	uvfio_msi(t.fn, 1);
	assert_int_equal(set_irqs(&t, MSIX, 1, 1, EVENTFD | TRIGGER, &fd[9]), 0);
	assert_int_equal(taken(fd[1]) + taken(fd[9]), 0);
	mask(1, 0, false);
	assert_int_equal(taken(fd[1]), 0);
	assert_int_equal(taken(fd[9]), 1);
	/* without one it waits, as behind a mask, and the mask stays meanwhile */
	mask(1, 1, true);
	assert_int_equal(set_irqs(&t, MSIX, 1, 1, EVENTFD | TRIGGER, &none), 0);
	uvfio_msi(t.fn, 1);
	assert_int_equal(pending(), 2);
	assert_int_equal(set_irqs(&t, MSIX, 1, 1, EVENTFD | TRIGGER, &fd[1]), 0);
	assert_int_equal(taken(fd[1]), 0);
	mask(1, 1, false);
	assert_int_equal(taken(fd[1]), 1);
	/* a block that fails takes those before it along, and leaves those behind it */
	assert_int_equal(set_irqs(&t, MSIX, 1, 3, EVENTFD | TRIGGER, bad), -EBADF);
	for (unsigned i = 0; i < 4; i++)
		uvfio_msi(t.fn, i);
	assert_int_equal(taken(fd[0]), 1);
	assert_int_equal(taken(fd[1]), 0);
	assert_int_equal(taken(fd[2]), 1);
	assert_int_equal(taken(fd[3]), 1);
	assert_int_equal(pending(), 2);
}

/* MSI: its register is the user's view, and the function's bits are all masks together. */
static void msi_masks(void **state)
{
	unsigned reg = msi + PCI_MSI_MASK_64, pend = msi + PCI_MSI_PENDING_64;
	int none = -1;

	cw(&t, reg, 4, UINT32_MAX);
	assert_int_equal(cr(&t, reg, 4), 0xff);
	cw(&t, reg, 4, 2);
	assert_int_equal(set_irqs(&t, MSI, 0, 8, EVENTFD | TRIGGER, fd), 0);
	assert_int_equal(set_irqs(&t, MSI, 3, 1, EVENTFD | TRIGGER, &none), 0);
	assert_int_equal(set_irqs(&t, MSI, 2, 1, NONE | MASK, NULL), 0);
	assert_int_equal(cr(&t, reg, 4), 2);
	assert_int_equal(hr(&t, reg, 4), 2 | 4 | 8);
	cw(&t, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	for (unsigned i = 0; i < 8; i++) {
		uvfio_msi(t.fn, i);
		assert_int_equal(taken(fd[i]), i == 0 || i > 3);
	}
	assert_int_equal(cr(&t, pend, 4), 2 | 4 | 8);
	/* a byte of it */
	cw(&t, reg, 1, 4);
	assert_int_equal(taken(fd[1]), 1);
	assert_int_equal(set_irqs(&t, MSI, 0, 8, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd[2]), 0);
	assert_int_equal(cr(&t, pend, 4), 4 | 8);
	cw(&t, reg, 4, 0);
	assert_int_equal(taken(fd[2]), 1);
	assert_int_equal(set_irqs(&t, MSI, 3, 1, EVENTFD | TRIGGER, &fd[3]), 0);
	assert_int_equal(taken(fd[3]), 1);
	assert_int_equal(cr(&t, pend, 4), 0);
	/* a reset: the register's bits go, ACTION_MASK stays */
	cw(&t, reg, 4, 1);
	assert_int_equal(set_irqs(&t, MSI, 1, 1, NONE | MASK, NULL), 0);
	assert_int_equal(vfio_device_reset(&t.open), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(cr(&t, reg, 4), 0);
	uvfio_msi(t.fn, 0);
	uvfio_msi(t.fn, 1);
	assert_int_equal(taken(fd[0]), 1);
	assert_int_equal(taken(fd[1]), 0);
	assert_int_equal(hr(&t, reg, 4), 2);
}

/* ---- from threads ---- */

#define FIRERS 4u
#define ROUNDS 300u

static atomic_bool over;

/*
 * Send a message, and take it, again and again: each comes once. One that was lost is waited for
 * long, so that a busy machine is no failure. Returns NULL, or what went wrong.
 */
static void *fire(void *arg)
{
	static char lost[] = "a message was lost", doubled[] = "a message came twice";
	unsigned v = (unsigned)(uintptr_t)arg;
	/* the vector's eventfd is now this, now that */
	struct pollfd p[2] = { { .fd = fd[v], .events = POLLIN },
			       { .fd = fd[v + FIRERS], .events = POLLIN } };

	for (unsigned i = 0; i < ROUNDS; i++) {
		uvfio_msi(t.fn, v);
		if (poll(p, 2, 60000) < 1)
			return lost;
		if (taken(p[0].fd) + taken(p[1].fd) != 1)
			return doubled;
	}
	return NULL;
}

/* Mask a vector one way, and unmask it, and the next one. */
static void *toggle(void *arg)
{
	unsigned way = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; !atomic_load(&over); i++) {
		mask(i % FIRERS, way, true);
		mask(i % FIRERS, way, false);
		if (i % 4 == 0)
			sched_yield();
	}
	return NULL;
}

/* Give the vectors other eventfds, and now and then none. */
static void *swap(void *arg)
{
	int none[FIRERS] = { -1, -1, -1, -1 };

	for (unsigned i = 0; !atomic_load(&over); i++) {
		if (i % 5 == 0)
			set_irqs(&t, MSIX, 0, FIRERS, EVENTFD | TRIGGER, none);
		set_irqs(&t, MSIX, 0, FIRERS, EVENTFD | TRIGGER, fd + (i % 2 ? FIRERS : 0));
		sched_yield();
	}
	return NULL;
}

static void stress(void **state)
{
	pthread_t firers[FIRERS], togglers[ALL], swapper;
	void *wrong[FIRERS];

	assign(0, FIRERS);
	atomic_store(&over, false);
	for (uintptr_t i = 0; i < FIRERS; i++)
		assert_int_equal(pthread_create(&firers[i], NULL, fire, (void *)i), 0);
	for (uintptr_t i = 0; i < ALL; i++)
		assert_int_equal(pthread_create(&togglers[i], NULL, toggle, (void *)i), 0);
	assert_int_equal(pthread_create(&swapper, NULL, swap, NULL), 0);
	for (unsigned i = 0; i < FIRERS; i++)
		pthread_join(firers[i], &wrong[i]);
	atomic_store(&over, true);
	for (unsigned i = 0; i < ALL; i++)
		pthread_join(togglers[i], NULL);
	pthread_join(swapper, NULL);
	for (unsigned i = 0; i < FIRERS; i++)
		if (wrong[i])
			fail_msg("vector %u: %s", i, (const char *)wrong[i]);
	assert_int_equal(pending(), 0);
	for (unsigned i = 0; i < 2 * FIRERS; i++)
		assert_int_equal(taken(fd[i]), 0);
}

static atomic_uint sent;

static void *flood(void *arg)
{
	while (!atomic_load(&over)) {
		uvfio_msi(t.fn, 0);
		atomic_fetch_add(&sent, 1);
	}
	return NULL;
}

/* When a mask is there, nothing comes any more, however it was set. */
static void silence(void **state)
{
	pthread_t th;

	assign(0, 1);
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&th, NULL, flood, NULL), 0);
	for (unsigned i = 0; i < 90; i++) {
		unsigned before;

		mask(0, i % ALL, true);
		taken(fd[0]);
		before = atomic_load(&sent);
		while (atomic_load(&sent) - before < 3)
			sched_yield();
		assert_int_equal(taken(fd[0]), 0);
		assert_int_equal(pending(), 1);
		mask(0, i % ALL, false);
		assert_true(taken_soon(fd[0]) > 0);
	}
	atomic_store(&over, true);
	pthread_join(th, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(info, setup, teardown),
		cmocka_unit_test_setup_teardown(errors, setup, teardown),
		cmocka_unit_test_setup_teardown(actions, setup, teardown),
		cmocka_unit_test_setup_teardown(combinations, setup, teardown),
		cmocka_unit_test_setup_teardown(table, setup, teardown),
		cmocka_unit_test_setup_teardown(function_mask, setup, teardown),
		cmocka_unit_test_setup_teardown(reset, setup, teardown),
		cmocka_unit_test_setup_teardown(eventfds, setup, teardown),
		cmocka_unit_test_setup_teardown(msi_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(stress, setup, teardown),
		cmocka_unit_test_setup_teardown(silence, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
