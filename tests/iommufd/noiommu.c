/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/noiommu.c: a device that no IOMMU is before: its names, its group in an iommufd,
 * and the physical addresses of an IOAS.
 */
#include "probe.h"

/* Return the physical address of @p as /proc/self/pagemap has it, or 0. */
static u64 of_pagemap(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	u64 e = 0;
	if (pread(fd, &e, 8, (off_t)((u64)(uintptr_t)p / PG * 8)) != 8 || !(e >> 63))
		e = 0;
	shut(fd);
	return (e & ((1ull << 55) - 1)) * PG + (u64)(uintptr_t)p % PG;
}

static int getpa(int i, u32 id, u64 iova, u64 len, struct getpa *g)
{
	*g = (struct getpa){ sizeof *g, 0, id, 0, iova, len, 0 };
	return io(i, GETPA, g);
}

static void names(void)
{
	char p[200], b[64] = "";
	struct stat st;
	int r = stat(cdevpath, &st), a;
	say("cdev", r < 0 ? -errno : 0, "%.12s char %d", cdevname, !r && S_ISCHR(st.st_mode));
	snprintf(p, sizeof p, "/sys/class/vfio-dev/%s", cdevname);
	S("in /sys/class/vfio-dev", access(p, F_OK) ? -errno : 0);
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/vfio-dev/%s/uevent", bdf, cdevname);
	a = open(p, O_RDONLY);
	while (read(a, b, 1) == 1 && *b != 'D')
		;
	if (read(a, b, 32) > 0)
		b[31] = 0;
	S(f("uevent: D%.31s", b), 0);
	shut(a);
	say("group", access(grouppath, F_OK) ? -errno : 0, "%.18s", grouppath);
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/iommu_group/name", bdf);
	memset(b, 0, sizeof b);
	a = open(p, O_RDONLY);
	S("name is vfio-noiommu", read(a, b, sizeof b - 1) > 0 && !strcmp(b, "vfio-noiommu\n"));
	shut(a);
}

static void compat_answers(int i, const char *when)
{
	static const unsigned ext[] = { 1, 2, 3, 4, 6, 7, 8, 9, 10, 11 };
	struct vioas v = { sizeof v, 0, 0, 0 };
	u8 info[128] = { 128 };
	struct dmap m = { sizeof m, 3, (u64)(uintptr_t)mem, 0, PG };
	struct dunmap u = { sizeof u, 0, 0, PG };
	for (unsigned k = 0; k < sizeof ext / sizeof *ext; k++)
		S(f("%s: CHECK_EXTENSION %u", when, ext[k]), ov(i, CHECK, ext[k]));
	S(f("%s: VFIO_IOAS get", when), io(i, VFIO_IOAS, &v));
	S(f("%s: GET_INFO", when), io(i, C_INFO, info));
	S(f("%s: MAP_DMA", when), io(i, C_MAP, &m));
	S(f("%s: UNMAP_DMA", when), io(i, C_UNMAP, &u));
}

static int status(int g)
{
	u32 s[2] = { 8, 0 };
	int r = io(g, STATUS, s);
	return r < 0 ? r : (int)s[1];
}

static void group_in_iommufd(void)
{
	int i = iommu(), g = opn(grouppath, O_RDWR), d, d2, c, g2, i2;
	struct vioas v = { sizeof v, 0, 0, 0 };
	u32 as, id;
	S("group: open", g < 0 ? g : 0);
	S("group: status", status(g));
	S("group: device before", ov(g, GETDEV, (u64)(uintptr_t)bdf));
	compat_answers(i, "before");
	S("before: SET_IOMMU 8", ov(i, SETIOMMU, 8));
	S("group: set iommufd", io(g, SETCONT, &i));
	S("group: again", io(g, SETCONT, &i));
	S("group: status in it", status(g));
	compat_answers(i, "in it");
	S("SET_IOMMU 1", ov(i, SETIOMMU, 1));
	S("SET_IOMMU 3", ov(i, SETIOMMU, 3));
	S("SET_IOMMU 7", ov(i, SETIOMMU, 7));
	S("SET_IOMMU 8", ov(i, SETIOMMU, 8));
	S("SET_IOMMU 8 again", ov(i, SETIOMMU, 8));
	d = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("device", d < 0 ? d : 0);
	{
		u8 info[32] = { 20 };
		u32 at = 0;
		S("device: GET_INFO", io(d, DEVINFO, info));
		S("device: RESET", io(d, RESET, NULL));
		S("device: BIND", bindto(d, i, NULL));
		S("device: ATTACH", attach(d, &at));
		S("device: DETACH", detach(d));
	}
	d2 = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("device once more", d2 < 0 ? d2 : 0);
	shut(d2);
	{
		int k = cdev();
		S("cdev: open meanwhile", k < 0 ? k : 0);
		S("cdev: BIND meanwhile", bindto(k, i, NULL));
		shut(k);
	}
	/* an IOAS for type1's ioctls, made while it is in no-iommu mode */
	S("IOAS_ALLOC", ioas(i, &as));
	v.id = as;
	v.op = 1;
	S("VFIO_IOAS set", io(i, VFIO_IOAS, &v));
	compat_answers(i, "with an IOAS");
	S("with an IOAS: SET_IOMMU 1", ov(i, SETIOMMU, 1));
	S("with an IOAS: SET_IOMMU 8", ov(i, SETIOMMU, 8));
	d2 = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("with an IOAS: device once more", d2 < 0 ? d2 : 0);
	shut(d2);
	shut(d);
	d = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("with an IOAS: device anew", d < 0 ? d : 0);
	shut(d);
	v.op = 2;
	S("VFIO_IOAS clear", io(i, VFIO_IOAS, &v));
	d = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("without: device anew", d < 0 ? d : 0);
	S("unset while it is open", io(g, UNSETCONT, NULL));
	S("status then", status(g));
	d2 = ov(g, GETDEV, (u64)(uintptr_t)bdf);
	S("device then", d2 < 0 ? d2 : 0);
	shut(d2);
	S("set again while it is open", io(g, SETCONT, &i));
	S("unset again", io(g, UNSETCONT, NULL));
	c = opn("/dev/vfio/vfio", O_RDWR);
	S("a container while it is open", io(g, SETCONT, &c));
	S("unset it", io(g, UNSETCONT, NULL));
	shut(c);
	shut(d);
	S("unset, not set", io(g, UNSETCONT, NULL));
	/* the mode stays, but not where an IOAS is */
	S("again: set iommufd", io(g, SETCONT, &i));
	S("again: unset", io(g, UNSETCONT, NULL));
	i2 = iommu();
	S("another: IOAS_ALLOC", ioas(i2, &id));
	v = (struct vioas){ sizeof v, id, 1, 0 };
	S("another: VFIO_IOAS set", io(i2, VFIO_IOAS, &v));
	S("another: set iommufd", io(g, SETCONT, &i2));
	S("another: CHECK_EXTENSION 1", ov(i2, CHECK, 1));
	v.op = 2;
	S("another: VFIO_IOAS clear", io(i2, VFIO_IOAS, &v));
	S("another: set iommufd then", io(g, SETCONT, &i2));
	shut(i2);
	g2 = opn(grouppath, O_RDWR);
	S("group: a second open", g2 < 0 ? g2 : 0);
	shut(g2);
	shut(g);
	shut(i);
}

static void addresses(void)
{
	struct st s = start();
	struct getpa g;
	struct hwpt h;
	u64 iova, pa, at;
	u32 pt = s.as, hw = 0, hw2, other;
	int r, fd;
	if (!s.ok)
		return;
	S("map before a page table", map(s.i, s.as, RW | FIXED, mem, 4 * PG, PG));
	S("GET_PA before a page table", getpa(s.i, s.as, PG, PG, &g));
	{
		struct hwinfo w = { .size = sizeof w, .dev = s.dev };
		S("GET_HW_INFO", io(s.i, HWINFO, &w));
		w.dev = 999;
		S("GET_HW_INFO of none", io(s.i, HWINFO, &w));
	}
	for (u32 fl = 0; fl < 32; fl = fl ? fl * 2 : 1) {
		r = hwpt(s.i, s.dev, s.as, fl, &hw2);
		S(f("HWPT_ALLOC flags %u", fl), r);
		if (!r)
			S("destroyed", destroy(s.i, hw2));
	}
	h = (struct hwpt){
		.size = sizeof h, .dev = s.dev, .pt = s.as, .type = 1, .len = 8, .ptr = 1
	};
	S("HWPT_ALLOC with data", io(s.i, HWPT, &h));
	{
		struct faultq q = { sizeof q, 0, 0, 0 };
		S("FAULT_QUEUE_ALLOC", io(s.i, FAULTQ, &q));
		h = (struct hwpt){
			.size = sizeof h, .flags = 4, .dev = s.dev, .pt = s.as, .fault = q.id
		};
		r = io(s.i, HWPT, &h);
		S("HWPT_ALLOC with a fault queue", r);
		if (!r) {
			S("ATTACH to it", attach1(s.d, h.out));
			S("DETACH", detach(s.d));
			S("destroyed", destroy(s.i, h.out));
		}
		shut((int)q.fd);
	}
	S("HWPT_ALLOC", hwpt(s.i, s.dev, s.as, 0, &hw));
	S("HWPT_ALLOC of a HWPT", hwpt(s.i, s.dev, hw, 0, &hw2));
	{
		struct setdirty d = { sizeof d, 1, hw, 0 };
		u64 bits = 0;
		struct getdirty gd = { sizeof gd, hw, 0, 0, PG, PG, PG, (u64)(uintptr_t)&bits };
		S("SET_DIRTY_TRACKING", io(s.i, SETDIRTY, &d));
		S("GET_DIRTY_BITMAP", io(s.i, GETDIRTY, &gd));
	}
	S("GET_PA with one", r = getpa(s.i, s.as, PG, PG, &g));
	pa = g.phys;
	say("it is that of the pagemap", 0, "%d", pa && pa == of_pagemap(mem));
	say("length", (long)g.len, NULL);
	S("GET_PA in a page", getpa(s.i, s.as, PG + 100, 50, &g));
	say("that byte", 0, "%d, length %llu", g.phys == pa + 100, (unsigned long long)g.len);
	S("GET_PA to the end of a page", getpa(s.i, s.as, PG + 100, ALL, &g));
	say("that byte", 0, "%d, at least the page %d", g.phys == pa + 100,
	    g.len >= PG - 100 && g.len <= 4 * PG - 100);
	for (int k = 0; k < 4; k++) {
		r = getpa(s.i, s.as, PG + k * PG, PG, &g);
		say(f("page %d", k), r, "%d", g.phys == of_pagemap(mem + k * PG));
	}
	S("GET_PA behind it", getpa(s.i, s.as, 5 * PG, 1, &g));
	S("GET_PA before it", getpa(s.i, s.as, 0, 2 * PG, &g));
	S("GET_PA of length 0", getpa(s.i, s.as, PG, 0, &g));
	S("GET_PA of the HWPT", getpa(s.i, hw, PG, 1, &g));
	g = (struct getpa){ sizeof g, 1, s.as, 0, PG, PG, 0 };
	S("GET_PA flags 1", io(s.i, GETPA, &g));
	g = (struct getpa){ sizeof g, 0, s.as, 1, PG, PG, 0 };
	S("GET_PA reserved 1", io(s.i, GETPA, &g));
	S("ATTACH to the HWPT", attach(s.d, &hw));
	S("ATTACH again", attach(s.d, &hw));
	pt = s.as;
	S("ATTACH to the IOAS", attach(s.d, &pt));
	S("GET_PA then", getpa(s.i, s.as, PG, PG, &g));
	say("the same", 0, "%d", g.phys == pa);
	S("destroy the HWPT", destroy(s.i, hw));
	S("GET_PA then", getpa(s.i, s.as, PG, PG, &g));
	{
		struct ranges q = { .size = sizeof q, .id = s.as };
		struct range e[4] = { 0 };
		q.num = 4;
		q.ptr = (u64)(uintptr_t)e;
		r = io(s.i, RANGES, &q);
		say("IOVA_RANGES", r, "%u, alignment %llu, 0x%llx-0x%llx", q.num,
		    (unsigned long long)q.align, (unsigned long long)e[0].start,
		    (unsigned long long)e[0].last);
	}
	S("map at the messages' window", map(s.i, s.as, RW | FIXED, mem, PG, 0xfee00000));
	S("GET_PA there", getpa(s.i, s.as, 0xfee00000, PG, &g));
	say("the same", 0, "%d", g.phys == pa);
	S("map at 2^47", map(s.i, s.as, RW | FIXED, mem + PG, PG, 1ull << 47));
	S("GET_PA there", getpa(s.i, s.as, 1ull << 47, PG, &g));
	iova = 0;
	S("map anywhere", mapf(s.i, s.as, RW, (u64)(uintptr_t)mem, 2 * PG, &iova));
	S("GET_PA there", getpa(s.i, s.as, iova, PG, &g));
	say("the same", 0, "%d", g.phys == pa);
	S("map, unaligned", map(s.i, s.as, RW | FIXED, mem + 1, PG, 0x800000));
	/* what the program takes away is still the device's */
	{
		char *p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0),
		     *q;
		memset(p, 7, 2 * PG);
		at = of_pagemap(p);
		S("map two pages", map(s.i, s.as, RW | FIXED, p, 2 * PG, 0x900000));
		S("GET_PA", getpa(s.i, s.as, 0x900000, PG, &g));
		say("that of the pagemap", 0, "%d", at && g.phys == at);
		munmap(p, 2 * PG);
		q = mmap(p, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0);
		memset(q, 8, 2 * PG);
		S("GET_PA when it is gone", getpa(s.i, s.as, 0x900000, PG, &g));
		say("the same", 0, "%d, and not that of what is there now %d", g.phys == at,
		    of_pagemap(q) != at);
		S("GET_PA of its second page", getpa(s.i, s.as, 0x901000, PG, &g));
		say("not that of what is there now", 0, "%d", of_pagemap(q + PG) != g.phys);
		S("unmap it", unmap1(s.i, s.as, 0x900000, 2 * PG));
		S("GET_PA then", getpa(s.i, s.as, 0x900000, PG, &g));
		munmap(q, 2 * PG);
	}
	fd = memfd_create("x", 0);
	r = ftruncate(fd, 4 * PG);
	{
		char *p = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		struct mapfile m = { sizeof m, RW | FIXED, s.as, fd, PG, 2 * PG, 0xa00000 };
		memset(p, 3, 4 * PG);
		S("MAP_FILE", io(s.i, MAPFILE, &m));
		S("GET_PA of it", getpa(s.i, s.as, 0xa00000, PG, &g));
		say("that of the pagemap", 0, "%d", g.phys == of_pagemap(p + PG));
		munmap(p, 4 * PG);
	}
	shut(fd);
	/* the same pages in another IOAS */
	S("IOAS_ALLOC", ioas(s.i, &other));
	S("COPY", copyf(s.i, other, s.as, RW | FIXED, 4 * PG, 0x10000, PG));
	S("GET_PA of the copy", getpa(s.i, other, 0x10000, PG, &g));
	S("ATTACH to the other", attach1(s.d, other));
	S("GET_PA of the copy then", getpa(s.i, other, 0x10000, PG, &g));
	say("the same", 0, "%d", g.phys == pa);
	S("GET_PA of the first then", getpa(s.i, s.as, PG, PG, &g));
	S("DETACH", detach(s.d));
	S("GET_PA of the copy after DETACH", getpa(s.i, other, 0x10000, PG, &g));
	S("DETACH again", detach(s.d));
	for (u32 pasid = 0; pasid < 2; pasid++) {
		struct attach a = { sizeof a, 1, s.as, pasid };
		struct detach de = { sizeof de, 1, pasid };
		S(f("ATTACH with PASID %u", pasid), io(s.d, ATTACH, &a));
		S(f("DETACH with PASID %u", pasid), io(s.d, DETACH, &de));
	}
	{
		struct viommu w = { .size = sizeof w, .type = 1, .dev = s.dev };
		r = hwpt(s.i, s.dev, s.as, 0, &w.hwpt);
		S("VIOMMU_ALLOC", io(s.i, VIOMMU, &w));
		destroy(s.i, w.hwpt);
	}
	r = opn(grouppath, O_RDWR);
	S("the group meanwhile", r < 0 ? r : 0);
	shut(r);
	S("GET_INFO of the device", io(s.d, DEVINFO, (u32[8]){ 20 }));
	S("RESET", io(s.d, RESET, NULL));
	shut(s.d);
	shut(s.i);
}

static void as_nobody(void)
{
	struct getpa g;
	int i, d, k;
	fflush(stdout);
	if (fork()) {
		wait(NULL);
		return;
	}
	k = iommu();
	d = opn(grouppath, O_RDWR);
	S("as nobody: SET_CONTAINER of root", io(d, SETCONT, &k));
	if (setuid(65534))
		_exit(1);
	S("as nobody: SET_IOMMU 8", ov(k, SETIOMMU, 8));
	i = ov(d, GETDEV, (u64)(uintptr_t)bdf);
	S("as nobody: device", i < 0 ? i : 0);
	S("as nobody: GET_PA", getpa(k, 1, 0, 1, &g));
	fflush(stdout);
	_exit(0);
}

void ask_noiommu(void)
{
	names();
	group_in_iommufd();
	addresses();
	as_nobody();
}
