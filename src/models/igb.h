/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb.h: the state of an 82576, and what its parts offer each other.
 *
 * The model is concurrent. Locks, outer to inner: ctl (reset, link, PHY), a transmit queue's, a
 * receive queue's (this device's or, across the wire, another's), irq. A store to a tail register
 * sends in the caller's thread; a frame that comes in is stored by the sender's. Registers that
 * just hold a value are atomics, and need no lock.
 */
#ifndef MODELS_IGB_H
#define MODELS_IGB_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "models/igb_regs.h"
#include "models/net.h"
#include "uvfio/model.h"

#define IGB_BAR0_SIZE 0x20000u
#define IGB_NVM_WORDS 1024u
#define IGB_BATCH     32u      /* descriptors fetched at a time */
#define IGB_FRAME_MAX 0x2600u  /* 9.5 KiB (7.1, 7.2) */
#define IGB_TSO_MAX   0x40000u /* PAYLEN has 18 bits (7.2.2.3.11) */
#define IGB_HEADROOM  4u       /* for a VLAN tag */

#define IGB_MODE_SPEED 3u /* 0: 10, 1: 100, 2: 1000 Mbit/s, as in STATUS and CTRL */
#define IGB_MODE_FULL  4u
#define IGB_MODE_NONE  8u

struct igb;

struct igb_context { /* 7.2.2.2 */
	unsigned maclen, iplen, l4len, mss;
	uint16_t vlan;
	uint32_t tucmd;
};

struct igb_desc { /* as it lies in memory, in the order of the host */
	uint64_t addr;
	uint32_t cmd, opt;
};

struct igb_txq {
	pthread_mutex_t lock;
	bool wedged; /* a DMA read was aborted: the engine stands until a reset */
	bool bad;    /* the packet that is being put together cannot be sent */
	bool started;
	struct igb_context ctx[2];
	uint32_t first_cmd, first_opt; /* of the packet's first descriptor */
	size_t len;
	uint8_t *pkt; /* IGB_HEADROOM, then the packet; allocated at the first use */
	struct igb_desc batch[IGB_BATCH];
};

struct igb_rxq {
	pthread_mutex_t lock;
	bool wedged;
	unsigned cached, next; /* descriptors fetched ahead, [next, cached) of cache */
	unsigned cache_head;   /* the ring's index of cache[next] */
	uint64_t cache[IGB_BATCH][2];
};

struct igb_vector {
	struct igb *g;
	struct uvfio_timer *timer;
	uint64_t next; /* no message before */
	bool armed;
};

struct igb {
	struct uvfio_dev *dev;
	struct net_port *port;
	_Atomic uint32_t reg[IGB_BAR0_SIZE / 4];
	_Atomic uint64_t octets[6], octets_seen[6]; /* igb_stats.c */
	atomic_bool link;			    /* STATUS.LU */
	atomic_bool wire;			    /* somebody is at the other end */
	atomic_bool quiet;			    /* uvfio_model.quiesce */
	atomic_bool phy_loopback, phy_asleep;
	atomic_uint mode; /* of the PHY's link: IGB_MODE_* */
	pthread_mutex_t ctl;
	uint16_t nvm[IGB_NVM_WORDS];
	uint16_t phy[32];
	_Atomic uint32_t ioaddr;
	unsigned vectors; /* entries of the MSI-X table */
	struct {
		pthread_mutex_t lock;
		uint32_t icr, ims, iam, eicr, eims, eiac, eiam, gpie;
		uint32_t sent, esent; /* causes for which the message went out already */
		struct igb_vector vec[IGB_VECTORS];
	} irq;
	struct igb_txq txq[IGB_QUEUES];
	struct igb_rxq rxq[IGB_QUEUES];
};

static inline uint32_t igb_get(struct igb *g, uint32_t off)
{
	return atomic_load_explicit(&g->reg[off >> 2], memory_order_relaxed);
}
static inline void igb_put(struct igb *g, uint32_t off, uint32_t v)
{
	atomic_store_explicit(&g->reg[off >> 2], v, memory_order_relaxed);
}

/* igb_regs.c */
uint32_t igb_canonical(uint32_t off);
uint32_t igb_writable(uint32_t off); /* the bits of a register that just holds what is written */
void igb_regs_init(struct igb *g);   /* initial values */
uint32_t igb_reg_read(struct igb *g, uint32_t off);
void igb_reg_write(struct igb *g, uint32_t off, uint32_t value);

/* igb.c */
bool igb_is_master(struct igb *g);	/* else a read that failed was never made */
void igb_software_reset(struct igb *g); /* CTRL.RST; with ctl */

/* igb_nvm.c */
void igb_nvm_init(struct igb *g, const uint8_t mac[6]);
void igb_nvm_load(struct igb *g); /* what the device reads from it at reset */
uint32_t igb_eerd(struct igb *g, uint32_t value);
uint32_t igb_eecd(struct igb *g, uint32_t value);

/* igb_phy.c: with ctl, but for the last */
void igb_phy_reset(struct igb *g);
void igb_mdic(struct igb *g, uint32_t value);
void igb_link_update(struct igb *g, bool renegotiated);
void igb_carrier_update(struct igb *g); /* after what may change the PHY's power */

/* igb_irq.c */
int igb_irq_init(struct igb *g);
void igb_irq_fini(struct igb *g);
void igb_irq_reset(struct igb *g);
bool igb_irq_reg(uint32_t off); /* a register of this part */
uint32_t igb_irq_read(struct igb *g, uint32_t off);
void igb_irq_write(struct igb *g, uint32_t off, uint32_t value);
void igb_irq_cause(struct igb *g, uint32_t icr);
void igb_irq_queue(struct igb *g, unsigned queue, bool tx);
void igb_irq_mode_changed(struct igb *g);

/* igb_tx.c */
int igb_tx_init(struct igb *g);
void igb_tx_fini(struct igb *g);
void igb_tx_reset(struct igb *g);
void igb_tx_kick(struct igb *g, unsigned queue);
void igb_tx_kick_all(struct igb *g);

/* igb_rx.c */
int igb_rx_init(struct igb *g);
void igb_rx_fini(struct igb *g);
void igb_rx_reset(struct igb *g);
void igb_rx_forget(struct igb *g, unsigned queue); /* descriptors fetched ahead */
bool igb_rx_frame(struct igb *g, const uint8_t *frame, size_t len, bool loopback);

/* igb_stats.c */
uint32_t igb_stats_read(struct igb *g, uint32_t off);
void igb_stats_reset(struct igb *g);
void igb_stats_add(struct igb *g, uint32_t off, uint32_t n);
void igb_stats_tx(struct igb *g, const uint8_t *frame, size_t len);
void igb_stats_rx(struct igb *g, const uint8_t *frame, size_t len);

/* igb_csum.c: checksums, shared by both directions */
uint32_t igb_sum(const void *data, size_t len, uint32_t sum); /* ones' complement, not folded */
uint16_t igb_fold(uint32_t sum);
uint32_t igb_crc32(const void *data, size_t len);
uint32_t igb_crc32c(const void *data, size_t len);

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
#endif
