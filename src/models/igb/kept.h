/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/kept.h: what a port keeps in memory that outlives its process (uvfio_lasting()). It is
 * not a copy of the port's state but the state itself; the rest of struct igb is made anew from it
 * (kept.c).
 *
 * The process may be killed between any two instructions of each of its threads. So at every moment
 * the memory says what is to be finished or done again, and what the driver may have seen is never
 * done in another way. Three things can be under way.
 *
 *   a frame is stored   Its payload goes to the driver's buffers, while the descriptors are as they
 *              were. Then all that is to be written back is in the queue's record, which becomes
 *              READY: from then on the frame is stored, whatever happens. A mark is written to the
 *              first descriptor, the record becomes MARKED, and the descriptors are written back,
 *              the first of them last, which shows the driver the whole frame at once. The head
 *              moves, and the record ends.
 *   a descriptor is sent   The packet goes to the wire. Then the record has the head behind the
 *              descriptor, what the queue knows of a packet that has no end yet, and what is to be
 *              written back; it becomes READY: the descriptor was carried out. The head moves, and
 *              the write-back goes through MARKED as above.
 *   an access of the driver   It comes again if it was cut. What just stores a value may be done
 *              twice. What clears, counts or toggles something is either undone, from a copy of
 *              all that it may change (UNDO), or finished, from the values that it was about to
 *              store (REDO); and once it is DONE it is not made again, but gets its old answer. In
 *              one store that says so are the number of the access and where it stands.
 *
 * The mark is there because the driver may have seen that a descriptor is done, used it for
 * something else, and not told us of that yet (the tail). Who finds MARKED looks whether the mark
 * is still there: then the driver saw nothing, and the write-back is done again. If not, it was
 * done, and the descriptor is the driver's. Nothing that a driver puts into a descriptor looks like
 * a mark, and no driver looks at one that is not done (DD).
 *
 * A frame that is on its way when the process is killed may be lost, or be sent once more (of a
 * large packet that is cut into many frames, one of these), and be counted once more. No other
 * frame is. Causes of interrupts are set again for each queue that runs, and messages are sent.
 *
 * A store that makes something valid is a release; the stores before it are there first. In each
 * structure the lock of what it belongs to is held, as internal.h has it. None of it costs a system
 * call; marks are written, and packets and accesses are kept, only while the memory is in a file.
 */
#ifndef MODELS_IGB_KEPT_H
#define MODELS_IGB_KEPT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/igb/regs.h"

#define IGB_BAR0_SIZE 0x20000u
#define IGB_NVM_WORDS 1024u
#define IGB_FRAME_MAX 0x2600u  /* 9.5 KiB (7.1, 7.2) */
#define IGB_TSO_MAX   0x40000u /* PAYLEN has 18 bits (7.2.2.3.11) */
#define IGB_PKT_MAX   (IGB_TSO_MAX + 1024u)

enum igb_record { IGB_RECORD_NONE, IGB_RECORD_READY, IGB_RECORD_MARKED };

/* A frame of this length, with its FCS, in the smallest buffers. */
#define IGB_RX_PARTS ((IGB_FRAME_MAX + 4) / 256 + 1)

struct igb_kept_rx {
	bool wedged; /* a descriptor could not be read: the queue stands until a reset */
	/* a frame that is being stored */
	struct {
		_Atomic uint32_t state; /* enum igb_record */
		bool legacy;		/* the first half of the descriptors stays */
		uint16_t first, count, next, size;
		uint64_t ring;
		uint64_t part[IGB_RX_PARTS][2]; /* what is written back */
	} record;
};

struct igb_context { /* 7.2.2.2 */
	uint16_t maclen, iplen, l4len, mss, vlan;
	uint32_t tucmd;
};

/* What a queue knows of the descriptors that were carried out. */
struct igb_tx_state {
	struct igb_context ctx[2];
	uint32_t first_cmd, first_opt; /* of the packet's first descriptor */
	uint32_t len;
	bool bad; /* the packet that is being put together cannot be sent */
	bool started;
};

struct igb_kept_tx {
	bool wedged; /* a DMA read was aborted: the engine stands until a reset */
	struct igb_tx_state state;
	/*
	 * while a large packet is sent: the index of its last descriptor, and above IGB_SENT_SHIFT
	 * how many of its frames are sent; or IGB_SENT_NONE
	 */
	_Atomic uint64_t sent;
	/* a descriptor that was carried out */
	struct {
		_Atomic uint32_t valid; /* enum igb_record */
		bool report;
		uint16_t index, next;
		uint32_t status;
		uint64_t ring;
		struct igb_tx_state state;
	} record;
	uint8_t packet[IGB_PKT_MAX]; /* state.len bytes of the packet that has no end yet */
};
#define IGB_SENT_SHIFT 16
#define IGB_SENT_NONE  UINT64_MAX

/* A function's part of the extended causes: bit i is its message i. */
struct igb_kept_bank {
	uint32_t eicr, eims, eiac, eiam;
	uint32_t sent; /* causes for which the message went out already */
};

struct igb_kept_vector {
	uint64_t next; /* ns: no message before */
	bool armed;
};

/* With irq.lock. */
struct igb_kept_irq {
	uint32_t icr, ims, iam, gpie;
	uint32_t sent; /* of icr: as in a bank */
	struct igb_kept_bank bank[IGB_FUNCTIONS];
	struct igb_kept_vector vec[IGB_VECTORS];
};

#define IGB_SPI_PAGE 32u
/* The state of the serial EEPROM: nvm.c */
struct igb_spi {
	bool selected, clock, out;
	uint8_t in, code, status;
	unsigned bits, bytes, at; /* since it was selected */
	uint32_t filled;	  /* bytes of page that are to be written */
	uint8_t page[IGB_SPI_PAGE];
};

/* With ctl, but for reads of what is atomic. */
struct igb_kept_ctl {
	struct igb_spi spi;
	uint16_t phy[32];
	uint16_t nvm[IGB_NVM_WORDS];
	atomic_uint mode;      /* of the PHY's link: IGB_MODE_* */
	atomic_bool link;      /* STATUS.LU */
	atomic_bool link_news; /* it changed, and ICR.LSC may not tell yet */
};

enum { IGB_RX, IGB_TX };
#define IGB_SIZES 6u  /* of frames, as the statistics have them */
#define IGB_VIEWS 28u /* registers that show a part of the totals: stats.c */
struct igb_traffic {
	_Atomic uint64_t frames[IGB_SIZES][3], octets; /* unicast, multicast, broadcast */
	_Atomic uint64_t refused, refused_octets;      /* by a filter, or for want of room */
};
#define IGB_STATS_END 0x4200u
/* registers that count, and are cleared by reading: the statistics, and RQDPC of each queue */
#define IGB_COUNTS ((IGB_STATS_END - IGB_STATS) / 4 + IGB_QUEUES)
struct igb_kept_stats {
	struct igb_traffic traffic[2]; /* IGB_RX, IGB_TX */
	_Atomic uint64_t taken[IGB_VIEWS], shown[IGB_VIEWS];
	_Atomic uint64_t read[IGB_COUNTS]; /* of each: what was read of it already */
};

enum igb_access_state {
	IGB_ACCESS_NONE,
	IGB_ACCESS_UNDO_IRQ,
	IGB_ACCESS_UNDO_CTL,
	IGB_ACCESS_REDO,
	IGB_ACCESS_DONE
};
/* An access of 4 bytes, or half of one of 8. */
struct igb_kept_access {
	_Atomic uint64_t state; /* enum igb_access_state, and above it the access's number */
	uint32_t answer;
	/* for REDO: offsets in struct igb_kept; 0: there is none */
	struct {
		uint32_t at;
		bool wide; /* 64 bits */
		uint64_t value;
	} set[2];
};
#define IGB_ACCESS_SHIFT 8

struct igb_kept {
	uint64_t layout; /* IGB_KEPT_LAYOUT, of which this memory is */
	uint32_t vectors;
	_Atomic uint32_t ioaddr;
	struct igb_kept_access access[2];
	struct igb_kept_irq irq;
	struct igb_kept_ctl ctl;
	struct igb_kept_stats stats;
	_Atomic uint32_t reg[IGB_BAR0_SIZE / 4];
	struct igb_kept_rx rx[IGB_QUEUES];
	struct igb_kept_tx tx[IGB_QUEUES];
	/* copies, for UNDO; nobody looks at them before they are whole */
	_Alignas(4096) struct igb_kept_irq irq_was;
	struct igb_kept_ctl ctl_was;
};
/* Another one where this file changes, or what any of it means. */
#define IGB_KEPT_LAYOUT ((uint64_t)sizeof(struct igb_kept) << 32 | 1u)

#endif
