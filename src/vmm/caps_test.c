/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/caps_test.c: the capabilities that the guest sees: their chains, PCI Express by where the
 * guest has the device, and devices whose chains are broken.
 */
#include "vmm/test_config.h"

/* Put the chain of the device together anew: @caps are places, end with 0. */
static void chain(const unsigned *caps)
{
	fake_put(f, PCI_CAPABILITY_LIST, 1, caps[0]);
	for (; *caps; caps++)
		fake_put(f, *caps + 1, 1, caps[1]);
}
#define DEVICE_CHAIN(...) chain((const unsigned[]){ __VA_ARGS__, 0 })

/* ---- the chain ---- */

static void backwards(void)
{
	DEVICE_CHAIN(CAP_AF, CAP_VENDOR, CAP_PCIE, FAKE_MSIX, FAKE_MSI, CAP_PM);
}

static void without_vectors(void)
{
	f->irq[VFIO_PCI_MSI_IRQ_INDEX].count = 0;
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = 0;
}

static void first_hidden(void)
{
	without_vectors();
	DEVICE_CHAIN(FAKE_MSIX, FAKE_MSI, CAP_PM);
}

static void all_hidden(void)
{
	without_vectors();
	DEVICE_CHAIN(FAKE_MSI, FAKE_MSIX);
}

static void no_list(void)
{
	fake_put(f, PCI_STATUS, 2, 0);
}

static void loop(void)
{
	fake_put(f, CAP_VENDOR + 1, 1, FAKE_MSI);
}

static void loop_on_itself(void)
{
	fake_put(f, CAP_PM + 1, 1, CAP_PM);
}

static void end_by_ff(void)
{
	fake_put(f, FAKE_MSIX + 1, 1, 0xff);
}

static void end_by_id(void)
{
	fake_put(f, CAP_PCIE, 1, 0xff);
}

static void end_in_header(void)
{
	fake_put(f, FAKE_MSI + 1, 1, 0x3c);
}

static void low_bits(void)
{
	fake_put(f, PCI_CAPABILITY_LIST, 1, CAP_PM | 3);
	fake_put(f, CAP_PM + 1, 1, CAP_VENDOR | 2);
}

/* Order kept, hidden ones skipped, loops and ends (test 39). */
static void chains(void **state)
{
	static const struct {
		void (*change)(void);
		unsigned want[8];
	} cases[] = {
		{ NULL, { CAP_PM, FAKE_MSI, FAKE_MSIX, CAP_PCIE, CAP_VPD, CAP_VENDOR, CAP_AF } },
		{ backwards, { CAP_AF, CAP_VENDOR, CAP_PCIE, FAKE_MSIX, FAKE_MSI, CAP_PM } },
		{ without_vectors, { CAP_PM, CAP_PCIE, CAP_VPD, CAP_VENDOR, CAP_AF } },
		{ first_hidden, { CAP_PM } },
		{ all_hidden, { 0 } },
		{ no_list, { 0 } },
		{ loop, { CAP_PM, FAKE_MSI, FAKE_MSIX, CAP_PCIE, CAP_VPD, CAP_VENDOR } },
		{ loop_on_itself, { CAP_PM } },
		{ end_by_ff, { CAP_PM, FAKE_MSI, FAKE_MSIX } },
		{ end_by_id, { CAP_PM, FAKE_MSI, FAKE_MSIX } },
		{ end_in_header, { CAP_PM, FAKE_MSI } },
		{ low_bits, { CAP_PM, CAP_VENDOR, CAP_AF } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool any = cases[i].want[0];

		begin(NULL, cases[i].change);
		expect_chain(cases[i].want);
		assert_int_equal(rd(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST,
				 any ? PCI_STATUS_CAP_LIST : 0);
		finish();
	}
	/* of a hidden one nothing is seen, nor reached; what lies behind it is the device's */
	begin(NULL, without_vectors);
	for (unsigned i = 0; i < 24; i += 4) {
		assert_int_equal(rd(FAKE_MSI + i, 4), 0);
		wr(FAKE_MSI + i, 4, UINT32_MAX);
	}
	wr(FAKE_MSIX + 2, 2, 0xffff);
	assert_int_equal(num_notes, 0);
	assert_int_equal(rd(FAKE_MSIX + 12, 4), device_has(FAKE_MSIX + 12, 4));
	wr(FAKE_MSIX + 12, 4, 1);
	assert_int_equal(num_notes, 1);
	assert_int_equal(t.dev->config.caps.msi | t.dev->config.caps.msix, 0);
	finish();
}

/* 48 are walked, of more that lie over each other in a loop of single dwords. */
static void many(void)
{
	unsigned at;

	for (at = 0x40; at < 0xfc; at += 4)
		fake_put(f, at, 2, PCI_CAP_ID_VNDR | (at + 4) << 8);
	fake_put(f, 0xfc, 2, PCI_CAP_ID_VNDR | 0x40 << 8);
	fake_put(f, PCI_CAPABILITY_LIST, 1, 0x40);
}

static void steps(void **state)
{
	unsigned n = 0, at;

	begin(NULL, many);
	for (at = rd(PCI_CAPABILITY_LIST, 1); at && n < 100; at = rd(at + 1, 1))
		n++;
	assert_int_equal(n, 48);
	finish();
}

/* ---- capabilities that do not have the room that they need ---- */

static void pm_at_end(void)
{
	fake_put(f, 0xfc, 2, PCI_CAP_ID_PM);
	fake_put(f, CAP_VENDOR + 1, 1, 0xfc);
	fake_put(f, PCI_CAPABILITY_LIST, 1, FAKE_MSI);
}

static void msi_over_msix(void)
{
	fake_put(f, FAKE_MSIX - 8, 4, PCI_CAP_ID_MSI | FAKE_MSIX << 8 | 0x18a << 16);
	fake_put(f, CAP_PM + 1, 1, FAKE_MSIX - 8);
}

static void msi_of_64(void)
{
	fake_put(f, FAKE_MSI + 2, 2, 0x18c);
}

static void msi_plain(void)
{
	fake_put(f, FAKE_MSI + 2, 2, 0x0006);
}

static void two_of_each(void)
{
	fake_put(f, CAP_VENDOR, 4, PCI_CAP_ID_PM | CAP_AF << 8);
	fake_put(f, CAP_AF, 4, PCI_CAP_ID_MSIX | 7 << 16);
}

static void no_room(void **state)
{
	begin(NULL, pm_at_end);
	CHAIN(FAKE_MSI, FAKE_MSIX, CAP_PCIE, CAP_VPD, CAP_VENDOR);
	assert_int_equal(t.dev->config.caps.pm, 0);
	finish();
	begin(NULL, msi_over_msix);
	CHAIN(CAP_PM, FAKE_MSIX, CAP_PCIE, CAP_VPD, CAP_VENDOR, CAP_AF);
	finish();
	begin(NULL, msi_of_64);
	CHAIN(CAP_PM, FAKE_MSIX, CAP_PCIE, CAP_VPD, CAP_VENDOR, CAP_AF);
	finish();
	begin(NULL, two_of_each);
	CHAIN(CAP_PM, FAKE_MSI, FAKE_MSIX, CAP_PCIE, CAP_VPD);
	finish();
	/* the shortest MSI: what lies behind it is the device's */
	begin(NULL, msi_plain);
	wr(FAKE_MSI + 4, 4, ~3u);
	wr(FAKE_MSI + 8, 4, 0x12345678);
	wr(FAKE_MSI + 12, 4, 0x9abcdef0);
	assert_int_equal(rd(FAKE_MSI + 8, 2), 0x5678);
	assert_int_equal(rd(FAKE_MSI + 12, 4), 0x9abcdef0);
	assert_int_equal(device_has(FAKE_MSI + 12, 4), 0x9abcdef0);
	finish();
}

/* Data of 32 bits is not offered. */
static void msi_of_32_bits(void)
{
	fake_put(f, FAKE_MSI + 2, 2, 0x078a);
}

static void extended_data(void **state)
{
	begin(NULL, msi_of_32_bits);
	assert_int_equal(rd(FAKE_MSI + 2, 2), 0x18a);
	wr(FAKE_MSI + 2, 2, 0x0400);
	assert_int_equal(rd(FAKE_MSI + 2, 2), 0x18a);
	finish();
}

/* The mask has the bits of the vectors that there are. */
static void msi_of_4(void)
{
	fake_put(f, FAKE_MSI + 2, 2, 0x184);
}

static void mask_bits(void **state)
{
	begin(NULL, msi_of_4);
	wr(FAKE_MSI + PCI_MSI_MASK_64, 4, UINT32_MAX);
	assert_int_equal(vm_config_copy(t.dev, FAKE_MSI + PCI_MSI_MASK_64, 4), 0xf);
	finish();
	begin(NULL, NULL);
	wr(FAKE_MSI + PCI_MSI_MASK_64, 4, UINT32_MAX);
	assert_int_equal(vm_config_copy(t.dev, FAKE_MSI + PCI_MSI_MASK_64, 4), UINT32_MAX);
	finish();
}

/* The vendor's is raw: reads and writes are the device's (test 42). */
static void vendor(void **state)
{
	begin(NULL, NULL);
	for (unsigned i = 4; i < 16; i += 4) {
		assert_int_equal(rd(CAP_VENDOR + i, 4), device_has(CAP_VENDOR + i, 4));
		wr(CAP_VENDOR + i, 4, 0x11223344 + i);
		assert_int_equal(device_has(CAP_VENDOR + i, 4), 0x11223344 + i);
		assert_int_equal(rd(CAP_VENDOR + i, 4), 0x11223344 + i);
	}
	assert_int_equal(num_notes, 3);
	finish();
}

/* ---- PCI Express ---- */

static unsigned type, version;

static void set_type(void)
{
	fake_put(f, CAP_PCIE + PCI_EXP_FLAGS, 2, type << 4 | version);
}

static void pcie_is(unsigned flags, uint32_t lnkcap, uint16_t lnkctl, uint16_t lnksta,
		    uint32_t lnkcap2)
{
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_FLAGS, 2), flags);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_LNKCAP, 4), lnkcap);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_LNKCTL, 2), lnkctl);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_LNKSTA, 2), lnksta);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_LNKCAP2, 4), lnkcap2);
}

static void pcie_is_hidden(void)
{
	assert_int_equal(rd(FAKE_MSIX + 1, 1), CAP_VPD);
	assert_int_equal(rd(CAP_PCIE, 4), 0);
	assert_int_equal(t.dev->config.caps.pcie, 0);
	/* a guest cannot reset by what it does not see, but the device has an FLR */
	wr(CAP_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(num_notes, 0);
	assert_true(t.dev->config.caps.flr);
}

/* The capability on each bus, of each type of device (test 40). */
static void express(void **state)
{
	static const unsigned types[] = { PCI_EXP_TYPE_ENDPOINT, PCI_EXP_TYPE_LEG_END,
					  PCI_EXP_TYPE_RC_END };
	static const char *const buses[] = { "bus=port", "bus=root", "bus=pci",
					     "bus=conventional" };

	for (unsigned b = 0; b < 4; b++) {
		for (unsigned i = 0; i < 3; i++) {
			uint32_t lnkcap2;

			type = types[i];
			version = 2;
			begin(buses[b], set_type);
			lnkcap2 = device_has(CAP_PCIE + PCI_EXP_LNKCAP2, 4);
			if (b == 2 || (b == 1 && type == PCI_EXP_TYPE_LEG_END))
				pcie_is_hidden();
			else if (b == 1 && type == PCI_EXP_TYPE_ENDPOINT)
				pcie_is(PCI_EXP_TYPE_RC_END << 4 | 2, 0, 0, 0, 0);
			else if (b == 0 && type == PCI_EXP_TYPE_RC_END)
				pcie_is(PCI_EXP_TYPE_ENDPOINT << 4 | 2, 0x11, 0, 0x11, 2);
			else
				pcie_is(type << 4 | 2, 0x00477d03, 0x40, 0x1183, lnkcap2);
			/* a conventional bus does not reach the rest of config space */
			assert_int_equal(rd(PCI_CFG_SIZE, 4) == UINT32_MAX, b >= 2);
			finish();
		}
	}
	/* with version 1 what would be the second link's registers are not */
	type = PCI_EXP_TYPE_RC_END;
	version = 1;
	begin(NULL, set_type);
	pcie_is(1, 0x11, 0, 0x11, device_has(CAP_PCIE + PCI_EXP_LNKCAP2, 4));
	finish();
}

/* The link's speed and width stay as they were, whatever becomes of the host's port. */
static void link_stays(void **state)
{
	begin(NULL, NULL);
	fake_put(f, CAP_PCIE + PCI_EXP_LNKSTA, 2, 0x3041);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_LNKSTA, 2), 0x3183);
	finish();
}

/* Version 0, as of the 82599's VFs, is shown as 1. */
static void version_0(void **state)
{
	type = PCI_EXP_TYPE_ENDPOINT;
	version = 0;
	begin(NULL, set_type);
	assert_int_equal(rd(CAP_PCIE + PCI_EXP_FLAGS, 2), 1);
	finish();
}

/* An integrated endpoint's capability may end before a link's registers: it cannot be another. */
static void short_pcie(void)
{
	fake_put(f, CAP_PCIE + PCI_EXP_FLAGS, 2, PCI_EXP_TYPE_RC_END << 4 | 1);
	fake_put(f, CAP_PCIE + 12, 2, PCI_CAP_ID_VPD | CAP_VENDOR << 8);
	fake_put(f, CAP_PCIE + 1, 1, CAP_PCIE + 12);
}

static void no_link(void **state)
{
	begin(NULL, short_pcie);
	CHAIN(CAP_PM, FAKE_MSI, FAKE_MSIX, CAP_PCIE + 12, CAP_VENDOR, CAP_AF);
	assert_int_equal(rd(CAP_PCIE + 12, 1), PCI_CAP_ID_VPD);
	finish();
	begin("bus=root", short_pcie);
	CHAIN(CAP_PM, FAKE_MSI, FAKE_MSIX, CAP_PCIE, CAP_PCIE + 12, CAP_VENDOR, CAP_AF);
	finish();
}

/* ---- extended capabilities ---- */

static void head_hidden(void)
{
	ext(EXT_AER, PCI_EXT_CAP_ID_SRIOV, EXT_DSN);
}

static void only_hidden(void)
{
	ext(EXT_AER, PCI_EXT_CAP_ID_ARI, EXT_SRIOV);
	ext(EXT_SRIOV, PCI_EXT_CAP_ID_SRIOV, 0);
}

static void ext_loop(void)
{
	ext(EXT_DSN, PCI_EXT_CAP_ID_DSN, EXT_AER);
}

static void ext_bad_next(void)
{
	ext(EXT_DSN, PCI_EXT_CAP_ID_DSN, 0x80);
}

static void ext_ones(void)
{
	memset(f->config + EXT_DSN, 0xff, 4);
}

static void no_ext(void)
{
	memset(f->config + PCI_CFG_SIZE, 0, 4);
}

/* A null capability at the head, as of a vfio-pci that hid the one there, leads on. */
static void null_head(void)
{
	fake_put(f, EXT_AER, 4, EXT_LTR << 20);
}

/* SR-IOV, ARI, resizable BARs are hidden, at the head too; and what the user lists (test 41). */
static void extended(void **state)
{
	static const struct {
		const char *options;
		void (*change)(void);
		unsigned want[4];
	} cases[] = {
		{ NULL, NULL, { EXT_AER, EXT_DSN, EXT_LTR } },
		{ "hide=0x3", NULL, { EXT_AER, EXT_LTR } },
		{ "hide=0x3+0x18", NULL, { EXT_AER } },
		{ "hide=1", NULL, { EXT_AER, EXT_DSN, EXT_LTR } },
		{ NULL, head_hidden, { EXT_AER, EXT_DSN, EXT_LTR } },
		{ NULL, ext_loop, { EXT_AER, EXT_DSN } },
		{ NULL, ext_bad_next, { EXT_AER, EXT_DSN } },
		{ NULL, ext_ones, { EXT_AER } },
		{ NULL, null_head, { EXT_AER, EXT_LTR } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(cases[i].options, cases[i].change);
		expect_ext_chain(cases[i].want);
		finish();
	}
	begin("hide=1", NULL);
	assert_int_equal(rd(EXT_AER, 4), EXT_DSN << 20);
	assert_int_equal(rd(EXT_AER + 4, 4), 0);
	finish();
	begin(NULL, head_hidden);
	assert_int_equal(rd(EXT_AER, 4), EXT_DSN << 20);
	/* what lies behind a capability of a known length is the device's */
	assert_int_equal(rd(EXT_AER + 0x3c, 4), 0);
	assert_int_equal(rd(EXT_AER + 0x40, 4), device_has(EXT_AER + 0x40, 4));
	finish();
	begin(NULL, only_hidden);
	assert_int_equal(rd(EXT_AER, 4), 0);
	finish();
	begin(NULL, no_ext);
	assert_int_equal(rd(EXT_AER, 4), 0);
	finish();
}

/* ---- anything ---- */

static unsigned seed;

static unsigned next_random(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 8;
}

/* Chains of anything, anywhere; most are of capabilities that there are. */
static void random_config(void)
{
	for (unsigned i = 0; i < PCI_CFG_EXP_SIZE; i++)
		f->config[i] = (uint8_t)next_random();
	fake_put(f, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	fake_put(f, PCI_HEADER_TYPE, 1, 0);
	fake_put(f, PCI_VENDOR_ID, 2, 0x8086);
	for (unsigned at = 0x40; at < PCI_CFG_SIZE; at += 4) {
		static const uint8_t some[] = { PCI_CAP_ID_PM,	PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX,
						PCI_CAP_ID_EXP, PCI_CAP_ID_AF,	PCI_CAP_ID_VNDR };

		f->config[at] = some[next_random() % sizeof(some)];
		if (next_random() % 4)
			f->config[at + 3] = 0; /* types of PCI Express, MSI's control */
	}
	for (unsigned at = PCI_CFG_SIZE; at < PCI_CFG_EXP_SIZE; at += 4)
		if (next_random() % 2)
			ext(at, next_random() % 0x30, next_random() % 0xfff);
	if (next_random() % 2)
		takes[next_random() % PCI_CFG_EXP_SIZE] = 0;
}

/* A broken device, or a hostile one, under a hostile guest: no harm, and no end of a chain lost. */
static void broken(void **state)
{
	static const char *const options[] = { "bus=port", "bus=root", "bus=pci", "hide=1+3" };
	unsigned assigned = 0;

	for (unsigned i = 0; i < 3000; i++) {
		seed = i;
		begin_with(options[i % 4], random_config);
		if (vm_config_init(t.dev)) {
			finish_half();
			continue;
		}
		if (vm_irq_init(t.dev) || vm_bars_init(t.dev)) {
			vm_irq_fini(t.dev);
			vm_config_fini(t.dev);
			finish_half();
			continue;
		}
		assigned++;
		for (unsigned at = rd(PCI_CAPABILITY_LIST, 1), n = 0; at; at = rd(at + 1, 1))
			assert_true(n++ < 48);
		for (unsigned at = 0x100, n = 0; at && rd(at, 4) != UINT32_MAX;
		     at = rd(at, 4) >> 20 & 0xffc)
			assert_true(n++ < 480);
		for (unsigned k = 0; k < 40; k++) {
			unsigned at = next_random() % (k % 2 ? 0x100 : 0x1004), v = next_random();

			wr(at & ~(k % 4 ? 3u : 0), 1 << next_random() % 3, v << 16 | next_random());
			rd(at, 1 << next_random() % 3);
		}
		tvm_tear_down(&t);
		finish_half();
	}
	assert_true(assigned > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains),	 cmocka_unit_test(steps),
		cmocka_unit_test(extended_data), cmocka_unit_test(no_room),
		cmocka_unit_test(mask_bits),	 cmocka_unit_test(vendor),
		cmocka_unit_test(express),	 cmocka_unit_test(link_stays),
		cmocka_unit_test(version_0),	 cmocka_unit_test(no_link),
		cmocka_unit_test(extended),	 cmocka_unit_test(broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
