/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/assign_test.c: devices come to a guest and leave it, by whichever name and in whatever state.
 * The numbers are those of the tests in docs/vmm.md.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/test_count.h"
#include "vmm/test_guest.h"

#define TOKEN "12345678-1234-1234-1234-123456789abc"

/* Calls that the monitor got. */
static struct {
	atomic_int level;
	atomic_uint requests, errors, gone;
	bool unassigns;
} told;

static void intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	atomic_fetch_add(&told.level, level ? 1 : -1);
}

static void request(void *ctx, struct uvfio_vm_device *dev)
{
	atomic_fetch_add(&told.requests, 1);
	/* anything about the device is allowed here, also this */
	uvfio_vm_config_read(dev, 0, 4);
	uvfio_vm_memory_begin(vm);
	assert_int_equal(uvfio_vm_memory_commit(vm), 0);
	if (told.unassigns)
		uvfio_vm_unassign(dev);
	atomic_fetch_add(&told.gone, 1);
}

static void error(void *ctx, struct uvfio_vm_device *dev)
{
	atomic_fetch_add(&told.errors, 1);
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
}

static struct uvfio_vm *new_vm(void)
{
	static const struct uvfio_vm_ops ops = { .error = error, .unplug_requested = request };
	static const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = guest_msi };
	struct uvfio_vm *v = uvfio_vm_new(&ops, NULL);

	assert_non_null(v);
	assert_int_equal(uvfio_vm_use_irq_ops(v, &irq, NULL), 0);
	return v;
}

static int setup(void **state)
{
	memset(&told, 0, sizeof(told));
	return guest_begin(new_vm(), 16 * K);
}

static int try_assign(struct uvfio_vm *v, const char *spec, const char *options)
{
	struct uvfio_vm_device *dev = NULL;
	int rc = uvfio_vm_assign(v, spec, options, &dev);

	assert_int_equal(!rc, !!dev);
	return rc;
}

/* (test 1) */
static void by_name(void **state)
{
	struct uvfio_vm_device *dev;
	char *err = NULL;

	dev = guest_assign(vm, "edu", NULL);
	assert_int_equal(uvfio_vm_config_read(dev, 0, 4), 0x11e81234);
	assert_string_equal(uvfio_vm_device_name(dev), "0000:01:00.0");
	assert_int_equal(machine_add(vm->machine, "testdev,addr=05:00.0", &err), 0);
	dev = guest_assign(vm, "05:00.0", NULL);
	assert_int_equal(uvfio_vm_config_read(dev, 0, 4), 0x7e571234);
	assert_string_equal(uvfio_vm_device_name(dev), "0000:05:00.0");
	uvfio_vm_unassign(dev);
	/* it was there before, and is there again */
	dev = guest_assign(vm, "0000:05:00.0", NULL);
	assert_null(uvfio_vm_device_priv(dev));
	uvfio_vm_device_set_priv(dev, mem);
	assert_ptr_equal(uvfio_vm_device_priv(dev), mem);
	/* its state stays here, and it is said so */
	assert_int_equal(uvfio_vm_can_migrate(dev), -ENOTSUP);
	assert_true(says("0000:05:00.0") && says("cannot be moved"));
	uvfio_vm_unassign(NULL);
}

static int no_map(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa, uint64_t size,
		  void *host, bool readonly)
{
	return -ENOSPC;
}

/* (test 2), and other refusals, each of which leaves nothing */
static void refused(void **state)
{
	const struct uvfio_vm_ops maps_for_ever = { .bar_map = no_map };
	static const struct {
		const char *spec, *options, *says;
		int rc;
	} all[] = {
		{ "no-such-model", NULL, "no-such-model", -ENOENT },
		{ "testdev,vectors=zero", NULL, "vectors", -EINVAL },
		{ "testdev", "no=such", "no", -EINVAL },
		{ "igb,driver=igb,sriov_numvfs=1", NULL, "has the driver igb", -ENODEV },
		{ "igb,driver=none", NULL, "cannot be assigned", -ENODEV },
		{ "igb,sriov_numvfs=100", NULL, "virtual functions", -ERANGE },
		{ "vfio-user:/run/x", NULL, "is its server running?", -ENOENT },
		/* real ones, which no host has */
		{ "ffff:ff:1f.7", NULL, "no PCI device ffff:ff:1f.7", -ENODEV },
		{ "fd:0,ffff:ff:1f.7", NULL, "no PCI device ffff:ff:1f.7", -ENODEV },
		{ "fd:0", NULL, "fd:GROUPFD,ADDRESS", -EINVAL },
		{ "cdev:999999", NULL, "descriptor 999999", -EBADF },
		{ "testdev", "vf_token=" TOKEN, "no VF token", -EINVAL },
	};
	struct uvfio_vm_device *dev;
	struct uvfio_vm *other;
	char image[] = "/tmp/uvfio-assign-XXXXXX", spec[64];
	unsigned fds;
	int fd, rc;

	dev = guest_assign(vm, "testdev", NULL);
	fds = test_count_fds();
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		rc = try_assign(vm, all[i].spec, all[i].options);
		if (rc != all[i].rc)
			fail_msg("%s: %s (%s)", all[i].spec, strerror(-rc), uvfio_vm_strerror(vm));
		assert_true(says(all[i].says));
		assert_int_equal(machine_num_devices(vm->machine), 1);
		assert_ptr_equal(vm->plugged.next, vm->plugged.prev);
		assert_int_equal(test_count_fds(), fds);
	}
	assert_int_equal(try_assign(vm, uvfio_vm_device_name(dev), NULL), -EBUSY);
	assert_true(says("assigned to this guest already"));
	assert_true(td_reads(dev, 0));
	/* a disk is one guest's */
	fd = mkstemp(image);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	snprintf(spec, sizeof(spec), "nvme,image=%s", image);
	guest_assign(vm, spec, NULL);
	other = new_vm();
	assert_int_equal(try_assign(other, spec, NULL), -EBUSY);
	uvfio_vm_free(other);
	unlink(image);
	/* a monitor that could not take back what it maps */
	assert_null(uvfio_vm_new(&maps_for_ever, NULL));
	assert_non_null(strstr(uvfio_vm_strerror(NULL), "bar_unmap"));
	other = uvfio_vm_new(NULL, NULL);
	assert_int_equal(try_assign(other, "edu", NULL), -EINVAL);
	assert_non_null(strstr(uvfio_vm_strerror(other), "no way for interrupts"));
	uvfio_vm_free(other);
}

/* A PF leaves the machine only after its VFs have left the guest. */
static void virtual_functions(void **state)
{
	static const uint8_t token[16] = { 0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x12, 0x34,
					   0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc };
	struct uvfio_vm_device *pf, *vf;
	char addr[PCI_ADDRESS_TEXT];

	for (unsigned first = 0; first < 2; first++) {
		pf = guest_assign(vm, "igb,sriov_numvfs=2", NULL);
		strcpy(addr, machine_vf(vm->machine, pf->plugged, 1)->addr);
		assert_int_equal(try_assign(vm, addr, NULL), -EACCES);
		assert_true(says("vf_token="));
		assert_int_equal(vfio_device_set_vf_token(&pf->open, token), 0);
		vf = guest_assign(vm, addr, "vf_token=" TOKEN);
		uvfio_vm_unassign(first ? vf : pf);
		assert_int_equal(machine_num_devices(vm->machine), 1);
		if (!first) {
			assert_int_equal(uvfio_vm_config_read(vf, PCI_COMMAND, 2), 0);
			/* the PF is there, and can be had again */
			pf = guest_assign(vm, "0000:01:00.0", "vf_token=" TOKEN);
			uvfio_vm_unassign(pf);
			assert_int_equal(machine_num_devices(vm->machine), 1);
		}
		uvfio_vm_unassign(first ? pf : vf);
		assert_int_equal(machine_num_devices(vm->machine), 0);
		assert_int_equal(try_assign(vm, addr, NULL), -ENODEV);
	}
	/* of one that stays, and has its driver of the host */
	assert_int_equal(
		machine_add(vm->machine, "igb,driver=igb,sriov_numvfs=2,addr=05:00.0", NULL), 0);
	assert_int_equal(machine_start(vm->machine, NULL), 0);
	vf = guest_assign(
		vm, machine_vf(vm->machine, machine_find(vm->machine, "05:00.0"), 0)->addr, NULL);
	assert_int_equal(uvfio_vm_config_read(vf, PCI_CLASS_DEVICE, 2), 0x200);
	uvfio_vm_unassign(vf);
	assert_int_equal(machine_num_devices(vm->machine), 1);
}

/* (test 5): two of one group; the one goes, and the other one works */
static void of_one_group(void **state)
{
	struct uvfio_vm_device *a = guest_assign(vm, "testdev,group=9", NULL);
	struct uvfio_vm_device *b = guest_assign(vm, "testdev,group=9", NULL);

	uvfio_vm_unassign(a);
	assert_true(td_writes(b, 0));
	a = guest_assign(vm, "edu,group=9", NULL);
	uvfio_vm_unassign(b);
	assert_int_equal(uvfio_vm_config_read(a, 0, 4), 0x11e81234);
}

static void dispatch(void)
{
	struct pollfd p = { .fd = uvfio_vm_fd(vm), .events = POLLIN };

	while (poll(&p, 1, 0) == 1 && uvfio_vm_dispatch(vm, 0) > 0)
		;
}

static void ask_back(struct uvfio_vm_device *dev, unsigned count)
{
	struct vfio_device *v = dev->plugged->vdev;

	v->ops->request(v, count);
}

/* (test 73), by the monitor's thread and by the library's */
static void from_request(void **state)
{
	struct uvfio_vm_device *dev, *other = guest_assign(vm, "testdev", NULL);

	told.unassigns = true;
	for (unsigned threaded = 0; threaded < 2; threaded++) {
		for (unsigned i = 0; i < 20; i++) {
			dev = guest_assign(vm, "testdev", NULL);
			td_enable(dev);
			td_write(dev, TD_INTX, 1, 4);
			ask_back(dev, 0);
			if (!threaded)
				dispatch();
			while (atomic_load(&told.gone) < threaded * 20 + i + 1)
				sched_yield();
			assert_int_equal(atomic_load(&told.requests), threaded * 20 + i + 1);
			assert_int_equal(atomic_load(&told.level), 0);
		}
		if (!threaded)
			assert_int_equal(uvfio_vm_start_thread(vm), 0);
	}
	assert_true(td_reads(other, 0));
}

/* (test 65), as far as it is about the life: once, however often the owner asks; errors as well */
static void told_once(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, "testdev", NULL);

	for (unsigned i = 0; i < 3; i++) {
		ask_back(dev, i);
		dispatch();
	}
	assert_int_equal(atomic_load(&told.requests), 1);
	td_enable(dev);
	td_write(dev, TD_ERROR, TD_ERROR_FATAL | 4, 4);
	dispatch();
	assert_int_equal(atomic_load(&told.errors), 1);
}

/* Have MSI on, of the guest. */
static void enable_msi(struct uvfio_vm_device *dev)
{
	unsigned msi = dev->config.caps.msi;

	uvfio_vm_config_write(dev, msi + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	uvfio_vm_config_write(dev, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
}

/* Have MSI-X on, with two vectors. */
static void enable_msix(struct uvfio_vm_device *dev, uint64_t bar)
{
	uint64_t v;

	uvfio_vm_config_write(dev, dev->config.caps.msix + PCI_MSIX_FLAGS, 2,
			      PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < 2; i++) {
		v = 0xfee00000;
		uvfio_vm_mmio(vm, bar + 0x8000 + 16 * i, 8, &v, true);
		v = 0;
		uvfio_vm_mmio(vm, bar + 0x8000 + 16 * i + 8, 8, &v, true);
	}
}

static void place(struct uvfio_vm_device *dev, uint32_t bar)
{
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, bar);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* (test 74): a guest goes with devices in all states, and nothing of it stays */
static void freed_in_all_states(void **state)
{
	unsigned fds = test_count_fds(), maps = test_count_file_mappings();
	struct uvfio_vm_device *dev[6];
	struct uvfio_vm *outer = vm;

	for (unsigned round = 0; round < 3; round++) {
		vm = new_vm();
		assert_int_equal(guest_add(vm, 0, 16 * K, mem, 0), 0);
		for (unsigned i = 0; i < 6; i++) {
			dev[i] = guest_assign(vm, "testdev", i == 5 ? "iommu=vmm" : NULL);
			place(dev[i], 0xe0000000 + i * 0x10000);
		}
		/* INTx is pending, MSI, MSI-X, asleep, DMA comes soon, a space of its own */
		td_write(dev[0], TD_INTX, 1, 4);
		dispatch();
		assert_int_equal(atomic_load(&told.level), 1);
		enable_msi(dev[1]);
		enable_msix(dev[2], 0xe0020000);
		uvfio_vm_config_write(dev[3], dev[3]->config.caps.pm + PCI_PM_CTRL, 2, 3);
		td_write(dev[4], TD_DMA_LEN, K, 8);
		td_write(dev[4], TD_DMA_PATTERN, 0x77777777, 4);
		td_write(dev[4], TD_DMA_DELAY, 20000, 4);
		td_write(dev[4], TD_DMA_CMD, TD_OP_FILL | TD_DMA_ASYNC, 4);
		assert_int_equal(uvfio_vm_dma_map(dev[5], 0, 0, K, UVFIO_VM_READ), 0);
		/* messages and requests are on their way */
		td_write(dev[1], TD_MSI, 0, 4);
		td_write(dev[2], TD_MSI, 1, 4);
		ask_back(dev[1], 0);
		ask_back(dev[3], 0);
		if (round == 1)
			uvfio_vm_pause(vm, true);
		if (round == 2)
			assert_int_equal(uvfio_vm_start_thread(vm), 0);
		uvfio_vm_free(vm);
		mem[0] = 0;
		assert_int_equal(atomic_load(&told.level), 0);
		assert_int_equal(test_count_fds(), fds);
		assert_int_equal(test_count_file_mappings(), maps);
	}
	vm = outer;
	usleep(30000);
	assert_int_equal(mem[0], 0);
}

/* A hundred times the same, without anything that stays; memory goes when the device has. */
static void a_hundred(void **state)
{
	struct uvfio_vm_device *dev;
	unsigned fds = 0, maps = 0;

	for (unsigned i = 0; i < 100; i++) {
		dev = guest_assign(vm, i % 3 == 2 ? "edu" : "testdev", i % 3 ? NULL : "iommu=vmm");
		if (i % 3 == 1) {
			place(dev, 0xfe000000);
			enable_msi(dev);
			assert_true(td_writes(dev, 0));
		}
		uvfio_vm_unassign(dev);
		if (i == 5) {
			fds = test_count_fds();
			maps = test_count_file_mappings();
		}
	}
	assert_int_equal(test_count_fds(), fds);
	assert_int_equal(test_count_file_mappings(), maps);
	assert_int_equal(atomic_load(&vm->memory.users), 0);
	assert_true(cds_list_empty(&vm->memory.spaces) && cds_list_empty(&vm->plugged));
}

static ssize_t silent_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
			 size_t count, bool write)
{
	return -EIO;
}

/* (test 76), of a device that ceases to answer: all ones, and it can be taken away */
static void silent(void **state)
{
	struct uvfio_vm_device *dev = guest_assign(vm, "testdev", NULL);
	struct vfio_device *v = dev->plugged->vdev;
	const struct vfio_device_ops *own = v->ops;
	struct vfio_device_ops ops = *own;
	struct uvfio_vm_bar bar;
	uint64_t value = 0;

	place(dev, 0xfe000000);
	enable_msi(dev);
	ops.rw = silent_rw;
	v->ops = &ops;
	assert_int_equal(uvfio_vm_config_read(dev, PCI_COMMAND, 2), 0xffff);
	assert_int_equal(uvfio_vm_bar_read(dev, 2, TD_ID, 4), UINT32_MAX);
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000000, 4, &value, false), 0);
	assert_int_equal(value, UINT32_MAX);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, 0);
	assert_int_equal(uvfio_vm_bar_info(dev, 2, &bar), 0);
	assert_true(bar.gpa == UVFIO_VM_UNMAPPED);
	uvfio_vm_unassign(dev);
	assert_int_equal(uvfio_vm_mmio(vm, 0xfe000000, 4, &value, false), -ENOENT);
	dev = guest_assign(vm, "testdev", NULL);
	assert_true(td_reads(dev, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(virtual_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(of_one_group, setup, teardown),
		cmocka_unit_test_setup_teardown(from_request, setup, teardown),
		cmocka_unit_test_setup_teardown(told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(freed_in_all_states, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hundred, setup, teardown),
		cmocka_unit_test_setup_teardown(silent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
