/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/quirk_windows.c: of a quirk's setup: windows in BARs that show config space, which must be
 * the guest's there too: or it would find the host's addresses in it, and change what is not its.
 * Accesses come aligned, of 1, 2, 4 or 8 bytes, and not over a window's end (mmio.c).
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "vmm/internal.h"

int uvfio_vm_bar_window(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset, uint64_t size,
			uint64_t (*read)(struct uvfio_vm_device *dev, uint64_t offset,
					 unsigned size),
			void (*write)(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
				      uint64_t value))
{
	VM_CALL();
	const struct vm_window w = { .offset = offset, .size = size, .read = read, .write = write };

	return vm_bars_window(dev, bar, &w);
}

/* ---- config space at an offset ---- */

/* Access 1, 2 or 4 bytes of the guest's config space, aligned. */
static uint32_t access_config(struct uvfio_vm_device *dev, uint64_t at, unsigned size,
			      uint32_t value, bool write)
{
	if (at >= dev->config.size)
		return UINT32_MAX;
	pthread_mutex_lock(&dev->lock);
	if (write)
		vm_config_put(dev, (unsigned)at, size, value);
	else
		value = vm_config_get(dev, (unsigned)at, size);
	pthread_mutex_unlock(&dev->lock);
	return value;
}

static uint64_t read_mirror(struct uvfio_vm_device *dev, void *arg, uint64_t at, unsigned size)
{
	(void)arg;
	if (size == 8)
		return access_config(dev, at, 4, 0, false) |
		       (uint64_t)access_config(dev, at + 4, 4, 0, false) << 32;
	return access_config(dev, at, size, 0, false);
}

static void write_mirror(struct uvfio_vm_device *dev, void *arg, uint64_t at, unsigned size,
			 uint64_t value)
{
	(void)arg;
	access_config(dev, at, size == 8 ? 4 : size, (uint32_t)value, true);
	if (size == 8)
		access_config(dev, at + 4, 4, (uint32_t)(value >> 32), true);
}

int uvfio_vm_config_mirror(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset,
			   uint64_t size)
{
	VM_CALL();
	const struct vm_window w = {
		.offset = offset,
		.size = size,
		.read_arg = read_mirror,
		.write_arg = write_mirror,
	};

	if (offset % 4 || size % 4)
		return vm_fail(dev->vm, -EINVAL, "%s: a mirror of config space is of whole dwords",
			       dev->name);
	return vm_bars_window(dev, bar, &w);
}

/* ---- config space behind an address and a data register ---- */

struct config_window {
	unsigned bar;
	uint64_t address_reg, data_reg;
	uint32_t match, mask;
	_Atomic uint32_t address; /* as it was written */
};
/* Of the data register: a window's argument is its own, and the other one has the struct. */
struct data_window {
	struct config_window *of;
};

static void write_address(struct uvfio_vm_device *dev, void *arg, uint64_t at, unsigned size,
			  uint64_t value)
{
	struct config_window *c = arg;
	uint32_t mask = (uint32_t)vm_ones(size) << 8 * at;
	uint32_t bits = (uint32_t)value << 8 * at & mask, old = atomic_load(&c->address);

	while (!atomic_compare_exchange_weak(&c->address, &old, (old & ~mask) | bits))
		;
	vm_device_rw(dev, c->bar, c->address_reg + at, &value, size, true);
}

/* True if data is of config space now, at *@at. */
static bool points_to_config(struct config_window *c, uint64_t *at)
{
	uint32_t address = atomic_load(&c->address);

	if ((address & c->mask) != c->match)
		return false;
	*at += address & ~c->mask & ~3u;
	return true;
}

static uint64_t read_data(struct uvfio_vm_device *dev, void *arg, uint64_t at, unsigned size)
{
	struct config_window *c = ((struct data_window *)arg)->of;
	uint64_t in_config = at, value = 0;

	if (points_to_config(c, &in_config))
		return access_config(dev, in_config, size, 0, false);
	return vm_device_rw(dev, c->bar, c->data_reg + at, &value, size, false) ? value
										: UINT64_MAX;
}

static void write_data(struct uvfio_vm_device *dev, void *arg, uint64_t at, unsigned size,
		       uint64_t value)
{
	struct config_window *c = ((struct data_window *)arg)->of;
	uint64_t in_config = at;

	if (points_to_config(c, &in_config))
		access_config(dev, in_config, size, (uint32_t)value, true);
	else
		vm_device_rw(dev, c->bar, c->data_reg + at, &value, size, true);
}

int uvfio_vm_config_window(struct uvfio_vm_device *dev, unsigned bar, uint64_t address_reg,
			   uint64_t data_reg, uint64_t match, uint64_t mask)
{
	VM_CALL();
	struct vm_window w = { .offset = address_reg, .size = 4, .write_arg = write_address };
	struct config_window *c;
	struct data_window *d;
	int rc;

	if (address_reg % 4 || data_reg % 4 || mask > UINT32_MAX || match & ~mask)
		return vm_fail(dev->vm, -EINVAL,
			       "%s: a window's registers are of 4 bytes, and its mask has all bits "
			       "of what is to match",
			       dev->name);
	c = malloc(sizeof(*c));
	d = malloc(sizeof(*d));
	rc = c && d ? 0 : vm_fail(dev->vm, -ENOMEM, "out of memory");
	if (rc)
		goto fail;
	*c = (struct config_window){
		.bar = bar,
		.address_reg = address_reg,
		.data_reg = data_reg,
		.match = (uint32_t)match,
		.mask = (uint32_t)mask,
	};
	d->of = c;
	w.arg = c;
	rc = vm_bars_window(dev, bar, &w);
	if (rc)
		goto fail;
	c = NULL;
	w = (struct vm_window){
		.offset = data_reg,
		.size = 4,
		.read_arg = read_data,
		.write_arg = write_data,
		.arg = d,
	};
	rc = vm_bars_window(dev, bar, &w);
	if (!rc)
		return 0;
fail:
	free(d);
	free(c);
	return rc;
}
