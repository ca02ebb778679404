/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/edu.c: the educational device of QEMU, after its public description ("EDU device", QEMU
 * documentation, docs/specs/edu): the same identity, the same registers, so that a driver written
 * against either runs on the other, and one test program can compare what a kernel's vfio-pci makes
 * of the one with what ours makes of the other.
 *
 * The factorial and the DMA take their time, on a timer: a driver that does not wait for the busy
 * bit must fail here as well. What the description leaves open (reads where there is no register,
 * writes while DMA runs) is done as QEMU 7.2 was seen to.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "models/edu.h"

#define BAR_SIZE (1u << 20)

#define REG_ID	       0x00
#define REG_LIVE       0x04
#define REG_FACTORIAL  0x08
#define REG_STATUS     0x20
#define REG_IRQ_STATUS 0x24
#define REG_IRQ_RAISE  0x60
#define REG_IRQ_ACK    0x64
#define REG_DMA_SRC    0x80 /* from here on, 4 or 8 bytes; below, 4 */
#define REG_DMA_DST    0x88
#define REG_DMA_COUNT  0x90
#define REG_DMA_CMD    0x98

#define ID		 0x010000edu
#define STATUS_COMPUTING 0x01u
#define STATUS_IRQ	 0x80u
#define IRQ_FACTORIAL	 0x001u
#define IRQ_DMA		 0x100u
#define DMA_RUN		 0x1u
#define DMA_TO_RAM	 0x2u
#define DMA_IRQ		 0x4u

/* The device's buffer, at the address that the DMA registers know it by. No BAR shows it. */
#define BUF_ADDR 0x40000u
#define BUF_SIZE 4096u

struct edu {
	uint32_t live, factorial, status, irq_status;
	uint64_t src, dst, count, cmd;
	uint64_t dma_mask, dma_delay, factorial_delay; /* ns */
	struct uvfio_timer *factorial_timer, *dma_timer;
	uint8_t buf[BUF_SIZE];
};

/* What the description does not let a driver do. */
enum { DMA_BUSY, FACTORIAL_BUSY, DMA_BUFFER, DMA_MASK };
static const struct uvfio_kind edu_kinds[] = {
	[DMA_BUSY] = {
		.name = "dma-busy",
		.line = "A register of the DMA is written while it runs",
		.section = "QEMU, EDU device, 0x80 to 0x98",
		.fix = "Wait until bit 0 of DMA_CMD is 0, or for the interrupt.",
	},
	[FACTORIAL_BUSY] = {
		.name = "factorial-busy",
		.line = "FACTORIAL is written while one is computed",
		.section = "QEMU, EDU device, 0x20",
		.fix = "Wait until bit 0 of STATUS is 0, or for the interrupt.",
	},
	[DMA_BUFFER] = {
		.name = "dma-buffer",
		.line = "A DMA reaches beyond the buffer of the device",
		.section = "QEMU, EDU device, DMA",
		.fix = "The buffer has 4096 bytes from 0x40000 on; the other address is memory's.",
	},
	[DMA_MASK] = {
		.name = "dma-mask",
		.line = "A DMA has an address with more bits than the device drives",
		.section = "QEMU, EDU device, dma_mask",
		.fix = "Map the memory at an IOVA below the mask, which has 28 bits by itself "
		       "(option dma_mask).",
	},
	{ 0 },
};

static void raise_irq(struct uvfio_dev *dev, uint32_t bits)
{
	struct edu *edu = uvfio_priv(dev);

	edu->irq_status |= bits;
	if (!edu->irq_status)
		return;
	if (uvfio_irq_mode(dev) == UVFIO_IRQ_MSI)
		uvfio_msi(dev, 0);
	else
		uvfio_intx(dev, true);
}

static void ack_irq(struct uvfio_dev *dev, uint32_t bits)
{
	struct edu *edu = uvfio_priv(dev);

	edu->irq_status &= ~bits;
	if (!edu->irq_status)
		uvfio_intx(dev, false);
}

static void factorial_done(struct uvfio_dev *dev, void *arg)
{
	struct edu *edu = arg;
	uint32_t n = edu->factorial, v = 1;

	while (n > 1 && v) /* 34! is a multiple of 2^32: zero from there on */
		v *= n--;
	edu->factorial = v;
	edu->status &= ~STATUS_COMPUTING;
	if (edu->status & STATUS_IRQ)
		raise_irq(dev, IRQ_FACTORIAL);
}

/*
 * The device drives only so many address lines; what a driver asks for above them comes out below.
 */
static uint64_t bus_address(struct uvfio_dev *dev, uint64_t addr)
{
	struct edu *edu = uvfio_priv(dev);

	if (addr & ~edu->dma_mask)
		uvfio_report_dma(dev, DMA_MASK, addr, "cut to the device's mask 0x%" PRIx64,
				 edu->dma_mask);
	return addr & edu->dma_mask;
}

static void dma_done(struct uvfio_dev *dev, void *arg)
{
	struct edu *edu = arg;
	bool to_ram = edu->cmd & DMA_TO_RAM;
	uint64_t inner = to_ram ? edu->src : edu->dst;

	/* A fault is the IOMMU's to report: the device has no register for it. */
	if (inner < BUF_ADDR || edu->count > BUF_SIZE || inner - BUF_ADDR > BUF_SIZE - edu->count)
		uvfio_report(dev, DMA_BUFFER,
			     "DMA of %" PRIu64 " bytes at device address 0x%" PRIx64
			     ": the buffer is 0x%x..0x%x; nothing is transferred",
			     edu->count, inner, BUF_ADDR, BUF_ADDR + BUF_SIZE - 1);
	else if (to_ram)
		uvfio_dma_write(dev, bus_address(dev, edu->dst), edu->buf + (inner - BUF_ADDR),
				edu->count);
	else
		uvfio_dma_read(dev, bus_address(dev, edu->src), edu->buf + (inner - BUF_ADDR),
			       edu->count);
	edu->cmd &= ~(uint64_t)DMA_RUN;
	if (edu->cmd & DMA_IRQ)
		raise_irq(dev, IRQ_DMA);
}

static int edu_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct edu *edu = uvfio_priv(dev);

	if (size < 4)
		return -EINVAL;
	*value = UINT64_MAX; /* where there is no register */
	if (offset < REG_DMA_SRC && size != 4)
		return 0;
	switch (offset) {
	case REG_ID:
		*value = ID;
		break;
	case REG_LIVE:
		*value = edu->live;
		break;
	case REG_FACTORIAL:
		*value = edu->factorial;
		break;
	case REG_STATUS:
		*value = edu->status;
		break;
	case REG_IRQ_STATUS:
		*value = edu->irq_status;
		break;
	case REG_DMA_SRC:
		*value = edu->src;
		break;
	case REG_DMA_DST:
		*value = edu->dst;
		break;
	case REG_DMA_COUNT:
		*value = edu->count;
		break;
	case REG_DMA_CMD:
		*value = edu->cmd;
		break;
	default:
		break;
	}
	return 0;
}

static int edu_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct edu *edu = uvfio_priv(dev);

	if (size < 4)
		return -EINVAL;
	if (offset < REG_DMA_SRC && size != 4)
		return 0;
	if (offset >= REG_DMA_SRC &&
	    edu->cmd & DMA_RUN) { /* registers of a running DMA stand still */
		if (offset <= REG_DMA_CMD)
			uvfio_report_reg(dev, DMA_BUSY, 0, offset, &value, "a DMA is running");
		return 0;
	}
	switch (offset) {
	case REG_LIVE:
		edu->live = ~(uint32_t)value;
		break;
	case REG_FACTORIAL:
		if (edu->status & STATUS_COMPUTING) {
			uvfio_report_reg(dev, FACTORIAL_BUSY, 0, offset, &value,
					 "another factorial is being computed");
			break;
		}
		edu->factorial = (uint32_t)value;
		edu->status |= STATUS_COMPUTING;
		uvfio_timer_set(edu->factorial_timer, edu->factorial_delay);
		break;
	case REG_STATUS:
		edu->status = (edu->status & ~STATUS_IRQ) | (value & STATUS_IRQ);
		break;
	case REG_IRQ_RAISE:
		raise_irq(dev, (uint32_t)value);
		break;
	case REG_IRQ_ACK:
		ack_irq(dev, (uint32_t)value);
		break;
	case REG_DMA_SRC:
		edu->src = value;
		break;
	case REG_DMA_DST:
		edu->dst = value;
		break;
	case REG_DMA_COUNT:
		edu->count = value;
		break;
	case REG_DMA_CMD:
		if (!(value & DMA_RUN))
			break;
		edu->cmd = value;
		uvfio_timer_set(edu->dma_timer, edu->dma_delay);
		break;
	default:
		break;
	}
	return 0;
}

static void edu_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct edu *edu = uvfio_priv(dev);

	uvfio_timer_set(edu->factorial_timer, UINT64_MAX);
	uvfio_timer_set(edu->dma_timer, UINT64_MAX);
	uvfio_intx(dev, false);
	edu->live = edu->factorial = edu->status = edu->irq_status = 0;
	edu->src = edu->dst = edu->count = edu->cmd = 0;
}

static int edu_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct edu *edu = uvfio_priv(dev);

	uvfio_put32(s, edu->live);
	uvfio_put32(s, edu->factorial);
	uvfio_put32(s, edu->status);
	uvfio_put32(s, edu->irq_status);
	uvfio_put64(s, edu->src);
	uvfio_put64(s, edu->dst);
	uvfio_put64(s, edu->count);
	uvfio_put64(s, edu->cmd);
	uvfio_put64(s, uvfio_timer_left(edu->factorial_timer));
	uvfio_put64(s, uvfio_timer_left(edu->dma_timer));
	uvfio_put_bytes(s, edu->buf, sizeof(edu->buf));
	return 0;
}

static int edu_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct edu *edu = uvfio_priv(dev);

	edu->live = uvfio_get32(s);
	edu->factorial = uvfio_get32(s);
	edu->status = uvfio_get32(s) & (STATUS_COMPUTING | STATUS_IRQ);
	edu->irq_status = uvfio_get32(s);
	/* any numbers: the engine checks them when it runs */
	edu->src = uvfio_get64(s);
	edu->dst = uvfio_get64(s);
	edu->count = uvfio_get64(s);
	edu->cmd = uvfio_get64(s);
	uvfio_timer_set(edu->factorial_timer, uvfio_get64(s));
	uvfio_timer_set(edu->dma_timer, uvfio_get64(s));
	uvfio_get_bytes(s, edu->buf, sizeof(edu->buf));
	return 0;
}

static void edu_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct edu *edu = uvfio_priv(dev);

	uvfio_same(s, "dma_mask", edu->dma_mask);
}

static void edu_destroy(struct uvfio_dev *dev)
{
	struct edu *edu = uvfio_priv(dev);

	uvfio_timer_free(edu->factorial_timer);
	uvfio_timer_free(edu->dma_timer);
	free(edu);
}

static int edu_create(struct uvfio_dev *dev)
{
	/* Subsystem: what QEMU gives every device that names none. */
	static const struct uvfio_ids ids = {
		.vendor = 0x1234,
		.device = 0x11e8,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.class_code = 0x00ff00,
		.revision = 0x10,
	};
	struct edu *edu;
	int ret;

	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	uvfio_set_priv(dev, edu);
	edu->dma_mask = uvfio_opt_uint(dev, "dma_mask", 0);
	edu->dma_delay = uvfio_opt_uint(dev, "dma_delay", 0) * 1000;
	edu->factorial_delay = uvfio_opt_uint(dev, "factorial_delay", 0) * 1000;
	edu->factorial_timer = uvfio_timer_new(dev, factorial_done, edu);
	edu->dma_timer = uvfio_timer_new(dev, dma_done, edu);
	ret = -ENOMEM;
	if (!edu->factorial_timer || !edu->dma_timer)
		goto fail;
	ret = uvfio_set_ids(dev, &ids);
	if (ret < 0)
		goto fail;
	ret = uvfio_add_bar(dev, 0, BAR_SIZE, 0);
	if (ret < 0)
		goto fail;
	ret = uvfio_add_intx(dev, 1, true);
	if (ret < 0)
		goto fail;
	ret = uvfio_add_msi(dev, 1, true, false);
	if (ret < 0)
		goto fail;
	return 0;
fail:
	edu_destroy(dev);
	return ret;
}

static const struct uvfio_option edu_options[] = {
	{ .name = "dma_mask",
	  .type = UVFIO_OPT_UINT,
	  .def = "0xfffffff",
	  .help = "address bits that the device drives in a DMA (28 of them)" },
	{ .name = "dma_delay",
	  .type = UVFIO_OPT_UINT,
	  .def = "1000",
	  .max = 60000000,
	  .help = "microseconds that a DMA takes (QEMU's: 100000)" },
	{ .name = "factorial_delay",
	  .type = UVFIO_OPT_UINT,
	  .def = "100",
	  .max = 60000000,
	  .help = "microseconds that a factorial takes" },
	{ 0 },
};

#define REG(n, off, bytes, how, value)                                                     \
	{                                                                                  \
		.name = (n), .offset = (off), .width = (bytes), .access = UVFIO_REG_##how, \
		.reset = (value)                                                           \
	}

static const struct uvfio_reg edu_regs[] = {
	REG("ID", REG_ID, 4, RO, ID),
	REG("LIVE", REG_LIVE, 4, RW, 0),
	REG("FACTORIAL", REG_FACTORIAL, 4, RW, 0),
	REG("STATUS", REG_STATUS, 4, RW, 0),
	REG("IRQ_STATUS", REG_IRQ_STATUS, 4, RO, 0),
	REG("IRQ_RAISE", REG_IRQ_RAISE, 4, WO, 0),
	REG("IRQ_ACK", REG_IRQ_ACK, 4, WO, 0),
	REG("DMA_SRC", REG_DMA_SRC, 8, RW, 0),
	REG("DMA_DST", REG_DMA_DST, 8, RW, 0),
	REG("DMA_COUNT", REG_DMA_COUNT, 8, RW, 0),
	REG("DMA_CMD", REG_DMA_CMD, 8, RW, 0),
	{ 0 },
};

static const struct uvfio_reg_range edu_reg_ranges[] = { { .size = BAR_SIZE }, { 0 } };

const struct uvfio_model model_edu = {
	UVFIO_MODEL_INIT,
	.name = "edu",
	.summary = "QEMU's educational device: factorials, interrupts, DMA",
	.options = edu_options,
	.create = edu_create,
	.destroy = edu_destroy,
	.reset = edu_reset,
	.bar_read = edu_read,
	.bar_write = edu_write,
	.regs = edu_regs,
	.reg_ranges = edu_reg_ranges,
	.kinds = edu_kinds,
	.state_version = 1,
	.describe = edu_describe,
	.save = edu_save,
	.load = edu_load,
};
