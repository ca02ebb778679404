/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/dma_messages.c: memory that came without a descriptor: each access of the device
 * is a command to the client, and waits for its answer. The thread that waits reads the socket
 * meanwhile, whichever it is: commands of the client's that come first are kept until somebody
 * takes them. A client that does not answer in time is a fault of that access; so is one that
 * unmaps the memory meanwhile, or that waits for a reset which waits for the access.
 */
#include <inttypes.h>

#include "vfio_user/server/internal.h"

struct access {
	struct vu_call call;
	struct vu_dma_access a;
};

/* Return the socket for our own commands. */
static struct vu_conn *conn_of(struct vu_server_client *c)
{
	return c->twin ? c->twin : c->conn;
}

/* Make one call for @len bytes. 0 or -errno. */
static int call(struct vu_server_client *c, uint64_t addr, uint8_t *buf, size_t len, bool write)
{
	struct access acc = { .a = { .addr = addr, .count = len } };
	struct iovec iov[2] = { { &acc.a, sizeof(acc.a) }, { buf, len } };
	struct vu_message reply;
	int ret;

	acc.call = (struct vu_call){ .command = write ? VU_DMA_WRITE : VU_DMA_READ,
				     .iov = iov,
				     .iovcnt = write ? 2 : 1,
				     .timeout_ns = c->s->cfg.limits.dma_timeout * MS,
				     .can_stop = true };
	atomic_fetch_add(&c->service.asked, 1);
	ret = vu_conn_call(conn_of(c), &acc.call, &reply);
	atomic_fetch_add(&c->service.answered, 1);
	if (ret)
		return ret;
	/* the specification's reply to a write has a count of 32 bits, that of all others of 64 */
	if (reply.len < sizeof(acc.a.addr) + sizeof(uint32_t) ||
	    (!write && reply.len != sizeof(acc.a) + len))
		ret = report_warn(REPORT_LIMITED("serve-dma-reply"), c->name, -EPROTO,
				  "the reply to a DMA of %zu bytes at 0x%" PRIx64
				  " has a wrong length, %zu bytes",
				  len, addr, reply.len);
	else if (!write)
		memcpy(buf, reply.data + sizeof(acc.a), len);
	vu_message_fini(&reply);
	return ret;
}

static int access_client(void *arg, struct iommu_device *from, unsigned bar, uint64_t off,
			 void *buf, size_t len, bool write)
{
	struct vu_server_client *c = arg;
	size_t done = 0, n;
	int ret = 0;

	for (; done < len && !ret; done += n) {
		n = len - done;
		if (n > c->caps.max_data_xfer_size)
			n = c->caps.max_data_xfer_size;
		ret = call(c, off + done, (uint8_t *)buf + done, n, write);
	}
	return ret;
}

int vu_messages(struct vu_server_client *c, struct iommu_target **target)
{
	int ret = vu_conn_can_stop(conn_of(c));

	if (ret)
		return ret;
	if (!c->messages)
		c->messages = iommu_target_new_memory(c->name, access_client, c);
	*target = c->messages;
	return *target ? 0 : -ENOMEM;
}

static bool is_stopped(void *arg, const struct vu_call *call)
{
	const struct access *acc = (const struct access *)call; /* its first member */
	const struct vu_server_client *c = arg;

	return acc->a.addr <= c->stopped.last &&
	       acc->a.addr + (acc->a.count - 1) >= c->stopped.first;
}

void vu_messages_stop(struct vu_server_client *c, uint64_t first, uint64_t last)
{
	c->stopped.first = first;
	c->stopped.last = last;
	vu_conn_stop_begin(conn_of(c), is_stopped, c);
}

void vu_messages_go_on(struct vu_server_client *c)
{
	vu_conn_stop_end(conn_of(c));
}
