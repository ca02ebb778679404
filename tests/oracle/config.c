/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/config.c: config space as a user sees and writes it: what is virtual, what reaches
 * the device, what is dropped.
 */
#include "oracle.h"

#define NVME_CC 0x14 /* controller configuration: NVMe 1.4, 3.1.5 */

/* Write @v, say what is read then, put the old value back. */
static void poke(const struct dut *t, int d, unsigned int off, unsigned int size, uint32_t v,
		 const char *what)
{
	uint32_t old = cfg_read(d, off, size);

	saw(cfg_write(d, off, size, v), "%s.config %s: write 0x%x", t->name, what, v);
	saw_hex(cfg_read(d, off, size), "%s.config %s: then", t->name, what);
	cfg_write(d, off, size, old);
	saw(cfg_read(d, off, size) == old, "%s.config %s: back", t->name, what);
}

static void header(const struct dut *t, int d)
{
	uint32_t bar0 = cfg_read(d, PCI_BASE_ADDRESS_0, 4), cmd = cfg_read(d, PCI_COMMAND, 2);
	char b[4];

	saw_hex(cmd & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE),
		"%s.config command at open", t->name);
	saw_hex(cfg_read(d, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, "%s.config status at open",
		t->name);
	saw_hex(cfg_read(d, PCI_HEADER_TYPE, 1), "%s.config header type", t->name);
	saw(cfg_read(d, PCI_INTERRUPT_PIN, 1), "%s.config interrupt pin", t->name);
	saw(bar0 != 0, "%s.config BAR0 has an address", t->name);
	saw_hex(bar0 & 0xf, "%s.config BAR0 type", t->name);

	saw(cfg_write(d, PCI_VENDOR_ID, 4, 0xdeadbeef), "%s.config write ids", t->name);
	saw(cfg_read(d, PCI_VENDOR_ID, 2) != 0xbeef, "%s.config ids stay", t->name);
	saw(cfg_write(d, PCI_CLASS_REVISION, 4, 0), "%s.config write class", t->name);
	saw(cfg_read(d, PCI_CLASS_REVISION, 4) != 0, "%s.config class stays", t->name);
	poke(t, d, PCI_HEADER_TYPE, 1, 0x81, "header type");
	poke(t, d, PCI_CARDBUS_CIS, 4, 0xffffffff, "cis");
	saw(cfg_write(d, PCI_SUBSYSTEM_VENDOR_ID, 4, 0), "%s.config write subsystem", t->name);
	saw(cfg_read(d, PCI_SUBSYSTEM_VENDOR_ID, 4) != 0, "%s.config subsystem stays", t->name);
	poke(t, d, PCI_INTERRUPT_LINE, 1, 0x55, "interrupt line");
	poke(t, d, PCI_INTERRUPT_PIN, 1, 4, "interrupt pin");
	poke(t, d, PCI_MIN_GNT, 2, 0x5566, "min_gnt");
	poke(t, d, PCI_CAPABILITY_LIST, 1, 0x44, "capability pointer");
	poke(t, d, 0x35, 2, 0xffff, "reserved 0x35");
	poke(t, d, 0x38, 4, 0xffffffff, "reserved 0x38");
	poke(t, d, PCI_CACHE_LINE_SIZE, 1, 0x10, "cache line");
	poke(t, d, PCI_BIST, 1, 0, "bist");

	/* BARs: sized by all ones, two at a time, byte by byte; the device does not move */
	poke(t, d, PCI_BASE_ADDRESS_0, 4, 0xffffffff, "BAR0");
	poke(t, d, PCI_BASE_ADDRESS_0, 4, 0, "BAR0");
	poke(t, d, PCI_BASE_ADDRESS_1, 4, 0xffffffff, "BAR1");
	poke(t, d, PCI_BASE_ADDRESS_2, 4, 0xffffffff, "BAR2");
	poke(t, d, PCI_BASE_ADDRESS_5, 4, 0xffffffff, "BAR5");
	saw(cfg_write(d, PCI_BASE_ADDRESS_0 + 3, 1, 0x5a), "%s.config BAR0 top byte", t->name);
	saw_hex(cfg_read(d, PCI_BASE_ADDRESS_0 + 3, 1), "%s.config BAR0 top byte: then", t->name);
	saw(pread(d, b, 4, 0), "%s.config BAR0 moved: region read", t->name);
	cfg_write(d, PCI_BASE_ADDRESS_0, 4, bar0);
	saw(cfg_write(d, PCI_ROM_ADDRESS, 4, 0xfffff801), "%s.config ROM", t->name);

	/* COMMAND */
	poke(t, d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, "command mem master");
	poke(t, d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE,
	     "command disintx");
	poke(t, d, PCI_COMMAND, 2, 0, "command 0");
	saw(cfg_write(d, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8),
	    "%s.config command high byte", t->name);
	saw_hex(cfg_read(d, PCI_COMMAND, 2) & (PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE),
		"%s.config command high byte: then", t->name);
	cfg_write(d, PCI_COMMAND, 2, cmd);
	saw(cfg_write(d, PCI_STATUS, 2, 0xffff), "%s.config status", t->name);
	saw_hex(cfg_read(d, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, "%s.config status: then",
		t->name);
}

static void msi_cap(const struct dut *t, int d)
{
	unsigned int m = cfg_cap(d, PCI_CAP_ID_MSI);
	int efd = eventfd(0, EFD_NONBLOCK);

	saw(m != 0, "%s.config has MSI", t->name);
	if (!m)
		return;
	saw_hex(cfg_read(d, m, 1), "%s.msi id", t->name);
	poke(t, d, m, 2, 0xffff, "msi id and next");
	saw_hex(cfg_read(d, m + PCI_MSI_FLAGS, 2), "%s.msi flags", t->name);
	poke(t, d, m + PCI_MSI_FLAGS, 2, 0xffff, "msi flags, not enabled");
	poke(t, d, m + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, "msi enable, not enabled");
	poke(t, d, m + PCI_MSI_ADDRESS_LO, 4, 0xffffffff, "msi address");
	poke(t, d, m + PCI_MSI_ADDRESS_HI, 4, 0x12345678, "msi upper address");
	poke(t, d, m + PCI_MSI_DATA_64, 2, 0xa5a5, "msi data");
	MUST(set_eventfd(d, VFIO_PCI_MSI_IRQ_INDEX, 0, efd) == 0);
	saw_hex(cfg_read(d, m + PCI_MSI_FLAGS, 2), "%s.msi flags after SET_IRQS", t->name);
	poke(t, d, m + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, "msi enable");
	poke(t, d, m + PCI_MSI_FLAGS, 2, 0xffff, "msi flags, enabled");
	saw(cfg_write(d, m + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE),
	    "%s.msi enable before disable", t->name);
	MUST(vfio_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			   VFIO_PCI_MSI_IRQ_INDEX, 0, 0, NULL) == 0);
	saw_hex(cfg_read(d, m + PCI_MSI_FLAGS, 2), "%s.msi flags after disable", t->name);
	poke(t, d, m + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE, "msi enable after disable");
	close(efd);
}

void test_config(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), d2;

	saw_hex(cfg_read(d, PCI_VENDOR_ID, 4), "edu.config ids");
	saw_hex(cfg_read(d, PCI_CLASS_REVISION, 4), "edu.config class and revision");
	header(&edu, d);
	msi_cap(&edu, d);
	/*
	 * what is written is seen by every open file of the device, outlives a reset, and is gone
	 * after the last close
	 */
	cfg_write(d, PCI_INTERRUPT_LINE, 1, 0x77);
	cfg_write(d, PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	d2 = open_device(&s, &edu);
	saw_hex(cfg_read(d2, PCI_INTERRUPT_LINE, 1), "edu.config seen by a second file");
	saw_hex(cfg_read(d2, PCI_COMMAND, 2) & 0x406, "edu.config command seen by a second file");
	saw(ioctl(d, VFIO_DEVICE_RESET), "edu.config reset");
	saw_hex(cfg_read(d2, PCI_INTERRUPT_LINE, 1), "edu.config interrupt line after reset");
	saw_hex(cfg_read(d2, PCI_COMMAND, 2) & 0x406, "edu.config command after reset");
	close(d);
	saw_hex(cfg_read(d2, PCI_INTERRUPT_LINE, 1), "edu.config after one close");
	close(d2);
	d = open_device(&s, &edu);
	saw(cfg_read(d, PCI_INTERRUPT_LINE, 1) != 0x77,
	    "edu.config interrupt line is new after the last close");
	saw_hex(cfg_read(d, PCI_COMMAND, 2) & 0x406, "edu.config command after the last close");
}

static void power(int d)
{
	unsigned int pm = cfg_cap(d, PCI_CAP_ID_PM);
	char b[4];

	saw(pm != 0, "nvme.config has PM");
	if (!pm)
		return;
	saw_hex(cfg_read(d, pm + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, "nvme.pm PME support");
	poke(&nvme, d, pm + PCI_PM_PMC, 2, 0xffff, "pm capabilities");
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & 3, "nvme.pm state at open");
	saw(cfg_write(d, pm + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
	    "nvme.pm PME enable");
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) &
			(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
		"nvme.pm PME enable: then");
	saw(cfg_write(d, pm + PCI_PM_CTRL, 2, 3), "nvme.pm to D3hot");
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & 3, "nvme.pm in D3hot");
	saw(pread(d, b, 4, 0), "nvme.pm BAR read in D3hot");
	saw(pwrite(d, b, 4, 0x1000), "nvme.pm BAR write in D3hot");
	saw(pread(d, b, 4, VFIO_REGION(7)), "nvme.pm config read in D3hot");
	saw(cfg_write(d, pm + PCI_PM_CTRL, 2, 0), "nvme.pm to D0");
	saw_hex(cfg_read(d, pm + PCI_PM_CTRL, 2) & 3, "nvme.pm in D0");
	saw_hex(cfg_read(d, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, "nvme.pm command after D0");
	saw(pread(d, b, 4, 0), "nvme.pm BAR read in D0");
}

static void express(int d)
{
	unsigned int e = cfg_cap(d, PCI_CAP_ID_EXP);
	uint32_t ctl;

	saw(e != 0, "nvme.config has PCIe");
	if (!e)
		return;
	saw(cfg_read(d, e + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_VERS, "nvme.exp version");
	saw((cfg_read(d, e + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_TYPE) >> 4, "nvme.exp type");
	saw_hex(cfg_read(d, e + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR, "nvme.exp FLR");
	ctl = cfg_read(d, e + PCI_EXP_DEVCTL, 2);
	cfg_write(d, e + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_PAYLOAD);
	saw_hex(cfg_read(d, e + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PAYLOAD,
		"nvme.exp MPS written 0xe0");
	cfg_write(d, e + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_READRQ_256B);
	saw_hex(cfg_read(d, e + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_READRQ,
		"nvme.exp MRRS written 256");
	cfg_write(d, e + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_BCR_FLR);
	saw_hex(cfg_read(d, e + PCI_EXP_DEVCTL, 2) &
			(PCI_EXP_DEVCTL_PHANTOM | PCI_EXP_DEVCTL_BCR_FLR),
		"nvme.exp PHANTOM FLR written");
	cfg_write(d, e + PCI_EXP_DEVCTL, 2, ctl);
	saw(cfg_write(d, e + PCI_EXP_DEVSTA, 2, 0xffff), "nvme.exp write device status");
	poke(&nvme, d, e + PCI_EXP_LNKCTL, 2, 0x0003, "link control");
	saw(cfg_write(d, e + PCI_EXP_DEVCAP, 4, 0), "nvme.exp write device capabilities");
	saw(cfg_read(d, e + PCI_EXP_DEVCAP, 4) != 0, "nvme.exp device capabilities stay");
	cfg_write(d, e + PCI_EXP_DEVCTL2, 2, PCI_EXP_DEVCTL2_ARI);
	saw_hex(cfg_read(d, e + PCI_EXP_DEVCTL2, 2) & PCI_EXP_DEVCTL2_ARI, "nvme.exp ARI written");
}

static void flr(int d)
{
	unsigned int e = cfg_cap(d, PCI_CAP_ID_EXP);
	int efd = eventfd(0, EFD_NONBLOCK);

	if (!e || !(cfg_read(d, e + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
		return;
	/*
	 * a reset by the user's FLR leaves interrupts and the virtual config as they are and clears
	 * the device
	 */
	MUST(set_eventfd(d, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd) == 0);
	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar_write(d, 0, NVME_CC, 0x00460000);
	saw_hex(bar_read(d, 0, NVME_CC), "nvme.flr CC before");
	saw(cfg_write(d, e + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR), "nvme.flr");
	saw_hex(cfg_read(d, PCI_COMMAND, 2) & 0x406, "nvme.flr command after");
	saw_hex(bar_read(d, 0, NVME_CC), "nvme.flr CC after");
	saw(vfio_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL),
	    "nvme.flr trigger after");
	saw(eventfd_wait(efd, 1000), "nvme.flr trigger after: fired");
	bar_write(d, 0, NVME_CC, 0x00460000);
	saw(ioctl(d, VFIO_DEVICE_RESET), "nvme.reset");
	saw_hex(bar_read(d, 0, NVME_CC), "nvme.reset CC after");
	saw_hex(cfg_read(d, PCI_COMMAND, 2) & 0x406, "nvme.reset command after");
	saw(vfio_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL),
	    "nvme.reset trigger after");
	saw(eventfd_wait(efd, 1000), "nvme.reset trigger after: fired");
	MUST(vfio_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			   VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL) == 0);
	close(efd);
}

static void msix_cap(int d)
{
	unsigned int m = cfg_cap(d, PCI_CAP_ID_MSIX), f = m + PCI_MSIX_FLAGS;
	int efd = eventfd(0, EFD_NONBLOCK);
	const uint32_t live = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;

	MUST(m);
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix flags");
	saw(cfg_write(d, f, 2, 0xffff), "nvme.msix enable by hand");
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix enable by hand: then");
	MUST(set_eventfd(d, VFIO_PCI_MSIX_IRQ_INDEX, 0, efd) == 0);
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix flags after SET_IRQS");
	saw(cfg_write(d, f, 2, 0), "nvme.msix disable by hand");
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix disable by hand: then");
	saw(cfg_write(d, f, 2, PCI_MSIX_FLAGS_MASKALL), "nvme.msix mask by hand");
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix mask by hand: then");
	MUST(vfio_set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			   VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL) == 0);
	saw_hex(cfg_read(d, f, 2) & live, "nvme.msix flags after disable");
	saw(cfg_write(d, m + PCI_MSIX_TABLE, 4, 0xffffffff), "nvme.msix write the table's place");
	saw(cfg_read(d, m + PCI_MSIX_TABLE, 4) != 0xffffffff, "nvme.msix the table's place stays");
	close(efd);
}

void test_config_nvme(void)
{
	struct setup s = set_up(&nvme, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &nvme);

	saw_hex(cfg_read(d, PCI_CLASS_REVISION, 4) >> 8, "nvme.config class");
	header(&nvme, d);
	power(d);
	express(d);
	msix_cap(d);
	flr(d);
	saw(cfg_read(d, 0x100, 4) != 0xffffffff, "nvme.config extended space answers");
	saw(cfg_read(d, 0xffc, 4), "nvme.config last dword");
}
