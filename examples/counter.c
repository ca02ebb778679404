/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter: a complete PCI device in about a hundred lines. It counts what a driver tells it to;
 * each time the count comes to the limit it starts again, writes the number of laps to the driver's
 * memory and interrupts. So it has what most devices are made of: registers, DMA, interrupts, an
 * option, a reset. And it tells the driver of its mistakes: see counter_kinds.
 *
 *	cc -shared -fPIC -o counter.so counter.c $(pkg-config --cflags uvfio)
 *	uvfio run --device ./counter.so,step=2 -- ./counter_driver
 *
 * BAR0, each register 32 bits wide but REPORT:
 *
 *	0x00 COUNT   RO    where the count is
 *	0x04 ADD     WO    count so many times, STEP each
 *	0x08 LIMIT   RW    a lap; 0: no end
 *	0x0c STATUS  RW1C  bit 0: a lap is complete (interrupt), bit 1: REPORT could not be written
 *	0x10 REPORT  RW    64 bits: I/O address of the 8 bytes where the laps go; 0: nowhere; a
 *			   multiple of 8: the low bits are not there
 *	0x18 STEP    RO    the option
 *
 * Everything that the PCI standard defines is uvfio's: config space, the MSI-X table in BAR1,
 * masks, bus mastering, reset by FLR.
 */
#include <errno.h>
#include <stdlib.h>
#include <uvfio/model.h>

#define LAP	   1u
#define DMA_FAILED 2u

struct counter {
	uint32_t count, limit, status, step;
	uint64_t report, laps;
};

/*
 * What a driver must not do. uvfio_report_reg() names it in the log, and `uvfio run --check` with
 * the line of the driver's source.
 */
enum { REPORT_UNALIGNED };
static const struct uvfio_kind counter_kinds[] = {
	[REPORT_UNALIGNED] = { .name = "report-unaligned",
			       .line = "REPORT is no multiple of 8",
			       .section = "examples/counter.c, REPORT",
			       .fix = "Align the 8 bytes where the laps go." },
	{ 0 },
};

/* How it can fail, for who tests a driver: `uvfio run --fault counter.lose-lap,every=3`. */
enum { LOSE_LAP };
static const struct uvfio_fault counter_faults[] = {
	[LOSE_LAP] = { .name = "lose-lap",
		       .line = "A lap is not told: no report, no interrupt",
		       .keys = { "lap" } },
	{ 0 },
};

/* The names of the registers, in the order of their places; there are no others in BAR0. */
static const struct uvfio_reg counter_regs[] = {
	{ .name = "COUNT", .offset = 0x00, .width = 4, .access = UVFIO_REG_RO },
	{ .name = "ADD", .offset = 0x04, .width = 4, .access = UVFIO_REG_WO },
	{ .name = "LIMIT", .offset = 0x08, .width = 4 },
	{ .name = "STATUS", .offset = 0x0c, .width = 4, .access = UVFIO_REG_W1C },
	{ .name = "REPORT", .offset = 0x10, .width = 8 },
	{ .name = "STEP", .offset = 0x18, .width = 4, .access = UVFIO_REG_RO, .varies = true },
	{ 0 },
};
static const struct uvfio_reg_range counter_reg_ranges[] = { { .size = 4096 }, { 0 } };

/*
 * The interrupt the driver chose: a message for each lap, or a line that is up until the driver
 * clears STATUS.
 */
static void interrupt(struct uvfio_dev *dev)
{
	struct counter *c = uvfio_priv(dev);

	if (uvfio_irq_mode(dev) == UVFIO_IRQ_INTX)
		uvfio_intx(dev, c->status);
	else if (c->status)
		uvfio_msi(dev, 0);
}

static void lap(struct uvfio_dev *dev)
{
	struct counter *c = uvfio_priv(dev);

	c->laps++;
	if (uvfio_fault(dev, LOSE_LAP, &c->laps, NULL))
		return;
	c->status |= LAP;
	/*
	 * Through the IOMMU: where the driver mapped nothing to write to, the device hears so, and
	 * a line in the log says it.
	 */
	if (c->report && uvfio_dma_write(dev, c->report, &c->laps, sizeof(c->laps)))
		c->status |= DMA_FAILED;
	interrupt(dev);
}

static int counter_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value)
{
	struct counter *c = uvfio_priv(dev);

	if (bar != 0 || size != (offset == 0x10 ? 8 : 4))
		return -EINVAL; /* the driver reads all ones, and the log names the access */
	switch (offset) {
	case 0x00:
		*value = c->count;
		break;
	case 0x08:
		*value = c->limit;
		break;
	case 0x0c:
		*value = c->status;
		break;
	case 0x10:
		*value = c->report;
		break;
	case 0x18:
		*value = c->step;
		break;
	default:
		*value = 0;
		break;
	}
	return 0;
}

static int counter_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct counter *c = uvfio_priv(dev);

	if (bar != 0 || size != (offset == 0x10 ? 8 : 4))
		return -EINVAL;
	switch (offset) {
	case 0x04:
		c->count += (uint32_t)value * c->step;
		if (c->limit && c->count >= c->limit) {
			c->count %= c->limit;
			lap(dev);
		}
		break;
	case 0x08:
		c->limit = (uint32_t)value;
		break;
	case 0x0c:
		c->status &= ~(uint32_t)value;
		uvfio_intx(dev, c->status); /* with MSI-X enabled uvfio keeps the pin quiet */
		break;
	case 0x10:
		if (value & 7)
			uvfio_report_reg(dev, REPORT_UNALIGNED, 0, offset, &value,
					 "0x%llx is not a multiple of 8",
					 (unsigned long long)value);
		c->report = value & ~7ull; /* as the chip does, whatever was meant */
		break;
	default:
		break;
	}
	return 0;
}

static void counter_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct counter *c = uvfio_priv(dev);

	*c = (struct counter){ .step = (uint32_t)uvfio_opt_uint(dev, "step", 0) };
	uvfio_intx(dev, false);
}

/*
 * With migration=on a driver can have the state saved here and loaded elsewhere. The counter does
 * nothing but in callbacks, so there is nothing to stop; interrupts and config space are uvfio's to
 * save. STEP is an option: a device that has another one would count on otherwise.
 */
static void counter_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct counter *c = uvfio_priv(dev);

	uvfio_same(s, "step", c->step);
}

static int counter_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct counter *c = uvfio_priv(dev);

	uvfio_put32(s, c->count);
	uvfio_put32(s, c->limit);
	uvfio_put32(s, c->status);
	uvfio_put64(s, c->report);
	uvfio_put64(s, c->laps);
	return 0;
}

/* In the order in which it was saved; to save something else is to make another state_version. */
static int counter_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct counter *c = uvfio_priv(dev);

	c->count = uvfio_get32(s);
	c->limit = uvfio_get32(s);
	c->status = uvfio_get32(s);
	c->report = uvfio_get64(s);
	c->laps = uvfio_get64(s);
	return 0;
}

static int counter_create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0xc047, .class_code = 0xff0000 };
	struct counter *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	uvfio_set_priv(dev, c);
	if (uvfio_set_ids(dev, &ids) < 0 || uvfio_add_bar(dev, 0, 4096, 0) < 0 ||
	    uvfio_add_bar(dev, 1, 4096, 0) < 0 || uvfio_add_intx(dev, 1, true) < 0 ||
	    uvfio_add_msix(dev, 1, 1, 0, 1, 0x800) < 0 || uvfio_add_pcie(dev, true) < 0) {
		free(c);
		return -EINVAL;
	}
	return 0;
}

static void counter_destroy(struct uvfio_dev *dev)
{
	free(uvfio_priv(dev));
}

static const struct uvfio_option counter_options[] = {
	{ .name = "step",
	  .type = UVFIO_OPT_UINT,
	  .def = "1",
	  .min = 1,
	  .max = 1000,
	  .help = "how far one count goes" },
	{ 0 },
};

/* The one name that uvfio looks for. */
UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,
	.name = "counter",
	.summary = "counts, and reports each lap: the example",
	.options = counter_options,
	.create = counter_create,
	.destroy = counter_destroy,
	.reset = counter_reset,
	.bar_read = counter_read,
	.bar_write = counter_write,
	.regs = counter_regs,
	.reg_ranges = counter_reg_ranges,
	.kinds = counter_kinds,
	.faults = counter_faults,
	.state_version = 1,
	.describe = counter_describe,
	.save = counter_save,
	.load = counter_load,
};
