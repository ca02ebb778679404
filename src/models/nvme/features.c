/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/features.c: get Features and Set Features (NVMe 1.4, 5.13, 5.21). No feature is
 * saveable: each controller reset brings the defaults back.
 */
#include <errno.h>
#include <string.h>

#include "models/nvme/internal.h"

#define BYTE_NSID  4u
#define BYTE_PRP1  24u
#define BYTE_CDW10 40u
#define BYTE_CDW11 44u

#define OVER_DEFAULT 343u /* WCTEMP */

enum select { CURRENT, DEFAULT, SAVED, CAPABILITIES };

/* Figure 276 of Get Features, SEL 011b: what can be done with the feature. */
#define CHANGEABLE   4u
#define BY_NAMESPACE 2u

static uint16_t fail(uint16_t *location, unsigned byte, enum nvme_status status)
{
	*location = nvme_location(byte, 0);
	return (uint16_t)(status | NVME_DNR);
}

/* Return the place of a feature in the table; -1: no such feature. */
static int capabilities(unsigned fid)
{
	switch (fid) {
	case NVME_FEAT_ERROR_RECOVERY:
		return CHANGEABLE | BY_NAMESPACE;
	case NVME_FEAT_ARBITRATION:
	case NVME_FEAT_POWER:
	case NVME_FEAT_TEMPERATURE:
	case NVME_FEAT_WRITE_CACHE:
	case NVME_FEAT_QUEUES:
	case NVME_FEAT_IRQ_COALESCE:
	case NVME_FEAT_IRQ_VECTOR:
	case NVME_FEAT_ATOMICITY:
	case NVME_FEAT_ASYNC_EVENT:
	case NVME_FEAT_TIMESTAMP:
	case NVME_FEAT_KEEP_ALIVE:
	case NVME_FEAT_HOST_BEHAVIOR:
		return CHANGEABLE;
	default:
		return -1;
	}
}

/* ---- keep alive: 5.18, 5.21.1.15, 7.12 ---- */

/* With admin. */
static void keep_alive_start(struct nvme *n)
{
	uint64_t ns = n->kept->feat.keep_alive * 1000000ull;

	n->kept->feat.keep_alive_end = nvme_now_ns() + ns;
	if (n->keep_alive)
		uvfio_timer_set(n->keep_alive, ns ? ns : UINT64_MAX);
}

void nvme_keep_alive(struct nvme *n)
{
	pthread_mutex_lock(&n->admin);
	keep_alive_start(n);
	pthread_mutex_unlock(&n->admin);
}

/*
 * 7.12: an entry in the error log, and the controller stops. A callback that a reset or a command
 * came before finds that.
 */
static void keep_alive_expired(struct uvfio_dev *dev, void *arg)
{
	struct nvme *n = arg;
	uint64_t now = nvme_now_ns();

	pthread_mutex_lock(&n->admin);
	if (n->kept->feat.keep_alive && now >= n->kept->feat.keep_alive_end) {
		pthread_mutex_lock(&n->log_lock);
		nvme_log_count(n,
			       nvme_log_error(n,
					      &(struct nvme_error_entry){
						      .cid = 0xffff,
						      .status = NVME_KEEP_ALIVE_EXPIRED << 1,
						      .location = 0xffff }),
			       atomic_load(&n->kept->media_errors));
		pthread_mutex_unlock(&n->log_lock);
		nvme_fatal(n, "no Keep Alive came within the time of feature 0Fh", 0);
		n->kept->feat.keep_alive = 0;
	} else if (n->kept->feat.keep_alive) {
		uvfio_timer_set(n->keep_alive, n->kept->feat.keep_alive_end - now);
	}
	pthread_mutex_unlock(&n->admin);
}

/* Set the Keep Alive timer, rounded up to what it counts in. A status. With admin. */
static uint16_t set_keep_alive(struct nvme *n, uint32_t ms)
{
	uint64_t unit = NVME_KAS * 100, rounded = (ms + unit - 1) / unit * unit;

	if (ms && !n->keep_alive)
		n->keep_alive = uvfio_timer_new(n->dev, keep_alive_expired, n);
	if (ms && !n->keep_alive)
		return NVME_INTERNAL_ERROR;
	n->kept->feat.keep_alive = (uint32_t)(rounded > UINT32_MAX ? rounded - unit : rounded);
	keep_alive_start(n);
	return NVME_OK;
}

int nvme_keep_alive_load(struct nvme *n, uint64_t left)
{
	uint64_t all = n->kept->feat.keep_alive * 1000000ull;

	if (all && !n->keep_alive)
		n->keep_alive = uvfio_timer_new(n->dev, keep_alive_expired, n);
	if (all && !n->keep_alive)
		return -ENOMEM;
	left = left < all ? left : all;
	n->kept->feat.keep_alive_end = nvme_now_ns() + left;
	if (n->keep_alive)
		uvfio_timer_set(n->keep_alive, all ? left : UINT64_MAX);
	return 0;
}

/* ---- the features ---- */

void nvme_features_reset(struct nvme *n)
{
	pthread_mutex_lock(&n->admin);
	n->kept->feat.arbitration = n->kept->feat.power = n->kept->feat.coalesce =
		n->kept->feat.atomicity = 0;
	n->kept->feat.async_event = 0;
	atomic_store(&n->kept->feat.write_cache, 1);
	n->kept->feat.over = OVER_DEFAULT;
	n->kept->feat.under = 0;
	memset(n->kept->feat.vector, 0, sizeof(n->kept->feat.vector));
	n->kept->feat.timestamp = 0;
	n->kept->feat.timestamp_at = nvme_now_ns();
	n->kept->feat.timestamp_set = n->kept->feat.timestamp_stood = false;
	set_keep_alive(n, 0);
	n->kept->feat.retry_delays = 0;
	for (unsigned i = 0; i < n->num_ns; i++)
		n->kept->feat.error_recovery[i] = 0;
	pthread_mutex_unlock(&n->admin);
}

static uint32_t queue_count(const struct nvme *n)
{
	return (n->max_queues - 1) << 16 | (n->max_queues - 1);
}

/* 5.21.1.4: THSEL 21:20, TMPSEL 19:16; only the composite temperature is there. */
static uint16_t *threshold(struct nvme *n, uint32_t cdw11, bool set)
{
	unsigned sensor = cdw11 >> 16 & 15, which = cdw11 >> 20 & 3;

	if ((sensor && !(set && sensor == 15)) || which > 1)
		return NULL;
	return which ? &n->kept->feat.under : &n->kept->feat.over;
}

/*
 * 5.21.1.14, figure 287: milliseconds 47:0, 48: it may have stood still, origin 51:49 (figure 288:
 * 1 means that the host set it).
 */
static uint64_t timestamp(const struct nvme *n, bool def)
{
	uint64_t ms = (nvme_now_ns() - n->kept->feat.timestamp_at) / 1000000;

	if (def)
		return 0;
	return ((n->kept->feat.timestamp + ms) & 0xffffffffffffull) |
	       (uint64_t)n->kept->feat.timestamp_stood << 48 |
	       (uint64_t)n->kept->feat.timestamp_set << 49;
}

/*
 * Of a namespace. Up to 1.3 nothing says that the feature is a namespace's, and drivers of a single
 * one leave NSID 0: then it is what all have. Where they differ there is no answer.
 */
static uint16_t error_recovery(struct nvme *n, const struct nvme_cmd *cmd, bool def,
			       uint32_t *result, uint16_t *location)
{
	struct nvme_ns *ns = nvme_find_ns(n, cmd->nsid ? cmd->nsid : 1);
	const uint16_t *of = n->kept->feat.error_recovery;

	for (unsigned i = 1; ns && !cmd->nsid && !def && i < n->num_ns; i++)
		if (of[i] != of[0])
			ns = NULL;
	if (!ns)
		return fail(location, BYTE_NSID, NVME_INVALID_NAMESPACE);
	*result = def ? 0 : of[ns->nsid - 1];
	return NVME_OK;
}

static uint16_t current(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, bool def,
			uint32_t *result, uint16_t *location)
{
	uint8_t behavior[512] = { 0 };
	uint16_t *limit;
	uint64_t time;

	switch (cmd->cdw10 & 0xff) {
	case NVME_FEAT_ARBITRATION:
		*result = def ? 0 : n->kept->feat.arbitration;
		break;
	case NVME_FEAT_POWER:
		*result = def ? 0 : n->kept->feat.power;
		break;
	case NVME_FEAT_TEMPERATURE:
		limit = threshold(n, cmd->cdw11, false);
		if (!limit)
			return fail(location, BYTE_CDW11 + 2, NVME_INVALID_FIELD);
		*result = def ? (limit == &n->kept->feat.over ? OVER_DEFAULT : 0) : *limit;
		break;
	case NVME_FEAT_ERROR_RECOVERY:
		return error_recovery(n, cmd, def, result, location);
	case NVME_FEAT_WRITE_CACHE:
		*result = def ? 1 : atomic_load(&n->kept->feat.write_cache);
		break;
	case NVME_FEAT_QUEUES:
		*result = queue_count(n);
		break;
	case NVME_FEAT_IRQ_COALESCE:
		*result = def ? 0 : n->kept->feat.coalesce;
		break;
	case NVME_FEAT_IRQ_VECTOR:
		if ((cmd->cdw11 & 0xffff) >= n->vectors)
			return fail(location, BYTE_CDW11, NVME_INVALID_FIELD);
		*result = (cmd->cdw11 & 0xffff) |
			  (def ? 0 : (uint32_t)n->kept->feat.vector[cmd->cdw11 & 0xffff] << 16);
		break;
	case NVME_FEAT_ATOMICITY:
		*result = def ? 0 : n->kept->feat.atomicity;
		break;
	case NVME_FEAT_ASYNC_EVENT:
		*result = def ? 0 : n->kept->feat.async_event;
		break;
	case NVME_FEAT_TIMESTAMP:
		time = timestamp(n, def);
		return nvme_data_in(n, sq, cmd, &time, sizeof(time), location);
	case NVME_FEAT_KEEP_ALIVE:
		*result = def ? 0 : n->kept->feat.keep_alive;
		break;
	case NVME_FEAT_HOST_BEHAVIOR:
		behavior[0] = def ? 0 : n->kept->feat.retry_delays;
		return nvme_data_in(n, sq, cmd, behavior, sizeof(behavior), location);
	}
	return NVME_OK;
}

uint16_t nvme_get_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location)
{
	int caps = capabilities(cmd->cdw10 & 0xff);
	uint16_t status;

	if (caps < 0)
		return fail(location, BYTE_CDW10, NVME_INVALID_FIELD);
	switch (cmd->cdw10 >> 8 & 7) {
	case CAPABILITIES:
		*result = (uint32_t)caps;
		return NVME_OK;
	case CURRENT:
	case DEFAULT:
	case SAVED: /* 5.13: of what cannot be saved, the default */
		pthread_mutex_lock(&n->admin);
		status = current(n, sq, cmd, cmd->cdw10 >> 8 & 7, result, location);
		pthread_mutex_unlock(&n->admin);
		return status;
	default:
		return fail(location, BYTE_CDW10 + 1, NVME_INVALID_FIELD);
	}
}

static bool have_queues(struct nvme *n)
{
	for (unsigned i = 1; i < NVME_QUEUES; i++)
		if (atomic_load(&n->sq[i].kept->size) || atomic_load(&n->cq[i].kept->size) ||
		    atomic_load(&n->sq[i].deleting))
			return true;
	return false;
}

static uint16_t set_error_recovery(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	struct nvme_ns *ns = nvme_find_ns(n, cmd->nsid);

	if (!ns && cmd->nsid && cmd->nsid != NVME_NSID_ALL) /* 0: as in error_recovery() */
		return fail(location, BYTE_NSID, NVME_INVALID_NAMESPACE);
	if (cmd->cdw11 & 1u << 16) /* DULBE, and NSFEAT does not offer it */
		return fail(location, BYTE_CDW11 + 2, NVME_INVALID_FIELD);
	for (unsigned i = 0; i < n->num_ns; i++)
		if (!ns || ns == &n->ns[i])
			n->kept->feat.error_recovery[i] = (uint16_t)cmd->cdw11;
	return NVME_OK;
}

static uint16_t set_queues(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result,
			   uint16_t *location)
{
	if ((cmd->cdw11 & 0xffff) == 0xffff || cmd->cdw11 >> 16 == 0xffff) /* 5.21.1.7 */
		return fail(location, BYTE_CDW11, NVME_INVALID_FIELD);
	if (have_queues(n))
		return fail(location, BYTE_CDW10, NVME_SEQUENCE_ERROR);
	*result = queue_count(n);
	return NVME_OK;
}

/*
 * With admin. @again: the command was carried out, in a process that was killed then, and what it
 * set off must not come twice.
 */
static uint16_t set(struct nvme *n, const struct nvme_cmd *cmd, const void *data, bool again,
		    uint32_t *result, uint16_t *location)
{
	const uint8_t *behavior = data;
	uint32_t value = cmd->cdw11;
	uint16_t *limit;

	switch (cmd->cdw10 & 0xff) {
	case NVME_FEAT_ARBITRATION:
		n->kept->feat.arbitration = value & 0xffffff07;
		break;
	case NVME_FEAT_POWER:
		if (value & 0x1f) /* NPSS 0: one state */
			return fail(location, BYTE_CDW11, NVME_INVALID_FIELD);
		n->kept->feat.power = value & 0xe0;
		break;
	case NVME_FEAT_TEMPERATURE:
		limit = threshold(n, value, true);
		if (!limit)
			return fail(location, BYTE_CDW11 + 2, NVME_INVALID_FIELD);
		*limit = (uint16_t)value;
		if (!again)
			nvme_check_temperature(n);
		break;
	case NVME_FEAT_ERROR_RECOVERY:
		return set_error_recovery(n, cmd, location);
	case NVME_FEAT_WRITE_CACHE:
		atomic_store(&n->kept->feat.write_cache, value & 1);
		break;
	case NVME_FEAT_QUEUES:
		return set_queues(n, cmd, result, location);
	case NVME_FEAT_IRQ_COALESCE:
		n->kept->feat.coalesce = value & 0xffff;
		break;
	case NVME_FEAT_IRQ_VECTOR:
		if ((value & 0xffff) >= n->vectors)
			return fail(location, BYTE_CDW11, NVME_INVALID_FIELD);
		n->kept->feat.vector[value & 0xffff] = value >> 16 & 1;
		break;
	case NVME_FEAT_ATOMICITY:
		n->kept->feat.atomicity = value & 1;
		break;
	case NVME_FEAT_ASYNC_EVENT:
		n->kept->feat.async_event =
			value & 0xff; /* SMART warnings; OAES offers no notices */
		if (again)
			break;
		n->kept->hot = n->kept->cold = false; /* what is wrong already is reported, too */
		nvme_check_temperature(n);
		break;
	case NVME_FEAT_TIMESTAMP:
		memcpy(&n->kept->feat.timestamp, data, sizeof(n->kept->feat.timestamp));
		n->kept->feat.timestamp &= 0xffffffffffffull;
		n->kept->feat.timestamp_at = nvme_now_ns();
		n->kept->feat.timestamp_set = true;
		n->kept->feat.timestamp_stood = false;
		break;
	case NVME_FEAT_KEEP_ALIVE:
		return set_keep_alive(n, value);
	case NVME_FEAT_HOST_BEHAVIOR:
		/* 5.21.1.18: with ACRE a status may name a delay. CRDT1 to 3 are 0: none does. */
		if (behavior[0] > 1)
			return fail(location, BYTE_PRP1, NVME_INVALID_FIELD);
		n->kept->feat.retry_delays = behavior[0];
		break;
	}
	return NVME_OK;
}

uint16_t nvme_set_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location)
{
	unsigned fid = cmd->cdw10 & 0xff;
	int caps = capabilities(fid);
	uint32_t by = nvme_slot_of(sq, sq->tag)->seq;
	uint8_t data[512] = { 0 };
	uint16_t status = NVME_OK;

	if (caps < 0)
		return fail(location, BYTE_CDW10, NVME_INVALID_FIELD);
	if (cmd->cdw10 & 1u << 31) /* SV */
		return fail(location, BYTE_CDW10 + 3, NVME_NOT_SAVEABLE);
	if (!(caps & BY_NAMESPACE) && cmd->nsid && cmd->nsid != NVME_NSID_ALL)
		return fail(location, BYTE_NSID, NVME_NOT_NS_SPECIFIC);
	if (fid == NVME_FEAT_TIMESTAMP)
		status = nvme_data_out(n, sq, cmd, data, 8, location);
	else if (fid == NVME_FEAT_HOST_BEHAVIOR)
		status = nvme_data_out(n, sq, cmd, data, sizeof(data), location);
	if (status)
		return status;
	pthread_mutex_lock(&n->admin);
	status = set(n, cmd, data, n->kept->feature_by == by, result, location);
	n->kept->feature_by = by;
	pthread_mutex_unlock(&n->admin);
	/* The cache goes off: what is in it is on the medium before the driver may rely on that. */
	if (!status && fid == NVME_FEAT_WRITE_CACHE && !(cmd->cdw11 & 1))
		return nvme_io_flush_all(n, sq, cmd);
	return status;
}
