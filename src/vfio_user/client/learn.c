/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/learn.c: what the device at the other end is: its regions and interrupts, asked
 * for when it is opened. Answers grow as the kernel's do (argsz), and are checked as a program's
 * numbers are: a list that is cut off, or a chain that goes in a circle, is an error.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "vfio_user/client/internal.h"

/* Answers are some hundred bytes, of a region with many areas some KiB. */
#define INFO_MAX (1u << 16)
#define CAPS_MAX 64u

/* ---- structures that grow ---- */

/*
 * Ask with @command, whose request and answer begin with argsz. @head: @size bytes of it. *@out
 * gets an answer that is as long as its argsz says. 0, or -errno: the server's, or -EIO.
 */
static int ask(struct vu_session *s, uint16_t command, void *head, uint32_t size,
	       struct vu_message *out)
{
	uint32_t argsz = size;

	for (unsigned i = 0; i < 4; i++) {
		struct vu_request r = {
			.command = command, .iov = { { head, size } }, .iovcnt = 1, .min = size
		};
		int rc;

		memcpy(head, &argsz, sizeof(argsz));
		rc = vu_session_call(s, &r, out);
		if (rc)
			return rc;
		memcpy(&argsz, out->data, sizeof(argsz));
		if (argsz <= out->len)
			return 0;
		vu_message_fini(out);
		if (argsz > INFO_MAX)
			break;
	}
	return -EIO;
}

/* Find capability @id, with at least @min bytes, in @m; its chain begins at @at. NULL: none. */
static const void *find_cap(const struct vu_message *m, uint32_t at, uint16_t id, size_t min,
			    size_t *room)
{
	struct vfio_info_cap_header cap;

	for (unsigned i = 0; i < CAPS_MAX && at; i++, at = cap.next) {
		if (!range_within(at, sizeof(cap), m->len))
			return NULL;
		memcpy(&cap, m->data + at, sizeof(cap));
		if (cap.id != id)
			continue;
		*room = m->len - at;
		return *room < min ? NULL : m->data + at;
	}
	return NULL;
}

/* ---- areas of a region that are files ---- */

/* A region that is being read. */
struct reading {
	struct vu_client *c;
	struct vu_session *s;
	struct vu_region *r;
	uint32_t index;
	struct vu_message *m;
	uint64_t file_offset; /* of the region in its one file */
};

/* True if descriptor @fd has @size bytes at @offset that can be mapped. */
static bool has_bytes(int fd, uint64_t offset, uint64_t size)
{
	struct stat st;

	if (sys_failed(sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0)))
		return false;
	/* a device's file does not tell a size */
	return !S_ISREG(st.st_mode) || range_within(offset, size, (uint64_t)st.st_size);
}

/* Note an area, if it is one that can be mapped; else it is trapped, which the log says. */
static void add_area(const struct reading *g, uint64_t offset, uint64_t size, uint32_t fd_index,
		     uint64_t fd_offset)
{
	struct vu_region *r = g->r;
	struct vfio_region_area *a = r->areas;
	unsigned i = r->info.num_areas;

	if (!size)
		return;
	if (fd_index >= r->num_fds || r->fds[fd_index] < 0 ||
	    ((offset | size | fd_offset) & (PAGE_SIZE_4K - 1)) ||
	    !range_within(offset, size, align_up(r->info.size, PAGE_SIZE_4K)) ||
	    add_overflows(fd_offset, size) || !has_bytes(r->fds[fd_index], fd_offset, size)) {
		report_warn("vfio-user-area", g->c->vdev.name, 0,
			    "region %u: the area at 0x%llx of 0x%llx bytes that its server offers "
			    "cannot be mapped: its accesses are messages",
			    g->index, (unsigned long long)offset, (unsigned long long)size);
		return;
	}
	for (; i && a[i - 1].offset > offset; i--)
		a[i] = a[i - 1];
	a[i] = (struct vfio_region_area){
		.offset = offset,
		.size = size,
		.kind = VFIO_AREA_DIRECT,
		.fd = r->fds[fd_index],
		.fd_offset = fd_offset,
	};
	r->info.num_areas++;
}

/* Read the list of areas of either kind. 0, -EIO: it is cut off; -ENOMEM. */
static int read_areas(struct reading *g, uint32_t caps)
{
	const struct vfio_region_info_cap_sparse_mmap *list;
	struct vu_region *r = g->r;
	uint16_t id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	size_t room, each = sizeof(list->areas[0]);
	uint32_t n = 1;

	list = find_cap(g->m, caps, VU_REGION_INFO_CAP_SPARSE_MMAP_FDS, sizeof(*list), &room);
	if (list) {
		id = VU_REGION_INFO_CAP_SPARSE_MMAP_FDS;
		each = sizeof(struct vu_sparse_fd_area);
	} else {
		list = find_cap(g->m, caps, id, sizeof(*list), &room);
	}
	if (list) {
		n = list->nr_areas;
		if (n > (room - sizeof(*list)) / each)
			return -EIO;
	}
	/* between them, before and behind there are others */
	r->areas = heap_array(2 * (size_t)n + 1, sizeof(*r->areas));
	if (!r->areas)
		return -ENOMEM;
	if (!list)
		add_area(g, 0, align_up(r->info.size, PAGE_SIZE_4K), 0, g->file_offset);
	for (uint32_t i = 0; list && i < n; i++) {
		const uint8_t *at = (const uint8_t *)(list + 1) + i * each;
		struct vu_sparse_fd_area a = { 0 };

		memcpy(&a, at, each);
		add_area(g, a.offset, a.size, a.fd_index,
			 id == VFIO_REGION_INFO_CAP_SPARSE_MMAP ? g->file_offset + a.offset
								: a.fd_offset);
	}
	return 0;
}

/* Drop areas that lie over the one before. */
static void drop_overlaps(const struct reading *g)
{
	struct vfio_region *info = &g->r->info;
	struct vfio_region_area *a = g->r->areas;
	unsigned n = 0;

	for (unsigned i = 0; i < info->num_areas; i++) {
		if (n && a[i].offset < a[n - 1].offset + a[n - 1].size)
			report_warn("vfio-user-area", g->c->vdev.name, 0,
				    "region %u: its server offers areas that overlap, at 0x%llx",
				    g->index, (unsigned long long)a[i].offset);
		else
			a[n++] = a[i];
	}
	info->num_areas = n;
}

/* Have what is no file's be trapped: a driver maps a BAR as a whole. */
static int fill_gaps(const struct reading *g)
{
	struct vfio_region *info = &g->r->info;
	uint64_t end = align_up(info->size, PAGE_SIZE_4K), at = 0;
	struct vfio_region_area *all;
	unsigned n = 0;

	if (!info->num_areas) /* all of it is trapped */
		return 0;
	all = heap_array(2 * (size_t)info->num_areas + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (unsigned i = 0; i <= info->num_areas; i++) {
		const struct vfio_region_area *a = &g->r->areas[i];
		uint64_t to = i < info->num_areas ? a->offset : end;

		if (at < to)
			all[n++] = (struct vfio_region_area){
				.offset = at, .size = to - at, .kind = VFIO_AREA_TRAPPED, .fd = -1
			};
		if (i == info->num_areas)
			break;
		all[n++] = *a;
		at = a->offset + a->size;
	}
	heap_free(g->r->areas);
	g->r->areas = all;
	info->num_areas = n;
	return 0;
}

/* ---- regions ---- */

/* Keep the descriptors that came with a region. */
static int keep_fds(struct vu_region *r, struct vu_message *m)
{
	if (!m->num_fds)
		return 0;
	r->fds = heap_array(m->num_fds, sizeof(*r->fds));
	if (!r->fds)
		return -ENOMEM;
	for (; r->num_fds < m->num_fds; r->num_fds++) {
		int fd = vu_message_take_fd(m, r->num_fds), own = fd_make_private(fd);

		if (own < 0) {
			sys_close(fd);
			return own;
		}
		r->fds[r->num_fds] = own;
	}
	return 0;
}

/* Say how the region can be mapped. */
static int read_mapping(struct reading *g, uint32_t caps)
{
	struct vu_region *r = g->r;
	struct vu_client *c = g->c;
	bool offered = r->info.flags & VFIO_REGION_INFO_FLAG_MMAP, bar;
	size_t room;
	int rc = 0;

	r->info.flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
	if (c->mmap == VU_CLIENT_MMAP_OFF || !r->info.size)
		return 0;
	/* what a server's successor has is another file */
	if (offered && c->mmap == VU_CLIENT_MMAP_AUTO && !vu_session_lasts(g->s)) {
		rc = keep_fds(r, g->m);
		if (!rc && r->num_fds)
			rc = read_areas(g, caps);
		if (rc)
			return rc;
		drop_overlaps(g);
	}
	/* whatever its server says, a driver may map memory of at least a page */
	bar = r->info.size >= PAGE_SIZE_4K && vu_face_is_memory(c, g->index);
	if (bar)
		rc = fill_gaps(g);
	if (rc || (!bar && !r->info.num_areas))
		return rc;
	r->info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	r->info.areas = r->info.num_areas ? r->areas : NULL;
	r->info.msix_mappable = find_cap(g->m, caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					 sizeof(struct vfio_info_cap_header), &room) ||
				vu_face_msix_table(c) == (int)g->index;
	return 0;
}

static int read_region(struct vu_client *c, struct vu_session *s, uint32_t index)
{
	struct vfio_region_info head = { .argsz = sizeof(head), .index = index }, info;
	const uint32_t known = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			       VFIO_REGION_INFO_FLAG_MMAP;
	const struct vfio_region_info_cap_type *type;
	struct vu_region *r = &c->regions[index];
	struct vu_message m = { 0 };
	uint32_t caps = 0;
	size_t room;
	int rc;

	rc = ask(s, VU_DEVICE_GET_REGION_INFO, &head, sizeof(head), &m);
	if (rc)
		return rc == -EINVAL ? 0 : rc;
	memcpy(&info, m.data, sizeof(info));
	/* of a device that is none, there is no such region */
	if (index == VFIO_PCI_VGA_REGION_INDEX && !info.size) {
		vu_message_fini(&m);
		return 0;
	}
	if (info.flags & VFIO_REGION_INFO_FLAG_CAPS)
		caps = info.cap_offset;
	r->there = true;
	r->info.size = info.size;
	r->info.flags = info.size ? info.flags & known : 0;
	if (info.size > INT64_MAX) { /* so that no sum with an offset wraps */
		rc = -EIO;
	} else {
		struct reading g = {
			.c = c, .s = s, .r = r, .index = index, .m = &m, .file_offset = info.offset
		};

		type = find_cap(&m, caps, VFIO_REGION_INFO_CAP_TYPE, sizeof(*type), &room);
		if (type) {
			r->info.type = type->type;
			r->info.subtype = type->subtype;
		}
		rc = read_mapping(&g, caps);
	}
	vu_message_fini(&m);
	return rc;
}

void vu_learn_rom(struct vu_client *c, struct vu_session *s)
{
	struct vfio_region_info head = { .argsz = sizeof(head),
					 .index = VFIO_PCI_ROM_REGION_INDEX },
				info;
	struct vu_region *r = &c->regions[VFIO_PCI_ROM_REGION_INDEX];
	struct vu_message m = { 0 };

	if (ask(s, VU_DEVICE_GET_REGION_INFO, &head, sizeof(head), &m))
		return;
	memcpy(&info, m.data, sizeof(info));
	vu_message_fini(&m);
	pthread_mutex_lock(&c->config_lock);
	r->info.size = info.size <= c->bars[VFIO_PCI_ROM_REGION_INDEX].size ? info.size : 0;
	r->info.flags = r->info.size ? info.flags & VFIO_REGION_INFO_FLAG_READ : 0;
	pthread_mutex_unlock(&c->config_lock);
}

void vu_forget(struct vu_client *c)
{
	for (unsigned i = 0; i < VU_CLIENT_REGIONS; i++) {
		struct vu_region *r = &c->regions[i];

		for (unsigned k = 0; k < r->num_fds; k++)
			fd_close_private(r->fds[k]);
		heap_free(r->fds);
		heap_free(r->areas);
	}
	memset(c->regions, 0, sizeof(c->regions));
	memset(c->irqs, 0, sizeof(c->irqs));
	memset(c->irq_of_server, 0, sizeof(c->irq_of_server));
}

/* ---- interrupts ---- */

static int read_irq(struct vu_client *c, struct vu_session *s, uint32_t index)
{
	struct vfio_irq_info head = { .argsz = sizeof(head), .index = index }, info;
	struct vu_message m = { 0 };
	int rc = ask(s, VU_DEVICE_GET_IRQ_INFO, &head, sizeof(head), &m);

	if (rc)
		return rc == -EINVAL ? 0 : rc;
	memcpy(&info, m.data, sizeof(info));
	vu_message_fini(&m);
	/* more than MSI-X has: nobody could name them in one message */
	if (info.count > 2048)
		return -EIO;
	c->irqs[index] = (struct vfio_irq){ info.flags, info.count };
	c->irq_of_server[index] = info.count > 0;
	return 0;
}

/* A server's end, and a wish of the machine's, are told by us, whatever the server has. */
static void add_own_irqs(struct vu_client *c)
{
	for (unsigned i = VFIO_PCI_ERR_IRQ_INDEX; i <= VFIO_PCI_REQ_IRQ_INDEX; i++)
		if (!c->irqs[i].count)
			c->irqs[i] =
				(struct vfio_irq){ VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
						   1 };
	if (c->vdev.num_irqs <= VFIO_PCI_REQ_IRQ_INDEX)
		c->vdev.num_irqs = VFIO_PCI_NUM_IRQS;
}

/* ---- the device ---- */

static int read_info(struct vu_session *s, struct vu_device_info *out, struct vu_why *why)
{
	struct vu_device_info head = { .argsz = sizeof(head) };
	struct vu_message m = { 0 };
	int rc = ask(s, VU_DEVICE_GET_INFO, &head, sizeof(head), &m);

	if (rc)
		return vu_fail(why, rc, "DEVICE_GET_INFO: %s", strerror(-rc));
	memcpy(out, m.data, sizeof(*out));
	vu_message_fini(&m);
	if (!(out->flags & VFIO_DEVICE_FLAGS_PCI) ||
	    out->num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
	    out->num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
		return vu_fail(
			why, -EOPNOTSUPP,
			"its device is no PCI function: flags 0x%x, %u regions, %u interrupt "
			"indices",
			out->flags, out->num_regions, out->num_irqs);
	return 0;
}

int vu_learn(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	struct vu_device_info info;
	int rc = read_info(s, &info, why);

	if (rc)
		return rc;
	vu_forget(c);
	c->learnt_mmap = c->mmap;
	c->vdev.flags = info.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	c->vdev.num_regions =
		info.num_regions < VU_CLIENT_REGIONS ? info.num_regions : VU_CLIENT_REGIONS;
	c->vdev.num_irqs = info.num_irqs < VU_CLIENT_IRQS ? info.num_irqs : VU_CLIENT_IRQS;
	/* config space first: it says what its BARs are */
	rc = read_region(c, s, VFIO_PCI_CONFIG_REGION_INDEX);
	if (!rc)
		rc = vu_face_look(c, s, why);
	for (uint32_t i = 0; i < c->vdev.num_regions && !rc; i++) {
		if (i == VFIO_PCI_CONFIG_REGION_INDEX)
			continue;
		rc = read_region(c, s, i);
		if (rc)
			vu_fail(why, rc, "DEVICE_GET_REGION_INFO of region %u: %s", i,
				strerror(-rc));
	}
	if (!rc)
		rc = vu_face_bars(c, why);
	for (uint32_t i = 0; i < c->vdev.num_irqs && !rc; i++) {
		rc = read_irq(c, s, i);
		if (rc)
			vu_fail(why, rc, "DEVICE_GET_IRQ_INFO of index %u: %s", i, strerror(-rc));
	}
	if (!rc)
		rc = vu_migrate_learn(c, s);
	if (!rc)
		add_own_irqs(c);
	else
		vu_forget(c);
	return rc ? vu_fail(why, rc, "%s", strerror(-rc)) : 0;
}

/* ---- the device of a server that was started again ---- */

/* See that @now is what @was: 0; -ENODEV. The size of the ROM depends on decoding. */
static int compare(const struct vu_client *was, const struct vu_client *now, struct vu_why *why)
{
	for (uint32_t i = 0; i < VU_CLIENT_REGIONS; i++) {
		const struct vu_region *a = &was->regions[i], *b = &now->regions[i];

		if (i != VFIO_PCI_ROM_REGION_INDEX &&
		    (a->there != b->there || a->info.size != b->info.size ||
		     (a->info.flags ^ b->info.flags) & ~VFIO_REGION_INFO_FLAG_MMAP))
			return vu_fail(why, -ENODEV,
				       "its region %u is another one now, of 0x%llx bytes; it had "
				       "0x%llx",
				       i, (unsigned long long)b->info.size,
				       (unsigned long long)a->info.size);
	}
	for (uint32_t i = 0; i < VU_CLIENT_IRQS; i++)
		if (was->irqs[i].count != now->irqs[i].count ||
		    was->irqs[i].flags != now->irqs[i].flags)
			return vu_fail(why, -ENODEV,
				       "it has %u interrupts of index %u now (flags 0x%x), it had "
				       "%u (0x%x)",
				       now->irqs[i].count, i, now->irqs[i].flags,
				       was->irqs[i].count, was->irqs[i].flags);
	return 0;
}

int vu_learn_same(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	struct vu_client *now = heap_alloc(sizeof(*now));
	int rc;

	if (!now)
		return -ENOMEM;
	now->vdev.name = c->vdev.name;
	now->mmap = c->learnt_mmap;
	now->known = true;
	now->id = c->id;
	now->config_size = c->config_size;
	memcpy(now->bars, c->bars, sizeof(now->bars));
	pthread_mutex_init(&now->config_lock, NULL);
	rc = vu_learn(now, s, why);
	if (!rc)
		rc = compare(c, now, why);
	vu_forget(now);
	pthread_mutex_destroy(&now->config_lock);
	heap_free(now);
	return rc;
}
