/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/rom.c: the expansion ROM. It is read from the device when the guest first looks, since
 * reading disturbs some devices, and once: the guest gets a copy. Or a file stands for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "base/util.h"
#include "vmm/internal.h"

#define CONFIG	 VFIO_PCI_CONFIG_REGION_INDEX
#define ROM	 VFIO_PCI_ROM_REGION_INDEX
#define MIN_SIZE 0x800u	    /* the register has no address bits below: PCI 3.0, 6.2.5.2 */
#define MAX_SIZE 0x1000000u /* 16 MiB: the same */
#define CHUNK	 0x10000u
#define MAX_BUSY 1000 /* reads in turn that are to be tried again */

/* ---- the image's ids: PCI Firmware 3.3, 5.1.2 ---- */

#define IMAGE_LENGTH   2u /* in units of 512 bytes */
#define IMAGE_CHECKSUM 6u /* makes the sum of an image's bytes 0 */
#define IMAGE_PCIR     0x18u
#define PCIR_SIZE      0x18u

static unsigned get16(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

/*
 * Have the image say the device's id where it says that of another one of its vendor: firmware
 * takes no image of another device.
 */
static void fix_device_id(struct uvfio_vm_device *dev, uint8_t *image, uint64_t size)
{
	unsigned pcir, length, vendor, device;
	uint8_t sum = 0;

	if (size < IMAGE_PCIR + 2 || image[0] != 0x55 || image[1] != 0xaa)
		return;
	pcir = get16(image + IMAGE_PCIR);
	length = image[IMAGE_LENGTH] * 512u;
	if (pcir < IMAGE_PCIR + 2 || pcir + PCIR_SIZE > size || memcmp(image + pcir, "PCIR", 4))
		return;
	vendor = vm_config_get(dev, PCI_VENDOR_ID, 2);
	device = vm_config_get(dev, PCI_DEVICE_ID, 2);
	if (get16(image + pcir + 4) != vendor || get16(image + pcir + 6) == device)
		return;
	image[pcir + 6] = (uint8_t)device;
	image[pcir + 7] = (uint8_t)(device >> 8);
	if (!length || length > size)
		return;
	image[IMAGE_CHECKSUM] = 0;
	for (unsigned i = 0; i < length; i++)
		sum += image[i];
	image[IMAGE_CHECKSUM] = (uint8_t)-sum;
}

/* ---- reading ---- */

/* Read the device's into @image, as far as it goes: how many bytes, or -errno of the first read. */
static int64_t read_device(struct uvfio_vm_device *dev, uint8_t *image, uint64_t size)
{
	uint64_t done = 0;
	int busy = 0;

	while (done < size) {
		uint64_t left = size - done;
		ssize_t n = vfio_device_rw(&dev->open, ROM, done, image + done,
					   left < CHUNK ? left : CHUNK, false);

		if ((n == -EINTR || n == -EAGAIN) && ++busy < MAX_BUSY)
			continue;
		if (n <= 0)
			return done || !n ? (int64_t)done : n;
		done += (uint64_t)n;
		busy = 0;
	}
	return (int64_t)done;
}

/* Read it, when the guest looks for the first time. */
static void read_once(struct uvfio_vm_device *dev)
{
	struct vm_rom *rom = &dev->config.rom;
	uint8_t *image = malloc(rom->size);
	int64_t n = -ENOMEM;

	rom->tried = true;
	if (image) {
		memset(image, 0xff, rom->size);
		n = read_device(dev, image, rom->size);
	}
	if (n <= 0) {
		report_warn(REPORT_HINT("vm-rom-unreadable", "rom=FILE gives the guest another"),
			    dev->name, (int)n, "the ROM cannot be read: the guest reads all ones");
		free(image);
		return;
	}
	fix_device_id(dev, image, rom->size);
	rom->image = image;
}

uint64_t vm_rom_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	struct vm_rom *rom = &dev->config.rom;
	uint64_t value = 0;

	if (!rom->tried && rom->size)
		read_once(dev);
	for (unsigned i = 0; i < size && i < 8; i++) {
		/* an offset that wraps is behind the end, too */
		bool there = rom->image && offset < rom->size && i < rom->size - offset;

		value |= (uint64_t)(there ? rom->image[offset + i] : 0xff) << 8 * i;
	}
	return value;
}

/* ---- its size ---- */

static uint64_t power_of_two(uint64_t n)
{
	uint64_t size = MIN_SIZE;

	while (size < n)
		size *= 2;
	return size;
}

/* Have the file's bytes as the image. 0 or -errno with a sentence. */
static int read_file(struct uvfio_vm_device *dev, const char *path)
{
	struct vm_rom *rom = &dev->config.rom;
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0), rc = 0;
	struct stat st;

	if (fd < 0)
		return vm_fail(dev->vm, fd, "rom=%s: %s", path, strerror(-fd));
	if (fstat(fd, &st)) {
		rc = vm_fail(dev->vm, -errno, "rom=%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > MAX_SIZE) {
		rc = vm_fail(dev->vm, -EINVAL, "rom=%s: it is no file of 1 byte to 16 MiB", path);
	} else {
		uint64_t size = power_of_two((uint64_t)st.st_size);

		rom->image = malloc(size);
		if (!rom->image) {
			rc = vm_fail(dev->vm, -ENOMEM, "out of memory");
			goto out;
		}
		memset(rom->image, 0xff, size);
		for (off_t done = 0; done < st.st_size;) {
			ssize_t n =
				sys_pread(fd, rom->image + done, (size_t)(st.st_size - done), done);

			if (n == -EINTR)
				continue;
			if (n < 0) {
				rc = vm_fail(dev->vm, (int)n, "rom=%s: %s", path,
					     strerror((int)-n));
				free(rom->image);
				rom->image = NULL;
				goto out;
			}
			if (!n)
				break;
			done += n;
		}
		rom->size = size;
		rom->tried = true;
		fix_device_id(dev, rom->image, size);
	}
out:
	sys_close(fd);
	return rc;
}

/* Return the size that the register has, whether the image can be read or not. */
static uint64_t register_size(struct uvfio_vm_device *dev)
{
	uint8_t ones[4] = { 0, 0xf8, 0xff, 0xff }, was[4], mask[4];
	uint32_t value;

	if (!vm_device_rw(dev, CONFIG, PCI_ROM_ADDRESS, was, 4, false) ||
	    !vm_device_rw(dev, CONFIG, PCI_ROM_ADDRESS, ones, 4, true) ||
	    !vm_device_rw(dev, CONFIG, PCI_ROM_ADDRESS, mask, 4, false) ||
	    !vm_device_rw(dev, CONFIG, PCI_ROM_ADDRESS, was, 4, true))
		return 0;
	value = (mask[0] | (uint32_t)mask[1] << 8 | (uint32_t)mask[2] << 16 |
		 (uint32_t)mask[3] << 24) &
		(uint32_t)PCI_ROM_ADDRESS_MASK;
	return value ? -value & UINT32_MAX : 0;
}

int vm_rom_init(struct uvfio_vm_device *dev)
{
	struct vm_rom *rom = &dev->config.rom;
	struct vfio_region r;
	int rc = 0;

	if (dev->options.rom_file) {
		rc = read_file(dev, dev->options.rom_file);
	} else if (dev->options.rom && (dev->options.rom_asked || !vm_quirks_rom_hangs(dev))) {
		if (!vfio_device_region(&dev->open, ROM, &r))
			rom->size = r.size;
		if (!rom->size)
			rom->size = register_size(dev);
		/* a size that no register can have is no ROM's */
		if (rom->size < MIN_SIZE || rom->size > MAX_SIZE || !is_pow2(rom->size))
			rom->size = 0;
	}
	return rc;
}

void vm_rom_fini(struct uvfio_vm_device *dev)
{
	free(dev->config.rom.image);
	dev->config.rom.image = NULL;
}
