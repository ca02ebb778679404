/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/migrate_test.c: what the driver keeps for its user moves with a device: interrupts that
 * wait, masks of every kind, config space as the user sees it, a function that sleeps. The user at
 * the other end sets up interrupts before the state comes, or after it.
 */
#include "base/heap.h"
#include "models/testdev/testdev.h"
#include "vfio/stream.h"
#include "vfio_pci/test_device.h"

#define REGS   2u
#define TABLE  0x8000u
#define PENDS  0x4000u
#define STREAM (256u << 10)

static struct tdev a, b;
static uint8_t stream[STREAM];
static size_t len;

static bool maskable[2]; /* of a and of b: masks of messages are the user's */

static void plug(struct tdev *t, const char *option, const char *value)
{
	struct pci_option opt = { option, value };
	char err[256];

	t->loop = loop_new();
	if (pci_function_new(&model_testdev, "0000:01:00.0", 0, t->loop, &opt, option ? 1 : 0, err,
			     sizeof(err), &t->fn))
		fail_msg("%s", err);
	assert_int_equal(vfio_pci_bind(t->fn, &(struct pci_address){ .bus = 1 }, t->loop, &t->dev),
			 0);
	assert_int_equal(vfio_pci_set_migration(t->dev), 0);
	t_opener(t);
	t->dev->maskable = maskable[t == &b];
	assert_int_equal(vfio_device_open(t->dev), 0);
	cw(t, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static int set_up(void **state)
{
	log_set(-1, LOG_NONE);
	plug(&a, NULL, NULL);
	plug(&b, NULL, NULL);
	return 0;
}

static int take_down(void **state)
{
	t_close(&a);
	t_close(&b);
	return 0;
}

static void set_reg(struct tdev *t, unsigned off, uint32_t v)
{
	assert_int_equal(t->dev->ops->rw(t->dev, REGS, off, &v, 4, true), 4);
}

static uint32_t reg(struct tdev *t, unsigned off)
{
	uint32_t v = 0;

	assert_int_equal(t->dev->ops->rw(t->dev, REGS, off, &v, 4, false), 4);
	return v;
}

static int go(struct tdev *t, uint32_t state, struct vfio_stream **s)
{
	struct vfio_stream *got = NULL;
	int ret = vfio_migrate_set(t->dev->migrate, state, &got);

	if (s)
		*s = got;
	else if (got)
		vfio_stream_put(got);
	return ret;
}

static void save_from(struct tdev *t)
{
	struct vfio_stream *s;
	ssize_t n;

	assert_int_equal(go(t, VFIO_DEVICE_STATE_STOP_COPY, &s), 0);
	n = vfio_stream_read(s, (uintptr_t)stream, STREAM);
	assert_true(n > 0 && n < STREAM);
	len = (size_t)n;
	assert_int_equal(vfio_stream_read(s, (uintptr_t)stream, 1), 0);
	vfio_stream_put(s);
}

static void load_into(struct tdev *t)
{
	struct vfio_stream *s;

	assert_int_equal(go(t, VFIO_DEVICE_STATE_RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)stream, len), len);
	vfio_stream_put(s);
	assert_int_equal(go(t, VFIO_DEVICE_STATE_STOP, NULL), 0);
}

static void save(void)
{
	save_from(&a);
}

static void load(void)
{
	load_into(&b);
}

static void run(struct tdev *t)
{
	assert_int_equal(go(t, VFIO_DEVICE_STATE_RUNNING, NULL), 0);
}

static int intx(struct tdev *t)
{
	int fd = t_eventfd();

	assert_int_equal(set_irqs(t, INTX, 0, 1, TRIGGER | EVENTFD, &fd), 0);
	return fd;
}

static int msix(struct tdev *t, unsigned vector)
{
	int fd = t_eventfd();

	assert_int_equal(set_irqs(t, MSIX, vector, 1, TRIGGER | EVENTFD, &fd), 0);
	return fd;
}

/* ---- INTx ---- */

/* The line goes up while the device is stopped: the signal comes there, and once. */
static void test_line(void **state)
{
	int fa = intx(&a), fb = intx(&b);

	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	set_reg(&a, TD_INTX, 1);
	assert_int_equal(taken(fa), 0);
	save();
	load();
	assert_int_equal(taken(fb), 0);
	run(&b);
	assert_int_equal(taken(fb), 1);
	/* masked by it, as by any */
	set_reg(&b, TD_INTX, 0);
	set_reg(&b, TD_INTX, 1);
	assert_int_equal(taken(fb), 0);
	assert_int_equal(set_irqs(&b, INTX, 0, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fb), 1);
	/* and here, if it goes on here */
	run(&a);
	assert_int_equal(taken(fa), 1);
	close(fa);
	close(fb);
}

/* It was signalled there, and the handler has still to unmask it: @late: INTx is set up at last. */
static void masked_line(bool late)
{
	int fa = intx(&a), fb = late ? -1 : intx(&b);

	set_reg(&a, TD_INTX, 1);
	assert_int_equal(taken(fa), 1);
	save();
	load();
	if (late)
		fb = intx(&b);
	run(&b);
	assert_int_equal(taken(fb), 0);
	assert_int_equal(set_irqs(&b, INTX, 0, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fb), 1);
	close(fa);
	close(fb);
}

static void test_masked_line(void **state)
{
	masked_line(false);
}

static void test_masked_line_late(void **state)
{
	masked_line(true);
}

/* An unmask of a stopped device signals when that goes on. */
static void test_unmask_stopped(void **state)
{
	int fa = intx(&a);

	set_reg(&a, TD_INTX, 1);
	assert_int_equal(taken(fa), 1);
	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	assert_int_equal(set_irqs(&a, INTX, 0, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fa), 0);
	run(&a);
	assert_int_equal(taken(fa), 1);
	close(fa);
}

/* A line that went up while nobody listened is no mask. */
static void test_unheard_line(void **state)
{
	int fb;

	set_reg(&a, TD_INTX, 1);
	set_reg(&a, TD_INTX, 0);
	save();
	load();
	run(&b);
	fb = intx(&b);
	set_reg(&b, TD_INTX, 1);
	assert_int_equal(taken(fb), 1);
	close(fb);
}

/* A mask that waits for INTx moves on with the device; the user's DisINTx takes it off, as any. */
static void test_carried_mask(void **state)
{
	int fa = intx(&a);

	set_reg(&a, TD_INTX, 1);
	assert_int_equal(taken(fa), 1);
	close(fa);
	save();
	load();
	/* and back, to a device on which nothing is set up */
	assert_int_equal(set_irqs(&a, INTX, 0, 0, TRIGGER | NONE, NULL), 0);
	save_from(&b);
	load_into(&a);
	run(&a);
	fa = intx(&a);
	assert_int_equal(taken(fa), 0);
	assert_int_equal(set_irqs(&a, INTX, 0, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fa), 1);
	assert_int_equal(set_irqs(&a, INTX, 0, 0, TRIGGER | NONE, NULL), 0);
	close(fa);
	/* b has it still, and is not active */
	run(&b);
	cw(&b, PCI_COMMAND, 2, 7 | PCI_COMMAND_INTX_DISABLE);
	cw(&b, PCI_COMMAND, 2, 7);
	fa = intx(&b);
	assert_int_equal(taken(fa), 1);
	close(fa);
}

/* The user's masks: by SET_IRQS, which DisINTx of the hardware follows, and DisINTx itself. */
static void test_user_masks(void **state)
{
	int fa = intx(&a), fb = intx(&b);

	assert_int_equal(set_irqs(&a, INTX, 0, 1, MASK | NONE, NULL), 0);
	save();
	load();
	assert_true(hr(&b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_false(cr(&b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	run(&b);
	set_reg(&b, TD_INTX, 1);
	assert_int_equal(taken(fb), 0);
	assert_int_equal(set_irqs(&b, INTX, 0, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fb), 1);
	run(&a);
	cw(&a, PCI_COMMAND, 2, 7 | PCI_COMMAND_INTX_DISABLE);
	save();
	load();
	assert_true(hr(&b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_true(cr(&b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	run(&b);
	set_reg(&b, TD_INTX, 1);
	assert_int_equal(taken(fb), 0);
	cw(&b, PCI_COMMAND, 2, 7);
	assert_int_equal(taken(fb), 1);
	close(fa);
	close(fb);
}

/* ---- messages ---- */

/* A pending interrupt waits for an eventfd, before the state comes or after it. */
static void test_pending(void **state)
{
	int fa = msix(&a, 0), f0, f1, f2;
	uint64_t pending = 0;

	set_reg(&a, TD_MSI, 1); /* without an eventfd: masked */
	set_reg(&a, TD_MSI, 2);
	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	set_reg(&a, TD_MSI, 0);
	save();
	f0 = msix(&b, 0);
	f1 = msix(&b, 1);
	load();
	b.dev->ops->rw(b.dev, REGS, PENDS, &pending, 8, false);
	assert_int_equal(pending, 7);
	assert_int_equal(taken(f0) + taken(f1), 0);
	run(&b);
	assert_int_equal(taken(f0), 1);
	assert_int_equal(taken(f1), 1);
	f2 = msix(&b, 2);
	assert_int_equal(taken(f2), 1);
	assert_int_equal(taken(fa), 0);
	close(fa);
	close(f0);
	close(f1);
	close(f2);
}

/* Interrupts are set up at the end, when the device is STOP already. */
static void test_pending_late(void **state)
{
	int fa = msix(&a, 0), f0;

	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	set_reg(&a, TD_MSI, 0);
	save();
	load();
	f0 = msix(&b, 0);
	assert_int_equal(taken(f0), 0);
	run(&b);
	assert_int_equal(taken(f0), 1);
	close(fa);
	close(f0);
}

/* A mask that the user set in the table itself, through a mapping, is the user's. */
static void test_table(void **state)
{
	int fa[2] = { msix(&a, 0), msix(&a, 1) }, fb[2];
	uint64_t one = 1, zero = 0;

	assert_int_equal(a.dev->ops->mmio(a.dev, REGS, TABLE + 12, 4, &one, true), 0);
	save();
	fb[0] = msix(&b, 0);
	fb[1] = msix(&b, 1);
	load();
	run(&b);
	set_reg(&b, TD_MSI, 0);
	set_reg(&b, TD_MSI, 1);
	assert_int_equal(taken(fb[0]), 0);
	assert_int_equal(taken(fb[1]), 1);
	assert_int_equal(b.dev->ops->mmio(b.dev, REGS, TABLE + 12, 4, &zero, true), 0);
	assert_int_equal(taken(fb[0]), 1);
	for (unsigned i = 0; i < 2; i++) {
		close(fa[i]);
		close(fb[i]);
	}
}

/* ---- config space ---- */

/*
 * Masks that are the user's (masks.c), set up before the state comes or after it, from a device
 * that has them to one that has, and to and from one that has not. Vectors 0 to 4: not masked; by
 * ACTION_MASK; by the table; by both; no eventfd.
 */
static void users_masks(bool from, bool to, bool late)
{
	uint8_t table[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
	int fa[4], fb[5];
	uint64_t pends = 0;

	maskable[0] = from;
	maskable[1] = to;
	set_up(NULL);
	for (unsigned i = 0; i < 4; i++)
		fa[i] = msix(&a, i);
	for (unsigned i = 2; i < 4; i++)
		for (unsigned k = 8; k < 16; k += 4) {
			uint64_t v = get32(table + k);

			a.dev->ops->mmio(a.dev, REGS, TABLE + 16 * i + k, 4, &v, true);
		}
	if (from)
		for (unsigned i = 1; i < 4; i += 2)
			assert_int_equal(set_irqs(&a, MSIX, i, 1, MASK | NONE, NULL), 0);
	save();
	for (unsigned i = 0; i < 5 && !late; i++)
		fb[i] = msix(&b, i);
	load();
	for (unsigned i = 0; i < 5 && late; i++)
		fb[i] = msix(&b, i);
	run(&b);
	for (unsigned i = 0; i < 5; i++)
		set_reg(&b, TD_MSI, i);
	assert_int_equal(taken(fb[0]), 1);
	assert_int_equal(taken(fb[1]), !from || (late && !to));
	assert_int_equal(taken(fb[2]), late && !to);
	assert_int_equal(taken(fb[3]), late && !to);
	assert_int_equal(taken(fb[4]), 1);
	if (to) {
		b.dev->ops->rw(b.dev, REGS, PENDS, &pends, 8, false);
		assert_int_equal(pends, from ? 14 : 12);
		assert_int_equal(set_irqs(&b, MSIX, 0, 5, UNMASK | NONE, NULL), 0);
		assert_int_equal(taken(fb[1]), from);
		assert_int_equal(taken(fb[2]) + taken(fb[3]), 0);
		for (unsigned i = 2; i < 4; i++)
			set_reg(&b, TABLE + 16 * i + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
		assert_int_equal(taken(fb[2]), 1);
		assert_int_equal(taken(fb[3]), 1);
	}
	for (unsigned i = 0; i < 4; i++)
		close(fa[i]);
	for (unsigned i = 0; i < 5; i++)
		close(fb[i]);
	take_down(NULL);
	maskable[0] = maskable[1] = false;
}

static void test_users_masks_of_msix(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		users_masks(i & 1, i & 2, i & 4);
}

/* The same of MSI: 0 not masked, 1 by ACTION_MASK, 2 by the register, 3 has no eventfd. */
static void users_masks_of_msi(bool from, bool to)
{
	unsigned reg;
	int fd[4];

	maskable[0] = from;
	maskable[1] = to;
	plug(&a, "msi_mask", "on");
	plug(&b, "msi_mask", "on");
	reg = a.vd->cap.msi + PCI_MSI_MASK_64;
	for (unsigned i = 0; i < 4; i++)
		fd[i] = t_eventfd();
	assert_int_equal(set_irqs(&a, MSI, 0, 3, TRIGGER | EVENTFD, fd), 0);
	cw(&a, reg, 4, 4);
	if (from)
		assert_int_equal(set_irqs(&a, MSI, 1, 1, MASK | NONE, NULL), 0);
	assert_int_equal(set_irqs(&b, MSI, 0, 4, TRIGGER | EVENTFD, fd), 0);
	save();
	load();
	run(&b);
	cw(&b, b.vd->cap.msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4);
	if (to)
		assert_int_equal(cr(&b, reg, 4), 4);
	for (unsigned i = 0; i < 3; i++)
		set_reg(&b, TD_MSI, i);
	assert_int_equal(taken(fd[0]), 1);
	assert_int_equal(taken(fd[1]), !from);
	assert_int_equal(taken(fd[2]), 0);
	cw(&b, reg, 4, 0);
	assert_int_equal(taken(fd[2]), 1);
	if (from && to)
		assert_int_equal(set_irqs(&b, MSI, 1, 1, UNMASK | NONE, NULL), 0);
	assert_int_equal(taken(fd[1]), from);
	for (unsigned i = 0; i < 4; i++)
		close(fd[i]);
	take_down(NULL);
	maskable[0] = maskable[1] = false;
}

static void test_users_masks_of_msi(void **state)
{
	log_set(-1, LOG_NONE);
	for (unsigned i = 0; i < 4; i++)
		users_masks_of_msi(i & 1, i & 2);
}

static void test_config(void **state)
{
	unsigned vendor = user_cap(&a, PCI_CAP_ID_VNDR);

	cw(&a, PCI_BASE_ADDRESS_2, 4, 0xabcd0000);
	cw(&a, PCI_CACHE_LINE_SIZE, 1, 0x20);
	cw(&a, PCI_INTERRUPT_LINE, 1, 9);
	cw(&a, vendor + 12, 4, 0x12345678);
	cw(&a, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	save();
	load();
	assert_int_equal(cr(&b, PCI_BASE_ADDRESS_2, 4), 0xabcd0000);
	assert_int_equal(cr(&b, PCI_CACHE_LINE_SIZE, 1), 0x20);
	assert_int_equal(cr(&b, PCI_INTERRUPT_LINE, 1), 9);
	assert_int_equal(cr(&b, vendor + 12, 4), 0x12345678);
	assert_int_equal(cr(&b, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	run(&b);
	assert_false(hr(&b, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(reg(&b, TD_ID), TD_ID_VALUE);
}

/* A function that sleeps, and forgets when it wakes: what is put back then is the user's, too. */
static void test_asleep(void **state)
{
	unsigned pm = user_cap(&a, PCI_CAP_ID_PM);
	uint32_t real = hr(&b, PCI_BASE_ADDRESS_2, 4);

	cw(&a, PCI_CACHE_LINE_SIZE, 1, 0x40);
	cw(&a, pm + PCI_PM_CTRL, 2, 3);
	save();
	load();
	run(&b);
	assert_int_equal(cr(&b, pm + PCI_PM_CTRL, 2) & 3, 3);
	cw(&b, pm + PCI_PM_CTRL, 2, 0);
	assert_int_equal(cr(&b, PCI_CACHE_LINE_SIZE, 1), 0x40);
	assert_int_equal(hr(&b, PCI_BASE_ADDRESS_2, 4), real);
	assert_int_equal(reg(&b, TD_ID), TD_ID_VALUE);
}

/* ---- resets ---- */

/* By each way that a user has, of a device that is stopped. */
static void test_resets(void **state)
{
	unsigned exp = user_cap(&a, PCI_CAP_ID_EXP);

	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	assert_int_equal(vfio_device_reset(&a.open), 0);
	assert_int_equal(vfio_migrate_state(a.dev->migrate), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP_COPY, NULL), 0);
	cw(&a, exp + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(vfio_migrate_state(a.dev->migrate), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(go(&a, VFIO_DEVICE_STATE_RESUMING, NULL), 0);
	assert_int_equal(a.dev->ops->slot_reset(a.dev), 0);
	assert_int_equal(vfio_migrate_state(a.dev->migrate), VFIO_DEVICE_STATE_RUNNING);
	/* it runs: the engine does what it is told */
	set_reg(&a, TD_DMA_CMD, TD_OP_FILL);
	assert_int_equal(reg(&a, TD_DMA_STATUS), TD_DMA_OK);
}

/* A state that ends too early, or says other numbers: nothing breaks, and a reset helps. */
static void test_hostile(void **state)
{
	const struct vfio_migrate_ops *ops = a.dev->migrate->ops;
	uint8_t *data;
	size_t n;
	void *out;

	assert_int_equal(go(&a, VFIO_DEVICE_STATE_STOP, NULL), 0);
	assert_int_equal(go(&b, VFIO_DEVICE_STATE_STOP, NULL), 0);
	assert_int_equal(ops->save(a.dev, VFIO_PART_STATE, &out, &n), 0);
	data = out;
	for (size_t i = 0; i < n; i += i < 8000 ? 61 : 1)
		assert_int_equal(ops->load(b.dev, VFIO_PART_STATE, data, i), -EINVAL);
	for (size_t i = 0; i < n; i += i < 8000 ? 61 : 1) {
		data[i] ^= 0xff;
		ops->load(b.dev, VFIO_PART_STATE, data, n);
		data[i] ^= 0xff;
	}
	assert_int_equal(ops->load(b.dev, VFIO_PART_STATE, data, n), 0);
	heap_free(data);
	assert_int_equal(vfio_device_reset(&b.open), 0);
	assert_int_equal(vfio_migrate_state(b.dev->migrate), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(reg(&b, TD_ID), TD_ID_VALUE);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, take_down)
	const struct CMUnitTest tests[] = {
		TEST(test_line),
		TEST(test_masked_line),
		TEST(test_masked_line_late),
		TEST(test_unmask_stopped),
		TEST(test_unheard_line),
		TEST(test_carried_mask),
		TEST(test_user_masks),
		TEST(test_pending),
		TEST(test_pending_late),
		TEST(test_table),
		TEST(test_config),
		TEST(test_asleep),
		TEST(test_resets),
		TEST(test_hostile),
		cmocka_unit_test(test_users_masks_of_msix),
		cmocka_unit_test(test_users_masks_of_msi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
