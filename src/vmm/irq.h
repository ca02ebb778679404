/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/irq.h: interrupts of a device: at any time one of none, INTx, MSI, MSI-X. With the device's
 * lock held, where nothing else is said.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct uvfio_vm;
struct uvfio_vm_device;

enum vm_irq_kind { VM_IRQ_NONE, VM_IRQ_INTX, VM_IRQ_MSI, VM_IRQ_MSIX };

/* A vector of MSI or MSI-X that is on. */
struct vm_vector {
	int eventfd;	  /* -1: none so far */
	int gsi;	  /* of its route; -1: it has none, its messages go through msi() */
	int watch;	  /* vm_watch_add()'s number, or -1; on while connected without irqfd */
	bool connected;	  /* events become interrupts; else they wait in the eventfd */
	bool irqfd;	  /* by an irqfd */
	bool changed;	  /* its route, since the last commit */
	bool in_vfio;	  /* the device has the eventfd */
	bool masked;	  /* in_vfio, and masked in the device: vm_irq.msix_maskable */
	uint64_t address; /* the message */
	uint32_t data;
};

struct vm_intx {
	bool there;			/* the device has a pin, and VFIO the index */
	unsigned pin;			/* 0: INTA */
	int eventfd, resamplefd, timer; /* descriptors, or -1 */
	int watch, timer_watch;
	int gsi;     /* where the pin ends; -1: nowhere, or the monitor does not tell */
	bool bypass; /* an irqfd has the eventfd: nothing below is used */
	/* VFIO has masked INTx, and the guest has not ended the interrupt */
	bool pending;
	bool line;	   /* the guest's line is up */
	atomic_bool guess; /* pending, and an access of a BAR ends it; set with the lock held */
	bool held;	   /* no piece of a BAR is direct, until the timer is over */
	bool armed;	   /* the timer runs, or stands */
	bool stands;	   /* the guest does not run */
	uint64_t left;	   /* ns of a timer that stands */
};

struct vm_irq {
	enum vm_irq_kind kind;
	struct vm_intx intx;
	struct vm_vector *vectors; /* of MSI or MSI-X that is on */
	int32_t *fds;		   /* room for as many, for SET_IRQS */
	unsigned num_vectors;
	bool changed;	     /* routes, since the last commit */
	unsigned msix_count; /* entries of the table; 0: no MSI-X */
	unsigned msix_max;   /* of these VFIO has so many */
	unsigned msi_max;    /* vectors of MSI; 0: none */
	bool msix_noresize;
	bool msix_maskable;  /* the device masks vectors of MSI-X when it is told to: a server's */
	unsigned in_vfio;    /* of MSI-X that is on: how many SET_IRQS switched on */
	uint8_t *table;	     /* the guest's MSI-X table: msix_count * 16 bytes */
	unsigned pba_bar;    /* where the device has its pending bits */
	uint64_t pba_offset; /* in that BAR */
	int err_fd, req_fd;  /* -1: none */
	int err_watch, req_watch;
	bool requested; /* the monitor was told that the owner wants the device */
	int kvm_line;	/* of kvm.c: the GSI whose line it holds, + 1; 0: none */
};

/* ---- irq.c ---- */
/* Learn what the device has. Nothing is on. 0 or -errno with a sentence. */
int vm_irq_init(struct uvfio_vm_device *dev);
/* All is off. */
void vm_irq_fini(struct uvfio_vm_device *dev);
/*
 * Have INTx on if there is a pin, MSI and MSI-X off, and the MSI-X table masked: as after power-on.
 * 0 or -errno with a sentence: nothing is on then.
 */
int vm_irq_to_intx(struct uvfio_vm_device *dev);
/* Have all of it off; no interrupt comes when it returned. */
void vm_irq_off(struct uvfio_vm_device *dev);
/* Write how interrupts are set up, for uvfio_vm_device_state(): "INTX kvm gsi 21, pending". */
void vm_irq_describe(struct uvfio_vm_device *dev, FILE *f);
/*
 * Hear errors (ERR) and requests (REQ) of the device, or no more. Without the lock. 0 or -errno
 * with a sentence. The monitor may be called from then on, and take the device away: it is the last
 * step of an assignment.
 */
int vm_irq_listen(struct uvfio_vm_device *dev);
void vm_irq_unlisten(struct uvfio_vm_device *dev);
/*
 * SET_IRQS of @count vectors from @start on; @flags are VFIO_IRQ_SET_*, @data descriptors of
 * DATA_EVENTFD, bytes of DATA_BOOL.
 */
int vm_set_irqs(struct uvfio_vm_device *dev, unsigned index, uint32_t flags, unsigned start,
		unsigned count, const void *data);
/* Make a new eventfd that does not block, beyond RLIMIT_NOFILE where it must be: it, or -errno. */
int vm_eventfd(void);
/* MSI or MSI-X went off, or could not be had: have INTx, if there is a pin. */
void vm_irq_fall_back(struct uvfio_vm_device *dev);
/* ---- intx.c ---- */
/* Have INTx on; there is a pin, and no other kind is on. 0 or -errno: it is off. */
int vm_intx_on(struct uvfio_vm_device *dev);
void vm_intx_off(struct uvfio_vm_device *dev);
/* The guest accessed a BAR by a trap: a sign of the end of an interrupt. Without the lock. */
void vm_intx_access(struct uvfio_vm_device *dev);
/* The guest ended the interrupt (exact). */
void vm_intx_eoi(struct uvfio_vm_device *dev);
/* The guest wrote COMMAND, which the device and the copy have: DisINTx lowers the line. */
void vm_intx_command(struct uvfio_vm_device *dev);
void vm_intx_route_changed(struct uvfio_vm_device *dev);
void vm_intx_pause(struct uvfio_vm_device *dev, bool paused);
/* ---- vector.c ---- */
/* Make @n vectors, none of which has anything. 0 or -ENOMEM. */
int vm_vectors_new(struct uvfio_vm_device *dev, unsigned n);
/* Give all of it back; VFIO has none of their eventfds any more. No interrupt comes after it. */
void vm_vectors_free(struct uvfio_vm_device *dev);
/*
 * Have an eventfd for vector @i and, where interrupts bypass the monitor, a route for its message,
 * which the next commit makes effective. 0 or -errno: it cannot be connected.
 */
int vm_vector_prepare(struct uvfio_vm_device *dev, unsigned i, uint64_t address, uint32_t data);
/* Make all routes effective that changed. */
void vm_vectors_commit(struct uvfio_vm_device *dev);
/* Have events of a vector that is prepared become interrupts, or wait in its eventfd. */
void vm_vector_connect(struct uvfio_vm_device *dev, unsigned i);
void vm_vector_disconnect(struct uvfio_vm_device *dev, unsigned i);
/* Give back all that vector @i has; VFIO does not have its eventfd. */
void vm_vector_drop(struct uvfio_vm_device *dev, unsigned i);
/* True if vector @i is prepared. */
bool vm_vector_usable(const struct uvfio_vm_device *dev, unsigned i);
/* Return which of the @n (64 at most) vectors from @first on have an event that waits. */
uint64_t vm_vectors_waiting(const struct uvfio_vm_device *dev, unsigned first, unsigned n);
/* ---- msi.c, msix.c ---- */
/*
 * The guest wrote the capability's control word or, of MSI, address, data or mask: the copy has it,
 * @old is the control word before.
 */
void vm_msi_written(struct uvfio_vm_device *dev, uint16_t old);
void vm_msix_written(struct uvfio_vm_device *dev, uint16_t old);
/* It is on: have it off, and nothing else on. */
void vm_msi_off(struct uvfio_vm_device *dev);
void vm_msix_off(struct uvfio_vm_device *dev);
/* Return pending bits of MSI that the device does not know of: messages of masked vectors. */
uint32_t vm_msi_pending(const struct uvfio_vm_device *dev);
/* Have the table as after a reset: all is masked. MSI-X is off. */
void vm_msix_table_reset(struct uvfio_vm_device *dev);
/* The guest accesses the table, or the pending bits: offset from their begin. */
uint64_t vm_msix_table_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
void vm_msix_table_write(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t value);
uint64_t vm_msix_pba_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size);
#endif
