/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/internal.h: what the files of the vfio-pci driver share.
 *
 * The bits that a user may see and change are not the bits of the hardware: config.c keeps a
 * virtual copy of config space and, for each of its bits, whether it lives in the copy (virt) and
 * whether it can be written (write). Interrupts go from the function's sink to eventfds without a
 * lock; everything that sets them up is under igate.
 *
 * Lock order: vfio_device.lock > igate > config_lock > memory_lock > masks.lock > the locks of
 * pci/.
 *
 *   igate        which interrupt type is active, its eventfds, the unmask eventfd
 *   config_lock  vconfig, and each read, change and write of the function's own config space.
 *                irq_type is changed under igate and config_lock, and may be read under either.
 *   memory_lock  for reading: a BAR access runs; for writing: memory decode, the D-state or the
 *                whole function changes
 *
 * None of the three is held while a callback of base/loop.h is waited for, unless that callback
 * does not take it.
 */
#ifndef VFIO_PCI_INTERNAL_H
#define VFIO_PCI_INTERNAL_H
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/list.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "base/report.h"
#include "base/util.h"
#include "pci/function.h"
#include "vfio/group.h"
#include "vfio/irqfd.h"
#include "vfio/kernel.h"
#include "vfio/migrate.h"
#include "vfio_pci/vfio_pci.h"

/* no interrupt type active */
#define VFIO_PCI_IRQ_NONE VFIO_PCI_NUM_IRQS

struct vfio_pci_device;
struct vfio_pci_cap;

/*
 * Write @size bytes at config offset @pos, inside @cap: takes the place of
 * vfio_pci_config_default_write().
 */
typedef void (*vfio_pci_write_fn)(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap,
				  unsigned pos, unsigned size, uint32_t value);

/* One register of a capability: which bits are virtual, which can be written. */
struct vfio_pci_field {
	uint8_t off, size;
	uint32_t virt, write;
};

/* The rights of a user in a capability. */
struct vfio_pci_perm {
	/* VFIO_PCI_LEN_VAR: ask vfio_pci_std_cap_len() or its like; 0: the capability is hidden */
	uint8_t len;
	bool raw_write; /* writes go to the hardware as they are */
	uint8_t num_fields;
	const struct vfio_pci_field *fields;
	vfio_pci_write_fn write;
};
#define VFIO_PCI_LEN_VAR 0xff

/* A capability of the function as found at open. */
struct vfio_pci_cap {
	unsigned id, pos, len;
	const struct vfio_pci_perm *perm;
};

/*
 * the header, at most 48 standard capabilities and 960 extended ones: each has a dword of its own
 */
#define VFIO_PCI_MAX_CAPS \
	(1 + (PCI_CFG_SIZE - PCI_STD_HEADER_SIZEOF) / 4 + (PCI_CFG_EXP_SIZE - PCI_CFG_SIZE) / 4)

struct vfio_pci_config {
	unsigned size; /* 256 or 4096 */
	bool bars_dirty;
	uint8_t vconfig[PCI_CFG_EXP_SIZE];
	uint8_t virt[PCI_CFG_EXP_SIZE];
	uint8_t write[PCI_CFG_EXP_SIZE];
	uint16_t cap_of[PCI_CFG_EXP_SIZE]; /* 0: no capability; else 1 + index into caps */
	struct vfio_pci_cap caps[VFIO_PCI_MAX_CAPS];
	unsigned num_caps;
	uint32_t real_bar[7]; /* the hardware's BARs and ROM at open */
};

/* vfio_pci_intx.state */
#define INTX_ACTIVE 1u /* INTx is the active interrupt type */
#define INTX_MASKED 2u /* no signal until it is unmasked */
/* the user's COMMAND.DisINTx: holds the mask; kept while INTx is not active */
#define INTX_DISABLED 4u
/* the mask was asked for, and COMMAND.DisINTx of the hardware follows it */
#define INTX_HW 8u
/* INTx was masked in the state that was loaded, and is not active here yet */
#define INTX_CARRIED 16u

struct vfio_pci_intx {
	/*
	 * One word, so that "signal and mask" is one step for any number of threads: the thread
	 * that sets INTX_MASKED signals.
	 */
	atomic_uint state;
	struct vfio_trigger trigger;
	struct vfio_virqfd *unmask;
};

/* vfio_pci_device.masks.why: the masks of a vector, and whether the user has written its entry */
#define VFIO_PCI_NO_EVENTFD    1u
#define VFIO_PCI_ACTION_MASKED 2u /* ACTION_MASK */
#define VFIO_PCI_ENTRY_MASKED  4u /* by the table of MSI-X */
#define VFIO_PCI_ENTRY_WRITTEN 8u

struct vfio_pci_ioeventfd {
	struct cds_list_head node;
	struct vfio_pci_device *vd;
	struct vfio_virqfd *virqfd;
	uint64_t pos, data;
	unsigned bar, size;
};
#define VFIO_PCI_IOEVENTFD_MAX 1000 /* as the kernel's vfio-pci */

/* The VF token of a PF (sriov.c). */
struct vfio_pci_token {
	pthread_mutex_t lock; /* a leaf */
	uint8_t uuid[16];
	unsigned users;		    /* open VFs */
	void (*changed)(void *arg); /* see vfio_pci_on_token() */
	void *arg;
};

/* What is noted for vfio_pci/judge.c. */
struct vfio_pci_judge {
	atomic_uchar *vectors; /* bits; as many as triggers */
	uint16_t *set_by;      /* the first vector of the SET_IRQS that set it; igate */
	uint16_t enabled_by;   /* that of the one that enabled messages; igate */
	atomic_uint limit;     /* vectors from here on no SET_IRQS was for */
	atomic_uint settled;   /* the type that is enabled, with all of its eventfds */
	atomic_int tried;      /* the thread that enabled messages in config space, or 0 */
	atomic_bool went_on;   /* and used the device then */
	atomic_bool mastered;  /* the user has turned bus mastering on */
	atomic_bool told;      /* of an interrupt that is lost */
	/* of INTx, since it was enabled */
	atomic_bool intx_had; /* it has an eventfd */
	atomic_bool masked;   /* the user has masked or unmasked it */
	atomic_uint rises;    /* of the line, while it was masked */
	atomic_uint again;    /* unmasks with the line up, and nothing else in between */
};
/* So many are a mistake; the kernel's limit for interrupts that nobody handles. */
#define JUDGE_STUCK 100000u
/* A vector that was signalled a multiple of so many times is looked at. */
#define JUDGE_STORM (1u << 16)

struct vfio_pci_device {
	struct vfio_device vdev;
	pci_function *fn;
	struct loop *loop;

	pthread_mutex_t igate;
	pthread_mutex_t config_lock;
	pthread_rwlock_t memory_lock;

	bool virtfn;		      /* a VF: memory decode is not its own, and it has no pin */
	struct vfio_pci_device *pf;   /* of a VF, if it has this driver */
	struct vfio_pci_token *token; /* of a PF */

	/* ---- what the function has, found out at open (mmap: at bind) ---- */
	bool opened;
	bool pci_2_3;	   /* DisINTx works: the line can be masked at the function */
	uint32_t rom_size; /* bytes of images in the ROM BAR; 0: no valid image */
	struct {
		unsigned pm, msi, exp, af, vpd; /* positions; 0: it has none */
	} cap;
	struct {
		bool there;
		struct pci_msix_info info;
	} msix;
	bool reset_works; /* by the methods that it had then */
	struct {
		atomic_uint how; /* enum vfio_pci_mmap */
		/* of each BAR; none: all of it can be mapped, and is trapped */
		struct vfio_region_area areas[PCI_BARS][2 * PCI_PAGES_MAX + 1];
		unsigned num_areas[PCI_BARS];
		bool excluded[PCI_BARS]; /* all of it, by the model's choice */
	} mmap;

	/* ---- config space: config_lock ---- */
	struct vfio_pci_config config;
	struct {
		uint8_t open[PCI_CFG_EXP_SIZE]; /* after the reset at open */
		uint8_t pm[PCI_CFG_EXP_SIZE];	/* before D3hot, for functions that lose it */
		bool pm_valid;
	} saved;

	/* ---- interrupts: igate ---- */
	unsigned irq_type; /* VFIO_PCI_*_IRQ_INDEX or VFIO_PCI_IRQ_NONE */
	struct vfio_pci_intx intx;
	struct {
		/* of the function: the larger of MSI's and MSI-X's vectors */
		unsigned num_triggers;
		struct vfio_trigger *triggers; /* by vector, of whichever type is active */
		int *old_fds; /* as many: what was replaced and is not yet released */
		unsigned num_old;
		unsigned vectors; /* that SET_IRQS enabled */
		unsigned log2;	  /* these as a power of two */
	} msi;
	struct {
		bool users; /* vdev.maskable, as it was at open */
		/* guards why, and with it the masks of the function's table */
		pthread_mutex_t lock;
		uint8_t *why; /* of each vector: VFIO_PCI_NO_EVENTFD and so on; num_triggers */
	} masks;	      /* masks.c; nothing but users is used if that is false */
	struct {
		bool engaged;	/* by the user's entry */
		bool suspended; /* asleep, as nobody uses the function now */
		bool intx_held; /* INTx was masked for that */
		struct vfio_trigger wake;
		struct loop_timer *pme; /* fires for a PME; NULL: the function has none in D3hot */
	} low;				/* low_power.c */
	struct vfio_pci_judge judge;
	struct pci_steps steps; /* outlast.c */
	struct vfio_trigger err;
	struct vfio_trigger req; /* the host wants the device back */

	struct {
		pthread_mutex_t lock; /* guards the list; a leaf but for base/loop.h */
		struct cds_list_head list;
		unsigned n;
	} ioeventfds;
};

static inline struct vfio_pci_device *to_vfio_pci(struct vfio_device *dev)
{
	return container_of_type(dev, struct vfio_pci_device, vdev);
}

/* vfio_pci.c. Call these with config_lock held, and memory_lock for writing. */
/* Reset the function alone: 0; -ENOTTY: by no method, or it does not answer. */
int vfio_pci_reset_function(struct vfio_pci_device *vd);
void vfio_pci_set_power(struct vfio_pci_device *vd, unsigned state);

/* low_power.c */
int vfio_pci_low_power(struct vfio_device *dev, bool enter, int wake);
void vfio_pci_use(struct vfio_device *dev, bool begins);
int vfio_pci_low_power_init(struct vfio_pci_device *vd); /* 0 or -ENOMEM */
void vfio_pci_low_power_fini(struct vfio_pci_device *vd);
void vfio_pci_pme(void *arg); /* the sink's */
/* Be awake, and no longer in low power. config_lock held, and memory_lock for writing. */
void vfio_pci_low_power_end(struct vfio_pci_device *vd);

/* config.c */
void vfio_pci_config_init(struct vfio_pci_device *vd);
ssize_t vfio_pci_config_rw(struct vfio_pci_device *vd, uint64_t pos, void *buf, size_t count,
			   bool write);
void vfio_pci_config_default_write(struct vfio_pci_device *vd, unsigned pos, unsigned size,
				   uint32_t value);

/* config_tables.c */
const struct vfio_pci_perm *vfio_pci_header_perm(void);
const struct vfio_pci_perm *vfio_pci_std_perm(uint8_t id);  /* NULL: hidden */
const struct vfio_pci_perm *vfio_pci_ext_perm(uint16_t id); /* NULL: hidden */
/* for an MSI capability with these flags: 64-bit address, mask bits */
const struct vfio_pci_perm *vfio_pci_msi_perm(uint16_t flags);
unsigned vfio_pci_std_cap_len(pci_function *fn, uint8_t id, unsigned pos); /* 0: hide it */
unsigned vfio_pci_ext_cap_len(pci_function *fn, uint16_t id, unsigned pos);

/* config_caps.c */
/* Reset it as the PCI core does by itself: as vfio_pci_reset_function(). config_lock held. */
int vfio_pci_core_reset(struct vfio_pci_device *vd);
void vfio_pci_write_header(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			   unsigned size, uint32_t value);
void vfio_pci_write_pm(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
		       unsigned size, uint32_t value);
void vfio_pci_write_vpd(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value);
void vfio_pci_write_msi(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value);
void vfio_pci_write_exp(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			unsigned size, uint32_t value);
void vfio_pci_write_af(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
		       unsigned size, uint32_t value);
void vfio_pci_fix_bars(struct vfio_pci_device *vd);

/* rdwr.c */
uint32_t vfio_pci_rom_size(struct vfio_pci_device *vd);
int vfio_pci_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		  uint64_t *value, bool write);
ssize_t vfio_pci_bar_rw(struct vfio_pci_device *vd, unsigned bar, uint64_t pos, void *buf,
			size_t count, bool write);
/* True if [pos, pos + count) of @bar touches the MSI-X table. */
bool vfio_pci_touches_msix(const struct vfio_pci_device *vd, unsigned bar, uint64_t pos,
			   uint64_t count);

/* mmap.c */
void vfio_pci_mmap_init(struct vfio_pci_device *vd);
/* True if @bar can be mapped; adds to @out what GET_REGION_INFO says of that. */
bool vfio_pci_mappable(struct vfio_pci_device *vd, unsigned bar, struct vfio_region *out);
bool vfio_pci_area_open(struct vfio_device *dev, enum vfio_area_kind kind);
int vfio_pci_check_dmabuf(struct vfio_device *dev, uint32_t index);
bool vfio_pci_memory_answers(struct vfio_device *dev);
struct iommu_target *vfio_pci_target(struct vfio_device *dev);
extern const struct pci_pages_sink vfio_pci_pages_sink; /* but for its arg */

/* sriov.c */
int vfio_pci_sriov_init(struct vfio_pci_device *vd); /* -ENOMEM, -EIO */
void vfio_pci_sriov_fini(struct vfio_pci_device *vd);
int vfio_pci_check_token(struct vfio_device *dev, const uint8_t *uuid);
void vfio_pci_vf_users(struct vfio_pci_device *vd, int by); /* a VF is opened (1) or closed (-1) */
int vfio_pci_set_vf_token(struct vfio_device *dev, const uint8_t uuid[16]);

/* ioeventfd.c */
int vfio_pci_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
		       int fd);
void vfio_pci_ioeventfd_drop_all(struct vfio_pci_device *vd);

/* irqs.c */
extern const struct pci_irq_sink vfio_pci_sink; /* but for its arg */
int vfio_pci_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out);
int vfio_pci_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a);
void vfio_pci_request(struct vfio_device *dev, unsigned count);
void vfio_pci_irqs_drop_all(struct vfio_pci_device *vd); /* igate held */
/* Put back the interrupt set-up that the function lost in a reset. config_lock held. */
void vfio_pci_irqs_restore(struct vfio_pci_device *vd);

/* judge.c */
int vfio_pci_judge_init(struct vfio_pci_device *vd); /* 0 or -ENOMEM */
void vfio_pci_judge_fini(struct vfio_pci_device *vd);
/* Messages are enabled by a SET_IRQS of vectors from @start on. igate held. */
void vfio_pci_judge_enable(struct vfio_pci_device *vd, unsigned start);
/* @vector has an eventfd now. */
void vfio_pci_judge_vector(struct vfio_pci_device *vd, unsigned vector);
/* A SET_IRQS of eventfds is done: of messages, and of INTx. igate held. */
void vfio_pci_judge_set(struct vfio_pci_device *vd, unsigned start, unsigned count);
void vfio_pci_judge_intx(struct vfio_pci_device *vd, bool eventfd);
/* A message was sent: the @n-th since it has its eventfd, 0: it has none. */
void vfio_pci_judge_message(struct vfio_pci_device *vd, unsigned vector, uint64_t n);
void vfio_pci_judge_nobody(void *vd); /* the sink's */
/* The line rose when intx.state was @old. */
void vfio_pci_judge_rise(struct vfio_pci_device *vd, unsigned old);
/* The user accessed a BAR. */
void vfio_pci_judge_access(struct vfio_pci_device *vd, bool write);
void vfio_pci_judge_mask(struct vfio_pci_device *vd);
/* INTx was unmasked; @again: the line was still up. */
void vfio_pci_judge_unmask(struct vfio_pci_device *vd, bool again);
/* The user wrote to config space. config_lock held. */
void vfio_pci_judge_config(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value);
/* What is enabled will not be any more. igate held. */
void vfio_pci_judge_end(struct vfio_pci_device *vd);
/* The device is closed: what is enabled should not be. igate held. */
void vfio_pci_judge_left(struct vfio_pci_device *vd);
/* The process ends. */
void vfio_pci_look_back(struct vfio_device *dev);

/* lost.c */
/* The user wrote @value, where @before was and @after is. config_lock held. */
void vfio_pci_lost_config(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value,
			  uint32_t before, uint32_t after);
/* The user wrote into the table of MSI-X, at @pos of @bar. */
void vfio_pci_lost_table(struct vfio_pci_device *vd, unsigned bar, uint64_t pos);

/* intx.c */
int vfio_pci_intx_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a);
void vfio_pci_intx_line(void *arg, bool level);
void vfio_pci_intx_disable(struct vfio_pci_device *vd); /* igate held */
/* Bring DisINTx of the hardware to what it should be. config_lock held. */
void vfio_pci_intx_follow(struct vfio_pci_device *vd);
/*
 * Mask INTx for a time, unless it is masked, or not in use: true, it was masked, and is to be let
 * go. config_lock held.
 */
bool vfio_pci_intx_hold(struct vfio_pci_device *vd);
void vfio_pci_intx_let_go(struct vfio_pci_device *vd);
/*
 * Migration: return the masks that move, a byte of INTX_ bits; and take over what @saved says, with
 * INTx active here or not. igate and config_lock held, and the function is halted.
 */
unsigned vfio_pci_intx_saved(struct vfio_pci_device *vd);
void vfio_pci_intx_load(struct vfio_pci_device *vd, unsigned saved);
/* The user wrote COMMAND.DisINTx. config_lock held. */
void vfio_pci_intx_user_disable(struct vfio_pci_device *vd, bool on);

/* masks.c */
int vfio_pci_masks_init(struct vfio_pci_device *vd); /* 0 or -ENOMEM */
void vfio_pci_masks_fini(struct vfio_pci_device *vd);
void vfio_pci_masks_open(struct vfio_pci_device *vd);
/* Give the user the bits in config space that are masks. config_lock held. */
void vfio_pci_masks_config(struct vfio_pci_device *vd);
/* True if the user masks vectors of @index, which is MSI or MSI-X. */
bool vfio_pci_maskable(struct vfio_pci_device *vd, unsigned index);
/* Bring the function's masks of @index to what they should be. config_lock held. */
void vfio_pci_masks_apply(struct vfio_pci_device *vd, unsigned index);
/* Return what MSI's mask register of the function should be. config_lock held. */
uint32_t vfio_pci_masks_of_msi(struct vfio_pci_device *vd);
/* Vector @vector of what is active has an eventfd now, or will have none. config_lock held. */
void vfio_pci_masks_eventfd(struct vfio_pci_device *vd, unsigned vector, bool there);
void vfio_pci_masks_end_actions(struct vfio_pci_device *vd);
/* The function was reset; before vfio_pci_msi_restore(). config_lock held. */
void vfio_pci_masks_reset(struct vfio_pci_device *vd);
/*
 * Get what moves of the masks of @n vectors, each in the upper bits of a byte whose lowest is 0, of
 * which ACTION_MASK only if @index is active; and take it over, for vfio_pci_masks_apply(). igate
 * and config_lock held.
 */
void vfio_pci_masks_saved(struct vfio_pci_device *vd, unsigned index, unsigned start, unsigned n,
			  uint8_t *out);
void vfio_pci_masks_load(struct vfio_pci_device *vd, unsigned vector, uint8_t saved);
/* SET_IRQS with ACTION_MASK or ACTION_UNMASK, which vfio_pci_maskable() lets. igate held. */
int vfio_pci_masks_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a);
/* The user's accesses of the MSI-X table: as pci_bar_read(), _write(). memory_lock held. */
int vfio_pci_masks_read(struct vfio_pci_device *vd, uint64_t pos, unsigned size, uint64_t *value);
int vfio_pci_masks_write(struct vfio_pci_device *vd, uint64_t pos, unsigned size, uint64_t value);
void vfio_pci_write_msix(struct vfio_pci_device *vd, const struct vfio_pci_cap *cap, unsigned pos,
			 unsigned size, uint32_t value);

/* outlast.c: some of struct vfio_migrate_ops */
int vfio_pci_save_in(struct vfio_device *dev, enum vfio_part part, void **buf, size_t *room,
		     size_t *len);
enum vfio_outlast vfio_pci_outlast(struct vfio_device *dev);
size_t vfio_pci_memory_size(struct vfio_device *dev);
int vfio_pci_memory(struct vfio_device *dev, int fd, uint64_t offset, enum vfio_memory_how how);
void vfio_pci_steps(struct vfio_device *dev, const struct vfio_steps *steps);
void vfio_pci_access(struct vfio_device *dev, uint16_t number);
int vfio_pci_loaded(struct vfio_device *dev);
#define VFIO_PCI_OUTLAST_OPS                                                                     \
	.save_in = vfio_pci_save_in, .outlast = vfio_pci_outlast,                                \
	.memory_size = vfio_pci_memory_size, .memory = vfio_pci_memory, .steps = vfio_pci_steps, \
	.access = vfio_pci_access, .loaded = vfio_pci_loaded

/* msi.c */
int vfio_pci_msi_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a);
void vfio_pci_msi_message(void *arg, unsigned vector);
/* Return the register with MSI's mask bits, 0 if the function has none. */
unsigned vfio_pci_msi_mask_reg(struct vfio_pci_device *vd);
void vfio_pci_msi_disable_all(struct vfio_pci_device *vd); /* igate held */
void vfio_pci_msi_restore(struct vfio_pci_device *vd);	   /* config_lock held */
/* True if vectors of MSI-X can come one by one: of later kernels', or of a server's device. */
bool vfio_pci_msix_grows(const struct vfio_pci_device *vd);
#endif
