/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/caps_test.c: every capability of the tables that has no test of its own: a function has
 * one whose bits can all be written, the user writes ones to all of it, and what the hardware then
 * holds is what the tables let through. Behind its length a capability ends, and bytes that belong
 * to nobody are the hardware's.
 */
#include "vfio_pci/test_device.h"

/* bytes of the capability in the hardware, longer than what any of these covers */
#define BODY	 0x60u
#define STD_BODY 0x30u

struct row {
	uint16_t id;
	uint16_t len; /* 0: hidden */
	bool raw;
	struct {
		uint8_t off, value;
	} data[2]; /* what decides the length; offset 0: none */
	struct {
		uint8_t off, size;
	} writable[2];
};

static const struct row std_rows[] = {
	{ .id = PCI_CAP_ID_AGP, .len = 12 },
	{ .id = PCI_CAP_ID_PCIX, .len = 8, .writable = { { PCI_X_CMD, 2 } } },
	{ .id = PCI_CAP_ID_PCIX,
	  .len = 24,
	  .data = { { 3, 0x10 } },
	  .writable = { { PCI_X_CMD, 2 }, { PCI_X_ECC_CSR, 4 } } },
	{ .id = PCI_CAP_ID_HT, .len = 28 },
	{ .id = PCI_CAP_ID_HT, .len = 24, .data = { { 3, 0x20 } } },
	{ .id = PCI_CAP_ID_SATA, .len = 8 },
	{ .id = PCI_CAP_ID_SATA, .len = 16, .data = { { 4, 0x0f } } },
	{ .id = PCI_CAP_ID_VNDR, .len = 20, .raw = true, .data = { { 2, 20 } } },
	{ .id = PCI_CAP_ID_VNDR, .len = 0, .data = { { 2, 0 } } }, /* no length: cannot be placed */
	{ .id = PCI_CAP_ID_SLOTID },
	{ .id = PCI_CAP_ID_CHSWP },
	{ .id = PCI_CAP_ID_DBG },
	{ .id = PCI_CAP_ID_CCRC },
	{ .id = PCI_CAP_ID_SHPC },
	{ .id = PCI_CAP_ID_SSVID },
	{ .id = PCI_CAP_ID_AGP3 },
	{ .id = PCI_CAP_ID_SECDEV },
	{ .id = PCI_CAP_ID_EA },
	{ .id = 0x15 },
	{ .id = 0x80 },
	{ .id = 0 },
};

static const struct row ext_rows[] = {
	{ .id = PCI_EXT_CAP_ID_VC, .len = 28 },
	{ .id = PCI_EXT_CAP_ID_VC9, .len = 64, .data = { { 4, 1 }, { 8, PCI_VC_CAP2_32_PHASE } } },
	{ .id = PCI_EXT_CAP_ID_MFVC, .len = 28 },
	{ .id = PCI_EXT_CAP_ID_PWR, .len = 16, .writable = { { PCI_PWR_DATA, 1 } } },
	{ .id = PCI_EXT_CAP_ID_VNDR, .len = 32, .raw = true, .data = { { 7, 2 } } },
	{ .id = 0x23, .len = 32, .raw = true, .data = { { 7, 2 } } }, /* DVSEC */
	{ .id = PCI_EXT_CAP_ID_ACS, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_ACS, .len = 40, .data = { { PCI_ACS_CAP, PCI_ACS_EC } } },
	{ .id = PCI_EXT_CAP_ID_ACS,
	  .len = 12,
	  .data = { { PCI_ACS_CAP, PCI_ACS_EC }, { PCI_ACS_EGRESS_BITS, 9 } } },
	{ .id = PCI_EXT_CAP_ID_ARI, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_ATS, .len = 8 },
	{ .id = PCI_EXT_CAP_ID_SRIOV, .len = 64 },
	{ .id = PCI_EXT_CAP_ID_MCAST, .len = 40 },
	{ .id = PCI_EXT_CAP_ID_PRI, .len = 16 },
	{ .id = PCI_EXT_CAP_ID_REBAR,
	  .len = 20,
	  .data = { { PCI_REBAR_CTRL, 2 << PCI_REBAR_CTRL_NBAR_SHIFT } } },
	{ .id = PCI_EXT_CAP_ID_DPA, .len = 17 },
	{ .id = PCI_EXT_CAP_ID_DPA, .len = 20, .data = { { PCI_DPA_CAP, 3 } } },
	{ .id = PCI_EXT_CAP_ID_TPH, .len = 12 },
	{ .id = PCI_EXT_CAP_ID_TPH, .len = 20, .data = { { 5, 0x02 }, { 6, 3 } } },
	{ .id = PCI_EXT_CAP_ID_LTR, .len = 8 },
	{ .id = 0x05 },
	{ .id = 0x06 },
	{ .id = 0x07 },
	{ .id = 0x0a },
	{ .id = 0x0c },
	{ .id = 0x11 },
	{ .id = 0x14 },
	{ .id = 0x19 },
	{ .id = 0x1a },
	{ .id = 0x1b },
	{ .id = 0x1d },
	{ .id = 0x1e },
	{ .id = 0x1f },
	{ .id = 0x25 },
	{ .id = 0x26 },
	{ .id = 0x2e },
	{ .id = 0x30 },
	{ .id = 0x7fff },
};

static const struct row *row;
static bool row_ext;

static int create(struct uvfio_dev *dev)
{
	uint8_t data[BODY] = { 0 }, ones[BODY];
	unsigned header = row_ext ? 4 : 2;

	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < 2; i++)
		if (row->data[i].off)
			data[row->data[i].off - header] = row->data[i].value;
	if (!row_ext)
		return uvfio_add_cap(dev, row->id, data, ones, STD_BODY) < 0 ||
				       uvfio_add_pm(dev, true) < 0
			       ? -EINVAL
			       : 0;
	return uvfio_add_pcie(dev, true) < 0 || uvfio_add_dsn(dev, 1) < 0 ||
			       uvfio_add_ext_cap(dev, row->id, 1, data, ones, BODY) < 0 ||
			       uvfio_add_aer(dev) < 0
		       ? -EINVAL
		       : 0;
}

static bool table_lets(unsigned i)
{
	for (unsigned k = 0; k < 2; k++)
		if (i >= row->writable[k].off && i < row->writable[k].off + row->writable[k].size)
			return true;
	return row->raw || i >= row->len;
}

/* in the user's chain? */
static bool shown(struct tdev *t, unsigned at)
{
	unsigned pos;

	if (!row_ext) {
		for (pos = cr(t, PCI_CAPABILITY_LIST, 1); pos; pos = cr(t, pos + 1, 1))
			if (pos == at)
				return true;
		return false;
	}
	for (pos = 0x100; pos; pos = cr(t, pos, 4) >> 20)
		if (pos == at)
			return true;
	return false;
}

static void check(const struct row *r, bool ext)
{
	static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "one",
						  .create = create };
	unsigned at, header = ext ? 4 : 2, size = ext ? BODY : STD_BODY;
	struct tdev t;

	row = r;
	row_ext = ext;
	t_open(&t, &model);
	log_set(-1, LOG_NONE);
	/* it stands first, or behind the serial number */
	at = ext ? hr(&t, 0x100, 4) >> 20 : hr(&t, PCI_CAPABILITY_LIST, 1);
	if (shown(&t, at) != !!r->len)
		fail_msg("%s 0x%x is %s", ext ? "extended capability" : "capability", r->id,
			 r->len ? "not shown" : "shown");
	/* what comes behind it is shown in any case */
	assert_true(ext ? user_ext_cap(&t, PCI_EXT_CAP_ID_ERR) : user_cap(&t, PCI_CAP_ID_PM));

	/* by dwords and by bytes the same */
	for (unsigned width = 4; width; width = width == 4 ? 1 : 0) {
		uint8_t before[BODY];

		for (unsigned i = 0; i < size; i++)
			before[i] = hr(&t, at + i, 1);
		for (unsigned i = 0; i < size; i += width)
			cw(&t, at + i, width, 0xffffffff);
		for (unsigned i = 0; i < size; i++) {
			uint8_t want = i >= header && table_lets(i) ? 0xff : before[i],
				got = hr(&t, at + i, 1);

			if (got != want)
				fail_msg("%s 0x%x, byte 0x%x written by %u: 0x%02x, not 0x%02x",
					 ext ? "extended capability" : "capability", r->id, i,
					 width, got, want);
			if (i >= header && cr(&t, at + i, 1) != got)
				fail_msg("%s 0x%x, byte 0x%x reads 0x%02x, not the hardware's "
					 "0x%02x",
					 ext ? "extended capability" : "capability", r->id, i,
					 cr(&t, at + i, 1), got);
			if (i >= header)
				uvfio_config_set(t.fn, at + i, 1, before[i]);
		}
	}
	t_close(&t);
}

static void test_std(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(std_rows); i++)
		check(&std_rows[i], false);
}

static void test_ext(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext_rows); i++)
		check(&ext_rows[i], true);
}

/*
 * Two of one kind that touch are two: the next of the second one is the user's, not the hardware's.
 */
static int create_pair(struct uvfio_dev *dev)
{
	return uvfio_add_vendor_cap(dev, NULL, NULL, 8) < 0 ||
			       uvfio_add_vendor_cap(dev, NULL, NULL, 8) < 0 ||
			       uvfio_add_cap(dev, PCI_CAP_ID_SSVID, NULL, NULL, 8) < 0 ||
			       uvfio_add_pm(dev, true) < 0
		       ? -EINVAL
		       : 0;
}

static void test_pair(void **state)
{
	static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "pair",
						  .create = create_pair };
	struct tdev t;
	unsigned first, second;

	t_open(&t, &model);
	first = cr(&t, PCI_CAPABILITY_LIST, 1);
	second = cr(&t, first + 1, 1);
	assert_int_equal(second, first + 8);
	assert_int_equal(cr(&t, second, 1), PCI_CAP_ID_VNDR);
	assert_int_equal(cr(&t, second + 1, 1), pci_find_cap(t.fn, PCI_CAP_ID_PM));
	t_close(&t);
}

/* A function all of whose capabilities are hidden has none. */
static int create_hidden(struct uvfio_dev *dev)
{
	return uvfio_add_cap(dev, PCI_CAP_ID_SSVID, NULL, NULL, 8) < 0 ||
			       uvfio_add_cap(dev, PCI_CAP_ID_EA, NULL, NULL, 8) < 0
		       ? -EINVAL
		       : 0;
}

static void test_all_hidden(void **state)
{
	static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "hidden",
						  .create = create_hidden };
	struct tdev t;

	t_open(&t, &model);
	assert_int_equal(cr(&t, PCI_CAPABILITY_LIST, 1), 0);
	assert_int_equal(cr(&t, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	assert_int_not_equal(hr(&t, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	t_close(&t);
}

/* Only hidden extended capabilities: the first dword reads 0, which is how none look. */
static int create_ext_hidden(struct uvfio_dev *dev)
{
	return uvfio_add_pcie(dev, true) < 0 ||
			       uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_PASID, 1, NULL, NULL, 8) < 0 ||
			       uvfio_add_ext_cap(dev, 0x1e, 1, NULL, NULL, 8) < 0
		       ? -EINVAL
		       : 0;
}

static void test_all_ext_hidden(void **state)
{
	static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "exthidden",
						  .create = create_ext_hidden };
	struct tdev t;

	t_open(&t, &model);
	assert_int_equal(cr(&t, 0x100, 4), 0);
	assert_int_not_equal(hr(&t, 0x100, 4), 0);
	t_close(&t);
}

/* A ROM can be read though the function has no other memory. */
static int create_rom_only(struct uvfio_dev *dev)
{
	uint8_t rom[1024];

	t_rom_image(rom);
	return uvfio_add_rom(dev, T_ROM, rom, sizeof(rom)) ||
			       uvfio_add_bar(dev, 0, 16, UVFIO_BAR_IO)
		       ? -EINVAL
		       : 0;
}

static void test_rom_only(void **state)
{
	static const struct uvfio_model model = { UVFIO_MODEL_INIT, .name = "romonly",
						  .create = create_rom_only };
	struct vfio_region r;
	uint16_t sig = 0;
	struct tdev t;

	t_open(&t, &model);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO);
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, T_ROM);
	assert_int_equal(t.dev->ops->rw(t.dev, 6, 0, &sig, 2, false), -ENOMEM);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(t.dev->ops->rw(t.dev, 6, 0, &sig, 2, false), 2);
	assert_int_equal(sig, 0xaa55);
	t_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_std),
		cmocka_unit_test(test_ext),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_all_hidden),
		cmocka_unit_test(test_all_ext_hidden),
		cmocka_unit_test(test_rom_only),
	};

	return cmocka_run_group_tests_name("vfio_pci/caps", tests, NULL, NULL);
}
