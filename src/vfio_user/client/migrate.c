/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/migrate.c: the migration of a device behind a socket: its server keeps states,
 * stream and log (vfio/migrate.h, struct vfio_migrate_relay), which are asked for by DEVICE_FEATURE
 * and MIG_DATA_READ and WRITE. Only a server is asked that named "migration" among its
 * capabilities: others may not even know how long such a message is.
 *
 * The protocol has no VFIO_MIG_GET_PRECOPY_INFO, without which a program cannot tell how far it is
 * in PRE_COPY. Our servers have it as a feature of our own (VU_FEATURE_PRECOPY_INFO); of another's
 * device the states of PRE_COPY are not offered.
 */
#include "vfio/migrate.h"
#include "vfio_user/client/internal.h"

/* Bytes of the log's bitmap are those of whole words, as in libvfio-user. */
#define WORD 8u

/*
 * Ask for a feature. @flags: VFIO_DEVICE_FEATURE_*, and which; @len bytes of @data go there, and
 * with @min bytes at least the answer comes, of which @out gets so many. 0 or -errno.
 */
static int ask(struct vu_session *s, uint32_t flags, const void *data, size_t len, void *out,
	       size_t min)
{
	struct vu_feature head = { .argsz = (uint32_t)(sizeof(head) + (len > min ? len : min)),
				   .flags = flags };
	const struct vu_request r = { .command = VU_DEVICE_FEATURE,
				      .iov = { { &head, sizeof(head) }, { (void *)data, len } },
				      .iovcnt = len ? 2 : 1,
				      .min = out ? sizeof(head) + min : 0 };
	struct vu_message reply = { 0 };
	int rc = vu_session_call(s, &r, &reply);

	if (rc)
		return rc;
	if (out)
		memcpy(out, reply.data + sizeof(head), min);
	vu_message_fini(&reply);
	return 0;
}

#define GET(feature)   (VFIO_DEVICE_FEATURE_GET | (feature))
#define SET(feature)   (VFIO_DEVICE_FEATURE_SET | (feature))
#define PROBE(feature) (VFIO_DEVICE_FEATURE_PROBE | (feature))

/* ---- states and stream ---- */

static uint64_t flags(struct vfio_device *dev)
{
	return to_client(dev)->migration;
}

static int get_state(struct vfio_device *dev, uint32_t *out)
{
	struct vfio_device_feature_mig_state m;
	int rc = ask(to_client(dev)->session, GET(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE), NULL, 0,
		     &m, sizeof(m));

	if (!rc)
		*out = m.device_state;
	return rc;
}

static int set_state(struct vfio_device *dev, uint32_t state)
{
	const struct vfio_device_feature_mig_state m = { .device_state = state };

	if (state == VFIO_DEVICE_STATE_RESUMING)
		atomic_store(&to_client(dev)->masked, true);
	return ask(to_client(dev)->session, SET(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE), &m,
		   sizeof(m), NULL, 0);
}

static uint32_t piece(const struct vu_session *s, size_t len)
{
	return len < s->max_data ? (uint32_t)len : s->max_data;
}

static ssize_t read_data(struct vfio_device *dev, void *buf, size_t len)
{
	struct vu_session *s = to_client(dev)->session;
	struct vu_mig_data head = { .argsz = (uint32_t)sizeof(head) + piece(s, len),
				    .size = piece(s, len) };
	const struct vu_request r = { .command = VU_MIG_DATA_READ,
				      .iov = { { &head, sizeof(head) } },
				      .iovcnt = 1,
				      .min = sizeof(head) };
	struct vu_message reply = { 0 };
	uint32_t size = head.size;
	int rc = vu_session_call(s, &r, &reply);

	if (rc)
		return rc;
	memcpy(&head, reply.data, sizeof(head));
	if (head.size > size || head.size > reply.len - sizeof(head))
		rc = report_err("vfio-user-migration", dev->name, -EIO,
				"its server answered MIG_DATA_READ of %u bytes by %zu, and says "
				"%u",
				size, reply.len - sizeof(head), head.size);
	else
		memcpy(buf, reply.data + sizeof(head), head.size);
	vu_message_fini(&reply);
	return rc ? rc : (ssize_t)head.size;
}

static int write_data(struct vfio_device *dev, const void *buf, size_t len)
{
	struct vu_session *s = to_client(dev)->session;
	int rc = 0;

	while (len && !rc) {
		uint32_t n = piece(s, len);
		struct vu_mig_data head = { .argsz = (uint32_t)sizeof(head) + n, .size = n };
		const struct vu_request r = {
			.command = VU_MIG_DATA_WRITE,
			.iov = { { &head, sizeof(head) }, { (void *)buf, n } },
			.iovcnt = 2,
		};

		rc = vu_session_do(s, &r);
		buf = (const char *)buf + n;
		len -= n;
	}
	return rc;
}

static int data_size(struct vfio_device *dev, uint64_t *out)
{
	return ask(to_client(dev)->session, GET(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE), NULL, 0, out,
		   sizeof(*out));
}

static int precopy(struct vfio_device *dev, bool v2, struct vfio_precopy_info *info)
{
	struct vu_precopy_info p = { 0 };
	int rc = 0;

	if (v2)
		rc = ask(to_client(dev)->session, SET(VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2), NULL,
			 0, NULL, 0);
	if (!rc)
		rc = ask(to_client(dev)->session, GET(VU_FEATURE_PRECOPY_INFO), NULL, 0, &p,
			 sizeof(p));
	if (rc)
		return rc;
	if (v2)
		info->flags = p.flags;
	info->initial_bytes = p.initial_bytes;
	info->dirty_bytes = p.dirty_bytes;
	return 0;
}

/* ---- the log ---- */

static int log_start(struct vfio_device *dev,
		     const struct vfio_device_feature_dma_logging_range *ranges, unsigned n,
		     uint64_t *page_size)
{
	struct vu_log_start head = { .page_size = *page_size, .num_ranges = n };
	size_t len = sizeof(head) + n * sizeof(*ranges);
	struct vu_session *s = to_client(dev)->session;
	char *all;
	int rc;

	all = heap_alloc(len);
	if (!all)
		return -ENOMEM;
	memcpy(all, &head, sizeof(head));
	memcpy(all + sizeof(head), ranges, n * sizeof(*ranges));
	rc = ask(s, SET(VFIO_DEVICE_FEATURE_DMA_LOGGING_START), all, len, &head, sizeof(head));
	heap_free(all);
	/* the size that it took; one that does not say keeps to ours */
	if (!rc && is_pow2(head.page_size))
		*page_size = head.page_size;
	return rc;
}

static int log_stop(struct vfio_device *dev)
{
	return ask(to_client(dev)->session, SET(VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP), NULL, 0,
		   NULL, 0);
}

static int log_report(struct vfio_device *dev, uint64_t iova, uint64_t length, uint64_t page_size,
		      void *bits, size_t size)
{
	const struct vu_log_report q = { .iova = iova, .length = length, .page_size = page_size };
	size_t len = sizeof(q) + align_up(size, WORD);
	char *all = heap_alloc(len);
	int rc;

	if (!all)
		return -ENOMEM;
	rc = ask(to_client(dev)->session, GET(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT), &q,
		 sizeof(q), all, len);
	if (!rc)
		memcpy(bits, all + sizeof(q), size);
	heap_free(all);
	return rc;
}

static const struct vfio_migrate_relay relay = {
	.flags = flags,
	.state = get_state,
	.set = set_state,
	.read = read_data,
	.write = write_data,
	.size = data_size,
	.precopy = precopy,
	.log_start = log_start,
	.log_stop = log_stop,
	.log_report = log_report,
};

int vu_migrate_learn(struct vu_client *c, struct vu_session *s)
{
	uint64_t can = 0;

	c->migration = 0;
	if (!s->caps.migration ||
	    ask(s, GET(VFIO_DEVICE_FEATURE_MIGRATION), NULL, 0, &can, sizeof(can)))
		return 0;
	if (can & VFIO_MIGRATION_PRE_COPY &&
	    ask(s, PROBE(VFIO_DEVICE_FEATURE_GET | VU_FEATURE_PRECOPY_INFO), NULL, 0, NULL, 0))
		can &= ~(uint64_t)VFIO_MIGRATION_PRE_COPY;
	c->migration = can;
	/* what once migrated keeps its answers, though another server has the device now */
	return can && !c->vdev.migrate ? vfio_migrate_new_relay(&c->vdev, &relay) : 0;
}
