/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/regs.h: testdev's registers (docs/testdev.md), for the model and for its drivers:
 * tests/ and bench/ drive it as a program does.
 */
#ifndef MODELS_TESTDEV_REGS_H
#define MODELS_TESTDEV_REGS_H

/*
 * BAR2: control registers. Any 64-bit one takes 8 bytes, or 4 at a time; any 32-bit one takes 4,
 * unless it says otherwise.
 */
#define TD_ID		  0x000
#define TD_VERSION	  0x004
#define TD_READS	  0x008
#define TD_WRITES	  0x00c
#define TD_LAST_ACCESS	  0x010
#define TD_LAST_OFFSET	  0x014
#define TD_SCRATCH8	  0x020
#define TD_SCRATCH16	  0x022
#define TD_SCRATCH32	  0x024
#define TD_SCRATCH64	  0x028
#define TD_FAIL		  0x030
#define TD_ONLY4	  0x034
#define TD_MSI		  0x040
#define TD_INTX		  0x044
#define TD_MSI_BURST	  0x048
#define TD_IRQ_MODE	  0x04c
#define TD_TIMER_VECTOR	  0x050
#define TD_TIMER	  0x054
#define TD_ERROR	  0x058
#define TD_POWER	  0x05c
#define TD_RESETS	  0x060
#define TD_LAST_RESET	  0x064
#define TD_CFG_WRITES	  0x068
#define TD_LAST_CFG	  0x06c
#define TD_DMA_SRC	  0x080
#define TD_DMA_DST	  0x088
#define TD_DMA_LEN	  0x090
#define TD_DMA_CMD	  0x098
#define TD_DMA_STATUS	  0x09c
#define TD_DMA_PATTERN	  0x0a0
#define TD_DMA_VECTOR	  0x0a4
#define TD_DMA_DELAY	  0x0a8
#define TD_DMA_DONE	  0x0b0
#define TD_DMA_ADDR	  0x0b8
#define TD_PAGE_ADDR	  0x0c0
#define TD_PAGE_CMD	  0x0c8
#define TD_PAGE_STATUS	  0x0cc
#define TD_PAGE_ANSWERS	  0x0d0
#define TD_PAGE_PASID	  0x0d4
#define TD_DMA_PASID	  0x0d8
#define TD_WINDOW_ADDRESS 0x0e0
#define TD_WINDOW_DATA	  0x0e4
#define TD_OWN_RESET	  0x0e8
#define TD_REGS_END	  0x0f0
#define TD_MIRROR	  0x2000
#define TD_MIRROR_SIZE	  0x1000

#define TD_ID_VALUE	 0x54465655u /* "UVFT" */
#define TD_INTX_TIMER	 0xffffffffu /* TIMER_VECTOR: raise the line */
#define TD_PME_TIMER	 0xfffffffeu /* send PME */
#define TD_ERROR_FATAL	 0x80000000u
#define TD_WINDOW_CONFIG 0x80000000u /* WINDOW_ADDRESS bits 31:12: data is of config space */
#define TD_OWN_RESET_KEY 0x52455345u
#define TD_RESET_OWN	 4u /* LAST_RESET */

/* DMA_CMD */
#define TD_OP_COPY	1u
#define TD_OP_FILL	2u
#define TD_OP_COMPARE	3u
#define TD_OP_LOAD	4u /* memory to BAR0 */
#define TD_OP_STORE	5u /* BAR0 to memory */
#define TD_OP_CHECK	6u /* memory against the pattern */
#define TD_OP_MASK	0xfu
#define TD_DMA_IRQ	0x100u
#define TD_DMA_ASYNC	0x200u
#define TD_DMA_DIRECT	0x400u
#define TD_DMA_PAGING	0x800u
#define TD_DMA_CMD_BITS (TD_OP_MASK | TD_DMA_IRQ | TD_DMA_ASYNC | TD_DMA_DIRECT | TD_DMA_PAGING)

/* DMA_STATUS */
enum td_dma_status {
	TD_DMA_IDLE,
	TD_DMA_BUSY,
	TD_DMA_OK,
	TD_DMA_FAULT,
	TD_DMA_MISMATCH,
	TD_DMA_BAD
};

/* PAGE_CMD */
#define TD_PAGE_PERM	    7u /* 1 read, 2 write, 4 execute */
#define TD_PAGE_LAST	    0x100u
#define TD_PAGE_IRQ	    0x200u
#define TD_PAGE_GROUP_SHIFT 16
#define TD_PAGE_CMD_BITS    (0x01ff0000u | TD_PAGE_IRQ | TD_PAGE_LAST | TD_PAGE_PERM)
#define TD_PAGE_ENGINE	    511u /* the group of the DMA engine's requests */

/* PAGE_STATUS: with the group, as in PAGE_CMD */
#define TD_PAGE_STATE 7u
enum td_page_status {
	TD_PAGE_NONE,
	TD_PAGE_WAITING,
	TD_PAGE_SUCCESS,
	TD_PAGE_INVALID,
	TD_PAGE_REFUSED
};
#endif
