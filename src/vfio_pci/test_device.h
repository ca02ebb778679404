/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/test_device.h: for the unit tests of this folder: two small models, and a device of them
 * under the driver. "full" has every kind of BAR and capability; "old" is a chip from before PCI
 * 2.3 that cannot be reset.
 */
#ifndef VFIO_PCI_TEST_DEVICE_H
#define VFIO_PCI_TEST_DEVICE_H
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "vfio/open.h"
#include "vfio_pci/internal.h"

/* memory, 32 bits: bytes that can be written; the registers below are in the last page */
#define T_BAR0 0x10000u
/* memory, 32 bits: MSI-X table at 0x1000, pending bits at 0x3000, else as BAR 0 */
#define T_BAR1	   0x4000u
#define T_BAR2	   0x1000000ull /* memory, 64 bits, prefetchable */
#define T_BAR4	   0x40u	/* I/O */
#define T_ROM	   0x1000u	/* with an image of 1024 bytes */
#define T_MSIX_VEC 16u
#define T_MSIX_OFF 0x1000u

#define T_REFUSE 0xf000u /* the model refuses the access */
#define T_WIDTH	 0xf008u /* reads the width of the access itself */

/* what the test sees of the model */
struct tmodel {
	uint8_t bar0[T_BAR0], bar1[T_BAR1], bar2[0x1000], io[T_BAR4];
	unsigned resets, reset_kinds[16], quiesced, accesses, last_size, fails;
	uint64_t last_off;
	unsigned last_bar;
	bool last_write;
};

static struct tmodel tm;

static uint8_t *t_mem(unsigned bar, uint64_t off)
{
	switch (bar) {
	case 0:
		return tm.bar0 + off;
	case 1:
		return tm.bar1 + off;
	case 2:
		return off < sizeof(tm.bar2) - 8 ? tm.bar2 + off : tm.bar2;
	default:
		return tm.io + off;
	}
}

static void t_saw(unsigned bar, uint64_t off, unsigned size, bool write)
{
	tm.accesses++;
	tm.last_bar = bar;
	tm.last_off = off;
	tm.last_size = size;
	tm.last_write = write;
}

static inline int t_bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
			     uint64_t *value)
{
	t_saw(bar, off, size, false);
	if (bar == 0 && off == T_REFUSE) {
		tm.fails++;
		return -EINVAL;
	}
	*value = 0;
	if (bar == 0 && off == T_WIDTH)
		*value = size;
	else
		memcpy(value, t_mem(bar, off), size);
	return 0;
}

static inline int t_bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size,
			      uint64_t value)
{
	t_saw(bar, off, size, true);
	if (bar == 0 && off == T_REFUSE) {
		tm.fails++;
		return -EINVAL;
	}
	memcpy(t_mem(bar, off), &value, size);
	return 0;
}

static inline void t_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	if (tm.resets < ARRAY_SIZE(tm.reset_kinds))
		tm.reset_kinds[tm.resets] = kind;
	tm.resets++;
	memset(tm.bar0, 0, sizeof(tm.bar0));
	uvfio_intx(dev, false);
}

static inline void t_quiesce(struct uvfio_dev *dev)
{
	tm.quiesced++;
}

/* PCI Firmware 3.3, 5.1.1: 1024 bytes, one image, the last */
static inline void t_rom_image(uint8_t *rom)
{
	for (unsigned i = 0; i < 1024; i++)
		rom[i] = (uint8_t)i;
	put16(rom, 0xaa55);
	put16(rom + 0x18, 0x1c);
	memcpy(rom + 0x1c, "PCIR", 4);
	put16(rom + 0x1c + 0x10, 2);
	rom[0x1c + 0x15] = 0x80;
}

#define T_VPD_LEN 16
static const uint8_t t_vpd[T_VPD_LEN] = { 0x82, 4, 0, 'n', 'a', 'm', 'e', 0x78,
					  1,	2, 3, 4,   5,	6,   7,	  8 };

static int t_bars(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { 0x1234, 0x5678, 0x9abc, 0xdef0, 0xff0000, 7 };
	uint8_t rom[1024];

	t_rom_image(rom);
	if (uvfio_set_ids(dev, &ids) || uvfio_add_bar(dev, 0, T_BAR0, 0) ||
	    uvfio_add_bar(dev, 1, T_BAR1, 0) ||
	    uvfio_add_bar(dev, 2, T_BAR2, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH) ||
	    uvfio_add_bar(dev, 4, T_BAR4, UVFIO_BAR_IO) ||
	    uvfio_add_rom(dev, T_ROM, rom, sizeof(rom)))
		return -EINVAL;
	return 0;
}

static inline int t_create_full(struct uvfio_dev *dev)
{
	static const uint8_t ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
					  255, 255, 255, 255, 255, 255, 255, 255 };
	static const uint8_t data[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

	memset(&tm, 0, sizeof(tm));
	if (t_bars(dev) || uvfio_add_intx(dev, 1, true))
		return -EINVAL;
	/* a hidden one first, one in the middle, one last */
	if (uvfio_add_cap(dev, PCI_CAP_ID_SSVID, data, ones, 8) < 0 ||
	    uvfio_add_pm(dev, false) < 0 || uvfio_add_msi(dev, 8, true, true) < 0 ||
	    uvfio_add_cap(dev, PCI_CAP_ID_EA, data, NULL, 8) < 0 ||
	    uvfio_add_msix(dev, T_MSIX_VEC, 1, T_MSIX_OFF, 1, 0x3000) < 0 ||
	    uvfio_add_pcie(dev, true) < 0 || uvfio_add_vendor_cap(dev, data, ones, 12) < 0 ||
	    uvfio_add_af(dev) < 0 || uvfio_add_vpd(dev, t_vpd, sizeof(t_vpd), true) < 0 ||
	    uvfio_add_cap(dev, PCI_CAP_ID_CHSWP, data, NULL, 8) < 0)
		return -EINVAL;
	/* extended: hidden first, hidden in the middle */
	if (uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_LTR + 7, 1, data, NULL, 12) < 0 ||
	    uvfio_add_aer(dev) < 0 ||
	    uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_PASID, 1, data, NULL, 8) < 0 ||
	    uvfio_add_dsn(dev, 0x1122334455667788ull) < 0 ||
	    uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_PWR, 1, NULL, ones, 16) < 0 ||
	    uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_LTR, 1, NULL, ones, 8) < 0)
		return -EINVAL;
	/* a vendor's: length in bits 31:20 of its second dword */
	uint8_t vsec[12] = { 0x99, 0, 0x01, 0x01 };
	return uvfio_add_ext_cap(
		       dev, PCI_EXT_CAP_ID_VNDR, 1, vsec,
		       (const uint8_t[12]){ 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255 },
		       16) < 0
		       ? -EINVAL
		       : 0;
}

static inline int t_create_old(struct uvfio_dev *dev)
{
	memset(&tm, 0, sizeof(tm));
	return t_bars(dev) || uvfio_add_intx(dev, 2, false) ? -EINVAL : 0;
}

/* MSI of three sorts, no MSI-X, no PCI Express; PM that keeps its state */
static inline int t_create_msi(struct uvfio_dev *dev)
{
	memset(&tm, 0, sizeof(tm));
	return t_bars(dev) || uvfio_add_pm(dev, true) < 0 || uvfio_add_msi(dev, 4, false, false) < 0
		       ? -EINVAL
		       : 0;
}

static const struct uvfio_model t_model_full __attribute__((unused)) = {
	UVFIO_MODEL_INIT,	.name = "full",		  .create = t_create_full, .reset = t_reset,
	.bar_read = t_bar_read, .bar_write = t_bar_write, .quiesce = t_quiesce
};
static const struct uvfio_model t_model_old
	__attribute__((unused)) = { UVFIO_MODEL_INIT,	    .name = "old",
				    .create = t_create_old, .reset = t_reset,
				    .bar_read = t_bar_read, .bar_write = t_bar_write };
static const struct uvfio_model t_model_msi
	__attribute__((unused)) = { UVFIO_MODEL_INIT,	    .name = "msi",
				    .create = t_create_msi, .reset = t_reset,
				    .bar_read = t_bar_read, .bar_write = t_bar_write };

struct tdev {
	struct loop *loop;
	pci_function *fn;
	struct vfio_device *dev;
	struct vfio_pci_device *vd;
	struct vfio_open open; /* an opener of dev, which is in no group */
};

/* A test opens @t->dev itself, and closes it; this opener is for calls of the waist. */
static inline void t_opener(struct tdev *t)
{
	t->vd = to_vfio_pci(t->dev);
	vfio_open_init(&t->open, t->dev);
	atomic_store(&t->open.bound, true);
}

static inline void t_plug(struct tdev *t, const struct uvfio_model *model)
{
	char err[256];

	log_set(2, LOG_ERR);
	t->loop = loop_new();
	assert_non_null(t->loop);
	if (pci_function_new(model, "0000:01:02.3", 0, t->loop, NULL, 0, err, sizeof(err), &t->fn))
		fail_msg("%s", err);
	/* what firmware does: addresses */
	pci_config_write(t->fn, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	pci_config_write(t->fn, PCI_BASE_ADDRESS_1, 4, 0xe0010000);
	pci_config_write(t->fn, PCI_BASE_ADDRESS_2, 4, 0x01000000);
	pci_config_write(t->fn, PCI_BASE_ADDRESS_3, 4, 0x00000008);
	pci_config_write(t->fn, PCI_BASE_ADDRESS_4, 4, 0x0000c000);
	pci_config_write(t->fn, PCI_ROM_ADDRESS, 4, 0xe0020000);
	assert_int_equal(
		vfio_pci_bind(t->fn, &(struct pci_address){ .bus = 1, .device = 2, .function = 3 },
			      t->loop, &t->dev),
		0);
	t_opener(t);
}

static inline void t_open(struct tdev *t, const struct uvfio_model *model)
{
	t_plug(t, model);
	assert_int_equal(vfio_device_open(t->dev), 0);
}

static inline void t_unplug(struct tdev *t)
{
	vfio_pci_unbind(t->dev);
	pci_function_free(t->fn);
	loop_free(t->loop);
}

static inline void t_close(struct tdev *t)
{
	vfio_device_close(t->dev);
	t_unplug(t);
}

/* config space as the user sees it */
static inline uint32_t cr(struct tdev *t, unsigned pos, unsigned size)
{
	uint32_t v = 0;

	assert_int_equal(
		t->dev->ops->rw(t->dev, VFIO_PCI_CONFIG_REGION_INDEX, pos, &v, size, false), size);
	return v;
}
static inline void cw(struct tdev *t, unsigned pos, unsigned size, uint32_t v)
{
	assert_int_equal(t->dev->ops->rw(t->dev, VFIO_PCI_CONFIG_REGION_INDEX, pos, &v, size, true),
			 size);
}
/* and as it is */
static inline uint32_t hr(struct tdev *t, unsigned pos, unsigned size)
{
	return pci_config_read(t->fn, pos, size);
}

static inline unsigned user_cap(struct tdev *t, unsigned id)
{
	unsigned pos = cr(t, PCI_CAPABILITY_LIST, 1);

	for (int loops = 48; pos && loops--; pos = cr(t, pos + 1, 1))
		if (cr(t, pos, 1) == id)
			return pos;
	return 0;
}
static inline unsigned user_ext_cap(struct tdev *t, unsigned id)
{
	unsigned pos = 0x100;

	for (int loops = 960; pos && loops--; pos = cr(t, pos, 4) >> 20)
		if ((cr(t, pos, 4) & 0xffff) == id)
			return pos;
	return 0;
}

static inline int set_irqs(struct tdev *t, uint32_t index, uint32_t start, uint32_t count,
			   uint32_t flags, const void *data)
{
	struct vfio_irq_set_args a = {
		.flags = flags, .index = index, .start = start, .count = count, .data = data
	};

	return vfio_device_set_irqs(&t->open, &a);
}

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define ERR	VFIO_PCI_ERR_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX

static inline int t_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}
/* the counter, and it is 0 afterwards */
static inline uint64_t taken(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
/* the same, waiting up to a second for what another thread does */
static inline uint64_t taken_soon(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 1000);
	return taken(fd);
}
#endif
