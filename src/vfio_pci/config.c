/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/config.c: config space as the user sees it. At open every byte is given to a capability
 * of the function (or to none), and each of its bits gets its place and its right from the tables
 * of config_tables.c. An access is cut into naturally aligned pieces of 1, 2 and 4 bytes that lie
 * within one capability; a piece of a write is merged with what may not be written and goes to the
 * virtual copy, to the hardware, or to both.
 */
#include "vfio_pci/internal.h"

/*
 * the first dword of an extended capability that is hidden but starts the chain: what is virtual
 * shows through
 */
static const struct vfio_pci_field hidden_fields[] = { { 0, 4, 0xffffffffu, 0 } };
static const struct vfio_pci_perm hidden_perm = { .len = 4,
						  .fields = hidden_fields,
						  .num_fields = 1 };

/*
 * Give [pos, pos + len) to a capability, also where another one has it already, as the kernel does.
 */
static void add_cap(struct vfio_pci_device *vd, uint16_t id, unsigned pos, unsigned len,
		    const struct vfio_pci_perm *perm)
{
	struct vfio_pci_config *c = &vd->config;
	struct vfio_pci_cap *cap = &c->caps[c->num_caps];

	len = len > c->size - pos ? c->size - pos : len;
	*cap = (struct vfio_pci_cap){ .id = id, .pos = pos, .len = len, .perm = perm };
	for (unsigned i = pos; i < pos + len; i++) {
		if (c->cap_of[i])
			report_warn("capability-overlap", vd->vdev.name, 0,
				    "config space: capabilities 0x%x and 0x%x overlap at 0x%x",
				    c->caps[c->cap_of[i] - 1].id, id, i);
		c->cap_of[i] = c->num_caps + 1;
		c->virt[i] = c->write[i] = 0;
	}
	c->num_caps++;
	for (unsigned f = 0; f < perm->num_fields; f++) {
		const struct vfio_pci_field *fl = &perm->fields[f];

		if (fl->off + fl->size > len)
			continue;
		put_bytes(c->virt + pos + fl->off, fl->size, fl->virt);
		put_bytes(c->write + pos + fl->off, fl->size, fl->write);
	}
}

static void init_std_caps(struct vfio_pci_device *vd)
{
	struct vfio_pci_config *c = &vd->config;
	uint8_t *prev = &c->vconfig[PCI_CAPABILITY_LIST];
	unsigned pos, shown = 0, loops = (PCI_CFG_SIZE - PCI_STD_HEADER_SIZEOF) / 4;

	if (!(get16(c->vconfig + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return;
	/*
	 * two low bits are reserved (PCIe 6.0, 7.5.1.1.11); the count ends a chain that bites its
	 * tail
	 */
	for (pos = *prev & ~3u; pos >= PCI_STD_HEADER_SIZEOF && loops--;) {
		uint8_t id = c->vconfig[pos], next = c->vconfig[pos + PCI_CAP_LIST_NEXT] & ~3u;
		unsigned len = vfio_pci_std_cap_len(vd->fn, id, pos);
		const struct vfio_pci_perm *perm = vfio_pci_std_perm(id);

		if (!len) {
			report_info("capability-hidden", vd->vdev.name, 0,
				    "config space: capability 0x%02x at 0x%02x is hidden", id, pos);
			*prev = next;
			pos = next;
			continue;
		}
		if (pos + len > PCI_CFG_SIZE)
			len = PCI_CFG_SIZE - pos;
		if (id == PCI_CAP_ID_MSI) {
			perm = vfio_pci_msi_perm(get16(c->vconfig + pos + PCI_MSI_FLAGS));
			vd->cap.msi = pos;
		} else if (id == PCI_CAP_ID_PM) {
			vd->cap.pm = pos;
			/* no power management event ever reaches the user */
			put16(c->vconfig + pos + PCI_PM_PMC,
			      get16(c->vconfig + pos + PCI_PM_PMC) & ~PCI_PM_CAP_PME_MASK);
			put16(c->vconfig + pos + PCI_PM_CTRL,
			      get16(c->vconfig + pos + PCI_PM_CTRL) &
				      ~(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
		}
		add_cap(vd, id, pos, len, perm);
		prev = &c->vconfig[pos + PCI_CAP_LIST_NEXT];
		pos = next;
		shown++;
	}
	if (!shown)
		put16(c->vconfig + PCI_STATUS,
		      get16(c->vconfig + PCI_STATUS) & ~PCI_STATUS_CAP_LIST);
}

#define EXT_NEXT_MASK (0xffcu << 20) /* PCIe 6.0, 7.6.3 */

static void init_ext_caps(struct vfio_pci_device *vd)
{
	struct vfio_pci_config *c = &vd->config;
	unsigned pos = PCI_CFG_SIZE, loops = (PCI_CFG_EXP_SIZE - PCI_CFG_SIZE) / 4, shown = 0;
	uint8_t *prev = NULL;

	if (c->size <= PCI_CFG_SIZE || !get32(c->vconfig + PCI_CFG_SIZE))
		return;
	while (pos >= PCI_CFG_SIZE && loops--) {
		uint32_t header = get32(c->vconfig + pos);
		uint16_t id = PCI_EXT_CAP_ID(header);
		unsigned len = vfio_pci_ext_cap_len(vd->fn, id, pos);

		if (len) {
			add_cap(vd, id, pos, len, vfio_pci_ext_perm(id));
			shown++;
		} else {
			report_info("capability-hidden", vd->vdev.name, 0,
				    "config space: extended capability 0x%04x at 0x%03x is hidden",
				    id, pos);
			if (prev) {
				pos = PCI_EXT_CAP_NEXT(header);
				put32(prev, (get32(prev) & ~EXT_NEXT_MASK) | pos << 20);
				continue;
			}
			/*
			 * the chain starts at 0x100, whatever stands there: ID and version 0, the
			 * next kept
			 */
			add_cap(vd, id, pos, 4, &hidden_perm);
			put32(c->vconfig + pos, header & EXT_NEXT_MASK);
		}
		prev = c->vconfig + pos;
		pos = PCI_EXT_CAP_NEXT(header);
	}
	if (!shown)
		put32(c->vconfig + PCI_CFG_SIZE, 0);
}

/*
 * Play the registers that a VF leaves to software (PCIe 6.0, 9.3.4.1): its IDs read ones; memory
 * decode is switched in the PF, for all VFs, and the user is shown a bit of its own that is on at
 * first; a pin, if a VF had one, would be a mistake.
 */
static void init_virtfn(struct vfio_pci_device *vd)
{
	struct vfio_pci_config *c = &vd->config;
	pci_function *pf = pci_function_pf(vd->fn);

	put16(c->vconfig + PCI_VENDOR_ID, (uint16_t)pci_config_read(pf, PCI_VENDOR_ID, 2));
	put16(c->vconfig + PCI_DEVICE_ID, pci_sriov_info(pf)->vf_device_id);
	c->vconfig[PCI_INTERRUPT_PIN] = 0;
	c->vconfig[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	c->virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

/* Make the virtual copy, of the function as it stands now. config_lock held. */
void vfio_pci_config_init(struct vfio_pci_device *vd)
{
	struct vfio_pci_config *c = &vd->config;

	memset(c, 0, sizeof(*c));
	c->size = pci_config_size(vd->fn);
	for (unsigned i = 0; i < c->size; i += 4)
		put32(c->vconfig + i, pci_config_read(vd->fn, i, 4));
	for (unsigned i = 0; i < 6; i++)
		c->real_bar[i] = get32(c->vconfig + PCI_BASE_ADDRESS_0 + 4 * i);
	c->real_bar[6] = get32(c->vconfig + PCI_ROM_ADDRESS);
	c->bars_dirty = true;
	vd->cap.pm = vd->cap.msi = 0;
	add_cap(vd, 0, 0, PCI_STD_HEADER_SIZEOF, vfio_pci_header_perm());
	if (vd->virtfn)
		init_virtfn(vd);
	init_std_caps(vd);
	init_ext_caps(vd);
	vfio_pci_masks_config(vd);
}

void vfio_pci_config_default_write(struct vfio_pci_device *vd, unsigned pos, unsigned size,
				   uint32_t value)
{
	struct vfio_pci_config *c = &vd->config;
	uint32_t write = get_bytes(c->write + pos, size), virt = get_bytes(c->virt + pos, size),
		 to_copy = write & virt, to_hw = write & ~virt;

	if (to_copy)
		put_bytes(c->vconfig + pos, size,
			  (get_bytes(c->vconfig + pos, size) & ~to_copy) | (value & to_copy));
	if (to_hw)
		pci_config_write(vd->fn, pos, size,
				 (pci_config_read(vd->fn, pos, size) & ~to_hw) | (value & to_hw));
}

static uint32_t read_piece(struct vfio_pci_device *vd, unsigned pos, unsigned size)
{
	struct vfio_pci_config *c = &vd->config;
	uint32_t virt = get_bytes(c->virt + pos, size), all = ~0u >> (32 - 8 * size), value;

	if (c->bars_dirty && ((pos >= PCI_BASE_ADDRESS_0 && pos < PCI_BASE_ADDRESS_5 + 4) ||
			      (pos >= PCI_ROM_ADDRESS && pos < PCI_ROM_ADDRESS + 4)))
		vfio_pci_fix_bars(vd);
	value = get_bytes(c->vconfig + pos, size);
	if (virt != all)
		value = (pci_config_read(vd->fn, pos, size) & ~virt) | (value & virt);
	return value & all;
}

static void write_piece(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value)
{
	struct vfio_pci_config *c = &vd->config;
	const struct vfio_pci_cap *cap = c->cap_of[pos] ? &c->caps[c->cap_of[pos] - 1] : NULL;

	/* Bytes that belong to nothing are the hardware's: some functions keep registers there. */
	if (!cap || cap->perm->raw_write)
		pci_config_write(vd->fn, pos, size, value);
	else if (cap->perm->write)
		cap->perm->write(vd, cap, pos, size, value);
	else
		vfio_pci_config_default_write(vd, pos, size, value);
}

static void write_and_look(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value)
{
	uint32_t before = read_piece(vd, pos, size);

	write_piece(vd, pos, size, value);
	vfio_pci_judge_config(vd, pos, size, value);
	vfio_pci_lost_config(vd, pos, size, value, before, read_piece(vd, pos, size));
}

/*
 * Return the longest naturally aligned piece at @pos within its dword, its capability and @count.
 */
static unsigned piece_size(const struct vfio_pci_config *c, unsigned pos, size_t count)
{
	unsigned n = 1;

	while (n < count && (pos + n) % 4 && c->cap_of[pos + n] == c->cap_of[pos])
		n++;
	return n >= 4 ? 4 : n >= 2 && pos % 2 == 0 ? 2 : 1;
}

ssize_t vfio_pci_config_rw(struct vfio_pci_device *vd, uint64_t pos, void *buf, size_t count,
			   bool write)
{
	struct vfio_pci_config *c = &vd->config;
	uint8_t *p = buf;
	size_t left = count;

	if (!range_within(pos, count, c->size))
		return -EFAULT;
	while (left) {
		unsigned n = piece_size(c, pos, left);

		pthread_mutex_lock(&vd->config_lock);
		if (write)
			write_and_look(vd, pos, n, get_bytes(p, n));
		else
			put_bytes(p, n, read_piece(vd, pos, n));
		pthread_mutex_unlock(&vd->config_lock);
		p += n;
		pos += n;
		left -= n;
	}
	return count;
}
