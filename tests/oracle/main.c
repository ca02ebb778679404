/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/main.c: `oracle EDU-ADDRESS NVME-ADDRESS IGB-ADDRESS ROM-ADDRESS KEEP-ADDRESS
 * [SECTION]`. Each section runs in a process of its own, from nothing open, so that one that dies
 * leaves the others whole. The device with a ROM and the one that keeps its state in D3hot may be
 * one of the others. With `-` for an address the sections about it are left out. Also the few
 * helpers that the sections share.
 */
#include <sys/wait.h>

#include "oracle.h"

struct dut edu = { .name = "edu" }, nvme = { .name = "nvme" }, igb = { .name = "igb" },
	   rom = { .name = "rom" }, keep = { .name = "keep" };

struct setup set_up(const struct dut *a, const struct dut *b, unsigned int type)
{
	struct setup s = { .group2 = -1 };

	MUST((s.container = open("/dev/vfio/vfio", O_RDWR)) >= 0);
	MUST((s.group = open(a->group, O_RDWR)) >= 0);
	MUST(ioctl(s.group, VFIO_GROUP_SET_CONTAINER, &s.container) == 0);
	if (b) {
		MUST((s.group2 = open(b->group, O_RDWR)) >= 0);
		MUST(ioctl(s.group2, VFIO_GROUP_SET_CONTAINER, &s.container) == 0);
	}
	MUST(ioctl(s.container, VFIO_SET_IOMMU, type) == 0);
	return s;
}

int open_device(const struct setup *s, const struct dut *d)
{
	int fd = ioctl(s->group, VFIO_GROUP_GET_DEVICE_FD, d->addr);

	MUST(fd >= 0);
	return fd;
}

void *pages(size_t n)
{
	uint8_t *p =
		mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	for (size_t i = 0; i < n; i++)
		p[i * 4096] = 0;
	return p;
}

uint32_t cfg_read(int dev, unsigned int off, unsigned int size)
{
	uint32_t v = 0;

	MUST(pread(dev, &v, size, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off) ==
	     (ssize_t)size);
	return v;
}

long cfg_write(int dev, unsigned int off, unsigned int size, uint32_t value)
{
	return pwrite(dev, &value, size, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off);
}

unsigned int cfg_cap(int dev, uint8_t id)
{
	unsigned int pos = cfg_read(dev, PCI_CAPABILITY_LIST, 1);

	for (int ttl = 48; pos >= 0x40 && ttl--; pos = cfg_read(dev, pos + 1, 1) & ~3u)
		if (cfg_read(dev, pos, 1) == id)
			return pos;
	return 0;
}

unsigned int cfg_ext_cap(int dev, uint16_t id)
{
	struct vfio_region_info ri = { .argsz = sizeof(ri), .index = VFIO_PCI_CONFIG_REGION_INDEX };

	MUST(ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &ri) == 0);
	if (ri.size < 4096)
		return 0;
	for (unsigned int pos = 0x100, ttl = 480; pos >= 0x100 && ttl--;) {
		uint32_t h = cfg_read(dev, pos, 4);

		if ((h & 0xffff) == id)
			return pos;
		pos = h >> 20;
	}
	return 0;
}

uint32_t bar_read(int dev, unsigned int bar, unsigned int off)
{
	uint32_t v = 0;

	MUST(pread(dev, &v, 4, VFIO_REGION(bar) + off) == 4);
	return v;
}

void bar_write(int dev, unsigned int bar, unsigned int off, uint32_t value)
{
	MUST(pwrite(dev, &value, 4, VFIO_REGION(bar) + off) == 4);
}

long set_eventfd(int dev, uint32_t index, uint32_t start, int fd)
{
	return vfio_set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index,
			     start, 1, &fd);
}

static void find(struct dut *d, const char *addr)
{
	snprintf(d->addr, sizeof(d->addr), "%s", addr);
	if (vfio_group_path(addr, d->group, sizeof(d->group))) {
		fprintf(stderr, "oracle: the group of %s: %s\n", addr, strerror(errno));
		exit(2);
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
	const struct dut *dut; /* NULL: edu or nvme */
} sections[] = {
	{ .name = "container", .fn = test_container },
	{ .name = "group", .fn = test_group },
	{ .name = "handles", .fn = test_handles },
	{ .name = "type1", .fn = test_type1 },
	{ .name = "type1_v1", .fn = test_type1_v1 },
	{ .name = "type1_dirty", .fn = test_type1_dirty },
	{ .name = "limits", .fn = test_type1_limits },
	{ .name = "device", .fn = test_device },
	{ .name = "regions", .fn = test_regions },
	{ .name = "config", .fn = test_config },
	{ .name = "config_nvme", .fn = test_config_nvme },
	{ .name = "irq_args", .fn = test_irq_args },
	{ .name = "intx", .fn = test_intx },
	{ .name = "msi", .fn = test_msi },
	{ .name = "msix", .fn = test_msix },
	{ .name = "err_req", .fn = test_err_req },
	{ .name = "dma", .fn = test_dma },
	{ .name = "files", .fn = test_files },
	{ .name = "power", .fn = test_power, .dut = &igb },
	{ .name = "power_keep", .fn = test_power_keep, .dut = &keep },
	{ .name = "rom", .fn = test_rom, .dut = &rom },
	{ .name = "memory", .fn = test_memory },
};

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: oracle EDU-ADDRESS NVME-ADDRESS IGB-ADDRESS ROM-ADDRESS "
				"KEEP-ADDRESS [SECTION]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	find(&edu, argv[1]);
	find(&nvme, argv[2]);
	if (strcmp(argv[3], "-"))
		find(&igb, argv[3]);
	if (strcmp(argv[4], "-"))
		find(&rom, argv[4]);
	if (strcmp(argv[5], "-"))
		find(&keep, argv[5]);
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		int status = 0;
		pid_t pid;

		if ((argc > 6 && strcmp(argv[6], sections[i].name)) ||
		    (sections[i].dut && !sections[i].dut->addr[0]))
			continue;
		printf("== %s\n", sections[i].name);
		pid = fork();
		if (pid == 0) {
			alarm(60);
			sections[i].fn();
			exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 1;
		if (WIFSIGNALED(status))
			printf("section %s died of %s\n", sections[i].name,
			       sigabbrev_np(WTERMSIG(status)));
	}
	puts("== end");
	return 0;
}
