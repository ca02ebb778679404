/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/hwpt.c: options, page tables, what the hardware says of itself, and what it does
 * not have.
 */
#include "probe.h"

int opt(int i, u32 o, u16 op, u32 obj, u64 *v)
{
	struct option x = { sizeof x, o, op, 0, obj, *v };
	int r = io(i, OPTION, &x);
	*v = x.val;
	return r;
}

void ask_option(void)
{
	int i = iommu();
	u64 v;
	u32 a;
	if (i < 0) {
		S("open", i);
		return;
	}
	int r;
	v = 9;
	r = opt(i, 0, 1, 0, &v);
	say("RLIMIT_MODE get", r, "%llu", (unsigned long long)v);
	for (u64 k = 0; k < 3; k++) {
		v = k;
		S(f("RLIMIT_MODE set %llu", (unsigned long long)k), opt(i, 0, 0, 0, &v));
	}
	v = 9;
	r = opt(i, 0, 1, 0, &v);
	say("RLIMIT_MODE get", r, "%llu", (unsigned long long)v);
	v = 0;
	S("RLIMIT_MODE op 2", opt(i, 0, 2, 0, &v));
	S("RLIMIT_MODE object 1", opt(i, 0, 1, 1, &v));
	S("option 2", opt(i, 2, 1, 0, &v));
	S("option ~0", opt(i, ~0u, 0, 0, &v));
	{
		struct option x = { sizeof x, 0, 1, 1, 0, 0 };
		S("reserved 1", io(i, OPTION, &x));
	}
	ioas(i, &a);
	v = 0;
	S("RLIMIT_MODE set, an object exists", opt(i, 0, 0, 0, &v));
	v = 9;
	r = opt(i, 0, 1, 0, &v);
	say("RLIMIT_MODE get then", r, "%llu", (unsigned long long)v);
	v = 5;
	S("RLIMIT_MODE set 5, an object exists", opt(i, 0, 0, 0, &v));
	v = 9;
	r = opt(i, 1, 1, a, &v);
	say("HUGE_PAGES get", r, "%llu", (unsigned long long)v);
	v = 0;
	S("HUGE_PAGES set 0", opt(i, 1, 0, a, &v));
	v = 9;
	r = opt(i, 1, 1, a, &v);
	say("HUGE_PAGES get", r, "%llu", (unsigned long long)v);
	S("map, huge pages off", map(i, a, FIXED | RW, mem, 4 * PG, 0x100000));
	v = 1;
	S("HUGE_PAGES set 1, with a mapping", opt(i, 1, 0, a, &v));
	v = 0;
	S("HUGE_PAGES set 0, with a mapping made while off", opt(i, 1, 0, a, &v));
	v = 1;
	S("HUGE_PAGES set 1", opt(i, 1, 0, a, &v));
	S("map, huge pages on", map(i, a, FIXED | RW, mem, 4 * PG, 0x200000));
	v = 0;
	S("HUGE_PAGES set 0, with a mapping made while on", opt(i, 1, 0, a, &v));
	v = 2;
	S("HUGE_PAGES set 2", opt(i, 1, 0, a, &v));
	v = 0;
	S("HUGE_PAGES op 2", opt(i, 1, 2, a, &v));
	S("HUGE_PAGES object 0", opt(i, 1, 1, 0, &v));
	S("HUGE_PAGES object 999", opt(i, 1, 1, 999, &v));
	{
		struct option x = { sizeof x, 1, 1, 0, a, 0 };
		void *p = ro(&x, sizeof x);
		S("struct not writable, get", io(i, OPTION, p));
		x.op = 0;
		x.val = 1;
		p = ro(&x, sizeof x);
		S("struct not writable, set", io(i, OPTION, p));
	}
	S("NULL", io(i, OPTION, NULL));
	S("huge pages off: unmap part", (v = 0, opt(i, 1, 0, a, &v), unmap1(i, a, 0x100000, PG)));
	shut(i);
	/* without privilege */
	struct st s = start();
	if (!s.ok)
		return;
	S("ATTACH", attach1(s.d, s.as));
	S("attached: map", map(s.i, s.as, FIXED | RW, mem, 4 * PG, 0x100000));
	v = 0;
	S("attached: HUGE_PAGES set 0, with a mapping", opt(s.i, 1, 0, s.as, &v));
	S("attached: unmap", unmap1(s.i, s.as, 0x100000, 4 * PG));
	v = 0;
	S("attached: HUGE_PAGES set 0, no mapping", opt(s.i, 1, 0, s.as, &v));
	v = 1;
	S("attached: HUGE_PAGES set 1", opt(s.i, 1, 0, s.as, &v));
	i = iommu();
	struct rlimit rl = { 8 * PG, 8 * PG };
	setrlimit(RLIMIT_MEMLOCK, &rl);
	S("as root, limit 8 pages: map 16", map(s.i, s.as, FIXED | RW, mem, 16 * PG, 0x100000));
	S("unmap", unmap1(s.i, s.as, 0x100000, 16 * PG));
	if (seteuid(65534)) {
		S("seteuid", -errno);
		return;
	}
	v = 1;
	S("as nobody: RLIMIT_MODE set", opt(i, 0, 0, 0, &v));
	v = 0;
	S("as nobody: RLIMIT_MODE get", opt(i, 0, 1, 0, &v));
	S("as nobody, limit 8 pages: map 4", map(s.i, s.as, FIXED | RW, mem, 4 * PG, 0x200000));
	S("as nobody: map 4 more, other memory",
	  map(s.i, s.as, FIXED | RW, mem + 16 * PG, 4 * PG, 0x210000));
	S("as nobody: map 1 more", map(s.i, s.as, FIXED | RW, mem + 32 * PG, PG, 0x220000));
	S("as nobody: the same memory again", map(s.i, s.as, FIXED | RW, mem, 4 * PG, 0x230000));
	S("as nobody: copy", copyf(s.i, s.as, s.as, FIXED | RW, 4 * PG, 0x240000, 0x200000));
	S("as nobody: unmap 4", unmap1(s.i, s.as, 0x210000, 4 * PG));
	S("as nobody: map 4", map(s.i, s.as, FIXED | RW, mem + 16 * PG, 4 * PG, 0x210000));
	S("as nobody: map 16", map(s.i, s.as, FIXED | RW, mem, 16 * PG, 0x300000));
	{
		u32 b;
		ioas(s.i, &b);
		S("as nobody: map 16, IOAS not attached",
		  map(s.i, b, FIXED | RW, mem, 16 * PG, 0x300000));
		S("as nobody: attach it", attach1(s.d, b));
	}
	S("as nobody: open cdev", (i = cdev()) < 0 ? i : 0);
	S("as nobody: open /dev/iommu", (i = iommu()) < 0 ? i : 0);
	struct getpa g = { sizeof g, 0, s.as, 0, 0x200000, PG, 0 };
	S("as nobody: NOIOMMU_GET_PA", io(s.i, GETPA, &g));
	(void)!seteuid(0);
	shut(s.d);
	shut(s.i);
}

void ask_hwpt(void)
{
	struct st s = start();
	u32 h, h2, as2;
	if (!s.ok)
		return;
	ioas(s.i, &as2);
	u8 data[64] = { 0 };
	u32 fq = 0;
	struct faultq q = { sizeof q, 0, 0, 0 };
	if (!io(s.i, FAULTQ, &q))
		fq = q.id;
	for (int k = 0; k < 5; k++) {
		int r = hwpt(s.i, s.dev, s.as, 1u << k, &h);
		S(f("flags %#x", 1u << k), r);
		if (!r)
			S("  destroy it", destroy(s.i, h));
	}
	S("flags 1<<31", hwpt(s.i, s.dev, s.as, 1u << 31, &h));
	S("flags 3", hwpt(s.i, s.dev, s.as, 3, &h));
	S("flags 5", hwpt(s.i, s.dev, s.as, 5, &h));
	{
		int r = hwpt(s.i, s.dev, s.as, 0, &h);
		S("flags 0", r);
	}
	S("device 999", hwpt(s.i, 999, s.as, 0, &h2));
	S("device is an IOAS", hwpt(s.i, s.as, s.as, 0, &h2));
	S("pt 999", hwpt(s.i, s.dev, 999, 0, &h2));
	S("pt is the device", hwpt(s.i, s.dev, s.dev, 0, &h2));
	S("pt is an HWPT, no data", hwpt(s.i, s.dev, h, 0, &h2));
	S("pt is a fault queue", hwpt(s.i, s.dev, fq, 0, &h2));
	struct hwpt x = { .size = sizeof x, .dev = s.dev, .pt = s.as };
	x.res = 1;
	S("reserved 1", io(s.i, HWPT, &x));
	x.res = 0;
	x.res2 = 1;
	{
		int r = io(s.i, HWPT, &x);
		S("reserved2 1", r);
		if (!r)
			destroy(s.i, x.out);
	}
	x.res2 = 0;
	x.len = 8;
	S("data NONE, length 8", io(s.i, HWPT, &x));
	x.len = 0;
	for (u32 t = 1; t < 6; t++) {
		x.type = t;
		x.len = 0;
		S(f("data type %u, length 0", t), io(s.i, HWPT, &x));
		x.len = 32;
		x.ptr = (u64)(uintptr_t)data;
		S(f("data type %u, length 32, of an IOAS", t), io(s.i, HWPT, &x));
		x.pt = h;
		S(f("data type %u, length 32, of an HWPT", t), io(s.i, HWPT, &x));
		x.ptr = 0;
		S(f("data type %u, NULL, of an HWPT", t), io(s.i, HWPT, &x));
		x.pt = s.as;
	}
	x.type = 0;
	x.len = 0;
	x.ptr = 1;
	{
		int r = io(s.i, HWPT, &x);
		S("data NONE, a pointer", r);
		if (!r)
			destroy(s.i, x.out);
	}
	x.ptr = 0;
	x.flags = 4;
	x.fault = 999;
	S("FAULT_ID_VALID, fault 999", io(s.i, HWPT, &x));
	x.fault = fq;
	{
		int r = io(s.i, HWPT, &x);
		S("FAULT_ID_VALID, a fault queue", r);
		if (!r) {
			S("  destroy the queue", destroy(s.i, fq));
			S("  attach it", attach1(s.d, x.out));
			S("  detach", detach(s.d));
			S("  destroy it", destroy(s.i, x.out));
		}
	}
	x.flags = 0;
	x.fault = 999;
	{
		int r = io(s.i, HWPT, &x);
		S("fault id without the flag", r);
		if (!r)
			destroy(s.i, x.out);
	}
	x.fault = 0;
	{
		struct hwpt y = { .size = 24, .dev = s.dev, .pt = s.as };
		int r = io(s.i, HWPT, &y);
		S("size 24", r);
		if (!r)
			destroy(s.i, y.out);
		y.size = 23;
		S("size 23", io(s.i, HWPT, &y));
		y.size = 40;
		r = io(s.i, HWPT, &y);
		S("size 40", r);
		if (!r)
			destroy(s.i, y.out);
		void *p = (y.size = 48, ro(&y, sizeof y));
		S("struct not writable", io(s.i, HWPT, p));
	}
	S("DESTROY IOAS below an HWPT", destroy(s.i, s.as));
	S("DESTROY HWPT", destroy(s.i, h));
	S("DESTROY HWPT twice", destroy(s.i, h));
	S("DESTROY IOAS then", destroy(s.i, s.as));
	S("HWPT of a destroyed IOAS", hwpt(s.i, s.dev, s.as, 0, &h));
	S("map, then HWPT_ALLOC: map", map(s.i, as2, FIXED | RW, mem, PG, 0x1000));
	S("map, then HWPT_ALLOC", hwpt(s.i, s.dev, as2, 0, &h));
	S("map with an HWPT, not attached", map(s.i, as2, FIXED | RW, mem, PG, 0x3000));
	S("map of no memory, HWPT not attached", map(s.i, as2, FIXED | RW, NULL, PG, 0x5000));
	S("second HWPT", hwpt(s.i, s.dev, as2, 0, &h2));
	S("close device, HWPTs exist", (shut(s.d), 0));
	S("DESTROY HWPT, device closed", destroy(s.i, h));
	S("HWPT_ALLOC, device closed", hwpt(s.i, s.dev, as2, 0, &h));
	S("DESTROY IOAS below an HWPT", destroy(s.i, as2));
	shut(s.i);
}

void ask_hwinfo(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	u8 d[256];
	memset(d, 0x55, sizeof d);
	struct hwinfo x = { .size = sizeof x,
			    .dev = s.dev,
			    .len = sizeof d,
			    .ptr = (u64)(uintptr_t)d,
			    .type = 77,
			    .caps = 77 };
	int r = io(s.i, HWINFO, &x);
	say("length 256", r, "type %u length %u pasid %u caps %#llx, bytes behind %s", x.type,
	    x.len, x.pasid, (unsigned long long)x.caps,
	    d[255] == 0x55 ? "untouched"
	    : d[255]	   ? "other"
			   : "zeroed");
	if (!r && x.type == 1) {
		u32 fl;
		u64 c, e;
		memcpy(&fl, d, 4);
		memcpy(&c, d + 8, 8);
		memcpy(&e, d + 16, 8);
		printf("hwinfo: VT-d flags %#x cap %#llx ecap %#llx\n", fl, (unsigned long long)c,
		       (unsigned long long)e);
	}
	u32 full = x.len;
	memset(d, 0x55, sizeof d);
	x.len = 4;
	r = io(s.i, HWINFO, &x);
	say("length 4", r, "length %s, behind %s", x.len == full ? "full" : "other",
	    d[4] == 0x55 ? "untouched" : "touched");
	x.len = 0;
	x.ptr = 0;
	r = io(s.i, HWINFO, &x);
	say("length 0, NULL", r, "length %s", x.len == full ? "full" : "other");
	x.len = 0;
	x.ptr = 1;
	S("length 0, a pointer", io(s.i, HWINFO, &x));
	x.len = 24;
	x.ptr = 0;
	S("length 24, NULL", io(s.i, HWINFO, &x));
	x.len = 24;
	x.ptr = ~0ull - 63;
	S("length 24, bad pointer", io(s.i, HWINFO, &x));
	x.ptr = (u64)(uintptr_t)d;
	for (int k = 0; k < 4; k++) {
		x.flags = 1u << k;
		x.type = 0;
		x.len = sizeof d;
		S(f("flags %#x, type 0", 1u << k), io(s.i, HWINFO, &x));
	}
	x.flags = 1u << 31;
	S("flags 1<<31", io(s.i, HWINFO, &x));
	x.flags = 1;
	for (u32 t = 1; t < 6; t++) {
		x.type = t;
		x.len = sizeof d;
		r = io(s.i, HWINFO, &x);
		say(f("INPUT_TYPE %u", t), r, "type %u", r ? 0 : x.type);
	}
	x.type = ~0u;
	S("INPUT_TYPE ~0", io(s.i, HWINFO, &x));
	x.flags = 0;
	for (int k = 0; k < 3; k++) {
		x.res[k] = 1;
		x.len = 0;
		S(f("reserved[%d] 1", k), io(s.i, HWINFO, &x));
		x.res[k] = 0;
	}
	x.pasid = 9;
	x.len = 0;
	r = io(s.i, HWINFO, &x);
	say("out_max_pasid_log2 given 9", r, "then %u", x.pasid);
	x.dev = 999;
	S("device 999", io(s.i, HWINFO, &x));
	x.dev = s.as;
	S("device is an IOAS", io(s.i, HWINFO, &x));
	x.dev = s.dev;
	x.size = 32;
	x.len = 0;
	x.caps = 77;
	r = io(s.i, HWINFO, &x);
	say("size 32", r, "caps %s", x.caps == 77 ? "untouched" : "filled");
	x.size = 31;
	S("size 31", io(s.i, HWINFO, &x));
	x.size = 40;
	{
		void *p = ro(&x, sizeof x);
		S("struct not writable", io(s.i, HWINFO, p));
	}
	S("NULL", io(s.i, HWINFO, NULL));
	S("ATTACH", attach1(s.d, s.as));
	x.len = 0;
	S("attached", io(s.i, HWINFO, &x));
	shut(s.d);
	S("device closed", io(s.i, HWINFO, &x));
	shut(s.i);
}

void ask_dirty(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	u32 h = 0, hd = 0;
	u64 bits[64] = { 0 };
	int have = hwpt(s.i, s.dev, s.as, 2, &hd);
	S("HWPT with DIRTY_TRACKING", have);
	S("HWPT without", hwpt(s.i, s.dev, s.as, 0, &h));
	S("map", map(s.i, s.as, FIXED | RW, mem, 4 * PG, 0x100000));
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "with" : "without";
		u32 t = k ? hd : h;
		if (k && have)
			break;
		struct setdirty d = { sizeof d, 0, t, 0 };
		S(f("%s: SET 0", w), io(s.i, SETDIRTY, &d));
		d.flags = 1;
		S(f("%s: SET 1", w), io(s.i, SETDIRTY, &d));
		S(f("%s: SET 1 again", w), io(s.i, SETDIRTY, &d));
		d.flags = 2;
		S(f("%s: SET flag 2", w), io(s.i, SETDIRTY, &d));
		d.flags = 0;
		d.res = 1;
		S(f("%s: SET reserved 1", w), io(s.i, SETDIRTY, &d));
		d.res = 0;
		d.hwpt = 999;
		S(f("%s: SET id 999", w), io(s.i, SETDIRTY, &d));
		d.hwpt = s.as;
		S(f("%s: SET an IOAS's id", w), io(s.i, SETDIRTY, &d));
		d.hwpt = s.dev;
		S(f("%s: SET the device's id", w), io(s.i, SETDIRTY, &d));
		d.hwpt = 999;
		d.flags = 2;
		S(f("%s: SET flag 2 and id 999", w), io(s.i, SETDIRTY, &d));
		if (k) {
			d.hwpt = t;
			d.flags = 1;
			io(s.i, SETDIRTY, &d);
		}
#define G(q, ...)                                                   \
	do {                                                        \
		struct getdirty g = { .size = sizeof g,             \
				      .hwpt = t,                    \
				      .iova = 0x100000,             \
				      .len = 4 * PG,                \
				      .pgsz = PG,                   \
				      .data = (u64)(uintptr_t)bits, \
				      __VA_ARGS__ };                \
		S(f("%s: GET %s", w, q), io(s.i, GETDIRTY, &g));    \
	} while (0)
		_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
			G("", .res = 0);
		G("NO_CLEAR", .flags = 1);
		G("flag 2", .flags = 2);
		G("reserved 1", .res = 1);
		G("id 999", .hwpt = 999);
		G("an IOAS's id", .hwpt = s.as);
		G("iova + 1", .iova = 0x100001);
		G("length 0", .len = 0);
		G("length 1", .len = 1);
		G("page size 0", .pgsz = 0);
		G("page size 1", .pgsz = 1);
		G("page size 3000", .pgsz = 3000);
		G("page size 2048", .pgsz = 2048);
		G("page size 2M", .pgsz = 2 << 20);
		G("wrap", .iova = 0xfffffffffffff000ull, .len = 2 * PG);
		G("iova 2^64-1", .iova = ALL);
		G("length 2^64-1", .len = ALL);
		G("nothing mapped there", .iova = 0x900000);
		G("half mapped", .len = 64 * PG);
		G("data NULL", .data = 0);
		G("data bad", .data = ~0ull - 7);
		G("data + 1", .data = (u64)(uintptr_t)bits + 1);
		_Pragma("GCC diagnostic pop")
	}
	S("SET NULL", io(s.i, SETDIRTY, NULL));
	S("GET NULL", io(s.i, GETDIRTY, NULL));
	u32 pt = s.as;
	S("ATTACH", attach(s.d, &pt));
	struct setdirty d = { sizeof d, 1, pt, 0 };
	S("auto HWPT: SET 1", io(s.i, SETDIRTY, &d));
	shut(s.d);
	shut(s.i);
}

void ask_virt(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	u32 h, np = 0;
	hwpt(s.i, s.dev, s.as, 0, &h);
	int have = hwpt(s.i, s.dev, s.as, 1, &np);
	S("NEST_PARENT", have);
	if (have)
		np = h;
	u8 data[64] = { 0 };
	struct faultq q = { sizeof q, 0, 0, 0 };
	int r = io(s.i, FAULTQ, &q);
	S("FAULT_QUEUE_ALLOC", r);
	if (!r) {
		int e = q.fd;
		char l[64] = "", p[64];
		snprintf(p, sizeof p, "/proc/self/fd/%d", e);
		ssize_t n = readlink(p, l, 63);
		(void)n;
		say("its link", 0, "%s", l);
		say("its FD_CLOEXEC", fcntl(e, F_GETFD) & FD_CLOEXEC, "flags %#x",
		    fcntl(e, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
		u8 b[256] = { 0 };
		fcntl(e, F_SETFL, O_NONBLOCK);
		n = read(e, b, 40);
		S("read 40", n < 0 ? -errno : n);
		n = read(e, b, 39);
		S("read 39", n < 0 ? -errno : n);
		n = read(e, b, 0);
		S("read 0", n < 0 ? -errno : n);
		n = read(e, b, 80);
		S("read 80", n < 0 ? -errno : n);
		n = pread(e, b, 40, 0);
		S("pread", n < 0 ? -errno : n);
		n = write(e, b, 8);
		S("write 8", n < 0 ? -errno : n);
		n = write(e, b, 7);
		S("write 7", n < 0 ? -errno : n);
		n = write(e, b, 0);
		S("write 0", n < 0 ? -errno : n);
		b[4] = 9;
		n = write(e, b, 8);
		S("write code 9", n < 0 ? -errno : n);
		n = lseek(e, 0, SEEK_CUR);
		S("lseek", n < 0 ? -errno : n);
		struct pollfd pf = { e, POLLIN | POLLOUT, 0 };
		int k = poll(&pf, 1, 0);
		say("poll", k, "revents %#x", pf.revents);
		S("ioctl", ov(e, 0x80, 0));
		void *m = mmap(NULL, PG, PROT_READ, MAP_SHARED, e, 0);
		S("mmap", m == MAP_FAILED ? -errno : 0);
		S("DESTROY, fd open", destroy(s.i, q.id));
		close(e);
		S("DESTROY, fd closed", destroy(s.i, q.id));
	}
	q.flags = 1;
	S("FAULT_QUEUE_ALLOC flags 1", io(s.i, FAULTQ, &q));
	{
		struct faultq z = { sizeof z, 0, 0, 0 };
		void *p = ro(&z, sizeof z);
		S("FAULT_QUEUE_ALLOC struct not writable", io(s.i, FAULTQ, p));
	}
#define V(q, ...)                                                                                \
	do {                                                                                     \
		struct viommu v_ = { .size = sizeof v_, .dev = s.dev, .hwpt = np, __VA_ARGS__ }; \
		S("VIOMMU " q, io(s.i, VIOMMU, &v_));                                            \
	} while (0)
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
		V("type 0", .type = 0);
	V("type 1", .type = 1);
	V("type 2", .type = 2);
	V("type 3", .type = 3);
	V("type ~0", .type = ~0u);
	V("flags 1", .flags = 1, .type = 1);
	V("reserved 1", .type = 1, .res = 1);
	V("length 8", .type = 1, .len = 8, .ptr = (u64)(uintptr_t)data);
	V("device 999", .type = 1, .dev = 999);
	V("hwpt 999", .type = 1, .hwpt = 999);
	V("hwpt an IOAS", .type = 1, .hwpt = s.as);
	V("size 24", .size = 24, .type = 1);
	V("flags 1, device 999", .flags = 1, .dev = 999);
#define D(q, ...)                                                                   \
	do {                                                                        \
		struct vdevice v_ = {                                               \
			.size = sizeof v_, .dev = s.dev, .viommu = 999, __VA_ARGS__ \
		};                                                                  \
		S("VDEVICE " q, io(s.i, VDEVICE, &v_));                             \
	} while (0)
	D("viommu 999", .virt = 0);
	D("viommu an HWPT", .viommu = h);
	D("virt_id 2^64-1", .virt = ALL);
	D("virt_id 2^32", .virt = 1ull << 32);
	D("device 999", .dev = 999);
#define E(q, ...)                                                                             \
	do {                                                                                  \
		struct veventq v_ = {                                                         \
			.size = sizeof v_, .viommu = 999, .type = 1, .depth = 16, __VA_ARGS__ \
		};                                                                            \
		S("VEVENTQ " q, io(s.i, VEVENTQ, &v_));                                       \
	} while (0)
	E("viommu 999", .res = 0);
	E("type 0", .type = 0);
	E("type 9", .type = 9);
	E("depth 0", .depth = 0);
	E("depth ~0", .depth = ~0u);
	E("flags 1", .flags = 1);
	E("reserved 1", .res = 1);
	E("viommu an HWPT", .viommu = h);
#define Q(q, ...)                                                                             \
	do {                                                                                  \
		struct hwqueue v_ = {                                                         \
			.size = sizeof v_, .viommu = 999, .type = 1, .len = 4096, __VA_ARGS__ \
		};                                                                            \
		S("HW_QUEUE " q, io(s.i, HWQUEUE, &v_));                                      \
	} while (0)
	Q("viommu 999", .index = 0);
	Q("type 0", .type = 0);
	Q("flags 1", .flags = 1);
	Q("length 0", .len = 0);
	Q("wrap", .iova = 0xfffffffffffff000ull, .len = 2 * PG);
	Q("viommu an HWPT", .viommu = h);
#define I(q, ...)                                                \
	do {                                                     \
		struct inval v_ = { .size = sizeof v_,           \
				    .hwpt = h,                   \
				    .type = 0,                   \
				    .elen = 24,                  \
				    .enum_ = 1,                  \
				    .ptr = (u64)(uintptr_t)data, \
				    __VA_ARGS__ };               \
		int r_ = io(s.i, INVAL, &v_);                    \
		say("INVALIDATE " q, r_, "done %u", v_.enum_);   \
	} while (0)
	I("of an HWPT", .res = 0);
	I("reserved 1", .res = 1);
	I("entries 0", .enum_ = 0);
	I("entries ~0", .enum_ = ~0u);
	I("length 0", .elen = 0);
	I("length 4097", .elen = 4097);
	I("NULL", .ptr = 0);
	I("id 999", .hwpt = 999);
	I("an IOAS", .hwpt = s.as);
	I("type 9", .type = 9);
	I("entries 0, id 999", .enum_ = 0, .hwpt = 999);
	I("entries 2^19", .enum_ = 1 << 19);
	I("entries 2^19+1", .enum_ = (1 << 19) + 1);
	{
		struct inval v = { .size = sizeof v, .hwpt = h, .res = 1 };
		void *p = ro(&v, sizeof v);
		S("INVALIDATE struct not writable", io(s.i, INVAL, p));
	}
#define P(q, ...)                                                                               \
	do {                                                                                    \
		struct getpa v_ = {                                                             \
			.size = sizeof v_, .id = s.as, .iova = 0x100000, .len = PG, __VA_ARGS__ \
		};                                                                              \
		S("NOIOMMU_GET_PA " q, io(s.i, GETPA, &v_));                                    \
	} while (0)
	map(s.i, s.as, FIXED | RW, mem, PG, 0x100000);
	P("of a map", .res = 0);
	P("flags 1", .flags = 1);
	P("reserved 1", .res = 1);
	P("length 0", .len = 0);
	P("iova 2^64-1", .iova = ALL);
	P("nothing there", .iova = 0x900000);
	P("id 999", .id = 999);
	P("length 0, id 999", .id = 999, .len = 0);
	_Pragma("GCC diagnostic pop") shut(s.d);
	shut(s.i);
}
