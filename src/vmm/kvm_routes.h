/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/kvm_routes.h: the table by which KVM knows what a GSI does, and which GSIs are free. KVM
 * takes the table as a whole, so it has one owner: this library, with the monitor's routes in it,
 * or the monitor, who is told the library's.
 */
#ifndef VMM_KVM_ROUTES_H
#define VMM_KVM_ROUTES_H
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "uvfio/vmm.h"

/* The pins of the kernel's IO-APIC; the first 16 are those of the two PICs, too. */
#define VM_KVM_PINS 24u

struct vm_kvm_routes {
	int vm_fd;
	unsigned max;	/* how many entries the table takes; a GSI is below that as well */
	unsigned first; /* of the GSIs that are given to messages */
	unsigned next;	/* where the search for a free one begins */
	int (*table)(void *ctx, const struct kvm_irq_routing_entry *e, unsigned n);
	void *ctx; /* of table, which is NULL where the table is the library's */
	/* All below; taken inside of a device's lock, and held around table() and KVM's calls. */
	pthread_mutex_t lock;
	struct kvm_irq_routing *set; /* the monitor's entries, then the library's */
	unsigned num_own;	     /* of the monitor, or of a new irqchip */
	uint16_t *place;	     /* of a GSI: where its message is in the set, + 1; 0: none */
	uint8_t *own;		     /* of a GSI: enum vm_kvm_own */
	bool dirty;		     /* KVM has another table */
};

/* The owner of a GSI's routes, of those that are not the library's. */
enum vm_kvm_own { VM_KVM_NONE, VM_KVM_INITIAL, VM_KVM_MONITOR };

/*
 * Begin with the routes of a new irqchip (@pins: it is whole in the kernel). @max is what KVM says.
 * 0, -ENOMEM, or what KVM answers to the table.
 */
int vm_kvm_routes_init(struct vm_kvm_routes *r, const struct uvfio_vm_kvm *kvm, void *ctx,
		       unsigned max, bool pins);
/* Have the table without the library's routes, which are all deleted. */
void vm_kvm_routes_fini(struct vm_kvm_routes *r);
/* True if a message to @address is an interrupt: its address is of the APICs'. */
bool vm_kvm_is_msi(uint64_t address);
/* As uvfio_vm_irq_ops has them. */
int vm_kvm_route_add(struct vm_kvm_routes *r, uint64_t address, uint32_t data);
int vm_kvm_route_update(struct vm_kvm_routes *r, int gsi, uint64_t address, uint32_t data);
void vm_kvm_route_del(struct vm_kvm_routes *r, int gsi);
int vm_kvm_route_commit(struct vm_kvm_routes *r);
/* A route of the monitor's; effective when it returns. 0, -EINVAL, -ENOMEM, -ENOSPC, or KVM's. */
int vm_kvm_route_own(struct vm_kvm_routes *r, const struct kvm_irq_routing_entry *e);
#endif
