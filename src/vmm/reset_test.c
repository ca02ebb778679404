/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/reset_test.c: resets, on testdevs that are made so that each kind comes up: which one is
 * chosen, what it leaves, and who is reset with whom. The numbers are those of the tests in
 * docs/vmm.md.
 */
#include <unistd.h>

#include "vmm/test_guest.h"

#define NO_FLR	 "flr=off"
#define NO_RESET "flr=off,no_soft_reset=on"

static int setup(void **state)
{
	return guest_begin(guest_new(), 16 * K);
}

/* Return how often it was reset since power-on; the next one: how, the last time. */
static unsigned resets(struct uvfio_vm_device *dev)
{
	td_enable(dev);
	return td_read(dev, TD_RESETS);
}

static unsigned last_reset(struct uvfio_vm_device *dev)
{
	td_enable(dev);
	return td_read(dev, TD_LAST_RESET);
}

/* (test 66) */
static void kinds(void **state)
{
	static const struct {
		const char *spec, *kind;
		unsigned last; /* TD_LAST_RESET */
	} all[] = {
		{ "testdev", "flr", 1 },
		{ "testdev,flr=off,pcie=off,af=on", "flr", 1 },
		{ "testdev," NO_FLR, "bus", 2 },
		{ "testdev," NO_RESET, "bus", 2 },
		{ "testdev," NO_FLR ",bus=root", "pm", 3 },
		{ "testdev,bus=root", "flr", 1 },
		{ "testdev," NO_RESET ",bus=root", "none", 0 },
	};
	struct uvfio_vm_device *dev;
	unsigned before;
	int rc;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		dev = guest_assign(vm, all[i].spec, NULL);
		assert_string_equal(uvfio_vm_reset_kind(dev), all[i].kind);
		before = resets(dev);
		td_write(dev, TD_SCRATCH32, 0x1234, 4);
		rc = uvfio_vm_reset_device(dev);
		assert_int_equal(rc, all[i].last ? 0 : -ENOTSUP);
		assert_int_equal(resets(dev), before + !rc);
		/* what cannot be reset has its registers as they were */
		assert_int_equal(td_read(dev, TD_SCRATCH32), rc ? 0x1234 : 0);
		if (!rc)
			assert_int_equal(last_reset(dev), all[i].last);
		assert_int_equal(uvfio_vm_reset(vm), all[i].last ? 0 : 1);
		uvfio_vm_unassign(dev);
	}
	/* other models */
	dev = guest_assign(vm, "edu", NULL);
	assert_string_equal(uvfio_vm_reset_kind(dev), "bus");
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	dev = guest_assign(vm, "igb", NULL);
	assert_string_equal(uvfio_vm_reset_kind(dev), "flr");
	assert_int_equal(uvfio_vm_reset(vm), 0);
}

/* Have the guest set the device up: BARs, memory, MSI, and a DMA that comes later. */
static void use(struct uvfio_vm_device *dev, unsigned msi)
{
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, 0xfe000000);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2,
			      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	uvfio_vm_config_write(dev, msi + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	uvfio_vm_config_write(dev, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(uvfio_vm_bar_read(dev, 2, TD_ID, 4), TD_ID_VALUE);
	uvfio_vm_bar_write(dev, 2, TD_SCRATCH32, 4, 77);
	uvfio_vm_bar_write(dev, 2, TD_DMA_PATTERN, 4, 0x11111111);
	uvfio_vm_bar_write(dev, 2, TD_DMA_DST, 8, 0);
	uvfio_vm_bar_write(dev, 2, TD_DMA_LEN, 8, 16);
	uvfio_vm_bar_write(dev, 2, TD_DMA_DELAY, 4, 50000);
	uvfio_vm_bar_write(dev, 2, TD_DMA_CMD, 4, TD_OP_FILL | TD_DMA_ASYNC);
}

/* All is as after power-on. */
static void check_fresh(struct uvfio_vm_device *dev, unsigned msi, const uint32_t *fresh)
{
	struct uvfio_vm_bar bar;

	/* what was done before the reset was done; nothing comes after it */
	mem[0] = 0;
	for (unsigned i = 0; i < PCI_CFG_SIZE; i += 4)
		if (uvfio_vm_config_read(dev, i, 4) != fresh[i / 4])
			fail_msg("config space at 0x%x: 0x%x, not 0x%x", i,
				 uvfio_vm_config_read(dev, i, 4), fresh[i / 4]);
	assert_int_equal(uvfio_vm_bar_info(dev, 2, &bar), 0);
	assert_true(bar.gpa == UVFIO_VM_UNMAPPED);
	assert_int_equal(uvfio_vm_config_read(dev, msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE,
			 0);
	assert_int_equal(dev->irq.kind, VM_IRQ_INTX);
	td_enable(dev);
	assert_int_equal(td_read(dev, TD_SCRATCH32), 0);
	assert_int_equal(td_read(dev, TD_IRQ_MODE), 0);
	usleep(60000);
	assert_int_equal(mem[0], 0);
}

/* (test 67), and (test 68): the same where the guest resets by config space */
static void leaves_nothing(void **state)
{
	enum { BY_CALL, BY_GUEST_RESET, BY_FLR, BY_AF, BY_PM, WAYS };
	static const char *const specs[WAYS] = {
		"testdev",	   "testdev," NO_FLR, "testdev", "testdev,flr=off,pcie=off,af=on",
		"testdev," NO_FLR,
	};
	uint32_t fresh[PCI_CFG_SIZE / 4];
	struct uvfio_vm_device *dev;
	unsigned msi, n, ctl;

	for (unsigned way = 0; way < WAYS; way++) {
		dev = guest_assign(vm, specs[way], NULL);
		msi = dev->config.caps.msi;
		for (unsigned i = 0; i < PCI_CFG_SIZE; i += 4)
			fresh[i / 4] = uvfio_vm_config_read(dev, i, 4);
		n = resets(dev);
		use(dev, msi);
		switch (way) {
		case BY_CALL:
			assert_int_equal(uvfio_vm_reset_device(dev), 0);
			break;
		case BY_GUEST_RESET:
			assert_int_equal(uvfio_vm_reset(vm), 0);
			break;
		case BY_FLR:
			/* other bits stay as they are written, as with the kernel's driver */
			ctl = dev->config.caps.pcie + PCI_EXP_DEVCTL;
			uvfio_vm_config_write(dev, ctl, 2,
					      uvfio_vm_config_read(dev, ctl, 2) |
						      PCI_EXP_DEVCTL_BCR_FLR);
			break;
		case BY_AF:
			uvfio_vm_config_write(dev, dev->config.caps.af + PCI_AF_CTRL, 1,
					      PCI_AF_CTRL_FLR);
			break;
		case BY_PM:
			for (int state = 3; state >= 0; state -= 3)
				uvfio_vm_config_write(dev, dev->config.caps.pm + PCI_PM_CTRL, 2,
						      (uint32_t)state);
			break;
		}
		check_fresh(dev, msi, fresh);
		assert_int_equal(resets(dev), n + 1);
		uvfio_vm_unassign(dev);
	}
}

/* A reset finds the device asleep: it is awake afterwards, and can be used. */
static void asleep(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, "testdev", NULL);
	unsigned pm = dev->config.caps.pm + PCI_PM_CTRL;

	use(dev, dev->config.caps.msi);
	uvfio_vm_config_write(dev, pm, 2, 3);
	assert_int_equal(uvfio_vm_bar_read(dev, 2, TD_ID, 4), UINT32_MAX);
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(uvfio_vm_config_read(dev, pm, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	use(dev, dev->config.caps.msi);
}

/* (test 69) */
static void together(void **state)
{
	const char *spec = "testdev," NO_RESET ",bus=shelf,group=7";
	struct uvfio_vm_device *a = guest_assign(vm, spec, NULL), *b, *alone;
	unsigned n[3];

	assert_string_equal(uvfio_vm_device_name(a), "0000:01:00.0");
	/* in use it is the only one */
	assert_string_equal(uvfio_vm_reset_kind(a), "bus");
	b = guest_assign(vm, spec, NULL);
	assert_string_equal(uvfio_vm_reset_kind(a), "none");
	alone = guest_assign(vm, "testdev", NULL);
	n[0] = resets(a);
	n[1] = resets(b);
	n[2] = resets(alone);
	assert_int_equal(uvfio_vm_reset_device(a), -EINVAL);
	assert_true(says("0000:01:00.0 is reset only together with 0000:01:00.1"));
	assert_int_equal(resets(a), n[0]);
	assert_int_equal(uvfio_vm_reset(vm), 0);
	assert_int_equal(resets(a), n[0] + 1);
	assert_int_equal(resets(b), n[1] + 1);
	assert_int_equal(last_reset(a), 2);
	assert_int_equal(last_reset(b), 2);
	assert_int_equal(resets(alone), n[2] + 1);
	/* the other one's driver is gone, its function is not: it is of our group */
	uvfio_vm_unassign(b);
	assert_int_equal(uvfio_vm_reset_device(a), 0);
	assert_int_equal(resets(a), n[0] + 2);
}

/* Two of which one has FLR: the other one's reset serves for both. */
static void together_with_flr(void **state)
{
	struct uvfio_vm_device *a = guest_assign(vm, "testdev,bus=shelf,group=7", NULL);
	struct uvfio_vm_device *b = guest_assign(vm, "testdev," NO_FLR ",bus=shelf,group=7", NULL);
	unsigned n = resets(a), m = resets(b);

	assert_string_equal(uvfio_vm_reset_kind(a), "flr");
	assert_string_equal(uvfio_vm_reset_kind(b), "pm");
	assert_int_equal(uvfio_vm_reset(vm), 0);
	assert_int_equal(resets(a), n + 1);
	assert_int_equal(resets(b), m + 1);
	assert_int_equal(last_reset(a), 2);
	assert_int_equal(last_reset(b), 2);
}

/* (test 70), of software: what is not the guest's is not reset */
static void not_ours(void **state)
{
	const char *spec = "testdev," NO_RESET ",bus=shelf,addr=02:00.1,group=9";
	struct uvfio_vm_device *a;
	char *err = NULL;
	unsigned n;

	a = guest_assign(vm, "testdev," NO_RESET ",bus=shelf,group=8", NULL);
	n = resets(a);
	if (machine_add(vm->machine, "testdev," NO_RESET ",bus=shelf,group=9", &err))
		fail_msg("%s: %s", spec, err);
	assert_string_equal(uvfio_vm_reset_kind(a), "none");
	assert_int_equal(uvfio_vm_reset_device(a), -EPERM);
	assert_true(says("0000:01:00.1 of group 9"));
	assert_int_equal(uvfio_vm_reset(vm), 1);
	assert_int_equal(resets(a), n);
}

static int refusals, refuse_with;

static int refusing_reset(struct vfio_device *dev)
{
	return refusals && refusals-- ? refuse_with : 0;
}

/* A reset that says "not now" is asked again; one that fails is told, or another way is gone. */
static void not_now(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, "testdev,bus=root", NULL);
	struct vfio_device *v = dev->plugged->vdev;
	const struct vfio_device_ops *own = v->ops;
	struct vfio_device_ops ops = *own;

	ops.reset = refusing_reset;
	v->ops = &ops;
	refuse_with = -EAGAIN;
	refusals = 2;
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(refusals, 0);
	refusals = 1000;
	assert_int_equal(uvfio_vm_reset_device(dev), -EAGAIN);
	assert_in_range(refusals, 900, 999);
	refuse_with = -EIO;
	assert_int_equal(uvfio_vm_reset_device(dev), -EIO);
	assert_true(says("could not be reset: Input/output error"));
	assert_int_equal(uvfio_vm_reset(vm), 1);
	/* it can be used all the same, from the start */
	assert_int_equal(dev->irq.kind, VM_IRQ_INTX);
	use(dev, dev->config.caps.msi);
	v->ops = own;
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
}

/* The same with a slot that serves where the function's own reset does not. */
static void slot_instead(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, "testdev", NULL);
	struct vfio_device *v = dev->plugged->vdev;
	const struct vfio_device_ops *own = v->ops;
	struct vfio_device_ops ops = *own;
	unsigned n = resets(dev);

	ops.reset = refusing_reset;
	v->ops = &ops;
	refuse_with = -EIO;
	refusals = 1000;
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(resets(dev), n + 1);
	assert_int_equal(last_reset(dev), 2);
	v->ops = own;
}

static int quirk_answer, quirk_calls;

static int quirk_reset(struct uvfio_vm_device *dev)
{
	/* it may use what it resets */
	uvfio_vm_bar_read(dev, 0, 0, 4);
	quirk_calls++;
	return quirk_answer;
}

static void quirk(void **state)
{
	static const struct uvfio_vm_quirk q = {
		.vendor = 0x1234,
		.device = 0x11e8,
		.name = "test",
		.reset = quirk_reset,
	};
	struct uvfio_vm_device *dev;

	assert_int_equal(uvfio_vm_quirk_register(&q), 0);
	dev = guest_assign(vm, "edu", NULL);
	assert_string_equal(uvfio_vm_reset_kind(dev), "quirk");
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(quirk_calls, 1);
	quirk_answer = -EIO;
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(uvfio_vm_reset(vm), 0);
	assert_int_equal(quirk_calls, 3);
}

/* (test 71): what the guest wrote into config space leaves no trace */
static void saved_state(void **state)
{
	uint8_t before[PCI_CFG_EXP_SIZE], then[PCI_CFG_EXP_SIZE];
	struct uvfio_vm_device *dev;
	char *err = NULL;

	assert_int_equal(machine_add(vm->machine, "testdev,addr=05:00.0", &err), 0);
	assert_int_equal(machine_add(vm->machine, "testdev,addr=06:00.0," NO_FLR, &err), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *addr = i ? "0000:06:00.0" : "0000:05:00.0";

		assert_int_equal(machine_config(vm->machine, addr, before), sizeof(before));
		dev = guest_assign(vm, addr, NULL);
		for (unsigned at = 0; at < sizeof(before); at += 4)
			if (at < dev->config.caps.pm || at >= dev->config.caps.pm + 8)
				uvfio_vm_config_write(dev, at, 4, 0xa5a5a5a5 ^ at);
		assert_int_equal(uvfio_vm_reset_device(dev), 0);
		for (unsigned at = 0; at < sizeof(before); at += 4)
			uvfio_vm_config_write(dev, at, 4, at * 0x01010101);
		uvfio_vm_unassign(dev);
		assert_int_equal(machine_config(vm->machine, addr, then), sizeof(then));
		for (unsigned at = 0; at < sizeof(before); at++)
			if (before[at] != then[at])
				fail_msg("%s at 0x%x: 0x%x, was 0x%x", addr, at, then[at],
					 before[at]);
		/* and it can be had again */
		dev = guest_assign(vm, addr, NULL);
		assert_true(td_writes(dev, 0));
		uvfio_vm_unassign(dev);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(asleep, setup, teardown),
		cmocka_unit_test_setup_teardown(together, setup, teardown),
		cmocka_unit_test_setup_teardown(together_with_flr, setup, teardown),
		cmocka_unit_test_setup_teardown(not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(not_now, setup, teardown),
		cmocka_unit_test_setup_teardown(slot_instead, setup, teardown),
		cmocka_unit_test_setup_teardown(quirk, setup, teardown),
		cmocka_unit_test_setup_teardown(saved_state, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
