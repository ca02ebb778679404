/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/igb.h: a user-level driver of the Intel 82576, its port looped back to itself.
 * Section numbers are of the 82576 datasheet, revision 2.61.
 */
#ifndef DRIVERS_IGB_H
#define DRIVERS_IGB_H
#include "pci.h"

/*
 * 8.1.3; those of the legacy interrupt causes by their second address, which QEMU's model has alone
 */
enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	CTRL_EXT = 0x0018,
	EECD = 0x0010,
	EERD = 0x0014,
	MDIC = 0x0020,
	VET = 0x0038,
	LEDCTL = 0x0e00,
	RCTL = 0x0100,
	TCTL = 0x0400,
	TCTL_EXT = 0x0404,
	TIPG = 0x0410,
	EEMNGCTL = 0x1010,
	ICR = 0x00c0,
	ICS = 0x00c8,
	IMS = 0x00d0,
	IMC = 0x00d8,
	IAM = 0x00e0,
	IMS_NEW = 0x1508,
	GPIE = 0x1514,
	EICS = 0x1520,
	EIMS = 0x1524,
	EIMC = 0x1528,
	EIAC = 0x152c,
	EIAM = 0x1530,
	EICR = 0x1580,
	EITR0 = 0x1680,
	IVAR0 = 0x1700,
	IVAR_MISC = 0x1740,
	RXPBS = 0x2404,
	TXPBS = 0x3404,
	FCRTV = 0x2460,
	DTXTCPFLGL = 0x359c,
	DTXTCPFLGH = 0x35a0,
	DTXCTL = 0x3590,
	RXCSUM = 0x5000,
	RLPML = 0x5004,
	RFCTL = 0x5008,
	MTA = 0x5200,
	RAL0 = 0x5400,
	RAH0 = 0x5404,
	VFTA = 0x5600,
	MRQC = 0x5818,
	VT_CTL = 0x581c,
	RETA = 0x5c00,
	RSSRK = 0x5c80,
	SWSM = 0x5b50,
	FWSM = 0x5b54,
	SW_FW_SYNC = 0x5b5c,
};
/* 8.10, 8.12: queue n's are 0x40 apart */
enum {
	RDBAL = 0xc000,
	RDBAH = 0xc004,
	RDLEN = 0xc008,
	SRRCTL = 0xc00c,
	RDH = 0xc010,
	RDT = 0xc018,
	RXDCTL = 0xc028,
	RQDPC = 0xc030,
	TDBAL = 0xe000,
	TDBAH = 0xe004,
	TDLEN = 0xe008,
	TDH = 0xe010,
	TDT = 0xe018,
	TXDCTL = 0xe028,
	TDWBAL = 0xe038,
	TDWBAH = 0xe03c
};
/* 8.18 */
enum {
	CRCERRS = 0x4000,
	MPC = 0x4010,
	PRC64 = 0x405c,
	PRC127 = 0x4060,
	PRC255 = 0x4064,
	PRC511 = 0x4068,
	PRC1023 = 0x406c,
	PRC1522 = 0x4070,
	GPRC = 0x4074,
	BPRC = 0x4078,
	MPRC = 0x407c,
	GPTC = 0x4080,
	GORCL = 0x4088,
	GORCH = 0x408c,
	GOTCL = 0x4090,
	GOTCH = 0x4094,
	RNBC = 0x40a0,
	TORL = 0x40c0,
	TORH = 0x40c4,
	TOTL = 0x40c8,
	TOTH = 0x40cc,
	TPR = 0x40d0,
	TPT = 0x40d4,
	PTC64 = 0x40d8,
	PTC127 = 0x40dc,
	PTC255 = 0x40e0,
	PTC511 = 0x40e4,
	PTC1023 = 0x40e8,
	PTC1522 = 0x40ec,
	MPTC = 0x40f0,
	BPTC = 0x40f4,
	TSCTC = 0x40f8,
	STATISTICS_END = 0x4134
};

#define CTRL_RST (1u << 26)
/* 3.5.6.3.1: full duplex, SLU, 1000, speed and duplex forced */
#define CTRL_LOOP	  0x00001a41u
#define CTRL_VME	  (1u << 30)
#define CTRL_EXT_EXT_VLAN (1u << 26)
#define RCTL_EN		  (1u << 1)
#define RCTL_UPE	  (1u << 3)
#define RCTL_MPE	  (1u << 4)
#define RCTL_LBM	  (1u << 6)
#define RCTL_BAM	  (1u << 15)
#define RCTL_VFE	  (1u << 18)
#define RCTL_SECRC	  (1u << 26)
#define TCTL_EN		  (1u << 1)
#define TCTL_PSP	  (1u << 3)
#define QUEUE_ENABLE	  (1u << 25)
#define SRRCTL_ADVANCED	  (1u << 25)
#define GPIE_MSIX	  (1u << 4)
#define GPIE_EIAME	  (1u << 30)

/* 7.2.2: the third dword of a transmit descriptor */
#define TX_EOP	   (1u << 24)
#define TX_IFCS	   (1u << 25)
#define TX_IC	   (1u << 26)
#define TX_RS	   (1u << 27)
#define TX_DEXT	   (1u << 29)
#define TX_VLE	   (1u << 30)
#define TX_TSE	   (1u << 31)
#define TX_DATA	   (TX_DEXT | 3u << 20 | TX_IFCS)
#define TX_CONTEXT (TX_DEXT | 2u << 20)
#define TX_IXSM	   (1u << 8)
#define TX_TXSM	   (1u << 9)
#define RX_DD	   1u
#define RX_EOP	   2u

#define IGB_RING       64u
#define IGB_BUFFER     2048u
#define IGB_MAX_QUEUES 4u

struct igb_descriptor {
	uint64_t address;
	uint32_t command, options;
};

/* A frame that was received, in one or more descriptors. */
struct igb_frame {
	unsigned queue, descriptors, length;
	uint32_t status, type, hash; /* the last descriptor's: 7.1.5.2 */
	uint16_t vlan;
	uint8_t data[16384];
};

struct igb {
	struct pci_device pci;
	volatile char *bar;
	uint8_t mac[6];
	struct igb_queue {
		struct igb_descriptor *tx;
		volatile struct igb_descriptor *rx;
		uint64_t tx_iova, rx_iova;
		char *rx_data; /* IGB_RING buffers */
		uint64_t rx_data_iova;
		uint32_t tx_tail, rx_next, rx_tail;
	} queue[IGB_MAX_QUEUES];
	char *tx_data; /* 64 KiB to send from */
	uint64_t tx_data_iova;
	volatile uint32_t *head; /* for 7.2.3 */
	uint64_t head_iova;
};

static inline uint32_t reg_read(struct igb *g, unsigned offset)
{
	return mmio_read32(g->bar + offset);
}

static inline void reg_write(struct igb *g, unsigned offset, uint32_t value)
{
	mmio_write32(g->bar + offset, value);
}

/* ---- igb.c ---- */
void igb_open(struct igb *g, const char *address);
/* CTRL.RST until it is done; interrupts off. false: it does not end. */
bool igb_reset(struct igb *g);
/*
 * Reset, PHY and MAC looped back, @queues queues with empty transmit and full receive rings; more
 * of RCTL in @rctl.
 */
void igb_start(struct igb *g, unsigned queues, uint32_t rctl, uint32_t srrctl);
/* -1: error or no answer */
int igb_phy_read(struct igb *g, unsigned phy, unsigned reg);
int igb_phy_write(struct igb *g, unsigned phy, unsigned reg, unsigned value);
int igb_eeprom(struct igb *g, unsigned word);
void igb_put(struct igb *g, unsigned queue, uint64_t address, uint32_t command, uint32_t options);
/* Rings, and waits up to a second until the head is where the tail is. */
bool igb_send(struct igb *g, unsigned queue);
/* The next frame of @queue, waited for up to @ms. */
bool igb_receive(struct igb *g, unsigned queue, struct igb_frame *f, unsigned ms);
/* Copies a frame to byte @at of the memory to send from and puts an advanced descriptor for it. */
void igb_put_frame(struct igb *g, unsigned queue, const void *frame, unsigned length,
		   uint32_t command, uint32_t options);
#endif
