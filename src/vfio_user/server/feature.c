/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/feature.c: DEVICE_FEATURE: the migration of the device and the log of its DMA
 * writes; and MIG_DATA_READ and WRITE, by which its state leaves it or comes to it. Checks are in
 * the order of the kernel's VFIO_DEVICE_FEATURE (uapi/feature.c).
 */
#include "vfio/dma_log.h"
#include "vfio/migrate.h"
#include "vfio_user/server/internal.h"

#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET

/* A request: the bytes behind struct vu_feature, in which the reply is made, of up to @room. */
struct request {
	struct vu_server_client *c;
	struct vu_message *m;
	struct vu_feature head;
	uint32_t op; /* GET or SET */
	const uint8_t *data;
	size_t len;
};

static struct vfio_migrate *migrate_of(struct vu_server_client *c)
{
	return vfio_device_migrate(&c->open);
}

static int answer(struct request *r, const void *data, size_t len, const void *more,
		  size_t more_len)
{
	struct vu_feature head = r->head;
	struct iovec iov[3] = { { &head, sizeof(head) },
				{ (void *)data, len },
				{ (void *)more, more_len } };

	head.argsz = (uint32_t)(sizeof(head) + len + more_len);
	/* who has no room for it learns how much it takes: "Message sizes" */
	vu_answer(r->c, r->m, 0, iov, head.argsz > r->head.argsz ? 1 : 3, NULL, 0);
	return 0;
}

/* Say which limit it was that a stream met. */
static int stream_error(const struct vu_server_client *c, int ret)
{
	return ret == -ENOSPC ? vu_limit_reached(c, "migration", c->s->cfg.limits.max_migration)
			      : ret;
}

/* ---- migration ---- */

static int migration(struct request *r)
{
	struct vfio_device_feature_migration mig = {
		.flags = vfio_migrate_flags(migrate_of(r->c)),
	};

	return answer(r, &mig, sizeof(mig), NULL, 0);
}

static int mig_state(struct request *r)
{
	struct vfio_device_feature_mig_state mig;
	struct vfio_stream *s;
	int ret;

	if (r->op == GET) {
		mig = (struct vfio_device_feature_mig_state){
			.device_state = vfio_migrate_state(migrate_of(r->c)), .data_fd = -1
		};
		return answer(r, &mig, sizeof(mig), NULL, 0);
	}
	memcpy(&mig, r->data, sizeof(mig));
	ret = vfio_migrate_set(migrate_of(r->c), mig.device_state, &s);
	if (s) {
		vu_migration_end(r->c);
		r->c->stream = s;
	}
	return ret ? stream_error(r->c, ret) : answer(r, &mig, sizeof(mig), NULL, 0);
}

static int mig_data_size(struct request *r)
{
	struct vfio_device_feature_mig_data_size size = {
		.stop_copy_length = vfio_migrate_size(migrate_of(r->c)),
	};

	return answer(r, &size, sizeof(size), NULL, 0);
}

static int precopy_v2(struct request *r)
{
	vfio_migrate_precopy_v2(migrate_of(r->c));
	return answer(r, NULL, 0, NULL, 0);
}

static int precopy_info(struct request *r)
{
	struct vfio_precopy_info info = { 0 };
	struct vu_precopy_info p;
	int ret = r->c->stream ? vfio_stream_precopy(r->c->stream, &info) : -EINVAL;

	p = (struct vu_precopy_info){ .flags = info.flags,
				      .initial_bytes = info.initial_bytes,
				      .dirty_bytes = info.dirty_bytes };
	return ret ? stream_error(r->c, ret) : answer(r, &p, sizeof(p), NULL, 0);
}

void vu_migration_end(struct vu_server_client *c)
{
	if (c->stream)
		vfio_stream_put(c->stream);
	c->stream = NULL;
}

/* ---- the log ---- */

static int log_start(struct request *r)
{
	struct vfio_device_feature_dma_logging_range *ranges,
		all = { .length = 1ull << IOMMU_IOVA_BITS };
	struct vu_log_start start;
	uint64_t page_size;
	int ret;

	memcpy(&start, r->data, sizeof(start));
	page_size = start.page_size;
	if (!start.num_ranges) {
		/* all writes, of which larger pages are noted */
		ret = vfio_dma_log_start(&r->c->open, &all, 1, &page_size);
		start.page_size = page_size;
		return ret ? ret : answer(r, &start, sizeof(start), NULL, 0);
	}
	if (start.num_ranges > VFIO_DMA_LOG_RANGES)
		return -E2BIG;
	if (r->len - sizeof(start) < start.num_ranges * sizeof(*ranges))
		return -EINVAL;
	ranges = malloc(start.num_ranges * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	memcpy(ranges, r->data + sizeof(start), start.num_ranges * sizeof(*ranges));
	ret = vfio_dma_log_start(&r->c->open, ranges, start.num_ranges, &page_size);
	start.page_size = page_size;
	if (!ret)
		ret = answer(r, &start, sizeof(start), ranges, start.num_ranges * sizeof(*ranges));
	free(ranges);
	return ret;
}

static int log_stop(struct request *r)
{
	vfio_dma_log_stop(&r->c->open);
	return answer(r, NULL, 0, NULL, 0);
}

static int log_report(struct request *r)
{
	struct vu_log_report q;
	uint64_t words;
	void *bits;
	int ret;

	memcpy(&q, r->data, sizeof(q));
	if (q.page_size < PAGE_SIZE_4K || !is_pow2(q.page_size))
		return -EINVAL;
	words = q.length ? (q.length - 1) / q.page_size / 64 + 1 : 0;
	/* the bitmap is to fit in what the client has room for, and in a message */
	if (words > r->c->caps.max_data_xfer_size / 8)
		return -E2BIG;
	if (r->head.argsz < sizeof(r->head) + sizeof(q) + words * 8)
		return -EINVAL;
	bits = calloc(words ? words : 1, 8);
	if (!bits)
		return -ENOMEM;
	ret = vfio_dma_log_report(&r->c->open, q.iova, q.length, q.page_size, (uintptr_t)bits);
	if (!ret)
		ret = answer(r, &q, sizeof(q), bits, words * 8);
	free(bits);
	return ret;
}

/* ---- the table ---- */

static const struct feature {
	uint32_t nr, ops;
	size_t get, set; /* bytes that a request has, at least */
	bool precopy;	 /* it is of PRE_COPY alone */
	int (*call)(struct request *r);
} features[] = {
	{ VFIO_DEVICE_FEATURE_MIGRATION, GET, 0, 0, false, migration },
	{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET | SET, 0,
	  sizeof(struct vfio_device_feature_mig_state), false, mig_state },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START, SET, 0, sizeof(struct vu_log_start), false,
	  log_start },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, SET, 0, 0, false, log_stop },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, GET, sizeof(struct vu_log_report), 0, false,
	  log_report },
	{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, GET, 0, 0, false, mig_data_size },
	{ VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, SET, 0, 0, true, precopy_v2 },
	{ VU_FEATURE_PRECOPY_INFO, GET, 0, 0, true, precopy_info },
};

static const struct feature *find(struct vu_server_client *c, uint32_t nr)
{
	struct vfio_migrate *m = migrate_of(c);

	/* a client that has come back lets the device go on */
	if (c->s->cfg.hides_migration &&
	    (!c->resuming || nr != VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		m = NULL;
	for (unsigned i = 0; m && i < ARRAY_SIZE(features); i++)
		if (features[i].nr == nr)
			return !features[i].precopy ||
					       vfio_migrate_flags(m) & VFIO_MIGRATION_PRE_COPY
				       ? &features[i]
				       : NULL;
	return NULL;
}

int vu_device_feature(struct vu_server_client *c, struct vu_message *m)
{
	const uint32_t known = VFIO_DEVICE_FEATURE_MASK | GET | SET | PROBE;
	struct request r = { .c = c, .m = m };
	const struct feature *f;

	memcpy(&r.head, m->data, sizeof(r.head));
	r.op = r.head.flags & (GET | SET);
	r.data = m->data + sizeof(r.head);
	r.len = m->len - sizeof(r.head);
	if (r.head.argsz < sizeof(r.head) || r.head.flags & ~known)
		return -EINVAL;
	if (!(r.head.flags & PROBE) && r.op == (GET | SET))
		return -EINVAL;
	f = find(c, r.head.flags & VFIO_DEVICE_FEATURE_MASK);
	if (!f)
		return -ENOTTY;
	if (r.op & ~f->ops)
		return -EINVAL;
	if (r.head.flags & PROBE)
		return answer(&r, NULL, 0, NULL, 0);
	if (!r.op || r.len < (r.op == GET ? f->get : f->set))
		return -EINVAL;
	return f->call(&r);
}

/* ---- data ---- */

/* Read up to @size bytes of @s; less: there are no more, now or at all. Or -errno. */
static ssize_t read_stream(struct vfio_stream *s, uint8_t *buf, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n > 0) {
		n = vfio_stream_read(s, (uintptr_t)buf + done, size - done);
		if (n > 0)
			done += (size_t)n;
	}
	return n < 0 && n != -ENOMSG && !done ? n : (ssize_t)done;
}

int vu_mig_data_read(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_mig_data head;
	struct iovec iov[2];
	uint8_t *buf;
	ssize_t n;

	memcpy(&head, m->data, sizeof(head));
	if (!c->stream || vfio_stream_resuming(c->stream) ||
	    head.size > c->caps.max_data_xfer_size || head.argsz < sizeof(head) ||
	    head.argsz - sizeof(head) < head.size)
		return -EINVAL;
	buf = malloc(head.size ? head.size : 1);
	if (!buf)
		return -ENOMEM;
	n = read_stream(c->stream, buf, head.size);
	if (n >= 0) {
		head.size = (uint32_t)n;
		head.argsz = (uint32_t)sizeof(head) + head.size;
		iov[0] = (struct iovec){ &head, sizeof(head) };
		iov[1] = (struct iovec){ buf, head.size };
		vu_answer(c, m, 0, iov, 2, NULL, 0);
	}
	free(buf);
	return n < 0 ? stream_error(c, (int)n) : 0;
}

int vu_mig_data_write(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_mig_data head;
	ssize_t n;

	memcpy(&head, m->data, sizeof(head));
	if (!c->stream || !vfio_stream_resuming(c->stream) || head.argsz < sizeof(head) ||
	    head.argsz - sizeof(head) < head.size || m->len - sizeof(head) < head.size)
		return -EINVAL;
	n = vfio_stream_write(c->stream, (uintptr_t)m->data + sizeof(head), head.size);
	return n < 0 ? stream_error(c, (int)n) : vu_reply(c, m, NULL, 0);
}
