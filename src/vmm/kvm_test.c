/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/kvm_test.c: the back end of a guest of KVM's against a KVM made up here, which keeps to the
 * real one's rules and fails the test where the library breaks one that the real one would let
 * pass: a table without the irqchip's pins, an irqfd without a route, a route that goes while an
 * irqfd has its GSI.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"
#include "vmm/internal.h"
#include "vmm/kvm.h"

#define MAX_ROUTES 128
#define MAX_IRQFDS 64
#define PINS_SET   40 /* entries of a new irqchip: 24 pins, of which two PICs have 16 */

static struct {
	int vm, device; /* descriptors */
	bool irqchip, split, no_irqfd, no_vfio, busy_vfio;
	int max_routes;
	unsigned countdown, failed; /* which call fails */
	unsigned sets, lines, messages, calls;
	unsigned nr;
	struct kvm_irq_routing_entry table[MAX_ROUTES];
	struct kvm_irqfd irqfds[MAX_IRQFDS];
	unsigned num_irqfds;
	unsigned level[MAX_ROUTES];
	struct kvm_msi msi;
	struct kvm_userspace_memory_region slots[16];
	int32_t files[4];
	unsigned num_files;
} kvm;

static bool routed(unsigned gsi)
{
	for (unsigned i = 0; i < kvm.nr; i++)
		if (kvm.table[i].gsi == gsi)
			return true;
	return false;
}

static int set_routing(const struct kvm_irq_routing *r)
{
	uint32_t pins = 0;

	if (!kvm.irqchip || r->nr > (unsigned)kvm.max_routes)
		return -EINVAL;
	for (unsigned i = 0; i < r->nr; i++) {
		const struct kvm_irq_routing_entry *e = &r->entries[i];

		if (e->gsi >= (unsigned)kvm.max_routes)
			return -EINVAL;
		if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
			if (kvm.split || e->u.irqchip.pin >= 24 || e->u.irqchip.irqchip > 2)
				return -EINVAL;
			if (e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
				pins |= 1u << e->u.irqchip.pin;
		} else if (e->type != KVM_IRQ_ROUTING_MSI || e->u.msi.data == 0xbad) {
			return -EINVAL;
		}
	}
	if (!kvm.split)
		assert_int_equal(pins, 0xffffff);
	kvm.sets++;
	kvm.nr = r->nr;
	memcpy(kvm.table, r->entries, r->nr * sizeof(kvm.table[0]));
	for (unsigned i = 0; i < kvm.num_irqfds; i++)
		assert_true(routed(kvm.irqfds[i].gsi));
	return 0;
}

static int set_irqfd(const struct kvm_irqfd *f)
{
	unsigned i;

	if (f->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		for (i = 0; i < kvm.num_irqfds; i++)
			if (kvm.irqfds[i].fd == f->fd && kvm.irqfds[i].gsi == f->gsi)
				kvm.irqfds[i--] = kvm.irqfds[--kvm.num_irqfds];
		return 0;
	}
	if (f->flags & KVM_IRQFD_FLAG_RESAMPLE && kvm.split)
		return -EINVAL;
	for (i = 0; i < kvm.num_irqfds; i++)
		if (kvm.irqfds[i].fd == f->fd)
			return -EBUSY;
	assert_true(routed(f->gsi));
	kvm.irqfds[kvm.num_irqfds++] = *f;
	return 0;
}

static int extension(long what)
{
	switch (what) {
	case KVM_CAP_IRQ_ROUTING:
		return kvm.max_routes;
	case KVM_CAP_IRQFD:
		return !kvm.no_irqfd;
	case KVM_CAP_NR_MEMSLOTS:
		return 16;
	default:
		return 1;
	}
}

static int device_attr(const struct kvm_device_attr *a)
{
	int32_t fd = *(const int32_t *)(uintptr_t)a->addr;

	if (a->attr == KVM_DEV_VFIO_GROUP_ADD) {
		kvm.files[kvm.num_files++] = fd;
		return 0;
	}
	for (unsigned i = 0; i < kvm.num_files; i++) {
		if (kvm.files[i] == fd) {
			kvm.files[i] = kvm.files[--kvm.num_files];
			return 0;
		}
	}
	return -ENOENT;
}

static int vm_ioctl(unsigned long cmd, void *arg)
{
	struct kvm_irq_level *level = arg;
	struct kvm_userspace_memory_region *m = arg;

	switch (cmd) {
	case KVM_CHECK_EXTENSION:
		return extension((long)arg);
	case KVM_GET_IRQCHIP:
		return kvm.irqchip && !kvm.split ? 0 : -ENXIO;
	case KVM_SET_GSI_ROUTING:
		return set_routing(arg);
	case KVM_IRQFD:
		return set_irqfd(arg);
	case KVM_IRQ_LINE:
		kvm.lines++;
		kvm.level[level->irq] = level->level;
		return 0;
	case KVM_SIGNAL_MSI:
		kvm.messages++;
		kvm.msi = *(struct kvm_msi *)arg;
		return 1;
	case KVM_SET_USER_MEMORY_REGION:
		kvm.slots[m->slot] = *m;
		return 0;
	case KVM_CREATE_DEVICE:
		if (kvm.no_vfio || kvm.busy_vfio)
			return kvm.no_vfio ? -ENODEV : -EBUSY;
		((struct kvm_create_device *)arg)->fd = (uint32_t)kvm.device;
		return 0;
	default:
		return -ENOTTY;
	}
}

int __real_sys_ioctl(int fd, unsigned long cmd, void *arg);
int __wrap_sys_ioctl(int fd, unsigned long cmd, void *arg);
int __wrap_sys_ioctl(int fd, unsigned long cmd, void *arg)
{
	if (fd != kvm.vm && fd != kvm.device)
		return __real_sys_ioctl(fd, cmd, arg);
	kvm.calls++;
	if (kvm.countdown && !--kvm.countdown) {
		kvm.failed++;
		return -EIO;
	}
	return fd == kvm.vm ? vm_ioctl(cmd, arg) : device_attr(arg);
}

/* ---- a guest, and devices that have no more than a name ---- */

static int pin_gsi = 17;

static int gsi_of_pin(void *ctx, struct uvfio_vm_device *dev, unsigned pin)
{
	return pin_gsi;
}

static void new_kvm(void)
{
	memset(&kvm, 0, sizeof(kvm));
	kvm.vm = eventfd(0, 0);
	kvm.device = eventfd(0, 0);
	kvm.irqchip = true;
	kvm.max_routes = MAX_ROUTES;
	pin_gsi = 17;
}

static void end_kvm(struct uvfio_vm *vm)
{
	uvfio_vm_free(vm);
	assert_int_equal(kvm.num_irqfds, 0);
	/* the library closed what it made */
	if (fcntl(kvm.device, F_GETFD) >= 0)
		close(kvm.device);
	close(kvm.vm);
	kvm.vm = kvm.device = -1;
}

static struct uvfio_vm *new_guest(const struct uvfio_vm_kvm *more)
{
	struct uvfio_vm *vm = uvfio_vm_new(NULL, NULL);
	struct uvfio_vm_kvm k = more ? *more : (struct uvfio_vm_kvm){ 0 };

	k.vm_fd = kvm.vm;
	k.intx_gsi = gsi_of_pin;
	assert_non_null(vm);
	assert_int_equal(uvfio_vm_use_kvm(vm, &k, NULL), 0);
	return vm;
}

static struct uvfio_vm_device device_1 = { .name = "device 1" }, device_2 = { .name = "device 2" };

/* The functions of @vm, called as the interrupts' files do. */
static int add(struct uvfio_vm *vm, uint32_t data)
{
	return vm->irq_ops.route_add(vm->irq_ctx, &device_1, 0xfee01000, data);
}
static int commit(struct uvfio_vm *vm)
{
	return vm->irq_ops.route_commit(vm->irq_ctx);
}
static int update(struct uvfio_vm *vm, int gsi, uint32_t data)
{
	return vm->irq_ops.route_update(vm->irq_ctx, gsi, 0xfee01000, data);
}
static void del(struct uvfio_vm *vm, int gsi)
{
	vm->irq_ops.route_del(vm->irq_ctx, gsi);
}
static void line(struct uvfio_vm *vm, struct uvfio_vm_device *dev, bool level)
{
	vm->irq_ops.intx(vm->irq_ctx, dev, 0, level);
}

static const struct kvm_irq_routing_entry *entry_of(unsigned gsi)
{
	for (unsigned i = 0; i < kvm.nr; i++)
		if (kvm.table[i].gsi == gsi)
			return &kvm.table[i];
	return NULL;
}
static unsigned entries_of(unsigned gsi)
{
	unsigned n = 0;

	for (unsigned i = 0; i < kvm.nr; i++)
		n += kvm.table[i].gsi == gsi;
	return n;
}

/* ---- the tests ---- */

static int refused(const struct uvfio_vm_kvm *k)
{
	struct uvfio_vm *vm = uvfio_vm_new(NULL, NULL);
	int rc = uvfio_vm_use_kvm(vm, k, NULL);

	assert_string_not_equal(uvfio_vm_strerror(vm), "no error");
	assert_false(vm->has_irq);
	uvfio_vm_free(vm);
	return rc;
}

static void what_kvm_must_have(void **state)
{
	struct uvfio_vm_kvm k = { .intx_gsi = gsi_of_pin };
	struct uvfio_vm *vm;
	unsigned sets;

	new_kvm();
	k.vm_fd = kvm.vm;
	kvm.no_irqfd = true;
	assert_int_equal(refused(&k), -ENOSYS);
	kvm.no_irqfd = false;
	kvm.max_routes = 0;
	assert_int_equal(refused(&k), -ENOSYS);
	kvm.max_routes = MAX_ROUTES;
	kvm.irqchip = false;
	assert_int_equal(refused(&k), -ENOSYS);
	kvm.irqchip = true;
	k.gsi_base = MAX_ROUTES;
	assert_int_equal(refused(&k), -EINVAL);
	k.gsi_base = 0;
	k.kvm_slot = 10;
	k.kvm_slots = 7;
	assert_int_equal(refused(&k), -EINVAL);
	k.kvm_slot = UINT32_MAX;
	assert_int_equal(refused(&k), -EINVAL);
	k.kvm_slots = 0;
	k.intx_gsi = NULL;
	assert_int_equal(refused(&k), -EINVAL);
	k.intx_gsi = gsi_of_pin;
	k.vm_fd = -1;
	assert_int_equal(refused(&k), -EINVAL);
	k.vm_fd = kvm.vm;
	vm = new_guest(NULL);
	assert_int_equal(kvm.nr, PINS_SET);
	/* and KVM's routes stay as they are */
	sets = kvm.sets;
	assert_int_equal(uvfio_vm_use_kvm(vm, &k, NULL), -EBUSY);
	assert_int_equal(kvm.sets, sets);
	end_kvm(vm);
}

static void one_table_for_a_batch(void **state)
{
	struct uvfio_vm *vm;
	int gsi[64];

	new_kvm();
	vm = new_guest(NULL);
	kvm.sets = 0;
	for (unsigned i = 0; i < 64; i++) {
		gsi[i] = add(vm, i);
		assert_int_equal(gsi[i], 24 + i);
	}
	assert_int_equal(kvm.sets, 0);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(kvm.sets, 1);
	assert_int_equal(kvm.nr, PINS_SET + 64);
	assert_int_equal(entry_of(30)->u.msi.data, 6);
	assert_int_equal(entry_of(30)->u.msi.address_lo, 0xfee01000);
	/* nothing new: no call */
	assert_int_equal(update(vm, 30, 6), 0);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(kvm.sets, 1);
	assert_int_equal(update(vm, 30, 7), 0);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(kvm.sets, 2);
	assert_int_equal(entry_of(30)->u.msi.data, 7);
	for (unsigned i = 0; i < 64; i += 2)
		del(vm, gsi[i]);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(kvm.nr, PINS_SET + 32);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(entries_of(24 + i), i % 2);
	/* what is no interrupt has no route */
	assert_int_equal(vm->irq_ops.route_add(vm->irq_ctx, &device_1, 0x1000, 1), -EINVAL);
	assert_int_equal(vm->irq_ops.route_update(vm->irq_ctx, 25, 0, 1), -EINVAL);
	assert_int_equal(entry_of(25)->u.msi.data, 1);
	end_kvm(vm);
}

/* (test 60) */
static void gsis_run_out(void **state)
{
	struct uvfio_vm *vm;
	int gsi[16];

	new_kvm();
	kvm.max_routes = PINS_SET + 8;
	vm = new_guest(NULL);
	for (unsigned i = 0; i < 8; i++)
		assert_true((gsi[i] = add(vm, i)) >= 24);
	assert_int_equal(add(vm, 8), -ENOSPC);
	assert_int_equal(commit(vm), 0);
	del(vm, gsi[3]);
	assert_true(add(vm, 9) >= 24);
	assert_int_equal(add(vm, 10), -ENOSPC);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(kvm.nr, PINS_SET + 8);
	end_kvm(vm);
	/* with a monitor that has the table, numbers run out and not entries */
	new_kvm();
	kvm.split = true;
	kvm.max_routes = 28;
	vm = new_guest(NULL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(vm, i), 24 + i);
	assert_int_equal(add(vm, 5), -ENOSPC);
	del(vm, 26);
	assert_int_equal(add(vm, 5), 26);
	end_kvm(vm);
}

/* (test 61) */
static void routes_of_the_monitor_stay(void **state)
{
	struct kvm_irq_routing_entry e = { .gsi = 5, .type = KVM_IRQ_ROUTING_IRQCHIP };
	struct uvfio_vm *vm;
	int gsi[8];

	new_kvm();
	vm = new_guest(NULL);
	/* takes the place of both that a new irqchip has there */
	e.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	e.u.irqchip.pin = 5;
	assert_int_equal(entries_of(5), 2);
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), 0);
	assert_int_equal(entries_of(5), 1);
	e.u.irqchip.irqchip = KVM_IRQCHIP_PIC_MASTER;
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), 0);
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), 0);
	assert_int_equal(entries_of(5), 2);
	e = (struct kvm_irq_routing_entry){ .gsi = 25, .type = KVM_IRQ_ROUTING_MSI };
	e.u.msi.data = 0x77;
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), 0);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned i = 0; i < 8; i++) {
			gsi[i] = add(vm, round);
			assert_true(gsi[i] >= 24 && gsi[i] != 25);
		}
		assert_int_equal(commit(vm), 0);
		for (unsigned i = 0; i < 8; i++)
			del(vm, gsi[i]);
		assert_int_equal(commit(vm), 0);
	}
	assert_int_equal(kvm.nr, PINS_SET + 1);
	assert_int_equal(entries_of(5), 2);
	assert_int_equal(entry_of(25)->u.msi.data, 0x77);
	/* what KVM does not take is not kept: all that come after it would fail as well */
	gsi[0] = add(vm, 1);
	e.u.msi.data = 0xbad;
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), -EINVAL);
	e.gsi = 7;
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), -EINVAL);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(entry_of(25)->u.msi.data, 0x77);
	assert_int_equal(entries_of(7), 2);
	assert_int_equal(entry_of((unsigned)gsi[0])->u.msi.data, 1);
	/* nor is one on a message's GSI, or beyond all */
	e.u.msi.data = 1;
	e.gsi = (uint32_t)gsi[0];
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), -EINVAL);
	e.gsi = MAX_ROUTES;
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), -EINVAL);
	del(vm, gsi[0]);
	end_kvm(vm);
	assert_int_equal(kvm.nr, PINS_SET + 1);
}

static void a_commit_that_fails_is_made_later(void **state)
{
	struct uvfio_vm *vm;
	int good, bad;

	new_kvm();
	vm = new_guest(NULL);
	good = add(vm, 1);
	bad = add(vm, 0xbad);
	assert_int_equal(commit(vm), -EINVAL);
	assert_false(routed((unsigned)good));
	del(vm, bad);
	assert_int_equal(commit(vm), 0);
	assert_true(routed((unsigned)good));
	assert_false(routed((unsigned)bad));
	end_kvm(vm);
}

static unsigned told;
static struct kvm_irq_routing_entry told_entries[8];
static int table(void *ctx, const struct kvm_irq_routing_entry *e, unsigned n)
{
	told = n;
	memcpy(told_entries, e, n * sizeof(*e));
	return 0;
}

static void the_monitor_has_the_table(void **state)
{
	struct uvfio_vm_kvm k = { .table = table, .gsi_base = 40 };
	struct kvm_irq_routing_entry e = { .gsi = 5, .type = KVM_IRQ_ROUTING_MSI };
	struct uvfio_vm *vm;

	new_kvm();
	vm = new_guest(&k);
	assert_int_equal(kvm.sets, 0);
	assert_int_equal(add(vm, 3), 40);
	assert_int_equal(add(vm, 4), 41);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(told, 2);
	assert_int_equal(told_entries[1].gsi, 41);
	assert_int_equal(told_entries[1].u.msi.data, 4);
	del(vm, 40);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(told, 1);
	assert_int_equal(uvfio_vm_kvm_route(vm, &e), -EINVAL);
	assert_int_equal(kvm.sets, 0);
	end_kvm(vm);
}

static void irqfds(void **state)
{
	struct uvfio_vm *vm;
	int ev = eventfd(0, 0), rs = eventfd(0, 0), gsi;

	new_kvm();
	vm = new_guest(NULL);
	gsi = add(vm, 1);
	assert_int_equal(commit(vm), 0);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, gsi, -1, true), 0);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, gsi, -1, true), -EBUSY);
	assert_int_equal(kvm.irqfds[0].flags, 0);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, gsi, -1, false), 0);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, 17, rs, true), 0);
	assert_int_equal(kvm.irqfds[0].flags, KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(kvm.irqfds[0].resamplefd, rs);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, 17, rs, false), 0);
	assert_int_equal(kvm.num_irqfds, 0);
	del(vm, gsi);
	end_kvm(vm);
	/* a split irqchip has no pins and cannot resample (test 48) */
	new_kvm();
	kvm.split = true;
	vm = new_guest(NULL);
	assert_int_equal(kvm.nr, 0);
	assert_int_equal(vm->irq_ops.irqfd(vm->irq_ctx, ev, 17, rs, true), -EINVAL);
	end_kvm(vm);
	close(ev);
	close(rs);
}

/* (test 50) */
static void lines_are_shared(void **state)
{
	struct uvfio_vm *vm;

	new_kvm();
	vm = new_guest(NULL);
	line(vm, &device_1, true);
	line(vm, &device_1, true);
	assert_int_equal(kvm.level[17], 1);
	line(vm, &device_2, true);
	assert_int_equal(kvm.lines, 1);
	line(vm, &device_1, false);
	line(vm, &device_1, false);
	assert_int_equal(kvm.level[17], 1);
	line(vm, &device_2, false);
	assert_int_equal(kvm.level[17], 0);
	assert_int_equal(kvm.lines, 2);
	/* the pin leads elsewhere while the line is up: it goes down where it was raised */
	line(vm, &device_1, true);
	pin_gsi = 18;
	line(vm, &device_1, true);
	assert_int_equal(kvm.level[17], 0);
	assert_int_equal(kvm.level[18], 1);
	pin_gsi = -1;
	line(vm, &device_1, false);
	assert_int_equal(kvm.level[18], 0);
	/* nowhere */
	kvm.lines = 0;
	line(vm, &device_1, true);
	pin_gsi = MAX_ROUTES;
	line(vm, &device_1, true);
	line(vm, &device_1, false);
	assert_int_equal(kvm.lines, 0);
	assert_int_equal(vm->irq_ops.intx_gsi(vm->irq_ctx, &device_1, 0), -1);
	pin_gsi = 19;
	assert_int_equal(vm->irq_ops.intx_gsi(vm->irq_ctx, &device_1, 0), 19);
	end_kvm(vm);
}

static void messages(void **state)
{
	struct uvfio_vm *vm;

	new_kvm();
	vm = new_guest(NULL);
	vm->irq_ops.msi(vm->irq_ctx, &device_1, 0x12340000fee02000, 0x4041);
	assert_int_equal(kvm.messages, 1);
	assert_int_equal(kvm.msi.address_lo, 0xfee02000);
	assert_int_equal(kvm.msi.address_hi, 0x12340000);
	assert_int_equal(kvm.msi.data, 0x4041);
	/* a write to memory is no interrupt */
	vm->irq_ops.msi(vm->irq_ctx, &device_1, 0x1000, 1);
	assert_int_equal(kvm.messages, 1);
	end_kvm(vm);
}

static void slots(void **state)
{
	struct uvfio_vm_kvm k = { .kvm_slot = 5, .kvm_slots = 2 };
	struct uvfio_vm *vm;
	char page[1];

	new_kvm();
	vm = new_guest(&k);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x10000, 0x1000, page, false), 0);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x20000, 0x2000, page, true), 1);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x30000, 0x1000, page, true), -ENOSPC);
	assert_int_equal(kvm.slots[5].guest_phys_addr, 0x10000);
	assert_int_equal(kvm.slots[5].flags, 0);
	assert_int_equal(kvm.slots[6].memory_size, 0x2000);
	assert_int_equal(kvm.slots[6].flags, KVM_MEM_READONLY);
	assert_int_equal(kvm.slots[6].userspace_addr, (uintptr_t)page);
	vm_kvm_slot_del(vm->kvm, 0);
	assert_int_equal(kvm.slots[5].memory_size, 0);
	kvm.countdown = 1;
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x30000, 0x1000, page, true), -EIO);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x30000, 0x1000, page, true), 0);
	vm_kvm_slot_del(vm->kvm, 0);
	/* one that did not go is not used again */
	kvm.countdown = 1;
	vm_kvm_slot_del(vm->kvm, 1);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x30000, 0x1000, page, true), 0);
	assert_int_equal(vm_kvm_slot_add(vm->kvm, 0x30000, 0x1000, page, true), -ENOSPC);
	end_kvm(vm);
}

/* (test 7) */
static void files_of_vfio(void **state)
{
	struct uvfio_vm *vm;

	new_kvm();
	vm = new_guest(NULL);
	assert_int_equal(vm_kvm_file(vm->kvm, 70, true), 0);
	assert_int_equal(vm_kvm_file(vm->kvm, 71, true), 0);
	assert_int_equal(kvm.num_files, 2);
	/* a second device of the group is had by the same file */
	assert_int_equal(vm_kvm_file(vm->kvm, 70, true), 0);
	assert_int_equal(kvm.num_files, 2);
	assert_int_equal(vm_kvm_file(vm->kvm, 70, false), 0);
	assert_int_equal(kvm.num_files, 2);
	assert_int_equal(vm_kvm_file(vm->kvm, 70, false), 0);
	assert_int_equal(kvm.num_files, 1);
	assert_int_equal(kvm.files[0], 71);
	kvm.countdown = 1;
	assert_int_equal(vm_kvm_file(vm->kvm, 72, true), 0);
	assert_int_equal(vm_kvm_file(vm->kvm, 71, false), 0);
	assert_int_equal(kvm.num_files, 0);
	assert_int_equal(vm_kvm_file(vm->kvm, 72, false), 0);
	end_kvm(vm);
	/* without the device it works all the same, and is asked for once */
	for (int busy = 0; busy < 2; busy++) {
		new_kvm();
		kvm.no_vfio = !busy;
		kvm.busy_vfio = busy;
		vm = new_guest(NULL);
		kvm.calls = 0;
		assert_int_equal(vm_kvm_file(vm->kvm, 70, true), 0);
		assert_int_equal(vm_kvm_file(vm->kvm, 70, false), 0);
		assert_int_equal(kvm.calls, 1);
		end_kvm(vm);
	}
}

/* Each call of KVM's fails in turn: an error with a sentence, or one may do without. */
static void each_call_fails(void **state)
{
	struct uvfio_vm_kvm k = { .intx_gsi = gsi_of_pin, .kvm_slot = 1, .kvm_slots = 4 };
	unsigned errors = 0, n = 0;

	do {
		struct uvfio_vm *vm = uvfio_vm_new(NULL, NULL);
		int rc;

		new_kvm();
		k.vm_fd = kvm.vm;
		kvm.countdown = ++n;
		rc = uvfio_vm_use_kvm(vm, &k, NULL);
		if (rc) {
			assert_true(rc == -ENOSYS || rc == -EINVAL);
			assert_int_equal(kvm.failed, 1);
			errors++;
			kvm.countdown = 0;
			assert_int_equal(uvfio_vm_use_kvm(vm, &k, NULL), 0);
		}
		end_kvm(vm);
	} while (kvm.failed);
	assert_true(errors >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_kvm_must_have),
		cmocka_unit_test(one_table_for_a_batch),
		cmocka_unit_test(gsis_run_out),
		cmocka_unit_test(routes_of_the_monitor_stay),
		cmocka_unit_test(a_commit_that_fails_is_made_later),
		cmocka_unit_test(the_monitor_has_the_table),
		cmocka_unit_test(irqfds),
		cmocka_unit_test(lines_are_shared),
		cmocka_unit_test(messages),
		cmocka_unit_test(slots),
		cmocka_unit_test(files_of_vfio),
		cmocka_unit_test(each_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
