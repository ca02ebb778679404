/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/ring.c: the ring of a client that is one of ours (vfio_user/ring.h): registers
 * and interrupts by shared memory, carried out by the ring's thread beside the socket's commands.
 */
#include "base/sys.h"
#include "vfio_user/ring.h"
#include "vfio_user/server/internal.h"

static int ring_access(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		       bool write)
{
	const struct vu_region_access a = { .offset = offset, .region = region, .count = count };
	struct vu_server_client *c = arg;
	int ret = vu_access(c, &a, buf, write);

	if (ret)
		report_warn(REPORT_LIMITED("serve-ring"), c->name, ret,
			    "a %s of %u bytes by the ring is refused: region %u at 0x%llx",
			    write ? "write" : "read", count, region, (unsigned long long)offset);
	return ret;
}

static int ring_irqs(void *arg, const struct vu_set_irqs *set, const uint8_t *data)
{
	struct vu_server_client *c = arg;
	int ret = vu_set_vectors(c, set, data, VU_RING_DATA);

	if (ret)
		report_warn(REPORT_LIMITED("serve-ring"), c->name, ret,
			    "SET_IRQS by the ring is refused");
	return ret;
}

static void ring_broken(void *arg, int error)
{
	struct vu_server_client *c = arg;

	vu_conn_kill(c->conn, error);
}

static const struct vu_ring_ops ops = { ring_access, ring_irqs, ring_broken };

int vu_give_ring(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_ring_info info;
	struct iovec iov = { &info, sizeof(info) };
	int fd, ret;

	if (!c->caps.ring)
		return -ENOSYS;
	if (c->ring)
		return -EBUSY;
	ret = vu_ring_server_new(&ops, c, c->name, &info, &fd, &c->ring);
	if (ret)
		return ret;
	vu_answer(c, m, 0, &iov, 1, &fd, 1);
	fd_close_private(fd);
	return 0;
}
