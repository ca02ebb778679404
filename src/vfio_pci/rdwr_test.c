/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/rdwr_test.c: region access and ioeventfds: widths, ends, the MSI-X table, ROM, decoding
 * off, refusals.
 */
#include "base/report.h"
#include "vfio_pci/test_device.h"

static struct tdev t;

static int setup(void **state)
{
	t_open(&t, &t_model_full);
	return 0;
}
static int teardown(void **state)
{
	t_close(&t);
	return 0;
}

static ssize_t rd(unsigned region, uint64_t pos, void *buf, size_t n)
{
	return t.dev->ops->rw(t.dev, region, pos, buf, n, false);
}
static ssize_t wr(unsigned region, uint64_t pos, const void *buf, size_t n)
{
	return t.dev->ops->rw(t.dev, region, pos, (void *)buf, n, true);
}

static void test_regions(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t flags;
	} expect[] = {
		{ T_BAR0, 7 }, { T_BAR1, 7 }, { T_BAR2, 7 }, { 0, 0 },
		{ T_BAR4, 3 }, { 0, 0 },      { T_ROM, 1 },  { 4096, 3 },
	};
	struct vfio_region r;

	for (unsigned i = 0; i < ARRAY_SIZE(expect); i++) {
		assert_int_equal(t.dev->ops->region(t.dev, i, &r), 0);
		assert_int_equal(r.size, expect[i].size);
		assert_int_equal(r.flags, expect[i].flags);
		assert_int_equal(r.msix_mappable, i == 1);
		assert_int_equal(r.num_areas, 0);
	}
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_OFF);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(t.dev->ops->region(t.dev, i, &r), 0);
		assert_int_equal(r.flags, expect[i].flags & ~VFIO_REGION_INFO_FLAG_MMAP);
		assert_false(r.msix_mappable);
	}
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_AUTO);
	assert_int_equal(t.dev->ops->region(t.dev, 8, &r), -EINVAL);
	assert_int_equal(t.dev->ops->region(t.dev, 9, &r), -EINVAL);
	assert_int_equal(t.dev->ops->region(t.dev, UINT32_MAX, &r), -EINVAL);
}

/*
 * A program's accesses of a mapped BAR: any width and alignment, the real MSI-X table, a bus error
 * with decoding off.
 */
static void test_mmio(void **state)
{
	uint16_t command;
	uint64_t v;

	for (unsigned n = 1; n <= 8; n *= 2) {
		v = 0;
		assert_int_equal(t.dev->ops->mmio(t.dev, 0, T_WIDTH, n, &v, false), 0);
		assert_int_equal(v, n);
	}
	tm.accesses = 0;
	v = 0x1122334455667788ull;
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0x203, 8, &v, true), 0);
	assert_int_equal(tm.accesses, 4); /* of 1, 4, 2 and 1 at 203, 204, 208, 20a */
	v = 0;
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0x203, 8, &v, false), 0);
	assert_int_equal(v, 0x1122334455667788ull);
	v = UINT64_MAX;
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0x205, 3, &v, false), 0);
	assert_int_equal(v, 0x445566);
	/* vector control of entry 0: masked after reset, and not the ones that pread gives */
	assert_int_equal(t.dev->ops->mmio(t.dev, 1, T_MSIX_OFF + 12, 4, &v, false), 0);
	assert_int_equal(v, 1);
	assert_int_equal(rd(7, PCI_COMMAND, &command, 2), 2);
	command &= ~PCI_COMMAND_MEMORY;
	assert_int_equal(wr(7, PCI_COMMAND, &command, 2), 2);
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0, 4, &v, false), -EIO);
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0, 4, &v, true), -EIO);
	command |= PCI_COMMAND_MEMORY;
	assert_int_equal(wr(7, PCI_COMMAND, &command, 2), 2);
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0, 4, &v, false), 0);
}

static void test_widths(void **state)
{
	uint8_t buf[16];
	uint64_t v;

	for (unsigned n = 1; n <= 8; n *= 2) {
		v = 0;
		assert_int_equal(rd(0, T_WIDTH, &v, n), n);
		assert_int_equal(v, n);
	}
	/* 1, 2, 4, 8, then 1: 16 bytes from an odd address */
	for (unsigned i = 0; i < 16; i++)
		buf[i] = i + 1;
	tm.accesses = 0;
	assert_int_equal(wr(0, 0x101, buf, 16), 16);
	assert_int_equal(tm.accesses, 5);
	assert_memory_equal(tm.bar0 + 0x101, buf, 16);
	assert_int_equal(tm.last_size, 1);
	assert_int_equal(tm.last_off, 0x110);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rd(0, 0x101, buf, 16), 16);
	assert_int_equal(buf[15], 16);
	/* 6 bytes at a multiple of 4: 4 and 2 */
	tm.accesses = 0;
	assert_int_equal(wr(0, 0x204, buf, 6), 6);
	assert_int_equal(tm.accesses, 2);
}

static void test_ends(void **state)
{
	uint8_t buf[16];

	assert_int_equal(rd(0, T_BAR0 - 4, buf, 16), 4);
	assert_int_equal(wr(0, T_BAR0 - 4, buf, 16), 4);
	assert_int_equal(rd(0, T_BAR0, buf, 1), -EINVAL);
	assert_int_equal(rd(0, UINT64_MAX, buf, 8), -EINVAL);
	assert_int_equal(rd(0, T_BAR0, buf, 0), 0);
	assert_int_equal(rd(2, T_BAR2 - 8, buf, 16), 8);
	assert_int_equal(rd(3, 0, buf, 4), -EINVAL); /* upper half */
	assert_int_equal(rd(5, 0, buf, 4), -EINVAL);
	assert_int_equal(rd(8, 0, buf, 4), -EINVAL);
	assert_int_equal(rd(99, 0, buf, 4), -EINVAL);
}

static void test_msix_area(void **state)
{
	uint8_t buf[T_MSIX_VEC * 16 + 8], ones[T_MSIX_VEC * 16];

	memset(ones, 0xff, sizeof(ones));
	memset(tm.bar1, 0x11, sizeof(tm.bar1));
	/* four bytes before, the table, four bytes behind */
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rd(1, T_MSIX_OFF - 4, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(get32(buf), 0x11111111);
	assert_memory_equal(buf + 4, ones, sizeof(ones));
	assert_int_equal(get32(buf + sizeof(buf) - 4), 0x11111111);
	/* a write reaches only what is around it */
	memset(buf, 0x22, sizeof(buf));
	assert_int_equal(wr(1, T_MSIX_OFF - 4, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(tm.bar1[T_MSIX_OFF - 1], 0x22);
	assert_int_equal(tm.bar1[T_MSIX_OFF + T_MSIX_VEC * 16], 0x22);
	uint64_t entry = 0;
	assert_int_equal(pci_bar_read(t.fn, 1, T_MSIX_OFF, 4, &entry), 0);
	assert_int_not_equal(entry, 0x22222222);
	/* inside, at any place and length */
	assert_int_equal(rd(1, T_MSIX_OFF + 5, buf, 3), 3);
	assert_memory_equal(buf, ones, 3);
	/* pending bits are readable */
	uint32_t pba = 0xffffffff;
	assert_int_equal(rd(1, 0x3000, &pba, 4), 4);
	assert_int_equal(pba, 0);
}

static void test_rom(void **state)
{
	uint8_t image[1024], buf[T_ROM + 8];
	unsigned pm = user_cap(&t, PCI_CAP_ID_PM);
	struct vfio_region r;

	t_rom_image(image);
	assert_int_equal(rd(6, 0, buf, sizeof(buf)), T_ROM);
	assert_memory_equal(buf, image, sizeof(image));
	for (unsigned i = sizeof(image); i < T_ROM; i++)
		assert_int_equal(buf[i], 0xff);
	assert_int_equal(wr(6, 0, buf, 4), -EINVAL);
	assert_int_equal(rd(6, T_ROM, buf, 1), -EINVAL);
	/* the user's enable bit is virtual and changes nothing */
	cw(&t, PCI_ROM_ADDRESS, 4, 0xe0020001);
	assert_int_equal(cr(&t, PCI_ROM_ADDRESS, 4), 0xe0020001);
	assert_int_equal(rd(6, 3, buf, 2), 2);
	assert_memory_equal(buf, image + 3, 2);
	/*
	 * an image that cannot be seen is none: in the part behind it too, and the end of the
	 * region comes first
	 */
	cw(&t, PCI_COMMAND, 2, 0);
	assert_int_equal(rd(6, 0, buf, 4), -ENOMEM);
	assert_int_equal(rd(6, sizeof(image), buf, 4), -ENOMEM);
	assert_int_equal(rd(6, T_ROM, buf, 4), -EINVAL);
	assert_int_equal(wr(6, 0, buf, 4), -EINVAL);
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, T_ROM);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(6, 0, buf, 4), 4);
	/* in D3hot there is no region either */
	cw(&t, pm + PCI_PM_CTRL, 2, 3);
	assert_int_equal(rd(6, 0, buf, 4), -ENOMEM);
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(r.flags, 0);
	cw(&t, pm + PCI_PM_CTRL, 2, 0);
	assert_int_equal(rd(6, 0, buf, 4), 4);
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, T_ROM);
}

static void test_decoding(void **state)
{
	uint32_t v = 0;

	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_IO);
	tm.accesses = 0;
	assert_int_equal(rd(0, 0, &v, 4), -EIO);
	assert_int_equal(wr(0, 0, &v, 4), -EIO);
	assert_int_equal(rd(2, 0, &v, 4), -EIO);
	assert_int_equal(tm.accesses, 0);
	assert_int_equal(rd(1, T_MSIX_OFF, &v, 4), 4); /* the table is not the function's */
	assert_int_equal(rd(4, 0, &v, 4), 4);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(0, 0, &v, 4), 4);
	/* nobody answers on the I/O bus: ones */
	v = 0;
	assert_int_equal(rd(4, 0, &v, 4), 4);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(wr(4, 0, &v, 4), 4);
	assert_int_equal(tm.io[0], 0);
	/* reset behind the driver's back: the user's bit is on, the hardware's is not */
	pci_function_reset(t.fn, UVFIO_RESET_FLR);
	v = 0;
	assert_int_equal(rd(0, 0, &v, 4), 4);
	assert_int_equal(v, 0xffffffff);
}

static void test_io(void **state)
{
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_int_equal(wr(4, 8, buf, 2), 2);
	assert_int_equal(tm.io[9], 2);
	assert_int_equal(rd(4, T_BAR4 - 2, buf, 8), 2);
	tm.accesses = 0;
	assert_int_equal(wr(4, 16, buf, 8), 8);
	assert_int_equal(tm.accesses, 2);
	assert_memory_equal(tm.io + 16, buf, 8);
}

static unsigned lines;
static void on_line(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	if (strstr(r->line, "BAR"))
		lines++;
}

static struct report_subscriber subscriber = { .fn = on_line, .level = LOG_INFO };

static void test_refused(void **state)
{
	uint32_t v = 0;

	lines = 0;
	log_set(-1, LOG_WARN);
	report_subscribe(&subscriber);
	assert_int_equal(rd(0, T_REFUSE, &v, 4), 4);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(wr(0, T_REFUSE, &v, 4), 4);
	report_unsubscribe(&subscriber);
	assert_int_equal(tm.fails, 2);
	assert_int_equal(lines, 2);
}

static void test_reset(void **state)
{
	uint32_t v = 0x1234;

	assert_int_equal(wr(0, 0x10, &v, 4), 4);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(rd(0, 0x10, &v, 4), 4);
	assert_int_equal(v, 0);
}

#define IO(bar, off) (VFIO_REGION_OFFSET(bar) + (off))

static void test_ioeventfd_errors(void **state)
{
	struct vfio_open *o = &t.open;
	int fd = t_eventfd(), zero = open("/dev/zero", 0);

	assert_int_equal(vfio_device_ioeventfd(o, 0, IO(0, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 3, IO(0, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 16, IO(0, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, -2), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(6, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(7, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(5, 0), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, T_BAR0 - 2), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(1, T_MSIX_OFF), 1, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 8, IO(1, T_MSIX_OFF - 4), 1, fd), -EINVAL);
	assert_int_equal(
		vfio_device_ioeventfd(o, 8, IO(1, T_MSIX_OFF + T_MSIX_VEC * 16 - 1), 1, fd),
		-EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, -1), -ENODEV);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, 9999), -EBADF);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, zero), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, fd), 0);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, fd), -EEXIST);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 2, fd),
			 0); /* other data: another one */
	assert_int_equal(vfio_device_ioeventfd(o, 2, IO(0, 0), 1, fd), 0);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, -1), 0);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 1, -1), -ENODEV);
	close(zero);
	close(fd);
}

/* until the register reads @expect: the service thread writes it */
static bool becomes(unsigned bar, uint64_t off, uint64_t expect)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t v = 0;

		assert_int_equal(rd(bar, off, &v, 8), 8);
		if (v == expect)
			return true;
		usleep(1000);
	}
	return false;
}

static void test_ioeventfd(void **state)
{
	struct vfio_open *o = &t.open;
	int a = t_eventfd(), b = t_eventfd(), other = dup(b);
	uint64_t zero = 0;

	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0x40), 0xaabbccdd11223344, a), 0);
	assert_int_equal(vfio_device_ioeventfd(o, 8, IO(2, 0x80), 0x0102030405060708, b), 0);
	close(b);		 /* it is ours by now */
	eventfd_write(other, 3); /* one signal of three: one write */
	assert_true(becomes(2, 0x80, 0x0102030405060708));
	close(other);
	eventfd_write(a, 1);
	assert_true(becomes(0, 0x40, 0x11223344)); /* 4 bytes of the value */
	assert_int_equal(wr(0, 0x40, &zero, 8), 8);
	/* decoding off: nothing */
	cw(&t, PCI_COMMAND, 2, 0);
	eventfd_write(a, 1);
	usleep(20000);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(becomes(0, 0x40, 0));
	/* removed: nothing */
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0x40), 0xaabbccdd11223344, -1), 0);
	eventfd_write(a, 1);
	usleep(20000);
	assert_true(becomes(0, 0x40, 0));
	close(a);
}

static void test_ioeventfd_limit(void **state)
{
	struct vfio_open *o = &t.open;
	int fd = t_eventfd();
	unsigned n;
	int err = 0;

	for (n = 0; n < 1001 && !err; n++)
		err = vfio_device_ioeventfd(o, 4, IO(0, 0), n, fd);
	if (err == -EMFILE) {
		print_message("only %u descriptors allowed\n", n);
	} else {
		assert_int_equal(n, 1001);
		assert_int_equal(err, -ENOSPC);
	}
	/* closed with all of them set */
	vfio_device_close(t.dev);
	eventfd_write(fd, 1);
	assert_int_equal(vfio_device_open(t.dev), 0);
	assert_int_equal(vfio_device_ioeventfd(o, 4, IO(0, 0), 0, fd), 0);
	close(fd);
}

/* ROMs that are none */
static int create_bad_rom(struct uvfio_dev *dev)
{
	uint8_t rom[64] = { 0x55, 0xaa };

	memset(&tm, 0, sizeof(tm));
	rom[0x18] = 0x20; /* no PCIR there */
	return uvfio_add_rom(dev, 2048, rom, sizeof(rom));
}

static void test_bad_rom(void **state)
{
	static const struct uvfio_model m = { UVFIO_MODEL_INIT, .name = "badrom",
					      .create = create_bad_rom };
	struct tdev b;
	struct vfio_region r;
	uint32_t v;

	t_open(&b, &m);
	assert_int_equal(b.dev->ops->region(b.dev, 6, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(r.flags, 0);
	assert_int_equal(b.dev->ops->rw(b.dev, 6, 0, &v, 4, false), -ENOMEM);
	/* its register can be sized all the same */
	cw(&b, PCI_ROM_ADDRESS, 4, 0xffffffff);
	assert_int_equal(cr(&b, PCI_ROM_ADDRESS, 4), 0xfffff801);
	t_close(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_regions),	  T(test_mmio),
		T(test_widths),		  T(test_ends),
		T(test_msix_area),	  T(test_rom),
		T(test_decoding),	  T(test_io),
		T(test_refused),	  T(test_reset),
		T(test_ioeventfd_errors), T(test_ioeventfd),
		T(test_ioeventfd_limit),  cmocka_unit_test(test_bad_rom),
	};

	return cmocka_run_group_tests_name("vfio_pci/rdwr", tests, NULL, NULL);
}
