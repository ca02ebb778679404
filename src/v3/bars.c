/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/bars.c: reads, writes and mappings of BARs and of the ROM. Decoding is always on, so each
 * access is made; the MSI-X table is a user's like any register, unless interrupts are not
 * remapped.
 */
#include "uvfio/vfio_v3.h"
#include "v3/internal.h"

/* Return the BAR that @space is: never NULL, of size 0 if it is absent. */
static const struct pci_bar *bar_of(struct v3_device *v, unsigned space)
{
	return pci_function_bar(v->fn, space == V3_SPACE_ROM ? PCI_ROM_BAR : space);
}

/*
 * Make one access on the bus. Where nobody answers (D3hot), a read gets ones and a write is lost,
 * and pci/ has said so.
 */
static void access_bar(struct v3_device *v, unsigned bar, uint64_t pos, unsigned size,
		       uint64_t *value, bool write)
{
	int err;

	pthread_rwlock_rdlock(&v->memory_lock);
	err = write ? pci_bar_write(v->fn, bar, pos, size, *value)
		    : pci_bar_read(v->fn, bar, pos, size, value);
	pthread_rwlock_unlock(&v->memory_lock);
	if (err && !write)
		*value = UINT64_MAX;
}

/* True if an MSI-X table that is protected has something in [@pos, @pos + @len) of @space. */
static bool guards_table(const struct v3_opener *o, unsigned space, uint32_t pos, uint64_t len)
{
	struct pci_msix_info m;
	uint64_t start, end;

	/* interrupt remapping keeps a device from sending what it likes */
	if (!vfio_abi()->allow_unsafe_intrs || !pci_msix_info(o->dev->fn, &m) ||
	    space != m.table_bar || !len)
		return false;
	start = align_down(m.table_offset, PAGE_SIZE_4K);
	end = align_up(m.table_offset + 16ull * m.vectors, PAGE_SIZE_4K);
	return pos < end && pos + len > start;
}

/* Cut @count at the end of a space of @size bytes. -EINVAL: @pos is behind it. */
static int cut(uint32_t pos, size_t *count, uint64_t size)
{
	if (pos > size)
		return -EINVAL;
	if (*count > size - pos)
		*count = (size_t)(size - pos);
	return 0;
}

int v3_check_rw(struct v3_opener *o, unsigned space, uint32_t pos, size_t *count, bool write)
{
	struct v3_device *v = o->dev;
	const struct pci_bar *b;

	if (!(space == V3_SPACE_CONFIG && !write) && !atomic_load(&v->has_domain))
		return -EINVAL;
	if (space == V3_SPACE_CONFIG)
		return cut(pos, count, pci_config_size(v->fn));
	if (space > V3_SPACE_ROM)
		return -EINVAL;
	b = bar_of(v, space);
	if (!b->size)
		return -EINVAL;
	if (b->flags & UVFIO_BAR_IO && space != V3_SPACE_ROM)
		return range_within(pos, *count, b->size) ? 0 : -EINVAL; /* never short */
	if (cut(pos, count, b->size))
		return -EINVAL;
	if (write && guards_table(o, space, pos, *count))
		return report_warn("msix-table", v->vdev.name, -EINVAL,
				   "write of BAR%u at 0x%x: the MSI-X table's page is protected, "
				   "as interrupts are not remapped (allow_unsafe_intrs)",
				   space, pos);
	return 0;
}

ssize_t v3_rw(struct v3_opener *o, unsigned space, uint32_t pos, void *buf, size_t count,
	      bool write)
{
	struct v3_device *v = o->dev;
	const struct pci_bar *b;
	uint8_t *p = buf;
	size_t done = 0;
	unsigned widest, n;
	uint64_t value;

	if (space == V3_SPACE_CONFIG)
		return v3_config_rw(v, pos, buf, count, write);
	b = bar_of(v, space);
	if (pos > b->size)
		return -EINVAL;
	if (count > b->size - pos)
		count = (size_t)(b->size - pos);
	if (space == V3_SPACE_ROM && write)
		return (ssize_t)count; /* it is read-only memory */
	widest = b->flags & UVFIO_BAR_IO && space != V3_SPACE_ROM ? 4 : 8;
	for (; done < count; done += n, p += n) {
		for (n = widest; n > count - done || (pos + done) % n; n /= 2)
			;
		value = 0;
		if (write)
			memcpy(&value, p, n);
		access_bar(v, space == V3_SPACE_ROM ? PCI_ROM_BAR : space, pos + done, n, &value,
			   write);
		if (!write)
			memcpy(p, &value, n);
	}
	return (ssize_t)done;
}

int v3_check_map(struct v3_opener *o, unsigned space, uint32_t pos, uint64_t len, bool write)
{
	struct v3_device *v = o->dev;
	const struct pci_bar *b;

	if (!atomic_load(&v->has_domain) || space > V3_SPACE_ROM)
		return -EINVAL;
	b = bar_of(v, space);
	if (!b->size || (space == V3_SPACE_ROM ? write : b->flags & UVFIO_BAR_IO))
		return -EINVAL;
	/* whole pages of it; V3 looked at the length alone, and mapped from the BAR's first page */
	if (pos % PAGE_SIZE_4K ||
	    !range_within(pos, align_up(len, PAGE_SIZE_4K), align_down(b->size, PAGE_SIZE_4K)))
		return -EINVAL;
	if (atomic_load(&v->no_mmap))
		return report_warn("mmap-refused", v->vdev.name, -EINVAL,
				   "mmap of BAR%u: the run's options forbid it, use read and write",
				   space);
	return write && guards_table(o, space, pos, len) ? -EINVAL : 0;
}

int v3_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size, uint64_t *value,
	    bool write)
{
	struct v3_device *v = to_v3(dev);
	uint64_t all = 0, part;
	unsigned n;

	if (index == V3_SPACE_ROM && write)
		return 0;
	for (unsigned at = 0; at < size; at += n) {
		for (n = 8; n > size - at || (pos + at) % n; n /= 2)
			;
		part = write ? *value >> 8 * at : 0;
		if (n < 8)
			part &= (1ull << 8 * n) - 1;
		access_bar(v, index == V3_SPACE_ROM ? PCI_ROM_BAR : index, pos + at, n, &part,
			   write);
		if (n < 8)
			part &= (1ull << 8 * n) - 1;
		all |= part << 8 * at;
	}
	if (!write)
		*value = all;
	return 0;
}

int v3_bar_len(struct v3_opener *o, int bar, uint32_t *len)
{
	const struct pci_bar *b;

	if (bar < 0 || bar > (int)V3_SPACE_ROM)
		return -EINVAL;
	b = bar_of(o->dev, (unsigned)bar);
	*len = (uint32_t)b->size;
	if (b->size > UINT32_MAX)
		report_warn("bar-len", o->dev->vdev.name, 0,
			    "BAR_LEN of BAR%d: its %llu bytes do not fit into 32 bits", bar,
			    (unsigned long long)b->size);
	return 0;
}

int v3_bar_info(struct v3_opener *o, unsigned bar, struct v3_bar *out)
{
	const struct pci_bar *b, *lower;

	if (bar > V3_SPACE_ROM)
		return -EINVAL;
	b = bar_of(o->dev, bar);
	*out = (struct v3_bar){ .size = b->size };
	if (!b->size) {
		lower = bar && bar < V3_SPACE_ROM ? bar_of(o->dev, bar - 1) : b;
		if (lower->size && lower->flags & UVFIO_BAR_64)
			out->flags = VFIO_V3_BAR_UPPER;
		return 0;
	}
	if (bar < V3_SPACE_ROM)
		out->flags = (b->flags & UVFIO_BAR_IO ? VFIO_V3_BAR_IO : 0) |
			     (b->flags & UVFIO_BAR_64 ? VFIO_V3_BAR_64 : 0) |
			     (b->flags & UVFIO_BAR_PREFETCH ? VFIO_V3_BAR_PREFETCH : 0);
	if (!(out->flags & VFIO_V3_BAR_IO) && b->size >= PAGE_SIZE_4K)
		out->flags |= VFIO_V3_BAR_MAP;
	return 0;
}

bool v3_may_write(const struct v3_opener *o, unsigned space, uint32_t pos, uint64_t len)
{
	return space != V3_SPACE_ROM && !guards_table(o, space, pos, len);
}
