/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/iommufd/device.c: a device over its character device and over its group. */
#include "probe.h"

void each_device_ioctl(int d, const char *when)
{
	u32 b[64];
	static const struct {
		int nr;
		const char *n;
		u32 a[8];
	} t[] = { { DEVINFO, "GET_INFO", { 24 } },
		  { REGION, "GET_REGION_INFO 0", { 32, 0, 0 } },
		  { REGION, "GET_REGION_INFO 7", { 32, 0, 7 } },
		  { IRQINFO, "GET_IRQ_INFO 0", { 16, 0, 0 } },
		  { SETIRQS, "SET_IRQS 0x21 index 2 count 0", { 20, 0x21, 2, 0, 0 } },
		  { RESET, "RESET", { 0 } },
		  { HOTINFO, "GET_PCI_HOT_RESET_INFO argsz 12", { 12 } },
		  { HOTRESET, "PCI_HOT_RESET count 0", { 12 } },
		  { GFXPLANE, "QUERY_GFX_PLANE", { 64 } },
		  { GFXDMABUF, "GET_GFX_DMABUF", { 0 } },
		  { IOEVENT, "IOEVENTFD", { 32, 0 } },
		  { FEATURE, "FEATURE probe 0", { 8, 0x40000 } },
		  { FEATURE, "FEATURE probe 11 get", { 64, 0x5000b } },
		  { DETACH, "DETACH", { 8 } },
		  { ATTACH, "ATTACH 0", { 12, 0, 0 } },
		  { PRECOPY, "MIG_GET_PRECOPY_INFO", { 32 } },
		  { 122, "number 122", { 0 } },
		  { 99, "number 99", { 0 } },
		  { API, "GET_API_VERSION", { 0 } },
		  { CHECK, "CHECK_EXTENSION", { 0 } },
		  { SETIOMMU, "SET_IOMMU", { 0 } },
		  { STATUS, "GROUP_GET_STATUS", { 8 } },
		  { IOAS_ALLOC, "IOAS_ALLOC", { 12 } },
		  { MAP, "IOAS_MAP", { 40 } } };
	for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
		memset(b, 0, sizeof b);
		memcpy(b, t[i].a, sizeof t[i].a);
		S(f("%s: %s", when, t[i].n), io(d, t[i].nr, b));
	}
}

static void features(int d, const char *w)
{
	static const struct {
		u32 f;
		const char *n;
	} op[] = { { 0, "no op" },	     { 0x10000, "GET" },	  { 0x20000, "SET" },
		   { 0x30000, "GET|SET" },   { 0x40000, "PROBE" },	  { 0x50000, "PROBE|GET" },
		   { 0x60000, "PROBE|SET" }, { 0x70000, "PROBE|GET|SET" } };
	static const u32 sz[] = { 8, 12, 64 };
	for (u32 k = 0; k <= 20; k++)
		for (unsigned o = 0; o < 8; o++) {
			char a[64] = "";
			size_t n = 0;
			int last = 99999;
			for (int z = 0; z < 3; z++) {
				u32 b[64] = { sz[z], op[o].f | k };
				int r = io(d, FEATURE, b);
				if (r >= 0 && k == 11 && (op[o].f & 0x50000) == 0x10000)
					close(r), r = 0;
				n += (size_t)snprintf(a + n, sizeof a - n, "%s%s", z ? ", " : "",
						      r < 0 ? name_of(-r) : f("%d", r));
				(void)last;
			}
			printf("%s: %s: FEATURE %u %s (argsz 8, 12, 64): %s\n", section, w, k,
			       op[o].n, a);
		}
	u32 b[64] = { 7, 0x40000 };
	S(f("%s: FEATURE argsz 7", w), io(d, FEATURE, b));
	b[0] = 0;
	S(f("%s: FEATURE argsz 0", w), io(d, FEATURE, b));
	b[0] = 64;
	b[1] = 1u << 19;
	S(f("%s: FEATURE flag 1<<19", w), io(d, FEATURE, b));
	b[1] = 1u << 31;
	S(f("%s: FEATURE flag 1<<31", w), io(d, FEATURE, b));
	b[1] = 0x4ffff;
	S(f("%s: FEATURE 0xffff PROBE", w), io(d, FEATURE, b));
	S(f("%s: FEATURE NULL", w), io(d, FEATURE, NULL));
	b[0] = 12;
	b[1] = 0x20005;
	S(f("%s: FEATURE 5 SET, not in low power", w), io(d, FEATURE, b));
	b[0] = 8;
	b[1] = 0x20003;
	S(f("%s: low power: ENTRY", w), io(d, FEATURE, b));
	S(f("%s: low power: ENTRY again", w), io(d, FEATURE, b));
	b[1] = 0x20005;
	S(f("%s: low power: EXIT", w), io(d, FEATURE, b));
	S(f("%s: low power: EXIT again", w), io(d, FEATURE, b));
	int e = eventfd(0, EFD_NONBLOCK);
	b[0] = 16;
	b[1] = 0x20004;
	b[2] = (u32)e;
	S(f("%s: low power: ENTRY_WITH_WAKEUP", w), io(d, FEATURE, b));
	usleep(400000);
	{
		u32 q[8] = { 24 };
		S(f("%s: low power: GET_INFO", w), io(d, DEVINFO, q));
		u64 v = 0;
		ssize_t n = read(e, &v, 8);
		say(f("%s: low power: the eventfd", w), n < 0 ? -errno : n, "%llu",
		    (unsigned long long)v);
	}
	b[1] = 0x20005;
	S(f("%s: low power: EXIT", w), io(d, FEATURE, b));
	b[1] = 0x20004;
	b[2] = ~0u;
	S(f("%s: low power: ENTRY_WITH_WAKEUP fd -1", w), io(d, FEATURE, b));
	b[2] = 1000;
	S(f("%s: low power: ENTRY_WITH_WAKEUP fd not open", w), io(d, FEATURE, b));
	b[1] = 0x20005;
	S(f("%s: low power: EXIT", w), io(d, FEATURE, b));
	close(e);
}

void ask_features(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	features(s.d, "cdev");
	shut(s.d);
	shut(s.i);
}

void ask_gfeatures(void)
{
	int g = opn(grouppath, O_RDWR), c = opn("/dev/vfio/vfio", O_RDWR), d;
	if (g < 0 || c < 0) {
		S("open", g < 0 ? g : c);
		return;
	}
	S("SET_CONTAINER", io(g, SETCONT, &c));
	S("SET_IOMMU", ov(c, SETIOMMU, 3));
	d = io(g, GETDEV, bdf);
	S("GET_DEVICE_FD", d < 0 ? d : 0);
	if (d < 0)
		return;
	features(d, "group");
	each_device_ioctl(d, "group");
	shut(d);
	shut(g);
	shut(c);
}

/* a dma-buf of a BAR, and BARs as memory */
void ask_dmabuf(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	S("ATTACH", attach1(s.d, s.as));
	u8 cfg[2] = { 6, 0 };
	(void)!pwrite(s.d, cfg, 2, (7ll << 40) + 4);
	for (u32 k = 0; k < 7; k++) {
		u32 r8[10] = { 40, 0, k };
		int r = io(s.d, REGION, r8);
		u64 size;
		memcpy(&size, &r8[4], 8);
		if (r || !size || size < PG)
			continue;
		struct {
			u32 argsz, flags, index, oflags, flags2, nr;
			u64 off, len, off2, len2;
		} q = { sizeof q, 0x1000b, k, O_RDWR | O_CLOEXEC, 0, 1, 0, PG, 0, 0 };
		int b = io(s.d, FEATURE, &q);
		S(f("region %u: DMA_BUF of its first page", k), b < 0 ? b : 0);
		if (b >= 0) {
			char p[64], l[64] = "";
			snprintf(p, sizeof p, "/proc/self/fd/%d", b);
			(void)!readlink(p, l, 63);
			l[10] = 0;
			say(f("region %u: its link starts", k), 0, "%s", l);
			S(f("region %u: MAP_FILE of it", k),
			  mfile(s.i, s.as, FIXED | RW, b, 0, PG, 0x4000000 + k * 0x100000));
			S(f("region %u: MAP_FILE of it, r", k),
			  mfile(s.i, s.as, FIXED | RD, b, 0, PG, 0x4010000 + k * 0x100000));
			S(f("region %u: MAP_FILE, too long", k),
			  mfile(s.i, s.as, FIXED | RW, b, 0, 4 * PG, 0x4020000 + k * 0x100000));
			S(f("region %u: RESET with it mapped", k), io(s.d, RESET, NULL));
			S(f("region %u: UNMAP", k),
			  unmap1(s.i, s.as, 0x4000000 + k * 0x100000, PG));
			S(f("region %u: MAP_FILE after RESET", k),
			  mfile(s.i, s.as, FIXED | RW, b, 0, PG, 0x4030000 + k * 0x100000));
			(void)!pwrite(s.d, cfg, 2, (7ll << 40) + 4);
			shut(b);
		}
		q.flags2 = 1;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF flags 1", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.flags2 = 0;
		q.off = 1;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF offset 1", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.off = 0;
		q.len = 1;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF length 1", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.len = size * 2;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF twice the size", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.len = PG;
		q.oflags = 3;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF open flags 3", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.oflags = O_RDONLY;
		{
			int z = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF O_RDONLY", k), z < 0 ? z : 0);
			shut(z);
		}
		q.oflags = O_RDWR;
		q.nr = 0;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF no ranges", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		q.nr = 2;
		q.off2 = 0;
		q.len2 = PG;
		{
			int z = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF the same page twice", k), z < 0 ? z : 0);
			shut(z);
		}
		q.nr = 1;
		q.argsz = 40;
		{
			int z = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF argsz 40", k), z < 0 ? z : 0);
			shut(z);
		}
		q.argsz = 31;
		{
			int z_ = io(s.d, FEATURE, &q);
			S(f("region %u: DMA_BUF argsz 31", k), z_ < 0 ? z_ : 0);
			shut(z_);
		}
		void *m = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, s.d, (off_t)k << 40);
		S(f("region %u: mmap", k), m == MAP_FAILED ? -errno : 0);
		if (m != MAP_FAILED) {
			S(f("region %u: IOAS_MAP of the mmap, rw", k),
			  map(s.i, s.as, FIXED | RW, m, PG, 0x6000000 + k * 0x100000));
			S(f("region %u: IOAS_MAP of the mmap, r", k),
			  map(s.i, s.as, FIXED | RD, m, PG, 0x6010000 + k * 0x100000));
			S("DETACH", detach(s.d));
			S(f("region %u: IOAS_MAP of the mmap, not attached", k),
			  map(s.i, s.as, FIXED | RW, m, PG, 0x6020000 + k * 0x100000));
			S(f("region %u: ATTACH then", k), attach1(s.d, s.as));
			S(f("region %u: UNMAP", k),
			  unmap1(s.i, s.as, 0x6020000 + k * 0x100000, PG));
			attach1(s.d, s.as);
			munmap(m, PG);
		}
	}
	struct {
		u32 argsz, flags, index, oflags, flags2, nr;
		u64 off, len;
	} q = { sizeof q, 0x1000b, 7, O_RDWR, 0, 1, 0, PG };
	{
		int z_ = io(s.d, FEATURE, &q);
		S("DMA_BUF of config space", z_ < 0 ? z_ : 0);
		shut(z_);
	}
	q.index = 6;
	{
		int z_ = io(s.d, FEATURE, &q);
		S("DMA_BUF of the ROM", z_ < 0 ? z_ : 0);
		shut(z_);
	}
	q.index = 99;
	{
		int z_ = io(s.d, FEATURE, &q);
		S("DMA_BUF of region 99", z_ < 0 ? z_ : 0);
		shut(z_);
	}
	q.index = 5;
	{
		int z_ = io(s.d, FEATURE, &q);
		S("DMA_BUF of region 5", z_ < 0 ? z_ : 0);
		shut(z_);
	}
	q.nr = 1000000;
	{
		int z_ = io(s.d, FEATURE, &q);
		S("DMA_BUF a million ranges", z_ < 0 ? z_ : 0);
		shut(z_);
	}
	shut(s.d);
	shut(s.i);
}

void ask_device(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	u32 b[64];
	memset(b, 0, sizeof b);
	b[0] = 24;
	int r = io(s.d, DEVINFO, b);
	say("GET_INFO", r, "argsz %u flags %#x regions %u irqs %u cap_offset %u", b[0], b[1], b[2],
	    b[3], b[4]);
	for (u32 k = 0; k < 20; k += 4) {
		b[0] = k;
		S(f("GET_INFO argsz %u", k), io(s.d, DEVINFO, b));
	}
	memset(b, 0, sizeof b);
	b[0] = 256;
	r = io(s.d, DEVINFO, b);
	say("GET_INFO argsz 256", r, "argsz %u flags %#x cap_offset %u", b[0], b[1], b[4]);
	for (u32 k = 0; k < 11; k++) {
		memset(b, 0, sizeof b);
		b[0] = 32;
		b[2] = k;
		r = io(s.d, REGION, b);
		u64 sz, of;
		memcpy(&sz, &b[4], 8);
		memcpy(&of, &b[6], 8);
		if (r)
			S(f("GET_REGION_INFO %u", k), r);
		else
			say(f("GET_REGION_INFO %u", k), r,
			    "argsz %u flags %#x size %#llx offset %#llx cap_offset %u", b[0], b[1],
			    (unsigned long long)sz, (unsigned long long)of, b[3]);
	}
	for (u32 k = 0; k < 7; k++) {
		memset(b, 0, sizeof b);
		b[0] = 16;
		b[2] = k;
		r = io(s.d, IRQINFO, b);
		if (r)
			S(f("GET_IRQ_INFO %u", k), r);
		else
			say(f("GET_IRQ_INFO %u", k), r, "flags %#x count %u", b[1], b[3]);
	}
	each_device_ioctl(s.d, "bound");
	for (int at = 0; at < 2; at++) {
		const char *w = at ? "attached" : "bound";
		if (at)
			S("ATTACH", attach1(s.d, s.as));
		for (u32 k = 8; k <= 64; k += 4) {
			memset(b, 0, sizeof b);
			b[0] = k;
			r = io(s.d, HOTINFO, b);
			if (k == 12 || k == 64 || k == 8 || k == 20)
				say(f("%s: HOT_RESET_INFO argsz %u", w, k), r, "flags %#x count %u",
				    b[1], b[2]);
			if (k == 64 && !r)
				for (u32 q = 0; q < b[2] && q < 6; q++)
					printf("device: %s: HOT_RESET_INFO device %u: %s, bus %u "
					       "devfn %u\n",
					       w, q,
					       b[3 + 2 * q] == s.dev ? "our id"
					       : b[3 + 2 * q] == ~0u ? "-1"
					       : b[3 + 2 * q] == 0   ? "0"
								     : "other",
					       (b[4 + 2 * q] >> 16) & 0xff, b[4 + 2 * q] >> 24);
		}
		static const struct {
			const char *n;
			u32 a[4];
		} h[] = { { "argsz 8", { 8 } },
			  { "flags 1", { 12, 1 } },
			  { "count 1, fd 1000", { 16, 0, 1, 1000 } },
			  { "count 100", { 64, 0, 100 } },
			  { "count 0, argsz 64", { 64 } } };
		for (unsigned q = 0; q < 5; q++) {
			memset(b, 0, sizeof b);
			memcpy(b, h[q].a, 16);
			S(f("%s: PCI_HOT_RESET %s", w, h[q].n), io(s.d, HOTRESET, b));
		}
		{
			int j = iommu();
			memset(b, 0, sizeof b);
			b[0] = 16;
			b[2] = 1;
			b[3] = (u32)j;
			S(f("%s: PCI_HOT_RESET with an iommufd", w), io(s.d, HOTRESET, b));
			b[3] = (u32)s.i;
			S(f("%s: PCI_HOT_RESET with its iommufd", w), io(s.d, HOTRESET, b));
			shut(j);
		}
	}
	/* an interrupt set up before and after attach */
	int e = eventfd(0, EFD_NONBLOCK);
	struct {
		u32 a[5];
		int fd;
	} q = { { 24, 0x24, 4, 0, 1 }, e };
	S("SET_IRQS REQ eventfd", io(s.d, SETIRQS, &q));
	q.a[2] = 3;
	S("SET_IRQS ERR eventfd", io(s.d, SETIRQS, &q));
	q.a[2] = 1;
	S("SET_IRQS MSI eventfd", io(s.d, SETIRQS, &q));
	q.a[2] = 2;
	S("SET_IRQS MSI-X eventfd", io(s.d, SETIRQS, &q));
	S("DETACH", detach(s.d));
	q.a[2] = 1;
	q.a[0] = 20;
	q.a[1] = 0x21;
	S("detached: SET_IRQS MSI trigger", io(s.d, SETIRQS, &q));
	q.a[4] = 0;
	S("detached: SET_IRQS MSI disable", io(s.d, SETIRQS, &q));
	u8 c[4];
	ssize_t n = pread(s.d, c, 4, 7ll << 40);
	S("detached: pread config", n < 0 ? -errno : n);
	n = pread(s.d, c, 4, 0);
	S("detached: pread BAR 0", n < 0 ? -errno : n);
	n = pread(s.d, c, 2, (7ll << 40) + 4);
	say("COMMAND bits io, memory, master", n < 0 ? -errno : n, "%#x", n == 2 ? c[0] & 7 : 0);
	struct pollfd pf = { s.d, POLLIN | POLLOUT, 0 };
	r = poll(&pf, 1, 0);
	say("poll", r, "revents %#x", pf.revents);
	n = lseek(s.d, 0, SEEK_CUR);
	S("lseek", n < 0 ? -errno : n);
	n = read(s.d, c, 4);
	S("read at position 0", n < 0 ? -errno : n);
	char p[64], l[80] = "";
	snprintf(p, sizeof p, "/proc/self/fd/%d", s.d);
	(void)!readlink(p, l, 79);
	S("its link is the cdev's path", !strcmp(l, cdevpath));
	shut(s.d);
	shut(s.i);
}
