/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/type1.c: the IOMMU of a container: information, mapping and unmapping with every
 * error, dirty pages, limits.
 */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "oracle.h"

#define RW  (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define MIB (1ull << 20)

static const struct vfio_info_cap_header *cap_of(const void *info, uint32_t off, uint16_t id)
{
	for (int ttl = 16; off && ttl--;) {
		const struct vfio_info_cap_header *h = (const void *)((const char *)info + off);

		if (h->id == id)
			return h;
		off = h->next;
	}
	return NULL;
}

static void get_info(int c)
{
	char buf[4096] = { 0 };
	struct vfio_iommu_type1_info *i = (void *)buf;
	static const uint32_t sizes[] = { 0, 8, 15, 16, 20, 24, 32 };
	const struct vfio_iommu_type1_info_cap_iova_range *r;
	const struct vfio_iommu_type1_info_cap_migration *mig;
	const struct vfio_iommu_type1_info_dma_avail *avail;
	uint32_t need;

	saw(ioctl(c, VFIO_IOMMU_GET_INFO, NOWHERE), "type1.get_info bad pointer");
	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		memset(buf, 0xee, sizeof(buf));
		i->argsz = sizes[k];
		saw(ioctl(c, VFIO_IOMMU_GET_INFO, i), "type1.get_info argsz %u", sizes[k]);
		if (sizes[k] < 16)
			continue;
		saw_hex(i->flags, "type1.get_info argsz %u flags", sizes[k]);
		saw(i->argsz > sizes[k], "type1.get_info argsz %u asks for more", sizes[k]);
		saw_hex(i->cap_offset, "type1.get_info argsz %u cap_offset", sizes[k]);
	}
	need = i->argsz;
	memset(buf, 0, sizeof(buf));
	i->argsz = need;
	MUST(need <= sizeof(buf) && ioctl(c, VFIO_IOMMU_GET_INFO, i) == 0);
	saw_hex(i->cap_offset, "type1.info cap_offset");
	saw(i->argsz == need, "type1.info argsz is kept");
	saw(!!(i->iova_pgsizes & 4096), "type1.info 4 KiB pages");
	saw(i->iova_pgsizes == -4096ull, "type1.info every size from 4 KiB");
	for (uint32_t off = i->cap_offset, n = 0; off && n < 16; n++) {
		const struct vfio_info_cap_header *h = (void *)(buf + off);

		saw(h->id, "type1.info cap %u id", n);
		saw(h->version, "type1.info cap %u version", n);
		off = h->next;
	}
	r = (const void *)cap_of(buf, i->cap_offset, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	MUST(r);
	saw(r->nr_iovas, "type1.info ranges");
	saw_hex(r->iova_ranges[0].start, "type1.info range 0 start");
	saw_hex(r->iova_ranges[0].end, "type1.info range 0 end");
	saw_hex(r->iova_ranges[1].start, "type1.info range 1 start");
	saw(r->iova_ranges[1].end >= (1ull << 39) - 1, "type1.info range 1 reaches 39 bits");
	mig = (const void *)cap_of(buf, i->cap_offset, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	MUST(mig);
	saw(mig->flags, "type1.info migration flags");
	saw_hex(mig->pgsize_bitmap, "type1.info migration page sizes");
	saw(mig->max_dirty_bitmap_size, "type1.info migration bitmap size");
	avail = (const void *)cap_of(buf, i->cap_offset, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	MUST(avail);
	saw(avail->avail, "type1.info available mappings");
	MUST(vfio_dma_map(c, pages(1), 0, 4096, RW) == 0);
	MUST(ioctl(c, VFIO_IOMMU_GET_INFO, i) == 0);
	saw(avail->avail, "type1.info available mappings after one");
	MUST(vfio_dma_unmap(c, 0, 4096, 0) == 4096);
	MUST(ioctl(c, VFIO_IOMMU_GET_INFO, i) == 0);
	saw(avail->avail, "type1.info available mappings after unmap");
}

static void map_errors(int c)
{
	uint8_t *p = pages(16);
	void *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *none;
	struct vfio_iommu_type1_dma_map m = {
		.flags = RW, .vaddr = (uintptr_t)p, .iova = 0x100000, .size = 4096
	};

	MUST((none = mmap(NULL, 4 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) !=
	     MAP_FAILED);
	saw(ioctl(c, VFIO_IOMMU_MAP_DMA, NOWHERE), "map.bad pointer");
	saw(ioctl(c, VFIO_IOMMU_MAP_DMA, NULL), "map.null");
	for (uint32_t a = 0; a <= 40; a += 8) {
		m.argsz = a;
		saw(ioctl(c, VFIO_IOMMU_MAP_DMA, &m), "map.argsz %u", a);
	}
	saw(vfio_dma_unmap(c, 0x100000, 4096, 0), "map.argsz: unmap");
	for (uint32_t f = 0; f < 10; f++) {
		saw(vfio_dma_map(c, p, 0x100000, 4096, f), "map.flags %u", f);
		vfio_dma_unmap(c, 0x100000, 4096, 0);
	}
	saw(vfio_dma_map(c, p, 0x100000, 4096, 0x80000003), "map.flags high bit");
	saw(vfio_dma_map(c, p, 0x100000, 0, RW), "map.size 0");
	saw(vfio_dma_map(c, p, 0x100001, 4096, RW), "map.iova misaligned");
	saw(vfio_dma_map(c, p, 0x100800, 4096, RW), "map.iova misaligned by half a page");
	saw(vfio_dma_map(c, p + 1, 0x100000, 4096, RW), "map.vaddr misaligned");
	saw(vfio_dma_map(c, p, 0x100000, 4095, RW), "map.size misaligned");
	saw(vfio_dma_map(c, p, 0x100000, 1, RW), "map.size 1");
	saw(vfio_dma_map(c, p, -4096ull, 8192, RW), "map.iova wraps");
	saw(vfio_dma_map(c, p, -4096ull, 4096, RW), "map.last page of 64 bits");
	saw(vfio_dma_map(c, p, 0, -4096ull, RW), "map.size huge");
	saw(vfio_dma_map(c, (void *)-4096ull, 0x100000, 8192, RW), "map.vaddr wraps");
	saw(vfio_dma_map(c, (void *)-4096ull, 0x100000, 4096, RW), "map.vaddr in the last page");
	saw(vfio_dma_map(c, (void *)0xffff800000000000ull, 0x100000, 4096, RW),
	    "map.vaddr of the kernel");
	saw(vfio_dma_map(c, NULL, 0x100000, 4096, RW), "map.vaddr 0");
	saw(vfio_dma_map(c, none, 0x100000, 4096, RW), "map.no access");
	saw(vfio_dma_map(c, ro, 0x100000, 4096, RW), "map.read-only memory for writing");
	saw(vfio_dma_map(c, ro, 0x100000, 4096, VFIO_DMA_MAP_FLAG_READ),
	    "map.read-only memory for reading");
	saw(vfio_dma_unmap(c, 0x100000, 4096, 0), "map.read-only memory: unmap");
	MUST(mmap(p + 4096, 4096, PROT_NONE, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0) !=
	     MAP_FAILED);
	saw(vfio_dma_map(c, p, 0x100000, 3 * 4096, RW), "map.a hole in the middle");
	saw(vfio_dma_unmap(c, 0x100000, 3 * 4096, 0), "map.a hole: nothing is left");
	MUST(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
	saw(vfio_dma_map(c, p, 0x100000, 2 * 4096, RW), "map.two pages");
	saw(vfio_dma_map(c, p, 0x100000, 2 * 4096, RW), "map.the same again");
	saw(vfio_dma_map(c, p, 0x100000, 4096, RW), "map.its start");
	saw(vfio_dma_map(c, p, 0x101000, 4096, RW), "map.its end");
	saw(vfio_dma_map(c, p, 0xff000, 2 * 4096, RW), "map.overlap from below");
	saw(vfio_dma_map(c, p, 0x101000, 2 * 4096, RW), "map.overlap from above");
	saw(vfio_dma_map(c, p, 0xff000, 4 * 4096, RW), "map.around it");
	saw(vfio_dma_map(c, p, 0x102000, 4096, RW), "map.right behind it");
	saw(vfio_dma_map(c, p, 0xff000, 4096, RW), "map.right before it");
	saw(vfio_dma_map(c, p, 0x100000, 2 * 4096, VFIO_DMA_MAP_FLAG_VADDR),
	    "map.vaddr flag, not invalidated");
	saw(vfio_dma_map(c, p, 0x200000, 4096, VFIO_DMA_MAP_FLAG_VADDR),
	    "map.vaddr flag, nothing there");
	saw(vfio_dma_unmap(c, 0xff000, 4 * 4096, 0), "map.unmap all four pages");
	/* the interrupt range and the ends of the address space */
	saw(vfio_dma_map(c, p, 0xfedff000, 4096, RW), "map.below the MSI range");
	saw(vfio_dma_map(c, p, 0xfee00000, 4096, RW), "map.start of the MSI range");
	saw(vfio_dma_map(c, p, 0xfeeff000, 4096, RW), "map.end of the MSI range");
	saw(vfio_dma_map(c, p, 0xfef00000, 4096, RW), "map.above the MSI range");
	saw(vfio_dma_map(c, p, 0xfedff000 - 4096, 3 * 4096, RW), "map.into the MSI range");
	saw(vfio_dma_map(c, p, (1ull << 39) - 4096, 4096, RW), "map.last page of 39 bits");
	saw(vfio_dma_map(c, p, 1ull << 60, 4096, RW), "map.beyond the address width");
	saw(vfio_dma_map(c, p, 0, 4096, RW), "map.iova 0");
	saw(vfio_dma_unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "map.unmap all");
	saw(vfio_dma_unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "map.unmap all of nothing");
}

static void unmap_errors(int c)
{
	uint8_t *p = pages(16);
	struct vfio_iommu_type1_dma_unmap u = { .iova = 0x100000, .size = 4096 };

	MUST(vfio_dma_map(c, p, 0x100000, 4 * 4096, RW) == 0);
	MUST(vfio_dma_map(c, p, 0x104000, 4 * 4096, RW) == 0);
	MUST(vfio_dma_map(c, p, 0x10a000, 2 * 4096, RW) == 0);
	saw(ioctl(c, VFIO_IOMMU_UNMAP_DMA, NOWHERE), "unmap.bad pointer");
	for (uint32_t a = 0; a < 24; a += 8) {
		u.argsz = a;
		saw(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u), "unmap.argsz %u", a);
	}
	for (uint32_t f = 1; f < 10; f++)
		saw(vfio_dma_unmap(c, 0x110000, 4096, f), "unmap.flags %u", f);
	saw(vfio_dma_unmap(c, 0, 4096, VFIO_DMA_UNMAP_FLAG_ALL), "unmap.all with a size");
	saw(vfio_dma_unmap(c, 4096, 0, VFIO_DMA_UNMAP_FLAG_ALL), "unmap.all with an iova");
	saw(vfio_dma_unmap(c, 0x100000, 0, 0), "unmap.size 0");
	saw(vfio_dma_unmap(c, 0x100001, 4096, 0), "unmap.iova misaligned");
	saw(vfio_dma_unmap(c, 0x100000, 4097, 0), "unmap.size misaligned");
	saw(vfio_dma_unmap(c, -4096ull, 8192, 0), "unmap.wraps");
	u.argsz = sizeof(u);
	u.iova = 0x101000;
	u.size = 4096;
	saw(ioctl(c, VFIO_IOMMU_UNMAP_DMA, &u), "unmap.the middle of a mapping");
	saw((long)u.size, "unmap.the middle of a mapping: size");
	saw(vfio_dma_unmap(c, 0x100000, 4096, 0), "unmap.the start of a mapping");
	saw(vfio_dma_unmap(c, 0x103000, 4096, 0), "unmap.the end of a mapping");
	saw(vfio_dma_unmap(c, 0x103000, 2 * 4096, 0), "unmap.across two mappings");
	saw(vfio_dma_unmap(c, 0xff000, 2 * 4096, 0), "unmap.from below into a mapping");
	saw(vfio_dma_unmap(c, 0x107000, 2 * 4096, 0), "unmap.from inside out of a mapping");
	saw(vfio_dma_unmap(c, 0x200000, 4096, 0), "unmap.nothing there");
	saw(vfio_dma_unmap(c, 0x108000, 4096, 0), "unmap.the hole");
	saw(vfio_dma_unmap(c, 0xff000, 5 * 4096, 0), "unmap.one and a page before");
	saw(vfio_dma_unmap(c, 0x104000, 8 * 4096, 0), "unmap.two and the hole between");
	saw(vfio_dma_unmap(c, 0, -4096ull, 0), "unmap.everything by range");
	MUST(vfio_dma_map(c, p, 0x100000, 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0, -4096ull, 0), "unmap.everything by range, one there");
	MUST(vfio_dma_map(c, p, 0x100000, 4 * 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0x100000, 4 * 4096, VFIO_DMA_UNMAP_FLAG_VADDR), "unmap.vaddr flag");
	saw(vfio_dma_unmap(c, 0x100000, 4 * 4096, VFIO_DMA_UNMAP_FLAG_VADDR),
	    "unmap.vaddr flag twice");
	saw(vfio_dma_map(c, p, 0x100000, 4096, VFIO_DMA_MAP_FLAG_VADDR),
	    "map.vaddr flag, other size");
	saw(vfio_dma_map(c, p, 0x100000, 4 * 4096, VFIO_DMA_MAP_FLAG_VADDR), "map.vaddr flag");
	saw(vfio_dma_map(c, p, 0x100000, 4 * 4096, VFIO_DMA_MAP_FLAG_VADDR),
	    "map.vaddr flag twice");
	saw(vfio_dma_unmap(c, 0x100000, 4 * 4096, 0), "unmap.after the vaddr flag");
}

void test_type1(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	void *p = pages(512), *bar;
	int d;

	get_info(s.container);
	map_errors(s.container);
	unmap_errors(s.container);
	/* before and after the device is opened; large */
	saw(vfio_dma_map(s.container, p, 0x40000000, 512 * 4096, RW),
	    "type1.map 2 MiB before the device is open");
	d = open_device(&s, &edu);
	saw(vfio_dma_map(s.container, p, 0x50001000, 512 * 4096, RW),
	    "type1.map 2 MiB unaligned, the same memory");
	saw(vfio_dma_unmap(s.container, 0x40000000, 512 * 4096, 0), "type1.unmap 2 MiB");
	bar = mmap(NULL, 0x100000, PROT_READ | PROT_WRITE, MAP_SHARED, d, VFIO_REGION(0));
	saw(bar == MAP_FAILED ? -1 : 0, "type1.mmap of a BAR");
	if (bar != MAP_FAILED) {
		saw(vfio_dma_map(s.container, bar, 0x60000000, 0x100000, RW), "type1.map of a BAR");
		saw(vfio_dma_unmap(s.container, 0x60000000, 0x100000, 0), "type1.unmap of a BAR");
	}
	close(d);
	saw(vfio_dma_unmap(s.container, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL),
	    "type1.unmap all at the end");
}

void test_type1_v1(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1_IOMMU);
	int c = s.container;
	uint8_t *p = pages(16);

	MUST(vfio_dma_map(c, p, 0x100000, 4 * 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0x101000, 4096, 0), "v1.unmap the middle");
	saw(vfio_dma_unmap(c, 0x103000, 4096, 0), "v1.unmap the end");
	saw(vfio_dma_unmap(c, 0x103000, 2 * 4096, 0), "v1.unmap from inside out");
	saw(vfio_dma_unmap(c, 0xff000, 4096, 0), "v1.unmap before");
	saw(vfio_dma_unmap(c, 0xff000, 2 * 4096, 0), "v1.unmap from below into it");
	saw(vfio_dma_unmap(c, 0x100000, 4 * 4096, 0), "v1.unmap: what is left of it");
	MUST(vfio_dma_map(c, p, 0x100000, 4 * 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0x100000, 4096, 0), "v1.unmap its first page");
	saw(vfio_dma_unmap(c, 0x100000, 4 * 4096, 0), "v1.unmap: left of it");
	MUST(vfio_dma_map(c, p, 0x100000, 4 * 4096, RW) == 0);
	MUST(vfio_dma_map(c, p, 0x104000, 4 * 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0x102000, 4 * 4096, 0), "v1.unmap across two");
	saw(vfio_dma_unmap(c, 0x100000, 5 * 4096, 0), "v1.unmap one and the start of the next");
	saw(vfio_dma_unmap(c, 0x100000, 8 * 4096, 0), "v1.unmap the rest");
	saw(vfio_dma_unmap(c, 0x100000, 0, 0), "v1.unmap size 0");
	saw(vfio_dma_map(c, p, 0x100000, 4096, 0), "v1.map flags 0");
	MUST(vfio_dma_map(c, p, 0x100000, 4096, RW) == 0);
	saw(vfio_dma_unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "v1.unmap all");
}

static long dirty(int c, uint32_t argsz, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap d = { .argsz = argsz, .flags = flags };

	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &d);
}

static long get_dirty(int c, uint64_t iova, uint64_t size, uint64_t pgsize, uint64_t bytes,
		      uint64_t *map)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap d;
		struct vfio_iommu_type1_dirty_bitmap_get g;
	} q = { .d = { .argsz = sizeof(q), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP },
		.g = { .iova = iova,
		       .size = size,
		       .bitmap = { .pgsize = pgsize, .size = bytes, .data = (__u64 *)map } } };

	return ioctl(c, VFIO_IOMMU_DIRTY_PAGES, &q);
}

static long unmap_dirty(int c, uint64_t iova, uint64_t size, uint64_t pgsize, uint64_t bytes,
			uint64_t *map, uint32_t cut)
{
	struct {
		struct vfio_iommu_type1_dma_unmap u;
		struct vfio_bitmap b;
	} q = { .u = { .argsz = sizeof(q) - cut,
		       .flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		       .iova = iova,
		       .size = size },
		.b = { .pgsize = pgsize, .size = bytes, .data = (__u64 *)map } };

	return ioctl(c, VFIO_IOMMU_UNMAP_DMA, &q) ? -1 : (long)q.u.size;
}

void test_type1_dirty(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	int c = s.container, d = open_device(&s, &edu);
	uint8_t *p = pages(128);
	uint64_t map[4] = { 0 };

	MUST(vfio_dma_map(c, p, 0x100000, 100 * 4096, RW) == 0);
	MUST(vfio_dma_map(c, p, 0x200000, 4 * 4096, VFIO_DMA_MAP_FLAG_READ) == 0);
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 16, map), "dirty.get before start");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 16, map, 0), "dirty.unmap before start");
	saw(dirty(c, 7, 1), "dirty.argsz 7");
	saw(ioctl(c, VFIO_IOMMU_DIRTY_PAGES, NOWHERE), "dirty.bad pointer");
	for (uint32_t f = 0; f < 9; f++)
		if (f != 1)
			saw(dirty(c, 8, f), "dirty.flags %u", f);
	saw(dirty(c, 8, 1), "dirty.start");
	saw(dirty(c, 8, 1), "dirty.start again");
	saw(dirty(c, 8, 4), "dirty.get argsz 8");
	memset(map, 0, sizeof(map));
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 16, map), "dirty.get");
	saw_hex(map[0], "dirty.get word 0");
	saw_hex(map[1], "dirty.get word 1");
	memset(map, 0, sizeof(map));
	saw(get_dirty(c, 0x200000, 4 * 4096, 4096, 8, map), "dirty.get of read-only");
	saw_hex(map[0], "dirty.get of read-only word 0");
	memset(map, 0xff, sizeof(map));
	saw(get_dirty(c, 0x100000, 0x101000, 4096, 40, map), "dirty.get over a hole");
	saw(get_dirty(c, 0x300000, 4096, 4096, 8, map), "dirty.get of nothing");
	saw(get_dirty(c, 0x100000, 4096, 4096, 8, map), "dirty.get bisects");
	saw(get_dirty(c, 0x101000, 99 * 4096, 4096, 16, map), "dirty.get bisects at the start");
	saw(get_dirty(c, 0x100000, 100 * 4096, 8192, 16, map), "dirty.get page size 8192");
	saw(get_dirty(c, 0x100000, 100 * 4096, 0, 16, map), "dirty.get page size 0");
	saw(get_dirty(c, 0x100000, 100 * 4096, 3, 16, map), "dirty.get page size 3");
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 8, map), "dirty.get bitmap too small");
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 0, map), "dirty.get bitmap size 0");
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 64ull << 30, map), "dirty.get bitmap huge");
	saw(get_dirty(c, 0x100001, 100 * 4096, 4096, 16, map), "dirty.get iova misaligned");
	saw(get_dirty(c, 0x100000, 100 * 4096 + 1, 4096, 16, map), "dirty.get size misaligned");
	saw(get_dirty(c, 0x100000, 0, 4096, 16, map), "dirty.get size 0");
	saw(get_dirty(c, -4096ull, 8192, 4096, 16, map), "dirty.get wraps");
	saw(get_dirty(c, 0x100000, 100 * 4096, 4096, 16, NOWHERE), "dirty.get bitmap bad pointer");
	saw(vfio_dma_unmap(c, 0x100000, 100 * 4096, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP),
	    "dirty.unmap argsz 24");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 16, map, 8), "dirty.unmap argsz 40");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 8192, 16, map, 0), "dirty.unmap page size 8192");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 8, map, 0), "dirty.unmap bitmap too small");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 16, NOWHERE, 0),
	    "dirty.unmap bitmap bad pointer");
	saw(vfio_dma_unmap(c, 0x100000, 100 * 4096, 0), "dirty.unmap after a bad pointer");
	vfio_dma_map(c, p, 0x100000, 100 * 4096, RW);
	memset(map, 0, sizeof(map));
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 16, map, 0), "dirty.unmap");
	saw_hex(map[0], "dirty.unmap word 0");
	saw_hex(map[1], "dirty.unmap word 1");
	saw(unmap_dirty(c, 0x100000, 100 * 4096, 4096, 16, map, 0), "dirty.unmap of nothing");
	saw(dirty(c, 8, 2), "dirty.stop");
	saw(dirty(c, 8, 2), "dirty.stop again");
	saw(get_dirty(c, 0x200000, 4 * 4096, 4096, 8, map), "dirty.get after stop");
	close(d);
}

static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	MUST(syscall(SYS_capget, &h, d) == 0);
	d[0].effective &= ~(1u << CAP_IPC_LOCK);
	d[0].permitted &= ~(1u << CAP_IPC_LOCK);
	MUST(syscall(SYS_capset, &h, d) == 0);
}

void test_type1_limits(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	struct rlimit rl = { .rlim_cur = 64 * 1024, .rlim_max = 64 * 1024 };
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int c = s.container;
	uint8_t *p = pages(64);
	long n, r = 0;

	for (n = 0; n < 70000 && r == 0; n++)
		r = vfio_dma_map(c, p, (uint64_t)n * 4096, 4096, RW);
	saw(r, "limits.mapping too many");
	saw(n, "limits.mappings tried");
	saw(vfio_dma_unmap(c, 0, 4096, 0), "limits.unmap one");
	saw(vfio_dma_map(c, p, 0, 4096, RW), "limits.map it again");
	saw(vfio_dma_unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), "limits.unmap all");

	MUST(setrlimit(RLIMIT_MEMLOCK, &rl) == 0);
	saw(vfio_dma_map(c, p, 0, 20 * 4096, RW), "memlock.over the limit with CAP_IPC_LOCK");
	saw(vfio_dma_unmap(c, 0, 20 * 4096, 0), "memlock.unmap");
	drop_ipc_lock();
	saw(vfio_dma_map(c, p, 0, 17 * 4096, RW), "memlock.17 pages of 16");
	saw(vfio_dma_map(c, p, 0, 16 * 4096, RW), "memlock.16 pages of 16");
	saw(vfio_dma_map(c, p + 16 * 4096, 0x100000, 4096, RW), "memlock.one more");
	saw(vfio_dma_unmap(c, 0, 16 * 4096, 0), "memlock.unmap 16");
	saw(vfio_dma_map(c, p, 0, 4096, RW), "memlock.one");
	saw(vfio_dma_map(c, p, 0x100000, 15 * 4096, RW), "memlock.15");
	saw(vfio_dma_map(c, p, 0x200000, 4096, RW), "memlock.the same page a 17th time");
	/* what is accounted goes with the container */
	MUST(ioctl(s.group, VFIO_GROUP_UNSET_CONTAINER) == 0 &&
	     ioctl(s.group, VFIO_GROUP_SET_CONTAINER, &c) == 0);
	MUST(ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
	saw(vfio_dma_map(c, p, 0, 16 * 4096, RW), "memlock.16 in a new IOMMU");
}
