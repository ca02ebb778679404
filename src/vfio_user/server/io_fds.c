/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/io_fds.c: GET_REGION_IO_FDS: registers whose writes need no message. A client
 * has KVM signal an eventfd when the guest writes a value there; here the value is written to the
 * device for each signal, by the driver's thread. Which registers are worth that the server's
 * program says (struct vu_ioeventfd): a device does not tell.
 *
 * Such a write may overtake messages that the client sent before it, and is counted, not queued: it
 * is for doorbells that say "look".
 *
 * By the turn.
 */
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "vfio_user/server/internal.h"

#define MAX_ENTRIES 64u

void vu_io_fds_fini(struct vu_server_client *c)
{
	/* those that the device waits for are duplicates, which go with its close */
	for (unsigned i = 0; c->io_fds && i < c->s->cfg.num_ioeventfds; i++)
		if (c->io_fds[i] >= 0)
			sys_close(c->io_fds[i]);
	free(c->io_fds);
	c->io_fds = NULL;
}

/* Have the eventfd of entry @i in c->io_fds, which the device waits for. 0 or -errno. */
static int make(struct vu_server_client *c, unsigned i)
{
	const struct vu_ioeventfd *e = &c->s->cfg.ioeventfds[i];
	int fd, ret;

	if (c->io_fds[i] >= 0)
		return 0;
	fd = (int)fd_of_ours(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);
	if (fd < 0)
		return fd;
	ret = vfio_device_ioeventfd(&c->open, e->size, VFIO_REGION_OFFSET(e->region) | e->offset,
				    e->value, fd);
	if (ret)
		sys_close(fd);
	else
		c->io_fds[i] = fd;
	return ret;
}

/* Make the list of eventfds. 0 or -ENOMEM. */
static int begin(struct vu_server_client *c)
{
	unsigned n = c->s->cfg.num_ioeventfds;

	if (c->io_fds)
		return 0;
	c->io_fds = malloc(n ? n * sizeof(*c->io_fds) : 1);
	if (!c->io_fds)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		c->io_fds[i] = -1;
	return 0;
}

/*
 * List the registers of @region in @entries, with their eventfds in @fds. Return how many there
 * are. What the device cannot do, and what the client has no room for, is left out.
 */
static unsigned list(struct vu_server_client *c, uint32_t region, struct vu_io_fd *entries,
		     int *fds)
{
	unsigned n = 0;

	/* a signal that was taken would be lost with this process */
	for (unsigned i = 0; i < c->s->cfg.num_ioeventfds && !c->lasting; i++) {
		const struct vu_ioeventfd *e = &c->s->cfg.ioeventfds[i];
		int ret;

		if (e->region != region || n == MAX_ENTRIES || n == c->theirs.max_msg_fds)
			continue;
		ret = make(c, i);
		if (ret) {
			report_warn(REPORT_LIMITED("serve-ioeventfd"), c->name, ret,
				    "no ioeventfd at 0x%llx of region %u",
				    (unsigned long long)e->offset, region);
			continue;
		}
		fds[n] = c->io_fds[i];
		entries[n] = (struct vu_io_fd){ .offset = e->offset,
						.size = e->size,
						.fd_index = n,
						.type = VU_IO_FD_IOEVENTFD,
						.flags = VU_IOEVENTFD_DATAMATCH,
						.datamatch = e->value };
		n++;
	}
	return n;
}

int vu_get_io_fds(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_io_fd entries[MAX_ENTRIES];
	struct vu_io_fds head;
	struct iovec iov[2] = { { &head, sizeof(head) }, { entries, 0 } };
	int fds[MAX_ENTRIES], ret;
	uint32_t room;

	memcpy(&head, m->data, sizeof(head));
	if (head.argsz < sizeof(head) || head.flags || head.count ||
	    head.index >= c->open.dev->num_regions)
		return -EINVAL;
	room = head.argsz;
	ret = begin(c);
	if (ret)
		return ret;
	head.count = list(c, head.index, entries, fds);
	iov[1].iov_len = head.count * sizeof(*entries);
	head.argsz = (uint32_t)(sizeof(head) + iov[1].iov_len);
	/* without room it learns how much it takes, and asks again */
	if (head.argsz > room)
		vu_answer(c, m, 0, iov, 1, NULL, 0);
	else
		vu_answer(c, m, 0, iov, 2, fds, head.count);
	return 0;
}
