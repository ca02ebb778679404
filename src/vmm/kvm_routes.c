/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/kvm_routes.c: KVM's routing table, and the GSIs of messages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "vmm/kvm_routes.h"

#define ENTRIES(r) ((r)->set->entries)

/* The local APICs take messages there (Intel SDM 3A, 11.11.1). */
bool vm_kvm_is_msi(uint64_t address)
{
	return (address & 0xfff00000) == 0xfee00000;
}

/* Put @e behind the monitor's entries: the first message, if there is one, goes to the end. */
static void put_own(struct vm_kvm_routes *r, const struct kvm_irq_routing_entry *e)
{
	unsigned i = r->num_own++, last = r->set->nr++;

	if (i != last) {
		ENTRIES(r)[last] = ENTRIES(r)[i];
		r->place[ENTRIES(r)[last].gsi] = (uint16_t)(last + 1);
	}
	ENTRIES(r)[i] = *e;
}

/* Take entry @i of the monitor's away. */
static void take_own(struct vm_kvm_routes *r, unsigned i)
{
	unsigned hole = --r->num_own, last = --r->set->nr;

	ENTRIES(r)[i] = ENTRIES(r)[hole];
	if (hole != last) {
		ENTRIES(r)[hole] = ENTRIES(r)[last];
		r->place[ENTRIES(r)[hole].gsi] = (uint16_t)(hole + 1);
	}
}

/* As KVM_CREATE_IRQCHIP sets them: GSI n is pin n of the IO-APIC, and of the PICs below 16. */
static void put_pins(struct vm_kvm_routes *r)
{
	struct kvm_irq_routing_entry e = { .type = KVM_IRQ_ROUTING_IRQCHIP };

	for (unsigned i = 0; i < VM_KVM_PINS; i++) {
		e.gsi = i;
		e.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e.u.irqchip.pin = i;
		put_own(r, &e);
		if (i < 16) {
			e.u.irqchip.irqchip =
				i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
			e.u.irqchip.pin = i % 8;
			put_own(r, &e);
		}
		r->own[i] = VM_KVM_INITIAL;
	}
}

/* Tell KVM, or the monitor. With the lock. */
static int commit(struct vm_kvm_routes *r)
{
	int rc;

	if (!r->dirty)
		return 0;
	if (r->table)
		rc = r->table(r->ctx, ENTRIES(r), r->set->nr);
	else
		rc = sys_ioctl(r->vm_fd, KVM_SET_GSI_ROUTING, r->set);
	if (!rc)
		r->dirty = false;
	return rc;
}

int vm_kvm_routes_init(struct vm_kvm_routes *r, const struct uvfio_vm_kvm *kvm, void *ctx,
		       unsigned max, bool pins)
{
	int rc = -ENOMEM;

	*r = (struct vm_kvm_routes){
		.vm_fd = kvm->vm_fd,
		.max = max,
		.first = kvm->gsi_base ? kvm->gsi_base : VM_KVM_PINS,
		.table = kvm->table,
		.ctx = ctx,
	};
	r->next = r->first;
	r->set = calloc(1, sizeof(*r->set) + (size_t)max * sizeof(r->set->entries[0]));
	r->place = calloc(max, sizeof(*r->place));
	r->own = calloc(max, sizeof(*r->own));
	if (!r->set || !r->place || !r->own)
		goto fail;
	if (pins && !r->table)
		put_pins(r);
	/* what KVM has is not known: a guest without an irqchip fails here */
	r->dirty = !r->table;
	rc = commit(r);
	if (rc)
		goto fail;
	pthread_mutex_init(&r->lock, NULL);
	return 0;
fail:
	free(r->set);
	free(r->place);
	free(r->own);
	return rc;
}

void vm_kvm_routes_fini(struct vm_kvm_routes *r)
{
	/* that it fails leaves routes that nothing raises */
	commit(r);
	pthread_mutex_destroy(&r->lock);
	free(r->set);
	free(r->place);
	free(r->own);
}

static bool is_free(const struct vm_kvm_routes *r, unsigned gsi)
{
	return !r->place[gsi] && !r->own[gsi];
}

/* Return a GSI that has no route, or -ENOSPC. */
static int free_gsi(struct vm_kvm_routes *r)
{
	if (r->set->nr == r->max)
		return -ENOSPC;
	for (unsigned gsi = r->next; gsi < r->max; gsi++)
		if (is_free(r, gsi))
			return (int)gsi;
	for (unsigned gsi = r->first; gsi < r->next; gsi++)
		if (is_free(r, gsi))
			return (int)gsi;
	return -ENOSPC;
}

static struct kvm_irq_routing_entry message(unsigned gsi, uint64_t address, uint32_t data)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)address,
			   .address_hi = (uint32_t)(address >> 32),
			   .data = data },
	};
}

int vm_kvm_route_add(struct vm_kvm_routes *r, uint64_t address, uint32_t data)
{
	int gsi;

	if (!vm_kvm_is_msi(address))
		return -EINVAL;
	pthread_mutex_lock(&r->lock);
	gsi = free_gsi(r);
	if (gsi >= 0) {
		ENTRIES(r)[r->set->nr++] = message((unsigned)gsi, address, data);
		r->place[gsi] = (uint16_t)r->set->nr;
		r->next = (unsigned)gsi + 1;
		r->dirty = true;
	}
	pthread_mutex_unlock(&r->lock);
	return gsi;
}

int vm_kvm_route_update(struct vm_kvm_routes *r, int gsi, uint64_t address, uint32_t data)
{
	struct kvm_irq_routing_entry e = message((unsigned)gsi, address, data);

	if (!vm_kvm_is_msi(address))
		return -EINVAL;
	pthread_mutex_lock(&r->lock);
	if (memcmp(&ENTRIES(r)[r->place[gsi] - 1], &e, sizeof(e)) != 0) {
		ENTRIES(r)[r->place[gsi] - 1] = e;
		r->dirty = true;
	}
	pthread_mutex_unlock(&r->lock);
	return 0;
}

void vm_kvm_route_del(struct vm_kvm_routes *r, int gsi)
{
	unsigned hole, last;

	pthread_mutex_lock(&r->lock);
	hole = r->place[gsi] - 1u;
	last = --r->set->nr;
	ENTRIES(r)[hole] = ENTRIES(r)[last];
	r->place[ENTRIES(r)[hole].gsi] = (uint16_t)(hole + 1);
	r->place[gsi] = 0;
	r->dirty = true;
	pthread_mutex_unlock(&r->lock);
}

int vm_kvm_route_commit(struct vm_kvm_routes *r)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = commit(r);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* True if @e takes the place of @old, an entry of a GSI whose entries were @was. */
static bool replaces(const struct kvm_irq_routing_entry *e, const struct kvm_irq_routing_entry *old,
		     enum vm_kvm_own was)
{
	if (e->gsi != old->gsi)
		return false;
	return was == VM_KVM_INITIAL || e->type != KVM_IRQ_ROUTING_IRQCHIP ||
	       old->type != KVM_IRQ_ROUTING_IRQCHIP ||
	       e->u.irqchip.irqchip == old->u.irqchip.irqchip;
}

/* Put @e into the set, and tell KVM. With the lock. */
static int set_own(struct vm_kvm_routes *r, const struct kvm_irq_routing_entry *e)
{
	for (unsigned i = r->num_own; i-- > 0;)
		if (replaces(e, &ENTRIES(r)[i], r->own[e->gsi]))
			take_own(r, i);
	if (r->set->nr == r->max)
		return -ENOSPC;
	put_own(r, e);
	r->own[e->gsi] = VM_KVM_MONITOR;
	r->dirty = true;
	return commit(r);
}

int vm_kvm_route_own(struct vm_kvm_routes *r, const struct kvm_irq_routing_entry *e)
{
	size_t size = sizeof(*r->set) + (size_t)r->max * sizeof(r->set->entries[0]);
	struct kvm_irq_routing *before;
	unsigned num_own;
	uint8_t own;
	bool dirty;
	int rc;

	if (r->table || e->gsi >= r->max)
		return -EINVAL;
	before = malloc(size);
	if (!before)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	if (r->place[e->gsi]) {
		rc = -EINVAL;
		goto out;
	}
	memcpy(before, r->set, size);
	num_own = r->num_own;
	own = r->own[e->gsi];
	dirty = r->dirty;
	rc = set_own(r, e);
	if (rc) {
		/* one that KVM refuses would make it refuse all that come */
		memcpy(r->set, before, size);
		r->num_own = num_own;
		r->own[e->gsi] = own;
		r->dirty = dirty;
		for (unsigned i = num_own; i < r->set->nr; i++)
			r->place[ENTRIES(r)[i].gsi] = (uint16_t)(i + 1);
	}
out:
	pthread_mutex_unlock(&r->lock);
	free(before);
	return rc;
}
