/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/device.c: information about a device, its regions and how they are read and written,
 * reset, features.
 */
#include "oracle.h"

static void infos(const struct dut *t, int d)
{
	static const uint32_t sizes[] = { 0, 8, 15, 16, 20, 24, 40 };
	struct vfio_irq_info q;
	struct {
		struct vfio_region_info r;
		char caps[64];
	} r;
	struct {
		struct vfio_device_info i;
		char caps[64];
	} i;

	saw(ioctl(d, VFIO_DEVICE_GET_INFO, NOWHERE), "%s.info bad pointer", t->name);
	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		memset(&i, 0, sizeof(i));
		i.i.argsz = sizes[k];
		saw(ioctl(d, VFIO_DEVICE_GET_INFO, &i), "%s.info argsz %u", t->name, sizes[k]);
		saw_hex(i.i.flags, "%s.info argsz %u flags", t->name, sizes[k]);
		saw(i.i.argsz, "%s.info argsz %u argsz", t->name, sizes[k]);
	}
	saw(i.i.num_regions, "%s.info regions", t->name);
	saw(i.i.num_irqs, "%s.info irqs", t->name);

	saw(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, NOWHERE), "%s.region_info bad pointer", t->name);
	for (uint32_t x = 0; x < 12; x++) {
		memset(&r, 0, sizeof(r));
		r.r = (struct vfio_region_info){ .argsz = sizeof(r.r), .index = x };
		saw(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r), "%s.region %u", t->name, x);
		if (x == VFIO_PCI_CONFIG_REGION_INDEX)
			saw(r.r.size == 256 || r.r.size == 4096, "%s.region %u size", t->name, x);
		else if (x != VFIO_PCI_ROM_REGION_INDEX) /* QEMU gives its nvme and edu none */
			saw_hex(r.r.size, "%s.region %u size", t->name, x);
		saw_hex(r.r.flags, "%s.region %u flags", t->name, x);
		saw_hex(r.r.offset, "%s.region %u offset", t->name, x);
		saw(r.r.argsz, "%s.region %u argsz", t->name, x);
		saw(r.r.cap_offset, "%s.region %u cap_offset", t->name, x);
		if (r.r.argsz <= sizeof(r.r) || r.r.argsz > sizeof(r))
			continue;
		ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r);
		saw(r.r.cap_offset, "%s.region %u cap_offset with room", t->name, x);
		saw(((struct vfio_info_cap_header *)((char *)&r + r.r.cap_offset))->id,
		    "%s.region %u cap id", t->name, x);
	}
	r.r = (struct vfio_region_info){ .argsz = 31 };
	saw(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r), "%s.region_info argsz 31", t->name);
	r.r = (struct vfio_region_info){ .argsz = 32, .index = UINT32_MAX };
	saw(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &r), "%s.region_info index -1", t->name);

	saw(ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, NOWHERE), "%s.irq_info bad pointer", t->name);
	for (uint32_t x = 0; x < 7; x++) {
		q = (struct vfio_irq_info){ .argsz = sizeof(q), .index = x };
		saw(ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q), "%s.irq %u", t->name, x);
		saw_hex(q.flags, "%s.irq %u flags", t->name, x);
		if (t == &nvme && x == VFIO_PCI_MSI_IRQ_INDEX) /* ours has MSI, QEMU's has not */
			continue;
		if (x != VFIO_PCI_MSIX_IRQ_INDEX) /* a controller has as many as it likes */
			saw(q.count, "%s.irq %u count", t->name, x);
		else
			saw(q.count > 0, "%s.irq %u has some", t->name, x);
	}
	q = (struct vfio_irq_info){ .argsz = 15 };
	saw(ioctl(d, VFIO_DEVICE_GET_IRQ_INFO, &q), "%s.irq_info argsz 15", t->name);
}

static void ioeventfd(const struct dut *t, int d, uint64_t off, uint32_t argsz, uint32_t flags,
		      int fd, const char *what)
{
	struct vfio_device_ioeventfd v = {
		.argsz = argsz, .flags = flags, .offset = off, .data = 1, .fd = fd
	};

	saw(ioctl(d, VFIO_DEVICE_IOEVENTFD, &v), "%s.ioeventfd %s", t->name, what);
}

static void others(const struct dut *t, int d)
{
	struct {
		struct vfio_device_feature f;
		char data[64];
	} f = { .f = { .argsz = sizeof(f) } };
	struct {
		struct vfio_pci_hot_reset_info i;
		struct vfio_pci_dependent_device dev[32];
	} h = { .i = { .argsz = 0 } };
	struct {
		struct vfio_pci_hot_reset r;
		int32_t fds[4];
	} hr = { .r = { .argsz = sizeof(hr) } };
	int efd = eventfd(0, EFD_NONBLOCK), file = open("/dev/null", O_RDWR);
	char b[8];

	saw(ioctl(d, _IO(VFIO_TYPE, 200)), "%s.unknown", t->name);
	saw(ioctl(d, VFIO_GET_API_VERSION), "%s.api_version", t->name);
	saw(ioctl(d, VFIO_CHECK_EXTENSION, 1), "%s.check_extension", t->name);
	saw(ioctl(d, VFIO_GROUP_GET_STATUS, b), "%s.group_get_status", t->name);
	saw(ioctl(d, VFIO_DEVICE_QUERY_GFX_PLANE, b), "%s.query_gfx_plane", t->name);
	saw(ioctl(d, VFIO_DEVICE_GET_GFX_DMABUF, b), "%s.get_gfx_dmabuf", t->name);
	saw(ioctl(d, VFIO_DEVICE_RESET), "%s.reset", t->name);
	saw(ioctl(d, VFIO_DEVICE_RESET, NOWHERE), "%s.reset with an argument", t->name);

	saw(ioctl(d, VFIO_DEVICE_FEATURE, NOWHERE), "%s.feature bad pointer", t->name);
	f.f.argsz = 7;
	saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature argsz 7", t->name);
	for (uint32_t id = 0; id < 10; id++) {
		/* low power: the platform's runtime power management decides */
		if (id >= 3 && id <= 5)
			continue;
		f.f = (struct vfio_device_feature){ .argsz = sizeof(f),
						    .flags = id | VFIO_DEVICE_FEATURE_PROBE };
		saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature %u probe", t->name, id);
		f.f.flags = id | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET;
		saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature %u probe get", t->name, id);
		f.f.flags = id | VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET;
		saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature %u probe set", t->name, id);
		f.f.flags = id | VFIO_DEVICE_FEATURE_GET;
		saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature %u get", t->name, id);
	}
	f.f.flags = 1 | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature get and set", t->name);
	f.f.flags = 1 | 0x80000;
	saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature unknown flag", t->name);
	f.f.flags = 0xffff | VFIO_DEVICE_FEATURE_GET;
	saw(ioctl(d, VFIO_DEVICE_FEATURE, &f), "%s.feature unknown id", t->name);

	/* each device is alone below its port */
	saw(ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), "%s.hot_reset_info argsz 0", t->name);
	h.i.argsz = sizeof(h.i);
	saw(ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), "%s.hot_reset_info argsz 12",
	    t->name);
	saw(h.i.count, "%s.hot_reset_info argsz 12 count", t->name);
	h.i.argsz = sizeof(h);
	saw(ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &h), "%s.hot_reset_info", t->name);
	saw(h.i.count, "%s.hot_reset_info count", t->name);
	saw_hex(h.i.flags, "%s.hot_reset_info flags", t->name);
	saw(h.dev[0].devfn, "%s.hot_reset_info devfn", t->name);
	hr.r.argsz = 11;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset argsz 11", t->name);
	hr.r = (struct vfio_pci_hot_reset){ .argsz = sizeof(hr), .flags = 1, .count = 1 };
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset flags 1", t->name);
	hr.r = (struct vfio_pci_hot_reset){ .argsz = sizeof(hr), .count = 0 };
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset count 0", t->name);
	hr.r.count = 3;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset count 3", t->name);
	hr.r.count = 1;
	hr.fds[0] = -1;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset fd -1", t->name);
	hr.fds[0] = file;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset /dev/null", t->name);
	hr.fds[0] = d;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "%s.hot_reset the device", t->name);

	ioeventfd(t, d, 0, 27, 4, efd, "argsz 27");
	ioeventfd(t, d, 0, 32, 0, efd, "width 0");
	ioeventfd(t, d, 0, 32, 3, efd, "two widths");
	ioeventfd(t, d, 0, 32, 16, efd, "unknown flag");
	ioeventfd(t, d, 0, 32, 4, -2, "fd -2");
	ioeventfd(t, d, 0, 32, 4, -1, "remove none");
	ioeventfd(t, d, 0, 32, 4, file, "no eventfd");
	ioeventfd(t, d, VFIO_REGION(7), 32, 4, efd, "config");
	ioeventfd(t, d, VFIO_REGION(6), 32, 4, efd, "rom");
	ioeventfd(t, d, VFIO_REGION(5), 32, 4, efd, "absent BAR");
	ioeventfd(t, d, VFIO_REGION(9), 32, 4, efd, "no region");
	ioeventfd(t, d, 0x100000, 32, 4, efd, "behind the BAR");
	close(efd);
	close(file);
}

void test_device(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU), s2;
	int d = open_device(&s, &edu);
	struct {
		struct vfio_pci_hot_reset r;
		int32_t fds[1];
	} hr = { .r = { .argsz = sizeof(hr), .count = 1 } };

	infos(&edu, d);
	others(&edu, d);
	close(d);
	close(s.group);
	close(s.container);
	s2 = set_up(&nvme, NULL, VFIO_TYPE1v2_IOMMU);
	d = open_device(&s2, &nvme);
	infos(&nvme, d);
	others(&nvme, d);
	hr.fds[0] = s2.group;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "nvme.hot_reset by its group");
	MUST((s.group = open(edu.group, O_RDWR)) >= 0);
	hr.fds[0] = s.group;
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, &hr), "nvme.hot_reset by another group");
}

static ssize_t rd(int d, uint64_t pos, size_t n)
{
	static char b[8192];

	return pread(d, b, n, (off_t)pos);
}

static ssize_t wr(int d, uint64_t pos, size_t n)
{
	static char b[8192];

	return pwrite(d, b, n, (off_t)pos);
}

void test_regions(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int d = open_device(&s, &edu), n;
	uint64_t cfg = VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX), size;
	struct vfio_region_info ri = { .argsz = sizeof(ri), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint32_t v = 0x12345678, ff[4];
	/* volatile: the compiler would warn of what is meant */
	void *m, *volatile nowhere = NOWHERE;

	MUST(ioctl(d, VFIO_DEVICE_GET_REGION_INFO, &ri) == 0);
	size = ri.size;
	saw_hex(bar_read(d, 0, 0), "regions.edu identification");
	bar_write(d, 0, 4, v);
	saw_hex(bar_read(d, 0, 4), "regions.edu liveness");
	saw(pwrite(d, &v, 4, 4), "regions.write 4");
	saw(rd(d, 0, 4), "regions.read 4");
	saw(rd(d, 0, 0), "regions.read 0");
	saw(rd(d, 0x100000, 0), "regions.read 0 at the end");
	saw(rd(d, 0x100000, 4), "regions.read at the end");
	saw(rd(d, 0xffffc, 8), "regions.read over the end");
	saw(rd(d, 0x200000, 4), "regions.read behind");
	saw(wr(d, 0x100000, 4), "regions.write at the end");
	saw(wr(d, 0xffffc, 8), "regions.write over the end");
	saw(pread(d, nowhere, 4, 0), "regions.read to a bad pointer");
	saw(pwrite(d, nowhere, 4, 0), "regions.write from a bad pointer");
	saw(pread(d, nowhere, 4, cfg), "regions.config read to a bad pointer");
	saw(pwrite(d, nowhere, 4, cfg), "regions.config write from a bad pointer");
	for (n = 1; n < 6; n++)
		saw(rd(d, VFIO_REGION(n), 4), "regions.read absent BAR %d", n);
	saw(wr(d, VFIO_REGION(1), 4), "regions.write absent BAR");
	saw(rd(d, VFIO_REGION(6), 4), "regions.read rom");
	saw(wr(d, VFIO_REGION(6), 4), "regions.write rom");
	saw(rd(d, VFIO_REGION(8), 4), "regions.read vga");
	saw(wr(d, VFIO_REGION(8), 4), "regions.write vga");
	saw(rd(d, VFIO_REGION(9), 4), "regions.read region 9");
	saw(wr(d, VFIO_REGION(9), 4), "regions.write region 9");
	saw(rd(d, VFIO_REGION(4000), 4), "regions.read region 4000");
	saw(rd(d, VFIO_REGION(9), 0), "regions.read 0 of region 9");
	saw(rd(d, cfg, 4), "regions.config read 4");
	saw(rd(d, cfg, 3), "regions.config read 3");
	saw(rd(d, cfg + 1, 7), "regions.config read 7 at 1");
	saw(rd(d, cfg, size) == (ssize_t)size, "regions.config read all");
	saw(rd(d, cfg, size + 1), "regions.config read more than all");
	saw(rd(d, cfg + size - 4, 4), "regions.config read the last");
	saw(rd(d, cfg + size - 4, 8), "regions.config read over the end");
	saw(rd(d, cfg + size, 1), "regions.config read at the end");
	saw(rd(d, cfg + size, 0), "regions.config read 0 at the end");
	saw(wr(d, cfg + size, 4), "regions.config write at the end");
	saw(wr(d, cfg + size - 2, 4), "regions.config write over the end");
	saw(read(d, &v, 4), "regions.read() at position 0");
	saw_hex(v, "regions.read() at position 0 value");
	saw(lseek(d, 0, SEEK_CUR), "regions.lseek");

	/* decoding off: EIO, not an answer */
	n = (int)cfg_read(d, PCI_COMMAND, 2);
	cfg_write(d, PCI_COMMAND, 2, (uint32_t)n & ~PCI_COMMAND_MEMORY);
	saw(rd(d, 0, 4), "regions.read with memory off");
	saw(wr(d, 0, 4), "regions.write with memory off");
	saw(rd(d, 0x100000, 4), "regions.read at the end with memory off");
	cfg_write(d, PCI_COMMAND, 2, (uint32_t)n);
	saw(rd(d, 0, 4), "regions.read with memory on again");
	saw_hex(bar_read(d, 0, 0), "regions.edu identification again");

	/* mmap: what is refused */
	m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, d, 0);
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap private");
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, (off_t)cfg);
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap config");
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, (off_t)VFIO_REGION(1));
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap absent BAR");
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, (off_t)VFIO_REGION(9));
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap region 9");
	m = mmap(NULL, 8192, PROT_READ, MAP_SHARED, d, 0xff000);
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap over the end");
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, 0x100000);
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap behind");
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	saw(m == MAP_FAILED ? -1 : 0, "regions.mmap");
	close(d);
	close(s.group);
	close(s.container);

	/* the MSI-X table is not for the user */
	s = set_up(&nvme, NULL, VFIO_TYPE1v2_IOMMU);
	d = open_device(&s, &nvme);
	n = (int)cfg_cap(d, PCI_CAP_ID_MSIX);
	MUST(n);
	v = cfg_read(d, (unsigned int)n + PCI_MSIX_TABLE, 4);
	saw(pread(d, ff, 16, (off_t)(VFIO_REGION(v & 7) + (v & ~7u))),
	    "regions.read of the MSI-X table");
	saw_hex(ff[0] & ff[1] & ff[2] & ff[3], "regions.read of the MSI-X table value");
	saw(pread(d, ff, 8, (off_t)(VFIO_REGION(v & 7) + (v & ~7u) - 4)),
	    "regions.read into the MSI-X table");
	saw_hex(ff[1], "regions.read into the MSI-X table value");
	saw(wr(d, VFIO_REGION(v & 7) + (v & ~7u), 16), "regions.write of the MSI-X table");
	saw(wr(d, VFIO_REGION(v & 7) + (v & ~7u) + 4, 3), "regions.write 3 of the MSI-X table");
	v = bar_read(d, 0, 8); /* VS */
	saw_hex(v & 0xffff0000, "regions.nvme major version");
	saw(rd(d, 0, 64), "regions.read 64 of the nvme registers");
	saw(rd(d, 3, 2), "regions.read 2 at 3 of the nvme registers");
}
