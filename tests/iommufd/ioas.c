/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/ioas.c: attaching a device, and address spaces: their ids, ranges and allowed
 * ranges.
 */
#include "probe.h"

void ask_attach(void)
{
	struct st s = start();
	u32 as2, pt, h, h2;
	if (!s.ok)
		return;
	ioas(s.i, &as2);
	static const u32 sz[] = { 0, 4, 8, 11 };
	for (int k = 0; k < 4; k++) {
		struct attach a = { .argsz = sz[k], .pt = s.as };
		S(f("ATTACH argsz %u", sz[k]), io(s.d, ATTACH, &a));
	}
	S("ATTACH NULL", io(s.d, ATTACH, NULL));
	for (int k = 1; k < 32; k += k < 3 ? 1 : 28) {
		struct attach a = { .argsz = 16, .flags = 1u << k, .pt = s.as };
		S(f("ATTACH flag %#x", 1u << k), io(s.d, ATTACH, &a));
	}
	{
		struct attach a = { .argsz = 12, .flags = 1, .pt = s.as };
		S("ATTACH PASID argsz 12", io(s.d, ATTACH, &a));
		a.argsz = 16;
		S("ATTACH PASID 0", io(s.d, ATTACH, &a));
		{
			u32 o;
			ioas(s.i, &o);
			S("  then ATTACH without PASID", attach1(s.d, o));
			S("  then DETACH without PASID", detach(s.d));
			S("  then ATTACH", attach1(s.d, o));
			struct detach q = { 12, 1, 0 };
			S("  DETACH PASID 0", io(s.d, DETACH, &q));
			S("  then ATTACH", attach1(s.d, o));
			a.pt = o;
			S("  then ATTACH PASID 0", io(s.d, ATTACH, &a));
			S("  DETACH", detach(s.d));
			S("  DETACH PASID 0", io(s.d, DETACH, &q));
			S("  DESTROY IOAS", destroy(s.i, o));
		}
		a.pasid = 1;
		a.pt = s.as;
		S("ATTACH PASID 1", io(s.d, ATTACH, &a));
		a.pasid = 1 << 20;
		a.pt = s.as;
		S("ATTACH PASID 1<<20", io(s.d, ATTACH, &a));
		a.pasid = ~0u;
		S("ATTACH PASID ~0", io(s.d, ATTACH, &a));
	}
	S("ATTACH id 0", attach1(s.d, 0));
	S("ATTACH id 1000", attach1(s.d, 1000));
	S("ATTACH id ~0", attach1(s.d, ~0u));
	S("ATTACH the device's id", attach1(s.d, s.dev));
	{
		struct attach a = { .argsz = 12, .pt = s.as };
		void *p = ro(&a, 12);
		S("ATTACH struct not writable", io(s.d, ATTACH, p));
		S("DESTROY IOAS after that", destroy(s.i, as2));
		ioas(s.i, &as2);
	}
	pt = s.as;
	{
		int r = attach(s.d, &pt);
		say("ATTACH IOAS", r, "pt_id %s", pt == s.as ? "unchanged" : "changed");
	}
	h = pt;
	S("DESTROY IOAS, attached", destroy(s.i, s.as));
	S("DESTROY its HWPT, attached", destroy(s.i, h));
	S("DESTROY device, attached", destroy(s.i, s.dev));
	pt = s.as;
	{
		int r = attach(s.d, &pt);
		say("ATTACH IOAS again", r, "pt_id %s", pt == h ? "same HWPT" : "other");
	}
	{
		struct attach a = { .argsz = 64, .pt = s.as };
		u8 big[64] = { 0 };
		memcpy(big, &a, 16);
		big[60] = 1;
		S("ATTACH argsz 64, tail not zero", io(s.d, ATTACH, big));
	}
	pt = h;
	{
		int r = attach(s.d, &pt);
		say("ATTACH the auto HWPT's id", r, "pt_id %s", pt == h ? "same" : "other");
	}
	pt = as2;
	{
		int r = attach(s.d, &pt);
		say("ATTACH another IOAS (replace)", r, "pt_id %s",
		    pt == h ? "same HWPT" : "other");
	}
	h2 = pt;
	S("DESTROY old auto HWPT after replace", destroy(s.i, h));
	S("DESTROY old IOAS after replace", destroy(s.i, s.as));
	S("ATTACH destroyed IOAS", attach1(s.d, s.as));
	S("still attached: DESTROY second IOAS", destroy(s.i, as2));
	S("ATTACH bad id while attached", attach1(s.d, 1000));
	S("then still attached: DESTROY IOAS", destroy(s.i, as2));
	S("DETACH", detach(s.d));
	S("DETACH again", detach(s.d));
	S("DESTROY auto HWPT after detach", destroy(s.i, h2));
	S("DESTROY IOAS after detach", destroy(s.i, as2));
	for (int k = 0; k < 8; k += 4) {
		struct detach a = { .argsz = k };
		S(f("DETACH argsz %d", k), io(s.d, DETACH, &a));
	}
	{
		struct detach a = { .argsz = 8, .flags = 2 };
		S("DETACH flag 2", io(s.d, DETACH, &a));
		a.flags = 1u << 31;
		S("DETACH flag 1<<31", io(s.d, DETACH, &a));
		a.flags = 1;
		S("DETACH PASID argsz 8", io(s.d, DETACH, &a));
		a.argsz = 12;
		S("DETACH PASID 0", io(s.d, DETACH, &a));
		a.pasid = 5;
		S("DETACH PASID 5", io(s.d, DETACH, &a));
		a.argsz = 4096;
		a.flags = 0;
		S("DETACH argsz 4096", io(s.d, DETACH, &a));
	}
	S("DETACH NULL", io(s.d, DETACH, NULL));
	/* an explicit HWPT */
	ioas(s.i, &s.as);
	ioas(s.i, &as2);
	S("HWPT_ALLOC", hwpt(s.i, s.dev, s.as, 0, &h));
	pt = h;
	{
		int r = attach(s.d, &pt);
		say("ATTACH HWPT", r, "pt_id %s", pt == h ? "same" : "other");
	}
	S("DESTROY HWPT, attached", destroy(s.i, h));
	S("DESTROY its IOAS", destroy(s.i, s.as));
	S("HWPT_ALLOC, second, same IOAS", hwpt(s.i, s.dev, s.as, 0, &h2));
	pt = h2;
	S("ATTACH second HWPT (replace)", attach(s.d, &pt));
	S("DESTROY first HWPT", destroy(s.i, h));
	pt = s.as;
	{
		int r = attach(s.d, &pt);
		say("ATTACH IOAS over an explicit HWPT of it", r, "pt_id %s",
		    pt == h2 ? "that HWPT" : "other");
	}
	S("DESTROY that HWPT", destroy(s.i, h2));
	S("DETACH", detach(s.d));
	S("DESTROY HWPT after detach", destroy(s.i, h2));
	S("DESTROY IOAS, HWPT gone", destroy(s.i, s.as));
	{
		int j = iommu();
		u32 o;
		ioas(j, &o);
		for (int k = 0; k < 20; k++)
			ioas(j, &o);
		S("ATTACH an id of another iommufd only", attach1(s.d, o));
		shut(j);
	}
	/* mappings and attaching */
	S("MAP into IOAS before attach", map(s.i, as2, FIXED | RW, mem, 4 * PG, 0x100000));
	S("ATTACH it", attach1(s.d, as2));
	S("UNMAP while attached", unmap1(s.i, as2, 0x100000, 4 * PG));
	S("MAP while attached", map(s.i, as2, FIXED | RW, mem, 4 * PG, 0x100000));
	ioas(s.i, &s.as);
	S("replace by an empty IOAS", attach1(s.d, s.as));
	S("and back", attach1(s.d, as2));
	S("DETACH with mappings", detach(s.d));
	S("UNMAP after detach", unmap1(s.i, as2, 0x100000, 4 * PG));
	/* conflicts: a mapping or an allowed range that the device forbids */
	S("MAP at the MSI window, not attached", map(s.i, as2, FIXED | RW, mem, PG, 0xfee00000));
	S("ATTACH it", attach1(s.d, as2));
	S("UNMAP it", unmap1(s.i, as2, 0xfee00000, PG));
	S("MAP beyond the aperture (1<<60), not attached",
	  map(s.i, as2, FIXED | RW, mem, PG, 1ull << 60));
	S("ATTACH it", attach1(s.d, as2));
	S("UNMAP it", unmap1(s.i, as2, 1ull << 60, PG));
	S("MAP at iova 0x200, length 512, not attached",
	  map(s.i, as2, FIXED | RW, mem + 0x200, 512, 0x200));
	S("ATTACH it", attach1(s.d, as2));
	S("UNMAP it", unmap1(s.i, as2, 0x200, 512));
	S("MAP of no memory, not attached",
	  map(s.i, as2, FIXED | RW, (void *)0x10000, PG, 0x10000));
	S("ATTACH it", attach1(s.d, as2));
	S("HWPT_ALLOC over it", hwpt(s.i, s.dev, as2, 0, &h));
	S("replace by it", (attach1(s.d, s.as), attach1(s.d, as2)));
	S("UNMAP it", unmap1(s.i, as2, 0x10000, PG));
	S("ATTACH then", attach1(s.d, as2));
	S("DETACH", detach(s.d));
	struct range all = { 0, 0xffffffff };
	S("ALLOW all of 32 bits", allowf(s.i, as2, 1, &all));
	S("ATTACH it", attach1(s.d, as2));
	S("HWPT_ALLOC over it", hwpt(s.i, s.dev, as2, 0, &h));
	shut(s.d);
	shut(s.i);
}

void ask_ioas(void)
{
	int i = iommu(), j = iommu();
	u32 a, b, c, d;
	if (i < 0) {
		S("open", i);
		return;
	}
	{
		struct ioas x = { sizeof x, 1, 0 };
		S("ALLOC flags 1", io(i, IOAS_ALLOC, &x));
		x.flags = 1u << 31;
		S("ALLOC flags 1<<31", io(i, IOAS_ALLOC, &x));
		x.flags = 0;
		x.id = 99;
		int r = io(i, IOAS_ALLOC, &x);
		say("ALLOC", r, "id %s", x.id == 1 ? "1" : "other");
		a = x.id;
		void *p = ro(&x, sizeof x);
		S("ALLOC struct not writable", io(i, IOAS_ALLOC, p));
	}
	{
		int r = ioas(i, &b);
		say("ALLOC second", r, "id %s", b == a + 1 ? "next" : "other");
	}
	{
		int r = ioas(i, &c);
		say("ALLOC third", r, "id %s", c == b + 1 ? "next" : "other");
	}
	S("DESTROY second", destroy(i, b));
	{
		int r = ioas(i, &d);
		say("ALLOC after destroy", r, "id %s",
		    d == b	 ? "used again"
		    : d == c + 1 ? "next"
				 : "other");
	}
	{
		int r = ioas(j, &d);
		say("ALLOC in another iommufd", r, "id %s", d == 1 ? "1" : "other");
	}
	S("DESTROY", destroy(i, a));
	S("DESTROY twice", destroy(i, a));
	S("DESTROY 0", destroy(i, 0));
	S("DESTROY ~0", destroy(i, ~0u));
	S("DESTROY 0x80000000", destroy(i, 0x80000000u));
	S("DESTROY an id of another iommufd", destroy(i, 1000));
	S("MAP then DESTROY: map", map(i, c, FIXED | RW, mem, PG, 0));
	S("MAP then DESTROY: destroy", destroy(i, c));
	S("UNMAP in a destroyed IOAS", unmap1(i, c, 0, ALL));
	{
		u32 w[4] = { 8, d, 7, 7 };
		w[1] = 99;
		S("DESTROY size 8", io(i, DESTROY, w));
		w[0] = 12;
		S("DESTROY size 12, tail 7", io(i, DESTROY, w));
		w[2] = 0;
		S("DESTROY size 12, tail 0", io(i, DESTROY, w));
		w[0] = 4;
		S("DESTROY size 4", io(i, DESTROY, w));
	}
	int n;
	for (n = 0; n < 1000; n++)
		if (ioas(i, &a))
			break;
	S("1000 of them", n == 1000 ? 0 : -ENOMEM);
	shut(i);
	shut(j);
}

static void ranges(int i, u32 id, const char *when)
{
	struct range t[16];
	struct ranges x = { sizeof x, id, 16, 0, (u64)(uintptr_t)t, 0 };
	int r = io(i, RANGES, &x);
	say(f("RANGES %s", when), r, "num %u alignment %llu", x.num, (unsigned long long)x.align);
	for (u32 k = 0; !r && k < x.num && k < 16; k++)
		printf("%s: RANGES %s: [%#llx,%#llx]\n", section, when,
		       (unsigned long long)t[k].start, (unsigned long long)t[k].last);
}

void ask_ranges(void)
{
	struct st s = start();
	struct range t[16];
	if (!s.ok)
		return;
	for (int k = 0; k < 2; k++) {
		const char *w = k ? "attached" : "not attached";
		ranges(s.i, s.as, w);
		struct ranges x = { sizeof x, s.as, 0, 0, 0, 7 };
		int r = io(s.i, RANGES, &x);
		say(f("%s: num 0, NULL", w), r, "num %u alignment %llu", x.num,
		    (unsigned long long)x.align);
		x.num = 1;
		x.ptr = (u64)(uintptr_t)t;
		memset(t, 0x55, sizeof t);
		r = io(s.i, RANGES, &x);
		say(f("%s: num 1", w), r, "num %u, first %s, second %s", x.num,
		    t[0].start == 0 ? "filled" : "not",
		    t[1].start == 0x5555555555555555ull ? "untouched" : "filled");
		x.num = 8;
		x.ptr = 0;
		S(f("%s: num 8, NULL", w), io(s.i, RANGES, &x));
		x.num = 8;
		x.ptr = ~0ull;
		S(f("%s: num 8, bad pointer", w), io(s.i, RANGES, &x));
		x.num = ~0u;
		x.ptr = (u64)(uintptr_t)t;
		r = io(s.i, RANGES, &x);
		say(f("%s: num ~0", w), r, "num %u", x.num);
		x.num = 8;
		x.res = 1;
		S(f("%s: reserved 1", w), io(s.i, RANGES, &x));
		x.res = 0;
		x.id = 999;
		S(f("%s: id 999", w), io(s.i, RANGES, &x));
		x.id = s.dev;
		S(f("%s: the device's id", w), io(s.i, RANGES, &x));
		x.id = 0;
		S(f("%s: id 0", w), io(s.i, RANGES, &x));
		if (!k)
			S("ATTACH", attach1(s.d, s.as));
	}
	S("DETACH", detach(s.d));
	ranges(s.i, s.as, "after detach");
	u32 h;
	S("HWPT_ALLOC", hwpt(s.i, s.dev, s.as, 0, &h));
	ranges(s.i, s.as, "with an HWPT, not attached");
	S("DESTROY HWPT", destroy(s.i, h));
	ranges(s.i, s.as, "HWPT gone");
	shut(s.d);
	shut(s.i);
}

void ask_allow(void)
{
	struct st s = start();
	u32 as2;
	if (!s.ok)
		return;
	ioas(s.i, &as2);
	struct range a[4] = { { 0x100000, 0x1fffff }, { 0x400000, 0x4fffff }, { 0, 0 }, { 0, 0 } };
	S("num 0, NULL", allowf(s.i, s.as, 0, NULL));
	S("num 1, NULL", allowf(s.i, s.as, 1, NULL));
	S("id 999", allowf(s.i, 999, 1, a));
	S("the device's id", allowf(s.i, s.dev, 1, a));
	{
		struct allow x = { sizeof x, s.as, 1, 1, (u64)(uintptr_t)a };
		S("reserved 1", io(s.i, ALLOW, &x));
	}
	{
		struct range b = { 5, 4 };
		S("last < start", allowf(s.i, s.as, 1, &b));
		b.start = 4;
		b.last = 4;
		S("last == start", allowf(s.i, s.as, 1, &b));
		b.last = 5;
		S("two bytes", allowf(s.i, s.as, 1, &b));
		b.start = 0;
		b.last = ALL;
		S("everything", allowf(s.i, s.as, 1, &b));
	}
	{
		struct range b[2] = { { 0, 0x1000 }, { 0x1000, 0x2000 } };
		S("overlap by a byte", allowf(s.i, s.as, 2, b));
		b[1].start = 0x1001;
		S("adjacent", allowf(s.i, s.as, 2, b));
		struct range d[2] = { { 0x5000, 0x6000 }, { 0, 0x1000 } };
		S("not sorted", allowf(s.i, s.as, 2, d));
	}
	S("two ranges", allowf(s.i, s.as, 2, a));
	ranges(s.i, s.as, "with allowed");
	u64 v = 0;
	int r = mapf(s.i, s.as, RW, (u64)(uintptr_t)mem, 4 * PG, &v);
	say("MAP not fixed", r, "within the allowed %d",
	    (v >= 0x100000 && v <= 0x1fffff) || (v >= 0x400000 && v <= 0x4fffff));
	v = 0;
	S("MAP not fixed, larger than an allowed range",
	  mapf(s.i, s.as, RW, (u64)(uintptr_t)mem, 64 * PG * 8, &v));
	S("MAP fixed outside the allowed", map(s.i, s.as, FIXED | RW, mem, PG, 0x10000000));
	S("MAP fixed across the border", map(s.i, s.as, FIXED | RW, mem, 2 * PG, 0x1ff000));
	{
		struct range b = { 0x700000, 0x7fffff };
		S("replaced by another, with maps outside it", allowf(s.i, s.as, 1, &b));
		v = 0;
		r = mapf(s.i, s.as, RW, (u64)(uintptr_t)mem, PG, &v);
		say("MAP not fixed", r, "within it %d", v >= 0x700000 && v <= 0x7fffff);
	}
	S("num 0 again", allowf(s.i, s.as, 0, NULL));
	S("UNMAP all", unmap1(s.i, s.as, 0, ALL));
	S("ATTACH", attach1(s.d, as2));
	{
		struct range b = { 0xfe000000, 0xff000000 };
		S("attached: over the MSI window", allowf(s.i, as2, 1, &b));
		b.start = 0;
		b.last = 0x1000000;
		S("attached: within the ranges", allowf(s.i, as2, 1, &b));
		b.start = 1ull << 60;
		b.last = (1ull << 60) + 0xffff;
		S("attached: beyond the aperture", allowf(s.i, as2, 1, &b));
		b.start = 0x800;
		b.last = 0x17ff;
		S("attached: half a page", allowf(s.i, as2, 1, &b));
		v = 0;
		S("attached: MAP not fixed in half a page",
		  mapf(s.i, as2, RW, (u64)(uintptr_t)mem, PG, &v));
	}
	shut(s.d);
	shut(s.i);
}
