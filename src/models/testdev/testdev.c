/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/testdev.c: testdev is a function with everything that a driver can meet, and
 * registers that make it happen: every kind of BAR, a ROM, every capability, any interrupt, DMA
 * with its result, registers that refuse. docs/testdev.md has the map. Each capability can be
 * switched off, because a driver has a path for devices without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/testdev/internal.h"

#define VENDOR	   0x1234
#define DEVICE	   0x7e57
#define CLASS_CODE 0x00ff00u /* no class of those defined */

#define BAR_RAM	      0u
#define BAR_REGS      2u
#define BAR_IO	      3u
#define BAR_SMALL     4u
#define REGS_SIZE     0x10000u
#define PBA_AT	      0x4000u
#define PBA_ODD	      0x1000u
#define TABLE_AT      0x8000u
#define ROM_SIZE      4096u
#define ROM_MAX	      (16u << 20)
#define PAGE_REQUESTS 32u

void testdev_interrupt(struct uvfio_dev *dev, uint32_t vector)
{
	struct testdev *td = uvfio_priv(dev);

	if (uvfio_irq_mode(dev) == UVFIO_IRQ_INTX) {
		td->intx = true;
		uvfio_intx(dev, true);
	} else {
		uvfio_msi(dev, vector);
	}
}

static void timer_fired(struct uvfio_dev *dev, void *arg)
{
	struct testdev *td = arg;

	if (td->timer_vector == TD_INTX_TIMER) {
		td->intx = true;
		uvfio_intx(dev, true);
	} else if (td->timer_vector == TD_PME_TIMER) {
		uvfio_pme(dev);
	} else {
		uvfio_msi(dev, td->timer_vector);
	}
}

/* ---- registers ---- */

/* Return the 64-bit register at @offset, which takes 8 bytes or 4 at a time; NULL: none is. */
static uint64_t *reg64(struct testdev *td, uint64_t offset, bool *read_only)
{
	*read_only = false;
	switch (offset & ~7ull) {
	case TD_DMA_SRC:
		return &td->dma.src;
	case TD_DMA_DST:
		return &td->dma.dst;
	case TD_DMA_LEN:
		return &td->dma.len;
	case TD_DMA_DONE:
		*read_only = true;
		return &td->dma.done;
	case TD_DMA_ADDR:
		*read_only = true;
		return &td->dma.addr;
	case TD_PAGE_ADDR:
		return &td->pages.addr;
	default:
		return NULL;
	}
}

/* Return how many bytes an access at @offset must have. */
static unsigned reg_size(uint64_t offset)
{
	switch (offset) {
	case TD_SCRATCH8:
		return 1;
	case TD_SCRATCH16:
		return 2;
	case TD_SCRATCH64:
		return 8;
	default:
		return 4;
	}
}

/* Registers of at most 32 bits that read as a field of struct testdev */
static const struct {
	uint16_t offset, field;
} plain[] = {
	{ TD_READS, offsetof(struct testdev, reads) },
	{ TD_WRITES, offsetof(struct testdev, writes) },
	{ TD_LAST_ACCESS, offsetof(struct testdev, last_access) },
	{ TD_LAST_OFFSET, offsetof(struct testdev, last_offset) },
	{ TD_SCRATCH32, offsetof(struct testdev, scratch32) },
	{ TD_ONLY4, offsetof(struct testdev, only4) },
	{ TD_TIMER_VECTOR, offsetof(struct testdev, timer_vector) },
	{ TD_POWER, offsetof(struct testdev, power) },
	{ TD_RESETS, offsetof(struct testdev, resets) },
	{ TD_LAST_RESET, offsetof(struct testdev, last_reset) },
	{ TD_CFG_WRITES, offsetof(struct testdev, cfg_writes) },
	{ TD_LAST_CFG, offsetof(struct testdev, last_cfg) },
	{ TD_DMA_CMD, offsetof(struct testdev, dma.cmd) },
	{ TD_DMA_STATUS, offsetof(struct testdev, dma.status) },
	{ TD_DMA_PATTERN, offsetof(struct testdev, dma.pattern) },
	{ TD_DMA_VECTOR, offsetof(struct testdev, dma.vector) },
	{ TD_DMA_DELAY, offsetof(struct testdev, dma.delay) },
	{ TD_PAGE_CMD, offsetof(struct testdev, pages.cmd) },
	{ TD_PAGE_STATUS, offsetof(struct testdev, pages.status) },
	{ TD_PAGE_ANSWERS, offsetof(struct testdev, pages.answers) },
	{ TD_PAGE_PASID, offsetof(struct testdev, pages.pasid) },
	{ TD_DMA_PASID, offsetof(struct testdev, dma.pasid) },
};

static int read_reg(struct uvfio_dev *dev, uint64_t offset, uint64_t *value)
{
	struct testdev *td = uvfio_priv(dev);
	uint32_t v;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (plain[i].offset == offset) {
			memcpy(&v, (const char *)td + plain[i].field, sizeof(v));
			*value = v;
			return 0;
		}
	}
	switch (offset) {
	case TD_ID:
		*value = TD_ID_VALUE;
		break;
	case TD_VERSION:
		*value = 1;
		break;
	case TD_SCRATCH8:
		*value = td->scratch8;
		break;
	case TD_SCRATCH16:
		*value = td->scratch16;
		break;
	case TD_SCRATCH64:
		*value = td->scratch64;
		break;
	case TD_FAIL:
		return -EIO;
	case TD_INTX:
		*value = td->intx;
		break;
	case TD_IRQ_MODE:
		*value = uvfio_irq_mode(dev);
		break;
	default:
		*value = 0; /* write-only, or nothing there */
		break;
	}
	return 0;
}

static int write_reg(struct uvfio_dev *dev, uint64_t offset, uint64_t value)
{
	struct testdev *td = uvfio_priv(dev);

	switch (offset) {
	case TD_READS:
		td->reads = 0;
		break;
	case TD_WRITES:
		td->writes = 0;
		break;
	case TD_SCRATCH8:
		td->scratch8 = (uint8_t)value;
		break;
	case TD_SCRATCH16:
		td->scratch16 = (uint16_t)value;
		break;
	case TD_SCRATCH32:
		td->scratch32 = (uint32_t)value;
		break;
	case TD_SCRATCH64:
		td->scratch64 = value;
		break;
	case TD_FAIL:
		return -EIO;
	case TD_ONLY4:
		td->only4 = (uint32_t)value;
		break;
	case TD_MSI:
		uvfio_msi(dev, (unsigned)value);
		break;
	case TD_INTX:
		td->intx = value & 1;
		uvfio_intx(dev, td->intx);
		break;
	case TD_MSI_BURST:
		for (unsigned i = 0; i < (value >> 16 & 0xffff); i++)
			uvfio_msi(dev, (value & 0xffff) + i);
		break;
	case TD_TIMER_VECTOR:
		td->timer_vector = (uint32_t)value;
		break;
	case TD_TIMER:
		uvfio_timer_set(td->timer, value * 1000);
		break;
	case TD_ERROR:
		uvfio_report_error(dev, value & 0x1f, value & TD_ERROR_FATAL);
		break;
	case TD_DMA_CMD:
		testdev_dma_start(dev, (uint32_t)value);
		break;
	case TD_DMA_PATTERN:
		td->dma.pattern = (uint32_t)value;
		break;
	case TD_DMA_VECTOR:
		td->dma.vector = (uint32_t)value;
		break;
	case TD_DMA_DELAY:
		td->dma.delay = (uint32_t)value;
		break;
	case TD_PAGE_PASID:
		td->pages.pasid = (uint32_t)value;
		break;
	case TD_DMA_PASID:
		td->dma.pasid = (uint32_t)value;
		break;
	case TD_PAGE_CMD:
		testdev_page_command(dev, (uint32_t)value);
		break;
	default:
		break; /* read-only, or nothing there */
	}
	return 0;
}

static int access_reg(struct uvfio_dev *dev, uint64_t offset, unsigned size, uint64_t *value,
		      bool write)
{
	struct testdev *td = uvfio_priv(dev);
	unsigned shift = offset % 8 * 8;
	bool read_only;
	uint64_t *wide, mask;
	int ret;

	if (testdev_odd_access(dev, offset, size, value, write, &ret))
		return ret;
	if (offset >= TD_REGS_END)
		return write ? 0 : (*value = 0, 0);
	wide = reg64(td, offset, &read_only);
	if (wide && size >= 4) {
		mask = (size == 8 ? UINT64_MAX : UINT32_MAX) << shift;
		if (!write)
			*value = (*wide & mask) >> shift;
		else if (!read_only)
			*wide = (*wide & ~mask) | (*value << shift & mask);
		return 0;
	}
	if (wide || size != reg_size(offset))
		return -EINVAL;
	return write ? write_reg(dev, offset, *value) : read_reg(dev, offset, value);
}

/* Read or write @size bytes of little-endian memory. */
static void access_memory(uint8_t *mem, unsigned size, uint64_t *value, bool write)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++) {
		if (write)
			mem[i] = (uint8_t)(*value >> 8 * i);
		else
			v |= (uint64_t)mem[i] << 8 * i;
	}
	if (!write)
		*value = v;
}

static int access_bar(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		      uint64_t *value, bool write)
{
	struct testdev *td = uvfio_priv(dev);

	/* An access to the counters does not change them. */
	if (bar != BAR_REGS || offset >= TD_SCRATCH8) {
		td->reads += !write;
		td->writes += write;
		td->last_access = size | bar << 8 | (uint32_t)write << 16;
		td->last_offset = (uint32_t)offset;
	}
	switch (bar) {
	case BAR_RAM:
		access_memory(td->ram + offset, size, value, write);
		if (write)
			testdev_touched(td, offset, size);
		return 0;
	case BAR_REGS:
		return access_reg(dev, offset, size, value, write);
	case BAR_IO:
		access_memory(td->io + offset, size, value, write);
		return 0;
	case BAR_SMALL:
		access_memory(td->small + offset, size, value, write);
		return 0;
	default:
		return -EINVAL;
	}
}

static int testdev_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value)
{
	return access_bar(dev, bar, offset, size, value, false);
}

static int testdev_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value)
{
	return access_bar(dev, bar, offset, size, &value, true);
}

/* ---- reset, power, config space ---- */

void testdev_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct testdev *td = uvfio_priv(dev);

	uvfio_timer_set(td->timer, UINT64_MAX);
	testdev_dma_reset(dev);
	td->pages = (struct testdev_pages){ 0 };
	uvfio_intx(dev, false);
	td->intx = false;
	memset(td->ram, 0, td->ram_size);
	testdev_touched(td, 0, td->ram_size);
	memset(td->io, 0, sizeof(td->io));
	memset(td->small, 0, sizeof(td->small));
	td->reads = td->writes = td->last_access = td->last_offset = 0;
	td->scratch8 = 0;
	td->scratch16 = 0;
	td->scratch32 = td->only4 = td->timer_vector = 0;
	td->scratch64 = 0;
	td->window = 0;
	if (kind != UVFIO_RESET_POWER_ON)
		td->resets++;
	td->last_reset = kind;
}

static void testdev_power(struct uvfio_dev *dev, unsigned d)
{
	struct testdev *td = uvfio_priv(dev);

	td->power = ((td->power >> 8) + 1) << 8 | d;
}

static void testdev_config_written(struct uvfio_dev *dev, unsigned offset, unsigned size)
{
	struct testdev *td = uvfio_priv(dev);

	td->cfg_writes++;
	td->last_cfg = offset | size << 16;
}

static void testdev_destroy(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);

	uvfio_timer_free(td->timer);
	testdev_dma_fini(dev);
	free(td->dirty);
	free(td);
}

/* ---- BARs, capabilities, options ---- */

/*
 * PCI Firmware 3.0, 5.1: header, PCI data structure, and nothing that a processor would run but a
 * far return. The checksum makes the bytes sum to zero.
 */
static void make_rom(uint8_t rom[ROM_SIZE])
{
	static const uint8_t pcir[24] = {
		[0] = 'P',
		'C',
		'I',
		'R',
		[4] = VENDOR & 0xff,
		VENDOR >> 8,
		DEVICE & 0xff,
		DEVICE >> 8,
		[10] = 24, /* length of this structure */
		[13] = CLASS_CODE & 0xff,
		CLASS_CODE >> 8 & 0xff,
		CLASS_CODE >> 16,
		[16] = ROM_SIZE / 512,
		[18] = 1,    /* revision of the code */
		[21] = 0x80, /* the last image */
	};
	uint8_t sum = 0;

	memset(rom, 0, ROM_SIZE);
	rom[0] = 0x55;
	rom[1] = 0xaa;
	rom[2] = ROM_SIZE / 512;
	rom[3] = 0xcb;
	rom[0x18] = 0x1c;
	memcpy(rom + 0x1c, pcir, sizeof(pcir));
	for (unsigned i = 0; i < ROM_SIZE - 1; i++)
		sum = (uint8_t)(sum + rom[i]);
	rom[ROM_SIZE - 1] = (uint8_t)-sum;
}

static int add_rom_file(struct uvfio_dev *dev, const char *path)
{
	uint64_t size = 2048;
	struct stat st;
	uint8_t *image;
	size_t done = 0;
	ssize_t n = 1;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		ret = -errno;
		uvfio_error(dev, "option 'romfile=%s': %s", path, strerror(-ret));
		goto close;
	}
	if (st.st_size < 1 || st.st_size > ROM_MAX) {
		ret = uvfio_error(dev, "option 'romfile=%s': a ROM has 1 byte to 16 MiB", path);
		goto close;
	}
	while (size < (uint64_t)st.st_size)
		size *= 2;
	image = malloc((size_t)st.st_size);
	if (!image) {
		ret = -ENOMEM;
		goto close;
	}
	while (done < (size_t)st.st_size && n > 0) {
		n = read(fd, image + done, (size_t)st.st_size - done);
		if (n > 0)
			done += (size_t)n;
	}
	if (done < (size_t)st.st_size)
		ret = uvfio_error(dev, "option 'romfile=%s': cannot be read whole", path);
	else
		ret = uvfio_add_rom(dev, size, image, done);
	free(image);
close:
	if (fd >= 0)
		close(fd);
	return ret;
}

static int add_rom(struct uvfio_dev *dev)
{
	const char *path = uvfio_opt_string(dev, "romfile", 0);
	uint8_t rom[ROM_SIZE];

	if (!uvfio_opt_bool(dev, "rom", 0))
		return 0;
	if (path)
		return add_rom_file(dev, path);
	make_rom(rom);
	return uvfio_add_rom(dev, ROM_SIZE, rom, sizeof(rom));
}

/*
 * PCI 3.0, appendix I: identifier, read-only fields ending in the checksum RV, read/write fields,
 * end tag.
 */
static int add_vpd(struct uvfio_dev *dev)
{
	static const char name[] = "uvfio test device";
	static const char part[] = "PN\x07"
				   "TESTDEV"
				   "SN\x04"
				   "0001"
				   "RV\x01";
	static const char free_field[] = "RW\x1d";
	uint8_t vpd[128] = { 0 }, sum = 0;
	size_t n = 0, rv;

	vpd[n++] = 0x82; /* identifier string */
	vpd[n++] = sizeof(name) - 1;
	vpd[n++] = 0;
	memcpy(vpd + n, name, sizeof(name) - 1);
	n += sizeof(name) - 1;
	vpd[n++] = 0x90; /* VPD-R */
	vpd[n++] = sizeof(part) - 1 + 1;
	vpd[n++] = 0;
	memcpy(vpd + n, part, sizeof(part) - 1);
	n += sizeof(part) - 1;
	rv = n++;
	for (size_t i = 0; i < rv; i++)
		sum = (uint8_t)(sum + vpd[i]);
	vpd[rv] = (uint8_t)-sum;
	vpd[n++] = 0x91; /* VPD-W */
	vpd[n++] = 3 + 0x1d;
	vpd[n++] = 0;
	memcpy(vpd + n, free_field, sizeof(free_field) - 1);
	n += 3 + 0x1d;
	vpd[n++] = 0x78; /* end */
	return uvfio_add_vpd(dev, vpd, sizeof(vpd), true);
}

static int add_ram(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);
	int ret;

	td->ram_memory = uvfio_opt_bool(dev, "ram_memory", 0);
	if (!td->ram_memory) {
		/* all that is done with it is done in callbacks, also of a device that lasts */
		td->ram = uvfio_lasting(dev, td->ram_size);
		return td->ram ? 0 : -ENOMEM;
	}
	ret = uvfio_set_pages(dev, BAR_RAM, 0, td->ram_size, UVFIO_PAGE_MEMORY);
	td->ram = uvfio_polled_memory(dev, BAR_RAM, 0);
	return ret;
}

static int add_bars(struct uvfio_dev *dev)
{
	struct testdev *td = uvfio_priv(dev);
	int ret;

	td->ram_size = uvfio_opt_uint(dev, "ram", 0);
	if (td->ram_size & (td->ram_size - 1))
		return uvfio_error(dev, "option 'ram': must be a power of two");
	ret = uvfio_add_bar(dev, BAR_RAM, td->ram_size, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH);
	if (ret < 0)
		return ret;
	ret = add_ram(dev);
	if (ret < 0)
		return ret;
	ret = uvfio_add_bar(dev, BAR_REGS, REGS_SIZE, 0);
	if (ret < 0)
		return ret;
	if (uvfio_opt_bool(dev, "io", 0)) {
		ret = uvfio_add_bar(dev, BAR_IO, sizeof(td->io), UVFIO_BAR_IO);
		if (ret < 0)
			return ret;
	}
	ret = uvfio_add_bar(dev, BAR_SMALL, sizeof(td->small), 0);
	if (ret < 0)
		return ret;
	return add_rom(dev);
}

static int add_interrupts(struct uvfio_dev *dev)
{
	int ret = 0;

	if (uvfio_opt_bool(dev, "intx", 0))
		ret = uvfio_add_intx(dev, 1, uvfio_opt_bool(dev, "disintx", 0));
	if (ret >= 0 && uvfio_opt_bool(dev, "msi", 0))
		ret = uvfio_add_msi(dev, (unsigned)uvfio_opt_uint(dev, "msi_vectors", 0),
				    uvfio_opt_bool(dev, "msi64", 0),
				    uvfio_opt_bool(dev, "msi_mask", 0));
	if (ret >= 0 && uvfio_opt_bool(dev, "msix", 0)) {
		ret = uvfio_add_msix(dev, (unsigned)uvfio_opt_uint(dev, "vectors", 0), BAR_REGS,
				     TABLE_AT, BAR_REGS,
				     uvfio_opt_bool(dev, "wrong_pba", 0) ? PBA_ODD : PBA_AT);
		if (ret > 0)
			testdev_odd_msix(dev, (unsigned)ret, BAR_REGS);
	}
	return ret;
}

static int add_capabilities(struct uvfio_dev *dev)
{
	/* After the length byte: the last four bytes can be written, the rest cannot. */
	static const uint8_t vendor[13] = { 1, 'u', 'v', 'f', 'i', 'o', 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t vendor_writable[13] = { [9] = 0xff, 0xff, 0xff, 0xff };
	struct testdev *td = uvfio_priv(dev);
	int ret = 0;

	if (uvfio_opt_bool(dev, "pm", 0))
		ret = uvfio_add_pm(dev, uvfio_opt_bool(dev, "no_soft_reset", 0));
	if (ret > 0 && uvfio_opt_bool(dev, "pme", 0))
		ret = uvfio_add_pme(dev, 0x9); /* from D0 and D3hot */
	if (ret >= 0)
		ret = add_interrupts(dev);
	if (ret >= 0 && uvfio_opt_bool(dev, "vpd", 0))
		ret = add_vpd(dev);
	if (ret >= 0 && uvfio_opt_bool(dev, "vendor", 0))
		ret = uvfio_add_vendor_cap(dev, vendor, vendor_writable, 3 + sizeof(vendor));
	if (ret >= 0 && uvfio_opt_bool(dev, "af", 0))
		ret = uvfio_add_af(dev);
	if (ret < 0 || !uvfio_opt_bool(dev, "pcie", 0))
		return ret;
	ret = uvfio_add_pcie(dev, uvfio_opt_bool(dev, "flr", 0));
	if (ret > 0)
		testdev_odd_pcie(dev, (unsigned)ret);
	if (ret >= 0 && uvfio_opt_bool(dev, "aer", 0))
		ret = uvfio_add_aer(dev);
	if (ret >= 0 && uvfio_opt_bool(dev, "dsn", 0))
		ret = uvfio_add_dsn(dev, 0x0001020304050607ull);
	if (ret >= 0 && uvfio_opt_bool(dev, "atomics", 0))
		ret = uvfio_add_atomics(dev, UVFIO_ATOMIC_32 | UVFIO_ATOMIC_64 | UVFIO_ATOMIC_128);
	if (ret >= 0 && uvfio_opt_bool(dev, "pri", 0))
		ret = uvfio_add_pri(dev, PAGE_REQUESTS);
	td->pasid_bits = (unsigned)uvfio_opt_uint(dev, "pasid_bits", 0);
	if (ret >= 0 && td->pasid_bits)
		ret = uvfio_add_pasid(dev, td->pasid_bits, true);
	return ret;
}

/* A page of memory that is no BAR. Offset 0xff8 refuses, for tests of errors. */
static int region_access(struct uvfio_dev *dev, unsigned region, uint64_t offset, void *buf,
			 size_t n, bool write)
{
	struct testdev *td = uvfio_priv(dev);

	if (offset + n > sizeof(td->region) - 8)
		return -ENXIO;
	if (write)
		memcpy(td->region + offset, buf, n);
	else
		memcpy(buf, td->region + offset, n);
	return 0;
}

static int add_regions(struct uvfio_dev *dev)
{
	const struct uvfio_region region = {
		.type = 1u << 31 | VENDOR,
		.subtype = 7,
		.size = sizeof(((struct testdev *)0)->region),
		.writable = true,
		.mappable = true,
		.access = region_access,
	};

	return uvfio_opt_bool(dev, "region", 0) ? uvfio_add_region(dev, &region) : 0;
}

static int testdev_create(struct uvfio_dev *dev)
{
	struct uvfio_ids ids = {
		.subsystem_vendor = VENDOR,
		.subsystem = 1,
		.class_code = CLASS_CODE,
		.revision = 1,
	};
	struct testdev *td;
	int ret = -ENOMEM;

	td = calloc(1, sizeof(*td));
	if (!td)
		return -ENOMEM;
	uvfio_set_priv(dev, td);
	td->timer = uvfio_timer_new(dev, timer_fired, td);
	if (!td->timer || testdev_dma_init(dev))
		goto fail;
	td->mirror = uvfio_opt_bool(dev, "mirror", 0);
	td->own_reset = uvfio_opt_bool(dev, "own_reset", 0);
	testdev_odd_ids(dev, &ids);
	ret = uvfio_set_ids(dev, &ids);
	if (ret >= 0)
		ret = add_bars(dev);
	if (ret >= 0)
		ret = add_capabilities(dev);
	if (ret >= 0)
		ret = add_regions(dev);
	if (ret >= 0)
		return 0;
fail:
	testdev_destroy(dev);
	return ret;
}

#define SWITCH(option, value, text)                                                      \
	{                                                                                \
		.name = (option), .type = UVFIO_OPT_BOOL, .def = (value), .help = (text) \
	}

static const struct uvfio_option testdev_options[] = {
	{ .name = "ram",
	  .type = UVFIO_OPT_SIZE,
	  .def = "64K",
	  .min = 4096,
	  .max = 1u << 30,
	  .help = "size of BAR0, plain memory; a power of two" },
	SWITCH("ram_memory", "off", "loads and stores of a mapped BAR0 are the processor's alone"),
	SWITCH("region", "off", "a region that is no BAR: a page of memory with a type of its own"),
	SWITCH("atomics", "off", "AtomicOps of all sizes"),
	SWITCH("io", "on", "BAR3, I/O"),
	SWITCH("rom", "on", "expansion ROM"),
	{ .name = "romfile",
	  .type = UVFIO_OPT_PATH,
	  .help = "the ROM's image, instead of the built-in one" },
	SWITCH("pm", "on", "power management capability"),
	SWITCH("pme", "off", "it can send PME (with pm)"),
	SWITCH("no_soft_reset", "off", "D3hot to D0 keeps the state"),
	SWITCH("intx", "on", "interrupt pin"),
	SWITCH("disintx", "on", "COMMAND.DisINTx works; off: a function from before PCI 2.3"),
	SWITCH("msi", "on", "MSI"),
	{ .name = "msi_vectors",
	  .type = UVFIO_OPT_UINT,
	  .def = "32",
	  .min = 1,
	  .max = 32,
	  .help = "messages of MSI: 1, 2, 4, 8, 16, 32" },
	SWITCH("msi64", "on", "MSI with 64-bit addresses"),
	SWITCH("msi_mask", "on", "MSI with mask bits"),
	SWITCH("msix", "on", "MSI-X"),
	{ .name = "vectors",
	  .type = UVFIO_OPT_UINT,
	  .def = "64",
	  .min = 1,
	  .max = 2048,
	  .help = "vectors of MSI-X" },
	SWITCH("vpd", "on", "vital product data"),
	SWITCH("vendor", "on", "vendor-specific capability"),
	SWITCH("af", "off", "Advanced Features: FLR of conventional PCI"),
	SWITCH("pcie", "on", "PCI Express capability, and extended config space"),
	SWITCH("flr", "on", "FLR by PCI Express"),
	SWITCH("aer", "on", "Advanced Error Reporting (with pcie)"),
	SWITCH("dsn", "on", "Device Serial Number (with pcie)"),
	SWITCH("pri", "off", "page requests, for fault queues of an iommufd (with pcie)"),
	{ .name = "pasid_bits",
	  .type = UVFIO_OPT_UINT,
	  .def = "0",
	  .max = UVFIO_PASID_BITS_MAX,
	  .help = "width of PASIDs (with pcie); 0: it has none" },
	{ .name = "vendor_id",
	  .type = UVFIO_OPT_UINT,
	  .def = "0x1234",
	  .max = 0xfffe,
	  .help = "its ids, as of another device; the ROM keeps its own" },
	{ .name = "device_id",
	  .type = UVFIO_OPT_UINT,
	  .def = "0x7e57",
	  .max = 0xffff,
	  .help = "the same" },
	{ .name = "pcie_version",
	  .type = UVFIO_OPT_UINT,
	  .def = "2",
	  .max = 2,
	  .help = "what the PCI Express capability says" },
	{ .name = "pcie_type",
	  .type = UVFIO_OPT_UINT,
	  .def = "0",
	  .max = 15,
	  .help = "the same: 0 endpoint, 1 legacy endpoint, 9 integrated endpoint" },
	SWITCH("mirror", "off", "config space can be read in BAR2, too"),
	SWITCH("wrong_pba", "off", "MSI-X says that the pending bits are behind the BAR"),
	SWITCH("own_reset", "off", "a register that resets it"),
	{ 0 },
};

const struct uvfio_model model_testdev = {
	UVFIO_MODEL_INIT,
	.name = "testdev",
	.summary = "everything a driver can meet, at the push of a register",
	.options = testdev_options,
	.create = testdev_create,
	.destroy = testdev_destroy,
	.reset = testdev_reset,
	.bar_read = testdev_read,
	.bar_write = testdev_write,
	.config_written = testdev_config_written,
	.power = testdev_power,
	.regs = testdev_reg_names,
	.state_version = 1,
	.stop = testdev_stop,
	.resume = testdev_resume,
	.describe = testdev_describe,
	.save = testdev_save,
	.load = testdev_load,
	.state_size = testdev_state_size,
	.track = testdev_track,
	.dirty = testdev_dirty,
	.save_dirty = testdev_save_dirty,
	.load_dirty = testdev_load_dirty,
	.page_response = testdev_page_response,
};
