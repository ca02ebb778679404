/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/iommufd/sizes.c: every request at many sizes, with and without something behind what is
 * known.
 */
#include "probe.h"

void ask_sizes(void)
{
	static const struct {
		const char *n;
		u32 full, min;
	} t[] = { { "DESTROY", 8, 8 },
		  { "IOAS_ALLOC", 12, 12 },
		  { "IOAS_ALLOW_IOVAS", 24, 24 },
		  { "IOAS_COPY", 40, 40 },
		  { "IOAS_IOVA_RANGES", 32, 32 },
		  { "IOAS_MAP", 40, 40 },
		  { "IOAS_UNMAP", 24, 24 },
		  { "OPTION", 24, 24 },
		  { "VFIO_IOAS", 12, 12 },
		  { "HWPT_ALLOC", 48, 24 },
		  { "GET_HW_INFO", 40, 32 },
		  { "HWPT_SET_DIRTY", 16, 16 },
		  { "HWPT_GET_DIRTY", 48, 48 },
		  { "HWPT_INVALIDATE", 32, 32 },
		  { "FAULT_QUEUE_ALLOC", 16, 16 },
		  { "IOAS_MAP_FILE", 40, 40 },
		  { "VIOMMU_ALLOC", 40, 24 },
		  { "VDEVICE_ALLOC", 24, 24 },
		  { "IOAS_CHANGE_PROCESS", 8, 8 },
		  { "VEVENTQ_ALLOC", 32, 28 },
		  { "HW_QUEUE_ALLOC", 40, 40 },
		  { "NOIOMMU_GET_PA", 40, 40 } };
	u8 *b = calloc(1, 65536);
	u32 z;
	for (u32 k = 0; k < sizeof t / sizeof *t; k++) {
		int i = iommu();
		if (i < 0) {
			S("open", i);
			return;
		}
		const u32 sz[] = { 0,
				   3,
				   4,
				   t[k].min - 1,
				   t[k].min,
				   t[k].full - 1,
				   t[k].full,
				   t[k].full + 1,
				   t[k].full + 8,
				   4096,
				   8192,
				   60000 };
		for (unsigned j = 0; j < sizeof sz / sizeof *sz; j++) {
			if (j && sz[j] <= sz[j - 1])
				continue;
			memset(b, 0, 65536);
			memcpy(b, &sz[j], 4);
			S(f("%s size %u, zeros", t[k].n, sz[j]), io(i, 0x80 + k, b));
			if (sz[j] > t[k].full) {
				memset(b + 4, 0, 65532);
				b[sz[j] - 1] = 1;
				S(f("%s size %u, last byte 1", t[k].n, sz[j]), io(i, 0x80 + k, b));
			}
		}
		memset(b, 0, 65536);
		z = t[k].full;
		memcpy(b, &z, 4);
		b[t[k].full] = 1;
		S(f("%s size %u, a byte behind", t[k].n, z), io(i, 0x80 + k, b));
		z = ~0u;
		memcpy(b, &z, 4);
		b[t[k].full] = 0;
		S(f("%s size ~0", t[k].n), io(i, 0x80 + k, b));
		S(f("%s NULL", t[k].n), io(i, 0x80 + k, NULL));
		S(f("%s bad pointer", t[k].n), io(i, 0x80 + k, (void *)~0xfffull));
		memset(b, 0, 64);
		z = t[k].full;
		memcpy(b, &z, 4);
		int r = ioctl(i, _IOWR(';', 0x80 + k, u64), b);
		S(f("%s as _IOWR", t[k].n), r < 0 ? -errno : r);
		close(i);
	}
	int i = iommu();
	for (int k = 0x96; k < 0xa4; k++) {
		memset(b, 0, 64);
		z = 8;
		memcpy(b, &z, 4);
		S(f("number %#x", k), io(i, k, b));
		S(f("number %#x NULL", k), io(i, k, NULL));
	}
	S("number 0xff", io(i, 0xff, b));
	S("number 0x7f", io(i, 0x7f, b));
	S("number 0", io(i, 0, b));
	{
		int r = ioctl(i, _IO('y', 0x81), b);
		S("type 'y' number 0x81", r < 0 ? -errno : r);
		r = ioctl(i, _IO('y', 0x81), NULL);
		S("type 'y' number 0x81 NULL", r < 0 ? -errno : r);
		r = ioctl(i, _IO('y', 0xa5), b);
		S("type 'y' number 0xa5", r < 0 ? -errno : r);
		r = ioctl(i, FIONREAD, b);
		S("FIONREAD", r < 0 ? -errno : r);
		r = ioctl(i, TCGETS, b);
		S("TCGETS", r < 0 ? -errno : r);
	}
	shut(i);
}
