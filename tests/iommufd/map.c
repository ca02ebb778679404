/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/iommufd/map.c: mappings: of memory, of files, copies, and taking them away. */
#include "probe.h"

void ask_map(void)
{
	struct st s = start();
	u32 h, at;
	if (!s.ok)
		return;
	ioas(s.i, &at);
	S("ATTACH", attach1(s.d, at));
	hwpt(s.i, s.dev, at, 0, &h);
	int mf = memfd_create("m", 0);
	(void)!ftruncate(mf, 16 * PG);
	u8 *sh = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0),
	   *pr = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, mf, 0);
	u8 *none = mmap(NULL, PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	   *rdo = mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	   *half = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(half + 2 * PG, 2 * PG);
	u8 *rsh = mmap(NULL, PG, PROT_READ, MAP_SHARED, mf, 0),
	   *past = mmap(NULL, 32 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0);
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "attached" : "not attached";
		u32 a = k ? at : s.as;
		u64 v;
#define M(q, ...) S(f("%s: %s", w, q), map(s.i, a, __VA_ARGS__))
		M("fixed rw", FIXED | RW, mem, PG, 0x10000);
		M("same again", FIXED | RW, mem, PG, 0x10000);
		M("overlap front", FIXED | RW, mem, 2 * PG, 0xf000);
		M("overlap back", FIXED | RW, mem, 2 * PG, 0x10000);
		M("adjacent", FIXED | RW, mem, PG, 0x11000);
		M("r only", FIXED | RD, mem, PG, 0x20000);
		M("w only", FIXED | WR, mem, PG, 0x21000);
		M("neither r nor w", FIXED, mem, PG, 0x22000);
		M("flags 0", 0, mem, PG, 0x22000);
		M("flag 8", FIXED | RW | 8, mem, PG, 0x22000);
		M("flag 1<<31", FIXED | RW | 1u << 31, mem, PG, 0x22000);
		M("iova 0", FIXED | RW, mem, PG, 0);
		M("same memory, other iova", FIXED | RW, mem, 4 * PG, 0x30000);
		M("length 0", FIXED | RW, mem, 0, 0x40000);
		M("length 1", FIXED | RW, mem, 1, 0x40000);
		M("length 4095", FIXED | RW, mem, 4095, 0x42000);
		M("length 4097", FIXED | RW, mem, 4097, 0x44000);
		M("iova + 1", FIXED | RW, mem, PG, 0x50001);
		M("iova + 512", FIXED | RW, mem, PG, 0x52200);
		M("va + 1", FIXED | RW, mem + 1, PG, 0x54000);
		M("va + 512", FIXED | RW, mem + 512, PG, 0x56000);
		M("va and iova + 512", FIXED | RW, mem + 512, PG, 0x58200);
		M("va and iova + 512, length 512", FIXED | RW, mem + 512, 512, 0x5a200);
		M("va + 512, length 512, iova aligned", FIXED | RW, mem + 512, 512, 0x5c000);
		M("iova 2^64-1", FIXED | RW, mem, PG, ALL);
		M("length 2^64-1", FIXED | RW, mem, ALL, 0x60000);
		M("last page of 2^64", FIXED | RW, mem, PG, 0xfffffffffffff000ull);
		M("iova wraps", FIXED | RW, mem, 2 * PG, 0xfffffffffffff000ull);
		M("last page less a byte", FIXED | RW, mem, PG - 1, 0xfffffffffffff000ull);
		M("length 2^63", FIXED | RW, mem, 1ull << 63, 0x10000000);
		unmap1(s.i, a, 0x10000000, 1ull << 63);
		M("length 2^64-4096", FIXED | RW, mem, 0xfffffffffffff000ull, 0x1000);
		unmap1(s.i, a, 0x1000, 0xfffffffffffff000ull - 0x1000);
		M("va last page", FIXED | RW, (void *)0xfffffffffffff000ull, PG, 0x60000);
		M("va wraps", FIXED | RW, (void *)0xfffffffffffff000ull, 2 * PG, 0x60000);
		M("va wraps to 0 exactly", FIXED | RW, (void *)0xffffffffffffe000ull, 2 * PG,
		  0x60000);
		M("va NULL", FIXED | RW, NULL, PG, 0x70000);
		M("va not mapped", FIXED | RW, (void *)0x20000, PG, 0x71000);
		M("va in the kernel", FIXED | RW, (void *)0xffff800000000000ull, PG, 0x72000);
		M("va PROT_NONE", FIXED | RW, none, PG, 0x73000);
		M("va read-only, anonymous, rw", FIXED | RW, rdo, PG, 0x74000);
		M("va read-only, anonymous, r", FIXED | RD, rdo, PG, 0x75000);
		M("va read-only shared file, rw", FIXED | RW, rsh, PG, 0x76000);
		M("va read-only shared file, r", FIXED | RD, rsh, PG, 0x77000);
		M("va half mapped", FIXED | RW, half, 4 * PG, 0x78000);
		M("after that, the mapped half there", FIXED | RW, half, 2 * PG, 0x78000);
		M("va memfd shared", FIXED | RW, sh, 16 * PG, 0x80000);
		M("va memfd private", FIXED | RW, pr, 4 * PG, 0x90000);
		M("va past the file's end", FIXED | RW, past, 32 * PG, 0xa0000);
		M("at the MSI window", FIXED | RW, mem, PG, 0xfee00000);
		M("across its start", FIXED | RW, mem, 4 * PG, 0xfedfe000);
		M("just below it", FIXED | RW, mem, PG, 0xfedff000);
		M("just above it", FIXED | RW, mem, PG, 0xfef00000);
		for (int b = 32; b < 64; b += b == 32	? 6
					      : b == 38 ? 1
					      : b == 39 ? 8
					      : b == 47 ? 1
					      : b == 48 ? 8
					      : b == 56 ? 1
							: 3)
			M(f("at 1<<%d", b), FIXED | RW, mem, PG, 1ull << b);
		S(f("%s: id 999", w), map(s.i, 999, FIXED | RW, mem, PG, 0x100000));
		S(f("%s: HWPT's id", w), map(s.i, h, FIXED | RW, mem, PG, 0x100000));
		S(f("%s: device's id", w), map(s.i, s.dev, FIXED | RW, mem, PG, 0x100000));
		{
			struct map m = { sizeof m, FIXED | RW, a, 1, (u64)(uintptr_t)mem,
					 PG,	   0x110000 };
			S(f("%s: reserved 1", w), io(s.i, MAP, &m));
			m.res = 0;
			void *p = ro(&m, sizeof m);
			S(f("%s: struct not writable", w), io(s.i, MAP, p));
			S(f("%s: then unmap it", w), unmap1(s.i, a, 0x110000, PG));
		}
		S(f("%s: two errors: bad flag and bad id", w), map(s.i, 999, 8, mem, PG, 0));
		S(f("%s: two errors: no r/w and bad id", w), map(s.i, 999, FIXED, mem, PG, 0));
		S(f("%s: two errors: length 0 and bad id", w),
		  map(s.i, 999, FIXED | RW, mem, 0, 0));
		S(f("%s: two errors: no r/w and iova 2^64-1", w), map(s.i, a, FIXED, mem, PG, ALL));
		S(f("%s: two errors: overlap and no memory", w),
		  map(s.i, a, FIXED | RW, NULL, PG, 0x10000));
		S(f("%s: two errors: wrap and length unaligned", w),
		  map(s.i, a, FIXED | RW, mem, 4097, 0xfffffffffffff000ull));
/* not fixed */
#define N(q, fl, va, len, hint)                                               \
	do {                                                                  \
		v = hint;                                                     \
		int r_ = mapf(s.i, a, fl, (u64)(uintptr_t)(va), len, &v);     \
		if (r_)                                                       \
			S(f("%s: not fixed: %s", w, q), r_);                  \
		else                                                          \
			say(f("%s: not fixed: %s", w, q), r_,                 \
			    "iova's low bits %#llx, below 2^32 %d",           \
			    (unsigned long long)(v & 0xfff), v < 1ull << 32); \
	} while (0)
		N("page", RW, mem, PG, 0);
		N("hint ignored", RW, mem, PG, 0x7000123);
		N("length 1", RW, mem, 1, 0);
		N("va + 512, page", RW, mem + 512, PG, 0);
		N("va + 512, length 512", RW, mem + 512, 512, 0);
		N("length 0", RW, mem, 0, 0);
		N("hint 2^64-1", RW, mem, PG, ALL);
		N("no r/w", 0, mem, PG, 0);
		N("length 2^62", RW, mem, 1ull << 62, 0);
		N("no memory", RW, (void *)0x20000, PG, 0);
		{
			u64 x = 0, y = 0;
			mapf(s.i, a, RW, (u64)(uintptr_t)mem, PG, &x);
			mapf(s.i, a, RW, (u64)(uintptr_t)mem, PG, &y);
			say(f("%s: not fixed: two pages' iovas", w), 0, "%s",
			    x == y  ? "the same"
			    : x < y ? "rising"
				    : "falling");
			u64 z = 0;
			unmap1(s.i, a, x, PG);
			mapf(s.i, a, RW, (u64)(uintptr_t)mem, PG, &z);
			say(f("%s: not fixed: a freed iova", w), 0, "%s",
			    z == x ? "used again" : "not used");
		}
		{
			u64 n = 0;
			int r = unmap(s.i, a, 0, ALL, &n);
			say(f("%s: UNMAP all", w), r, "bytes %llu", (unsigned long long)n);
		}
	}
	S("MAP NULL", io(s.i, MAP, NULL));
	int n;
	for (n = 0; n < 3000; n++)
		if (map(s.i, at, FIXED | RW, mem, PG, 0x1000000 + n * 2 * PG))
			break;
	S("3000 mappings, attached", n == 3000 ? 0 : -ENOSPC);
	{
		u64 b = 0;
		int r = unmap(s.i, at, 0x1000000, 6000 * PG, &b);
		say("UNMAP over them", r, "bytes %llu", (unsigned long long)b);
	}
	shut(s.d);
	shut(s.i);
}

void ask_unmap(void)
{
	struct st s = start();
	if (!s.ok)
		return;
	u64 n;
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "attached" : "not attached";
		u32 a = s.as;
		if (k)
			S("ATTACH", attach1(s.d, a));
#define U(q, iova, len)                                           \
	do {                                                      \
		n = 0;                                            \
		int r_ = unmap(s.i, a, iova, len, &n);            \
		say(f("%s: %s", w, q), r_, "length %s",           \
		    n == (u64)(len) ? "as given"                  \
		    : n == 0	    ? "0"                         \
				    : f("%llu", (unsigned long long)n)); \
	} while (0)
		U("all of nothing", 0, ALL);
		U("a page of nothing", 0x100000, PG);
		U("length 0", 0x100000, 0);
		S(f("%s: map four pages", w), map(s.i, a, FIXED | RW, mem, 4 * PG, 0x100000));
		S(f("%s: map two after them", w),
		  map(s.i, a, FIXED | RW, mem + 4 * PG, 2 * PG, 0x104000));
		S(f("%s: map one apart", w), map(s.i, a, FIXED | RW, mem, PG, 0x110000));
		U("first page of four", 0x100000, PG);
		U("last page of four", 0x103000, PG);
		U("middle", 0x101000, 2 * PG);
		U("from before into it", 0xff000, 2 * PG);
		U("from inside to after", 0x103000, 2 * PG);
		U("all of four and one of the next", 0x100000, 5 * PG);
		{
			u64 n_ = 0;
			struct unmap q_ = { sizeof q_, a, 0x100000, 4 * PG };
			n_ = (u64)-io(s.i, UNMAP, &q_);
			say(f("%s: are the four still there", w), 0, "%s",
			    n_ == 0 ? "yes" : "no, unmapped by the request that failed");
		}
		U("the last page of four and two", 0x103000, 3 * PG);
		U("iova + 1", 0x100001, PG);
		U("length 1", 0x100000, 1);
		U("length 4095 of four", 0x100000, 4095);
		U("iova + 512 over all", 0xffe00, 4 * PG + 1024);
		U("length 0 in a mapping", 0x100000, 0);
		U("wrap", 0xfffffffffffff000ull, 2 * PG);
		U("last page", 0xfffffffffffff000ull, PG);
		U("iova 2^64-1, length 1", ALL, 1);
		U("length 2^64-1, iova 1", 1, ALL);
		U("length 2^64-1, iova 0x1000", 0x1000, ALL);
		U("length 2^64-2, iova 0", 0, ALL - 1);
		S(f("%s: map again", w), map(s.i, a, FIXED | RW, mem, 4 * PG, 0x100000));
		S(f("%s: map again", w), map(s.i, a, FIXED | RW, mem, 2 * PG, 0x104000));
		U("exactly four", 0x100000, 4 * PG);
		U("again", 0x100000, 4 * PG);
		U("superset of two", 0x100000, 16 * PG);
		S(f("%s: map again", w), map(s.i, a, FIXED | RW, mem, PG, 0x100000));
		S(f("%s: map again", w), map(s.i, a, FIXED | RW, mem, PG, 0x102000));
		U("three with a hole", 0x100000, 3 * PG);
		U("all", 0, ALL);
		S(f("%s: id 999", w), unmap1(s.i, 999, 0, PG));
		S(f("%s: device's id", w), unmap1(s.i, s.dev, 0, PG));
		S(f("%s: id 999, all", w), unmap1(s.i, 999, 0, ALL));
		map(s.i, a, FIXED | RW, mem, PG, 0x100000);
		{
			struct unmap u = { sizeof u, a, 0x100000, PG };
			void *p = ro(&u, sizeof u);
			S(f("%s: struct not writable", w), io(s.i, UNMAP, p));
			U("then again", 0x100000, PG);
		}
		munmap(mmap(NULL, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PG);
		{
			u8 *q = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			S(f("%s: map memory", w), map(s.i, a, FIXED | RW, q, 2 * PG, 0x200000));
			munmap(q, 2 * PG);
			U("memory gone meanwhile", 0x200000, 2 * PG);
		}
	}
	S("NULL", io(s.i, UNMAP, NULL));
	shut(s.d);
	shut(s.i);
}

void ask_copy(void)
{
	struct st s = start();
	u32 b;
	if (!s.ok)
		return;
	ioas(s.i, &b);
	u32 a = s.as;
	S("map rw four pages", map(s.i, a, FIXED | RW, mem, 4 * PG, 0x100000));
	S("map rw next two", map(s.i, a, FIXED | RW, mem + 4 * PG, 2 * PG, 0x104000));
	S("map r", map(s.i, a, FIXED | RD, mem, PG, 0x200000));
	{
		u8 *rdo = mmap(NULL, PG, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		S("map r of read-only memory", map(s.i, a, FIXED | RD, rdo, PG, 0x210000));
	}
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "attached" : "not attached";
		if (k)
			S("ATTACH destination", attach1(s.d, b));
#define K(q, ...) S(f("%s: %s", w, q), copyf(s.i, b, a, __VA_ARGS__))
		K("all four", FIXED | RW, 4 * PG, 0x500000, 0x100000);
		K("again", FIXED | RW, 4 * PG, 0x500000, 0x100000);
		K("r only of rw", FIXED | RD, 4 * PG, 0x510000, 0x100000);
		K("first page", FIXED | RW, PG, 0x520000, 0x100000);
		K("middle page", FIXED | RW, PG, 0x521000, 0x102000);
		K("across two mappings", FIXED | RW, 6 * PG, 0x530000, 0x100000);
		K("past the end", FIXED | RW, 8 * PG, 0x540000, 0x100000);
		K("nothing there", FIXED | RW, PG, 0x540000, 0x900000);
		K("rw of r", FIXED | RW, PG, 0x550000, 0x200000);
		K("r of r", FIXED | RD, PG, 0x551000, 0x200000);
		K("rw of read-only memory", FIXED | RW, PG, 0x552000, 0x210000);
		K("length 0", FIXED | RW, 0, 0x560000, 0x100000);
		K("flags 0", 0, PG, 0x560000, 0x100000);
		K("fixed only", FIXED, PG, 0x560000, 0x100000);
		K("flag 8", FIXED | RW | 8, PG, 0x560000, 0x100000);
		K("source + 512, destination + 512, length 512", FIXED | RW, 512, 0x560200,
		  0x100200);
		K("source + 512, destination aligned, length 512", FIXED | RW, 512, 0x561000,
		  0x100200);
		K("length 2^64-1", FIXED | RW, ALL, 0x560000, 0x100000);
		K("source 2^64-1", FIXED | RW, PG, 0x560000, ALL);
		K("destination 2^64-1", FIXED | RW, PG, ALL, 0x100000);
		K("source wraps", FIXED | RW, 2 * PG, 0x560000, 0xfffffffffffff000ull);
		K("destination wraps", FIXED | RW, 4 * PG, 0xfffffffffffff000ull, 0x100000);
		K("to the MSI window", FIXED | RW, PG, 0xfee00000, 0x100000);
		{
			struct copy c = { sizeof c, RW, b, a, PG, 0x777, 0x100000 };
			int r = io(s.i, COPY, &c);
			say(f("%s: not fixed", w), r, "destination's low bits %#llx",
			    (unsigned long long)(c.diova & 0xfff));
		}
		S(f("%s: source id 999", w),
		  copyf(s.i, b, 999, FIXED | RW, PG, 0x570000, 0x100000));
		S(f("%s: destination id 999", w),
		  copyf(s.i, 999, a, FIXED | RW, PG, 0x570000, 0x100000));
		S(f("%s: source the device's id", w),
		  copyf(s.i, b, s.dev, FIXED | RW, PG, 0x570000, 0x100000));
		S(f("%s: both bad, no r/w", w), copyf(s.i, 999, 999, FIXED, PG, 0, 0));
		S(f("%s: within one IOAS", w),
		  copyf(s.i, a, a, FIXED | RW, 4 * PG, 0x300000 + k * 0x10000, 0x100000));
		S(f("%s: onto itself", w),
		  copyf(s.i, a, a, FIXED | RW, 4 * PG, 0x100000, 0x100000));
		u64 n;
		int r = unmap(s.i, b, 0, ALL, &n);
		say(f("%s: UNMAP all of the destination", w), r, "bytes %llu",
		    (unsigned long long)n);
	}
	S("copy, then unmap the source", copyf(s.i, b, a, FIXED | RW, 4 * PG, 0x500000, 0x100000));
	S("unmap the source", unmap1(s.i, a, 0x100000, 4 * PG));
	S("copy from the copy", copyf(s.i, a, b, FIXED | RW, 4 * PG, 0x700000, 0x500000));
	S("DESTROY source IOAS", destroy(s.i, a));
	S("unmap the copy", unmap1(s.i, b, 0x500000, 4 * PG));
	S("NULL", io(s.i, COPY, NULL));
	shut(s.d);
	shut(s.i);
}

int mfile(int i, u32 id, u32 flags, int fd, u64 start, u64 len, u64 iova)
{
	struct mapfile m = { sizeof m, flags, id, fd, start, len, iova };
	return io(i, MAPFILE, &m);
}

void ask_mapfile(void)
{
	struct st s = start();
	u32 at;
	if (!s.ok)
		return;
	ioas(s.i, &at);
	S("ATTACH", attach1(s.d, at));
	int x;
	int mf = memfd_create("m", MFD_ALLOW_SEALING), em = memfd_create("e", 0);
	(void)!ftruncate(mf, 16 * PG);
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "attached" : "not attached";
		u32 a = k ? at : s.as;
#define F(q, ...)                                                             \
	do {                                                                  \
		int r_ = mfile(s.i, a, __VA_ARGS__);                          \
		S(f("%s: %s", w, q), r_);                                     \
		if (!r_)                                                      \
			for (u64 t_ = 0x1a0000; t_ < 0x1c0000; t_ += 0x10000) \
				unmap1(s.i, a, t_, PG);                       \
	} while (0)
		F("memfd", FIXED | RW, mf, 0, 16 * PG, 0x100000);
		F("same again", FIXED | RW, mf, 0, 16 * PG, 0x100000);
		F("start a page", FIXED | RW, mf, PG, 2 * PG, 0x120000);
		F("r only", FIXED | RD, mf, 0, PG, 0x130000);
		F("no r/w", FIXED, mf, 0, PG, 0x131000);
		F("flag 8", FIXED | RW | 8, mf, 0, PG, 0x131000);
		F("start + 1", FIXED | RW, mf, 1, PG, 0x140000);
		F("start + 512", FIXED | RW, mf, 512, PG, 0x142000);
		F("start + 512, iova + 512, length 512", FIXED | RW, mf, 512, 512, 0x144200);
		F("length 0", FIXED | RW, mf, 0, 0, 0x146000);
		F("length 1", FIXED | RW, mf, 0, 1, 0x146000);
		F("iova + 1", FIXED | RW, mf, 0, PG, 0x148001);
		F("start at the end", FIXED | RW, mf, 16 * PG, PG, 0x150000);
		F("past the end", FIXED | RW, mf, 0, 32 * PG, 0x160000);
		F("empty memfd", FIXED | RW, em, 0, PG, 0x190000);
		F("start 2^63", FIXED | RW, mf, 1ull << 63, PG, 0x1a0000);
		F("start 2^64-4096", FIXED | RW, mf, 0xfffffffffffff000ull, PG, 0x1a0000);
		F("start wraps", FIXED | RW, mf, 0xfffffffffffff000ull, 2 * PG, 0x1a0000);
		F("length 2^64-1", FIXED | RW, mf, 0, ALL, 0x1a0000);
		F("iova 2^64-1", FIXED | RW, mf, 0, PG, ALL);
		F("fd -1", FIXED | RW, -1, 0, PG, 0x1b0000);
		F("fd not open", FIXED | RW, 1000, 0, PG, 0x1b0000);
		x = open("/dev/null", O_RDWR);
		F("/dev/null", FIXED | RW, x, 0, PG, 0x1b0000);
		close(x);
		x = open("/dev/zero", O_RDWR);
		F("/dev/zero", FIXED | RW, x, 0, PG, 0x1b0000);
		close(x);
		x = eventfd(0, 0);
		F("eventfd", FIXED | RW, x, 0, PG, 0x1b0000);
		close(x);
		x = open("/", O_RDONLY);
		F("a folder", FIXED | RW, x, 0, PG, 0x1b0000);
		close(x);
		x = open("/proc/self/maps", O_RDONLY);
		F("a file of /proc", FIXED | RW, x, 0, PG, 0x1b0000);
		close(x);
		F("the iommufd", FIXED | RW, s.i, 0, PG, 0x1b0000);
		F("the device", FIXED | RW, s.d, 0, PG, 0x1b0000);
		{
			/* of tmpfs, which /tmp is not everywhere */
			char p[] = "/dev/shm/probeXXXXXX";
			if (access("/dev/shm", W_OK))
				memcpy(p, "/tmp/probeXXXXXX", sizeof("/tmp/probeXXXXXX"));
			x = mkstemp(p);
			(void)!ftruncate(x, 4 * PG);
			F("a file in /tmp", FIXED | RW, x, 0, 4 * PG, 0x1c0000);
			close(x);
			unlink(p);
		}
		{
			char p[64];
			snprintf(p, sizeof p, "/proc/self/fd/%d", mf);
			x = open(p, O_RDONLY);
			F("memfd opened O_RDONLY, rw", FIXED | RW, x, 0, PG, 0x1d0000);
			F("memfd opened O_RDONLY, r", FIXED | RD, x, 0, PG, 0x1d2000);
			close(x);
			x = open(p, O_PATH);
			F("memfd opened O_PATH", FIXED | RD, x, 0, PG, 0x1d4000);
			close(x);
		}
		{
			int z = memfd_create("z", MFD_ALLOW_SEALING);
			(void)!ftruncate(z, 4 * PG);
			fcntl(z, F_ADD_SEALS, F_SEAL_WRITE);
			F("memfd sealed against writing, rw", FIXED | RW, z, 0, PG, 0x1e0000);
			F("memfd sealed against writing, r", FIXED | RD, z, 0, PG, 0x1e2000);
			close(z);
		}
		{
			int z = memfd_create("z", MFD_HUGETLB);
			F("hugetlb memfd", FIXED | RW, z, 0, 2 << 20, 0x4000000);
			shut(z);
		}
		{
			int z = memfd_create("z", 0);
			(void)!ftruncate(z, 4 * PG);
			F("memfd, then cut", FIXED | RW, z, 0, 4 * PG, 0x1f0000);
			S(f("%s: ftruncate under a mapping", w), ftruncate(z, 0) ? -errno : 0);
			close(z);
			S(f("%s: unmap it, fd closed", w), unmap1(s.i, a, 0x1f0000, 4 * PG));
		}
		{
			struct mapfile m = { sizeof m, RW, a, mf, 0, PG, 7 };
			int r = io(s.i, MAPFILE, &m);
			say(f("%s: not fixed", w), r, "iova's low bits %#llx",
			    (unsigned long long)(m.iova & 0xfff));
		}
		S(f("%s: id 999", w), mfile(s.i, 999, FIXED | RW, mf, 0, PG, 0x1b0000));
		S(f("%s: bad fd and bad id", w), mfile(s.i, 999, FIXED | RW, -1, 0, PG, 0x1b0000));
		S(f("%s: at the MSI window", w), mfile(s.i, a, FIXED | RW, mf, 0, PG, 0xfee00000));
		S(f("%s: copy a part of it", w),
		  copyf(s.i, a, a, FIXED | RW, 2 * PG, 0x300000, 0x101000));
		S(f("%s: unmap a part", w), unmap1(s.i, a, 0x100000, PG));
		S(f("%s: unmap all of it", w), unmap1(s.i, a, 0x100000, 16 * PG));
	}
	S("NULL", io(s.i, MAPFILE, NULL));
	S("unmap all", unmap1(s.i, s.as, 0, ALL));
	S("unmap all", unmap1(s.i, at, 0, ALL));
	u32 c[2] = { 8, 0 };
	S("CHANGE_PROCESS, no maps", io(s.i, CHPROC, c));
	S("map a file", mfile(s.i, at, FIXED | RW, mf, 0, PG, 0x100000));
	S("CHANGE_PROCESS, a file's map", io(s.i, CHPROC, c));
	S("map memory", map(s.i, at, FIXED | RW, mem, PG, 0x200000));
	S("CHANGE_PROCESS, and memory's", io(s.i, CHPROC, c));
	c[1] = 1;
	S("CHANGE_PROCESS, reserved 1", io(s.i, CHPROC, c));
	S("CHANGE_PROCESS NULL", io(s.i, CHPROC, NULL));
	c[1] = 0;
	fflush(stdout);
	if (!fork()) {
		S("in a child: CHANGE_PROCESS", io(s.i, CHPROC, c));
		S("in a child: unmap memory's", unmap1(s.i, at, 0x200000, PG));
		S("in a child: CHANGE_PROCESS then", io(s.i, CHPROC, c));
		S("in a child: map memory", map(s.i, at, FIXED | RW, mem, PG, 0x210000));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	S("after the child: unmap its mapping", unmap1(s.i, at, 0x210000, PG));
	shut(s.d);
	shut(s.i);
}
