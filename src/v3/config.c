/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/config.c: config space as a user sees it. Each of the first 256 bytes belongs to the header,
 * to a capability, or to nobody; the rest is nobody's. Nobody's bytes read 0 and take no writes. No
 * capability is hidden. A write never fails: what must not be written is dropped, and counted.
 *
 * Nothing here may leave a byte of an answer unset: a reviewer found such a path in V3's.
 */
#include "v3/internal.h"
#include "v3/map.h"

static void add(struct v3_device *v, uint8_t id, unsigned pos, unsigned len,
		const struct v3_rights *r)
{
	struct v3_config *c = &v->config;

	c->caps[c->num_caps] = (struct v3_cap){ id, pos, len, r };
	for (unsigned i = pos; i < pos + len; i++) {
		if (c->owner[i])
			report_warn("capability-overlap", v->vdev.name, 0,
				    "config space: capabilities 0x%x and 0x%x overlap at 0x%x",
				    c->caps[c->owner[i] - 1].id, id, i);
		c->owner[i] = (uint8_t)(c->num_caps + 1);
		c->virt[i] = c->write[i] = 0;
	}
	c->num_caps++;
	for (unsigned f = 0; f < r->num_fields; f++) {
		const struct v3_field *fl = &r->fields[f];

		if (fl->off + fl->size > len)
			continue;
		put_bytes(c->virt + pos + fl->off, fl->size, fl->virt);
		put_bytes(c->write + pos + fl->off, fl->size, fl->write);
	}
}

static void add_cap(void *arg, uint8_t id, unsigned pos, unsigned len)
{
	struct v3_device *v = arg;

	add(v, id, pos, len, v3_rights_of(v->config.copy, id, pos));
}

/* The IDs that the kernel knows: of a VF those of its PF's capability, as its own read ones. */
static void fill_ids(struct v3_device *v)
{
	pci_function *pf = pci_function_pf(v->fn);

	if (!pf)
		return;
	put16(v->config.copy + PCI_VENDOR_ID, (uint16_t)pci_config_read(pf, PCI_VENDOR_ID, 2));
	put16(v->config.copy + PCI_DEVICE_ID, pci_sriov_info(pf)->vf_device_id);
}

static void build(struct v3_device *v)
{
	struct v3_config *c = &v->config;

	if (c->built)
		return;
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < PCI_CFG_SIZE; i += 4)
		put32(c->copy + i, pci_config_read(v->fn, i, 4));
	add(v, 0, 0, v3_header.len, &v3_header);
	v3_each_cap(c->copy, add_cap, v);
	fill_ids(v);
	c->built = true;
}

void v3_config_drop(struct v3_device *v)
{
	v->config.built = false;
}

/*
 * Write the bits @bits of @value to the device, and no byte that has none: STATUS and its like take
 * ones as commands.
 */
static void write_device(struct v3_device *v, unsigned pos, unsigned size, uint32_t bits,
			 uint32_t value)
{
	bool all = true;

	for (unsigned i = 0; i < size; i++)
		all = all && bits >> 8 * i & 0xff;
	if (size > 1 && !all) {
		write_device(v, pos, size / 2, bits & ((1u << 4 * size) - 1), value);
		write_device(v, pos + size / 2, size / 2, bits >> 4 * size, value >> 4 * size);
		return;
	}
	if (bits)
		pci_config_write(v->fn, pos, size,
				 (pci_config_read(v->fn, pos, size) & ~bits) | (value & bits));
}

void v3_config_default_write(struct v3_device *v, unsigned pos, unsigned size, uint32_t value)
{
	struct v3_config *c = &v->config;
	uint32_t write = get_bytes(c->write + pos, size), virt = get_bytes(c->virt + pos, size),
		 to_copy = write & virt, to_device = write & ~virt;

	if (to_copy)
		put_bytes(c->copy + pos, size,
			  (get_bytes(c->copy + pos, size) & ~to_copy) | (value & to_copy));
	write_device(v, pos, size, to_device, value);
}

/* Read a byte that is virtual, which a BAR's are after its length. */
static uint32_t read_copy(struct v3_device *v, unsigned pos, unsigned size)
{
	unsigned reg = pos & ~3u;
	uint32_t value;

	if ((reg < PCI_BASE_ADDRESS_0 || reg > PCI_BASE_ADDRESS_5) && reg != PCI_ROM_ADDRESS)
		return get_bytes(v->config.copy + pos, size);
	value = v3_read_bar(v, reg, get32(v->config.copy + reg));
	return value >> 8 * (pos - reg);
}

static uint32_t read_piece(struct v3_device *v, unsigned pos, unsigned size)
{
	struct v3_config *c = &v->config;
	uint32_t virt, value;

	if (pos >= PCI_CFG_SIZE || !c->owner[pos])
		return 0;
	virt = get_bytes(c->virt + pos, size);
	value = (pci_config_read(v->fn, pos, size) & ~virt) | (read_copy(v, pos, size) & virt);
	/* an interrupt that came, and waits for this bit to be cleared */
	if (pos <= PCI_COMMAND + 1 && pos + size > PCI_COMMAND + 1 && atomic_load(&v->intx.masked))
		value |= (uint32_t)(PCI_COMMAND_INTX_DISABLE >> 8) << 8 * (PCI_COMMAND + 1 - pos);
	return value;
}

static void write_piece(struct v3_device *v, unsigned pos, unsigned size, uint32_t value)
{
	struct v3_config *c = &v->config;
	const struct v3_cap *cap;

	if (pos >= PCI_CFG_SIZE || !c->owner[pos])
		return;
	cap = &c->caps[c->owner[pos] - 1];
	if (cap->rights->write)
		cap->rights->write(v, cap, pos, size, value);
	else
		v3_config_default_write(v, pos, size, value);
}

/* Return the longest aligned piece at @pos in its dword, its capability and @count. */
static unsigned piece_size(const struct v3_config *c, unsigned pos, size_t count)
{
	unsigned n = 1;

	while (n < count && (pos + n) % 4 &&
	       (pos >= PCI_CFG_SIZE || c->owner[pos + n] == c->owner[pos]))
		n++;
	return n >= 4 ? 4 : n >= 2 && pos % 2 == 0 ? 2 : 1;
}

ssize_t v3_config_rw(struct v3_device *v, uint32_t pos, void *buf, size_t count, bool write)
{
	struct v3_config *c = &v->config;
	uint8_t *p = buf;
	size_t done = 0;
	unsigned n;

	if (pos > pci_config_size(v->fn))
		return -EINVAL;
	if (count > pci_config_size(v->fn) - pos)
		count = pci_config_size(v->fn) - pos;
	for (; done < count; done += n, pos += n, p += n) {
		pthread_mutex_lock(&v->config_lock);
		build(v);
		n = piece_size(c, pos, count - done);
		if (write)
			write_piece(v, pos, n, get_bytes(p, n));
		else
			put_bytes(p, n, read_piece(v, pos, n));
		pthread_mutex_unlock(&v->config_lock);
	}
	return (ssize_t)done;
}
