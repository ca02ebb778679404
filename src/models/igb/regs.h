/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/regs.h: registers and descriptors of the 82576. Numbers in comments are sections of
 * the Intel 82576 Gigabit Ethernet Controller Datasheet, revision 2.61 (8: registers, 7:
 * functions).
 *
 * Every register has one canonical offset; regs.c brings the aliases there (8.1.3).
 */
#ifndef MODELS_IGB_REGS_H
#define MODELS_IGB_REGS_H

#define IGB_QUEUES	 16u /* 7.1, 7.2: pairs */
#define IGB_VECTORS	 25u /* 7.3.1: MSI-X */
#define IGB_RARS	 24u /* 8.10.15 */
#define IGB_VFS		 8u  /* 7.10: virtual functions, and pools */
#define IGB_PF		 IGB_VFS
#define IGB_FUNCTIONS	 (IGB_VFS + 1)
#define IGB_VF_VECTORS	 3u
#define IGB_VF_VECTOR(n) (22u - IGB_VF_VECTORS * (n)) /* the first of a VF's among the 25 */

/* 8.2 general */
#define IGB_CTRL     0x0000u
#define IGB_STATUS   0x0008u
#define IGB_EECD     0x0010u /* 8.4.1 */
#define IGB_EERD     0x0014u /* 8.4.2 */
#define IGB_CTRL_EXT 0x0018u
#define IGB_MDIC     0x0020u
#define IGB_SCTL     0x0024u
#define IGB_FCAL     0x0028u
#define IGB_FCAH     0x002cu
#define IGB_FCT	     0x0030u
#define IGB_CONNSW   0x0034u
#define IGB_VET	     0x0038u
#define IGB_FCTTV    0x0170u
#define IGB_LEDCTL   0x0e00u
#define IGB_PBA	     0x1000u
#define IGB_PBS	     0x1008u
#define IGB_EEMNGCTL 0x1010u /* 8.4.4 */
#define IGB_I2CCMD   0x1028u
#define IGB_I2CPARAM 0x102cu
#define IGB_FRTIMER  0x1048u
#define IGB_TCPTIMER 0x104cu

#define CTRL_FD		   (1u << 0)
#define CTRL_GIO_DISABLE   (1u << 2)
#define CTRL_SLU	   (1u << 6)
#define CTRL_SPEED	   (3u << 8)
#define CTRL_SPEED_1000	   (2u << 8)
#define CTRL_FRCSPD	   (1u << 11)
#define CTRL_FRCDPX	   (1u << 12)
#define CTRL_ADVD3WUC	   (1u << 20)
#define CTRL_RST	   (1u << 26)
#define CTRL_VME	   (1u << 30)
#define CTRL_PHY_RST	   (1u << 31)
#define STATUS_FD	   (1u << 0)
#define STATUS_LU	   (1u << 1)
#define STATUS_SPEED(s)	   ((uint32_t)(s) << 6)
#define STATUS_PHYRA	   (1u << 10)
#define STATUS_GIO	   (1u << 19)
#define EECD_SK		   (1u << 0)
#define EECD_CS		   (1u << 1)
#define EECD_DI		   (1u << 2)
#define EECD_CLEAR	   0x0fu /* these and DO */
#define EECD_DO		   (1u << 3)
#define EECD_REQ	   (1u << 6)
#define EECD_GNT	   (1u << 7)
#define EECD_PRES	   (1u << 8)
#define EECD_AUTO_RD	   (1u << 9)
#define EECD_ADDR_BITS	   (1u << 10)
#define EECD_SIZE_SHIFT	   11
#define EERD_START	   (1u << 0)
#define EERD_DONE	   (1u << 1)
#define EEMNGCTL_CFG_DONE0 (1u << 18)
#define CTRL_EXT_EE_RST	   (1u << 13)
#define CTRL_EXT_PFRSTD	   (1u << 14)
#define CTRL_EXT_EXT_VLAN  (1u << 26)
#define MDIC_OP_WRITE	   1u
#define MDIC_OP_READ	   2u
#define MDIC_READY	   (1u << 28)
#define MDIC_IE		   (1u << 29)
#define MDIC_ERROR	   (1u << 30)
#define MDIC_DEST	   (1u << 31)

/* 8.8 interrupts */
#define IGB_ICR	      0x1500u
#define IGB_ICS	      0x1504u
#define IGB_IMS	      0x1508u
#define IGB_IMC	      0x150cu
#define IGB_IAM	      0x1510u
#define IGB_GPIE      0x1514u
#define IGB_EICS      0x1520u
#define IGB_EIMS      0x1524u
#define IGB_EIMC      0x1528u
#define IGB_EIAC      0x152cu
#define IGB_EIAM      0x1530u
#define IGB_EICR      0x1580u
#define IGB_EITR(n)   (0x1680u + 4u * (n))
#define IGB_IVAR(n)   (0x1700u + 4u * (n)) /* 8 of them: queues n and n + 8 */
#define IGB_IVAR_MISC 0x1740u

#define ICR_TXDW	 (1u << 0)
#define ICR_LSC		 (1u << 2)
#define ICR_RXO		 (1u << 6)
#define ICR_RXDW	 (1u << 7)
#define ICR_VMMB	 (1u << 8)
#define ICR_MDAC	 (1u << 9)
#define ICR_DOUTSYNC	 (1u << 28)
#define ICR_ASSERTED	 (1u << 31)
#define ICR_BITS	 0x77d4fbfdu /* 8.8.8: the causes there are */
#define GPIE_NSICR	 (1u << 0)
#define GPIE_MSIX	 (1u << 4)
#define GPIE_EIAME	 (1u << 30)
#define GPIE_BITS	 0xc0000f91u /* 8.8.16 */
#define EICR_BITS	 0x01ffffffu /* with GPIE.Multiple_MSIX; else: */
#define EICR_LEGACY_BITS 0xc000ffffu
#define EICR_OTHER	 (1u << 31)
#define IVAR_VALID	 0x80u
#define EITR_INTERVAL	 0x7ffcu /* 8.8.14: bits 14:2, microseconds */

/* 8.10 receive */
#define IGB_RCTL      0x0100u
#define IGB_FCRTL     0x2160u
#define IGB_FCRTH     0x2168u
#define IGB_RXPBS     0x2404u
#define IGB_FCRTV     0x2460u
#define IGB_RXCSUM    0x5000u
#define IGB_RLPML     0x5004u
#define IGB_RFCTL     0x5008u
#define IGB_MTA	      0x5200u
#define IGB_RAL(n)    ((n) < 16 ? 0x5400u + 8u * (n) : 0x54e0u + 8u * ((n)-16u))
#define IGB_RAH(n)    (IGB_RAL(n) + 4u)
#define IGB_VFTA      0x5600u
#define IGB_MRQC      0x5818u
#define IGB_VT_CTL    0x581cu
#define IGB_RETA      0x5c00u
#define IGB_RSSRK     0x5c80u
#define IGB_RXQ(n, r) (0xc000u + 0x40u * (n) + (r))
#define IGB_RXQ_END   0xc400u
#define RDBAL	      0x00u
#define RDBAH	      0x04u
#define RDLEN	      0x08u
#define SRRCTL	      0x0cu
#define RDH	      0x10u
#define DCA_CTRL      0x14u
#define RDT	      0x18u
#define RXDCTL	      0x28u
#define RQDPC	      0x30u

/* 7.1.2 filters for queues */
#define IGB_VLAPQF	  0x55b0u
#define IGB_SYNQF	  0x55fcu
#define IGB_FTQFS	  8u
#define IGB_SAQF(n)	  (0x5980u + 4u * (n))
#define IGB_DAQF(n)	  (0x59a0u + 4u * (n))
#define IGB_SPQF(n)	  (0x59c0u + 4u * (n))
#define IGB_FTQF(n)	  (0x59e0u + 4u * (n))
#define IGB_IMIR(n)	  (0x5a80u + 4u * (n))
#define IGB_IMIREXT(n)	  (0x5aa0u + 4u * (n))
#define IGB_ETQFS	  8u
#define IGB_ETQF(n)	  (0x5cb0u + 4u * (n))
#define RFCTL_SYNQFP	  (1u << 19)
#define SYNQF_ENABLE	  (1u << 0)
#define FTQF_QUEUE_ENABLE (1u << 8)
#define FTQF_MASK_PROTO	  (1u << 28) /* set: not compared */
#define FTQF_MASK_SADDR	  (1u << 29)
#define FTQF_MASK_DADDR	  (1u << 30)
#define FTQF_MASK_SPORT	  (1u << 31)
#define IMIR_PORT_BP	  (1u << 17)
#define IMIREXT_SIZE_BP	  (1u << 12)
#define IMIREXT_CTRL_BP	  (1u << 19)
#define ETQF_ENABLE	  (1u << 26)
#define ETQF_QUEUE_ENABLE (1u << 31)
#define PTYPE_ETQF	  (1u << 11)

#define RCTL_EN		   (1u << 1)
#define RCTL_UPE	   (1u << 3)
#define RCTL_MPE	   (1u << 4)
#define RCTL_LPE	   (1u << 5)
#define RCTL_LBM	   (3u << 6)
#define RCTL_LBM_MAC	   (1u << 6)
#define RCTL_BAM	   (1u << 15)
#define RCTL_VFE	   (1u << 18)
#define RCTL_CFIEN	   (1u << 19)
#define RCTL_CFI	   (1u << 20)
#define RCTL_PMCF	   (1u << 23)
#define RCTL_SECRC	   (1u << 26)
#define RXCSUM_IPOFL	   (1u << 8)
#define RXCSUM_TUOFL	   (1u << 9)
#define RXCSUM_PCSD	   (1u << 13)
#define RAH_AV		   (1u << 31)
#define QUEUE_ENABLE	   (1u << 25) /* RXDCTL, TXDCTL */
#define QUEUE_FLUSH	   (1u << 26) /* self-clearing */
#define SRRCTL_DESCTYPE(v) ((v) >> 25 & 7)
enum {
	DESCTYPE_LEGACY = 0,
	DESCTYPE_ADVANCED = 1,
	DESCTYPE_SPLIT = 2,
	DESCTYPE_SPLIT_ALWAYS = 5, /* the header buffer is used for each frame */
};
#define SRRCTL_DROP_EN (1u << 31)
#define MRQC_MODE(v)   ((v)&7)
#define MRQC_RSS       2u
#define MRQC_VMDQ      1u /* set in both modes with pools: */
#define MRQC_VMDQ_POOL 3u
#define MRQC_VMDQ_RSS  5u

/* 7.1.5.2: write-back of an advanced receive descriptor. 7.1.4.3 has the low ones for legacy. */
#define RXD_DD	  (1u << 0)
#define RXD_EOP	  (1u << 1)
#define RXD_VP	  (1u << 3)
#define RXD_UDPCS (1u << 4)
#define RXD_L4CS  (1u << 5)
#define RXD_IPCS  (1u << 6)
#define RXD_PIF	  (1u << 7)
#define RXD_VEXT  (1u << 9)
#define RXD_LB	  (1u << 18)
#define RXD_HBO	  (1u << 23)
#define RXD_L4E	  (1u << 29)
#define RXD_IPE	  (1u << 30)
/* of the lower half */
#define RXD_HDR_LEN(n) ((uint32_t)(n) << 21)
#define RXD_SPH	       (1u << 31)
#define PTYPE_IPV4     (1u << 0)
#define PTYPE_IPV4E    (1u << 1)
#define PTYPE_IPV6     (1u << 2)
#define PTYPE_IPV6E    (1u << 3)
#define PTYPE_TCP      (1u << 4)
#define PTYPE_UDP      (1u << 5)
#define PTYPE_SCTP     (1u << 6)

/* 8.12 transmit */
#define IGB_TCTL       0x0400u
#define IGB_TCTL_EXT   0x0404u
#define IGB_TIPG       0x0410u
#define IGB_TXPBS      0x3404u
#define IGB_DTXTCPFLGL 0x359cu
#define IGB_DTXTCPFLGH 0x35a0u
#define IGB_DTXCTL     0x3590u
#define IGB_TXQ(n, r)  (0xe000u + 0x40u * (n) + (r))
#define IGB_TXQ_END    0xe400u
#define TDBAL	       0x00u
#define TDBAH	       0x04u
#define TDLEN	       0x08u
#define TDH	       0x10u
#define TDT	       0x18u
#define TXDCTL	       0x28u
#define TDWBAL	       0x38u
#define TDWBAH	       0x3cu

#define TCTL_EN	 (1u << 1)
#define TCTL_PSP (1u << 3)

/* 7.2.2: third dword of a transmit descriptor; legacy ones have DEXT clear */
#define TXD_EOP	     (1u << 24)
#define TXD_IC	     (1u << 26) /* legacy only */
#define TXD_RS	     (1u << 27)
#define TXD_DEXT     (1u << 29)
#define TXD_VLE	     (1u << 30)
#define TXD_TSE	     (1u << 31) /* advanced only */
#define TXD_DTYP(v)  ((v) >> 20 & 15)
#define DTYP_CONTEXT 2u
#define DTYP_DATA    3u
#define TXD_DD	     (1u << 0)
#define POPTS_IXSM   (1u << 8)
#define POPTS_TXSM   (1u << 9)
#define TUCMD_IPV4   (1u << 10)
#define TUCMD_L4T(v) ((v) >> 11 & 3)
#define L4T_UDP	     0u
#define L4T_TCP	     1u
#define L4T_SCTP     2u

/* 8.18 statistics (read to clear) */
#define IGB_STATS   0x4000u
#define IGB_MPC	    0x4010u
#define IGB_XOFFRXC 0x4050u
#define IGB_PRC64   0x405cu
#define IGB_GPRC    0x4074u
#define IGB_BPRC    0x4078u
#define IGB_MPRC    0x407cu
#define IGB_GPTC    0x4080u
#define IGB_GORCL   0x4088u
#define IGB_GOTCL   0x4090u
#define IGB_RNBC    0x40a0u
#define IGB_ROC	    0x40acu
#define IGB_RLEC    0x4040u
#define IGB_TORL    0x40c0u
#define IGB_TOTL    0x40c8u
#define IGB_TPR	    0x40d0u
#define IGB_TPT	    0x40d4u
#define IGB_PTC64   0x40d8u
#define IGB_MPTC    0x40f0u
#define IGB_BPTC    0x40f4u
#define IGB_TSCTC   0x40f8u
#define IGB_RPTHC   0x4104u
#define IGB_HGPTC   0x4118u
#define IGB_HGORCL  0x4128u
#define IGB_HGOTCL  0x4130u

#define IGB_SSVPC 0x41a0u

/* 7.10 pools and virtual functions */
#define IGB_VMBMEM(n)	  (0x0800u + 0x40u * (n)) /* 16 words */
#define IGB_P2VMAILBOX(n) (0x0c00u + 4u * (n))
#define IGB_V2PMAILBOX(n) (0x0c40u + 4u * (n))
#define IGB_MBVFICR	  0x0c80u
#define IGB_MBVFIMR	  0x0c84u
#define IGB_VFLRE	  0x0c88u
#define IGB_VFRE	  0x0c8cu
#define IGB_VFTE	  0x0c90u
#define IGB_QDE		  0x2408u
#define IGB_DTXSWC	  0x3500u
#define IGB_WVBR	  0x3554u
#define IGB_VMVIR(n)	  (0x3700u + 4u * (n))
#define IGB_PSRTYPE(n)	  (0x5480u + 4u * (n))
enum { /* 8.10.3: the kinds of headers that are split, a bit each */
       PSR_IPV4_FRAGMENT = 1,
       PSR_IPV4_TCP = 2,
       PSR_IPV4_UDP = 3,
       PSR_IPV6_FRAGMENT = 7,
       PSR_IPV6_TCP = 8,
       PSR_IPV6_UDP = 9,
};
#define IGB_VMOLR(n)	   (0x5ad0u + 4u * (n))
#define IGB_RPLOLR	   0x5af0u
#define IGB_IOVCTL	   0x5bbcu
#define IGB_VLVF(n)	   (0x5d00u + 4u * (n))
#define IGB_VLVFS	   32u
#define IGB_UTA		   0xa000u
#define IGB_VTIVAR(n)	   (0x11700u + 4u * (n))
#define IGB_VTIVAR_MISC(n) (0x11720u + 4u * (n))
/* Registers that a VF sees elsewhere, at VTCTRL(n) + the offset here */
#define IGB_VTCTRL(n) (0x10000u + 0x100u * (n))
#define IGB_VT_END    0x10800u
#define VTEICS	      0x20u
#define VTEIMS	      0x24u
#define VTEIMC	      0x28u
#define VTEIAC	      0x2cu
#define VTEIAM	      0x30u
#define VTEICR	      0x80u
#define PVFGPRC	      0x10u
#define PVFGPTC	      0x14u
#define PVFGORC	      0x18u
#define PVFGOTC	      0x34u
#define PVFMPRC	      0x38u
#define PVFGPRLBC     0x40u
#define PVFGPTLBC     0x44u
#define PVFGORLBC     0x48u
#define PVFGOTLBC     0x50u

#define MAILBOX_STS	  (1u << 0) /* P2V: a message for the VF */
#define MAILBOX_REQ	  (1u << 0) /* V2P: one for the PF */
#define MAILBOX_ACK	  (1u << 1)
#define MAILBOX_VFU	  (1u << 2) /* the VF has the buffer */
#define MAILBOX_PFU	  (1u << 3)
#define P2VMAILBOX_RVFU	  (1u << 4)
#define V2PMAILBOX_PFSTS  (1u << 4)
#define V2PMAILBOX_PFACK  (1u << 5)
#define V2PMAILBOX_RSTI	  (1u << 6)
#define V2PMAILBOX_RSTD	  (1u << 7)
#define MBVFICR_REQ(n)	  (1u << (n))
#define MBVFICR_ACK(n)	  (1u << (16 + (n)))
#define DTXCTL_SPOOF_INT  (1u << 6)
#define DTXSWC_MACAS(n)	  (1u << (n))
#define DTXSWC_VLANAS(n)  (1u << (8 + (n)))
#define DTXSWC_LLE(n)	  (1u << (16 + (n)))
#define DTXSWC_LOOPBACK	  (1u << 31)
#define VMVIR_ALWAYS	  (1u << 30)
#define VMVIR_NEVER	  (1u << 31)
#define VMOLR_RLPML(v)	  ((v)&0x3fffu)
#define VMOLR_LPE	  (1u << 16)
#define VMOLR_RSSE	  (1u << 17)
#define VMOLR_AUPE	  (1u << 24)
#define VMOLR_ROMPE	  (1u << 25)
#define VMOLR_ROPE	  (1u << 26)
#define VMOLR_BAM	  (1u << 27)
#define VMOLR_MPME	  (1u << 28)
#define VMOLR_STRVLAN	  (1u << 30)
#define VMOLR_STRCRC	  (1u << 31)
#define VT_CTL_POOL(v)	  ((v) >> 7 & 7)
#define VT_CTL_IGMAC	  (1u << 28)
#define VT_CTL_NO_DEFAULT (1u << 29)
#define VT_CTL_REPLICATE  (1u << 30)
#define VLVF_POOLS(v)	  ((v) >> 12 & 0xff)
#define VLVF_ENABLE	  (1u << 31)
#define RAH_POOLS(v)	  ((v) >> 18 & 0xff)

/* 8.6, 8.7 PCIe, semaphores */
#define IGB_GCR	       0x5b00u
#define IGB_FACTPS     0x5b30u
#define IGB_SWSM       0x5b50u
#define IGB_FWSM       0x5b54u
#define IGB_SW_FW_SYNC 0x5b5cu
#define GCR_RESEND     (1u << 16)
#define GCR_CAP_VER2   (1u << 18)
#define SWSM_SMBI      (1u << 0)
#define SWSM_SWESMBI   (1u << 1)

#endif
