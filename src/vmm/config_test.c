/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/config_test.c: config space as the guest reads and writes it, over a device of the tests'
 * own: which bits are the copy's, what reaches the device and when, and what follows from a write.
 */
#include "vmm/test_config.h"

#define ALL UINT32_MAX

/* Bits that are not the device's, and what the guest reads there at first: all others are. */
static const struct {
	unsigned at, size;
	uint32_t emulated, value;
} table[] = {
	{ PCI_STATUS, 2, PCI_STATUS_CAP_LIST, PCI_STATUS_CAP_LIST },
	{ PCI_HEADER_TYPE, 1, 0x80, 0 },
	{ PCI_BASE_ADDRESS_0, 4, ALL, 0xc },
	{ PCI_BASE_ADDRESS_1, 4, ALL, 0 },
	{ PCI_BASE_ADDRESS_2, 4, ALL, 0 },
	{ PCI_BASE_ADDRESS_3, 4, ALL, 1 },
	{ PCI_BASE_ADDRESS_4, 4, ALL, 8 },
	{ PCI_BASE_ADDRESS_5, 4, ALL, 0 },
	{ PCI_ROM_ADDRESS, 4, ALL, 0 },
	{ PCI_CAPABILITY_LIST, 1, ALL, CAP_PM },
	{ PCI_INTERRUPT_LINE, 1, ALL, 0 },
	{ CAP_PM + 1, 1, ALL, FAKE_MSI },
	{ FAKE_MSI, 4, ALL, PCI_CAP_ID_MSI | FAKE_MSIX << 8 | 0x18a << 16 },
	{ FAKE_MSI + 4, 4, ALL, 0 },
	{ FAKE_MSI + 8, 4, ALL, 0 },
	{ FAKE_MSI + 12, 2, ALL, 0 },
	{ FAKE_MSIX, 4, ALL, PCI_CAP_ID_MSIX | CAP_PCIE << 8 | (FAKE_VECTORS - 1) << 16 },
	{ FAKE_MSIX + 4, 4, ALL, 4 },
	{ FAKE_MSIX + 8, 4, ALL, FAKE_PBA | 4 },
	{ CAP_PCIE + 1, 1, ALL, CAP_VPD },
	{ CAP_PCIE + PCI_EXP_LNKSTA, 2, 0x3ff, 0x183 },
	{ CAP_VPD + 1, 1, ALL, CAP_VENDOR },
	{ CAP_VENDOR + 1, 1, ALL, CAP_AF },
	{ CAP_AF + 1, 1, ALL, 0 },
	{ EXT_AER, 4, 0xfff00000, EXT_DSN << 20 },
	{ EXT_DSN, 4, 0xfff00000, EXT_LTR << 20 },
	{ EXT_LTR, 4, 0xfff00000, 0 },
};

/* Hidden capabilities, with the length that each has. */
static const struct {
	unsigned at, size;
} hidden[] = {
	{ EXT_ARI, 8 },	  { EXT_SRIOV, 0x40 }, { EXT_REBAR, 0x10 },
	{ EXT_PASID, 8 }, { EXT_ATS, 8 },      { EXT_PRI, 16 },
};

/* Every byte, in 1, 2 and 4 (test 37). */
static void every_byte(void **state)
{
	static uint8_t emulated[PCI_CFG_EXP_SIZE], value[PCI_CFG_EXP_SIZE];

	begin(NULL, NULL);
	memset(emulated, 0, sizeof(emulated));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memcpy(emulated + table[i].at, &table[i].emulated, table[i].size);
		memcpy(value + table[i].at, &table[i].value, table[i].size);
	}
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		memset(emulated + hidden[i].at, 0xff, hidden[i].size);
		memset(value + hidden[i].at, 0, hidden[i].size);
	}
	for (unsigned size = 1; size <= 4; size *= 2) {
		for (unsigned at = 0; at < PCI_CFG_EXP_SIZE; at += size) {
			unsigned before = config_reads;
			uint32_t want = 0, got = rd(at, size);
			bool whole = true;

			for (unsigned i = 0; i < size; i++) {
				uint8_t e = emulated[at + i];

				want |= (uint32_t)((value[at + i] & e) | (f->config[at + i] & ~e))
					<< 8 * i;
				whole &= e == 0xff;
			}
			if (got != want)
				fail_msg("0x%x, %u bytes: 0x%x, not 0x%x", at, size, got, want);
			/* a read may have side effects: the device is asked only where it must */
			assert_int_equal(config_reads - before, !whole);
		}
	}
	/* no address of the host's is anywhere (test 38) */
	for (unsigned at = 0; at < PCI_CFG_SIZE; at += 4)
		assert_false(rd(at, 4) == 0xf000000c || rd(at, 4) == 0xe1230000 ||
			     rd(at, 4) == 0xe4560008 || rd(at, 4) == 0xfe780001);
	finish();
}

static void conventional(void)
{
	f->region[CFG].size = PCI_CFG_SIZE;
}

static unsigned messages;

static void count_message(const struct report *r, void *arg)
{
	messages += !strcmp(r->code->name, "vm-config-silent");
}

static struct report_subscriber subscriber = { .fn = count_message, .level = LOG_WARN };

/* Holes, wrong sizes, a device that has gone or is leaving: all ones, and nothing. */
static void beyond(void **state)
{
	static const unsigned sizes[] = { 0, 3, 5, 8, UINT32_MAX };
	static const unsigned ends[] = { PCI_CFG_EXP_SIZE, PCI_CFG_EXP_SIZE + 1, 0x10000,
					 UINT32_MAX, UINT32_MAX - 3 };

	begin(NULL, NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(rd(0, sizes[i]), ALL);
		wr(PCI_COMMAND, sizes[i], 7);
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		assert_int_equal(rd(ends[i], 1), 0xff);
		assert_int_equal(rd(ends[i], 2), 0xffff);
		assert_int_equal(rd(ends[i], 4), ALL);
		wr(ends[i], 1, 7);
		wr(ends[i], 4, 7);
	}
	assert_int_equal(rd(1, 2), 0xffff);
	assert_int_equal(rd(2, 4), ALL);
	assert_int_equal(rd(PCI_CFG_EXP_SIZE - 2, 4), ALL);
	wr(PCI_COMMAND + 1, 2, 7);
	wr(PCI_COMMAND - 2, 4, 7);
	assert_int_equal(num_notes, 0);
	assert_int_equal(config_reads, 0);

	atomic_fetch_or(&t.dev->inside, VM_LEAVING);
	assert_int_equal(rd(0, 2), 0xffff);
	assert_int_equal(rd(PCI_BASE_ADDRESS_0, 4), ALL);
	wr(PCI_COMMAND, 2, 7);
	atomic_fetch_and(&t.dev->inside, ~VM_LEAVING);
	assert_int_equal(num_notes, 0);
	/* one line says that it has gone, however often the guest looks */
	report_subscribe(&subscriber);
	gone = true;
	assert_int_equal(rd(0, 4), ALL);
	assert_int_equal(rd(PCI_STATUS, 2), 0xffff);
	wr(PCI_COMMAND, 2, 7);
	assert_int_equal(uvfio_vm_config_read(t.dev, PCI_COMMAND, 1), 0xff);
	gone = false;
	assert_int_equal(messages, 1);
	report_unsubscribe(&subscriber);
	finish();

	begin(NULL, conventional);
	assert_int_equal(rd(PCI_CFG_SIZE, 4), ALL);
	assert_int_equal(rd(PCI_CFG_SIZE - 4, 4), device_has(PCI_CFG_SIZE - 4, 4));
	wr(PCI_CFG_SIZE, 4, 7);
	assert_int_equal(num_notes, 0);
	finish();
}

static void expect_note(unsigned i, unsigned at, unsigned size, uint32_t value)
{
	assert_true(i < num_notes);
	assert_int_equal(notes[i].at, at);
	assert_int_equal(notes[i].size, size);
	assert_int_equal(notes[i].value, value);
}

/* Writes that reach the device, and the values that the guest reads back then. */
static void writes(void **state)
{
	begin(NULL, NULL);
	/* the ROM's register never; those of BARs as they are (rules a, b) */
	wr(PCI_ROM_ADDRESS, 4, 0x12345801);
	assert_int_equal(num_notes, 0);
	wr(PCI_BASE_ADDRESS_2, 4, 0x12345678);
	wr(PCI_BASE_ADDRESS_1 + 2, 1, 0x55);
	expect_note(0, PCI_BASE_ADDRESS_2, 4, 0x12345678);
	expect_note(1, PCI_BASE_ADDRESS_1 + 2, 1, 0x55);
	assert_int_equal(num_notes, 2);
	assert_int_equal(rd(PCI_BASE_ADDRESS_2, 4), 0x12344000);
	assert_int_equal(rd(PCI_BASE_ADDRESS_1, 4), 0x550000);
	/* the line is the guest's; the rest of the dword, and what is nobody's, the device's */
	wr(PCI_INTERRUPT_LINE, 4, 0xaabbcc07);
	assert_int_equal(rd(PCI_INTERRUPT_LINE, 1), 7);
	assert_int_equal(rd(PCI_INTERRUPT_LINE + 2, 2), 0xaabb);
	wr(0x800, 2, 0x1234);
	assert_int_equal(device_has(0x800, 2), 0x1234);
	assert_int_equal(rd(0x800, 2), 0x1234);
	/* read-only bits of the copy stay, whatever the device does with the write */
	wr(PCI_CAPABILITY_LIST, 1, 0);
	wr(CAP_PM + 1, 1, 0);
	wr(EXT_AER, 4, 0);
	wr(PCI_HEADER_TYPE, 1, 0xff);
	assert_int_equal(rd(PCI_CAPABILITY_LIST, 1), CAP_PM);
	assert_int_equal(rd(CAP_PM + 1, 1), FAKE_MSI);
	assert_int_equal(rd(EXT_AER, 4) >> 20, EXT_DSN);
	assert_int_equal(rd(PCI_HEADER_TYPE, 1), 0x7f);
	/* a hidden capability (test 42, rule e) */
	num_notes = 0;
	wr(EXT_SRIOV + 8, 4, 0xffffffff);
	wr(EXT_SRIOV, 1, 0xff);
	assert_int_equal(num_notes, 0);
	assert_int_equal(rd(EXT_SRIOV + 8, 4), 0);
	finish();
}

/* Sizes by writing ones, types, bits that stick (test 24). */
static void sizing(void **state)
{
	static const uint32_t want[] = { 0xffff000c, ALL, 0xffffc000, 0xffffffe1, 0xffff0008, 0 };

	begin(NULL, NULL);
	for (unsigned i = 0; i < 6; i++)
		wr(PCI_BASE_ADDRESS_0 + 4 * i, 4, ALL);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(rd(PCI_BASE_ADDRESS_0 + 4 * i, 4), want[i]);
		wr(PCI_BASE_ADDRESS_0 + 4 * i, 4, 0);
		assert_int_equal(rd(PCI_BASE_ADDRESS_0 + 4 * i, 4),
				 i == 1 ? 0 : want[i] & (want[i] & 1 ? 3 : 15));
	}
	wr(PCI_ROM_ADDRESS, 4, ALL);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0xffff0001);
	wr(PCI_ROM_ADDRESS, 4, 0);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0);
	finish();
	/* I/O BARs that the guest does not see */
	begin("io=off,rom=off", NULL);
	wr(PCI_BASE_ADDRESS_3, 4, ALL);
	wr(PCI_ROM_ADDRESS, 4, ALL);
	assert_int_equal(rd(PCI_BASE_ADDRESS_3, 4), 0);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0);
	finish();
}

/* ---- MSI and MSI-X ---- */

/* Find out which came first: SET_IRQS of @index, or the write at @at. */
static int position(unsigned at, unsigned index)
{
	for (unsigned i = 0; i < num_notes; i++)
		if (notes[i].at == at && (at != ALL || (notes[i].size == index && notes[i].value)))
			return (int)i;
	return -1;
}

/* SET_IRQS before the word when it is switched on, behind it when off (rule c). */
static void order_of_msi(void **state)
{
	const unsigned flags = FAKE_MSI + PCI_MSI_FLAGS, mask = FAKE_MSI + PCI_MSI_MASK_64;

	begin(NULL, NULL);
	wr(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4, 0xfee01003);
	assert_int_equal(rd(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4), 0xfee01000);
	wr(FAKE_MSI + PCI_MSI_DATA_64, 2, 0x4041);
	wr(mask, 4, 6);
	expect_note(2, mask, 4, 6);
	/* the host clears it when it sets its vectors up */
	num_notes = 0;
	fake_put(f, mask, 4, 0);
	wr(flags, 2, PCI_MSI_FLAGS_ENABLE | 1 << 4);
	assert_true(position(ALL, VFIO_PCI_MSI_IRQ_INDEX) >= 0);
	assert_true(position(flags, 0) > position(ALL, VFIO_PCI_MSI_IRQ_INDEX));
	assert_int_equal(device_has(mask, 4), 6);
	assert_int_equal(rd(mask, 4), 6);
	assert_int_equal(rd(flags, 2), 0x18a | PCI_MSI_FLAGS_ENABLE | 1 << 4);
	/* another number of vectors is another set-up */
	num_notes = 0;
	fake_put(f, mask, 4, 0);
	wr(flags, 2, PCI_MSI_FLAGS_ENABLE | 2 << 4);
	assert_int_equal(device_has(mask, 4), 6);
	num_notes = 0;
	wr(flags, 2, 0);
	assert_int_equal(position(flags, 0), 0);
	assert_int_equal(notes[1].at, ALL);
	finish();
}

/*
 * MSI-X never reaches the device by config space (rule d); with all vectors masked it is on all the
 * same (test 56).
 */
static void msix_stays(void **state)
{
	const unsigned flags = FAKE_MSIX + PCI_MSIX_FLAGS;

	begin(NULL, NULL);
	wr(flags, 2, 0xffff);
	assert_int_equal(rd(flags, 2), 0xc000 | (FAKE_VECTORS - 1));
	wr(FAKE_MSIX + PCI_MSIX_TABLE, 4, 0xffffffff);
	assert_int_equal(rd(FAKE_MSIX + PCI_MSIX_TABLE, 4), 4);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_MSIX);
	wr(flags, 2, 0);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_INTX);
	for (unsigned i = 0; i < num_notes; i++)
		assert_true(notes[i].at == ALL);
	finish();
}

/* ---- COMMAND, power, reset ---- */

static uint32_t command_when_moved;
static unsigned moves;

static void moved(void *ctx, struct uvfio_vm_device *dev, unsigned bar, bool io, uint64_t gpa,
		  uint64_t size)
{
	moves++;
	command_when_moved = device_has(PCI_COMMAND, 2);
}

/* BARs go before the device stops to answer, and come when it answers. */
static void command(void **state)
{
	monitor_ops.bar_moved = moved;
	begin(NULL, NULL);
	assert_int_equal(rd(PCI_COMMAND, 2) & 0x407, 0);
	wr(PCI_BASE_ADDRESS_2, 4, 0xc0000000);
	moves = 0;
	wr(PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
	assert_int_equal(moves, 1);
	assert_true(command_when_moved & PCI_COMMAND_MEMORY);
	assert_int_equal(t.dev->bars.bar[2].gpa, 0xc0000000);
	/* the other half of the dword, and the other bits, change nothing */
	wr(PCI_STATUS, 2, 0xffff);
	wr(PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	assert_int_equal(moves, 1);
	wr(PCI_COMMAND, 4, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(moves, 2);
	assert_true(command_when_moved & PCI_COMMAND_MEMORY);
	assert_int_equal(t.dev->bars.bar[2].gpa, UVFIO_VM_UNMAPPED);
	/* a device that does not take the bit does not decode */
	takes[PCI_COMMAND] = 0;
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(moves, 2);
	finish();
	monitor_ops.bar_moved = NULL;
}

/* Have BAR 2 live, MSI on, and bits set that a reset clears. */
static void scribble(void)
{
	wr(PCI_BASE_ADDRESS_2, 4, 0xc0000000);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(PCI_INTERRUPT_LINE, 1, 9);
	wr(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	wr(FAKE_MSI + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(t.dev->irq.kind, VM_IRQ_MSI);
	assert_int_equal(t.dev->bars.bar[2].gpa, 0xc0000000);
	num_notes = 0;
}

/* All is as after power-on (test 67); or nothing has changed. */
static void expect_reset(bool was)
{
	assert_int_equal(rd(PCI_BASE_ADDRESS_2, 4), was ? 0 : 0xc0000000);
	assert_int_equal(rd(PCI_COMMAND, 2) & 0x407, was ? 0 : 6);
	assert_int_equal(rd(PCI_INTERRUPT_LINE, 1), was ? 0 : 9);
	assert_int_equal(rd(FAKE_MSI + PCI_MSI_FLAGS, 2), was ? 0x18a : 0x18b);
	assert_int_equal(rd(FAKE_MSI + PCI_MSI_ADDRESS_LO, 4), was ? 0 : 0xfee00000);
	assert_int_equal(t.dev->bars.bar[2].gpa, was ? UVFIO_VM_UNMAPPED : 0xc0000000);
	assert_int_equal(device_has(PCI_BASE_ADDRESS_2, 4), was ? 0 : 0xc0000000);
}

static void no_flr(void)
{
	fake_put(f, CAP_PCIE + PCI_EXP_DEVCAP, 4, 0x8fe2);
	fake_put(f, CAP_AF + PCI_AF_CAP, 1, PCI_AF_CAP_TP);
}

/* Resets by the guest: FLR by PCI Express, by AF (test 68). */
static void flr(void **state)
{
	begin(NULL, NULL);
	assert_true(t.dev->config.caps.flr);
	scribble();
	wr(CAP_PCIE + PCI_EXP_DEVCTL, 2, 0x2810);
	expect_reset(false);
	wr(CAP_PCIE + PCI_EXP_DEVCTL + 1, 1, 0xa8);
	expect_note(0, CAP_PCIE + PCI_EXP_DEVCTL, 2, 0x2810);
	expect_note(1, CAP_PCIE + PCI_EXP_DEVCTL + 1, 1, 0xa8);
	expect_reset(true);
	scribble();
	wr(CAP_PCIE + PCI_EXP_DEVCTL, 4, 0xa810);
	expect_reset(true);
	scribble();
	wr(CAP_AF + PCI_AF_CTRL, 1, 0);
	expect_reset(false);
	wr(CAP_AF + PCI_AF_CTRL, 2, PCI_AF_CTRL_FLR);
	expect_reset(true);
	finish();

	begin(NULL, no_flr);
	assert_false(t.dev->config.caps.flr);
	scribble();
	wr(CAP_PCIE + PCI_EXP_DEVCTL, 2, 0xa810);
	wr(CAP_AF + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
	expect_reset(false);
	finish();
}

static void no_soft_reset(void)
{
	fake_put(f, CAP_PM + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET);
	takes[CAP_PM + PCI_PM_CTRL] = 3;
}

/* D3 takes BARs away; the way back is a reset, if the device says so (test 68). */
static void power(void **state)
{
	const unsigned at = CAP_PM + PCI_PM_CTRL;

	begin(NULL, NULL);
	assert_true(t.dev->config.caps.pm_reset);
	scribble();
	wr(at, 2, 1);
	expect_reset(false);
	wr(at, 4, 3);
	assert_int_equal(t.dev->bars.bar[2].gpa, UVFIO_VM_UNMAPPED);
	assert_int_equal(rd(PCI_BASE_ADDRESS_2, 4), 0xc0000000);
	wr(at + 1, 1, 1); /* the other byte */
	assert_int_equal(t.dev->bars.bar[2].gpa, UVFIO_VM_UNMAPPED);
	wr(at, 1, 0);
	expect_reset(true);
	/* a state that is not entered */
	scribble();
	takes[at] = 0;
	wr(at, 2, 3);
	expect_reset(false);
	finish();

	begin(NULL, no_soft_reset);
	assert_false(t.dev->config.caps.pm_reset);
	scribble();
	wr(at, 2, 3);
	assert_int_equal(t.dev->bars.bar[2].gpa, UVFIO_VM_UNMAPPED);
	wr(at, 2, 0);
	expect_reset(false);
	finish();
}

/* ---- ids, and what is refused ---- */

/* Ids that the user wants shown, the multi-function bit (test 43). */
static void ids(void **state)
{
	begin("vendor=0x1af4,device=0x1041,subvendor=0x1234,subdevice=0,multifunction=on", NULL);
	assert_int_equal(rd(PCI_VENDOR_ID, 4), 0x10411af4);
	assert_int_equal(rd(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x1234);
	assert_int_equal(rd(PCI_HEADER_TYPE, 1), 0x80);
	wr(PCI_VENDOR_ID, 4, 0);
	assert_int_equal(rd(PCI_VENDOR_ID, 4), 0x10411af4);
	/* for quirks it is the device that it is */
	assert_int_equal(t.dev->config.vendor, 0x8086);
	assert_int_equal(t.dev->config.device, 0x1572);
	assert_int_equal(t.dev->config.class_code, 0x020000);
	finish();
	begin(NULL, NULL);
	assert_int_equal(rd(PCI_VENDOR_ID, 4), 0x15728086);
	assert_int_equal(rd(PCI_SUBSYSTEM_VENDOR_ID, 4), device_has(PCI_SUBSYSTEM_VENDOR_ID, 4));
	finish();
}

static void make_bridge(void)
{
	fake_put(f, PCI_HEADER_TYPE, 1, 0x81);
}

static void make_dead(void)
{
	memset(f->config, 0xff, sizeof(f->config));
}

static void make_small(void)
{
	f->region[CFG].size = 128;
}

static void make_switch(void)
{
	fake_put(f, CAP_PCIE + PCI_EXP_FLAGS, 2, 0x52);
}

static void refused(void **state)
{
	static const struct {
		void (*change)(void);
		int rc;
		const char *text;
	} cases[] = {
		{ make_bridge, -ENOTSUP, "bridge" },
		{ make_dead, -EIO, "does not answer" },
		{ make_small, -ENOTSUP, "no config space" },
		{ make_switch, -ENOTSUP, "type 5" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin_with(NULL, cases[i].change);
		assert_int_equal(vm_config_init(t.dev), cases[i].rc);
		assert_non_null(strstr(uvfio_vm_strerror(t.vm), cases[i].text));
		finish_half();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte),	cmocka_unit_test(beyond),
		cmocka_unit_test(writes),	cmocka_unit_test(sizing),
		cmocka_unit_test(order_of_msi), cmocka_unit_test(msix_stays),
		cmocka_unit_test(command),	cmocka_unit_test(flr),
		cmocka_unit_test(power),	cmocka_unit_test(ids),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
