/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/internal.h: the inside of a function, for the files of pci/ alone.
 *
 * Config space is four arrays of 4 KiB: the bytes, and for each bit whether software may write it
 * (wmask), clears it by writing one (w1c), and whether it survives a reset below power-on (sticky);
 * init holds the values of power-on. A bit in none of the masks is read-only. What a write does
 * beyond changing bits is in config.c (the `effects` of one write).
 *
 * After each write the few things that the hot paths need of config space are derived into atomics
 * (irq.gate, decode, intx.state, iommu.blocked), so that an interrupt, a BAR access or a DMA looks
 * at no config byte and takes no lock.
 */
#ifndef PCI_INTERNAL_H
#define PCI_INTERNAL_H

#include <linux/pci_regs.h>
#include <string.h>
#include <urcu/list.h>

#include "base/bytes.h"
#include "base/rcu.h"
#include "base/report.h"
#include "base/util.h"
#include "pci/function.h"

#define PCI_MSI_MAX  32u
#define PCI_MSIX_MAX 2048u

#define PCI_STATUS_RW1C 0xf900u /* PCI 3.0, 6.2.3: the error bits and Master Data Parity Error */

/* An MSI or MSI-X vector: one word, so that "masked? then pending" is one atomic step. */
#define VEC_MASKED	1u /* by the entry's own mask bit */
#define VEC_FUNC_MASKED 2u /* by MSI-X Function Mask */
#define VEC_PENDING	4u
#define VEC_STOPPED	8u /* the function is stopped for a migration: as a mask */
#define VEC_HELD	(VEC_MASKED | VEC_FUNC_MASKED | VEC_STOPPED)

/* The messages that the function may send now: enabled, bus master, D0. */
enum pci_gate { GATE_OFF, GATE_MSI, GATE_MSIX };

#define DECODE_MEM 1u
#define DECODE_IO  2u

/* uvfio_dev.intx.state */
#define INTX_LEVEL   1u /* the level that the model wants */
#define INTX_INHIBIT 2u /* DisINTx, MSI, MSI-X, D3 or a migration keep the pin quiet */
#define INTX_ROSE    4u /* the level went up since the sink was told */

/* Effects of a write to config space that are left to do once the lock is dropped */
#define EFFECT_SYNC    1u /* something was taken away: wait for the threads that saw it */
#define EFFECT_FLUSH   2u /* pending messages may be free to go */
#define EFFECT_FLR     4u
#define EFFECT_TO_D3   8u
#define EFFECT_TO_D0   16u
#define EFFECT_CHANGED 32u /* some byte differs: call config_written */
#define EFFECT_VFS     64u /* there are other VFs, or they decode or do not decode now */

/* Registers of an entry; under lock. Nothing is sent by them, as the sink knows the vector. */
struct msix_entry {
	uint32_t addr_lo, addr_hi, data;
};

/* Pages of a BAR that are not simply trapped (uvfio_set_pages). */
struct page_area {
	unsigned bar;
	uint64_t offset, len;
	enum uvfio_page_kind kind;
	void *mem; /* POLLED, MEMORY: our mapping of fd */
	int fd;
};

struct option_value {
	const struct uvfio_option *opt;
	char *text;
	uint64_t number;
	struct cds_list_head node; /* in uvfio_dev.options, in the user's order */
};

struct uvfio_timer {
	struct uvfio_dev *dev;
	void (*fn)(struct uvfio_dev *dev, void *arg);
	void *arg;
	pthread_mutex_t lock; /* keeps deadline and the loop's timer in step */
	struct loop_timer *timer;
	uint64_t deadline;	   /* UINT64_MAX: disarmed */
	bool frozen;		   /* it stands still, with @left to go */
	uint64_t left;		   /* UINT64_MAX: disarmed */
	bool dead;		   /* freed by the model; under turn.lock */
	struct cds_list_head node; /* in timers.live or timers.dead, under uvfio_dev.lock */
};

#define PCI_REGIONS_MAX	     8u
#define PCI_REGION_SIZE_BITS 40

/* The VFs of a PF: sriov.c. */
struct pci_sriov {
	struct uvfio_sriov is;	    /* as the model said; sizes of BARs rounded up to pages */
	struct uvfio_model vf;	    /* what is.vf says, which may be older than ours */
	pci_function *_Atomic *vfs; /* is.total_vfs of them; NULL: not made so far */
	atomic_uint on;		    /* how many are enabled, by the PF's config space */
	atomic_bool mse;	    /* VF Memory Space Enable */
	atomic_bool awake;	    /* the PF is in D0: a VF sleeps with it (9.6.1) */
	/* how many the platform asked for, which a reset of the PF does not change; under lock */
	unsigned wanted;
	atomic_uint busy; /* >0: a thread is telling the models; see sriov.c */
	unsigned told;	  /* how many vfs_changed was told of last; that thread's */
	atomic_bool cut;  /* VFs were disabled since the models were told */
};

/*
 * Locks. turn.lock may be held when one of the others is taken, and the others are not held
 * together: a function that is in its model's callback may ask for any of them.
 *   turn.lock       held through a callback of a model that is not concurrent; a VF takes its PF's
 *   pages.lock      opening and closing pages, and pages.sink, which is called with it held:
 *                   the mapper's own lock comes after it
 *   irq.sink_lock   who may change irq.sink; delivery does not take it
 *   lock            cfg, msix.table, vpd.data, the lists of timers, iov->wanted; a leaf, but that
 *                   a timer's lock comes under it when all timers stand still, or go on
 *   taken->lock     its table; a leaf
 *   a timer's lock  its deadline and the loop's timer, kept in step; above the loop's lock
 */
struct uvfio_dev {
	/* these do not change once the function is made */
	const struct uvfio_model *model;
	char *name;
	struct loop *loop;
	uint64_t run;		      /* the machine's: uvfio_unique() */
	struct cds_list_head options; /* struct option_value */

	void *priv; /* the model's */
	struct iommu_device iommu;
	struct iommu_target *target; /* what others' page tables have of it */
	pthread_mutex_t lock;

	struct {
		pthread_mutex_t lock;
		atomic_ulong owner; /* pthread_self() of the thread that holds it, or 0 */
		unsigned away;	    /* callbacks that gave it up, to come back; under the lock */
	} turn;

	struct {
		bool now;  /* model->create is running: BARs and capabilities can be added */
		char *err; /* where uvfio_error() writes until the function is made */
		size_t err_size;
	} create;

	struct {
		uint8_t bytes[PCI_CFG_EXP_SIZE];
		uint8_t wmask[PCI_CFG_EXP_SIZE], w1c[PCI_CFG_EXP_SIZE];
		uint8_t sticky[PCI_CFG_EXP_SIZE], init[PCI_CFG_EXP_SIZE];
		uint8_t used[PCI_CFG_EXP_SIZE / 8]; /* a bit for each byte of a capability */
		unsigned last_cap, last_ext_cap;    /* ends of the chains; 0: empty */
	} cfg;

	/* offsets of the capabilities that do something; 0: absent */
	struct {
		unsigned pm, msi, msix, exp, af, vpd, aer, sriov;
		bool no_soft_reset, exp_flr;
	} cap;

	struct pci_bar bars[PCI_BARS + 1]; /* a VF's are the PF's iov->is.bars */
	atomic_uint decode;		   /* DECODE_* */
	struct {
		uint8_t *image;
		size_t len;
	} rom;
	struct {
		pthread_mutex_t lock;
		struct page_area area[PCI_PAGES_MAX];
		unsigned num;
		bool has_memory; /* some are UVFIO_PAGE_MEMORY */
		atomic_bool open, memory_open;
		bool held; /* by the driver: pci_pages_hold() */
		atomic_bool shared;
		struct pci_pages_sink sink;
	} pages;

	/* interrupts of any kind: what may be sent now, and to whom */
	struct {
		atomic_uint mode; /* enum uvfio_irq_mode: what is enabled, sent or not */
		atomic_uint gate; /* enum pci_gate */
		pthread_mutex_t sink_lock;
		struct pci_irq_sink *_Atomic sink; /* NULL or one of sinks[]; read under RCU */
		struct pci_irq_sink sinks[2];
	} irq;
	struct {
		unsigned pin; /* 0: none */
		bool can_disable;
		atomic_uint state; /* INTX_* */
		atomic_uint busy;  /* >0: a thread is telling the sink; see intx.c */
		bool told;	   /* the level that the sink heard last; that thread's */
	} intx;
	struct {
		unsigned vectors;
		atomic_uint modulo;	      /* messages that software enabled, less one */
		atomic_uint vec[PCI_MSI_MAX]; /* VEC_* */
	} msi;
	struct {
		struct pci_msix_info info;
		struct msix_entry *table;
		atomic_uint *vec; /* VEC_* */
	} msix;

	struct {
		uint8_t *data;
		size_t len;
		bool writable;
	} vpd;

	struct {
		struct cds_list_head live, dead;
		atomic_bool reap;    /* dead is not empty */
		atomic_uint running; /* callbacks, also of a timer that is freed already */
		bool stopped;	     /* the device goes: no timer comes, none is freed */
		bool frozen;	     /* new ones stand still, too; under lock */
	} timers;

	/* stopped for a migration (migrate.c): written by one thread at a time */
	struct {
		atomic_bool self; /* timers stand still, polled pages stay closed */
		atomic_bool dma;  /* and DMA is aborted */
		atomic_bool irqs; /* and interrupts wait */
	} halt;

	struct {
		void *mem;   /* NULL: the model asked for none */
		size_t size; /* whole pages */
		/* lasting.c's IN_FILE, and the number of the access; 0: in none */
		_Atomic uint32_t access;
	} lasting; /* lasting.c */

	struct pci_late *_Atomic late;	       /* NULL: no interrupt was ever late (late.c) */
	const struct pci_steps *_Atomic steps; /* NULL: nobody wants to know of them; timer.c */
	atomic_uint in_steps;
	struct uvfio_timer *page_answers; /* of a device with page requests: brings the answers */
	atomic_bool lost;		  /* somebody pulled it out (removal.c) */
	struct pci_sriov *iov;		  /* of a PF, or NULL */
	struct pci_taken *taken;	  /* NULL: nobody wants to know; taken.c */
	struct {
		struct report_code *is;
		unsigned n;
	} kinds; /* kinds.c */
	struct pci_reg_map {
		uint8_t *words; /* REG_* of each 4 bytes */
		uint64_t num;	/* up to the end of the last register */
		bool ranges;	/* of some part the table has all registers */
	} reg_maps[PCI_BARS];	/* regs.c */
	struct {
		struct uvfio_region is[PCI_REGIONS_MAX];
		unsigned n;
	} regions; /* regions.c */
	struct {
		pci_function *pf; /* NULL: this is no VF */
		unsigned index;
		atomic_bool cut; /* it was disabled and has not been reset since */
	} vf;
};

/* Return the sink of interrupts, or NULL. In an RCU section, and good for as long as it lasts. */
static inline const struct pci_irq_sink *pci_sink(pci_function *fn)
{
	return atomic_load_explicit(&fn->irq.sink, memory_order_acquire);
}

/* ---- function.c ---- */

/*
 * Enter and leave a callback of the model. The caller holds none of our locks; turn.lock is held in
 * between.
 */
void pci_model_enter(pci_function *fn);
void pci_model_leave(pci_function *fn);
/* Enter, if the model's callbacks of now return within a moment; else false. */
bool pci_model_enter_soon(pci_function *fn);
/* Enter when no callback is in the middle, either: one that reaches another device (peer.c). */
void pci_model_enter_between(pci_function *fn);
/* Leave in the middle of a callback, and come back. */
void pci_model_step_out(pci_function *fn);
void pci_model_step_in(pci_function *fn);
/* True if this thread is in a callback of a model that is not concurrent. */
bool pci_model_inside(pci_function *fn);

/* Return the function whose turn.lock is taken for @fn's callbacks: a VF takes its PF's. */
static inline pci_function *pci_serial(const pci_function *fn)
{
	return fn->vf.pf ? fn->vf.pf : (pci_function *)fn;
}

/* ---- peer.c ---- */

int pci_peer_init(pci_function *fn); /* after iommu is; 0 or -ENOMEM */
void pci_peer_fini(pci_function *fn);

/* ---- sriov.c ---- */

/* True if @fn answers on the bus: it was not lost, and is no VF that is not enabled. */
static inline bool pci_present(const pci_function *fn)
{
	return !pci_function_is_lost(fn) &&
	       (!fn->vf.pf ||
		fn->vf.index < atomic_load_explicit(&fn->vf.pf->iov->on, memory_order_acquire));
}
/* Give a VF its place with the PF, at the end of its making; and take it away. */
int pci_vf_attach(pci_function *vf);
void pci_vf_detach(pci_function *vf);
/* Derive the PF's atomics, from pci_config_derive() and under its lock. Returns EFFECT_VFS or 0. */
unsigned pci_sriov_derive(pci_function *pf);
/*
 * Make each VF's own state follow the PF's. Without lock; calls no model and does not wait. Returns
 * EFFECT_SYNC if one was cut off.
 */
unsigned pci_vfs_derive(pci_function *pf);
/* Tell the models what has become of the VFs. Without lock. */
void pci_vfs_tell(pci_function *pf);
/* True if software may not write this byte of config space now. Under lock. */
bool pci_sriov_frozen(const pci_function *pf, unsigned off);
/*
 * Put back what a reset took and the platform still wants, in pci_restore_state() and under lock.
 * Returns EFFECT_CHANGED or 0.
 */
unsigned pci_sriov_restore(pci_function *pf);
void pci_sriov_free(pci_function *pf);

/*
 * Have the model read a register as a driver's access does, and tell nobody of it; between
 * pci_model_enter_soon() and pci_model_leave(). False: it is not decoded, or the model refuses.
 */
bool pci_bar_peek(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value);

/* ---- regs.c ---- */

#define PCI_REG_NAME 64
/* pci_bar_write() of no driver's, but another device's: nobody is told (base/event.h). */
int pci_bar_write_untold(pci_function *fn, unsigned bar, uint64_t off, unsigned size,
			 uint64_t value);
/*
 * True if @table (may be NULL) has a register that holds the byte at @off of BAR @bar: @name gets
 * "RDT[3]", or "RDT[3]+2" for a byte in its middle.
 */
bool pci_reg_name(const struct uvfio_reg *table, unsigned bar, uint64_t off,
		  char name[PCI_REG_NAME]);
/* Return how many bytes that register has, or 0. */
unsigned pci_reg_width(const struct uvfio_reg *table, unsigned bar, uint64_t off);
/* Make what the check of accesses needs of the model's table; 0 or -ENOMEM. */
int pci_reg_maps_new(pci_function *fn);
void pci_reg_maps_free(pci_function *fn);
void pci_reg_judge(pci_function *fn, bool write, unsigned bar, uint64_t off, unsigned size,
		   uint64_t value);
#define PCI_REG_RO   1u /* a register that can only be read has bytes there */
#define PCI_REG_HOLE 2u /* there are bytes of no register, where the table has all */
/* Report an access by the driver to where no register is, and a store to one that is read-only. */
static inline void pci_reg_check(pci_function *fn, bool write, unsigned bar, uint64_t off,
				 unsigned size, uint64_t value)
{
	const struct pci_reg_map *map = &fn->reg_maps[bar < PCI_BARS ? bar : 0];
	uint64_t last = (off + size - 1) / 4;
	unsigned is;

	if (bar >= PCI_BARS || (!map->num && !map->ranges))
		return;
	if (last < map->num)
		is = map->words[off / 4] | map->words[last];
	else
		is = map->ranges ? PCI_REG_HOLE : 0;
	if (__builtin_expect(is & (write ? PCI_REG_RO | PCI_REG_HOLE : PCI_REG_HOLE), 0))
		pci_reg_judge(fn, write, bar, off, size, value);
}

/* ---- taken.c ---- */
/* If somebody wants to know of memory that the device takes: 0 or -ENOMEM. */
int pci_taken_new(pci_function *fn);
void pci_taken_free(pci_function *fn);

/* ---- kinds.c ---- */

/* Return what is wrong with a model's table of kinds (may be NULL), or NULL. */
const char *pci_kinds_wrong(const struct uvfio_kind *table);
/* Make the codes of its reports; 0 or -ENOMEM. */
int pci_kinds_new(pci_function *fn);
void pci_kinds_free(pci_function *fn);

/* ---- failing.c ---- */

/* Return what is wrong with a model's table of faults (may be NULL), or NULL. */
const char *pci_faults_wrong(const struct uvfio_fault *table);

/* ---- options.c ---- */

int pci_options_parse(pci_function *fn, const struct pci_option *opts, unsigned n);
void pci_options_free(pci_function *fn);

/* ---- config.c ---- */

void pci_header_init(pci_function *fn);
/* Bring the atomics into line with config space. Under lock. Returns EFFECT_SYNC, EFFECT_FLUSH. */
unsigned pci_config_derive(pci_function *fn);
/* Do what pci_config_derive() and a write left to do. Without lock. */
void pci_config_effects(pci_function *fn, unsigned effects);
/*
 * Put everything that software may have changed back to its value at power-on, but for sticky bits
 * (unless @kind is power-on). Under lock.
 */
void pci_config_defaults(pci_function *fn, enum uvfio_reset_kind kind);
/* Return the D-state, 0 to 3. Under lock. */
unsigned pci_config_power(const pci_function *fn);
/* True if @bit is set in the register at @off of capability @cap, which may be absent (0). */
static inline bool pci_config_flag(const pci_function *fn, unsigned cap, unsigned off, uint16_t bit)
{
	return cap && get16(fn->cfg.bytes + cap + off) & bit;
}

/* ---- caps.c ---- */

/*
 * Find room for a capability of @len bytes and link it in. @fill and @writable are its bytes after
 * the header and their write mask, or NULL. The offset or -errno.
 */
int pci_cap_new(pci_function *fn, uint8_t id, size_t len, const void *fill, const void *writable);
int pci_ext_cap_new(pci_function *fn, uint16_t id, unsigned version, size_t len, const void *fill,
		    const void *writable);

/* ---- msi.c ---- */

/* Follow the MSI mask register and the MSI-X function mask. Under lock. */
void pci_msi_masks_changed(pci_function *fn);
/* Return the pending bits of MSI. */
uint32_t pci_msi_pending(const pci_function *fn);
/* Return the place of the pending bits in the capability; without them its length. */
unsigned pci_msi_pending_offset(const pci_function *fn);
/* Send what is pending and no longer masked. Without lock. */
void pci_msi_flush(pci_function *fn);
void pci_msi_clear_pending(pci_function *fn, enum pci_gate kind);
/* Have every message wait, or only those that are masked. */
void pci_msi_stop(pci_function *fn, bool stop);
/* Make the MSI-X table what it is at power-on. Under lock. */
void pci_msix_table_reset(pci_function *fn);
/* Check at the end of create that the MSI-X table and the PBA lie in BARs. */
int pci_msix_check(pci_function *fn);
/*
 * True if [off, off+size) of @bar belongs to the table or the PBA; then *@value, or *@err, is the
 * answer.
 */
bool pci_msix_read(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value);
bool pci_msix_write(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t value,
		    int *err);

/* Send a message that is late, past the faults. */
void pci_msi_send(pci_function *fn, unsigned vector);

/* ---- intx.c ---- */

/* Tell the sink if the pin changed. */
void pci_intx_update(pci_function *fn);
/* Tell it late that the line is up, if it still is, or even if it is not (@spurious). */
void pci_intx_late(pci_function *fn, bool spurious);

/* ---- late.c: while a user wants faults of interrupts ---- */

/* True: the message is lost, or comes later. In an RCU section. */
bool pci_late_message(pci_function *fn, unsigned vector);
/* A message has gone: those that it shall have overtaken come now. */
void pci_late_overtaken(pci_function *fn);
/* True: the sink is not told that the line is up, or later. */
bool pci_late_line(pci_function *fn);
void pci_late_free(pci_function *fn);

/* ---- pages.c ---- */

/* Check at the end of create that no page with memory has the MSI-X table or the PBA. */
int pci_pages_check(pci_function *fn);
/*
 * Have the pages as the function is now: closed if decoding has ended; open, those that are memory,
 * if it has begun. Without lock.
 */
void pci_pages_follow(pci_function *fn);
/* Make an access of 1, 2, 4, 8 bytes, aligned and inside, if memory is there: true. */
bool pci_pages_access(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value,
		      bool write);
void pci_pages_free(pci_function *fn);

/* ---- lasting.c ---- */

void pci_lasting_free(pci_function *fn);

/* ---- pasid.c ---- */

/* True if @pasid is one that the function can send, or none. */
bool pci_pasid_valid(const pci_function *fn, uint32_t pasid);

/* ---- vpd.c ---- */

/* Do the transfer that a write to the address register asks for. Under lock. */
void pci_vpd_transfer(pci_function *fn);

/* ---- timer.c ---- */

/* Stop all timers: none runs when it returns, and none will. */
void pci_timers_stop(pci_function *fn);
/* Free the timers that the model freed in a callback. Without any lock. */
void pci_timers_reap(pci_function *fn);
/* Free the timers that the model left. */
void pci_timers_free(pci_function *fn);
/* Have all timers stand still: none fires any more when it returns. Or let them go on. */
void pci_timers_freeze(pci_function *fn);
void pci_timers_thaw(pci_function *fn);

#endif
