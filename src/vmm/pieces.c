/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/pieces.c: pieces of BARs that the guest reaches without a trap. A piece is up while its BAR
 * is live and nothing speaks against it: memory of the guest at the same place, another BAR that
 * was there before, an INTx that waits for an access. What is not up is trapped, so that none of it
 * can be wrong, only slow; vm_pieces_settle() decides for all pieces of all devices after each
 * change.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "vmm/internal.h"
#include "vmm/kvm.h"
#include "vmm/pieces.h"

/* ---- which there are ---- */

/* Add a piece behind the others, or make the last one longer. There is room for it. */
static void append(struct vm_bar *b, uint64_t from, uint64_t to, const struct vfio_region_area *a)
{
	struct vm_piece *last = b->num_pieces ? &b->pieces[b->num_pieces - 1] : NULL;
	uint64_t fd_offset = a->fd_offset + (from - a->offset);

	if (from >= to)
		return;
	if (last && last->offset + last->size == from && last->fd == a->fd &&
	    last->fd_offset + last->size == fd_offset) {
		last->size += to - from;
		return;
	}
	b->pieces[b->num_pieces++] = (struct vm_piece){
		.offset = from,
		.size = to - from,
		.fd = a->fd,
		.fd_offset = fd_offset,
		.kvm_slot = -1,
	};
}

int vm_pieces_init(struct vm_bar *b, const struct vfio_region *r)
{
	if (!(r->flags & VFIO_REGION_INFO_FLAG_MMAP) || !(r->flags & VFIO_REGION_INFO_FLAG_READ) ||
	    !r->num_areas)
		return 0;
	b->pieces = calloc(r->num_areas, sizeof(*b->pieces));
	if (!b->pieces)
		return -ENOMEM;
	for (unsigned i = 0; i < r->num_areas; i++) {
		const struct vfio_region_area *a = &r->areas[i];

		if (a->kind != VFIO_AREA_DIRECT || !a->size ||
		    !range_within(a->offset, a->size, align_up(r->size, PAGE_SIZE_4K)))
			continue;
		/* one smaller than a page is alone in the host's page, or could not be mapped */
		if (r->size < PAGE_SIZE_4K) {
			if (!a->offset)
				append(b, 0, PAGE_SIZE_4K, a);
		} else {
			append(b, align_up(a->offset, PAGE_SIZE_4K),
			       align_down(a->offset + a->size, PAGE_SIZE_4K), a);
		}
	}
	return 0;
}

int vm_pieces_cut(struct vm_bar *b, uint64_t offset, uint64_t size)
{
	uint64_t from = align_down(offset, PAGE_SIZE_4K),
		 to = align_up(offset + size, PAGE_SIZE_4K);
	unsigned max = b->num_pieces + 1, n = 0;
	struct vm_piece *cut;

	if (!b->num_pieces || !size)
		return 0;
	cut = calloc(max, sizeof(*cut));
	if (!cut)
		return -ENOMEM;
	for (unsigned i = 0; i < b->num_pieces; i++) {
		struct vm_piece p = b->pieces[i];
		uint64_t end = p.offset + p.size;

		if (p.offset < from) {
			cut[n] = p;
			cut[n++].size = (end < from ? end : from) - p.offset;
		}
		if (end > to) {
			uint64_t at = p.offset > to ? p.offset : to;

			cut[n] = p;
			cut[n].offset = at;
			cut[n].size = end - at;
			cut[n++].fd_offset = p.fd_offset + (at - p.offset);
		}
	}
	free(b->pieces);
	b->pieces = cut;
	b->num_pieces = n;
	return 0;
}

/* ---- their mappings ---- */

/*
 * Return memory of nobody's for a piece, placed in the address space as the piece is in its BAR, by
 * up to 1 GiB, so that the host can map it by its largest pages; or MAP_FAILED.
 */
static char *reserve(const struct vm_piece *p)
{
	uint64_t align = PAGE_SIZE_4K, len;
	char *at, *host;
	long ret;

	while (align * 2 <= p->size && align < HUGE_1G)
		align *= 2;
	len = p->size + align;
	ret = sys_call(SYS_mmap, 0, (long)len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_failed(ret))
		return MAP_FAILED;
	at = (char *)ret;
	host = at + ((p->offset - (uintptr_t)at) & (align - 1));
	if (host > at)
		sys_call(SYS_munmap, (long)at, host - at, 0, 0, 0, 0);
	sys_call(SYS_munmap, (long)(host + p->size), (long)(at + len - (host + p->size)), 0, 0, 0,
		 0);
	return host;
}

/* Map a piece, or have it trapped for good. */
static void map_piece(struct vm_bar *b, struct vm_piece *p)
{
	char *host = reserve(p);
	int rc = -ENOMEM;

	p->map = (struct vfio_bar_map){
		.open = &b->dev->open,
		.index = b->index,
		.offset = p->offset,
		.size = p->size,
		.prot = PROT_READ | (b->readonly ? 0 : PROT_WRITE),
	};
	if (host != MAP_FAILED) {
		p->map.at = host;
		rc = vfio_bar_maps_map(&b->dev->vm->map.hosts, &p->map, p->fd, p->fd_offset);
		if (!rc)
			return;
	}
	p->failed = true;
	report_warn("bar-mmap", b->dev->name, rc,
		    "BAR%u 0x%" PRIx64 "+0x%" PRIx64
		    " cannot be mapped, the guest's accesses are trapped",
		    b->index, p->offset, p->size);
}

void vm_pieces_fini(struct vm_bar *b)
{
	struct uvfio_vm *vm = b->dev->vm;

	for (unsigned i = 0; i < b->num_pieces; i++) {
		struct vfio_bar_map *m = &b->pieces[i].map;

		if (!m->at)
			continue;
		vm_memory_forget(vm, m->at, m->size);
		vfio_bar_maps_unmap(&vm->map.hosts, m->open, m->at);
	}
	free(b->pieces);
	b->pieces = NULL;
	b->num_pieces = 0;
}

bool vm_device_memory(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	return vfio_bar_maps_find(&((struct uvfio_vm *)arg)->map.hosts, vaddr, size, first);
}

/* ---- up and down ---- */

static void take_down(struct vm_bar *b, struct vm_piece *p)
{
	struct uvfio_vm *vm = b->dev->vm;

	if (!p->up)
		return;
	p->up = false;
	if (p->kvm_slot >= 0)
		vm_kvm_slot_del(vm->kvm, (unsigned)p->kvm_slot);
	else if (vm->ops.bar_unmap)
		vm->ops.bar_unmap(vm->ctx, b->dev, b->index, p->gpa, p->size);
	p->kvm_slot = -1;
}

void vm_pieces_down(struct vm_bar *b)
{
	struct vm_map *map = &b->dev->vm->map;
	bool was = map->settling;

	/* a callback that changes memory has what is down already stay so: the caller settles */
	map->settling = true;
	for (unsigned i = 0; i < b->num_pieces; i++)
		take_down(b, &b->pieces[i]);
	map->settling = was;
}

/* Give the guest a piece that is mapped. 0 or -errno. */
static int give(struct vm_bar *b, struct vm_piece *p)
{
	struct uvfio_vm *vm = b->dev->vm;
	int rc;

	p->kvm_slot = -1;
	if (vm->ops.bar_map)
		return vm->ops.bar_map(vm->ctx, b->dev, b->index, p->gpa, p->size, p->map.at,
				       b->readonly);
	rc = vm_kvm_slot_add(vm->kvm, p->gpa, p->size, p->map.at, b->readonly);
	if (rc < 0)
		return rc;
	p->kvm_slot = rc;
	return 0;
}

static void put_up(struct vm_bar *b, struct vm_piece *p)
{
	int rc;

	if (!p->map.at) {
		map_piece(b, p);
		if (!p->map.at)
			return;
	}
	p->gpa = b->gpa + p->offset;
	rc = give(b, p);
	if (rc < 0) {
		p->refused = true;
		/* there may be no slots for BARs at all, as the monitor wants it */
		if (rc == -ENOSPC)
			return;
		vm_warn("bar-refused", b->dev, rc,
			"BAR%u 0x%" PRIx64 "+0x%" PRIx64 " at 0x%" PRIx64
			" cannot be the guest's, its accesses are trapped",
			b->index, p->offset, p->size, p->gpa);
		return;
	}
	p->up = true;
}

/* None of them is empty; memory of the guest may reach to the last address. */
static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

static bool is_ram(struct vm_map *map, uint64_t gpa, uint64_t size)
{
	struct vm_ram *ram;
	bool found = false;

	pthread_rwlock_rdlock(&map->lock);
	cds_list_for_each_entry(ram, &map->ram, node)
		found = found || overlap(gpa, size, ram->gpa, ram->size);
	pthread_rwlock_unlock(&map->lock);
	return found;
}

/*
 * True if something else is where a piece would be. Where two BARs are at one place the first one
 * has it. A piece longer than its BAR has the rest of a page, to which every other one has a better
 * right.
 */
static bool is_covered(const struct vm_bar *b, const struct vm_piece *p)
{
	struct vm_map *map = &b->dev->vm->map;
	uint64_t gpa = b->gpa + p->offset;
	bool longer = p->offset + p->size > b->size, first = false;
	struct vm_bar *other;

	if (is_ram(map, gpa, p->size))
		return true;
	cds_list_for_each_entry(other, &map->memory, in_map) {
		if (other == b)
			first = true;
		else if ((longer || !first) && overlap(gpa, p->size, other->gpa, other->size))
			return true;
	}
	return false;
}

static bool may_be_up(const struct vm_bar *b, const struct vm_piece *p)
{
	/* a guest address with the highest bit is one of a 64-bit BAR while it is sized */
	return !b->dev->bars.held_trapped && !b->dead && !p->failed && !p->refused &&
	       !((b->gpa + p->offset) % PAGE_SIZE_4K) && !(b->gpa >> 63) && !is_covered(b, p);
}

static void settle_once(struct uvfio_vm *vm)
{
	struct vm_bar *b;

	/* the list changes with vm_map.place held alone */
	cds_list_for_each_entry(b, &vm->map.memory, in_map)
		for (unsigned i = 0; i < b->num_pieces; i++)
			if (b->pieces[i].up && !may_be_up(b, &b->pieces[i]))
				take_down(b, &b->pieces[i]);
	if (!vm->ops.bar_map && !vm->kvm)
		return;
	cds_list_for_each_entry(b, &vm->map.memory, in_map)
		for (unsigned i = 0; i < b->num_pieces; i++)
			if (!b->pieces[i].up && may_be_up(b, &b->pieces[i]))
				put_up(b, &b->pieces[i]);
}

void vm_pieces_settle(struct uvfio_vm *vm)
{
	struct vm_map *map = &vm->map;

	map->again = true;
	/* from a callback that changed memory: the one that called it goes on with that */
	if (map->settling)
		return;
	map->settling = true;
	while (map->again) {
		map->again = false;
		settle_once(vm);
	}
	map->settling = false;
}

/* ---- memory that is away ---- */

/*
 * After one fault there are more of it: of other processors that were there at the same moment, and
 * of the same when its slot goes only now.
 */
#define PATIENCE 1024u

/* True if the device answers in memory, as far as config space tells. */
static bool is_awake(struct uvfio_vm_device *dev)
{
	unsigned pm = dev->config.caps.pm;
	uint16_t command, power;

	if (!vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, false) ||
	    command == UINT16_MAX || !(command & PCI_COMMAND_MEMORY))
		return false;
	return !pm || (vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, pm + PCI_PM_CTRL, &power, 2,
				    false) &&
		       (power & PCI_PM_CTRL_STATE_MASK) < 3);
}

static bool has_up(const struct vm_bar *b)
{
	for (unsigned i = 0; i < b->num_pieces; i++)
		if (b->pieces[i].up)
			return true;
	return false;
}

int uvfio_vm_fault(struct uvfio_vm *vm)
{
	VM_CALL();
	struct vm_map *map = &vm->map;
	bool gone = false;
	struct vm_bar *b;
	int ours;

	pthread_mutex_lock(&map->place);
	cds_list_for_each_entry(b, &map->memory, in_map) {
		if (!has_up(b) || is_awake(b->dev))
			continue;
		vm_warn("bar-away", b->dev, 0,
			"BAR%u at 0x%" PRIx64
			" is away, and the guest did not do that: it is trapped from now on",
			b->index, b->gpa);
		b->dead = true;
		vm_pieces_down(b);
		map->patience = PATIENCE;
		gone = true;
	}
	if (gone)
		vm_pieces_settle(vm);
	ours = map->patience > 0;
	map->patience -= ours;
	pthread_mutex_unlock(&map->place);
	return ours;
}
