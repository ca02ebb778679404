/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars.c: BARs in the guest: their registers, and where they are. What the guest wrote into a
 * register may be anything: an address at which nothing is done about a BAR while its device does
 * not decode, and later one of RAM, of another BAR, or no address at all (a 64-bit BAR between its
 * halves, ones for sizing). A BAR is put wherever it says, as trapped memory, which is under all
 * else that the guest has there.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>

#include "base/util.h"
#include "vmm/internal.h"
#include "vmm/pieces.h"

/* Return the offset of a BAR's register. */
static unsigned reg_of(unsigned index)
{
	return index == UVFIO_VM_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * index;
}

/* ---- sizes and types ---- */

/* Have the registers of @b in the copy: no address, and the bits that a size leaves. */
static void set_registers(const struct vm_bar *b)
{
	uint64_t mask = b->size ? ~(b->size - 1) : 0;
	uint32_t type = 0, low = (uint32_t)mask;
	struct uvfio_vm_device *dev = b->dev;

	if (b->index == UVFIO_VM_ROM) {
		low &= PCI_ROM_ADDRESS_MASK;
		if (b->size)
			low |= PCI_ROM_ADDRESS_ENABLE;
	} else if (b->io) {
		type = PCI_BASE_ADDRESS_SPACE_IO;
		low &= (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
	} else if (b->size) {
		type = (b->is64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
		       (b->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
		low &= (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	}
	vm_config_set(dev, reg_of(b->index), 4, type, UINT32_MAX, low);
	if (b->is64)
		vm_config_set(dev, reg_of(b->index) + 4, 4, 0, UINT32_MAX, (uint32_t)(mask >> 32));
}

/* Learn what the device has as BAR @b, and its type from its register. */
static int read_bar(struct vm_bar *b, struct vfio_region *r)
{
	struct uvfio_vm_device *dev = b->dev;
	uint32_t value;
	int rc = vfio_device_region(&dev->open, b->index, r);

	if (rc)
		return vm_fail(dev->vm, rc, "%s: BAR%u is not described", dev->name, b->index);
	if (!r->size)
		return 0;
	if (!vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, reg_of(b->index), &value, 4, false))
		return vm_fail(dev->vm, -EIO, "%s: the register of BAR%u cannot be read", dev->name,
			       b->index);
	b->io = value & PCI_BASE_ADDRESS_SPACE_IO;
	if (!is_pow2(r->size) || r->size < (b->io ? 4 : 16) || r->size > 1ull << 62)
		return vm_fail(dev->vm, -EINVAL, "%s: BAR%u has 0x%" PRIx64 " bytes", dev->name,
			       b->index, r->size);
	b->region_size = r->size;
	if (b->io) {
		/* the guest does not see it, but it takes no other's place */
		b->size = dev->options.io ? r->size : 0;
		b->io = dev->options.io;
		return 0;
	}
	b->is64 = (value & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 &&
		  b->index < 5;
	b->prefetch = value & PCI_BASE_ADDRESS_MEM_PREFETCH;
	b->size = r->size;
	b->mappable = dev->options.mmap && !(dev->options.trapped_bars & 1u << b->index);
	b->readonly = !(r->flags & VFIO_REGION_INFO_FLAG_WRITE);
	return 0;
}

static void init_bar(struct uvfio_vm_device *dev, unsigned index)
{
	struct vm_bar *b = &dev->bars.bar[index];

	b->dev = dev;
	b->index = index;
	b->gpa = UVFIO_VM_UNMAPPED;
	atomic_init(&b->answers, false);
	atomic_init(&b->said, false);
	CDS_INIT_LIST_HEAD(&b->windows);
}

/* Learn of all BARs and make their pieces. */
static int read_bars(struct uvfio_vm_device *dev)
{
	struct vm_bar *b;
	struct vfio_region r;
	int rc;

	for (unsigned i = 0; i < UVFIO_VM_ROM; i++) {
		b = &dev->bars.bar[i];
		rc = read_bar(b, &r);
		if (!rc && b->mappable)
			rc = vm_pieces_init(b, &r);
		if (rc == -ENOMEM)
			vm_fail(dev->vm, rc, "out of memory");
		if (rc)
			return rc;
		if (b->is64)
			i++;
	}
	dev->bars.bar[UVFIO_VM_ROM].size = dev->config.rom.size;
	return 0;
}

static void set_all_registers(struct uvfio_vm_device *dev)
{
	for (unsigned i = 0; i < VM_BARS; i++) {
		set_registers(&dev->bars.bar[i]);
		if (dev->bars.bar[i].is64)
			i++;
	}
}

int vm_bars_init(struct uvfio_vm_device *dev)
{
	int rc;

	for (unsigned i = 0; i < VM_BARS; i++)
		init_bar(dev, i);
	dev->bars.there = true;
	rc = read_bars(dev);
	if (!rc)
		rc = vm_msix_place(dev);
	if (rc) {
		vm_bars_fini(dev);
		return rc;
	}
	set_all_registers(dev);
	return 0;
}

void vm_bars_fini(struct uvfio_vm_device *dev)
{
	struct vm_window *w, *next;

	if (!dev->bars.there)
		return;
	for (unsigned i = 0; i < VM_BARS; i++) {
		struct vm_bar *b = &dev->bars.bar[i];

		vm_pieces_fini(b);
		cds_list_for_each_entry_safe(w, next, &b->windows, node) {
			cds_list_del(&w->node);
			free(w->arg);
			free(w);
		}
	}
	dev->bars.there = false;
}

/* ---- windows ---- */

int vm_bars_window(struct uvfio_vm_device *dev, unsigned bar, const struct vm_window *w)
{
	struct vm_window *copy, *other;
	struct vm_bar *b;
	int rc;

	if (bar >= UVFIO_VM_ROM || !w->size)
		return vm_fail(dev->vm, -EINVAL, "%s: a window of BAR%u cannot be", dev->name, bar);
	b = &dev->bars.bar[bar];
	if (!range_within(w->offset, w->size, b->size))
		return vm_fail(dev->vm, -EINVAL,
			       "%s: a window at 0x%" PRIx64 "+0x%" PRIx64
			       " is outside of BAR%u, which has 0x%" PRIx64 " bytes",
			       dev->name, w->offset, w->size, bar, b->size);
	cds_list_for_each_entry(other, &b->windows, node)
		if (w->offset < other->offset + other->size && other->offset < w->offset + w->size)
			return vm_fail(dev->vm, -EINVAL,
				       "%s: two windows at 0x%" PRIx64 " of BAR%u", dev->name,
				       w->offset, bar);
	copy = malloc(sizeof(*copy));
	rc = copy ? vm_pieces_cut(b, w->offset, w->size) : -ENOMEM;
	if (rc) {
		free(copy);
		return vm_fail(dev->vm, rc, "out of memory");
	}
	*copy = *w;
	cds_list_add_tail(&copy->node, &b->windows);
	return 0;
}

/* ---- where they are ---- */

/* True if @b decodes with this command. */
static bool decodes(const struct vm_bar *b, uint16_t command)
{
	if (!b->size || b->dev->bars.asleep ||
	    !(command & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	return b->index != UVFIO_VM_ROM ||
	       vm_config_copy(b->dev, PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_ENABLE;
}

/*
 * Return the address that the registers have. None is 0, where it is after a reset; one at which
 * the BAR would reach to the last address, which is what sizing by ones looks like; and a port
 * beyond those that there are.
 */
static uint64_t address_of(const struct vm_bar *b)
{
	uint64_t addr = vm_config_copy(b->dev, reg_of(b->index), 4), last;

	if (b->is64)
		addr |= (uint64_t)vm_config_copy(b->dev, reg_of(b->index) + 4, 4) << 32;
	addr &= ~(b->size - 1);
	if (b->io)
		addr &= PCI_BASE_ADDRESS_IO_MASK;
	last = addr + b->size - 1;
	if (!addr || last == UINT64_MAX || (!b->is64 && last >= UINT32_MAX) ||
	    (b->io && last > UINT16_MAX))
		return UVFIO_VM_UNMAPPED;
	return addr;
}

/* Tell the monitor where @b is. */
static void tell_moved(const struct vm_bar *b)
{
	struct uvfio_vm *vm = b->dev->vm;

	if (vm->ops.bar_moved)
		vm->ops.bar_moved(vm->ctx, b->dev, b->index, b->io, b->gpa, b->size);
}

static void take_down(struct vm_bar *b)
{
	vm_pieces_down(b);
	vm_map_del(b);
	tell_moved(b);
}

static void put_up(struct vm_bar *b, uint64_t gpa)
{
	for (unsigned i = 0; i < b->num_pieces; i++)
		b->pieces[i].refused = false;
	vm_map_add(b, gpa);
	tell_moved(b);
}

/*
 * Take away all BARs that do not decode with @command, and those that are elsewhere then. Others'
 * pieces may be what they had in their way: vm_pieces_settle() follows. With vm_map.place.
 */
static void take_down_all(struct uvfio_vm_device *dev, uint16_t command)
{
	for (unsigned i = 0; i < VM_BARS; i++) {
		struct vm_bar *b = &dev->bars.bar[i];
		bool on = decodes(b, command);

		if (!on)
			atomic_store(&b->answers, false);
		if (b->gpa != UVFIO_VM_UNMAPPED && (!on || b->gpa != address_of(b)))
			take_down(b);
	}
}

void vm_bars_update_command(struct uvfio_vm_device *dev, uint16_t command)
{
	pthread_mutex_lock(&dev->vm->map.place);
	take_down_all(dev, command);
	vm_pieces_settle(dev->vm);
	pthread_mutex_unlock(&dev->vm->map.place);
}

void vm_bars_down(struct uvfio_vm_device *dev)
{
	vm_bars_update_command(dev, 0);
}

void vm_bars_update(struct uvfio_vm_device *dev)
{
	uint16_t command = (uint16_t)vm_config_copy(dev, PCI_COMMAND, 2);

	pthread_mutex_lock(&dev->vm->map.place);
	/* those that go go before others come: two may swap their places */
	take_down_all(dev, command);
	for (unsigned i = 0; i < VM_BARS; i++) {
		struct vm_bar *b = &dev->bars.bar[i];
		uint64_t gpa;

		b->dead = false;
		if (!decodes(b, command))
			continue;
		atomic_store(&b->answers, true);
		gpa = address_of(b);
		if (b->gpa == UVFIO_VM_UNMAPPED && gpa != UVFIO_VM_UNMAPPED)
			put_up(b, gpa);
	}
	vm_pieces_settle(dev->vm);
	pthread_mutex_unlock(&dev->vm->map.place);
}

void vm_bars_hold_trapped(struct uvfio_vm_device *dev, bool trapped)
{
	pthread_mutex_lock(&dev->vm->map.place);
	if (dev->bars.held_trapped != trapped) {
		dev->bars.held_trapped = trapped;
		vm_pieces_settle(dev->vm);
	}
	pthread_mutex_unlock(&dev->vm->map.place);
}

void vm_bars_settle(struct uvfio_vm *vm)
{
	pthread_mutex_lock(&vm->map.place);
	vm_pieces_settle(vm);
	pthread_mutex_unlock(&vm->map.place);
}

/* ---- for a monitor's console ---- */

static void describe_part(FILE *f, const char *kind, uint64_t from, uint64_t to)
{
	if (from < to)
		fprintf(f, " %s 0x%" PRIx64 "-0x%" PRIx64, kind, from, to - 1);
}

static void describe_pieces(const struct vm_bar *b, FILE *f)
{
	uint64_t at = 0, from = 0;

	/* side by side, as with different rights of mapping, they are one for who reads this */
	for (unsigned i = 0; i < b->num_pieces; i++) {
		const struct vm_piece *p = &b->pieces[i];
		uint64_t end = p->offset + p->size < b->size ? p->offset + p->size : b->size;

		if (!p->up)
			continue;
		if (p->offset != at) {
			describe_part(f, "direct", from, at);
			describe_part(f, "trapped", at, p->offset);
			from = p->offset;
		}
		at = end;
	}
	describe_part(f, "direct", from, at);
	describe_part(f, "trapped", at, b->size);
}

void vm_bars_describe(struct uvfio_vm_device *dev, FILE *f)
{
	pthread_mutex_lock(&dev->vm->map.place);
	for (unsigned i = 0; i < VM_BARS; i++) {
		const struct vm_bar *b = &dev->bars.bar[i];

		if (!b->size)
			continue;
		if (i == UVFIO_VM_ROM)
			fprintf(f, "; rom");
		else
			fprintf(f, "; bar%u", i);
		if (b->gpa == UVFIO_VM_UNMAPPED) {
			fprintf(f, " off");
			continue;
		}
		fprintf(f, b->io ? " port 0x%" PRIx64 : " 0x%" PRIx64, b->gpa);
		if (!b->io && i != UVFIO_VM_ROM)
			describe_pieces(b, f);
	}
	pthread_mutex_unlock(&dev->vm->map.place);
}
