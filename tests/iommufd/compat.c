/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/compat.c: an iommufd in the place of a container, and a container asked the same.
 */
#include "probe.h"

static int vioas(int i, u16 op, u32 *id)
{
	struct vioas v = { sizeof v, *id, op, 0 };
	int r = io(i, VFIO_IOAS, &v);
	*id = v.id;
	return r;
}

void ask_vfioioas(void)
{
	int i = iommu();
	u32 a, b, x;
	if (i < 0) {
		S("open", i);
		return;
	}
	ioas(i, &a);
	ioas(i, &b);
	x = 0;
	S("GET, none", vioas(i, 0, &x));
	x = 999;
	S("SET 999", vioas(i, 1, &x));
	x = 0;
	S("SET 0", vioas(i, 1, &x));
	x = 0;
	S("CLEAR, none", vioas(i, 2, &x));
	S("op 3", vioas(i, 3, &x));
	S("op 0xffff", vioas(i, 0xffff, &x));
	{
		struct vioas v = { sizeof v, 0, 0, 1 };
		S("reserved 1", io(i, VFIO_IOAS, &v));
	}
	x = a;
	S("SET", vioas(i, 1, &x));
	x = 0;
	{
		int r = vioas(i, 0, &x);
		say("GET", r, "%s", x == a ? "that" : "other");
	}
	S("DESTROY the one set", destroy(i, a));
	x = 0;
	S("GET after destroy", vioas(i, 0, &x));
	x = b;
	S("SET other", vioas(i, 1, &x));
	S("SET it again", vioas(i, 1, &x));
	x = 0;
	S("CLEAR", vioas(i, 2, &x));
	S("GET after CLEAR", vioas(i, 0, &x));
	S("NULL", io(i, VFIO_IOAS, NULL));
	x = b;
	vioas(i, 1, &x);
	{
		struct vioas v = { sizeof v, 0, 0, 0 };
		void *p = ro(&v, sizeof v);
		S("GET, struct not writable", io(i, VFIO_IOAS, p));
	}
	S("set: compat SET_IOMMU 3, no group", ov(i, SETIOMMU, 3));
	struct dmap m = { sizeof m, 3, (u64)(uintptr_t)mem, 0x100000, 2 * PG };
	S("set: compat MAP_DMA, no group", io(i, C_MAP, &m));
	{
		u64 n;
		int r = unmap(i, b, 0x100000, 2 * PG, &n);
		say("set: IOAS_UNMAP of it", r, "bytes %llu", (unsigned long long)n);
	}
	S("set: CHECK_EXTENSION DMA_CC", ov(i, CHECK, 4));
	shut(i);
}

static void compat_ext(int i, const char *w)
{
	for (int k = 0; k < 13; k++)
		S(f("%s: CHECK_EXTENSION %d", w, k), ov(i, CHECK, k));
	S(f("%s: CHECK_EXTENSION 1<<31", w), ov(i, CHECK, 1ul << 31));
}

static void compat_info(int i, const char *w)
{
	u8 b[512];
	static const u32 sz[] = { 0, 8, 15, 16, 20, 24, 32, 40, 64, 96, 512 };
	for (unsigned k = 0; k < sizeof sz / sizeof *sz; k++) {
		memset(b, 0, sizeof b);
		memcpy(b, &sz[k], 4);
		int r = io(i, C_INFO, b);
		u32 h[8];
		u64 pg;
		memcpy(h, b, 24);
		memcpy(&pg, b + 8, 8);
		if (r)
			S(f("%s: GET_INFO argsz %u", w, sz[k]), r);
		else
			say(f("%s: GET_INFO argsz %u", w, sz[k]), r,
			    "argsz %u flags %#x pgsizes %#llx cap_offset %u", h[0], h[1],
			    (unsigned long long)pg, sz[k] < 20 ? 0 : h[4]);
		if (!r && sz[k] == 512)
			for (u32 o = h[4]; o && o < 500;) {
				u16 id, ver;
				u32 nx;
				memcpy(&id, b + o, 2);
				memcpy(&ver, b + o + 2, 2);
				memcpy(&nx, b + o + 4, 4);
				printf("%s: %s: capability at %u: id %u version %u next %u",
				       section, w, o, id, ver, nx);
				if (id == 1) {
					u32 n;
					memcpy(&n, b + o + 8, 4);
					for (u32 q = 0; q < n && q < 8; q++) {
						u64 p[2];
						memcpy(p, b + o + 16 + 16 * q, 16);
						printf(" [%#llx,%#llx]", (unsigned long long)p[0],
						       (unsigned long long)p[1]);
					}
				} else if (id == 3) {
					u32 n;
					memcpy(&n, b + o + 8, 4);
					printf(" avail %#x", n);
				}
				putchar('\n');
				o = nx;
			}
	}
}

void ask_compat(void)
{
	int i = iommu(), g, d, x;
	if (i < 0) {
		S("open", i);
		return;
	}
	u32 as = 0, id;
	S("alone: GET_API_VERSION", ov(i, API, 0));
	compat_ext(i, "alone");
	for (int k = 0; k < 5; k++)
		S(f("alone: SET_IOMMU %d", k), ov(i, SETIOMMU, k));
	S("alone: GET_INFO", io(i, C_INFO, (u32[8]){ 32 }));
	struct dmap m = { sizeof m, 3, (u64)(uintptr_t)mem, 0x100000, 4 * PG };
	S("alone: MAP_DMA", io(i, C_MAP, &m));
	struct dunmap u = { sizeof u, 0, 0x100000, 4 * PG };
	S("alone: UNMAP_DMA", io(i, C_UNMAP, &u));
	S("alone: DIRTY_PAGES", io(i, C_DIRTY, (u32[16]){ 8, 1 }));
	S("alone: IOMMU_ENABLE", ov(i, C_ENABLE, 0));
	for (int k = 98; k < 128; k++)
		if (k < 100 || k > 117)
			S(f("alone: number %d", k), ov(i, k, 0));
	for (int k = 0; k < 4; k++)
		S(f("alone: ioctl type 'x' number %d", 0x80 + k),
		  (int)(ioctl(i, _IO('x', 0x80 + k), 0) < 0 ? -errno : 0));
	g = opn(grouppath, O_RDWR);
	S("open group", g < 0 ? g : 0);
	if (g < 0)
		return;
	u32 st[2] = { 8, 0 };
	{
		int r = io(g, STATUS, st);
		say("GROUP_GET_STATUS", r, "flags %u", st[1]);
	}
	S("SET_CONTAINER NULL", io(g, SETCONT, NULL));
	x = -1;
	S("SET_CONTAINER -1", io(g, SETCONT, &x));
	x = 1000;
	S("SET_CONTAINER not open", io(g, SETCONT, &x));
	x = open("/dev/null", O_RDWR);
	S("SET_CONTAINER /dev/null", io(g, SETCONT, &x));
	close(x);
	S("GET_DEVICE_FD, no container", io(g, GETDEV, bdf));
	S("SET_CONTAINER iommufd", io(g, SETCONT, &i));
	{
		int r = io(g, STATUS, st);
		say("GROUP_GET_STATUS", r, "flags %u", st[1]);
	}
	S("SET_CONTAINER twice", io(g, SETCONT, &i));
	x = iommu();
	S("SET_CONTAINER another iommufd", io(g, SETCONT, &x));
	shut(x);
	x = 0;
	{
		int r = vioas(i, 0, &as);
		say("VFIO_IOAS_GET", r, "%s", as ? "an id" : "0");
	}
	S("DESTROY the compat IOAS", destroy(i, as));
	x = 0;
	S("VFIO_IOAS_GET then", vioas(i, 0, &id));
	S("UNSET_CONTAINER", ov(g, UNSETCONT, 0));
	S("UNSET_CONTAINER twice", ov(g, UNSETCONT, 0));
	S("SET_CONTAINER again", io(g, SETCONT, &i));
	S("VFIO_IOAS_GET", vioas(i, 0, &as));
	compat_ext(i, "group");
	S("GET_DEVICE_FD before SET_IOMMU", (d = io(g, GETDEV, bdf)) < 0 ? d : 0);
	shut(d);
	for (int k = 0; k < 10; k++)
		if (k != 1)
			S(f("SET_IOMMU %d", k), ov(i, SETIOMMU, k));
	S("SET_IOMMU 3 again", ov(i, SETIOMMU, 3));
	compat_info(i, "no device");
	S("no device: MAP_DMA", io(i, C_MAP, &m));
	{
		struct dmap z_ = { sizeof z_, 0, (u64)(uintptr_t)mem, 0xa00000, PG };
		S("no device: MAP_DMA flags 0", io(i, C_MAP, &z_));
		struct dunmap y_ = { sizeof y_, 0, 0xa00000, PG };
		S("no device: UNMAP_DMA of it", io(i, C_UNMAP, &y_));
	}
	S("no device: MAP_DMA of no memory",
	  io(i, C_MAP, &(struct dmap){ sizeof m, 3, 0x20000, 0x900000, PG }));
	S("no device: UNMAP_DMA of it",
	  io(i, C_UNMAP, &(struct dunmap){ sizeof u, 0, 0x900000, PG }));
	S("GET_DEVICE_FD", (d = io(g, GETDEV, bdf)) < 0 ? d : 0);
	S("GET_DEVICE_FD, no such name", io(g, GETDEV, "0000:99:00.0"));
	S("GET_DEVICE_FD, name and rubbish", io(g, GETDEV, f("%s x=1", bdf)));
	S("GET_DEVICE_FD, name and token",
	  (x = io(g, GETDEV, f("%s vf_token=01234567-89ab-cdef-0123-456789abcdef", bdf))) < 0 ? x
											      : 0);
	if (x >= 0)
		shut(x);
	S("GET_DEVICE_FD, second", (x = io(g, GETDEV, bdf)) < 0 ? x : 0);
	if (x >= 0) {
		S("second fd: GET_INFO", io(x, DEVINFO, (u32[6]){ 24 }));
		shut(x);
	}
	compat_info(i, "device");
	S("device: CHECK_EXTENSION 4", ov(i, CHECK, 4));
	S("device: BIND on its fd", bindto(d, i, NULL));
	S("device: ATTACH on its fd", attach1(d, as));
	S("device: DETACH on its fd", detach(d));
	S("device: cdev open", (x = cdev()) < 0 ? x : 0);
	S("device: cdev bind", bindto(x, i, NULL));
	shut(x);
	S("DESTROY compat IOAS, device open", destroy(i, as));
	S("UNSET_CONTAINER, device open", ov(g, UNSETCONT, 0));
	S("device: RESET", io(d, RESET, NULL));
	S("device: HOT_RESET_INFO argsz 12", io(d, HOTINFO, (u32[3]){ 12 }));
#define CM(q, ...)                                           \
	do {                                                 \
		struct dmap m_ = { sizeof m_, __VA_ARGS__ }; \
		S(f("MAP_DMA %s", q), io(i, C_MAP, &m_));    \
	} while (0)
	u64 va = (u64)(uintptr_t)mem;
	CM("rw", 3, va, 0x200000, PG);
	CM("overlap", 3, va, 0x200000, PG);
	CM("r", 1, va, 0x210000, PG);
	CM("w", 2, va, 0x211000, PG);
	CM("flags 0", 0, va, 0x212000, PG);
	CM("VADDR", 4, va, 0x200000, PG);
	CM("flag 8", 11, va, 0x213000, PG);
	CM("size 0", 3, va, 0x214000, 0);
	CM("size 1", 3, va, 0x214000, 1);
	CM("iova + 1", 3, va, 0x214001, PG);
	CM("va + 1", 3, va + 1, 0x216000, PG);
	CM("va + 1, iova + 1", 3, va + 1, 0x218001, PG);
	CM("no memory", 3, 0x20000, 0x220000, PG);
	CM("MSI window", 3, va, 0xfee00000, PG);
	CM("1<<60", 3, va, 1ull << 60, PG);
	CM("iova wraps", 3, va, 0xfffffffffffff000ull, 2 * PG);
	CM("va wraps", 3, 0xfffffffffffff000ull, 0x230000, 2 * PG);
	CM("iova 2^64-1", 3, va, ALL, PG);
	CM("size 2^64-1", 3, va, 0x230000, ALL);
	{
		struct dmap m_ = { 31, 3, va, 0x240000, PG };
		S("MAP_DMA argsz 31", io(i, C_MAP, &m_));
		m_.argsz = 64;
		S("MAP_DMA argsz 64", io(i, C_MAP, &m_));
		S("MAP_DMA NULL", io(i, C_MAP, NULL));
	}
#define CU(q, ...)                                                          \
	do {                                                                \
		struct dunmap u_ = { sizeof u_, __VA_ARGS__ };              \
		u64 was = u_.size;                                          \
		int r_ = io(i, C_UNMAP, &u_);                               \
		say(f("UNMAP_DMA %s", q), r_, "size %s",                    \
		    u_.size == was ? "as given"                             \
		    : u_.size	   ? f("%llu", (unsigned long long)u_.size) \
				   : "0");                                       \
	} while (0)
	CU("first page of four", 0, 0x100000, PG);
	CU("last page of four", 0, 0x103000, PG);
	CU("nothing there", 0, 0x900000, PG);
	CU("size 0", 0, 0x100000, 0);
	CU("wrap", 0, 0xfffffffffffff000ull, 2 * PG);
	CU("iova + 1", 0, 0x100001, PG);
	CU("exactly", 0, 0x200000, PG);
	CU("superset", 0, 0x208000, 16 * PG);
	CU("VADDR", 4, 0x100000, 4 * PG);
	CU("dirty bitmap", 1, 0x100000, 4 * PG);
	CU("flag 8", 8, 0x100000, 4 * PG);
	CU("ALL, iova 1", 2, 1, 0);
	CU("ALL, size 1", 2, 0, PG);
	CU("ALL", 2, 0, 0);
	CU("ALL again", 2, 0, 0);
	S("MAP_DMA again", io(i, C_MAP, &m));
	CU("size 2^64-1", 0, 0, ALL);
	CU("ALL|VADDR", 6, 0, 0);
	{
		struct dunmap u_ = { 23, 0, 0, PG };
		S("UNMAP_DMA argsz 23", io(i, C_UNMAP, &u_));
		S("UNMAP_DMA NULL", io(i, C_UNMAP, NULL));
	}
	S("IOAS_MAP in the compat IOAS", map(i, as, FIXED | RW, mem, 4 * PG, 0x500000));
	CU("of an IOAS_MAP", 0, 0x500000, 4 * PG);
	S("MAP_DMA", io(i, C_MAP, &m));
	S("IOAS_UNMAP of it", unmap1(i, as, 0x100000, 4 * PG));
	S("DIRTY_PAGES start", io(i, C_DIRTY, (u32[16]){ 8, 1 }));
	S("VFIO_IOAS CLEAR, device open", (id = 0, vioas(i, 2, &id)));
	S("MAP_DMA after CLEAR", io(i, C_MAP, &m));
	S("CHECK_EXTENSION 3 after CLEAR", ov(i, CHECK, 3));
	S("SET_IOMMU after CLEAR", ov(i, SETIOMMU, 3));
	S("DESTROY compat IOAS after CLEAR", destroy(i, as));
	/* v1 */
	shut(d);
	S("UNSET_CONTAINER, device closed", ov(g, UNSETCONT, 0));
	S("v1: SET_CONTAINER", io(g, SETCONT, &i));
	S("v1: SET_IOMMU 1", ov(i, SETIOMMU, 1));
	S("v1: VFIO_IOAS_GET", vioas(i, 0, &as));
	{
		u64 v = 9;
		int r = opt(i, 1, 1, as, &v);
		say("v1: HUGE_PAGES", r, "%llu", (unsigned long long)v);
	}
	S("v1: GET_DEVICE_FD", (d = io(g, GETDEV, bdf)) < 0 ? d : 0);
	S("v1: MAP_DMA", io(i, C_MAP, &m));
	CU("v1: middle page of four", 0, 0x101000, PG);
	CU("v1: same again", 0, 0x101000, PG);
	CU("v1: what is left", 0, 0x100000, 4 * PG);
	S("v1: MAP_DMA", io(i, C_MAP, &m));
	CU("v1: from before into it", 0, 0xff000, 2 * PG);
	S("v1: IOAS_UNMAP of a part", unmap1(i, as, 0x102000, PG));
	S("v1: SET_IOMMU 3 after", ov(i, SETIOMMU, 3));
	CU("v1: rest", 0, 0, 1 << 30);
	/* closing */
	shut(g);
	S("group closed, device open: open group", (x = opn(grouppath, O_RDWR)) < 0 ? x : 0);
	shut(x);
	S("group closed: device GET_INFO", io(d, DEVINFO, (u32[6]){ 24 }));
	shut(i);
	S("iommufd closed: device RESET", io(d, RESET, NULL));
	shut(d);
	S("all closed: open group", (g = opn(grouppath, O_RDWR)) < 0 ? g : 0);
	i = iommu();
	S("SET_CONTAINER a fresh iommufd", io(g, SETCONT, &i));
	S("close group, iommufd alone: VFIO_IOAS_GET", (shut(g), vioas(i, 0, &as)));
	S("DESTROY that IOAS", destroy(i, as));
	shut(i);
}

/* the container of type 1, for comparison, and what of iommufd it and the group take */
void ask_type1(void)
{
	int i = opn("/dev/vfio/vfio", O_RDWR), g = opn(grouppath, O_RDWR), d, x;
	u32 b[64];
	if (i < 0 || g < 0) {
		S("open", i < 0 ? i : g);
		return;
	}
	S("container: GET_API_VERSION", ov(i, API, 0));
	compat_ext(i, "container");
	for (int k = 0x80; k < 0x98; k++) {
		memset(b, 0, sizeof b);
		b[0] = 48;
		S(f("container, not set: number %#x", k), io(i, k, b));
	}
	for (int k = 0; k < 5; k++)
		S(f("container: SET_IOMMU %d", k), ov(i, SETIOMMU, k));
	static const int no[] = { API,	   CHECK,   DEVINFO, IRQINFO, RESET,   HOTINFO,
				  FEATURE, BIND,    ATTACH,  DETACH,  PRECOPY, IOAS_ALLOC,
				  MAP,	   DESTROY, 99,	     122 };
	for (unsigned k = 0; k < sizeof no / sizeof *no; k++) {
		memset(b, 0, sizeof b);
		b[0] = 64;
		S(f("group: number %d", no[k]), io(g, no[k], b));
	}
	S("group: BIND NULL", io(g, BIND, NULL));
	x = eventfd(0, 0);
	S("SET_CONTAINER an eventfd", io(g, SETCONT, &x));
	close(x);
	S("SET_CONTAINER the group", io(g, SETCONT, &g));
	x = open("/dev/null", O_RDWR);
	S("SET_CONTAINER /dev/null", io(g, SETCONT, &x));
	close(x);
	x = -1;
	S("SET_CONTAINER -1", io(g, SETCONT, &x));
	S("SET_CONTAINER", io(g, SETCONT, &i));
	S("GET_DEVICE_FD before SET_IOMMU", (d = io(g, GETDEV, bdf)) < 0 ? d : 0);
	if (d >= 0)
		shut(d);
	S("SET_IOMMU 2", ov(i, SETIOMMU, 2));
	S("SET_IOMMU 3", ov(i, SETIOMMU, 3));
	S("SET_IOMMU 3 again", ov(i, SETIOMMU, 3));
	for (int k = 0x80; k < 0x98; k++) {
		memset(b, 0, sizeof b);
		b[0] = 48;
		S(f("container, set: number %#x", k), io(i, k, b));
	}
	compat_ext(i, "container, set");
	S("GET_DEVICE_FD", (d = io(g, GETDEV, bdf)) < 0 ? d : 0);
	if (d < 0)
		return;
	S("device: BIND", bindto(d, 1000, NULL));
	S("device: BIND argsz 8", io(d, BIND, (u32[6]){ 8 }));
	S("device: BIND NULL", io(d, BIND, NULL));
	S("device: BIND fd -1", bindto(d, -1, NULL));
	{
		u8 z[64] = { 32 };
		z[31] = 1;
		S("device: BIND argsz 32, last byte 1", io(d, BIND, z));
	}
	S("device: BIND flag 2", io(d, BIND, (u32[6]){ 24, 2, 1000 }));
	{
		int j = iommu();
		S("device: BIND an iommufd", bindto(d, j < 0 ? 0 : j, NULL));
		int c = cdev();
		S("cdev: bind while the group is open", bindto(c, j, NULL));
		shut(c);
		shut(j);
	}
	S("device: ATTACH", attach1(d, 1));
	S("device: DETACH", detach(d));
	S("device: SET_CONTAINER the device", io(g, SETCONT, &d));
	S("UNSET_CONTAINER, device open", ov(g, UNSETCONT, 0));
	struct dmap m = { sizeof m, 3, (u64)(uintptr_t)mem, 0x100000, 4 * PG };
	S("MAP_DMA four pages", io(i, C_MAP, &m));
	u64 va = (u64)(uintptr_t)mem;
	CM("rw", 3, va, 0x200000, PG);
	CM("overlap", 3, va, 0x200000, PG);
	CM("r", 1, va, 0x210000, PG);
	CM("w", 2, va, 0x211000, PG);
	CM("flags 0", 0, va, 0x212000, PG);
	CM("VADDR", 4, va, 0x200000, PG);
	CM("flag 8", 11, va, 0x213000, PG);
	CM("size 0", 3, va, 0x214000, 0);
	CM("size 1", 3, va, 0x214000, 1);
	CM("iova + 1", 3, va, 0x214001, PG);
	CM("va + 1", 3, va + 1, 0x216000, PG);
	CM("va + 1, iova + 1", 3, va + 1, 0x218001, PG);
	CM("no memory", 3, 0x20000, 0x220000, PG);
	CM("MSI window", 3, va, 0xfee00000, PG);
	CM("1<<60", 3, va, 1ull << 60, PG);
	CM("iova wraps", 3, va, 0xfffffffffffff000ull, 2 * PG);
	CM("va wraps", 3, 0xfffffffffffff000ull, 0x230000, 2 * PG);
	CM("iova 2^64-1", 3, va, ALL, PG);
	CM("size 2^64-1", 3, va, 0x230000, ALL);
	CU("first page of four", 0, 0x100000, PG);
	CU("last page of four", 0, 0x103000, PG);
	CU("nothing there", 0, 0x900000, PG);
	CU("size 0", 0, 0x100000, 0);
	CU("wrap", 0, 0xfffffffffffff000ull, 2 * PG);
	CU("size 2^64-1", 0, 0, ALL);
	CU("iova + 1", 0, 0x100001, PG);
	CU("exactly", 0, 0x200000, PG);
	CU("superset", 0, 0x208000, 16 * PG);
	CU("dirty bitmap", 1, 0x100000, 4 * PG);
	CU("flag 8", 8, 0x100000, 4 * PG);
	CU("ALL, iova 1", 2, 1, 0);
	CU("ALL, size 1", 2, 0, PG);
	CU("ALL|VADDR", 6, 0, 0);
	CU("ALL", 2, 0, 0);
	CU("ALL again", 2, 0, 0);
	memset(b, 0, sizeof b);
	b[0] = 64;
	int r = io(d, HOTINFO, b);
	say("HOT_RESET_INFO argsz 64", r, r ? NULL : "flags %#x count %u", b[1], b[2]);
	b[0] = 12;
	S("HOT_RESET_INFO argsz 12", io(d, HOTINFO, b));
	b[0] = 12;
	b[1] = b[2] = 0;
	S("PCI_HOT_RESET count 0", io(d, HOTRESET, b));
	b[0] = 16;
	b[2] = 1;
	b[3] = (u32)g;
	S("PCI_HOT_RESET its group", io(d, HOTRESET, b));
	b[3] = (u32)i;
	S("PCI_HOT_RESET a container", io(d, HOTRESET, b));
	char p[128], l[80];
	snprintf(p, sizeof p, "/proc/self/fd/%d", d);
	ssize_t n = readlink(p, l, 79);
	l[n < 0 ? 0 : n] = 0;
	say("device: its link", n < 0 ? -errno : 0, "%s", l);
	shut(g);
	S("group closed, device open: open group", (x = opn(grouppath, O_RDWR)) < 0 ? x : 0);
	if (x >= 0)
		shut(x);
	shut(d);
	S("device closed: open group", (x = opn(grouppath, O_RDWR)) < 0 ? x : 0);
	if (x >= 0)
		shut(x);
	shut(i);
}
