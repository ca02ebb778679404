/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/bars.c: BARs and the expansion ROM: their registers, and the memory and I/O cycles that go to
 * the MSI-X table, to the ROM image or to the model. Whether the function decodes is one atomic,
 * kept by config.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/event.h"
#include "fault/fault.h"
#include "pci/internal.h"

#define BAR_MAX_32 (1ull << 31)
#define BAR_MAX_64 (1ull << 40) /* linux/vfio.h clients: a region's offsets are 40 bits wide */
#define BAR_MAX_IO 256ull	/* PCI 3.0, 6.2.5.1 */
#define ROM_MIN	   2048ull	/* PCI 3.0, 6.2.5.2 */
#define ROM_MAX	   (16ull << 20)

static bool is_upper_half(const pci_function *fn, unsigned bar)
{
	return bar > 0 && fn->bars[bar - 1].flags & UVFIO_BAR_64;
}

int uvfio_add_bar(struct uvfio_dev *dev, unsigned bar, uint64_t size, unsigned flags)
{
	bool io = flags & UVFIO_BAR_IO, wide = flags & UVFIO_BAR_64;
	uint64_t min = io ? 4 : 16, max = io ? BAR_MAX_IO : wide ? BAR_MAX_64 : BAR_MAX_32;
	uint32_t type = 0;
	unsigned at;

	if (!dev->create.now || flags & ~(UVFIO_BAR_IO | UVFIO_BAR_64 | UVFIO_BAR_PREFETCH) ||
	    (io && flags != UVFIO_BAR_IO))
		return -EINVAL;
	if (dev->vf.pf)
		return uvfio_error(dev,
				   "the BARs of a VF are said with its PF (struct uvfio_sriov)");
	if (bar >= PCI_BARS || (wide && bar + 1 >= PCI_BARS))
		return uvfio_error(dev, "BAR%u: there are %u, and a 64-bit one takes two", bar,
				   PCI_BARS);
	if (!is_pow2(size) || size < min || size > max)
		return uvfio_error(dev,
				   "BAR%u of %" PRIu64 " bytes: must be a power of two from "
				   "%" PRIu64 " to %" PRIu64,
				   bar, size, min, max);
	if (dev->bars[bar].size || is_upper_half(dev, bar) || (wide && dev->bars[bar + 1].size)) {
		uvfio_error(dev, "BAR%u is taken", bar);
		return -EEXIST;
	}
	dev->bars[bar] = (struct pci_bar){ size, flags };
	if (io)
		type = PCI_BASE_ADDRESS_SPACE_IO;
	else
		type = (wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
		       (flags & UVFIO_BAR_PREFETCH ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
	at = PCI_BASE_ADDRESS_0 + 4 * bar;
	put32(dev->cfg.bytes + at, type);
	/* size >= 16, or >= 4 for I/O: the type bits stay out */
	put32(dev->cfg.wmask + at, (uint32_t) ~(size - 1));
	if (wide)
		put32(dev->cfg.wmask + at + 4, (uint32_t)(~(size - 1) >> 32));
	return 0;
}

int uvfio_add_rom(struct uvfio_dev *dev, uint64_t size, const void *image, size_t len)
{
	if (!dev->create.now || dev->vf.pf)
		return -EINVAL;
	if (!is_pow2(size) || size < ROM_MIN || size > ROM_MAX || len > size)
		return uvfio_error(dev,
				   "ROM of %" PRIu64 " bytes: must be a power of two from %llu to "
				   "%llu that holds the image",
				   size, ROM_MIN, ROM_MAX);
	if (dev->bars[PCI_ROM_BAR].size)
		return -EEXIST;
	if (image) {
		dev->rom.image = malloc(len ? len : 1);
		if (!dev->rom.image)
			return -ENOMEM;
		memcpy(dev->rom.image, image, len);
		dev->rom.len = len;
	}
	dev->bars[PCI_ROM_BAR].size = size;
	put32(dev->cfg.wmask + PCI_ROM_ADDRESS, (uint32_t) ~(size - 1) | PCI_ROM_ADDRESS_ENABLE);
	return 0;
}

const struct pci_bar *pci_function_bar(const pci_function *fn, unsigned bar)
{
	static const struct pci_bar none;

	return bar <= PCI_ROM_BAR ? &fn->bars[bar] : &none;
}

static const char *bar_name(unsigned bar)
{
	static const char *const names[] = {
		"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM"
	};

	return bar < ARRAY_SIZE(names) ? names[bar] : "no BAR";
}

/*
 * Tell of an access that is not made. If the register is one of another width that is the mistake;
 * else the model has said no.
 */
static void report_refused(pci_function *fn, bool write, unsigned bar, uint64_t off, unsigned size,
			   uint64_t value, int err)
{
	REPORT_CODE(width_code, LOG_WARN, REPORT_LIMITED("mmio-width"));
	REPORT_CODE(refused_code, LOG_WARN, REPORT_LIMITED("register-refused"));
	struct report_about about = { .access = REPORT_BAR,
				      .write = write,
				      .bar = bar,
				      .at = off,
				      .size = size,
				      .value = value };
	const char *what = write ? "write" : "read";
	unsigned width = pci_reg_width(fn->model->regs, bar, off);
	const struct report_code *code =
		err == -EINVAL && width && width != size ? &width_code : &refused_code;
	char name[PCI_REG_NAME];

	if (!report_wanted(LOG_WARN))
		return;
	if (pci_reg_name(fn->model->regs, bar, off, name)) {
		about.reg = name;
		report_say_about(code, fn->name, err, &about,
				 "%s %s (0x%04" PRIx64
				 "): %s of %u bytes: the device does not complete it: %m",
				 bar_name(bar), name, off, what, size);
	} else {
		report_say_about(code, fn->name, err, &about,
				 "%s %s at 0x%" PRIx64
				 " of %u bytes: the device does not complete it: %m",
				 bar_name(bar), what, off, size);
	}
}

void pci_bar_report(pci_function *fn, const struct report_code *code, bool write, unsigned bar,
		    uint64_t off, unsigned size, uint64_t value, const char *why)
{
	struct report_about about = { .access = REPORT_BAR,
				      .write = write,
				      .bar = bar,
				      .at = off,
				      .size = size,
				      .value = value };
	char name[PCI_REG_NAME];

	if (!report_wanted(code->severity))
		return;
	if (pci_reg_name(fn->model->regs, bar, off, name))
		about.reg = name;
	report_say_about(code, fn->name, 0, &about, "%s %s%s0x%04" PRIx64 "%s: %s of %u bytes: %s",
			 bar_name(bar), about.reg ? name : "", about.reg ? " (" : "at ", off,
			 about.reg ? ")" : "", write ? "write" : "read", size, why);
}

static bool decodes(pci_function *fn, unsigned bar)
{
	unsigned need = pci_function_bar(fn, bar)->flags & UVFIO_BAR_IO ? DECODE_IO : DECODE_MEM;

	return atomic_load_explicit(&fn->decode, memory_order_acquire) & need;
}

/* Return 0 if the bus could make this access and the function answers it, else -EIO. */
static int check_access(pci_function *fn, bool write, unsigned bar, uint64_t off, unsigned size)
{
	const struct pci_bar *b = pci_function_bar(fn, bar);

	if ((size != 1 && size != 2 && size != 4 && size != 8) || off % size ||
	    !range_within(off, size, b->size)) {
		report_refused(fn, write, bar, off, size, 0, -EINVAL);
		return -EIO;
	}
	return decodes(fn, bar) ? 0 : -EIO;
}

static uint64_t all_ones(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
}

/* Read the ROM; beyond the image is erased flash. */
static uint64_t rom_read(const pci_function *fn, uint64_t off, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)(off + i < fn->rom.len ? fn->rom.image[off + i] : 0xff) << 8 * i;
	return v;
}

/*
 * Have the model read. What another device's access waited for may have been a reset: -ESHUTDOWN,
 * it does not decode any more (unless @anyway), which is nobody's mistake.
 */
static int model_read(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value,
		      bool anyway)
{
	int ret = -ESHUTDOWN;

	*value = 0;
	/* decoded, and no register there: such reads complete with zero */
	if (!fn->model->bar_read)
		return 0;
	pci_model_enter(fn);
	if (anyway || decodes(fn, bar))
		ret = fn->model->bar_read(fn, bar, off, size, value);
	pci_model_leave(fn);
	if (ret < 0) {
		if (ret != -ESHUTDOWN)
			report_refused(fn, false, bar, off, size, 0, ret);
		*value = all_ones(size);
		return -EIO;
	}
	*value &= all_ones(size);
	return 0;
}

/* Read while a user wants faults in it. True: *@value is all ones, and the model is not asked. */
static bool read_faulty(pci_function *fn, unsigned bar, uint64_t off, unsigned size)
{
	char name[PCI_REG_NAME];
	const struct fault_where w = {
		.device = fn->name,
		.at = off,
		.size = size,
		.bar = bar,
		.reg = pci_reg_name(fn->model->regs, bar, off, name) ? name : NULL,
	};
	struct fault f;

	if (!fault_at(FAULT_REG_READ, &w, &f))
		return false;
	if (f.action == FAULT_DELAY)
		fault_sleep(f.param);
	return f.action == FAULT_ONES;
}

int pci_bar_read(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
	int ret = check_access(fn, false, bar, off, size);

	*value = all_ones(size);
	if (ret)
		return ret;
	/* the ROM has no registers, and the driver reads it for itself */
	if (fault_wanted(FAULT_REG_READ) && bar != PCI_ROM_BAR && read_faulty(fn, bar, off, size))
		return 0;
	if (pci_msix_read(fn, bar, off, size, value) ||
	    pci_pages_access(fn, bar, off, size, value, false))
		return 0;
	if (bar == PCI_ROM_BAR && fn->rom.image) {
		*value = rom_read(fn, off, size);
		return 0;
	}
	pci_reg_check(fn, false, bar, off, size, 0);
	return model_read(fn, bar, off, size, value, false);
}

bool pci_bar_peek(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
	int ret = -ESHUTDOWN;

	*value = 0;
	if (decodes(fn, bar) && fn->model->bar_read)
		ret = fn->model->bar_read(fn, bar, off, size, value);
	*value &= all_ones(size);
	return !ret;
}

/* Tell who listens of a driver's store. */
static void tell_store(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	char name[PCI_REG_NAME];

	EVENT(EVENT_STORE, .at = off, .size = size, .who = fn->name, .bar = bar, .value = value,
	      .reg = pci_reg_name(fn->model->regs, bar, off, name) ? name : NULL);
}

int pci_bar_write(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	tell_store(fn, bar, off, size, value & all_ones(size));
	if (size && decodes(fn, bar))
		pci_reg_check(fn, true, bar, off, size, value & all_ones(size));
	return pci_bar_write_untold(fn, bar, off, size, value);
}

int pci_bar_write_untold(pci_function *fn, unsigned bar, uint64_t off, unsigned size,
			 uint64_t value)
{
	int ret = check_access(fn, true, bar, off, size);

	if (ret)
		return ret;
	value &= all_ones(size);
	if (pci_pages_access(fn, bar, off, size, &value, true))
		return 0;
	if (!pci_msix_write(fn, bar, off, size, value, &ret)) {
		if (!fn->model->bar_write || (bar == PCI_ROM_BAR && fn->rom.image))
			return 0; /* dropped, as by any read-only memory */
		ret = -ESHUTDOWN;
		pci_model_enter(fn);
		if (decodes(fn, bar))
			ret = fn->model->bar_write(fn, bar, off, size, value);
		pci_model_leave(fn);
		if (ret == -ESHUTDOWN)
			return -EIO;
	}
	if (ret < 0) {
		report_refused(fn, true, bar, off, size, value, ret);
		return -EIO;
	}
	return 0;
}

bool pci_rom_valid(pci_function *fn)
{
	uint64_t v;

	if (!fn->bars[PCI_ROM_BAR].size)
		return false;
	if (fn->rom.image)
		v = rom_read(fn, 0, 2);
	else if (model_read(fn, PCI_ROM_BAR, 0, 2, &v, true))
		return false;
	return v == 0xaa55; /* PCI Firmware 3.0, 5.1.1: 55 aa */
}
