/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_config.h: for the unit tests of config space: a device with many capabilities, which
 * notes in one sequence what is written to it and which interrupts are set up, and whose ROM reads
 * as a test likes.
 */
#ifndef VMM_TEST_CONFIG_H
#define VMM_TEST_CONFIG_H
#include "vmm/test_vm.h"

#define CFG  VFIO_PCI_CONFIG_REGION_INDEX
#define ROM  VFIO_PCI_ROM_REGION_INDEX
#define MANY 4096

static struct tvm t;
static struct fake *const f = &t.fake;

/* Calls of the device: writes of config space, and set_irqs (@at UINT32_MAX). */
static struct note {
	unsigned at, size;
	uint32_t value;
} notes[MANY];
static unsigned num_notes, config_reads;
static uint8_t takes[PCI_CFG_EXP_SIZE]; /* bits of config space that can be written */
static bool gone;			/* it does not answer */

/* Answers to reads of the ROM, in turn: bytes or -errno; then 0. */
static int rom_answers[8];
static unsigned rom_reads;
static uint8_t rom_bytes[0x10000];

static inline void note(unsigned at, unsigned size, uint32_t value)
{
	assert_true(num_notes < MANY);
	notes[num_notes++] = (struct note){ at, size, value };
}

static inline ssize_t rom_rw(uint64_t pos, void *buf, size_t count)
{
	int n = rom_reads < 8 ? rom_answers[rom_reads] : 0;

	rom_reads++;
	if (n <= 0)
		return n;
	n = (size_t)n < count ? n : (int)count;
	memcpy(buf, rom_bytes + pos, (size_t)n);
	return n;
}

static inline ssize_t config_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
				size_t count, bool write)
{
	uint32_t value = 0;

	if (gone)
		return -EIO;
	if (index == ROM)
		return write ? -EINVAL : rom_rw(pos, buf, count);
	if (index != CFG)
		return fake_rw(dev, index, pos, buf, count, write);
	if (pos >= f->region[CFG].size || count > f->region[CFG].size - pos)
		return -EINVAL;
	if (!write) {
		config_reads++;
		memcpy(buf, f->config + pos, count);
		return (ssize_t)count;
	}
	memcpy(&value, buf, count);
	note((unsigned)pos, (unsigned)count, value);
	for (size_t i = 0; i < count; i++)
		f->config[pos + i] = (uint8_t)((f->config[pos + i] & ~takes[pos + i]) |
					       (((uint8_t *)buf)[i] & takes[pos + i]));
	return (ssize_t)count;
}

static inline int noted_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	note(UINT32_MAX, a->index, a->count);
	return fake_set_irqs(dev, a);
}

static struct vfio_device_ops config_ops;

/* ---- its config space ---- */

#define CAP_PM	   0x40u
#define CAP_PCIE   0x80u
#define CAP_VPD	   0xc0u
#define CAP_VENDOR 0xd0u
#define CAP_AF	   0xe0u
#define EXT_AER	   0x100u
#define EXT_DSN	   0x148u
#define EXT_ARI	   0x160u
#define EXT_SRIOV  0x170u
#define EXT_REBAR  0x1b0u
#define EXT_PASID  0x1c0u
#define EXT_ATS	   0x1d0u
#define EXT_PRI	   0x1e0u
#define EXT_LTR	   0x200u

static inline void ext(unsigned at, unsigned id, unsigned next)
{
	fake_put(f, at, 4, id | 1u << 16 | next << 20);
}

/* A pattern, and over it what has a meaning. BARs have addresses of the host. */
static inline void make_config(void)
{
	for (unsigned i = 0; i < sizeof(f->config); i++)
		f->config[i] = (uint8_t)(i * 7 + i / 256 + 3);
	f->region[CFG].size = PCI_CFG_EXP_SIZE;
	fake_put(f, PCI_VENDOR_ID, 4, 0x15728086);
	fake_put(f, PCI_COMMAND, 4, 0x407 | (PCI_STATUS_CAP_LIST | 0x0200u) << 16);
	fake_put(f, PCI_CLASS_REVISION, 4, 0x02000003);
	fake_put(f, PCI_CACHE_LINE_SIZE, 4, 0x00800010);
	fake_put(f, PCI_BASE_ADDRESS_0, 4, 0xf000000c);
	fake_put(f, PCI_BASE_ADDRESS_1, 4, 0x0000000d);
	fake_put(f, PCI_BASE_ADDRESS_2, 4, 0xe1230000);
	fake_put(f, PCI_BASE_ADDRESS_3, 4, 0x0000c041);
	fake_put(f, PCI_BASE_ADDRESS_4, 4, 0xe4560008);
	fake_put(f, PCI_BASE_ADDRESS_5, 4, 0);
	fake_put(f, PCI_ROM_ADDRESS, 4, 0xfe780001);
	fake_put(f, PCI_CAPABILITY_LIST, 1, CAP_PM);
	fake_put(f, PCI_INTERRUPT_LINE, 2, 0x010b);

	fake_put(f, CAP_PM, 4, PCI_CAP_ID_PM | FAKE_MSI << 8 | 3u << 16);
	fake_put(f, CAP_PM + PCI_PM_CTRL, 4, 0);
	fake_put(f, FAKE_MSI, 4, PCI_CAP_ID_MSI | FAKE_MSIX << 8 | (5u << 1 | 0x180) << 16);
	fake_put(f, FAKE_MSI + PCI_MSI_MASK_64, 4, 0);
	fake_put(f, FAKE_MSI + PCI_MSI_PENDING_64, 4, 0);
	fake_put(f, FAKE_MSIX, 4, PCI_CAP_ID_MSIX | CAP_PCIE << 8 | (FAKE_VECTORS - 1) << 16);
	fake_put(f, FAKE_MSIX + PCI_MSIX_TABLE, 4, 4);
	fake_put(f, FAKE_MSIX + PCI_MSIX_PBA, 4, FAKE_PBA | 4);
	fake_put(f, CAP_PCIE, 4, PCI_CAP_ID_EXP | CAP_VPD << 8 | 2u << 16);
	fake_put(f, CAP_PCIE + PCI_EXP_DEVCAP, 4, 0x10008fe2);
	fake_put(f, CAP_PCIE + PCI_EXP_DEVCTL, 4, 0x2810);
	fake_put(f, CAP_PCIE + PCI_EXP_LNKCAP, 4, 0x00477d03);
	fake_put(f, CAP_PCIE + PCI_EXP_LNKCTL, 4, 0x11830040);
	fake_put(f, CAP_VPD, 2, PCI_CAP_ID_VPD | CAP_VENDOR << 8);
	fake_put(f, CAP_VENDOR, 3, PCI_CAP_ID_VNDR | CAP_AF << 8 | 16u << 16);
	fake_put(f, CAP_AF, 4, PCI_CAP_ID_AF | PCI_CAP_AF_SIZEOF << 16 | 3u << 24);
	fake_put(f, CAP_AF + PCI_AF_CTRL, 2, 0);

	ext(EXT_AER, PCI_EXT_CAP_ID_ERR, EXT_DSN);
	ext(EXT_DSN, PCI_EXT_CAP_ID_DSN, EXT_ARI);
	ext(EXT_ARI, PCI_EXT_CAP_ID_ARI, EXT_SRIOV);
	ext(EXT_SRIOV, PCI_EXT_CAP_ID_SRIOV, EXT_REBAR);
	ext(EXT_REBAR, PCI_EXT_CAP_ID_REBAR, EXT_PASID);
	ext(EXT_PASID, PCI_EXT_CAP_ID_PASID, EXT_ATS);
	ext(EXT_ATS, PCI_EXT_CAP_ID_ATS, EXT_PRI);
	ext(EXT_PRI, PCI_EXT_CAP_ID_PRI, EXT_LTR);
	ext(EXT_LTR, PCI_EXT_CAP_ID_LTR, 0);
}

/* ---- a guest with it ---- */

static struct uvfio_vm_ops monitor_ops;

/* Make the device and the guest; nothing of it is set up. */
static inline void begin_with(const char *options, void (*change)(void))
{
	struct uvfio_vm_irq_ops ops;
	const struct vfio_region rw = { .flags = 3 };

	num_notes = config_reads = rom_reads = 0;
	gone = false;
	memset(takes, 0xff, sizeof(takes));
	for (unsigned i = 0; i < 6; i++)
		takes[PCI_BASE_ADDRESS_0 + 4 * i] = i == 1 ? 0xff : i == 3 ? 0xfc : 0xf0;
	takes[PCI_ROM_ADDRESS] = 1;
	takes[PCI_ROM_ADDRESS + 1] = 0;
	memset(rom_answers, 0, sizeof(rom_answers));
	fake_init(f);
	config_ops = fake_ops;
	config_ops.rw = config_rw;
	config_ops.set_irqs = noted_set_irqs;
	f->vdev.ops = &config_ops;
	for (unsigned i = 0; i < 4; i++)
		f->region[i] = rw;
	f->region[0].size = 0x10000;
	f->region[2].size = 0x4000;
	f->region[3].size = 0x20;
	f->region[ROM] = (struct vfio_region){ .flags = 1, .size = 0x10000 };
	make_config();
	if (change)
		change();
	mon_init(&t.mon);
	mon_ops(&ops, false);
	tvm_begin(&t, &monitor_ops, NULL, &ops);
	vm_options_fini(&t.dev->options);
	if (vm_options_parse(t.vm, options, &t.dev->options))
		fail_msg("%s", uvfio_vm_strerror(t.vm));
}

static inline void begin(const char *options, void (*change)(void))
{
	begin_with(options, change);
	tvm_set_up(&t);
	if (vm_quirks_init(t.dev))
		fail_msg("%s", uvfio_vm_strerror(t.vm));
	num_notes = config_reads = 0;
}

static inline void finish_half(void)
{
	tvm_end(&t);
	fake_fini(f);
}

static inline void finish(void)
{
	vm_quirks_fini(t.dev);
	tvm_tear_down(&t);
	finish_half();
}

static inline uint32_t rd(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(t.dev, at, size);
}

static inline void wr(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(t.dev, at, size, value);
}

static inline uint32_t device_has(unsigned at, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, f->config + at, size);
	return v;
}

/* Walk the guest's chain: its capabilities' places, @want, end with 0. */
static inline void expect_chain(const unsigned *want)
{
	unsigned at = rd(PCI_CAPABILITY_LIST, 1);

	for (; *want; want++) {
		assert_int_equal(at, *want);
		at = rd(at + 1, 1);
	}
	assert_int_equal(at, 0);
}
#define CHAIN(...) expect_chain((const unsigned[]){ __VA_ARGS__, 0 })

static inline void expect_ext_chain(const unsigned *want)
{
	unsigned at = PCI_CFG_SIZE;

	for (; *want; want++) {
		assert_int_equal(at, *want);
		at = rd(at, 4) >> 20;
	}
	assert_int_equal(at, 0);
}
#define EXT_CHAIN(...) expect_ext_chain((const unsigned[]){ __VA_ARGS__, 0 })
#endif
