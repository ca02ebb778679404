/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/config.c: config space as the guest reads and writes it. A read mixes bits of the copy with
 * bits of the device, by the mask `emulated`. A write goes to the device, which filters it, and
 * into the copy, by the mask `writable`; then what follows from it is done. The exceptions: the
 * ROM's register, MSI-X and hidden capabilities never reach the device, and MSI's enable bit does
 * only once VFIO has MSI on.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "vmm/internal.h"

/* VFIO's indices of BARs, ROM and config space are those of the guest. */
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

/* Bits of COMMAND that a guest switches, and finds off at first. */
#define COMMAND_BITS \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

/* Of 1, 2 or 4 bytes; the same as of 4 for what is no size of config space. */
static uint32_t all_ones(unsigned size)
{
	return size == 1 ? 0xff : size == 2 ? 0xffff : UINT32_MAX;
}

static uint32_t get_bytes(const uint8_t *from, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint32_t)from[i] << 8 * i;
	return v;
}

static void put_bytes(uint8_t *to, unsigned size, uint32_t value)
{
	for (unsigned i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* ---- the copy and its masks ---- */

uint32_t vm_config_copy(const struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	return get_bytes(dev->config.copy + offset, size);
}

void vm_config_set_copy(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value)
{
	put_bytes(dev->config.copy + offset, size, value);
}

void vm_config_set(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value,
		   uint32_t emulated, uint32_t writable)
{
	struct vm_config *c = &dev->config;
	uint32_t bits = (get_bytes(c->copy + offset, size) & ~emulated) | (value & emulated);

	put_bytes(c->copy + offset, size, bits);
	put_bytes(c->at_reset + offset, size, bits);
	put_bytes(c->emulated + offset, size, get_bytes(c->emulated + offset, size) | emulated);
	put_bytes(c->writable + offset, size,
		  (get_bytes(c->writable + offset, size) & ~emulated) | writable);
}

void vm_config_pass(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t kept)
{
	struct vm_config *c = &dev->config;

	memset(c->copy + offset, 0, size);
	memset(c->at_reset + offset, 0, size);
	memset(c->emulated + offset, 0, size);
	put_bytes(c->writable + offset, size, kept);
}

void vm_config_hide(struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	struct vm_config *c = &dev->config;

	memset(c->copy + offset, 0, size);
	memset(c->at_reset + offset, 0, size);
	memset(c->emulated + offset, 0xff, size);
	memset(c->writable + offset, 0, size);
	memset(c->hidden + offset, 1, size);
}

/* Write what the guest wrote into the copy, as far as it may. */
static void put_copy(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value)
{
	uint32_t writable = get_bytes(dev->config.writable + offset, size);

	vm_config_set_copy(dev, offset, size,
			   (vm_config_copy(dev, offset, size) & ~writable) | (value & writable));
}

/* ---- the device ---- */

/* Once: a guest polls a device that was pulled out. */
static void say_silent(struct uvfio_vm_device *dev, unsigned offset)
{
	if (dev->config.said)
		return;
	dev->config.said = true;
	report_warn("vm-config-silent", dev->name, 0,
		    "config space at 0x%x does not answer: reads give all ones, writes are lost, "
		    "and more of it is not said",
		    offset);
}

/* Read the device: false, and all ones: it does not answer. */
static bool read_device(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			uint32_t *value)
{
	uint8_t bytes[4];
	bool ok = vm_device_rw(dev, CONFIG, offset, bytes, size, false);

	*value = ok ? get_bytes(bytes, size) : all_ones(size);
	if (!ok)
		say_silent(dev, offset);
	return ok;
}

static void write_device(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			 uint32_t value)
{
	uint8_t bytes[4];

	put_bytes(bytes, size, value);
	if (!vm_device_rw(dev, CONFIG, offset, bytes, size, true))
		say_silent(dev, offset);
}

/* ---- reading ---- */

/*
 * Return bits of [@offset, @offset + @size) that are pending bits of MSI which the device does not
 * have: it knows nothing of a mask of ours.
 */
static uint32_t pending_bits(const struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	unsigned msi = dev->config.caps.msi, flags, at;

	if (!msi || offset < msi || offset >= msi + dev->config.caps.msi_size)
		return 0;
	flags = vm_config_copy(dev, msi + PCI_MSI_FLAGS, 2);
	at = msi + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32);
	if (!(flags & PCI_MSI_FLAGS_MASKBIT) || offset < at)
		return 0;
	return vm_msi_pending(dev) >> 8 * (offset - at) & all_ones(size);
}

uint32_t vm_config_get(struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	uint32_t emulated = get_bytes(dev->config.emulated + offset, size), value;

	/* a read may have side effects: only where a bit of it is wanted */
	if (emulated == all_ones(size))
		return vm_config_copy(dev, offset, size);
	if (!read_device(dev, offset, size, &value))
		return value;
	value |= pending_bits(dev, offset, size);
	return (vm_config_copy(dev, offset, size) & emulated) | (value & ~emulated);
}

/* ---- writing: what follows ---- */

/* A write of the guest: aligned, so it is in one dword. */
struct write {
	unsigned offset, size;
	uint32_t value;
};

/* Return @before, a register of @size bytes at @at, as it is after the write. */
static uint32_t merge(const struct write *w, unsigned at, unsigned size, uint32_t before)
{
	for (unsigned i = 0; i < size; i++) {
		unsigned byte = at + i - w->offset;

		if (byte < w->size) {
			before &= ~(0xffu << 8 * i);
			before |= (w->value >> 8 * byte & 0xff) << 8 * i;
		}
	}
	return before;
}

static bool touches(const struct write *w, unsigned at, unsigned size)
{
	return w->offset < at + size && at < w->offset + w->size;
}

static void to_device(struct uvfio_vm_device *dev, const struct write *w)
{
	write_device(dev, w->offset, w->size, w->value);
}

static void to_copy(struct uvfio_vm_device *dev, const struct write *w)
{
	put_copy(dev, w->offset, w->size, w->value);
}

/* Have the copy of COMMAND as the device has it, for those who ask what decodes. */
static void follow_command(struct uvfio_vm_device *dev)
{
	uint32_t command;

	if (!read_device(dev, PCI_COMMAND, 2, &command))
		command = 0;
	vm_config_set_copy(dev, PCI_COMMAND, 2, command);
}

static void write_command(struct uvfio_vm_device *dev, const struct write *w)
{
	uint32_t command = merge(w, PCI_COMMAND, 2, vm_config_copy(dev, PCI_COMMAND, 2));

	/* what goes off must be out of the guest's reach before the device stops to answer */
	vm_bars_update_command(dev, (uint16_t)command);
	to_device(dev, w);
	to_copy(dev, w);
	follow_command(dev);
	vm_bars_update(dev);
	vm_intx_command(dev);
}

static void write_bar(struct uvfio_vm_device *dev, const struct write *w)
{
	to_copy(dev, w);
	/* vfio-pci keeps it to itself, and wants sane values after a reset */
	to_device(dev, w);
	vm_bars_update(dev);
}

static void write_rom_bar(struct uvfio_vm_device *dev, const struct write *w)
{
	to_copy(dev, w);
	vm_bars_update(dev);
}

/* Have the device's mask bits of MSI as the guest wrote them: the host may use them meanwhile. */
static void push_msi_mask(struct uvfio_vm_device *dev)
{
	unsigned msi = dev->config.caps.msi;
	uint32_t flags = vm_config_copy(dev, msi + PCI_MSI_FLAGS, 2);
	unsigned mask = msi + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);

	if (flags & PCI_MSI_FLAGS_MASKBIT)
		write_device(dev, mask, 4, vm_config_copy(dev, mask, 4));
}

static void write_msi(struct uvfio_vm_device *dev, const struct write *w)
{
	unsigned flags = dev->config.caps.msi + PCI_MSI_FLAGS;
	uint16_t old = (uint16_t)vm_config_copy(dev, flags, 2), now;

	to_copy(dev, w);
	now = (uint16_t)vm_config_copy(dev, flags, 2);
	/* vfio-pci keeps the enable bit only while SET_IRQS has MSI on */
	if (now & ~old & PCI_MSI_FLAGS_ENABLE) {
		vm_msi_written(dev, old);
		to_device(dev, w);
	} else {
		to_device(dev, w);
		vm_msi_written(dev, old);
	}
	if (now & PCI_MSI_FLAGS_ENABLE && now != old)
		push_msi_mask(dev);
}

static void write_msix(struct uvfio_vm_device *dev, const struct write *w)
{
	unsigned flags = dev->config.caps.msix + PCI_MSIX_FLAGS;
	uint16_t old = (uint16_t)vm_config_copy(dev, flags, 2);

	/* vfio-pci takes no notice: SET_IRQS is what counts */
	to_copy(dev, w);
	vm_msix_written(dev, old);
}

static void write_pm(struct uvfio_vm_device *dev, const struct write *w)
{
	unsigned pmcsr = dev->config.caps.pm + PCI_PM_CTRL;
	uint32_t old, now;

	if (!read_device(dev, pmcsr, 2, &old))
		return;
	if ((merge(w, pmcsr, 2, old) & PCI_PM_CTRL_STATE_MASK) == 3) {
		dev->bars.asleep = true;
		vm_bars_update(dev);
	}
	to_device(dev, w);
	to_copy(dev, w);
	/* a state that the device does not have is not entered */
	if (!read_device(dev, pmcsr, 2, &now))
		return;
	dev->bars.asleep = (now & PCI_PM_CTRL_STATE_MASK) == 3;
	if ((old & PCI_PM_CTRL_STATE_MASK) == 3 && !(now & PCI_PM_CTRL_STATE_MASK) &&
	    dev->config.caps.pm_reset)
		vm_reset_after(dev);
	else
		vm_bars_update(dev);
}

/* The guest resets the function: the copies follow. */
static void write_flr(struct uvfio_vm_device *dev, const struct write *w)
{
	vm_bars_down(dev);
	to_device(dev, w);
	vm_reset_after(dev);
}

static bool is_flr(const struct uvfio_vm_device *dev, const struct write *w)
{
	const struct vm_caps *caps = &dev->config.caps;

	if (caps->pcie && caps->exp_flr &&
	    merge(w, caps->pcie + PCI_EXP_DEVCTL, 2, 0) & PCI_EXP_DEVCTL_BCR_FLR)
		return true;
	return caps->af && caps->af_flr && merge(w, caps->af + PCI_AF_CTRL, 1, 0) & PCI_AF_CTRL_FLR;
}

void vm_config_put(struct uvfio_vm_device *dev, unsigned offset, unsigned size, uint32_t value)
{
	const struct write w = { .offset = offset, .size = size, .value = value };
	const struct vm_caps *caps = &dev->config.caps;

	if (dev->config.hidden[offset])
		return;
	if (touches(&w, PCI_COMMAND, 2))
		write_command(dev, &w);
	else if (touches(&w, PCI_BASE_ADDRESS_0, 4 * PCI_BARS))
		write_bar(dev, &w);
	else if (touches(&w, PCI_ROM_ADDRESS, 4))
		write_rom_bar(dev, &w);
	else if (caps->msi && touches(&w, caps->msi, caps->msi_size))
		write_msi(dev, &w);
	else if (caps->msix && touches(&w, caps->msix, PCI_CAP_MSIX_SIZEOF))
		write_msix(dev, &w);
	else if (caps->pm && touches(&w, caps->pm + PCI_PM_CTRL, 2))
		write_pm(dev, &w);
	else if (is_flr(dev, &w))
		write_flr(dev, &w);
	else {
		to_device(dev, &w);
		to_copy(dev, &w);
	}
}

/* ---- what a monitor calls ---- */

static bool is_inside(const struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	return (size == 1 || size == 2 || size == 4) && !(offset & (size - 1)) &&
	       offset < dev->config.size;
}

uint32_t uvfio_vm_config_read(struct uvfio_vm_device *dev, unsigned offset, unsigned size)
{
	VM_CALL();
	uint32_t value = all_ones(size);

	if (!vm_enter(dev))
		return value;
	if (is_inside(dev, offset, size)) {
		pthread_mutex_lock(&dev->lock);
		value = vm_config_get(dev, offset, size);
		pthread_mutex_unlock(&dev->lock);
	}
	vm_leave(dev);
	return value;
}

void uvfio_vm_config_write(struct uvfio_vm_device *dev, unsigned offset, unsigned size,
			   uint32_t value)
{
	VM_CALL();

	if (!vm_enter(dev))
		return;
	if (is_inside(dev, offset, size)) {
		pthread_mutex_lock(&dev->lock);
		vm_config_put(dev, offset, size, value & all_ones(size));
		pthread_mutex_unlock(&dev->lock);
	}
	vm_leave(dev);
}

/* ---- its making ---- */

/*
 * Have the registers of BARs and ROM at no address, with the bits of their types. vm_bars_init()
 * knows the sizes, and which of them the guest has.
 */
static void init_bars(struct uvfio_vm_device *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;
		uint32_t type = vm_config_copy(dev, at, 4);
		bool io = type & PCI_BASE_ADDRESS_SPACE_IO;

		type &= (uint32_t)(io ? ~PCI_BASE_ADDRESS_IO_MASK : ~PCI_BASE_ADDRESS_MEM_MASK);
		vm_config_set(dev, at, 4, type, UINT32_MAX, 0);
		if (!io && i < PCI_BARS - 1 &&
		    (type & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64) {
			vm_config_set(dev, at + 4, 4, 0, UINT32_MAX, 0);
			i++;
		}
	}
	vm_config_set(dev, PCI_ROM_ADDRESS, 4, 0, UINT32_MAX, 0);
}

static void init_ids(struct uvfio_vm_device *dev)
{
	const struct vm_options *o = &dev->options;
	const struct {
		unsigned at;
		uint32_t id;
	} ids[] = {
		{ PCI_VENDOR_ID, o->vendor },
		{ PCI_DEVICE_ID, o->device },
		{ PCI_SUBSYSTEM_VENDOR_ID, o->subvendor },
		{ PCI_SUBSYSTEM_ID, o->subdevice },
	};

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i].id != VM_ID_KEEP)
			vm_config_set(dev, ids[i].at, 2, ids[i].id, 0xffff, 0);
}

/*
 * Have nothing of the device decode, nor do DMA, and BARs at no address; other bits of COMMAND are
 * as the host has set them up.
 */
static void quiet(struct uvfio_vm_device *dev)
{
	uint32_t command = get_bytes(dev->config.at_reset + PCI_COMMAND, 2);

	write_device(dev, PCI_COMMAND, 2, command & ~(uint32_t)COMMAND_BITS);
	for (unsigned i = 0; i < PCI_BARS; i++)
		write_device(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4, 0);
	follow_command(dev);
}

void vm_config_after_reset(struct uvfio_vm_device *dev)
{
	memcpy(dev->config.copy, dev->config.at_reset, dev->config.size);
	quiet(dev);
}

static int read_all(struct uvfio_vm_device *dev)
{
	struct vm_config *c = &dev->config;
	struct vfio_region r;
	int rc = vfio_device_region(&dev->open, CONFIG, &r);

	if (rc || r.size < PCI_CFG_SIZE)
		return vm_fail(dev->vm, -ENOTSUP, "%s has no config space", dev->name);
	c->size = r.size < PCI_CFG_EXP_SIZE ? PCI_CFG_SIZE : PCI_CFG_EXP_SIZE;
	if (!vm_device_rw(dev, CONFIG, 0, c->copy, c->size, false))
		return vm_fail(dev->vm, -EIO, "%s: config space cannot be read", dev->name);
	if (vm_config_copy(dev, PCI_VENDOR_ID, 2) == 0xffff)
		return vm_fail(dev->vm, -EIO, "%s does not answer", dev->name);
	if (c->copy[PCI_HEADER_TYPE] & 0x7f)
		return vm_fail(dev->vm, -ENOTSUP, "%s is a bridge, no endpoint", dev->name);
	memcpy(c->at_reset, c->copy, c->size);
	c->vendor = (uint16_t)vm_config_copy(dev, PCI_VENDOR_ID, 2);
	c->device = (uint16_t)vm_config_copy(dev, PCI_DEVICE_ID, 2);
	c->class_code = vm_config_copy(dev, PCI_CLASS_REVISION, 4) >> 8;
	return 0;
}

int vm_config_init(struct uvfio_vm_device *dev)
{
	int rc = read_all(dev);

	if (rc)
		return rc;
	init_ids(dev);
	rc = vm_rom_init(dev);
	if (rc)
		return rc;
	init_bars(dev);
	rc = vm_caps_init(dev);
	if (rc) {
		vm_rom_fini(dev);
		return rc;
	}
	vm_quirks_config(dev);
	vm_config_set(dev, PCI_HEADER_TYPE, 1, dev->options.multifunction ? 0x80 : 0, 0x80, 0);
	vm_config_set(dev, PCI_INTERRUPT_LINE, 1, 0, 0xff, 0xff);
	quiet(dev);
	memcpy(dev->config.at_reset + PCI_COMMAND, dev->config.copy + PCI_COMMAND, 2);
	return 0;
}

void vm_config_fini(struct uvfio_vm_device *dev)
{
	vm_rom_fini(dev);
}
