/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/admin.c: the admin command set (NVMe 1.4, 5): dispatch, queues, Abort, doorbell
 * buffers. All run with the admin queue's lock, so one at a time.
 */
#include "models/nvme/internal.h"

#define BYTE_OPC   0u
#define BYTE_FLAGS 1u
#define BYTE_PRP1  24u
#define BYTE_PRP2  32u
#define BYTE_CDW10 40u
#define BYTE_CDW11 44u

static uint16_t fail(uint16_t *location, unsigned byte, enum nvme_status status)
{
	*location = nvme_location(byte, 0);
	return (uint16_t)(status | NVME_DNR);
}

static bool bad_qid(const struct nvme *n, unsigned qid)
{
	return !qid || qid > n->max_queues;
}

/* Return the number of the command that is being executed, by which a killed process knew it. */
static uint32_t command_of(struct nvme *n)
{
	return nvme_slot_of(&n->sq[0], n->sq[0].tag)->seq;
}

/* Check QID, QSIZE, PC and PRP1, which both kinds of queue have. */
static uint16_t check_queue(struct nvme *n, const struct nvme_cmd *cmd, bool exists,
			    uint16_t *location)
{
	unsigned entries = (cmd->cdw10 >> 16) + 1;

	if (bad_qid(n, cmd->cdw10 & 0xffff) || exists)
		return fail(location, BYTE_CDW10, NVME_INVALID_QID);
	if (entries < 2 || entries > NVME_MAX_ENTRIES)
		return fail(location, BYTE_CDW10 + 2, NVME_INVALID_QSIZE);
	if (!(cmd->cdw11 & 1)) /* CAP.CQR: contiguous only */
		return fail(location, BYTE_CDW11, NVME_INVALID_FIELD);
	if (cmd->prp1 & ((1ull << n->page_shift) - 1))
		return fail(location, BYTE_PRP1, NVME_INVALID_PRP_OFFSET);
	return NVME_OK;
}

/*
 * 5.3. The limit of the vector is what the controller has (MSIXCAP.MXC.TS), not what is enabled: a
 * driver may make its queues first, or enable fewer messages than it names. Then the interrupt is
 * the pin, or one of the messages that there are.
 */
static uint16_t create_cq(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	unsigned qid = cmd->cdw10 & 0xffff, vector = cmd->cdw11 >> 16;
	bool exists = !bad_qid(n, qid) && atomic_load(&n->cq[qid].kept->size);
	uint16_t status = check_queue(n, cmd, exists, location);

	if (exists && n->cq[qid].kept->by == command_of(n))
		return NVME_OK; /* this command has made it, in a process that was killed then */
	if (status)
		return status;
	if (NVME_CC_IOCQES(atomic_load(&n->kept->cc)) != NVME_CQES)
		return fail(location, BYTE_CDW10, NVME_INVALID_FIELD);
	if (vector >= n->vectors)
		return fail(location, BYTE_CDW11 + 2, NVME_INVALID_VECTOR);
	n->cq[qid].kept->by = command_of(n);
	nvme_cq_setup(&n->cq[qid], n, cmd->prp1, (cmd->cdw10 >> 16) + 1, (uint16_t)vector,
		      cmd->cdw11 & 2);
	return NVME_OK;
}

/* 5.5 */
static uint16_t delete_cq(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	unsigned qid = cmd->cdw10 & 0xffff;

	if (!bad_qid(n, qid) && !atomic_load(&n->cq[qid].kept->size) &&
	    n->cq[qid].kept->by == command_of(n))
		return NVME_OK; /* as in create_cq() */
	if (bad_qid(n, qid) || !atomic_load(&n->cq[qid].kept->size))
		return fail(location, BYTE_CDW10, NVME_INVALID_QID);
	if (atomic_load(&n->cq[qid].users))
		return fail(location, BYTE_CDW10, NVME_INVALID_QDELETE);
	n->cq[qid].kept->by = command_of(n);
	nvme_cq_clear(n, &n->cq[qid]);
	return NVME_OK;
}

/* 5.4 */
static uint16_t create_sq(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	unsigned qid = cmd->cdw10 & 0xffff, cqid = cmd->cdw11 >> 16;
	uint16_t status;
	bool exists;

	if (bad_qid(n, cqid))
		return fail(location, BYTE_CDW11 + 2, NVME_INVALID_QID);
	if (!atomic_load(&n->cq[cqid].kept->size))
		return fail(location, BYTE_CDW11 + 2, NVME_CQ_INVALID);
	if (bad_qid(n, qid))
		return fail(location, BYTE_CDW10, NVME_INVALID_QID);
	pthread_mutex_lock(&n->sq[qid].lock);
	exists = atomic_load(&n->sq[qid].kept->size) || n->sq[qid].deleting;
	if (atomic_load(&n->sq[qid].kept->size) && n->sq[qid].kept->by == command_of(n)) {
		pthread_mutex_unlock(&n->sq[qid].lock);
		return NVME_OK; /* as in create_cq() */
	}
	status = check_queue(n, cmd, exists, location);
	if (!status && NVME_CC_IOSQES(atomic_load(&n->kept->cc)) != NVME_SQES)
		status = fail(location, BYTE_CDW10, NVME_INVALID_FIELD);
	if (!status) {
		n->sq[qid].kept->by = command_of(n);
		nvme_sq_setup(&n->sq[qid], (uint16_t)cqid, cmd->prp1, (cmd->cdw10 >> 16) + 1);
		atomic_fetch_add(&n->cq[cqid].users, 1);
	}
	pthread_mutex_unlock(&n->sq[qid].lock);
	return status;
}

/* Delete a queue: commands that were fetched complete first, the last one completes this. 5.6 */
static uint16_t delete_sq(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	unsigned qid = cmd->cdw10 & 0xffff;
	struct nvme_sq *sq = &n->sq[qid < NVME_QUEUES ? qid : 0];
	uint16_t status = NVME_OK;

	if (bad_qid(n, qid))
		return fail(location, BYTE_CDW10, NVME_INVALID_QID);
	pthread_mutex_lock(&sq->lock);
	if (!atomic_load(&sq->kept->size) && sq->kept->by == command_of(n) && !sq->deleting) {
		/* begun in a process that was killed: what was in flight then is so again */
		atomic_fetch_add(&nvme_cq_of(sq)->users, 1);
	} else if (!atomic_load(&sq->kept->size)) {
		status = fail(location, BYTE_CDW10, NVME_INVALID_QID);
		goto out;
	}
	sq->kept->by = command_of(n);
	atomic_store(&sq->kept->size, 0);
	atomic_store(sq->doorbell, 0);
	atomic_store(&n->kept->rung[2 * qid], 0);
	atomic_fetch_and(&n->live[qid / 64], ~(1ull << qid % 64));
	sq->delete_tag = n->sq[0].tag;
	sq->delete_due = n->sq[0].due;
	atomic_store(&sq->deleting, true);
	if (atomic_load(&sq->inflight)) {
		status = NVME_PENDING;
		goto out;
	}
	atomic_store(&sq->deleting, false);
	atomic_fetch_sub(&nvme_cq_of(sq)->users, 1);
out:
	pthread_mutex_unlock(&sq->lock);
	return status;
}

/* Abort: a command on its way to the file is not called back; one waiting for an event is. 5.1 */
static uint16_t abort_cmd(struct nvme *n, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint16_t sqid = (uint16_t)cmd->cdw10, cid = (uint16_t)(cmd->cdw10 >> 16);

	*result = sqid || !nvme_async_event_abort(n, cid, command_of(n));
	return NVME_OK;
}

/* 5.7 */
static uint16_t doorbell_buffer(struct nvme *n, const struct nvme_cmd *cmd, uint16_t *location)
{
	uint64_t mask = (1ull << n->page_shift) - 1;

	if (cmd->prp1 & mask)
		return fail(location, BYTE_PRP1, NVME_INVALID_FIELD);
	if (cmd->prp2 & mask)
		return fail(location, BYTE_PRP2, NVME_INVALID_FIELD);
	nvme_queues_buffers(n, cmd->prp1, cmd->prp2);
	return NVME_OK;
}

uint16_t nvme_admin_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			uint32_t *result, uint16_t *location)
{
	if (cmd->flags & 0xc3) /* 4.2: neither fused commands nor SGLs */
		return fail(location, BYTE_FLAGS, NVME_INVALID_FIELD);
	switch (cmd->opc) {
	case NVME_ADM_DELETE_SQ:
		return delete_sq(n, cmd, location);
	case NVME_ADM_CREATE_SQ:
		return create_sq(n, cmd, location);
	case NVME_ADM_GET_LOG:
		return nvme_get_log(n, sq, cmd, location);
	case NVME_ADM_DELETE_CQ:
		return delete_cq(n, cmd, location);
	case NVME_ADM_CREATE_CQ:
		return create_cq(n, cmd, location);
	case NVME_ADM_IDENTIFY:
		return nvme_identify(n, sq, cmd, location);
	case NVME_ADM_ABORT:
		return abort_cmd(n, cmd, result);
	case NVME_ADM_SET_FEATURES:
		return nvme_set_features(n, sq, cmd, result, location);
	case NVME_ADM_GET_FEATURES:
		return nvme_get_features(n, sq, cmd, result, location);
	case NVME_ADM_ASYNC_EVENT:
		return nvme_async_event(n, n->sq[0].tag);
	case NVME_ADM_KEEP_ALIVE:
		nvme_keep_alive(n);
		return NVME_OK;
	case NVME_ADM_DOORBELL_BUFFER:
		return doorbell_buffer(n, cmd, location);
	default:
		return fail(location, BYTE_OPC, NVME_INVALID_OPCODE);
	}
}
