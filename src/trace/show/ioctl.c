/* SPDX-License-Identifier: BSD-3-Clause */
/* trace/show/ioctl.c: names of ioctls, and what their arguments say. */
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "trace/show/internal.h"
#include "vfio/nodes.h"

/*
 * The members of an argument, in the order of their offsets: NAME:TYPE, with @OFFSET before the
 * type where there is a gap. Types: u and d numbers, x in hexadecimal, of 1, 2, 4 or 8 bytes; s
 * text to the end. Empty: there is no argument; NULL: it is a number itself.
 */
struct call {
	uint8_t nr; /* the low byte of the number */
	const char *name, *members;
};

#define ARGSZ "argsz:u4 flags:x4 "

static const struct call container[] = {
	{ 0x64, "VFIO_GET_API_VERSION", "" },
	{ 0x65, "VFIO_CHECK_EXTENSION", NULL },
	{ 0x66, "VFIO_SET_IOMMU", NULL },
	{ 0x70, "VFIO_IOMMU_GET_INFO", ARGSZ "iova_pgsizes:x8 cap_offset:u4" },
	{ 0x71, "VFIO_IOMMU_MAP_DMA", ARGSZ "vaddr:x8 iova:x8 size:x8" },
	{ 0x72, "VFIO_IOMMU_UNMAP_DMA", ARGSZ "iova:x8 size:x8" },
	{ 0x73, "VFIO_IOMMU_ENABLE", "" },
	{ 0x74, "VFIO_IOMMU_DISABLE", "" },
	{ 0x75, "VFIO_IOMMU_DIRTY_PAGES", ARGSZ "iova:x8 size:x8 pgsize:x8" },
	{ 0 },
};
static const struct call group[] = {
	{ 0x67, "VFIO_GROUP_GET_STATUS", ARGSZ },
	{ 0x68, "VFIO_GROUP_SET_CONTAINER", "fd:d4" },
	{ 0x69, "VFIO_GROUP_UNSET_CONTAINER", "" },
	{ 0x6a, "VFIO_GROUP_GET_DEVICE_FD", "name:s" },
	{ 0 },
};
static const struct call device[] = {
	{ 0x6b, "VFIO_DEVICE_GET_INFO", ARGSZ "num_regions:u4 num_irqs:u4 cap_offset:u4" },
	{ 0x6c, "VFIO_DEVICE_GET_REGION_INFO", ARGSZ "index:u4 cap_offset:u4 size:x8 offset:x8" },
	{ 0x6d, "VFIO_DEVICE_GET_IRQ_INFO", ARGSZ "index:u4 count:u4" },
	{ 0x6e, "VFIO_DEVICE_SET_IRQS", ARGSZ "index:u4 start:u4 count:u4" },
	{ 0x6f, "VFIO_DEVICE_RESET", "" },
	{ 0x70, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", ARGSZ "count:u4" },
	{ 0x71, "VFIO_DEVICE_PCI_HOT_RESET", ARGSZ "count:u4" },
	{ 0x72, "VFIO_DEVICE_QUERY_GFX_PLANE", ARGSZ },
	{ 0x73, "VFIO_DEVICE_GET_GFX_DMABUF", NULL },
	{ 0x74, "VFIO_DEVICE_IOEVENTFD", ARGSZ "offset:x8 data:x8 fd:d4" },
	{ 0x75, "VFIO_DEVICE_FEATURE", ARGSZ },
	{ 0x76, "VFIO_DEVICE_BIND_IOMMUFD", ARGSZ "iommufd:d4 out_devid:u4" },
	{ 0x77, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", ARGSZ "pt_id:u4 pasid:u4" },
	{ 0x78, "VFIO_DEVICE_DETACH_IOMMUFD_PT", ARGSZ "pasid:u4" },
	{ 0 },
};
static const struct call iommufd[] = {
	{ 0x80, "IOMMU_DESTROY", "size:u4 id:u4" },
	{ 0x81, "IOMMU_IOAS_ALLOC", "size:u4 flags:x4 out_ioas_id:u4" },
	{ 0x82, "IOMMU_IOAS_ALLOW_IOVAS", "size:u4 ioas_id:u4 num_iovas:u4" },
	{ 0x83, "IOMMU_IOAS_COPY",
	  "size:u4 flags:x4 dst_ioas_id:u4 src_ioas_id:u4 length:x8 dst_iova:x8 src_iova:x8" },
	{ 0x84, "IOMMU_IOAS_IOVA_RANGES", "size:u4 ioas_id:u4 num_iovas:u4" },
	{ 0x85, "IOMMU_IOAS_MAP", "size:u4 flags:x4 ioas_id:u4 user_va:@16x8 length:x8 iova:x8" },
	{ 0x86, "IOMMU_IOAS_UNMAP", "size:u4 ioas_id:u4 iova:x8 length:x8" },
	{ 0x87, "IOMMU_OPTION", "size:u4 option_id:u4 op:u2 object_id:@12u4 val64:x8" },
	{ 0x88, "IOMMU_VFIO_IOAS", "size:u4 ioas_id:u4 op:u2" },
	{ 0x89, "IOMMU_HWPT_ALLOC",
	  "size:u4 flags:x4 dev_id:u4 pt_id:u4 out_hwpt_id:u4 data_type:@24u4" },
	{ 0x8a, "IOMMU_GET_HW_INFO", "size:u4 flags:x4 dev_id:u4 data_len:u4" },
	{ 0x8b, "IOMMU_HWPT_SET_DIRTY_TRACKING", "size:u4 flags:x4 hwpt_id:u4" },
	{ 0x8c, "IOMMU_HWPT_GET_DIRTY_BITMAP",
	  "size:u4 hwpt_id:u4 flags:x4 iova:@16x8 length:x8 page_size:x8" },
	{ 0x8d, "IOMMU_HWPT_INVALIDATE", "size:u4 hwpt_id:u4" },
	{ 0x8e, "IOMMU_FAULT_QUEUE_ALLOC", "size:u4 flags:x4 out_fault_id:u4 out_fault_fd:u4" },
	{ 0x8f, "IOMMU_IOAS_MAP_FILE",
	  "size:u4 flags:x4 ioas_id:u4 fd:d4 start:x8 length:x8 iova:x8" },
	{ 0 },
};

static const struct call *find(unsigned kind, unsigned cmd)
{
	static const struct call *const tables[] = { [VFIO_FILE_CONTAINER] = container,
						     [VFIO_FILE_GROUP] = group,
						     [VFIO_FILE_DEVICE] = device,
						     [VFIO_FILE_IOMMUFD] = iommufd };
	const struct call *c = kind < ARRAY_SIZE(tables) ? tables[kind] : NULL;

	/* an iommufd answers what a container does, too */
	if (kind == VFIO_FILE_IOMMUFD && (cmd & 0xff) < 0x80)
		c = container;
	if (cmd >> 8 != ';')
		return NULL;
	while (c && c->name && c->nr != (cmd & 0xff))
		c++;
	return c && c->name ? c : NULL;
}

const char *trace_ioctl_name(unsigned kind, unsigned cmd, char buf[TRACE_NAME])
{
	const struct call *c = find(kind, cmd);

	if (c)
		return c->name;
	snprintf(buf, TRACE_NAME, "0x%x", cmd);
	return buf;
}

/* Read the number in the text *@p, and go behind it. */
static unsigned number(const char **p)
{
	unsigned n = 0;

	while (**p >= '0' && **p <= '9')
		n = n * 10 + (unsigned)(*(*p)++ - '0');
	return n;
}

static void member(FILE *out, char type, unsigned size, const uint8_t *at)
{
	uint64_t v = 0;

	memcpy(&v, at, size);
	if (type == 'x')
		fprintf(out, "0x%llx", (unsigned long long)v);
	else if (type == 'd')
		fprintf(out, "%d", (int32_t)v);
	else
		fprintf(out, "%llu", (unsigned long long)v);
}

/* The descriptors, or the bytes, that follow a struct vfio_irq_set. */
static void irq_data(FILE *out, const uint8_t *bytes, unsigned n)
{
	struct vfio_irq_set set;
	unsigned size, at = sizeof(set);
	int32_t fd;

	if (n < sizeof(set))
		return;
	memcpy(&set, bytes, sizeof(set));
	size = set.flags & VFIO_IRQ_SET_DATA_EVENTFD ? 4
	       : set.flags & VFIO_IRQ_SET_DATA_BOOL  ? 1
						     : 0;
	if (!size || !set.count)
		return;
	fputs(size == 4 ? ", eventfds {" : ", bools {", out);
	for (unsigned i = 0; i < set.count; i++, at += size) {
		fputs(i ? ", " : "", out);
		if (at + size > n) {
			fputs("...", out);
			break;
		}
		memcpy(&fd, bytes + at, size);
		fprintf(out, "%d", size == 4 ? fd : bytes[at]);
	}
	fputc('}', out);
}

void trace_ioctl_argument(FILE *out, const struct trace_record *r)
{
	const struct call *c = find(r->sub, (unsigned)r->at);
	const uint8_t *bytes = trace_data(r);
	unsigned at = 0, size;
	bool first = true;

	if (!r->data || !c || !c->members || !*c->members) {
		if (!c || !c->members || *c->members)
			fprintf(out, "0x%llx", (unsigned long long)r->value);
		return;
	}
	fputc('{', out);
	for (const char *p = c->members; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, ":");
		const char *name = p;
		char type;

		p += len + 1;
		if (*p == '@') {
			p++;
			at = number(&p);
		}
		type = *p++;
		size = number(&p);
		if (type != 's' && at + size > r->data)
			break;
		fprintf(out, "%s%.*s=", first ? "" : ", ", (int)len, name);
		first = false;
		if (type == 's')
			fprintf(out, "\"%.*s\"", (int)strnlen((const char *)bytes, r->data), bytes);
		else
			member(out, type, size, bytes + at);
		at += size;
	}
	if (r->sub == VFIO_FILE_DEVICE && (r->at & 0xff) == (VFIO_DEVICE_SET_IRQS & 0xff))
		irq_data(out, bytes, r->data);
	fputc('}', out);
}
