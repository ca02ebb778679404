/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/regions.c: registers: each access is a message. A store to a mapped BAR is one
 * that nobody answers, as a store on a bus is posted: the socket keeps it before later accesses.
 * Where the device would refuse it (no decoding, asleep) it is answered, since the program is to
 * get its bus error.
 */
#include <linux/pci_regs.h>
#include <urcu/list.h>

#include "vfio_user/client/internal.h"

#define IOEVENTFDS_MAX 1000u /* vfio-pci's */

int vu_client_get_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	struct vu_client *c = to_client(dev);

	if (index >= VU_CLIENT_REGIONS || !c->regions[index].there)
		return -EINVAL;
	if (index == VFIO_PCI_ROM_REGION_INDEX && c->bars[index].size && c->session &&
	    !vu_session_is_lost(c->session))
		vu_learn_rom(c, c->session);
	pthread_mutex_lock(&c->config_lock);
	*out = c->regions[index].info;
	pthread_mutex_unlock(&c->config_lock);
	return 0;
}

/* ---- messages ---- */

static int read_once(struct vu_session *s, struct vu_region_access *a, void *buf)
{
	struct vu_request r = {
		.command = VU_REGION_READ,
		.iov = { { a, sizeof(*a) } },
		.iovcnt = 1,
		.min = sizeof(*a),
	};
	struct vu_message reply = { 0 };
	struct vu_region_access done;
	int rc = vu_session_access(s, a, buf, false, false);

	if (rc != VU_RING_BUSY)
		return rc ? rc : (int)a->count;
	rc = vu_session_call(s, &r, &reply);
	if (rc)
		return rc;
	memcpy(&done, reply.data, sizeof(done));
	if (done.count > a->count || done.count != reply.len - sizeof(done))
		rc = report_err(REPORT_LIMITED("vfio-user-read"), s->c->vdev.name, -EIO,
				"region %u: a read of %u bytes at 0x%llx was answered by %zu, and "
				"said to be %u",
				a->region, a->count, (unsigned long long)a->offset,
				reply.len - sizeof(done), done.count);
	else
		memcpy(buf, reply.data + sizeof(done), done.count);
	vu_message_fini(&reply);
	return rc ? rc : (int)done.count;
}

static struct vu_request write_request(struct vu_region_access *a, const void *buf)
{
	return (struct vu_request){
		.command = VU_REGION_WRITE,
		.iov = { { a, sizeof(*a) }, { (void *)buf, a->count } },
		.iovcnt = 2,
		.min = sizeof(*a),
	};
}

static int write_once(struct vu_session *s, struct vu_region_access *a, const void *buf)
{
	struct vu_request r = write_request(a, buf);
	struct vu_message reply = { 0 };
	struct vu_region_access done;
	int rc = vu_session_access(s, a, (void *)buf, true, false);

	if (rc != VU_RING_BUSY)
		return rc ? rc : (int)a->count;
	rc = vu_session_call(s, &r, &reply);
	if (rc)
		return rc;
	memcpy(&done, reply.data, sizeof(done));
	vu_message_fini(&reply);
	return done.count > a->count ? -EIO : (int)done.count;
}

ssize_t vu_region_rw(struct vu_session *s, uint32_t index, uint64_t pos, void *buf, size_t count,
		     bool write)
{
	uint8_t *p = buf;
	size_t done = 0;
	int rc = 0;

	while (done < count) {
		struct vu_region_access a = {
			.offset = pos + done,
			.region = index,
			.count =
				(uint32_t)(count - done < s->max_data ? count - done : s->max_data),
		};

		rc = write ? write_once(s, &a, p + done) : read_once(s, &a, p + done);
		if (rc <= 0)
			break;
		done += (size_t)rc;
		if ((uint32_t)rc < a.count)
			break;
	}
	if (done)
		return (ssize_t)done;
	return rc ? rc : count ? -EIO : 0;
}

/*
 * Access a BAR as vfio-pci does: what is the MSI-X table reads as ones, and is not written, unless
 * masks are the user's. @buf: @count bytes at @pos.
 */
static ssize_t bar_rw(struct vu_client *c, uint32_t bar, uint64_t pos, uint8_t *buf, size_t count,
		      bool write)
{
	uint64_t start, end;
	size_t done = 0, n;
	ssize_t rc;

	vu_face_msix_bounds(c, bar, &start, &end);
	if (c->vdev.maskable)
		end = start;
	while (done < count) {
		uint64_t at = pos + done;

		n = count - done;
		if (at >= start && at < end) {
			n = n < end - at ? n : (size_t)(end - at);
			if (!write)
				memset(buf + done, 0xff, n);
			done += n;
			continue;
		}
		if (at < start && n > start - at)
			n = (size_t)(start - at);
		rc = vu_region_rw(c->session, bar, at, buf + done, n, write);
		if (rc < 0)
			return rc;
		done += (size_t)rc;
		if ((size_t)rc < n)
			break;
	}
	return (ssize_t)done;
}

/*
 * MSI-X is turned on and masked by SET_IRQS alone: what is written there does not change it, but
 * for Function Mask where masks are the user's.
 */
static ssize_t config_rw(struct vu_client *c, uint64_t pos, uint8_t *buf, size_t count, bool write)
{
	const uint8_t users[2] = { 0, c->vdev.maskable ? PCI_MSIX_FLAGS_MASKALL >> 8 : 0 };
	unsigned flags = write ? vu_face_msix_flags(c) : 0;
	uint8_t has[2], copy[8], *to;
	ssize_t n;

	if (flags && pos < flags + 2 && pos + count > flags && count <= sizeof(copy)) {
		n = vu_region_rw(c->session, VFIO_PCI_CONFIG_REGION_INDEX, flags, has, 2, false);
		if (n < 0)
			return n;
		memcpy(copy, buf, count);
		for (unsigned i = 0; i < 2; i++) {
			if (flags + i < pos || flags + i >= pos + count)
				continue;
			to = &copy[flags + i - pos];
			*to = (uint8_t)((has[i] & ~users[i]) | (*to & users[i]));
		}
		buf = copy;
	}
	n = vu_region_rw(c->session, VFIO_PCI_CONFIG_REGION_INDEX, pos, buf, count, write);
	if (n > 0)
		vu_face_note(c, pos, buf, (size_t)n, write);
	if (write && !atomic_load(&c->masked)) {
		unsigned masks = vu_face_msi_masks(c);

		if (masks && pos < masks + 4 && pos + count > masks)
			atomic_store(&c->masked, true);
	}
	return n;
}

ssize_t vu_client_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf, size_t count,
		     bool write)
{
	struct vu_client *c = to_client(dev);
	struct vfio_region r;
	ssize_t n = -EIO;

	if (index >= VU_CLIENT_REGIONS || !c->regions[index].there)
		return -EINVAL;
	pthread_mutex_lock(&c->config_lock);
	r = c->regions[index].info;
	/* the ROM as a BAR: whether there is an image says the server */
	if (index == VFIO_PCI_ROM_REGION_INDEX)
		r.size = c->bars[index].size;
	pthread_mutex_unlock(&c->config_lock);
	if (pos >= r.size)
		return -EINVAL;
	if (count > r.size - pos)
		count = (size_t)(r.size - pos);
	if (!vu_session_is_lost(c->session))
		n = index == VFIO_PCI_CONFIG_REGION_INDEX
			    ? config_rw(c, pos, buf, count, write)
			    : bar_rw(c, index, pos, buf, count, write);
	if (n < 0 && vu_session_is_lost(c->session)) {
		if (!write)
			memset(buf, 0xff, count);
		return (ssize_t)count;
	}
	return n;
}

/* ---- mapped ones ---- */

/* Make one aligned access of 1, 2, 4 or 8 bytes. 0 or -EIO. */
static int access_once(struct vu_client *c, struct vu_region_access *a, uint64_t *value, bool write)
{
	struct vu_session *s = c->session;
	struct vu_request r;
	int rc;

	if (!vu_session_is_lost(s)) {
		/* a server that is started again is asked for the answers of all */
		bool post = write && !c->o.no_posts && !s->resume && atomic_load(&c->decodes);

		rc = post ? vu_session_access(s, a, value, true, true) : VU_RING_BUSY;
		if (rc == VU_RING_BUSY && post && !s->ring) {
			r = write_request(a, value);
			rc = vu_session_post(s, &r);
		} else if (rc == VU_RING_BUSY) {
			rc = write ? write_once(s, a, value) : read_once(s, a, value);
			rc = rc == (int)a->count ? 0 : -EIO;
		}
		if (!rc || !vu_session_is_lost(s))
			return rc;
	}
	if (!write)
		*value = UINT64_MAX;
	return 0;
}

int vu_client_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		   uint64_t *value, bool write)
{
	struct vu_client *c = to_client(dev);
	uint64_t all = 0, v;
	unsigned at, n;
	int rc;

	if (write && (int)index == c->table.bar && pos < c->table.end &&
	    pos + size > c->table.start)
		atomic_store_explicit(&c->masked, true, memory_order_relaxed);
	for (at = 0; at < size; at += n) {
		struct vu_region_access a = { .offset = pos + at, .region = index };

		for (n = 8; n > size - at || (pos + at) % n; n /= 2)
			;
		a.count = n;
		v = write ? *value >> 8 * at : 0;
		rc = access_once(c, &a, &v, write);
		if (rc)
			return rc;
		if (n < 8)
			v &= (1ull << 8 * n) - 1;
		all |= v << 8 * at;
	}
	if (!write)
		*value = all;
	return 0;
}

/* ---- ioeventfds ---- */

struct vu_ioeventfd {
	struct cds_list_head node; /* vu_client.ioeventfds, under irq_lock */
	struct vu_client *c;
	struct vfio_virqfd *virqfd;
	struct vu_region_access at;
	uint64_t data;
};

/* The write is one message; an eventfd that the server would wait for might overtake others. */
static void fire(void *arg)
{
	struct vu_ioeventfd *io = arg;
	struct vu_region_access a = io->at;
	uint64_t data = io->data;

	access_once(io->c, &a, &data, true);
}

static void ioeventfd_free(struct vu_ioeventfd *io)
{
	vfio_virqfd_free(io->virqfd);
	cds_list_del(&io->node);
	io->c->num_ioeventfds--;
	heap_free(io);
}

static int ioeventfd_add(struct vu_client *c, const struct vu_ioeventfd *want, int fd)
{
	struct vu_ioeventfd *io;
	int rc;

	if (c->num_ioeventfds >= IOEVENTFDS_MAX)
		return -ENOSPC;
	io = heap_alloc(sizeof(*io));
	if (!io)
		return -ENOMEM;
	*io = *want;
	io->c = c;
	rc = vfio_virqfd_new(c->o.irqs, fd, fire, io, &io->virqfd);
	if (rc) {
		heap_free(io);
		return rc;
	}
	cds_list_add(&io->node, &c->ioeventfds);
	c->num_ioeventfds++;
	return 0;
}

int vu_client_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
			int fd)
{
	struct vu_client *c = to_client(dev);
	const struct vu_ioeventfd want = {
		.at = { VFIO_REGION_POS(offset), VFIO_REGION_INDEX(offset), flags },
		.data = data,
	};
	struct vu_ioeventfd *io, *same = NULL;
	uint64_t start, end;
	int rc = 0;

	vu_face_msix_bounds(c, want.at.region, &start, &end);
	if (want.at.region > VFIO_PCI_BAR5_REGION_INDEX ||
	    !range_within(want.at.offset, flags, c->regions[want.at.region].info.size) ||
	    (want.at.offset < end && want.at.offset + flags > start))
		return -EINVAL;
	pthread_mutex_lock(&c->irq_lock);
	cds_list_for_each_entry(io, &c->ioeventfds, node)
		if (!memcmp(&io->at, &want.at, sizeof(io->at)) && io->data == data)
			same = io;
	if (fd < 0 && same)
		ioeventfd_free(same);
	else if (fd < 0)
		rc = -ENODEV;
	else
		rc = same ? -EEXIST : ioeventfd_add(c, &want, fd);
	pthread_mutex_unlock(&c->irq_lock);
	return rc;
}

void vu_ioeventfds_drop(struct vu_client *c)
{
	pthread_mutex_lock(&c->irq_lock);
	while (!cds_list_empty(&c->ioeventfds))
		ioeventfd_free(cds_list_first_entry(&c->ioeventfds, struct vu_ioeventfd, node));
	pthread_mutex_unlock(&c->irq_lock);
}
