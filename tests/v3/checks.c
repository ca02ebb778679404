/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/checks.c: discovery, files, domains, config space, BARs and mappings (A to G), by a
 * client of 2010's interface, on testdev.
 */
#include <dirent.h>
#include <sys/syscall.h>

#include "checks.h"

#define UNKNOWN _IO(';', 0x99)
#define SYS	"/sys/bus/pci/devices/0000:01:00.0/"

static bool lists(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;

	while (d && (e = readdir(d)))
		found |= !strcmp(e->d_name, name);
	if (d)
		closedir(d);
	return found;
}

void a_discovery(void)
{
	/* repeat counts and owners, up to the byte where nobody's begin */
	static const struct {
		unsigned n, owner;
	} want[] = { { 0x40, 0 }, { 8, 1 },    { 0x18, 5 },    { 12, 0x11 },
		     { 8, 3 },	  { 0x10, 9 }, { 0x24, 0x10 }, { 0x58, 0xff } };
	char text[64], node[64];
	uint8_t owner[300];
	struct stat st;
	unsigned at = 0;
	int fd;

	is("A1", x(stat(DEV, &st)) || !S_ISCHR(st.st_mode), 0, DEV);
	is("A1", x(stat("/dev/uiommu", &st)) || !S_ISCHR(st.st_mode), 0, "/dev/uiommu");
	is("A1", x(stat("/dev/vfio/vfio", &st)), -ENOENT, "/dev/vfio/vfio");
	is("A1", x(stat("/dev/iommu", &st)), -ENOENT, "/dev/iommu");
	is("A2", lists("/sys/bus/pci/drivers/vfio/0000:01:00.0/vfio", "vfio0"), true, "listed");
	read_text("/sys/class/vfio/vfio0/dev", text, sizeof(text));
	stat(DEV, &st);
	snprintf(node, sizeof(node), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	is("A3", strcmp(text, node), 0, "dev: %s, st_rdev: %s", text, node);
	read_text("/sys/class/misc/uiommu/dev", text, sizeof(text));
	stat("/dev/uiommu", &st);
	snprintf(node, sizeof(node), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	is("A3", strcmp(text, node), 0, "uiommu's dev: %s, st_rdev: %s", text, node);
	is("A3", x(access("/sys/module/uiommu/version", F_OK)), 0, "its module");
	is("A4", x(stat("/dev/vfio1", &st)), 0, "the second device");
	is("A4", x(stat("/dev/vfio2", &st)), -ENOENT, "no third");
	is("A5", read_text("/sys/class/vfio/vfio0/locked_pages", text, sizeof(text)), 2, "length");
	is("A5", strcmp(text, "0\n"), 0, "text");
	fd = open(SYS "vfio/vfio0/config_map", O_RDONLY);
	is("A6", x(read(fd, owner, sizeof(owner))), 256, "bytes");
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		for (unsigned k = 0; k < want[i].n; k++, at++)
			is("A6", owner[at], want[i].owner, "byte 0x%x", at);
	is("A6", at, 256, "all of it");
	is("A7", x(pread(fd, owner, 1, 256)), 0, "its end");
	is("A7", x(pread(fd, owner, 300, 200)), 56, "cut at its end");
	close(fd);
	fd = open("/sys/bus/pci/drivers/vfio/new_id", O_WRONLY);
	is("A10", x(write(fd, "1234 7e57", 9)), 9, "new_id");
	close(fd);
}

void a_no_node(void)
{
	struct stat st;

	is("A8", x(stat(DEV, &st)), -ENOENT, "a device without DisINTx");
}

/* A device without a driver, which is bound as 2010's documentation says. */
void a_bind(void)
{
	int fd = open("/sys/bus/pci/drivers/vfio/new_id", O_WRONLY);
	struct stat st;

	is("A10", x(stat(DEV, &st)), -ENOENT, "before");
	is("A10", x(write(fd, "1234 7e57\n", 10)), 10, "new_id");
	close(fd);
	is("A10", x(stat(DEV, &st)), 0, "bound");
	fd = open("/sys/bus/pci/drivers/vfio/unbind", O_WRONLY);
	is("A10", x(write(fd, "0000:01:00.0", 12)), 12, "unbind");
	close(fd);
	is("A10", x(stat(DEV, &st)), -ENOENT, "not any more");
}

void a_no_pin(void)
{
	is("A9", dev_open() >= 0, true, "a device without a pin");
}

void b_open(void)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	uint32_t v = 0x12345678, len = 2;
	int fd = (int)dev_open(), fd2, ro, wo, d = (int)uiommu();
	char c;

	is("B1", x(open("/dev/vfio9", O_RDWR)), -ENOENT, "no such device");
	fd2 = (int)dev_open();
	is("B2", fd >= 0 && fd2 >= 0, true, "two opens");
	is("B2", cr(fd2, 0, 2), 0x1234, "the second works");
	ro = open(DEV, O_RDONLY);
	is("B3", wr(ro, CONFIG(4), &v, 2), -EBADF, "write by a reader");
	is("B3", io(ro, VFIO_BAR_LEN, &len), 0, "ioctl");
	wo = open(DEV, O_WRONLY);
	is("B4", rd(wo, CONFIG(0), &v, 2), -EBADF, "read by a writer");
	v = 0;
	is("B5", x(lseek(fd, CONFIG(0), SEEK_SET)), CONFIG(0), "lseek");
	is("B5", x(read(fd, &v, 2)), 2, "read");
	is("B5", v, 0x1234, "vendor");
	is("B5", x(read(fd, &v, 2)), 2, "read on");
	is("B5", v, 0x7e57, "device");
	is("B5", x(lseek(fd, -4, SEEK_CUR)), CONFIG(0), "back");
	is("B5", x(lseek(fd, -1, SEEK_SET)), -EINVAL, "before the start");
	is("B6", io(fd, UNKNOWN, NULL), -EINVAL, "unknown ioctl");
	is("B7", io(fd, 0x3b6c, NULL), 0, "DOMAIN_UNSET, which has GET_REGION_INFO's number");
	is("B8", io(d, UNKNOWN, NULL), -ENOTTY, "ioctl");
	is("B8", x(read(d, &c, 1)), -EINVAL, "read");
	is("B8", (long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, d, 0) == -1 ? -errno : 0, -ENODEV,
	   "mmap");
	close(fd2);
	close(ro);
	close(wo);
	p.fd = fd;
	is("B10", x(poll(&p, 1, 0)), 1, "poll");
	is("B10", p.revents, POLLIN | POLLOUT, "ready");
	is("B11", x(fsync(fd)), -EINVAL, "fsync");
	give_domain(fd);
	w32(fd, TD_SCRATCH32, 0xcafe);
	close(fd);
	fd = ready_dev();
	is("B9", r32(fd, TD_SCRATCH32), 0xcafe, "a register after close and open");
	close(fd);
	close(d);
}

/* A system call that does not come through libc. */
static long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

void b_raw(void)
{
	int fd = ready_dev();
	uint32_t v = 0, words[64];
	long p;

	is("B12", raw(SYS_pread64, fd, (long)&v, 4, CONFIG(0), 0, 0), 4, "pread64 of config");
	is("B12", v, 0x7e571234, "IDs");
	is("B12", raw(SYS_pread64, fd, (long)words, 256, CONFIG(0), 0, 0), 256, "of all of it");
	is("B12", words[0], 0x7e571234, "IDs");
	v = 77;
	is("B12", raw(SYS_pwrite64, fd, (long)&v, 4, BAR(2, TD_SCRATCH32), 0, 0), 4, "pwrite64");
	is("B12", r32(fd, TD_SCRATCH32), 77, "what it wrote");
	is("B12", raw(SYS_ioctl, fd, (long)VFIO_DOMAIN_SET, 8, 0, 0, 0), -EFAULT, "ioctl");
	p = raw(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, fd, BAR(2, 0));
	is("B12", p > 0, true, "mmap");
	if (p > 0)
		is("B12", *(volatile uint32_t *)p, TD_ID_VALUE, "what it maps");
	munmap((void *)p, PAGE);
	close(fd);
}

void c_domain(void)
{
	int fd = (int)dev_open(), other = (int)dev_open(), d = (int)uiommu(), e, irq;
	int null = open("/dev/null", O_RDWR), vec[2] = { 1 };
	void *p = pages(1);
	uint32_t v;

	is("C1", io(fd, VFIO_DOMAIN_SET, (void *)8), -EFAULT, "bad pointer");
	is("C2", io_int(fd, VFIO_DOMAIN_SET, 999), -EBADF, "not open");
	is("C3", io_int(fd, VFIO_DOMAIN_SET, null), -EINVAL, "/dev/null");
	is("C3", io_int(fd, VFIO_DOMAIN_SET, fd), -EINVAL, "itself");
	is("C4", io_int(fd, VFIO_DOMAIN_SET, d), 0, "a good one");
	is("C5", io_int(fd, VFIO_DOMAIN_SET, d), -EBUSY, "again");
	is("C5", io_int(other, VFIO_DOMAIN_SET, d), -EBUSY, "by the other opener");
	is("C5", io_int(other, VFIO_DOMAIN_SET, 999), -EBUSY, "EBUSY comes first");
	close(d);
	is("C6", rd(fd, BAR(2, 0), &v, 4), 4, "a BAR without the domain's descriptor");
	is("C6", dma(fd, true, p, 0x10000, PAGE, 1), 0, "MAP");
	is("C6", dma(fd, false, p, 0x10000, PAGE, 1), 0, "UNMAP");
	irq = eventfd(0, EFD_NONBLOCK);
	vec[1] = irq;
	cw(fd, 4, 2, cr(fd, 4, 2) | 4);
	is("C9", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "MSI-X");
	is("C8", dma(other, true, p, 0x10000, PAGE, 1), 0, "the other's mapping");
	is("C8", io(fd, VFIO_DOMAIN_UNSET, NULL), -EBUSY, "UNSET with it");
	is("C8", dma(other, false, p, 0x10000, PAGE, 1), 0, "its end");
	w32(fd, TD_TIMER_VECTOR, 0);
	w32(fd, TD_TIMER, 20000);
	is("C7", io(fd, VFIO_DOMAIN_UNSET, NULL), 0, "UNSET");
	is("C7", io(fd, VFIO_DOMAIN_UNSET, NULL), 0, "again");
	is("C9", rd(fd, BAR(2, 0), &v, 4), -EINVAL, "a BAR");
	is("C9", cr(fd, 0, 2), 0x1234, "config read");
	is("C9", cw(fd, 4, 2, 7), -EINVAL, "config write");
	is("C9", events(irq), 1, "a message");
	e = (int)uiommu();
	is("C10", io_int(fd, VFIO_DOMAIN_SET, e), 0, "SET with another");
	close(e);
	close(other);
	close(fd);
	close(irq);
}

void c_two(void)
{
	int a = (int)dev_open(), b = open("/dev/vfio1", O_RDWR), d = (int)uiommu(),
	    e = (int)uiommu();
	void *p = pages(1);

	is("C12", io_int(a, VFIO_DOMAIN_SET, d), 0, "the first");
	is("C12", io_int(b, VFIO_DOMAIN_SET, d), 0, "the second");
	is("C12", dma(a, true, p, 0x10000, PAGE, 1), 0, "MAP by the first");
	is("C12", dma(b, true, p, 0x10000, PAGE, 1), -EBUSY, "and by the second");
	is("C13", io(b, VFIO_DOMAIN_UNSET, NULL), 0, "UNSET");
	is("C13", io_int(b, VFIO_DOMAIN_SET, e), 0, "a domain of its own");
	is("C13", dma(b, true, p, 0x10000, PAGE, 1), 0, "where the IOVA is free");
	close(a);
	close(b);
	close(d);
	close(e);
}

static long new_domain(void)
{
	int fd = (int)dev_open(), d = (int)uiommu();
	long ret = io_int(fd, VFIO_DOMAIN_SET, d);

	close(fd);
	close(d);
	return ret;
}

void c_remap(void)
{
	is("C11", new_domain(), -EINVAL, "interrupts are not remapped");
}

void c_unsafe(void)
{
	is("C11", new_domain(), 0, "not remapped, and allowed");
}

void d_bar_len(void)
{
	static const uint32_t want[] = { 0x10000, 0, 0x10000, 0x40, 0x100, 0, 0x1000 };
	struct vfio_v3_bar_info info = { .bar = 0 };
	int fd = (int)dev_open();
	uint32_t v;

	for (unsigned i = 0; i < 7; i++) {
		v = i;
		is("D1", io(fd, VFIO_BAR_LEN, &v), 0, "BAR %u", i);
		is("D1", v, want[i], "length of BAR %u", i);
	}
	is("D2", io_int(fd, VFIO_BAR_LEN, 7), -EINVAL, "7");
	is("D2", io_int(fd, VFIO_BAR_LEN, -1), -EINVAL, "-1");
	is("D3", io(fd, VFIO_BAR_LEN, NULL), -EFAULT, "NULL");
	v = 2;
	is("D4", io(fd, VFIO_BAR_LEN, &v), 0, "before a domain");
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info), 0, "BAR_INFO");
	is("D6", info.flags, VFIO_V3_BAR_64 | VFIO_V3_BAR_PREFETCH | VFIO_V3_BAR_MAP, "BAR0");
	is("D6", (long)info.size, 0x10000, "BAR0's size");
	info.bar = 1;
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info) || info.flags != VFIO_V3_BAR_UPPER, 0, "BAR1");
	info.bar = 3;
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info) || info.flags != VFIO_V3_BAR_IO, 0, "BAR3");
	info.bar = 5;
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info) || info.flags || info.size, 0, "BAR5");
	info.bar = 6;
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info) || info.flags != VFIO_V3_BAR_MAP, 0, "the ROM");
	info.bar = 7;
	is("D6", io(fd, VFIO_V3_BAR_INFO, &info), -EINVAL, "7");
	close(fd);
}

void d_no_rom(void)
{
	int fd = ready_dev();
	uint32_t v = 6;

	is("D5", io(fd, VFIO_BAR_LEN, &v), 0, "BAR_LEN");
	is("D5", v, 0, "length");
	is("F8", rd(fd, BAR(6, 0), &v, 2), -EINVAL, "read of no ROM");
	close(fd);
}

/* Return byte @at of sysfs config. */
static uint32_t sys_config(unsigned at, unsigned n)
{
	int fd = open(SYS "config", O_RDONLY);
	uint32_t v = 0;

	if (pread(fd, &v, n, at) != (ssize_t)n)
		v = 0xbad;
	close(fd);
	return v;
}

static void e_bars(int fd)
{
	static const struct {
		unsigned reg;
		uint32_t want;
	} bars[] = { { 0x10, 0xffff000c }, { 0x14, 0xffffffff }, { 0x18, 0xffff0000 },
		     { 0x1c, 0xffffffc1 }, { 0x20, 0xffffff00 }, { 0x24, 0 },
		     { 0x30, 0xfffff001 } };
	uint32_t v;

	for (unsigned i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
		is("E6", cw(fd, bars[i].reg, 4, 0xffffffff), 4, "register 0x%x", bars[i].reg);
		is("E6", cr(fd, bars[i].reg, 4), bars[i].want, "register 0x%x", bars[i].reg);
	}
	is("E7", r32(fd, TD_ID), TD_ID_VALUE, "BAR2");
	cw(fd, 0x18, 4, 0x12340000);
	is("E8", cr(fd, 0x18, 4), 0x12340000, "BAR2's address");
	is("E8", cr(fd, 0x1a, 2), 0x1234, "its upper half");
	v = r32(fd, TD_ID);
	is("E8", v, TD_ID_VALUE, "and BAR2");
}

void e_config(void)
{
	unsigned char buf[5000], *edge = (unsigned char *)pages(2);
	char text[16];
	uint32_t v;
	int fd = (int)dev_open(), irq, vec[2] = { 1 };

	is("E1", cr(fd, 0, 4), 0x7e571234, "IDs");
	is("E2", cw(fd, 4, 2, 7), -EINVAL, "write");
	give_domain(fd);
	is("E3", cw(fd, 0, 4, 0), 4, "write of IDs");
	is("E3", cr(fd, 0, 4), 0x7e571234, "IDs");
	is("E4", cr(fd, 4, 2), 3, "COMMAND at first");
	cw(fd, 4, 2, 0);
	is("E4", cr(fd, 4, 2), 3, "after 0");
	cw(fd, 4, 2, 0x407);
	is("E4", cr(fd, 4, 2), 0x407, "after 0407");
	cw(fd, 4, 2, 7);
	v = cr(fd, 8, 4);
	cw(fd, 8, 4, ~v);
	is("E5", cr(fd, 8, 4), v, "class");
	v = cr(fd, 0x2c, 4);
	cw(fd, 0x2c, 4, ~v);
	is("E5", cr(fd, 0x2c, 4), v, "subsystem");
	e_bars(fd);
	read_text(SYS "irq", text, sizeof(text));
	is("E9", cr(fd, 0x3c, 1), atol(text) & 0xff, "line");
	v = sys_config(0x3c, 1);
	cw(fd, 0x3c, 1, 55);
	is("E9", cr(fd, 0x3c, 1), 55, "line after a write");
	is("E9", sys_config(0x3c, 1), v, "sysfs");
	cw(fd, 0x3d, 1, 2);
	is("E10", cr(fd, 0x3d, 1), 1, "pin");
	is("E11", cr(fd, 0x4a, 2), 0x18a, "MSI control");
	is("E11", cw(fd, 0x4a, 2, 0x18b), 2, "write");
	is("E11", cr(fd, 0x4a, 2), 0x18a, "after it");
	v = sys_config(0x4c, 4);
	cw(fd, 0x4c, 4, 0x12345678);
	is("E12", cr(fd, 0x4c, 4), 0x12345678, "MSI address");
	is("E12", sys_config(0x4c, 4), v, "sysfs");
	cw(fd, 0x58, 4, 5);
	is("E13", cr(fd, 0x58, 4), 5, "MSI mask bits");
	cw(fd, 0x58, 4, 0);
	cw(fd, 0x62, 2, 0xc03f);
	is("E14", cr(fd, 0x62, 2), 0x3f, "MSI-X control");
	v = cr(fd, 0x80, 4);
	cw(fd, 0x80, 4, ~v);
	is("E15", cr(fd, 0x80, 4), v, "vendor-specific bytes");
	cw(fd, 0xa8, 4, 0xffffffff);
	is("E16", cr(fd, 0xa8, 4), 0, "Express, what version 2 has");
	is("E17", cr(fd, 0x100, 4), 0, "extended space");
	memset(buf, 0xee, sizeof(buf));
	is("E18", rd(fd, CONFIG(0), buf, 4096), 4096, "all of it");
	for (unsigned i = 0x100; i < 0x1000; i++)
		is("E18", buf[i], 0, "byte 0x%x", i);
	is("E19", rd(fd, CONFIG(0x1000), buf, 4), 0, "the end");
	is("E19", rd(fd, CONFIG(0x1001), buf, 4), -EINVAL, "behind it");
	is("E19", rd(fd, CONFIG(0xffc), buf, 8), 4, "cut at the end");
	is("E20", rd(fd, CONFIG(0x10000), buf, 4), -EINVAL, "0x10000");
	/* the first tag of VPD: 0x82, a name of 16 bits of length */
	cw(fd, 0x6e, 2, 0);
	for (unsigned tries = 0; tries < 1000000 && !(cr(fd, 0x6e, 2) & 0x8000); tries++)
		;
	is("E21", cr(fd, 0x70, 4) & 0xff, 0x82, "VPD");
	v = cr(fd, 0x94, 2);
	cw(fd, 0x94, 1, (v & 0xff) ^ 0x40);
	is("E22", cr(fd, 0x94, 1), (v & 0xff) ^ 0x40, "link control");
	cw(fd, 0x95, 1, ~(v >> 8) & 0xff);
	is("E22", cr(fd, 0x95, 1), v >> 8, "its upper byte");
	irq = eventfd(0, EFD_NONBLOCK);
	vec[1] = irq;
	is("E23", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "MSI-X");
	v = r32(fd, TD_RESETS);
	cw(fd, 0x8c, 2, cr(fd, 0x8c, 2) | 0x8000);
	is("E23", r32(fd, TD_RESETS), v + 1, "resets");
	is("E23", r32(fd, TD_LAST_RESET), 1, "an FLR");
	is("E23", cr(fd, 0x8c, 2) & 0x8000, 0, "the bit");
	is("E23", cr(fd, 0x62, 2), 0x803f, "MSI-X control");
	w32(fd, TD_MSI, 0);
	is("E23", events(irq), 1, "a message");
	cw(fd, 0x44, 2, 3);
	is("E24", cr(fd, 0x44, 2) & 3, 3, "PMCSR");
	is("E24", rd(fd, BAR(2, 0), &v, 4), 4, "BAR2 in D3hot");
	is("E24", v, 0xffffffff, "which answers nothing");
	cw(fd, 0x44, 2, 0);
	is("E24", r32(fd, TD_ID), TD_ID_VALUE, "BAR2 in D0");
	is("E24", r32(fd, TD_POWER) >> 8, 2, "times that a D-state was entered");
	is("E26", rd(fd, CONFIG(0), (void *)8, 4), -EFAULT, "bad buffer");
	is("E26", wr(fd, CONFIG(4), (void *)8, 2), -EFAULT, "to write from");
	mprotect(edge + PAGE, PAGE, PROT_NONE);
	is("E26", rd(fd, CONFIG(0), edge + PAGE - 2, 4), -EFAULT, "which ends");
	close(fd);
}

/* Return where the capability @id is, by the chain; 0: nowhere. */
static unsigned find_cap(int fd, uint8_t id)
{
	unsigned pos = cr(fd, 0x34, 1);

	for (unsigned n = 0; pos && n < 48; n++, pos = cr(fd, pos + 1, 1))
		if (cr(fd, pos, 1) == id)
			return pos;
	return 0;
}

/* tests/v3/odd.c */
void e_odd(void)
{
	int fd = ready_dev();
	unsigned at = find_cap(fd, 0x30), vendor = find_cap(fd, 9);

	is("E25", !at || !vendor, false, "all capabilities are in the chain");
	is("E25", cr(fd, at + 2, 2), 0x2211, "two bytes of one that is unknown");
	is("E25", cr(fd, at + 4, 4), 0, "and no more");
	cw(fd, at + 2, 2, 0x5555);
	is("E25", cr(fd, at + 2, 2), 0x2211, "which cannot be written");
	is("E25", cr(fd, vendor + 2, 1), 9, "a vendor-specific one has its length");
	is("E25", cr(fd, vendor + 8, 1), 'f', "all of it");
	is("E25", cr(fd, vendor + 9, 1), 0, "and no more");
	close(fd);
}

/* A VF of igb. */
void e_vf(void)
{
	int fd = ready_dev(), vec[2] = { 1, eventfd(0, EFD_NONBLOCK) };
	uint32_t v = 0;

	is("E27", cr(fd, 0, 4), 0x10ca8086, "IDs");
	is("E27", cr(fd, 4, 2) & 3, 0, "COMMAND");
	cw(fd, 4, 2, 7);
	is("E27", cr(fd, 4, 2), 4, "which is the bus master's alone");
	is("E27", rd(fd, BAR(0, 0x8), &v, 4), 4, "and BAR0 is reached");
	is("E27", v != 0xffffffff, true, "STATUS");
	is("E27", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "MSI-X");
	is("E27", io(fd, VFIO_V3_RESET, NULL), 0, "RESET");
	is("E27", cr(fd, 4, 2), 0x404, "COMMAND after it");
	close(fd);
}

void e_conventional(void)
{
	unsigned char buf[4096];
	int fd = (int)dev_open();

	is("E18", rd(fd, CONFIG(0), buf, sizeof(buf)), 256, "conventional PCI");
	is("E19", rd(fd, CONFIG(256), buf, 1), 0, "its end");
	is("E19", rd(fd, CONFIG(257), buf, 1), -EINVAL, "behind it");
	close(fd);
}

void f_bars(void)
{
	unsigned char buf[8] = { 0 };
	uint64_t q = 0x1122334455667788, back = 0;
	uint32_t v = 0;
	int fd = (int)dev_open();
	void *p;

	is("F1", rd(fd, BAR(2, 0), &v, 4), -EINVAL, "before a domain");
	is("F1", rd(fd, BAR(2, 0), &v, 0), -EINVAL, "nothing");
	give_domain(fd);
	w32(fd, TD_SCRATCH32, 0xa5a55a5a);
	is("F2", r32(fd, TD_SCRATCH32), 0xa5a55a5a, "a register");
	is("F3", rd(fd, BAR(0, 0x10000), &v, 4), 0, "the end");
	is("F3", rd(fd, BAR(0, 0x10001), &v, 4), -EINVAL, "behind it");
	is("F3", rd(fd, BAR(0, 0xfffe), &v, 4), 2, "cut");
	is("F4", rd(fd, BAR(3, 0x3e), &v, 4), -EINVAL, "I/O is never short");
	w32(fd, TD_READS, 0);
	is("F4", rd(fd, BAR(3, 2), buf, 6), 6, "six bytes");
	is("F4", r32(fd, TD_READS), 2, "accesses");
	is("F4", r32(fd, TD_LAST_ACCESS), 0x304, "the last one: 4 bytes");
	is("F4", r32(fd, TD_LAST_OFFSET), 4, "at 4");
	is("F5", rd(fd, BAR(1, 0), &v, 4), -EINVAL, "BAR1");
	is("F5", rd(fd, BAR(5, 0), &v, 4), -EINVAL, "BAR5");
	for (unsigned i = 7; i < 15; i++) {
		is("F6", rd(fd, BAR(i, 0), &v, 4), -EINVAL, "space %u", i);
		is("F6", wr(fd, BAR(i, 0), &v, 4), -EINVAL, "space %u", i);
	}
	is("F7", rd(fd, BAR(6, 0), &v, 2), 2, "ROM");
	is("F7", v & 0xffff, 0xaa55, "its first word");
	is("F7", wr(fd, BAR(6, 0), buf, 2), 2, "a write");
	rd(fd, BAR(6, 0), &v, 2);
	is("F7", v & 0xffff, 0xaa55, "unchanged");
	is("F9", rd(fd, BAR(2, 0x800c), &v, 4), 4, "the MSI-X table");
	is("F9", v, 1, "a masked entry");
	v = 0xfee00000;
	is("F9", wr(fd, BAR(2, 0x8000), &v, 4), 4, "a write");
	is("F9", rd(fd, BAR(2, 0x8000), &v, 4) == 4 && v == 0xfee00000, 1, "which reads back");
	is("F11", wr(fd, BAR(2, TD_SCRATCH64), &q, 8), 8, "8 bytes");
	is("F11", rd(fd, BAR(2, TD_SCRATCH64), &back, 8) == 8 && back == q, 1, "in one access");
	is("F12", rd(fd, BAR(0, 0), (void *)8, 4), -EFAULT, "bad buffer");
	is("F12", wr(fd, BAR(0, 0), (void *)8, 4), -EFAULT, "to write from");
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((char *)p + PAGE, PAGE);
	is("F12", wr(fd, BAR(0, 0xfff0), (char *)p + PAGE - 16, PAGE), 16, "none behind the end");
	is("F12", wr(fd, CONFIG(0xff0), (char *)p + PAGE - 16, PAGE), 16, "nor of config space");
	lseek(fd, BAR(0, 0xfffe), SEEK_SET);
	is("F13", x(read(fd, buf, 8)), 2, "read");
	is("F13", x(lseek(fd, 0, SEEK_CUR)), BAR(0, 0x10000), "position");
	is("F13", x(read(fd, buf, 8)), 0, "the end");
	close(fd);
}

void f_unsafe(void)
{
	unsigned char buf[8] = { 0 };
	int fd = ready_dev();
	void *p;

	is("F10", wr(fd, BAR(2, 0x8000), buf, 4), -EINVAL, "the table");
	is("F10", wr(fd, BAR(2, 0x8fff), buf, 1), -EINVAL, "its page's end");
	is("F10", wr(fd, BAR(2, 0x7ffc), buf, 8), -EINVAL, "into it");
	is("F10", wr(fd, BAR(2, 0x7ff8), buf, 8), 8, "before it");
	is("F10", wr(fd, BAR(2, 0x9000), buf, 4), 4, "behind it");
	is("F10", rd(fd, BAR(2, 0x8000), buf, 4), 4, "reads are not refused");
	is("G9", map(fd, BAR(2, 0), 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED, &p), -EINVAL,
	   "all of it, to write");
	is("G9", map(fd, BAR(2, 0), 0x8000, PROT_READ | PROT_WRITE, MAP_SHARED, &p), 0,
	   "what is before the table");
	is("G9", map(fd, BAR(2, 0), 0x10000, PROT_READ, MAP_SHARED, &p), 0, "all, to read");
	is("G9", x(mprotect(p, 0x10000, PROT_READ | PROT_WRITE)), -EACCES, "and then to write");
	is("G9", x(mprotect(p, 0x8000, PROT_READ | PROT_WRITE)), 0, "what is before it");
	close(fd);
}

void g_mmap(void)
{
	int fd = (int)dev_open(), ro;
	volatile uint32_t *reg;
	const int rw = PROT_READ | PROT_WRITE;
	void *p, *q;

	is("G1", map(fd, BAR(2, 0), 0x10000, rw, MAP_SHARED, &p), -EINVAL, "before a domain");
	give_domain(fd);
	is("G2", map(fd, BAR(2, 0), 0x10000, rw, MAP_SHARED, &p), 0, "BAR2");
	reg = p;
	if (p == MAP_FAILED)
		return;
	is("G2", reg[0], TD_ID_VALUE, "a load");
	reg[TD_SCRATCH32 / 4] = 77;
	is("G2", r32(fd, TD_SCRATCH32), 77, "a store");
	is("G3", map(fd, BAR(2, 0), 0x10000, rw, MAP_PRIVATE, &q), -EINVAL, "private");
	is("G4", map(fd, BAR(2, 0), 0x11000, rw, MAP_SHARED, &q), -EINVAL, "too long");
	is("G5", map(fd, BAR(3, 0), PAGE, rw, MAP_SHARED, &q), -EINVAL, "I/O");
	is("G5", map(fd, BAR(4, 0), PAGE, rw, MAP_SHARED, &q), -EINVAL, "below a page");
	is("G5", map(fd, BAR(1, 0), PAGE, rw, MAP_SHARED, &q), -EINVAL, "an upper half");
	is("G5", map(fd, CONFIG(0), PAGE, rw, MAP_SHARED, &q), -EINVAL, "config space");
	is("G6", map(fd, BAR(6, 0), PAGE, rw, MAP_SHARED, &q), -EINVAL, "ROM, to write");
	is("G6", map(fd, BAR(6, 0), PAGE, PROT_READ, MAP_SHARED, &q), 0, "ROM");
	if (q != MAP_FAILED)
		is("G6", *(volatile uint16_t *)q, 0xaa55, "its first word");
	munmap(q, PAGE);
	is("G7", map(fd, BAR(0, 0x1000), PAGE, rw, MAP_SHARED, &q), 0, "the second page of BAR0");
	if (q != MAP_FAILED) {
		uint32_t v = 0;

		*(volatile uint32_t *)q = 0x7007;
		rd(fd, BAR(0, 0x1000), &v, 4);
		is("G7", v, 0x7007, "is what is mapped");
	}
	munmap(q, PAGE);
	is("G8", map(fd, BAR(2, 0x1000), 0x10000, rw, MAP_SHARED, &q), -EINVAL, "over the end");
	is("G10", map(fd, BAR(2, 0), 0x10000, rw, MAP_SHARED, &q), 0, "the table, to write");
	munmap(q, 0x10000);
	ro = open(DEV, O_RDONLY);
	is("G13", map(ro, BAR(2, 0), PAGE, rw, MAP_SHARED, &q), -EACCES, "by a reader");
	close(ro);
	is("G12", io(fd, VFIO_DOMAIN_UNSET, NULL), 0, "UNSET");
	is("G12", reg[0], TD_ID_VALUE, "a load after it");
	give_domain(fd);
	close(fd);
	is("G11", reg[0], TD_ID_VALUE, "a load after close");
	munmap(p, 0x10000);
}
