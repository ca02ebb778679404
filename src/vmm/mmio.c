/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/mmio.c: which BAR of which device is at an address of the guest, and accesses that come by a
 * trap. Nothing of ours is locked while the device answers.
 */
#include <errno.h>
#include <linux/vfio.h>

#include "base/util.h"
#include "vmm/internal.h"

/* ---- the map ---- */

/* For look-ups in vm_map.hosts: the device stays meanwhile. */
static bool enter(struct vfio_open *o)
{
	return vm_enter(container_of_type(o, struct uvfio_vm_device, open));
}

static void leave(struct vfio_open *o)
{
	vm_leave(container_of_type(o, struct uvfio_vm_device, open));
}

int vm_map_init(struct vm_map *map)
{
	pthread_mutexattr_t attr;
	int rc = -pthread_rwlock_init(&map->lock, NULL);

	if (rc)
		return rc;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&map->place, &attr);
	pthread_mutexattr_destroy(&attr);
	vfio_bar_maps_init(&map->hosts, enter, leave);
	CDS_INIT_LIST_HEAD(&map->memory);
	CDS_INIT_LIST_HEAD(&map->ports);
	CDS_INIT_LIST_HEAD(&map->ram);
	return 0;
}

void vm_map_fini(struct vm_map *map)
{
	pthread_mutex_destroy(&map->place);
	vfio_bar_maps_fini(&map->hosts);
	pthread_rwlock_destroy(&map->lock);
}

void vm_map_add(struct vm_bar *bar, uint64_t gpa)
{
	struct vm_map *map = &bar->dev->vm->map;

	pthread_rwlock_wrlock(&map->lock);
	bar->gpa = gpa;
	cds_list_add_tail(&bar->in_map, bar->io ? &map->ports : &map->memory);
	pthread_rwlock_unlock(&map->lock);
}

void vm_map_del(struct vm_bar *bar)
{
	struct vm_map *map = &bar->dev->vm->map;

	pthread_rwlock_wrlock(&map->lock);
	bar->gpa = UVFIO_VM_UNMAPPED;
	cds_list_del(&bar->in_map);
	pthread_rwlock_unlock(&map->lock);
}

void vm_ram_add(struct vm_map *map, struct vm_ram *ram, uint64_t gpa, uint64_t size)
{
	pthread_rwlock_wrlock(&map->lock);
	*ram = (struct vm_ram){ .map = map, .gpa = gpa, .size = size };
	cds_list_add_tail(&ram->node, &map->ram);
	pthread_rwlock_unlock(&map->lock);
}

void vm_ram_del(struct vm_ram *ram)
{
	struct vm_map *map = ram->map;

	if (!map)
		return;
	pthread_rwlock_wrlock(&map->lock);
	cds_list_del(&ram->node);
	pthread_rwlock_unlock(&map->lock);
	ram->map = NULL;
}

/*
 * Find the BAR at @addr, the one that came first if there are several, and go into its device:
 * @inside says whether that let us. NULL: there is none.
 */
static struct vm_bar *find(struct vm_map *map, struct cds_list_head *list, uint64_t addr,
			   uint64_t *offset, bool *inside)
{
	struct vm_bar *b, *found = NULL;

	pthread_rwlock_rdlock(&map->lock);
	cds_list_for_each_entry(b, list, in_map) {
		if (addr - b->gpa < b->size) {
			found = b;
			*offset = addr - b->gpa;
			*inside = vm_enter(b->dev);
			break;
		}
	}
	pthread_rwlock_unlock(&map->lock);
	return found;
}

/* ---- who answers in a BAR ---- */

enum who { BY_NOBODY, BY_DEVICE, BY_TABLE, BY_PBA, BY_WINDOW, BY_ROM };

/* The one that answers for a byte, and its part of the BAR. */
struct answerer {
	enum who who;
	uint64_t begin, end;
	const struct vm_window *window;
};

static bool within(uint64_t offset, uint64_t begin, uint64_t size)
{
	return offset - begin < size;
}

/* [@begin, @begin + @size) is @who's: have @a be that, or end before it. Nearer ones come first. */
static void consider(struct answerer *a, uint64_t offset, enum who who, uint64_t begin,
		     uint64_t size)
{
	if (within(offset, begin, size)) {
		if (a->who == BY_DEVICE || a->who == BY_NOBODY) {
			a->who = who;
			a->begin = begin;
			if (begin + size < a->end)
				a->end = begin + size;
		}
	} else if (size && begin > offset && begin < a->end) {
		a->end = begin;
	}
}

static struct answerer answerer_at(const struct vm_bar *b, uint64_t offset)
{
	const struct vm_msix_place *m = &b->dev->bars.msix;
	struct answerer a = { .who = BY_DEVICE, .end = b->size };
	struct vm_window *w;

	if (b->index == UVFIO_VM_ROM)
		return (struct answerer){ .who = BY_ROM, .end = b->size };
	if (offset >= b->region_size)
		a.who = BY_NOBODY;
	else if (b->region_size < b->size)
		a.end = b->region_size;
	cds_list_for_each_entry(w, &b->windows, node) {
		consider(&a, offset, BY_WINDOW, w->offset, w->size);
		if (a.who == BY_WINDOW && !a.window)
			a.window = w;
	}
	if (b->index == m->table_bar)
		consider(&a, offset, BY_TABLE, m->table_offset, m->table_size);
	if (b->index == m->pba_bar)
		consider(&a, offset, BY_PBA, m->pba_offset, m->pba_size);
	return a;
}

/* ---- an access ---- */

static void access_device(struct vm_bar *b, uint64_t offset, unsigned size, uint64_t *value,
			  bool write)
{
	uint64_t v = write ? *value : 0;

	if (vm_device_rw(b->dev, b->index, offset, &v, size, write)) {
		if (!write)
			*value = v;
		return;
	}
	if (!write)
		*value = vm_ones(size);
	if (!atomic_load_explicit(&b->said, memory_order_relaxed) &&
	    !atomic_exchange(&b->said, true))
		report_warn(
			"bar-access", b->dev->name, 0,
			"BAR%u: the device did not answer a %s of %u bytes at 0x%lx: reads give "
			"all ones, writes are dropped, and more of this BAR is not said",
			b->index, write ? "write" : "read", size, (unsigned long)offset);
}

static void access_window(struct vm_bar *b, const struct vm_window *w, uint64_t offset,
			  unsigned size, uint64_t *value, bool write)
{
	struct uvfio_vm_device *dev = b->dev;
	uint64_t at = offset - w->offset;

	if (write && w->write_arg)
		w->write_arg(dev, w->arg, at, size, *value);
	else if (write && w->write)
		w->write(dev, at, size, *value);
	else if (!write && w->read_arg)
		*value = w->read_arg(dev, w->arg, at, size) & vm_ones(size);
	else if (!write && w->read)
		*value = w->read(dev, at, size) & vm_ones(size);
	else
		access_device(b, offset, size, value, write);
}

/* Access the table or the pending bits, which are ours. */
static void access_msix(struct vm_bar *b, bool table, uint64_t at, unsigned size, uint64_t *value,
			bool write)
{
	struct uvfio_vm_device *dev = b->dev;

	pthread_mutex_lock(&dev->lock);
	if (table && write)
		vm_msix_table_write(dev, at, size, *value);
	else if (table)
		*value = vm_msix_table_read(dev, at, size);
	else if (!write)
		*value = vm_msix_pba_read(dev, at, size);
	pthread_mutex_unlock(&dev->lock);
}

/* Read the ROM: the first one who looks has it read, and others that look meanwhile wait. */
static uint64_t access_rom(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	uint64_t value;

	pthread_mutex_lock(&dev->lock);
	value = vm_rom_read(dev, offset, size);
	pthread_mutex_unlock(&dev->lock);
	return value;
}

/*
 * Make an access of 1, 2, 4 or 8 bytes, aligned; one that has several answerers is made in halves.
 * True: it reached the device, or who stands for it.
 */
static bool access_aligned(struct vm_bar *b, uint64_t offset, unsigned size, uint64_t *value,
			   bool write)
{
	struct answerer a = answerer_at(b, offset);
	uint64_t low, high;
	bool reached;

	if (a.who != BY_ROM && size > 1 && offset + size > a.end) {
		low = *value & vm_ones(size / 2);
		high = *value >> 4 * size;
		reached = access_aligned(b, offset, size / 2, &low, write);
		reached |= offset + size / 2 < b->size &&
			   access_aligned(b, offset + size / 2, size / 2, &high, write);
		if (!write)
			*value = low | (offset + size / 2 < b->size ? high : vm_ones(size / 2))
					       << 4 * size;
		return reached;
	}
	switch (a.who) {
	case BY_DEVICE:
		access_device(b, offset, size, value, write);
		return true;
	case BY_WINDOW:
		access_window(b, a.window, offset, size, value, write);
		return true;
	case BY_TABLE:
	case BY_PBA:
		access_msix(b, a.who == BY_TABLE, offset - a.begin, size, value, write);
		return false;
	case BY_ROM:
		if (!write)
			*value = access_rom(b->dev, offset, size);
		return false;
	default:
		if (!write)
			*value = vm_ones(size);
		return false;
	}
}

/* Return the largest aligned access at @offset that is no longer than @left, nor than @max. */
static unsigned next_size(uint64_t offset, unsigned left, unsigned max)
{
	unsigned n = max;

	while (n > left || offset % n)
		n /= 2;
	return n;
}

/* Make an access of whatever size and place; the caller is inside of the device. */
static void access_bar(struct vm_bar *b, uint64_t offset, unsigned size, uint64_t *value,
		       bool write)
{
	uint64_t result = vm_ones(size), part;
	bool reached = false;

	if (size > 8 || offset >= b->size || !atomic_load(&b->answers)) {
		if (!write)
			*value = vm_ones(size);
		return;
	}
	for (unsigned done = 0, n; done < size && offset + done < b->size; done += n) {
		n = next_size(offset + done, size - done, b->io ? 4 : 8);
		part = write ? *value >> 8 * done & vm_ones(n) : 0;
		reached |= access_aligned(b, offset + done, n, &part, write);
		result &= ~(vm_ones(n) << 8 * done) | part << 8 * done;
	}
	if (!write)
		*value = result;
	if (reached)
		vm_intx_access(b->dev);
}

/* ---- what a monitor calls ---- */

static void public_access(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset, unsigned size,
			  uint64_t *value, bool write)
{
	if (!write)
		*value = vm_ones(size);
	if (!vm_enter(dev))
		return;
	if (bar < VM_BARS)
		access_bar(&dev->bars.bar[bar], offset, size, value, write);
	vm_leave(dev);
}

uint64_t uvfio_vm_bar_read(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset,
			   unsigned size)
{
	VM_CALL();
	uint64_t value;

	public_access(dev, bar, offset, size, &value, false);
	return value;
}

void uvfio_vm_bar_write(struct uvfio_vm_device *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t value)
{
	VM_CALL();

	public_access(dev, bar, offset, size, &value, true);
}

/* Access what is at @addr of a list of the map. 0; -ENOENT: nothing. */
static int access_map(struct uvfio_vm *vm, struct cds_list_head *list, uint64_t addr, unsigned size,
		      uint64_t *value, bool write)
{
	uint64_t offset = 0;
	bool inside = false;
	struct vm_bar *b = find(&vm->map, list, addr, &offset, &inside);

	if (!b)
		return -ENOENT;
	if (!inside) {
		if (!write)
			*value = vm_ones(size);
		return 0;
	}
	access_bar(b, offset, size, value, write);
	vm_leave(b->dev);
	return 0;
}

int uvfio_vm_mmio(struct uvfio_vm *vm, uint64_t gpa, unsigned size, uint64_t *value, bool write)
{
	VM_CALL();

	return access_map(vm, &vm->map.memory, gpa, size, value, write);
}

int uvfio_vm_pio(struct uvfio_vm *vm, uint16_t port, unsigned size, uint32_t *value, bool write)
{
	VM_CALL();
	uint64_t v = write ? *value : 0;
	int rc = access_map(vm, &vm->map.ports, port, size, &v, write);

	if (!rc && !write)
		*value = (uint32_t)v;
	return rc;
}

int uvfio_vm_bar_info(struct uvfio_vm_device *dev, unsigned bar, struct uvfio_vm_bar *out)
{
	VM_CALL();
	const struct vm_bar *b;

	if (bar >= VM_BARS)
		return vm_fail(dev->vm, -EINVAL, "there is no BAR%u", bar);
	b = &dev->bars.bar[bar];
	*out = (struct uvfio_vm_bar){ .index = bar, .gpa = UVFIO_VM_UNMAPPED };
	if (!vm_enter(dev))
		return 0;
	pthread_mutex_lock(&dev->lock);
	out->size = b->size;
	out->io = b->io;
	out->is64 = b->is64;
	out->prefetch = b->prefetch;
	out->gpa = b->gpa;
	pthread_mutex_unlock(&dev->lock);
	vm_leave(dev);
	return 0;
}
