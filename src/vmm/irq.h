/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq.h: interrupts of a device: at any time one of none, INTx, MSI, MSI-X. With the device's
 * lock held, where nothing else is said.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct uvfio_vm;
struct uvfio_vm_device;

enum vm_irq_kind { VM_IRQ_NONE, VM_IRQ_INTX, VM_IRQ_MSI, VM_IRQ_MSIX };

/* A vector of MSI or MSI-X. */
struct vm_vector {
	int eventfd;	  /* -1: none so far */
	int gsi;	  /* of its route; -1: none */
	int watch;	  /* vm_watch_add()'s number, or -1 */
	bool irqfd;	  /* eventfd and gsi are connected */
	bool in_vfio;	  /* the device has the eventfd */
	uint64_t address; /* what the route has */
	uint32_t data;
};

struct vm_intx {
	bool there;			/* the device has a pin, and VFIO the index */
	unsigned pin;			/* 0: INTA */
	int eventfd, resamplefd, timer; /* descriptors, or -1 */
	int watch, timer_watch;
	int gsi;      /* where the pin ends; -1: nowhere */
	bool on;      /* SET_IRQS has the eventfd */
	bool bypass;  /* KVM has it */
	bool pending; /* of the user's mode: the line is up */
};

struct vm_irq {
	enum vm_irq_kind kind;
	struct vm_intx intx;
	struct vm_vector *vectors; /* of MSI or MSI-X that is on */
	unsigned num_vectors;
	unsigned msix_count; /* entries of the table; 0: no MSI-X */
	unsigned msi_max;    /* vectors of MSI; 0: none */
	bool msix_noresize, msi_noresize;
	uint8_t *table;	  /* the guest's MSI-X table: msix_count * 16 bytes */
	bool msix_masked; /* function mask, or not enabled */
	int err_fd, req_fd, err_watch, req_watch; /* -1: none */
	int kvm_line; /* of kvm.c: the GSI whose line it holds, + 1; 0: none */
};

/* ---- irq.c ---- */
/* Learn what the device has. Nothing is on. 0 or -errno with a sentence. */
int vm_irq_init(struct uvfio_vm_device *dev);
/* All is off. */
void vm_irq_fini(struct uvfio_vm_device *dev);
/* Have INTx on if there is a pin, and MSI, MSI-X off: as after power-on. */
int vm_irq_to_intx(struct uvfio_vm_device *dev);
/* Have all of it off; no interrupt comes when it returned. */
void vm_irq_off(struct uvfio_vm_device *dev);
/* Write how interrupts are set up, for uvfio_vm_device_state(): "INTX kvm gsi 21, pending". */
void vm_irq_describe(struct uvfio_vm_device *dev, FILE *f);
/* Hear errors (ERR) and requests (REQ) of the device, or no more. Without the lock. 0 or -errno. */
int vm_irq_listen(struct uvfio_vm_device *dev);
void vm_irq_unlisten(struct uvfio_vm_device *dev);
/* ---- intx.c ---- */
/* The guest accessed a BAR by a trap: a sign of the end of an interrupt. Without the lock. */
void vm_intx_access(struct uvfio_vm_device *dev);
/* The guest ended the interrupt (exact). */
void vm_intx_eoi(struct uvfio_vm_device *dev);
void vm_intx_route_changed(struct uvfio_vm_device *dev);
void vm_intx_pause(struct uvfio_vm_device *dev, bool paused);
/* ---- msi.c, msix.c ---- */
/*
 * The guest wrote the capability's control word or, of MSI, address, data or mask: the copy has it,
 * @old is the control word before.
 */
void vm_msi_written(struct uvfio_vm_device *dev, uint16_t old);
void vm_msix_written(struct uvfio_vm_device *dev, uint16_t old);
/* The guest accesses the table, or the pending bits: offset from their begin. */
uint64_t vm_msix_table_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
void vm_msix_table_write(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t value);
uint64_t vm_msix_pba_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
#endif
