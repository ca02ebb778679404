/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/face.c: config space and BARs of a device behind a socket, as a bus sees them,
 * and what firmware does to it. The machine gives BARs addresses before the device is opened, and
 * while it is not: they are kept, and written to the device at each open, so that a user finds in
 * config space what sysfs shows.
 */
#include <linux/pci_regs.h>

#include "uvfio/model.h"
#include "vfio_user/client/internal.h"

#define CONFIG	 VFIO_PCI_CONFIG_REGION_INDEX
#define ROM	 (VU_CLIENT_BARS - 1)
#define CAP_MAX	 48u
#define SMALLEST 256u
#define DECODING ((uint16_t)(PCI_COMMAND_MEMORY | PCI_COMMAND_IO))
/* Where firmware writes; the interrupt line is one byte. */
#define BARS_END (PCI_BASE_ADDRESS_0 + 4 * ROM)

static unsigned bar_register(unsigned bar)
{
	return bar == ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

static uint32_t get(const uint8_t *config, unsigned off, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, config + off, size);
	return v;
}

/* ---- what config space says ---- */

/* Find capability @id of what was read; 0: there is none. */
static unsigned find_cap(const uint8_t *config, uint8_t id)
{
	unsigned at;

	if (!(get(config, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	at = config[PCI_CAPABILITY_LIST] & ~3u;
	for (unsigned i = 0; i < CAP_MAX && at >= PCI_STD_HEADER_SIZEOF; i++) {
		if (config[at] == id)
			return at;
		at = config[at + 1] & ~3u;
	}
	return 0;
}

/* True if the register of BAR @bar is the upper half of the one before. */
static bool is_upper(const uint8_t *config, unsigned bar)
{
	unsigned i = 0;
	uint32_t v;

	for (; i < bar && i < ROM; i++) {
		v = get(config, bar_register(i), 4);
		if (v & PCI_BASE_ADDRESS_SPACE_IO ||
		    (v & PCI_BASE_ADDRESS_MEM_TYPE_MASK) != PCI_BASE_ADDRESS_MEM_TYPE_64)
			continue;
		i++;
		if (i == bar)
			return bar != ROM;
	}
	return false;
}

static unsigned flags_of(const uint8_t *config, unsigned bar)
{
	uint32_t v = get(config, bar_register(bar), 4);
	unsigned flags = 0;

	if (bar == ROM)
		return 0;
	if (v & PCI_BASE_ADDRESS_SPACE_IO)
		return UVFIO_BAR_IO;
	if ((v & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && bar + 1 < ROM)
		flags |= UVFIO_BAR_64;
	if (v & PCI_BASE_ADDRESS_MEM_PREFETCH)
		flags |= UVFIO_BAR_PREFETCH;
	return flags;
}

bool vu_face_is_memory(struct vu_client *c, uint32_t index)
{
	bool is;

	if (index >= ROM)
		return false;
	pthread_mutex_lock(&c->config_lock);
	is = !is_upper(c->config, index) && !(flags_of(c->config, index) & UVFIO_BAR_IO);
	pthread_mutex_unlock(&c->config_lock);
	return is;
}

int vu_face_msix_table(struct vu_client *c)
{
	int bar = -1;
	unsigned at;

	pthread_mutex_lock(&c->config_lock);
	at = find_cap(c->config, PCI_CAP_ID_MSIX);
	if (at)
		bar = (int)(get(c->config, at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_BIR);
	pthread_mutex_unlock(&c->config_lock);
	return bar;
}

void vu_face_msix_bounds(struct vu_client *c, uint32_t bar, uint64_t *start, uint64_t *end)
{
	unsigned at;

	*start = *end = 0;
	pthread_mutex_lock(&c->config_lock);
	at = find_cap(c->config, PCI_CAP_ID_MSIX);
	if (at && (get(c->config, at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_BIR) == bar) {
		*start = get(c->config, at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET;
		*end = *start +
		       16ull * ((get(c->config, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) +
				1);
	}
	pthread_mutex_unlock(&c->config_lock);
}

unsigned vu_face_msi_masks(struct vu_client *c)
{
	unsigned at, flags;

	pthread_mutex_lock(&c->config_lock);
	at = find_cap(c->config, PCI_CAP_ID_MSI);
	flags = at ? get(c->config, at + PCI_MSI_FLAGS, 2) : 0;
	pthread_mutex_unlock(&c->config_lock);
	if (!(flags & PCI_MSI_FLAGS_MASKBIT))
		return 0;
	return at + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

unsigned vu_face_msix_flags(struct vu_client *c)
{
	unsigned at;

	pthread_mutex_lock(&c->config_lock);
	at = find_cap(c->config, PCI_CAP_ID_MSIX);
	pthread_mutex_unlock(&c->config_lock);
	return at ? at + PCI_MSIX_FLAGS : 0;
}

/* ---- firmware's part ---- */

/* The bits of a BAR's register that firmware does not write. */
static uint32_t fixed_bits(unsigned bar, uint32_t v)
{
	if (bar == ROM)
		return ~(uint32_t)PCI_ROM_ADDRESS_MASK;
	return v & PCI_BASE_ADDRESS_SPACE_IO ? 3 : 15;
}

/* Put what firmware set into what the device said. config_lock is held. */
static void apply_firmware(struct vu_client *c)
{
	for (unsigned i = 0; i < VU_CLIENT_BARS; i++) {
		unsigned off = bar_register(i);
		uint32_t v = get(c->config, off, 4),
			 fixed = is_upper(c->config, i) ? 0 : fixed_bits(i, v);

		v = (c->bar_registers[i] & ~fixed) | (v & fixed);
		memcpy(c->config + off, &v, 4);
	}
	c->config[PCI_INTERRUPT_LINE] = c->line;
	c->config[PCI_COMMAND] |= (uint8_t)c->decode;
}

void vu_client_config_write(struct vu_client *c, unsigned off, unsigned size, uint32_t value)
{
	bool is_bar = size == 4 && off >= PCI_BASE_ADDRESS_0 && off < BARS_END;

	pthread_mutex_lock(&c->config_lock);
	if (is_bar)
		c->bar_registers[(off - PCI_BASE_ADDRESS_0) / 4] = value;
	else if (off == PCI_ROM_ADDRESS && size == 4)
		c->bar_registers[ROM] = value;
	else if (off == PCI_INTERRUPT_LINE && size == 1)
		c->line = (uint8_t)value;
	else if (off == PCI_COMMAND && size == 2)
		c->decode = (uint16_t)(value & DECODING);
	else if (c->vpd_data && off == c->vpd + PCI_VPD_ADDR && size == 2)
		c->vpd_addr = (uint16_t)(value | PCI_VPD_ADDR_F);
	apply_firmware(c);
	pthread_mutex_unlock(&c->config_lock);
}

uint32_t vu_client_config_read(struct vu_client *c, unsigned off, unsigned size)
{
	uint32_t v;

	pthread_mutex_lock(&c->config_lock);
	v = get(c->config, off, size);
	if (c->vpd_data && off == c->vpd + PCI_VPD_ADDR && size == 2)
		v = c->vpd_addr;
	else if (c->vpd_data && off == c->vpd + PCI_VPD_DATA && size == 4)
		v = vu_vpd_get(c, c->vpd_addr & PCI_VPD_ADDR_MASK);
	pthread_mutex_unlock(&c->config_lock);
	return v;
}

unsigned vu_client_config_size(const struct vu_client *c)
{
	return c->config_size;
}

struct vu_client_bar vu_client_bar(const struct vu_client *c, unsigned bar)
{
	return c->bars[bar];
}

/* Note from what was read or written whether the BARs answer. config_lock is held. */
static void note_decoding(struct vu_client *c)
{
	bool sleeps = c->pm && c->config[c->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;

	atomic_store(&c->decodes, c->config[PCI_COMMAND] & PCI_COMMAND_MEMORY && !sleeps);
}

void vu_face_note(struct vu_client *c, uint64_t pos, const void *buf, size_t count, bool write)
{
	const uint8_t *p = buf;

	pthread_mutex_lock(&c->config_lock);
	for (uint64_t at = pos; at - pos < count && at < c->config_size; at++) {
		bool firmwares = (at >= PCI_BASE_ADDRESS_0 && at < BARS_END) ||
				 (at >= PCI_ROM_ADDRESS && at < PCI_ROM_ADDRESS + 4u);
		bool known = at == PCI_COMMAND || at == PCI_COMMAND + 1 ||
			     (c->pm && at == c->pm + PCI_PM_CTRL);

		if (write ? known : !firmwares)
			c->config[at] = p[at - pos];
	}
	note_decoding(c);
	pthread_mutex_unlock(&c->config_lock);
}

/* True if the register of BAR @i is one: of a BAR, or the upper half of one. */
static bool is_register(const struct vu_client *c, unsigned i)
{
	return c->bars[i].size || (i && i < ROM && c->bars[i - 1].flags & UVFIO_BAR_64);
}

void vu_face_keep(struct vu_client *c, struct vu_session *s, struct vu_kept *kept)
{
	memset(kept, 0, sizeof(*kept));
	for (unsigned i = 0; i < VU_CLIENT_BARS; i++)
		if (is_register(c, i))
			vu_region_rw(s, CONFIG, bar_register(i), &kept->bars[i], 4, false);
	vu_region_rw(s, CONFIG, PCI_INTERRUPT_LINE, &kept->line, 1, false);
	vu_region_rw(s, CONFIG, PCI_COMMAND, &kept->command, 2, false);
}

/* Write @size bytes back, unless they are there. */
static void put_back(struct vu_session *s, unsigned off, const void *want, unsigned size)
{
	uint32_t has = 0, v = 0;

	memcpy(&v, want, size);
	if (vu_region_rw(s, CONFIG, off, &has, size, false) == size && has != v)
		vu_region_rw(s, CONFIG, off, &v, size, true);
}

void vu_face_give_back(struct vu_client *c, struct vu_session *s, const struct vu_kept *kept)
{
	uint16_t command = 0;

	for (unsigned i = 0; i < VU_CLIENT_BARS; i++)
		if (is_register(c, i))
			put_back(s, bar_register(i), &kept->bars[i], 4);
	put_back(s, PCI_INTERRUPT_LINE, &kept->line, 1);
	/* of one that slept, fewer bits were to be seen than it has now */
	if (vu_region_rw(s, CONFIG, PCI_COMMAND, &command, 2, false) == 2 &&
	    (command & kept->command) != kept->command) {
		command |= kept->command;
		vu_region_rw(s, CONFIG, PCI_COMMAND, &command, 2, true);
	}
}

/* Write BARs and interrupt line, and have these bits of the command register be set. */
static void restore(struct vu_client *c, struct vu_session *s, uint16_t bits)
{
	uint16_t command = 0;
	uint32_t want;

	for (unsigned i = 0; i < VU_CLIENT_BARS; i++) {
		want = vu_client_config_read(c, bar_register(i), 4);
		if (is_register(c, i))
			put_back(s, bar_register(i), &want, 4);
	}
	want = vu_client_config_read(c, PCI_INTERRUPT_LINE, 1);
	put_back(s, PCI_INTERRUPT_LINE, &want, 1);
	if (vu_region_rw(s, CONFIG, PCI_COMMAND, &command, 2, false) != 2)
		return;
	if ((command & bits) != bits) {
		command |= bits;
		vu_region_rw(s, CONFIG, PCI_COMMAND, &command, 2, true);
	}
	vu_face_note(c, PCI_COMMAND, &command, 2, true);
}

void vu_face_restore(struct vu_client *c, struct vu_session *s)
{
	restore(c, s, c->decode);
}

void vu_face_again(struct vu_client *c, struct vu_session *s)
{
	restore(c, s, (uint16_t)vu_client_config_read(c, PCI_COMMAND, 2));
}

/* ---- looking ---- */

int vu_face_look(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	const struct vu_region *r = &c->regions[CONFIG];
	uint64_t size = r->info.size < VU_CONFIG_SIZE ? SMALLEST : VU_CONFIG_SIZE;
	uint8_t *config;
	uint32_t id;
	ssize_t n;
	int rc = 0;

	if (!r->there || r->info.size < SMALLEST)
		return vu_fail(why, -EOPNOTSUPP, "its device has no config space");
	config = heap_alloc(VU_CONFIG_SIZE);
	if (!config)
		return -ENOMEM;
	n = vu_region_rw(s, CONFIG, 0, config, size, false);
	id = get(config, PCI_VENDOR_ID, 4);
	if (n != (ssize_t)size)
		rc = vu_fail(why, n < 0 ? (int)n : -EIO, "its config space cannot be read: %s",
			     n < 0 ? strerror((int)-n) : "it ends too soon");
	else if ((id & 0xffff) == 0xffff)
		rc = vu_fail(why, -ENODEV, "its device does not answer: the vendor is 0xffff");
	else if ((config[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		rc = vu_fail(why, -EOPNOTSUPP, "its device is a bridge (header type %u)",
			     config[PCI_HEADER_TYPE] & 0x7f);
	else if (c->known && (id != c->id || size != c->config_size))
		rc = vu_fail(why, -ENODEV,
			     "another device is there now: %04x:%04x, it was %04x:%04x",
			     id & 0xffff, id >> 16, c->id & 0xffff, c->id >> 16);
	if (!rc) {
		pthread_mutex_lock(&c->config_lock);
		memcpy(c->config, config, VU_CONFIG_SIZE);
		c->id = id;
		c->config_size = (unsigned)size;
		c->pm = find_cap(config, PCI_CAP_ID_PM);
		c->vpd = find_cap(config, PCI_CAP_ID_VPD);
		if (c->known)
			apply_firmware(c);
		note_decoding(c);
		pthread_mutex_unlock(&c->config_lock);
	}
	heap_free(config);
	return rc;
}

/* Return what BAR @bar is, whose region is known: a power of two, as on a bus. */
static struct vu_client_bar look_at_bar(struct vu_client *c, unsigned bar)
{
	uint64_t size = c->regions[bar].info.size, pow;
	struct vu_client_bar b = { 0 };

	if (!size || is_upper(c->config, bar))
		return b;
	b.flags = flags_of(c->config, bar);
	pow = b.flags & UVFIO_BAR_IO ? 4 : bar == ROM ? 2048 : 16;
	while (pow < size)
		pow *= 2;
	b.size = pow;
	return b;
}

int vu_face_bars(struct vu_client *c, struct vu_why *why)
{
	int rc = 0;

	pthread_mutex_lock(&c->config_lock);
	for (unsigned i = 0; i < VU_CLIENT_BARS && !rc; i++) {
		struct vu_client_bar b = look_at_bar(c, i);

		if (!c->known)
			c->bars[i] = b;
		else if (b.size != c->bars[i].size || b.flags != c->bars[i].flags)
			rc = vu_fail(why, -ENODEV,
				     "its BAR%u is another one now, of 0x%llx bytes; it had 0x%llx",
				     i, (unsigned long long)b.size,
				     (unsigned long long)c->bars[i].size);
	}
	if (!rc && !c->known) {
		for (unsigned i = 0; i < VU_CLIENT_BARS; i++)
			c->bar_registers[i] = get(c->config, bar_register(i), 4);
		c->line = c->config[PCI_INTERRUPT_LINE];
		c->known = true;
	}
	pthread_mutex_unlock(&c->config_lock);
	return rc;
}
