/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/power.c: what D3hot and resets leave of interrupts and of config space, on a
 * function that loses its state on the way to D0 (the 82576); and what regions answer in D3hot and
 * with decoding off, the ROM among them.
 */
#include <setjmp.h>
#include <signal.h>

#include "oracle.h"

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define EFD	VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX

#define QUIET 30
#define SOON  2000

/* 82576 datasheet, 8.8; the causes at their second addresses (8.1.3), which QEMU has, too */
#define ICR  0x00c0
#define ICS  0x00c8
#define IMS  0x00d0
#define IMC  0x00d8
#define GPIE 0x1514
#define EICS 0x1520
#define EIMS 0x1524
#define EICR 0x1580

static unsigned int pm, express;

static void d_state(int d, unsigned int state)
{
	MUST(cfg_write(d, pm + PCI_PM_CTRL, 2, state) == 2);
	if (!state)
		usleep(20000); /* 10 ms are the function's to come back */
}

enum way { BY_D0, BY_RESET, BY_FLR, WAYS };
static const char *const ways[WAYS] = { "D0", "a reset", "FLR" };

/* Out of D3hot, or out of whatever it is in. */
static void come_back(int d, enum way way)
{
	switch (way) {
	case BY_D0:
		d_state(d, 0);
		break;
	case BY_RESET:
		MUST(ioctl(d, VFIO_DEVICE_RESET) == 0);
		break;
	default:
		MUST(cfg_write(d, express + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR) == 2);
		break;
	}
}

/* An interrupt, or message 0, by the registers alone: a reset has cleared them. */
static void raise_cause(int d, uint32_t index)
{
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (index == MSIX) {
		bar_write(d, 0, GPIE, 1 << 4);
		bar_write(d, 0, EIMS, 1);
		bar_write(d, 0, EICS, 1);
	} else {
		bar_write(d, 0, IMS, 1 << 2);
		bar_write(d, 0, ICS, 1 << 2);
	}
}

static void take_back(int d)
{
	bar_write(d, 0, GPIE, 0);
	bar_write(d, 0, IMC, ~0u);
	bar_write(d, 0, ICR, ~0u);
	bar_write(d, 0, EICR, ~0u);
	bar_read(d, 0, ICR);
}

/*
 * MSI or MSI-X that is on when the function goes to D3hot, and off, or still on, when it comes back
 */
static void messages(int d, uint32_t index, const char *name, unsigned int cap, enum way way,
		     bool off)
{
	int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);
	uint32_t on = index == MSIX ? PCI_MSIX_FLAGS_ENABLE : PCI_MSI_FLAGS_ENABLE;
	char what[64];

	snprintf(what, sizeof(what), "power.%s %s, %s", name, off ? "off in D3" : "on", ways[way]);
	MUST(set_eventfd(d, index, 0, a) == 0);
	d_state(d, 3);
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & 3, "%s: state", what);
	if (off) {
		saw(vfio_set_irqs(d, NONE | TRIGGER, index, 0, 0, NULL), "%s: disable", what);
	} else {
		saw(vfio_set_irqs(d, NONE | TRIGGER, index, 0, 1, NULL), "%s: trigger", what);
		saw(eventfd_wait(a, SOON), "%s: trigger: fired", what);
		saw(set_eventfd(d, index, 0, b), "%s: replace", what);
	}
	come_back(d, way);
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & 3, "%s: state then", what);
	if (index == MSIX) /* what a user sees of MSI's flags is virtual */
		saw_hex(cfg_read(d, cap + PCI_MSIX_FLAGS, 2) & on, "%s: enable bit", what);
	raise_cause(d, index);
	saw(eventfd_wait(a, QUIET), "%s: raised, old", what);
	saw(eventfd_wait(b, off ? QUIET : SOON), "%s: raised, new", what);
	take_back(d);
	saw(vfio_set_irqs(d, NONE | TRIGGER, index, 0, 0, NULL), "%s: disable then", what);
	saw(set_eventfd(d, INTX, 0, b), "%s: intx", what);
	raise_cause(d, INTX);
	saw(eventfd_wait(b, SOON), "%s: intx raised", what);
	take_back(d);
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "%s: intx off", what);
	close(a);
	close(b);
}

/* SET_IRQS in D3hot, with eventfds that it did not have before. */
static void set_in_d3(int d)
{
	int a = eventfd(0, EFD_NONBLOCK);

	d_state(d, 3);
	saw(set_eventfd(d, MSI, 0, a), "power.in D3: msi");
	saw(set_eventfd(d, MSIX, 0, a), "power.in D3: msix");
	saw(set_eventfd(d, INTX, 0, a), "power.in D3: intx");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "power.in D3: intx mask");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "power.in D3: intx unmask");
	d_state(d, 0);
	raise_cause(d, INTX);
	saw(eventfd_wait(a, SOON), "power.intx from D3: raised");
	take_back(d);
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL), "power.intx from D3: unmask");
	d_state(d, 3);
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 1, NULL), "power.in D3: intx trigger");
	saw(eventfd_wait(a, SOON), "power.in D3: intx trigger: fired");
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL), "power.in D3: intx off");
	d_state(d, 0);
	/* messages give way to the pin while it sleeps */
	MUST(set_eventfd(d, MSIX, 0, a) == 0);
	d_state(d, 3);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "power.in D3: msix off");
	saw(set_eventfd(d, INTX, 0, a), "power.in D3: intx after msix");
	d_state(d, 0);
	raise_cause(d, INTX);
	saw(eventfd_wait(a, 500), "power.intx after msix from D3: raised");
	saw(vfio_set_irqs(d, NONE | MASK, INTX, 0, 1, NULL), "power.intx after msix from D3: mask");
	saw(vfio_set_irqs(d, NONE | UNMASK, INTX, 0, 1, NULL),
	    "power.intx after msix from D3: unmask");
	saw(eventfd_wait(a, SOON), "power.intx after msix from D3: unmask: fired");
	take_back(d);
	saw(vfio_set_irqs(d, NONE | TRIGGER, INTX, 0, 0, NULL),
	    "power.intx after msix from D3: off");
	close(a);
}

/* The mask bits of MSI are the hardware's, all else of it is virtual. */
static void msi_registers(int d, enum way way, bool on, bool asleep)
{
	unsigned int m = cfg_cap(d, PCI_CAP_ID_MSI);
	int a = eventfd(0, EFD_NONBLOCK);
	char what[64];

	snprintf(what, sizeof(what), "power.msi %s, %s%s", on ? "on" : "off", ways[way],
		 asleep ? " from D3" : "");
	if (on)
		MUST(set_eventfd(d, MSI, 0, a) == 0);
	cfg_write(d, m + PCI_MSI_ADDRESS_LO, 4, 0xfee01000);
	cfg_write(d, m + PCI_MSI_ADDRESS_HI, 4, 1);
	cfg_write(d, m + PCI_MSI_DATA_64, 2, 0x4321);
	cfg_write(d, m + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	cfg_write(d, m + PCI_MSI_MASK_64, 4, 1);
	saw_hex(cfg_read(d, m + PCI_MSI_MASK_64, 4), "%s: mask", what);
	if (asleep)
		d_state(d, 3);
	come_back(d, way);
	saw_hex(cfg_read(d, m + PCI_MSI_MASK_64, 4), "%s: mask then", what);
	saw_hex(cfg_read(d, m + PCI_MSI_FLAGS, 2), "%s: flags then", what);
	saw_hex(cfg_read(d, m + PCI_MSI_ADDRESS_LO, 4), "%s: address then", what);
	saw_hex(cfg_read(d, m + PCI_MSI_ADDRESS_HI, 4), "%s: upper address then", what);
	saw_hex(cfg_read(d, m + PCI_MSI_DATA_64, 2), "%s: data then", what);
	cfg_write(d, m + PCI_MSI_FLAGS, 2, 0);
	cfg_write(d, m + PCI_MSI_MASK_64, 4, 0);
	if (on)
		MUST(vfio_set_irqs(d, NONE | TRIGGER, MSI, 0, 0, NULL) == 0);
	close(a);
}

/*
 * Registers of the hardware that are written in D3hot have what they had before, in D0; those that
 * are virtual keep it.
 */
static void written_in_d3(int d, enum way way)
{
	unsigned int aer = cfg_ext_cap(d, PCI_EXT_CAP_ID_ERR);
	uint32_t bar0 = cfg_read(d, PCI_BASE_ADDRESS_0, 4);
	const char *w = ways[way];

	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cfg_write(d, PCI_CACHE_LINE_SIZE, 1, 0x10);
	cfg_write(d, PCI_INTERRUPT_LINE, 1, 1);
	if (aer)
		cfg_write(d, aer + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_POISON_TLP);
	d_state(d, 3);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	cfg_write(d, PCI_CACHE_LINE_SIZE, 1, 0x20);
	cfg_write(d, PCI_INTERRUPT_LINE, 1, 2);
	cfg_write(d, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	if (aer)
		cfg_write(d, aer + PCI_ERR_UNCOR_MASK, 4, 0);
	saw_hex(cfg_read(d, PCI_COMMAND, 2), "power.written in D3: command, before %s", w);
	come_back(d, way);
	saw_hex(cfg_read(d, PCI_COMMAND, 2), "power.written in D3, %s: command", w);
	saw_hex(cfg_read(d, PCI_CACHE_LINE_SIZE, 1), "power.written in D3, %s: cache line size", w);
	saw_hex(cfg_read(d, PCI_INTERRUPT_LINE, 1), "power.written in D3, %s: interrupt line", w);
	saw_hex(cfg_read(d, PCI_BASE_ADDRESS_0, 4), "power.written in D3, %s: BAR0", w);
	if (aer)
		saw_hex(cfg_read(d, aer + PCI_ERR_UNCOR_MASK, 4) & PCI_ERR_UNC_POISON_TLP,
			"power.written in D3, %s: AER mask", w);
	cfg_write(d, PCI_BASE_ADDRESS_0, 4, bar0);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static sigjmp_buf out;
static void on_fault(int sig)
{
	siglongjmp(out, sig);
}

/* A load from a mapping: 0, or the signal that it was. */
static long load_from(volatile uint32_t *p, uint32_t *v)
{
	struct sigaction old, sa = { .sa_handler = on_fault };
	long sig;

	sigaction(SIGBUS, &sa, &old);
	sig = sigsetjmp(out, 1);
	if (!sig)
		*v = *p;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

/* Memory, I/O (where nobody answers), config space. */
static void regions(int d, const char *when)
{
	uint32_t v = 0;
	void *map;

	saw(pread(d, &v, 4, VFIO_REGION(0) + GPIE), "power.%s: BAR0 read", when);
	saw(pwrite(d, &v, 4, VFIO_REGION(0) + GPIE), "power.%s: BAR0 write", when);
	saw(pread(d, &v, 4, VFIO_REGION(2)), "power.%s: I/O BAR read", when);
	saw_hex(v, "power.%s: I/O BAR read: value", when);
	v = 0;
	saw(pwrite(d, &v, 4, VFIO_REGION(2)), "power.%s: I/O BAR write", when);
	saw(pread(d, &v, 4, VFIO_REGION(3)), "power.%s: MSI-X table read", when);
	saw_hex(v, "power.%s: MSI-X table read: value", when);
	saw(pread(d, &v, 4, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)), "power.%s: config read",
	    when);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	saw(map == MAP_FAILED ? -1 : 0, "power.%s: BAR0 mmap", when);
	if (map != MAP_FAILED) {
		saw(load_from((volatile uint32_t *)map + 2, &v), "power.%s: BAR0 load", when);
		munmap(map, 4096);
	}
}

void test_power(void)
{
	struct setup s = set_up(&igb, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &igb);
	static const bool both[] = { true, false };

	pm = cfg_cap(d, PCI_CAP_ID_PM);
	express = cfg_cap(d, PCI_CAP_ID_EXP);
	MUST(pm && express);
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET,
		"power.no soft reset");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	for (enum way way = 0; way < WAYS; way++) {
		for (unsigned int i = 0; i < 2; i++) {
			messages(d, MSI, "msi", cfg_cap(d, PCI_CAP_ID_MSI), way, both[i]);
			messages(d, MSIX, "msix", cfg_cap(d, PCI_CAP_ID_MSIX), way, both[i]);
			msi_registers(d, way, both[i], true);
			if (way != BY_D0)
				msi_registers(d, way, both[i], false);
		}
		written_in_d3(d, way);
	}
	set_in_d3(d);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	regions(d, "I/O decoding off");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO);
	regions(d, "memory decoding off");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	d_state(d, 3);
	regions(d, "D3");
	d_state(d, 0);
}

/*
 * A function that keeps its state (NoSoftRst) gets nothing back when it wakes: what SET_IRQS could
 * not write to its MSI-X table in D3hot is not there.
 */
void test_power_keep(void)
{
	struct setup s = set_up(&keep, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &keep),
	    fds[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
	unsigned int m = cfg_cap(d, PCI_CAP_ID_MSIX);
	volatile uint32_t *table;
	uint32_t at, v = 0;
	void *map;

	pm = cfg_cap(d, PCI_CAP_ID_PM);
	MUST(pm && m);
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET,
		"power_keep.no soft reset");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	at = cfg_read(d, m + PCI_MSIX_TABLE, 4);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d,
		   VFIO_REGION(at & PCI_MSIX_TABLE_BIR) + (at & ~0xfffu));
	MUST(map != MAP_FAILED);
	table = (volatile uint32_t *)((char *)map + (at & 0xff8));
	MUST(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 2, fds) == 0);
	saw_hex(table[3] & 1, "power_keep.mask of vector 0");
	saw_hex(table[7] & 1, "power_keep.mask of vector 1");
	d_state(d, 3);
	saw(load_from(table + 3, &v), "power_keep.in D3: load from the table");
	saw(set_eventfd(d, MSIX, 0, -1), "power_keep.in D3: vector 0 goes");
	d_state(d, 0);
	saw_hex(table[3] & 1, "power_keep.vector 0 went in D3: mask");
	saw(set_eventfd(d, MSIX, 0, fds[0]), "power_keep.vector 0 comes");
	saw_hex(table[3] & 1, "power_keep.vector 0 came: mask");
	saw(set_eventfd(d, MSIX, 0, -1), "power_keep.vector 0 goes");
	saw_hex(table[3] & 1, "power_keep.vector 0 went: mask");
	d_state(d, 3);
	saw(set_eventfd(d, MSIX, 0, fds[0]), "power_keep.in D3: vector 0 comes");
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 1, NULL), "power_keep.in D3: trigger");
	saw(eventfd_wait(fds[0], SOON), "power_keep.in D3: trigger: fired");
	d_state(d, 0);
	saw_hex(table[3] & 1, "power_keep.vector 0 came in D3: mask");
	d_state(d, 3);
	saw(vfio_set_irqs(d, NONE | TRIGGER, MSIX, 0, 0, NULL), "power_keep.in D3: off");
	d_state(d, 0);
	saw_hex(cfg_read(d, m + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE,
		"power_keep.off in D3: enable bit");
	MUST(vfio_set_irqs(d, EFD | TRIGGER, MSIX, 0, 2, fds) == 0);
	saw_hex(table[3] & 1, "power_keep.on again: mask of vector 0");
}

static void rom_region(int d, const char *when)
{
	struct vfio_region_info ri = { .argsz = sizeof(ri), .index = VFIO_PCI_ROM_REGION_INDEX };
	uint8_t b[4] = { 0 };

	saw(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &ri), "rom.%s: info", when);
	saw_hex(ri.flags, "rom.%s: flags", when);
	saw_hex(ri.size, "rom.%s: size", when);
	saw(pread(d, b, 2, VFIO_REGION(6)), "rom.%s: read", when);
	saw_hex((unsigned int)b[0] << 8 | b[1], "rom.%s: signature", when);
	saw(pread(d, b, 4, VFIO_REGION(6) + 4092), "rom.%s: read the last bytes", when);
	saw(pread(d, b, 4, VFIO_REGION(6) + 4094), "rom.%s: read over the end", when);
	saw(pread(d, b, 4, VFIO_REGION(6) + 4096), "rom.%s: read behind the end", when);
	saw(pread(d, b, 0, VFIO_REGION(6)), "rom.%s: read nothing", when);
	saw(pwrite(d, b, 4, VFIO_REGION(6)), "rom.%s: write", when);
	saw(pwrite(d, b, 4, VFIO_REGION(6) + 4096), "rom.%s: write behind the end", when);
	saw(mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, VFIO_REGION(6)) == MAP_FAILED ? -1 : 0,
	    "rom.%s: mmap", when);
}

/* A ROM of 4 KiB with an image. */
void test_rom(void)
{
	struct setup s = set_up(&rom, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &rom);

	pm = cfg_cap(d, PCI_CAP_ID_PM);
	MUST(pm);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	rom_region(d, "decoding");
	cfg_write(d, PCI_ROM_ADDRESS, 4, PCI_ROM_ADDRESS_ENABLE);
	rom_region(d, "enabled by the user, too");
	cfg_write(d, PCI_COMMAND, 2, 0);
	rom_region(d, "decoding off");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	rom_region(d, "I/O decoding alone");
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	d_state(d, 3);
	rom_region(d, "D3");
	cfg_write(d, PCI_COMMAND, 2, 0);
	rom_region(d, "D3, decoding off");
	d_state(d, 0);
	rom_region(d, "D0 again"); /* with decoding as it was when it fell asleep */
	MUST(ioctl(d, VFIO_DEVICE_RESET) == 0);
	rom_region(d, "after a reset");
}
