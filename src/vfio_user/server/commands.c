/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/server/commands.c: the table of commands: how long each must be, and who does it. */
#include "vfio_user/ring.h"
#include "vfio_user/server/internal.h"

static const struct command {
	vu_command_fn *fn; /* NULL: it is not the client's to send, or not now */
	size_t min;	   /* bytes of its fixed part */
} commands[] = {
	[VU_DMA_MAP] = { vu_dma_map, sizeof(struct vu_dma_map) },
	[VU_DMA_UNMAP] = { vu_dma_unmap, sizeof(struct vu_dma_unmap) },
	[VU_DEVICE_GET_INFO] = { vu_get_info, sizeof(struct vu_device_info) },
	[VU_DEVICE_GET_REGION_INFO] = { vu_get_region_info, sizeof(struct vfio_region_info) },
	[VU_DEVICE_GET_REGION_IO_FDS] = { vu_get_io_fds, sizeof(struct vu_io_fds) },
	[VU_DEVICE_GET_IRQ_INFO] = { vu_get_irq_info, sizeof(struct vfio_irq_info) },
	[VU_DEVICE_SET_IRQS] = { vu_set_irqs, sizeof(struct vu_set_irqs) },
	/* those of access.c: run() */
	[VU_REGION_READ] = { 0 },
	[VU_REGION_WRITE] = { 0 },
	[VU_DEVICE_RESET] = { vu_reset, 0 },
	[VU_DEVICE_FEATURE] = { vu_device_feature, sizeof(struct vu_feature) },
	[VU_MIG_DATA_READ] = { vu_mig_data_read, sizeof(struct vu_mig_data) },
	[VU_MIG_DATA_WRITE] = { vu_mig_data_write, sizeof(struct vu_mig_data) },
};

/* Our own, far from the others. */
static const struct command ring = { vu_give_ring, sizeof(struct vu_ring_info) };

static const struct command *find(unsigned nr)
{
	if (nr == VU_UVFIO_RING)
		return &ring;
	return nr < ARRAY_SIZE(commands) && vu_command_name(nr) ? &commands[nr] : NULL;
}

int vu_command_refused(struct vu_server_client *c, const struct vu_message *m, int error)
{
	const char *name = vu_command_name(m->header.command);

	if (name)
		return report_warn(REPORT_LIMITED("serve-command"), c->name, error,
				   "%s of %zu bytes is refused", name, m->len);
	return report_warn(REPORT_LIMITED("serve-unknown"), c->name, error,
			   "command %u is not known", m->header.command);
}

int vu_answer(struct vu_server_client *c, const struct vu_message *m, int error,
	      const struct iovec *iov, unsigned iovcnt, const int *fds, unsigned num_fds)
{
	if (c->lasting)
		vu_lasting_answer(c, m, error, iov, iovcnt);
	return vu_conn_reply(c->conn, &m->header, error, iov, iovcnt, fds, num_fds);
}

int vu_reply(struct vu_server_client *c, const struct vu_message *m, const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };

	vu_answer(c, m, 0, &iov, len ? 1 : 0, NULL, 0);
	return 0;
}

/* True if it may wait until the device is done with what it does. Such of config space: access.c */
static bool stops_device(uint16_t command)
{
	return command == VU_DEVICE_RESET || command == VU_DEVICE_SET_IRQS;
}

static int call(struct vu_server_client *c, const struct command *cmd, struct vu_message *m)
{
	uint64_t ticket;
	int ret;

	if (!c->messages || !stops_device(m->header.command))
		return cmd->fn(c, m);
	ticket = vu_service_begin(c, VU_TURN_STOPS);
	ret = cmd->fn(c, m);
	vu_service_end(c, VU_TURN_STOPS, ticket);
	return ret;
}

static bool run(struct vu_server_client *c, struct vu_message *m)
{
	const struct command *cmd;
	int ret;

	switch (m->header.command) {
	case VU_REGION_READ:
		return vu_region_read(c, m);
	case VU_REGION_WRITE:
		return vu_region_write(c, m);
	case VU_REGION_WRITE_MULTI:
		return vu_write_multi(c, m);
	default:
		break;
	}
	cmd = find(m->header.command);
	if (!cmd || (!cmd->fn && cmd != &commands[VU_VERSION]))
		ret = -ENOSYS;
	else if (!cmd->fn || m->len < cmd->min)
		ret = -EINVAL;
	else
		ret = call(c, cmd, m);
	if (ret) {
		vu_command_refused(c, m, ret);
		vu_answer(c, m, ret, NULL, 0, NULL, 0);
	}
	return true;
}

/* The turn stays: nobody takes it over (vu_service_begin()). */
static void run_lasting(struct vu_server_client *c, struct vu_message *m)
{
	run(c, m);
}

bool vu_command_run(struct vu_server_client *c, struct vu_message *m)
{
	if (!c->lasting)
		return run(c, m);
	vu_lasting_run(c, m, run_lasting);
	return true;
}
