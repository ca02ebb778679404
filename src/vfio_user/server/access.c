/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/access.c: registers: reads and writes of regions. All of an access lies in its
 * region, or nothing of it is done.
 */
#include "vfio_user/server/internal.h"

#define SMALL 64u /* registers are no larger: no memory is taken */

/* Check an access: @a->count bytes. 0 or -EINVAL. */
static int check(const struct vu_server_client *c, const struct vu_region_access *a)
{
	if (a->region >= c->open.dev->num_regions || a->count > c->s->cfg.limits.max_data)
		return -EINVAL;
	return range_within(a->offset, a->count, c->region_sizes[a->region]) ? 0 : -EINVAL;
}

static int access_region(struct vu_server_client *c, const struct vu_region_access *a, void *buf,
			 bool write)
{
	ssize_t done;

	if (!a->count)
		return 0;
	done = vfio_device_rw(&c->open, a->region, a->offset, buf, a->count, write);
	if (done < 0)
		return (int)done;
	return (size_t)done == a->count ? 0 : -EIO;
}

int vu_access(struct vu_server_client *c, const struct vu_region_access *a, void *buf, bool write)
{
	int ret = check(c, a);

	return ret ? ret : access_region(c, a, buf, write);
}

bool vu_region_read(struct vu_server_client *c, struct vu_message *m)
{
	struct {
		struct vu_region_access a;
		uint8_t data[SMALL];
	} small, *r = &small;
	struct iovec iov = { .iov_len = sizeof(small.a) };
	struct vu_region_access a;
	uint64_t ticket;
	bool mine = true;
	int ret = -EINVAL;

	if (m->len < sizeof(a))
		goto out;
	memcpy(&a, m->data, sizeof(a));
	ret = check(c, &a);
	if (!ret && a.count > SMALL) {
		r = malloc(sizeof(a) + a.count);
		if (!r)
			ret = -ENOMEM;
	}
	if (ret)
		goto out;
	r->a = a;
	ticket = vu_service_read_begin(c);
	ret = access_region(c, &a, r->data, false);
	mine = vu_service_read_end(c, ticket);
	iov.iov_base = r;
	iov.iov_len += a.count;
out:
	if (ret)
		vu_command_refused(c, m, ret);
	vu_conn_reply(c->conn, &m->header, ret, &iov, ret ? 0 : 1, NULL, 0);
	if (r != &small)
		free(r);
	return mine;
}

int vu_region_write(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_region_access a;
	int ret;

	memcpy(&a, m->data, sizeof(a));
	ret = -EINVAL;
	if (m->len - sizeof(a) == a.count)
		ret = vu_access(c, &a, m->data + sizeof(a), true);
	return ret ? ret : vu_reply(c, m, &a, sizeof(a));
}

/* All of it is looked at before the first write is done. */
static int check_multi(const struct vu_server_client *c, const struct vu_message *m, uint64_t n)
{
	struct vu_write w;

	if ((m->len - sizeof(n)) % sizeof(w) || (m->len - sizeof(n)) / sizeof(w) != n)
		return -EINVAL;
	for (uint64_t i = 0; i < n; i++) {
		const struct vu_region_access *a;

		memcpy(&w, m->data + sizeof(n) + i * sizeof(w), sizeof(w));
		a = &(struct vu_region_access){ w.offset, w.region, w.count };
		if (w.count > sizeof(w.data) || check(c, a))
			return -EINVAL;
	}
	return 0;
}

int vu_write_multi(struct vu_server_client *c, struct vu_message *m)
{
	uint64_t n, done;
	int ret;

	if (!c->caps.write_multiple)
		return -ENOSYS;
	memcpy(&n, m->data, sizeof(n));
	ret = check_multi(c, m, n);
	for (done = 0; done < n && !ret; done++) {
		struct vu_region_access a;
		struct vu_write w;

		memcpy(&w, m->data + sizeof(n) + done * sizeof(w), sizeof(w));
		a = (struct vu_region_access){ w.offset, w.region, w.count };
		ret = access_region(c, &a, w.data, true);
	}
	return ret ? ret : vu_reply(c, m, &n, sizeof(n));
}
