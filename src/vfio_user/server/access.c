/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/access.c: registers: reads and writes of regions. All of an access lies in its
 * region, or nothing of it is done. What may be overtaken, and when: service.c.
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
	ticket = vu_service_begin(c, VU_TURN_READ);
	ret = access_region(c, &a, r->data, false);
	mine = vu_service_end(c, VU_TURN_READ, ticket);
	iov.iov_base = r;
	iov.iov_len += a.count;
out:
	if (ret)
		vu_command_refused(c, m, ret);
	vu_answer(c, m, ret, &iov, ret ? 0 : 1, NULL, 0);
	if (r != &small)
		free(r);
	return mine;
}

/*
 * Return what to do if the write waits for memory for which the client was asked. It is overtaken
 * if it is one access of the device, which is in the device once it has begun. One of config space
 * that waits turns the device off: memory decoding, its power, a reset.
 */
static enum vu_turn turn_of(const struct vu_server_client *c, const struct vu_region_access *a)
{
	if (!c->messages)
		return VU_TURN_PLAIN;
	if (a->region == VFIO_PCI_CONFIG_REGION_INDEX)
		return VU_TURN_STOPS;
	return a->count <= 8 && is_pow2(a->count) && !(a->offset & (a->count - 1)) ? VU_TURN_WRITE
										   : VU_TURN_PLAIN;
}

/* Make one write, which was checked. *@mine: as vu_command_run() returns it. 0 or -errno. */
static int write_region(struct vu_server_client *c, const struct vu_region_access *a, void *data,
			bool *mine)
{
	enum vu_turn turn = turn_of(c, a);
	uint64_t ticket;
	int ret;

	if (turn == VU_TURN_PLAIN)
		return access_region(c, a, data, true);
	ticket = vu_service_begin(c, turn);
	ret = access_region(c, a, data, true);
	*mine = vu_service_end(c, turn, ticket);
	return ret;
}

/* Reply to a write. */
static void reply(struct vu_server_client *c, const struct vu_message *m, int ret, void *data,
		  size_t len)
{
	struct iovec iov = { data, len };

	if (ret)
		vu_command_refused(c, m, ret);
	vu_answer(c, m, ret, &iov, ret ? 0 : 1, NULL, 0);
}

bool vu_region_write(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_region_access a = { 0 };
	int ret = -EINVAL;
	bool mine = true;

	if (m->len >= sizeof(a)) {
		memcpy(&a, m->data, sizeof(a));
		if (m->len - sizeof(a) == a.count)
			ret = check(c, &a);
	}
	if (!ret)
		ret = write_region(c, &a, m->data + sizeof(a), &mine);
	reply(c, m, ret, &a, sizeof(a));
	return mine;
}

/* ---- WRITE_MULTI ---- */

/*
 * Its writes are begun one after the other. The one that is overtaken is done by its thread, those
 * behind it by who has the turn then, before any other command. The last to be done replies.
 */
struct vu_writes {
	struct vu_message m; /* its header, for the reply, and its length */
	uint64_t n, next;
	atomic_uint refs; /* who has the turn, while some are not begun; each that is under way */
	atomic_int error; /* of the first that failed */
	struct vu_write w[];
};

/* All of it is looked at before the first write is done. */
static int check_multi(const struct vu_server_client *c, const struct vu_message *m, uint64_t *n)
{
	struct vu_write w;

	if (m->len < sizeof(*n))
		return -EINVAL;
	memcpy(n, m->data, sizeof(*n));
	if ((m->len - sizeof(*n)) % sizeof(w) || (m->len - sizeof(*n)) / sizeof(w) != *n)
		return -EINVAL;
	for (uint64_t i = 0; i < *n; i++) {
		const struct vu_region_access *a;

		memcpy(&w, m->data + sizeof(*n) + i * sizeof(w), sizeof(w));
		a = &(struct vu_region_access){ w.offset, w.region, w.count };
		if (w.count > sizeof(w.data) || check(c, a))
			return -EINVAL;
	}
	return 0;
}

static void put_writes(struct vu_server_client *c, struct vu_writes *all)
{
	if (atomic_fetch_sub(&all->refs, 1) > 1)
		return;
	reply(c, &all->m, atomic_load(&all->error), &all->n, sizeof(all->n));
	free(all);
}

bool vu_write_rest(struct vu_server_client *c)
{
	struct vu_writes *all = c->writes;
	bool mine = true;

	while (mine && all) {
		struct vu_write *w = &all->w[all->next++];
		struct vu_region_access a = { w->offset, w->region, w->count };
		int none = 0, ret;

		/* the last one has the reference of who has the turn */
		if (all->next == all->n)
			c->writes = NULL;
		else
			atomic_fetch_add(&all->refs, 1);
		ret = write_region(c, &a, w->data, &mine);
		if (ret)
			atomic_compare_exchange_strong(&all->error, &none, ret);
		/* nothing is done behind one that failed */
		if (ret && mine && c->writes) {
			c->writes = NULL;
			put_writes(c, all);
		}
		put_writes(c, all);
		all = mine ? c->writes : NULL;
	}
	return mine;
}

bool vu_write_multi(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_writes *all;
	uint64_t n = 0;
	int ret = -ENOSYS;

	if (c->caps.write_multiple)
		ret = check_multi(c, m, &n);
	if (!ret && n) {
		all = calloc(1, sizeof(*all) + n * sizeof(all->w[0]));
		if (all) {
			all->m.header = m->header;
			all->m.len = m->len;
			all->n = n;
			atomic_init(&all->refs, 1);
			memcpy(all->w, m->data + sizeof(n), n * sizeof(all->w[0]));
			c->writes = all;
			return vu_write_rest(c);
		}
		ret = -ENOMEM;
	}
	reply(c, m, ret, &n, sizeof(n));
	return true;
}
