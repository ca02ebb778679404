/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/rdwr.c: reads and writes of BARs and ROM: cut into naturally aligned accesses of 8, 4, 2
 * and 1 bytes (I/O and ROM: at most 4), short at the end of the region. The MSI-X table is the
 * driver's: it reads as ones and drops writes, unless masks are the user's (masks.c).
 */
#include "vfio_pci/internal.h"

static uint32_t rom_load(struct vfio_pci_device *vd, uint32_t off, unsigned size)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = 0xff;

		pci_bar_read(vd->fn, PCI_ROM_BAR, off + i, 1, &byte);
		v |= (uint32_t)(byte & 0xff) << 8 * i;
	}
	return v;
}

/*
 * Return how many bytes of the ROM images fill, 0 if there is none. Firmware 3.3, 5.1.1 and 5.1.2:
 * an image starts with 55 aa and points at its data structure "PCIR", which has the length in units
 * of 512 bytes and says whether it is the last.
 */
uint32_t vfio_pci_rom_size(struct vfio_pci_device *vd)
{
	uint64_t size = pci_function_bar(vd->fn, PCI_ROM_BAR)->size, image = 0;
	uint32_t data, length;
	bool last;

	if (!size || !pci_rom_valid(vd->fn))
		return 0;
	do {
		if (!range_within(image, 0x1a, size) || rom_load(vd, image, 2) != 0xaa55)
			break;
		data = image + rom_load(vd, image + 0x18, 2);
		if (!range_within(data, 0x18, size) ||
		    rom_load(vd, data, 4) != 0x52494350) { /* "PCIR" */
			report_info("rom-image", vd->vdev.name, 0,
				    "ROM: the image at 0x%llx has no PCI data structure",
				    (unsigned long long)image);
			break;
		}
		length = rom_load(vd, data + 0x10, 2) * 512;
		last = rom_load(vd, data + 0x15, 1) & 0x80;
		image += length;
	} while (length && !last && image < size);
	return image < size ? image : size;
}

bool vfio_pci_touches_msix(const struct vfio_pci_device *vd, unsigned bar, uint64_t pos,
			   uint64_t count)
{
	return vd->msix.there && bar == vd->msix.info.table_bar &&
	       pos < vd->msix.info.table_offset + vd->msix.info.vectors * 16ull &&
	       pos + count > vd->msix.info.table_offset;
}

/* Tell of an access that nobody answers, since the user has turned the BAR off. */
static void report_disabled(struct vfio_pci_device *vd, unsigned bar, uint64_t pos, unsigned size,
			    uint64_t value, bool write, const char *why)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("mmio-disabled"));

	pci_bar_report(vd->fn, &code, write, bar, pos, size, write ? value : 0, why);
}

/* Return why the user's config space keeps the BAR from answering, or NULL. */
static const char *turned_off(const struct vfio_pci_device *vd, bool memory)
{
	unsigned command = vd->config.vconfig[PCI_COMMAND];

	if (memory)
		return vd->virtfn || command & PCI_COMMAND_MEMORY
			       ? NULL
			       : "memory decoding is off (PCI_COMMAND)";
	return command & PCI_COMMAND_IO ? NULL : "I/O decoding is off (PCI_COMMAND)";
}

/*
 * Make one access on the bus. With memory decode off for the user (of a VF it is the PF's), or in
 * D3hot, there is none: -EIO. If the function refuses, the bus answers: a read gets ones, a write
 * is lost; pci/ has said so in the log. The D-state takes a lock to read, so it is asked for only
 * after a refusal. @mapped: the access is of a mapping, which does not answer in low power.
 */
static int bar_access(struct vfio_pci_device *vd, unsigned bar, uint64_t pos, unsigned size,
		      uint64_t *value, bool write, bool mapped)
{
	bool memory = !(pci_function_bar(vd->fn, bar)->flags & UVFIO_BAR_IO);
	const char *off;
	int err = -EIO;

	vfio_pci_judge_access(vd, write);
	pthread_rwlock_rdlock(&vd->memory_lock);
	off = mapped && vd->low.engaged ? "the device is in low power" : turned_off(vd, memory);
	if (off && memory)
		goto out;
	if (vd->masks.users && vfio_pci_touches_msix(vd, bar, pos, size))
		err = write ? vfio_pci_masks_write(vd, pos, size, *value)
			    : vfio_pci_masks_read(vd, pos, size, value);
	else
		err = write ? pci_bar_write(vd->fn, bar, pos, size, *value)
			    : pci_bar_read(vd->fn, bar, pos, size, value);
	if (err && !write)
		*value = UINT64_MAX;
	if (err && !off && pci_power_state(vd->fn) >= 3)
		off = "it is in D3";
	err = off && memory ? -EIO : 0;
out:
	if (off)
		report_disabled(vd, bar, pos, size, *value, write, off);
	pthread_rwlock_unlock(&vd->memory_lock);
	return err;
}

int vfio_pci_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		  uint64_t *value, bool write)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	uint64_t all = 0, v;
	unsigned at, n;
	int err;

	for (at = 0; at < size; at += n) {
		for (n = 8; n > size - at || (pos + at) % n; n /= 2)
			;
		v = write ? *value >> 8 * at : 0;
		if (write && n < 8)
			v &= (1ull << 8 * n) - 1;
		err = bar_access(vd, index, pos + at, n, &v, write, true);
		if (err)
			return err;
		if (n < 8)
			v &= (1ull << 8 * n) - 1;
		all |= v << 8 * at;
	}
	if (!write)
		*value = all;
	return 0;
}

/*
 * True if there is an image to be seen. The kernel looks for it at each read, and finds none while
 * the function does not decode memory, or sleeps.
 */
static bool rom_answers(struct vfio_pci_device *vd)
{
	uint64_t v;
	int err;

	pthread_rwlock_rdlock(&vd->memory_lock);
	err = pci_bar_read(vd->fn, PCI_ROM_BAR, 0, 2, &v);
	pthread_rwlock_unlock(&vd->memory_lock);
	return !err;
}

ssize_t vfio_pci_bar_rw(struct vfio_pci_device *vd, unsigned bar, uint64_t pos, void *buf,
			size_t count, bool write)
{
	uint64_t size = pci_function_bar(vd->fn, bar)->size, skip_start = 0, skip_end = 0;
	/* an I/O cycle has 4 bytes at most */
	unsigned widest = pci_function_bar(vd->fn, bar)->flags & UVFIO_BAR_IO ? 4 : 8;
	uint8_t *p = buf;
	size_t done = 0;

	if (pos >= size)
		return -EINVAL;
	count = count < size - pos ? count : size - pos;
	if (bar == PCI_ROM_BAR) {
		if (write)
			return -EINVAL;
		if (!vd->rom_size || !rom_answers(vd))
			return -ENOMEM; /* what mapping an invalid ROM gives */
		widest = 4;
		skip_start = vd->rom_size; /* behind the images there is nothing */
		skip_end = size;
	} else if (!vd->masks.users && vfio_pci_touches_msix(vd, bar, pos, count)) {
		skip_start = vd->msix.info.table_offset;
		skip_end = skip_start + vd->msix.info.vectors * 16ull;
	}
	while (done < count) {
		uint64_t room = count - done, value = 0;
		unsigned n;
		int err;

		if (pos >= skip_start && pos < skip_end) {
			room = room < skip_end - pos ? room : skip_end - pos;
			if (!write)
				memset(p, 0xff, room);
			else
				vfio_pci_lost_table(vd, bar, pos);
			p += room;
			pos += room;
			done += room;
			continue;
		}
		if (pos < skip_start && room > skip_start - pos)
			room = skip_start - pos;
		for (n = widest; n > room || pos % n; n /= 2)
			;
		if (write)
			memcpy(&value, p, n);
		err = bar_access(vd, bar, pos, n, &value, write, false);
		if (err)
			return err;
		if (!write)
			memcpy(p, &value, n);
		p += n;
		pos += n;
		done += n;
	}
	return done;
}
