/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/internal.h: what the files of the driver share.
 *
 * Lock order: vfio_device.lock > { v3_set.lock > the locks of address spaces,
 * igate > config_lock > memory_lock > the locks of pci/ }.
 *
 *   v3_set.lock  openers, their mappings, the domains of devices
 *   igate        which messages are on, and all eventfds
 *   config_lock  the virtual registers, and each read, change and write of the function's own
 *                config space
 *   memory_lock  for reading: a BAR access runs; for writing: the whole function changes
 */
#ifndef V3_INTERNAL_H
#define V3_INTERNAL_H
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <urcu/list.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "base/report.h"
#include "base/util.h"
#include "pci/function.h"
#include "v3/v3.h"
#include "vfio/abi.h"
#include "vfio/irqfd.h"

struct v3_cap;
/* Write @size bytes at @pos, in @cap: takes the place of v3_config_default_write(). */
typedef void v3_write_fn(struct v3_device *v, const struct v3_cap *cap, unsigned pos, unsigned size,
			 uint32_t value);

/* A register of a capability: bits that are kept in the driver, and bits that can be written. */
struct v3_field {
	uint8_t off, size;
	uint32_t virt, write;
};
/* The rights of a user in a capability. */
struct v3_rights {
	uint8_t len; /* 0: ask v3_cap_len() */
	uint8_t num_fields;
	const struct v3_field *fields;
	v3_write_fn *write;
};
/* A capability of the function, at its true place. */
struct v3_cap {
	uint8_t id;
	unsigned pos, len;
	const struct v3_rights *rights;
};

/* V3's limit: a chain that is longer ends there. */
#define V3_MAX_CAPS 47u

struct v3_config {
	bool built;		     /* since the first open */
	uint8_t copy[PCI_CFG_SIZE];  /* what is virtual */
	uint8_t virt[PCI_CFG_SIZE];  /* its bits */
	uint8_t write[PCI_CFG_SIZE]; /* bits that can be written */
	uint8_t owner[PCI_CFG_SIZE]; /* 0: nobody; else 1 + index into caps */
	struct v3_cap caps[1 + V3_MAX_CAPS];
	unsigned num_caps;
};

struct v3_device {
	struct vfio_device vdev;
	pci_function *fn;
	atomic_bool no_mmap;
	bool used; /* it was open, so that it may hold something */
	pthread_mutex_t igate;
	pthread_mutex_t config_lock;
	pthread_rwlock_t memory_lock;

	/* ---- config_lock ---- */
	struct v3_config config;
	struct {
		uint8_t state[PCI_CFG_EXP_SIZE]; /* before D3hot, where the way back resets */
		bool valid;
	} asleep;

	/* ---- interrupts: igate ---- */
	struct {
		/*
		 * An interrupt came, and COMMAND.DisINTx reads 1 until it is written 0. A sink
		 * cannot write config space: this is the bit then, and outlives the user.
		 */
		atomic_bool masked;
		struct vfio_trigger trigger;
	} intx;
	struct {
		atomic_int on; /* enum v3_messages_on; changed with config_lock held, too */
		unsigned n;    /* vectors that are on */
		/* as many as the larger of MSI and MSI-X has, by vector */
		unsigned num_triggers;
		struct vfio_trigger *triggers;
		int *old; /* as many: what they had, until nobody signals it */
	} messages;

	struct {
		pthread_mutex_t lock; /* after all others, but what v3_events.ready() takes */
		struct cds_list_head list;
	} events;

	/* ---- v3_set.lock ---- */
	struct v3_domain *domain;
	atomic_bool has_domain; /* the same, for who has no lock */
	uint64_t num_maps;
	atomic_ullong locked_pages;
};

enum v3_messages_on { V3_NONE, V3_MSI, V3_MSIX };

static inline struct v3_device *to_v3(struct vfio_device *dev)
{
	return container_of_type(dev, struct v3_device, vdev);
}

/* ---- config_tables.c ---- */
extern const struct v3_rights v3_header;
/* Return the rights in a capability: never NULL. */
const struct v3_rights *v3_rights_of(const uint8_t *cfg, uint8_t id, unsigned pos);
unsigned v3_cap_len(const uint8_t *cfg, uint8_t id, unsigned pos);

/* ---- config.c; config_lock held ---- */
void v3_config_default_write(struct v3_device *v, unsigned pos, unsigned size, uint32_t value);
/* Forget the map and the virtual registers: they are made anew when they are next used. */
void v3_config_drop(struct v3_device *v);
/* and without it */
ssize_t v3_config_rw(struct v3_device *v, uint32_t pos, void *buf, size_t count, bool write);

/* ---- config_caps.c: writes that do more; config_lock held ---- */
v3_write_fn v3_write_header, v3_write_pm, v3_write_exp, v3_write_af;
/* Return how a BAR or the ROM register, @reg, reads, whose copy is @value. */
uint32_t v3_read_bar(struct v3_device *v, unsigned reg, uint32_t value);

/* ---- bars.c ---- */
ssize_t v3_bar_rw(struct v3_device *v, unsigned bar, uint32_t pos, void *buf, size_t count,
		  bool write);
int v3_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size, uint64_t *value,
	    bool write);

/* ---- driver.c; config_lock held, memory_lock for writing ---- */
/* Change bits of the hardware's COMMAND; without memory_lock if decoding stays. */
void v3_command_change(struct v3_device *v, uint16_t clear, uint16_t set);
/* Reset it alone and put config space and interrupts back. */
void v3_reset_function(struct v3_device *v, enum uvfio_reset_kind kind);
void v3_set_power(struct v3_device *v, unsigned state);

/* ---- events.c ---- */
/* Tell all who listen: VFIO_V3_EVENT_*. Any thread, with any lock. */
void v3_event(struct v3_device *v, uint8_t event);

/* ---- irqs.c ---- */
extern const struct pci_irq_sink v3_sink; /* but for its arg */
int v3_irqs_init(struct v3_device *v);
void v3_irqs_fini(struct v3_device *v);
void v3_irqs_drop_all(struct v3_device *v);
/* Turn messages on again that a reset turned off. config_lock held. */
void v3_irqs_restore(struct v3_device *v);
/* COMMAND.DisINTx was written; the hardware's bit is as it was. config_lock held. */
void v3_intx_written(struct v3_device *v, bool disable);

/* ---- dma.c ---- */
/* All openers of a system. */
struct v3_set {
	pthread_mutex_t lock;
	struct cds_list_head openers;
};
/* Return the set of @s, which lives as long, or NULL: no memory. */
struct v3_set *v3_set_of(struct vfio_system *s);
void v3_dma_open(struct v3_opener *o);
/* The mappings of @o go. */
void v3_dma_close(struct v3_opener *o);
/* So does the domain of a device that has no openers any more. */
void v3_dma_last(struct v3_device *v);
#endif
