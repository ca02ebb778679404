/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/info.c: what the device has: its regions, with descriptors of what can be
 * mapped, and interrupts, which are set up here, too.
 *
 * A reply is no longer than the request's argsz: clients read it into a buffer of that size.
 */
#include <sys/stat.h>

#include "base/client.h"
#include "base/sys.h"
#include "vfio_user/server/internal.h"

int vu_get_info(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_device_info info;

	memcpy(&info, m->data, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	info = (struct vu_device_info){
		.argsz = sizeof(info),
		.flags = c->open.dev->flags & (VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI),
		.num_regions = c->open.dev->num_regions,
		.num_irqs = c->open.dev->num_irqs,
	};
	return vu_reply(c, m, &info, sizeof(info));
}

/* ---- regions ---- */

#define MAX_AREAS 64u

/* A reply to GET_REGION_INFO with all that can be behind it. */
struct region_reply {
	struct vfio_region_info info;
	uint8_t caps[sizeof(struct vfio_region_info_cap_type) +
		     sizeof(struct vfio_info_cap_header) +
		     sizeof(struct vfio_region_info_cap_sparse_mmap) +
		     MAX_AREAS * sizeof(struct vu_sparse_fd_area)];
	size_t len; /* of both */
	int fds[VU_MAX_FDS];
	unsigned num_fds;
};

/* Put a capability of @size bytes at the end. */
static void add_cap(struct region_reply *r, unsigned id, const void *cap, size_t size)
{
	struct vfio_info_cap_header *h = (void *)((uint8_t *)r + r->len), *last = NULL;
	uint32_t at = r->info.cap_offset;

	while (at) {
		last = (void *)((uint8_t *)r + at);
		at = last->next;
	}
	memcpy(h, cap, size);
	*h = (struct vfio_info_cap_header){ .id = (uint16_t)id, .version = 1 };
	if (last)
		last->next = (uint32_t)r->len;
	else
		r->info.cap_offset = (uint32_t)r->len;
	r->info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
	r->len += size;
}

/*
 * True if a client can have the memory of @a: it is a file's, and is there at all times. What the
 * device takes away at times is left out, since a mapping in another process cannot be taken away,
 * unless it was said that it may be had so (not by one whose device lasts, each of whose accesses
 * is counted); and so is the kernel's file of a real device, which would be more than this memory.
 */
static bool can_offer(const struct vu_server_client *c, const struct vfio_region_area *a)
{
	bool always = a->kind == VFIO_AREA_DIRECT && !c->open.dev->ops->area_open;
	struct stat st;

	return (always || (a->shared && !c->lasting)) && !fstat(a->fd, &st) && S_ISREG(st.st_mode);
}

/* Return the place of @fd among the descriptors of @r, where it is put if need be; -1: no room. */
static int place_fd(const struct vu_server_client *c, struct region_reply *r, int fd)
{
	for (unsigned i = 0; i < r->num_fds; i++)
		if (r->fds[i] == fd)
			return (int)i;
	if (r->num_fds >= c->theirs.max_msg_fds || r->num_fds == VU_MAX_FDS)
		return -1;
	r->fds[r->num_fds] = fd;
	return (int)r->num_fds++;
}

/* Offer all areas, each with its descriptor (sparse_mmap_fds). */
static void offer_many(struct vu_server_client *c, struct region_reply *r,
		       const struct vfio_region *region)
{
	struct {
		struct vfio_region_info_cap_sparse_mmap head;
		struct vu_sparse_fd_area areas[MAX_AREAS];
	} cap = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < region->num_areas && n < MAX_AREAS; i++) {
		const struct vfio_region_area *a = &region->areas[i];
		int fd = can_offer(c, a) ? place_fd(c, r, a->fd) : -1;

		if (fd < 0)
			continue;
		cap.areas[n++] = (struct vu_sparse_fd_area){ .offset = a->offset,
							     .size = a->size,
							     .fd_offset = a->fd_offset,
							     .fd_index = (uint32_t)fd };
	}
	if (!n)
		return;
	cap.head.nr_areas = n;
	r->info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	add_cap(r, VU_REGION_INFO_CAP_SPARSE_MMAP_FDS, &cap,
		sizeof(cap.head) + n * sizeof(cap.areas[0]));
}

/*
 * Offer the areas of one file: in the protocol a region has one descriptor, and an area is as far
 * in its file as in the region, but for one difference.
 */
static void offer_one(struct vu_server_client *c, struct region_reply *r,
		      const struct vfio_region *region)
{
	struct {
		struct vfio_region_info_cap_sparse_mmap head;
		struct vfio_region_sparse_mmap_area areas[MAX_AREAS];
	} cap = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < region->num_areas && n < MAX_AREAS; i++) {
		const struct vfio_region_area *a = &region->areas[i];

		if (!can_offer(c, a) || a->fd_offset < a->offset)
			continue;
		if (n && (a->fd != r->fds[0] || a->fd_offset - a->offset != r->info.offset))
			continue;
		if (!n && place_fd(c, r, a->fd) < 0)
			return;
		r->info.offset = a->fd_offset - a->offset;
		cap.areas[n++] = (struct vfio_region_sparse_mmap_area){ .offset = a->offset,
									.size = a->size };
	}
	if (!n)
		return;
	cap.head.nr_areas = n;
	r->info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (n > 1 || cap.areas[0].offset || cap.areas[0].size < region->size)
		add_cap(r, VFIO_REGION_INFO_CAP_SPARSE_MMAP, &cap,
			sizeof(cap.head) + n * sizeof(cap.areas[0]));
}

static void describe_region(struct vu_server_client *c, struct region_reply *r,
			    const struct vfio_region *region)
{
	struct vfio_region_info_cap_type type = { .type = region->type,
						  .subtype = region->subtype };
	struct vfio_info_cap_header msix = { 0 };

	r->len = sizeof(r->info);
	r->info.size = region->size;
	r->info.flags = region->flags & (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	if (region->flags & VFIO_REGION_INFO_FLAG_MMAP) {
		if (c->caps.sparse_mmap_fds)
			offer_many(c, r, region);
		else
			offer_one(c, r, region);
	}
	if (r->info.flags & VFIO_REGION_INFO_FLAG_MMAP && region->msix_mappable)
		add_cap(r, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, &msix, sizeof(msix));
	if (region->type)
		add_cap(r, VFIO_REGION_INFO_CAP_TYPE, &type, sizeof(type));
	r->info.argsz = (uint32_t)r->len;
}

int vu_get_region_info(struct vu_server_client *c, struct vu_message *m)
{
	struct vfio_region_info *asked = (void *)m->data;
	struct region_reply r = { 0 };
	struct vfio_region region;
	struct iovec iov = { .iov_base = &r };
	int ret;

	if (asked->argsz < sizeof(*asked) || asked->index >= c->open.dev->num_regions)
		return -EINVAL;
	/* one that there is not, like that of VGA, is empty: clients ask for each number */
	ret = vfio_device_region(&c->open, asked->index, &region);
	if (ret && ret != -EINVAL)
		return ret;
	r.info.index = asked->index;
	describe_region(c, &r, &region);
	if (asked->argsz < r.len) {
		/* it asks again with room for all of it, and gets the descriptors then */
		r.info.cap_offset = 0;
		r.len = sizeof(r.info);
		r.num_fds = 0;
	}
	iov.iov_len = r.len;
	return vu_answer(c, m, 0, &iov, 1, r.fds, r.num_fds) == -EMSGSIZE ? -EMSGSIZE : 0;
}

/* ---- interrupts ---- */

int vu_get_irq_info(struct vu_server_client *c, struct vu_message *m)
{
	struct vfio_irq_info info;
	struct vfio_irq irq;
	int ret;

	memcpy(&info, m->data, sizeof(info));
	if (info.argsz < sizeof(info))
		return -EINVAL;
	ret = vfio_device_irq(&c->open, info.index, &irq);
	if (ret)
		return ret;
	info.argsz = sizeof(info);
	info.flags = irq.flags;
	info.count = irq.count;
	return vu_reply(c, m, &info, sizeof(info));
}

/* Eventfds that came with a message; the device takes over what it keeps (base/client.h). */
struct irq_fds {
	int32_t *fds; /* -1: none, which takes an eventfd away */
	struct client_given given;
};

static int take_fds(struct vu_message *m, uint32_t n, struct irq_fds *out)
{
	if (m->num_fds && m->num_fds != n)
		return -EINVAL;
	out->fds = calloc(n ? 2 * (size_t)n : 1, sizeof(*out->fds));
	if (!out->fds)
		return -ENOMEM;
	out->given = (struct client_given){ .fds = out->fds + n, .num_fds = m->num_fds };
	for (uint32_t i = 0; i < n; i++)
		out->fds[i] = m->num_fds ? out->given.fds[i] = vu_message_take_fd(m, i) : -1;
	return 0;
}

static void close_fds(struct irq_fds *f)
{
	for (uint32_t i = 0; i < f->given.num_fds; i++)
		if (f->given.fds[i] >= 0)
			sys_close(f->given.fds[i]);
	free(f->fds);
}

void vu_eventfds_fini(struct vu_server_client *c)
{
	for (unsigned i = 0; i < VU_IRQS; i++) {
		free(c->eventfds[i]);
		c->eventfds[i] = NULL;
	}
	c->num_eventfds = 0;
}

/* Return how many of the vectors that @a is about have an eventfd. */
static uint32_t count_eventfds(const struct vu_server_client *c, const struct vfio_irq_set_args *a)
{
	const uint8_t *has = c->eventfds[a->index];
	uint32_t n = 0;

	for (uint32_t i = 0; has && i < a->count; i++)
		n += has[a->start + i];
	return n;
}

/*
 * See whether the client may have the eventfds that it sends for vectors. 0; -ENOSPC, -ENOMEM. An
 * unmask's of INTx is one, and is not counted.
 */
static int check_eventfds(struct vu_server_client *c, const struct vfio_irq_set_args *a)
{
	uint32_t most = c->s->cfg.limits.max_eventfds, n = 0;
	const int32_t *fds = a->data;
	struct vfio_irq irq;
	int ret;

	for (uint32_t i = 0; i < a->count; i++)
		n += fds[i] >= 0;
	if (!n || a->index >= VU_IRQS)
		return 0;
	if (c->num_eventfds - count_eventfds(c, a) + n > most)
		return vu_limit_reached(c, "eventfds", most);
	if (c->eventfds[a->index])
		return 0;
	ret = vfio_device_irq(&c->open, a->index, &irq);
	if (ret)
		return ret;
	c->eventfds[a->index] = calloc(irq.count ? irq.count : 1, 1);
	return c->eventfds[a->index] ? 0 : -ENOMEM;
}

/* Note what an @a that was carried out has changed. All of these with irqs_lock. */
static void note_eventfds(struct vu_server_client *c, const struct vfio_irq_set_args *a)
{
	const uint32_t data = a->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	const int32_t *fds = a->data;
	uint8_t *has = a->index < VU_IRQS ? c->eventfds[a->index] : NULL;

	if (!has)
		return;
	if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
		c->num_eventfds -= count_eventfds(c, a);
		for (uint32_t i = 0; i < a->count; i++)
			has[a->start + i] = fds[i] >= 0;
		c->num_eventfds += count_eventfds(c, a);
	} else if (data == VFIO_IRQ_SET_DATA_NONE && !a->count) {
		/* all of them are off */
		struct vfio_irq_set_args all = { .index = a->index };
		struct vfio_irq irq;

		if (!vfio_device_irq(&c->open, a->index, &irq))
			all.count = irq.count;
		c->num_eventfds -= count_eventfds(c, &all);
		free(has);
		c->eventfds[a->index] = NULL;
	}
}

/* Set eventfds, or take them away: by one thread at a time. */
static int set_triggers(struct vu_server_client *c, const struct vfio_irq_set_args *a)
{
	int ret = 0;

	pthread_mutex_lock(&c->irqs_lock);
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		ret = check_eventfds(c, a);
	if (!ret)
		ret = vfio_device_set_irqs(&c->open, a);
	if (!ret)
		note_eventfds(c, a);
	pthread_mutex_unlock(&c->irqs_lock);
	return ret;
}

/* Set what was checked. 0 or -errno. */
static int set_irqs(struct vu_server_client *c, const struct vfio_irq_set_args *a)
{
	int ret = a->flags & VFIO_IRQ_SET_ACTION_TRIGGER ? set_triggers(c, a)
							 : vfio_device_set_irqs(&c->open, a);

	/* what is off already is switched off; the kernel refuses it (vfio_pci_intrs.c) */
	if (ret == -EINVAL && !a->count && !a->start &&
	    a->flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER))
		ret = 0;
	if (ret > 0)
		ret = report_warn(REPORT_LIMITED("serve-vectors"), c->name, -ENOSPC,
				  "SET_IRQS of %u vectors: %d can be had", a->count, ret);
	return ret;
}

int vu_set_vectors(struct vu_server_client *c, const struct vu_set_irqs *set, const void *data,
		   size_t len)
{
	const struct vfio_irq_set_args a = { .flags = set->flags,
					     .index = set->index,
					     .start = set->start,
					     .count = set->count,
					     .data = data };
	size_t bytes;
	int ret = vfio_device_check_irqs(&c->open, UINT32_MAX, set->flags, set->index, set->start,
					 set->count, &bytes);

	if (!ret && (set->flags & VFIO_IRQ_SET_DATA_EVENTFD || bytes > len))
		ret = -EINVAL;
	return ret ? ret : set_irqs(c, &a);
}

int vu_set_irqs(struct vu_server_client *c, struct vu_message *m)
{
	struct vfio_irq_set_args a;
	struct irq_fds fds = { 0 };
	struct vu_set_irqs set;
	size_t bytes;
	int ret;

	memcpy(&set, m->data, sizeof(set));
	if (set.argsz < sizeof(set))
		return -EINVAL;
	/* argsz does not count descriptors: as to them it is what it must be */
	ret = vfio_device_check_irqs(&c->open, UINT32_MAX, set.flags, set.index, set.start,
				     set.count, &bytes);
	if (ret)
		return ret;
	a = (struct vfio_irq_set_args){ .flags = set.flags,
					.index = set.index,
					.start = set.start,
					.count = set.count,
					.data = m->data + sizeof(set) };
	if (set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		ret = take_fds(m, set.count, &fds);
	else if (m->len - sizeof(set) < bytes)
		ret = -EINVAL;
	if (fds.fds)
		a.data = fds.fds;
	client_given = fds.given;
	client_given.table = c->s->cfg.table_fd;
	if (!ret)
		ret = set_irqs(c, &a);
	client_given = (struct client_given){ 0 };
	close_fds(&fds);
	return ret ? ret : vu_reply(c, m, NULL, 0);
}

int vu_reset(struct vu_server_client *c, struct vu_message *m)
{
	int ret = vfio_device_reset(&c->open);

	return ret ? ret : vu_reply(c, m, NULL, 0);
}
