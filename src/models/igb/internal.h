/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/internal.h: the state of an 82576, and what its parts offer each other.
 *
 * One struct igb is the physical function and its eight virtual ones: they share registers, queues
 * and the wire. What a virtual function reaches of it is a window (vf.c). A queue belongs to a
 * function (struct igb_fn), through which its DMA goes and its messages are sent.
 *
 * The model is concurrent. A store to a tail register sends in the caller's thread; a frame that
 * comes in is stored by the sender's. Registers that just hold a value are atomics, and need no
 * lock. Locks, outermost first:
 *   host_driver.lock  the state of the driver that host_driver.c stands for; one message at a time
 *   ctl               reset, link, PHY, EEPROM, stopping for a migration
 *   txq->lock         a transmit queue
 *   rxq->lock         a receive queue, of this device or, across the wire, of another
 *   mbx               the mailboxes
 *   irq.lock          causes, masks, vectors and their timers; fn->dev of a VF
 */
#ifndef MODELS_IGB_INTERNAL_H
#define MODELS_IGB_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "uvfio/model.h"
#include "models/igb/kept.h"
#include "models/igb/regs.h"
#include "models/net/net.h"

#define IGB_BATCH    32u /* descriptors fetched at a time */
#define IGB_HEADROOM 4u	 /* for a VLAN tag */

#define IGB_MODE_SPEED 3u /* 0: 10, 1: 100, 2: 1000 Mbit/s, as in STATUS and CTRL */
#define IGB_MODE_FULL  4u
#define IGB_MODE_NONE  8u

struct igb;

/* A function of the device, through which the DMA of its queues goes. */
struct igb_fn {
	struct igb *g;
	struct uvfio_dev *dev; /* NULL: a virtual function that was not made yet */
	unsigned index;	       /* of a virtual one; IGB_PF */
	atomic_uint halt;      /* its queues stand: IGB_QUIET, IGB_STOPPED */
	bool moved;	       /* its state was loaded; with ctl */
};
#define IGB_QUIET   1u /* uvfio_model.quiesce: until its driver stores to a register */
#define IGB_STOPPED 2u /* for a migration */

/* A transmit descriptor, as it lies in memory; in the order of this machine. */
struct igb_desc {
	uint64_t addr;
	uint32_t cmd, opt;
};

struct igb_txq {
	pthread_mutex_t lock;
	struct igb_kept_tx *kept;
	struct igb_fn *fn; /* its owner */
	struct igb_tx_state s;
	uint32_t index; /* of the descriptor that is carried out */
	unsigned skip;	/* frames of the packet that it ends which were sent before a kill */
	uint8_t *pkt;	/* IGB_HEADROOM, then the packet; allocated at the first use */
	struct igb_desc batch[IGB_BATCH];
};

struct igb_rxq {
	pthread_mutex_t lock;
	struct igb_kept_rx *kept;
	struct igb_fn *fn;
	unsigned cached, next; /* descriptors fetched ahead, [next, cached) of cache */
	unsigned cache_head;   /* the ring's index of cache[next] */
	uint64_t cache[IGB_BATCH][2];
};

/* A function's extended causes: vector first + i is its message i. */
struct igb_bank {
	struct igb_fn *fn;
	struct igb_kept_bank *k;
	unsigned first;
	uint32_t all; /* the bits that it has */
};

struct igb_vector {
	struct igb *g;
	struct igb_kept_vector *k;
	struct uvfio_timer *timer;
};

struct igb {
	struct uvfio_dev *dev;
	struct net_port *port;
	struct igb_kept *kept;
	/* the access that is under way, for kept.c; NULL: none that is kept */
	struct igb_kept_access *_Atomic access;
	bool carried;		  /* its process was killed, and it has not gone on yet; with ctl */
	atomic_uint receiving;	  /* threads in igb_rx_frame() with a frame of the wire */
	atomic_bool unplugged;	  /* somebody pulled the cable out of the socket */
	atomic_bool wire;	  /* somebody is at the other end */
	struct uvfio_timer *flap; /* of faults.c: takes the cable out, and puts it in again */
	atomic_uint flap_ms;	  /* how long it is out */
	struct uvfio_timer *fetch; /* of taken.c: until descriptors are fetched; or NULL */
	atomic_bool phy_loopback, phy_asleep;
	atomic_bool again; /* the next access may be one that was made already */
	struct igb_fn fn[IGB_FUNCTIONS];
	atomic_bool steers;	  /* there is a filter in steer.c */
	atomic_uint vfs;	  /* the virtual functions that are enabled, a bit each */
	atomic_bool unseen_reset; /* the driver has not looked if its CTRL.RST is done */
	/* of IGB_RX and IGB_TX, a bit each: queues with such a base or length (kinds.c) */
	atomic_uint wrong_base[2], wrong_length[2];
	pthread_mutex_t ctl, mbx;
	/* with mbx: when a VF sent what was not read yet, in ns; 0: nothing */
	uint64_t asked[IGB_VFS];
	uint8_t mac[6];	  /* in the EEPROM, at first */
	unsigned vectors; /* entries of the MSI-X table */
	struct {
		pthread_mutex_t lock;
		struct igb_bank bank[IGB_FUNCTIONS];
		struct igb_vector vec[IGB_VECTORS];
	} irq;
	/* the driver that host_driver.c stands for */
	struct {
		atomic_bool drives;
		pthread_mutex_t lock;
		struct {
			bool cts, all_multicast; /* it may speak: it was answered since its reset */
			uint8_t mac[6];
			unsigned hashes;
			uint16_t hash[30];
		} vf[IGB_VFS];
	} host_driver;
	struct igb_txq txq[IGB_QUEUES];
	struct igb_rxq rxq[IGB_QUEUES];
};

static inline uint32_t igb_get(struct igb *g, uint32_t off)
{
	return atomic_load_explicit(&g->kept->reg[off >> 2], memory_order_relaxed);
}
static inline void igb_put(struct igb *g, uint32_t off, uint32_t v)
{
	atomic_store_explicit(&g->kept->reg[off >> 2], v, memory_order_relaxed);
}

/* Queues go to pools (7.10.3): pool n has queues n and n + 8. */
static inline bool igb_vmdq(struct igb *g)
{
	return igb_get(g, IGB_MRQC) & MRQC_VMDQ;
}
static inline bool igb_vf_enabled(struct igb *g, unsigned vf)
{
	return atomic_load_explicit(&g->vfs, memory_order_relaxed) >> vf & 1;
}
/* Return nanoseconds of CLOCK_MONOTONIC, by which uvfio_timer_set() goes, too. */
static inline uint64_t igb_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void igb_wake(struct igb_fn *fn)
{
	if (atomic_load_explicit(&fn->halt, memory_order_relaxed) & IGB_QUIET)
		atomic_fetch_and(&fn->halt, ~IGB_QUIET);
}
/* True if the function is stopped for a migration. */
static inline bool igb_stopped(struct igb_fn *fn)
{
	return atomic_load(&fn->halt) & IGB_STOPPED;
}

/* ---- regs.c ---- */

/* True if the register at @off can be asked to hold @value, or comes to have it by itself. */
bool igb_reg_possible(uint32_t off, uint32_t value);

/* Give all registers their values after a reset. */
void igb_regs_init(struct igb *g);
uint32_t igb_reg_read(struct igb *g, uint32_t off);
void igb_reg_write(struct igb *g, uint32_t off, uint32_t value);
/*
 * Carry out a load or store of BAR0 of a function, physical or virtual. Its registers have 32 bits:
 * a narrower load sees its part of one, a narrower store is refused with -EINVAL.
 */
uint64_t igb_bar0_read(struct igb_fn *fn, uint32_t off, unsigned size);
int igb_bar0_write(struct igb_fn *fn, uint32_t off, unsigned size, uint64_t value);

/* ---- igb.c ---- */

int igb_add_pcie(struct uvfio_dev *dev);
/* True if the function may make requests; if not, a read that failed was never made. */
bool igb_is_master(struct igb_fn *fn);
/* Keep the function's queues away from memory, until no bit of its halt is set. */
void igb_halt(struct igb_fn *fn, unsigned bit);
/* Do what CTRL.RST asks for. With ctl. */
void igb_software_reset(struct igb *g);

/* ---- kept.c: memory that outlives the process ---- */

int igb_kept_init(struct igb *g);
/* Fill memory that has nothing yet. */
void igb_kept_begin(struct igb *g);
void igb_kept_reset(struct igb *g);
/*
 * Begin an access of a register, @half 1 of the upper one of two. False: it was made before the
 * process was killed, and *@answer is what was read then.
 */
bool igb_access_begin(struct igb_fn *fn, unsigned half, uint32_t *answer);
void igb_access_end(struct igb *g, bool write);
/* All of the access is done: the next one is another one. */
void igb_access_over(struct igb *g);
/*
 * Begin a change that an access makes, and that is undone if it is cut; and end it: from then on it
 * is done. With irq.lock for IGB_ACCESS_UNDO_IRQ, with ctl for IGB_ACCESS_UNDO_CTL.
 */
void igb_undo_begin(struct igb *g, enum igb_access_state undo);
void igb_undo_end(struct igb *g, uint32_t answer);
/* Set *@taken to @now, and return how much that is more: what an access reads. */
uint64_t igb_take(struct igb *g, _Atomic uint64_t *taken, uint64_t now);
/* Take what a view of @total showed in its low half, and return the upper half of it. */
uint32_t igb_take_shown(struct igb *g, unsigned view, uint64_t total);
/* Set bits of a register, and return what it was: what an access reads. */
uint32_t igb_read_and_set(struct igb *g, uint32_t off, uint32_t bits);
/* As in struct uvfio_model. */
int igb_carry_on(struct uvfio_dev *dev);
/* Finish what was under way when the process was killed. The port is stopped. With ctl. */
void igb_finish(struct igb *g);
/* Set the causes of interrupts once more that may have been lost. The port runs. With ctl. */
void igb_tell_again(struct igb *g);

/* ---- migrate.c ---- */

/* As in struct uvfio_model. */
int igb_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind);
void igb_resume(struct uvfio_dev *dev);
void igb_describe(struct uvfio_dev *dev, struct uvfio_state *s);
int igb_save(struct uvfio_dev *dev, struct uvfio_state *s);
int igb_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

/* ---- kinds.c: mistakes of the driver ---- */

enum igb_bad {
	IGB_BAD_TAIL_RANGE,
	IGB_BAD_TAIL_EARLY,
	IGB_BAD_TAIL_BACK,
	IGB_BAD_RING_FULL,
	IGB_BAD_RING_LENGTH,
	IGB_BAD_RING_BASE,
	IGB_BAD_RING_BUSY,
	IGB_BAD_RING_NONE,
	IGB_BAD_RX_TYPE,
	IGB_BAD_TX_TYPE,
	IGB_BAD_TX_CONTEXT,
	IGB_BAD_TX_MIXED,
	IGB_BAD_TX_SIZE,
	IGB_BAD_TX_TSO,
	IGB_BAD_TX_PAYLEN,
	IGB_BAD_SYNC_UNOWNED,
};
extern const struct uvfio_kind igb_kinds[];
/*
 * Report what the driver must not store to a register of a queue: at @off, whose canonical place is
 * @place. Before it is stored.
 */
void igb_judge_queue(struct igb_fn *fn, uint32_t off, uint32_t place, uint32_t value);
/* The same of RCTL and TCTL, at @off. */
void igb_judge_all(struct igb_fn *fn, uint32_t off, uint32_t value);
/* The same of SW_FW_SYNC. */
void igb_judge_sync(struct igb_fn *fn, uint32_t value);
/* Report what is wrong with a descriptor, or with a packet. With the queue's lock. */
void igb_judge_descriptor(struct igb *g, const struct igb_txq *q, const struct igb_desc *d);
void igb_judge_packet(struct igb *g, const struct igb_txq *q);
void igb_judge_segments(struct igb *g, const struct igb_txq *q, const struct igb_context *c);

/* ---- nvm.c ---- */

/* Save the EEPROM and what moves its pins, and load it: 0 or an error. With ctl. */
void igb_nvm_save(struct igb *g, struct uvfio_state *s);
int igb_nvm_restore(struct igb *g, struct uvfio_state *s);
void igb_nvm_init(struct igb *g, const uint8_t mac[6]);
/* Go on from what is kept. False: it cannot be so. With ctl. */
bool igb_nvm_take_up(struct igb *g);
/* Load what the device reads from its EEPROM at reset. With ctl. */
void igb_nvm_load(struct igb *g);
/* Take a store to EERD or EECD. With ctl. */
void igb_eerd(struct igb *g, uint32_t value);
void igb_eecd(struct igb *g, uint32_t value);

/* ---- phy.c ---- */

/* With ctl. */
void igb_phy_reset(struct igb *g);
/* Save the PHY and the link, and load them: 0 or an error. With ctl. */
void igb_phy_save(struct igb *g, struct uvfio_state *s);
int igb_phy_restore(struct igb *g, struct uvfio_state *s);
/* Go on from what is kept. False: it cannot be so. With ctl. */
bool igb_phy_take_up(struct igb *g);
/* Take a store to MDIC. With ctl. */
void igb_mdic(struct igb *g, uint32_t value);
/* Work out the link again; @renegotiated: it was down in between. With ctl. */
void igb_link_update(struct igb *g, bool renegotiated);
/* Tell the other end, after what may change the PHY's power. Without ctl. */
void igb_carrier_update(struct igb *g);

/* ---- irq.c ---- */

int igb_irq_init(struct igb *g);
void igb_irq_fini(struct igb *g);
void igb_irq_reset(struct igb *g);
/* True for a register of this part. */
bool igb_irq_reg(uint32_t off);
uint32_t igb_irq_read(struct igb *g, uint32_t off);
void igb_irq_write(struct igb *g, uint32_t off, uint32_t value);
/* Set bits of ICR. */
void igb_irq_cause(struct igb *g, uint32_t icr);
/* Signal that a descriptor of @queue was written back. */
void igb_irq_queue(struct igb *g, unsigned queue, bool tx);
/* Follow the kind of interrupts that config space enables. */
void igb_irq_mode_changed(struct igb *g);
/* Signal a VF's mailbox, its only cause besides queues. */
void igb_irq_mailbox(struct igb *g, unsigned vf);
void igb_irq_vf_reset(struct igb *g, unsigned vf);
/* Take the vectors of enabled VFs away from the PF. */
void igb_irq_vfs_changed(struct igb *g);
void igb_irq_save(struct igb *g, struct uvfio_state *s);
void igb_irq_restore(struct igb *g, struct uvfio_state *s);
/* Go on from what is kept. */
void igb_irq_take_up(struct igb *g);
/* Do the same for a VF's part. */
void igb_irq_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s);
void igb_irq_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s);
/* Go on with a VF. @again: its state was loaded, and messages are sent as by igb_irq_again(). */
void igb_irq_vf_resume(struct igb *g, unsigned vf, bool again);
/*
 * Go on after the state was loaded. Messages that were sent where it was saved may not have reached
 * the driver: those that it may be waiting for are sent once more.
 */
void igb_irq_again(struct igb *g);

/* ---- taken.c: what the driver must leave alone ---- */

/*
 * The driver gives queue @n the descriptors from the tail that is to @to, which will be: before the
 * tail moves, as another thread may send all of them at once.
 */
void igb_tx_take(struct igb *g, unsigned n, uint32_t to);
void igb_rx_take(struct igb *g, unsigned n, uint32_t to);
/* Before the driver can know that descriptor @i is done, and before it is written back. */
void igb_tx_give_back(struct igb_txq *q, unsigned n, uint32_t i);
void igb_rx_give_back(struct igb_rxq *q, unsigned n, uint32_t i);
/* Run queue @n, whose tail moved: at once, or in a while. */
void igb_tx_rung(struct igb *g, unsigned n);
/* The queues of @fn are others now. With the lock of one of them. */
void igb_taken_forget(const struct igb_fn *fn);
/* Transmit queue @n is another now. */
void igb_tx_forget(struct igb *g, unsigned n);
int igb_taken_init(struct igb *g);

/* ---- tx.c ---- */

int igb_tx_init(struct igb *g);
void igb_tx_fini(struct igb *g);
void igb_tx_reset(struct igb *g);
/* Run a queue up to its tail. */
void igb_tx_kick(struct igb *g, unsigned queue);
void igb_tx_kick_all(struct igb *g);
/* Save a queue, which does not run, and load it: 0 or an error. */
void igb_tx_save(struct igb *g, unsigned queue, struct uvfio_state *s);
int igb_tx_restore(struct igb *g, unsigned queue, struct uvfio_state *s);
/* Go on from what is kept of a queue. False: it cannot be so. */
bool igb_tx_take_up(struct igb *g, unsigned queue);
/* Finish the descriptor that it was at: return how many that is. */
unsigned igb_tx_finish(struct igb *g, unsigned queue);
/* Reset a queue, and give it to @fn unless that is NULL. */
void igb_tx_own(struct igb *g, unsigned queue, struct igb_fn *fn);

/* ---- rx.c ---- */

int igb_rx_init(struct igb *g);
void igb_rx_fini(struct igb *g);
void igb_rx_reset(struct igb *g);
/* Save a queue, which does not run, and load it. */
void igb_rx_save(struct igb *g, unsigned queue, struct uvfio_state *s);
void igb_rx_restore(struct igb *g, unsigned queue, struct uvfio_state *s);
/* Go on from what is kept of a queue. False: it cannot be so. */
bool igb_rx_take_up(struct igb *g, unsigned queue);
/* Finish the frame that it was at: return how many descriptors that is. */
unsigned igb_rx_finish(struct igb *g, unsigned queue);
/* Forget the descriptors that were fetched ahead: the queue is another now. */
void igb_rx_forget(struct igb *g, unsigned queue);
/* Reset a queue, and give it to @fn unless that is NULL. */
void igb_rx_own(struct igb *g, unsigned queue, struct igb_fn *fn);
/* Receive a frame from the wire. False: no room. */
bool igb_rx_frame(struct igb *g, const uint8_t *frame, size_t len);
/* Receive a frame that comes from a pool, in @pools; it passes no filter but theirs. */
void igb_rx_switched(struct igb *g, const uint8_t *frame, size_t len, uint32_t pools);

/* ---- split.c ---- */

/* The parts into which a frame is split. */
struct igb_split {
	size_t front;	/* bytes that go to the header buffer */
	uint32_t info;	/* RXD_SPH, RXD_HDR_LEN of its first descriptor */
	uint32_t error; /* RXD_HBO */
};
/* Say how to split a frame of @len bytes. @header: bytes of its headers; 0: none were found. */
void igb_split(uint32_t srrctl, size_t header, size_t len, struct igb_split *s);
bool igb_descriptor_type_known(uint32_t srrctl);

/* ---- filter.c ---- */

/* True if a frame of the wire is let in at all. */
bool igb_filter(struct igb *g, const uint8_t *frame, size_t len);

/* The VLAN tags of a frame: 7.4.5 */
struct igb_tags {
	/* offset of the EtherType behind them; 0: the tag is missing that each frame must have */
	size_t type;
	size_t at;    /* offset of the one that filters, pools and stripping are about; 0: none */
	uint16_t tag; /* its value */
	unsigned num; /* how many there are */
	bool outer;   /* the first is CTRL_EXT.EXT_VLAN's */
};
void igb_tags(struct igb *g, const uint8_t *frame, size_t len, struct igb_tags *t);
/* Return whether there is a tag for filters and pools, and its value. */
bool igb_tag(struct igb *g, const uint8_t *frame, size_t len, uint16_t *tag);
/* Return the length of the longest frame with these tags, with its FCS, unless LPE is set. */
static inline size_t igb_plain_max(const struct igb_tags *t)
{
	return 1518 + 4 * t->num; /* 8.10.1, RCTL.LPE; 8.18.9, RLEC */
}
/* True if RAR entries have @mac; *@pools (unless NULL) gets the pools of all of them. */
bool igb_address(struct igb *g, const uint8_t *mac, uint32_t *pools);
/* True if the hash table @table (IGB_MTA, IGB_UTA) has @mac. */
bool igb_hashed(struct igb *g, uint32_t table, const uint8_t *mac);

/* ---- parse.c ---- */

/* The protocols of a frame. */
struct igb_parsed {
	uint32_t ptype;	 /* PTYPE_* */
	uint32_t status; /* RXD_* */
	uint32_t hash;
	uint8_t rss_type;
	struct igb_tags tags;
	uint16_t ip_id, frag_sum;
	size_t ip, l4, end; /* offsets; end of the IP packet */
	bool fragment;
	uint8_t proto;
	unsigned psr;  /* PSR_*: the kind of its headers */
	size_t header; /* their length; 0: of no kind that can be split */
};
/* Fill in *@p from a frame that passed the filters, with checksums and the hash if they are on. */
void igb_parse(struct igb *g, const uint8_t *f, size_t len, struct igb_parsed *p);

/* ---- steer.c ---- */

/* The facts of a frame that filters for queues look at. */
struct igb_flow {
	uint16_t type; /* EtherType */
	bool tagged, ipv4, ports, tcp;
	uint16_t tag;
	uint8_t proto;
	size_t ip, l4;
	int etqf; /* out: the filter for EtherTypes that it passed; -1: none */
};
/* Return the queue that a filter gives the frame; -1: none does. */
int igb_steer(struct igb *g, const uint8_t *frame, size_t len, struct igb_flow *flow);
/* Note a store to one of the registers. */
void igb_steer_update(struct igb *g);
/* True for a register of this part. */
static inline bool igb_steer_reg(uint32_t off)
{
	return off == IGB_SYNQF || off == IGB_VLAPQF ||
	       (off >= IGB_FTQF(0) && off < IGB_FTQF(IGB_FTQFS)) ||
	       (off >= IGB_ETQF(0) && off < IGB_ETQF(IGB_ETQFS));
}

/* ---- switch.c: pools ---- */

/* Return the pools that have @bit of VMOLR set. */
uint32_t igb_pools_with(struct igb *g, uint32_t bit);
/* Return the pools that a frame of the wire goes to. */
uint32_t igb_pools_in(struct igb *g, const uint8_t *frame, size_t len);
/* Take a frame that a queue sends to other pools; true if it is to go to the wire too. */
bool igb_switch(struct igb *g, unsigned queue, const uint8_t *frame, size_t len);
/* True if a tag is to be inserted: the descriptor's (@vlan, *@tag), or the pool's. */
bool igb_pool_tag(struct igb *g, unsigned pool, bool vlan, uint16_t *tag);

/* ---- mailbox.c: between physical and virtual functions ---- */

/* True for a register of this part. */
bool igb_mbx_reg(uint32_t off);
uint32_t igb_mbx_read(struct igb *g, uint32_t off);
void igb_mbx_write(struct igb *g, uint32_t off, uint32_t value);
/* Note CTRL_EXT.PFRSTD: the PF's driver is ready. */
void igb_mbx_pf_ready(struct igb *g);
void igb_mbx_vf_reset(struct igb *g, unsigned vf);
/* Save a VF's end of its mailbox, and what the PF has not taken of it; and load it. */
void igb_mbx_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s);
void igb_mbx_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s);
/* Tell the PF of what a VF had to say while it was stopped, or before it moved here. */
void igb_mbx_vf_resume(struct igb *g, unsigned vf);

/* ---- vf.c ---- */

#define IGB_NOWHERE	UINT32_MAX
#define IGB_VF_BAR_SIZE 16384u
/*
 * Return the PF's register that a VF sees at @off of its own BAR; IGB_NOWHERE if it sees none
 * there, or if it cannot be written and @write.
 */
uint32_t igb_vf_in_pf(unsigned vf, uint32_t off, bool write);
/* Say at the end of create what VFs there can be. */
int igb_vf_init(struct igb *g);
/* Do what VTCTRL.RST, or an FLR of the VF, asks for. */
void igb_vf_reset(struct igb *g, unsigned vf);

/* ---- vf_migrate.c ---- */

/* As in struct uvfio_model, of a VF. */
int igb_vf_stop(struct uvfio_dev *dev, enum uvfio_stop_kind kind);
void igb_vf_resume(struct uvfio_dev *dev);
void igb_vf_describe(struct uvfio_dev *dev, struct uvfio_state *s);
int igb_vf_save(struct uvfio_dev *dev, struct uvfio_state *s);
int igb_vf_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

/* ---- host_driver.c ---- */

void igb_host_driver_init(struct igb *g, const uint8_t mac[6]);
/* Drive the PF from now on, or again after a reset. */
void igb_host_driver_start(struct igb *g);
/* Take ICR.VMMB. Without locks. */
void igb_host_driver_interrupt(struct igb *g);
void igb_host_driver_vf_gone(struct igb *g, unsigned vf);
/* ---- faults.c: what a user wants to go wrong ---- */
extern const struct uvfio_fault igb_faults[];
/* Make the timer: 0 or -ENOMEM. */
int igb_faults_init(struct igb *g);
/* A frame has come, or goes out; true: it is lost. Any thread, with any locks. */
bool igb_rx_fault(struct igb *g, size_t len);
void igb_tx_fault(struct igb *g, size_t len);
/* The cable goes out of the socket, or into it. Without locks. */
void igb_plug_cable(struct uvfio_dev *dev, bool in);

/* Tell the VFs that the link came or went. Without locks. */
void igb_host_driver_link(struct igb *g);
/* Wait until it is not at a VF that was stopped; it leaves that alone until it goes on. */
void igb_host_driver_leave(struct igb *g);
/* Save what a VF has asked for, and do it for one whose state is loaded: 0 or an error. */
void igb_host_driver_vf_save(struct igb *g, unsigned vf, struct uvfio_state *s);
int igb_host_driver_vf_restore(struct igb *g, unsigned vf, struct uvfio_state *s);
/* Tell a VF that is here now, and goes on, of the link. Without locks. */
void igb_host_driver_vf_moved(struct igb *g, unsigned vf);

/* ---- stats.c ---- */

uint32_t igb_stats_read(struct igb *g, uint32_t off);
/* True for a register that counts and is cleared by reading, and is no part of the totals. */
bool igb_is_count(uint32_t off);
/* Return what such a register shows; the first clears it, as a driver's read. */
uint32_t igb_count_read(struct igb *g, uint32_t off);
uint32_t igb_count_get(struct igb *g, uint32_t off);
/* Have such a register show @n. */
void igb_count_put(struct igb *g, uint32_t off, uint32_t n);
void igb_stats_reset(struct igb *g);
void igb_stats_save(struct igb *g, struct uvfio_state *s);
void igb_stats_restore(struct igb *g, struct uvfio_state *s);
void igb_stats_add(struct igb *g, uint32_t off, uint32_t n);
void igb_stats_tx(struct igb *g, const uint8_t *frame, size_t len);
void igb_stats_rx(struct igb *g, const uint8_t *frame, size_t len);
/* Count a frame that came and was given to nobody. */
void igb_stats_refused(struct igb *g, size_t len);
/* Count a frame of a pool; @looped: from or to another pool. */
void igb_stats_pool_tx(struct igb *g, unsigned pool, size_t len, bool looped);
void igb_stats_pool_rx(struct igb *g, unsigned pool, const uint8_t *frame, size_t len, bool looped);

/* ---- csum.c: checksums, shared by both directions ---- */

/* Return @sum with the ones' complement sum of @data added, not folded. */
uint32_t igb_sum(const void *data, size_t len, uint32_t sum);
/* Return @sum folded to 16 bits. */
uint16_t igb_fold(uint32_t sum);
uint32_t igb_crc32(const void *data, size_t len);
uint32_t igb_crc32c(const void *data, size_t len);

/* True if the Ethernet frame @f is for everybody. */
static inline bool igb_is_broadcast(const uint8_t *f)
{
	return (f[0] & f[1] & f[2] & f[3] & f[4] & f[5]) == 0xff;
}

static inline uint16_t igb_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline void igb_put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline uint32_t igb_be32(const uint8_t *p)
{
	return (uint32_t)igb_be16(p) << 16 | igb_be16(p + 2);
}
static inline void igb_put_be32(uint8_t *p, uint32_t v)
{
	igb_put_be16(p, v >> 16);
	igb_put_be16(p + 2, v);
}

/* reg_names.c: for the log, of the PF and of a VF */
extern const struct uvfio_reg igb_reg_names[], igb_vf_reg_names[];
#endif
